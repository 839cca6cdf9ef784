/* describer.h - makes a description (description.h), operator by operator. */
#ifndef PSAL_ENGINE_DESCRIBER_H
#define PSAL_ENGINE_DESCRIBER_H

#include "engine/description.h"

typedef struct psal_describer psal_describer;

/* A description of which `map` holds the tensors and the memory. NULL with *err when out of memory. */
psal_describer *psal_describer_new(psal_tensor_map *map, psal_error *err);

/* Add an operator, an input or an output of the whole, in any order; everything is copied. Values are called by their
 * names; an input that is NULL is left out. The first error is kept for psal_describer_finish. */
void psal_describer_operator(psal_describer *d, const psal_operator *o, const char *const *inputs, size_t input_count,
                             const char *output);
void psal_describer_input(psal_describer *d, const char *name, int ndim, const int64_t *dim); /* ndim -1: not said */
void psal_describer_output(psal_describer *d, const char *name);

/* Number the values, bring the operators into an order in which each value is made before it is read (theirs, where it
 * is one already), hang the description on the map and free `d` (also after an error; NULL is fine). `header` has name,
 * producer, form and operator set; the rest of it is not looked at. Fails on values that are made twice, that nothing
 * makes, or that depend on themselves. */
psal_status psal_describer_finish(psal_describer *d, const psal_description *header, psal_error *err);

#endif
