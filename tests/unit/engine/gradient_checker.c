#include "gradient_checker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"

/* Central differences in double: error about step^2 f''' + 1e-16 / step. */
static const double STEP = 1e-5, ATOL = 1e-7, RTOL = 1e-6;

/* A scalar function of the case's inputs with its gradient: first L = <y, u> with fixed random u, then, to second
 * order, S = sum over inputs of <dL/dx_i, v_i> with fixed random v_i, as a function of x and u. */
typedef struct probe {
    psal_graph *graph;
    psal_node inputs[CHECK_MAX_INPUTS + 1]; /* the case's, then u */
    psal_node first, second;
    psal_node d_first[CHECK_MAX_INPUTS], d_second[CHECK_MAX_INPUTS + 1];
    double *u;
    int64_t u_count;
    psal_plan *plan;
    psal_workspace *ws;
} probe;

static void probe_free(probe *p) {
    psal_workspace_free(p->ws);
    psal_plan_free(p->plan);
    psal_graph_free(p->graph);
    free(p->u);
}

static bool probe_build(probe *p, const psal_op_case *c, const case_values *v, uint64_t seed, char *message) {
    uint64_t state = seed ^ 0xABCDEF;
    psal_error err = PSAL_ERROR_INIT;
    memset(p, 0, sizeof *p);
    p->graph = psal_graph_new();
    for (int i = 0; i < c->input_count; i++) {
        char name[16];
        snprintf(name, sizeof name, "in%d", i);
        p->inputs[i] = psal_input(p->graph, name, c->inputs[i].shape);
    }
    psal_node y = c->build(p->graph, p->inputs);
    if (psal_graph_check(p->graph, &err) != PSAL_OK)
        return snprintf(message, 512, "cannot build: %s", err.message), false;
    psal_shape y_shape = *psal_graph_shape(p->graph, y);
    p->inputs[c->input_count] = psal_input(p->graph, "u", y_shape);
    p->u_count = psal_shape_count(&y_shape);
    p->u = malloc((size_t)p->u_count * sizeof(double));
    for (int64_t i = 0; i < p->u_count; i++) p->u[i] = case_uniform(&state, -1, 1);
    p->first = psal_sum(p->graph, psal_mul(p->graph, y, p->inputs[c->input_count]));

    psal_node wrt[CHECK_MAX_INPUTS], gradients[CHECK_MAX_INPUTS + 1];
    int count = 0;
    for (int i = 0; i < c->input_count; i++)
        if (v->differentiable[i]) wrt[count++] = p->inputs[i];
    psal_gradient(p->graph, p->first, wrt, count, gradients);
    for (int i = 0, k = 0; i < c->input_count; i++)
        p->d_first[i] = v->differentiable[i] ? gradients[k++] : PSAL_NO_NODE;

    p->second = psal_constant_fill(p->graph, 0, (psal_shape){.ndim = 0});
    for (int k = 0; k < count; k++) {
        psal_shape shape = *psal_graph_shape(p->graph, wrt[k]);
        int64_t n = psal_shape_count(&shape);
        double *direction = malloc((size_t)n * sizeof(double));
        for (int64_t i = 0; i < n; i++) direction[i] = case_uniform(&state, -1, 1);
        psal_node constant = psal_constant(p->graph, direction, shape);
        p->second = psal_add(p->graph, p->second, psal_sum(p->graph, psal_mul(p->graph, gradients[k], constant)));
        free(direction);
    }
    psal_node wrt2[CHECK_MAX_INPUTS + 1];
    memcpy(wrt2, wrt, sizeof wrt);
    wrt2[count] = p->inputs[c->input_count];
    psal_gradient(p->graph, p->second, wrt2, count + 1, gradients);
    for (int i = 0, k = 0; i < c->input_count; i++)
        p->d_second[i] = v->differentiable[i] ? gradients[k++] : PSAL_NO_NODE;
    p->d_second[c->input_count] = gradients[count];

    psal_node outputs[2 * CHECK_MAX_INPUTS + 3] = {p->first, p->second};
    int output_count = 2;
    for (int i = 0; i <= c->input_count; i++) {
        if (i < c->input_count && p->d_first[i] != PSAL_NO_NODE) outputs[output_count++] = p->d_first[i];
        if (p->d_second[i] != PSAL_NO_NODE) outputs[output_count++] = p->d_second[i];
    }
    psal_plan_options options = {.outputs = {outputs}, .output_count = {output_count}, .stages = 1, .threads = 2};
    p->plan = psal_plan_new(p->graph, &options, &err);
    if (p->plan) p->ws = psal_workspace_new(p->plan, &err);
    if (!p->ws) return snprintf(message, 512, "cannot plan: %s", err.message), false;
    for (int i = 0; i < c->input_count; i++) psal_workspace_set(p->ws, p->inputs[i], v->values[i], &err);
    psal_workspace_set(p->ws, p->inputs[c->input_count], p->u, &err);
    return true;
}

static double evaluate(probe *p, psal_node scalar) {
    psal_error err = PSAL_ERROR_INIT;
    return psal_workspace_run(p->ws, 0, &err) == PSAL_OK ? *psal_workspace_get(p->ws, scalar) : NAN;
}

static double *copy_of(const probe *p, psal_node node, int64_t n) {
    double *copy = malloc((size_t)n * sizeof *copy);
    memcpy(copy, psal_workspace_get(p->ws, node), (size_t)n * sizeof *copy);
    return copy;
}

/* Returns whether that made a difference: a shifted vector of equal numbers is no mistake that numbers could show. */
static bool spoil(double *gradient, int64_t n, broken_rule rule) {
    double last = gradient[n - 1], *before = malloc((size_t)n * sizeof *before);
    memcpy(before, gradient, (size_t)n * sizeof *before);
    switch (rule) {
    case BROKEN_NOT:
        break;
    case BROKEN_SIGN:
        for (int64_t i = 0; i < n; i++) gradient[i] = -gradient[i];
        break;
    case BROKEN_FACTOR:
        for (int64_t i = 0; i < n; i++) gradient[i] *= 1.01;
        break;
    case BROKEN_INDEX:
        memmove(gradient + 1, gradient, (size_t)(n - 1) * sizeof *gradient);
        gradient[0] = last;
        break;
    case BROKEN_NAN:
        gradient[n / 2] = NAN;
        break;
    case BROKEN_ZERO:
        memset(gradient, 0, (size_t)n * sizeof *gradient);
        break;
    }
    bool changed = false;
    for (int64_t i = 0; i < n; i++) changed |= !(fabs(gradient[i] - before[i]) <= 1e-4);
    free(before);
    return changed;
}

/* Compare the derivative of `scalar` in values[n] (held by the workspace) with central differences. */
static bool compare(probe *p, psal_node scalar, psal_node derivative, double *values, int64_t n, broken_rule rule,
                    const char *what, bool *nonzero, bool *spoilt, char *message) {
    evaluate(p, scalar);
    double *analytic = copy_of(p, derivative, n);
    *spoilt |= spoil(analytic, n, rule);
    bool good = true;
    for (int64_t i = 0; i < n && good; i++) {
        double x = values[i];
        values[i] = x + STEP;
        double above = evaluate(p, scalar);
        values[i] = x - STEP;
        double below = evaluate(p, scalar);
        values[i] = x;
        double numeric = (above - below) / (2 * STEP);
        *nonzero |= fabs(analytic[i]) > 1e-4;
        good = fabs(analytic[i] - numeric) <= ATOL + RTOL * fabs(numeric); /* false for NaN */
        if (!good)
            snprintf(message, 512, "%s [%lld]: the rule gives %.10g, central differences %.10g", what, (long long)i,
                     analytic[i], numeric);
    }
    free(analytic);
    return good;
}

bool check_case(const psal_op_case *c, uint64_t seed, broken_rule break_gradient, bool *spoilt, char message[512]) {
    case_values v;
    probe p;
    case_values_sample(&v, c, seed);
    bool good = probe_build(&p, c, &v, seed, message), nonzero = false, ignored = false;
    *spoilt = false;
    for (int i = 0; i < c->input_count && good; i++) {
        if (!v.differentiable[i]) continue;
        char what[64];
        snprintf(what, sizeof what, "first derivative in input %d", i);
        good = compare(&p, p.first, p.d_first[i], v.values[i], v.count[i], break_gradient, what, &nonzero, spoilt,
                       message);
        snprintf(what, sizeof what, "second derivative in input %d", i);
        good = good && compare(&p, p.second, p.d_second[i], v.values[i], v.count[i], BROKEN_NOT, what, &ignored,
                               &ignored, message);
    }
    if (good)
        good = compare(&p, p.second, p.d_second[c->input_count], p.u, p.u_count, BROKEN_NOT,
                       "second derivative in the output weights", &ignored, &ignored, message);
    if (good && nonzero == c->zero_gradient) {
        snprintf(message, 512, nonzero ? "gradient should be zero by definition" : "all gradients are zero");
        good = false;
    }
    probe_free(&p);
    case_values_free(&v);
    return good;
}
