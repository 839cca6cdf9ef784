/* winograd.c - forward and input gradient.
 *
 * The image is cut into tiles of m x m results, and for each of the n x n frequencies the sum over channels is a matrix
 * product: P[tile, o] = V[tile, c] * U[c, o]. The tile rows of all images follow each other, and work proceeds in bands of
 * them, each by one thread that keeps V in its own cache, or by all of them that keep it in the shared one:
 *
 *   1. V of the band, block by block of 16 channels
 *   2. for panels of 32 results, one or two together, and strips of tile rows: P for the strip, all frequencies, and its transform
 *
 * U is made once beforehand when several tasks want the same panel, otherwise by the task itself, just in time. Sums over
 * channels are cut into chunks by a rule on the shape of one image, so that neither the batch nor the threads change a bit. */
#include "engine/kernels/x86/winograd.h"

#include "engine/kernels/tasks.h"
#include "engine/kernels/x86/micro.h"
#include "engine/kernels/x86/winograd_transform.h"

#define PANEL (2 * BLOCK)         /* results of one task */
#define BAND_FLOATS (2u << 20)    /* V of a band: 8 MiB */
#define ALONE_FLOATS (216u << 10) /* V of a band that one thread does alone: 864 KiB */
#define ALONE_TILES 14u           /* the fewest of such a band, and */
#define ALONE_FILTERS (3u << 20)  /* the most of U, 12 MiB, lest reading that takes the time */
#define STRIP_TILES 64u           /* P of a strip, m = 4: 36 x 64 x 32 floats: 288 KiB, */
#define STRIDED_TILES \
    92u /* at stride 2, 25 x 92 x 32: one strip of 17 x 17, so that U of all panels need not be kept, */
#define SMALL_TILES 200u /* m = 2, 16 x 200 x 32, and */
#define WIDE_TILES 100u  /* 2 x 4, 24 x 100 x 32: one strip of 28 x 28, so that U, which is large there, is read once */
#define WANTED_TASKS 4u
#define AHEAD_RUN \
    (8 * BLOCK) /* how many results ahead filters are asked for, when those of all results follow each other, */
#define TURNED_CHANNELS 4u
#define AHEAD_TAPS 24u            /* and source channels, when theirs do: beyond the 16 that are loaded at once */
#define CHUNK_FLOATS (160u << 10) /* U of one panel and chunk of channels, made just in time: 640 KiB */

typedef struct plan {
    winograd_form form;
    size_t products, filters, taps; /* frequencies of a tile and of a filter, elements of a filter's plane */
    winograd_tiling t;
    size_t source_blocks, result_blocks, panels;
    size_t together, groups;   /* panels of one task, and how many groups of them there are */
    size_t tile_rows;          /* of all images */
    bool alone;                /* bands are tasks */
    size_t bands, band_rows;   /* tile rows of the largest band */
    size_t strips, strip_rows; /* tile rows of the largest strip, strips per (largest) band */
    bool shared_filters;
    size_t chunk, chunks;                /* source channels of U at a time */
    size_t v_step, u_step, p_step;       /* between frequencies; odd numbers of blocks, for the cache's sake */
    size_t v_floats, u_floats, p_floats; /* shared V; U of one panel and chunk; P of one panel and strip */
    size_t buffer;                       /* per thread */
} plan;

/* V of a tile row */
static size_t row_floats(const plan *p) {
    return p->products * p->source_blocks * p->t.tile_columns * BLOCK;
}

/* The most rows of so many tiles */
static size_t rows_of(const plan *p, size_t tiles) {
    return psal_size_max(tiles / p->t.tile_columns, 1);
}

/* The most tiles of a strip */
static size_t strip_tiles(winograd_form form) {
    switch (form) {
    case WINOGRAD_2X2_3X3:
        return SMALL_TILES;
    case WINOGRAD_2X4_3X3:
        return WIDE_TILES;
    default:
        return winograd_filters(form) < winograd_products(form) ? STRIDED_TILES : STRIP_TILES;
    }
}

/* Cut the tile rows into bands, and strips of them for at least `tasks` tasks. */
static void divide_rows(plan *p, size_t tile_rows, size_t tasks) {
    p->tile_rows = tile_rows;
    p->bands = psal_ceil_div(tile_rows, psal_size_max(BAND_FLOATS / row_floats(p), 1));
    p->band_rows = psal_ceil_div(tile_rows, p->bands);
    p->strips = psal_ceil_div(p->band_rows, rows_of(p, strip_tiles(p->form)));
    if (p->strips * p->panels < tasks) p->strips = psal_size_min(psal_ceil_div(tasks, p->panels), p->band_rows);
    p->strip_rows = psal_ceil_div(p->band_rows, p->strips);
    p->shared_filters = p->bands * p->strips > 1;
}

/* Where a band that keeps V in one processor's own cache has enough tiles for the time that it takes to read U, each is the work
 * of one thread, from the image to the result. */
static void choose_alone(plan *p, int threads) {
    const size_t rows = psal_size_min(ALONE_FLOATS / row_floats(p), rows_of(p, strip_tiles(p->form)));
    p->alone = p->shared_filters && p->chunks == 1 && rows * p->t.tile_columns >= ALONE_TILES &&
               p->tile_rows >= rows * WANTED_TASKS && p->filters * p->t.sources * p->t.results <= ALONE_FILTERS;
    if (!p->alone) return;
    p->bands = psal_round_up(psal_ceil_div(p->tile_rows, rows), (size_t)threads); /* as much for each */
    p->bands = psal_size_min(p->bands, p->tile_rows);
    p->strips = 1;
    p->band_rows = p->strip_rows = psal_ceil_div(p->tile_rows, p->bands);
}

static plan make_plan(const psal_conv2d_shape *s, bool transposed, winograd_form form, int threads) {
    plan p = {.form = form,
              .products = winograd_products(form),
              .filters = winograd_filters(form),
              .taps = winograd_taps(form),
              .t = winograd_tiling_of(s, transposed, form)};
    p.source_blocks = psal_ceil_div(p.t.sources, BLOCK);
    p.result_blocks = psal_ceil_div(p.t.results, BLOCK);
    p.panels = psal_ceil_div(p.t.results, PANEL);

    divide_rows(&p, p.t.image_rows, WANTED_TASKS);
    p.chunk = p.t.sources;
    if (!p.shared_filters)
        p.chunk = psal_size_min(p.t.sources, psal_size_max(CHUNK_FLOATS / (p.filters * PANEL) / BLOCK, 1) * BLOCK);
    p.chunks = psal_ceil_div(p.t.sources, p.chunk);
    divide_rows(&p, p.t.image_rows * (size_t)s->batch, threads > 1 ? WANTED_TASKS : 1);
    choose_alone(&p, threads);

    p.v_step = winograd_step(p.source_blocks * p.band_rows * p.t.tile_columns * BLOCK);
    p.u_step = winograd_step(p.chunk * PANEL);
    p.p_step = winograd_step(p.strip_rows * p.t.tile_columns * PANEL);
    p.v_floats = p.products * p.v_step;
    p.u_floats = p.filters * p.u_step;
    p.p_floats = p.products * p.p_step;
    p.together = p.alone || (p.shared_filters && psal_ceil_div(p.panels, 2) * p.strips >= WANTED_TASKS) ? 2 : 1;
    p.groups = psal_ceil_div(p.panels, p.together);
    p.buffer = psal_winograd_line_floats(form, p.t.tile_columns) + p.together * p.p_floats;
    if (!p.shared_filters) p.buffer += p.u_floats;
    if (p.alone) p.buffer += p.v_floats;
    return p;
}

static size_t shared_floats(const plan *p) {
    return (p->alone ? 0 : p->v_floats) + (p->shared_filters ? p->panels * p->chunks * p->u_floats : 0);
}

size_t psal_winograd_conv_scratch(const psal_conv2d_shape *s, bool transposed, winograd_form form, int threads) {
    const plan p = make_plan(s, transposed, form, threads);
    return (shared_floats(&p) + (size_t)threads * p.buffer) * sizeof(float);
}

/* u[frequency][block of results][chunk of source channels][16]: source channels first .. end-1 of one panel, where the chunk
 * begins with channel `start`. */
static void make_filters(const plan *p, const float *w, size_t panel, size_t start, size_t first, size_t end,
                         float *u) {
    float taps[BLOCK * WINOGRAD_MOST_TAPS * BLOCK] __attribute__((aligned(64)));
    const size_t count = p->taps;
    for (size_t block = panel * 2; block < psal_size_min(panel * 2 + 2, p->result_blocks); block++) {
        const size_t result = block * BLOCK, lanes = psal_size_min(BLOCK, p->t.results - result);
        float *dst = u + block % 2 * p->chunk * BLOCK;
        for (size_t c = first; c < end; c++) { /* w[result, c, taps] */
            const float *src = w + (result * p->t.sources + c) * count;
            const size_t loaded = (c - first) % BLOCK;
            if (loaded == 0)
                psal_winograd_load_filters(src, p->t.sources * count, lanes, psal_size_min(BLOCK, end - c), count,
                                           taps);
            for (size_t i = 0; i < lanes && c + AHEAD_TAPS < p->t.sources; i++)
                prefetch_later(src + (i * p->t.sources + AHEAD_TAPS) * count, 1);
            psal_winograd_filter(p->form, taps + loaded * count * BLOCK, dst + (c - start) * BLOCK, p->u_step);
        }
    }
}

/* The same of filters w[c, result, taps] turned by 180 degrees, for `panels` panels, which follow each other in memory: those of u
 * are `u_panel` floats apart. */
static void make_turned_filters(const plan *p, const float *w, size_t panel, size_t panels, size_t start, size_t first,
                                size_t end, float *u, size_t u_panel) {
    const size_t first_block = panel * 2, end_block = psal_size_min((panel + panels) * 2, p->result_blocks);
    const size_t run = psal_size_min(end_block * BLOCK, p->t.results) - first_block * BLOCK;
    for (size_t c = first; c < end; c++) {
        const float *src = w + (c * p->t.results + first_block * BLOCK) * p->taps;
        for (size_t i = 0, block = first_block; block < end_block; i += BLOCK, block++) {
            const size_t lanes = psal_size_min(BLOCK, run - i);
            size_t ahead = i + AHEAD_RUN, later = ahead / run; /* the run's end is followed by the next channel's */
            if (c + later < p->t.sources)
                prefetch(src + (later * p->t.results + ahead % run) * p->taps, lanes * p->taps);
            psal_winograd_turned_filter(p->form, src + i * p->taps, lanes,
                                        u + (block / 2 - panel) * u_panel + (block % 2 * p->chunk + c - start) * BLOCK,
                                        p->u_step);
        }
    }
}

/* The products of one strip and some panels for all frequencies, P[panel][frequency][tile][32], over `channels` source channels.
 * Panels next to each other meet the same rows of V in the nearest cache. */
static void multiply(const plan *p, psal_micro_form form, const float *v, size_t v_tiles, const float *u,
                     size_t u_panel, size_t channels, size_t tiles, size_t results, float *product, bool accumulate) {
    const size_t cuts = psal_ceil_div(tiles, MAX_ROWS);
    for (size_t f = 0; f < p->products; f++) {
        for (size_t cut = 0; cut < cuts; cut++) {
            const size_t t = even_start(tiles, cuts, cut), rows = even_share(tiles, cuts, cut);
            for (size_t o = 0; o < results; o += TILE_COLUMNS) {
                const size_t panel = o / PANEL, j = o % PANEL;
                psal_micro(form, rows, psal_size_min(TILE_COLUMNS, results - o), channels,
                           v + f * p->v_step + t * BLOCK, v_tiles * BLOCK,
                           u + panel * u_panel + winograd_filter_of(p->form, f) * p->u_step + j * p->chunk, BLOCK,
                           p->chunk * BLOCK, product + panel * p->p_floats + f * p->p_step + t * PANEL + j, PANEL,
                           accumulate);
            }
        }
    }
}

/* What all tasks of a call share */
typedef struct call {
    plan p;
    bool transposed, chains;
    const float *source, *w;
    float *result, *shared_u;
} call;

/* Tile rows row .. row+rows-1 of all, and their tiles */
typedef struct tile_rows {
    size_t row, rows, tiles;
} tile_rows;

static tile_rows band_of(const plan *p, size_t band) {
    const size_t first = psal_tasks_part(p->tile_rows, p->bands, band),
                 rows = psal_tasks_part(p->tile_rows, p->bands, band + 1) - first;
    return (tile_rows){first, rows, rows * p->t.tile_columns};
}

/* V of one block of channels and tile row of a band */
static void transform_row(const call *c, const tile_rows *band, size_t block, size_t row, float *v, float *line) {
    const plan *p = &c->p;
    const size_t image = (band->row + row) / p->t.image_rows, image_row = (band->row + row) % p->t.image_rows;
    winograd_planes planes = p->t.source;
    planes.lanes = psal_size_min(BLOCK, p->t.sources - block * BLOCK);
    psal_winograd_input(
        p->form, c->source + (image * p->t.sources + block * BLOCK) * (size_t)planes.height * (size_t)planes.width,
        &planes, (int)image_row * p->t.height.step + p->t.row_offset, p->t.column_offset, p->t.tile_columns, line,
        v + (block * band->tiles + row * p->t.tile_columns) * BLOCK, p->v_step);
}

/* Results of one strip, rows row .. row+rows-1 of a band, and the panels from `first` on that are done together. `line` is followed
 * by P and, where it is made just in time, by U. */
static void compute_strip(const call *c, const tile_rows *band, size_t row, size_t rows, size_t first, const float *v,
                          float *line) {
    const plan *p = &c->p;
    const size_t plane = (size_t)p->t.result.height * (size_t)p->t.result.width;
    const size_t results = psal_size_min(p->together * PANEL, p->t.results - first * PANEL);
    float *product = line + psal_winograd_line_floats(p->form, p->t.tile_columns);
    for (size_t chunk = 0; chunk < p->chunks; chunk++) {
        const size_t start = chunk * p->chunk, channels = psal_size_min(p->chunk, p->t.sources - start);
        float *u = product + p->p_floats;
        if (p->shared_filters)
            u = c->shared_u + (first * p->chunks + chunk) * p->u_floats;
        else if (c->transposed)
            make_turned_filters(p, c->w, first, 1, start, start, start + channels, u, 0);
        else
            make_filters(p, c->w, first, start, start, start + channels, u);
        multiply(p, c->chains ? PSAL_MICRO_CHAINS : PSAL_MICRO_ROWS,
                 v + (start * band->tiles + row * p->t.tile_columns * BLOCK), band->tiles, u, p->chunks * p->u_floats,
                 channels, rows * p->t.tile_columns, results, product, start > 0);
    }
    for (size_t o = 0; o < results; o += BLOCK) {
        winograd_planes planes = p->t.result;
        planes.lanes = psal_size_min(BLOCK, results - o);
        for (size_t r = 0; r < rows; r++) {
            const size_t image = (band->row + row + r) / p->t.image_rows,
                         image_row = (band->row + row + r) % p->t.image_rows;
            psal_winograd_output(p->form, product + o / PANEL * p->p_floats + r * p->t.tile_columns * PANEL + o % PANEL,
                                 p->p_step, PANEL, p->t.tile_columns, line,
                                 c->result + (image * p->t.results + first * PANEL + o) * plane, &planes,
                                 (int)image_row * p->t.height.results, 0);
        }
    }
}

/* U of all panels, in pieces that are read in long runs: some source channels for all panels, or all channels of a panel. */
static void make_shared_filters(const call *c, int threads) {
    const plan *p = &c->p;
    const size_t channels = c->transposed ? TURNED_CHANNELS : BLOCK, pieces = psal_ceil_div(p->t.sources, channels);
    psal_tasks tasks;
    psal_tasks_init(&tasks, (c->transposed ? 1 : p->panels) * pieces, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t panel = t.number / pieces, first = t.number % pieces * channels, chunk = first / p->chunk;
        const size_t end = psal_size_min(first + channels, p->t.sources);
        float *u = c->shared_u + (panel * p->chunks + chunk) * p->u_floats;
        if (c->transposed)
            make_turned_filters(p, c->w, 0, p->panels, chunk * p->chunk, first, end, u, p->chunks * p->u_floats);
        else
            make_filters(p, c->w, panel, chunk * p->chunk, first, end, u);
    }
}

/* A band by one thread */
static void compute_band_alone(const call *c, size_t number, float *buffer) {
    const plan *p = &c->p;
    const tile_rows band = band_of(p, number);
    float *v = buffer + p->buffer - p->v_floats;
    for (size_t block = 0; block < p->source_blocks; block++)
        for (size_t row = 0; row < band.rows; row++) transform_row(c, &band, block, row, v, buffer);
    for (size_t group = 0; group < p->groups; group++)
        compute_strip(c, &band, 0, band.rows, group * p->together, v, buffer);
}

/* A band by all threads: V row by row and then results strip by strip, so that a thread multiplies the rows that it transformed */
static void compute_band(const call *c, size_t number, float *v, float *buffers, int threads) {
    const plan *p = &c->p;
    const tile_rows band = band_of(p, number);
    psal_tasks tasks;
    psal_tasks_init(&tasks, p->source_blocks * band.rows, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);)
        transform_row(c, &band, t.number % p->source_blocks, t.number / p->source_blocks, v,
                      buffers + (size_t)omp_get_thread_num() * p->buffer);
    psal_tasks strips;
    psal_tasks_init(&strips, p->groups * p->strips, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&strips); psal_tasks_next(&strips, &t);) {
        const size_t strip = t.number / p->groups, row = psal_tasks_part(band.rows, p->strips, strip);
        compute_strip(c, &band, row, psal_tasks_part(band.rows, p->strips, strip + 1) - row,
                      t.number % p->groups * p->together, v, buffers + (size_t)omp_get_thread_num() * p->buffer);
    }
}

void psal_winograd_conv(const psal_conv2d_shape *s, bool transposed, winograd_form form, bool chains,
                        const float *source, const float *w, float *result, const psal_parallel *parallel) {
    const int threads = parallel->threads;
    call c = {make_plan(s, transposed, form, threads), transposed, chains, source, w, result, NULL};
    float *v = parallel->scratch, *buffers = v + shared_floats(&c.p);
    c.shared_u = v + (c.p.alone ? 0 : c.p.v_floats);
    if (c.p.shared_filters) make_shared_filters(&c, threads);
    if (c.p.alone) {
        psal_tasks tasks;
        psal_tasks_init(&tasks, c.p.bands, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
        for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);)
            compute_band_alone(&c, t.number, buffers + (size_t)omp_get_thread_num() * c.p.buffer);
        return;
    }
    for (size_t band = 0; band < c.p.bands; band++) compute_band(&c, band, v, buffers, threads);
}
