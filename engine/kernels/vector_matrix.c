#include "engine/kernels/vector_matrix.h"

#include <string.h>

#include "engine/kernels/clones.h"

enum { TOGETHER = 4 }; /* rows added in one pass over y */

PSAL_CLONES static void add_rows(size_t columns, const psal_real *x, const psal_real *const *row,
                                 psal_real *restrict y) {
    const psal_real *r0 = row[0], *r1 = row[1], *r2 = row[2], *r3 = row[3];
    const psal_real x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
    for (size_t i = 0; i < columns; i++) y[i] += (x0 * r0[i] + x1 * r1[i]) + (x2 * r2[i] + x3 * r3[i]);
}

PSAL_CLONES static void add_row(size_t columns, psal_real x, const psal_real *row, psal_real *restrict y) {
    for (size_t i = 0; i < columns; i++) y[i] += x * row[i];
}

void psal_vector_matrix(size_t rows, size_t columns, const psal_real *x, const psal_real *a, size_t lda, psal_real *y) {
    psal_real factor[TOGETHER];
    const psal_real *row[TOGETHER];
    size_t waiting = 0;
    memset(y, 0, columns * sizeof *y);
    for (size_t r = 0; r < rows; r++) {
        if (x[r] == 0) continue;
        factor[waiting] = x[r];
        row[waiting] = a + r * lda;
        waiting++;
        if (waiting == TOGETHER) {
            add_rows(columns, factor, row, y);
            waiting = 0;
        }
    }
    for (size_t i = 0; i < waiting; i++) add_row(columns, factor[i], row[i], y);
}
