#include "io/layer_groups.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/utf8.h"

#define NAMED_SINGLY 12 /* up to so many layers each is its own stage */

/* Whether the part of `name` from `start` to `end` only holds the stages ("features", "encoder", a prefix): it has most
 * of the layers that begin as `name` does, and beside it, in running order, there are at most two others. */
static bool holds_stages(const psal_figure_layer *layers, size_t layer_count, const char *name, size_t start,
                         size_t end) {
    size_t all = 0, inside = 0, parts = 0, last_length = 0;
    const char *last = NULL;
    for (size_t i = 0; i < layer_count; i++) {
        if (strncmp(layers[i].name, name, start) != 0) continue;
        const char *part = layers[i].name + start;
        const size_t length = strcspn(part, ".");
        parts += !last || length != last_length || strncmp(part, last, length) != 0;
        inside += length == end - start && strncmp(part, name + start, length) == 0;
        all++;
        last = part;
        last_length = length;
    }
    return parts <= 3 && 2 * inside > all;
}

char *psal_figure_layer_group(const psal_figure_layer *layers, size_t layer_count, size_t index, char *out,
                              size_t size) {
    if (layers[index].group) return psal_utf8_clean(layers[index].group, out, size);
    const char *name = layers[index].name;
    size_t length = strlen(name);
    if (length > 7 && strcmp(name + length - 7, ".weight") == 0) length -= 7;
    size_t start = 0;
    if (layer_count > NAMED_SINGLY) {
        for (const char *dot = strchr(name, '.'); dot && dot + 1 < name + length; dot = strchr(dot + 1, '.')) {
            if (!holds_stages(layers, layer_count, name, start, (size_t)(dot - name))) break;
            start = (size_t)(dot - name) + 1;
        }
        size_t part = strcspn(name + start, ".");
        /* A bare number says nothing: keep the part before it. */
        if (start > 0 && strspn(name + start, "0123456789") == part) {
            size_t before = start - 1;
            while (before > 0 && name[before - 1] != '.') before--;
            part += start - before;
            start = before;
        }
        if (part < length - start) length = start + part;
    }
    char text[512];
    snprintf(text, sizeof text, "%.*s", (int)(length - start > 500 ? 500 : length - start), name + start);
    return psal_utf8_clean(text, out, size);
}

psal_status fig_layers_check(const psal_figure_layer *layers, size_t layer_count, int64_t filter_count,
                             psal_error *err) {
    if (!layers || layer_count == 0) return psal_fail(err, PSAL_ERR_ARGUMENT, "the figure has no layers");
    int64_t next = 0;
    for (size_t i = 0; i < layer_count; i++) {
        const psal_figure_layer *layer = &layers[i];
        if (!layer->name) return psal_fail(err, PSAL_ERR_ARGUMENT, "layer %zu of the figure has no name", i);
        if (layer->first != next || layer->count < 1 || layer->count > INT64_MAX / 16 - next)
            return psal_fail(err, PSAL_ERR_ARGUMENT,
                             "layer %s of the figure begins at filter %" PRId64 " with %" PRId64
                             " filters; expected to begin at %" PRId64 " with at least one",
                             layer->name, layer->first, layer->count, next);
        next += layer->count;
    }
    if (filter_count >= 0 && next != filter_count)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "the layers of the figure have %" PRId64 " filters, the profile %" PRId64, next, filter_count);
    return PSAL_OK;
}

psal_status fig_groups_make(const psal_figure_layer *layers, size_t layer_count, fig_group **groups, size_t *count,
                            psal_error *err) {
    fig_group *made = calloc(layer_count, sizeof *made);
    if (!made) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the %zu layers of a figure", layer_count);
    size_t used = 0;
    for (size_t i = 0; i < layer_count; i++) {
        fig_group *group = &made[used];
        psal_figure_layer_group(layers, layer_count, i, group->name, sizeof group->name);
        if (used > 0 && strcmp(group->name, made[used - 1].name) == 0) {
            made[used - 1].count += layers[i].count;
            made[used - 1].layer_count++;
            continue;
        }
        group->first = layers[i].first;
        group->count = layers[i].count;
        group->first_layer = i;
        group->layer_count = 1;
        used++;
    }
    *groups = made;
    *count = used;
    return PSAL_OK;
}

/* Least squares under "each at least so far from the one before": with the distances subtracted it
 * is isotonic regression, solved by pooling neighbours that violate the order (Barlow et al. 1972).
 * `placed` holds the block means while it runs; `pool` and `weight` are the blocks' sizes. */
double fig_place_labels(size_t count, const double *wanted, const double *width, double gap, double low, double high,
                        double *placed) {
    if (count == 0) return 0;
    double needed = gap * (double)(count - 1);
    for (size_t i = 0; i < count; i++) needed += width[i];
    if (!(needed <= high - low)) return -1;
    size_t *pool = malloc(count * sizeof *pool);
    double *mean = malloc(count * sizeof *mean);
    if (!pool || !mean) {
        free(pool);
        free(mean);
        return -1;
    }
    size_t blocks = 0;
    double offset = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) offset += (width[i - 1] + width[i]) / 2 + gap;
        mean[blocks] = wanted[i] - offset;
        pool[blocks++] = 1;
        while (blocks > 1 && mean[blocks - 2] > mean[blocks - 1]) {
            double a = (double)pool[blocks - 2], b = (double)pool[blocks - 1];
            mean[blocks - 2] = (mean[blocks - 2] * a + mean[blocks - 1] * b) / (a + b);
            pool[blocks - 2] += pool[blocks - 1];
            blocks--;
        }
    }
    double first = low + width[0] / 2, last = high - width[count - 1] / 2 - offset, farthest = 0;
    offset = 0;
    for (size_t i = 0, block = 0, left = pool[0]; i < count; i++) {
        if (i > 0) offset += (width[i - 1] + width[i]) / 2 + gap;
        if (left == 0) left = pool[++block];
        left--;
        placed[i] = fmin(fmax(mean[block], first), last) + offset;
        farthest = fmax(farthest, fabs(placed[i] - wanted[i]));
    }
    free(pool);
    free(mean);
    return farthest;
}
