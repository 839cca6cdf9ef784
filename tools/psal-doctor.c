/* psal-doctor: what psal finds on this machine, and whether it computes here what it computed elsewhere. */
#include <stdio.h>
#include <string.h>

#include "io/json_output.h"
#include "tools/doctor_facts.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/self_test.h"
#include "tools/session.h"

static const psal_option table[] = {{PSAL_OPTION_CHOICE, "processor", 0, NULL, "auto",
                                     "Test these instructions instead of the best that this machine has.",
                                     .choices = "auto|portable|avx2|avx512|amx|neon"},
                                    {PSAL_OPTION_FLAG, "json", .help = "Print all that as one JSON object."},
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
                "  psal-doctor --processor portable   whether special instructions are at fault\n"
                "  psal-doctor --json                 for a program\n"};

static void print_row(const char *title, const char *text) {
    psal_print(stdout, "%-14s%s\n", title, text);
}

/* ---- as text ---- */

static void print_processor(const psal_doctor_facts *f) {
    char text[600], list[100] = "";
    snprintf(text, sizeof text, "%s%s%d of %ld processors may be used", f->processor, *f->processor ? ", " : "",
             f->usable, f->online);
    print_row("processor", text);
    for (int i = PSAL_PROCESSOR_PORTABLE; i < PSAL_PROCESSORS; i++)
        if (psal_processor_runs((psal_processor)i))
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "",
                     psal_processor_name((psal_processor)i));
    snprintf(text, sizeof text, "%s; used: %s", list, psal_processor_name(f->used));
    print_row("instructions", text);
    for (int i = 0; i < PSAL_DOCTOR_LAYERS; i++) {
        snprintf(text, sizeof text, "%-9s forward %s, gradients %s (dx), %s (dw)", f->kernels[i].name,
                 f->kernels[i].forward, f->kernels[i].dx, f->kernels[i].dw);
        print_row(i ? "" : "kernels", text);
    }
}

static void print_libraries(const psal_doctor_facts *f) {
    char text[600];
    snprintf(text, sizeof text, "%s, core %s, %s", f->blas_configuration, f->blas_core, f->blas_threads);
    print_row("OpenBLAS", text);
    text[0] = '\0';
    for (int i = 0; i < PSAL_DOCTOR_LIBRARIES; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %s", i ? ", " : "", f->libraries[i].name,
                 f->libraries[i].version);
    print_row("libraries", text);
    snprintf(text, sizeof text, "%d", f->threads);
    for (int i = 0; i < PSAL_DOCTOR_VARIABLES; i++)
        if (f->variables[i].value)
            snprintf(text + strlen(text), sizeof text - strlen(text), ", %s=%.40s", f->variables[i].name,
                     f->variables[i].value);
    print_row("threads", text);
}

static void print_folder(const char *title, const psal_doctor_folder *folder) {
    char text[8400];
    if (*folder->problem)
        snprintf(text, sizeof text, "%s%s%s", folder->path, *folder->path ? ": " : "", folder->problem);
    else
        snprintf(text, sizeof text, "%s: %d files of networks and statistics, %.1f MiB", folder->path, folder->files,
                 (double)folder->bytes / (1 << 20));
    print_row(title, text);
}

static void print_facts(const psal_doctor_facts *f) {
    char text[100];
    print_row("psal", PSAL_VERSION);
    print_processor(f);
    print_libraries(f);
    print_folder("box", &f->box);
    print_folder("cache", &f->cache);
    snprintf(text, sizeof text, "%zu MiB at most, without --memory-limit", f->memory_limit >> 20);
    print_row("memory", text);
}

static void print_test(const psal_self_test *test) {
    char text[400];
    snprintf(
        text, sizeof text,
        "passed in %.2f s: %d numbers of %s (logits, profile, heat map), the largest deviation is %.0e of %.0e allowed",
        test->seconds, test->numbers, test->arch, test->deviation, PSAL_SELF_TEST_TOLERANCE);
    print_row("self-test", text);
}

/* ---- as JSON ---- */

static json_t *folder_json(const psal_doctor_folder *folder) {
    json_t *o = json_object();
    json_object_set_new(o, "path", *folder->path ? psal_json_string(folder->path) : json_null());
    if (*folder->problem) {
        json_object_set_new(o, "problem", psal_json_string(folder->problem));
        return o;
    }
    json_object_set_new(o, "files", json_integer(folder->files));
    json_object_set_new(o, "bytes", json_integer(folder->bytes));
    return o;
}

static json_t *processor_json(const psal_doctor_facts *f) {
    json_t *o = json_object();
    json_object_set_new(o, "name", *f->processor ? psal_json_string(f->processor) : json_null());
    json_object_set_new(o, "usable", json_integer(f->usable));
    json_object_set_new(o, "online", json_integer(f->online));
    return o;
}

static json_t *instructions_json(const psal_doctor_facts *f) {
    json_t *o = json_object(), *available = json_array();
    for (int i = PSAL_PROCESSOR_PORTABLE; i < PSAL_PROCESSORS; i++)
        if (psal_processor_runs((psal_processor)i))
            json_array_append_new(available, psal_json_string(psal_processor_name((psal_processor)i)));
    json_object_set_new(o, "available", available);
    json_object_set_new(o, "used", psal_json_string(psal_processor_name(f->used)));
    return o;
}

static json_t *kernels_json(const psal_doctor_facts *f) {
    json_t *list = json_array();
    for (int i = 0; i < PSAL_DOCTOR_LAYERS; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "layer", psal_json_string(f->kernels[i].name));
        json_object_set_new(o, "forward", psal_json_string(f->kernels[i].forward));
        json_object_set_new(o, "dx", psal_json_string(f->kernels[i].dx));
        json_object_set_new(o, "dw", psal_json_string(f->kernels[i].dw));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *openblas_json(const psal_doctor_facts *f) {
    json_t *o = json_object();
    json_object_set_new(o, "configuration", psal_json_string(f->blas_configuration));
    json_object_set_new(o, "core", psal_json_string(f->blas_core));
    json_object_set_new(o, "threads", psal_json_string(f->blas_threads));
    return o;
}

static json_t *threads_json(const psal_doctor_facts *f) {
    json_t *o = json_object(), *environment = json_object();
    for (int i = 0; i < PSAL_DOCTOR_VARIABLES; i++)
        if (f->variables[i].value)
            json_object_set_new(environment, f->variables[i].name, psal_json_string(f->variables[i].value));
    json_object_set_new(o, "most", json_integer(f->threads));
    json_object_set_new(o, "environment", environment);
    return o;
}

static json_t *test_json(const psal_self_test *test) {
    json_t *o = json_object();
    json_object_set_new(o, "arch", psal_json_string(test->arch));
    json_object_set_new(o, "numbers", json_integer(test->numbers));
    json_object_set_new(o, "deviation", psal_json_double(test->deviation));
    json_object_set_new(o, "tolerance", psal_json_double(PSAL_SELF_TEST_TOLERANCE));
    json_object_set_new(o, "seconds", psal_json_double(test->seconds));
    return o;
}

static psal_status print_json(const psal_doctor_facts *f, const psal_self_test *test, psal_error *err) {
    json_t *root = psal_json_document("psal-doctor/1"), *libraries = json_object();
    for (int i = 0; i < PSAL_DOCTOR_LIBRARIES; i++)
        json_object_set_new(libraries, f->libraries[i].name, psal_json_string(f->libraries[i].version));
    json_object_set_new(root, "version", psal_json_string(PSAL_VERSION));
    json_object_set_new(root, "processor", processor_json(f));
    json_object_set_new(root, "instructions", instructions_json(f));
    json_object_set_new(root, "kernels", kernels_json(f));
    json_object_set_new(root, "openblas", openblas_json(f));
    json_object_set_new(root, "libraries", libraries);
    json_object_set_new(root, "threads", threads_json(f));
    json_object_set_new(root, "box", folder_json(&f->box));
    json_object_set_new(root, "cache", folder_json(&f->cache));
    json_object_set_new(root, "memory_limit_mib", json_integer((json_int_t)(f->memory_limit >> 20)));
    json_object_set_new(root, "self_test", test_json(test));
    psal_status status = psal_json_write(root, stdout, err);
    json_decref(root);
    return status;
}

/* ---- */

static int work(const psal_options *options, psal_error *err) {
    const psal_processor wanted = (psal_processor)psal_options_choice(options, "processor");
    const bool json = psal_options_flag(options, "json");
    if (!psal_processor_runs(wanted))
        return psal_fail(err, PSAL_ERR_UNSUPPORTED,
                         "--processor %s: this machine does not have it; the best that it has is %s",
                         psal_processor_name(wanted), psal_processor_name(psal_processor_best()));
    psal_doctor_facts facts;
    psal_self_test test;
    psal_status status = psal_doctor_find(wanted, &facts, err);
    if (status != PSAL_OK) return status;
    if (!json) print_facts(&facts); /* also before a test that fails */
    if ((status = psal_self_test_run(wanted, &test, err)) != PSAL_OK) return status;
    if (json) return print_json(&facts, &test, err);
    print_test(&test);
    return PSAL_OK;
}

int main(int argc, char **argv) {
    return psal_program_main(&program, argc, argv, work);
}
