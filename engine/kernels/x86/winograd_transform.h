/* winograd_transform.h - the transforms of Winograd's minimal filtering F(m x m, r x r) (Lavin and Gray 2016):
 *
 *   y = A^T [ sum over c of (G w G^T) * (B^T x B) ] A         * element by element; w r x r, y m x m, x n x n with n = m + r - 1
 *
 * and its adjoint in w:  dw = G^T [ sum over tiles of (A dy A^T) * (B^T x B) ] G.
 *
 * m and r may differ in height and width; where both are 1, nothing is done in that direction. At stride 2, y and the input
 * gradient have transforms of their own, in which some products share a frequency of the filter.
 *
 * Vectors run over channels: a BLOCK of 16 channels is transformed at a time. A transformed tile or filter has elements
 * ("frequencies", n*n at stride 1) that lie `step` floats apart, and each is a BLOCK. All functions read and write one row of tiles
 * or one filter per lane; planes are NCHW. */
#ifndef PSAL_ENGINE_KERNELS_X86_WINOGRAD_TRANSFORM_H
#define PSAL_ENGINE_KERNELS_X86_WINOGRAD_TRANSFORM_H

#include "engine/kernels/x86/simd.h"

/* What is done along one axis of the image: F(m, r), or nothing. */
typedef enum winograd_axis {
    WINOGRAD_AXIS_NONE, /* one tap: the identity */
    WINOGRAD_AXIS_2_3,
    WINOGRAD_AXIS_4_3,
    WINOGRAD_AXIS_2_5,
    WINOGRAD_AXIS_2_7,
    WINOGRAD_AXIS_STRIDE_2,         /* two results of three taps at stride 2 */
    WINOGRAD_AXIS_STRIDE_2_DX_EVEN, /* four results of its input gradient, the first of which sees two taps, */
    WINOGRAD_AXIS_STRIDE_2_DX_ODD   /* or one */
} winograd_axis;

typedef struct winograd_size {
    int results, taps; /* m, r */
    int window, step;  /* elements of the source that a tile reads; from one tile to the next */
    int products;      /* "frequencies" of a tile: n */
    int filters;       /* and of a filter: as many, or fewer where some products share one */
} winograd_size;

static inline winograd_size winograd_axis_size(winograd_axis axis) {
    switch (axis) {
    case WINOGRAD_AXIS_2_3:
        return (winograd_size){2, 3, 4, 2, 4, 4};
    case WINOGRAD_AXIS_4_3:
        return (winograd_size){4, 3, 6, 4, 6, 6};
    case WINOGRAD_AXIS_2_5:
        return (winograd_size){2, 5, 6, 2, 6, 6};
    case WINOGRAD_AXIS_2_7:
        return (winograd_size){2, 7, 8, 2, 8, 8};
    case WINOGRAD_AXIS_STRIDE_2:
        return (winograd_size){2, 3, 5, 4, 5, 4};
    case WINOGRAD_AXIS_STRIDE_2_DX_EVEN:
    case WINOGRAD_AXIS_STRIDE_2_DX_ODD:
        return (winograd_size){4, 3, 3, 2, 5, 4};
    default:
        return (winograd_size){1, 1, 1, 1, 1, 1};
    }
}

/* Which of a filter's frequencies a product is with */
static inline int winograd_axis_filter(winograd_axis axis, int product) {
    const winograd_size size = winograd_axis_size(axis);
    return product < size.filters ? product : size.filters - 1;
}

/* f(form, what is done in height, in width, ...) for every form that is taken for weight gradients too, and for the others */
#define WINOGRAD_FORMS(f, ...)                                                                                   \
    f(2X2_3X3, 2_3, 2_3, __VA_ARGS__) f(4X4_3X3, 4_3, 4_3, __VA_ARGS__) f(2X2_5X5, 2_5, 2_5, __VA_ARGS__)        \
        f(1X4_1X3, NONE, 4_3, __VA_ARGS__) f(4X1_3X1, 4_3, NONE, __VA_ARGS__) f(1X2_1X7, NONE, 2_7, __VA_ARGS__) \
            f(2X1_7X1, 2_7, NONE, __VA_ARGS__) f(STRIDE_2, STRIDE_2, STRIDE_2, __VA_ARGS__)
#define WINOGRAD_FORMS_WITHOUT_DW(f, ...)                                                                  \
    f(2X4_3X3, 2_3, 4_3, __VA_ARGS__) f(STRIDE_2_DX_EVEN, STRIDE_2_DX_EVEN, STRIDE_2_DX_EVEN, __VA_ARGS__) \
        f(STRIDE_2_DX_ODD, STRIDE_2_DX_ODD, STRIDE_2_DX_ODD, __VA_ARGS__)

#define WINOGRAD_NAME(form, height, width, ...) WINOGRAD_##form,
typedef enum winograd_form {
    WINOGRAD_NONE, /* a convolution that none of them suits */
    WINOGRAD_FORMS(WINOGRAD_NAME, ) WINOGRAD_FORMS_WITHOUT_DW(WINOGRAD_NAME, )
} winograd_form;

#define WINOGRAD_MOST_TAPS 25

#define WINOGRAD_HEIGHT(form, height, width, ...) WINOGRAD_AXIS_##height,
#define WINOGRAD_WIDTH(form, height, width, ...) WINOGRAD_AXIS_##width,
static inline winograd_axis winograd_height_axis(winograd_form form) {
    static const winograd_axis axes[] = {WINOGRAD_AXIS_NONE, WINOGRAD_FORMS(WINOGRAD_HEIGHT, )
                                                                 WINOGRAD_FORMS_WITHOUT_DW(WINOGRAD_HEIGHT, )};
    return axes[form];
}
static inline winograd_axis winograd_width_axis(winograd_form form) {
    static const winograd_axis axes[] = {WINOGRAD_AXIS_NONE,
                                         WINOGRAD_FORMS(WINOGRAD_WIDTH, ) WINOGRAD_FORMS_WITHOUT_DW(WINOGRAD_WIDTH, )};
    return axes[form];
}
static inline winograd_size winograd_height(winograd_form form) {
    return winograd_axis_size(winograd_height_axis(form));
}
static inline winograd_size winograd_width(winograd_form form) {
    return winograd_axis_size(winograd_width_axis(form));
}
static inline size_t winograd_taps(winograd_form form) /* of a filter's plane */
{
    return (size_t)(winograd_height(form).taps * winograd_width(form).taps);
}
static inline size_t winograd_products(winograd_form form) /* of a tile */
{
    return (size_t)(winograd_height(form).products * winograd_width(form).products);
}
static inline size_t winograd_filters(winograd_form form) /* frequencies of a filter */
{
    return (size_t)(winograd_height(form).filters * winograd_width(form).filters);
}
/* Which of them a product is with. */
static inline size_t winograd_filter_of(winograd_form form, size_t product) {
    const int across = winograd_width(form).products, i = (int)product / across, j = (int)product % across;
    return (size_t)(winograd_axis_filter(winograd_height_axis(form), i) * winograd_width(form).filters +
                    winograd_axis_filter(winograd_width_axis(form), j));
}

/* Whether an earlier product is with the same one. */
static inline bool winograd_filter_again(winograd_form form, size_t product) {
    const winograd_size h = winograd_height(form), w = winograd_width(form);
    return (int)product / w.products >= h.filters || (int)product % w.products >= w.filters;
}

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
size_t psal_winograd_line_floats(winograd_form form, size_t tiles);

/* B^T x B of `tiles` tiles whose upper left corners are (row, column + i*m), which may lie outside the image (zeros):
 * v[frequency * step + i * BLOCK + lane]. */
void psal_winograd_input(winograd_form form, const float *x, const winograd_planes *planes, int row, int column,
                         size_t tiles, float *line, float *v, size_t step);

/* A dy A^T of the m x m tiles at (row, column + i*m): v as above. */
void psal_winograd_gradient(winograd_form form, const float *dy, const winograd_planes *planes, int row, int column,
                            size_t tiles, float *line, float *v, size_t step);

/* y tiles at (row, column + i*m) = A^T p A from p[frequency * step + i * tile_step + lane]; what sticks out of y is dropped. */
void psal_winograd_output(winograd_form form, const float *p, size_t step, size_t tile_step, size_t tiles, float *line,
                          float *y, const winograd_planes *planes, int row, int column);

/* to[(channel * taps + tap) * BLOCK + lane] = w[lane * lane_step + channel * taps + tap]: filters of so many taps, those of a lane
 * next to each other. Several channels at once: 16 of 9 taps fill nine transpositions of 16 x 16, but one only 9/16 of one. */
void psal_winograd_load_filters(const float *w, size_t lane_step, size_t lanes, size_t channels, size_t taps,
                                float *to);

/* u[frequency * step + lane] = G w G^T of the filters taps[tap * BLOCK + lane] */
void psal_winograd_filter(winograd_form form, const float *taps, float *u, size_t step);

/* The same of the filters w[lane * taps + tap], turned by 180 degrees. */
void psal_winograd_turned_filter(winograd_form form, const float *w, size_t lanes, float *u, size_t step);

/* G^T u G into dw[lane * taps], or, when dw is NULL, only the sum over lanes and taps of its absolute values (or of its
 * values) as the result. Lanes beyond `lanes` must be 0 in u. */
double psal_winograd_filter_gradient(winograd_form form, const float *u, size_t step, size_t lanes, float *dw,
                                     bool is_signed);

#endif
