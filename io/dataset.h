/* dataset.h - a list of labelled images, wherever they lie.
 *
 * A data set is opened from one of these (the first word of `spec`, or what the path is):
 *
 *   DIR, folder:DIR        an ImageFolder: one folder per class, images anywhere below. Samples come in the order of
 *                          torchvision's ImageFolder (0.14): classes sorted by name, the folders below a class sorted
 *                          by their whole path, files by name (Python's order of strings: by code point). Label
 *                          numbers: see below.
 *   flat:DIR,LABELS        all images in one folder, labels in a table: a CSV as below, or a text file whose lines are
 *                          "name label". In the table's order.
 *   flat:DIR               all images in one folder, no labels, sorted by name.
 *   FILE.csv, FILE.tsv,    a table "path,label" or "path" or "path,label,group", or "label,path" where only the second
 *                          is an
 *   csv:FILE               image; between commas, semicolons or tabs. With a header (path, file, filename, image,
 *                          image_path, image_id, id, ...; label, class, target, class_id, label_name, class_name, wnid,
 *                          ...; group) columns come in any order and others are ignored; two columns that tell the
 *                          class must agree. Of two columns one title is enough. Relative paths start from the folder
 *                          of the CSV; names may lack the extension.
 *   FILE.txt, files:FILE   a path per line, no labels; or, as the first line shows, "path label" or a table. Also .lst
 *                          and .list.
 *   idx:IMAGES,LABELS      MNIST's files, plain or gzipped; ",LABELS" may be missing.
 *   FILE, image:FILE       a single image without a label.
 *
 * A label in a file is a number ("5", "5.0"), a WordNet id or a class name (psal_labels_parse).
 *
 * Class folders are what the label set given knows: names of classes, WordNet ids, or else, when all the rest are
 * numbers in its range ("5", "05"), class numbers. When it knows none, they are numbered 0, 1, ... in sorted order, as
 * torchvision does, which is noted, and, when the folders are fewer than the classes and the labels therefore a guess,
 * noted as a warning; with WordNet ids (ImageNet) an unknown folder is an error, and so it is beside known ones, or
 * when there are more folders than classes. Without a label set they are always numbered in sorted order. The root of a
 * data set (train/, val/, test/; training_set/, val2017/ where they hold folders only) and a folder around the class
 * folders are refused with the folder to give. Images directly in the root are left out, as torchvision does, and
 * noted. Folders whose name begins with a point are skipped at the top level.
 *
 * In an ImageFolder, .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff and .webp files count as samples, in any case, since
 * torchvision counts them too; loading those that are neither JPEG, PNG nor WebP then fails. A class folder without
 * samples, a loop of symbolic links and a listed file that is not there are errors.
 *
 * A data set does not change once open, but for psal_dataset_keep; all other functions below may be called by many
 * threads at once. */
#ifndef PSAL_IO_DATASET_H
#define PSAL_IO_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"
#include "io/image.h"
#include "io/labels.h"
#include "io/notes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PSAL_DATASET_MAX_SAMPLES 100000000
#define PSAL_NO_LABEL (-1)

typedef struct psal_dataset psal_dataset;

/* Open `spec` as above. `labels` (may be NULL: numbers of any size) is needed only during the call.
 * Images are not read, but listed files are checked to exist. With `keep_bad`, a listed file that is
 * not there and a label that is not understood are no errors: the sample is there, without a label,
 * and loading it fails (psal_dataset_problem). How folders became numbers goes to `notes` (may be
 * NULL). NULL with *err naming the file, and the line where there is one. Freed with
 * psal_dataset_free. */
psal_dataset *psal_dataset_open(const char *spec, const psal_labels *labels, bool keep_bad, psal_notes *notes,
                                psal_error *err);

/* The data set of `count` images with the given paths; `labels` may be NULL (none), or hold
 * PSAL_NO_LABEL. Their existence is checked; keep_bad as above. */
psal_dataset *psal_dataset_from_images(const char *const *paths, const int *labels, size_t count, bool keep_bad,
                                       psal_error *err);

/* The same data set's name from any folder: `spec` with absolute paths, symbolic links resolved; what is no file of the
 * file system (a pipe) stays as it is. The caller frees. */
char *psal_dataset_absolute(const char *spec, psal_error *err);

void psal_dataset_free(psal_dataset *dataset); /* NULL is fine */

/* Leave only `count` of its samples, chosen[count] (ascending, at least one), under their names, numbered anew. Before
 * the data set is shared by threads. */
void psal_dataset_keep(psal_dataset *dataset, const size_t *chosen, size_t count);

size_t psal_dataset_count(const psal_dataset *dataset); /* at least 1 */
/* How samples are called in tables: the path below the data set's folder, or as it was written in
 * the list; "IMAGES:17" for the 18th image of an IDX file. */
const char *psal_dataset_name(const psal_dataset *dataset, size_t index);
/* The file to open, or NULL when the sample is not a file of its own (IDX). */
const char *psal_dataset_path(const psal_dataset *dataset, size_t index);
/* The class number, or PSAL_NO_LABEL. */
int psal_dataset_label(const psal_dataset *dataset, size_t index);
/* The text of the list's column "group", or NULL. */
const char *psal_dataset_group(const psal_dataset *dataset, size_t index);
bool psal_dataset_all_labelled(const psal_dataset *dataset); /* but for those with a problem */
/* Why sample `index` cannot be loaded, as far as its list tells; NULL when it does not. */
const char *psal_dataset_problem(const psal_dataset *dataset, size_t index);

/* Decode sample `index` into *image (psal_image_free frees it): 8-bit RGB in its own size; grey
 * pixels of IDX files are put into all three channels. The error names the file. */
psal_status psal_dataset_load(const psal_dataset *dataset, size_t index, psal_image *image, psal_error *err);

/* 64 bits that change when sample `index` is another image than before, whatever it is called: of its file's bytes, or
 * its pixels (IDX). Fails as loading does when the file cannot be read. */
psal_status psal_dataset_image_fingerprint(const psal_dataset *dataset, size_t index, uint64_t *fingerprint,
                                           psal_error *err);

/* Whether the samples first .. first+count-1 are still the images they were: hashes[i] (every `stride` bytes one) is
 * what the function above said of sample first + i; 0: not known, not asked. Reads all their files, on all threads; the
 * error names the first that is another, or cannot be read. */
psal_status psal_dataset_check_images(const psal_dataset *dataset, size_t first, size_t count, const uint64_t *hashes,
                                      size_t stride, psal_error *err);

/* Sample `index` will be loaded soon: where it is a file of its own, the system is asked to read it ahead, without
 * waiting. A mere hint: whatever is wrong, psal_dataset_load says it. */
void psal_dataset_prefetch(const psal_dataset *dataset, size_t index);

/* 64 bits that change when the number or order of the samples, a name, label, group or file size
 * changes, but not when the whole folder moves; of IDX files all pixels count. For noticing that a
 * run is resumed, or shards are merged, over another data set. Asks the file system for every size;
 * a file whose size it does not tell is an error that names it,
 * but for samples with a problem, which have none. FNV-1a (Fowler, Noll, Vo). */
psal_status psal_dataset_fingerprint(const psal_dataset *dataset, uint64_t *fingerprint, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
