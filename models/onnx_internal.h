/* onnx_internal.h - what operators see while they are built, and their table (internal to models/onnx*.c). */
#ifndef PSAL_MODELS_ONNX_INTERNAL_H
#define PSAL_MODELS_ONNX_INTERNAL_H

#include "engine/description.h"
#include "models/builder.h"

/* Numbers that are known while the graph is built: integers (booleans too) or floating-point numbers, never both. */
typedef struct onnx_constant {
    psal_shape shape;
    int64_t *integers;
    double *numbers;
} onnx_constant;

/* A value in this graph: a node, or a constant and, once somebody asked for it, its node; neither before it is
 * made. */
typedef struct onnx_value {
    psal_node node;
    const onnx_constant *constant;
} onnx_value;

typedef struct onnx_run {
    net *n;
    psal_graph *graph;
    const psal_description *d;
    onnx_value *values;        /* [value_count] */
    const psal_operator *o;    /* the one at hand */
    int64_t file_batch, batch; /* images at a time in the file (-1: any) and in this graph */
    void **blocks;             /* memory of the constants */
    size_t block_count, elements;
} onnx_run;

/* What psal knows of an operator. Inputs are numbered by bits. */
typedef struct onnx_operator {
    const char *type;
    const char *attributes;     /* the known ones, between blanks: " axis perm " */
    unsigned weights;           /* inputs whose tensors are parameters wherever they are kept */
    unsigned operands;          /* inputs whose tensors are parameters if they are initializers */
    unsigned buffers;           /* inputs that are statistics */
    void (*build)(onnx_run *r); /* makes nodes */
    /* What it is of constants only; NULL: nodes are made of them. False: it is not, make nodes. */
    bool (*fold)(onnx_run *r);
} onnx_operator;

/* NULL when psal has none for it. */
const onnx_operator *onnx_find_operator(const psal_operator *o);

/* ---- onnx_run.c: for operators ---- */

/* Record an error that names the operator at hand. */
void onnx_fail(onnx_run *r, psal_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool onnx_failed(const onnx_run *r);
/* Whether the operator at hand is of this type. */
bool onnx_is(const onnx_run *r, const char *type);
/* "node 'NAME' (TYPE)" */
void onnx_title(const psal_operator *o, char text[300]);

const psal_attribute *onnx_attribute(const psal_operator *o, const char *name); /* NULL: not there */
int64_t onnx_int(onnx_run *r, const char *name, int64_t otherwise);
double onnx_float(onnx_run *r, const char *name, double otherwise);
/* The list in values[count], or `otherwise` in all of them. */
void onnx_ints(onnx_run *r, const char *name, int64_t *values, int count, int64_t otherwise);

bool onnx_has_input(const onnx_run *r, size_t i);
/* Input i as a node (of a constant: a constant node), and its shape. */
psal_node onnx_input(onnx_run *r, size_t i);
const psal_shape *onnx_shape(const onnx_run *r, psal_node node);
/* Input i as a node with between `fewest` and `most` dimensions; PSAL_NO_NODE after an error. */
psal_node onnx_input_of(onnx_run *r, size_t i, int fewest, int most);
/* Input i where it is constant; NULL otherwise. */
const onnx_constant *onnx_constant_input(const onnx_run *r, size_t i);
/* Input i as whole numbers, which must be constant: *count of them. NULL after an error. */
const int64_t *onnx_integers(onnx_run *r, size_t i, int64_t *count);
/* Attribute or input of this name, as operators have it before and since some version; NULL where it is neither there
 * (*count is 0) or after an error. */
const int64_t *onnx_integers_of(onnx_run *r, const char *attribute, size_t i, int64_t *count);
/* The only number of a constant; false when it has several. */
bool onnx_scalar(const onnx_constant *c, double *value);

void onnx_output(onnx_run *r, size_t i, psal_node node);
void onnx_output_constant(onnx_run *r, size_t i, const onnx_constant *constant);
/* A constant to be filled, zeroed; NULL after an error. */
onnx_constant *onnx_new_constant(onnx_run *r, bool integer, const psal_shape *shape);
/* An axis from -ndim to ndim - 1, made to start from 0; -1 after an error. */
int onnx_axis(onnx_run *r, int64_t axis, int ndim);
/* A position from -length to length - 1, made to start from 0; -1 after an error. */
int64_t onnx_index(onnx_run *r, int64_t index, int64_t length);

/* ---- onnx_run.c: the shapes of what operators make of x, from their attributes and constants; false: an error ---- */

/* Reshape, by input 1: 0 keeps a length, -1 is what is left. */
bool onnx_reshaped(onnx_run *r, const psal_shape *x, psal_shape *shape);
/* Expand, by input 1. */
bool onnx_expanded(onnx_run *r, const psal_shape *x, psal_shape *shape);
/* Transpose: axis i of the result is axes[i] of x. */
bool onnx_permutation(onnx_run *r, int ndim, int *axes);
/* Gather along `axis`. */
bool onnx_gathered(onnx_run *r, const psal_shape *x, int axis, const psal_shape *index, psal_shape *shape);
/* Squeeze, or (`insert`) Unsqueeze, by attribute or input 1. */
bool onnx_squeezed(onnx_run *r, const psal_shape *x, bool insert, psal_shape *shape);
/* Slice: starts, lengths and steps for all axes. */
bool onnx_slices(onnx_run *r, const psal_shape *x, int64_t *starts, int64_t *lengths, int64_t *steps);

/* For each element of a tensor of shape `shape` after a ScatterND with these indices: its own number, or that of the
 * update that takes its place, counted from psal_shape_count(shape) on. NULL after an error. */
const onnx_constant *onnx_scattered(onnx_run *r, const psal_shape *shape, const onnx_constant *indices,
                                    const psal_shape *updates);

/* ---- onnx_elementwise.c ---- */
void onnx_build_binary(onnx_run *r); /* Add, Sub, Mul, Div, Pow, Max, Min; Sum */
void onnx_build_cast(onnx_run *r);
void onnx_build_clip(onnx_run *r);
void onnx_build_dropout(onnx_run *r);
void onnx_build_prelu(onnx_run *r);
void onnx_build_unary(onnx_run *r); /* activations and functions of one variable */
/* a + b of equal shapes, with a number for each channel, or repeated as NumPy does. */
psal_node onnx_add(onnx_run *r, psal_node a, psal_node b);

/* ---- onnx_windows.c ---- */
void onnx_build_conv(onnx_run *r);
void onnx_build_pool(onnx_run *r); /* MaxPool, AveragePool */
void onnx_build_global_pool(onnx_run *r);

/* ---- onnx_reduce.c, onnx_einsum.c, onnx_resize.c ---- */
void onnx_build_reduce(onnx_run *r);
void onnx_build_einsum(onnx_run *r);
void onnx_build_resize(onnx_run *r);

/* ---- onnx_fold.c ---- */
bool onnx_fold_binary(onnx_run *r);
bool onnx_fold_unary(onnx_run *r);
bool onnx_fold_cast(onnx_run *r);
bool onnx_fold_concat(onnx_run *r);
bool onnx_fold_gather(onnx_run *r);
bool onnx_fold_shape_change(onnx_run *r); /* Identity, Reshape, Squeeze, Unsqueeze */
bool onnx_fold_slice(onnx_run *r);
bool onnx_fold_transpose(onnx_run *r);
bool onnx_fold_expand(onnx_run *r);
bool onnx_fold_where(onnx_run *r);
bool onnx_fold_range(onnx_run *r);
bool onnx_fold_scatter(onnx_run *r);
bool onnx_fold_fill(onnx_run *r); /* ConstantOfShape */
bool onnx_fold_reduce(onnx_run *r);

#endif
