/* Where in the arena every value lies.
 *
 * A value lives from the step that makes it to the last step that reads it, an output to the end. Values are placed
 * largest first, each at the lowest offset that is free during its whole life (greedy by size: Pisarchyk & Lee 2020,
 * "Efficient memory management for deep neural net inference").
 *
 *     steps:      0: a = conv(x, w)    1: b = conv(a, w)    2: c = conv(b, w)    3: d = conv(c, w)    each of 1 MiB
 *     lives:      a: 0 to 1            b: 1 to 2            c: 2 to 3            d: 3 to the end
 *     offsets:    a: 0                 b: 1 MiB             c: 0                 d: 1 MiB
 *
 * Values of up to 16 kB are placed first: placed last, a few long-lived ones would be on top of all others.
 *
 * Three kinds of values have no memory of their own:
 *
 *     take over   y = relu(x), the last to read x, overwrites x (psal_op.in_place)
 *     view        y = reshape(x) is x
 *     share       a slice of one image's channels is a part of its operand: s = slice(x, from channel 4 on) begins 4
 *                 planes behind x; a concatenation begins with its first operand: concat(x, new) leaves x where it is,
 *                 extends its buffer and copies only `new`
 *
 * Scratch memory is at the arena's end in all steps, so that it is still in the cache from the step before. */
#include "engine/plan_internal.h"

#include <stdlib.h>

typedef struct buffer {
    size_t bytes, offset;
    int64_t filled; /* elements of the largest value in it */
    int begin, end; /* steps, inclusive */
} buffer;

/* A node that is recomputed has several steps and a buffer for each. */
typedef struct layout {
    buffer *buffers;
    int count;
    int *maker;     /* per node: the last step that computed it, -1: none (leaves) */
    int *last_use;  /* per step: the last step that reads its result */
    int *viewed;    /* per step: the step whose result it views or can share, or -1 */
    int *buffer_of; /* per step, -1: none (views of leaves) */
    size_t *inside; /* per step: bytes from its buffer's start */
} layout;

/* Whether node `n` can share its first input's memory, from element *offset of it on: a slice or a concatenation along
 * an axis before which all dimensions are 1. Not an output, nor less than half of its input: it would keep the whole
 * buffer alive. */
static bool can_share(const psal_plan *plan, psal_node n, size_t *offset) {
    const psal_node_record *node = psal_graph_node(plan->graph, n);
    if ((node->op != PSAL_OP_SLICE && node->op != PSAL_OP_CONCAT) || plan->is_output[n]) return false;
    *offset = node->op == PSAL_OP_SLICE ? (size_t)node->attr.slice.offset : 0;
    for (int i = 0; i < node->shape.ndim; i++) {
        if (i < node->attr.slice.axis && node->shape.dim[i] != 1) return false;
        if (i > node->attr.slice.axis) *offset *= (size_t)node->shape.dim[i];
    }
    return 2 * psal_shape_count(&node->shape) > psal_shape_count(psal_graph_shape(plan->graph, node->inputs[0]));
}

/* The buffer of the first input, if the step can share it: as a part of it or, when nothing is behind the input there,
 * as its extension. Otherwise -1. */
static int share(const psal_plan *plan, layout *l, int step) {
    const psal_node_record *node = psal_graph_node(plan->graph, plan->steps[step].node);
    size_t offset;
    if (!can_share(plan, plan->steps[step].node, &offset)) return -1;
    const int maker = l->maker[node->inputs[0]], b = maker < 0 ? -1 : l->buffer_of[maker];
    if (b < 0) return -1;
    const int64_t count = psal_shape_count(&node->shape);
    const int64_t input = psal_shape_count(&psal_graph_node(plan->graph, node->inputs[0])->shape);
    if (count > input) {
        if (l->inside[maker] > 0 || l->buffers[b].filled != input) return -1;
        l->buffers[b].bytes = psal_plan_bytes(node);
        l->buffers[b].filled = count;
    }
    l->inside[step] = l->inside[maker] + offset * sizeof(psal_real);
    return b;
}

/* The buffer of an input that the step can view, take over or share, or -1. It is taken over when the operation allows
 * it, the sizes are the same and nothing reads the buffer later. */
static int takeover(const psal_plan *plan, layout *l, int step) {
    const psal_node_record *node = psal_graph_node(plan->graph, plan->steps[step].node);
    const psal_op *op = psal_op_get(node->op);
    for (int i = 0; i < node->input_count; i++) {
        int maker = l->maker[node->inputs[i]], b = maker < 0 ? -1 : l->buffer_of[maker];
        bool allowed = op->is_view || (op->in_place >> i & 1);
        if (!allowed || b < 0) continue;
        if (op->is_view) {
            l->inside[step] = l->inside[maker];
            return b;
        }
        if (l->buffers[b].end == step && l->buffers[b].bytes == psal_plan_bytes(node) && l->inside[maker] == 0)
            return b;
    }
    return share(plan, l, step);
}

/* last_use and viewed of each step */
static void measure_lifetimes(const psal_plan *plan, layout *l) {
    for (psal_node n = 0; n < plan->nodes; n++) l->maker[n] = -1;
    for (int step = 0; step < plan->step_count; step++) {
        psal_node n = plan->steps[step].node;
        const psal_node_record *node = psal_graph_node(plan->graph, n);
        for (int i = 0; i < node->input_count; i++) {
            int maker = l->maker[node->inputs[i]];
            if (maker >= 0 && l->last_use[maker] < step) l->last_use[maker] = step;
        }
        size_t offset;
        l->viewed[step] = psal_op_get(node->op)->is_view || can_share(plan, n, &offset) ? l->maker[node->inputs[0]]
                                                                                        : -1;
        l->maker[n] = step;
        l->last_use[step] = plan->is_output[n] ? plan->step_count : step;
    }
    /* A value lives as long as its views. Later steps first, for views of views. */
    for (int step = plan->step_count - 1; step >= 0; step--)
        if (l->viewed[step] >= 0 && l->last_use[l->viewed[step]] < l->last_use[step])
            l->last_use[l->viewed[step]] = l->last_use[step];
}

enum { SMALL = 16 << 10 }; /* bytes */

/* Small ones first, then by size */
static int by_size_then_begin(const void *a, const void *b) {
    const buffer *x = *(const buffer *const *)a, *y = *(const buffer *const *)b;
    if ((x->bytes <= SMALL) != (y->bytes <= SMALL)) return x->bytes <= SMALL ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int by_offset(const void *a, const void *b) {
    const buffer *x = *(const buffer *const *)a, *y = *(const buffer *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static psal_status place(psal_plan *plan, layout *l, psal_error *err) {
    buffer **order = malloc(((size_t)l->count + 1) * sizeof *order),
           **near = malloc(((size_t)l->count + 1) * sizeof *near);
    if (!order || !near) {
        free(order);
        free(near);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a plan of %d buffers", l->count);
    }
    for (int i = 0; i < l->count; i++) order[i] = &l->buffers[i];
    qsort(order, (size_t)l->count, sizeof *order, by_size_then_begin);
    for (int i = 0; i < l->count; i++) {
        int overlapping = 0;
        for (int j = 0; j < i; j++)
            if (order[j]->begin <= order[i]->end && order[i]->begin <= order[j]->end) near[overlapping++] = order[j];
        qsort(near, (size_t)overlapping, sizeof *near, by_offset);
        size_t offset = 0;
        for (int j = 0; j < overlapping; j++) {
            if (near[j]->offset >= offset + order[i]->bytes) break;
            size_t after = near[j]->offset + near[j]->bytes;
            if (after > offset) offset = after;
        }
        order[i]->offset = offset;
        if (offset + order[i]->bytes > plan->memory) plan->memory = offset + order[i]->bytes;
    }
    free(order);
    free(near);
    return PSAL_OK;
}

static size_t scratch_of(const psal_plan *plan, int step) {
    const size_t bytes = plan->steps[step].prepared.scratch;
    return (bytes + PSAL_ALIGNMENT - 1) / PSAL_ALIGNMENT * PSAL_ALIGNMENT;
}

/* Scratch memory ends at the arena's end in all steps, so that most use the same place. It costs little memory: steps
 * that need much scratch run when few values are alive. */
static void place_scratch(psal_plan *plan, const layout *l) {
    for (int step = 0; step < plan->step_count; step++) {
        const size_t bytes = scratch_of(plan, step);
        size_t top = 0; /* of what is kept at this step */
        for (int i = 0; i < l->count; i++) {
            const buffer *b = &l->buffers[i];
            if (b->begin <= step && step <= b->end && b->offset + b->bytes > top) top = b->offset + b->bytes;
        }
        if (top + bytes > plan->memory) plan->memory = top + bytes;
        plan->steps[step].scratch = bytes;
    }
    for (int step = 0; step < plan->step_count; step++)
        plan->steps[step].scratch = plan->memory - plan->steps[step].scratch;
}

psal_status psal_plan_lay_out(psal_plan *plan, psal_error *err) {
    size_t nodes = (size_t)plan->nodes + 1, steps = (size_t)plan->step_count + 1;
    layout l = {.buffers = calloc(steps, sizeof *l.buffers),
                .maker = malloc(nodes * sizeof *l.maker),
                .last_use = calloc(steps, sizeof *l.last_use),
                .viewed = malloc(steps * sizeof *l.viewed),
                .buffer_of = malloc(steps * sizeof *l.buffer_of),
                .inside = calloc(steps, sizeof *l.inside)};
    psal_status status = PSAL_OK;
    if (!l.buffers || !l.maker || !l.last_use || !l.viewed || !l.buffer_of || !l.inside) {
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a plan of %d steps", plan->step_count);
        goto done;
    }
    measure_lifetimes(plan, &l);
    for (psal_node n = 0; n < plan->nodes; n++) l.maker[n] = -1;
    for (int step = 0; step < plan->step_count; step++) {
        const psal_node_record *node = psal_graph_node(plan->graph, plan->steps[step].node);
        int b = takeover(plan, &l, step);
        if (b < 0 && !psal_op_get(node->op)->is_view) { /* a view of a leaf: the leaf's own memory */
            b = l.count++;
            l.buffers[b] = (buffer){
                .bytes = psal_plan_bytes(node), .filled = psal_shape_count(&node->shape), .begin = step, .end = step};
        }
        if (b >= 0 && l.last_use[step] > l.buffers[b].end) l.buffers[b].end = l.last_use[step];
        l.buffer_of[step] = b;
        l.maker[plan->steps[step].node] = step;
    }
    status = place(plan, &l, err);
    if (status != PSAL_OK) goto done;
    place_scratch(plan, &l);
    for (psal_node n = 0; n < plan->nodes; n++) plan->offset[n] = SIZE_MAX;
    for (int step = 0; step < plan->step_count; step++) {
        if (l.buffer_of[step] >= 0) plan->steps[step].offset = l.buffers[l.buffer_of[step]].offset + l.inside[step];
        plan->offset[plan->steps[step].node] = plan->steps[step].offset;
    }
done:
    free(l.buffers);
    free(l.maker);
    free(l.last_use);
    free(l.viewed);
    free(l.buffer_of);
    free(l.inside);
    return status;
}
