/* op_elementwise.h - what elementwise operations are written with (internal to engine/op_*.c): each needs a kernel
 * psal_kernel_NAME and a rule NAME_gradient. */
#ifndef PSAL_ENGINE_OP_ELEMENTWISE_H
#define PSAL_ENGINE_OP_ELEMENTWISE_H

#include "engine/op.h"

/* All inputs have one shape, which is the result's. */
void psal_infer_same_shape(psal_graph *graph, psal_node_record *node);

static inline psal_node input_of(const psal_graph *graph, psal_node node, int i) {
    return psal_graph_node(graph, node)->inputs[i];
}

/* Builder, kernel call and check case of y = f(x) */
#define UNARY(name, KIND)                                                     \
    psal_node psal_##name(psal_graph *graph, psal_node x) {                   \
        return psal_graph_add(graph, PSAL_OP_##KIND, &x, 1, NULL);            \
    }                                                                         \
    static void name##_run(const psal_op_call *c, size_t begin, size_t end) { \
        psal_kernel_##name(end - begin, c->in[0] + begin, c->out + begin);    \
    }                                                                         \
    static psal_node name##_case(psal_graph *g, const psal_node *in) {        \
        return psal_##name(g, in[0]);                                         \
    }

/* and of y = f(a, b) */
#define BINARY(name, KIND)                                                                   \
    psal_node psal_##name(psal_graph *graph, psal_node a, psal_node b) {                     \
        return psal_graph_add(graph, PSAL_OP_##KIND, (psal_node[]){a, b}, 2, NULL);          \
    }                                                                                        \
    static void name##_run(const psal_op_call *c, size_t begin, size_t end) {                \
        psal_kernel_##name(end - begin, c->in[0] + begin, c->in[1] + begin, c->out + begin); \
    }                                                                                        \
    static psal_node name##_case(psal_graph *g, const psal_node *in) {                       \
        return psal_##name(g, in[0], in[1]);                                                 \
    }

/* The row of the table */
#define UNARY_ROW(name, cases_array)                                \
    const psal_op psal_op_##name = {.inputs = 1,                    \
                                    .infer = psal_infer_same_shape, \
                                    .run_elements = name##_run,     \
                                    .gradient = name##_gradient,    \
                                    .in_place = 1,                  \
                                    PSAL_CASES(cases_array)}

#define BINARY_ROW(name, cases_array)                               \
    const psal_op psal_op_##name = {.inputs = 2,                    \
                                    .infer = psal_infer_same_shape, \
                                    .run_elements = name##_run,     \
                                    .gradient = name##_gradient,    \
                                    .in_place = 3,                  \
                                    PSAL_CASES(cases_array)}

/* An input of a check case */
#define ELEMENTS(kind) \
    { {2, {3, 4}}, kind, 0 }

#endif
