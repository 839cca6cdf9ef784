/* Finding the weights in what a training script saved. */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/pickle_internal.h"
#include "io/pth.h"

#define MAX_DEPTH 8      /* of containers around the weights */
#define MAX_KEY 400      /* bytes of the way to a dictionary */
#define MAX_WORK 4000000 /* values looked at for what objects among the weights hold */

/* Under which keys training scripts keep the weights, best first. */
static const char *const usual_keys[] = {"state_dict", "model_state_dict", "model_state", "model",
                                         "net",        "network",          "weights",     "params"};
enum { USUAL_COUNT = sizeof usual_keys / sizeof *usual_keys };

/* ---- walking ---- */

/* A container, and how it was come to. */
typedef struct place {
    const psal_pickle_value *value;
    size_t parent; /* its number; SIZE_MAX for the root */
    size_t item;   /* which of the parent's items it is */
    int depth;
} place;

typedef struct walk {
    place *places; /* breadth first: each container once, on the shortest way to it */
    size_t count, capacity;
    uint32_t mark; /* of the values that are in it */
} walk;

static bool is_container(const psal_pickle_value *value) {
    return value->kind == PSAL_PICKLE_DICT || value->kind == PSAL_PICKLE_TUPLE || value->kind == PSAL_PICKLE_LIST;
}

/* Whether the key says that this is the state of an optimizer or a scheduler, which holds tensors but no weights. */
static bool names_optimizer(const psal_pickle_value *key) {
    static const char *const words[] = {"optimizer", "optimiser", "scheduler"};
    if (key->kind != PSAL_PICKLE_STRING) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(key->text.bytes, key->text.size, words[i], strlen(words[i]))) return true;
    return psal_pickle_is_string(key, "optim") || psal_pickle_is_string(key, "opt");
}

static psal_status visit(walk *w, psal_pickle_value *value, size_t parent, size_t item, psal_error *err) {
    int depth = parent == SIZE_MAX ? 0 : w->places[parent].depth + 1;
    if (value->mark == w->mark || depth > MAX_DEPTH || !is_container(value)) return PSAL_OK;
    value->mark = w->mark;
    if (psal_pickle_get(value, "param_groups") && psal_pickle_get(value, "state")) return PSAL_OK; /* an optimizer's */
    if (!psal_pickle_grow((void **)&w->places, &w->capacity, w->count + 1, sizeof *w->places))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    w->places[w->count++] = (place){value, parent, item, depth};
    return PSAL_OK;
}

static psal_status walk_all(walk *w, psal_pth *pth, psal_error *err) {
    *w = (walk){.mark = psal_pth_new_mark(pth)};
    psal_status status = visit(w, psal_pth_root(pth), SIZE_MAX, 0, err);
    for (size_t p = 0; p < w->count && status == PSAL_OK; p++) {
        const psal_pickle_value *value = w->places[p].value;
        bool dict = value->kind == PSAL_PICKLE_DICT;
        for (size_t i = dict; i < value->list.count && status == PSAL_OK; i += dict + 1u) {
            const psal_pickle_value *key = dict ? value->list.items[i - 1] : NULL;
            bool enter = !key || key->kind == PSAL_PICKLE_INT ||
                         (key->kind == PSAL_PICKLE_STRING && !names_optimizer(key));
            if (enter) status = visit(w, value->list.items[i], p, i, err);
        }
    }
    return status;
}

/* "checkpoint.model", "0": the way to item `item` of place `parent`; with `python`, "['checkpoint']['model']". Cut at
 * its beginning when too long. */
static void write_key(const walk *w, size_t parent, size_t item, bool python, char text[MAX_KEY]) {
    size_t at = MAX_KEY - 1;
    text[at] = '\0';
    while (parent != SIZE_MAX) {
        const psal_pickle_value *container = w->places[parent].value;
        bool dict = container->kind == PSAL_PICKLE_DICT;
        const psal_pickle_value *key = dict ? container->list.items[item - 1] : NULL;
        char step[110];
        if (key && key->kind == PSAL_PICKLE_STRING)
            snprintf(step, sizeof step, python ? "['%.*s']" : "%.*s", key->text.size < 99 ? (int)key->text.size : 99,
                     key->text.bytes);
        else if (key && key->kind != PSAL_PICKLE_INT)
            psal_pickle_describe(key, step, sizeof step);
        else
            snprintf(step, sizeof step, python ? "[%" PRId64 "]" : "%" PRId64, key ? key->integer : (int64_t)item);
        size_t length = strlen(step), dot = text[at] != '\0' && !python;
        if (length + dot > at) break;
        at -= dot;
        if (dot) text[at] = '.';
        at -= length;
        memcpy(text + at, step, length);
        item = w->places[parent].item;
        parent = w->places[parent].parent;
    }
    memmove(text, text + at, MAX_KEY - at);
}

/* Whether a tensor lies in what `value` was made of. Each value is looked at once per `mark`; *work counts down, and
 * when it is used up the answer is yes. Out of memory: yes. */
static bool holds_tensor(psal_pickle_value *value, uint32_t mark, size_t *work) {
    psal_pickle_value **stack = NULL;
    size_t depth = 0, capacity = 0;
    bool found = !psal_pickle_grow((void **)&stack, &capacity, 1, sizeof *stack);
    if (!found) stack[depth++] = value;
    while (depth && !found) {
        const psal_pickle_value *next = stack[--depth];
        if (next->kind == PSAL_PICKLE_TENSOR && next->tensor->storage)
            found = !next->tensor->storage->inline_data; /* NumPy's are no weights */
        bool inside = is_container(next) || next->kind == PSAL_PICKLE_SET || next->kind == PSAL_PICKLE_OPAQUE;
        for (size_t i = 0; inside && i < next->list.count && !found; i++) {
            psal_pickle_value *item = next->list.items[i];
            if (item->mark == mark) continue;
            item->mark = mark;
            if (!*work || !psal_pickle_grow((void **)&stack, &capacity, depth + 1, sizeof *stack)) {
                found = true;
            } else {
                (*work)--;
                stack[depth++] = item;
            }
        }
    }
    free(stack);
    return found;
}

/* ---- the dictionaries ---- */

/* Whether one of the words of the key says that it is about a moving average. */
static bool says_average(const char *key) {
    static const char *const words[] = {"ema",      "swa",      "avg",    "average", "averaged",
                                        "averages", "averager", "shadow", "polyak"};
    for (const char *at = key; *at;) {
        size_t length = 0;
        while (isalpha((unsigned char)at[length])) length++;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (length == strlen(words[i]) && strncasecmp(at, words[i], length) == 0) return true;
        at += length ? length : 1;
    }
    return false;
}

static int rank_of(const char *key, bool average) {
    const char *dot = strrchr(key, '.'), *last = dot ? dot + 1 : key;
    if (average) return USUAL_COUNT + 1;
    for (int i = 0; i < USUAL_COUNT; i++)
        if (strcmp(last, usual_keys[i]) == 0) return i;
    return USUAL_COUNT;
}

/* A tensor, or what a function of PyTorch's that psal has not would make one of. */
static bool is_tensor(const psal_pickle_value *value) {
    if (value->kind == PSAL_PICKLE_TENSOR) return true;
    return value->kind == PSAL_PICKLE_OPAQUE && value->list.count &&
           memmem(value->list.of->name, value->list.of->name_size, "_rebuild_", 9);
}

static size_t count_tensors(const psal_pickle_value *dict) {
    size_t count = 0;
    for (size_t i = 0; dict->kind == PSAL_PICKLE_DICT && i + 1 < dict->list.count; i += 2)
        count += dict->list.items[i]->kind == PSAL_PICKLE_STRING && is_tensor(dict->list.items[i + 1]);
    return count;
}

static int by_rank(const void *a, const void *b) {
    const psal_pth_dictionary *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->tensors != y->tensors) return x->tensors > y->tensors ? -1 : 1;
    return strcmp(x->key, y->key); /* so that the order does not depend on the sorting */
}

void psal_pth_dictionaries_free(psal_pth_dictionary *dictionaries, size_t count) {
    for (size_t i = 0; i < count; i++) free(dictionaries[i].key);
    free(dictionaries);
}

/* ---- notes ---- */

/* Up to eight key names of what `keep` rejects, for a note. */
struct listing {
    char text[400];
    size_t used, count;
};

__attribute__((format(printf, 2, 3))) static void list(struct listing *listing, const char *format, ...) {
    if (listing->count++ >= 8) return;
    char name[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    int more = snprintf(listing->text + listing->used, sizeof listing->text - listing->used, "%s%s",
                        listing->used ? ", " : "", name);
    if (more > 0 && listing->used + (size_t)more < sizeof listing->text) listing->used += (size_t)more;
}

/* An entry by its key (NULL: an item of a tuple or list) and, when that is an object, its class. */
static void list_entry(struct listing *listing, const psal_pickle_value *key, const psal_pickle_value *value) {
    char name[170], class[170];
    if (!key) key = value;
    if (key->kind == PSAL_PICKLE_STRING)
        snprintf(name, sizeof name, "%.*s", key->text.size < 40 ? (int)key->text.size : 40, key->text.bytes);
    else
        psal_pickle_describe(key, name, sizeof name);
    if (key != value && value->kind == PSAL_PICKLE_OPAQUE)
        list(listing, "%.60s (%.100s)", name, psal_pickle_describe(value, class, sizeof class));
    else
        list(listing, "%.160s", name);
}

static void note_listing(psal_notes *notes, const struct listing *listing, const char *what) {
    if (listing->count)
        psal_note(notes, "ignored %zu %s: %s%s", listing->count, what, listing->text,
                  listing->count > 8 ? ", ..." : "");
}

/* What psal has nothing for, by name and place: nothing of it was run. */
static void note_opaque(const walk *w, const psal_pickle_value *weights, psal_notes *notes) {
    struct listing listing = {.used = 0};
    char key[MAX_KEY], name[170];
    for (size_t p = 0; p < w->count; p++) {
        const psal_pickle_value *container = w->places[p].value;
        bool dict = container->kind == PSAL_PICKLE_DICT;
        for (size_t i = 0; i < container->list.count && container != weights; i++) {
            const psal_pickle_value *item = container->list.items[i];
            if (item->kind != PSAL_PICKLE_OPAQUE) continue;
            bool is_key = dict && i % 2 == 0;
            if (listing.count < 8) {
                psal_pickle_describe(item, name, sizeof name);
                write_key(w, is_key ? w->places[p].parent : p, is_key ? w->places[p].item : i, false, key);
            }
            list(&listing, is_key ? "%.100s as a key of '%.80s'" : "%.100s under '%.80s'", name, key);
        }
    }
    if (listing.count > 8)
        psal_note(notes, "ignored %s and %zu more", listing.text, listing.count - 8);
    else if (listing.count)
        psal_note(notes, "ignored %s", listing.text);
}

static void note_way(const walk *w, size_t at, const psal_pth_dictionary *dictionary, psal_notes *notes) {
    struct listing beside = {.used = 0};
    size_t way[MAX_DEPTH + 1], depth = 0;
    for (size_t p = at; w->places[p].parent != SIZE_MAX; p = w->places[p].parent) way[depth++] = p;
    while (depth-- > 0) {
        const psal_pickle_value *container = w->places[w->places[way[depth]].parent].value;
        bool dict = container->kind == PSAL_PICKLE_DICT;
        for (size_t i = dict; i < container->list.count; i += dict + 1u)
            if (i != w->places[way[depth]].item)
                list_entry(&beside, NULL, container->list.items[i - dict]); /* the key; what it is, note_opaque says */
    }
    if (*dictionary->key) psal_note(notes, "took the weights under '%s'", dictionary->key);
    note_listing(notes, &beside, "entries beside the weights");
}

/* ---- when there are none ---- */

/* The place of an object that holds tensors: a whole module. *way becomes how Python gets at it. */
static const psal_pickle_value *find_module(const walk *w, psal_pth *pth, char way[MAX_KEY]) {
    psal_pickle_value *root = psal_pth_root(pth);
    uint32_t mark = psal_pth_new_mark(pth);
    size_t work = SIZE_MAX;
    *way = '\0';
    if (root->kind == PSAL_PICKLE_OPAQUE) return holds_tensor(root, mark, &work) ? root : NULL;
    for (size_t p = 0; p < w->count; p++) {
        const psal_pickle_value *container = w->places[p].value;
        bool dict = container->kind == PSAL_PICKLE_DICT;
        for (size_t i = dict; i < container->list.count; i += dict + 1u) {
            psal_pickle_value *item = container->list.items[i];
            /* One mark for all: what was seen in vain holds no tensor. */
            if (item->kind != PSAL_PICKLE_OPAQUE || !holds_tensor(item, mark, &work)) continue;
            write_key(w, p, i, true, way);
            return item;
        }
    }
    return NULL;
}

static psal_status describe_failure(psal_pth *pth, const walk *w, psal_error *err) {
    char text[200], way[MAX_KEY];
    psal_pickle_value *root = psal_pth_root(pth);
    if (psal_pth_is_torchscript(pth))
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "is a TorchScript archive, a program; in Python: m = torch.jit.load(FILE); "
                         "torch.save(m.state_dict(), OUT)");
    const psal_pickle_value *module = find_module(w, pth, way);
    if (module)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "holds a whole object of Python's (%s), not its weights; in Python: m = torch.load(FILE, "
                         "weights_only=False)%s; torch.save(m.state_dict(), OUT)",
                         psal_pickle_describe(module, text, sizeof text), way);
    struct listing listing = {.used = 0};
    if (root->kind != PSAL_PICKLE_DICT) {
        for (size_t i = 0; is_container(root) && i < root->list.count; i++)
            if (root->list.items[i]->kind == PSAL_PICKLE_OPAQUE) list_entry(&listing, NULL, root->list.items[i]);
        return psal_fail(err, PSAL_ERR_FORMAT, "holds %s, no dictionary of weights%s%s%s%s",
                         psal_pickle_describe(root, text, sizeof text), listing.count ? " (" : "", listing.text,
                         listing.count > 8 ? ", ..." : "", listing.count ? ")" : "");
    }
    for (size_t i = 0; i + 1 < root->list.count; i += 2)
        list_entry(&listing, root->list.items[i], root->list.items[i + 1]);
    return psal_fail(err, PSAL_ERR_FORMAT, "holds no tensors%s%s%s", listing.count ? ", only " : "", listing.text,
                     listing.count > 8 ? ", ..." : "");
}

/* ---- from the file ---- */

psal_pth_dictionary *psal_pth_dictionaries(psal_pth *pth, size_t *count, psal_error *err) {
    psal_pickle_value *root = psal_pth_root(pth);
    psal_pth_dictionary *found = NULL;
    size_t capacity = 0;
    walk w;
    *count = 0;
    psal_status status = walk_all(&w, pth, err);
    for (size_t p = 0; p < w.count + (root->kind == PSAL_PICKLE_TENSOR) && status == PSAL_OK; p++) {
        char key[MAX_KEY] = "";
        const psal_pickle_value *value = p < w.count ? w.places[p].value : root;
        size_t tensors = p < w.count ? count_tensors(value) : 1;
        if (!tensors) continue;
        if (p < w.count) write_key(&w, w.places[p].parent, w.places[p].item, false, key);
        char *copy = strdup(key);
        if (!copy || !psal_pickle_grow((void **)&found, &capacity, *count + 1, sizeof *found)) {
            free(copy);
            status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
            break;
        }
        bool average = says_average(key);
        found[(*count)++] = (psal_pth_dictionary){
            copy, tensors, rank_of(key, average), rank_of(key, false) < USUAL_COUNT, average, value};
    }
    if (status == PSAL_OK && !*count) status = describe_failure(pth, &w, err);
    free(w.places);
    if (status == PSAL_OK) {
        qsort(found, *count, sizeof *found, by_rank);
        return found;
    }
    psal_pth_dictionaries_free(found, *count);
    *count = 0;
    return NULL;
}

static psal_status add_tensors(psal_pth *pth, const psal_pickle_value *weights, psal_tensor_map *map, psal_notes *notes,
                               bool *views, psal_error *err) {
    bool is_view;
    if (weights->kind == PSAL_PICKLE_TENSOR) return psal_pth_add_tensor(pth, weights, "tensor", map, views, err);
    struct listing others = {.used = 0};
    size_t work = MAX_WORK;
    for (size_t i = 0; i + 1 < weights->list.count; i += 2) {
        const psal_pickle_value *key = weights->list.items[i];
        psal_pickle_value *value = weights->list.items[i + 1];
        /* A tensor that psal cannot read, or a module: not to be lost in silence. */
        bool object = key->kind == PSAL_PICKLE_STRING && value->kind == PSAL_PICKLE_OPAQUE &&
                      (is_tensor(value) || holds_tensor(value, psal_pth_new_mark(pth), &work));
        if (key->kind != PSAL_PICKLE_STRING || (value->kind != PSAL_PICKLE_TENSOR && !object)) {
            list_entry(&others, key, value);
            continue;
        }
        if (memchr(key->text.bytes, 0, key->text.size))
            return psal_fail(err, PSAL_ERR_FORMAT, "the name of tensor number %zu contains a NUL", i / 2);
        char *name = strndup(key->text.bytes, key->text.size), type[170];
        if (!name) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        psal_status status = object
                                 ? psal_tensor_map_add_other(map, name, psal_pickle_describe(value, type, sizeof type),
                                                             &(psal_shape){0}, err)
                                 : psal_pth_add_tensor(pth, value, name, map, &is_view, err);
        free(name);
        if (status != PSAL_OK) return status;
        *views |= !object && is_view;
    }
    note_listing(notes, &others, "entries among the weights that are no tensors");
    return PSAL_OK;
}

static psal_status note_all(psal_pth *pth, const psal_pth_dictionary *dictionary, psal_notes *notes, psal_error *err) {
    walk w;
    psal_status status = walk_all(&w, pth, err);
    for (size_t p = 0; p < w.count && status == PSAL_OK; p++)
        if (w.places[p].value == dictionary->value) note_way(&w, p, dictionary, notes);
    if (status == PSAL_OK) note_opaque(&w, dictionary->value, notes);
    free(w.places);
    return status;
}

static void release_pth(void *pth, size_t size) {
    (void)size;
    psal_pth_close(pth);
}

psal_tensor_map *psal_pth_tensors(psal_pth *pth, const psal_pth_dictionary *dictionary, psal_notes *notes,
                                  psal_error *err) {
    psal_tensor_map *map = psal_tensor_map_new();
    bool views = false;
    psal_status status = map ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    if (status == PSAL_OK && notes) status = note_all(pth, dictionary, notes, err);
    if (status == PSAL_OK) status = add_tensors(pth, dictionary->value, map, notes, &views, err);
    if (status == PSAL_OK)
        status = psal_tensor_map_set_meta(map, "format", psal_pth_is_legacy(pth) ? "pth-legacy" : "pth", err);
    if (status == PSAL_OK && views) {
        status = psal_tensor_map_adopt(map, pth, 0, release_pth, err);
        if (status == PSAL_OK) psal_pth_keep(pth);
    }
    if (status == PSAL_OK) return map;
    psal_tensor_map_free(map);
    return NULL;
}

psal_tensor_map *psal_pth_read(const char *path, psal_notes *notes, psal_error *err) {
    psal_pth *pth = psal_pth_open(path, err);
    if (!pth) return NULL;
    size_t count;
    psal_pth_dictionary *dictionaries = psal_pth_dictionaries(pth, &count, err);
    psal_tensor_map *map = dictionaries ? psal_pth_tensors(pth, dictionaries, notes, err) : NULL;
    psal_pth_dictionaries_free(dictionaries, count);
    psal_pth_close(pth);
    if (!map) psal_fail_prefix(err, "%s", path);
    return map;
}
