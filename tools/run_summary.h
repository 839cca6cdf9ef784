/* run_summary.h - psal-run's table of many images. */
#ifndef PSAL_TOOLS_RUN_SUMMARY_H
#define PSAL_TOOLS_RUN_SUMMARY_H

#include <jansson.h>

#include "engine/error.h"
#include "tools/skipped.h"

/* summary.csv in `folder`: a row for each of `results` (an array of psal_explanation_json), then one for each image
 * that was skipped. record: of what was computed, for the first row. */
psal_status psal_run_summary_write(const char *folder, const json_t *results, const psal_skipped *skipped,
                                   const char *record, psal_error *err);

#endif
