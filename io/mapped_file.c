#include "io/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The names of the files that are mapped. No thread touches a mapping while it holds the lock. */
typedef struct mapping {
    const uint8_t *data;
    size_t size;
    char *path;
    struct stat info; /* when it was mapped */
    struct mapping *next;
} mapping;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static mapping *mappings; /* a checkpoint or a few at a time */

static bool add_mapping(const psal_mapped_file *file, const char *path, const struct stat *info) {
    mapping *added = malloc(sizeof *added);
    char *copy = strdup(path);
    if (!added || !copy) {
        free(added);
        free(copy);
        return false;
    }
    pthread_mutex_lock(&lock);
    *added = (mapping){file->data, file->size, copy, *info, mappings};
    mappings = added;
    pthread_mutex_unlock(&lock);
    return true;
}

static void remove_mapping(const void *data) {
    pthread_mutex_lock(&lock);
    mapping **link = &mappings;
    while (*link && (*link)->data != data) link = &(*link)->next;
    mapping *found = *link;
    if (found) *link = found->next;
    pthread_mutex_unlock(&lock);
    if (found) free(found->path);
    free(found);
}

bool psal_mapped_name(const void *address, char *name, size_t size) {
    pthread_mutex_lock(&lock);
    const mapping *m = mappings;
    while (m && ((uintptr_t)address < (uintptr_t)m->data || (uintptr_t)address - (uintptr_t)m->data >= m->size))
        m = m->next;
    size_t length = m ? strnlen(m->path, size - 1) : 0;
    if (m) memcpy(name, m->path, length);
    name[length] = '\0';
    pthread_mutex_unlock(&lock);
    return m != NULL;
}

psal_status psal_mapped_unchanged(psal_error *err) {
    psal_status status = PSAL_OK;
    pthread_mutex_lock(&lock);
    for (const mapping *m = mappings; m && status == PSAL_OK; m = m->next) {
        struct stat now;
        const struct stat *then = &m->info;
        if (stat(m->path, &now) != 0 || now.st_dev != then->st_dev || now.st_ino != then->st_ino)
            continue; /* another file */
        if (now.st_size != then->st_size || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != then->st_mtim.tv_nsec)
            status = psal_fail(err, PSAL_ERR_IO,
                               "%s was changed while it was being read: run again when it is finished", m->path);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

psal_status psal_file_exists(const char *path, bool *exists, psal_error *err) {
    struct stat info;
    *exists = stat(path, &info) == 0;
    if (*exists || errno == ENOENT || errno == ENOTDIR) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_IO, "%s: cannot be looked at: %s", path, strerror(errno));
}

psal_status psal_map_file(const char *path, psal_mapped_file *file, psal_error *err) {
    *file = (psal_mapped_file){NULL, 0};
    /* O_NONBLOCK: opening a pipe nobody writes to must not wait for ever. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return psal_fail(err, PSAL_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat info;
    psal_status status = PSAL_OK;
    if (fstat(fd, &info) != 0) {
        status = psal_fail(err, PSAL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        status = psal_fail(err, PSAL_ERR_IO, "%s: is %s, not a file", path,
                           S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    } else if (info.st_size == 0) {
        status = psal_fail(err, PSAL_ERR_FORMAT, "%s: is empty", path);
    } else {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            status = psal_fail(err, PSAL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
        else
            *file = (psal_mapped_file){data, (size_t)info.st_size};
    }
    if (file->data && !add_mapping(file, path, &info)) {
        status = psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        munmap((void *)(uintptr_t)file->data, file->size);
        *file = (psal_mapped_file){NULL, 0};
    }
    close(fd); /* a mapping stays without it */
    return status;
}

void psal_mapped_release(void *data, size_t size) {
    remove_mapping(data);
    munmap(data, size);
}

void psal_unmap_file(psal_mapped_file *file) {
    if (file->data) psal_mapped_release((void *)(uintptr_t)file->data, file->size);
    *file = (psal_mapped_file){NULL, 0};
}
