#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_output.h"
#include "saliency/prune.h"
#include "tools/edit_one.h"
#include "tools/finetune_program.h"
#include "tools/mistakes.h"
#include "tools/photo.h"
#include "tools/prune_program.h"

enum { DRAWS = 3, MOST_EDITED = 100 };
static const int64_t tried[] = {1, 2, 5, 10, 20};
enum { TRIED = sizeof tried / sizeof *tried, CHOICES = 2 };
static const psal_choice choices[CHOICES] = {PSAL_CHOICE_SALIENT, PSAL_CHOICE_RANDOM};

/* Why psal-prune does not measure what this page is about; NULL: it does. */
static const char *why_not(const psal_photo *p, int64_t choosable) {
    const psal_explain_options *o = &p->explainer->options;
    if (!p->e->labelled) return "no label was given";
    if (!p->file) return "the image is no file of its own";
    if (o->against != PSAL_CLASS_NONE) return "psal-prune subtracts no other class's profile";
    if (o->mode != PSAL_MODE_STD && o->mode != PSAL_MODE_POT) return "psal-prune ranks filters by --mode std or pot";
    if (o->saliency.gradient_weight) return "psal-prune ranks filters by their saliency, without --gradient-weight";
    if (o->noise_iters > 1 || o->noise_percent > 0 || o->noise_sd > 0) return "psal-prune ranks filters without noise";
    return choosable > 0 ? NULL : "no filter can be chosen";
}

/* How many of `tried` are no more than half of what can be chosen. */
static int count_tried(int64_t choosable) {
    int count = 1;
    while (count < TRIED && tried[count] <= choosable / 2) count++;
    return count;
}

/* ---- commands ---- */

static psal_status begin(const psal_photo *p, const psal_program *program, psal_report_command *command,
                         psal_error *err) {
    static const char *const same[] = {"stats", "mode", "seed", "signed", "logit", "logit-difference", NULL};
    const char *target = psal_options_string(p->options, "image-target-label");
    char label[32];
    snprintf(label, sizeof label, "%d", p->e->label);
    psal_status status = psal_report_command_begin(command, program, NULL, err);
    if (status == PSAL_OK) status = psal_report_command_add_network(command, program, p->options, err);
    if (status == PSAL_OK && p->named) status = psal_report_command_add(command, "image-path", p->file, err);
    if (status == PSAL_OK && p->named)
        status = psal_report_command_add(command, "image-target-label", target ? target : label, err);
    for (const char *const *name = same; *name && status == PSAL_OK; name++)
        status = psal_report_command_add_given(command, program, p->options, *name, err);
    return status;
}

static psal_status end(const psal_program *program, psal_report_command *command, json_t *object, const char *key,
                       psal_error *err) {
    psal_status status = psal_report_command_parse(command, program, err);
    char *text = status == PSAL_OK ? psal_report_command_text(command) : NULL;
    if (status == PSAL_OK && !text) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a command");
    if (text) json_object_set_new(object, key, psal_json_string(text));
    free(text);
    psal_report_command_free(command);
    return status;
}

static psal_status say_prune(const psal_photo *p, int count, json_t *found, psal_error *err) {
    psal_report_command command = {0};
    char list[100] = "";
    for (int i = 0; i < count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%" PRId64, i ? "," : "", tried[i]);
    psal_status status = begin(p, &psal_prune_program, &command, err);
    if (status == PSAL_OK) status = psal_report_command_add(&command, "k", list, err);
    if (status == PSAL_OK) status = psal_report_command_add(&command, "choices", "salient,random", err);
    if (status == PSAL_OK) return end(&psal_prune_program, &command, found, "command", err);
    psal_report_command_free(&command);
    return status;
}

/* The command that looks for the smallest change of the top filters that corrects the mistake. */
static psal_status say_edit(psal_photo *p, int64_t choosable, psal_error *err) {
    psal_report_command command = {0};
    psal_status status = begin(p, &psal_finetune_program, &command, err);
    if (status == PSAL_OK) status = psal_report_command_add(&command, "until-correct", NULL, err);
    if (status == PSAL_OK) status = psal_report_command_add(&command, "choices", "salient", err);
    if (status == PSAL_OK)
        status = psal_report_command_add_int(&command, "k", choosable < MOST_EDITED ? choosable : MOST_EDITED, err);
    if (status == PSAL_OK) status = psal_report_command_add(&command, "save-delta", "edit.safetensors", err);
    if (status == PSAL_OK) return end(&psal_finetune_program, &command, p->root, "smallest_edit", err);
    psal_report_command_free(&command);
    return status;
}

/* ---- the measurement ---- */

/* Results are those of psal-prune: the same network, ranking and seed. */
static psal_status measure(const psal_photo *p, int count, json_t *found, psal_error *err) {
    psal_prune_sample sample = {
        .seed = psal_subject_seed(p->options, 0), .live = p->explainer->live, .units = PSAL_UNITS_FILTERS};
    const psal_prune_options options = {.how = PSAL_PRUNE_WEIGHTS,
                                        .choices = choices,
                                        .choice_count = CHOICES,
                                        .k = tried,
                                        .k_count = count,
                                        .draws = DRAWS};
    psal_prune_result results[CHOICES * TRIED];
    const psal_status status = psal_prune_one(p->explainer, p->e, &sample, &options, NULL, results, err);
    if (status != PSAL_OK) return status;
    json_object_set_new(found, "how", psal_json_string(psal_prune_name(PSAL_PRUNE_WEIGHTS)));
    json_object_set_new(found, "draws", json_integer(DRAWS));
    json_object_set_new(found, "rows", psal_prune_one_json(&options, results));
    return PSAL_OK;
}

psal_status psal_photo_switch_off(psal_photo *p, psal_error *err) {
    const psal_explainer *x = p->explainer;
    const int64_t choosable = psal_choosable(x->session->model, PSAL_UNITS_FILTERS, x->live);
    const char *why = why_not(p, choosable);
    json_t *found = json_object();
    json_object_set_new(p->root, "switched_off", found);
    json_object_set_new(p->root, "smallest_edit", json_null());
    json_object_set_new(found, "why_not", why ? psal_json_string(why) : json_null());
    if (why) return PSAL_OK;
    const int count = count_tried(choosable);
    psal_status status = measure(p, count, found, err);
    if (status == PSAL_OK) status = say_prune(p, count, found, err);
    if (status == PSAL_OK && p->e->label != p->e->predicted) status = say_edit(p, choosable, err);
    return status;
}
