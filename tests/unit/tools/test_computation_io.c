/* Tests tools/computation_io.h: one spelling for one meaning, JSON there and back. */
#include "tools/computation_io.h"

#include "tests/unit/models/fixtures.h"

/* The value's one spelling, or the message. */
static const char *spelt(psal_field field, const char *value) {
    static char text[1024];
    psal_computation c = {0};
    psal_error err = PSAL_ERROR_INIT;
    psal_computation_set(&c, field, "%s", value);
    bool good = psal_computation_canonical(&c, &err) == PSAL_OK;
    snprintf(text, sizeof text, "%s", good ? c.value[field] : err.message);
    return text;
}

START_TEST(one_meaning_has_one_spelling) {
    static const struct {
        psal_field field;
        const char *value, *spelling;
    } cases[] = {{PSAL_FIELD_BN_EPSILON, "1e-5", "1e-05"},
                 {PSAL_FIELD_BN_EPSILON, "0.00001", "1e-05"},
                 {PSAL_FIELD_BN_EPSILON, "1.0000000000000001e-05", "1e-05"},
                 {PSAL_FIELD_BN_EPSILON, "1.0000000000000003e-05", "1.0000000000000003e-05"},
                 {PSAL_FIELD_BN_EPSILON, ".001", "0.001"},
                 {PSAL_FIELD_BN_EPSILON, "1e", "its batch-norm epsilon is '1e', which is no number"},
                 {PSAL_FIELD_BN_EPSILON, "inf", "its batch-norm epsilon is 'inf', which is no number"},
                 {PSAL_FIELD_SEED, "7.0", "7"},
                 {PSAL_FIELD_SEED, "9000000000000000", "9e+15"},
                 {PSAL_FIELD_SIGNED, "true", "1"},
                 {PSAL_FIELD_SIGNED, "false", "0"},
                 {PSAL_FIELD_SIGNED, "yes", "its --signed is 'yes', neither 0 nor 1"},
                 {PSAL_FIELD_PREPROCESS,
                  "rgb;resize=256;crop=224;scale=255;mean=0.485,0.456,0.406;std=0.229,0.224,0.225", "torchvision"},
                 {PSAL_FIELD_PREPROCESS, "torchvision;crop=224x224", "torchvision"},
                 {PSAL_FIELD_PREPROCESS, "torchvision;resize=342;crop=299",
                  "rgb;resize=342;crop=299;scale=255;mean=0.485,0.456,0.406;std=0.229,0.224,0.225"},
                 {PSAL_FIELD_PREPROCESS, "rgb;std=.5;crop=8;mean=5e-1;scale=1",
                  "rgb;resize=none;crop=8;scale=1;mean=0.5,0.5,0.5;std=0.5,0.5,0.5"},
                 {PSAL_FIELD_LOSS, "Any Text", "Any Text"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_str_eq(spelt(cases[i].field, cases[i].value), cases[i].spelling);
        if (strncmp(cases[i].spelling, "its", 3) != 0)
            ck_assert_str_eq(spelt(cases[i].field, cases[i].spelling), cases[i].spelling);
    }
    ck_assert_ptr_nonnull(strstr(spelt(PSAL_FIELD_PREPROCESS, "rgb;crop=x"), "its preprocessing: "));
}
END_TEST

START_TEST(the_network_is_recorded) {
    static const struct {
        const char *arch, *variant, *epsilon, *transform;
    } cases[] = {{"resnet18", "", "1e-05", ""}, {"resnet50", "v1.5", "1e-05", ""}, {"vgg11", "", "", ""},
                 {"vgg11_bn", "", "1e-05", ""}, {"densenet121", "", "1e-05", ""},  {"inception_v3", "", "0.001", "0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_tensor_map *map = psal_model_blank(cases[i].arch, 0.0625, 7, NULL);
        psal_model *model = load(map, NULL);
        psal_preprocess preprocess;
        psal_computation c = {0};
        ck_assert_int_eq(psal_preprocess_preset("caffe", &preprocess, NULL), PSAL_OK);
        ck_assert_int_eq(psal_computation_set_network(&c, model, &preprocess, NULL), PSAL_OK);
        ck_assert_str_eq(c.value[PSAL_FIELD_ARCH], cases[i].arch);
        ck_assert_str_eq(c.value[PSAL_FIELD_VARIANT], cases[i].variant);
        ck_assert_str_eq(c.value[PSAL_FIELD_BN_EPSILON], cases[i].epsilon);
        ck_assert_str_eq(c.value[PSAL_FIELD_TRANSFORM_INPUT], cases[i].transform);
        ck_assert_str_eq(c.value[PSAL_FIELD_PREPROCESS], "caffe");
        ck_assert_str_eq(c.value[PSAL_FIELD_CLASSES], "7");
        ck_assert_str_eq(c.value[PSAL_FIELD_WIDTH], "0.0625");
        ck_assert_uint_eq(strlen(c.value[PSAL_FIELD_WEIGHTS]), 16);
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(json_there_and_back) {
    psal_computation a = {0}, b;
    psal_error err = PSAL_ERROR_INIT;
    psal_computation_set(&a, PSAL_FIELD_ARCH, "resnet50");
    psal_computation_set(&a, PSAL_FIELD_PREPROCESS, "torchvision");
    psal_computation_set(&a, PSAL_FIELD_SIGNED, "0");
    psal_computation_set(&a, PSAL_FIELD_PREPROCESS_ASSUMED, "1");
    psal_computation_set_number(&a, PSAL_FIELD_BN_EPSILON, 1.001e-5);
    psal_computation_set_number(&a, PSAL_FIELD_SEED, 9e15);
    psal_computation_set_number(&a, PSAL_FIELD_TOP, 20);
    json_t *object = psal_computation_json(&a);
    ck_assert_uint_eq(json_object_size(object), 7);
    ck_assert(json_is_false(json_object_get(object, "signed")) &&
              json_is_true(json_object_get(object, "preprocess_assumed")));
    ck_assert_int_eq(json_integer_value(json_object_get(object, "top")), 20);
    ck_assert(json_real_value(json_object_get(object, "bn_epsilon")) == 1.001e-5);
    ck_assert_int_eq(psal_computation_from_json(&b, object, &err), PSAL_OK);
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) ck_assert_str_eq(a.value[f], b.value[f]);
    json_object_set_new(object, "seed", json_array());
    ck_assert_int_eq(psal_computation_from_json(&b, object, &err), PSAL_ERR_FORMAT);
    ck_assert_str_eq(err.message, "its --seed is no value");
    json_decref(object);
    ck_assert_int_eq(psal_computation_from_json(&b, NULL, &err), PSAL_OK); /* says nothing */
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) ck_assert_str_eq(b.value[f], "");
}
END_TEST

/* Of an edited or noisy run a picture says so. */
START_TEST(what_pictures_say) {
    psal_computation c = {0};
    char line[512];
    psal_computation_set(&c, PSAL_FIELD_WEIGHTS_NAME, "nets/my.pth");
    psal_computation_set(&c, PSAL_FIELD_LOSS, "cross-entropy");
    psal_computation_set(&c, PSAL_FIELD_NOISE_ITERS, "1");
    psal_computation_line(&c, line);
    ck_assert_str_eq(line, "my.pth");
    psal_computation_set(&c, PSAL_FIELD_STATISTICS, "0123456789abcdef");
    psal_computation_set(&c, PSAL_FIELD_SAMPLES, "1000");
    psal_computation_set(&c, PSAL_FIELD_BASE, "0123456789abcdef");
    psal_computation_line(&c, line);
    ck_assert_str_eq(line, "my.pth (edited), statistics of 1000 samples");
    psal_computation_set(&c, PSAL_FIELD_DELTAS, "edits/d.safetensors");
    psal_computation_set(&c, PSAL_FIELD_NOISE_ITERS, "8");
    psal_computation_set(&c, PSAL_FIELD_NOISE_SD, "5");
    psal_computation_line(&c, line);
    ck_assert_str_eq(line, "my.pth + d.safetensors, statistics of 1000 samples, mean of 8 noisy copies (5 of 255)");
}
END_TEST

RUN_TESTS("tools/computation_io", one_meaning_has_one_spelling, the_network_is_recorded, json_there_and_back,
          what_pictures_say)
