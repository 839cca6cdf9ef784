/* Sums, means, norms and maxima over axes (onnx.ai/onnx/operators). */
#include <float.h>
#include <math.h>

#include "models/onnx_internal.h"

/* As max pooling with one window for all; of equal ones the first has the derivative, as PyTorch's max(dim). */
static psal_node maximum_over(psal_graph *g, psal_node x, const int *axes, int count, bool keep) {
    const psal_shape s = *psal_graph_shape(g, x);
    psal_shape result = {0};
    int order[PSAL_MAX_DIMS], others = 0, last = s.ndim - count;
    int64_t rows = 1, numbers = 1;
    for (int i = 0, next = 0; i < s.ndim; i++) {
        const bool over = next < count && axes[next] == i;
        if (!over || keep) result.dim[result.ndim] = over ? 1 : s.dim[i];
        result.ndim += !over || keep;
        *(over ? &numbers : &rows) *= s.dim[i];
        order[over ? last++ : others++] = i;
        next += over;
    }
    const psal_pool2d_options all = {.kernel_height = (int)numbers, .kernel_width = 1};
    psal_node y = psal_reshape(g, psal_permute(g, x, order, s.ndim), PSAL_SHAPE(1, rows, numbers, 1));
    return psal_reshape(g, psal_max_pool2d(g, y, &all), result);
}

void onnx_build_reduce(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    int64_t count;
    const int64_t *wanted = onnx_integers_of(r, "axes", 1, &count);
    if (onnx_failed(r)) return;
    const psal_shape s = *onnx_shape(r, x);
    const bool keep = onnx_int(r, "keepdims", 1) != 0, mean = onnx_is(r, "ReduceMean");
    int axes[PSAL_MAX_DIMS], used = 0;
    bool chosen[PSAL_MAX_DIMS] = {false};
    if (!count && onnx_int(r, "noop_with_empty_axes", 0)) {
        onnx_output(r, 0, x);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        const int axis = onnx_axis(r, wanted[i], s.ndim);
        if (axis < 0) return;
        chosen[axis] = true;
    }
    for (int i = 0; i < s.ndim; i++)
        if (chosen[i] || !count) axes[used++] = i;
    if (mean && s.ndim == 4 && used == 2 && axes[0] == 2 && axes[1] == 3) { /* as global average pooling */
        const psal_node y = psal_adaptive_avg_pool2d(r->graph, x, 1, 1);
        onnx_output(r, 0, keep ? y : psal_reshape(r->graph, y, PSAL_SHAPE(s.dim[0], s.dim[1])));
        return;
    }
    if (onnx_is(r, "ReduceL2")) { /* of zeros nearly 0, so that the derivative there is 0, as PyTorch's */
        const psal_node squares = psal_sum_axes(r->graph, psal_mul(r->graph, x, x), axes, used, keep);
        onnx_output(r, 0, psal_sqrt(r->graph, psal_clip(r->graph, squares, FLT_MIN, INFINITY)));
        return;
    }
    if (onnx_is(r, "ReduceMax")) {
        onnx_output(r, 0, maximum_over(r->graph, x, axes, used, keep));
        return;
    }
    if (onnx_is(r, "ReduceMin")) { /* the maximum of -x */
        const psal_node y = maximum_over(r->graph, psal_scale(r->graph, x, -1), axes, used, keep);
        onnx_output(r, 0, psal_scale(r->graph, y, -1));
        return;
    }
    onnx_output(r, 0,
                mean ? psal_mean_axes(r->graph, x, axes, used, keep) : psal_sum_axes(r->graph, x, axes, used, keep));
}
