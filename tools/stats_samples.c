#include "tools/stats_samples.h"

#include <string.h>

psal_status psal_stats_check_labels(const psal_session *session, const psal_dataset *samples, psal_error *err) {
    const size_t count = psal_dataset_count(samples);
    const int classes = session->info->num_classes;
    for (size_t i = 0; i < count; i++) {
        const int label = psal_dataset_label(samples, i);
        if (psal_dataset_problem(samples, i)) continue; /* it will be skipped */
        if (label == PSAL_NO_LABEL)
            return psal_fail(
                err, PSAL_ERR_ARGUMENT, "%s has no label: statistics need the label of every sample%s",
                psal_dataset_name(samples, i),
                count > 1 ? "" : " (it was taken for an image: a table ends in .csv or .tsv, a list in .txt or .lst)");
        if (label < 0 || label >= classes)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s has label %d: the network has classes 0 to %d",
                             psal_dataset_name(samples, i), label, classes - 1);
    }
    return PSAL_OK;
}

void psal_stats_worker_options(const psal_session *session, int64_t count, psal_saliency_options *options) {
    options->height = session->height;
    options->width = session->width;
    options->threads = 1;
    options->memory_limit = session->memory_limit / (size_t)session->threads;
    options->conv = session->conv;
    options->few_runs = count / session->threads < PSAL_MANY_SAMPLES;
    options->lean = true;
}

void psal_stats_describe(const psal_session *session, const psal_saliency_options *options, bool normalized,
                         psal_reference_set only, psal_computation *computation) {
    char set[PSAL_REFERENCE_SIZE], sampling[PSAL_FIELD_SIZE];
    memcpy(sampling, computation->value[PSAL_FIELD_SAMPLING], sizeof sampling);
    psal_session_computation(session, options, normalized, computation);
    psal_computation_set(computation, PSAL_FIELD_SAMPLING, "%s", sampling);
    psal_computation_set(computation, PSAL_FIELD_ONLY, "%s", psal_reference_format(only, set));
}
