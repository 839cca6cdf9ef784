#include "saliency/random.h"

#include <math.h>
#include <stdlib.h>

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

typedef struct element {
    int class;
    uint64_t place; /* random */
    size_t number;
} element;

static int by_class(const void *a, const void *b) {
    const element *x = a, *y = b;
    if (x->class != y->class) return (x->class > y->class) - (x->class < y->class);
    return x->place != y->place ? (x->place > y->place) - (x->place < y->place)
                                : (x->number > y->number) - (x->number < y->number);
}

static int by_number(const void *a, const void *b) {
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

psal_status psal_random_stratified(psal_random *random, const int *classes, size_t count, size_t wanted, size_t *chosen,
                                   psal_error *err) {
    element *all = malloc((count + 1) * sizeof *all);
    if (!all) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a sample of %zu", count);
    for (size_t i = 0; i < count; i++) all[i] = (element){classes[i], psal_random_bits(random), i};
    qsort(all, count, sizeof *all, by_class);
    const uint64_t start = count ? psal_random_below(random, count) : 0;
    for (size_t i = 0; i < wanted; i++) chosen[i] = all[((uint64_t)i * count + start) / wanted].number;
    qsort(chosen, wanted, sizeof *chosen, by_number);
    free(all);
    return PSAL_OK;
}
