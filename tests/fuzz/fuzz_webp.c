/* WebP images, with the lengths as they come and repaired. */
#include <stdlib.h>

#include "tests/fuzz/images.h"

const int fuzz_mutations = 4000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("RIFF"), FUZZ_WORD("WEBP"),           FUZZ_WORD("VP8 "),
                                FUZZ_WORD("VP8L"), FUZZ_WORD("VP8X\x0a\0\0\0"), FUZZ_WORD("ALPH"),
                                FUZZ_WORD("ANIM"), FUZZ_WORD("ANMF"),           FUZZ_WORD("ICCP"),
                                FUZZ_WORD("EXIF"), FUZZ_WORD("\x9d\x01\x2a"),   {NULL, 0}};

/* The file's length in its header, without which nothing else is looked at. */
static void decode_repaired(const uint8_t *data, size_t size) {
    if (size < 12) return;
    uint8_t *copy = malloc(size);
    FUZZ_CHECK(copy);
    memcpy(copy, data, size);
    for (size_t i = 0; i < 4; i++) copy[4 + i] = (uint8_t)((size - 8) >> 8 * i);
    decode(copy, size);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode(data, size);
    decode_repaired(data, size);
    return 0;
}

void fuzz_make_seeds(void) {
    seed_images("webp_");
    fuzz_seed("webp_animated", webp_animated_bytes, sizeof webp_animated_bytes);
}
