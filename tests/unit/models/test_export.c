/* Models as checkpoints, and empty ones. */
#include <locale.h>

#include "engine/numbers.h"
#include "fixtures.h"

static void round_trip(void) {
    static const struct {
        const char *arch, *variant;
        double width, epsilon;
    } cases[] = {{"resnet18", NULL, 0.0625, 0},
                 {"resnet50", "v1", 0.125, 1e-3},
                 {"resnext50_32x4d", NULL, 0.25, 0},
                 {"vgg11", NULL, 0.03, 0},
                 {"vgg13_bn", NULL, 0.03, 1e-4},
                 {"densenet121", NULL, 0.251, 0},
                 {"inception_v3", NULL, 1.0 / 7, 0.1 + 0.2},
                 {"alexnet", NULL, 0.03, 0},
                 {"squeezenet1_0", NULL, 0.251, 0},
                 {"googlenet", NULL, 0.125, 0},
                 {"resnet18_cifar", NULL, 0.0625, 0},
                 {"resnet18d", NULL, 0.0625, 1e-4},
                 {"regnet_x_400mf", NULL, 0.5, 0},
                 {"mnasnet1_0", NULL, 0.6, 0},
                 {"mobilenet_v2", NULL, 1.4, 0},
                 {"mobilenet_v3_small", NULL, 0.5, 1e-4},
                 {"regnet_y_400mf", NULL, 0.5, 0},
                 {"efficientnet_b0", NULL, 0.5, 0},
                 {"shufflenet_v2_x0_5", NULL, 0.5, 0},
                 {"convnext_tiny", NULL, 0.0625, 0},
                 {"vit_b_32", NULL, 0.0625, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_tensor_map *map = bare(cases[i].arch, cases[i].width, 5);
        fill(map);
        char width[32];
        psal_snprintf(width, sizeof width, "%.17g", cases[i].width);
        set_meta(map, "psal.width", width);
        set_meta(map, "psal.labels", "fashion-mnist");
        set_meta(map, "psal.preprocess", "grey;crop=28");
        set_meta(map, "psal.future", "kept");
        set_meta(map, "other", "not ours");
        psal_model *model = load(map,
                                 &(psal_model_options){.variant = cases[i].variant, .bn_epsilon = cases[i].epsilon});
        psal_tensor_map *out = psal_model_export(model, NULL, &err);
        ck_assert_msg(out != NULL, "%s", err.message);
        ck_assert_uint_eq(psal_tensor_map_count(out), psal_tensor_map_count(map));
        for (size_t k = 0; k < psal_tensor_map_count(map); k++) {
            const psal_tensor *a = psal_tensor_map_at(map, k), *b = psal_tensor_map_at(out, k);
            ck_assert_str_eq(psal_tensor_map_name(map, k), psal_tensor_map_name(out, k));
            ck_assert(psal_shape_equal(&a->shape, &b->shape));
            ck_assert_ptr_ne(a->data, b->data);
            ck_assert_mem_eq(a->data, b->data, (size_t)psal_shape_count(&a->shape) * 4);
        }
        ck_assert_str_eq(psal_tensor_map_meta(out, "psal.labels"), "fashion-mnist");
        ck_assert_str_eq(psal_tensor_map_meta(out, "psal.preprocess"), "grey;crop=28");
        ck_assert_str_eq(psal_tensor_map_meta(out, "psal.future"), "kept");
        ck_assert_ptr_null(psal_tensor_map_meta(out, "other"));
        ck_assert_str_eq(psal_tensor_map_meta(out, "psal.arch"), cases[i].arch);
        ck_assert_str_eq(psal_tensor_map_meta(out, "psal.num_classes"), "5");

        psal_model *again = load(out, NULL); /* nothing but the file is needed */
        const psal_model_info *a = psal_model_get_info(model), *b = psal_model_get_info(again);
        ck_assert_str_eq(a->arch, b->arch);
        ck_assert_str_eq(a->variant, b->variant);
        ck_assert(a->width == b->width && a->width == cases[i].width);
        ck_assert(a->bn_epsilon == b->bn_epsilon);
        ck_assert_str_eq(b->preprocess, "grey;crop=28");
        ck_assert_str_eq(psal_model_metadata(again, "psal.future"), "kept");
        psal_model_free(again);
        psal_model_free(model);
        psal_tensor_map_free(out);
        psal_tensor_map_free(map);
    }
}

START_TEST(test_round_trip) {
    round_trip();
}
END_TEST

/* A program in a country with a decimal comma writes and reads the same metadata. */
START_TEST(test_decimal_comma) {
    char folder[] = "/tmp/psal-test-XXXXXX", command[200];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
    bool made = system(command) == 0;
    if (made) {
        char text[32];
        setenv("LOCPATH", folder, 1);
        ck_assert_ptr_nonnull(setlocale(LC_ALL, "de_DE.UTF-8"));
        snprintf(text, sizeof text, "%g", 0.5);
        ck_assert_str_eq(text, "0,5"); /* the locale is really on */
        round_trip();
        psal_error err = PSAL_ERROR_INIT;
        psal_tensor_map *map = psal_model_blank("resnet18", 0.125, 3, &err);
        ck_assert_msg(map != NULL, "%s", err.message);
        ck_assert_str_eq(psal_tensor_map_meta(map, "psal.width"), "0.125");
        ck_assert_str_eq(psal_tensor_map_meta(map, "psal.bn_epsilon"), "1e-05");
        set_meta(map, "psal.bn_epsilon", "0.001");
        psal_model *model = load(map, NULL);
        ck_assert(psal_model_get_info(model)->bn_epsilon == 0.001);
        psal_model_free(model);
        set_meta(map, "psal.bn_epsilon", "0,001");
        ck_assert_ptr_null(psal_model_load(map, NULL, NULL, &err));
        ck_assert_msg(strstr(err.message, "'0,001', expected a number") != NULL, "%s", err.message);
        set_meta(map, "psal.bn_epsilon", "1000");
        ck_assert_ptr_null(psal_model_load(map, NULL, NULL, &err));
        ck_assert_msg(strstr(err.message, "expected at most 1") != NULL, "%s", err.message);
        psal_tensor_map_free(map);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    if (!made) printf("SKIPPED test_decimal_comma: no localedef with the de_DE sources\n");
}
END_TEST

START_TEST(test_replaced_values) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare("resnet18", 0.0625, 3);
    fill(map);
    psal_model *model = load(map, NULL);
    const int bias = psal_model_find_parameter(model, "fc.bias");
    const float other[3] = {7, 8, 9};
    const float **values = calloc((size_t)psal_model_parameter_count(model), sizeof *values);
    values[bias] = other;
    psal_tensor_map *out = psal_model_export(model, values, &err);
    ck_assert_mem_eq(floats(out, "fc.bias"), other, sizeof other);
    ck_assert_mem_eq(floats(out, "fc.weight"), floats(map, "fc.weight"), 3 * 32 * 4);
    free(values);
    psal_tensor_map_free(out);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_blank) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_model_blank("vgg11_bn", 0.5, 2, &err);
    ck_assert_str_eq(psal_tensor_map_meta(map, "psal.width"), "0.5");
    ck_assert_str_eq(psal_tensor_map_meta(map, "psal.bn_epsilon"), "1e-05");
    ck_assert_float_eq(floats(map, "features.1.running_var")[31], 1);
    ck_assert_float_eq(floats(map, "features.1.running_mean")[31], 0);
    psal_tensor_map_free(map);

    ck_assert_ptr_null(psal_model_blank("vgg12", 1, 2, &err));
    ck_assert_str_eq(err.message, "unknown architecture 'vgg12'");
    ck_assert_ptr_null(psal_model_blank("vgg11", 0, 2, &err));
    ck_assert_str_eq(err.message, "width 0 and 2 classes, expected above 0 to 64 and 1 to 10000000");
    ck_assert_ptr_null(psal_model_blank("vgg11", 1, 0, &err));
    ck_assert_ptr_null(psal_model_blank("vgg11", 65, 1, &err));
    ck_assert_ptr_null(psal_model_blank("resnext50_32x4d", 0.3, 2, &err));
    ck_assert_str_eq(err.message, "resnext50_32x4d: layer1.0.conv2: 38 to 38 channels do not divide "
                                  "by 32 groups at width 0.3");
    ck_assert_int_eq(err.status, PSAL_ERR_SHAPE);
}
END_TEST

RUN_TESTS("export", test_round_trip, test_decimal_comma, test_replaced_values, test_blank)
