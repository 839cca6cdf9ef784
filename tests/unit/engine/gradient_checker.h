/* gradient_checker.h - checks every operation's gradient rule, to first and second order, against central differences.
 *
 * Built against the double-precision engine. A check compares with sign, as |analytic - numeric| <= atol + rtol
 * |numeric|, written so that NaN fails. The checker itself is tested by feeding it broken gradients (see
 * `break_gradient`). */
#ifndef PSAL_TESTS_GRADIENT_CHECKER_H
#define PSAL_TESTS_GRADIENT_CHECKER_H

#include <stdbool.h>
#include <stdint.h>

#include "case_values.h"

typedef enum broken_rule {
    BROKEN_NOT,
    BROKEN_SIGN,   /* gradients have the wrong sign */
    BROKEN_FACTOR, /* ... are 1.01 times too large */
    BROKEN_INDEX,  /* ... are shifted by one element */
    BROKEN_NAN,    /* ... have one NaN */
    BROKEN_ZERO    /* ... are all zeros */
} broken_rule;

/* Check one case; on failure `message` says which derivative, index, expected, got. `break_gradient` spoils the
 * analytic first derivatives before comparing, to test the checker; *spoilt says whether that changed any number. */
bool check_case(const psal_op_case *c, uint64_t seed, broken_rule break_gradient, bool *spoilt, char message[512]);

#endif
