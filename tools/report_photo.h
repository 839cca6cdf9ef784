/* report_photo.h - psal-report of one photo: what psal-run --report makes. */
#ifndef PSAL_TOOLS_REPORT_PHOTO_H
#define PSAL_TOOLS_REPORT_PHOTO_H

#include "tools/options.h"

/* Whether the other options go with --image-path, or, without it, may be given. */
psal_status psal_report_photo_check(const psal_options *options, psal_error *err);
/* The whole work; returns what psal_program_work wants. */
int psal_report_photo(const psal_options *options, psal_error *err);

#endif
