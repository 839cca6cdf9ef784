/* known_label.h - the true class of a picture that is a sample of the data set at hand, so that nobody need type it. */
#ifndef PSAL_TOOLS_KNOWN_LABEL_H
#define PSAL_TOOLS_KNOWN_LABEL_H

#include "io/labels.h"
#include "io/notes.h"
#include "tools/options.h"

/* The data set that may know it: that of --data or the project, also where the latter stands back beside --image-path.
 * NULL: there is none. */
const char *psal_known_data(const psal_options *options);

/* known[count]: the labels that the data set has for the files images[count], each with a note that says so;
 * PSAL_NO_LABEL where a file is none of its samples, or there is no data set. Fails where that cannot be told.
 * `labels`: the classes' names. */
psal_status psal_known_labels(const psal_options *options, const psal_labels *labels, const char *const *images,
                              size_t count, int *known, psal_notes *notes, psal_error *err);
/* The other way round: a note where the data set has another label for a file than given[count], negative where nobody
 * gave one. */
void psal_note_other_labels(const psal_options *options, const psal_labels *labels, const char *const *images,
                            size_t count, const int *given, psal_notes *notes);

#endif
