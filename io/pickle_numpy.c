/* numpy's arrays, scalars and element types. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/npy.h"
#include "io/pickle_calls.h"
#include "io/strided.h"

/* dtype('f8', False, True); its byte order follows by BUILD. */
psal_pickle_value *psal_pickle_numpy_dtype(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                           psal_error *err) {
    const psal_pickle_value *code = psal_pickle_argument(arguments, 0, PSAL_PICKLE_STRING);
    if (!code || !code->text.size) return psal_pickle_bad_arguments(row, err);
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_DTYPE, err);
    if (!value) return NULL;
    const char *text = code->text.bytes;
    size_t size = code->text.size;
    value->dtype.big_endian = *text == '>';
    if (memchr("<>=|", *text, 4)) text++, size--;
    value->dtype.known = psal_numpy_dtype(text, size, &value->dtype.type);
    memcpy(value->dtype.code, text, size < sizeof value->dtype.code ? size : sizeof value->dtype.code - 1);
    return value;
}

/* Bytes in either spelling: Python 2's str is bytes. */
static const psal_pickle_value *bytes_argument(const psal_pickle_value *arguments, size_t index) {
    const psal_pickle_value *bytes = psal_pickle_argument(arguments, index, PSAL_PICKLE_BYTES);
    return bytes ? bytes : psal_pickle_argument(arguments, index, PSAL_PICKLE_STRING);
}

/* scalar(dtype, bytes): becomes a plain number. */
psal_pickle_value *psal_pickle_numpy_scalar(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                            psal_error *err) {
    const psal_pickle_value *dtype = psal_pickle_argument(arguments, 0, PSAL_PICKLE_DTYPE);
    const psal_pickle_value *bytes = bytes_argument(arguments, 1);
    if (!dtype || !bytes || arguments->list.count != 2) return psal_pickle_bad_arguments(row, err);
    const char *code = dtype->dtype.code;
    size_t size = bytes->text.size;
    char kind = *code == '?' ? 'b' : *code;
    char width = *code == '?' ? '1' : code[1];
    bool number = kind && width && strchr("fiub", kind) && strchr("1248", width) && (!code[1] || !code[2]);
    if (!number || (dtype->dtype.big_endian && size > 1)) { /* a string, a date: nothing that is wanted here */
        psal_pickle_value *other = psal_pickle_new(pickle, PSAL_PICKLE_BYTES, err);
        if (other) other->text = bytes->text;
        return other;
    }
    if ((size_t)(width - '0') != size) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "cannot read a numpy scalar of type %s in %zu bytes", code, size);
        return NULL;
    }
    uint64_t bits = 0;
    for (size_t i = size; i-- > 0;) bits = bits << 8 | (uint8_t)bytes->text.bytes[i];
    psal_pickle_value *value = psal_pickle_new(pickle, kind == 'f' ? PSAL_PICKLE_FLOAT : PSAL_PICKLE_INT, err);
    if (!value) return NULL;
    if (kind == 'f') {
        float single;
        uint32_t low = (uint32_t)bits;
        memcpy(&single, &low, 4);
        if (size == 8)
            memcpy(&value->real, &bits, 8);
        else if (size == 1)
            return psal_pickle_bad_arguments(row, err);
        else
            value->real = size == 4 ? (double)single : (double)psal_f16_to_f32((uint16_t)bits);
    } else if (kind == 'b') {
        value->kind = PSAL_PICKLE_BOOL;
        value->integer = bits != 0;
    } else if (kind == 'u' && bits > INT64_MAX) {
        value->kind = PSAL_PICKLE_FLOAT;
        value->real = (double)bits;
    } else {
        int shift = 64 - 8 * (int)size;
        value->integer = kind == 'u' ? (int64_t)bits : (int64_t)(bits << shift) >> shift;
    }
    return value;
}

/* Make `value` the array over bytes of the pickle; of text, dates and objects only the bytes. */
static bool fill_array(psal_pickle *pickle, psal_pickle_value *value, const psal_pickle_value *dtype,
                       const psal_pickle_value *shape, bool fortran, const psal_pickle_value *bytes, psal_error *err) {
    if (!dtype->dtype.known && (!*dtype->dtype.code || strchr("OSUVMm", *dtype->dtype.code))) {
        value->kind = PSAL_PICKLE_BYTES;
        value->text = bytes->text;
        return true;
    }
    psal_pickle_tensor *tensor = value->tensor;
    bool swapped = dtype->dtype.known && dtype->dtype.big_endian && psal_dtype_size(dtype->dtype.type) > 1;
    if (!dtype->dtype.known || swapped) {
        char type[32];
        int length = snprintf(type, sizeof type, "%s%s", swapped ? ">" : "", dtype->dtype.code);
        if (psal_pickle_read_dims(shape, tensor->shape.dim)) tensor->shape.ndim = (int)shape->list.count;
        psal_pickle_set_other(tensor, psal_pickle_terminated(pickle, type, (size_t)length, err));
        return tensor->type != NULL;
    }
    size_t element = psal_dtype_size(dtype->dtype.type);
    psal_pickle_storage *storage = psal_pickle_alloc(pickle, sizeof *storage, err);
    if (!storage) return false;
    tensor->shape.ndim = (int)shape->list.count;
    int64_t count = psal_pickle_read_dims(shape, tensor->shape.dim) ? psal_shape_count(&tensor->shape) : -1;
    if (count < 0 || (uint64_t)count * element != bytes->text.size) {
        psal_fail(err, PSAL_ERR_FORMAT, "damaged pickle: a numpy array of another size than its %zu bytes",
                  bytes->text.size);
        return false;
    }
    psal_strided_dense(&tensor->shape, fortran, tensor->stride);
    tensor->dtype = dtype->dtype.type;
    tensor->offset = 0;
    *storage = (psal_pickle_storage){.dtype = tensor->dtype,
                                     .count = count,
                                     .view_count = count,
                                     .element = element,
                                     .inline_data = (const uint8_t *)bytes->text.bytes};
    tensor->storage = storage;
    return true;
}

static psal_pickle_value *new_array(psal_pickle *pickle, psal_error *err) {
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_TENSOR, err);
    if (value) value->tensor = psal_pickle_alloc(pickle, sizeof *value->tensor, err);
    return value && value->tensor ? value : NULL;
}

/* _reconstruct(ndarray, (0,), b'b'): an array whose contents follow by BUILD. */
psal_pickle_value *psal_pickle_numpy_reconstruct(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                                 psal_error *err) {
    const psal_pickle_value *type = psal_pickle_argument(arguments, 0, PSAL_PICKLE_NAME);
    if (!type || strcmp(psal_pickle_names[type->name].name, "ndarray") != 0) return psal_pickle_bad_arguments(row, err);
    return new_array(pickle, err);
}

/* _frombuffer(bytes, dtype, shape, order): how protocol 5 writes arrays. */
psal_pickle_value *psal_pickle_numpy_frombuffer(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                                psal_error *err) {
    const psal_pickle_value *bytes = bytes_argument(arguments, 0),
                            *dtype = psal_pickle_argument(arguments, 1, PSAL_PICKLE_DTYPE);
    const psal_pickle_value *shape = psal_pickle_argument(arguments, 2, PSAL_PICKLE_TUPLE);
    const psal_pickle_value *order = psal_pickle_argument(arguments, 3, PSAL_PICKLE_STRING);
    if (!bytes || !dtype || !shape || !order) return psal_pickle_bad_arguments(row, err);
    psal_pickle_value *value = new_array(pickle, err);
    if (!value || !fill_array(pickle, value, dtype, shape, psal_pickle_is_string(order, "F"), bytes, err)) return NULL;
    return value;
}

psal_status psal_pickle_numpy_build(psal_pickle *pickle, psal_pickle_value *object, const psal_pickle_value *state,
                                    psal_error *err) {
    if (object->kind == PSAL_PICKLE_DTYPE) { /* (version, byte order, ...) */
        const psal_pickle_value *order = state->kind == PSAL_PICKLE_TUPLE
                                             ? psal_pickle_argument(state, 1, PSAL_PICKLE_STRING)
                                             : NULL;
        if (!order) return psal_pickle_refuse_state(object, err);
        object->dtype.big_endian = psal_pickle_is_string(order, ">");
        return PSAL_OK;
    }
    if (object->tensor->storage || object->tensor->dtype == PSAL_OTHER) return PSAL_OK; /* attributes of a tensor */
    /* (version, shape, dtype, fortran order, bytes) */
    bool whole = state->kind == PSAL_PICKLE_TUPLE && state->list.count == 5;
    const psal_pickle_value *shape = whole ? psal_pickle_argument(state, 1, PSAL_PICKLE_TUPLE) : NULL;
    const psal_pickle_value *dtype = whole ? psal_pickle_argument(state, 2, PSAL_PICKLE_DTYPE) : NULL;
    const psal_pickle_value *fortran = whole ? psal_pickle_argument(state, 3, PSAL_PICKLE_BOOL) : NULL;
    const psal_pickle_value *bytes = whole ? bytes_argument(state, 4) : NULL;
    if (dtype && !bytes && !dtype->dtype.known) { /* an array of Python objects */
        object->kind = PSAL_PICKLE_BYTES;
        object->text.bytes = NULL;
        object->text.size = 0;
        return PSAL_OK;
    }
    if (!shape || !dtype || !fortran || !bytes) return psal_pickle_refuse_state(object, err);
    return fill_array(pickle, object, dtype, shape, fortran->integer != 0, bytes, err) ? PSAL_OK : PSAL_ERR_FORMAT;
}
