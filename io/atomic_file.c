#include "io/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/mapped_file.h"
#include "io/temporary_files.h"

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

/* Where the bytes go in the end: `path` with the symbolic links of its last part followed, also when they lead to
 * nothing yet, or a descriptor of this process. */
typedef struct destination {
    char *path;
    int fd; /* of /dev/stdout, /dev/fd/N: to be written where it stands; -1: none */
    struct stat info;
    bool exists;
} destination;

/* The link's target as seen from the folder of the link. */
static char *follow(const char *link, const char *target) {
    const char *slash = strrchr(link, '/');
    char *path = NULL;
    int folder = slash && target[0] != '/' ? (int)(slash - link + 1) : 0;
    return asprintf(&path, "%.*s%s", folder, link, target) < 0 ? NULL : path;
}

static bool names_descriptor(const char *path, int *fd) {
    int used = 0;
    return (sscanf(path, "/dev/fd/%d%n", fd, &used) == 1 || sscanf(path, "/proc/self/fd/%d%n", fd, &used) == 1) &&
           used > 0 && path[used] == '\0' && *fd >= 0;
}

/* False with errno; to->path is to be freed in any case. */
static bool find_destination(const char *path, destination *to) {
    *to = (destination){.path = strdup(path), .fd = -1};
    for (int links = 0; to->path; links++) {
        if (names_descriptor(to->path, &to->fd)) return fcntl(to->fd, F_GETFD) != -1;
        char target[PATH_MAX];
        ssize_t length = readlink(to->path, target, sizeof target - 1);
        if (length < 0) {
            to->exists = stat(to->path, &to->info) == 0;
            if (to->exists && S_ISDIR(to->info.st_mode)) errno = EISDIR;
            return to->exists ? !S_ISDIR(to->info.st_mode) : errno == ENOENT;
        }
        if (links == 40) { /* as many as Linux follows */
            errno = ELOOP;
            return false;
        }
        target[length] = '\0';
        char *next = follow(to->path, target);
        free(to->path);
        to->path = next;
    }
    errno = ENOMEM;
    return false;
}

/* Open a new file: with the permissions and, as far as allowed, the owner of the one that it is to replace, else those
 * of an ordinary one (0666 less the umask; mkstemp would give 0600). */
static int create_temporary(const destination *to, psal_atomic_file *file) {
    for (int attempt = 0; attempt < 16; attempt++) {
        file->temporary = temporary_name(to->path);
        if (!file->temporary) return -1;
        file->entry = psal_temporary_file_add(file->temporary);
        int fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                      to->exists ? to->info.st_mode & 0777 : 0666);
        if (fd >= 0 && to->exists) {
            bool owned = to->info.st_uid == geteuid() && to->info.st_gid == getegid();
            (void)!(owned || fchown(fd, to->info.st_uid, to->info.st_gid) == 0);
            (void)!fchmod(fd, to->info.st_mode & 07777);
        }
        if (fd >= 0) return fd;
        int reason = errno;
        psal_temporary_file_forget(file->entry);
        free(file->temporary);
        file->temporary = NULL;
        errno = reason;
        if (reason != EEXIST) return -1;
    }
    return -1;
}

/* The temporary file is gone, or has got its name. */
static void release(psal_atomic_file *file) {
    if (file->temporary) psal_temporary_file_forget(file->entry);
    free(file->path);
    free(file->temporary);
    free(file);
}

static void discard(psal_atomic_file *file) {
    if (file->temporary) unlink(file->temporary);
    release(file);
}

psal_atomic_file *psal_atomic_file_open(const char *path, psal_error *err) {
    if (!path || !*path) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "the name of the output file is empty");
        return NULL;
    }
    psal_atomic_file *file = calloc(1, sizeof *file);
    if (!file) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    destination to;
    int fd = -1;
    if (!find_destination(path, &to))
        ;                /* errno says why */
    else if (to.fd >= 0) /* the same place in the file, if it is one, as for whoever else writes there */
        fd = fcntl(to.fd, F_DUPFD_CLOEXEC, 3);
    else if (to.exists && !S_ISREG(to.info.st_mode)) /* a pipe, a device: renaming over it would replace it by a file */
        fd = open(to.path, O_WRONLY | O_CLOEXEC);
    else
        fd = create_temporary(&to, file);
    file->path = to.path;
    if (fd >= 0) file->stream = fdopen(fd, "wb");
    if (file->stream) return file;
    psal_fail(err, PSAL_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    discard(file);
    return NULL;
}

bool psal_atomic_file_is_direct(const char *path) {
    destination to = {.fd = -1};
    bool direct = find_destination(path, &to) && (to.fd >= 0 || (to.exists && !S_ISREG(to.info.st_mode)));
    free(to.path);
    return direct;
}

char *psal_atomic_file_regular(const char *path, psal_error *err) {
    destination to;
    bool found = find_destination(path, &to),
         direct = found && (to.fd >= 0 || (to.exists && !S_ISREG(to.info.st_mode)));
    if (found && !direct) return to.path;
    psal_fail(err, PSAL_ERR_IO, "%s: cannot be written: %s", path,
              direct ? "it is no ordinary file, which is needed here" : strerror(errno));
    free(to.path);
    return NULL;
}

psal_status psal_atomic_file_check(const char *path, psal_error *err) {
    /* Opening a pipe would wait for its reader. */
    if (path && psal_atomic_file_is_direct(path) && access(path, W_OK) == 0) return PSAL_OK;
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) return psal_error_status(err);
    psal_atomic_file_abort(file);
    return PSAL_OK;
}

/* Make the rename itself survive a power failure. Returns 0 or the reason; a file system that cannot (EINVAL), or a
 * folder that may not be read, is none. */
static int sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!folder) return 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0) return 0;
    int reason = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return reason == EINVAL || reason == EROFS || reason == EOPNOTSUPP ? 0 : reason;
}

psal_status psal_atomic_file_commit(psal_atomic_file *file, psal_error *err) {
    /* The first failure counts; ferror does not keep its reason: nearly always want of space. */
    bool whole = !ferror(file->stream);
    int reason = 0;
    if (whole && (fflush(file->stream) != 0 || (file->temporary && fsync(fileno(file->stream)) != 0))) {
        reason = errno;
        whole = false;
    }
    if (fclose(file->stream) != 0 && whole) {
        reason = errno;
        whole = false;
    }
    psal_status status = whole ? psal_mapped_unchanged(err) : PSAL_OK;
    bool renamed = whole && status == PSAL_OK && file->temporary && rename(file->temporary, file->path) == 0;
    if (whole && status == PSAL_OK && file->temporary) reason = renamed ? sync_folder(file->path) : errno;
    if (!whole || reason)
        status = psal_fail(err, PSAL_ERR_IO, "%s: cannot be written: %s", file->path,
                           reason ? strerror(reason) : "a write failed (disk full?)");
    if (renamed)
        release(file);
    else
        discard(file);
    return status;
}

void psal_atomic_file_abort(psal_atomic_file *file) {
    if (!file) return;
    fclose(file->stream);
    discard(file);
}

psal_status psal_atomic_file_write(const char *path, const void *data, size_t size, psal_error *err) {
    psal_atomic_file *file = psal_atomic_file_open(path, err);
    if (!file) return psal_error_status(err);
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
