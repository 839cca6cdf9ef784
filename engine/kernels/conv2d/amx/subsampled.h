/* subsampled.h - 1 x 1 at a stride: a convolution at stride 1 of the image without the pixels that are skipped. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_SUBSAMPLED_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_SUBSAMPLED_H

#include "engine/kernels/conv2d/lowered.h"

typedef struct psal_amx_subsampled {
    psal_conv2d_shape shape; /* of the convolution at stride 1, or the same if nothing is skipped */
    bool skips;              /* whether pixels are skipped */
    size_t floats;           /* of the others of all images, in scratch memory; 0 if nothing is skipped */
} psal_amx_subsampled;

psal_amx_subsampled psal_amx_subsampled_of(const psal_conv2d_shape *s);

/* The pixels of x that are not skipped, as images of their own */
void psal_amx_subsample(const psal_conv2d_shape *s, const float *x, float *to, int threads);
/* Back to their places in x, with zeros in the others */
void psal_amx_subsample_adjoint(const psal_conv2d_shape *s, const float *from, float *x, int threads);

#endif
