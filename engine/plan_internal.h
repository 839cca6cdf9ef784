/* plan_internal.h - what plan.c decides and workspace.c runs. */
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
    int follow;     /* so many of the next steps can be done in the same pass (psal_op.run_elements, .also) */
} psal_plan_step;

struct psal_plan {
    const psal_graph *graph;
    int nodes;
    int threads, stages;
    bool brief, lean;
    psal_conv2d_method methods[PSAL_MAX_STAGES];
    psal_plan_step *steps; /* in running order, stage by stage */
    int step_count;
    int stage_begin[PSAL_MAX_STAGES + 1]; /* steps of stage s: [stage_begin[s], stage_begin[s+1]) */
    int *stage_of;                        /* per node: the first stage that runs it, or -1 */
    bool *is_output;                      /* per node */
    size_t *offset;          /* per node: that of its step (its last, if it is recomputed); SIZE_MAX: none */
    const psal_real **bound; /* per parameter node */
    size_t memory;           /* bytes of the arena */
};

#endif
