/* The operation table: one row per operation, from the one list in op.h. */
#include "engine/op.h"

#include <assert.h>

static const psal_op *const table[] = {
#define X(KIND, name) [PSAL_OP_##KIND] = &psal_op_##name,
    PSAL_OPS(X)
#undef X
};
static_assert(sizeof table / sizeof table[0] == PSAL_OP_COUNT, "one row per operation");

static const char *const names[] = {
#define X(KIND, name) [PSAL_OP_##KIND] = #name,
    PSAL_OPS(X)
#undef X
};
static_assert(sizeof names / sizeof names[0] == PSAL_OP_COUNT, "one name per operation");

const psal_op *psal_op_get(psal_op_kind kind) {
    return table[kind];
}

const char *psal_op_kind_name(psal_op_kind kind) {
    return names[kind];
}
