#include "tools/options_table.h"

static const psal_option every_program[4] = {
    {.kind = PSAL_OPTION_PATH,
     .name = "project",
     .help = "The project file that psal-init wrote: network, data set, statistics, where the command line does not "
             "say them. psal.json in the working folder if not given; none: no project.",
     .known = "none",
     .files = ".json"},
    {.kind = PSAL_OPTION_FLAG,
     .name = "show-settings",
     .help = "Print what was set, by the command line, the project or default, and do nothing else."},
    {.kind = PSAL_OPTION_FLAG, .name = "help", .short_name = 'h', .help = "Show this help."},
    {.kind = PSAL_OPTION_FLAG, .name = "version", .short_name = 'V', .help = "Show the version."}};

static size_t table_rows(const psal_program *program) {
    size_t rows = 0;
    while (program->options[rows].kind != PSAL_OPTION_END) rows++;
    return rows;
}

size_t psal_program_option_count(const psal_program *program) {
    return table_rows(program) + (program->makes_project ? 2 : 4);
}

const psal_option *psal_program_option(const psal_program *program, size_t index) {
    size_t rows = table_rows(program);
    return index < rows ? &program->options[index] : &every_program[index - rows + (program->makes_project ? 2 : 0)];
}

bool psal_name_begins(const char *name, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        char a = name[i] == '_' ? '-' : name[i], b = text[i] == '_' ? '-' : text[i];
        if (!a || a != b) return false;
    }
    return true;
}
