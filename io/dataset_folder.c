/* dataset_folder.c - data sets that are folders of images: torchvision's ImageFolder, and one flat
 * folder. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "io/dataset_readers.h"
#include "engine/numbers.h"
#include "io/utf8.h"

/* Folders nested deeper than this are refused, and so are more folders, or more links to folders
 * inside class folders, than this in a data set: a few links can make an enormous tree without a
 * loop. */
enum { DEEPEST = 64, MOST_FOLDERS = 1000000, MOST_LINKS = 10000 };

typedef struct budget {
    int folders, links; /* how many more there may be */
} budget;

typedef struct name_list {
    char **at;
    size_t count, capacity;
} name_list;

static void free_names(name_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->at[i]);
    free(list->at);
    *list = (name_list){0};
}

/* Append `name`, which becomes the list's in any case (NULL: out of memory). */
static psal_status add_name(name_list *list, char *name, psal_error *err) {
    if (name && list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 32;
        char **grown = realloc(list->at, capacity * sizeof *grown);
        if (grown) {
            list->at = grown;
            list->capacity = capacity;
        }
    }
    if (!name || list->count == list->capacity) {
        free(name);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list of files");
    }
    list->at[list->count++] = name;
    return PSAL_OK;
}

/* The next character of a file name as Python sees it: a code point, or 0xDC00 + byte for a byte
 * that is not UTF-8 (PEP 383); 0 at the end. */
static uint32_t next_character(const char **text) {
    uint32_t code;
    if (!**text) return 0;
    size_t length = psal_utf8_sequence(*text, strnlen(*text, 4), &code);
    if (length == 0) {
        code = 0xDC00u + (unsigned char)**text;
        length = 1;
    }
    *text += length;
    return code;
}

/* The order of Python's strings. It is the order of the bytes where all is UTF-8. */
static int compare_names(const void *a, const void *b) {
    const char *left = *(char *const *)a, *right = *(char *const *)b;
    for (;;) {
        uint32_t x = next_character(&left), y = next_character(&right);
        if (x != y) return x < y ? -1 : 1;
        if (x == 0) return 0;
    }
}

static void sort_names(name_list *list) {
    if (list->count > 1) qsort(list->at, list->count, sizeof *list->at, compare_names);
}

static psal_status fail_folder(const char *path, psal_error *err) {
    return psal_fail(err, PSAL_ERR_IO, "%s: cannot read the folder: %s", path, strerror(errno));
}

/* The names in folder `path`, sorted: folders (or links to folders) and everything else. Either
 * list may be NULL. */
static psal_status list_folder(const char *path, name_list *folders, name_list *files, psal_error *err) {
    DIR *folder = opendir(path);
    if (!folder) return fail_folder(path, err);
    psal_status status = PSAL_OK;
    while (!status) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry) {
            if (errno) status = fail_folder(path, err);
            break;
        }
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        bool is_folder = entry->d_type == DT_DIR;
        if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) {
            /* A link that leads nowhere counts as a file, as it does in Python's os.walk. */
            struct stat info;
            is_folder = fstatat(dirfd(folder), entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
        }
        name_list *list = is_folder ? folders : files;
        if (list) status = add_name(list, strdup(entry->d_name), err);
    }
    closedir(folder);
    if (folders) sort_names(folders);
    if (files) sort_names(files);
    return status;
}

/* The folders from the top to the one being walked, for noticing a link that leads back. */
typedef struct ancestor {
    const struct ancestor *above;
    dev_t device;
    ino_t inode;
    int depth;
} ancestor;

/* Collect `path` (becomes the list's) and all folders below it, following links as torchvision
 * does. */
static psal_status collect_folders(char *path, const ancestor *above, name_list *found, budget *left, psal_error *err) {
    psal_status status = add_name(found, path, err);
    if (status) return status;
    struct stat info;
    if (lstat(path, &info)) return fail_folder(path, err);
    if (above && S_ISLNK(info.st_mode)) left->links--;
    if (stat(path, &info)) return fail_folder(path, err);
    ancestor here = {above, info.st_dev, info.st_ino, above ? above->depth + 1 : 0};
    for (const ancestor *a = above; a; a = a->above)
        if (a->device == here.device && a->inode == here.inode)
            return psal_fail(err, PSAL_ERR_FORMAT, "%s: a symbolic link leads back to a folder above it", path);
    if (here.depth > DEEPEST)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "%s: folders are nested deeper than %d", path, DEEPEST);
    if (--left->folders < 0 || left->links < 0)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "%s: a data set may not have more than %d folders and %d links to folders", path, MOST_FOLDERS,
                         MOST_LINKS);
    name_list below = {0};
    status = list_folder(path, &below, NULL, err);
    for (size_t i = 0; i < below.count && !status; i++) {
        size_t offset;
        char *child = psal_dataset_join(path, below.at[i], &offset);
        status = collect_folders(child, &here, found, left, err);
    }
    free_names(&below);
    return status;
}

/* Append the images of one class in torchvision's order: sorted(os.walk(folder)), then
 * sorted(files). */
static psal_status read_class(psal_dataset *dataset, const char *root, const char *name, int label, bool keep_bad,
                              budget *left, psal_error *err) {
    size_t root_length;
    char *top = psal_dataset_join(root, name, &root_length);
    if (!top) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list of files");
    size_t before = dataset->count;
    name_list folders = {0}, files = {0};
    psal_status status = collect_folders(top, NULL, &folders, left, err);
    sort_names(&folders); /* by the whole path: "a-b" comes before "a/b" */
    for (size_t i = 0; i < folders.count && !status; i++) {
        status = list_folder(folders.at[i], NULL, &files, err);
        for (size_t j = 0; j < files.count && !status; j++) {
            if (psal_dataset_extension(files.at[j]) == PSAL_EXTENSION_OTHER) continue;
            size_t offset;
            char *path = psal_dataset_join(folders.at[i], files.at[j], &offset);
            psal_error bad = PSAL_ERROR_INIT; /* a link that leads nowhere, say */
            if (keep_bad && path && psal_dataset_check_file(path, &bad))
                status = psal_dataset_append_bad(dataset, path, root_length, NULL, &bad, err);
            else
                status = psal_dataset_append(dataset, path, root_length, label, NULL, err);
        }
        free_names(&files);
    }
    free_names(&folders);
    if (!status && dataset->count == before)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%s/%s: no images in this class folder (.jpg, .jpeg, .png)", root,
                           name);
    return status;
}

/* ---- which class a folder is ---- */

/* "cat = 0, dog = 1, ..., zebra = 9": how folders were numbered; the middle of a long list is left out. */
static void format_mapping(const name_list *classes, const int *label, char *text, size_t size) {
    enum { FIRST = 8 };
    size_t used = 0;
    *text = 0;
    for (size_t i = 0; i < classes->count && used < size; i++) {
        bool gap = i == FIRST && classes->count > FIRST + 2;
        if (gap) i = classes->count - 1;
        int written = snprintf(text + used, size - used, "%s%s%.40s = %d", i ? ", " : "", gap ? "..., " : "",
                               classes->at[i], label[i]);
        used += written > 0 ? (size_t)written : size;
    }
}

/* The class whose name or WordNet id the folder bears, -1 for none, -2 for several, -3 when out of memory. */
static int find_named(const psal_labels *labels, const char *folder) {
    int found = psal_labels_have_names(labels) ? psal_labels_find_name(labels, folder) : -1;
    return found == -1 && psal_is_wnid(folder) ? psal_labels_find_wnid(labels, folder) : found;
}

/* The class that the folder's number is, "5" or "05"; -1 when it is none of the set's. */
static int find_numbered(const psal_labels *labels, const char *folder) {
    int64_t number;
    bool digits = *folder && !folder[strspn(folder, "0123456789")];
    return digits && psal_parse_int64(folder, &number) && number < psal_labels_count(labels) ? (int)number : -1;
}

/* Numbers as torchvision has them: by place. */
static psal_status number_in_order(const char *root, const name_list *classes, const psal_dataset_context *context,
                                   int *label, psal_error *err) {
    const psal_labels *labels = context->labels;
    size_t count = classes->count;
    for (size_t i = 0; i < count; i++) label[i] = (int)i;
    if (!labels) return PSAL_OK;
    size_t known = (size_t)psal_labels_count(labels);
    if (count > known)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: %zu class folders, but only %zu classes%s", root, count, known,
                         psal_labels_have_names(labels) ? ", and no folder bears the name of one" : "");
    char mapping[600];
    format_mapping(classes, label, mapping, sizeof mapping);
    static const char advice[] = "if the network's classes are others, say --labels FILE with their names";
    if (count == known && !psal_labels_have_names(labels))
        psal_note(context->notes, "%s: %zu class folders, in sorted order: %s; %s", root, count, mapping, advice);
    else
        psal_note_warning(context->notes, "%s: %zu class folder%s for %zu classes, in sorted order: %s; %s", root,
                          count, count == 1 ? "" : "s", known, mapping, advice);
    return PSAL_OK;
}

/* Folders that are numbers were taken as class numbers: not what torchvision makes of them. */
static void note_numbers(const char *root, const name_list *classes, const psal_dataset_context *context,
                         const int *label) {
    bool by_place = true;
    size_t count = classes->count, known = (size_t)psal_labels_count(context->labels);
    for (size_t i = 0; i < count; i++) by_place = by_place && label[i] == (int)i;
    if (by_place) return;
    char mapping[600];
    format_mapping(classes, label, mapping, sizeof mapping);
    if (count < known)
        psal_note(context->notes, "%s: %zu class folders for %zu classes, taken as class numbers: %s", root, count,
                  known, mapping);
    else
        psal_note_warning(
            context->notes,
            "%s: the class folders are taken as class numbers: %s; torchvision's ImageFolder numbers them in sorted "
            "order: if the network was trained so, say --labels FILE with the folders' names in that order",
            root, mapping);
}

static psal_status fail_mixed(const char *root, const name_list *classes, const int *label, size_t known,
                              psal_error *err) {
    char others[300] = "";
    size_t used = 0, first = classes->count;
    for (size_t i = 0; i < classes->count; i++) {
        if (label[i] >= 0) continue;
        if (first == classes->count)
            first = i;
        else if (used + 60 < sizeof others)
            used += (size_t)snprintf(others + used, sizeof others - used, ", \"%.40s\"", classes->at[i]);
    }
    return psal_fail(
        err, PSAL_ERR_FORMAT,
        "%s/%s: no class is called \"%s\"%s, though %zu of the %zu class folders bear names of classes: give it a "
        "class's name or number, or say the names with --labels",
        root, classes->at[first], classes->at[first], others, known, classes->count);
}

/* Set label[i] to the class number of each class folder, as dataset.h explains. */
static psal_status number_classes(const char *root, const name_list *classes, const psal_dataset_context *context,
                                  int *label, psal_error *err) {
    const psal_labels *labels = context->labels;
    if (!labels) return number_in_order(root, classes, context, label, err);
    size_t named = 0, numbered = 0;
    for (size_t i = 0; i < classes->count; i++) {
        label[i] = find_named(labels, classes->at[i]);
        named += label[i] >= 0;
        numbered += label[i] == -1 && find_numbered(labels, classes->at[i]) >= 0;
        if (label[i] == -3) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", root);
        if (label[i] != -2) continue;
        psal_status status = psal_labels_parse(labels, classes->at[i], &label[i], err);
        psal_fail_prefix(err, "%s/%s", root, classes->at[i]);
        return status ? status : PSAL_ERR_ARGUMENT;
    }
    if (numbered > 0 && named + numbered == classes->count) {
        for (size_t i = 0; i < classes->count; i++)
            if (label[i] < 0) label[i] = find_numbered(labels, classes->at[i]);
        if (named == 0) note_numbers(root, classes, context, label);
        return PSAL_OK;
    }
    if (named == classes->count) return PSAL_OK;
    for (size_t i = 0; i < classes->count && psal_labels_have_wnids(labels); i++) {
        /* ImageNet's: the message says what is near. */
        if (label[i] >= 0 || psal_labels_parse(labels, classes->at[i], &label[i], err) == PSAL_OK) continue;
        return psal_fail_prefix(err, "%s/%s", root, classes->at[i]);
    }
    return named > 0 ? fail_mixed(root, classes, label, named, err)
                     : number_in_order(root, classes, context, label, err);
}

/* ---- the right level ---- */

/* Whether the folder's name is that of a data set's part; *only: and nothing else, as in "val" but not in "val2017",
 * "seg_test". */
static bool is_part(const char *folder, bool *only) {
    static const char *const parts[] = {"train", "training", "val", "valid", "validation",
                                        "test",  "testing",  "dev", "eval"};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (const char *word = folder; *(word += strcspn(word, letters));) {
        size_t length = strspn(word, letters);
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            if (strlen(parts[i]) != length || strncasecmp(word, parts[i], length) != 0) continue;
            *only = length == strlen(folder);
            return true;
        }
        word += length;
    }
    return false;
}

/* Whether the folder holds folders, and no images of its own. */
static psal_status holds_only_folders(const char *root, const char *name, bool *only, psal_error *err) {
    size_t offset, images = 0;
    char *path = psal_dataset_join(root, name, &offset);
    if (!path) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list of files");
    name_list folders = {0}, files = {0};
    psal_status status = list_folder(path, &folders, &files, err);
    for (size_t i = 0; i < files.count; i++) images += psal_dataset_extension(files.at[i]) != PSAL_EXTENSION_OTHER;
    *only = folders.count > 0 && images == 0;
    free_names(&folders);
    free_names(&files);
    free(path);
    return status;
}

/* Refuse a folder that is not the one with the class folders, but above it: the root of a data set with its parts, or
 * one folder that holds folders. */
static psal_status check_level(const char *root, const name_list *classes, const psal_labels *labels, psal_error *err) {
    size_t parts = 0, bare = 0, part = 0;
    int best = 0;
    for (size_t i = 0; i < classes->count; i++) {
        bool nothing_else;
        if (!is_part(classes->at[i], &nothing_else)) continue;
        bare += nothing_else;
        /* The one to give is mostly the validation set, else the test set. */
        int wanted = strcasestr(classes->at[i], "val") ? 3 : strcasestr(classes->at[i], "train") ? 1 : 2;
        if (wanted > best) {
            best = wanted;
            part = i;
        }
        parts++;
    }
    bool alone = classes->count == 1, only = false;
    int named = labels ? find_named(labels, classes->at[part]) : -1;
    if (named == -3) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", root);
    bool known = named != -1;
    psal_status status = PSAL_OK;
    if (bare > 0 && bare == classes->count && !(alone && known))
        only = true;
    else if ((parts > 0 && !known) ||
             (alone && labels && psal_labels_count(labels) > 1 && !known && find_numbered(labels, classes->at[0]) < 0))
        status = holds_only_folders(root, classes->at[part], &only, err);
    if (status != PSAL_OK || !only) return status;
    if (parts > 0)
        return psal_fail(
            err, PSAL_ERR_FORMAT,
            "%s: the root of a data set, whose folder %s is no class; give the folder of the classes, e.g. %s/%s", root,
            classes->at[part], root, classes->at[part]);
    return psal_fail(err, PSAL_ERR_FORMAT,
                     "%s: its only folder, %s, holds folders itself; give %s/%s if these are the classes", root,
                     classes->at[0], root, classes->at[0]);
}

/* The class folders of `root`, without hidden ones; *images is how many images lie beside them. */
static psal_status list_classes(const char *root, name_list *classes, size_t *images, psal_error *err) {
    name_list files = {0};
    psal_status status = list_folder(root, classes, &files, err);
    size_t kept = 0;
    *images = 0;
    for (size_t i = 0; i < files.count; i++) *images += psal_dataset_extension(files.at[i]) != PSAL_EXTENSION_OTHER;
    free_names(&files);
    for (size_t i = 0; i < classes->count; i++) {
        if (classes->at[i][0] == '.')
            free(classes->at[i]);
        else
            classes->at[kept++] = classes->at[i];
    }
    classes->count = kept;
    if (!status && kept == 0)
        status = psal_fail(err, PSAL_ERR_FORMAT,
                           "%s: no class folders in this folder (a folder of images without classes "
                           "is given as flat:DIR or flat:DIR,LABELS.csv)",
                           root);
    if (!status && kept > PSAL_MAX_CLASSES)
        status = psal_fail(err, PSAL_ERR_UNSUPPORTED, "%s: more than %d class folders", root, PSAL_MAX_CLASSES);
    return status;
}

psal_status psal_dataset_read_folder(psal_dataset *dataset, const char *folder, const psal_dataset_context *context,
                                     psal_error *err) {
    char *root = strdup(*folder ? folder : ".");
    if (!root) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", folder);
    for (size_t n = strlen(root); n > 1 && root[n - 1] == '/';) root[--n] = 0;
    name_list classes = {0};
    int *label = NULL;
    size_t beside;
    psal_status status = list_classes(root, &classes, &beside, err);
    if (!status) status = check_level(root, &classes, context->labels, err);
    if (!status) {
        label = malloc(classes.count * sizeof *label);
        status = label ? number_classes(root, &classes, context, label, err)
                       : psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", root);
    }
    if (!status && beside > 0)
        psal_note(context->notes,
                  "%s: %zu image%s beside the class folders left out, as torchvision's ImageFolder does", root, beside,
                  beside == 1 ? "" : "s");
    budget left = {MOST_FOLDERS, MOST_LINKS};
    for (size_t i = 0; i < classes.count && !status; i++)
        status = read_class(dataset, root, classes.at[i], label[i], context->keep_bad, &left, err);
    free(label);
    free_names(&classes);
    free(root);
    return status;
}

psal_status psal_dataset_read_flat(psal_dataset *dataset, const char *folder, psal_error *err) {
    name_list files = {0};
    psal_status status = list_folder(folder, NULL, &files, err);
    for (size_t i = 0; i < files.count && !status; i++) {
        if (psal_dataset_extension(files.at[i]) == PSAL_EXTENSION_OTHER) continue;
        size_t offset;
        char *path = psal_dataset_join(folder, files.at[i], &offset);
        status = psal_dataset_append(dataset, path, offset, PSAL_NO_LABEL, NULL, err);
    }
    free_names(&files);
    if (!status && dataset->count == 0)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%s: no images in this folder", folder);
    return status;
}
