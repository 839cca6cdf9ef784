#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/json_output.h"
#include "io/progress.h"
#include "tools/op_times.h"
#include "tools/photo.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/run.h"
#include "tools/run_look.h"
#include "tools/run_program.h"
#include "tools/run_summary.h"
#include "tools/figure_style.h"

/* ---- where results go ---- */

/* DIR, or for many images DIR/NNNNN_name, and of a path below the data set DIR/NNNNN_class_name: the number keeps names
 * of different folders apart. */
static void sample_folder(const psal_run *r, const char *base, size_t i, char out[4096]) {
    if (!r->many) {
        snprintf(out, 4096, "%s", base);
        return;
    }
    const char *name = psal_dataset_name(r->samples, i), *slash = strrchr(name, '/');
    const char *file = slash ? slash + 1 : name, *class = file;
    if (slash && *name != '/')
        for (class = slash; class > name && class[-1] != '/';) class --;
    const char *dot = strrchr(file, '.') == file ? NULL : strrchr(file, '.');
    name = class;
    int length = dot ? (int)(dot - name) : (int)strlen(name);
    int used = snprintf(out, 4096, "%s/%05zu_", base, i);
    for (int j = 0; j < length && j < 80 && used >= 0 && used < 4090; j++) {
        char c = name[j];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._-", c);
        out[used++] = plain ? c : '_';
    }
    out[used < 4096 ? used : 4095] = '\0';
}

/* Two runs into one folder would mix their results, or write one summary: of one image, or of a list. */
static psal_status lock_folder(const char *folder, const char *file, psal_run_lock **lock, psal_error *err) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    psal_status status = psal_make_directory(folder, err);
    if (status != PSAL_OK) return status;
    *lock = psal_run_lock_take(path, err);
    return *lock ? PSAL_OK : psal_error_status(err);
}

/* ---- the work ---- */

static const char *sample_name(const psal_run *r, size_t i) {
    const char *path = psal_dataset_path(r->samples, i);
    return path ? path : psal_dataset_name(r->samples, i);
}

/* Removes the lock of a run that was killed behind its last file; a living one's is refused. */
static psal_status take_over(const char *folder, psal_error *err) {
    psal_run_lock *lock = NULL;
    psal_status status = lock_folder(folder, "result.json", &lock, err);
    psal_run_lock_release(lock);
    return status;
}

/* The notes so far, which the page has too. */
static void say_notes(psal_run *r) {
    for (size_t i = 0; i < r->session.notes.count; i++) psal_note(&r->notes, "%s", r->session.notes.lines[i]);
    psal_session_print_notes(&r->session, psal_run_program.name);
}

/* What an earlier run has left, before anything is written: null where an image has to be explained. */
static psal_status find_finished(psal_run *r, psal_error *err) {
    psal_status status = PSAL_OK;
    psal_fields unsaid = 0;
    size_t unsaid_images = 0;
    char names[512];
    r->finished = json_array();
    for (size_t i = r->first; i < r->end && status == PSAL_OK; i++) {
        char folder[4096], path[4200];
        json_t *done;
        sample_folder(r, psal_options_string(r->options, "out"), i, folder);
        snprintf(path, sizeof path, "%s/result.json", folder);
        status = psal_explain_finished(&r->explainer, path, sample_name(r, i), psal_dataset_label(r->samples, i), &done,
                                       &unsaid, err);
        if (status == PSAL_OK && done) status = psal_explain_same_image(done, path, r->samples, i, &unsaid_images, err);
        if (status == PSAL_OK && done) status = take_over(folder, err);
        if (status != PSAL_OK)
            json_decref(done);
        else if (json_array_append_new(r->finished, done ? done : json_null()) != 0)
            status = psal_json_check(NULL, err);
    }
    if (status == PSAL_OK && unsaid)
        psal_note(&r->session.notes, "results of an earlier version do not say their %s: taken to be as here",
                  psal_fields_names(unsaid, names));
    if (status == PSAL_OK && unsaid_images)
        psal_note(
            &r->session.notes,
            "%zu results of an earlier version do not say what was in their images' files: taken to be what is there",
            unsaid_images);
    say_notes(r);
    return status;
}

/* The arrays and files of one sample; of many, each folder is locked meanwhile, that of one image from the
 * beginning. The results come last: of a sample that has them, nothing else is left locked. */
static psal_status write_sample(psal_run *r, size_t i, psal_explanation *e, json_t *files, psal_error *err) {
    char folder[4096];
    psal_run_lock *lock = NULL;
    psal_status status = PSAL_OK;
    if (psal_options_has(r->options, "dump")) {
        sample_folder(r, psal_options_string(r->options, "dump"), i, folder);
        status = lock_folder(folder, "input.npy", &lock, err);
        if (status == PSAL_OK) status = psal_explanation_dump(&r->explainer, e, folder, err);
        psal_run_lock_release(lock);
        lock = NULL;
    }
    sample_folder(r, psal_options_string(r->options, "out"), i, folder);
    if (status == PSAL_OK && r->many) status = lock_folder(folder, "result.json", &lock, err);
    if (status == PSAL_OK) status = psal_explanation_write(&r->explainer, e, folder, files, err);
    psal_run_lock_release(lock);
    r->removed += e->removed;
    return status;
}

/* Adds a sample's result to the others, unless --mistakes leaves it out. */
static psal_status keep_result(psal_run *r, json_t *result, psal_error *err) {
    psal_status status = psal_json_check(result, err);
    if (status != PSAL_OK) return status;
    json_t *target = json_object_get(result, "target"), *predicted = json_object_get(result, "predicted");
    if (json_is_true(json_object_get(result, "labelled")))
        psal_tally_add(&r->tally, (int)json_integer_value(json_object_get(target, "class")),
                       (int)json_integer_value(json_object_get(predicted, "class")));
    bool right = json_is_true(json_object_get(result, "correct")) && psal_options_flag(r->options, "mistakes");
    r->right += right;
    return right || json_array_append(r->results, result) == 0 ? PSAL_OK : psal_json_check(NULL, err);
}

/* The page of the one photo, before its results, which come last. */
static psal_status write_page(psal_run *r, size_t i, const psal_explanation *e, psal_error *err) {
    const bool boxed = psal_options_count(r->options, "image-path") + psal_options_has(r->options, "reference-id") == 0;
    psal_photo photo = {.options = r->options,
                        .explainer = &r->explainer,
                        .e = e,
                        .named = !boxed,
                        .file = psal_dataset_path(r->samples, i),
                        .notes = &r->notes};
    psal_status status = psal_photo_write(&photo, err);
    r->page = photo.root;
    return status;
}

/* *bad: the image itself is what went wrong. */
static psal_status explain_sample(psal_run *r, size_t i, bool *bad, psal_error *err) {
    const char *name = sample_name(r, i);
    json_t *done = json_array_get(r->finished, i - r->first);
    if (json_is_object(done)) return keep_result(r, done, err);
    psal_image image = PSAL_IMAGE_INIT;
    psal_explanation e = {0};
    psal_filter_crops crops = {0};
    json_t *files = json_array();
    double start = psal_seconds();
    uint64_t fingerprint = 0; /* first: should the file be replaced meanwhile, it is not that of the image explained */
    psal_status status = psal_dataset_image_fingerprint(r->samples, i, &fingerprint, err);
    if (status == PSAL_OK) status = psal_dataset_load(r->samples, i, &image, err);
    double decoding = psal_seconds() - start;
    if (status == PSAL_OK)
        status = psal_explain(&r->explainer, name, &image, psal_dataset_label(r->samples, i), &e, err);
    *bad = status != PSAL_OK;
    e.seconds_image += decoding;
    e.fingerprint = fingerprint;
    if (status == PSAL_OK && r->look_data)
        status = psal_run_look(r->options, &r->session, r->look_data, &e, &crops, err);
    if (status == PSAL_OK && psal_options_has(r->options, "report")) status = write_page(r, i, &e, err);
    if (status == PSAL_OK && !e.left_out && !r->page_alone) status = write_sample(r, i, &e, files, err);
    if (status == PSAL_OK) {
        json_t *result = psal_explanation_json(&r->explainer, &e, files);
        status = keep_result(r, result, err);
        json_decref(result);
    }
    if (status == PSAL_OK && !r->json && !r->many && !r->page_alone) psal_explanation_print(&r->explainer, &e);
    json_decref(files);
    psal_explanation_free(&e);
    psal_image_free(&image);
    if (r->look_data) {
        r->skipped = crops.skipped; /* what is skipped there is skipped by the run */
        crops.skipped = (psal_skipped){0};
    }
    psal_filter_crops_free(&crops);
    return status;
}

/* A sample that went wrong: with --skip-bad it is left out, where it is its own fault, and the list goes on. */
static psal_status skip_sample(psal_run *r, size_t i, psal_progress *progress, psal_error *err) {
    const char *name = sample_name(r, i);
    bool skip = r->skip_bad && r->many && psal_skippable(err);
    psal_status status = psal_skipped_error(err, name, r->many && !r->skip_bad);
    if (!skip) return status;
    psal_error why = *err;
    psal_progress_note(progress, "%s: skipped %s", psal_run_program.name, why.message);
    return psal_skipped_add(&r->skipped, name, &why, err);
}

/* Quiet or not: labels that are not the network's make other profiles. */
static void note_doubt(const psal_run *r) {
    char text[300];
    if (psal_tally_doubt(&r->tally, text)) psal_print(stderr, "%s: note: %s\n", psal_run_program.name, text);
}

/* What is counted: noisy copies of every image, or images where there is one of each. */
static psal_progress *start_progress(const psal_run *r) {
    const int64_t copies = r->explainer.options.noise_iters;
    int64_t finished = 0;
    size_t i;
    json_t *result;
    json_array_foreach(r->finished, i, result) finished += json_is_object(result);
    const psal_progress_options meter = {.out = stderr,
                                         .mode = r->quiet || (!r->many && copies == 1) ? PSAL_PROGRESS_QUIET
                                                                                       : PSAL_PROGRESS_AUTO,
                                         .label = copies > 1 ? "noisy copies" : "images",
                                         .total = (int64_t)(r->end - r->first) * copies,
                                         .done_before = finished * copies,
                                         .program = psal_run_program.name,
                                         .patient = !r->many};
    return psal_progress_start(&meter, NULL);
}

static psal_status explain_all(psal_run *r, psal_error *err) {
    const int copies = r->explainer.options.noise_iters;
    psal_progress *progress = start_progress(r);
    r->explainer.progress = copies > 1 ? progress : NULL;
    psal_status status = PSAL_OK;
    for (size_t i = r->first; i < r->end && status == PSAL_OK; i++) {
        const bool finished = json_is_object(json_array_get(r->finished, i - r->first));
        const int64_t before = r->explainer.copies;
        bool bad = false;
        status = explain_sample(r, i, &bad, err);
        if (bad) status = skip_sample(r, i, progress, err);
        if (status != PSAL_OK || finished) continue;
        /* Of an image that is left out no copies were made. */
        psal_progress_add(progress, copies > 1 ? copies - (r->explainer.copies - before) : 1);
    }
    psal_progress_finish(progress);
    r->explainer.progress = NULL;
    if (status == PSAL_OK && json_array_size(r->results) + r->right == 0)
        status = psal_fail(err, PSAL_ERR_FORMAT, "all %zu images are bad: nothing was explained", r->skipped.count);
    /* What is finished is summarized even when a later image failed: no work is lost. */
    if (r->many && json_array_size(r->results) + r->right > 0) {
        psal_error summary = PSAL_ERROR_INIT;
        if (psal_run_summary_write(psal_options_string(r->options, "out"), r->results, &r->skipped, r->explainer.record,
                                   &summary) != PSAL_OK &&
            status == PSAL_OK) {
            *err = summary;
            status = summary.status;
        }
        note_doubt(r);
    }
    return status;
}

/* What came out, in sentences, in place of the table. */
static psal_status print_page(const psal_run *r, psal_error *err) {
    const json_t *findings = json_object_get(r->page, "findings");
    char path[4200];
    if (r->json) return psal_json_write(r->page, stdout, err);
    for (size_t i = 0; i < json_array_size(findings); i++)
        psal_print(stdout, "%s\n", json_string_value(json_array_get(findings, i)));
    psal_status status = psal_photo_json_path(r->options, psal_options_string(r->options, "report"), path, err);
    if (status == PSAL_OK) psal_print(stdout, "written   %s and %s\n", psal_options_string(r->options, "report"), path);
    return status;
}

static psal_status print_results(const psal_run *r, double loading, double total, psal_error *err) {
    if (r->page_alone) return print_page(r, err);
    if (r->json) {
        if (!r->many) return psal_json_write(json_array_get(r->results, 0), stdout, err); /* what is in result.json */
        json_t *list = psal_json_document("psal-run-list/1");
        json_object_set(list, "images", r->results);
        json_object_set_new(list, "left_out", json_integer((json_int_t)r->right));
        json_object_set_new(list, "skipped", psal_skipped_json(&r->skipped));
        json_object_set_new(list, "seconds_loading", psal_json_double(loading));
        json_object_set_new(list, "seconds_total", psal_json_double(total));
        psal_status status = psal_json_write(list, stdout, err);
        json_decref(list);
        return status;
    }
    if (r->many && !r->quiet) {
        psal_print(stdout, "%zu image%s explained into %s", json_array_size(r->results),
                   psal_plural((long long)json_array_size(r->results)), psal_options_string(r->options, "out"));
        if (r->right) psal_print(stdout, ", %zu that %s right left out", r->right, r->right == 1 ? "is" : "are");
        if (r->skipped.count) printf(", %zu skipped", r->skipped.count);
        printf(": see summary.csv there\n");
    } else if (!r->quiet) {
        json_t *seconds = json_object_get(json_array_get(r->results, 0), "seconds");
        json_t *files = json_object_get(json_array_get(r->results, 0), "files"), *file;
        size_t i;
        json_array_foreach(files, i, file)
            psal_print(stdout, "%s%s\n", i == 0 ? "written   " : "          ", json_string_value(file));
        if (r->page) psal_print(stdout, "          %s\n", psal_options_string(r->options, "report"));
        printf("seconds   loading %.3f", loading);
        const char *key;
        json_t *value;
        json_object_foreach(seconds, key, value) psal_print(stdout, ", %s %.3f", key, json_number_value(value));
        printf(", total %.3f\n", total);
    }
    return PSAL_OK;
}

/* What was lost is said. */
static void print_removed(const psal_run *r) {
    if (r->removed == 0 || r->quiet) return;
    psal_print(
        stderr,
        "%s: note: %d file%s of an earlier run in %s, of another image or with other settings, %s removed: this run "
        "does not make %s\n",
        psal_run_program.name, r->removed, psal_plural(r->removed), psal_options_string(r->options, "out"),
        r->removed == 1 ? "was" : "were", r->removed == 1 ? "it" : "them");
}

/* Of many images: which have no map, in one line. */
static void print_maps(const psal_run *r) {
    size_t i, count = 0;
    json_t *row, *first = NULL;
    json_array_foreach(r->results, i, row) {
        if (json_is_null(json_object_get(row, "no_map"))) continue;
        if (count++ == 0) first = row;
    }
    if (count == 0 || r->quiet || !r->many) return;
    psal_print(stderr,
               "%s: note: %zu of %zu images %s no heat map; the first is %s: %s (\"no_map\" in each result.json)\n",
               psal_run_program.name, count, json_array_size(r->results), count == 1 ? "has" : "have",
               json_string_value(json_object_get(first, "image")), json_string_value(json_object_get(first, "no_map")));
}

/* What stands beside the page may not be the file of results. */
static psal_status check_page_name(const psal_options *o, psal_error *err) {
    const char *page = psal_options_string(o, "report"), *slash = strrchr(page, '/'), *dot = strrchr(page, '.');
    const char *name = slash ? slash + 1 : page;
    char folder[4200] = ".";
    struct stat here, there;
    if (slash) snprintf(folder, sizeof folder, "%.*s", slash == page ? 1 : (int)(slash - page), page);
    if (dot - name != 6 || strncmp(name, "result", 6) != 0 || stat(folder, &here) != 0 ||
        stat(psal_options_string(o, "out"), &there) != 0 || here.st_dev != there.st_dev || here.st_ino != there.st_ino)
        return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "--report %s: beside it would stand result.json, which --out %s has of its own: give another name",
                     page, psal_options_string(o, "out"));
}

static psal_status run_program(psal_run *r, psal_error *err) {
    double start = psal_seconds();
    const psal_options *o = r->options;
    r->json = psal_options_flag(o, "json");
    r->quiet = psal_options_flag(o, "quiet");
    r->skip_bad = psal_options_flag(o, "skip-bad");
    psal_explain_options options;
    psal_status status = psal_explain_options_read(o, &options, err);
    if (status == PSAL_OK) status = psal_figure_style_check(o, options.figures, "with --figures none", err);
    if (status == PSAL_OK) status = psal_run_check_samples(r, err);
    if (status == PSAL_OK) status = psal_run_look_check(o, &options, err);
    if (status == PSAL_OK) status = psal_photo_check(o, &options, err);
    if (status == PSAL_OK) status = psal_session_open(&r->session, o, err);
    if (status == PSAL_OK) status = psal_run_open_samples(r, err);
    options.stands_in = r->stands_in;
    options.against = r->against;
    if (status == PSAL_OK) options.saliency.few_runs = psal_dataset_count(r->samples) < PSAL_MANY_SAMPLES;
    if (status == PSAL_OK && !r->page_alone)
        status = lock_folder(psal_options_string(o, "out"), r->many ? "summary.csv" : "result.json", &r->lock, err);
    if (status == PSAL_OK && !r->page_alone && !r->many) status = psal_explanation_check_files(o, err);
    if (status == PSAL_OK && psal_options_has(o, "report") && !r->page_alone) status = check_page_name(o, err);
    if (status == PSAL_OK) status = psal_explainer_open(&r->explainer, &r->session, o, &options, err);
    if (status != PSAL_OK) return status;
    if (r->explainer.statistics)
        psal_note_own_samples(&r->session.notes, r->explainer.statistics_path, r->explainer.statistics, r->samples);
    say_notes(r);
    if (psal_options_flag(o, "profile-ops")) psal_workspace_profile(psal_saliency_workspace(r->explainer.worker), true);
    double loading = psal_seconds() - start;
    r->results = json_array();
    if (r->many && psal_options_flag(o, "resume")) status = find_finished(r, err);
    if (status == PSAL_OK) status = explain_all(r, err);
    print_maps(r);
    print_removed(r);
    if (status == PSAL_OK) status = print_results(r, loading, psal_seconds() - start, err);
    if (status == PSAL_OK && psal_options_flag(o, "profile-ops"))
        psal_print_op_times(stderr, psal_saliency_workspace(r->explainer.worker));
    return status;
}

int psal_run_work(const psal_options *options, bool page_alone, psal_error *err) {
    psal_run r = {.options = options, .page_alone = page_alone};
    psal_status done = run_program(&r, err);
    const size_t listed = r.look_data ? psal_dataset_count(r.look_data) : r.end - r.first;
    int status = psal_skipped_finish(&r.skipped, psal_run_program.name, listed, done, err);
    psal_skipped_free(&r.skipped);
    json_decref(r.results);
    json_decref(r.page);
    psal_notes_free(&r.notes);
    json_decref(r.finished);
    psal_dataset_free(r.samples);
    psal_dataset_free(r.look_data);
    psal_run_lock_release(r.lock);
    psal_explainer_close(&r.explainer);
    psal_session_close(&r.session);
    return status;
}
