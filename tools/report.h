/* report.h - psal-report: the stages of a report, and what they hand on. Each stage puts what it found into one JSON
 * object, from which the page is made: what the page shows is what report.json holds. */
#ifndef PSAL_TOOLS_REPORT_H
#define PSAL_TOOLS_REPORT_H

#include "tools/filter_crops.h"
#include "tools/report_command.h"
#include "tools/sample_pictures.h"
#include "tools/store_kinds.h"

typedef struct psal_report_counts {
    int64_t samples, correct, mistakes, skipped;
    /* The share that would be right if predictions had nothing to do with labels: the sum over the classes of the
     * product of both shares; 1 where all samples are of one class. */
    double by_chance;
} psal_report_counts;

/* A kind's most central mistake, explained: its heat map beside that of random filters, and where it excites the
 * filters of the report's crops. */
typedef struct psal_report_map {
    int kind;
    int64_t sample;
    psal_image seen, map, random; /* as the network sees it; empty: there is none */
    psal_look_hit *own;           /* [crops.count][PSAL_LOOK_ENDS]; NULL: there are no crops */
} psal_report_map;

typedef struct psal_report {
    const psal_options *options;
    const psal_program *program;
    char page[4096], json[4096];
    char folder[4096];     /* --state: what the report is made from */
    char store[4200];      /* of profiles, and */
    char statistics[4200]; /* its statistics; "": computed from the store */
    bool made;             /* both are of this program, in `folder` */
    psal_notes notes;      /* of all stages, each once */
    size_t notes_printed;
    psal_report_counts counts;
    psal_report_command kinds_command; /* psal-neighbors kinds */
    psal_compared_store compared;
    psal_store_kinds found;        /* zeroed: there are no mistakes */
    psal_sample_pictures pictures; /* of the store's samples */
    psal_dataset *looked_at;       /* the images that filters are looked at with, and */
    psal_filter_crops crops;       /* what the guilty filters look for in them; zeroed: not asked for */
    psal_report_map *maps;         /* [map_count], of the largest kinds */
    int map_count;
    json_t *root; /* all results */
} psal_report;

/* How many guilty filters of each kind the page shows, and central mistakes before the others. */
enum { PSAL_REPORT_FILTERS = 10, PSAL_REPORT_CENTRAL = 12 };
/* Of how many of each kind it shows what they look for, with how many places at each end. */
enum { PSAL_REPORT_LOOKED = 3, PSAL_REPORT_PLACES = 4 };

/* How many filters are tried at most: half of the network's. */
int64_t psal_report_most_filters(const psal_report *report);
/* Say on standard error which stage begins; not with --quiet. */
void psal_report_stage(const psal_report *report, const char *what);
/* What stages have noted since, on standard error. */
void psal_report_print_notes(psal_report *report);
/* Fails after a signal: between stages. */
psal_status psal_report_pause(psal_error *err);

/* ---- report_store.c: the store of profiles and its statistics, made or found. Returns what psal_program_work wants:
 * PSAL_EXIT_SKIPPED where images were left out. ---- */
int psal_report_make_store(psal_report *report, psal_error *err);

/* ---- report_counts.c: the network, the data set, how often it is right and what it takes for what ---- */
psal_status psal_report_count(psal_report *report, psal_error *err);

/* ---- report_kinds.c: kinds of mistakes, their filters, and the mistakes that are shown ---- */
psal_status psal_report_find_kinds(psal_report *report, psal_error *err);

/* ---- report_copies.c: which of the mistakes that are shown are the same picture ---- */
psal_status psal_report_find_copies(psal_report *report, psal_error *err);

/* ---- report_look.c: what the guiltiest filters look for ---- */
psal_status psal_report_look(psal_report *report, psal_error *err);

/* ---- report_maps.c: the heat maps of the kinds' most central mistakes, beside those of random filters ---- */
psal_status psal_report_make_maps(psal_report *report, psal_error *err);
void psal_report_free_maps(psal_report *report);
/* That of a kind; NULL: none was made. */
const psal_report_map *psal_report_map_of(const psal_report *report, int kind);

/* ---- report_costs.c: what correcting each kind takes, and what it breaks ---- */
psal_status psal_report_find_costs(psal_report *report, psal_error *err);
/* Of one kind's costs, the row of the best edit ("salient") or of as many random filters ("random"); NULL: none that
 * was tried helps: corrects a larger share of what was held out than it breaks of the samples that are right. */
const json_t *psal_report_best_row(const json_t *cost, const char *choice);

/* ---- report_checks.c: experiments that could refute the profiles ---- */
psal_status psal_report_check(psal_report *report, psal_error *err);

/* ---- report_kept.c: results of a stage in the report's folder, for --resume ---- */

/* What an earlier run has kept in NAME.json of the folder for the same `key`, an object that says all that the results
 * depend on: a new reference; NULL: nothing, or there is no --resume. */
json_t *psal_report_kept(const psal_report *report, const char *name, const json_t *key);
psal_status psal_report_keep(const psal_report *report, const char *name, const json_t *key, const json_t *results,
                             psal_error *err);
/* A key of what all stages depend on: the command, the settings and the contents of the statistics; and of the images
 * that take part (report_lists.h). */
json_t *psal_report_key(const psal_report *report, const char *command, uint64_t images);
/* The numbers of samples as JSON, for a key. */
json_t *psal_report_numbers(const int64_t *samples, int64_t count);

/* ---- report_findings.c: what came out, in three sentences ---- */
psal_status psal_report_conclude(psal_report *report, psal_error *err);

/* ---- report_page.c: the page from the results ---- */
psal_status psal_report_write_page(psal_report *report, psal_error *err);

#endif
