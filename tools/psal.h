/* psal.h - everything a program needs to use libpsal: include this one header.
 *
 *   cc program.c $(pkg-config --cflags --libs psal)
 *
 * C++ includes it as it is; so does every header below by itself.
 * Each header below is the manual of its part. The way of one image to its profile:
 *
 *   psal_checkpoint_read    io/checkpoint.h        a file of weights, as named tensors
 *   psal_model_load         models/model.h         the network they belong to
 *   psal_image_load,
 *   psal_preprocess_image   io/preprocess.h        an image, as the network wants it
 *   psal_saliency_profile   saliency/saliency.h    its profile: one number per filter
 *   psal_statistics_...,
 *   psal_standardize_...    saliency/standardize.h measured against a data set
 *   psal_saliency_input     saliency/saliency.h    and back to the pixels */
#ifndef PSAL_H
#define PSAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The engine: tensors, graphs, gradients. */
#include "engine/error.h"
#include "engine/graph.h"
#include "engine/plan.h"
#include "engine/receptive_field.h"
#include "engine/tensor.h"

/* Networks, and the method. */
#include "models/model.h"
#include "saliency/ablate.h"
#include "saliency/bootstrap.h"
#include "saliency/choose.h"
#include "saliency/classifier.h"
#include "saliency/computation.h"
#include "saliency/dataset_run.h"
#include "saliency/delta.h"
#include "saliency/depth.h"
#include "saliency/edit.h"
#include "saliency/finetune.h"
#include "saliency/look.h"
#include "saliency/masking.h"
#include "saliency/neighbors.h"
#include "saliency/prediction.h"
#include "saliency/prune.h"
#include "saliency/random.h"
#include "saliency/randomize.h"
#include "saliency/rank_correlation.h"
#include "saliency/reference_set.h"
#include "saliency/saliency.h"
#include "saliency/ssim.h"
#include "saliency/standardize.h"
#include "saliency/statistics.h"
#include "saliency/summary.h"
#include "saliency/tail.h"
#include "saliency/variants.h"
#include "saliency/welford.h"

/* Files. */
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/csv.h"
#include "io/dataset.h"
#include "io/figure.h"
#include "io/helper_files.h"
#include "io/html_report.h"
#include "io/idx.h"
#include "io/image.h"
#include "io/json_output.h"
#include "io/labels.h"
#include "io/notes.h"
#include "io/npy.h"
#include "io/preprocess.h"
#include "io/profile_store.h"
#include "io/profile_writer.h"
#include "io/progress.h"
#include "io/safetensors.h"

/* All of it at once: an image explained in one call. */
#include "tools/net.h"

#endif
