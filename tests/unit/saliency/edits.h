/* edits.h - a small network with random weights, and an image for it: what the tests of edits share. */
#ifndef PSAL_TESTS_SALIENCY_EDITS_H
#define PSAL_TESTS_SALIENCY_EDITS_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/classifier.h"
#include "saliency/edit.h"
#include "saliency/random.h"
#include "saliency/saliency.h"

enum { SIDE = 32, CLASSES = 5 };

typedef struct small_network {
    psal_tensor_map *map;
    psal_model *model;
    float image[3 * SIDE * SIDE];
    float *naive;
    double *standardized;
    int64_t filters;
} small_network;

static inline void open_small(small_network *n, const char *arch, uint64_t seed) {
    psal_error err = PSAL_ERROR_INIT;
    psal_random random = {seed};
    n->map = psal_model_blank(arch, 0.0625, CLASSES, &err);
    ck_assert_msg(n->map != NULL, "%s", err.message);
    for (size_t i = 0; i < psal_tensor_map_count(n->map); i++) {
        const psal_tensor *t = psal_tensor_map_at(n->map, i);
        if (t->dtype != PSAL_F32) continue;
        const char *name = psal_tensor_map_name(n->map, i);
        int64_t count = psal_shape_count(&t->shape), fan = t->shape.ndim > 1 ? count / t->shape.dim[0] : 1;
        for (int64_t j = 0; j < count; j++) {
            double value = psal_random_normal(&random);
            if (strstr(name, "running_var"))
                value = 0.5 + psal_random_uniform(&random);
            else if (t->shape.ndim > 1)
                value *= sqrt(2.0 / (double)fan);
            else if (strstr(name, "weight"))
                value = 1 + 0.2 * value;
            else
                value *= 0.2;
            ((float *)t->data)[j] = (float)value;
        }
    }
    n->model = psal_model_load(n->map, NULL, NULL, &err);
    ck_assert_msg(n->model != NULL, "%s", err.message);
    for (size_t i = 0; i < sizeof n->image / sizeof n->image[0]; i++) n->image[i] = (float)psal_random_normal(&random);
    n->filters = psal_model_get_info(n->model)->filter_count;
    n->naive = malloc((size_t)n->filters * sizeof *n->naive);
    n->standardized = malloc((size_t)n->filters * sizeof *n->standardized);
    psal_saliency_options options = {.height = SIDE, .width = SIDE};
    psal_saliency *saliency = psal_saliency_new(n->model, &options, &err);
    psal_saliency_worker *worker = saliency ? psal_saliency_worker_new(saliency, &err) : NULL;
    ck_assert_msg(worker != NULL, "%s", err.message);
    ck_assert_msg(psal_saliency_profile(worker, n->image, 1, 0, n->naive, &err) == PSAL_OK, "%s", err.message);
    for (int64_t i = 0; i < n->filters; i++) n->standardized[i] = n->naive[i] * (1 + 5 * psal_random_uniform(&random));
    psal_saliency_worker_free(worker);
    psal_saliency_free(saliency);
}

static inline void close_small(small_network *n) {
    psal_model_free(n->model);
    psal_tensor_map_free(n->map);
    free(n->naive);
    free(n->standardized);
}

#endif
