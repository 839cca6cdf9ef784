#include "io/strided.h"

#include <string.h>

void psal_strided_dense(const psal_shape *shape, bool fortran, int64_t *stride) {
    bool empty = psal_shape_count(shape) == 0;
    int64_t step = 1;
    for (int i = 0; i < shape->ndim; i++) {
        int d = fortran ? i : shape->ndim - 1 - i;
        stride[d] = empty ? 0 : step;
        if (!empty) step *= shape->dim[d];
    }
}

bool psal_strided_is_contiguous(const psal_shape *shape, const int64_t *stride) {
    if (psal_shape_count(shape) == 0) return true;
    int64_t expected = 1;
    for (int i = shape->ndim - 1; i >= 0; i--) {
        if (shape->dim[i] != 1 && stride[i] != expected) return false;
        expected *= shape->dim[i];
    }
    return true;
}

/* One run along the last dimension; memcpy of a constant size is a plain load and store. */
static void copy_run(char *dst, const char *src, size_t element, int64_t count, int64_t stride) {
    if (stride == 1) {
        memcpy(dst, src, (size_t)count * element);
        return;
    }
    size_t step = (size_t)stride * element;
    switch (element) {
    case 1:
        for (int64_t i = 0; i < count; i++, src += step) dst[i] = *src;
        break;
    case 2:
        for (int64_t i = 0; i < count; i++, src += step) memcpy(dst + 2 * i, src, 2);
        break;
    case 4:
        for (int64_t i = 0; i < count; i++, src += step) memcpy(dst + 4 * i, src, 4);
        break;
    default:
        for (int64_t i = 0; i < count; i++, src += step) memcpy(dst + 8 * i, src, 8);
        break;
    }
}

void psal_strided_copy(void *dst, const void *src, size_t element, const psal_shape *shape, const int64_t *stride) {
    int64_t total = psal_shape_count(shape);
    if (total <= 0) return;
    if (psal_strided_is_contiguous(shape, stride)) {
        memcpy(dst, src, (size_t)total * element);
        return;
    }
    int last = shape->ndim - 1;
    int64_t index[PSAL_MAX_DIMS] = {0}, run = shape->dim[last], offset = 0;
    char *to = dst;
    for (int64_t done = 0; done < total; done += run, to += (size_t)run * element) {
        copy_run(to, (const char *)src + (size_t)offset * element, element, run, stride[last]);
        /* Count up, like an odometer, in all dimensions but the last. */
        for (int d = last - 1; d >= 0; d--) {
            offset += stride[d];
            if (++index[d] < shape->dim[d]) break;
            offset -= index[d] * stride[d];
            index[d] = 0;
        }
    }
}
