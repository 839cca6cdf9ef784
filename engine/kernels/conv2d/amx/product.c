#include "engine/kernels/conv2d/amx/product.h"

#include <omp.h>

/* Sizes of what a task keeps in the L2 cache. A K block of MOST_STEPS is 576 products, two groups of channels of a 3 x
 * 3 kernel; A of 32 rows of it has 108 KiB. */
#define MOST_STEPS 18u
#define MOST_PANELS 8u     /* of B: 864 KiB */
#define MOST_ROW_BLOCKS 4u /* of A packed together, where memory is then read in longer runs: 432 KiB */
/* All of A is packed first where it has so few rows and blocks of rows times steps (1.2 MiB), and there are so many
 * panels; those of a task then have 216 KiB. */
#define FEW_ROWS 128u
#define FEW_BLOCK_STEPS 200u
#define MANY_PANELS 16u
#define FEW_PANEL_STEPS 36u
#define MOST_SPLIT (4u << 20) /* floats of the split images of a group: 16 MiB, unless one image has more */
#define C_FLOATS (TILE_ROWS * TILE_WIDTH)

static bool whole_axis(const psal_conv2d_axis *a) {
    return a->taps == 1 && a->stride == 1 && a->offset == 0 && a->count == a->source;
}

void psal_amx_product_plan(psal_amx_product *p, int threads) {
    psal_amx_columns *c = &p->columns;
    c->form = p->filters.form;
    c->identity = whole_axis(&c->l.h) && whole_axis(&c->l.w);
    c->positions = psal_conv2d_positions(&c->l);
    c->image_blocks = psal_ceil_div(c->positions, BLOCK);
    c->taps = psal_conv2d_taps(&c->l);
    c->pairs = psal_amx_pairs(c->channels);
    p->filters.channels = c->channels;
    p->filters.taps = c->taps;
    p->in_place = c->l.h.place_step == 1 && c->l.w.place_step == 1;
    const bool by_taps = p->filters.form == PSAL_AMX_TRANSPOSED;
    p->unit = by_taps ? psal_size_max(c->taps, 1) : 1; /* all taps of a group of channels are packed together */
    p->steps = by_taps ? psal_ceil_div(c->pairs, STEP_PAIRS) * c->taps : psal_ceil_div(c->pairs * c->taps, STEP_PAIRS);

    const size_t image_floats = c->identity ? 0 : PARTS * c->pairs * (size_t)c->l.h.source * (size_t)c->l.w.source;
    p->group = p->images;
    if (image_floats > 0) p->group = psal_size_min(p->images, psal_size_max(MOST_SPLIT / image_floats, 1));
    p->split_floats = psal_round_up(p->group * image_floats, BLOCK);
    p->panels = psal_ceil_div(p->group * c->image_blocks, 2);

    const size_t row_blocks = psal_ceil_div(p->rows, TILE_ROWS), units = p->steps / p->unit;
    p->k_blocks = psal_ceil_div(units, psal_size_max(MOST_STEPS / p->unit, 1));
    p->most_steps = p->k_blocks ? psal_ceil_div(units, p->k_blocks) * p->unit : 0;
    p->packs_all = p->steps > 0 && p->rows <= FEW_ROWS && p->panels >= MANY_PANELS &&
                   row_blocks * p->steps <= FEW_BLOCK_STEPS;
    size_t most_panels = MOST_PANELS;
    if (p->packs_all) most_panels = psal_size_min(psal_size_max(FEW_PANEL_STEPS / p->most_steps, 1), MOST_PANELS);
    p->tasks = psal_ceil_div(p->panels, most_panels);
    if (p->tasks > 1) p->tasks = psal_size_min(psal_round_up(p->tasks, (size_t)threads), p->panels);
    p->row_tasks = p->tasks == 1 ? psal_size_min((size_t)threads, row_blocks) : 1;
    p->most_panels = p->tasks ? psal_ceil_div(p->panels, p->tasks) : 0;
    p->row_blocks = p->filters.form == PSAL_AMX_TRANSPOSED && p->filters.kernel == 1 ? MOST_ROW_BLOCKS : 1;
    p->a_floats = p->mode == PSAL_AMX_TERNARY ? TERNARY_STEP_FLOATS : STEP_FLOATS;
    const size_t a_steps = p->packs_all ? row_blocks * p->steps : p->row_blocks * p->most_steps;
    p->buffer = a_steps * p->a_floats + p->most_panels * p->most_steps * STEP_FLOATS + C_FLOATS;
}

size_t psal_amx_product_scratch(const psal_amx_product *p, int threads) {
    return (p->split_floats + (size_t)threads * p->buffer) * sizeof(float);
}

/* A product of one group of images */
typedef struct product_run {
    const psal_amx_product *p;
    psal_amx_columns columns;
    psal_amx_filters filters;
    const float *row_scale; /* NULL, or row r of the result is multiplied by row_scale[r] * factor */
    float factor;
    float *result;
    size_t blocks, panels, tasks; /* of these images */
} product_run;

static size_t k_block_start(const psal_amx_product *p, size_t k_block) {
    return even_start(p->steps / p->unit, p->k_blocks, k_block) * p->unit;
}

static void pack(const product_run *run, const psal_amx_block *block, float *a) {
    if (run->p->mode == PSAL_AMX_TERNARY)
        psal_amx_pack_ternary(&run->filters, block, a);
    else
        psal_amx_pack(&run->filters, block, a);
}

/* Row `row` of 16 columns of a tile, scaled */
static inline vec row_of(const product_run *run, const float *tile, size_t row) {
    const vec v = vec_load(tile);
    return run->row_scale ? vec_mul(v, vec_broadcast(run->row_scale[row] * run->factor)) : v;
}

/* Write tile[32][32], the columns of some blocks, to the result, or add it after the first K block. */
static void place(const product_run *run, const float *tile, size_t block, size_t blocks, const psal_amx_block *rows) {
    const psal_amx_product *p = run->p;
    const size_t plane = p->result_height * p->result_width, width = (size_t)p->columns.l.w.count;
    const bool add = rows->step > 0;
    for (size_t j = 0; j < blocks; j++, tile += BLOCK) {
        const psal_amx_column_block at = psal_amx_block_at(&run->columns, block + j);
        const vec_mask mask = vec_first(at.n);
        float *to = run->result + (at.image * p->rows + rows->row) * plane;
        if (p->in_place) {
            to += at.position;
            for (size_t r = 0; r < rows->rows; r++, to += plane) {
                vec sum = row_of(run, tile + r * TILE_WIDTH, rows->row + r);
                if (add) sum = vec_add(vec_load_masked(to, mask), sum);
                vec_store_masked(to, mask, sum);
            }
            continue;
        }
        int offsets[BLOCK] = {0};
        for (size_t i = 0; i < at.n; i++) {
            const size_t y = (at.position + i) / width, x = (at.position + i) % width;
            offsets[i] = (int)(y * (size_t)p->columns.l.h.place_step * p->result_width +
                               x * (size_t)p->columns.l.w.place_step);
        }
        const __m512i places = _mm512_loadu_si512(offsets);
        to += (size_t)p->columns.l.h.place * p->result_width + (size_t)p->columns.l.w.place;
        for (size_t r = 0; r < rows->rows; r++, to += plane) {
            vec sum = row_of(run, tile + r * TILE_WIDTH, rows->row + r);
            if (add) sum = vec_add(_mm512_mask_i32gather_ps(vec_zero(), mask, places, to, sizeof *to), sum);
            _mm512_mask_i32scatter_ps(to, mask, places, sum, sizeof *to);
        }
    }
}

/* 32 rows times a panel, whose first block of columns is `block` */
static void multiply(const product_run *run, const psal_amx_block *rows, const float *a, const float *panel,
                     size_t block, size_t blocks, float *tile) {
    const psal_amx_product *p = run->p;
    const size_t plane = p->result_height * p->result_width;
    const psal_amx_column_block at = psal_amx_block_at(&run->columns, block);
    const psal_amx_b_tiles b = {panel, blocks > 1 ? panel + TILE_FLOATS : NULL, STEP_FLOATS, PART_FLOATS};
    if (p->in_place && !run->row_scale && rows->step == 0 && rows->rows == TILE_ROWS &&
        at.position + TILE_WIDTH <= run->columns.positions) {
        float *to = run->result + (at.image * p->rows + rows->row) * plane + at.position;
        psal_amx_multiply(p->mode, a, &b, rows->steps, to, plane);
    } else {
        psal_amx_multiply(p->mode, a, &b, rows->steps, tile, TILE_WIDTH);
        place(run, tile, block, psal_size_min(blocks, 2), rows);
    }
}

/* All of A: [K block][32 rows][step]. Every thread packs its own: reading what another core has written takes
 * longer. */
static void pack_all_rows(const product_run *run, float *a) {
    const psal_amx_product *p = run->p;
    for (size_t k_block = 0; k_block < p->k_blocks; k_block++) {
        const psal_amx_block block = {0, p->rows, k_block_start(p, k_block),
                                      k_block_start(p, k_block + 1) - k_block_start(p, k_block)};
        pack(run, &block, a);
        a += psal_ceil_div(p->rows, TILE_ROWS) * block.steps * p->a_floats;
    }
}

/* Some panels and rows row0 .. row1-1; `all` is what pack_all_rows packed, or NULL and A is packed here. For each K
 * block the panels stay in the cache while they are multiplied by all rows. */
static void run_task(const product_run *run, size_t task, size_t row0, size_t row1, const float *all, float *buffer) {
    const psal_amx_product *p = run->p;
    float *tile = buffer, *b = tile + C_FLOATS, *own = b + p->most_panels * p->most_steps * STEP_FLOATS;
    const size_t first = even_start(run->panels, run->tasks, task), count = even_share(run->panels, run->tasks, task);
    const size_t most_rows = all ? row1 - row0 : p->row_blocks * TILE_ROWS;
    for (size_t k_block = 0; k_block < p->k_blocks; k_block++) {
        const size_t step = k_block_start(p, k_block), steps = k_block_start(p, k_block + 1) - step;
        const psal_amx_panels panels = {first * 2, psal_size_min(count * 2, run->blocks - first * 2), step, steps, b};
        psal_amx_pack_columns(&run->columns, &panels);
        for (size_t row = row0; row < row1; row += most_rows) {
            const psal_amx_block packed = {row, psal_size_min(most_rows, row1 - row), step, steps};
            const float *a = all ? all : own;
            if (!all) pack(run, &packed, own);
            for (size_t r = 0; r < packed.rows; r += TILE_ROWS, a += steps * p->a_floats) {
                const psal_amx_block block = {row + r, psal_size_min(TILE_ROWS, packed.rows - r), step, steps};
                for (size_t i = 0; i < panels.count; i += 2)
                    multiply(run, &block, a, b + i / 2 * steps * STEP_FLOATS, panels.first + i, panels.count - i, tile);
            }
            if (all) all = a;
        }
    }
}

static void run_group(product_run *run, size_t images, float *scratch, int threads) {
    const psal_amx_product *p = run->p;
    float *split = scratch, *buffers = split + p->split_floats;
    const size_t row_blocks = psal_ceil_div(p->rows, TILE_ROWS);
    run->blocks = images * p->columns.image_blocks;
    run->panels = psal_ceil_div(run->blocks, 2);
    run->tasks = psal_size_min(p->tasks, run->panels);
    run->columns.split = split;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        float *buffer = buffers + (size_t)omp_get_thread_num() * p->buffer;
        psal_amx_begin();
        float *all = p->packs_all ? buffer : NULL;
        if (all) {
            pack_all_rows(run, all);
            buffer += row_blocks * p->steps * p->a_floats;
        }
        if (!p->columns.identity) {
#pragma omp for schedule(static)
            for (size_t i = 0; i < images * p->columns.pairs; i++)
                psal_amx_split_plane(&run->columns, i / p->columns.pairs, i % p->columns.pairs, split);
        }
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < run->tasks * p->row_tasks; i++) {
            const size_t part = i % p->row_tasks, row0 = even_start(row_blocks, p->row_tasks, part) * TILE_ROWS;
            const size_t row1 = psal_size_min(even_start(row_blocks, p->row_tasks, part + 1) * TILE_ROWS, p->rows);
            run_task(run, i / p->row_tasks, row0, row1, all, buffer);
        }
        psal_amx_end();
    }
}

void psal_amx_product_run(const psal_amx_product *p, const psal_amx_operands *operands, float *result, float *scratch,
                          int threads) {
    const size_t source_image = p->columns.channels * (size_t)p->columns.l.h.source * (size_t)p->columns.l.w.source;
    const size_t result_image = p->rows * p->result_height * p->result_width;
    const psal_ternary_filters *ternary = operands->ternary;
    if (p->columns.positions == 0 || p->steps == 0) return;
    product_run run = {.p = p, .columns = p->columns, .filters = p->filters};
    run.filters.w = operands->w;
    if (p->mode == PSAL_AMX_TERNARY) {
        run.filters.codes = ternary->codes;
        run.factor = run.columns.factor = ternary->factor;
        if (p->filters.form == PSAL_AMX_ROWS)
            run.row_scale = ternary->scale;
        else
            run.columns.scale = ternary->scale;
    }
    for (size_t image = 0; image < p->images; image += p->group) {
        run.columns.source = operands->source + image * source_image;
        run.result = result + image * result_image;
        run_group(&run, psal_size_min(p->group, p->images - image), scratch, threads);
    }
}
