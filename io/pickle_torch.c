/* Tensors, parameters and storages, as torch.save writes them. */
#include <string.h>

#include "io/pickle_calls.h"

/* Storages of elements that psal has no type for, whose sizes are needed to find the next one. */
static const struct {
    const char *name, *type;
    size_t element;
} other_storages[] = {
    {"ComplexFloatStorage", "complex64", 8},
    {"ComplexDoubleStorage", "complex128", 16},
    {"QInt8Storage", "qint8", 1},
    {"QUInt8Storage", "quint8", 1},
    {"QInt32Storage", "qint32", 4},
    {"QUInt4x2Storage", "quint4x2", 1},
    {"QUInt2x4Storage", "quint2x4", 1},
};

/* What a storage's class says about its elements; false when it is no storage. */
static bool read_storage_type(psal_pickle *pickle, const psal_pickle_value *class, psal_pickle_storage *storage,
                              psal_error *err) {
    if (class->kind == PSAL_PICKLE_NAME) {
        storage->dtype = psal_pickle_names[class->name].dtype;
        storage->element = psal_dtype_size(storage->dtype);
        return psal_pickle_names[class->name].storage;
    }
    static const char ending[] = "Storage";
    const size_t length = sizeof ending - 1;
    const psal_pickle_name *name = class->kind == PSAL_PICKLE_OPAQUE && !class->list.count ? class->list.of : NULL;
    if (!name || name->name_size < length || memcmp(name->name + name->name_size - length, ending, length) != 0)
        return false;
    storage->dtype = PSAL_OTHER;
    for (size_t i = 0; i < sizeof other_storages / sizeof *other_storages; i++)
        if (psal_pickle_same(name->name, name->name_size, other_storages[i].name)) {
            storage->type = other_storages[i].type;
            storage->element = other_storages[i].element;
            return true;
        }
    storage->type = psal_pickle_terminated(pickle, name->name, name->name_size, err);
    return storage->type != NULL;
}

psal_pickle_value *psal_pickle_persistent(psal_pickle *pickle, psal_pickle_value *id, psal_error *err) {
    static const psal_pickle_name outside = {.name = "an object outside the pickle", .name_size = 28};
    char text[200];
    /* ('storage', type, key, location, count) and, in the legacy form, None or (view key, offset,
     * count); ('module', class, file, source) for the class of a whole module. */
    bool tuple = id->kind == PSAL_PICKLE_TUPLE && id->list.count;
    if (tuple && id->list.count == 4 && psal_pickle_is_string(id->list.items[0], "module")) return id->list.items[1];
    if (!tuple || (id->list.count != 5 && id->list.count != 6) || !psal_pickle_is_string(id->list.items[0], "storage"))
        return psal_pickle_opaque(pickle, &outside, id, err);
    const psal_pickle_value *class = id->list.items[1], *key = psal_pickle_argument(id, 2, PSAL_PICKLE_STRING);
    const psal_pickle_value *count = psal_pickle_argument(id, 4, PSAL_PICKLE_INT);
    psal_pickle_storage type = {.element = 0};
    if (!read_storage_type(pickle, class, &type, err) || !key || !count || count->integer < 0) {
        psal_fail(err, PSAL_ERR_FORMAT, "damaged pickle: a bad description of a tensor storage (%s)",
                  psal_pickle_describe(class, text, sizeof text));
        return NULL;
    }
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_STORAGE, err);
    psal_pickle_storage *storage = value ? psal_pickle_alloc(pickle, sizeof *storage, err) : NULL;
    if (!storage) return NULL;
    *storage = (psal_pickle_storage){.key = key->text.bytes,
                                     .key_size = key->text.size,
                                     .dtype = type.dtype,
                                     .type = type.type,
                                     .element = type.element,
                                     .count = count->integer,
                                     .view_count = count->integer};
    if (id->list.count == 6 && id->list.items[5]->kind != PSAL_PICKLE_NONE) {
        const psal_pickle_value *view = psal_pickle_argument(id, 5, PSAL_PICKLE_TUPLE);
        const psal_pickle_value *offset = view ? psal_pickle_argument(view, 1, PSAL_PICKLE_INT) : NULL;
        const psal_pickle_value *size = view ? psal_pickle_argument(view, 2, PSAL_PICKLE_INT) : NULL;
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

/* Whether the metadata at the arguments' end says that the numbers are still to be negated (Tensor.is_neg). */
static bool is_negated(const psal_pickle_value *arguments) {
    for (size_t i = 6; i < arguments->list.count; i++) {
        const psal_pickle_value *yes = psal_pickle_get(arguments->list.items[i], "neg");
        if (yes && (yes->kind != PSAL_PICKLE_BOOL || yes->integer)) return true;
    }
    return false;
}

/* _rebuild_tensor(storage, offset, size, stride), _v2(..., requires_grad, hooks[, metadata]),
 * _rebuild_qtensor(..., quantizer, requires_grad, hooks) */
psal_pickle_value *psal_pickle_torch_tensor(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                            psal_error *err) {
    const psal_pickle_value *storage = psal_pickle_argument(arguments, 0, PSAL_PICKLE_STORAGE);
    const psal_pickle_value *offset = psal_pickle_argument(arguments, 1, PSAL_PICKLE_INT);
    const psal_pickle_value *size = psal_pickle_argument(arguments, 2, PSAL_PICKLE_TUPLE);
    const psal_pickle_value *stride = psal_pickle_argument(arguments, 3, PSAL_PICKLE_TUPLE);
    psal_pickle_value *value = psal_pickle_new(pickle, PSAL_PICKLE_TENSOR, err);
    psal_pickle_tensor *tensor = value ? psal_pickle_alloc(pickle, sizeof *tensor, err) : NULL;
    if (!tensor) return NULL;
    if (storage && size && size->list.count > PSAL_MAX_DIMS) {
        psal_pickle_set_other(tensor, "tensors of more than 8 dimensions");
        value->tensor = tensor;
        return value;
    }
    if (!storage || !offset || !size || !stride || size->list.count != stride->list.count ||
        !psal_pickle_read_dims(size, tensor->shape.dim) || !psal_pickle_read_dims(stride, tensor->stride))
        return psal_pickle_bad_arguments(row, err);
    tensor->shape.ndim = (int)size->list.count;
    tensor->storage = storage->storage;
    tensor->dtype = storage->storage->dtype;
    tensor->type = storage->storage->type;
    if (strcmp(psal_pickle_names[row].name, "_rebuild_qtensor") == 0 && tensor->dtype != PSAL_OTHER)
        psal_pickle_set_other(tensor, "quantised numbers");
    if (is_negated(arguments) && tensor->dtype != PSAL_OTHER)
        psal_pickle_set_other(tensor, "numbers to be negated (Tensor.resolve_neg does that)");
    tensor->offset = offset->integer;
    value->tensor = tensor;
    return value;
}

/* _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, ...): the storage
 * is of bytes. */
psal_pickle_value *psal_pickle_torch_typed_tensor(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                                  psal_error *err) {
    const psal_pickle_value *type = arguments->list.count > 6 ? arguments->list.items[6] : NULL;
    psal_pickle_value *value = type ? psal_pickle_torch_tensor(pickle, row, arguments, err)
                                    : psal_pickle_bad_arguments(row, err);
    if (!value || value->tensor->dtype == PSAL_OTHER) return value;
    psal_pickle_tensor *tensor = value->tensor;
    if (type->kind == PSAL_PICKLE_OPAQUE) { /* torch.float8_e4m3fn, torch.uint16, ... */
        psal_pickle_set_other(tensor,
                              psal_pickle_terminated(pickle, type->list.of->name, type->list.of->name_size, err));
        return tensor->type ? value : NULL;
    }
    if (type->kind != PSAL_PICKLE_NAME ||
        strcmp(psal_pickle_names[type->name].name, psal_dtype_name(psal_pickle_names[type->name].dtype)) != 0)
        return psal_pickle_bad_arguments(row, err);
    psal_pickle_storage *storage = psal_pickle_alloc(pickle, sizeof *storage, err);
    if (!storage) return NULL;
    *storage = *tensor->storage;
    int64_t size = (int64_t)psal_dtype_size(psal_pickle_names[type->name].dtype);
    if (storage->element != 1 || storage->count % size || storage->view_offset || storage->view_count != storage->count)
        return psal_pickle_bad_arguments(row, err);
    storage->dtype = tensor->dtype = psal_pickle_names[type->name].dtype;
    storage->element = (size_t)size;
    storage->count = storage->view_count = storage->count / size;
    tensor->storage = storage;
    return value;
}

/* Parameter(data, ...), _rebuild_parameter(data, requires_grad, hooks): the data. */
psal_pickle_value *psal_pickle_torch_parameter(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                               psal_error *err) {
    (void)pickle;
    psal_pickle_value *data = psal_pickle_argument(arguments, 0, PSAL_PICKLE_TENSOR);
    if (!data) data = psal_pickle_argument(arguments, 0, PSAL_PICKLE_OPAQUE);
    return data ? data : psal_pickle_bad_arguments(row, err);
}

/* _rebuild_from_type_v2(function, type, arguments, state): function(*arguments), with attributes
 * that are dropped. */
psal_pickle_value *psal_pickle_torch_from_type(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                               psal_error *err) {
    const psal_pickle_value *function = psal_pickle_argument(arguments, 0, PSAL_PICKLE_NAME);
    const psal_pickle_value *inner = psal_pickle_argument(arguments, 2, PSAL_PICKLE_TUPLE);
    if (!function || !inner) return psal_pickle_bad_arguments(row, err);
    psal_pickle_function *call = psal_pickle_names[function->name].call;
    if (call != psal_pickle_torch_tensor && call != psal_pickle_torch_parameter)
        return psal_pickle_bad_arguments(row, err); /* so no recursion */
    return call(pickle, function->name, inner, err);
}

psal_pickle_value *psal_pickle_torch_size(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                          psal_error *err) {
    (void)pickle;
    psal_pickle_value *tuple = psal_pickle_argument(arguments, 0, PSAL_PICKLE_TUPLE);
    return tuple && arguments->list.count == 1 ? tuple : psal_pickle_bad_arguments(row, err);
}

/* device('cuda', 0): where it was does not matter here. */
psal_pickle_value *psal_pickle_torch_device(psal_pickle *pickle, int row, const psal_pickle_value *arguments,
                                            psal_error *err) {
    (void)pickle;
    psal_pickle_value *name = psal_pickle_argument(arguments, 0, PSAL_PICKLE_STRING);
    return name ? name : psal_pickle_bad_arguments(row, err);
}
