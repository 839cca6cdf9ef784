/* A plan: the graph rewritten (rewrite.c), its order (plan_schedule.c), passes (plan_fuse.c) and memory
 * (plan_layout.c). */
#include "engine/plan_internal.h"

#include <stdlib.h>

#include "engine/rewrite.h"

static psal_status check_options(const psal_graph *graph, const psal_plan_options *options, psal_error *err) {
    if (options->stages < 1 || options->stages > PSAL_MAX_STAGES)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a plan has 1 to %d stages, got %d", PSAL_MAX_STAGES, options->stages);
    for (int stage = 0; stage < options->stages; stage++) {
        if (options->output_count[stage] < 1)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "stage %d of a plan wants no output", stage);
        for (int i = 0; i < options->output_count[stage]; i++) {
            psal_node n = options->outputs[stage][i];
            if (n < 0 || n >= psal_graph_node_count(graph))
                return psal_fail(err, PSAL_ERR_ARGUMENT, "output %d of stage %d is not a node of the graph", i, stage);
        }
    }
    return PSAL_OK;
}

/* What follows from the nodes alone: which algorithm a convolution takes, say. */
static psal_status prepare_steps(psal_plan *plan, psal_error *err) {
    for (int step = 0; step < plan->step_count; step++) {
        const psal_node_record *node = psal_plan_record(plan, step);
        const psal_op *op = psal_op_get(node->op);
        if (!op->prepare) continue;
        const psal_status status = op->prepare(node, plan->conv, plan->threads, &plan->steps[step].prepared, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

psal_plan *psal_plan_new(const psal_graph *graph, const psal_plan_options *options, psal_error *err) {
    if (psal_graph_check(graph, err) != PSAL_OK || check_options(graph, options, err) != PSAL_OK) return NULL;
    psal_plan *plan = calloc(1, sizeof *plan);
    if (!plan) goto out_of_memory;
    plan->source = graph;
    plan->made = malloc(((size_t)psal_graph_node_count(graph) + 1) * sizeof *plan->made);
    if (!plan->made) goto out_of_memory;
    if (!(plan->graph = psal_graph_rewrite(graph, options, plan->made, err))) goto failed;
    const size_t nodes = (size_t)psal_graph_node_count(plan->graph);
    plan->nodes = (int)nodes;
    plan->threads = options->threads > 1 ? options->threads : 1;
    plan->stages = options->stages;
    plan->few_runs = options->few_runs;
    plan->lean = options->lean;
    plan->conv = options->conv;
    plan->stage_of = malloc((nodes + 1) * sizeof *plan->stage_of);
    plan->is_output = calloc(nodes + 1, sizeof *plan->is_output);
    plan->offset = malloc((nodes + 1) * sizeof *plan->offset);
    plan->bound = calloc(nodes + 1, sizeof *plan->bound);
    if (!plan->stage_of || !plan->is_output || !plan->offset || !plan->bound) goto out_of_memory;
    if (psal_plan_schedule(plan, options, err) != PSAL_OK) goto failed;
    psal_plan_gather_passes(plan);
    if (prepare_steps(plan, err) != PSAL_OK) goto failed;
    if (psal_plan_lay_out(plan, err) != PSAL_OK) goto failed;
    psal_plan_join_steps(plan);
    if (options->memory_limit && psal_plan_memory(plan) > options->memory_limit) {
        psal_fail(err, PSAL_ERR_MEMORY, "needs %.1f MiB of working memory, more than the limit of %.1f MiB",
                  (double)psal_plan_memory(plan) / 1048576, (double)options->memory_limit / 1048576);
        goto failed;
    }
    return plan;
out_of_memory:
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a plan of %d nodes", psal_graph_node_count(graph));
failed:
    psal_plan_free(plan);
    return NULL;
}

void psal_plan_free(psal_plan *plan) {
    if (!plan) return;
    for (int step = 0; step < plan->step_count; step++) psal_conv2d_free(plan->steps[step].prepared.convolution);
    psal_graph_free(plan->graph);
    free(plan->made);
    free(plan->steps);
    free(plan->stage_of);
    free(plan->is_output);
    free(plan->offset);
    free(plan->bound);
    free(plan);
}

psal_status psal_plan_bind(psal_plan *plan, psal_node parameter, const psal_real *values, psal_error *err) {
    if (parameter < 0 || parameter >= psal_graph_node_count(plan->source) ||
        psal_graph_node(plan->source, parameter)->op != PSAL_OP_PARAMETER)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "node %d is not a parameter of this plan's graph", parameter);
    if (plan->made[parameter] != PSAL_NO_NODE) plan->bound[plan->made[parameter]] = values;
    return PSAL_OK;
}

size_t psal_plan_memory(const psal_plan *plan) {
    return plan->memory;
}

bool psal_plan_reads(const psal_plan *plan, psal_node leaf) {
    const psal_node node = psal_plan_node(plan, leaf);
    return node != PSAL_NO_NODE && plan->stage_of[node] >= 0;
}
