#include "io/profile_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/mapped_file.h"
#include "io/run_lock.h"

/* The header's length: magic, version, size and dictionary of any shape fit, and rows begin aligned. */
enum { HEADER_BYTES = 128 };

struct psal_profile_writer {
    int file;
    psal_run_lock *lock;
    char *path, *partial;
    psal_dtype dtype;
    int64_t samples, length;
    size_t row_bytes;
    void *row; /* converted */
};

double psal_profile_scale(psal_dtype dtype, float largest) {
    return dtype == PSAL_F16 && largest > 0 ? ldexp(1, ilogb((double)largest) - 14) : 1;
}

/* NEP 1: magic, version 1.0, length of the rest (little-endian), dictionary, padded with blanks, newline. */
static void make_header(const psal_profile_writer *w, char header[HEADER_BYTES]) {
    memset(header, ' ', HEADER_BYTES);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = HEADER_BYTES - 10;
    header[9] = 0;
    char text[HEADER_BYTES];
    int n = snprintf(text, sizeof text, "{'descr': '<f%zu', 'fortran_order': False, 'shape': (%lld, %lld), }",
                     psal_dtype_size(w->dtype), (long long)w->samples, (long long)w->length);
    memcpy(header + 10, text, (size_t)n);
    header[HEADER_BYTES - 1] = '\n';
}

static psal_status write_at(const psal_profile_writer *w, const void *data, size_t size, off_t offset,
                            psal_error *err) {
    const char *bytes = data;
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(w->file, bytes + done, size - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return psal_fail(err, PSAL_ERR_IO, "%s: cannot write: %s", w->partial, strerror(n < 0 ? errno : ENOSPC));
        done += (size_t)n;
    }
    return PSAL_OK;
}

static psal_status begin_file(psal_profile_writer *w, bool resume, psal_error *err) {
    char header[HEADER_BYTES], found[HEADER_BYTES];
    make_header(w, header);
    off_t size = (off_t)HEADER_BYTES + (off_t)w->samples * (off_t)w->row_bytes;
    /* Interrupted after the profiles had got their name, but before the run was over. */
    if (resume && access(w->partial, F_OK) != 0 && access(w->path, F_OK) == 0) rename(w->path, w->partial);
    /* The name is known to everybody who may write into the folder. A link that waits there is not followed; what an
     * earlier run has left is removed, and a new file made; to go on, it must be a file that nobody else has a name for
     * or could have put there. */
    struct stat info;
    if (!resume && lstat(w->partial, &info) == 0 && S_ISREG(info.st_mode)) unlink(w->partial);
    w->file = open(w->partial, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (resume ? 0 : O_CREAT | O_EXCL), 0666);
    if (w->file < 0)
        return psal_fail(err, PSAL_ERR_IO, "%s: cannot open: %s", w->partial,
                         errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    if (resume) {
        if (fstat(w->file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink != 1 ||
            (info.st_uid != geteuid() && geteuid() != 0))
            return psal_fail(err, PSAL_ERR_IO, "%s: is no file of this user's with one name", w->partial);
        if (info.st_size != size || pread(w->file, found, sizeof found, 0) != (ssize_t)sizeof found ||
            memcmp(found, header, sizeof header) != 0)
            return psal_fail(err, PSAL_ERR_FORMAT, "%s: not the profiles of the run that is to go on", w->partial);
        return PSAL_OK;
    }
    /* All blocks now, so that a full disk shows at once and not after a day. */
    int failure = posix_fallocate(w->file, 0, size);
    if (failure) {
        unlink(w->partial);
        return psal_fail(err, PSAL_ERR_IO, "%s: cannot reserve %lld bytes: %s", w->partial, (long long)size,
                         strerror(failure));
    }
    return write_at(w, header, sizeof header, 0, err);
}

psal_profile_writer *psal_profile_writer_open(const char *path, psal_dtype dtype, int64_t samples, int64_t length,
                                              bool resume, psal_error *err) {
    if (samples < 0 || length < 1 || samples > INT64_MAX / 16 / length || (dtype != PSAL_F16 && dtype != PSAL_F32)) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "%s: no profiles of %lld x %lld %s", path, (long long)samples,
                  (long long)length, psal_dtype_name(dtype));
        return NULL;
    }
    char *target = psal_atomic_file_regular(path, err);
    if (!target) return NULL;
    psal_profile_writer *w = calloc(1, sizeof *w);
    if (!w) free(target);
    if (w) {
        *w = (psal_profile_writer){.file = -1, .dtype = dtype, .samples = samples, .length = length};
        w->row_bytes = (size_t)length * psal_dtype_size(dtype);
        w->row = malloc(w->row_bytes);
        w->path = target;
        if (asprintf(&w->partial, "%s.partial", target) < 0) w->partial = NULL;
    }
    if (!w || !w->row || !w->partial)
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for profiles of %lld entries", (long long)length);
    else if ((w->lock = psal_run_lock_take(w->path, err)) && begin_file(w, resume, err) == PSAL_OK)
        return w;
    psal_profile_writer_close(w);
    return NULL;
}

psal_status psal_profile_writer_copy(psal_profile_writer *w, int64_t row, const void *data, psal_error *err) {
    if (row < 0 || row >= w->samples)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: row %lld of %lld", w->partial, (long long)row,
                         (long long)w->samples);
    return write_at(w, data, w->row_bytes, (off_t)HEADER_BYTES + (off_t)row * (off_t)w->row_bytes, err);
}

psal_status psal_profile_writer_put(psal_profile_writer *w, int64_t row, const float *profile, float largest,
                                    psal_error *err) {
    if (w->dtype == PSAL_F32) return psal_profile_writer_copy(w, row, profile, err);
    double scale = psal_profile_scale(w->dtype, largest);
    uint16_t *halves = w->row;
    for (int64_t i = 0; i < w->length; i++) halves[i] = psal_f16_from_f32((float)((double)profile[i] / scale));
    return psal_profile_writer_copy(w, row, halves, err);
}

psal_status psal_profile_writer_sync(psal_profile_writer *w, psal_error *err) {
    if (fdatasync(w->file) == 0) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_IO, "%s: cannot write: %s", w->partial, strerror(errno));
}

psal_status psal_profile_writer_commit(psal_profile_writer *w, psal_error *err) {
    psal_status status = psal_profile_writer_sync(w, err);
    if (status == PSAL_OK) status = psal_mapped_unchanged(err);
    if (status == PSAL_OK && rename(w->partial, w->path) != 0)
        status = psal_fail(err, PSAL_ERR_IO, "%s: cannot rename: %s", w->path, strerror(errno));
    psal_profile_writer_close(w);
    return status;
}

void psal_profile_writer_discard(psal_profile_writer *w) {
    if (w) unlink(w->partial);
    psal_profile_writer_close(w);
}

void psal_profile_writer_close(psal_profile_writer *w) {
    if (!w) return;
    if (w->file >= 0) close(w->file);
    psal_run_lock_release(w->lock);
    free(w->row);
    free(w->path);
    free(w->partial);
    free(w);
}
