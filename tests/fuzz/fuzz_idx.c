/* MNIST's files, plain and gzipped, by themselves and as a data set. */
#include "io/idx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/dataset.h"
#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 6000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\0\0\x08\1"),
                                FUZZ_WORD("\0\0\x08\3"),
                                FUZZ_WORD("\0\0\0\1"),
                                FUZZ_WORD("\0\0\0\0"),
                                FUZZ_WORD("\x1f\x8b\x08\0\0\0\0\0\0\3"),
                                FUZZ_WORD("\x40\0\0\0"),
                                FUZZ_WORD("\xff\xff\xff\xff"),
                                {NULL, 0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_write("images", data, size);
    for (int ndim = 1; ndim <= 3; ndim += 2) {
        psal_error err = PSAL_ERROR_INIT;
        int64_t dim[PSAL_IDX_MAX_DIMS], count = 1;
        uint8_t *bytes = NULL;
        if (fuzz_outcome(psal_idx_read(path, ndim, dim, &bytes, &err) == PSAL_OK, &err)) {
            for (int i = 0; i < ndim; i++) count *= dim[i];
            volatile uint8_t last = bytes[count - 1];
            (void)last;
        }
        free(bytes);
    }
    psal_error err = PSAL_ERROR_INIT;
    char spec[400];
    snprintf(spec, sizeof spec, "idx:%s", path);
    psal_dataset *dataset = psal_dataset_open(spec, NULL, false, NULL, &err);
    if (fuzz_outcome(dataset != NULL, &err)) {
        psal_image image = PSAL_IMAGE_INIT;
        size_t last = psal_dataset_count(dataset) - 1;
        FUZZ_CHECK(psal_dataset_name(dataset, last) && !psal_dataset_path(dataset, last));
        psal_dataset_prefetch(dataset, last);
        uint64_t fingerprint;
        FUZZ_CHECK(psal_dataset_fingerprint(dataset, &fingerprint, &err) == PSAL_OK);
        fuzz_outcome(psal_dataset_load(dataset, last, &image, &err) == PSAL_OK, &err);
        psal_image_free(&image);
    }
    psal_dataset_free(dataset);
    return 0;
}

static void seed_gzipped(const char *name, const void *bytes, size_t size) {
    const char *path = fuzz_path("seed.gz");
    gzFile file = gzopen(path, "wb9");
    FUZZ_CHECK(file && gzwrite(file, bytes, (unsigned)size) == (int)size && gzclose(file) == Z_OK);
    fuzz_seed_file(name, path);
}

void fuzz_make_seeds(void) {
    static const char images[] = "\0\0\x08\3\0\0\0\2\0\0\0\2\0\0\0\3abcdefghijkl",
                      labels[] = "\0\0\x08\1\0\0\0\4\0\1\2\3";
    fuzz_seed("images", images, sizeof images - 1);
    fuzz_seed("labels", labels, sizeof labels - 1);
    seed_gzipped("images.gz", images, sizeof images - 1);
    seed_gzipped("labels.gz", labels, sizeof labels - 1);
}
