#include "tools/session.h"

#include <dirent.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "saliency/delta.h"
#include "tools/wait_briefly.h"

/* Told by the build: where the installation keeps its data, and where the sources were. */
#ifndef PSAL_DATADIR
#define PSAL_DATADIR "/usr/local/share/psal"
#endif
#ifndef PSAL_SOURCES
#define PSAL_SOURCES "."
#endif

/* The network and the sample that programs use when they are given none. */
static const char DEFAULT_WEIGHTS[] = "fashion_resnet18.safetensors";

double psal_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- where things lie ---- */

static bool readable(const char *path) {
    return access(path, R_OK) == 0;
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
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (places[i][0] && format_path(found, places[i][0], places[i][1], name) && realpath(found, path))
            return PSAL_OK;
    return psal_fail(err, PSAL_ERR_IO, "%s is not in the box: looked in the source tree and in %s/weights", name,
                     PSAL_DATADIR);
}

psal_status psal_cache_file(const char *name, char path[4096], psal_error *err) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool fits = cache && *cache ? format_path(path, cache, "/psal/", name)
                                : home && *home && format_path(path, home, "/.cache/psal/", name);
    if (!fits) return psal_fail(err, PSAL_ERR_IO, "no cache folder: HOME and XDG_CACHE_HOME are not set");
    if (readable(path)) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_IO, "%s is not there", path);
}

/* The checkpoint to read: --weights, or what weights/fetch stored for --model, or the network in the box. */
static psal_status find_weights(psal_session *s, const psal_options *options, psal_error *err) {
    const char *weights = psal_options_string(options, "weights"), *model = psal_options_string(options, "model");
    if (weights) {
        if (snprintf(s->weights, sizeof s->weights, "%s", weights) < (int)sizeof s->weights) return PSAL_OK;
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--weights: the path is too long");
    }
    if (!model) {
        s->in_the_box = true;
        return psal_box_file(DEFAULT_WEIGHTS, s->weights, err);
    }
    static const char *const endings[] = {".safetensors", ".pth"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s%s", model, endings[i]);
        if (psal_cache_file(name, s->weights, NULL) == PSAL_OK) return PSAL_OK;
    }
    return psal_fail(
        err, PSAL_ERR_IO,
        "--model %s without --weights: no such file has been fetched; run 'weights/fetch %s' first, or say "
        "--weights FILE",
        model, model);
}

/* ---- opening ---- */

/* What is known about a file from the cache by its name alone. Some names there are no architectures (resnet50-keras), and
 * torchvision's Inception-v3 wants its input rescaled, which its .pth file does not say. */
static void describe_fetched(const psal_session *s, psal_model_options *model) {
    const char *ending = strrchr(s->weights, '.');
    if (strcmp(model->arch, "inception_v3") == 0 && ending && strcmp(ending, ".pth") == 0) model->transform_input = 1;
    for (int i = 0; i < psal_model_arch_count(); i++)
        if (strcmp(model->arch, psal_model_arch_name(i)) == 0) return;
    model->arch = NULL; /* recognised from the tensors */
}

static psal_status open_preprocess(psal_session *s, const psal_options *options, psal_error *err) {
    const char *text = psal_options_string(options, "preprocess");
    bool given = text != NULL;
    if (!given) text = s->info->preprocess;
    if (!*text) text = "torchvision"; /* 224 x 224 for every network, as the published statistics used it */
    psal_status status = psal_preprocess_parse(text, &s->preprocess, err);
    if (status != PSAL_OK) return psal_fail_prefix(err, given ? "--preprocess" : "the checkpoint's preprocessing");
    if (psal_preprocess_channels(&s->preprocess) != 3)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing '%s' makes one plane, but the network takes three",
                         text);
    if (s->preprocess.crop_height == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing '%s' gives images of any size: it needs a crop", text);
    s->height = s->preprocess.crop_height;
    s->width = s->preprocess.crop_width;
    if (s->height < s->info->min_size || s->width < s->info->min_size)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "images of %dx%d are too small for %s: at least %dx%d", s->height,
                         s->width, s->info->arch, s->info->min_size, s->info->min_size);
    return PSAL_OK;
}

static psal_status apply_deltas(psal_session *s, const psal_options *options, psal_error *err) {
    for (size_t i = 0; i < psal_options_count(options, "delta"); i++) {
        const char *path = psal_options_string_at(options, "delta", i);
        psal_tensor_map *delta = psal_checkpoint_read(path, NULL, err);
        psal_status status = delta ? psal_delta_apply(delta, s->model, err) : err->status;
        psal_tensor_map_free(delta);
        if (status != PSAL_OK) return delta ? psal_fail_prefix(err, "%s", path) : status;
    }
    return PSAL_OK;
}

psal_status psal_session_open(psal_session *s, const psal_options *options, psal_error *err) {
    memset(s, 0, sizeof *s);
    s->quiet = psal_options_flag(options, "quiet");
    s->threads = psal_options_has(options, "threads") ? (int)psal_options_int(options, "threads") : omp_get_num_procs();
    s->memory_limit = (size_t)psal_options_int(options, "memory-limit") << 20;
    static const psal_conv2d_method methods[] = {PSAL_CONV2D_AUTO, PSAL_CONV2D_ACCURATE, PSAL_CONV2D_DIRECT,
                                                 PSAL_CONV2D_GEMM};
    s->method = methods[psal_options_choice(options, "conv")];
    psal_status status = find_weights(s, options, err);
    if (status != PSAL_OK) return status;
    s->checkpoint = psal_checkpoint_read(s->weights, &s->notes, err);
    if (!s->checkpoint) return err->status;
    psal_model_options model = {.arch = psal_options_string(options, "model"),
                                .variant = psal_options_string(options, "variant"),
                                .bn_epsilon = psal_options_double(options, "bn-epsilon"),
                                .transform_input = psal_options_flag(options, "transform-input") ? 1 : 0};
    if (model.arch && !psal_options_has(options, "weights")) describe_fetched(s, &model);
    char notes[1024];
    s->model = psal_model_load(s->checkpoint, &model, notes, err);
    if (!s->model) return psal_fail_prefix(err, "%s", s->weights);
    if (*notes) psal_note(&s->notes, "%s: %s", s->weights, notes);
    s->info = psal_model_get_info(s->model);
    if ((status = apply_deltas(s, options, err)) != PSAL_OK) return status;
    if ((status = open_preprocess(s, options, err)) != PSAL_OK) return status;
    const char *set = psal_options_string(options, "labels");
    if (!set) set = psal_tensor_map_meta(s->checkpoint, "psal.labels");
    s->labels = psal_labels_open(set, s->info->num_classes, err);
    return s->labels ? PSAL_OK : err->status;
}

void psal_session_close(psal_session *s) {
    psal_labels_free(s->labels);
    psal_model_free(s->model);
    psal_tensor_map_free(s->checkpoint);
    psal_notes_free(&s->notes);
    memset(s, 0, sizeof *s);
}

void psal_session_print_notes(psal_session *s, const char *program) {
    for (size_t i = 0; i < s->notes.count && !s->quiet; i++)
        fprintf(stderr, "%s: note: %s\n", program, s->notes.lines[i]);
    psal_notes_free(&s->notes);
}

/* ---- statistics ---- */

static psal_statistics *read_statistics(const char *path, psal_error *err) {
    psal_tensor_map *tensors = psal_checkpoint_read(path, NULL, err);
    if (!tensors) return NULL;
    psal_statistics *statistics = psal_statistics_from_tensors(tensors, err);
    psal_tensor_map_free(tensors);
    if (!statistics) psal_fail_prefix(err, "%s", path);
    return statistics;
}

static bool suits(const psal_statistics *statistics, const psal_session *s, const psal_saliency_options *saliency,
                  int64_t length, bool normalized) {
    char warning[256];
    return statistics->normalized == normalized &&
           psal_statistics_check(statistics, s->model, saliency, length, warning, NULL) == PSAL_OK && !*warning;
}

/* Statistics made for exactly these weights, among NAME_stats*.safetensors files of a folder. */
static psal_statistics *search_folder(const char *folder, const psal_session *s, const psal_saliency_options *saliency,
                                      int64_t length, bool normalized, char path[4096]) {
    DIR *dir = opendir(folder);
    psal_statistics *found = NULL;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        if (!strstr(entry->d_name, "_stats") || !strstr(entry->d_name, ".safetensors")) continue;
        if (!format_path(path, folder, "/", entry->d_name)) continue;
        psal_statistics *candidate = read_statistics(path, NULL);
        if (candidate && candidate->fingerprint && suits(candidate, s, saliency, length, normalized))
            found = candidate;
        else
            psal_statistics_free(candidate);
    }
    if (dir) closedir(dir);
    return found;
}

/* The folder part of a path, in place. */
static void to_folder(char *path) {
    char *slash = strrchr(path, '/');
    if (slash) *slash = '\0';
}

static psal_statistics *search_statistics(const psal_session *s, const psal_saliency_options *saliency, int64_t length,
                                          bool normalized, char path[4096]) {
    char folder[4096];
    if (psal_box_file(DEFAULT_WEIGHTS, folder, NULL) == PSAL_OK) {
        to_folder(folder);
        psal_statistics *found = search_folder(folder, s, saliency, length, normalized, path);
        if (found) return found;
    }
    snprintf(folder, sizeof folder, "%s", s->weights);
    if (!strchr(folder, '/')) snprintf(folder, sizeof folder, "./");
    to_folder(folder);
    psal_statistics *found = search_folder(folder, s, saliency, length, normalized, path);
    if (found) return found;
    /* What weights/fetch stores beside a torchvision network: the original authors' statistics, which say nothing of
     * themselves, so that the name must do. */
    char name[256];
    snprintf(name, sizeof name, "ImageNet_val_saliency_stat_%s_filter_wise.pth", s->info->arch);
    if (normalized || saliency->aggregation != PSAL_AGGREGATION_FILTER || saliency->is_signed ||
        saliency->loss != PSAL_LOSS_CROSS_ENTROPY || s->info->num_classes != 1000 ||
        s->preprocess.order != PSAL_CHANNELS_RGB || psal_cache_file(name, path, NULL) != PSAL_OK)
        return NULL;
    return read_statistics(path, NULL);
}

/* Free statistics that do not fit and return NULL. */
static psal_statistics *check_statistics(psal_session *s, psal_statistics *statistics, const char *path,
                                         const psal_saliency_options *saliency, int64_t length, bool normalized,
                                         psal_error *err) {
    char warning[256] = "";
    if (psal_statistics_check(statistics, s->model, saliency, length, warning, err) != PSAL_OK) {
        psal_fail_prefix(err, "%s", path);
    } else if (statistics->normalized != normalized) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "%s: statistics of %s profiles, but %s ones are needed here", path,
                  statistics->normalized ? "normalized" : "plain", normalized ? "normalized" : "plain");
    } else {
        if (*warning) psal_note(&s->notes, "%s: %s", path, warning);
        return statistics;
    }
    psal_statistics_free(statistics);
    return NULL;
}

psal_statistics *psal_session_statistics(psal_session *s, const psal_options *options,
                                         const psal_saliency_options *saliency, int64_t length, bool normalized,
                                         char path_out[4096], psal_error *err) {
    char path[4096];
    const char *given = psal_options_string(options, "stats");
    psal_statistics *statistics;
    if (given) {
        snprintf(path, sizeof path, "%s", given);
        statistics = read_statistics(given, err);
        if (!statistics) return NULL;
    } else {
        statistics = search_statistics(s, saliency, length, normalized, path);
        if (!statistics) {
            psal_fail(
                err, PSAL_ERR_ARGUMENT,
                "no statistics known for these weights of %s: make them with 'psal-stats --weights %s --data DIR --out "
                "S.safetensors' and give --stats S.safetensors",
                s->info->arch, s->weights);
            return NULL;
        }
    }
    statistics = check_statistics(s, statistics, path, saliency, length, normalized, err);
    if (statistics && path_out) memcpy(path_out, path, sizeof path);
    return statistics;
}

psal_statistics *psal_session_statistics_file(psal_session *s, const char *path, const psal_saliency_options *saliency,
                                              int64_t length, bool normalized, psal_error *err) {
    psal_statistics *statistics = read_statistics(path, err);
    return statistics ? check_statistics(s, statistics, path, saliency, length, normalized, err) : NULL;
}

/* ---- images ---- */

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

/* ---- main functions ---- */

psal_options *psal_program_begin(const psal_program *program, int argc, char **argv, bool *done, int *status) {
    psal_error err = PSAL_ERROR_INIT;
    *done = false;
    psal_options *options = psal_options_parse(program, argc, argv, &err);
    if (!options) {
        psal_program_fail(program, &err);
        *status = 2;
        return NULL;
    }
    if (psal_options_wants_help(options)) {
        char *text = psal_options_help(program, 100);
        if (text) fputs(text, stdout);
        free(text);
        *done = true;
    } else if (psal_options_wants_version(options)) {
        printf("%s %s\n", program->name, program->version);
        *done = true;
    }
    *status = *done && fflush(stdout) != 0 ? 1 : 0;
    if (!*done) psal_wait_briefly(argv);
    return options;
}

int psal_program_fail(const psal_program *program, const psal_error *err) {
    fprintf(stderr, "%s: %s\n", program->name, err->message);
    return 1;
}
