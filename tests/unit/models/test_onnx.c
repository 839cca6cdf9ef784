#include "models/onnx.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/plan.h"
#include "io/checkpoint.h"
#include "io/onnx.h"
#include "models/model.h"
#include "models/onnx_internal.h"
#include "tests/unit/io/onnx_writer.h"

static psal_tensor_map *read_model(const proto *model) {
    char path[] = "/tmp/psal-test-XXXXXX";
    psal_error err = PSAL_ERROR_INIT;
    const int file = mkstemp(path);
    ck_assert_int_eq((int)write(file, model->bytes, model->size), (int)model->size);
    close(file);
    psal_tensor_map *map = psal_onnx_read(path, &err);
    unlink(path);
    ck_assert_msg(map != NULL, "%s", err.message);
    return map;
}

static void refuse(const proto *graph, const psal_model_options *options, const char *what) {
    const proto model = onnx_model(graph, 14);
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = read_model(&model);
    ck_assert_msg(psal_model_load(map, options, NULL, &err) == NULL, "taken, expected: %s", what);
    ck_assert_msg(strstr(err.message, what), "'%s', expected: %s", err.message, what);
    psal_tensor_map_free(map);
}

/* The logits of an image of ones, in *logits[4]. */
static void compute(const psal_model *model, int height, int width, float logits[4]) {
    psal_error err = PSAL_ERROR_INIT;
    psal_graph *graph = psal_graph_new();
    psal_network network;
    ck_assert_msg(psal_model_build(model, graph, 1, height, width, &network, &err) == PSAL_OK, "%s", err.message);
    const psal_plan_options options = {.outputs = {&network.logits}, .output_count = {1}, .stages = 1, .threads = 1};
    psal_plan *plan = psal_plan_new(graph, &options, &err);
    ck_assert_msg(plan && psal_model_bind(model, &network, plan, &err) == PSAL_OK, "%s", err.message);
    psal_workspace *workspace = psal_workspace_new(plan, &err);
    float *image = malloc((size_t)(3 * height * width) * sizeof *image);
    for (int i = 0; i < 3 * height * width; i++) image[i] = 1;
    ck_assert_int_eq(psal_workspace_set(workspace, network.image, image, &err), PSAL_OK);
    ck_assert_int_eq(psal_workspace_run(workspace, 0, &err), PSAL_OK);
    memcpy(logits, psal_workspace_get(workspace, network.logits), 4 * sizeof *logits);
    free(image);
    psal_workspace_free(workspace);
    psal_plan_free(plan);
    psal_network_free(&network);
    psal_graph_free(graph);
}

/* The sample's logits by hand: value i of a tensor is ((7 i) mod 11 - 5) / 8. */
static float value(int i) {
    return (float)((i * 7) % 11 - 5) / 8;
}

static void expect_sample(float logits[4]) {
    double pooled[5], expected[4];
    for (int o = 0; o < 5; o++) {
        pooled[o] = 0;
        for (int y = 0; y < 8; y += 2)
            for (int x = 0; x < 8; x += 2) {
                double sum = value(o);
                for (int c = 0; c < 3; c++)
                    for (int ky = 0; ky < 3; ky++)
                        for (int kx = 0; kx < 3; kx++)
                            if (y + ky - 1 >= 0 && y + ky - 1 < 8 && x + kx - 1 >= 0 && x + kx - 1 < 8)
                                sum += value(((o * 3 + c) * 3 + ky) * 3 + kx);
                pooled[o] += (sum > 0 ? sum : 0) / 16;
            }
    }
    for (int k = 0; k < 4; k++) {
        expected[k] = value(k);
        for (int o = 0; o < 5; o++) expected[k] += pooled[o] * value(k * 5 + o);
        ck_assert_msg(fabs(expected[k] - logits[k]) < 1e-5, "logit %d is %g, expected %g", k, logits[k], expected[k]);
    }
}

START_TEST(test_sample) {
    const proto file = onnx_sample();
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = read_model(&file);
    char notes[1024];
    float logits[4];
    psal_model *model = psal_model_load(map, NULL, notes, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    const psal_model_info *info = psal_model_get_info(model);
    ck_assert_str_eq(notes, "");
    ck_assert_str_eq(info->family, "onnx");
    ck_assert(strncmp(info->arch, "onnx-", 5) == 0 && !info->norm_folded);
    ck_assert_int_eq(info->num_classes, 4);
    ck_assert_int_eq(info->native_size, 8);
    ck_assert_int_eq(info->filter_count, 5);
    ck_assert_int_eq(psal_model_parameter_count(model), 4);
    ck_assert_str_eq(psal_model_get_parameter(model, 0)->name, "conv.weight");
    ck_assert(psal_model_get_parameter(model, 0)->is_filter && !psal_model_get_parameter(model, 2)->is_filter);
    int scale, shift;
    psal_model_filter_norm(model, 0, &scale, &shift);
    ck_assert(scale == -1 && shift == 1);
    psal_model_filter_norm(model, 2, &scale, &shift);
    ck_assert(scale == -1 && shift == 3 && psal_model_get_parameter(model, 2)->output_axis == 0);
    compute(model, 8, 8, logits);
    expect_sample(logits);
    /* another size than the file's */
    psal_graph *graph = psal_graph_new();
    psal_network network;
    ck_assert_int_ne(psal_model_build(model, graph, 1, 9, 8, &network, &err), PSAL_OK);
    ck_assert_msg(strstr(err.message, "made for images of 8 x 8, not 8 x 9"), "%s", err.message);
    psal_graph_free(graph);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* Equal weights that the exporter keeps once, lost names, a softmax at the end, a size that is computed. */
START_TEST(test_exporters_ways) {
    proto graph = {.size = 0}, node;
    psal_error err = PSAL_ERROR_INIT;
    char notes[1024];
    float logits[4];
    node = onnx_node("Identity", "conv.bias", NULL, NULL, "onnx::bias");
    proto_message(&graph, 1, &node);
    node = onnx_node("Conv", "image", "onnx::Conv_7", "onnx::bias", "a");
    proto_text(&node, 3, "/stem/stem.0/conv/Conv");
    node_ints(&node, "pads", 4, (int64_t[]){1, 1, 1, 1});
    node_ints(&node, "strides", 2, (int64_t[]){2, 2});
    proto_message(&graph, 1, &node);
    node = onnx_node("Relu", "a", NULL, NULL, "b");
    proto_message(&graph, 1, &node);
    node = onnx_node("ReduceMean", "b", NULL, NULL, "c");
    node_ints(&node, "axes", 2, (int64_t[]){-1, 2});
    proto_message(&graph, 1, &node);
    node = onnx_node("Shape", "c", NULL, NULL, "s");
    proto_message(&graph, 1, &node);
    node = onnx_node("Gather", "s", "zero", NULL, "n");
    proto_message(&graph, 1, &node);
    node = onnx_node("Concat", "n", "rest", NULL, "shape");
    node_int(&node, "axis", 0);
    proto_message(&graph, 1, &node);
    node = onnx_node("Reshape", "c", "shape", NULL, "d");
    proto_message(&graph, 1, &node);
    node = onnx_node("Transpose", "fc.weight", NULL, NULL, "t");
    proto_message(&graph, 1, &node);
    node = onnx_node("MatMul", "d", "t", NULL, "e");
    proto_message(&graph, 1, &node);
    node = onnx_node("Add", "fc.bias", "e", NULL, "f");
    proto_message(&graph, 1, &node);
    node = onnx_node("Softmax", "f", NULL, NULL, "probabilities");
    node_int(&node, "axis", 1);
    proto_message(&graph, 1, &node);
    const proto tensors[] = {onnx_floats("onnx::Conv_7", DIMS(5, 3, 3, 3)), onnx_floats("conv.bias", DIMS(5)),
                             onnx_floats("fc.weight", DIMS(4, 5)), onnx_floats("fc.bias", DIMS(4))};
    for (int i = 0; i < 4; i++) proto_message(&graph, 5, &tensors[i]);
    proto t = onnx_tensor("zero", 7, DIMS(1));
    proto_int(&t, 7, 0);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("rest", 7, DIMS(1));
    proto_int(&t, 7, -1);
    proto_message(&graph, 5, &t);
    t = onnx_port("image", DIMS(-1, 3, -1, -1));
    proto_message(&graph, 11, &t);
    t = onnx_port("probabilities", DIMS(-1, 4));
    proto_message(&graph, 12, &t);
    const proto file = onnx_model(&graph, 14);
    psal_tensor_map *map = read_model(&file);
    psal_model *model = psal_model_load(map, NULL, notes, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    ck_assert_msg(strstr(notes, "took the logits in front of Softmax"), "%s", notes);
    ck_assert_msg(strstr(notes, "folded batch normalisation"), "%s", notes);
    ck_assert(psal_model_get_info(model)->norm_folded);
    ck_assert_str_eq(psal_model_get_parameter(model, 0)->name, "stem.0.conv.weight");
    ck_assert_str_eq(psal_model_get_parameter(model, 1)->name, "stem.0.conv.bias");
    ck_assert_int_eq(psal_model_get_info(model)->num_classes, 4);
    compute(model, 8, 8, logits);
    expect_sample(logits);
    compute(model, 17, 11, logits); /* any size */
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* Along which axis the outputs of a linear layer lie, and which bias is theirs. */
START_TEST(test_matrices) {
    static const struct {
        const char *type, *weight, *added; /* by an Add; NULL: by Gemm itself */
        int64_t rows, columns, transposed; /* transposed: by Gemm, 1; by a Transpose in front, 2 */
        int output_axis, bias;
    } cases[] = {{"Gemm", "w", NULL, 12, 4, 0, 1, 1},  {"Gemm", "w", NULL, 4, 12, 1, 0, 1},
                 {"Gemm", "t", NULL, 4, 12, 2, 0, 1},  {"MatMul", "w", "b", 12, 4, 0, 1, 1},
                 {"MatMul", "t", "b", 4, 12, 2, 0, 1}, {"MatMul", "w", "s", 12, 4, 0, 1, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        proto graph = {.size = 0}, node = onnx_node("Flatten", "image", NULL, NULL, "x");
        psal_error err = PSAL_ERROR_INIT;
        proto_message(&graph, 1, &node);
        if (cases[i].transposed == 2) {
            node = onnx_node("Transpose", "w", NULL, NULL, "t");
            proto_message(&graph, 1, &node);
        }
        node = onnx_node(cases[i].type, "x", cases[i].weight, cases[i].added ? NULL : "b", cases[i].added ? "y" : "z");
        if (cases[i].transposed == 1) node_int(&node, "transB", 1);
        proto_message(&graph, 1, &node);
        if (cases[i].added) {
            node = onnx_node("Add", cases[i].added, "y", NULL, "z");
            proto_message(&graph, 1, &node);
        }
        const proto tensors[] = {onnx_floats("w", DIMS(cases[i].rows, cases[i].columns)), onnx_floats("b", DIMS(4)),
                                 onnx_floats("s", DIMS(1))}; /* one number for all outputs */
        for (int k = 0; k < 3; k++) proto_message(&graph, 5, &tensors[k]);
        node = onnx_port("image", DIMS(1, 3, 2, 2));
        proto_message(&graph, 11, &node);
        node = onnx_port("z", DIMS(1, 4));
        proto_message(&graph, 12, &node);
        const proto file = onnx_model(&graph, 14);
        psal_tensor_map *map = read_model(&file);
        psal_model *model = psal_model_load(map, NULL, NULL, &err);
        ck_assert_msg(model != NULL, "%s", err.message);
        const int w = psal_model_find_parameter(model, "w");
        int scale, shift;
        psal_model_filter_norm(model, w, &scale, &shift);
        ck_assert_int_eq(psal_model_get_parameter(model, w)->output_axis, cases[i].output_axis);
        ck_assert_int_eq(shift, cases[i].bias);
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(test_refused) {
    proto graph = onnx_sample_graph(), node;
    refuse(&graph, &(psal_model_options){.arch = "resnet18"}, "leave out the architecture (--model)");
    refuse(&graph, &(psal_model_options){.bn_epsilon = 1e-3}, "--bn-epsilon");
    refuse(&graph, &(psal_model_options){.prefix = "x."}, "--weights-key");
#define WITH(...)   \
    graph.size = 0; \
    node = __VA_ARGS__
#define END(what)                                \
    proto_message(&graph, 1, &node);             \
    node = onnx_port("image", DIMS(1, 3, 4, 4)); \
    proto_message(&graph, 11, &node);            \
    node = onnx_port("y", DIMS(1, 3));           \
    proto_message(&graph, 12, &node);            \
    refuse(&graph, NULL, what)
    WITH(onnx_node("Loop", "image", NULL, NULL, "y"));
    proto_text(&node, 3, "here");
    END("node 'here' (Loop): psal has no such operator; of this file's it has none, and not Loop");
    WITH(onnx_node("", "image", NULL, NULL, "y"));
    END("psal has no such operator");
    WITH(onnx_node("Relu", "image", NULL, NULL, "y"));
    node_int(&node, "slope", 1);
    END("(Relu): psal does not know the attribute 'slope'");
    WITH(onnx_node("Relu", "image", NULL, NULL, "y"));
    END("its output 'y' has shape 1x3x4x4, expected images x classes");
    WITH(onnx_node("MaxPool", "image", NULL, NULL, "y"));
    node_ints(&node, "kernel_shape", 2, (int64_t[]){2, 2});
    node_ints(&node, "dilations", 2, (int64_t[]){2, 1});
    END("dilations in pooling");
    WITH(onnx_node("MaxPool", "image", NULL, NULL, "y"));
    END("windows of 0");
    WITH(onnx_node("Flatten", "image", NULL, NULL, "y"));
    node_int(&node, "axis", INT64_MIN);
    END("axis -9223372036854775808 of 4 dimensions");
    WITH(onnx_node("Reshape", "image", "image", NULL, "y"));
    END("must be whole numbers that do not depend on the image");
    WITH(onnx_node("Floor", "image", NULL, NULL, "y"));
    END("of constants and shapes only");
    WITH(onnx_node("Conv", "image", "image", NULL, "y"));
    node_ints(&node, "pads", 4, (int64_t[]){INT64_MAX, 0, 0, 0});
    END("a padding of 9223372036854775807 and 0");
    WITH(onnx_node("Einsum", "image", NULL, NULL, "y"));
    END("it has no equation");
#define EQUATION(text, second, what)                       \
    WITH(onnx_node("Einsum", "image", second, NULL, "y")); \
    node_text(&node, "equation", text);                    \
    END(what)
    EQUATION("abcde->a", NULL, "does not fit input 0 of 4 dimensions");
    EQUATION("a...bcde->a", NULL, "does not fit input 0 of 4 dimensions");
    EQUATION("aacd->a", NULL, "psal takes no diagonals");
    EQUATION("abcd->aa", NULL, "psal takes no diagonals");
    EQUATION("abcd->e", NULL, "asks for an axis that no input has");
    EQUATION("abc\xff->a", NULL, "its equation has a '?'");
    EQUATION("abcd", "image", "is not of 2 inputs");
    EQUATION("abcd,abcd->a", NULL, "is not of 1 inputs");
    EQUATION("abcd,cbae->de", "image", "is both 4 and 1 long");
    EQUATION("abcd,efgh->abcdefghi", "image", "more than 8 dimensions");
#undef EQUATION
#define PAD(before, after, mode, what)                                         \
    WITH(onnx_node("Pad", "image", NULL, NULL, "y"));                          \
    node_ints(&node, "pads", 8, (int64_t[]){0, 0, 0, before, 0, 0, 0, after}); \
    node_text(&node, "mode", mode);                                            \
    END(what)
    PAD(1, 4, "reflect", "reflect by 1 and 4 of a length of 4");
    PAD(-2, 2, "reflect", "reflect by -2 and 2 of a length of 4"); /* from what was cut away */
    PAD(-5, 2, "edge", "edge by -5 and 2 of a length of 4");
    PAD(0, -4, "edge", "edge by 0 and -4 of a length of 4");
#undef PAD
    WITH(onnx_node("Resize", "image", NULL, NULL, "y"));
    node_text(&node, "mode", "cubic");
    END("attribute mode 'cubic': psal has nearest");
    WITH(onnx_node("Resize", "image", NULL, NULL, "y"));
    node_text(&node, "coordinate_transformation_mode", "tf_crop_and_resize");
    END("attribute coordinate_transformation_mode 'tf_crop_and_resize'");
    WITH(onnx_node("Resize", "image", NULL, NULL, "y"));
    END("must be whole numbers that do not depend on the image");
    WITH(onnx_node("ScatterND", "image", "image", "image", "y"));
    END("its indices are not known beforehand");
    WITH(onnx_node("Gelu", "image", NULL, NULL, "y"));
    node_text(&node, "approximate", "sigmoid");
    END("attribute approximate 'sigmoid'");
    WITH(onnx_node("Dropout", "image", "", "training", "y"));
    proto t = onnx_tensor("training", 9, DIMS(1));
    proto_int(&t, 5, 1);
    proto_message(&graph, 5, &t);
    END("it is in training mode");
#undef WITH
#undef END
    graph = onnx_sample_graph();
    node = onnx_port("second", DIMS(1, 3, 4, 4));
    proto_message(&graph, 11, &node);
    refuse(&graph, NULL, "several inputs, 'image' and 'second'");
}
END_TEST

/* ---- changed weights ---- */

/* A bias that two convolutions share, one of them by another name; the last weights are a Constant. */
static proto shared_graph(void) {
    proto graph = {.size = 0}, node, attribute = {.size = 0}, tensor = onnx_floats("", DIMS(4, 5));
    node = onnx_node("Constant", NULL, NULL, NULL, "fc.weight");
    proto_text(&attribute, 1, "value");
    proto_message(&attribute, 5, &tensor);
    proto_int(&attribute, 20, 4);
    proto_message(&node, 5, &attribute);
    proto_message(&graph, 1, &node);
    node = onnx_node("Identity", "one.bias", NULL, NULL, "two.bias");
    proto_message(&graph, 1, &node);
    node = onnx_node("Conv", "image", "one.weight", "one.bias", "a");
    proto_message(&graph, 1, &node);
    node = onnx_node("Conv", "a", "two.weight", "two.bias", "b");
    proto_message(&graph, 1, &node);
    node = onnx_node("GlobalAveragePool", "b", NULL, NULL, "c");
    proto_message(&graph, 1, &node);
    node = onnx_node("Flatten", "c", NULL, NULL, "d");
    proto_message(&graph, 1, &node);
    node = onnx_node("Gemm", "d", "fc.weight", "fc.bias", "logits");
    node_int(&node, "transB", 1);
    proto_message(&graph, 1, &node);
    const proto tensors[] = {onnx_floats("one.weight", DIMS(5, 3, 3, 3)), onnx_floats("one.bias", DIMS(5)),
                             onnx_floats("two.weight", DIMS(5, 5, 1, 1)), onnx_floats("fc.bias", DIMS(4))};
    for (int i = 0; i < 4; i++) proto_message(&graph, 5, &tensors[i]);
    tensor = onnx_port("image", DIMS(1, 3, 8, 8));
    proto_message(&graph, 11, &tensor);
    tensor = onnx_port("logits", DIMS(1, 4));
    proto_message(&graph, 12, &tensor);
    return graph;
}

static int parameter_called(const psal_model *model, const char *name) {
    for (int i = 0; i < psal_model_parameter_count(model); i++)
        if (strcmp(psal_model_get_parameter(model, i)->name, name) == 0) return i;
    ck_abort_msg("no parameter is called %s", name);
}

/* The file with the parameter `name` changed computes what the changed model does, and holds `count` new values. */
static void save_changed(const char *name, size_t count) {
    const proto graph = shared_graph(), file = onnx_model(&graph, 14);
    psal_error err = PSAL_ERROR_INIT;
    float logits[4], again[4], before[4], other[135]; /* one.weight is the largest */
    psal_tensor_map *map = read_model(&file);
    psal_model *model = psal_model_load(map, NULL, NULL, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    compute(model, 8, 8, before);
    const int index = parameter_called(model, name);
    for (int i = 0; i < 135; i++) other[i] = (float)i / 16 - 2;
    const float **values = calloc((size_t)psal_model_parameter_count(model), sizeof *values);
    values[index] = other;
    psal_tensor_map *changed = psal_model_export(model, values, &err);
    ck_assert_msg(changed != NULL, "%s", err.message);
    ck_assert_uint_eq(psal_tensor_map_count(changed), count);
    ck_assert_int_eq(psal_tensor_map_set_meta(changed, "psal.preprocess", "caffe", &err), PSAL_OK);
    char path[] = "/tmp/psal-test-XXXXXX";
    close(mkstemp(path));
    ck_assert_msg(psal_checkpoint_write(path, changed, &err) == PSAL_OK, "%s", err.message);
    psal_tensor_map_free(changed);
    free(values);
    ck_assert_int_eq(psal_model_set_parameter(model, index, other, &err), PSAL_OK);
    compute(model, 8, 8, logits);
    ck_assert(memcmp(logits, before, sizeof logits) != 0);
    changed = psal_onnx_read(path, &err);
    unlink(path);
    ck_assert_msg(changed != NULL, "%s", err.message);
    psal_model *saved = psal_model_load(changed, NULL, NULL, &err);
    ck_assert_msg(saved != NULL, "%s", err.message);
    compute(saved, 8, 8, again);
    ck_assert_mem_eq(logits, again, sizeof logits);
    ck_assert_str_eq(psal_model_get_info(saved)->preprocess, "caffe");
    ck_assert_str_eq(psal_model_get_info(saved)->arch, psal_model_get_info(model)->arch);
    ck_assert_uint_eq(psal_model_fingerprint(saved), psal_model_fingerprint(model));
    psal_model_free(saved);
    psal_model_free(model);
    psal_tensor_map_free(changed);
    psal_tensor_map_free(map);
}

START_TEST(test_saved) {
    save_changed("one.weight", 1);
    save_changed("one.bias", 2); /* the other name keeps the old numbers */
    save_changed("two.bias", 1);
    save_changed("fc.weight", 1);
}
END_TEST

/* What stands for something else in the graph too, or is kept as another type, is not changed in silence. */
START_TEST(test_not_saved) {
    psal_error err = PSAL_ERROR_INIT;
    const float other[5] = {1, 2, 3, 4, 5};
    const char *const names[] = {"bias", "half"}, *const expected[] = {"also reads 'bias', as a constant",
                                                                       "keeps 'half' as"};
    proto graph = {.size = 0}, node, tensor;
    node = onnx_node("Conv", "image", "weight", "bias", "a");
    proto_message(&graph, 1, &node);
    node = onnx_node("GlobalAveragePool", "a", NULL, NULL, "b");
    proto_message(&graph, 1, &node);
    node = onnx_node("Flatten", "b", NULL, NULL, "c");
    proto_message(&graph, 1, &node);
    node = onnx_node("Clip", "bias", NULL, NULL, "d");
    proto_message(&graph, 1, &node);
    node = onnx_node("Add", "c", "d", NULL, "e");
    proto_message(&graph, 1, &node);
    node = onnx_node("Add", "e", "half", NULL, "logits");
    proto_message(&graph, 1, &node);
    tensor = onnx_floats("weight", DIMS(5, 3, 3, 3));
    proto_message(&graph, 5, &tensor);
    tensor = onnx_floats("bias", DIMS(5));
    proto_message(&graph, 5, &tensor);
    tensor = onnx_tensor("half", 10, DIMS(5));
    for (int i = 0; i < 5; i++) proto_int(&tensor, 5, 0x3c00);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_port("image", DIMS(1, 3, 8, 8));
    proto_message(&graph, 11, &tensor);
    tensor = onnx_port("logits", DIMS(1, 5));
    proto_message(&graph, 12, &tensor);
    const proto file = onnx_model(&graph, 14);
    psal_tensor_map *map = read_model(&file);
    psal_model *model = psal_model_load(map, NULL, NULL, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    for (int i = 0; i < 2; i++) {
        const float *values[8] = {NULL};
        values[parameter_called(model, names[i])] = other;
        ck_assert_ptr_null(psal_model_export(model, values, &err));
        ck_assert_msg(strstr(err.message, expected[i]), "'%s', expected: %s", err.message, expected[i]);
    }
    psal_tensor_map *all = psal_model_export(model, NULL, &err); /* nothing changed */
    ck_assert_ptr_nonnull(all);
    ck_assert_uint_eq(psal_tensor_map_count(all), 0);
    ck_assert_int_ne(psal_checkpoint_write("/tmp/psal-test.safetensors", all, &err), PSAL_OK);
    ck_assert_msg(strstr(err.message, "call it .onnx"), "%s", err.message);
    psal_tensor_map_free(all);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* ---- single operators, of which ONNX's own tests have none or few ---- */

/* The first `count` numbers of the only node's output, whose inputs a and b hold value(0), value(1), ... */
static void compute_node(const proto *node, int inputs, const psal_shape *shapes, const proto *tensors,
                         int tensor_count, float *found, int64_t count) {
    static const char *const names[] = {"a", "b"};
    proto graph = {.size = 0};
    psal_error err = PSAL_ERROR_INIT;
    proto_message(&graph, 1, node);
    for (int i = 0; i < tensor_count; i++) proto_message(&graph, 5, &tensors[i]);
    psal_tensor given[2];
    float numbers[2][256];
    for (int i = 0; i < 256; i++) numbers[0][i] = numbers[1][i] = value(i);
    for (int i = 0; i < inputs; i++) {
        const proto port = onnx_port(names[i], shapes[i].ndim, shapes[i].dim);
        proto_message(&graph, 11, &port);
        given[i] = (psal_tensor){PSAL_F32, shapes[i], numbers[i]};
    }
    const proto port = onnx_port("y", DIMS(1)), file = (proto_message(&graph, 12, &port), onnx_model(&graph, 20));
    psal_tensor_map *map = read_model(&file);
    psal_graph *g = psal_graph_new();
    psal_node nodes[2], output;
    ck_assert_msg(net_onnx_build_all(map, g, given, nodes, &output, &err) == PSAL_OK, "%s", err.message);
    ck_assert_int_eq(psal_shape_count(psal_graph_shape(g, output)), count);
    const psal_plan_options options = {.outputs = {&output}, .output_count = {1}, .stages = 1, .threads = 1};
    psal_plan *plan = psal_plan_new(g, &options, &err);
    psal_workspace *workspace = psal_workspace_new(plan, &err);
    for (int i = 0; i < inputs; i++)
        ck_assert_int_eq(psal_workspace_set(workspace, nodes[i], numbers[i], &err), PSAL_OK);
    ck_assert_int_eq(psal_workspace_run(workspace, 0, &err), PSAL_OK);
    memcpy(found, psal_workspace_get(workspace, output), (size_t)count * sizeof *found);
    psal_workspace_free(workspace);
    psal_plan_free(plan);
    psal_graph_free(g);
    psal_tensor_map_free(map);
}

static void expect_near(float found, double expected, const char *what, int i) {
    ck_assert_msg(fabs(found - expected) < 1e-5, "%s, element %d is %g, expected %g", what, i, found, expected);
}

START_TEST(test_gelu) {
    const psal_shape shape = PSAL_SHAPE(11);
    float found[11];
    proto node = onnx_node("Gelu", "a", NULL, NULL, "y");
    compute_node(&node, 1, &shape, NULL, 0, found, 11);
    for (int i = 0; i < 11; i++) expect_near(found[i], value(i) * (1 + erf(value(i) / sqrt(2))) / 2, "exact", i);
    node_text(&node, "approximate", "tanh");
    compute_node(&node, 1, &shape, NULL, 0, found, 11);
    for (int i = 0; i < 11; i++) {
        const double x = value(i);
        expect_near(found[i], x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))) / 2, "tanh", i);
    }
}
END_TEST

/* Attention's products: scores of queries and keys, and their sums of values, in the orders that people write. */
START_TEST(test_einsum) {
    enum { B = 2, H = 3, I = 4, J = 2, D = 5 };
    float found[B * H * I * J * D];
    proto node = onnx_node("Einsum", "a", "b", NULL, "y");
    node_text(&node, "equation", "b i h d, b j h d -> b h i j");
    compute_node(&node, 2, (psal_shape[]){PSAL_SHAPE(B, I, H, D), PSAL_SHAPE(B, J, H, D)}, NULL, 0, found,
                 B * H * I * J);
    for (int k = 0; k < B * H * I * J; k++) {
        const int j = k % J, i = k / J % I, h = k / J / I % H, b = k / J / I / H;
        double sum = 0;
        for (int d = 0; d < D; d++) sum += value(((b * I + i) * H + h) * D + d) * value(((b * J + j) * H + h) * D + d);
        expect_near(found[k], sum, "scores", k);
    }
    node = onnx_node("Einsum", "a", "b", NULL, "y");
    node_text(&node, "equation", "...ij,...jd->...di");
    compute_node(&node, 2, (psal_shape[]){PSAL_SHAPE(B, H, I, J), PSAL_SHAPE(B, H, J, D)}, NULL, 0, found,
                 B * H * D * I);
    for (int k = 0; k < B * H * D * I; k++) {
        const int i = k % I, d = k / I % D, bh = k / I / D;
        double sum = 0;
        for (int j = 0; j < J; j++) sum += value((bh * I + i) * J + j) * value((bh * J + j) * D + d);
        expect_near(found[k], sum, "values", k);
    }
    /* axes that one input has alone are summed; the implied output is in the alphabet's order */
    node = onnx_node("Einsum", "a", "b", NULL, "y");
    node_text(&node, "equation", "zk,kc");
    compute_node(&node, 2, (psal_shape[]){PSAL_SHAPE(I, D), PSAL_SHAPE(D, J)}, NULL, 0, found, J * I);
    for (int k = 0; k < J * I; k++) {
        double sum = 0;
        for (int d = 0; d < D; d++) sum += value(k % I * D + d) * value(d * J + k / I);
        expect_near(found[k], sum, "implied", k);
    }
    node = onnx_node("Einsum", "a", "b", NULL, "y");
    node_text(&node, "equation", "ij,kd->kj");
    compute_node(&node, 2, (psal_shape[]){PSAL_SHAPE(I, J), PSAL_SHAPE(H, D)}, NULL, 0, found, H * J);
    for (int k = 0; k < H * J; k++) {
        double a = 0, b = 0;
        for (int i = 0; i < I; i++) a += value(i * J + k % J);
        for (int d = 0; d < D; d++) b += value(k / J * D + d);
        expect_near(found[k], a * b, "sums", k);
    }
}
END_TEST

/* Some elements replaced by others: what PyTorch makes of x[...] = y. */
START_TEST(test_scatter) {
    float found[6];
    proto node = onnx_node("ScatterND", "a", "at", "b", "y"), at = onnx_tensor("at", 7, DIMS(2, 1));
    proto_int(&at, 7, -1);
    proto_int(&at, 7, 0);
    compute_node(&node, 2, (psal_shape[]){PSAL_SHAPE(3, 2), PSAL_SHAPE(2, 2)}, &at, 1, found, 6);
    const int expected[] = {2, 3, 2, 3, 0, 1};
    for (int i = 0; i < 6; i++) expect_near(found[i], value(expected[i]), "scatter", i);
}
END_TEST

/* Each row's length, of zeros too. */
START_TEST(test_length) {
    float found[2];
    proto node = onnx_node("ReduceL2", "a", NULL, NULL, "y");
    node_ints(&node, "axes", 1, (int64_t[]){-1});
    compute_node(&node, 1, (psal_shape[]){PSAL_SHAPE(2, 3)}, NULL, 0, found, 2);
    for (int i = 0; i < 2; i++) {
        double sum = 0;
        for (int k = 0; k < 3; k++) sum += value(3 * i + k) * value(3 * i + k);
        expect_near(found[i], sqrt(sum), "length", i);
    }
}
END_TEST

/* Pixels keep their digits beside any number, and what negative pads leave is padded. */
START_TEST(test_pad) {
    static const float infinite = -INFINITY, large = -1e9f;
    const psal_shape shape = PSAL_SHAPE(5);
    static const struct {
        const char *mode;
        int64_t before, after;
        const float *number;
        int from[8]; /* of the numbers 0 to 4, or -1: `number` */
        int count;
    } cases[] = {{"constant", 2, 1, &large, {-1, -1, 0, 1, 2, 3, 4, -1}, 8},
                 {"constant", -1, 1, &infinite, {1, 2, 3, 4, -1}, 5},
                 {"reflect", 2, 1, NULL, {2, 1, 0, 1, 2, 3, 4, 3}, 8},
                 {"reflect", -1, 3, NULL, {1, 2, 3, 4, 3, 2, 1}, 7},
                 {"edge", 1, -2, NULL, {0, 0, 1, 2}, 4}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float found[8];
        proto node = onnx_node("Pad", "a", "pads", cases[c].number ? "number" : NULL, "y");
        proto tensors[2] = {onnx_tensor("pads", 7, DIMS(2)), onnx_tensor("number", 1, DIMS(1))};
        proto_int(&tensors[0], 7, cases[c].before);
        proto_int(&tensors[0], 7, cases[c].after);
        if (cases[c].number) proto_bytes(&tensors[1], 9, cases[c].number, sizeof *cases[c].number);
        node_text(&node, "mode", cases[c].mode);
        compute_node(&node, 1, &shape, tensors, cases[c].number ? 2 : 1, found, cases[c].count);
        for (int i = 0; i < cases[c].count; i++) {
            const float expected = cases[c].from[i] < 0 ? *cases[c].number : value(cases[c].from[i]);
            ck_assert_msg(found[i] == expected, "case %zu, element %d is %g, expected %g", c, i, found[i], expected);
        }
    }
}
END_TEST

/* They are looked up by halving. */
START_TEST(test_every_operator_is_found) {
    static const char *const types[] = {"Abs",  "AveragePool", "BatchNormalization", "Conv",      "Einsum", "Gelu",
                                        "Gemm", "Resize",      "Upsample",           "HardSwish", "MatMul", "PRelu",
                                        "Pad",  "ReduceMean",  "Transpose",          "Unsqueeze", "Where"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const psal_operator o = {.type = types[i], .domain = ""}, other = {.type = types[i], .domain = "com.example"};
        ck_assert_msg(onnx_find_operator(&o) != NULL, "%s", types[i]);
        ck_assert_ptr_null(onnx_find_operator(&other));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("onnx");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_sample);
    tcase_add_test(tests, test_exporters_ways);
    tcase_add_test(tests, test_matrices);
    tcase_add_test(tests, test_refused);
    tcase_add_test(tests, test_saved);
    tcase_add_test(tests, test_not_saved);
    tcase_add_test(tests, test_gelu);
    tcase_add_test(tests, test_einsum);
    tcase_add_test(tests, test_scatter);
    tcase_add_test(tests, test_length);
    tcase_add_test(tests, test_pad);
    tcase_add_test(tests, test_every_operator_is_found);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
