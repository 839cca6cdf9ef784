#include "tools/check.h"

#include <math.h>
#include <stdio.h>

#include "io/json_output.h"
#include "tools/print.h"

psal_status psal_check_open(psal_check *check, psal_error *err) {
    static const char *const outputs[] = {"csv", "samples", "figure", NULL};
    psal_status status = psal_mistakes_check_outputs(check->options, outputs, err);
    return status == PSAL_OK ? psal_session_open(&check->session, check->options, err) : status;
}

uint64_t psal_check_seed(const psal_check *check, size_t i) {
    return (uint64_t)psal_options_int(check->options, "seed") * 1000003u + check->mistakes.subjects[i].index;
}

json_t *psal_check_json(const psal_check *check) {
    const psal_mistakes *m = &check->mistakes;
    json_t *root = json_object(), *verdict = json_array();
    json_object_set_new(root, "check", psal_json_string(check->name));
    json_object_set_new(root, "arch", psal_json_string(check->session.info->arch));
    json_object_set_new(root, "fingerprint", psal_json_string(check->session.computation.value[PSAL_FIELD_WEIGHTS]));
    json_object_set_new(root, "samples", json_integer((json_int_t)psal_dataset_count(m->dataset)));
    json_object_set_new(root, "skipped", psal_skipped_json(&m->skipped));
    json_object_set_new(root, "mistakes", json_integer((json_int_t)m->subject_count));
    json_object_set_new(root, "settings", psal_mistakes_settings(m, check->options));
    for (int i = 0; i < PSAL_VERDICT_SENTENCES; i++)
        json_array_append_new(verdict, psal_json_string(check->verdict[i]));
    json_object_set_new(root, "verdict", verdict);
    return root;
}

void psal_check_print_verdict(const psal_check *check) {
    printf("\n");
    for (int i = 0; i < PSAL_VERDICT_SENTENCES; i++) psal_print(stdout, "%s\n", check->verdict[i]);
}

void psal_check_subtitle(const psal_check *check, char *text, size_t size) {
    const size_t count = check->mistakes.subject_count;
    snprintf(text, size, "%s, %zu mistake%s", check->session.info->arch, count, count == 1 ? "" : "s");
}

const char *psal_interval_text(const psal_interval *interval, char text[64]) {
    if (isnan(interval->mean))
        snprintf(text, 64, "undefined");
    else if (isnan(interval->low))
        snprintf(text, 64, "%.2f", interval->mean);
    else
        snprintf(text, 64, "%.2f (%.2f to %.2f)", interval->mean, interval->low, interval->high);
    return text;
}

json_t *psal_interval_json(const psal_interval *interval) {
    json_t *object = json_object();
    json_object_set_new(object, "mean", psal_json_double(interval->mean));
    json_object_set_new(object, "low", psal_json_double(interval->low));
    json_object_set_new(object, "high", psal_json_double(interval->high));
    return object;
}

void psal_csv_interval(psal_csv_writer *csv, const psal_interval *interval) {
    psal_csv_double(csv, interval->mean);
    psal_csv_double(csv, interval->low);
    psal_csv_double(csv, interval->high);
}

void psal_csv_interval_titles(psal_csv_writer *csv, const char *const *names, int count) {
    static const char *const endings[] = {"", "_low", "_high"};
    for (int i = 0; i < count; i++)
        for (int e = 0; e < 3; e++) {
            char name[64];
            snprintf(name, sizeof name, "%s%s", names[i], endings[e]);
            psal_csv_text(csv, name);
        }
}
