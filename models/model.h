/* model.h - the networks: recognising them in a checkpoint, and building their graph.
 *
 * A psal_model is an architecture with its parameters, named and ordered as torchvision does (`named_parameters()`), made
 * from the named tensors of a checkpoint. psal_model_build writes the network for one input size into a graph. Models know
 * no files; io/checkpoint.h reads those into a psal_tensor_map. */
#ifndef PSAL_MODELS_MODEL_H
#define PSAL_MODELS_MODEL_H

#include "engine/graph.h"
#include "engine/plan.h"
#include "engine/tensor.h"

typedef struct psal_model psal_model;

/* What the caller knows better than the checkpoint. Zero-initialise; unset fields are recognised from the tensor names and
 * shapes, the checkpoint's metadata ("psal.arch", "psal.variant", "psal.width", "psal.bn_epsilon", "psal.transform_input",
 * "psal.num_classes"), or torchvision's defaults, in this order. */
typedef struct psal_model_options {
    const char *arch;      /* "resnet50", "vgg19_bn", "densenet121", "inception_v3", ...; NULL: recognise */
    const char *variant;   /* ResNet: "v1.5" (stride in the 3x3, torchvision) or "v1" (in the first 1x1); NULL: recognise */
    double bn_epsilon;     /* 0: recognise (1e-5; Inception-v3 1e-3) */
    int transform_input;   /* Inception-v3: 1 yes, -1 no, 0 as recorded (default no) */
} psal_model_options;

typedef struct psal_model_info {
    const char *arch;     /* as above */
    const char *family;   /* "resnet", "vgg", "densenet", "inception" */
    const char *variant;  /* "" where there are none */
    double width;         /* every channel count is max(1, (int)(count * width + 0.5)) of the published one; 1 normally */
    double bn_epsilon;
    bool transform_input;
    int num_classes;
    int native_size;      /* the side the architecture was published for: 224, 299 */
    int min_size;         /* smallest side that does not shrink to nothing */
    int filter_count;     /* output channels of all 4-D convolution weights, auxiliary classifier included */
    int64_t parameter_elements; /* elements of all parameters */
} psal_model_info;

/* One entry of named_parameters(). */
typedef struct psal_model_parameter {
    const char *name;   /* "layer1.0.conv1.weight" */
    psal_shape shape;
    const float *values; /* owned by the model or by the checkpoint it was loaded from */
    bool is_filter;      /* a 4-D convolution weight: shape.dim[0] filters */
    bool in_graph;       /* false for Inception's auxiliary classifier: part of the numbering, never computed */
    int first_filter;    /* number of its first filter; -1 unless is_filter */
    int64_t first_element; /* offset in the concatenation of all parameters */
} psal_model_parameter;

/* Make a model from a checkpoint's tensors, in whatever naming: torchvision's, DenseNet's old one, timm's, Keras'
 * (psal.format = "tfjs-layers": HWIO kernels transposed, convolution biases folded into the running means).
 * float32 tensors are used where they lie (the map must outlive the model), others are converted. Fails, naming the
 * tensor, what was expected and what came, when the tensors are not one of the known architectures, when one is missing
 * or has another shape, or when a value is NaN or infinite. Tensors the network does not use are ignored and named in
 * `notes` (one line; may be NULL). */
psal_model *psal_model_load(const psal_tensor_map *checkpoint, const psal_model_options *options, char notes[1024],
                            psal_error *err);
void psal_model_free(psal_model *model); /* NULL is fine */

const psal_model_info *psal_model_get_info(const psal_model *model);
int psal_model_parameter_count(const psal_model *model);
const psal_model_parameter *psal_model_get_parameter(const psal_model *model, int index);
int psal_model_find_parameter(const psal_model *model, const char *name); /* -1 when absent */
/* The parameter that filter `filter` (0 .. filter_count-1) belongs to; its number within is filter - first_filter. */
int psal_model_filter_parameter(const psal_model *model, int filter);
/* The normalisation that follows a convolution: indices of its scale and shift parameters (out -1 when none; a biased
 * convolution's own bias counts as shift) - what switching the whole channel off must zero too. In DenseNet, where
 * normalisation comes before convolution, the one that reads this channel is not "its" normalisation: -1. */
void psal_model_filter_norm(const psal_model *model, int parameter, int *scale_parameter, int *shift_parameter);

/* A copy of everything as a checkpoint: torchvision's names, running statistics included, float32, with the "psal.*"
 * metadata that lets psal_model_load recognise it. `values` (may be NULL) replaces parameter i's values where values[i] is
 * not NULL. */
psal_tensor_map *psal_model_export(const psal_model *model, const float *const *values, psal_error *err);

/* The network in a graph. */
typedef struct psal_network {
    psal_node image;             /* [batch, 3, height, width], preprocessed */
    psal_node logits;            /* [batch, num_classes] */
    const psal_node *parameters; /* node of parameter i, or PSAL_NO_NODE when not in the graph; owned by the graph's user:
                                    freed with psal_network_free */
} psal_network;

psal_status psal_model_build(const psal_model *model, psal_graph *graph, int batch, int height, int width,
                             psal_network *network, psal_error *err);
void psal_network_free(psal_network *network);
/* Bind all parameters and running statistics of the network to the model's values. */
psal_status psal_model_bind(const psal_model *model, const psal_network *network, psal_plan *plan, psal_error *err);

#endif
