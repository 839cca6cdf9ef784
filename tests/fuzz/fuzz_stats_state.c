/* What psal-stats --resume goes on from, and merge joins: read, finished, appended to, written and read again. */
#include "tools/stats_state.h"

#include <stdlib.h>
#include <string.h>

#include "io/safetensors.h"
#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 8000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("00000000"),        FUZZ_WORD("psal.first"),
                                FUZZ_WORD("psal.next"),       FUZZ_WORD("psal.end"),
                                FUZZ_WORD("psal.length"),     FUZZ_WORD("psal.count."),
                                FUZZ_WORD("psal.normalized"), FUZZ_WORD("statistics-part"),
                                FUZZ_WORD("record.status"),   FUZZ_WORD("all.mean"),
                                FUZZ_WORD("correct.m2"),      FUZZ_WORD("\"2147483647\""),
                                FUZZ_WORD("\"1000000\""),     FUZZ_WORD("\"9999999999999999\""),
                                FUZZ_WORD("\"0\""),           FUZZ_WORD("[0]"),
                                FUZZ_WORD("[0,0]"),           {NULL, 0}};

enum { LENGTH = 3 };

static void add_samples(psal_summary *summary, int64_t count) {
    psal_error err = PSAL_ERROR_INIT;
    for (int64_t i = 0; i < count; i++) {
        const float profile[LENGTH] = {1, 2, (float)i};
        psal_sample_result sample = {
            .index = summary->next, .label = (int)i % 2, .predicted = 1, .loss = 0.5f, .largest = 2};
        FUZZ_CHECK(psal_summary_add(summary, &sample, profile, i == 2 ? profile : NULL, &err) == PSAL_OK);
    }
}

/* A finished part in front of what was read, where it fits. */
static void append(psal_summary *behind) {
    psal_error err = PSAL_ERROR_INIT;
    if (behind->length != LENGTH || behind->first < 1 || behind->first > 100) return;
    psal_summary *front = psal_summary_new(LENGTH, 0, behind->first, behind->normalized, &err);
    FUZZ_CHECK(front != NULL);
    add_samples(front, behind->first);
    if (fuzz_outcome(psal_summary_append(front, behind, &err) == PSAL_OK, &err)) FUZZ_CHECK(front->next == behind->end);
    psal_summary_free(front);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    psal_computation computation, read;
    char *source;
    psal_summary *summary = psal_state_read(fuzz_write_safetensors("state", data, size), &computation, &source, &err);
    if (!fuzz_outcome(summary != NULL, &err)) return 0;
    int64_t done = summary->next - summary->first;
    FUZZ_CHECK(psal_summary_count(summary) <= done && psal_summary_correct(summary) <= done);
    append(summary);
    psal_tensor_map *means = psal_tensor_map_new();
    psal_statistics *statistics = psal_statistics_new(summary->length, &err);
    FUZZ_CHECK(means && statistics);
    fuzz_outcome(psal_summary_finish(summary, statistics, means, &err) == PSAL_OK, &err);
    psal_statistics_free(statistics);
    psal_tensor_map_free(means);

    const char *path = fuzz_path("again");
    FUZZ_CHECK(fuzz_outcome(psal_state_write(path, &computation, summary, source, &err) == PSAL_OK, &err));
    free(source);
    psal_summary *again = psal_state_read(path, &read, NULL, &err);
    FUZZ_CHECK(fuzz_outcome(again != NULL, &err));
    FUZZ_CHECK(psal_computation_check(&read, &computation, ~(psal_fields)0, &err) == PSAL_OK);
    FUZZ_CHECK(again->next == summary->next && again->end == summary->end && again->length == summary->length);
    psal_summary_free(again);
    psal_summary_free(summary);
    return 0;
}

static void seed_state(const char *name, int64_t first, int64_t count, int64_t end) {
    psal_error err = PSAL_ERROR_INIT;
    psal_computation computation = {0};
    psal_summary *summary = psal_summary_new(LENGTH, first, end, false, &err);
    const char *path = fuzz_path("seed");
    FUZZ_CHECK(summary != NULL);
    for (int f = 0; f < PSAL_FIELD_MODE; f++)
        psal_computation_set(&computation, (psal_field)f, "%s",
                             psal_field_describe((psal_field)f)->kind == PSAL_FIELD_PREPROCESSING ? "caffe" : "1");
    psal_computation_set(&computation, PSAL_FIELD_NORMALIZED, "0"); /* as the summary says */
    add_samples(summary, count);
    FUZZ_CHECK(psal_state_write(path, &computation, summary, "{}", &err) == PSAL_OK);
    fuzz_seed_safetensors(name, path);
    psal_summary_free(summary);
}

void fuzz_make_seeds(void) {
    seed_state("begun", 0, 0, 9);
    seed_state("interrupted", 0, 4, 9);
    seed_state("finished", 2, 5, 7);
    seed_state("claims_samples", 0, 1, 2000000000); /* memory for them all was once taken at once */
}
