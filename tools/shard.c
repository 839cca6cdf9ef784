#include "tools/shard.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"

enum { MOST_SHARDS = 1000000 };

static psal_status check_shard(psal_shard *shard, int64_t index, int64_t count, const char *whence, psal_error *err) {
    if (count < 1 || count > MOST_SHARDS || index < 0 || index >= count)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--shard %s: part %" PRId64 " of %" PRId64 ": should be I/N with I from 1 to N, N at most %d",
                         whence, index + (index < INT64_MAX), count, MOST_SHARDS);
    *shard = (psal_shard){index, count};
    return PSAL_OK;
}

static bool is_set(const char *name) {
    const char *text = getenv(name);
    return text && *text;
}

/* A launcher's variable; *value stays where it is not set. */
static psal_status environment_number(const char *name, int64_t *value, psal_error *err) {
    const char *text = getenv(name);
    if (!is_set(name) || (psal_parse_int64(text, value) && *value >= 0)) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "--shard auto: %s is '%.60s', which is no number of a task", name, text);
}

/* Slurm numbers the tasks of an array MIN, MIN + STEP, ..., MAX; of a list with gaps it does not say which there
 * are. */
static psal_status slurm_shard(psal_shard *shard, psal_error *err) {
    int64_t task = 0, count = 0, lowest = 0, step = 1, highest = -1;
    psal_status status = environment_number("SLURM_ARRAY_TASK_ID", &task, err);
    if (status == PSAL_OK) status = environment_number("SLURM_ARRAY_TASK_COUNT", &count, err);
    if (status == PSAL_OK) status = environment_number("SLURM_ARRAY_TASK_MIN", &lowest, err);
    if (status == PSAL_OK) status = environment_number("SLURM_ARRAY_TASK_STEP", &step, err);
    if (status == PSAL_OK) status = environment_number("SLURM_ARRAY_TASK_MAX", &highest, err);
    if (status != PSAL_OK) return status;
    int64_t index = step > 0 && task >= lowest ? (task - lowest) / step : -1;
    bool even = index >= 0 && (task - lowest) % step == 0 && index < count;
    if (!even || (highest >= 0 && (highest < lowest || (highest - lowest) / step + 1 != count)))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--shard auto: task %" PRId64 " of %" PRId64 "; of Slurm's array %" PRId64 "-%" PRId64
                         ":%" PRId64 " this is %" PRId64
                         ", but the array's numbers must follow each other without gaps",
                         index + 1, count, lowest, highest, step, task);
    return check_shard(shard, index, count, "auto, from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT", err);
}

static psal_status mpi_shard(psal_shard *shard, psal_error *err) {
    int64_t rank = 0, size = 0;
    psal_status status = environment_number("OMPI_COMM_WORLD_RANK", &rank, err);
    if (status == PSAL_OK) status = environment_number("OMPI_COMM_WORLD_SIZE", &size, err);
    return status == PSAL_OK
               ? check_shard(shard, rank, size, "auto, from OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE", err)
               : status;
}

psal_status psal_shard_parse(psal_shard *shard, const char *text, psal_error *err) {
    const char *slash = text ? strchr(text, '/') : NULL;
    *shard = (psal_shard){0, 1};
    if (!text) return PSAL_OK;
    if (strcmp(text, "auto") != 0) {
        char first[32] = "";
        int64_t i, n;
        if (slash && slash - text < (ptrdiff_t)sizeof first) memcpy(first, text, (size_t)(slash - text));
        if (!slash || !psal_parse_int64(first, &i) || !psal_parse_int64(slash + 1, &n) || i < 1)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "--shard %s: should be I/N with I from 1 to N, e.g. 2/7, or auto",
                             text);
        return check_shard(shard, i - 1, n, text, err);
    }
    if (is_set("SLURM_ARRAY_TASK_ID") && is_set("SLURM_ARRAY_TASK_COUNT")) return slurm_shard(shard, err);
    if (is_set("OMPI_COMM_WORLD_RANK") && is_set("OMPI_COMM_WORLD_SIZE")) return mpi_shard(shard, err);
    return psal_fail(
        err, PSAL_ERR_ARGUMENT,
        "--shard auto: neither SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT nor OMPI_COMM_WORLD_RANK and "
        "OMPI_COMM_WORLD_SIZE are set: run it from a Slurm job array or mpirun, or say --shard I/N");
}

psal_status psal_shard_path(const char *path, psal_shard shard, char out[4096], psal_error *err) {
    const char *slash = strrchr(path, '/'), *point = strrchr(path, '.');
    size_t stem = point && point > (slash ? slash + 1 : path) ? (size_t)(point - path) : strlen(path);
    int n = shard.count == 1 ? snprintf(out, 4096, "%s", path)
                             : snprintf(out, 4096, "%.*s.part-%" PRId64 "-of-%" PRId64 "%s", (int)stem, path,
                                        shard.index + 1, shard.count, path + stem);
    return n < 4000 ? PSAL_OK : psal_fail(err, PSAL_ERR_ARGUMENT, "the path is too long: %s", path);
}
