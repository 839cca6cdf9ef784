#include "models/recognise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"

/* ---- numbers in the metadata ---- */

/* *value stays as it is when the key is absent. */
static psal_status read_number(const psal_tensor_map *tensors, const char *key, double *value, psal_error *err) {
    const char *text = psal_tensor_map_meta(tensors, key);
    if (!text) return PSAL_OK;
    double number;
    if (!psal_parse_double(text, &number) || !isfinite(number) || number < 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "metadata %s is '%.40s', expected a number", key, text);
    *value = number;
    return PSAL_OK;
}

/* ---- one architecture ---- */

/* The outputs of the layer with this weight. */
static int classes_of(const psal_tensor_map *tensors, const char *weight, int otherwise) {
    const psal_tensor *tensor = weight ? psal_tensor_map_get(tensors, weight) : NULL;
    if (!tensor || tensor->shape.ndim < 2) return otherwise;
    int64_t classes = tensor->shape.dim[0];
    return classes >= 1 && classes <= NET_MAX_CLASSES ? (int)classes : otherwise;
}

int net_score(const net_candidate *c) {
    return c->right - c->missing - c->wrong;
}

/* Nothing can then be said of it, and so nothing of what fits best. */
static bool is_unknown(const net_candidate *c) {
    return c->list.error.status == PSAL_ERR_MEMORY;
}

bool net_fits(const net_candidate *c) {
    return c->list.error.status == PSAL_OK && c->missing == 0 && c->wrong == 0;
}

/* List the architecture at c->options and count; unless it is to be `whole`, only as far as the first name that is
 * missing. */
static void judge(net_candidate *c, const psal_tensor_map *tensors, bool whole) {
    net_clear(&c->list);
    net_init(&c->list, NULL, &c->options);
    if (!whole) c->list.sought = tensors;
    net_describe(&c->list, c->arch, PSAL_NO_NODE);
    c->right = c->wrong = 0;
    c->missing = c->list.stopped;
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

/* Of the image: the inputs of the first convolution. */
static int channels_of(const net_candidate *c, const psal_tensor_map *tensors) {
    int first = 0;
    while (first < c->list.count && !c->list.tensors[first].is_filters) first++;
    const psal_tensor *weight = first < c->list.count ? psal_tensor_map_get(tensors, c->list.tensors[first].name)
                                                      : NULL;
    if (!weight || weight->shape.ndim != 4) return c->options.channels;
    const int64_t channels = weight->shape.dim[1];
    return channels >= 1 && channels <= NET_MAX_CHANNELS ? (int)channels : c->options.channels;
}

/* The widths for which the rule (net_scale) gives so many outputs. */
typedef struct interval {
    double low, high; /* low <= w < high */
} interval;

static interval widths_of(int64_t outputs, const net_tensor *layer) {
    const double count = (double)outputs, published = layer->published;
    if (layer->in_eights) /* net_eights */
        return (interval){outputs > 8 ? fmin(count - 4, (count - 8) / 0.9) / published : 0,
                          fmin(count + 4, count / 0.9) / published};
    return (interval){outputs > 1 ? (count - 0.5) / published : 0, (count + 0.5) / published};
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
        interval own = widths_of(found->shape.dim[0], layer);
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

/* Whether no width makes the candidate, which has few of its names there, better than the best one so far. */
static bool is_hopeless(const net_candidate *c, const net_candidate *best) {
    const int there = c->right + c->wrong;
    return best && best->arch && c->list.error.status == PSAL_OK && there < c->missing &&
           there - c->missing <= net_score(best);
}

/* Find the width at which `arch` fits; with `thorough`, else the one at which it comes closest, or 1 where it cannot
 * come closer than `best`, which may be NULL. */
static void try_arch(net_candidate *c, const net_arch *arch, const psal_tensor_map *tensors, double recorded_width,
                     bool thorough, const net_candidate *best) {
    const int classes = classes_of(tensors, arch->classifier, 1000);
    const psal_tensor *embedding = arch->positions ? psal_tensor_map_get(tensors, arch->positions) : NULL;
    const bool tells = embedding && embedding->shape.ndim == 3 && embedding->shape.dim[1] > 1 &&
                       embedding->shape.dim[1] <= NET_MAX_POSITIONS;
    *c = (net_candidate){.arch = arch,
                         .options = {.width = 1,
                                     .channels = 3,
                                     .num_classes = classes,
                                     .auxiliary_classes = classes_of(tensors, arch->auxiliary, classes),
                                     .positions = tells ? (int)embedding->shape.dim[1] : 0}};
    judge(c, tensors, thorough);
    const int channels = channels_of(c, tensors);
    if (channels != c->options.channels) {
        c->options.channels = channels;
        judge(c, tensors, thorough);
    }
    if (net_fits(c) || is_unknown(c) || (c->missing > 0 && !thorough) || is_hopeless(c, best)) return;

    interval from_first = common_widths(&c->list, tensors, 0);
    interval from_middle = common_widths(&c->list, tensors, 0.5);
    const double widths[] = {recorded_width, likely_within(from_first), (from_first.low + from_first.high) / 2,
                             likely_within(from_middle)};
    for (int i = 0; i < (int)(sizeof widths / sizeof *widths) && !net_fits(c) && !is_unknown(c); i++) {
        if (!(widths[i] > 0 && widths[i] <= NET_MAX_WIDTH) || widths[i] == c->options.width) continue;
        net_candidate other = {.arch = arch, .options = c->options};
        other.options.width = widths[i];
        judge(&other, tensors, true);
        net_candidate worse = other;
        if (is_unknown(&other) ||
            (other.list.error.status == PSAL_OK && (net_fits(&other) || net_score(&other) > net_score(c)))) {
            worse = *c;
            *c = other;
        }
        net_clear(&worse.list);
    }
}

/* ---- all architectures ---- */

/* Fits and leaves no tensor over: no other can explain more. */
static bool is_perfect(const net_candidate *c, const psal_tensor_map *tensors) {
    return net_fits(c) && (size_t)c->right == psal_tensor_map_count(tensors);
}

/* The same as another member of its family at some width (MNASNet's members are such), but published so. */
static bool is_plainer(const net_candidate *a, const net_candidate *b) {
    return net_fits(a) && net_score(a) == net_score(b) && a->options.width == 1 && b->options.width != 1;
}

/* The best of all: one that fits and explains most tensors; failing that, the one that comes
 * closest. `preferred` (a name or NULL) wins among equals. */
static void try_each(net_candidate *best, const psal_tensor_map *tensors, double recorded_width, const char *preferred,
                     bool thorough) {
    *best = (net_candidate){0};
    const net_arch *first = preferred ? net_arch_find(preferred) : NULL;
    if (first) {
        try_arch(best, first, tensors, recorded_width, thorough, NULL);
        if (is_perfect(best, tensors) || is_unknown(best)) return;
    }
    for (int i = 0; i < net_arch_count(); i++) {
        net_candidate c;
        const net_arch *arch = net_arch_at(i);
        if (arch == first) continue;
        try_arch(&c, arch, tensors, recorded_width, thorough, best);
        bool better = !best->arch || is_unknown(&c) || net_fits(&c) > net_fits(best) ||
                      (net_fits(&c) == net_fits(best) && (net_score(&c) > net_score(best) || is_plainer(&c, best)));
        net_candidate worse = better ? *best : c;
        if (better) *best = c;
        net_clear(&worse.list);
        if (is_unknown(best)) return;
    }
}

/* Look for one that fits, which the names alone rule out for most; else look closer. */
static void try_all(net_candidate *best, const psal_tensor_map *tensors, double recorded_width, const char *preferred) {
    try_each(best, tensors, recorded_width, preferred, false);
    if (net_fits(best) || is_unknown(best)) return;
    net_clear(&best->list);
    try_each(best, tensors, recorded_width, preferred, true);
}

static psal_status unknown_arch(const char *name, psal_error *err) {
    char known[800];
    size_t used = 0;
    known[0] = '\0';
    for (int i = 0; i < net_arch_count() && used + 60 < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", net_arch_at(i)->name);
    return psal_fail(err, PSAL_ERR_ARGUMENT, "unknown architecture '%.60s': known are %s, ... (%d in all)", name, known,
                     net_arch_count());
}

psal_status net_recognise(const psal_tensor_map *tensors, const psal_model_options *wanted, net_candidate *best,
                          psal_error *err) {
    *best = (net_candidate){0};
    double recorded_width = 0;
    psal_status status = read_number(tensors, "psal.width", &recorded_width, err);
    if (status != PSAL_OK) return status;
    if (wanted->arch && *wanted->arch) {
        const net_arch *arch = net_arch_find(wanted->arch);
        if (!arch) return unknown_arch(wanted->arch, err);
        try_arch(best, arch, tensors, recorded_width, true, NULL);
    } else {
        try_all(best, tensors, recorded_width, psal_tensor_map_meta(tensors, "psal.arch"));
    }
    if (!is_unknown(best)) return PSAL_OK;
    net_clear(&best->list);
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

/* ---- what shapes do not tell ---- */

static psal_status choose_variant(const psal_tensor_map *tensors, const psal_model_options *wanted,
                                  const net_origin *origin, const net_arch *arch, net_options *options,
                                  psal_error *err) {
    const char *variant = wanted->variant;
    const bool asked = variant && *variant;
    if (!asked) variant = psal_tensor_map_meta(tensors, "psal.variant");
    if (!variant || !*variant) variant = origin->variant;
    options->variant_assumed = arch->has_variants && !variant;
    if (!variant) variant = "v1.5";
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
    if (epsilon > 1)
        return psal_fail(err, PSAL_ERR_FORMAT, "metadata psal.bn_epsilon is %g, expected at most 1", epsilon);
    if (wanted->bn_epsilon > 0) epsilon = wanted->bn_epsilon;
    if (!(epsilon > 0)) epsilon = origin->bn_epsilon;
    options->bn_epsilon_assumed = arch->bn_epsilon > 0 && !(epsilon > 0);
    if (!(epsilon > 0) || arch->bn_epsilon == 0) epsilon = arch->bn_epsilon;
    options->bn_epsilon = epsilon;
    return PSAL_OK;
}

static psal_status choose_transform(const psal_tensor_map *tensors, const psal_model_options *wanted,
                                    const net_arch *arch, net_options *options, psal_error *err) {
    const char *recorded = psal_tensor_map_meta(tensors, "psal.transform_input");
    if (wanted->transform_input > 0 && !arch->has_transform)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "transform_input is for inception_v3 and googlenet, not for %s",
                         arch->name);
    bool yes = recorded && (strcmp(recorded, "1") == 0 || strcmp(recorded, "true") == 0);
    if (recorded && !yes && strcmp(recorded, "0") != 0 && strcmp(recorded, "false") != 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "metadata psal.transform_input is '%.40s', expected 0 or 1", recorded);
    if (wanted->transform_input) yes = wanted->transform_input > 0;
    const bool applies = arch->has_transform && options->channels == 3;
    if (yes && arch->has_transform && !applies)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "transform_input is for images of 3 channels, and this %s takes %d",
                         arch->name, options->channels);
    options->transform_input = yes && applies;
    options->transform_input_assumed = applies && !recorded && !wanted->transform_input;
    return PSAL_OK;
}

psal_status net_choose(net_candidate *candidate, const net_group *group, const psal_model_options *wanted,
                       psal_error *err) {
    const psal_tensor_map *tensors = group->tensors;
    psal_status status = choose_variant(tensors, wanted, &group->origin, candidate->arch, &candidate->options, err);
    if (status == PSAL_OK)
        status = choose_epsilon(tensors, wanted, &group->origin, candidate->arch, &candidate->options, err);
    if (status == PSAL_OK) status = choose_transform(tensors, wanted, candidate->arch, &candidate->options, err);
    return status;
}

/* ---- names ---- */

static bool add_name(psal_tensor_map *names, const char *name) {
    static const float nothing;
    const psal_shape scalar = {0};
    return psal_tensor_map_get(names, name) ||
           psal_tensor_map_add_view(names, name, PSAL_F32, &scalar, &nothing, NULL) == PSAL_OK;
}

static bool add_names(psal_tensor_map *names, const net *list) {
    bool good = names != NULL;
    for (int i = 0; good && i < list->count; i++) good = add_name(names, list->tensors[i].name);
    return good;
}

psal_tensor_map *net_list_names(const net *list) {
    psal_tensor_map *names = psal_tensor_map_new();
    if (add_names(names, list)) return names;
    psal_tensor_map_free(names);
    return NULL;
}

psal_tensor_map *net_known_names(void) {
    psal_tensor_map *names = psal_tensor_map_new();
    bool good = true;
    for (int i = 0; good && i < net_arch_count(); i++) {
        const net_options options = {.width = 1, .channels = 3, .num_classes = 1, .auxiliary_classes = 1};
        net list;
        net_init(&list, NULL, &options);
        net_describe(&list, net_arch_at(i), PSAL_NO_NODE);
        good = list.error.status == PSAL_OK && add_names(names, &list);
        net_clear(&list);
    }
    if (good) return names;
    psal_tensor_map_free(names);
    return NULL;
}
