/* implicit_gemm_phases.c - input gradient where the columns of col2im.c would be too large: one product for each phase
 * of lowered.h, whose columns are gathered from dy. */
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/implicit_gemm.h"

static psal_implicit_gemm phase_product(const psal_conv2d_shape *s, int phase, int threads) {
    psal_implicit_gemm p = {.l = psal_conv2d_lower_dx(s, phase / s->stride_width, phase % s->stride_width),
                            .form = PSAL_A_TAPS};
    p.rows = (size_t)(s->in_channels / s->groups);
    p.channels = (size_t)(s->out_channels / s->groups);
    p.images = (size_t)s->batch * (size_t)s->groups;
    p.groups = (size_t)s->groups;
    p.kernel = (size_t)s->kernel_height * (size_t)s->kernel_width;
    p.kernel_width = (size_t)s->kernel_width;
    p.result_height = (size_t)s->in_height;
    p.result_width = (size_t)s->in_width;
    psal_gemm_plan(&p, threads);
    return p;
}

static size_t count(const psal_conv2d_shape *s) {
    return (size_t)s->stride_height * (size_t)s->stride_width;
}

static psal_status prepare(psal_convolution *c, psal_error *err) {
    psal_implicit_gemm *phases = psal_conv2d_new_plan(c, count(&c->shape) * sizeof *phases, err);
    if (!phases) return PSAL_ERR_MEMORY;
    for (size_t i = 0; i < count(&c->shape); i++) {
        phases[i] = phase_product(&c->shape, (int)i, c->threads);
        c->scratch = psal_size_max(c->scratch, psal_gemm_scratch(&phases[i], c->threads));
    }
    return PSAL_OK;
}

static void run(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch) {
    const psal_implicit_gemm *phases = c->plan;
    for (size_t i = 0; i < count(&c->shape); i++)
        psal_gemm_run(&phases[i], o->dy, o->w, o->result, scratch, c->threads);
}

const psal_conv2d_code PSAL_SIMD_NAME(psal_implicit_gemm_phases) = {prepare, run};
