/* saliency_fixture.h - small networks with random weights, and profiles of them. */
#ifndef PSAL_TESTS_SALIENCY_FIXTURE_H
#define PSAL_TESTS_SALIENCY_FIXTURE_H

#include "saliency/saliency.h"
#include "tests/unit/models/fixtures.h"

enum { HEIGHT = 40, WIDTH = 48, CLASSES = 5 };

typedef struct fixture {
    psal_tensor_map *map;
    psal_model *model;
    float image[3 * HEIGHT * WIDTH];
} fixture;

static inline fixture *make(const char *arch, double width) {
    fixture *f = calloc(1, sizeof *f);
    f->map = psal_model_blank(arch, width, CLASSES, NULL);
    fill(f->map);
    f->model = load(f->map, NULL);
    for (int i = 0; i < 3 * HEIGHT * WIDTH; i++) f->image[i] = (float)(sin(0.37 * i) + cos(0.011 * i * (i % 7)));
    return f;
}

static inline void fixture_free(fixture *f) {
    psal_model_free(f->model);
    psal_tensor_map_free(f->map);
    free(f);
}

static inline psal_saliency *saliency_of(const fixture *f, psal_saliency_options options) {
    psal_error err = PSAL_ERROR_INIT;
    if (!options.height) options.height = HEIGHT, options.width = WIDTH;
    psal_saliency *s = psal_saliency_new(f->model, &options, &err);
    ck_assert_msg(s != NULL, "%s", err.message);
    return s;
}

static inline psal_saliency_worker *worker_of(const psal_saliency *s) {
    psal_error err = PSAL_ERROR_INIT;
    psal_saliency_worker *w = psal_saliency_worker_new(s, &err);
    ck_assert_msg(w != NULL, "%s", err.message);
    return w;
}

static inline void profile_into(psal_saliency_worker *w, const float *image, int label, int other, float *profile) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_saliency_profile(w, image, label, other, profile, &err) == PSAL_OK, "%s", err.message);
}

/* The whole way in one call; the caller frees. */
static inline float *profile_of(const fixture *f, psal_saliency_options options, int label, int other,
                                int64_t *length) {
    psal_saliency *s = saliency_of(f, options);
    psal_saliency_worker *w = worker_of(s);
    float *profile = malloc((size_t)psal_saliency_length(s) * sizeof *profile);
    profile_into(w, f->image, label, other, profile);
    if (length) *length = psal_saliency_length(s);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    return profile;
}

#endif
