/* dataset.h - a list of labelled images, wherever they lie.
 *
 * A data set is opened from one of these (the first word of `spec`, or what the path is):
 *
 *   DIR, folder:DIR        an ImageFolder: one folder per class, images anywhere below. Samples
 * come in the order of torchvision's ImageFolder (0.14): classes sorted by name, the folders below
 * a class sorted by their whole path, files by name (Python's order of strings: by code point).
 * Label numbers: see below. flat:DIR,LABELS        all images in one folder, labels in a table: a
 * CSV as below, or a text file whose lines are "name label". Names may lack ".JPEG". In the table's
 * order. flat:DIR               all images in one folder, no labels, sorted by name. FILE.csv,
 * csv:FILE     lines "path,label" or "path" or "path,label,group"; with a header (path or file or
 * image; label or class or target; group) columns come in any order, others are ignored. Relative
 * paths start from the folder of the CSV. FILE.txt, files:FILE   a path per line, no labels; also
 * .lst and .list. idx:IMAGES,LABELS      MNIST's files, plain or gzipped; ",LABELS" may be missing.
 *   FILE, image:FILE       a single image without a label.
 *
 * A label in a file is a number, a WordNet id or a class name (psal_labels_parse). Class folders
 * are understood by the label set given: with WordNet ids (ImageNet's): by WordNet id, class name
 * or class number; another name is an error; with names: by name when all folders bear names of
 * classes, numbered in sorted order when none does; numbers only, or no label set: numbered 0, 1,
 * ... in sorted order, as torchvision does. Folders whose name begins with a point are skipped at
 * the top level. In an ImageFolder, .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff and .webp files count
 * as samples, in any case, since torchvision counts them too; loading those that are neither JPEG
 * nor PNG then fails, and psal_dataset_unsupported tells how many there are. A class folder without
 * samples, a loop of symbolic links and a listed file that is not there are errors.
 *
 * A data set does not change once open; all functions below may be called by many threads at once.
 */
#ifndef PSAL_IO_DATASET_H
#define PSAL_IO_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"
#include "io/image.h"
#include "io/labels.h"

#define PSAL_DATASET_MAX_SAMPLES 100000000
#define PSAL_NO_LABEL (-1)

typedef struct psal_dataset psal_dataset;

/* Open `spec` as above. `labels` (may be NULL: numbers of any size) is needed only during the call.
 * Images are not read, but listed files are checked to exist. NULL with *err naming the file, and
 * the line where there is one. Freed with psal_dataset_free. */
psal_dataset *psal_dataset_open(const char *spec, const psal_labels *labels, psal_error *err);

/* The data set of `count` images with the given paths; `labels` may be NULL (none), or hold
 * PSAL_NO_LABEL. Their existence is checked. */
psal_dataset *psal_dataset_from_images(const char *const *paths, const int *labels, size_t count, psal_error *err);

void psal_dataset_free(psal_dataset *dataset); /* NULL is fine */

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
bool psal_dataset_all_labelled(const psal_dataset *dataset);
/* Samples whose extension is an image type that psal does not read. */
size_t psal_dataset_unsupported(const psal_dataset *dataset);

/* Decode sample `index` into *image (psal_image_free frees it): 8-bit RGB in its own size; grey
 * pixels of IDX files are put into all three channels. The error names the file. */
psal_status psal_dataset_load(const psal_dataset *dataset, size_t index, psal_image *image, psal_error *err);

/* Sample `index` will be loaded soon: where it is a file of its own, the system is asked to read it ahead, without waiting.
 * A mere hint: whatever is wrong, psal_dataset_load says it. */
void psal_dataset_prefetch(const psal_dataset *dataset, size_t index);

/* 64 bits that change when the number or order of the samples, a name, label, group or file size
 * changes, but not when the whole folder moves; of IDX files all pixels count. For noticing that a
 * run is resumed, or shards are merged, over another data set. Asks the file system for every size.
 * FNV-1a (Fowler, Noll, Vo). */
uint64_t psal_dataset_fingerprint(const psal_dataset *dataset);

/* Part `shard` (from 0) of `shards`: the contiguous samples *first to *end - 1, where part i begins
 * at floor(i * count / shards). The parts cover the data set, in order, and differ by at most one
 * in size; a part is empty when there are more parts than samples. Fails when shard is not below
 * shards. */
psal_status psal_dataset_shard(const psal_dataset *dataset, int64_t shard, int64_t shards, size_t *first, size_t *end,
                               psal_error *err);

#endif
