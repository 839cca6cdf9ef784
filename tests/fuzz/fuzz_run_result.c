/* A result.json that psal-run --resume may go on from: taken, made anew, or refused because it is of another run; what
 * is taken has all that a summary is made of. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tools/explain.h"

const int fuzz_mutations = 8000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\"image\""),
                                FUZZ_WORD("\"target\""),
                                FUZZ_WORD("\"predicted\""),
                                FUZZ_WORD("\"class\""),
                                FUZZ_WORD("\"name\""),
                                FUZZ_WORD("\"confidence\""),
                                FUZZ_WORD("\"labelled\""),
                                FUZZ_WORD("\"loss\""),
                                FUZZ_WORD("\"top_filters\""),
                                FUZZ_WORD("\"filter\""),
                                FUZZ_WORD("\"layer\""),
                                FUZZ_WORD("\"settings\""),
                                FUZZ_WORD("\"k_salient\""),
                                FUZZ_WORD("null"),
                                FUZZ_WORD("true"),
                                FUZZ_WORD("[]"),
                                FUZZ_WORD("{}"),
                                FUZZ_WORD("1e999"),
                                FUZZ_WORD("99999999999999999999"),
                                FUZZ_WORD("\\u0000"),
                                {NULL, 0}};

static void check_class(const json_t *of) {
    FUZZ_CHECK(json_is_integer(json_object_get(of, "class")) && json_is_number(json_object_get(of, "confidence")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    static psal_session session;
    static psal_explainer explainer = {.session = &session};
    json_t *result;
    psal_fields unsaid = 0;
    if (!session.labels) session.labels = psal_labels_numbered(10, NULL); /* until the process ends */
    FUZZ_CHECK(session.labels);
    psal_computation_set(&explainer.computation, PSAL_FIELD_MODE, "std");
    psal_computation_set(&explainer.computation, PSAL_FIELD_K_SALIENT, "10");
    psal_computation_set(&explainer.computation, PSAL_FIELD_BN_EPSILON, "1e-05");
    const char *path = fuzz_write("result.json", data, size);
    for (int label = -1; label < 4; label += 4) {
        bool good = psal_explain_finished(&explainer, path, "a.png", label, &result, &unsaid, &err) == PSAL_OK;
        fuzz_outcome(good, &err);
        FUZZ_CHECK(good || !result);
        if (!result) continue;
        FUZZ_CHECK(strcmp(json_string_value(json_object_get(result, "image")), "a.png") == 0);
        FUZZ_CHECK(json_number_value(json_object_get(json_object_get(result, "settings"), "k_salient")) == 10 ||
                   strtod(json_string_value(json_object_get(json_object_get(result, "settings"), "k_salient")), NULL) ==
                       10);
        FUZZ_CHECK(json_is_true(json_object_get(result, "labelled")) == (label >= 0));
        check_class(json_object_get(result, "target"));
        check_class(json_object_get(result, "predicted"));
        const json_t *top = json_array_get(json_object_get(result, "top_filters"), 0);
        FUZZ_CHECK(!top || json_string_value(json_object_get(top, "layer")));
        json_decref(result);
    }
    return 0;
}

#define CLASS(number) "{\"class\":" number ",\"name\":\"" number "\",\"confidence\":0.5}"
#define RESULT(image, labelled, k)                                                                                  \
    "{\"image\":" image ",\"target\":" CLASS("3") ",\"predicted\":" CLASS(                                          \
        "4") ",\"labelled\":" labelled ",\"loss\":1.5,\"top_filters\":[{\"filter\":7,\"layer\":\"conv1.weight\"}]," \
             "\"settings\":{\"mode\":\"std\",\"k_salient\":" k "}}"

void fuzz_make_seeds(void) {
    FUZZ_SEED("labelled", RESULT("\"a.png\"", "true", "10"));
    FUZZ_SEED("unlabelled", RESULT("\"a.png\"", "false", "10"));
    FUZZ_SEED("other_image", RESULT("\"b.png\"", "true", "10"));
    FUZZ_SEED("other_settings",
              RESULT("\"a.png\"", "true",
                     "{\"a\":[1,2,\"a long value that a message cuts off, because it is too long for it\"]}"));
    FUZZ_SEED("later_version", RESULT("\"a.png\"", "true", "10,\"bn_epsilon\":0.1"));
    FUZZ_SEED("other_names",
              "{\"image\":\"a.png\",\"target\":{\"class\":3,\"name\":\"cat\",\"confidence\":0.5},\"predicted\":" CLASS(
                  "4") ",\"labelled\":true,\"loss\":1.5,\"top_filters\":[],\"settings\":{\"mode\":\"std\",\"k_"
                       "salient\":10}}");
    FUZZ_SEED("array", "[]"); /* these two were once taken, as rows of zeros */
    FUZZ_SEED("empty", "{}");
}
