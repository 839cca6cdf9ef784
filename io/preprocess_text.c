/* The names and the text form of preprocessings, as checkpoints carry them. */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/preprocess.h"

static const struct preset {
    const char *name;
    psal_preprocess options;
} presets[] = {
    /* torchvision's references/classification/presets.py; the statistics are ImageNet's. */
    {"torchvision", {PSAL_CHANNELS_RGB, 256, 224, 224, 255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, 0, 0}},
    /* The training set's mean in Caffe's channel order (Simonyan and Zisserman 2014). */
    {"caffe", {PSAL_CHANNELS_BGR, 256, 224, 224, 1, {103.939f, 116.779f, 123.68f}, {1, 1, 1}, 0, 0}},
    /* To -1..1; the sizes are torchvision's for its Inception_V3_Weights. */
    {"inception", {PSAL_CHANNELS_RGB, 342, 299, 299, 255, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}, 0, 0}},
};
#define PRESET_COUNT (sizeof presets / sizeof *presets)

static const char *const order_names[] = {
    [PSAL_CHANNELS_RGB] = "rgb", [PSAL_CHANNELS_BGR] = "bgr", [PSAL_CHANNELS_GREY] = "grey"};
#define ORDER_COUNT (sizeof order_names / sizeof *order_names)

psal_status psal_preprocess_preset(const char *name, psal_preprocess *options, psal_error *err) {
    for (size_t i = 0; i < PRESET_COUNT; i++) {
        if (strcmp(name, presets[i].name) != 0) continue;
        *options = presets[i].options;
        return PSAL_OK;
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT, "unknown preprocessing '%.60s', expected torchvision, caffe or inception",
                     name);
}

/* ---- parsing ---- */

/* A stretch of the text being parsed. */
struct span {
    const char *start;
    size_t length;
};

static bool equals(struct span span, const char *word) {
    return strlen(word) == span.length && memcmp(span.start, word, span.length) == 0;
}

/* Take what comes before the next `separator` (or all) off *rest; false when nothing is left. */
static bool next_field(struct span *rest, char separator, struct span *field) {
    if (!rest->start) return false;
    const char *end = memchr(rest->start, separator, rest->length);
    *field = (struct span){rest->start, end ? (size_t)(end - rest->start) : rest->length};
    *rest = end ? (struct span){end + 1, rest->length - field->length - 1} : (struct span){NULL, 0};
    return true;
}

static bool parse_int(struct span span, int *value) {
    if (span.length < 1 || span.length > 6) return false;
    *value = 0;
    for (size_t i = 0; i < span.length; i++) {
        if (span.start[i] < '0' || span.start[i] > '9') return false;
        *value = *value * 10 + (span.start[i] - '0');
    }
    return true;
}

static bool parse_float(struct span span, float *value) {
    char text[48];
    double number;
    if (span.length < 1 || span.length >= sizeof text) return false;
    memcpy(text, span.start, span.length);
    text[span.length] = '\0';
    if (!psal_parse_double(text, &number)) return false;
    *value = (float)number;
    return isfinite(*value);
}

/* HEIGHTxWIDTH */
static bool parse_size(struct span span, int *height, int *width) {
    struct span first, second, third;
    return next_field(&span, 'x', &first) && parse_int(first, height) && next_field(&span, 'x', &second) &&
           parse_int(second, width) && !next_field(&span, 'x', &third);
}

static bool parse_resize(struct span span, psal_preprocess *options) {
    options->resize_shorter = options->stretch_height = options->stretch_width = 0;
    if (span.length && memchr(span.start, 'x', span.length))
        return parse_size(span, &options->stretch_height, &options->stretch_width) && options->stretch_height;
    return equals(span, "none") || parse_int(span, &options->resize_shorter);
}

static bool parse_crop(struct span span, psal_preprocess *options) {
    options->crop_height = options->crop_width = 0;
    if (equals(span, "none")) return true;
    if (span.length && memchr(span.start, 'x', span.length))
        return parse_size(span, &options->crop_height, &options->crop_width);
    const bool number = parse_int(span, &options->crop_height); /* a square */
    options->crop_width = options->crop_height;
    return number;
}

/* One number for all channels, or one for each. */
static bool parse_channels(struct span span, int channels, float values[3]) {
    struct span field;
    int count = 0;
    while (next_field(&span, ',', &field)) {
        if (count == channels || !parse_float(field, &values[count])) return false;
        count++;
    }
    if (count == 1)
        for (int c = 1; c < channels; c++) values[c] = values[0];
    return count == 1 || count == channels;
}

enum { CROP = 1, SCALE, MEAN, STD };
static const char *const keys[] = {"resize", [CROP] = "crop", [SCALE] = "scale", [MEAN] = "mean", [STD] = "std"};
#define KEY_COUNT (sizeof keys / sizeof *keys)

static bool parse_value(size_t key, struct span value, psal_preprocess *options) {
    switch (key) {
    case 0:
        return parse_resize(value, options);
    case CROP:
        return parse_crop(value, options);
    case SCALE:
        return parse_float(value, &options->scale);
    case MEAN:
        return parse_channels(value, psal_preprocess_channels(options), options->mean);
    default:
        return parse_channels(value, psal_preprocess_channels(options), options->std);
    }
}

static psal_status parse_setting(struct span setting, unsigned *seen, psal_preprocess *options, psal_error *err) {
    int length = setting.length > 60 ? 60 : (int)setting.length;
    const char *equal = memchr(setting.start, '=', setting.length);
    size_t name_length = equal ? (size_t)(equal - setting.start) : setting.length;
    size_t key = 0;
    while (key < KEY_COUNT && !equals((struct span){setting.start, name_length}, keys[key])) key++;
    if (!equal || key == KEY_COUNT)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "preprocessing: '%.*s' is not understood, expected resize=, crop=, "
                         "scale=, mean= or std=",
                         length, setting.start);
    if (*seen & 1u << key) return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing: %s is given twice", keys[key]);
    *seen |= 1u << key;
    struct span value = {equal + 1, setting.length - name_length - 1};
    if (!parse_value(key, value, options))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing: '%.*s' is not understood (for %d channel%s)", length,
                         setting.start, psal_preprocess_channels(options),
                         psal_preprocess_channels(options) == 1 ? "" : "s");
    return PSAL_OK;
}

static psal_status parse_base(struct span base, psal_preprocess *options, psal_error *err) {
    *options = (psal_preprocess){.scale = 1, .std = {1, 1, 1}};
    for (size_t i = 0; i < ORDER_COUNT; i++) {
        options->order = (psal_channel_order)i;
        if (equals(base, order_names[i])) return PSAL_OK;
    }
    for (size_t i = 0; i < PRESET_COUNT; i++) {
        *options = presets[i].options;
        if (equals(base, presets[i].name)) return PSAL_OK;
    }
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "unknown preprocessing '%.*s', expected torchvision, caffe, inception, or rgb, "
                     "bgr, grey with settings, as \"" PSAL_PREPROCESS_EXAMPLE "\" (which is Resize((64, 64)), "
                     "ToTensor(), Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.3)))",
                     base.length > 60 ? 60 : (int)base.length, base.start);
}

/* Mean and deviation of pixels from 0 to 1, as training scripts with ToTensor() have them, where pixels are 0 to 255:
 * whoever wants that writes scale=1. */
static psal_status check_scale(const psal_preprocess *o, unsigned seen, psal_error *err) {
    bool changes = false;
    for (int c = 0; c < psal_preprocess_channels(o); c++) {
        if (fabsf(o->mean[c]) > 1 || o->std[c] > 1) return PSAL_OK;
        changes |= o->mean[c] != 0 || o->std[c] != 1;
    }
    if (!changes || o->scale != 1 || seen & 1u << SCALE) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "preprocessing: mean=%g and std=%g are of pixels from 0 to 1, but without scale=255 they are 0 to "
                     "255: add \";scale=255\", which is ToTensor()'s part (or \";scale=1\", if that is meant)",
                     (double)o->mean[0], (double)o->std[0]);
}

psal_status psal_preprocess_parse(const char *text, psal_preprocess *options, psal_error *err) {
    if (strchr(text, '(')) return psal_preprocess_parse_code(text, options, err);
    struct span rest = {text, strlen(text)}, field;
    next_field(&rest, ';', &field);
    psal_preprocess parsed;
    psal_status status = parse_base(field, &parsed, err);
    unsigned seen = 0;
    while (!status && next_field(&rest, ';', &field)) status = parse_setting(field, &seen, &parsed, err);
    /* The preset's crop belongs to the preset's resize; and no crop is one of all there is. */
    if (parsed.stretch_height && (!(seen & 1u << CROP) || !parsed.crop_height)) {
        parsed.crop_height = parsed.stretch_height;
        parsed.crop_width = parsed.stretch_width;
    }
    if (!status) status = psal_preprocess_check(&parsed, err);
    if (!status) status = check_scale(&parsed, seen, err);
    if (!status) *options = parsed;
    return status;
}

/* ---- formatting ---- */

static bool same(const psal_preprocess *a, const psal_preprocess *b) {
    if (a->order != b->order || a->resize_shorter != b->resize_shorter || a->stretch_height != b->stretch_height ||
        a->stretch_width != b->stretch_width || a->crop_height != b->crop_height || a->crop_width != b->crop_width ||
        a->scale != b->scale)
        return false;
    for (int c = 0; c < psal_preprocess_channels(a); c++)
        if (a->mean[c] != b->mean[c] || a->std[c] != b->std[c]) return false;
    return true;
}

/* Text that is put together without memory of its own, which might be missing; what does not fit is cut. */
struct room {
    char *text;
    size_t size, used; /* used < size */
};

static void append(struct room *room, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(struct room *room, const char *format, ...) {
    size_t left = room->size - room->used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(room->text + room->used, left, format, arguments);
    va_end(arguments);
    if (length > 0) room->used += (size_t)length < left ? (size_t)length : left - 1;
}

static void append_floats(struct room *room, const char *key, const float *values, int count) {
    char text[PSAL_NUMBER_SIZE];
    append(room, ";%s=", key);
    for (int c = 0; c < count; c++) append(room, "%s%s", c ? "," : "", psal_format_float(values[c], text));
}

static void append_all(struct room *room, const psal_preprocess *o) {
    append(room, "%s;resize=", order_names[o->order]);
    if (o->stretch_height)
        append(room, "%dx%d", o->stretch_height, o->stretch_width);
    else if (o->resize_shorter)
        append(room, "%d", o->resize_shorter);
    else
        append(room, "none");
    const bool all = o->stretch_height &&
                     (!o->crop_height || (o->crop_height == o->stretch_height && o->crop_width == o->stretch_width));
    if (!o->crop_height && !all)
        append(room, ";crop=none");
    else if (!all && o->crop_height == o->crop_width)
        append(room, ";crop=%d", o->crop_height);
    else if (!all)
        append(room, ";crop=%dx%d", o->crop_height, o->crop_width);
    append_floats(room, "scale", &o->scale, 1);
    append_floats(room, "mean", o->mean, psal_preprocess_channels(o));
    append_floats(room, "std", o->std, psal_preprocess_channels(o));
}

char *psal_preprocess_format(const psal_preprocess *options, char *text, size_t size) {
    if (size == 0) return text;
    text[0] = '\0';
    for (size_t i = 0; i < PRESET_COUNT; i++) {
        if (!same(options, &presets[i].options)) continue;
        snprintf(text, size, "%s", presets[i].name);
        return text;
    }
    append_all(&(struct room){text, size, 0}, options);
    return text;
}

/* ---- in a training script's words ---- */

/* "0.5", or "(0.485, 0.456, 0.406)" */
static void append_tuple(struct room *room, const float *values, int count) {
    char text[PSAL_NUMBER_SIZE];
    bool equal = true;
    for (int c = 1; c < count; c++) equal &= values[c] == values[0];
    if (equal) count = 1;
    if (count > 1) append(room, "(");
    for (int c = 0; c < count; c++) append(room, "%s%s", c ? ", " : "", psal_format_float(values[c], text));
    if (count > 1) append(room, ")");
}

char *psal_preprocess_words(const psal_preprocess *o, char *text, size_t size) {
    struct room room = {text, size, 0};
    char number[PSAL_NUMBER_SIZE];
    const int channels = psal_preprocess_channels(o);
    bool shifted = false;
    for (int c = 0; c < channels; c++) shifted |= o->mean[c] != 0 || o->std[c] != 1;
    if (size == 0) return text;
    text[0] = '\0';
    if (o->order == PSAL_CHANNELS_GREY) append(&room, "Grayscale(), ");
    if (o->stretch_height)
        append(&room, "Resize((%d, %d)), ", o->stretch_height, o->stretch_width);
    else if (o->resize_shorter)
        append(&room, "Resize(%d), ", o->resize_shorter);
    if (o->crop_height && (o->crop_height != o->stretch_height || o->crop_width != o->stretch_width)) {
        if (o->crop_height == o->crop_width)
            append(&room, "CenterCrop(%d), ", o->crop_height);
        else
            append(&room, "CenterCrop((%d, %d)), ", o->crop_height, o->crop_width);
    }
    if (o->scale == 255)
        append(&room, "ToTensor()");
    else if (o->scale == 1)
        append(&room, "numbers 0 to 255");
    else
        append(&room, "numbers 0 to 255 divided by %s", psal_format_float(o->scale, number));
    if (o->order == PSAL_CHANNELS_BGR) append(&room, ", channels blue, green, red");
    if (!shifted) return text;
    append(&room, ", Normalize(");
    append_tuple(&room, o->mean, channels);
    append(&room, ", ");
    append_tuple(&room, o->std, channels);
    append(&room, ")");
    return text;
}
