/* helper_files.h - the files the method's authors published beside their code: statistics of the
 * saliency over ImageNet's validation set, and which of its images each network gets wrong. */
#ifndef PSAL_IO_HELPER_FILES_H
#define PSAL_IO_HELPER_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A dictionary {mean, std} of two tensors of equal length, one entry per filter in the design's
 * order, exactly as in the file (float32 values are widened). The caller frees both arrays; they
 * are NULL on failure. */
psal_status psal_read_statistics_pth(const char *path, double **mean, double **std, size_t *count, psal_error *err);

/* {incorrect_id, incorrect_predictions, correct_id}: numbers of images in the order of the
 * validation set's ImageFolder, and the class each wrong one was taken for. */
typedef struct psal_inference_results {
    int64_t *incorrect_id, *incorrect_prediction; /* [incorrect_count] */
    int64_t *correct_id;                          /* [correct_count] */
    size_t incorrect_count, correct_count;
} psal_inference_results;

/* Fill *results, to be emptied with psal_inference_results_free; zeroed on failure. */
psal_status psal_read_inference_results(const char *path, psal_inference_results *results, psal_error *err);
void psal_inference_results_free(psal_inference_results *results); /* frees the arrays and zeroes it */

#ifdef __cplusplus
}
#endif

#endif
