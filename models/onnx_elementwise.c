/* The operators that work element by element (onnx.ai/onnx/operators). */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "models/onnx_internal.h"

void onnx_build_clip(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    double low = onnx_float(r, "min", -INFINITY), high = onnx_float(r, "max", INFINITY);
    if ((onnx_has_input(r, 1) && !onnx_scalar(onnx_constant_input(r, 1), &low)) ||
        (onnx_has_input(r, 2) && !onnx_scalar(onnx_constant_input(r, 2), &high)))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "its bounds are not numbers that are known beforehand");
    if (onnx_failed(r)) return;
    if (low <= -FLT_MAX) low = -INFINITY; /* what operator sets before 11 have as default */
    if (high >= FLT_MAX) high = INFINITY;
    onnx_output(r, 0, psal_clip(r->graph, x, low, high));
}

/* max(0, min(1, alpha x + beta)) */
static psal_node hard_sigmoid(onnx_run *r, psal_node x, double alpha, double beta) {
    if (fabs(alpha - 1.0 / 6) < 1e-7 && beta == 0.5) return psal_hard_sigmoid(r->graph, x);
    return psal_clip(r->graph, psal_shift(r->graph, psal_scale(r->graph, x, alpha), beta), 0, 1);
}

/* x Phi(x), or (Hendrycks & Gimpel 2016) x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
static psal_node gelu(onnx_run *r, psal_node x) {
    psal_graph *g = r->graph;
    const psal_attribute *a = onnx_attribute(r->o, "approximate");
    const char *how = a && a->type == PSAL_ATTRIBUTE_STRING ? a->text : "none";
    if (strcmp(how, "none") == 0) return psal_gelu(g, x);
    if (strcmp(how, "tanh") != 0) onnx_fail(r, PSAL_ERR_UNSUPPORTED, "attribute approximate '%.40s'", how);
    if (onnx_failed(r)) return PSAL_NO_NODE;
    const psal_node cube = psal_mul(g, psal_mul(g, x, x), x);
    const psal_node inner = psal_scale(g, psal_add(g, x, psal_scale(g, cube, 0.044715)), sqrt(2 / M_PI));
    return psal_scale(g, psal_mul(g, x, psal_shift(g, psal_tanh(g, inner), 1)), 0.5);
}

/* max(x, 0) + alpha (exp(min(x, 0) / divisor) - 1) */
static psal_node elu(psal_graph *g, psal_node x, double alpha, double divisor) {
    const psal_node above = psal_relu(g, x), below = psal_sub(g, x, above);
    const psal_node power = psal_exp(g, divisor == 1 ? below : psal_scale(g, below, 1 / divisor));
    return psal_add(g, above, psal_scale(g, psal_shift(g, power, -1), alpha));
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)); -|x| written so that the derivative at 0 is 1/2 */
static psal_node softplus(psal_graph *g, psal_node x) {
    const psal_node above = psal_relu(g, x), below = psal_sub(g, x, psal_scale(g, above, 2));
    return psal_add(g, above, psal_log(g, psal_shift(g, psal_exp(g, below), 1)));
}

static psal_node unary(onnx_run *r, psal_node x) {
    psal_graph *g = r->graph;
    if (onnx_is(r, "Relu")) return psal_relu(g, x);
    if (onnx_is(r, "Sigmoid")) return psal_sigmoid(g, x);
    if (onnx_is(r, "Tanh")) return psal_tanh(g, x);
    if (onnx_is(r, "Erf")) return psal_erf(g, x);
    if (onnx_is(r, "Exp")) return psal_exp(g, x);
    if (onnx_is(r, "Log")) return psal_log(g, x);
    if (onnx_is(r, "Sqrt")) return psal_sqrt(g, x);
    if (onnx_is(r, "Abs")) return psal_abs(g, x);
    if (onnx_is(r, "Neg")) return psal_scale(g, x, -1);
    if (onnx_is(r, "Reciprocal")) return psal_pow(g, x, -1);
    if (onnx_is(r, "HardSwish")) return psal_hard_swish(g, x);
    if (onnx_is(r, "HardSigmoid")) return hard_sigmoid(r, x, onnx_float(r, "alpha", 0.2), onnx_float(r, "beta", 0.5));
    if (onnx_is(r, "Gelu")) return gelu(r, x);
    if (onnx_is(r, "LeakyRelu")) { /* alpha x + (1 - alpha) relu(x): at 0 the derivative is alpha, as PyTorch's */
        const double alpha = onnx_float(r, "alpha", 0.01);
        return psal_add(g, psal_scale(g, x, alpha), psal_scale(g, psal_relu(g, x), 1 - alpha));
    }
    if (onnx_is(r, "Elu")) return elu(g, x, onnx_float(r, "alpha", 1), 1);
    if (onnx_is(r, "Celu")) {
        const double alpha = onnx_float(r, "alpha", 1);
        return elu(g, x, alpha, alpha);
    }
    if (onnx_is(r, "Selu"))
        return psal_scale(g, elu(g, x, onnx_float(r, "alpha", 1.6732632423543772), 1),
                          onnx_float(r, "gamma", 1.0507009873554805));
    if (onnx_is(r, "Softplus")) return softplus(g, x);
    if (onnx_is(r, "Mish")) return psal_mul(g, x, psal_tanh(g, softplus(g, x)));
    if (onnx_is(r, "Softsign")) return psal_div(g, x, psal_shift(g, psal_abs(g, x), 1));
    return x; /* Identity */
}

void onnx_build_unary(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    if (!onnx_failed(r)) onnx_output(r, 0, unary(r, x));
}

/* Nothing, but in training mode; torchvision's Swin calls it so, with a ratio of 0. */
void onnx_build_dropout(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    double training = 0, ratio = 0.5;
    if ((onnx_has_input(r, 2) && !onnx_scalar(onnx_constant_input(r, 2), &training)) ||
        (onnx_has_input(r, 1) && !onnx_scalar(onnx_constant_input(r, 1), &ratio)) || (training != 0 && ratio != 0))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "it is in training mode: export the network after model.eval()");
    if (!onnx_failed(r)) onnx_output(r, 0, x);
}

/* relu(x) - slope relu(-x) */
void onnx_build_prelu(onnx_run *r) {
    psal_graph *g = r->graph;
    const psal_node x = onnx_input(r, 0), slope = onnx_input(r, 1);
    if (onnx_failed(r)) return;
    const psal_node below = psal_relu(g, psal_scale(g, x, -1));
    onnx_output(r, 0, psal_sub(g, psal_relu(g, x), psal_broadcast_mul(g, below, slope)));
}

/* PyTorch's exporter writes what it converts of fp16 networks as Casts: everything is float32 here. */
void onnx_build_cast(onnx_run *r) {
    const psal_node x = onnx_input(r, 0);
    const int64_t to = onnx_int(r, "to", 0);
    if (to != 1 && to != 10 && to != 11 && to != 16)
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "to type %" PRId64 ", which is not of floating-point numbers", to);
    if (!onnx_failed(r)) onnx_output(r, 0, x);
}

/* x with one number; PSAL_NO_NODE when there is no way. `first`: the number stands in front. */
static psal_node with_number(onnx_run *r, psal_node x, double number, bool first) {
    psal_graph *g = r->graph;
    if (onnx_is(r, "Add")) return psal_shift(g, x, number);
    if (onnx_is(r, "Mul")) return psal_scale(g, x, number);
    if (onnx_is(r, "Sub")) return first ? psal_shift(g, psal_scale(g, x, -1), number) : psal_shift(g, x, -number);
    if (onnx_is(r, "Div")) return first ? psal_scale(g, psal_pow(g, x, -1), number) : psal_scale(g, x, 1 / number);
    if (onnx_is(r, "Pow") && !first)
        return number == 1     ? x
               : number == 2   ? psal_mul(g, x, x)
               : number == 0.5 ? psal_sqrt(g, x)
                               : psal_pow(g, x, number);
    if (onnx_is(r, "Max")) return psal_clip(g, x, number, INFINITY);
    if (onnx_is(r, "Min")) return psal_clip(g, x, -INFINITY, number);
    return PSAL_NO_NODE;
}

/* [C,1,1] beside [N,C,H,W]: the channels' vector; PSAL_NO_NODE when it is another shape. A gate, [N,C,1,1], is none,
 * for one image neither. */
static psal_node channel_vector(onnx_run *r, psal_node v, const psal_shape *x) {
    const psal_shape *s = onnx_shape(r, v);
    if (x->ndim < 2 || s->ndim != x->ndim - 1 || s->dim[0] != x->dim[1]) return PSAL_NO_NODE;
    for (int i = 1; i < s->ndim; i++)
        if (s->dim[i] != 1) return PSAL_NO_NODE;
    return s->ndim == 1 ? v : psal_reshape(r->graph, v, PSAL_SHAPE(x->dim[1]));
}

typedef psal_node builder(psal_graph *graph, psal_node a, psal_node b);

/* a and b (in either order the same) of equal shapes, with a number for each channel, or repeated as NumPy does. */
static psal_node combine(onnx_run *r, psal_node a, psal_node b, builder *plain, builder *channel, builder *broadcast) {
    const psal_shape as = *onnx_shape(r, a), bs = *onnx_shape(r, b);
    if (psal_shape_equal(&as, &bs)) return plain(r->graph, a, b);
    psal_node v = channel_vector(r, b, &as);
    if (v != PSAL_NO_NODE) return channel(r->graph, a, v);
    v = channel_vector(r, a, &bs);
    return v != PSAL_NO_NODE ? channel(r->graph, b, v) : broadcast(r->graph, a, b);
}

psal_node onnx_add(onnx_run *r, psal_node a, psal_node b) {
    return combine(r, a, b, psal_add, psal_channel_add, psal_broadcast_add);
}

/* The gate second, whichever way it is written: then sums of gradients have one order. */
static psal_node multiply_by_gate(psal_graph *graph, psal_node a, psal_node b) {
    const bool gate_first = psal_shape_count(psal_graph_shape(graph, a)) < psal_shape_count(psal_graph_shape(graph, b));
    return gate_first ? psal_broadcast_mul(graph, b, a) : psal_broadcast_mul(graph, a, b);
}

static psal_node two_nodes(onnx_run *r, psal_node a, psal_node b) {
    psal_graph *g = r->graph;
    const bool same = psal_shape_equal(onnx_shape(r, a), onnx_shape(r, b));
    if (onnx_is(r, "Add") || onnx_is(r, "Sum")) return onnx_add(r, a, b);
    if (onnx_is(r, "Mul")) return combine(r, a, b, psal_mul, psal_channel_mul, multiply_by_gate);
    if (onnx_is(r, "Sub")) return same ? psal_sub(g, a, b) : psal_broadcast_sub(g, a, b);
    if (onnx_is(r, "Div")) return same ? psal_div(g, a, b) : psal_broadcast_div(g, a, b);
    if (onnx_is(r, "Max")) return psal_maximum(g, a, b);
    if (onnx_is(r, "Min")) return psal_minimum(g, a, b);
    onnx_fail(r, PSAL_ERR_UNSUPPORTED, "of two tensors; psal has it of a tensor and a number");
    return PSAL_NO_NODE;
}

void onnx_build_binary(onnx_run *r) {
    if (r->o->input_count < 1) onnx_fail(r, PSAL_ERR_FORMAT, "it has no inputs");
    if (onnx_failed(r)) return;
    double number;
    const onnx_constant *a = onnx_constant_input(r, 0), *b = onnx_constant_input(r, 1);
    psal_node y = onnx_input(r, 0);
    if (r->o->input_count == 2 && b && !a && onnx_scalar(b, &number) && b->shape.ndim <= onnx_shape(r, y)->ndim) {
        y = with_number(r, y, number, false);
    } else if (r->o->input_count == 2 && a && !b && onnx_scalar(a, &number) &&
               a->shape.ndim <= onnx_shape(r, onnx_input(r, 1))->ndim) {
        const psal_node x = onnx_input(r, 1);
        y = with_number(r, x, number, true);
        if (y == PSAL_NO_NODE) onnx_fail(r, PSAL_ERR_UNSUPPORTED, "of a number and a tensor");
    } else {
        for (size_t i = 1; i < r->o->input_count && !onnx_failed(r); i++) {
            const psal_node x = onnx_input(r, i);
            if (!onnx_failed(r)) y = two_nodes(r, y, x);
        }
    }
    if (!onnx_failed(r)) onnx_output(r, 0, y);
}
