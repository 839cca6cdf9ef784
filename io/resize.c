#include "io/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 32 bits hold a weighted sum of 8-bit pixels when the weights, which add up to one, have 22
 * fractional bits; two bits are to spare. */
#define WEIGHT_BITS 22
#define ONE_HALF (1 << (WEIGHT_BITS - 1))

/* The source pixels first .. first + count - 1 make one target pixel. */
struct window {
    int first, count;
    int32_t *weights; /* [count], fixed point */
};

/* ---- weights ---- */

/* Pixels of the source axis within the filter's radius of target pixel `index`. The order of these
 * floating-point steps is Pillow's, since a different rounding can move a bound or a weight. */
struct axis {
    double scale, radius;
    int source_size;
};

static struct axis make_axis(int source_size, int target_size) {
    double scale = (double)(float)source_size / target_size; /* Pillow's box is in float */
    return (struct axis){scale, scale < 1.0 ? 1.0 : scale, source_size};
}

static struct window find_window(const struct axis *axis, int index) {
    double center = (index + 0.5) * axis->scale;
    int first = (int)(center - axis->radius + 0.5);
    int end = (int)(center + axis->radius + 0.5);
    if (first < 0) first = 0;
    if (end > axis->source_size) end = axis->source_size;
    return (struct window){first, end - first, NULL};
}

static double triangle(double distance) {
    distance = fabs(distance);
    return distance < 1.0 ? 1.0 - distance : 0.0;
}

/* Fill window->weights; `exact` is scratch of window->count doubles. */
static void set_weights(const struct axis *axis, int index, const struct window *window, double *exact) {
    double center = (index + 0.5) * axis->scale, inverse_radius = 1.0 / axis->radius, sum = 0.0;
    for (int i = 0; i < window->count; i++) {
        exact[i] = triangle((i + window->first - center + 0.5) * inverse_radius);
        sum += exact[i];
    }
    for (int i = 0; i < window->count; i++) {
        double weight = sum != 0.0 ? exact[i] / sum : exact[i];
        window->weights[i] = (int32_t)(0.5 + weight * (1 << WEIGHT_BITS)); /* never negative */
    }
}

struct windows {
    struct window *at; /* [count] */
    int32_t *weights;  /* what at[i].weights point into */
};

static void free_windows(struct windows *windows) {
    free(windows->at);
    free(windows->weights);
}

/* The windows of target pixels start .. start + count - 1; false when out of memory. */
static int make_windows(int source_size, int target_size, int start, int count, struct windows *windows) {
    struct axis axis = make_axis(source_size, target_size);
    *windows = (struct windows){0};
    windows->at = malloc((size_t)count * sizeof *windows->at);
    if (!windows->at) return 0;
    size_t total = 0, widest = 0;
    for (int i = 0; i < count; i++) {
        windows->at[i] = find_window(&axis, start + i);
        size_t size = (size_t)windows->at[i].count;
        total += size;
        if (size > widest) widest = size;
    }
    windows->weights = malloc(total * sizeof *windows->weights);
    double *exact = malloc(widest * sizeof *exact);
    if (!windows->weights || !exact) {
        free(exact);
        free_windows(windows);
        return 0;
    }
    int32_t *next = windows->weights;
    for (int i = 0; i < count; i++) {
        windows->at[i].weights = next;
        set_weights(&axis, start + i, &windows->at[i], exact);
        next += windows->at[i].count;
    }
    free(exact);
    return 1;
}

/* ---- the two passes ---- */

static uint8_t round_pixel(int32_t sum) {
    int32_t pixel = sum >> WEIGHT_BITS;
    return (uint8_t)(pixel > 255 ? 255 : pixel); /* the rounded weights may add up to above one */
}

/* target[count][3]: a row of the source resized. */
static void resize_row(const uint8_t *source, const struct window *windows, int count, uint8_t *target) {
    for (int x = 0; x < count; x++, target += 3) {
        const uint8_t *pixel = source + 3 * (size_t)windows[x].first;
        const int32_t *weights = windows[x].weights;
        int32_t red = ONE_HALF, green = ONE_HALF, blue = ONE_HALF;
        for (int i = 0; i < windows[x].count; i++, pixel += 3) {
            red += pixel[0] * weights[i];
            green += pixel[1] * weights[i];
            blue += pixel[2] * weights[i];
        }
        target[0] = round_pixel(red);
        target[1] = round_pixel(green);
        target[2] = round_pixel(blue);
    }
}

/* target[size]: the weighted sum of window->count rows of `size` bytes, row_stride apart, the first
 * at `rows`. */
static void blend_rows(const uint8_t *rows, size_t row_stride, const struct window *window, size_t size, int32_t *sums,
                       uint8_t *target) {
    for (size_t i = 0; i < size; i++) sums[i] = ONE_HALF;
    for (int k = 0; k < window->count; k++) {
        const uint8_t *row = rows + (size_t)k * row_stride;
        int32_t weight = window->weights[k];
        for (size_t i = 0; i < size; i++) sums[i] += row[i] * weight;
    }
    for (size_t i = 0; i < size; i++) target[i] = round_pixel(sums[i]);
}

/* ---- putting it together ---- */

struct resizer {
    struct windows columns, rows;
    uint8_t *middle; /* the source rows the part needs, resized horizontally */
    int32_t *sums;   /* one row of accumulators */
};

static psal_status run(struct resizer *resizer, const psal_image *source, const psal_resize_part *part, uint8_t *rgb,
                       size_t row_stride, psal_error *err) {
    size_t row_bytes = (size_t)part->width * 3;
    if (!make_windows(source->width, part->full_width, part->left, part->width, &resizer->columns) ||
        !make_windows(source->height, part->full_height, part->top, part->height, &resizer->rows))
        goto out_of_memory;
    const struct window *last = &resizer->rows.at[part->height - 1];
    int first = resizer->rows.at[0].first, end = last->first + last->count;
    resizer->middle = malloc((size_t)(end - first) * row_bytes);
    resizer->sums = malloc(row_bytes * sizeof *resizer->sums);
    if (!resizer->middle || !resizer->sums) goto out_of_memory;

    for (int y = first; y < end; y++)
        resize_row(source->rgb + (size_t)y * (size_t)source->width * 3, resizer->columns.at, part->width,
                   resizer->middle + (size_t)(y - first) * row_bytes);
    for (int y = 0; y < part->height; y++) {
        const struct window *window = &resizer->rows.at[y];
        blend_rows(resizer->middle + (size_t)(window->first - first) * row_bytes, row_bytes, window, row_bytes,
                   resizer->sums, rgb + (size_t)y * row_stride);
    }
    return PSAL_OK;

out_of_memory:
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for resizing %dx%d pixels to %dx%d", source->width,
                     source->height, part->full_width, part->full_height);
}

psal_status psal_resize_region(const psal_image *source, const psal_resize_part *part, uint8_t *rgb, size_t row_stride,
                               psal_error *err) {
    if (!source->rgb || source->width < 1 || source->height < 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "there is no image to resize");
    if (part->width < 1 || part->height < 1 || part->left < 0 || part->top < 0 ||
        part->width > part->full_width - part->left || part->height > part->full_height - part->top)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "the part %dx%d at %d,%d does not lie in the resized image of %dx%d "
                         "pixels",
                         part->width, part->height, part->left, part->top, part->full_width, part->full_height);
    if (part->full_width == source->width && part->full_height == source->height) {
        for (int y = 0; y < part->height; y++)
            memcpy(rgb + (size_t)y * row_stride,
                   source->rgb + ((size_t)(part->top + y) * (size_t)source->width + (size_t)part->left) * 3,
                   (size_t)part->width * 3);
        return PSAL_OK;
    }
    struct resizer resizer = {0};
    psal_status status = run(&resizer, source, part, rgb, row_stride, err);
    free_windows(&resizer.columns);
    free_windows(&resizer.rows);
    free(resizer.middle);
    free(resizer.sums);
    return status;
}

psal_status psal_resize(const psal_image *source, int width, int height, psal_image *target, psal_error *err) {
    psal_status status = psal_image_alloc(width, height, target, err);
    if (status) return status;
    psal_resize_part whole = {width, height, 0, 0, width, height};
    status = psal_resize_region(source, &whole, target->rgb, (size_t)width * 3, err);
    if (status) psal_image_free(target);
    return status;
}
