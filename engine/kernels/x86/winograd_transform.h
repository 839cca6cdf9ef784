/* winograd_transform.h - the transforms of Winograd's minimal filtering F(m x m, 3 x 3), m = 2 or 4 (Lavin and Gray 2016):
 *
 *   y = A^T [ sum over c of (G w G^T) * (B^T x B) ] A         * element by element; w 3 x 3, y m x m, x n x n with n = m + 2
 *
 * and its adjoint in w:  dw = G^T [ sum over tiles of (A dy A^T) * (B^T x B) ] G.
 *
 * Vectors run over channels: a BLOCK of 16 channels is transformed at a time. A transformed tile or filter has n*n elements
 * ("frequencies") that lie `step` floats apart, and each is a BLOCK. All functions read and write one row of tiles or one
 * filter per lane; planes are NCHW. */
#ifndef PSAL_ENGINE_KERNELS_X86_WINOGRAD_TRANSFORM_H
#define PSAL_ENGINE_KERNELS_X86_WINOGRAD_TRANSFORM_H

#include "engine/kernels/x86/simd.h"

/* Up to 16 image planes next to each other in memory. */
typedef struct winograd_planes {
    int height, width;
    size_t lanes; /* how many of the 16 exist; the others count as 0 and are never touched */
} winograd_planes;

#define psal_winograd_line_floats PSAL_SIMD_NAME(psal_winograd_line_floats)
#define psal_winograd_input PSAL_SIMD_NAME(psal_winograd_input)
#define psal_winograd_gradient PSAL_SIMD_NAME(psal_winograd_gradient)
#define psal_winograd_output PSAL_SIMD_NAME(psal_winograd_output)
#define psal_winograd_load_filters PSAL_SIMD_NAME(psal_winograd_load_filters)
#define psal_winograd_filter PSAL_SIMD_NAME(psal_winograd_filter)
#define psal_winograd_turned_filter PSAL_SIMD_NAME(psal_winograd_turned_filter)
#define psal_winograd_filter_gradient PSAL_SIMD_NAME(psal_winograd_filter_gradient)

/* Floats that `line` must hold in the functions below for a row of `tiles` tiles. */
size_t psal_winograd_line_floats(int m, size_t tiles);

/* B^T x B of `tiles` tiles whose upper left corners are (row, column + i*m), which may lie outside the image (zeros):
 * v[frequency * step + i * BLOCK + lane]. */
void psal_winograd_input(int m, const float *x, const winograd_planes *planes, int row, int column, size_t tiles,
                         float *line, float *v, size_t step);

/* A dy A^T of the m x m tiles at (row, i*m): v as above. */
void psal_winograd_gradient(int m, const float *dy, const winograd_planes *planes, int row, size_t tiles, float *line,
                            float *v, size_t step);

/* y tiles at (row, column + i*m) = A^T p A from p[frequency * step + i * tile_step + lane]; what sticks out of y is dropped. */
void psal_winograd_output(int m, const float *p, size_t step, size_t tile_step, size_t tiles, float *line, float *y,
                          const winograd_planes *planes, int row, int column);

/* taps[(channel * 9 + tap) * BLOCK + lane] = w[lane * lane_step + channel * 9 + tap]: 3 x 3 filters, those of a lane next to
 * each other. Several channels at once: 16 of them fill nine transpositions of 16 x 16, but one only 9/16 of one. */
void psal_winograd_load_filters(const float *w, size_t lane_step, size_t lanes, size_t channels, float *taps);

/* u[frequency * step + lane] = G w G^T of the filters taps[tap * BLOCK + lane] */
void psal_winograd_filter(int m, const float *taps, float *u, size_t step);

/* The same of the filters w[lane * 9 + tap], turned by 180 degrees. */
void psal_winograd_turned_filter(int m, const float *w, size_t lanes, float *u, size_t step);

/* G^T u G into dw[lane * 9], or, when dw is NULL, only the sum over lanes and taps of its absolute values (or of its
 * values) as the result. Lanes beyond `lanes` must be 0 in u. */
double psal_winograd_filter_gradient(int m, const float *u, size_t step, size_t lanes, float *dw, bool is_signed);

#endif
