#include "engine/draft.h"

#include <stdlib.h>
#include <string.h>

/* A description takes some twenty times as much as its ONNX file without the weights: this is one of millions of
 * operators. */
#define MAX_DESCRIPTION ((size_t)512 << 20)
#define BLOCK ((size_t)64 << 10)

/* A name that becomes a value's number. */
typedef struct psal_draft_reference {
    const char *name;
    int *number;
} reference;

void psal_draft_begin(psal_draft *d, psal_tensor_map *map) {
    *d = (psal_draft){.map = map, .error = PSAL_ERROR_INIT};
    d->description = psal_draft_allocate(d, 1, sizeof *d->description);
}

bool psal_draft_failed(const psal_draft *d) {
    return d->error.status != PSAL_OK;
}

static void release_heap(void *memory, size_t size) {
    (void)size;
    free(memory);
}

void *psal_draft_allocate(psal_draft *d, size_t count, size_t element) {
    size_t size;
    if (psal_draft_failed(d)) return NULL;
    if (__builtin_mul_overflow(count, element, &size) || size >= MAX_DESCRIPTION - d->total) {
        psal_fail(&d->error, PSAL_ERR_FORMAT, "the network's description takes more than %zu MiB",
                  MAX_DESCRIPTION >> 20);
        return NULL;
    }
    size = (size / 16 + 1) * 16;
    d->total += size;
    if (size > d->block_size - d->block_used) {
        const size_t wanted = size > BLOCK ? size : BLOCK;
        uint8_t *block = calloc(1, wanted);
        if (!block || psal_tensor_map_adopt(d->map, block, wanted, release_heap, NULL) != PSAL_OK) {
            free(block);
            psal_fail(&d->error, PSAL_ERR_MEMORY, "out of memory");
            return NULL;
        }
        d->block = block;
        d->block_size = wanted;
        d->block_used = 0;
    }
    void *found = d->block + d->block_used;
    d->block_used += size;
    return found;
}

const char *psal_draft_text(psal_draft *d, const char *text, size_t length) {
    char *to = psal_draft_allocate(d, length + 1, 1);
    if (to && length) memcpy(to, text, length);
    return to ? to : "";
}

bool psal_draft_grow(psal_draft *d, void **array, size_t count, size_t *capacity, size_t element) {
    if (psal_draft_failed(d)) return false;
    if (count < *capacity) return true;
    const size_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown = reallocarray(*array, wanted, element);
    if (!grown) {
        psal_fail(&d->error, PSAL_ERR_MEMORY, "out of memory");
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

void psal_draft_refer(psal_draft *d, const char *name, int *number) {
    *number = PSAL_NO_VALUE;
    if (name &&
        psal_draft_grow(d, (void **)&d->references, d->reference_count, &d->reference_capacity, sizeof *d->references))
        d->references[d->reference_count++] = (reference){name, number};
}

static int compare(const void *a, const void *b) {
    return strcmp(((const reference *)a)->name, ((const reference *)b)->name);
}

void psal_draft_number_values(psal_draft *d) {
    psal_description *all = d->description;
    if (psal_draft_failed(d)) return;
    if (d->reference_count) qsort(d->references, d->reference_count, sizeof *d->references, compare);
    const char **names = psal_draft_allocate(d, d->reference_count + 1, sizeof *names);
    for (size_t i = 0; names && i < d->reference_count; i++) {
        const reference *one = &d->references[i];
        if (i == 0 || strcmp(one->name, d->references[i - 1].name) != 0) names[all->value_count++] = one->name;
        *one->number = all->value_count - 1;
    }
    all->values = names;
}

psal_status psal_draft_finish(psal_draft *d, psal_error *err) {
    free(d->references);
    if (psal_draft_failed(d)) return psal_fail(err, d->error.status, "%s", d->error.message);
    psal_tensor_map_describe(d->map, d->description);
    return PSAL_OK;
}
