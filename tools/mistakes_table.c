/* What the tables of mistakes have in common, and the options that say what stands in them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/atomic_file.h"
#include "tools/mistakes.h"
#include "tools/print.h"

void psal_csv_subject_titles(psal_csv_writer *csv) {
    static const char *const titles[] = {"index", "name", "label", "predicted"};
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++) psal_csv_text(csv, titles[i]);
}

void psal_csv_subject(psal_csv_writer *csv, const psal_mistakes *mistakes, size_t i) {
    const psal_subject *subject = &mistakes->subjects[i];
    psal_csv_int(csv, (int64_t)subject->index);
    psal_csv_text(csv, psal_mistakes_name(mistakes, subject->index));
    psal_csv_int(csv, subject->label);
    psal_csv_int(csv, subject->predicted);
}

void psal_mistakes_print(const psal_mistakes *mistakes) {
    const psal_labels *labels = mistakes->session->labels;
    if (mistakes->subject_count == 1) {
        const psal_subject *one = &mistakes->subjects[0];
        psal_print(stdout, "%s: %s, called %s (%.1f %%)\n", psal_mistakes_name(mistakes, one->index),
                   psal_labels_name(labels, one->label), psal_labels_name(labels, one->predicted),
                   100 * one->confidence);
    } else {
        if (mistakes->subject_count < mistakes->found) printf("%zu of ", mistakes->subject_count);
        psal_print(stdout, "%zu mistake%s of %zu samples", mistakes->found, psal_plural((long long)mistakes->found),
                   psal_mistakes_sample_count(mistakes));
        if (mistakes->skipped.count) printf(", %zu skipped", mistakes->skipped.count);
        printf("\n");
    }
}

/* ---- options ---- */

void psal_print_mean(double mean, double error, bool sign, int width, int error_width, int decimals) {
    char number[64] = "-", around[64] = "";
    if (!isnan(mean)) snprintf(number, sizeof number, sign ? "%+.*f" : "%.*f", decimals, mean);
    if (error > 0) snprintf(around, sizeof around, " +-%.*f", decimals, error);
    psal_print(stdout, "  %*s%-*s", width, number, error_width, around);
}

void psal_csv_measured(psal_csv_writer *csv, double value) {
    if (isnan(value))
        psal_csv_text(csv, NULL);
    else
        psal_csv_double(csv, value);
}

void psal_csv_mean_titles(psal_csv_writer *csv, const char *const *columns, int count) {
    psal_csv_text(csv, "choice");
    psal_csv_text(csv, "k");
    for (int c = 0; c < count; c++) {
        char name[64];
        psal_csv_text(csv, columns[c]);
        snprintf(name, sizeof name, "%s_se", columns[c]);
        psal_csv_text(csv, name);
    }
    psal_csv_text(csv, "psal_settings");
    psal_csv_end_record(csv);
}
