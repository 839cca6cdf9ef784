/* winograd_transform.h - the transforms of Winograd's minimal filtering F(m x m, r x r) (Lavin and Gray 2016):
 *
 *   y = A^T [ sum over c of (G w G^T) * (B^T x B) ] A   * element by element; w r x r, y m x m, x n x n, n = m + r - 1
 *
 * and its adjoint in w:  dw = G^T [ sum over tiles of (A dy A^T) * (B^T x B) ] G.
 *
 * m and r may differ in height and width; where both are 1, nothing is done in that direction. At stride 2, y and the
 * input gradient have transforms of their own, in which some products share a frequency of the filter.
 *
 * Vectors run over channels: a BLOCK of 16 channels is transformed at a time. A transformed tile or filter has elements
 * ("frequencies", n*n at stride 1) that lie `step` floats apart, and each is a BLOCK. All functions read and write one
 * row of tiles or one filter per lane; planes are NCHW. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_TRANSFORM_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_TRANSFORM_H

#include "engine/kernels/conv2d/simd/simd.h"
#include "engine/kernels/conv2d/simd/winograd_form.h"

/* Up to 16 successive image planes */
typedef struct winograd_planes {
    int height, width;
    size_t lanes; /* how many of the 16 exist; the others are 0 and never read or written */
} winograd_planes;

#define psal_winograd_line_floats PSAL_SIMD_NAME(psal_winograd_line_floats)
#define psal_winograd_input PSAL_SIMD_NAME(psal_winograd_input)
#define psal_winograd_gradient PSAL_SIMD_NAME(psal_winograd_gradient)
#define psal_winograd_output PSAL_SIMD_NAME(psal_winograd_output)
#define psal_winograd_load_filters PSAL_SIMD_NAME(psal_winograd_load_filters)
#define psal_winograd_filter PSAL_SIMD_NAME(psal_winograd_filter)
#define psal_winograd_rotated_filter PSAL_SIMD_NAME(psal_winograd_rotated_filter)
#define psal_winograd_filter_gradient PSAL_SIMD_NAME(psal_winograd_filter_gradient)

/* Floats that `line` must hold in the functions below for a row of `tiles` tiles. */
size_t psal_winograd_line_floats(winograd_form form, size_t tiles);

/* B^T x B of `tiles` tiles whose upper left corners are (row, column + i*m), which may lie outside the image (zeros):
 * v[frequency * step + i * BLOCK + lane]. */
void psal_winograd_input(winograd_form form, const float *x, const winograd_planes *planes, int row, int column,
                         size_t tiles, float *line, float *v, size_t step);

/* A dy A^T of the m x m tiles at (row, column + i*m): v as above. */
void psal_winograd_gradient(winograd_form form, const float *dy, const winograd_planes *planes, int row, int column,
                            size_t tiles, float *line, float *v, size_t step);

/* y tiles at (row, column + i*m) = A^T p A from p[frequency * step + i * tile_step + lane]; what sticks out of y is
 * dropped. */
void psal_winograd_output(winograd_form form, const float *p, size_t step, size_t tile_step, size_t tiles, float *line,
                          float *y, const winograd_planes *planes, int row, int column);

/* to[(channel * taps + tap) * BLOCK + lane] = w[lane * lane_step + channel * taps + tap]. Several channels at once,
 * because 16 channels of 9 taps are nine full transpositions of 16 x 16. */
void psal_winograd_load_filters(const float *w, size_t lane_step, size_t lanes, size_t channels, size_t taps,
                                float *to);

/* u[frequency * step + lane] = G w G^T of the filters taps[tap * BLOCK + lane] */
void psal_winograd_filter(winograd_form form, const float *taps, float *u, size_t step);

/* The same of the filters w[lane * taps + tap], rotated by 180 degrees. */
void psal_winograd_rotated_filter(winograd_form form, const float *w, size_t lanes, float *u, size_t step);

/* G^T u G into dw[lane * taps], or, when dw is NULL, only the sum over lanes and taps of its absolute values (or of its
 * values) as the result. Lanes beyond `lanes` must be 0 in u. */
double psal_winograd_filter_gradient(winograd_form form, const float *u, size_t step, size_t lanes, float *dw,
                                     bool is_signed);

#endif
