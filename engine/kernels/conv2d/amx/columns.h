/* columns.h - the right operand B of a product: blocks of 16 columns of the gathered matrix (lowered.h), packed as the
 * tiles of tile.h want it.
 *
 * Columns are the positions of one image after the other, each image's in whole blocks. Row r of a panel holds pair p
 * of channels (filters.h) at one tap, r following from the form of the filters:
 *
 *   ROWS         r = p * taps + tap
 *   TRANSPOSED   r = (p / 16 * taps + tap) * 16 + p % 16: one tap for each step
 *
 * Where the columns are the source itself, it is split (split.h) while it is packed. Otherwise the source is split
 * first, into a plane of bfloat16 pairs for each part and pair of channels, and these planes are gathered like
 * floats. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_COLUMNS_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_COLUMNS_H

#include "engine/kernels/conv2d/amx/filters.h"
#include "engine/kernels/conv2d/gather.h"
#include "engine/kernels/conv2d/simd/column_runs.h"

typedef struct psal_amx_columns {
    psal_conv2d_lowered l;
    psal_amx_form form;
    bool identity;                  /* the columns are the source itself */
    size_t channels, pairs, taps;   /* pairs of channels */
    size_t positions, image_blocks; /* of one image */
    const float *scale;             /* NULL, or: channels of the source are taken times scale[channel] * factor */
    float factor;
    const float *source, *split; /* [image][channel][plane]; [image][part][pair][plane], not when identity */
} psal_amx_columns;

/* The columns of a block: positions position .. position+n-1 of an image */
typedef struct psal_amx_column_block {
    size_t image, position, n;
} psal_amx_column_block;

static inline psal_amx_column_block psal_amx_block_at(const psal_amx_columns *c, size_t block) {
    const size_t position = block % c->image_blocks * BLOCK;
    return (psal_amx_column_block){block / c->image_blocks, position, psal_size_min(BLOCK, c->positions - position)};
}

/* Blocks first .. first+count-1, steps step .. step+steps-1 of K; two blocks make a panel. */
typedef struct psal_amx_panels {
    size_t first, count, step, steps;
    float *to; /* [panel][step][part][block of the panel][pair of channels][column] */
} psal_amx_panels;

void psal_amx_pack_columns(const psal_amx_columns *c, const psal_amx_panels *p);

/* Split a pair of channels of one image into split[image][part][pair][plane]. */
void psal_amx_split_plane(const psal_amx_columns *c, size_t image, size_t pair, float *split);

#endif
