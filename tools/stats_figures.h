/* stats_figures.h - psal-stats --figures DIR: what the profiles of a data set have in common, as pictures and as
 * tables. The pictures as PNG, or as --format says.
 *
 *   mean_profiles.png  the mean naive profile of the mistakes above their mean standardized one
 *   groups.png         mean profiles, naive and standardized, of right samples, of mistakes against their true label,
 *                      and with --predicted of mistakes against the label that was predicted
 *   depth.png          the stages of the network that the k most salient filters of all mistakes fall in
 *   profiles.csv       what is drawn in the first two: a row per filter
 *   depth.csv          what is drawn in the third, layer by layer
 *
 * Standardizing is an affine map, so that the mean of standardized profiles is the standardized mean. */
#ifndef PSAL_TOOLS_STATS_FIGURES_H
#define PSAL_TOOLS_STATS_FIGURES_H

#include "io/figure.h"
#include "saliency/summary.h"
#include "tools/session.h"

typedef struct psal_stats_figures {
    const char *folder; /* exists */
    const psal_session *session;
    const psal_saliency *saliency; /* whose layers the profiles have */
    psal_aggregation aggregation;
    const psal_computation *computation; /* of these */
    const psal_summary *summary;         /* complete */
    const char *store, *index;           /* the profiles and their table; NULL: none, and no figure by depth */
    const char *format;                  /* of the pictures: "png" */
    psal_figure_style style;
    int64_t k; /* filters of each mistake that the figure by depth counts */
} psal_stats_figures;

/* Make the folder, and refuse what cannot be drawn, before the work begins. */
psal_status psal_stats_figures_begin(const char *folder, int64_t length, int64_t k, psal_error *err);

/* Write pictures and tables. What is missing, because there are no mistakes or no store, is said in notes. */
psal_status psal_stats_figures_write(const psal_stats_figures *figures, psal_notes *notes, psal_error *err);

#endif
