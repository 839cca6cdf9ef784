/* Names that other programs give to the same tensors. */
#include "fixtures.h"

/* The same tensors under changed names: those that `change` returns true for. */
static psal_tensor_map *renamed(const psal_tensor_map *map,
                                bool (*change)(const char *name, char *text, psal_shape *shape)) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *other = psal_tensor_map_new();
    int changed = 0;
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        const char *name = psal_tensor_map_name(map, i);
        psal_shape shape = tensor->shape;
        char text[200];
        if (change(name, text, &shape)) changed++, name = text;
        ck_assert_int_eq(psal_tensor_map_add_view(other, name, tensor->dtype, &shape, tensor->data, &err), PSAL_OK);
    }
    ck_assert_int_gt(changed, 0);
    return other;
}

static void same_values(const psal_model *a, const psal_model *b) {
    ck_assert_int_eq(psal_model_parameter_count(a), psal_model_parameter_count(b));
    for (int i = 0; i < psal_model_parameter_count(a); i++)
        ck_assert_ptr_eq(psal_model_get_parameter(a, i)->values, psal_model_get_parameter(b, i)->values);
}

static void check_same(const char *arch, bool (*change)(const char *, char *, psal_shape *)) {
    psal_tensor_map *map = bare(arch, 0.125, 7);
    psal_tensor_map *other = renamed(map, change);
    psal_model *model = load(map, NULL), *same = load(other, NULL);
    ck_assert_str_eq(psal_model_get_info(same)->arch, arch);
    same_values(model, same);
    psal_model_free(model);
    psal_model_free(same);
    psal_tensor_map_free(other);
    psal_tensor_map_free(map);
}

static bool with_module(const char *name, char *text, psal_shape *shape) {
    (void)shape;
    return sprintf(text, "module.%s", name);
}

static bool with_many(const char *name, char *text, psal_shape *shape) {
    (void)shape;
    return sprintf(text, "state_dict.model._orig_mod.module.net.%s", name);
}

static bool old_densenet(const char *name, char *text, psal_shape *shape) {
    (void)shape;
    static const char *const parts[] = {"norm1.", "norm2.", "conv1.", "conv2."};
    if (!strstr(name, "denselayer")) return false;
    for (int i = 0; i < 4; i++) {
        const char *found = strstr(name, parts[i]);
        if (found) return sprintf(text, "%.*s%.4s.%s", (int)(found - name), name, found, found + 4);
    }
    return false;
}

static bool old_densenet_in_module(const char *name, char *text, psal_shape *shape) {
    char inner[200];
    return sprintf(text, "module.%s", old_densenet(name, inner, shape) ? inner : name);
}

static bool timm_vgg(const char *name, char *text, psal_shape *shape) {
    const char *last = strrchr(name, '.');
    if (strncmp(name, "classifier.0", 12) == 0) {
        if (shape->ndim == 2) *shape = PSAL_SHAPE(shape->dim[0], shape->dim[1] / 49, 7, 7);
        return sprintf(text, "pre_logits.fc1%s", last);
    }
    if (strncmp(name, "classifier.3", 12) == 0) {
        if (shape->ndim == 2) *shape = PSAL_SHAPE(shape->dim[0], shape->dim[1], 1, 1);
        return sprintf(text, "pre_logits.fc2%s", last);
    }
    if (strncmp(name, "classifier.6", 12) == 0) return sprintf(text, "head.fc%s", last);
    return false;
}

START_TEST(test_prefixes) {
    check_same("resnet18", with_module);
    check_same("vgg11", with_many);
    check_same("densenet121", old_densenet_in_module);
}
END_TEST

START_TEST(test_old_densenet) {
    check_same("densenet121", old_densenet);
    check_same("densenet161", old_densenet);
}
END_TEST

START_TEST(test_timm_vgg) {
    check_same("vgg11", timm_vgg);
    check_same("vgg19_bn", timm_vgg);
}
END_TEST

/* The same tensor under two names, whichever comes first. */
START_TEST(test_collision) {
    psal_tensor_map *map = bare("densenet121", 0.125, 7);
    add(map, "features.denseblock1.denselayer1.norm.1.weight", PSAL_SHAPE(8));
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "tensors 'features.denseblock1.denselayer1.norm1.weight' and "
           "'features.denseblock1.denselayer1.norm.1.weight' are both "
           "'features.denseblock1.denselayer1.norm1.weight' of the network");
    drop(map, "features.denseblock1.denselayer1.norm1.weight");
    psal_model_free(load(map, NULL));
    add(map, "features.denseblock1.denselayer1.norm1.weight", PSAL_SHAPE(8));
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "tensors 'features.denseblock1.denselayer1.norm.1.weight' and "
           "'features.denseblock1.denselayer1.norm1.weight' are both "
           "'features.denseblock1.denselayer1.norm1.weight' of the network");
    psal_tensor_map_free(map);
    map = bare("vgg11", 0.125, 7);
    add(map, "features.module.0.weight", PSAL_SHAPE(8, 3, 3, 3));
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "tensors 'features.0.weight' and 'features.module.0.weight' are both 'features.0.weight' of the network");
    psal_tensor_map_free(map);
    map = bare("vgg11", 0.125, 7);
    add(map, "head.fc.weight", PSAL_SHAPE(7, 512));
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "tensors 'classifier.6.weight' and 'head.fc.weight' are both 'classifier.6.weight' of the network");
    psal_tensor_map_free(map);
}
END_TEST

/* Names as long as they like, and ones that only look like DenseNet's. */
START_TEST(test_odd_names) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare("resnet18", 0.125, 7);
    char *name = malloc(100001);
    memset(name, 'x', 100000);
    memcpy(name, "denselayer1.norm.1.", 19);
    name[100000] = '\0';
    add(map, name, PSAL_SHAPE(1));
    add(map, "denselayer", PSAL_SHAPE(1));
    add(map, "denselayer.norm.", PSAL_SHAPE(1));
    add(map, "denselayer.norm.3.x", PSAL_SHAPE(1));
    add(map, "module.", PSAL_SHAPE(1));
    add(map, "", PSAL_SHAPE(1));
    ck_assert_ptr_null(psal_model_load(map, NULL, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "nothing there takes the tensors 'denselayer1.norm.1.xxx"));
    ck_assert_ptr_nonnull(
        strstr(err.message, "'denselayer' (1), 'denselayer.norm.' (1), 'denselayer.norm.3.x' (1), ... (6 in all)"));
    psal_tensor_map_free(map);
    free(name);
}
END_TEST

/* An empty tensor may have any dimensions beside its zero; their product is none that a number holds. */
START_TEST(test_vgg_window_that_cannot_be_counted) {
    psal_tensor_map *map = bare("vgg11", 0.01, 2);
    const int64_t many = (int64_t)1 << 40;
    add(map, "pre_logits.fc1.weight", PSAL_SHAPE(0, many, many, many));
    add(map, "pre_logits.fc2.weight", PSAL_SHAPE(many, many, 0, many));
    drop(map, "classifier.0.weight");
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_ptr_null(psal_model_load(map, NULL, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "tensor 'pre_logits.fc1.weight' has shape 0x1099511627776x"));
    psal_tensor_map_free(map);
}
END_TEST

RUN_TESTS("rename", test_prefixes, test_old_densenet, test_timm_vgg, test_collision, test_odd_names,
          test_vgg_window_that_cannot_be_counted)
