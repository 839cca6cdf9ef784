#include "tools/contact_sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/dataset.h"
#include "io/figure.h"
#include "io/resize.h"

#define THUMBNAIL 256 /* the longer side, in pixels: what the figure shows */

static psal_status shrink(psal_image *image, psal_error *err) {
    int longer = image->width > image->height ? image->width : image->height;
    if (longer <= THUMBNAIL) return PSAL_OK;
    psal_image small = PSAL_IMAGE_INIT;
    int width = (int)((int64_t)image->width * THUMBNAIL / longer),
        height = (int)((int64_t)image->height * THUMBNAIL / longer);
    psal_status status = psal_resize(image, width > 0 ? width : 1, height > 0 ? height : 1, &small, err);
    if (status != PSAL_OK) return status;
    psal_image_free(image);
    *image = small;
    return PSAL_OK;
}

/* The sample that the store calls `path`: usually number `sample` of the data set it was made from. */
static psal_status find_in_dataset(const psal_dataset *dataset, int64_t sample, const char *path, size_t *index,
                                   psal_error *err) {
    size_t count = psal_dataset_count(dataset);
    for (size_t i = 0; i <= count; i++) {
        size_t at = i == 0 ? (size_t)sample : i - 1;
        const char *file = at < count ? psal_dataset_path(dataset, at) : NULL;
        if (at < count && (strcmp(psal_dataset_name(dataset, at), path) == 0 || (file && strcmp(file, path) == 0))) {
            *index = at;
            return PSAL_OK;
        }
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "no sample of the data set is called %s, as the store's table says", path);
}

static psal_status load_thumbnail(const psal_dataset *dataset, int64_t sample, const char *path, psal_image *image,
                                  psal_error *err) {
    size_t index = 0;
    psal_status status;
    if (dataset && sample >= 0) {
        status = find_in_dataset(dataset, sample, path, &index, err);
        if (status == PSAL_OK) status = psal_dataset_load(dataset, index, image, err);
    } else {
        status = psal_image_load(path, 0, image, err);
    }
    return status == PSAL_OK ? shrink(image, err) : status;
}

/* What stands for a picture that cannot be read. */
static psal_status make_grey(psal_image *image, psal_error *err) {
    psal_status status = psal_image_alloc(THUMBNAIL, THUMBNAIL, image, err);
    if (status == PSAL_OK) memset(image->rgb, 200, (size_t)3 * THUMBNAIL * THUMBNAIL);
    return status;
}

/* Remember a picture that cannot be read; a sample may be the neighbour of many. */
static psal_status skip_picture(psal_skipped *skipped, const char *name, const psal_error *why, psal_error *err) {
    for (size_t i = 0; i < skipped->count; i++)
        if (strcmp(skipped->at[i].name, name) == 0) return PSAL_OK;
    return psal_skipped_add(skipped, name, why, err);
}

struct psal_contact_sheet {
    psal_compared_store *store;
    psal_dataset *dataset; /* NULL: the paths in the store's table are opened */
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
    const char *spec = psal_compared_store_pictures(store);
    if (spec && !(sheet->dataset = psal_open_list(spec, store->labels, store->skip_bad, NULL, err))) {
        if (!psal_options_given(store->options, "data")) psal_fail_prefix(err, "--sheet without --data");
        psal_contact_sheet_free(sheet);
        return NULL;
    }
    return sheet;
}

void psal_contact_sheet_free(psal_contact_sheet *sheet) {
    if (!sheet) return;
    for (size_t i = 0; i < sheet->count; i++) psal_image_free(&sheet->images[i]);
    psal_dataset_free(sheet->dataset);
    free(sheet);
}

psal_status psal_contact_sheet_add(psal_contact_sheet *sheet, int64_t sample, const psal_profile_record *record,
                                   const char *heading, bool framed, double similarity, psal_error *err) {
    psal_compared_store *store = sheet->store;
    if (sheet->count == PSAL_SHEET_TILES) return PSAL_OK;
    psal_image *image = &sheet->images[sheet->count];
    psal_error bad = PSAL_ERROR_INIT;
    psal_status status = load_thumbnail(sheet->dataset, sample, record->path, image, &bad);
    if (status != PSAL_OK) {
        psal_skipped_error(&bad, record->path, !store->skip_bad);
        if (err) *err = bad;
        if (!store->skip_bad && !psal_options_given(store->options, "data"))
            psal_fail_prefix(err, "--sheet without --data");
        if (!store->skip_bad || !psal_skippable(&bad)) return status;
        status = skip_picture(&store->skipped, record->path, &bad, err);
        if (status == PSAL_OK) status = make_grey(image, err);
        if (status != PSAL_OK) return status;
    }
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
                                      .record = store->store.settings,
                                      .tiles = sheet->tiles,
                                      .tile_count = sheet->count,
                                      .columns = columns};
    return psal_sheet_figure_write(&figure, path, err);
}
