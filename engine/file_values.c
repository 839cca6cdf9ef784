#include "engine/file_values.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct file {
    const char *data;
    size_t size;
    int fd;
    struct file *next;
} file;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static file *files; /* a checkpoint or a few at a time */

bool psal_file_values_add(const void *data, size_t size, int fd) {
    file *added = malloc(sizeof *added);
    if (!added) return false;
    pthread_mutex_lock(&lock);
    *added = (file){data, size, fd, files};
    files = added;
    pthread_mutex_unlock(&lock);
    return true;
}

void psal_file_values_remove(const void *data) {
    pthread_mutex_lock(&lock);
    file **link = &files;
    while (*link && (*link)->data != data) link = &(*link)->next;
    file *found = *link;
    if (found) *link = found->next;
    pthread_mutex_unlock(&lock);
    if (!found) return;
    if (found->fd >= 0) close(found->fd);
    free(found);
}

/* The file that holds all of these bytes, and the offset of the first. */
static bool find(const void *values, size_t size, int *fd, size_t *offset) {
    pthread_mutex_lock(&lock);
    const file *f = files;
    const uintptr_t at = (uintptr_t)values;
    while (f &&
           (at < (uintptr_t)f->data || at - (uintptr_t)f->data > f->size || f->size - (at - (uintptr_t)f->data) < size))
        f = f->next;
    if (f) {
        *fd = f->fd;
        *offset = at - (uintptr_t)f->data;
    }
    pthread_mutex_unlock(&lock);
    return f != NULL;
}

bool psal_file_values_read(const void *values, size_t size, void *to) {
    int fd;
    size_t offset, done = 0;
    if (!find(values, size, &fd, &offset) || fd < 0) return false;
    while (done < size) {
        const ssize_t count = pread(fd, (char *)to + done, size - done, (off_t)(offset + done));
        if (count == 0 || (count < 0 && errno != EINTR)) return false;
        if (count > 0) done += (size_t)count;
    }
    return true;
}

void psal_file_values_forget(const void *values, size_t size) {
    int fd;
    size_t offset;
    if (!find(values, size, &fd, &offset)) return;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)values + page - 1) / page * page,
                    end = ((uintptr_t)values + size) / page * page;
    if (end > begin) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void psal_file_values_passed(const void *tensor, size_t offset, size_t size) {
    if (offset >= PSAL_FILE_RESIDENT_BYTES) psal_file_values_forget((const char *)tensor + offset, size);
}
