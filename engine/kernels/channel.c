#include "engine/kernels/channel.h"

#include <math.h>

#include "engine/kernels/clones.h"

enum { SERIAL_BELOW = 32768 };

/* The part of plane number `plane` (of p elements) that lies in [begin, end). */
typedef struct range {
    size_t begin, end;
} range;

static range part_of_plane(size_t plane, size_t p, size_t begin, size_t end) {
    range r = {plane * p, (plane + 1) * p};
    if (r.begin < begin) r.begin = begin;
    if (r.end > end) r.end = end;
    return r;
}

PSAL_CLONES static void affine_plane(size_t n, const psal_real *x, psal_real s, psal_real t, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = x[i] * s + t;
}

PSAL_CLONES static void scale_plane(size_t n, const psal_real *x, psal_real s, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = x[i] * s;
}

/* Channels of one element each: n of them, one after the other */
PSAL_CLONES static void affine_elements(size_t n, const psal_real *x, const psal_real *s, const psal_real *t,
                                        psal_real *out) {
    if (s && t)
        for (size_t i = 0; i < n; i++) out[i] = x[i] * s[i] + t[i];
    else if (t)
        for (size_t i = 0; i < n; i++) out[i] = x[i] + t[i];
    else
        for (size_t i = 0; i < n; i++) out[i] = x[i] * s[i];
}

static void affine_rows(size_t begin, size_t end, size_t c, const psal_real *x, const psal_real *s, const psal_real *t,
                        psal_real *out) {
    for (size_t count; begin < end; begin += count) {
        const size_t channel = begin % c;
        count = end - begin < c - channel ? end - begin : c - channel;
        affine_elements(count, x + begin, s ? s + channel : NULL, t ? t + channel : NULL, out + begin);
    }
}

void psal_kernel_channel_affine(size_t begin, size_t end, size_t c, size_t p, const psal_real *x, const psal_real *s,
                                const psal_real *t, psal_real *out) {
    if (p == 1) {
        affine_rows(begin, end, c, x, s, t, out);
        return;
    }
    for (size_t plane = begin / p; plane * p < end; plane++) {
        const size_t channel = plane % c;
        const range r = part_of_plane(plane, p, begin, end);
        if (t)
            affine_plane(r.end - r.begin, x + r.begin, s ? s[channel] : 1, t[channel], out + r.begin);
        else
            scale_plane(r.end - r.begin, x + r.begin, s ? s[channel] : 1, out + r.begin);
    }
}

/* The conversions are most of the work. */
PSAL_CLONES static void affine_plane_double(size_t n, const psal_real *x, double s, double t, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)(x[i] * s + t);
}

void psal_kernel_batch_norm(size_t begin, size_t end, size_t c, size_t p, const psal_real *x, const psal_real *gamma,
                            const psal_real *beta, const psal_real *mean, const psal_real *variance, double epsilon,
                            psal_real *out) {
    for (size_t plane = begin / p; plane * p < end; plane++) {
        const size_t channel = plane % c;
        const range r = part_of_plane(plane, p, begin, end);
        const double s = gamma[channel] / sqrt(variance[channel] + epsilon);
        affine_plane_double(r.end - r.begin, x + r.begin, s, beta[channel] - mean[channel] * s, out + r.begin);
    }
}

void psal_kernel_channel_sum(size_t n, size_t c, size_t p, const psal_real *x, psal_real *sum,
                             const psal_parallel *parallel) {
    int threads = psal_parallel_threads(parallel, n * c * p, SERIAL_BELOW);
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
    int threads = psal_parallel_threads(parallel, n * c * p, SERIAL_BELOW);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t plane = 0; plane < n * c; plane++)
        for (size_t i = 0; i < p; i++) out[plane * p + i] = v[plane % c];
}
