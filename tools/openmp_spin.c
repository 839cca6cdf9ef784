#include "tools/openmp_spin.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Whether the system started this very program, so that it may be asked to do so again. Under another loader (ld.so
 * psal-run) the process is that loader, which has none of its own, and so AT_BASE is 0; under Valgrind it is Valgrind,
 * which would lose sight of a new program. */
static bool started_by_system(void) {
    const char *preload = getenv("LD_PRELOAD");
    return getauxval(AT_BASE) != 0 && getauxval(AT_SECURE) == 0 && !(preload && strstr(preload, "vgpreload"));
}

void psal_limit_openmp_spin(char **argv) {
    static const char *const own[] = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES",
                                      "GOMP_CPU_AFFINITY"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (getenv(own[i])) return;
    char path[4096]; /* its real name: that of the link would be the process's name afterwards */
    ssize_t length = started_by_system() ? readlink("/proc/self/exe", path, sizeof path - 1) : 0;
    if (length <= 0) return;
    path[length] = '\0';
    /* The file may have been removed or replaced meanwhile; with the variable set, whatever starts does not come here
     * again. */
    if (access(path, X_OK) != 0 || setenv("GOMP_SPINCOUNT", "3000", 1) != 0) return;
    execv(path, argv);
    unsetenv("GOMP_SPINCOUNT");
}
