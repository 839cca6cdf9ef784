#include "saliency/neighbors_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_STD 1e-14 /* as in psal_standardize */
/* Means so many deviations from 0 may be subtracted after the division: float32 then rounds each entry by 4e-6 at most,
 * and a similarity by much less. */
#define LARGEST_OFFSET 64

const char *psal_similarity_name(psal_similarity similarity) {
    static const char *const names[] = {"cosine", "pearson", "normalized", "roots"};
    return names[similarity];
}

/* ---- the space ---- */

static psal_status check_ranges(const psal_profile_space *space, psal_error *err) {
    int64_t end = 0;
    for (int64_t r = 0; r < space->range_count; r++) {
        const psal_entry_range *range = &space->ranges[r];
        if (range->count < 1 || range->first < end || range->count > space->source->length - range->first)
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "entries %" PRId64 " to %" PRId64 " are no range of a profile of %" PRId64
                             " entries, or not behind the one before",
                             range->first, range->first + range->count - 1, space->source->length);
        end = range->first + range->count;
    }
    return PSAL_OK;
}

psal_status psal_profile_space_open(const psal_profile_source *source, const psal_neighbor_options *options,
                                    psal_profile_space *space, psal_error *err) {
    *space = (psal_profile_space){.source = source,
                                  .similarity = options->similarity,
                                  .ranges = options->ranges,
                                  .range_count = options->range_count,
                                  .whole = {0, source->length}};
    if (!space->ranges) {
        space->ranges = &space->whole;
        space->range_count = 1;
    }
    psal_status status = check_ranges(space, err);
    if (status != PSAL_OK) return status;
    for (int64_t r = 0; r < space->range_count; r++) space->width += space->ranges[r].count;
    if (space->width == 0) return psal_fail(err, PSAL_ERR_ARGUMENT, "no entries of the profiles to compare");
    size_t width = (size_t)space->width;
    space->shift = malloc(width * sizeof(double));
    space->scale = malloc(width * sizeof(double));
    space->shift_high = malloc(width * sizeof(float));
    space->shift_low = malloc(width * sizeof(float));
    space->inverse = malloc(width * sizeof(float));
    space->offset = malloc(width * sizeof(float));
    if (!space->shift || !space->scale || !space->shift_high || !space->shift_low || !space->inverse ||
        !space->offset) {
        psal_profile_space_close(space);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for statistics of %zu entries", width);
    }
    int64_t at = 0;
    double largest = 0;
    for (int64_t r = 0; r < space->range_count; r++)
        for (int64_t i = 0; i < space->ranges[r].count; i++, at++) {
            double mean = options->mean[space->ranges[r].first + i], std = options->std[space->ranges[r].first + i];
            space->shift[at] = mean;
            space->scale[at] = std <= SMALLEST_STD ? 1 : std;
            space->shift_high[at] = (float)mean;
            space->shift_low[at] = (float)(mean - space->shift_high[at]);
            space->inverse[at] = (float)(1 / space->scale[at]);
            space->offset[at] = (float)(mean / space->scale[at]);
            largest = fmax(largest, fabs(mean / space->scale[at]));
        }
    space->quick = largest <= LARGEST_OFFSET && space->similarity == PSAL_SIMILARITY_COSINE;
    return PSAL_OK;
}

void psal_profile_space_close(psal_profile_space *space) {
    free(space->shift);
    free(space->scale);
    free(space->shift_high);
    free(space->shift_low);
    free(space->inverse);
    free(space->offset);
    *space = (psal_profile_space){0};
}

/* ---- float32 ---- */

PSAL_CLONES static float sum_of_squares(const float *x, int64_t n) {
    float lane[LANES] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += x[i + l] * x[i + l];
    for (; i < n; i++) rest += x[i] * x[i];
    for (int l = 0; l < LANES; l++) rest += lane[l];
    return rest;
}

PSAL_CLONES static float sum(const float *x, int64_t n) {
    float lane[LANES] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += x[i + l];
    for (; i < n; i++) rest += x[i];
    for (int l = 0; l < LANES; l++) rest += lane[l];
    return rest;
}

PSAL_CLONES static void standardize(const float *s, const float *high, const float *low, const float *inverse,
                                    int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) out[i] = ((s[i] - high[i]) - low[i]) * inverse[i];
}

/* With a factor, which float32 would round before the mean is subtracted. */
PSAL_CLONES static void standardize_scaled(const float *s, double factor, const double *shift, const float *inverse,
                                           int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (float)(s[i] * factor - shift[i]) * inverse[i];
}

PSAL_CLONES static void scale(float *x, float shift, float factor, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = (x[i] - shift) * factor;
}

/* L2 norm in double: naive saliencies may be as small as 1e-20, whose squares float32 does not have. */
PSAL_CLONES static double norm(const float *x, int64_t n) {
    double lane[8] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) lane[l] += (double)x[i + l] * x[i + l];
    for (; i < n; i++) rest += (double)x[i] * x[i];
    for (int l = 0; l < 8; l++) rest += lane[l];
    return sqrt(rest);
}

/* NaN where an entry is negative. */
PSAL_CLONES static void take_roots(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = sqrtf(x[i]);
}

static bool centred(psal_similarity similarity) {
    return similarity == PSAL_SIMILARITY_PEARSON || similarity == PSAL_SIMILARITY_ROOTS;
}

/* Read the entries compared (or everything, which `normalized` needs) into scratch, and say by what they are
 * multiplied. */
static double read_entries(const psal_profile_space *space, int64_t sample, const float *profile, float *scratch) {
    const psal_profile_source *source = space->source;
    if (space->similarity == PSAL_SIMILARITY_NORMALIZED) {
        if (profile)
            memcpy(scratch, profile, (size_t)source->length * sizeof *scratch);
        else
            source->read(source->context, sample, 0, source->length, scratch);
        double length = norm(scratch, source->length);
        int64_t at = 0;
        /* ranges increase, so that nothing is overwritten too early */
        for (int64_t r = 0; r < space->range_count; r++) {
            memmove(scratch + at, scratch + space->ranges[r].first, (size_t)space->ranges[r].count * sizeof *scratch);
            at += space->ranges[r].count;
        }
        /* NaN stays NaN: 1 / NaN below is found by the caller through its entries */
        return length > 0 ? 1 / length : 1;
    }
    int64_t at = 0;
    for (int64_t r = 0; r < space->range_count; r++) {
        const psal_entry_range *range = &space->ranges[r];
        if (profile)
            memcpy(scratch + at, profile + range->first, (size_t)range->count * sizeof *scratch);
        else
            source->read(source->context, sample, range->first, range->count, scratch + at);
        at += range->count;
    }
    return 1;
}

void psal_profile_space_scores(const psal_profile_space *space, int64_t sample, float *scratch, float *out) {
    const int64_t n = space->width;
    const double factor = read_entries(space, sample, NULL, scratch);
    if (space->similarity == PSAL_SIMILARITY_ROOTS) take_roots(scratch, n);
    if (space->similarity == PSAL_SIMILARITY_NORMALIZED)
        standardize_scaled(scratch, factor, space->shift, space->inverse, n, out);
    else
        standardize(scratch, space->shift_high, space->shift_low, space->inverse, n, out);
}

bool psal_profile_space_fast(const psal_profile_space *space, int64_t sample, float *scratch, float *out) {
    int64_t n = space->width;
    psal_profile_space_scores(space, sample, scratch, out);
    float squares = sum_of_squares(out, n), uncentred = squares;
    if (centred(space->similarity)) {
        scale(out, sum(out, n) / (float)n, 1, n);
        squares = sum_of_squares(out, n);
    }
    /* Beyond float32's comfortable range, hardly anything left by the centring, or NaN: the slow way decides whether
     * the profile is any good. */
    if (!(squares > PSAL_SMALLEST_SQUARES && squares < PSAL_LARGEST_SQUARES && squares > 1e-4f * uncentred)) {
        double *exact = malloc((size_t)n * sizeof *exact);
        bool good = exact && psal_profile_space_exact(space, sample, NULL, scratch, exact);
        for (int64_t i = 0; good && i < n; i++) out[i] = (float)exact[i];
        free(exact);
        return good;
    }
    scale(out, 0, 1 / sqrtf(squares), n);
    return true;
}

/* ---- double ---- */

bool psal_profile_space_exact(const psal_profile_space *space, int64_t sample, const float *profile, float *scratch,
                              double *out) {
    int64_t n = space->width;
    double factor = read_entries(space, sample, profile, scratch), total = 0, squares = 0, uncentred = 0;
    for (int64_t i = 0; i < n; i++) {
        const double s = space->similarity == PSAL_SIMILARITY_ROOTS ? sqrt(scratch[i]) : scratch[i] * factor;
        out[i] = (s - space->shift[i]) / space->scale[i];
        total += out[i];
        uncentred += out[i] * out[i];
    }
    double mean = centred(space->similarity) ? total / (double)n : 0;
    for (int64_t i = 0; i < n; i++) {
        out[i] -= mean;
        squares += out[i] * out[i];
    }
    if (!isfinite(squares)) return false;
    /* What is left of a constant profile after centring is rounding: it has no direction. */
    double inverse = squares > 1e-26 * uncentred ? 1 / sqrt(squares) : 0;
    for (int64_t i = 0; i < n; i++) out[i] *= inverse;
    return true;
}

psal_status psal_profile_space_refuse(psal_similarity similarity, int64_t sample, psal_error *err) {
    char which[60] = "the profile to compare with";
    if (sample >= 0) snprintf(which, sizeof which, "the profile of sample %" PRId64, sample);
    return psal_fail(err, PSAL_ERR_NUMERIC, "%s %s", which,
                     similarity == PSAL_SIMILARITY_ROOTS ? "has a number that is negative or not finite: it has no root"
                                                         : "is not finite");
}

/* ---- statistics ---- */

#define STATISTICS_ROWS 64

/* Fill rows[count][length] with the profiles, as the similarity takes them, of samples from `position` on. Returns a
 * sample that is not finite, or -1. */
static int64_t read_block(const psal_profile_source *source, const int64_t *samples, int64_t position, int64_t count,
                          psal_similarity similarity, int threads, float *rows) {
    int64_t bad = INT64_MAX;
#pragma omp parallel for num_threads(threads) reduction(min : bad)
    for (int64_t r = 0; r < count; r++) {
        int64_t sample = samples ? samples[position + r] : position + r;
        float *row = rows + r * source->length;
        source->read(source->context, sample, 0, source->length, row);
        if (similarity == PSAL_SIMILARITY_ROOTS) take_roots(row, source->length);
        double length = norm(row, source->length);
        if (!isfinite(length) && sample < bad) bad = sample;
        if (similarity == PSAL_SIMILARITY_NORMALIZED && length > 0)
            for (int64_t i = 0; i < source->length; i++) row[i] = (float)(row[i] / length);
    }
    int64_t first = INT64_MAX, last = -1; /* given back together: a row by itself may be less than a page */
    for (int64_t r = 0; r < count; r++) {
        int64_t sample = samples ? samples[position + r] : position + r;
        if (sample < first) first = sample;
        if (sample > last) last = sample;
    }
    if (source->release) source->release(source->context, first, last - first + 1);
    return bad == INT64_MAX ? -1 : bad;
}

psal_status psal_neighbors_statistics(const psal_profile_source *source, const int64_t *samples, int64_t count,
                                      psal_similarity similarity, int threads, double *mean, double *std,
                                      psal_error *err) {
    int64_t length = source->length;
    if (!samples) count = source->samples;
    if (count < 2)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "statistics of %" PRId64 " samples: at least two are needed", count);
    if (threads < 1) threads = 1;
    float *rows = malloc((size_t)STATISTICS_ROWS * (size_t)length * sizeof *rows);
    if (!rows) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for profiles of %" PRId64 " entries", length);
    memset(mean, 0, (size_t)length * sizeof *mean);
    memset(std, 0, (size_t)length * sizeof *std);
    psal_status status = PSAL_OK;
    for (int pass = 0; pass < 2 && status == PSAL_OK; pass++) {
        for (int64_t begin = 0; begin < count; begin += STATISTICS_ROWS) {
            int64_t block = count - begin < STATISTICS_ROWS ? count - begin : STATISTICS_ROWS;
            int64_t bad = read_block(source, samples, begin, block, similarity, threads, rows);
            if (bad >= 0) {
                status = psal_profile_space_refuse(similarity, bad, err);
                break;
            }
            /* Every entry's sum is taken in the order of the samples, whichever thread does it. */
#pragma omp parallel num_threads(threads)
            for (int64_t r = 0; r < block; r++) {
                const float *row = rows + r * length;
#pragma omp for nowait schedule(static)
                for (int64_t i = 0; i < length; i++) {
                    double d = row[i] - mean[i];
                    if (pass == 0)
                        std[i] += row[i];
                    else
                        std[i] += d * d;
                }
            }
        }
        for (int64_t i = 0; i < length; i++) {
            if (pass == 0) {
                mean[i] = std[i] / (double)count;
                std[i] = 0;
            } else {
                std[i] = sqrt(std[i] / (double)(count - 1));
            }
        }
    }
    free(rows);
    return status;
}

int64_t psal_neighbors_hubs(const psal_neighbor *neighbors, int64_t count, int64_t samples, int64_t *counts) {
    memset(counts, 0, (size_t)samples * sizeof *counts);
    for (int64_t i = 0; i < count; i++)
        if (neighbors[i].sample >= 0 && neighbors[i].sample < samples) counts[neighbors[i].sample]++;
    int64_t best = -1;
    for (int64_t i = 0; i < samples; i++)
        if (counts[i] > (best < 0 ? 0 : counts[best])) best = i;
    return best;
}
