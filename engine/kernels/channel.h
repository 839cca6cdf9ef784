/* channel.h - kernels on x[N,C,P] (P: all further dimensions together) with one number per channel, s[C] or t[C]. */
#ifndef PSAL_ENGINE_KERNELS_CHANNEL_H
#define PSAL_ENGINE_KERNELS_CHANNEL_H

#include <stdbool.h>

#include "engine/kernels/parallel.h"
#include "engine/real.h"

/* What may follow in the same pass over the values: out + addend (NULL: nothing), then max(out, 0). The bits are those of a
 * pass for each. */
typedef struct psal_finish {
    const psal_real *addend; /* [N,C,P], may be out */
    bool relu;
} psal_finish;

/* out = x * s[c] + t[c]; s or t may be NULL (then 1, 0); out may be x. Never fused into one rounding: PyTorch's bits. */
void psal_kernel_channel_affine(size_t n, size_t c, size_t p, const psal_real *x, const psal_real *s, const psal_real *t,
                                psal_finish finish, psal_real *out, const psal_parallel *parallel);
/* out = (x - mean[c]) / sqrt(variance[c] + epsilon) * gamma[c] + beta[c], worked out in double and rounded once; out may be x */
void psal_kernel_batch_norm(size_t n, size_t c, size_t p, const psal_real *x, const psal_real *gamma, const psal_real *beta,
                            const psal_real *mean, const psal_real *variance, double epsilon, psal_finish finish,
                            psal_real *out, const psal_parallel *parallel);
/* sum[C] over batch and positions; accumulated in double */
void psal_kernel_channel_sum(size_t n, size_t c, size_t p, const psal_real *x, psal_real *sum, const psal_parallel *parallel);
/* out[N,C,P] = v[c] */
void psal_kernel_channel_spread(size_t n, size_t c, size_t p, const psal_real *v, psal_real *out,
                                const psal_parallel *parallel);

#endif
