/* Answers the questions of test_models.py, one per line of standard input, fields separated by tabs:
 *
 *   WEIGHTS INPUT.npy OUT.npy [LAYER [PREFIX [NAME...]]]
 *
 * sends the images of INPUT (float32 [n,channels,height,width], preprocessed) through the network and writes its
 * logits to OUT; with LAYER ("layer1.0.conv1") what that layer gives instead. PREFIX and NAMEs are psal_model_options'
 * prefix and ignore_extra; empty fields are not there. Each question is answered by a line: "ok" with architecture,
 * width, variant, epsilon, the number of classes and the notes, or "error: " and the message.
 *
 *   dump_model [auto | gemm | direct | accurate]    which convolution is used (engine/kernels/conv2d/conv2d.h) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/npy.h"
#include "models/model.h"

/* The last node of a layer, PSAL_NO_NODE when there is none. */
static psal_node find_layer(const psal_graph *graph, const char *layer) {
    psal_node found = PSAL_NO_NODE;
    for (psal_node node = 0; node < psal_graph_node_count(graph); node++)
        if (strcmp(psal_graph_layer(graph, node), layer) == 0) found = node;
    return found;
}

static psal_status run(const psal_plan *plan, psal_node image, const float *values, psal_node wanted,
                       const psal_shape *shape, const char *out, psal_error *err) {
    psal_workspace *workspace = psal_workspace_new(plan, err);
    if (!workspace) return err->status;
    psal_status status = psal_workspace_set(workspace, image, values, err);
    if (!status) status = psal_workspace_run(workspace, 0, err);
    if (!status) {
        psal_tensor result = {PSAL_F32, *shape, NULL};
        result.data = (void *)(uintptr_t)psal_workspace_get(workspace, wanted);
        status = psal_npy_write(out, &result, err);
    }
    psal_workspace_free(workspace);
    return status;
}

static psal_status run_model(const psal_model *model, const psal_tensor *images, const char *out, const char *layer,
                             psal_conv2d_method method, psal_error *err) {
    const int64_t *dim = images->shape.dim;
    if (images->shape.ndim != 4 || images->dtype != PSAL_F32 || dim[1] != psal_model_get_info(model)->channels)
        return psal_fail(err, PSAL_ERR_SHAPE, "the input is not a float32 array [n,%d,h,w]",
                         psal_model_get_info(model)->channels);
    psal_graph *graph = psal_graph_new();
    if (!graph) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_network network;
    psal_plan *plan = NULL;
    psal_status status = psal_model_build(model, graph, (int)dim[0], (int)dim[2], (int)dim[3], &network, err);
    psal_node wanted = status || !layer ? network.logits : find_layer(graph, layer);
    if (!status && wanted == PSAL_NO_NODE) status = psal_fail(err, PSAL_ERR_ARGUMENT, "no layer %s", layer);
    if (!status) {
        const psal_plan_options options = {
            .outputs = {&wanted}, .output_count = {1}, .stages = 1, .threads = 2, .conv = {.method = method}};
        plan = psal_plan_new(graph, &options, err);
        status = plan ? psal_model_bind(model, &network, plan, err) : err->status;
    }
    if (!status) status = run(plan, network.image, images->data, wanted, psal_graph_shape(graph, wanted), out, err);
    psal_plan_free(plan);
    psal_network_free(&network);
    psal_graph_free(graph);
    return status;
}

static psal_status answer(char *const *field, int fields, psal_conv2d_method method, psal_error *err) {
    if (fields < 3) return psal_fail(err, PSAL_ERR_ARGUMENT, "%d fields, expected 3 or more", fields);
    psal_tensor_map *checkpoint = psal_checkpoint_read(field[0], NULL, err);
    psal_tensor_map *input = checkpoint ? psal_npy_read(field[1], err) : NULL;
    const psal_model_options options = {.prefix = fields > 4 && *field[4] ? field[4] : NULL,
                                        .ignore_extra = (const char *const *)&field[5],
                                        .ignore_extra_count = fields > 5 ? fields - 5 : 0};
    char notes[1024];
    psal_model *model = input ? psal_model_load(checkpoint, &options, notes, err) : NULL;
    psal_status status = err->status;
    if (model) {
        const psal_model_info *info = psal_model_get_info(model);
        status = run_model(model, psal_tensor_map_at(input, 0), field[2], fields > 3 && *field[3] ? field[3] : NULL,
                           method, err);
        if (!status)
            printf("ok\t%s\t%.17g\t%s\t%.17g\t%d\t%s\n", info->arch, info->width, info->variant, info->bn_epsilon,
                   info->num_classes, notes);
    }
    psal_model_free(model);
    psal_tensor_map_free(input);
    psal_tensor_map_free(checkpoint);
    return status;
}

static const char *const methods[] = {[PSAL_CONV2D_AUTO] = "auto",
                                      [PSAL_CONV2D_GEMM] = "gemm",
                                      [PSAL_CONV2D_DIRECT] = "direct",
                                      [PSAL_CONV2D_ACCURATE] = "accurate"};

int main(int argc, char **argv) {
    char line[8192];
    psal_conv2d_method method = PSAL_CONV2D_AUTO;
    for (int i = 0; argc > 1 && i < (int)(sizeof methods / sizeof *methods); i++)
        if (strcmp(methods[i], argv[1]) == 0) method = (psal_conv2d_method)i;
    if (argc > 2 || (argc == 2 && strcmp(methods[method], argv[1]) != 0)) {
        fprintf(stderr, "usage: dump_model [auto|gemm|direct|accurate]\n");
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof line, stdin)) {
        psal_error err = PSAL_ERROR_INIT;
        char *field[10];
        int fields = 0;
        line[strcspn(line, "\n")] = '\0';
        for (char *rest = line; fields < 10 && rest;) field[fields++] = strsep(&rest, "\t");
        if (answer(field, fields, method, &err)) printf("error: %s\n", err.message);
        if (fflush(stdout)) return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
