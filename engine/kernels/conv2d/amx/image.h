/* image.h - the right operand of a weight gradient,
 *
 *   dw[o, (c, tap)] = sum over positions of dy[o, position] * x[c, the position's pixel at the tap]
 *
 * K is the positions by their grid indices (grid.h), in which a tap is a shift. So one transposed copy of the image,
 * split into pairs of bfloat16, serves all taps: only where their tiles begin differs.
 *
 * A step is 32 indices; n and n + 16 are a pair, as in filters.h. As a shift may be any number, there is a pair (n, n +
 * 16) for every index n; with a single tap only for the first 16 of each step. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_IMAGE_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_IMAGE_H

#include "engine/kernels/conv2d/amx/grid.h"
#include "engine/kernels/conv2d/amx/tile.h"

typedef struct psal_amx_image {
    psal_amx_grid grid;
    size_t channels, taps;
    bool identity; /* the only tap's pixels are the image itself */
} psal_amx_image;

psal_amx_image psal_amx_image_of(const psal_conv2d_lowered *l, size_t channels);

/* Floats of 16 channels over some steps: [phase][part][pair][channel]; and of `lines`, scratch for packing. */
size_t psal_amx_image_floats(const psal_amx_image *im, size_t steps);
size_t psal_amx_image_lines(const psal_amx_image *im, size_t steps);

/* Channels 16*block .. 16*block+15 (0 beyond the last) of the image x, over the steps from index `start` on. */
void psal_amx_image_pack(const psal_amx_image *im, const float *x, size_t block, size_t start, size_t steps,
                         float *lines, float *to);

/* The tiles of a tap in an image packed over so many steps: the distances between them, and the offset of the first. */
psal_amx_b_tiles psal_amx_image_tiles(const psal_amx_image *im, size_t steps);
size_t psal_amx_image_tap(const psal_amx_image *im, size_t tap, size_t steps);

#endif
