#include <stdlib.h>

#include "io/json_output.h"
#include "tools/class_output.h"
#include "tools/report.h"
#include "tools/sampling.h"

static const char *const ends[PSAL_LOOK_ENDS] = {"largest", "smallest"};

/* The guiltiest filters of all kinds, each once: filters[kinds * PSAL_REPORT_LOOKED]. */
static int64_t choose(const psal_report *r, int64_t *filters) {
    const psal_kinds_report *report = &r->found.report;
    int64_t count = 0;
    for (int k = 0; k < report->kinds->kinds; k++)
        for (int f = 0; f < report->top && f < PSAL_REPORT_LOOKED; f++) {
            const psal_kind_filter *filter = &report->filters[k * report->top + f];
            if (filter->entry < 0) break;
            bool known = false;
            for (int64_t i = 0; i < count; i++) known = known || filters[i] == filter->entry;
            if (!known) filters[count++] = filter->entry;
        }
    return count;
}

static json_t *hits_json(const psal_report *r, const psal_look_hit *hits) {
    const psal_filter_crops *crops = &r->crops;
    json_t *list = json_array();
    for (int i = 0; i < crops->k && hits[i].sample >= 0; i++) {
        const char *name = psal_dataset_name(crops->dataset, (size_t)hits[i].sample);
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:[i, i, i, i]}", "image", psal_json_string(name),
                                              "label", psal_class_json(r->compared.labels, hits[i].label), "activation",
                                              psal_json_float(hits[i].activation), "box", hits[i].left, hits[i].top,
                                              hits[i].width, hits[i].height));
    }
    return list;
}

static void add_results(psal_report *r) {
    json_t *list = json_array();
    for (int64_t i = 0; i < r->crops.count; i++) {
        json_t *look = json_object();
        json_object_set_new(look, "entry", json_integer(r->crops.filters[i]));
        json_object_set_new(look, "reversed", json_boolean(psal_look_reversed(r->crops.look, i)));
        for (int end = 0; end < PSAL_LOOK_ENDS; end++)
            json_object_set_new(look, ends[end],
                                hits_json(r, psal_filter_crops_hits(&r->crops, i, (psal_look_end)end)));
        json_array_append_new(list, look);
    }
    json_object_set_new(r->root, "looks", list);
    json_object_set_new(r->root, "looked_at",
                        json_integer((json_int_t)(psal_dataset_count(r->looked_at) - r->crops.skipped.count)));
}

/* So many images of the data set, as the store's samples are drawn. */
static psal_status open_images(psal_report *r, psal_error *err) {
    const char *spec = psal_compared_store_pictures(&r->compared);
    const psal_sampling sampling = {.wanted = (size_t)psal_options_int(r->options, "look"),
                                    .drawn = true,
                                    .seed = (uint64_t)psal_options_int(r->options, "seed")};
    r->looked_at = psal_open_list(spec, r->compared.labels, psal_options_flag(r->options, "skip-bad"), NULL, err);
    return r->looked_at ? psal_sampling_keep(&sampling, r->looked_at, err) : psal_error_status(err);
}

psal_status psal_report_look(psal_report *r, psal_error *err) {
    const psal_compared_store *s = &r->compared;
    if (!r->found.kinds || !r->found.report.model || r->found.report.units != PSAL_UNITS_FILTERS ||
        !psal_compared_store_pictures(s) || psal_options_int(r->options, "look") == 0)
        return PSAL_OK;
    int64_t *filters = malloc(((size_t)r->found.kinds->kinds * PSAL_REPORT_LOOKED + 1) * sizeof *filters);
    if (!filters) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the filters");
    const int64_t count = choose(r, filters);
    psal_status status = PSAL_OK;
    if (count > 0) {
        psal_report_stage(r, "what the guilty filters look for");
        status = open_images(r, err);
        if (status == PSAL_OK)
            status = psal_filter_crops_find(&r->crops, &s->session, r->looked_at, filters, count, PSAL_REPORT_PLACES,
                                            NULL, r->program->name, psal_options_flag(r->options, "skip-bad"),
                                            psal_options_flag(r->options, "quiet"), err);
        if (status == PSAL_OK) add_results(r);
    }
    free(filters);
    return status;
}
