/* Answers the questions of test_onnx.py on single operators, one per line of standard input, fields separated by tabs:
 *
 *   MODEL.onnx OUT.npy INPUT.npy...
 *
 * computes the model's first output. Each question is answered by a line: "ok", or "error: " and the message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "io/npy.h"
#include "io/onnx.h"
#include "models/onnx.h"

enum { MOST = 16 };

static psal_status compute(psal_graph *graph, const psal_tensor *inputs, const psal_node *nodes, size_t count,
                           psal_node output, const char *out, psal_error *err) {
    const psal_plan_options options = {.outputs = {&output}, .output_count = {1}, .stages = 1, .threads = 1};
    psal_plan *plan = psal_plan_new(graph, &options, err);
    psal_workspace *workspace = plan ? psal_workspace_new(plan, err) : NULL;
    psal_status status = workspace ? PSAL_OK : psal_error_status(err);
    float *values[MOST] = {NULL}; /* the workspace reads them while it runs */
    for (size_t i = 0; !status && i < count; i++) {
        if (nodes[i] == PSAL_NO_NODE) continue;
        values[i] = malloc(((size_t)psal_shape_count(&inputs[i].shape) + 1) * sizeof *values[i]);
        if (values[i]) psal_tensor_to_f32(&inputs[i], values[i]);
        status = values[i] ? psal_workspace_set(workspace, nodes[i], values[i], err)
                           : psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    }
    if (!status) status = psal_workspace_run(workspace, 0, err);
    if (!status) {
        psal_tensor result = {PSAL_F32, *psal_graph_shape(graph, output), psal_workspace_get(workspace, output)};
        status = psal_npy_write(out, &result, err);
    }
    for (size_t i = 0; i < count; i++) free(values[i]);
    psal_workspace_free(workspace);
    psal_plan_free(plan);
    return status;
}

static psal_status answer(char *const *field, int fields, psal_error *err) {
    psal_tensor_map *files[MOST] = {NULL};
    psal_tensor inputs[MOST];
    psal_node nodes[MOST], outputs[MOST];
    const size_t count = fields > 2 ? (size_t)fields - 2 : 0;
    if (fields < 2) return psal_fail(err, PSAL_ERR_ARGUMENT, "%d fields", fields);
    psal_tensor_map *model = psal_onnx_read(field[0], err);
    psal_graph *graph = psal_graph_new();
    psal_status status = model && graph ? PSAL_OK : psal_error_status(err);
    for (size_t i = 0; !status && i < count; i++) {
        files[i] = psal_npy_read(field[2 + i], err);
        if (files[i])
            inputs[i] = *psal_tensor_map_at(files[i], 0);
        else
            status = psal_error_status(err);
    }
    const psal_description *d = status ? NULL : psal_tensor_map_description(model);
    if (d && (d->input_count != count || d->output_count > MOST || d->output_count < 1))
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "%zu inputs, expected %zu", count, d->input_count);
    if (!status) status = net_onnx_build_all(model, graph, inputs, nodes, outputs, err);
    if (!status) status = compute(graph, inputs, nodes, count, outputs[0], field[1], err);
    for (size_t i = 0; i < MOST; i++) psal_tensor_map_free(files[i]);
    psal_graph_free(graph);
    psal_tensor_map_free(model);
    return status;
}

int main(void) {
    char line[16384];
    while (fgets(line, sizeof line, stdin)) {
        psal_error err = PSAL_ERROR_INIT;
        char *field[2 + MOST];
        int fields = 0;
        line[strcspn(line, "\n")] = '\0';
        for (char *rest = line; fields < 2 + MOST && rest;) field[fields++] = strsep(&rest, "\t");
        if (answer(field, fields, &err))
            printf("error: %s\n", err.message);
        else
            printf("ok\n");
        if (fflush(stdout)) return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
