/* rows.h - kernels on matrices x[rows, columns] that treat each row by itself: sums, means, softmax. Row sums are taken
 * in double, in a fixed order. */
#ifndef PSAL_ENGINE_KERNELS_ROWS_H
#define PSAL_ENGINE_KERNELS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/kernels/parallel.h"
#include "engine/real.h"

/* sum[rows] */
void psal_kernel_row_sum(size_t rows, size_t columns, const psal_real *x, psal_real *sum,
                         const psal_parallel *parallel);
/* mean[rows] of x, of |x|; codes, unless NULL, as psal_kernel_ternary_codes gives them */
void psal_kernel_row_mean(size_t rows, size_t columns, const psal_real *x, psal_real *mean,
                          const psal_parallel *parallel);
void psal_kernel_row_mean_abs(size_t rows, size_t columns, const psal_real *x, psal_real *mean, unsigned char *codes,
                              const psal_parallel *parallel);
/* out[rows, columns] = v[row] * factor */
void psal_kernel_row_spread(size_t rows, size_t columns, const psal_real *v, psal_real factor, psal_real *out,
                            const psal_parallel *parallel);

/* codes[n] = 1 + sign(x) (of NaN: 1), a byte each */
void psal_kernel_ternary_codes(size_t n, const psal_real *x, unsigned char *codes, const psal_parallel *parallel);
/* mean[rows] of sign * a; out[rows, columns] = sign * (v[row] * factor) */
void psal_kernel_row_ternary_mean(size_t rows, size_t columns, const unsigned char *codes, const psal_real *a,
                                  psal_real *mean, const psal_parallel *parallel);
void psal_kernel_row_ternary_spread(size_t rows, size_t columns, const unsigned char *codes, const psal_real *v,
                                    psal_real factor, psal_real *out, const psal_parallel *parallel);

/* y = exp(z - max) / sum of it, per row */
void psal_kernel_softmax(size_t rows, size_t columns, const psal_real *z, psal_real *y, const psal_parallel *parallel);
/* out[rows, columns] = (x - mean) / sqrt(variance + epsilon), and out[rows] = 1 / sqrt(variance + epsilon), with the
 * mean and the (biased) variance of the row, all in double and rounded once */
void psal_kernel_row_normalize(size_t rows, size_t columns, const psal_real *x, double epsilon, psal_real *out,
                               const psal_parallel *parallel);
void psal_kernel_row_rsqrt_variance(size_t rows, size_t columns, const psal_real *x, double epsilon, psal_real *out,
                                    const psal_parallel *parallel);
/* y = softmax(z) - one_hot(target), formed in double: where the target's probability is nearly 1, one float32 softmax
 * minus 1 would keep nothing of the small difference. All NaN in a row whose target is not a column. */
void psal_kernel_softmax_residual(size_t rows, size_t columns, const psal_real *z, const psal_real *target,
                                  psal_real *y);
/* out = J g with the softmax's Jacobian J = diag(p) - p p^T: p_i * (g_i - <g, p>), in double for the same reason */
void psal_kernel_softmax_jacobian(size_t rows, size_t columns, const psal_real *z, const psal_real *g, psal_real *out);
/* loss[rows] = log(sum exp(z)) - z[target], per row; NaN when a target is not a column */
void psal_kernel_cross_entropy(size_t rows, size_t columns, const psal_real *z, const psal_real *target,
                               psal_real *loss);
/* y[rows, columns] = 1 in the target's column, else 0; all NaN in a row whose target is not a column */
void psal_kernel_one_hot(size_t rows, size_t columns, const psal_real *target, psal_real *y);

#endif
