#include <math.h>

#include "io/figure.h"
#include "tests/unit/io/scratch.h"

/* Numbers in -1 .. 1 that a few lines of Python repeat exactly. */
static void fill(float *values, size_t count) {
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = (state * 1103515245u + 12345u) & 0x7fffffffu;
        values[i] = (float)(((int)((state >> 8) % 2001) - 1000) / 1000.0);
    }
}

static void expect_heat(int channels, int height, int width, const float *expected) {
    float grad[200], heat[200];
    psal_error err = PSAL_ERROR_INIT;
    fill(grad, (size_t)(channels * height * width));
    ck_assert_msg(psal_heatmap(grad, channels, height, width, heat, &err) == PSAL_OK, "%s", err.message);
    for (int i = 0; i < height * width; i++)
        ck_assert_msg(fabsf(heat[i] - expected[i]) <= 2e-6f, "pixel %d: %.8g, expected %.8g", i, (double)heat[i],
                      (double)expected[i]);
}

/* Computed with NumPy: abs(g.max(0)), np.percentile 99 and 90, np.pad(mode="reflect"), the two [1 2
 * 1]/4 passes. */
START_TEST(test_against_numpy) {
    static const float three[] = {0,
                                  0.025313398f,
                                  0.1756268f,
                                  0.2753134f,
                                  0.25f,
                                  0,
                                  0.025313398f,
                                  0.1756268f,
                                  0.32212312f,
                                  0.34361945f,
                                  0,
                                  0.012656699f,
                                  0.087813398f,
                                  0.23127615f,
                                  0.3122389f,
                                  0,
                                  0,
                                  0,
                                  0.046809725f,
                                  0.093619451f,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0};
    expect_heat(3, 6, 5, three);
    static const float one[] = {0.16314687f, 0.16314687f, 0.081573434f, 0, 0, 0, 0, 0.125f, 0.25f,
                                0.16314687f, 0.16314687f, 0.081573434f, 0, 0, 0, 0, 0.125f, 0.25f};
    expect_heat(1, 2, 9, one);
}
END_TEST

/* The signed maximum comes first: a pixel of −5 and 0 has saliency 0, as in the original. */
START_TEST(test_maximum_before_absolute_value) {
    float grad[2 * 9] = {-5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}, heat[9];
    ck_assert_int_eq(psal_heatmap(grad, 2, 3, 3, heat, NULL), PSAL_OK);
    ck_assert(heat[0] == 0);
    ck_assert(heat[8] > 0.2f);
    grad[9] = -4; /* now both channels are negative: |−4| is the largest */
    ck_assert_int_eq(psal_heatmap(grad, 2, 3, 3, heat, NULL), PSAL_OK);
    ck_assert(heat[0] > heat[8]);
}
END_TEST

/* A single bright pixel becomes the kernel's outer product; on the border its mirror image comes
 * back. */
START_TEST(test_blur) {
    float grad[400] = {0}, heat[400];
    for (int i = 0; i < 400; i += 11) grad[i] = 1; /* 37 of 400: the 90th percentile is 0 */
    ck_assert_int_eq(psal_heatmap(grad, 1, 20, 20, heat, NULL), PSAL_OK);
    float total = 0;
    for (int i = 0; i < 400; i++) {
        ck_assert(heat[i] >= 0 && heat[i] <= 1);
        total += heat[i];
    }
    ck_assert(total > 30 && total < 45);
    float row[7] = {0, 0, 0, 1, 0, 0, 0};
    ck_assert_int_eq(psal_heatmap(row, 1, 1, 7, heat, NULL), PSAL_OK);
    ck_assert(heat[2] == 0.25f && heat[3] == 0.5f && heat[4] == 0.25f && heat[0] == 0);
    float edge[7] = {1, 0, 0, 0, 0, 0, 0};
    ck_assert_int_eq(psal_heatmap(edge, 1, 7, 1, heat, NULL), PSAL_OK);
    ck_assert(heat[0] == 0.5f && heat[1] == 0.25f && heat[2] == 0);
    float pair[2] = {1, 0};
    ck_assert_int_eq(psal_heatmap(pair, 1, 1, 2, heat, NULL), PSAL_OK);
    ck_assert(heat[0] == 0.5f && heat[1] == 0.5f);
}
END_TEST

START_TEST(test_flat_and_damaged_gradients) {
    float grad[12] = {0}, heat[12];
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_heatmap(grad, 3, 2, 2, heat, &err), PSAL_OK);
    for (int i = 0; i < 4; i++) ck_assert(heat[i] == 0);
    ck_assert_int_eq(psal_heatmap(grad, 1, 1, 1, heat, &err), PSAL_OK);
    grad[9] = NAN;
    ck_assert_int_ne(psal_heatmap(grad, 3, 2, 2, heat, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_NUMERIC, "channel 2", "row 0", "column 1");
    grad[9] = -INFINITY;
    ck_assert_int_eq(psal_heatmap(grad, 3, 2, 2, heat, &err), PSAL_ERR_NUMERIC);
    ck_assert_int_eq(psal_heatmap(grad, 0, 2, 2, heat, &err), PSAL_ERR_SHAPE);
    ck_assert_int_eq(psal_heatmap(grad, 3, 0, 2, heat, &err), PSAL_ERR_SHAPE);
}
END_TEST

/* Sorted input, many equal values: the selection must not lose its way or its speed. */
START_TEST(test_percentile_of_ordered_values) {
    enum { SIDE = 300 };
    float *grad = malloc(SIDE * SIDE * sizeof *grad), *heat = malloc(SIDE * SIDE * sizeof *heat);
    for (int i = 0; i < SIDE * SIDE; i++) grad[i] = (float)i;
    ck_assert_int_eq(psal_heatmap(grad, 1, SIDE, SIDE, heat, NULL), PSAL_OK);
    ck_assert(heat[SIDE * SIDE - 1] == 1 && heat[0] == 0);
    /* Between the percentiles the scale is linear: 0.945 n lies half way (rows of the blur are
     * symmetric). */
    ck_assert_float_eq_tol(heat[(int)(0.945 * SIDE) * SIDE + SIDE / 2], 0.5f, 0.03f);
    for (int i = 0; i < SIDE * SIDE; i++) grad[i] = (float)(i % 3);
    ck_assert_int_eq(psal_heatmap(grad, 1, SIDE, SIDE, heat, NULL), PSAL_OK);
    free(grad);
    free(heat);
}
END_TEST

START_TEST(test_jet) {
    static const struct {
        float v;
        uint8_t rgb[3];
    } table[] = {{0, {0, 0, 128}},
                 {32 / 255.0f, {0, 1, 255}},
                 {64 / 255.0f, {0, 129, 255}},
                 {128 / 255.0f, {130, 255, 126}},
                 {191 / 255.0f, {255, 128, 0}},
                 {1, {128, 0, 0}},
                 {-3, {0, 0, 128}},
                 {7, {128, 0, 0}},
                 {NAN, {0, 0, 128}}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint8_t rgb[3];
        psal_jet(table[i].v, rgb);
        for (int c = 0; c < 3; c++)
            ck_assert_msg(abs(rgb[c] - table[i].rgb[c]) <= 1, "jet(%g)[%d] = %d, expected %d", (double)table[i].v, c,
                          rgb[c], table[i].rgb[c]);
    }
}
END_TEST

/* k/255 is level k, whatever float32 makes of it. */
START_TEST(test_jet_levels) {
    for (int k = 0; k < 256; k++) {
        uint8_t rgb[3];
        psal_jet((float)k / 255, rgb);
        double v = k / 255.0, exact[3] = {1.5 - fabs(4 * v - 3), 1.5 - fabs(4 * v - 2), 1.5 - fabs(4 * v - 1)};
        for (int c = 0; c < 3; c++) ck_assert_int_le(abs(rgb[c] - (int)lround(255 * fmin(fmax(exact[c], 0), 1))), 1);
    }
}
END_TEST

/* (jet + photo) / max: with jet(0) = (0, 0, .50) over (255, 51, 0) the largest is 1, over
 * white 1.5. */
START_TEST(test_overlay) {
    const float heat[2] = {0, 0};
    uint8_t photo[6] = {255, 51, 0, 0, 0, 0}, out[6];
    psal_heatmap_overlay(PSAL_COLORS_JET, heat, photo, 1, 2, out);
    const uint8_t expected[6] = {255, 51, 128, 0, 0, 128};
    for (int i = 0; i < 6; i++) ck_assert_int_le(abs(out[i] - expected[i]), 1);
    memset(photo, 255, 3);
    psal_heatmap_overlay(PSAL_COLORS_JET, heat, photo, 1, 2, photo); /* in place */
    const uint8_t white[6] = {170, 170, 255, 0, 0, 85};
    for (int i = 0; i < 6; i++) ck_assert_int_le(abs(photo[i] - white[i]), 1);
}
END_TEST

/* CIE L* of an sRGB colour */
static double lightness(const uint8_t rgb[3]) {
    static const double parts[] = {0.2126, 0.7152, 0.0722};
    double y = 0;
    for (int c = 0; c < 3; c++) {
        const double v = rgb[c] / 255.0;
        y += parts[c] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return y > 0.008856 ? 116 * cbrt(y) - 16 : 903.3 * y;
}

/* Published first, middle and last colours; lightness (0 to 100) rises evenly. */
START_TEST(test_even_scales) {
    static const uint8_t known[2][3][3] = {{{0x00, 0x22, 0x4e}, {0x7d, 0x7c, 0x78}, {0xfe, 0xe8, 0x38}},
                                           {{0x00, 0x00, 0x04}, {0xb7, 0x37, 0x79}, {0xfc, 0xfd, 0xbf}}};
    const float values[] = {0, 128.0f / 255, 1};
    uint8_t rgb[3];
    for (int map = 0; map < 2; map++) {
        const psal_colors colors = map ? PSAL_COLORS_MAGMA : PSAL_COLORS_CIVIDIS;
        for (int i = 0; i < 3; i++) {
            psal_heat_color(colors, values[i], rgb);
            ck_assert_mem_eq(rgb, known[map][i], 3);
        }
        psal_heat_color(colors, 0, rgb);
        const double first = lightness(rgb);
        psal_heat_color(colors, 1, rgb);
        const double step = (lightness(rgb) - first) / 255;
        double before = -1;
        for (int i = 0; i < 256; i++) {
            psal_heat_color(colors, (float)i / 255, rgb);
            ck_assert_double_eq_tol(lightness(rgb), first + i * step, 6);
            ck_assert_double_gt(lightness(rgb), before - 0.02); /* 8 bits are coarse */
            before = lightness(rgb);
        }
    }
    for (int i = 0; i < 256; i++) {
        uint8_t jet[3];
        psal_jet((float)i / 255, jet);
        psal_heat_color(PSAL_COLORS_JET, (float)i / 255, rgb);
        ck_assert_mem_eq(rgb, jet, 3);
    }
    ck_assert_str_eq(psal_colors_name(PSAL_COLORS_MAGMA), "magma");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("heat map");
    tcase_add_test(tests, test_against_numpy);
    tcase_add_test(tests, test_maximum_before_absolute_value);
    tcase_add_test(tests, test_blur);
    tcase_add_test(tests, test_flat_and_damaged_gradients);
    tcase_add_test(tests, test_percentile_of_ordered_values);
    tcase_add_test(tests, test_jet);
    tcase_add_test(tests, test_jet_levels);
    tcase_add_test(tests, test_overlay);
    tcase_add_test(tests, test_even_scales);
    return run_case("heat map", tests);
}
