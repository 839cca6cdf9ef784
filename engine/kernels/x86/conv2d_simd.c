/* conv2d_simd.c - which fast method takes which shape. */
#include "engine/kernels/conv2d_x86.h"
#include "engine/kernels/x86/direct.h"

static size_t forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    (void)method;
    return psal_direct_forward_scratch(s, threads);
}

static size_t dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    (void)method;
    return psal_direct_dx_scratch(s, threads);
}

static size_t dw_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    (void)method;
    return psal_direct_dw_scratch(s, threads);
}

static void forward(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *w, float *y,
                    const psal_parallel *parallel)
{
    (void)method;
    psal_direct_forward(s, x, w, y, parallel);
}

static void dx(const psal_conv2d_shape *s, psal_conv2d_method method, const float *dy, const float *w, float *result,
               const psal_parallel *parallel)
{
    (void)method;
    psal_direct_dx(s, dy, w, result, parallel);
}

static void dw(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy, float *result,
               const psal_parallel *parallel)
{
    (void)method;
    psal_direct_dw(s, x, dy, result, false, NULL, parallel);
}

static void dw_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy,
                    bool is_signed, float *mean, const psal_parallel *parallel)
{
    (void)method;
    psal_direct_dw(s, x, dy, NULL, is_signed, mean, parallel);
}

const psal_conv2d_x86 PSAL_SIMD_NAME(psal_conv2d_x86) = {
    forward_scratch, dx_scratch, dw_scratch, dw_scratch, forward, dx, dw, dw_mean,
};
