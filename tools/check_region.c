#include "tools/check_region.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/image.h"

psal_status psal_check_region_option(const psal_options *options, const char **option, psal_error *err) {
    static const char *const regions[] = {"mask", "box", "percent"};
    *option = NULL;
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        if (!psal_options_given(options, regions[i])) continue;
        if (*option) return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --%s and --%s", *option, regions[i]);
        *option = regions[i];
    }
    if (*option && strcmp(*option, "percent") == 0) *option = NULL;
    return PSAL_OK;
}

/* What is not black in the file. */
static psal_status read_picture(const psal_session *s, const char *path, bool *mask, psal_error *err) {
    psal_image image = PSAL_IMAGE_INIT;
    psal_status status = psal_image_load(path, 0, &image, err);
    if (status == PSAL_OK && (image.width != s->width || image.height != s->height))
        status = psal_fail(err, PSAL_ERR_ARGUMENT,
                           "%s: the mask has %d x %d pixels, but the network's image, which it is to cover, %d x %d "
                           "(width x height)",
                           path, image.width, image.height, s->width, s->height);
    for (int64_t i = 0; i < (int64_t)s->height * s->width && status == PSAL_OK; i++)
        mask[i] = image.rgb[3 * i] || image.rgb[3 * i + 1] || image.rgb[3 * i + 2];
    psal_image_free(&image);
    return status;
}

/* "X,Y,W,H". */
static bool parse_box(const char *text, int64_t box[4]) {
    char copy[100], *next = copy;
    if (strlen(text) >= sizeof copy) return false;
    strcpy(copy, text);
    for (int i = 0; i < 4; i++) {
        char *number = next, *comma = strchr(next, ',');
        if (!comma != (i == 3)) return false;
        if (comma) {
            *comma = '\0';
            next = comma + 1;
        }
        if (!psal_parse_int64(number, &box[i])) return false;
    }
    return true;
}

static psal_status add_box(const psal_session *s, const char *text, bool *mask, psal_error *err) {
    int64_t box[4];
    if (!parse_box(text, box))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "'%.100s' is no box: X,Y,W,H are four whole numbers", text);
    const int64_t left = box[0], top = box[1], width = box[2], height = box[3];
    if (left < 0 || top < 0 || width < 1 || height < 1 || width > s->width || height > s->height ||
        left > s->width - width || top > s->height - height)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "'%.100s': X,Y is the upper left corner, from 0,0, and W,H at least 1,1: the box must lie in "
                         "the network's image, which is %d x %d pixels (width x height)",
                         text, s->width, s->height);
    for (int64_t y = top; y < top + height; y++)
        for (int64_t x = left; x < left + width; x++) mask[y * s->width + x] = true;
    return PSAL_OK;
}

psal_status psal_check_region_read(const psal_check *check, const char *option, bool **mask, int64_t *hidden,
                                   psal_error *err) {
    const psal_session *s = &check->session;
    const int64_t pixels = (int64_t)s->height * s->width;
    const bool boxes = strcmp(option, "box") == 0;
    psal_status status = PSAL_OK;
    *hidden = 0;
    if (!(*mask = calloc((size_t)pixels, sizeof **mask)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a mask of %" PRId64 " pixels", pixels);
    const char *path = boxes ? NULL : psal_options_string(check->options, option);
    if (!boxes) status = read_picture(s, path, *mask, err);
    for (size_t i = 0; boxes && i < psal_options_count(check->options, option) && status == PSAL_OK; i++)
        status = add_box(s, psal_options_string_at(check->options, option, i), *mask, err);
    for (int64_t i = 0; i < pixels && status == PSAL_OK; i++) *hidden += (*mask)[i];
    if (status == PSAL_OK && boxes && *hidden == pixels)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "the boxes hide all of the image");
    else if (status == PSAL_OK && (*hidden == 0 || *hidden == pixels))
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "%s: %s pixel of the mask is black: there is %s to hide", path,
                           *hidden ? "no" : "every", *hidden ? "everything" : "nothing");
    return status == PSAL_OK ? PSAL_OK : psal_fail_prefix(err, "--%s", option);
}

psal_status psal_check_fill_image(const psal_check *check, float **image, psal_error *err) {
    const char *path = psal_options_string(check->options, "fill-image");
    psal_image photo = PSAL_IMAGE_INIT;
    *image = NULL;
    if (!path) return PSAL_OK;
    if (psal_options_given(check->options, "fill"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --fill and --fill-image");
    const size_t size = psal_session_image_size(&check->session);
    if (!(*image = malloc(size * sizeof **image)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an image of %zu numbers", size);
    psal_status status = psal_image_load(path, 0, &photo, err);
    if (status == PSAL_OK && (status = psal_session_prepare(&check->session, &photo, NULL, *image, err)) != PSAL_OK)
        psal_fail_prefix(err, "%s", path);
    psal_image_free(&photo);
    return status == PSAL_OK ? PSAL_OK : psal_fail_prefix(err, "--fill-image");
}
