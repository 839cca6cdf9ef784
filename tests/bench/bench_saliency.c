/* bench_saliency - times of the two jobs on one image, on request, so that another program can measure beside it.
 *
 *   bench_saliency WEIGHTS HEIGHT WIDTH [THREADS [auto|accurate|direct|gemm]]
 *
 * Prints "ready", then reads lines from standard input: "profile" makes a profile, "full" a profile, the ranking and
 * the input saliency for k = 10; each is answered by its seconds. "flops profile" and "flops full" are answered by the
 * floating-point operations of that job. A job is prepared when it is first asked for: the first time is the warm-up of
 * whoever asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/checkpoint.h"
#include "saliency/random.h"
#include "saliency/saliency.h"
#include "saliency/standardize.h"
#include "tools/openmp_spin.h"

enum { K = 10 };

typedef struct job {
    psal_saliency *saliency;
    psal_saliency_worker *worker;
} job;

typedef struct bench {
    const psal_model *model;
    psal_saliency_options options;
    job jobs[2]; /* profile, full */
    int64_t length;
    int label;
    float *image, *naive, *gradient;
    double *target;
    double *values;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop(const psal_error *err) {
    fprintf(stderr, "bench_saliency: %s\n", err->message);
    exit(EXIT_FAILURE);
}

static void *memory(size_t count, size_t size) {
    void *p = calloc(count, size);
    if (!p) exit(EXIT_FAILURE);
    return p;
}

static job *open_job(bench *b, bool full, psal_error *err) {
    job *j = &b->jobs[full];
    if (j->worker) return j;
    b->options.input_saliency = full;
    j->saliency = psal_saliency_new(b->model, &b->options, err);
    if (j->saliency) j->worker = psal_saliency_worker_new(j->saliency, err);
    if (!j->worker) stop(err);
    return j;
}

static psal_status run(bench *b, bool full, psal_error *err) {
    const job *j = open_job(b, full, err);
    psal_status status = psal_saliency_profile(j->worker, b->image, b->label, 0, b->naive, err);
    if (status != PSAL_OK || !full) return status;
    int64_t chosen[K];
    float cosine;
    status = psal_standardize(PSAL_MODE_NAIVE, b->length, b->naive, NULL, NULL, b->values, err);
    if (status == PSAL_OK) status = psal_top_k(b->length, b->values, NULL, K, chosen, err);
    if (status != PSAL_OK) return status;
    psal_boost(b->length, b->values, chosen, K, 100, b->target);
    return psal_saliency_input(j->worker, NULL, NULL, b->target, b->gradient, &cosine, err);
}

static double count_flops(bench *b, bool full, psal_error *err) {
    psal_workspace *workspace = psal_saliency_workspace(open_job(b, full, err)->worker);
    psal_workspace_profile(workspace, true);
    if (run(b, full, err) != PSAL_OK) stop(err);
    int count = psal_workspace_timing_count(workspace);
    psal_timing *timings = memory((size_t)count + 1, sizeof *timings);
    psal_workspace_timings(workspace, timings);
    double flops = 0;
    for (int i = 0; i < count; i++) flops += timings[i].flops;
    free(timings);
    psal_workspace_profile(workspace, false);
    return flops;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: bench_saliency WEIGHTS HEIGHT WIDTH [THREADS [auto|accurate|direct|gemm]]\n");
        return 2;
    }
    psal_limit_openmp_spin(argv); /* as the programs do */
    psal_error err = PSAL_ERROR_INIT;
    const char *method = argc > 5 ? argv[5] : "auto";
    psal_saliency_options options = {.height = atoi(argv[2]),
                                     .width = atoi(argv[3]),
                                     .threads = argc > 4 ? atoi(argv[4]) : 2,
                                     .conv.method = strcmp(method, "gemm") == 0     ? PSAL_CONV2D_GEMM
                                                    : strcmp(method, "direct") == 0 ? PSAL_CONV2D_DIRECT
                                                    : strcmp(method, "auto") == 0   ? PSAL_CONV2D_AUTO
                                                                                    : PSAL_CONV2D_ACCURATE};
    psal_tensor_map *checkpoint = psal_checkpoint_read(argv[1], NULL, &err);
    psal_model_options model_options = {0};
    char notes[1024];
    psal_model *model = checkpoint ? psal_model_load(checkpoint, &model_options, notes, &err) : NULL;
    if (!model) stop(&err);
    size_t image = 3 * (size_t)options.height * (size_t)options.width;
    size_t length = (size_t)psal_model_get_info(model)->filter_count;
    bench b = {.model = model,
               .options = options,
               .length = (int64_t)length,
               .label = psal_model_get_info(model)->num_classes / 2,
               .image = memory(image, sizeof(float)),
               .naive = memory(length, sizeof(float)),
               .target = memory(length, sizeof(double)),
               .gradient = memory(image, sizeof(float)),
               .values = memory(length, sizeof(double))};
    psal_random generator = {1};
    for (size_t i = 0; i < image; i++) b.image[i] = (float)psal_random_normal(&generator);
    printf("ready\n");
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        bool full = strstr(line, "full") != NULL;
        if (strncmp(line, "flops", 5) == 0) {
            printf("%.0f\n", count_flops(&b, full, &err));
        } else {
            double start = now();
            if (run(&b, full, &err) != PSAL_OK) stop(&err);
            printf("%.6f\n", now() - start);
        }
        fflush(stdout);
    }
    for (int i = 0; i < 2; i++) {
        psal_saliency_worker_free(b.jobs[i].worker);
        psal_saliency_free(b.jobs[i].saliency);
    }
    psal_model_free(model);
    psal_tensor_map_free(checkpoint);
    free(b.image);
    free(b.naive);
    free(b.target);
    free(b.gradient);
    free(b.values);
    return 0;
}
