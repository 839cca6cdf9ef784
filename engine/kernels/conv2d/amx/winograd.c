/* winograd.c - input gradients and dy as in simd/winograd.c: for each frequency P[tile, o] = V[tile, c] * U[c, o], with
 * tiles as rows of A and filters as columns of B: pairs of channels then lie as transforms over vectors of channels
 * write them.
 *
 *   1. U of all filters, in parallel over panels of 32 results and steps of 32 source channels
 *   2. in parallel over bands of tiles: V of the band, then, some panels at a time, P and its transform. V and P stay
 *      in the L2 cache, U comes from the shared one.
 *
 * Tiles are numbered across all images. A sum over channels is one call of psal_amx_multiply, so that neither the bands
 * nor the threads change a bit. */
#include <omp.h>

#include "engine/kernels/conv2d/amx/codes.h"
#include "engine/kernels/conv2d/amx/tile.h"
#include "engine/kernels/conv2d/simd/winograd_tile.h"

_Static_assert(TILE_WIDTH == PANEL, "psal_winograd_output reads panels");

#define GROUP_TILES 7u /* tiles transformed together: 30 columns of the image with m = 4, 16 with m = 2 */
#define FEW_STEPS 2u   /* with F(4 x 4) and so few, V of a band of 32 tiles has 442 KiB */
#define MANY_STEPS 8u  /* with F(2 x 2) and so many, V fills the cache, and more panels at a time read U less often */
#define MOST_PANELS 4u

typedef struct plan {
    winograd_tiling t;
    bool transposed;
    int m;
    size_t frequencies;             /* (m+2)^2 */
    size_t sources, results;        /* channels */
    size_t steps, panels, together; /* panels that a band multiplies before it transforms */
    size_t tiles;                   /* of all images */
    size_t bands, band_rows;        /* rows of A of the largest band: tiles, in whole blocks */
    size_t v_step, u_step, p_step;  /* between frequencies; odd numbers of cache lines, for the caches' sake */
    /* U, and a panel of it; a group's lines of one block of channels; per thread */
    size_t u_floats, u_panel, line, buffer;
} plan;

static plan make_plan(const psal_conv2d_shape *s, bool transposed, winograd_form form, int threads) {
    const int m = winograd_height(form).results;
    plan p = {.t = winograd_tiling_of(s, transposed, form),
              .transposed = transposed,
              .m = m,
              .frequencies = winograd_products(form)};
    p.sources = p.t.source.channels;
    p.results = p.t.result.channels;
    p.steps = psal_ceil_div(p.sources, GROUP);
    p.panels = psal_ceil_div(p.results, TILE_WIDTH);
    p.tiles = p.t.image_rows * p.t.tile_columns * (size_t)s->batch;

    const bool small = m == 4 && p.steps <= FEW_STEPS;
    const size_t most = small ? TILE_ROWS : 2 * TILE_ROWS;
    p.together = psal_size_min((m == 4 ? !small : p.steps >= MANY_STEPS) ? MOST_PANELS : 1, p.panels);
    p.bands = psal_ceil_div(p.tiles, most);
    p.bands = psal_size_min(psal_round_up(p.bands, (size_t)threads), psal_size_max(p.bands, p.tiles / TILE_ROWS));
    p.band_rows = psal_round_up(psal_ceil_div(p.tiles, p.bands), TILE_ROWS);
    p.v_step = winograd_step(p.band_rows / TILE_ROWS * p.steps * STEP_FLOATS);
    p.u_step = winograd_step(p.steps * STEP_FLOATS);
    p.p_step = winograd_step(p.together * p.band_rows * TILE_WIDTH);
    p.u_panel = p.frequencies * p.u_step;
    p.u_floats = p.panels * p.u_panel;
    p.line = psal_winograd_line_floats(form, psal_size_max(GROUP_TILES, p.t.tile_columns));
    p.buffer = p.frequencies * (p.v_step + p.p_step) + 2 * p.line;
    return p;
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const bool transposed = c->direction == PSAL_CONV2D_DX;
    const plan p = make_plan(&c->shape, transposed, (winograd_form)c->algorithm->form, c->threads);
    return psal_conv2d_keep_plan(c, &p, sizeof p, (p.u_floats + (size_t)c->threads * p.buffer) * sizeof(float), err);
}

/* ---- transforms to pairs of bfloat16 ---- */

/* transform_2d of two tiles or filters, the elements of which are pairs: out[(i*d.to + j)*out_step + part*PART_FLOATS].
 * `ask`: prefetch where the next tile is written, because each frequency lies in a page of its own. */
INLINE void pairs_2d(transform_1d *one, const direction d, const bool ask, const float *first, const float *second,
                     ptrdiff_t in_row, ptrdiff_t in_step, float *out, ptrdiff_t out_step) {
    const int from = d.from, to = d.to;
    vec middle[2][MOST_TILE * MOST_TILE]; /* [to][from] */
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        const float *in = half ? second : first;
#pragma GCC unroll 6
        for (int j = 0; j < from; j++) {
            vec column[MOST_TILE];
#pragma GCC unroll 6
            for (int i = 0; i < from; i++) column[i] = vec_load(in + i * in_row + j * in_step);
            one(d.axis, column, 1, middle[half] + j, from);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < to; i++) {
        vec row[2][MOST_TILE];
        one(d.axis, middle[0] + i * from, 1, row[0], 1);
        one(d.axis, middle[1] + i * from, 1, row[1], 1);
#pragma GCC unroll 6
        for (int j = 0; j < to; j++, out += out_step) {
            vec part[PARTS];
            split_pairs(row[0][j], row[1][j], part);
#pragma GCC unroll 3
            for (unsigned k = 0; k < PARTS; k++) {
                vec_store(out + k * PART_FLOATS, part[k]);
                if (ask) __builtin_prefetch(out + k * PART_FLOATS + STEP_PAIRS, 1);
            }
        }
    }
}

static void filter_pairs(int m, bool rotated, const float *first, const float *second, float *u, size_t step) {
    const ptrdiff_t start = rotated ? 8 * BLOCK : 0, row = rotated ? -3 * BLOCK : 3 * BLOCK,
                    tap = rotated ? -BLOCK : BLOCK;
    if (m == 2)
        pairs_2d(filter_1d, (direction){WINOGRAD_AXIS_2_3, 3, 4}, false, first + start, second + start, row, tap, u,
                 (ptrdiff_t)step);
    else
        pairs_2d(filter_1d, (direction){WINOGRAD_AXIS_4_3, 3, 6}, false, first + start, second + start, row, tap, u,
                 (ptrdiff_t)step);
}

static void tile_pairs(int m, const float *first, const float *second, size_t columns, float *v, size_t step) {
    if (m == 2)
        pairs_2d(input_1d, (direction){WINOGRAD_AXIS_2_3, 4, 4}, false, first, second, (ptrdiff_t)columns * BLOCK,
                 BLOCK, v, (ptrdiff_t)step);
    else
        pairs_2d(input_1d, (direction){WINOGRAD_AXIS_4_3, 6, 6}, true, first, second, (ptrdiff_t)columns * BLOCK, BLOCK,
                 v, (ptrdiff_t)step);
}

/* ---- U ---- */

/* U of one panel and step: u[frequency][step][part][result / 16][pair][result % 16], 0 beyond the last channel */
static void make_filters(const plan *p, const float *w, size_t panel, size_t step, float *u) {
    float taps[2][BLOCK * 9 * BLOCK] __attribute__((aligned(64)));
    u += panel * p->u_panel + step * STEP_FLOATS;
    for (size_t block = 0; block < 2; block++, u += TILE_FLOATS) {
        const size_t result = panel * TILE_WIDTH + block * BLOCK;
        const size_t lanes = result < p->results ? psal_size_min(BLOCK, p->results - result) : 0;
        memset(taps, 0, sizeof taps);
        for (size_t half = 0; half < 2 && lanes; half++) {
            const size_t c = step * GROUP + half * BLOCK,
                         channels = c < p->sources ? psal_size_min(BLOCK, p->sources - c) : 0;
            if (!p->transposed && channels) /* w[result, c, 3, 3] */
                psal_winograd_load_filters(w + (result * p->sources + c) * 9, p->sources * 9, lanes, channels, 9,
                                           taps[half]);
            for (size_t i = 0; p->transposed && i < channels; i++) /* w[c, result, 3, 3] */
                load_taps(w + ((c + i) * p->results + result) * 9, lanes, 9, taps[half] + i * 9 * BLOCK);
        }
        for (size_t pair = 0; pair < STEP_PAIRS; pair++)
            filter_pairs(p->m, p->transposed, taps[0] + pair * 9 * BLOCK, taps[1] + pair * 9 * BLOCK, u + pair * BLOCK,
                         p->u_step);
    }
}

/* ---- bands ---- */

/* V: v[frequency][tile / 32][step][part][tile / 16 % 2][tile % 16][pair], 0 beyond the last channel */
static void transform_band(const plan *p, const float *source, size_t start, size_t end, float *v, float *line) {
    winograd_tiles tiles;
    for (size_t first = start; first < end; first += tiles.count) {
        tiles = winograd_tiles_at(&p->t, first, end, GROUP_TILES);
        for (size_t step = 0; step < p->steps; step++) {
            const size_t columns = load_windows(&p->t, source, &tiles, step * 2, line);
            load_windows(&p->t, source, &tiles, step * 2 + 1, line + p->line);
            for (size_t i = 0; i < tiles.count; i++) {
                const size_t row = first + i - start;
                const float *from = line + i * (size_t)p->m * BLOCK;
                tile_pairs(p->m, from, from + p->line, columns,
                           v + (row / TILE_ROWS * p->steps + step) * STEP_FLOATS + row % TILE_ROWS * STEP_PAIRS,
                           p->v_step);
            }
        }
    }
}

/* product[frequency][panel][tile][32] of some panels, which are multiplied by the same rows of V one after the other */
static void multiply(const plan *p, size_t rows, size_t panel, size_t panels, const float *v, const float *u,
                     float *product) {
    for (size_t f = 0; f < p->frequencies; f++) {
        for (size_t row = 0; row < rows; row += TILE_ROWS) {
            for (size_t i = 0; i < panels; i++) {
                const float *b = u + (panel + i) * p->u_panel + f * p->u_step;
                const psal_amx_b_tiles b_tiles = {b, b + TILE_FLOATS, STEP_FLOATS, PART_FLOATS};
                psal_amx_multiply(PSAL_AMX_ONE_PASS, v + f * p->v_step + row * p->steps * (STEP_FLOATS / TILE_ROWS),
                                  &b_tiles, p->steps, product + f * p->p_step + (i * p->band_rows + row) * TILE_WIDTH,
                                  TILE_WIDTH);
            }
        }
    }
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const plan *p = c->plan;
    float *u = scratch, *buffers = u + p->u_floats;
#pragma omp parallel num_threads(c->threads) if (c->threads > 1)
    {
        float *v = buffers + (size_t)omp_get_thread_num() * p->buffer, *product = v + p->frequencies * p->v_step;
        float *line = product + p->frequencies * p->p_step;
        psal_amx_begin();
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < p->panels * p->steps; i++) make_filters(p, o->w, i / p->steps, i % p->steps, u);
#pragma omp for schedule(dynamic)
        for (size_t band = 0; band < p->bands; band++) {
            const size_t start = even_start(p->tiles, p->bands, band), end = even_start(p->tiles, p->bands, band + 1);
            transform_band(p, p->transposed ? o->dy : o->x, start, end, v, line);
            for (size_t panel = 0; panel < p->panels; panel += p->together) {
                const size_t panels = psal_size_min(p->together, p->panels - panel);
                multiply(p, end - start, panel, panels, v, u, product);
                for (size_t i = 0; i < panels; i++)
                    psal_winograd_output(&p->t, product + i * p->band_rows * PANEL, p->p_step, start, end, panel + i,
                                         line, o->result);
            }
        }
        psal_amx_end();
    }
}

const psal_conv2d_code psal_amx_winograd = {prepare, run};
