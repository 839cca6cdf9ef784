/* implicit_gemm_dw.c - weight gradient: dw[o, (c,i,j)] = sum over P of dy[o, P] * column[(c,i,j), P], P over images and
 * positions.
 *
 * A task computes some filters and some columns (c,i,j) of dw. K, the positions, is cut into blocks of at most DEPTH.
 * Of each K block a task packs the gathered columns transposed ([position][(c,i,j)]); dy is not packed
 * (register_tile_unpacked.h). Nothing is added across tasks; for the filters' means each task leaves one partial sum
 * per filter, taken while a tile's rows are in the L1 cache, and those are added in a fixed order. */
#include "engine/kernels/conv2d/simd/simd.h"

#define PSAL_CONV2D_COPY strided_copy
#include "engine/kernels/conv2d/gather.h"
#include "engine/kernels/tasks.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/sum.h"
#include "engine/kernels/conv2d/simd/transpose.h"
#include "engine/kernels/conv2d/simd/register_tile_unpacked.h"

#define DEPTH 256u
#define COLUMNS 128u      /* of a task, whose B is then 128 KiB, */
#define MOST_COLUMNS 256u /* or more where there are few positions */
#define WANTED_TASKS 4u
#define MOST_SHIFTS 25u /* taps */

typedef struct dw_plan {
    psal_conv2d_lowered l;
    /* the columns are the source itself; or the source shifted by a constant, with zeros outside */
    bool identity, shifted;
    size_t filters, channels, depth, positions; /* of one group; depth = positions of one image */
    size_t columns;                             /* (c,i,j) of one filter */
    size_t row_tasks, column_tasks, k_blocks;
    bool one_k_block; /* of all images */
    size_t most_rows, most_columns;
    size_t buffer;   /* floats per thread */
    size_t partials; /* floats (a double each) for the partial sums, in front of the threads' buffers */
} dw_plan;

/* Floats of B and 16 gathered lines, behind which a thread's buffer has its part of dw */
static size_t buffer_before_dw(const dw_plan *p) {
    return DEPTH * p->most_columns + (DEPTH + 1) * BLOCK;
}

static dw_plan make_plan(const psal_conv2d_shape *s) {
    dw_plan p = {.l = psal_conv2d_lower_forward(s)};
    p.identity = psal_conv2d_lowered_is_identity(&p.l);
    p.shifted = p.l.h.stride == 1 && p.l.w.stride == 1 && p.l.w.count == p.l.w.source &&
                psal_conv2d_taps(&p.l) <= MOST_SHIFTS;
    p.filters = (size_t)(s->out_channels / s->groups);
    p.channels = (size_t)(s->in_channels / s->groups);
    p.columns = p.channels * psal_conv2d_taps(&p.l);
    p.positions = psal_conv2d_positions(&p.l);
    p.k_blocks = psal_ceil_div(p.positions, DEPTH);
    p.one_k_block = p.k_blocks * (size_t)s->batch == 1;
    const size_t blocks = psal_ceil_div(p.columns, BLOCK), groups = (size_t)s->groups;
    const size_t columns = 2 * p.positions <= DEPTH ? MOST_COLUMNS : COLUMNS;
    p.column_tasks = psal_ceil_div(blocks, columns / BLOCK);
    if (p.column_tasks > 1)
        p.column_tasks = psal_round_up(p.column_tasks, 2); /* most often there are two threads, or four */
    if (p.column_tasks * groups < WANTED_TASKS)
        p.column_tasks = psal_size_max(p.column_tasks, psal_size_min(WANTED_TASKS, blocks / 2));
    p.row_tasks = psal_size_min(psal_ceil_div(WANTED_TASKS, p.column_tasks * groups), psal_ceil_div(p.filters, 28));
    p.most_columns = psal_ceil_div(blocks, p.column_tasks) * BLOCK;
    p.most_rows = psal_ceil_div(p.filters, p.row_tasks);
    p.buffer = buffer_before_dw(&p) +
               (p.one_k_block ? psal_size_min(MAX_ROWS, p.most_rows) : p.most_rows) * p.most_columns;
    p.partials = psal_round_up(2 * groups * p.filters * p.column_tasks, BLOCK);
    return p;
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const dw_plan p = make_plan(&c->shape);
    return psal_conv2d_keep_plan(c, &p, sizeof p, (p.partials + (size_t)c->threads * p.buffer) * sizeof(float), err);
}

/* A tap at the positions of a K block: the shift to the source, and a bit for each position that is inside it */
typedef struct shift {
    ptrdiff_t offset;
    uint16_t inside[DEPTH / BLOCK];
} shift;

static void find_shifts(const dw_plan *p, size_t start, size_t depth, shift *shifts) {
    const size_t width = (size_t)p->l.w.count;
    for (size_t i = 0; i < psal_conv2d_taps(&p->l); i++) {
        const psal_conv2d_tap tap = psal_conv2d_tap_at(&p->l, i);
        shifts[i] = (shift){.offset = tap.offset};
        int y = (int)(start / width), x = (int)(start % width);
        for (size_t k = 0; k < depth; k++) {
            const bool inside = y >= tap.h_lo && y < tap.h_hi && x >= tap.w_lo && x < tap.w_hi;
            shifts[i].inside[k / BLOCK] |= (uint16_t)((unsigned)inside << k % BLOCK);
            if (++x < p->l.w.count) continue;
            x = 0;
            y++;
        }
    }
}

/* line[k] = the source of position start + k at one tap, 0 outside */
static void shift_row(const float *plane, const shift *s, size_t start, size_t depth, float *line) {
    for (size_t k = 0; k < depth; k += WIDTH)
        vec_store(line + k, vec_load_masked(plane + ((ptrdiff_t)(start + k) + s->offset),
                                            vec_chosen((unsigned)s->inside[k / BLOCK] >> k % BLOCK)));
}

/* B of one K block: [panel of 16 columns][position][16]; `lines`: scratch for 16 gathered rows */
static void pack_columns(const dw_plan *p, const float *source, size_t column, size_t columns, size_t start,
                         size_t depth, float *lines, float *b) {
    const size_t taps = psal_conv2d_taps(&p->l), plane = (size_t)p->l.h.source * (size_t)p->l.w.source;
    shift shifts[MOST_SHIFTS];
    if (p->shifted && !p->identity) find_shifts(p, start, depth, shifts);
    for (size_t n = 0; n < columns; n += BLOCK, b += depth * BLOCK) {
        const size_t rows = psal_size_min(BLOCK, columns - n), step = p->identity ? p->positions : DEPTH;
        const float *from = p->identity ? source + (column + n) * p->positions + start : lines;
        for (size_t i = 0; i < rows && !p->identity; i++) {
            const size_t row = column + n + i;
            if (p->shifted)
                shift_row(source + row / taps * plane, &shifts[row % taps], start, depth, lines + i * DEPTH);
            else
                psal_conv2d_gather_row(&p->l, source, row, start, depth, lines + i * DEPTH);
        }
        for (size_t k = 0; k < depth; k += BLOCK)
            transpose_block(from + k, step, rows, psal_size_min(BLOCK, depth - k), b + k * BLOCK, BLOCK, BLOCK);
    }
}

/* The destination of a task's part of dw: c[row, ldc]; or one sum for each row, and `c` is scratch */
typedef struct dw_part {
    float *c;
    size_t ldc;
    double *sums; /* sum_step apart, or NULL */
    size_t sum_step;
    bool is_signed;
} dw_part;

/* One task: dy rows times columns column .. column+columns-1, over all images of group g. */
static void run_task(const psal_conv2d_shape *s, const dw_plan *p, const float *x, const float *dy, size_t g,
                     size_t row, size_t rows, size_t column, size_t columns, const dw_part *part, float *scratch) {
    const size_t image = (size_t)s->in_height * (size_t)s->in_width, groups = (size_t)s->groups;
    const size_t tiles = psal_ceil_div(rows, psal_tile_rows(psal_size_min(columns, UNPACKED_COLUMNS)));
    const size_t k_blocks = (size_t)s->batch * p->k_blocks;
    float *b = scratch, *lines = b + DEPTH * p->most_columns;
    for (size_t k_block = 0; k_block < k_blocks; k_block++) {
        const size_t n = k_block / p->k_blocks;
        const size_t start = even_start(p->positions, p->k_blocks, k_block % p->k_blocks);
        const size_t depth = even_share(p->positions, p->k_blocks, k_block % p->k_blocks);
        pack_columns(p, x + (n * groups + g) * p->channels * image, column, columns, start, depth, lines, b);
        for (size_t tile = 0; tile < tiles; tile++) {
            const size_t m = even_start(rows, tiles, tile), tile_rows = even_share(rows, tiles, tile);
            float *c = part->sums && p->one_k_block ? part->c : part->c + m * part->ldc;
            const float *a = dy + ((n * groups + g) * p->filters + row + m) * p->positions + start;
            const float *next = tile + 1 < tiles ? a + tile_rows * p->positions : a;
            for (size_t j = 0; j < columns; j += UNPACKED_COLUMNS)
                psal_register_tile_unpacked(PSAL_TILE_ROWS, tile_rows, psal_size_min(UNPACKED_COLUMNS, columns - j),
                                            depth, a, p->positions, next, b + j * depth, BLOCK, depth * BLOCK, c + j,
                                            part->ldc, k_block > 0);
            for (size_t r = 0; r < tile_rows && part->sums && k_block + 1 == k_blocks; r++)
                part->sums[(m + r) * part->sum_step] = sum_values(c + r * part->ldc, columns, part->is_signed);
        }
    }
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const dw_plan *p = c->plan;
    float *dw = c->direction == PSAL_CONV2D_DW ? o->result : NULL;
    const size_t blocks = psal_ceil_div(p->columns, BLOCK), group_tasks = p->row_tasks * p->column_tasks;
    double *partial = scratch; /* [out_channels][column_tasks] */
    float *buffers = (float *)scratch + p->partials;

    psal_tasks tasks;
    psal_tasks_init(&tasks, (size_t)s->groups * group_tasks, c->threads);
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t g = t.number / group_tasks, row_task = t.number % p->row_tasks;
        const size_t column_task = t.number / p->row_tasks % p->column_tasks;
        const size_t row = even_start(p->filters, p->row_tasks, row_task);
        const size_t rows = even_share(p->filters, p->row_tasks, row_task);
        const size_t column = psal_tasks_part(blocks, p->column_tasks, column_task) * BLOCK;
        const size_t columns = psal_size_min(psal_tasks_part(blocks, p->column_tasks, column_task + 1) * BLOCK,
                                             p->columns) -
                               column;
        const size_t filter = g * p->filters + row;
        float *buffer = buffers + (size_t)omp_get_thread_num() * p->buffer;
        dw_part part = {buffer + buffer_before_dw(p), p->most_columns, partial + filter * p->column_tasks + column_task,
                        p->column_tasks, o->is_signed};
        if (dw) part = (dw_part){dw + filter * p->columns + column, p->columns, NULL, 0, o->is_signed};
        run_task(s, p, o->x, o->dy, g, row, rows, column, columns, &part, buffer);
    }
    if (!dw) mean_of_partial_sums(partial, (size_t)s->out_channels, p->column_tasks, p->columns, o->result);
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_implicit_gemm_dw) = {prepare, run};
