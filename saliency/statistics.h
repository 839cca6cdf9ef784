/* statistics.h - mean and standard deviation of the naive saliency over a data set, entry by entry.
 *
 * In files they are tensors "mean" and "std" (float64 or float32, [length]) with metadata saying what they belong to:
 * those that psal-stats writes (.safetensors) as well as the original authors' (.pth, which hold nothing else). */
#ifndef PSAL_SALIENCY_STATISTICS_H
#define PSAL_SALIENCY_STATISTICS_H

#include "engine/tensor.h"
#include "models/model.h"
#include "saliency/saliency.h"

typedef struct psal_statistics {
    int64_t length;
    double *mean, *std;   /* [length]; std unbiased (divided by count - 1) */
    int64_t count;        /* samples; 0 where the file does not say */
    char arch[64];        /* "" where the file does not say; likewise below */
    uint64_t fingerprint; /* of the weights they were computed with; 0: not said */
    char preprocess[256]; /* as in io/preprocess.h */
    char aggregation[16]; /* "filter", ... */
    char loss[32];        /* "cross-entropy", ... */
    bool is_signed;
    bool normalized; /* each profile was divided by its L2 norm first */
} psal_statistics;

/* Copy the statistics out of a file's tensors. Fails when mean or std is missing, they are not vectors of one length, or
 * hold negative deviations or values that are not finite. */
psal_statistics *psal_statistics_from_tensors(const psal_tensor_map *tensors, psal_error *err);
/* The same as tensors, to be written as a file. */
psal_tensor_map *psal_statistics_to_tensors(const psal_statistics *statistics, psal_error *err);
psal_statistics *psal_statistics_new(int64_t length, psal_error *err); /* zeros */
void psal_statistics_free(psal_statistics *statistics);                /* NULL is fine */

/* Refuse statistics that belong to another network, loss or aggregation: the length always, the rest where the file says.
 * That the weights differ (another training of the same architecture, e.g. the published statistics) is no error: a line
 * in warning[256], else "". */
psal_status psal_statistics_check(const psal_statistics *statistics, const psal_model *model,
                                  const psal_saliency_options *options, int64_t length, char warning[256],
                                  psal_error *err);

/* Names of the enumerations, as in files and on the command line. */
const char *psal_loss_name(psal_loss loss);
const char *psal_aggregation_name(psal_aggregation aggregation);

#endif
