#include "io/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/mapped_file.h"
#include "io/npy.h"
#include "io/pth.h"
#include "io/safetensors.h"
#include "io/tfjs.h"
#include "io/zip.h"

/* Prefixes that are taken off; a hostile name is nothing but a million of them, copied each time. */
enum { MOST_PREFIXES = 32 };

enum form { SAFETENSORS, ZIP, PICKLE, JSON, UNKNOWN };

/* Files people give by mistake, by their first bytes, and what to say about them. */
static const struct {
    const char *begin;
    size_t size;
    const char *what;
} mistakes[] = {
    {"\xff\xd8\xff", 3, "is a JPEG image"},
    {"\x89PNG\r\n\x1a\n", 8, "is a PNG image"},
    {"GIF8", 4, "is a GIF image"},
    {"\x89HDF\r\n\x1a\n", 8, "is an HDF5 file (Keras' .h5), which is not read; convert it with tensorflowjs_converter"},
    {"\x1f\x8b", 2, "is compressed with gzip; unpack it first"},
    {"BZh", 3, "is compressed with bzip2; unpack it first"},
    {"\xfd"
     "7zXZ",
     5, "is compressed with xz; unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, "is compressed with zstd; unpack it first"},
    {"\x93NUMPY", 6, "is a single NumPy array; weights come in .npz archives of named arrays"},
    {"%PDF", 4, "is a PDF document"},
    {"version https://git-lfs", 23, "is a Git LFS pointer, not the file itself (run 'git lfs pull')"},
};

/* Text that begins, blanks aside, with <!doctype or <html, in any case: what servers send instead
 * of a file. */
static bool is_html(const uint8_t *data, size_t size) {
    char begin[16] = "";
    size_t at = 0, used = 0;
    while (at < size && memchr(" \t\r\n\xef\xbb\xbf", data[at], 7)) at++;
    while (at < size && used < sizeof begin - 1) begin[used++] = (char)data[at++];
    return strncasecmp(begin, "<!doctype", 9) == 0 || strncasecmp(begin, "<html", 5) == 0 ||
           strncasecmp(begin, "<?xml", 5) == 0;
}

static psal_status recognise(const uint8_t *data, size_t size, enum form *form, psal_error *err) {
    size_t first = 0;
    while (first < size && memchr(" \t\r\n", data[first], 4)) first++;
    *form = UNKNOWN;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        if (size >= mistakes[i].size && memcmp(data, mistakes[i].begin, mistakes[i].size) == 0)
            return psal_fail(err, PSAL_ERR_FORMAT, "%s, no checkpoint", mistakes[i].what);
    if (size >= 4 && (memcmp(data, "PK\x03\x04", 4) == 0 || memcmp(data, "PK\x05\x06", 4) == 0))
        *form = ZIP;
    else if (size >= 10 && data[8] == '{' && data[7] == 0)
        *form = SAFETENSORS; /* no header has 2^56 bytes */
    else if (size >= 2 && data[0] == 0x80 && data[1] <= 5)
        *form = PICKLE;
    else if (size >= 27 && memcmp(data, "L119547037146038801333356L\n", 27) == 0)
        *form = PICKLE; /* protocol 0 */
    else if (first < size && data[first] == '{')
        *form = JSON;
    else if (is_html(data, size))
        return psal_fail(err, PSAL_ERR_FORMAT, "is an HTML page (a failed download?)");
    else if (size > 262 && memcmp(data + 257, "ustar", 5) == 0)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "is a tar archive; unpack it first (PyTorch's own tar form, before "
                         "0.1.10, is not read)");
    if (*form != UNKNOWN) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_FORMAT,
                     "is no checkpoint psal knows (safetensors, PyTorch, .npz, TensorFlow.js), or is damaged");
}

/* An archive of arrays, or PyTorch's: what does it hold? */
static psal_tensor_map *read_zip(const char *path, psal_notes *notes, psal_error *err) {
    psal_zip *zip = psal_zip_open(path, err);
    if (!zip) return NULL;
    bool torch = false, arrays = false;
    for (size_t i = 0; i < psal_zip_count(zip); i++) {
        const char *name = psal_zip_name(zip, i), *dot = strrchr(name, '.'), *slash = strchr(name, '/');
        torch |= strcmp(slash ? slash + 1 : name, "data.pkl") == 0;
        arrays |= dot && strcmp(dot, ".npy") == 0;
    }
    psal_zip_close(zip);
    if (torch) return psal_pth_read(path, notes, err);
    if (!arrays) {
        psal_fail(err, PSAL_ERR_FORMAT,
                  "%s: is a zip archive, but neither a PyTorch file (no data.pkl) nor .npz (no .npy)", path);
        return NULL;
    }
    psal_tensor_map *map = psal_npz_read(path, err);
    if (map && psal_tensor_map_set_meta(map, "format", "npz", err) != PSAL_OK) {
        psal_tensor_map_free(map);
        return NULL;
    }
    return map;
}

static psal_tensor_map *read_safetensors(const char *path, psal_error *err) {
    psal_tensor_map *map = psal_safetensors_read(path, err);
    if (map && !psal_tensor_map_meta(map, "format") &&
        psal_tensor_map_set_meta(map, "format", "safetensors", err) != PSAL_OK) {
        psal_tensor_map_free(map);
        return NULL;
    }
    return map;
}

/* Whether all names begin with `prefix` and can lose it without two of them meeting. */
static bool all_have_prefix(const psal_tensor_map *map, const char *prefix) {
    size_t length = strlen(prefix);
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const char *name = psal_tensor_map_name(map, i);
        if (strncmp(name, prefix, length) != 0 || !name[length]) return false;
        if (psal_tensor_map_get(map, name + length)) return false;
    }
    return true;
}

static psal_status strip_prefixes(psal_tensor_map *map, psal_notes *notes, psal_error *err) {
    static const char *const prefixes[] = {"module.", "_orig_mod.", "model.", "net."};
    size_t count = sizeof prefixes / sizeof *prefixes, since = 0, taken = 0;
    /* Round and round, until none has fitted in a whole round: "module.model.",
     * "model.module.module." */
    for (size_t p = 0; since < count && taken < MOST_PREFIXES;) {
        if (!all_have_prefix(map, prefixes[p])) {
            p = (p + 1) % count;
            since++;
            continue;
        }
        for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
            char *rest = strdup(psal_tensor_map_name(map, i) + strlen(prefixes[p]));
            psal_status status = rest ? psal_tensor_map_rename(map, i, rest, err)
                                      : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
            free(rest);
            if (status != PSAL_OK) return status;
        }
        psal_note(notes, "took the prefix '%s' off all names", prefixes[p]);
        since = 0;
        taken++;
    }
    return PSAL_OK;
}

psal_tensor_map *psal_checkpoint_read(const char *path, psal_notes *notes, psal_error *err) {
    struct stat info;
    enum form form = JSON; /* a folder: that of a TensorFlow.js model */
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        psal_mapped_file file;
        if (psal_map_file(path, &file, err) != PSAL_OK) return NULL;
        psal_status status = recognise(file.data, file.size, &form, err);
        psal_unmap_file(&file);
        if (status != PSAL_OK) {
            psal_fail_prefix(err, "%s", path);
            return NULL;
        }
    }
    psal_tensor_map *map = form == ZIP           ? read_zip(path, notes, err)
                           : form == SAFETENSORS ? read_safetensors(path, err)
                           : form == PICKLE      ? psal_pth_read(path, notes, err)
                                                 : psal_tfjs_read(path, err);
    if (!map) return NULL;
    if (!psal_tensor_map_count(map)) {
        psal_fail(err, PSAL_ERR_FORMAT, "%s: holds no tensors", path);
        psal_tensor_map_free(map);
        return NULL;
    }
    if (form != JSON && strip_prefixes(map, notes, err) != PSAL_OK) {
        psal_tensor_map_free(map);
        return NULL;
    }
    return map;
}
