#include "engine/kernels/x86/product.h"

#include "engine/kernels/tasks.h"
#include "engine/kernels/x86/column_runs.h"
#include "engine/kernels/x86/micro.h"
#include "engine/kernels/x86/unpacked.h"

#define DEPTH 160u /* of a cut of K: a strip of B is 64 x 160 floats, 40 KiB, and stays in the nearest cache, */
#define LONG_DEPTH \
    256u /* but for a forward pass of so few positions that B is one strip, and where A is packed: 14 x 256 floats */
#define COLUMNS 256u       /* columns of B at a time, */
#define ALONE_COLUMNS 512u /* or, where A is rows, for one thread, which needs no small tasks; */
#define FEW_COLUMNS 320u   /* so many are one task, */
#define PACKED_TILES 16u   /* tiles of A packed at a time, so that it is read in long runs: 225 KiB */
#define TILE_FLOATS \
    ((LONG_DEPTH + 1) * BLOCK) /* an odd number of lines, lest all tiles want the same part of the cache */
#define PLACES 128u     /* rows of B so many floats apart, or a multiple, share few places of the nearest cache */
#define WANTED_TASKS 8u /* enough to share between threads, */
#define TASK_ROWS 56u   /* of so many rows or more, because each reads all its columns */

/* Whether A is packed, because a row's elements lie apart. */
static bool packs_a(const psal_product *p) {
    return p->form == PSAL_A_TAPS;
}

/* Whether B, which is the source itself, is read where it lies. */
static bool reads_source(const psal_product *p) {
    if (packs_a(p) || !p->plain) return false;
    return p->positions <= UNPACKED_COLUMNS ? psal_unpacked_exact(p->positions) : p->positions % PLACES != 0;
}

/* How many columns a tile has: all, or, where an image has more than fit, so many of them that none of its registers is left half
 * empty; where A is rows, one column alone would cost more than that. */
static size_t choose_strip(const psal_product *p) {
    if (packs_a(p)) return TILE_COLUMNS;
    if (p->positions <= UNPACKED_COLUMNS) return p->positions;
    const size_t one_more = 3 * WIDTH + 1;
    return WIDTH == 16 && p->form == PSAL_A_TRANSPOSED && p->column_tasks == 1 && p->positions % one_more == 0
               ? one_more
               : UNPACKED_COLUMNS;
}

/* How many of some columns are read in the source: whole strips of them, lest something behind its end is read. */
static size_t whole_columns(const psal_product *p, size_t columns) {
    return psal_unpacked_exact(columns % p->strip) ? columns : columns - columns % p->strip;
}

/* The most columns that a task packs of each image */
static size_t most_packed(const psal_product *p) {
    if (p->shared) return 0;
    if (!p->in_source) return p->columns;
    if (p->positions % BLOCK == 0 || (p->column_tasks == 1 && whole_columns(p, p->positions) == p->positions)) return 0;
    return psal_size_min(p->strip, p->columns);
}

/* Where there are few columns, tasks are rows, of which each then packs its own only, and threads share the columns; otherwise they are
 * columns, as many for every thread. */
static void choose_tasks(psal_product *p, int threads) {
    const size_t blocks = psal_ceil_div(p->positions, BLOCK), team = (size_t)threads;
    size_t most = threads == 1 && p->form == PSAL_A_ROWS ? ALONE_COLUMNS : COLUMNS;
    if (p->positions <= FEW_COLUMNS) most = psal_size_max(most, FEW_COLUMNS);
    p->column_tasks = psal_size_max(psal_ceil_div(blocks, most / BLOCK), 1);
    if (p->column_tasks > 1) p->column_tasks = psal_size_min(psal_round_up(p->column_tasks, team), blocks);
    p->columns = psal_ceil_div(blocks, p->column_tasks) * BLOCK;
    p->together = 1;
    if (p->groups == 1 && p->positions > 0) p->together = psal_size_min(psal_size_max(most / p->columns, 1), p->images);

    const size_t parts = p->column_tasks * psal_ceil_div(p->images, p->together),
                 wanted = psal_size_max(WANTED_TASKS, team);
    const size_t least = psal_size_min(psal_ceil_div(team, parts), psal_ceil_div(p->rows, MAX_ROWS));
    const size_t large = p->rows / TASK_ROWS / team * team; /* as many for every thread */
    p->row_tasks = threads == 1 || parts >= wanted
                       ? 1
                       : psal_size_max(psal_size_min(psal_ceil_div(wanted, parts), large), least);
}

void psal_product_plan(psal_product *p, int threads) {
    p->in_place = p->l.h.place_step == 1 && p->l.w.place_step == 1;
    choose_tasks(p, threads);
    const bool one_strip = p->form == PSAL_A_ROWS &&
                           p->positions <= 64; /* whatever the width of a vector, for the same bits */
    p->cuts = psal_ceil_div(p->depth, one_strip || packs_a(p) ? LONG_DEPTH : DEPTH);
    p->strip = choose_strip(p);
    p->in_source = reads_source(p);
    p->shared = p->row_tasks > 1 && !p->in_source;
    p->shared_floats = p->shared ? p->column_tasks * p->images * p->depth * p->columns : 0;
    p->own_columns = most_packed(p);
    p->buffer = (packs_a(p) ? 2 * PACKED_TILES * TILE_FLOATS : 0) + p->together * LONG_DEPTH * p->own_columns;
    if (!p->in_place) p->buffer += p->together * psal_ceil_div(p->rows, p->row_tasks) * p->columns;
}

/* B of a cut of K, or a part of it: panels of 16 columns, [panel][k][16], where a panel has panel_depth rows. Where a block's
 * elements lie follows from its tap: it is found out once for all channels. */
static void pack_columns(const psal_product *p, const float *source, size_t start, size_t depth, size_t column,
                         size_t columns, size_t panel_depth, float *b) {
    const size_t taps = psal_conv2d_taps(&p->l), plane = (size_t)p->l.h.source * (size_t)p->l.w.source;
    const size_t width = (size_t)p->l.w.count, step = taps * BLOCK;
    const int stride = p->l.w.stride;
    for (size_t k = 0; p->plain && k < depth; k++) {
        const float *row = source + (start + k) * p->positions + column;
        for (size_t j = 0; j < columns; j += BLOCK)
            block_copy(b + j * panel_depth + k * BLOCK, row + j, psal_size_min(BLOCK, columns - j));
    }
    if (p->plain) return;
    for (size_t first = 0; first < psal_size_min(taps, depth); first++) {
        const size_t channels = psal_ceil_div(depth - first, taps);
        const psal_conv2d_tap tap = psal_conv2d_tap_at(&p->l, (start + first) % taps);
        const float *src = source + (start + first) / taps * plane;
        size_t y = column / width, x = column % width;
        for (size_t j = 0; j < columns; j += BLOCK) {
            float *dst = b + j * panel_depth + first * BLOCK;
            column_run runs[BLOCK];
            const size_t count = find_runs(&p->l, &tap, (int)y, (int)x, (int)psal_size_min(BLOCK, columns - j), runs);
            /* The frequent cases as constants: their loops get short. */
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

/* Some rows and some depth of A: those that are packed at a time, or all rows of a task. */
typedef struct a_block {
    size_t row, rows, start, depth;
} a_block;

/* The blocks of a task that has rows row .. row+rows-1, in the order of the work: cut by cut. */
static a_block nth_block(const psal_product *p, size_t row, size_t rows, size_t blocks, size_t n) {
    const size_t cut = n / blocks, block = n % blocks;
    return (a_block){row + even_start(rows, blocks, block), even_share(rows, blocks, block),
                     even_start(p->depth, p->cuts, cut), even_share(p->depth, p->cuts, cut)};
}

/* Where the filters' own order has tap number `tap` of a row of memory: PSAL_A_TAPS */
static size_t tap_offset(const psal_product *p, size_t tap) {
    const size_t taps_w = (size_t)p->l.w.taps;
    return ((size_t)p->l.h.kernel + tap / taps_w * (size_t)p->l.h.kernel_step) * p->kernel_width +
           (size_t)p->l.w.kernel + tap % taps_w * (size_t)p->l.w.kernel_step;
}

/* Ask for steps first .. end-1 of a block; a step is a row of memory, and all taps of a filter lie together. */
static void prefetch_steps(const psal_product *p, const float *w, const a_block *block, size_t first, size_t end) {
    const size_t taps = psal_conv2d_taps(&p->l);
    for (size_t i = first; i < end; i++)
        if ((block->start + i) % taps == 0)
            prefetch(w + ((block->start + i) / taps * p->rows + block->row) * p->kernel, block->rows * p->kernel);
}

/* Pack steps first .. end-1 of a block: tiles of rows, each TILE_FLOATS floats after the last, in the micro kernel's form for
 * columns. Tiles inside: w is read in long runs. */
static void pack_steps(const psal_product *p, const float *w, const a_block *block, size_t first, size_t end,
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

/* Put from[rows, ld] (positions column .. column+n-1), or zeros, in their places in the planes of the result. */
static void place(const psal_product *p, const float *from, size_t ld, size_t rows, size_t column, size_t n,
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

/* One matrix of several equal ones, `step` floats apart: of each image of a task */
typedef struct matrices {
    float *first;
    size_t step;
} matrices;

/* Some depth of B for every image of a task: the first `count` columns in blocks that are block_step apart, rows of a block k_step,
 * the others in packed panels. */
typedef struct b_matrices {
    const float *first, *tail;
    size_t step, tail_step;
    size_t count, k_step, block_step;
} b_matrices;

static psal_micro_form micro_form(const psal_product *p) {
    return p->form != PSAL_A_ROWS ? PSAL_MICRO_COLUMNS : p->chains ? PSAL_MICRO_CHAINS : PSAL_MICRO_ROWS;
}

/* Where a strip of B that begins with column n lies, and how far apart its rows and blocks are */
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

/* c[rows of the block, ldc] (+)= A * B for every image. Meanwhile the next block, if there is one, is packed into `next_a`: a
 * share before each tile, and the share after it asked for, because weights are read once a pass and lie far from the
 * processor. */
static void multiply_packed(const psal_product *p, const float *w, const a_block *block, const float *a,
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
        psal_micro(micro_form(p), rows, width, block->depth, a + tile * TILE_FLOATS, BLOCK, strip.first, strip.k_step,
                   strip.block_step, tile_c, ldc, block->start > 0);
    }
}

/* The same with A where it lies: strip by strip, so that one of B stays in the nearest cache. `next_start`: where the next cut of K
 * begins */
static void multiply_in_place(const psal_product *p, const float *w, const a_block *block, size_t next_start,
                              const b_matrices *b, size_t images, size_t columns, matrices c, size_t ldc) {
    const bool by_rows = p->form == PSAL_A_ROWS;
    const size_t row_step = by_rows ? p->depth : 1, k_step = by_rows ? 1 : p->rows;
    const size_t tiles = psal_ceil_div(block->rows, psal_unpacked_rows(p->strip)),
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
            psal_unpacked(micro_form(p), rows, width, block->depth, first + m * row_step, by_rows ? p->depth : p->rows,
                          next, strip.first, strip.k_step, strip.block_step, tile_c, ldc, block->start > 0);
        }
    }
}

/* Columns of a column task: from `first` on so many, in panels with room for `room` */
typedef struct task_columns {
    size_t first, count, room;
} task_columns;

static task_columns columns_of(const psal_product *p, size_t column_task) {
    const size_t blocks = psal_ceil_div(p->positions, BLOCK);
    const size_t first = psal_tasks_part(blocks, p->column_tasks, column_task) * BLOCK;
    const size_t room = psal_tasks_part(blocks, p->column_tasks, column_task + 1) * BLOCK - first;
    return (task_columns){first, psal_size_min(room, p->positions - first), room};
}

/* Where `shared` has the panels of an image and column task */
static size_t shared_start(const psal_product *p, size_t image, size_t column_task) {
    return (image * p->column_tasks + column_task) * p->depth * p->columns;
}

/* B of all images and column tasks, [image][column task][cut] of panels, by all threads: of a cut some channels each, as tasks of
 * the operation that wrote the source had rows */
static void pack_shared(const psal_product *p, const float *source, float *shared, int threads) {
    const size_t source_image = p->channels * (size_t)p->l.h.source * (size_t)p->l.w.source;
    const size_t pieces = psal_ceil_div(WANTED_TASKS, psal_size_max(p->cuts, 1));
    psal_tasks tasks;
    psal_tasks_init(&tasks, p->images * p->column_tasks * p->cuts * pieces, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t part = t.number / (p->cuts * pieces), cut = t.number / pieces % p->cuts, piece = t.number % pieces;
        const size_t image = part / p->column_tasks, column_task = part % p->column_tasks;
        const task_columns own = columns_of(p, column_task);
        const size_t start = even_start(p->depth, p->cuts, cut), depth = even_share(p->depth, p->cuts, cut);
        const size_t first = even_start(depth, pieces, piece);
        pack_columns(p, source + image * source_image, start + first, even_share(depth, pieces, piece), own.first,
                     own.count, depth, shared + shared_start(p, image, column_task) + start * own.room + first * BLOCK);
    }
}

void psal_product_run(const psal_product *p, const float *source, const float *w, float *result, float *scratch,
                      int threads) {
    const size_t source_image = p->channels * (size_t)p->l.h.source * (size_t)p->l.w.source;
    const size_t plane = p->result_height * p->result_width;
    const size_t group_floats = p->form == PSAL_A_TAPS ? p->rows * p->channels * p->kernel : p->rows * p->depth;
    const size_t parts = p->column_tasks * psal_ceil_div(p->images, p->together);
    float *shared = scratch, *buffers = scratch + p->shared_floats;
    if (p->positions == 0) return;

    if (p->shared) pack_shared(p, source, shared, threads);
    psal_tasks tasks;
    psal_tasks_init(&tasks, parts * p->row_tasks, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t part = t.number / p->row_tasks, row_task = t.number % p->row_tasks,
                     column_task = part % p->column_tasks;
        const size_t image = part / p->column_tasks * p->together;
        const size_t images = psal_size_min(p->together, p->images - image);
        const size_t row = even_start(p->rows, p->row_tasks, row_task);
        const size_t rows = even_share(p->rows, p->row_tasks, row_task);
        const task_columns task = columns_of(p, column_task);
        const size_t column = task.first, columns = task.count;
        float *out = result + (image * p->rows + row) * plane;

        const bool packs = packs_a(p);
        const size_t half = packs ? PACKED_TILES * TILE_FLOATS : 0; /* A in two halves, one multiplied, one packed */
        float *a = buffers + (size_t)omp_get_thread_num() * p->buffer;
        const matrices own = {a + 2 * half, LONG_DEPTH * p->own_columns};
        matrices c = {out + column, p->rows * plane};
        if (!p->in_place) c = (matrices){own.first + p->together * own.step, rows * p->columns};
        const size_t ldc = p->in_place ? plane : p->columns;
        const size_t packed_from = p->in_source ? whole_columns(p, columns) : 0;

        const float *filters = w + image % p->groups * group_floats;
        const size_t blocks_of_cut = packs ? psal_ceil_div(psal_ceil_div(rows, MAX_ROWS), PACKED_TILES) : 1;
        const size_t count = p->cuts * blocks_of_cut;
        for (size_t i = 0; i < count; i++) {
            const a_block block = nth_block(p, row, rows, blocks_of_cut, i);
            const a_block next = i + 1 < count ? nth_block(p, row, rows, blocks_of_cut, i + 1) : block;
            float *now = a + i % 2 * half, *later = a + (i + 1) % 2 * half;
            if (i == 0 && packs) pack_steps(p, filters, &block, 0, block.depth, now);
            if (!p->shared && packed_from < columns && block.row == row) /* the first of its cut */
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
