#include "engine/kernels/rows.h"

#include <math.h>

#include "engine/kernels/activation.h"
#include "engine/kernels/clones.h"

/* Independent partial sums: the compiler can keep them in vector registers, and their order is fixed. */
enum { LANES = 8, SERIAL_BELOW = 32768 };

static int use_threads(size_t rows, size_t columns, const psal_parallel *parallel) {
    return rows > 1 ? psal_parallel_threads(parallel, rows * columns, SERIAL_BELOW) : 1;
}

static double add_lanes(const double *lanes) {
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

#define SUM_ROW(columns, i, term)                                  \
    double lanes[LANES] = {0};                                     \
    size_t whole = (columns) / LANES * LANES;                      \
    for (size_t block = 0; block < whole; block += LANES)          \
        for (size_t lane = 0; lane < LANES; lane++) {              \
            size_t i = block + lane;                               \
            lanes[lane] += (term);                                 \
        }                                                          \
    for (size_t i = whole; i < (columns); i++) lanes[0] += (term); \
    return add_lanes(lanes)

static double sum_row(size_t columns, const psal_real *x) {
    SUM_ROW(columns, i, x[i]);
}

static inline double sum_abs_row(size_t columns, const psal_real *x) {
    SUM_ROW(columns, i, fabs(x[i]));
}

PSAL_CLONES static void mean_abs_rows(size_t rows, size_t columns, const psal_real *x, psal_real *mean) {
    for (size_t r = 0; r < rows; r++) mean[r] = (psal_real)(sum_abs_row(columns, x + r * columns) / (double)columns);
}

static double sum_ternary_row(size_t columns, const unsigned char *codes, const psal_real *a) {
    SUM_ROW(columns, i, (codes[i] - 1) * a[i]);
}

void psal_kernel_row_sum(size_t rows, size_t columns, const psal_real *x, psal_real *sum,
                         const psal_parallel *parallel) {
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t r = 0; r < rows; r++) sum[r] = (psal_real)sum_row(columns, x + r * columns);
}

void psal_kernel_row_mean(size_t rows, size_t columns, const psal_real *x, psal_real *mean,
                          const psal_parallel *parallel) {
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t r = 0; r < rows; r++) mean[r] = (psal_real)(sum_row(columns, x + r * columns) / (double)columns);
}

/* (Without `restrict` the compiler makes no vectors, because bytes may alias anything.) */
PSAL_CLONES static void code_row(size_t n, const psal_real *restrict x, unsigned char *restrict codes) {
    for (size_t i = 0; i < n; i++) codes[i] = (unsigned char)(1 + (x[i] > 0) - (x[i] < 0));
}

PSAL_CLONES static void decode_row(size_t n, const unsigned char *restrict codes, psal_real value,
                                   psal_real *restrict out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)(codes[i] - 1) * value;
}

void psal_kernel_ternary_codes(size_t n, const psal_real *x, unsigned char *codes, const psal_parallel *parallel) {
    enum { PIECE = 16384 };
    int threads = use_threads((n + PIECE - 1) / PIECE, PIECE, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t start = 0; start < n; start += PIECE)
        code_row(n - start < PIECE ? n - start : PIECE, x + start, codes + start);
}

/* Some rows at a time, so that the codes are made of values in the L1 cache. */
void psal_kernel_row_mean_abs(size_t rows, size_t columns, const psal_real *x, psal_real *mean, unsigned char *codes,
                              const psal_parallel *parallel) {
    enum { NEAR = 4096 };
    const size_t together = columns < NEAR ? NEAR / columns : 1;
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t first = 0; first < rows; first += together) {
        const size_t count = rows - first < together ? rows - first : together;
        mean_abs_rows(count, columns, x + first * columns, mean + first);
        if (codes && rows > 1) code_row(count * columns, x + first * columns, codes + first * columns);
    }
    /* one long row: in pieces, by all threads */
    if (codes && rows == 1) psal_kernel_ternary_codes(columns, x, codes, parallel);
}

void psal_kernel_row_ternary_mean(size_t rows, size_t columns, const unsigned char *codes, const psal_real *a,
                                  psal_real *mean, const psal_parallel *parallel) {
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t r = 0; r < rows; r++)
        mean[r] = (psal_real)(sum_ternary_row(columns, codes + r * columns, a + r * columns) / (double)columns);
}

void psal_kernel_row_spread(size_t rows, size_t columns, const psal_real *v, psal_real factor, psal_real *out,
                            const psal_parallel *parallel) {
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t r = 0; r < rows; r++) {
        psal_real value = v[r] * factor;
        for (size_t i = 0; i < columns; i++) out[r * columns + i] = value;
    }
}

void psal_kernel_row_ternary_spread(size_t rows, size_t columns, const unsigned char *codes, const psal_real *v,
                                    psal_real factor, psal_real *out, const psal_parallel *parallel) {
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t r = 0; r < rows; r++) decode_row(columns, codes + r * columns, v[r] * factor, out + r * columns);
}

static psal_real row_max(size_t columns, const psal_real *z) {
    psal_real max = z[0];
    for (size_t i = 1; i < columns; i++)
        if (z[i] > max) max = z[i];
    return max;
}

static double sum_exp(size_t columns, const psal_real *z, psal_real max) {
    double sum = 0;
    for (size_t i = 0; i < columns; i++) sum += exp((double)z[i] - (double)max);
    return sum;
}

PSAL_CLONES static void subtract(size_t n, const psal_real *x, psal_real value, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = x[i] - value;
}

PSAL_CLONES static void multiply(size_t n, double factor, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)(out[i] * factor);
}

void psal_kernel_softmax(size_t rows, size_t columns, const psal_real *z, psal_real *y, const psal_parallel *parallel) {
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t r = 0; r < rows; r++) {
        const psal_real *from = z + r * columns;
        psal_real *to = y + r * columns;
        subtract(columns, from, row_max(columns, from), to);
        psal_kernel_exp(columns, to, to);
        multiply(columns, 1 / sum_row(columns, to), to);
    }
}

/* Mean, and 1 / sqrt(variance + epsilon), of a row. */
typedef struct moments {
    double mean, inverse;
} moments;

static double sum_squares_row(size_t columns, const psal_real *x, double mean) {
    SUM_ROW(columns, i, (x[i] - mean) * (x[i] - mean));
}

static moments moments_of(size_t columns, const psal_real *x, double epsilon) {
    const double mean = sum_row(columns, x) / (double)columns;
    return (moments){mean, 1 / sqrt(sum_squares_row(columns, x, mean) / (double)columns + epsilon)};
}

PSAL_CLONES static void normalize(size_t n, const psal_real *x, moments m, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)((x[i] - m.mean) * m.inverse);
}

void psal_kernel_row_normalize(size_t rows, size_t columns, const psal_real *x, double epsilon, psal_real *out,
                               const psal_parallel *parallel) {
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t r = 0; r < rows; r++)
        normalize(columns, x + r * columns, moments_of(columns, x + r * columns, epsilon), out + r * columns);
}

void psal_kernel_row_rsqrt_variance(size_t rows, size_t columns, const psal_real *x, double epsilon, psal_real *out,
                                    const psal_parallel *parallel) {
    int threads = use_threads(rows, columns, parallel);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t r = 0; r < rows; r++) out[r] = (psal_real)moments_of(columns, x + r * columns, epsilon).inverse;
}

void psal_kernel_softmax_residual(size_t rows, size_t columns, const psal_real *z, const psal_real *target,
                                  psal_real *y) {
    for (size_t r = 0; r < rows; r++) {
        const psal_real *from = z + r * columns;
        psal_real *to = y + r * columns, max = row_max(columns, from);
        bool valid = target[r] >= 0 && target[r] < (psal_real)columns;
        size_t t = valid ? (size_t)target[r] : 0;
        double sum = sum_exp(columns, from, max), others = 0;
        for (size_t i = 0; i < columns; i++) {
            double p = exp((double)from[i] - (double)max) / sum;
            if (i != t) others += p;
            to[i] = valid ? (psal_real)p : (psal_real)NAN;
        }
        if (valid) to[t] = (psal_real)-others; /* p_t - 1 without the cancellation */
    }
}

void psal_kernel_softmax_jacobian(size_t rows, size_t columns, const psal_real *z, const psal_real *g, psal_real *out) {
    for (size_t r = 0; r < rows; r++) {
        const psal_real *from = z + r * columns, *gr = g + r * columns;
        psal_real max = row_max(columns, from);
        double sum = sum_exp(columns, from, max), mean = 0;
        /* <g, p> relative to g at the largest logit, so that nothing cancels when p is nearly one-hot */
        size_t top = 0;
        while (from[top] != max && top + 1 < columns) top++;
        double origin = gr[top];
        for (size_t i = 0; i < columns; i++)
            mean += exp((double)from[i] - (double)max) / sum * ((double)gr[i] - origin);
        for (size_t i = 0; i < columns; i++)
            out[r * columns + i] = (psal_real)(exp((double)from[i] - (double)max) / sum *
                                               ((double)gr[i] - origin - mean));
    }
}

void psal_kernel_cross_entropy(size_t rows, size_t columns, const psal_real *z, const psal_real *target,
                               psal_real *loss) {
    for (size_t r = 0; r < rows; r++) {
        const psal_real *from = z + r * columns;
        psal_real max = row_max(columns, from);
        bool valid = target[r] >= 0 && target[r] < (psal_real)columns;
        loss[r] = valid ? (psal_real)(log(sum_exp(columns, from, max)) + (double)max - (double)from[(size_t)target[r]])
                        : (psal_real)NAN;
    }
}

void psal_kernel_one_hot(size_t rows, size_t columns, const psal_real *target, psal_real *y) {
    for (size_t r = 0; r < rows; r++) {
        bool valid = target[r] >= 0 && target[r] < (psal_real)columns;
        for (size_t i = 0; i < columns; i++) y[r * columns + i] = valid ? 0 : (psal_real)NAN;
        if (valid) y[r * columns + (size_t)target[r]] = 1;
    }
}
