#include "tools/wait_briefly.h"

#include <stdlib.h>
#include <unistd.h>

void psal_wait_briefly(char **argv) {
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
    char path[4096]; /* its real name: that of the link would be the process's name afterwards */
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = '\0';
    if (setenv("GOMP_SPINCOUNT", "3000", 1) == 0) execv(path, argv);
}
