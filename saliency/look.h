/* look.h - what a filter looks for: the places of a data set where it answers most, and those where it answers least.
 *
 * A filter's activation is the output of its convolution, with the convolution's bias, before any normalisation and
 * activation function: what a forward hook on the layer sees in PyTorch. (Of networks whose convolutions have a bias
 * in front of a normalisation, psal_model_load has folded it into that: there the activation is less by the bias.)
 * A normalisation whose scale is negative turns it round, and then the smallest activations are what the filter passes
 * on: psal_look_reversed.
 *
 * Of each image there is one place at most: that of the largest activation, and that of the smallest, the first one in
 * the order of rows where several are equal. Of the images the K with the largest ones are kept, equal ones in the
 * order of their numbers, and the K with the smallest. Each place has its receptive field (engine/receptive_field.h):
 * the pixels that the activation is computed from, as a box in the image that the network sees.
 *
 * One forward pass over the data set, which ends behind the deepest of the filters, serves all of them. The results do
 * not depend on the number of threads. */
#ifndef PSAL_SALIENCY_LOOK_H
#define PSAL_SALIENCY_LOOK_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_look psal_look; /* read-only once made, and shared by threads */

typedef struct psal_look_options {
    int height, width;   /* of the images; 0: the architecture's native size */
    int threads;         /* images at once; 0 means 1 */
    size_t memory_limit; /* bytes, of all threads together; 0: none */
    psal_conv2d_settings conv;
} psal_look_options;

typedef enum psal_look_end { PSAL_LOOK_LARGEST, PSAL_LOOK_SMALLEST, PSAL_LOOK_ENDS } psal_look_end;

/* One place of one image. */
typedef struct psal_look_hit {
    int64_t sample; /* its number in the data set; -1: there are no more, and nothing else has a meaning */
    int label;      /* as it was loaded */
    float activation;
    int row, column;              /* of the activation's map */
    int top, left, height, width; /* the receptive field, in pixels of the network's image; all of it where
                                     the activation does not depend on the image */
} psal_look_hit;

/* Prepare for filters[count] (PSAL_UNITS_FILTERS: 0 .. info->filter_count-1), in any order; copied. Filters whose
 * activation there is not - of auxiliary classifiers, of layers that an ONNX network uses several times - have no hits.
 * `model` must outlive the result. Fails where a number is none of the network's, or memory does not suffice. */
psal_look *psal_look_new(const psal_model *model, const int64_t *filters, int64_t count,
                         const psal_look_options *options, psal_error *err);
void psal_look_free(psal_look *look); /* NULL is fine */

/* Whether filter i of filters[count] has an activation. */
bool psal_look_has(const psal_look *look, int64_t i);
/* Whether the normalisation behind it has a negative scale. */
bool psal_look_reversed(const psal_look *look, int64_t i);
/* Rows and columns of its activation's map. */
void psal_look_map_size(const psal_look *look, int64_t i, int *rows, int *columns);

/* The places of one image [channels, height, width], preprocessed: hits[count][PSAL_LOOK_ENDS], sample 0 and label -1.
 * PSAL_ERR_NUMERIC, naming the filter, when an activation is not finite. */
psal_status psal_look_image(const psal_look *look, const float *image, psal_look_hit *hits, psal_error *err);

/* Where images come from. */
typedef struct psal_look_run {
    int64_t first, end; /* the samples first .. end-1 */
    void *data;         /* handed to the functions below, which many threads call at once */
    /* Prepare sample `index`: image[channels, height, width] and its label (any number; -1: none). */
    psal_status (*load)(void *data, int64_t index, float *image, int *label, psal_error *err);
    /* Sample `index` will be loaded some samples from now; may be NULL. */
    void (*ahead)(void *data, int64_t index);
    /* Sample `index` cannot be used, and why: PSAL_OK leaves it out, anything else (with *err) ends the run. One call
     * at a time, in the order of the samples. NULL: none is left out. */
    psal_status (*bad)(void *data, int64_t index, const psal_error *why, psal_error *err);
    void (*step)(void *data); /* one more sample is done, for progress meters; may be NULL */
    /* Asked now and then, one call at a time: anything but PSAL_OK (with *err) ends the run. May be NULL. */
    psal_status (*pause)(void *data, psal_error *err);
} psal_look_run;

/* hits[count][PSAL_LOOK_ENDS][k], k >= 1: of each filter the k images with the largest activations, the largest first,
 * then those with the smallest, the smallest first. A sample whose activations are not finite is a bad one. Memory: an
 * image and the network's activations per thread, and the hits once per thread. */
psal_status psal_look_over(const psal_look *look, const psal_look_run *run, int k, psal_look_hit *hits,
                           psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
