#include "tools/neighbors_kinds.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "saliency/random.h"
#include "tools/contact_sheet.h"
#include "tools/kinds_report.h"
#include "tools/outputs.h"
#include "tools/print.h"

enum { SHEET_COLUMNS = 8 };

typedef struct job {
    psal_compared_store *store;
    int64_t *drawn; /* [count] mistakes that are clustered; the others join their kinds */
    int64_t count;
    psal_kinds *kinds;
    psal_kind_filter *filters;
    psal_kind_guilt *guilt;
    psal_kinds_report report;
} job;

static psal_status refuse_others(const psal_options *options, psal_error *err) {
    static const char *const none[] = {"query", "image-path", "image-target-label", "mistakes", NULL};
    const char *other = psal_options_given_of(options, none, true);
    if (!other) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "kinds has no option --%s: it sorts the store's mistakes, all of them",
                     other);
}

/* As many of the mistakes as can be clustered, drawn with --seed: their places among the candidates. */
static psal_status draw(job *j, psal_error *err) {
    const psal_compared_store *s = j->store;
    const int64_t all = s->search.candidate_count, seed = psal_options_int(s->options, "seed");
    j->drawn = malloc((size_t)all * sizeof *j->drawn);
    if (!j->drawn) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " mistakes", all);
    psal_random random = {(uint64_t)seed};
    int64_t left = all < PSAL_KINDS_MISTAKES ? all : PSAL_KINDS_MISTAKES;
    for (int64_t i = 0; i < all; i++) /* each as likely as any other of those that are left */
        if (left == all - i || (int64_t)psal_random_below(&random, (uint64_t)(all - i)) < left) {
            j->drawn[j->count++] = i;
            left--;
        }
    j->report.clustered = j->count;
    j->report.seed = seed;
    return PSAL_OK;
}

static psal_status cluster(job *j, const int64_t *samples, psal_error *err) {
    const psal_compared_store *s = j->store;
    const int wanted = psal_options_has(s->options, "kinds") ? (int)psal_options_int(s->options, "kinds") : 0;
    if (wanted > j->count)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--kinds %d: there are %" PRId64 " mistakes", wanted, j->count);
    float *similarities = malloc((size_t)(j->count * j->count) * sizeof *similarities);
    if (!similarities)
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the similarities of %" PRId64 " mistakes", j->count);
    psal_status status = psal_neighbors_matrix(&s->source, &s->search, samples, j->count, similarities, err);
    if (status == PSAL_OK && !(j->kinds = psal_kinds_find(j->count, similarities, wanted, err)))
        status = psal_error_status(err);
    free(similarities);
    return status;
}

/* Let the mistakes that were not drawn join the kinds. */
static psal_status extend(job *j, const int64_t *samples, psal_error *err) {
    const psal_compared_store *s = j->store;
    const int64_t all = s->search.candidate_count, rest = all - j->count;
    int64_t *others = malloc((size_t)rest * sizeof *others);
    float *similarities = malloc((size_t)(rest * j->kinds->kinds + 1) * sizeof *similarities);
    psal_status status = PSAL_OK;
    if (!others || !similarities)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " mistakes", all);
    for (int64_t i = 0, next = 0; i < all && status == PSAL_OK; i++) {
        if (next < j->count && j->drawn[next] == i)
            next++;
        else
            others[i - next] = s->candidates[i];
    }
    if (status == PSAL_OK)
        status = psal_neighbors_of_groups(&s->source, &s->search, samples, j->kinds->kind, j->count, j->kinds->kinds,
                                          others, rest, similarities, err);
    if (status == PSAL_OK) status = psal_kinds_extend(j->kinds, all, j->drawn, similarities, err);
    free(others);
    free(similarities);
    return status;
}

static psal_status find_kinds(job *j, psal_error *err) {
    const psal_compared_store *s = j->store;
    int64_t *samples = malloc((size_t)j->count * sizeof *samples);
    if (!samples) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " mistakes", j->count);
    for (int64_t i = 0; i < j->count; i++) samples[i] = s->candidates[j->drawn[i]];
    psal_status status = cluster(j, samples, err);
    if (status == PSAL_OK && j->count < s->search.candidate_count) status = extend(j, samples, err);
    free(samples);
    return status;
}

static psal_status find_filters(job *j, psal_error *err) {
    const psal_compared_store *s = j->store;
    const size_t kinds = (size_t)j->kinds->kinds, top = (size_t)psal_options_int(s->options, "top");
    j->filters = malloc((kinds * top + 1) * sizeof *j->filters);
    j->guilt = malloc((kinds + 1) * sizeof *j->guilt);
    if (!j->filters || !j->guilt) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu kinds", kinds);
    return psal_kind_filters(&s->source, &s->search, s->candidates, j->kinds->kind, j->kinds->count, (int)kinds,
                             (int)top, j->filters, j->guilt, err);
}

static void fill_report(job *j) {
    const psal_compared_store *s = j->store;
    const psal_aggregation aggregation = s->profile_options.aggregation;
    const psal_units units = psal_aggregation_units(aggregation);
    psal_kinds_report *r = &j->report;
    r->compared = s;
    r->units = units;
    r->model = s->has_session && (aggregation == PSAL_AGGREGATION_FILTER || aggregation == PSAL_AGGREGATION_ROW) &&
                       psal_model_unit_count(s->session.model, units) == s->store.length
                   ? s->session.model
                   : NULL;
    r->kinds = j->kinds;
    r->top = (int)psal_options_int(s->options, "top");
    r->filters = j->filters;
    r->guilt = j->guilt;
}

/* A row for each kind, its most central mistakes. */
static psal_status write_sheet(const job *j, const char *path, psal_error *err) {
    const psal_kinds *kinds = j->kinds;
    psal_contact_sheet *sheet = psal_contact_sheet_new(j->store, err);
    psal_status status = sheet ? PSAL_OK : psal_error_status(err);
    for (int k = 0; k < kinds->kinds && k < PSAL_SHEET_ROWS && status == PSAL_OK; k++) {
        const int64_t size = kinds->first[k + 1] - kinds->first[k], shown = size < SHEET_COLUMNS ? size : SHEET_COLUMNS;
        for (int64_t m = 0; m < shown && status == PSAL_OK; m++) {
            const int64_t mistake = kinds->members[kinds->first[k] + m], sample = j->store->candidates[mistake];
            char heading[48];
            snprintf(heading, sizeof heading, m == 0 ? "kind %d: %" PRId64 : "", k + 1, size);
            status = psal_contact_sheet_add(sheet, sample, &j->store->store.records[sample], heading, false,
                                            kinds->central[mistake], err);
        }
        psal_contact_sheet_skip(sheet, (size_t)(SHEET_COLUMNS - shown));
    }
    if (status == PSAL_OK)
        status = psal_contact_sheet_write(sheet, "Kinds of mistakes, the most central of each", SHEET_COLUMNS, path,
                                          err);
    psal_contact_sheet_free(sheet);
    return status;
}

static psal_status write_results(const job *j, psal_error *err) {
    psal_compared_store *s = j->store;
    const char *csv = psal_options_string(s->options, "csv"), *sheet = psal_options_string(s->options, "sheet");
    const bool quiet = psal_options_flag(s->options, "quiet");
    psal_status status = csv ? psal_kinds_write_csv(&j->report, csv, err) : PSAL_OK;
    if (status == PSAL_OK && sheet && j->kinds->kinds == 0)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "--sheet %s: there are no kinds to be shown", sheet);
    else if (status == PSAL_OK && sheet)
        status = write_sheet(j, sheet, err);
    if (status == PSAL_OK && sheet && j->kinds->kinds > PSAL_SHEET_ROWS && !quiet)
        psal_print(stderr, "%s: note: %s shows the first %d of %d kinds\n", s->program->name, sheet, PSAL_SHEET_ROWS,
                   j->kinds->kinds);
    if (status != PSAL_OK) return status;
    if (psal_options_flag(s->options, "json")) return psal_kinds_print_json(&j->report, err);
    status = psal_kinds_print(&j->report, err);
    if (status != PSAL_OK) return status;
    if (!quiet) psal_print(stdout, "statistics: %s\n", s->statistics_name);
    psal_print_written(s->program, s->options);
    return PSAL_OK;
}

psal_status psal_neighbors_kinds(psal_compared_store *store, psal_error *err) {
    job j = {.store = store};
    store->mistakes = store->name_filters = true;
    psal_status status = refuse_others(store->options, err);
    if (status == PSAL_OK) status = psal_compared_store_open(store, err);
    if (status == PSAL_OK) status = psal_compared_store_standardize(store, err);
    if (status == PSAL_OK) status = draw(&j, err);
    if (status == PSAL_OK) status = find_kinds(&j, err);
    if (status == PSAL_OK) status = find_filters(&j, err);
    if (status == PSAL_OK) {
        fill_report(&j);
        status = write_results(&j, err);
    }
    free(j.drawn);
    free(j.filters);
    free(j.guilt);
    psal_kinds_free(j.kinds);
    return status;
}
