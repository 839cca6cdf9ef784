/* conv2d.c - chooses an algorithm for a convolution, and runs it: the first row of one ordered list that suits.
 *
 * Conditions are rules on the shape, never measurements at run time, so that the bits stay the same; the measurements
 * behind them are in tests/bench/conv2d.md. This file needs no special instructions: every machine can tell what
 * another processor would take (tests/unit/engine/conv2d_algorithms.txt), even of another architecture. In double
 * precision (PSAL_REAL_DOUBLE) there is only portable code. */
#include "engine/kernels/conv2d/conv2d.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels/conv2d/algorithm.h"
#include "engine/kernels/conv2d/gemm/im2col_gemm.h"
#include "engine/kernels/conv2d/lowered.h"
#ifndef PSAL_REAL_DOUBLE
#include "engine/kernels/conv2d/amx/codes.h"
#include "engine/kernels/conv2d/simd/codes.h"
#include "engine/kernels/conv2d/simd/winograd_form.h"
#endif

/* ---- conditions ---- */

static bool suits_all(const psal_conv2d_problem *p) {
    (void)p;
    return true;
}

#ifndef PSAL_REAL_DOUBLE
/* Channels of the source and of the result, and the size of the result's plane */
typedef struct sides {
    int sources, results, height, width;
} sides;

static bool is_dx(const psal_conv2d_problem *p) {
    return p->direction == PSAL_CONV2D_DX || p->direction == PSAL_CONV2D_TERNARY_DX;
}

static sides sides_of(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    return is_dx(p) ? (sides){s->out_channels, s->in_channels, s->in_height, s->in_width}
                    : (sides){s->in_channels, s->out_channels, s->out_height, s->out_width};
}

/* ---- Winograd's transforms: the kernel and stride of the row's form, no dilation, one group, and enough channels and
 * tiles to pay ---- */

static bool undilated(const psal_conv2d_shape *s, int stride) {
    return s->stride_height == stride && s->stride_width == stride && s->dilation_height == 1 &&
           s->dilation_width == 1 && s->groups == 1;
}

static bool has_kernel(const psal_conv2d_shape *s, int height, int width) {
    return s->kernel_height == height && s->kernel_width == width;
}

static bool is_dw(const psal_conv2d_problem *p) {
    return p->direction == PSAL_CONV2D_DW || p->direction == PSAL_CONV2D_DW_MEAN;
}

static bool winograd(const psal_conv2d_problem *p, winograd_form form) {
    const sides side = sides_of(p);
    const int least = is_dw(p) ? 10 : 4; /* fewer tiles do not pay for the transforms of a weight gradient */
    return undilated(&p->shape, 1) && has_kernel(&p->shape, winograd_height(form).taps, winograd_width(form).taps) &&
           side.sources >= 16 && side.results >= 16 && side.height >= least && side.width >= least;
}

static bool suits_winograd(const psal_conv2d_problem *p) {
    return winograd(p, (winograd_form)p->form);
}

static bool suits_f4x4(const psal_conv2d_problem *p) {
    const sides side = sides_of(p);
    return suits_winograd(p) && side.height >= 10 && side.width >= 10;
}

/* 3 x 3 at stride 2. A weight gradient needs fewer tiles, because its filters are transformed once for all of them. */
static bool suits_stride2(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    const int least = is_dw(p) ? 4 : 10, odd = p->form == WINOGRAD_STRIDE_2_DX_ODD;
    return undilated(s, 2) && has_kernel(s, 3, 3) && s->padding_height % 2 == s->padding_width % 2 &&
           (p->form == WINOGRAD_STRIDE_2 || s->padding_height % 2 == odd) && s->in_channels >= 16 &&
           s->out_channels >= 16 && s->out_height >= least && s->out_width >= least;
}

/* ---- a network's first layer: one group, at most 3 channels, bounded kernel and stride ---- */

static bool few_channels(const psal_conv2d_shape *s) {
    return s->groups == 1 && s->in_channels <= 3 && s->kernel_height <= 16 && s->kernel_width <= 16 &&
           s->stride_width <= 16;
}

static bool suits_first_layer(const psal_conv2d_problem *p) {
    return few_channels(&p->shape) && p->shape.out_channels >= 16 && p->shape.out_width >= 16;
}

/* Whether the columns of im2col are the image itself: 1 x 1 at stride 1 without padding. */
static bool pointwise(const psal_conv2d_problem *p) {
    const psal_conv2d_lowered l = psal_conv2d_lower_forward(&p->shape);
    return psal_conv2d_lowered_is_identity(&l);
}

static bool suits_first_layer_dx(const psal_conv2d_problem *p) {
    return few_channels(&p->shape) && !pointwise(p);
}

static bool suits_first_layer_dw(const psal_conv2d_problem *p) {
    return few_channels(&p->shape) && p->shape.out_channels >= 16;
}

/* ---- a filter of its own for each channel: filters and strides that are not huge, no more padding than a filter
 * reaches, and planes of at most 4 MiB ---- */

static bool reaches(int kernel, int dilation, int padding) {
    return padding <= (kernel - 1) * dilation;
}

static bool suits_depthwise(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    return s->groups > 1 && s->in_channels == s->groups && s->out_channels == s->groups &&
           s->kernel_height * s->kernel_width <= 64 && s->stride_height <= 4 && s->stride_width <= 4 &&
           reaches(s->kernel_height, s->dilation_height, s->padding_height) &&
           reaches(s->kernel_width, s->dilation_width, s->padding_width) &&
           (size_t)(s->in_height + 2 * s->padding_height) * (size_t)(s->in_width + 2 * s->padding_width) <= 1u << 20;
}

/* ---- col2im: the columns of one image and group take at most 16 MiB ---- */

static bool suits_col2im(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    const size_t rows = (size_t)(s->in_channels / s->groups) * (size_t)s->kernel_height * (size_t)s->kernel_width;
    return rows * (size_t)s->out_height * (size_t)s->out_width <= 4u << 20;
}

/* ---- tables for ternary filters: where each table is looked up often enough, by many results or taps, and the image
 * is not so large that a transform is faster; with DIRECT any shape ---- */

static bool suits_ternary_table(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    const sides side = sides_of(p);
    const int taps = s->kernel_height * s->kernel_width, strides = s->stride_height * s->stride_width;
    const int positions = side.height * side.width;
    if (s->groups != 1 || s->dilation_height != 1 || s->dilation_width != 1 || taps > 64 || strides > 16) return false;
    if (p->method == PSAL_CONV2D_DIRECT) return true;
    if (side.results < 16) return false;
    if (winograd(p, WINOGRAD_2X2_3X3)) return positions <= 200;
    for (winograd_form form = WINOGRAD_2X2_5X5; form <= WINOGRAD_2X1_7X1; form++)
        if (winograd(p, form)) return positions <= 300;
    if (strides > 1 || taps > 1) return side.results >= 64;
    return side.results >= (positions <= 300 ? 128 : 256) && positions <= 1300;
}

/* ---- the matrix unit: not with groups or few channels, which leave most of its tiles empty. For large images F(4 x 4)
 * on the vector units is faster than all products on the matrix unit. ---- */

enum { LEAST = 16, SMALL = 14, MEDIUM = 28, LARGE = 56 }; /* channels and positions; height and width */

static bool fills_tiles(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    return s->groups == 1 && s->in_channels >= LEAST && s->out_channels >= LEAST &&
           (long)s->out_height * s->out_width >= LEAST;
}

static bool better_by_vectors(const psal_conv2d_problem *p) {
    const sides side = sides_of(p);
    return p->method == PSAL_CONV2D_AUTO && undilated(&p->shape, 1) && has_kernel(&p->shape, 3, 3) &&
           side.height >= MEDIUM && side.width >= MEDIUM;
}

/* Whether there are enough tiles of m x m for the filters: at most `most` filter planes for each */
static bool few_filters(const psal_conv2d_problem *p, int m, long most) {
    const sides side = sides_of(p);
    return (long)side.sources * side.results <= most * ((side.height + m - 1) / m) * ((side.width + m - 1) / m);
}

static bool amx_winograd(const psal_conv2d_problem *p, int least) {
    const sides side = sides_of(p);
    return fills_tiles(p) && undilated(&p->shape, 1) && has_kernel(&p->shape, 3, 3) && side.height >= least &&
           side.width >= least;
}

static bool suits_amx_f4x4(const psal_conv2d_problem *p) {
    return amx_winograd(p, LARGE) && few_filters(p, 4, 400);
}

static bool suits_amx_f2x2(const psal_conv2d_problem *p) {
    return amx_winograd(p, SMALL) && few_filters(p, 2, 32);
}

/* Fewer than 48 filters fill one and a half tiles: not fast enough for large images. */
static bool suits_amx_forward(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    return fills_tiles(p) && (s->out_channels >= 48 || s->out_height < LARGE || s->out_width < LARGE);
}

static bool suits_amx_dy(const psal_conv2d_problem *p) {
    return suits_amx_forward(p) && !better_by_vectors(p);
}

static bool amx_dx(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    return fills_tiles(p) && (long)s->kernel_height * s->kernel_width <= 25 &&
           (long)s->in_height * s->in_width >= LEAST * s->stride_height * s->stride_width;
}

static bool suits_amx_dx(const psal_conv2d_problem *p) {
    return amx_dx(p) && !better_by_vectors(p);
}

/* At strides above 1, col2im packs the filters once instead of for each phase. */
static bool by_columns(const psal_conv2d_problem *p) {
    const psal_conv2d_shape *s = &p->shape;
    return s->stride_height * s->stride_width > 1 && s->kernel_height * s->kernel_width > 1 && suits_col2im(p);
}

static bool suits_amx_dx_col2im(const psal_conv2d_problem *p) {
    return suits_amx_dx(p) && by_columns(p);
}

/* The transposed image serves all taps, so F(4 x 4) is faster only with many channels. */
static bool suits_amx_dw(const psal_conv2d_problem *p) {
    const bool many = p->shape.in_channels >= 256 && p->shape.out_channels >= 256;
    return fills_tiles(p) && !(many && better_by_vectors(p));
}

/* Ternary filters take half the products of others, so F(4 x 4) is faster only with few results, for which packing does
 * not pay, or in very large images. */
static bool suits_amx_ternary(const psal_conv2d_problem *p) {
    const bool possible = is_dx(p) ? amx_dx(p) : fills_tiles(p);
    return possible && !(better_by_vectors(p) && (sides_of(p).results <= 64 || few_filters(p, 4, 24)));
}

static bool suits_amx_ternary_col2im(const psal_conv2d_problem *p) {
    return suits_amx_ternary(p) && by_columns(p);
}
#endif

/* ---- the list: the first row that suits is taken ---- */

/* Directions */
#define FORWARD (1u << PSAL_CONV2D_FORWARD)
#define DY (1u << PSAL_CONV2D_DY)
#define DX (1u << PSAL_CONV2D_DX)
#define DW (1u << PSAL_CONV2D_DW | 1u << PSAL_CONV2D_DW_MEAN)
#define TERNARY_DY (1u << PSAL_CONV2D_TERNARY_DY)
#define TERNARY_DX (1u << PSAL_CONV2D_TERNARY_DX)

/* Methods that may use: F(4 x 4) and larger transforms; F(2 x 2); kernels of our own */
#define FAST (1u << PSAL_CONV2D_AUTO)
#define ACCURATE (FAST | 1u << PSAL_CONV2D_ACCURATE)
#define OWN (ACCURATE | 1u << PSAL_CONV2D_DIRECT)
#define ALL (OWN | 1u << PSAL_CONV2D_GEMM)

/* What an architecture that is not this build's has in place of its code: never run, as no machine here is that
 * processor (psal_processor_runs), but it takes the convolution. */
#ifndef PSAL_REAL_DOUBLE
static const psal_conv2d_code elsewhere;
#if defined __x86_64__
#define X86(code) &code
#else
#define X86(code) &elsewhere
#endif
#if defined __aarch64__
#define ARM(code) &code
#else
#define ARM(code) &elsewhere
#endif
#endif

/* Processors */
#define EVERYWHERE(code) \
    { NULL, &code, &code, &code, &code, &code }
#define VECTORS(code) \
    { NULL, NULL, X86(code##_avx2), X86(code##_avx512), X86(code##_avx512), ARM(code##_neon) }
#define AVX512(code) \
    { NULL, NULL, NULL, X86(code##_avx512), NULL, NULL } /* on AMX its matrix unit is faster */
#define AMX(code) \
    { NULL, NULL, NULL, NULL, X86(code), NULL }

static const psal_conv2d_algorithm algorithms[] = {
#ifndef PSAL_REAL_DOUBLE
    {"amx_winograd_f4x4", DY | DX, FAST, suits_amx_f4x4, AMX(psal_amx_winograd), WINOGRAD_4X4_3X3},
    {"amx_winograd_f2x2", DY | DX, ACCURATE, suits_amx_f2x2, AMX(psal_amx_winograd), WINOGRAD_2X2_3X3},
    {"amx_split3", FORWARD, ACCURATE, suits_amx_forward, AMX(psal_amx_forward), 0},
    {"amx_split3", DY, ACCURATE, suits_amx_dy, AMX(psal_amx_forward), 0},
    {"amx_split3_col2im", DX, ACCURATE, suits_amx_dx_col2im, AMX(psal_amx_col2im), 0},
    {"amx_split3", DX, ACCURATE, suits_amx_dx, AMX(psal_amx_phases), 0},
    {"amx_split3", DW, ACCURATE, suits_amx_dw, AMX(psal_amx_dw), 0},
    {"amx_ternary", TERNARY_DY, ACCURATE, suits_amx_ternary, AMX(psal_amx_forward), 0},
    {"amx_ternary_col2im", TERNARY_DX, ACCURATE, suits_amx_ternary_col2im, AMX(psal_amx_col2im), 0},
    {"amx_ternary", TERNARY_DX, ACCURATE, suits_amx_ternary, AMX(psal_amx_phases), 0},

    {"ternary_table", TERNARY_DY | TERNARY_DX, OWN, suits_ternary_table, AVX512(psal_ternary_table), 0},
    {"winograd_f4x4", DY | DX, FAST, suits_f4x4, VECTORS(psal_winograd), WINOGRAD_4X4_3X3},
    {"winograd_f4x4", DW, FAST, suits_f4x4, VECTORS(psal_winograd_dw), WINOGRAD_4X4_3X3},
    {"winograd_f2x2", DY | DX, ACCURATE, suits_winograd, VECTORS(psal_winograd), WINOGRAD_2X2_3X3},
    {"winograd_f2x2", DW, ACCURATE, suits_winograd, VECTORS(psal_winograd_dw), WINOGRAD_2X2_3X3},
    {"winograd_f2x2_5x5", DY | DX, FAST, suits_winograd, VECTORS(psal_winograd), WINOGRAD_2X2_5X5},
    {"winograd_f2x2_5x5", DW, FAST, suits_winograd, VECTORS(psal_winograd_dw), WINOGRAD_2X2_5X5},
    {"winograd_f1x4_1x3", DY | DX, FAST, suits_winograd, VECTORS(psal_winograd), WINOGRAD_1X4_1X3},
    {"winograd_f1x4_1x3", DW, FAST, suits_winograd, VECTORS(psal_winograd_dw), WINOGRAD_1X4_1X3},
    {"winograd_f4x1_3x1", DY | DX, FAST, suits_winograd, VECTORS(psal_winograd), WINOGRAD_4X1_3X1},
    {"winograd_f4x1_3x1", DW, FAST, suits_winograd, VECTORS(psal_winograd_dw), WINOGRAD_4X1_3X1},
    {"winograd_f1x2_1x7", DY | DX, FAST, suits_winograd, VECTORS(psal_winograd), WINOGRAD_1X2_1X7},
    {"winograd_f1x2_1x7", DW, FAST, suits_winograd, VECTORS(psal_winograd_dw), WINOGRAD_1X2_1X7},
    {"winograd_f2x1_7x1", DY | DX, FAST, suits_winograd, VECTORS(psal_winograd), WINOGRAD_2X1_7X1},
    {"winograd_f2x1_7x1", DW, FAST, suits_winograd, VECTORS(psal_winograd_dw), WINOGRAD_2X1_7X1},
    {"winograd_stride2", DY, ACCURATE, suits_stride2, VECTORS(psal_winograd), WINOGRAD_STRIDE_2},
    {"winograd_stride2", DX, ACCURATE, suits_stride2, VECTORS(psal_winograd), WINOGRAD_STRIDE_2_DX_EVEN},
    {"winograd_stride2", DX, ACCURATE, suits_stride2, VECTORS(psal_winograd), WINOGRAD_STRIDE_2_DX_ODD},
    {"winograd_stride2", DW, ACCURATE, suits_stride2, VECTORS(psal_winograd_dw), WINOGRAD_STRIDE_2},
    {"first_layer", FORWARD | DY, OWN, suits_first_layer, VECTORS(psal_first_layer_forward), 0},
    {"first_layer", DX, OWN, suits_first_layer_dx, VECTORS(psal_first_layer_dx), 0},
    {"first_layer", DW, OWN, suits_first_layer_dw, VECTORS(psal_first_layer_dw), 0},
    {"depthwise", FORWARD | DY, OWN, suits_depthwise, VECTORS(psal_depthwise_forward), 0},
    {"depthwise", DX, OWN, suits_depthwise, VECTORS(psal_depthwise_dx), 0},
    {"depthwise", DW, OWN, suits_depthwise, VECTORS(psal_depthwise_dw), 0},
    {"implicit_gemm", FORWARD | DY, OWN, suits_all, VECTORS(psal_implicit_gemm_forward), 0},
    {"implicit_gemm", DX, OWN, pointwise, VECTORS(psal_implicit_gemm_pointwise_dx), 0},
    {"col2im", DX, OWN, suits_col2im, VECTORS(psal_col2im), 0},
    {"implicit_gemm_phases", DX, OWN, suits_all, VECTORS(psal_implicit_gemm_phases), 0},
    {"implicit_gemm", DW, OWN, suits_all, VECTORS(psal_implicit_gemm_dw), 0},
#endif
    {"ternary_decoded", TERNARY_DY | TERNARY_DX, ALL, suits_all, EVERYWHERE(psal_ternary_decoded), 0},
    {"im2col_gemm", FORWARD | DY, ALL, suits_all, EVERYWHERE(psal_im2col_gemm_forward), 0},
    {"im2col_gemm", DX, ALL, suits_all, EVERYWHERE(psal_im2col_gemm_dx), 0},
    {"im2col_gemm", DW, ALL, suits_all, EVERYWHERE(psal_im2col_gemm_dw), 0},
};

/* ---- choosing and running ---- */

const char *psal_conv2d_direction_name(psal_conv2d_direction direction) {
    static const char *const names[PSAL_CONV2D_DIRECTIONS] = {"forward", "dy",         "dx",        "dw",
                                                              "dw_mean", "ternary_dy", "ternary_dx"};
    return names[direction];
}

/* The first that suits. The last rows of the list suit every shape. */
static const psal_conv2d_algorithm *find(const psal_conv2d_shape *shape, psal_conv2d_direction direction,
                                         psal_conv2d_method method, psal_processor processor) {
    psal_conv2d_problem problem = {.shape = *shape, .direction = direction, .method = method};
    const psal_conv2d_algorithm *a = algorithms;
    for (;; a++) {
        problem.form = a->form;
        if (a->directions >> direction & 1 && a->methods >> method & 1 && a->code[processor] && a->suits(&problem))
            break;
    }
    return a;
}

static psal_processor resolve(psal_processor processor) {
    return processor == PSAL_PROCESSOR_AUTO ? psal_processor_best() : processor;
}

const char *psal_conv2d_algorithm_for(const psal_conv2d_shape *shape, psal_conv2d_direction direction,
                                      psal_conv2d_settings settings) {
    return find(shape, direction, settings.method, resolve(settings.processor))->name;
}

psal_convolution *psal_conv2d_choose(const psal_conv2d_shape *shape, psal_conv2d_direction direction,
                                     psal_conv2d_settings settings, int threads, psal_error *err) {
    settings.processor = resolve(settings.processor);
    if (!psal_processor_runs(settings.processor)) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "this machine has no %s: the best that it has is %s",
                  psal_processor_name(settings.processor), psal_processor_name(psal_processor_best()));
        return NULL;
    }
    psal_convolution *c = calloc(1, sizeof *c);
    if (!c) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a convolution");
        return NULL;
    }
    c->shape = *shape;
    c->direction = direction;
    c->settings = settings;
    c->threads = threads;
    c->algorithm = find(shape, direction, settings.method, settings.processor);
    snprintf(c->name, sizeof c->name, "%s", c->algorithm->name);
    if (c->algorithm->code[settings.processor]->prepare(c, err) == PSAL_OK) return c;
    psal_conv2d_free(c);
    return NULL;
}

void *psal_conv2d_new_plan(psal_convolution *c, size_t bytes, psal_error *err) {
    c->plan = calloc(1, bytes);
    if (!c->plan) psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the plan of a convolution");
    return c->plan;
}

psal_status psal_conv2d_keep_plan(psal_convolution *c, const void *plan, size_t plan_bytes, size_t scratch,
                                  psal_error *err) {
    c->scratch = scratch;
    if (!psal_conv2d_new_plan(c, plan_bytes, err)) return PSAL_ERR_MEMORY;
    memcpy(c->plan, plan, plan_bytes);
    return PSAL_OK;
}

void psal_conv2d_free(psal_convolution *c) {
    if (!c) return;
    psal_conv2d_free(c->inner);
    free(c->plan);
    free(c);
}

const char *psal_conv2d_algorithm_name(const psal_convolution *c) {
    return c->name;
}

size_t psal_conv2d_scratch(const psal_convolution *c) {
    return c->scratch;
}

void psal_conv2d_run(const psal_convolution *c, const psal_conv2d_operands *operands, void *scratch) {
    c->algorithm->code[c->settings.processor]->run(c, operands, scratch);
}

bool psal_conv2d_takes_ternary(const psal_conv2d_shape *s, psal_processor processor) {
    processor = resolve(processor);
    for (psal_conv2d_direction d = PSAL_CONV2D_TERNARY_DY; d <= PSAL_CONV2D_TERNARY_DX; d++)
        if (find(s, d, PSAL_CONV2D_AUTO, processor)->code[processor] != &psal_ternary_decoded) return true;
    return false;
}
