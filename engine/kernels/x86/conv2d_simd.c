/* conv2d_simd.c - which fast method takes which shape: a rule on the shape, never a measurement while running. */
#include "engine/kernels/conv2d_x86.h"
#include "engine/kernels/x86/direct.h"
#include "engine/kernels/x86/signs.h"
#include "engine/kernels/x86/winograd.h"

/* The transforms for a shape, or none. `height` x `width` is the size of the result that is cut into tiles, `sources` and `results` are
 * channels. Measured on Zen 4 and Zen 5; see tests/bench/conv2d.md. Of these ACCURATE takes
 * F(2 x 2, 3 x 3) only: all others round more. */
static winograd_form tiles_of(const psal_conv2d_shape *s, psal_conv2d_method method, int height, int width, int sources,
                              int results) {
    if (method == PSAL_CONV2D_DIRECT || !winograd_possible(s)) return WINOGRAD_NONE;
    if (sources < 16 || results < 16) return WINOGRAD_NONE;
    if (height < 4 || width < 4) return WINOGRAD_NONE;
    if (winograd_three_by_three(s))
        return method == PSAL_CONV2D_ACCURATE || height < 10 || width < 10 ? WINOGRAD_2X2_3X3 : WINOGRAD_4X4_3X3;
    if (method == PSAL_CONV2D_ACCURATE) return WINOGRAD_NONE;
    if (s->kernel_height == 5 && s->kernel_width == 5) return WINOGRAD_2X2_5X5;
    if (s->kernel_height == 1 && s->kernel_width == 3) return WINOGRAD_1X4_1X3;
    if (s->kernel_height == 3 && s->kernel_width == 1) return WINOGRAD_4X1_3X1;
    if (s->kernel_height == 1 && s->kernel_width == 7) return WINOGRAD_1X2_1X7;
    if (s->kernel_height == 7 && s->kernel_width == 1) return WINOGRAD_2X1_7X1;
    return WINOGRAD_NONE;
}

/* 3 x 3 at stride 2: the filters' transforms want some results, the weight gradient's, which come once for all tiles, fewer of them. */
static bool strided_tiles(const psal_conv2d_shape *s, psal_conv2d_method method, int least) {
    return method != PSAL_CONV2D_DIRECT && winograd_strided(s) && s->in_channels >= 16 && s->out_channels >= 16 &&
           s->out_height >= least && s->out_width >= least;
}

/* The forward pass of ACCURATE decides which ReLUs let through. Where F(2 x 2) would make this many products of each frequency it
 * takes F(2 x 4), a quarter fewer of them, whose profiles are still nearer to float64's than PyTorch's; below, a network gains nothing. */
#define WIDE_PRODUCTS 3e6

static winograd_form forward_tiles(const psal_conv2d_shape *s, psal_conv2d_method method) {
    if (strided_tiles(s, method, 10)) return WINOGRAD_STRIDE_2;
    const winograd_form form = tiles_of(s, method, s->out_height, s->out_width, s->in_channels, s->out_channels);
    const double products = (double)s->in_channels * s->out_channels * s->out_height * s->out_width / 4;
    const bool wide = method == PSAL_CONV2D_ACCURATE && form == WINOGRAD_2X2_3X3 && s->out_width >= 10 &&
                      products >= WIDE_PRODUCTS;
    return wide ? WINOGRAD_2X4_3X3 : form;
}

static winograd_form dx_tiles(const psal_conv2d_shape *s, psal_conv2d_method method) {
    if (strided_tiles(s, method, 10))
        return s->padding_height % 2 ? WINOGRAD_STRIDE_2_DX_ODD : WINOGRAD_STRIDE_2_DX_EVEN;
    return tiles_of(s, method, s->in_height, s->in_width, s->out_channels, s->in_channels);
}

static winograd_form dw_tiles(const psal_conv2d_shape *s, psal_conv2d_method method) {
    if (strided_tiles(s, method, 4)) return WINOGRAD_STRIDE_2;
    /* too few tiles for the way back from the frequencies to pay */
    if (s->out_height < 10 || s->out_width < 10) return WINOGRAD_NONE;
    return tiles_of(s, method, s->out_height, s->out_width, s->in_channels, s->out_channels);
}

static size_t forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    winograd_form form = forward_tiles(s, method);
    return form ? psal_winograd_conv_scratch(s, false, form, threads) : psal_direct_forward_scratch(s, threads);
}

static void forward(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *w, float *y,
                    const psal_parallel *parallel) {
    const winograd_form form = forward_tiles(s, method);
    const bool chains = method == PSAL_CONV2D_ACCURATE;
    if (form)
        psal_winograd_conv(s, false, form, chains, x, w, y, parallel);
    else
        psal_direct_forward(s, chains, x, w, y, parallel);
}

static size_t dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    winograd_form form = dx_tiles(s, method);
    return form ? psal_winograd_conv_scratch(s, true, form, threads) : psal_direct_dx_scratch(s, threads);
}

static void dx(const psal_conv2d_shape *s, psal_conv2d_method method, const float *dy, const float *w, float *result,
               const psal_parallel *parallel) {
    winograd_form form = dx_tiles(s, method);
    if (form)
        psal_winograd_conv(s, true, form, false, dy, w, result, parallel);
    else
        psal_direct_dx(s, dy, w, result, parallel);
}

static size_t dw_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    winograd_form form = dw_tiles(s, method);
    return form ? psal_winograd_dw_scratch(s, form, threads) : psal_direct_dw_scratch(s, threads);
}

static void dw_or_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy,
                       float *result, bool is_signed, float *mean, const psal_parallel *parallel) {
    winograd_form form = dw_tiles(s, method);
    if (form)
        psal_winograd_dw(s, form, x, dy, result, is_signed, mean, parallel);
    else
        psal_direct_dw(s, x, dy, result, is_signed, mean, parallel);
}

static void dw(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy, float *result,
               const psal_parallel *parallel) {
    dw_or_mean(s, method, x, dy, result, false, NULL, parallel);
}

static void dw_mean(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy,
                    bool is_signed, float *mean, const psal_parallel *parallel) {
    dw_or_mean(s, method, x, dy, NULL, is_signed, mean, parallel);
}

#if defined PSAL_SIMD_AVX512

/* ---- signs: tables (signs.h) where other filters do not go by transforms, which save more in large images, and where a table is
 * looked up often enough, by many results or taps; with DIRECT whatever the shape ---- */

static bool signs_by_tables(const psal_conv2d_shape *s, psal_conv2d_method method, int height, int width, int sources,
                            int results) {
    if (!psal_signs_possible(s)) return false;
    if (method == PSAL_CONV2D_DIRECT) return true;
    if (results < 16) return false;
    const int positions = height * width;
    if (tiles_of(s, PSAL_CONV2D_AUTO, height, width, sources, results) != WINOGRAD_NONE)
        return positions <= (winograd_three_by_three(s) ? 200 : 300);
    if (s->stride_height > 1 || s->stride_width > 1 || s->kernel_height * s->kernel_width > 1) return results >= 64;
    return results >= (positions <= 300 ? 128 : 256) && positions <= 1300;
}

static size_t signs_forward_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    const bool tables = signs_by_tables(s, method, s->out_height, s->out_width, s->in_channels, s->out_channels);
    return tables ? psal_signs_conv_scratch(s, false, threads) : 0;
}

static size_t signs_dx_scratch(const psal_conv2d_shape *s, psal_conv2d_method method, int threads) {
    const bool tables = signs_by_tables(s, method, s->in_height, s->in_width, s->out_channels, s->in_channels);
    return tables ? psal_signs_conv_scratch(s, true, threads) : 0;
}

static void signs_forward(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x,
                          const psal_conv2d_signs *w, float *y, const psal_parallel *parallel) {
    (void)method;
    psal_signs_conv(s, false, x, w, y, parallel);
}

static void signs_dx(const psal_conv2d_shape *s, psal_conv2d_method method, const float *dy, const psal_conv2d_signs *w,
                     float *result, const psal_parallel *parallel) {
    (void)method;
    psal_signs_conv(s, true, dy, w, result, parallel);
}

#define SIGNS signs_forward_scratch, signs_dx_scratch, signs_forward, signs_dx
#else
#define SIGNS NULL, NULL, NULL, NULL
#endif

const psal_conv2d_x86 PSAL_SIMD_NAME(psal_conv2d_x86) = {
    forward_scratch, dx_scratch, dw_scratch, dw_scratch, forward, dx, dw, dw_mean, SIGNS,
};
