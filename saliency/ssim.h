/* ssim.h - how alike two pictures are in structure.
 *
 * The mean structural similarity of Wang, Bovik, Sheikh & Simoncelli 2004 with their constants: a Gaussian window of
 * 11 x 11 pixels and deviation 1.5, K1 = 0.01, K2 = 0.03, at every place where the window lies inside. */
#ifndef PSAL_SALIENCY_SSIM_H
#define PSAL_SALIENCY_SSIM_H

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PSAL_SSIM_WINDOW = 11 };

/* Of a and b [height, width], with values that span 0 to 1. *ssim is 1 for equal pictures, NAN for pictures smaller
 * than the window. */
psal_status psal_ssim(const float *a, const float *b, int height, int width, double *ssim, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
