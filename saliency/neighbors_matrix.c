/* All similarities of some samples to each other, block by block: two blocks of vectors are in memory at a time. */
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

psal_status psal_neighbors_matrix(const psal_profile_source *source, const psal_neighbor_options *options,
                                  const int64_t *samples, int64_t count, float *similarities, psal_error *err) {
    for (int64_t i = 0; i < count; i++)
        if (samples[i] < 0 || samples[i] >= source->samples)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "sample %" PRId64 ": the samples are numbered 0 to %" PRId64,
                             samples[i], source->samples - 1);
    matrix m = {.samples = samples,
                .count = count,
                .threads = options->threads < 1 ? 1 : options->threads,
                .out = similarities};
    psal_status status = psal_profile_space_open(source, options, &m.space, err);
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
        if (bad >= 0) status = psal_fail(err, PSAL_ERR_NUMERIC, "the profile of sample %" PRId64 " is not finite", bad);
    }
    free(m.left);
    free(m.right);
    free(m.scratch);
    free(m.products);
    psal_profile_space_close(&m.space);
    return status;
}
