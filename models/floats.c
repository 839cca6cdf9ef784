#include "models/floats.h"

#include <stdlib.h>
#include <string.h>

psal_status net_refuse_type(const char *name, const psal_tensor *tensor, psal_error *err) {
    return psal_fail(err, PSAL_ERR_FORMAT, "tensor '%s' holds %s; weights are %s", name, psal_tensor_type(tensor),
                     psal_tensor_is_float(tensor) ? "float16, bfloat16, float32 or float64"
                                                  : "floating point (quantised weights are not read)");
}

/* Conversion reads elements where they are; a file may have put them anywhere. False when out of memory. */
static bool convert(const psal_tensor *tensor, float *floats, double *doubles) {
    const size_t size = psal_dtype_size(tensor->dtype);
    const size_t bytes = (size_t)psal_shape_count(&tensor->shape) * size;
    psal_tensor aligned = *tensor;
    void *copy = NULL;
    if ((uintptr_t)tensor->data % size != 0) {
        copy = malloc(bytes);
        if (!copy) return false;
        aligned.data = memcpy(copy, tensor->data, bytes);
    }
    if (floats)
        psal_tensor_to_f32(&aligned, floats);
    else
        psal_tensor_to_f64(&aligned, doubles);
    free(copy);
    return true;
}

bool net_floats_to(const psal_tensor *tensor, float *values) {
    return convert(tensor, values, NULL);
}

float *net_floats(const psal_tensor *tensor) {
    float *values = malloc(((size_t)psal_shape_count(&tensor->shape) + 1) * sizeof *values);
    if (values && convert(tensor, values, NULL)) return values;
    free(values);
    return NULL;
}

double *net_doubles(const psal_tensor *tensor) {
    double *values = malloc(((size_t)psal_shape_count(&tensor->shape) + 1) * sizeof *values);
    if (values && convert(tensor, NULL, values)) return values;
    free(values);
    return NULL;
}

bool net_all_equal(const psal_tensor *tensor, double value) {
    double *values = net_doubles(tensor);
    bool equal = values != NULL;
    for (int64_t i = 0, count = psal_shape_count(&tensor->shape); equal && i < count; i++) equal = values[i] == value;
    free(values);
    return equal;
}
