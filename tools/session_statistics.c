/* Statistics: read, held against what is computed, found. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "saliency/reference_set.h"
#include "tools/class_output.h"
#include "tools/known_label.h"
#include "tools/project.h"
#include "tools/session.h"

static psal_statistics *read_statistics(const char *path, psal_error *err) {
    psal_tensor_map *tensors = psal_checkpoint_read(path, NULL, err);
    if (!tensors) return NULL;
    psal_statistics *statistics = psal_statistics_from_tensors(tensors, err);
    psal_tensor_map_free(tensors);
    if (statistics && psal_computation_canonical(&statistics->computation, err) == PSAL_OK) return statistics;
    psal_statistics_free(statistics);
    psal_fail_prefix(err, "%s", path);
    return NULL;
}

psal_statistics *psal_session_statistics_file(const char *path, const psal_computation *here, int64_t length,
                                              psal_notes *notes, psal_error *err) {
    char note[768];
    psal_statistics *statistics = read_statistics(path, err);
    if (!statistics) return NULL;
    if (psal_statistics_check(statistics, here, length, note, err) == PSAL_OK) {
        psal_reference_set only;
        char text[PSAL_REFERENCE_SIZE];
        if (*note) psal_note(notes, "%s: %s", path, note);
        if (psal_reference_parse(statistics->computation.value[PSAL_FIELD_ONLY], &only) &&
            only.kind != PSAL_REFERENCE_ALL)
            psal_note(notes, "%s: statistics of %s only", path, psal_reference_describe(only, text));
        return statistics;
    }
    psal_statistics_free(statistics);
    psal_fail(err, err->status,
              "%s: %s; make statistics with the settings of this run (psal-stats), or give the settings they were "
              "made with",
              path, err->message);
    return NULL;
}

/* ---- of how many samples ---- */

enum { FEW = 100, FEW_WITH_OWN = 500 }; /* saliency/README.md, "How many images statistics need" */

void psal_note_few_samples(psal_notes *notes, const char *path, int64_t count) {
    if (count > 0 && count < FEW)
        psal_note_warning(notes,
                          "%s: statistics over only %lld samples: the ranking is mostly chance; take 1000 or more",
                          path, (long long)count);
}

/* Whether the statistics' data set is a folder around one of the images. */
static bool lies_around(const char *folder, const psal_dataset *samples) {
    char around[4096], image[4096];
    if (strncmp(folder, "folder:", strlen("folder:")) == 0) folder += strlen("folder:");
    if (!realpath(folder, around)) return false;
    const size_t length = strlen(around);
    for (size_t i = 0; i < psal_dataset_count(samples); i++) {
        const char *path = psal_dataset_path(samples, i);
        if (path && realpath(path, image) && strncmp(image, around, length) == 0 && image[length] == '/') return true;
    }
    return false;
}

/* Whether they are of every sample of their data set: neither some of them nor a reference set. */
static bool is_of_all(const psal_computation *made) {
    psal_reference_set only;
    const bool every = psal_reference_parse(made->value[PSAL_FIELD_ONLY], &only) && only.kind == PSAL_REFERENCE_ALL;
    return every && strcmp(made->value[PSAL_FIELD_SAMPLING], "all") == 0;
}

void psal_note_own_samples(psal_notes *notes, const char *path, const psal_statistics *statistics,
                           const psal_dataset *samples) {
    const double n = (double)statistics->count;
    const psal_computation *made = &statistics->computation;
    char text[17];
    uint64_t fingerprint;
    if (n < 1 || n >= FEW_WITH_OWN) return;
    psal_error unknown = PSAL_ERROR_INIT; /* of an image that cannot be looked at, its explanation says more */
    bool same = psal_dataset_fingerprint(samples, &fingerprint, &unknown) == PSAL_OK &&
                snprintf(text, sizeof text, "%016" PRIx64, fingerprint) > 0 &&
                strcmp(text, made->value[PSAL_FIELD_DATASET]) == 0;
    if (!same && !lies_around(made->value[PSAL_FIELD_DATASET_NAME], samples)) return;
    psal_note_warning(notes,
                      "%s: statistics over %lld samples%s: the saliency of an image among the n is at most (n - 1) / "
                      "sqrt(n) = %.1f, however large its gradients; take statistics over other images, or over 1000 or "
                      "more",
                      path, (long long)statistics->count,
                      is_of_all(made) ? ", and their data set holds what is explained"
                                      : " of a data set that holds what is explained, which may be among them",
                      (n - 1) / sqrt(n));
}

/* ---- finding them ---- */

/* The best file so far of those that fit, and the first of those that nearly do. */
typedef struct search {
    const psal_session *session;
    const psal_computation *here;
    int64_t length;
    bool tails;      /* only files with tails; else only those without */
    char path[4096]; /* "": none */
    int64_t samples;
    bool incomplete; /* it does not say everything */
    bool base;       /* it is of the weights before the deltas */
    int fitting;
    char nearly[5000]; /* its name and what differs; "": none */
    char unread[5000]; /* likewise of one that could not be read */
} search;

/* Are they of the weights before the deltas? */
static bool is_of_base(const psal_statistics *statistics, const psal_computation *here) {
    const char *base = here->value[PSAL_FIELD_BASE];
    return *base && strcmp(statistics->computation.value[PSAL_FIELD_WEIGHTS], base) == 0;
}

/* Is the file at `path` for these weights, or those before the deltas, and this computation? */
static psal_status consider(search *s, const char *path, psal_error *fatal) {
    psal_error err = PSAL_ERROR_INIT;
    psal_statistics *statistics = read_statistics(path, &err);
    if (!statistics) {
        /* A file that is not for this user is none for this run; a shortage (of memory, of descriptors) must not choose
         * another one. */
        bool trouble = err.status == PSAL_ERR_IO && (access(path, R_OK) == 0 || (errno != EACCES && errno != ENOENT));
        if (err.status == PSAL_ERR_MEMORY || trouble) return psal_fail(fatal, err.status, "%s", err.message);
        if (!*s->unread) snprintf(s->unread, sizeof s->unread, "%s", err.message);
        return PSAL_OK;
    }
    const psal_computation *there = &statistics->computation;
    const psal_fields weights = PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS);
    char note[768];
    const bool same = *there->value[PSAL_FIELD_WEIGHTS] &&
                      psal_computation_difference(there, s->here, weights) == PSAL_FIELD_COUNT;
    const bool base = is_of_base(statistics, s->here);
    if (s->tails == (statistics->tail != NULL) && (same || base)) {
        bool incomplete = psal_computation_unsaid(there, s->here, PSAL_FIELDS_PROFILE, true) != 0;
        if (psal_statistics_check(statistics, s->here, s->length, note, &err) != PSAL_OK) {
            if (!*s->nearly) snprintf(s->nearly, sizeof s->nearly, "%s: %s", path, err.message);
        } else {
            bool better = s->fitting == 0 || (s->base && !base) ||
                          (s->base == base && ((s->incomplete && !incomplete) ||
                                               (s->incomplete == incomplete && statistics->count > s->samples)));
            s->fitting++;
            if (better) {
                snprintf(s->path, sizeof s->path, "%s", path);
                s->samples = statistics->count;
                s->incomplete = incomplete;
                s->base = base;
            }
        }
    }
    psal_statistics_free(statistics);
    return PSAL_OK;
}

static int is_statistics(const struct dirent *entry) {
    return strstr(entry->d_name, "_stats") && strstr(entry->d_name, ".safetensors");
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* All NAME_stats*.safetensors files of a folder, in the order of their names. */
static psal_status search_folder(search *s, const char *folder, psal_error *err) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_statistics, by_name);
    if (count < 0 && errno != ENOENT && errno != EACCES && errno != ENOTDIR)
        return psal_fail(err, PSAL_ERR_IO, "%s: cannot look for statistics: %s", folder, strerror(errno));
    psal_status status = PSAL_OK;
    for (int i = 0; i < count; i++) {
        char path[4096];
        if (status == PSAL_OK && snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) < (int)sizeof path)
            status = consider(s, path, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* The folder part of a path, in place. */
static void to_folder(char *path) {
    char *slash = strrchr(path, '/');
    if (slash) *slash = '\0';
}

static psal_status search_folders(search *s, psal_error *err) {
    char box[4096] = "", folder[4096], resolved[4096];
    psal_status status = PSAL_OK;
    if (psal_box_file(PSAL_DEFAULT_WEIGHTS, box, NULL) == PSAL_OK) {
        to_folder(box);
        status = search_folder(s, box, err);
    }
    snprintf(folder, sizeof folder, "%s", s->session->weights);
    if (!strchr(folder, '/')) snprintf(folder, sizeof folder, "./");
    to_folder(folder);
    bool again = realpath(folder, resolved) && strcmp(resolved, box) == 0;
    return status == PSAL_OK && !again ? search_folder(s, folder, err) : status;
}

/* What weights/fetch stores beside a torchvision network: the original authors' statistics. They say nothing of
 * themselves, so that the name must do, and what is known of them. */
static psal_statistics *authors_statistics(search *s, psal_session *session, char path[4096], psal_error *err) {
    const psal_model_info *info = session->info;
    const bool inception = strcmp(info->family, "inception") == 0;
    psal_computation known = {0};
    char name[256];
    psal_computation_set(&known, PSAL_FIELD_VARIANT, "v1.5");
    psal_computation_set_number(&known, PSAL_FIELD_BN_EPSILON, inception ? 1e-3 : 1e-5);
    psal_computation_set(&known, PSAL_FIELD_TRANSFORM_INPUT, "1");
    psal_computation_set(&known, PSAL_FIELD_PREPROCESS, "torchvision");
    psal_computation_set_profile(&known, &(psal_saliency_options){0}, false);
    snprintf(name, sizeof name, "ImageNet_val_saliency_stat_%s_filter_wise.pth", info->arch);
    if (info->num_classes != 1000) return NULL;
    psal_error why = PSAL_ERROR_INIT;
    psal_status found = psal_cache_file(name, path, &why);
    if (found == PSAL_ERR_IO) psal_fail(err, found, "%s", why.message);
    if (found != PSAL_OK) return NULL;
    if (psal_computation_check(&known, s->here, PSAL_FIELDS_PROFILE, &why) != PSAL_OK) {
        if (!*s->nearly) snprintf(s->nearly, sizeof s->nearly, "%s: %s", path, why.message);
        return NULL;
    }
    psal_statistics *statistics = read_statistics(path, err);
    if (statistics && statistics->length != s->length) {
        psal_statistics_free(statistics);
        return NULL;
    }
    if (statistics && !session->fetched)
        psal_note(&session->notes, "%s: the original authors' statistics, of torchvision's pretrained %s", path,
                  info->arch);
    return statistics;
}

/* What to say to psal-stats: all that this command line says of the network and of the profile. */
static const char *const of_profile[] = {"weights-key",
                                         "ignore-extra",
                                         "model",
                                         "variant",
                                         "bn-epsilon",
                                         "transform-input",
                                         "preprocess",
                                         "labels",
                                         "conv",
                                         "processor",
                                         "aggregation",
                                         "signed",
                                         "gradient-weight",
                                         "logit",
                                         "logit-difference",
                                         NULL};

/* With tails there is a store between data set and statistics. */
static void fail_without(const search *s, const psal_options *options, psal_error *err) {
    const psal_session *session = s->session;
    const char *found = *s->nearly ? s->nearly : s->unread;
    char *again = psal_options_repeat(options, of_profile);
    psal_fail(err, PSAL_ERR_ARGUMENT,
              "no statistics%s known for these weights of %s%s%.400s%s: make them with 'psal-stats --weights %s%s "
              "--data DIR --out S.safetensors%s' and give --stats %s",
              s->tails ? " with tails" : "", session->info->arch,
              *s->nearly ? " with these settings ("
              : *found   ? " ("
                         : "",
              found, *found ? ")" : "", session->weights, again ? again : "",
              s->tails ? " --profiles P.npy' and 'psal-stats tail P.npy T.safetensors" : "",
              s->tails ? "T.safetensors" : "S.safetensors");
    free(again);
}

/* What it means that the statistics are of the weights before the edit that was saved, and how others are made. */
static void note_base(psal_session *s, const psal_options *options, const psal_statistics *statistics,
                      const char *path) {
    const char *base = statistics->computation.value[PSAL_FIELD_WEIGHTS], *data = psal_known_data(options);
    const psal_project *project = psal_options_project(options);
    const char *slash = strrchr(s->weights, '/'), *dot = strrchr(s->weights, '.');
    const size_t stem = dot && (!slash || dot > slash) ? (size_t)(dot - s->weights) : strlen(s->weights);
    char *again = psal_options_repeat(options, of_profile), *command = NULL, name[4200];
    size_t size;
    /* The project that is left aside may be of the weights before the edit. */
    if (!data && project && strcmp(project->fingerprint, base) == 0) data = psal_project_text(project, "data");
    snprintf(name, sizeof name, "%.*s_stats.safetensors", (int)stem, s->weights);
    FILE *out = open_memstream(&command, &size);
    if (out) {
        fputs("psal-stats", out);
        psal_write_option(out, "--weights", s->weights);
        fputs(again ? again : "", out);
        psal_write_option(out, "--data", data ? data : "DIR");
        psal_write_option(out, "--out", name);
        if (fclose(out) == 0)
            psal_note(&s->notes,
                      "%s: %sa filter that was edited stands out for that alone, whatever the image; statistics of the "
                      "edited weights are made by: %s",
                      path, psal_options_has(options, "stats") ? "" : "the best that was found; ", command);
    }
    free(command);
    free(again);
}

static psal_statistics *find_statistics(psal_session *session, const psal_options *options,
                                        const psal_computation *here, int64_t length, bool tails, char path[4096],
                                        psal_error *err) {
    search s = {.session = session, .here = here, .length = length, .tails = tails};
    if (search_folders(&s, err) != PSAL_OK) return NULL;
    if (s.fitting > 1)
        psal_note(&session->notes, "%d files of statistics fit: %s is used, with %lld samples; --stats chooses another",
                  s.fitting, s.path, (long long)s.samples);
    if (s.fitting) {
        memcpy(path, s.path, sizeof s.path);
        return psal_session_statistics_file(path, here, length, &session->notes, err);
    }
    psal_error why = PSAL_ERROR_INIT;
    psal_statistics *statistics = tails ? NULL : authors_statistics(&s, session, path, &why);
    if (statistics) return statistics;
    if (why.status != PSAL_OK)
        psal_fail(err, why.status, "%s", why.message);
    else
        fail_without(&s, options, err);
    return NULL;
}

/* Folding multiplies a filter's saliency by what it divided its weights by: only statistics of the same folded weights
 * belong to it. */
static psal_status check_folded(const psal_session *s, const psal_statistics *statistics, const psal_computation *here,
                                const char *path, psal_error *err) {
    const char *theirs = statistics->computation.value[PSAL_FIELD_WEIGHTS];
    const bool same = strcmp(theirs, here->value[PSAL_FIELD_WEIGHTS]) == 0 ||
                      strcmp(theirs, here->value[PSAL_FIELD_BASE]) == 0;
    if (!s->info->norm_folded || (*theirs && same)) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "%s: not of these weights, and batch normalisation is folded into the convolutions of %s: only "
                     "statistics that psal-stats makes with that file belong to it",
                     path, s->weights);
}

static psal_statistics *open_statistics(psal_session *s, const psal_options *options,
                                        const psal_saliency_options *saliency, int64_t length, bool normalized,
                                        bool tails, char path_out[4096], psal_error *err) {
    char path[4096];
    const char *given = psal_options_string(options, "stats");
    psal_computation here;
    psal_session_computation(s, saliency, normalized, &here);
    if (given && snprintf(path, sizeof path, "%s", given) >= (int)sizeof path) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "--stats: the path is too long");
        return NULL;
    }
    psal_statistics *statistics = given ? psal_session_statistics_file(path, &here, length, &s->notes, err)
                                        : find_statistics(s, options, &here, length, tails, path, err);
    if (statistics && (check_folded(s, statistics, &here, path, err) != PSAL_OK ||
                       (tails && psal_session_check_tails(statistics, path, err) != PSAL_OK))) {
        psal_statistics_free(statistics);
        return NULL;
    }
    if (statistics && !tails && is_of_base(statistics, &here) && !*here.value[PSAL_FIELD_DELTAS])
        note_base(s, options, statistics, path);
    if (statistics) psal_note_few_samples(&s->notes, path, statistics->count);
    if (statistics && path_out) memcpy(path_out, path, sizeof path);
    return statistics;
}

psal_status psal_session_check_reference(const psal_statistics *statistics, const char *path,
                                         const psal_computation *there, const char *other, psal_error *err) {
    const psal_computation *c = &statistics->computation;
    if (psal_computation_difference(c, there, PSAL_FIELD_SET(PSAL_FIELD_ONLY)) == PSAL_FIELD_COUNT) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "%s: its reference set is '%s', but that of %s is '%s': give one of the same", path,
                     c->value[PSAL_FIELD_ONLY], other, there->value[PSAL_FIELD_ONLY]);
}

psal_status psal_session_check_tails(const psal_statistics *statistics, const char *path, psal_error *err) {
    if (statistics->tail) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "%s: holds no tails, which --mode pot needs: make some with 'psal-stats tail STORE.npy OUT', of a "
                     "store of psal-stats --profiles",
                     path);
}

psal_statistics *psal_session_statistics(psal_session *s, const psal_options *options,
                                         const psal_saliency_options *saliency, int64_t length, bool normalized,
                                         char path_out[4096], psal_error *err) {
    return open_statistics(s, options, saliency, length, normalized, false, path_out, err);
}

psal_statistics *psal_session_mode_statistics(psal_session *s, const psal_options *options,
                                              const psal_saliency_options *saliency, psal_mode mode, int64_t length,
                                              char path_out[4096], psal_error *err) {
    return open_statistics(s, options, saliency, length, false, mode == PSAL_MODE_POT, path_out, err);
}

psal_mode psal_mode_of(const psal_options *options) {
    return psal_options_choice(options, "mode") == 0 ? PSAL_MODE_STD : PSAL_MODE_POT;
}
