/* What the fixtures need of the contract, written out so that each can get it wrong. */
#include <stddef.h>
#include <stdint.h>

struct bytes { const uint8_t *ptr; size_t len; };

struct item {
    uint32_t size, kind;
    struct bytes name;
    const void *vtable;
};

struct descriptor {
    uint64_t magic;
    uint32_t size;
    uint16_t abi_major, abi_minor, min_host_minor;
    uint8_t panic_unwind, ptr_width;
    uint32_t item_count;
    struct bytes name, version, sdk_version, compiler;
    const struct item *items;
};

#define MAGIC 0x4C45564552455450ull
#define TEXT(s) { (const uint8_t *)(s), sizeof(s) - 1 }
#define EXPORT __attribute__((visibility("default")))

/* Sizes and names may be overridden on the command line. */
#ifndef FIELD_MAGIC
#define FIELD_MAGIC MAGIC
#endif
#ifndef FIELD_SIZE
#define FIELD_SIZE sizeof(struct descriptor)
#endif
#ifndef FIELD_MAJOR
#define FIELD_MAJOR 1
#endif
#ifndef FIELD_MIN_HOST_MINOR
#define FIELD_MIN_HOST_MINOR 0
#endif
#ifndef FIELD_PANIC_UNWIND
#define FIELD_PANIC_UNWIND 1
#endif
#ifndef FIELD_PTR_WIDTH
#define FIELD_PTR_WIDTH sizeof(void *)
#endif
#ifndef FIELD_ITEMS
#define FIELD_ITEMS 1
#endif
#ifndef FIELD_KIND
#define FIELD_KIND 1
#endif
#ifndef ENTRY
#define ENTRY leveret_plugin_v1
#endif
