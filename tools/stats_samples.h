/* stats_samples.h - how statistics over a data set are made, whoever makes them. */
#ifndef PSAL_TOOLS_STATS_SAMPLES_H
#define PSAL_TOOLS_STATS_SAMPLES_H

#include "saliency/reference_set.h"
#include "tools/session.h"

/* Whether all samples that can be loaded have labels, of the session's network. */
psal_status psal_stats_check_labels(const psal_session *session, const psal_dataset *samples, psal_error *err);

/* The options of the profiles' workers, of which each thread has one, for `count` samples; which profiles they are
 * stays the caller's: loss, aggregation, sign, weights. */
void psal_stats_worker_options(const psal_session *session, int64_t count, psal_saliency_options *options);

/* What statistics depend on besides the samples; the field PSAL_FIELD_SAMPLING stays as it is. */
void psal_stats_describe(const psal_session *session, const psal_saliency_options *options, bool normalized,
                         psal_reference_set only, psal_computation *computation);

#endif
