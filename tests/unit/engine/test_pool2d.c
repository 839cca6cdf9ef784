/* Pooling against loops written from the definition, over widths that fill several vectors, leave a rest, or nearly
 * nothing. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels/pool2d.h"

enum { PLANES = 3 };

static uint64_t state;

static int pick(int n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int)((state >> 33) % (uint64_t)n);
}

/* The output size as PyTorch defines it. */
static int outputs(int size, int kernel, int stride, int padding, bool ceil_mode) {
    int out = (size + 2 * padding - kernel + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    return ceil_mode && (out - 1) * stride >= size + padding ? out - 1 : out;
}

static psal_pool2d_shape random_shape(void) {
    static const int widths[] = {1, 2, 5, 31, 63, 64, 65, 130, 200};
    psal_pool2d_shape s = {.planes = PLANES, .kernel_height = 1 + pick(4), .kernel_width = 1 + pick(4)};
    s.stride_height = 1 + pick(3);
    s.stride_width = 1 + pick(3);
    s.padding_height = pick(s.kernel_height / 2 + 1);
    s.padding_width = pick(s.kernel_width / 2 + 1);
    if (pick(3) == 0) s.stride_height = s.stride_width = 1; /* averages have a way of their own there */
    s.in_height = s.kernel_height + pick(6);
    s.in_width = widths[pick(9)];
    if (s.in_width < s.kernel_width) s.in_width = s.kernel_width;
    s.ceil_mode = pick(2);
    s.exclude_padding = pick(2);
    s.out_height = outputs(s.in_height, s.kernel_height, s.stride_height, s.padding_height, s.ceil_mode);
    s.out_width = outputs(s.in_width, s.kernel_width, s.stride_width, s.padding_width, s.ceil_mode);
    return s;
}

/* What window (p, q) of one plane holds: its maximum's place, its sum, the divisor of its mean. */
static void window(const psal_pool2d_shape *s, const float *x, int p, int q, int *place, double *sum, int *divisor) {
    int top = p * s->stride_height - s->padding_height, left = q * s->stride_width - s->padding_width;
    int inside = 0, padded = 0;
    *place = -1;
    *sum = 0;
    for (int i = top; i < top + s->kernel_height; i++)
        for (int j = left; j < left + s->kernel_width; j++) {
            padded += i < s->in_height + s->padding_height && j < s->in_width + s->padding_width;
            if (i < 0 || j < 0 || i >= s->in_height || j >= s->in_width) continue;
            inside++;
            float value = x[i * s->in_width + j];
            *sum += value;
            if (*place < 0 || value > x[*place] || isnan(value)) *place = i * s->in_width + j;
        }
    *divisor = s->exclude_padding ? inside : padded;
}

START_TEST(pools_follow_the_definition) {
    state = (uint64_t)_i + 1;
    psal_pool2d_shape s = random_shape();
    size_t in = (size_t)(s.in_height * s.in_width), out = (size_t)(s.out_height * s.out_width);
    float *x = malloc(PLANES * in * sizeof *x), *dy = malloc(PLANES * out * sizeof *dy),
          *dx = malloc(PLANES * in * sizeof *dx);
    float *index = malloc(PLANES * out * sizeof *index), *mean = malloc(PLANES * out * sizeof *mean);
    double *spread = calloc(PLANES * in, sizeof *spread);
    for (size_t i = 0; i < PLANES * in; i++) x[i] = pick(60) ? (float)(pick(9) - 4) : -INFINITY; /* many ties */
    if (_i % 4 == 0) x[pick((int)in)] = NAN;
    for (size_t i = 0; i < PLANES * out; i++) dy[i] = (float)(pick(2001) - 1000) / 1000;
    psal_parallel parallel = {1 + _i % 2, NULL};
    float *alone = malloc(PLANES * out * sizeof *alone), *largest = malloc(PLANES * out * sizeof *largest);
    psal_kernel_max_pool2d_index(&s, x, alone, NULL, &parallel);
    psal_kernel_max_pool2d_index(&s, x, index, largest, &parallel);
    ck_assert_mem_eq(alone, index, PLANES * out * sizeof *index);
    for (size_t i = 0; i < PLANES * out; i++)
        ck_assert_mem_eq(&largest[i], &x[i / out * in + (size_t)index[i]], sizeof *x);
    free(alone);
    free(largest);
    for (size_t i = 0; i < PLANES * in; i++)
        if (!isfinite(x[i])) x[i] = 7;
    psal_kernel_avg_pool2d(&s, x, mean, &parallel);
    psal_kernel_avg_pool2d_spread(&s, dy, dx, &parallel);

    state = (uint64_t)_i + 1; /* the same values once more, as they were for the maximum */
    random_shape();
    float *with_nan = malloc(PLANES * in * sizeof *with_nan);
    for (size_t i = 0; i < PLANES * in; i++) with_nan[i] = pick(60) ? (float)(pick(9) - 4) : -INFINITY;
    if (_i % 4 == 0) with_nan[pick((int)in)] = NAN;
    for (size_t plane = 0; plane < PLANES; plane++)
        for (int p = 0; p < s.out_height; p++)
            for (int q = 0; q < s.out_width; q++) {
                int place, divisor;
                double sum, unused;
                size_t o = plane * out + (size_t)(p * s.out_width + q);
                window(&s, with_nan + plane * in, p, q, &place, &unused, &divisor);
                ck_assert_int_eq((int)index[o], place);
                window(&s, x + plane * in, p, q, &place, &sum, &divisor);
                ck_assert_double_eq_tol(mean[o], sum / divisor, 1e-5);
                int top = p * s.stride_height - s.padding_height, left = q * s.stride_width - s.padding_width;
                for (int i = top; i < top + s.kernel_height; i++)
                    for (int j = left; j < left + s.kernel_width; j++)
                        if (i >= 0 && j >= 0 && i < s.in_height && j < s.in_width)
                            spread[plane * in + (size_t)(i * s.in_width + j)] += (double)dy[o] / divisor;
            }
    for (size_t i = 0; i < PLANES * in; i++) ck_assert_double_eq_tol(dx[i], spread[i], 1e-5);
    free(x);
    free(dy);
    free(dx);
    free(index);
    free(mean);
    free(spread);
    free(with_nan);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/pool2d");
    TCase *tests = tcase_create("pool2d");
    tcase_add_loop_test(tests, pools_follow_the_definition, 0, 200);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
