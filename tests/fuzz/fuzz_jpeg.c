/* JPEG images. */
#include <string.h>

#include "tests/fuzz/images.h"

const int fuzz_mutations = 4000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\xff\xd8"),
                                FUZZ_WORD("\xff\xd9"),
                                FUZZ_WORD("\xff\xc0\0\x11\x08"),
                                FUZZ_WORD("\xff\xc1"),
                                FUZZ_WORD("\xff\xc2"),
                                FUZZ_WORD("\xff\xc3"),
                                FUZZ_WORD("\xff\xc9"),
                                FUZZ_WORD("\xff\xc4"),
                                FUZZ_WORD("\xff\xda\0\x0c\3"),
                                FUZZ_WORD("\xff\xdb"),
                                FUZZ_WORD("\xff\xdd\0\4\0\1"),
                                FUZZ_WORD("\xff\xd0"),
                                FUZZ_WORD("\xff\xe0\0\x10JFIF"),
                                FUZZ_WORD("\xff\xee\0\x0e"
                                          "Adobe"),
                                FUZZ_WORD("\xff\xff"),
                                FUZZ_WORD("\xff\0"),
                                FUZZ_WORD("\xff\xe1\0\x08"
                                          "Exif\0\0"),
                                {NULL, 0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode(data, size);
    return 0;
}

void fuzz_make_seeds(void) {
    seed_images("jpeg_");
}
