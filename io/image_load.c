/* image_load.c - images from files: which decoder reads one, and what else it may be. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fnv.h"
#include "io/image_codec.h"

/* ---- what kind of file is it ---- */

struct signature {
    size_t offset;
    const char *bytes;
    size_t size;
    const char *name; /* as in "is a GIF image" */
};

#define SIGNATURE(offset, bytes, name) \
    { offset, bytes, sizeof(bytes) - 1, name }

/* Files people mistake for photos; only for the message. */
static const struct signature other_types[] = {
    SIGNATURE(0, "GIF8", "a GIF image"),
    SIGNATURE(0, "BM", "a BMP image"),
    SIGNATURE(0, "II*\0", "a TIFF image"),
    SIGNATURE(0, "MM\0*", "a TIFF image"),
    SIGNATURE(4, "ftypavif", "an AVIF image"),
    SIGNATURE(4, "ftyphei", "a HEIC image"),
    SIGNATURE(4, "ftypmif1", "a HEIF image"),
    SIGNATURE(4, "ftyp", "an MP4 video"),
    SIGNATURE(0, "\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    SIGNATURE(0, "\xff\x4f\xff\x51", "a JPEG 2000 image"),
    SIGNATURE(0, "\xff\x0a", "a JPEG XL image"),
    SIGNATURE(0, "\0\0\0\x0cJXL ", "a JPEG XL image"),
    SIGNATURE(0, "8BPS", "a Photoshop image"),
    SIGNATURE(0, "\0\0\1\0", "an icon file"),
    SIGNATURE(0, "%PDF", "a PDF document"),
    SIGNATURE(0, "%!PS", "a PostScript document"),
    SIGNATURE(0, "PK\3\4", "a zip archive"),
    SIGNATURE(0, "\x1f\x8b", "a gzip archive"),
    SIGNATURE(0, "\x93NUMPY", "a NumPy array"),
    SIGNATURE(0, "<svg", "an SVG image"),
    SIGNATURE(0, "<?xml", "an XML document"),
    SIGNATURE(0, "<!DOCTYPE", "an HTML page"),
    SIGNATURE(0, "<!doctype", "an HTML page"),
    SIGNATURE(0, "<html", "an HTML page"),
    SIGNATURE(0, "version https://git-lfs", "a Git LFS pointer, not the image itself"),
};

static int has_signature(const uint8_t *data, size_t size, const struct signature *signature) {
    return size >= signature->offset + signature->size &&
           memcmp(data + signature->offset, signature->bytes, signature->size) == 0;
}

static const struct signature jpeg_type = SIGNATURE(0, "\xff\xd8\xff", "a JPEG image");
static const struct signature png_type = SIGNATURE(0, "\x89PNG\r\n\x1a\n", "a PNG image");
static const struct signature riff_type = SIGNATURE(0, "RIFF", "a RIFF file");
static const struct signature webp_type = SIGNATURE(8, "WEBP", "a WebP image"); /* of a RIFF file */

static int is_webp(const uint8_t *data, size_t size) {
    return has_signature(data, size, &riff_type) && has_signature(data, size, &webp_type);
}

/* The first bytes of a JPEG, PNG or WebP, and then the end. */
static int is_cut_signature(const uint8_t *data, size_t size) {
    size_t riff = size < riff_type.size ? size : riff_type.size;
    size_t webp = size < webp_type.offset ? 0 : size - webp_type.offset;
    return (size < jpeg_type.size && memcmp(data, jpeg_type.bytes, size) == 0) ||
           (size < png_type.size && memcmp(data, png_type.bytes, size) == 0) ||
           (webp < webp_type.size && memcmp(data, riff_type.bytes, riff) == 0 &&
            memcmp(data + size - webp, webp_type.bytes, webp) == 0);
}

static psal_status decode(const uint8_t *data, size_t size, int64_t max_pixels, psal_image *image, psal_error *err) {
    if (size == 0) return psal_fail(err, PSAL_ERR_FORMAT, "the file is empty");
    if (has_signature(data, size, &jpeg_type)) return psal_image_decode_jpeg(data, size, max_pixels, image, err);
    if (has_signature(data, size, &png_type)) return psal_image_decode_png(data, size, max_pixels, image, err);
    if (is_webp(data, size)) return psal_image_decode_webp(data, size, max_pixels, image, err);
    if (is_cut_signature(data, size))
        return psal_fail(err, PSAL_ERR_FORMAT, "the image is truncated: it has only %zu byte%s", size,
                         size == 1 ? "" : "s");
    for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++)
        if (has_signature(data, size, &other_types[i]))
            return psal_fail(err, PSAL_ERR_FORMAT, "is %s, expected a JPEG, PNG or WebP image", other_types[i].name);
    return psal_fail(err, PSAL_ERR_FORMAT, "is neither a JPEG, a PNG nor a WebP image");
}

psal_status psal_image_decode(const void *data, size_t size, const char *name, int64_t max_pixels, psal_image *image,
                              psal_error *err) {
    *image = (psal_image)PSAL_IMAGE_INIT;
    if (max_pixels <= 0 || max_pixels > PSAL_IMAGE_MAX_PIXELS) max_pixels = PSAL_IMAGE_MAX_PIXELS;
    psal_status status = decode(data, size, max_pixels, image, err);
    if (status) psal_fail_prefix(err, "%s", name);
    return status;
}

/* ---- files ---- */

/* Read all of the open file `fd`, which the caller closes. */
static psal_status read_all(int fd, uint8_t **data, size_t *size, psal_error *err) {
    struct stat info;
    if (fstat(fd, &info)) return psal_fail(err, PSAL_ERR_IO, "%s", strerror(errno));
    if (S_ISDIR(info.st_mode)) return psal_fail(err, PSAL_ERR_IO, "is a folder, expected a JPEG, PNG or WebP file");
    if (!S_ISREG(info.st_mode))
        return psal_fail(err, PSAL_ERR_IO, "is not a regular file, expected a JPEG, PNG or WebP file");
    if (info.st_size > PSAL_IMAGE_MAX_FILE_SIZE)
        return psal_fail(err, PSAL_ERR_MEMORY, "has %lld bytes, the limit for an image is %lld",
                         (long long)info.st_size, PSAL_IMAGE_MAX_FILE_SIZE);
    size_t expected = (size_t)info.st_size, got = 0;
    uint8_t *buffer = malloc(expected + 1); /* never malloc(0) */
    if (!buffer) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu bytes", expected);
    while (got < expected) {
        ssize_t n = read(fd, buffer + got, expected - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            int reason = errno;
            free(buffer);
            return psal_fail(err, PSAL_ERR_IO, "cannot be read: %s", strerror(reason));
        }
        if (n == 0) break; /* the file shrank meanwhile: the decoder will call it truncated */
        got += (size_t)n;
    }
    *data = buffer;
    *size = got;
    return PSAL_OK;
}

/* All of the file `path`, for the caller to free. */
static psal_status read_file(const char *path, uint8_t **data, size_t *size, psal_error *err) {
    /* Not blocking: opening a pipe must not hang before fstat can refuse it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return psal_fail(err, PSAL_ERR_IO, "%s: %s", path, strerror(errno));
    psal_status status = read_all(fd, data, size, err);
    close(fd);
    if (status) psal_fail_prefix(err, "%s", path);
    return status;
}

psal_status psal_image_load(const char *path, int64_t max_pixels, psal_image *image, psal_error *err) {
    *image = (psal_image)PSAL_IMAGE_INIT;
    uint8_t *data = NULL;
    size_t size = 0;
    psal_status status = read_file(path, &data, &size, err);
    if (status) return status;
    status = psal_image_decode(data, size, path, max_pixels, image, err);
    free(data);
    return status;
}

psal_status psal_image_fingerprint(const char *path, uint64_t *fingerprint, psal_error *err) {
    uint8_t *data = NULL;
    size_t size = 0;
    psal_status status = read_file(path, &data, &size, err);
    if (status) return status;
    *fingerprint = psal_fnv_add(PSAL_FNV_INIT, data, size);
    free(data);
    return PSAL_OK;
}
