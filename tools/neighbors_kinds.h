/* neighbors_kinds.h - psal-neighbors kinds: into which kinds the mistakes of a store fall. */
#ifndef PSAL_TOOLS_NEIGHBORS_KINDS_H
#define PSAL_TOOLS_NEIGHBORS_KINDS_H

#include "tools/compared_store.h"

/* `store` knows its options and program; it is opened here, and closed by the caller. */
psal_status psal_neighbors_kinds(psal_compared_store *store, psal_error *err);

#endif
