/* dataset_folder.c - data sets that are folders of images: torchvision's ImageFolder, and one flat
 * folder. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/dataset_internal.h"
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
static psal_status read_class(psal_dataset *dataset, const char *root, const char *name, int label, budget *left,
                              psal_error *err) {
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

/* Set label[i] to the class number of each class folder, as dataset.h explains. */
static psal_status number_classes(const char *root, const name_list *classes, const psal_labels *labels, int *label,
                                  psal_error *err) {
    if (labels && psal_labels_have_wnids(labels)) {
        for (size_t i = 0; i < classes->count; i++) {
            psal_status status = psal_labels_parse(labels, classes->at[i], &label[i], err);
            if (status) {
                psal_fail_prefix(err, "%s/%s", root, classes->at[i]);
                return status;
            }
        }
        return PSAL_OK;
    }
    size_t named = 0, unnamed = 0, example = 0;
    for (size_t i = 0; labels && psal_labels_have_names(labels) && i < classes->count; i++) {
        label[i] = psal_labels_find_name(labels, classes->at[i]);
        if (label[i] == -1) {
            unnamed++;
            example = i;
        } else if (label[i] < 0) {
            psal_status status = psal_labels_parse(labels, classes->at[i], &label[i], err);
            psal_fail_prefix(err, "%s/%s", root, classes->at[i]);
            return status ? status : PSAL_ERR_ARGUMENT;
        } else {
            named++;
        }
    }
    if (named > 0 && unnamed == 0) return PSAL_OK;
    if (named > 0)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "%s/%s: no class is called \"%s\", though %zu of the %zu class folders bear "
                         "names of classes",
                         root, classes->at[example], classes->at[example], named, classes->count);
    if (labels && classes->count > (size_t)psal_labels_count(labels))
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: %zu class folders, but only %d classes", root, classes->count,
                         psal_labels_count(labels));
    for (size_t i = 0; i < classes->count; i++) label[i] = (int)i;
    return PSAL_OK;
}

/* The class folders of `root`, without hidden ones. */
static psal_status list_classes(const char *root, name_list *classes, psal_error *err) {
    psal_status status = list_folder(root, classes, NULL, err);
    size_t kept = 0;
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

psal_status psal_dataset_read_folder(psal_dataset *dataset, const char *folder, const psal_labels *labels,
                                     psal_error *err) {
    char *root = strdup(*folder ? folder : ".");
    if (!root) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", folder);
    for (size_t n = strlen(root); n > 1 && root[n - 1] == '/';) root[--n] = 0;
    name_list classes = {0};
    int *label = NULL;
    psal_status status = list_classes(root, &classes, err);
    if (!status) {
        label = malloc(classes.count * sizeof *label);
        status = label ? number_classes(root, &classes, labels, label, err)
                       : psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", root);
    }
    budget left = {MOST_FOLDERS, MOST_LINKS};
    for (size_t i = 0; i < classes.count && !status; i++)
        status = read_class(dataset, root, classes.at[i], label[i], &left, err);
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
