/* op_reference.h - what each operation computes, as loops in double written from its definition.
 *
 * Nothing here is shared with the engine but the node's attributes (strides, axes, ...): sizes of results are worked
 * out again, so that a wrong shape rule shows too. */
#ifndef PSAL_TESTS_OP_REFERENCE_H
#define PSAL_TESTS_OP_REFERENCE_H

#include "engine/op.h"

/* out[psal_shape_count(node->shape)] from the inputs. NULL when done, else what is wrong: no reference for this
 * operation, or a shape that the definition contradicts. */
const char *op_reference(const psal_node_record *node, const psal_shape *const *in_shapes, const double *const *in,
                         double *out);

#endif
