/* plan.h - running a graph: which nodes, in which order, in which memory.
 *
 * A plan is made once: it picks the nodes that the wanted outputs need, orders them, and lays all intermediate values
 * out in one arena by their lifetimes, so that running allocates nothing and the memory is known beforehand. Workspaces
 * hold that arena, one per thread of a data-set run; they share the plan and the parameters. */
#ifndef PSAL_ENGINE_PLAN_H
#define PSAL_ENGINE_PLAN_H

#include <stddef.h>

#include "engine/graph.h"
#include "engine/kernels/conv2d/conv2d.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_plan psal_plan;
typedef struct psal_workspace psal_workspace;

#define PSAL_MAX_STAGES 4

/* What a plan makes of its graph first (engine/rewrite_rules.c) */
enum {
    PSAL_REWRITE_FILTER_MEAN = 1 << 0, /* the mean over each filter of a convolution's gradient, which is not stored */
    PSAL_REWRITE_TERNARY_FILTERS = 1 << 1,     /* ternary filters (-1, 0, 1) have convolutions of their own */
    PSAL_REWRITE_ADJACENT_PARTS = 1 << 2,      /* the sum of parts of a tensor side by side is their concatenation */
    PSAL_REWRITE_MAXIMUM_BEFORE_RELU = 1 << 3, /* of max pooling a ReLU, the ReLU is done last */
    PSAL_REWRITE_ALL = ~0
};

typedef struct psal_plan_options {
    /* The outputs wanted, by stage. psal_workspace_run(ws, 0) computes stage 0, then (ws, 1) continues: later stages
     * may use inputs that were set after the earlier ones ran. At least one stage with one output. All outputs stay
     * readable until stage 0 runs again. */
    const psal_node *outputs[PSAL_MAX_STAGES];
    int output_count[PSAL_MAX_STAGES];
    int stages;
    int threads;               /* inside the operations of one workspace; 0 means 1 */
    size_t memory_limit;       /* bytes of one workspace; 0: no limit. Exceeding it is an error naming both numbers */
    psal_conv2d_settings conv; /* which convolution algorithms */
    /* Workspaces will run a few times only: their memory is made beforehand by all threads, and in small pages where
     * large ones take long to get. */
    bool few_runs;
    /* Rewrites of the graph to leave out, which change values by rounding at most. */
    unsigned without_rewrites;
    /* Less memory: pooled values, which are made again in 1 to 2 % of a run, are not kept between their readers. */
    bool lean;
} psal_plan_options;

psal_plan *psal_plan_new(const psal_graph *graph, const psal_plan_options *options, psal_error *err);
void psal_plan_free(psal_plan *plan); /* after its workspaces; the graph must outlive it; NULL is fine */

/* The values of a parameter, which must stay valid and unchanged while workspaces run; not copied. */
psal_status psal_plan_bind(psal_plan *plan, psal_node parameter, const psal_real *values, psal_error *err);

size_t psal_plan_memory(const psal_plan *plan); /* bytes that each workspace allocates */
/* Whether running the plan takes the values of `leaf`, an input or a parameter. */
bool psal_plan_reads(const psal_plan *plan, psal_node leaf);

psal_workspace *psal_workspace_new(const psal_plan *plan, psal_error *err);
/* The same in the caller's memory: psal_plan_memory bytes, aligned to 64, that outlive the workspace. Several
 * workspaces may have the same memory when one at a time is in use: running one makes the others' values invalid. */
psal_workspace *psal_workspace_new_in(const psal_plan *plan, void *memory, psal_error *err);
/* Memory that suits it: large pages where the system has them, so fewer of them to be made. Freed with free; NULL when
 * there is none. */
void *psal_workspace_memory(size_t bytes);
void psal_workspace_free(psal_workspace *workspace); /* NULL is fine */

/* Point an input (or, for this workspace alone, a parameter: a pruned or fine-tuned variant) at the caller's values;
 * not copied; must stay valid until the run is over. NULL for a parameter goes back to the plan's binding. */
psal_status psal_workspace_set(psal_workspace *workspace, psal_node node, const psal_real *values, psal_error *err);

/* Let an output be written to the caller's memory, [psal_shape_count] values; NULL: the workspace's own again. What is
 * another value under another shape (a reshaped one) is copied there. Refused for inputs and parameters. */
psal_status psal_workspace_place(psal_workspace *workspace, psal_node output, psal_real *memory, psal_error *err);

/* A channel that is switched off: in every run, what `node` [batch, channels, ...] gives for it becomes 0 before anyone
 * reads it. For what a convolution, a normalisation or an addition per channel gives; others may lie in the memory of
 * what they are made of, or have been rewritten. */
typedef struct psal_silence {
    psal_node node;
    int64_t image, channel;
} psal_silence;

/* Switch these channels off, and no others; the list is not copied and must stay valid while the workspace runs. */
void psal_workspace_silence(psal_workspace *workspace, const psal_silence *list, size_t count);

/* Run one stage. Fails when an input or parameter it needs is not bound, or when stages are run out of order. */
psal_status psal_workspace_run(psal_workspace *workspace, int stage, psal_error *err);

/* The values of an output, valid until stage 0 runs again; NULL when `node` was not wanted as an output. */
const psal_real *psal_workspace_get(const psal_workspace *workspace, psal_node node);

/* ---- where the time goes ---- */
typedef struct psal_timing {
    const char *op;        /* "conv2d_dw" */
    const char *layer;     /* "layer1.0.conv2" */
    const char *algorithm; /* of a convolution ("winograd_f4x4", ...), valid as long as the plan; else NULL */
    psal_shape shape;      /* of the result */
    double seconds;        /* summed over runs; 0 where the step before did it in the same pass */
    double flops;          /* of the definition (2 per multiply-add), summed over runs; 0 where not counted */
    int stage;
} psal_timing;

void psal_workspace_profile(psal_workspace *workspace, bool on); /* starts at zero; costs two clock reads a node */
/* Fill timings[psal_workspace_timing_count], one per scheduled node in running order. */
int psal_workspace_timing_count(const psal_workspace *workspace);
void psal_workspace_timings(const psal_workspace *workspace, psal_timing *timings);

#ifdef __cplusplus
}
#endif

#endif
