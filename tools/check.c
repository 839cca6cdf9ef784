#include "tools/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/json_output.h"
#include "tools/computation_io.h"
#include "tools/print.h"
#include "tools/figure_style.h"

psal_status psal_check_open(psal_check *check, psal_error *err) {
    const psal_options *o = check->options;
    psal_status status = psal_figure_style_check(o, psal_options_has(o, "figure"), "without --figure", err);
    if (status == PSAL_OK) status = psal_mistakes_check_options(o, false, err);
    return status == PSAL_OK ? psal_session_open(&check->session, check->options, err) : status;
}

uint64_t psal_check_seed(const psal_check *check, size_t i) {
    return psal_subject_seed(check->options, check->mistakes.subjects[i].index);
}

/* What stands in every check's JSON: network, mistakes, settings, verdict. */
static json_t *json_of(const psal_check *check) {
    const psal_mistakes *m = &check->mistakes;
    char schema[64];
    snprintf(schema, sizeof schema, "psal-check-%s/1", check->name);
    json_t *root = psal_json_document(schema), *verdict = json_array();
    json_object_set_new(root, "check", psal_json_string(check->name));
    json_object_set_new(root, "arch", psal_json_string(check->session.info->arch));
    json_object_set_new(root, "fingerprint", psal_json_string(check->session.computation.value[PSAL_FIELD_WEIGHTS]));
    json_object_set_new(root, "samples", json_integer((json_int_t)psal_mistakes_sample_count(m)));
    json_object_set_new(root, "skipped", psal_skipped_json(&m->skipped));
    json_object_set_new(root, "mistakes", json_integer((json_int_t)m->subject_count));
    json_object_set_new(root, "settings", psal_mistakes_settings(m, check->options));
    for (int i = 0; i < PSAL_VERDICT_SENTENCES; i++)
        json_array_append_new(verdict, psal_json_string(check->verdict[i]));
    json_object_set_new(root, "verdict", verdict);
    return root;
}

void psal_check_subtitle(const psal_check *check, const char *detail, const char *intervals, char *text, size_t size) {
    const size_t count = check->mistakes.subject_count;
    snprintf(text, size, "%s, %zu mistake%s, %s", check->session.info->arch, count, count == 1 ? "" : "s", detail);
    size_t length = strlen(text);
    if (count > 1)
        snprintf(text + length, size - length, "; %s: as wide as the 95 %% intervals of the means", intervals);
    length = strlen(text);
    snprintf(text + length, size - length, "; %s", check->line);
}

void psal_check_end_titles(psal_csv_writer *csv) {
    psal_csv_text(csv, "psal_settings");
    psal_csv_end_record(csv);
}

void psal_check_end_row(const psal_check *check, psal_csv_writer *csv, bool first) {
    psal_csv_text(csv, first ? check->record : NULL);
    psal_csv_end_record(csv);
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

/* ---- the course of a check ---- */

static psal_status write_csv(const psal_check *check, const char *option,
                             void (*write)(const void *run, psal_csv_writer *csv), const void *run, psal_error *err) {
    const char *path = psal_options_string(check->options, option);
    if (!path) return PSAL_OK;
    psal_csv_writer *csv = psal_csv_create(path, err);
    if (!csv) return psal_error_status(err);
    write(run, csv);
    return psal_csv_commit(csv, err);
}

static psal_status print_json(const psal_check *check, const psal_check_steps *steps, const void *run,
                              psal_error *err) {
    json_t *root = json_of(check);
    steps->add_json(run, root);
    psal_status status = psal_json_write(root, stdout, err);
    json_decref(root);
    return status;
}

static void print_text(const psal_check *check, const psal_check_steps *steps, const void *run) {
    psal_mistakes_print(&check->mistakes);
    steps->print_table(run);
    printf("\n");
    for (int i = 0; i < PSAL_VERDICT_SENTENCES; i++) psal_print(stdout, "%s\n", check->verdict[i]);
}

static psal_status make_record(psal_check *check, psal_error *err) {
    psal_computation computation;
    psal_mistakes_computation(&check->mistakes, check->options, &computation);
    psal_computation_line(&computation, check->line);
    check->record = psal_computation_text(&computation);
    return check->record ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the settings");
}

psal_status psal_check_run(psal_check *check, const psal_check_steps *steps, void *run, psal_error *err) {
    psal_status status = steps->prepare(run, err);
    if (status == PSAL_OK) status = make_record(check, err);
    psal_session_print_notes(&check->session, "psal-check");
    check->steps.label = "mistakes";
    if (status == PSAL_OK) status = psal_mistakes_each(&check->mistakes, &check->steps, steps->experiment, run, err);
    if (status == PSAL_OK) status = steps->summarize(run, err);
    if (status == PSAL_OK && check->results) {
        steps->add_json(run, *check->results = json_of(check));
        return psal_json_check(*check->results, err);
    }
    if (status == PSAL_OK) status = write_csv(check, "csv", steps->write_table, run, err);
    if (status == PSAL_OK) status = write_csv(check, "samples", steps->write_samples, run, err);
    const char *figure = psal_options_string(check->options, "figure");
    if (status == PSAL_OK && figure) status = steps->draw(run, figure, err);
    if (status != PSAL_OK) return status;
    if (psal_options_flag(check->options, "json")) return print_json(check, steps, run, err);
    print_text(check, steps, run);
    return PSAL_OK;
}
