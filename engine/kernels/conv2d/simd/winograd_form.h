/* winograd_form.h - which of Winograd's transforms (winograd_transform.h), and its sizes: numbers only, no
 * instructions. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_FORM_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_WINOGRAD_FORM_H

#include <stdbool.h>
#include <stddef.h>

/* The transform along one axis of the image: F(m, r), or none */
typedef enum winograd_axis {
    WINOGRAD_AXIS_NONE, /* one tap: the identity */
    WINOGRAD_AXIS_2_3,
    WINOGRAD_AXIS_4_3,
    WINOGRAD_AXIS_2_5,
    WINOGRAD_AXIS_2_7,
    WINOGRAD_AXIS_STRIDE_2,         /* two results of three taps at stride 2 */
    WINOGRAD_AXIS_STRIDE_2_DX_EVEN, /* four results of its input gradient; the first one has two taps, */
    WINOGRAD_AXIS_STRIDE_2_DX_ODD   /* or one */
} winograd_axis;

typedef struct winograd_size {
    int results, taps; /* m, r */
    int window, step;  /* elements of the source that a tile reads; from one tile to the next */
    int products;      /* "frequencies" of a tile: n */
    int filters;       /* frequencies of a filter: n, or fewer where products share one */
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

/* The frequency of the filter that a product multiplies */
static inline int winograd_axis_filter(winograd_axis axis, int product) {
    const winograd_size size = winograd_axis_size(axis);
    return product < size.filters ? product : size.filters - 1;
}

/* f(form, axis of the height, axis of the width, ...) for the forms that weight gradients have too, and for the
 * others */
#define WINOGRAD_FORMS(f, ...)                                                                                   \
    f(2X2_3X3, 2_3, 2_3, __VA_ARGS__) f(4X4_3X3, 4_3, 4_3, __VA_ARGS__) f(2X2_5X5, 2_5, 2_5, __VA_ARGS__)        \
        f(1X4_1X3, NONE, 4_3, __VA_ARGS__) f(4X1_3X1, 4_3, NONE, __VA_ARGS__) f(1X2_1X7, NONE, 2_7, __VA_ARGS__) \
            f(2X1_7X1, 2_7, NONE, __VA_ARGS__) f(STRIDE_2, STRIDE_2, STRIDE_2, __VA_ARGS__)
#define WINOGRAD_FORMS_WITHOUT_DW(f, ...)                                \
    f(STRIDE_2_DX_EVEN, STRIDE_2_DX_EVEN, STRIDE_2_DX_EVEN, __VA_ARGS__) \
        f(STRIDE_2_DX_ODD, STRIDE_2_DX_ODD, STRIDE_2_DX_ODD, __VA_ARGS__)

#define WINOGRAD_NAME(form, height, width, ...) WINOGRAD_##form,
typedef enum winograd_form {
    WINOGRAD_NONE, /* no Winograd: other algorithms (conv2d.c) */
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
/* The filter's frequency that a product multiplies */
static inline size_t winograd_filter_of(winograd_form form, size_t product) {
    const int across = winograd_width(form).products, i = (int)product / across, j = (int)product % across;
    return (size_t)(winograd_axis_filter(winograd_height_axis(form), i) * winograd_width(form).filters +
                    winograd_axis_filter(winograd_width_axis(form), j));
}

/* Whether an earlier product multiplies the same one */
static inline bool winograd_filter_again(winograd_form form, size_t product) {
    const winograd_size h = winograd_height(form), w = winograd_width(form);
    return (int)product / w.products >= h.filters || (int)product % w.products >= w.filters;
}

#endif
