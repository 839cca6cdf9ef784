/* WebP by libwebp: lossy and lossless stills. Alpha is dropped, not composed, as a PNG's is. */
#include <string.h>

#include <webp/decode.h>

#include "io/image_codec.h"

enum { RIFF_HEADER = 8 }; /* "RIFF" and the length of what follows */

/* A file has what its first bytes promise; more may follow. */
static psal_status check_length(const uint8_t *data, size_t size, psal_error *err) {
    uint32_t promised = data[4] | (uint32_t)data[5] << 8 | (uint32_t)data[6] << 16 | (uint32_t)data[7] << 24;
    if (promised <= size - RIFF_HEADER) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_FORMAT, "the WebP is truncated: it has %zu of %llu bytes", size,
                     (unsigned long long)promised + RIFF_HEADER);
}

static psal_status fail(VP8StatusCode code, psal_error *err) {
    if (code == VP8_STATUS_OUT_OF_MEMORY) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the WebP decoder");
    if (code == VP8_STATUS_UNSUPPORTED_FEATURE)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "the WebP has a feature that libwebp does not know");
    return psal_fail(err, PSAL_ERR_FORMAT, "the WebP is damaged");
}

static psal_status read_header(const uint8_t *data, size_t size, int64_t max_pixels, WebPBitstreamFeatures *features,
                               psal_error *err) {
    psal_status status = check_length(data, size, err);
    if (status) return status;
    VP8StatusCode code = WebPGetFeatures(data, size, features);
    if (code != VP8_STATUS_OK) return fail(code, err);
    if (features->has_animation)
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "is an animated WebP, expected a single image; save one of its frames");
    return psal_image_check_size(features->width, features->height, max_pixels, err);
}

psal_status psal_image_decode_webp(const uint8_t *data, size_t size, int64_t max_pixels, psal_image *image,
                                   psal_error *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return psal_fail(err, PSAL_ERR_UNSUPPORTED, "this libwebp is not compatible with the one psal was built with");
    psal_status status = read_header(data, size, max_pixels, &config.input, err);
    if (status == PSAL_OK) status = psal_image_alloc(config.input.width, config.input.height, image, err);
    if (status) return status;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->rgb;
    config.output.u.RGBA.stride = 3 * image->width;
    config.output.u.RGBA.size = (size_t)image->width * (size_t)image->height * 3;
    VP8StatusCode code = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output); /* what it allocated beside the pixels, which stay */
    if (code == VP8_STATUS_OK) return PSAL_OK;
    psal_image_free(image);
    return fail(code, err);
}
