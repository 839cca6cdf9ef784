/* The fields are those of io/onnx.c. */
#include "io/onnx_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/description.h"
#include "io/atomic_file.h"
#include "io/protobuf.h"

enum { FLOAT = 1, INT64 = 7 }; /* TensorProto.DataType */
enum { IR_VERSION = 8 };       /* what operator set 15 came with */

/* Where bytes go, or only how many there are: a message stands behind its length. */
typedef struct sink {
    FILE *stream; /* NULL: count */
    uint64_t size;
} sink;

static void put(sink *s, const void *data, size_t size) {
    if (s->stream && size) fwrite(data, 1, size, s->stream); /* commit looks at ferror */
    s->size += size;
}

static void put_varint(sink *s, uint64_t value) {
    uint8_t bytes[10];
    size_t size = 0;
    do bytes[size++] = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
    while (value >>= 7);
    put(s, bytes, size);
}

static void put_key(sink *s, uint32_t number, int wire) {
    put_varint(s, (uint64_t)number << 3 | (unsigned)wire);
}

static void put_bytes(sink *s, uint32_t number, const void *data, size_t size) {
    put_key(s, number, PSAL_PROTO_BYTES);
    put_varint(s, size);
    put(s, data, size);
}

static bool equals(psal_proto_message text, const char *word) {
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* Field `number` of the message, a string; empty when it is not there. The last one counts, as everywhere. */
static psal_proto_message text_field(psal_proto_message message, uint32_t number) {
    psal_proto_message found = {(const uint8_t *)"", 0};
    psal_proto_field f;
    bool damaged = false;
    while (psal_proto_next(&message, &f, &damaged))
        if (f.number == number && f.wire == PSAL_PROTO_BYTES) found = f.bytes;
    return found;
}

/* Whether the map has the value of this name. */
static bool is_given(const psal_tensor_map *map, psal_proto_message name) {
    char text[1024];
    bool found = false;
    if (!name.size) return false;
    if (name.size < sizeof text) {
        memcpy(text, name.data, name.size);
        text[name.size] = '\0';
        return psal_tensor_map_get(map, text) != NULL;
    }
    for (size_t i = 0; !found && i < psal_tensor_map_count(map); i++)
        found = equals(name, psal_tensor_map_name(map, i));
    return found;
}

/* A Constant or Identity whose one output the map has. */
static bool made_instead(const psal_tensor_map *map, psal_proto_message node) {
    const psal_proto_message type = text_field(node, 4);
    if (!equals(type, "Constant") && !equals(type, "Identity")) return false;
    return is_given(map, text_field(node, 2));
}

/* TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9. */
static void put_tensor(sink *s, const char *name, const psal_tensor *tensor) {
    const psal_shape *shape = &tensor->shape;
    for (int i = 0; i < shape->ndim; i++) {
        put_key(s, 1, PSAL_PROTO_VARINT);
        put_varint(s, (uint64_t)shape->dim[i]);
    }
    put_key(s, 2, PSAL_PROTO_VARINT);
    put_varint(s, tensor->dtype == PSAL_I64 ? INT64 : FLOAT);
    put_bytes(s, 8, name, strlen(name));
    put_bytes(s, 9, tensor->data, (size_t)psal_shape_count(shape) * psal_dtype_size(tensor->dtype));
}

static void put_initializers(sink *s, const psal_tensor_map *map) {
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        sink count = {NULL, 0};
        put_tensor(&count, psal_tensor_map_name(map, i), tensor);
        put_key(s, 5, PSAL_PROTO_BYTES);
        put_varint(s, count.size);
        put_tensor(s, psal_tensor_map_name(map, i), tensor);
    }
}

static void put_graph(sink *s, psal_proto_message graph, const psal_tensor_map *map) {
    psal_proto_field f;
    bool damaged = false;
    for (const uint8_t *begin = graph.data; psal_proto_next(&graph, &f, &damaged); begin = graph.data) {
        const bool bytes = f.wire == PSAL_PROTO_BYTES;
        if (bytes && f.number == 1 && made_instead(map, f.bytes)) continue;
        if (bytes && f.number == 5 && is_given(map, text_field(f.bytes, 8))) continue;
        put(s, begin, (size_t)(graph.data - begin));
    }
    put_initializers(s, map);
}

static bool is_ours(psal_proto_message key) {
    return key.size >= 5 && memcmp(key.data, "psal.", 5) == 0;
}

/* StringStringEntryProto: key = 1, value = 2. */
static void put_metadata(sink *s, const char *key, const char *value) {
    sink count = {NULL, 0};
    put_bytes(&count, 1, key, strlen(key));
    put_bytes(&count, 2, value, strlen(value));
    put_key(s, 14, PSAL_PROTO_BYTES);
    put_varint(s, count.size);
    put_bytes(s, 1, key, strlen(key));
    put_bytes(s, 2, value, strlen(value));
}

static void put_our_metadata(sink *s, const psal_tensor_map *map) {
    for (size_t i = 0; i < psal_tensor_map_meta_count(map); i++) {
        const char *key = psal_tensor_map_meta_key(map, i);
        if (strncmp(key, "psal.", 5) == 0) put_metadata(s, key, psal_tensor_map_meta(map, key));
    }
}

static void put_model(sink *s, psal_proto_message model, const psal_tensor_map *map) {
    psal_proto_field f;
    bool damaged = false;
    for (const uint8_t *begin = model.data; psal_proto_next(&model, &f, &damaged); begin = model.data) {
        const bool bytes = f.wire == PSAL_PROTO_BYTES;
        if (bytes && f.number == 14 && is_ours(text_field(f.bytes, 1))) continue;
        if (bytes && f.number == 7) {
            sink count = {NULL, 0};
            put_graph(&count, f.bytes, map);
            put_key(s, 7, PSAL_PROTO_BYTES);
            put_varint(s, count.size);
            put_graph(s, f.bytes, map);
        } else {
            put(s, begin, (size_t)(model.data - begin));
        }
    }
    put_our_metadata(s, map);
}

/* ---- a description that was read from no file ---- */

/* What a message holds, given twice: to be counted, then to be written behind its length. */
typedef struct content {
    const psal_tensor_map *map;
    const psal_operator *o;
    const psal_attribute *attribute;
    const psal_port *port;
} content;

static void put_message(sink *s, uint32_t number, void (*write)(sink *s, const content *c), const content *c) {
    sink count = {NULL, 0};
    write(&count, c);
    put_key(s, number, PSAL_PROTO_BYTES);
    put_varint(s, count.size);
    write(s, c);
}

static void put_text(sink *s, uint32_t number, const char *text) {
    put_bytes(s, number, text, strlen(text));
}

static void put_number(sink *s, uint32_t number, uint64_t value) {
    put_key(s, number, PSAL_PROTO_VARINT);
    put_varint(s, value);
}

enum { ATTRIBUTE_FLOAT = 1, ATTRIBUTE_INT = 2, ATTRIBUTE_STRING = 3, ATTRIBUTE_INTS = 7 }; /* AttributeProto.type */

/* Of the types that a translation makes. */
static void write_attribute(sink *s, const content *c) {
    const psal_attribute *a = c->attribute;
    put_text(s, 1, a->name);
    if (a->type == PSAL_ATTRIBUTE_FLOAT) {
        put_key(s, 2, PSAL_PROTO_FIXED32);
        put(s, &a->number, sizeof a->number);
        put_number(s, 20, ATTRIBUTE_FLOAT);
    } else if (a->type == PSAL_ATTRIBUTE_INT) {
        put_number(s, 3, (uint64_t)a->integer);
        put_number(s, 20, ATTRIBUTE_INT);
    } else if (a->type == PSAL_ATTRIBUTE_STRING) {
        put_text(s, 4, a->text);
        put_number(s, 20, ATTRIBUTE_STRING);
    } else {
        for (size_t i = 0; i < a->count; i++) put_number(s, 8, (uint64_t)a->integers[i]);
        put_number(s, 20, ATTRIBUTE_INTS);
    }
}

static const char *value_name(const content *c, int v) {
    return v == PSAL_NO_VALUE ? "" : psal_tensor_map_description(c->map)->values[v];
}

static void write_node(sink *s, const content *c) {
    for (size_t i = 0; i < c->o->input_count; i++) put_text(s, 1, value_name(c, c->o->inputs[i]));
    for (size_t i = 0; i < c->o->output_count; i++) put_text(s, 2, value_name(c, c->o->outputs[i]));
    put_text(s, 3, c->o->name);
    put_text(s, 4, c->o->type);
    for (size_t i = 0; i < c->o->attribute_count; i++)
        put_message(s, 5, write_attribute, &(content){.attribute = &c->o->attributes[i]});
}

static void write_shape(sink *s, const content *c) {
    for (int i = 0; i < c->port->ndim; i++) { /* a dimension: dim_value = 1, where it is known */
        sink count = {NULL, 0};
        if (c->port->dim[i] >= 0) put_number(&count, 1, (uint64_t)c->port->dim[i]);
        put_key(s, 1, PSAL_PROTO_BYTES);
        put_varint(s, count.size);
        if (c->port->dim[i] >= 0) put_number(s, 1, (uint64_t)c->port->dim[i]);
    }
}

static void write_tensor_type(sink *s, const content *c) {
    put_number(s, 1, FLOAT);
    if (c->port->ndim >= 0) put_message(s, 2, write_shape, c);
}

static void write_type(sink *s, const content *c) {
    put_message(s, 1, write_tensor_type, c);
}

static void write_port(sink *s, const content *c) {
    put_text(s, 1, value_name(c, c->port->value));
    put_message(s, 2, write_type, c);
}

static void write_graph(sink *s, const content *c) {
    const psal_description *d = psal_tensor_map_description(c->map);
    for (size_t i = 0; i < d->operator_count; i++)
        put_message(s, 1, write_node, &(content){.map = c->map, .o = &d->operators[i]});
    put_text(s, 2, d->name);
    put_initializers(s, c->map);
    for (size_t i = 0; i < d->input_count; i++)
        put_message(s, 11, write_port, &(content){.map = c->map, .port = &d->inputs[i]});
    for (size_t i = 0; i < d->output_count; i++)
        put_message(s, 12, write_port, &(content){.map = c->map, .port = &d->outputs[i]});
}

static void write_opset(sink *s, const content *c) {
    put_text(s, 1, "");
    put_number(s, 2, (uint64_t)psal_tensor_map_description(c->map)->opset);
}

static void put_new_model(sink *s, const psal_tensor_map *map) {
    const content all = {.map = map};
    put_number(s, 1, IR_VERSION);
    put_text(s, 2, psal_tensor_map_description(map)->producer);
    put_message(s, 7, write_graph, &all);
    put_message(s, 8, write_opset, &all);
    put_our_metadata(s, map);
}

/* ---- either ---- */

static void put_all(sink *s, const psal_tensor_map *map) {
    const psal_description *d = psal_tensor_map_description(map);
    if (d->file)
        put_model(s, (psal_proto_message){d->file, d->file_size}, map);
    else
        put_new_model(s, map);
}

static size_t count_graphs(psal_proto_message model) {
    psal_proto_field f;
    bool damaged = false;
    size_t count = 0;
    while (psal_proto_next(&model, &f, &damaged)) count += f.number == 7 && f.wire == PSAL_PROTO_BYTES;
    return count;
}

psal_status psal_onnx_write(const char *path, const psal_tensor_map *map, psal_error *err) {
    const psal_description *d = psal_tensor_map_description(map);
    sink count = {NULL, 0};
    if (d->has_external)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "%s: the network's weights lie in files beside it, which a copy would not have beside it: "
                         "export it into one file",
                         path);
    if (d->file && count_graphs((psal_proto_message){d->file, d->file_size}) != 1)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "%s: the network's file has several graphs", path);
    put_all(&count, map);
    if (count.size > INT32_MAX)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "%s: it would have %" PRIu64 " bytes, more than an ONNX file may",
                         path, count.size);
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) return psal_error_status(err);
    put_all(&(sink){file->stream, 0}, map);
    return psal_atomic_file_commit(file, err);
}
