/* Edits of a network: a safetensors file as a delta. A refused one leaves the network as it was. */
#include "saliency/delta.h"

#include <inttypes.h>
#include <stdio.h>

#include "io/safetensors.h"
#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 4000;
const fuzz_word fuzz_words[] = {
    FUZZ_WORD("psal.format"),  FUZZ_WORD("delta"),    FUZZ_WORD("psal.arch"), FUZZ_WORD("psal.fingerprint"),
    FUZZ_WORD("conv1.weight"), FUZZ_WORD("bn1.bias"), FUZZ_WORD("fc.weight"), FUZZ_WORD(".filters"),
    FUZZ_WORD(".values"),      FUZZ_WORD("\"I64\""),  FUZZ_WORD("\"F32\""),   FUZZ_WORD("[0]"),
    FUZZ_WORD("[0,3,7,7]"),    FUZZ_WORD("[0,0]"),    FUZZ_WORD("vgg11"),     {NULL, 0}};

/* The network is loaded anew for every input, since a delta may change it; its checkpoint stays. */
static psal_model *network(void) {
    static psal_tensor_map *map;
    psal_error err = PSAL_ERROR_INIT;
    const psal_model_options options = {.arch = "resnet18"};
    if (!map) map = psal_model_blank("resnet18", 0.02, 2, &err);
    psal_model *model = map ? psal_model_load(map, &options, NULL, &err) : NULL;
    FUZZ_CHECK(model != NULL);
    return model;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_safetensors_read(fuzz_write_safetensors("delta", data, size), &err);
    if (!fuzz_outcome(map != NULL, &err)) return 0;
    psal_model *model = network();
    uint64_t before = psal_model_fingerprint(model);
    if (!fuzz_outcome(psal_delta_apply(map, model, &err) == PSAL_OK, &err))
        FUZZ_CHECK(psal_model_fingerprint(model) == before);
    psal_model_free(model);
    psal_tensor_map_free(map);
    return 0;
}

static void *put(psal_tensor_map *map, const char *name, psal_dtype dtype, psal_shape shape) {
    psal_error err = PSAL_ERROR_INIT;
    void *data = psal_tensor_map_add(map, name, dtype, &shape, &err);
    FUZZ_CHECK(data != NULL);
    return data;
}

void fuzz_make_seeds(void) {
    psal_error err = PSAL_ERROR_INIT;
    psal_model *model = network();
    char fingerprint[32];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, psal_model_fingerprint(model));
    for (int sized = 0; sized < 2; sized++) {
        psal_tensor_map *map = psal_tensor_map_new();
        FUZZ_CHECK(map && psal_tensor_map_set_meta(map, "psal.format", "delta", &err) == PSAL_OK);
        if (sized) {
            psal_tensor_map_set_meta(map, "psal.arch", "resnet18", &err);
            psal_tensor_map_set_meta(map, "psal.fingerprint", fingerprint, &err);
            put(map, "conv1.weight.filters", PSAL_I64, PSAL_SHAPE(1));
            float *values = put(map, "conv1.weight.values", PSAL_F32, PSAL_SHAPE(1, 3, 7, 7));
            for (int i = 0; i < 147; i++) values[i] = (float)i;
        }
        put(map, "fc.bias.filters", PSAL_I64, PSAL_SHAPE(sized));
        put(map, "fc.bias.values", PSAL_F32, PSAL_SHAPE(sized));
        const char *path = fuzz_path("seed");
        FUZZ_CHECK(psal_safetensors_write(path, map, &err) == PSAL_OK);
        fuzz_seed_safetensors(sized ? "delta" : "nothing_changed", path);
        psal_tensor_map_free(map);
    }
    psal_model_free(model);
}
