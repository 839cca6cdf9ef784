#include "models/recognise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An architecture held against the tensors at hand. */
typedef struct candidate {
    const net_arch *arch;
    net_options options;
    net list;
    int right, missing, wrong;      /* tensors of the list: there in the right shape, and so on */
    int first_missing, first_wrong; /* list indices; -1: none */
} candidate;

/* ---- numbers in the metadata ---- */

/* *value stays as it is when the key is absent. */
static psal_status read_number(const psal_tensor_map *tensors, const char *key, double *value, psal_error *err) {
    const char *text = psal_tensor_map_meta(tensors, key);
    if (!text) return PSAL_OK;
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !isfinite(number) || number < 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "metadata %s is '%.40s', expected a number", key, text);
    *value = number;
    return PSAL_OK;
}

/* ---- one architecture ---- */

static int classes_of(const psal_tensor_map *tensors, const char *weight, int otherwise) {
    const psal_tensor *tensor = psal_tensor_map_get(tensors, weight);
    if (!tensor || tensor->shape.ndim != 2) return otherwise;
    int64_t classes = tensor->shape.dim[0];
    return classes >= 1 && classes <= NET_MAX_CLASSES ? (int)classes : otherwise;
}

/* Right tensors count for, all else against. */
static int score(const candidate *c) {
    return c->right - c->missing - c->wrong;
}

static bool fits(const candidate *c) {
    return c->list.error.status == PSAL_OK && c->missing == 0 && c->wrong == 0;
}

/* List the architecture at c->options and count. */
static void judge(candidate *c, const psal_tensor_map *tensors) {
    net_clear(&c->list);
    net_init(&c->list, NULL, &c->options);
    net_describe(&c->list, c->arch, (flow){PSAL_NO_NODE, 3, -1});
    c->right = c->missing = c->wrong = 0;
    c->first_missing = c->first_wrong = -1;
    for (int i = 0; i < c->list.count; i++) {
        const net_tensor *expected = &c->list.tensors[i];
        const psal_tensor *found = psal_tensor_map_get(tensors, expected->name);
        if (found && psal_shape_equal(&found->shape, &expected->shape)) {
            c->right++;
        } else if (found) {
            if (c->wrong++ == 0) c->first_wrong = i;
        } else if (expected->in_graph) {
            if (c->missing++ == 0) c->first_missing = i;
        }
    }
}

/* The widths w for which outputs = max(1, floor(published * w + 1/2)). */
typedef struct interval {
    double low, high; /* low <= w < high */
} interval;

static interval widths_of(int64_t outputs, int published) {
    return (interval){outputs > 1 ? ((double)outputs - 0.5) / published : 0, ((double)outputs + 0.5) / published};
}

/* The widths that explain the layer in the middle (or with skip = 0, the first layer) and as many
 * of the others, in order, as agree with it: a damaged layer shall not spoil them all. */
static interval common_widths(const net *list, const psal_tensor_map *tensors, double skip) {
    interval common = {0, NET_MAX_WIDTH};
    const int first = (int)(list->count * skip);
    for (int k = 0; k < list->count; k++) {
        const net_tensor *layer = &list->tensors[(first + k) % list->count];
        const psal_tensor *found = psal_tensor_map_get(tensors, layer->name);
        if (!layer->published || !found || found->shape.ndim < 2 || found->shape.dim[0] < 1) continue;
        interval own = widths_of(found->shape.dim[0], layer->published);
        if (own.low >= common.high || own.high <= common.low) continue;
        common.low = fmax(common.low, own.low);
        common.high = fmin(common.high, own.high);
    }
    return common;
}

/* The smallest multiple of 1 / parts in the interval, or 0. */
static double multiple_within(interval widths, double parts) {
    double width = fmax(ceil(widths.low * parts), 1) / parts;
    return width >= widths.low && width < widths.high ? width : 0;
}

/* The number in the interval that somebody most likely chose: 1, two decimals, halves of halves,
 * then whatever is shortest to write. */
static double likely_within(interval widths) {
    static const double parts[] = {1, 10, 4, 100, 8, 16, 32, 64, 1e3, 1e4, 1e5, 1e6, 1e8, 1e10};
    for (int i = 0; i < (int)(sizeof parts / sizeof *parts); i++) {
        double width = multiple_within(widths, parts[i]);
        if (width > 0) return width;
    }
    return (widths.low + widths.high) / 2;
}

/* Find the width at which `arch` fits; with `thorough`, else the one at which it comes closest. */
static void try_arch(candidate *c, const net_arch *arch, const psal_tensor_map *tensors, double recorded_width,
                     bool thorough) {
    const int classes = classes_of(tensors, arch->classifier, 1000);
    *c = (candidate){.arch = arch,
                     .options = {.width = 1,
                                 .num_classes = classes,
                                 .auxiliary_classes = classes_of(tensors, "AuxLogits.fc.weight", classes)}};
    judge(c, tensors);
    if (fits(c) || (c->missing > 0 && !thorough)) return;

    interval from_first = common_widths(&c->list, tensors, 0);
    interval from_middle = common_widths(&c->list, tensors, 0.5);
    const double widths[] = {recorded_width, likely_within(from_first), (from_first.low + from_first.high) / 2,
                             likely_within(from_middle)};
    for (int i = 0; i < (int)(sizeof widths / sizeof *widths) && !fits(c); i++) {
        if (!(widths[i] > 0 && widths[i] <= NET_MAX_WIDTH) || widths[i] == c->options.width) continue;
        candidate other = {.arch = arch, .options = c->options};
        other.options.width = widths[i];
        judge(&other, tensors);
        candidate worse = other;
        if (other.list.error.status == PSAL_OK && (fits(&other) || score(&other) > score(c))) {
            worse = *c;
            *c = other;
        }
        net_clear(&worse.list);
    }
}

/* ---- all architectures ---- */

/* Fits and leaves no tensor over: no other can explain more. */
static bool is_perfect(const candidate *c, const psal_tensor_map *tensors) {
    return fits(c) && (size_t)c->right == psal_tensor_map_count(tensors);
}

/* The best of all: one that fits and explains most tensors; failing that, the one that comes
 * closest. `preferred` (a name or NULL) wins among equals. */
static void try_each(candidate *best, const psal_tensor_map *tensors, double recorded_width, const char *preferred,
                     bool thorough) {
    *best = (candidate){0};
    const net_arch *first = preferred ? net_arch_find(preferred) : NULL;
    if (first) {
        try_arch(best, first, tensors, recorded_width, thorough);
        if (is_perfect(best, tensors)) return;
    }
    for (int i = 0; i < net_arch_count(); i++) {
        candidate c;
        const net_arch *arch = net_arch_at(i);
        if (arch == first) continue;
        try_arch(&c, arch, tensors, recorded_width, thorough);
        bool better = !best->arch || fits(&c) > fits(best) || (fits(&c) == fits(best) && score(&c) > score(best));
        candidate worse = better ? *best : c;
        if (better) *best = c;
        net_clear(&worse.list);
    }
}

/* Look for one that fits, which the names alone rule out for most; else look closer. */
static void try_all(candidate *best, const psal_tensor_map *tensors, double recorded_width, const char *preferred) {
    try_each(best, tensors, recorded_width, preferred, false);
    if (fits(best)) return;
    net_clear(&best->list);
    try_each(best, tensors, recorded_width, preferred, true);
}

/* ---- what is wrong, in words ---- */

/* "'conv1.weight', 'bn1.weight', ... (53 in all)" */
static void name_tensors(const psal_tensor_map *tensors, char *text, size_t size) {
    const size_t count = psal_tensor_map_count(tensors), shown = count < 4 ? count : 4;
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < shown && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s'%.60s'", i ? ", " : "",
                                 psal_tensor_map_name(tensors, i));
    if (shown < count && used < size) snprintf(text + used, size - used, ", ... (%zu in all)", count);
}

/* ": tensor X is missing" or ": tensor X has shape A, expected B" */
static void name_defect(const candidate *c, const psal_tensor_map *tensors, char *text, size_t size) {
    char more[40] = "", had[96], wanted[96];
    const int others = c->missing + c->wrong - 1;
    if (others > 0) snprintf(more, sizeof more, " (and %d more do not fit)", others);
    if (c->list.error.status != PSAL_OK) {
        snprintf(text, size, "%.400s", c->list.error.message);
    } else if (c->missing > 0) {
        snprintf(text, size, "tensor '%s' is missing%s", c->list.tensors[c->first_missing].name, more);
    } else {
        const net_tensor *expected = &c->list.tensors[c->first_wrong];
        const psal_tensor *found = psal_tensor_map_get(tensors, expected->name);
        snprintf(text, size, "tensor '%s' has shape %s, expected %s%s", expected->name,
                 psal_shape_format(&found->shape, had, sizeof had),
                 psal_shape_format(&expected->shape, wanted, sizeof wanted), more);
    }
}

static psal_status unknown_arch(const char *name, psal_error *err) {
    char known[700];
    size_t used = 0;
    known[0] = '\0';
    for (int i = 0; i < net_arch_count() && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", net_arch_at(i)->name);
    return psal_fail(err, PSAL_ERR_ARGUMENT, "unknown architecture '%.60s': known are %s", name, known);
}

static psal_status does_not_fit(const candidate *best, const psal_tensor_map *tensors, const char *wanted_arch,
                                double recorded_width, psal_error *err) {
    char defect[500], names[400];
    name_defect(best, tensors, defect, sizeof defect);
    name_tensors(tensors, names, sizeof names);
    psal_status status = best->missing > 0 ? PSAL_ERR_FORMAT : PSAL_ERR_SHAPE;
    if (wanted_arch) {
        candidate other;
        try_all(&other, tensors, recorded_width, NULL);
        if (fits(&other))
            psal_fail(err, status, "not a checkpoint of %s: %s; its tensors are those of %s", wanted_arch, defect,
                      other.arch->name);
        else
            psal_fail(err, status, "not a checkpoint of %s: %s", wanted_arch, defect);
        net_clear(&other.list);
        return status;
    }
    if (best->right * 4 < best->list.count)
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "not a known architecture (ResNet, ResNeXt, Wide ResNet, VGG, DenseNet, "
                         "Inception-v3): has tensors %s",
                         names);
    return psal_fail(err, status, "looks like %s (width %g, %d classes), but %s", best->arch->name, best->options.width,
                     best->options.num_classes, defect);
}

/* ---- what shapes do not tell ---- */

static psal_status choose_variant(const psal_tensor_map *tensors, const psal_model_options *wanted,
                                  const net_origin *origin, const net_arch *arch, net_options *options,
                                  psal_error *err) {
    const char *variant = wanted->variant;
    const bool asked = variant && *variant;
    if (!asked) variant = psal_tensor_map_meta(tensors, "psal.variant");
    if (!variant || !*variant) variant = origin->variant ? origin->variant : "v1.5";
    const bool v1 = strcmp(variant, "v1") == 0;
    if (!v1 && strcmp(variant, "v1.5") != 0)
        return psal_fail(err, asked ? PSAL_ERR_ARGUMENT : PSAL_ERR_FORMAT, "%svariant '%.40s' is neither v1 nor v1.5",
                         asked ? "" : "metadata: ", variant);
    if (asked && strcmp(arch->family, "resnet") != 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "variant %s is for ResNets, not for %s", variant, arch->name);
    options->stride_in_1x1 = v1 && arch->has_variants;
    return PSAL_OK;
}

static psal_status choose_epsilon(const psal_tensor_map *tensors, const psal_model_options *wanted,
                                  const net_origin *origin, const net_arch *arch, net_options *options,
                                  psal_error *err) {
    double epsilon = 0;
    if (!isfinite(wanted->bn_epsilon) || wanted->bn_epsilon < 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "batch-norm epsilon %g is not above 0", wanted->bn_epsilon);
    psal_status status = read_number(tensors, "psal.bn_epsilon", &epsilon, err);
    if (status != PSAL_OK) return status;
    if (wanted->bn_epsilon > 0) epsilon = wanted->bn_epsilon;
    if (!(epsilon > 0)) epsilon = origin->bn_epsilon;
    if (!(epsilon > 0) || arch->bn_epsilon == 0) epsilon = arch->bn_epsilon;
    options->bn_epsilon = epsilon;
    return PSAL_OK;
}

static psal_status choose_transform(const psal_tensor_map *tensors, const psal_model_options *wanted,
                                    const net_arch *arch, net_options *options, psal_error *err) {
    const char *recorded = psal_tensor_map_meta(tensors, "psal.transform_input");
    const bool inception = strcmp(arch->family, "inception") == 0;
    if (wanted->transform_input > 0 && !inception)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "transform_input is for inception_v3, not for %s", arch->name);
    bool yes = recorded && (strcmp(recorded, "1") == 0 || strcmp(recorded, "true") == 0);
    if (recorded && !yes && strcmp(recorded, "0") != 0 && strcmp(recorded, "false") != 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "metadata psal.transform_input is '%.40s', expected 0 or 1", recorded);
    if (wanted->transform_input) yes = wanted->transform_input > 0;
    options->transform_input = yes && inception;
    return PSAL_OK;
}

psal_status net_recognise(const psal_tensor_map *tensors, const psal_model_options *wanted, const net_origin *origin,
                          net_recognised *recognised, psal_error *err) {
    static const psal_model_options nothing_wanted = {0};
    if (!wanted) wanted = &nothing_wanted;
    if (psal_tensor_map_count(tensors) == 0) return psal_fail(err, PSAL_ERR_FORMAT, "the checkpoint holds no tensors");
    double recorded_width = 0;
    psal_status status = read_number(tensors, "psal.width", &recorded_width, err);
    if (status != PSAL_OK) return status;

    candidate best;
    if (wanted->arch && *wanted->arch) {
        const net_arch *arch = net_arch_find(wanted->arch);
        if (!arch) return unknown_arch(wanted->arch, err);
        try_arch(&best, arch, tensors, recorded_width, true);
    } else {
        try_all(&best, tensors, recorded_width, psal_tensor_map_meta(tensors, "psal.arch"));
    }

    if (best.list.error.status == PSAL_ERR_MEMORY)
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    else if (!fits(&best))
        status = does_not_fit(&best, tensors, wanted->arch && *wanted->arch ? wanted->arch : NULL, recorded_width, err);
    if (status == PSAL_OK) status = choose_variant(tensors, wanted, origin, best.arch, &best.options, err);
    if (status == PSAL_OK) status = choose_epsilon(tensors, wanted, origin, best.arch, &best.options, err);
    if (status == PSAL_OK) status = choose_transform(tensors, wanted, best.arch, &best.options, err);
    if (status != PSAL_OK) {
        net_clear(&best.list);
        return status;
    }
    *recognised = (net_recognised){best.arch, best.options, best.list};
    return PSAL_OK;
}
