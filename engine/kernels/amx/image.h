/* image.h - the right operand of a weight gradient,
 *
 *   dw[o, (c, tap)] = sum over positions of dy[o, position] * x[c, the position's pixel at the tap]
 *
 * Positions and pixels go by their numbers (grid.h), in which every tap is a shift. So one transposed copy of the image as words
 * serves all taps: where the tiles of a tap begin is all that differs.
 *
 * Numbers go in steps of 32 as channels do in filters.h: n and n + 16 share a word. A shift is any number, so there is a word
 * for every number; with a single tap only for those at which a step's words begin, and the 15 after it. */
#ifndef PSAL_ENGINE_KERNELS_AMX_IMAGE_H
#define PSAL_ENGINE_KERNELS_AMX_IMAGE_H

#include "engine/kernels/amx/grid.h"
#include "engine/kernels/amx/tile.h"

typedef struct psal_amx_image {
    psal_amx_grid grid;
    size_t channels, taps;
    bool plain; /* the only tap's pixels are the image itself */
} psal_amx_image;

psal_amx_image psal_amx_image_of(const psal_conv2d_lowered *l, size_t channels);

/* Floats of 16 channels over some steps: [phase][part][word][channel]; and of `lines`, which packing needs besides. */
size_t psal_amx_image_floats(const psal_amx_image *im, size_t steps);
size_t psal_amx_image_lines(const psal_amx_image *im, size_t steps);

/* Channels 16*block .. 16*block+15 (0 beyond the last) of the image x, over the steps from number `start` on. */
void psal_amx_image_pack(const psal_amx_image *im, const float *x, size_t block, size_t start, size_t steps,
                         float *lines, float *to);

/* The tiles of a tap in what has been packed over so many steps: their distances, and where they begin, from `to`. */
psal_amx_right psal_amx_image_tiles(const psal_amx_image *im, size_t steps);
size_t psal_amx_image_tap(const psal_amx_image *im, size_t tap, size_t steps);

#endif
