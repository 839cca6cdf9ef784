/* op_conv2d.h - what the rules of the convolutions share (op_conv2d.c, op_conv2d_signs.c). */
#ifndef PSAL_ENGINE_OP_CONV2D_H
#define PSAL_ENGINE_OP_CONV2D_H

#include "engine/op.h"

psal_conv2d_shape psal_conv2d_options_to_shape(const psal_conv2d_options *o); /* NULL: stride 1; sizes are left 0 */
psal_conv2d_options psal_conv2d_shape_to_options(const psal_conv2d_shape *s);

/* Fill in the sizes from x and w; false (and an error in the graph) when they cannot be convolved. */
bool psal_conv2d_complete(psal_graph *graph, const char *what, psal_conv2d_shape *s, const psal_shape *x,
                          const psal_shape *w);

psal_shape psal_conv2d_x_shape(const psal_conv2d_shape *s);
psal_shape psal_conv2d_weight_shape(const psal_conv2d_shape *s);
psal_shape psal_conv2d_y_shape(const psal_conv2d_shape *s);

/* Is `got` what is expected? Otherwise the graph fails. */
bool psal_conv2d_same_shape(psal_graph *graph, const char *what, const psal_shape *expected, const psal_shape *got);

double psal_conv2d_flops(const psal_node_record *node);

#endif
