#include "tools/doctor_facts.h"

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

#include "tools/memory.h"
#include "tools/session.h"

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

static void choose_kernels(psal_processor processor, psal_doctor_facts *facts) {
    static const struct {
        const char *name;
        psal_conv2d_shape shape;
    } layers[PSAL_DOCTOR_LAYERS] = {{"7x7 / 2", {1, 3, 224, 224, 64, 112, 112, 7, 7, 2, 2, 3, 3, 1, 1, 1}},
                                    {"1x1", {1, 256, 56, 56, 64, 56, 56, 1, 1, 1, 1, 0, 0, 1, 1, 1}},
                                    {"3x3", {1, 64, 56, 56, 64, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1, 1}},
                                    {"3x3 / 2", {1, 128, 56, 56, 128, 28, 28, 3, 3, 2, 2, 1, 1, 1, 1, 1}}};
    const psal_conv2d_settings settings = {PSAL_CONV2D_AUTO, processor};
    for (int i = 0; i < PSAL_DOCTOR_LAYERS; i++) {
        const psal_conv2d_shape *shape = &layers[i].shape;
        facts->kernels[i].name = layers[i].name;
        facts->kernels[i].forward = psal_conv2d_algorithm_for(shape, PSAL_CONV2D_FORWARD, settings);
        facts->kernels[i].dx = psal_conv2d_algorithm_for(shape, PSAL_CONV2D_DX, settings);
        facts->kernels[i].dw = psal_conv2d_algorithm_for(shape, PSAL_CONV2D_DW, settings);
    }
}

#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x
#ifdef LIBJPEG_TURBO_VERSION
#define JPEG_NAME "libjpeg-turbo"
#define JPEG_VERSION TEXT(LIBJPEG_TURBO_VERSION)
#else
#define JPEG_NAME "libjpeg"
#define JPEG_VERSION TEXT(JPEG_LIB_VERSION)
#endif

static void ask_libraries(psal_doctor_facts *facts) {
    static const char *const kinds[] = {"one thread", "threads", "OpenMP"};
    const int kind = openblas_get_parallel(), png = (int)png_access_version_number(), webp = WebPGetDecoderVersion();
    facts->blas_configuration = openblas_get_config();
    facts->blas_core = openblas_get_corename();
    facts->blas_threads = kind >= 0 && kind < 3 ? kinds[kind] : "unknown";
    static const char *const names[] = {JPEG_NAME, "libpng", "libwebp", "zlib", "Jansson", "Cairo"};
    const char *const versions[] = {JPEG_VERSION,          NULL, NULL, zlibVersion(), jansson_version_str(),
                                    cairo_version_string()};
    for (int i = 0; i < PSAL_DOCTOR_LIBRARIES; i++) {
        facts->libraries[i].name = names[i];
        if (versions[i]) snprintf(facts->libraries[i].version, sizeof facts->libraries[i].version, "%s", versions[i]);
    }
    snprintf(facts->libraries[1].version, sizeof facts->libraries[1].version, "%d.%d.%d", png / 10000, png / 100 % 100,
             png % 100);
    snprintf(facts->libraries[2].version, sizeof facts->libraries[2].version, "%d.%d.%d", webp >> 16, webp >> 8 & 255,
             webp & 255);
}

static void count_files(psal_doctor_folder *folder) {
    DIR *entries = opendir(folder->path);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        const char *ending = strrchr(entry->d_name, '.');
        struct stat file;
        if (!ending || (strcmp(ending, ".safetensors") != 0 && strcmp(ending, ".pth") != 0)) continue;
        if (fstatat(dirfd(entries), entry->d_name, &file, 0) != 0) continue;
        folder->files++;
        folder->bytes += file.st_size;
    }
    if (entries)
        closedir(entries);
    else
        snprintf(folder->problem, sizeof folder->problem, "cannot be read");
}

static void look_into_folders(psal_doctor_facts *facts) {
    char path[4096];
    psal_error why = PSAL_ERROR_INIT;
    if (psal_box_file(".", facts->box.path, &why) == PSAL_OK) {
        count_files(&facts->box);
    } else {
        facts->box.path[0] = '\0';
        snprintf(facts->box.problem, sizeof facts->box.problem, "%s", why.message);
    }
    why = (psal_error)PSAL_ERROR_INIT;
    if (psal_cache_file(".", path, &why) == PSAL_OK && realpath(path, facts->cache.path)) {
        count_files(&facts->cache);
    } else {
        facts->cache.path[0] = '\0';
        snprintf(facts->cache.problem, sizeof facts->cache.problem, "%s",
                 why.status == PSAL_ERR_ARGUMENT ? "none yet; psal-fetch makes it" : why.message);
    }
}

psal_status psal_doctor_find(psal_processor processor, psal_doctor_facts *facts, psal_error *err) {
    static const char *const variables[PSAL_DOCTOR_VARIABLES] = {"OMP_NUM_THREADS", "OMP_WAIT_POLICY",
                                                                 "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE"};
    *facts = (psal_doctor_facts){.usable = omp_get_num_procs(),
                                 .online = sysconf(_SC_NPROCESSORS_ONLN),
                                 .used = processor == PSAL_PROCESSOR_AUTO ? psal_processor_best() : processor,
                                 .threads = omp_get_max_threads()};
    read_processor_name(facts->processor);
    choose_kernels(processor, facts);
    ask_libraries(facts);
    for (int i = 0; i < PSAL_DOCTOR_VARIABLES; i++) {
        facts->variables[i].name = variables[i];
        facts->variables[i].value = getenv(variables[i]);
    }
    look_into_folders(facts);
    return psal_memory_limit(1, 0, &facts->memory_limit, err);
}
