#include "saliency/masking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/random.h"

int64_t psal_mask_count(int64_t pixels, double percent) {
    return (int64_t)llround((double)pixels * percent / 100);
}

/* ---- which pixels ---- */

/* The position one beyond the border is that one inside it. */
static int mirrored(int i, int size) {
    if (size == 1) return 0;
    return i < 0 ? -i : i >= size ? 2 * size - 2 - i : i;
}

psal_status psal_pixel_saliency(const float *gradient, int channels, int height, int width, float *heat,
                                psal_error *err) {
    const size_t pixels = (size_t)height * (size_t)width;
    float *rows = malloc(pixels * sizeof *rows);
    if (!rows) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a map of %zu pixels", pixels);
    for (size_t i = 0; i < pixels; i++) {
        float largest = gradient[i];
        for (int c = 1; c < channels; c++) largest = fmaxf(largest, gradient[(size_t)c * pixels + i]);
        heat[i] = fabsf(largest);
    }
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const float *row = heat + (size_t)y * (size_t)width;
            rows[(size_t)y * (size_t)width + (size_t)x] = (row[mirrored(x - 1, width)] + 2 * row[x] +
                                                           row[mirrored(x + 1, width)]) /
                                                          4;
        }
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const float *above = rows + (size_t)mirrored(y - 1, height) * (size_t)width,
                        *below = rows + (size_t)mirrored(y + 1, height) * (size_t)width;
            const size_t at = (size_t)y * (size_t)width + (size_t)x;
            heat[at] = (above[x] + 2 * rows[at] + below[x]) / 4;
        }
    free(rows);
    return PSAL_OK;
}

static psal_status check_count(int64_t count, int64_t pixels, psal_error *err) {
    if (count >= 0 && count <= pixels) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "cannot hide %lld of %lld pixels", (long long)count, (long long)pixels);
}

typedef struct pixel {
    float value;
    int64_t place;
} pixel;

static int largest_first(const void *left, const void *right) {
    const pixel *a = left, *b = right;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

psal_status psal_mask_top(const float *values, int64_t pixels, int64_t count, bool *mask, psal_error *err) {
    psal_status status = check_count(count, pixels, err);
    if (status != PSAL_OK) return status;
    pixel *order = malloc(((size_t)pixels + 1) * sizeof *order);
    if (!order) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to rank %lld pixels", (long long)pixels);
    for (int64_t i = 0; i < pixels; i++) order[i] = (pixel){values[i], i};
    qsort(order, (size_t)pixels, sizeof *order, largest_first);
    memset(mask, 0, (size_t)pixels * sizeof *mask);
    for (int64_t i = 0; i < count; i++) mask[order[i].place] = true;
    free(order);
    return PSAL_OK;
}

psal_status psal_mask_region(int height, int width, int64_t count, uint64_t seed, bool *mask, psal_error *err) {
    const int64_t pixels = (int64_t)height * width;
    psal_status status = check_count(count, pixels, err);
    if (status != PSAL_OK) return status;
    /* Pixels that touch the region; each is entered once. */
    int64_t *edge = malloc(((size_t)pixels + 1) * sizeof *edge), edges = 0;
    bool *entered = calloc((size_t)pixels + 1, sizeof *entered);
    if (!edge || !entered) {
        free(edge);
        free(entered);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a region of %lld pixels", (long long)count);
    }
    psal_random random = {seed};
    memset(mask, 0, (size_t)pixels * sizeof *mask);
    edge[edges++] = (int64_t)psal_random_below(&random, (uint64_t)pixels);
    entered[edge[0]] = true;
    for (int64_t done = 0; done < count; done++) {
        const int64_t pick = (int64_t)psal_random_below(&random, (uint64_t)edges), at = edge[pick];
        edge[pick] = edge[--edges];
        mask[at] = true;
        const int x = (int)(at % width);
        const int64_t beside[] = {x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1, at - width, at + width};
        for (int i = 0; i < 4; i++) {
            if (beside[i] < 0 || beside[i] >= pixels || entered[beside[i]]) continue;
            entered[beside[i]] = true;
            edge[edges++] = beside[i];
        }
    }
    free(edge);
    free(entered);
    return PSAL_OK;
}

void psal_mask_move(const bool *mask, int height, int width, uint64_t seed, bool *moved) {
    psal_random random = {seed};
    const int64_t pixels = (int64_t)height * width;
    const int64_t by = pixels > 1 ? 1 + (int64_t)psal_random_below(&random, (uint64_t)pixels - 1) : 0;
    const int64_t down = by / width, right = by % width; /* not both 0 */
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            moved[(y + down) % height * width + (x + right) % width] = mask[y * width + x];
}

/* ---- what stands in their place ---- */

static const char *const fill_names[] = {"mean", "blur", "noise"};

const char *psal_fill_name(psal_fill fill) {
    return fill_names[fill];
}

static void fill_noise(const float *channel, size_t pixels, double scale, psal_random *random, float *filling) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < pixels; i++) mean += channel[i];
    mean /= (double)pixels;
    for (size_t i = 0; i < pixels; i++) squares += (channel[i] - mean) * (channel[i] - mean);
    const double deviation = scale * sqrt(squares / (double)pixels);
    for (size_t i = 0; i < pixels; i++)
        filling[i] = (float)(deviation > 0 ? mean + deviation * psal_random_normal(random) : mean);
}

static int inside(int i, int size) {
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

/* One direction of a Gaussian: `count` lines of `size` pixels, `step` apart. */
static void blur_lines(const float *from, float *to, int count, int line_step, int size, int step, const double *kernel,
                       int reach) {
    for (int l = 0; l < count; l++)
        for (int i = 0; i < size; i++) {
            double sum = 0;
            for (int k = -reach; k <= reach; k++)
                sum += kernel[k + reach] *
                       from[(size_t)l * (size_t)line_step + (size_t)inside(i + k, size) * (size_t)step];
            to[(size_t)l * (size_t)line_step + (size_t)i * (size_t)step] = (float)sum;
        }
}

psal_status psal_blur_image(const float *image, int channels, int height, int width, double deviation, float *blurred,
                            psal_error *err) {
    const int reach = (int)ceil(3 * deviation);
    const size_t pixels = (size_t)height * (size_t)width;
    double *kernel = malloc(((size_t)(2 * reach) + 1) * sizeof *kernel), sum = 0;
    float *rows = malloc(pixels * sizeof *rows);
    if (kernel && rows) {
        for (int k = -reach; k <= reach; k++) sum += kernel[k + reach] = exp(-0.5 * k * k / (deviation * deviation));
        for (int k = 0; k <= 2 * reach; k++) kernel[k] /= sum;
        for (int c = 0; c < channels; c++) {
            blur_lines(image + (size_t)c * pixels, rows, height, width, width, 1, kernel, reach);
            blur_lines(rows, blurred + (size_t)c * pixels, width, 1, height, width, kernel, reach);
        }
    }
    const bool done = kernel && rows;
    free(kernel);
    free(rows);
    return done ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory to blur %zu pixels", pixels);
}

psal_status psal_fill_image(psal_fill fill, const float *image, int channels, int height, int width, uint64_t seed,
                            float *filling, psal_error *err) {
    if (fill == PSAL_FILL_BLUR)
        return psal_blur_image(image, channels, height, width, (height > width ? height : width) / 16.0, filling, err);
    psal_random random = {seed};
    const size_t pixels = (size_t)height * (size_t)width;
    for (int c = 0; c < channels; c++)
        fill_noise(image + (size_t)c * pixels, pixels, fill == PSAL_FILL_NOISE ? 1 : 0, &random,
                   filling + (size_t)c * pixels);
    return PSAL_OK;
}

void psal_mask_apply(const float *image, const float *filling, const bool *mask, int channels, int64_t pixels,
                     float *out) {
    for (int64_t i = 0; i < channels * pixels; i++) out[i] = mask[i % pixels] ? filling[i] : image[i];
}
