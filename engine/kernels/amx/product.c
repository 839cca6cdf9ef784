#include "engine/kernels/amx/product.h"

#include <omp.h>

#include "engine/kernels/x86/micro.h"

#define MOST_STEPS \
    18u /* of a cut: 576 products, two groups of channels of a 3 x 3 kernel; A of a block of rows: 108 KiB, */
#define MOST_PAIRS 8u      /* of a task, and their panels: 864 KiB of the second-level cache */
#define MOST_ROW_BLOCKS 4u /* packed together where that makes a longer run of memory: 432 KiB */
#define FEW_ROWS 128u      /* with few rows and many pairs, when all of A fits there, */
#define FEW_PAIRS 16u
#define FEW_BLOCK_STEPS 200u  /* in 1.2 MiB, it is packed first, */
#define FEW_PANEL_STEPS 36u   /* and a task's panels have 216 KiB */
#define MOST_WORDS (4u << 20) /* floats of a group's words: 16 MiB, unless one image has more */
#define C_FLOATS (TILE_ROWS * TILE_WIDTH)

static bool whole_axis(const psal_conv2d_axis *a) {
    return a->taps == 1 && a->stride == 1 && a->offset == 0 && a->count == a->source;
}

void psal_amx_product_plan(psal_amx_product *p, int threads) {
    psal_amx_columns *c = &p->columns;
    c->form = p->filters.form;
    c->plain = whole_axis(&c->l.h) && whole_axis(&c->l.w);
    c->positions = psal_conv2d_positions(&c->l);
    c->image_blocks = psal_ceil_div(c->positions, BLOCK);
    c->taps = psal_conv2d_taps(&c->l);
    c->pairs = psal_amx_pairs(c->channels);
    p->filters.channels = c->channels;
    p->filters.taps = c->taps;
    p->in_place = c->l.h.place_step == 1 && c->l.w.place_step == 1;
    const bool by_taps = p->filters.form == PSAL_AMX_TRANSPOSED;
    p->unit = by_taps ? psal_size_max(c->taps, 1) : 1; /* all taps of a group of channels are packed together */
    p->steps = by_taps ? psal_ceil_div(c->pairs, STEP_WORDS) * c->taps : psal_ceil_div(c->pairs * c->taps, STEP_WORDS);

    const size_t image_words = c->plain ? 0 : PARTS * c->pairs * (size_t)c->l.h.source * (size_t)c->l.w.source;
    p->group = p->images;
    if (image_words > 0) p->group = psal_size_min(p->images, psal_size_max(MOST_WORDS / image_words, 1));
    p->words_floats = psal_round_up(p->group * image_words, BLOCK);
    p->pairs = psal_ceil_div(p->group * c->image_blocks, 2);

    const size_t row_blocks = psal_ceil_div(p->rows, TILE_ROWS), units = p->steps / p->unit;
    p->cuts = psal_ceil_div(units, psal_size_max(MOST_STEPS / p->unit, 1));
    p->most_steps = p->cuts ? psal_ceil_div(units, p->cuts) * p->unit : 0;
    p->few_rows = p->steps > 0 && p->rows <= FEW_ROWS && p->pairs >= FEW_PAIRS &&
                  row_blocks * p->steps <= FEW_BLOCK_STEPS;
    size_t most_pairs = MOST_PAIRS;
    if (p->few_rows) most_pairs = psal_size_min(psal_size_max(FEW_PANEL_STEPS / p->most_steps, 1), MOST_PAIRS);
    p->tasks = psal_ceil_div(p->pairs, most_pairs);
    if (p->tasks > 1) p->tasks = psal_size_min(psal_round_up(p->tasks, (size_t)threads), p->pairs);
    p->row_tasks = p->tasks == 1 ? psal_size_min((size_t)threads, row_blocks) : 1;
    p->most_pairs = p->tasks ? psal_ceil_div(p->pairs, p->tasks) : 0;
    p->row_blocks = p->filters.form == PSAL_AMX_TRANSPOSED && p->filters.kernel == 1 ? MOST_ROW_BLOCKS : 1;
    p->a_floats = p->sums == PSAL_AMX_SIGNS ? SIGNS_STEP_FLOATS : STEP_FLOATS;
    const size_t a_steps = p->few_rows ? row_blocks * p->steps : p->row_blocks * p->most_steps;
    p->buffer = a_steps * p->a_floats + p->most_pairs * p->most_steps * STEP_FLOATS + C_FLOATS;
}

size_t psal_amx_product_scratch(const psal_amx_product *p, int threads) {
    return (p->words_floats + (size_t)threads * p->buffer) * sizeof(float);
}

/* A product at work on a group of images. */
typedef struct product_run {
    const psal_amx_product *p;
    psal_amx_columns columns;
    psal_amx_filters filters;
    const float *row_scale; /* NULL, or: a row of the result is taken times row_scale[row] * factor */
    float factor;
    float *result;
    size_t blocks, pairs, tasks; /* of these images */
} product_run;

static size_t cut_start(const psal_amx_product *p, size_t cut) {
    return even_start(p->steps / p->unit, p->cuts, cut) * p->unit;
}

static void pack(const product_run *run, const psal_amx_block *block, float *a) {
    if (run->p->sums == PSAL_AMX_SIGNS)
        psal_amx_pack_signs(&run->filters, block, a);
    else
        psal_amx_pack(&run->filters, block, a);
}

/* A row of 16 columns of a tile. */
static inline vec row_of(const product_run *run, const float *tile, size_t row) {
    const vec v = vec_load(tile);
    return run->row_scale ? vec_mul(v, vec_broadcast(run->row_scale[row] * run->factor)) : v;
}

/* Write the columns of some blocks from tile[32][32], or add them. */
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

/* A block of rows times a panel, of the blocks of columns from `block` on. */
static void multiply(const product_run *run, const psal_amx_block *rows, const float *a, const float *panel,
                     size_t block, size_t blocks, float *tile) {
    const psal_amx_product *p = run->p;
    const size_t plane = p->result_height * p->result_width;
    const psal_amx_column_block at = psal_amx_block_at(&run->columns, block);
    const psal_amx_right b = {panel, blocks > 1 ? panel + TILE_FLOATS : NULL, STEP_FLOATS, PART_FLOATS};
    if (p->in_place && !run->row_scale && rows->step == 0 && rows->rows == TILE_ROWS &&
        at.position + TILE_WIDTH <= run->columns.positions) {
        float *to = run->result + (at.image * p->rows + rows->row) * plane + at.position;
        psal_amx_multiply(p->sums, a, &b, rows->steps, to, plane);
    } else {
        psal_amx_multiply(p->sums, a, &b, rows->steps, tile, TILE_WIDTH);
        place(run, tile, block, psal_size_min(blocks, 2), rows);
    }
}

/* All of A: [cut][block of rows][step of the cut]. Every thread packs its own: reading what another core has written takes
 * longer. */
static void pack_all_rows(const product_run *run, float *a) {
    const psal_amx_product *p = run->p;
    for (size_t cut = 0; cut < p->cuts; cut++) {
        const psal_amx_block block = {0, p->rows, cut_start(p, cut), cut_start(p, cut + 1) - cut_start(p, cut)};
        pack(run, &block, a);
        a += psal_ceil_div(p->rows, TILE_ROWS) * block.steps * p->a_floats;
    }
}

/* Some pairs and rows row0 .. row1-1, whose A is what pack_all_rows made of it or, if NULL, is packed here; cut by cut, so that
 * the panels stay in the cache while blocks of rows go by. */
static void run_task(const product_run *run, size_t task, size_t row0, size_t row1, const float *all, float *buffer) {
    const psal_amx_product *p = run->p;
    float *tile = buffer, *b = tile + C_FLOATS, *own = b + p->most_pairs * p->most_steps * STEP_FLOATS;
    const size_t first = even_start(run->pairs, run->tasks, task), count = even_share(run->pairs, run->tasks, task);
    const size_t most_rows = all ? row1 - row0 : p->row_blocks * TILE_ROWS;
    for (size_t cut = 0; cut < p->cuts; cut++) {
        const size_t step = cut_start(p, cut), steps = cut_start(p, cut + 1) - step;
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
    float *words = scratch, *buffers = words + p->words_floats;
    const size_t row_blocks = psal_ceil_div(p->rows, TILE_ROWS);
    run->blocks = images * p->columns.image_blocks;
    run->pairs = psal_ceil_div(run->blocks, 2);
    run->tasks = psal_size_min(p->tasks, run->pairs);
    run->columns.words = words;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        float *buffer = buffers + (size_t)omp_get_thread_num() * p->buffer;
        psal_amx_begin();
        float *all = p->few_rows ? buffer : NULL;
        if (all) {
            pack_all_rows(run, all);
            buffer += row_blocks * p->steps * p->a_floats;
        }
        if (!p->columns.plain) {
#pragma omp for schedule(static)
            for (size_t i = 0; i < images * p->columns.pairs; i++)
                psal_amx_split_plane(&run->columns, i / p->columns.pairs, i % p->columns.pairs, words);
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
    const psal_conv2d_signs *signs = operands->signs;
    if (p->columns.positions == 0 || p->steps == 0) return;
    product_run run = {.p = p, .columns = p->columns, .filters = p->filters};
    run.filters.w = operands->w;
    if (p->sums == PSAL_AMX_SIGNS) {
        run.filters.codes = signs->codes;
        run.factor = run.columns.factor = signs->factor;
        if (p->filters.form == PSAL_AMX_ROWS)
            run.row_scale = signs->scale;
        else
            run.columns.scale = signs->scale;
    }
    for (size_t image = 0; image < p->images; image += p->group) {
        run.columns.source = operands->source + image * source_image;
        run.result = result + image * result_image;
        run_group(&run, psal_size_min(p->group, p->images - image), scratch, threads);
    }
}
