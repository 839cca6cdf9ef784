/* winograd_dw.c - weight gradient: for each frequency, E[o, c] = sum over tiles of W[o, tile] * V[tile, c], with W the
 * transformed dy and V the transformed x; then dw = G^T E G.
 *
 * Bands of tile rows keep W and V in the shared cache. Where one band is all, a task owns some filters and a panel of 32 input
 * channels, and its E never leaves the thread's cache; but each panel reads W again, and each group of filters V. With several
 * bands E lies in memory anyway: there a task owns a frequency, and W and V are read once. Sums over tiles are cut at the bands,
 * which follow from the shape alone. */
#include "engine/kernels/x86/winograd.h"

#include <omp.h>

#include "engine/kernels/x86/micro.h"
#include "engine/kernels/x86/winograd_transform.h"

#define PANEL (2 * BLOCK)
#define BAND_FLOATS (1u << 20)       /* V and W of a band together: 4 MiB, */
#define LARGE_BAND_FLOATS (3u << 20) /* or 12 MiB where it takes longer to go over E again: */
#define LARGE_E_FLOATS (3u << 20)
#define PART_BLOCKS 8u               /* of filters, at most, for a task that owns a frequency */

typedef struct dw_plan {
    winograd_form form;
    size_t frequencies, taps;
    int tile_height;
    size_t inputs, filters, input_blocks, filter_blocks;
    size_t panels, groups, group_blocks; /* groups of at most group_blocks blocks of filters */
    size_t tile_rows, tile_columns, bands, band_rows;
    bool by_frequency;                      /* E is [frequency][panel][filter][32], otherwise each task's [frequency][filter][32] */
    size_t x_step, y_step, e_step, e_panel; /* between frequencies; between panels of E */
    size_t x_floats, y_floats, e_floats;
    size_t line, partials;                  /* one thread's line; partial sums */
} dw_plan;

static dw_plan make_plan(const psal_conv2d_shape *s, winograd_form form)
{
    dw_plan p = {.form = form, .frequencies = winograd_frequencies(form), .taps = winograd_taps(form),
                 .tile_height = winograd_height(form).results};
    p.inputs = (size_t)s->in_channels;
    p.filters = (size_t)s->out_channels;
    p.input_blocks = psal_ceil_div(p.inputs, BLOCK);
    p.filter_blocks = psal_ceil_div(p.filters, BLOCK);
    p.panels = psal_ceil_div(p.inputs, PANEL);
    p.groups = psal_ceil_div(p.filter_blocks, p.panels * p.filter_blocks >= 32 ? 4 : 2);
    p.group_blocks = psal_ceil_div(p.filter_blocks, p.groups);
    p.tile_rows = psal_ceil_div((size_t)s->out_height, (size_t)p.tile_height);
    p.tile_columns = psal_ceil_div((size_t)s->out_width, (size_t)winograd_width(form).results);
    const size_t row_floats = p.frequencies * (p.input_blocks + p.filter_blocks) * p.tile_columns * BLOCK;
    const size_t band_floats = p.frequencies * p.filters * p.inputs > LARGE_E_FLOATS ? LARGE_BAND_FLOATS : BAND_FLOATS;
    p.bands = psal_ceil_div(p.tile_rows, psal_size_max(band_floats / row_floats, 1));
    p.band_rows = psal_ceil_div(p.tile_rows, p.bands);
    p.x_step = winograd_step(p.input_blocks * p.band_rows * p.tile_columns * BLOCK);
    p.y_step = winograd_step(p.filter_blocks * p.band_rows * p.tile_columns * BLOCK);
    p.x_floats = p.frequencies * p.x_step;
    p.y_floats = p.frequencies * p.y_step;
    p.by_frequency = (size_t)s->batch * p.bands > 1;
    p.e_panel = p.by_frequency ? p.filter_blocks * BLOCK * PANEL : 0;
    p.e_step = winograd_step(p.by_frequency ? p.panels * p.e_panel : p.group_blocks * BLOCK * PANEL);
    p.e_floats = p.frequencies * p.e_step;
    p.line = psal_winograd_line_floats(form, p.tile_columns);
    p.partials = psal_round_up(2 * p.filters * p.input_blocks, BLOCK);
    return p;
}

size_t psal_winograd_dw_scratch(const psal_conv2d_shape *s, winograd_form form, int threads)
{
    dw_plan p = make_plan(s, form);
    const size_t sums = p.by_frequency ? 1 : (size_t)threads;
    return (p.partials + p.x_floats + p.y_floats + (size_t)threads * p.line + sums * p.e_floats) * sizeof(float);
}

/* V and W of one band */
static void transform_band(const psal_conv2d_shape *s, const dw_plan *p, const float *x, const float *dy, size_t row,
                           size_t rows, float *xv, float *yv, float *lines, int threads)
{
    const size_t x_plane = (size_t)s->in_height * (size_t)s->in_width;
    const size_t y_plane = (size_t)s->out_height * (size_t)s->out_width, tiles = rows * p->tile_columns;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (size_t task = 0; task < (p->input_blocks + p->filter_blocks) * rows; task++) {
        size_t block = task / rows, r = task % rows;
        const int corner = (int)(row + r) * p->tile_height;
        float *line = lines + (size_t)omp_get_thread_num() * p->line;
        if (block < p->input_blocks) {
            winograd_planes planes = {s->in_height, s->in_width, psal_size_min(BLOCK, p->inputs - block * BLOCK)};
            psal_winograd_input(p->form, x + block * BLOCK * x_plane, &planes, corner - s->padding_height,
                                -s->padding_width, p->tile_columns, line,
                                xv + (block * tiles + r * p->tile_columns) * BLOCK, p->x_step);
        } else {
            block -= p->input_blocks;
            winograd_planes planes = {s->out_height, s->out_width, psal_size_min(BLOCK, p->filters - block * BLOCK)};
            psal_winograd_gradient(p->form, dy + block * BLOCK * y_plane, &planes, corner, p->tile_columns, line,
                                   yv + (block * tiles + r * p->tile_columns) * BLOCK, p->y_step);
        }
    }
}

/* E[filter][32] of one frequency, some filters and a panel of inputs, over the tiles of one band */
static void multiply(const float *xv, const float *yv, size_t tiles, size_t blocks, size_t columns, float *e, bool accumulate)
{
    const size_t cuts = psal_ceil_div(BLOCK, MAX_ROWS);
    for (size_t block = 0; block < blocks; block++) {
        for (size_t cut = 0; cut < cuts; cut++) {
            const size_t o = even_start(BLOCK, cuts, cut), rows = even_share(BLOCK, cuts, cut);
            for (size_t j = 0; j < columns; j += TILE_COLUMNS)
                psal_micro(PSAL_MICRO_COLUMNS, rows, psal_size_min(TILE_COLUMNS, columns - j), tiles,
                           yv + block * tiles * BLOCK + o, BLOCK, xv + j * tiles, BLOCK, tiles * BLOCK,
                           e + (block * BLOCK + o) * PANEL + j, PANEL, accumulate);
        }
    }
}

/* From E to dw, or to one partial sum for each filter and block of inputs. */
static void finish(const dw_plan *p, size_t group_start, size_t blocks, size_t panel, size_t columns, const float *e,
                   float *dw, bool is_signed, double *partial)
{
    const size_t end = psal_size_min((group_start + blocks) * BLOCK, p->filters);
    for (size_t o = group_start * BLOCK; o < end; o++) {
        for (size_t j = 0; j < columns; j += BLOCK) {
            const size_t c = panel * PANEL + j;
            double sum = psal_winograd_filter_gradient(p->form, e + (o - group_start * BLOCK) * PANEL + j, p->e_step,
                                                       psal_size_min(BLOCK, p->inputs - c),
                                                       dw ? dw + (o * p->inputs + c) * p->taps : NULL, is_signed);
            if (!dw) partial[o * p->input_blocks + c / BLOCK] = sum;
        }
    }
}

/* What all tasks of a call share */
typedef struct call {
    dw_plan p;
    float *dw;
    bool is_signed;
    double *partial;
    const float *xv, *yv;
    float *sums;
    size_t tiles; /* of the band */
} call;

/* Channels of a panel up to the end of its last block: those behind the last channel are 0 in V, and so in E. */
static size_t panel_columns(const dw_plan *p, size_t panel)
{
    return psal_size_min(PANEL, p->input_blocks * BLOCK - panel * PANEL);
}

/* E of one frequency and part of the filters */
static void multiply_frequency(const call *c, size_t frequency, size_t start, size_t blocks, bool accumulate)
{
    const dw_plan *p = &c->p;
    for (size_t panel = 0; panel < p->panels; panel++)
        multiply(c->xv + frequency * p->x_step + panel * PANEL * c->tiles, c->yv + frequency * p->y_step + start * BLOCK * c->tiles,
                 c->tiles, blocks, panel_columns(p, panel),
                 c->sums + frequency * p->e_step + panel * p->e_panel + start * BLOCK * PANEL, accumulate);
}

/* A panel and a group of filters, whose first block is `start`; E is made here where there is but one band */
static void finish_group(const call *c, size_t panel, size_t start, size_t blocks)
{
    const dw_plan *p = &c->p;
    const size_t columns = panel_columns(p, panel);
    float *e = c->sums + (p->by_frequency ? panel * p->e_panel + start * BLOCK * PANEL : (size_t)omp_get_thread_num() * p->e_floats);
    for (size_t f = 0; f < p->frequencies && !p->by_frequency; f++)
        multiply(c->xv + f * p->x_step + panel * PANEL * c->tiles, c->yv + f * p->y_step + start * BLOCK * c->tiles, c->tiles, blocks,
                 columns, e + f * p->e_step, false);
    finish(p, start, blocks, panel, columns, e, c->dw, c->is_signed, c->partial);
}

void psal_winograd_dw(const psal_conv2d_shape *s, winograd_form form, const float *x, const float *dy, float *dw,
                      bool is_signed, float *mean, const psal_parallel *parallel)
{
    call c = {.p = make_plan(s, form), .dw = dw, .is_signed = is_signed, .partial = parallel->scratch};
    const dw_plan *p = &c.p;
    const int threads = parallel->threads;
    float *xv = (float *)parallel->scratch + p->partials, *yv = xv + p->x_floats, *lines = yv + p->y_floats;
    c.xv = xv, c.yv = yv, c.sums = lines + (size_t)threads * p->line;
    const size_t bands = (size_t)s->batch * p->bands, parts = psal_ceil_div(p->filter_blocks, PART_BLOCKS);

    for (size_t band = 0; band < bands; band++) {
        const size_t image = band / p->bands, row = even_start(p->tile_rows, p->bands, band % p->bands);
        const size_t rows = even_share(p->tile_rows, p->bands, band % p->bands);
        c.tiles = rows * p->tile_columns;
        transform_band(s, p, x + image * p->inputs * (size_t)s->in_height * (size_t)s->in_width,
                       dy + image * p->filters * (size_t)s->out_height * (size_t)s->out_width, row, rows, xv, yv, lines, threads);
        if (!p->by_frequency) break;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
        for (size_t task = 0; task < p->frequencies * parts; task++)
            multiply_frequency(&c, task / parts, even_start(p->filter_blocks, parts, task % parts),
                               even_share(p->filter_blocks, parts, task % parts), band > 0);
    }
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (size_t task = 0; task < p->groups * p->panels; task++)
        finish_group(&c, task / p->groups, even_start(p->filter_blocks, p->groups, task % p->groups),
                     even_share(p->filter_blocks, p->groups, task % p->groups));
    for (size_t o = 0; o < p->filters && !dw; o++) {
        double sum = 0;
        for (size_t i = 0; i < p->input_blocks; i++) sum += c.partial[o * p->input_blocks + i];
        mean[o] = (float)(sum / ((double)p->taps * (double)p->inputs));
    }
}
