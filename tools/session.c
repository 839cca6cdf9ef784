#include "tools/session.h"

#include <dirent.h>
#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "saliency/delta.h"
#include "tools/folder_labels.h"
#include "tools/memory.h"
#include "tools/network.h"
#include "tools/print.h"
#include "tools/project.h"

/* Told by the build: where the installation keeps its data, and where the sources were ("": of no interest). */
#ifndef PSAL_DATADIR
#define PSAL_DATADIR "/usr/local/share/psal"
#endif
#ifndef PSAL_SOURCES
#define PSAL_SOURCES "."
#endif

double psal_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- where things lie ---- */

static bool says_not_there(int reason) {
    return reason == ENOENT || reason == ENOTDIR;
}

static bool format_path(char path[4096], const char *folder, const char *middle, const char *name) {
    int length = snprintf(path, 4096, "%s%s%s", folder, middle, name);
    return length > 0 && length < 4096;
}

/* The folder of this program, without the last slash; "" when it cannot be told. */
static void program_folder(char folder[4096]) {
    ssize_t length = readlink("/proc/self/exe", folder, 4095);
    folder[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) *slash = '\0';
}

psal_status psal_box_file(const char *name, char path[4096], psal_error *err) {
    char folder[4096], found[4096];
    const char *box = getenv("PSAL_BOX");
    program_folder(folder);
    const char *const places[][2] = {{box && *box ? box : NULL, "/"},     /* the user's word */
                                     {folder, "/../../weights/"},         /* build/tools/psal-run in the sources */
                                     {folder, "/../share/psal/weights/"}, /* bin/psal-run installed */
                                     {PSAL_DATADIR, "/weights/"}, /* moved elsewhere: the places told by the build */
                                     {PSAL_SOURCES, "/weights/"}};
    psal_status status = PSAL_OK; /* of the first place that could not be looked at: there may be another one */
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (!places[i][0] || !*places[i][0] || !format_path(found, places[i][0], places[i][1], name)) continue;
        if (realpath(found, path)) return PSAL_OK;
        if (!says_not_there(errno) && status == PSAL_OK)
            status = psal_fail(err, PSAL_ERR_IO, "%s: cannot be looked at: %s", found, strerror(errno));
    }
    if (status != PSAL_OK) return status;
    return psal_fail(err, PSAL_ERR_IO,
                     "%s, which comes with psal, is not there: looked in the source tree and in %s/weights", name,
                     PSAL_DATADIR);
}

psal_status psal_cache_file(const char *name, char path[4096], psal_error *err) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool fits = cache && *cache ? format_path(path, cache, "/psal/", name)
                                : home && *home && format_path(path, home, "/.cache/psal/", name);
    if (!fits) return psal_fail(err, PSAL_ERR_ARGUMENT, "no cache folder: HOME and XDG_CACHE_HOME are not set");
    if (access(path, R_OK) == 0) return PSAL_OK;
    if (says_not_there(errno)) return psal_fail(err, PSAL_ERR_ARGUMENT, "%s is not there", path);
    return psal_fail(err, PSAL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
}

/* The name of a fetched network that begins so ("resnet50-keras"), the first of several; "": there is none. */
static void name_relative(const char *model, char text[300]) {
    char folder[4096], name[300];
    text[0] = '\0';
    psal_error missing = PSAL_ERROR_INIT;
    if (psal_cache_file(".", folder, &missing) != PSAL_OK) return;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        const size_t length = strlen(model);
        char *ending = strstr(entry->d_name, ".safetensors");
        if (strncmp(entry->d_name, model, length) != 0 || entry->d_name[length] != '-' || !ending) continue;
        snprintf(name, sizeof name, "%.*s", (int)(ending - entry->d_name), entry->d_name);
        if (!*text || strcmp(name, text) < 0) snprintf(text, 300, "%s", name);
    }
    if (entries) closedir(entries);
}

/* Whoever brings pictures is told that the network that runs on them is none of theirs. */
static void note_default_network(psal_session *s, const psal_options *options) {
    static const char *const pictures[] = {"image-path", "images", "data"};
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++) {
        if (!psal_options_knows(options, pictures[i]) || !psal_options_given(options, pictures[i])) continue;
        psal_note(&s->notes, "no --weights%s: the small Fashion-MNIST network that comes with psal is used",
                  psal_project_absence(options));
        return;
    }
}

/* The checkpoint to read: --weights, or what weights/fetch stored for --model, or the small network that comes
 * with psal. */
static psal_status find_weights(psal_session *s, const psal_options *options, psal_error *err) {
    const char *weights = psal_options_string(options, "weights"), *model = psal_options_string(options, "model");
    if (weights) {
        if (snprintf(s->weights, sizeof s->weights, "%s", weights) < (int)sizeof s->weights) return PSAL_OK;
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--weights: the path is too long");
    }
    if (!model) {
        s->default_network = true;
        note_default_network(s, options);
        return psal_box_file(PSAL_DEFAULT_WEIGHTS, s->weights, err);
    }
    static const char *const endings[] = {".safetensors", ".pth"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s%s", model, endings[i]);
        psal_error why = PSAL_ERROR_INIT;
        psal_status status = psal_cache_file(name, s->weights, &why);
        s->fetched = status == PSAL_OK;
        if (s->fetched) return PSAL_OK;
        if (status == PSAL_ERR_IO) return psal_fail(err, status, "--model %s: %s", model, why.message);
    }
    char relative[300];
    name_relative(model, relative);
    return psal_fail(
        err, PSAL_ERR_IO,
        "--model %s without --weights: no such file has been fetched%s%s; run 'psal-fetch %s' (in the sources: "
        "weights/fetch) first, or say --weights FILE",
        model, *relative ? ", but this one has: --model " : "", relative, model);
}

/* Tensors in memory have no file; statistics for them are looked for in the working folder. */
static psal_status name_given(psal_session *s, const psal_options *options, psal_error *err) {
    if (psal_options_has(options, "weights"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of tensors and --weights");
    snprintf(s->weights, sizeof s->weights, "tensors in memory");
    return PSAL_OK;
}

/* What the network was made of. */
static const psal_tensor_map *tensors_of(const psal_session *s) {
    return s->given ? s->given : s->checkpoint;
}

/* ---- opening ---- */

/* What is known about a file from the cache by its name alone. Some names there are no architectures (resnet50-keras),
 * and torchvision's Inception-v3 wants its input rescaled, which its .pth file does not say. */
static void describe_fetched(const psal_session *s, psal_model_options *model) {
    const char *ending = strrchr(s->weights, '.');
    if (strcmp(model->arch, "inception_v3") == 0 && ending && strcmp(ending, ".pth") == 0) model->transform_input = 1;
    for (int i = 0; i < psal_model_arch_count(); i++)
        if (strcmp(model->arch, psal_model_arch_name(i)) == 0) return;
    model->arch = NULL; /* recognised from the tensors */
}

psal_status psal_session_check_size(const psal_preprocess *preprocess, const char *text, const psal_model_info *info,
                                    psal_error *err) {
    const int height = preprocess->crop_height, width = preprocess->crop_width;
    if (height == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing '%s' gives images of any size: it needs a crop", text);
    if (height < info->min_size || width < info->min_size)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "images of %dx%d are too small for %s: at least %dx%d", height, width,
                         info->arch, info->min_size, info->min_size);
    return PSAL_OK;
}

psal_status psal_session_set_preprocess(psal_session *s, const char *text, psal_error *err) {
    bool given = text != NULL;
    if (!given) text = s->info->preprocess;
    if (!*text && strcmp(s->info->family, "onnx") == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s: the file does not say how images are prepared: give --preprocess (\"torchvision\" for "
                         "torchvision's networks, \"torchvision;crop=%d\" for other sizes)",
                         s->weights, s->info->native_size);
    s->preprocess_assumed = !given && !s->fetched &&
                            (!*text || psal_was_assumed(tensors_of(s), PSAL_FIELD_PREPROCESS_ASSUMED));
    if (!*text) text = "torchvision"; /* 224 x 224 for every network, as the published statistics used it */
    psal_status status = psal_preprocess_parse(text, &s->preprocess, err);
    if (status != PSAL_OK) return psal_fail_prefix(err, given ? "--preprocess" : "the checkpoint's preprocessing");
    status = psal_check_channels(s->info, s->weights, given || *s->info->preprocess ? &s->preprocess : NULL, err);
    if (status != PSAL_OK) return status;
    s->height = s->preprocess.crop_height;
    s->width = s->preprocess.crop_width;
    return psal_session_check_size(&s->preprocess, text, s->info, err);
}

/* What nobody has said, and what therefore may be wrong. */
static void note_assumptions(psal_session *s) {
    char text[PSAL_FIELD_SIZE];
    if (s->preprocess_assumed) {
        psal_computation_set(&s->computation, PSAL_FIELD_PREPROCESS_ASSUMED, "1");
        psal_note_warning(
            &s->notes,
            "%s does not record its preprocessing: %s is assumed (shorter side to %d, crop %dx%d); say --preprocess",
            s->weights, psal_preprocess_format(&s->preprocess, text, sizeof text), s->preprocess.resize_shorter,
            s->height, s->width);
    }
    if (s->transform_assumed) {
        psal_computation_set(&s->computation, PSAL_FIELD_TRANSFORM_ASSUMED, "1");
        psal_note_warning(&s->notes,
                          "%s does not record %s's input transform: assumed off; torchvision's own pretrained file "
                          "needs --transform-input",
                          s->weights, strcmp(s->info->arch, "googlenet") == 0 ? "GoogLeNet" : "Inception-v3");
    }
}

/* A crop of more than there is, which somebody has just asked for: a preset's crop after another resize, say. */
static void note_padding(psal_session *s, const psal_options *options) {
    const psal_preprocess *p = &s->preprocess;
    const int crop = p->crop_height < p->crop_width ? p->crop_height : p->crop_width;
    if (psal_options_given(options, "preprocess") && p->resize_shorter && crop > p->resize_shorter)
        psal_note(&s->notes,
                  "--preprocess: the crop of %dx%d is larger than images are after resize=%d, and black around them: "
                  "if that is not meant, add \";crop=%d\"",
                  p->crop_height, p->crop_width, p->resize_shorter, p->resize_shorter);
}

/* A delta belongs to weights and to what the network makes of them; it can be tried with another preprocessing. */
static psal_status apply_delta(psal_session *s, const psal_tensor_map *delta, const char *path, psal_error *err) {
    psal_computation made;
    psal_error other = PSAL_ERROR_INIT;
    psal_status status = psal_computation_read(&made, delta, err);
    if (status == PSAL_OK) status = psal_computation_check(&made, &s->computation, PSAL_FIELDS_NETWORK, err);
    if (status == PSAL_OK &&
        psal_computation_check(&made, &s->computation, PSAL_FIELD_SET(PSAL_FIELD_PREPROCESS), &other) != PSAL_OK)
        psal_note_warning(&s->notes, "%s: %s", path, other.message);
    return status == PSAL_OK ? psal_delta_apply(delta, s->model, err) : status;
}

/* Which weights an edited checkpoint was made of. */
static void read_base(psal_session *s) {
    const char *base = psal_tensor_map_meta(tensors_of(s), psal_field_describe(PSAL_FIELD_BASE)->key);
    if (base && strlen(base) == 16 && strspn(base, "0123456789abcdef") == 16)
        psal_computation_set(&s->computation, PSAL_FIELD_BASE, "%s", base);
}

/* The record of the network, and the deltas applied to it. */
static psal_status describe_network(psal_session *s, const psal_options *options, psal_error *err) {
    size_t count = psal_options_count(options, "delta");
    psal_status status = psal_computation_set_network(&s->computation, s->model, &s->preprocess, err);
    if (status == PSAL_OK)
        status = psal_project_check_weights(options, s->weights, s->computation.value[PSAL_FIELD_WEIGHTS], err);
    psal_computation_set(&s->computation, PSAL_FIELD_VERSION, "%s", PSAL_VERSION);
    psal_computation_set(&s->computation, PSAL_FIELD_WEIGHTS_NAME, "%s", s->weights);
    psal_computation_set(&s->computation, PSAL_FIELD_CONV, "%s", psal_options_string(options, "conv"));
    psal_computation_set(&s->computation, PSAL_FIELD_PROCESSOR, "%s", psal_processor_name(s->conv.processor));
    for (size_t i = 0; i < count && status == PSAL_OK; i++) {
        const char *path = psal_options_string_at(options, "delta", i);
        psal_tensor_map *delta = psal_checkpoint_read(path, NULL, err);
        if (!delta) return psal_error_status(err);
        status = apply_delta(s, delta, path, err);
        psal_tensor_map_free(delta);
        if (status != PSAL_OK) psal_fail_prefix(err, "%s", path);
        char before[PSAL_FIELD_SIZE];
        memcpy(before, s->computation.value[PSAL_FIELD_DELTAS], sizeof before);
        psal_computation_set(&s->computation, PSAL_FIELD_DELTAS, "%s%s%s", before, i ? ", " : "", path);
    }
    if (count == 0) read_base(s);
    if (count == 0 || status != PSAL_OK) return status;
    memcpy(s->computation.value[PSAL_FIELD_BASE], s->computation.value[PSAL_FIELD_WEIGHTS], PSAL_FIELD_SIZE);
    return psal_computation_set_network(&s->computation, s->model, &s->preprocess, err);
}

psal_status psal_session_open_network(psal_session *s, const psal_options *options, psal_error *err) {
    *s = (psal_session){.kept = s->kept, .given = s->given, .program = psal_options_program(options)->name};
    s->quiet = psal_options_flag(options, "quiet");
    s->threads = psal_options_has(options, "threads") ? (int)psal_options_int(options, "threads") : omp_get_num_procs();
    s->memory_limit = (size_t)psal_options_int(options, "memory-limit") << 20;
    static const psal_conv2d_method methods[] = {PSAL_CONV2D_AUTO, PSAL_CONV2D_ACCURATE, PSAL_CONV2D_DIRECT,
                                                 PSAL_CONV2D_GEMM};
    const psal_processor processor = (psal_processor)psal_options_choice(options, "processor");
    if (!psal_processor_runs(processor))
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "--processor %s: this machine does not have it; the best that it has is %s",
                         psal_processor_name(processor), psal_processor_name(psal_processor_best()));
    s->conv = (psal_conv2d_settings){methods[psal_options_choice(options, "conv")], processor};
    psal_status status = s->given ? name_given(s, options, err) : find_weights(s, options, err);
    if (status != PSAL_OK) return status;
    psal_model_options model = {.arch = psal_options_string(options, "model"),
                                .variant = psal_options_string(options, "variant"),
                                .bn_epsilon = psal_options_double(options, "bn-epsilon"),
                                .transform_input = psal_options_flag(options, "transform-input") ? 1 : 0};
    if (model.arch && !psal_options_has(options, "weights") && !s->given) describe_fetched(s, &model);
    s->model = s->given ? psal_given_network(s->given, s->weights, options, &model, &s->notes, err)
                        : psal_open_network(s->weights, options, &model, &s->checkpoint, &s->notes, err);
    if (!s->model) return psal_error_status(err);
    s->info = psal_model_get_info(s->model);
    s->transform_assumed = model.transform_input == 0 &&
                           (s->info->transform_input_assumed ||
                            psal_was_assumed(tensors_of(s), PSAL_FIELD_TRANSFORM_ASSUMED));
    return PSAL_OK;
}

/* Of a network without class names that is run on class folders: theirs, if they are as many. */
static psal_status take_folder_names(psal_session *s, const psal_options *options, psal_error *err) {
    static const char *const names[] = {"data", "images"};
    const int classes = s->info->num_classes;
    psal_error why = PSAL_ERROR_INIT;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *data = psal_options_knows(options, names[i]) ? psal_options_string(options, names[i]) : NULL;
        int folders;
        psal_labels *labels = data ? psal_folder_labels(data, classes, true, &folders, &why) : NULL;
        if (!labels && why.status != PSAL_OK) {
            if (err) *err = why;
            return why.status;
        }
        if (!labels || psal_labels_are_numbers(labels)) {
            psal_labels_free(labels);
            continue;
        }
        psal_labels_free(s->labels);
        s->labels = labels;
        psal_note(&s->notes, "%s records no class names: those of the %d class folders in %s are taken, 0 %s to %d %s",
                  s->weights, classes, data, psal_labels_name(labels, 0), classes - 1,
                  psal_labels_name(labels, classes - 1));
        return PSAL_OK;
    }
    return PSAL_OK;
}

/* The names that --labels says, or the checkpoint, or the number of classes, or the data set's folders. */
static psal_status open_labels(psal_session *s, const psal_options *options, psal_error *err) {
    const char *set = psal_options_string(options, "labels");
    s->labels_given = set != NULL;
    s->labels = set ? psal_labels_open(set, s->info->num_classes, err)
                    : psal_labels_recorded(psal_tensor_map_meta(tensors_of(s), "psal.labels"), s->info->num_classes,
                                           err);
    if (s->labels && !set && !s->fetched && !psal_tensor_map_meta(tensors_of(s), "psal.labels") &&
        psal_labels_have_names(s->labels))
        psal_note(&s->notes,
                  "%s records no class names: with its %d classes, ImageNet's are taken; --labels SET says others",
                  s->weights, s->info->num_classes);
    if (s->labels && !set && !psal_labels_have_names(s->labels) && !psal_tensor_map_meta(tensors_of(s), "psal.labels"))
        if (take_folder_names(s, options, err) != PSAL_OK) return psal_error_status(err);
    if (!s->labels && !set) psal_fail_prefix(err, "%s", s->weights);
    return s->labels ? PSAL_OK : psal_error_status(err);
}

psal_status psal_session_describe(psal_session *s, const psal_options *options, psal_error *err) {
    psal_status status = describe_network(s, options, err);
    if (status == PSAL_OK) note_assumptions(s);
    if (status == PSAL_OK) note_padding(s, options);
    if (status == PSAL_OK && !s->labels) status = open_labels(s, options, err);
    /* Now that the network is in memory. */
    return status == PSAL_OK ? psal_memory_limit(s->threads, s->memory_limit, &s->memory_limit, err) : status;
}

psal_status psal_session_open(psal_session *s, const psal_options *options, psal_error *err) {
    psal_status status = psal_session_open_network(s, options, err);
    if (status == PSAL_OK) status = psal_session_set_preprocess(s, psal_options_string(options, "preprocess"), err);
    return status == PSAL_OK ? psal_session_describe(s, options, err) : status;
}

psal_status psal_session_class(const psal_session *s, const char *option, const char *text, int *class,
                               psal_error *err) {
    if (psal_labels_parse(s->labels, text, class, err) == PSAL_OK) return PSAL_OK;
    if (err->status == PSAL_ERR_MEMORY) return err->status;
    psal_fail_prefix(err, "--%s", option);
    if (s->default_network)
        return psal_fail(err, err->status,
                         "%s (the classes are those of the small Fashion-MNIST network that comes with psal, which is "
                         "used where neither --weights nor a psal.json names another)",
                         err->message);
    return psal_fail(err, err->status, "%s (the classes are those of %.400s)", err->message, s->weights);
}

void psal_session_close(psal_session *s) {
    psal_labels_free(s->labels);
    psal_model_free(s->model);
    psal_tensor_map_free(s->checkpoint);
    psal_notes_free(&s->notes);
    memset(s, 0, sizeof *s);
}

static void keep_note(psal_notes *kept, const char *line, bool warning) {
    for (size_t i = 0; i < kept->count; i++)
        if (strcmp(kept->lines[i], line) == 0) return;
    (warning ? psal_note_warning : psal_note)(kept, "%s", line);
}

void psal_session_print_notes(psal_session *s, const char *program) {
    for (size_t i = 0; i < s->notes.count && s->kept; i++) keep_note(s->kept, s->notes.lines[i], s->notes.warning[i]);
    for (size_t i = 0; i < s->notes.count && !s->kept; i++)
        if (!s->quiet || s->notes.warning[i]) psal_print(stderr, "%s: note: %s\n", program, s->notes.lines[i]);
    psal_notes_free(&s->notes);
}

void psal_session_computation(const psal_session *s, const psal_saliency_options *saliency, bool normalized,
                              psal_computation *computation) {
    *computation = s->computation;
    psal_computation_set_profile(computation, saliency, normalized);
}

psal_status psal_session_record_preprocess(const psal_session *s, psal_tensor_map *checkpoint, psal_error *err) {
    psal_status status = psal_record_assumptions(checkpoint, s->computation.value[PSAL_FIELD_PREPROCESS],
                                                 s->preprocess_assumed, s->transform_assumed, err);
    if (status != PSAL_OK || !s->labels_given || !psal_labels_have_names(s->labels)) return status;
    char *names = psal_labels_record(s->labels, err);
    status = names ? psal_tensor_map_set_meta(checkpoint, "psal.labels", names, err) : psal_error_status(err);
    free(names);
    return status;
}

psal_status psal_session_record_edit(const psal_session *s, psal_tensor_map *checkpoint, psal_error *err) {
    const char *base = s->computation.value[PSAL_FIELD_BASE];
    psal_status status = psal_session_record_preprocess(s, checkpoint, err);
    if (status != PSAL_OK) return status;
    return psal_tensor_map_set_meta(checkpoint, psal_field_describe(PSAL_FIELD_BASE)->key,
                                    *base ? base : s->computation.value[PSAL_FIELD_WEIGHTS], err);
}

/* ---- images ---- */

size_t psal_session_image_size(const psal_session *s) {
    return (size_t)s->info->channels * (size_t)s->height * (size_t)s->width;
}

psal_status psal_session_prepare(const psal_session *s, const psal_image *image, psal_image *pixels, float *input,
                                 psal_error *err) {
    psal_image own = PSAL_IMAGE_INIT;
    psal_status status = psal_preprocess_pixels(&s->preprocess, image, &own, err);
    if (status == PSAL_OK) status = psal_preprocess_tensor(&s->preprocess, &own, input, err);
    if (status == PSAL_OK && pixels)
        *pixels = own;
    else
        psal_image_free(&own);
    return status;
}

psal_status psal_session_load(const psal_session *s, const psal_dataset *samples, size_t index, float *input,
                              psal_error *err) {
    psal_image image = PSAL_IMAGE_INIT;
    psal_status status = psal_dataset_load(samples, index, &image, err);
    if (status == PSAL_OK) status = psal_session_prepare(s, &image, NULL, input, err);
    psal_image_free(&image);
    return status;
}
