/* ONNX models, and the networks that they describe. */
#include "io/onnx.h"

#include <stdio.h>
#include <stdlib.h>

#include "io/checkpoint.h"
#include "models/model.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/io/onnx_writer.h"

const int fuzz_mutations = 12000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("Conv"),
                                FUZZ_WORD("Gemm"),
                                FUZZ_WORD("MatMul"),
                                FUZZ_WORD("BatchNormalization"),
                                FUZZ_WORD("Relu"),
                                FUZZ_WORD("Reshape"),
                                FUZZ_WORD("Concat"),
                                FUZZ_WORD("Shape"),
                                FUZZ_WORD("Gather"),
                                FUZZ_WORD("Add"),
                                FUZZ_WORD("Einsum"),
                                FUZZ_WORD("equation"),
                                FUZZ_WORD("...ij"),
                                FUZZ_WORD("->"),
                                FUZZ_WORD("Resize"),
                                FUZZ_WORD("nearest_mode"),
                                FUZZ_WORD("ScatterND"),
                                FUZZ_WORD("InstanceNormalization"),
                                FUZZ_WORD("ReduceL2"),
                                FUZZ_WORD("Gelu"),
                                FUZZ_WORD("Elu"),
                                FUZZ_WORD("Softplus"),
                                FUZZ_WORD("Pad"),
                                FUZZ_WORD("reflect"),
                                FUZZ_WORD("strides"),
                                FUZZ_WORD("pads"),
                                FUZZ_WORD("axis"),
                                FUZZ_WORD("image"),
                                FUZZ_WORD("logits"),
                                FUZZ_WORD("location"),
                                FUZZ_WORD("offset"),
                                FUZZ_WORD("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                                FUZZ_WORD("\x80\x80\x80\x80\x08"),
                                FUZZ_WORD("\x08\x00"),
                                FUZZ_WORD("\x0a\x00"),
                                FUZZ_WORD("\x2a\x00"),
                                FUZZ_WORD("\xa0\x01\x07"),
                                {NULL, 0}};

/* A copy with other numbers in one of its parameters is the same network with these. */
static void save_changed(psal_model *model) {
    psal_error err = PSAL_ERROR_INIT;
    const int count = psal_model_parameter_count(model), index = count / 2;
    if (!count) return;
    const int64_t elements = psal_shape_count(&psal_model_get_parameter(model, index)->shape);
    const float **values = calloc((size_t)count, sizeof *values);
    float *other = calloc((size_t)elements + 1, sizeof *other);
    if (!values || !other) abort();
    values[index] = other;
    psal_tensor_map *changed = psal_model_export(model, values, &err);
    if (fuzz_outcome(changed != NULL, &err) &&
        fuzz_outcome(psal_checkpoint_write(fuzz_path("b.onnx"), changed, &err) == PSAL_OK, &err)) {
        if (psal_model_set_parameter(model, index, other, &err) != PSAL_OK) abort();
        psal_tensor_map *map = psal_onnx_read(fuzz_path("b.onnx"), &err);
        psal_model *again = map ? psal_model_load(map, NULL, NULL, &err) : NULL;
        if (!again || psal_model_fingerprint(again) != psal_model_fingerprint(model)) {
            fprintf(stderr, "the copy is another network: %s\n", err.message);
            abort();
        }
        psal_model_free(again);
        psal_tensor_map_free(map);
    }
    psal_tensor_map_free(changed);
    free(values);
    free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT, model_err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_onnx_read(fuzz_write("a.onnx", data, size), &err);
    if (fuzz_outcome(map != NULL, &err)) {
        fuzz_touch(map);
        psal_model *model = psal_model_load(map, NULL, NULL, &model_err);
        if (fuzz_outcome(model != NULL, &model_err)) save_changed(model);
        psal_model_free(model);
    }
    psal_tensor_map_free(map);
    return 0;
}

/* The graph, from "image" to "logits" of three classes, as a seed. */
static void end_seed(const char *name, proto *graph) {
    proto port = onnx_port("image", DIMS(-1, 3, 2, 2));
    proto_message(graph, 11, &port);
    port = onnx_port("logits", DIMS(-1, 3));
    proto_message(graph, 12, &port);
    const proto model = onnx_model(graph, 14);
    fuzz_seed(name, model.bytes, model.size);
}

void fuzz_make_seeds(void) {
    proto model = onnx_sample(), graph = {.size = 0}, tensor, node;
    fuzz_seed("sample", model.bytes, model.size);
    /* numbers of every kind */
    tensor = onnx_tensor("a", 1, DIMS(2));
    proto_float(&tensor, 4, 1);
    proto_float(&tensor, 4, 2);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_tensor("b", 7, DIMS(2));
    proto_bytes(&tensor, 7, "\1\2", 2);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_tensor("c", 10, DIMS(1));
    proto_int(&tensor, 5, 0x3c00);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_tensor("d", 11, DIMS(1));
    proto_bytes(&tensor, 10, "12345678", 8);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_tensor("e", 1, DIMS(1));
    proto_bytes(&tensor, 13,
                "\x0a\x08location\x12\x06"
                "a.onnx",
                18);
    proto_int(&tensor, 14, 1);
    proto_message(&graph, 5, &tensor);
    model = onnx_model(&graph, 9);
    fuzz_seed("numbers", model.bytes, model.size);
    /* a shape that is computed */
    graph.size = 0;
    node = onnx_node("Shape", "image", NULL, NULL, "s");
    proto_message(&graph, 1, &node);
    node = onnx_node("Gather", "s", "zero", NULL, "n");
    node_int(&node, "axis", 0);
    proto_message(&graph, 1, &node);
    node = onnx_node("Concat", "n", "rest", NULL, "shape");
    node_int(&node, "axis", 0);
    proto_message(&graph, 1, &node);
    node = onnx_node("Reshape", "image", "shape", NULL, "flat");
    proto_message(&graph, 1, &node);
    node = onnx_node("MatMul", "flat", "w", NULL, "m");
    proto_message(&graph, 1, &node);
    node = onnx_node("Add", "m", "bias", NULL, "logits");
    proto_message(&graph, 1, &node);
    tensor = onnx_tensor("zero", 7, DIMS(1));
    proto_int(&tensor, 7, 0);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_tensor("rest", 7, DIMS(1));
    proto_int(&tensor, 7, -1);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_floats("w", DIMS(12, 3));
    proto_message(&graph, 5, &tensor);
    tensor = onnx_floats("bias", DIMS(3));
    proto_message(&graph, 5, &tensor);
    end_seed("shapes", &graph);
    /* operators that read equations, indices and sizes */
    graph.size = 0;
    node = onnx_node("InstanceNormalization", "image", "scale", "shift", "a");
    proto_message(&graph, 1, &node);
    node = onnx_node("Resize", "a", "", "by", "b");
    node_text(&node, "coordinate_transformation_mode", "asymmetric");
    node_text(&node, "nearest_mode", "floor");
    proto_message(&graph, 1, &node);
    node = onnx_node("Gelu", "b", NULL, NULL, "c");
    node_text(&node, "approximate", "tanh");
    proto_message(&graph, 1, &node);
    node = onnx_node("ScatterND", "scale", "at", "one", "weights");
    proto_message(&graph, 1, &node);
    node = onnx_node("Einsum", "c", "weights", NULL, "d");
    node_text(&node, "equation", "nchw,c->nch");
    proto_message(&graph, 1, &node);
    node = onnx_node("ReduceL2", "d", NULL, NULL, "logits");
    node_ints(&node, "axes", 1, (int64_t[]){2});
    node_int(&node, "keepdims", 0);
    proto_message(&graph, 1, &node);
    tensor = onnx_tensor("at", 7, DIMS(1, 1));
    proto_int(&tensor, 7, 2);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_tensor("by", 1, DIMS(4));
    for (int i = 0; i < 4; i++) proto_float(&tensor, 4, i < 2 ? 1 : 2);
    proto_message(&graph, 5, &tensor);
    tensor = onnx_floats("scale", DIMS(3));
    proto_message(&graph, 5, &tensor);
    tensor = onnx_floats("shift", DIMS(3));
    proto_message(&graph, 5, &tensor);
    tensor = onnx_floats("one", DIMS(1));
    proto_message(&graph, 5, &tensor);
    tensor = onnx_port("image", DIMS(-1, 3, 2, 2));
    proto_message(&graph, 11, &tensor);
    tensor = onnx_port("logits", DIMS(-1, 3));
    proto_message(&graph, 12, &tensor);
    model = onnx_model(&graph, 20);
    fuzz_seed("operators", model.bytes, model.size);
    /* padding whose opposite is no number of 64 bits */
    graph.size = 0;
    node = onnx_node("Pad", "image", "pads", NULL, "padded");
    proto_message(&graph, 1, &node);
    node = onnx_node("GlobalAveragePool", "padded", NULL, NULL, "logits");
    proto_message(&graph, 1, &node);
    tensor = onnx_tensor("pads", 7, DIMS(8));
    for (int i = 0; i < 8; i++) proto_int(&tensor, 7, i == 7 ? INT64_MIN : 0);
    proto_message(&graph, 5, &tensor);
    end_seed("pads", &graph);
}
