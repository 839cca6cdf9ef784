#include "engine/kernels/conv2d/amx/tile.h"

#include <string.h>

void psal_amx_begin(void) {
    /* palette 1: eight tiles of 16 rows of 64 bytes */
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config __attribute__((aligned(64)));
    memset(&config, 0, sizeof config);
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    /* GCC takes the intrinsic to read eight bytes only. */
    __asm__ volatile("" : : "r"(&config) : "memory");
    _tile_loadconfig(&config);
}

void psal_amx_end(void) {
    _tile_release();
}

/* Tiles 0 to 3 are C; A's two are 4 and 5, B's 6 and 7. */
#define LOAD_A(part)                            \
    _tile_loadd(4, a + (part)*PART_FLOATS, 64); \
    _tile_loadd(5, a + (part)*PART_FLOATS + TILE_FLOATS, 64)
#define LOAD_B(number)                            \
    _tile_loadd(6, first + (number)*b->part, 64); \
    if (!narrow) _tile_loadd(7, second + (number)*b->part, 64)
#define MULTIPLY                          \
    _tile_dpbf16ps(0, 4, 6);              \
    if (!narrow) _tile_dpbf16ps(1, 4, 7); \
    _tile_dpbf16ps(2, 5, 6);              \
    if (!narrow) _tile_dpbf16ps(3, 5, 7)

/* When the unit multiplies for more than about 0.7 us without storing a tile, the next store takes 0.25 us longer
 * (measured on a Xeon with AMX: 440 instead of 560 GFLOP/s; not documented). So every few steps a tile is stored that
 * nobody reads. */
#define KEEP_AWAKE(k, every) \
    if ((k) % (every) == (every)-1) _tile_stored(4, nowhere, 64)

/* C is prefetched while the unit multiplies, four rows in each of the first steps. */
static inline void ask_for_rows(const float *c, size_t ldc, size_t step) {
    for (size_t row = step * 4; row < step * 4 + 4 && row < TILE_ROWS; row++) {
        __builtin_prefetch(c + row * ldc, 1);
        __builtin_prefetch(c + row * ldc + 16, 1);
    }
}

INLINE void multiply(psal_amx_mode mode, bool narrow, const float *a, const psal_amx_b_tiles *b, size_t steps, float *c,
                     size_t ldc) {
    const float *const first_a = a, *first = b->first, *second = b->second;
    const size_t a_step = mode == PSAL_AMX_TERNARY ? TERNARY_STEP_FLOATS : STEP_FLOATS, step = b->step;
    float nowhere[TILE_FLOATS] __attribute__((aligned(64)));
    /* The intrinsics do not tell the compiler that they read memory. */
    __asm__ volatile("" : : : "memory");
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < steps; k++, a += a_step, first += step, second += narrow ? 0 : step) {
        ask_for_rows(c, ldc, k);
        if (mode == PSAL_AMX_TERNARY) {
            LOAD_A(0);
            LOAD_B(2);
            MULTIPLY;
            LOAD_B(1);
            MULTIPLY;
            LOAD_B(0);
            MULTIPLY;
            KEEP_AWAKE(k, 8);
            continue;
        }
        LOAD_A(1);
        LOAD_B(0);
        MULTIPLY;
        LOAD_B(1);
        MULTIPLY;
        LOAD_A(0);
        MULTIPLY;
        LOAD_B(2);
        MULTIPLY;
        LOAD_B(0);
        if (mode == PSAL_AMX_ONE_PASS) {
            MULTIPLY;
        }
        LOAD_A(2);
        MULTIPLY;
        KEEP_AWAKE(k, 4);
    }
    a = first_a;
    first = b->first;
    second = b->second;
    for (size_t k = 0; mode == PSAL_AMX_TWO_PASSES && k < steps;
         k++, a += a_step, first += step, second += narrow ? 0 : step) {
        LOAD_A(0);
        LOAD_B(0);
        MULTIPLY;
        KEEP_AWAKE(k, 8);
    }
    _tile_stored(0, c, ldc * sizeof *c);
    if (!narrow) _tile_stored(1, c + 16, ldc * sizeof *c);
    _tile_stored(2, c + 16 * ldc, ldc * sizeof *c);
    if (!narrow) _tile_stored(3, c + 16 * ldc + 16, ldc * sizeof *c);
}

#define WITH(name, mode, narrow)                                                                      \
    static void name(const float *a, const psal_amx_b_tiles *b, size_t steps, float *c, size_t ldc) { \
        multiply(mode, narrow, a, b, steps, c, ldc);                                                  \
    }
WITH(accurate, PSAL_AMX_TWO_PASSES, false)
WITH(accurate_narrow, PSAL_AMX_TWO_PASSES, true)
WITH(one_pass, PSAL_AMX_ONE_PASS, false)
WITH(one_pass_narrow, PSAL_AMX_ONE_PASS, true)
WITH(ternary, PSAL_AMX_TERNARY, false)
WITH(ternary_narrow, PSAL_AMX_TERNARY, true)

void psal_amx_multiply(psal_amx_mode mode, const float *a, const psal_amx_b_tiles *b, size_t steps, float *c,
                       size_t ldc) {
    static void (*const with[][2])(const float *, const psal_amx_b_tiles *, size_t, float *, size_t) = {
        [PSAL_AMX_TWO_PASSES] = {accurate, accurate_narrow},
        [PSAL_AMX_ONE_PASS] = {one_pass, one_pass_narrow},
        [PSAL_AMX_TERNARY] = {ternary, ternary_narrow},
    };
    with[mode][!b->second](a, b, steps, c, ldc);
}
