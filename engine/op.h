/* op.h - the operation table (internal to engine/).
 *
 * To add an operation: write one `const psal_op psal_op_NAME` beside its family in engine/op_FAMILY.c (shape rule,
 * kernel call, gradient rule, check cases) and add one row X(NAME, name) to PSAL_OPS below. The enum, the table and the
 * names come from that list, the planner, the printer and the gradient checker read the table; nothing else needs to
 * know. What is done for single operations because it is faster is in the rewrites and the plan's passes
 * (rewrite_rules.c, plan_*.c). */
#ifndef PSAL_ENGINE_OP_H
#define PSAL_ENGINE_OP_H

#include "engine/graph.h"
#include "engine/kernels/channel.h"
#include "engine/kernels/conv2d/conv2d.h"
#include "engine/kernels/parallel.h"
#include "engine/kernels/pool2d.h"
#include "engine/receptive_field.h"

#define PSAL_OPS(X)                                           \
    X(INPUT, input)                                           \
    X(PARAMETER, parameter)                                   \
    X(CONSTANT, constant)                                     \
    X(FILL, fill)                                             \
    X(CONV2D, conv2d)                                         \
    X(CONV2D_DY, conv2d_dy)                                   \
    X(CONV2D_DX, conv2d_dx)                                   \
    X(CONV2D_DW, conv2d_dw)                                   \
    X(CONV2D_DW_MEAN, conv2d_dw_mean)                         \
    X(CONV2D_TERNARY, conv2d_ternary)                         \
    X(CONV2D_TERNARY_DX, conv2d_ternary_dx)                   \
    X(MATMUL, matmul)                                         \
    X(ADD, add)                                               \
    X(SUB, sub)                                               \
    X(MUL, mul)                                               \
    X(DIV, div)                                               \
    X(SCALE, scale)                                           \
    X(SQRT, sqrt)                                             \
    X(RSQRT, rsqrt)                                           \
    X(ABS, abs)                                               \
    X(SIGN, sign)                                             \
    X(RELU, relu)                                             \
    X(RELU_MASK, relu_mask)                                   \
    X(EXP, exp)                                               \
    X(LOG, log)                                               \
    X(POW, pow)                                               \
    X(SIGMOID, sigmoid)                                       \
    X(TANH, tanh)                                             \
    X(ERF, erf)                                               \
    X(SHIFT, shift)                                           \
    X(CLIP, clip)                                             \
    X(CLIP_MASK, clip_mask)                                   \
    X(EXPAND, expand)                                         \
    X(SUM_TO, sum_to)                                         \
    X(PERMUTE, permute)                                       \
    X(GATHER, gather)                                         \
    X(SCATTER, scatter)                                       \
    X(CHANNEL_AFFINE, channel_affine)                         \
    X(BATCH_NORM, batch_norm)                                 \
    X(CHANNEL_MUL, channel_mul)                               \
    X(CHANNEL_ADD, channel_add)                               \
    X(CHANNEL_SUM, channel_sum)                               \
    X(CHANNEL_SPREAD, channel_spread)                         \
    X(MAX_POOL2D_INDEX, max_pool2d_index)                     \
    X(POOL_GATHER, pool_gather)                               \
    X(POOL_SCATTER, pool_scatter)                             \
    X(AVG_POOL2D, avg_pool2d)                                 \
    X(AVG_POOL2D_SPREAD, avg_pool2d_spread)                   \
    X(ADAPTIVE_AVG_POOL2D, adaptive_avg_pool2d)               \
    X(ADAPTIVE_AVG_POOL2D_SPREAD, adaptive_avg_pool2d_spread) \
    X(CONCAT, concat)                                         \
    X(SLICE, slice)                                           \
    X(UNSLICE, unslice)                                       \
    X(RESHAPE, reshape)                                       \
    X(SOFTMAX, softmax)                                       \
    X(ROW_NORMALIZE, row_normalize)                           \
    X(RSQRT_VARIANCE, rsqrt_variance)                         \
    X(SOFTMAX_RESIDUAL, softmax_residual)                     \
    X(SOFTMAX_JACOBIAN, softmax_jacobian)                     \
    X(CROSS_ENTROPY, cross_entropy)                           \
    X(ONE_HOT, one_hot)                                       \
    X(ROW_SUM, row_sum)                                       \
    X(ROW_SPREAD, row_spread)                                 \
    X(SUM, sum)                                               \
    X(SPREAD, spread)                                         \
    X(GROUP_MEAN_ABS, group_mean_abs)                         \
    X(GROUP_MEAN, group_mean)                                 \
    X(GROUP_SPREAD, group_spread)                             \
    X(TERNARY_CODES, ternary_codes)                           \
    X(GROUP_TERNARY_SPREAD, group_ternary_spread)             \
    X(GROUP_TERNARY_MEAN, group_ternary_mean)

typedef enum psal_op_kind {
#define X(KIND, name) PSAL_OP_##KIND,
    PSAL_OPS(X)
#undef X
        PSAL_OP_COUNT
} psal_op_kind;

/* What an operation knows besides its inputs; which member is meant follows from the operation. */
typedef union psal_attributes {
    psal_conv2d_shape conv2d; /* complete; also when the node is an adjoint */
    struct {
        psal_conv2d_shape conv2d;
        bool is_signed;
    } conv2d_mean;
    psal_pool2d_shape pool2d;
    struct {
        bool transpose_a, transpose_b;
        int64_t batch, rows, inner, columns;
    } matmul;
    struct {
        int axis;
        int64_t offset, total; /* total: length of the whole axis (unslice, scatter) */
    } slice;
    struct {
        int axes[PSAL_MAX_DIMS];
    } permute;
    struct {
        /* scale: the factor; shift: what is added; pow: the exponent; rsqrt, batch_norm, row_normalize: epsilon */
        double value;
    } number;
    struct {
        double low, high;
        bool closed; /* whether the derivative at a bound is 1 */
    } clip;
    struct {
        psal_shape shape; /* where the inputs do not tell it: fill, reshape, expand, sum_to, ..._spread */
        double value;     /* fill */
    } result;
    struct {
        int64_t groups;
    } group;
    struct {
        int classes;
    } one_hot;
} psal_attributes;

typedef struct psal_node_record {
    psal_op_kind op;
    int input_count;
    const psal_node *inputs; /* in the graph's arena */
    psal_shape shape;
    psal_attributes attr;
    const char *layer;       /* in the arena, never NULL */
    const char *name;        /* of an input or parameter, else NULL */
    const psal_real *values; /* of a constant, else NULL */
} psal_node_record;

/* One evaluation: everything a kernel call can need. */
typedef struct psal_op_call {
    const psal_node_record *node;
    const psal_shape *const *in_shapes;
    const psal_real *const *in;
    psal_real *out;
    psal_real *also; /* NULL, or where a second result goes that the kernel makes on the way (plan_fuse.c) */
    const psal_convolution *convolution; /* NULL, or what prepare chose */
    psal_parallel parallel;
} psal_op_call;

/* What is made once, with the plan */
typedef struct psal_prepared {
    size_t scratch;                /* bytes that run needs */
    psal_convolution *convolution; /* of a convolution: its algorithm, which the plan frees */
} psal_prepared;

/* ---- check cases: what the gradient checker feeds each operation ---- */
typedef enum psal_case_values {
    PSAL_VALUES_NORMAL,   /* any number; differentiated */
    PSAL_VALUES_POSITIVE, /* in [0.5, 2]; differentiated */
    PSAL_VALUES_NONZERO,  /* |v| in [0.3, 1.5]: away from the kink at 0; differentiated */
    PSAL_VALUES_DISTINCT, /* any two at least 0.01 apart, so that no maximum is a near-tie; differentiated */
    PSAL_VALUES_CLASSES,  /* whole numbers 0 .. limit-1; not differentiated */
    PSAL_VALUES_FIXED     /* any number, but the derivative in it is not asked for (beside a constant) */
} psal_case_values;

typedef struct psal_case_input {
    psal_shape shape;
    psal_case_values values;
    int limit;
} psal_case_input;

typedef struct psal_op_case {
    const char *name;
    psal_node (*build)(psal_graph *graph, const psal_node *inputs);
    int input_count;
    psal_case_input inputs[4];
    bool zero_gradient; /* every derivative is zero by definition; otherwise an all-zero gradient fails */
} psal_op_case;

enum { PSAL_VARIADIC = -1, PSAL_MAX_INPUTS = 5 /* of an operation with run_elements */ };

typedef struct psal_op {
    int inputs; /* how many, or PSAL_VARIADIC */
    /* Check the inputs and node->attr, complete them and set node->shape; errors through psal_graph_fail. */
    void (*infer)(psal_graph *graph, psal_node_record *node);
    /* Compute call->out. At most one of the two; none: nothing to run (leaves; views). run_elements computes the
     * elements [begin, end), in the calling thread. These depend on the same elements of the inputs that in_place names
     * and on the other inputs as a whole: several such operations on one value are done piece by piece, while a piece
     * is in the cache, by all threads. */
    void (*run)(const psal_op_call *call);
    void (*run_elements)(const psal_op_call *call, size_t begin, size_t end);
    /* NULL, or: everything that follows from the node alone, once for a plan; run then only runs. *prepared is
     * zeroed. */
    psal_status (*prepare)(const psal_node_record *node, psal_conv2d_settings conv, int threads,
                           psal_prepared *prepared, psal_error *err);
    /* dx[i] = derivative in input i of <out, dy>, for each i with wanted[i]; PSAL_NO_NODE means zero. May only use
     * operations that have a rule themselves. NULL: zero almost everywhere or not a number; then say why: */
    void (*gradient)(psal_graph *graph, psal_node node, psal_node dy, const bool *wanted, psal_node *dx);
    const char *not_differentiable;                /* the reason, exactly when gradient is NULL */
    double (*flops)(const psal_node_record *node); /* NULL: not counted */
    /* Narrow *in, all of input `input`, to what the part `out` of the result is computed from (receptive_field.h).
     * NULL: with run_elements the same elements of the inputs that in_place names; all of every other input. */
    void (*reach)(const psal_graph *graph, const psal_node_record *node, int input, const psal_box *out, psal_box *in);
    unsigned in_place; /* bit i: out may share the memory of input i (same size, read before written) */
    bool is_view;      /* out is input 0's memory under another shape */
    const psal_op_case *cases;
    int case_count;
} psal_op;

#define X(KIND, name) extern const psal_op psal_op_##name;
PSAL_OPS(X)
#undef X

const psal_op *psal_op_get(psal_op_kind kind);
const char *psal_op_kind_name(psal_op_kind kind);

/* PSAL_SHAPE for initializers of tables */
#define PSAL_DIMS(...)                                               \
    {                                                                \
        (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), { \
            __VA_ARGS__                                              \
        }                                                            \
    }

#define PSAL_CASES(array) .cases = (array), .case_count = (int)(sizeof(array) / sizeof((array)[0]))

/* ---- for builders and gradient rules ---- */
const psal_node_record *psal_graph_node(const psal_graph *graph, psal_node node);
/* Append a node of `op`; attr may be NULL. The one door through which nodes enter. */
psal_node psal_graph_add(psal_graph *graph, psal_op_kind op, const psal_node *inputs, int count,
                         const psal_attributes *attr);
/* Whether `node`, input `input` of an `op` to be made, exists; else the graph fails as psal_graph_add would. For
 * builders that look at a shape before they add. */
bool psal_graph_has(psal_graph *graph, psal_op_kind op, int input, psal_node node);
/* Shape of input i of a node being inferred. */
const psal_shape *psal_graph_input_shape(const psal_graph *graph, const psal_node_record *node, int input);
const char *psal_graph_current_layer(const psal_graph *graph);
/* How many numbers hold the ternary codes of x (psal_ternary_codes). */
int64_t psal_ternary_code_count(const psal_shape *x);

/* ---- for who makes one graph from another, which outlives it: names, layers and constants are not copied ---- */
/* Append a node as it is there, with these inputs. */
psal_node psal_graph_copy(psal_graph *graph, const psal_node_record *original, const psal_node *inputs);
/* psal_graph_set_layer */
void psal_graph_share_layer(psal_graph *graph, const char *layer);

#endif
