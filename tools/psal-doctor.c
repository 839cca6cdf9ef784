/* psal-doctor: what psal finds on this machine, and whether it computes here what it computed elsewhere. */
#include <cairo.h>
#include <cblas.h>
#include <dirent.h>
#include <jansson.h>
#include <omp.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <webp/decode.h>
#include <zlib.h>

#include <jpeglib.h>

#include "engine/kernels/conv2d/conv2d.h"
#include "tools/memory.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/self_test.h"
#include "tools/session.h"

static const psal_option table[] = {{PSAL_OPTION_CHOICE, "processor", 0, NULL, "auto",
                                     "Test these instructions instead of the best that this machine has.",
                                     .choices = "auto|portable|avx2|avx512|amx|neon"},
                                    {0}};

static const psal_program program = {
    .name = "psal-doctor",
    .version = PSAL_VERSION,
    .summary =
        "Say what psal finds on this machine (instructions, kernels, libraries, networks, memory), and test whether "
        "it computes here the numbers that it computed where it was made.",
    .options = table,
    .makes_project = true, /* it reads none */
    .epilogue = "Examples:\n"
                "  psal-doctor                        for a look, or for a report of a fault\n"
                "  psal-doctor --processor portable   whether special instructions are at fault\n"};

static void print_row(const char *title, const char *text) {
    psal_print(stdout, "%-14s%s\n", title, text);
}

/* ---- the processor ---- */

/* "model name" of /proc/cpuinfo; "" where there is none (ARM). */
static void read_processor_name(char name[200]) {
    char line[1000];
    FILE *file = fopen("/proc/cpuinfo", "r");
    name[0] = 0;
    while (file && !*name && fgets(line, sizeof line, file)) {
        const char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (colon) snprintf(name, 200, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file) fclose(file);
}

static void print_processor(psal_processor wanted) {
    char name[200], text[600], list[100] = "";
    read_processor_name(name);
    snprintf(text, sizeof text, "%s%s%d of %ld processors may be used", name, *name ? ", " : "", omp_get_num_procs(),
             sysconf(_SC_NPROCESSORS_ONLN));
    print_row("processor", text);
    for (int i = PSAL_PROCESSOR_PORTABLE; i < PSAL_PROCESSORS; i++)
        if (psal_processor_runs((psal_processor)i))
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "",
                     psal_processor_name((psal_processor)i));
    snprintf(text, sizeof text, "%s; used: %s", list,
             psal_processor_name(wanted == PSAL_PROCESSOR_AUTO ? psal_processor_best() : wanted));
    print_row("instructions", text);
}

/* Of convolutions as most of a ResNet-50 are. */
static void print_kernels(psal_processor processor) {
    static const struct {
        const char *name;
        psal_conv2d_shape shape;
    } layers[] = {{"7x7 / 2", {1, 3, 224, 224, 64, 112, 112, 7, 7, 2, 2, 3, 3, 1, 1, 1}},
                  {"1x1", {1, 256, 56, 56, 64, 56, 56, 1, 1, 1, 1, 0, 0, 1, 1, 1}},
                  {"3x3", {1, 64, 56, 56, 64, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1, 1}},
                  {"3x3 / 2", {1, 128, 56, 56, 128, 28, 28, 3, 3, 2, 2, 1, 1, 1, 1, 1}}};
    const psal_conv2d_settings settings = {PSAL_CONV2D_AUTO, processor};
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        char text[300];
        const psal_conv2d_shape *shape = &layers[i].shape;
        snprintf(text, sizeof text, "%-9s forward %s, gradients %s (dx), %s (dw)", layers[i].name,
                 psal_conv2d_algorithm_for(shape, PSAL_CONV2D_FORWARD, settings),
                 psal_conv2d_algorithm_for(shape, PSAL_CONV2D_DX, settings),
                 psal_conv2d_algorithm_for(shape, PSAL_CONV2D_DW, settings));
        print_row(i ? "" : "kernels", text);
    }
}

/* ---- libraries ---- */

#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x

static void print_libraries(void) {
    static const char *const kinds[] = {"one thread", "threads", "OpenMP"};
    const int kind = openblas_get_parallel(), png = (int)png_access_version_number(), webp = WebPGetDecoderVersion();
    char text[600];
    snprintf(text, sizeof text, "%s, core %s, %s", openblas_get_config(), openblas_get_corename(),
             kind >= 0 && kind < 3 ? kinds[kind] : "unknown");
    print_row("OpenBLAS", text);
    snprintf(text, sizeof text, "libjpeg-turbo %s, libpng %d.%d.%d, libwebp %d.%d.%d, zlib %s, Jansson %s, Cairo %s",
#ifdef LIBJPEG_TURBO_VERSION
             TEXT(LIBJPEG_TURBO_VERSION),
#else
             "no (libjpeg " TEXT(JPEG_LIB_VERSION) ")",
#endif
             png / 10000, png / 100 % 100, png % 100, webp >> 16, webp >> 8 & 255, webp & 255, zlibVersion(),
             jansson_version_str(), cairo_version_string());
    print_row("libraries", text);
}

/* ---- threads, memory, files ---- */

static void print_threads(void) {
    static const char *const names[] = {"OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS",
                                        "OPENBLAS_CORETYPE"};
    char text[400];
    snprintf(text, sizeof text, "%d", omp_get_max_threads());
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]))
            snprintf(text + strlen(text), sizeof text - strlen(text), ", %s=%.40s", names[i], getenv(names[i]));
    print_row("threads", text);
}

static psal_status print_memory(psal_error *err) {
    char text[100];
    size_t limit;
    psal_status status = psal_memory_limit(1, 0, &limit, err);
    if (status != PSAL_OK) return status;
    snprintf(text, sizeof text, "%zu MiB at most, without --memory-limit", limit >> 20);
    print_row("memory", text);
    return PSAL_OK;
}

/* How many networks and statistics lie in a folder, and how large all of that is. */
static void print_folder(const char *title, const char *path, const char *missing) {
    char text[4300];
    int count = 0;
    long long size = 0;
    DIR *entries = opendir(path);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        const char *ending = strrchr(entry->d_name, '.');
        struct stat file;
        if (!ending || (strcmp(ending, ".safetensors") != 0 && strcmp(ending, ".pth") != 0)) continue;
        if (fstatat(dirfd(entries), entry->d_name, &file, 0) != 0) continue;
        count++;
        size += file.st_size;
    }
    if (entries)
        snprintf(text, sizeof text, "%.4096s: %d files of networks and statistics, %.1f MiB", path, count,
                 (double)size / (1 << 20));
    else
        snprintf(text, sizeof text, "%.4096s: %s", path, missing);
    if (entries) closedir(entries);
    print_row(title, text);
}

static void print_folders(void) {
    char path[4096], found[4096];
    psal_error why = PSAL_ERROR_INIT;
    if (psal_box_file(".", path, &why) == PSAL_OK)
        print_folder("box", path, "cannot be read");
    else
        print_row("box", why.message);
    why = (psal_error)PSAL_ERROR_INIT;
    if (psal_cache_file(".", path, &why) == PSAL_OK && realpath(path, found))
        print_folder("cache", found, "cannot be read");
    else
        print_row("cache", why.status == PSAL_ERR_ARGUMENT ? "none yet; psal-fetch makes it" : why.message);
}

static int work(const psal_options *options, psal_error *err) {
    const psal_processor wanted = (psal_processor)psal_options_choice(options, "processor");
    if (!psal_processor_runs(wanted))
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "--processor %s: this machine does not have it; the best that it has is %s",
                         psal_processor_name(wanted), psal_processor_name(psal_processor_best()));
    print_row("psal", PSAL_VERSION);
    print_processor(wanted);
    print_kernels(wanted);
    print_libraries();
    print_threads();
    print_folders();
    psal_status status = print_memory(err);
    psal_self_test test;
    if (status == PSAL_OK) status = psal_self_test_run(wanted, &test, err);
    if (status != PSAL_OK) return status;
    char text[400];
    snprintf(
        text, sizeof text,
        "passed in %.2f s: %d numbers of %s (logits, profile, heat map), the largest deviation is %.0e of %.0e allowed",
        test.seconds, test.numbers, test.arch, test.deviation, PSAL_SELF_TEST_TOLERANCE);
    print_row("self-test", text);
    return PSAL_OK;
}

int main(int argc, char **argv) {
    return psal_program_main(&program, argc, argv, work);
}
