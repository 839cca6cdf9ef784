#include "io/temporary_files.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Who takes a name out of the table owns it: the thread that made the file, or the signal handler, which cannot free
 * it. */
enum { MOST = 256 };
static _Atomic(char *) names[MOST];

int psal_temporary_file_add(const char *name) {
    char *copy = strdup(name);
    for (int i = 0; copy && i < MOST; i++) {
        char *expected = NULL;
        if (atomic_compare_exchange_strong(&names[i], &expected, copy)) return i;
    }
    free(copy);
    return -1;
}

void psal_temporary_file_forget(int entry) {
    if (entry >= 0) free(atomic_exchange(&names[entry], NULL));
}

void psal_temporary_files_remove(void) {
    for (int i = 0; i < MOST; i++) {
        char *name = atomic_exchange(&names[i], NULL);
        if (name) unlink(name);
    }
}
