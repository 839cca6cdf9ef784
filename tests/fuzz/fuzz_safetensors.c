/* Safetensors: what is read can be written, and reads back the same, but for tensors of unknown types. */
#include "io/safetensors.h"

#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 12000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"),
                                FUZZ_WORD("\"dtype\":\"F64\""),
                                FUZZ_WORD("\"BF16\""),
                                FUZZ_WORD("\"F16\""),
                                FUZZ_WORD("\"I64\""),
                                FUZZ_WORD("\"I32\""),
                                FUZZ_WORD("\"I8\""),
                                FUZZ_WORD("\"U8\""),
                                FUZZ_WORD("\"BOOL\""),
                                FUZZ_WORD("\"shape\":[]"),
                                FUZZ_WORD("[0]"),
                                FUZZ_WORD("[0,9223372036854775807,9223372036854775807]"),
                                FUZZ_WORD("[4294967296,4294967296]"),
                                FUZZ_WORD("\"data_offsets\":[0,0]"),
                                FUZZ_WORD("\"__metadata__\":{\"a\":\"b\"}"),
                                FUZZ_WORD("\\u0000"),
                                FUZZ_WORD("\\u0041"),
                                FUZZ_WORD("9223372036854775807"),
                                FUZZ_WORD("18446744073709551616"),
                                FUZZ_WORD("-1"),
                                FUZZ_WORD("1e3"),
                                FUZZ_WORD("null"),
                                FUZZ_WORD("{"),
                                FUZZ_WORD("}"),
                                FUZZ_WORD(","),
                                {NULL, 0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_safetensors_read(fuzz_write("a.safetensors", data, size), &err);
    if (!fuzz_outcome(map != NULL, &err)) return 0;
    fuzz_touch(map);
    const char *path = fuzz_path("b.safetensors");
    bool written = fuzz_outcome(psal_safetensors_write(path, map, &err) == PSAL_OK, &err);
    bool others = false; /* of types that are kept by name only */
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) others |= psal_tensor_map_at(map, i)->dtype == PSAL_OTHER;
    FUZZ_CHECK(written == !others);
    if (written) {
        psal_tensor_map *again = psal_safetensors_read(path, &err);
        FUZZ_CHECK(fuzz_outcome(again != NULL, &err) && fuzz_same_tensors(map, again));
        psal_tensor_map_free(again);
    }
    psal_tensor_map_free(map);
    return 0;
}

void fuzz_make_seeds(void) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_tensor_map_new();
    FUZZ_CHECK(map != NULL);
    psal_shape matrix = PSAL_SHAPE(2, 3), scalar = {0}, empty = PSAL_SHAPE(0, 4);
    char name[] = "tensor_a";
    for (int dtype = 0; dtype < PSAL_DTYPE_COUNT; dtype++, name[7]++)
        FUZZ_CHECK(psal_tensor_map_add(map, name, (psal_dtype)dtype, dtype % 3 ? &matrix : &scalar, &err) != NULL);
    FUZZ_CHECK(psal_tensor_map_add(map, "empty", PSAL_F32, &empty, &err) != NULL);
    FUZZ_CHECK(psal_tensor_map_set_meta(map, "psal.arch", "resnet50", &err) == PSAL_OK);
    const char *path = fuzz_path("seed");
    FUZZ_CHECK(psal_safetensors_write(path, map, &err) == PSAL_OK);
    fuzz_seed_file("every_type", path);
    psal_tensor_map_free(map);
    FUZZ_SEED("one", "\x38\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   abcd");
    FUZZ_SEED("unaligned", "\x64\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                           "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[1,5]}} abcde");
    FUZZ_SEED("nothing", "\2\0\0\0\0\0\0\0{}");
}
