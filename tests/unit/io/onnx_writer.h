/* onnx_writer.h - small ONNX files for the tests, honest ones and others: protocol buffers, written field by field. */
#ifndef PSAL_TESTS_UNIT_IO_ONNX_WRITER_H
#define PSAL_TESTS_UNIT_IO_ONNX_WRITER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A message that grows. */
typedef struct proto {
    uint8_t bytes[16384];
    size_t size;
} proto;

static inline void proto_raw(proto *to, const void *bytes, size_t size) {
    if (size > sizeof to->bytes - to->size) abort();
    if (size) memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}

static inline void proto_number(proto *to, uint64_t value) {
    uint8_t bytes[10];
    size_t size = 0;
    do {
        bytes[size++] = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
        value >>= 7;
    } while (value);
    proto_raw(to, bytes, size);
}

static inline void proto_int(proto *to, unsigned field, int64_t value) {
    proto_number(to, (uint64_t)field << 3);
    proto_number(to, (uint64_t)value);
}

static inline void proto_bytes(proto *to, unsigned field, const void *bytes, size_t size) {
    proto_number(to, (uint64_t)field << 3 | 2);
    proto_number(to, size);
    proto_raw(to, bytes, size);
}

static inline void proto_text(proto *to, unsigned field, const char *text) {
    proto_bytes(to, field, text, strlen(text));
}

static inline void proto_message(proto *to, unsigned field, const proto *message) {
    proto_bytes(to, field, message->bytes, message->size);
}

static inline void proto_float(proto *to, unsigned field, float value) {
    proto_number(to, (uint64_t)field << 3 | 5);
    proto_raw(to, &value, sizeof value);
}

/* ---- ONNX ---- */

/* Dimensions and type of a tensor called `name`; its numbers are for the caller to add. */
static inline proto onnx_tensor(const char *name, int type, int ndim, const int64_t *dim) {
    proto tensor = {.size = 0};
    for (int i = 0; i < ndim; i++) proto_int(&tensor, 1, dim[i]);
    proto_int(&tensor, 2, type);
    proto_text(&tensor, 8, name);
    return tensor;
}

/* float32, raw: 1/8, 2/8, ... */
static inline proto onnx_floats(const char *name, int ndim, const int64_t *dim) {
    proto tensor = onnx_tensor(name, 1, ndim, dim);
    float values[1024];
    int64_t count = 1;
    for (int i = 0; i < ndim; i++) count *= dim[i];
    if (count > 1024) abort();
    for (int64_t i = 0; i < count; i++) values[i] = (float)((i * 7) % 11 - 5) / 8;
    proto_bytes(&tensor, 9, values, (size_t)count * sizeof(float));
    return tensor;
}

/* A node with up to three inputs ("" or NULL ends them) and one output, still without attributes. */
static inline proto onnx_node(const char *type, const char *a, const char *b, const char *c, const char *output) {
    proto node = {.size = 0};
    const char *inputs[] = {a, b, c};
    for (int i = 0; i < 3 && inputs[i]; i++) proto_text(&node, 1, inputs[i]);
    proto_text(&node, 2, output);
    proto_text(&node, 4, type);
    return node;
}

static inline void node_ints(proto *node, const char *name, int count, const int64_t *values) {
    proto attribute = {.size = 0};
    proto_text(&attribute, 1, name);
    for (int i = 0; i < count; i++) proto_int(&attribute, 8, values[i]);
    proto_int(&attribute, 20, 7);
    proto_message(node, 5, &attribute);
}

static inline void node_int(proto *node, const char *name, int64_t value) {
    proto attribute = {.size = 0};
    proto_text(&attribute, 1, name);
    proto_int(&attribute, 3, value);
    proto_int(&attribute, 20, 2);
    proto_message(node, 5, &attribute);
}

static inline void node_text(proto *node, const char *name, const char *value) {
    proto attribute = {.size = 0};
    proto_text(&attribute, 1, name);
    proto_text(&attribute, 4, value);
    proto_int(&attribute, 20, 3);
    proto_message(node, 5, &attribute);
}

/* An input or output; a dimension below 0 is called "n". */
static inline proto onnx_port(const char *name, int ndim, const int64_t *dim) {
    proto shape = {.size = 0}, tensor = {.size = 0}, type = {.size = 0}, port = {.size = 0};
    for (int i = 0; i < ndim; i++) {
        proto one = {.size = 0};
        if (dim[i] < 0)
            proto_text(&one, 2, "n");
        else
            proto_int(&one, 1, dim[i]);
        proto_message(&shape, 1, &one);
    }
    proto_int(&tensor, 1, 1);
    proto_message(&tensor, 2, &shape);
    proto_message(&type, 1, &tensor);
    proto_text(&port, 1, name);
    proto_message(&port, 2, &type);
    return port;
}

static inline proto onnx_model(const proto *graph, int64_t opset) {
    proto model = {.size = 0}, version = {.size = 0};
    proto_int(&version, 2, opset);
    proto_int(&model, 1, 7);
    proto_text(&model, 2, "test");
    proto_message(&model, 7, graph);
    proto_message(&model, 8, &version);
    return model;
}

#define DIMS(...)                                                            \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { \
        __VA_ARGS__                                                          \
    }

/* conv 3x3 with bias, ReLU, global average, flatten, Gemm: an image of 3 x 8 x 8 to 4 classes. */
static inline proto onnx_sample_graph(void) {
    proto graph = {.size = 0}, node;
    node = onnx_node("Conv", "image", "conv.weight", "conv.bias", "a");
    proto_text(&node, 3, "/conv/Conv");
    node_ints(&node, "pads", 4, (int64_t[]){1, 1, 1, 1});
    node_ints(&node, "strides", 2, (int64_t[]){2, 2});
    proto_message(&graph, 1, &node);
    node = onnx_node("Relu", "a", NULL, NULL, "b");
    proto_message(&graph, 1, &node);
    node = onnx_node("GlobalAveragePool", "b", NULL, NULL, "c");
    proto_message(&graph, 1, &node);
    node = onnx_node("Flatten", "c", NULL, NULL, "d");
    node_int(&node, "axis", 1);
    proto_message(&graph, 1, &node);
    node = onnx_node("Gemm", "d", "fc.weight", "fc.bias", "logits");
    node_int(&node, "transB", 1);
    proto_message(&graph, 1, &node);
    proto_text(&graph, 2, "net");
    const proto tensors[] = {onnx_floats("conv.weight", DIMS(5, 3, 3, 3)), onnx_floats("conv.bias", DIMS(5)),
                             onnx_floats("fc.weight", DIMS(4, 5)), onnx_floats("fc.bias", DIMS(4))};
    for (int i = 0; i < 4; i++) proto_message(&graph, 5, &tensors[i]);
    node = onnx_port("image", DIMS(1, 3, 8, 8));
    proto_message(&graph, 11, &node);
    node = onnx_port("logits", DIMS(1, 4));
    proto_message(&graph, 12, &node);
    return graph;
}

static inline proto onnx_sample(void) {
    const proto graph = onnx_sample_graph();
    return onnx_model(&graph, 14);
}

#endif
