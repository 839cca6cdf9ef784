/* PyTorch's zip form around a pickle from the input, with the storages that the seeds speak of and right checksums:
 * read as weights, and as the two kinds of helper files. */
#include "io/pth.h"

#include <stdlib.h>

#include "io/helper_files.h"
#include "tests/fuzz/pickles.h"

const int fuzz_mutations = 8000;
const fuzz_word fuzz_words[] = {PICKLE_WORDS, {NULL, 0}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT, statistics_err = PSAL_ERROR_INIT, results_err = PSAL_ERROR_INIT;
    uint8_t *archive = malloc(size + 4096);
    FUZZ_CHECK(archive != NULL);
    struct zip_writer zip = {.to = archive};
    zip_add(&zip, "archive/data.pkl", data, size, 0);
    zip_add(&zip, "archive/data/0", sample_floats, sizeof sample_floats, 0);
    zip_add(&zip, "archive/data/1", &sample_steps, sizeof sample_steps, 0);
    size_t total = zip_end(&zip);
    FUZZ_CHECK(total <= size + 4096);
    const char *path = fuzz_write("model.pth", archive, total);
    free(archive);

    psal_notes notes = PSAL_NOTES_INIT;
    psal_tensor_map *map = psal_pth_read(path, &notes, &err);
    if (fuzz_outcome(map != NULL, &err)) fuzz_touch(map);
    psal_tensor_map_free(map);
    psal_notes_free(&notes);

    /* Every dictionary in it. */
    psal_error open_err = PSAL_ERROR_INIT;
    psal_pth *pth = psal_pth_open(path, &open_err);
    size_t dictionary_count = 0;
    psal_pth_dictionary *dictionaries = NULL;
    if (fuzz_outcome(pth != NULL, &open_err)) {
        dictionaries = psal_pth_dictionaries(pth, &dictionary_count, &open_err);
        FUZZ_CHECK(fuzz_outcome(dictionaries != NULL, &open_err) == (dictionary_count > 0));
    }
    for (size_t i = 0; i < dictionary_count && i < 8; i++) {
        psal_error part_err = PSAL_ERROR_INIT;
        psal_tensor_map *part = psal_pth_tensors(pth, &dictionaries[i], NULL, &part_err);
        if (fuzz_outcome(part != NULL, &part_err)) fuzz_touch(part);
        psal_tensor_map_free(part);
    }
    psal_pth_dictionaries_free(dictionaries, dictionary_count);
    psal_pth_close(pth);

    double *mean, *std;
    size_t count;
    if (fuzz_outcome(psal_read_statistics_pth(path, &mean, &std, &count, &statistics_err) == PSAL_OK,
                     &statistics_err) &&
        count)
        FUZZ_CHECK(mean[count - 1] * std[count - 1] != 12345.25);
    free(mean);
    free(std);
    psal_inference_results results;
    if (fuzz_outcome(psal_read_inference_results(path, &results, &results_err) == PSAL_OK, &results_err) &&
        results.incorrect_count)
        FUZZ_CHECK(results.incorrect_id[0] + results.incorrect_prediction[results.incorrect_count - 1] != INT64_MIN);
    psal_inference_results_free(&results);
    return 0;
}

void fuzz_make_seeds(void) {
    seed_pickles();
}
