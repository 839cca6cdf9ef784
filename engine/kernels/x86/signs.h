/* signs.h - convolutions with filters that are signs, and their input gradients
 * (psal_conv2d_signs), by tables instead of products.
 *
 * What the signs -1, 0 and 1 can make of three values is one of 27 sums, 13 of which are the
 * others' negatives and one is 0. A table of 16 floats holds the rest, and fills one register. So a
 * table is made for each pixel and each three channels, three signs of a filter are one number, and
 * a permutation looks up the sums of 16 filters at once, which are then added or subtracted: two
 * instructions for 48 products. (Tables of all that a few rows can add up to are the "Method of
 * Four Russians", Arlazarov, Dinic, Kronrod and Faradzhev 1970.)
 *
 * It needs permutations of 16 floats, AVX-512. The bits do not depend on the number of threads. */
#ifndef PSAL_ENGINE_KERNELS_X86_SIGNS_H
#define PSAL_ENGINE_KERNELS_X86_SIGNS_H

#include "engine/kernels/conv2d.h"
#include "engine/kernels/x86/simd.h"

#if defined PSAL_SIMD_AVX512

#define psal_signs_possible PSAL_SIMD_NAME(psal_signs_possible)
#define psal_signs_conv_scratch PSAL_SIMD_NAME(psal_signs_conv_scratch)
#define psal_signs_conv PSAL_SIMD_NAME(psal_signs_conv)

/* Whether a shape is possible: one group, no dilation, and strides and filters that are not huge.
 */
bool psal_signs_possible(const psal_conv2d_shape *s);

/* dx: the input gradient; otherwise the convolution. */
size_t psal_signs_conv_scratch(const psal_conv2d_shape *s, bool dx, int threads);
void psal_signs_conv(const psal_conv2d_shape *s, bool dx, const float *source, const psal_conv2d_signs *w,
                     float *result, const psal_parallel *parallel);

#endif
#endif
