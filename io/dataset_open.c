/* dataset_open.c - data sets by what their names say (psal_dataset_open, psal_dataset_from_images of dataset.h): which
 * reader reads one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/dataset_readers.h"

/* The folder a file lies in, "" for the current one. */
static char *folder_of(const char *file) {
    const char *slash = strrchr(file, '/');
    if (!slash) return strdup("");
    return strndup(file, slash == file ? 1 : (size_t)(slash - file));
}

/* Split "LEFT,RIGHT" at the first comma whose left side exists, so that names with commas work;
 * *right is NULL when the whole text is one name. The caller frees both. */
static psal_status split_pair(const char *text, char **left, char **right, psal_error *err) {
    *left = *right = NULL;
    const char *comma = NULL;
    if (access(text, F_OK) == 0) {
        *left = strdup(text);
    } else {
        for (comma = strchr(text, ','); comma; comma = strchr(comma + 1, ',')) {
            *left = strndup(text, (size_t)(comma - text));
            if (!*left || access(*left, F_OK) == 0) break;
            free(*left);
        }
        if (!comma) return psal_fail(err, PSAL_ERR_IO, "%.*s: %s", (int)strcspn(text, ","), text, strerror(ENOENT));
        *right = strdup(comma + 1);
    }
    if (*left && (*right || !comma)) return PSAL_OK;
    free(*left);
    free(*right);
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

static psal_status read_flat(psal_dataset *dataset, const char *rest, const psal_dataset_context *context,
                             psal_error *err) {
    char *folder, *table;
    psal_status status = split_pair(rest, &folder, &table, err);
    if (status) return status;
    if (!table)
        status = psal_dataset_read_flat(dataset, folder, err);
    else if (psal_dataset_ends_with(table, ".csv") || psal_dataset_ends_with(table, ".tsv"))
        status = psal_dataset_read_csv(dataset, table, folder, context, err);
    else
        status = psal_dataset_read_lines(dataset, table, folder, true, context, err);
    free(folder);
    free(table);
    return status;
}

static psal_status read_idx(psal_dataset *dataset, const char *rest, const psal_labels *labels, psal_error *err) {
    char *images, *label_file;
    psal_status status = split_pair(rest, &images, &label_file, err);
    if (status) return status;
    status = psal_dataset_read_idx(dataset, images, label_file, labels, err);
    free(images);
    free(label_file);
    return status;
}

static psal_status read_list(psal_dataset *dataset, const char *file, bool csv, const psal_dataset_context *context,
                             psal_error *err) {
    char *folder = folder_of(file);
    if (!folder) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", file);
    psal_status status = csv ? psal_dataset_read_csv(dataset, file, folder, context, err)
                             : psal_dataset_read_lines(dataset, file, folder, false, context, err);
    free(folder);
    return status;
}

static psal_status read_image(psal_dataset *dataset, const char *file, int label, bool keep_bad, psal_error *err) {
    psal_error own = PSAL_ERROR_INIT;
    psal_status status = psal_dataset_check_file(file, &own);
    if (!status) return psal_dataset_append(dataset, strdup(file), 0, label, NULL, err);
    if (keep_bad) return psal_dataset_append_bad(dataset, strdup(file), 0, NULL, &own, err);
    if (err) *err = own;
    return status;
}

/* What stands behind "word:" in spec, or NULL. */
static const char *after_word(const char *spec, const char *word) {
    size_t length = strlen(word);
    return !strncmp(spec, word, length) && spec[length] == ':' ? spec + length + 1 : NULL;
}

static psal_status read_any(psal_dataset *dataset, const char *spec, const psal_dataset_context *context,
                            psal_error *err) {
    const char *rest;
    if ((rest = after_word(spec, "folder"))) return psal_dataset_read_folder(dataset, rest, context, err);
    if ((rest = after_word(spec, "flat"))) return read_flat(dataset, rest, context, err);
    if ((rest = after_word(spec, "csv"))) return read_list(dataset, rest, true, context, err);
    if ((rest = after_word(spec, "files"))) return read_list(dataset, rest, false, context, err);
    if ((rest = after_word(spec, "idx"))) return read_idx(dataset, rest, context->labels, err);
    if ((rest = after_word(spec, "image"))) return read_image(dataset, rest, PSAL_NO_LABEL, false, err);
    struct stat info;
    if (stat(spec, &info)) return psal_fail(err, PSAL_ERR_IO, "%s: %s", spec, strerror(errno));
    if (S_ISDIR(info.st_mode)) return psal_dataset_read_folder(dataset, spec, context, err);
    if (psal_dataset_ends_with(spec, ".csv") || psal_dataset_ends_with(spec, ".tsv"))
        return read_list(dataset, spec, true, context, err);
    if (psal_dataset_ends_with(spec, ".txt") || psal_dataset_ends_with(spec, ".lst") ||
        psal_dataset_ends_with(spec, ".list"))
        return read_list(dataset, spec, false, context, err);
    return read_image(dataset, spec, PSAL_NO_LABEL, false, err);
}

psal_dataset *psal_dataset_open(const char *spec, const psal_labels *labels, bool keep_bad, psal_notes *notes,
                                psal_error *err) {
    if (!spec || !*spec) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "the name of the data set is empty");
        return NULL;
    }
    psal_dataset *dataset = psal_dataset_begin(err);
    if (!dataset) return NULL;
    const psal_dataset_context context = {labels, keep_bad, notes};
    psal_status status = read_any(dataset, spec, &context, err);
    if (!status && dataset->count == 0)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%s: no samples in this data set", spec);
    if (status) {
        psal_dataset_free(dataset);
        return NULL;
    }
    return dataset;
}

/* A name's absolute path, which the caller frees; of what is no file, the name itself. NULL, and an error, where that
 * cannot be known. */
static char *absolute(const char *name, psal_error *err) {
    char *path = realpath(name, NULL);
    if (!path && (errno == ENOENT || errno == ENOTDIR)) path = strdup(name);
    if (!path) psal_fail(err, PSAL_ERR_IO, "%s: cannot be looked at: %s", name, strerror(errno));
    return path;
}

/* "WORD:FIRST,SECOND" with absolute paths; no word or no second one: NULL. */
static char *join_absolute(const char *spec, size_t word, const char *first, const char *second, psal_error *err) {
    char *a = absolute(first, err), *b = a && second ? absolute(second, err) : NULL, *joined = NULL;
    if (a && (b || !second) && asprintf(&joined, "%.*s%s%s%s", (int)word, spec, a, b ? "," : "", b ? b : "") < 0) {
        joined = NULL;
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
    free(a);
    free(b);
    return joined;
}

char *psal_dataset_absolute(const char *spec, psal_error *err) {
    static const char *const words[] = {"folder", "csv", "files", "image", "flat", "idx"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *rest = after_word(spec, words[i]);
        if (!rest) continue;
        if (i < 4) return join_absolute(spec, (size_t)(rest - spec), rest, NULL, err);
        char *first, *second;
        if (split_pair(rest, &first, &second, err)) return NULL;
        char *joined = join_absolute(spec, (size_t)(rest - spec), first, second, err);
        free(first);
        free(second);
        return joined;
    }
    return join_absolute(spec, 0, spec, NULL, err);
}

psal_dataset *psal_dataset_from_images(const char *const *paths, const int *labels, size_t count, bool keep_bad,
                                       psal_error *err) {
    if (count == 0) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "a data set of no images");
        return NULL;
    }
    psal_dataset *dataset = psal_dataset_begin(err);
    for (size_t i = 0; dataset && i < count; i++) {
        if (!read_image(dataset, paths[i], labels ? labels[i] : PSAL_NO_LABEL, keep_bad, err)) continue;
        psal_dataset_free(dataset);
        dataset = NULL;
    }
    return dataset;
}
