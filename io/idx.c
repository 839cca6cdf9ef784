#include "io/idx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Deflate never packs more than 1032 bytes into one (zlib's technical notes), so the size of the
 * file bounds what an honest header can announce. */
static const int64_t deflate_limit = 1032;

static gzFile open_regular(const char *path, int64_t *file_size, psal_error *err) {
    /* O_NONBLOCK: opening a pipe must not wait for a writer; it means nothing for regular files. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info)) {
        psal_fail(err, PSAL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return NULL;
    }
    if (!S_ISREG(info.st_mode)) {
        psal_fail(err, PSAL_ERR_IO, "%s: not a regular file", path);
        close(fd);
        return NULL;
    }
    *file_size = info.st_size;
    gzFile file = gzdopen(fd, "rb"); /* reads files that are not gzipped as they are */
    if (!file) {
        psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
        close(fd);
        return NULL;
    }
    gzbuffer(file, 1 << 17);
    return file;
}

/* Read exactly `size` bytes. */
static psal_status read_exactly(gzFile file, const char *path, const char *what, uint8_t *to, int64_t size,
                                psal_error *err) {
    int64_t done = 0;
    while (done < size) {
        int64_t wanted = size - done < (1 << 24) ? size - done : (1 << 24);
        int got = gzread(file, to + done, (unsigned)wanted);
        if (got <= 0) break;
        done += got;
    }
    if (done == size) return PSAL_OK;
    int code;
    const char *reason = gzerror(file, &code);
    if (code == Z_ERRNO) return psal_fail(err, PSAL_ERR_IO, "%s: %s", path, strerror(errno));
    if (code != Z_OK && code != Z_BUF_ERROR)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: damaged gzip file: %s", path, reason);
    return psal_fail(err, PSAL_ERR_FORMAT, "%s: cut short: %lld of %lld bytes of its %s", path, (long long)done,
                     (long long)size, what);
}

static psal_status read_header(gzFile file, const char *path, int64_t file_size, int ndim, int64_t *dim, int64_t *bytes,
                               psal_error *err) {
    uint8_t header[4 + 4 * PSAL_IDX_MAX_DIMS];
    psal_status status = read_exactly(file, path, "header", header, 4, err);
    if (status) return status;
    if (header[0] || header[1])
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: not an IDX file (begins with bytes %02x %02x, expected 00 00)",
                         path, header[0], header[1]);
    if (header[2] != 8)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "%s: IDX elements of type 0x%02x; only unsigned bytes (0x08) are known", path, header[2]);
    if (header[3] != ndim)
        return psal_fail(err, PSAL_ERR_FORMAT, "%s: an IDX file of %d dimensions, expected %d%s", path, header[3], ndim,
                         ndim == 3   ? " (images: count, height, width)"
                         : ndim == 1 ? " (labels)"
                                     : "");
    status = read_exactly(file, path, "header", header + 4, 4 * (int64_t)ndim, err);
    if (status) return status;
    *bytes = 1;
    for (int i = 0; i < ndim; i++) {
        const uint8_t *b = header + 4 + 4 * i;
        dim[i] = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | (int64_t)b[3];
        if (dim[i] == 0) return psal_fail(err, PSAL_ERR_FORMAT, "%s: dimension %d is 0", path, i);
        if (dim[i] > PSAL_IDX_MAX_BYTES / *bytes)
            return psal_fail(err, PSAL_ERR_FORMAT,
                             "%s: the header announces more than %lld bytes (dimension %d is %lld)", path,
                             PSAL_IDX_MAX_BYTES, i, (long long)dim[i]);
        *bytes *= dim[i];
    }
    int64_t possible = gzdirect(file) ? file_size : file_size * deflate_limit;
    if (*bytes > possible)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "%s: the header announces %lld bytes, which a file of %lld bytes cannot "
                         "hold",
                         path, (long long)*bytes, (long long)file_size);
    return PSAL_OK;
}

psal_status psal_idx_read(const char *path, int ndim, int64_t *dim, uint8_t **data, psal_error *err) {
    int64_t file_size = 0, bytes = 0;
    *data = NULL;
    gzFile file = open_regular(path, &file_size, err);
    if (!file) return psal_error_status(err);
    uint8_t *buffer = NULL;
    psal_status status = read_header(file, path, file_size, ndim, dim, &bytes, err);
    if (!status) {
        buffer = malloc((size_t)bytes);
        status = buffer ? read_exactly(file, path, "contents", buffer, bytes, err)
                        : psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory for %lld bytes", path, (long long)bytes);
    }
    if (!status) {
        /* Reading beyond the end also makes zlib check the length and the CRC. */
        uint8_t beyond;
        int got = gzread(file, &beyond, 1), code;
        const char *reason = gzerror(file, &code);
        if (got > 0)
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s: goes on after the %lld bytes its header announces", path,
                               (long long)bytes);
        else if (code == Z_BUF_ERROR)
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s: cut short: the gzip checksum is missing", path);
        else if (got < 0 || code != Z_OK)
            status = psal_fail(err, PSAL_ERR_FORMAT, "%s: damaged gzip file: %s", path, reason);
    }
    gzclose_r(file);
    if (status)
        free(buffer);
    else
        *data = buffer;
    return status;
}
