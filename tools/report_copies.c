#include <stdlib.h>

#include "io/json_output.h"
#include "tools/picture_copies.h"
#include "tools/report.h"
#include "tools/report_read.h"

/* The mistakes that are compared: those shown, by sample and kind. */
typedef struct pictures {
    int64_t count;
    int64_t *sample, *first;
    double *kind; /* NAN: single */
    uint64_t *hashes;
    float *looks;
} pictures;

static psal_status read_pictures(psal_report *r, const json_t *shown, pictures *p, psal_error *err) {
    psal_status status = PSAL_OK;
    for (int64_t i = 0; i < p->count && status == PSAL_OK; i++) {
        const json_t *one = json_array_get(shown, (size_t)i);
        const int64_t sample = (int64_t)psal_read_number(one, "sample");
        const psal_profile_record *record = &r->compared.store.records[sample];
        psal_image image = PSAL_IMAGE_INIT;
        bool readable = false;
        p->sample[i] = sample;
        p->kind[i] = psal_read_number(one, "kind");
        p->hashes[i] = record->image_hash;
        status = psal_sample_pictures_load(&r->pictures, sample, record->path, 0, &image, &readable, err);
        if (readable) status = psal_picture_look(&image, p->looks + i * PSAL_LOOK_LENGTH, err);
        psal_image_free(&image);
        if (status == PSAL_OK) status = psal_report_pause(err);
    }
    return status;
}

/* How many pictures of a group have the bytes of another one of it. */
static int64_t count_exact(const pictures *p, int64_t group) {
    int64_t exact = 0;
    for (int64_t i = 0; i < p->count; i++) {
        bool found = false;
        for (int64_t j = 0; j < p->count && p->first[i] == group && p->hashes[i] != 0; j++)
            found = found || (j != i && p->first[j] == group && p->hashes[j] == p->hashes[i]);
        exact += found;
    }
    return exact;
}

/* A kind of which most are one picture is a kind because of that. */
static void note_kind(psal_report *r, const pictures *p, int64_t group) {
    const psal_kinds *kinds = r->found.kinds;
    for (int k = 0; k < kinds->kinds; k++) {
        const int64_t size = kinds->first[k + 1] - kinds->first[k];
        int64_t inside = 0;
        for (int64_t i = 0; i < p->count; i++) inside += p->first[i] == group && p->kind[i] == k + 1;
        if (inside > 1 && 2 * inside > size)
            psal_note_warning(&r->notes,
                              "kind %d: %lld of its %lld mistakes are one picture (number %lld), or nearly: they are "
                              "alike because of that",
                              k + 1, (long long)inside, (long long)size, (long long)p->sample[group]);
    }
}

static void add_results(psal_report *r, const pictures *p) {
    json_t *list = json_array();
    for (int64_t i = 0; i < p->count; i++) {
        json_t *samples = json_array();
        for (int64_t j = i; j < p->count && p->first[i] == i; j++)
            if (p->first[j] == i) json_array_append_new(samples, json_integer((json_int_t)p->sample[j]));
        if (json_array_size(samples) > 1) {
            json_array_append_new(list,
                                  json_pack("{s:O, s:I}", "samples", samples, "exact", (json_int_t)count_exact(p, i)));
            note_kind(r, p, i);
        }
        json_decref(samples);
    }
    json_object_set_new(r->root, "copies", list);
}

psal_status psal_report_find_copies(psal_report *r, psal_error *err) {
    const json_t *shown = json_object_get(r->root, "shown");
    const size_t n = json_array_size(shown);
    if (n == 0) return PSAL_OK;
    pictures p = {.count = (int64_t)n,
                  .sample = malloc(n * sizeof *p.sample),
                  .first = malloc(n * sizeof *p.first),
                  .kind = malloc(n * sizeof *p.kind),
                  .hashes = malloc(n * sizeof *p.hashes),
                  .looks = calloc(n * PSAL_LOOK_LENGTH, sizeof *p.looks)};
    psal_status status = p.sample && p.first && p.kind && p.hashes && p.looks
                             ? PSAL_OK
                             : psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu pictures", n);
    if (status == PSAL_OK) status = read_pictures(r, shown, &p, err);
    if (status == PSAL_OK) {
        psal_picture_copies(p.count, p.hashes, p.looks, p.first);
        add_results(r, &p);
        psal_report_print_notes(r);
    }
    free(p.sample);
    free(p.first);
    free(p.kind);
    free(p.hashes);
    free(p.looks);
    return status;
}
