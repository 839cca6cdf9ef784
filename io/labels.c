#include "io/labels.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/numbers.h"
#include "engine/text.h"
#include "io/labels_internal.h"
#include "io/spelling.h"

static const struct {
    const char *wnid, *name;
} imagenet[PSAL_IMAGENET_CLASSES] = {
#include "io/imagenet_classes.inc"
};

/* Xiao, Rasul, Vollgraf 2017, "Fashion-MNIST", table 1. */
static const char *const fashion_mnist[10] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                              "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

const char *psal_imagenet_name(int index) {
    return index >= 0 && index < PSAL_IMAGENET_CLASSES ? imagenet[index].name : NULL;
}

const char *psal_imagenet_wnid(int index) {
    return index >= 0 && index < PSAL_IMAGENET_CLASSES ? imagenet[index].wnid : NULL;
}

int psal_imagenet_find_wnid(const char *wnid) {
    int low = 0, high = PSAL_IMAGENET_CLASSES; /* the ids are in sorted order */
    while (low < high) {
        int middle = (low + high) / 2, order = strcmp(wnid, imagenet[middle].wnid);
        if (order == 0) return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

bool psal_is_wnid(const char *text) {
    return text[0] == 'n' && strspn(text + 1, "0123456789") == 8 && text[9] == 0;
}

/* The nearest names are looked for when what was typed is no longer than this, and until so many pairs of letters have
 * been compared (a second or so): both texts may come from a hostile file. */
enum { LONGEST_SEARCHED = 255, MOST_WORK = 300000000 };

/* A name, or id, and the class it belongs to; kept sorted for searching. */
typedef struct key {
    char *text;
    int index;
} key;

struct psal_labels {
    int count;
    bool named, all_wnids;
    char **name;  /* [count] */
    char **wnid;  /* [count], entries may be NULL */
    key *by_name; /* [count], normalised names */
    key *by_wnid; /* [wnids] */
    int wnids;
};

/* ---- making a set ---- */

static int compare_keys(const void *a, const void *b) {
    const key *left = a, *right = b;
    int order = strcmp(left->text, right->text);
    return order ? order : (left->index > right->index) - (left->index < right->index);
}

/* Lower case, apostrophes dropped, each run of separators one blank, none at the ends. What is not
 * printable is '?', as in the names. The caller frees; NULL when out of memory. */
static char *normalised(const char *text) {
    char *copy = strdup(text);
    if (!copy) return NULL;
    char *to = copy;
    bool gap = false;
    for (const char *from = psal_make_printable(copy); *from; from++) {
        unsigned char c = (unsigned char)*from;
        if (c == '\'') continue;
        if (strchr(" \t_-,", c)) {
            gap = to > copy;
            continue;
        }
        if (gap) *to++ = ' ';
        gap = false;
        *to++ = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    *to = 0;
    return copy;
}

psal_labels *psal_labels_begin(int count, psal_error *err) {
    if (count < 1 || count > PSAL_MAX_CLASSES) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "%d classes: a label set has 1 to %d", count, PSAL_MAX_CLASSES);
        return NULL;
    }
    psal_labels *labels = calloc(1, sizeof *labels);
    if (labels) {
        labels->count = count;
        labels->named = true;
        labels->name = calloc((size_t)count, sizeof *labels->name);
        labels->wnid = calloc((size_t)count, sizeof *labels->wnid);
        labels->by_name = calloc((size_t)count, sizeof *labels->by_name);
        labels->by_wnid = calloc((size_t)count, sizeof *labels->by_wnid);
    }
    if (!labels || !labels->name || !labels->wnid || !labels->by_name || !labels->by_wnid) {
        psal_labels_free(labels);
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d class names", count);
        return NULL;
    }
    return labels;
}

bool psal_labels_put(psal_labels *labels, int index, const char *wnid, const char *name) {
    labels->name[index] = strdup(name);
    if (labels->name[index]) psal_make_printable(labels->name[index]);
    if (wnid) labels->wnid[index] = strdup(wnid);
    return labels->name[index] && (!wnid || labels->wnid[index]);
}

bool psal_labels_has(const psal_labels *labels, int index) {
    return labels->name[index] != NULL;
}

psal_labels *psal_labels_finish(psal_labels *labels, psal_error *err) {
    for (int i = 0; i < labels->count; i++) {
        labels->by_name[i].index = i;
        labels->by_name[i].text = labels->name[i] ? normalised(labels->name[i]) : NULL;
        if (!labels->by_name[i].text) {
            psal_labels_free(labels);
            psal_fail(err, PSAL_ERR_MEMORY, "out of memory for class names");
            return NULL;
        }
        if (labels->wnid[i]) labels->by_wnid[labels->wnids++] = (key){labels->wnid[i], i};
    }
    qsort(labels->by_name, (size_t)labels->count, sizeof(key), compare_keys);
    qsort(labels->by_wnid, (size_t)labels->wnids, sizeof(key), compare_keys);
    labels->all_wnids = labels->wnids == labels->count;
    return labels;
}

psal_labels *psal_labels_imagenet(psal_error *err) {
    psal_labels *labels = psal_labels_begin(PSAL_IMAGENET_CLASSES, err);
    if (!labels) return NULL;
    for (int i = 0; i < PSAL_IMAGENET_CLASSES; i++)
        if (!psal_labels_put(labels, i, imagenet[i].wnid, imagenet[i].name)) break;
    return psal_labels_finish(labels, err);
}

psal_labels *psal_labels_fashion_mnist(psal_error *err) {
    psal_labels *labels = psal_labels_begin(10, err);
    if (!labels) return NULL;
    for (int i = 0; i < 10; i++)
        if (!psal_labels_put(labels, i, NULL, fashion_mnist[i])) break;
    return psal_labels_finish(labels, err);
}

psal_labels *psal_labels_numbered(int count, psal_error *err) {
    psal_labels *labels = psal_labels_begin(count, err);
    if (!labels) return NULL;
    labels->named = false;
    for (int i = 0; i < count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        if (!psal_labels_put(labels, i, NULL, number)) break;
    }
    return psal_labels_finish(labels, err);
}

void psal_labels_free(psal_labels *labels) {
    if (!labels) return;
    for (int i = 0; i < labels->count; i++) {
        if (labels->name) free(labels->name[i]);
        if (labels->wnid) free(labels->wnid[i]);
        if (labels->by_name) free(labels->by_name[i].text);
    }
    free(labels->name);
    free(labels->wnid);
    free(labels->by_name);
    free(labels->by_wnid);
    free(labels);
}

/* ---- asking it ---- */

int psal_labels_count(const psal_labels *labels) {
    return labels->count;
}

const char *psal_labels_name(const psal_labels *labels, int index) {
    return index >= 0 && index < labels->count ? labels->name[index] : "?";
}

const char *psal_labels_wnid(const psal_labels *labels, int index) {
    return index >= 0 && index < labels->count ? labels->wnid[index] : NULL;
}

bool psal_labels_have_names(const psal_labels *labels) {
    return labels->named;
}

bool psal_labels_have_wnids(const psal_labels *labels) {
    return labels->all_wnids;
}

/* The first of keys[count] that is not below `text`. */
static int lower_bound(const key *keys, int count, const char *text) {
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strcmp(keys[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int psal_labels_find_wnid(const psal_labels *labels, const char *wnid) {
    int at = lower_bound(labels->by_wnid, labels->wnids, wnid);
    bool found = at < labels->wnids && !strcmp(labels->by_wnid[at].text, wnid);
    return found ? labels->by_wnid[at].index : -1;
}

/* How many classes have the normalised name `text`; *first is where they begin in by_name. */
static int count_named(const psal_labels *labels, const char *text, int *first) {
    *first = lower_bound(labels->by_name, labels->count, text);
    int found = 0;
    while (*first + found < labels->count && !strcmp(labels->by_name[*first + found].text, text)) found++;
    return found;
}

int psal_labels_find_name(const psal_labels *labels, const char *name) {
    char *text = normalised(name);
    if (!text) return -3;
    int first, found = count_named(labels, text, &first);
    free(text);
    return found == 0 ? -1 : found == 1 ? labels->by_name[first].index : -2;
}

static psal_status fail_ambiguous(const psal_labels *labels, const char *text, int first, int found, psal_error *err) {
    char list[200] = "";
    size_t used = 0;
    for (int i = first; i < first + found && used < sizeof list - 40; i++) {
        int index = labels->by_name[i].index;
        const char *wnid = labels->wnid[index];
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", i > first ? ", " : "", index);
        if (wnid) used += (size_t)snprintf(list + used, sizeof list - used, " (%.20s)", wnid);
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "class \"%.100s\" is ambiguous: %d classes have that name; give the number: %s", text, found,
                     list);
}

/* Whether every word of `text` (both normalised) begins a word of `name`. */
static bool words_begin_words(const char *text, const char *name) {
    if (!*text) return false;
    while (*text) {
        size_t length = strcspn(text, " ");
        bool found = false;
        for (const char *p = name; p && !found; p = strchr(p, ' ')) {
            if (*p == ' ') p++;
            found = !strncmp(p, text, length);
        }
        if (!found) return false;
        text += length;
        if (*text) text++;
    }
    return true;
}

static psal_status fail_unknown(const psal_labels *labels, const char *text, const char *normal, psal_error *err) {
    if (!labels->named)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "class \"%.100s\" is not a number from 0 to %d, and the classes have no names here: say "
                         "--labels FILE with their names",
                         text, labels->count - 1);
    /* The up to four nearest names: those made of the same words first, then by edit distance. */
    enum { SUGGESTIONS = 4 };
    struct {
        size_t cost;
        int index;
    } best[SUGGESTIONS];
    int kept = 0;
    size_t tolerance = psal_spelling_tolerance(normal), length = strlen(normal), work = 0;
    for (int i = 0; i < labels->count && length <= LONGEST_SEARCHED && work < MOST_WORK; i++) {
        size_t other = strlen(labels->by_name[i].text);
        /* Each word is looked for in the whole name; the distance is a table of both lengths. */
        work += (length + 1) * (other + 1);
        size_t cost = words_begin_words(normal, labels->by_name[i].text)
                          ? 0
                          : psal_edit_distance(normal, labels->by_name[i].text);
        if (cost > tolerance) continue;
        int at = kept;
        while (at > 0 && best[at - 1].cost > cost) at--;
        if (at == SUGGESTIONS) continue;
        if (kept < SUGGESTIONS) kept++;
        memmove(&best[at + 1], &best[at], (size_t)(kept - 1 - at) * sizeof best[0]);
        best[at].cost = cost;
        best[at].index = labels->by_name[i].index;
    }
    if (kept == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "no class is called \"%.100s\"; classes are numbers from 0 to %d, or names", text,
                         labels->count - 1);
    char list[400] = "";
    size_t used = 0;
    for (int i = 0; i < kept && used < sizeof list - 1; i++) {
        int written = snprintf(list + used, sizeof list - used, "%s\"%.60s\" (%d)", i ? ", " : "",
                               labels->name[best[i].index], best[i].index);
        used += (size_t)written;
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "no class is called \"%.100s\"; did you mean %s?", text, list);
}

static psal_status parse_name(const psal_labels *labels, const char *text, const char *normal, int *index,
                              psal_error *err) {
    int first, found = count_named(labels, normal, &first);
    if (found == 0 && strchr(text, ',')) { /* "tench, Tinca tinca": the first of several names */
        char *head = strndup(text, strcspn(text, ","));
        char *head_normal = head ? normalised(head) : NULL;
        if (head_normal && *head_normal) found = count_named(labels, head_normal, &first);
        free(head);
        free(head_normal);
    }
    if (found > 1) return fail_ambiguous(labels, text, first, found, err);
    if (found == 0) return fail_unknown(labels, text, normal, err);
    *index = labels->by_name[first].index;
    return PSAL_OK;
}

/* The class that the written number, or the number itself ("9" for "09"), is the name of: as psal_labels_find_name. */
static int find_number_as_name(const psal_labels *labels, const char *text, int64_t number) {
    if (!labels->named) return -1;
    char plain[24];
    snprintf(plain, sizeof plain, "%lld", (long long)number);
    int named = psal_labels_find_name(labels, text);
    return named == -1 ? psal_labels_find_name(labels, plain) : named;
}

/* "number:3" and "name:3", where both may be meant; *taken is false where a class itself is called so. */
static psal_status parse_prefixed(const psal_labels *labels, const char *text, int *index, bool *taken,
                                  psal_error *err) {
    const bool number = strncmp(text, "number:", 7) == 0, name = strncmp(text, "name:", 5) == 0;
    *taken = (number || name) && psal_labels_find_name(labels, text) == -1;
    if (!*taken) return PSAL_OK;
    if (number) {
        int64_t value;
        if (!psal_parse_int64(text + 7, &value) || value < 0 || value >= labels->count)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "class %.40s is out of range: number:0 to number:%d", text,
                             labels->count - 1);
        *index = (int)value;
        return PSAL_OK;
    }
    char *normal = normalised(text + 5);
    if (!normal) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_status status = parse_name(labels, text + 5, normal, index, err);
    free(normal);
    return status;
}

psal_status psal_labels_parse(const psal_labels *labels, const char *text, int *index, psal_error *err) {
    text += strspn(text, " \t");
    bool prefixed;
    psal_status done = parse_prefixed(labels, text, index, &prefixed, err);
    if (prefixed) return done;
    const char *digits = text + (*text == '-' || *text == '+'), *end = digits + strspn(digits, "0123456789");
    if (end > digits && !end[strspn(end, " \t")]) {
        char written[40];
        int64_t number;
        snprintf(written, sizeof written, "%.*s", (int)(end - text < 40 ? end - text : 0),
                 text); /* none has 40 digits */
        if (!psal_parse_int64(written, &number) || number < 0 || number >= labels->count) {
            /* "10" of three classes can only be the name of one; "-1" has no name's minus. */
            const int only = labels->named && digits == text ? psal_labels_find_name(labels, written) : -1;
            if (only < 0)
                return psal_fail(err, PSAL_ERR_ARGUMENT, "class %.40s is out of range: 0 to %d", text,
                                 labels->count - 1);
            *index = only;
            return PSAL_OK;
        }
        /* A class whose name is the number of another one: nobody can tell which is meant. */
        int named = find_number_as_name(labels, written, number);
        if (named == -3) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        if (named == -2 || (named >= 0 && named != number))
            return psal_fail(
                err, PSAL_ERR_ARGUMENT,
                "class %.40s is ambiguous: the number of one class (%.60s) and the name of another; say number:%lld or "
                "name:%.40s",
                written, labels->name[number], (long long)number, written);
        *index = (int)number;
        return PSAL_OK;
    }
    if (psal_is_wnid(text) && labels->wnids > 0) {
        int found = psal_labels_find_wnid(labels, text);
        if (found < 0)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "WordNet id %s is none of the %d classes", text, labels->count);
        *index = found;
        return PSAL_OK;
    }
    char *normal = normalised(text);
    if (!normal) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_status status = *normal ? parse_name(labels, text, normal, index, err)
                                 : psal_fail(err, PSAL_ERR_ARGUMENT,
                                             "a class is needed: a number from 0 to %d, or "
                                             "a name",
                                             labels->count - 1);
    free(normal);
    return status;
}
