/* random.h - small seeded random numbers, the same on every machine: splitmix64 (Steele, Lea & Flood 2014). */
#ifndef PSAL_SALIENCY_RANDOM_H
#define PSAL_SALIENCY_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_random {
    uint64_t state;
} psal_random;

uint64_t psal_random_bits(psal_random *random);
uint64_t psal_random_below(psal_random *random, uint64_t limit); /* 0 .. limit-1, without bias; limit >= 1 */
double psal_random_uniform(psal_random *random);                 /* [0, 1) */
double psal_random_normal(psal_random *random);                  /* mean 0, variance 1 (Box & Muller 1958) */

/* A sample that is spread over classes as all are: chosen[wanted] gets, in ascending order, numbers below `count`, each
 * as likely as any other, and of every class its share of them, rounded down or up. (Systematic sampling, Madow & Madow
 * 1944, of the elements in the order of their classes and in each class in a random one.) classes[count] may hold any
 * numbers; wanted <= count. */
psal_status psal_random_stratified(psal_random *random, const int *classes, size_t count, size_t wanted, size_t *chosen,
                                   psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
