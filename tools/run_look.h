/* run_look.h - psal-run --look: what the top filters of the image look for in a data set. */
#ifndef PSAL_TOOLS_RUN_LOOK_H
#define PSAL_TOOLS_RUN_LOOK_H

#include "tools/explain.h"

/* Whether --look goes with the other options; before the network is read. */
psal_status psal_run_look_check(const psal_options *options, const psal_explain_options *explain, psal_error *err);
/* Look through `dataset` for the filters of an explanation: they go to *crops, and e->crops points there. */
psal_status psal_run_look(const psal_options *options, const psal_session *session, const psal_dataset *dataset,
                          psal_explanation *e, psal_filter_crops *crops, psal_error *err);

#endif
