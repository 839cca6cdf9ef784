/* column_runs.h - where a BLOCK of columns of the gathered matrix (lowered.h) lies in a plane of the source. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_COLUMN_RUNS_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_COLUMN_RUNS_H

#include "engine/kernels/conv2d/gather.h"
#include "engine/kernels/conv2d/simd/simd.h"

/* Lanes of a block of columns with lane i = plane[offset + i*stride] */
typedef struct column_run {
    ptrdiff_t offset;
    unsigned lanes; /* strided_lanes */
} column_run;

/* The runs of the n <= BLOCK columns from position (y, x) on at one tap: one for each row of the image, or one for
 * several rows that are contiguous in the source too. Lanes in no run are outside the source. */
static inline size_t find_runs(const psal_conv2d_lowered *l, const psal_conv2d_tap *tap, int y, int x, int n,
                               column_run *runs) {
    size_t count = 0;
    for (int lane = -x; lane < n; lane += l->w.count, y++) { /* lane: that of the row's first position */
        const int from = lane + tap->w_lo > 0 ? lane + tap->w_lo : 0, to = lane + tap->w_hi < n ? lane + tap->w_hi : n;
        if (y < tap->h_lo || y >= tap->h_hi || from >= to) continue;
        const ptrdiff_t offset = tap->offset + (ptrdiff_t)y * l->h.stride * l->w.source - (ptrdiff_t)lane * l->w.stride;
        const unsigned lanes = strided_lanes(l->w.stride, (1u << to) - (1u << from));
        if (count > 0 && runs[count - 1].offset == offset)
            runs[count - 1].lanes |= lanes;
        else
            runs[count++] = (column_run){offset, lanes};
    }
    return count;
}

/* dst[i * dst_step] = the block with these runs in plane i. (plane[offset] may be before the plane; it is then not
 * read.) */
INLINE void load_runs(const float *plane, size_t plane_step, size_t planes, const column_run *runs, size_t count,
                      int stride, float *dst, size_t dst_step) {
    for (size_t i = 0; i < planes; i++, plane += plane_step, dst += dst_step) {
        for (unsigned v = 0; v < BLOCK; v += WIDTH) {
            vec sum = vec_zero();
            for (size_t r = 0; r < count; r++) {
                const float *src = plane + (runs[r].offset + (ptrdiff_t)v * stride);
                sum = vec_or(sum, vec_load_strided(src, stride, runs[r].lanes, v));
            }
            vec_store(dst + v, sum);
        }
    }
}

#endif
