/* winograd_dw.c - weight gradient: for each frequency, E[o, c] = sum over tiles of W[o, tile] * V[tile, c], with W the
 * transformed dy and V the transformed x; then dw = G^T E G.
 *
 * E is cut into pieces of some filters and some input channels, each small enough for the L2 cache. A task computes V
 * and W for its piece, for a band of a few tiles at a time. So V is computed again for each group of filters and W for
 * each panel of inputs; that takes little longer than reading both from the shared cache, and less when other threads
 * use that cache. Only for small images with many channels V and W are computed beforehand. Where pieces are few, a
 * piece has several sums, each over some of the bands, added up at the end. All of it follows from the shape alone. */
#include "engine/kernels/conv2d/simd/winograd_transform.h"

#include "engine/kernels/tasks.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/register_tile.h"
#include "engine/kernels/conv2d/simd/sum.h"

/* V and W are computed beforehand if they have at most 12 MiB and E at least 8 MiB. */
#define SHARED_FLOATS (3u << 20)
#define LARGE_E_FLOATS (2u << 20)
#define SHARED_GROUP 4u           /* blocks of filters of a piece then; otherwise */
#define PIECE_FLOATS (144u << 10) /* E of a piece: 576 KiB, */
#define BAND_FLOATS (84u << 10)   /* V and W of a band: 336 KiB */
#define INPUT_COST 8u             /* measured time of the transform of a tile and block of x, */
#define GRADIENT_COST 5u          /* and of dy */
/* With fewer than WANTED_TASKS, a piece has several sums of FEWEST_BANDS each; with fewer than FEWEST_TASKS even so,
 * pieces are smaller. */
#define WANTED_TASKS 8u
#define FEWEST_BANDS 3u
#define FEWEST_TASKS 4u

typedef struct dw_plan {
    winograd_tiling t;                /* of the forward convolution */
    size_t products, gradients, taps; /* frequencies of a tile and of E, elements of a filter's plane */
    size_t inputs, filters, input_blocks, filter_blocks;
    size_t groups, panels, group_blocks, panel_blocks; /* pieces are groups x panels of at most so many blocks */
    bool shared;                                       /* V and W are computed beforehand */
    /* an image has row_bands x row_parts bands; tiles: of the largest */
    size_t row_bands, row_parts, bands, tiles, images;
    size_t sums;                         /* of a piece */
    size_t x_step, y_step, e_step;       /* between frequencies */
    size_t x_floats, y_floats, e_floats; /* V and W, of all or of a thread; E of a piece */
    size_t line, partials;               /* of a thread; partial sums */
} dw_plan;

/* The image is one band, transformed beforehand. */
static void share_image(dw_plan *p) {
    p->shared = true;
    p->panels = psal_ceil_div(p->inputs, PANEL);
    p->groups = psal_ceil_div(p->filter_blocks, SHARED_GROUP);
    p->row_bands = p->row_parts = p->bands = p->sums = 1;
}

/* Pieces of whole panels for which the transforms take least time, and bands that fit in the cache with them */
static void cut_pieces(dw_plan *p) {
    const size_t most = PIECE_FLOATS / (p->gradients * BLOCK * BLOCK);
    size_t best = SIZE_MAX, filters = 1, inputs = 2;
    for (size_t i = 2; i < p->input_blocks + 2 && i <= most; i += 2) {
        const size_t f = psal_size_min(p->filter_blocks, most / i);
        const size_t groups = psal_ceil_div(p->filter_blocks, f), panels = psal_ceil_div(p->input_blocks, i);
        const size_t cost = INPUT_COST * p->input_blocks * groups + GRADIENT_COST * p->filter_blocks * panels;
        if (cost > best) continue;
        best = cost;
        filters = f;
        inputs = psal_size_min(i, p->input_blocks);
        p->groups = groups;
        p->panels = panels;
    }

    const size_t tiles = psal_size_max(BAND_FLOATS / (p->products * (filters + inputs) * BLOCK), 1);
    p->row_parts = psal_ceil_div(p->t.tile_columns, tiles);
    p->row_bands = psal_ceil_div(p->t.image_rows, psal_size_max(tiles / p->t.tile_columns, 1));
    p->bands = p->row_bands * p->row_parts;

    p->sums = 1;
    while (p->groups * p->panels * p->sums < WANTED_TASKS && p->bands >= 2 * p->sums * FEWEST_BANDS) p->sums *= 2;
    while (p->groups * p->panels * p->sums < FEWEST_TASKS && 2 * p->panels < p->input_blocks) p->panels++;
    while (p->groups * p->panels * p->sums < FEWEST_TASKS && p->groups < p->filter_blocks) p->groups++;
}

static dw_plan make_plan(const psal_conv2d_shape *s, winograd_form form) {
    dw_plan p = {.t = winograd_tiling_of(s, false, form),
                 .products = winograd_products(form),
                 .gradients = winograd_filters(form),
                 .taps = winograd_taps(form)};
    p.inputs = p.t.source.channels;
    p.filters = p.t.result.channels;
    p.input_blocks = psal_ceil_div(p.inputs, BLOCK);
    p.filter_blocks = psal_ceil_div(p.filters, BLOCK);

    const size_t image = p.products * (p.input_blocks + p.filter_blocks) * p.t.image_rows * p.t.tile_columns * BLOCK;
    if (s->batch == 1 && image <= SHARED_FLOATS && p.gradients * p.filters * p.inputs >= LARGE_E_FLOATS)
        share_image(&p);
    else
        cut_pieces(&p);
    p.images = (size_t)s->batch;
    p.group_blocks = psal_ceil_div(p.filter_blocks, p.groups);
    p.panel_blocks = psal_ceil_div(p.input_blocks, p.panels);
    p.tiles = psal_ceil_div(p.t.image_rows, p.row_bands) * psal_ceil_div(p.t.tile_columns, p.row_parts);

    p.x_step = winograd_step((p.shared ? p.input_blocks : p.panel_blocks) * p.tiles * BLOCK);
    p.y_step = winograd_step((p.shared ? p.filter_blocks : p.group_blocks) * p.tiles * BLOCK);
    p.e_step = winograd_step(p.group_blocks * BLOCK * psal_round_up(p.panel_blocks * BLOCK, PANEL));
    p.x_floats = p.products * p.x_step;
    p.y_floats = p.products * p.y_step;
    p.e_floats = p.gradients * p.e_step;
    p.line = psal_winograd_line_floats(form, psal_ceil_div(p.t.tile_columns, p.row_parts));
    p.partials = psal_round_up(2 * p.filters * p.input_blocks, BLOCK);
    return p;
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const dw_plan p = make_plan(&c->shape, (winograd_form)c->algorithm->form);
    const size_t every = (size_t)c->threads, images = p.shared ? 1 : every;
    const size_t sums = p.sums > 1 ? p.groups * p.panels * p.sums : every;
    const size_t floats = p.partials + images * (p.x_floats + p.y_floats) + every * p.line + sums * p.e_floats;
    return psal_conv2d_keep_plan(c, &p, sizeof p, floats * sizeof(float), err);
}

/* What all tasks of a call share */
typedef struct call {
    const dw_plan *p;
    const float *x, *dy;
    float *dw;
    bool is_signed;
    double *partial;
} call;

/* Blocks start .. start+blocks-1 of filters and of inputs */
typedef struct piece {
    size_t filter_start, filter_blocks, input_start, input_blocks;
} piece;

static piece piece_of(const dw_plan *p, size_t number) {
    const size_t group = number % p->groups, panel = number / p->groups;
    return (piece){even_start(p->filter_blocks, p->groups, group), even_share(p->filter_blocks, p->groups, group),
                   even_start(p->input_blocks, p->panels, panel), even_share(p->input_blocks, p->panels, panel)};
}

/* Tiles of an image: rows x columns of them */
typedef struct band {
    size_t image, row, rows, column, columns;
} band;

static band band_of(const dw_plan *p, size_t number) {
    const size_t in_image = number % p->bands, down = in_image / p->row_parts, across = in_image % p->row_parts;
    return (band){number / p->bands, even_start(p->t.image_rows, p->row_bands, down),
                  even_share(p->t.image_rows, p->row_bands, down), even_start(p->t.tile_columns, p->row_parts, across),
                  even_share(p->t.tile_columns, p->row_parts, across)};
}

/* Row `row` of a band's tiles, of block i of a piece's inputs, or behind those of its filters: V and W */
static void transform_row(const call *c, const piece *q, const band *b, size_t i, size_t row, float *v, float *w,
                          float *line) {
    const size_t place = row * b->columns * BLOCK, block_floats = b->rows * b->columns * BLOCK;
    const winograd_tiles tiles = {b->image, b->row + row, b->column, b->columns};
    if (i < q->input_blocks)
        psal_winograd_input(&c->p->t, c->x, tiles, q->input_start + i, line, v + i * block_floats + place,
                            c->p->x_step);
    else
        psal_winograd_gradient(&c->p->t, c->dy, tiles, q->filter_start + i - q->input_blocks, line,
                               w + (i - q->input_blocks) * block_floats + place, c->p->y_step);
}

/* V and W of all blocks and the only band, in all threads */
static void transform_image(const call *c, float *v, float *w, float *lines, int threads) {
    const piece all = {0, c->p->filter_blocks, 0, c->p->input_blocks};
    const band image = band_of(c->p, 0);
    psal_tasks tasks;
    psal_tasks_init(&tasks, (all.input_blocks + all.filter_blocks) * image.rows, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);)
        transform_row(c, &all, &image, t.number / image.rows, t.number % image.rows, v, w,
                      lines + (size_t)omp_get_thread_num() * c->p->line);
}

/* Offset in E[frequency][panel][filter][32] of filter o and block b of inputs, both counted within the piece */
static size_t place_in_e(const piece *q, size_t o, size_t b) {
    return (b * BLOCK / PANEL * q->filter_blocks * BLOCK + o) * PANEL + b * BLOCK % PANEL;
}

/* E (+)= W V of a band */
static void multiply(const dw_plan *p, const piece *q, const float *xv, const float *yv, size_t tiles, float *e,
                     bool accumulate) {
    const size_t row_tiles = psal_ceil_div(BLOCK, MAX_ROWS), columns = q->input_blocks * BLOCK;
    for (size_t f = 0; f < p->products; f++) {
        const size_t g = winograd_filter_of(p->t.form, f);
        const bool add = accumulate || winograd_filter_again(p->t.form, f);
        for (size_t j = 0; j < columns; j += TILE_COLUMNS) {
            for (size_t block = 0; block < q->filter_blocks; block++) {
                for (size_t i = 0; i < row_tiles; i++) {
                    const size_t o = even_start(BLOCK, row_tiles, i), rows = even_share(BLOCK, row_tiles, i);
                    psal_register_tile(PSAL_TILE_COLUMNS, rows, psal_size_min(TILE_COLUMNS, columns - j), tiles,
                                       yv + f * p->y_step + block * tiles * BLOCK + o, BLOCK,
                                       xv + f * p->x_step + j * tiles, BLOCK, tiles * BLOCK,
                                       e + g * p->e_step + place_in_e(q, block * BLOCK + o, j / BLOCK) + j % BLOCK,
                                       PANEL, add);
                }
            }
        }
    }
}

/* One of a piece's sums, over its share of the bands; V and W are the thread's */
static void sum_bands(const call *c, const piece *q, size_t share, float *v, float *w, float *line, float *e) {
    const dw_plan *p = c->p;
    const size_t all = p->images * p->bands, first = psal_tasks_part(all, p->sums, share);
    for (size_t number = first; number < psal_tasks_part(all, p->sums, share + 1); number++) {
        const band b = band_of(p, number);
        for (size_t i = 0; i < q->input_blocks + q->filter_blocks; i++)
            for (size_t row = 0; row < b.rows; row++) transform_row(c, q, &b, i, row, v, w, line);
        multiply(p, q, v, w, b.rows * b.columns, e, number > first);
    }
}

/* Add the sums of a piece up in the first, for one of its blocks of filters. */
static void add_sums(const dw_plan *p, const piece *q, size_t block, float *e) {
    for (size_t f = 0; f < p->gradients; f++) {
        for (size_t o = block * BLOCK; o < (block + 1) * BLOCK; o++) {
            for (size_t b = 0; b < q->input_blocks; b++) {
                float *sum = e + f * p->e_step + place_in_e(q, o, b);
                for (size_t i = 0; i < BLOCK; i += WIDTH) {
                    vec total = vec_load(sum + i);
                    for (size_t k = 1; k < p->sums; k++) total = vec_add(total, vec_load(sum + k * p->e_floats + i));
                    vec_store(sum + i, total);
                }
            }
        }
    }
}

/* From E to dw, or to a partial sum for each filter and block of inputs, for one of a piece's blocks of filters */
static void finish(const call *c, const piece *q, size_t block, const float *e) {
    const dw_plan *p = c->p;
    const size_t first = q->filter_start * BLOCK, end = psal_size_min((block + 1) * BLOCK, p->filters - first);
    for (size_t o = block * BLOCK; o < end; o++) {
        for (size_t b = 0; b < q->input_blocks; b++) {
            const size_t input = (q->input_start + b) * BLOCK;
            float *dw = c->dw ? c->dw + ((first + o) * p->inputs + input) * p->taps : NULL;
            const double sum = psal_winograd_filter_gradient(p->t.form, e + place_in_e(q, o, b), p->e_step,
                                                             psal_size_min(BLOCK, p->inputs - input), dw, c->is_signed);
            if (!dw) c->partial[(first + o) * p->input_blocks + input / BLOCK] = sum;
        }
    }
}

static void run(const psal_convolution *convolution, const psal_conv2d_operands *o, void *scratch) {
    const dw_plan *p = convolution->plan;
    float *dw = convolution->direction == PSAL_CONV2D_DW ? o->result : NULL;
    const call c = {p, o->x, o->dy, dw, o->is_signed, scratch};
    const int threads = convolution->threads;
    const size_t pieces = p->groups * p->panels, images = p->shared ? 1 : (size_t)threads;
    float *vs = (float *)scratch + p->partials, *ws = vs + images * p->x_floats, *lines = ws + images * p->y_floats;
    float *sums = lines + (size_t)threads * p->line;

    if (p->shared) transform_image(&c, vs, ws, lines, threads);
    psal_tasks tasks;
    psal_tasks_init(&tasks, pieces * p->sums, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);) {
        const size_t task = t.number;
        const piece q = piece_of(p, task / p->sums);
        const size_t thread = (size_t)omp_get_thread_num();
        float *e = sums + (p->sums > 1 ? task : thread) * p->e_floats;
        if (p->shared)
            multiply(p, &q, vs + q.input_start * p->tiles * BLOCK, ws + q.filter_start * p->tiles * BLOCK, p->tiles, e,
                     false);
        else
            sum_bands(&c, &q, task % p->sums, vs + thread * p->x_floats, ws + thread * p->y_floats,
                      lines + thread * p->line, e);
        for (size_t block = 0; block < q.filter_blocks && p->sums == 1; block++) finish(&c, &q, block, e);
    }
    if (p->sums > 1) {
        psal_tasks blocks;
        psal_tasks_init(&blocks, pieces * p->group_blocks, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
        for (psal_task t = psal_tasks_begin(&blocks); psal_tasks_next(&blocks, &t);) {
            const piece q = piece_of(p, t.number / p->group_blocks);
            const size_t block = t.number % p->group_blocks;
            if (block >= q.filter_blocks) continue;
            float *e = sums + t.number / p->group_blocks * p->sums * p->e_floats;
            add_sums(p, &q, block, e);
            finish(&c, &q, block, e);
        }
    }
    if (!dw) mean_of_partial_sums(c.partial, p->filters, p->input_blocks, p->taps * p->inputs, o->result);
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_winograd_dw) = {prepare, run};
