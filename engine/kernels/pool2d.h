/* pool2d.h - pooling kernels over `planes` (batch x channels) images of in_height x in_width, and their adjoints. */
#ifndef PSAL_ENGINE_KERNELS_POOL2D_H
#define PSAL_ENGINE_KERNELS_POOL2D_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernels/parallel.h"
#include "engine/real.h"

typedef struct psal_pool2d_shape {
    size_t planes;
    int in_height, in_width, out_height, out_width;
    int kernel_height, kernel_width;
    int stride_height, stride_width;
    int padding_height, padding_width;
    bool ceil_mode, exclude_padding;
} psal_pool2d_shape;

/* index[planes, out] = where in its plane each window's maximum is: the first of equal ones; a NaN counts as maximal.
 * y[planes, out], unless NULL: these maxima. */
void psal_kernel_max_pool2d_index(const psal_pool2d_shape *s, const psal_real *x, psal_real *index, psal_real *y,
                                  const psal_parallel *parallel);
/* y[planes, outputs] = x[planes, inputs][index] */
void psal_kernel_pool_gather(size_t planes, size_t inputs, size_t outputs, const psal_real *x, const psal_real *index,
                             psal_real *y, const psal_parallel *parallel);
/* dx[planes, inputs] = 0, then dx[index] += dy */
void psal_kernel_pool_scatter(size_t planes, size_t inputs, size_t outputs, const psal_real *dy, const psal_real *index,
                              psal_real *dx, const psal_parallel *parallel);

/* Means over windows; the divisor is the window's size clipped to the padded image (PyTorch's count_include_pad), or to
 * the image itself with exclude_padding. */
void psal_kernel_avg_pool2d(const psal_pool2d_shape *s, const psal_real *x, psal_real *y,
                            const psal_parallel *parallel);
void psal_kernel_avg_pool2d_spread(const psal_pool2d_shape *s, const psal_real *dy, psal_real *dx,
                                   const psal_parallel *parallel);

/* Means over the windows [floor(i*H/P), ceil((i+1)*H/P)); only the sizes of *s are used. */
void psal_kernel_adaptive_avg_pool2d(const psal_pool2d_shape *s, const psal_real *x, psal_real *y,
                                     const psal_parallel *parallel);
void psal_kernel_adaptive_avg_pool2d_spread(const psal_pool2d_shape *s, const psal_real *dy, psal_real *dx,
                                            const psal_parallel *parallel);

#endif
