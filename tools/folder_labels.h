/* folder_labels.h - class names from a data set's class folders. */
#ifndef PSAL_TOOLS_FOLDER_LABELS_H
#define PSAL_TOOLS_FOLDER_LABELS_H

#include <stdbool.h>

#include "io/labels.h"

/* The names of the class folders in `data`, in sorted order, as torchvision numbers them. NULL where they are not as
 * many as the classes (0 classes: however many are right; *folders says how many; 0: `data` is no folder of class
 * folders), or with an *err. */
psal_labels *psal_folder_labels(const char *data, int classes, bool skip_bad, int *folders, psal_error *err);

/* Whether all names are mere numbers, so that a folder's name may mean its class's number and not its place. */
bool psal_labels_are_numbers(const psal_labels *labels);

#endif
