/* Networks from hostile checkpoints: the input says how the tensors of an honest one are changed. Whatever comes of it is
 * refused with a reason, or is a network that can be built, written, and read again as the same.
 *
 * Bytes: architecture, width, what is asked for, naming; then changes of a few bytes each, see change(). */
#include "models/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/models/keras_names.h"

const int fuzz_mutations = 150;
const fuzz_word fuzz_words[] = {FUZZ_WORD("\0"),
                                FUZZ_WORD("\4psal.width\0"),
                                FUZZ_WORD("\5"
                                          "1e308"),
                                FUZZ_WORD("\7module."),
                                FUZZ_WORD("res2a_branch2a/kernel"),
                                FUZZ_WORD("pre_logits.fc1.weight"),
                                FUZZ_WORD("head.fc.weight"),
                                FUZZ_WORD("features.denseblock1.denselayer1.norm.1.weight"),
                                FUZZ_WORD("AuxLogits.fc.weight"),
                                {NULL, 0}};

/* As many elements as a tensor here may have: a file would have to hold them. */
enum { ELEMENTS = 1 << 18, MOST_TENSORS = 2000, NAME = 96 };

static const char *const archs[] = {"resnet18",    "resnet50",     "vgg11",           "vgg11_bn",
                                    "densenet121", "inception_v3", "resnext50_32x4d", "resnet18"};

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static unsigned take(input *in) {
    if (!in->size) return 0;
    in->size--;
    return *in->data++;
}

/* A text of at most 60 bytes, its length in front. */
static void take_text(input *in, char text[NAME]) {
    size_t length = take(in) % 61, i = 0;
    while (i < length && in->size) {
        char c = (char)take(in);
        text[i++] = c ? c : '0';
    }
    text[i] = '\0';
}

/* One tensor of the checkpoint to be. */
typedef struct row {
    char name[NAME];
    psal_dtype dtype;
    psal_shape shape;
    bool poisoned; /* all NaN, or minus one where it is no floating-point type */
} row;

/* What all tensors are views of. Zeros are fine for every tensor. */
static _Alignas(64) uint8_t zeros[ELEMENTS * 8], ones[ELEMENTS * 8];

static const psal_tensor_map *honest(int arch, int width) {
    static psal_tensor_map *maps[8][3];
    static const double widths[] = {0.02, 0.0625, 0.005};
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map **map = &maps[arch][width];
    bool groups = strstr(archs[arch], "resnext"); /* its channels divide by 32 */
    if (!*map) *map = psal_model_blank(archs[arch], groups ? 0.25 : widths[width], 3, &err);
    FUZZ_CHECK(*map != NULL);
    return *map;
}

static int list(const psal_tensor_map *map, unsigned naming, row *rows) {
    int count = (int)psal_tensor_map_count(map);
    for (int i = 0; i < count; i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, (size_t)i);
        const char *name = psal_tensor_map_name(map, (size_t)i);
        const int64_t *d = tensor->shape.dim;
        rows[i] = (row){.dtype = tensor->dtype, .shape = tensor->shape};
        if (naming >= 2 && naming <= 4) { /* Keras' three */
            keras_name(name, (keras_naming)(naming - 2), rows[i].name);
            if (tensor->shape.ndim == 4) rows[i].shape = PSAL_SHAPE(d[2], d[3], d[1], d[0]);
            if (tensor->shape.ndim == 2) rows[i].shape = PSAL_SHAPE(d[1], d[0]);
        } else {
            snprintf(rows[i].name, NAME, "%s%.80s", naming == 1 ? "module." : "", name);
        }
    }
    return count;
}

static int64_t strange_number(input *in) {
    static const int64_t numbers[] = {
        0,        1, 2, 3, 7, 64, 1000, 1 << 17, 1 << 20, INT32_MAX, (int64_t)1 << 32, (int64_t)1 << 40, INT64_MAX / 16,
        INT64_MAX};
    unsigned choice = take(in);
    return choice < 128 ? numbers[choice % (sizeof numbers / sizeof *numbers)] : (int64_t)take(in);
}

/* One change: what, which tensor, and more as needed. */
static void change(input *in, row *rows, int *count, psal_tensor_map *map) {
    static const char *const keys[] = {"psal.arch",       "psal.variant",     "psal.width",
                                       "psal.bn_epsilon", "psal.num_classes", "psal.transform_input",
                                       "psal.preprocess", "keras.strides",    "keras.batch_norm_epsilon"};
    static const char *const values[] = {"resnet50", "v1", "1", "0", "1e308", "nan", "-1", "densenet121", "0.3"};
    char text[NAME];
    psal_error err = PSAL_ERROR_INIT;
    unsigned what = take(in) % 9, which = take(in);
    which = (which << 8 | take(in)) % (unsigned)(*count ? *count : 1);
    row *r = &rows[which], before = *r;
    if (*count == 0 && what != 3 && what != 4) return;
    switch (what) {
    case 0: /* missing */
        *r = rows[--*count];
        return;
    case 1: {
        unsigned dim = take(in) % PSAL_MAX_DIMS; /* before the number: C leaves the order open within one expression */
        r->shape.dim[dim] = strange_number(in);
        break;
    }
    case 2:
        r->shape.ndim = (int)(take(in) % (PSAL_MAX_DIMS + 1));
        break;
    case 3: /* one more */
        if (*count == MOST_TENSORS) return;
        r = &rows[(*count)++];
        *r = (row){.shape = before.shape};
        take_text(in, r->name);
        if (!*count || psal_shape_count(&r->shape) < 0) r->shape = (psal_shape){0};
        return;
    case 4: {
        unsigned key = take(in) % 9, value = take(in);
        take_text(in, text);
        psal_tensor_map_set_meta(map, keys[key], value < 128 ? values[value % 9] : text, &err);
        return;
    }
    case 5:
        take_text(in, r->name);
        break;
    case 6:
        r->dtype = (psal_dtype)(take(in) % PSAL_DTYPE_COUNT);
        break;
    case 7:
        r->poisoned = true;
        break;
    default: /* another tensor's shape */
        r->shape = rows[take(in) % (unsigned)*count].shape;
    }
    int64_t elements = psal_shape_count(&r->shape); /* readers refuse what overflows, and a file holds what is left */
    if (elements < 0 || elements > ELEMENTS) *r = before;
}

static void check_network(const psal_model *model, bool recognise) {
    psal_error err = PSAL_ERROR_INIT;
    const psal_model_info *info = psal_model_get_info(model);
    FUZZ_CHECK(info->width > 0 && info->num_classes > 0 && info->filter_count > 0 && info->min_size > 0);
    psal_graph *graph = psal_graph_new();
    psal_network network = {0};
    FUZZ_CHECK(graph != NULL);
    fuzz_outcome(psal_model_build(model, graph, 1, info->min_size, info->min_size, &network, &err) == PSAL_OK, &err);
    psal_network_free(&network);
    psal_graph_free(graph);

    psal_tensor_map *written = psal_model_export(model, NULL, &err);
    FUZZ_CHECK(fuzz_outcome(written != NULL, &err));
    const psal_model_options options = {.arch = recognise ? NULL : info->arch}; /* trying all of them takes long */
    psal_model *again = psal_model_load(written, &options, NULL, &err);
    FUZZ_CHECK(fuzz_outcome(again != NULL, &err) && psal_model_fingerprint(again) == psal_model_fingerprint(model));
    psal_model_free(again);
    psal_tensor_map_free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static row rows[MOST_TENSORS];
    input in = {data, size};
    unsigned arch = take(&in) % 8, width = take(&in) % 3, asked = take(&in), naming = take(&in) % 6;
    if (naming >= 2 && naming <= 4) arch = 1; /* Keras has bottlenecks only */
    psal_error err = PSAL_ERROR_INIT;
    char notes[1024];
    psal_tensor_map *map = psal_tensor_map_new();
    FUZZ_CHECK(map != NULL);
    if (!ones[0]) memset(ones, 0xff, sizeof ones);
    int count = list(honest((int)arch, (int)width), naming, rows);
    for (int changes = 0; in.size && changes < 40; changes++) change(&in, rows, &count, map);
    for (int i = 0; i < count; i++) /* a name twice: no reader gives that */
        psal_tensor_map_add_view(map, rows[i].name, rows[i].dtype, &rows[i].shape, rows[i].poisoned ? ones : zeros,
                                 NULL);

    const psal_model_options options = {.arch = asked & 1 ? archs[arch] : NULL,
                                        .variant = asked & 2 ? "v1" : NULL,
                                        .bn_epsilon = asked & 4 ? 1e-3 : 0,
                                        .transform_input = asked & 8 ? 1 : 0};
    psal_model *model = psal_model_load(map, &options, notes, &err);
    if (fuzz_outcome(model != NULL, &err)) check_network(model, asked & 16);
    psal_model_free(model);
    psal_tensor_map_free(map);
    return 0;
}

void fuzz_make_seeds(void) {
    FUZZ_SEED("resnet18", "\0\0\x10\0");
    FUZZ_SEED("resnet50", "\1\0\1\1");
    FUZZ_SEED("vgg11", "\2\2\1\5");
    FUZZ_SEED("vgg11_bn", "\3\2\1\5");
    FUZZ_SEED("densenet121", "\4\1\1\0\4\0\0\2\2\0");
    FUZZ_SEED("inception_v3", "\5\0\x09\0");
    FUZZ_SEED("keras_first", "\1\0\1\2");
    FUZZ_SEED("keras_later", "\1\0\0\3\4\0\0\7\x80\x12res2a_branch2a 2x2\n");
    FUZZ_SEED("keras_hdf5", "\1\0\1\4\4\0\0\x08\x80\5"
                            "0.002");
    FUZZ_SEED("missing", "\0\0\1\0\0\0\1");
    FUZZ_SEED("shape", "\0\0\0\0\1\0\1\0\2");
    FUZZ_SEED("renamed", "\2\2\0\0\5\0\3\x15pre_logits.fc1.weight\3\0\0\x0ehead.fc.weight");
    FUZZ_SEED("not_finite", "\0\0\1\0\7\0\2");
    /* timm's naming flattens a window whose dimensions cannot be multiplied: [0, 2^40, 2^40, 2^40]. */
    FUZZ_SEED("uncountable_window", "\2\2\0\5\5\0\2\x15pre_logits.fc1.weight\2\0\2\4\1\0\2\0\0\1\0\2\1\x0b\1\0\2\2\x0b"
                                    "\1\0\2\3\x0b");
    FUZZ_SEED("half", "\0\0\1\0\6\0\0\2\6\0\1\1\6\0\2\3");
}
