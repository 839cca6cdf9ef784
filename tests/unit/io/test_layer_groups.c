#include "io/layer_groups.h"

#include <math.h>

#include "tests/unit/io/scratch.h"

static psal_figure_layer layers[200];

/* Layers of one filter each with these names, repeated with a number so that there are more than
 * twelve. */
static void expect_group(const char *prefix, const char *name, const char *group) {
    char other[14][100], out[64];
    for (size_t i = 0; i < 14; i++) {
        snprintf(other[i], sizeof other[i], "%sother%zu.weight", prefix, i);
        layers[i] = (psal_figure_layer){other[i], (int64_t)i, 1, NULL};
    }
    layers[5].name = name;
    ck_assert_str_eq(psal_figure_layer_group(layers, 14, 5, out, sizeof out), group);
}

START_TEST(test_stage_of_a_name) {
    expect_group("", "layer4.1.conv3.weight", "layer4");
    expect_group("", "conv1.weight", "conv1");
    expect_group("", "Mixed_5b.branch1x1.conv.weight", "Mixed_5b");
    expect_group("features.", "features.denseblock4.denselayer16.conv2.weight", "denseblock4");
    expect_group("features.", "features.conv0.weight", "conv0");
    expect_group("features.", "features.28.weight", "features.28");
    expect_group("net.features.", "net.features.28.weight", "features.28");
    expect_group("", "nodots", "nodots");
    expect_group("", "", "");
    expect_group("", ".", "");
    expect_group("", "a\xff\nb.weight", "a\xef\xbf\xbd b");
}
END_TEST

START_TEST(test_few_layers_stand_for_themselves) {
    const psal_figure_layer few[] = {{"features.0.weight", 0, 4, NULL}, {"features.3.weight", 4, 4, "second"}};
    char out[32];
    ck_assert_str_eq(psal_figure_layer_group(few, 2, 0, out, sizeof out), "features.0");
    ck_assert_str_eq(psal_figure_layer_group(few, 2, 1, out, sizeof out), "second");
    ck_assert_str_eq(psal_figure_layer_group(few, 2, 0, out, 5), "feat");
}
END_TEST

START_TEST(test_neighbours_are_joined) {
    const psal_figure_layer four[] = {{"a", 0, 4, "one"}, {"b", 4, 1, "one"}, {"c", 5, 2, "two"}, {"d", 7, 3, "one"}};
    fig_group *groups;
    size_t count;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(fig_groups_make(four, 4, &groups, &count, &err), PSAL_OK);
    ck_assert_uint_eq(count, 3);
    ck_assert(groups[0].first == 0 && groups[0].count == 5 && groups[0].layer_count == 2);
    ck_assert(groups[1].first == 5 && groups[1].count == 2 && groups[1].first_layer == 2);
    ck_assert(groups[2].first == 7 && groups[2].count == 3 && groups[2].layer_count == 1);
    free(groups);
}
END_TEST

START_TEST(test_layers_that_do_not_fit) {
    psal_error err = PSAL_ERROR_INIT;
    psal_figure_layer two[] = {{"a", 0, 4, NULL}, {"b", 4, 6, NULL}};
    ck_assert_int_eq(fig_layers_check(two, 2, 10, &err), PSAL_OK);
    ck_assert_int_eq(fig_layers_check(two, 2, -1, &err), PSAL_OK);
    ck_assert_int_ne(fig_layers_check(two, 2, 11, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "10", "11");
    two[1].first = 5;
    ck_assert_int_ne(fig_layers_check(two, 2, 10, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "layer b", "filter 5", "begin at 4");
    two[1] = (psal_figure_layer){"b", 4, 0, NULL};
    ck_assert_int_ne(fig_layers_check(two, 2, 4, &err), PSAL_OK);
    two[1] = (psal_figure_layer){"b", 4, INT64_MAX, NULL};
    ck_assert_int_ne(fig_layers_check(two, 2, -1, &err), PSAL_OK);
    two[1] = (psal_figure_layer){NULL, 4, 1, NULL};
    ck_assert_int_ne(fig_layers_check(two, 2, 5, &err), PSAL_OK);
    ck_assert_int_ne(fig_layers_check(two, 0, 0, &err), PSAL_OK);
    ck_assert_int_ne(fig_layers_check(NULL, 1, 1, &err), PSAL_OK);
}
END_TEST

START_TEST(test_labels_are_moved_apart) {
    double wanted[] = {10, 12, 14, 80}, width[] = {10, 10, 10, 10}, placed[4];
    double moved = fig_place_labels(4, wanted, width, 2, 0, 100, placed);
    ck_assert_double_eq_tol(placed[1], 17, 1e-9); /* pushed right by the edge: 5, 17, 29 */
    ck_assert_double_eq_tol(placed[0], 5, 1e-9);
    ck_assert_double_eq_tol(placed[2], 29, 1e-9);
    ck_assert_double_eq_tol(placed[3], 80, 1e-9);
    ck_assert_double_eq_tol(moved, 15, 1e-9);
    /* Away from the edges a cluster keeps its middle. */
    double middle[] = {50, 50, 50};
    fig_place_labels(3, middle, width, 0, 0, 100, placed);
    ck_assert_double_eq_tol(placed[0], 40, 1e-9);
    ck_assert_double_eq_tol(placed[1], 50, 1e-9);
    ck_assert_double_eq_tol(placed[2], 60, 1e-9);
    ck_assert(fig_place_labels(4, wanted, width, 2, 0, 45, placed) < 0);
    ck_assert(fig_place_labels(0, NULL, NULL, 2, 0, 45, NULL) == 0);
}
END_TEST

START_TEST(test_labels_never_touch) {
    double wanted[50], width[50], placed[50];
    uint32_t state = 7;
    for (int round = 0; round < 200; round++) {
        double at = 0, total = 0;
        for (int i = 0; i < 50; i++) {
            state = state * 1664525u + 1013904223u;
            at += (state >> 16) % 7;
            wanted[i] = at;
            width[i] = 1 + (state >> 24) % 9;
            total += width[i] + 1;
        }
        double moved = fig_place_labels(50, wanted, width, 1, 0, 400, placed);
        ck_assert(total - 1 > 400 ? moved < 0 : moved >= 0);
        if (moved < 0) continue;
        ck_assert(placed[0] - width[0] / 2 > -1e-9 && placed[49] + width[49] / 2 < 400 + 1e-9);
        for (int i = 1; i < 50; i++) ck_assert(placed[i] - placed[i - 1] >= (width[i] + width[i - 1]) / 2 + 1 - 1e-9);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("layer groups");
    tcase_add_test(tests, test_stage_of_a_name);
    tcase_add_test(tests, test_few_layers_stand_for_themselves);
    tcase_add_test(tests, test_neighbours_are_joined);
    tcase_add_test(tests, test_layers_that_do_not_fit);
    tcase_add_test(tests, test_labels_are_moved_apart);
    tcase_add_test(tests, test_labels_never_touch);
    return run_case("layer groups", tests);
}
