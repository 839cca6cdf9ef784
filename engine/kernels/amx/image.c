#include "engine/kernels/amx/image.h"

#include <string.h>

#include "engine/kernels/x86/transpose.h"

psal_amx_image psal_amx_image_of(const psal_conv2d_lowered *l, size_t channels) {
    return (psal_amx_image){psal_amx_grid_of(l), channels, psal_conv2d_taps(l), psal_conv2d_lowered_is_plain(l)};
}

static bool dense(const psal_amx_image *im) {
    return im->taps == 1;
}

static size_t words(const psal_amx_image *im, size_t steps) {
    return dense(im) ? steps * STEP_WORDS : psal_round_up(steps * GROUP - STEP_WORDS + im->grid.range, STEP_WORDS);
}

/* Numbers in these words. */
static size_t numbers(const psal_amx_image *im, size_t steps) {
    return dense(im) ? steps * GROUP : words(im, steps) + STEP_WORDS;
}

static size_t line(const psal_amx_image *im, size_t steps) {
    return psal_round_up(numbers(im, steps) + BLOCK - 1, BLOCK); /* room for what psal_amx_grid_fill may write behind */
}

size_t psal_amx_image_floats(const psal_amx_image *im, size_t steps) {
    return psal_amx_grid_phases(&im->grid) * PARTS * words(im, steps) * BLOCK;
}

size_t psal_amx_image_lines(const psal_amx_image *im, size_t steps) {
    return im->plain ? 0 : BLOCK * line(im, steps);
}

psal_amx_right psal_amx_image_tiles(const psal_amx_image *im, size_t steps) {
    return (psal_amx_right){.step = (dense(im) ? STEP_WORDS : GROUP) * BLOCK, .part = words(im, steps) * BLOCK};
}

size_t psal_amx_image_tap(const psal_amx_image *im, size_t tap, size_t steps) {
    const psal_amx_grid_tap at = psal_amx_grid_tap_at(&im->grid, tap);
    return (at.phase * PARTS * words(im, steps) + at.shift) * BLOCK;
}

/* ---- packing ---- */

static inline __attribute__((always_inline)) void store_words(const vec first[BLOCK], const vec second[BLOCK],
                                                              size_t part_floats, float *to) {
#pragma GCC unroll 16
    for (size_t i = 0; i < BLOCK; i++) {
        vec part[PARTS];
        split_words(first[i], second[i], part);
#pragma GCC unroll 3
        for (size_t j = 0; j < PARTS; j++) vec_store(to + j * part_floats + i * BLOCK, part[j]);
    }
}

/* One phase: `count` numbers of `channels` channels, `step` floats apart. */
static void pack_phase(const psal_amx_image *im, const float *from, size_t step, size_t channels, size_t count,
                       size_t steps, float *to) {
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

void psal_amx_image_pack(const psal_amx_image *im, const float *x, size_t block, size_t start, size_t steps,
                         float *lines, float *to) {
    const size_t plane = (size_t)im->grid.l.h.source * (size_t)im->grid.l.w.source;
    const size_t channels = psal_size_min(BLOCK, im->channels - block * BLOCK);
    const float *source = x + block * BLOCK * plane;
    if (im->plain) {
        pack_phase(im, source + start, plane, channels, psal_size_min(plane - start, steps * GROUP), steps, to);
        return;
    }
    const size_t count = numbers(im, steps), step = line(im, steps), phase_floats = PARTS * words(im, steps) * BLOCK;
    for (size_t phase = 0; phase < psal_amx_grid_phases(&im->grid); phase++, to += phase_floats) {
        for (size_t c = 0; c < channels; c++)
            psal_amx_grid_fill(&im->grid, source + c * plane, phase, (ptrdiff_t)start + im->grid.least, count,
                               lines + c * step);
        pack_phase(im, lines, step, channels, count, steps, to);
    }
}
