/* draft.h - a description (description.h) in the making: its memory, its values' numbers and the first error. For those
 * that make one: describer.h, and io/onnx.c, which takes a file's operators in their order. */
#ifndef PSAL_ENGINE_DRAFT_H
#define PSAL_ENGINE_DRAFT_H

#include "engine/description.h"

typedef struct psal_draft {
    psal_tensor_map *map;
    psal_description *description; /* to be filled in; the map's. NULL only after an error */
    psal_error error;              /* the first one: what comes after it does nothing */
    struct psal_draft_reference *references;
    size_t reference_count, reference_capacity;
    uint8_t *block; /* where the description grows; the map's */
    size_t block_used, block_size, total;
} psal_draft;

/* Begin with an empty description. Every draft comes to psal_draft_finish. */
void psal_draft_begin(psal_draft *draft, psal_tensor_map *map);

bool psal_draft_failed(const psal_draft *draft);
/* psal_fail on the draft's error, unless there is one already. */
#define PSAL_DRAFT_FAIL(draft, ...) \
    ((void)(psal_draft_failed(draft) ? PSAL_OK : psal_fail(&(draft)->error, __VA_ARGS__)))

/* `count` zeroed elements that live as long as the map; NULL after an error. All of a description takes 512 MiB at
 * most. */
void *psal_draft_allocate(psal_draft *draft, size_t count, size_t element);
/* A copy of `length` bytes, with the NUL behind them, that lives as long as the map; "" after an error. */
const char *psal_draft_text(psal_draft *draft, const char *text, size_t length);
/* Room on the heap for one element more in the caller's array; false after an error. */
bool psal_draft_grow(psal_draft *draft, void **array, size_t count, size_t *capacity, size_t element);

/* *number becomes that of the value `name` with psal_draft_number_values, and is PSAL_NO_VALUE until then, or for good
 * where `name` is NULL. Both must be the map's. */
void psal_draft_refer(psal_draft *draft, const char *name, int *number);
/* Number all values that were referred to. */
void psal_draft_number_values(psal_draft *draft);

/* Hang the description on the map, or say what the first error was. Frees what is not the map's, but not the map. */
psal_status psal_draft_finish(psal_draft *draft, psal_error *err);

#endif
