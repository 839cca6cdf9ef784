/* conv2d.c - chooses the implementation of a convolution. */
#include "engine/kernels/conv2d.h"

#include "engine/kernels/conv2d_methods.h"
#include "engine/kernels/conv2d_x86.h"
#include "engine/kernels/rows.h"

#ifdef PSAL_HAVE_CONV2D_X86

const psal_conv2d_x86 *psal_conv2d_x86_best(void) {
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    /* No compiler's name for the matrix unit is common to all, and asking the processor itself is slow in a virtual machine. The
     * system knows of its registers, and every processor that has them multiplies bfloat16, as its vector unit does. */
    if (avx512 && __builtin_cpu_supports("avx512bf16") && psal_amx_available()) return &psal_conv2d_x86_amx;
    if (avx512) return &psal_conv2d_x86_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &psal_conv2d_x86_avx2;
    return NULL;
}

/* Run `call` of the fast implementation, when there is one and the method is not GEMM, and return. */
#define TRY_FAST(method, call)                                                                      \
    do {                                                                                            \
        const psal_conv2d_x86 *fast = (method) == PSAL_CONV2D_GEMM ? NULL : psal_conv2d_x86_best(); \
        if (fast) return fast->call;                                                                \
    } while (0)
/* The same for filters that are signs, when it takes them, of which `scratch` (not 0) tells. */
#define TRY_SIGNS(method, scratch, call)                                                            \
    do {                                                                                            \
        const psal_conv2d_x86 *fast = (method) == PSAL_CONV2D_GEMM ? NULL : psal_conv2d_x86_best(); \
        if (fast && fast->signs_forward && fast->scratch > 0) return fast->call;                    \
    } while (0)
#else
#define TRY_FAST(method, call) (void)(method)
#define TRY_SIGNS(method, scratch, call) (void)(method)
#endif

size_t psal_conv2d_forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    TRY_FAST(method, forward_scratch(s, method, threads));
    return psal_conv2d_gemm_forward_scratch(s, threads);
}

size_t psal_conv2d_dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    TRY_FAST(method, dx_scratch(s, method, threads));
    return psal_conv2d_gemm_dx_scratch(s, threads);
}

size_t psal_conv2d_dw_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    TRY_FAST(method, dw_scratch(s, method, threads));
    return psal_conv2d_gemm_dw_scratch(s, threads);
}

size_t psal_conv2d_dw_mean_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    TRY_FAST(method, dw_mean_scratch(s, method, threads));
    return psal_conv2d_gemm_dw_mean_scratch(s, threads);
}

void psal_conv2d_forward(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *w,
                         psal_real *y, const psal_parallel *parallel) {
    TRY_FAST(method, forward(s, method, x, w, y, parallel));
    psal_conv2d_gemm_forward(s, x, w, y, parallel);
}

void psal_conv2d_dx(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *dy, const psal_real *w,
                    psal_real *dx, const psal_parallel *parallel) {
    TRY_FAST(method, dx(s, method, dy, w, dx, parallel));
    psal_conv2d_gemm_dx(s, dy, w, dx, parallel);
}

void psal_conv2d_dw(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *dy,
                    psal_real *dw, const psal_parallel *parallel) {
    TRY_FAST(method, dw(s, method, x, dy, dw, parallel));
    psal_conv2d_gemm_dw(s, x, dy, dw, parallel);
}

void psal_conv2d_dw_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *dy,
                         bool is_signed, psal_real *mean, const psal_parallel *parallel) {
    TRY_FAST(method, dw_mean(s, method, x, dy, is_signed, mean, parallel));
    psal_conv2d_gemm_dw_mean(s, x, dy, is_signed, mean, parallel);
}

/* ---- filters that are signs: as numbers, in front of the scratch, unless the fast implementation takes them as they are ---- */

static size_t filter_size(const psal_conv2d_shape *s) {
    return (size_t)(s->in_channels / s->groups) * (size_t)s->kernel_height * (size_t)s->kernel_width;
}

static size_t decoded_bytes(const psal_conv2d_shape *s) {
    return ((size_t)s->out_channels * filter_size(s) * sizeof(psal_real) + 63) / 64 * 64;
}

static const psal_real *decode(const psal_conv2d_shape *s, const psal_conv2d_signs *w, const psal_parallel *parallel) {
    psal_real *numbers = parallel->scratch;
    psal_kernel_row_sign_spread((size_t)s->out_channels, filter_size(s), w->codes, w->scale, w->factor, numbers,
                                parallel);
    return numbers;
}

static psal_parallel behind_decoded(const psal_conv2d_shape *s, const psal_parallel *parallel) {
    return (psal_parallel){parallel->threads, (char *)parallel->scratch + decoded_bytes(s)};
}

bool psal_conv2d_takes_signs(const psal_conv2d_shape *s) {
    const psal_conv2d_method method = PSAL_CONV2D_AUTO;
    TRY_SIGNS(method, signs_forward_scratch(s, method, 1), signs_forward_scratch(s, method, 1) > 0);
    TRY_SIGNS(method, signs_dx_scratch(s, method, 1), signs_dx_scratch(s, method, 1) > 0);
    (void)s;
    return false;
}

size_t psal_conv2d_signs_forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    TRY_SIGNS(method, signs_forward_scratch(s, method, threads), signs_forward_scratch(s, method, threads));
    return decoded_bytes(s) + psal_conv2d_forward_scratch(s, method, threads);
}

size_t psal_conv2d_signs_dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    TRY_SIGNS(method, signs_dx_scratch(s, method, threads), signs_dx_scratch(s, method, threads));
    return decoded_bytes(s) + psal_conv2d_dx_scratch(s, method, threads);
}

void psal_conv2d_signs_forward(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x,
                               const psal_conv2d_signs *w, psal_real *y, const psal_parallel *parallel) {
    TRY_SIGNS(method, signs_forward_scratch(s, method, parallel->threads), signs_forward(s, method, x, w, y, parallel));
    const psal_parallel rest = behind_decoded(s, parallel);
    psal_conv2d_forward(s, method, x, decode(s, w, parallel), y, &rest);
}

void psal_conv2d_signs_dx(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *dy,
                          const psal_conv2d_signs *w, psal_real *dx, const psal_parallel *parallel) {
    TRY_SIGNS(method, signs_dx_scratch(s, method, parallel->threads), signs_dx(s, method, dy, w, dx, parallel));
    const psal_parallel rest = behind_decoded(s, parallel);
    psal_conv2d_dx(s, method, dy, decode(s, w, parallel), dx, &rest);
}
