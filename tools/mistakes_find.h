/* mistakes_find.h - the mistakes of a data set, and samples that are right: what all its samples are taken for. */
#ifndef PSAL_TOOLS_MISTAKES_FIND_H
#define PSAL_TOOLS_MISTAKES_FIND_H

#include "tools/mistakes.h"

/* Predict all samples, and keep the mistakes that --limit or --first leave and `right` samples that are right. */
psal_status psal_mistakes_find(psal_mistakes *mistakes, const psal_mistakes_needs *needs, size_t right,
                               psal_error *err);

/* Call work for i in [0, count): subjects, or samples of the data set, whose name is for the message. forward_only:
 * workers have an image and a classifier, and nothing else. */
psal_status psal_mistakes_run(const psal_mistakes *mistakes, const psal_mistakes_steps *steps, size_t count,
                              bool subjects, bool forward_only, psal_mistakes_work work, void *data, psal_error *err);

#endif
