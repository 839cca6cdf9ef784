/* readers.h - the readers of each node of a graph (internal to engine/). */
#ifndef PSAL_ENGINE_READERS_H
#define PSAL_ENGINE_READERS_H

#include "engine/graph.h"

/* The readers of node n are list[begin[n]] .. list[begin[n + 1] - 1], in the order of the graph; one that reads it
 * twice is there twice. */
typedef struct psal_readers {
    int *begin;
    psal_node *list;
} psal_readers;

/* Only readers n with among[n]. Free with psal_readers_free, also after an error. */
psal_status psal_readers_find(psal_readers *readers, const psal_graph *graph, const bool *among, psal_error *err);
void psal_readers_free(psal_readers *readers);

#endif
