/* Tests saliency/delta.h: applying equals editing the values directly, and a refused delta changes nothing. */
#include "saliency/delta.h"

#include <inttypes.h>

#include "tests/unit/models/fixtures.h"

typedef struct fixture {
    psal_tensor_map *map;
    psal_model *model;
    psal_tensor_map *delta;
} fixture;

static fixture make(void) {
    fixture f = {.map = psal_model_blank("resnet18", 0.0625, 5, NULL), .delta = psal_tensor_map_new()};
    fill(f.map);
    f.model = load(f.map, NULL);
    char fingerprint[32];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, psal_model_fingerprint(f.model));
    set_meta(f.delta, "psal.format", "delta");
    set_meta(f.delta, "psal.arch", "resnet18");
    set_meta(f.delta, "psal.fingerprint", fingerprint);
    return f;
}

static void fixture_free(fixture *f) {
    psal_model_free(f->model);
    psal_tensor_map_free(f->map);
    psal_tensor_map_free(f->delta);
}

static void *put(psal_tensor_map *delta, const char *name, psal_dtype dtype, psal_shape shape) {
    psal_error err = PSAL_ERROR_INIT;
    void *data = psal_tensor_map_add(delta, name, dtype, &shape, &err);
    ck_assert_msg(data != NULL, "%s", err.message);
    return data;
}

/* Filters 0 and 3 of conv1 (4 filters of 3x7x7): values 1000, 1001, ... */
static void put_conv1(psal_tensor_map *delta) {
    int64_t *filters = put(delta, "conv1.weight.filters", PSAL_I64, PSAL_SHAPE(2));
    filters[0] = 0;
    filters[1] = 3;
    float *values = put(delta, "conv1.weight.values", PSAL_F32, PSAL_SHAPE(2, 3, 7, 7));
    for (int i = 0; i < 2 * 147; i++) values[i] = 1000 + (float)i;
}

START_TEST(applying_equals_editing) {
    fixture f = make();
    psal_error err = PSAL_ERROR_INIT;
    put_conv1(f.delta);
    ((int64_t *)put(f.delta, "bn1.bias.filters", PSAL_I64, PSAL_SHAPE(1)))[0] = 2;
    ((float *)put(f.delta, "bn1.bias.values", PSAL_F32, PSAL_SHAPE(1)))[0] = -9;
    put(f.delta, "fc.bias.filters", PSAL_I64, PSAL_SHAPE(0)); /* nothing changed there: allowed */
    put(f.delta, "fc.bias.values", PSAL_F32, PSAL_SHAPE(0));
    const float *original = floats(f.map, "conv1.weight");
    float expected[4 * 147], kept = original[5];
    memcpy(expected, original, sizeof expected);
    for (int i = 0; i < 147; i++) {
        expected[i] = 1000 + (float)i;
        expected[3 * 147 + i] = 1147 + (float)i;
    }
    ck_assert_msg(psal_delta_apply(f.delta, f.model, &err) == PSAL_OK, "%s", err.message);
    for (int p = 0; p < psal_model_parameter_count(f.model); p++) {
        const psal_model_parameter *parameter = psal_model_get_parameter(f.model, p);
        const float *was = floats(f.map, parameter->name);
        for (int64_t i = 0; i < psal_shape_count(&parameter->shape); i++) {
            float now = was[i];
            if (strcmp(parameter->name, "conv1.weight") == 0) now = expected[i];
            if (strcmp(parameter->name, "bn1.bias") == 0 && i == 2) now = -9;
            ck_assert_msg(parameter->values[i] == now, "%s [%d]: expected %g, got %g", parameter->name, (int)i,
                          (double)now, (double)parameter->values[i]);
        }
    }
    ck_assert_float_eq(original[5], kept); /* the checkpoint itself is not touched */
    /* A second time: the weights are no longer those it was made from. */
    ck_assert_int_eq(psal_delta_apply(f.delta, f.model, &err), PSAL_ERR_ARGUMENT);
    fixture_free(&f);
}
END_TEST

static void refuse_delta(fixture *f, psal_status status, const char *message) {
    uint64_t before = psal_model_fingerprint(f->model);
    psal_error err = PSAL_ERROR_INIT;
    psal_status got = psal_delta_apply(f->delta, f->model, &err);
    ck_assert_msg(got == status && strstr(err.message, message), "expected '%s', got %d '%s'", message, got,
                  err.message);
    ck_assert_int_eq(psal_delta_apply(f->delta, f->model, NULL), status);
    ck_assert_msg(psal_model_fingerprint(f->model) == before, "a refused delta changed the model: %s", message);
    fixture_free(f);
}

START_TEST(deltas_of_something_else_are_refused) {
    fixture f = make();
    set_meta(f.delta, "psal.format", "statistics");
    refuse_delta(&f, PSAL_ERR_FORMAT, "is not a delta of psal-finetune");
    f = make();
    set_meta(f.delta, "psal.arch", "resnet34");
    refuse_delta(&f, PSAL_ERR_SHAPE, "a delta of resnet34, but the network is resnet18");
    f = make();
    set_meta(f.delta, "psal.fingerprint", "0123456789abcdef");
    refuse_delta(&f, PSAL_ERR_ARGUMENT, "a delta made from other weights than these (fingerprint 0123456789abcdef)");
}
END_TEST

/* Each comes after a good pair, which must not be applied either. */
START_TEST(wrong_tensors_are_refused) {
    fixture f = make();
    put_conv1(f.delta);
    put(f.delta, "conv9.weight.filters", PSAL_I64, PSAL_SHAPE(1));
    refuse_delta(&f, PSAL_ERR_SHAPE, "the network has no parameter 'conv9.weight'");
    f = make();
    put_conv1(f.delta);
    put(f.delta, "bn1.bias.filters", PSAL_I32, PSAL_SHAPE(1));
    put(f.delta, "bn1.bias.values", PSAL_F32, PSAL_SHAPE(1));
    refuse_delta(&f, PSAL_ERR_FORMAT, "'bn1.bias.filters' should be a vector of int64");
    f = make();
    put_conv1(f.delta);
    put(f.delta, "bn1.bias.filters", PSAL_I64, PSAL_SHAPE(1, 1));
    refuse_delta(&f, PSAL_ERR_FORMAT, "'bn1.bias.filters' should be a vector of int64");
    f = make();
    put_conv1(f.delta);
    put(f.delta, "bn1.bias.filters", PSAL_I64, PSAL_SHAPE(1));
    refuse_delta(&f, PSAL_ERR_SHAPE, "'bn1.bias.values' should be float32 1");
    f = make();
    put_conv1(f.delta);
    put(f.delta, "bn1.bias.values", PSAL_F32, PSAL_SHAPE(1)); /* filters forgotten: would be dropped without a word */
    refuse_delta(&f, PSAL_ERR_FORMAT, "'bn1.bias.filters' should be a vector of int64");
    f = make();
    put_conv1(f.delta);
    put(f.delta, "bn1.bias.filters", PSAL_I64, PSAL_SHAPE(1));
    put(f.delta, "bn1.bias.values", PSAL_F64, PSAL_SHAPE(1));
    refuse_delta(&f, PSAL_ERR_SHAPE, "'bn1.bias.values' should be float32 1");
    f = make();
    put_conv1(f.delta);
    put(f.delta, "fc.weight.filters", PSAL_I64, PSAL_SHAPE(2));
    put(f.delta, "fc.weight.values", PSAL_F32, PSAL_SHAPE(2, 31));
    refuse_delta(&f, PSAL_ERR_SHAPE, "'fc.weight.values' should be float32 2x32");
    f = make();
    put_conv1(f.delta);
    put(f.delta, "bn1.bias", PSAL_F32, PSAL_SHAPE(4));
    refuse_delta(&f, PSAL_ERR_FORMAT, "tensor 'bn1.bias' does not belong into a delta");
    f = make();
    put_conv1(f.delta);
    put(f.delta, ".filters", PSAL_I64, PSAL_SHAPE(1));
    refuse_delta(&f, PSAL_ERR_FORMAT, "tensor '.filters' does not belong into a delta");
    f = make();
    put_conv1(f.delta);
    char name[700];
    memset(name, 'n', sizeof name);
    strcpy(name + 600, ".filters");
    put(f.delta, name, PSAL_I64, PSAL_SHAPE(1));
    refuse_delta(&f, PSAL_ERR_FORMAT, "does not belong into a delta");
}
END_TEST

START_TEST(wrong_values_are_refused) {
    const int64_t pairs[][2] = {{-1, 1}, {0, 4}, {2, 2}, {2, 1}, {0, INT64_MAX}, {INT64_MIN, 0}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        fixture f = make();
        put_conv1(f.delta);
        int64_t *filters = put(f.delta, "bn1.bias.filters", PSAL_I64, PSAL_SHAPE(2));
        memcpy(filters, pairs[i], sizeof pairs[i]);
        put(f.delta, "bn1.bias.values", PSAL_F32, PSAL_SHAPE(2));
        refuse_delta(&f, PSAL_ERR_FORMAT, "'bn1.bias.filters' should hold ascending numbers below 4, entry ");
    }
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        fixture f = make();
        put_conv1(f.delta);
        put(f.delta, "bn1.bias.filters", PSAL_I64, PSAL_SHAPE(1));
        ((float *)put(f.delta, "bn1.bias.values", PSAL_F32, PSAL_SHAPE(1)))[0] = bad[i];
        refuse_delta(&f, PSAL_ERR_NUMERIC, "'bn1.bias.values' holds ");
    }
}
END_TEST

RUN_TESTS("saliency/delta", applying_equals_editing, deltas_of_something_else_are_refused, wrong_tensors_are_refused,
          wrong_values_are_refused)
