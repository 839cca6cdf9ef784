#include "tools/stats_merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/numbers.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "io/profile_writer.h"
#include "io/run_lock.h"
#include "tools/print.h"
#include "tools/sampling.h"
#include "tools/shard.h"
#include "tools/stats_figures.h"
#include "tools/stats_state.h"
#include "tools/store_source.h"
#include "tools/figure_style.h"

typedef struct joining {
    psal_computation computation; /* of the first part, and what others say beside it */
    psal_fields unsaid;           /* by one of them, of an earlier version */
    int64_t shards;
    psal_summary **parts; /* [shards] by number, NULL while missing */
    const char **files;   /* [shards] */
    char *source;         /* as the first part read records it; NULL: it does not */
    psal_session session; /* for --figures; below likewise */
    psal_saliency *saliency;
    psal_aggregation aggregation;
} joining;

static int64_t number(const psal_computation *computation, psal_field field) {
    int64_t value;
    return psal_parse_int64(computation->value[field], &value) ? value : -1;
}

static psal_status same_run(joining *j, const psal_computation *part, const char *path, psal_error *err) {
    const psal_fields which = PSAL_FIELDS_RUN & ~PSAL_FIELD_SET(PSAL_FIELD_SHARD);
    psal_field differs = psal_computation_difference(part, &j->computation, which);
    if (differs != PSAL_FIELD_COUNT)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s belongs to another run than the first part: its %s is '%s', not '%s'", path,
                         psal_field_describe(differs)->name, part->value[differs], j->computation.value[differs]);
    j->unsaid |= psal_computation_unsaid(part, &j->computation, which, true);
    for (int f = 0; f < PSAL_FIELD_COUNT; f++) {
        if (*j->computation.value[f] || !*part->value[f]) continue;
        memcpy(j->computation.value[f], part->value[f], PSAL_FIELD_SIZE);
        j->unsaid |= PSAL_FIELD_SET(f) & PSAL_FIELDS_RUN;
    }
    return PSAL_OK;
}

/* What not all parts say is not true of the whole. */
static void forget_unsaid(joining *j, bool quiet) {
    char names[512];
    if (j->unsaid && !quiet)
        psal_print(
            stderr,
            "psal-stats: note: parts of an earlier version do not say their %s: taken to be those of the others\n",
            psal_fields_names(j->unsaid, names));
    for (int f = 0; f < PSAL_FIELD_COUNT; f++)
        if (j->unsaid & PSAL_FIELD_SET(f)) *j->computation.value[f] = '\0';
}

/* Read one part and put it in its place. */
static psal_status read_part(joining *j, const char *path, psal_error *err) {
    psal_computation found;
    char *source;
    psal_summary *part = psal_state_read(path, &found, &source, err);
    if (!part) return psal_error_status(err);
    if (j->source)
        free(source);
    else
        j->source = source;
    psal_status status = PSAL_OK;
    int64_t shard = number(&found, PSAL_FIELD_SHARD), shards = number(&found, PSAL_FIELD_SHARDS);
    int64_t samples = number(&found, PSAL_FIELD_SAMPLES);
    if (!j->parts) {
        if (shards < 1 || shards > 1000000)
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s: part of %lld", path, (long long)shards);
        j->computation = found;
        j->shards = shards;
        j->parts = status == PSAL_OK ? calloc((size_t)shards, sizeof *j->parts) : NULL;
        j->files = status == PSAL_OK ? calloc((size_t)shards, sizeof *j->files) : NULL;
        if (status == PSAL_OK && (!j->parts || !j->files))
            status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for parts");
    }
    if (status == PSAL_OK) status = same_run(j, &found, path, err);
    if (status != PSAL_OK) {
        psal_summary_free(part);
        return status;
    }
    if (shard < 1 || shard > shards || samples < 0 || samples > PSAL_DATASET_MAX_SAMPLES ||
        part->first != (shard - 1) * samples / shards || part->end != shard * samples / shards)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%s: damaged: samples %lld to %lld are not part %lld of %lld", path,
                           (long long)part->first, (long long)part->end, (long long)shard, (long long)shards);
    else if (part->next != part->end)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "%s: not finished: %lld of %lld samples; --resume goes on", path,
                           (long long)(part->next - part->first), (long long)(part->end - part->first));
    else if (j->parts[shard - 1])
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "%s and %s are both part %lld", j->files[shard - 1], path,
                           (long long)shard);
    if (status != PSAL_OK) {
        psal_summary_free(part);
        return status;
    }
    j->parts[shard - 1] = part;
    j->files[shard - 1] = path;
    return PSAL_OK;
}

static psal_status join_parts(joining *j, psal_error *err) {
    for (int64_t i = 0; i < j->shards; i++)
        if (!j->parts[i])
            return psal_fail(err, PSAL_ERR_ARGUMENT, "part %lld of %lld is missing", (long long)i + 1,
                             (long long)j->shards);
    for (int64_t i = 1; i < j->shards; i++) {
        psal_status status = psal_summary_append(j->parts[0], j->parts[i], err);
        if (status != PSAL_OK) return psal_fail_prefix(err, "%s", j->files[i]);
        psal_summary_free(j->parts[i]);
        j->parts[i] = NULL;
    }
    return PSAL_OK;
}

/* Names for the table of records; must be the data set of the parts. */
static psal_dataset *open_names(const joining *j, const psal_options *options, char **source, psal_error *err) {
    const char *spec = psal_options_string(options, "data");
    *source = NULL;
    if (!spec) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "--records and --profiles need --data, for the names of the samples");
        return NULL;
    }
    psal_labels *labels = psal_labels_open(psal_options_string(options, "labels"),
                                           (int)number(&j->computation, PSAL_FIELD_CLASSES), err);
    psal_dataset *dataset = labels ? psal_dataset_open(spec, labels, true, NULL, err) : NULL;
    psal_status status = PSAL_OK;
    if (dataset && j->source && (status = psal_store_source_move(j->source, spec, source, err)) != PSAL_OK)
        psal_fail_prefix(err, "the metadata psal.source of the parts");
    if (dataset && !j->source) status = psal_store_source_text(spec, labels, NULL, NULL, source, err);
    psal_labels_free(labels);
    uint64_t fingerprint;
    char text[32];
    if (!dataset) return NULL;
    if (status == PSAL_OK) status = psal_dataset_fingerprint(dataset, &fingerprint, err);
    snprintf(text, sizeof text, "%016" PRIx64, status == PSAL_OK ? fingerprint : 0);
    if (status == PSAL_OK && strcmp(text, j->computation.value[PSAL_FIELD_DATASET]) != 0)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "%s is not the data set that the parts were made from", spec);
    psal_sampling sampling;
    if (status == PSAL_OK) status = psal_sampling_from_record(&sampling, &j->computation, err);
    if (status == PSAL_OK) status = psal_sampling_keep(&sampling, dataset, err);
    if (status == PSAL_OK) return dataset;
    free(*source);
    *source = NULL;
    psal_dataset_free(dataset);
    return NULL;
}

/* Copy the rows of one part's store behind each other. */
static psal_status copy_rows(psal_profile_writer *writer, const char *path, psal_dtype dtype, int64_t first,
                             int64_t end, int64_t length, psal_error *err) {
    psal_tensor_map *map = psal_npy_read(path, err);
    if (!map) return psal_error_status(err);
    const psal_tensor *rows = psal_tensor_map_at(map, 0);
    psal_status status = PSAL_OK;
    char text[96];
    if (rows->dtype != dtype || rows->shape.ndim != 2 || rows->shape.dim[0] != end - first ||
        rows->shape.dim[1] != length)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%s: %s of %s, should be %lldx%lld of %s", path,
                           psal_shape_format(&rows->shape, text, sizeof text), psal_dtype_name(rows->dtype),
                           (long long)(end - first), (long long)length, psal_dtype_name(dtype));
    size_t bytes = (size_t)length * psal_dtype_size(dtype);
    for (int64_t i = first; i < end && status == PSAL_OK; i++)
        status = psal_profile_writer_copy(writer, i, (const char *)rows->data + (size_t)(i - first) * bytes, err);
    psal_tensor_map_free(map);
    return status;
}

static psal_status join_profiles(const joining *j, const psal_summary *all, const char *path, psal_dtype dtype,
                                 psal_error *err) {
    psal_profile_writer *writer = psal_profile_writer_open(path, dtype, all->end, all->length, false, err);
    if (!writer) return psal_error_status(err);
    psal_status status = PSAL_OK;
    for (int64_t i = 0; i < j->shards && status == PSAL_OK; i++) {
        char part[4096];
        status = psal_shard_path(path, (psal_shard){i, j->shards}, part, err);
        if (status == PSAL_OK)
            status = copy_rows(writer, part, dtype, i * all->end / j->shards, (i + 1) * all->end / j->shards,
                               all->length, err);
    }
    if (status == PSAL_OK) return psal_profile_writer_commit(writer, err);
    psal_profile_writer_discard(writer); /* there is nothing to go on with: merging begins anew */
    return status;
}

static psal_status write_tables(const joining *j, const psal_options *options, const psal_summary *all,
                                psal_error *err) {
    const char *records = psal_options_string(options, "records"), *profiles = psal_options_string(options, "profiles");
    if (!records && !profiles) return PSAL_OK;
    const char *type = j->computation.value[PSAL_FIELD_PROFILES];
    psal_dtype dtype = strcmp(type, "float16") == 0 ? PSAL_F16 : PSAL_F32;
    if (profiles && strcmp(type, "none") == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--profiles: the parts were made without");
    char *source;
    psal_dataset *dataset = open_names(j, options, &source, err);
    if (!dataset) return psal_error_status(err);
    psal_status status = PSAL_OK;
    char index[4096];
    if (profiles) {
        status = join_profiles(j, all, profiles, dtype, err);
        if (snprintf(index, sizeof index, "%s.csv", profiles) >= (int)sizeof index)
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "the path is too long: %s", profiles);
        if (status == PSAL_OK)
            status = psal_state_write_records(index, dataset, all, &j->computation, dtype, source, err);
    }
    if (status == PSAL_OK && records)
        status = psal_state_write_records(records, dataset, all, &j->computation, dtype, source, err);
    free(source);
    psal_dataset_free(dataset);
    return status;
}

/* The figures need the names of the layers: the network, which must be that of the parts. */
static psal_status open_network(joining *j, const psal_options *options, psal_error *err) {
    const char *folder = psal_options_string(options, "figures"), *name = j->computation.value[PSAL_FIELD_AGGREGATION];
    int64_t length = j->parts[0]->length;
    psal_session *session = &j->session;
    psal_status status = psal_session_open(session, options, err);
    if (status != PSAL_OK) return status;
    if (psal_computation_difference(&j->computation, &session->computation, PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS)) !=
        PSAL_FIELD_COUNT)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--figures: the parts were made with other weights than %s: give --weights", session->weights);
    if (*name && !psal_aggregation_parse(name, &j->aggregation))
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: its aggregation '%s' is none that psal has", j->files[0], name);
    psal_saliency_options one = {
        .height = session->height, .width = session->width, .aggregation = j->aggregation, .threads = 1};
    j->saliency = psal_saliency_new(session->model, &one, err);
    if (!j->saliency) return psal_error_status(err);
    if (psal_saliency_length(j->saliency) != length)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: damaged: profiles of %" PRId64 " entries, but %s has %" PRId64,
                         j->files[0], length, session->weights, psal_saliency_length(j->saliency));
    return psal_stats_figures_begin(folder, length, psal_options_int(options, "k-salient"), err);
}

static psal_status write_figures(joining *j, const psal_options *options, psal_error *err) {
    const char *profiles = psal_options_string(options, "profiles");
    char index[4200];
    if (profiles) snprintf(index, sizeof index, "%.4096s.csv", profiles);
    psal_stats_figures figures = {.folder = psal_options_string(options, "figures"),
                                  .session = &j->session,
                                  .saliency = j->saliency,
                                  .aggregation = j->aggregation,
                                  .computation = &j->computation,
                                  .summary = j->parts[0],
                                  .store = profiles,
                                  .index = profiles ? index : NULL,
                                  .k = psal_options_int(options, "k-salient"),
                                  .format = psal_figure_format(options),
                                  .style = psal_figure_style_of(options)};
    psal_status status = psal_stats_figures_write(&figures, &j->session.notes, err);
    if (status == PSAL_OK) psal_session_print_notes(&j->session, "psal-stats");
    return status;
}

/* What was computed stands in the parts. */
static psal_status refuse_others(const psal_options *options, psal_error *err) {
    static const char *const joins[] = {"records", "profiles", "data", "labels", "figures", "quiet", NULL};
    static const char *const draws[] = {"records",     "profiles",        "data",         "labels",  "figures",
                                        "quiet",       "k-salient",       "format",       "width",   "weights",
                                        "weights-key", "delta",           "ignore-extra", "model",   "variant",
                                        "bn-epsilon",  "transform-input", "preprocess",   "threads", NULL};
    const char *other = psal_options_given_of(options, draws, false);
    if (other)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "merge has no option --%s: the parts say what was computed", other);
    if (!psal_options_has(options, "figures") && (other = psal_options_given_of(options, joins, false)))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s does nothing in merge without --figures", other);
    if (psal_options_given(options, "data") && !psal_options_has(options, "records") &&
        !psal_options_has(options, "profiles"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--data does nothing in merge without --records or --profiles");
    return PSAL_OK;
}

psal_summary *psal_stats_merge(const psal_options *options, psal_error *err) {
    size_t count = psal_options_argument_count(options);
    if (count < 3) {
        psal_fail(err, PSAL_ERR_ARGUMENT,
                  "merge needs the name of the result and those of the parts: merge OUT PART...");
        return NULL;
    }
    if (refuse_others(options, err) != PSAL_OK) return NULL;
    joining j = {0};
    const char *out = psal_options_argument(options, 1);
    psal_run_lock *lock = NULL;
    psal_status status = PSAL_OK;
    if (!psal_atomic_file_is_direct(out) && !(lock = psal_run_lock_take(out, err))) status = psal_error_status(err);
    for (size_t i = 2; i < count && status == PSAL_OK; i++)
        status = read_part(&j, psal_options_argument(options, i), err);
    bool figures = psal_options_string(options, "figures") != NULL;
    if (status == PSAL_OK) status = join_parts(&j, err);
    if (status == PSAL_OK) forget_unsaid(&j, psal_options_flag(options, "quiet"));
    if (status == PSAL_OK && figures) status = open_network(&j, options, err);
    if (status == PSAL_OK) status = psal_summary_suffices(j.parts[0], true, err);
    if (status == PSAL_OK) status = write_tables(&j, options, j.parts[0], err);
    if (status == PSAL_OK && figures) status = write_figures(&j, options, err);
    if (status == PSAL_OK) status = psal_state_write_statistics(out, &j.computation, j.parts[0], err);
    psal_summary *result = status == PSAL_OK ? j.parts[0] : NULL;
    for (int64_t i = 0; j.parts && i < j.shards; i++)
        if (j.parts[i] != result) psal_summary_free(j.parts[i]);
    free(j.parts);
    free(j.source);
    free(j.files);
    psal_saliency_free(j.saliency);
    psal_session_close(&j.session);
    psal_run_lock_release(lock);
    return result;
}
