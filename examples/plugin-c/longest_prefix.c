// cc -shared -fPIC -O2 -fvisibility=hidden -I core/leveret-plugin/include -o examples/plugin-c/liblongest_prefix.so examples/plugin-c/longest_prefix.c
//
// The exchange type of examples/plugin-rust in C: the binding key is a prefix of the routing key,
// and only the longest one that fits wins. The broker loads it when the configuration says
//
//   [[plugins]]
//   path = "examples/plugin-c/liblongest_prefix.so"

#include <leveret_plugin.h>
#include <stdlib.h>

// One key that is bound to one slot, by `count` bindings.
typedef struct entry {
  char *key;
  size_t length;
  uint32_t slot;
  uint32_t count;
} entry;

// A table has few entries here, so it is copied whole. With many, share what does not change.
typedef struct table {
  entry *entries;
  size_t length;
} table;

static int32_t out_of_memory(leveret_answer *answer) {
  leveret_say(answer, "out of memory");
  return LEVERET_FAILED;
}

static void drop(void *pointer) {
  table *old = pointer;
  for (size_t i = 0; i < old->length; i++) free(old->entries[i].key);
  free(old->entries);
  free(old);
}

static entry *find(const table *in, leveret_bytes key, uint32_t slot) {
  for (size_t i = 0; i < in->length; i++) {
    entry *one = &in->entries[i];
    leveret_bytes bound = { (const uint8_t *)one->key, one->length };
    if (one->slot == slot && leveret_equal(bound, key)) return one;
  }
  return NULL;
}

// Appends an entry; false if there is no memory.
static bool append(table *to, leveret_bytes key, uint32_t slot, uint32_t count) {
  entry *entries = realloc(to->entries, (to->length + 1) * sizeof(entry));
  if (!entries) return false;
  to->entries = entries;
  char *copy = malloc(key.len + 1);
  if (!copy) return false;
  if (key.len > 0) memcpy(copy, key.ptr, key.len);
  to->entries[to->length++] = (entry){ copy, key.len, slot, count };
  return true;
}

static int32_t create(const leveret_host *host, leveret_bytes config,
                      const leveret_declaration *declaration, void **exchange,
                      leveret_answer *answer) {
  (void)host, (void)config, (void)declaration, (void)answer;
  // The exchange has no state of its own, but there must be something to point to.
  static char nothing;
  *exchange = &nothing;
  return LEVERET_OK;
}

static void destroy(void *exchange) {
  (void)exchange;
}

static int32_t validate_bind(const void *exchange, const leveret_binding *binding,
                             leveret_answer *answer) {
  (void)exchange;
  for (size_t i = 0; i < binding->key.len; i++) {
    if (binding->key.ptr[i] == '*' || binding->key.ptr[i] == '#') {
      leveret_say(answer, "a binding key of an x-longest-prefix exchange is a prefix, not a pattern");
      return LEVERET_REFUSED;
    }
  }
  return LEVERET_OK;
}

static int32_t table_bind(const void *exchange, void *pointer, const leveret_binding *binding,
                          leveret_answer *answer) {
  (void)exchange;
  entry *same = find(pointer, binding->key, binding->slot);
  if (same) {
    same->count++;
    return LEVERET_OK;
  }
  return append(pointer, binding->key, binding->slot, 1) ? LEVERET_OK : out_of_memory(answer);
}

static int32_t table_unbind(const void *exchange, void *pointer, const leveret_binding *binding,
                            leveret_answer *answer) {
  (void)exchange, (void)answer;
  table *from = pointer;
  entry *one = find(from, binding->key, binding->slot);
  if (one && --one->count == 0) {
    free(one->key);
    *one = from->entries[--from->length];
  }
  return LEVERET_OK;
}

static int32_t table_build(const void *exchange, const leveret_binding *bindings, size_t count,
                           void **built, leveret_answer *answer) {
  table *new = calloc(1, sizeof(table));
  if (!new) return out_of_memory(answer);
  for (size_t i = 0; i < count; i++) {
    int32_t code = table_bind(exchange, new, LEVERET_AT(leveret_binding, bindings, i), answer);
    if (code != LEVERET_OK) {
      drop(new);
      return code;
    }
  }
  *built = new;
  return LEVERET_OK;
}

static int32_t table_fork(const void *exchange, const void *pointer, void **copy,
                          leveret_answer *answer) {
  (void)exchange;
  const table *old = pointer;
  table *new = calloc(1, sizeof(table));
  if (!new) return out_of_memory(answer);
  for (size_t i = 0; i < old->length; i++) {
    entry *one = &old->entries[i];
    leveret_bytes key = { (const uint8_t *)one->key, one->length };
    if (!append(new, key, one->slot, one->count)) {
      drop(new);
      return out_of_memory(answer);
    }
  }
  *copy = new;
  return LEVERET_OK;
}

static bool is_prefix(const entry *one, leveret_bytes key) {
  return one->length <= key.len && (one->length == 0 || memcmp(one->key, key.ptr, one->length) == 0);
}

static int32_t route(const void *exchange, const void *pointer, const leveret_message *message,
                     leveret_slots *slots, leveret_answer *answer) {
  (void)exchange, (void)answer;
  const table *bound = pointer;
  size_t longest = 0;
  for (size_t i = 0; i < bound->length; i++) {
    const entry *one = &bound->entries[i];
    if (one->length > longest && is_prefix(one, message->routing_key)) longest = one->length;
  }
  for (size_t i = 0; i < bound->length; i++) {
    const entry *one = &bound->entries[i];
    if (one->length == longest && is_prefix(one, message->routing_key)) leveret_push(slots, one->slot);
  }
  return LEVERET_OK;
}

static const leveret_exchange_vtable LONGEST_PREFIX = {
  .size = sizeof(leveret_exchange_vtable),
  .flags = LEVERET_EXCHANGE_PURE,
  .create = create,
  .destroy = destroy,
  .validate_bind = validate_bind,
  .table_build = table_build,
  .table_fork = table_fork,
  .table_bind = table_bind,
  .table_unbind = table_unbind,
  .table_drop = drop,
  .route = route,
};

static const leveret_item ITEMS[] = {
  {
    .size = sizeof(leveret_item),
    .kind = LEVERET_KIND_EXCHANGE,
    .name = LEVERET_TEXT("x-longest-prefix-c"),
    .vtable = &LONGEST_PREFIX,
  },
};

static const leveret_descriptor PLUGIN = {
  .magic = LEVERET_MAGIC,
  .size = sizeof(leveret_descriptor),
  .abi_major = LEVERET_ABI_MAJOR,
  .abi_minor = LEVERET_ABI_MINOR,
  .min_host_minor = 0,
  .panic_unwind = 1,
  .ptr_width = sizeof(void *),
  .item_count = sizeof(ITEMS) / sizeof(ITEMS[0]),
  .name = LEVERET_TEXT("longest-prefix-c"),
  .version = LEVERET_TEXT("0.1.0"),
  .sdk_version = LEVERET_TEXT("leveret_plugin.h"),
#if defined(__VERSION__)
  .compiler = LEVERET_TEXT(__VERSION__),
#else
  .compiler = LEVERET_TEXT("unknown"),
#endif
  .items = ITEMS,
};

const leveret_descriptor *leveret_plugin_v1(const leveret_host *host) {
  (void)host;
  return &PLUGIN;
}
