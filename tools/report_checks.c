#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/json_output.h"
#include "tools/check.h"
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

/* How much heat maps are those of any filters: those of the kinds' most central mistakes; "" where there are none. */
static void say_maps(const psal_report *r, char *text, size_t size) {
    const json_t *maps = json_object_get(r->root, "maps");
    double sum = 0, most = -1;
    int count = 0;
    for (size_t i = 0; i < json_array_size(maps); i++) {
        const double agreement = psal_read_number(json_array_get(maps, i), "agreement");
        if (isnan(agreement)) continue;
        sum += agreement;
        if (agreement > most) most = agreement;
        count++;
    }
    *text = '\0';
    if (count > 0)
        psal_snprintf(text, size,
                      " The maps of this page agree with those of random filters by %.2f in the mean, by %.2f at most "
                      "(rank correlation of %d map%s; 1: they show nothing of the top filters, 0: they are their own).",
                      sum / count, most, count, count == 1 ? "" : "s");
}

/* What the order of the filters is worth, beside that by the naive saliency. */
static void say_ranking(const json_t *ablate, const json_t *ranking, char *text, size_t size) {
    const double here = number_of(ranking, "spearman", "mean"),
                 naive = number_of(row_of_ranking(ablate, "naive", "loss-size"), "spearman", "mean");
    const double low = number_of(ablate, "standardized_minus_naive", "low"),
                 high = number_of(ablate, "standardized_minus_naive", "high");
    psal_snprintf(text, size,
                  "Filters: their saliency and how strongly the loss changes without them have a rank correlation of "
                  "%.2f (1: the same order, 0: chance), on %.0f mistake%s%s; the naive saliency, not standardized, has "
                  "%.2f%s.",
                  here, psal_read_number(ablate, "mistakes"), psal_read_number(ablate, "mistakes") == 1 ? "" : "s",
                  isnan(number_of(ranking, "spearman", "low")) ? ", which is no evidence"
                  : number_of(ranking, "spearman", "low") > 0  ? ", more than chance gives"
                                                               : ", no more than chance gives",
                  naive,
                  high < 0  ? ", and tells better which filters matter to a mistake"
                  : low > 0 ? ", and tells it worse"
                            : "");
}

/* What is left of the top filters' saliency without the pixels that the heat map marks. */
static void say_pixels(const json_t *mask, char *text, size_t size) {
    const json_t *map = row_of_pixels(mask, "heat-map"), *region = row_of_pixels(mask, "random-region"),
                 *shape = row_of_pixels(mask, "same-shape");
    const double of_region = number_of(region, "saliency_above", "low"),
                 of_shape = number_of(shape, "saliency_above", "low");
    if (!map) {
        psal_snprintf(text, size, " Heat maps: these mistakes have none that could be checked.");
        return;
    }
    psal_snprintf(text, size,
                  " Heat maps: with the 5 %% of the pixels hidden that they mark, the saliency of their top filters is "
                  "%.2f, with a random region hidden %.2f, with the same shape elsewhere %.2f (the lower, the more it "
                  "was these pixels)%s.",
                  number_of(map, "saliency", "mean"), number_of(region, "saliency", "mean"),
                  number_of(shape, "saliency", "mean"),
                  isnan(of_region) || isnan(of_shape) ? ""
                  : of_region > 0 && of_shape > 0     ? ", lower beyond chance"
                                                      : ", not lower beyond chance");
}

/* How far to trust the page: what each figure means. There is no verdict over all: one check may speak for the filters,
 * another one against the maps. */
static void add_trust(psal_report *r, json_t *found) {
    char text[2000], filters[500], pixels[500], maps[400];
    const json_t *ablate = json_object_get(found, "ablate");
    say_ranking(ablate, row_of_ranking(ablate, "standardized", "loss-size"), filters, sizeof filters);
    say_pixels(json_object_get(found, "mask"), pixels, sizeof pixels);
    say_maps(r, maps, sizeof maps);
    psal_snprintf(text, sizeof text,
                  "%s%s%s Saliency is sensitivity, not cause: what a change of these filters does is measured under "
                  "costs.",
                  filters, pixels, maps);
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
