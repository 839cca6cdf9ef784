/* neighbors_internal.h - from a sample of a source to the vector whose cosine is taken; shared by neighbors*.c. */
#ifndef PSAL_SALIENCY_NEIGHBORS_INTERNAL_H
#define PSAL_SALIENCY_NEIGHBORS_INTERNAL_H

#include "engine/kernels/clones.h"
#include "saliency/neighbors.h"

/* For loops with this many partial sums: the compiler can use the processor's vectors without changing the result. */
#define LANES 32

/* Sums of squares between these have lost nothing in float32. */
#define PSAL_SMALLEST_SQUARES 1e-20f
#define PSAL_LARGEST_SQUARES 1e30f

/* What is the same for all samples of a search. shift and scale belong to the entries compared, one after the other. */
typedef struct psal_profile_space {
    const psal_profile_source *source;
    psal_similarity similarity;
    const psal_entry_range *ranges;
    int64_t range_count;
    int64_t width;         /* entries compared */
    double *shift, *scale; /* [width]: s^ = (s - shift) / scale */
    /* for float32: ((s - shift_high) - shift_low) * inverse loses nothing where s is close to the mean */
    float *shift_high, *shift_low, *inverse;
    float *offset; /* [width], mean / std: s * inverse - offset is as good where `quick` */
    bool quick;
    psal_entry_range whole; /* what `ranges` points to when all entries are compared */
} psal_profile_space;

psal_status psal_profile_space_open(const psal_profile_source *source, const psal_neighbor_options *options,
                                    psal_profile_space *space, psal_error *err);
/* That this sample (-1: what is no sample) has no vector: a number that is not finite or, of roots, a negative one */
psal_status psal_profile_space_refuse(psal_similarity similarity, int64_t sample, psal_error *err);
void psal_profile_space_close(psal_profile_space *space); /* zeroed is fine */

/* Write the standardized entries of a sample, in float32, into out[width]. scratch[source->length]. */
void psal_profile_space_scores(const psal_profile_space *space, int64_t sample, float *scratch, float *out);

/* Write the unit vector of a sample (or of `profile`, when not NULL) into out[width], approximately, in float32; zeros
 * when it has no length. scratch[source->length]. False when it is not finite. */
bool psal_profile_space_fast(const psal_profile_space *space, int64_t sample, float *scratch, float *out);

/* The same vector in double precision. */
bool psal_profile_space_exact(const psal_profile_space *space, int64_t sample, const float *profile, float *scratch,
                              double *out);

/* The similarities of samples[rows], at most PSAL_COMPARED_ROWS of them, to queries[count][width], unit vectors,
 * approximately, in float32: that of sample r and query q into similarities[q * stride + r]. Faster than vectors and
 * their products for a few queries. scratch has PSAL_COMPARED_SCRATCH entries, or source->length if that is more;
 * row[width]. Returns a sample that is not finite, or -1. */
enum { PSAL_COMPARED_ROWS = 8, PSAL_COMPARED_SCRATCH = 4096 };
int64_t psal_profile_space_compare(const psal_profile_space *space, const int64_t *samples, int64_t rows,
                                   const float *queries, int64_t count, float *scratch, float *row, float *similarities,
                                   int64_t stride);

#endif
