/* Similarities of some samples to each other, and of others to groups of them, block by block: two blocks of vectors
 * are in memory at a time. */
#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>

#include "engine/kernels/gemm.h"
#include "saliency/neighbors_internal.h"

enum { LEFT_ROWS = 256, RIGHT_ROWS = 64 }; /* samples of a matrix product; left ones are kept for many products */

typedef struct matrix {
    psal_profile_space space;
    const int64_t *samples;
    int64_t count;
    int threads;
    float *left;     /* [LEFT_ROWS][width] */
    float *right;    /* [threads][RIGHT_ROWS][width] */
    float *scratch;  /* [threads][length] */
    float *products; /* [threads][LEFT_ROWS][RIGHT_ROWS] */
    float *out;      /* [count][count] */
} matrix;

/* The vectors of samples begin .. end-1. Returns a sample that is not finite, or -1. */
static int64_t fill(const matrix *m, int64_t begin, int64_t end, float *scratch, float *vectors) {
    for (int64_t i = begin; i < end; i++)
        if (!psal_profile_space_fast(&m->space, m->samples[i], scratch, vectors + (i - begin) * m->space.width))
            return m->samples[i];
    return -1;
}

/* The products of the left samples with samples begin .. end-1, into both halves of the matrix. */
static int64_t multiply(const matrix *m, int64_t left, int64_t rows, int64_t begin, int64_t end, int thread) {
    const size_t width = (size_t)m->space.width, n = (size_t)m->count;
    float *right = m->right + (size_t)thread * RIGHT_ROWS * width;
    float *products = m->products + (size_t)thread * LEFT_ROWS * RIGHT_ROWS;
    const int64_t bad = fill(m, begin, end, m->scratch + thread * m->space.source->length, right);
    if (bad >= 0) return bad;
    psal_gemm(false, true, (size_t)rows, (size_t)(end - begin), width, m->left, width, right, width, false, products,
              RIGHT_ROWS);
    for (int64_t i = left; i < left + rows; i++)
        for (int64_t j = begin > i ? begin : i; j < end; j++)
            m->out[(size_t)i * n + (size_t)j] = m->out[(size_t)j * n + (size_t)i] =
                products[(i - left) * RIGHT_ROWS + j - begin];
    return -1;
}

static int64_t multiply_all(const matrix *m) {
    const psal_profile_source *source = m->space.source;
    int64_t bad = INT64_MAX;
    for (int64_t left = 0; left < m->count && bad == INT64_MAX; left += LEFT_ROWS) {
        const int64_t rows = m->count - left < LEFT_ROWS ? m->count - left : LEFT_ROWS;
#pragma omp parallel for num_threads(m->threads) reduction(min : bad) schedule(static)
        for (int64_t i = left; i < left + rows; i++) {
            float *vector = m->left + (i - left) * m->space.width;
            const int64_t here = fill(m, i, i + 1, m->scratch + omp_get_thread_num() * source->length, vector);
            if (here >= 0 && here < bad) bad = here;
        }
        if (bad != INT64_MAX) break;
#pragma omp parallel for num_threads(m->threads) reduction(min : bad) schedule(dynamic)
        for (int64_t begin = left; begin < m->count; begin += RIGHT_ROWS) {
            const int64_t end = m->count - begin < RIGHT_ROWS ? m->count : begin + RIGHT_ROWS;
            const int64_t here = multiply(m, left, rows, begin, end, omp_get_thread_num());
            if (here >= 0 && here < bad) bad = here;
        }
        if (source->release) source->release(source->context, 0, source->samples);
    }
    return bad == INT64_MAX ? -1 : bad;
}

static psal_status check_samples(const psal_profile_source *source, const int64_t *samples, int64_t count,
                                 psal_error *err) {
    for (int64_t i = 0; i < count; i++)
        if (samples[i] < 0 || samples[i] >= source->samples)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "sample %" PRId64 ": the samples are numbered 0 to %" PRId64,
                             samples[i], source->samples - 1);
    return PSAL_OK;
}

psal_status psal_neighbors_matrix(const psal_profile_source *source, const psal_neighbor_options *options,
                                  const int64_t *samples, int64_t count, float *similarities, psal_error *err) {
    psal_status status = check_samples(source, samples, count, err);
    if (status != PSAL_OK) return status;
    matrix m = {.samples = samples,
                .count = count,
                .threads = options->threads < 1 ? 1 : options->threads,
                .out = similarities};
    status = psal_profile_space_open(source, options, &m.space, err);
    if (status != PSAL_OK) return status;
    const size_t width = (size_t)m.space.width, threads = (size_t)m.threads;
    m.left = malloc(LEFT_ROWS * width * sizeof *m.left);
    m.right = malloc(threads * RIGHT_ROWS * width * sizeof *m.right);
    m.scratch = malloc(threads * (size_t)source->length * sizeof *m.scratch);
    m.products = malloc(threads * LEFT_ROWS * RIGHT_ROWS * sizeof *m.products);
    if (!m.left || !m.right || !m.scratch || !m.products) {
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for profiles of %zu entries", width);
    } else {
        const int64_t bad = multiply_all(&m);
        if (bad >= 0) status = psal_profile_space_refuse(m.space.similarity, bad, err);
    }
    free(m.left);
    free(m.right);
    free(m.scratch);
    free(m.products);
    psal_profile_space_close(&m.space);
    return status;
}

/* ---- groups ---- */

typedef struct means {
    psal_profile_space space;
    int64_t groups;
    double *sums;   /* [groups][width] of the unit vectors of its members; */
    float *centres; /* [groups][width] divided by how many there are */
    float *vectors; /* [RIGHT_ROWS][width] */
    float *scratch; /* [length] */
} means;

/* The mean similarity to a group's members is the product with the mean of their vectors. */
static int64_t find_centres(const means *m, const int64_t *samples, const int *group, int64_t count) {
    const psal_profile_source *source = m->space.source;
    const int64_t width = m->space.width;
    for (int64_t i = 0; i < count; i++) {
        if (group[i] < 0) continue;
        if (!psal_profile_space_fast(&m->space, samples[i], m->scratch, m->vectors)) return samples[i];
        double *sum = m->sums + group[i] * width;
        for (int64_t j = 0; j < width; j++) sum[j] += m->vectors[j];
        if (source->release) source->release(source->context, samples[i], 1);
    }
    for (int64_t g = 0; g < m->groups; g++) {
        int64_t members = 0;
        for (int64_t i = 0; i < count; i++) members += group[i] == g;
        for (int64_t j = 0; j < width; j++)
            m->centres[g * width + j] = members ? (float)(m->sums[g * width + j] / (double)members) : 0;
    }
    return -1;
}

static int64_t compare_others(const means *m, const int64_t *others, int64_t count, float *similarities) {
    const psal_profile_source *source = m->space.source;
    const size_t width = (size_t)m->space.width, groups = (size_t)m->groups;
    for (int64_t begin = 0; begin < count; begin += RIGHT_ROWS) {
        const int64_t rows = count - begin < RIGHT_ROWS ? count - begin : RIGHT_ROWS;
        for (int64_t r = 0; r < rows; r++)
            if (!psal_profile_space_fast(&m->space, others[begin + r], m->scratch, m->vectors + (size_t)r * width))
                return others[begin + r];
        psal_gemm(false, true, (size_t)rows, groups, width, m->vectors, width, m->centres, width, false,
                  similarities + (size_t)begin * groups, groups);
        if (source->release) source->release(source->context, 0, source->samples);
    }
    return -1;
}

psal_status psal_neighbors_of_groups(const psal_profile_source *source, const psal_neighbor_options *options,
                                     const int64_t *samples, const int *group, int64_t count, int groups,
                                     const int64_t *others, int64_t other_count, float *similarities, psal_error *err) {
    psal_status status = check_samples(source, samples, count, err);
    if (status == PSAL_OK) status = check_samples(source, others, other_count, err);
    means m = {.groups = groups};
    if (status == PSAL_OK) status = psal_profile_space_open(source, options, &m.space, err);
    if (status != PSAL_OK) return status;
    const size_t width = (size_t)m.space.width, all = (size_t)(groups > 0 ? groups : 1) * width;
    m.sums = calloc(all, sizeof *m.sums);
    m.centres = malloc(all * sizeof *m.centres);
    m.vectors = malloc(RIGHT_ROWS * width * sizeof *m.vectors);
    m.scratch = malloc((size_t)source->length * sizeof *m.scratch);
    if (!m.sums || !m.centres || !m.vectors || !m.scratch) {
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for profiles of %zu entries", width);
    } else {
        int64_t bad = find_centres(&m, samples, group, count);
        if (bad < 0 && groups > 0) bad = compare_others(&m, others, other_count, similarities);
        if (bad >= 0) status = psal_profile_space_refuse(m.space.similarity, bad, err);
    }
    free(m.sums);
    free(m.centres);
    free(m.vectors);
    free(m.scratch);
    psal_profile_space_close(&m.space);
    return status;
}
