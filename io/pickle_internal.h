/* pickle_internal.h - what the stack machine (pickle.c) and the calls it may make (pickle_calls.h)
 * share. */
#ifndef PSAL_IO_PICKLE_INTERNAL_H
#define PSAL_IO_PICKLE_INTERNAL_H

#include "io/pickle.h"

psal_pickle *psal_pickle_create(size_t limit, psal_error *err); /* empty; values may take `limit` bytes */
void psal_pickle_set_root(psal_pickle *pickle, psal_pickle_value *root);

/* Memory for values, from chunks that are freed together; at most a multiple of the pickle's size.
 */
void *psal_pickle_alloc(psal_pickle *pickle, size_t size, psal_error *err); /* zeroed; NULL with *err */
psal_pickle_value *psal_pickle_new(psal_pickle *pickle, psal_pickle_kind kind, psal_error *err);
psal_status psal_pickle_append(psal_pickle *pickle, psal_pickle_value *list, psal_pickle_value *item, psal_error *err);
psal_status psal_pickle_register_storage(psal_pickle *pickle, psal_pickle_storage *storage, psal_error *err);

/* Make room for `wanted` elements in an array on the heap; new ones are zeroed. False when out of
 * memory. */
bool psal_pickle_grow(void **array, size_t *capacity, size_t wanted, size_t element);

/* The class or function of that name: PSAL_PICKLE_NAME or, when it is not permitted, PSAL_PICKLE_OPAQUE. */
psal_pickle_value *psal_pickle_named(psal_pickle *pickle, psal_pickle_name name, psal_error *err);

/* callee(*arguments); opaque when that is no permitted call. */
psal_pickle_value *psal_pickle_call(psal_pickle *pickle, const psal_pickle_value *callee, psal_pickle_value *arguments,
                                    psal_error *err);

/* The BUILD opcode: object.__setstate__(state). */
psal_status psal_pickle_build(psal_pickle *pickle, psal_pickle_value *object, psal_pickle_value *state,
                              psal_error *err);

/* The BINPERSID opcode: the object outside the pickle that `id` stands for. */
psal_pickle_value *psal_pickle_persistent(psal_pickle *pickle, psal_pickle_value *id, psal_error *err);

#endif
