/* model.h - the networks: recognising them in a checkpoint, and building their graph.
 *
 * A psal_model is an architecture with its parameters, named and ordered as torchvision does
 * (`named_parameters()`), made from the named tensors of a checkpoint. psal_model_build writes the
 * network for one input size into a graph. Models know no files; io/checkpoint.h reads those into a
 * psal_tensor_map. A finished model is read-only and may be shared by any number of threads. */
#ifndef PSAL_MODELS_MODEL_H
#define PSAL_MODELS_MODEL_H

#include "engine/graph.h"
#include "engine/plan.h"
#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_model psal_model;

/* What the caller knows better than the checkpoint. Zero-initialise; unset fields are recognised
 * from the tensor names and shapes, the checkpoint's metadata ("psal.arch", "psal.variant",
 * "psal.width", "psal.bn_epsilon", "psal.transform_input", "psal.num_classes"), what its naming
 * implies (Keras: v1 and another epsilon), or torchvision's defaults, in this order. */
typedef struct psal_model_options {
    const char *arch;    /* "resnet50", "vgg19_bn", "densenet121", "inception_v3", ...; NULL: recognise */
    const char *variant; /* ResNets with bottlenecks: "v1.5" (stride in the 3x3, torchvision) or
                            "v1" (in the first 1x1); NULL: recognise */
    double bn_epsilon;   /* 0: recognise (1e-5; Inception-v3 1e-3) */
    int transform_input; /* Inception-v3, GoogLeNet: 1 yes, -1 no, 0 as recorded (default no) */
    const char *prefix;  /* what stands in front of the names of the network meant ("model.", "ema.module."), with or
                            without the last dot; of an ONNX file, the output that has the classes; NULL: found */
    const char *const *ignore_extra; /* [ignore_extra_count] tensors to leave out although they may be part of the */
    int ignore_extra_count;          /* network: names, or beginnings of names that end in '.' */
} psal_model_options;

typedef struct psal_model_info {
    const char *arch; /* as above */
    /* "resnet", "vgg", "densenet", "inception", ...: the name of its file in models/; or "onnx" (arch: "onnx-" and a
     * hash of the operators) */
    const char *family;
    const char *variant; /* "" where there are none */
    double width;        /* layers have max(1, floor(c * width + 1/2)) outputs for the published c; 1
                          normally. In DenseNet the first convolution and the growth rate do, and the
                          rest follows. Where the shapes allow several numbers, a likely one */
    double bn_epsilon;   /* 0 where there is no batch normalisation */
    bool has_transform;  /* the architecture may rescale its input: Inception-v3, GoogLeNet */
    bool transform_input;
    /* What nobody said, neither the caller nor the metadata nor a naming that implies it: torchvision's default was
     * taken. False where the architecture has no such thing. */
    bool variant_assumed, bn_epsilon_assumed, transform_input_assumed;
    const char *preprocess; /* how the image must be prepared, in the words of io/preprocess.h: what
                               the checkpoint's metadata says ("psal.preprocess"), or "caffe" where
                               its naming implies that (Keras), or "" */
    bool one_of_several;    /* other networks with other numbers were left aside, which options->prefix would choose */
    bool doubtful;          /* the notes of psal_model_load tell of something that decides the answer: the classes of an
                               ONNX file do not exclude each other, say */
    bool arch_assumed;      /* others have the same names and shapes; neither the caller nor the file says which */
    const char *prefix;     /* what stood in front of the names of the network that was taken; "" for nothing */
    /* what options->ignore_extra left out, now or when the file was written: the first few tensors and how many
     * ("psal.ignored"); "" when nothing */
    const char *ignored;
    bool norm_folded; /* an ONNX file whose exporter multiplied batch normalisation into the convolutions */
    int channels;     /* of the image: 3, 1 for grey ones, or as many as the first convolution has inputs */
    int num_classes;
    int native_size;            /* the side the architecture was published for: 224, 299 */
    int min_size;               /* smallest side that does not shrink to nothing */
    int filter_count;           /* output channels of all 4-D convolution weights, auxiliary classifier
                         included */
    int64_t parameter_elements; /* elements of all parameters */
} psal_model_info;

/* What is numbered, ranked and changed: the outputs of convolutions, or of all layers. */
typedef enum psal_units {
    PSAL_UNITS_FILTERS, /* the filters of the 4-D weights */
    PSAL_UNITS_ROWS,    /* the outputs of every convolution and linear layer */
    PSAL_UNITS_COUNT
} psal_units;

/* One entry of named_parameters(). */
typedef struct psal_model_parameter {
    const char *name; /* "layer1.0.conv1.weight" */
    psal_shape shape;
    const float *values; /* owned by the model or by the checkpoint it was loaded from */
    bool is_filter;      /* a 4-D convolution weight: shape.dim[0] filters */
    int output_axis;     /* of a convolution's or linear layer's weight: along which its outputs lie, 0 but for an ONNX
                            file's matrices [inputs, outputs]; -1: it is none (class tokens, positions, scales) */
    bool in_graph;       /* false for auxiliary classifiers: part of the numbering, never
                            computed; its values are zeros when the checkpoint has none */
    int first_unit[PSAL_UNITS_COUNT]; /* number of its first filter, of its first row; -1: it has none */
    int64_t first_element;            /* offset in the concatenation of all parameters */
} psal_model_parameter;

/* The architectures, in families. The name is NULL outside 0 .. count-1. */
int psal_model_arch_count(void);
const char *psal_model_arch_name(int index);

/* Make a model from a checkpoint: from its description, where it has one (engine/description.h; such a network is not
 * in the table of architectures, and its parameters are numbered in the order in which operators read them), else from
 * its tensors.
 *
 * They may have whatever naming: torchvision's, DenseNet's old one, timm's, Keras' for
 * ResNets (kernels transposed). float32 tensors are used where they lie (the checkpoint must outlive the model), others
 * are converted.
 *
 * A network is made from one group of tensors: those whose names share a prefix ("module.", "model.", "backbone.",
 * whatever), which comes off the whole group; the names as they are come first. Of several networks options->prefix
 * chooses; an average of the weights beside them ("ema.", "module." with "n_averaged") is left aside with a note. One
 * fully connected layer that stands where the last one is expected is taken for it, whatever its number or name
 * ("fc.1", "head.fc"). Biases of convolutions in front of a normalisation are folded into its running mean.
 *
 * No floating-point tensor is left over, in the group or beside it, but what is known to be without effect (counters,
 * the optimizer's and the criterion's, biases of zeros: the table in models/leftover.c) or what options->ignore_extra
 * names.
 *
 * Fails, naming the tensor, what was expected and what came, when the tensors are not one of the known architectures,
 * when one is missing or has another shape, is left over, is there twice, holds integers, when a value is NaN or
 * infinite, or a variance negative. `notes` (may be NULL) gets one line on what was done; "" when there is nothing to
 * say. */
psal_model *psal_model_load(const psal_tensor_map *checkpoint, const psal_model_options *options, char notes[1024],
                            psal_error *err);
void psal_model_free(psal_model *model); /* NULL is fine */

/* A checkpoint with all tensors of an architecture, zeros in all of them (ones in running
 * variances), with the "psal.*" metadata: something to be filled. width > 0, num_classes > 0. */
psal_tensor_map *psal_model_blank(const char *arch, double width, int num_classes, psal_error *err);

const psal_model_info *psal_model_get_info(const psal_model *model);
/* The checkpoint's metadata under `key`, which begins with "psal."; NULL when absent. */
const char *psal_model_metadata(const psal_model *model, const char *key);

int psal_model_parameter_count(const psal_model *model);
/* NULL outside 0 .. parameter_count-1 */
const psal_model_parameter *psal_model_get_parameter(const psal_model *model, int index);
int psal_model_find_parameter(const psal_model *model, const char *name); /* -1 when absent */
/* How many filters, or rows, the network has; "filters" or "rows". */
int psal_model_unit_count(const psal_model *model, psal_units units);
const char *psal_units_name(psal_units units);
/* The parameter that unit number `unit` (0 .. unit_count-1) belongs to, and (may be NULL) the unit's number within. -1
 * outside. */
int psal_model_unit_parameter(const psal_model *model, psal_units units, int64_t unit, int64_t *within);

/* Where the values of a parameter's outputs lie (of a vector, each element is one): output i has `length` numbers,
 * values[i * step + j * stride]. */
typedef struct psal_outputs {
    int64_t count, length, step, stride;
} psal_outputs;

psal_outputs psal_parameter_outputs(const psal_model_parameter *parameter);
/* The normalisation that follows a convolution channel by channel: indices of its scale and shift
 * parameters, what switching a whole channel off must zero too. A convolution or linear layer with a bias and
 * without normalisation has its own bias as shift and no scale. -1 where there is none: in DenseNet the
 * outputs of a dense layer's second convolution and of a transition go to many normalisations
 * beside other channels, so none is theirs. */
void psal_model_filter_norm(const psal_model *model, int parameter, int *scale_parameter, int *shift_parameter);

/* A copy of everything as a checkpoint: torchvision's names, running statistics included, float32,
 * with the metadata it had and the "psal.*" entries that let psal_model_load recognise it (an
 * auxiliary classifier that the checkpoint did not have is left out). `values` (may be NULL)
 * replaces parameter i's values where values[i] is not NULL. Of a network from an ONNX file: what of that file is to be
 * replaced, and its "psal.*" entries; the model's checkpoint must outlive the map. Either is written by
 * psal_checkpoint_write (io/checkpoint.h). */
psal_tensor_map *psal_model_export(const psal_model *model, const float *const *values, psal_error *err);

/* Give parameter `index` other values (copied; as many as its shape has). Before plans are bound to
 * the model, and while no other thread uses it. */
psal_status psal_model_set_parameter(psal_model *model, int index, const float *values, psal_error *err);

/* 64 bits that tell one set of weights from another, running means and variances included: the same for every file
 * format that holds the same float32 values under the same architecture. Statistics are found by it. Reads all values
 * (some 5 ms per 100 MB); not cryptographic. */
uint64_t psal_model_fingerprint(const psal_model *model);
/* The hash it is made with, of any bytes; `seed` may be that of what comes before. */
uint64_t psal_bytes_fingerprint(const void *data, size_t size, uint64_t seed);

/* One of the parts that a network can be cut in: layers from one place where little is alive to the
 * next. */
typedef struct psal_network_part {
    psal_node output; /* what it computes; of the last part: the logits */
    psal_node copy;   /* the input from which later parts read it; PSAL_NO_NODE for the last */
} psal_network_part;

/* The network in a graph. The node numbers live until psal_network_free. */
typedef struct psal_network {
    psal_node image;             /* [batch, channels, height, width], preprocessed */
    psal_node logits;            /* [batch, num_classes] */
    const psal_node *parameters; /* node of parameter i, or PSAL_NO_NODE when not in the graph */
    const psal_node *statistics; /* of the running means and variances, in the order of the layers */
    int statistics_count;
    const psal_network_part *parts; /* in running order: each reads copies of earlier ones only */
    int part_count;                 /* 1 when it was not cut */
    const int *parameter_part;      /* the part that parameter i is in */
} psal_network;

psal_status psal_model_build(const psal_model *model, psal_graph *graph, int batch, int height, int width,
                             psal_network *network, psal_error *err);
/* The same in parts, each to be planned and run by itself: whoever changes a layer need not run
 * again what comes before it. parts[i].copy must be set to the values of parts[i].output. Residual
 * networks are cut inside their blocks too. */
psal_status psal_model_build_in_parts(const psal_model *model, psal_graph *graph, int batch, int height, int width,
                                      psal_network *network, psal_error *err);
void psal_network_free(psal_network *network); /* NULL and zeroed are fine */
/* Bind all parameters and running statistics of the network to the model's values. */
psal_status psal_model_bind(const psal_model *model, const psal_network *network, psal_plan *plan, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
