#include "conv2d_check.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENTINEL 64 /* elements behind every buffer that nobody may write */

const struct method methods[METHODS] = {
    {"gemm", PSAL_CONV2D_GEMM, 2e-6},
    {"direct", PSAL_CONV2D_DIRECT, 2e-6},
    {"accurate", PSAL_CONV2D_ACCURATE, 3e-6},
    {"auto", PSAL_CONV2D_AUTO, 2e-5},
};

/* ---- deterministic random numbers: a 64-bit congruential generator, Knuth's constants ---- */

uint64_t random_state = 1;

unsigned random_below(unsigned n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % n;
}

static float random_real(void) {
    return (float)random_below(1u << 20) / (1 << 19) - 1;
}

/* ---- buffers ---- */

float *new_buffer(size_t count, bool random) {
    float *p = aligned_alloc(64, ((count + SENTINEL) * sizeof *p + 63) / 64 * 64);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < count; i++) p[i] = random ? random_real() : NAN;
    for (size_t i = 0; i < SENTINEL; i++) p[count + i] = 12345;
    return p;
}

static void check_sentinel(const float *p, size_t count, const char *what) {
    for (size_t i = 0; i < SENTINEL; i++)
        ck_assert_msg(p[count + i] == 12345, "%s: element %zu behind the end was written", what, i);
}

sizes sizes_of(const shape *s) {
    return (sizes){(size_t)s->batch * s->in_channels * s->in_height * s->in_width,
                   (size_t)s->out_channels * (s->in_channels / s->groups) * s->kernel_height * s->kernel_width,
                   (size_t)s->batch * s->out_channels * s->out_height * s->out_width};
}

static int out_size(int in, int kernel, int stride, int padding, int dilation) {
    return (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

shape finish(shape s) {
    s.out_height = out_size(s.in_height, s.kernel_height, s.stride_height, s.padding_height, s.dilation_height);
    s.out_width = out_size(s.in_width, s.kernel_width, s.stride_width, s.padding_width, s.dilation_width);
    return s;
}

shape square(int channels, int size, int filters, int kernel, int stride, int padding) {
    return finish((shape){.batch = 1,
                          .in_channels = channels,
                          .in_height = size,
                          .in_width = size,
                          .out_channels = filters,
                          .kernel_height = kernel,
                          .kernel_width = kernel,
                          .stride_height = stride,
                          .stride_width = stride,
                          .padding_height = padding,
                          .padding_width = padding,
                          .dilation_height = 1,
                          .dilation_width = 1,
                          .groups = 1});
}

const char *describe(const shape *s) {
    static char text[256];
    snprintf(text, sizeof text, "n%d %dx%dx%d -> %dx%dx%d k%dx%d s%d,%d p%d,%d d%d,%d g%d", s->batch, s->in_channels,
             s->in_height, s->in_width, s->out_channels, s->out_height, s->out_width, s->kernel_height, s->kernel_width,
             s->stride_height, s->stride_width, s->padding_height, s->padding_width, s->dilation_height,
             s->dilation_width, s->groups);
    return text;
}

/* ---- the definition: visit every product x * w that goes into an element of y ---- */

typedef struct truth {
    double *y, *dx, *dw;
} truth;

/* The sanitizers are to look at what is tested; these loops take four times as long with them. */
__attribute__((no_sanitize("address", "undefined"))) static truth naive(const shape *s, const float *x, const float *w,
                                                                        const float *dy) {
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

static void free_truth(truth t) {
    free(t.y);
    free(t.dx);
    free(t.dw);
}

/* Largest |got - want| as a part of the largest |want|; NaN counts as infinite. */
double worst_error(const float *got, const double *want, size_t count) {
    double scale = 1e-30, worst = 0;
    for (size_t i = 0; i < count; i++) scale = fmax(scale, fabs(want[i]));
    for (size_t i = 0; i < count; i++) {
        double error = fabs(got[i] - want[i]);
        if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
    }
    return worst / scale;
}

/* ---- running one operation in memory that is full of NaN ---- */

const char *const operation_names[OPERATIONS] = {"forward", "dy", "dx", "dw", "dw mean abs", "dw mean"};

static size_t result_count(const shape *s, operation op) {
    const sizes size = sizes_of(s);
    return op <= DY ? size.y : op == DX ? size.x : op == DW ? size.w : (size_t)s->out_channels;
}

/* Run a convolution, which is freed, into a new buffer of `count`. */
static float *run_chosen(const shape *s, psal_conv2d_settings settings, psal_conv2d_direction direction,
                         psal_conv2d_operands operands, size_t count, int threads) {
    psal_error err = PSAL_ERROR_INIT;
    psal_convolution *chosen = psal_conv2d_choose(s, direction, settings, threads, &err);
    ck_assert_msg(chosen != NULL, "%s", err.message);
    ck_assert_int_eq(strncmp(psal_conv2d_algorithm_name(chosen), "decoded, ", 9) == 0,
                     strcmp(psal_conv2d_algorithm_for(s, direction, settings), "ternary_decoded") == 0);
    const size_t bytes = psal_conv2d_scratch(chosen);
    ck_assert_uint_eq(bytes % sizeof(float), 0);
    float *scratch = new_buffer(bytes / sizeof(float), false), *result = new_buffer(count, false);
    operands.result = result;
    psal_conv2d_run(chosen, &operands, scratch);
    check_sentinel(scratch, bytes / sizeof(float), describe(s));
    check_sentinel(result, count, describe(s));
    free(scratch);
    psal_conv2d_free(chosen);
    return result;
}

static const psal_conv2d_direction directions[OPERATIONS] = {
    PSAL_CONV2D_FORWARD, PSAL_CONV2D_DY, PSAL_CONV2D_DX, PSAL_CONV2D_DW, PSAL_CONV2D_DW_MEAN, PSAL_CONV2D_DW_MEAN};

float *run_on(psal_processor processor, const shape *s, psal_conv2d_method method, operation op, const float *a,
              const float *b, int threads) {
    const psal_conv2d_operands operands = {.x = op == DX ? NULL : a,
                                           .w = op <= DX ? b : NULL,
                                           .dy = op == DX  ? a
                                                 : op > DX ? b
                                                           : NULL,
                                           .is_signed = op == MEAN};
    return run_chosen(s, (psal_conv2d_settings){method, processor}, directions[op], operands, result_count(s, op),
                      threads);
}

float *run(const shape *s, psal_conv2d_method method, operation op, const float *a, const float *b, int threads) {
    return run_on(PSAL_PROCESSOR_AUTO, s, method, op, a, b, threads);
}

/* The algorithm's name, with that of the one inside it */
static void name_chosen(const shape *s, psal_conv2d_method method, psal_conv2d_direction direction,
                        psal_processor processor, char name[64]) {
    psal_error err = PSAL_ERROR_INIT;
    psal_convolution *chosen = psal_conv2d_choose(s, direction, (psal_conv2d_settings){method, processor}, 1, &err);
    ck_assert_msg(chosen != NULL, "%s", err.message);
    snprintf(name, 64, "%s", psal_conv2d_algorithm_name(chosen));
    psal_conv2d_free(chosen);
}

static bool is_repeated_in(const shape *s, int m, psal_conv2d_direction direction, psal_processor processor) {
    char name[64], earlier[64];
    name_chosen(s, methods[m].method, direction, processor, name);
    for (int i = 0; i < m; i++) {
        name_chosen(s, methods[i].method, direction, processor, earlier);
        if (strcmp(name, earlier) == 0) return true;
    }
    return false;
}

bool is_repeated(const shape *s, int m, operation op, psal_processor processor) {
    return is_repeated_in(s, m, directions[op], processor);
}

/* This machine would never choose the lesser ones. What is portable is what the method GEMM does. */
void check_processors(const shape *s, int m, operation op, const float *a, const float *b, const double *want,
                      const float *best, size_t count) {
    if (methods[m].method == PSAL_CONV2D_GEMM) return;
    const float *result[PSAL_PROCESSORS] = {NULL};
    float *own[PSAL_PROCESSORS] = {NULL};
    result[psal_processor_best()] = best;
    for (psal_processor p = PSAL_PROCESSOR_AVX2; p < PSAL_PROCESSORS; p++) {
        if (!psal_processor_runs(p) || p == psal_processor_best() || is_repeated(s, m, op, p)) continue;
        result[p] = own[p] = run_on(p, s, methods[m].method, op, a, b, 1);
        const double error = worst_error(own[p], want, count);
        ck_assert_msg(error < methods[m].tolerance, "%s, %s, %s: %s has error %g", operation_names[op], methods[m].name,
                      describe(s), psal_processor_name(p), error);
    }
    const float *const avx2 = result[PSAL_PROCESSOR_AVX2], *const avx512 = result[PSAL_PROCESSOR_AVX512];
    ck_assert_msg(!avx2 || !avx512 || memcmp(avx512, avx2, count * sizeof *avx2) == 0,
                  "%s, %s, %s: AVX2 gives other bits", operation_names[op], methods[m].name, describe(s));
    for (int p = 0; p < PSAL_PROCESSORS; p++) free(own[p]);
}

/* A batch, which the fast methods run several images at a time, must give the bits of each image alone. */
void check_images_alone(const shape *s, psal_conv2d_method method, operation op, const float *a, const float *w,
                        const float *want) {
    const sizes all = sizes_of(s);
    const size_t images = (size_t)s->batch, in = (op <= DY ? all.x : all.y) / images;
    const size_t out = (op <= DY ? all.y : all.x) / images;
    shape alone = *s;
    alone.batch = 1;
    for (size_t n = 0; n < images; n++) {
        float *image = new_buffer(in, false);
        memcpy(image, a + n * in, in * sizeof *image);
        float *result = run(&alone, method, op, image, w, 1);
        ck_assert_msg(memcmp(want + n * out, result, out * sizeof *want) == 0,
                      "%s, method %d, %s: image %zu has other bits in a batch", operation_names[op], method,
                      describe(s), n);
        free(image);
        free(result);
    }
}

/* ---- ternary filters, against the same filters as numbers ---- */

static float *run_ternary(psal_processor processor, const shape *s, psal_conv2d_method method, operation op,
                          const float *a, const psal_ternary_filters *w, int threads) {
    const sizes size = sizes_of(s);
    const psal_conv2d_operands operands = {.x = op == DY ? a : NULL, .dy = op == DX ? a : NULL, .ternary = w};
    return run_chosen(s, (psal_conv2d_settings){method, processor},
                      op == DY ? PSAL_CONV2D_TERNARY_DY : PSAL_CONV2D_TERNARY_DX, operands, op == DY ? size.y : size.x,
                      threads);
}

void check_ternary(const shape *s) {
    const sizes size = sizes_of(s);
    const size_t filters = (size_t)s->out_channels, filter = size.w / filters;
    float *x = new_buffer(size.x, true), *dy = new_buffer(size.y, true), *numbers = new_buffer(size.w, false);
    float *scale = new_buffer(filters, true);
    unsigned char *codes = malloc(size.w);
    const psal_ternary_filters w = {codes, scale, 0.3f};
    for (size_t i = 0; i < size.w; i++) {
        codes[i] = (unsigned char)random_below(3);
        numbers[i] = (float)(codes[i] - 1) * (scale[i / filter] * w.factor);
    }
    for (operation op = DY; op <= DX; op++) {
        const size_t count = op == DY ? size.y : size.x, one_image = count / (size_t)s->batch;
        const float *a = op == DY ? x : dy;
        float *reference = run(s, PSAL_CONV2D_GEMM, op, a, numbers, 1);
        double *want = malloc(count * sizeof *want);
        for (size_t i = 0; i < count; i++) want[i] = reference[i];
        for (psal_processor p = PSAL_PROCESSOR_PORTABLE; p < PSAL_PROCESSORS; p++)
            for (int m = 0; psal_processor_runs(p) && m < METHODS; m++) {
                /* The method GEMM is the same code everywhere. */
                if (p != PSAL_PROCESSOR_PORTABLE && methods[m].method == PSAL_CONV2D_GEMM) continue;
                const psal_conv2d_direction direction = op == DY ? PSAL_CONV2D_TERNARY_DY : PSAL_CONV2D_TERNARY_DX;
                if (is_repeated_in(s, m, direction, p)) continue;
#ifdef __SANITIZE_ADDRESS__ /* decoding is the same code everywhere, and what follows it has run by itself */
                const psal_conv2d_settings settings = {methods[m].method, p};
                const bool decoded = strcmp(psal_conv2d_algorithm_for(s, direction, settings), "ternary_decoded") == 0;
                if (decoded && p != PSAL_PROCESSOR_PORTABLE) continue;
#endif
                float *one = run_ternary(p, s, methods[m].method, op, a, &w, 1),
                      *many = run_ternary(p, s, methods[m].method, op, a, &w, 3);
                const double error = worst_error(one, want, count);
                char what[400];
                snprintf(what, sizeof what, "ternary %s, %s on %s, %s", operation_names[op], methods[m].name,
                         psal_processor_name(p), describe(s));
                ck_assert_msg(error < methods[m].tolerance, "%s: error %g", what, error);
                ck_assert_msg(memcmp(one, many, count * sizeof *one) == 0, "%s: other bits with 3 threads", what);
                if (s->batch > 1 && p != PSAL_PROCESSOR_PORTABLE) {
                    shape alone = *s;
                    alone.batch = 1;
                    float *first = run_ternary(p, &alone, methods[m].method, op, a, &w, 1);
                    ck_assert_msg(memcmp(one, first, one_image * sizeof *one) == 0, "%s: other bits in a batch", what);
                    free(first);
                }
                free(one);
                free(many);
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

void check_shape(const shape *s) {
    sizes size = sizes_of(s);
    float *x = new_buffer(size.x, true), *w = new_buffer(size.w, true), *dy = new_buffer(size.y, true);
    truth t = naive(s, x, w, dy);
    const size_t filters = (size_t)s->out_channels, filter = size.w / filters;
    double *mean_abs = calloc(filters, sizeof *mean_abs), *mean = calloc(filters, sizeof *mean);
    for (size_t i = 0; i < size.w; i++) {
        mean_abs[i / filter] += fabs(t.dw[i]) / (double)filter;
        mean[i / filter] += t.dw[i] / (double)filter;
    }
    const double *want[] = {t.y, t.y, t.dx, t.dw, mean_abs, mean};
    const float *first[] = {x, x, dy, x, x, x}, *second[] = {w, w, w, dy, dy, dy};
    const size_t count[] = {size.y, size.y, size.x, size.w, filters, filters};

    for (int m = 0; m < METHODS; m++) {
        for (operation op = FORWARD; op < OPERATIONS; op++) {
            if (is_repeated(s, m, op, PSAL_PROCESSOR_AUTO)) {
                check_processors(s, m, op, first[op], second[op], want[op], NULL, count[op]);
                continue;
            }
            float *one = run(s, methods[m].method, op, first[op], second[op], 1);
            double error = worst_error(one, want[op], count[op]);
            ck_assert_msg(error < methods[m].tolerance, "%s, %s, %s: error %g", operation_names[op], methods[m].name,
                          describe(s), error);
            check_processors(s, m, op, first[op], second[op], want[op], one, count[op]);
            if (op <= DX && s->batch > 1 && (op == FORWARD || methods[m].method != PSAL_CONV2D_GEMM))
                check_images_alone(s, methods[m].method, op, first[op], w, one);
#ifdef __SANITIZE_ADDRESS__ /* the most ways of cutting the work, as each run is slow */
            static const int teams[] = {9};
#else
            static const int teams[] = {2, 4, 9};
#endif
            for (size_t i = 0; i < sizeof teams / sizeof teams[0]; i++) {
                const int threads = teams[i];
                float *many = run(s, methods[m].method, op, first[op], second[op], threads);
                ck_assert_msg(memcmp(one, many, count[op] * sizeof *one) == 0, "%s, %s, %s: other bits with %d threads",
                              operation_names[op], methods[m].name, describe(s), threads);
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
    check_ternary(s);
}
