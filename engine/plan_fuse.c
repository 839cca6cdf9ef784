/* Which steps are done together, so that values are read again from the cache instead of memory.
 *
 * A pass. Successive elementwise steps (psal_op.run_elements), each of which reads a result of the others, run piece by
 * piece: all of them on one piece of the values, then on the next. Small steps between them that read none of their
 * results run before the pass; what repeats a small value for them (expand) is part of it.
 *
 *     schedule:   m = relu_mask(dy, y)    r = rsqrt(variance)    s = mul(gamma, r)    d = channel_mul(m, s)
 *     runs:       [r  s]    [m  d]        one pass over dy and y: m and d for 2048 elements, then for the next
 *
 * A pair. Two results of one input that one kernel computes together: a filter's mean and its codes, the place of a
 * maximum and the maximum.
 *
 *     runs:       [group_mean_abs(dw)  ternary_codes(dw)]        dw is read once
 *
 * Steps of a pass are made neighbours before memory is laid out (psal_plan_gather_passes), so that a value that only
 * the pass reads is overwritten in place. Whether memory allows a pass is known only afterwards
 * (psal_plan_join_steps). */
#include "engine/plan_internal.h"

#include <string.h>

/* ---- before the layout: which steps can be a pass ---- */

static bool makes(const psal_plan *plan, int first, int last, psal_node value) {
    for (int step = first; step <= last; step++)
        if (plan->steps[step].node == value) return true;
    return false;
}

static bool reads_any(const psal_plan *plan, int step, int first, int last) {
    const psal_node_record *node = psal_plan_record(plan, step);
    for (int i = 0; i < node->input_count; i++)
        if (makes(plan, first, last, node->inputs[i])) return true;
    return false;
}

/* Whether `step` can extend the pass first .. last: it reads a result of the pass, and all of those elementwise; or it
 * repeats something small for a later one. */
static bool goes_on(const psal_plan *plan, int step, int first, int last) {
    const psal_node_record *node = psal_plan_record(plan, step);
    const psal_op *op = psal_op_get(node->op);
    if (!op->run_elements || !psal_op_get(psal_plan_record(plan, first)->op)->run_elements) return false;
    if (last - first + 1 >= PSAL_MAX_PASS) return false;
    if (node->op != PSAL_OP_EXPAND && !reads_any(plan, step, first, last)) return false;
    if (psal_shape_count(&node->shape) != psal_shape_count(&psal_plan_record(plan, first)->shape)) return false;
    for (int i = 0; i < node->input_count; i++)
        if (!(op->in_place >> i & 1) && makes(plan, first, last, node->inputs[i])) return false;
    return true;
}

/* Move the last `count` of the steps first .. end-1 before the others. */
static void move_ahead(psal_plan *plan, int first, int end, int count) {
    for (; count > 0; count--, first++) {
        const psal_plan_step moved = plan->steps[end - count];
        memmove(plan->steps + first + 1, plan->steps + first, (size_t)(end - count - first) * sizeof moved);
        plan->steps[first] = moved;
    }
}

static bool is_smaller(const psal_plan *plan, int step, int than) {
    enum { TIMES = 8 };
    return TIMES * psal_plan_bytes(psal_plan_record(plan, step)) <= psal_plan_bytes(psal_plan_record(plan, than));
}

/* Small steps between those of a pass (a normalisation's scale), which read none of its results, move before it. */
void psal_plan_gather_passes(psal_plan *plan) {
    enum { BETWEEN = 8 };
    for (int stage = 0; stage < plan->stages; stage++) {
        const int end = plan->stage_begin[stage + 1];
        for (int first = plan->stage_begin[stage], last; first < end; first = last + 1) {
            last = first;
            if (!psal_op_get(psal_plan_record(plan, first)->op)->run_elements) continue;
            for (int step = first + 1; step < end && step - last <= BETWEEN; step++) {
                if (goes_on(plan, step, first, last)) {
                    const int between = step - last - 1;
                    move_ahead(plan, first, step, between);
                    first += between;
                    last = step;
                } else if (reads_any(plan, step, first, last) || !is_smaller(plan, step, first)) {
                    break;
                }
            }
        }
    }
}

/* ---- after the layout: which steps are a pass ---- */

/* The offset of a value that `step` reads, or SIZE_MAX: not in the arena. */
static size_t place_read(const psal_plan *plan, int step, psal_node value) {
    if (psal_plan_is_leaf(psal_graph_node(plan->graph, value))) return SIZE_MAX;
    while (step > 0 && plan->steps[step - 1].node != value) step--;
    return step > 0 ? plan->steps[step - 1].offset : SIZE_MAX;
}

static bool apart(size_t a, size_t a_bytes, size_t b, size_t b_bytes) {
    return a == SIZE_MAX || b == SIZE_MAX || a + a_bytes <= b || b + b_bytes <= a;
}

/* In a pass, `step` writes its first piece before the steps before it have read their last one: its result must not
 * overlap their results and operands, unless it is the same memory element for element. */
static bool memory_allows(const psal_plan *plan, int step, int first) {
    const size_t out = plan->steps[step].offset, bytes = psal_plan_bytes(psal_plan_record(plan, step));
    for (int ahead = first; ahead < step; ahead++) {
        const psal_node_record *node = psal_plan_record(plan, ahead);
        if (out != plan->steps[ahead].offset && !apart(out, bytes, plan->steps[ahead].offset, bytes)) return false;
        for (int i = 0; i < node->input_count; i++) {
            const size_t in = place_read(plan, ahead, node->inputs[i]);
            const bool same = out == in && (psal_op_get(node->op)->in_place >> i & 1);
            if (!same && !apart(out, bytes, in, psal_plan_bytes(psal_graph_node(plan->graph, node->inputs[i]))))
                return false;
        }
    }
    return true;
}

/* Whether the kernel of step - 1 computes the result of `step` too (psal_op_call.also). */
static bool is_second_of_pair(const psal_plan *plan, int step) {
    const psal_node_record *first = psal_plan_record(plan, step - 1), *second = psal_plan_record(plan, step);
    if (second->input_count == 0 || first->input_count == 0 || second->inputs[0] != first->inputs[0]) return false;
    switch (first->op) {
    case PSAL_OP_GROUP_MEAN_ABS:
        return second->op == PSAL_OP_TERNARY_CODES;
    case PSAL_OP_MAX_POOL2D_INDEX:
        return second->op == PSAL_OP_POOL_GATHER && second->inputs[1] == plan->steps[step - 1].node;
    default:
        return false;
    }
}

/* Whether `step` can be done in the pass first .. step - 1. */
static bool joins(const psal_plan *plan, int step, int first) {
    const bool pair = first == step - 1 && is_second_of_pair(plan, step);
    return (pair || goes_on(plan, step, first, step - 1)) && memory_allows(plan, step, first);
}

void psal_plan_join_steps(psal_plan *plan) {
    for (int stage = 0; stage < plan->stages; stage++) {
        const int end = plan->stage_begin[stage + 1];
        for (int first = plan->stage_begin[stage], last; first < end; first = last + 1) {
            last = first;
            while (last + 1 < end && joins(plan, last + 1, first)) last++;
            for (int step = first; step <= last; step++) plan->steps[step].follow = last - step;
        }
    }
}
