/* What the options of psal_run_program say of an explanation. */
#include <string.h>

#include "tools/explain.h"
#include "tools/figure_style.h"

psal_status psal_explain_options_read(const psal_options *o, psal_explain_options *options, psal_error *err) {
    const bool logit = psal_options_flag(o, "logit"), difference = psal_options_flag(o, "logit-difference");
    if (logit && difference)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --logit and --logit-difference");
    *options = (psal_explain_options){
        .saliency = {.loss = logit        ? PSAL_LOSS_LOGIT
                             : difference ? PSAL_LOSS_LOGIT_DIFFERENCE
                                          : PSAL_LOSS_CROSS_ENTROPY,
                     .aggregation = (psal_aggregation)psal_options_choice(o, "aggregation"),
                     .is_signed = psal_options_flag(o, "signed"),
                     .gradient_weight = psal_options_flag(o, "gradient-weight")},
        .mode = (psal_mode)psal_options_choice(o, "mode"),
        .k = psal_options_int(o, "k-salient"),
        .boost = psal_options_double(o, "boost-factor"),
        .noise_iters = (int)psal_options_int(o, "noise-iters"),
        .noise_percent = psal_options_double(o, "noise-percent"),
        .noise_sd = psal_options_double(o, "noise-sd"),
        .seed = (uint64_t)psal_options_int(o, "seed"),
        .stands_in = PSAL_CLASS_PREDICTED,
        .against = PSAL_CLASS_NONE,
        .compare_random = psal_options_flag(o, "compare-random"),
        .top = (int)psal_options_int(o, "top"),
        .figures = psal_options_choice(o, "figures") == 0,
        .format = psal_figure_format(o),
        .style = psal_figure_style_of(o),
        .mistakes = psal_options_flag(o, "mistakes"),
        .look_data = psal_options_string(o, "data")};
    if (options->noise_percent > 0 && options->noise_sd > 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --noise-percent and --noise-sd");
    return PSAL_OK;
}

psal_status psal_explain_class(const psal_session *session, const char *option, const char *text, int *class,
                               psal_error *err) {
    if (strcmp(text, "predicted") == 0 || strcmp(text, "second") == 0) {
        *class = *text == 'p' ? PSAL_CLASS_PREDICTED : PSAL_CLASS_SECOND;
        if (*class == PSAL_CLASS_PREDICTED || session->info->num_classes > 1) return PSAL_OK;
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s second: the network has one class", option);
    }
    return psal_session_class(session, option, text, class, err);
}
