#include "tools/op_times.h"

#include <stdlib.h>
#include <string.h>

#include "engine/kernels/gemm.h"
#include "tools/print.h"

static int by_seconds(const void *a, const void *b) {
    double x = ((const psal_timing *)a)->seconds, y = ((const psal_timing *)b)->seconds;
    return (x < y) - (x > y);
}

static int by_stage_and_op(const void *a, const void *b) {
    const psal_timing *x = a, *y = b;
    return x->stage != y->stage ? x->stage - y->stage : strcmp(x->op, y->op);
}

static void print_time(FILE *out, double seconds, double total, double flops) {
    char rate[32] = "";
    if (flops > 0 && seconds > 0) snprintf(rate, sizeof rate, "%.1f", flops / seconds * 1e-9);
    psal_print(out, "%9.3f %5.1f%% %9s  ", seconds * 1e3, total > 0 ? 100 * seconds / total : 0, rate);
}

/* Add up what has the same stage and operation, in place; `calls` gets how many there were. Returns the sums'
 * number. */
static int sum_operations(psal_timing *t, int count, int *calls) {
    qsort(t, (size_t)count, sizeof *t, by_stage_and_op);
    int sums = 0;
    for (int i = 0; i < count; i++) {
        if (sums > 0 && by_stage_and_op(&t[sums - 1], &t[i]) == 0) {
            t[sums - 1].seconds += t[i].seconds;
            t[sums - 1].flops += t[i].flops;
            calls[sums - 1]++;
        } else {
            calls[sums] = 1;
            t[sums++] = t[i];
        }
    }
    return sums;
}

void psal_print_op_times(FILE *out, const psal_workspace *workspace) {
    int count = psal_workspace_timing_count(workspace);
    psal_timing *layers = malloc((size_t)(count + 1) * sizeof *layers),
                *sums = malloc((size_t)(count + 1) * sizeof *sums);
    int *calls = malloc((size_t)(count + 1) * sizeof *calls);
    if (!layers || !sums || !calls || count == 0) goto done;
    psal_workspace_timings(workspace, layers);
    memcpy(sums, layers, (size_t)count * sizeof *sums);
    double total = 0;
    for (int i = 0; i < count; i++) total += layers[i].seconds;

    psal_print(out, "%9s %6s %9s  %-5s %-26s %s\n", "ms", "share", "GFLOP/s", "stage", "operation", "nodes");
    int kinds = sum_operations(sums, count, calls);
    for (int i = 0; i < kinds; i++) {
        const bool joined = sums[i].seconds == 0 && (!strcmp(sums[i].op, "relu") || !strcmp(sums[i].op, "add"));
        print_time(out, sums[i].seconds, total, sums[i].flops);
        psal_print(out, "%-5d %-26s %d%s\n", sums[i].stage, sums[i].op, calls[i],
                   joined ? "  (in the pass of the normalisation or bias before)" : "");
    }
    qsort(layers, (size_t)count, sizeof *layers, by_seconds);
    psal_print(out, "\n");
    psal_print(out, "%9s %6s %9s  %-5s %-26s %-26s %-34s %s\n", "ms", "share", "GFLOP/s", "stage", "operation",
               "algorithm", "layer", "result");
    for (int i = 0; i < count; i++) {
        char shape[96];
        if (layers[i].seconds <= 0.001 * total && !layers[i].algorithm) continue;
        print_time(out, layers[i].seconds, total, layers[i].flops);
        psal_print(out, "%-5d %-26s %-26s %-34s %s\n", layers[i].stage, layers[i].op,
                   layers[i].algorithm ? layers[i].algorithm : "", layers[i].layer,
                   psal_shape_format(&layers[i].shape, shape, sizeof shape));
    }
    psal_print(out, "\n");
    psal_print(out, "matrix products: OpenBLAS's kernels for %s\n", psal_gemm_kernels());
done:
    free(layers);
    free(sums);
    free(calls);
}
