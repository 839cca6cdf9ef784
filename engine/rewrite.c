#include "engine/rewrite.h"

#include <stdlib.h>

static psal_node apply_rules(const psal_rewriting *r, psal_node n, unsigned without) {
    for (int i = 0; i < psal_rewrite_rule_count; i++) {
        if (without & psal_rewrite_rules[i].bit) continue;
        const psal_node made = psal_rewrite_rules[i].apply(r, n);
        if (made != PSAL_NO_NODE) return made;
    }
    return PSAL_NO_NODE;
}

static psal_node copy(const psal_rewriting *r, psal_node n, psal_node *inputs) {
    const psal_node_record *node = psal_rewrite_node(r, n);
    for (int i = 0; i < node->input_count; i++) inputs[i] = r->made[node->inputs[i]];
    return psal_graph_copy(r->to, node, inputs);
}

/* needed[n]: whether n is an output, or one depends on it. Nodes depend on lower numbers only, so one sweep is enough.
 * Returns the largest number of inputs of a needed node. */
static int mark_needed(const psal_graph *graph, const psal_plan_options *options, bool *is_output, bool *needed) {
    int widest = 0;
    for (int stage = 0; stage < options->stages; stage++)
        for (int i = 0; i < options->output_count[stage]; i++)
            is_output[options->outputs[stage][i]] = needed[options->outputs[stage][i]] = true;
    for (psal_node n = psal_graph_node_count(graph) - 1; n >= 0; n--) {
        const psal_node_record *node = psal_graph_node(graph, n);
        for (int i = 0; needed[n] && i < node->input_count; i++) needed[node->inputs[i]] = true;
        if (needed[n] && node->input_count > widest) widest = node->input_count;
    }
    return widest;
}

psal_graph *psal_graph_rewrite(const psal_graph *graph, const psal_plan_options *options, psal_node *made,
                               psal_error *err) {
    const int nodes = psal_graph_node_count(graph);
    bool *is_output = calloc((size_t)nodes + 1, sizeof *is_output), *needed = calloc((size_t)nodes + 1, sizeof *needed);
    psal_rewriting r = {
        .from = graph, .to = psal_graph_new(), .made = made, .is_output = is_output, .conv = options->conv};
    psal_node *inputs = NULL;
    psal_status status = PSAL_ERR_MEMORY;
    if (!is_output || !needed || !r.to) goto done;
    inputs = malloc(((size_t)mark_needed(graph, options, is_output, needed) + 1) * sizeof *inputs);
    if (!inputs || psal_readers_find(&r.readers, graph, needed, NULL) != PSAL_OK) goto done;
    for (psal_node n = 0; n < nodes; n++) made[n] = PSAL_NO_NODE;
    for (psal_node n = 0; n < nodes; n++) {
        if (!needed[n]) continue;
        psal_graph_share_layer(r.to, psal_graph_layer(graph, n));
        made[n] = apply_rules(&r, n, options->without_rewrites);
        if (made[n] == PSAL_NO_NODE) made[n] = copy(&r, n, inputs);
    }
    status = psal_graph_check(r.to, err);
done:
    free(is_output);
    free(needed);
    free(inputs);
    psal_readers_free(&r.readers);
    if (status == PSAL_OK) return r.to;
    if (!r.to || psal_graph_check(r.to, err) == PSAL_OK)
        psal_fail(err, status, "out of memory for a plan of %d nodes", nodes);
    psal_graph_free(r.to);
    return NULL;
}
