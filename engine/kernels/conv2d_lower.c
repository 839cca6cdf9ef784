#include "engine/kernels/conv2d_lower.h"

#include <string.h>

static psal_conv2d_axis forward_axis(int in, int out, int kernel, int stride, int padding, int dilation)
{
    /* source coordinate p*stride - padding + i*dilation */
    return (psal_conv2d_axis){.count = out, .stride = stride, .taps = kernel, .offset = -padding, .offset_step = dilation,
                              .kernel = 0, .kernel_step = 1, .place = 0, .place_step = 1, .source = in};
}

/* Input coordinate y = phase + p*stride gets dy[r] * w[i] for every r*stride - padding + i*dilation = y, that is
 * r = (y + padding - i*dilation) / stride wherever that divides. Those i form an arithmetic progression. */
static psal_conv2d_axis dx_axis(int in, int out, int kernel, int stride, int padding, int dilation, int phase)
{
    int period = 1; /* smallest i > 0 with i*dilation a multiple of stride */
    while ((period * (long)dilation) % stride != 0) period++;
    int first = 0;
    while (first < period && (phase + (long)padding - first * (long)dilation) % stride != 0) first++;
    bool reached = first < period && first < kernel;
    return (psal_conv2d_axis){.count = phase < in ? (in - phase + stride - 1) / stride : 0,
                              .stride = 1,
                              .taps = reached ? (kernel - first + period - 1) / period : 0,
                              .offset = reached ? (int)((phase + (long)padding - first * (long)dilation) / stride) : 0,
                              .offset_step = -(int)(period * (long)dilation / stride),
                              .kernel = first, .kernel_step = period,
                              .place = phase, .place_step = stride, .source = out};
}

psal_conv2d_lowered psal_conv2d_lower_forward(const psal_conv2d_shape *s)
{
    return (psal_conv2d_lowered){
        forward_axis(s->in_height, s->out_height, s->kernel_height, s->stride_height, s->padding_height,
                     s->dilation_height),
        forward_axis(s->in_width, s->out_width, s->kernel_width, s->stride_width, s->padding_width,
                     s->dilation_width)};
}

psal_conv2d_lowered psal_conv2d_lower_dx(const psal_conv2d_shape *s, int phase_h, int phase_w)
{
    return (psal_conv2d_lowered){
        dx_axis(s->in_height, s->out_height, s->kernel_height, s->stride_height, s->padding_height,
                s->dilation_height, phase_h),
        dx_axis(s->in_width, s->out_width, s->kernel_width, s->stride_width, s->padding_width, s->dilation_width,
                phase_w)};
}

static bool axis_is_plain(const psal_conv2d_axis *a)
{
    return a->taps == 1 && a->stride == 1 && a->offset == 0 && a->count == a->source && a->place_step == 1;
}

bool psal_conv2d_lowered_is_plain(const psal_conv2d_lowered *l)
{
    return axis_is_plain(&l->h) && axis_is_plain(&l->w);
}

/* Positions [*lo, *hi) of the axis whose source coordinate at tap `tap` lies inside the source. */
static void inside(const psal_conv2d_axis *axis, int tap, int *lo, int *hi)
{
    long start = axis->offset + (long)tap * axis->offset_step;
    long first = start >= 0 ? 0 : (-start + axis->stride - 1) / axis->stride;
    long end = start >= axis->source ? 0 : (axis->source - 1 - start) / axis->stride + 1;
    if (end > axis->count) end = axis->count;
    if (first > end) first = end;
    *lo = (int)first;
    *hi = (int)end;
}

/* One row of one tap: source plane [h.source, w.source], columns first .. first+count-1. */
static void gather_plane(const psal_conv2d_lowered *l, const psal_real *plane, int tap_h, int tap_w, size_t first,
                         size_t count, psal_real *dst)
{
    const psal_conv2d_axis *h = &l->h, *w = &l->w;
    int p_lo, p_hi, q_lo, q_hi;
    inside(h, tap_h, &p_lo, &p_hi);
    inside(w, tap_w, &q_lo, &q_hi);
    int p = (int)(first / (size_t)w->count), q = (int)(first % (size_t)w->count);
    while (count > 0) {
        int q_end = (size_t)(w->count - q) < count ? w->count : q + (int)count;
        int from = q > q_lo ? q : q_lo, to = q_end < q_hi ? q_end : q_hi;
        if (p < p_lo || p >= p_hi || from >= to) from = to = q_end;
        for (int i = q; i < from; i++) dst[i - q] = 0;
        if (from < to) {
            long row = (long)p * h->stride + h->offset + (long)tap_h * h->offset_step;
            long column = (long)from * w->stride + w->offset + (long)tap_w * w->offset_step;
            const psal_real *src = plane + (size_t)row * (size_t)w->source + (size_t)column;
            if (w->stride == 1)
                memcpy(dst + (from - q), src, (size_t)(to - from) * sizeof *dst);
            else
                for (int i = 0; i < to - from; i++) dst[from - q + i] = src[(size_t)i * (size_t)w->stride];
            for (int i = to; i < q_end; i++) dst[i - q] = 0;
        }
        dst += q_end - q;
        count -= (size_t)(q_end - q);
        q = 0;
        p++;
    }
}

void psal_conv2d_gather_row(const psal_conv2d_lowered *l, const psal_real *source, size_t row, size_t first,
                            size_t count, psal_real *dst)
{
    size_t taps = psal_conv2d_taps(l), tap = row % taps;
    gather_plane(l, source + row / taps * ((size_t)l->h.source * (size_t)l->w.source), (int)(tap / (size_t)l->w.taps),
                 (int)(tap % (size_t)l->w.taps), first, count, dst);
}

void psal_conv2d_gather(const psal_conv2d_lowered *l, const psal_real *source, int channels, size_t first, size_t count,
                        psal_real *dst, size_t ld)
{
    size_t rows = (size_t)channels * psal_conv2d_taps(l);
    for (size_t row = 0; row < rows; row++) psal_conv2d_gather_row(l, source, row, first, count, dst + row * ld);
}
