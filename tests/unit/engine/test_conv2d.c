/* Tests engine/kernels/conv2d.h: every method against loops written from the definition in double precision. */
#include "engine/kernels/conv2d.h"
#include "engine/kernels/conv2d_x86.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTINEL 64 /* elements behind every buffer that nobody may write */

typedef psal_conv2d_shape shape;

/* What is compared with the definition, and the error it may have as a part of the largest value. */
static const struct method {
    const char *name;
    psal_conv2d_method method;
    double tolerance;
} methods[] = {
    {"gemm", PSAL_CONV2D_GEMM, 2e-6},
    {"direct", PSAL_CONV2D_DIRECT, 2e-6},
    {"accurate", PSAL_CONV2D_ACCURATE, 3e-6},
    {"auto", PSAL_CONV2D_AUTO, 2e-5},
};
enum { METHODS = sizeof methods / sizeof methods[0] };

/* ---- deterministic random numbers: a 64-bit congruential generator, Knuth's constants ---- */

static uint64_t random_state = 1;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % n;
}

static float random_real(void)
{
    return (float)random_below(1u << 20) / (1 << 19) - 1;
}

/* ---- buffers ---- */

static float *new_buffer(size_t count, bool random)
{
    float *p = aligned_alloc(64, ((count + SENTINEL) * sizeof *p + 63) / 64 * 64);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < count; i++) p[i] = random ? random_real() : NAN;
    for (size_t i = 0; i < SENTINEL; i++) p[count + i] = 12345;
    return p;
}

static void check_sentinel(const float *p, size_t count, const char *what)
{
    for (size_t i = 0; i < SENTINEL; i++)
        ck_assert_msg(p[count + i] == 12345, "%s: element %zu behind the end was written", what, i);
}

typedef struct sizes {
    size_t x, w, y;
} sizes;

static sizes sizes_of(const shape *s)
{
    return (sizes){(size_t)s->batch * s->in_channels * s->in_height * s->in_width,
                   (size_t)s->out_channels * (s->in_channels / s->groups) * s->kernel_height * s->kernel_width,
                   (size_t)s->batch * s->out_channels * s->out_height * s->out_width};
}

static int out_size(int in, int kernel, int stride, int padding, int dilation)
{
    return (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

static shape finish(shape s)
{
    s.out_height = out_size(s.in_height, s.kernel_height, s.stride_height, s.padding_height, s.dilation_height);
    s.out_width = out_size(s.in_width, s.kernel_width, s.stride_width, s.padding_width, s.dilation_width);
    return s;
}

static shape square(int channels, int size, int filters, int kernel, int stride, int padding)
{
    return finish((shape){.batch = 1, .in_channels = channels, .in_height = size, .in_width = size,
                          .out_channels = filters, .kernel_height = kernel, .kernel_width = kernel,
                          .stride_height = stride, .stride_width = stride, .padding_height = padding,
                          .padding_width = padding, .dilation_height = 1, .dilation_width = 1, .groups = 1});
}

static const char *describe(const shape *s)
{
    static char text[256];
    snprintf(text, sizeof text, "n%d %dx%dx%d -> %dx%dx%d k%dx%d s%d,%d p%d,%d d%d,%d g%d", s->batch, s->in_channels,
             s->in_height, s->in_width, s->out_channels, s->out_height, s->out_width, s->kernel_height,
             s->kernel_width, s->stride_height, s->stride_width, s->padding_height, s->padding_width,
             s->dilation_height, s->dilation_width, s->groups);
    return text;
}

/* ---- the definition: visit every product x * w that goes into an element of y ---- */

typedef struct truth {
    double *y, *dx, *dw;
} truth;

static truth naive(const shape *s, const float *x, const float *w, const float *dy)
{
    sizes size = sizes_of(s);
    truth t = {calloc(size.y, sizeof(double)), calloc(size.x, sizeof(double)), calloc(size.w, sizeof(double))};
    const int inputs = s->in_channels / s->groups, outputs = s->out_channels / s->groups;
    for (int n = 0; n < s->batch; n++)
        for (int o = 0; o < s->out_channels; o++)
            for (int p = 0; p < s->out_height; p++)
                for (int q = 0; q < s->out_width; q++)
                    for (int c = 0; c < inputs; c++)
                        for (int i = 0; i < s->kernel_height; i++)
                            for (int j = 0; j < s->kernel_width; j++) {
                                int row = p * s->stride_height - s->padding_height + i * s->dilation_height;
                                int column = q * s->stride_width - s->padding_width + j * s->dilation_width;
                                if (row < 0 || row >= s->in_height || column < 0 || column >= s->in_width) continue;
                                size_t channel = (size_t)(n * s->in_channels + o / outputs * inputs + c);
                                size_t ix = (channel * s->in_height + row) * s->in_width + column;
                                size_t iw = (((size_t)o * inputs + c) * s->kernel_height + i) * s->kernel_width + j;
                                size_t iy = (((size_t)n * s->out_channels + o) * s->out_height + p) * s->out_width + q;
                                t.y[iy] += (double)x[ix] * w[iw];
                                t.dx[ix] += (double)dy[iy] * w[iw];
                                t.dw[iw] += (double)x[ix] * dy[iy];
                            }
    return t;
}

static void free_truth(truth t)
{
    free(t.y);
    free(t.dx);
    free(t.dw);
}

/* Largest |got - want| as a part of the largest |want|; NaN counts as infinite. */
static double worst_error(const float *got, const double *want, size_t count)
{
    double scale = 1e-30, worst = 0;
    for (size_t i = 0; i < count; i++) scale = fmax(scale, fabs(want[i]));
    for (size_t i = 0; i < count; i++) {
        double error = fabs(got[i] - want[i]);
        if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
    }
    return worst / scale;
}

/* ---- running one operation in memory that is full of NaN ---- */

typedef enum { FORWARD, DX, DW, MEAN_ABS, MEAN, OPERATIONS } operation;
static const char *const operation_names[] = {"forward", "dx", "dw", "dw mean abs", "dw mean"};

typedef size_t scratch_function(const shape *s, psal_conv2d_method method, int threads);
typedef void conv_function(const shape *s, psal_conv2d_method method, const float *a, const float *b, float *result,
                           const psal_parallel *parallel);

static float *run(const shape *s, psal_conv2d_method method, operation op, const float *a, const float *b, int threads)
{
    sizes size = sizes_of(s);
    size_t bytes = op == FORWARD ? psal_conv2d_forward_scratch(s, method, threads)
                   : op == DX    ? psal_conv2d_dx_scratch(s, method, threads)
                   : op == DW    ? psal_conv2d_dw_scratch(s, method, threads)
                                 : psal_conv2d_dw_mean_scratch(s, method, threads);
    size_t count = op == FORWARD ? size.y : op == DX ? size.x : op == DW ? size.w : (size_t)s->out_channels;
    ck_assert_uint_eq(bytes % sizeof(float), 0);
    float *scratch = new_buffer(bytes / sizeof(float), false), *result = new_buffer(count, false);
    psal_parallel parallel = {threads, scratch};
    if (op == FORWARD)
        psal_conv2d_forward(s, method, a, b, result, &parallel);
    else if (op == DX)
        psal_conv2d_dx(s, method, a, b, result, &parallel);
    else if (op == DW)
        psal_conv2d_dw(s, method, a, b, result, &parallel);
    else
        psal_conv2d_dw_mean(s, method, a, b, op == MEAN, result, &parallel);
    check_sentinel(scratch, bytes / sizeof(float), describe(s));
    check_sentinel(result, count, describe(s));
    free(scratch);
    return result;
}

#ifdef PSAL_HAVE_CONV2D_X86
static float *run_set(const psal_conv2d_x86 *set, const shape *s, psal_conv2d_method method, operation op, const float *a,
                      const float *b, size_t count)
{
    scratch_function *const scratch_of[] = {set->forward_scratch, set->dx_scratch, set->dw_scratch, set->dw_mean_scratch,
                                            set->dw_mean_scratch};
    conv_function *const run_op[] = {set->forward, set->dx, set->dw};
    const size_t bytes = scratch_of[op](s, method, 1);
    float *scratch = new_buffer(bytes / sizeof(float), false), *result = new_buffer(count, false);
    psal_parallel parallel = {1, scratch};
    if (op <= DW)
        run_op[op](s, method, a, b, result, &parallel);
    else
        set->dw_mean(s, method, a, b, op == MEAN, result, &parallel);
    check_sentinel(scratch, bytes / sizeof(float), describe(s));
    check_sentinel(result, count, describe(s));
    free(scratch);
    return result;
}

/* This machine may never choose the AVX-512 build, because it has a matrix unit, and never the AVX2 build: they must run, be as
 * accurate, and give the same bits as each other. */
static void check_vector_sets(const shape *s, psal_conv2d_method method, double tolerance, operation op, const float *a,
                              const float *b, const double *want, size_t count)
{
    const psal_conv2d_x86 *best = psal_conv2d_x86_best();
    if ((best != &psal_conv2d_x86_avx512 && best != &psal_conv2d_x86_amx) || method == PSAL_CONV2D_GEMM) return;
    float *avx512 = run_set(&psal_conv2d_x86_avx512, s, method, op, a, b, count);
    float *avx2 = run_set(&psal_conv2d_x86_avx2, s, method, op, a, b, count);
    const double error = worst_error(avx512, want, count);
    ck_assert_msg(error < tolerance, "%s, method %d, %s: AVX-512's error %g", operation_names[op], method, describe(s), error);
    ck_assert_msg(memcmp(avx512, avx2, count * sizeof *avx2) == 0, "%s, method %d, %s: AVX2 gives other bits",
                  operation_names[op], method, describe(s));
    free(avx512);
    free(avx2);
}
#else
#define check_vector_sets(...) (void)0
#endif

/* A batch, which the fast methods run several images at a time, must give the bits of each image alone. */
static void check_images_alone(const shape *s, psal_conv2d_method method, operation op, const float *a, const float *w,
                               const float *want)
{
    const sizes all = sizes_of(s);
    const size_t images = (size_t)s->batch, in = (op == FORWARD ? all.x : all.y) / images;
    const size_t out = (op == FORWARD ? all.y : all.x) / images;
    shape alone = *s;
    alone.batch = 1;
    for (size_t n = 0; n < images; n++) {
        float *image = new_buffer(in, false);
        memcpy(image, a + n * in, in * sizeof *image);
        float *result = run(&alone, method, op, image, w, 1);
        ck_assert_msg(memcmp(want + n * out, result, out * sizeof *want) == 0,
                      "%s, method %d, %s: image %zu has other bits in a batch", operation_names[op], method, describe(s), n);
        free(image);
        free(result);
    }
}

/* ---- filters that are signs, against the same filters as numbers ---- */

static float *run_signs(const shape *s, psal_conv2d_method method, operation op, const float *a, const psal_conv2d_signs *w,
                        int threads)
{
    const sizes size = sizes_of(s);
    const size_t bytes = op == FORWARD ? psal_conv2d_signs_forward_scratch(s, method, threads)
                                       : psal_conv2d_signs_dx_scratch(s, method, threads);
    const size_t count = op == FORWARD ? size.y : size.x;
    float *scratch = new_buffer(bytes / sizeof(float), false), *result = new_buffer(count, false);
    psal_parallel parallel = {threads, scratch};
    if (op == FORWARD)
        psal_conv2d_signs_forward(s, method, a, w, result, &parallel);
    else
        psal_conv2d_signs_dx(s, method, a, w, result, &parallel);
    check_sentinel(scratch, bytes / sizeof(float), describe(s));
    check_sentinel(result, count, describe(s));
    free(scratch);
    return result;
}

static void check_signs(const shape *s)
{
    const sizes size = sizes_of(s);
    const size_t filters = (size_t)s->out_channels, filter = size.w / filters;
    float *x = new_buffer(size.x, true), *dy = new_buffer(size.y, true), *numbers = new_buffer(size.w, false);
    float *scale = new_buffer(filters, true);
    unsigned char *codes = malloc(size.w);
    const psal_conv2d_signs w = {codes, scale, 0.3f};
    for (size_t i = 0; i < size.w; i++) {
        codes[i] = (unsigned char)random_below(3);
        numbers[i] = (float)(codes[i] - 1) * (scale[i / filter] * w.factor);
    }
    for (operation op = FORWARD; op <= DX; op++) {
        const size_t count = op == FORWARD ? size.y : size.x, one_image = count / (size_t)s->batch;
        const float *a = op == FORWARD ? x : dy;
        float *reference = run(s, PSAL_CONV2D_GEMM, op, a, numbers, 1);
        double *want = malloc(count * sizeof *want);
        for (size_t i = 0; i < count; i++) want[i] = reference[i];
        for (int m = 0; m < METHODS; m++) {
            float *one = run_signs(s, methods[m].method, op, a, &w, 1), *many = run_signs(s, methods[m].method, op, a, &w, 3);
            shape alone = *s;
            alone.batch = 1;
            float *first = run_signs(&alone, methods[m].method, op, a, &w, 1);
            const double error = worst_error(one, want, count);
            ck_assert_msg(error < methods[m].tolerance, "signs' %s, %s, %s: error %g", operation_names[op], methods[m].name,
                          describe(s), error);
            ck_assert_msg(memcmp(one, many, count * sizeof *one) == 0, "signs' %s, %s, %s: other bits with 3 threads",
                          operation_names[op], methods[m].name, describe(s));
            if (methods[m].method != PSAL_CONV2D_GEMM)
                ck_assert_msg(memcmp(one, first, one_image * sizeof *one) == 0, "signs' %s, %s, %s: other bits in a batch",
                              operation_names[op], methods[m].name, describe(s));
            free(one);
            free(many);
            free(first);
        }
        free(reference);
        free(want);
    }
    free(x);
    free(dy);
    free(numbers);
    free(scale);
    free(codes);
}

static void check_shape(const shape *s)
{
    sizes size = sizes_of(s);
    float *x = new_buffer(size.x, true), *w = new_buffer(size.w, true), *dy = new_buffer(size.y, true);
    truth t = naive(s, x, w, dy);
    const size_t filters = (size_t)s->out_channels, filter = size.w / filters;
    double *mean_abs = calloc(filters, sizeof *mean_abs), *mean = calloc(filters, sizeof *mean);
    for (size_t i = 0; i < size.w; i++) {
        mean_abs[i / filter] += fabs(t.dw[i]) / (double)filter;
        mean[i / filter] += t.dw[i] / (double)filter;
    }
    const double *want[] = {t.y, t.dx, t.dw, mean_abs, mean};
    const float *first[] = {x, dy, x, x, x}, *second[] = {w, w, dy, dy, dy};
    const size_t count[] = {size.y, size.x, size.w, filters, filters};

    for (int m = 0; m < METHODS; m++) {
        for (operation op = FORWARD; op < OPERATIONS; op++) {
            float *one = run(s, methods[m].method, op, first[op], second[op], 1);
            double error = worst_error(one, want[op], count[op]);
            ck_assert_msg(error < methods[m].tolerance, "%s, %s, %s: error %g", operation_names[op], methods[m].name,
                          describe(s), error);
            check_vector_sets(s, methods[m].method, methods[m].tolerance, op, first[op], second[op], want[op], count[op]);
            if (op <= DX && s->batch > 1 && methods[m].method != PSAL_CONV2D_GEMM)
                check_images_alone(s, methods[m].method, op, first[op], w, one);
            static const int teams[] = {2, 4, 9};
            for (size_t i = 0; i < sizeof teams / sizeof teams[0]; i++) {
                const int threads = teams[i];
                float *many = run(s, methods[m].method, op, first[op], second[op], threads);
                ck_assert_msg(memcmp(one, many, count[op] * sizeof *one) == 0,
                              "%s, %s, %s: other bits with %d threads", operation_names[op], methods[m].name,
                              describe(s), threads);
                free(many);
            }
            free(one);
        }
    }
    free_truth(t);
    free(mean_abs);
    free(mean);
    free(x);
    free(w);
    free(dy);
    check_signs(s);
}

/* ---- the cases ---- */

START_TEST(shapes_that_broke_others)
{
    shape cases[] = {
        square(3, 20, 8, 7, 2, 3),    /* stem */
        square(16, 15, 24, 1, 1, 0),  /* plain 1x1 */
        square(16, 15, 24, 1, 2, 0),  /* 1x1 at stride 2: darknet reads the wrong pixels */
        square(8, 9, 16, 1, 1, 2),    /* 1x1 with padding */
        square(8, 14, 16, 3, 1, 1),   square(8, 15, 16, 3, 2, 1),
        square(4, 5, 8, 3, 1, 4),     /* padding beyond the kernel */
        square(2, 3, 4, 5, 1, 1),     /* kernel larger than the image */
        square(2, 1, 4, 3, 1, 1),     /* one pixel */
        square(1, 7, 1, 3, 3, 0),     square(4, 11, 4, 2, 3, 0), /* stride beyond the kernel: untouched inputs */
        square(64, 14, 64, 3, 1, 1),  square(64, 7, 32, 3, 1, 1), square(256, 7, 64, 1, 1, 0),
        square(48, 35, 64, 5, 1, 2),  square(3, 33, 32, 3, 2, 0), square(32, 33, 32, 3, 1, 0),
        square(100, 13, 36, 3, 1, 1), square(33, 29, 17, 3, 1, 2),
        square(70, 15, 40, 3, 2, 1),  square(70, 15, 40, 1, 2, 0), square(50, 16, 33, 1, 3, 0),
        square(40, 19, 50, 7, 1, 3),  square(48, 64, 16, 1, 1, 0),
        square(300, 8, 20, 1, 1, 0),  square(20, 5, 90, 1, 1, 0),  square(33, 6, 50, 1, 1, 0), square(40, 4, 30, 3, 2, 1),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_shape(&cases[i]);
}
END_TEST

/* Gradients of a sure sample are tiny, and every part that a number is split into must still count. And what is not a number
 * must not be lost. */
START_TEST(scales_and_not_a_number)
{
    const shape s = square(48, 14, 48, 3, 1, 1);
    const sizes size = sizes_of(&s);
    float *x = new_buffer(size.x, true), *w = new_buffer(size.w, true), *dy = new_buffer(size.y, true);
    for (int m = 0; m < METHODS; m++) {
        float *plain = run(&s, methods[m].method, DX, dy, w, 1), *mean = run(&s, methods[m].method, MEAN, x, dy, 1);
        for (int power = -80; power <= 80; power += 40) { /* powers of two: everything is scaled exactly */
            float *scaled = new_buffer(size.y, false);
            for (size_t i = 0; i < size.y; i++) scaled[i] = ldexpf(dy[i], power);
            float *dx = run(&s, methods[m].method, DX, scaled, w, 1);
            for (size_t i = 0; i < size.x; i++)
                ck_assert_msg(ldexpf(dx[i], -power) == plain[i], "%s: 2^%d: %.9g instead of %.9g", methods[m].name, power,
                              ldexpf(dx[i], -power), plain[i]);
            free(scaled);
            free(dx);
        }
        const float kept = dy[size.y / 2]; /* a corner: four pixels of each channel see it */
        dy[size.y / 2] = NAN;
        float *dx = run(&s, methods[m].method, DX, dy, w, 1), *spoilt = run(&s, methods[m].method, MEAN, x, dy, 1);
        size_t nan = 0;
        for (size_t i = 0; i < size.x; i++) nan += isnan(dx[i]) != 0;
        ck_assert_msg(nan >= 48 * 4, "%s: %zu elements", methods[m].name, nan);
        ck_assert(isnan(spoilt[24]) && !isnan(mean[24]));
        dy[size.y / 2] = kept;
        free(plain);
        free(mean);
        free(dx);
        free(spoilt);
    }
    free(x);
    free(w);
    free(dy);
}
END_TEST

START_TEST(unequal_axes_groups_and_batches)
{
    shape s = square(16, 17, 32, 1, 1, 0);
    s.kernel_width = 7, s.padding_width = 3;
    s = finish(s);
    check_shape(&s); /* Inception's 1x7 */
    s = square(16, 17, 32, 1, 1, 0);
    s.kernel_height = 7, s.padding_height = 3;
    s = finish(s);
    check_shape(&s); /* and 7x1 */
    s = square(12, 9, 18, 3, 1, 1);
    s.in_height = 23, s.batch = 3, s.groups = 3, s.stride_height = 2, s.padding_width = 0, s.dilation_width = 2;
    s = finish(s);
    check_shape(&s);
    s = square(10, 12, 10, 3, 1, 1);
    s.groups = 10;
    s = finish(s);
    check_shape(&s); /* depthwise */
    s = square(6, 12, 12, 3, 2, 1);
    s.groups = 6, s.batch = 2;
    s = finish(s);
    check_shape(&s); /* depthwise, two filters a channel */
    s = square(64, 8, 32, 3, 1, 1);
    s.batch = 3, s.groups = 2, s.in_width = 11;
    s = finish(s);
    check_shape(&s);
    s = square(5, 20, 7, 3, 1, 6);
    s.dilation_height = s.dilation_width = 6;
    s = finish(s);
    check_shape(&s);
    s = square(5, 20, 7, 3, 4, 6);
    s.dilation_height = 6, s.dilation_width = 2;
    s = finish(s);
    check_shape(&s); /* stride and dilation with a common factor */
}
END_TEST

/* Filters for which there are transforms, with channels that are no whole blocks, images that are no whole tiles, and padding from
 * none to all that makes sense. */
START_TEST(filters_with_transforms)
{
    static const int kernels[][2] = {{1, 7}, {7, 1}, {5, 5}, {1, 3}, {3, 1}};
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        for (int variant = 0; variant < 3; variant++) {
            shape s = square(variant ? 37 : 16, 13 + variant, variant ? 20 : 48, 1, 1, 0);
            s.kernel_height = kernels[i][0], s.kernel_width = kernels[i][1];
            s.padding_height = variant * (s.kernel_height - 1) / 2, s.padding_width = variant * (s.kernel_width - 1) / 2;
            s.in_width += 4 * variant, s.batch = 1 + variant;
            s = finish(s);
            check_shape(&s);
        }
    }
}
END_TEST

START_TEST(random_shapes)
{
    random_state = 20220801;
    for (int i = 0; i < 70;) {
        int groups = random_below(4) ? 1 : 1 + (int)random_below(4);
        shape s = {.batch = 1 + (int)random_below(3),
                   .in_channels = groups * (1 + (int)random_below(random_below(2) ? 8 : 40)),
                   .in_height = 1 + (int)random_below(24), .in_width = 1 + (int)random_below(24),
                   .out_channels = groups * (1 + (int)random_below(random_below(2) ? 8 : 40)),
                   .kernel_height = 1 + (int)random_below(4), .kernel_width = 1 + (int)random_below(4),
                   .stride_height = 1 + (int)random_below(3), .stride_width = 1 + (int)random_below(3),
                   .padding_height = (int)random_below(4), .padding_width = (int)random_below(4),
                   .dilation_height = 1 + (int)random_below(3), .dilation_width = 1 + (int)random_below(3),
                   .groups = groups};
        if (random_below(2)) /* half of them 3x3 at stride 1, where the fast transforms live */
            s.kernel_height = s.kernel_width = 3, s.stride_height = s.stride_width = s.dilation_height =
                                                      s.dilation_width = 1;
        if (s.in_height + 2 * s.padding_height < s.dilation_height * (s.kernel_height - 1) + 1) continue;
        if (s.in_width + 2 * s.padding_width < s.dilation_width * (s.kernel_width - 1) + 1) continue;
        s = finish(s);
        check_shape(&s);
        i++;
    }
}
END_TEST

/* Of a photo, a drawing, or two of them: rows of pixels cut into vectors, padding that reaches further than those, strides with and
 * without pixels that no filter sees. */
START_TEST(first_layers)
{
    shape cases[] = {
        square(3, 64, 64, 7, 2, 3), square(3, 67, 96, 11, 4, 2), square(1, 50, 40, 5, 3, 2),  square(2, 33, 16, 3, 1, 1),
        square(3, 19, 20, 16, 5, 0), square(3, 40, 17, 3, 1, 20), square(1, 28, 32, 2, 4, 0), square(3, 5, 16, 1, 1, 0),
        square(2, 40, 33, 3, 2, 30),
    };
    cases[0].batch = cases[2].batch = 2;
    cases[3].dilation_height = 5, cases[3].dilation_width = 9;
    cases[3] = finish(cases[3]);
    cases[4].in_width = 130;
    cases[4] = finish(cases[4]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_shape(&cases[i]);
}
END_TEST

/* 3 x 3 at stride 2 by transforms, with results that are no whole tiles, pixels at the end that no filter sees, and both phases of the
 * input gradient; padding that is odd in one direction only and images that are too small have no transforms. */
START_TEST(transforms_at_stride_2)
{
    for (int padding = 0; padding < 3; padding++) {
        for (int variant = 0; variant < 5; variant++) {
            shape s = square(variant % 2 ? 37 : 16, 20 + variant, variant % 2 ? 18 : 40, 3, 2, padding);
            s.in_width += 3 * variant;
            s.padding_width = variant == 3 ? (padding + 2) % 4 : variant == 4 ? padding + 1 : padding;
            s.batch = 1 + variant % 3;
            s = finish(s);
            check_shape(&s);
        }
        shape small = square(20, 8 + padding, 24, 3, 2, padding);
        check_shape(&small);
    }
}
END_TEST

/* Shapes too large for the naive loops, chosen so that every way of cutting the work is taken: several bands, strips and
 * chunks of channels, filters shared or made just in time, columns packed beforehand or not, dx by col2im or by phases. The
 * fast methods against the reference, which itself must satisfy <conv(x, w), dy> = <x, dx(dy, w)> = <w, dw(x, dy)>. */
START_TEST(large_shapes_and_adjoint_identities)
{
    shape cases[] = {square(64, 56, 64, 3, 1, 1),   square(64, 113, 80, 3, 2, 1),  square(128, 28, 512, 1, 1, 0),
                     square(512, 14, 512, 3, 1, 1), square(128, 56, 32, 3, 1, 1),  square(64, 224, 16, 3, 1, 1),
                     square(16, 224, 64, 3, 1, 1),  square(80, 150, 24, 3, 2, 1),  square(1024, 7, 256, 1, 1, 0),
                     square(512, 9, 128, 3, 1, 0),  square(256, 14, 384, 3, 2, 1), square(512, 14, 96, 3, 1, 1),
                     square(640, 7, 80, 3, 1, 1),   square(300, 7, 200, 1, 1, 0),
                     square(256, 56, 160, 3, 1, 1), square(33, 59, 70, 3, 1, 2),
                     square(520, 7, 70, 1, 1, 0),   square(270, 14, 128, 1, 1, 0), square(300, 35, 48, 1, 1, 0),
                     square(260, 64, 96, 1, 1, 0),  square(160, 17, 192, 1, 1, 0), square(300, 13, 520, 3, 2, 1), square(96, 35, 112, 3, 2, 0),
                     square(64, 35, 48, 5, 1, 2),   square(72, 150, 88, 3, 1, 1),
                     square(3, 224, 64, 7, 2, 3),   square(3, 301, 32, 3, 2, 0),   square(3, 250, 48, 3, 1, 1)};
    for (size_t i = 11; i < 14; i++) cases[i].batch = 5;
    cases[15].batch = cases[16].batch = cases[17].batch = 3;
    cases[20].kernel_width = 7, cases[20].padding_width = 3;
    cases[20] = finish(cases[20]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const shape *s = &cases[i];
        sizes size = sizes_of(s);
        float *x = new_buffer(size.x, true), *w = new_buffer(size.w, true), *dy = new_buffer(size.y, true);
        const float *first[] = {x, dy, x, x}, *second[] = {w, w, dy, dy};
        const size_t count[] = {size.y, size.x, size.w, (size_t)s->out_channels};
        const float *pair[] = {dy, x, w};
        double product[3] = {0}, scale = 0;
        for (operation op = FORWARD; op <= MEAN_ABS; op++) {
            float *reference = run(s, PSAL_CONV2D_GEMM, op, first[op], second[op], 2);
            double *want = malloc(count[op] * sizeof *want);
            for (size_t k = 0; k < count[op]; k++) {
                want[k] = reference[k];
                if (op > DW) continue;
                product[op] += want[k] * pair[op][k];
                if (op == FORWARD) scale += fabs(want[k] * pair[op][k]);
            }
            for (int m = 0; m < METHODS; m++) {
                float *got = run(s, methods[m].method, op, first[op], second[op], 3);
                double error = worst_error(got, want, count[op]);
                ck_assert_msg(error < methods[m].tolerance, "%s, %s, %s: error %g", operation_names[op],
                              methods[m].name, describe(s), error);
                check_vector_sets(s, methods[m].method, methods[m].tolerance, op, first[op], second[op], want, count[op]);
                if (op <= DX && s->batch > 1 && methods[m].method != PSAL_CONV2D_GEMM)
                    check_images_alone(s, methods[m].method, op, first[op], w, got);
                free(got);
            }
            free(reference);
            free(want);
        }
        ck_assert_msg(fabs(product[FORWARD] - product[DX]) <= 1e-6 * scale, "%s: %.9g and %.9g", describe(s),
                      product[FORWARD], product[DX]);
        ck_assert_msg(fabs(product[FORWARD] - product[DW]) <= 1e-6 * scale, "%s: %.9g and %.9g", describe(s),
                      product[FORWARD], product[DW]);
        free(x);
        free(w);
        free(dy);
        check_signs(s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv2d");
    TCase *tests = tcase_create("conv2d");
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, shapes_that_broke_others);
    tcase_add_test(tests, scales_and_not_a_number);
    tcase_add_test(tests, unequal_axes_groups_and_batches);
    tcase_add_test(tests, filters_with_transforms);
    tcase_add_test(tests, transforms_at_stride_2);
    tcase_add_test(tests, first_layers);
    tcase_add_test(tests, random_shapes);
    tcase_add_test(tests, large_shapes_and_adjoint_identities);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
