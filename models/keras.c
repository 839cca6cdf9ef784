#include "models/keras.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "models/floats.h"

/* What the number in a weight's name is in torchvision's layer. */
typedef enum role { CONVOLUTION, NORMALISATION, CLASSIFIER } role;

/* A weight's torchvision name, in parts. */
typedef struct weight_name {
    role role;
    char layer[48];   /* "layer1.0.conv1" */
    const char *part; /* "weight" */
} weight_name;

/* Read a number of at most four digits without sign. */
static bool read_number(const char **text, int *number) {
    int digits = 0;
    for (*number = 0; **text >= '0' && **text <= '9' && digits < 4; (*text)++, digits++)
        *number = *number * 10 + (**text - '0');
    return digits > 0;
}

static bool skip(const char **text, const char *expected) {
    size_t length = strlen(expected);
    if (strncmp(*text, expected, length) != 0) return false;
    *text += length;
    return true;
}

/* Layer `index` of a bottleneck: 1 to 3, or 0 for the projection. stage 2 is torchvision's layer1.
 */
static bool bottleneck_layer(weight_name *name, int stage, int block, int index) {
    if (stage < 2 || stage > 5 || block < 0 || index > 3) return false;
    if (index == 0)
        snprintf(name->layer, sizeof name->layer, "layer%d.%d.downsample.%d", stage - 1, block,
                 name->role == CONVOLUTION ? 0 : 1);
    else
        snprintf(name->layer, sizeof name->layer, "layer%d.%d.%s%d", stage - 1, block,
                 name->role == CONVOLUTION ? "conv" : "bn", index);
    return true;
}

/* Keras 2.2's keras/applications/resnet50.py: "res2a_branch1", "bn4b_branch2c"; deeper networks go
 * on with "res4b1_branch2a". */
static bool parse_first_naming(const char *text, weight_name *name) {
    int stage, block;
    if (skip(&text, "res"))
        name->role = CONVOLUTION;
    else if (skip(&text, "bn"))
        name->role = NORMALISATION;
    else
        return false;
    if (*text < '2' || *text > '5') return false;
    stage = *text++ - '0';
    if (*text < 'a' || *text > 'z') return false;
    block = *text++ - 'a';
    if (block == 1 && *text != '_' && !read_number(&text, &block)) return false;
    if (!skip(&text, "_branch")) return false;
    if (strcmp(text, "1") == 0) return bottleneck_layer(name, stage, block, 0);
    if (text[0] != '2' || text[1] < 'a' || text[1] > 'c' || text[2]) return false;
    return bottleneck_layer(name, stage, block, text[1] - 'a' + 1);
}

/* Keras from 2.2.5 on, keras_applications/resnet_common.py: "conv2_block1_1_conv",
 * "conv2_block1_0_bn". */
static bool parse_later_naming(const char *text, weight_name *name) {
    int stage, block, index;
    if (!skip(&text, "conv") || !read_number(&text, &stage) || !skip(&text, "_block") || !read_number(&text, &block) ||
        !skip(&text, "_") || !read_number(&text, &index))
        return false;
    if (strcmp(text, "_conv") == 0)
        name->role = CONVOLUTION;
    else if (strcmp(text, "_bn") == 0)
        name->role = NORMALISATION;
    else
        return false;
    return bottleneck_layer(name, stage, block - 1, index);
}

static bool parse_layer(const char *text, weight_name *name) {
    static const struct {
        const char *keras, *torch;
        role role;
    } single[] = {{"conv1", "conv1", CONVOLUTION},    {"conv1_conv", "conv1", CONVOLUTION},
                  {"bn_conv1", "bn1", NORMALISATION}, {"conv1_bn", "bn1", NORMALISATION},
                  {"fc1000", "fc", CLASSIFIER},       {"predictions", "fc", CLASSIFIER},
                  {"probs", "fc", CLASSIFIER}};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (strcmp(text, single[i].keras) == 0) {
            name->role = single[i].role;
            snprintf(name->layer, sizeof name->layer, "%s", single[i].torch);
            return true;
        }
    return parse_first_naming(text, name) || parse_later_naming(text, name);
}

static bool parse_part(const char *text, weight_name *name) {
    static const struct {
        const char *keras, *torch;
        bool of_normalisation;
    } parts[] = {{"kernel", "weight", false},
                 {"bias", "bias", false},
                 {"gamma", "weight", true},
                 {"beta", "bias", true},
                 {"moving_mean", "running_mean", true},
                 {"moving_variance", "running_var", true}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(text, parts[i].keras) == 0 && parts[i].of_normalisation == (name->role == NORMALISATION)) {
            name->part = parts[i].torch;
            return true;
        }
    return false;
}

/* "LAYER/PART", also as HDF5 and TensorFlow write it, "LAYER/LAYER/PART:0". */
static bool parse_weight(const char *keras, weight_name *name) {
    char text[128];
    if (strlen(keras) >= sizeof text) return false;
    strcpy(text, keras);
    char *colon = strrchr(text, ':');
    if (colon && strcmp(colon, ":0") == 0) *colon = '\0';
    char *slash = strrchr(text, '/');
    if (!slash) return false;
    *slash = '\0';
    char *outer = strrchr(text, '/');
    return parse_layer(outer ? outer + 1 : text, name) && parse_part(slash + 1, name);
}

bool net_is_keras_name(const char *keras) {
    weight_name name;
    return parse_weight(keras, &name) && name.role != CLASSIFIER;
}

bool net_keras_name(const char *keras, char text[NET_NAME]) {
    weight_name name;
    if (!parse_weight(keras, &name)) return false;
    snprintf(text, NET_NAME, "%s.%s", name.layer, name.part);
    return true;
}

/* ---- values ---- */

/* [positions, inputs, outputs] to [outputs, inputs, positions]; blocks of outputs and inputs, so
 * that reads and writes stay in cache lines. */
static void transpose_kernel(const float *src, float *dst, size_t positions, size_t inputs, size_t outputs) {
    const size_t block = 16;
    for (size_t o0 = 0; o0 < outputs; o0 += block)
        for (size_t i0 = 0; i0 < inputs; i0 += block)
            for (size_t o = o0; o < outputs && o < o0 + block; o++)
                for (size_t i = i0; i < inputs && i < i0 + block; i++)
                    for (size_t p = 0; p < positions; p++)
                        dst[(o * inputs + i) * positions + p] = src[(p * inputs + i) * outputs + o];
}

static void release(void *memory, size_t size) {
    (void)size;
    free(memory);
}

/* Convolution kernels HWIO to OIHW, the classifier's [in, out] to [out, in]. */
psal_status net_keras_layout(psal_tensor_map *owner, const char *keras, psal_tensor *tensor, psal_error *err) {
    weight_name name;
    char text[96];
    if (!parse_weight(keras, &name) || name.role == NORMALISATION || strcmp(name.part, "weight") != 0) return PSAL_OK;
    const int ndim = name.role == CONVOLUTION ? 4 : 2;
    const int64_t *dim = tensor->shape.dim;
    if (tensor->shape.ndim != ndim)
        return psal_fail(err, PSAL_ERR_SHAPE, "tensor '%s' has shape %s, expected %d dimensions", keras,
                         psal_shape_format(&tensor->shape, text, sizeof text), ndim);
    if (!net_is_weight(tensor)) return net_refuse_type(keras, tensor, err);
    const size_t count = (size_t)psal_shape_count(&tensor->shape), bytes = (count + 1) * sizeof(float);
    float *to = malloc(bytes), *copy = NULL;
    const bool in_place = tensor->dtype == PSAL_F32 && (uintptr_t)tensor->data % sizeof(float) == 0;
    if (!to || (!in_place && !(copy = net_floats(tensor))) ||
        psal_tensor_map_adopt(owner, to, bytes, release, err) != PSAL_OK) {
        free(to);
        free(copy);
        return psal_fail(err, PSAL_ERR_MEMORY, "tensor '%s': out of memory", keras);
    }
    if (count > 0) {
        const size_t outputs = (size_t)dim[ndim - 1], inputs = (size_t)dim[ndim - 2];
        transpose_kernel(in_place ? tensor->data : copy, to, count / outputs / inputs, inputs, outputs);
    }
    free(copy);
    *tensor = (psal_tensor){PSAL_F32,
                            ndim == 4 ? PSAL_SHAPE(dim[3], dim[2], dim[0], dim[1]) : PSAL_SHAPE(dim[1], dim[0]), to};
    return PSAL_OK;
}

/* ---- what the description of the network says (io/tfjs.h) ---- */

/* The stride of the bottlenecks that halve the image is in their first convolution or in the
 * second. */
static void read_strides(const char *lines, net_origin *origin) {
    while (*lines) {
        const size_t length = strcspn(lines, " \n");
        char layer[64] = "";
        weight_name name;
        if (length < sizeof layer) memcpy(layer, lines, length);
        if (parse_layer(layer, &name) && strncmp(name.layer, "layer", 5) == 0) {
            if (strstr(name.layer, "conv1")) origin->variant = "v1";
            if (strstr(name.layer, "conv2")) origin->variant = "v1.5";
        }
        lines += strcspn(lines, "\n");
        if (*lines) lines++;
    }
}

/* The stride is in the first 1x1 in both namings; the epsilon changed with the names. */
static void assume_defaults(const psal_tensor_map *checkpoint, net_origin *origin) {
    *origin = (net_origin){.variant = "v1", .bn_epsilon = 1.001e-5, .preprocess = "caffe"};
    for (size_t i = 0; i < psal_tensor_map_count(checkpoint); i++)
        if (strstr(psal_tensor_map_name(checkpoint, i), "_branch")) origin->bn_epsilon = 1e-3;
}

void net_keras_origin(const psal_tensor_map *checkpoint, net_origin *origin) {
    const char *strides = psal_tensor_map_meta(checkpoint, "keras.strides");
    const char *epsilon = psal_tensor_map_meta(checkpoint, "keras.batch_norm_epsilon");
    assume_defaults(checkpoint, origin);
    if (strides) read_strides(strides, origin);
    double number;
    if (epsilon && psal_parse_double(epsilon, &number) && number > 0 && number < 1) origin->bn_epsilon = number;
}
