/* In every forward pass equal windows of an image give equal bits, wherever they lie, and whatever computes them: each
 * method, each set of instructions, any number of threads, any batch. Images here repeat themselves, so that windows a
 * period apart are equal; a period of 1 is a constant image. Windows that reach into the padding are left out. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conv2d_check.h"
#include "conv2d_shapes.h"
#include "engine/graph.h"
#include "engine/kernels/channel.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/ordered_product.h"
#include "engine/kernels/pool2d.h"
#include "engine/plan.h"

static const int periods[] = {1, 2, 3, 4, 5, 8};
enum { PERIODS = sizeof periods / sizeof *periods };

/* Which memory is read and written does not depend on what the images repeat, so that the address sanitizer, with which
 * each run is slow, sees every shape but fewer images and teams, and of the networks' shapes every fourth. */
#ifdef __SANITIZE_ADDRESS__
enum { STEP = 4, IMAGES = 1 };
static const int teams[] = {7};
#else
enum { STEP = 1, IMAGES = PERIODS };
static const int teams[] = {2, 3, 7};
#endif

static float number(void) {
    return (float)random_below(1u << 20) / (1 << 19) - 1;
}

/* planes x height x width, each plane with random numbers that repeat after `period` rows and columns */
static float *periodic(size_t planes, int height, int width, int period) {
    float *x = new_buffer(planes * (size_t)height * (size_t)width, false), *to = x;
    for (size_t plane = 0; plane < planes; plane++) {
        float cell[8][8];
        for (int i = 0; i < period; i++)
            for (int j = 0; j < period; j++) cell[i][j] = number();
        for (int i = 0; i < height; i++)
            for (int j = 0; j < width; j++) *to++ = cell[i % period][j % period];
    }
    return x;
}

/* Results of one axis: those whose windows lie inside the image, and after how many of them windows are equal again */
typedef struct axis {
    int first, end, period;
} axis;

static axis axis_of(int in, int out, int reach, int stride, int padding, int period) {
    axis a = {(padding + stride - 1) / stride, 0, 1};
    while (a.end < out && a.end * stride - padding + reach <= in) a.end++;
    while (a.period * stride % period != 0) a.period++;
    return a;
}

/* That y[planes][height][width] has equal bits a period apart; how many pairs were compared */
static size_t check_repeats(const float *y, size_t planes, int height, int width, axis h, axis w, const char *what) {
    size_t pairs = 0;
    for (size_t plane = 0; plane < planes; plane++, y += (size_t)height * (size_t)width)
        for (int p = h.first; p < h.end; p++)
            for (int q = w.first; q < w.end; q++) {
                const int p0 = h.first + (p - h.first) % h.period, q0 = w.first + (q - w.first) % w.period;
                const float *a = y + (size_t)p * (size_t)width + q, *b = y + (size_t)p0 * (size_t)width + q0;
                pairs += a != b;
                if (memcmp(a, b, sizeof *a) != 0)
                    ck_abort_msg("%s: plane %zu has %.9g at (%d, %d) and %.9g at (%d, %d), where the windows are equal",
                                 what, plane, (double)*a, p, q, (double)*b, p0, q0);
            }
    return pairs;
}

/* ---- convolutions ---- */

static size_t check_result(const shape *s, int period, const float *y, const char *how) {
    char what[400];
    snprintf(what, sizeof what, "%s, period %d, %s", how, period, describe(s));
    const axis h = axis_of(s->in_height, s->out_height, s->dilation_height * (s->kernel_height - 1) + 1,
                           s->stride_height, s->padding_height, period);
    const axis w = axis_of(s->in_width, s->out_width, s->dilation_width * (s->kernel_width - 1) + 1, s->stride_width,
                           s->padding_width, period);
    return check_repeats(y, (size_t)s->batch * (size_t)s->out_channels, s->out_height, s->out_width, h, w, what);
}

/* One image, or the same image `batch` times, by everything that there is; `thorough`: any number of threads, methods
 * that should be alike */
static size_t check_conv(shape s, int period, bool thorough) {
    const size_t image = sizes_of(&s).x / (size_t)s.batch, result = sizes_of(&s).y / (size_t)s.batch;
    float *x = periodic((size_t)s.batch * (size_t)s.in_channels, s.in_height, s.in_width, period);
    float *w = new_buffer(sizes_of(&s).w, true);
    for (int n = 1; n < s.batch; n++) memcpy(x + (size_t)n * image, x, image * sizeof *x);
    size_t pairs = 0;
    float *direct = NULL;
    for (int m = 0; m < METHODS; m++) {
        if (thorough ? is_repeated(&s, m, FORWARD, PSAL_PROCESSOR_AUTO)
                     : methods[m].method != PSAL_CONV2D_GEMM && methods[m].method != PSAL_CONV2D_AUTO)
            continue;
        float *y = run(&s, methods[m].method, FORWARD, x, w, thorough ? 1 : 2);
        pairs += check_result(&s, period, y, methods[m].name);
        for (int n = 1; n < s.batch; n++)
            ck_assert_msg(memcmp(y, y + (size_t)n * result, result * sizeof *y) == 0,
                          "%s, %s: image %d of equal ones differs", methods[m].name, describe(&s), n);
        for (size_t i = 0; thorough && i < sizeof teams / sizeof *teams; i++) {
            float *many = run(&s, methods[m].method, FORWARD, x, w, teams[i]);
            ck_assert_msg(memcmp(y, many, sizes_of(&s).y * sizeof *y) == 0, "%s, %s: other bits with %d threads",
                          methods[m].name, describe(&s), teams[i]);
            free(many);
        }
        if (methods[m].method == PSAL_CONV2D_DIRECT)
            direct = y;
        else
            free(y);
    }
    float *vectors = NULL; /* the first of AVX2 and AVX-512, or NEON's */
    /* What is portable is what GEMM has done above, and what the best processor does is done if thorough. */
    for (psal_processor p = PSAL_PROCESSOR_AVX2; p < PSAL_PROCESSORS; p++) {
        if (!psal_processor_runs(p) || (thorough && p == psal_processor_best())) continue;
        float *y = run_on(p, &s, PSAL_CONV2D_AUTO, FORWARD, x, w, 1);
        pairs += check_result(&s, period, y, psal_processor_name(p));
        if (p == PSAL_PROCESSOR_AVX2 || p == PSAL_PROCESSOR_AVX512 || p == PSAL_PROCESSOR_NEON) {
            ck_assert_msg(!vectors || memcmp(y, vectors, sizes_of(&s).y * sizeof *y) == 0, "%s: AVX2 has other bits",
                          describe(&s));
            ck_assert_msg(!direct || memcmp(direct, y, sizes_of(&s).y * sizeof *y) == 0,
                          "%s: fast has other bits than direct", describe(&s));
            free(vectors);
            vectors = y;
        } else {
            free(y);
        }
    }
    free(vectors);
    free(direct);
    free(x);
    free(w);
    return pairs;
}

/* Every convolution of the networks in conv2d_shapes.c, at its size: of a constant image and of one that repeats */
START_TEST(convolutions_of_the_networks) {
    static conv_network net;
    conv_network_make(_i, &net);
    for (int i = 0; i < net.layers; i += STEP) {
        const shape *s = &net.layer[i].shape;
        const bool several = s->in_height >= s->kernel_height + 2 * s->stride_height; /* windows inside the image */
        ck_assert_uint_ge(check_conv(*s, 1, false), several);
        if (IMAGES > 1) check_conv(*s, periods[1 + i % (PERIODS - 1)], false);
    }
}
END_TEST

/* Those of the networks in the box: ResNet-18 of 28 x 28 images with one channel */
START_TEST(convolutions_of_the_networks_in_the_box) {
    int size = 28, in = 1;
    ck_assert_uint_gt(check_conv(square(1, 28, 64, 3, 1, 1), 1, true), 0);
    for (int width = 16; width <= 512; width *= 2, in = width / 2) {
        const int stride = size > 4 && width > 64 ? 2 : 1;
        for (int i = 0; i < IMAGES; i++) {
            check_conv(square(in, size, width, 3, stride, 1), periods[i], true);
            check_conv(square(in, size, width, 1, stride, 0), periods[i], true);
            check_conv(square(width, size, width, 3, 1, 1), periods[i], true);
        }
        if (stride == 2) size = (size + 1) / 2;
    }
}
END_TEST

static shape shape_of(int channels, int height, int width, int filters, int kh, int kw, int stride, int ph, int pw) {
    shape s = square(channels, height, filters, kh, stride, ph);
    s.in_width = width, s.kernel_width = kw, s.padding_width = pw;
    return finish(s);
}

START_TEST(every_kind_of_convolution) {
    shape cases[] = {
        shape_of(16, 21, 37, 24, 3, 3, 1, 1, 1),  shape_of(17, 19, 35, 33, 3, 3, 2, 1, 1),
        shape_of(40, 17, 23, 17, 5, 5, 1, 2, 2),  shape_of(3, 45, 61, 64, 7, 7, 2, 3, 3),
        shape_of(3, 40, 33, 20, 3, 3, 1, 1, 1),   shape_of(1, 28, 28, 32, 5, 5, 1, 0, 0),
        shape_of(2, 30, 50, 18, 3, 3, 3, 0, 2),   shape_of(48, 17, 19, 40, 1, 7, 1, 0, 3),
        shape_of(48, 19, 17, 40, 7, 1, 1, 3, 0),  shape_of(36, 16, 18, 50, 1, 3, 1, 0, 1),
        shape_of(36, 18, 16, 50, 3, 1, 1, 1, 0),  shape_of(64, 7, 7, 30, 1, 1, 1, 0, 0),
        shape_of(70, 7, 7, 80, 3, 3, 1, 1, 1),    shape_of(33, 1, 50, 20, 1, 3, 1, 0, 1),
        shape_of(33, 50, 1, 20, 3, 1, 1, 1, 0),   shape_of(25, 1, 67, 9, 1, 1, 1, 0, 0),
        shape_of(80, 13, 5, 16, 1, 1, 2, 0, 0),   shape_of(5, 33, 49, 7, 4, 2, 3, 1, 0),
        shape_of(300, 14, 14, 48, 1, 1, 1, 0, 0), shape_of(260, 9, 9, 70, 3, 3, 1, 1, 1),
        shape_of(64, 65, 65, 20, 3, 3, 1, 1, 1),  shape_of(20, 64, 64, 48, 1, 1, 1, 0, 0),
        shape_of(128, 30, 31, 64, 3, 3, 2, 0, 0), shape_of(16, 150, 40, 16, 3, 3, 1, 2, 2),
        shape_of(3, 67, 67, 96, 11, 11, 4, 2, 2), shape_of(12, 20, 23, 18, 3, 3, 1, 1, 1),
        shape_of(24, 21, 22, 24, 3, 3, 1, 1, 1),  shape_of(16, 25, 27, 32, 3, 3, 2, 1, 1),
        shape_of(12, 33, 30, 12, 5, 5, 2, 2, 2),  shape_of(10, 30, 33, 14, 3, 3, 1, 2, 4),
        shape_of(32, 30, 30, 32, 3, 3, 1, 2, 2),  shape_of(3, 40, 41, 16, 3, 3, 1, 0, 0),
    };
    enum { CASES = sizeof cases / sizeof *cases, GROUPED = CASES - 7, DILATED = CASES - 3 };
    cases[GROUPED].groups = 3, cases[GROUPED + 1].groups = 24, cases[GROUPED + 2].groups = 2;
    cases[GROUPED + 3].groups = 12;
    for (int i = DILATED; i < CASES; i++)
        cases[i].dilation_height = 2, cases[i].dilation_width = 3, cases[i] = finish(cases[i]);
    size_t pairs = 0;
    for (int i = 0; i < CASES; i++)
        for (int k = 0; k < IMAGES; k++) {
            shape s = cases[i];
            s.batch = 1 + (i + k) % 3;
            pairs += check_conv(s, periods[k], true);
        }
    ck_assert_uint_gt(pairs, 100000);
}
END_TEST

START_TEST(random_convolutions) {
    random_state = 20240607 + (uint64_t)_i;
    for (int i = 0; i < 60;) {
        const int groups = random_below(5) ? 1 : 1 + (int)random_below(4);
        shape s = {.batch = 1 + (int)random_below(3),
                   .in_channels = groups * (1 + (int)random_below(60)),
                   .in_height = 1 + (int)random_below(40),
                   .in_width = 1 + (int)random_below(70),
                   .out_channels = groups * (1 + (int)random_below(60)),
                   .kernel_height = 1 + (int)random_below(5),
                   .kernel_width = 1 + (int)random_below(7),
                   .stride_height = 1 + (int)random_below(3),
                   .stride_width = 1 + (int)random_below(3),
                   .padding_height = (int)random_below(4),
                   .padding_width = (int)random_below(4),
                   .dilation_height = 1 + (int)random_below(2),
                   .dilation_width = 1 + (int)random_below(2),
                   .groups = groups};
        if (s.in_height + 2 * s.padding_height < s.dilation_height * (s.kernel_height - 1) + 1) continue;
        if (s.in_width + 2 * s.padding_width < s.dilation_width * (s.kernel_width - 1) + 1) continue;
        check_conv(finish(s), periods[random_below(PERIODS)], true);
        i++;
    }
}
END_TEST

/* ---- what else a network does with an image ---- */

/* Windows in both of the ways in which averages are made: a small plane at stride 1, and any other */
START_TEST(averages_and_maxima) {
    static const struct {
        int height, width, kernel, stride, padding;
        bool exclude;
    } cases[] = {{17, 19, 3, 1, 1, false},  {35, 35, 3, 1, 1, false}, {70, 75, 3, 1, 1, false}, {35, 37, 3, 1, 1, true},
                 {40, 300, 3, 2, 1, false}, {56, 56, 2, 2, 0, false}, {33, 41, 5, 3, 2, true},  {8, 8, 8, 1, 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < PERIODS; k++) {
            psal_pool2d_shape s = {.planes = 5,
                                   .in_height = cases[i].height,
                                   .in_width = cases[i].width,
                                   .kernel_height = cases[i].kernel,
                                   .kernel_width = cases[i].kernel,
                                   .stride_height = cases[i].stride,
                                   .stride_width = cases[i].stride,
                                   .padding_height = cases[i].padding,
                                   .padding_width = cases[i].padding,
                                   .exclude_padding = cases[i].exclude};
            s.out_height = (s.in_height + 2 * s.padding_height - s.kernel_height) / s.stride_height + 1;
            s.out_width = (s.in_width + 2 * s.padding_width - s.kernel_width) / s.stride_width + 1;
            float *x = periodic(s.planes, s.in_height, s.in_width, periods[k]);
            const size_t outputs = s.planes * (size_t)s.out_height * (size_t)s.out_width;
            float *y = new_buffer(outputs, false), *index = new_buffer(outputs, false);
            const axis h = axis_of(s.in_height, s.out_height, s.kernel_height, s.stride_height, s.padding_height,
                                   periods[k]);
            const axis w = axis_of(s.in_width, s.out_width, s.kernel_width, s.stride_width, s.padding_width,
                                   periods[k]);
            for (int threads = 1; threads <= 7; threads += threads < 3 ? 1 : 4) {
                const psal_parallel parallel = {threads, NULL};
                psal_kernel_avg_pool2d(&s, x, y, &parallel);
                check_repeats(y, s.planes, s.out_height, s.out_width, h, w, "average");
                psal_kernel_max_pool2d_index(&s, x, index, y, &parallel);
                check_repeats(y, s.planes, s.out_height, s.out_width, h, w, "maximum");
                /* of equal values the first, so at the same place of equal windows */
                const int places = s.in_width;
                for (size_t plane = 0; plane < s.planes; plane++)
                    for (int p = h.first; p < h.end; p++)
                        for (int q = w.first; q < w.end; q++) {
                            const size_t at = (plane * (size_t)s.out_height + (size_t)p) * (size_t)s.out_width +
                                              (size_t)q;
                            const int row = (int)index[at] / places - p * s.stride_height + s.padding_height;
                            const int column = (int)index[at] % places - q * s.stride_width + s.padding_width;
                            ck_assert(periods[k] > 1 || (row == 0 && column == 0));
                        }
            }
            free(x);
            free(y);
            free(index);
        }
}
END_TEST

/* Elementwise passes, any number of elements from anywhere: vectors and what is left over */
START_TEST(elements) {
    enum { MOST = 150 };
    float x[MOST], other[MOST], out[MOST];
    const float gamma = 1.234567f, beta = -0.345678f, mean = 0.123456f, variance = 0.789f;
    for (int i = 0; i < MOST; i++) x[i] = 0.1234567f, other[i] = -0.7654321f;
    for (size_t n = 1; n < MOST; n++)
        for (size_t begin = 0; begin < n; begin += 1 + n / 7) {
            psal_kernel_batch_norm(begin, n, 1, MOST, x, &gamma, &beta, &mean, &variance, 1e-5, out);
            for (size_t i = begin; i < n; i++)
                ck_assert_msg(out[i] == out[begin], "batch_norm: element %zu of %zu", i, n);
            psal_kernel_channel_affine(begin, n, 1, MOST, x, &gamma, &beta, out);
            for (size_t i = begin; i < n; i++)
                ck_assert_msg(out[i] == out[begin], "channel_affine: element %zu of %zu", i, n);
            psal_kernel_add(n - begin, x + begin, other + begin, out + begin);
            for (size_t i = begin; i < n; i++) ck_assert_msg(out[i] == out[begin], "add: element %zu of %zu", i, n);
            psal_kernel_relu(n - begin, x + begin, out + begin);
            for (size_t i = begin; i < n; i++) ck_assert_msg(out[i] == x[0], "relu: element %zu of %zu", i, n);
        }
}
END_TEST

/* The product against sums in double precision, its columns and rows equal where they should be */
START_TEST(ordered_products) {
    static const size_t rows[] = {1, 2, 3, 7, 16}, columns[] = {1, 5, 16, 31, 127, 128, 129, 300},
                        depths[] = {0, 1, 3, 4, 31, 32, 33, 150};
    for (size_t i = 0; i < 5 * 8 * 8; i++) {
        const size_t m = rows[i % 5], n = columns[i / 5 % 8], k = depths[i / 40];
        float *a = new_buffer(m * (k + 1), true), *b = new_buffer((k + 1) * (n + 3), true),
              *c = new_buffer(m * (n + 1), false);
        for (size_t j = 0; j < k; j++) b[j * (n + 3) + n - 1] = b[j * (n + 3)]; /* the last column is the first */
        for (size_t j = 0; j < k; j++) a[(m - 1) * (k + 1) + j] = a[j];         /* and the last row */
        psal_ordered_product(m, n, k, a, k + 1, b, n + 3, c, n + 1);
        for (size_t r = 0; r < m; r++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t d = 0; d < k; d++) sum += (double)a[r * (k + 1) + d] * b[d * (n + 3) + j];
                ck_assert_msg(fabs(c[r * (n + 1) + j] - sum) <= 2e-6 * (double)(k + 1),
                              "%zu x %zu x %zu: (%zu, %zu) is %g instead of %g", m, k, n, r, j,
                              (double)c[r * (n + 1) + j], sum);
            }
        for (size_t r = 0; r < m; r++) {
            ck_assert(c[r * (n + 1)] == c[r * (n + 1) + n - 1]);
            ck_assert(r + 1 == m || isnan(c[r * (n + 1) + n])); /* nothing between the rows is written */
        }
        for (size_t j = 0; j < n; j++) ck_assert(c[j] == c[(m - 1) * (n + 1) + j]);
        free(a);
        free(b);
        free(c);
    }
}
END_TEST

/* A linear layer: equal rows of the weight give equal logits, and an image has the same ones in every batch */
START_TEST(linear_layers) {
    static const int inputs[] = {1, 31, 512, 2048, 2051}, classes[] = {1, 3, 10, 257, 1000};
    for (size_t i = 0; i < 25; i++) {
        const int k = inputs[i % 5], n = classes[i / 5];
        float *w = new_buffer((size_t)n * (size_t)k, true), *x = new_buffer(6 * (size_t)k, true);
        for (int j = 0; j < k; j++) w[(size_t)(n - 1) * (size_t)k + (size_t)j] = w[j]; /* the last class is the first */
        float *alone = NULL;
        for (int batch = 1; batch <= 6; batch += 1 + (batch > 1)) {
            for (int threads = 1; threads <= 3; threads++) {
                psal_graph *g = psal_graph_new();
                psal_node image = psal_input(g, "x", PSAL_SHAPE(batch, k)),
                          weight = psal_parameter(g, "w", PSAL_SHAPE(n, k));
                psal_node y = psal_linear(g, image, weight, PSAL_NO_NODE);
                psal_plan *plan = psal_plan_new(
                    g, &(psal_plan_options){.outputs = {&y}, .output_count = {1}, .stages = 1, .threads = threads},
                    NULL);
                psal_workspace *ws = psal_workspace_new(plan, NULL);
                ck_assert_int_eq(psal_plan_bind(plan, weight, w, NULL), PSAL_OK);
                ck_assert_int_eq(psal_workspace_set(ws, image, x, NULL), PSAL_OK);
                ck_assert_int_eq(psal_workspace_run(ws, 0, NULL), PSAL_OK);
                const float *logits = psal_workspace_get(ws, y);
                for (int r = 0; r < batch; r++) ck_assert(logits[r * n] == logits[r * n + n - 1]);
                if (!alone) {
                    alone = new_buffer((size_t)n, false);
                    memcpy(alone, logits, (size_t)n * sizeof *alone);
                }
                ck_assert_msg(memcmp(alone, logits, (size_t)n * sizeof *alone) == 0,
                              "%d x %d: other bits in a batch of %d, %d threads", n, k, batch, threads);
                psal_workspace_free(ws);
                psal_plan_free(plan);
                psal_graph_free(g);
            }
        }
        free(alone);
        free(w);
        free(x);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("equal windows");
    TCase *tests = tcase_create("equal windows");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, convolutions_of_the_networks, 0, CONV_NETWORKS);
    tcase_add_test(tests, convolutions_of_the_networks_in_the_box);
    tcase_add_test(tests, every_kind_of_convolution);
    tcase_add_loop_test(tests, random_convolutions, 0, 3);
    tcase_add_test(tests, averages_and_maxima);
    tcase_add_test(tests, elements);
    tcase_add_test(tests, ordered_products);
    tcase_add_test(tests, linear_layers);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
