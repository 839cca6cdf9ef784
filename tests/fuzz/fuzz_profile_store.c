/* Stores of profiles: the table of records up to the first NUL, the array behind it. */
#include "io/profile_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"
#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 10000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("path,label,predicted\n"),
                                FUZZ_WORD("index"),
                                FUZZ_WORD("scale"),
                                FUZZ_WORD("confidence"),
                                FUZZ_WORD("target_confidence"),
                                FUZZ_WORD("loss"),
                                FUZZ_WORD("'<f2'"),
                                FUZZ_WORD("'<f4'"),
                                FUZZ_WORD("(2, 3)"),
                                FUZZ_WORD("(1, 1)"),
                                FUZZ_WORD("1e300"),
                                FUZZ_WORD("nan"),
                                FUZZ_WORD("-1"),
                                FUZZ_WORD("9223372036854775807"),
                                FUZZ_WORD("\0\x93NUMPY\1\0"),
                                {NULL, 0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    psal_profile_store store;
    fuzz_parts parts = fuzz_split(data, size);
    const char *array = fuzz_write("p.npy", parts.rest, parts.rest_size),
               *table = fuzz_write("p.csv", parts.text, parts.text_size);
    if (fuzz_outcome(psal_profile_store_open(array, *parts.text ? table : NULL, &store, &err) == PSAL_OK, &err)) {
        float *row = malloc((size_t)store.length * sizeof *row);
        FUZZ_CHECK(row != NULL);
        for (int64_t i = 0; i < store.samples; i++) {
            FUZZ_CHECK(!store.records || store.records[i].path);
            psal_profile_store_read(&store, i, 0, store.length, row);
            psal_profile_store_read(&store, i, store.length / 2, store.length - store.length / 2, row);
        }
        psal_profile_store_release(&store, 0, store.samples);
        psal_profile_store_read(&store, 0, 0, store.length, row);
        free(row);
    }
    psal_profile_store_close(&store);
    fuzz_split_free(&parts);
    return 0;
}

static void seed_store(const char *name, psal_dtype dtype, const char *table) {
    static uint16_t values[2 * 2 * 19];
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor tensor = {dtype, PSAL_SHAPE(2, 19), values};
    const char *array = fuzz_path("seed.npy");
    FUZZ_CHECK(psal_npy_write(array, &tensor, &err) == PSAL_OK);
    uint8_t bytes[1000];
    FILE *file = fopen(array, "rb");
    FUZZ_CHECK(file != NULL);
    size_t length = strlen(table) + 1;
    memcpy(bytes, table, length);
    length += fread(bytes + length, 1, sizeof bytes - length, file);
    fclose(file);
    fuzz_seed(name, bytes, length);
}

void fuzz_make_seeds(void) {
    seed_store("halves", PSAL_F16,
               "index,path,label,predicted,confidence,target_confidence,loss,scale\n1,a.png,3,4,0.5,nan,1,0.25\n0,b."
               "png,,-1,,,,3\n");
    seed_store("floats", PSAL_F32, "path,label,predicted\na,1,1\nb,2,1\n");
    seed_store("no_table", PSAL_F16, "");
}
