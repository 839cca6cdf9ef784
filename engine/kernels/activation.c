/* exp, tanh and erf as the mathematical library has them take 5 to 20 ns an element, which nothing hides in a network
 * with an activation after every layer. Here they are straight lines of double arithmetic, of which the compiler makes
 * vectors. The double build, which is for checking derivatives, has the library's. */
#include "engine/kernels/activation.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernels/clones.h"

/* Beyond these the functions are 0, 1 or infinite. */
#ifdef PSAL_REAL_DOUBLE

enum { EXP_BOUND = 750, TANH_BOUND = 20, ERF_BOUND = 6 };

static inline double exp_of(double x) {
    return exp(x);
}

static inline double tanh_of(double x) {
    return tanh(x);
}

static inline double erf_of(double x) {
    return erf(x);
}

#else

enum { EXP_BOUND = 200, TANH_BOUND = 20, ERF_BOUND = 4 };

/* What is left of exp(x): with k = round(x / log 2) and r = x - k log 2, exp(x) = 2^k + 2^k (exp(r) - 1), the bracket
 * by its Taylor series: |r| <= log 2 / 2, so that r^9 / 9! is below 3e-10 of r. 1.5 * 2^52 + t has the nearest whole
 * number to t in its lowest bits. |x| <= 700. */
typedef struct exponential {
    double power, rest; /* exp(x) = power + rest, exp(x) - 1 = (power - 1) + rest */
} exponential;

static inline exponential exponential_of(double x) {
    const double log2e = 1.4426950408889634, ln2 = 0.6931471805599453, whole = 0x1.8p52;
    const double rounded = x * log2e + whole, r = x - (rounded - whole) * ln2;
    int64_t bits;
    double power;
    memcpy(&bits, &rounded, sizeof bits);
    bits = (int64_t)(((uint64_t)bits + 1023) << 52);
    memcpy(&power, &bits, sizeof power);
    double p = 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1;
    return (exponential){power, power * (p * r)};
}

static inline double exp_of(double x) {
    const exponential e = exponential_of(x);
    return e.power + e.rest;
}

/* With e = exp(2x) - 1: e / (e + 2), which keeps its digits near 0. */
static inline double tanh_of(double x) {
    const exponential e = exponential_of(2 * x);
    const double minus_one = (e.power - 1) + e.rest;
    return minus_one / (minus_one + 2);
}

/* erf(x) / x as a polynomial in v = x^2 / 8 - 1, which interpolates it in the 18 Chebyshev nodes of |x| <= 4: within
 * 2.1e-9 of it; beyond 4, where the nearest float is 1, it is of no use. */
static inline double erf_of(double x) {
    static const double c[] = {0.35353099633699614,     -0.17657623355634394,   0.13167500462304274,
                               -0.1077104012536239,     0.090211975838021707,   -0.074728962265009538,
                               0.059856530481245583,    -0.04575393377883074,   0.033214884637906013,
                               -0.022530380754105718,   0.013912674213802432,   -0.0084450615340009947,
                               0.0055719994621687011,   -0.0028438421375724847, 0.00061991862662079996,
                               -0.00036323960546510515, 0.00059559660600051094, -0.0002375303008633824};
    const double v = x * x * 0.125 - 1;
    double p = c[17];
#pragma GCC unroll 17
    for (int i = 16; i >= 0; i--) p = p * v + c[i];
    return p * x;
}

#endif

PSAL_CLONES void psal_kernel_shift(size_t n, const psal_real *x, psal_real offset, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = x[i] + offset;
}

PSAL_CLONES void psal_kernel_clip(size_t n, const psal_real *x, psal_real low, psal_real high, psal_real *out) {
    for (size_t i = 0; i < n; i++) {
        const psal_real above = x[i] < low ? low : x[i];
        out[i] = above > high ? high : above;
    }
}

/* out = f(out): what f cannot take has been clipped before, with bounds that the compiler does not know. Those it knows
 * it makes branches of, and then no vectors. */
#define IN_PLACE(name, value)                                           \
    PSAL_CLONES static void name##_in_place(size_t n, psal_real *out) { \
        for (size_t i = 0; i < n; i++) {                                \
            const double x = out[i];                                    \
            out[i] = (psal_real)(value);                                \
        }                                                               \
    }

IN_PLACE(exp, exp_of(x))
IN_PLACE(sigmoid, 1 / (1 + exp_of(-x)))
IN_PLACE(tanh, tanh_of(x))
IN_PLACE(erf, erf_of(x))

void psal_kernel_exp(size_t n, const psal_real *x, psal_real *out) {
    psal_kernel_clip(n, x, -EXP_BOUND, EXP_BOUND, out);
    exp_in_place(n, out);
}

void psal_kernel_sigmoid(size_t n, const psal_real *x, psal_real *out) {
    psal_kernel_clip(n, x, -EXP_BOUND, EXP_BOUND, out);
    sigmoid_in_place(n, out);
}

void psal_kernel_tanh(size_t n, const psal_real *x, psal_real *out) {
    psal_kernel_clip(n, x, -TANH_BOUND, TANH_BOUND, out);
    tanh_in_place(n, out);
}

void psal_kernel_erf(size_t n, const psal_real *x, psal_real *out) {
    psal_kernel_clip(n, x, -ERF_BOUND, ERF_BOUND, out);
    erf_in_place(n, out);
}

void psal_kernel_log(size_t n, const psal_real *x, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)log(x[i]);
}

void psal_kernel_pow(size_t n, const psal_real *x, double exponent, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)pow(x[i], exponent);
}

PSAL_CLONES static void mask_open(size_t n, const psal_real *dy, const psal_real *x, psal_real low, psal_real high,
                                  psal_real *out) {
    for (size_t i = 0; i < n; i++) {
        const psal_real value = dy[i];
        const psal_real below = x[i] < high ? value : 0;
        out[i] = x[i] > low ? below : 0;
    }
}

PSAL_CLONES static void mask_closed(size_t n, const psal_real *dy, const psal_real *x, psal_real low, psal_real high,
                                    psal_real *out) {
    for (size_t i = 0; i < n; i++) {
        const psal_real value = dy[i];
        const psal_real below = x[i] <= high ? value : 0;
        out[i] = x[i] >= low ? below : 0;
    }
}

void psal_kernel_clip_mask(size_t n, const psal_real *dy, const psal_real *x, psal_real low, psal_real high,
                           bool closed, psal_real *out) {
    (closed ? mask_closed : mask_open)(n, dy, x, low, high, out);
}
