/* Networks from hostile checkpoints: the input says how the tensors of an honest one are changed. Whatever comes of it
 * is refused with a reason, or is a network that can be built, written, and read again as the same.
 *
 * All values lie in read-only memory, each tensor's end at a page that cannot be read, as if its file ended there:
 * whoever writes into a tensor that it did not make ends the process.
 *
 * Bytes: architecture, width, what is asked for, naming (and, above 5, that only the first tensors are there: most of
 * what happens to names and values happens before a network is recognised, and a hundred times as many inputs run);
 * then changes of a few bytes each, see change(). Names are put together from the dictionaries of all naming schemes,
 * so that a few bytes mix them. */
#include "models/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

#define COUNT(array) (unsigned)(sizeof array / sizeof *array)

/* One of each family and kind of names, at three widths: groups and halves must divide. */
enum { WIDTHS = 3 };
static const struct {
    const char *name;
    double widths[WIDTHS];
} archs[] = {
    {"resnet18", {0.02, 0.0625, 0.005}},
    {"resnet50", {0.02, 0.0625, 0.005}},
    {"vgg11", {0.02, 0.0625, 0.005}},
    {"vgg11_bn", {0.02, 0.0625, 0.005}},
    {"densenet121", {0.02, 0.0625, 0.005}},
    {"inception_v3", {0.02, 0.0625, 0.005}},
    {"resnext50_32x4d", {0.25, 0.25, 0.25}},
    {"resnet18_cifar", {0.02, 0.0625, 0.005}},
    {"resnet10t", {0.02, 0.0625, 0.005}},
    {"seresnet18", {0.02, 0.0625, 0.005}},
    {"ecaresnet26t", {0.02, 0.0625, 0.005}},
    {"alexnet", {0.02, 0.0625, 0.005}},
    {"squeezenet1_1", {0.02, 0.0625, 0.25}},
    {"googlenet", {0.02, 0.0625, 0.005}},
    {"mnasnet0_5", {0.02, 0.0625, 0.5}},
    {"mobilenet_v2", {0.02, 0.0625, 0.35}},
    {"mobilenet_v3_small", {0.02, 0.0625, 0.25}},
    {"shufflenet_v2_x0_5", {0.5, 0.5, 0.5}},
    {"efficientnet_b0", {0.02, 0.0625, 0.25}},
    {"efficientnet_v2_s", {0.02, 0.0625, 0.125}},
    {"regnet_x_400mf", {0.25, 0.25, 0.25}},
    {"regnet_y_400mf", {0.25, 0.25, 0.25}},
    {"convnext_tiny", {0.02, 0.0625, 0.005}},
    {"vit_b_32", {0.015625, 0.03125, 0.015625}},
};

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
    char name[NAME], torch[NAME]; /* torch: what torchvision calls it, "" where it has no such tensor */
    psal_dtype dtype;             /* PSAL_DTYPE_COUNT: none that psal knows */
    psal_shape shape;
    unsigned shift; /* bytes from the end of its memory */
    bool poisoned;  /* all NaN, or minus one where it is no floating-point type */
} row;

/* What all tensors are views of: `size` bytes before a page that cannot be touched. Zeros are fine for every tensor. */
enum { VALUES = ELEMENTS * 8 };
static const uint8_t *zeros_end, *ones_end;

static const uint8_t *values_before_a_wall(int byte) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (VALUES + page - 1) / page * page + page;
    uint8_t *memory = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(memory != MAP_FAILED);
    memset(memory, byte, size);
    FUZZ_CHECK(mprotect(memory, size, PROT_READ) == 0 && mprotect(memory + size, page, PROT_NONE) == 0);
    return memory + size;
}

static void add_tensor(psal_tensor_map *map, const row *r) {
    if (r->dtype == PSAL_DTYPE_COUNT) {
        psal_tensor_map_add_other(map, r->name, "F8_E4M3", &r->shape, NULL);
        return;
    }
    size_t size = psal_dtype_size(r->dtype), bytes = (size_t)psal_shape_count(&r->shape) * size;
    if (r->shift % size != 0) { /* misaligned in its file: readers make a copy, exactly as long, here of zeros */
        psal_tensor_map_add(map, r->name, r->dtype, &r->shape, NULL);
        return;
    }
    psal_tensor_map_add_view(map, r->name, r->dtype, &r->shape, (r->poisoned ? ones_end : zeros_end) - bytes - r->shift,
                             NULL);
}

static const psal_tensor_map *honest(int arch, int width) {
    static psal_tensor_map *maps[COUNT(archs)][WIDTHS];
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map **map = &maps[arch][width];
    if (!*map) *map = psal_model_blank(archs[arch].name, archs[arch].widths[width], 3, &err);
    FUZZ_CHECK(*map != NULL);
    return *map;
}

/* What the naming schemes call layers, parts of them, and what is put in front. */
static const char *const prefixes[] = {"",           "module.",     "model.",    "backbone.",     "encoder.",
                                       "resnet.",    "0.",          "net.",      "module.model.", "ema.module.",
                                       "_orig_mod.", "state_dict.", "features.", "model/"};
static const char *const layers[] = {"conv1",
                                     "bn1",
                                     "fc",
                                     "layer1.0.conv1",
                                     "layer1.0.bn1",
                                     "layer1.0.conv2",
                                     "layer1.0.bn2",
                                     "layer1.0.bn3",
                                     "layer1.0.downsample.0",
                                     "layer1.0.downsample.1",
                                     "layer4.1.conv2",
                                     "layer1.0.se.fc1",
                                     "layer1.0.se.conv",
                                     "conv1.0",
                                     "features.1.conv.0.0", /* MobileNets, EfficientNet, ConvNeXt, ... */
                                     "features.1.0.block.0.0",
                                     "features.1.block.1.fc1",
                                     "features.1.0.block.0",
                                     "features.3.squeeze",
                                     "stage2.0.branch1.0",
                                     "layers.8.0.layers.0",
                                     "trunk_output.block1.block1-0.f.a.0",
                                     "inception3a.branch2.0.conv",
                                     "encoder.layers.encoder_layer_0.mlp.0",
                                     "encoder.layers.encoder_layer_0.mlp.linear_1",
                                     "heads.head",
                                     "classifier.1",
                                     "layer1.0.ca.fc.0",
                                     "layer5.0.conv1", /* torchvision, additions */
                                     "bn_conv1",
                                     "res2a_branch1",
                                     "bn2a_branch1",
                                     "res2a_branch2a",
                                     "bn2a_branch2a",
                                     "bn2a_branch2b",
                                     "res4b1_branch2a",
                                     "fc1000", /* Keras' first */
                                     "conv1_conv",
                                     "conv1_bn",
                                     "conv2_block1_0_conv",
                                     "conv2_block1_0_bn",
                                     "conv2_block1_1_conv",
                                     "conv2_block1_1_bn", /* Keras' later */
                                     "predictions",
                                     "probs",
                                     "res2a_branch2a/res2a_branch2a",
                                     "bn2a_branch2a/bn2a_branch2a",
                                     "features.0",
                                     "features.1",
                                     "features.3",
                                     "classifier.0",
                                     "classifier.3",
                                     "classifier.6", /* VGG */
                                     "pre_logits.fc1",
                                     "pre_logits.fc2",
                                     "head.fc",
                                     "fc.1",
                                     "last_linear",
                                     "classifier.0.1", /* timm, heads */
                                     "features.conv0",
                                     "features.norm0",
                                     "features.denseblock1.denselayer1.norm1",
                                     "features.denseblock1.denselayer1.norm.1",
                                     "features.denseblock1.denselayer1.conv.1",
                                     "features.denseblock1.denselayer1.conv1",
                                     "features.transition1.norm",
                                     "classifier",
                                     "Conv2d_1a_3x3.conv",
                                     "Conv2d_1a_3x3.bn",
                                     "AuxLogits.fc",
                                     "AuxLogits.conv0.conv",
                                     "Mixed_5b.branch1x1.bn"}; /* Inception */
static const char *const parts[] = {
    ".weight",          ".bias",     ".running_mean", ".running_var",   ".num_batches_tracked",
    "/kernel",          "/bias",     "/gamma",        "/beta",          "/moving_mean",
    "/moving_variance", "/kernel:0", "/bias:0",       "/moving_mean:0", ""};

static void take_name(input *in, char text[NAME]) {
    const char *prefix = prefixes[take(in) % COUNT(prefixes)], *layer = layers[take(in) % COUNT(layers)];
    snprintf(text, NAME, "%s%s%s", prefix, layer, parts[take(in) % COUNT(parts)]);
}

/* The tensor `torch` as a naming scheme calls it; Keras' (2 to 4) are of ResNets only. */
static void name_in(unsigned naming, const char *torch, bool keras, char text[NAME]) {
    if (keras && naming >= 2 && naming <= 4)
        keras_name(torch, (keras_naming)(naming - 2), text);
    else
        snprintf(text, NAME, "%s%.60s", naming == 1 ? "module." : "", torch);
}

static int list(const psal_tensor_map *map, unsigned naming, row *rows) {
    int count = (int)psal_tensor_map_count(map);
    for (int i = 0; i < count; i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, (size_t)i);
        const char *name = psal_tensor_map_name(map, (size_t)i);
        const int64_t *d = tensor->shape.dim;
        rows[i] = (row){.dtype = tensor->dtype, .shape = tensor->shape};
        snprintf(rows[i].torch, NAME, "%.80s", name);
        if (naming >= 2 && naming <= 4) { /* Keras' three */
            name_in(naming, name, true, rows[i].name);
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
static void change(input *in, row *rows, int *count, bool keras, psal_tensor_map *map) {
    static const char *const keys[] = {"psal.arch",       "psal.variant",     "psal.width",
                                       "psal.bn_epsilon", "psal.num_classes", "psal.transform_input",
                                       "psal.preprocess", "keras.strides",    "keras.batch_norm_epsilon",
                                       "psal.labels",     "psal.format",      "format"};
    static const char *const values[] = {
        "resnet50", "v1", "1", "0", "1e308", "nan", "-1", "densenet121", "0.3", "1e-5", "res2a_branch2a 2x2\n"};
    char text[NAME];
    psal_error err = PSAL_ERROR_INIT;
    unsigned what = take(in) % 13, which = take(in);
    which = (which << 8 | take(in)) % (unsigned)(*count ? *count : 1);
    row *r = &rows[which], before = *r;
    if (*count == 0 && what != 3 && what != 4 && what != 9) return;
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
    case 3: /* one more, called anything, */
    case 9: /* or what the dictionaries know */
        if (*count == MOST_TENSORS) return;
        r = &rows[(*count)++];
        *r = (row){.shape = before.shape, .dtype = before.dtype};
        if (what == 3)
            take_text(in, r->name);
        else
            take_name(in, r->name);
        if (!*count || psal_shape_count(&r->shape) < 0) r->shape = (psal_shape){0};
        return;
    case 4: {
        unsigned key = take(in) % COUNT(keys), value = take(in);
        take_text(in, text);
        psal_tensor_map_set_meta(map, keys[key], value < 128 ? values[value % COUNT(values)] : text, &err);
        return;
    }
    case 5:
        take_text(in, r->name);
        break;
    case 6:
        r->dtype = (psal_dtype)(take(in) % (PSAL_DTYPE_COUNT + 1));
        break;
    case 7:
        r->poisoned = true;
        break;
    case 10: { /* the same tensor in another scheme, or under another name of the dictionaries */
        unsigned naming = take(in) % 8;
        if (naming < 6 && *r->torch)
            name_in(naming, r->torch, keras, r->name);
        else
            take_name(in, r->name);
        break;
    }
    case 11: { /* a bias for a convolution, in any scheme and of any type: Keras has such before a normalisation */
        size_t length = strlen(r->torch);
        if (*count == MOST_TENSORS || length < 8 || strcmp(r->torch + length - 7, ".weight") != 0) return;
        row *bias = &rows[(*count)++];
        *bias = (row){.dtype = (psal_dtype)(take(in) % (PSAL_DTYPE_COUNT + 1)), .shape = PSAL_SHAPE(r->shape.dim[0])};
        if (strchr(r->name, '/') && r->shape.ndim == 4) bias->shape.dim[0] = r->shape.dim[3]; /* HWIO */
        memcpy(bias->torch, r->torch, length - 6);
        strcpy(bias->torch + length - 6, "bias");
        name_in(take(in) % 6, bias->torch, keras, bias->name);
        return;
    }
    case 12:
        r->shift = take(in) % 8;
        return;
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
    unsigned arch = take(&in) % COUNT(archs), width = take(&in) % WIDTHS, asked = take(&in), naming = take(&in),
             first = naming / 6;
    naming %= 6;
    if (naming >= 2 && naming <= 4) arch = 1; /* Keras has bottlenecks only */
    psal_error err = PSAL_ERROR_INIT;
    char notes[1024];
    psal_tensor_map *map = psal_tensor_map_new();
    FUZZ_CHECK(map != NULL);
    if (!zeros_end) zeros_end = values_before_a_wall(0), ones_end = values_before_a_wall(0xff);
    int count = list(honest((int)arch, (int)width), naming, rows);
    if (first > 0 && (int)first < count) count = (int)first;
    for (int changes = 0; in.size && changes < 40; changes++) change(&in, rows, &count, arch <= 1, map);
    for (int i = 0; i < count; i++) add_tensor(map, &rows[i]); /* a name twice fails: no reader gives that */

    /* an architecture that is none: names and values are read all the same, and nothing is tried that takes long */
    const psal_model_options options = {.arch = asked & 128 ? "none"
                                                : asked & 1 ? archs[arch].name
                                                            : NULL,
                                        .variant = asked & 2 ? "v1" : NULL,
                                        .bn_epsilon = asked & 4 ? 1e-3 : 0,
                                        .transform_input = asked & 8 ? 1 : 0,
                                        .prefix = asked & 32 ? prefixes[asked >> 6] : NULL, /* of four */
                                        .ignore_extra = (const char *const[]){"layer1.", "conv1.bias"},
                                        .ignore_extra_count = asked & 64 ? 2 : 0};
    psal_model *model = psal_model_load(map, &options, notes, &err);
    if (fuzz_outcome(model != NULL, &err)) check_network(model, asked & 16);
    psal_model_free(model);
    psal_tensor_map_free(map);
    return 0;
}

/* libFuzzer's own mutations, and as often a whole change more, of a kind that reaches renaming and folding. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most) __attribute__((weak)); /* the replay has none */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    static const uint8_t kinds[] = {6, 9, 10, 10, 11, 11, 12, 5, 7, 8};
    uint32_t state = seed;
#define NEXT (uint8_t)((state = state * 1664525u + 1013904223u) >> 24)
    if (NEXT % 2 || size < 4 || size + 8 > most) {
        size = LLVMFuzzerMutate(data, size, most);
    } else {
        data[size++] = kinds[NEXT % sizeof kinds];
        data[size++] = 0; /* one of the first 16 tensors, or any */
        data[size++] = NEXT % 4 ? NEXT % 16 : NEXT;
        for (int i = 0; i < 4; i++) data[size++] = NEXT % 4 ? NEXT % 16 : NEXT;
    }
    if (size >= 4 && NEXT % 8) { /* whole networks take a hundred times as long: one in eight */
        data[2] |= 128;
        if (data[3] < 6) data[3] = (uint8_t)(data[3] + 6 * (1 + NEXT % 40));
    }
#undef NEXT
    return size;
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
    FUZZ_SEED("keras_bias", "\1\0\1\2\x0b\0\0\0\2");
    FUZZ_SEED("keras_among_torch", "\1\0\1\2\x0a\0\6\0\x0a\0\7\1");
    FUZZ_SEED("few_of_keras", "\1\0\x80\x26\x0b\0\0\0\2\x0a\0\2\0");
    FUZZ_SEED("few_of_keras_later", "\1\0\x80\x51\x0b\0\5\1\3\x09\0\1\0\3\1");
    FUZZ_SEED("few_of_keras_hdf5", "\1\0\x80\x46\x0c\0\4\1\6\0\4\1");
    FUZZ_SEED("few_of_vgg", "\2\2\x80\x29\x09\0\3\0\x26\1");
    FUZZ_SEED("misaligned", "\0\0\1\0\x0c\0\0\1\x0c\0\3\2\6\0\3\1");
    FUZZ_SEED("gates", "\1\0\0\0\x09\0\3\0\x0b\0\x09\0\3\0\x0c\0");
    FUZZ_SEED("two_groups", "\0\0\0\1\x09\0\0\2\0\0\x09\0\1\2\1\0\x0a\0\5\7\3\2\0");
    FUZZ_SEED("heads", "\0\0\0\0\x0a\0\x28\6\0\x29\0\x0a\0\x29\6\0\x29\1");
    FUZZ_SEED("resnet10t", "\x08\0\1\0");
    FUZZ_SEED("seresnet18", "\x09\0\x10\0");
    FUZZ_SEED("ecaresnet26t", "\x0a\0\1\1");
    FUZZ_SEED("alexnet", "\x0b\0\x10\0");
    FUZZ_SEED("squeezenet", "\x0c\2\1\0\0\0\3");
    FUZZ_SEED("googlenet", "\x0d\0\x09\0");
    FUZZ_SEED("mnasnet", "\x0e\1\0\1");
    FUZZ_SEED("mobilenet_v2", "\x0f\0\x10\0");
    FUZZ_SEED("mobilenet_v3", "\x10\1\1\0\1\0\1\0\2");
    FUZZ_SEED("shufflenet", "\x11\0\x10\1");
    FUZZ_SEED("efficientnet", "\x12\0\1\0\6\0\0\2");
    FUZZ_SEED("efficientnet_v2", "\x13\0\1\0");
    FUZZ_SEED("regnet_x", "\x14\0\1\0");
    FUZZ_SEED("regnet_y", "\x15\0\x10\0");
    FUZZ_SEED("convnext", "\x16\0\x10\0\x0a\0\5\7\2\6\0");
    FUZZ_SEED("vit", "\x17\0\x10\0");
    FUZZ_SEED("half", "\0\0\1\0\6\0\0\2\6\0\1\1\6\0\2\3");
}
