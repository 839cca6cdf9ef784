/* npy.h - NumPy's .npy arrays and .npz archives of them.
 *
 * Format: NumPy's "A Simple File Format for NumPy Arrays" (NEP 1): the magic "\x93NUMPY", a
 * version, the length of a header that is a Python dictionary literal with 'descr', 'fortran_order'
 * and 'shape', the elements. */
#ifndef PSAL_IO_NPY_H
#define PSAL_IO_NPY_H

#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The one array of `path`, under the name "array". Little-endian float16/32/64, int8 to int64,
 * uint8 and bool; Fortran order is turned into row-major order. Where the layout allows, the tensor
 * is a read-only view into the mapped file, which the map owns. NULL with an *err that names the
 * file. */
psal_tensor_map *psal_npy_read(const char *path, psal_error *err);

/* The arrays of an .npz archive (stored or compressed) under their names, without ".npy". Arrays of other elements
 * (big-endian, text, structures, objects) are PSAL_OTHER. */
psal_tensor_map *psal_npz_read(const char *path, psal_error *err);

/* Write one array, version 1.0 of the format, atomically. bfloat16, which NumPy lacks, is written
 * as float32, exactly. */
psal_status psal_npy_write(const char *path, const psal_tensor *tensor, psal_error *err);

/* Add the array in the `size` bytes at `data` (a whole .npy file) to `map`: as a view when aligned
 * and row-major. The bytes must outlive the map. Messages do not name the file. */
psal_status psal_npy_add(psal_tensor_map *map, const char *name, const uint8_t *data, size_t size, psal_error *err);

/* NumPy's type code without byte order ("f4", "i8", "b1", "?") as an element type; false when psal
 * has none such. */
bool psal_numpy_dtype(const char *code, size_t length, psal_dtype *dtype);

#ifdef __cplusplus
}
#endif

#endif
