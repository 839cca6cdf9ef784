/* Statistics: read, checked against a network, written and read again. */
#include "tools/computation_io.h"

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
                                FUZZ_WORD("psal.bn_epsilon"),
                                FUZZ_WORD("psal.transform_input"),
                                FUZZ_WORD("psal.dataset"),
                                FUZZ_WORD("psal.only"),
                                FUZZ_WORD("class 7"),
                                FUZZ_WORD("psal.tail_quantile"),
                                FUZZ_WORD("psal.tail_samples"),
                                FUZZ_WORD("\"tail.rate\""),
                                FUZZ_WORD("\"tail.scale\""),
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

    char note[768];
    psal_computation here = {0};
    psal_preprocess preprocess;
    psal_error check_err = PSAL_ERROR_INIT;
    int64_t length = psal_model_get_info(network())->filter_count;
    FUZZ_CHECK(psal_preprocess_preset("caffe", &preprocess, &err) == PSAL_OK);
    FUZZ_CHECK(psal_computation_set_network(&here, network(), &preprocess, &err) == PSAL_OK);
    psal_computation_set_profile(&here, &(psal_saliency_options){0}, false);
    if (!fuzz_outcome(psal_computation_canonical(&a->computation, &err) == PSAL_OK, &err))
        return psal_statistics_free(a), 0;
    fuzz_outcome(psal_statistics_check(a, &here, length, note, &check_err) == PSAL_OK, &check_err);

    psal_tensor_map *written = psal_statistics_to_tensors(a, &err);
    FUZZ_CHECK(written != NULL);
    psal_statistics *b = psal_statistics_from_tensors(written, &err);
    FUZZ_CHECK(b && b->length == a->length && b->count == a->count &&
               psal_statistics_fingerprint(b) == psal_statistics_fingerprint(a));
    FUZZ_CHECK(memcmp(a->mean, b->mean, (size_t)a->length * sizeof *a->mean) == 0);
    FUZZ_CHECK(memcmp(a->std, b->std, (size_t)a->length * sizeof *a->std) == 0);
    /* one spelling: canonical once more changes nothing */
    FUZZ_CHECK(psal_computation_canonical(&b->computation, &err) == PSAL_OK);
    FUZZ_CHECK(psal_computation_difference(&a->computation, &b->computation, ~(psal_fields)0) == PSAL_FIELD_COUNT);
    FUZZ_CHECK(psal_computation_unsaid(&b->computation, &a->computation, ~(psal_fields)0, true) == 0);
    json_t *json = psal_computation_json(&a->computation);
    FUZZ_CHECK(json && psal_computation_from_json(&b->computation, json, &err) == PSAL_OK);
    json_decref(json);
    FUZZ_CHECK(psal_computation_difference(&a->computation, &b->computation, PSAL_FIELDS_PROFILE) == PSAL_FIELD_COUNT);
    if (a->tail) {
        const float profile[3] = {-1, 20, 4.5f};
        double score[3];
        if (a->length == 3) psal_tail_score(a->tail, profile, score);
        for (int k = 0; k < 3 && a->length == 3; k++) FUZZ_CHECK(score[k] >= 0);
    }
    psal_statistics_free(b);
    psal_tensor_map_free(written);
    psal_statistics_free(a);
    return 0;
}

static void add_tail(psal_statistics *s) {
    psal_tail *t = s->tail = psal_tail_new(s->length, NULL);
    FUZZ_CHECK(t != NULL);
    t->samples = 100;
    t->quantile = 0.9;
    for (int64_t i = 0; i < t->length; i++) {
        for (int k = 0; k < PSAL_TAIL_KNOTS; k++) t->knots[i * PSAL_TAIL_KNOTS + k] = k;
        t->rate[i] = 0.05;
        t->shape[i] = 0.5;
        t->scale[i] = 2;
    }
}

void fuzz_make_seeds(void) {
    psal_error err = PSAL_ERROR_INIT;
    const int64_t lengths[] = {3, psal_model_get_info(network())->filter_count};
    for (int i = 0; i < 3; i++) {
        psal_statistics *s = psal_statistics_new(lengths[i % 2], &err);
        FUZZ_CHECK(s != NULL);
        if (i == 2) add_tail(s);
        for (int64_t k = 0; k < s->length; k++) s->mean[k] = (double)k, s->std[k] = 1;
        psal_computation_set(&s->computation, PSAL_FIELD_ARCH, "resnet18");
        psal_computation_set(&s->computation, PSAL_FIELD_BN_EPSILON, "1e-05");
        psal_computation_set(&s->computation, PSAL_FIELD_PREPROCESS, "rgb;crop=64;scale=255;mean=0.1;std=0.9");
        psal_computation_set_profile(&s->computation, &(psal_saliency_options){0}, false);
        s->count = 10;
        psal_tensor_map *map = psal_statistics_to_tensors(s, &err);
        const char *path = fuzz_path("seed");
        FUZZ_CHECK(map && psal_safetensors_write(path, map, &err) == PSAL_OK);
        static const char *const names[] = {"three", "resnet18", "tails"};
        fuzz_seed_safetensors(names[i], path);
        psal_tensor_map_free(map);
        psal_statistics_free(s);
    }
}
