#include "saliency/randomize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/random.h"

struct psal_redrawn {
    float *memory;
    const float **values;
};

static const char *const names[] = {"permute", "normal"};

const char *psal_redraw_name(psal_redraw redraw) {
    return names[redraw];
}

bool psal_is_layer(const psal_model *model, int parameter) {
    const psal_model_parameter *p = psal_model_get_parameter(model, parameter);
    return p->output_axis >= 0 && p->in_graph;
}

static void permute(float *values, int64_t count, psal_random *random) {
    for (int64_t i = count - 1; i > 0; i--) { /* Fisher-Yates */
        const int64_t j = (int64_t)psal_random_below(random, (uint64_t)i + 1);
        const float swap = values[i];
        values[i] = values[j];
        values[j] = swap;
    }
}

static void draw_normal(float *values, int64_t count, psal_random *random) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) mean += values[i];
    mean /= (double)count;
    for (int64_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    const double deviation = sqrt(squares / (double)count);
    for (int64_t i = 0; i < count; i++) values[i] = (float)(mean + deviation * psal_random_normal(random));
}

psal_redrawn *psal_redrawn_new(const psal_model *model, psal_redraw redraw, uint64_t seed, psal_error *err) {
    const int parameters = psal_model_parameter_count(model);
    int64_t elements = 0;
    for (int i = 0; i < parameters; i++)
        if (psal_is_layer(model, i)) elements += psal_shape_count(&psal_model_get_parameter(model, i)->shape);
    psal_redrawn *r = calloc(1, sizeof *r);
    if (r) {
        r->memory = malloc(((size_t)elements + 1) * sizeof *r->memory);
        r->values = calloc((size_t)parameters + 1, sizeof *r->values);
    }
    if (!r || !r->memory || !r->values) {
        psal_redrawn_free(r);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld other weights", (long long)elements);
        return NULL;
    }
    float *values = r->memory;
    for (int i = 0; i < parameters; i++) {
        if (!psal_is_layer(model, i)) continue;
        const psal_model_parameter *p = psal_model_get_parameter(model, i);
        const int64_t count = psal_shape_count(&p->shape);
        psal_random random = {seed ^ ((uint64_t)i + 1) * 0x9e3779b97f4a7c15u};
        memcpy(values, p->values, (size_t)count * sizeof *values);
        if (redraw == PSAL_REDRAW_PERMUTE)
            permute(values, count, &random);
        else
            draw_normal(values, count, &random);
        r->values[i] = values;
        values += count;
    }
    return r;
}

void psal_redrawn_free(psal_redrawn *r) {
    if (!r) return;
    free(r->memory);
    free(r->values);
    free(r);
}

const float *const *psal_redrawn_values(const psal_redrawn *r) {
    return r->values;
}
