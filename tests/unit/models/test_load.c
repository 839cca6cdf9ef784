/* Values: used in place or converted, refused when not finite; and the notes. */
#include <math.h>

#include "fixtures.h"

START_TEST(test_types) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare("resnet18", 0.0625, 3), *other = psal_tensor_map_new();
    fill(map);
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const psal_tensor *t = psal_tensor_map_at(map, i);
        const int64_t count = psal_shape_count(&t->shape);
        float *values = floats(map, psal_tensor_map_name(map, i));
        /* every second tensor as double, half, or left; halves are exact for these */
        const psal_dtype dtype = (psal_dtype[]){PSAL_F32, PSAL_F64, PSAL_F16}[i % 3];
        void *copy = psal_tensor_map_add(other, psal_tensor_map_name(map, i), dtype, &t->shape, &err);
        for (int64_t k = 0; k < count; k++) {
            values[k] = psal_f16_to_f32(psal_f16_from_f32(values[k]));
            if (dtype == PSAL_F16) ((uint16_t *)copy)[k] = psal_f16_from_f32(values[k]);
            if (dtype == PSAL_F64) ((double *)copy)[k] = (double)values[k];
            if (dtype == PSAL_F32) ((float *)copy)[k] = values[k];
        }
    }
    psal_model *a = load(map, NULL), *b = load(other, NULL);
    for (int i = 0; i < psal_model_parameter_count(a); i++) {
        const psal_model_parameter *p = psal_model_get_parameter(a, i), *q = psal_model_get_parameter(b, i);
        ck_assert_mem_eq(p->values, q->values, (size_t)psal_shape_count(&p->shape) * sizeof(float));
        const psal_tensor *t = psal_tensor_map_get(other, p->name);
        ck_assert_int_eq(q->values == t->data, t->dtype == PSAL_F32);
    }
    psal_model_free(a);
    psal_model_free(b);
    psal_tensor_map_free(map);
    psal_tensor_map_free(other);
}
END_TEST

/* Every tensor counts: running means and variances as well as weights. */
START_TEST(test_fingerprint) {
    psal_tensor_map *map = bare("resnet18", 0.0625, 3);
    fill(map);
    psal_model *model = load(map, NULL);
    const uint64_t before = psal_model_fingerprint(model);
    psal_model_free(model);
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const char *name = psal_tensor_map_name(map, i);
        float *values = floats(map, name);
        const float kept = values[0];
        values[0] += 1;
        model = load(map, NULL);
        ck_assert_msg(psal_model_fingerprint(model) != before, "%s", name);
        psal_model_free(model);
        values[0] = kept;
    }
    psal_tensor_map_free(map);
}
END_TEST

/* A file may put tensors at any byte. */
START_TEST(test_misaligned) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare("resnet18", 0.0625, 3);
    fill(map);
    const psal_tensor *conv = psal_tensor_map_get(map, "conv1.weight");
    const size_t count = (size_t)psal_shape_count(&conv->shape);
    char *bytes = malloc(count * 4 + 1), *wide = malloc(64 * 8 + 1);
    float *values = malloc(count * 4);
    memcpy(values, conv->data, count * 4);
    memcpy(bytes + 1, values, count * 4);
    const psal_shape shape = conv->shape, four = PSAL_SHAPE(4);
    drop(map, "conv1.weight");
    drop(map, "bn1.bias");
    const double numbers[4] = {1, 2, 3, -4};
    memcpy(wide + 1, numbers, sizeof numbers);
    psal_tensor_map_add_view(map, "conv1.weight", PSAL_F32, &shape, bytes + 1, &err);
    psal_tensor_map_add_view(map, "bn1.bias", PSAL_F64, &four, wide + 1, &err);
    psal_model *model = load(map, NULL);
    const psal_model_parameter *p = psal_model_get_parameter(model, 0);
    ck_assert_uint_eq((uintptr_t)p->values % sizeof(float), 0);
    ck_assert_mem_eq(p->values, values, count * 4);
    p = psal_model_get_parameter(model, psal_model_find_parameter(model, "bn1.bias"));
    for (int i = 0; i < 4; i++) ck_assert_float_eq(p->values[i], (float)numbers[i]);
    psal_model_free(model);
    psal_tensor_map_free(map);
    free(bytes);
    free(wide);
    free(values);
}
END_TEST

START_TEST(test_not_finite) {
    psal_tensor_map *map = bare("vgg11", 0.25, 3); /* a layer of 1.6 million values: many chunks */
    float *values = floats(map, "classifier.0.weight");
    const int64_t count = psal_shape_count(&psal_tensor_map_get(map, "classifier.0.weight")->shape);
    char message[200];
    const int64_t places[] = {0, 1, 262143, 262144, 262145, count - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        values[places[i]] = NAN;
        snprintf(message, sizeof message, "tensor 'classifier.0.weight' holds nan at index %d", (int)places[i]);
        refuse(map, NULL, PSAL_ERR_NUMERIC, message);
        values[places[i]] = 0;
    }
    values[5] = INFINITY;
    values[4] = -INFINITY; /* the first one is named, whatever the threads */
    refuse(map, NULL, PSAL_ERR_NUMERIC, "tensor 'classifier.0.weight' holds -inf at index 4");
    values[4] = values[5] = 0;
    values[6] = 3.4028235e38f; /* the largest finite number */
    values[7] = -3.4028235e38f;
    psal_model_free(load(map, NULL));
    psal_tensor_map_free(map);

    map = bare("resnet18", 0.0625, 3);
    floats(map, "bn1.running_mean")[2] = NAN;
    refuse(map, NULL, PSAL_ERR_NUMERIC, "tensor 'bn1.running_mean' holds nan at index 2");
    floats(map, "bn1.running_mean")[2] = 0;
    floats(map, "layer4.1.bn2.running_var")[31] = -0.5f;
    refuse(map, NULL, PSAL_ERR_NUMERIC,
           "tensor 'layer4.1.bn2.running_var' holds the negative variance -0.5 at index 31");
    psal_tensor_map_free(map);
}
END_TEST

/* Too large for float32: infinite after conversion. */
START_TEST(test_not_finite_after_conversion) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare("resnet18", 0.0625, 3);
    drop(map, "fc.bias");
    const psal_shape three = PSAL_SHAPE(3);
    double *bias = psal_tensor_map_add(map, "fc.bias", PSAL_F64, &three, &err);
    bias[1] = 1e300;
    refuse(map, NULL, PSAL_ERR_NUMERIC, "tensor 'fc.bias' holds inf at index 1");
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_auxiliary_classifier) {
    psal_error err = PSAL_ERROR_INIT;
    char notes[1024];
    psal_tensor_map *map = bare("inception_v3", 0.125, 3);
    fill(map);
    psal_model *with = load(map, NULL);
    const psal_model_info full = *psal_model_get_info(with);
    const int conv = psal_model_find_parameter(with, "AuxLogits.conv1.conv.weight");
    ck_assert_int_gt(conv, psal_model_find_parameter(with, "Mixed_6e.branch_pool.bn.bias"));
    ck_assert_int_lt(conv, psal_model_find_parameter(with, "Mixed_7a.branch3x3_1.conv.weight"));
    ck_assert_ptr_eq(psal_model_get_parameter(with, conv)->values, floats(map, "AuxLogits.conv1.conv.weight"));
    psal_model_free(with);

    for (size_t i = psal_tensor_map_count(map); i-- > 0;)
        if (strncmp(psal_tensor_map_name(map, i), "AuxLogits.", 10) == 0) psal_tensor_map_remove(map, i);
    psal_model *without = psal_model_load(map, NULL, notes, &err);
    ck_assert_msg(without != NULL, "%s", err.message);
    ck_assert_str_eq(notes, "the checkpoint has no auxiliary classifier: its 112 filters are zero");
    ck_assert_int_eq(psal_model_get_info(without)->filter_count, full.filter_count);
    ck_assert_int_eq(psal_model_get_info(without)->parameter_elements, full.parameter_elements);
    const psal_model_parameter *p = psal_model_get_parameter(without, conv);
    ck_assert(!p->in_graph);
    for (int64_t k = 0; k < psal_shape_count(&p->shape); k++) ck_assert_float_eq(p->values[k], 0);
    psal_tensor_map *out = psal_model_export(without, NULL, &err); /* not invented in the copy */
    ck_assert_uint_eq(psal_tensor_map_count(out), psal_tensor_map_count(map));
    psal_tensor_map_free(out);
    psal_model_free(without);
    psal_tensor_map_free(map);

    map = bare("googlenet", 0.125, 3); /* of two, one is there */
    for (size_t i = psal_tensor_map_count(map); i-- > 0;)
        if (strncmp(psal_tensor_map_name(map, i), "aux2.", 5) == 0) psal_tensor_map_remove(map, i);
    without = psal_model_load(map, NULL, notes, &err);
    ck_assert_msg(without != NULL, "%s", err.message);
    ck_assert_str_eq(notes, "the checkpoint has no auxiliary classifier: its 16 filters are zero");
    psal_model_free(without);
    psal_tensor_map_free(map);

    /* Only the main classifier retrained: the auxiliary one keeps its classes. */
    map = bare("inception_v3", 0.125, 3);
    reshape(map, "AuxLogits.fc.weight", PSAL_SHAPE(1000, 96));
    reshape(map, "AuxLogits.fc.bias", PSAL_SHAPE(1000));
    psal_model *retrained = load(map, NULL);
    ck_assert_int_eq(psal_model_get_info(retrained)->num_classes, 3);
    psal_model_free(retrained);
    psal_tensor_map_free(map);
    map = bare("googlenet", 0.125, 3);
    for (int i = 1; i <= 2; i++) {
        char name[20];
        snprintf(name, sizeof name, "aux%d.fc2.weight", i);
        reshape(map, name, PSAL_SHAPE(1000, 128));
        snprintf(name, sizeof name, "aux%d.fc2.bias", i);
        reshape(map, name, PSAL_SHAPE(1000));
    }
    retrained = load(map, NULL);
    ck_assert_int_eq(psal_model_get_info(retrained)->num_classes, 3);
    psal_model_free(retrained);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_notes) {
    psal_error err = PSAL_ERROR_INIT;
    char notes[1024];
    psal_tensor_map *map = bare("resnet18", 0.0625, 3);
    strcpy(notes, "left over");
    psal_model_free(psal_model_load(map, NULL, notes, &err));
    ck_assert_str_eq(notes, "");
    add(map, "bn1.num_batches_tracked", (psal_shape){0});
    add(map, "layer1.0.bn1.num_batches_tracked", (psal_shape){0});
    psal_model_free(psal_model_load(map, NULL, notes, &err));
    ck_assert_str_eq(notes, "");
    add(map, "optimizer.state.0\n", PSAL_SHAPE(1));
    psal_model_free(psal_model_load(map, NULL, notes, &err));
    ck_assert_str_eq(notes, "ignored 1 tensor the network does not use: 'optimizer.state.0?' (1)");
    for (int i = 1; i < 6; i++) {
        char name[300];
        snprintf(name, sizeof name, "optimizer.%d%0250d", i, 0);
        add(map, name, PSAL_SHAPE(1));
    }
    psal_model_free(psal_model_load(map, NULL, notes, &err));
    ck_assert_int_eq(strncmp(notes, "ignored 6 tensors the network", 29), 0);
    ck_assert_str_eq(notes + strlen(notes) - 16, ", ... (6 in all)");
    psal_tensor_map_free(map);
}
END_TEST

/* 0 .. count-1 */
static uint32_t draw(uint32_t *state, size_t count) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % (uint32_t)count;
}

/* Whatever is broken in a checkpoint, it loads or is refused with a message, and nothing leaks. */
START_TEST(test_damaged) {
    static const char *const archs[] = {"resnet18",     "resnet50",      "vgg11_bn",  "densenet121",
                                        "inception_v3", "squeezenet1_1", "googlenet", "mnasnet0_5"};
    static const char *const names[] = {"conv1.weight",         "features.0.weight",   "fc.weight",
                                        "conv1/kernel",         "bn2a_branch2a/gamma", "module.fc.bias",
                                        "pre_logits.fc1.weight"};
    uint32_t state = 2463534242u + (uint32_t)_i;
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare(archs[draw(&state, 8)], 0.01, 2);
    for (uint32_t changes = 1 + draw(&state, 4); changes > 0; changes--) {
        psal_shape shape = {.ndim = (int)draw(&state, 6)};
        for (int k = 0; k < shape.ndim; k++) shape.dim[k] = draw(&state, 5);
        const size_t index = draw(&state, psal_tensor_map_count(map));
        char name[200];
        snprintf(name, sizeof name, "%s", psal_tensor_map_name(map, index));
        switch (draw(&state, 4)) {
        case 0:
            psal_tensor_map_remove(map, index);
            break;
        case 1:
            reshape(map, name, shape);
            break;
        case 2:
            psal_tensor_map_add(map, names[draw(&state, 7)], (psal_dtype)draw(&state, PSAL_DTYPE_COUNT), &shape, NULL);
            break;
        default:
            psal_tensor_map_rename(map, index, names[draw(&state, 7)], NULL);
        }
    }
    char notes[1024];
    psal_model *model = psal_model_load(map, NULL, notes, &err);
    ck_assert_msg(model || *err.message, "refused without a message");
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("load");
    TCase *tcase = tcase_create("load");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_types);
    tcase_add_test(tcase, test_fingerprint);
    tcase_add_test(tcase, test_misaligned);
    tcase_add_test(tcase, test_not_finite);
    tcase_add_test(tcase, test_not_finite_after_conversion);
    tcase_add_test(tcase, test_auxiliary_classifier);
    tcase_add_test(tcase, test_notes);
    tcase_add_loop_test(tcase, test_damaged, 0, 60);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
