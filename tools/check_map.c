#include "tools/check_map.h"

#include <stdlib.h>

#include "saliency/masking.h"
#include "saliency/standardize.h"

static int64_t k_of(const psal_check *check) {
    return psal_options_int(check->options, "k-salient");
}

psal_status psal_check_map_open(const psal_check *check, psal_check_map *map, psal_error *err) {
    const psal_session *s = &check->session;
    const size_t filters = (size_t)check->mistakes.filters, pixels = (size_t)s->height * (size_t)s->width;
    *map = (psal_check_map){.top = malloc((size_t)k_of(check) * sizeof *map->top),
                            .target = malloc(filters * sizeof *map->target),
                            .shift = malloc(filters * sizeof *map->shift),
                            .scale = malloc(filters * sizeof *map->scale),
                            .gradient = malloc(psal_session_image_size(s) * sizeof *map->gradient),
                            .heat = malloc(pixels * sizeof *map->heat)};
    if (map->top && map->target && map->shift && map->scale && map->gradient && map->heat) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a heat map of %zu pixels", pixels);
}

void psal_check_map_close(psal_check_map *map) {
    free(map->top);
    free(map->target);
    free(map->shift);
    free(map->scale);
    free(map->gradient);
    free(map->heat);
}

psal_status psal_check_map_make(const psal_check *check, psal_saliency_worker *worker, const float *naive,
                                const double *standardized, psal_check_map *map, bool *none, psal_error *err) {
    const psal_mistakes *m = &check->mistakes;
    const psal_session *s = &check->session;
    const int64_t k = k_of(check);
    psal_error why = PSAL_ERROR_INIT;
    psal_status status = psal_statistics_map(m->statistics, m->mode, m->filters, naive, map->shift, map->scale, err);
    if (status == PSAL_OK) status = psal_top_k(m->filters, standardized, m->live, k, map->top, err);
    if (status != PSAL_OK) return status;
    psal_boost(m->filters, standardized, map->top, k, psal_options_double(check->options, "boost-factor"), map->target);
    status = psal_saliency_input(worker, map->shift, map->scale, map->target, map->gradient, NULL, &why);
    *none = status == PSAL_ERR_NUMERIC;
    if (*none) return PSAL_OK;
    if (status != PSAL_OK) {
        *err = why;
        return status;
    }
    return psal_pixel_saliency(map->gradient, s->info->channels, s->height, s->width, map->heat, err);
}
