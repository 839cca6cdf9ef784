/* dataset_helpers.h - what the tests of io/dataset*.c share. */
#ifndef PSAL_TESTS_IO_DATASET_HELPERS_H
#define PSAL_TESTS_IO_DATASET_HELPERS_H

#include <unistd.h>

#include "io/dataset.h"
#include "scratch.h"

static psal_error err;
static psal_notes notes; /* of the last open_data */

static inline psal_dataset *open_data(const char *spec, const psal_labels *labels) {
    err = (psal_error)PSAL_ERROR_INIT;
    psal_notes_free(&notes);
    return psal_dataset_open(spec, labels, false, &notes, &err);
}

/* A 2x1 image of one colour as a PNG; the folder of `name` is made, too. */
static inline void write_image(const char *name, uint8_t red) {
    char folder[300];
    snprintf(folder, sizeof folder, "%s", name);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = 0;
        make_folder(folder);
    }
    uint8_t pixels[6] = {red, 1, 2, red, 1, 2};
    psal_image image = {2, 1, pixels};
    ck_assert_msg(!psal_image_write_png(in_scratch(name), &image, NULL, &err), "%s", err.message);
}

static inline void touch(const char *name) {
    fclose(fopen(in_scratch(name), "w"));
}

/* The data set must be "name:label name:label ..." in this order. */
static inline void expect_samples(psal_dataset *data, const char *expected) {
    ck_assert_msg(data != NULL, "%s", err.message);
    static char got[8192];
    got[0] = 0;
    for (size_t i = 0; i < psal_dataset_count(data); i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s:%d", i ? " " : "", psal_dataset_name(data, i),
                 psal_dataset_label(data, i));
    ck_assert_str_eq(got, expected);
    psal_dataset_free(data);
}

static inline void expect_red(const psal_dataset *data, size_t index, uint8_t red) {
    psal_image image;
    ck_assert_msg(!psal_dataset_load(data, index, &image, &err), "%s", err.message);
    ck_assert_int_eq(image.rgb[0], red);
    psal_image_free(&image);
}

#endif
