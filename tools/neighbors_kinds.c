#include "tools/neighbors_kinds.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/contact_sheet.h"
#include "tools/outputs.h"
#include "tools/print.h"
#include "tools/store_kinds.h"
#include "tools/figure_style.h"

enum { SHEET_COLUMNS = 8 };

static psal_status refuse_others(const psal_options *options, psal_error *err) {
    static const char *const none[] = {"query", "image-path", "image-target-label", "mistakes", NULL};
    const char *other = psal_options_given_of(options, none, true);
    if (other)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "kinds has no option --%s: it sorts the store's mistakes, all of them",
                         other);
    if (psal_options_flag(options, "skip-bad") && !psal_options_has(options, "sheet"))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--skip-bad does nothing without --sheet: kinds reads no other images");
    return psal_figure_style_check(options, psal_options_has(options, "sheet"), "without --sheet", err);
}

/* A row for each kind, its most central mistakes. */
static psal_status write_sheet(const psal_store_kinds *j, const char *path, psal_error *err) {
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

static psal_status write_results(const psal_store_kinds *j, psal_error *err) {
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
    psal_store_kinds found = {0};
    store->mistakes = store->name_filters = true;
    psal_status status = refuse_others(store->options, err);
    if (status == PSAL_OK) status = psal_compared_store_open(store, err);
    if (status == PSAL_OK) status = psal_compared_store_standardize(store, err);
    if (status == PSAL_OK) status = psal_store_kinds_find(&found, store, err);
    if (status == PSAL_OK) status = write_results(&found, err);
    psal_store_kinds_free(&found);
    return status;
}
