#include "tools/report_photo.h"

#include "tools/project.h"
#include "tools/report_command.h"
#include "tools/run.h"
#include "tools/run_program.h"

/* So many of the most salient filters are looked for in the data set. */
enum { LOOKED = 5 };

psal_status psal_report_photo_check(const psal_options *o, psal_error *err) {
    static const char *const of_mistakes[] = {"store", "limit",  "first",    "kinds", "maps",   "costs",
                                              "right", "checks", "pictures", "state", "resume", NULL};
    static const char *const of_looking[] = {"look", "skip-bad", NULL};
    const bool photo = psal_options_has(o, "image-path"), data = psal_options_has(o, "data");
    if (!photo && psal_options_has(o, "image-target-label"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--image-target-label needs --image-path");
    if (!photo) return PSAL_OK;
    const char *idle = psal_options_given_of(o, of_mistakes, true);
    if (idle)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s does nothing for one photo: it is of a data set's mistakes",
                         idle);
    idle = data ? NULL : psal_options_given_of(o, of_looking, true);
    if (idle)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s needs --data: the images to look through for one photo", idle);
    if (psal_options_int(o, "look") == 0 && psal_options_given(o, "data"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--look 0: --data does nothing for one photo");
    return PSAL_OK;
}

static psal_status make_command(const psal_options *o, psal_report_command *command, psal_error *err) {
    static const char *const same[] = {"image-path", "image-target-label", "stats", "seed", "colors", "json", NULL};
    const psal_program *program = &psal_run_program;
    const int64_t look = psal_options_int(o, "look");
    psal_status status = psal_report_command_begin(command, program, NULL, err);
    if (status == PSAL_OK) status = psal_report_command_add_network(command, program, o, err);
    for (const char *const *name = same; *name && status == PSAL_OK; name++)
        status = psal_report_command_add_given(command, program, o, *name, err);
    if (status == PSAL_OK) status = psal_report_command_add(command, "compare-random", NULL, err);
    if (psal_options_has(o, "data") && look > 0) {
        if (status == PSAL_OK) status = psal_report_command_add(command, "data", psal_options_string(o, "data"), err);
        if (status == PSAL_OK) status = psal_report_command_add_int(command, "look", LOOKED, err);
        if (status == PSAL_OK) status = psal_report_command_add_int(command, "look-images", look, err);
        if (status == PSAL_OK) status = psal_report_command_add_given(command, program, o, "skip-bad", err);
    }
    if (status == PSAL_OK) status = psal_report_command_add(command, "report", psal_options_string(o, "out"), err);
    return status == PSAL_OK ? psal_report_command_parse(command, program, err) : status;
}

int psal_report_photo(const psal_options *options, psal_error *err) {
    psal_report_command command = {0};
    int result = (int)make_command(options, &command, err);
    if (result == 0) {
        psal_options_set_project(command.options, psal_options_project(options)); /* whose weights are checked */
        result = psal_run_work(command.options, true, err);
    }
    psal_report_command_free(&command);
    return result;
}
