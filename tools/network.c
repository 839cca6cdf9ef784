#include "tools/network.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/project.h"

/* VGG-11, the smallest network, has 22; smaller parts are not tried beside larger ones. */
#define FEWEST_TENSORS 16
#define MOST_TRIALS 32

/* A part of the file that was tried. */
typedef struct trial {
    const psal_checkpoint_part *part;
    const char *prefix; /* of names in it; NULL: none asked for */
    psal_tensor_map *map;
    psal_model *model; /* NULL: it is no network, see error */
    psal_notes notes;
    char remarks[1024];
    psal_error error;
    size_t tensors;
} trial;

typedef struct trials {
    trial *at;
    size_t count;
    const char **ignored; /* what --ignore-extra says */
    size_t ignored_count;
} trials;

static void clear(trial *t) {
    psal_model_free(t->model);
    psal_tensor_map_free(t->map);
    psal_notes_free(&t->notes);
    t->model = NULL;
    t->map = NULL;
}

static void clear_all(trials *all) {
    for (size_t i = 0; i < all->count; i++) clear(&all->at[i]);
    free(all->at);
    free(all->ignored);
}

/* ---- --weights-key ---- */

/* What is left of `key` behind `begin` and a dot; NULL when it begins otherwise. */
static const char *behind(const char *key, const char *begin) {
    size_t length = strlen(begin);
    return length && strncmp(key, begin, length) == 0 && key[length] == '.' && key[length + 1] ? key + length + 1
                                                                                               : NULL;
}

/* The parts to try. */
static size_t choose_parts(const psal_checkpoint *checkpoint, const char *key, trial *all) {
    size_t count = 0, parts = psal_checkpoint_part_count(checkpoint), largest = 0, longest = 0;
    for (size_t i = 0; i < parts; i++) {
        const psal_checkpoint_part *part = psal_checkpoint_part_at(checkpoint, i);
        if (part->tensors > largest) largest = part->tensors;
        if (key && strcmp(part->key, key) == 0) {
            all[0] = (trial){.part = part};
            return 1;
        }
        if (key && behind(key, part->key) && strlen(part->key) > longest) longest = strlen(part->key);
    }
    for (size_t i = 0; i < parts && count < MOST_TRIALS; i++) {
        const psal_checkpoint_part *part = psal_checkpoint_part_at(checkpoint, i);
        if (longest && !(behind(key, part->key) && strlen(part->key) == longest)) continue;
        if (!longest && part->tensors < FEWEST_TENSORS && largest >= FEWEST_TENSORS) continue;
        all[count++] = (trial){.part = part, .prefix = longest ? behind(key, part->key) : key};
    }
    return count;
}

static bool has_prefix(const psal_tensor_map *map, const char *prefix) {
    size_t length = strlen(prefix);
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const char *name = psal_tensor_map_name(map, i);
        if (strncmp(name, prefix, length) == 0 && (name[length] == '.' || (length && prefix[length - 1] == '.')))
            return true;
    }
    return false;
}

/* ---- which one ---- */

static bool same_weights(const psal_tensor_map *a, const psal_tensor_map *b) {
    if (psal_tensor_map_count(a) != psal_tensor_map_count(b)) return false;
    for (size_t i = 0; i < psal_tensor_map_count(a); i++) {
        const psal_tensor *x = psal_tensor_map_at(a, i), *y = psal_tensor_map_get(b, psal_tensor_map_name(a, i));
        if (!y || x->dtype != y->dtype || !psal_shape_equal(&x->shape, &y->shape)) return false;
        size_t bytes = (size_t)psal_shape_count(&x->shape) * psal_dtype_size(x->dtype);
        if (x->data != y->data && bytes && memcmp(x->data, y->data, bytes) != 0) return false;
    }
    return true;
}

static const char *key_of(const trial *t) {
    return *t->part->key ? t->part->key : "the file itself";
}

/* Whether no other weights, architecture or computation could have been meant. */
static bool is_certain(const trials *all, const trial *chosen) {
    const psal_model_info *info = psal_model_get_info(chosen->model);
    if (info->one_of_several || info->arch_assumed || info->doubtful) return false;
    for (size_t i = 0; i < all->count; i++)
        if (all->at[i].model && &all->at[i] != chosen && !same_weights(all->at[i].map, chosen->map)) return false;
    return true;
}

/* "'generator' (resnet18, 122 tensors), ..." of all but `chosen`. */
static void name_networks(const trials *all, const trial *chosen, char *text, size_t size) {
    size_t used = 0;
    *text = '\0';
    for (size_t i = 0; i < all->count; i++) {
        const trial *t = &all->at[i];
        if (!t->model || t == chosen || used >= size) continue;
        used += (size_t)snprintf(text + used, size - used, "%s'%.60s' (%s, %zu tensors)", used ? ", " : "", key_of(t),
                                 psal_model_get_info(t->model)->arch, t->tensors);
    }
}

/* The parts that are left when averages stand back behind weights and the same weights are counted once. Returns how
 * many,
 * *chosen becomes the first. */
static size_t narrow(const trials *all, trial **chosen) {
    size_t plain = 0, count = 0;
    *chosen = NULL;
    for (size_t i = 0; i < all->count; i++) plain += all->at[i].model && !all->at[i].part->average;
    for (size_t i = 0; i < all->count; i++) {
        trial *t = &all->at[i];
        bool again = false;
        if (!t->model || (plain && t->part->average)) continue;
        for (size_t k = 0; k < i; k++)
            again |= all->at[k].model && all->at[k].part->average == t->part->average &&
                     same_weights(all->at[k].map, t->map);
        if (!again && count++ == 0) *chosen = t;
    }
    return count;
}

/* A part that is no network, though it should have been rather than the smaller `chosen`. */
static const trial *passed_over(const trials *all, const trial *chosen) {
    for (size_t i = 0; i < all->count; i++) {
        const trial *t = &all->at[i];
        if (t->model || t->part->average) continue;
        if (chosen->part->average ? 2 * t->tensors >= chosen->tensors : t->part->usual && t->tensors >= chosen->tensors)
            return t;
    }
    return NULL;
}

static psal_status choose(const trials *all, trial **chosen, psal_error *err) {
    char text[600];
    size_t count = narrow(all, chosen);
    if (count > 1) {
        name_networks(all, NULL, text, sizeof text);
        return psal_fail(err, PSAL_ERR_ARGUMENT, "holds %zu networks: %s; choose one with --weights-key KEY", count,
                         text);
    }
    const trial *failed = *chosen ? passed_over(all, *chosen) : &all->at[0];
    if (!failed) return PSAL_OK;
    *err = failed->error;
    if (*chosen)
        return psal_fail(err, err->status, "%s%s%s%.700s; there is also '%s' (%s), which --weights-key takes",
                         *failed->part->key ? "under '" : "", failed->part->key, *failed->part->key ? "': " : "",
                         failed->error.message, key_of(*chosen), psal_model_get_info((*chosen)->model)->arch);
    size_t used = 0;
    *text = '\0';
    for (size_t i = 0; i < all->count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s'%.60s' (%zu tensors)", i ? ", " : "",
                                 key_of(&all->at[i]), all->at[i].tensors);
    if (all->count == 1) return psal_error_status(err);
    return psal_fail(err, err->status, "under '%.60s': %.600s; dictionaries of tensors there: %s", key_of(failed),
                     failed->error.message, text);
}

/* ---- what comes behind ---- */

/* A matrix with a column for each output, called as a layer's weights are: a classifier of its own. */
static size_t find_layer(const psal_tensor_map *map, int64_t outputs) {
    static const char end[] = ".weight";
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        const char *name = psal_tensor_map_name(map, i);
        size_t length = strlen(name), part = sizeof end - 1;
        bool is_weight = strcmp(name, end + 1) == 0 || (length > part && strcmp(name + length - part, end) == 0);
        if (is_weight && tensor->shape.ndim == 2 && tensor->shape.dim[1] == outputs) return i;
    }
    return SIZE_MAX;
}

/* Refuse when a small part beside the chosen one, {"backbone": ..., "head": ...}, takes the network's outputs: the
 * classes are that part's. --weights-key says that it has no part in the answer. */
static psal_status check_behind(psal_checkpoint *checkpoint, const trial *chosen, psal_error *err) {
    const int outputs = psal_model_get_info(chosen->model)->num_classes;
    psal_status status = PSAL_OK;
    for (size_t i = 0; status == PSAL_OK && i < psal_checkpoint_part_count(checkpoint); i++) {
        const psal_checkpoint_part *part = psal_checkpoint_part_at(checkpoint, i);
        psal_error unread = PSAL_ERROR_INIT;
        char shape[96];
        if (part == chosen->part || part->tensors >= FEWEST_TENSORS) continue;
        psal_tensor_map *map = psal_checkpoint_part_read(checkpoint, i, NULL, &unread);
        size_t at = map ? find_layer(map, outputs) : SIZE_MAX;
        if (!map && unread.status == PSAL_ERR_MEMORY) status = psal_fail(err, PSAL_ERR_MEMORY, "%s", unread.message);
        if (at != SIZE_MAX)
            status = psal_fail(
                err, PSAL_ERR_UNSUPPORTED,
                "there is '%.100s' (%s) under '%.100s', a layer that psal does not know and that takes the %d outputs "
                "of '%.100s' (%s); if it has no part in the answer, %s%.100s",
                psal_tensor_map_name(map, at),
                psal_shape_format(&psal_tensor_map_at(map, at)->shape, shape, sizeof shape),
                *part->key ? part->key : ".", outputs, key_of(chosen), psal_model_get_info(chosen->model)->arch,
                *chosen->part->key ? "choose with --weights-key " : "save the network without it", chosen->part->key);
        psal_tensor_map_free(map);
    }
    return status;
}

/* ---- opening ---- */

/* What --ignore-extra says; *count is set. The caller frees. NULL when out of memory. */
static const char **ignored_names(const psal_options *options, size_t *count, psal_error *err) {
    *count = psal_options_count(options, "ignore-extra");
    const char **names = malloc((*count + 1) * sizeof *names);
    if (!names) psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < *count && names; i++) names[i] = psal_options_string_at(options, "ignore-extra", i);
    return names;
}

static psal_status try_all(psal_checkpoint *checkpoint, const psal_options *options, const psal_model_options *wanted,
                           trials *all, psal_error *err) {
    const char *key = psal_options_string(options, "weights-key");
    char there[600] = "";
    size_t used = 0;
    all->at = calloc(psal_checkpoint_part_count(checkpoint) + 1, sizeof *all->at);
    all->ignored = ignored_names(options, &all->ignored_count, err);
    if (!all->at || !all->ignored) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    const size_t count = choose_parts(checkpoint, key, all->at);
    for (size_t i = 0; i < count; i++) {
        trial *t = &all->at[all->count];
        *t = all->at[i];
        psal_model_options with = *wanted;
        with.prefix = t->prefix;
        with.ignore_extra = all->ignored;
        with.ignore_extra_count = (int)all->ignored_count;
        t->map = psal_checkpoint_part_read(checkpoint, (size_t)(t->part - psal_checkpoint_part_at(checkpoint, 0)),
                                           &t->notes, err);
        if (!t->map) return psal_error_status(err); /* damaged: names the file */
        t->tensors = psal_tensor_map_count(t->map);
        if (t->prefix && !psal_tensor_map_description(t->map) && !has_prefix(t->map, t->prefix)) {
            if (used < sizeof there)
                used += (size_t)snprintf(there + used, sizeof there - used,
                                         "%s'%.60s' (%zu tensors, the first is '%.60s')", used ? ", " : "", key_of(t),
                                         t->tensors, psal_tensor_map_name(t->map, 0));
            clear(t);
            continue;
        }
        all->count++;
        t->model = psal_model_load(t->map, &with, t->remarks, &t->error);
        if (!t->model && t->error.status == PSAL_ERR_MEMORY)
            return psal_fail(err, PSAL_ERR_MEMORY, "%s", t->error.message);
    }
    if (all->count) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "--weights-key %.100s is neither the key of a dictionary nor the beginning of names; there are %s",
                     key, there);
}

/* What psal-init remarked of the weights need not be said by every program of its project, unless it makes results
 * doubtful. */
static void remark(psal_notes *notes, const psal_options *options, const char *path, bool doubtful, const char *text) {
    if (doubtful)
        psal_note_warning(notes, "%s: %s", path, text);
    else if (!psal_project_has_note(psal_options_project(options), text))
        psal_note(notes, "%s: %s", path, text);
}

psal_model *psal_open_network(const char *path, const psal_options *options, const psal_model_options *wanted,
                              psal_tensor_map **map, psal_notes *notes, psal_error *err) {
    psal_checkpoint *checkpoint = psal_checkpoint_open(path, err);
    trials all = {.count = 0};
    trial *chosen = NULL;
    *map = NULL;
    if (!checkpoint) return NULL;
    psal_status status = try_all(checkpoint, options, wanted, &all, err);
    if (status == PSAL_OK) status = choose(&all, &chosen, err);
    if (status == PSAL_OK && !psal_options_string(options, "weights-key"))
        status = check_behind(checkpoint, chosen, err);
    if (status != PSAL_OK && strncmp(err->message, path, strlen(path)) != 0) psal_fail_prefix(err, "%s", path);
    psal_model *model = NULL;
    if (status == PSAL_OK) {
        char others[600];
        name_networks(&all, chosen, others, sizeof others);
        const bool doubtful = !is_certain(&all, chosen);
        for (size_t i = 0; i < chosen->notes.count; i++) remark(notes, options, path, false, chosen->notes.lines[i]);
        if (*others) {
            char text[700];
            snprintf(text, sizeof text, "left other networks aside, which --weights-key KEY takes: %s", others);
            remark(notes, options, path, doubtful, text);
        }
        if (*chosen->remarks) remark(notes, options, path, doubtful, chosen->remarks);
        model = chosen->model;
        *map = chosen->map;
        chosen->model = NULL; /* the caller's now */
        chosen->map = NULL;
    }
    clear_all(&all);
    psal_checkpoint_close(checkpoint);
    return model;
}

psal_model *psal_given_network(const psal_tensor_map *tensors, const char *name, const psal_options *options,
                               const psal_model_options *wanted, psal_notes *notes, psal_error *err) {
    psal_model_options with = *wanted;
    char remarks[1024];
    size_t count;
    const char **ignored = ignored_names(options, &count, err);
    if (!ignored) return NULL;
    with.prefix = psal_options_string(options, "weights-key");
    with.ignore_extra = ignored;
    with.ignore_extra_count = (int)count;
    psal_model *model = psal_model_load(tensors, &with, remarks, err);
    free(ignored);
    if (!model) {
        psal_fail_prefix(err, "%s", name);
        return NULL;
    }
    const psal_model_info *info = psal_model_get_info(model);
    const bool certain = !info->one_of_several && !info->arch_assumed && !info->doubtful;
    if (*remarks) (certain ? psal_note : psal_note_warning)(notes, "%s: %s", name, remarks);
    return model;
}

psal_status psal_check_channels(const psal_model_info *info, const char *path, const psal_preprocess *said,
                                psal_error *err) {
    if (info->channels != 1 && info->channels != 3)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "%s takes images of %d channels: psal reads images of 3, or of 1 (--preprocess \"grey;...\")",
                         path, info->channels);
    if (!said && info->channels == 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s takes grey images and does not record how they are prepared: give --preprocess, such as "
                         "\"grey;resize=256;crop=224;scale=255;mean=0.5;std=0.5\"",
                         path);
    const int made = said ? psal_preprocess_channels(said) : 3;
    if (made == info->channels) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "the preprocessing makes images of %d channel%s, but %s takes %d", made,
                     made == 1 ? "" : "s", path, info->channels);
}
