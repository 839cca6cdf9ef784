/* check_region.h - which pixels psal-check mask hides where the user says it, and what of another photo fills them. */
#ifndef PSAL_TOOLS_CHECK_REGION_H
#define PSAL_TOOLS_CHECK_REGION_H

#include "tools/check.h"

/* The option that names a region, of which there may be one kind only: "mask", "box", or NULL, and then the heat map's
 * pixels are hidden. Refused beside another one and beside --percent. */
psal_status psal_check_region_option(const psal_options *options, const char **option, psal_error *err);

/* The pixels [height, width] of the network's image, the open session's, that this option marks: what is not black in
 * --mask's picture, or all boxes of --box together. *mask, which the caller frees, and how many they are. Refused: a
 * picture of another size, a box that leaves the image, nothing or everything hidden. */
psal_status psal_check_region_read(const psal_check *check, const char *option, bool **mask, int64_t *hidden,
                                   psal_error *err);

/* The photo of --fill-image as the network would get it: *image [channels, height, width], which the caller frees; NULL
 * without the option. */
psal_status psal_check_fill_image(const psal_check *check, float **image, psal_error *err);

#endif
