/* Tests saliency/computation.h: keys, comparison, what is not said, metadata there and back. */
#include "saliency/computation.h"

#include "tests/unit/models/fixtures.h"

START_TEST(every_field_has_a_row) {
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) {
        const psal_field_row *row = psal_field_describe((psal_field)f);
        ck_assert_msg(row->key && row->name && strncmp(row->key, "psal.", 5) == 0, "field %d", f);
        for (int g = 0; g < f; g++) {
            ck_assert_str_ne(row->key, psal_field_describe((psal_field)g)->key);
            ck_assert_str_ne(row->name, psal_field_describe((psal_field)g)->name);
        }
        ck_assert((PSAL_FIELDS_PROFILE & ~PSAL_FIELDS_RUN) == 0); /* who goes on must not mix profiles */
    }
}
END_TEST

static psal_computation full(void) {
    psal_computation c = {0};
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) psal_computation_set(&c, (psal_field)f, "value %d", f);
    return c;
}

START_TEST(each_field_counts_by_itself) {
    const psal_fields all = PSAL_FIELD_SET(PSAL_FIELD_COUNT) - 1;
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) {
        psal_computation a = full(), b = full();
        const psal_fields one = PSAL_FIELD_SET(f);
        char expected[400], names[512];
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_int_eq(psal_computation_difference(&a, &b, all), PSAL_FIELD_COUNT);
        psal_computation_set(&b, (psal_field)f, "other");
        ck_assert_int_eq(psal_computation_difference(&a, &b, all), f);
        ck_assert_int_eq(psal_computation_difference(&a, &b, all & ~one), PSAL_FIELD_COUNT);
        ck_assert_int_eq(psal_computation_check(&a, &b, one, &err), PSAL_ERR_ARGUMENT);
        snprintf(expected, sizeof expected, "its %s is 'value %d', but here it is 'other'",
                 psal_field_describe((psal_field)f)->name, f);
        ck_assert_str_eq(err.message, expected);
        ck_assert(psal_computation_unsaid(&a, &b, all, true) == 0);
        *a.value[f] = '\0'; /* not said there: no difference, but unsaid */
        ck_assert_int_eq(psal_computation_check(&a, &b, all, &err), PSAL_OK);
        ck_assert(psal_computation_unsaid(&a, &b, all, true) == one);
        ck_assert(psal_computation_unsaid(&a, &b, all, false) == (psal_field_describe((psal_field)f)->late ? 0 : one));
        ck_assert(psal_computation_unsaid(&a, &b, all & ~one, true) == 0);
        ck_assert_str_eq(psal_fields_names(one, names), psal_field_describe((psal_field)f)->name);
        ck_assert(psal_computation_unsaid(&b, &a, all, true) == 0); /* does not apply here */
        ck_assert_int_eq(psal_computation_difference(&b, &a, all), PSAL_FIELD_COUNT);
    }
}
END_TEST

START_TEST(there_and_back) {
    psal_computation a = full(), b;
    *a.value[PSAL_FIELD_VARIANT] = '\0';
    psal_tensor_map *map = psal_tensor_map_new();
    ck_assert_int_eq(psal_computation_to_metadata(&a, map, NULL), PSAL_OK);
    ck_assert_int_eq(psal_tensor_map_meta_count(map), PSAL_FIELD_COUNT - 1);
    ck_assert_ptr_null(psal_tensor_map_meta(map, "psal.variant"));
    ck_assert_int_eq(psal_computation_from_metadata(&b, map, NULL), PSAL_OK);
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) ck_assert_str_eq(a.value[f], b.value[f]);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(long_texts_are_cut_and_refused) {
    char text[600], names[512];
    psal_computation c = {0};
    memset(text, 'x', sizeof text);
    text[599] = '\0';
    psal_computation_set(&c, PSAL_FIELD_DATASET_NAME, "%s", text);
    ck_assert_uint_eq(strlen(c.value[PSAL_FIELD_DATASET_NAME]), PSAL_FIELD_SIZE - 1);
    psal_tensor_map *map = psal_tensor_map_new();
    psal_error err = PSAL_ERROR_INIT;
    set_meta(map, "psal.loss", text);
    ck_assert_int_eq(psal_computation_from_metadata(&c, map, &err), PSAL_ERR_FORMAT);
    ck_assert_str_eq(err.message, "its loss takes more than 255 bytes");
    psal_tensor_map_free(map);
    ck_assert_uint_lt(strlen(psal_fields_names(~(psal_fields)0, names)), sizeof names); /* all of them: cut */
    ck_assert_str_eq(psal_fields_names(0, names), "");
    psal_computation_set(&c, PSAL_FIELD_SIGNED, "1");
    psal_computation_set(&c, PSAL_FIELD_NORMALIZED, "11");
    ck_assert(psal_computation_is(&c, PSAL_FIELD_SIGNED) && !psal_computation_is(&c, PSAL_FIELD_NORMALIZED));
}
END_TEST

RUN_TESTS("saliency/computation", every_field_has_a_row, each_field_counts_by_itself, there_and_back,
          long_texts_are_cut_and_refused)
