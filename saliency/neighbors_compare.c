/* A few queries and all samples of a store: limited by how fast the store can be read, so nothing is done twice, and
 * nothing but the store comes from far away in memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/neighbors_internal.h"

#if defined __x86_64__ && defined __GNUC__
#include <immintrin.h>
#define QUICK
#endif

/* Entries, and samples, that are worked on at the same time: together with what belongs to them they fit the first
 * cache. */
enum { CHUNK = 1024, TOGETHER = 4 };
_Static_assert(CHUNK *TOGETHER <= PSAL_COMPARED_SCRATCH, "the samples of a chunk must fit");
_Static_assert(PSAL_COMPARED_ROWS % TOGETHER == 0, "groups must be made of whole ones");

PSAL_CLONES static float dot(const float *a, const float *b, int64_t n) {
    float lane[LANES] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += a[i + l] * b[i + l];
    for (; i < n; i++) rest += a[i] * b[i];
    for (int l = 0; l < LANES; l++) rest += lane[l];
    return rest;
}

#ifdef QUICK

__attribute__((target("avx2,fma"))) static float sum_of_lanes(__m256 x) {
    float lane[8], sum = 0;
    _mm256_storeu_ps(lane, x);
    for (int l = 0; l < 8; l++) sum += lane[l];
    return sum;
}

/* With d = s * inverse - offset, for each of the samples s[TOGETHER][CHUNK], n entries: dots += d q, squares += d d. */
__attribute__((target("avx2,fma"))) static void add_products(const float *s, const float *inverse, const float *offset,
                                                             const float *query, int64_t n, float dots[TOGETHER],
                                                             float squares[TOGETHER]) {
    __m256 dot_of[TOGETHER], squares_of[TOGETHER];
    for (int t = 0; t < TOGETHER; t++) dot_of[t] = squares_of[t] = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 a = _mm256_loadu_ps(inverse + i), b = _mm256_loadu_ps(offset + i), q = _mm256_loadu_ps(query + i);
#pragma GCC unroll 4
        for (int t = 0; t < TOGETHER; t++) {
            __m256 d = _mm256_fmsub_ps(_mm256_loadu_ps(s + t * CHUNK + i), a, b);
            dot_of[t] = _mm256_fmadd_ps(d, q, dot_of[t]);
            squares_of[t] = _mm256_fmadd_ps(d, d, squares_of[t]);
        }
    }
    for (int t = 0; t < TOGETHER; t++) {
        float products = sum_of_lanes(dot_of[t]), own = sum_of_lanes(squares_of[t]);
        for (int64_t j = i; j < n; j++) {
            float d = s[t * CHUNK + j] * inverse[j] - offset[j];
            products += d * query[j];
            own += d * d;
        }
        dots[t] += products;
        squares[t] += own;
    }
}

/* Sums of products and of squares, TOGETHER samples at a time. */
static void compare_group(const psal_profile_space *space, const int64_t *samples, int64_t rows, const float *queries,
                          int64_t count, float *scratch, float squares[PSAL_COMPARED_ROWS], float *similarities,
                          int64_t stride) {
    const psal_profile_source *source = space->source;
    float dots[PSAL_COMPARED_ROWS];
    int64_t at = 0;
    for (int64_t q = 0; q < count; q++)
        for (int64_t r = 0; r < rows; r++) similarities[q * stride + r] = 0;
    for (int64_t g = 0; g < space->range_count; g++)
        for (int64_t done = 0, n; done < space->ranges[g].count; done += n, at += n) {
            n = space->ranges[g].count - done < CHUNK ? space->ranges[g].count - done : CHUNK;
            for (int64_t r = 0; r < rows; r += TOGETHER) {
                int64_t here = rows - r < TOGETHER ? rows - r : TOGETHER;
                for (int64_t t = 0; t < here; t++)
                    source->read(source->context, samples[r + t], space->ranges[g].first + done, n,
                                 scratch + t * CHUNK);
                for (int64_t t = here; t < TOGETHER; t++) memset(scratch + t * CHUNK, 0, (size_t)n * sizeof *scratch);
                for (int64_t q = 0; q < count; q++) {
                    float again[TOGETHER] = {0};
                    memset(dots, 0, sizeof dots);
                    add_products(scratch, space->inverse + at, space->offset + at, queries + q * space->width + at, n,
                                 dots, q == 0 ? squares + r : again);
                    for (int64_t t = 0; t < here; t++) similarities[q * stride + r + t] += dots[t];
                }
            }
        }
}

#endif

int64_t psal_profile_space_compare(const psal_profile_space *space, const int64_t *samples, int64_t rows,
                                   const float *queries, int64_t count, float *scratch, float *row, float *similarities,
                                   int64_t stride) {
    float squares[PSAL_COMPARED_ROWS] = {0}; /* 0: not compared the quick way */
#ifdef QUICK
    if (space->quick && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        compare_group(space, samples, rows, queries, count, scratch, squares, similarities, stride);
#endif
    for (int64_t r = 0; r < rows; r++) {
        bool good = squares[r] > PSAL_SMALLEST_SQUARES && squares[r] < PSAL_LARGEST_SQUARES;
        if (!good && !psal_profile_space_fast(space, samples[r], scratch, row)) return samples[r];
        for (int64_t q = 0; q < count; q++) {
            float *similarity = &similarities[q * stride + r];
            *similarity = good ? *similarity / sqrtf(squares[r]) : dot(queries + q * space->width, row, space->width);
        }
    }
    return -1;
}
