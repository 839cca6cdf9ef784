#include "tools/commands.h"

#include <string.h>

const psal_subcommand psal_commands[] = {
    {"init", NULL, "make the project file of a network and its data set"},
    {"run", NULL, "explain images: the filters a mistake depends on, and their pixels"},
    {"stats", NULL, "mean and deviation of the saliency over a data set"},
    {"neighbors", NULL, "find mistakes of the same kind"},
    {"prune", NULL, "switch filters off and measure what that does to mistakes"},
    {"finetune", NULL, "correct a mistake by changing a few filters"},
    {"check", NULL, "test an explanation by experiments that could refute it"},
    {"report", NULL, "one HTML page of a data set's mistakes and their kinds"},
    {"convert", NULL, "turn any checkpoint into a file that needs no options"},
    {"doctor", NULL, "whether psal works on this machine, and what it finds there"},
    {"fetch", NULL, "download the weights of public networks"},
    {0}};

const char *psal_command_purpose(const char *program) {
    if (strncmp(program, "psal-", 5) != 0) return NULL;
    for (const psal_subcommand *command = psal_commands; command->name; command++)
        if (strcmp(command->name, program + 5) == 0) return command->help;
    return NULL;
}
