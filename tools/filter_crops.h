/* filter_crops.h - what filters look for in a data set (saliency/look.h), and the crops of its images that show it. */
#ifndef PSAL_TOOLS_FILTER_CROPS_H
#define PSAL_TOOLS_FILTER_CROPS_H

#include "io/dataset.h"
#include "saliency/look.h"
#include "tools/session.h"
#include "tools/skipped.h"

typedef struct psal_filter_crops {
    const psal_session *session;
    const psal_dataset *dataset;
    psal_look *look;
    int64_t *filters; /* [count] their numbers in the network */
    int64_t count;
    int k;
    psal_look_hit *hits; /* [count][PSAL_LOOK_ENDS][k]: places in the data set; label as the data set has it */
    psal_look_hit *own;  /* [count][PSAL_LOOK_ENDS]: of the image at hand; NULL: there was none */
    psal_skipped skipped;
} psal_filter_crops;

/* Look for filters[count] in the data set, with all threads of the session: the k places of the largest activations and
 * those of the smallest, in one forward pass. input: another image [channels, height, width], as the network sees it,
 * whose own places are found too, or NULL. With skip_bad images that cannot be read are added to crops->skipped; all
 * of them bad is an error. `program` shows on standard error how far it is, unless `quiet`. The session and the data
 * set must outlive the result. Free with psal_filter_crops_free, also after an error. */
psal_status psal_filter_crops_find(psal_filter_crops *crops, const psal_session *session, const psal_dataset *dataset,
                                   const int64_t *filters, int64_t count, int k, const float *input,
                                   const char *program, bool skip_bad, bool quiet, psal_error *err);
void psal_filter_crops_free(psal_filter_crops *crops); /* zeroed is fine */

/* Filter i's hits at one end: [k]. */
const psal_look_hit *psal_filter_crops_hits(const psal_filter_crops *crops, int64_t i, psal_look_end end);

/* The receptive field of a hit, cut out of the image of the data set as the network saw it (grey: three equal
 * channels). The caller frees it with psal_image_free. */
psal_status psal_filter_crop(const psal_filter_crops *crops, const psal_look_hit *hit, psal_image *crop,
                             psal_error *err);

#endif
