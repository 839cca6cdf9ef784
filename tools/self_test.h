/* self_test.h - whether the method gives on this machine the numbers that it gave where psal was made. */
#ifndef PSAL_TOOLS_SELF_TEST_H
#define PSAL_TOOLS_SELF_TEST_H

#include "engine/error.h"
#include "engine/kernels/processor.h"

/* What may differ, of the largest stored number of each kind: float rounding and the order of sums, which instructions
 * and libraries change, stay far below. */
#define PSAL_SELF_TEST_TOLERANCE 1e-5

typedef struct psal_self_test {
    char weights[4096]; /* of the network */
    char arch[64];
    int numbers;      /* compared: logits, entries of the profile, pixels of the input's gradient */
    double deviation; /* the largest, of the largest stored number of its kind */
    double seconds;
} psal_self_test;

/* The profile and the input-space saliency of an image that a formula makes, by the small ResNet-18 that comes with
 * psal, against the numbers in self_test.c. Fails when the network cannot be read or run here, or a number is not
 * finite or deviates by more than the tolerance; *test then tells how far. */
psal_status psal_self_test_run(psal_processor processor, psal_self_test *test, psal_error *err);

#endif
