/* op_conv2d.h - what the rules of the convolutions share (op_conv2d.c, op_conv2d_ternary.c). */
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

/* psal_op.prepare of them all: the algorithm */
psal_status psal_conv2d_prepare(const psal_node_record *node, psal_conv2d_settings conv, int threads,
                                psal_prepared *prepared, psal_error *err);

/* ---- builders of what a rewrite makes of others (rewrite_rules.c) ---- */

/* mean over each filter of |dw| (or of dw when `is_signed`): [O], without storing dw. */
psal_node psal_conv2d_weight_gradient_mean(psal_graph *graph, psal_node x, psal_node dy, psal_shape weight_shape,
                                           const psal_conv2d_options *options, bool is_signed);
/* psal_conv2d_output_gradient and psal_conv2d_input_gradient with the weight psal_group_ternary_spread(codes, scale[O],
 * weight_shape), which is not made for it. */
psal_node psal_conv2d_ternary(psal_graph *graph, psal_node x, psal_node codes, psal_node scale, psal_shape weight_shape,
                              const psal_conv2d_options *options);
psal_node psal_conv2d_ternary_input_gradient(psal_graph *graph, psal_node dy, psal_node codes, psal_node scale,
                                             psal_shape weight_shape, psal_shape x_shape,
                                             const psal_conv2d_options *options);

#endif
