/* Preprocessings as training scripts with torchvision write them. Only what is the same in every bit is taken. */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/preprocess.h"

/* What comes first in the order of the steps, each at most once. */
static const char *const transforms[] = {"Grayscale", "Resize", "CenterCrop", "ToTensor", "Normalize"};
enum { GRAYSCALE, RESIZE, CENTER_CROP, TO_TENSOR, NORMALIZE, TRANSFORMS };

static bool take(const char **at, const char *word) {
    const char *start = *at + strspn(*at, " \t\r\n");
    if (strncmp(start, word, strlen(word)) != 0) return false;
    *at = start + strlen(word);
    return true;
}

/* "Resize", "T.Resize", "transforms.Resize": which of them, without the module; TRANSFORMS: none. */
static int take_name(const char **at) {
    const char *start = *at + strspn(*at, " \t\r\n"), *end = start;
    while (isalnum((unsigned char)*end) || *end == '_' || *end == '.') {
        end++;
        if (end[-1] == '.') start = end;
    }
    int which = 0;
    while (which < TRANSFORMS && (strlen(transforms[which]) != (size_t)(end - start) ||
                                  memcmp(start, transforms[which], (size_t)(end - start)) != 0))
        which++;
    if (which < TRANSFORMS) *at = end;
    return which;
}

static bool take_number(const char **at, double *value) {
    char text[48];
    const char *start = *at + strspn(*at, " \t\r\n");
    const size_t length = strspn(start, "0123456789.eE+-");
    if (length == 0 || length >= sizeof text) return false;
    memcpy(text, start, length);
    text[length] = '\0';
    *at = start + length;
    return psal_parse_double(text, value);
}

/* A number, or a tuple or list of `most` or fewer. How many; 0: not understood. */
static int take_numbers(const char **at, int most, double values[3], bool *tuple) {
    const char *close = take(at, "(") ? ")" : take(at, "[") ? "]" : NULL;
    *tuple = close != NULL;
    int count = 0;
    while (count < most && take_number(at, &values[count])) {
        count++;
        if (!close || !take(at, ",")) break;
    }
    return !close || take(at, close) ? count : 0;
}

static bool take_channels(const char **at, int channels, float values[3]) {
    double numbers[3];
    bool tuple;
    const int count = take_numbers(at, channels, numbers, &tuple);
    for (int c = 0; c < channels && count > 0; c++) values[c] = (float)numbers[count == 1 ? 0 : c];
    return count == 1 || count == channels;
}

static bool take_size(const char **at, int sizes[2], bool *tuple) {
    double numbers[3];
    take(at, "size=");
    const int count = take_numbers(at, 2, numbers, tuple);
    if (count != (*tuple ? 2 : 1)) return false;
    for (int i = 0; i < 2; i++) {
        const double number = numbers[count == 1 ? 0 : i];
        if (!(number >= 1 && number <= PSAL_PREPROCESS_MAX_SIZE) || number != (int)number) return false;
        sizes[i] = (int)number;
    }
    return true;
}

/* What stands between the parentheses. */
static bool take_arguments(const char **at, int which, psal_preprocess *o) {
    int sizes[2];
    bool tuple;
    switch (which) {
    case GRAYSCALE:
        o->order = PSAL_CHANNELS_GREY;
        if (!take(at, "num_output_channels=1")) take(at, "1");
        return true;
    case RESIZE:
        if (!take_size(at, sizes, &tuple)) return false;
        if (tuple) {
            o->stretch_height = sizes[0];
            o->stretch_width = sizes[1];
        } else {
            o->resize_shorter = sizes[0];
        }
        return true;
    case CENTER_CROP:
        if (!take_size(at, sizes, &tuple)) return false;
        o->crop_height = sizes[0];
        o->crop_width = sizes[1];
        return true;
    case TO_TENSOR:
        o->scale = 255;
        return true;
    default:
        take(at, "mean=");
        if (!take_channels(at, psal_preprocess_channels(o), o->mean) || !take(at, ",")) return false;
        take(at, "std=");
        return take_channels(at, psal_preprocess_channels(o), o->std);
    }
}

static psal_status fail(const char *at, psal_error *err) {
    at += strspn(at, " \t\r\n");
    return psal_fail(
        err, PSAL_ERR_ARGUMENT,
        "preprocessing: '%.40s' is not understood; of a training script's transforms these are, in this "
        "order: Grayscale(), Resize(256) or Resize((64, 64)), CenterCrop(224), ToTensor(), Normalize((0.5, "
        "0.4, 0.3), (0.2, 0.2, 0.3)); others are said so: \"" PSAL_PREPROCESS_EXAMPLE "\"",
        *at ? at : "the end");
}

psal_status psal_preprocess_parse_code(const char *text, psal_preprocess *options, psal_error *err) {
    psal_preprocess parsed = {.scale = 1, .std = {1, 1, 1}};
    const char *at = text;
    const bool composed = take(&at, "transforms.Compose([") || take(&at, "T.Compose([") || take(&at, "Compose([");
    for (int before = -1, which; at[strspn(at, " \t\r\n")] != '\0' && !(composed && take(&at, "]")); before = which) {
        const char *start = at;
        which = take_name(&at);
        if (which == TRANSFORMS || which <= before || (which == NORMALIZE && before != TO_TENSOR) || !take(&at, "("))
            return fail(start, err);
        if (!take_arguments(&at, which, &parsed) || !take(&at, ")")) return fail(start, err);
        const char *end = at;
        if (!take(&at, ",") && *(end += strspn(end, " \t\r\n")) && !(composed && *end == ']')) return fail(end, err);
    }
    if (composed && !take(&at, ")")) return fail(at, err);
    if (at[strspn(at, " \t\r\n")]) return fail(at, err);
    if (parsed.scale != 255) return psal_fail(err, PSAL_ERR_ARGUMENT, "preprocessing: '%.60s' has no ToTensor()", text);
    if (parsed.stretch_height && !parsed.crop_height) {
        parsed.crop_height = parsed.stretch_height;
        parsed.crop_width = parsed.stretch_width;
    }
    psal_status status = psal_preprocess_check(&parsed, err);
    if (!status) *options = parsed;
    return status;
}
