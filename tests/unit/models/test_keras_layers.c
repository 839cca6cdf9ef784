/* Networks from Keras' layers: what is taken, under which names, and what is refused. Their numbers are those of
 * tests/parity/test_keras.py. */
#include "models/keras_layers.h"

#include <stdarg.h>

#include "io/checkpoint.h"
#include "io/tfjs.h"
#include "models/model.h"
#include "tests/unit/io/damage.h"

/* The manifest's entries of "name 3,3,3,4; name 4", and the numbers, in weights.bin. */
static void write_weights(const char *list, char *entries, size_t size) {
    char text[2000], *rest = text;
    size_t used = 0, count = 0;
    *entries = '\0';
    snprintf(text, sizeof text, "%s", list);
    for (char *one; (one = strsep(&rest, ";"));) {
        char *shape = strrchr(one, ' ');
        if (!shape) continue;
        *shape++ = '\0';
        while (*one == ' ') one++;
        size_t elements = 1;
        for (char *d = shape; d; d = strchr(d, ',') ? strchr(d, ',') + 1 : NULL) elements *= (size_t)atoi(d);
        count += elements;
        used += (size_t)snprintf(entries + used, size - used,
                                 "%s{\"name\":\"%s\",\"shape\":[%s],\"dtype\":\"float32\"}", used ? "," : "", one,
                                 shape);
    }
    float *numbers = malloc((count + 1) * sizeof *numbers);
    for (size_t i = 0; i < count; i++) numbers[i] = (float)(7 * i % 11 + 1) / 8;
    write_bytes(in_folder("weights.bin"), numbers, count * sizeof *numbers);
    free(numbers);
}

static psal_tensor_map *read_network(const char *version, const char *model, const char *weights, psal_error *err) {
    static char text[20000];
    char entries[3000];
    write_weights(weights, entries, sizeof entries);
    snprintf(text, sizeof text,
             "{\"modelTopology\":{\"keras_version\":\"%s\",\"model_config\":%s},\"weightsManifest\":[{\"paths\":["
             "\"weights.bin\"],\"weights\":[%s]}]}",
             version, model, entries);
    write_bytes(in_folder("model.json"), text, strlen(text));
    return psal_tfjs_read(damage_folder, err);
}

#define INPUT                                                                                            \
    "{\"class_name\":\"InputLayer\",\"config\":{\"name\":\"image\",\"batch_input_shape\":[null,8,8,3]}," \
    "\"inbound_nodes\":[]}"
#define LAYER(kind, name, config, from) \
    "{\"class_name\":\"" kind "\",\"config\":{\"name\":\"" name "\"" config "},\"inbound_nodes\":[" from "]}"
#define FROM(name) "[[\"" name "\",0,0,{}]]"
#define NETWORK(layers, last)                                                              \
    "{\"class_name\":\"Model\",\"config\":{\"name\":\"net\",\"layers\":[" INPUT "," layers \
    "],\"input_layers\":[[\"image\",0,0]],\"output_layers\":[[\"" last "\",0,0]]}}"
/* One layer between the image and a classifier of 3 classes. */
#define HEAD(from) \
    LAYER("GlobalAveragePooling2D", "pool", "", FROM(from)) "," LAYER("Dense", "out", ",\"units\":3", FROM("pool"))
#define BETWEEN(kind, config) NETWORK(LAYER(kind, "x", config, FROM("image")) "," HEAD("x"), "out")
#define OUT(inputs) "out/kernel " inputs ",3;out/bias 3"

static psal_model *load_one(const char *version, const char *network, const char *weights, psal_tensor_map **map,
                            char notes[1024]) {
    psal_error err = PSAL_ERROR_INIT;
    *map = read_network(version, network, weights, &err);
    ck_assert_msg(*map != NULL, "%s", err.message);
    psal_model *model = psal_model_load(*map, NULL, notes, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    return model;
}

static const psal_model_parameter *parameter(const psal_model *model, const char *name) {
    const int index = psal_model_find_parameter(model, name);
    ck_assert_msg(index >= 0, "no %s", name);
    return psal_model_get_parameter(model, index);
}

START_TEST(test_layers) {
    static const struct {
        const char *network, *weights;
        int filters;
    } taken[] = {
        {BETWEEN("Conv2D", ",\"filters\":4,\"kernel_size\":[3,3],\"strides\":[2,2],\"padding\":\"same\""),
         "x/kernel 3,3,3,4;x/bias 4;" OUT("4"), 4},
        {BETWEEN("DepthwiseConv2D", ",\"kernel_size\":[3,3],\"depth_multiplier\":2,\"use_bias\":false"),
         "x/depthwise_kernel 3,3,3,2;" OUT("6"), 6},
        {BETWEEN("DepthwiseConv2D", ",\"use_bias\":false"), "x/kernel 3,3,3,1;" OUT("3"), 3}, /* Keras 3's name */
        {BETWEEN("SeparableConv2D", ",\"filters\":5,\"activation\":\"swish\""),
         "x/depthwise_kernel 3,3,3,1;x/pointwise_kernel 1,1,3,5;x/bias 5;" OUT("5"), 8},
        {BETWEEN("BatchNormalization", ",\"axis\":[3]"),
         "x/gamma 3;x/beta 3;x/moving_mean 3;x/moving_variance 3;" OUT("3"), 0},
        {BETWEEN("ZeroPadding2D", ",\"padding\":2"), OUT("3"), 0},
        {BETWEEN("ZeroPadding2D", ",\"padding\":[1,2]"), OUT("3"), 0},
        {BETWEEN("MaxPooling2D", ""), OUT("3"), 0},
        {BETWEEN("AveragePooling2D", ",\"pool_size\":[3,3],\"strides\":[2,2],\"padding\":\"same\""), OUT("3"), 0},
        {BETWEEN("ReLU", ",\"max_value\":6.0"), OUT("3"), 0},
        {BETWEEN("ReLU", ",\"negative_slope\":0.5"), OUT("3"), 0},
        {BETWEEN("LeakyReLU", ""), OUT("3"), 0},
        {BETWEEN("ELU", ",\"alpha\":0.5"), OUT("3"), 0},
        {BETWEEN("Dropout", ",\"rate\":0.5"), OUT("3"), 0},
        {BETWEEN("Activation", ",\"activation\":\"gelu\""), OUT("3"), 0},
        {BETWEEN("Dense", ",\"units\":2"), "x/kernel 3,2;x/bias 2;" OUT("2"), 0}, /* of every position */
        {BETWEEN("Reshape", ",\"target_shape\":[4,-1,6]"), OUT("6"), 0},
        {BETWEEN("Rescaling", ",\"scale\":2,\"offset\":-1.0"), OUT("3"), 0},
    };
    char notes[1024];
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        psal_tensor_map *map;
        psal_model *model = load_one("2.2.4", taken[i].network, taken[i].weights, &map, notes);
        ck_assert_int_eq(psal_model_get_info(model)->filter_count, taken[i].filters);
        ck_assert_int_eq(psal_model_get_info(model)->num_classes, 3);
        ck_assert_int_eq(psal_model_get_info(model)->native_size, 8);
        ck_assert_str_eq(notes, "");
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

/* Item [o][i][y][x] of a kernel is Keras' [y][x][i][o]; filter i * multiplier + m of a depthwise one [y][x][i][m] */
START_TEST(test_layouts) {
    const psal_shape of_conv = PSAL_SHAPE(4, 3, 2, 3), of_depthwise = PSAL_SHAPE(6, 1, 2, 2);
    psal_tensor_map *map;
    psal_model *model = load_one("2.2.4", BETWEEN("Conv2D", ",\"use_bias\":false"), "x/kernel 2,3,3,4;" OUT("4"), &map,
                                 NULL);
    const psal_model_parameter *kernel = parameter(model, "x/kernel"), *out = parameter(model, "out/kernel");
    const float *from = psal_tensor_map_get(map, "x/kernel")->data,
                *matrix = psal_tensor_map_get(map, "out/kernel")->data;
    ck_assert(psal_shape_equal(&kernel->shape, &of_conv) && kernel->is_filter);
    for (int o = 0; o < 4; o++)
        for (int i = 0; i < 3; i++)
            for (int p = 0; p < 6; p++)
                ck_assert_float_eq(kernel->values[(o * 3 + i) * 6 + p], from[(p * 3 + i) * 4 + o]);
    for (int o = 0; o < 3; o++)
        for (int i = 0; i < 4; i++) ck_assert_float_eq(out->values[o * 4 + i], matrix[i * 3 + o]);
    psal_model_free(model);
    psal_tensor_map_free(map);
    model = load_one("2.2.4", BETWEEN("DepthwiseConv2D", ",\"use_bias\":false"), "x/depthwise_kernel 2,2,3,2;" OUT("6"),
                     &map, NULL);
    kernel = parameter(model, "x/depthwise_kernel");
    from = psal_tensor_map_get(map, "x/depthwise_kernel")->data;
    ck_assert(psal_shape_equal(&kernel->shape, &of_depthwise));
    for (int f = 0; f < 6; f++)
        for (int p = 0; p < 4; p++) ck_assert_float_eq(kernel->values[f * 4 + p], from[p * 6 + f]);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* A normalisation without scale has ones, without centre zeros. */
START_TEST(test_normalisation) {
    psal_tensor_map *map;
    psal_model *model = load_one("2.2.4", BETWEEN("BatchNormalization", ",\"scale\":false,\"center\":false"),
                                 "x/moving_mean 3;x/moving_variance 3;" OUT("3"), &map, NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert_float_eq(parameter(model, "x/gamma")->values[i], 1);
        ck_assert_float_eq(parameter(model, "x/beta")->values[i], 0);
    }
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_notes) {
    psal_tensor_map *map;
    char notes[1024];
    psal_model *model = load_one(
        "2.2.4",
        NETWORK(HEAD("image") "," LAYER("Softmax", "p", "", FROM("out")) "," LAYER("Dropout", "d", "", FROM("p")), "d"),
        OUT("3") ";other/kernel 2,2", &map, notes);
    ck_assert_msg(strstr(notes, "took the logits in front of Softmax"), "%s", notes);
    ck_assert_msg(strstr(notes, "ignored 1 tensor that no layer takes: 'other/kernel' (2x2)"), "%s", notes);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* Sequential networks, and one that is the first layer of another, whose weights' names begin with others. */
START_TEST(test_sequences) {
    static const char base[] = "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"base\",\"layers\":["
                               "{\"class_name\":\"Conv2D\",\"config\":{\"name\":\"c\",\"batch_input_shape\":[null,8,8,"
                               "3],\"use_bias\":false}}]}}";
    static const char tail[] = "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"f\"}},"
                               "{\"class_name\":\"Dense\",\"config\":{\"name\":\"out\"}}]}}";
    char text[2000];
    psal_tensor_map *map;
    for (int old = 0; old < 2; old++) { /* Keras 2.0 has the list where later ones have an object */
        snprintf(text, sizeof text, "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"all\",\"layers\":[%s,%s",
                 base, tail);
        if (old) {
            snprintf(text, sizeof text, "{\"class_name\":\"Sequential\",\"config\":[%s,%s", base, tail);
            text[strlen(text) - 2] = '\0';
            strcat(text, "}");
        }
        psal_model *model = load_one("2.2.4", text, "all/base/c/kernel 1,1,3,2;out/kernel 128,3;out/bias 3", &map,
                                     NULL);
        parameter(model, "all/base/c/kernel");
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

/* The ONNX file that is written is the same network. */
START_TEST(test_saving) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map;
    psal_model *model = load_one("2.2.4",
                                 NETWORK(LAYER("ZeroPadding2D", "pad", "", FROM("image")) "," LAYER(
                                             "Conv2D", "c", ",\"activation\":\"relu6\"", FROM("pad")) "," HEAD("c"),
                                         "out"),
                                 "c/kernel 3,3,3,4;c/bias 4;" OUT("4"), &map, NULL);
    psal_tensor_map *saved = psal_model_export(model, NULL, &err);
    ck_assert_msg(saved != NULL, "%s", err.message);
    ck_assert_int_ne(psal_checkpoint_write(in_folder("a.safetensors"), saved, &err), PSAL_OK);
    ck_assert_msg(psal_checkpoint_write(in_folder("a.onnx"), saved, &err) == PSAL_OK, "%s", err.message);
    psal_tensor_map_free(saved);
    psal_tensor_map *read = psal_checkpoint_read(in_folder("a.onnx"), NULL, &err);
    psal_model *again = read ? psal_model_load(read, NULL, NULL, &err) : NULL;
    ck_assert_msg(again != NULL, "%s", err.message);
    ck_assert_uint_eq(psal_model_fingerprint(again), psal_model_fingerprint(model));
    ck_assert_str_eq(psal_model_get_info(again)->arch, psal_model_get_info(model)->arch);
    psal_model_free(again);
    psal_model_free(model);
    psal_tensor_map_free(read);
    psal_tensor_map_free(map);
}
END_TEST

/* An ensemble of two networks, whose probabilities something makes one of. */
#define TWO_HEADS                                              \
    LAYER("GlobalAveragePooling2D", "pool", "", FROM("image")) \
    "," LAYER("Dense", "a", ",\"activation\":\"softmax\"",     \
              FROM("pool")) "," LAYER("Dense", "b", ",\"activation\":\"sigmoid\"", FROM("pool"))
#define BOTH "[[\"a\",0,0,{}],[\"b\",0,0,{}]]"
#define HEADS "a/kernel 3,3;a/bias 3;b/kernel 3,3;b/bias 3"

START_TEST(test_refusals) {
    static const char add[] = NETWORK(LAYER("Flatten", "f", "", FROM("image")) "," LAYER(
                                          "Add", "x", "", "[[\"image\",0,0,{}],[\"f\",0,0,{}]]") "," HEAD("x"),
                                      "out");
    static const struct {
        const char *network, *weights, *why;
    } refused[] = {
        {BETWEEN("Lambda", ""), OUT("3"), "layer 'x' (Lambda): psal has no such layer of Keras'"},
        {BETWEEN("Conv2D", ",\"bells\":2"), "x/kernel 1,1,3,2;x/bias 2",
         "layer 'x' (Conv2D): psal does not know its attribute 'bells'"},
        {BETWEEN("Conv2D", ",\"data_format\":\"channels_first\""), "x/kernel 1,1,3,2;x/bias 2", "not channels_last"},
        {BETWEEN("Conv2D", ",\"padding\":\"causal\""), "x/kernel 1,1,3,2;x/bias 2",
         "padding 'causal': psal has valid and same"},
        {BETWEEN("Conv2D", ",\"activation\":\"mish\""), "x/kernel 1,1,3,2;x/bias 2", "psal has no activation 'mish'"},
        {BETWEEN("Conv2D", ",\"activation\":3"), "x/kernel 1,1,3,2;x/bias 2", "its activation is not a word"},
        {BETWEEN("Conv2D", ",\"strides\":[0,1]"), "x/kernel 1,1,3,2;x/bias 2", "strides of 0"},
        {BETWEEN("Conv2D", ",\"strides\":[1,1,1]"), "x/kernel 1,1,3,2;x/bias 2",
         "its strides is not a list of 1 to 2 whole numbers"},
        {BETWEEN("Conv2D", ",\"filters\":3"), "x/kernel 1,1,3,2;x/bias 2",
         "'x/kernel' has shape 1x1x3x2, which is not what its kernel_size and filters say"},
        {BETWEEN("Conv2D", ",\"kernel_size\":[3,1]"), "x/kernel 1,1,3,2;x/bias 2", "not what its kernel_size"},
        {BETWEEN("Conv2D", ""), "x/kernel 1,1,3,2;" OUT("2"), "the weights have no 'x/bias'"},
        {BETWEEN("Conv2D", ""), "x/kernel 1,1,3,2;x/bias 3", "'x/bias' has 3 numbers, expected 2"},
        {BETWEEN("Conv2D", ""), "x/kernel 3,2;x/bias 2", "'x/kernel' has shape 3x2, expected 4 dimensions"},
        {BETWEEN("Conv2D", ""), "a/x/kernel 1,1,3,2;b/x/kernel 1,1,3,2;x/bias 2", "several weights end in 'x/kernel'"},
        {BETWEEN("Conv2D", ""), "x/kernel 1,1,5,2;x/bias 2;" OUT("2"), "x/Conv.1"},
        {BETWEEN("BatchNormalization", ",\"axis\":1"), "x/gamma 3;x/beta 3;x/moving_mean 3;x/moving_variance 3",
         "axis 1 of 4 dimensions"},
        {BETWEEN("ReLU", ",\"threshold\":1"), OUT("3"), "threshold 1: psal has 0"},
        {BETWEEN("Softmax", ",\"axis\":1"), OUT("3"), "axis 1: psal has the last"},
        {BETWEEN("Reshape", ",\"target_shape\":[0]"), OUT("3"), "a length of 0"},
        {BETWEEN("ZeroPadding2D", ",\"padding\":[[1,-1],[0,0]]"), OUT("3"), "a padding that cannot be"},
        {BETWEEN("Flatten", ""), OUT("3"),
         "layer 'pool' (GlobalAveragePooling2D): its input has 2 dimensions: psal takes 4"},
        {NETWORK(LAYER("BatchNormalization", "x", "", "[[\"image\",0,0,{\"training\":true}]]") "," HEAD("x"), "out"),
         OUT("3"), "does not know its attribute 'training'"},
        {NETWORK(LAYER("Dropout", "x", "", "") "," HEAD("x"), "out"), OUT("3"), "layer 'x' (Dropout): it has no input"},
        {add, OUT("3"), "layer 'x' (Add): its inputs have different dimensions"},
        {NETWORK(LAYER("Softmax", "s", "", FROM("image")) "," LAYER("Flatten", "f", "", FROM("s")), "f"), OUT("3"),
         "the output 'f' is made of probabilities, by a change of shape or arithmetic behind the softmax"},
        {NETWORK(TWO_HEADS "," LAYER("Average", "f", "", BOTH), "f"), HEADS, "'f' is made of probabilities"},
        {NETWORK(TWO_HEADS "," LAYER("Concatenate", "f", "", BOTH), "f"), HEADS, "'f' is made of probabilities"},
        {NETWORK(TWO_HEADS "," LAYER("Rescaling", "f", ",\"scale\":2", FROM("a")), "f"), HEADS,
         "'f' is made of probabilities"},
        {NETWORK(LAYER("Softmax", "s", "", FROM("image")) "," LAYER("GlobalAveragePooling2D", "f", "", FROM("s")), "f"),
         OUT("3"), "'f' is made of probabilities"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_tensor_map *map = read_network("2.2.4", refused[i].network, refused[i].weights, &err);
        ck_assert_msg(map != NULL, "%s", err.message);
        ck_assert_msg(!psal_model_load(map, NULL, NULL, &err), "taken, expected: %s", refused[i].why);
        ck_assert_msg(strstr(err.message, refused[i].why), "'%s', expected: %s", err.message, refused[i].why);
        ck_assert_msg(!strchr(err.message, '\n'), "%s", err.message);
        psal_tensor_map_free(map);
    }
}
END_TEST

/* A layer of a network that is a layer, called as one outside: whose weights are they? */
START_TEST(test_two_of_a_name) {
    static const char network[] =
        "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"Sequential\",\"config\":{"
        "\"name\":\"base\",\"layers\":[{\"class_name\":\"Conv2D\",\"config\":{\"name\":\"c\","
        "\"batch_input_shape\":[null,8,8,3]}}]}},{\"class_name\":\"Conv2D\",\"config\":{\"name\":"
        "\"c\"}}]}";
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = read_network("2.2.4", network, "c/kernel 1,1,3,3;c/bias 3", &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    ck_assert(!psal_model_load(map, NULL, NULL, &err));
    ck_assert_msg(strstr(err.message, "layer 'c' (Conv2D): 'c/kernel' is the weight of 'base/c', too"), "%s",
                  err.message);
    psal_tensor_map_free(map);
}
END_TEST

/* Connections that cannot be: the file is damaged. */
START_TEST(test_damaged) {
    static const struct {
        const char *network, *why;
    } damaged[] = {
        {BETWEEN("Dropout", "") "}", "bad JSON"},
        {NETWORK(HEAD("nowhere"), "out"), "reads 'nowhere', which nothing makes"},
        {NETWORK(HEAD("image"), "nowhere"), "nothing makes the output 'nowhere'"},
        {NETWORK(LAYER("Dropout", "pool", "", FROM("image")) "," HEAD("image"), "out"),
         "makes 'pool', which was made before"},
        {NETWORK(LAYER("Dropout", "a", "", FROM("b")) "," LAYER("Dropout", "b", "", FROM("a")) "," HEAD("a"), "out"),
         "depends on itself"},
        {NETWORK(LAYER("Dropout", "a", "", "[[\"image\",0,1,{}]]") "," HEAD("a"), "out"), "not the only output"},
        {NETWORK(LAYER("Dropout", "a", "", "[[7]]") "," HEAD("a"), "out"), "not the only output"},
        {NETWORK(
             LAYER("Dropout", "a", "",
                   "{\"args\":[{\"config\":{\"keras_history\":[\"image\",0,0]}},true],\"kwargs\":{}}") "," HEAD("a"),
             "out"),
         "the layer 'a' is called with an argument that is no tensor: training must be off"},
    };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_tensor_map *map = read_network("2.2.4", damaged[i].network, OUT("3"), &err);
        ck_assert_msg(!map, "taken, expected: %s", damaged[i].why);
        ck_assert_msg(strstr(err.message, damaged[i].why), "'%s', expected: %s", err.message, damaged[i].why);
    }
}
END_TEST

/* Names of Keras' ResNets with layers that these do not have are read as the layers say. */
START_TEST(test_resnets) {
    psal_error err = PSAL_ERROR_INIT;
    static const struct {
        const char *config;
        bool may;
    } layers[] = {{",\"activation\":\"relu\",\"dilation_rate\":[1,1]", true},
                  {",\"activation\":\"swish\"", false},
                  {",\"dilation_rate\":[2,2]", false},
                  {",\"dilation_rate\":2", false}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char text[4000];
        snprintf(text, sizeof text, NETWORK(LAYER("Conv2D", "conv1", "%s", FROM("image")) "," HEAD("conv1"), "out"),
                 layers[i].config);
        psal_tensor_map *map = read_network("2.2.4", text, OUT("3"), &err);
        ck_assert_msg(map != NULL, "%s", err.message);
        ck_assert_int_eq(net_keras_may_be_resnet(map), layers[i].may);
        psal_tensor_map_free(map);
    }
    psal_tensor_map *map = read_network("2.2.4", BETWEEN("LeakyReLU", ""), OUT("3"), &err);
    ck_assert(!net_keras_may_be_resnet(map));
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("models/keras_layers");
    TCase *cases = tcase_create("keras_layers");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_layers);
    tcase_add_test(cases, test_layouts);
    tcase_add_test(cases, test_normalisation);
    tcase_add_test(cases, test_notes);
    tcase_add_test(cases, test_sequences);
    tcase_add_test(cases, test_saving);
    tcase_add_test(cases, test_refusals);
    tcase_add_test(cases, test_two_of_a_name);
    tcase_add_test(cases, test_damaged);
    tcase_add_test(cases, test_resnets);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
