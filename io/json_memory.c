#include "io/json_memory.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct chunk {
    struct chunk *next;
    size_t used, size;
    max_align_t data[];
} chunk;

/* What one parse allocates, given back as a whole. */
typedef struct arena {
    jmp_buf out; /* where to go on when there is no more */
    chunk *chunks;
} arena;

static _Thread_local bool failed;
static _Thread_local arena *parsing;

static void *take(arena *from, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    chunk *now = from->chunks;
    if (!now || now->size - now->used < size) {
        size_t room = size > 65536 ? size : 65536;
        chunk *more = malloc(sizeof *more + room);
        if (!more) return NULL;
        *more = (chunk){.next = now, .used = 0, .size = room};
        from->chunks = now = more;
    }
    void *memory = (char *)now->data + now->used;
    now->used += size;
    return memory;
}

static void *allocate(size_t size) {
    void *memory = parsing ? take(parsing, size) : malloc(size);
    if (memory) return memory;
    failed = true;
    if (parsing) longjmp(parsing->out, 1); /* through Jansson, which owns nothing but what is in the arena */
    return NULL;
}

static void release(void *memory) {
    if (!parsing) free(memory);
}

/* Before anything can have been allocated: what one allocator made must not be given to another. */
__attribute__((constructor)) static void give_allocator(void) {
    json_set_alloc_funcs(allocate, release);
}

void psal_json_memory_fail(void) {
    failed = true;
}

bool psal_json_memory_failed(void) {
    bool was = failed;
    failed = false;
    return was;
}

json_t *psal_json_loadb(const char *bytes, size_t size, json_error_t *reason, bool *missing) {
    bool failed_before = psal_json_memory_failed(); /* what is being built meanwhile */
    arena own = {.chunks = NULL};
    json_t *volatile in_arena = NULL;
    parsing = &own;
    if (setjmp(own.out) == 0) in_arena = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, reason);
    parsing = NULL;
    json_t *root = in_arena ? json_deep_copy(in_arena) : NULL;
    for (chunk *at = own.chunks, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    *missing = psal_json_memory_failed();
    if (failed_before) psal_json_memory_fail();
    if (!*missing) return root;
    json_decref(root);
    return NULL;
}
