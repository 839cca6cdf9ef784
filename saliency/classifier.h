/* classifier.h - a network run forward only, with the values of some parameters replaced: what a pruned or fine-tuned
 * variant answers.
 *
 * A network may be cut in parts: when many variants of one network answer for one image, what comes before the first
 * changed layer is then run once for all of them.
 *
 * A psal_classifier is read-only once made and shared by its workers, one per thread. */
#ifndef PSAL_SALIENCY_CLASSIFIER_H
#define PSAL_SALIENCY_CLASSIFIER_H

#include "models/model.h"
#include "saliency/prediction.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_classifier_options {
    int batch;           /* images at once; 0 means 1 */
    int height, width;   /* of the images; 0: the architecture's native size */
    int threads;         /* inside one worker; 0 means 1 */
    size_t memory_limit; /* bytes per worker, 0: none */
    psal_conv2d_settings conv;
    bool in_parts; /* so that psal_classifier_rerun can start in the middle; takes some more memory */
} psal_classifier_options;

typedef struct psal_classifier psal_classifier;
typedef struct psal_classifier_worker psal_classifier_worker;

/* `model` must outlive the result. */
psal_classifier *psal_classifier_new(const psal_model *model, const psal_classifier_options *options, psal_error *err);
void psal_classifier_free(psal_classifier *classifier);           /* after its workers; NULL is fine */
size_t psal_classifier_memory(const psal_classifier *classifier); /* bytes that each worker allocates */

/* The part (0, 1, ... in running order) that reads parameter `parameter`; 0 for all where there is one part only. */
int psal_classifier_part(const psal_classifier *classifier, int parameter);

psal_classifier_worker *psal_classifier_worker_new(const psal_classifier *classifier, psal_error *err);
void psal_classifier_worker_free(psal_classifier_worker *worker); /* NULL is fine */
const psal_classifier *psal_classifier_of(const psal_classifier_worker *worker);

/* Run `images` [batch, channels, height, width], preprocessed. values[i] (psal_edit_values; NULL: none at all) stands
 * in for parameter i where it is not NULL. *logits [batch, num_classes] are valid until the next run. Refused when one
 * of them is not finite. */
psal_status psal_classifier_run(psal_classifier_worker *worker, const float *images, const float *const *values,
                                const float **logits, psal_error *err);

/* The same for the images of the last run (which must be where they were) when nothing but parameters of part `first`
 * and of later ones has other values than in that run: the parts before it are left as they are. The same bits as a
 * whole run. Refused when the last run did not get as far as part `first`. */
psal_status psal_classifier_rerun(psal_classifier_worker *worker, int first, const float *const *values,
                                  const float **logits, psal_error *err);

const float *psal_classifier_images(const psal_classifier_worker *worker); /* of the last run */
/* What part `part` gave in the last run, valid until it runs again. */
const float *psal_classifier_part_output(const psal_classifier_worker *worker, int part);

/* ---- for those who run the parts in other ways (variants.h) ---- */
const psal_model *psal_classifier_model(const psal_classifier *classifier);
const psal_classifier_options *psal_classifier_get_options(const psal_classifier *classifier); /* complete */

#ifdef __cplusplus
}
#endif

#endif
