/* grid.h - positions and pixels of a gathered matrix (conv2d_lower.h), numbered so that a tap is a shift.
 *
 * Both are numbered along rows of one width, the pitch, with room for zeros at the end of each: position (y, x) is number
 * y*pitch + x, and its pixel at a tap is that number plus a shift that is the same for all. At strides above 1 there is such a
 * grid of pixels for every remainder of their coordinates that taps meet (a phase). */
#ifndef PSAL_ENGINE_KERNELS_AMX_GRID_H
#define PSAL_ENGINE_KERNELS_AMX_GRID_H

#include "engine/kernels/conv2d_lower.h"
#include "engine/kernels/x86/simd.h"

typedef struct psal_amx_grid {
    psal_conv2d_lowered l;
    size_t pitch;
    size_t numbers; /* from the first position to the last */
    size_t row_phases, column_phases;
    ptrdiff_t least; /* shift of a tap, */
    size_t range;    /* and how much larger the largest is */
} psal_amx_grid;

/* Where the pixels of a tap are: in which phase, and the shift less the least one. */
typedef struct psal_amx_grid_tap {
    size_t phase, shift;
} psal_amx_grid_tap;

static inline size_t psal_amx_grid_phases(const psal_amx_grid *g) {
    return g->row_phases * g->column_phases;
}

psal_amx_grid psal_amx_grid_of(const psal_conv2d_lowered *l); /* with taps */
psal_amx_grid_tap psal_amx_grid_tap_at(const psal_amx_grid *g, size_t tap);

/* `count` numbers from `first` on of a phase of one channel's plane; up to 15 floats behind them are overwritten. */
void psal_amx_grid_fill(const psal_amx_grid *g, const float *plane, size_t phase, ptrdiff_t first, size_t count,
                        float *to);

/* Of 16 numbers from `number` on, those of positions, and the place of the first one among all positions: the others follow. */
vec_mask psal_amx_grid_positions(const psal_amx_grid *g, size_t number, size_t *place);

#endif
