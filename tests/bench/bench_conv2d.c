/* bench_conv2d - time of every convolution of eleven networks, layer by layer, for each operation and method.
 *
 *   bench_conv2d [--network NAME] [--op forward|dy|dx|dw|mean|ternary_dy|ternary_dx]
 *                [--method auto|accurate|direct|gemm]... [--processor auto|portable|avx2|avx512|amx|neon]
 *                [--threads N] [--workers N] [--batch N] [--seconds S] [--layers] [--only TEXT] [--cpu-time] [--cold]
 *
 * --only times the layers whose line has TEXT in it, as "k3x3 s2". Several --method run interleaved, so that a busy
 * machine hits all alike; each time is the smallest of the repeats. With --workers N, N threads run the same layer at
 * once, each on its own buffers (one image per thread), and with --batch N all run N images together; the time is per
 * image. --cold takes other weights every time, from 256 MiB of them, as in a network, which comes back to a layer's
 * weights only when the caches have forgotten them (forward and dx). --cpu-time counts the processor time of the main
 * thread instead of the clock's, for one thread on a busy machine. The last line is the SGEMM peak of one thread times
 * the number of threads, measured in the same run. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conv2d_shapes.h"
#include "engine/kernels/gemm.h"

typedef enum { FORWARD, DY, DX, DW, MEAN, TERNARY_DY, TERNARY_DX, OPS } op_kind;
static const char *const op_names[OPS] = {"forward", "dy", "dx", "dw", "mean", "ternary_dy", "ternary_dx"};
enum { METHODS = 4 };
static const char *const method_names[METHODS] = {"auto", "gemm", "direct", "accurate"};
static const psal_conv2d_method methods[METHODS] = {PSAL_CONV2D_AUTO, PSAL_CONV2D_GEMM, PSAL_CONV2D_DIRECT,
                                                    PSAL_CONV2D_ACCURATE};

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *memory(size_t bytes) {
    float *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) exit(EXIT_FAILURE);
    for (size_t i = 0; i < (bytes + 127) / 64 * 16; i++)
        p[i] = (float)((int)((i * 2654435761u) >> 8 & 1023) - 512) / 512;
    return p;
}

typedef struct operands {
    float *x, *w, *y, *scratch[METHODS];
    psal_convolution *chosen[METHODS]; /* shared by all */
    float *all_w;                      /* w is one of `copies`, which follow each other */
    unsigned char *codes;              /* as many: ternary codes and a scale for each filter */
    float *scale;
    size_t weights, copies, next;
} operands;

static psal_convolution *choose(const psal_conv2d_shape *s, op_kind op, psal_conv2d_settings settings, int threads) {
    static const psal_conv2d_direction directions[OPS] = {
        PSAL_CONV2D_FORWARD, PSAL_CONV2D_DY,         PSAL_CONV2D_DX,        PSAL_CONV2D_DW,
        PSAL_CONV2D_DW_MEAN, PSAL_CONV2D_TERNARY_DY, PSAL_CONV2D_TERNARY_DX};
    psal_error err = PSAL_ERROR_INIT;
    psal_convolution *chosen = psal_conv2d_choose(s, directions[op], settings, threads, &err);
    if (chosen) return chosen;
    fprintf(stderr, "bench_conv2d: %s\n", err.message);
    exit(EXIT_FAILURE);
}

static void run(op_kind op, int method, operands *o) {
    const size_t copy = o->next++ % o->copies;
    o->w = o->all_w + copy * o->weights;
    const psal_ternary_filters ternary = {o->codes + copy * o->weights, o->scale, 1};
    psal_conv2d_operands call = {.x = o->x, .w = o->w, .dy = o->y, .ternary = &ternary};
    call.result = op == DX || op == TERNARY_DX ? o->x : op == DW || op == MEAN ? o->w : o->y;
    psal_conv2d_run(o->chosen[method], &call, o->scratch[method]);
}

typedef struct options {
    const char *network, *only, *op;
    bool chosen[METHODS], layers, cold;
    psal_processor processor;
    int threads, workers, batch;
    double seconds;
} options;

/* Smallest time of one layer for each chosen method, into best[METHODS]. */
static void time_layer(const psal_conv2d_shape *image, op_kind op, const options *opt, double *best) {
    psal_conv2d_shape batched = *image, *s = &batched;
    s->batch = opt->batch;
    const size_t x = (size_t)s->batch * s->in_channels * s->in_height * s->in_width;
    const size_t y = (size_t)s->batch * s->out_channels * s->out_height * s->out_width;
    const size_t w = (size_t)s->out_channels * (s->in_channels / s->groups) * s->kernel_height * s->kernel_width;
    const bool reads_weights = op != DW && op != MEAN, is_ternary = op == TERNARY_DY || op == TERNARY_DX;
    operands *o = calloc((size_t)opt->workers, sizeof *o);
    if (!o) exit(EXIT_FAILURE);
    for (int i = 0; i < opt->workers; i++) {
        o[i].x = memory(x * sizeof(float));
        o[i].y = memory(y * sizeof(float));
        o[i].weights = w;
        o[i].copies = opt->cold && reads_weights ? ((size_t)256 << 20) / (w * sizeof(float)) + 1 : 1;
        o[i].all_w = i == 0 || !reads_weights ? memory(o[i].copies * w * sizeof(float)) : o[0].all_w;
        if (is_ternary) {
            o[i].codes = i == 0 ? (unsigned char *)memory(o[i].copies * w) : o[0].codes;
            o[i].scale = memory((size_t)s->out_channels * sizeof(float));
            for (size_t k = 0; i == 0 && k < o[i].copies * w; k++)
                o[i].codes[k] = (unsigned char)((k * 2654435761u >> 16) % 3);
        }
        for (int m = 0; m < METHODS; m++) {
            if (!opt->chosen[m]) continue;
            const psal_conv2d_settings settings = {methods[m], opt->processor};
            o[i].chosen[m] = i == 0 ? choose(s, op, settings, opt->threads) : o[0].chosen[m];
            o[i].scratch[m] = memory(psal_conv2d_scratch(o[i].chosen[m]));
        }
    }
    for (int m = 0; m < METHODS; m++) best[m] = 1e9;
    const double end = now() + opt->seconds;
    for (int repeat = 0; repeat < 3 || now() < end; repeat++) {
        for (int m = 0; m < METHODS; m++) {
            if (!opt->chosen[m]) continue;
            double start = now();
            if (opt->workers == 1) {
                run(op, m, &o[0]);
            } else {
#pragma omp parallel num_threads(opt->workers)
                run(op, m, &o[omp_get_thread_num()]);
            }
            double t = (now() - start) / (opt->workers * opt->batch);
            if (t < best[m]) best[m] = t;
        }
    }
    for (int i = 0; i < opt->workers; i++) {
        free(o[i].x);
        free(o[i].y);
        if (i == 0 || !reads_weights) free(o[i].all_w);
        if (i == 0) free(o[i].codes);
        free(o[i].scale);
        for (int m = 0; m < METHODS; m++) {
            free(o[i].scratch[m]);
            if (i == 0) psal_conv2d_free(o[0].chosen[m]);
        }
    }
    free(o);
}

static double sgemm_peak(int threads) {
    enum { N = 768 };
    float *a = memory(N * N * 4), *b = memory(N * N * 4), *c = memory(N * N * 4);
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        double start = now();
        psal_gemm(false, false, N, N, N, a, N, b, N, false, c, N);
        double t = now() - start;
        if (t < best) best = t;
    }
    free(a);
    free(b);
    free(c);
    return 2e-9 * N * N * N / best * threads;
}

static double gflop(const psal_conv2d_shape *s) {
    return 2e-9 * s->out_channels * s->in_channels / s->groups * s->kernel_height * s->kernel_width * s->out_height *
           s->out_width;
}

static void time_network(int index, const options *opt) {
    conv_network net;
    conv_network_make(index, &net);
    if (opt->network && strcmp(opt->network, net.name) != 0) return;
    double sum[OPS][METHODS] = {{0}}, work[OPS] = {0};
    for (op_kind op = FORWARD; op < OPS; op++) {
        if (opt->op ? strcmp(opt->op, op_names[op]) != 0 : op == DY || op >= MEAN) continue;
        for (int i = 0; i < net.layers; i++) {
            const psal_conv2d_shape *s = &net.layer[i].shape;
            char name[100];
            snprintf(name, sizeof name, "%4dx%3dx%3d -> %4dx%3d k%dx%d s%d x%d", s->in_channels, s->in_height,
                     s->in_width, s->out_channels, s->out_height, s->kernel_height, s->kernel_width, s->stride_height,
                     net.layer[i].times);
            if (opt->only && !strstr(name, opt->only)) continue;
            double best[METHODS];
            time_layer(s, op, opt, best);
            work[op] += gflop(s) * net.layer[i].times;
            if (opt->layers) printf("%-8s %-37s", op_names[op], name);
            for (int m = 0; m < METHODS; m++) {
                if (!opt->chosen[m]) continue;
                sum[op][m] += best[m] * net.layer[i].times;
                if (opt->layers) printf("  %s %7.3f ms %4.0f GF/s", method_names[m], 1e3 * best[m], gflop(s) / best[m]);
            }
            if (opt->layers) printf("\n");
        }
    }
    for (int m = 0; m < METHODS; m++) {
        if (!opt->chosen[m]) continue;
        double total = 0;
        printf("%-18s %-9s", net.name, method_names[m]);
        for (op_kind op = FORWARD; op < OPS; op++) {
            if (sum[op][m] == 0) continue;
            printf("%s %7.1f ms (%3.0f GF/s)  ", op_names[op], 1e3 * sum[op][m], work[op] / sum[op][m]);
            total += sum[op][m];
        }
        printf("together %7.1f ms\n", 1e3 * total);
    }
    fflush(stdout);
}

static int index_of(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0) return i;
    fprintf(stderr, "bench_conv2d: unknown name '%s'\n", name);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
    options opt = {.threads = omp_get_num_procs(), .workers = 1, .batch = 1, .seconds = 0.1};
    bool any = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--layers") == 0) {
            opt.layers = true;
            continue;
        }
        if (strcmp(argv[i], "--cold") == 0) {
            opt.cold = true;
            continue;
        }
        if (strcmp(argv[i], "--cpu-time") == 0) {
            clock_used = CLOCK_THREAD_CPUTIME_ID;
            continue;
        }
        if (strcmp(argv[i], "--network") == 0)
            opt.network = value;
        else if (strcmp(argv[i], "--only") == 0)
            opt.only = value;
        else if (strcmp(argv[i], "--op") == 0)
            opt.op = op_names[index_of(value, op_names, OPS)];
        else if (strcmp(argv[i], "--method") == 0)
            opt.chosen[index_of(value, method_names, METHODS)] = any = true;
        else if (strcmp(argv[i], "--processor") == 0) {
            while (opt.processor < PSAL_PROCESSORS && strcmp(value, psal_processor_name(opt.processor)) != 0)
                opt.processor++;
            if (opt.processor == PSAL_PROCESSORS) return EXIT_FAILURE;
        } else if (strcmp(argv[i], "--threads") == 0)
            opt.threads = atoi(value);
        else if (strcmp(argv[i], "--workers") == 0)
            opt.workers = atoi(value);
        else if (strcmp(argv[i], "--batch") == 0)
            opt.batch = atoi(value);
        else if (strcmp(argv[i], "--seconds") == 0)
            opt.seconds = atof(value);
        else {
            fprintf(stderr, "bench_conv2d: unknown option '%s'\n", argv[i]);
            return EXIT_FAILURE;
        }
        i++;
    }
    if (opt.threads < 1 || opt.workers < 1 || opt.batch < 1) return EXIT_FAILURE;
    if (opt.workers > 1) opt.threads = 1;
    for (int m = 0; m < METHODS; m++) opt.chosen[m] |= !any;
    for (int i = 0; i < CONV_NETWORKS; i++) time_network(i, &opt);
    int used = opt.threads > opt.workers ? opt.threads : opt.workers;
    printf("sgemm peak (768 x 768 x 768, one thread's rate times %d): %.0f GF/s\n", used, sgemm_peak(used));
    return EXIT_SUCCESS;
}
