/* psal-convert - any checkpoint psal can read, as one .safetensors file that says everything about itself:
 * torchvision's names and layouts, and the architecture, variant, epsilon, preprocessing and class names in its
 * metadata.
 *
 * The same input and options give the same bytes. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text.h"
#include "io/labels.h"
#include "io/preprocess.h"
#include "io/safetensors.h"
#include "models/model.h"
#include "tools/computation_io.h"
#include "tools/print.h"
#include "tools/project.h"
#include "tools/program.h"
#include "tools/network.h"
#include "tools/session.h"

static const psal_option options_table[] = {
    {PSAL_OPTION_HEADING, .help = "What the checkpoint does not say"},
    {PSAL_OPTION_STRING, "model", 'm', "NAME", .help = "Architecture (resnet50, ...). Recognised if not given.",
     .names = psal_model_arch_name},
    {PSAL_OPTION_STRING, "ignore-extra", 0, "NAME",
     .help = "A tensor to leave out that no layer of the network takes, or the beginning of names, with its last dot "
             "('head2.'), for those who know that it has no part in the answer. What was left out is recorded.",
     .repeatable = true},
    {PSAL_OPTION_STRING, "weights-key", 0, "KEY",
     .help = "Which network of a file that holds several: the key its weights are under ('net_state_dict', "
             "'checkpoint.model', '0'), or what their names begin with ('backbone.')."},
    {PSAL_OPTION_CHOICE, "variant",
     .help = "Where a ResNet's bottleneck has its stride: v1.5 in the 3x3 (torchvision), v1 in the first 1x1 (Keras, "
             "Caffe).",
     .choices = "v1.5|v1"},
    {PSAL_OPTION_DOUBLE, "bn-epsilon", .help = "Batch-norm epsilon.", .minimum = 1e-12, .maximum = 1},
    {PSAL_OPTION_FLAG, "transform-input",
     .help = "Inception-v3, GoogLeNet: rescale the input as torchvision's pretrained one does."},
    {PSAL_OPTION_STRING, "preprocess", 0, "TEXT",
     .help =
         "torchvision, caffe, inception, or a description such as 'torchvision;resize=342;crop=299'. Recognised if not "
         "given, else torchvision.",
     .known = "torchvision|caffe|inception"},
    {PSAL_OPTION_STRING, "labels", 0, "SET",
     .help = "Class names: imagenet, fashion-mnist, numbers, or a file of names, which are recorded themselves (up to "
             "1 MiB). If not given: as recorded, else imagenet for 1000 classes.",
     .known = "imagenet|fashion-mnist|numbers", .files = PSAL_ANY_FILE},
    {PSAL_OPTION_HEADING, .help = "Output"},
    {PSAL_OPTION_FLAG, "half",
     .help = "Store the weights of convolutions and linear layers as float16: half the size, about three digits."},
    {PSAL_OPTION_FLAG, "quiet", 'q', .help = "Print warnings and errors only."},
    {0}};

static const psal_program program = {
    .name = "psal-convert",
    .version = PSAL_VERSION,
    .summary =
        "Convert a checkpoint (.safetensors, .pth, .npz, TensorFlow.js model.json) into a .safetensors file that "
        "every program here reads without further options. An ONNX file stays one and gets preprocessing and class "
        "names as metadata; TensorFlow.js models but Keras' ResNets become one.",
    .arguments = "IN OUT.safetensors|OUT.onnx",
    .fewest_arguments = 2,
    .most_arguments = 2,
    .output_argument = 1,
    .options = options_table,
    .epilogue = "Examples:\n"
                "  psal-convert resnet50-0676ba61.pth resnet50.safetensors\n"
                "  psal-convert inception_v3_google-0cc3c7bd.pth inception_v3.safetensors --transform-input\n"
                "  psal-convert my.onnx mine.onnx --preprocess torchvision --labels names.txt\n"};

/* ---- metadata ---- */

/* What nobody has said: the next program that reads the file shall say so, too. */
typedef struct assumptions {
    bool preprocess, transform;
} assumptions;

/* Record how images are prepared, in its one canonical spelling. `text` gets it. */
static psal_status record_preprocess(const psal_options *options, const psal_model_info *info, const char *path,
                                     psal_tensor_map *map, char text[256], assumptions *assumed, psal_error *err) {
    const char *given = psal_options_string(options, "preprocess");
    const char *wanted = given ? given : *info->preprocess ? info->preprocess : "torchvision";
    psal_preprocess preprocess;
    if (psal_preprocess_parse(wanted, &preprocess, err) != PSAL_OK)
        return psal_fail_prefix(err, given ? "--preprocess" : "the checkpoint's preprocessing");
    if (psal_check_channels(info, path, given || *info->preprocess ? &preprocess : NULL, err) != PSAL_OK)
        return psal_error_status(err);
    if (given && psal_session_check_size(&preprocess, given, info, err) != PSAL_OK)
        return psal_fail_prefix(err, "--preprocess");
    assumed->preprocess = !given && (!*info->preprocess || psal_was_assumed(map, PSAL_FIELD_PREPROCESS_ASSUMED));
    assumed->transform = !psal_options_flag(options, "transform-input") &&
                         (info->transform_input_assumed || psal_was_assumed(map, PSAL_FIELD_TRANSFORM_ASSUMED));
    psal_preprocess_format(&preprocess, text, 256);
    return psal_record_assumptions(map, text, assumed->preprocess, assumed->transform, err);
}

/* Record what the classes are called: the name of a built-in set, or the names themselves, so that no file is needed
 * later. `shown` gets it in words. */
static psal_status record_labels(const psal_options *options, const psal_model_info *info, psal_tensor_map *map,
                                 char shown[100], psal_error *err) {
    const char *given = psal_options_string(options, "labels"), *recorded = psal_tensor_map_meta(map, "psal.labels");
    psal_labels *labels = given ? psal_labels_open(given, info->num_classes, err)
                                : psal_labels_recorded(recorded, info->num_classes, err);
    if (!labels) return given ? psal_fail_prefix(err, "--labels") : psal_error_status(err);
    const char *set = given                                        ? psal_labels_built_in(given)
                      : recorded && *recorded                      ? psal_labels_built_in(recorded)
                      : info->num_classes == PSAL_IMAGENET_CLASSES ? "imagenet"
                                                                   : "numbers";
    char *names = set ? NULL : psal_labels_record(labels, err);
    snprintf(shown, 100, set ? "%s" : "%.60s, ...", set ? set : psal_labels_name(labels, 0));
    psal_make_printable(shown);
    psal_labels_free(labels);
    psal_status status = set || names ? psal_tensor_map_set_meta(map, "psal.labels", set ? set : names, err)
                                      : psal_error_status(err);
    free(names);
    return given && status != PSAL_OK ? psal_fail_prefix(err, "--labels") : status;
}

/* ---- float16 ---- */

static psal_status add_half(psal_tensor_map *to, const char *name, const psal_tensor *from, psal_error *err) {
    uint16_t *out = psal_tensor_map_add(to, name, PSAL_F16, &from->shape, err);
    if (!out) return PSAL_ERR_MEMORY;
    const float *values = from->data;
    for (int64_t i = 0, n = psal_shape_count(&from->shape); i < n; i++) {
        out[i] = psal_f16_from_f32(values[i]);
        if (isinf(psal_f16_to_f32(out[i])))
            return psal_fail(err, PSAL_ERR_NUMERIC, "--half: %s has the value %g, but float16 ends at 65504", name,
                             (double)values[i]);
    }
    return PSAL_OK;
}

/* ---- the file's contents ---- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Metadata in the order of its keys, so that converting a converted file gives the same bytes. */
static psal_status copy_metadata(const psal_tensor_map *from, psal_tensor_map *to, psal_error *err) {
    size_t count = psal_tensor_map_meta_count(from);
    const char **keys = malloc((count + 1) * sizeof *keys);
    if (!keys) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) keys[i] = psal_tensor_map_meta_key(from, i);
    qsort(keys, count, sizeof *keys, by_text);
    psal_status status = PSAL_OK;
    for (size_t i = 0; i < count && status == PSAL_OK; i++)
        status = psal_tensor_map_set_meta(to, keys[i], psal_tensor_map_meta(from, keys[i]), err);
    free(keys);
    return status;
}

/* What is written: views of the map's tensors; with `half`, matrices and kernels as float16. What is added to or
 * multiplied with whole channels (biases, batch norm) is small and stays float32. NULL on failure. */
static psal_tensor_map *contents(const psal_tensor_map *map, bool half, psal_error *err) {
    psal_tensor_map *file = psal_tensor_map_new();
    psal_status status = file ? copy_metadata(map, file, err) : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    for (size_t i = 0; status == PSAL_OK && i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        const char *name = psal_tensor_map_name(map, i);
        if (half && tensor->dtype == PSAL_F32 && tensor->shape.ndim >= 2)
            status = add_half(file, name, tensor, err);
        else
            status = psal_tensor_map_add_view(file, name, tensor->dtype, &tensor->shape, tensor->data, err);
    }
    if (status == PSAL_OK && psal_tensor_map_description(map))
        psal_tensor_map_describe(file, psal_tensor_map_description(map));
    if (status == PSAL_OK) return file;
    psal_tensor_map_free(file);
    return NULL;
}

/* An ONNX file stays one, with what it does not say. */
static psal_status check_onnx(const psal_options *options, const psal_model_info *info, psal_error *err) {
    if (strcmp(info->family, "onnx") != 0) return PSAL_OK;
    if (psal_options_flag(options, "half"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--half: an ONNX file keeps the types of its tensors; leave it out");
    if (psal_options_has(options, "preprocess") || *info->preprocess) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT,
                     "the file does not say how images are prepared: give --preprocess (\"torchvision\" for "
                     "torchvision's own)");
}

/* ---- the conversion ---- */

static psal_status convert(const psal_options *options, const psal_model *model, const char *format, psal_error *err) {
    const char *to = psal_options_argument(options, 1);
    const psal_model_info *info = psal_model_get_info(model);
    char preprocess[256], labels[100];
    assumptions assumed = {0};
    psal_tensor_map *map = NULL, *file = NULL;
    psal_status status = check_onnx(options, info, err);
    if (status == PSAL_OK && !(map = psal_model_export(model, NULL, err))) status = psal_error_status(err);
    /* What other software calls the layout of these tensors. */
    if (status == PSAL_OK) status = psal_tensor_map_set_meta(map, "format", "pt", err);
    if (status == PSAL_OK)
        status = record_preprocess(options, info, psal_options_argument(options, 0), map, preprocess, &assumed, err);
    if (status == PSAL_OK) status = record_labels(options, info, map, labels, err);
    if (status == PSAL_OK) {
        file = contents(map, psal_options_flag(options, "half"), err);
        status = file ? psal_checkpoint_write(to, file, err) : psal_error_status(err);
    }
    if (status == PSAL_OK && !psal_options_flag(options, "quiet")) {
        psal_print(stdout, "format       %.40s\n", format);
        psal_print(stdout, "architecture %s\n", info->arch);
        if (*info->ignored) psal_print(stdout, "left out     %s\n", info->ignored);
        if (*info->variant) psal_print(stdout, "variant      %s\n", info->variant);
        if (info->width != 1) printf("width        %g\n", info->width);
        if (info->bn_epsilon > 0) printf("bn epsilon   %g\n", info->bn_epsilon);
        if (info->has_transform)
            psal_print(stdout, "rescaling    %s\n",
                       info->transform_input ? "yes (transform_input)"
                       : assumed.transform   ? "no (assumed: torchvision's own pretrained file needs --transform-input)"
                                             : "no");
        psal_print(stdout, "preprocess   %s%s\n", preprocess, assumed.preprocess ? " (assumed)" : "");
        psal_print(stdout, "classes      %d (%s)\n", info->num_classes, labels);
        printf("filters      %d\nparameters   %lld\n", info->filter_count, (long long)info->parameter_elements);
        psal_print(stdout, "written      %s\n", to);
    }
    psal_tensor_map_free(file); /* before the map, whose tensors it shows */
    psal_tensor_map_free(map);
    return status;
}

/* Whether what a project says of the checkpoint is said of this one. */
static psal_status check_project(const psal_options *options, const psal_model *model, psal_error *err) {
    char fingerprint[17];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, psal_model_fingerprint(model));
    return psal_project_check_weights(options, psal_options_argument(options, 0), fingerprint, err);
}

static int run(const psal_options *options, psal_error *err) {
    const char *from = psal_options_argument(options, 0);
    psal_notes notes = PSAL_NOTES_INIT;
    if (psal_checkpoint_check_name(psal_options_argument(options, 1), err) != PSAL_OK) return psal_error_status(err);
    const psal_model_options wanted = {.arch = psal_options_string(options, "model"),
                                       .variant = psal_options_string(options, "variant"),
                                       .bn_epsilon = psal_options_double(options, "bn-epsilon"),
                                       .transform_input = psal_options_flag(options, "transform-input") ? 1 : 0};
    psal_tensor_map *checkpoint;
    psal_model *model = psal_open_network(from, options, &wanted, &checkpoint, &notes, err);
    for (size_t i = 0; i < notes.count; i++)
        if (!psal_options_flag(options, "quiet") || notes.warning[i])
            psal_print(stderr, "%s: note: %s\n", program.name, notes.lines[i]);
    psal_notes_free(&notes);
    const char *format = model ? psal_tensor_map_meta(checkpoint, "format") : NULL;
    psal_status status = model ? check_project(options, model, err) : psal_error_status(err);
    if (status == PSAL_OK) status = convert(options, model, format ? format : "unknown", err);
    psal_model_free(model);
    psal_tensor_map_free(checkpoint);
    return status;
}

int main(int argc, char **argv) {
    return psal_program_main(&program, argc, argv, run);
}
