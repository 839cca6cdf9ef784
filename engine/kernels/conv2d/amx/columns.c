#include "engine/kernels/conv2d/amx/columns.h"

/* The channels of a pair: the second is the first where it has none. */
typedef struct channel_pair {
    size_t first, second;
    bool paired;
} channel_pair;

static channel_pair channels_of(const psal_amx_columns *c, size_t pair) {
    const psal_amx_group group = psal_amx_group_at(c->channels, pair / STEP_PAIRS);
    const size_t i = pair % STEP_PAIRS, first = group.start + i;
    return (channel_pair){first, i < group.seconds ? first + group.firsts : first, i < group.seconds};
}

static vec scale_of(const psal_amx_columns *c, size_t channel) {
    return vec_broadcast(c->scale ? c->scale[channel] * c->factor : 1);
}

/* Row `row` of pairs, counted from the first step, of block number `block` */
static inline float *panel_row(const psal_amx_panels *p, size_t block, size_t row) {
    return p->to + (block / 2 * p->steps + row / STEP_PAIRS) * STEP_FLOATS + block % 2 * TILE_FLOATS +
           row % STEP_PAIRS * BLOCK;
}

static void clear_row(const psal_amx_panels *p, size_t row) {
    for (size_t block = 0; block < p->count; block++)
        for (size_t part = 0; part < PARTS; part++)
            vec_store(panel_row(p, block, row) + part * PART_FLOATS, vec_zero());
}

#define AHEAD 2

/* The columns are the source: row by row, split on the way. */
static void pack_identity(const psal_amx_columns *c, const psal_amx_panels *p) {
    const size_t first = p->step * STEP_PAIRS, rows = p->steps * STEP_PAIRS;
    const size_t count = first < c->pairs ? psal_size_min(c->pairs - first, rows) : 0;
    for (size_t row = 0; row < count; row++) {
        const channel_pair pair = channels_of(c, first + row);
        const size_t second = (pair.second - pair.first) * c->positions;
        const vec scale = scale_of(c, pair.first), second_scale = scale_of(c, pair.second);
        for (size_t block = 0; block < p->count; block++) {
            const psal_amx_column_block at = psal_amx_block_at(c, p->first + block);
            const float *src = c->source + (at.image * c->channels + pair.first) * c->positions + at.position;
            const vec_mask mask = vec_first(at.n);
            vec part[PARTS];
            _mm_prefetch((const char *)(src + AHEAD * c->positions), _MM_HINT_T0);
            _mm_prefetch((const char *)(src + AHEAD * c->positions + second), _MM_HINT_T0);
            /* (multiplied by 1 where there is no scale: beside the stores that costs nothing) */
            split_pairs(vec_mul(vec_load_masked(src, mask), scale),
                        pair.paired ? vec_mul(vec_load_masked(src + second, mask), second_scale) : vec_zero(), part);
            float *to = panel_row(p, block, row);
#pragma GCC unroll 3
            for (size_t i = 0; i < PARTS; i++) vec_store(to + i * PART_FLOATS, part[i]);
        }
    }
    for (size_t row = count; row < rows; row++) clear_row(p, row);
}

/* ---- gathered: for each tap, block and pair of channels ---- */

void psal_amx_split_plane(const psal_amx_columns *c, size_t image, size_t pair, float *split) {
    const size_t plane = (size_t)c->l.h.source * (size_t)c->l.w.source;
    const channel_pair channels = channels_of(c, pair);
    const float *first = c->source + (image * c->channels + channels.first) * plane;
    const float *second = c->source + (image * c->channels + channels.second) * plane;
    const vec scale = scale_of(c, channels.first), second_scale = scale_of(c, channels.second);
    float *to = split + (image * PARTS * c->pairs + pair) * plane;
    for (size_t i = 0; i < plane; i += BLOCK) {
        const vec_mask mask = vec_first(plane - i);
        vec part[PARTS];
        split_pairs(vec_mul(vec_load_masked(first + i, mask), scale),
                    channels.paired ? vec_mul(vec_load_masked(second + i, mask), second_scale) : vec_zero(), part);
#pragma GCC unroll 3
        for (size_t k = 0; k < PARTS; k++) vec_store_masked(to + k * c->pairs * plane + i, mask, part[k]);
    }
}

/* Rows row, row + row_step, ... of a block, for `count` successive pairs of channels */
INLINE void gather(const psal_amx_columns *c, const psal_amx_panels *p, const float *split, const column_run *runs,
                   size_t run_count, int stride, size_t block, size_t row, size_t row_step, size_t count) {
    const size_t plane = (size_t)c->l.h.source * (size_t)c->l.w.source, step = c->pairs * plane;
    for (size_t i = 0; i < count; i++, row += row_step, split += plane) {
        float *to = panel_row(p, block, row);
#pragma GCC unroll 3
        for (size_t part = 0; part < PARTS; part++) {
            vec sum = vec_zero();
            for (size_t r = 0; r < run_count; r++)
                sum = vec_or(sum, vec_load_strided(split + part * step + runs[r].offset, stride, runs[r].lanes, 0));
            vec_store(to + part * PART_FLOATS, sum);
        }
    }
}

static void pack_gathered(const psal_amx_columns *c, const psal_amx_panels *p) {
    const size_t plane = (size_t)c->l.h.source * (size_t)c->l.w.source, width = (size_t)c->l.w.count;
    const size_t start = p->step * STEP_PAIRS, rows = p->steps * STEP_PAIRS;
    const bool by_taps = c->form == PSAL_AMX_TRANSPOSED;
    const int stride = c->l.w.stride;
    for (size_t tap = 0; tap < c->taps; tap++) {
        const psal_conv2d_tap at_tap = psal_conv2d_tap_at(&c->l, tap);
        /* pairs [pair, end) have this tap in the panels, the first one in row `row` */
        size_t pair, end, row, step = 1;
        if (by_taps) {
            pair = p->step / c->taps * STEP_PAIRS;
            end = pair + p->steps / c->taps * STEP_PAIRS;
            row = tap * STEP_PAIRS;
            for (size_t k = c->pairs > pair ? c->pairs - pair : 0; k < end - pair; k++)
                clear_row(p, (k / STEP_PAIRS * c->taps + tap) * STEP_PAIRS + k % STEP_PAIRS);
        } else {
            pair = psal_ceil_div(start > tap ? start - tap : 0, c->taps);
            row = pair * c->taps + tap - start;
            end = pair + (row < rows ? psal_ceil_div(rows - row, c->taps) : 0);
            step = c->taps;
        }
        end = psal_size_min(end, c->pairs);
        for (size_t block = 0; block < p->count && pair < end; block++) {
            const psal_amx_column_block at = psal_amx_block_at(c, p->first + block);
            const float *split = c->split + (at.image * PARTS * c->pairs + pair) * plane;
            column_run runs[BLOCK];
            const size_t n = find_runs(&c->l, &at_tap, (int)(at.position / width), (int)(at.position % width),
                                       (int)at.n, runs);
            /* TRANSPOSED: 16 pairs are one step */
            const size_t together = by_taps ? STEP_PAIRS : end - pair;
            for (size_t k = 0; k < end - pair; k += together) {
                const size_t first = row + k * (by_taps ? c->taps : 0), count = psal_size_min(together, end - pair - k);
                const float *from = split + k * plane;
                if (stride == 1 && n == 1) /* constants in the frequent cases, so that their loops are unrolled */
                    gather(c, p, from, runs, 1, 1, block, first, step, count);
                else if (stride == 1 && n == 2)
                    gather(c, p, from, runs, 2, 1, block, first, step, count);
                else if (stride == 1)
                    gather(c, p, from, runs, n, 1, block, first, step, count);
                else if (stride == 2)
                    gather(c, p, from, runs, n, 2, block, first, step, count);
                else
                    gather(c, p, from, runs, n, stride, block, first, step, count);
            }
        }
    }
    const size_t last = c->pairs * c->taps; /* ROWS: the rest of the last step is 0 */
    for (size_t row = start < last ? psal_size_min(last - start, rows) : 0; row < rows && !by_taps; row++)
        clear_row(p, row);
}

void psal_amx_pack_columns(const psal_amx_columns *c, const psal_amx_panels *p) {
    if (c->identity)
        pack_identity(c, p);
    else
        pack_gathered(c, p);
}
