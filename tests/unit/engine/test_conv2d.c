/* Tests engine/kernels/conv2d/conv2d.h: which shapes are checked; conv2d_check.h is how. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "conv2d_check.h"

/* Sanitizers take ten times as long, an emulated processor (tests/run --arm says so) a hundred times:
 * both take fewer of the large shapes. */
static bool is_slow(void) {
#ifdef __SANITIZE_ADDRESS__
    return true;
#else
    return getenv("PSAL_TEST_EMULATED") != NULL;
#endif
}

START_TEST(shapes_that_broke_others) {
    shape cases[] = {
        square(3, 20, 8, 7, 2, 3),   /* stem */
        square(16, 15, 24, 1, 1, 0), /* plain 1x1 */
        square(16, 15, 24, 1, 2, 0), /* 1x1 at stride 2: darknet reads the wrong pixels */
        square(8, 9, 16, 1, 1, 2),   /* 1x1 with padding */
        square(8, 14, 16, 3, 1, 1),   square(8, 15, 16, 3, 2, 1),
        square(4, 5, 8, 3, 1, 4),                                /* padding beyond the kernel */
        square(2, 3, 4, 5, 1, 1),                                /* kernel larger than the image */
        square(2, 1, 4, 3, 1, 1),                                /* one pixel */
        square(1, 7, 1, 3, 3, 0),     square(4, 11, 4, 2, 3, 0), /* stride beyond the kernel: untouched inputs */
        square(64, 14, 64, 3, 1, 1),  square(64, 7, 32, 3, 1, 1),
        square(256, 7, 64, 1, 1, 0),  square(48, 35, 64, 5, 1, 2),
        square(3, 33, 32, 3, 2, 0),   square(32, 33, 32, 3, 1, 0),
        square(100, 13, 36, 3, 1, 1), square(33, 29, 17, 3, 1, 2),
        square(70, 15, 40, 3, 2, 1),  square(70, 15, 40, 1, 2, 0),
        square(50, 16, 33, 1, 3, 0),  square(40, 19, 50, 7, 1, 3),
        square(48, 64, 16, 1, 1, 0),  square(300, 8, 20, 1, 1, 0),
        square(20, 5, 90, 1, 1, 0),   square(33, 6, 50, 1, 1, 0),
        square(40, 4, 30, 3, 2, 1),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_shape(&cases[i]);
}
END_TEST

/* Gradients of a sure sample are tiny, and every part that a number is split into must still count. And what is not a
 * number must not be lost. */
START_TEST(scales_and_not_a_number) {
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
                ck_assert_msg(ldexpf(dx[i], -power) == plain[i], "%s: 2^%d: %.9g instead of %.9g", methods[m].name,
                              power, ldexpf(dx[i], -power), plain[i]);
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

START_TEST(unequal_axes_groups_and_batches) {
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

/* A filter for each channel, with planes from one pixel to many rows, and strides that leave pixels out. */
START_TEST(depthwise_filters) {
    static const struct {
        int size, kernel, stride, padding, dilation, batch;
    } cases[] = {
        {1, 3, 1, 1, 1, 1},  {7, 3, 1, 1, 1, 2},  {14, 5, 1, 2, 1, 1},  {15, 7, 1, 3, 1, 1}, {28, 3, 2, 1, 1, 1},
        {29, 3, 2, 1, 1, 2}, {13, 5, 2, 2, 1, 1}, {12, 7, 2, 3, 1, 1},  {23, 3, 1, 2, 2, 1}, {23, 3, 2, 2, 2, 1},
        {20, 2, 2, 0, 1, 1}, {9, 1, 1, 0, 1, 2},  {11, 1, 2, 0, 1, 1},  {10, 3, 1, 0, 1, 1}, {9, 2, 3, 1, 1, 1},
        {9, 8, 4, 3, 1, 1},  {6, 3, 1, 3, 1, 1},  {112, 3, 2, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shape s = square(5, cases[i].size, 5, cases[i].kernel, cases[i].stride, cases[i].padding);
        s.groups = 5, s.batch = cases[i].batch;
        s.dilation_height = s.dilation_width = cases[i].dilation;
        if (i % 2) s.in_width += 5;
        s = finish(s);
        check_shape(&s);
    }
    shape s = square(3, 17, 3, 3, 1, 1); /* unequal in everything */
    s.groups = 3, s.in_width = 40, s.kernel_width = 5, s.padding_width = 4, s.stride_width = 2, s.dilation_height = 2;
    s = finish(s);
    check_shape(&s);
}
END_TEST

/* Filters for which there are transforms, with channels that are no whole blocks, images that are no whole tiles, and
 * padding from none to all that makes sense. */
START_TEST(filters_with_transforms) {
    static const int kernels[][2] = {{1, 7}, {7, 1}, {5, 5}, {1, 3}, {3, 1}};
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        for (int variant = 0; variant < 3; variant++) {
            shape s = square(variant ? 37 : 16, 13 + variant, variant ? 20 : 48, 1, 1, 0);
            s.kernel_height = kernels[i][0], s.kernel_width = kernels[i][1];
            s.padding_height = variant * (s.kernel_height - 1) / 2,
            s.padding_width = variant * (s.kernel_width - 1) / 2;
            s.in_width += 4 * variant, s.batch = 1 + variant;
            s = finish(s);
            check_shape(&s);
        }
    }
}
END_TEST

/* Large images with channels that are no whole blocks and rows that are no whole tiles */
START_TEST(large_uneven_images) {
    for (int padding = is_slow() ? 2 : 0; padding < 3; padding++) {
        shape s = square(padding ? 50 : 33, 75, 70 + padding, 3, 1, padding);
        s.in_width = 101 + padding, s.batch = 1 + padding % 2;
        s = finish(s);
        check_shape(&s);
    }
}
END_TEST

START_TEST(random_shapes) {
    random_state = 20220801;
    const int count = is_slow() ? 20 : 70; /* the shapes above have every kernel */
    for (int i = 0; i < count;) {
        int groups = random_below(4) ? 1 : 1 + (int)random_below(4);
        shape s = {.batch = 1 + (int)random_below(3),
                   .in_channels = groups * (1 + (int)random_below(random_below(2) ? 8 : 40)),
                   .in_height = 1 + (int)random_below(24),
                   .in_width = 1 + (int)random_below(24),
                   .out_channels = groups * (1 + (int)random_below(random_below(2) ? 8 : 40)),
                   .kernel_height = 1 + (int)random_below(4),
                   .kernel_width = 1 + (int)random_below(4),
                   .stride_height = 1 + (int)random_below(3),
                   .stride_width = 1 + (int)random_below(3),
                   .padding_height = (int)random_below(4),
                   .padding_width = (int)random_below(4),
                   .dilation_height = 1 + (int)random_below(3),
                   .dilation_width = 1 + (int)random_below(3),
                   .groups = groups};
        if (random_below(2)) /* half of them 3x3 at stride 1, where the fast transforms live */
            s.kernel_height = s.kernel_width = 3,
            s.stride_height = s.stride_width = s.dilation_height = s.dilation_width = 1;
        if (s.in_height + 2 * s.padding_height < s.dilation_height * (s.kernel_height - 1) + 1) continue;
        if (s.in_width + 2 * s.padding_width < s.dilation_width * (s.kernel_width - 1) + 1) continue;
        s = finish(s);
        check_shape(&s);
        i++;
    }
}
END_TEST

/* Of a photo, a drawing, or two of them: rows of pixels cut into vectors, padding that reaches further than those,
 * strides with and without pixels that no filter sees. */
START_TEST(first_layers) {
    shape cases[] = {
        square(3, 64, 64, 7, 2, 3), square(3, 67, 96, 11, 4, 2), square(1, 50, 40, 5, 3, 2),
        square(2, 33, 16, 3, 1, 1), square(3, 19, 20, 16, 5, 0), square(3, 40, 17, 3, 1, 20),
        square(1, 28, 32, 2, 4, 0), square(3, 5, 16, 1, 1, 0),   square(2, 40, 33, 3, 2, 30),
    };
    cases[0].batch = cases[2].batch = 2;
    cases[3].dilation_height = 5, cases[3].dilation_width = 9;
    cases[3] = finish(cases[3]);
    cases[4].in_width = 130;
    cases[4] = finish(cases[4]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_shape(&cases[i]);
}
END_TEST

/* 3 x 3 at stride 2 by transforms, with results that are no whole tiles, pixels at the end that no filter sees, and
 * both phases of the input gradient; padding that is odd in one direction only and images that are too small have no
 * transforms. */
START_TEST(transforms_at_stride_2) {
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

/* Shapes too large for the naive loops, chosen so that every way of cutting the work is taken: several bands, strips
 * and chunks of channels, filters shared or made just in time, columns packed beforehand or not, dx by col2im or by
 * phases. The fast methods against the reference, which itself must satisfy <conv(x, w), dy> = <x, dx(dy, w)> = <w,
 * dw(x, dy)>. */
START_TEST(large_shapes_and_adjoint_identities) {
    shape cases[] = {square(64, 56, 64, 3, 1, 1),   square(64, 113, 80, 3, 2, 1),  square(128, 28, 512, 1, 1, 0),
                     square(512, 14, 512, 3, 1, 1), square(128, 56, 32, 3, 1, 1),  square(64, 224, 16, 3, 1, 1),
                     square(16, 224, 64, 3, 1, 1),  square(80, 150, 24, 3, 2, 1),  square(1024, 7, 256, 1, 1, 0),
                     square(512, 9, 128, 3, 1, 0),  square(256, 14, 384, 3, 2, 1), square(512, 14, 96, 3, 1, 1),
                     square(640, 7, 80, 3, 1, 1),   square(300, 7, 200, 1, 1, 0),  square(256, 56, 160, 3, 1, 1),
                     square(33, 59, 70, 3, 1, 2),   square(520, 7, 70, 1, 1, 0),   square(270, 14, 128, 1, 1, 0),
                     square(300, 35, 48, 1, 1, 0),  square(260, 64, 96, 1, 1, 0),  square(160, 17, 192, 1, 1, 0),
                     square(300, 13, 520, 3, 2, 1), square(96, 35, 112, 3, 2, 0),  square(64, 35, 48, 5, 1, 2),
                     square(72, 150, 88, 3, 1, 1),  square(3, 224, 64, 7, 2, 3),   square(3, 301, 32, 3, 2, 0),
                     square(3, 250, 48, 3, 1, 1)};
    for (size_t i = 11; i < 14; i++) cases[i].batch = 5;
    cases[15].batch = cases[16].batch = cases[17].batch = 3;
    cases[20].kernel_width = 7, cases[20].padding_width = 3;
    cases[20] = finish(cases[20]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += is_slow() ? 3 : 1) {
        const shape *s = &cases[i];
        sizes size = sizes_of(s);
        float *x = new_buffer(size.x, true), *w = new_buffer(size.w, true), *dy = new_buffer(size.y, true);
        const float *first[] = {x, x, dy, x, x}, *second[] = {w, w, w, dy, dy};
        const size_t count[] = {size.y, size.y, size.x, size.w, (size_t)s->out_channels};
        const float *pair[] = {dy, dy, x, w};
        double product[4] = {0}, scale = 0;
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
                if (is_slow() && methods[m].method == PSAL_CONV2D_GEMM) continue; /* the reference once more */
                if (is_repeated(s, m, op, PSAL_PROCESSOR_AUTO)) {
                    check_processors(s, m, op, first[op], second[op], want, NULL, count[op]);
                    continue;
                }
                float *got = run(s, methods[m].method, op, first[op], second[op], 3);
                double error = worst_error(got, want, count[op]);
                ck_assert_msg(error < methods[m].tolerance, "%s, %s, %s: error %g", operation_names[op],
                              methods[m].name, describe(s), error);
                check_processors(s, m, op, first[op], second[op], want, got, count[op]);
                if (op <= DX && s->batch > 1 && (op == FORWARD || methods[m].method != PSAL_CONV2D_GEMM))
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
        check_ternary(s);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("conv2d");
    TCase *tests = tcase_create("conv2d");
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, shapes_that_broke_others);
    tcase_add_test(tests, scales_and_not_a_number);
    tcase_add_test(tests, unequal_axes_groups_and_batches);
    tcase_add_test(tests, depthwise_filters);
    tcase_add_test(tests, filters_with_transforms);
    tcase_add_test(tests, transforms_at_stride_2);
    tcase_add_test(tests, first_layers);
    tcase_add_test(tests, large_uneven_images);
    tcase_add_test(tests, random_shapes);
    tcase_add_test(tests, large_shapes_and_adjoint_identities);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
