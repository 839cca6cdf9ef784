/* graph.h - a symbolic, static graph of tensor operations that can be differentiated as often as one likes.
 *
 * Nodes are recorded, not run: a plan (plan.h) decides the buffers and runs them. Every shape is known when a node is
 * made. Builders are sticky: after the first error later calls do nothing and return PSAL_NO_NODE, the first message
 * survives, and one psal_graph_check at the end tells; so a network reads like its table in the paper.
 *
 * A finished graph is read-only and may be shared by any number of plans and threads. */
#ifndef PSAL_ENGINE_GRAPH_H
#define PSAL_ENGINE_GRAPH_H

#include <stdbool.h>

#include "engine/error.h"
#include "engine/real.h"
#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_graph psal_graph;
typedef int psal_node; /* nodes are numbered from 0 in the order they were made; inputs come before their users */
#define PSAL_NO_NODE (-1)

psal_graph *psal_graph_new(void);        /* NULL when out of memory */
void psal_graph_free(psal_graph *graph); /* owns all nodes, names and constants; NULL is fine */

/* PSAL_OK, or the first error any builder met, with its message. */
psal_status psal_graph_check(const psal_graph *graph, psal_error *err);
/* Record an error of the caller's own, as a builder would (kept only if it is the first). Returns PSAL_NO_NODE. */
psal_node psal_graph_fail(psal_graph *graph, psal_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The layer that the following nodes belong to, e.g. "layer1.0.conv1": named in errors and time tables. Copied. */
void psal_graph_set_layer(psal_graph *graph, const char *layer);

int psal_graph_node_count(const psal_graph *graph);
const psal_shape *psal_graph_shape(const psal_graph *graph, psal_node node); /* of PSAL_NO_NODE: no dimensions */
const char *psal_graph_layer(const psal_graph *graph, psal_node node);       /* "" when none was set */
const char *psal_graph_op_name(const psal_graph *graph, psal_node node);     /* "conv2d", "input", ... */

/* The one node that reads `node`; PSAL_NO_NODE when there is none or more than one. */
psal_node psal_graph_reader(const psal_graph *graph, psal_node node);

/* ---- leaves ---- */

/* A value given at run time (psal_workspace_set). `name` is for messages; copied. */
psal_node psal_input(psal_graph *graph, const char *name, psal_shape shape);
/* A network parameter or buffer, bound when the plan is made (psal_plan_bind), shared by all workspaces. */
psal_node psal_parameter(psal_graph *graph, const char *name, psal_shape shape);
/* Values known now; copied. `values` holds psal_shape_count(shape) numbers. */
psal_node psal_constant(psal_graph *graph, const psal_real *values, psal_shape shape);
psal_node psal_constant_fill(psal_graph *graph, psal_real value, psal_shape shape);

/* ---- convolution; x is N,C,H,W ---- */

typedef struct psal_conv2d_options {
    int stride_height, stride_width;     /* 0 means 1 */
    int padding_height, padding_width;   /* zeros added on each side */
    int dilation_height, dilation_width; /* 0 means 1 */
    int groups;                          /* 0 means 1 */
} psal_conv2d_options;

/* y[N,O,P,Q] from x[N,C,H,W] and weight[O, C/groups, KH, KW] (cross-correlation, as in PyTorch). NULL options: stride
 * 1. Equal windows of x give equal bits (engine/kernels/conv2d/conv2d.h): it may decide ReLUs and maxima. */
psal_node psal_conv2d(psal_graph *graph, psal_node x, psal_node weight, const psal_conv2d_options *options);
/* The same to rounding, where it decides nothing: what the gradients below have as their derivative in dy. */
psal_node psal_conv2d_output_gradient(psal_graph *graph, psal_node x, psal_node weight,
                                      const psal_conv2d_options *options);
/* Its adjoints: the gradients in x (shape x_shape) and in the weight (shape weight_shape). */
psal_node psal_conv2d_input_gradient(psal_graph *graph, psal_node dy, psal_node weight, psal_shape x_shape,
                                     const psal_conv2d_options *options);
psal_node psal_conv2d_weight_gradient(psal_graph *graph, psal_node x, psal_node dy, psal_shape weight_shape,
                                      const psal_conv2d_options *options);

/* ---- matrices: a[..,M,K] b[..,K,N], each optionally transposed in place. What stands in front of the last two axes
 * meets as in NumPy: a product for each. ---- */
psal_node psal_matmul(psal_graph *graph, psal_node a, bool transpose_a, psal_node b, bool transpose_b);
/* x[..,F] weight[O,F] bias[O] (PSAL_NO_NODE: none) -> [..,O], as torch.nn.Linear. */
psal_node psal_linear(psal_graph *graph, psal_node x, psal_node weight, psal_node bias);

/* ---- elementwise; both operands have the same shape ---- */
psal_node psal_add(psal_graph *graph, psal_node a, psal_node b);
psal_node psal_sub(psal_graph *graph, psal_node a, psal_node b);
psal_node psal_mul(psal_graph *graph, psal_node a, psal_node b);
psal_node psal_div(psal_graph *graph, psal_node a, psal_node b);
psal_node psal_scale(psal_graph *graph, psal_node x, double factor);
psal_node psal_sqrt(psal_graph *graph, psal_node x);
psal_node psal_rsqrt(psal_graph *graph, psal_node x, double epsilon); /* 1 / sqrt(x + epsilon) */
psal_node psal_abs(psal_graph *graph, psal_node x);
psal_node psal_sign(psal_graph *graph, psal_node x); /* -1, 0, 1; derivative 0 */
psal_node psal_relu(psal_graph *graph, psal_node x);
psal_node psal_relu_mask(psal_graph *graph, psal_node dy, psal_node y); /* dy where y > 0, else 0 */

/* ---- activation functions, elementwise ---- */
psal_node psal_exp(psal_graph *graph, psal_node x);
psal_node psal_log(psal_graph *graph, psal_node x);
psal_node psal_pow(psal_graph *graph, psal_node x, double exponent);
psal_node psal_shift(psal_graph *graph, psal_node x, double offset); /* x + offset */
psal_node psal_sigmoid(psal_graph *graph, psal_node x);              /* 1 / (1 + exp(-x)) */
psal_node psal_tanh(psal_graph *graph, psal_node x);
psal_node psal_erf(psal_graph *graph, psal_node x);
/* min(max(x, low), high); either bound may be infinite. The derivative at a bound is 0 for clip, as PyTorch has it for
 * ReLU6 (0, 6), hardtanh and hardsigmoid, and 1 for clamp, as it has for torch.clamp. */
psal_node psal_clip(psal_graph *graph, psal_node x, double low, double high);
psal_node psal_clamp(psal_graph *graph, psal_node x, double low, double high);
/* Composed of these: */
psal_node psal_silu(psal_graph *graph, psal_node x);         /* x sigmoid(x), also called swish */
psal_node psal_hard_sigmoid(psal_graph *graph, psal_node x); /* clip(x + 3, 0, 6) / 6 */
psal_node psal_hard_swish(psal_graph *graph, psal_node x);   /* x clamp(x + 3, 0, 6) / 6, derivative as PyTorch's */
psal_node psal_gelu(psal_graph *graph, psal_node x);         /* x (1 + erf(x / sqrt(2))) / 2, the exact one */

/* ---- shapes that meet as in NumPy: aligned at the last axis, repeated along axes of length 1 ---- */
psal_node psal_expand(psal_graph *graph, psal_node x, psal_shape shape); /* x repeated to `shape` */
psal_node psal_sum_to(psal_graph *graph, psal_node x, psal_shape shape); /* its adjoint; as many axes as x has */
psal_node psal_broadcast_add(psal_graph *graph, psal_node a, psal_node b);
psal_node psal_broadcast_sub(psal_graph *graph, psal_node a, psal_node b);
psal_node psal_broadcast_mul(psal_graph *graph, psal_node a, psal_node b);
psal_node psal_broadcast_div(psal_graph *graph, psal_node a, psal_node b);
/* Finite numbers; where both are equal each has half of the derivative, as in torch.maximum. */
psal_node psal_maximum(psal_graph *graph, psal_node a, psal_node b);
psal_node psal_minimum(psal_graph *graph, psal_node a, psal_node b);
/* Over axes[count], each from 0 on; `keep` them with length 1, or leave them out. */
psal_node psal_sum_axes(psal_graph *graph, psal_node x, const int *axes, int count, bool keep);
psal_node psal_mean_axes(psal_graph *graph, psal_node x, const int *axes, int count, bool keep);

/* ---- per channel: x is N,C,... (at least two dimensions), s and t are [C] ---- */
psal_node psal_channel_affine(psal_graph *graph, psal_node x, psal_node s, psal_node t); /* x * s[c] + t[c] */
psal_node psal_channel_mul(psal_graph *graph, psal_node x, psal_node s);
psal_node psal_channel_add(psal_graph *graph, psal_node x, psal_node t); /* a convolution's or linear layer's bias */
psal_node psal_channel_sum(psal_graph *graph, psal_node x);              /* [C] */
psal_node psal_channel_spread(psal_graph *graph, psal_node v, psal_shape shape);
/* Batch normalisation in evaluation mode, y = (x - mean) / sqrt(variance + epsilon) * gamma + beta (Ioffe & Szegedy
 * 2015), rounded once. */
psal_node psal_batch_norm(psal_graph *graph, psal_node x, psal_node gamma, psal_node beta, psal_node mean,
                          psal_node variance, double epsilon);

/* ---- along the last axis, whatever is in front of it ---- */
psal_node psal_softmax(psal_graph *graph, psal_node x);
psal_node psal_row_normalize(psal_graph *graph, psal_node x,
                             double epsilon); /* (x - mean) / sqrt(variance + epsilon) */
/* That times gamma plus beta, each of the last axis' length or PSAL_NO_NODE (Ba, Kiros & Hinton 2016), as PyTorch's
 * layer_norm. */
psal_node psal_layer_norm(psal_graph *graph, psal_node x, psal_node gamma, psal_node beta, double epsilon);

/* ---- pooling over the last two dimensions of N,C,H,W ---- */

typedef struct psal_pool2d_options {
    int kernel_height, kernel_width;
    int stride_height, stride_width;   /* 0 means: the kernel's size, as in PyTorch */
    int padding_height, padding_width; /* at most half the kernel */
    bool ceil_mode;       /* round the output size up (a window must start inside the image or its left padding) */
    bool exclude_padding; /* average pooling: divide by the pixels inside the image only (count_include_pad=False) */
} psal_pool2d_options;

psal_node psal_max_pool2d(psal_graph *graph, psal_node x, const psal_pool2d_options *options);
/* Parts of max pooling: where each window's maximum is (index within the plane, the first one on ties; a number, not
 * differentiable), reading those places, and writing to them (summing where windows share a place). */
psal_node psal_max_pool2d_index(psal_graph *graph, psal_node x, const psal_pool2d_options *options);
psal_node psal_pool_gather(psal_graph *graph, psal_node x, psal_node index);
psal_node psal_pool_scatter(psal_graph *graph, psal_node dy, psal_node index, psal_shape x_shape);
psal_node psal_avg_pool2d(psal_graph *graph, psal_node x, const psal_pool2d_options *options);
psal_node psal_avg_pool2d_spread(psal_graph *graph, psal_node dy, psal_shape x_shape,
                                 const psal_pool2d_options *options);
/* Windows [floor(i*H/P), ceil((i+1)*H/P)), as PyTorch's adaptive_avg_pool2d. */
psal_node psal_adaptive_avg_pool2d(psal_graph *graph, psal_node x, int out_height, int out_width);
psal_node psal_adaptive_avg_pool2d_spread(psal_graph *graph, psal_node dy, psal_shape x_shape);

/* ---- shape ---- */
psal_node psal_concat(psal_graph *graph, const psal_node *parts, int count, int axis);
psal_node psal_slice(psal_graph *graph, psal_node x, int axis, int64_t offset, int64_t length);
psal_node psal_unslice(psal_graph *graph, psal_node dy, int axis, int64_t offset, int64_t total); /* zeros elsewhere */
/* `before` zeros in front of each axis of x and `after` behind it; negative numbers cut off as many. */
psal_node psal_pad(psal_graph *graph, psal_node x, const int64_t *before, const int64_t *after);
/* Axis i of the result is axis axes[i] of x; axes[count], as many as x has. As torch.permute. */
psal_node psal_permute(psal_graph *graph, psal_node x, const int *axes, int count);
/* The numbers index[count] of an axis, in this order (copied); each from 0 on, and as often as one likes. */
psal_node psal_gather(psal_graph *graph, psal_node x, int axis, const int64_t *index, int64_t count);
/* N,C,H,W to another size, pixel i from floor(i * H / out_height): PyTorch's interpolate(mode="nearest"). */
psal_node psal_resize_nearest(psal_graph *graph, psal_node x, int64_t out_height, int64_t out_width);
psal_node psal_reshape(psal_graph *graph, psal_node x, psal_shape shape);
psal_node psal_flatten(psal_graph *graph, psal_node x); /* [N, rest] */

/* ---- losses and sums; z is [N, classes], target is [N] holding class numbers ---- */
psal_node psal_softmax_residual(psal_graph *graph, psal_node z, psal_node target); /* softmax(z) - one_hot(target) */
psal_node psal_softmax_jacobian(psal_graph *graph, psal_node z,
                                psal_node g); /* p * (g - <g, p>), p = softmax(z), per row */
psal_node psal_cross_entropy(psal_graph *graph, psal_node z, psal_node target); /* [N]: log sum exp(z) - z[target] */
psal_node psal_one_hot(psal_graph *graph, psal_node target, int classes);       /* [N, classes]; derivative 0 */
psal_node psal_select(psal_graph *graph, psal_node z, psal_node target);        /* [N]: z[n, target[n]] */
psal_node psal_row_sum(psal_graph *graph, psal_node x);                         /* [N, F] -> [N] */
psal_node psal_row_spread(psal_graph *graph, psal_node v, int64_t columns);     /* [N] -> [N, columns] */
psal_node psal_sum(psal_graph *graph, psal_node x);                             /* everything -> scalar */
psal_node psal_spread(psal_graph *graph, psal_node scalar, psal_shape shape);
/* <a,b> / (max(|a|, e) max(|b|, e)) of two equal shapes -> scalar, e = PSAL_COSINE_EPSILON: the value of PyTorch 1.13's
 * cosine_similarity, also where a norm is 0. The derivatives are those of this formula: b / (e max(|b|, e)) with
 * respect to an a that is 0, as in PyTorch. (For 0 < |a| < e PyTorch also takes off a part along a, as if the norm were
 * not bounded there.) */
#define PSAL_COSINE_EPSILON 1e-8
psal_node psal_cosine(psal_graph *graph, psal_node a, psal_node b);

/* ---- reductions over filters: x is seen as `groups` equal, consecutive rows ([O,...] with groups = O: filters)
 * ---- */
psal_node psal_group_mean_abs(psal_graph *graph, psal_node x, int64_t groups); /* [groups] */
psal_node psal_group_mean(psal_graph *graph, psal_node x, int64_t groups);     /* [groups] */
psal_node psal_group_spread(psal_graph *graph, psal_node v, psal_shape shape); /* v[group] / row length */
/* The signs of x as codes 1 + sign(x), a byte each (not numbers: only the two below can read them), and what the
 * derivative of mean |x| needs of them: sign(x) * v[group] / row length, and the mean of sign(x) * a. */
psal_node psal_ternary_codes(psal_graph *graph, psal_node x);
psal_node psal_group_ternary_spread(psal_graph *graph, psal_node codes, psal_node v, psal_shape shape);
psal_node psal_group_ternary_mean(psal_graph *graph, psal_node codes, psal_node a, int64_t groups);

/* ---- differentiation ---- */

/* Append nodes that compute the derivative of sum(of) with respect to each of wrt[count]; gradients[i] has wrt[i]'s
 * shape (zeros where `of` does not depend on it). Only what leads from `wrt` to `of` is built. May be applied to its
 * own results. Griewank & Walther 2008, ch. 3 (reverse mode). */
void psal_gradient(psal_graph *graph, psal_node of, const psal_node *wrt, int count, psal_node *gradients);

#ifdef __cplusplus
}
#endif

#endif
