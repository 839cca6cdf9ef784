/* psal-report: a network's mistakes on one page: their kinds, the filters that each depends on. */
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/json_output.h"
#include "io/run_lock.h"
#include "saliency/kinds.h"
#include "tools/figure_style.h"
#include "tools/outputs.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/report.h"
#include "tools/report_photo.h"
#include "tools/sampling.h"

static const psal_option table[] = {
    {PSAL_OPTION_HEADING, .help = "The network's mistakes"},
    {PSAL_OPTION_PATH, "data", 'd', "SET", NULL,
     "Labelled images that the network was not trained on: a folder of class folders, a list path,label (.csv), "
     "idx:IMAGES,LABELS. With --store only where its pictures are now.",
     .alias = NULL},
    PSAL_SAMPLING_OPTIONS("samples"),
    {PSAL_OPTION_INT, "seed", 0, "N", "1", "Of everything random.", .minimum = 0, .maximum = 9e15},
    PSAL_SKIP_BAD_OPTION,
    {PSAL_OPTION_PATH, "store", 0, "FILE.npy", NULL,
     "Profiles of the data set, which psal-stats --profiles or psal-init made: they are not computed again.",
     .companion = ".csv", .yields_to = "data|image-path"},
    {PSAL_OPTION_PATH, "stats", 's', "FILE", NULL,
     "The statistics that belong to --store, or for --image-path. Looked for beside the checkpoint, where they are "
     "needed, if not given.",
     .yields_to = "data", .files = ".safetensors|.pth"},
    {PSAL_OPTION_HEADING, .help = "Or one photo"},
    {PSAL_OPTION_PATH, "image-path", 'i', "FILE", NULL,
     "The page of this photo: what psal-run finds in it. With --data also what its top filters look for there.",
     .files = PSAL_IMAGE_FILES},
    {PSAL_OPTION_STRING, "image-target-label", 'l', "CLASS", NULL,
     "Its true class: number, name or WordNet id. The predicted one, if not given.", .alias = NULL},
    {PSAL_OPTION_HEADING, .help = "The page"},
    {PSAL_OPTION_PATH, "out", 'o', "FILE.html", "report.html",
     "The page; beside it, of the same name and .json, every number that it shows.", .output = true,
     .endings = ".html|.htm"},
    {PSAL_OPTION_INT, "pictures", 0, "N", "1000", "At most N pictures of mistakes.", .minimum = 0, .maximum = 1e6},
    {PSAL_OPTION_INT, "kinds", 0, "N", NULL, "How many kinds; as many as silhouettes say, if not given.", .minimum = 1,
     .maximum = PSAL_KINDS_LIMIT},
    {PSAL_OPTION_INT, "look", 0, "N", "1000",
     "Show what the guiltiest filters look for in N images of the data set, drawn at random and spread over the "
     "classes; 0: nothing.",
     .minimum = 0, .maximum = 1e9},
    {PSAL_OPTION_INT, "maps", 0, "N", "10",
     "Show the heat map of the most central mistake of the N largest kinds, beside that of random filters.",
     .minimum = 0, .maximum = PSAL_KINDS_LIMIT},
    PSAL_COLORS_OPTION,
    {PSAL_OPTION_INT, "costs", 0, "N", "5",
     "Measure what correcting the mistakes costs for the N largest kinds: edits from a kind's central mistakes, tried "
     "on its others.",
     .minimum = 0, .maximum = PSAL_KINDS_LIMIT},
    {PSAL_OPTION_INT, "right", 0, "N", "50", "There also run N samples that are right, and count how many break.",
     .minimum = 0, .maximum = 1e6},
    {PSAL_OPTION_INT, "checks", 0, "N", "8", "Check N mistakes' profiles and heat maps by experiments; 0: none.",
     .minimum = 0, .maximum = 1e4},
    {PSAL_OPTION_FLAG, "json", .help = "Also print what stands in the .json."},
    {PSAL_OPTION_HEADING, .help = "Long runs"},
    {PSAL_OPTION_PATH, "state", 0, "DIR", NULL,
     "Where the report's statistics, profiles and lists are kept, which its commands name. If not given: beside the "
     "page, its name and _files.",
     .alias = NULL},
    {PSAL_OPTION_FLAG, "resume", .help = "Go on where an interrupted run stopped, with what --state holds."},
    PSAL_SESSION_OPTIONS,
    {0}};

static const psal_program program = {
    .name = "psal-report",
    .version = PSAL_VERSION,
    .summary = "Write one page that says what kinds of mistakes an image classifier makes, which filters each kind "
               "depends on, and what correcting it costs.",
    .options = table,
    .epilogue = "Examples:\n"
                "  psal-report --weights my.pth --data val/\n"
                "  psal-report                                 in the folder of a psal.json\n"
                "  psal-report --weights my.pth --data val/ --kinds 6 --out pages/mistakes.html\n"
                "  psal-report --weights my.pth --image-path photo.jpg --image-target-label bag --data val/\n"};

int64_t psal_report_most_filters(const psal_report *r) {
    return r->compared.store.length > 1 ? r->compared.store.length / 2 : 1;
}

void psal_report_stage(const psal_report *r, const char *what) {
    if (!psal_options_flag(r->options, "quiet")) psal_print(stderr, "%s: %s\n", program.name, what);
}

void psal_report_print_notes(psal_report *r) {
    const bool quiet = psal_options_flag(r->options, "quiet");
    for (; r->notes_printed < r->notes.count; r->notes_printed++)
        if (!quiet || r->notes.warning[r->notes_printed])
            psal_print(stderr, "%s: note: %s\n", program.name, r->notes.lines[r->notes_printed]);
}

psal_status psal_report_pause(psal_error *err) {
    return psal_program_interrupted()
               ? psal_fail(err, PSAL_ERR_CANCELLED, "interrupted; --resume goes on with what was done")
               : PSAL_OK;
}

/* ---- files ---- */

/* "pages/mistakes.html": pages/mistakes.json, pages/mistakes_files. */
static psal_status name_files(psal_report *r, psal_error *err) {
    const char *out = psal_options_string(r->options, "out"), *state = psal_options_string(r->options, "state");
    const char *dot = strrchr(out, '.');
    const int stem = (int)(dot ? dot - out : (long)strlen(out));
    if (strlen(out) > 4000 || (state && strlen(state) > 4000))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s: the path is too long", state ? "state" : "out");
    snprintf(r->page, sizeof r->page, "%s", out);
    snprintf(r->json, sizeof r->json, "%.*s.json", stem, out);
    if (state)
        snprintf(r->folder, sizeof r->folder, "%s", state);
    else
        snprintf(r->folder, sizeof r->folder, "%.*s_files", stem, out);
    static const char *const lists[] = {"right.csv", "checked.csv"}; /* of the kinds: when they are known */
    psal_status status = psal_check_output_file(r->program, r->options, r->json, err);
    for (int i = 0; i < 2 && status == PSAL_OK; i++) {
        char path[4200];
        bool there = false;
        snprintf(path, sizeof path, "%s/%s", r->folder, lists[i]);
        status = psal_file_exists(path, &there, err);
        if (status == PSAL_OK && there) status = psal_check_output_file(r->program, r->options, path, err);
    }
    return status;
}

/* Whether a folder holds anything; false where there is none. */
static bool holds_files(const char *folder) {
    DIR *open = opendir(folder);
    bool any = false;
    for (const struct dirent *entry; open && !any && (entry = readdir(open));)
        any = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (open) closedir(open);
    return any;
}

/* The folder of what the report is made from: new, or one that a report has made, and of one report at a time. */
static psal_status take_folder(psal_report *r, psal_run_lock **lock, psal_error *err) {
    char mark[4200], data[PATH_MAX], above[PATH_MAX], parent[4200];
    bool made = false;
    snprintf(mark, sizeof mark, "%s/psal-report", r->folder);
    snprintf(parent, sizeof parent, "%s/..", r->folder);
    psal_status status = psal_file_exists(mark, &made, err);
    if (status != PSAL_OK) return status;
    if (!made && holds_files(r->folder))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: there are files that are no report's: give another --state",
                         r->folder);
    const bool there = psal_options_has(r->options, "data") && realpath(psal_options_string(r->options, "data"), data);
    if ((status = psal_make_directory(r->folder, err)) != PSAL_OK) return status;
    if (there && realpath(parent, above) && strncmp(above, data, strlen(data)) == 0 &&
        (above[strlen(data)] == '/' || above[strlen(data)] == '\0')) {
        rmdir(r->folder);
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s lies in the folder of --data, whose folders are classes: give another --out or --state",
                         r->folder);
    }
    if (!(*lock = psal_run_lock_take(mark, err))) return psal_error_status(err);
    return psal_atomic_file_write(mark, PSAL_VERSION "\n", strlen(PSAL_VERSION "\n"), err);
}

static psal_status check_options(const psal_options *o, psal_error *err) {
    static const char *const of_data[] = {"limit", "first", NULL};
    const bool store = psal_options_has(o, "store");
    if (!store && psal_options_given(o, "stats"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--stats does nothing without --store: the statistics are made anew");
    if (!store && !psal_options_has(o, "data"))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "which mistakes? Give --data, or --store, or a project's psal.json (psal-init)");
    if (psal_options_given(o, "colors") && psal_options_int(o, "maps") == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--colors does nothing with --maps 0: it is of heat maps");
    const char *idle = store ? psal_options_given_of(o, of_data, true) : NULL;
    if (idle)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s does nothing with --store: its samples are all taken", idle);
    return PSAL_OK;
}

/* ---- the end ---- */

static void add_notes(psal_report *r) {
    json_t *list = json_array();
    for (size_t i = 0; i < r->notes.count; i++) json_array_append_new(list, psal_json_string(r->notes.lines[i]));
    json_object_set_new(r->root, "notes", list);
    json_object_set_new(r->root, "skipped", psal_skipped_json(&r->compared.skipped));
    json_object_set_new(r->root, "settings", psal_computation_json(&r->compared.computation));
}

static void print_end(const psal_report *r) {
    const json_t *findings = json_object_get(r->root, "findings");
    for (size_t i = 0; i < json_array_size(findings); i++)
        psal_print(stdout, "%s\n", json_string_value(json_array_get(findings, i)));
    psal_print(stdout, "written   %s and %s\n", r->page, r->json);
}

static int finish(psal_report *r, psal_error *err) {
    psal_status status = psal_report_conclude(r, err);
    if (status == PSAL_OK) add_notes(r);
    if (status == PSAL_OK) status = psal_json_check(r->root, err);
    if (status == PSAL_OK) status = psal_report_write_page(r, err);
    /* Pictures that could not be read are known now. */
    json_object_set_new(r->root, "skipped", psal_skipped_json(&r->compared.skipped));
    if (status == PSAL_OK) status = psal_json_save(r->root, r->json, err);
    if (status == PSAL_OK && psal_options_flag(r->options, "json"))
        status = psal_json_write(r->root, stdout, err);
    else if (status == PSAL_OK)
        print_end(r);
    return (int)status;
}

static int make_report(const psal_options *options, psal_error *err) {
    psal_report r = {.options = options, .program = &program, .root = psal_json_document("psal-report/1")};
    json_object_set_new(r.root, "version", psal_json_string(PSAL_VERSION));
    json_object_set_new(r.root, "commands", json_array());
    int skipped = 0;
    psal_run_lock *lock = NULL;
    psal_status status = check_options(options, err);
    if (status == PSAL_OK) status = name_files(&r, err);
    if (status == PSAL_OK) status = take_folder(&r, &lock, err);
    if (status == PSAL_OK) {
        skipped = psal_report_make_store(&r, err);
        status = skipped == PSAL_EXIT_SKIPPED && err->status == PSAL_OK ? PSAL_OK : (psal_status)skipped;
        psal_report_print_notes(&r);
    }
    if (status == PSAL_OK) status = psal_report_pause(err);
    if (status == PSAL_OK) status = psal_report_find_kinds(&r, err);
    psal_report_print_notes(&r);
    if (status == PSAL_OK) status = psal_report_pause(err);
    if (status == PSAL_OK) status = psal_report_find_copies(&r, err);
    if (status == PSAL_OK) status = psal_report_look(&r, err);
    if (status == PSAL_OK) status = psal_report_make_maps(&r, err);
    if (status == PSAL_OK) status = psal_report_find_costs(&r, err);
    if (status == PSAL_OK) status = psal_report_check(&r, err);
    int result = status == PSAL_OK ? finish(&r, err) : (int)status;
    /* psal_stats_make has named those that it left out. */
    const bool named = skipped == PSAL_EXIT_SKIPPED && (int64_t)r.compared.skipped.count <= r.counts.skipped;
    if (result == 0 && !named)
        result = psal_skipped_finish(&r.compared.skipped, program.name, (size_t)r.counts.samples, PSAL_OK, err);
    if (result == 0 && (skipped == PSAL_EXIT_SKIPPED || r.counts.skipped > 0)) result = PSAL_EXIT_SKIPPED;
    json_decref(r.root);
    psal_report_free_maps(&r);
    psal_filter_crops_free(&r.crops);
    psal_dataset_free(r.looked_at);
    psal_sample_pictures_close(&r.pictures);
    psal_store_kinds_free(&r.found);
    psal_compared_store_close(&r.compared);
    psal_report_command_free(&r.kinds_command);
    psal_notes_free(&r.notes);
    psal_run_lock_release(lock);
    return result;
}

static int work(const psal_options *options, psal_error *err) {
    const psal_status status = psal_report_photo_check(options, err);
    if (status != PSAL_OK) return (int)status;
    return psal_options_has(options, "image-path") ? psal_report_photo(options, err) : make_report(options, err);
}

int main(int argc, char **argv) {
    return psal_program_main(&program, argc, argv, work);
}
