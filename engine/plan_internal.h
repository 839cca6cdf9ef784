/* plan_internal.h - what the passes of a plan (plan_*.c) decide, one after the other, and workspace.c runs. */
#ifndef PSAL_ENGINE_PLAN_INTERNAL_H
#define PSAL_ENGINE_PLAN_INTERNAL_H

#include "engine/op.h"
#include "engine/plan.h"

enum {
    PSAL_ALIGNMENT = 64,
    PSAL_MAX_PASS = 8 /* steps in one pass over the values */
};

typedef struct psal_plan_step {
    psal_node node;
    int stage;
    size_t offset;  /* of the result: bytes from the arena's start; SIZE_MAX: a view, without memory of its own */
    size_t scratch; /* where its scratch memory begins, behind everything that is needed then */
    psal_prepared prepared; /* what its operation made once */
    int follow;             /* how many of the next steps are in the same pass (plan_fuse.c) */
} psal_plan_step;

struct psal_plan {
    const psal_graph *source; /* the caller's: its nodes are what functions of plan.h are asked about */
    psal_node *made;          /* per node of the source: the plan's node with its value; PSAL_NO_NODE: none */
    psal_graph *graph;        /* the plan's own, rewritten (rewrite.h): all below is about its nodes */
    int nodes;
    int threads, stages;
    bool few_runs, lean;
    psal_conv2d_settings conv;
    psal_plan_step *steps; /* in running order, stage by stage */
    int step_count;
    int stage_begin[PSAL_MAX_STAGES + 1]; /* steps of stage s: [stage_begin[s], stage_begin[s+1]) */
    int *stage_of;                        /* per node: the first stage that runs it, or -1 */
    bool *is_output;                      /* per node */
    size_t *offset;          /* per node: that of its step (its last, if it is recomputed); SIZE_MAX: none */
    const psal_real **bound; /* per parameter node */
    size_t memory;           /* bytes of the arena */
};

/* The plan's node that has the value of the caller's node n; PSAL_NO_NODE: none, or not a node. */
static inline psal_node psal_plan_node(const psal_plan *plan, psal_node n) {
    return n >= 0 && n < psal_graph_node_count(plan->source) ? plan->made[n] : PSAL_NO_NODE;
}

/* Fill in the steps, and for each node the first stage that runs it. */
psal_status psal_plan_schedule(psal_plan *plan, const psal_plan_options *options, psal_error *err);
/* Make steps that can be one pass neighbours. */
void psal_plan_gather_passes(psal_plan *plan);
/* Fill in each step's offsets of its result and its scratch memory, and the plan's memory. */
psal_status psal_plan_lay_out(psal_plan *plan, psal_error *err);
/* Fill in how many steps follow each in its pass. */
void psal_plan_join_steps(psal_plan *plan);

static inline const psal_node_record *psal_plan_record(const psal_plan *plan, int step) {
    return psal_graph_node(plan->graph, plan->steps[step].node);
}

static inline bool psal_plan_is_leaf(const psal_node_record *node) {
    return node->op == PSAL_OP_INPUT || node->op == PSAL_OP_PARAMETER || node->op == PSAL_OP_CONSTANT;
}

/* Bytes of a node's value, in whole cache lines */
static inline size_t psal_plan_bytes(const psal_node_record *node) {
    const size_t bytes = (size_t)psal_shape_count(&node->shape) * sizeof(psal_real);
    return (bytes + PSAL_ALIGNMENT - 1) / PSAL_ALIGNMENT * PSAL_ALIGNMENT;
}

#endif
