/* conv2d_simd.c - which fast method takes which shape: a rule on the shape, never a measurement while running. */
#include "engine/kernels/conv2d_x86.h"
#include "engine/kernels/x86/direct.h"
#include "engine/kernels/x86/winograd.h"

/* m of F(m x m, 3 x 3), or 0 for the direct kernels. `height` x `width` is the size of the result that is cut into tiles,
 * `sources` and `results` are channels. Measured on Zen 4; see tests/bench/bench_conv2d.c. */
static int winograd_tile(const psal_conv2d_shape *s, psal_conv2d_method method, int height, int width, int sources,
                         int results)
{
    if (method == PSAL_CONV2D_DIRECT || !psal_winograd_possible(s)) return 0;
    if (sources < 16 || results < 16) return 0;
    if (height < 4 || width < 4) return 0;
    return method == PSAL_CONV2D_ACCURATE || height < 10 || width < 10 ? 2 : 4;
}

static int forward_tile(const psal_conv2d_shape *s, psal_conv2d_method method)
{
    return winograd_tile(s, method, s->out_height, s->out_width, s->in_channels, s->out_channels);
}

static int dx_tile(const psal_conv2d_shape *s, psal_conv2d_method method)
{
    return winograd_tile(s, method, s->in_height, s->in_width, s->out_channels, s->in_channels);
}

static int dw_tile(const psal_conv2d_shape *s, psal_conv2d_method method)
{
    if (s->out_height < 10 || s->out_width < 10) return 0; /* too few tiles for the way back from the frequencies to pay */
    return winograd_tile(s, method, s->out_height, s->out_width, s->in_channels, s->out_channels);
}

static size_t forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    int m = forward_tile(s, method);
    return m ? psal_winograd_conv_scratch(s, false, m, threads) : psal_direct_forward_scratch(s, threads);
}

static void forward(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *w, float *y,
                    const psal_parallel *parallel)
{
    const int m = forward_tile(s, method);
    const bool chains = method == PSAL_CONV2D_ACCURATE;
    if (m)
        psal_winograd_conv(s, false, m, chains, x, w, y, parallel);
    else
        psal_direct_forward(s, chains, x, w, y, parallel);
}

static size_t dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    int m = dx_tile(s, method);
    return m ? psal_winograd_conv_scratch(s, true, m, threads) : psal_direct_dx_scratch(s, threads);
}

static void dx(const psal_conv2d_shape *s, psal_conv2d_method method, const float *dy, const float *w, float *result,
               const psal_parallel *parallel)
{
    int m = dx_tile(s, method);
    if (m)
        psal_winograd_conv(s, true, m, false, dy, w, result, parallel);
    else
        psal_direct_dx(s, dy, w, result, parallel);
}

static size_t dw_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads)
{
    int m = dw_tile(s, method);
    return m ? psal_winograd_dw_scratch(s, m, threads) : psal_direct_dw_scratch(s, threads);
}

static void dw_or_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy,
                       float *result, bool is_signed, float *mean, const psal_parallel *parallel)
{
    int m = dw_tile(s, method);
    if (m)
        psal_winograd_dw(s, m, x, dy, result, is_signed, mean, parallel);
    else
        psal_direct_dw(s, x, dy, result, is_signed, mean, parallel);
}

static void dw(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy, float *result,
               const psal_parallel *parallel)
{
    dw_or_mean(s, method, x, dy, result, false, NULL, parallel);
}

static void dw_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy,
                    bool is_signed, float *mean, const psal_parallel *parallel)
{
    dw_or_mean(s, method, x, dy, NULL, is_signed, mean, parallel);
}

const psal_conv2d_x86 PSAL_SIMD_NAME(psal_conv2d_x86) = {
    forward_scratch, dx_scratch, dw_scratch, dw_scratch, forward, dx, dw, dw_mean, NULL, NULL, NULL, NULL,
};
