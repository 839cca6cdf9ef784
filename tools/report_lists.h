/* report_lists.h - lists of some of a store's samples, as the other programs' --data and --group take them. */
#ifndef PSAL_TOOLS_REPORT_LISTS_H
#define PSAL_TOOLS_REPORT_LISTS_H

#include "tools/report.h"

/* Write samples[count] of the report's store into `name` of its folder, path,label, but for those that cannot be read
 * (with --skip-bad) and those whose image is one of an earlier sample of the list: *written tells how many there are.
 * Samples that are no files of their own (IDX) are written as PNGs beside it. path[4200] gets where the list is, *hash
 * (may be NULL) what tells its images and labels from others. */
psal_status psal_report_list(psal_report *report, const char *name, const int64_t *samples, int64_t count,
                             char path[4200], int64_t *written, uint64_t *hash, psal_error *err);

/* Fails where such lists cannot name every class (psal_class_text), and are asked for: before the work is done. */
psal_status psal_report_check_classes(const psal_options *options, const psal_labels *labels, psal_error *err);

/* Samples that are right, drawn by --seed and spread over the classes: samples[wanted]; *count tells how many. */
psal_status psal_report_draw_right(const psal_report *report, int64_t wanted, int64_t *samples, int64_t *count,
                                   psal_error *err);

#endif
