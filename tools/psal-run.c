/* psal-run: which filters the loss on an image is most sensitive to, and which pixels drive them. */
#include "tools/program.h"
#include "tools/run.h"
#include "tools/run_program.h"

static int work(const psal_options *options, psal_error *err) {
    return psal_run_work(options, false, err);
}

int main(int argc, char **argv) {
    return psal_program_main(&psal_run_program, argc, argv, work);
}
