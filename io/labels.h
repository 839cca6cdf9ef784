/* labels.h - what the classes of a network are called.
 *
 * A label set gives each class number 0 to n-1 a name and, for ImageNet, a WordNet id. It is built
 * in (ImageNet's 1000 classes, Fashion-MNIST's ten), read from a file, or just the numbers. Label
 * sets do not change after they are made and may be used by many threads. */
#ifndef PSAL_IO_LABELS_H
#define PSAL_IO_LABELS_H

#include <stdbool.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* Read names from `path`, in any of the forms in which people have them:
 *
 *   lines          one name a line as it stands, in the order of the class numbers. In front of all: a WordNet id
 *                  ("n01440764 tench, Tinca tinca"; alone, ImageNet's name for it), a number ("0 tench", "0: tench"),
 *                  or both; or the number behind ("tench 0").
 *   tables         .csv and .tsv, or titles in the first line: "name", "index,name" or "index,wnid,name", between
 *                  commas, semicolons or tabs. With titles (index, class_id, idx, id; wnid, synset; name, class_name,
 *                  label_name; class or label, which mean the number or the name) the columns come in any order, others
 *                  are ignored.
 *   JSON           ["tench", ...], {"0": "tench"}, {"tench": 0}, {"0": ["n01440764", "tench"]}, [{"id": 0, "name":
 *                  "tench"}], also below a key as id2label, label2id, class_to_idx, names, categories
 *   Python         the same as Python prints it ({0: 'tench, Tinca tinca', ...}), also behind "NAME ="
 *   YAML           "names:" and below it "- tench" or "0: tench", or a list in brackets
 *
 * Every number from 0 must be there once. What can be understood in two ways (numbers from 1 to n, two columns of
 * numbers, some lines with a number and some without) is an error, as is everything else; it names the file, the line
 * where there is one, and the forms that are understood. A file has at most 64 MiB, a name 1000 bytes. */
psal_labels *psal_labels_load(const char *path, psal_error *err);

/* The label set called `spec`: "imagenet", "fashion-mnist", "numbers", a JSON array of names (["cat", "dog"]; a file
 * whose name begins so is written ./[...), or a file as above. NULL or "" chooses by the number of classes: ImageNet's
 * for 1000, numbers otherwise. When class_count > 0, a set of another size is refused. */
psal_labels *psal_labels_open(const char *spec, int class_count, psal_error *err);

/* The canonical name of the built-in set that `spec` means in any case ("ImageNet"); NULL: it is none. */
const char *psal_labels_built_in(const char *spec);

/* The names that a checkpoint records (its metadata "psal.labels"): the name of a built-in set, or a JSON array with a
 * name, or a WordNet id and a name, for each class. NULL or "" chooses by the number of classes, as above. A checkpoint
 * comes from anywhere: no file is opened, whatever it says. Errors say that --labels chooses others. */
#define PSAL_LABELS_RECORD (1 << 20) /* bytes at most */
psal_labels *psal_labels_recorded(const char *text, int class_count, psal_error *err);
/* That array, for the caller to free. NULL when it would be too long. */
char *psal_labels_record(const psal_labels *labels, psal_error *err);

void psal_labels_free(psal_labels *labels); /* NULL is fine */

int psal_labels_count(const psal_labels *labels);
/* The name of class `index`; "?" outside the range. It can be printed at once: what is not printable
 * in a file's name (engine/text.h) is '?'. Lives as long as the set. */
const char *psal_labels_name(const psal_labels *labels, int index);
const char *psal_labels_wnid(const psal_labels *labels, int index); /* NULL when it has none */
bool psal_labels_have_names(const psal_labels *labels);             /* false: numbers only */
bool psal_labels_have_wnids(const psal_labels *labels);             /* every class has one */

/* The class of a WordNet id, or -1. */
int psal_labels_find_wnid(const psal_labels *labels, const char *wnid);
/* The class whose name is `name` but for case, apostrophes, and which of blank, underscore, hyphen
 * and comma stand between its words; -1 when no class has it, -2 when several have, -3 when out of
 * memory. */
int psal_labels_find_name(const psal_labels *labels, const char *name);

/* The class a user means by `text`: its number, its WordNet id, or its name as above (of "tench, Tinca tinca" the part
 * in front of the comma is enough); "number:3" and "name:3" say which, where a class is called 3. What is no class's
 * number can be a name ("10" of three classes). The error says the range for a number out of it, that a number is also
 * the name of another class, the candidates for an ambiguous name, and the nearest names for an unknown one (for one of
 * up to 255 bytes; the search is bounded). */
psal_status psal_labels_parse(const psal_labels *labels, const char *text, int *index, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
