#include "case_values.h"

#include <stdlib.h>
#include <string.h>

static uint64_t next_random(uint64_t *state) { /* splitmix64 (Steele, Lea & Flood 2014) */
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

double case_uniform(uint64_t *state, double low, double high) {
    return low + (high - low) * ((double)(next_random(state) >> 11) / 9007199254740992.0);
}

static void shuffle(double *values, int64_t n, uint64_t *state) {
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(next_random(state) % (uint64_t)(i + 1));
        double swap = values[i];
        values[i] = values[j];
        values[j] = swap;
    }
}

static void sample_input(double *values, int64_t n, const psal_case_input *input, uint64_t *state) {
    for (int64_t i = 0; i < n; i++) switch (input->values) {
        case PSAL_VALUES_NORMAL:
        case PSAL_VALUES_FIXED:
            values[i] = case_uniform(state, -1.5, 1.5);
            break;
        case PSAL_VALUES_POSITIVE:
            values[i] = case_uniform(state, 0.5, 2);
            break;
        case PSAL_VALUES_NONZERO:
            values[i] = case_uniform(state, 0.3, 1.5) * (next_random(state) & 1 ? 1 : -1);
            break;
        case PSAL_VALUES_DISTINCT:
            values[i] = -1.5 + 0.013 * (double)i;
            break;
        case PSAL_VALUES_CLASSES:
            values[i] = (double)(next_random(state) % (uint64_t)input->limit);
            break;
        }
    if (input->values == PSAL_VALUES_DISTINCT) shuffle(values, n, state);
}

void case_values_sample(case_values *v, const psal_op_case *c, uint64_t seed) {
    uint64_t state = seed;
    memset(v, 0, sizeof *v);
    for (int i = 0; i < c->input_count; i++) {
        v->count[i] = psal_shape_count(&c->inputs[i].shape);
        v->values[i] = malloc((size_t)v->count[i] * sizeof(double));
        v->differentiable[i] = c->inputs[i].values != PSAL_VALUES_FIXED && c->inputs[i].values != PSAL_VALUES_CLASSES;
        sample_input(v->values[i], v->count[i], &c->inputs[i], &state);
    }
}

void case_values_free(case_values *v) {
    for (int i = 0; i < CHECK_MAX_INPUTS; i++) free(v->values[i]);
}
