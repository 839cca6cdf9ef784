/* NumPy arrays: what is read can be written, and reads back the same. */
#include "io/npy.h"

#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 20000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\x93NUMPY\1\0"),
                                FUZZ_WORD("\x93NUMPY\2\0"),
                                FUZZ_WORD("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"),
                                FUZZ_WORD("'descr'"),
                                FUZZ_WORD("'fortran_order': True"),
                                FUZZ_WORD("'shape': ()"),
                                FUZZ_WORD("(0, 999999999999999999, 999999999999999999)"),
                                FUZZ_WORD("(3L,)"),
                                FUZZ_WORD("'>f8'"),
                                FUZZ_WORD("'|b1'"),
                                FUZZ_WORD("'?'"),
                                FUZZ_WORD("'<i2'"),
                                FUZZ_WORD("'<f2'"),
                                FUZZ_WORD("[('a', '<f4')]"),
                                {NULL, 0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_npy_read(fuzz_write("a.npy", data, size), &err);
    if (!fuzz_outcome(map != NULL, &err)) return 0;
    fuzz_touch(map);
    const char *path = fuzz_path("b.npy");
    FUZZ_CHECK(fuzz_outcome(psal_npy_write(path, psal_tensor_map_at(map, 0), &err) == PSAL_OK, &err));
    psal_tensor_map *again = psal_npy_read(path, &err);
    FUZZ_CHECK(fuzz_outcome(again != NULL, &err) && fuzz_same_tensors(map, again));
    psal_tensor_map_free(again);
    psal_tensor_map_free(map);
    return 0;
}

void fuzz_make_seeds(void) {
    const psal_dtype dtypes[] = {PSAL_F32, PSAL_F16, PSAL_I64, PSAL_BOOL};
    const char *const names[] = {"float32", "float16", "int64", "bool"};
    uint64_t values[6] = {1, 2, 3, 4, 5, 6};
    for (int i = 0; i < 4; i++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_tensor tensor = {dtypes[i], i == 3 ? (psal_shape){0} : PSAL_SHAPE(2, 3), values};
        const char *path = fuzz_path("seed");
        FUZZ_CHECK(psal_npy_write(path, &tensor, &err) == PSAL_OK);
        fuzz_seed_file(names[i], path);
    }
    FUZZ_SEED("fortran",
              "\x93NUMPY\1\0\x3d\0{'descr': '<i2', 'fortran_order': True, 'shape': (2, 1, 3)}\nabcdefghijkl");
    FUZZ_SEED("version_2", "\x93NUMPY\2\0\x3b\0\0\0{'descr': '|u1', 'fortran_order': False, 'shape': (3L,), }\nabc");
}
