#include "saliency/random.h"

#include <math.h>

uint64_t psal_random_bits(psal_random *random) {
    uint64_t z = (random->state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t psal_random_below(psal_random *random, uint64_t limit) {
    uint64_t whole = UINT64_MAX - UINT64_MAX % limit; /* the largest multiple of limit: beyond it draw again */
    uint64_t bits;
    do bits = psal_random_bits(random);
    while (bits >= whole);
    return bits % limit;
}

double psal_random_uniform(psal_random *random) {
    return (double)(psal_random_bits(random) >> 11) / 9007199254740992.0; /* 2^53 */
}

double psal_random_normal(psal_random *random) {
    double u = 1 - psal_random_uniform(random),
           v = psal_random_uniform(random); /* u in (0, 1]: its logarithm is finite */
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
