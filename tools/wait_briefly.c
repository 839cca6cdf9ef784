#include "tools/wait_briefly.h"

#include <stdlib.h>
#include <unistd.h>

void psal_wait_briefly(char **argv) {
    static const char *const own[] = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES",
                                      "GOMP_CPU_AFFINITY"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (getenv(own[i])) return;
    char path[4096]; /* its real name: that of the link would be the process's name afterwards */
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = '\0';
    if (setenv("GOMP_SPINCOUNT", "3000", 1) == 0) execv(path, argv);
}
