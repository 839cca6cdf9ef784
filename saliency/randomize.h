/* randomize.h - a network with the weights of some layers redrawn, for the sanity checks of Adebayo et al. 2018 (arXiv
 * 1810.03292): an explanation that does not change with the weights explains nothing of the network.
 *
 * A layer's weights are those of one convolution or linear layer. Biases and normalisations stay, so that what goes on
 * to the next layer keeps its size. */
#ifndef PSAL_SALIENCY_RANDOMIZE_H
#define PSAL_SALIENCY_RANDOMIZE_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_redraw {
    PSAL_REDRAW_PERMUTE, /* the layer's own weights in random order */
    PSAL_REDRAW_NORMAL   /* normal, with the mean and the deviation of the layer's weights */
} psal_redraw;

const char *psal_redraw_name(psal_redraw redraw); /* "permute", "normal" */

/* Whether parameter i is such a layer of the graph. */
bool psal_is_layer(const psal_model *model, int parameter);

typedef struct psal_redrawn psal_redrawn;

/* Other weights for all layers, each from the seed and its own number alone. `model` must outlive the result. */
psal_redrawn *psal_redrawn_new(const psal_model *model, psal_redraw redraw, uint64_t seed, psal_error *err);
void psal_redrawn_free(psal_redrawn *redrawn); /* NULL is fine */
/* [psal_model_parameter_count]: NULL for what is no layer. For psal_saliency_set_values. */
const float *const *psal_redrawn_values(const psal_redrawn *redrawn);

#ifdef __cplusplus
}
#endif

#endif
