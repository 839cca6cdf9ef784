/* Why a checkpoint is no network that psal knows, in words. */
#include <stdio.h>
#include <string.h>

#include "models/leftover.h"
#include "models/recognise.h"

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), part = strlen(end);
    return length >= part && strcmp(text + length - part, end) == 0;
}

/* Scales and shifts, but not one running statistic: GroupNorm, LayerNorm, InstanceNorm have these. */
static bool has_no_statistics(const net_candidate *c, const psal_tensor_map *tensors) {
    int means = 0;
    for (int i = 0; i < c->list.count; i++) {
        const char *name = c->list.tensors[i].name;
        if (!ends_with(name, ".running_mean")) continue;
        if (psal_tensor_map_get(tensors, name)) return false;
        means++;
    }
    return means > 0;
}

/* "tensor X is missing" or "tensor X has shape A, expected B" */
static void name_defect(const net_candidate *c, const net_group *group, bool near, char *text, size_t size) {
    char more[40] = "", had[96], wanted[96];
    const int others = c->missing + c->wrong - 1;
    if (others > 0) snprintf(more, sizeof more, " (and %d more do not fit)", others);
    if (c->list.error.status != PSAL_OK) {
        snprintf(text, size, "%.300s", c->list.error.message);
    } else if (c->missing > 0) {
        snprintf(text, size, "tensor '%.100s' is missing%s%s", c->list.tensors[c->first_missing].name, more,
                 near && has_no_statistics(c, group->tensors)
                     ? ", as all running means are: psal knows no normalisation but batch normalisation with statistics"
                     : "");
    } else {
        const net_tensor *expected = &c->list.tensors[c->first_wrong];
        const psal_tensor *found = psal_tensor_map_get(group->tensors, expected->name);
        snprintf(text, size, "tensor '%.100s' has shape %s, expected %s%s", net_original_name(group, expected->name),
                 psal_shape_format(&found->shape, had, sizeof had),
                 psal_shape_format(&expected->shape, wanted, sizeof wanted), more);
    }
}

/* ---- other names ---- */

/* Whether the checkpoint's floating-point tensors, in their order, have the shapes of the architecture's. */
static bool same_shapes(const psal_tensor_map *checkpoint, const net_arch *arch, const char **first,
                        char expected[100]) {
    int64_t classes = 1;
    size_t count = psal_tensor_map_count(checkpoint), at = 0;
    for (size_t i = 0; i < count; i++) /* the last layer's outputs */
        if (psal_tensor_map_at(checkpoint, i)->shape.ndim >= 2)
            classes = psal_tensor_map_at(checkpoint, i)->shape.dim[0];
    if (classes < 1 || classes > NET_MAX_CLASSES) return false;
    const net_options options = {
        .width = 1, .channels = 3, .num_classes = (int)classes, .auxiliary_classes = (int)classes};
    net list;
    net_init(&list, NULL, &options);
    net_describe(&list, arch, PSAL_NO_NODE);
    bool same = list.error.status == PSAL_OK;
    for (int k = 0; same && k < list.count; k++) {
        while (at < count && !psal_tensor_is_float(psal_tensor_map_at(checkpoint, at))) at++;
        same = at < count && psal_shape_equal(&psal_tensor_map_at(checkpoint, at)->shape, &list.tensors[k].shape);
        if (k == 0 && same) {
            *first = psal_tensor_map_name(checkpoint, at);
            snprintf(expected, 100, "%s", list.tensors[k].name);
        }
        at++;
    }
    while (same && at < count && !psal_tensor_is_float(psal_tensor_map_at(checkpoint, at))) at++;
    net_clear(&list);
    return same && at == count;
}

psal_status net_point_to_onnx(psal_status status, psal_error *err) {
    return psal_fail(err, status,
                     "%s. Whatever the network, psal reads its ONNX file: torch.onnx.export(model.eval(), "
                     "torch.randn(1, 3, HEIGHT, WIDTH), \"my.onnx\", opset_version=14, " NET_ONNX_KEPT ")",
                     err->message);
}

static psal_status unknown(const psal_tensor_map *checkpoint, psal_error *err) {
    static const char known[] = "not a known architecture (ResNet, ResNeXt, Wide ResNet, VGG, DenseNet, Inception-v3, "
                                "AlexNet, SqueezeNet, GoogLeNet, RegNet, MNASNet, MobileNetV2, MobileNetV3, "
                                "EfficientNet, ShuffleNetV2, ConvNeXt, ViT)";
    for (int i = 0; i < net_arch_count(); i++) {
        const char *first = "";
        char expected[100];
        if (same_shapes(checkpoint, net_arch_at(i), &first, expected))
            return psal_fail(err, PSAL_ERR_FORMAT,
                             "%s by its names, but the shapes, in their order, are those of %s: rename the tensors to "
                             "torchvision's names ('%.100s' to '%s', and so on)",
                             known, net_arch_at(i)->name, first, expected);
    }
    char names[600];
    net_name_tensors(checkpoint, NULL, names, sizeof names);
    return net_point_to_onnx(psal_fail(err, PSAL_ERR_FORMAT, "%s: has tensors %s", known, names), err);
}

/* ---- all of it ---- */

psal_status net_does_not_fit(const net_candidate *best, const net_group *group, const psal_model_options *wanted,
                             const char *left_over, psal_error *err) {
    const bool near = best->right * 4 >= best->list.count;
    static const char *const parts[] = {"weight_g'",    "weight_v'",   "weight_orig'",
                                        "weight_mask'", ".original0'", ".original'"};
    for (int i = 0; i < best->list.count && near; i++) { /* packed ones have other shapes, too */
        const char *name = best->list.tensors[i].name;
        const psal_tensor *found = psal_tensor_map_get(group->tensors, name);
        if (found && !net_is_weight(found)) return net_refuse_type(net_original_name(group, name), found, err);
    }
    char defect[400], rest[700] = "", under[160] = "", classes[40] = "";
    name_defect(best, group, near, defect, sizeof defect);
    bool in_parts = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) in_parts |= strstr(left_over, parts[i]) != NULL;
    if (*left_over && near)
        snprintf(rest, sizeof rest, "; left over: %s%s", left_over,
                 in_parts ? ": weights kept in parts (weight or spectral normalisation, pruning) are not read" : "");
    if (*group->prefix) snprintf(under, sizeof under, " under '%.100s'", group->prefix);
    const psal_status status = best->missing > 0 ? PSAL_ERR_FORMAT : PSAL_ERR_SHAPE;
    if (wanted->arch && *wanted->arch) {
        const psal_model_options any = {0};
        net_candidate other;
        const psal_status recognised = net_recognise(group->tensors, &any, &other, err);
        if (recognised != PSAL_OK) return recognised;
        if (net_fits(&other))
            psal_fail(err, status, "not a checkpoint of %s: %s; its tensors are those of %s", wanted->arch, defect,
                      other.arch->name);
        else
            psal_fail(err, status, "not a checkpoint of %s: %s%s", wanted->arch, defect, rest);
        net_clear(&other.list);
        return status;
    }
    if (!near) return unknown(group->checkpoint, err);
    if (psal_tensor_map_get(group->tensors, best->arch->classifier)) /* else the number is a guess */
        snprintf(classes, sizeof classes, ", %d classes", best->options.num_classes);
    psal_fail(err, status, "looks like %s%s (width %g%s), but %s%s", best->arch->name, under, best->options.width,
              classes, defect, rest);
    return net_point_to_onnx(status, err);
}
