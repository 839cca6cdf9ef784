/* stats_merge.h - psal-stats merge OUT PART...: the parts of a run over several machines become its statistics. */
#ifndef PSAL_TOOLS_STATS_MERGE_H
#define PSAL_TOOLS_STATS_MERGE_H

#include "tools/options.h"
#include "tools/stats_state.h"

/* Join the parts that the command line names, in the order of their numbers, and write what it asks for. Refuses parts
 * of different runs, unfinished, missing and double ones, by name. The joined summary is the caller's; NULL on
 * failure. */
psal_summary *psal_stats_merge(const psal_options *options, psal_error *err);

#endif
