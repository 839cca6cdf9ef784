#include "engine/kernels/broadcast.h"

#include <string.h>

#include "engine/kernels/clones.h"

/* ---- repeating ---- */

PSAL_CLONES static void repeat(size_t n, psal_real value, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = value;
}

/* Row by row of the last axis, with the coordinates of the row counted on. */
void psal_kernel_expand(size_t begin, size_t end, const psal_broadcast *b, const psal_real *x, psal_real *out) {
    const int last = b->ndim - 1;
    const size_t length = b->dim[last];
    size_t at[PSAL_BROADCAST_AXES] = {0}, stride[PSAL_BROADCAST_AXES] = {0}, from = 0;
    size_t step = b->repeated[last] ? 1 : length, row = begin / length;
    for (int d = last - 1; d >= 0; d--) {
        at[d] = row % b->dim[d];
        row /= b->dim[d];
        if (b->repeated[d]) continue;
        stride[d] = step;
        step *= b->dim[d];
        from += at[d] * stride[d];
    }
    for (size_t column = begin % length; begin < end; column = 0) {
        const size_t count = length - column < end - begin ? length - column : end - begin;
        if (b->repeated[last])
            repeat(count, x[from], out + begin);
        else
            memcpy(out + begin, x + from + column, count * sizeof *out);
        begin += count;
        for (int d = last - 1; d >= 0; d--) {
            from += stride[d];
            if (++at[d] < b->dim[d]) break;
            from -= at[d] * stride[d];
            at[d] = 0;
        }
    }
}

/* ---- summing ---- */

enum { LANES = 8, COLUMNS = 64, SERIAL_BELOW = 32768 };

/* Where in the larger tensor the element number `index` of the axes in front of `end` is that are, or are not,
 * repeated. */
static size_t place(const psal_broadcast *b, int end, bool repeated, size_t index) {
    size_t offset = 0, stride = 1;
    for (int d = b->ndim - 1; d >= 0; stride *= b->dim[d--]) {
        if (d >= end || b->repeated[d] != repeated) continue;
        offset += index % b->dim[d] * stride;
        index /= b->dim[d];
    }
    return offset;
}

/* Lanes of their own, so that the order is fixed and the compiler makes vectors. */
PSAL_CLONES static void add_row(size_t n, const psal_real *x, double lanes[LANES]) {
    const size_t whole = n / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) lanes[lane] += x[i + lane];
    for (size_t i = whole; i < n; i++) lanes[i - whole] += x[i];
}

PSAL_CLONES static void add_columns(size_t n, const psal_real *x, double sums[COLUMNS]) {
    for (size_t i = 0; i < n; i++) sums[i] += x[i];
}

/* Each result is a sum over rows that lie in one piece. */
static void sum_rows(const psal_broadcast *b, size_t kept, size_t summed, const psal_real *x, psal_real *out,
                     int threads) {
    const int last = b->ndim - 1;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t k = 0; k < kept; k++) {
        double lanes[LANES] = {0};
        const psal_real *from = x + place(b, last, false, k);
        for (size_t s = 0; s < summed; s++) add_row(b->dim[last], from + place(b, last, true, s), lanes);
        out[k] = (psal_real)(((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
                             ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7])));
    }
}

/* Some columns of the last axis at a time, over all rows. */
static void sum_columns(const psal_broadcast *b, size_t kept, size_t summed, const psal_real *x, psal_real *out,
                        int threads) {
    const int last = b->ndim - 1;
    const size_t length = b->dim[last], blocks = (length + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t task = 0; task < kept * blocks; task++) {
        const size_t first = task % blocks * COLUMNS, k = task / blocks;
        const size_t count = length - first < COLUMNS ? length - first : COLUMNS;
        const psal_real *from = x + place(b, last, false, k) + first;
        double sums[COLUMNS] = {0};
        for (size_t s = 0; s < summed; s++) add_columns(count, from + place(b, last, true, s), sums);
        for (size_t i = 0; i < count; i++) out[k * length + first + i] = (psal_real)sums[i];
    }
}

void psal_kernel_sum_to(const psal_broadcast *b, const psal_real *x, psal_real *out, const psal_parallel *parallel) {
    size_t kept = 1, summed = 1; /* of the axes in front of the last */
    for (int d = 0; d < b->ndim - 1; d++) *(b->repeated[d] ? &summed : &kept) *= b->dim[d];
    const size_t all = kept * summed * b->dim[b->ndim - 1];
    const int threads = all >= SERIAL_BELOW ? parallel->threads : 1;
    (b->repeated[b->ndim - 1] ? sum_rows : sum_columns)(b, kept, summed, x, out, threads);
}
