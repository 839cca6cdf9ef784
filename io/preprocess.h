/* preprocess.h - from an image to the numbers a network was trained on.
 *
 * The steps are torchvision 0.14's on Pillow images, equal in every bit:
 *
 *   Resize(n)       the shorter side becomes n, the longer one floor(n * longer / shorter); bilinear
 *   Resize((h, w))  exactly so large: an image of another shape is stretched
 *   CenterCrop(hw)  offset round((size - crop) / 2), halves to the even number; an image smaller than the crop is
 *                   padded with black, the odd pixel at the right and bottom
 *   ToTensor        pixel / scale, in float32
 *   Normalize       (value - mean) / std, in float32, channel by channel
 *
 * The network gets planes [channels][height][width] in the order asked for. Checkpoints carry their
 * preprocessing as a line of text in their metadata; see psal_preprocess_parse. */
#ifndef PSAL_IO_PREPROCESS_H
#define PSAL_IO_PREPROCESS_H

#include <stddef.h>

#include "engine/error.h"
#include "io/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest resize and crop, in pixels. */
#define PSAL_PREPROCESS_MAX_SIZE 16384

typedef enum psal_channel_order {
    PSAL_CHANNELS_RGB,
    PSAL_CHANNELS_BGR,
    PSAL_CHANNELS_GREY /* one plane: Pillow's convert("L"), before the resize */
} psal_channel_order;

typedef struct psal_preprocess {
    psal_channel_order order;
    int resize_shorter;                /* pixels; 0: not by the shorter side */
    int crop_height, crop_width;       /* pixels; both 0: no crop */
    float scale;                       /* pixels (0..255) are divided by this; 1 leaves them */
    float mean[3], std[3];             /* in the order of the planes; only [0] for grey */
    int stretch_height, stretch_width; /* pixels: resized to exactly these; both 0, as with resize_shorter: not */
} psal_preprocess;

/* The named preprocessings:
 *
 *   torchvision  RGB, resize 256, crop 224, / 255, ImageNet's mean 0.485 0.456 0.406 and deviation
 *                0.229 0.224 0.225: torchvision's ImageNet models
 *   caffe        BGR, resize 256, crop 224, minus 103.939 116.779 123.68: Caffe's and Keras' ResNet
 *                and VGG (the sizes as the statistics of this project use them)
 *   inception    RGB, resize 342, crop 299, / 255, mean and deviation 0.5: Inception-v3 as Google
 *                trained it. (The published saliency statistics of Inception-v3 used torchvision at
 *                224 x 224.) */
psal_status psal_preprocess_preset(const char *name, psal_preprocess *options, psal_error *err);

/* Read a description: torchvision's transforms (below), or a preset's name or a channel order (rgb, bgr, grey), then,
 * in any order, ";key=value":
 *
 *   resize=256      or HEIGHTxWIDTH  crop=224   or HEIGHTxWIDTH or none (0)
 *                   or none (0)
 *   scale=255                        mean=0.5   or one number per channel: mean=0.485,0.456,0.406
 *   std=...         the same
 *
 * What is not given is the preset's, or after a channel order: none, none, 1, 0, 1. After resize=HEIGHTxWIDTH, which is
 * Resize((height, width)), the crop is all of that if not given or none, whatever the preset's is: it is set to the
 * same numbers. Examples: "torchvision", "torchvision;resize=none;crop=97x131", "torchvision;resize=224x224",
 * "grey;crop=28;scale=255;mean=0.286;std=0.353". Fails on anything else, naming it, and where mean and deviation are of
 * pixels from 0 to 1 (none above 1) and nobody said a scale. */
psal_status psal_preprocess_parse(const char *text, psal_preprocess *options, psal_error *err);
#define PSAL_PREPROCESS_EXAMPLE "rgb;resize=64x64;scale=255;mean=0.5,0.4,0.3;std=0.2,0.2,0.3"

/* The same of a training script's transforms, which psal_preprocess_parse takes, too (whatever has a parenthesis):
 * Grayscale(), Resize(256) or Resize((64, 64)), CenterCrop(224), ToTensor(), Normalize(mean, std), in this order, with
 * or without "transforms.", in Compose([...]) or not. ToTensor() is needed. Anything else, and any other argument, is
 * an error: it would not be the same. */
psal_status psal_preprocess_parse_code(const char *text, psal_preprocess *options, psal_error *err);

/* Write a description that psal_preprocess_parse reads back exactly: a preset's name where one
 * fits, else in full. 256 bytes always suffice. Returns `text`. */
char *psal_preprocess_format(const psal_preprocess *options, char *text, size_t size);

/* The same in the words of a training script with torchvision: "Resize(256), CenterCrop(224), ToTensor(),
 * Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))". 256 bytes always suffice. Returns `text`. */
char *psal_preprocess_words(const psal_preprocess *options, char *text, size_t size);

/* Fails when a number is out of range: sizes negative or too large, two ways to resize, scale or std not positive. */
psal_status psal_preprocess_check(const psal_preprocess *options, psal_error *err);

/* Planes of the tensor: 3, or 1 for grey. */
int psal_preprocess_channels(const psal_preprocess *options);

/* Height and width of the result for an image of the given size; the crop's when there is one. */
psal_status psal_preprocess_size(const psal_preprocess *options, int image_width, int image_height, int *height,
                                 int *width, psal_error *err);

/* Resize and crop: the 8-bit RGB pixels (grey: three equal ones) that the network sees, for
 * pictures. The caller frees *pixels with psal_image_free. */
psal_status psal_preprocess_pixels(const psal_preprocess *options, const psal_image *image, psal_image *pixels,
                                   psal_error *err);

/* The rest: pixels to out[channels][pixels->height][pixels->width]. */
psal_status psal_preprocess_tensor(const psal_preprocess *options, const psal_image *pixels, float *out,
                                   psal_error *err);

/* From numbers[channels][height][width] back to pixels, for pictures: each number as psal_preprocess_tensor made it of
 * one, others rounded to the nearest pixel and clipped (NaN: black). The caller frees *pixels with psal_image_free. */
psal_status psal_preprocess_undo(const psal_preprocess *options, const float *numbers, int height, int width,
                                 psal_image *pixels, psal_error *err);

/* Both: out[channels][height][width] with the height and width of psal_preprocess_size. */
psal_status psal_preprocess_image(const psal_preprocess *options, const psal_image *image, float *out, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
