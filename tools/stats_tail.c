#include "tools/stats_tail.h"

#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/atomic_file.h"
#include "io/json_input.h"
#include "io/profile_store.h"
#include "io/safetensors.h"
#include "saliency/reference_set.h"
#include "tools/computation_io.h"
#include "tools/print.h"

typedef struct job {
    const char *store_path, *out;
    char index[4200];
    psal_profile_store store;
    psal_statistics *statistics;
    psal_reference_set only; /* as the store's table says */
    int64_t *samples, count; /* of the store's reference set, those that have a profile */
} job;

static void read_profile(const void *context, int64_t sample, int64_t first, int64_t count, float *out) {
    psal_profile_store_read(context, sample, first, count, out);
}

static void release_profiles(const void *context, int64_t first, int64_t count) {
    psal_profile_store_release(context, first, count);
}

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What the store's table says of its profiles, which are naive ones whatever was added up beside. */
static psal_status read_settings(job *j, bool quiet, psal_error *err) {
    psal_computation *c = &j->statistics->computation;
    if (!j->store.settings) {
        if (!quiet)
            psal_print(stderr, "psal-stats: note: %s does not say what the profiles were computed with, nor will %s\n",
                       j->index, j->out);
        return PSAL_OK;
    }
    json_t *object = psal_json_parse_object(j->store.settings, strlen(j->store.settings), err);
    psal_status status = object ? psal_computation_from_json(c, object, err) : psal_error_status(err);
    json_decref(object);
    if (status != PSAL_OK) return psal_fail_prefix(err, "%s: the column psal_settings", j->index);
    psal_computation_set(c, PSAL_FIELD_NORMALIZED, "0");
    psal_reference_parse(c->value[PSAL_FIELD_ONLY], &j->only);
    return PSAL_OK;
}

static psal_status open_job(job *j, const psal_options *options, psal_error *err) {
    const char *index = psal_options_string(options, "index");
    if (psal_options_argument_count(options) != 3)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "tail needs a store of profiles and the name of the result: tail STORE OUT");
    j->store_path = psal_options_argument(options, 1);
    j->out = psal_options_argument(options, 2);
    snprintf(j->index, sizeof j->index, "%.4095s%s", index ? index : j->store_path, index ? "" : ".csv");
    if (same_file(j->out, j->index))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s is the store's table, which would be lost: give another name",
                         j->out);
    psal_status status = psal_atomic_file_check(j->out, err);
    if (status == PSAL_OK) status = psal_profile_store_open(j->store_path, j->index, &j->store, err);
    if (status != PSAL_OK) return status;
    j->statistics = psal_statistics_new(j->store.length, err);
    if (!j->statistics) return psal_error_status(err);
    j->samples = malloc((size_t)j->store.samples * sizeof *j->samples);
    if (!j->samples) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " samples", j->store.samples);
    status = read_settings(j, psal_options_flag(options, "quiet"), err);
    for (int64_t i = 0; i < j->store.samples; i++) {
        const psal_profile_record *record = &j->store.records[i];
        if (record->valid && psal_reference_has(j->only, record->label, record->predicted)) j->samples[j->count++] = i;
    }
    return status;
}

static psal_status fit(job *j, const psal_options *options, psal_error *err) {
    psal_profile_source source = {j->store.samples, j->store.length, read_profile, release_profiles, &j->store};
    psal_statistics *s = j->statistics;
    const int threads = psal_options_has(options, "threads") ? (int)psal_options_int(options, "threads")
                                                             : omp_get_num_procs();
    s->tail = psal_tail_fit(&source, j->samples, j->count, psal_options_double(options, "quantile"), threads, s->mean,
                            s->std, err);
    if (!s->tail) return psal_fail_prefix(err, "%s", j->store_path);
    s->count = j->count;
    psal_computation_set_tail(&s->computation, s->tail);
    return PSAL_OK;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static psal_status say(const job *j, psal_error *err) {
    const psal_tail *t = j->statistics->tail;
    double *shapes = malloc((size_t)t->length * sizeof *shapes);
    if (!shapes) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " shapes", t->length);
    int64_t count = 0;
    char only[PSAL_REFERENCE_SIZE];
    for (int64_t i = 0; i < t->length; i++)
        if (t->scale[i] > 0) shapes[count++] = t->shape[i];
    qsort(shapes, (size_t)count, sizeof *shapes, ascending);
    psal_print(stdout, "%s: tails of %" PRId64 " entries above their %g quantiles, from %" PRId64 " %s\n", j->out,
               t->length, t->quantile, t->samples,
               j->only.kind == PSAL_REFERENCE_ALL ? "samples" : psal_reference_describe(j->only, only));
    if (count)
        psal_print(stdout, "shape (0: exponential, above: heavier): median %.2f, the middle half %.2f to %.2f\n",
                   shapes[count / 2], shapes[count / 4], shapes[(3 * count) / 4]);
    if (t->pooled)
        psal_print(stdout, "%" PRId64 " of them have fewer than %d samples above the threshold and share one shape\n",
                   t->pooled, PSAL_TAIL_OWN);
    if (count < t->length)
        psal_print(stdout, "%" PRId64 " of them have none there: they have no tail and are never ranked\n",
                   t->length - count);
    free(shapes);
    return PSAL_OK;
}

/* It reads a store, not images. */
static psal_status refuse_others(const psal_options *options, psal_error *err) {
    static const char *const known[] = {"quantile", "index", "threads", "quiet", NULL};
    const char *other = psal_options_given_of(options, known, false);
    if (!other) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "tail has no option --%s: only --quantile, --index, --threads and --quiet",
                     other);
}

psal_status psal_stats_tail(const psal_options *options, psal_error *err) {
    job j = {0};
    psal_status status = refuse_others(options, err);
    if (status == PSAL_OK) status = open_job(&j, options, err);
    if (status == PSAL_OK) status = fit(&j, options, err);
    psal_tensor_map *map = status == PSAL_OK ? psal_statistics_to_tensors(j.statistics, err) : NULL;
    if (status == PSAL_OK) status = map ? psal_safetensors_write(j.out, map, err) : psal_error_status(err);
    if (status == PSAL_OK) status = say(&j, err);
    psal_tensor_map_free(map);
    psal_statistics_free(j.statistics);
    free(j.samples);
    psal_profile_store_close(&j.store);
    return status;
}
