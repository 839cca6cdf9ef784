#include "tools/stats_merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/npy.h"
#include "io/profile_writer.h"
#include "tools/stats_figures.h"

psal_status psal_part_path(const char *path, int64_t shard, int64_t shards, char out[4096], psal_error *err) {
    const char *slash = strrchr(path, '/'), *point = strrchr(path, '.');
    size_t stem = point && point > (slash ? slash + 1 : path) ? (size_t)(point - path) : strlen(path);
    int n = shards == 1 ? snprintf(out, 4096, "%s", path)
                        : snprintf(out, 4096, "%.*s.part-%lld-of-%lld%s", (int)stem, path, (long long)shard + 1,
                                   (long long)shards, path + stem);
    return n < 4000 ? PSAL_OK : psal_fail(err, PSAL_ERR_ARGUMENT, "the path is too long: %s", path);
}

typedef struct joining {
    psal_identity identity; /* of the first part */
    int64_t shards;
    psal_summary **parts; /* [shards] by number, NULL while missing */
    const char **files;   /* [shards] */
    psal_session session; /* for --figures; below likewise */
    psal_saliency *saliency;
    psal_aggregation aggregation;
} joining;

static int64_t identity_number(const psal_identity *identity, const char *key) {
    return strtoll(psal_identity_get(identity, key), NULL, 10);
}

/* Read one part and put it in its place. */
static psal_status read_part(joining *j, const char *path, psal_error *err) {
    psal_identity found;
    psal_summary *part = psal_state_read(path, NULL, &found, err);
    if (!part) return err->status;
    psal_status status = PSAL_OK;
    int64_t shard = identity_number(&found, "psal.shard"), shards = identity_number(&found, "psal.shards");
    int64_t samples = identity_number(&found, "psal.samples");
    if (!j->parts) {
        if (shards < 1 || shards > 1000000)
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s: part of %lld", path, (long long)shards);
        j->identity = found;
        j->shards = shards;
        j->parts = status == PSAL_OK ? calloc((size_t)shards, sizeof *j->parts) : NULL;
        j->files = status == PSAL_OK ? calloc((size_t)shards, sizeof *j->files) : NULL;
        if (status == PSAL_OK && (!j->parts || !j->files))
            status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for parts");
    }
    if (status == PSAL_OK) status = psal_identity_same_run(&found, &j->identity, path, err);
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
static psal_dataset *open_names(const joining *j, const psal_options *options, psal_error *err) {
    const char *spec = psal_options_string(options, "data");
    if (!spec) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "--records and --profiles need --data, for the names of the samples");
        return NULL;
    }
    psal_labels *labels = psal_labels_open(psal_options_string(options, "labels"),
                                           (int)identity_number(&j->identity, "psal.classes"), err);
    psal_dataset *dataset = labels ? psal_dataset_open(spec, labels, err) : NULL;
    psal_labels_free(labels);
    char fingerprint[32] = "";
    if (dataset) snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, psal_dataset_fingerprint(dataset));
    if (dataset && strcmp(fingerprint, psal_identity_get(&j->identity, "psal.dataset")) != 0) {
        psal_dataset_free(dataset);
        psal_fail(err, PSAL_ERR_ARGUMENT, "%s is not the data set that the parts were made from", spec);
        return NULL;
    }
    return dataset;
}

/* Copy the rows of one part's store behind each other. */
static psal_status copy_rows(psal_profile_writer *writer, const char *path, psal_dtype dtype, int64_t first,
                             int64_t end, int64_t length, psal_error *err) {
    psal_tensor_map *map = psal_npy_read(path, err);
    if (!map) return err->status;
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
    if (!writer) return err->status;
    psal_status status = PSAL_OK;
    for (int64_t i = 0; i < j->shards && status == PSAL_OK; i++) {
        char part[4096];
        status = psal_part_path(path, i, j->shards, part, err);
        if (status == PSAL_OK)
            status = copy_rows(writer, part, dtype, i * all->end / j->shards, (i + 1) * all->end / j->shards,
                               all->length, err);
    }
    if (status == PSAL_OK) return psal_profile_writer_commit(writer, err);
    psal_profile_writer_close(writer);
    /* There is nothing to go on with: merging begins anew. */
    char partial[4200];
    snprintf(partial, sizeof partial, "%.4096s.partial", path);
    unlink(partial);
    return status;
}

static psal_status write_tables(const joining *j, const psal_options *options, const psal_summary *all,
                                psal_error *err) {
    const char *records = psal_options_string(options, "records"), *profiles = psal_options_string(options, "profiles");
    if (!records && !profiles) return PSAL_OK;
    const char *type = psal_identity_get(&j->identity, "psal.profiles");
    psal_dtype dtype = strcmp(type, "float16") == 0 ? PSAL_F16 : PSAL_F32;
    if (profiles && strcmp(type, "none") == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--profiles: the parts were made without");
    psal_dataset *dataset = open_names(j, options, err);
    if (!dataset) return err->status;
    psal_status status = PSAL_OK;
    char index[4096];
    if (profiles) {
        status = join_profiles(j, all, profiles, dtype, err);
        if (snprintf(index, sizeof index, "%s.csv", profiles) >= (int)sizeof index)
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "the path is too long: %s", profiles);
        if (status == PSAL_OK) status = psal_state_write_records(index, dataset, all, dtype, err);
    }
    if (status == PSAL_OK && records) status = psal_state_write_records(records, dataset, all, dtype, err);
    psal_dataset_free(dataset);
    return status;
}

/* The figures need the names of the layers: the network, which must be that of the parts. */
static psal_status open_network(joining *j, const psal_options *options, psal_error *err) {
    const char *folder = psal_options_string(options, "figures"),
               *name = psal_identity_get(&j->identity, "psal.aggregation");
    int64_t length = j->parts[0]->length;
    psal_session *session = &j->session;
    psal_status status = psal_session_open(session, options, err);
    if (status != PSAL_OK) return status;
    char fingerprint[32];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, psal_model_fingerprint(session->model));
    if (strcmp(fingerprint, psal_identity_get(&j->identity, "psal.fingerprint")) != 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--figures: the parts were made with other weights than %s: give --weights", session->weights);
    while (j->aggregation < PSAL_AGGREGATION_TENSOR && strcmp(psal_aggregation_name(j->aggregation), name) != 0)
        j->aggregation++;
    psal_saliency_options one = {
        .height = session->height, .width = session->width, .aggregation = j->aggregation, .threads = 1};
    j->saliency = psal_saliency_new(session->model, &one, err);
    if (!j->saliency) return err->status;
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
                                  .summary = j->parts[0],
                                  .store = profiles,
                                  .index = profiles ? index : NULL,
                                  .k = psal_options_int(options, "k-salient")};
    psal_status status = psal_stats_figures_write(&figures, &j->session.notes, err);
    if (status == PSAL_OK) psal_session_print_notes(&j->session, "psal-stats");
    return status;
}

psal_summary *psal_stats_merge(const psal_options *options, psal_error *err) {
    size_t count = psal_options_argument_count(options);
    if (count < 3) {
        psal_fail(err, PSAL_ERR_ARGUMENT,
                  "merge needs the name of the result and those of the parts: merge OUT PART...");
        return NULL;
    }
    joining j = {0};
    psal_status status = PSAL_OK;
    for (size_t i = 2; i < count && status == PSAL_OK; i++)
        status = read_part(&j, psal_options_argument(options, i), err);
    bool figures = psal_options_string(options, "figures") != NULL;
    if (status == PSAL_OK) status = join_parts(&j, err);
    if (status == PSAL_OK && figures) status = open_network(&j, options, err);
    if (status == PSAL_OK) status = write_tables(&j, options, j.parts[0], err);
    if (status == PSAL_OK && figures) status = write_figures(&j, options, err);
    if (status == PSAL_OK)
        status = psal_state_write_statistics(psal_options_argument(options, 1), &j.identity, j.parts[0], err);
    psal_summary *result = status == PSAL_OK ? j.parts[0] : NULL;
    for (int64_t i = 0; j.parts && i < j.shards; i++)
        if (j.parts[i] != result) psal_summary_free(j.parts[i]);
    free(j.parts);
    free(j.files);
    psal_saliency_free(j.saliency);
    psal_session_close(&j.session);
    return result;
}
