/* gather.h - im2col: rows of the gathered matrix of lowered.h. Inline, so that each instruction set gets its own. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_GATHER_H
#define PSAL_ENGINE_KERNELS_CONV2D_GATHER_H

#include <string.h>

#include "engine/kernels/conv2d/lowered.h"

/* Positions [*lo, *hi) of the axis whose source coordinate at tap `tap` is inside the source */
static inline void psal_conv2d_inside(const psal_conv2d_axis *axis, int tap, int *lo, int *hi) {
    long start = axis->offset + (long)tap * axis->offset_step;
    long first = start >= 0 ? 0 : (-start + axis->stride - 1) / axis->stride;
    long end = start >= axis->source ? 0 : (axis->source - 1 - start) / axis->stride + 1;
    if (end > axis->count) end = axis->count;
    if (first > end) first = end;
    *lo = (int)first;
    *hi = (int)end;
}

/* One tap: the positions whose source coordinates lie inside the source, on each axis, and the offset of position (0,
 * 0) in a plane of it (negative, perhaps). */
typedef struct psal_conv2d_tap {
    int h_lo, h_hi, w_lo, w_hi;
    ptrdiff_t offset;
} psal_conv2d_tap;

static inline psal_conv2d_tap psal_conv2d_tap_at(const psal_conv2d_lowered *l, size_t tap) {
    const int h = (int)(tap / (size_t)l->w.taps), w = (int)(tap % (size_t)l->w.taps);
    psal_conv2d_tap t = {.offset = ((ptrdiff_t)l->h.offset + (ptrdiff_t)h * l->h.offset_step) * l->w.source +
                                   l->w.offset + (ptrdiff_t)w * l->w.offset_step};
    psal_conv2d_inside(&l->h, h, &t.h_lo, &t.h_hi);
    psal_conv2d_inside(&l->w, w, &t.w_lo, &t.w_hi);
    return t;
}

/* Copy n elements, `stride` apart in src. A file may define PSAL_CONV2D_COPY as a function of its own before it
 * includes this one (with vectors, say), which may write up to PSAL_CONV2D_GATHER_SLACK elements behind dst[n-1]; the
 * functions below may then do so too. */
#define PSAL_CONV2D_GATHER_SLACK 15
#ifndef PSAL_CONV2D_COPY
#define PSAL_CONV2D_COPY psal_conv2d_copy
static inline void psal_conv2d_copy(psal_real *dst, const psal_real *src, int n, int stride) {
    if (stride == 1)
        memcpy(dst, src, (size_t)n * sizeof *dst);
    else
        for (int i = 0; i < n; i++) dst[i] = src[(size_t)i * (size_t)stride];
}
#endif

/* Row (channel, a, b) of the matrix for the plane of that channel: columns first .. first+count-1 of the count_h *
 * count_w positions. */
static inline void psal_conv2d_gather_plane(const psal_conv2d_lowered *l, const psal_real *plane, int tap_h, int tap_w,
                                            size_t first, size_t count, psal_real *dst) {
    const psal_conv2d_axis *h = &l->h, *w = &l->w;
    int p_lo, p_hi, q_lo, q_hi;
    psal_conv2d_inside(h, tap_h, &p_lo, &p_hi);
    psal_conv2d_inside(w, tap_w, &q_lo, &q_hi);
    int p = (int)(first / (size_t)w->count), q = (int)(first % (size_t)w->count);
    while (count > 0) {
        int q_end = (size_t)(w->count - q) < count ? w->count : q + (int)count;
        int from = q > q_lo ? q : q_lo, to = q_end < q_hi ? q_end : q_hi;
        if (p < p_lo || p >= p_hi || from >= to) from = to = q_end;
        for (int i = q; i < from; i++) dst[i - q] = 0;
        if (from < to) {
            long row = (long)p * h->stride + h->offset + (long)tap_h * h->offset_step;
            long column = (long)from * w->stride + w->offset + (long)tap_w * w->offset_step;
            PSAL_CONV2D_COPY(dst + (from - q), plane + (size_t)row * (size_t)w->source + (size_t)column, to - from,
                             w->stride);
            for (int i = to; i < q_end; i++) dst[i - q] = 0;
        }
        dst += q_end - q;
        count -= (size_t)(q_end - q);
        q = 0;
        p++;
    }
}

/* Row `row` = (channel, a, b) of the matrix; `source` is channel 0. */
static inline void psal_conv2d_gather_row(const psal_conv2d_lowered *l, const psal_real *source, size_t row,
                                          size_t first, size_t count, psal_real *dst) {
    size_t taps = psal_conv2d_taps(l), tap = row % taps;
    psal_conv2d_gather_plane(l, source + row / taps * ((size_t)l->h.source * (size_t)l->w.source),
                             (int)(tap / (size_t)l->w.taps), (int)(tap % (size_t)l->w.taps), first, count, dst);
}

/* All rows of `channels` consecutive channels: dst[(channel, a, b), column], rows `ld` elements apart. */
static inline void psal_conv2d_gather(const psal_conv2d_lowered *l, const psal_real *source, int channels, size_t first,
                                      size_t count, psal_real *dst, size_t ld) {
    size_t rows = (size_t)channels * psal_conv2d_taps(l);
    for (size_t row = 0; row < rows; row++) psal_conv2d_gather_row(l, source, row, first, count, dst + row * ld);
}

#endif
