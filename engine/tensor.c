#include "engine/tensor.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [PSAL_F32] = {"float32", 4},   [PSAL_F64] = {"float64", 8}, [PSAL_F16] = {"float16", 2},
    [PSAL_BF16] = {"bfloat16", 2}, [PSAL_I64] = {"int64", 8},   [PSAL_I32] = {"int32", 4},
    [PSAL_I16] = {"int16", 2},     [PSAL_I8] = {"int8", 1},     [PSAL_U8] = {"uint8", 1},
    [PSAL_BOOL] = {"bool", 1},
};
_Static_assert(sizeof dtypes / sizeof *dtypes == PSAL_DTYPE_COUNT, "one row per element type");

static bool known(psal_dtype dtype) {
    return (unsigned)dtype < PSAL_DTYPE_COUNT;
}

size_t psal_dtype_size(psal_dtype dtype) {
    return known(dtype) ? dtypes[dtype].size : 0;
}

const char *psal_dtype_name(psal_dtype dtype) {
    return known(dtype) ? dtypes[dtype].name : "unknown";
}

const char *psal_tensor_type(const psal_tensor *tensor) {
    return tensor->dtype == PSAL_OTHER ? tensor->data : psal_dtype_name(tensor->dtype);
}

bool psal_tensor_is_float(const psal_tensor *tensor) {
    if (tensor->dtype != PSAL_OTHER)
        return tensor->dtype == PSAL_F32 || tensor->dtype == PSAL_F64 || tensor->dtype == PSAL_F16 ||
               tensor->dtype == PSAL_BF16;
    /* Integers and booleans, NumPy's bytes, text, dates, structures and objects: "U16", "torch.uint16",
     * "i2", "S5", "O". */
    const char *type = tensor->data, *dot = strrchr(type, '.');
    if (dot) type = dot + 1;
    if (*type && strchr("<>=|", *type)) type++; /* NumPy's byte order */
    return !*type || !strchr("iubsomv", tolower((unsigned char)*type)) || strncasecmp(type, "bf", 2) == 0;
}

psal_shape psal_shape_make(int ndim, const int64_t *dim) {
    /* More dimensions than fit are kept as a count that psal_shape_count refuses. */
    psal_shape shape = {.ndim = ndim};
    for (int i = 0; i < ndim && i < PSAL_MAX_DIMS; i++) shape.dim[i] = dim[i];
    return shape;
}

bool psal_shape_equal(const psal_shape *a, const psal_shape *b) {
    if (a->ndim != b->ndim) return false;
    for (int i = 0; i < a->ndim && i < PSAL_MAX_DIMS; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

bool psal_shape_broadcast(const psal_shape *a, const psal_shape *b, psal_shape *both) {
    *both = (psal_shape){.ndim = a->ndim > b->ndim ? a->ndim : b->ndim};
    for (int i = 0; i < both->ndim; i++) {
        const int ia = i - (both->ndim - a->ndim), ib = i - (both->ndim - b->ndim);
        const int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        if (da != db && da != 1 && db != 1) return false;
        both->dim[i] = da == 1 ? db : da;
    }
    return true;
}

int64_t psal_shape_count(const psal_shape *shape) {
    if (shape->ndim < 0 || shape->ndim > PSAL_MAX_DIMS) return -1;
    bool empty = false;
    for (int i = 0; i < shape->ndim; i++) {
        if (shape->dim[i] < 0) return -1;
        empty |= shape->dim[i] == 0;
    }
    if (empty) return 0;
    int64_t count = 1;
    for (int i = 0; i < shape->ndim; i++) {
        if (count > INT64_MAX / 16 / shape->dim[i]) return -1;
        count *= shape->dim[i];
    }
    return count;
}

char *psal_shape_format(const psal_shape *shape, char *text, size_t size) {
    if (!size) return text;
    snprintf(text, size, "%s", shape->ndim == 0 ? "scalar" : "");
    size_t used = 0;
    for (int i = 0; i < shape->ndim && i < PSAL_MAX_DIMS; i++) {
        int more = snprintf(text + used, size - used, "%s%" PRId64, i ? "x" : "", shape->dim[i]);
        if (more < 0 || (size_t)more >= size - used) break;
        used += (size_t)more;
    }
    return text;
}

/* One loop per element type; CONVERT sees the element as `x`. */
#define EACH(type, CONVERT)                   \
    {                                         \
        const type *src = tensor->data;       \
        for (int64_t i = 0; i < count; i++) { \
            type x = src[i];                  \
            dst[i] = CONVERT;                 \
        }                                     \
        break;                                \
    }

void psal_tensor_to_f32(const psal_tensor *tensor, float *dst) {
    int64_t count = psal_shape_count(&tensor->shape);
    if (count <= 0) return;
    switch (tensor->dtype) {
    case PSAL_F32:
        memcpy(dst, tensor->data, (size_t)count * sizeof *dst);
        break;
    case PSAL_F64:
        EACH(double, (float)x)
    case PSAL_F16:
        EACH(uint16_t, psal_f16_to_f32(x))
    case PSAL_BF16:
        EACH(uint16_t, psal_bf16_to_f32(x))
    case PSAL_I64:
        EACH(int64_t, (float)x)
    case PSAL_I32:
        EACH(int32_t, (float)x)
    case PSAL_I16:
        EACH(int16_t, (float)x)
    case PSAL_I8:
        EACH(int8_t, (float)x)
    case PSAL_U8:
        EACH(uint8_t, (float)x)
    case PSAL_BOOL:
        EACH(uint8_t, x ? 1.0f : 0.0f)
    case PSAL_DTYPE_COUNT:
    case PSAL_OTHER:
        for (int64_t i = 0; i < count; i++) dst[i] = NAN;
        break;
    }
}

void psal_tensor_to_f64(const psal_tensor *tensor, double *dst) {
    int64_t count = psal_shape_count(&tensor->shape);
    if (count <= 0) return;
    switch (tensor->dtype) {
    case PSAL_F32:
        EACH(float, (double)x)
    case PSAL_F64:
        memcpy(dst, tensor->data, (size_t)count * sizeof *dst);
        break;
    case PSAL_F16:
        EACH(uint16_t, (double)psal_f16_to_f32(x))
    case PSAL_BF16:
        EACH(uint16_t, (double)psal_bf16_to_f32(x))
    case PSAL_I64:
        EACH(int64_t, (double)x)
    case PSAL_I32:
        EACH(int32_t, (double)x)
    case PSAL_I16:
        EACH(int16_t, (double)x)
    case PSAL_I8:
        EACH(int8_t, (double)x)
    case PSAL_U8:
        EACH(uint8_t, (double)x)
    case PSAL_BOOL:
        EACH(uint8_t, x ? 1.0 : 0.0)
    case PSAL_DTYPE_COUNT:
    case PSAL_OTHER:
        for (int64_t i = 0; i < count; i++) dst[i] = NAN;
        break;
    }
}

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* binary16: sign, 5 exponent bits (bias 15), 10 fraction bits; binary32: sign, 8 (bias 127), 23
 * (IEEE 754-2008). */
float psal_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000u | fraction << 13); /* infinity, NaN */
    if (exponent == 0) {                                                           /* zero, subnormal */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_of_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

uint16_t psal_f16_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) /* NaN stays NaN, quiet, with the payload's upper bits */
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and above round to infinity */
    if (magnitude >= 0x38800000u) {                                  /* 2^-14 and above: normal */
        /* Half a unit less one, plus one when the kept part is odd: ties go to even. The carry may
         * raise the exponent. */
        uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
        return (uint16_t)(sign | (rounded - ((127u - 15u) << 23)) >> 13);
    }
    uint32_t exponent = magnitude >> 23;
    if (exponent < 102) return (uint16_t)sign; /* below 2^-25, half the smallest subnormal */
    /* The value is fraction * 2^(exponent - 150), wanted in units of 2^-24. */
    uint32_t fraction = (magnitude & 0x7fffffu) | 0x800000u, shift = 126 - exponent;
    uint32_t kept = fraction >> shift, rest = fraction & ((1u << shift) - 1), tie = 1u << (shift - 1);
    kept += rest > tie || (rest == tie && (kept & 1u));
    return (uint16_t)(sign | kept);
}

float psal_bf16_to_f32(uint16_t brain) {
    return float_of_bits((uint32_t)brain << 16);
}
