/* edit_one.h - filters switched off, or corrected, for one image: what psal-prune and psal-finetune do with each, the
 * page of a photo and net.h with one that is explained. */
#ifndef PSAL_TOOLS_EDIT_ONE_H
#define PSAL_TOOLS_EDIT_ONE_H

#include <jansson.h>

#include "saliency/finetune.h"
#include "saliency/prune.h"
#include "tools/edit_report.h"
#include "tools/edit_settings.h"
#include "tools/explain.h"

/* psal_prune_experiment on an explained image, with the network and threads of its explainer. sample: its units, live,
 * change and seed are the caller's; the rest is filled in. edit, if not NULL, is left with the first draw of the first
 * choice and k, the network that is measured. results[choice_count][k_count]. */
psal_status psal_prune_one(const psal_explainer *explainer, const psal_explanation *explanation,
                           psal_prune_sample *sample, const psal_prune_options *options, psal_edit *edit,
                           psal_prune_result *results, psal_error *err);
/* The results as psal-prune's "rows", without standard errors (new reference). */
json_t *psal_prune_one_json(const psal_prune_options *options, const psal_prune_result *results);

/* The settings' steps on filters[k], from the model's own weights, into `edit`. fresh: the worker's gradients are
 * already those of the model's own weights. */
psal_status psal_edit_make(psal_tuner_worker *tuner, psal_edit *edit, const psal_edit_settings *settings,
                           const float *image, int label, const int64_t *filters, int64_t k, bool fresh,
                           psal_error *err);
/* Add to a result what an edit does to its own image: `logits` with it, before[classes] the confidences without it;
 * after[classes] gets those with it. */
void psal_edit_answer(const psal_edit *edit, const float *logits, int classes, int label, int predicted,
                      const double *before, double *after, psal_edit_result *result);

/* Write the edited network, which records its base, preprocessing and labels. */
psal_status psal_edit_write(const psal_session *session, const psal_edit *edit, const char *path, psal_error *err);

#endif
