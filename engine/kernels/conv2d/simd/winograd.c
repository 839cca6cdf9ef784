/* winograd.c - input gradients, and convolutions in derivatives (conv2d.h: dy).
 *
 * The result is cut into tiles of m x m elements, and for each of the n x n frequencies the sum over channels is a
 * matrix product: P[tile, o] = V[tile, c] * U[c, o]. The tile rows of all images are cut into bands. A band is computed
 * either by one thread, which keeps V in its L2 cache, or by all threads, which keep it in the shared cache:
 *
 *   1. V of the band, for each block of 16 channels
 *   2. for strips of tile rows and one or two panels of 32 results: P of all frequencies, and its transform
 *
 * U is computed beforehand when several tasks read the same panel, otherwise by the task itself. K, the source
 * channels, is cut into blocks by a rule on the shape of one image, so that neither the batch nor the threads change a
 * bit.
 *
 * The three drivers share tiling and transforms, but not the loops, which the caches decide (measured in
 * tests/bench/conv2d.md). Here a band by one thread takes 2.3 ms where one by all threads takes 2.6 (256 to 256
 * channels at 56 x 56), but only if V fits in its cache and U is not too large. The matrix unit (amx/winograd.c) is so
 * fast that reading U limits it: all bands are by one thread, of 32 tiles or 64 instead of whole rows, which would
 * leave its tiles partly empty, and U and V are packed as pairs of bfloat16. A weight gradient (winograd_dw.c) sums
 * over tiles: it keeps a piece of E in the cache, and makes V and W for it again. */
#include "engine/kernels/conv2d/simd/winograd_transform.h"

#include "engine/kernels/tasks.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/register_tile.h"

#define BAND_FLOATS (2u << 20) /* V of a band of all threads: at most 8 MiB */
/* A band of one thread: V at most 864 KiB, at least 14 tiles, and U at most 12 MiB, because each band reads all of
 * it. */
#define BAND_TASK_FLOATS (216u << 10)
#define BAND_TASK_TILES 14u
#define BAND_TASK_FILTERS (3u << 20)
/* Tiles of a strip. P of one panel is then 36 x 64 x 32 floats with m = 4, 288 KiB; 16 x 200 x 32 with m = 2; and 25 x
 * 92 x 32 at stride 2, where an image of 17 x 17 is one strip, so that U need not be shared. */
#define STRIP_TILES 64u
#define SMALL_TILES 200u
#define STRIDED_TILES 92u
#define WANTED_TASKS 4u
#define AHEAD_RUN (8 * BLOCK) /* prefetch filters so many results ahead where those of all results are contiguous, */
#define ROTATED_CHANNELS 4u
#define AHEAD_TAPS 24u              /* or so many source channels where theirs are, of which 16 are loaded at once */
#define K_BLOCK_FLOATS (160u << 10) /* U of one panel and K block where it is not shared: 640 KiB */

typedef struct plan {
    winograd_tiling t;
    bool transposed;
    size_t products, filters, taps; /* frequencies of a tile and of a filter, elements of a filter's plane */
    size_t sources, results;        /* channels */
    size_t source_blocks, result_blocks, panels;
    size_t task_panels, panel_groups; /* panels of one task, and how many such groups */
    size_t tile_rows;                 /* of all images */
    bool band_tasks;                  /* bands are tasks */
    size_t bands, band_rows;          /* tile rows of the largest band */
    size_t strips, strip_rows;        /* tile rows of the largest strip, strips per (largest) band */
    bool shared_filters;
    size_t k_block, k_blocks;            /* source channels of a K block */
    size_t v_step, u_step, p_step;       /* between frequencies (winograd_step) */
    size_t v_floats, u_floats, p_floats; /* of V; U of one panel and K block; P of one panel and strip */
    size_t u_panel;                      /* between panels of U */
    size_t buffer;                       /* per thread */
} plan;

/* Floats of V for one tile row */
static size_t row_floats(const plan *p) {
    return p->products * p->source_blocks * p->t.tile_columns * BLOCK;
}

/* How many tile rows have at most so many tiles */
static size_t rows_of(const plan *p, size_t tiles) {
    return psal_size_max(tiles / p->t.tile_columns, 1);
}

/* The most tiles of a strip */
static size_t strip_tiles(winograd_form form) {
    if (form == WINOGRAD_2X2_3X3) return SMALL_TILES;
    return winograd_filters(form) < winograd_products(form) ? STRIDED_TILES : STRIP_TILES;
}

/* Cut the tile rows into bands, and strips of them for at least `tasks` tasks. */
static void divide_rows(plan *p, size_t tile_rows, size_t tasks) {
    p->tile_rows = tile_rows;
    p->bands = psal_ceil_div(tile_rows, psal_size_max(BAND_FLOATS / row_floats(p), 1));
    p->band_rows = psal_ceil_div(tile_rows, p->bands);
    p->strips = psal_ceil_div(p->band_rows, rows_of(p, strip_tiles(p->t.form)));
    if (p->strips * p->panels < tasks) p->strips = psal_size_min(psal_ceil_div(tasks, p->panels), p->band_rows);
    p->strip_rows = psal_ceil_div(p->band_rows, p->strips);
    p->shared_filters = p->bands * p->strips > 1;
}

/* Bands become tasks of one thread each where enough tiles fit in its L2 cache to pay for reading U. */
static void choose_band_tasks(plan *p, int threads) {
    const size_t rows = psal_size_min(BAND_TASK_FLOATS / row_floats(p), rows_of(p, strip_tiles(p->t.form)));
    p->band_tasks = p->shared_filters && p->k_blocks == 1 && rows * p->t.tile_columns >= BAND_TASK_TILES &&
                    p->tile_rows >= rows * WANTED_TASKS && p->filters * p->sources * p->results <= BAND_TASK_FILTERS;
    if (!p->band_tasks) return;
    p->bands = psal_round_up(psal_ceil_div(p->tile_rows, rows), (size_t)threads); /* as much for each */
    p->bands = psal_size_min(p->bands, p->tile_rows);
    p->strips = 1;
    p->band_rows = p->strip_rows = psal_ceil_div(p->tile_rows, p->bands);
}

static plan make_plan(const psal_conv2d_shape *s, bool transposed, winograd_form form, int threads) {
    plan p = {.t = winograd_tiling_of(s, transposed, form),
              .transposed = transposed,
              .products = winograd_products(form),
              .filters = winograd_filters(form),
              .taps = winograd_taps(form)};
    p.sources = p.t.source.channels;
    p.results = p.t.result.channels;
    p.source_blocks = psal_ceil_div(p.sources, BLOCK);
    p.result_blocks = psal_ceil_div(p.results, BLOCK);
    p.panels = psal_ceil_div(p.results, PANEL);

    divide_rows(&p, p.t.image_rows, WANTED_TASKS);
    p.k_block = p.sources;
    if (!p.shared_filters)
        p.k_block = psal_size_min(p.sources, psal_size_max(K_BLOCK_FLOATS / (p.filters * PANEL) / BLOCK, 1) * BLOCK);
    p.k_blocks = psal_ceil_div(p.sources, p.k_block);
    divide_rows(&p, p.t.image_rows * (size_t)s->batch, threads > 1 ? WANTED_TASKS : 1);
    choose_band_tasks(&p, threads);

    p.v_step = winograd_step(p.source_blocks * p.band_rows * p.t.tile_columns * BLOCK);
    p.u_step = winograd_step(p.k_block * PANEL);
    p.p_step = winograd_step(p.strip_rows * p.t.tile_columns * PANEL);
    p.v_floats = p.products * p.v_step;
    p.u_floats = p.filters * p.u_step;
    p.p_floats = p.products * p.p_step;
    p.u_panel = p.k_blocks * p.u_floats;
    p.task_panels = p.band_tasks || (p.shared_filters && psal_ceil_div(p.panels, 2) * p.strips >= WANTED_TASKS) ? 2 : 1;
    p.panel_groups = psal_ceil_div(p.panels, p.task_panels);
    p.buffer = psal_winograd_line_floats(form, p.t.tile_columns) + p.task_panels * p.p_floats;
    if (!p.shared_filters) p.buffer += p.u_floats;
    if (p.band_tasks) p.buffer += p.v_floats;
    return p;
}

static size_t shared_floats(const plan *p) {
    return (p->band_tasks ? 0 : p->v_floats) + (p->shared_filters ? p->panels * p->u_panel : 0);
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const bool transposed = c->direction == PSAL_CONV2D_DX;
    const plan p = make_plan(&c->shape, transposed, (winograd_form)c->algorithm->form, c->threads);
    return psal_conv2d_keep_plan(c, &p, sizeof p, (shared_floats(&p) + (size_t)c->threads * p.buffer) * sizeof(float),
                                 err);
}

/* What all tasks of a call share */
typedef struct call {
    const plan *p;
    const float *source, *w;
    float *result, *shared_u;
} call;

/* U of source channels first .. end-1 and one panel of filters w[result, c, taps]; see make_filters. */
static void make_panel(const plan *p, const float *w, size_t panel, size_t start, size_t first, size_t end, float *u) {
    float taps[BLOCK * WINOGRAD_MOST_TAPS * BLOCK] __attribute__((aligned(64)));
    const size_t count = p->taps;
    for (size_t block = panel * 2; block < psal_size_min(panel * 2 + 2, p->result_blocks); block++) {
        const size_t result = block * BLOCK, lanes = psal_size_min(BLOCK, p->results - result);
        float *dst = u + block % 2 * p->k_block * BLOCK;
        for (size_t c = first; c < end; c++) {
            const float *src = w + (result * p->sources + c) * count;
            const size_t loaded = (c - first) % BLOCK;
            if (loaded == 0)
                psal_winograd_load_filters(src, p->sources * count, lanes, psal_size_min(BLOCK, end - c), count, taps);
            for (size_t i = 0; i < lanes && c + AHEAD_TAPS < p->sources; i++)
                prefetch_later(src + (i * p->sources + AHEAD_TAPS) * count, 1);
            psal_winograd_filter(p->t.form, taps + loaded * count * BLOCK, dst + (c - start) * BLOCK, p->u_step);
        }
    }
}

/* The same of filters w[c, result, taps] rotated by 180 degrees, and of several panels */
static void make_rotated_panels(const plan *p, const float *w, size_t panel, size_t panels, size_t start, size_t first,
                                size_t end, float *u) {
    const size_t first_block = panel * 2, end_block = psal_size_min((panel + panels) * 2, p->result_blocks);
    const size_t run = psal_size_min(end_block * BLOCK, p->results) - first_block * BLOCK;
    for (size_t c = first; c < end; c++) {
        const float *src = w + (c * p->results + first_block * BLOCK) * p->taps;
        for (size_t i = 0, block = first_block; block < end_block; i += BLOCK, block++) {
            const size_t lanes = psal_size_min(BLOCK, run - i);
            size_t ahead = i + AHEAD_RUN, later = ahead / run; /* behind the run of a channel: that of the next one */
            if (c + later < p->sources) prefetch(src + (later * p->results + ahead % run) * p->taps, lanes * p->taps);
            psal_winograd_rotated_filter(
                p->t.form, src + i * p->taps, lanes,
                u + (block / 2 - panel) * p->u_panel + (block % 2 * p->k_block + c - start) * BLOCK, p->u_step);
        }
    }
}

/* u[panel][frequency][block of results][source channel of the K block][16], panels u_panel floats apart: of source
 * channels first .. end-1 of K block `number`. */
static void make_filters(const call *c, size_t panel, size_t panels, size_t number, size_t first, size_t end,
                         float *u) {
    const size_t start = number * c->p->k_block;
    if (c->p->transposed)
        make_rotated_panels(c->p, c->w, panel, panels, start, first, end, u);
    else
        for (size_t i = 0; i < panels; i++) make_panel(c->p, c->w, panel + i, start, first, end, u + i * c->p->u_panel);
}

/* P[panel][frequency][tile][32] of one strip and some panels, over `channels` source channels. The panels are the inner
 * loop, so that rows of V are read from the L1 cache. */
static void multiply(const plan *p, const float *v, size_t v_tiles, const float *u, size_t channels, size_t tiles,
                     size_t results, float *product, bool accumulate) {
    const size_t row_tiles = psal_ceil_div(tiles, MAX_ROWS);
    for (size_t f = 0; f < p->products; f++) {
        for (size_t i = 0; i < row_tiles; i++) {
            const size_t t = even_start(tiles, row_tiles, i), rows = even_share(tiles, row_tiles, i);
            for (size_t o = 0; o < results; o += TILE_COLUMNS) {
                const size_t panel = o / PANEL, j = o % PANEL;
                psal_register_tile(PSAL_TILE_ROWS, rows, psal_size_min(TILE_COLUMNS, results - o), channels,
                                   v + f * p->v_step + t * BLOCK, v_tiles * BLOCK,
                                   u + panel * p->u_panel + winograd_filter_of(p->t.form, f) * p->u_step +
                                       j * p->k_block,
                                   BLOCK, p->k_block * BLOCK,
                                   product + panel * p->p_floats + f * p->p_step + t * PANEL + j, PANEL, accumulate);
            }
        }
    }
}

/* Tile rows row .. row+rows-1, counted across all images, and how many tiles they have */
typedef struct tile_rows {
    size_t row, rows, tiles;
} tile_rows;

static tile_rows band_of(const plan *p, size_t band) {
    const size_t first = psal_tasks_part(p->tile_rows, p->bands, band),
                 rows = psal_tasks_part(p->tile_rows, p->bands, band + 1) - first;
    return (tile_rows){first, rows, rows * p->t.tile_columns};
}

/* V of one block of channels and one tile row of a band */
static void transform_row(const call *c, const tile_rows *band, size_t block, size_t row, float *v, float *line) {
    const plan *p = c->p;
    const size_t columns = p->t.tile_columns, first = (band->row + row) * columns;
    psal_winograd_input(&p->t, c->source, winograd_tiles_at(&p->t, first, first + columns, columns), block, line,
                        v + (block * band->tiles + row * columns) * BLOCK, p->v_step);
}

/* Results of one strip, rows row .. row+rows-1 of a band, and of the task's panels from `first` on. `line` is followed
 * by P and, where U is not shared, by U. */
static void compute_strip(const call *c, const tile_rows *band, size_t row, size_t rows, size_t first, const float *v,
                          float *line) {
    const plan *p = c->p;
    const size_t columns = p->t.tile_columns, tile = (band->row + row) * columns, tiles = rows * columns;
    const size_t panels = psal_size_min(p->task_panels, p->panels - first);
    const size_t results = psal_size_min(panels * PANEL, p->results - first * PANEL);
    float *product = line + psal_winograd_line_floats(p->t.form, columns);
    for (size_t number = 0; number < p->k_blocks; number++) {
        const size_t start = number * p->k_block, channels = psal_size_min(p->k_block, p->sources - start);
        float *u = product + p->p_floats;
        if (p->shared_filters)
            u = c->shared_u + first * p->u_panel + number * p->u_floats;
        else
            make_filters(c, first, 1, number, start, start + channels, u);
        multiply(p, v + (start * band->tiles + row * columns * BLOCK), band->tiles, u, channels, tiles, results,
                 product, start > 0);
    }
    for (size_t i = 0; i < panels; i++)
        psal_winograd_output(&p->t, product + i * p->p_floats, p->p_step, tile, tile + tiles, first + i, line,
                             c->result);
}

/* U of all panels, in pieces for which w is read in long runs: a few source channels and all panels, or 16 and one
 * panel */
static void make_shared_filters(const call *c, int threads) {
    const plan *p = c->p;
    const size_t channels = p->transposed ? ROTATED_CHANNELS : BLOCK, panels = p->transposed ? p->panels : 1;
    const size_t pieces = psal_ceil_div(p->sources, channels);
    psal_tasks tasks;
    psal_tasks_init(&tasks, p->panels / panels * pieces, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t panel = t.number / pieces, first = t.number % pieces * channels, number = first / p->k_block;
        make_filters(c, panel, panels, number, first, psal_size_min(first + channels, p->sources),
                     c->shared_u + panel * p->u_panel + number * p->u_floats);
    }
}

/* A band, in all threads or in the calling one: V row by row, then results strip by strip, so that a thread mostly
 * reads the rows of V that it wrote (tasks.h) */
static void compute_band(const call *c, size_t number, float *v, float *buffers, int threads) {
    const plan *p = c->p;
    const tile_rows band = band_of(p, number);
    psal_tasks tasks;
    psal_tasks_init(&tasks, p->source_blocks * band.rows, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);)
        transform_row(c, &band, t.number % p->source_blocks, t.number / p->source_blocks, v,
                      buffers + (size_t)omp_get_thread_num() * p->buffer);
    psal_tasks strips;
    psal_tasks_init(&strips, p->panel_groups * p->strips, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&strips); psal_tasks_next(&strips, &t);) {
        const size_t strip = t.number / p->panel_groups, row = psal_tasks_part(band.rows, p->strips, strip);
        compute_strip(c, &band, row, psal_tasks_part(band.rows, p->strips, strip + 1) - row,
                      t.number % p->panel_groups * p->task_panels, v,
                      buffers + (size_t)omp_get_thread_num() * p->buffer);
    }
}

static void run(const psal_convolution *convolution, const psal_conv2d_operands *o, void *scratch) {
    const int threads = convolution->threads;
    const plan *p = convolution->plan;
    float *v = scratch, *buffers = v + shared_floats(p);
    const call c = {p, p->transposed ? o->dy : o->x, o->w, o->result, v + (p->band_tasks ? 0 : p->v_floats)};
    if (p->shared_filters) make_shared_filters(&c, threads);
    for (size_t band = 0; band < p->bands && !p->band_tasks; band++) compute_band(&c, band, v, buffers, threads);
    if (!p->band_tasks) return;
    psal_tasks tasks;
    psal_tasks_init(&tasks, p->bands, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        float *own = buffers + (size_t)omp_get_thread_num() * p->buffer;
        compute_band(&c, t.number, own + p->buffer - p->v_floats, own, 1);
    }
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_winograd) = {prepare, run};
