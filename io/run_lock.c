#include "io/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/temporary_files.h"

struct psal_run_lock {
    int fd, entry;
    char *name;
};

static psal_status fail_taken(int fd, const char *path, psal_error *err) {
    char text[200] = "", host[150] = "";
    int process = 0;
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    if (sscanf(text, "%d %149s", &process, host) == 2)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s: another run is writing it (process %d on %s): wait for it, or choose another name", path,
                         process, host);
    return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: another run is writing it: wait for it, or choose another name",
                     path);
}

/* Whether the name still leads to this file: who released the lock before has removed his. */
static bool is_current(int fd, const char *name) {
    struct stat here, there;
    return fstat(fd, &here) == 0 && lstat(name, &there) == 0 && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}

static void sign(int fd) {
    char text[200], host[120] = "";
    gethostname(host, sizeof host - 1);
    int length = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), *host ? host : "?");
    if (ftruncate(fd, 0) == 0) (void)!pwrite(fd, text, (size_t)length, 0); /* for the message only */
}

/* The descriptor of PATH.lock, locked, and its entry in the table of temporary files; -1. */
static int lock_file(const char *path, const char *name, int *entry, psal_error *err) {
    for (int attempt = 0; attempt < 1000; attempt++) {
        int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0666);
        struct stat info;
        if (fd < 0 || fstat(fd, &info) != 0) {
            psal_fail(err, PSAL_ERR_IO, "%s: cannot be opened: %s", name,
                      errno == ELOOP ? "it is a symbolic link" : strerror(errno));
        } else if (!S_ISREG(info.st_mode)) {
            psal_fail(err, PSAL_ERR_IO, "%s: is no ordinary file", name);
        } else {
            int taken;
            while ((taken = flock(fd, LOCK_EX | LOCK_NB)) != 0 && errno == EINTR) continue;
            if (taken != 0 && errno == EWOULDBLOCK) {
                fail_taken(fd, path, err);
            } else if (is_current(fd, name)) {
                *entry = psal_temporary_file_add(name);
                sign(fd);
                return fd;
            } else {
                close(fd);
                continue;
            }
        }
        if (fd >= 0) close(fd);
        return -1;
    }
    psal_fail(err, PSAL_ERR_IO, "%s: goes away whenever it is made, or cannot be looked at", name);
    return -1;
}

psal_run_lock *psal_run_lock_take(const char *path, psal_error *err) {
    psal_run_lock *lock = calloc(1, sizeof *lock);
    if (!lock || asprintf(&lock->name, "%s.lock", path) < 0) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        free(lock);
        return NULL;
    }
    lock->fd = lock_file(path, lock->name, &lock->entry, err);
    if (lock->fd < 0) {
        free(lock->name);
        free(lock);
        return NULL;
    }
    return lock;
}

void psal_run_lock_release(psal_run_lock *lock) {
    if (!lock) return;
    unlink(lock->name); /* before it is unlocked, so that it is still this run's */
    psal_temporary_file_forget(lock->entry);
    close(lock->fd);
    free(lock->name);
    free(lock);
}
