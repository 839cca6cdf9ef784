/* stats_report.h - what a run of psal-stats, or its joined parts, says at the end: on standard output, and notes. */
#ifndef PSAL_TOOLS_STATS_REPORT_H
#define PSAL_TOOLS_STATS_REPORT_H

#include "io/dataset.h"
#include "saliency/summary.h"

/* How many samples, how many are right, how far the mean profiles lie apart; a note where predictions have little to do
 * with labels. `out`: where the statistics are. */
void psal_stats_print_result(const psal_summary *summary, const char *program, const char *out, bool one_class);
/* A note, quiet or not, where there are few: here more can still be taken. */
void psal_stats_note_few(const psal_summary *summary, const char *program, const char *out);
/* The end of a program's work, which went as `done`: says which images the statistics lack, by name where there is a
 * data set, and returns what psal_program_work wants. */
int psal_stats_finish(const psal_summary *summary, const psal_dataset *dataset, const char *program, psal_status done,
                      psal_error *err);

#endif
