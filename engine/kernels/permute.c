#include "engine/kernels/permute.h"

#include <stdbool.h>
#include <string.h>

enum { TILE = 16, SERIAL_BELOW = 32768 };

/* Columns [0, columns) of some rows of out, both of which are contiguous in one of the tensors: in tiles, so that what
 * a line of the cache holds of either is used at once. */
static void transpose(size_t rows, size_t columns, const psal_real *x, size_t x_stride, psal_real *out,
                      size_t out_stride) {
    for (size_t first = 0; first < columns; first += TILE) {
        const size_t end = columns - first < TILE ? columns : first + TILE;
        for (size_t row = 0; row < rows; row++)
            for (size_t column = first; column < end; column++)
                out[row * out_stride + column] = x[column * x_stride + row];
    }
}

void psal_kernel_permute(int ndim, const size_t *dim, const size_t *stride, const psal_real *x, psal_real *out,
                         const psal_parallel *parallel) {
    const int last = ndim - 1;
    int contiguous = last; /* the axis along which x is */
    for (int d = 0; d < last; d++)
        if (stride[d] == 1 && dim[d] > 1) contiguous = d;
    size_t out_stride[8], step = 1, tasks = 1;
    for (int d = last; d >= 0; d--) {
        out_stride[d] = step;
        step *= dim[d];
    }
    /* A task is one row of out, or TILE of them along the axis along which x is contiguous. */
    const size_t tile = contiguous == last ? 1 : TILE, blocks = (dim[contiguous] + tile - 1) / tile;
    for (int d = 0; d < last; d++) tasks *= contiguous != last && d == contiguous ? blocks : dim[d];
    const int threads = step >= SERIAL_BELOW ? parallel->threads : 1;
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t task = 0; task < tasks; task++) {
        size_t rest = task, from = 0, to = 0, rows = 1;
        for (int d = last - 1; d >= 0; d--) {
            const bool is_block = contiguous != last && d == contiguous;
            const size_t count = is_block ? blocks : dim[d], at = rest % count * (is_block ? tile : 1);
            rest /= count;
            from += at * stride[d];
            to += at * out_stride[d];
            if (is_block) rows = dim[d] - at < tile ? dim[d] - at : tile;
        }
        if (contiguous == last)
            memcpy(out + to, x + from, dim[last] * sizeof *out);
        else
            transpose(rows, dim[last], x + from, stride[last], out + to, out_stride[contiguous]);
    }
}
