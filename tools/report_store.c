#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/json_input.h"
#include "io/json_output.h"
#include "io/mapped_file.h"
#include "io/run_lock.h"
#include "tools/computation_io.h"
#include "tools/outputs.h"
#include "tools/program.h"
#include "tools/report.h"
#include "tools/report_lists.h"
#include "tools/stats_run.h"

/* The command of psal-stats that makes the same: shown, and not parsed. */
static psal_status note_command(psal_report *r, psal_error *err) {
    static const char *const names[] = {
        "weights", "weights-key", "delta",    "ignore-extra", "model",     "variant", "bn-epsilon", "transform-input",
        "labels",  "preprocess",  "skip-bad", "conv",         "processor", "data",    "limit",      "first",
        "seed",    NULL};
    char *options = psal_options_repeat(r->options, names), *text = NULL;
    size_t size;
    FILE *out = options ? open_memstream(&text, &size) : NULL;
    if (out) {
        fputs("psal-stats", out);
        fputs(options, out);
        fputs(" --out ", out);
        psal_write_word(out, r->statistics);
        fputs(" --profiles ", out);
        psal_write_word(out, r->store);
    }
    const bool good = out && fclose(out) == 0;
    if (good) json_array_append_new(json_object_get(r->root, "commands"), psal_json_string(text));
    free(options);
    free(text);
    return good ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a command");
}

/* What is wanted of a store: everything its numbers depend on, and the samples, which the caller frees. */
static psal_status describe(const psal_stats_request *request, psal_session *session, psal_computation *here,
                            psal_dataset **samples, psal_error *err) {
    const psal_saliency_options profile = {0};
    psal_dataset *data = *samples = psal_open_list(request->data, session->labels, request->skip_bad, NULL, err);
    uint64_t fingerprint = 0;
    if (!data) return psal_error_status(err);
    psal_session_computation(session, &profile, false, here);
    psal_sampling_record(&request->sampling, psal_dataset_count(data), here);
    psal_status status = psal_dataset_fingerprint(data, &fingerprint, err);
    psal_computation_set(here, PSAL_FIELD_DATASET, "%016" PRIx64, fingerprint);
    if (status == PSAL_OK) status = psal_sampling_keep(&request->sampling, data, err);
    psal_computation_set(here, PSAL_FIELD_SAMPLES, "%zu", psal_dataset_count(data));
    return status;
}

/* Whether an earlier run has left the store that this one wants. */
static psal_status is_there(const psal_report *r, const psal_stats_request *request, psal_session *session, bool *there,
                            psal_error *err) {
    char index[4300];
    bool statistics = false, store = false;
    psal_computation here = {0}, found = {0};
    psal_profile_store opened = {0};
    psal_dataset *data = NULL;
    *there = false;
    snprintf(index, sizeof index, "%s.csv", r->store);
    psal_status status = psal_file_exists(r->statistics, &statistics, err);
    if (status == PSAL_OK) status = psal_file_exists(index, &store, err);
    if (status != PSAL_OK || !statistics || !store) return status;
    status = psal_profile_store_open(r->store, index, &opened, err);
    if (status == PSAL_OK) status = describe(request, session, &here, &data, err);
    json_t *object = status == PSAL_OK && opened.settings
                         ? psal_json_parse_object(opened.settings, strlen(opened.settings), err)
                         : NULL;
    if (object) status = psal_computation_from_json(&found, object, err);
    const psal_fields which = PSAL_FIELDS_PROFILE | PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS) |
                              PSAL_FIELD_SET(PSAL_FIELD_DATASET) | PSAL_FIELD_SET(PSAL_FIELD_SAMPLING) |
                              PSAL_FIELD_SET(PSAL_FIELD_SAMPLES) | PSAL_FIELD_SET(PSAL_FIELD_CONV) |
                              PSAL_FIELD_SET(PSAL_FIELD_PROCESSOR);
    psal_error why = PSAL_ERROR_INIT;
    if (object && status == PSAL_OK) {
        status = psal_computation_check(&found, &here, which, &why);
        if (status == PSAL_OK)
            status = psal_dataset_check_images(data, 0, (size_t)opened.samples, &opened.records->image_hash,
                                               sizeof *opened.records, &why);
        if (status != PSAL_OK)
            psal_fail(err, status, "%s: belongs to another report: %s; leave --resume out, or give another --state",
                      r->store, why.message);
        *there = status == PSAL_OK;
    }
    json_decref(object);
    psal_dataset_free(data);
    psal_profile_store_close(&opened);
    return status;
}

/* What a run that was killed behind its last result has left beside it; a living one's is refused. */
static psal_status clear_up(const psal_report *r, psal_error *err) {
    char partial[4300];
    psal_run_lock *lock = psal_run_lock_take(r->statistics, err);
    if (!lock) return psal_error_status(err);
    snprintf(partial, sizeof partial, "%s.partial", r->statistics);
    unlink(partial);
    psal_run_lock_release(lock);
    return PSAL_OK;
}

int psal_report_make_store(psal_report *r, psal_error *err) {
    const psal_options *o = r->options;
    const char *store = psal_options_string(o, "store"), *statistics = psal_options_string(o, "stats");
    if (store) {
        snprintf(r->store, sizeof r->store, "%s", store);
        snprintf(r->statistics, sizeof r->statistics, "%s", statistics ? statistics : "");
        return PSAL_OK;
    }
    r->made = true;
    snprintf(r->store, sizeof r->store, "%s/profiles.npy", r->folder);
    snprintf(r->statistics, sizeof r->statistics, "%s/stats.safetensors", r->folder);
    psal_stats_request request = {.program = r->program->name,
                                  .data = psal_options_string(o, "data"),
                                  .out = r->statistics,
                                  .profiles = r->store,
                                  .shard = {0, 1},
                                  .loss = PSAL_LOSS_CROSS_ENTROPY,
                                  .skip_bad = psal_options_flag(o, "skip-bad"),
                                  .resume = psal_options_flag(o, "resume"),
                                  .silent = true,
                                  .save_every = 60,
                                  .profile_type = PSAL_F32,
                                  .options = o};
    psal_session session = {.kept = &r->notes};
    bool there = false;
    char index[4300];
    snprintf(index, sizeof index, "%s.csv", r->store);
    psal_status status = psal_check_output_file(r->program, o, r->store, err);
    if (status == PSAL_OK) status = psal_check_output_file(r->program, o, index, err);
    if (status == PSAL_OK) status = psal_check_output_file(r->program, o, r->statistics, err);
    if (status == PSAL_OK) status = psal_sampling_parse(&request.sampling, o, err);
    if (status == PSAL_OK) status = psal_stats_check(&request, err);
    if (status == PSAL_OK) status = note_command(r, err);
    if (status == PSAL_OK) status = psal_session_open(&session, o, err);
    if (status == PSAL_OK) status = psal_report_check_classes(o, session.labels, err);
    if (status == PSAL_OK && request.resume) status = is_there(r, &request, &session, &there, err);
    if (status == PSAL_OK && there) status = clear_up(r, err);
    int result = (int)status;
    if (status == PSAL_OK && !there) {
        psal_report_stage(r, "profiles of all samples");
        result = psal_stats_make(&request, &session, NULL, err);
    }
    psal_session_close(&session);
    return result;
}
