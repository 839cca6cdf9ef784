/* init_classes.h - what a network's classes are called: psal-init. */
#ifndef PSAL_TOOLS_INIT_CLASSES_H
#define PSAL_TOOLS_INIT_CLASSES_H

#include <jansson.h>

#include "tools/session.h"

/* The names that were given (--labels; NULL: none), else those that the checkpoint records, else those of the class
 * folders of `data`, which torchvision's ImageFolder numbers in sorted order, else numbers. Fails where folders are not
 * as many as classes: which is which is not known then. *from tells which, in a word or two. The caller frees. */
psal_labels *psal_init_labels(const psal_session *session, const char *given, const char *data, bool skip_bad,
                              const char **from, psal_error *err);

/* As a project file says them: the name of a built-in set, or a list of names. */
json_t *psal_init_labels_json(const psal_labels *labels, psal_error *err);

#endif
