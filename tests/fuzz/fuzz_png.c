/* PNG images, with the checksums as they come and repaired. */
#include <stdlib.h>

#include "tests/fuzz/images.h"

const int fuzz_mutations = 12000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\x89PNG\r\n\x1a\n"),
                                FUZZ_WORD("\0\0\0\x0dIHDR"),
                                FUZZ_WORD("PLTE"),
                                FUZZ_WORD("IDAT"),
                                FUZZ_WORD("\0\0\0\0IEND"),
                                FUZZ_WORD("\0\0\0\2tRNS"),
                                FUZZ_WORD("gAMA"),
                                FUZZ_WORD("iCCP"),
                                FUZZ_WORD("zTXt"),
                                FUZZ_WORD("iTXt"),
                                FUZZ_WORD("sBIT"),
                                FUZZ_WORD("acTL"),
                                FUZZ_WORD("eXIf"),
                                FUZZ_WORD("\x78\x9c"),
                                {NULL, 0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *repaired = fuzz_repair_png(data, size);
    decode(data, size);
    if (repaired) decode(repaired, size);
    free(repaired);
    return 0;
}

void fuzz_make_seeds(void) {
    seed_images("png_");
}
