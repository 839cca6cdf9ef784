/* labels.h - what the classes of a network are called.
 *
 * A label set gives each class number 0 to n-1 a name and, for ImageNet, a WordNet id. It is built
 * in (ImageNet's 1000 classes, Fashion-MNIST's ten), read from a file, or just the numbers. Label
 * sets do not change after they are made and may be used by many threads. */
#ifndef PSAL_IO_LABELS_H
#define PSAL_IO_LABELS_H

#include <stdbool.h>

#include "engine/error.h"

#define PSAL_IMAGENET_CLASSES 1000
#define PSAL_MAX_CLASSES 1000000

/* Name ("great white shark") and WordNet id ("n01484850") of ImageNet class `index`, 0 to 999; NULL
 * outside. The names are the first lemma of each synset; three of them (crane, cardigan, maillot)
 * stand for two classes each. */
const char *psal_imagenet_name(int index);
const char *psal_imagenet_wnid(int index);
/* The class number of a WordNet id, or -1. */
int psal_imagenet_find_wnid(const char *wnid);
/* Whether `text` has the form of a WordNet noun id: an n and eight digits. */
bool psal_is_wnid(const char *text);

typedef struct psal_labels psal_labels;

psal_labels *psal_labels_imagenet(psal_error *err);
psal_labels *psal_labels_fashion_mnist(psal_error *err);
/* Classes 0 to count-1 that have no names but their numbers. */
psal_labels *psal_labels_numbered(int count, psal_error *err);

/* Read names from `path`. A .csv file holds one class a line: "name", "index,name" or
 * "index,wnid,name"; with a header (index, wnid, name) the columns may come in any order. Any other
 * file holds one name a line as it stands, in the order of the class numbers, a WordNet id in front
 * allowed ("n01440764 tench, Tinca tinca"). Every index from 0 must be there once; errors name file
 * and line. */
psal_labels *psal_labels_load(const char *path, psal_error *err);

/* The label set called `spec`: "imagenet", "fashion-mnist", "numbers", or a file as above. NULL or
 * "" chooses by the number of classes: ImageNet's for 1000, numbers otherwise. When class_count >
 * 0, a set of another size is refused. */
psal_labels *psal_labels_open(const char *spec, int class_count, psal_error *err);

void psal_labels_free(psal_labels *labels); /* NULL is fine */

int psal_labels_count(const psal_labels *labels);
/* The name of class `index`; "?" outside the range, so that it can be printed at once. Lives as
 * long as the set. */
const char *psal_labels_name(const psal_labels *labels, int index);
const char *psal_labels_wnid(const psal_labels *labels, int index); /* NULL when it has none */
bool psal_labels_have_names(const psal_labels *labels);             /* false: numbers only */
bool psal_labels_have_wnids(const psal_labels *labels);             /* every class has one */

/* The class of a WordNet id, or -1. */
int psal_labels_find_wnid(const psal_labels *labels, const char *wnid);
/* The class whose name is `name` but for case, apostrophes, and which of blank, underscore, hyphen
 * and comma stand between its words; -1 when no class has it, -2 when several have. */
int psal_labels_find_name(const psal_labels *labels, const char *name);

/* The class a user means by `text`: its number, its WordNet id, or its name as above (of
 * "tench, Tinca tinca" the part in front of the comma is enough). The error says the range for a
 * number out of it, the candidates for an ambiguous name, and the nearest names for an unknown one.
 */
psal_status psal_labels_parse(const psal_labels *labels, const char *text, int *index, psal_error *err);

#endif
