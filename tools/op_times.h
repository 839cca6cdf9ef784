/* op_times.h - where the time went, as the tables of --profile-ops. */
#ifndef PSAL_TOOLS_OP_TIMES_H
#define PSAL_TOOLS_OP_TIMES_H

#include <stdio.h>

#include "engine/plan.h"

/* Two tables: operations summed over the layers of a stage, then the layers that took more than a thousandth of the
 * time and all convolutions with their algorithms (engine/kernels/conv2d/conv2d.c), the slowest first; with
 * achieved GFLOP/s (of the definition, 2 per multiply-add) and the share of each. Nothing when out of memory or when
 * the workspace did not measure (psal_workspace_profile). */
void psal_print_op_times(FILE *out, const psal_workspace *workspace);

#endif
