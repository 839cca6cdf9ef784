#include "engine/readers.h"

#include <stdlib.h>

#include "engine/op.h"

psal_status psal_readers_find(psal_readers *r, const psal_graph *graph, const bool *among, psal_error *err) {
    const int nodes = psal_graph_node_count(graph);
    r->list = NULL;
    r->begin = calloc((size_t)nodes + 2, sizeof *r->begin);
    if (!r->begin) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the readers of %d nodes", nodes);
    /* First begin[k + 2] counts the readers of k. Then begin[k + 1] is where the next reader of k goes, and in the end
     * where those of k + 1 begin. */
    for (psal_node n = 0; n < nodes; n++) {
        const psal_node_record *node = psal_graph_node(graph, n);
        for (int i = 0; among[n] && i < node->input_count; i++) r->begin[node->inputs[i] + 2]++;
    }
    for (int k = 2; k < nodes + 2; k++) r->begin[k] += r->begin[k - 1];
    r->list = malloc(((size_t)r->begin[nodes + 1] + 1) * sizeof *r->list);
    if (!r->list) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the readers of %d nodes", nodes);
    for (psal_node n = 0; n < nodes; n++) {
        const psal_node_record *node = psal_graph_node(graph, n);
        for (int i = 0; among[n] && i < node->input_count; i++) r->list[r->begin[node->inputs[i] + 1]++] = n;
    }
    return PSAL_OK;
}

void psal_readers_free(psal_readers *r) {
    free(r->begin);
    free(r->list);
}
