/* Statistics: read, checked against a network, written and read again. */
#include "saliency/statistics.h"

#include <string.h>

#include "io/safetensors.h"
#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 10000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\"mean\""),
                                FUZZ_WORD("\"std\""),
                                FUZZ_WORD("\"F64\""),
                                FUZZ_WORD("\"F32\""),
                                FUZZ_WORD("psal.count"),
                                FUZZ_WORD("psal.arch"),
                                FUZZ_WORD("psal.preprocess"),
                                FUZZ_WORD("psal.aggregation"),
                                FUZZ_WORD("psal.loss"),
                                FUZZ_WORD("psal.signed"),
                                FUZZ_WORD("psal.normalized"),
                                FUZZ_WORD("psal.fingerprint"),
                                FUZZ_WORD("\0\0\0\0\0\0\xf8\x7f"),
                                FUZZ_WORD("99999999999999999999"),
                                FUZZ_WORD("-1"),
                                {NULL, 0}};

static const psal_model *network(void) {
    static psal_tensor_map *map;
    static psal_model *model;
    psal_error err = PSAL_ERROR_INIT;
    if (map && model) return model; /* which looks at the map's tensors */
    map = psal_model_blank("resnet18", 0.02, 2, &err);
    model = map ? psal_model_load(map, NULL, NULL, &err) : NULL;
    FUZZ_CHECK(model != NULL);
    return model;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_safetensors_read(fuzz_write_safetensors("statistics", data, size), &err);
    if (!fuzz_outcome(map != NULL, &err)) return 0;
    psal_statistics *a = psal_statistics_from_tensors(map, &err);
    psal_tensor_map_free(map);
    if (!fuzz_outcome(a != NULL, &err)) return 0;

    char warning[256];
    const psal_saliency_options options = {.height = 32, .width = 32};
    psal_error check_err = PSAL_ERROR_INIT;
    int64_t length = psal_model_get_info(network())->filter_count;
    fuzz_outcome(psal_statistics_check(a, network(), &options, length, warning, &check_err) == PSAL_OK, &check_err);

    psal_tensor_map *written = psal_statistics_to_tensors(a, &err);
    FUZZ_CHECK(written != NULL);
    psal_statistics *b = psal_statistics_from_tensors(written, &err);
    FUZZ_CHECK(b && b->length == a->length && b->count == a->count && b->fingerprint == a->fingerprint);
    FUZZ_CHECK(memcmp(a->mean, b->mean, (size_t)a->length * sizeof *a->mean) == 0);
    FUZZ_CHECK(memcmp(a->std, b->std, (size_t)a->length * sizeof *a->std) == 0);
    FUZZ_CHECK(strcmp(a->arch, b->arch) == 0 && strcmp(a->preprocess, b->preprocess) == 0);
    psal_statistics_free(b);
    psal_tensor_map_free(written);
    psal_statistics_free(a);
    return 0;
}

void fuzz_make_seeds(void) {
    psal_error err = PSAL_ERROR_INIT;
    const int64_t lengths[] = {3, psal_model_get_info(network())->filter_count};
    for (int i = 0; i < 2; i++) {
        psal_statistics *s = psal_statistics_new(lengths[i], &err);
        FUZZ_CHECK(s != NULL);
        for (int64_t k = 0; k < s->length; k++) s->mean[k] = (double)k, s->std[k] = 1;
        strcpy(s->arch, "resnet18");
        strcpy(s->loss, "cross-entropy");
        strcpy(s->aggregation, "filter");
        s->count = 10;
        psal_tensor_map *map = psal_statistics_to_tensors(s, &err);
        const char *path = fuzz_path("seed");
        FUZZ_CHECK(map && psal_safetensors_write(path, map, &err) == PSAL_OK);
        fuzz_seed_safetensors(i ? "resnet18" : "three", path);
        psal_tensor_map_free(map);
        psal_statistics_free(s);
    }
}
