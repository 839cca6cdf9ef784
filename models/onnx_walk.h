/* onnx_walk.h - a described network, and the walk through its operators (internal to models/onnx*.c). */
#ifndef PSAL_MODELS_ONNX_WALK_H
#define PSAL_MODELS_ONNX_WALK_H

#include "models/arch.h"
#include "models/onnx.h"
#include "models/onnx_internal.h"

/* What a file describes. */
struct net_onnx {
    const psal_description *d;
    /* of value v: the tensor that it is (an initializer, a constant, or another name for one of them); NULL: none */
    const psal_tensor **tensors;
    /* it is an operator's attribute, or a single number: a parameter only where weights are expected */
    bool *is_constant;
    char **names; /* as a parameter or statistic; NULL: it is none */
    int *readers; /* how many operators that are needed read it */
    bool *needed; /* of operator i: the outputs depend on it */
    int image, logits;
    int64_t dim[4];      /* of the images in the file; -1: any */
    bool folded, chosen; /* chosen: an output other than the first */
    char arch_name[32];
    net_arch arch;
};

/* Whether input i of an operator, of which psal knows this, is a parameter or a statistic. */
bool onnx_has_role(const net_onnx *onnx, const onnx_operator *known, const psal_operator *o, size_t i);
/* The network (depth is its net_onnx), as arch.h has it. */
flow onnx_describe(net *n, flow image, const void *depth);
/* net_onnx_build_all's nodes. */
void onnx_build_all(net *n, const net_onnx *onnx, const psal_tensor *inputs, psal_node *input_nodes,
                    psal_node *output_nodes);

#endif
