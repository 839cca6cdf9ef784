/* keras_internal.h - what translations of single layers are written with (internal to models/keras*.c). */
#ifndef PSAL_MODELS_KERAS_INTERNAL_H
#define PSAL_MODELS_KERAS_INTERNAL_H

#include "engine/describer.h"

/* A value of Keras' as it is here: an image [N,C,H,W] (rank 4), or as it is there. */
typedef struct keras_value {
    char *name;              /* of the ONNX value; NULL: not made yet */
    char *logits;            /* in front of the softmax or sigmoid that made it; NULL: another operator did */
    const char *probability; /* that operator */
    int rank;
    int64_t channels; /* -1: not known */
    bool hidden;      /* made of probabilities, whose logits are no more at hand */
} keras_value;

typedef struct keras_translation {
    const psal_tensor_map *checkpoint;
    const psal_description *keras;
    psal_tensor_map *map;
    psal_describer *onnx;
    keras_value *values;      /* [value_count] */
    char *layouts;            /* [tensors] how a tensor was taken; 0: not at all */
    const char **owners;      /* [tensors] the value that was the first to take it */
    psal_tensor_map *endings; /* the last two parts of the tensors' names, each once */
    size_t *of_endings;       /* whose they are; SIZE_MAX - 1: several tensors' */
    const psal_operator *o;   /* the layer at hand; NULL: none */
    bool sixths;              /* hard_sigmoid is relu6(x + 3) / 6, as from Keras 3 on */
    int constants, steps;     /* names given so far: in all, for this layer */
    psal_error *err;
    psal_status status;
} keras_translation;

/* The name of a value on the way. */
typedef struct keras_step {
    char text[512];
} keras_step;

/* How a weight is kept. */
typedef enum keras_layout {
    KERAS_PLAIN = 'p',
    KERAS_OIHW = 'o',      /* of [height, width, in, out] */
    KERAS_DEPTHWISE = 'd', /* [in * multiplier, 1, height, width] of [height, width, in, multiplier] */
    KERAS_TRANSPOSED = 't'
} keras_layout;

/* Record an error that names the layer at hand; the first one is kept, and what comes after it does nothing. */
void keras_fail(keras_translation *t, psal_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool keras_failed(const keras_translation *t);

/* ---- its attributes; `otherwise` where it has none of that name ---- */

const psal_attribute *keras_attribute(const keras_translation *t, const char *name); /* NULL: not there */
double keras_number(keras_translation *t, const char *name, double otherwise);
bool keras_flag(keras_translation *t, const char *name, bool otherwise);
const char *keras_word(keras_translation *t, const char *name, const char *otherwise);
/* Whole numbers: one, or a list. At most `most`; returns how many, 0 where there are none. */
int keras_whole_numbers(keras_translation *t, const char *name, int64_t *numbers, int most);
/* Along height and width, from 1 on. */
void keras_pair(keras_translation *t, const char *name, int64_t otherwise, int64_t numbers[2]);
void keras_want_channels_last(keras_translation *t);
bool keras_pads_same(keras_translation *t); /* padding: same, not valid */

/* ---- its inputs and output ---- */

/* Input i, of whatever or of so many dimensions with the batch; never NULL, without a name after an error. */
const keras_value *keras_input(keras_translation *t, size_t i);
const keras_value *keras_input_of_rank(keras_translation *t, size_t i, int rank);
/* What the layer makes is x, an ONNX value, with this shape; or that input. */
void keras_output(keras_translation *t, const char *x, int rank, int64_t channels);
void keras_output_same(keras_translation *t, const keras_value *x);
char *keras_copy_of(keras_translation *t, const char *text); /* to be freed with the values */

/* ---- ONNX's operators: each returns the value that it makes ---- */

psal_attribute keras_integer_attribute(const char *name, int64_t integer);
psal_attribute keras_number_attribute(const char *name, double number);
psal_attribute keras_text_attribute(const char *name, const char *text);
psal_attribute keras_list_attribute(const char *name, const int64_t *integers, size_t count);
keras_step keras_emit_all(keras_translation *t, const char *type, const char *const *inputs, size_t count,
                          const psal_attribute *attributes, size_t attribute_count);
/* Of one to three inputs; of one, without attributes. */
keras_step keras_emit(keras_translation *t, const char *type, const char *x, const char *second, const char *third,
                      const psal_attribute *attributes, size_t attribute_count);
keras_step keras_emit_plain(keras_translation *t, const char *type, const char *x);
keras_step keras_constant_number(keras_translation *t, double x);
keras_step keras_constant_integers(keras_translation *t, const int64_t *values, int64_t count);
/* An image as Keras has it, or back. */
keras_step keras_transpose(keras_translation *t, const char *x, bool channels_last);

/* ---- its weights ---- */

/* Before the first layer: the last parts of the tensors' names. */
void keras_find_endings(keras_translation *t);
/* The tensor "LAYER/PART", or the only one whose name ends in "/LAYER/PART"; SIZE_MAX: there is none. */
size_t keras_find_weight(keras_translation *t, const char *part);
/* The layer's weight of so many dimensions, none of length 0, put into the map; its name there and (in the file's
 * layout) its shape. NULL after an error. */
const char *keras_weight(keras_translation *t, const char *part, int ndim, keras_layout layout, psal_shape *shape);
/* A vector of that length; where the layer has none of it (`there` is false), one of `otherwise`, which *made names, or
 * without `otherwise` NULL. */
const char *keras_vector(keras_translation *t, const char *part, int64_t length, bool there, const double *otherwise,
                         keras_step *made);

#endif
