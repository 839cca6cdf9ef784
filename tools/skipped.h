/* skipped.h - images of a list that are left out (--skip-bad): unreadable, cut short, of another type, too large, or
 * with a label that is not understood. Without --skip-bad the first one ends the list, and its error says that there is
 * this option. */
#ifndef PSAL_TOOLS_SKIPPED_H
#define PSAL_TOOLS_SKIPPED_H

#include <jansson.h>
#include <stddef.h>

#include "io/dataset.h"
#include "tools/options.h"

#define PSAL_SKIP_BAD_OPTION                                                                                         \
    {                                                                                                                \
        PSAL_OPTION_FLAG, "skip-bad",                                                                                \
            .help = "Leave out images of a list that cannot be read, say so, and end with status 3; otherwise they " \
                    "end the run."                                                                                   \
    }

/* The exit status of a program that did all it was told, but for images that it left out. */
#define PSAL_EXIT_SKIPPED 3

typedef struct psal_skipped {
    struct psal_skipped_image {
        char *name, *reason;
    } * at;
    size_t count, capacity;
} psal_skipped;

/* Whether what went wrong is the image's fault, and others may go on: not a lack of memory, nor an interruption. */
bool psal_skippable(const psal_error *why);
/* Put the image's name in front of an error about it, unless it is there, and say that --skip-bad leaves such images
 * out where that helps: in a list (`many`). */
psal_status psal_skipped_error(psal_error *why, const char *name, bool many);
/* psal_dataset_open; an error that is one image's says that --skip-bad leaves it out. */
psal_dataset *psal_open_list(const char *spec, const psal_labels *labels, bool skip_bad, psal_notes *notes,
                             psal_error *err);
/* Remember an image. */
psal_status psal_skipped_add(psal_skipped *skipped, const char *name, const psal_error *why, psal_error *err);
/* The end of a program's work, which went as `status` and *err say: when it went well, "psal-run: 2 of 70 images
 * skipped: a.png, b.png" on standard error, quiet or not, and PSAL_EXIT_SKIPPED with *err empty, as psal_program_work
 * wants it; nothing when none were skipped. */
int psal_skipped_finish(const psal_skipped *skipped, const char *program, size_t total, psal_status status,
                        psal_error *err);
/* [{"image": name, "reason": text}, ...], a new reference. */
json_t *psal_skipped_json(const psal_skipped *skipped);
void psal_skipped_free(psal_skipped *skipped); /* zeroed is fine */

#endif
