/* neighbors_itself.h - a photo that the store has, too, is no neighbour of itself. */
#ifndef PSAL_TOOLS_NEIGHBORS_ITSELF_H
#define PSAL_TOOLS_NEIGHBORS_ITSELF_H

#include "io/image.h"
#include "tools/compared_store.h"

/* Leave samples out of the store's candidates that are the photo or a copy of it: the network sees the same numbers.
 * They are noted (but with --quiet), and listed in itself[*count], which the caller frees. Only samples that the
 * network answers alike are looked at, and only those whose pictures can be read: others stay. */
psal_status psal_neighbors_leave_out_itself(psal_compared_store *store, const psal_image *photo,
                                            const psal_profile_record *record, int64_t **itself, int64_t *count,
                                            psal_error *err);

#endif
