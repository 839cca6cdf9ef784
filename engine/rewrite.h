/* rewrite.h - rewrites of a graph, after differentiation and before the schedule (internal to engine/).
 *
 * A network and its gradient rules say what is computed. A rewrite replaces a pattern of a few nodes by others that
 * give the same values faster; only here may such a choice depend on the method or the processor. A plan rewrites the
 * graph that it is given into one of its own:
 *
 *     x  dy   ->  conv2d_dw  ->  group_mean_abs        becomes        x  dy   ->  conv2d_dw_mean
 *
 * Nodes keep their order. Nodes that nobody reads any more stay in the graph and never run.
 *
 * To add one: a function in rewrite_rules.c with its pattern in the comment, a bit for
 * psal_plan_options.without_rewrites (plan.h), a row in the table there, and its graphs before and after in
 * tests/unit/engine/test_rewrite.c. */
#ifndef PSAL_ENGINE_REWRITE_H
#define PSAL_ENGINE_REWRITE_H

#include "engine/op.h"
#include "engine/plan.h"
#include "engine/readers.h"

typedef struct psal_rewriting {
    const psal_graph *from;
    psal_graph *to;
    /* per node of `from`: the node of `to` with its value; PSAL_NO_NODE: not needed, or not yet there */
    const psal_node *made;
    const bool *is_output; /* per node of `from` */
    psal_readers readers;  /* of the nodes of `from`: the needed ones */
    psal_conv2d_settings conv;
} psal_rewriting;

/* The node of `to` that replaces node n of `from`, whose inputs are in `to` already; PSAL_NO_NODE: the pattern does not
 * match, n is copied. New nodes belong to n's layer, unless the rewrite sets another. */
typedef psal_node (*psal_rewrite)(const psal_rewriting *rewriting, psal_node n);

/* The first that matches is applied. */
extern const struct psal_rewrite_rule {
    unsigned bit; /* in psal_plan_options.without_rewrites */
    psal_rewrite apply;
} psal_rewrite_rules[];
extern const int psal_rewrite_rule_count;

/* The rewritten part of `graph` that options->outputs need; fills in made[nodes of graph]. `graph` must outlive the
 * result. NULL when out of memory. */
psal_graph *psal_graph_rewrite(const psal_graph *graph, const psal_plan_options *options, psal_node *made,
                               psal_error *err);

/* ---- for the rules ---- */

/* Whether `n` is read by one node, once, and is no output */
static inline bool psal_rewrite_read_once(const psal_rewriting *rewriting, psal_node n) {
    return !rewriting->is_output[n] && rewriting->readers.begin[n + 1] - rewriting->readers.begin[n] == 1;
}
static inline const psal_node_record *psal_rewrite_node(const psal_rewriting *rewriting, psal_node n) {
    return psal_graph_node(rewriting->from, n);
}

#endif
