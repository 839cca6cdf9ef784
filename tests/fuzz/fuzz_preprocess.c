/* Descriptions of preprocessing: what is read and written reads back the same, and small ones can be carried out. */
#include "io/preprocess.h"

#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 30000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("torchvision"),
                                FUZZ_WORD("caffe"),
                                FUZZ_WORD("inception"),
                                FUZZ_WORD("rgb"),
                                FUZZ_WORD("bgr"),
                                FUZZ_WORD("grey"),
                                FUZZ_WORD(";resize="),
                                FUZZ_WORD(";crop="),
                                FUZZ_WORD(";scale="),
                                FUZZ_WORD(";mean="),
                                FUZZ_WORD(";std="),
                                FUZZ_WORD("none"),
                                FUZZ_WORD("16384"),
                                FUZZ_WORD("1e-40"),
                                FUZZ_WORD("1e39"),
                                FUZZ_WORD("nan"),
                                FUZZ_WORD("inf"),
                                FUZZ_WORD("0"),
                                FUZZ_WORD("x"),
                                FUZZ_WORD(","),
                                FUZZ_WORD(";"),
                                FUZZ_WORD("-1"),
                                {NULL, 0}};

/* Carry it out on an image of 5x3 pixels. */
static void run(const psal_preprocess *options) {
    psal_error err = PSAL_ERROR_INIT;
    uint8_t pixels[3 * 15];
    for (int i = 0; i < 45; i++) pixels[i] = (uint8_t)(i * 37);
    psal_image image = {5, 3, pixels};
    int height, width;
    if (!fuzz_outcome(psal_preprocess_size(options, 5, 3, &height, &width, &err) == PSAL_OK, &err)) return;
    FUZZ_CHECK(height > 0 && width > 0);
    if ((int64_t)height * width > 10000 || options->resize_shorter > 100) return;
    size_t count = (size_t)psal_preprocess_channels(options) * (size_t)height * (size_t)width;
    float *out = malloc(count * sizeof *out);
    FUZZ_CHECK(out != NULL);
    fuzz_outcome(psal_preprocess_image(options, &image, out, &err) == PSAL_OK, &err);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    psal_preprocess options, again;
    char written[256];
    fuzz_parts parts = fuzz_split(data, size);
    double number;
    int64_t integer;
    psal_parse_double(parts.text, &number);
    psal_parse_int64(parts.text, &integer);
    if (fuzz_outcome(psal_preprocess_parse(parts.text, &options, &err) == PSAL_OK, &err)) {
        FUZZ_CHECK(psal_preprocess_check(&options, &err) == PSAL_OK);
        psal_preprocess_format(&options, written, sizeof written);
        memset(&again, 0, sizeof again);
        FUZZ_CHECK(psal_preprocess_parse(written, &again, &err) == PSAL_OK);
        FUZZ_CHECK(again.order == options.order && again.resize_shorter == options.resize_shorter &&
                   again.stretch_height == options.stretch_height && again.stretch_width == options.stretch_width &&
                   again.crop_height == options.crop_height && again.crop_width == options.crop_width &&
                   again.scale == options.scale);
        for (int c = 0; c < psal_preprocess_channels(&options); c++)
            FUZZ_CHECK(again.mean[c] == options.mean[c] && again.std[c] == options.std[c]);
        run(&options);
    }
    fuzz_split_free(&parts);
    return 0;
}

void fuzz_make_seeds(void) {
    FUZZ_SEED("torchvision", "torchvision");
    FUZZ_SEED("caffe", "caffe;resize=10;crop=7x9");
    FUZZ_SEED("stretched", "rgb;resize=7x9;crop=5");
    FUZZ_SEED("inception", "inception;crop=none");
    FUZZ_SEED("grey", "grey;crop=28;scale=255;mean=0.286;std=0.353");
    FUZZ_SEED("code",
              "T.Compose([T.Grayscale(), T.Resize((7, 9)), T.CenterCrop(5), T.ToTensor(), T.Normalize([0.5], [2])])");
    FUZZ_SEED("bgr", "bgr;mean=103.939,116.779,123.68;std=1,2,3e0;resize=0");
}
