/* ternary_table.c - convolutions with ternary filters, and their input gradients
 * (psal_ternary_filters), by tables instead of products.
 *
 * With weights -1, 0 and 1 three values have 27 sums: 0, 13 others and their negatives. Those 13 and 0
 * fit in a table of 16 floats, which is one register. So a table is made for each pixel and each three
 * channels, three weights of a filter become an index, and a permutation looks up the sums of 16
 * filters at once, which are then added or subtracted: two instructions for 48 products. (Looking up
 * the sums of a few rows is the "Method of Four Russians", Arlazarov, Dinic, Kronrod and Faradzhev
 * 1970.)
 *
 * It needs permutations of 16 floats, AVX-512. The bits do not depend on the number of threads. */
#include "engine/kernels/conv2d/simd/ternary_plan.h"

#include <string.h>

#include "engine/kernels/tasks.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/transpose.h"

static size_t floats_of_thread(const psal_ternary_plan *plan) {
    return plan->tables + plan->sums + plan->pixels + plan->offsets;
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const psal_ternary_plan plan = psal_ternary_plan_new(&c->shape, c->direction == PSAL_CONV2D_TERNARY_DX, c->threads);
    const size_t floats = plan.indices * BLOCK + (size_t)c->threads * floats_of_thread(&plan);
    return psal_conv2d_keep_plan(c, &plan, sizeof plan, floats * sizeof(float), err);
}

/* ---- tables ---- */

/* The weights of the three pixels in table entry n = 0 to 13: the digits of n + 13 to base 3, less 1, lowest first */
static const float entries[TRIPLE][BLOCK] = {{0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1},
                                             {0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0, 1, 1, 1},
                                             {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1}};

/* The tables of a task: cells [row, row + rows) x [column, column + columns) of the grid */
typedef struct region {
    int row, column;
    size_t rows, columns;
} region;

/* A table for each pixel of the region: the sum of three planes, each times its vector of coefficients */
static __attribute__((noinline)) void make_tables(const psal_ternary_phase *p, const region *r,
                                                  const float *const plane[TRIPLE], const vec coefficients[TRIPLE],
                                                  float *to) {
    const vec a = coefficients[0], b = coefficients[1], c = coefficients[2];
    const float *x = plane[0], *y = plane[1], *z = plane[2];
    const int width = p->l.w.source, scale = p->w.scale, column = r->column * scale + p->w.origin;
    int first = column < 0 ? (-column + scale - 1) / scale : 0, end = (int)r->columns;
    if (column + (end - 1) * scale >= width) end = width > column ? (width - 1 - column) / scale + 1 : 0;
    if (first > end) first = end;
    const ptrdiff_t next = (ptrdiff_t)p->l.h.source * width;
    for (size_t i = 0; i < r->rows; i++, to += r->columns * BLOCK) {
        const int row = (r->row + (int)i) * p->h.scale + p->h.origin;
        if (row < 0 || row >= p->l.h.source) {
            memset(to, 0, r->columns * BLOCK * sizeof *to);
            continue;
        }
        for (int j = 0; j < first; j++) vec_store(to + (size_t)j * BLOCK, vec_zero());
        for (int j = end; j < (int)r->columns; j++) vec_store(to + (size_t)j * BLOCK, vec_zero());
        ptrdiff_t at = (ptrdiff_t)row * width + column + (ptrdiff_t)first * scale;
        const size_t run = (size_t)((end - first) * scale);
        prefetch(x + at + next, run); /* of the next triple */
        prefetch(y + at + next, run);
        prefetch(z + at + next, run);
        for (int j = first; j < end; j++, at += scale) {
            const vec one = vec_mul(a, vec_broadcast(x[at])), two = vec_fma(b, vec_broadcast(y[at]), one);
            vec_store(to + (size_t)j * BLOCK, vec_fma(c, vec_broadcast(z[at]), two));
        }
    }
}

/* ---- the register tile ---- */

/* *sum += sign * table[word]. As assembly because GCC (12) moves all permutations of a tile before its additions, for
 * which there are not enough registers: half as fast. */
INLINE void add_looked_up(vec *sum, vec table, __m512i word, vec sign) {
    vec found;
    __asm__ volatile("vpermps %[table], %[word], %[found]\n\t"
                     "vfmadd231ps %[sign], %[found], %[sum]"
                     : [found] "=&v"(found), [sum] "+v"(*sum)
                     : [table] "v"(table), [word] "v"(word), [sign] "v"(sign));
}

/* sums[vector][pixel] (+)= the look-ups of `words` words; tables + pixel[i] + offset[step] is the table of a pixel at a
 * step. */
INLINE void tile(const int pixels, const int vectors, size_t words, const __m512i *indices, size_t indices_step,
                 const float *tables, const int *pixel, const int *offset, float *sums, size_t sums_step,
                 bool accumulate) {
    const __m512i sign_bit = _mm512_set1_epi32((int)0x80000000), one = _mm512_set1_epi32(0x3f800000);
    vec sum[TILE_PIXELS][TILE_VECTORS];
    const float *at[TILE_PIXELS];
#pragma GCC unroll 7
    for (int i = 0; i < pixels; i++) {
        at[i] = tables + pixel[i];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) sum[i][v] = vec_zero();
    }
    for (size_t q = 0; q < words; q++, indices++, offset += WORD_STEPS) {
        __m512i word[TILE_VECTORS];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) word[v] = indices[(size_t)v * indices_step];
#pragma GCC unroll 4
        for (int step = 0; step < WORD_STEPS; step++) {
            vec sign[TILE_VECTORS]; /* 1 and a byte's highest bit: (word << 24 & sign_bit) | one */
#pragma GCC unroll 3
            for (int v = 0; v < vectors; v++)
                sign[v] = _mm512_castsi512_ps(
                    _mm512_ternarylogic_epi32(_mm512_slli_epi32(word[v], 24), sign_bit, one, 0xea));
            const ptrdiff_t there = offset[step];
#pragma GCC unroll 7
            for (int i = 0; i < pixels; i++) {
                const vec table = vec_load(at[i] + there);
#pragma GCC unroll 3
                for (int v = 0; v < vectors; v++) add_looked_up(&sum[i][v], table, word[v], sign[v]);
            }
#pragma GCC unroll 3
            for (int v = 0; v < vectors; v++) word[v] = _mm512_srli_epi32(word[v], 8);
        }
    }
#pragma GCC unroll 7
    for (int i = 0; i < pixels; i++)
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) {
            float *to = sums + (size_t)v * sums_step + (size_t)i * BLOCK;
            vec_store(to, accumulate ? vec_add(vec_load(to), sum[i][v]) : sum[i][v]);
        }
}

typedef void tile_function(size_t words, const __m512i *indices, size_t indices_step, const float *tables,
                           const int *pixel, const int *offset, float *sums, size_t sums_step, bool accumulate);

#define FOR_EACH_PIXELS(f, vectors) \
    f(1, vectors) f(2, vectors) f(3, vectors) f(4, vectors) f(5, vectors) f(6, vectors) f(7, vectors)
#define DEFINE_TILE(pixels, vectors)                                                                             \
    static void tile_##pixels##_##vectors(size_t words, const __m512i *indices, size_t indices_step,             \
                                          const float *tables, const int *pixel, const int *offset, float *sums, \
                                          size_t sums_step, bool accumulate) {                                   \
        tile(pixels, vectors, words, indices, indices_step, tables, pixel, offset, sums, sums_step, accumulate); \
    }
#define NAME(pixels, vectors) tile_##pixels##_##vectors,

FOR_EACH_PIXELS(DEFINE_TILE, 1)
FOR_EACH_PIXELS(DEFINE_TILE, 2)
FOR_EACH_PIXELS(DEFINE_TILE, 3)

static tile_function *const tiles[TILE_VECTORS][TILE_PIXELS] = {
    {FOR_EACH_PIXELS(NAME, 1)}, {FOR_EACH_PIXELS(NAME, 2)}, {FOR_EACH_PIXELS(NAME, 3)}};

/* ---- a task: some vectors of results at some positions of an image ---- */

typedef struct memory {
    float *tables, *sums;
    int *pixel, *offset;
} memory;

typedef struct task_operands {
    const float *source;
    const psal_ternary_filters *w;
    float *result;
    const __m512i *indices;
} task_operands;

typedef struct part {
    size_t image;
    size_t row, rows, column, columns; /* positions: some whole rows, or a part of one */
    size_t vector, last;               /* vectors [vector, last) of results */
} part;

static region region_of(const psal_ternary_phase *p, const part *t) {
    return (region){.row = (int)t->row * p->h.advance,
                    .column = (int)t->column * p->w.advance,
                    .rows = psal_ternary_cells(&p->h, t->rows),
                    .columns = psal_ternary_cells(&p->w, t->columns)};
}

static void set_pixels(const psal_ternary_phase *p, const part *t, const region *r, int *pixel) {
    for (size_t i = 0; i < t->rows; i++)
        for (size_t j = 0; j < t->columns; j++)
            *pixel++ = ((int)(i * r->columns) * p->h.advance + (int)j * p->w.advance) * BLOCK;
}

/* The offsets of a block's steps. Steps that only fill up a word have the index 0, so any table does. */
static void set_offsets(const psal_ternary_plan *plan, const psal_ternary_phase *p, const region *r, size_t triples,
                        int *offset) {
    const int first = (p->h.tap * (int)r->columns + p->w.tap) * BLOCK, next = (int)(r->rows * r->columns) * BLOCK;
    int taps[MOST_TAPS];
    for (size_t tap = 0; tap < p->taps; tap++)
        taps[tap] = first + ((int)(tap / (size_t)p->l.w.taps) * p->h.tap_step * (int)r->columns +
                             (int)(tap % (size_t)p->l.w.taps) * p->w.tap_step) *
                                BLOCK;
    const size_t in_words = plan->dx ? p->taps / WORD_STEPS * WORD_STEPS : p->taps;
    const int *end = offset + psal_ternary_words(plan, p, triples) * WORD_STEPS;
    for (size_t triple = 0; triple < triples; triple++)
        for (size_t tap = 0; tap < in_words; tap++) *offset++ = (int)triple * next + taps[tap];
    for (size_t triple = 0; triple < triples && in_words < p->taps; triple += WORD_STEPS)
        for (size_t tap = in_words; tap < p->taps; tap++)
            for (size_t i = triple; i < triple + WORD_STEPS; i++)
                *offset++ = i < triples ? (int)i * next + taps[tap] : first;
    while (offset < end) *offset++ = first;
}

static void make_block(const psal_ternary_plan *plan, const psal_ternary_phase *p, const task_operands *o,
                       const part *t, const region *r, size_t triple, size_t end, float *tables) {
    const size_t plane = (size_t)p->l.h.source * (size_t)p->l.w.source;
    const float *source = o->source + t->image * plan->channels * plane;
    for (; triple < end; triple++, tables += r->rows * r->columns * BLOCK) {
        const float *planes[TRIPLE];
        vec coefficients[TRIPLE];
        for (size_t i = 0; i < TRIPLE; i++) {
            const size_t channel = triple + i * plan->triples;
            planes[i] = source + (channel < plan->channels ? channel : triple) * plane;
            const float factor = channel >= plan->channels ? 0 : plan->dx ? o->w->scale[channel] * o->w->factor : 1;
            coefficients[i] = vec_mul(vec_load(entries[i]), vec_broadcast(factor));
        }
        make_tables(p, r, planes, coefficients, tables);
    }
}

/* n <= 16 results, `step` apart */
INLINE void store_apart(float *to, size_t n, int step, vec values) {
    if (step == 1) {
        vec_store_masked(to, vec_first(n), values);
    } else if (step == 2) {
        const __m512i low = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
        const unsigned even = 0x55555555u & (n >= BLOCK ? ~0u : (1u << 2 * n) - 1);
        vec_store_masked(to, vec_chosen(even), _mm512_permutexvar_ps(low, values));
        if (n > BLOCK / 2)
            vec_store_masked(to + BLOCK, vec_chosen(even >> BLOCK),
                             _mm512_permutexvar_ps(_mm512_add_epi32(low, _mm512_set1_epi32(8)), values));
    } else {
        float each[BLOCK];
        vec_store(each, values);
        for (size_t i = 0; i < n; i++) to[i * (size_t)step] = each[i];
    }
}

/* To the result's planes, times the filters' scale unless the tables have it */
static void store_sums(const psal_ternary_plan *plan, const psal_ternary_phase *p, const task_operands *o,
                       const part *t, const float *sums) {
    const psal_conv2d_axis *h = &p->l.h, *w = &p->l.w;
    const size_t result_width = (size_t)(plan->dx ? plan->s->in_width : plan->s->out_width);
    const size_t plane = result_width * (size_t)(plan->dx ? plan->s->in_height : plan->s->out_height);
    /* Then a part is contiguous in a plane. */
    const bool in_order = h->place_step == 1 && w->place_step == 1;
    const size_t runs = in_order ? 1 : t->rows, run = t->rows * t->columns / runs;
    const size_t row_step = (size_t)h->place_step * (in_order ? (size_t)w->count : result_width);
    const size_t first = (in_order ? 0 : (size_t)h->place * result_width + (size_t)w->place) + t->row * row_step +
                         t->column * (size_t)w->place_step;
    for (size_t v = t->vector; v < t->last; v++, sums += p->task_positions * BLOCK) {
        const size_t lanes = psal_size_min(BLOCK, plan->results - v * BLOCK);
        const vec scale = plan->dx ? vec_broadcast(1)
                                   : vec_mul(vec_load_masked(o->w->scale + v * BLOCK, vec_first(lanes)),
                                             vec_broadcast(o->w->factor));
        float *to = o->result + (t->image * plan->results + v * BLOCK) * plane + first;
        const float *from = sums;
        for (size_t r = 0; r < runs; r++, to += row_step) {
            for (size_t k = 0; k < lanes && v + 1 < t->last; k++) /* of the next vector */
                prefetch_to_write(to + (BLOCK + k) * plane, run * (size_t)w->place_step);
            for (size_t i = 0; i < run; i += BLOCK) {
                const size_t n = psal_size_min(BLOCK, run - i);
                vec row[BLOCK];
                for (size_t k = 0; k < BLOCK; k++)
                    row[k] = k < n ? vec_mul(vec_load(from + k * BLOCK), scale) : vec_zero();
                from += n * BLOCK;
                transpose_registers(row);
                for (size_t k = 0; k < lanes; k++)
                    store_apart(to + k * plane + i * (size_t)w->place_step, n, w->place_step, row[k]);
            }
        }
    }
}

static void run_part(const psal_ternary_plan *plan, const psal_ternary_phase *p, const task_operands *o, const part *t,
                     const memory *s) {
    const region r = region_of(p, t);
    const size_t positions = t->rows * t->columns, sums_step = p->task_positions * BLOCK;
    const size_t strips = psal_ceil_div(positions, TILE_PIXELS);
    const size_t vectors = t->last - t->vector, groups = psal_ceil_div(vectors, TILE_VECTORS);
    set_pixels(p, t, &r, s->pixel);
    if (p->blocks == 0) memset(s->sums, 0, vectors * sums_step * sizeof *s->sums);
    const __m512i *indices = o->indices + p->indices + t->vector * p->words;
    for (size_t block = 0; block < p->blocks; block++) {
        const size_t triple = block * p->triples, end = psal_size_min(triple + p->triples, plan->triples);
        const size_t words = psal_ternary_words(plan, p, end - triple);
        make_block(plan, p, o, t, &r, triple, end, s->tables);
        if (block == 0 || end - triple < p->triples) set_offsets(plan, p, &r, end - triple, s->offset);
        for (size_t g = 0; g < groups; g++) {
            const size_t v = psal_tasks_part(vectors, groups, g), n = psal_tasks_part(vectors, groups, g + 1) - v;
            for (size_t i = 0; i < strips; i++) {
                const size_t first = psal_tasks_part(positions, strips, i),
                             count = psal_tasks_part(positions, strips, i + 1) - first;
                tiles[n - 1][count - 1](words, indices + v * p->words, p->words, s->tables, s->pixel + first, s->offset,
                                        s->sums + v * sums_step + first * BLOCK, sums_step, block > 0);
            }
        }
        indices += words;
    }
    store_sums(plan, p, o, t, s->sums);
}

static void run_task(const psal_ternary_plan *plan, size_t task, const task_operands *o, const memory *s) {
    size_t i = plan->phases - 1;
    while (plan->phase[i].first_task > task || plan->phase[i].positions == 0) i--;
    const psal_ternary_phase *p = &plan->phase[i];
    task -= p->first_task;
    const size_t share = task % p->shares, cut = task / p->shares % p->cuts,
                 band = task / p->shares / p->cuts % p->bands;
    const size_t height = (size_t)p->l.h.count, width = (size_t)p->l.w.count;
    part t = {.image = task / p->shares / p->cuts / p->bands,
              .row = psal_tasks_part(height, p->bands, band),
              .column = psal_tasks_part(width, p->cuts, cut),
              .vector = psal_tasks_part(plan->vectors, p->shares, share),
              .last = psal_tasks_part(plan->vectors, p->shares, share + 1)};
    t.rows = psal_tasks_part(height, p->bands, band + 1) - t.row;
    t.columns = psal_tasks_part(width, p->cuts, cut + 1) - t.column;
    run_part(plan, p, o, &t, s);
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const int threads = c->threads;
    const psal_ternary_plan *plan = c->plan;
    __m512i *indices = scratch;
    const task_operands operands = {plan->dx ? o->dy : o->x, o->ternary, o->result, indices};
    psal_tasks packing, tasks;
    psal_tasks_init(&packing, psal_ternary_pack_tasks(plan), threads);
    psal_tasks_init(&tasks, plan->tasks, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        for (psal_task t = psal_tasks_begin(&packing); psal_tasks_next(&packing, &t);)
            psal_ternary_pack(plan, o->ternary->codes, t.number, indices);
#pragma omp barrier
        float *own = (float *)(indices + plan->indices) + (size_t)omp_get_thread_num() * floats_of_thread(plan);
        int *pixel = (int *)(own + plan->tables + plan->sums);
        const memory own_memory = {own, own + plan->tables, pixel, pixel + plan->pixels};
        for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);)
            run_task(plan, t.number, &operands, &own_memory);
    }
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_ternary_table) = {prepare, run};
