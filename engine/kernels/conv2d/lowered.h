/* lowered.h - a convolution and its input gradient, seen as matrix products over a gathered matrix.
 *
 * Both operations have the form
 *
 *   result[m, place(p), place(q)] = sum over k = (channel, a, b) of weight[m, channel, kernel(a), kernel(b)] * column
 *   column[k, (p, q)] = source[channel, p*stride + offset + a*offset_step, (the same for q and b)], 0 outside
 *
 * with everything affine and each image axis on its own. The forward pass is one such problem. The input gradient is
 * stride_h * stride_w of them: the input rows with the same remainder modulo the stride (a "phase") see the same kernel
 * rows, so each phase is an ordinary stride-1 gather from dy and nothing is ever scattered or added across threads. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_LOWERED_H
#define PSAL_ENGINE_KERNELS_CONV2D_LOWERED_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernels/conv2d/conv2d.h"

typedef struct psal_conv2d_axis {
    int count;               /* positions of the result on this axis */
    int stride;              /* source steps from one position to the next */
    int taps;                /* kernel elements that contribute; may be 0 in a phase of the input gradient */
    int offset, offset_step; /* source coordinate of position 0 at tap 0; change from tap to tap */
    int kernel, kernel_step; /* index into the kernel of tap 0; change from tap to tap */
    int place, place_step;   /* where position 0 lies in the result; distance of neighbours */
    int source;              /* size of the source on this axis */
} psal_conv2d_axis;

typedef struct psal_conv2d_lowered {
    psal_conv2d_axis h, w;
} psal_conv2d_lowered;

psal_conv2d_lowered psal_conv2d_lower_forward(const psal_conv2d_shape *s);
/* phase_h in [0, stride_height), phase_w in [0, stride_width) */
psal_conv2d_lowered psal_conv2d_lower_dx(const psal_conv2d_shape *s, int phase_h, int phase_w);

/* Whether the gathered matrix is the source itself (one tap, no shift, no stride, no padding) */
bool psal_conv2d_lowered_is_identity(const psal_conv2d_lowered *l);

/* Small helpers that every method shares. */
static inline size_t psal_conv2d_taps(const psal_conv2d_lowered *l) {
    return (size_t)l->h.taps * (size_t)l->w.taps;
}
static inline size_t psal_conv2d_positions(const psal_conv2d_lowered *l) {
    return (size_t)l->h.count * (size_t)l->w.count;
}
static inline size_t psal_ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}
static inline size_t psal_round_up(size_t a, size_t b) {
    return psal_ceil_div(a, b) * b;
}
static inline size_t psal_size_min(size_t a, size_t b) {
    return a < b ? a : b;
}
static inline size_t psal_size_max(size_t a, size_t b) {
    return a > b ? a : b;
}
/* `total` divided into parts as even as possible, the larger ones first: the size of part `index`, and where it begins.
 * Sums are divided like this. (psal_tasks_part in tasks.h, where larger and smaller parts alternate, is for tasks: it
 * would change the order of sums.) */
static inline size_t even_share(size_t total, size_t parts, size_t index) {
    return total / parts + (index < total % parts);
}
static inline size_t even_start(size_t total, size_t parts, size_t index) {
    return index * (total / parts) + (index < total % parts ? index : total % parts);
}

#endif
