/* grid.h - positions and pixels of a gathered matrix (lowered.h) with indices in which a tap is a shift.
 *
 * Position (y, x) has the index y*pitch + x. The pitch leaves room for zeros at the end of each row, so that the pixel
 * of a position at a tap has the position's index plus a shift, the same for all positions. At strides above 1 there is
 * such a grid of pixels for each remainder of the coordinates modulo the stride that taps reach (a phase). */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_GRID_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_GRID_H

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/simd.h"

typedef struct psal_amx_grid {
    psal_conv2d_lowered l;
    size_t pitch;
    size_t indices; /* from the first position to the last */
    size_t row_phases, column_phases;
    ptrdiff_t least; /* the smallest shift of a tap, */
    size_t range;    /* and the largest less the smallest */
} psal_amx_grid;

/* The pixels of a tap: their phase, and the tap's shift less the smallest */
typedef struct psal_amx_grid_tap {
    size_t phase, shift;
} psal_amx_grid_tap;

static inline size_t psal_amx_grid_phases(const psal_amx_grid *g) {
    return g->row_phases * g->column_phases;
}

psal_amx_grid psal_amx_grid_of(const psal_conv2d_lowered *l); /* with taps */
psal_amx_grid_tap psal_amx_grid_tap_at(const psal_amx_grid *g, size_t tap);

/* The pixels of a phase of one channel's plane with indices first .. first+count-1; up to 15 floats behind them are
 * overwritten. */
void psal_amx_grid_fill(const psal_amx_grid *g, const float *plane, size_t phase, ptrdiff_t first, size_t count,
                        float *to);

/* Which of the 16 indices from `index` on are positions, and the number of the first of these, counted without gaps */
vec_mask psal_amx_grid_positions(const psal_amx_grid *g, size_t index, size_t *place);

#endif
