/* The names a pickle may use, and what each does. Nothing else can happen: whatever another name
 * would make is only remembered. */
#include <stdio.h>
#include <string.h>

#include "io/pickle_calls.h"
#include "io/pickle_text.h"

static psal_pickle_function make_dict, make_default_dict, make_set, make_bytes, encode;

const psal_pickle_row psal_pickle_names[] = {
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

    {"torch._utils", "_rebuild_tensor", psal_pickle_torch_tensor, false, 0},
    {"torch._utils", "_rebuild_tensor_v2", psal_pickle_torch_tensor, false, 0},
    {"torch._utils", "_rebuild_tensor_v3", psal_pickle_torch_typed_tensor, false, 0},
    {"torch._utils", "_rebuild_qtensor", psal_pickle_torch_tensor, false, 0},
    {"torch._utils", "_rebuild_parameter", psal_pickle_torch_parameter, false, 0},
    {"torch._utils", "_rebuild_parameter_with_state", psal_pickle_torch_parameter, false, 0},
    {"torch._tensor", "_rebuild_from_type_v2", psal_pickle_torch_from_type, false, 0},
    {"torch", "Tensor", NULL, false, 0},
    {"torch.nn.parameter", "Parameter", psal_pickle_torch_parameter, false, 0},
    {"torch", "Size", psal_pickle_torch_size, false, 0},
    {"torch", "device", psal_pickle_torch_device, false, 0},
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
    {"torch", "float32", NULL, false, PSAL_F32},
    {"torch", "float64", NULL, false, PSAL_F64},
    {"torch", "float16", NULL, false, PSAL_F16},
    {"torch", "bfloat16", NULL, false, PSAL_BF16},
    {"torch", "int64", NULL, false, PSAL_I64},
    {"torch", "int32", NULL, false, PSAL_I32},
    {"torch", "int16", NULL, false, PSAL_I16},
    {"torch", "int8", NULL, false, PSAL_I8},
    {"torch", "uint8", NULL, false, PSAL_U8},
    {"torch", "bool", NULL, false, PSAL_BOOL},

    {"numpy", "dtype", psal_pickle_numpy_dtype, false, 0},
    {"numpy", "ndarray", NULL, false, 0},
    {"numpy.core.multiarray", "scalar", psal_pickle_numpy_scalar, false, 0},
    {"numpy._core.multiarray", "scalar", psal_pickle_numpy_scalar, false, 0},
    {"numpy.core.multiarray", "_reconstruct", psal_pickle_numpy_reconstruct, false, 0},
    {"numpy._core.multiarray", "_reconstruct", psal_pickle_numpy_reconstruct, false, 0},
    {"numpy.core.numeric", "_frombuffer", psal_pickle_numpy_frombuffer, false, 0},
    {"numpy._core.numeric", "_frombuffer", psal_pickle_numpy_frombuffer, false, 0},
};

psal_pickle_value *psal_pickle_opaque(psal_pickle *pickle, const psal_pickle_name *name, psal_pickle_value *given,
                                      psal_error *err) {
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_OPAQUE, err);
    if (!value || (given && psal_pickle_append(pickle, value, given, err) != PSAL_OK)) return NULL;
    value->list.of = name;
    return value;
}

static psal_pickle_name *keep_name(psal_pickle *pickle, psal_pickle_name name, psal_error *err) {
    psal_pickle_name *kept = psal_pickle_alloc(pickle, sizeof *kept, err);
    if (kept) *kept = name;
    return kept;
}

/* The same of a name in the table. */
static psal_pickle_value *opaque_row(psal_pickle *pickle, int row, psal_pickle_value *given, psal_error *err) {
    const psal_pickle_row *r = &psal_pickle_names[row];
    const psal_pickle_name *name = keep_name(
        pickle, (psal_pickle_name){r->module, r->name, strlen(r->module), strlen(r->name)}, err);
    return name ? psal_pickle_opaque(pickle, name, given, err) : NULL;
}

psal_pickle_value *psal_pickle_named(psal_pickle *pickle, psal_pickle_name name, psal_error *err) {
    for (size_t i = 0; i < sizeof psal_pickle_names / sizeof *psal_pickle_names; i++) {
        const psal_pickle_row *r = &psal_pickle_names[i];
        if (psal_pickle_same(name.name, name.name_size, r->name) &&
            psal_pickle_same(name.module, name.module_size, r->module)) {
            psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_NAME, err);
            if (value) value->name = (int)i;
            return value;
        }
    }
    const psal_pickle_name *kept = keep_name(pickle, name, err);
    return kept ? psal_pickle_opaque(pickle, kept, NULL, err) : NULL;
}

/* Among the arguments, or in a tuple among them. */
static bool has_opaque(const psal_pickle_value *arguments) {
    for (size_t i = 0; i < arguments->list.count; i++) {
        const psal_pickle_value *item = arguments->list.items[i];
        if (item->kind == PSAL_PICKLE_OPAQUE) return true;
        for (size_t k = 0; item->kind == PSAL_PICKLE_TUPLE && k < item->list.count; k++)
            if (item->list.items[k]->kind == PSAL_PICKLE_OPAQUE) return true;
    }
    return false;
}

psal_pickle_value *psal_pickle_call(psal_pickle *pickle, const psal_pickle_value *callee, psal_pickle_value *arguments,
                                    psal_error *err) {
    char text[200];
    bool tuple = arguments->kind == PSAL_PICKLE_TUPLE;
    if (callee->kind == PSAL_PICKLE_OPAQUE) {
        const psal_pickle_name *name = callee->list.of;
        /* How protocols below 2 make an object of the class that comes first. */
        bool helper = psal_pickle_same(name->module, name->module_size, "copyreg") ||
                      psal_pickle_same(name->module, name->module_size, "copy_reg");
        if (helper && tuple && arguments->list.count && arguments->list.items[0]->kind == PSAL_PICKLE_OPAQUE)
            name = arguments->list.items[0]->list.of;
        return psal_pickle_opaque(pickle, name, arguments, err);
    }
    if (callee->kind != PSAL_PICKLE_NAME) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle calls %s: refused",
                  psal_pickle_describe(callee, text, sizeof text));
        return NULL;
    }
    int row = callee->name;
    if (!psal_pickle_names[row].call) return opaque_row(pickle, row, arguments, err);
    if (!tuple) {
        psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle calls %s.%s: refused", psal_pickle_names[row].module,
                  psal_pickle_names[row].name);
        return NULL;
    }
    psal_pickle_value *made = psal_pickle_names[row].call(pickle, row, arguments, err);
    /* What is made of opaque things is another one: an array of a type of somebody's own. */
    if (!made && err->status == PSAL_ERR_FORMAT && has_opaque(arguments)) {
        *err = (psal_error)PSAL_ERROR_INIT;
        made = opaque_row(pickle, row, arguments, err);
    }
    return made;
}

psal_pickle_value *psal_pickle_bad_arguments(int row, psal_error *err) {
    psal_fail(err, PSAL_ERR_FORMAT, "damaged pickle: %s.%s is called with arguments it never has",
              psal_pickle_names[row].module, psal_pickle_names[row].name);
    return NULL;
}

static bool is_sequence(const psal_pickle_value *value) {
    return value->kind == PSAL_PICKLE_LIST || value->kind == PSAL_PICKLE_TUPLE || value->kind == PSAL_PICKLE_SET;
}

const char *psal_pickle_terminated(psal_pickle *pickle, const char *text, size_t size, psal_error *err) {
    if (size > 60) size = 60;
    char *copy = psal_pickle_alloc(pickle, size + 1, err);
    return copy ? memcpy(copy, text, size) : NULL;
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
        return psal_pickle_bad_arguments(row, err);
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
    if (arguments->list.count != 1 || !is_sequence(from)) return psal_pickle_bad_arguments(row, err);
    for (size_t i = 0; i < from->list.count; i++)
        if (psal_pickle_append(pickle, set, from->list.items[i], err) != PSAL_OK) return NULL;
    return set;
}

/* encode(text, 'latin1'): how protocols below 3 write bytes. */
static psal_pickle_value *encode(psal_pickle *pickle, int row, const psal_pickle_value *arguments, psal_error *err) {
    const psal_pickle_value *text = psal_pickle_argument(arguments, 0, PSAL_PICKLE_STRING);
    const psal_pickle_value *codec = psal_pickle_argument(arguments, 1, PSAL_PICKLE_STRING);
    if (!text || !codec || arguments->list.count != 2 ||
        !(psal_pickle_is_string(codec, "latin1") || psal_pickle_is_string(codec, "latin-1")))
        return psal_pickle_bad_arguments(row, err);
    psal_pickle_value *bytes = psal_pickle_new(pickle, PSAL_PICKLE_BYTES, err);
    char *to = bytes ? psal_pickle_alloc(pickle, text->text.size + 1, err) : NULL;
    if (!to) return NULL;
    ptrdiff_t length = psal_pickle_latin1(text->text.bytes, text->text.size, to);
    if (length < 0) return psal_pickle_bad_arguments(row, err);
    bytes->text.bytes = to;
    bytes->text.size = (size_t)length;
    return bytes;
}

/* bytes(), bytearray(b'...'), bytearray('...', 'latin-1') */
static psal_pickle_value *make_bytes(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                     psal_error *err) {
    if (!arguments->list.count) return psal_pickle_new(pickle, PSAL_PICKLE_BYTES, err);
    if (arguments->list.count == 2) return encode(pickle, row, arguments, err);
    psal_pickle_value *bytes = psal_pickle_argument(arguments, 0, PSAL_PICKLE_BYTES);
    return bytes && arguments->list.count == 1 ? bytes : psal_pickle_bad_arguments(row, err);
}

/* ---- states ---- */

psal_status psal_pickle_refuse_state(const psal_pickle_value *object, psal_error *err) {
    char text[200];
    return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle sets the state of %s: refused",
                     psal_pickle_describe(object, text, sizeof text));
}

psal_status psal_pickle_build(psal_pickle *pickle, psal_pickle_value *object, psal_pickle_value *state,
                              psal_error *err) {
    switch (object->kind) {
    case PSAL_PICKLE_OPAQUE:
        return psal_pickle_append(pickle, object, state, err);
    case PSAL_PICKLE_DICT:
        return PSAL_OK; /* attributes of an OrderedDict: state_dict's _metadata */
    case PSAL_PICKLE_DTYPE:
    case PSAL_PICKLE_TENSOR:
        return psal_pickle_numpy_build(pickle, object, state, err);
    case PSAL_PICKLE_NAME:
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the pickle changes %s.%s: refused",
                         psal_pickle_names[object->name].module, psal_pickle_names[object->name].name);
    default:
        break;
    }
    return psal_pickle_refuse_state(object, err);
}
