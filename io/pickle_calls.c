/* The names a pickle may use, and what each does. Nothing else can happen: there is no other way to
 * call. */
#include <inttypes.h>
#include <string.h>

#include "io/npy.h"
#include "io/pickle_internal.h"
#include "io/pickle_text.h"
#include "io/strided.h"

/* Where a call does its work: the arguments are a tuple; the result is NULL with *err on any
 * surprise. */
typedef psal_pickle_value *call_function(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                         psal_error *err);

static call_function make_dict, make_default_dict, make_set, make_bytes, encode, make_size, make_device, rebuild_tensor,
    rebuild_parameter, rebuild_from_type, make_numpy_dtype, numpy_scalar, numpy_reconstruct, numpy_frombuffer;

/* A row without a function is a class that is only mentioned, never called; `storage` rows have an
 * element type. */
static const struct {
    const char *module, *name;
    call_function *call;
    bool storage;
    psal_dtype dtype;
} names[] = {
    {"collections", "OrderedDict", make_dict, false, 0},
    {"collections", "defaultdict", make_default_dict, false, 0},
    {"collections", "Counter", make_dict, false, 0},
#define BUILTIN(name, call)                 \
    {"builtins", name, call, false, 0}, {   \
        "__builtin__", name, call, false, 0 \
    }
    BUILTIN("set", make_set),
    BUILTIN("frozenset", make_set),
    BUILTIN("bytes", make_bytes),
    BUILTIN("bytearray", make_bytes),
    BUILTIN("dict", make_dict),
    BUILTIN("list", NULL),
    BUILTIN("int", NULL),
    BUILTIN("float", NULL),
    {"_codecs", "encode", encode, false, 0},

    {"torch._utils", "_rebuild_tensor", rebuild_tensor, false, 0},
    {"torch._utils", "_rebuild_tensor_v2", rebuild_tensor, false, 0},
    {"torch._utils", "_rebuild_parameter", rebuild_parameter, false, 0},
    {"torch._utils", "_rebuild_parameter_with_state", rebuild_parameter, false, 0},
    {"torch._tensor", "_rebuild_from_type_v2", rebuild_from_type, false, 0},
    {"torch", "Tensor", NULL, false, 0},
    {"torch.nn.parameter", "Parameter", rebuild_parameter, false, 0},
    {"torch", "Size", make_size, false, 0},
    {"torch", "device", make_device, false, 0},
#define STORAGE(name, dtype)                  \
    {"torch", name, NULL, true, dtype}, {     \
        "torch.cuda", name, NULL, true, dtype \
    }
    STORAGE("FloatStorage", PSAL_F32),
    STORAGE("DoubleStorage", PSAL_F64),
    STORAGE("HalfStorage", PSAL_F16),
    STORAGE("BFloat16Storage", PSAL_BF16),
    STORAGE("LongStorage", PSAL_I64),
    STORAGE("IntStorage", PSAL_I32),
    STORAGE("ShortStorage", PSAL_I16),
    STORAGE("CharStorage", PSAL_I8),
    STORAGE("ByteStorage", PSAL_U8),
    STORAGE("BoolStorage", PSAL_BOOL),
    STORAGE("UntypedStorage", PSAL_U8),
    {"torch.storage", "UntypedStorage", NULL, true, PSAL_U8},
    {"torch.storage", "_UntypedStorage", NULL, true, PSAL_U8},
    {"torch.storage", "TypedStorage", NULL, false, 0},
    {"torch.storage", "_TypedStorage", NULL, false, 0},
    {"torch", "float32", NULL, false, 0},
    {"torch", "float64", NULL, false, 0},
    {"torch", "float16", NULL, false, 0},
    {"torch", "bfloat16", NULL, false, 0},
    {"torch", "int64", NULL, false, 0},
    {"torch", "int32", NULL, false, 0},
    {"torch", "int16", NULL, false, 0},
    {"torch", "int8", NULL, false, 0},
    {"torch", "uint8", NULL, false, 0},
    {"torch", "bool", NULL, false, 0},

    {"numpy", "dtype", make_numpy_dtype, false, 0},
    {"numpy", "ndarray", NULL, false, 0},
    {"numpy.core.multiarray", "scalar", numpy_scalar, false, 0},
    {"numpy._core.multiarray", "scalar", numpy_scalar, false, 0},
    {"numpy.core.multiarray", "_reconstruct", numpy_reconstruct, false, 0},
    {"numpy._core.multiarray", "_reconstruct", numpy_reconstruct, false, 0},
    {"numpy.core.numeric", "_frombuffer", numpy_frombuffer, false, 0},
    {"numpy._core.numeric", "_frombuffer", numpy_frombuffer, false, 0},
};

static bool same(const char *text, size_t size, const char *wanted) {
    return strlen(wanted) == size && memcmp(text, wanted, size) == 0;
}

static bool begins(const char *text, size_t size, const char *wanted) {
    return size >= strlen(wanted) && memcmp(text, wanted, strlen(wanted)) == 0;
}

int psal_pickle_find_name(const char *module, size_t module_size, const char *name, size_t name_size, psal_error *err) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (same(name, name_size, names[i].name) && same(module, module_size, names[i].module)) return (int)i;
    const char *hint = "only tensors and plain containers are read";
    if (begins(module, module_size, "__torch__"))
        hint = "this is a TorchScript archive; save the model's state_dict() instead";
    else if (begins(module, module_size, "torch.nn.modules") || begins(module, module_size, "torchvision."))
        hint = "the file holds a whole model as Python objects; save its state_dict() instead";
    psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle calls %.*s.%.*s: refused, nothing was run (%s)",
              module_size < 100 ? (int)module_size : 100, module, name_size < 100 ? (int)name_size : 100, name, hint);
    return -1;
}

psal_pickle_value *psal_pickle_call(psal_pickle *pickle, const psal_pickle_value *callee,
                                    const psal_pickle_value *arguments, psal_error *err) {
    char text[200];
    if (callee->kind != PSAL_PICKLE_NAME) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle calls %s: refused",
                  psal_pickle_describe(callee, text, sizeof text));
        return NULL;
    }
    int row = callee->name;
    if (!names[row].call || arguments->kind != PSAL_PICKLE_TUPLE) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle calls %s.%s: refused", names[row].module, names[row].name);
        return NULL;
    }
    return names[row].call(pickle, row, arguments, err);
}

static psal_pickle_value *bad_arguments(int row, psal_error *err) {
    psal_fail(err, PSAL_ERR_FORMAT, "damaged pickle: %s.%s is called with arguments it never has", names[row].module,
              names[row].name);
    return NULL;
}

/* Argument `index` when it has that kind, else NULL. */
static psal_pickle_value *argument(const psal_pickle_value *arguments, size_t index, psal_pickle_kind kind) {
    if (index >= arguments->list.count || arguments->list.items[index]->kind != kind) return NULL;
    return arguments->list.items[index];
}

static bool is_sequence(const psal_pickle_value *value) {
    return value->kind == PSAL_PICKLE_LIST || value->kind == PSAL_PICKLE_TUPLE || value->kind == PSAL_PICKLE_SET;
}

/* ---- containers, bytes ---- */

/* Add the items of a dictionary, or of a sequence of pairs (as Python 2 wrote OrderedDict), to
 * `dict`. */
static bool add_items(psal_pickle *pickle, psal_pickle_value *dict, const psal_pickle_value *from, psal_error *err) {
    for (size_t i = 0; i < from->list.count; i++) {
        psal_pickle_value *item = from->list.items[i];
        if (from->kind == PSAL_PICKLE_DICT) {
            if (psal_pickle_append(pickle, dict, item, err) != PSAL_OK) return false;
            continue;
        }
        if (!is_sequence(item) || item->list.count != 2) {
            psal_fail(err, PSAL_ERR_FORMAT, "damaged pickle: a dictionary made of things that are no pairs");
            return false;
        }
        for (int k = 0; k < 2; k++)
            if (psal_pickle_append(pickle, dict, item->list.items[k], err) != PSAL_OK) return false;
    }
    return true;
}

static psal_pickle_value *dict_of(psal_pickle *pickle, int row, const psal_pickle_value *arguments, size_t first,
                                  psal_error *err) {
    psal_pickle_value *dict = psal_pickle_new(pickle, PSAL_PICKLE_DICT, err);
    if (!dict || arguments->list.count == first) return dict;
    const psal_pickle_value *from = arguments->list.items[first];
    if (arguments->list.count > first + 1 || (from->kind != PSAL_PICKLE_DICT && !is_sequence(from)))
        return bad_arguments(row, err);
    return add_items(pickle, dict, from, err) ? dict : NULL;
}

static psal_pickle_value *make_dict(psal_pickle *pickle, int row, const psal_pickle_value *arguments, psal_error *err) {
    return dict_of(pickle, row, arguments, 0, err);
}

/* defaultdict(factory, items): the factory is never called, so the result is a plain dictionary. */
static psal_pickle_value *make_default_dict(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                            psal_error *err) {
    return dict_of(pickle, row, arguments, arguments->list.count ? 1 : 0, err);
}

static psal_pickle_value *make_set(psal_pickle *pickle, int row, const psal_pickle_value *arguments, psal_error *err) {
    psal_pickle_value *set = psal_pickle_new(pickle, PSAL_PICKLE_SET, err);
    if (!set || !arguments->list.count) return set;
    const psal_pickle_value *from = arguments->list.items[0];
    if (arguments->list.count != 1 || !is_sequence(from)) return bad_arguments(row, err);
    for (size_t i = 0; i < from->list.count; i++)
        if (psal_pickle_append(pickle, set, from->list.items[i], err) != PSAL_OK) return NULL;
    return set;
}

/* encode(text, 'latin1'): how protocols below 3 write bytes. */
static psal_pickle_value *encode(psal_pickle *pickle, int row, const psal_pickle_value *arguments, psal_error *err) {
    const psal_pickle_value *text = argument(arguments, 0, PSAL_PICKLE_STRING);
    const psal_pickle_value *codec = argument(arguments, 1, PSAL_PICKLE_STRING);
    if (!text || !codec || arguments->list.count != 2 ||
        !(psal_pickle_is_string(codec, "latin1") || psal_pickle_is_string(codec, "latin-1")))
        return bad_arguments(row, err);
    psal_pickle_value *bytes = psal_pickle_new(pickle, PSAL_PICKLE_BYTES, err);
    char *to = bytes ? psal_pickle_alloc(pickle, text->text.size + 1, err) : NULL;
    if (!to) return NULL;
    ptrdiff_t length = psal_pickle_latin1(text->text.bytes, text->text.size, to);
    if (length < 0) return bad_arguments(row, err);
    bytes->text.bytes = to;
    bytes->text.size = (size_t)length;
    return bytes;
}

/* bytes(), bytearray(b'...'), bytearray('...', 'latin-1') */
static psal_pickle_value *make_bytes(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                     psal_error *err) {
    if (!arguments->list.count) return psal_pickle_new(pickle, PSAL_PICKLE_BYTES, err);
    if (arguments->list.count == 2) return encode(pickle, row, arguments, err);
    psal_pickle_value *bytes = argument(arguments, 0, PSAL_PICKLE_BYTES);
    return bytes && arguments->list.count == 1 ? bytes : bad_arguments(row, err);
}

static psal_pickle_value *make_size(psal_pickle *pickle, int row, const psal_pickle_value *arguments, psal_error *err) {
    (void)pickle;
    psal_pickle_value *tuple = argument(arguments, 0, PSAL_PICKLE_TUPLE);
    return tuple && arguments->list.count == 1 ? tuple : bad_arguments(row, err);
}

/* device('cuda', 0): where it was does not matter here. */
static psal_pickle_value *make_device(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                      psal_error *err) {
    (void)pickle;
    psal_pickle_value *name = argument(arguments, 0, PSAL_PICKLE_STRING);
    return name ? name : bad_arguments(row, err);
}

/* ---- torch ---- */

psal_pickle_value *psal_pickle_persistent(psal_pickle *pickle, const psal_pickle_value *id, psal_error *err) {
    /* ('storage', type, key, location, count) and, in the legacy form, None or (view key, offset,
     * count). */
    bool tuple = id->kind == PSAL_PICKLE_TUPLE && (id->list.count == 5 || id->list.count == 6);
    if (!tuple || !psal_pickle_is_string(id->list.items[0], "storage")) {
        bool module = (id->kind == PSAL_PICKLE_TUPLE && id->list.count) &&
                      psal_pickle_is_string(id->list.items[0], "module");
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle refers to %s: refused",
                  module ? "the source code of a module (save the state_dict() instead)"
                         : "something outside it that is no tensor storage");
        return NULL;
    }
    const psal_pickle_value *type = argument(id, 1, PSAL_PICKLE_NAME), *key = argument(id, 2, PSAL_PICKLE_STRING);
    const psal_pickle_value *count = argument(id, 4, PSAL_PICKLE_INT);
    if (!type || !names[type->name].storage || !key || !count || count->integer < 0) {
        psal_fail(err, PSAL_ERR_FORMAT, "damaged pickle: a bad description of a tensor storage");
        return NULL;
    }
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_STORAGE, err);
    psal_pickle_storage *storage = value ? psal_pickle_alloc(pickle, sizeof *storage, err) : NULL;
    if (!storage) return NULL;
    *storage = (psal_pickle_storage){.key = key->text.bytes,
                                     .key_size = key->text.size,
                                     .dtype = names[type->name].dtype,
                                     .count = count->integer,
                                     .view_count = count->integer};
    if (id->list.count == 6 && id->list.items[5]->kind != PSAL_PICKLE_NONE) {
        const psal_pickle_value *view = argument(id, 5, PSAL_PICKLE_TUPLE);
        const psal_pickle_value *offset = view ? argument(view, 1, PSAL_PICKLE_INT) : NULL;
        const psal_pickle_value *size = view ? argument(view, 2, PSAL_PICKLE_INT) : NULL;
        if (!offset || !size || offset->integer < 0 || size->integer < 0 || offset->integer > count->integer ||
            size->integer > count->integer - offset->integer) {
            psal_fail(err, PSAL_ERR_FORMAT, "damaged pickle: a view that is larger than its storage");
            return NULL;
        }
        storage->view_offset = offset->integer;
        storage->view_count = size->integer;
    }
    value->storage = storage;
    return psal_pickle_register_storage(pickle, storage, err) == PSAL_OK ? value : NULL;
}

/* A tuple of integers as dimensions. */
static bool read_dims(const psal_pickle_value *tuple, int64_t *dim) {
    if (!tuple || tuple->list.count > PSAL_MAX_DIMS) return false;
    for (size_t i = 0; i < tuple->list.count; i++) {
        if (tuple->list.items[i]->kind != PSAL_PICKLE_INT) return false;
        dim[i] = tuple->list.items[i]->integer;
    }
    return true;
}

/* _rebuild_tensor(storage, offset, size, stride), _v2(..., requires_grad, hooks[, metadata]) */
static psal_pickle_value *rebuild_tensor(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                         psal_error *err) {
    const psal_pickle_value *storage = argument(arguments, 0, PSAL_PICKLE_STORAGE);
    const psal_pickle_value *offset = argument(arguments, 1, PSAL_PICKLE_INT);
    const psal_pickle_value *size = argument(arguments, 2, PSAL_PICKLE_TUPLE);
    const psal_pickle_value *stride = argument(arguments, 3, PSAL_PICKLE_TUPLE);
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_TENSOR, err);
    psal_pickle_tensor *tensor = value ? psal_pickle_alloc(pickle, sizeof *tensor, err) : NULL;
    if (!tensor) return NULL;
    if (size && size->list.count > PSAL_MAX_DIMS) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "a tensor of %zu dimensions, at most %d are read", size->list.count,
                  PSAL_MAX_DIMS);
        return NULL;
    }
    if (!storage || !offset || !size || !stride || size->list.count != stride->list.count ||
        !read_dims(size, tensor->shape.dim) || !read_dims(stride, tensor->stride))
        return bad_arguments(row, err);
    tensor->shape.ndim = (int)size->list.count;
    tensor->storage = storage->storage;
    tensor->dtype = storage->storage->dtype;
    tensor->offset = offset->integer;
    value->tensor = tensor;
    return value;
}

/* Parameter(data, ...), _rebuild_parameter(data, requires_grad, hooks): the data. */
static psal_pickle_value *rebuild_parameter(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                            psal_error *err) {
    (void)pickle;
    psal_pickle_value *data = argument(arguments, 0, PSAL_PICKLE_TENSOR);
    return data ? data : bad_arguments(row, err);
}

/* _rebuild_from_type_v2(function, type, arguments, state): function(*arguments), with attributes
 * that are dropped. */
static psal_pickle_value *rebuild_from_type(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                            psal_error *err) {
    const psal_pickle_value *function = argument(arguments, 0, PSAL_PICKLE_NAME);
    const psal_pickle_value *inner = argument(arguments, 2, PSAL_PICKLE_TUPLE);
    if (!function || !inner) return bad_arguments(row, err);
    call_function *call = names[function->name].call;
    if (call != rebuild_tensor && call != rebuild_parameter) return bad_arguments(row, err); /* so no recursion */
    return call(pickle, function->name, inner, err);
}

/* ---- numpy ---- */

/* dtype('f8', False, True); its byte order follows by BUILD. */
static psal_pickle_value *make_numpy_dtype(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                           psal_error *err) {
    const psal_pickle_value *code = argument(arguments, 0, PSAL_PICKLE_STRING);
    if (!code || !code->text.size || code->text.size >= sizeof code->dtype.code) return bad_arguments(row, err);
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_DTYPE, err);
    if (!value) return NULL;
    const char *text = code->text.bytes;
    size_t size = code->text.size;
    value->dtype.big_endian = *text == '>';
    if (memchr("<>=|", *text, 4)) text++, size--;
    memcpy(value->dtype.code, text, size);
    value->dtype.known = psal_numpy_dtype(text, size, &value->dtype.type);
    return value;
}

static bool is_little_endian(const psal_pickle_value *dtype, psal_error *err) {
    if (!dtype->dtype.big_endian || psal_dtype_size(dtype->dtype.type) == 1) return true;
    psal_fail(err, PSAL_ERR_UNSUPPORTED, "cannot read a numpy array of big-endian type >%s", dtype->dtype.code);
    return false;
}

/* Bytes in either spelling: Python 2's str is bytes. */
static const psal_pickle_value *bytes_argument(const psal_pickle_value *arguments, size_t index) {
    const psal_pickle_value *bytes = argument(arguments, index, PSAL_PICKLE_BYTES);
    return bytes ? bytes : argument(arguments, index, PSAL_PICKLE_STRING);
}

/* scalar(dtype, bytes): becomes a plain number. */
static psal_pickle_value *numpy_scalar(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                       psal_error *err) {
    const psal_pickle_value *dtype = argument(arguments, 0, PSAL_PICKLE_DTYPE);
    const psal_pickle_value *bytes = bytes_argument(arguments, 1);
    if (!dtype || !bytes || arguments->list.count != 2) return bad_arguments(row, err);
    const char *code = dtype->dtype.code;
    size_t size = bytes->text.size;
    char kind = *code == '?' ? 'b' : *code;
    char width = *code == '?' ? '1' : code[1];
    bool number = strchr("fiub", kind) && strchr("1248", width) && (!code[1] || !code[2]);
    if (!number) { /* a string, a date: nothing that is wanted here */
        psal_pickle_value *other = psal_pickle_new(pickle, PSAL_PICKLE_BYTES, err);
        if (other) other->text = bytes->text;
        return other;
    }
    if ((size_t)(width - '0') != size || (dtype->dtype.big_endian && size > 1)) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "cannot read a numpy scalar of type %s%s in %zu bytes",
                  dtype->dtype.big_endian ? ">" : "", code, size);
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
            return bad_arguments(row, err);
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

/* Make `value` the array over bytes of the pickle; of a type psal has none for, only its bytes. */
static bool fill_array(psal_pickle *pickle, psal_pickle_value *value, const psal_pickle_value *dtype,
                       const psal_pickle_value *shape, bool fortran, const psal_pickle_value *bytes, psal_error *err) {
    if (!dtype->dtype.known) {
        value->kind = PSAL_PICKLE_BYTES;
        value->text = bytes->text;
        return true;
    }
    if (!is_little_endian(dtype, err)) return false;
    psal_pickle_tensor *tensor = value->tensor;
    size_t element = psal_dtype_size(dtype->dtype.type);
    psal_pickle_storage *storage = psal_pickle_alloc(pickle, sizeof *storage, err);
    if (!storage) return false;
    tensor->shape.ndim = (int)shape->list.count;
    int64_t count = read_dims(shape, tensor->shape.dim) ? psal_shape_count(&tensor->shape) : -1;
    if (count < 0 || (uint64_t)count * element != bytes->text.size) {
        psal_fail(err, PSAL_ERR_FORMAT, "damaged pickle: a numpy array of another size than its %zu bytes",
                  bytes->text.size);
        return false;
    }
    psal_strided_dense(&tensor->shape, fortran, tensor->stride);
    tensor->dtype = dtype->dtype.type;
    tensor->offset = 0;
    *storage = (psal_pickle_storage){
        .dtype = tensor->dtype, .count = count, .view_count = count, .inline_data = (const uint8_t *)bytes->text.bytes};
    tensor->storage = storage;
    return true;
}

static psal_pickle_value *new_array(psal_pickle *pickle, psal_error *err) {
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_TENSOR, err);
    if (value) value->tensor = psal_pickle_alloc(pickle, sizeof *value->tensor, err);
    return value && value->tensor ? value : NULL;
}

/* _reconstruct(ndarray, (0,), b'b'): an array whose contents follow by BUILD. */
static psal_pickle_value *numpy_reconstruct(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                            psal_error *err) {
    const psal_pickle_value *type = argument(arguments, 0, PSAL_PICKLE_NAME);
    if (!type || strcmp(names[type->name].name, "ndarray") != 0) return bad_arguments(row, err);
    return new_array(pickle, err);
}

/* _frombuffer(bytes, dtype, shape, order): how protocol 5 writes arrays. */
static psal_pickle_value *numpy_frombuffer(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                           psal_error *err) {
    const psal_pickle_value *bytes = bytes_argument(arguments, 0), *dtype = argument(arguments, 1, PSAL_PICKLE_DTYPE);
    const psal_pickle_value *shape = argument(arguments, 2, PSAL_PICKLE_TUPLE);
    const psal_pickle_value *order = argument(arguments, 3, PSAL_PICKLE_STRING);
    if (!bytes || !dtype || !shape || !order) return bad_arguments(row, err);
    psal_pickle_value *value = new_array(pickle, err);
    if (!value || !fill_array(pickle, value, dtype, shape, psal_pickle_is_string(order, "F"), bytes, err)) return NULL;
    return value;
}

psal_status psal_pickle_build(psal_pickle *pickle, psal_pickle_value *object, const psal_pickle_value *state,
                              psal_error *err) {
    char text[200];
    switch (object->kind) {
    case PSAL_PICKLE_DICT:
        return PSAL_OK;       /* attributes of an OrderedDict: state_dict's _metadata */
    case PSAL_PICKLE_DTYPE: { /* (version, byte order, ...) */
        const psal_pickle_value *order = state->kind == PSAL_PICKLE_TUPLE ? argument(state, 1, PSAL_PICKLE_STRING)
                                                                          : NULL;
        if (!order) break;
        object->dtype.big_endian = psal_pickle_is_string(order, ">");
        return PSAL_OK;
    }
    case PSAL_PICKLE_TENSOR: {
        if (object->tensor->storage) return PSAL_OK; /* attributes of a tensor */
        /* (version, shape, dtype, fortran order, bytes) */
        bool whole = state->kind == PSAL_PICKLE_TUPLE && state->list.count == 5;
        const psal_pickle_value *shape = whole ? argument(state, 1, PSAL_PICKLE_TUPLE) : NULL;
        const psal_pickle_value *dtype = whole ? argument(state, 2, PSAL_PICKLE_DTYPE) : NULL;
        const psal_pickle_value *fortran = whole ? argument(state, 3, PSAL_PICKLE_BOOL) : NULL;
        const psal_pickle_value *bytes = whole ? bytes_argument(state, 4) : NULL;
        if (dtype && !bytes && !dtype->dtype.known) { /* an array of Python objects */
            object->kind = PSAL_PICKLE_BYTES;
            object->text.bytes = NULL;
            object->text.size = 0;
            return PSAL_OK;
        }
        if (!shape || !dtype || !fortran || !bytes) break;
        return fill_array(pickle, object, dtype, shape, fortran->integer != 0, bytes, err) ? PSAL_OK : PSAL_ERR_FORMAT;
    }
    case PSAL_PICKLE_NAME:
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle changes %s.%s: refused", names[object->name].module,
                         names[object->name].name);
    default:
        break;
    }
    return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle sets the state of %s: refused",
                     psal_pickle_describe(object, text, sizeof text));
}
