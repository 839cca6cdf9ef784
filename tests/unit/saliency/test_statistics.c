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

static psal_statistics *filled(int64_t length) {
    psal_statistics *s = psal_statistics_new(length, NULL);
    for (int64_t i = 0; i < length; i++) {
        s->mean[i] = 0.1 * (double)i - 0.25;
        s->std[i] = 1.0 / (double)(i + 3);
    }
    s->count = 50000;
    s->fingerprint = 0xFEDCBA9876543210u;
    strcpy(s->arch, "resnet18");
    strcpy(s->preprocess, "resize 256, crop 224");
    strcpy(s->aggregation, "filter");
    strcpy(s->loss, "cross-entropy");
    s->is_signed = true;
    s->normalized = true;
    return s;
}

START_TEST(there_and_back) {
    psal_statistics *s = filled(9);
    for (int round = 0; round < 2; round++) {
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
        ck_assert_uint_eq(back->fingerprint, s->fingerprint);
        ck_assert_str_eq(back->arch, "resnet18");
        ck_assert_str_eq(back->preprocess, "resize 256, crop 224");
        ck_assert_str_eq(back->aggregation, "filter");
        ck_assert_str_eq(back->loss, "cross-entropy");
        ck_assert_int_eq(back->is_signed, s->is_signed);
        ck_assert_int_eq(back->normalized, s->normalized);
        psal_statistics_free(back);
        s->is_signed = s->normalized = false;
    }
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
    ck_assert_uint_eq(s->fingerprint, 0);
    ck_assert_str_eq(s->arch, "");
    ck_assert_str_eq(s->loss, "");
    ck_assert(!s->is_signed && !s->normalized);
    psal_statistics_free(s);
}
END_TEST

START_TEST(overlong_metadata_is_cut) {
    psal_tensor_map *map = vectors(PSAL_F64, PSAL_SHAPE(1), PSAL_F64, PSAL_SHAPE(1));
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text);
    long_text[999] = '\0';
    const char *keys[] = {"psal.arch", "psal.preprocess", "psal.aggregation",
                          "psal.loss", "psal.count",      "psal.fingerprint"};
    for (int i = 0; i < 6; i++) set_meta(map, keys[i], long_text);
    psal_statistics *s = psal_statistics_from_tensors(map, NULL);
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(strlen(s->arch), sizeof s->arch - 1);
    ck_assert_uint_eq(strlen(s->aggregation), sizeof s->aggregation - 1);
    psal_statistics_free(s);
    psal_tensor_map_free(map);
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

typedef struct checked {
    psal_tensor_map *map;
    psal_model *model;
    psal_statistics *s;
    psal_saliency_options options;
} checked;

static checked make_checked(void) {
    checked c = {.map = psal_model_blank("resnet18", 0.125, 5, NULL)};
    fill(c.map);
    c.model = load(c.map, NULL);
    c.s = filled(psal_model_get_info(c.model)->filter_count);
    c.s->fingerprint = psal_model_fingerprint(c.model);
    c.options.is_signed = true;
    return c;
}

static void checked_free(checked *c) {
    psal_statistics_free(c->s);
    psal_model_free(c->model);
    psal_tensor_map_free(c->map);
}

/* What psal_statistics_check says: an error, a warning, or "". */
static const char *verdict(const checked *c, int64_t length) {
    static char text[1024];
    char warning[256];
    psal_error err = PSAL_ERROR_INIT;
    bool good = psal_statistics_check(c->s, c->model, &c->options, length, warning, &err) == PSAL_OK;
    snprintf(text, sizeof text, "%s", good ? warning : err.message);
    return text;
}

START_TEST(statistics_of_something_else_are_refused) {
    checked c = make_checked();
    int64_t length = c.s->length;
    char expected[256];
    ck_assert_str_eq(verdict(&c, length), "");
    snprintf(expected, sizeof expected, "statistics of %d entries, but the profile of resnet18 has %d", (int)length,
             (int)length + 1);
    ck_assert_str_eq(verdict(&c, length + 1), expected);
    c.s->fingerprint ^= 1;
    ck_assert_str_eq(verdict(&c, length), "the statistics were computed with other weights of resnet18");
    c.s->fingerprint = 0; /* not said */
    ck_assert_str_eq(verdict(&c, length), "");
    c.options.is_signed = false;
    ck_assert_str_eq(verdict(&c, length), "statistics of signed saliency, but unsigned was asked for");
    c.options.is_signed = true;
    c.options.loss = PSAL_LOSS_LOGIT;
    ck_assert_str_eq(verdict(&c, length), "statistics of the loss 'cross-entropy', but 'logit' was asked for");
    c.options.loss = PSAL_LOSS_CROSS_ENTROPY;
    c.options.aggregation = PSAL_AGGREGATION_TENSOR;
    ck_assert_str_eq(verdict(&c, length), "statistics of the aggregation 'filter', but 'tensor' was asked for");
    c.options.aggregation = PSAL_AGGREGATION_FILTER;
    strcpy(c.s->arch, "vgg19");
    ck_assert_str_eq(verdict(&c, length), "statistics of vgg19, but the network is resnet18");
    *c.s->arch = *c.s->loss = *c.s->aggregation = '\0'; /* a file that does not say fits everything of its length */
    c.options.is_signed = false;
    c.options.loss = PSAL_LOSS_LOGIT;
    ck_assert_str_eq(verdict(&c, length), "");
    checked_free(&c);
}
END_TEST

START_TEST(names_are_the_documented_ones) {
    ck_assert_str_eq(psal_loss_name(PSAL_LOSS_CROSS_ENTROPY), "cross-entropy");
    ck_assert_str_eq(psal_loss_name(PSAL_LOSS_LOGIT), "logit");
    ck_assert_str_eq(psal_loss_name(PSAL_LOSS_LOGIT_DIFFERENCE), "logit-difference");
    ck_assert_str_eq(psal_aggregation_name(PSAL_AGGREGATION_FILTER), "filter");
    ck_assert_str_eq(psal_aggregation_name(PSAL_AGGREGATION_PARAMETER), "parameter");
    ck_assert_str_eq(psal_aggregation_name(PSAL_AGGREGATION_TENSOR), "tensor");
}
END_TEST

RUN_TESTS("saliency/statistics", there_and_back, plain_vectors_are_enough, overlong_metadata_is_cut,
          wrong_tensors_are_refused, wrong_values_are_refused, statistics_of_something_else_are_refused,
          names_are_the_documented_ones)
