#include "io/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "io/mapped_file.h"
#include "io/npy.h"
#include "io/onnx.h"
#include "io/onnx_write.h"
#include "io/pth.h"
#include "io/safetensors.h"
#include "io/tfjs.h"
#include "io/zip.h"

enum form { SAFETENSORS, ZIP, PICKLE, JSON, ONNX, UNKNOWN };

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
    else if (psal_onnx_begins(data, size))
        *form = ONNX;
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
                     "is no checkpoint psal knows (safetensors, PyTorch, .npz, ONNX, TensorFlow.js), or is damaged");
}

/* An archive of arrays, or PyTorch's: what does it hold? */
static psal_status recognise_zip(const char *path, enum form *form, psal_error *err) {
    psal_zip *zip = psal_zip_open(path, err);
    if (!zip) return psal_error_status(err);
    bool torch = false, arrays = false;
    for (size_t i = 0; i < psal_zip_count(zip); i++) {
        const char *name = psal_zip_name(zip, i), *dot = strrchr(name, '.'), *slash = strchr(name, '/');
        torch |= strcmp(slash ? slash + 1 : name, "data.pkl") == 0;
        arrays |= dot && strcmp(dot, ".npy") == 0;
    }
    psal_zip_close(zip);
    *form = torch ? PICKLE : ZIP;
    if (torch || arrays) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_FORMAT,
                     "%s: is a zip archive, but neither a PyTorch file (no data.pkl) nor .npz (no .npy)", path);
}

static psal_tensor_map *read_npz(const char *path, psal_error *err) {
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

/* ---- parts ---- */

struct psal_checkpoint {
    char *path;
    enum form form;
    psal_pth *pth; /* PICKLE */
    psal_pth_dictionary *dictionaries;
    psal_checkpoint_part *parts;
    size_t count;
};

static psal_status find_form(const char *path, enum form *form, psal_error *err) {
    struct stat info;
    *form = JSON; /* a folder: that of a TensorFlow.js model */
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return PSAL_OK;
    psal_mapped_file file;
    psal_status status = psal_map_file(path, &file, err);
    if (status != PSAL_OK) return status;
    status = recognise(file.data, file.size, form, err);
    psal_unmap_file(&file);
    if (status != PSAL_OK) return psal_fail_prefix(err, "%s", path);
    return *form == ZIP ? recognise_zip(path, form, err) : PSAL_OK;
}

static psal_status find_parts(psal_checkpoint *c, psal_error *err) {
    c->count = 1;
    if (c->form == PICKLE) {
        c->pth = psal_pth_open(c->path, err);
        if (!c->pth) return psal_error_status(err);
        c->dictionaries = psal_pth_dictionaries(c->pth, &c->count, err);
        if (!c->dictionaries) return psal_fail_prefix(err, "%s", c->path);
    }
    c->parts = calloc(c->count, sizeof *c->parts);
    if (!c->parts) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", c->path);
    for (size_t i = 0; i < c->count; i++) {
        const psal_pth_dictionary *d = c->dictionaries ? &c->dictionaries[i] : NULL;
        c->parts[i] = d ? (psal_checkpoint_part){d->key, d->tensors, d->usual, d->average}
                        : (psal_checkpoint_part){.key = ""};
    }
    return PSAL_OK;
}

psal_checkpoint *psal_checkpoint_open(const char *path, psal_error *err) {
    psal_error local = PSAL_ERROR_INIT;
    if (!err) err = &local;
    psal_checkpoint *c = calloc(1, sizeof *c);
    if (c) c->path = strdup(path);
    psal_status status = c && c->path ? find_form(path, &c->form, err)
                                      : psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", path);
    if (status == PSAL_OK) status = find_parts(c, err);
    if (status == PSAL_OK) return c;
    psal_checkpoint_close(c);
    return NULL;
}

void psal_checkpoint_close(psal_checkpoint *c) {
    if (!c) return;
    psal_pth_dictionaries_free(c->dictionaries, c->dictionaries ? c->count : 0);
    psal_pth_close(c->pth);
    free(c->parts);
    free(c->path);
    free(c);
}

size_t psal_checkpoint_part_count(const psal_checkpoint *c) {
    return c->count;
}

const psal_checkpoint_part *psal_checkpoint_part_at(const psal_checkpoint *c, size_t index) {
    return index < c->count ? &c->parts[index] : NULL;
}

psal_tensor_map *psal_checkpoint_part_read(psal_checkpoint *c, size_t index, psal_notes *notes, psal_error *err) {
    psal_tensor_map *map;
    if (c->form == PICKLE) {
        map = psal_pth_tensors(c->pth, &c->dictionaries[index], notes, err);
        if (!map) psal_fail_prefix(err, "%s", c->path);
    } else {
        map = c->form == ZIP           ? read_npz(c->path, err)
              : c->form == SAFETENSORS ? read_safetensors(c->path, err)
              : c->form == ONNX        ? psal_onnx_read(c->path, err)
                                       : psal_tfjs_read(c->path, err);
    }
    if (map && !psal_tensor_map_count(map)) {
        psal_fail(err, PSAL_ERR_FORMAT, "%s: holds no tensors", c->path);
        psal_tensor_map_free(map);
        return NULL;
    }
    return map;
}

psal_tensor_map *psal_checkpoint_read(const char *path, psal_notes *notes, psal_error *err) {
    psal_checkpoint *c = psal_checkpoint_open(path, err);
    psal_tensor_map *map = c ? psal_checkpoint_part_read(c, 0, notes, err) : NULL;
    psal_checkpoint_close(c);
    return map;
}

/* ---- writing ---- */

static bool ends_in(const char *path, const char *end) {
    const size_t length = strlen(path), size = strlen(end);
    return length >= size && strcmp(path + length - size, end) == 0;
}

psal_status psal_checkpoint_check_name(const char *path, psal_error *err) {
    static const char *const others[] = {".pth", ".pt", ".bin", ".ckpt", ".h5", ".npz"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof others / sizeof *others; i++)
        if (strcasecmp(dot, others[i]) == 0)
            return psal_fail(
                err, PSAL_ERR_ARGUMENT,
                "%s: psal does not write %s files: call it .safetensors (of an ONNX file .onnx); in PyTorch, "
                "safetensors.torch.load_file(\"x.safetensors\") reads it",
                path, others[i]);
    return PSAL_OK;
}

psal_status psal_checkpoint_write(const char *path, const psal_tensor_map *map, psal_error *err) {
    const psal_status status = psal_checkpoint_check_name(path, err);
    if (status != PSAL_OK) return status;
    if (!psal_tensor_map_description(map)) return psal_safetensors_write(path, map, err);
    if (ends_in(path, ".safetensors"))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s: a network that its file describes is saved as an ONNX file: call it .onnx", path);
    return psal_onnx_write(path, map, err);
}
