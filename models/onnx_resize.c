/* Resize and Upsample by nearest neighbours (onnx.ai/onnx/operators). */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/onnx_internal.h"

#define MAX_LENGTH (1 << 20)

/* The text attribute, which must be `expected` where that is given. */
static const char *text_of(onnx_run *r, const char *name, const char *otherwise, const char *expected) {
    const psal_attribute *a = onnx_attribute(r->o, name);
    const char *text = a && a->type == PSAL_ATTRIBUTE_STRING ? a->text : otherwise;
    if (expected && strcmp(text, expected) != 0)
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "attribute %s '%.60s': psal has %s", name, text, expected);
    return text;
}

typedef struct resizing {
    const char *coordinates, *rounding;
    int64_t length, wanted; /* before and after */
    double scale;           /* after over before, as the file says it */
} resizing;

/* Where place i of the result lies in x. */
static double place_of(const resizing *z, int64_t i) {
    const double at = (double)i;
    if (strcmp(z->coordinates, "asymmetric") == 0) return at / z->scale;
    if (strcmp(z->coordinates, "tf_half_pixel_for_nn") == 0) return (at + 0.5) / z->scale;
    if (strcmp(z->coordinates, "align_corners") == 0)
        return z->wanted > 1 ? at * (double)(z->length - 1) / (double)(z->wanted - 1) : 0;
    if (strcmp(z->coordinates, "pytorch_half_pixel") == 0 && z->wanted == 1) return 0;
    return (at + 0.5) / z->scale - 0.5;
}

static int64_t nearest(const resizing *z, double place) {
    const char *how = z->rounding;
    const double whole = strcmp(how, "floor") == 0               ? floor(place)
                         : strcmp(how, "ceil") == 0              ? ceil(place)
                         : strcmp(how, "round_prefer_ceil") == 0 ? floor(place + 0.5)
                                                                 : ceil(place - 0.5); /* round_prefer_floor */
    return whole < 0 ? 0 : whole > (double)(z->length - 1) ? z->length - 1 : (int64_t)whole;
}

static bool among(const char *text, const char *const *texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, texts[i]) == 0) return true;
    return false;
}

static psal_node resize_axis(onnx_run *r, psal_node x, int axis, const resizing *z) {
    int64_t *index = malloc((size_t)z->wanted * sizeof *index);
    bool same = z->wanted == z->length;
    if (!index) {
        onnx_fail(r, PSAL_ERR_MEMORY, "out of memory");
        return x;
    }
    for (int64_t i = 0; i < z->wanted; i++) {
        index[i] = nearest(z, place_of(z, i));
        same &= index[i] == i;
    }
    if (!same) x = psal_gather(r->graph, x, axis, index, z->wanted);
    free(index);
    return x;
}

void onnx_build_resize(onnx_run *r) {
    static const char *const coordinates[] = {"half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners",
                                              "tf_half_pixel_for_nn"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    psal_node x = onnx_input(r, 0);
    const bool early = r->d->opset < 11; /* scales only, which place what is asymmetric */
    resizing z = {text_of(r, "coordinate_transformation_mode", early ? "asymmetric" : "half_pixel", NULL),
                  text_of(r, "nearest_mode", early ? "floor" : "round_prefer_floor", NULL), 0, 0, 0};
    text_of(r, "mode", "nearest", "nearest");
    text_of(r, "keep_aspect_ratio_policy", "stretch", "stretch");
    if (!among(z.coordinates, coordinates, sizeof coordinates / sizeof *coordinates))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "attribute coordinate_transformation_mode '%.60s'", z.coordinates);
    if (!among(z.rounding, roundings, sizeof roundings / sizeof *roundings))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "attribute nearest_mode '%.60s'", z.rounding);
    if (onnx_failed(r)) return;
    const psal_shape shape = *onnx_shape(r, x);
    const onnx_constant *scales = onnx_constant_input(r, early ? 1 : 2);
    if (scales && !psal_shape_count(&scales->shape)) scales = NULL;
    const psal_attribute *chosen = onnx_attribute(r->o, "axes");
    unsigned seen = 0;
    int64_t axes[PSAL_MAX_DIMS], count = chosen ? (int64_t)chosen->count : shape.ndim, size_count = 0;
    if (count > PSAL_MAX_DIMS) onnx_fail(r, PSAL_ERR_UNSUPPORTED, "more than %d axes", PSAL_MAX_DIMS);
    if (onnx_failed(r)) return;
    for (int64_t i = 0; i < count; i++) axes[i] = i;
    if (chosen) onnx_ints(r, "axes", axes, (int)count, 0);
    const int64_t *sizes = scales || onnx_failed(r) ? NULL : onnx_integers(r, 3, &size_count);
    if (onnx_failed(r)) return;
    if (scales && (!scales->numbers || psal_shape_count(&scales->shape) != count || onnx_has_input(r, 3)))
        onnx_fail(r, PSAL_ERR_UNSUPPORTED, "either a scale or a size for each of %" PRId64 " axes is expected", count);
    if (sizes && size_count != count)
        onnx_fail(r, PSAL_ERR_SHAPE, "%" PRId64 " sizes for %" PRId64 " axes", size_count, count);
    for (int64_t i = 0; i < count && !onnx_failed(r); i++) {
        const int axis = onnx_axis(r, axes[i], shape.ndim);
        if (axis < 0) return;
        if (seen >> axis & 1) onnx_fail(r, PSAL_ERR_FORMAT, "axis %d twice", axis);
        seen |= 1u << axis;
        z.length = shape.dim[axis];
        const double wanted = sizes ? (double)sizes[i] : floor((double)z.length * scales->numbers[i]);
        if (!(wanted >= 1 && wanted <= MAX_LENGTH)) {
            onnx_fail(r, PSAL_ERR_SHAPE, "axis %d of %" PRId64 " cannot become %g", axis, z.length, wanted);
            return;
        }
        z.wanted = (int64_t)wanted;
        z.scale = sizes ? wanted / (double)z.length : scales->numbers[i];
        x = resize_axis(r, x, axis, &z);
    }
    if (!onnx_failed(r)) onnx_output(r, 0, x);
}
