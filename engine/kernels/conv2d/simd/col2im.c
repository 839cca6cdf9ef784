/* col2im.c - input gradient image by image: column[(c,i,j), P] = w[o, (c,i,j)]^T * dy[o, P], then every element is
 * added to its pixel, channel by channel. w and dy are read contiguously. */
#include "engine/kernels/conv2d/simd/col2im.h"

#include <string.h>

#include "engine/kernels/conv2d/gather.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/implicit_gemm.h"
#include "engine/kernels/tasks.h"

/* plane[in_height, in_width] = sum over taps of columns[(i,j), P] at their places */
static void col2im(const psal_conv2d_shape *s, const psal_conv2d_lowered *l, const float *columns, float *plane) {
    const size_t positions = psal_conv2d_positions(l), width = (size_t)s->in_width;
    memset(plane, 0, (size_t)s->in_height * width * sizeof *plane);
    for (int i = 0; i < l->h.taps; i++) {
        int p_lo, p_hi;
        psal_conv2d_inside(&l->h, i, &p_lo, &p_hi);
        for (int j = 0; j < l->w.taps; j++, columns += positions) {
            int q_lo, q_hi;
            psal_conv2d_inside(&l->w, j, &q_lo, &q_hi);
            const long first = (long)q_lo * l->w.stride + l->w.offset + (long)j * l->w.offset_step;
            for (int p = p_lo; p < p_hi; p++) {
                const float *src = columns + (size_t)p * (size_t)l->w.count + (size_t)q_lo;
                const long row = (long)p * l->h.stride + l->h.offset + (long)i * l->h.offset_step;
                float *dst = plane + (size_t)row * width + (size_t)(q_lo < q_hi ? first : 0);
                const size_t n = (size_t)(q_hi - q_lo), step = (size_t)l->w.stride;
                if (step == 1)
                    for (size_t q = 0; q < n; q++) dst[q] += src[q];
                else
                    for (size_t q = 0; q < n; q++) dst[q * step] += src[q];
            }
        }
    }
}

void psal_col2im_image(const psal_conv2d_shape *s, const float *columns, float *dx, int threads) {
    const psal_conv2d_lowered l = psal_conv2d_lower_forward(s);
    const size_t channels = (size_t)(s->in_channels / s->groups),
                 channel = psal_conv2d_taps(&l) * psal_conv2d_positions(&l);
    const size_t plane = (size_t)s->in_height * (size_t)s->in_width;
    psal_tasks tasks;
    psal_tasks_init(&tasks, channels, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    for (psal_task t = psal_tasks_begin(&tasks); psal_tasks_next(&tasks, &t);)
        col2im(s, &l, columns + t.number * channel, dx + t.number * plane);
}

static size_t column_floats(const psal_implicit_gemm *p) {
    return psal_round_up(p->rows * p->positions, BLOCK);
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    const psal_implicit_gemm p = psal_gemm_of_dy(&c->shape, 1, c->threads);
    return psal_conv2d_keep_plan(c, &p, sizeof p, column_floats(&p) * sizeof(float) + psal_gemm_scratch(&p, c->threads),
                                 err);
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_conv2d_shape *s = &c->shape;
    const psal_implicit_gemm *p = c->plan;
    const size_t image_floats = (size_t)(s->in_channels / s->groups) * (size_t)s->in_height * (size_t)s->in_width;
    float *columns = scratch, *rest = columns + column_floats(p);
    for (size_t image = 0; image < (size_t)s->batch * (size_t)s->groups; image++) {
        psal_gemm_run(p, o->dy + image * p->channels * p->positions,
                      o->w + image % (size_t)s->groups * p->rows * p->depth, columns, rest, c->threads);
        psal_col2im_image(s, columns, o->result + image * image_floats, c->threads);
    }
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_col2im) = {prepare, run};
