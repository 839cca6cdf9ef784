/* One walk through a network's operators: without a graph it lists the parameters and statistics, with one it makes the
 * nodes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "models/floats.h"
#include "models/onnx_walk.h"

/* Tensors as the walk lists them: value v is a parameter, or a statistic, or (rarely) both. */
typedef struct walk {
    onnx_run run;
    const net_onnx *onnx;
    int *entries;    /* [2 * value_count] its list index as a parameter and as a statistic; -1: not listed */
    int *layers;     /* [value_count] the list index of the weight of the layer that makes it; -1: none does */
    int *transposes; /* [value_count] the list index of the matrix whose transpose it is; -1: of none */
    const onnx_constant **constants; /* [value_count] tensors that were read as such */
} walk;

static bool is_weight(const psal_tensor *tensor) {
    return tensor && tensor->shape.ndim > 0 && tensor->dtype != PSAL_OTHER && psal_tensor_is_float(tensor);
}

bool onnx_has_role(const net_onnx *onnx, const onnx_operator *known, const psal_operator *o, size_t i) {
    const int v = o->inputs[i];
    if (v == PSAL_NO_VALUE || i >= 32 || !is_weight(onnx->tensors[v])) return false;
    const unsigned bit = 1u << i;
    return (known->weights | known->buffers) & bit || (known->operands & bit && !onnx->is_constant[v]);
}

static int list_input(walk *w, const onnx_operator *known, const psal_operator *o, size_t i) {
    if (i >= o->input_count || !onnx_has_role(w->onnx, known, o, i)) return -1;
    const int v = o->inputs[i];
    const bool is_buffer = known->buffers >> i & 1;
    int *entry = &w->entries[2 * v + is_buffer];
    if (*entry < 0) *entry = net_list(w->run.n, w->onnx->names[v], w->onnx->tensors[v]->shape, is_buffer);
    return *entry;
}

static bool exchanges_two(const psal_operator *o) {
    const psal_attribute *perm = onnx_attribute(o, "perm");
    return !perm || (perm->type == PSAL_ATTRIBUTE_INTS && perm->count == 2 && perm->integers[0] == 1);
}

/* The operator's input i, in list[entry] where it is a tensor, is a matrix whose outputs lie along `axis`. Of several
 * such layers the first decides. The list index of the weight; -1: it is none. */
static int list_matrix(walk *w, const psal_operator *o, size_t i, int entry, int axis) {
    if (i >= o->input_count || o->inputs[i] == PSAL_NO_VALUE) return -1;
    const int transposed = w->transposes[o->inputs[i]], weight = entry >= 0 ? entry : transposed;
    if (weight < 0 || w->run.n->tensors[weight].shape.ndim != 2) return -1;
    net_tensor *matrix = &w->run.n->tensors[weight];
    if (matrix->output_axis < 0) matrix->output_axis = entry >= 0 ? axis : 1 - axis;
    return weight;
}

/* The vector list[bias] is added to the outputs of the matrix list[weight]; bias -1: nothing is. */
static void list_bias(net *n, int weight, int bias) {
    net_tensor *matrix = &n->tensors[weight];
    const psal_shape *shape = bias >= 0 ? &n->tensors[bias].shape : NULL;
    if (matrix->norm_shift < 0 && shape && shape->ndim == 1 && shape->dim[0] == matrix->shape.dim[matrix->output_axis])
        matrix->norm_shift = bias;
}

/* Which parameters are the weights of layers, and which biases and normalisations belong to these. */
static void list_layer(walk *w, const onnx_operator *known, const psal_operator *o, const int entry[5]) {
    net *n = w->run.n;
    int weight = -1, before = -1;
    const int result = o->output_count ? o->outputs[0] : PSAL_NO_VALUE;
    for (size_t i = 0; i < o->input_count && i < 2; i++) { /* the layer whose outputs it reads, alone */
        const int v = o->inputs[i];
        if (v != PSAL_NO_VALUE && w->layers[v] >= 0 && w->onnx->readers[v] == 1) before = w->layers[v];
    }
    if (strcmp(o->type, "Conv") == 0 && entry[1] >= 0) {
        weight = entry[1];
        n->tensors[weight].is_filters = n->tensors[weight].shape.ndim == 4;
        n->tensors[weight].output_axis = 0;
        n->tensors[weight].norm_shift = entry[2];
    } else if (strcmp(o->type, "Gemm") == 0) {
        const psal_attribute *transposed = onnx_attribute(o, "transB");
        weight = list_matrix(w, o, 1, entry[1], transposed && transposed->integer ? 0 : 1);
        if (weight >= 0) list_bias(n, weight, entry[2]);
    } else if (strcmp(o->type, "MatMul") == 0) {
        weight = list_matrix(w, o, 1, entry[1], 1);
        if (weight < 0) list_matrix(w, o, 0, entry[0], 0);
    } else if (strcmp(o->type, "Transpose") == 0 && entry[0] >= 0 && exchanges_two(o)) {
        if (result != PSAL_NO_VALUE) w->transposes[result] = entry[0];
    } else if (strcmp(o->type, "Add") == 0 && before >= 0 && n->tensors[before].shape.ndim == 2) {
        list_bias(n, before, entry[0] >= 0 ? entry[0] : entry[1]);
    } else if (known->buffers && before >= 0 && n->tensors[before].shape.ndim > 2 && entry[1] >= 0 && entry[2] >= 0) {
        n->tensors[before].norm_scale = entry[1];
        n->tensors[before].norm_shift = entry[2];
        n->tensors[before].norm_mean = entry[3];
    }
    if (weight >= 0 && result != PSAL_NO_VALUE) w->layers[result] = weight;
}

static void list_operator(walk *w, const onnx_operator *known, const psal_operator *o) {
    net *n = w->run.n;
    int entry[5] = {-1, -1, -1, -1, -1};
    for (size_t i = 0; i < o->input_count; i++) {
        const int index = list_input(w, known, o, i);
        if (i < 5) entry[i] = index;
        if (index >= 0) n->tensors[index].is_variance |= known->buffers >> i & 1 && i == 4;
    }
    if (onnx_failed(&w->run)) return;
    list_layer(w, known, o, entry);
}

/* A tensor's numbers. */
static const onnx_constant *read_constant(onnx_run *r, const char *name, const psal_tensor *tensor) {
    if (tensor->dtype == PSAL_OTHER) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "tensor '%.100s' holds %s", name, psal_tensor_type(tensor));
        return NULL;
    }
    const bool integer = !psal_tensor_is_float(tensor);
    const size_t count = (size_t)psal_shape_count(&tensor->shape);
    onnx_constant *c = onnx_new_constant(r, integer, &tensor->shape);
    if (!c) return NULL;
    if (!integer) {
        psal_tensor_to_f64(tensor, c->numbers);
    } else if (tensor->dtype == PSAL_I64) {
        if (count) memcpy(c->integers, tensor->data, count * sizeof *c->integers);
    } else {
        double *numbers = net_doubles(tensor);
        if (!numbers) onnx_fail(r, PSAL_ERR_MEMORY, "out of memory");
        for (size_t k = 0; numbers && k < count; k++) c->integers[k] = (int64_t)numbers[k];
        free(numbers);
    }
    return c;
}

/* Give the operator's inputs their values, where these are tensors. */
static void take_tensors(walk *w, const onnx_operator *known, const psal_operator *o) {
    onnx_run *r = &w->run;
    for (size_t i = 0; i < o->input_count && !onnx_failed(r); i++) {
        const int v = o->inputs[i];
        const psal_tensor *tensor = v == PSAL_NO_VALUE ? NULL : w->onnx->tensors[v];
        if (!tensor) continue;
        if (onnx_has_role(w->onnx, known, o, i)) {
            const int entry = w->entries[2 * v + (int)(known->buffers >> i & 1)];
            r->values[v] = (onnx_value){r->n->tensors[entry].node, NULL};
        } else {
            if (!w->constants[v]) w->constants[v] = read_constant(r, r->d->values[v], tensor);
            if (r->values[v].constant != w->constants[v] || !w->constants[v])
                r->values[v] = (onnx_value){PSAL_NO_NODE, w->constants[v]};
        }
    }
}

static bool all_constant(const onnx_run *r) {
    for (size_t i = 0; i < r->o->input_count; i++) {
        const int v = r->o->inputs[i];
        if (v != PSAL_NO_VALUE && !r->values[v].constant) return false;
    }
    return true;
}

static void build_operator(walk *w, const onnx_operator *known, const psal_operator *o) {
    onnx_run *r = &w->run;
    psal_graph_set_layer(r->graph, *o->name ? o->name : o->type);
    take_tensors(w, known, o);
    if (onnx_failed(r)) return;
    /* an operator that was not built, or has fewer outputs than the file says, leaves values unmade */
    for (size_t i = 0; i < o->input_count; i++) {
        const int v = o->inputs[i];
        if (v != PSAL_NO_VALUE && r->values[v].node == PSAL_NO_NODE && !r->values[v].constant) {
            onnx_fail(r, PSAL_ERR_UNSUPPORTED, "it reads '%.100s', which psal does not make", r->d->values[v]);
            return;
        }
    }
    if (known->fold && all_constant(r) && known->fold(r)) return;
    if (!onnx_failed(r)) known->build(r);
    psal_error err = PSAL_ERROR_INIT;
    if (!onnx_failed(r) && psal_graph_check(r->graph, &err) != PSAL_OK) onnx_fail(r, err.status, "%s", err.message);
}

static bool begin_walk(walk *w, net *n, const net_onnx *onnx) {
    const size_t values = (size_t)onnx->d->value_count + 1;
    *w = (walk){.run = {.n = n, .graph = n->graph, .d = onnx->d}, .onnx = onnx};
    w->entries = malloc(2 * values * sizeof *w->entries);
    w->layers = malloc(values * sizeof *w->layers);
    w->transposes = malloc(values * sizeof *w->transposes);
    w->constants = calloc(values, sizeof *w->constants);
    if (n->graph) w->run.values = malloc(values * sizeof *w->run.values);
    if (!w->entries || !w->layers || !w->transposes || !w->constants || (n->graph && !w->run.values)) {
        net_fail(n, PSAL_ERR_MEMORY, "out of memory");
        return false;
    }
    for (size_t v = 0; v < values; v++) {
        w->entries[2 * v] = w->entries[2 * v + 1] = w->layers[v] = w->transposes[v] = -1;
        if (n->graph) w->run.values[v] = (onnx_value){PSAL_NO_NODE, NULL};
    }
    return true;
}

static void end_walk(walk *w) {
    for (size_t i = 0; i < w->run.block_count; i++) free(w->run.blocks[i]);
    free(w->run.blocks);
    free(w->run.values);
    free(w->entries);
    free(w->layers);
    free(w->transposes);
    free(w->constants);
}

/* The file's own size must be the image's. */
static void take_image(walk *w, flow image) {
    onnx_run *r = &w->run;
    const psal_shape *shape = psal_graph_shape(r->graph, image.node);
    const int64_t *dim = w->onnx->dim;
    if ((dim[2] > 0 && dim[2] != shape->dim[2]) || (dim[3] > 0 && dim[3] != shape->dim[3]))
        net_fail(r->n, PSAL_ERR_SHAPE,
                 "the file is made for images of %" PRId64 " x %" PRId64 ", not %" PRId64 " x %" PRId64
                 ": a preprocessing with crop=%" PRId64 "x%" PRId64 " makes them, or export it with dynamic_axes",
                 dim[3], dim[2], shape->dim[3], shape->dim[2], dim[2], dim[3]);
    r->file_batch = dim[0];
    r->batch = shape->dim[0];
    r->values[w->onnx->image].node = image.node;
}

/* [batch, classes]; lengths of 1 behind them are left out. */
static psal_node take_logits(walk *w) {
    onnx_run *r = &w->run;
    if (onnx_failed(r)) return PSAL_NO_NODE;
    const onnx_value *value = &r->values[w->onnx->logits];
    const psal_node logits = value->constant ? PSAL_NO_NODE : value->node;
    const psal_shape *shape = psal_graph_shape(r->graph, logits);
    char text[96];
    bool good = logits != PSAL_NO_NODE && shape->ndim >= 2 && shape->dim[0] == r->batch;
    for (int i = 2; good && i < shape->ndim; i++) good = shape->dim[i] == 1;
    if (!good) {
        net_fail(r->n, PSAL_ERR_UNSUPPORTED, "its output '%.100s' has shape %s, expected images x classes%s",
                 r->d->values[w->onnx->logits], psal_shape_format(shape, text, sizeof text),
                 r->d->output_count > 1 ? "; --weights-key NAME takes another output" : "");
        return PSAL_NO_NODE;
    }
    return shape->ndim == 2 ? logits : psal_reshape(r->graph, logits, PSAL_SHAPE(shape->dim[0], shape->dim[1]));
}

flow onnx_describe(net *n, flow image, const void *depth) {
    const net_onnx *onnx = depth;
    walk w;
    flow y = {PSAL_NO_NODE, n->options.num_classes, -1};
    if (begin_walk(&w, n, onnx) && n->graph) take_image(&w, image);
    for (size_t i = 0; i < onnx->d->operator_count && !onnx_failed(&w.run); i++) {
        const psal_operator *o = &onnx->d->operators[i];
        const onnx_operator *known = onnx->needed[i] ? onnx_find_operator(o) : NULL;
        if (!known) continue;
        w.run.o = o;
        list_operator(&w, known, o);
        if (n->graph && !onnx_failed(&w.run)) build_operator(&w, known, o);
    }
    if (n->graph) y.node = take_logits(&w);
    end_walk(&w);
    return y;
}

/* ---- for tests ---- */

static void build_all(walk *w, const psal_tensor *inputs, psal_node *input_nodes, psal_node *output_nodes) {
    const psal_description *d = w->onnx->d;
    onnx_run *r = &w->run;
    r->file_batch = r->batch = -1;
    for (size_t i = 0; i < d->input_count && !onnx_failed(r); i++) {
        const int v = d->inputs[i].value;
        const bool computed = psal_tensor_is_float(&inputs[i]) && inputs[i].shape.ndim > 0;
        input_nodes[i] = computed ? psal_input(r->graph, d->values[v], inputs[i].shape) : PSAL_NO_NODE;
        r->values[v] = (onnx_value){input_nodes[i], computed ? NULL : read_constant(r, d->values[v], &inputs[i])};
    }
    for (size_t i = 0; i < d->operator_count && !onnx_failed(r); i++) {
        r->o = &d->operators[i];
        if (!w->onnx->needed[i]) continue;
        list_operator(w, onnx_find_operator(r->o), r->o);
        build_operator(w, onnx_find_operator(r->o), r->o);
    }
    for (size_t i = 0; i < d->output_count && !onnx_failed(r); i++) {
        const psal_operator identity = {"output", "Identity", "", &d->outputs[i].value, NULL, 1, 0, NULL, 0};
        r->o = &identity;
        if (w->onnx->tensors[d->outputs[i].value]) take_tensors(w, onnx_find_operator(&identity), &identity);
        output_nodes[i] = onnx_input(r, 0);
    }
}

void onnx_build_all(net *n, const net_onnx *onnx, const psal_tensor *inputs, psal_node *input_nodes,
                    psal_node *output_nodes) {
    walk w;
    if (begin_walk(&w, n, onnx)) build_all(&w, inputs, input_nodes, output_nodes);
    end_walk(&w);
}
