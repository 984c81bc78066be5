/* The least exchange type there can be: no fork, bind or unbind, so that tables are built anew. */
#include "descriptor.h"
#include <stdlib.h>
#include <string.h>

struct binding {
    uint32_t size, flags, slot, reserved;
    struct bytes key, arguments, destination;
};
struct slots {
    uint32_t size, len, capacity, reserved;
    uint32_t *ptr;
    void *context;
    int32_t (*grow)(struct slots *, uint32_t);
};
struct table { size_t count; uint32_t slots[]; };

static int32_t create(const void *host, struct bytes config, const void *declaration,
                      void **exchange, void *answer) {
    (void)host, (void)config, (void)declaration, (void)answer;
    *exchange = 0;
    return 0;
}

static void destroy(void *exchange) { (void)exchange; }

static int32_t build(const void *exchange, const struct binding *bindings, size_t count,
                     void **table, void *answer) {
    struct table *made = malloc(sizeof *made + count * sizeof *made->slots);
    (void)exchange, (void)answer;
    made->count = count;
    for (size_t i = 0; i < count; i++) {
        const char *at = (const char *)bindings + i * bindings->size;
        made->slots[i] = ((const struct binding *)at)->slot;
    }
    *table = made;
    return 0;
}

static int32_t route(const void *exchange, const void *table, const void *message,
                     struct slots *slots, void *answer) {
    const struct table *made = table;
    (void)exchange, (void)message, (void)answer;
    if (slots->capacity - slots->len < made->count && slots->grow(slots, made->count))
        return -1;
    memcpy(slots->ptr + slots->len, made->slots, made->count * sizeof *made->slots);
    slots->len += made->count;
    return 0;
}

static const struct {
    uint32_t size, flags;
    int32_t (*create)(const void *, struct bytes, const void *, void **, void *);
    void (*destroy)(void *);
    void *validate;
    int32_t (*build)(const void *, const struct binding *, size_t, void **, void *);
    void *fork, *bind, *unbind;
    void (*drop)(void *);
    int32_t (*route)(const void *, const void *, const void *, struct slots *, void *);
} vtable = { sizeof vtable, 1, create, destroy, 0, build, 0, 0, 0, free, route };

static const struct item items[] = { { sizeof(struct item), 1, TEXT("x-c-fanout"), &vtable } };

static const struct descriptor descriptor = {
    .magic = MAGIC,
    .size = sizeof(struct descriptor),
    .abi_major = 1,
    .panic_unwind = 1,
    .ptr_width = sizeof(void *),
    .item_count = 1,
    .name = TEXT("fanout in C"),
    .version = TEXT("0.0.0"),
    .items = items,
};

EXPORT const struct descriptor *leveret_plugin_v1(const void *host) {
    (void)host;
    return &descriptor;
}
