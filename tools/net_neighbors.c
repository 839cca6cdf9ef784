/* Nearest neighbours among profiles in memory. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliency/neighbors.h"
#include "tools/net.h"

typedef struct matrix {
    const float *numbers;
    int64_t length;
} matrix;

static void read_profile(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    const matrix *m = context;
    memcpy(out, m->numbers + sample * m->length + first, (size_t)count * sizeof *out);
}

static psal_status parse_similarity(const char *text, psal_similarity *similarity, psal_error *err) {
    for (int s = PSAL_SIMILARITY_COSINE; s <= PSAL_SIMILARITY_ROOTS; s++)
        if (strcmp(text, psal_similarity_name((psal_similarity)s)) == 0) {
            *similarity = (psal_similarity)s;
            return PSAL_OK;
        }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "similarity '%.100s': expected cosine, pearson, normalized or roots",
                     text);
}

psal_status psal_net_neighbors(const float *profiles, int64_t samples, int64_t length, const char *similarity,
                               const double *mean, const double *std, const int64_t *candidates,
                               int64_t candidate_count, const float *profile, const int64_t *queries,
                               int64_t query_count, int64_t top, int threads, int64_t *found, double *similarities,
                               psal_error *err) {
    const matrix m = {profiles, length};
    const psal_profile_source source = {samples, length, read_profile, NULL, &m};
    psal_neighbor_options o = {.mean = mean,
                               .std = std,
                               .candidates = candidates,
                               .candidate_count = candidate_count,
                               .top = top,
                               .threads = threads};
    psal_status status = parse_similarity(similarity, &o.similarity, err);
    if (status == PSAL_OK && (top < 1 || query_count < 1 || query_count > INT64_C(1000000000) / top))
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "%" PRId64 " queries x top %" PRId64, query_count, top);
    if (status != PSAL_OK) return status;
    for (int64_t i = 0; i < query_count && !profile; i++)
        if (queries[i] < 0 || queries[i] >= samples)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "query %" PRId64 ": samples are numbered 0 to %" PRId64,
                             queries[i], samples - 1);
    const int64_t count = query_count * top;
    double *own = mean ? NULL : malloc(2 * (size_t)length * sizeof *own);
    psal_neighbor *neighbors = malloc((size_t)count * sizeof *neighbors);
    if (!neighbors || (!mean && !own)) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for neighbours");
    if (status == PSAL_OK && own) {
        o.mean = own;
        o.std = own + length;
        status = psal_neighbors_statistics(&source, NULL, samples, o.similarity, threads, own, own + length, err);
    }
    if (status == PSAL_OK)
        status = profile ? psal_neighbors_of_profile(&source, &o, profile, neighbors, err)
                         : psal_neighbors_of_samples(&source, &o, queries, query_count, neighbors, err);
    for (int64_t i = 0; i < count && status == PSAL_OK; i++) {
        found[i] = neighbors[i].sample;
        similarities[i] = neighbors[i].similarity;
    }
    free(own);
    free(neighbors);
    return status;
}
