/* strided.h - copying a view with strides into contiguous memory. Internal to io/. */
#ifndef PSAL_IO_STRIDED_H
#define PSAL_IO_STRIDED_H

#include <stddef.h>
#include <stdint.h>

#include "engine/tensor.h"

/* The strides (in elements, one per dimension) of an array without gaps, row-major or, for
 * `fortran`, with the first dimension varying fastest. All 0 for an empty array, whose other
 * dimensions may be any size. */
void psal_strided_dense(const psal_shape *shape, bool fortran, int64_t *stride);

/* Whether elements `stride` apart (in elements, one per dimension) already lie in row-major order
 * without gaps. */
bool psal_strided_is_contiguous(const psal_shape *shape, const int64_t *stride);

/* dst[row-major index] = src[sum of index * stride]; elements of 1, 2, 4 or 8 bytes, neither side
 * aligned. The caller has checked that every index lies inside `src`. */
void psal_strided_copy(void *dst, const void *src, size_t element, const psal_shape *shape, const int64_t *stride);

#endif
