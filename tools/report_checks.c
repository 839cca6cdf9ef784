#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/json_output.h"
#include "tools/check.h"
#include "tools/explain.h"
#include "tools/report.h"
#include "tools/report_lists.h"
#include "tools/report_read.h"

/* Mistakes for the checks: the most central ones of all kinds, in turn, as they are shown; then single ones. */
static int64_t choose(const psal_report *r, int64_t wanted, int64_t *samples) {
    const psal_kinds *kinds = r->found.kinds;
    int64_t count = 0;
    for (int64_t rank = 0; count < wanted && rank < kinds->count; rank++)
        for (int k = 0; k < kinds->kinds && count < wanted; k++)
            if (kinds->first[k] + rank < kinds->first[k + 1])
                samples[count++] = r->compared.candidates[kinds->members[kinds->first[k] + rank]];
    for (int64_t m = kinds->first[kinds->kinds]; m < kinds->count && count < wanted; m++)
        samples[count++] = r->compared.candidates[kinds->members[m]];
    return count;
}

typedef struct kind_of_check {
    const char *name, *option; /* with what it differs from psal-check's defaults */
    int64_t value;
    bool maps; /* of heat maps, which not every mistake has */
} kind_of_check;

enum { CHECKS = 2, FILTERS = 50 };

static psal_status make_command(const psal_report *r, const kind_of_check *c, const char *list,
                                psal_report_command *command, psal_error *err) {
    const psal_program *program = &psal_check_program;
    psal_status status = psal_report_command_begin(command, program, c->name, err);
    if (status == PSAL_OK) status = psal_report_command_add_network(command, program, r->options, err);
    if (status == PSAL_OK) status = psal_report_command_add_given(command, program, r->options, "skip-bad", err);
    if (status == PSAL_OK) status = psal_report_command_add(command, "data", list, err);
    if (status == PSAL_OK)
        status = psal_report_command_add_int(command, "seed", psal_options_int(r->options, "seed"), err);
    if (status == PSAL_OK && *r->statistics) status = psal_report_command_add(command, "stats", r->statistics, err);
    if (status == PSAL_OK) status = psal_report_command_add_int(command, c->option, c->value, err);
    return status == PSAL_OK ? psal_report_command_parse(command, program, err) : status;
}

static psal_status run_check(psal_report *r, const psal_options *options, json_t **results, psal_error *err) {
    psal_check check = {.options = options, .session.kept = &r->notes, .results = results};
    psal_status status = psal_check_do(&check, err);
    psal_check_close(&check);
    return status;
}

static psal_status do_check(psal_report *r, const kind_of_check *c, const char *list, const int64_t *samples,
                            int64_t count, uint64_t hash, json_t *found, psal_error *err) {
    psal_report_command command = {0};
    json_t *results = NULL;
    char name[64], what[100], *text = NULL;
    snprintf(name, sizeof name, "check-%s", c->name);
    snprintf(what, sizeof what, "checks: %s", c->name);
    psal_report_stage(r, what);
    psal_status status = make_command(r, c, list, &command, err);
    if (status == PSAL_OK && !(text = psal_report_command_text(&command)))
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a command");
    json_t *key = psal_report_key(r, text, hash);
    json_object_set_new(key, "samples", psal_report_numbers(samples, count));
    if (status == PSAL_OK && !(results = psal_report_kept(r, name, key))) {
        status = run_check(r, command.options, &results, err);
        if (status == PSAL_ERR_NUMERIC && c->maps) { /* of no mistake: the page says so, and has the rest */
            psal_note_warning(&r->notes, "psal-check %s: %s", c->name, err->message);
            *err = (psal_error)PSAL_ERROR_INIT;
            status = PSAL_OK;
        } else if (status == PSAL_OK) {
            status = psal_report_keep(r, name, key, results, err);
        }
    }
    if (status == PSAL_OK) json_array_append_new(json_object_get(r->root, "commands"), psal_json_string(text));
    if (results) json_object_set_new(found, c->name, results);
    free(text);
    json_decref(key);
    psal_report_command_free(&command);
    return status;
}

/* ---- what the checks say of the page ---- */

/* The row of psal-check ablate's results. */
static const json_t *row_of_ranking(const json_t *results, const char *ranking, const char *effect) {
    const json_t *rows = json_object_get(results, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(psal_read_text(row, "ranking"), ranking) == 0 && strcmp(psal_read_text(row, "effect"), effect) == 0)
            return row;
    }
    return NULL;
}

/* The row of psal-check mask's results where something is hidden. */
static const json_t *row_of_pixels(const json_t *results, const char *pixels) {
    const json_t *rows = json_object_get(results, "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(psal_read_text(row, "pixels"), pixels) == 0 && psal_read_number(row, "percent") > 0) return row;
    }
    return NULL;
}

static double number_of(const json_t *row, const char *interval, const char *key) {
    return psal_read_number(json_object_get(row, interval), key);
}

/* How much heat maps are those of any filters: of the kinds' most central mistakes, in words; "": there are none. */
static void say_maps(const psal_report *r, char *text, size_t size) {
    const json_t *maps = json_object_get(r->root, "maps");
    char words[200];
    double sum = 0;
    int count = 0;
    for (size_t i = 0; i < json_array_size(maps); i++) {
        const double agreement = psal_read_number(json_array_get(maps, i), "agreement");
        if (isnan(agreement)) continue;
        sum += agreement;
        count++;
    }
    *text = '\0';
    if (count == 0) return;
    psal_agreement_text(sum / count, "filters", words);
    psal_snprintf(text, size,
                  " Beside the heat maps of random filters (mean over the most central mistake of %d kind%s), "
                  "%s.",
                  count, count == 1 ? "" : "s", words);
}

/* How far to trust the page: whether salient filters are those that matter, and whether marked pixels drive them more
 * than as many others do; both beyond what other mistakes could have given. */
static void add_trust(psal_report *r, json_t *found) {
    char text[1300], maps[400], hidden[300] = "there is no heat map of these mistakes to be checked";
    const json_t *ablate = json_object_get(found, "ablate"), *mask = json_object_get(found, "mask");
    const json_t *ranking = row_of_ranking(ablate, "standardized", "loss-size"), *map = row_of_pixels(mask, "heat-map"),
                 *region = row_of_pixels(mask, "random-region"), *shape = row_of_pixels(mask, "same-shape");
    const bool filters = number_of(ranking, "spearman", "low") > 0;
    const bool pixels = number_of(region, "saliency_above", "low") > 0 && number_of(shape, "saliency_above", "low") > 0;
    const char *verdict =
        isnan(number_of(ranking, "spearman", "low")) ? "One mistake is too few to check the page"
        : filters && pixels                          ? "Both checks support the page"
        : filters ? "The filters are supported by a check; that heat maps mark what drives them is not"
        : pixels  ? "The heat maps are supported by a check; that the salient filters matter most is not"
                  : "Neither check supports the page: take its filters and maps for nothing more than a way of sorting";
    if (map)
        psal_snprintf(hidden, sizeof hidden,
                      "hiding 5 %% of the pixels that a heat map marks leaves its top filters a saliency of %.2f, a "
                      "random region %.2f, the same shape elsewhere %.2f",
                      number_of(map, "saliency", "mean"), number_of(region, "saliency", "mean"),
                      number_of(shape, "saliency", "mean"));
    say_maps(r, maps, sizeof maps);
    psal_snprintf(
        text, sizeof text,
        "%s. How strongly the loss changes without a filter agrees with its saliency to a rank correlation of %.2f "
        "(1: wholly, 0: by chance), on %.0f mistakes; %s.%s Saliency is sensitivity, not cause: what a change of these "
        "filters does is measured under costs.",
        verdict, number_of(ranking, "spearman", "mean"), psal_read_number(ablate, "mistakes"), hidden, maps);
    json_object_set_new(r->root, "trust", psal_json_string(text));
}

psal_status psal_report_check(psal_report *r, psal_error *err) {
    const int64_t wanted = psal_options_int(r->options, "checks");
    char list[4200];
    int64_t written;
    uint64_t hash = 0;
    if (wanted == 0 || !r->found.kinds) return PSAL_OK;
    int64_t *samples = malloc((size_t)wanted * sizeof *samples);
    if (!samples) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list");
    const int64_t count = choose(r, wanted, samples);
    const int64_t most = psal_report_most_filters(r);
    const kind_of_check checks[CHECKS] = {{"ablate", "filters", most < FILTERS ? most : FILTERS, false},
                                          {"mask", "percent", 5, true}};
    json_t *found = json_object();
    psal_status status = psal_report_list(r, "checked.csv", samples, count, list, &written, &hash, err);
    for (int c = 0; c < CHECKS && status == PSAL_OK && written > 0; c++) {
        status = do_check(r, &checks[c], list, samples, count, hash, found, err);
        psal_report_print_notes(r);
        if (status == PSAL_OK) status = psal_report_pause(err);
    }
    if (status == PSAL_OK && written > 0) add_trust(r, found);
    json_object_set_new(r->root, "checks", found);
    free(samples);
    return status;
}
