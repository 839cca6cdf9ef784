/* ModelProto: ir_version = 1, producer_name = 2, producer_version = 3, graph = 7, opset_import = 8,
 *   metadata_props = 14.
 * GraphProto: node = 1, name = 2, initializer = 5, input = 11, output = 12, sparse_initializer = 15.
 * NodeProto: input = 1, output = 2, name = 3, op_type = 4, attribute = 5, domain = 7.
 * AttributeProto: name = 1, f = 2, i = 3, s = 4, t = 5, g = 6, floats = 7, ints = 8, strings = 9, type = 20.
 * ValueInfoProto: name = 1, type = 2.
 * TypeProto: tensor_type = 1 (elem_type = 1, shape = 2 (dim = 1 (dim_value = 1))). */
#include "io/onnx.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/draft.h"
#include "io/onnx_tensor.h"

typedef struct reader {
    psal_onnx_source source;
    psal_draft draft;
} reader;

bool psal_onnx_begins(const uint8_t *data, size_t size) {
    /* ir_version 1 to 30, then a field from 2 to 25 as long as a string or message, or a number */
    return size >= 4 && data[0] == 0x08 && data[1] >= 1 && data[1] <= 30 &&
           (((data[2] & 7) == PSAL_PROTO_BYTES && data[2] >= 0x12) || data[2] == 0x28);
}

/* ---- fields ---- */

static bool failed(const reader *r) {
    return psal_draft_failed(&r->draft);
}

#define FAIL(r, ...) PSAL_DRAFT_FAIL(&(r)->draft, __VA_ARGS__)

static const char *text_of(reader *r, psal_proto_message bytes) {
    if (bytes.size && memchr(bytes.data, '\0', bytes.size))
        FAIL(r, PSAL_ERR_FORMAT, "the name '%.*s' has a NUL in it", (int)(bytes.size < 100 ? bytes.size : 100),
             (const char *)bytes.data);
    return psal_draft_text(&r->draft, (const char *)bytes.data, bytes.size);
}

/* How often field `number` stands in the message. */
static size_t count_fields(psal_proto_message message, uint32_t number) {
    psal_proto_field f;
    bool damaged = false;
    size_t count = 0;
    while (psal_proto_next(&message, &f, &damaged)) count += f.number == number;
    return count;
}

/* The next field of a message whose damage is an error. */
static bool next(reader *r, psal_proto_message *message, psal_proto_field *f, const char *what) {
    bool damaged = false;
    if (!failed(r) && psal_proto_next(message, f, &damaged)) return true;
    if (damaged) FAIL(r, PSAL_ERR_FORMAT, "%s is damaged (a truncated file?)", what);
    return false;
}

/* Field `number`, which must be a string or message; another kind of it is as good as not there. */
static bool is_bytes(const psal_proto_field *f, uint32_t number) {
    return f->number == number && f->wire == PSAL_PROTO_BYTES;
}

/* ---- values ---- */

static void refer(reader *r, psal_proto_message name, int *number) {
    psal_draft_refer(&r->draft, name.size ? text_of(r, name) : NULL, number);
}

static void node_title(const psal_description *d, size_t index, char text[300]) {
    const psal_operator *o = &d->operators[index];
    snprintf(text, 300, "node %zu, %.60s%s%.200s%s", index, o->type, *o->name ? " '" : "", o->name,
             *o->name ? "'" : "");
}

/* Each value is made once, and before it is read. */
static void check_order(reader *r) {
    const psal_description *d = r->draft.description;
    char title[300];
    bool *made = psal_draft_allocate(&r->draft, (size_t)d->value_count + 1, sizeof *made);
    if (failed(r)) return;
    for (int v = 0; v < d->value_count; v++) made[v] = psal_tensor_map_get(r->source.map, d->values[v]) != NULL;
    for (size_t i = 0; i < d->input_count && !failed(r); i++) {
        if (d->inputs[i].value == PSAL_NO_VALUE)
            FAIL(r, PSAL_ERR_FORMAT, "an input has no name");
        else
            made[d->inputs[i].value] = true; /* older files list the initializers here too */
    }
    for (size_t i = 0; i < d->operator_count && !failed(r); i++) {
        const psal_operator *o = &d->operators[i];
        node_title(d, i, title);
        for (size_t k = 0; k < o->input_count; k++)
            if (o->inputs[k] != PSAL_NO_VALUE && !made[o->inputs[k]])
                FAIL(r, PSAL_ERR_FORMAT, "%s: reads '%.200s', which nothing in front of it makes", title,
                     d->values[o->inputs[k]]);
        for (size_t k = 0; k < o->output_count && !failed(r); k++) {
            if (o->outputs[k] == PSAL_NO_VALUE) continue;
            if (made[o->outputs[k]])
                FAIL(r, PSAL_ERR_FORMAT, "%s: makes '%.200s', which was made before", title, d->values[o->outputs[k]]);
            made[o->outputs[k]] = true;
        }
    }
    for (size_t i = 0; i < d->output_count && !failed(r); i++)
        if (d->outputs[i].value == PSAL_NO_VALUE || !made[d->outputs[i].value])
            FAIL(r, PSAL_ERR_FORMAT, "nothing makes the output '%.200s'",
                 d->outputs[i].value == PSAL_NO_VALUE ? "" : d->values[d->outputs[i].value]);
}

/* ---- attributes ---- */

static void read_ints(reader *r, psal_proto_message message, psal_attribute *a) {
    psal_proto_field f;
    bool damaged = false;
    uint64_t value;
    size_t count = 0;
    for (psal_proto_message m = message; psal_proto_next(&m, &f, &damaged);) {
        if (f.number != 8) continue;
        if (f.wire != PSAL_PROTO_BYTES)
            count++;
        else
            while (psal_proto_varint(&f.bytes, &value, &damaged)) count++;
    }
    int64_t *integers = psal_draft_allocate(&r->draft, count, sizeof *integers);
    if (damaged) FAIL(r, PSAL_ERR_FORMAT, "its numbers are damaged");
    if (failed(r)) return;
    while (psal_proto_next(&message, &f, &damaged)) {
        if (f.number != 8) continue;
        if (f.wire != PSAL_PROTO_BYTES)
            integers[a->count++] = (int64_t)f.value;
        else
            while (psal_proto_varint(&f.bytes, &value, &damaged)) integers[a->count++] = (int64_t)value;
    }
    a->integers = integers;
}

static void read_floats(reader *r, psal_proto_message message, psal_attribute *a) {
    psal_proto_field f;
    bool damaged = false;
    size_t count = 0;
    for (psal_proto_message m = message; psal_proto_next(&m, &f, &damaged);)
        if (f.number == 7) count += f.wire == PSAL_PROTO_BYTES ? f.bytes.size / 4 : 1;
    float *numbers = psal_draft_allocate(&r->draft, count, sizeof *numbers);
    if (failed(r)) return;
    while (psal_proto_next(&message, &f, &damaged)) {
        if (f.number != 7) continue;
        if (f.wire == PSAL_PROTO_BYTES) {
            if (f.bytes.size >= 4) memcpy(numbers + a->count, f.bytes.data, f.bytes.size / 4 * 4);
            a->count += f.bytes.size / 4;
        } else {
            memcpy(&numbers[a->count++], &f.value, 4);
        }
    }
    a->numbers = numbers;
}

static void read_strings(reader *r, psal_proto_message message, psal_attribute *a) {
    psal_proto_field f;
    const char **strings = psal_draft_allocate(&r->draft, count_fields(message, 9), sizeof *strings);
    while (next(r, &message, &f, "an attribute"))
        if (is_bytes(&f, 9)) strings[a->count++] = text_of(r, f.bytes);
    a->strings = strings;
}

/* AttributeProto.AttributeType, and the field that such an attribute is kept in. */
static const struct {
    psal_attribute_type type;
    uint32_t field;
} attribute_types[] = {
    [1] = {PSAL_ATTRIBUTE_FLOAT, 2},   [2] = {PSAL_ATTRIBUTE_INT, 3},    [3] = {PSAL_ATTRIBUTE_STRING, 4},
    [4] = {PSAL_ATTRIBUTE_TENSOR, 5},  [6] = {PSAL_ATTRIBUTE_FLOATS, 7}, [7] = {PSAL_ATTRIBUTE_INTS, 8},
    [8] = {PSAL_ATTRIBUTE_STRINGS, 9},
};

/* Files of the first version say no type: the field tells. */
static psal_attribute_type type_of(uint64_t said, psal_proto_message message) {
    const size_t count = sizeof attribute_types / sizeof *attribute_types;
    psal_proto_field f;
    bool damaged = false;
    if (said) return said < count && attribute_types[said].field ? attribute_types[said].type : PSAL_ATTRIBUTE_OTHER;
    while (psal_proto_next(&message, &f, &damaged))
        for (size_t i = 0; i < count; i++)
            if (attribute_types[i].field == f.number && f.number) return attribute_types[i].type;
    return PSAL_ATTRIBUTE_OTHER;
}

static void read_attribute(reader *r, psal_proto_message message, psal_attribute *a) {
    const psal_proto_message all = message;
    psal_proto_field f;
    psal_proto_message tensor = {0};
    uint64_t type = 0;
    a->name = a->text = "";
    while (next(r, &message, &f, "an attribute")) {
        if (is_bytes(&f, 1)) a->name = text_of(r, f.bytes);
        if (f.number == 2) memcpy(&a->number, &f.value, sizeof a->number);
        if (f.number == 3) a->integer = (int64_t)f.value;
        if (is_bytes(&f, 5)) tensor = f.bytes;
        if (f.number == 20) type = f.value;
    }
    a->type = type_of(type, all);
    if (a->type == PSAL_ATTRIBUTE_INTS) read_ints(r, all, a);
    if (a->type == PSAL_ATTRIBUTE_FLOATS) read_floats(r, all, a);
    if (a->type == PSAL_ATTRIBUTE_STRINGS) read_strings(r, all, a);
    if (a->type == PSAL_ATTRIBUTE_TENSOR && !failed(r))
        psal_onnx_tensor(&r->source, tensor, &a->tensor, NULL, &r->draft.error);
    if (a->type == PSAL_ATTRIBUTE_STRING)
        for (message = all; next(r, &message, &f, "an attribute");)
            if (is_bytes(&f, 4)) a->text = text_of(r, f.bytes);
    if (failed(r)) psal_fail_prefix(&r->draft.error, "attribute '%.100s'", a->name);
}

/* ---- nodes, inputs, outputs ---- */

static void read_node(reader *r, psal_proto_message message, psal_operator *o) {
    int *inputs = psal_draft_allocate(&r->draft, count_fields(message, 1), sizeof *inputs);
    int *outputs = psal_draft_allocate(&r->draft, count_fields(message, 2), sizeof *outputs);
    psal_attribute *attributes = psal_draft_allocate(&r->draft, count_fields(message, 5), sizeof *attributes);
    psal_proto_field f;
    *o = (psal_operator){"", "", "", inputs, outputs, 0, 0, attributes, 0};
    while (next(r, &message, &f, "a node")) {
        if (f.wire != PSAL_PROTO_BYTES) continue;
        switch (f.number) {
        case 1:
            refer(r, f.bytes, &inputs[o->input_count++]);
            break;
        case 2:
            refer(r, f.bytes, &outputs[o->output_count++]);
            break;
        case 3:
            o->name = text_of(r, f.bytes);
            break;
        case 4:
            o->type = text_of(r, f.bytes);
            break;
        case 5:
            read_attribute(r, f.bytes, &attributes[o->attribute_count++]);
            break;
        case 7:
            o->domain = text_of(r, f.bytes);
            break;
        default:
            break;
        }
    }
    if (strcmp(o->domain, "ai.onnx") == 0) o->domain = "";
    for (size_t i = 1; i < o->attribute_count; i++)
        for (size_t k = 0; k < i && i < 64 && !failed(r); k++)
            if (strcmp(attributes[i].name, attributes[k].name) == 0)
                FAIL(r, PSAL_ERR_FORMAT, "attribute '%.100s' stands there twice", attributes[i].name);
    if (o->attribute_count > 64) FAIL(r, PSAL_ERR_FORMAT, "%zu attributes", o->attribute_count);
}

static void read_dim(reader *r, psal_proto_message message, psal_port *port) {
    psal_proto_field f;
    if (port->ndim == PSAL_MAX_DIMS) {
        FAIL(r, PSAL_ERR_UNSUPPORTED, "it has more than %d dimensions", PSAL_MAX_DIMS);
        return;
    }
    int64_t *dim = &port->dim[port->ndim++];
    *dim = -1;
    while (next(r, &message, &f, "a dimension")) /* 0 and below are said for "any" by some exporters */
        if (f.number == 1 && f.wire == PSAL_PROTO_VARINT && (int64_t)f.value > 0) *dim = (int64_t)f.value;
}

/* TypeProto.Tensor */
static void read_type(reader *r, psal_proto_message message, psal_port *port) {
    psal_proto_field f, g;
    const char *name;
    while (next(r, &message, &f, "a type")) {
        if (f.number == 1 && f.wire == PSAL_PROTO_VARINT) port->dtype = psal_onnx_dtype(f.value, &name);
        if (!is_bytes(&f, 2)) continue;
        port->ndim = 0;
        while (next(r, &f.bytes, &g, "a shape"))
            if (is_bytes(&g, 1)) read_dim(r, g.bytes, port);
    }
}

static void read_port(reader *r, psal_proto_message message, psal_port *port) {
    psal_proto_field f, g;
    *port = (psal_port){.value = PSAL_NO_VALUE, .dtype = PSAL_OTHER, .ndim = -1};
    while (next(r, &message, &f, "an input or output")) {
        if (is_bytes(&f, 1)) refer(r, f.bytes, &port->value);
        if (!is_bytes(&f, 2)) continue;
        while (next(r, &f.bytes, &g, "a type"))
            if (is_bytes(&g, 1)) read_type(r, g.bytes, port);
    }
}

static void read_initializer(reader *r, psal_proto_message message) {
    psal_tensor tensor;
    psal_proto_message where;
    if (failed(r)) return;
    psal_onnx_tensor(&r->source, message, &tensor, &where, &r->draft.error);
    if (failed(r)) return;
    const char *name = text_of(r, where);
    if (!*name) FAIL(r, PSAL_ERR_FORMAT, "an initializer has no name");
    if (!failed(r))
        psal_tensor_map_add_view(r->source.map, name, tensor.dtype, &tensor.shape, tensor.data, &r->draft.error);
}

static void read_graph(reader *r, psal_proto_message message) {
    psal_description *d = r->draft.description;
    const psal_proto_message all = message;
    psal_operator *operators = psal_draft_allocate(&r->draft, count_fields(all, 1), sizeof *operators);
    psal_port *inputs = psal_draft_allocate(&r->draft, count_fields(all, 11), sizeof *inputs);
    psal_port *outputs = psal_draft_allocate(&r->draft, count_fields(all, 12), sizeof *outputs);
    psal_proto_field f;
    d->operators = operators;
    d->inputs = inputs;
    d->outputs = outputs;
    while (next(r, &message, &f, "the graph")) {
        if (f.wire != PSAL_PROTO_BYTES) continue;
        switch (f.number) {
        case 1:
            read_node(r, f.bytes, &operators[d->operator_count]);
            if (failed(r)) {
                char title[300];
                node_title(d, d->operator_count, title);
                psal_fail_prefix(&r->draft.error, "%s", title);
            }
            d->operator_count++;
            break;
        case 2:
            d->name = text_of(r, f.bytes);
            break;
        case 5:
            read_initializer(r, f.bytes);
            break;
        case 11:
            read_port(r, f.bytes, &inputs[d->input_count++]);
            break;
        case 12:
            read_port(r, f.bytes, &outputs[d->output_count++]);
            break;
        case 15:
            FAIL(r, PSAL_ERR_UNSUPPORTED, "a sparse initializer, which is not read");
            break;
        default:
            break;
        }
    }
    psal_draft_number_values(&r->draft);
    check_order(r);
}

/* ---- the model ---- */

/* OperatorSetIdProto: domain = 1, version = 2. */
static void read_opset(reader *r, psal_proto_message message) {
    psal_proto_field f;
    const char *domain = "";
    uint64_t version = 0;
    while (next(r, &message, &f, "an operator set")) {
        if (is_bytes(&f, 1)) domain = text_of(r, f.bytes);
        if (f.number == 2) version = f.value;
    }
    if (*domain && strcmp(domain, "ai.onnx") != 0) return;
    if (version < PSAL_ONNX_OPSET_MIN || version > PSAL_ONNX_OPSET_MAX)
        FAIL(r, PSAL_ERR_UNSUPPORTED,
             "operator set %" PRIu64 " is not read, only %d to %d: export with opset_version=%d", version,
             PSAL_ONNX_OPSET_MIN, PSAL_ONNX_OPSET_MAX, PSAL_ONNX_OPSET_MAX);
    r->draft.description->opset = (int)version;
}

/* What psal itself recorded in the model, or whoever exported it for psal. */
static void read_metadata(reader *r, psal_proto_message message) {
    psal_proto_field f;
    const char *key = "", *value = "";
    while (next(r, &message, &f, "the metadata")) {
        if (is_bytes(&f, 1)) key = text_of(r, f.bytes);
        if (is_bytes(&f, 2)) value = text_of(r, f.bytes);
    }
    if (!failed(r) && strncmp(key, "psal.", 5) == 0)
        psal_tensor_map_set_meta(r->source.map, key, value, &r->draft.error);
}

static void read_model(reader *r, psal_proto_message message) {
    psal_description *d = r->draft.description;
    psal_proto_message graph = {0};
    psal_proto_field f;
    const char *producer = "", *version = "";
    while (next(r, &message, &f, "the file")) {
        if (is_bytes(&f, 2)) producer = text_of(r, f.bytes);
        if (is_bytes(&f, 3)) version = text_of(r, f.bytes);
        if (is_bytes(&f, 7)) graph = f.bytes;
        if (is_bytes(&f, 8)) read_opset(r, f.bytes);
        if (is_bytes(&f, 14)) read_metadata(r, f.bytes);
    }
    if (!graph.data) FAIL(r, PSAL_ERR_FORMAT, "the model has no graph (a truncated file?)");
    if (!d->opset) FAIL(r, PSAL_ERR_FORMAT, "the model does not say its operator set");
    if (failed(r)) return;
    const size_t length = strlen(producer) + strlen(version) + 2;
    char *both = psal_draft_allocate(&r->draft, length, 1);
    if (both) snprintf(both, length, "%s%s%s", producer, *version ? " " : "", version);
    d->producer = both;
    if (both) psal_tensor_map_set_meta(r->source.map, "onnx.producer", both, &r->draft.error);
    if (!failed(r)) psal_tensor_map_set_meta(r->source.map, "format", "onnx", &r->draft.error);
    read_graph(r, graph);
}

psal_tensor_map *psal_onnx_read(const char *path, psal_error *err) {
    psal_mapped_file file;
    if (psal_map_file(path, &file, err) != PSAL_OK) return NULL;
    psal_tensor_map *map = psal_tensor_map_new();
    if (!map ||
        psal_tensor_map_adopt(map, (void *)(uintptr_t)file.data, file.size, psal_mapped_release, NULL) != PSAL_OK) {
        psal_unmap_file(&file);
        psal_tensor_map_free(map);
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    reader r = {.source = {.path = path, .map = map}};
    psal_draft_begin(&r.draft, map);
    psal_description *d = r.draft.description;
    if (d) {
        d->name = "";
        d->file = file.data;
        d->file_size = file.size;
        read_model(&r, (psal_proto_message){file.data, file.size});
        d->has_external = r.source.external_count > 0;
    }
    psal_onnx_source_clear(&r.source);
    if (psal_draft_finish(&r.draft, err) == PSAL_OK) return map;
    psal_fail_prefix(err, "%s", path);
    psal_tensor_map_free(map);
    return NULL;
}
