/* picture_copies.h - which of some pictures are the same one, by their files' bytes or by how they look. */
#ifndef PSAL_TOOLS_PICTURE_COPIES_H
#define PSAL_TOOLS_PICTURE_COPIES_H

#include "io/image.h"

enum { PSAL_LOOK_SIDE = 16, PSAL_LOOK_LENGTH = PSAL_LOOK_SIDE * PSAL_LOOK_SIDE };

/* What a picture looks like from far away: its brightness on a grid of PSAL_LOOK_SIDE x PSAL_LOOK_SIDE, less the mean
 * and divided by the deviation. All 0 for a picture that is the same everywhere, which looks like no other. */
psal_status psal_picture_look(const psal_image *image, float look[PSAL_LOOK_LENGTH], psal_error *err);

/* first[i]: the first of pictures 0 .. i that is the same as picture i, itself if there is none. Two are the same when
 * their hashes are (0: not known), or when their looks[count][PSAL_LOOK_LENGTH] are correlated by 0.998, which
 * compression and another size leave. A picture that is the same as one of a group is of the group. */
void psal_picture_copies(int64_t count, const uint64_t *hashes, const float *looks, int64_t *first);

#endif
