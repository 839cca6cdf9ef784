/* tensor.h - shapes, element types, and named collections of tensors.
 *
 * The engine computes in float32 on plain `float *` buffers; psal_tensor is how tensors travel between files, models
 * and results: always contiguous, row-major (the last dimension varies fastest), images NCHW and convolution weights
 * OIHW. */
#ifndef PSAL_ENGINE_TENSOR_H
#define PSAL_ENGINE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
#include <initializer_list>
extern "C" {
#endif

#define PSAL_MAX_DIMS 8

typedef enum psal_dtype {
    PSAL_F32,
    PSAL_F64,
    PSAL_F16,  /* IEEE 754 binary16 */
    PSAL_BF16, /* the upper half of a binary32 */
    PSAL_I64,
    PSAL_I32,
    PSAL_I16,
    PSAL_I8,
    PSAL_U8,
    PSAL_BOOL,        /* one byte, 0 or 1 */
    PSAL_DTYPE_COUNT, /* of the types above, with which psal can compute */
    PSAL_OTHER        /* any other (8-bit floats, quantised, complex numbers, text): it has a name and a shape only */
} psal_dtype;

size_t psal_dtype_size(psal_dtype dtype);      /* bytes per element; 0 for PSAL_OTHER */
const char *psal_dtype_name(psal_dtype dtype); /* "float32", "bfloat16", ... */

typedef struct psal_shape {
    int ndim; /* 0 for a scalar */
    int64_t dim[PSAL_MAX_DIMS];
} psal_shape;

psal_shape psal_shape_make(int ndim, const int64_t *dim);
#ifdef __cplusplus /* which has no compound literals */
#define PSAL_SHAPE(...) \
    [](std::initializer_list<int64_t> dim) { return psal_shape_make((int)dim.size(), dim.begin()); }({__VA_ARGS__})
#else
#define PSAL_SHAPE(...) \
    psal_shape_make((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#endif

bool psal_shape_equal(const psal_shape *a, const psal_shape *b);

/* The shape of a and b together as NumPy has it: aligned at their last axes, and repeated along axes of length 1. False
 * when they do not fit; *both may be written to all the same. */
bool psal_shape_broadcast(const psal_shape *a, const psal_shape *b, psal_shape *both);

/* Product of the dimensions (1 for a scalar), or -1 when a dimension is negative or the product exceeds INT64_MAX / 16
 * (so that multiplying it by any element size cannot overflow). */
int64_t psal_shape_count(const psal_shape *shape);

/* "64x3x7x7"; "scalar" for no dimensions. Always terminated; returns `text`. 96 bytes hold most shapes. */
char *psal_shape_format(const psal_shape *shape, char *text, size_t size);

/* A contiguous tensor. Whoever handed it out says who owns `data`; nobody writes to it through this: it may be a file's
 * read-only mapping, or shared. */
typedef struct psal_tensor {
    psal_dtype dtype;
    psal_shape shape;
    const void *data; /* PSAL_OTHER: no elements, but what the file calls their type, a string */
} psal_tensor;

/* The element type in words: "float32", or of PSAL_OTHER the file's name for it ("F8_E4M3", "torch.complex64"). */
const char *psal_tensor_type(const psal_tensor *tensor);
/* Whether the elements may be weights: floating-point numbers, or of a type that is not known to be integers, booleans,
 * text, dates or Python objects (8-bit floats, complex numbers, quantised and sparse tensors). */
bool psal_tensor_is_float(const psal_tensor *tensor);

/* Convert every element to float32 (integers and float64 are rounded to nearest) into dst[psal_shape_count]. All become
 * NaN for PSAL_OTHER. */
void psal_tensor_to_f32(const psal_tensor *tensor, float *dst);
/* The same to float64, exact for every type but int64 beyond 2^53. */
void psal_tensor_to_f64(const psal_tensor *tensor, double *dst);

float psal_f16_to_f32(uint16_t half);
uint16_t psal_f16_from_f32(float value); /* round to nearest even */
float psal_bf16_to_f32(uint16_t brain);

/* ---- a named, ordered collection of tensors with string metadata: what a checkpoint is in memory ---- */

typedef struct psal_tensor_map psal_tensor_map;

psal_tensor_map *psal_tensor_map_new(void);      /* NULL when out of memory */
void psal_tensor_map_free(psal_tensor_map *map); /* frees tensors, names, metadata and adopted memory; NULL is fine */

/* Append a zeroed tensor and return its data, to be filled: 64-byte aligned, owned by the map, valid as long as that;
 * the only way to write into a tensor. NULL on a duplicate name, a bad shape or too little memory. */
void *psal_tensor_map_add(psal_tensor_map *map, const char *name, psal_dtype dtype, const psal_shape *shape,
                          psal_error *err);
/* Append a tensor whose data lives elsewhere (a mapped file, the caller's buffer) and outlives the map. */
psal_status psal_tensor_map_add_view(psal_tensor_map *map, const char *name, psal_dtype dtype, const psal_shape *shape,
                                     const void *data, psal_error *err);
/* Append a tensor that cannot be read: PSAL_OTHER with (the first 100 bytes of) the type's name. */
psal_status psal_tensor_map_add_other(psal_tensor_map *map, const char *name, const char *type, const psal_shape *shape,
                                      psal_error *err);
/* Make the map responsible for calling release(memory, size) when it is freed, e.g. munmap of the file behind views. */
psal_status psal_tensor_map_adopt(psal_tensor_map *map, void *memory, size_t size,
                                  void (*release)(void *memory, size_t size), psal_error *err);

size_t psal_tensor_map_count(const psal_tensor_map *map);
const char *psal_tensor_map_name(const psal_tensor_map *map, size_t index);
const psal_tensor *psal_tensor_map_at(const psal_tensor_map *map, size_t index);
const psal_tensor *psal_tensor_map_get(const psal_tensor_map *map, const char *name); /* NULL when absent; O(1) */
size_t psal_tensor_map_find(const psal_tensor_map *map, const char *name); /* its index; SIZE_MAX when absent; O(1) */
/* Give entry `index` another name; fails when that name is taken. */
psal_status psal_tensor_map_rename(psal_tensor_map *map, size_t index, const char *name, psal_error *err);
/* Drop the entry (its memory stays until the map is freed); later indices move down by one. O(n). */
void psal_tensor_map_remove(psal_tensor_map *map, size_t index);

/* Metadata: string to string, in insertion order; setting an existing key replaces its value. */
psal_status psal_tensor_map_set_meta(psal_tensor_map *map, const char *key, const char *value, psal_error *err);
const char *psal_tensor_map_meta(const psal_tensor_map *map, const char *key); /* NULL when absent */
size_t psal_tensor_map_meta_count(const psal_tensor_map *map);
const char *psal_tensor_map_meta_key(const psal_tensor_map *map, size_t index);

/* What the file says about the network itself (engine/description.h); NULL: nothing. Its memory is the map's, adopted,
 * or that of a map which outlives this one. */
struct psal_description;
void psal_tensor_map_describe(psal_tensor_map *map, const struct psal_description *description);
const struct psal_description *psal_tensor_map_description(const psal_tensor_map *map);

#ifdef __cplusplus
}
#endif

#endif
