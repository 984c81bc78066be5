/* A plugin with one exchange type without functions; -D makes more of it wrong. */
#include "descriptor.h"

static const struct { uint32_t size, flags; void *functions[9]; } vtable = { 80, 0, { 0 } };

static const struct item items[] = {
    { sizeof(struct item), FIELD_KIND, TEXT("x-wrong"), &vtable },
    { sizeof(struct item), 99, TEXT("from-the-future"), &vtable },
};

static const struct descriptor descriptor = {
    .magic = FIELD_MAGIC,
    .size = FIELD_SIZE,
    .abi_major = FIELD_MAJOR,
    .abi_minor = FIELD_MIN_HOST_MINOR,
    .min_host_minor = FIELD_MIN_HOST_MINOR,
    .panic_unwind = FIELD_PANIC_UNWIND,
    .ptr_width = FIELD_PTR_WIDTH,
    .item_count = FIELD_ITEMS,
    .name = TEXT("wrong"),
    .version = TEXT("0.0.0"),
    .sdk_version = TEXT(""),
    .compiler = TEXT("C"),
    .items = items,
};

#ifdef UNDEFINED
extern int a_function_that_nobody_has(void);
#define BEFORE a_function_that_nobody_has();
#else
#define BEFORE
#endif

EXPORT const struct descriptor *ENTRY(const void *host) {
    (void)host;
    BEFORE
#ifdef NONE
    return 0;
#else
    return &descriptor;
#endif
}
