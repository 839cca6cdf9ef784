/* Which of a checkpoint's tensors are the network, and what may be left over. */
#include "fixtures.h"

/* All tensors of `from`, as views, with `prefix` in front; names that begin with `but` (may be NULL) are left out. */
static void add_all(psal_tensor_map *to, const psal_tensor_map *from, const char *prefix, const char *but) {
    psal_error err = PSAL_ERROR_INIT;
    for (size_t i = 0; i < psal_tensor_map_count(from); i++) {
        const psal_tensor *t = psal_tensor_map_at(from, i);
        const char *name = psal_tensor_map_name(from, i);
        char text[300];
        if (but && strncmp(name, but, strlen(but)) == 0) continue;
        snprintf(text, sizeof text, "%s%s", prefix, name);
        ck_assert_int_eq(psal_tensor_map_add_view(to, text, t->dtype, &t->shape, t->data, &err), PSAL_OK);
    }
}

static psal_tensor_map *with_prefix(const psal_tensor_map *from, const char *prefix) {
    psal_tensor_map *map = psal_tensor_map_new();
    add_all(map, from, prefix, NULL);
    return map;
}

/* Loads, the first parameter being this one's, with this in the notes. */
static void expect(const psal_tensor_map *map, const psal_model_options *options, const psal_tensor_map *network,
                   const char *words) {
    psal_error err = PSAL_ERROR_INIT;
    char notes[1024];
    psal_model *model = psal_model_load(map, options, notes, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    const psal_model_parameter *p = psal_model_get_parameter(model, 0);
    ck_assert_ptr_eq(p->values, floats(network, p->name));
    if (options && options->prefix && strcmp(options->prefix, ".") != 0)
        ck_assert_int_eq(strncmp(psal_model_get_info(model)->prefix, options->prefix, strlen(options->prefix)), 0);
    ck_assert_msg(strstr(notes, words) != NULL, "'%s', expected '%s'", notes, words);
    psal_model_free(model);
}

/* Refused with this in the message. */
static void expect_refusal(const psal_tensor_map *map, const psal_model_options *options, const char *words) {
    psal_error err = PSAL_ERROR_INIT;
    psal_model *model = psal_model_load(map, options, NULL, &err);
    ck_assert_msg(model == NULL, "loaded, expected: %s", words);
    ck_assert_msg(strstr(err.message, words) != NULL, "'%s', expected '%s'", err.message, words);
}

START_TEST(test_prefixes) {
    static const char *const prefixes[] = {"a.", "backbone.", "0.",    "a.b.c.d.e.f.g.h.", "module.model.",
                                           "..", "fc.",       "conv1."};
    static const char *const archs[] = {"resnet18", "densenet121", "vgg11", "inception_v3"};
    for (size_t a = 0; a < sizeof archs / sizeof *archs; a++) {
        psal_tensor_map *network = bare(archs[a], 0.0625, 3);
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
            psal_tensor_map *map = with_prefix(network, prefixes[i]);
            char note[100];
            snprintf(note, sizeof note, "took the prefix '%s' off all names", prefixes[i]);
            expect(map, NULL, network, note);
            expect(map, &(psal_model_options){.prefix = prefixes[i]}, network, note);
            add(map, "fc2.weight", PSAL_SHAPE(3, 2));
            expect_refusal(map, NULL, "'fc2.weight' (3x2)");
            psal_tensor_map_free(map);
        }
        psal_tensor_map_free(network);
    }
}
END_TEST

START_TEST(test_prefix_given) {
    psal_tensor_map *network = bare("resnet18", 0.0625, 3), *map = with_prefix(network, "net.");
    expect(map, &(psal_model_options){.prefix = "net"}, network, "'net.'");
    refuse(map, &(psal_model_options){.prefix = "model"}, PSAL_ERR_ARGUMENT,
           "no tensor's name begins with 'model.'; there are 'net.'");
    refuse(map, &(psal_model_options){.prefix = "ne"}, PSAL_ERR_ARGUMENT,
           "no tensor's name begins with 'ne.'; there are 'net.'");
    expect_refusal(map, &(psal_model_options){.prefix = "net.layer1"}, "not a known architecture");
    expect_refusal(map, &(psal_model_options){.prefix = "."}, "not a known architecture");
    char *name = malloc(5001);
    memset(name, 'x', 5000);
    name[5000] = '\0';
    expect_refusal(map, &(psal_model_options){.prefix = name}, "no tensor's name begins with 'xxx");
    free(name);
    psal_tensor_map_free(map);
    psal_tensor_map_free(network);
}
END_TEST

START_TEST(test_several) {
    psal_tensor_map *a = bare("resnet18", 0.0625, 3), *b = bare("resnet34", 0.0625, 3),
                    *c = bare("resnet18", 0.0625, 3);
    floats(c, "fc.weight")[1] = 1;
    psal_tensor_map *map = with_prefix(a, "model.");
    add_all(map, b, "net.", NULL);
    refuse(map, NULL, PSAL_ERR_FORMAT,
           "holds 2 networks: resnet34 under 'net.', resnet18 under 'model.'; choose one with --weights-key PREFIX");
    expect(map, &(psal_model_options){.prefix = "model."}, a, "left another network aside: resnet34 under 'net.'");
    expect(map, &(psal_model_options){.prefix = "net"}, b, "left another network aside: resnet18 under 'model.'");
    psal_tensor_map_free(map);

    map = with_prefix(a, "model.");
    add_all(map, c, "model_ema.module.", NULL);
    expect(map, NULL, a, "left another network aside: resnet18 under 'model_ema.module.'");
    add_all(map, c, "ema.", NULL);
    expect(map, NULL, a, "'ema.'");
    add(map, "ema.conv1.gate", PSAL_SHAPE(4)); /* then it is not a copy, or not all of one */
    expect_refusal(map, NULL, "'ema.conv1.gate' (4)");
    psal_tensor_map_free(map);

    map = with_prefix(a, "");
    add_all(map, c, "module.", NULL);
    expect_refusal(map, NULL, "holds 2 networks: resnet18 under '.', resnet18 under 'module.'");
    add(map, "n_averaged", (psal_shape){0});
    expect(map, NULL, a, "under 'module.'");
    expect(map, &(psal_model_options){.prefix = "module"}, c, "under '.'");
    psal_tensor_map_free(map);

    map = with_prefix(a, "ema.");
    expect(map, NULL, a, "took the prefix 'ema.'");
    add_all(map, c, "swa.", NULL);
    expect_refusal(map, NULL, "holds 2 networks");
    psal_tensor_map_free(map);

    map = psal_tensor_map_new(); /* an ensemble */
    for (int i = 0; i < 40; i++) {
        char prefix[20];
        snprintf(prefix, sizeof prefix, "models.%d.", i);
        add_all(map, i % 2 ? c : a, prefix, NULL);
    }
    expect_refusal(map, NULL, "networks: resnet18 under 'models.0.', resnet18 under 'models.1.'");
    expect(map, &(psal_model_options){.prefix = "models.39"}, c, "models.39.");
    psal_tensor_map_free(map);

    map = with_prefix(a, "encoder."); /* one network under two names, then one number of it another */
    add_all(map, a, "model.0.", NULL);
    expect(map, NULL, a, "left another network aside: resnet18 under 'model.0.'");
    psal_tensor_map_free(map);
    map = with_prefix(a, "encoder.");
    psal_tensor_map *d = bare("resnet18", 0.0625, 3);
    add_all(map, d, "model.0.", NULL);
    expect(map, NULL, a, "left another network aside: resnet18 under 'model.0.'");
    floats(d, "layer4.1.bn2.running_mean")[0] = 0.5f;
    expect_refusal(map, NULL, "holds 2 networks");
    psal_tensor_map_free(d);
    psal_tensor_map_free(map);
    psal_tensor_map_free(a);
    psal_tensor_map_free(b);
    psal_tensor_map_free(c);
}
END_TEST

START_TEST(test_heads_beside) {
    psal_tensor_map *network = bare("resnet18", 0.125, 3), *map = psal_tensor_map_new();
    add_all(map, network, "backbone.", "fc.");
    expect_refusal(map, NULL, "looks like resnet18 under 'backbone.' (width 0.125), but tensor 'fc.weight' is missing");
    add(map, "head.fc.weight", PSAL_SHAPE(4, 64));
    expect(map, NULL, network,
           "took 'head.fc' for the layer 'fc'; no 'fc.bias': zeros (a layer of cosines would give another answer)");
    add(map, "head.fc.bias", PSAL_SHAPE(5));
    expect_refusal(map, NULL, "tensor 'head.fc.bias' has shape 5, expected 4");
    reshape(map, "head.fc.bias", PSAL_SHAPE(4));
    expect(map, NULL, network, "took 'head.fc' for the layer 'fc'");
    add(map, "head.fc2.weight", PSAL_SHAPE(2, 4));
    expect_refusal(map, NULL, "left over: 'head.fc.weight' (4x64), 'head.fc2.weight' (2x4), 'head.fc.bias' (4)");
    drop(map, "head.fc2.weight");
    psal_tensor_map *teacher = bare("resnet18", 0.125, 3);
    floats(teacher, "conv1.weight")[0] = 2;
    add_all(map, teacher, "teacher.", "fc."); /* whose is the head? */
    expect_refusal(map, NULL, "holds 2 networks");
    expect(map,
           &(psal_model_options){
               .prefix = "backbone", .ignore_extra = (const char *const[]){"teacher."}, .ignore_extra_count = 1},
           network, "left out as asked");
    psal_tensor_map_free(map);
    psal_tensor_map_free(teacher);

    map = with_prefix(network, ""); /* a head of its own, and a network without one beside it */
    add_all(map, network, "teacher.", "fc.");
    expect_refusal(map, NULL,
                   "fits resnet18, but has layers that psal does not know: nothing there takes the tensors "
                   "'teacher.conv1.weight'");
    psal_tensor_map_free(map);
    psal_tensor_map_free(network);
}
END_TEST

/* The layers of "classifier" have these numbers, by other Dropouts between them, and are the same layers. */
static void expect_numbers(const char *arch, const int given[3], const int own[3]) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *network = bare(arch, 0.0625, 3), *map = with_prefix(network, "");
    char name[40], other[40];
    for (int step = 0; step < 2; step++) /* by names that nobody has */
        for (int k = 0; k < 6; k++) {
            const char *part = k % 2 ? "bias" : "weight";
            snprintf(name, sizeof name, step ? "aside.%d.%s" : "classifier.%d.%s", step ? k / 2 : own[k / 2], part);
            snprintf(other, sizeof other, step ? "classifier.%d.%s" : "aside.%d.%s", step ? given[k / 2] : k / 2, part);
            ck_assert_int_eq(psal_tensor_map_rename(map, psal_tensor_map_find(map, name), other, &err), PSAL_OK);
        }
    psal_model *model = psal_model_load(map, NULL, NULL, &err);
    ck_assert_msg(model != NULL, "%s: %s", arch, err.message);
    for (int k = 0; k < 6; k++) {
        snprintf(name, sizeof name, "classifier.%d.%s", own[k / 2], k % 2 ? "bias" : "weight");
        const psal_model_parameter *p = psal_model_get_parameter(model, psal_model_find_parameter(model, name));
        ck_assert_msg(p && p->values == floats(network, name), "%s: %s", arch, name);
    }
    psal_model_free(model);
    psal_tensor_map_free(map);
    psal_tensor_map_free(network);
}

START_TEST(test_head_layers) {
    static const int numbers[][3] = {{0, 2, 4}, {1, 4, 6}, {0, 3, 6}, {1, 3, 5},
                                     {2, 6, 8}, {3, 5, 7}, {0, 2, 6}, {4, 6, 9}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        expect_numbers("vgg11", numbers[i], (int[]){0, 3, 6});
        expect_numbers("alexnet", numbers[i], (int[]){1, 4, 6});
    }
}
END_TEST

START_TEST(test_left_out) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare("resnet18", 0.0625, 3);
    for (int i = 0; i < 6; i++) {
        char name[40];
        snprintf(name, sizeof name, "layer1.0.se.%d", i);
        add(map, name, PSAL_SHAPE(4));
    }
    const psal_model_options one = {.ignore_extra = (const char *const[]){"layer1.0.se.0"}, .ignore_extra_count = 1};
    const psal_model_options all = {.ignore_extra = (const char *const[]){"layer1.0.se."}, .ignore_extra_count = 1};
    const psal_model_options typo = {.ignore_extra = (const char *const[]){"layer1.0.se.", "layer1.0.s."},
                                     .ignore_extra_count = 2};
    const psal_model_options needed = {.ignore_extra = (const char *const[]){"layer1.0."}, .ignore_extra_count = 1};
    expect_refusal(
        map, &one,
        "'layer1.0.se.1' (4), 'layer1.0.se.2' (4), 'layer1.0.se.3' (4), 'layer1.0.se.4' (4), ... (5 in all)");
    refuse(map, &typo, PSAL_ERR_ARGUMENT, "there is no tensor 'layer1.0.s.' to be left out");
    expect_refusal(map, &needed, "tensor 'layer1.0.conv1.weight' is missing");
    psal_model *model = load(map, &all);
    const char record[] =
        "'layer1.0.se.0' (4), 'layer1.0.se.1' (4), 'layer1.0.se.2' (4), 'layer1.0.se.3' (4), ... (6 in all)";
    ck_assert_str_eq(psal_model_get_info(model)->ignored, record);
    psal_tensor_map *out = psal_model_export(model, NULL, &err); /* stays with the weights */
    ck_assert_str_eq(psal_tensor_map_meta(out, "psal.ignored"), record);
    char notes[1024];
    psal_model *again = psal_model_load(out, NULL, notes, &err);
    ck_assert_msg(again != NULL, "%s", err.message);
    ck_assert_str_eq(psal_model_get_info(again)->ignored, record);
    ck_assert_ptr_eq(strstr(notes, "tensors were left out when this file was made: 'layer1.0.se.0' (4)"), notes);
    psal_model_free(again);
    psal_tensor_map_free(out);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* One tensor more: 'i' beside the network, 'o' beside its prefix; whether it may be there. */
START_TEST(test_without_effect) {
    static const struct {
        const char *name;
        psal_dtype dtype;
        psal_shape shape;
        bool fine;
    } cases[] = {
        {"layer1.0.bn1.num_batches_tracked", PSAL_I64, {0}, true},
        {"layer1.0.bn1.num_batches_tracked", PSAL_F32, {1, {1}}, true},
        {"layer1.0.bn1.num_batches_tracked", PSAL_F32, {1, {2}}, false},
        {"n_averaged", PSAL_I64, {0}, true},
        {"ema.decay", PSAL_F32, {0}, true},
        {"ema.decay", PSAL_F32, {1, {64}}, false},
        {"total_ops", PSAL_F64, {1, {1}}, true},
        {"total_ops", PSAL_F64, {1, {64}}, false},
        {"optimizer.state", PSAL_F32, {4, {1, 2, 1, 2}}, true},
        {"optimizer", PSAL_F32, {1, {3}}, true},
        {"optimizer2.state", PSAL_F32, {1, {3}}, false},
        {"layer1.optimizer.state", PSAL_F32, {1, {3}}, false},
        {"criterion.weight", PSAL_F32, {1, {3}}, true},
        {"criterion.weight", PSAL_F32, {2, {3, 32}}, false},
        {"loss_fn.a.b", PSAL_BF16, {0}, true},
        {"loss_fnx.a", PSAL_BF16, {0}, false},
        {"epoch", PSAL_I32, {0}, true},
        {"classes", PSAL_U8, {1, {9}}, true},
        {"mask", PSAL_BOOL, {2, {3, 3}}, false},
        {"gate.weight", PSAL_I8, {1, {3}}, false},
        {"gate.weight", PSAL_I8, {2, {3, 0}}, true},
        {"empty", PSAL_F32, {3, {3, 0, 2}}, true},
        {"normalize.mean", PSAL_F32, {1, {3}}, true}, /* zeros */
        {"normalize.mean", PSAL_F32, {1, {4}}, false},
        {"normalize.std", PSAL_F32, {1, {3}}, false}, /* zeros, not ones */
        {"scale", PSAL_F16, {0}, false},
        {"layer1.0.conv1.bias", PSAL_F32, {1, {4}}, true}, /* zeros */
        {"layer1.0.conv1.bias", PSAL_F32, {1, {3}}, false},
        {"layer1.0.conv1.bias", PSAL_F32, {2, {1, 4}}, false},
        {"layer1.0.conv1.bias", PSAL_I32, {1, {4}}, false},
    };
    psal_tensor_map *network = bare("resnet18", 0.0625, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int wrapped = 0; wrapped < 2; wrapped++) {
            psal_tensor_map *map = with_prefix(network, wrapped ? "a.model." : "");
            psal_error err = PSAL_ERROR_INIT;
            char name[100];
            snprintf(name, sizeof name, "%s%s",
                     !wrapped                                  ? ""
                     : strncmp(cases[i].name, "layer", 5) == 0 ? "a.model."
                                                               : "a.",
                     cases[i].name);
            ck_assert_ptr_nonnull(psal_tensor_map_add(map, name, cases[i].dtype, &cases[i].shape, &err));
            psal_model *model = psal_model_load(map, NULL, NULL, &err);
            ck_assert_msg((model != NULL) == cases[i].fine, "case %zu, %s: %s", i, name,
                          model ? "loaded" : err.message);
            ck_assert_msg(model || strstr(err.message, name), "case %zu: '%s' is not named in '%s'", i, name,
                          err.message);
            psal_model_free(model);
            psal_tensor_map_free(map);
        }
    psal_tensor_map_free(network);
}
END_TEST

/* Both of Inception's last layers in a Sequential, as fine-tuning makes them: the auxiliary one is never computed. */
START_TEST(test_auxiliary_classifier) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare("inception_v3", 0.0625, 3);
    static const char *const names[] = {"fc.weight", "fc.bias", "AuxLogits.fc.weight", "AuxLogits.fc.bias"};
    static const char *const others[] = {"fc.1.weight", "fc.1.bias", "AuxLogits.fc.1.weight", "AuxLogits.fc.1.bias"};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(psal_tensor_map_rename(map, index_of(map, names[i]), others[i], &err), PSAL_OK);
    char notes[1024];
    psal_model *model = psal_model_load(map, NULL, notes, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    ck_assert_int_eq(psal_model_get_info(model)->num_classes, 3);
    ck_assert_str_eq(
        notes, "took 'fc.1' for the layer 'fc'; ignored 2 tensors the network does not use: 'AuxLogits.fc.1.weight' "
               "(3x48), 'AuxLogits.fc.1.bias' (3)");
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* Types that psal cannot compute with have a name and a shape only. */
START_TEST(test_other_types) {
    psal_error err = PSAL_ERROR_INIT;
    const psal_shape three = PSAL_SHAPE(3), bias = PSAL_SHAPE(4);
    psal_tensor_map *map = bare("resnet18", 0.0625, 3);
    psal_tensor_map_add_view(map, "extra", PSAL_OTHER, &three, "F8_E4M3", &err);
    refuse(map, NULL, PSAL_ERR_UNSUPPORTED,
           "fits resnet18, but has layers that psal does not know: nothing there takes the tensor 'extra' (3 F8_E4M3); "
           "if it has no part in the answer, leave it out with --ignore-extra NAME" WAY_OUT);
    psal_model_free(
        load(map, &(psal_model_options){.ignore_extra = (const char *const[]){"extra"}, .ignore_extra_count = 1}));
    drop(map, "extra");
    psal_tensor_map_add_view(map, "names", PSAL_OTHER, &three, "S5", &err); /* text */
    psal_model_free(load(map, NULL));
    psal_tensor_map_add_view(map, "mean", PSAL_OTHER, &three, "C64", &err);
    expect_refusal(map, NULL, "tensor 'mean' normalises the input");
    drop(map, "mean");
    psal_tensor_map_add_view(map, "conv1.bias", PSAL_OTHER, &bias, "F8_E5M2", &err);
    expect_refusal(map, NULL, "tensor 'conv1.bias' holds F8_E5M2; weights are float16, bfloat16, float32 or float64");
    drop(map, "conv1.bias");
    drop(map, "fc.bias");
    psal_tensor_map_add_view(map, "fc.bias", PSAL_OTHER, &three, "F8_E4M3", &err);
    expect_refusal(map, NULL, "tensor 'fc.bias' holds F8_E4M3; weights are float16");
    psal_tensor_map_free(map);
}
END_TEST

/* (x + b) - m = x - (m - b), in the model's own memory: the checkpoint stays as it was, read-only as it may be. */
START_TEST(test_biases) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = bare("resnet18", 0.0625, 3);
    fill(map);
    static const char *const biases[][2] = {
        {"conv1", "bn1"}, {"layer1.0.conv2", "layer1.0.bn2"}, {"layer2.0.downsample.0", "layer2.0.downsample.1"}};
    for (int i = 0; i < 3; i++) {
        char name[60];
        snprintf(name, sizeof name, "%s.bias", biases[i][0]);
        add(map, name, PSAL_SHAPE(i < 2 ? 4 : 8));
        for (int k = 0; k < (i < 2 ? 4 : 8); k++) floats(map, name)[k] = 0.25f * (float)(k + i - 3);
    }
    char notes[1024];
    psal_model *model = psal_model_load(map, NULL, notes, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    ck_assert_str_eq(notes, "folded the biases of 3 convolutions into the running means of the normalisations behind");
    psal_tensor_map *out = psal_model_export(model, NULL, &err);
    for (int i = 0; i < 3; i++) {
        char mean[60];
        snprintf(mean, sizeof mean, "%s.running_mean", biases[i][1]);
        for (int k = 0; k < (i < 2 ? 4 : 8); k++)
            ck_assert_float_eq(floats(out, mean)[k], floats(map, mean)[k] - 0.25f * (float)(k + i - 3));
    }
    ck_assert_uint_eq(psal_tensor_map_count(out), psal_tensor_map_count(map) - 3);
    psal_tensor_map_free(out);
    psal_model_free(model);
    psal_tensor_map_free(map);

    map = bare("densenet121", 0.0625, 3);
    add(map, "features.transition1.conv.bias", PSAL_SHAPE(8));
    psal_model_free(load(map, NULL)); /* zeros */
    floats(map, "features.transition1.conv.bias")[7] = 1;
    refuse(map, NULL, PSAL_ERR_UNSUPPORTED,
           "tensor 'features.transition1.conv.bias' is not zero, and no normalisation takes the output of this "
           "convolution alone: the bias cannot be folded into one");
    psal_tensor_map_free(map);
}
END_TEST

/* The file of 1 KiB that once overwrote the heap: Keras' bias beside a mean under torchvision's name, of another
 * type. */
START_TEST(test_bias_beside_a_mean) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    const psal_shape many = PSAL_SHAPE(4096);
    static const uint16_t halves[4096];
    add(map, "conv1/bias", many);
    ck_assert_int_eq(psal_tensor_map_add_view(map, "bn1.running_mean", PSAL_F16, &many, halves, &err), PSAL_OK);
    expect_refusal(map, NULL, "has tensors 'conv1/bias' (4096), 'bn1.running_mean' (4096)");
    psal_tensor_map_free(map);
}
END_TEST

/* Names by the hundred thousand that look like the beginning of networks: neither much time nor memory. */
START_TEST(test_hostile_names) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    const psal_shape one = PSAL_SHAPE(1);
    static const float nothing[1];
    char name[700];
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "a%d.b.c.d.e.f.conv1.weight", i);
        ck_assert_int_eq(psal_tensor_map_add_view(map, name, PSAL_F32, &one, nothing, &err), PSAL_OK);
    }
    memset(name, '.', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    add(map, name, one);
    name[500] = '\0';
    add(map, name, one);
    name[494] = '\0';
    strcat(name, "conv1.weight");
    add(map, name, one);
    expect_refusal(map, NULL, "not a known architecture");
    psal_tensor_map_free(map);
}
END_TEST

RUN_TESTS("group", test_prefixes, test_prefix_given, test_several, test_heads_beside, test_head_layers, test_left_out,
          test_without_effect, test_auxiliary_classifier, test_other_types, test_biases, test_bias_beside_a_mean,
          test_hostile_names)
