/* stats_state.h - a run of psal-stats on disk: what has been added up so far, and what it belongs to.
 *
 * The same file serves to go on after an interruption (OUT.partial) and as one machine's finished part of a run over
 * several (S.part-3-of-7.safetensors). Its metadata names everything that the numbers depend on. */
#ifndef PSAL_TOOLS_STATS_STATE_H
#define PSAL_TOOLS_STATS_STATE_H

#include "io/dataset.h"
#include "saliency/computation.h"
#include "saliency/summary.h"

/* `source`: as in psal_state_write_records; NULL: not known. */
psal_status psal_state_write(const char *path, const psal_computation *computation, const psal_summary *summary,
                             const char *source, psal_error *err);
/* The summary in the file, and what it belongs to. *source (may be NULL), which the caller frees, is NULL where it does
 * not say. */
psal_summary *psal_state_read(const char *path, psal_computation *computation, char **source, psal_error *err);
/* The statistics, and as the tensors of their file, with means of groups and accuracy, *map; both the caller's. */
psal_statistics *psal_state_statistics(const psal_computation *computation, const psal_summary *summary,
                                       psal_tensor_map **map, psal_error *err);
/* The statistics, as all programs read them: with means of groups and accuracy. */
psal_status psal_state_write_statistics(const char *path, const psal_computation *computation,
                                        const psal_summary *summary, psal_error *err);
/* A table with one line per sample. index is its row in the profile store; where that is of `dtype` PSAL_F16, scale is
 * what the row is to be multiplied by. Samples that were skipped have a status other than "ok" and no numbers. The
 * first line also says what was computed, as JSON in the column "psal_settings", and `source` (store_source.h) in
 * "psal_source". */
psal_status psal_state_write_records(const char *path, const psal_dataset *dataset, const psal_summary *summary,
                                     const psal_computation *computation, psal_dtype dtype, const char *source,
                                     psal_error *err);

/* What the rows of a store are: what the network gives, whatever they are added up as, and whichever run made them. The
 * caller frees; NULL when out of memory. */
char *psal_state_settings(const psal_computation *computation);

#endif
