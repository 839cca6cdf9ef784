/* stats_state.h - a run of psal-stats on disk: what has been added up so far, and what it belongs to.
 *
 * The same file serves to go on after an interruption (OUT.partial) and as one machine's finished part of a run over
 * several (S.part-3-of-7.safetensors). Its metadata names everything that the numbers depend on. */
#ifndef PSAL_TOOLS_STATS_STATE_H
#define PSAL_TOOLS_STATS_STATE_H

#include <inttypes.h>

#include "io/dataset.h"
#include "saliency/summary.h"

/* What the numbers depend on, as texts by name. */
enum { PSAL_IDENTITY_ROWS = 16 };
typedef struct psal_identity {
    int count;
    const char *keys[PSAL_IDENTITY_ROWS];
    char values[PSAL_IDENTITY_ROWS][256];
} psal_identity;

void psal_identity_set(psal_identity *identity, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *psal_identity_get(const psal_identity *identity, const char *key); /* "" when absent */
/* Refuse a file that belongs to something else, naming the first difference. */
psal_status psal_identity_check(const psal_identity *identity, const psal_tensor_map *file, psal_error *err);
/* What the file belongs to. */
psal_status psal_identity_read(psal_identity *identity, const psal_tensor_map *file, psal_error *err);

/* Refuse `part`, read from `path`, unless it differs from `other` in the shard's number only. */
psal_status psal_identity_same_run(const psal_identity *part, const psal_identity *other, const char *path,
                                   psal_error *err);

psal_status psal_state_write(const char *path, const psal_identity *identity, const psal_summary *summary,
                             psal_error *err);
/* The summary in the file, which must belong to `identity` when that is not NULL, else *found is what it belongs to. */
psal_summary *psal_state_read(const char *path, const psal_identity *identity, psal_identity *found, psal_error *err);

/* The statistics, as all programs read them: with means of groups and accuracy. */
psal_status psal_state_write_statistics(const char *path, const psal_identity *identity, const psal_summary *summary,
                                        psal_error *err);
/* A table with one line per sample. index is its row in the profile store, scale what that row (of type `dtype`) is to be
 * multiplied by; samples that were skipped have a status other than "ok" and no numbers. */
psal_status psal_state_write_records(const char *path, const psal_dataset *dataset, const psal_summary *summary,
                                     psal_dtype dtype, psal_error *err);

#endif
