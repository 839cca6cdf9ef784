#include "engine/kernels/x86/product.h"

#include <omp.h>

#define PSAL_CONV2D_COPY strided_copy
#include "engine/kernels/conv2d_gather.h"
#include "engine/kernels/x86/micro.h"

#define DEPTH 256u      /* a tile of A is 14 x 256 floats: 14 KiB */
#define COLUMNS 256u    /* columns of B at a time: 256 x 256 floats: 256 KiB */
#define BLOCK_TILES 8u  /* tiles of A packed at a time: 128 KiB */
#define WANTED_TASKS 8u /* enough to share between threads */

void psal_product_plan(psal_product *p)
{
    p->in_place = p->l.h.place_step == 1 && p->l.w.place_step == 1;
    size_t blocks = psal_ceil_div(p->positions, BLOCK);
    p->column_tasks = psal_size_max(psal_ceil_div(blocks, COLUMNS / BLOCK), 1);
    if (p->column_tasks == 1 && blocks >= 12) p->column_tasks = 2;
    p->columns = psal_ceil_div(blocks, p->column_tasks) * BLOCK;
    size_t tasks = p->column_tasks * p->images;
    p->row_tasks = tasks >= WANTED_TASKS
                       ? 1
                       : psal_size_max(psal_size_min(psal_ceil_div(WANTED_TASKS, tasks), p->rows / 28), 1);
    p->cuts = psal_ceil_div(p->depth, DEPTH);
    p->shared = p->row_tasks > 1;
    p->shared_floats = p->shared ? tasks * p->depth * p->columns : 0;
    p->buffer = p->columns + BLOCK + BLOCK_TILES * DEPTH * BLOCK;
    if (!p->shared) p->buffer += DEPTH * p->columns;
    if (!p->in_place) p->buffer += psal_ceil_div(p->rows, p->row_tasks) * p->columns;
}

/* B of one cut of K: panels of 16 columns, [panel][k][16]. `line` holds one gathered row. */
static void pack_columns(const psal_product *p, const float *source, size_t start, size_t depth, size_t column,
                         size_t columns, float *line, float *b)
{
    const size_t full = columns / BLOCK;
    for (size_t k = 0; k < depth; k++) {
        const float *row = line;
        if (p->plain)
            row = source + (start + k) * p->positions + column;
        else
            psal_conv2d_gather_row(&p->l, source, start + k, column, columns, line);
        float *dst = b + k * BLOCK;
        for (size_t i = 0; i < full; i++, dst += depth * BLOCK, row += BLOCK)
            for (size_t v = 0; v < BLOCK; v += WIDTH) vec_store(dst + v, vec_load(row + v));
        if (columns % BLOCK) block_copy(dst, row, columns % BLOCK);
    }
}

/* Tiles of A for rows row .. row+rows-1 and k = start .. start+depth-1, each DEPTH * BLOCK floats after the last, in the
 * micro kernel's form for rows (PSAL_A_ROWS) or columns (the others). */
static void pack_rows(const psal_product *p, const float *w, size_t row, size_t rows, size_t tiles, size_t start,
                      size_t depth, float *a)
{
    if (p->form == PSAL_A_ROWS) {
        for (size_t tile = 0; tile < tiles; tile++, a += DEPTH * BLOCK) {
            const size_t m = even_start(rows, tiles, tile), count = even_share(rows, tiles, tile);
            const float *src = w + (row + m) * p->depth + start;
            for (size_t i = 0; i < count; i++, src += p->depth)
                for (size_t k = 0; k < depth; k += BLOCK)
                    block_copy(a + k * count + i * BLOCK, src + k, psal_size_min(BLOCK, depth - k));
        }
        return;
    }
    /* Rows of memory outside, tiles inside: w is read in long runs. */
    const size_t taps_w = (size_t)p->l.w.taps, taps = psal_conv2d_taps(&p->l);
    size_t o = start / taps, tap = start % taps;
    for (size_t k = 0; k < depth; k++) {
        size_t distance = 1;
        const float *src = w + (start + k) * p->rows + row;
        if (p->form == PSAL_A_TAPS) {
            distance = p->kernel;
            src = w + (o * p->rows + row) * p->kernel +
                  ((size_t)p->l.h.kernel + tap / taps_w * (size_t)p->l.h.kernel_step) * p->kernel_width +
                  (size_t)p->l.w.kernel + tap % taps_w * (size_t)p->l.w.kernel_step;
            if (++tap == taps) {
                tap = 0;
                o++;
            }
        }
        for (size_t tile = 0; tile < tiles; tile++) {
            const size_t count = even_share(rows, tiles, tile);
            float *dst = a + tile * (DEPTH * BLOCK) + k * BLOCK;
            if (distance == 1)
                block_copy(dst, src, count);
            else
                for (size_t m = 0; m < count; m++) dst[m] = src[m * distance];
            src += count * distance;
        }
    }
}

/* Put from[rows, ld] (positions column .. column+n-1), or zeros, in their places in the planes of the result. */
static void place(const psal_product *p, const float *from, size_t ld, size_t rows, size_t column, size_t n, float *result)
{
    const size_t width = (size_t)p->l.w.count, step = (size_t)p->l.w.place_step;
    for (size_t r = 0; r < rows; r++) {
        size_t y = column / width, x = column % width;
        for (size_t i = 0; i < n; x = 0, y++) {
            const size_t run = psal_size_min(width - x, n - i);
            float *dst = result + (r * p->result_height + (size_t)p->l.h.place + y * (size_t)p->l.h.place_step) * p->result_width +
                         (size_t)p->l.w.place + x * step;
            for (size_t j = 0; j < run; j++) dst[j * step] = from ? from[r * ld + i + j] : 0;
            i += run;
        }
    }
}

/* c[rows, ldc] (+)= A * B for one cut of K */
static void multiply(const psal_product *p, const float *w, size_t row, size_t rows, size_t start, size_t depth,
                     const float *b, size_t columns, float *a, float *c, size_t ldc)
{
    const size_t all_tiles = psal_ceil_div(rows, MAX_ROWS), blocks = psal_ceil_div(all_tiles, BLOCK_TILES);
    for (size_t block = 0; block < blocks; block++) {
        const size_t first = even_start(rows, blocks, block), count = even_share(rows, blocks, block);
        const size_t tiles = psal_ceil_div(count, MAX_ROWS);
        pack_rows(p, w, row + first, count, tiles, start, depth, a);
        for (size_t tile = 0; tile < tiles; tile++) {
            const size_t m = first + even_start(count, tiles, tile), tile_rows = even_share(count, tiles, tile);
            const bool by_rows = p->form == PSAL_A_ROWS;
            for (size_t n = 0; n < columns; n += TILE_COLUMNS)
                psal_micro(by_rows ? PSAL_MICRO_CHAINS : PSAL_MICRO_COLUMNS, tile_rows,
                           psal_size_min(TILE_COLUMNS, columns - n), depth, a + tile * (DEPTH * BLOCK),
                           by_rows ? tile_rows * BLOCK : BLOCK, b + n * depth, BLOCK, depth * BLOCK, c + m * ldc + n, ldc,
                           start > 0);
        }
    }
}

void psal_product_run(const psal_product *p, const float *source, const float *w, float *result, float *scratch,
                      int threads)
{
    const size_t source_image = p->channels * (size_t)p->l.h.source * (size_t)p->l.w.source;
    const size_t plane = p->result_height * p->result_width;
    const size_t group_floats = p->form == PSAL_A_TAPS ? p->rows * p->channels * p->kernel : p->rows * p->depth;
    const size_t blocks = psal_ceil_div(p->positions, BLOCK), parts = p->images * p->column_tasks;
    float *shared = scratch, *buffers = scratch + p->shared_floats;
    if (p->positions == 0) return;

    if (p->shared) {
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
        for (size_t task = 0; task < parts * p->cuts; task++) {
            const size_t part = task / p->cuts, cut = task % p->cuts;
            const size_t column = even_start(blocks, p->column_tasks, part % p->column_tasks) * BLOCK;
            const size_t share = even_share(blocks, p->column_tasks, part % p->column_tasks) * BLOCK;
            const size_t start = even_start(p->depth, p->cuts, cut), depth = even_share(p->depth, p->cuts, cut);
            pack_columns(p, source + part / p->column_tasks * source_image, start, depth, column,
                         psal_size_min(share, p->positions - column),
                         buffers + (size_t)omp_get_thread_num() * p->buffer,
                         shared + part * p->depth * p->columns + start * share);
        }
    }

#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (size_t task = 0; task < parts * p->row_tasks; task++) {
        const size_t part = task / p->row_tasks, image = part / p->column_tasks;
        const size_t row = even_start(p->rows, p->row_tasks, task % p->row_tasks);
        const size_t rows = even_share(p->rows, p->row_tasks, task % p->row_tasks);
        const size_t column = even_start(blocks, p->column_tasks, part % p->column_tasks) * BLOCK;
        const size_t share = even_share(blocks, p->column_tasks, part % p->column_tasks) * BLOCK;
        const size_t columns = psal_size_min(share, p->positions - column);
        float *out = result + (image * p->rows + row) * plane;

        float *line = buffers + (size_t)omp_get_thread_num() * p->buffer, *a = line + p->columns + BLOCK;
        float *own = a + BLOCK_TILES * DEPTH * BLOCK, *unplaced = own + (p->shared ? 0 : DEPTH * p->columns);
        float *c = p->in_place ? out + column : unplaced;
        const size_t ldc = p->in_place ? plane : p->columns;

        for (size_t cut = 0; cut < p->cuts; cut++) {
            const size_t start = even_start(p->depth, p->cuts, cut), depth = even_share(p->depth, p->cuts, cut);
            const float *b = shared + part * p->depth * p->columns + start * share;
            if (!p->shared) {
                pack_columns(p, source + image * source_image, start, depth, column, columns, line, own);
                b = own;
            }
            multiply(p, w + image % p->groups * group_floats, row, rows, start, depth, b, columns, a, c, ldc);
        }
        if (p->depth == 0)
            place(p, NULL, 0, rows, column, columns, out);
        else if (!p->in_place)
            place(p, c, ldc, rows, column, columns, out);
    }
}
