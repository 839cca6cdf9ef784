/* psal.json: what is taken has weights, known options once each, and texts for all of them. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tools/project.h"

const int fuzz_mutations = 20000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\"format\":1,"),
                                FUZZ_WORD("\"weights\":"),
                                FUZZ_WORD("\"fingerprint\":"),
                                FUZZ_WORD("\"0123456789abcdef\""),
                                FUZZ_WORD("\"labels\":"),
                                FUZZ_WORD("\"data\":"),
                                FUZZ_WORD("\"stats\":"),
                                FUZZ_WORD("\"store\":"),
                                FUZZ_WORD("\"ignore-extra\":"),
                                FUZZ_WORD("\"bn-epsilon\":"),
                                FUZZ_WORD("\"transform-input\":"),
                                FUZZ_WORD("\"idx:a,b\""),
                                FUZZ_WORD("\"flat:\""),
                                FUZZ_WORD("\"/\""),
                                FUZZ_WORD("\"\""),
                                FUZZ_WORD("[\"a\"]"),
                                FUZZ_WORD("[]"),
                                FUZZ_WORD("{}"),
                                FUZZ_WORD("1e999"),
                                FUZZ_WORD("true"),
                                FUZZ_WORD("null"),
                                {NULL, 0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const paths[] = {"psal.json", "./psal.json", "a/b/psal.json", "/psal.json"};
    for (size_t p = 0; p < sizeof paths / sizeof paths[0]; p++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_project *project = psal_project_parse(data, size, paths[p], &err);
        fuzz_outcome(project != NULL, &err);
        FUZZ_CHECK(project || strncmp(err.message, paths[p], strlen(paths[p])) == 0);
        if (!project) continue;
        FUZZ_CHECK(psal_project_text(project, "weights"));
        FUZZ_CHECK(strlen(project->fingerprint) == 0 || strlen(project->fingerprint) == 16);
        for (size_t i = 0; i < project->count; i++) {
            const psal_project_value *value = &project->values[i];
            FUZZ_CHECK(value->count > 0 || strcmp(value->name, "transform-input") == 0);
            for (size_t v = 0; v < value->count; v++) FUZZ_CHECK(*value->texts[v]);
            for (size_t j = 0; j < i; j++) FUZZ_CHECK(strcmp(project->values[j].name, value->name) != 0);
        }
        psal_project_free(project);
    }
    return 0;
}

void fuzz_make_seeds(void) {
    FUZZ_SEED("least", "{\"format\":1,\"weights\":\"my.pth\"}");
    FUZZ_SEED("all",
              "{\"format\":1,\"weights\":\"my.pth\",\"fingerprint\":\"0123456789abcdef\",\"weights-key\":\"model\","
              "\"ignore-extra\":[\"a.\",\"b\"],\"model\":\"resnet50\",\"variant\":\"v1\",\"bn-epsilon\":1e-3,"
              "\"transform-input\":true,\"preprocess\":\"caffe\",\"labels\":[\"cat\",\"dog\"],\"data\":\"idx:x,y\","
              "\"stats\":\"s.safetensors\",\"store\":\"/p.npy\"}");
    FUZZ_SEED("names", "{\"format\":1,\"weights\":\"w\",\"labels\":\"names.txt\",\"data\":\"flat:a,b\"}");
    FUZZ_SEED("set", "{\"format\":1,\"weights\":\"w\",\"labels\":\"imagenet\",\"transform-input\":false}");
    FUZZ_SEED("another", "{\"name\":\"psal\",\"version\":\"1.0\"}");
}
