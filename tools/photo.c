#include "tools/photo.h"

#include <stdio.h>
#include <string.h>

#include "io/json_output.h"
#include "tools/outputs.h"
#include "tools/print.h"

psal_status psal_photo_check(const psal_options *o, const psal_explain_options *explain, psal_error *err) {
    char path[4200];
    if (!psal_options_has(o, "report")) return PSAL_OK;
    if (psal_options_has(o, "images") || psal_options_count(o, "image-path") > 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--report: the page is of one image");
    if (explain->saliency.aggregation != PSAL_AGGREGATION_FILTER)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--report: the page is of filters, without --aggregation %s",
                         psal_aggregation_name(explain->saliency.aggregation));
    return psal_photo_json_path(o, psal_options_string(o, "report"), path, err);
}

psal_status psal_photo_json_path(const psal_options *options, const char *page, char path[4200], psal_error *err) {
    const char *dot = strrchr(page, '.');
    if (strlen(page) > 4000) return psal_fail(err, PSAL_ERR_ARGUMENT, "%.60s...: the path is too long", page);
    snprintf(path, 4200, "%.*s.json", (int)(dot ? dot - page : (long)strlen(page)), page);
    return psal_check_output_file(psal_options_program(options), options, path, err);
}

psal_status psal_photo_write(psal_photo *p, psal_error *err) {
    const char *page = psal_options_string(p->options, "report");
    char path[4200];
    psal_status status = psal_photo_json_path(p->options, page, path, err);
    if (status == PSAL_OK) status = psal_photo_results(p, err);
    if (status == PSAL_OK) status = psal_photo_page(p, page, err);
    return status == PSAL_OK ? psal_json_save(p->root, path, err) : status;
}
