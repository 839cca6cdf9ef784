/* leftover.h - the tensors of a checkpoint that the recognised network does not use (internal to models/). */
#ifndef PSAL_MODELS_LEFTOVER_H
#define PSAL_MODELS_LEFTOVER_H

#include "models/recognise.h"
#include "models/values.h"

/* [tensors of the checkpoint] which the list's entries and their extra biases are, and which are hidden; NULL when out
 * of memory. */
bool *net_used(const net_group *group, const net *list);

/* "'fc.0.weight' (64x512), 'fc.0.bias' (64), ... (4 in all)": those that `used` (NULL: none) does not have and that
 * matter, kernels and matrices first. Returns how many; the text is "" then for none. */
size_t net_name_leftovers(const net_group *group, const bool *used, char *text, size_t size);
/* The same of all tensors in their order that `skip` (NULL: nothing) does not have. */
void net_name_tensors(const psal_tensor_map *checkpoint, const bool *skip, char *text, size_t size);

/* Refuse tensors that the candidate uses and that are not floating point, or that the checkpoint has twice; and what
 * matters and is not `used`. */
psal_status net_check_leftovers(const net_group *group, const net_candidate *candidate, const bool *used,
                                psal_error *err);

#endif
