/* dataset_run.h - the profiles of many samples, one sample per thread, handed out in order.
 *
 * Images are loaded and profiled by all threads at once; the results go to one function, sample by sample in the order
 * of their numbers, so that whatever it adds up has the same bits for any number of threads. */
#ifndef PSAL_SALIENCY_DATASET_RUN_H
#define PSAL_SALIENCY_DATASET_RUN_H

#include "saliency/saliency.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is remembered of every sample. */
typedef struct psal_sample_result {
    int64_t index;      /* in the data set */
    psal_status status; /* PSAL_OK, or why there is no profile: the rest but `index` is then without meaning */
    int label, predicted;
    float label_confidence, predicted_confidence; /* softmax */
    float loss;
    float largest;  /* magnitude in the profile */
    uint64_t image; /* what the image is known by (psal_dataset_image_fingerprint), from who loads it; 0: not known */
} psal_sample_result;

typedef struct psal_dataset_run {
    int64_t first, end; /* the samples first .. end-1 */
    int threads;        /* at least 1 */
    /* For misclassified samples also the profile for the label that was predicted. */
    bool predicted_profiles;
    void *data; /* handed to the functions below */
    /* Prepare sample `index`: image[channels, height, width] and its label. Called by many threads at once. */
    psal_status (*load)(void *data, int64_t index, float *image, int *label, psal_error *err);
    /* Sample `index` will be loaded some samples from now: a chance to begin reading it. Once per sample, by many
     * threads at once; may be NULL. */
    void (*ahead)(void *data, int64_t index);
    /* Take the results of one sample, in order: by any thread, one at a time, while others compute. The profile is
     * NULL, and `why` says so, when the sample could not be loaded or has no finite profile; returning PSAL_OK skips
     * it, anything else (with *err) ends the run. `predicted` is NULL unless asked for above and the sample is
     * misclassified. Both have psal_saliency_length entries and are valid during the call. */
    psal_status (*take)(void *data, const psal_sample_result *sample, const float *profile, const float *predicted,
                        const psal_error *why, psal_error *err);
    /* After one sample or some, likewise: all samples below `next` have been taken, those behind it are lost. Returning
     * anything but PSAL_OK (with *err; PSAL_ERR_CANCELLED, say) ends the run. May be NULL. */
    psal_status (*pause)(void *data, int64_t next, psal_error *err);
    void (*step)(void *data); /* one more sample computed, for progress meters; by many threads at once; may be NULL */
} psal_dataset_run;

/* `saliency` must have been made with threads 1. With the logit difference, the other class is the predicted one, or
 * the second in place when the prediction is right. Memory: a worker and an image per thread, and a window of profiles;
 * it does not depend on the number of samples. */
psal_status psal_dataset_run_all(const psal_saliency *saliency, const psal_model *model, const psal_dataset_run *run,
                                 psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
