/* variants.h - many variants of one network, each with some filters switched off, answer for one image.
 *
 * Variants that are the same up to some layer share what comes before it, with each other and with the whole network.
 * Where a part of the network has more weights than results, several variants run through it together: the weights are
 * the same for all, so they are read and packed once, and afterwards each variant's channels are set to zero. The bits
 * are those of running every variant by itself with its filters' weights at zero.
 *
 * A psal_variants is read-only once made and shared by its workers, one per thread. */
#ifndef PSAL_SALIENCY_VARIANTS_H
#define PSAL_SALIENCY_VARIANTS_H

#include "saliency/classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_variants psal_variants;
typedef struct psal_variants_worker psal_variants_worker;

/* The filters that are off, ascending. */
typedef struct psal_variant {
    const int64_t *filters;
    int64_t count;
} psal_variant;

/* The first filter in which two variants differ; INT64_MAX when they are equal. */
int64_t psal_variant_difference(const psal_variant *a, const psal_variant *b);

/* `classifier` (one image at a time, in parts) must outlive the result. whole_channel: a filter that is off takes the
 * shift of its normalisation, or its bias, with it (psal_model_filter_norm), so that its channel is exactly 0. */
psal_variants *psal_variants_new(const psal_classifier *classifier, bool whole_channel, psal_error *err);
void psal_variants_free(psal_variants *variants); /* after its workers; NULL is fine */
/* Bytes that each worker allocates, besides the classifier's. */
size_t psal_variants_memory(const psal_variants *variants);

/* `base` must outlive the result. */
psal_variants_worker *psal_variants_worker_new(const psal_variants *variants, psal_classifier_worker *base,
                                               psal_error *err);
void psal_variants_worker_free(psal_variants_worker *worker); /* NULL is fine */

/* Run list[0 .. count-1] on the image that `base` has run on last, the whole network. Neighbours in the list share most
 * when it is sorted so that lists that begin alike stand together. keep(data, i, logits) is called once for each
 * variant, in any order; the logits [num_classes] are valid during the call. Refused when one of them is not finite. */
psal_status psal_variants_run(psal_variants_worker *worker, const psal_variant *list, size_t count,
                              void (*keep)(void *data, size_t i, const float *logits), void *data, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
