/* Convolution and pooling (onnx.ai/onnx/operators). */
#include <inttypes.h>
#include <string.h>

#include "models/onnx_internal.h"

typedef struct windows {
    int64_t kernel[2], strides[2], dilations[2], before[2], after[2];
} windows;

/* Fill what auto_pad says: of the whole padding the smaller half in front (SAME_UPPER) or behind (SAME_LOWER). */
static void pad_automatically(onnx_run *r, windows *w, const psal_shape *x) {
    const psal_attribute *a = onnx_attribute(r->o, "auto_pad");
    const char *how = a ? a->text : "NOTSET";
    if (strcmp(how, "NOTSET") == 0) return;
    for (int i = 0; i < 2; i++) {
        w->before[i] = w->after[i] = 0;
        if (strcmp(how, "VALID") == 0) continue;
        const int64_t size = x->dim[2 + i], extent = (w->kernel[i] - 1) * w->dilations[i] + 1;
        const int64_t out = (size + w->strides[i] - 1) / w->strides[i],
                      total = (out - 1) * w->strides[i] + extent - size;
        const int64_t less = total > 0 ? total / 2 : 0, more = total > 0 ? total - less : 0;
        const bool upper = strcmp(how, "SAME_UPPER") == 0;
        if (!upper && strcmp(how, "SAME_LOWER") != 0) onnx_fail(r, PSAL_ERR_UNSUPPORTED, "auto_pad '%.40s'", how);
        w->before[i] = upper ? less : more;
        w->after[i] = upper ? more : less;
    }
}

static bool read_windows(onnx_run *r, const psal_shape *x, int64_t kernel_height, int64_t kernel_width, windows *w) {
    int64_t pads[4];
    w->kernel[0] = kernel_height;
    w->kernel[1] = kernel_width;
    if (onnx_attribute(r->o, "kernel_shape") || !kernel_height) onnx_ints(r, "kernel_shape", w->kernel, 2, 0);
    onnx_ints(r, "strides", w->strides, 2, 1);
    onnx_ints(r, "dilations", w->dilations, 2, 1);
    onnx_ints(r, "pads", pads, 4, 0);
    for (int i = 0; i < 2; i++) {
        w->before[i] = pads[i];
        w->after[i] = pads[2 + i];
        const int64_t all[] = {w->kernel[i], w->strides[i], w->dilations[i]};
        for (int k = 0; k < 3; k++)
            if (all[k] < 1 || all[k] > 1 << 20) onnx_fail(r, PSAL_ERR_FORMAT, "windows of %" PRId64, all[k]);
        if (pads[i] > 1 << 20 || pads[2 + i] > 1 << 20 || pads[i] < -(1 << 20) || pads[2 + i] < -(1 << 20))
            onnx_fail(r, PSAL_ERR_FORMAT, "a padding of %" PRId64 " and %" PRId64, pads[i], pads[2 + i]);
    }
    if (kernel_height && (w->kernel[0] != kernel_height || w->kernel[1] != kernel_width))
        onnx_fail(r, PSAL_ERR_FORMAT, "kernel_shape is not that of its weights");
    if (!onnx_failed(r)) pad_automatically(r, w, x);
    return !onnx_failed(r);
}

static bool is_even(const windows *w) {
    return w->before[0] == w->after[0] && w->before[1] == w->after[1] && w->before[0] >= 0 && w->before[1] >= 0;
}

/* x with the windows' padding around it, which is none any more. */
static psal_node pad_windows(onnx_run *r, psal_node x, windows *w) {
    const int64_t before[4] = {0, 0, w->before[0], w->before[1]}, after[4] = {0, 0, w->after[0], w->after[1]};
    for (int i = 0; i < 2; i++) w->before[i] = w->after[i] = 0;
    return psal_pad(r->graph, x, before, after);
}

void onnx_build_conv(onnx_run *r) {
    psal_node x = onnx_input_of(r, 0, 4, 4), weight = onnx_input_of(r, 1, 4, 4);
    windows w;
    if (onnx_failed(r)) return;
    const psal_shape *shape = onnx_shape(r, weight);
    if (!read_windows(r, onnx_shape(r, x), shape->dim[2], shape->dim[3], &w)) return;
    const int64_t groups = onnx_int(r, "group", 1);
    if (groups < 1 || groups > 1 << 24) {
        onnx_fail(r, PSAL_ERR_FORMAT, "%" PRId64 " groups", groups);
        return;
    }
    if (!is_even(&w)) x = pad_windows(r, x, &w);
    const psal_conv2d_options options = {(int)w.strides[0],   (int)w.strides[1],   (int)w.before[0], (int)w.before[1],
                                         (int)w.dilations[0], (int)w.dilations[1], (int)groups};
    psal_node y = psal_conv2d(r->graph, x, weight, &options);
    if (onnx_has_input(r, 2)) y = psal_channel_add(r->graph, y, onnx_input(r, 2));
    onnx_output(r, 0, y);
}

/* How many windows there are along axis i. */
static int64_t count_windows(const windows *w, int i, int64_t size, bool ceil_mode) {
    const int64_t room = size + w->before[i] + w->after[i] - w->kernel[i];
    if (room < 0) return -1;
    const int64_t count = (room + (ceil_mode ? w->strides[i] - 1 : 0)) / w->strides[i] + 1;
    /* the last one must begin inside of the image or in front of it */
    return ceil_mode && (count - 1) * w->strides[i] >= size + w->before[i] ? count - 1 : count;
}

/* Padding is no pixels. So windows with other padding in front than behind are some of those with the same padding on
 * both sides, rounded up: along each axis the count[i] from number first[i] on. */
static bool pad_evenly(const windows *w, const psal_shape *x, bool ceil_mode, windows *even, int64_t first[2],
                       int64_t count[2]) {
    *even = *w;
    for (int i = 0; i < 2; i++) {
        const int64_t size = x->dim[2 + i];
        count[i] = count_windows(w, i, size, ceil_mode);
        if (w->before[i] < 0 || w->after[i] < 0 || count[i] < 1) return false;
        for (first[i] = 0;; first[i]++) {
            even->before[i] = even->after[i] = w->before[i] + first[i] * w->strides[i];
            if (2 * even->before[i] > w->kernel[i]) return false;
            if (count_windows(even, i, size, true) >= first[i] + count[i]) break;
        }
    }
    return true;
}

static psal_pool2d_options pool_options(const windows *w, bool ceil_mode, bool exclude) {
    return (psal_pool2d_options){(int)w->kernel[0], (int)w->kernel[1], (int)w->strides[0], (int)w->strides[1],
                                 (int)w->before[0], (int)w->before[1], ceil_mode,          exclude};
}

void onnx_build_pool(onnx_run *r) {
    psal_node x = onnx_input_of(r, 0, 4, 4);
    windows w, even;
    if (onnx_failed(r) || !read_windows(r, onnx_shape(r, x), 0, 0, &w)) return;
    int64_t first[2] = {0, 0}, count[2];
    const bool maximum = onnx_is(r, "MaxPool"), exclude = !onnx_int(r, "count_include_pad", 0);
    bool ceil_mode = onnx_int(r, "ceil_mode", 0) != 0;
    if (w.dilations[0] != 1 || w.dilations[1] != 1) {
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "dilations in pooling");
        return;
    }
    const bool some = !is_even(&w) && (maximum || exclude);
    if (some) {
        if (!pad_evenly(&w, onnx_shape(r, x), ceil_mode, &even, first, count)) {
            onnx_fail(r, PSAL_ERR_UNSUPPORTED, "pads that differ on both sides and are more than half of its windows");
            return;
        }
        w = even;
        ceil_mode = true;
    } else if (!is_even(&w)) {
        x = pad_windows(r, x, &w);
    }
    const psal_pool2d_options options = pool_options(&w, ceil_mode, exclude && !maximum);
    psal_node y = maximum ? psal_max_pool2d(r->graph, x, &options) : psal_avg_pool2d(r->graph, x, &options);
    for (int i = 0; i < 2 && some && y != PSAL_NO_NODE; i++)
        if (onnx_shape(r, y)->dim[2 + i] != count[i]) y = psal_slice(r->graph, y, 2 + i, first[i], count[i]);
    onnx_output(r, 0, y);
}

void onnx_build_global_pool(onnx_run *r) {
    const psal_node x = onnx_input_of(r, 0, 4, 4);
    if (onnx_failed(r)) return;
    const psal_shape *s = onnx_shape(r, x);
    const psal_pool2d_options all = {.kernel_height = (int)s->dim[2], .kernel_width = (int)s->dim[3]};
    onnx_output(r, 0,
                onnx_is(r, "GlobalMaxPool") ? psal_max_pool2d(r->graph, x, &all)
                                            : psal_adaptive_avg_pool2d(r->graph, x, 1, 1));
}
