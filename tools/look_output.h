/* look_output.h - what psal-run --look leaves behind: a figure, a table, a part of the JSON. Of an explanation that has
 * crops. */
#ifndef PSAL_TOOLS_LOOK_OUTPUT_H
#define PSAL_TOOLS_LOOK_OUTPUT_H

#include "tools/explain.h"

/* Of each end so many places in the data set are kept. */
#define PSAL_LOOK_PLACES 6

/* The member "look" of the result (a new reference). */
json_t *psal_explanation_look_json(const psal_explainer *explainer, const psal_explanation *e);
/* A row for every place: look.csv. */
psal_status psal_explanation_look_table(const psal_explainer *explainer, const psal_explanation *e, const char *path,
                                        psal_error *err);
/* A row of crops for every filter: look.png. */
psal_status psal_explanation_look_figure(const psal_explainer *explainer, const psal_explanation *e, const char *path,
                                         psal_error *err);
/* Which classes the places come from, on standard output. */
void psal_explanation_look_print(const psal_explainer *explainer, const psal_explanation *e);

#endif
