#include "io/helper_files.h"

#include <stdlib.h>
#include <string.h>

#include "io/pth.h"

/* The entry `key` of the file's dictionary. */
static psal_pickle_value *entry(psal_pth *pth, const char *key, psal_error *err) {
    psal_pickle_value *value = psal_pickle_get(psal_pth_root(pth), key);
    if (!value) psal_fail(err, PSAL_ERR_FORMAT, "holds no entry '%s'", key);
    return value;
}

/* The tensor under `key`, which must be one-dimensional, in `map`. */
static const psal_tensor *vector(psal_pth *pth, const char *key, psal_tensor_map *map, psal_error *err) {
    char text[200];
    bool is_view;
    psal_pickle_value *value = entry(pth, key, err);
    if (!value) return NULL;
    if (value->kind != PSAL_PICKLE_TENSOR || value->tensor->shape.ndim != 1) {
        psal_fail(err, PSAL_ERR_FORMAT, "entry '%s' is %s, not a tensor of one dimension", key,
                  psal_pickle_describe(value, text, sizeof text));
        return NULL;
    }
    if (psal_pth_add_tensor(pth, value, key, map, &is_view, err) != PSAL_OK) return NULL;
    const psal_tensor *tensor = psal_tensor_map_get(map, key);
    if (tensor->dtype != PSAL_OTHER) return tensor;
    psal_fail(err, PSAL_ERR_UNSUPPORTED, "entry '%s' has elements of %s, which are not read", key,
              psal_tensor_type(tensor));
    return NULL;
}

static double *doubles(psal_pth *pth, const char *key, psal_tensor_map *map, size_t *count, psal_error *err) {
    const psal_tensor *tensor = vector(pth, key, map, err);
    if (!tensor) return NULL;
    *count = (size_t)tensor->shape.dim[0];
    double *values = calloc(*count + 1, sizeof *values);
    if (values)
        psal_tensor_to_f64(tensor, values);
    else
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    return values;
}

psal_status psal_read_statistics_pth(const char *path, double **mean, double **std, size_t *count, psal_error *err) {
    psal_error local = PSAL_ERROR_INIT;
    if (!err) err = &local;
    *mean = *std = NULL;
    *count = 0;
    psal_pth *pth = psal_pth_open(path, err);
    if (!pth) return psal_error_status(err);
    size_t std_count = 0;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_status status = PSAL_OK;
    if (!map)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    else if (!(*mean = doubles(pth, "mean", map, count, err)) || !(*std = doubles(pth, "std", map, &std_count, err)))
        status = psal_error_status(err);
    else if (*count != std_count)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%zu means, but %zu standard deviations", *count, std_count);
    psal_tensor_map_free(map);
    psal_pth_close(pth);
    if (status == PSAL_OK) return PSAL_OK;
    free(*mean);
    free(*std);
    *mean = *std = NULL;
    *count = 0;
    return psal_fail_prefix(err, "%s", path);
}

/* The integers under `key`: a list of numbers, or a tensor. */
static int64_t *integers(psal_pth *pth, const char *key, psal_tensor_map *map, size_t *count, psal_error *err) {
    psal_pickle_value *value = entry(pth, key, err);
    if (!value) return NULL;
    bool list = value->kind == PSAL_PICKLE_LIST || value->kind == PSAL_PICKLE_TUPLE;
    const psal_tensor *tensor = NULL;
    if (!list) {
        if (!(tensor = vector(pth, key, map, err))) return NULL;
        if (tensor->dtype != PSAL_I64) {
            psal_fail(err, PSAL_ERR_FORMAT, "entry '%s' has elements of %s, not int64", key,
                      psal_dtype_name(tensor->dtype));
            return NULL;
        }
    }
    *count = list ? value->list.count : (size_t)tensor->shape.dim[0];
    int64_t *numbers = calloc(*count + 1, sizeof *numbers);
    if (!numbers) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (!list) memcpy(numbers, tensor->data, *count * sizeof *numbers);
    for (size_t i = 0; list && i < *count; i++) {
        char text[200];
        if (value->list.items[i]->kind != PSAL_PICKLE_INT) {
            psal_fail(err, PSAL_ERR_FORMAT, "entry %zu of '%s' is %s, not an integer", i, key,
                      psal_pickle_describe(value->list.items[i], text, sizeof text));
            free(numbers);
            return NULL;
        }
        numbers[i] = value->list.items[i]->integer;
    }
    return numbers;
}

psal_status psal_read_inference_results(const char *path, psal_inference_results *results, psal_error *err) {
    psal_error local = PSAL_ERROR_INIT;
    if (!err) err = &local;
    *results = (psal_inference_results){0};
    psal_pth *pth = psal_pth_open(path, err);
    if (!pth) return psal_error_status(err);
    size_t predictions = 0;
    psal_tensor_map *map = psal_tensor_map_new();
    psal_status status = PSAL_OK;
    if (!map)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    else if (!(results->incorrect_id = integers(pth, "incorrect_id", map, &results->incorrect_count, err)) ||
             !(results->incorrect_prediction = integers(pth, "incorrect_predictions", map, &predictions, err)) ||
             !(results->correct_id = integers(pth, "correct_id", map, &results->correct_count, err)))
        status = psal_error_status(err);
    else if (predictions != results->incorrect_count)
        status = psal_fail(err, PSAL_ERR_FORMAT, "%zu misclassified images, but %zu predictions",
                           results->incorrect_count, predictions);
    psal_tensor_map_free(map);
    psal_pth_close(pth);
    if (status == PSAL_OK) return PSAL_OK;
    psal_inference_results_free(results);
    return psal_fail_prefix(err, "%s", path);
}

void psal_inference_results_free(psal_inference_results *results) {
    free(results->incorrect_id);
    free(results->incorrect_prediction);
    free(results->correct_id);
    *results = (psal_inference_results){0};
}
