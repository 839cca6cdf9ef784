/* Tests engine/graph.h: sticky builders, every refusal with its layer, and differentiation's corners. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/op_conv2d.h"
#include "engine/plan.h"

/* ---- errors ---- */

START_TEST(the_first_error_stays) {
    psal_graph *g = psal_graph_new();
    psal_error err = PSAL_ERROR_INIT;
    psal_graph_set_layer(g, "layer1.0.conv1");
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1, 3, 5, 5)), w = psal_parameter(g, "w", PSAL_SHAPE(4, 2, 3, 3));
    int nodes = psal_graph_node_count(g);
    psal_node y = psal_conv2d(g, x, w, NULL);
    ck_assert_int_eq(y, PSAL_NO_NODE);
    psal_graph_set_layer(g, "layer1.0.conv2");
    ck_assert_int_eq(psal_relu(g, y), PSAL_NO_NODE); /* no second error, no crash */
    ck_assert_int_eq(psal_add(g, x, w), PSAL_NO_NODE);
    ck_assert_int_eq(psal_flatten(g, y), PSAL_NO_NODE);
    ck_assert_int_eq(psal_select(g, y, y), PSAL_NO_NODE);
    ck_assert_int_eq(psal_conv2d_input_gradient(g, y, y, PSAL_SHAPE(1, 1, 1, 1), NULL), PSAL_NO_NODE);
    ck_assert_int_eq(psal_batch_norm(g, y, y, y, y, y, 1e-5), PSAL_NO_NODE);
    ck_assert_int_eq(psal_concat(g, &y, 1, 0), PSAL_NO_NODE);
    ck_assert_int_eq(psal_input(g, "late", PSAL_SHAPE(1)), PSAL_NO_NODE);
    ck_assert_int_eq(psal_graph_fail(g, PSAL_ERR_IO, "late"), PSAL_NO_NODE);
    for (psal_node none = -3; none < 3; none += 2) { /* -3, -1 (PSAL_NO_NODE) and one that is not there yet */
        psal_node n = none < 0 ? none : psal_graph_node_count(g);
        ck_assert_int_eq(psal_graph_shape(g, n)->ndim, 0);
        ck_assert_str_eq(psal_graph_layer(g, n), "");
        ck_assert_str_eq(psal_graph_op_name(g, n), "input");
    }
    psal_node gradient = 77;
    psal_gradient(g, y, &x, 1, &gradient);
    ck_assert_int_eq(gradient, PSAL_NO_NODE);
    ck_assert_int_eq(psal_graph_node_count(g), nodes);
    ck_assert_int_eq(psal_graph_check(g, NULL), PSAL_ERR_SHAPE);
    ck_assert_int_eq(psal_graph_check(g, &err), PSAL_ERR_SHAPE);
    ck_assert_str_eq(err.message,
                     "layer1.0.conv1: conv2d of 1x3x5x5 with 4x2x3x3 in 1 groups: the channels do not match");
    psal_plan_options options = {.outputs = {&x}, .output_count = {1}, .stages = 1};
    psal_error of_plan = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_plan_new(g, &options, &of_plan));
    ck_assert_str_eq(of_plan.message, err.message);
    psal_graph_free(g);
    psal_graph_free(NULL);
}
END_TEST

/* Inputs of the refusals below. */
enum { IMAGE, WEIGHT, VECTOR3, VECTOR2, MATRIX, SCALAR, SMALL_IMAGE, LEAVES };

typedef struct refusal {
    psal_node (*build)(psal_graph *g, const psal_node *n);
    psal_status status;
    const char *message;
} refusal;

#define BUILD(name, expression)                                \
    static psal_node name(psal_graph *g, const psal_node *n) { \
        (void)n;                                               \
        return expression;                                     \
    }
#define OPTIONS(...)         \
    &(psal_conv2d_options) { \
        __VA_ARGS__          \
    }
#define WINDOW(...)          \
    &(psal_pool2d_options) { \
        __VA_ARGS__          \
    }

BUILD(conv_vector, psal_conv2d(g, n[VECTOR3], n[WEIGHT], NULL))
BUILD(conv_stride, psal_conv2d(g, n[IMAGE], n[WEIGHT], OPTIONS(.stride_height = -1)))
BUILD(conv_padding, psal_conv2d(g, n[IMAGE], n[WEIGHT], OPTIONS(.padding_width = -1)))
BUILD(conv_groups, psal_conv2d(g, n[IMAGE], n[WEIGHT], OPTIONS(.groups = 3)))
BUILD(conv_large, psal_conv2d(g, n[SMALL_IMAGE], n[WEIGHT], NULL))
BUILD(conv_dilated, psal_conv2d(g, n[IMAGE], n[WEIGHT], OPTIONS(.dilation_height = 3)))
BUILD(conv_no_node, psal_conv2d(g, n[IMAGE], PSAL_NO_NODE, NULL))
BUILD(conv_beyond, psal_conv2d(g, 99, n[WEIGHT], NULL))
BUILD(dx_shape, psal_conv2d_input_gradient(g, n[IMAGE], n[WEIGHT], PSAL_SHAPE(2, 3, 5, 6), NULL))
BUILD(dx_no_node, psal_conv2d_input_gradient(g, n[IMAGE], PSAL_NO_NODE, PSAL_SHAPE(2, 3, 5, 6), NULL))
BUILD(dw_shape, psal_conv2d_weight_gradient(g, n[IMAGE], n[IMAGE], PSAL_SHAPE(4, 3, 3, 3), NULL))
BUILD(dw_no_node, psal_conv2d_weight_gradient(g, PSAL_NO_NODE, n[IMAGE], PSAL_SHAPE(4, 3, 3, 3), NULL))
BUILD(dw_mean_shape, psal_conv2d_weight_gradient_mean(g, n[IMAGE], n[IMAGE], PSAL_SHAPE(4, 3, 3, 3), NULL, false))
BUILD(dw_mean_no_node, psal_conv2d_weight_gradient_mean(g, -5, n[IMAGE], PSAL_SHAPE(4, 3, 3, 3), NULL, false))
BUILD(matmul_inner, psal_matmul(g, n[MATRIX], false, n[MATRIX], false))
BUILD(matmul_transposed, psal_matmul(g, n[MATRIX], true, n[VECTOR3], true))
BUILD(linear_bias, psal_linear(g, n[MATRIX], n[MATRIX], n[VECTOR3]))
BUILD(add_shapes, psal_add(g, n[VECTOR3], n[VECTOR2]))
BUILD(mask_shapes, psal_relu_mask(g, n[IMAGE], n[MATRIX]))
BUILD(relu_no_node, psal_relu(g, PSAL_NO_NODE))
BUILD(affine_channels, psal_channel_affine(g, n[IMAGE], n[VECTOR3], n[VECTOR2]))
BUILD(channel_vector, psal_channel_sum(g, n[VECTOR3]))
BUILD(channel_spread, psal_channel_spread(g, n[VECTOR2], PSAL_SHAPE(2, 3, 2)))
BUILD(pool_matrix, psal_max_pool2d(g, n[MATRIX], WINDOW(.kernel_height = 2, .kernel_width = 2)))
BUILD(pool_padding, psal_max_pool2d(g, n[IMAGE],
                                    WINDOW(.kernel_height = 3, .kernel_width = 3, .stride_height = 1, .stride_width = 1,
                                           .padding_height = 2, .padding_width = 1)))
BUILD(pool_no_window, psal_avg_pool2d(g, n[IMAGE], WINDOW(.kernel_height = 0, .kernel_width = 2)))
BUILD(pool_large, psal_avg_pool2d(g, n[IMAGE], WINDOW(.kernel_height = 9, .kernel_width = 2)))
BUILD(pool_stride,
      psal_avg_pool2d(g, n[IMAGE],
                      WINDOW(.kernel_height = 2, .kernel_width = 2, .stride_height = -1, .stride_width = 1)))
BUILD(avg_spread_shape,
      psal_avg_pool2d_spread(g, n[IMAGE], PSAL_SHAPE(2, 3, 5, 6), WINDOW(.kernel_height = 2, .kernel_width = 2)))
BUILD(gather_index, psal_pool_gather(g, n[IMAGE], n[WEIGHT]))
BUILD(scatter_shape, psal_pool_scatter(g, n[IMAGE], n[IMAGE], PSAL_SHAPE(2, 4, 9, 9)))
BUILD(adaptive_empty, psal_adaptive_avg_pool2d(g, n[IMAGE], 0, 1))
BUILD(adaptive_negative, psal_adaptive_avg_pool2d(g, n[IMAGE], 1, -1))
BUILD(adaptive_spread, psal_adaptive_avg_pool2d_spread(g, n[MATRIX], PSAL_SHAPE(2, 3, 5, 6)))
BUILD(adaptive_spread_no_node, psal_adaptive_avg_pool2d_spread(g, PSAL_NO_NODE, PSAL_SHAPE(2, 3, 5, 6)))
BUILD(concat_nothing, psal_concat(g, n, 0, 0))
BUILD(concat_axis, psal_concat(g, n, 1, 4))
BUILD(concat_shapes, psal_concat(g, (psal_node[]){n[VECTOR3], n[MATRIX]}, 2, 0))
BUILD(slice_axis, psal_slice(g, n[VECTOR3], -1, 0, 1))
BUILD(slice_beyond, psal_slice(g, n[VECTOR3], 0, 2, 2))
BUILD(slice_overflow, psal_slice(g, n[VECTOR3], 0, 2, INT64_MAX))
BUILD(slice_empty, psal_slice(g, n[VECTOR3], 0, 1, 0))
BUILD(unslice_beyond, psal_unslice(g, n[VECTOR3], 0, 2, 4))
BUILD(reshape_count, psal_reshape(g, n[VECTOR3], PSAL_SHAPE(2, 2)))
BUILD(flatten_scalar, psal_flatten(g, n[SCALAR]))
BUILD(flatten_no_node, psal_flatten(g, PSAL_NO_NODE))
BUILD(softmax_scalar, psal_softmax(g, n[SCALAR]))
BUILD(layer_norm_shapes, psal_layer_norm(g, n[MATRIX], n[VECTOR2], PSAL_NO_NODE, 1e-5))
BUILD(layer_norm_no_node, psal_layer_norm(g, PSAL_NO_NODE, n[VECTOR3], PSAL_NO_NODE, 1e-5))
BUILD(matmul_fronts, psal_matmul(g, n[IMAGE], false, n[WEIGHT], true))
BUILD(matmul_many, psal_matmul(g, n[IMAGE], false, n[MATRIX], false))
BUILD(matmul_no_node, psal_matmul(g, n[MATRIX], false, PSAL_NO_NODE, false))
BUILD(expand_shape, psal_expand(g, n[VECTOR3], PSAL_SHAPE(3, 2)))
BUILD(expand_fewer, psal_expand(g, n[MATRIX], PSAL_SHAPE(3)))
BUILD(expand_huge, psal_expand(g, n[VECTOR3], PSAL_SHAPE(INT64_MAX / 2, 3)))
BUILD(expand_axes, psal_expand(g, n[VECTOR3], PSAL_SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1, 3)))
BUILD(expand_no_node, psal_expand(g, PSAL_NO_NODE, PSAL_SHAPE(3)))
BUILD(sum_to_shape, psal_sum_to(g, n[MATRIX], PSAL_SHAPE(3)))
BUILD(sum_axis, psal_sum_axes(g, n[MATRIX], (int[]){2}, 1, true))
BUILD(mean_axis, psal_mean_axes(g, n[MATRIX], (int[]){-1}, 1, true))
BUILD(broadcast_shapes, psal_broadcast_mul(g, n[IMAGE], n[VECTOR3]))
BUILD(broadcast_no_node, psal_broadcast_add(g, n[IMAGE], PSAL_NO_NODE))
BUILD(permute_count, psal_permute(g, n[MATRIX], (int[]){0}, 1))
BUILD(permute_twice, psal_permute(g, n[MATRIX], (int[]){0, 0}, 2))
BUILD(permute_beyond, psal_permute(g, n[MATRIX], (int[]){0, 2}, 2))
BUILD(gather_beyond, psal_gather(g, n[MATRIX], 1, (int64_t[]){0, 3}, 2))
BUILD(gather_negative, psal_gather(g, n[MATRIX], 1, (int64_t[]){-1}, 1))
BUILD(gather_axis, psal_gather(g, n[MATRIX], 2, (int64_t[]){0}, 1))
BUILD(gather_nothing, psal_gather(g, n[MATRIX], 1, NULL, 0))
BUILD(resize_matrix, psal_resize_nearest(g, n[MATRIX], 2, 2))
BUILD(resize_empty, psal_resize_nearest(g, n[IMAGE], 2, 0))
BUILD(pad_cut, psal_pad(g, n[VECTOR3], (int64_t[]){-2}, (int64_t[]){-1}))
BUILD(pad_huge, psal_pad(g, n[VECTOR3], (int64_t[]){INT64_MAX}, (int64_t[]){INT64_MAX}))
BUILD(clip_bounds, psal_clip(g, n[VECTOR3], 1, 0))
BUILD(pow_no_node, psal_pow(g, PSAL_NO_NODE, 2))
BUILD(cross_entropy_targets, psal_cross_entropy(g, n[MATRIX], n[VECTOR3]))
BUILD(one_hot_matrix, psal_one_hot(g, n[MATRIX], 3))
BUILD(one_hot_none, psal_one_hot(g, n[VECTOR3], 0))
BUILD(select_no_node, psal_select(g, PSAL_NO_NODE, n[VECTOR3]))
BUILD(row_sum_vector, psal_row_sum(g, n[VECTOR3]))
BUILD(row_spread_matrix, psal_row_spread(g, n[MATRIX], 3))
BUILD(row_spread_none, psal_row_spread(g, n[VECTOR3], 0))
BUILD(spread_vector, psal_spread(g, n[VECTOR3], PSAL_SHAPE(2)))
BUILD(cosine_shapes, psal_cosine(g, n[VECTOR3], n[VECTOR2]))
BUILD(groups_uneven, psal_group_mean_abs(g, n[IMAGE], 7))
BUILD(groups_none, psal_group_mean(g, n[IMAGE], 0))
BUILD(group_spread_scalar, psal_group_spread(g, n[SCALAR], PSAL_SHAPE(4)))
BUILD(signs_codes,
      psal_conv2d_ternary(g, n[IMAGE], psal_ternary_codes(g, n[VECTOR2]), n[VECTOR3], PSAL_SHAPE(4, 3, 3, 3), NULL))
BUILD(signs_scale, psal_conv2d_ternary(g, n[IMAGE], psal_ternary_codes(g, n[WEIGHT]), n[VECTOR3],
                                       *psal_graph_shape(g, n[WEIGHT]), NULL))
BUILD(signs_no_node,
      psal_conv2d_ternary(g, PSAL_NO_NODE, psal_ternary_codes(g, n[WEIGHT]), n[VECTOR3], PSAL_SHAPE(4, 3, 3, 3), NULL))
BUILD(signs_dx_shape, psal_conv2d_ternary_input_gradient(g, n[IMAGE], psal_ternary_codes(g, n[WEIGHT]), n[VECTOR3],
                                                         *psal_graph_shape(g, n[WEIGHT]), PSAL_SHAPE(2, 3, 5, 6), NULL))
BUILD(group_ternary_spread_uneven,
      psal_group_ternary_spread(g, psal_ternary_codes(g, n[VECTOR2]), n[VECTOR3], PSAL_SHAPE(2)))
BUILD(group_ternary_spread_codes,
      psal_group_ternary_spread(g, psal_ternary_codes(g, n[VECTOR3]), n[VECTOR2], PSAL_SHAPE(2, 3)))
BUILD(group_ternary_mean_codes, psal_group_ternary_mean(g, n[MATRIX], n[VECTOR2], 1))
BUILD(input_negative, psal_input(g, "nothing", PSAL_SHAPE(2, -1)))
BUILD(parameter_empty, psal_parameter(g, "empty", PSAL_SHAPE(0)))
BUILD(fill_huge, psal_constant_fill(g, 1, PSAL_SHAPE(INT64_MAX / 2, 4)))
BUILD(gradient_of_nothing, (psal_gradient(g, PSAL_NO_NODE, n, 1, (psal_node[1]){0}), PSAL_NO_NODE))
BUILD(gradient_wrt_nothing, (psal_gradient(g, n[SCALAR], (psal_node[]){99}, 1, (psal_node[1]){0}), PSAL_NO_NODE))

static const refusal refusals[] = {
    {conv_vector, PSAL_ERR_SHAPE, "conv2d needs an image and a weight of 4 dimensions, got 3 and 4x3x3x3"},
    {conv_stride, PSAL_ERR_ARGUMENT, "conv2d with stride -1x1, padding 0x0, dilation 1x1, 1 groups"},
    {conv_padding, PSAL_ERR_ARGUMENT, "conv2d with stride 1x1, padding 0x-1, dilation 1x1, 1 groups"},
    {conv_groups, PSAL_ERR_SHAPE, "conv2d of 2x3x5x6 with 4x3x3x3 in 3 groups: the channels do not match"},
    {conv_large, PSAL_ERR_SHAPE, "conv2d: the kernel 3x3 does not fit into the image 2x2 with padding 0x0"},
    {conv_dilated, PSAL_ERR_SHAPE, "conv2d: the kernel 3x3 does not fit into the image 5x6 with padding 0x0"},
    {conv_no_node, PSAL_ERR_ARGUMENT, "conv2d: input 1 is not a node of this graph"},
    {conv_beyond, PSAL_ERR_ARGUMENT, "conv2d: input 0 is not a node of this graph"},
    {dx_shape, PSAL_ERR_SHAPE, "conv2d_dx: dy should have the shape 2x4x3x4, got 2x3x5x6"},
    {dx_no_node, PSAL_ERR_ARGUMENT, "conv2d_dx: input 1 is not a node of this graph"},
    {dw_shape, PSAL_ERR_SHAPE, "conv2d_dw: dy should have the shape 2x4x3x4, got 2x3x5x6"},
    {dw_no_node, PSAL_ERR_ARGUMENT, "conv2d_dw: input 0 is not a node of this graph"},
    {dw_mean_shape, PSAL_ERR_SHAPE, "dy should have the shape 2x4x3x4, got 2x3x5x6"},
    {dw_mean_no_node, PSAL_ERR_ARGUMENT, "conv2d_dw_mean: input 0 is not a node of this graph"},
    {matmul_inner, PSAL_ERR_SHAPE, "matmul of 2x3 and 2x3"},
    {matmul_transposed, PSAL_ERR_SHAPE, "matmul of 2x3 transposed and 3 transposed"},
    {linear_bias, PSAL_ERR_SHAPE, "channel_add of 2x2 needs 2 numbers, one per channel, got 3"},
    {add_shapes, PSAL_ERR_SHAPE, "add of 3 and 2: the shapes must be the same"},
    {mask_shapes, PSAL_ERR_SHAPE, "relu_mask of 2x3x5x6 and 2x3: the shapes must be the same"},
    {relu_no_node, PSAL_ERR_ARGUMENT, "relu: input 0 is not a node of this graph"},
    {affine_channels, PSAL_ERR_SHAPE, "channel_affine of 2x3x5x6 needs 3 numbers, one per channel, got 2"},
    {channel_vector, PSAL_ERR_SHAPE, "channel_sum of 3: needs a batch and a channel dimension"},
    {channel_spread, PSAL_ERR_SHAPE, "channel_spread of 2 over 2x3x2"},
    {pool_matrix, PSAL_ERR_SHAPE, "max_pool2d_index of 2x3: needs N x C x H x W"},
    {pool_padding, PSAL_ERR_ARGUMENT, "padding 2x1: padding may be half the kernel at most"},
    {pool_no_window, PSAL_ERR_ARGUMENT, "avg_pool2d with kernel 0x2"},
    {pool_large, PSAL_ERR_SHAPE, "avg_pool2d: the window 9x2 does not fit into the image 5x6"},
    {pool_stride, PSAL_ERR_ARGUMENT, "avg_pool2d with kernel 2x2, stride -1x1"},
    {avg_spread_shape, PSAL_ERR_SHAPE, "avg_pool2d_spread of 2x3x5x6 into 2x3x5x6"},
    {gather_index, PSAL_ERR_SHAPE, "pool_gather of 2x3x5x6 by an index of 4x3x3x3"},
    {scatter_shape, PSAL_ERR_SHAPE, "pool_scatter of 2x3x5x6 into 2x4x9x9"},
    {adaptive_empty, PSAL_ERR_SHAPE, "adaptive_avg_pool2d would have the shape 2x3x0x1"},
    {adaptive_negative, PSAL_ERR_SHAPE, "adaptive_avg_pool2d would have the shape 2x3x1x-1"},
    {adaptive_spread, PSAL_ERR_SHAPE, "adaptive_avg_pool2d_spread of 2x3: needs N x C x H x W"},
    {adaptive_spread_no_node, PSAL_ERR_ARGUMENT, "adaptive_avg_pool2d_spread: input 0 is not a node of this graph"},
    {concat_nothing, PSAL_ERR_ARGUMENT, "concat of nothing"},
    {concat_axis, PSAL_ERR_ARGUMENT, "concat of 2x3x5x6 along axis 4"},
    {concat_shapes, PSAL_ERR_SHAPE, "concat along axis 0: part 1 is 2x3 beside 3"},
    {slice_axis, PSAL_ERR_ARGUMENT, "slice of 3 along axis -1"},
    {slice_beyond, PSAL_ERR_SHAPE, "slice of length 2 at 2 of an axis of length 3"},
    {slice_overflow, PSAL_ERR_SHAPE, "slice of length 9223372036854775807 at 2 of an axis of length 3"},
    {slice_empty, PSAL_ERR_SHAPE, "slice of length 0 at 1 of an axis of length 3"},
    {unslice_beyond, PSAL_ERR_SHAPE, "unslice of length 3 at 2 into 4"},
    {reshape_count, PSAL_ERR_SHAPE, "reshape of 3 to 2x2"},
    {flatten_scalar, PSAL_ERR_SHAPE, "flatten of a scalar"},
    {flatten_no_node, PSAL_ERR_ARGUMENT, "reshape: input 0 is not a node of this graph"},
    {softmax_scalar, PSAL_ERR_SHAPE, "softmax of a scalar"},
    {layer_norm_shapes, PSAL_ERR_SHAPE, "mul of 2x3 and 2: the shapes do not fit together"},
    {layer_norm_no_node, PSAL_ERR_ARGUMENT, "row_normalize: input 0 is not a node of this graph"},
    {matmul_fronts, PSAL_ERR_SHAPE, "matmul of 2x3x5x6 and 4x3x3x3 transposed"},
    {matmul_many, PSAL_ERR_SHAPE, "matmul of 2x3x5x6 and 2x3x2x3"},
    {matmul_no_node, PSAL_ERR_ARGUMENT, "matmul: input 1 is not a node of this graph"},
    {expand_shape, PSAL_ERR_SHAPE, "expand of 1x3 to 3x2: each axis of the smaller one must be as long or 1"},
    {expand_fewer, PSAL_ERR_SHAPE, "expand of 2x3 to 3"},
    {expand_huge, PSAL_ERR_SHAPE, "expand of 3 to "},
    {expand_axes, PSAL_ERR_SHAPE, "expand of 3 to "},
    {expand_no_node, PSAL_ERR_ARGUMENT, "expand: input 0 is not a node of this graph"},
    {sum_to_shape, PSAL_ERR_SHAPE, "sum_to of 2x3 to 3"},
    {sum_axis, PSAL_ERR_ARGUMENT, "sum of 2x3 over axis 2"},
    {mean_axis, PSAL_ERR_ARGUMENT, "sum of 2x3 over axis -1"},
    {broadcast_shapes, PSAL_ERR_SHAPE, "mul of 2x3x5x6 and 3: the shapes do not fit together"},
    {broadcast_no_node, PSAL_ERR_ARGUMENT, "add: input 1 is not a node of this graph"},
    {permute_count, PSAL_ERR_ARGUMENT, "permute of 2x3: needs each of its axes once"},
    {permute_twice, PSAL_ERR_ARGUMENT, "permute of 2x3: needs each of its axes once"},
    {permute_beyond, PSAL_ERR_ARGUMENT, "permute of 2x3: needs each of its axes once"},
    {gather_beyond, PSAL_ERR_ARGUMENT, "gather of number 3 of an axis of length 3"},
    {gather_negative, PSAL_ERR_ARGUMENT, "gather of number -1 of an axis of length 3"},
    {gather_axis, PSAL_ERR_ARGUMENT, "gather of 1 from 2x3 along axis 2"},
    {gather_nothing, PSAL_ERR_ARGUMENT, "gather of 0 from 2x3 along axis 1"},
    {resize_matrix, PSAL_ERR_SHAPE, "resize of 2x3: needs N,C,H,W"},
    {resize_empty, PSAL_ERR_ARGUMENT, "resize of an axis to the length 0"},
    {pad_cut, PSAL_ERR_SHAPE, "slice of length 0 at 2 of an axis of length 3"},
    {pad_huge, PSAL_ERR_ARGUMENT, "padding of axis 0 by 9223372036854775807 and 9223372036854775807"},
    {clip_bounds, PSAL_ERR_ARGUMENT, "clip to 1 and more, 0 and less: nothing is both"},
    {pow_no_node, PSAL_ERR_ARGUMENT, "pow: input 0 is not a node of this graph"},
    {cross_entropy_targets, PSAL_ERR_SHAPE, "cross_entropy: needs 2 targets, got 3"},
    {one_hot_matrix, PSAL_ERR_SHAPE, "one_hot of 2x3 over 3 classes"},
    {one_hot_none, PSAL_ERR_SHAPE, "one_hot of 3 over 0 classes"},
    {select_no_node, PSAL_ERR_ARGUMENT, "mul: input 0 is not a node of this graph"},
    {row_sum_vector, PSAL_ERR_SHAPE, "row_sum of 3: needs a matrix"},
    {row_spread_matrix, PSAL_ERR_SHAPE, "row_spread of 2x3: needs a vector"},
    {row_spread_none, PSAL_ERR_SHAPE, "row_spread would have the shape 3x0"},
    {spread_vector, PSAL_ERR_SHAPE, "spread of 3: needs a scalar"},
    {cosine_shapes, PSAL_ERR_SHAPE, "mul of 3 and 2: the shapes must be the same"},
    {groups_uneven, PSAL_ERR_SHAPE, "group_mean_abs of 2x3x5x6 in 7 groups"},
    {groups_none, PSAL_ERR_SHAPE, "group_mean of 2x3x5x6 in 0 groups"},
    {group_spread_scalar, PSAL_ERR_SHAPE, "group_spread: needs one number per group, got scalar"},
    {signs_codes, PSAL_ERR_SHAPE, "conv2d_ternary: 1 are not the ternary codes of 4x3x3x3"},
    {signs_scale, PSAL_ERR_SHAPE, "conv2d_ternary: scale should have the shape 4, got 3"},
    {signs_no_node, PSAL_ERR_ARGUMENT, "conv2d_ternary: input 0 is not a node of this graph"},
    {signs_dx_shape, PSAL_ERR_SHAPE, "conv2d_ternary_dx: dy should have the shape"},
    {group_ternary_spread_uneven, PSAL_ERR_SHAPE, "group_ternary_spread of 2 in 3 groups"},
    {group_ternary_spread_codes, PSAL_ERR_SHAPE, "group_ternary_spread: 1 are not the ternary codes of 2x3"},
    {group_ternary_mean_codes, PSAL_ERR_SHAPE, "group_ternary_mean: 2x3 are not the ternary codes of 2"},
    {input_negative, PSAL_ERR_SHAPE, "input 'nothing' has the shape 2x-1"},
    {parameter_empty, PSAL_ERR_SHAPE, "parameter 'empty' has the shape 0"},
    {fill_huge, PSAL_ERR_SHAPE, "fill would have the shape "},
    {gradient_of_nothing, PSAL_ERR_ARGUMENT, "gradient of something that is not a node of this graph"},
    {gradient_wrt_nothing, PSAL_ERR_ARGUMENT, "gradient with respect to something that is not a node of this graph"},
};
enum { REFUSALS = sizeof refusals / sizeof *refusals };

START_TEST(wrong_operands_are_refused_with_their_layer) {
    const refusal *r = &refusals[_i];
    psal_graph *g = psal_graph_new();
    psal_error err = PSAL_ERROR_INIT;
    psal_node leaves[LEAVES] = {
        psal_input(g, "image", PSAL_SHAPE(2, 3, 5, 6)), psal_parameter(g, "weight", PSAL_SHAPE(4, 3, 3, 3)),
        psal_input(g, "three", PSAL_SHAPE(3)),          psal_input(g, "two", PSAL_SHAPE(2)),
        psal_input(g, "matrix", PSAL_SHAPE(2, 3)),      psal_input(g, "scalar", (psal_shape){.ndim = 0}),
        psal_input(g, "small", PSAL_SHAPE(1, 3, 2, 2))};
    ck_assert_int_eq(psal_graph_check(g, &err), PSAL_OK);
    psal_graph_set_layer(g, "the.layer");
    ck_assert_msg(r->build(g, leaves) == PSAL_NO_NODE, "accepted, expected: %s", r->message);
    ck_assert_int_eq(psal_graph_check(g, &err), r->status);
    ck_assert_msg(strncmp(err.message, "the.layer: ", 11) == 0, "no layer in '%s'", err.message);
    ck_assert_msg(strstr(err.message, r->message), "expected '%s', got '%s'", r->message, err.message);
    psal_graph_free(g);
}
END_TEST

START_TEST(nodes_know_themselves) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(2, 3));
    char layer[] = "conv1";
    psal_graph_set_layer(g, layer);
    strcpy(layer, "?"); /* copied */
    psal_node y = psal_relu(g, x);
    ck_assert_str_eq(psal_graph_layer(g, x), "");
    ck_assert_str_eq(psal_graph_layer(g, y), "conv1");
    ck_assert_str_eq(psal_graph_op_name(g, x), "input");
    ck_assert_str_eq(psal_graph_op_name(g, y), "relu");
    psal_node gradient;
    psal_graph_set_layer(g, "elsewhere");
    psal_gradient(g, y, &x, 1, &gradient);
    ck_assert_str_eq(psal_graph_layer(g, gradient), "conv1"); /* a gradient belongs to the layer it is of */
    ck_assert_str_eq(psal_graph_layer(g, psal_relu(g, gradient)), "elsewhere");
    for (int i = 0; i < 3000; i++) x = psal_scale(g, x, 1); /* records move while the graph grows */
    ck_assert_str_eq(psal_graph_layer(g, y), "conv1");
    ck_assert_int_eq(psal_graph_node(g, x)->inputs[0], x - 1);
    psal_graph_free(g);
}
END_TEST

/* ---- differentiation ---- */

/* Values of one node; all leaves are constants. */
static void evaluate(const psal_graph *g, psal_node node, float *values) {
    psal_error err = PSAL_ERROR_INIT;
    psal_plan_options options = {.outputs = {&node}, .output_count = {1}, .stages = 1};
    psal_plan *plan = psal_plan_new(g, &options, &err);
    ck_assert_msg(plan != NULL, "%s", err.message);
    psal_workspace *ws = psal_workspace_new(plan, &err);
    ck_assert_msg(psal_workspace_run(ws, 0, &err) == PSAL_OK, "%s", err.message);
    memcpy(values, psal_workspace_get(ws, node), (size_t)psal_shape_count(psal_graph_shape(g, node)) * sizeof(float));
    psal_workspace_free(ws);
    psal_plan_free(plan);
}

/* x^4 has the derivatives 4 x^3, 12 x^2, 24 x, 24, 0. */
START_TEST(gradient_of_gradient_of_gradient) {
    const float at[] = {-1.5f, 0.25f, 2};
    psal_graph *g = psal_graph_new();
    psal_node x = psal_constant(g, at, PSAL_SHAPE(3)), square = psal_mul(g, x, x), y = psal_mul(g, square, square);
    for (int order = 1; order <= 5; order++) {
        psal_gradient(g, y, &x, 1, &y);
        float got[3];
        evaluate(g, y, got);
        for (int i = 0; i < 3; i++) {
            double v = at[i];
            double expected[] = {0, 4 * v * v * v, 12 * v * v, 24 * v, 24, 0};
            ck_assert_double_eq_tol(got[i], expected[order], 1e-4);
        }
    }
    psal_graph_free(g);
}
END_TEST

/* The third derivative of a network's loss: along v, of exp-like curvature. L(z) = log(1 + e^z1) for logits (0, z1). */
START_TEST(third_derivative_of_the_loss) {
    psal_graph *g = psal_graph_new();
    const float logits[] = {0, 0.7f};
    psal_node z = psal_constant(g, logits, PSAL_SHAPE(1, 2)), target = psal_constant(g, (float[]){0}, PSAL_SHAPE(1));
    psal_node y = psal_cross_entropy(g, z, target);
    double p = 1 / (1 + exp(-0.7)), expected[] = {p, p * (1 - p), p * (1 - p) * (1 - 2 * p)};
    for (int order = 0; order < 3; order++) {
        psal_node gradient;
        float got[2];
        psal_gradient(g, y, &z, 1, &gradient);
        evaluate(g, gradient, got);
        ck_assert_double_eq_tol(got[1], expected[order], 1e-6);
        y = psal_slice(g, gradient, 1, 1, 1);
    }
    psal_graph_free(g);
}
END_TEST

START_TEST(what_does_not_matter_has_zero_gradient) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_constant(g, (float[]){1, 2, 3, 4, 5, 6}, PSAL_SHAPE(2, 3));
    psal_node apart = psal_constant(g, (float[]){7, 8}, PSAL_SHAPE(2));
    psal_node target = psal_one_hot(g, apart, 9), y = psal_relu(g, x), later = psal_relu(g, y);
    psal_node wrt[] = {apart, target, later, x, x, y}, gradients[6];
    psal_gradient(g, y, wrt, 6, gradients);
    ck_assert_int_eq(psal_graph_check(g, NULL), PSAL_OK);
    for (int i = 0; i < 6; i++) {
        const psal_shape *shape = psal_graph_shape(g, gradients[i]);
        ck_assert(psal_shape_equal(shape, psal_graph_shape(g, wrt[i])));
        float values[18];
        evaluate(g, gradients[i], values);
        for (int k = 0; k < psal_shape_count(shape); k++) ck_assert_float_eq(values[k], i < 3 ? 0 : 1);
    }
    /* nothing asked for: nothing but the seed is built */
    int nodes = psal_graph_node_count(g);
    psal_gradient(g, later, NULL, 0, NULL);
    ck_assert_int_eq(psal_graph_check(g, NULL), PSAL_OK);
    ck_assert_int_le(psal_graph_node_count(g), nodes + 1);
    psal_graph_free(g);
}
END_TEST

/* Asking for one weight builds neither the other weight's gradient nor the image's. */
START_TEST(only_what_is_wanted_is_built) {
    psal_graph *g = psal_graph_new();
    psal_node x = psal_input(g, "x", PSAL_SHAPE(1, 2, 4, 4)), w1 = psal_parameter(g, "w1", PSAL_SHAPE(2, 2, 3, 3));
    psal_node w2 = psal_parameter(g, "w2", PSAL_SHAPE(2, 2, 1, 1));
    psal_node y = psal_sum(g, psal_conv2d(g, psal_relu(g, psal_conv2d(g, x, w1, NULL)), w2, NULL));
    int first = psal_graph_node_count(g), dw = 0, dx = 0;
    psal_node gradient;
    psal_gradient(g, y, &w2, 1, &gradient);
    for (psal_node n = first; n < psal_graph_node_count(g); n++) {
        dw += strcmp(psal_graph_op_name(g, n), "conv2d_dw") == 0;
        dx += strcmp(psal_graph_op_name(g, n), "conv2d_dx") == 0;
    }
    ck_assert_int_eq(dw, 1);
    ck_assert_int_eq(dx, 0);
    psal_graph_free(g);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/graph");
    TCase *tests = tcase_create("graph");
    tcase_add_test(tests, the_first_error_stays);
    tcase_add_loop_test(tests, wrong_operands_are_refused_with_their_layer, 0, REFUSALS);
    tcase_add_test(tests, nodes_know_themselves);
    tcase_add_test(tests, gradient_of_gradient_of_gradient);
    tcase_add_test(tests, third_derivative_of_the_loss);
    tcase_add_test(tests, what_does_not_matter_has_zero_gradient);
    tcase_add_test(tests, only_what_is_wanted_is_built);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
