/* layer_groups.h (internal to io) - stages of a network along an axis, and where to put their
 * names. */
#ifndef PSAL_IO_LAYER_GROUPS_H
#define PSAL_IO_LAYER_GROUPS_H

#include "io/figure.h"

#define FIG_GROUP_NAME 128

typedef struct fig_group {
    char name[FIG_GROUP_NAME]; /* clean UTF-8 */
    int64_t first, count;      /* filters */
    size_t first_layer, layer_count;
} fig_group;

/* Refuse layers that do not cover 0 .. filter_count-1 in order (filter_count < 0: whatever they
 * cover is fine). */
psal_status fig_layers_check(const psal_figure_layer *layers, size_t layer_count, int64_t filter_count,
                             psal_error *err);

/* Neighbouring layers with the same stage name joined. *groups is the caller's to free. */
psal_status fig_groups_make(const psal_figure_layer *layers, size_t layer_count, fig_group **groups, size_t *count,
                            psal_error *err);

/* Centres for `count` labels of the given widths, in order, `gap` apart, inside [low, high], with
 * the smallest sum of squared distances from the wanted centres. Returns the largest distance, or
 * -1 when they do not fit. */
double fig_place_labels(size_t count, const double *wanted, const double *width, double gap, double low, double high,
                        double *placed);

#endif
