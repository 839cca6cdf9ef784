/* dump_checkpoint IN OUT.safetensors - read any checkpoint psal knows and write it as it is; notes
 * and errors go to standard error. With --statistics IN or --results IN, print the numbers of the
 * authors' helper files instead. test_checkpoints.py compares what comes out with what PyTorch put
 * in. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/helper_files.h"
#include "io/safetensors.h"

static int fail(const psal_error *err) {
    fprintf(stderr, "dump_checkpoint: %s\n", err->message);
    return 1;
}

static int statistics(const char *path) {
    psal_error err = PSAL_ERROR_INIT;
    double *mean, *std;
    size_t count;
    if (psal_read_statistics_pth(path, &mean, &std, &count, &err) != PSAL_OK) return fail(&err);
    for (size_t i = 0; i < count; i++) printf("%a %a\n", mean[i], std[i]);
    free(mean);
    free(std);
    return 0;
}

static int results(const char *path) {
    psal_error err = PSAL_ERROR_INIT;
    psal_inference_results found;
    if (psal_read_inference_results(path, &found, &err) != PSAL_OK) return fail(&err);
    for (size_t i = 0; i < found.incorrect_count; i++)
        printf("%" PRId64 " %" PRId64 "\n", found.incorrect_id[i], found.incorrect_prediction[i]);
    for (size_t i = 0; i < found.correct_count; i++) printf("%" PRId64 "\n", found.correct_id[i]);
    psal_inference_results_free(&found);
    return 0;
}

int main(int argc, char **argv) {
    psal_error err = PSAL_ERROR_INIT;
    if (argc == 3 && strcmp(argv[1], "--statistics") == 0) return statistics(argv[2]);
    if (argc == 3 && strcmp(argv[1], "--results") == 0) return results(argv[2]);
    if (argc != 3) {
        fprintf(stderr, "usage: dump_checkpoint IN OUT.safetensors | --statistics IN | --results IN\n");
        return 2;
    }
    psal_notes notes = PSAL_NOTES_INIT;
    psal_tensor_map *map = psal_checkpoint_read(argv[1], &notes, &err);
    for (size_t i = 0; i < notes.count; i++) fprintf(stderr, "note: %s\n", notes.lines[i]);
    psal_notes_free(&notes);
    if (!map) return fail(&err);
    psal_status status = psal_safetensors_write(argv[2], map, &err);
    psal_tensor_map_free(map);
    if (status != PSAL_OK) psal_fail_prefix(&err, "%s", argv[1]);
    return status == PSAL_OK ? 0 : fail(&err);
}
