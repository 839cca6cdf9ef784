#include "engine/receptive_field.h"

#include <stdlib.h>

#include "engine/op.h"

psal_box psal_box_of(const psal_shape *shape) {
    psal_box box = {.first = {0}};
    for (int d = 0; d < shape->ndim; d++) box.last[d] = shape->dim[d] - 1;
    return box;
}

bool psal_box_is_empty(const psal_box *box, int ndim) {
    for (int d = 0; d == 0 || d < ndim; d++) /* of a scalar, too */
        if (box->first[d] > box->last[d]) return true;
    return false;
}

void psal_box_join(psal_box *box, const psal_box *other, int ndim) {
    if (psal_box_is_empty(other, ndim)) return;
    if (psal_box_is_empty(box, ndim)) {
        *box = *other;
        return;
    }
    for (int d = 0; d < ndim; d++) {
        if (other->first[d] < box->first[d]) box->first[d] = other->first[d];
        if (other->last[d] > box->last[d]) box->last[d] = other->last[d];
    }
}

void psal_box_windows(const psal_box *out, psal_box *in, int axis, int64_t size, int kernel, int stride, int padding,
                      int dilation) {
    int64_t first = size, last = -1;
    for (int64_t i = out->first[axis]; i <= out->last[axis]; i++)
        for (int j = 0; j < kernel; j++) {
            const int64_t at = i * stride - padding + (int64_t)j * dilation;
            if (at < 0 || at >= size) continue;
            if (at < first) first = at;
            if (at > last) last = at;
        }
    in->first[axis] = first;
    in->last[axis] = last;
}

/* What input `input` of a node must give for this part of its result. */
static psal_box reach(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out) {
    const psal_op *op = psal_op_get(node->op);
    psal_box in = psal_box_of(psal_graph_shape(graph, node->inputs[input]));
    if (op->reach)
        op->reach(graph, node, input, out, &in);
    else if (op->run_elements && (op->in_place >> input & 1))
        in = *out;
    return in;
}

psal_status psal_receptive_field(const psal_graph *graph, psal_node node, const psal_box *of, psal_node source,
                                 psal_box *field, psal_error *err) {
    if (node < 0 || node >= psal_graph_node_count(graph) || source < 0 || source >= psal_graph_node_count(graph))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "no receptive field of node %d in node %d: not of this graph", node,
                         source);
    const int lowest = source < node ? source : node, count = node - lowest + 1;
    psal_box *boxes = malloc((size_t)count * sizeof *boxes); /* of the nodes from `lowest` on */
    if (!boxes) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the parts of %d nodes", count);
    for (int i = 0; i < count; i++) boxes[i] = (psal_box){.first = {1}, .last = {0}};
    boxes[node - lowest] = *of;
    for (psal_node n = node; n > source; n--) { /* readers come after what they read */
        const psal_node_record *record = psal_graph_node(graph, n);
        if (psal_box_is_empty(&boxes[n - lowest], record->shape.ndim)) continue;
        for (int i = 0; i < record->input_count; i++) {
            const psal_node input = record->inputs[i];
            if (input < source) continue; /* does not depend on it */
            const psal_box part = reach(graph, record, i, &boxes[n - lowest]);
            psal_box_join(&boxes[input - lowest], &part, psal_graph_shape(graph, input)->ndim);
        }
    }
    *field = source <= node ? boxes[source - lowest] : (psal_box){.first = {1}, .last = {0}};
    free(boxes);
    return PSAL_OK;
}
