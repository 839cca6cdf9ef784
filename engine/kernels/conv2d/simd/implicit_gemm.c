#include "engine/kernels/conv2d/simd/implicit_gemm.h"

#include "engine/kernels/tasks.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/column_runs.h"
#include "engine/kernels/conv2d/simd/register_tile.h"
#include "engine/kernels/conv2d/simd/register_tile_unpacked.h"

/* Depth of a K block: a strip of B is 64 x 160 floats, 40 KiB, and stays in the L1 cache; the long one where A is
 * packed or B of a forward pass is one strip. */
#define DEPTH 160u
#define LONG_DEPTH 256u
/* Columns of a task at most; more where one thread computes all and A is rows; an image of few is one task. */
#define COLUMNS 256u
#define ONE_THREAD_COLUMNS 512u
#define FEW_COLUMNS 320u
/* Tiles of A packed at a time, from long runs of memory: 225 KiB. A tile has an odd number of cache lines, so that
 * tiles do not map to the same cache sets. */
#define PACKED_TILES 16u
#define TILE_FLOATS ((LONG_DEPTH + 1) * BLOCK)
#define L1_STRIDE 128u  /* rows of B a multiple of so many floats apart map to few sets of the L1 cache */
#define WANTED_TASKS 8u /* enough to balance the threads, */
#define TASK_ROWS 56u   /* if each has so many rows, because each reads all its columns */

/* Whether A is packed: the elements of a row are not contiguous. */
static bool packs_a(const psal_implicit_gemm *p) {
    return p->form == PSAL_A_TAPS;
}

/* Whether B is the source itself and is not packed. */
static bool reads_source(const psal_implicit_gemm *p) {
    if (packs_a(p) || !p->identity) return false;
    return p->positions <= UNPACKED_COLUMNS ? psal_tile_reads_exactly(p->positions) : p->positions % L1_STRIDE != 0;
}

/* Columns of a tile: all of an image, or as many as fit. 49 columns (7 x 7) are a kind of their own, and are taken for
 * multiples of 49 too. */
static size_t choose_strip(const psal_implicit_gemm *p) {
    if (packs_a(p)) return TILE_COLUMNS;
    if (p->positions <= UNPACKED_COLUMNS) return p->positions;
    const size_t one_more = 3 * WIDTH + 1;
    return WIDTH == 16 && p->form == PSAL_A_TRANSPOSED && p->column_tasks == 1 && p->positions % one_more == 0
               ? one_more
               : UNPACKED_COLUMNS;
}

/* How many of some columns are read from the source: whole strips, because the last one may read behind its end */
static size_t whole_columns(const psal_implicit_gemm *p, size_t columns) {
    return psal_tile_reads_exactly(columns % p->strip) ? columns : columns - columns % p->strip;
}

/* Columns of each image that a task packs, at most */
static size_t most_packed(const psal_implicit_gemm *p) {
    if (p->shared) return 0;
    if (!p->in_source) return p->columns;
    if (p->positions % BLOCK == 0 || (p->column_tasks == 1 && whole_columns(p, p->positions) == p->positions)) return 0;
    return psal_size_min(p->strip, p->columns);
}

/* Tasks are some columns, and some rows of them too where there would be fewer tasks than wanted. */
static void choose_tasks(psal_implicit_gemm *p, int threads) {
    const size_t blocks = psal_ceil_div(p->positions, BLOCK), team = (size_t)threads;
    size_t most = threads == 1 && p->form == PSAL_A_ROWS ? ONE_THREAD_COLUMNS : COLUMNS;
    if (p->positions <= FEW_COLUMNS) most = psal_size_max(most, FEW_COLUMNS);
    p->column_tasks = psal_size_max(psal_ceil_div(blocks, most / BLOCK), 1);
    if (p->column_tasks > 1) p->column_tasks = psal_size_min(psal_round_up(p->column_tasks, team), blocks);
    p->columns = psal_ceil_div(blocks, p->column_tasks) * BLOCK;
    p->task_images = 1;
    if (p->groups == 1 && p->positions > 0)
        p->task_images = psal_size_min(psal_size_max(most / p->columns, 1), p->images);

    const size_t parts = p->column_tasks * psal_ceil_div(p->images, p->task_images),
                 wanted = psal_size_max(WANTED_TASKS, team);
    const size_t least = psal_size_min(psal_ceil_div(team, parts), psal_ceil_div(p->rows, MAX_ROWS));
    const size_t large = p->rows / TASK_ROWS / team * team; /* as many for every thread */
    p->row_tasks = threads == 1 || parts >= wanted
                       ? 1
                       : psal_size_max(psal_size_min(psal_ceil_div(wanted, parts), large), least);
}

/* Fill in everything from `in_place` on. */
static void divide(psal_implicit_gemm *p, int threads) {
    p->identity = psal_conv2d_lowered_is_identity(&p->l);
    p->depth = p->channels * psal_conv2d_taps(&p->l);
    p->positions = psal_conv2d_positions(&p->l);
    p->in_place = p->l.h.place_step == 1 && p->l.w.place_step == 1;
    choose_tasks(p, threads);
    /* whatever the width of a vector, for the same bits */
    const bool one_strip = p->form == PSAL_A_ROWS && p->positions <= 64;
    p->k_blocks = psal_ceil_div(p->depth, one_strip || packs_a(p) ? LONG_DEPTH : DEPTH);
    p->strip = choose_strip(p);
    p->in_source = reads_source(p);
    p->shared = p->row_tasks > 1 && !p->in_source;
    p->shared_floats = p->shared ? p->column_tasks * p->images * p->depth * p->columns : 0;
    p->packed_columns = most_packed(p);
    p->buffer = (packs_a(p) ? 2 * PACKED_TILES * TILE_FLOATS : 0) + p->task_images * LONG_DEPTH * p->packed_columns;
    if (!p->in_place) p->buffer += p->task_images * psal_ceil_div(p->rows, p->row_tasks) * p->columns;
}

size_t psal_gemm_scratch(const psal_implicit_gemm *p, int threads) {
    return (p->shared_floats + (size_t)threads * p->buffer) * sizeof(float);
}

psal_implicit_gemm psal_gemm_of_dy(const psal_conv2d_shape *s, size_t images, int threads) {
    const psal_conv2d_axis h = {.count = s->out_height,
                                .stride = 1,
                                .taps = 1,
                                .offset_step = 1,
                                .kernel_step = 1,
                                .place_step = 1,
                                .source = s->out_height};
    psal_implicit_gemm p = {.l = {h, h}, .form = PSAL_A_TRANSPOSED};
    p.l.w.count = p.l.w.source = s->out_width;
    p.rows = (size_t)(s->in_channels / s->groups) * (size_t)s->kernel_height * (size_t)s->kernel_width;
    p.channels = (size_t)(s->out_channels / s->groups);
    p.images = images;
    p.groups = (size_t)s->groups;
    p.result_height = (size_t)s->out_height;
    p.result_width = (size_t)s->out_width;
    divide(&p, threads);
    return p;
}

/* B of a K block, or a part of it: panels of 16 columns, [panel][k][16], of panel_depth rows each. The runs of a block
 * of columns at a tap are found once for all channels. */
static void pack_columns(const psal_implicit_gemm *p, const float *source, size_t start, size_t depth, size_t column,
                         size_t columns, size_t panel_depth, float *b) {
    const size_t taps = psal_conv2d_taps(&p->l), plane = (size_t)p->l.h.source * (size_t)p->l.w.source;
    const size_t width = (size_t)p->l.w.count, step = taps * BLOCK;
    const int stride = p->l.w.stride;
    for (size_t k = 0; p->identity && k < depth; k++) {
        const float *row = source + (start + k) * p->positions + column;
        for (size_t j = 0; j < columns; j += BLOCK)
            block_copy(b + j * panel_depth + k * BLOCK, row + j, psal_size_min(BLOCK, columns - j));
    }
    if (p->identity) return;
    for (size_t first = 0; first < psal_size_min(taps, depth); first++) {
        const size_t channels = psal_ceil_div(depth - first, taps);
        const psal_conv2d_tap tap = psal_conv2d_tap_at(&p->l, (start + first) % taps);
        const float *src = source + (start + first) / taps * plane;
        size_t y = column / width, x = column % width;
        for (size_t j = 0; j < columns; j += BLOCK) {
            float *dst = b + j * panel_depth + first * BLOCK;
            column_run runs[BLOCK];
            const size_t count = find_runs(&p->l, &tap, (int)y, (int)x, (int)psal_size_min(BLOCK, columns - j), runs);
            /* constants in the frequent cases, so that their loops are unrolled */
            if (stride == 1 && count == 1)
                load_runs(src, plane, channels, runs, 1, 1, dst, step);
            else if (stride == 1)
                load_runs(src, plane, channels, runs, count, 1, dst, step);
            else if (stride == 2 && count == 1)
                load_runs(src, plane, channels, runs, 1, 2, dst, step);
            else if (stride == 2)
                load_runs(src, plane, channels, runs, count, 2, dst, step);
            else
                load_runs(src, plane, channels, runs, count, stride, dst, step);
            for (x += BLOCK; x >= width; x -= width) y++;
        }
    }
}

/* Some rows and one K block of A: rows that are packed at a time, or all rows of a task */
typedef struct a_block {
    size_t row, rows, start, depth;
} a_block;

/* Block n of a task with rows row .. row+rows-1, in the order in which they are multiplied: K block by K block */
static a_block nth_block(const psal_implicit_gemm *p, size_t row, size_t rows, size_t row_blocks, size_t n) {
    const size_t k_block = n / row_blocks, block = n % row_blocks;
    return (a_block){row + even_start(rows, row_blocks, block), even_share(rows, row_blocks, block),
                     even_start(p->depth, p->k_blocks, k_block), even_share(p->depth, p->k_blocks, k_block)};
}

/* PSAL_A_TAPS: the element of the kernel that tap number `tap` is */
static size_t tap_offset(const psal_implicit_gemm *p, size_t tap) {
    const size_t taps_w = (size_t)p->l.w.taps;
    return ((size_t)p->l.h.kernel + tap / taps_w * (size_t)p->l.h.kernel_step) * p->kernel_width +
           (size_t)p->l.w.kernel + tap % taps_w * (size_t)p->l.w.kernel_step;
}

/* Prefetch steps first .. end-1 of a block, where a new output channel begins. */
static void prefetch_steps(const psal_implicit_gemm *p, const float *w, const a_block *block, size_t first,
                           size_t end) {
    const size_t taps = psal_conv2d_taps(&p->l);
    for (size_t i = first; i < end; i++)
        if ((block->start + i) % taps == 0)
            prefetch(w + ((block->start + i) / taps * p->rows + block->row) * p->kernel, block->rows * p->kernel);
}

/* Pack steps first .. end-1 of a block into tiles of rows, TILE_FLOATS apart, in the form PSAL_TILE_COLUMNS. Tiles are
 * the inner loop, so that w is read in long runs. */
static void pack_steps(const psal_implicit_gemm *p, const float *w, const a_block *block, size_t first, size_t end,
                       float *a) {
    const size_t tiles = psal_ceil_div(block->rows, MAX_ROWS);
    const size_t taps = psal_conv2d_taps(&p->l), least = block->rows / tiles, larger = block->rows % tiles;
    size_t o = (block->start + first) / taps, tap = (block->start + first) % taps;
    for (size_t k = first; k < end; k++) {
        const float *src = w + (o * p->rows + block->row) * p->kernel + tap_offset(p, tap);
        if (++tap == taps) {
            tap = 0;
            o++;
        }
        float *dst = a + k * BLOCK;
        for (size_t tile = 0; tile < tiles; tile++, dst += TILE_FLOATS) {
            const size_t count = least + (tile < larger);
            for (size_t m = 0; m < count; m++) dst[m] = src[m * p->kernel];
            src += count * p->kernel;
        }
    }
}

/* Write from[rows, ld] (positions column .. column+n-1), or zeros, to their places in the planes of the result. */
static void place(const psal_implicit_gemm *p, const float *from, size_t ld, size_t rows, size_t column, size_t n,
                  float *result) {
    const size_t width = (size_t)p->l.w.count, step = (size_t)p->l.w.place_step;
    for (size_t r = 0; r < rows; r++) {
        size_t y = column / width, x = column % width;
        for (size_t i = 0; i < n; x = 0, y++) {
            const size_t run = psal_size_min(width - x, n - i);
            float *dst = result +
                         (r * p->result_height + (size_t)p->l.h.place + y * (size_t)p->l.h.place_step) *
                             p->result_width +
                         (size_t)p->l.w.place + x * step;
            for (size_t j = 0; j < run; j++) dst[j * step] = from ? from[r * ld + i + j] : 0;
            i += run;
        }
    }
}

/* A matrix for each image of a task, `step` floats apart */
typedef struct matrices {
    float *first;
    size_t step;
} matrices;

/* A K block of B for each image of a task: the first `count` columns in blocks that are block_step apart, the rows of a
 * block k_step apart; the other columns in packed panels. */
typedef struct b_matrices {
    const float *first, *tail;
    size_t step, tail_step;
    size_t count, k_step, block_step;
} b_matrices;

static psal_tile_form tile_form(const psal_implicit_gemm *p) {
    return p->form != PSAL_A_ROWS ? PSAL_TILE_COLUMNS : p->chains ? psal_tile_chains(p->depth) : PSAL_TILE_ROWS;
}

/* The strip of B that begins with column n: its first element, and the distances of its rows and blocks */
typedef struct b_strip {
    const float *first;
    size_t k_step, block_step;
} b_strip;

static b_strip strip_at(const b_matrices *b, size_t image, size_t n, size_t depth) {
    if (n < b->count)
        return (b_strip){b->first + image * b->step + n / BLOCK * b->block_step + n % BLOCK, b->k_step, b->block_step};
    n -= b->count;
    return (b_strip){b->tail + image * b->tail_step + n / BLOCK * BLOCK * depth + n % BLOCK, BLOCK, depth * BLOCK};
}

/* c[rows of the block, ldc] (+)= A * B for each image. The next block, if there is one, is packed into `next_a`
 * meanwhile, a share before each tile, and the following share is prefetched: weights are read once a pass and come
 * from memory. */
static void multiply_packed(const psal_implicit_gemm *p, const float *w, const a_block *block, const float *a,
                            const a_block *next, float *next_a, const b_matrices *b, size_t images, size_t columns,
                            matrices c, size_t ldc) {
    const size_t tiles = psal_ceil_div(block->rows, MAX_ROWS), strips = psal_ceil_div(columns, p->strip);
    const size_t steps = next ? next->depth : 0, shares = tiles * images * strips;
    for (size_t share = 0; share < shares; share++) {
        const size_t tile = share / (images * strips), image = share / strips % images, n = share % strips * p->strip;
        const size_t m = even_start(block->rows, tiles, tile), rows = even_share(block->rows, tiles, tile);
        const size_t width = psal_size_min(p->strip, columns - n);
        float *tile_c = c.first + image * c.step + m * ldc + n;
        for (size_t r = 0; r < rows && p->in_place; r++) prefetch_to_write(tile_c + r * ldc, width);
        if (steps > 0) {
            const size_t first = even_start(steps, shares, share), end = even_start(steps, shares, share + 1);
            pack_steps(p, w, next, first, end, next_a);
            prefetch_steps(p, w, next, end, even_start(steps, shares, psal_size_min(share + 2, shares)));
        }
        const b_strip strip = strip_at(b, image, n, block->depth);
        psal_register_tile(PSAL_TILE_COLUMNS, rows, width, block->depth, a + tile * TILE_FLOATS, BLOCK, strip.first,
                           strip.k_step, strip.block_step, tile_c, ldc, block->start > 0);
    }
}

/* The same with A not packed. Strips are the outer loop, so that one of B stays in the L1 cache. `next_start`: where
 * the next K block begins */
static void multiply_in_place(const psal_implicit_gemm *p, const float *w, const a_block *block, size_t next_start,
                              const b_matrices *b, size_t images, size_t columns, matrices c, size_t ldc) {
    const bool by_rows = p->form == PSAL_A_ROWS;
    const size_t row_step = by_rows ? p->depth : 1, k_step = by_rows ? 1 : p->rows;
    const size_t tiles = psal_ceil_div(block->rows, psal_tile_rows(p->strip)),
                 strips = psal_ceil_div(columns, p->strip);
    const float *first = w + block->row * row_step + block->start * k_step;
    for (size_t i = 0; i < strips * tiles; i++) {
        const size_t tile = i % tiles, n = i / tiles * p->strip, width = psal_size_min(p->strip, columns - n);
        const size_t m = even_start(block->rows, tiles, tile), rows = even_share(block->rows, tiles, tile);
        const size_t later = by_rows ? tile + 1 : (tile / UNPACKED_GROUP + 1) * UNPACKED_GROUP;
        const float *next = later < tiles ? first + even_start(block->rows, tiles, later) * row_step
                                          : w + block->row * row_step + next_start * k_step;
        if (!by_rows) next += tile % UNPACKED_GROUP * block->depth / UNPACKED_GROUP * k_step;
        for (size_t image = 0; image < images; image++) {
            const b_strip strip = strip_at(b, image, n, block->depth);
            float *tile_c = c.first + image * c.step + m * ldc + n;
            for (size_t r = 0; r < rows && p->in_place; r++) prefetch_to_write(tile_c + r * ldc, width);
            psal_register_tile_unpacked(tile_form(p), rows, width, block->depth, first + m * row_step,
                                        by_rows ? p->depth : p->rows, next, strip.first, strip.k_step, strip.block_step,
                                        tile_c, ldc, block->start > 0);
        }
    }
}

/* Columns first .. first+count-1 of a column task, and that count in whole blocks */
typedef struct task_columns {
    size_t first, count, room;
} task_columns;

static task_columns columns_of(const psal_implicit_gemm *p, size_t column_task) {
    const size_t blocks = psal_ceil_div(p->positions, BLOCK);
    const size_t first = psal_tasks_part(blocks, p->column_tasks, column_task) * BLOCK;
    const size_t room = psal_tasks_part(blocks, p->column_tasks, column_task + 1) * BLOCK - first;
    return (task_columns){first, psal_size_min(room, p->positions - first), room};
}

/* Offset in `shared` of the panels of an image and column task */
static size_t shared_start(const psal_implicit_gemm *p, size_t image, size_t column_task) {
    return (image * p->column_tasks + column_task) * p->depth * p->columns;
}

/* B of all images and column tasks, [image][column task][K block] of panels, in all threads. A task packs some channels
 * of a K block, most often those that the same thread has written (tasks.h). */
static void pack_shared(const psal_implicit_gemm *p, const float *source, float *shared, int threads) {
    const size_t source_image = p->channels * (size_t)p->l.h.source * (size_t)p->l.w.source;
    const size_t pieces = psal_ceil_div(WANTED_TASKS, psal_size_max(p->k_blocks, 1));
    psal_tasks tasks;
    psal_tasks_init(&tasks, p->images * p->column_tasks * p->k_blocks * pieces, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t part = t.number / (p->k_blocks * pieces), k_block = t.number / pieces % p->k_blocks,
                     piece = t.number % pieces;
        const size_t image = part / p->column_tasks, column_task = part % p->column_tasks;
        const task_columns own = columns_of(p, column_task);
        const size_t start = even_start(p->depth, p->k_blocks, k_block),
                     depth = even_share(p->depth, p->k_blocks, k_block);
        const size_t first = even_start(depth, pieces, piece);
        pack_columns(p, source + image * source_image, start + first, even_share(depth, pieces, piece), own.first,
                     own.count, depth, shared + shared_start(p, image, column_task) + start * own.room + first * BLOCK);
    }
}

void psal_gemm_run(const psal_implicit_gemm *p, const float *source, const float *w, float *result, float *scratch,
                   int threads) {
    const size_t source_image = p->channels * (size_t)p->l.h.source * (size_t)p->l.w.source;
    const size_t plane = p->result_height * p->result_width;
    const size_t group_floats = p->form == PSAL_A_TAPS ? p->rows * p->channels * p->kernel : p->rows * p->depth;
    const size_t parts = p->column_tasks * psal_ceil_div(p->images, p->task_images);
    float *shared = scratch, *buffers = scratch + p->shared_floats;
    if (p->positions == 0) return;

    if (p->shared) pack_shared(p, source, shared, threads);
    psal_tasks tasks;
    psal_tasks_init(&tasks, parts * p->row_tasks, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t part = t.number / p->row_tasks, row_task = t.number % p->row_tasks,
                     column_task = part % p->column_tasks;
        const size_t image = part / p->column_tasks * p->task_images;
        const size_t images = psal_size_min(p->task_images, p->images - image);
        const size_t row = even_start(p->rows, p->row_tasks, row_task);
        const size_t rows = even_share(p->rows, p->row_tasks, row_task);
        const task_columns task = columns_of(p, column_task);
        const size_t column = task.first, columns = task.count;
        float *out = result + (image * p->rows + row) * plane;

        const bool packs = packs_a(p);
        const size_t half = packs ? PACKED_TILES * TILE_FLOATS : 0; /* one half of A is multiplied, the other packed */
        float *a = buffers + (size_t)omp_get_thread_num() * p->buffer;
        const matrices own = {a + 2 * half, LONG_DEPTH * p->packed_columns};
        matrices c = {out + column, p->rows * plane};
        if (!p->in_place) c = (matrices){own.first + p->task_images * own.step, rows * p->columns};
        const size_t ldc = p->in_place ? plane : p->columns;
        const size_t packed_from = p->in_source ? whole_columns(p, columns) : 0;

        const float *filters = w + image % p->groups * group_floats;
        const size_t row_blocks = packs ? psal_ceil_div(psal_ceil_div(rows, MAX_ROWS), PACKED_TILES) : 1;
        const size_t count = p->k_blocks * row_blocks;
        for (size_t i = 0; i < count; i++) {
            const a_block block = nth_block(p, row, rows, row_blocks, i);
            const a_block next = i + 1 < count ? nth_block(p, row, rows, row_blocks, i + 1) : block;
            float *now = a + i % 2 * half, *later = a + (i + 1) % 2 * half;
            if (i == 0 && packs) pack_steps(p, filters, &block, 0, block.depth, now);
            if (!p->shared && packed_from < columns && block.row == row) /* the first of its K block */
                for (size_t n = 0; n < images; n++)
                    pack_columns(p, source + (image + n) * source_image, block.start, block.depth, column + packed_from,
                                 columns - packed_from, block.depth, own.first + n * own.step);
            b_matrices b = {own.first, own.first, own.step, own.step, columns, BLOCK, block.depth * BLOCK};
            if (p->in_source) {
                b.first = source + image * source_image + block.start * p->positions + column;
                b.step = source_image;
                b.count = packed_from;
                b.k_step = p->positions;
                b.block_step = BLOCK;
            } else if (p->shared) {
                b.first = shared + shared_start(p, image, column_task) + block.start * task.room;
                b.step = shared_start(p, 1, 0);
            }
            const matrices to = {c.first + (block.row - row) * ldc, c.step};
            if (packs)
                multiply_packed(p, filters, &block, now, i + 1 < count ? &next : NULL, later, &b, images, columns, to,
                                ldc);
            else
                multiply_in_place(p, filters, &block, next.start, &b, images, columns, to, ldc);
        }
        if (p->in_place && p->depth > 0) continue;
        for (size_t n = 0; n < images; n++)
            place(p, p->depth > 0 ? c.first + n * c.step : NULL, ldc, rows, column, columns, out + n * p->rows * plane);
    }
}

/* ---- forward: y[o, P] = w[o, (c,i,j)] * column[(c,i,j), P] ---- */

static psal_implicit_gemm forward_product(const psal_conv2d_shape *s, int threads, bool chains) {
    psal_implicit_gemm p = {.l = psal_conv2d_lower_forward(s), .form = PSAL_A_ROWS};
    p.rows = (size_t)(s->out_channels / s->groups);
    p.channels = (size_t)(s->in_channels / s->groups);
    p.images = (size_t)s->batch * (size_t)s->groups;
    p.groups = (size_t)s->groups;
    p.result_height = (size_t)s->out_height;
    p.result_width = (size_t)s->out_width;
    p.chains = chains;
    divide(&p, threads);
    return p;
}

/* The forward pass, which decides ReLUs and maxima, sums in chains. */
static psal_status prepare_forward(psal_convolution *c, psal_error *err) {
    const psal_implicit_gemm p = forward_product(&c->shape, c->threads, c->direction == PSAL_CONV2D_FORWARD);
    return psal_conv2d_keep_plan(c, &p, sizeof p, psal_gemm_scratch(&p, c->threads), err);
}

static void run_forward(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    psal_gemm_run(c->plan, o->x, o->w, o->result, scratch, c->threads);
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_implicit_gemm_forward) = {prepare_forward, run_forward};

/* ---- dx of 1 x 1 at stride 1: dx[c, P] = w[o, c]^T * dy[o, P] ---- */

static psal_status prepare_pointwise_dx(psal_convolution *c, psal_error *err) {
    const psal_implicit_gemm p = psal_gemm_of_dy(&c->shape, (size_t)c->shape.batch * (size_t)c->shape.groups,
                                                 c->threads);
    return psal_conv2d_keep_plan(c, &p, sizeof p, psal_gemm_scratch(&p, c->threads), err);
}

static void run_pointwise_dx(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    psal_gemm_run(c->plan, o->dy, o->w, o->result, scratch, c->threads);
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_implicit_gemm_pointwise_dx) = {prepare_pointwise_dx, run_pointwise_dx};

/* ---- dx where the columns of col2im.c would be too large: one product for each phase of lowered.h, whose columns are
 * gathered from dy ---- */

static psal_implicit_gemm phase_product(const psal_conv2d_shape *s, int phase, int threads) {
    psal_implicit_gemm p = {.l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width),
                            .form = PSAL_A_TAPS};
    p.rows = (size_t)(s->in_channels / s->groups);
    p.channels = (size_t)(s->out_channels / s->groups);
    p.images = (size_t)s->batch * (size_t)s->groups;
    p.groups = (size_t)s->groups;
    p.kernel = (size_t)s->kernel_height * (size_t)s->kernel_width;
    p.kernel_width = (size_t)s->kernel_width;
    p.result_height = (size_t)s->in_height;
    p.result_width = (size_t)s->in_width;
    divide(&p, threads);
    return p;
}

static size_t phase_count(const psal_conv2d_shape *s) {
    return (size_t)s->stride_height * (size_t)s->stride_width;
}

static psal_status prepare_phases(psal_convolution *c, psal_error *err) {
    psal_implicit_gemm *phases = psal_conv2d_new_plan(c, phase_count(&c->shape) * sizeof *phases, err);
    if (!phases) return PSAL_ERR_MEMORY;
    for (size_t i = 0; i < phase_count(&c->shape); i++) {
        phases[i] = phase_product(&c->shape, (int)i, c->threads);
        c->scratch = psal_size_max(c->scratch, psal_gemm_scratch(&phases[i], c->threads));
    }
    return PSAL_OK;
}

static void run_phases(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_implicit_gemm *phases = c->plan;
    for (size_t i = 0; i < phase_count(&c->shape); i++)
        psal_gemm_run(&phases[i], o->dy, o->w, o->result, scratch, c->threads);
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_implicit_gemm_phases) = {prepare_phases, run_phases};
