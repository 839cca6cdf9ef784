/* Checkpoints of every form, recognised by their contents, and what a model makes of them. */
#include "io/checkpoint.h"

#include <stdlib.h>

#include "io/helper_files.h"
#include "io/safetensors.h"
#include "models/model.h"
#include "tests/fuzz/pickles.h"

const int fuzz_mutations = 3000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("PK\1\2"),
                                FUZZ_WORD("PK\3\4"),
                                FUZZ_WORD("PK\5\6"),
                                FUZZ_WORD("PK\6\6"),
                                FUZZ_WORD("PK\6\7"),
                                FUZZ_WORD("\1\0\x10\0\xff\xff\xff\xff"),
                                FUZZ_WORD("data.pkl"),
                                FUZZ_WORD("byteorder"),
                                FUZZ_WORD("big"),
                                FUZZ_WORD(".npy"),
                                FUZZ_WORD("\x93NUMPY\1"),
                                FUZZ_WORD("module."),
                                FUZZ_WORD("model."),
                                FUZZ_WORD("_orig_mod."),
                                FUZZ_WORD("\"data_offsets\":[0,4]"),
                                FUZZ_WORD("\"dtype\":\"F32\""),
                                FUZZ_WORD("\"__metadata__\":{"),
                                FUZZ_WORD("psal.arch"),
                                PICKLE_WORDS,
                                {NULL, 0}};

static void read_file(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT, model_err = PSAL_ERROR_INIT;
    psal_notes notes = PSAL_NOTES_INIT;
    char text[1024];
    const char *path = fuzz_write("checkpoint", data, size);
    psal_tensor_map *map = psal_checkpoint_read(path, &notes, &err);
    if (fuzz_outcome(map != NULL, &err)) {
        fuzz_touch(map);
        psal_model *model = psal_model_load(map, NULL, text, &model_err);
        fuzz_outcome(model != NULL, &model_err);
        psal_model_free(model);
    }
    psal_tensor_map_free(map);
    psal_notes_free(&notes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *repaired = fuzz_repair_zip(data, size);
    read_file(repaired ? repaired : data, size);
    if (repaired) read_file(data, size); /* as it came */
    free(repaired);
    return 0;
}

static void seed_npz(int method) {
    uint8_t bytes[8000],
        npy[128 + 24] = "\x93NUMPY\1\0\x76\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    struct zip_writer zip = {.to = bytes};
    memset(npy + 68, ' ', 128 - 68);
    npy[127] = '\n';
    memcpy(npy + 128, sample_floats, 24);
    zip_add(&zip, "fc.weight.npy", npy, sizeof npy, method);
    zip_add(&zip, "fc.bias.npy", npy, sizeof npy, method);
    fuzz_seed(method ? "npz_compressed" : "npz", bytes, zip_end(&zip));
}

/* A whole network, as small as it gets. */
static void seed_model(void) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_model_blank("vgg11", 0.004, 2, &err);
    const char *path = fuzz_path("model");
    FUZZ_CHECK(map && psal_safetensors_write(path, map, &err) == PSAL_OK);
    fuzz_seed_file("vgg11", path);
    psal_tensor_map_free(map);
}

void fuzz_make_seeds(void) {
    uint8_t bytes[20000];
    struct pickle_writer weights = {.size = 0}, legacy = {.size = 0}, statistics = {.size = 0};
    put_sample(&weights, 0);
    fuzz_seed("pth", bytes, make_zip_form(bytes, &weights, 0));
    fuzz_seed("pth_compressed", bytes, make_zip_form(bytes, &weights, 8));
    put_sample(&legacy, 1);
    fuzz_seed("pth_legacy", bytes, make_legacy_form(bytes, &legacy));
    put_statistics(&statistics, 1);
    PUT(&statistics, "\x80\2]X\1\0\0\0000a.\6\0\0\0\0\0\0\0");
    put_bytes(&statistics, sample_floats, sizeof sample_floats);
    struct pickle_writer file = {.size = 0};
    PUT(&file, legacy_head);
    put_bytes(&file, statistics.bytes, statistics.size);
    fuzz_seed("statistics_legacy", file.bytes, file.size);
    FUZZ_SEED("pickle", "\x80\4}(\x8c\1w" NUMPY_ARRAY "\x8c\1v" NUMPY_BUFFER "u.");
    seed_npz(0);
    seed_npz(8);
    seed_model();
    FUZZ_SEED("safetensors",
              "\x58\0\0\0\0\0\0\0{\"module.a\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[0,4]},"
              "\"__metadata__\":{\"psal.arch\":\"x\"}}abcd");
    FUZZ_SEED("html", "<!DOCTYPE html><html><title>404</title></html>");
    FUZZ_SEED("json", "{\"weightsManifest\":[]}");
}
