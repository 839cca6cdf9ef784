#include "tools/mistakes_state.h"

const psal_subcommand psal_state_subcommands[] = {
    {"merge", "PART...", "With the other options of the parts of --shard: make the tables and figures of all."}, {0}};
