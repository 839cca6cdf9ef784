/* idx.h - the IDX files of MNIST, Fashion-MNIST and their kin, plain or gzipped.
 *
 * LeCun, Cortes, Burges, "The MNIST database of handwritten digits": two zero bytes, an element
 * type (8: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit integer,
 * then the elements, last dimension fastest. */
#ifndef PSAL_IO_IDX_H
#define PSAL_IO_IDX_H

#include <stdint.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PSAL_IDX_MAX_DIMS 4
#define PSAL_IDX_MAX_BYTES (1LL << 30) /* larger contents are refused */

/* Read the IDX file `path` of unsigned bytes and exactly `ndim` dimensions (1 to PSAL_IDX_MAX_DIMS)
 * into *data, which the caller frees, and dim[ndim]. Fails, naming the file and the numbers, when
 * it is of another type or number of dimensions, empty in a dimension, larger than
 * PSAL_IDX_MAX_BYTES or than a file of its size can be, cut short, longer than its header says, or
 * its checksum is wrong. */
psal_status psal_idx_read(const char *path, int ndim, int64_t *dim, uint8_t **data, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
