#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/json_output.h"
#include "tools/class_output.h"
#include "tools/report.h"
#include "tools/run.h"
#include "tools/run_program.h"

/* ---- the command of one mistake ---- */

static psal_status add_sample(const psal_report *r, int64_t sample, psal_report_command *command, psal_error *err) {
    const psal_profile_record *record = &r->compared.store.records[sample];
    const char *file = psal_sample_pictures_file(&r->pictures, sample, record->path);
    size_t index = 0;
    psal_status status = PSAL_OK;
    if (file) {
        status = psal_report_command_add(command, "image-path", file, err);
        if (status == PSAL_OK) status = psal_report_command_add_int(command, "image-target-label", record->label, err);
        return status;
    }
    status = psal_sample_pictures_index(&r->pictures, sample, record->path, &index, err);
    if (status == PSAL_OK)
        status = psal_report_command_add(command, "data", psal_compared_store_pictures(&r->compared), err);
    return status == PSAL_OK ? psal_report_command_add_int(command, "reference-id", (int64_t)index, err) : status;
}

/* psal-run of the sample, whose own page is KIND.html. */
static psal_status make_command(const psal_report *r, int kind, int64_t sample, psal_report_command *command,
                                psal_error *err) {
    const psal_program *program = &psal_run_program;
    const psal_saliency_options *profile = &r->compared.profile_options;
    char page[64];
    snprintf(page, sizeof page, "kind-%d.html", kind + 1);
    psal_status status = psal_report_command_begin(command, program, NULL, err);
    if (status == PSAL_OK) status = psal_report_command_add_network(command, program, r->options, err);
    if (status == PSAL_OK) status = add_sample(r, sample, command, err);
    if (status == PSAL_OK && *r->statistics) status = psal_report_command_add(command, "stats", r->statistics, err);
    if (status == PSAL_OK && profile->is_signed) status = psal_report_command_add(command, "signed", NULL, err);
    if (status == PSAL_OK && profile->loss == PSAL_LOSS_LOGIT)
        status = psal_report_command_add(command, "logit", NULL, err);
    if (status == PSAL_OK && profile->loss == PSAL_LOSS_LOGIT_DIFFERENCE)
        status = psal_report_command_add(command, "logit-difference", NULL, err);
    if (status == PSAL_OK && profile->gradient_weight)
        status = psal_report_command_add(command, "gradient-weight", NULL, err);
    if (status == PSAL_OK)
        status = psal_report_command_add_int(command, "seed", psal_options_int(r->options, "seed"), err);
    if (status == PSAL_OK) status = psal_report_command_add_given(command, program, r->options, "colors", err);
    if (status == PSAL_OK) status = psal_report_command_add(command, "compare-random", NULL, err);
    if (status == PSAL_OK) status = psal_report_command_add(command, "report", page, err);
    return status == PSAL_OK ? psal_report_command_parse(command, program, err) : status;
}

/* ---- results ---- */

static json_t *place_json(const psal_look_hit *hit) {
    return hit->sample < 0 ? json_null()
                           : json_pack("{s:o, s:[i, i, i, i]}", "activation", psal_json_float(hit->activation), "box",
                                       hit->left, hit->top, hit->width, hit->height);
}

static json_t *own_json(const psal_report *r, const psal_report_map *map) {
    json_t *list = json_array();
    for (int64_t i = 0; i < r->crops.count && map->own; i++) {
        const psal_look_hit *own = map->own + i * PSAL_LOOK_ENDS;
        json_array_append_new(list, json_pack("{s:I, s:o, s:o}", "entry", (json_int_t)r->crops.filters[i], "largest",
                                              place_json(&own[PSAL_LOOK_LARGEST]), "smallest",
                                              place_json(&own[PSAL_LOOK_SMALLEST])));
    }
    return list;
}

static psal_status add_results(const psal_report *r, const psal_report_map *map, const psal_explanation *e,
                               const psal_report_command *command, json_t *list, psal_error *err) {
    char *text = psal_report_command_text(command);
    if (!text) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a command");
    json_array_append_new(list, json_pack("{s:i, s:I, s:o, s:o, s:o, s:o}", "kind", map->kind + 1, "sample",
                                          (json_int_t)map->sample, "agreement", psal_json_double(e->agreement),
                                          "no_map", *e->no_map ? psal_json_string(e->no_map) : json_null(), "own",
                                          own_json(r, map), "command", psal_json_string(text)));
    free(text);
    return PSAL_OK;
}

/* ---- the work ---- */

/* The most central mistake whose picture can be read, and its picture; -1: there is none. */
static psal_status find_central(psal_report *r, int kind, int64_t *sample, psal_image *image, psal_error *err) {
    const psal_kinds *kinds = r->found.kinds;
    psal_status status = PSAL_OK;
    *sample = -1;
    for (int64_t m = kinds->first[kind]; m < kinds->first[kind + 1] && *sample < 0 && status == PSAL_OK; m++) {
        const int64_t at = r->compared.candidates[kinds->members[m]];
        bool readable = false;
        status = psal_sample_pictures_load(&r->pictures, at, r->compared.store.records[at].path, 0, image, &readable,
                                           err);
        if (readable) *sample = at;
    }
    return status;
}

static psal_status keep_pictures(const psal_report *r, const psal_explainer *x, psal_explanation *e,
                                 psal_report_map *map, psal_error *err) {
    psal_status status = PSAL_OK;
    if (e->maps > 0) status = psal_explanation_overlay(x, e, e->gradient, &map->map, err);
    if (status == PSAL_OK && e->random_maps > 0)
        status = psal_explanation_overlay(x, e, e->random_gradient, &map->random, err);
    if (status == PSAL_OK && r->crops.count > 0) {
        map->own = malloc((size_t)r->crops.count * PSAL_LOOK_ENDS * sizeof *map->own);
        status = map->own ? psal_look_image(r->crops.look, e->input, map->own, err)
                          : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the crops of a mistake");
    }
    map->seen = e->pixels;
    e->pixels = (psal_image)PSAL_IMAGE_INIT;
    return status;
}

static psal_status make_map(psal_report *r, psal_explainer *x, int kind, json_t *list, psal_error *err) {
    psal_report_map *map = &r->maps[r->map_count];
    psal_report_command command = {0};
    psal_explanation e = {0};
    psal_image image = PSAL_IMAGE_INIT;
    *map = (psal_report_map){.kind = kind, .seen = PSAL_IMAGE_INIT, .map = PSAL_IMAGE_INIT, .random = PSAL_IMAGE_INIT};
    psal_status status = find_central(r, kind, &map->sample, &image, err);
    if (status != PSAL_OK || map->sample < 0) return status;
    r->map_count++;
    const psal_profile_record *record = &r->compared.store.records[map->sample];
    status = make_command(r, kind, map->sample, &command, err);
    if (status == PSAL_OK && !x->saliency) {
        psal_explain_options options;
        status = psal_explain_options_read(command.options, &options, err);
        if (status == PSAL_OK) status = psal_explainer_open(x, &r->compared.session, command.options, &options, err);
    }
    if (status == PSAL_OK) status = psal_explain(x, record->path, &image, record->label, &e, err);
    if (status == PSAL_OK) status = keep_pictures(r, x, &e, map, err);
    if (status == PSAL_OK) status = add_results(r, map, &e, &command, list, err);
    psal_explanation_free(&e);
    psal_image_free(&image);
    psal_report_command_free(&command);
    return status;
}

psal_status psal_report_make_maps(psal_report *r, psal_error *err) {
    const int64_t wanted = psal_options_int(r->options, "maps");
    const int kinds = r->found.kinds ? r->found.kinds->kinds : 0;
    if (wanted == 0 || kinds == 0 || !r->found.report.model || r->found.report.units != PSAL_UNITS_FILTERS)
        return PSAL_OK;
    psal_explainer explainer = {0};
    json_t *list = json_array();
    psal_report_stage(r, "heat maps of the kinds' most central mistakes");
    r->maps = calloc((size_t)kinds, sizeof *r->maps);
    psal_status status = r->maps ? PSAL_OK : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %d heat maps", kinds);
    for (int k = 0; k < kinds && k < wanted && status == PSAL_OK; k++) {
        status = make_map(r, &explainer, k, list, err);
        if (status == PSAL_OK) status = psal_report_pause(err);
    }
    psal_explainer_close(&explainer);
    psal_session_print_notes(&r->compared.session, r->program->name); /* to the report's */
    psal_report_print_notes(r);
    json_object_set_new(r->root, "maps", list);
    return status;
}

const psal_report_map *psal_report_map_of(const psal_report *r, int kind) {
    for (int i = 0; i < r->map_count; i++)
        if (r->maps[i].kind == kind) return &r->maps[i];
    return NULL;
}

void psal_report_free_maps(psal_report *r) {
    for (int i = 0; i < r->map_count; i++) {
        psal_image_free(&r->maps[i].seen);
        psal_image_free(&r->maps[i].map);
        psal_image_free(&r->maps[i].random);
        free(r->maps[i].own);
    }
    free(r->maps);
    r->maps = NULL;
    r->map_count = 0;
}
