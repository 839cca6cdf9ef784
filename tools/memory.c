#include "tools/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A stack, and a corner for everything else that a thread does. */
static const size_t THREAD_ROOM = (size_t)16 << 20, PROGRAM_ROOM = (size_t)32 << 20;

static _Thread_local const char *whose; /* of what the limit is a share; NULL: it was given */

void psal_memory_explain(psal_error *err) {
    if (!strstr(err->message, "more than the limit of ")) return;
    psal_fail(err, err->status, "%s%s%s: --memory-limit MIB allows more", err->message,
              whose ? ", three quarters of " : "", whose ? whose : "");
}

/* The least number in the files NAME of the control group `group` and those above it; UINT64_MAX when none has one. */
static uint64_t group_limit(const char *root, char *group, const char *name) {
    uint64_t least = UINT64_MAX;
    for (;;) {
        char path[4400];
        unsigned long long value;
        snprintf(path, sizeof path, "%s%s/%s", root, group, name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%llu", &value) == 1 && value < least) least = value; /* or "max" */
        if (file) fclose(file);
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

static uint64_t control_groups(void) {
    uint64_t least = UINT64_MAX;
    char line[4200];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file)) { /* "0::/group", "4:memory:/group" in the first version */
        line[strcspn(line, "\n")] = '\0';
        char *kinds = strchr(line, ':'), *group = kinds ? strchr(kinds + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        bool first = strstr(kinds, "memory") != NULL;
        if (!first && kinds[1] != '\0') continue;
        uint64_t limit = first ? group_limit("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes")
                               : group_limit("/sys/fs/cgroup", group, "memory.max");
        if (limit < least) least = limit;
    }
    if (file) fclose(file);
    return least;
}

/* Bytes of address space in use. */
static uint64_t mapped(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%llu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

psal_status psal_memory_limit(int threads, size_t given, size_t *limit, psal_error *err) {
    const long pages = sysconf(_SC_PHYS_PAGES);
    uint64_t least = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : UINT64_MAX;
    whose = "the machine's memory";
    const uint64_t groups = control_groups();
    if (groups < least) {
        least = groups;
        whose = "the control group's memory";
    }
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
        const uint64_t taken = mapped() + PROGRAM_ROOM + (uint64_t)threads * (PSAL_BLAS_BUFFER + THREAD_ROOM);
        if (space.rlim_cur <= taken)
            return psal_fail(err, PSAL_ERR_MEMORY,
                             "an address space of %llu MiB (ulimit -v) is too small for %d thread%s, which with the "
                             "programs and files in it need %llu MiB: allow more%s",
                             (unsigned long long)space.rlim_cur >> 20, threads, threads == 1 ? "" : "s",
                             (unsigned long long)taken >> 20, threads == 1 ? "" : ", or fewer --threads");
        if (space.rlim_cur - taken < least) {
            least = space.rlim_cur - taken;
            whose = "the address space that is left (ulimit -v)";
        }
    }
    *limit = given ? given : (size_t)(least / 4 * 3);
    if (given) whose = NULL;
    return PSAL_OK;
}
