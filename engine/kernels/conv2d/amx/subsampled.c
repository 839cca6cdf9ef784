#include "engine/kernels/conv2d/amx/subsampled.h"

#include <string.h>

#include "engine/kernels/conv2d/simd/simd.h"

psal_amx_subsampled psal_amx_subsampled_of(const psal_conv2d_shape *s) {
    psal_amx_subsampled subsampled = {.shape = *s};
    subsampled.skips = s->kernel_height == 1 && s->kernel_width == 1 && s->padding_height == 0 &&
                       s->padding_width == 0 && (s->stride_height > 1 || s->stride_width > 1);
    if (!subsampled.skips) return subsampled;
    subsampled.shape.in_height = s->out_height;
    subsampled.shape.in_width = s->out_width;
    subsampled.shape.stride_height = subsampled.shape.stride_width = 1;
    subsampled.floats = psal_round_up(
        (size_t)s->batch * (size_t)s->in_channels * (size_t)s->out_height * (size_t)s->out_width, BLOCK);
    return subsampled;
}

void psal_amx_subsample(const psal_conv2d_shape *s, const float *x, float *to, int threads) {
    const size_t planes = (size_t)s->batch * (size_t)s->in_channels, height = (size_t)s->out_height,
                 width = (size_t)s->out_width;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (size_t plane = 0; plane < planes; plane++) {
        for (size_t y = 0; y < height; y++) {
            const float *from = x + (plane * (size_t)s->in_height + y * (size_t)s->stride_height) * (size_t)s->in_width;
            for (size_t i = 0; i < width; i += BLOCK) {
                const vec_mask mask = vec_first(width - i);
                const unsigned lanes = strided_lanes(s->stride_width, (unsigned)mask);
                vec_store_masked(to + (plane * height + y) * width + i, mask,
                                 vec_load_strided(from + i * (size_t)s->stride_width, s->stride_width, lanes, 0));
            }
        }
    }
}

void psal_amx_subsample_adjoint(const psal_conv2d_shape *s, const float *from, float *x, int threads) {
    const size_t planes = (size_t)s->batch * (size_t)s->in_channels, rows = (size_t)s->in_height,
                 width = (size_t)s->in_width;
    const size_t subsampled = (size_t)s->out_width, step = (size_t)s->stride_width;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (size_t plane = 0; plane < planes; plane++) {
        float *to = x + plane * rows * width;
        for (size_t y = 0; y < rows; y++, to += width) {
            memset(to, 0, width * sizeof *to);
            const size_t row = y / (size_t)s->stride_height;
            if (y % (size_t)s->stride_height != 0 || row >= (size_t)s->out_height) continue;
            const float *values = from + (plane * (size_t)s->out_height + row) * subsampled;
            for (size_t i = 0; i < subsampled; i++) to[i * step] = values[i];
        }
    }
}
