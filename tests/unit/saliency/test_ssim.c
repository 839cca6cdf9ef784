/* Structural similarity: against its definition, window by window. */
#include "saliency/ssim.h"

#include <check.h>
#include <math.h>

#include "saliency/random.h"

enum { HEIGHT = 15, WIDTH = 19, W = PSAL_SSIM_WINDOW };

static double by_definition(const float *a, const float *b) {
    double total = 0;
    int windows = 0;
    for (int y = 0; y + W <= HEIGHT; y++)
        for (int x = 0; x + W <= WIDTH; x++, windows++) {
            double weight[W][W], sum = 0, ma = 0, mb = 0, va = 0, vb = 0, cov = 0;
            for (int i = 0; i < W; i++)
                for (int j = 0; j < W; j++)
                    sum += weight[i][j] = exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / (2 * 1.5 * 1.5));
            for (int i = 0; i < W; i++)
                for (int j = 0; j < W; j++) {
                    ma += weight[i][j] / sum * a[(y + i) * WIDTH + x + j];
                    mb += weight[i][j] / sum * b[(y + i) * WIDTH + x + j];
                }
            for (int i = 0; i < W; i++)
                for (int j = 0; j < W; j++) {
                    const double p = a[(y + i) * WIDTH + x + j] - ma, q = b[(y + i) * WIDTH + x + j] - mb;
                    va += weight[i][j] / sum * p * p;
                    vb += weight[i][j] / sum * q * q;
                    cov += weight[i][j] / sum * p * q;
                }
            total += (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4));
        }
    return total / windows;
}

START_TEST(test_definition) {
    float a[HEIGHT * WIDTH], b[HEIGHT * WIDTH];
    psal_random random = {2};
    double last = 2;
    for (int noise = 0; noise <= 4; noise++) { /* the more noise, the less alike */
        psal_random same = {17};
        for (int i = 0; i < HEIGHT * WIDTH; i++) {
            a[i] = (float)psal_random_uniform(&same);
            b[i] = (float)(a[i] * (1 - noise / 4.0) + noise / 4.0 * psal_random_uniform(&random));
        }
        double ssim;
        ck_assert_int_eq(psal_ssim(a, b, HEIGHT, WIDTH, &ssim, NULL), PSAL_OK);
        ck_assert_double_eq_tol(ssim, by_definition(a, b), 1e-9);
        ck_assert(ssim < last);
        last = ssim;
        if (noise == 0) ck_assert_double_eq_tol(ssim, 1, 1e-9);
    }
    ck_assert_double_lt(last, 0.3);
}
END_TEST

START_TEST(test_small) {
    float a[W * W] = {0}, b[W * W] = {0};
    double ssim;
    ck_assert_int_eq(psal_ssim(a, b, W, W, &ssim, NULL), PSAL_OK);
    ck_assert_double_eq_tol(ssim, 1, 1e-12);
    ck_assert_int_eq(psal_ssim(a, b, W, W - 1, &ssim, NULL), PSAL_OK);
    ck_assert(isnan(ssim));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ssim");
    TCase *tcase = tcase_create("ssim");
    tcase_add_test(tcase, test_definition);
    tcase_add_test(tcase, test_small);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
