/* stats_tail.h - psal-stats tail STORE OUT: statistics with tails (saliency/tail.h) from a store of profiles. */
#ifndef PSAL_TOOLS_STATS_TAIL_H
#define PSAL_TOOLS_STATS_TAIL_H

#include "engine/error.h"
#include "tools/options.h"

/* Fit the tails, write OUT and say on standard output what they are. */
psal_status psal_stats_tail(const psal_options *options, psal_error *err);

#endif
