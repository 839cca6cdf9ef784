/* ternary_plan.h - how ternary_table.c divides its work, and the format of its packed filters (ternary_codes.c).
 *
 * Channels c, c + triples and c + 2*triples of the source are a triple and share a table for each pixel. A step is a
 * triple and a tap: one look-up for each result. Its index is a byte, and four steps are a word of 32 bits. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_SIMD_TERNARY_PLAN_H
#define PSAL_ENGINE_KERNELS_CONV2D_SIMD_TERNARY_PLAN_H

#include "engine/kernels/conv2d/lowered.h"
#include "engine/kernels/conv2d/simd/simd.h"

enum {
    TRIPLE = 3,     /* channels of a table */
    WORD_STEPS = 4, /* steps whose indices are in a word */
    MOST_TAPS = 64,
    MOST_PHASES = 16,
    /* Of a register tile, with TILE_VECTORS vectors of results: 21 sums, 3 words, 3 signs, a table, the sum looked up,
     * 2 constants: 31 registers. (12 x 2 are 10 % faster in the L1 cache, but read more tables.) */
    TILE_PIXELS = 7,
    TILE_VECTORS = 3
};

/* One axis of the grid of tables: the pixels of the source, and of its padding */
typedef struct psal_ternary_grid {
    int origin, scale; /* the coordinate of cell 0 and the distance of neighbours in the source */
    int advance;       /* cells from one position of the result to the next */
    int tap, tap_step; /* cells from a position's first one to tap 0, and from tap to tap */
    int span;          /* cells from the first to the last tap */
} psal_ternary_grid;

/* One phase of lowered.h. Its steps (triple, tap) are cut into blocks of some triples with all taps. */
typedef struct psal_ternary_phase {
    psal_conv2d_lowered l;
    psal_ternary_grid h, w;
    size_t taps, positions;
    size_t triples, blocks;     /* triples of a block; the last block may have fewer */
    size_t words;               /* of all blocks */
    size_t indices;             /* where its words begin */
    size_t bands, cuts, shares; /* parts of the rows, of a row, and of the vectors of results */
    size_t task_positions;      /* at most */
    size_t region;              /* cells of a task's grid, at most */
    size_t first_task;
} psal_ternary_phase;

typedef struct psal_ternary_plan {
    const psal_conv2d_shape *s;
    bool dx;
    size_t channels, results, vectors; /* of the source, of the result, and these in vectors */
    size_t triples;
    size_t kernel; /* elements of a filter's plane */
    size_t phases, tasks;
    size_t indices;                       /* scratch: vectors, */
    size_t tables, sums, pixels, offsets; /* then, per thread, floats and integers */
    psal_ternary_phase phase[MOST_PHASES];
} psal_ternary_plan;

#define psal_ternary_plan_new PSAL_SIMD_NAME(psal_ternary_plan_new)
#define psal_ternary_words PSAL_SIMD_NAME(psal_ternary_words)
#define psal_ternary_pack PSAL_SIMD_NAME(psal_ternary_pack)
#define psal_ternary_pack_tasks PSAL_SIMD_NAME(psal_ternary_pack_tasks)

/* Cells that so many successive positions reach */
static inline size_t psal_ternary_cells(const psal_ternary_grid *g, size_t positions) {
    return (positions - 1) * (size_t)g->advance + (size_t)g->span + 1;
}

psal_ternary_plan psal_ternary_plan_new(const psal_conv2d_shape *s, bool dx, int threads);

/* How many words a block of so many triples has. The order of the steps is forward (triple, tap), as the elements of a
 * filter in memory; dx: the taps of each triple by four, then the remaining taps, each for four triples. */
size_t psal_ternary_words(const psal_ternary_plan *plan, const psal_ternary_phase *p, size_t triples);

/* One of psal_ternary_pack_tasks(plan) parts of indices[phase][vector][block][word], a vector of words of 16 results
 * each. For the codes a, b and c (0, 1 and 2) of a triple let
 *
 *   n = a + 3b + 9c - 13
 *
 * The sum is entry |n| of the table, negated if n < 0. The step's index is |n|, with bit 7 set if n < 0. Channels that
 * do not exist have the code 1, weight 0. */
void psal_ternary_pack(const psal_ternary_plan *plan, const unsigned char *codes, size_t task, __m512i *indices);
size_t psal_ternary_pack_tasks(const psal_ternary_plan *plan);

#endif
