/* Reverse-mode differentiation by appending nodes: gradients are ordinary nodes, so they can be differentiated
 * again. */
#include <stdlib.h>
#include <string.h>

#include "engine/op.h"

/* dependent[i]: node i depends on some wrt node through differentiable operations. */
static void mark_dependent(const psal_graph *graph, psal_node last, const psal_node *wrt, int count, bool *dependent) {
    for (int i = 0; i < count; i++)
        if (wrt[i] <= last) dependent[wrt[i]] = true;
    for (psal_node n = 0; n <= last; n++) {
        const psal_node_record *node = psal_graph_node(graph, n);
        if (dependent[n] || !psal_op_get(node->op)->gradient) continue;
        for (int i = 0; i < node->input_count && !dependent[n]; i++) dependent[n] = dependent[node->inputs[i]];
    }
}

void psal_gradient(psal_graph *graph, psal_node of, const psal_node *wrt, int count, psal_node *gradients) {
    for (int i = 0; i < count; i++) gradients[i] = PSAL_NO_NODE;
    if (psal_graph_check(graph, NULL) != PSAL_OK) return;
    int nodes = psal_graph_node_count(graph);
    if (of < 0 || of >= nodes) {
        psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "gradient of something that is not a node of this graph");
        return;
    }
    int widest = 1;
    for (psal_node n = 0; n <= of; n++) {
        int inputs = psal_graph_node(graph, n)->input_count;
        if (inputs > widest) widest = inputs;
    }
    for (int i = 0; i < count; i++)
        if (wrt[i] < 0 || wrt[i] >= nodes) {
            psal_graph_fail(graph, PSAL_ERR_ARGUMENT,
                            "gradient with respect to something that is not a node of this graph");
            return;
        }
    bool *dependent = calloc((size_t)nodes, sizeof *dependent);
    psal_node *adjoint = malloc((size_t)nodes * sizeof *adjoint);
    bool *wanted = malloc((size_t)widest * sizeof *wanted);
    psal_node *dx = malloc((size_t)widest * sizeof *dx);
    char *layer = strdup(psal_graph_current_layer(graph));
    if (!dependent || !adjoint || !wanted || !dx || !layer) {
        psal_graph_fail(graph, PSAL_ERR_MEMORY, "out of memory while differentiating %d nodes", nodes);
        goto done;
    }
    for (int i = 0; i < nodes; i++) adjoint[i] = PSAL_NO_NODE;
    mark_dependent(graph, of, wrt, count, dependent);

    adjoint[of] = psal_constant_fill(graph, 1, *psal_graph_shape(graph, of));
    for (psal_node n = of; n >= 0; n--) {
        if (adjoint[n] == PSAL_NO_NODE || !dependent[n]) continue;
        /* A copy: appending nodes may move the records. The input list itself stays where it is. */
        const psal_node_record node = *psal_graph_node(graph, n);
        const psal_op *op = psal_op_get(node.op);
        if (!op->gradient) continue;
        bool any = false;
        for (int i = 0; i < node.input_count; i++) {
            wanted[i] = dependent[node.inputs[i]];
            any |= wanted[i];
            dx[i] = PSAL_NO_NODE;
        }
        if (!any) continue;
        psal_graph_set_layer(graph, node.layer);
        op->gradient(graph, n, adjoint[n], wanted, dx);
        for (int i = 0; i < node.input_count; i++) {
            if (!wanted[i] || dx[i] == PSAL_NO_NODE) continue;
            psal_node *sum = &adjoint[node.inputs[i]];
            *sum = *sum == PSAL_NO_NODE ? dx[i] : psal_add(graph, *sum, dx[i]);
        }
    }
    psal_graph_set_layer(graph, layer);
    for (int i = 0; i < count; i++) {
        gradients[i] = wrt[i] <= of ? adjoint[wrt[i]] : PSAL_NO_NODE;
        if (gradients[i] == PSAL_NO_NODE) gradients[i] = psal_constant_fill(graph, 0, *psal_graph_shape(graph, wrt[i]));
    }
done:
    free(dependent);
    free(adjoint);
    free(wanted);
    free(dx);
    free(layer);
}
