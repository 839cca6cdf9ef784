/* TensorFlow.js layers models, and the networks that they describe: the text of model.json up to the first NUL, the
 * shard weights.bin behind it. */
#include "io/tfjs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/description.h"
#include "io/checkpoint.h"
#include "models/model.h"
#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 4000;
const fuzz_word fuzz_words[] = {
    FUZZ_WORD("\"weightsManifest\":["),
    FUZZ_WORD("\"paths\":[\"weights.bin\"]"),
    FUZZ_WORD("\"weights\":["),
    FUZZ_WORD("{\"name\":\"x/kernel\",\"shape\":[1,1,1,1],\"dtype\":\"float32\"},"),
    FUZZ_WORD("\"quantization\":{\"dtype\":\"uint8\",\"scale\":0.5,\"min\":-1}"),
    FUZZ_WORD("\"uint16\""),
    FUZZ_WORD("\"float16\""),
    FUZZ_WORD("\"int32\""),
    FUZZ_WORD("\"bool\""),
    FUZZ_WORD("\"shape\":[0,9223372036854775807]"),
    FUZZ_WORD("\"modelTopology\":{"),
    FUZZ_WORD("\"model_config\":{"),
    FUZZ_WORD("\"config\":{"),
    FUZZ_WORD("\"layers\":["),
    FUZZ_WORD("\"strides\":[2,2]"),
    FUZZ_WORD("\"epsilon\":0.001"),
    FUZZ_WORD("\"class_name\":\"Conv2D\""),
    FUZZ_WORD("\"class_name\":\"BatchNormalization\""),
    FUZZ_WORD("\"inbound_nodes\":[[[\"image\",0,0,{}]]]"),
    FUZZ_WORD("\"inbound_nodes\":[{\"args\":[{\"config\":{\"keras_history\":[\"c\",0,0]}}],\"kwargs\":{}}]"),
    FUZZ_WORD("\"output_layers\":[[\"out\",0,0]]"),
    FUZZ_WORD("\"batch_input_shape\":[null,4,4,3]"),
    FUZZ_WORD("\"class_name\":\"Sequential\""),
    FUZZ_WORD("\"class_name\":\"SeparableConv2D\""),
    FUZZ_WORD("\"class_name\":\"Reshape\""),
    FUZZ_WORD("\"class_name\":\"Dense\""),
    FUZZ_WORD("\"class_name\":\"AveragePooling2D\""),
    FUZZ_WORD("\"target_shape\":[-1,2]"),
    FUZZ_WORD("\"padding\":\"same\""),
    FUZZ_WORD("\"pool_size\":[2,3]"),
    FUZZ_WORD("\"activation\":\"softmax\""),
    FUZZ_WORD("\"dilation_rate\":[1,9223372036854775807]"),
    FUZZ_WORD("[[[1,2],[3]]]"),
    FUZZ_WORD("res2a_branch2a"),
    FUZZ_WORD("bn2a_branch2a"),
    FUZZ_WORD("conv2_block1_1_conv"),
    FUZZ_WORD("/moving_mean"),
    FUZZ_WORD("/kernel"),
    FUZZ_WORD("../"),
    FUZZ_WORD("./"),
    FUZZ_WORD("\\u0000"),
    FUZZ_WORD("1e999"),
    FUZZ_WORD("\0"),
    {NULL, 0}};

/* The ONNX file that is written of a network is the same network. */
static void save(const psal_model *model) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *all = psal_model_export(model, NULL, &err);
    if (fuzz_outcome(all != NULL, &err) && psal_tensor_map_description(all) &&
        fuzz_outcome(psal_checkpoint_write(fuzz_path("b.onnx"), all, &err) == PSAL_OK, &err)) {
        psal_tensor_map *map = psal_checkpoint_read(fuzz_path("b.onnx"), NULL, &err);
        psal_model *again = map ? psal_model_load(map, NULL, NULL, &err) : NULL;
        if (!again || psal_model_fingerprint(again) != psal_model_fingerprint(model)) {
            fprintf(stderr, "the copy is another network: %s\n", err.message);
            abort();
        }
        psal_model_free(again);
        psal_tensor_map_free(map);
    }
    psal_tensor_map_free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT, model_err = PSAL_ERROR_INIT;
    fuzz_parts parts = fuzz_split(data, size);
    fuzz_write("weights.bin", parts.rest, parts.rest_size);
    psal_tensor_map *map = psal_tfjs_read(fuzz_write("model.json", parts.text, parts.text_size), &err);
    if (fuzz_outcome(map != NULL, &err)) {
        fuzz_touch(map);
        psal_model *model = psal_model_load(map, NULL, NULL, &model_err);
        if (fuzz_outcome(model != NULL, &model_err)) save(model);
        psal_model_free(model);
    }
    psal_tensor_map_free(map);
    fuzz_split_free(&parts);
    return 0;
}

#define TOPOLOGY                                                                                 \
    "\"modelTopology\":{\"keras_version\":\"2.2.4\",\"model_config\":{\"class_name\":\"Model\"," \
    "\"config\":{\"name\":\"net\",\"layers\":["                                                  \
    "{\"class_name\":\"Conv2D\",\"config\":{\"name\":\"res2a_branch2a\",\"strides\":[2,1]}},"    \
    "{\"class_name\":\"BatchNormalization\",\"config\":{\"name\":\"bn2a_branch2a\",\"epsilon\":0.001}}]}}},"
#define GROUP "\"weightsManifest\":[{\"paths\":[\"weights.bin\"],\"weights\":["
#define WEIGHT(name, shape, type, rest) "{\"name\":\"" name "\",\"shape\":" shape ",\"dtype\":\"" type "\"" rest "}"
#define QUANTISED(type, rest) ",\"quantization\":{\"dtype\":\"" type "\"" rest "}"
#define END "]}]}\0"

/* clang-format off */
#define LAYER(kind, name, config, from) \
    "{\"class_name\":\"" kind "\",\"config\":{\"name\":\"" name "\"" config "},\"inbound_nodes\":[" from "]}"
#define FROM(name) "[[\"" name "\",0,0,{}]]"
#define FUNCTIONAL \
    "{\"modelTopology\":{\"model_config\":{\"class_name\":\"Model\",\"config\":{\"layers\":[" \
    LAYER("InputLayer", "image", ",\"batch_input_shape\":[null,4,4,1]", "") "," \
    LAYER("Conv2D", "c", ",\"kernel_size\":[1,1],\"padding\":\"same\",\"activation\":\"relu6\"", FROM("image")) "," \
    LAYER("BatchNormalization", "b", ",\"scale\":false,\"center\":false", FROM("c")) "," \
    LAYER("Add", "a", "", "[[\"c\",0,0,{}],[\"b\",0,0,{}]]") "," \
    LAYER("MaxPooling2D", "m", "", FROM("a")) "," \
    LAYER("Flatten", "f", "", FROM("m")) "," \
    LAYER("Dense", "out", ",\"units\":1,\"activation\":\"softmax\",\"use_bias\":false", FROM("f")) \
    "],\"output_layers\":[[\"out\",0,0]]}}}," GROUP \
    WEIGHT("c/kernel", "[1,1,1,1]", "float32", "") "," \
    WEIGHT("c/bias", "[1]", "float32", "") "," \
    WEIGHT("b/moving_mean", "[1]", "float32", "") "," \
    WEIGHT("b/moving_variance", "[1]", "float32", "") "," \
    WEIGHT("out/kernel", "[4,1]", "float32", "") END
#define SEQUENTIAL \
    "{\"modelTopology\":{\"class_name\":\"Sequential\",\"config\":[" \
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\",\"layers\":[" \
    "{\"class_name\":\"Rescaling\",\"config\":{\"name\":\"r\",\"scale\":0.5,\"batch_input_shape\":[null,2,2,3]}}," \
    "{\"class_name\":\"SeparableConv2D\",\"config\":{\"name\":\"c\",\"use_bias\":false}}]}}," \
    "{\"class_name\":\"Reshape\",\"config\":{\"name\":\"f\",\"target_shape\":[4]}}]}," GROUP \
    WEIGHT("s/c/depthwise_kernel", "[1,1,3,1]", "float32", "") "," \
    WEIGHT("s/c/pointwise_kernel", "[1,1,3,1]", "float32", "") END
/* clang-format on */

void fuzz_make_seeds(void) {
    FUZZ_SEED("functional", FUNCTIONAL "aaa?bbb?ccc?ddd?abcdefghijklmnop");
    FUZZ_SEED("sequential", SEQUENTIAL "aaa?bbb?ccc?abcdefghijkl");
    FUZZ_SEED("keras", "{\"format\":\"layers-model\"," TOPOLOGY GROUP WEIGHT(
                           "res2a_branch2a/kernel", "[1,1,2,1]", "float32",
                           "") "," WEIGHT("res2a_branch2a/bias", "[1]", "float32",
                                          "") "," WEIGHT("bn2a_branch2a/moving_mean", "[1]", "float32", "") END
              "abcdefghijklmnop");
    FUZZ_SEED("quantised",
              "{" GROUP WEIGHT("a", "[3]", "float32", QUANTISED("uint8", ",\"scale\":0.1,\"min\":-1")) "," WEIGHT(
                  "b", "[2]", "float32",
                  QUANTISED("uint16", ",\"scale\":0.5,\"min\":2.25")) "," WEIGHT("c", "[1]", "float32",
                                                                                 QUANTISED("float16", "")) END
              "abcdefghi");
    FUZZ_SEED("types", "{" GROUP WEIGHT("a", "[]", "bool", "") "," WEIGHT("b", "[1]", "int32", "") "," WEIGHT(
                           "c", "[0,4]", "uint8", "") END "abcde");
    /* A shard listed twice is refused: listed ten thousand times, it would be as many times as many weights. */
    FUZZ_SEED("twice", "{\"weightsManifest\":[{\"paths\":[\"weights.bin\",\"./weights.bin\"],\"weights\":[" WEIGHT(
                           "a", "[4]", "uint8", "") END "ab");
}
