/* Predictions and profiles of the data set from a store of psal-stats instead of from the network. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/json_input.h"
#include "tools/mistakes.h"

/* Whether its profiles are those that would be computed here: of this network, this profile and this data set. */
static psal_status check_settings(const psal_mistakes *mistakes, const psal_dataset *data, psal_error *err) {
    const psal_fields which = (PSAL_FIELDS_PROFILE & ~PSAL_FIELD_SET(PSAL_FIELD_NORMALIZED)) |
                              PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS) | PSAL_FIELD_SET(PSAL_FIELD_DATASET);
    const psal_profile_store *store = &mistakes->store;
    const psal_saliency_options profile = psal_mistakes_profile(mistakes);
    psal_computation here, found;
    uint64_t fingerprint;
    char names[512];
    if (!store->settings)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "it does not say how it was made (the column psal_settings)");
    json_t *object = psal_json_parse_object(store->settings, strlen(store->settings), err);
    psal_status status = object ? psal_computation_from_json(&found, object, err) : psal_error_status(err);
    json_decref(object);
    if (status == PSAL_OK) status = psal_dataset_fingerprint(data, &fingerprint, err);
    if (status != PSAL_OK) return status;
    psal_session_computation(mistakes->session, &profile, false, &here);
    psal_computation_set(&here, PSAL_FIELD_DATASET, "%016" PRIx64, fingerprint);
    const psal_fields unsaid = psal_computation_unsaid(&found, &here, which, true);
    if (unsaid) return psal_fail(err, PSAL_ERR_ARGUMENT, "it does not say its %s", psal_fields_names(unsaid, names));
    return psal_computation_check(&found, &here, which, err);
}

/* Whether its rows are the samples of the data set, in their order. */
static psal_status check_rows(const psal_mistakes *mistakes, const psal_dataset *data, psal_error *err) {
    const psal_profile_store *store = &mistakes->store;
    if (store->samples != (int64_t)psal_dataset_count(data))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "it has %" PRId64 " samples, but the data set has %zu", store->samples,
                         psal_dataset_count(data));
    if (store->length != mistakes->filters)
        return psal_fail(err, PSAL_ERR_SHAPE,
                         "its profiles have %" PRId64 " entries, but the network has %" PRId64 " %s", store->length,
                         mistakes->filters, psal_units_name(mistakes->units));
    for (int64_t i = 0; i < store->samples; i++) {
        const psal_profile_record *record = &store->records[i];
        if (strcmp(record->path, psal_dataset_name(data, (size_t)i)) != 0 ||
            record->label != psal_dataset_label(data, (size_t)i))
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "its sample %" PRId64 " is %s with label %d, but that of the data set is %s with label %d",
                             i, record->path, record->label, psal_dataset_name(data, (size_t)i),
                             psal_dataset_label(data, (size_t)i));
    }
    return psal_dataset_check_images(data, 0, (size_t)store->samples, &store->records->image_hash,
                                     sizeof *store->records, err);
}

psal_status psal_mistakes_open_store(psal_mistakes *mistakes, const psal_options *options, psal_error *err) {
    const char *path = psal_options_string(options, "store");
    const psal_dataset *data = mistakes->beside ? mistakes->beside : mistakes->dataset;
    char index[4096];
    if (!path) return PSAL_OK;
    if (!psal_options_has(options, "data"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--store is of the samples of a data set: it needs --data");
    if (snprintf(index, sizeof index, "%s.csv", path) >= (int)sizeof index)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--store: the path is too long");
    psal_status status = psal_profile_store_open(path, index, &mistakes->store, err);
    if (status != PSAL_OK) return status;
    status = check_settings(mistakes, data, err);
    if (status == PSAL_OK) status = check_rows(mistakes, data, err);
    if (status != PSAL_OK && status != PSAL_ERR_MEMORY &&
        psal_options_source(options, "store") == PSAL_SOURCE_PROJECT) {
        psal_note(&mistakes->session->notes, "%s, the project's store, is not used: %s", path, err->message);
        psal_profile_store_close(&mistakes->store);
        *err = (psal_error)PSAL_ERROR_INIT;
        return PSAL_OK;
    }
    if (status != PSAL_OK)
        return psal_fail(err, status,
                         "--store %s: not of what is computed here: %s; make one with the settings of this run "
                         "(psal-stats --profiles), or leave it out",
                         path, err->message);
    if (mistakes->store.dtype == PSAL_F16)
        psal_note(&mistakes->session->notes, "%s: float16: filters whose saliencies are nearly equal may change places",
                  path);
    return PSAL_OK;
}

const psal_profile_record *psal_mistakes_stored(const psal_mistakes *mistakes, size_t index) {
    const size_t first = mistakes->beside ? psal_dataset_count(mistakes->dataset) : 0;
    return mistakes->store.records && index >= first ? &mistakes->store.records[index - first] : NULL;
}
