/* shard.h - which part of the work a run of a program does, where several share it. */
#ifndef PSAL_TOOLS_SHARD_H
#define PSAL_TOOLS_SHARD_H

#include <stdint.h>

#include "engine/error.h"

typedef struct psal_shard {
    int64_t index, count; /* from 0; 0 of 1: all of it */
} psal_shard;

/* What --shard says: I/N with I from 1, or auto: what the launcher says in the environment, Slurm's job array or Open
 * MPI's ranks. NULL: all of it. */
psal_status psal_shard_parse(psal_shard *shard, const char *text, psal_error *err);

/* PATH, or when there are several parts, PATH with ".part-I-of-N" before its ending. */
psal_status psal_shard_path(const char *path, psal_shard shard, char out[4096], psal_error *err);

#endif
