/* Tests saliency/statistics.h: there and back through tensors, and every refusal. */
#include "saliency/statistics.h"

#include "tests/unit/models/fixtures.h"

static psal_tensor_map *vectors(psal_dtype mean_type, psal_shape mean_shape, psal_dtype std_type,
                                psal_shape std_shape) {
    psal_tensor_map *map = psal_tensor_map_new();
    ck_assert_ptr_nonnull(psal_tensor_map_add(map, "mean", mean_type, &mean_shape, NULL));
    ck_assert_ptr_nonnull(psal_tensor_map_add(map, "std", std_type, &std_shape, NULL));
    return map;
}

static void refuse_tensors(psal_tensor_map *map, psal_status status, const char *message) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_statistics_from_tensors(map, &err));
    ck_assert_str_eq(err.message, message);
    ck_assert_int_eq(err.status, status);
    ck_assert_ptr_null(psal_statistics_from_tensors(map, NULL));
    psal_tensor_map_free(map);
}

/* Of signed, normalized profiles of filters. */
static void set_profile(psal_computation *c) {
    psal_computation_set(c, PSAL_FIELD_AGGREGATION, "filter");
    psal_computation_set(c, PSAL_FIELD_LOSS, "cross-entropy");
    psal_computation_set(c, PSAL_FIELD_SIGNED, "1");
    psal_computation_set(c, PSAL_FIELD_NORMALIZED, "1");
}

static psal_statistics *filled(int64_t length) {
    psal_statistics *s = psal_statistics_new(length, NULL);
    for (int64_t i = 0; i < length; i++) {
        s->mean[i] = 0.1 * (double)i - 0.25;
        s->std[i] = 1.0 / (double)(i + 3);
    }
    s->count = 50000;
    psal_computation *c = &s->computation;
    psal_computation_set(c, PSAL_FIELD_WEIGHTS, "fedcba9876543210");
    psal_computation_set(c, PSAL_FIELD_ARCH, "resnet50");
    psal_computation_set(c, PSAL_FIELD_VARIANT, "v1.5");
    psal_computation_set(c, PSAL_FIELD_BN_EPSILON, "1e-05");
    psal_computation_set(c, PSAL_FIELD_TRANSFORM_INPUT, "0");
    psal_computation_set(c, PSAL_FIELD_PREPROCESS, "torchvision");
    set_profile(c);
    return s;
}

START_TEST(there_and_back) {
    psal_statistics *s = filled(9);
    psal_tensor_map *map = psal_statistics_to_tensors(s, NULL);
    ck_assert_ptr_nonnull(map);
    ck_assert_str_eq(psal_tensor_map_meta(map, "psal.format"), "statistics");
    psal_statistics *back = psal_statistics_from_tensors(map, NULL);
    psal_tensor_map_free(map);
    ck_assert_ptr_nonnull(back);
    ck_assert_int_eq(back->length, 9);
    ck_assert_mem_eq(back->mean, s->mean, 9 * sizeof(double));
    ck_assert_mem_eq(back->std, s->std, 9 * sizeof(double));
    ck_assert_int_eq(back->count, s->count);
    ck_assert_mem_eq(&back->computation, &s->computation, sizeof s->computation);
    ck_assert_uint_eq(psal_statistics_fingerprint(back), psal_statistics_fingerprint(s));
    back->std[8] += 1e-9;
    ck_assert_uint_ne(psal_statistics_fingerprint(back), psal_statistics_fingerprint(s));
    psal_statistics_free(back);
    psal_statistics_free(s);
    psal_statistics_free(NULL);
}
END_TEST

/* The original authors' files: float32, and nothing but the two vectors. */
START_TEST(plain_vectors_are_enough) {
    psal_tensor_map *map = vectors(PSAL_F32, PSAL_SHAPE(3), PSAL_F64, PSAL_SHAPE(3));
    ((float *)psal_tensor_map_get(map, "mean")->data)[1] = 0.5f;
    ((double *)psal_tensor_map_get(map, "std")->data)[2] = 0.125;
    psal_statistics *s = psal_statistics_from_tensors(map, NULL);
    psal_tensor_map_free(map);
    ck_assert_ptr_nonnull(s);
    ck_assert_double_eq(s->mean[1], 0.5);
    ck_assert_double_eq(s->std[2], 0.125);
    ck_assert_int_eq(s->count, 0);
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) ck_assert_str_eq(s->computation.value[f], "");
    psal_statistics_free(s);
}
END_TEST

START_TEST(overlong_metadata_is_refused) {
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text);
    long_text[PSAL_FIELD_SIZE] = '\0';
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) {
        const psal_field_row *row = psal_field_describe((psal_field)f);
        char message[256];
        psal_tensor_map *map = vectors(PSAL_F64, PSAL_SHAPE(1), PSAL_F64, PSAL_SHAPE(1));
        set_meta(map, row->key, long_text);
        snprintf(message, sizeof message, "its %s takes more than 255 bytes", row->name);
        refuse_tensors(map, PSAL_ERR_FORMAT, message);
        map = vectors(PSAL_F64, PSAL_SHAPE(1), PSAL_F64, PSAL_SHAPE(1));
        set_meta(map, row->key, long_text + 1);
        psal_statistics *s = psal_statistics_from_tensors(map, NULL);
        ck_assert_str_eq(s->computation.value[f], long_text + 1);
        psal_statistics_free(s);
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(wrong_tensors_are_refused) {
    psal_tensor_map *map = psal_tensor_map_new();
    refuse_tensors(map, PSAL_ERR_FORMAT, "holds no statistics: there is no tensor 'mean'");
    map = vectors(PSAL_F64, PSAL_SHAPE(2), PSAL_F64, PSAL_SHAPE(2));
    drop(map, "std");
    refuse_tensors(map, PSAL_ERR_FORMAT, "holds no statistics: there is no tensor 'std'");
    refuse_tensors(vectors(PSAL_F64, PSAL_SHAPE(2, 2), PSAL_F64, PSAL_SHAPE(4)), PSAL_ERR_FORMAT,
                   "'mean' should be a vector of float32 or float64, is 2x2 of float64");
    refuse_tensors(vectors(PSAL_F64, PSAL_SHAPE(4), PSAL_F64, ((psal_shape){.ndim = 0})), PSAL_ERR_FORMAT,
                   "'std' should be a vector of float32 or float64, is scalar of float64");
    refuse_tensors(vectors(PSAL_I64, PSAL_SHAPE(4), PSAL_F64, PSAL_SHAPE(4)), PSAL_ERR_FORMAT,
                   "'mean' should be a vector of float32 or float64, is 4 of int64");
    refuse_tensors(vectors(PSAL_F64, PSAL_SHAPE(4), PSAL_F64, PSAL_SHAPE(5)), PSAL_ERR_FORMAT,
                   "'mean' has 4 entries, 'std' has 5");
    refuse_tensors(vectors(PSAL_F64, PSAL_SHAPE(0), PSAL_F64, PSAL_SHAPE(0)), PSAL_ERR_FORMAT,
                   "'mean' should be a vector of float32 or float64, is 0 of float64");
}
END_TEST

START_TEST(wrong_values_are_refused) {
    const struct {
        const char *tensor;
        double value;
        const char *message;
    } cases[] = {{"mean", NAN, "'mean' of entry 2 is nan"},
                 {"mean", -INFINITY, "'mean' of entry 2 is -inf"},
                 {"std", NAN, "'std' of entry 2 is nan"},
                 {"std", INFINITY, "'std' of entry 2 is inf"},
                 {"std", -0.5, "'std' of entry 2 is -0.5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = vectors(PSAL_F64, PSAL_SHAPE(4), PSAL_F64, PSAL_SHAPE(4));
        ((double *)psal_tensor_map_get(map, cases[i].tensor)->data)[2] = cases[i].value;
        refuse_tensors(map, PSAL_ERR_NUMERIC, cases[i].message);
    }
}
END_TEST

/* What psal_statistics_check says: an error, a note, or "". */
static const char *verdict(const psal_statistics *s, const psal_computation *here, int64_t length) {
    static char text[2048];
    char note[768];
    psal_error err = PSAL_ERROR_INIT;
    bool good = psal_statistics_check(s, here, length, note, &err) == PSAL_OK;
    ck_assert_int_eq(good, psal_statistics_check(s, here, length, note, NULL) == PSAL_OK);
    snprintf(text, sizeof text, "%s", good ? note : err.message);
    return text;
}

START_TEST(statistics_of_something_else_are_refused) {
    static const struct {
        psal_field field;
        const char *here, *message;
    } cases[] = {
        {PSAL_FIELD_ARCH, "resnet101", "its architecture is 'resnet50', but here it is 'resnet101'"},
        {PSAL_FIELD_VARIANT, "v1", "its variant is 'v1.5', but here it is 'v1'"},
        {PSAL_FIELD_BN_EPSILON, "0.001", "its batch-norm epsilon is '1e-05', but here it is '0.001'"},
        {PSAL_FIELD_TRANSFORM_INPUT, "1", "its input transform is '0', but here it is '1'"},
        {PSAL_FIELD_PREPROCESS, "caffe", "its preprocessing is 'torchvision', but here it is 'caffe'"},
        {PSAL_FIELD_AGGREGATION, "tensor", "its aggregation is 'filter', but here it is 'tensor'"},
        {PSAL_FIELD_LOSS, "logit", "its loss is 'cross-entropy', but here it is 'logit'"},
        {PSAL_FIELD_SIGNED, "0", "its --signed is '1', but here it is '0'"},
        {PSAL_FIELD_NORMALIZED, "0", "its --normalized is '1', but here it is '0'"},
        {PSAL_FIELD_WEIGHTS, "0123456789abcdef", "the statistics were computed with other weights of resnet50"},
        {PSAL_FIELD_CONV, "gemm", ""}, /* other last digits */
        {PSAL_FIELD_DATASET, "0123456789abcdef", ""},
        {PSAL_FIELD_SAMPLES, "7", ""}};
    psal_statistics *s = filled(9);
    ck_assert_str_eq(verdict(s, &s->computation, 9), "");
    ck_assert_str_eq(verdict(s, &s->computation, 10), "statistics of 9 entries, but the profiles here have 10");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_computation here = s->computation;
        psal_computation_set(&here, cases[i].field, "%s", cases[i].here);
        ck_assert_str_eq(verdict(s, &here, 9), cases[i].message);
        *here.value[cases[i].field] = '\0'; /* does not apply here */
        ck_assert_str_eq(verdict(s, &here, 9), "");
    }
    psal_statistics_free(s);
}
END_TEST

/* The original authors' files, and those of earlier versions. */
START_TEST(what_is_not_said_is_told) {
    psal_statistics *s = filled(9);
    psal_computation here = s->computation;
    *s->computation.value[PSAL_FIELD_BN_EPSILON] = *s->computation.value[PSAL_FIELD_VARIANT] = '\0';
    ck_assert_str_eq(verdict(s, &here, 9), "it does not say its variant, batch-norm epsilon: taken to be as here");
    psal_computation_set(&here, PSAL_FIELD_WEIGHTS, "0123456789abcdef");
    ck_assert_str_eq(verdict(s, &here, 9),
                     "the statistics were computed with other weights of resnet50; it does not say its "
                     "variant, batch-norm epsilon: taken to be as here");
    psal_computation_set(&here, PSAL_FIELD_LOSS, "logit");
    ck_assert_str_eq(verdict(s, &here, 9), "its loss is 'cross-entropy', but here it is 'logit'");
    s->computation = (psal_computation){0};
    ck_assert_str_eq(verdict(s, &here, 9),
                     "it does not say its architecture, weights, variant, batch-norm epsilon, input transform, "
                     "preprocessing, aggregation, loss, --signed, --normalized: taken to be as here");
    psal_statistics_free(s);
}
END_TEST

START_TEST(names_are_the_documented_ones) {
    ck_assert_str_eq(psal_loss_name(PSAL_LOSS_CROSS_ENTROPY), "cross-entropy");
    ck_assert_str_eq(psal_loss_name(PSAL_LOSS_LOGIT), "logit");
    ck_assert_str_eq(psal_loss_name(PSAL_LOSS_LOGIT_DIFFERENCE), "logit-difference");
    ck_assert_str_eq(psal_aggregation_name(PSAL_AGGREGATION_FILTER), "filter");
    ck_assert_str_eq(psal_aggregation_name(PSAL_AGGREGATION_ROW), "row");
    ck_assert_str_eq(psal_aggregation_name(PSAL_AGGREGATION_PARAMETER), "parameter");
    ck_assert_str_eq(psal_aggregation_name(PSAL_AGGREGATION_TENSOR), "tensor");
    ck_assert_str_eq(psal_aggregation_plural(PSAL_AGGREGATION_ROW), "rows");
    psal_aggregation found;
    for (int i = 0; i < PSAL_AGGREGATION_COUNT; i++)
        ck_assert(psal_aggregation_parse(psal_aggregation_name((psal_aggregation)i), &found) && (int)found == i);
    ck_assert(!psal_aggregation_parse("column", &found) && !psal_aggregation_parse("", &found));
}
END_TEST

RUN_TESTS("saliency/statistics", there_and_back, plain_vectors_are_enough, overlong_metadata_is_refused,
          wrong_tensors_are_refused, wrong_values_are_refused, statistics_of_something_else_are_refused,
          what_is_not_said_is_told, names_are_the_documented_ones)
