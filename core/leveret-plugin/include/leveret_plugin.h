/* The contract between the Leveret broker and a plugin, for authors in C.
 * Made by cbindgen from core/leveret-plugin/src/abi; do not edit.
 *
 * A plugin is a shared object that exports one function, leveret_plugin_v1. Build it with
 *   cc -shared -fPIC -O2 -fvisibility=hidden -I DIRECTORY_OF_THIS_HEADER -o libNAME.so NAME.c
 */
#ifndef LEVERET_PLUGIN_H
#define LEVERET_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// First field of a leveret_descriptor: `LEVERETP` in ASCII, read as a big-endian number.
#define LEVERET_MAGIC 5495893776008565840

// Incompatible versions of this contract; also in the name of the exported symbol.
#define LEVERET_ABI_MAJOR 1

// Compatible additions to this contract since the major version.
#define LEVERET_ABI_MINOR 0

// It worked; a transform: the message goes on; an exchange: the binding is acceptable.
#define LEVERET_OK 0

// The plugin refuses; the text of the leveret_answer is meant for the client (406).
#define LEVERET_REFUSED 1

// The plugin failed; the text of the leveret_answer says why.
#define LEVERET_FAILED -1

// The plugin panicked; the text of the leveret_answer says where.
#define LEVERET_PANICKED -2

// Kind of an leveret_item whose `vtable` is an leveret_exchange_vtable.
#define LEVERET_KIND_EXCHANGE 1

// Kind of an leveret_item whose `vtable` is a leveret_transform_vtable.
#define LEVERET_KIND_TRANSFORM 2

// Kind of an leveret_item whose `vtable` is an leveret_auth_vtable.
#define LEVERET_KIND_AUTH 3

// Severity of a log line: something failed.
#define LEVERET_LEVEL_ERROR 1

// Severity of a log line: something is wrong but goes on.
#define LEVERET_LEVEL_WARN 2

// Severity of a log line: ordinary events.
#define LEVERET_LEVEL_INFO 3

// Severity of a log line: details.
#define LEVERET_LEVEL_DEBUG 4

// Severity of a log line: more details.
#define LEVERET_LEVEL_TRACE 5

// Flag of a leveret_message: it was published as mandatory.
#define LEVERET_MESSAGE_MANDATORY 1

// Flag of a leveret_message: it has been delivered before.
#define LEVERET_MESSAGE_REDELIVERED 2

// An auth plugin says yes.
#define LEVERET_ALLOW 0

// An auth plugin says no; the text of the leveret_answer or leveret_reply is for the log only.
#define LEVERET_DENY 4

// An auth plugin leaves it to the next one; when all do, the answer is no.
#define LEVERET_DEFER 5

// An auth plugin answers through the leveret_completion: later from any thread, or already did.
#define LEVERET_PENDING 6

// `leveret_access.action`: open a connection to the virtual host.
#define LEVERET_ACTION_ACCESS 0

// `leveret_access.action`: a permission on an exchange.
#define LEVERET_ACTION_EXCHANGE 1

// `leveret_access.action`: a permission on a queue.
#define LEVERET_ACTION_QUEUE 2

// `leveret_access.action`: publish to, or bind with, a routing key of a topic exchange.
#define LEVERET_ACTION_TOPIC 3

// `leveret_access.permission`: create, delete.
#define LEVERET_PERMISSION_CONFIGURE 0

// `leveret_access.permission`: publish, bind to.
#define LEVERET_PERMISSION_WRITE 1

// `leveret_access.permission`: consume, get, purge, bind from.
#define LEVERET_PERMISSION_READ 2

// Flag of an leveret_auth_vtable: a login holds until the connection ends, so that there is nothing to
// check in a new secret that a client sends.
#define LEVERET_AUTH_LASTING 1

// Flag of a leveret_user: may come from loopback addresses only.
#define LEVERET_USER_LOOPBACK_ONLY 1

// Flag of an leveret_exchange_vtable: routing depends on nothing but the bindings and the routing key.
#define LEVERET_EXCHANGE_PURE 1

// Flag of a leveret_binding: the destination is an exchange, not a queue.
#define LEVERET_BINDING_TO_EXCHANGE 1

// A transform: the message disappears; the text of the leveret_answer is the reason it is counted
// under.
#define LEVERET_DROP 2

// A transform: the message is refused with the code and the text of the leveret_answer.
#define LEVERET_REJECT 3

// After the checks of basic.publish, before routing. Stages are flags of an leveret_interest.
#define LEVERET_STAGE_PUBLISH 1

// Before the frames of a delivery are written.
#define LEVERET_STAGE_DELIVER 2

// A transform that failed rejects the message with code 541.
#define LEVERET_ON_ERROR_REJECT 0

// A transform that failed is passed over.
#define LEVERET_ON_ERROR_PASS 1

// A transform that failed drops the message.
#define LEVERET_ON_ERROR_DROP 2

// Bytes that somebody else owns. `ptr` may be null when `len` is 0; where a text may be absent,
// absent is null and empty is not.
typedef struct leveret_bytes {
  // First byte.
  const uint8_t *ptr;
  // Number of bytes.
  size_t len;
} leveret_bytes;

// An IP address: `family` is 0 (none), 4 (first four octets) or 6 (all sixteen).
typedef struct leveret_address {
  // 0, 4 or 6.
  uint8_t family;
  // Zero.
  uint8_t reserved[3];
  // The address in network order.
  uint8_t octets[16];
} leveret_address;

// Room for what a plugin says beside its return code. The broker provides it; the plugin writes at
// most `capacity` bytes of UTF-8 to `text` and sets `length`.
typedef struct leveret_answer {
  // Size of this struct in bytes.
  uint32_t size;
  // Reply code that goes with LEVERET_REJECT; 0 stands for 541.
  uint32_t reply_code;
  // Where to write the text.
  uint8_t *text;
  // Bytes that fit there.
  uint32_t capacity;
  // Bytes that were written; 0 at first.
  uint32_t length;
} leveret_answer;

// A message on its way.
typedef struct leveret_message {
  // Size of this struct in bytes.
  uint32_t size;
  // `LEVERET_MESSAGE_*`.
  uint32_t flags;
  // Virtual host.
  struct leveret_bytes vhost;
  // Exchange that it was published to.
  struct leveret_bytes exchange;
  // Routing key.
  struct leveret_bytes routing_key;
  // Property flags and property list of the content header, as on the wire.
  struct leveret_bytes properties;
  // The whole body.
  struct leveret_bytes body;
  // User of the connection: the publisher's, or the consumer's at delivery.
  struct leveret_bytes user;
  // Queue that it is delivered from; empty at publish.
  struct leveret_bytes queue;
  // Peer of that connection.
  struct leveret_address peer;
} leveret_message;

// The permissions of one user in one virtual host.
typedef struct leveret_permission_record {
  // Size of this struct in bytes.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // The virtual host.
  struct leveret_bytes vhost;
  // Pattern of names that may be created and deleted.
  struct leveret_bytes configure;
  // Pattern of names that may be written to.
  struct leveret_bytes write;
  // Pattern of names that may be read from.
  struct leveret_bytes read;
} leveret_permission_record;

// A user as the broker stores it.
typedef struct leveret_user {
  // Size of this struct in bytes.
  uint32_t size;
  // `LEVERET_USER_*`.
  uint32_t flags;
  // Name of the user.
  struct leveret_bytes name;
  // Password hash in PHC form, `well-known:PASSWORD`, or empty.
  struct leveret_bytes password_hash;
  // Tags.
  const struct leveret_bytes *tags;
  // Number of tags.
  size_t tag_count;
  // Permissions by virtual host, stepped by the size of the first.
  const struct leveret_permission_record *permissions;
  // Number of permissions.
  size_t permission_count;
} leveret_user;

// The type of `visit` in `leveret_host.user`: looks at the user that was found, while the call lasts.
typedef void (*leveret_user_visitor)(void *context, const struct leveret_user *user);

// What the broker does for plugins. Its functions may be called from any thread.
typedef struct leveret_host {
  // Size of this struct in bytes.
  uint32_t size;
  // The broker's LEVERET_ABI_MAJOR.
  uint16_t abi_major;
  // The broker's LEVERET_ABI_MINOR.
  uint16_t abi_minor;
  // The broker's own; the first argument of every function.
  void *context;
  // Writes one line to the broker's log on behalf of the plugin `source`.
  void (*log)(void *context, uint32_t level, struct leveret_bytes source, struct leveret_bytes text);
  // Looks a user up and shows it to `visit`. 1: found, 0: there is none.
  int32_t (*user)(void *context,
                  struct leveret_bytes name,
                  void (*visit)(void *context, const struct leveret_user *user),
                  void *visit_context);
} leveret_host;

// One thing that a plugin offers.
typedef struct leveret_item {
  // Size of this struct in bytes.
  uint32_t size;
  // `LEVERET_KIND_*`; kinds that the broker does not know are reported and left alone.
  uint32_t kind;
  // Name: of the exchange type, transform or auth plugin.
  struct leveret_bytes name;
  // Function table of that kind.
  const void *vtable;
} leveret_item;

// What a plugin is and holds.
typedef struct leveret_descriptor {
  // LEVERET_MAGIC.
  uint64_t magic;
  // Size of this struct in bytes.
  uint32_t size;
  // The LEVERET_ABI_MAJOR it was built for.
  uint16_t abi_major;
  // The LEVERET_ABI_MINOR it was built for.
  uint16_t abi_minor;
  // The least LEVERET_ABI_MINOR of a broker that it can work with.
  uint16_t min_host_minor;
  // 1 if panics unwind, so that they can be caught (in C: always 1); 0 is refused.
  uint8_t panic_unwind;
  // Size of a pointer in bytes.
  uint8_t ptr_width;
  // Number of items.
  uint32_t item_count;
  // Name of the plugin.
  struct leveret_bytes name;
  // Version of the plugin.
  struct leveret_bytes version;
  // Version of the kit it was built with, for information only.
  struct leveret_bytes sdk_version;
  // Compiler it was built with, for information only.
  struct leveret_bytes compiler;
  // What it offers, stepped by the size of the first.
  const struct leveret_item *items;
} leveret_descriptor;

// The exported function. It may use `host` only for as long as it checks its version and sets up
// logging; null means that the plugin cannot work with this broker.
typedef const struct leveret_descriptor *(*leveret_entry)(const struct leveret_host *host);

// A binding of the exchange.
typedef struct leveret_binding {
  // Size of this struct in bytes.
  uint32_t size;
  // `LEVERET_BINDING_*`.
  uint32_t flags;
  // The number to push when a message is for this destination.
  uint32_t slot;
  // Zero.
  uint32_t reserved;
  // Binding key.
  struct leveret_bytes key;
  // Binding arguments: pairs of a field table.
  struct leveret_bytes arguments;
  // Name of the queue or exchange that is bound.
  struct leveret_bytes destination;
} leveret_binding;

// One declared exchange.
typedef struct leveret_declaration {
  // Size of this struct in bytes.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // Virtual host.
  struct leveret_bytes vhost;
  // Name of the exchange.
  struct leveret_bytes exchange;
  // Its arguments: pairs of a field table.
  struct leveret_bytes arguments;
} leveret_declaration;

// Where a route puts the slots it chose: a buffer of the broker, used again and again.
typedef struct leveret_slots {
  // Size of this struct in bytes.
  uint32_t size;
  // Slots in the buffer; the plugin writes `ptr[len]` and raises it.
  uint32_t len;
  // Slots that fit.
  uint32_t capacity;
  // Zero.
  uint32_t reserved;
  // The buffer.
  uint32_t *ptr;
  // The broker's own.
  void *context;
  // Makes room for `extra` slots more; changes `ptr` and `capacity`. Not 0: there is none.
  int32_t (*grow)(struct leveret_slots *slots, uint32_t extra);
} leveret_slots;

// An exchange type. `exchange` is what `create` made, `table` what `table_build` or `table_fork`
// made. `route` runs on many threads at once and must not block; the others run one at a time per
// exchange. A table is not changed any more once it is routed by.
typedef struct leveret_exchange_vtable {
  // Size of this struct in bytes.
  uint32_t size;
  // `LEVERET_EXCHANGE_*`.
  uint32_t flags;
  // Makes the state of one declared exchange. `config` is JSON text. LEVERET_REFUSED
  // goes to the client. Required.
  int32_t (*create)(const struct leveret_host *host,
                    struct leveret_bytes config,
                    const struct leveret_declaration *declaration,
                    void **exchange,
                    struct leveret_answer *answer);
  // Ends what `create` made, after all its tables. Required.
  void (*destroy)(void *exchange);
  // Whether a binding may be made: LEVERET_OK or LEVERET_REFUSED. Null:
  // always.
  int32_t (*validate_bind)(const void *exchange,
                           const struct leveret_binding *binding,
                           struct leveret_answer *answer);
  // Builds the table of `count` bindings, in the order in which they were made. Required.
  int32_t (*table_build)(const void *exchange,
                         const struct leveret_binding *bindings,
                         size_t count,
                         void **table,
                         struct leveret_answer *answer);
  // Copies a table, cheaply, so that the copy can be changed. Null: the broker builds anew.
  int32_t (*table_fork)(const void *exchange,
                        const void *table,
                        void **copy,
                        struct leveret_answer *answer);
  // Adds a binding to a table that nobody routes by. Null: the broker builds anew.
  int32_t (*table_bind)(const void *exchange,
                        void *table,
                        const struct leveret_binding *binding,
                        struct leveret_answer *answer);
  // Removes a binding from a table that nobody routes by. Null: the broker builds anew.
  int32_t (*table_unbind)(const void *exchange,
                          void *table,
                          const struct leveret_binding *binding,
                          struct leveret_answer *answer);
  // Ends a table, from any thread. Required.
  void (*table_drop)(void *table);
  // Pushes the slots that take the message, in any order; a slot may come twice. Required.
  int32_t (*route)(const void *exchange,
                   const void *table,
                   const struct leveret_message *message,
                   struct leveret_slots *slots,
                   struct leveret_answer *answer);
} leveret_exchange_vtable;

// Which messages a transform is concerned with; the broker tests it. An absent text (null `ptr`)
// matches everything; names may end in `*`.
typedef struct leveret_interest {
  // Size of this struct in bytes.
  uint32_t size;
  // `LEVERET_STAGE_*`, combined.
  uint32_t stages;
  // `LEVERET_ON_ERROR_*`.
  uint32_t on_error;
  // Zero.
  uint32_t reserved;
  // Name of the exchange that the message was published to.
  struct leveret_bytes exchange;
  // Name of the queue (deliver only).
  struct leveret_bytes queue;
  // Routing key.
  struct leveret_bytes routing_key;
  // The property content_type.
  struct leveret_bytes content_type;
  // User who published (publish) or consumes (deliver).
  struct leveret_bytes user;
  // A header that must be present.
  struct leveret_bytes header;
} leveret_interest;

// A message that a transform may change. The functions return LEVERET_OK or
// LEVERET_FAILED (malformed input, which changes nothing); afterwards `message` shows
// the new state, and what was read through it before may be gone.
typedef struct leveret_message_mut {
  // Size of this struct in bytes.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // The message as it stands now.
  const struct leveret_message *message;
  // The broker's own.
  void *context;
  // Replaces the routing key (at most 255 bytes of UTF-8).
  int32_t (*set_routing_key)(struct leveret_message_mut *message, struct leveret_bytes key);
  // Replaces property flags and list.
  int32_t (*set_properties)(struct leveret_message_mut *message, struct leveret_bytes properties);
  // Adds or replaces a header. `value` is a field value with its type octet in front.
  int32_t (*set_header)(struct leveret_message_mut *message,
                        struct leveret_bytes name,
                        struct leveret_bytes value);
  // Removes a header, if it is there.
  int32_t (*remove_header)(struct leveret_message_mut *message, struct leveret_bytes name);
  // Replaces the body.
  int32_t (*set_body)(struct leveret_message_mut *message, struct leveret_bytes body);
} leveret_message_mut;

// A transform of messages. `apply` runs on many threads at once and must not block.
typedef struct leveret_transform_vtable {
  // Size of this struct in bytes.
  uint32_t size;
  // Zero.
  uint32_t flags;
  // Makes the transform. `config` is JSON text. Required.
  int32_t (*create)(const struct leveret_host *host,
                    struct leveret_bytes config,
                    void **transform,
                    struct leveret_answer *answer);
  // Ends what `create` made. Required.
  void (*destroy)(void *transform);
  // What it is concerned with; lives as long as the transform. Null is a failure. Required.
  const struct leveret_interest *(*interest)(const void *transform);
  // Looks at one message at one stage (`LEVERET_STAGE_*`) and may change it: LEVERET_OK,
  // LEVERET_DROP, LEVERET_REJECT, or a failure. Required.
  int32_t (*apply)(const void *transform,
                   uint32_t stage,
                   struct leveret_message_mut *message,
                   struct leveret_answer *answer);
} leveret_transform_vtable;

// A login attempt.
typedef struct leveret_credentials {
  // Size of this struct in bytes.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // SASL mechanism, such as `PLAIN`.
  struct leveret_bytes mechanism;
  // User name.
  struct leveret_bytes user;
  // Password, any bytes.
  struct leveret_bytes password;
  // Address of the peer.
  struct leveret_address peer;
} leveret_credentials;

// What a user wants to do.
typedef struct leveret_access {
  // Size of this struct in bytes.
  uint32_t size;
  // `LEVERET_ACTION_*`.
  uint32_t action;
  // `LEVERET_PERMISSION_*`; 0 for LEVERET_ACTION_ACCESS.
  uint32_t permission;
  // Zero.
  uint32_t reserved;
  // The user, as authentication named it.
  struct leveret_bytes user;
  // The virtual host.
  struct leveret_bytes vhost;
  // Name of the exchange or queue; the default exchange is `amq.default`.
  struct leveret_bytes name;
  // Routing key (LEVERET_ACTION_TOPIC only).
  struct leveret_bytes routing_key;
  // Address of the peer.
  struct leveret_address peer;
} leveret_access;

// What an auth plugin says through a leveret_completion.
typedef struct leveret_reply {
  // Size of this struct in bytes.
  uint32_t size;
  // LEVERET_ALLOW, LEVERET_DENY, LEVERET_DEFER, or a failure, which denies.
  int32_t decision;
  // authenticate, LEVERET_ALLOW: name of the user; absent: as given.
  struct leveret_bytes user;
  // authenticate, LEVERET_ALLOW: its tags, such as `administrator`.
  const struct leveret_bytes *tags;
  // Number of tags.
  size_t tag_count;
  // Why, for the log only.
  struct leveret_bytes reason;
} leveret_reply;

// The right to answer one question, once, from any thread. May be copied; `complete` of a token
// that was answered, or that nobody waits for any more, does nothing and returns
// LEVERET_FAILED.
typedef struct leveret_completion {
  // Size of this struct in bytes.
  uint32_t size;
  // Zero.
  uint32_t reserved;
  // Names the question; never used again.
  uint64_t token;
  // The broker's own; lives as long as the process.
  void *context;
  // Answers. May be called before the question's function returns, which then says LEVERET_PENDING.
  int32_t (*complete)(void *context, uint64_t token, const struct leveret_reply *reply);
} leveret_completion;

// An authentication and authorisation backend. All functions but `create` and `destroy` may run
// on many threads at once.
typedef struct leveret_auth_vtable {
  // Size of this struct in bytes.
  uint32_t size;
  // `LEVERET_AUTH_*`.
  uint32_t flags;
  // SASL mechanisms it understands, separated by spaces.
  struct leveret_bytes mechanisms;
  // Makes the backend. `config` is JSON text. Required.
  int32_t (*create)(const struct leveret_host *host,
                    struct leveret_bytes config,
                    void **auth,
                    struct leveret_answer *answer);
  // Ends what `create` made. Required.
  void (*destroy)(void *auth);
  // Checks a login: LEVERET_ALLOW (this user name, no tags), LEVERET_DENY, LEVERET_DEFER (the text of the
  // answer is the reason), LEVERET_PENDING, or a failure, which denies. Null: defers.
  int32_t (*authenticate)(const void *auth,
                          const struct leveret_credentials *credentials,
                          const struct leveret_completion *completion,
                          struct leveret_answer *answer);
  // Checks one access, with the same codes. Null: defers.
  int32_t (*authorise)(const void *auth,
                       const struct leveret_access *access,
                       const struct leveret_completion *completion,
                       struct leveret_answer *answer);
  // Users, passwords or permissions have changed: forget what was remembered. Null: nothing.
  void (*changed)(const void *auth);
} leveret_auth_vtable;


#ifdef __cplusplus
extern "C" {
#endif

/** The only function that a plugin exports. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const leveret_descriptor *leveret_plugin_v1(const leveret_host *host);

#ifdef __cplusplus
}
#endif

/** A literal, or an array of characters with a NUL at its end, in a constant initialiser. */
#define LEVERET_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/** Writes a text, cut where it does not fit, to the answer. */
static inline void leveret_say(leveret_answer *answer, const char *text) {
  if (!answer || !answer->text) return;
  uint32_t length = 0;
  while (text[length] && length < answer->capacity) {
    answer->text[length] = (uint8_t)text[length];
    length++;
  }
  answer->length = length;
}

/** Adds a slot to those that take the message. */
static inline void leveret_push(leveret_slots *slots, uint32_t slot) {
  if (slots->len == slots->capacity && (!slots->grow || slots->grow(slots, 1) != LEVERET_OK)) return;
  slots->ptr[slots->len++] = slot;
}

/** The element of an array of structs that may be longer than this header knows. */
#define LEVERET_AT(type, first, index) \
  ((const type *)((const char *)(first) + (size_t)(index) * (first)->size))

/** Whether two texts are equal. */
static inline bool leveret_equal(leveret_bytes a, leveret_bytes b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#endif
