/* Which nodes run, and in which order.
 *
 * Nodes that the outputs need run in the order of the graph, stage by stage, with two exceptions.
 *
 * Readers run early. When all remaining readers of a value can run, and their results together have less than half of
 * its size, they run at once, even those that only a later stage needs. So a filter's gradient dw is not kept:
 *
 *     graph:      dw1    dw2    mean(dw1)    mean(dw2)    codes(dw1), for stage 1
 *     stage 0:    dw1    mean(dw1)    codes(dw1)    dw2    mean(dw2)
 *
 * In the order of the graph, dw1 and dw2 would be in memory together, and dw1 until stage 1 has run.
 *
 * Spread values are recomputed. A large value that is computed quickly from a small one is not kept between its
 * readers: it is computed before each reader, or once for two readers that follow each other. So are multiples and
 * shifted values (2 x, 1 - x), of which x is kept instead. In a lean plan the same holds for pooled values, whose
 * operands are kept anyway.
 *
 *     graph:      s = spread(v)    a = conv(x, s)    b = conv(y, s)    c = relu(b)    d = conv(c, s)
 *     runs:       s    a    b    c    s    d */
#include "engine/plan_internal.h"

#include <stdlib.h>

#include "engine/readers.h"

/* ---- which nodes ---- */

/* Set stage_of of all nodes that the outputs need and no earlier stage runs. Nodes depend on lower numbers only, so one
 * downward sweep per stage is enough. */
static void mark_needed(psal_plan *plan, int stage, const psal_node *outputs, int count) {
    for (int i = 0; i < count; i++) {
        const psal_node output = psal_plan_node(plan, outputs[i]);
        if (plan->stage_of[output] < 0) plan->stage_of[output] = stage;
        plan->is_output[output] = true;
    }
    for (psal_node n = plan->nodes - 1; n >= 0; n--) {
        if (plan->stage_of[n] != stage) continue;
        const psal_node_record *node = psal_graph_node(plan->graph, n);
        for (int i = 0; i < node->input_count; i++)
            if (plan->stage_of[node->inputs[i]] < 0) plan->stage_of[node->inputs[i]] = stage;
    }
}

/* ---- in which order ---- */

typedef struct schedule {
    psal_plan *plan;
    psal_readers readers; /* of the nodes that run */
    bool *done;
} schedule;

/* Whether `n` is recomputed for its readers (see above) */
static bool is_recomputed(const psal_plan *plan, psal_node n) {
    enum { TIMES = 8 }; /* what an expanded value is larger than its operand, at least */
    const psal_node_record *node = psal_graph_node(plan->graph, n);
    if (plan->is_output[n]) return false;
    switch (node->op) {
    case PSAL_OP_GROUP_SPREAD:
    case PSAL_OP_GROUP_TERNARY_SPREAD:
    case PSAL_OP_SCALE:
    case PSAL_OP_SHIFT:
        return true;
    case PSAL_OP_EXPAND:
        return TIMES * psal_plan_bytes(psal_graph_node(plan->graph, node->inputs[0])) <= psal_plan_bytes(node);
    case PSAL_OP_POOL_GATHER:
    case PSAL_OP_AVG_POOL2D:
        return plan->lean;
    default:
        return false;
    }
}

/* Whether all inputs of `n` have been computed, or can be recomputed, in `stage` */
static bool ready(const schedule *s, psal_node n, int stage) {
    const psal_node_record *node = psal_graph_node(s->plan->graph, n);
    for (int i = 0; i < node->input_count; i++) {
        psal_node in = node->inputs[i];
        if (psal_plan_is_leaf(psal_graph_node(s->plan->graph, in)) ? s->plan->stage_of[in] > stage : !s->done[in]) {
            if (!is_recomputed(s->plan, in) || !ready(s, in, stage)) return false;
        }
    }
    return true;
}

static void run_step(schedule *s, psal_node n, int stage);

/* Run the remaining readers of `n` if all of them can run and their results are small (see above). */
static void run_readers(schedule *s, psal_node n, int stage) {
    const int begin = s->readers.begin[n], end = s->readers.begin[n + 1];
    size_t left = 0;
    for (int i = begin; i < end; i++) {
        const psal_node reader = s->readers.list[i];
        if (s->done[reader]) continue;
        if (is_recomputed(s->plan, reader) || !ready(s, reader, stage)) return;
        left += psal_plan_bytes(psal_graph_node(s->plan->graph, reader));
    }
    if (2 * left >= psal_plan_bytes(psal_graph_node(s->plan->graph, n))) return;
    for (int i = begin; i < end; i++)
        if (!s->done[s->readers.list[i]]) run_step(s, s->readers.list[i], stage);
}

static bool reads(const psal_node_record *node, int inputs, psal_node value) {
    for (int i = 0; i < inputs; i++)
        if (node->inputs[i] == value) return true;
    return false;
}

/* A recomputed value that the step before has read is read again, not recomputed: that takes no more memory. */
static void add_step(schedule *s, psal_node n, int stage) {
    const psal_node_record *node = psal_graph_node(s->plan->graph, n), *before = NULL;
    if (s->plan->step_count > 0) before = psal_graph_node(s->plan->graph, s->plan->steps[s->plan->step_count - 1].node);
    for (int i = 0; i < node->input_count; i++) {
        psal_node in = node->inputs[i];
        if (!is_recomputed(s->plan, in) || reads(node, i, in) || (before && reads(before, before->input_count, in)))
            continue;
        add_step(s, in, stage);
    }
    s->plan->steps[s->plan->step_count++] = (psal_plan_step){.node = n, .stage = stage, .offset = SIZE_MAX};
}

static void run_step(schedule *s, psal_node n, int stage) {
    s->done[n] = true;
    if (psal_plan_is_leaf(psal_graph_node(s->plan->graph, n))) return;
    s->plan->stage_of[n] = stage;
    add_step(s, n, stage);
    if (!s->plan->is_output[n]) run_readers(s, n, stage);
    const psal_node_record *node = psal_graph_node(s->plan->graph, n);
    for (int i = 0; i < node->input_count; i++) {
        const psal_node in = node->inputs[i];
        if (!psal_plan_is_leaf(psal_graph_node(s->plan->graph, in)) && !s->plan->is_output[in])
            run_readers(s, in, stage);
    }
}

/* How many steps there can be: each node that runs, and for each of its operands that are recomputed that one's steps.
 * `of`: room for a number per node. */
static size_t most_steps(const psal_plan *plan, size_t *of) {
    size_t all = 0;
    for (psal_node n = 0; n < plan->nodes; n++) {
        const psal_node_record *node = psal_graph_node(plan->graph, n);
        of[n] = 1;
        for (int i = 0; i < node->input_count; i++)
            if (is_recomputed(plan, node->inputs[i])) of[n] += of[node->inputs[i]];
        if (plan->stage_of[n] >= 0 && !is_recomputed(plan, n)) all += of[n];
    }
    return all;
}

static psal_status order_steps(psal_plan *plan, psal_error *err) {
    const size_t nodes = (size_t)plan->nodes + 1;
    schedule s = {.plan = plan, .done = calloc(nodes, sizeof *s.done)};
    bool *runs = calloc(nodes, sizeof *runs);
    size_t *steps_of = malloc(nodes * sizeof *steps_of);
    psal_status status = PSAL_ERR_MEMORY;
    if (steps_of) plan->steps = malloc((most_steps(plan, steps_of) + 1) * sizeof *plan->steps);
    if (!s.done || !runs || !plan->steps) {
        psal_fail(err, status, "out of memory for a plan of %d nodes", plan->nodes);
        goto done;
    }
    for (psal_node n = 0; n < plan->nodes; n++) runs[n] = plan->stage_of[n] >= 0;
    if ((status = psal_readers_find(&s.readers, plan->graph, runs, err)) != PSAL_OK) goto done;
    for (int stage = 0; stage < plan->stages; stage++) {
        plan->stage_begin[stage] = plan->step_count;
        for (psal_node n = 0; n < plan->nodes; n++)
            if (plan->stage_of[n] == stage && !s.done[n] && !is_recomputed(plan, n)) run_step(&s, n, stage);
    }
    plan->stage_begin[plan->stages] = plan->step_count;
done:
    psal_readers_free(&s.readers);
    free(s.done);
    free(runs);
    free(steps_of);
    return status;
}

psal_status psal_plan_schedule(psal_plan *plan, const psal_plan_options *options, psal_error *err) {
    for (psal_node n = 0; n < plan->nodes; n++) plan->stage_of[n] = -1;
    for (int stage = 0; stage < options->stages; stage++)
        mark_needed(plan, stage, options->outputs[stage], options->output_count[stage]);
    return order_steps(plan, err);
}
