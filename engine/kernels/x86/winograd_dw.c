/* winograd_dw.c - weight gradient: for each frequency, E[o, c] = sum over tiles of W[o, tile] * V[tile, c], with W the
 * transformed dy and V the transformed x; then dw = G^T E G.
 *
 * Bands of tile rows keep W and V in the shared cache. A task owns some filters and a panel of 32 input channels; with one
 * band its E lives in the thread's scratch, with several in its own place from band to band. Sums over tiles are cut at the
 * bands, which follow from the shape alone. */
#include "engine/kernels/x86/winograd.h"

#include <omp.h>

#include "engine/kernels/x86/micro.h"
#include "engine/kernels/x86/winograd_transform.h"

#define PANEL (2 * BLOCK)
#define BAND_FLOATS (1u << 20)       /* V and W of a band together: 4 MiB, */
#define LARGE_BAND_FLOATS (3u << 20) /* or 12 MiB where it takes longer to go over E again: */
#define LARGE_E_FLOATS (3u << 20)

typedef struct dw_plan {
    winograd_form form;
    size_t frequencies, taps;
    int tile_height;
    size_t inputs, filters, input_blocks, filter_blocks;
    size_t panels, groups, group_blocks; /* groups of at most group_blocks blocks of filters */
    size_t tile_rows, tile_columns, bands, band_rows;
    size_t x_step, y_step, e_step;                       /* between frequencies */
    size_t x_floats, y_floats, e_floats, line, partials; /* E of one task; one thread's line; partial sums */
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
    p.e_step = winograd_step(p.group_blocks * BLOCK * PANEL);
    p.x_floats = p.frequencies * p.x_step;
    p.y_floats = p.frequencies * p.y_step;
    p.e_floats = p.frequencies * p.e_step;
    p.line = psal_winograd_line_floats(form, p.tile_columns);
    p.partials = psal_round_up(2 * p.filters * p.input_blocks, BLOCK);
    return p;
}

static bool keeps_sums(const psal_conv2d_shape *s, const dw_plan *p)
{
    return (size_t)s->batch * p->bands > 1;
}

size_t psal_winograd_dw_scratch(const psal_conv2d_shape *s, winograd_form form, int threads)
{
    dw_plan p = make_plan(s, form);
    size_t sums = keeps_sums(s, &p) ? p.groups * p.panels : (size_t)threads;
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

/* E[frequency][filter][32] of one task, over the tiles of one band */
static void multiply(const dw_plan *p, const float *xv, const float *yv, size_t tiles, size_t blocks, size_t columns,
                     float *e, bool accumulate)
{
    const size_t cuts = psal_ceil_div(BLOCK, MAX_ROWS);
    for (size_t f = 0; f < p->frequencies; f++) {
        for (size_t block = 0; block < blocks; block++) {
            for (size_t cut = 0; cut < cuts; cut++) {
                const size_t o = even_start(BLOCK, cuts, cut), rows = even_share(BLOCK, cuts, cut);
                for (size_t j = 0; j < columns; j += TILE_COLUMNS)
                    psal_micro(PSAL_MICRO_COLUMNS, rows, psal_size_min(TILE_COLUMNS, columns - j), tiles,
                               yv + f * p->y_step + block * tiles * BLOCK + o, BLOCK,
                               xv + f * p->x_step + j * tiles, BLOCK, tiles * BLOCK,
                               e + f * p->e_step + (block * BLOCK + o) * PANEL + j, PANEL, accumulate);
            }
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

void psal_winograd_dw(const psal_conv2d_shape *s, winograd_form form, const float *x, const float *dy, float *dw,
                      bool is_signed, float *mean, const psal_parallel *parallel)
{
    const dw_plan p = make_plan(s, form);
    const bool keep = keeps_sums(s, &p);
    const int threads = parallel->threads;
    double *partial = parallel->scratch;
    float *xv = (float *)parallel->scratch + p.partials, *yv = xv + p.x_floats, *lines = yv + p.y_floats;
    float *sums = lines + (size_t)threads * p.line;
    const size_t bands = (size_t)s->batch * p.bands;

    for (size_t band = 0; band < bands; band++) {
        const size_t image = band / p.bands, row = even_start(p.tile_rows, p.bands, band % p.bands);
        const size_t rows = even_share(p.tile_rows, p.bands, band % p.bands), tiles = rows * p.tile_columns;
        transform_band(s, &p, x + image * p.inputs * (size_t)s->in_height * (size_t)s->in_width,
                       dy + image * p.filters * (size_t)s->out_height * (size_t)s->out_width, row, rows, xv, yv, lines,
                       threads);
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
        for (size_t task = 0; task < p.groups * p.panels; task++) {
            const size_t panel = task / p.groups, group = task % p.groups;
            const size_t start = even_start(p.filter_blocks, p.groups, group);
            const size_t blocks = even_share(p.filter_blocks, p.groups, group);
            /* Columns up to the end of the last block: those behind the last channel are 0 in V, and so in E. */
            const size_t columns = psal_size_min(PANEL, p.input_blocks * BLOCK - panel * PANEL);
            float *e = sums + (keep ? task : (size_t)omp_get_thread_num()) * p.e_floats;
            multiply(&p, xv + panel * PANEL * tiles, yv + start * tiles * BLOCK, tiles, blocks, columns, e, band > 0);
            if (band == bands - 1) finish(&p, start, blocks, panel, columns, e, dw, is_signed, partial);
        }
    }
    for (size_t o = 0; o < p.filters && !dw; o++) {
        double sum = 0;
        for (size_t i = 0; i < p.input_blocks; i++) sum += partial[o * p.input_blocks + i];
        mean[o] = (float)(sum / ((double)p.taps * (double)p.inputs));
    }
}
