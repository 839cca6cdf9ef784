/* case_values.h - sampled inputs for the check cases of the operation table, shared by the tests of gradients and
 * values. */
#ifndef PSAL_TESTS_CASE_VALUES_H
#define PSAL_TESTS_CASE_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/op.h"

enum { CHECK_MAX_INPUTS = 4 };

/* Sampled inputs of one case; free with case_values_free. */
typedef struct case_values {
    double *values[CHECK_MAX_INPUTS];
    int64_t count[CHECK_MAX_INPUTS];
    bool differentiable[CHECK_MAX_INPUTS];
} case_values;

/* The same numbers for the same seed, on every machine. */
void case_values_sample(case_values *v, const psal_op_case *c, uint64_t seed);
void case_values_free(case_values *v);

double case_uniform(uint64_t *state, double low, double high);

#endif
