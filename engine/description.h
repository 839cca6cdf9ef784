/* description.h - a network as a list of operators: what an ONNX file says, or Keras' list of layers, before anybody
 * knows what it means.
 *
 * A reader (io/onnx.h, io/tfjs.h) makes it and hangs it on the tensor map that holds the file's weights
 * (psal_tensor_map_describe); models/onnx.h turns it into a graph, models/keras_layers.h Keras' layers into ONNX's
 * operators. Values are numbered; each is made once: it is an
 * input, a tensor of the map under the value's name, or an output of one operator, which comes in front of those that
 * read it. */
#ifndef PSAL_ENGINE_DESCRIPTION_H
#define PSAL_ENGINE_DESCRIPTION_H

#include "engine/tensor.h"

#define PSAL_NO_VALUE (-1) /* an optional input or output that is left out */

typedef enum psal_attribute_type {
    PSAL_ATTRIBUTE_INT,
    PSAL_ATTRIBUTE_FLOAT,
    PSAL_ATTRIBUTE_STRING,
    PSAL_ATTRIBUTE_INTS,
    PSAL_ATTRIBUTE_FLOATS,
    PSAL_ATTRIBUTE_STRINGS,
    PSAL_ATTRIBUTE_TENSOR,
    PSAL_ATTRIBUTE_OTHER /* a graph, a sparse tensor, ...: its name only */
} psal_attribute_type;

typedef struct psal_attribute {
    const char *name;
    psal_attribute_type type;
    int64_t integer;            /* INT */
    float number;               /* FLOAT */
    const char *text;           /* STRING */
    size_t count;               /* of the lists */
    const int64_t *integers;    /* INTS */
    const float *numbers;       /* FLOATS */
    const char *const *strings; /* STRINGS */
    psal_tensor tensor;         /* TENSOR */
} psal_attribute;

typedef struct psal_operator {
    const char *name;            /* "/layer1/layer1.0/conv1/Conv", or "" */
    const char *type;            /* "Conv" */
    const char *domain;          /* "" for the standard's own */
    const int *inputs, *outputs; /* value numbers or PSAL_NO_VALUE */
    size_t input_count, output_count;
    const psal_attribute *attributes;
    size_t attribute_count;
} psal_operator;

/* An input or output of the whole, with the shape that was declared. */
typedef struct psal_port {
    int value;
    psal_dtype dtype;           /* PSAL_OTHER where it is none of psal's, or not said */
    int ndim;                   /* -1: not said */
    int64_t dim[PSAL_MAX_DIMS]; /* -1: any */
} psal_port;

typedef enum psal_description_form {
    PSAL_DESCRIPTION_ONNX, /* operators of onnx.ai/onnx/operators */
    /* Layers by class ("Conv2D"), images channels last. Attributes are the layer's configuration, nested lists one
     * after the other, null in them -1; a layer that is called several times is there as often. An operator "Identity"
     * stands where a network inside of the network begins and ends. */
    PSAL_DESCRIPTION_KERAS
} psal_description_form;

typedef struct psal_description {
    psal_description_form form;
    const char *name;          /* of the graph */
    const char *producer;      /* "pytorch 1.13.0" */
    int opset;                 /* ONNX: version of the standard's operators */
    const char *const *values; /* names, in the order of strcmp, each once */
    int value_count;
    const psal_operator *operators;
    size_t operator_count;
    const psal_port *inputs, *outputs;
    size_t input_count, output_count;
    const uint8_t *file; /* all of the ONNX file, for a copy with other weights (io/onnx_write.h); NULL: of none */
    size_t file_size;
    bool has_external; /* some of its tensors lie in other files */
} psal_description;

#endif
