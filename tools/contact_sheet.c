#include "tools/contact_sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/figure.h"
#include "tools/sample_pictures.h"
#include "tools/figure_style.h"

#define THUMBNAIL 256 /* the longer side, in pixels: what the figure shows */

/* What stands for a picture that cannot be read. */
static psal_status make_grey(psal_image *image, psal_error *err) {
    psal_status status = psal_image_alloc(THUMBNAIL, THUMBNAIL, image, err);
    if (status == PSAL_OK) memset(image->rgb, 200, (size_t)3 * THUMBNAIL * THUMBNAIL);
    return status;
}

struct psal_contact_sheet {
    psal_compared_store *store;
    psal_sample_pictures pictures;
    psal_sheet_tile tiles[PSAL_SHEET_TILES];
    psal_image images[PSAL_SHEET_TILES];
    char headings[PSAL_SHEET_TILES][48];
    size_t count;
};

psal_contact_sheet *psal_contact_sheet_new(psal_compared_store *store, psal_error *err) {
    psal_contact_sheet *sheet = calloc(1, sizeof *sheet);
    if (!sheet) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a contact sheet");
        return NULL;
    }
    sheet->store = store;
    if (psal_sample_pictures_open(&sheet->pictures, store, err) != PSAL_OK) {
        if (!psal_options_given(store->options, "data")) psal_fail_prefix(err, "--sheet without --data");
        psal_contact_sheet_free(sheet);
        return NULL;
    }
    return sheet;
}

void psal_contact_sheet_free(psal_contact_sheet *sheet) {
    if (!sheet) return;
    for (size_t i = 0; i < sheet->count; i++) psal_image_free(&sheet->images[i]);
    psal_sample_pictures_close(&sheet->pictures);
    free(sheet);
}

psal_status psal_contact_sheet_add(psal_contact_sheet *sheet, int64_t sample, const psal_profile_record *record,
                                   const char *heading, bool framed, double similarity, psal_error *err) {
    psal_compared_store *store = sheet->store;
    if (sheet->count == PSAL_SHEET_TILES) return PSAL_OK;
    psal_image *image = &sheet->images[sheet->count];
    bool readable;
    psal_status status = psal_sample_pictures_load(&sheet->pictures, sample, record->path, THUMBNAIL, image, &readable,
                                                   err);
    if (status != PSAL_OK && !store->skip_bad && !psal_options_given(store->options, "data"))
        psal_fail_prefix(err, "--sheet without --data");
    if (status == PSAL_OK && !readable) status = make_grey(image, err);
    if (status != PSAL_OK) return status;
    snprintf(sheet->headings[sheet->count], sizeof sheet->headings[0], "%s", heading);
    sheet->tiles[sheet->count] = (psal_sheet_tile){
        .rgb = image->rgb,
        .height = image->height,
        .width = image->width,
        .heading = sheet->headings[sheet->count],
        .similarity = similarity,
        .framed = framed,
        .true_name = record->label < 0 ? NULL : psal_labels_name(store->labels, record->label),
        .predicted_name = psal_labels_name(store->labels, record->predicted),
        .correct = record->label == record->predicted};
    sheet->count++;
    return PSAL_OK;
}

void psal_contact_sheet_skip(psal_contact_sheet *sheet, size_t count) {
    while (count-- > 0 && sheet->count < PSAL_SHEET_TILES) sheet->tiles[sheet->count++] = (psal_sheet_tile){0};
}

psal_status psal_contact_sheet_write(const psal_contact_sheet *sheet, const char *title, size_t columns,
                                     const char *path, psal_error *err) {
    const psal_compared_store *store = sheet->store;
    char subtitle[1024], line[512] = "";
    if (store->known) psal_computation_line(&store->computation, line);
    snprintf(subtitle, sizeof subtitle, "%s similarity of %" PRId64 " entries, among %" PRId64 " samples%s%s",
             psal_similarity_name(store->search.similarity), store->entries, store->search.candidate_count,
             *line ? "; " : "", line);
    const psal_sheet_figure figure = {.title = title,
                                      .subtitle = subtitle,
                                      .style = psal_figure_style_of(store->options),
                                      .record = store->store.settings,
                                      .tiles = sheet->tiles,
                                      .tile_count = sheet->count,
                                      .columns = columns};
    return psal_sheet_figure_write(&figure, path, err);
}
