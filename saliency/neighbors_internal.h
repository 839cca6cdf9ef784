/* neighbors_internal.h - from a sample of a source to the vector whose cosine is taken; shared by neighbors*.c. */
#ifndef PSAL_SALIENCY_NEIGHBORS_INTERNAL_H
#define PSAL_SALIENCY_NEIGHBORS_INTERNAL_H

#include "saliency/neighbors.h"

/* What is the same for all samples of a search. shift and scale belong to the entries compared, one after the other. */
typedef struct psal_profile_space {
    const psal_profile_source *source;
    psal_similarity similarity;
    const psal_entry_range *ranges;
    int64_t range_count;
    int64_t width;          /* entries compared */
    double *shift, *scale;  /* [width]: s^ = (s - shift) / scale */
    float *shift_high, *shift_low, *inverse; /* for float32: ((s - shift_high) - shift_low) * inverse loses nothing where s
                                                is close to the mean */
    psal_entry_range whole; /* what `ranges` points to when all entries are compared */
} psal_profile_space;

psal_status psal_profile_space_open(const psal_profile_source *source, const psal_neighbor_options *options,
                                    psal_profile_space *space, psal_error *err);
void psal_profile_space_close(psal_profile_space *space); /* zeroed is fine */

/* Write the unit vector of a sample (or of `profile`, when not NULL) into out[width], approximately, in float32; zeros when
 * it has no length. scratch[source->length]. False when it is not finite. */
bool psal_profile_space_fast(const psal_profile_space *space, int64_t sample, float *scratch, float *out);

/* The same in double precision. */
bool psal_profile_space_exact(const psal_profile_space *space, int64_t sample, const float *profile, float *scratch,
                              double *out);

#endif
