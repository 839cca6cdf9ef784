#include "engine/describer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/draft.h"

static void add(psal_describer *d, const char *name, const char *first, const char *second) {
    const psal_attribute attribute = {
        .name = "k", .type = PSAL_ATTRIBUTE_INTS, .text = "", .count = 2, .integers = (int64_t[]){3, 4}};
    const psal_operator o = {.name = name, .type = "T", .domain = "", .attributes = &attribute, .attribute_count = 1};
    psal_describer_operator(d, &o, (const char *const[]){first, second}, second ? 2 : 1, name);
}

static psal_status finish(psal_describer *d, psal_error *err) {
    return psal_describer_finish(d, &(psal_description){.name = "net", .producer = "me", .opset = 15}, err);
}

/* Operators come behind those that make what they read, else in the order at hand. */
START_TEST(test_order) {
    const psal_shape one = PSAL_SHAPE(1);
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    ck_assert_int_eq(psal_tensor_map_add_view(map, "w", PSAL_F32, &one, &(float){1}, &err), PSAL_OK);
    psal_describer *d = psal_describer_new(map, &err);
    add(d, "c", "b", "a");
    add(d, "b", "a", "w");
    add(d, "a", "x", NULL);
    add(d, "e", "x", NULL);
    psal_describer_input(d, "x", 2, (int64_t[]){-1, 5});
    psal_describer_output(d, "c");
    ck_assert_msg(finish(d, &err) == PSAL_OK, "%s", err.message);
    const psal_description *all = psal_tensor_map_description(map);
    ck_assert_str_eq(all->name, "net");
    ck_assert_str_eq(all->producer, "me");
    ck_assert_uint_eq(all->operator_count, 4);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(all->operators[i].name[0], "abce"[i]);
    const psal_operator *b = &all->operators[1];
    ck_assert_str_eq(all->values[b->inputs[0]], "a");
    ck_assert_str_eq(all->values[b->inputs[1]], "w");
    ck_assert_str_eq(all->values[b->outputs[0]], "b");
    ck_assert_int_eq((int)b->attributes[0].integers[1], 4);
    ck_assert_str_eq(all->values[all->inputs[0].value], "x");
    ck_assert_int_eq((int)all->inputs[0].dim[1], 5);
    ck_assert_str_eq(all->values[all->outputs[0].value], "c");
    for (int v = 1; v < all->value_count; v++) ck_assert_int_lt(strcmp(all->values[v - 1], all->values[v]), 0);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_refusals) {
    static const struct {
        const char *names[3], *inputs[3], *why;
    } refused[] = {
        {{"a", "b", "a"}, {"x", "a", "b"}, "'a' (T) makes 'a', which was made before"},
        {{"a", "b", "x"}, {"x", "a", "b"}, "'x' (T) makes 'x', which was made before"},
        {{"a", "b", "c"}, {"x", "c", "b"}, "depends on itself"},
        {{"a", "b", "c"}, {"x", "b", "a"}, "'b' (T) depends on itself"},
        {{"a", "b", "c"}, {"x", "q", "a"}, "'b' (T) reads 'q', which nothing makes"},
        {{"a", "b", "d"}, {"x", "a", "a"}, "nothing makes the output 'c'"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_tensor_map *map = psal_tensor_map_new();
        psal_describer *d = psal_describer_new(map, &err);
        for (int k = 0; k < 3; k++) add(d, refused[i].names[k], refused[i].inputs[k], NULL);
        psal_describer_input(d, "x", -1, NULL);
        psal_describer_output(d, "c");
        ck_assert_int_eq(finish(d, &err), PSAL_ERR_FORMAT);
        ck_assert_msg(strstr(err.message, refused[i].why), "'%s', expected: %s", err.message, refused[i].why);
        ck_assert_ptr_null(psal_tensor_map_description(map));
        psal_tensor_map_free(map);
    }
}
END_TEST

/* Far more than one block, and a chain that no stack of calls would hold. */
START_TEST(test_long_chain) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_describer *d = psal_describer_new(map, &err);
    char name[20], before[20];
    const int count = 100000;
    for (int i = count; i > 0; i--) {
        snprintf(name, sizeof name, "v%d", i);
        snprintf(before, sizeof before, "v%d", i - 1);
        add(d, name, before, NULL);
    }
    psal_describer_input(d, "v0", -1, NULL);
    ck_assert_msg(finish(d, &err) == PSAL_OK, "%s", err.message);
    ck_assert_str_eq(psal_tensor_map_description(map)->operators[count - 1].name, "v100000");
    psal_tensor_map_free(map);
}
END_TEST

/* What takes exactly the rest does not fit any more: room is counted in sixteens, with some behind every piece. */
START_TEST(test_limit) {
    const size_t limit = (size_t)512 << 20;
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_draft draft;
    psal_draft_begin(&draft, map);
    ck_assert_str_eq(psal_draft_text(&draft, "name", 2), "na");
    ck_assert_ptr_null(psal_draft_allocate(&draft, limit - draft.total, 1));
    ck_assert_ptr_null(psal_draft_allocate(&draft, 1, 1));
    PSAL_DRAFT_FAIL(&draft, PSAL_ERR_IO, "later");
    ck_assert_int_eq(psal_draft_finish(&draft, &err), PSAL_ERR_FORMAT);
    ck_assert_str_eq(err.message, "the network's description takes more than 512 MiB");
    ck_assert_ptr_null(psal_tensor_map_description(map));
    psal_draft_begin(&draft, map);
    ck_assert_ptr_null(psal_draft_allocate(&draft, SIZE_MAX / 2, 4));
    ck_assert_int_eq(psal_draft_finish(&draft, NULL), PSAL_ERR_FORMAT);
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("engine/describer");
    TCase *cases = tcase_create("describer");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_order);
    tcase_add_test(cases, test_refusals);
    tcase_add_test(cases, test_long_chain);
    tcase_add_test(cases, test_limit);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
