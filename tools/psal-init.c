/* psal-init: the project file psal.json of a network and its data set, so that the other programs need not be told
 * (project.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/atomic_file.h"
#include "io/json_input.h"
#include "io/json_output.h"
#include "io/mapped_file.h"
#include "tools/class_output.h"
#include "tools/computation_io.h"
#include "tools/init_classes.h"
#include "tools/init_preprocess.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/project.h"
#include "tools/skipped.h"
#include "tools/stats_run.h"

static const psal_option OPTIONS[] = {
    {PSAL_OPTION_HEADING, .help = "The data set"},
    {PSAL_OPTION_PATH, "data", 'd', "SPEC", NULL,
     "Labelled images that the network was not trained on: a folder of class folders, a table path,label (CSV), or "
     "idx:IMAGES,LABELS.",
     .required = true},
    PSAL_SAMPLING_OPTIONS("samples for the statistics"),
    PSAL_SKIP_BAD_OPTION,
    {PSAL_OPTION_INT, "seed", 0, "N", "1", "Of --limit and --tries.", .minimum = 0, .maximum = 9e15},
    {PSAL_OPTION_INT, "tries", 0, "N", "300",
     "Samples to try preprocessings on, drawn at random (--seed) and spread over the classes as all are.", .minimum = 1,
     .maximum = 1e6},
    {PSAL_OPTION_HEADING, .help = "Results"},
    {PSAL_OPTION_PATH, "out", 'o', "FILE", PSAL_PROJECT_NAME,
     "The project file. Beside it, named after it, the statistics and the store of all profiles.", .output = true},
    {PSAL_OPTION_FLAG, "no-store", .help = "Keep no store of profiles, which takes 4 bytes a filter and sample."},
    {PSAL_OPTION_FLAG, "replace", .help = "Make the files anew where they are there already."},
    {PSAL_OPTION_FLAG, "resume", .help = "Go on where an interrupted run stopped."},
    {PSAL_OPTION_FLAG, "json", 'j', .help = "Print the results as JSON on standard output instead of text."},
    PSAL_SESSION_OPTIONS,
    {0}};

static const psal_program PROGRAM = {
    .name = "psal-init",
    .version = PSAL_VERSION,
    .summary = "Find out what there is to know of a network and its data set (class names, preprocessing, statistics, "
               "profiles), and write it to a project file, from which the other programs take what their command line "
               "does not say.",
    .options = OPTIONS,
    .makes_project = true,
    .epilogue = "Examples:\n"
                "  psal-init --weights my.pth --data val\n"
                "  psal-init --weights my.pth --data val --labels names.txt --preprocess \"torchvision;crop=192\"\n"
                "  psal-run --image-path val/cat/7.jpg --image-target-label cat\n"};

typedef struct init {
    const psal_options *options;
    psal_session session;
    psal_stats_request request;
    psal_stats_counts counts;
    psal_preprocess_trials trials;
    const char *path, *preprocess_from, *labels_from; /* "given", "recorded", ... */
    char stats[4096], store[4096], index[4096];
    json_t *notes; /* what reading the weights made to remark */
    char *next[3]; /* commands; NULL after the last one */
    bool json;
} init;

/* ---- before the work ---- */

/* psal.json: psal_stats.safetensors, psal_store.npy */
static psal_status choose_paths(init *r, psal_error *err) {
    r->path = psal_options_string(r->options, "out");
    const char *ending = strrchr(r->path, '.');
    if (!ending || strcmp(ending, ".json") != 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--out %s: a project file's name ends in .json", r->path);
    const int length = (int)(ending - r->path);
    if (snprintf(r->stats, sizeof r->stats, "%.*s_stats.safetensors", length, r->path) >= (int)sizeof r->stats - 8)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--out: the path is too long");
    snprintf(r->store, sizeof r->store, "%.*s_store.npy", length, r->path);
    snprintf(r->index, sizeof r->index, "%.*s_store.npy.csv", length, r->path);
    const bool fresh = !psal_options_flag(r->options, "replace") && !psal_options_flag(r->options, "resume");
    const char *const files[] = {r->path, r->stats, r->store};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        bool there;
        psal_status status = psal_file_exists(files[i], &there, err);
        if (status != PSAL_OK) return status;
        if (there && fresh)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s is there already: --replace makes it anew", files[i]);
    }
    return psal_atomic_file_check(r->path, err);
}

static psal_status check(init *r, psal_error *err) {
    const psal_options *o = r->options;
    if (psal_options_has(o, "delta"))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--delta: a project is of the weights without it; give it to the other programs");
    if (!psal_options_has(o, "weights") && !psal_options_has(o, "model"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "option --weights is needed: the network's checkpoint");
    if (psal_options_flag(o, "replace") && psal_options_flag(o, "resume"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --replace and --resume");
    psal_preprocess preprocess;
    const char *given = psal_options_string(o, "preprocess");
    if (given && psal_preprocess_parse(given, &preprocess, err) != PSAL_OK)
        return psal_fail_prefix(err, "--preprocess");
    psal_status status = choose_paths(r, err);
    r->request = (psal_stats_request){.program = PROGRAM.name,
                                      .data = psal_options_string(o, "data"),
                                      .out = r->stats,
                                      .profiles = psal_options_flag(o, "no-store") ? NULL : r->store,
                                      .shard = {0, 1},
                                      .loss = PSAL_LOSS_CROSS_ENTROPY,
                                      .skip_bad = psal_options_flag(o, "skip-bad"),
                                      .resume = psal_options_flag(o, "resume"),
                                      .silent = r->json,
                                      .save_every = 60,
                                      .profile_type = PSAL_F32};
    if (status == PSAL_OK) status = psal_sampling_parse(&r->request.sampling, o, err);
    return status == PSAL_OK ? psal_stats_check(&r->request, err) : status;
}

/* ---- what there is to know ---- */

enum { MOST_ROWS = 12 };

static void print_trials(const init *r) {
    const psal_preprocess_trials *t = &r->trials;
    if (r->json || r->session.quiet || t->count == 0) return;
    if (t->stretched)
        printf("Not all images are square: cutting out the middle is tried, and stretching, Resize((h, w)).\n");
    printf("  right of %-5zu  preprocessing\n", t->samples);
    const int shown = t->count > MOST_ROWS ? MOST_ROWS : t->count;
    for (int i = 0; i < shown; i++)
        psal_print(stdout, "  %5.1f %%  %5zu  %s\n", 100.0 * (double)t->at[i].correct / (double)t->samples,
                   t->at[i].correct, t->at[i].text);
    if (shown < t->count)
        printf("  and %d others, with none of which more are right than %zu\n", t->count - shown, t->at[shown].correct);
}

static psal_status choose_preprocess(init *r, psal_error *err) {
    const char *given = psal_options_string(r->options, "preprocess");
    const bool recorded = *r->session.info->preprocess &&
                          !psal_was_assumed(r->session.checkpoint, PSAL_FIELD_PREPROCESS_ASSUMED);
    const psal_sampling sampling = {.wanted = (size_t)psal_options_int(r->options, "tries"),
                                    .drawn = true,
                                    .seed = (uint64_t)psal_options_int(r->options, "seed")};
    psal_dataset *samples = psal_open_list(r->request.data, r->session.labels, r->request.skip_bad, NULL, err);
    if (!samples) return psal_error_status(err);
    psal_status status = psal_dataset_all_labelled(samples)
                             ? psal_sampling_keep(&sampling, samples, err)
                             : psal_fail(err, PSAL_ERR_ARGUMENT, "--data %s: every sample needs a label",
                                         r->request.data);
    for (size_t i = 0; i < psal_dataset_count(samples) && status == PSAL_OK; i++)
        if (psal_dataset_label(samples, i) >= r->session.info->num_classes)
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "%s has label %d, but the network has classes 0 to %d",
                               psal_dataset_name(samples, i), psal_dataset_label(samples, i),
                               r->session.info->num_classes - 1);
    r->preprocess_from = given ? "given" : recorded ? "recorded" : "tried";
    const bool skip_bad = r->request.skip_bad;
    if (status == PSAL_OK)
        status = given || recorded ? psal_preprocess_try(&r->session, given, samples, skip_bad, &r->trials, err)
                                   : psal_preprocess_try_common(&r->session, samples, skip_bad, &r->trials, err);
    psal_dataset_free(samples);
    if (status == PSAL_OK) print_trials(r);
    if (status == PSAL_OK) status = psal_preprocess_judge(&r->trials, err);
    if (status != PSAL_OK) return status;
    if (!given && !recorded)
        psal_note_warning(
            &r->session.notes,
            "%s was found by trying: if the network was right more often in training, it was trained with "
            "another preprocessing; say it with --preprocess",
            r->trials.at[0].text);
    return psal_session_set_preprocess(&r->session, r->trials.at[0].text, err);
}

/* The last layer with an output for each class. */
static const char *head_of(const psal_session *session) {
    for (int i = psal_model_parameter_count(session->model) - 1; i >= 0; i--) {
        const psal_model_parameter *p = psal_model_get_parameter(session->model, i);
        if (p->output_axis >= 0 && p->in_graph && psal_parameter_outputs(p).count == session->info->num_classes)
            return p->name;
    }
    return NULL;
}

/* ---- the file ---- */

/* A path as the project's folder sees it, where it is told from here. */
static char *seen_from_project(const init *r, const char *path, psal_error *err) {
    char here[4096], folder[4096];
    const char *slash = strrchr(r->path, '/');
    if (!slash || *path == '/') return strdup(path);
    snprintf(folder, sizeof folder, "%.*s", slash == r->path ? 1 : (int)(slash - r->path), r->path);
    if (!realpath(folder, here)) {
        psal_fail(err, PSAL_ERR_IO, "%s: cannot be looked at", folder);
        return NULL;
    }
    char found[4096], *text = NULL;
    const size_t length = strlen(here);
    if (!realpath(path, found)) return strdup(path);
    if (strncmp(found, here, length) == 0 && found[length] == '/') return strdup(found + length + 1);
    if (asprintf(&text, "%s", found) < 0) return NULL;
    return text;
}

static psal_status set_text(json_t *object, const char *key, const char *text, psal_error *err) {
    json_object_set_new(object, key, json_string(text));
    if (json_object_get(object, key)) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: a project file holds names in UTF-8 only", text);
}

static psal_status set_path(const init *r, json_t *object, const char *key, const char *path, psal_error *err) {
    char *text = seen_from_project(r, path, err);
    if (!text)
        return err->status != PSAL_OK ? psal_error_status(err) : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_status status = set_text(object, key, text, err);
    free(text);
    return status;
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "idx:A,B" and the like stay as they are: with --out elsewhere they must be absolute. */
static psal_status set_data(const init *r, json_t *object, psal_error *err) {
    struct stat info;
    const char *data = r->request.data;
    if (stat(data, &info) == 0) return set_path(r, object, "data", data, err);
    if (strchr(r->path, '/') && !strstr(data, ":/"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--data %s: with --out in another folder its paths must be absolute",
                         data);
    return set_text(object, "data", data, err);
}

/* What the command line says of the network beside the file. */
static void set_network(const init *r, json_t *object) {
    static const char *const texts[] = {"weights-key", "model", "variant"};
    const psal_options *o = r->options;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (psal_options_given(o, texts[i]) && (psal_options_has(o, "weights") || strcmp(texts[i], "model") != 0))
            json_object_set_new(object, texts[i], psal_json_string(psal_options_string(o, texts[i])));
    if (psal_options_given(o, "bn-epsilon"))
        json_object_set_new(object, "bn-epsilon", psal_json_double(psal_options_double(o, "bn-epsilon")));
    if (psal_options_flag(o, "transform-input")) json_object_set_new(object, "transform-input", json_true());
    json_t *extra = psal_options_given(o, "ignore-extra") ? json_array() : NULL;
    for (size_t i = 0; extra && i < psal_options_count(o, "ignore-extra"); i++)
        json_array_append_new(extra, psal_json_string(psal_options_string_at(o, "ignore-extra", i)));
    if (extra) json_object_set_new(object, "ignore-extra", extra);
}

static json_t *project_of(const init *r, psal_error *err) {
    const psal_session *session = &r->session;
    json_t *object = json_object();
    json_object_set_new(object, "format", json_integer(PSAL_PROJECT_FORMAT));
    psal_status status = set_path(r, object, "weights", session->weights, err);
    json_object_set_new(object, "fingerprint", psal_json_string(session->computation.value[PSAL_FIELD_WEIGHTS]));
    set_network(r, object);
    json_t *labels = psal_init_labels_json(session->labels, err);
    if (!labels) status = psal_error_status(err);
    json_object_set_new(object, "labels", labels);
    json_object_set_new(object, "preprocess", psal_json_string(r->trials.at[0].text));
    if (status == PSAL_OK) status = set_data(r, object, err);
    if (status == PSAL_OK) status = set_text(object, "stats", file_name(r->stats), err); /* beside the project */
    if (status == PSAL_OK && r->request.profiles) status = set_text(object, "store", file_name(r->store), err);
    if (json_array_size(r->notes) > 0) json_object_set(object, "notes", r->notes);
    if (status == PSAL_OK) return object;
    json_decref(object);
    return NULL;
}

/* The notes about the weights, without their path, but for those that each program has to say. */
static json_t *remarks_of(const psal_session *session) {
    json_t *list = json_array();
    const size_t length = strlen(session->weights);
    for (size_t i = 0; i < session->notes.count; i++) {
        const char *line = session->notes.lines[i];
        if (!session->notes.warning[i] && strncmp(line, session->weights, length) == 0 &&
            strncmp(line + length, ": ", 2) == 0)
            json_array_append_new(list, psal_json_string(line + length + 2));
    }
    return list;
}

/* ---- the results ---- */

static json_t *mistake_json(const init *r) {
    const psal_stats_mistake *mistake = &r->counts.mistake;
    if (!mistake->name) return json_null();
    json_t *object = json_object();
    json_object_set_new(object, "sample", psal_json_string(mistake->name));
    json_object_set_new(object, "label", psal_class_json(r->session.labels, mistake->label));
    json_object_set_new(object, "predicted", psal_class_json(r->session.labels, mistake->predicted));
    json_object_set_new(object, "confidence", psal_json_double(mistake->confidence));
    return object;
}

static json_t *result_of(const init *r, json_t *project) {
    const psal_session *session = &r->session;
    json_t *result = psal_json_document("psal-init/1"), *tries = json_array(), *files = json_array(),
           *next = json_array();
    json_object_set_new(result, "project", psal_json_string(r->path));
    json_object_set_new(result, "weights", psal_json_string(session->weights));
    json_object_set_new(result, "arch", psal_json_string(session->info->arch));
    json_object_set_new(result, "head", psal_json_string(head_of(session)));
    json_object_set_new(result, "classes", json_integer(session->info->num_classes));
    json_object_set_new(result, "labels_from", psal_json_string(r->labels_from));
    json_object_set_new(result, "preprocess_from", psal_json_string(r->preprocess_from));
    json_object_set_new(result, "tries", json_integer((json_int_t)r->trials.samples));
    for (int i = 0; i < r->trials.count; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "preprocess", psal_json_string(r->trials.at[i].text));
        json_object_set_new(row, "words", psal_json_string(r->trials.at[i].words));
        json_object_set_new(row, "correct", json_integer((json_int_t)r->trials.at[i].correct));
        json_array_append_new(tries, row);
    }
    json_object_set_new(result, "tried", tries);
    json_object_set_new(result, "samples", json_integer(r->counts.samples));
    json_object_set_new(result, "correct", json_integer(r->counts.correct));
    json_object_set_new(result, "skipped", json_integer(r->counts.skipped));
    json_object_set_new(result, "mistake", mistake_json(r));
    json_object_set_new(result, "next", next);
    json_object_set(result, "contents", project);
    json_object_set_new(result, "settings", psal_computation_json(&session->computation));
    for (char *const *command = r->next; *command; command++) json_array_append_new(next, psal_json_string(*command));
    const char *const written[] = {r->path, r->stats, r->store, r->index};
    for (int i = 0; i < (r->request.profiles ? 4 : 2); i++) json_array_append_new(files, psal_json_string(written[i]));
    json_object_set_new(result, "files", files);
    return result;
}

static void print_network(const init *r) {
    const psal_session *session = &r->session;
    if (r->json || session->quiet) return;
    const char *head = head_of(session);
    psal_print(stdout, "network   %s, %d filters, %d classes%s%s\n", session->info->arch, session->info->filter_count,
               session->info->num_classes, head ? ", head " : "", head ? head : "");
    psal_print(stdout, "classes   %s: 0 %s ... %d %s\n", r->labels_from, psal_labels_name(session->labels, 0),
               session->info->num_classes - 1, psal_labels_name(session->labels, session->info->num_classes - 1));
}

/* Which preprocessing the project has, and why. */
static void print_preprocess(const init *r) {
    const psal_preprocess_trials *t = &r->trials;
    printf("Images are prepared so, in a training script's words:\n");
    psal_print(stdout, "  %s\n", t->at[0].words);
    if (strcmp(r->preprocess_from, "given") == 0)
        printf("That is what --preprocess says.\n");
    else if (strcmp(r->preprocess_from, "recorded") == 0)
        printf("That is what the checkpoint records.\n");
    else if (t->count > 1)
        printf("Of the %d that were tried it is the one with most right answers: %zu of %zu; the next one has %zu.\n",
               t->count, t->at[0].correct, t->samples, t->at[1].correct);
    else
        printf("It is the only common one that the network takes: %zu of %zu are right.\n", t->at[0].correct,
               t->samples);
    printf("If training said more than %.0f %%, this is not the right preprocessing: say what is, with --replace and\n"
           "--preprocess \"Resize((64, 64)), ToTensor(), Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.3))\", say.\n",
           100.0 * (double)r->counts.correct / (double)r->counts.samples);
}

static void print_end(const init *r) {
    const psal_session *session = &r->session;
    const psal_stats_mistake *mistake = &r->counts.mistake;
    if (session->quiet) return;
    psal_print(stdout, "          %s\n", r->path);
    const long long samples = r->counts.samples, correct = r->counts.correct;
    psal_print(stdout, "\n");
    psal_print(stdout, "The network is right in %lld of %lld samples (%.1f %%).\n", correct, samples,
               100.0 * (double)correct / (double)samples);
    print_preprocess(r);
    if (mistake->name)
        psal_print(stdout, "One of its mistakes: %s is %s, and is taken for %s (confidence %.2f).\n", mistake->name,
                   psal_labels_name(session->labels, mistake->label),
                   psal_labels_name(session->labels, mistake->predicted), mistake->confidence);
    else
        printf("None of them is a mistake that could be explained: look at other images, with -i FILE -l CLASS.\n");
    if (!r->next[0]) return;
    printf("\nNext:\n");
    for (char *const *command = r->next; *command; command++) psal_print(stdout, "  %s\n", *command);
}

/* ---- what can be done next ---- */

/* As they can be typed where psal-init was started. */
static psal_status write_next(init *r, psal_error *err) {
    const psal_stats_mistake *mistake = &r->counts.mistake;
    const char *colon = mistake->name ? strrchr(mistake->name, ':') : NULL;
    int count = 0;
    if (!mistake->name) return PSAL_OK;
    for (int step = 0; step < 2; step++) {
        size_t size;
        FILE *out = open_memstream(&r->next[count], &size);
        if (!out) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        fputs(step == 0 ? "psal-run" : "psal-report", out);
        if (strcmp(r->path, PSAL_PROJECT_NAME) != 0) psal_write_option(out, "--project", r->path);
        if (step == 0 && mistake->path) {
            psal_write_option(out, "-i", mistake->path);
            psal_write_class(out, "-l", r->session.labels, mistake->label);
        } else if (step == 0) { /* "IMAGES:17", of an IDX file */
            psal_write_option(out, "--reference-id", colon ? colon + 1 : "0");
        }
        if (fclose(out) != 0) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        count++;
    }
    return PSAL_OK;
}

static int work(const psal_options *options, psal_error *err) {
    init r = {.options = options, .json = psal_options_flag(options, "json")};
    json_t *project = NULL;
    psal_session *session = &r.session;
    psal_status status = check(&r, err);
    if (status == PSAL_OK) status = psal_session_open_network(session, options, err);
    if (status == PSAL_OK) {
        r.notes = remarks_of(session);
        psal_session_print_notes(session, PROGRAM.name);
        session->labels = psal_init_labels(session, psal_options_string(options, "labels"), r.request.data,
                                           r.request.skip_bad, &r.labels_from, err);
        if (!session->labels) status = psal_error_status(err);
    }
    if (status == PSAL_OK) print_network(&r);
    if (status == PSAL_OK) status = choose_preprocess(&r, err);
    if (status == PSAL_OK) status = psal_session_describe(session, options, err);
    if (status == PSAL_OK && !(project = project_of(&r, err))) status = psal_error_status(err);
    int result = status;
    if (status == PSAL_OK) result = psal_stats_make(&r.request, session, &r.counts, err);
    const bool made = status == PSAL_OK && (result == 0 || (err->status == PSAL_OK && result == PSAL_EXIT_SKIPPED));
    if (made) status = psal_json_save(project, r.path, err);
    if (made && status == PSAL_OK) status = write_next(&r, err);
    if (made && status == PSAL_OK && r.json) {
        json_t *object = result_of(&r, project);
        status = psal_json_write(object, stdout, err);
        json_decref(object);
    } else if (made && status == PSAL_OK) {
        print_end(&r);
    }
    json_decref(project);
    json_decref(r.notes);
    psal_preprocess_trials_free(&r.trials);
    psal_stats_counts_free(&r.counts);
    for (char **command = r.next; *command; command++) free(*command);
    psal_session_close(session);
    return status != PSAL_OK ? (int)status : result;
}

int main(int argc, char **argv) {
    return psal_program_main(&PROGRAM, argc, argv, work);
}
