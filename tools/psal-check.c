/* psal-check: is the explanation true? Experiments that could refute it. */
#include "tools/check.h"
#include "tools/outputs.h"
#include "tools/program.h"

static int work(const psal_options *options, psal_error *err) {
    psal_check check = {.options = options};
    psal_status status = psal_check_do(&check, err);
    if (status == PSAL_OK && !psal_options_flag(options, "json")) psal_print_written(&psal_check_program, options);
    const int result = psal_mistakes_finish(&check.mistakes, psal_check_program.name, status, err);
    psal_check_close(&check);
    return result;
}

int main(int argc, char **argv) {
    return psal_program_main(&psal_check_program, argc, argv, work);
}
