/* neighbors_itself.h - a photo that the store has, too, is no neighbour of itself. */
#ifndef PSAL_TOOLS_NEIGHBORS_ITSELF_H
#define PSAL_TOOLS_NEIGHBORS_ITSELF_H

#include "tools/compared_store.h"

/* Leave samples out of the store's candidates that are the photo or a copy of its file, as the store's table tells
 * (image_hash; of IDX files and in tables of earlier versions it does not). They are noted, but with --quiet, and
 * listed in itself[*count], which the caller frees. */
psal_status psal_neighbors_leave_out_itself(psal_compared_store *store, const char *photo, int64_t **itself,
                                            int64_t *count, psal_error *err);

#endif
