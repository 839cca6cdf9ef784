#include "io/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

psal_status psal_image_check_size(int64_t width, int64_t height, int64_t max_pixels, psal_error *err) {
    if (width > INT32_MAX || height > INT32_MAX || width * height > max_pixels)
        return psal_fail(err, PSAL_ERR_MEMORY,
                         "the image has %" PRId64 "x%" PRId64 " pixels, the limit is %" PRId64 " pixels", width, height,
                         max_pixels);
    return PSAL_OK;
}

psal_status psal_image_alloc(int width, int height, psal_image *image, psal_error *err) {
    *image = (psal_image)PSAL_IMAGE_INIT;
    if (width < 1 || height < 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "an image cannot have %dx%d pixels", width, height);
    psal_status status = psal_image_check_size(width, height, PSAL_IMAGE_MAX_PIXELS, err);
    if (status) return status;
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    if (!rgb) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for an image of %dx%d pixels", width, height);
    *image = (psal_image){width, height, rgb};
    return PSAL_OK;
}

psal_status psal_image_crop(const psal_image *image, int top, int left, int height, int width, psal_image *crop,
                            psal_error *err) {
    *crop = (psal_image)PSAL_IMAGE_INIT;
    if (top < 0 || left < 0 || height < 1 || width < 1 || height > image->height - top || width > image->width - left)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%dx%d pixels at column %d, row %d of an image of %dx%d", width,
                         height, left, top, image->width, image->height);
    psal_status status = psal_image_alloc(width, height, crop, err);
    for (int row = 0; row < height && status == PSAL_OK; row++)
        memcpy(crop->rgb + (size_t)row * (size_t)width * 3,
               image->rgb + ((size_t)(top + row) * (size_t)image->width + (size_t)left) * 3, (size_t)width * 3);
    return status;
}

void psal_image_free(psal_image *image) {
    if (!image) return;
    free(image->rgb);
    *image = (psal_image)PSAL_IMAGE_INIT;
}
