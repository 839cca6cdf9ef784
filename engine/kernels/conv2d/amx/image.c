#include "engine/kernels/conv2d/amx/image.h"

#include <string.h>

#include "engine/kernels/conv2d/simd/transpose.h"

psal_amx_image psal_amx_image_of(const psal_conv2d_lowered *l, size_t channels) {
    return (psal_amx_image){psal_amx_grid_of(l), channels, psal_conv2d_taps(l), psal_conv2d_lowered_is_identity(l)};
}

static bool dense(const psal_amx_image *im) {
    return im->taps == 1;
}

/* Pairs of pixels of one part, phase and channel over so many steps */
static size_t pairs(const psal_amx_image *im, size_t steps) {
    return dense(im) ? steps * STEP_PAIRS : psal_round_up(steps * GROUP - STEP_PAIRS + im->grid.range, STEP_PAIRS);
}

/* and the indices that they cover */
static size_t indices(const psal_amx_image *im, size_t steps) {
    return dense(im) ? steps * GROUP : pairs(im, steps) + STEP_PAIRS;
}

static size_t line(const psal_amx_image *im, size_t steps) {
    return psal_round_up(indices(im, steps) + BLOCK - 1, BLOCK); /* room for what psal_amx_grid_fill may write behind */
}

size_t psal_amx_image_floats(const psal_amx_image *im, size_t steps) {
    return psal_amx_grid_phases(&im->grid) * PARTS * pairs(im, steps) * BLOCK;
}

size_t psal_amx_image_lines(const psal_amx_image *im, size_t steps) {
    return im->identity ? 0 : BLOCK * line(im, steps);
}

psal_amx_b_tiles psal_amx_image_tiles(const psal_amx_image *im, size_t steps) {
    return (psal_amx_b_tiles){.step = (dense(im) ? STEP_PAIRS : GROUP) * BLOCK, .part = pairs(im, steps) * BLOCK};
}

size_t psal_amx_image_tap(const psal_amx_image *im, size_t tap, size_t steps) {
    const psal_amx_grid_tap at = psal_amx_grid_tap_at(&im->grid, tap);
    return (at.phase * PARTS * pairs(im, steps) + at.shift) * BLOCK;
}

/* ---- packing ---- */

INLINE void store_pairs(const vec first[BLOCK], const vec second[BLOCK], size_t part_floats, float *to) {
#pragma GCC unroll 16
    for (size_t i = 0; i < BLOCK; i++) {
        vec part[PARTS];
        split_pairs(first[i], second[i], part);
#pragma GCC unroll 3
        for (size_t j = 0; j < PARTS; j++) vec_store(to + j * part_floats + i * BLOCK, part[j]);
    }
}

/* One phase: `count` pixels of `channels` channels, which are `step` floats apart */
static void pack_phase(const psal_amx_image *im, const float *from, size_t step, size_t channels, size_t count,
                       size_t steps, float *to) {
    const size_t blocks = pairs(im, steps) / STEP_PAIRS, part_floats = blocks * STEP_PAIRS * BLOCK;
    const size_t distance = dense(im) ? GROUP : STEP_PAIRS;
    vec first[BLOCK], second[BLOCK];
    for (size_t i = 0; i < blocks; i++, to += STEP_PAIRS * BLOCK) {
        const size_t at = i * distance, next = at + STEP_PAIRS;
        if (i == 0 || dense(im)) load_transposed(from + at, step, channels, at < count ? count - at : 0, first);
        load_transposed(from + next, step, channels, next < count ? count - next : 0, second);
        store_pairs(first, second, part_floats, to);
        memcpy(first, second, sizeof first);
    }
}

void psal_amx_image_pack(const psal_amx_image *im, const float *x, size_t block, size_t start, size_t steps,
                         float *lines, float *to) {
    const size_t plane = (size_t)im->grid.l.h.source * (size_t)im->grid.l.w.source;
    const size_t channels = psal_size_min(BLOCK, im->channels - block * BLOCK);
    const float *source = x + block * BLOCK * plane;
    if (im->identity) {
        pack_phase(im, source + start, plane, channels, psal_size_min(plane - start, steps * GROUP), steps, to);
        return;
    }
    const size_t count = indices(im, steps), step = line(im, steps), phase_floats = PARTS * pairs(im, steps) * BLOCK;
    for (size_t phase = 0; phase < psal_amx_grid_phases(&im->grid); phase++, to += phase_floats) {
        for (size_t c = 0; c < channels; c++)
            psal_amx_grid_fill(&im->grid, source + c * plane, phase, (ptrdiff_t)start + im->grid.least, count,
                               lines + c * step);
        pack_phase(im, lines, step, channels, count, steps, to);
    }
}
