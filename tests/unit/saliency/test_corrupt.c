/* Corrupted copies of an image: as strong as they are said to be. */
#include "saliency/corrupt.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "saliency/random.h"

enum { CHANNELS = 2, HEIGHT = 56, WIDTH = 40, PIXELS = HEIGHT * WIDTH };

static const double UNIT[CHANNELS] = {0.01, 0.02};
static float image[CHANNELS * PIXELS], out[CHANNELS * PIXELS];

static void fill_image(void) {
    psal_random random = {3};
    for (int i = 0; i < CHANNELS * PIXELS; i++) image[i] = (float)psal_random_uniform(&random);
}

static void corrupt(psal_corruption corruption, uint64_t seed) {
    ck_assert_int_eq(psal_corrupt_image(corruption, image, CHANNELS, HEIGHT, WIDTH, UNIT, seed, out, NULL), PSAL_OK);
}

START_TEST(test_noise) {
    float first[CHANNELS * PIXELS];
    fill_image();
    corrupt(PSAL_CORRUPT_NOISE, 1);
    for (int c = 0; c < CHANNELS; c++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < PIXELS; i++) {
            const double e = ((double)out[c * PIXELS + i] - image[c * PIXELS + i]) / UNIT[c];
            sum += e;
            squares += e * e;
        }
        ck_assert_double_eq_tol(sum / PIXELS, 0, 4 * 20 / sqrt(PIXELS));
        ck_assert_double_eq_tol(sqrt(squares / PIXELS), 20, 4 * 20 / sqrt(2.0 * PIXELS));
    }
    memcpy(first, out, sizeof first);
    corrupt(PSAL_CORRUPT_NOISE, 1);
    ck_assert_mem_eq(first, out, sizeof first);
    corrupt(PSAL_CORRUPT_NOISE, 2);
    ck_assert_mem_ne(first, out, sizeof first);
}
END_TEST

START_TEST(test_blur) {
    memset(image, 0, sizeof image);
    image[20 * WIDTH + 15] = 1; /* the longer side has 56 pixels: deviation 1 */
    corrupt(PSAL_CORRUPT_BLUR, 0);
    double kernel[4] = {1, exp(-0.5), exp(-2), exp(-4.5)}, sum = kernel[0] + 2 * (kernel[1] + kernel[2] + kernel[3]);
    for (int y = -5; y <= 5; y++)
        for (int x = -5; x <= 5; x++) {
            const int dy = y < 0 ? -y : y, dx = x < 0 ? -x : x;
            const double expected = dy > 3 || dx > 3 ? 0 : kernel[dy] * kernel[dx] / (sum * sum);
            ck_assert_double_eq_tol(out[(20 + y) * WIDTH + 15 + x], expected, 1e-7);
        }
    for (int i = 0; i < PIXELS; i++) ck_assert_float_eq(out[PIXELS + i], 0);
}
END_TEST

START_TEST(test_contrast) {
    fill_image();
    corrupt(PSAL_CORRUPT_CONTRAST, 0);
    for (int c = 0; c < CHANNELS; c++) {
        double mean = 0;
        for (int i = 0; i < PIXELS; i++) mean += image[c * PIXELS + i] / (double)PIXELS;
        for (int i = 0; i < PIXELS; i++)
            ck_assert_double_eq_tol(out[c * PIXELS + i], mean + 0.4 * (image[c * PIXELS + i] - mean), 1e-6);
    }
    ck_assert_str_eq(psal_corruption_name(PSAL_CORRUPT_NOISE), "noise");
    ck_assert_str_eq(psal_corruption_name(PSAL_CORRUPT_CONTRAST), "contrast");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("corrupt");
    TCase *tests = tcase_create("corrupt");
    tcase_add_test(tests, test_noise);
    tcase_add_test(tests, test_blur);
    tcase_add_test(tests, test_contrast);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
