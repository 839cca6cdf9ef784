/* heatmap.c - the numbers and colours of the input-space saliency picture, as the original computes
 * them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/figure.h"

/* Move the element that belongs at `rank` in ascending order there, smaller ones before it and
 * larger ones behind (Hoare's selection, median of three; linear on average). */
static void select_rank(float *values, size_t count, size_t rank) {
    size_t low = 0, high = count - 1;
    while (low < high) {
        float a = values[low], b = values[low + (high - low) / 2], c = values[high];
        float pivot = fmaxf(fminf(a, b), fminf(fmaxf(a, b), c));
        size_t i = low, j = high;
        for (;;) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i >= j) break;
            float swap = values[i];
            values[i++] = values[j];
            values[j--] = swap;
        }
        /* Now low..j holds values <= pivot and j+1..high values >= pivot. */
        if (rank <= j)
            high = j;
        else
            low = j + 1;
    }
}

/* NumPy's percentile with linear interpolation: position p·(n−1) among the sorted values. Reorders
 * them. */
static double percentile(float *values, size_t count, double fraction) {
    double position = fraction * (double)(count - 1);
    size_t below = (size_t)floor(position);
    if (below > count - 1) below = count - 1;
    select_rank(values, count, below);
    double lower = (double)values[below], upper = lower;
    if (below + 1 < count) {
        float next = values[below + 1]; /* the smallest of those behind */
        for (size_t i = below + 2; i < count; i++) next = fminf(next, values[i]);
        upper = (double)next;
    }
    return lower + (upper - lower) * (position - (double)below);
}

/* Border mirrored around its pixel: −1 is 1, n is n−2 (OpenCV's BORDER_REFLECT_101); a single pixel
 * mirrors itself. */
static size_t mirrored(long index, size_t size) {
    if (size == 1) return 0;
    if (index < 0) return 1;
    return (size_t)index == size ? size - 2 : (size_t)index;
}

/* One direction of the 3×3 Gaussian: `lines` rows of `length` values `step` apart, rows `stride`
 * apart. */
static void blur(const float *in, float *out, size_t lines, size_t stride, size_t length, size_t step) {
    for (size_t l = 0; l < lines; l++)
        for (size_t i = 0; i < length; i++) {
            const float *line = in + l * stride;
            float before = line[mirrored((long)i - 1, length) * step],
                  after = line[mirrored((long)i + 1, length) * step];
            out[l * stride + i * step] = 0.25f * before + 0.5f * line[i * step] + 0.25f * after;
        }
}

psal_status psal_heatmap(const float *grad, int channels, int height, int width, float *out, psal_error *err) {
    if (channels < 1 || height < 1 || width < 1)
        return psal_fail(err, PSAL_ERR_SHAPE, "an input gradient of %d x %d x %d is no picture", channels, height,
                         width);
    size_t pixels = (size_t)height * (size_t)width;
    for (size_t i = 0; i < pixels; i++) {
        float most = grad[i];
        for (size_t c = 0; c < (size_t)channels; c++) {
            float value = grad[c * pixels + i];
            if (!isfinite(value))
                return psal_fail(err, PSAL_ERR_NUMERIC, "the input gradient is %g in channel %zu, row %zu, column %zu",
                                 (double)value, c, i / (size_t)width, i % (size_t)width);
            most = fmaxf(most, value);
        }
        out[i] = fabsf(most);
    }
    float *work = malloc(pixels * sizeof *work);
    if (!work) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a heat map of %d x %d pixels", height, width);
    memcpy(work, out, pixels * sizeof *work);
    double low = percentile(work, pixels, 0.90), high = percentile(work, pixels, 0.99);
    if (high > low) {
        for (size_t i = 0; i < pixels; i++)
            out[i] = (float)((fmin(fmax((double)out[i], low), high) - low) / (high - low));
        blur(out, work, (size_t)height, (size_t)width, (size_t)width, 1);
        blur(work, out, (size_t)width, 1, (size_t)height, (size_t)width);
    } else {
        memset(out, 0, pixels * sizeof *out);
    }
    free(work);
    return PSAL_OK;
}

static float clamp(float v) {
    return v > 1 ? 1 : v > 0 ? v : 0; /* NaN: 0 */
}

/* Which of the map's 256 colours. The original colours 1 − v in the reversed order, cut down to a
 * whole 255th. The small number keeps k/255 at k. */
static int level(float v) {
    return 255 - (int)floorf(255 * (1 - clamp(v)) + 1e-4f);
}

static void jet(int at, float color[3]) {
    float v = (float)at / 255;
    color[0] = clamp(1.5f - fabsf(4 * v - 3));
    color[1] = clamp(1.5f - fabsf(4 * v - 2));
    color[2] = clamp(1.5f - fabsf(4 * v - 1));
}

static const uint32_t scales[][256] = {
#include "io/heat_colors.inc"
};

static void color_at(psal_colors colors, int at, float color[3]) {
    if (colors == PSAL_COLORS_JET) {
        jet(at, color);
        return;
    }
    const uint32_t rgb = scales[colors - PSAL_COLORS_CIVIDIS][at];
    for (int c = 0; c < 3; c++) color[c] = (float)(rgb >> (16 - 8 * c) & 255) / 255;
}

const char *psal_colors_name(psal_colors colors) {
    static const char *const names[] = {"jet", "cividis", "magma"};
    return names[colors];
}

void psal_heat_color(psal_colors colors, float v, uint8_t rgb[3]) {
    float color[3];
    color_at(colors, level(v), color);
    for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(255 * color[c] + 0.5f);
}

void psal_jet(float v, uint8_t rgb[3]) {
    psal_heat_color(PSAL_COLORS_JET, v, rgb);
}

void psal_heatmap_overlay(psal_colors map, const float *heat, const uint8_t *rgb, int height, int width, uint8_t *out) {
    size_t pixels = (size_t)height * (size_t)width;
    float colors[256][3], largest = 0;
    for (int i = 0; i < 256; i++) color_at(map, i, colors[i]);
    for (size_t i = 0; i < pixels; i++) {
        const float *color = colors[level(heat[i])];
        for (size_t c = 0; c < 3; c++) largest = fmaxf(largest, color[c] + (float)rgb[3 * i + c] / 255);
    }
    for (size_t i = 0; i < pixels; i++) {
        const float *color = colors[level(heat[i])];
        for (size_t c = 0; c < 3; c++)
            out[3 * i + c] = (uint8_t)(255 * ((color[c] + (float)rgb[3 * i + c] / 255) / largest) + 0.5f);
    }
}
