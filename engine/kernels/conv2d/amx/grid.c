#include "engine/kernels/conv2d/amx/grid.h"

#include <string.h>

static ptrdiff_t floor_div(ptrdiff_t a, ptrdiff_t b) {
    return a / b - (a % b < 0);
}

/* ---- one axis ---- */

/* How many different remainders modulo the stride the taps' offsets have; taps that are so many apart share one */
static size_t phases(const psal_conv2d_axis *a) {
    int period = 1;
    while ((long)period * a->offset_step % a->stride != 0) period++;
    return (size_t)(period < a->taps ? period : a->taps);
}

static int shift(const psal_conv2d_axis *a, int tap) {
    return (int)floor_div(a->offset + tap * a->offset_step, a->stride);
}

static int remainder_of(const psal_conv2d_axis *a, int tap) {
    return a->offset + tap * a->offset_step - shift(a, tap) * a->stride;
}

/* How many pixels have this remainder */
static int extent(const psal_conv2d_axis *a, int remainder) {
    return remainder < a->source ? (a->source - remainder - 1) / a->stride + 1 : 0;
}

static int least_shift(const psal_conv2d_axis *a) {
    const int last = shift(a, a->taps - 1);
    return last < shift(a, 0) ? last : shift(a, 0);
}

static int most_shift(const psal_conv2d_axis *a) {
    const int last = shift(a, a->taps - 1);
    return last > shift(a, 0) ? last : shift(a, 0);
}

/* ---- the grid ---- */

psal_amx_grid psal_amx_grid_of(const psal_conv2d_lowered *l) {
    psal_amx_grid g = {.l = *l, .row_phases = phases(&l->h), .column_phases = phases(&l->w)};
    const int least = least_shift(&l->w), most = most_shift(&l->w);
    /* Taps left of a row read the zeros at the end of the row before, taps right of it those at its own end. */
    const int left = extent(&l->w, 0) + (least < 0 ? -least : 0), right = l->w.count + (most > 0 ? most : 0);
    const int pitch = left > right ? left : right;
    g.pitch = (size_t)pitch;
    g.indices = (size_t)(l->h.count - 1) * g.pitch + (size_t)l->w.count;
    g.least = (ptrdiff_t)least_shift(&l->h) * pitch + least;
    g.range = (size_t)((ptrdiff_t)most_shift(&l->h) * pitch + most - g.least);
    return g;
}

psal_amx_grid_tap psal_amx_grid_tap_at(const psal_amx_grid *g, size_t tap) {
    const psal_conv2d_axis *h = &g->l.h, *w = &g->l.w;
    const int y = (int)(tap / (size_t)w->taps), x = (int)(tap % (size_t)w->taps);
    return (psal_amx_grid_tap){(size_t)y % g->row_phases * g->column_phases + (size_t)x % g->column_phases,
                               (size_t)((ptrdiff_t)shift(h, y) * (ptrdiff_t)g->pitch + shift(w, x) - g->least)};
}

void psal_amx_grid_fill(const psal_amx_grid *g, const float *plane, size_t phase, ptrdiff_t first, size_t count,
                        float *to) {
    const psal_conv2d_axis *h = &g->l.h, *w = &g->l.w;
    const int remainder_h = remainder_of(h, (int)(phase / g->column_phases));
    const int remainder_w = remainder_of(w, (int)(phase % g->column_phases));
    const ptrdiff_t height = extent(h, remainder_h);
    const size_t width = (size_t)extent(w, remainder_w);
    ptrdiff_t y = floor_div(first, (ptrdiff_t)g->pitch);
    size_t x = (size_t)(first - y * (ptrdiff_t)g->pitch);
    for (; count > 0; x = 0, y++) {
        const size_t n = psal_size_min(g->pitch - x, count);
        const size_t inside = y < 0 || y >= height || x >= width ? 0 : psal_size_min(width - x, n);
        if (inside > 0) {
            const size_t row = (size_t)(y * h->stride + remainder_h),
                         column = x * (size_t)w->stride + (size_t)remainder_w;
            strided_copy(to, plane + row * (size_t)w->source + column, (int)inside, w->stride);
        }
        memset(to + inside, 0, (n - inside) * sizeof *to);
        to += n;
        count -= n;
    }
}

vec_mask psal_amx_grid_positions(const psal_amx_grid *g, size_t index, size_t *place) {
    const size_t width = (size_t)g->l.w.count;
    *place = index;
    if (g->pitch == width) return vec_first(index < g->indices ? g->indices - index : 0);
    size_t row = index / g->pitch, column = index % g->pitch;
    unsigned lanes = 0;
    for (size_t i = 0; i < BLOCK && index + i < g->indices; i++) {
        if (column < width) {
            if (lanes == 0) *place = row * width + column;
            lanes |= 1u << i;
        }
        if (++column == g->pitch) {
            column = 0;
            row++;
        }
    }
    return vec_chosen(lanes);
}
