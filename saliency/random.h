/* random.h - small seeded random numbers, the same on every machine: splitmix64 (Steele, Lea & Flood 2014). */
#ifndef PSAL_SALIENCY_RANDOM_H
#define PSAL_SALIENCY_RANDOM_H

#include <stdint.h>

typedef struct psal_random {
    uint64_t state;
} psal_random;

uint64_t psal_random_bits(psal_random *random);
uint64_t psal_random_below(psal_random *random, uint64_t limit); /* 0 .. limit-1, without bias; limit >= 1 */
double psal_random_uniform(psal_random *random);                 /* [0, 1) */
double psal_random_normal(psal_random *random);                  /* mean 0, variance 1 (Box & Muller 1958) */

#endif
