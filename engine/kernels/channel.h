/* channel.h - kernels on x[N,C,P] (P: all further dimensions together) with one number per channel, s[C] or t[C]. */
#ifndef PSAL_ENGINE_KERNELS_CHANNEL_H
#define PSAL_ENGINE_KERNELS_CHANNEL_H

#include "engine/kernels/parallel.h"
#include "engine/real.h"

/* Elements [begin, end) of out = x * s[c] + t[c], in the calling thread; s or t may be NULL (then 1, 0); out may be x.
 * Two roundings, not a fused multiply-add, as in PyTorch. */
void psal_kernel_channel_affine(size_t begin, size_t end, size_t c, size_t p, const psal_real *x, const psal_real *s,
                                const psal_real *t, psal_real *out);
/* Elements [begin, end) of out = (x - mean[c]) / sqrt(variance[c] + epsilon) * gamma[c] + beta[c], worked out in double
 * and rounded once; in the calling thread; out may be x */
void psal_kernel_batch_norm(size_t begin, size_t end, size_t c, size_t p, const psal_real *x, const psal_real *gamma,
                            const psal_real *beta, const psal_real *mean, const psal_real *variance, double epsilon,
                            psal_real *out);
/* sum[C] over batch and positions; accumulated in double */
void psal_kernel_channel_sum(size_t n, size_t c, size_t p, const psal_real *x, psal_real *sum,
                             const psal_parallel *parallel);
/* out[N,C,P] = v[c] */
void psal_kernel_channel_spread(size_t n, size_t c, size_t p, const psal_real *v, psal_real *out,
                                const psal_parallel *parallel);

#endif
