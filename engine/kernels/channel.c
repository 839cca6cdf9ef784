#include "engine/kernels/channel.h"

#include <math.h>

#include "engine/kernels/clones.h"

enum { SERIAL_BELOW = 32768 };

static int use_threads(size_t elements, const psal_parallel *parallel) {
    return parallel->threads > 1 && elements >= SERIAL_BELOW ? parallel->threads : 1;
}

static inline psal_real rectified(psal_real v) {
    return v < 0 ? 0 : v;
}

/* Loops over one plane with what follows, as psal_finish says: `value` depends on i. */
#define FINISHED(p, value, addend, relu, out)                                                                          \
    do {                                                                                                               \
        if ((addend) && (relu))                                                                                        \
            for (size_t i = 0; i < (p); i++) (out)[i] = rectified((psal_real)(value) + (addend)[i]);                   \
        else if (addend)                                                                                               \
            for (size_t i = 0; i < (p); i++) (out)[i] = (psal_real)(value) + (addend)[i];                              \
        else if (relu)                                                                                                 \
            for (size_t i = 0; i < (p); i++) (out)[i] = rectified((psal_real)(value));                                 \
        else                                                                                                           \
            for (size_t i = 0; i < (p); i++) (out)[i] = (psal_real)(value);                                            \
    } while (0)

static void affine_plane(size_t p, const psal_real *x, psal_real s, psal_real t, const psal_real *addend, bool relu,
                         psal_real *out) {
    FINISHED(p, x[i] * s + t, addend, relu, out);
}

static void scale_plane(size_t p, const psal_real *x, psal_real s, const psal_real *addend, bool relu, psal_real *out) {
    FINISHED(p, x[i] * s, addend, relu, out);
}

void psal_kernel_channel_affine(size_t n, size_t c, size_t p, const psal_real *x, const psal_real *s, const psal_real *t,
                                psal_finish finish, psal_real *out, const psal_parallel *parallel) {
    int threads = use_threads(n * c * p, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < n * c; plane++) {
        size_t channel = plane % c;
        const psal_real *from = x + plane * p, *addend = finish.addend ? finish.addend + plane * p : NULL;
        if (t)
            affine_plane(p, from, s ? s[channel] : 1, t[channel], addend, finish.relu, out + plane * p);
        else
            scale_plane(p, from, s ? s[channel] : 1, addend, finish.relu, out + plane * p);
    }
}

/* The conversions are most of the work. */
PSAL_CLONES static void affine_plane_double(size_t p, const psal_real *x, double s, double t, const psal_real *addend,
                                            bool relu, psal_real *out) {
    FINISHED(p, x[i] * s + t, addend, relu, out);
}

void psal_kernel_batch_norm(size_t n, size_t c, size_t p, const psal_real *x, const psal_real *gamma, const psal_real *beta,
                            const psal_real *mean, const psal_real *variance, double epsilon, psal_finish finish,
                            psal_real *out, const psal_parallel *parallel) {
    int threads = use_threads(n * c * p, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < n * c; plane++) {
        size_t channel = plane % c;
        double s = gamma[channel] / sqrt(variance[channel] + epsilon);
        affine_plane_double(p, x + plane * p, s, beta[channel] - mean[channel] * s,
                            finish.addend ? finish.addend + plane * p : NULL, finish.relu, out + plane * p);
    }
}

void psal_kernel_channel_sum(size_t n, size_t c, size_t p, const psal_real *x, psal_real *sum, const psal_parallel *parallel) {
    int threads = use_threads(n * c * p, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t channel = 0; channel < c; channel++) {
        double lanes[8] = {0}; /* independent partial sums: vectorisable, and in a fixed order */
        for (size_t b = 0; b < n; b++) {
            const psal_real *from = x + (b * c + channel) * p;
            size_t i = 0;
            for (; i + 8 <= p; i += 8)
                for (size_t lane = 0; lane < 8; lane++) lanes[lane] += from[i + lane];
            for (; i < p; i++) lanes[0] += from[i];
        }
        sum[channel] = (psal_real)(((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                                   ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7])));
    }
}

void psal_kernel_channel_spread(size_t n, size_t c, size_t p, const psal_real *v, psal_real *out,
                                const psal_parallel *parallel) {
    int threads = use_threads(n * c * p, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < n * c; plane++)
        for (size_t i = 0; i < p; i++) out[plane * p + i] = v[plane % c];
}
