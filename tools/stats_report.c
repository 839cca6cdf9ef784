#include "tools/stats_report.h"

#include <math.h>
#include <stdio.h>

#include "io/notes.h"
#include "saliency/standardize.h"
#include "tools/print.h"
#include "tools/session.h"
#include "tools/skipped.h"
#include "tools/tally.h"

/* Entries that are the same for every sample, so that nothing can be said of them (psal_rankable). */
static int64_t without_deviation(const psal_summary *s) {
    const psal_welford *all = s->groups[PSAL_GROUP_ALL];
    int64_t count = 0;
    for (int64_t i = 0; i < all->length && all->count > 1; i++) {
        double mean = all->mean[i], std = sqrt(all->m2[i] / (double)(all->count - 1));
        bool rankable = true;
        psal_rankable(PSAL_MODE_STD, 1, NULL, &mean, &std, &rankable);
        count += !rankable;
    }
    return count;
}

/* Quiet or not: the statistics are of other labels, or of another network, then. */
static void note_doubt(const psal_summary *s, const char *program) {
    psal_tally tally = {0};
    char text[300];
    for (int64_t i = 0; i < s->next - s->first; i++)
        if (s->records[i].status == PSAL_OK) psal_tally_add(&tally, s->records[i].label, s->records[i].predicted);
    if (psal_tally_doubt(&tally, text)) psal_print(stderr, "%s: note: %s\n", program, text);
}

void psal_stats_print_result(const psal_summary *s, const char *program, const char *out, bool one_class) {
    int64_t count = psal_summary_good(s), correct = psal_summary_correct(s);
    char only[PSAL_REFERENCE_SIZE];
    if (one_class) /* correct it is always: there is nothing else to predict */
        psal_print(stdout, "%lld sample%s of the network's one class, %lld skipped\n", (long long)count,
                   psal_plural(count), (long long)psal_summary_skipped(s));
    else
        psal_print(stdout, "%lld sample%s: %lld correct (%.2f %%), %lld incorrect, %lld skipped\n", (long long)count,
                   psal_plural(count), (long long)correct, count ? 100.0 * (double)correct / (double)count : 0.0,
                   (long long)(count - correct), (long long)psal_summary_skipped(s));
    const double target = psal_summary_distance(s, PSAL_GROUP_INCORRECT),
                 predicted = psal_summary_distance(s, PSAL_GROUP_PREDICTED);
    if (!isnan(target))
        printf("cosine distance of the mean profiles of right and wrong samples: %.4f (true label)", target);
    if (!isnan(predicted)) printf(", %.4f (predicted label)", predicted);
    if (!isnan(target)) printf("; 0: on average the same filters, in the same proportions\n");
    if (s->only.kind != PSAL_REFERENCE_ALL)
        psal_print(stdout, "%s: of the %s only: %lld\n", out, psal_reference_describe(s->only, only),
                   (long long)psal_summary_count(s));
    int64_t same = without_deviation(s);
    psal_print(stdout, "%s: %lld entries", out, (long long)s->length);
    if (same == s->length)
        printf("; no filter has a deviation: all samples give the same profile, by which nothing can be standardized");
    else if (same > 0)
        printf(", %lld of them the same in all samples: without a deviation they are never ranked", (long long)same);
    printf("\n");
    note_doubt(s, program);
}

void psal_stats_note_few(const psal_summary *s, const char *program, const char *out) {
    psal_notes notes = PSAL_NOTES_INIT;
    psal_note_few_samples(&notes, out, psal_summary_count(s));
    for (size_t i = 0; i < notes.count; i++) psal_print(stderr, "%s: note: %s\n", program, notes.lines[i]);
    psal_notes_free(&notes);
}

int psal_stats_finish(const psal_summary *s, const psal_dataset *dataset, const char *program, psal_status done,
                      psal_error *err) {
    if (done != PSAL_OK) return done;
    psal_skipped skipped = {0};
    psal_status status = PSAL_OK;
    for (int64_t i = s->first; i < s->next && status == PSAL_OK; i++) {
        const psal_sample_result *record = &s->records[i - s->first];
        char number[32];
        snprintf(number, sizeof number, "number %lld", (long long)i);
        if (record->status != PSAL_OK)
            status = psal_skipped_add(&skipped, dataset ? psal_dataset_name(dataset, (size_t)i) : number,
                                      &(psal_error){0}, err);
    }
    int result = psal_skipped_finish(&skipped, program, (size_t)(s->next - s->first), status, err);
    psal_skipped_free(&skipped);
    return result;
}
