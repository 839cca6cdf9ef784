#include "tools/program.h"

#include <errno.h>
#include <omp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/text.h"
#include "io/mapped_file.h"
#include "io/temporary_files.h"
#include "tools/commands.h"
#include "tools/describe.h"
#include "tools/memory.h"
#include "tools/openmp_spin.h"
#include "tools/options_help.h"
#include "tools/outputs.h"
#include "tools/print.h"
#include "tools/project.h"
#include "tools/start.h"

/* ---- signals ---- */

static const char *program_name; /* for the handlers */
static volatile sig_atomic_t finishes_gently, interrupts, interrupted_by;

static void on_end(int number) {
    if (finishes_gently && interrupts++ == 0) {
        interrupted_by = number;
        return;
    }
    psal_temporary_files_remove();
    signal(number, SIG_DFL);
    raise(number); /* when this handler has returned */
}

/* A mapped file was cut short, or its disk fails. What a handler may call: no printf, no exit. */
static void on_bus_error(int number, siginfo_t *info, void *context) {
    (void)context;
    static atomic_flag told = ATOMIC_FLAG_INIT;
    char name[4096], line[4300];
    psal_temporary_files_remove();
    if (!psal_mapped_name(info->si_addr, name, sizeof name)) {
        signal(number, SIG_DFL); /* a fault of the program: again, and without this handler */
        return;
    }
    while (atomic_flag_test_and_set(&told)) pause(); /* another thread has met it too, and ends the program */
    const char *const parts[] = {
        program_name, ": ", psal_make_printable(name),
        ": cannot be read any more: it was cut short while it was in use, or the disk fails\n"};
    size_t used = 0;
    for (int i = 0; i < 4; i++) {
        size_t length = strlen(parts[i]);
        memcpy(line + used, parts[i], length);
        used += length;
    }
    (void)!write(STDERR_FILENO, line, used);
    _exit(1);
}

static void catch_signals(void) {
    static const int ends[] = {SIGHUP, SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_end, .sa_flags = SA_RESTART}, before;
    for (int i = 0; i < 3; i++) sigaddset(&action.sa_mask, ends[i]);
    for (int i = 0; i < 3; i++) /* not under nohup */
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(ends[i], &action, NULL);
    action = (struct sigaction){.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

void psal_program_stop_on_signal(void) {
    finishes_gently = 1;
}

bool psal_program_interrupted(void) {
    return interrupts > 0;
}

/* Work that was kept and then given up ends as every interrupted program does: by the signal, which a shell calls 128
 * and its number (130 for SIGINT). */
static void end_interrupted(void) {
    fflush(stdout);
    signal(interrupted_by, SIG_DFL);
    raise(interrupted_by);
}

/* ---- main ---- */

static void fail(const psal_program *program, const psal_error *err) {
    psal_print(stderr, "%s: %s\n", program->name, err->message);
}

/* What was printed must have arrived; a write that failed earlier has left its mark on the stream, but not its
 * reason. */
static psal_status finish_output(psal_error *err) {
    bool failed = ferror(stdout);
    errno = 0;
    if (fflush(stdout) == 0 && !failed) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_IO, "standard output: cannot be written: %s",
                     errno ? strerror(errno) : "a write failed");
}

static int show(const psal_program *program, const psal_options *options, psal_error *err) {
    if (psal_options_wants_help(options)) {
        char *text = psal_options_help(program, 100);
        if (!text) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for --help");
        fputs(text, stdout);
        free(text);
    } else {
        psal_print(stdout, "%s %s\n", program->name, program->version);
    }
    return 0;
}

static int describe(const psal_program *program, psal_error *err) {
    char *text = psal_describe(program, psal_command_purpose(program->name));
    if (!text) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %s", PSAL_DESCRIBE);
    puts(text);
    free(text);
    return 0;
}

/* OMP_NUM_THREADS counts where a loop does not say its own number (--threads does, elsewhere). More threads than
 * processors gain nothing there, and so many that the runtime's list of them does not fit the stack are a crash. */
static void limit_threads(void) {
    if (omp_get_max_threads() > omp_get_num_procs()) omp_set_num_threads(omp_get_num_procs());
}

/* The project's values are taken before anything is said to be missing. */
static int answer(const psal_program *program, psal_options *options, psal_project **project, char **argv,
                  psal_program_work work, psal_error *err) {
    if (psal_options_wants_help(options) || psal_options_wants_version(options)) return show(program, options, err);
    psal_status status = psal_project_apply(options, project, err);
    if (status != PSAL_OK) return status;
    if (psal_options_knows(options, "show-settings") && psal_options_flag(options, "show-settings")) {
        psal_project_show(*project, options);
        return 0;
    }
    if (psal_options_check(options, err) != PSAL_OK) {
        fail(program, err);
        err->status = PSAL_OK; /* it is said */
        return 2;
    }
    psal_limit_openmp_spin(argv); /* which may begin anew: nothing is said before */
    limit_threads();
    psal_project_note(*project, options);
    status = psal_check_outputs(program, options, err);
    if (status != PSAL_OK) return status;
    const int answered = work(options, err);
    if (answered != 0 && err->status != PSAL_OK) psal_project_name_source(options, err);
    return answered;
}

int psal_program_main(const psal_program *program, int argc, char **argv, psal_program_work work) {
    program_name = program->name;
    psal_open_standard_streams();
    catch_signals();
    psal_error err = PSAL_ERROR_INIT;
    const bool describes = argc == 2 && strcmp(argv[1], PSAL_DESCRIBE) == 0;
    psal_options *options = describes ? NULL : psal_options_read(program, argc, argv, &err);
    if (!options && !describes) {
        fail(program, &err);
        return 2;
    }
    psal_project *project = NULL;
    int status = describes ? describe(program, &err) : answer(program, options, &project, argv, work, &err);
    psal_options_free(options);
    psal_project_free(project);
    if (status == 0 || err.status == PSAL_OK) { /* an error that did not matter in the end may still stand in err */
        err.status = PSAL_OK;
        if (finish_output(&err) == PSAL_OK) return status;
    }
    if (err.status == PSAL_ERR_MEMORY) psal_memory_explain(&err);
    fail(program, &err);
    if (err.status == PSAL_ERR_CANCELLED && interrupted_by) end_interrupted();
    return 1;
}
