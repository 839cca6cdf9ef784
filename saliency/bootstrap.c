#include "saliency/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "saliency/random.h"

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *ascending_values, size_t n, double share) {
    const double at = share * (double)(n - 1), below = floor(at);
    const size_t i = (size_t)below;
    if (i + 1 >= n) return ascending_values[n - 1];
    return ascending_values[i] + (at - below) * (ascending_values[i + 1] - ascending_values[i]);
}

psal_status psal_bootstrap_mean(const double *values, size_t count, size_t stride, uint64_t seed,
                                psal_interval *interval, psal_error *err) {
    *interval = (psal_interval){NAN, NAN, NAN, 0};
    double *numbers = malloc((count + PSAL_BOOTSTRAP_RESAMPLES) * sizeof *numbers), *means = numbers + count, sum = 0;
    if (!numbers) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an interval of %zu values", count);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i * stride])) sum += numbers[n++] = values[i * stride];
    interval->count = n;
    if (n > 0) interval->mean = sum / (double)n;
    if (n > 1) {
        psal_random random = {seed};
        for (int r = 0; r < PSAL_BOOTSTRAP_RESAMPLES; r++) {
            sum = 0;
            for (size_t i = 0; i < n; i++) sum += numbers[psal_random_below(&random, n)];
            means[r] = sum / (double)n;
        }
        qsort(means, PSAL_BOOTSTRAP_RESAMPLES, sizeof *means, ascending);
        interval->low = percentile(means, PSAL_BOOTSTRAP_RESAMPLES, 0.025);
        interval->high = percentile(means, PSAL_BOOTSTRAP_RESAMPLES, 0.975);
    }
    free(numbers);
    return PSAL_OK;
}
