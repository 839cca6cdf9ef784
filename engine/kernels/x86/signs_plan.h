/* signs_plan.h - how signs.h's work is divided and its words lie; for signs.c and signs_words.c. */
#ifndef PSAL_ENGINE_KERNELS_X86_SIGNS_PLAN_H
#define PSAL_ENGINE_KERNELS_X86_SIGNS_PLAN_H

#include "engine/kernels/conv2d_lower.h"
#include "engine/kernels/x86/simd.h"

#if defined PSAL_SIMD_AVX512

enum {
    PART = 3, /* channels of a table: "a three" */
    QUAD = 4, /* steps whose numbers share a word */
    MOST_TAPS = 64,
    MOST_PHASES = 16,
    TILE_PIXELS = 7, /* of a register tile, with TILE_VECTORS vectors of results: 21 sums, 3 words,
                      * 3 signs, a table, what is found in it, 2 constants: 31 registers. (12 x 2
                      * are 10 % faster in the first-level cache, but read more tables) */
    TILE_VECTORS = 3
};

/* Tables stand on a grid of the source's pixels, those outside of it included. */
typedef struct psal_signs_grid {
    int origin, scale; /* the coordinate of cell 0 and the distance of neighbours in the source */
    int advance;       /* cells from one position of the result to the next */
    int tap, tap_step; /* cells from a position's first one to tap 0, and from tap to tap */
    int span;          /* cells from the first to the last tap */
} psal_signs_grid;

/* One phase of conv2d_lower.h. Its steps are (three channels, tap), in blocks of some threes with
 * all taps. */
typedef struct psal_signs_phase {
    psal_conv2d_lowered l;
    psal_signs_grid h, w;
    size_t taps, positions;
    size_t threes, blocks;      /* channels by three of a block; the last block may have fewer */
    size_t quads;               /* of all blocks */
    size_t words;               /* where its words begin */
    size_t bands, cuts, shares; /* parts of the rows, of a row, and of the vectors of results */
    size_t task_positions;      /* at most */
    size_t region;              /* cells of a task's grid, at most */
    size_t first_task;
} psal_signs_phase;

typedef struct psal_signs_plan {
    const psal_conv2d_shape *s;
    bool dx;
    size_t channels, results, vectors; /* of the source, of the result, and these in vectors */
    size_t threes;                     /* channels c, c + threes and c + 2*threes share tables */
    size_t kernel;                     /* elements of a filter's plane */
    size_t phases, tasks;
    size_t words;                         /* scratch: vectors, */
    size_t tables, sums, pixels, offsets; /* then, per thread, floats and integers */
    psal_signs_phase phase[MOST_PHASES];
} psal_signs_plan;

#define psal_signs_plan_new PSAL_SIMD_NAME(psal_signs_plan_new)
#define psal_signs_quads PSAL_SIMD_NAME(psal_signs_quads)
#define psal_signs_pack PSAL_SIMD_NAME(psal_signs_pack)
#define psal_signs_pack_tasks PSAL_SIMD_NAME(psal_signs_pack_tasks)

/* Cells under so many successive positions */
static inline size_t psal_signs_cells(const psal_signs_grid *g, size_t positions) {
    return (positions - 1) * (size_t)g->advance + (size_t)g->span + 1;
}

psal_signs_plan psal_signs_plan_new(const psal_conv2d_shape *s, bool dx, int threads);

/* Steps of a block come in words of four; so many words has one of so many threes. Forward: tap by
 * tap, three by three, as elements of a filter lie in memory. dx: of each three its taps by four,
 * then of four threes each tap that is left. */
size_t psal_signs_quads(const psal_signs_plan *plan, const psal_signs_phase *p, size_t threes);

/* One of psal_signs_pack_tasks(plan) parts of the words: words[phase][vector][block][quad], 16
 * results each. A step's number is
 *
 *   n = a + 3b + 9c - 13
 *
 * for the codes a, b and c (0, 1 and 2) of a three; the sum it means is what the table has at |n|,
 * or that with the other sign. A byte of a word is |n|, and its bit 7 tells the sign. No code is 1,
 * so that the number is 0 where there is nothing. */
void psal_signs_pack(const psal_signs_plan *plan, const unsigned char *codes, size_t task, __m512i *words);
size_t psal_signs_pack_tasks(const psal_signs_plan *plan);

#endif
#endif
