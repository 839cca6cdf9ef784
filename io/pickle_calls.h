/* pickle_calls.h - the permitted names, and what the calls of each kind share: pickle_calls.c (the
 * table, containers, bytes), pickle_torch.c, pickle_numpy.c. */
#ifndef PSAL_IO_PICKLE_CALLS_H
#define PSAL_IO_PICKLE_CALLS_H

#include <string.h>

#include "io/pickle_internal.h"

/* Where a call does its work: the arguments are a tuple; `row` is its place in psal_pickle_names;
 * the result is NULL with *err on any surprise. */
typedef psal_pickle_value *psal_pickle_function(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                                psal_error *err);

/* A row without a function is a class that is only mentioned, never called; `storage` rows have an
 * element type. */
typedef struct psal_pickle_row {
    const char *module, *name;
    psal_pickle_function *call;
    bool storage;
    psal_dtype dtype;
} psal_pickle_row;

extern const psal_pickle_row psal_pickle_names[];

psal_pickle_function psal_pickle_torch_size, psal_pickle_torch_device, psal_pickle_torch_tensor,
    psal_pickle_torch_typed_tensor, psal_pickle_torch_parameter, psal_pickle_torch_from_type;
psal_pickle_function psal_pickle_numpy_dtype, psal_pickle_numpy_scalar, psal_pickle_numpy_reconstruct,
    psal_pickle_numpy_frombuffer;

/* What calling `name` with `given` (NULL: nothing yet) would have made. */
psal_pickle_value *psal_pickle_opaque(psal_pickle *pickle, const psal_pickle_name *name, psal_pickle_value *given,
                                      psal_error *err);
/* NULL, with the error that the call of that row never has such arguments. */
psal_pickle_value *psal_pickle_bad_arguments(int row, psal_error *err);
/* A copy with a terminator; no more than 60 bytes. */
const char *psal_pickle_terminated(psal_pickle *pickle, const char *text, size_t size, psal_error *err);
/* BUILD of a value that has no state. */
psal_status psal_pickle_refuse_state(const psal_pickle_value *object, psal_error *err);
/* BUILD of a type or an array: numpy's state. */
psal_status psal_pickle_numpy_build(psal_pickle *pickle, psal_pickle_value *object, const psal_pickle_value *state,
                                    psal_error *err);

static inline bool psal_pickle_same(const char *text, size_t size, const char *wanted) {
    return strlen(wanted) == size && memcmp(text, wanted, size) == 0;
}

/* Argument `index` when it has that kind, else NULL. */
static inline psal_pickle_value *psal_pickle_argument(const psal_pickle_value *arguments, size_t index,
                                                      psal_pickle_kind kind) {
    if (index >= arguments->list.count || arguments->list.items[index]->kind != kind) return NULL;
    return arguments->list.items[index];
}

/* A tuple of integers as dimensions. */
static inline bool psal_pickle_read_dims(const psal_pickle_value *tuple, int64_t *dim) {
    if (!tuple || tuple->list.count > PSAL_MAX_DIMS) return false;
    for (size_t i = 0; i < tuple->list.count; i++) {
        if (tuple->list.items[i]->kind != PSAL_PICKLE_INT) return false;
        dim[i] = tuple->list.items[i]->integer;
    }
    return true;
}

/* Make `tensor` one that cannot be read: of that type. */
static inline void psal_pickle_set_other(psal_pickle_tensor *tensor, const char *type) {
    tensor->dtype = PSAL_OTHER;
    tensor->type = type;
}

#endif
