#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_output.h"
#include "tools/finetune_program.h"
#include "tools/group_edit.h"
#include "tools/program.h"
#include "tools/report.h"
#include "tools/report_lists.h"
#include "tools/report_read.h"

/* A kind's most central mistakes are edited for, at most so many and no more than half; so many of the others are
 * held out, from all distances to the centre. */
enum { CENTRAL = 10, HELD_OUT = 40 };

static const int tried[] = {1, 5, 25, 100}; /* filters */
static const char step[] = "0.1";

/* The mistakes of kind k that take part, the most central first; *central of them are edited for. */
static int64_t choose(const psal_report *r, int k, int64_t *samples, int64_t *central) {
    const psal_kinds *kinds = r->found.kinds;
    const int64_t *members = kinds->members + kinds->first[k], size = kinds->first[k + 1] - kinds->first[k];
    const int64_t edited = size / 2 < CENTRAL ? size / 2 : CENTRAL, others = size - edited;
    const int64_t held_out = others < HELD_OUT ? others : HELD_OUT;
    for (int64_t i = 0; i < edited; i++) samples[i] = r->compared.candidates[members[i]];
    for (int64_t i = 0; i < held_out; i++)
        samples[edited + i] = r->compared.candidates[members[edited + i * others / held_out]];
    *central = edited;
    return edited + held_out;
}

typedef struct lists {
    char mistakes[4200], right[4200];
    int64_t right_count;
    uint64_t right_hash;
} lists;

/* psal-finetune for a kind; with k: the one edit, and where it is saved. */
static psal_status make_command(const psal_report *r, const lists *l, int64_t central, const char *k, const char *save,
                                psal_report_command *command, psal_error *err) {
    const psal_program *program = &psal_finetune_program;
    psal_status status = psal_report_command_begin(command, program, NULL, err);
    if (status == PSAL_OK) status = psal_report_command_add_network(command, program, r->options, err);
    if (status == PSAL_OK) status = psal_report_command_add_given(command, program, r->options, "skip-bad", err);
    if (status == PSAL_OK) status = psal_report_command_add(command, "group", l->mistakes, err);
    if (status == PSAL_OK) status = psal_report_command_add_int(command, "group-first", central, err);
    if (status == PSAL_OK && *r->statistics) status = psal_report_command_add(command, "stats", r->statistics, err);
    if (status == PSAL_OK && l->right_count > 0) {
        status = psal_report_command_add(command, "data", l->right, err);
        if (status == PSAL_OK) status = psal_report_command_add_int(command, "right", l->right_count, err);
    }
    if (status == PSAL_OK)
        status = psal_report_command_add_int(command, "seed", psal_options_int(r->options, "seed"), err);
    if (status == PSAL_OK) status = psal_report_command_add(command, "relative", step, err);
    if (status == PSAL_OK)
        status = psal_report_command_add(command, "choices", save ? "salient" : "salient,random", err);
    if (status == PSAL_OK) status = psal_report_command_add(command, "k", k, err);
    if (status == PSAL_OK && save) status = psal_report_command_add(command, "save", save, err);
    return status == PSAL_OK ? psal_report_command_parse(command, program, err) : status;
}

/* The share of what was held out that is corrected, less the share of the right samples that break. */
static double gain(const json_t *row) {
    const double broken = psal_read_number(row, "right_broken");
    return psal_read_number(row, "held_out_corrected") - (isnan(broken) ? 0 : broken);
}

/* The fewest salient filters that gain most; NULL: none of them corrects more than it breaks. */
static const json_t *best_row(const json_t *results) {
    const json_t *rows = json_object_get(results, "rows"), *best = NULL;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(psal_read_text(row, "choice"), "salient") == 0 && gain(row) > (best ? gain(best) : 0)) best = row;
    }
    return best;
}

const json_t *psal_report_best_row(const json_t *cost, const char *choice) {
    const json_t *rows = json_object_get(json_object_get(cost, "results"), "rows");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (psal_read_number(row, "k") == psal_read_number(cost, "best_k") &&
            strcmp(psal_read_text(row, "choice"), choice) == 0)
            return row;
    }
    return NULL;
}

static psal_status add_command(json_t *cost, const char *name, const psal_report_command *command, psal_error *err) {
    char *text = psal_report_command_text(command);
    if (!text) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a command");
    json_object_set_new(cost, name, psal_json_string(text));
    free(text);
    return PSAL_OK;
}

/* The command that makes the best edit alone, where one helps. */
static psal_status add_best(const psal_report *r, const lists *l, int64_t central, int k, const json_t *results,
                            json_t *cost, psal_error *err) {
    const json_t *best = best_row(results);
    psal_report_command command = {0};
    char count[32], save[4300];
    if (!best) return PSAL_OK;
    snprintf(count, sizeof count, "%.0f", psal_read_number(best, "k"));
    snprintf(save, sizeof save, "%s/kind-%d.safetensors", r->folder, k + 1);
    json_object_set_new(cost, "best_k", json_integer((json_int_t)psal_read_number(best, "k")));
    psal_status status = make_command(r, l, central, count, save, &command, err);
    if (status == PSAL_OK) status = add_command(cost, "save", &command, err);
    psal_report_command_free(&command);
    return status;
}

static psal_status measure(psal_report *r, const json_t *key, const psal_report_command *command, const char *name,
                           json_t **results, psal_error *err) {
    if ((*results = psal_report_kept(r, name, key))) return PSAL_OK;
    const int result = psal_group_work(command->options, &r->notes, results, err);
    if (result != 0)
        return err->status != PSAL_OK ? err->status
                                      : psal_fail(err, PSAL_ERR_FORMAT, "%s: images of it were left out", name);
    return psal_report_keep(r, name, key, *results, err);
}

static psal_status find_cost(psal_report *r, int k, lists *l, const int64_t *right, json_t *costs, psal_error *err) {
    int64_t samples[CENTRAL + HELD_OUT], central, written;
    uint64_t hash = 0;
    char name[64], filters[64] = "1";
    psal_report_command command = {0};
    json_t *cost = json_object(), *results = NULL, *key = NULL;
    const int64_t count = choose(r, k, samples, &central);
    json_array_append_new(costs, cost);
    json_object_set_new(cost, "kind", json_integer(k + 1));
    snprintf(name, sizeof name, "kind-%d.csv", k + 1);
    psal_status status = psal_report_list(r, name, samples, count, l->mistakes, &written, &hash, err);
    if (status == PSAL_OK && written <= central) central = written / 2; /* copies of one image are left out */
    if (status == PSAL_OK && central > 0) {
        snprintf(name, sizeof name, "kind-%d", k + 1);
        for (size_t i = 1; i < sizeof tried / sizeof *tried && tried[i] <= psal_report_most_filters(r); i++)
            snprintf(filters + strlen(filters), sizeof filters - strlen(filters), ",%d", tried[i]);
        status = make_command(r, l, central, filters, NULL, &command, err);
        if (status == PSAL_OK) status = add_command(cost, "command", &command, err);
        key = psal_report_key(r, psal_read_text(cost, "command"), hash ^ l->right_hash);
        json_object_set_new(key, "samples", psal_report_numbers(samples, count));
        json_object_set_new(key, "right", psal_report_numbers(right, l->right_count));
        if (status == PSAL_OK) status = measure(r, key, &command, name, &results, err);
        if (status == PSAL_OK) status = add_best(r, l, central, k, results, cost, err);
    }
    json_object_set_new(cost, "results", results ? results : json_null());
    json_decref(key);
    psal_report_command_free(&command);
    return status;
}

psal_status psal_report_find_costs(psal_report *r, psal_error *err) {
    const int64_t wanted = psal_options_int(r->options, "costs"), right = psal_options_int(r->options, "right");
    const int kinds = r->found.kinds ? r->found.kinds->kinds : 0;
    lists l = {.right_count = 0};
    int64_t *samples = malloc(((size_t)right + 1) * sizeof *samples), drawn = 0;
    json_t *costs = json_array();
    if (!samples) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list");
    psal_status status = wanted > 0 && kinds > 0 ? psal_report_draw_right(r, right, samples, &drawn, err) : PSAL_OK;
    if (status == PSAL_OK && drawn > 0)
        status = psal_report_list(r, "right.csv", samples, drawn, l.right, &l.right_count, &l.right_hash, err);
    for (int k = 0; k < kinds && k < wanted && status == PSAL_OK; k++) {
        char what[100];
        snprintf(what, sizeof what, "what correcting kind %d costs (%d of %d)", k + 1, k + 1,
                 kinds < wanted ? kinds : (int)wanted);
        psal_report_stage(r, what);
        status = find_cost(r, k, &l, samples, costs, err);
        psal_report_print_notes(r);
        if (status == PSAL_OK) status = psal_report_pause(err);
    }
    free(samples);
    if (kinds > 0 && wanted > 0)
        json_object_set_new(r->root, "costs", costs);
    else
        json_decref(costs);
    return status;
}
