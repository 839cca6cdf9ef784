/* ask.h - asking the memory for what is packed next, a few cache lines at a time, while the matrix unit multiplies. Weights are
 * read once a pass and images once a layer, and both lie farther away than the second-level cache. */
#ifndef PSAL_ENGINE_KERNELS_AMX_ASK_H
#define PSAL_ENGINE_KERNELS_AMX_ASK_H

#include "engine/kernels/x86/simd.h"

/* Runs of `lines` cache lines, `step` floats after each other, and the same `second` floats further on. */
typedef struct psal_amx_ask {
    const float *from;
    size_t step, second, lines, runs;
    size_t rate, credit; /* lines per step of the unit, and due, in 1/256 */
    size_t line;         /* where it stands in the first run of those left */
} psal_amx_ask;

/* Spread the lines over so many steps. */
static inline void ask_spread(psal_amx_ask *ask, size_t steps)
{
    ask->rate = steps ? (ask->runs * ask->lines * 256 + steps - 1) / steps : 0;
}

static inline void ask_some(psal_amx_ask *ask)
{
    ask->credit += ask->rate;
    for (; ask->credit >= 256 && ask->runs > 0; ask->credit -= 256) {
        const float *p = ask->from + ask->line * BLOCK; /* a prefetch behind the end does no harm */
        prefetch_later(p, 1);
        prefetch_later(p + ask->second, 1);
        if (++ask->line < ask->lines) continue;
        ask->line = 0;
        ask->runs--;
        ask->from += ask->step;
    }
}

#endif
