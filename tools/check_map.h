/* check_map.h - the top filters of a profile and the heat map towards them, for checks that make many. */
#ifndef PSAL_TOOLS_CHECK_MAP_H
#define PSAL_TOOLS_CHECK_MAP_H

#include "tools/check.h"

typedef struct psal_check_map {
    int64_t *top;                   /* [k] */
    double *target, *shift, *scale; /* [filters]; the last two: the map of standardizing */
    float *gradient;                /* [image] */
    float *heat;                    /* [pixels]: psal_pixel_saliency */
} psal_check_map;

/* Memory for maps of the check's --k-salient filters, which is open. After an error too, close it. */
psal_status psal_check_map_open(const psal_check *check, psal_check_map *map, psal_error *err);
void psal_check_map_close(psal_check_map *map); /* zeroed is fine */

/* The map of the profile that the worker made last, naive and standardized [filters], in *map. *none: there is none,
 * as its gradient is 0 or not finite; then only `top` is filled. */
psal_status psal_check_map_make(const psal_check *check, psal_saliency_worker *worker, const float *naive,
                                const double *standardized, psal_check_map *map, bool *none, psal_error *err);

#endif
