#include "engine/kernels/amx/image.h"

#include <string.h>

#include "engine/kernels/x86/transpose.h"

static ptrdiff_t floor_div(ptrdiff_t a, ptrdiff_t b)
{
    return a / b - (a % b < 0);
}

/* ---- one axis ---- */

/* Taps that are `period` apart have the same remainder. */
static size_t phases(const psal_conv2d_axis *a)
{
    int period = 1;
    while ((long)period * a->offset_step % a->stride != 0) period++;
    return (size_t)(period < a->taps ? period : a->taps);
}

static int shift(const psal_conv2d_axis *a, int tap)
{
    return (int)floor_div(a->offset + tap * a->offset_step, a->stride);
}

static int remainder_of(const psal_conv2d_axis *a, int tap)
{
    return a->offset + tap * a->offset_step - shift(a, tap) * a->stride;
}

/* Pixels with a remainder. */
static int extent(const psal_conv2d_axis *a, int remainder)
{
    return remainder < a->source ? (a->source - remainder - 1) / a->stride + 1 : 0;
}

static int least_shift(const psal_conv2d_axis *a)
{
    const int last = shift(a, a->taps - 1);
    return last < shift(a, 0) ? last : shift(a, 0);
}

static int most_shift(const psal_conv2d_axis *a)
{
    const int last = shift(a, a->taps - 1);
    return last > shift(a, 0) ? last : shift(a, 0);
}

/* ---- the grid ---- */

psal_amx_image psal_amx_image_of(const psal_conv2d_lowered *l, size_t channels)
{
    psal_amx_image im = {.l = *l, .channels = channels, .taps = psal_conv2d_taps(l), .plain = psal_conv2d_lowered_is_plain(l),
                         .phases = phases(&l->h) * phases(&l->w)};
    const int least = least_shift(&l->w), most = most_shift(&l->w);
    /* Pixels left of a row are the zeros behind the row before, and those right of it its own. */
    const int left = extent(&l->w, 0) + (least < 0 ? -least : 0), right = l->w.count + (most > 0 ? most : 0);
    const int pitch = left > right ? left : right;
    im.pitch = (size_t)pitch;
    im.numbers = (size_t)(l->h.count - 1) * im.pitch + (size_t)l->w.count;
    im.least = (ptrdiff_t)least_shift(&l->h) * pitch + least;
    im.range = (size_t)((ptrdiff_t)most_shift(&l->h) * pitch + most - im.least);
    return im;
}

static bool dense(const psal_amx_image *im)
{
    return im->taps == 1;
}

static size_t words(const psal_amx_image *im, size_t steps)
{
    return dense(im) ? steps * STEP_WORDS : psal_round_up(steps * GROUP - STEP_WORDS + im->range, STEP_WORDS);
}

/* Numbers in these words. */
static size_t numbers(const psal_amx_image *im, size_t steps)
{
    return dense(im) ? steps * GROUP : words(im, steps) + STEP_WORDS;
}

static size_t line(const psal_amx_image *im, size_t steps)
{
    return psal_round_up(numbers(im, steps) + BLOCK - 1, BLOCK); /* strided_copy may write so much more */
}

size_t psal_amx_image_floats(const psal_amx_image *im, size_t steps)
{
    return im->phases * PARTS * words(im, steps) * BLOCK;
}

size_t psal_amx_image_lines(const psal_amx_image *im, size_t steps)
{
    return im->plain ? 0 : BLOCK * line(im, steps);
}

psal_amx_right psal_amx_image_tiles(const psal_amx_image *im, size_t steps)
{
    return (psal_amx_right){.step = (dense(im) ? STEP_WORDS : GROUP) * BLOCK, .part = words(im, steps) * BLOCK};
}

size_t psal_amx_image_tap(const psal_amx_image *im, size_t tap, size_t steps)
{
    const psal_conv2d_axis *h = &im->l.h, *w = &im->l.w;
    const int y = (int)(tap / (size_t)w->taps), x = (int)(tap % (size_t)w->taps);
    const size_t phase = (size_t)y % phases(h) * phases(w) + (size_t)x % phases(w);
    const ptrdiff_t first = (ptrdiff_t)shift(h, y) * (ptrdiff_t)im->pitch + shift(w, x) - im->least;
    return (phase * PARTS * words(im, steps) + (size_t)first) * BLOCK;
}

/* ---- packing ---- */

/* `count` numbers from `first` on of the grid with these remainders, of one channel. */
static void fill_line(const psal_amx_image *im, const float *plane, int remainder_h, int remainder_w, ptrdiff_t first, size_t count,
                      float *to)
{
    const psal_conv2d_axis *h = &im->l.h, *w = &im->l.w;
    const ptrdiff_t height = extent(h, remainder_h);
    const size_t width = (size_t)extent(w, remainder_w);
    ptrdiff_t y = floor_div(first, (ptrdiff_t)im->pitch);
    size_t x = (size_t)(first - y * (ptrdiff_t)im->pitch);
    for (; count > 0; x = 0, y++) {
        const size_t n = psal_size_min(im->pitch - x, count);
        const size_t inside = y < 0 || y >= height || x >= width ? 0 : psal_size_min(width - x, n);
        if (inside > 0) {
            const size_t row = (size_t)(y * h->stride + remainder_h), column = x * (size_t)w->stride + (size_t)remainder_w;
            strided_copy(to, plane + row * (size_t)w->source + column, (int)inside, w->stride);
        }
        memset(to + inside, 0, (n - inside) * sizeof *to);
        to += n;
        count -= n;
    }
}

static inline __attribute__((always_inline)) void store_words(const vec first[BLOCK], const vec second[BLOCK], size_t part_floats,
                                                              float *to)
{
#pragma GCC unroll 16
    for (size_t i = 0; i < BLOCK; i++) {
        vec part[PARTS];
        split_words(first[i], second[i], part);
#pragma GCC unroll 3
        for (size_t j = 0; j < PARTS; j++) vec_store(to + j * part_floats + i * BLOCK, part[j]);
    }
}

/* One phase: `count` numbers of `channels` channels, `step` floats apart. */
static void pack_phase(const psal_amx_image *im, const float *from, size_t step, size_t channels, size_t count, size_t steps,
                       float *to)
{
    const size_t blocks = words(im, steps) / STEP_WORDS, part_floats = blocks * STEP_WORDS * BLOCK;
    const size_t distance = dense(im) ? GROUP : STEP_WORDS;
    vec first[BLOCK], second[BLOCK];
    for (size_t i = 0; i < blocks; i++, to += STEP_WORDS * BLOCK) {
        const size_t at = i * distance, next = at + STEP_WORDS;
        if (i == 0 || dense(im)) load_transposed(from + at, step, channels, at < count ? count - at : 0, first);
        load_transposed(from + next, step, channels, next < count ? count - next : 0, second);
        store_words(first, second, part_floats, to);
        memcpy(first, second, sizeof first);
    }
}

void psal_amx_image_pack(const psal_amx_image *im, const float *x, size_t block, size_t start, size_t steps, float *lines,
                         float *to)
{
    const psal_conv2d_axis *h = &im->l.h, *w = &im->l.w;
    const size_t plane = (size_t)h->source * (size_t)w->source, channels = psal_size_min(BLOCK, im->channels - block * BLOCK);
    const float *source = x + block * BLOCK * plane;
    if (im->plain) {
        pack_phase(im, source + start, plane, channels, psal_size_min(plane - start, steps * GROUP), steps, to);
        return;
    }
    const size_t count = numbers(im, steps), step = line(im, steps), phase_floats = PARTS * words(im, steps) * BLOCK;
    for (size_t phase = 0; phase < im->phases; phase++, to += phase_floats) {
        const int remainder_h = remainder_of(h, (int)(phase / phases(w))), remainder_w = remainder_of(w, (int)(phase % phases(w)));
        for (size_t c = 0; c < channels; c++)
            fill_line(im, source + c * plane, remainder_h, remainder_w, (ptrdiff_t)start + im->least, count, lines + c * step);
        pack_phase(im, lines, step, channels, count, steps, to);
    }
}
