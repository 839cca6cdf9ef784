#include "engine/kernels/conv2d/conv2d.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels/conv2d/algorithm.h"

const char *psal_conv2d_direction_name(psal_conv2d_direction direction) {
    static const char *const names[PSAL_CONV2D_DIRECTIONS] = {"forward", "dy",         "dx",        "dw",
                                                              "dw_mean", "ternary_dy", "ternary_dx"};
    return names[direction];
}

/* The first that suits. The last rows of the list suit every shape. */
static const psal_conv2d_algorithm *find(const psal_conv2d_shape *shape, psal_conv2d_direction direction,
                                         psal_conv2d_method method, psal_processor processor) {
    psal_conv2d_problem problem = {.shape = *shape, .direction = direction, .method = method};
    const psal_conv2d_algorithm *a = psal_conv2d_algorithms;
    for (;; a++) {
        problem.form = a->form;
        if (a->directions >> direction & 1 && a->methods >> method & 1 && a->code[processor] && a->suits(&problem))
            break;
    }
    return a;
}

static psal_processor resolve(psal_processor processor) {
    return processor == PSAL_PROCESSOR_AUTO ? psal_processor_best() : processor;
}

const char *psal_conv2d_algorithm_for(const psal_conv2d_shape *shape, psal_conv2d_direction direction,
                                      psal_conv2d_settings settings) {
    return find(shape, direction, settings.method, resolve(settings.processor))->name;
}

psal_convolution *psal_conv2d_choose(const psal_conv2d_shape *shape, psal_conv2d_direction direction,
                                     psal_conv2d_settings settings, int threads, psal_error *err) {
    settings.processor = resolve(settings.processor);
    if (!psal_processor_runs(settings.processor)) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "this machine has no %s: the best that it has is %s",
                  psal_processor_name(settings.processor), psal_processor_name(psal_processor_best()));
        return NULL;
    }
    psal_convolution *c = calloc(1, sizeof *c);
    if (!c) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a convolution");
        return NULL;
    }
    c->shape = *shape;
    c->direction = direction;
    c->settings = settings;
    c->threads = threads;
    c->algorithm = find(shape, direction, settings.method, settings.processor);
    snprintf(c->name, sizeof c->name, "%s", c->algorithm->name);
    if (c->algorithm->code[settings.processor]->prepare(c, err) == PSAL_OK) return c;
    psal_conv2d_free(c);
    return NULL;
}

void *psal_conv2d_new_plan(psal_convolution *c, size_t bytes, psal_error *err) {
    c->plan = calloc(1, bytes);
    if (!c->plan) psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the plan of a convolution");
    return c->plan;
}

psal_status psal_conv2d_keep_plan(psal_convolution *c, const void *plan, size_t plan_bytes, size_t scratch,
                                  psal_error *err) {
    c->scratch = scratch;
    if (!psal_conv2d_new_plan(c, plan_bytes, err)) return PSAL_ERR_MEMORY;
    memcpy(c->plan, plan, plan_bytes);
    return PSAL_OK;
}

void psal_conv2d_free(psal_convolution *c) {
    if (!c) return;
    psal_conv2d_free(c->inner);
    free(c->plan);
    free(c);
}

const char *psal_conv2d_algorithm_name(const psal_convolution *c) {
    return c->name;
}

size_t psal_conv2d_scratch(const psal_convolution *c) {
    return c->scratch;
}

void psal_conv2d_run(const psal_convolution *c, const psal_conv2d_operands *operands, void *scratch) {
    c->algorithm->code[c->settings.processor]->run(c, operands, scratch);
}

bool psal_conv2d_takes_ternary(const psal_conv2d_shape *s, psal_processor processor) {
    processor = resolve(processor);
    for (psal_conv2d_direction d = PSAL_CONV2D_TERNARY_DY; d <= PSAL_CONV2D_TERNARY_DX; d++)
        if (find(s, d, PSAL_CONV2D_AUTO, processor)->code[processor] != &psal_ternary_decoded) return true;
    return false;
}
