#include "saliency/neighbors.h"

#include <inttypes.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels/gemm.h"
#include "saliency/neighbors_internal.h"

/* Kept beyond the neighbours wanted, before the exact comparison. */
#define SPARE 32
/* Far above the error of a float32 similarity (measured: below 2e-6 for 26,560 entries), far below the distance of the
 * SPARE-th candidate. */
#define SLACK 5e-5
/* Candidates per matrix product, and bytes of one batch of queries. */
#define BLOCK_ROWS 64
#define BATCH_BYTES ((int64_t)64 << 20)
#define MAX_KEPT ((int64_t)1 << 20)
/* Samples that are compared exactly before their rows are given back. */
#define KEPT_ROWS 512
/* Below this many queries dot products beside the standardization are faster than a matrix product. */
#define FEW_QUERIES 4

static double dot_exact(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* ---- the best so far: a heap whose root is the worst ---- */

static bool worse(const psal_neighbor *a, const psal_neighbor *b) {
    return a->similarity < b->similarity || (a->similarity == b->similarity && a->sample > b->sample);
}

typedef struct heap {
    psal_neighbor *entry; /* [capacity] */
    int64_t count;
} heap;

static void sift_down(heap *h, int64_t at) {
    for (;;) {
        int64_t worst = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < h->count && worse(&h->entry[child], &h->entry[worst])) worst = child;
        if (worst == at) return;
        psal_neighbor other = h->entry[at];
        h->entry[at] = h->entry[worst];
        h->entry[worst] = other;
        at = worst;
    }
}

static void keep(heap *h, int64_t capacity, psal_neighbor candidate) {
    if (h->count < capacity) {
        int64_t at = h->count++;
        for (; at > 0 && worse(&candidate, &h->entry[(at - 1) / 2]); at = (at - 1) / 2)
            h->entry[at] = h->entry[(at - 1) / 2];
        h->entry[at] = candidate;
    } else if (worse(&h->entry[0], &candidate)) {
        h->entry[0] = candidate;
        sift_down(h, 0);
    }
}

static int best_first(const void *a, const void *b) {
    return worse(a, b) ? 1 : worse(b, a) ? -1 : 0;
}

/* ---- one search ---- */

typedef struct search {
    psal_profile_space space;
    const psal_neighbor_options *options;
    int64_t candidate_count;
    int threads;
    const float *profile; /* the one query, when it is no sample */
} search;

/* What one thread needs for a batch; freed by batch_free. */
typedef struct worker {
    float *rows, *scratch, *products; /* [BLOCK_ROWS][width], [length] at least, [queries][BLOCK_ROWS] */
    heap *heaps;                      /* [queries] */
    psal_neighbor *entries;           /* [queries][capacity] */
} worker;

typedef struct batch {
    const int64_t *samples; /* the queries */
    int64_t count, capacity;
    float *vectors; /* [count][width] */
    worker *workers;
} batch;

static int64_t candidate_at(const search *s, int64_t position) {
    return s->options->candidates ? s->options->candidates[position] : position;
}

static void batch_free(batch *b, int threads) {
    for (int t = 0; b->workers && t < threads; t++) {
        worker *w = &b->workers[t];
        free(w->rows);
        free(w->scratch);
        free(w->products);
        free(w->heaps);
        free(w->entries);
    }
    free(b->workers);
    free(b->vectors);
}

static psal_status batch_new(const search *s, batch *b, psal_error *err) {
    size_t width = (size_t)s->space.width, length = (size_t)s->space.source->length, count = (size_t)b->count;
    b->vectors = malloc(count * width * sizeof(float));
    b->workers = calloc((size_t)s->threads, sizeof *b->workers);
    bool good = b->vectors && b->workers;
    for (int t = 0; good && t < s->threads; t++) {
        worker *w = &b->workers[t];
        w->rows = malloc(BLOCK_ROWS * width * sizeof(float));
        w->scratch = malloc((length > PSAL_COMPARED_SCRATCH ? length : PSAL_COMPARED_SCRATCH) * sizeof(float));
        w->products = malloc(count * BLOCK_ROWS * sizeof(float));
        w->heaps = calloc(count, sizeof *w->heaps);
        w->entries = malloc(count * (size_t)b->capacity * sizeof *w->entries);
        good = w->rows && w->scratch && w->products && w->heaps && w->entries;
        for (size_t q = 0; good && q < count; q++) w->heaps[q].entry = w->entries + q * (size_t)b->capacity;
    }
    return good ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the neighbours of %zu samples", count);
}

/* The unit vectors of the queries. Returns a query that is not finite (-1: the profile that is no sample), or -2. */
static int64_t fill_queries(const search *s, batch *b) {
    int64_t width = s->space.width, bad = INT64_MAX;
#pragma omp parallel for num_threads(s->threads) reduction(min : bad) schedule(dynamic)
    for (int64_t q = 0; q < b->count; q++) {
        worker *w = &b->workers[omp_get_thread_num()];
        if (s->profile) {
            double *exact = malloc((size_t)width * sizeof *exact);
            bool good = exact && psal_profile_space_exact(&s->space, -1, s->profile, w->scratch, exact);
            for (int64_t i = 0; good && i < width; i++) b->vectors[i] = (float)exact[i];
            free(exact);
            if (!good) bad = b->samples[q];
        } else if (!psal_profile_space_fast(&s->space, b->samples[q], w->scratch, b->vectors + q * width)) {
            if (b->samples[q] < bad) bad = b->samples[q];
        }
    }
    return bad == INT64_MAX ? -2 : bad;
}

/* Compare candidates begin .. end-1 with all queries of the batch. Returns a sample that is not finite, or -2. */
static int64_t compare_block(const search *s, const batch *b, worker *w, int64_t begin, int64_t end) {
    size_t width = (size_t)s->space.width, rows = (size_t)(end - begin);
    const psal_profile_source *source = s->space.source;
    int64_t samples[BLOCK_ROWS];
    for (size_t r = 0; r < rows; r++) samples[r] = candidate_at(s, begin + (int64_t)r);
    if (b->count < FEW_QUERIES) {
        for (size_t r = 0; r < rows; r += PSAL_COMPARED_ROWS) {
            size_t group = rows - r < PSAL_COMPARED_ROWS ? rows - r : PSAL_COMPARED_ROWS;
            int64_t bad = psal_profile_space_compare(&s->space, samples + r, (int64_t)group, b->vectors, b->count,
                                                     w->scratch, w->rows, w->products + r, (int64_t)rows);
            if (bad >= 0) return bad;
        }
    } else {
        for (size_t r = 0; r < rows; r++)
            if (!psal_profile_space_fast(&s->space, samples[r], w->scratch, w->rows + r * width)) return samples[r];
        psal_gemm(false, true, (size_t)b->count, rows, width, b->vectors, width, w->rows, width, false, w->products,
                  rows);
    }
    for (int64_t q = 0; q < b->count; q++)
        for (size_t r = 0; r < rows; r++)
            if (samples[r] != b->samples[q])
                keep(&w->heaps[q], b->capacity, (psal_neighbor){samples[r], w->products[(size_t)q * rows + r]});
    if (source->release) source->release(source->context, samples[0], samples[rows - 1] - samples[0] + 1);
    return -2;
}

static int64_t compare_all(const search *s, batch *b) {
    int64_t blocks = (s->candidate_count + BLOCK_ROWS - 1) / BLOCK_ROWS, bad = INT64_MAX;
#pragma omp parallel for num_threads(s->threads) reduction(min : bad) schedule(dynamic)
    for (int64_t block = 0; block < blocks; block++) {
        int64_t begin = block * BLOCK_ROWS, end = begin + BLOCK_ROWS;
        if (end > s->candidate_count) end = s->candidate_count;
        int64_t sample = compare_block(s, b, &b->workers[omp_get_thread_num()], begin, end);
        if (sample >= 0 && sample < bad) bad = sample;
    }
    if (bad != INT64_MAX) return bad;
    for (int t = 1; t < s->threads; t++)
        for (int64_t q = 0; q < b->count; q++)
            for (int64_t i = 0; i < b->workers[t].heaps[q].count; i++)
                keep(&b->workers[0].heaps[q], b->capacity, b->workers[t].heaps[q].entry[i]);
    return -2;
}

/* The similarities of one query to what it kept, in double, by all threads. */
static psal_status compare_exactly(const search *s, const batch *b, int64_t q) {
    const psal_profile_source *source = s->space.source;
    size_t width = (size_t)s->space.width;
    heap *h = &b->workers[0].heaps[q];
    double *query = malloc(width * sizeof *query), *others = malloc((size_t)s->threads * width * sizeof *others);
    psal_status status = query && others ? PSAL_OK : PSAL_ERR_MEMORY;
    if (status == PSAL_OK) psal_profile_space_exact(&s->space, b->samples[q], s->profile, b->workers[0].scratch, query);
    for (int64_t begin = 0; begin < h->count && status == PSAL_OK; begin += KEPT_ROWS) {
        int64_t end = h->count - begin < KEPT_ROWS ? h->count : begin + KEPT_ROWS;
#pragma omp parallel for num_threads(s->threads) schedule(dynamic)
        for (int64_t i = begin; i < end; i++) {
            int thread = omp_get_thread_num();
            double *other = others + (size_t)thread * width;
            psal_profile_space_exact(&s->space, h->entry[i].sample, NULL, b->workers[thread].scratch, other);
            h->entry[i].similarity = dot_exact(query, other, s->space.width);
        }
        /* Of samples all over the source, together. */
        if (source->release) source->release(source->context, 0, source->samples);
    }
    free(query);
    free(others);
    return status;
}

/* Compare what one query kept again, and sort it. *certain: nothing that was dropped can belong to the answer. */
static psal_status refine(const search *s, const batch *b, int64_t q, psal_neighbor *neighbors, bool *certain) {
    int64_t top = s->options->top;
    heap *h = &b->workers[0].heaps[q];
    bool dropped = h->count == b->capacity;
    double limit = dropped ? h->entry[0].similarity + SLACK : 0;
    psal_status status = compare_exactly(s, b, q);
    if (status != PSAL_OK) return status;
    qsort(h->entry, (size_t)h->count, sizeof *h->entry, best_first);
    for (int64_t i = 0; i < top; i++) neighbors[i] = i < h->count ? h->entry[i] : (psal_neighbor){-1, 0};
    *certain = !dropped || b->capacity >= s->candidate_count || neighbors[top - 1].similarity > limit;
    return PSAL_OK;
}

/* One batch with `capacity` candidates kept per query; certain[q] says whether neighbors[q] is final. */
static psal_status run_batch(const search *s, const int64_t *samples, int64_t count, int64_t capacity,
                             psal_neighbor *neighbors, bool *certain, psal_error *err) {
    batch b = {.samples = samples, .count = count, .capacity = capacity};
    psal_status status = batch_new(s, &b, err);
    const psal_profile_source *source = s->space.source;
    int64_t bad = status == PSAL_OK ? fill_queries(s, &b) : -2;
    if (source->release) source->release(source->context, 0, source->samples);
    if (status == PSAL_OK && bad == -2) bad = compare_all(s, &b);
    if (bad >= -1) status = psal_profile_space_refuse(s->space.similarity, bad, err);
    for (int64_t q = 0; q < count && status == PSAL_OK; q++) {
        status = refine(s, &b, q, neighbors + q * s->options->top, &certain[q]);
        if (status != PSAL_OK)
            psal_fail(err, status, "out of memory for profiles of %" PRId64 " entries", s->space.width);
    }
    if (source->release) source->release(source->context, 0, source->samples);
    batch_free(&b, s->threads);
    return status;
}

static psal_status find(const search *s, const int64_t *samples, int64_t count, int64_t capacity, bool counted,
                        psal_neighbor *neighbors, psal_error *err);

/* Once more, and keep more candidates, for the queries of which many candidates have nearly the same similarity. */
static psal_status find_uncertain(const search *s, const int64_t *samples, int64_t count, int64_t capacity,
                                  const bool *certain, psal_neighbor *neighbors, psal_error *err) {
    int64_t left = 0, top = s->options->top;
    for (int64_t q = 0; q < count; q++) left += !certain[q];
    if (left == 0) return PSAL_OK;
    int64_t *queries = malloc((size_t)left * sizeof *queries), at = 0;
    psal_neighbor *found = malloc((size_t)(left * top) * sizeof *found);
    psal_status status = PSAL_ERR_MEMORY;
    if (queries && found) {
        for (int64_t q = 0; q < count; q++)
            if (!certain[q]) queries[at++] = samples[q];
        status = find(s, queries, left, capacity * 8, false, found, err);
        at = 0;
        for (int64_t q = 0; q < count && status == PSAL_OK; q++)
            if (!certain[q]) memcpy(neighbors + q * top, found + at++ * top, (size_t)top * sizeof *found);
    } else {
        psal_fail(err, status, "out of memory for the neighbours of %" PRId64 " samples", left);
    }
    free(queries);
    free(found);
    return status;
}

static psal_status find(const search *s, const int64_t *samples, int64_t count, int64_t capacity, bool counted,
                        psal_neighbor *neighbors, psal_error *err) {
    if (capacity > s->candidate_count) capacity = s->candidate_count > 0 ? s->candidate_count : 1;
    int64_t most = BATCH_BYTES / (s->space.width * (int64_t)sizeof(float)), top = s->options->top;
    if (most > MAX_KEPT / capacity) most = MAX_KEPT / capacity;
    if (most > count) most = count;
    if (most < 1) most = 1;
    bool *certain = malloc((size_t)most);
    if (!certain) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_status status = PSAL_OK;
    for (int64_t begin = 0; begin < count && status == PSAL_OK; begin += most) {
        int64_t part = count - begin < most ? count - begin : most;
        status = run_batch(s, samples + begin, part, capacity, neighbors + begin * top, certain, err);
        if (status == PSAL_OK)
            status = find_uncertain(s, samples + begin, part, capacity, certain, neighbors + begin * top, err);
        if (status == PSAL_OK && counted) s->options->step(s->options->step_data, part);
    }
    free(certain);
    return status;
}

static psal_status search_all(const psal_profile_source *source, const psal_neighbor_options *options,
                              const float *profile, const int64_t *queries, int64_t count, psal_neighbor *neighbors,
                              psal_error *err) {
    if (options->top < 1 || options->top > MAX_KEPT)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%" PRId64 " neighbours: must be 1 to %" PRId64, options->top,
                         MAX_KEPT);
    for (int64_t i = 0; options->candidates && i < options->candidate_count; i++)
        if (options->candidates[i] < 0 || options->candidates[i] >= source->samples ||
            (i > 0 && options->candidates[i] <= options->candidates[i - 1]))
            return psal_fail(err, PSAL_ERR_ARGUMENT, "candidate %" PRId64 " of %" PRId64 " samples, or out of order",
                             options->candidates[i], source->samples);
    for (int64_t i = 0; !profile && i < count; i++)
        if (queries[i] < 0 || queries[i] >= source->samples)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "sample %" PRId64 ": the samples are numbered 0 to %" PRId64,
                             queries[i], source->samples - 1);
    search s = {.options = options, .profile = profile, .threads = options->threads < 1 ? 1 : options->threads};
    s.candidate_count = options->candidates ? options->candidate_count : source->samples;
    psal_status status = psal_profile_space_open(source, options, &s.space, err);
    if (status == PSAL_OK)
        status = find(&s, queries, count, options->top + SPARE, options->step != NULL, neighbors, err);
    psal_profile_space_close(&s.space);
    return status;
}

psal_status psal_neighbors_of_samples(const psal_profile_source *source, const psal_neighbor_options *options,
                                      const int64_t *queries, int64_t query_count, psal_neighbor *neighbors,
                                      psal_error *err) {
    return search_all(source, options, NULL, queries, query_count, neighbors, err);
}

psal_status psal_neighbors_of_profile(const psal_profile_source *source, const psal_neighbor_options *options,
                                      const float *profile, psal_neighbor *neighbors, psal_error *err) {
    const int64_t none = -1;
    return search_all(source, options, profile, &none, 1, neighbors, err);
}
