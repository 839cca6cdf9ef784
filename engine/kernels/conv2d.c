/* conv2d.c - chooses the implementation of a convolution. */
#include "engine/kernels/conv2d.h"

#include "engine/kernels/conv2d_methods.h"

size_t psal_conv2d_forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    (void)method;
    return psal_conv2d_gemm_forward_scratch(s, threads);
}

size_t psal_conv2d_dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    (void)method;
    return psal_conv2d_gemm_dx_scratch(s, threads);
}

size_t psal_conv2d_dw_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    (void)method;
    return psal_conv2d_gemm_dw_scratch(s, threads);
}

void psal_conv2d_forward(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *w,
                         psal_real *y, const psal_parallel *parallel)
{
    (void)method;
    psal_conv2d_gemm_forward(s, x, w, y, parallel);
}

void psal_conv2d_dx(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *dy, const psal_real *w,
                    psal_real *dx, const psal_parallel *parallel)
{
    (void)method;
    psal_conv2d_gemm_dx(s, dy, w, dx, parallel);
}

void psal_conv2d_dw(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *dy,
                    psal_real *dw, const psal_parallel *parallel)
{
    (void)method;
    psal_conv2d_gemm_dw(s, x, dy, dw, parallel);
}

size_t psal_conv2d_dw_mean_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    (void)method;
    return psal_conv2d_gemm_dw_mean_scratch(s, threads);
}

void psal_conv2d_dw_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const psal_real *x, const psal_real *dy,
                         bool is_signed, psal_real *mean, const psal_parallel *parallel)
{
    (void)method;
    psal_conv2d_gemm_dw_mean(s, x, dy, is_signed, mean, parallel);
}
