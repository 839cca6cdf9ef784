#include "engine/kernels/conv2d/simd/ternary_plan.h"

enum {
    MOST_SUMS = 65536,    /* floats of a task's sums, and */
    MOST_TABLES = 2048,   /* tables of a block, if one triple has no more: both stay in the L2 cache */
    LEAST_POSITIONS = 64, /* of a task */
    LEAST_STEPS = 32,     /* of a block, after which its sums are added to the others */
    LEAST_VECTORS = 8     /* of a task, because each task makes its own tables */
};

static psal_ternary_grid grid_of(const psal_conv2d_axis *a) {
    if (a->taps <= 1) return (psal_ternary_grid){.origin = a->offset, .scale = a->stride, .advance = 1};
    const int span = (a->taps - 1) * a->offset_step;
    return (psal_ternary_grid){.origin = a->offset + (span < 0 ? span : 0),
                               .scale = 1,
                               .advance = a->stride,
                               .tap = span < 0 ? -span : 0,
                               .tap_step = a->offset_step,
                               .span = span < 0 ? -span : span};
}

size_t psal_ternary_words(const psal_ternary_plan *plan, const psal_ternary_phase *p, size_t triples) {
    if (!plan->dx) return psal_ceil_div(triples * p->taps, WORD_STEPS);
    return triples * (p->taps / WORD_STEPS) + psal_ceil_div(triples, WORD_STEPS) * (p->taps % WORD_STEPS);
}

/* Cells of the grid that so many rows and columns of positions reach */
static size_t cells_under(const psal_ternary_phase *p, size_t rows, size_t columns) {
    return psal_ternary_cells(&p->h, rows) * psal_ternary_cells(&p->w, columns);
}

/* Whether a block of LEAST_STEPS has at most MOST_TABLES. */
static bool fits(const psal_ternary_phase *p, size_t rows, size_t columns) {
    return cells_under(p, rows, columns) * psal_ceil_div(LEAST_STEPS, p->taps) <= MOST_TABLES;
}

/* The most positions of a task, whole rows or a part of one, and the blocks: by the shape alone, because the blocks
 * determine the order of adding up */
static void choose_blocks(const psal_ternary_plan *plan, psal_ternary_phase *p, size_t *most_rows,
                          size_t *most_columns) {
    const size_t height = (size_t)p->l.h.count, width = (size_t)p->l.w.count;
    const size_t most = psal_size_max(MOST_SUMS / (plan->vectors * BLOCK), LEAST_POSITIONS);
    size_t rows = 1, columns = width;
    while (columns > LEAST_POSITIONS && (columns > most || !fits(p, 1, columns))) columns = psal_ceil_div(columns, 2);
    if (columns < width && columns > TILE_PIXELS) columns -= columns % TILE_PIXELS;
    if (columns == width)
        while (rows < height && (rows + 1) * width <= most && fits(p, rows + 1, width)) rows++;
    p->region = cells_under(p, rows, columns);

    p->triples = psal_size_max(MOST_TABLES / p->region, 1);
    if (p->triples >= WORD_STEPS) p->triples -= p->triples % WORD_STEPS; /* so that words have no idle steps */
    p->triples = psal_size_min(p->triples, plan->triples);
    const size_t before = (plan->triples - 1) / p->triples; /* the last block */
    p->blocks = before + 1;
    p->words = before * psal_ternary_words(plan, p, p->triples) +
               psal_ternary_words(plan, p, plan->triples - before * p->triples);
    *most_rows = rows;
    *most_columns = columns;
}

/* With fewer tasks than threads the vectors of results are divided, then the positions; these once more where few tasks
 * would be unevenly many for the threads. */
static void divide(const psal_ternary_plan *plan, psal_ternary_phase *p, size_t rows, size_t columns, size_t team) {
    const size_t height = (size_t)p->l.h.count, width = (size_t)p->l.w.count;
    const size_t images = (size_t)plan->s->batch;
    p->cuts = psal_ceil_div(width, columns);
    p->bands = psal_ceil_div(height, rows);
    const size_t parts = images * p->bands * p->cuts;
    const size_t shares = psal_size_min(psal_ceil_div(team, parts), plan->vectors / LEAST_VECTORS);
    p->shares = parts < team ? psal_size_max(shares, 1) : 1;

    const size_t tasks = parts * p->shares;
    if (tasks % team == 0 || tasks >= 8 * team) return;
    size_t *divided = height == 1 ? &p->cuts : &p->bands;
    const size_t wanted = psal_ceil_div(psal_round_up(tasks, team), tasks / *divided);
    const size_t finest = height == 1 ? psal_ceil_div(width, TILE_PIXELS) : height;
    *divided = psal_size_max(*divided, psal_size_min(wanted, finest));
}

static void plan_phase(psal_ternary_plan *plan, psal_ternary_phase *p, int threads) {
    if (psal_conv2d_lowered_is_identity(&p->l)) { /* one long row */
        p->l.w.count = p->l.w.source *= p->l.h.count;
        p->l.h.count = p->l.h.source = 1;
    }
    p->h = grid_of(&p->l.h);
    p->w = grid_of(&p->l.w);
    p->taps = psal_conv2d_taps(&p->l);
    p->positions = psal_conv2d_positions(&p->l);
    if (p->positions == 0) return;
    size_t rows = 1, columns = (size_t)p->l.w.count;
    if (p->taps > 0) choose_blocks(plan, p, &rows, &columns);
    divide(plan, p, rows, columns, (size_t)threads);
    p->task_positions = psal_ceil_div((size_t)p->l.h.count, p->bands) * psal_ceil_div((size_t)p->l.w.count, p->cuts);
    p->indices = plan->indices;
    p->first_task = plan->tasks;

    const size_t steps = psal_ternary_words(plan, p, p->triples) * WORD_STEPS;
    plan->indices += plan->vectors * p->words;
    plan->tasks += (size_t)plan->s->batch * p->bands * p->cuts * p->shares;
    plan->tables = psal_size_max(plan->tables, p->triples * p->region * BLOCK);
    plan->sums = psal_size_max(plan->sums, plan->vectors * p->task_positions * BLOCK);
    plan->pixels = psal_size_max(plan->pixels, psal_round_up(p->task_positions, BLOCK));
    plan->offsets = psal_size_max(plan->offsets, psal_round_up(steps, BLOCK));
}

psal_ternary_plan psal_ternary_plan_new(const psal_conv2d_shape *s, bool dx, int threads) {
    psal_ternary_plan plan = {.s = s, .dx = dx};
    plan.channels = (size_t)(dx ? s->out_channels : s->in_channels);
    plan.results = (size_t)(dx ? s->in_channels : s->out_channels);
    plan.vectors = psal_ceil_div(plan.results, BLOCK);
    plan.triples = psal_ceil_div(plan.channels, TRIPLE);
    plan.kernel = (size_t)s->kernel_height * (size_t)s->kernel_width;
    plan.phases = dx ? (size_t)s->stride_height * (size_t)s->stride_width : 1;
    for (size_t i = 0; i < plan.phases; i++) {
        psal_ternary_phase *p = &plan.phase[i];
        p->l = dx ? psal_conv2d_lower_dx(s, (int)i / s->stride_width, (int)i % s->stride_width)
                  : psal_conv2d_lower_forward(s);
        plan_phase(&plan, p, threads);
    }
    return plan;
}
