#include "tools/run_look.h"

#include "tools/look_output.h"

psal_status psal_run_look_check(const psal_options *o, const psal_explain_options *explain, psal_error *err) {
    if (!psal_options_has(o, "look") && psal_options_has(o, "look-images"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--look-images needs --look");
    if (!psal_options_has(o, "look")) return PSAL_OK;
    if (psal_options_has(o, "images") || psal_options_count(o, "image-path") > 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--look: of one image at a time");
    if (!psal_options_has(o, "data"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--look needs --data: the images to look through");
    if (explain->saliency.aggregation != PSAL_AGGREGATION_FILTER)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--look: only filters have places, without --aggregation %s",
                         psal_aggregation_name(explain->saliency.aggregation));
    const int64_t filters = psal_options_int(o, "look");
    if (filters <= explain->top) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "--look %lld: the table has %d rows; --top %lld gives it as many",
                     (long long)filters, explain->top, (long long)filters);
}

psal_status psal_run_look(const psal_options *options, const psal_session *session, const psal_dataset *dataset,
                          psal_explanation *e, psal_filter_crops *crops, psal_error *err) {
    const char *program = psal_options_program(options)->name;
    const int64_t wanted = psal_options_int(options, "look"), count = wanted < e->top_count ? wanted : e->top_count;
    if (count == 0) return PSAL_OK; /* none can be ranked, which the result says */
    psal_status status = psal_filter_crops_find(crops, session, dataset, e->top, count, PSAL_LOOK_PLACES, e->input,
                                                program, psal_options_flag(options, "skip-bad"),
                                                psal_options_flag(options, "quiet"), err);
    if (status == PSAL_OK) e->crops = crops;
    return status;
}
