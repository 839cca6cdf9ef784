#include "io/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* "folder/.name.1a2b3c4d.part": hidden, in the same file system as the final name, so that rename
 * is atomic. */
static char *temporary_name(const char *path) {
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path + 1) : 0;
    unsigned random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = (unsigned)getpid() * 2654435761u;
    char *name = NULL;
    /* A base name may be up to 255 bytes long; the temporary one must not be longer. */
    if (asprintf(&name, "%.*s.%.200s.%08x.part", folder, path, path + folder, random) < 0) return NULL;
    return name;
}

/* Open a new file with the permissions of an ordinary one (0666 less the umask; mkstemp would give
 * 0600). */
static int create_temporary(const char *path, char **name) {
    for (int attempt = 0; attempt < 16; attempt++) {
        *name = temporary_name(path);
        if (!*name) return -1;
        int fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) return fd;
        int reason = errno;
        free(*name);
        *name = NULL;
        errno = reason;
        if (reason != EEXIST) return -1;
    }
    return -1;
}

static void release(psal_atomic_file *file) {
    free(file->path);
    free(file->temporary);
    free(file);
}

psal_atomic_file *psal_atomic_file_open(const char *path, psal_error *err) {
    if (!path || !*path) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "the name of the output file is empty");
        return NULL;
    }
    psal_atomic_file *file = calloc(1, sizeof *file);
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (file) file->path = exists ? realpath(path, NULL) : strdup(path);
    if (!file || !file->path) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        free(file);
        return NULL;
    }
    int fd = -1;
    if (exists && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
    } else if (exists && !S_ISREG(info.st_mode)) {
        /* /dev/stdout, a pipe: renaming over it would replace the device by a file. */
        fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        fd = create_temporary(file->path, &file->temporary);
    }
    if (fd >= 0) file->stream = fdopen(fd, "wb");
    if (!file->stream) {
        psal_fail(err, PSAL_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        if (file->temporary) unlink(file->temporary);
        release(file);
        return NULL;
    }
    return file;
}

/* Make the rename itself survive a power failure; a file system that cannot (EINVAL) is no reason
 * to fail. */
static void sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!folder) return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!fsync(fd);
        close(fd);
    }
    free(folder);
}

psal_status psal_atomic_file_commit(psal_atomic_file *file, psal_error *err) {
    errno = 0;
    bool whole = !ferror(file->stream) && fflush(file->stream) == 0;
    int reason = errno;
    if (whole && file->temporary && fsync(fileno(file->stream)) != 0) {
        reason = errno;
        whole = false;
    }
    if (fclose(file->stream) != 0 && whole) {
        reason = errno;
        whole = false;
    }
    if (whole && file->temporary) {
        if (rename(file->temporary, file->path) != 0) {
            reason = errno;
            whole = false;
        } else {
            sync_folder(file->path);
        }
    }
    psal_status status = PSAL_OK;
    if (!whole) {
        if (file->temporary) unlink(file->temporary);
        /* ferror does not keep its reason: an earlier write failed, nearly always for want of
         * space. */
        status = psal_fail(err, PSAL_ERR_IO, "%s: cannot be written: %s", file->path,
                           reason ? strerror(reason) : "a write failed (disk full?)");
    }
    release(file);
    return status;
}

void psal_atomic_file_abort(psal_atomic_file *file) {
    if (!file) return;
    fclose(file->stream);
    if (file->temporary) unlink(file->temporary);
    release(file);
}

psal_status psal_atomic_file_write(const char *path, const void *data, size_t size, psal_error *err) {
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) return err ? err->status : PSAL_ERR_IO;
    if (size && fwrite(data, 1, size, file->stream) != size) {
        psal_status status = psal_fail(err, PSAL_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        psal_atomic_file_abort(file);
        return status;
    }
    return psal_atomic_file_commit(file, err);
}

psal_status psal_make_directory(const char *path, psal_error *err) {
    if (!path || !*path) return psal_fail(err, PSAL_ERR_ARGUMENT, "the name of the folder is empty");
    char *copy = strdup(path);
    if (!copy) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    psal_status status = PSAL_OK;
    for (char *at = copy + 1; status == PSAL_OK; at++) {
        if (*at != '/' && *at != '\0') continue;
        char kept = *at;
        *at = '\0';
        struct stat info;
        /* mkdir before stat: a folder another process makes meanwhile is fine. */
        if (mkdir(copy, 0777) != 0) {
            int reason = errno;
            if (stat(copy, &info) != 0)
                status = psal_fail(err, PSAL_ERR_IO, "%s: folder cannot be created: %s", copy, strerror(reason));
            else if (!S_ISDIR(info.st_mode))
                status = psal_fail(err, PSAL_ERR_IO, "%s: folder cannot be created: a file of that name exists", copy);
        }
        *at = kept;
        if (!kept) break;
    }
    free(copy);
    return status;
}
