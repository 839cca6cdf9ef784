/* psal-convert - any checkpoint psal can read, as one .safetensors file that says everything about itself: torchvision's
 * names and layouts, and the architecture, variant, epsilon, preprocessing and class names in its metadata.
 *
 * The same input and options give the same bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/labels.h"
#include "io/preprocess.h"
#include "io/safetensors.h"
#include "models/model.h"
#include "tools/session.h"

static const psal_option options_table[] = {
    {PSAL_OPTION_HEADING, .help = "What the checkpoint does not say"},
    {PSAL_OPTION_STRING, "model", 'm', "NAME", .help = "Architecture (resnet50, ...). Recognised if not given."},
    {PSAL_OPTION_CHOICE, "variant",
     .help = "Where a ResNet's bottleneck has its stride: v1.5 in the 3x3 (torchvision), v1 in the first 1x1 (Keras, "
             "Caffe).",
     .choices = "v1.5|v1"},
    {PSAL_OPTION_DOUBLE, "bn-epsilon", .help = "Batch-norm epsilon.", .minimum = 1e-12, .maximum = 1},
    {PSAL_OPTION_FLAG, "transform-input",
     .help = "Inception-v3: rescale the input as torchvision's pretrained one does."},
    {PSAL_OPTION_STRING, "preprocess", 0, "TEXT",
     .help =
         "torchvision, caffe, inception, or a description such as 'torchvision;resize=342;crop=299'. Recognised if not "
         "given, else torchvision."},
    {PSAL_OPTION_CHOICE, "labels", .help = "Class names. If not given: as recorded, else imagenet for 1000 classes.",
     .choices = "imagenet|fashion-mnist|numbers"},
    {PSAL_OPTION_HEADING, .help = "Output"},
    {PSAL_OPTION_FLAG, "half",
     .help = "Store the weights of convolutions and linear layers as float16: half the size, about three digits."},
    {PSAL_OPTION_FLAG, "quiet", 'q', .help = "Print errors only."},
    {0}};

static const psal_program program = {
    .name = "psal-convert",
    .version = PSAL_VERSION,
    .summary =
        "Converts a checkpoint (.safetensors, .pth, .npz, TensorFlow.js model.json) into a .safetensors file that "
        "every program here reads without further options.",
    .arguments = "IN OUT.safetensors",
    .fewest_arguments = 2,
    .most_arguments = 2,
    .options = options_table,
    .epilogue = "Examples:\n"
                "  psal-convert resnet50-0676ba61.pth resnet50.safetensors\n"
                "  psal-convert inception_v3_google-0cc3c7bd.pth inception_v3.safetensors --transform-input\n"};

/* ---- metadata ---- */

/* Record how images are prepared, in its one canonical spelling. `text` gets it. */
static psal_status record_preprocess(const psal_options *options, const psal_model_info *info, psal_tensor_map *map,
                                     char text[256], psal_error *err) {
    const char *given = psal_options_string(options, "preprocess");
    const char *wanted = given ? given : *info->preprocess ? info->preprocess : "torchvision";
    psal_preprocess preprocess;
    if (psal_preprocess_parse(wanted, &preprocess, err) != PSAL_OK)
        return psal_fail_prefix(err, given ? "--preprocess" : "the checkpoint's preprocessing");
    return psal_tensor_map_set_meta(map, "psal.preprocess", psal_preprocess_format(&preprocess, text, 256), err);
}

static psal_status record_labels(const psal_options *options, const psal_model_info *info, psal_tensor_map *map,
                                 const char **set, psal_error *err) {
    const char *given = psal_options_string(options, "labels"), *recorded = psal_tensor_map_meta(map, "psal.labels");
    *set = given ? given : recorded ? recorded : info->num_classes == PSAL_IMAGENET_CLASSES ? "imagenet" : "numbers";
    if (given || !recorded) {
        psal_labels *labels = psal_labels_open(*set, info->num_classes, err);
        if (!labels) return psal_fail_prefix(err, "--labels");
        psal_labels_free(labels);
    }
    char copy[64]; /* a long one was recorded, and stays */
    if (*set == recorded) return PSAL_OK;
    snprintf(copy, sizeof copy, "%s", *set);
    return psal_tensor_map_set_meta(map, "psal.labels", copy, err);
}

/* ---- float16 ---- */

static psal_status add_half(psal_tensor_map *to, const char *name, const psal_tensor *from, psal_error *err) {
    psal_tensor *half = psal_tensor_map_add(to, name, PSAL_F16, &from->shape, err);
    if (!half) return PSAL_ERR_MEMORY;
    const float *values = from->data;
    uint16_t *out = half->data;
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
    if (status == PSAL_OK) return file;
    psal_tensor_map_free(file);
    return NULL;
}

/* ---- the conversion ---- */

static psal_status convert(const psal_options *options, const psal_model *model, const char *format, psal_error *err) {
    const char *to = psal_options_argument(options, 1), *labels = NULL;
    const psal_model_info *info = psal_model_get_info(model);
    char preprocess[256];
    psal_tensor_map *map = psal_model_export(model, NULL, err), *file = NULL;
    psal_status status = map ? PSAL_OK : err->status;
    /* What other software calls the layout of these tensors. */
    if (status == PSAL_OK) status = psal_tensor_map_set_meta(map, "format", "pt", err);
    if (status == PSAL_OK) status = record_preprocess(options, info, map, preprocess, err);
    if (status == PSAL_OK) status = record_labels(options, info, map, &labels, err);
    if (status == PSAL_OK) {
        file = contents(map, psal_options_flag(options, "half"), err);
        status = file ? psal_safetensors_write(to, file, err) : err->status;
    }
    if (status == PSAL_OK && !psal_options_flag(options, "quiet")) {
        printf("format       %s\narchitecture %s\n", format, info->arch);
        if (*info->variant) printf("variant      %s\n", info->variant);
        if (info->width != 1) printf("width        %g\n", info->width);
        if (info->bn_epsilon > 0) printf("bn epsilon   %g\n", info->bn_epsilon);
        if (strcmp(info->family, "inception") == 0)
            printf("rescaling    %s\n", info->transform_input ? "yes (transform_input)" : "no");
        printf("preprocess   %s%s\n", preprocess,
               *info->preprocess || psal_options_has(options, "preprocess") ? "" : " (assumed)");
        printf("classes      %d (%s)\nfilters      %d\nparameters   %lld\nwritten      %s\n", info->num_classes, labels,
               info->filter_count, (long long)info->parameter_elements, to);
    }
    psal_tensor_map_free(file); /* before the map, whose tensors it shows */
    psal_tensor_map_free(map);
    return status;
}

static psal_status run(const psal_options *options, psal_error *err) {
    const char *from = psal_options_argument(options, 0);
    psal_notes notes = PSAL_NOTES_INIT;
    psal_tensor_map *checkpoint = psal_checkpoint_read(from, &notes, err);
    if (!checkpoint) return psal_notes_free(&notes), err->status;
    const psal_model_options wanted = {.arch = psal_options_string(options, "model"),
                                       .variant = psal_options_string(options, "variant"),
                                       .bn_epsilon = psal_options_double(options, "bn-epsilon"),
                                       .transform_input = psal_options_flag(options, "transform-input") ? 1 : 0};
    char remarks[1024] = "";
    psal_model *model = psal_model_load(checkpoint, &wanted, remarks, err);
    if (*remarks) psal_note(&notes, "%s", remarks);
    for (size_t i = 0; i < notes.count && !psal_options_flag(options, "quiet"); i++)
        fprintf(stderr, "%s: note: %s: %s\n", program.name, from, notes.lines[i]);
    psal_notes_free(&notes);
    const char *format = psal_tensor_map_meta(checkpoint, "format");
    psal_status status = model ? convert(options, model, format ? format : "unknown", err)
                               : psal_fail_prefix(err, "%s", from);
    psal_model_free(model);
    psal_tensor_map_free(checkpoint);
    return status;
}

int main(int argc, char **argv) {
    bool done;
    int exit_status;
    psal_options *options = psal_program_begin(&program, argc, argv, &done, &exit_status);
    if (!options || done) {
        psal_options_free(options);
        return exit_status;
    }
    psal_error err = PSAL_ERROR_INIT;
    if (run(options, &err) != PSAL_OK) exit_status = psal_program_fail(&program, &err);
    psal_options_free(options);
    if (fflush(stdout) != 0 && exit_status == 0) exit_status = 1;
    return exit_status;
}
