#include "io/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/file_values.h"

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
    /* A mapping stays without it, and there may be more small files than a process may have open. */
    const bool keep = status == PSAL_OK && file->size > PSAL_FILE_RESIDENT_BYTES;
    const bool known = status == PSAL_OK && psal_file_values_add(file->data, file->size, keep ? fd : -1);
    if (!keep || !known) close(fd);
    return status;
}

void psal_mapped_release(void *data, size_t size) {
    psal_file_values_remove(data);
    munmap(data, size);
}

void psal_unmap_file(psal_mapped_file *file) {
    if (file->data) psal_mapped_release((void *)(uintptr_t)file->data, file->size);
    *file = (psal_mapped_file){NULL, 0};
}
