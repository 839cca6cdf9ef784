/* Masks: the right pixels, as many as were asked for, connected; what is put in their place. */
#include "saliency/masking.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/random.h"

enum { HEIGHT = 13, WIDTH = 17, PIXELS = HEIGHT * WIDTH };

static int64_t count(const bool *mask) {
    int64_t n = 0;
    for (int i = 0; i < PIXELS; i++) n += mask[i];
    return n;
}

START_TEST(test_top) {
    float values[PIXELS];
    bool mask[PIXELS];
    psal_random random = {1};
    for (int i = 0; i < PIXELS; i++) values[i] = (float)psal_random_below(&random, 50); /* with equal ones */
    for (int n = 0; n <= PIXELS; n += 20) {
        ck_assert_int_eq(psal_mask_top(values, PIXELS, n, mask, NULL), PSAL_OK);
        ck_assert_int_eq(count(mask), n);
        for (int i = 0; i < PIXELS; i++)
            for (int j = 0; j < PIXELS; j++)
                if (mask[i] && !mask[j]) ck_assert(values[i] > values[j] || (values[i] == values[j] && i < j));
    }
    ck_assert_int_eq(psal_mask_top(values, PIXELS, PIXELS + 1, mask, NULL), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_mask_count(PIXELS, 5), 11);
    ck_assert_int_eq(psal_mask_count(PIXELS, 0), 0);
    ck_assert_int_eq(psal_mask_count(PIXELS, 100), PIXELS);
}
END_TEST

/* Pixels reached from the first one by steps to the side. */
static int64_t reached(const bool *mask) {
    bool seen[PIXELS] = {false};
    for (int i = 0; i < PIXELS; i++)
        if (mask[i]) {
            seen[i] = true;
            break;
        }
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < PIXELS; i++) {
            if (!mask[i] || seen[i]) continue;
            const int x = i % WIDTH;
            seen[i] = (x > 0 && seen[i - 1]) || (x < WIDTH - 1 && seen[i + 1]) || (i >= WIDTH && seen[i - WIDTH]) ||
                      (i + WIDTH < PIXELS && seen[i + WIDTH]);
            more |= seen[i];
        }
    }
    return count(seen);
}

START_TEST(test_region) {
    bool mask[PIXELS], again[PIXELS];
    int ever[PIXELS] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        const int64_t n = 1 + (int64_t)(seed * 7 % PIXELS);
        ck_assert_int_eq(psal_mask_region(HEIGHT, WIDTH, n, seed, mask, NULL), PSAL_OK);
        ck_assert_int_eq(count(mask), n);
        ck_assert_int_eq(reached(mask), n);
        psal_mask_region(HEIGHT, WIDTH, n, seed, again, NULL);
        ck_assert_mem_eq(mask, again, sizeof mask);
        psal_mask_region(HEIGHT, WIDTH, 20, seed, mask, NULL);
        for (int i = 0; i < PIXELS; i++) ever[i] += mask[i];
    }
    for (int i = 0; i < PIXELS; i++) ck_assert(ever[i] > 0 && ever[i] < 100); /* every pixel's turn comes */
    ck_assert_int_eq(psal_mask_region(HEIGHT, WIDTH, PIXELS, 1, mask, NULL), PSAL_OK);
    ck_assert_int_eq(count(mask), PIXELS);
    ck_assert_int_eq(psal_mask_region(HEIGHT, WIDTH, 0, 1, mask, NULL), PSAL_OK);
    ck_assert_int_eq(count(mask), 0);
    ck_assert_int_eq(psal_mask_region(HEIGHT, WIDTH, PIXELS + 1, 1, mask, NULL), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_mask_region(1, 1, 1, 1, mask, NULL), PSAL_OK);
    ck_assert(mask[0]);
}
END_TEST

START_TEST(test_move) {
    bool mask[PIXELS], moved[PIXELS];
    for (uint64_t seed = 0; seed < 50; seed++) {
        psal_mask_region(HEIGHT, WIDTH, 30, seed, mask, NULL);
        psal_mask_move(mask, HEIGHT, WIDTH, seed + 1000, moved);
        ck_assert_int_eq(count(moved), 30);
        ck_assert(memcmp(mask, moved, sizeof mask) != 0);
        int fits = 0; /* of all ways to move it, one gives this */
        for (int down = 0; down < HEIGHT; down++)
            for (int right = 0; right < WIDTH; right++) {
                bool same = true;
                for (int i = 0; i < PIXELS && same; i++)
                    same = mask[i] == moved[(i / WIDTH + down) % HEIGHT * WIDTH + (i % WIDTH + right) % WIDTH];
                fits += same;
            }
        ck_assert_int_ge(fits, 1);
    }
}
END_TEST

START_TEST(test_fillings) {
    float image[2 * PIXELS], filling[2 * PIXELS], other[2 * PIXELS], out[2 * PIXELS];
    bool mask[PIXELS];
    psal_random random = {9};
    for (int i = 0; i < 2 * PIXELS; i++) image[i] = (float)(psal_random_normal(&random) * (i < PIXELS ? 1 : 3) + 2);
    double mean[2] = {0}, variance[2] = {0};
    for (int i = 0; i < 2 * PIXELS; i++) mean[i / PIXELS] += image[i] / (double)PIXELS;
    for (int i = 0; i < 2 * PIXELS; i++) variance[i / PIXELS] += pow(image[i] - mean[i / PIXELS], 2) / PIXELS;
    ck_assert_int_eq(psal_fill_image(PSAL_FILL_MEAN, image, 2, HEIGHT, WIDTH, 1, filling, NULL), PSAL_OK);
    for (int i = 0; i < 2 * PIXELS; i++) ck_assert_float_eq_tol(filling[i], (float)mean[i / PIXELS], 1e-5f);
    psal_fill_image(PSAL_FILL_NOISE, image, 2, HEIGHT, WIDTH, 1, filling, NULL);
    psal_fill_image(PSAL_FILL_NOISE, image, 2, HEIGHT, WIDTH, 2, other, NULL);
    ck_assert(memcmp(filling, other, sizeof other) != 0);
    double drawn[2] = {0}, spread[2] = {0};
    for (int i = 0; i < 2 * PIXELS; i++) drawn[i / PIXELS] += filling[i] / (double)PIXELS;
    for (int i = 0; i < 2 * PIXELS; i++) spread[i / PIXELS] += pow(filling[i] - drawn[i / PIXELS], 2) / PIXELS;
    for (int c = 0; c < 2; c++) {
        ck_assert_double_eq_tol(drawn[c], mean[c], 4 * sqrt(variance[c] / PIXELS));
        ck_assert(spread[c] > 0.6 * variance[c] && spread[c] < 1.5 * variance[c]);
    }
    /* Blurring: flat stays flat, a peak keeps its sum away from the border, and spreads. */
    for (int i = 0; i < 2 * PIXELS; i++) image[i] = i < PIXELS ? 7 : i == PIXELS + 6 * WIDTH + 8;
    ck_assert_int_eq(psal_fill_image(PSAL_FILL_BLUR, image, 2, HEIGHT, WIDTH, 1, filling, NULL), PSAL_OK);
    double sum = 0;
    for (int i = 0; i < PIXELS; i++) {
        ck_assert_float_eq_tol(filling[i], 7, 1e-5f);
        sum += filling[PIXELS + i];
    }
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    const double deviation = WIDTH / 16.0; /* next to the peak: exp(-1/2 / deviation^2) of it */
    ck_assert_double_eq_tol(filling[PIXELS + 6 * WIDTH + 9] / filling[PIXELS + 6 * WIDTH + 8],
                            exp(-0.5 / (deviation * deviation)), 1e-5);
    ck_assert_double_eq_tol(filling[PIXELS + 7 * WIDTH + 8], filling[PIXELS + 6 * WIDTH + 9], 1e-7);
    psal_mask_region(HEIGHT, WIDTH, 40, 3, mask, NULL);
    psal_mask_apply(image, filling, mask, 2, PIXELS, out);
    for (int i = 0; i < 2 * PIXELS; i++) ck_assert_float_eq(out[i], mask[i % PIXELS] ? filling[i] : image[i]);
}
END_TEST

/* |maximum over the channels|, blurred: by its definition with the border mirrored. */
START_TEST(test_pixel_saliency) {
    float gradient[3 * PIXELS], heat[PIXELS];
    psal_random random = {4};
    for (int i = 0; i < 3 * PIXELS; i++) gradient[i] = (float)psal_random_normal(&random);
    ck_assert_int_eq(psal_pixel_saliency(gradient, 3, HEIGHT, WIDTH, heat, NULL), PSAL_OK);
    const int kernel[] = {1, 2, 1};
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            double sum = 0;
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++) {
                    int v = abs(y + dy), u = abs(x + dx);
                    v = v >= HEIGHT ? HEIGHT - 2 : v;
                    u = u >= WIDTH ? WIDTH - 2 : u;
                    const int at = v * WIDTH + u;
                    const double largest = fmax(gradient[at], fmax(gradient[PIXELS + at], gradient[2 * PIXELS + at]));
                    sum += kernel[dy + 1] * kernel[dx + 1] * fabs(largest) / 16;
                }
            ck_assert_double_eq_tol(heat[y * WIDTH + x], sum, 1e-6);
        }
    const float one[] = {-3};
    ck_assert_int_eq(psal_pixel_saliency(one, 1, 1, 1, heat, NULL), PSAL_OK);
    ck_assert_float_eq(heat[0], 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("masking");
    TCase *tcase = tcase_create("masking");
    tcase_add_test(tcase, test_top);
    tcase_add_test(tcase, test_region);
    tcase_add_test(tcase, test_move);
    tcase_add_test(tcase, test_fillings);
    tcase_add_test(tcase, test_pixel_saliency);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
