#include "engine/kernels/amx/tile.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/kernels/conv2d_x86.h"

#define ARCH_REQ_XCOMP_PERM 0x1023 /* asm/prctl.h of Linux 5.16 */
#define XFEATURE_XTILEDATA 18

bool psal_amx_available(void) {
#ifdef SYS_arch_prctl
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

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
    /* GCC's intrinsic admits to reading eight bytes only. */
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

/* Where the unit multiplies for more than about 0.7 us without storing a tile, the next store holds it up for a quarter of a
 * microsecond more (measured on a Xeon with AMX: 440 instead of 560 GFLOP/s; it is not documented). So a tile goes to nowhere
 * every few steps. */
#define KEEP_AWAKE(k, every) \
    if ((k) % (every) == (every)-1) _tile_stored(4, nowhere, 64)

/* C may be far away: it is asked for while the unit multiplies, some rows in each of the first steps. */
static inline void ask_for_rows(const float *c, size_t ldc, size_t step) {
    for (size_t row = step * 4; row < step * 4 + 4 && row < TILE_ROWS; row++) {
        __builtin_prefetch(c + row * ldc, 1);
        __builtin_prefetch(c + row * ldc + 16, 1);
    }
}

static inline __attribute__((always_inline)) void
multiply(psal_amx_sums sums, bool narrow, const float *a, const psal_amx_right *b, size_t steps, float *c, size_t ldc) {
    const float *const first_a = a, *first = b->first, *second = b->second;
    const size_t a_step = sums == PSAL_AMX_SIGNS ? SIGNS_STEP_FLOATS : STEP_FLOATS, step = b->step;
    float nowhere[TILE_FLOATS] __attribute__((aligned(64)));
    /* The intrinsics do not tell the compiler that they read memory. */
    __asm__ volatile("" : : : "memory");
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < steps; k++, a += a_step, first += step, second += narrow ? 0 : step) {
        ask_for_rows(c, ldc, k);
        if (sums == PSAL_AMX_SIGNS) {
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
        if (sums == PSAL_AMX_ONE_PASS) {
            MULTIPLY;
        }
        LOAD_A(2);
        MULTIPLY;
        KEEP_AWAKE(k, 4);
    }
    a = first_a;
    first = b->first;
    second = b->second;
    for (size_t k = 0; sums == PSAL_AMX_ACCURATE && k < steps;
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

#define WITH(name, sums, narrow)                                                                    \
    static void name(const float *a, const psal_amx_right *b, size_t steps, float *c, size_t ldc) { \
        multiply(sums, narrow, a, b, steps, c, ldc);                                                \
    }
WITH(accurate, PSAL_AMX_ACCURATE, false)
WITH(accurate_narrow, PSAL_AMX_ACCURATE, true)
WITH(one_pass, PSAL_AMX_ONE_PASS, false)
WITH(one_pass_narrow, PSAL_AMX_ONE_PASS, true)
WITH(signs, PSAL_AMX_SIGNS, false)
WITH(signs_narrow, PSAL_AMX_SIGNS, true)

void psal_amx_multiply(psal_amx_sums sums, const float *a, const psal_amx_right *b, size_t steps, float *c,
                       size_t ldc) {
    static void (*const with[][2])(const float *, const psal_amx_right *, size_t, float *, size_t) = {
        [PSAL_AMX_ACCURATE] = {accurate, accurate_narrow},
        [PSAL_AMX_ONE_PASS] = {one_pass, one_pass_narrow},
        [PSAL_AMX_SIGNS] = {signs, signs_narrow},
    };
    with[sums][!b->second](a, b, steps, c, ldc);
}
