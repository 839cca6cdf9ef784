/* Finding the weights in what a training script saved. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/pth.h"

#define MAX_DEPTH 4      /* of dictionaries around the weights */
#define MAX_WORK 4000000 /* entries looked at: values may be shared, so a small file can be a huge tree */

/* Under which keys training scripts keep the weights, best first. */
static const char *const wrappers[] = {"state_dict", "model_state_dict", "model_state", "model",     "net",
                                       "network",    "weights",          "params",      "model_ema", "ema"};

struct search {
    size_t work;
    const psal_pickle_value *path[MAX_DEPTH]; /* the dictionaries entered, outermost first */
    const char *keys[MAX_DEPTH];              /* not terminated: of the strings that lead into the next one */
    size_t key_sizes[MAX_DEPTH];
    int depth;
};

static bool is_entry(const psal_pickle_value *dict, size_t i) {
    return dict->list.items[i]->kind == PSAL_PICKLE_STRING;
}

static bool holds_tensors(const psal_pickle_value *dict) {
    for (size_t i = 0; i + 1 < dict->list.count; i += 2)
        if (is_entry(dict, i) && dict->list.items[i + 1]->kind == PSAL_PICKLE_TENSOR) return true;
    return false;
}

static const psal_pickle_value *find_weights(struct search *search, const psal_pickle_value *dict);

static const psal_pickle_value *enter(struct search *search, const psal_pickle_value *dict, size_t i) {
    const psal_pickle_value *key = dict->list.items[i], *value = dict->list.items[i + 1];
    if (value->kind != PSAL_PICKLE_DICT || search->depth == MAX_DEPTH) return NULL;
    int at = search->depth++;
    search->path[at] = dict;
    search->keys[at] = key->text.bytes;
    search->key_sizes[at] = key->text.size;
    const psal_pickle_value *found = find_weights(search, value);
    if (!found) search->depth = at;
    return found;
}

/* The dictionary of weights in or under `dict`; NULL when there is none or too much to look at.
 * search->path tells the way. A well-known key comes first, then tensors right here, then any other
 * dictionary. */
static const psal_pickle_value *find_weights(struct search *search, const psal_pickle_value *dict) {
    size_t cost = dict->list.count * (sizeof wrappers / sizeof *wrappers + 2) + 1;
    if (cost > search->work) return NULL;
    search->work -= cost;
    const psal_pickle_value *found = NULL;
    for (size_t w = 0; w < sizeof wrappers / sizeof *wrappers; w++)
        for (size_t i = 0; i + 1 < dict->list.count; i += 2)
            if (psal_pickle_is_string(dict->list.items[i], wrappers[w]) && (found = enter(search, dict, i)))
                return found;
    if (holds_tensors(dict)) return dict;
    for (size_t i = 0; i + 1 < dict->list.count; i += 2) {
        const psal_pickle_value *key = dict->list.items[i];
        /* An optimizer's state holds tensors too, but no weights. */
        if (is_entry(dict, i) && !psal_pickle_is_string(key, "optimizer") &&
            !psal_pickle_is_string(key, "optimizer_state_dict") && (found = enter(search, dict, i)))
            return found;
    }
    return NULL;
}

/* Up to eight key names of what `keep` rejects, for a note. */
struct listing {
    char text[400];
    size_t used, count;
};

static void list_key(struct listing *listing, const psal_pickle_value *key) {
    char name[100];
    if (listing->count++ >= 8) return;
    if (key->kind == PSAL_PICKLE_STRING)
        snprintf(name, sizeof name, "%.*s", key->text.size < 40 ? (int)key->text.size : 40, key->text.bytes);
    else
        psal_pickle_describe(key, name, sizeof name);
    int more = snprintf(listing->text + listing->used, sizeof listing->text - listing->used, "%s%s",
                        listing->used ? ", " : "", name);
    if (more > 0 && listing->used + (size_t)more < sizeof listing->text) listing->used += (size_t)more;
}

static void note_listing(psal_notes *notes, const struct listing *listing, const char *what) {
    if (listing->count)
        psal_note(notes, "ignored %zu %s: %s%s", listing->count, what, listing->text,
                  listing->count > 8 ? ", ..." : "");
}

static void note_way(const struct search *search, psal_notes *notes) {
    char way[300] = "";
    size_t used = 0;
    struct listing beside = {.used = 0};
    for (int d = 0; d < search->depth; d++) {
        int more = snprintf(way + used, sizeof way - used, "%s%.*s", d ? "." : "",
                            search->key_sizes[d] < 60 ? (int)search->key_sizes[d] : 60, search->keys[d]);
        if (more > 0 && used + (size_t)more < sizeof way) used += (size_t)more;
        const psal_pickle_value *dict = search->path[d];
        for (size_t i = 0; i + 1 < dict->list.count; i += 2)
            if (!is_entry(dict, i) || dict->list.items[i]->text.bytes != search->keys[d])
                list_key(&beside, dict->list.items[i]);
    }
    if (search->depth) psal_note(notes, "took the weights under '%s'", way);
    note_listing(notes, &beside, "entries beside the weights");
}

static psal_status describe_failure(const psal_pickle_value *root, psal_error *err) {
    char text[200];
    if (root->kind != PSAL_PICKLE_DICT)
        return psal_fail(err, PSAL_ERR_FORMAT, "holds %s, no dictionary of weights",
                         psal_pickle_describe(root, text, sizeof text));
    struct listing listing = {.used = 0};
    for (size_t i = 0; i + 1 < root->list.count; i += 2) list_key(&listing, root->list.items[i]);
    return psal_fail(err, PSAL_ERR_FORMAT, "holds no tensors, only %s%s", listing.count ? listing.text : "nothing",
                     listing.count > 8 ? ", ..." : "");
}

static psal_status add_weights(psal_pth *pth, psal_tensor_map *map, psal_notes *notes, bool *views, psal_error *err) {
    psal_pickle_value *root = psal_pth_root(pth);
    bool is_view;
    if (root->kind == PSAL_PICKLE_TENSOR) {
        psal_status status = psal_pth_add_tensor(pth, root, "tensor", map, &is_view, err);
        *views |= is_view;
        return status;
    }
    struct search search = {.work = MAX_WORK};
    const psal_pickle_value *weights = root->kind == PSAL_PICKLE_DICT ? find_weights(&search, root) : NULL;
    if (!weights) return describe_failure(root, err);
    note_way(&search, notes);
    struct listing others = {.used = 0};
    for (size_t i = 0; i + 1 < weights->list.count; i += 2) {
        const psal_pickle_value *key = weights->list.items[i], *value = weights->list.items[i + 1];
        if (key->kind != PSAL_PICKLE_STRING || value->kind != PSAL_PICKLE_TENSOR) {
            list_key(&others, key);
            continue;
        }
        if (memchr(key->text.bytes, 0, key->text.size))
            return psal_fail(err, PSAL_ERR_FORMAT, "the name of tensor number %zu contains a NUL", i / 2);
        char *name = strndup(key->text.bytes, key->text.size);
        if (!name) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        psal_status status = psal_pth_add_tensor(pth, value, name, map, &is_view, err);
        free(name);
        if (status != PSAL_OK) return status;
        *views |= is_view;
    }
    note_listing(notes, &others, "entries among the weights that are no tensors");
    return PSAL_OK;
}

static void release_pth(void *pth, size_t size) {
    (void)size;
    psal_pth_close(pth);
}

psal_tensor_map *psal_pth_read(const char *path, psal_notes *notes, psal_error *err) {
    psal_pth *pth = psal_pth_open(path, err);
    if (!pth) return NULL;
    psal_tensor_map *map = psal_tensor_map_new();
    bool views = false;
    psal_status status = map ? add_weights(pth, map, notes, &views, err)
                             : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status == PSAL_OK)
        status = psal_tensor_map_set_meta(map, "format", psal_pth_is_legacy(pth) ? "pth-legacy" : "pth", err);
    if (status == PSAL_OK && views) {
        status = psal_tensor_map_adopt(map, pth, 0, release_pth, err);
        if (status == PSAL_OK) return map;
    }
    psal_pth_close(pth); /* everything was copied, or something went wrong */
    if (status == PSAL_OK) return map;
    psal_fail_prefix(err, "%s", path);
    psal_tensor_map_free(map);
    return NULL;
}
