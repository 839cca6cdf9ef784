/* columns.h - the right operand B of a product: blocks of 16 columns of the gathered matrix (conv2d_lower.h), packed as the
 * tiles of tile.h want it.
 *
 * Columns are the positions of one image after the other, each image's in whole blocks. Word row r of a panel holds pair p of
 * channels (filters.h) at one tap. By the form of the filters, r = p * taps + tap (ROWS), or (p / 16 * taps + tap) * 16 + p % 16,
 * so that a step has one tap (TRANSPOSED).
 *
 * Where the columns are the source itself they are split on the way. Otherwise the source is first split into words, a plane of
 * words for each part and pair of channels, and these are gathered as if they were floats. */
#ifndef PSAL_ENGINE_KERNELS_AMX_COLUMNS_H
#define PSAL_ENGINE_KERNELS_AMX_COLUMNS_H

#include "engine/kernels/amx/filters.h"
#include "engine/kernels/conv2d_gather.h"
#include "engine/kernels/x86/column_runs.h"

typedef struct psal_amx_columns {
    psal_conv2d_lowered l;
    psal_amx_form form;
    bool plain;                     /* the columns are the source itself */
    size_t channels, pairs, taps;   /* pairs of channels */
    size_t positions, image_blocks; /* of one image */
    const float *scale;             /* NULL, or: channels of the source are taken times scale[channel] * factor */
    float factor;
    const float *source, *words; /* [image][channel][plane]; [image][part][pair][plane], NULL when plain */
} psal_amx_columns;

/* Where the columns of a block lie: n positions from `position` on. */
typedef struct psal_amx_column_block {
    size_t image, position, n;
} psal_amx_column_block;

static inline psal_amx_column_block psal_amx_block_at(const psal_amx_columns *c, size_t block) {
    const size_t position = block % c->image_blocks * BLOCK;
    return (psal_amx_column_block){block / c->image_blocks, position, psal_size_min(BLOCK, c->positions - position)};
}

/* Blocks first .. first+count-1, steps step .. step+steps-1 of K: a panel of each two blocks. */
typedef struct psal_amx_panels {
    size_t first, count, step, steps;
    float *to; /* [pair][step][part][block of the pair][word][column] */
} psal_amx_panels;

void psal_amx_pack_columns(const psal_amx_columns *c, const psal_amx_panels *p);

/* words of a pair of channels of one image, into words[image][part][pair][plane] */
void psal_amx_split_plane(const psal_amx_columns *c, size_t image, size_t pair, float *words);

#endif
