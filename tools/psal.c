/* psal - the one entry point: psal run ... is psal-run ..., the program beside it; psal help run is psal-run --help. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/spelling.h"
#include "tools/commands.h"
#include "tools/describe.h"
#include "tools/options_help.h"
#include "tools/print.h"
#include "tools/session.h"

static const psal_option no_options[] = {{0}};

static const psal_program program = {
    .name = "psal",
    .version = PSAL_VERSION,
    .summary = "Start one of psal's programs: psal run is psal-run, and so on. psal help COMMAND shows its options.",
    .arguments = "COMMAND [ARGUMENTS...]",
    .subcommands = psal_commands,
    .options = no_options,
    .makes_project = true, /* it reads none */
    .epilogue = "Examples:\n"
                "  psal doctor            whether psal works on this machine\n"
                "  psal run               a mistake of psal's own small network\n"
                "  psal help run          the options of psal run\n"};

/* `text`, which is freed: everything of it must arrive. */
static int show(char *text) {
    const int failed = !text || fputs(text, stdout) < 0 || fflush(stdout) != 0;
    if (failed) psal_print(stderr, "psal: standard output: cannot be written: %s\n", strerror(errno));
    free(text);
    return failed;
}

static char *version(void) {
    char *text = NULL;
    return asprintf(&text, "%s %s\n", program.name, program.version) < 0 ? NULL : text;
}

static int fail_unknown(const char *name) {
    size_t nearest = psal_spelling_tolerance(name);
    const char *suggestion = NULL;
    for (const psal_subcommand *command = psal_commands; command->name; command++) {
        const size_t distance = psal_edit_distance(name, command->name);
        if (distance > nearest || (suggestion && distance == nearest)) continue;
        nearest = distance;
        suggestion = command->name;
    }
    psal_print(stderr, "psal: unknown command '%.100s'%s%s%s; psal help lists them all\n", name,
               suggestion ? ", did you mean '" : "", suggestion ? suggestion : "", suggestion ? "'?" : "");
    return 2;
}

/* Become the program "psal-NAME" in the folder of this one. Returns only when that failed. */
static int become(const char *name, char **argv) {
    char own[4096], path[4400];
    const ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (length <= 0) {
        psal_print(stderr, "psal: /proc/self/exe, which tells where psal is, cannot be read: %s\n", strerror(errno));
        return 1;
    }
    own[length] = 0;
    *strrchr(own, '/') = 0;
    /* Only letters: a name is no way to another folder. */
    if (strlen(name) > 100 || name[strspn(name, "abcdefghijklmnopqrstuvwxyz")]) return fail_unknown(name);
    snprintf(path, sizeof path, "%s/psal-%s", own, name);
    argv[0] = path;
    execv(path, argv);
    const int reason = errno;
    if (reason == ENOENT && !psal_command_purpose(path + strlen(own) + 1)) return fail_unknown(name);
    psal_print(stderr, "psal: %s cannot be started: %s\n", path, strerror(reason));
    return 1;
}

int main(int argc, char **argv) {
    const char *first = argc > 1 ? argv[1] : "";
    if (!*first) {
        fprintf(stderr, "psal: which command? psal help lists them all\n");
        return 2;
    }
    if (strcmp(first, PSAL_DESCRIBE) == 0)
        return show(psal_describe(&program, "which filters of an image classifier a mistake depends on"));
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) return show(version());
    const int helps = strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0;
    if (helps && argc == 2) return show(psal_options_help(&program, 100));
    if (helps) {
        char *line[] = {argv[0], (char *)"--help", NULL};
        return become(argv[2], line);
    }
    return become(first, argv + 1);
}
