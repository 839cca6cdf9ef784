/* Which nodes run, in which order, in which memory.
 *
 * Order: nodes in the order they were made, stage by stage, with two exceptions. A large value whose readers all can run and
 * together leave less than half of it (a filter's gradient: its mean and its signs) is read by all of them at once, even by
 * those that only a later stage needs, and so are the last readers of one that others have read before (a layer's gradient: the
 * means of its weights' after that of its input). And what an operation makes quickly and large from little, or in a lean plan
 * from what is kept anyway (psal_keeping), is made anew right before each reader, or pair of readers one after the other.
 *
 * Elementwise steps that go on with each other's results are one pass over the values: a normalisation with the addition and
 * the ReLU behind it, a ReLU's mask with the normalisation's scale behind it. So are a
 * filter's mean and its signs.
 *
 * Memory: every value lives from the step that makes it to the last step that reads it. Values are placed in one arena,
 * largest first, each at the lowest offset free during its whole life (greedy by size: Pisarchyk & Lee 2020, "Efficient
 * memory management for deep neural net inference"). An elementwise step takes over its input's memory when it is the
 * last to read it; a slice of one image's channels lies in what it is a slice of, and the first part of a concatenation in
 * the whole. */
#include "engine/plan_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- which nodes ---- */

/* stage_of for everything that `node` needs and that no earlier stage has. Nodes only depend on lower numbers, so one
 * downward sweep per stage is enough. */
static void mark_needed(psal_plan *plan, int stage, const psal_node *outputs, int count) {
    for (int i = 0; i < count; i++)
        if (plan->stage_of[outputs[i]] < 0) plan->stage_of[outputs[i]] = stage;
    for (psal_node n = plan->nodes - 1; n >= 0; n--) {
        if (plan->stage_of[n] != stage) continue;
        const psal_node_record *node = psal_graph_node(plan->graph, n);
        for (int i = 0; i < node->input_count; i++)
            if (plan->stage_of[node->inputs[i]] < 0) plan->stage_of[node->inputs[i]] = stage;
    }
}

static bool is_leaf(const psal_node_record *node) {
    return node->op == PSAL_OP_INPUT || node->op == PSAL_OP_PARAMETER || node->op == PSAL_OP_CONSTANT;
}

static size_t bytes_of(const psal_node_record *node) {
    size_t bytes = (size_t)psal_shape_count(&node->shape) * sizeof(psal_real);
    return (bytes + PSAL_ALIGNMENT - 1) / PSAL_ALIGNMENT * PSAL_ALIGNMENT;
}

/* ---- in which order ---- */

typedef struct schedule {
    psal_plan *plan;
    int *first_user; /* linked lists node -> its users: index into links, -1 ends */
    int *links, *link_user;
    int link_count;
    bool *done;
} schedule;

static bool is_recomputed(const psal_plan *plan, psal_node n) {
    const psal_keeping keeping = psal_op_get(psal_graph_node(plan->graph, n)->op)->keeping;
    return (keeping == PSAL_RECOMPUTED || (keeping == PSAL_KEPT_UNLESS_LEAN && plan->lean)) && !plan->is_output[n];
}

/* Whether all that `n` reads is there, or can be recomputed, in `stage`. */
static bool ready(const schedule *s, psal_node n, int stage) {
    const psal_node_record *node = psal_graph_node(s->plan->graph, n);
    for (int i = 0; i < node->input_count; i++) {
        psal_node in = node->inputs[i];
        if (is_leaf(psal_graph_node(s->plan->graph, in)) ? s->plan->stage_of[in] > stage : !s->done[in]) {
            if (!is_recomputed(s->plan, in) || !ready(s, in, stage)) return false;
        }
    }
    return true;
}

static void run_step(schedule *s, psal_node n, int stage);

/* Those that are left of the readers of `n`, if all of them can run and what they leave is small. */
static void run_readers(schedule *s, psal_node n, int stage) {
    size_t left = 0;
    for (int link = s->first_user[n]; link >= 0; link = s->links[link]) {
        psal_node user = s->link_user[link];
        if (s->done[user]) continue;
        if (is_recomputed(s->plan, user) || !ready(s, user, stage)) return;
        left += bytes_of(psal_graph_node(s->plan->graph, user));
    }
    if (2 * left >= bytes_of(psal_graph_node(s->plan->graph, n))) return;
    for (int link = s->first_user[n]; link >= 0; link = s->links[link]) {
        psal_node user = s->link_user[link];
        if (!s->done[user]) run_step(s, user, stage);
    }
}

static bool reads(const psal_node_record *node, int inputs, psal_node value) {
    for (int i = 0; i < inputs; i++)
        if (node->inputs[i] == value) return true;
    return false;
}

/* What is recomputed stays for the next step when that reads it too: it takes no memory that these two do not take anyway. */
static void add_step(schedule *s, psal_node n, int stage) {
    const psal_node_record *node = psal_graph_node(s->plan->graph, n), *before = NULL;
    if (s->plan->step_count > 0) before = psal_graph_node(s->plan->graph, s->plan->steps[s->plan->step_count - 1].node);
    for (int i = 0; i < node->input_count; i++) {
        psal_node in = node->inputs[i];
        if (!is_recomputed(s->plan, in) || reads(node, i, in) || (before && reads(before, before->input_count, in)))
            continue;
        add_step(s, in, stage);
    }
    s->plan->steps[s->plan->step_count++] = (psal_plan_step){.node = n, .stage = stage, .offset = SIZE_MAX};
}

static void run_step(schedule *s, psal_node n, int stage) {
    s->done[n] = true;
    if (is_leaf(psal_graph_node(s->plan->graph, n))) return;
    s->plan->stage_of[n] = stage;
    add_step(s, n, stage);
    if (!s->plan->is_output[n]) run_readers(s, n, stage);
    const psal_node_record *node = psal_graph_node(s->plan->graph, n);
    for (int i = 0; i < node->input_count; i++) {
        const psal_node in = node->inputs[i];
        if (!is_leaf(psal_graph_node(s->plan->graph, in)) && !s->plan->is_output[in]) run_readers(s, in, stage);
    }
}

static psal_status order_steps(psal_plan *plan, psal_error *err) {
    int nodes = plan->nodes, inputs = 0;
    for (psal_node n = 0; n < nodes; n++) inputs += psal_graph_node(plan->graph, n)->input_count;
    schedule s = {.plan = plan,
                  .first_user = malloc((size_t)nodes * sizeof(int)),
                  .links = malloc((size_t)(inputs + 1) * sizeof(int)),
                  .link_user = malloc((size_t)(inputs + 1) * sizeof(int)),
                  .done = calloc((size_t)nodes, sizeof(bool))};
    psal_status status = PSAL_OK;
    if (!s.first_user || !s.links || !s.link_user || !s.done) {
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a plan of %d nodes", nodes);
        goto done;
    }
    for (psal_node n = 0; n < nodes; n++) s.first_user[n] = -1;
    for (psal_node n = nodes - 1; n >= 0; n--) {
        if (plan->stage_of[n] < 0) continue;
        const psal_node_record *node = psal_graph_node(plan->graph, n);
        for (int i = 0; i < node->input_count; i++) {
            psal_node in = node->inputs[i];
            s.link_user[s.link_count] = n;
            s.links[s.link_count] = s.first_user[in];
            s.first_user[in] = s.link_count++;
        }
    }
    for (int stage = 0; stage < plan->stages; stage++) {
        plan->stage_begin[stage] = plan->step_count;
        for (psal_node n = 0; n < nodes; n++)
            if (plan->stage_of[n] == stage && !s.done[n] && !is_recomputed(plan, n)) run_step(&s, n, stage);
    }
    plan->stage_begin[plan->stages] = plan->step_count;
done:
    free(s.first_user);
    free(s.links);
    free(s.link_user);
    free(s.done);
    return status;
}

/* ---- which steps are one pass ---- */

static const psal_node_record *record_of(const psal_plan *plan, int step) {
    return psal_graph_node(plan->graph, plan->steps[step].node);
}

static bool makes(const psal_plan *plan, int first, int last, psal_node value) {
    for (int step = first; step <= last; step++)
        if (plan->steps[step].node == value) return true;
    return false;
}

static bool reads_any(const psal_plan *plan, int step, int first, int last) {
    const psal_node_record *node = record_of(plan, step);
    for (int i = 0; i < node->input_count; i++)
        if (makes(plan, first, last, node->inputs[i])) return true;
    return false;
}

/* Whether `step` goes on with what the pass first .. last makes: element by element, and with nothing of it as a whole. */
static bool goes_on(const psal_plan *plan, int step, int first, int last) {
    const psal_node_record *node = record_of(plan, step);
    const psal_op *op = psal_op_get(node->op);
    if (!op->run_elements || !psal_op_get(record_of(plan, first)->op)->run_elements) return false;
    if (last - first + 1 >= PSAL_MAX_PASS || !reads_any(plan, step, first, last)) return false;
    if (psal_shape_count(&node->shape) != psal_shape_count(&record_of(plan, first)->shape)) return false;
    for (int i = 0; i < node->input_count; i++)
        if (!(op->in_place >> i & 1) && makes(plan, first, last, node->inputs[i])) return false;
    return true;
}

/* Steps first .. end-1, of which the last `count` are to come first. */
static void move_ahead(psal_plan *plan, int first, int end, int count) {
    for (; count > 0; count--, first++) {
        const psal_plan_step moved = plan->steps[end - count];
        memmove(plan->steps + first + 1, plan->steps + first, (size_t)(end - count - first) * sizeof moved);
        plan->steps[first] = moved;
    }
}

/* Bring together what can be one pass: the small things between (a normalisation's scale), which need nothing of it, are made
 * before it. */
static void gather_passes(psal_plan *plan) {
    enum { BETWEEN = 8, SMALLER = 8 };
    for (int stage = 0; stage < plan->stages; stage++) {
        const int end = plan->stage_begin[stage + 1];
        for (int first = plan->stage_begin[stage], last; first < end; first = last + 1) {
            last = first;
            if (!psal_op_get(record_of(plan, first)->op)->run_elements) continue;
            for (int step = first + 1; step < end && step - last <= BETWEEN; step++) {
                if (goes_on(plan, step, first, last)) {
                    const int between = step - last - 1;
                    move_ahead(plan, first, step, between);
                    first += between;
                    last = step;
                } else if (reads_any(plan, step, first, last) ||
                           bytes_of(record_of(plan, step)) * SMALLER > bytes_of(record_of(plan, first))) {
                    break;
                }
            }
        }
    }
}

/* ---- in which memory ---- */

typedef struct buffer {
    size_t bytes, offset;
    int64_t filled; /* elements of the largest value in it */
    int begin, end; /* steps, inclusive */
} buffer;

/* A node that is recomputed has several steps and a buffer for each. */
typedef struct layout {
    buffer *buffers;
    int count;
    int *maker;     /* per node: the step that made the value which is read now, -1: none (leaves) */
    int *last_use;  /* per step: the last step that reads its result */
    int *viewed;    /* per step: the step whose result it views or may share, or -1 */
    int *buffer_of; /* per step, -1: none (views of leaves) */
    size_t *inside; /* per step: bytes from its buffer's start */
} layout;

/* Whether node `n` can share its first input's memory. An output or the smaller part of something does not: what it lies in
 * would be kept with it. */
static bool can_share(const psal_plan *plan, psal_node n, size_t *offset) {
    const psal_node_record *node = psal_graph_node(plan->graph, n);
    const psal_op *op = psal_op_get(node->op);
    return op->shares && !plan->is_output[n] && op->shares(node, offset) &&
           2 * psal_shape_count(&node->shape) > psal_shape_count(psal_graph_shape(plan->graph, node->inputs[0]));
}

/* The step may share the buffer of its first input: as a part of it or, when nothing lies behind that, as the whole, for which
 * the buffer grows. */
static int share(const psal_plan *plan, layout *l, int step) {
    const psal_node_record *node = psal_graph_node(plan->graph, plan->steps[step].node);
    size_t offset;
    if (!can_share(plan, plan->steps[step].node, &offset)) return -1;
    const int maker = l->maker[node->inputs[0]], b = maker < 0 ? -1 : l->buffer_of[maker];
    if (b < 0) return -1;
    const int64_t count = psal_shape_count(&node->shape);
    const int64_t input = psal_shape_count(&psal_graph_node(plan->graph, node->inputs[0])->shape);
    if (count > input) {
        if (l->inside[maker] > 0 || l->buffers[b].filled != input) return -1;
        l->buffers[b].bytes = bytes_of(node);
        l->buffers[b].filled = count;
    }
    l->inside[step] = l->inside[maker] + offset * sizeof(psal_real);
    return b;
}

/* The step may take over the buffer of one of its inputs: the operation allows it, the sizes are the same and nothing later
 * reads that buffer. */
static int takeover(const psal_plan *plan, layout *l, int step) {
    const psal_node_record *node = psal_graph_node(plan->graph, plan->steps[step].node);
    const psal_op *op = psal_op_get(node->op);
    for (int i = 0; i < node->input_count; i++) {
        int maker = l->maker[node->inputs[i]], b = maker < 0 ? -1 : l->buffer_of[maker];
        bool allowed = op->is_view || (op->in_place >> i & 1);
        if (!allowed || b < 0) continue;
        if (op->is_view) {
            l->inside[step] = l->inside[maker];
            return b;
        }
        if (l->buffers[b].end == step && l->buffers[b].bytes == bytes_of(node) && l->inside[maker] == 0) return b;
    }
    return share(plan, l, step);
}

/* Which step reads what last. */
static void measure_lifetimes(const psal_plan *plan, layout *l) {
    for (psal_node n = 0; n < plan->nodes; n++) l->maker[n] = -1;
    for (int step = 0; step < plan->step_count; step++) {
        psal_node n = plan->steps[step].node;
        const psal_node_record *node = psal_graph_node(plan->graph, n);
        for (int i = 0; i < node->input_count; i++) {
            int maker = l->maker[node->inputs[i]];
            if (maker >= 0 && l->last_use[maker] < step) l->last_use[maker] = step;
        }
        size_t offset;
        l->viewed[step] = psal_op_get(node->op)->is_view || can_share(plan, n, &offset) ? l->maker[node->inputs[0]]
                                                                                        : -1;
        l->maker[n] = step;
        l->last_use[step] = plan->is_output[n] ? plan->step_count : step;
    }
    /* A view is read through its own node: its readers keep the viewed value alive. Later steps first, so that views of
     * views pass their lifetime on. */
    for (int step = plan->step_count - 1; step >= 0; step--)
        if (l->viewed[step] >= 0 && l->last_use[l->viewed[step]] < l->last_use[step])
            l->last_use[l->viewed[step]] = l->last_use[step];
}

enum { SMALL = 16 << 10 }; /* bytes */

/* Small ones first, then by size: placed last, a few small values that are kept for long would lie on top of everything. */
static int by_size_then_begin(const void *a, const void *b) {
    const buffer *x = *(const buffer *const *)a, *y = *(const buffer *const *)b;
    if ((x->bytes <= SMALL) != (y->bytes <= SMALL)) return x->bytes <= SMALL ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int by_offset(const void *a, const void *b) {
    const buffer *x = *(const buffer *const *)a, *y = *(const buffer *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static psal_status place(psal_plan *plan, layout *l, psal_error *err) {
    buffer **order = malloc(((size_t)l->count + 1) * sizeof *order),
           **near = malloc(((size_t)l->count + 1) * sizeof *near);
    if (!order || !near) {
        free(order);
        free(near);
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a plan of %d buffers", l->count);
    }
    for (int i = 0; i < l->count; i++) order[i] = &l->buffers[i];
    qsort(order, (size_t)l->count, sizeof *order, by_size_then_begin);
    for (int i = 0; i < l->count; i++) {
        int overlapping = 0;
        for (int j = 0; j < i; j++)
            if (order[j]->begin <= order[i]->end && order[i]->begin <= order[j]->end) near[overlapping++] = order[j];
        qsort(near, (size_t)overlapping, sizeof *near, by_offset);
        size_t offset = 0;
        for (int j = 0; j < overlapping; j++) {
            if (near[j]->offset >= offset + order[i]->bytes) break;
            size_t after = near[j]->offset + near[j]->bytes;
            if (after > offset) offset = after;
        }
        order[i]->offset = offset;
        if (offset + order[i]->bytes > plan->memory) plan->memory = offset + order[i]->bytes;
    }
    free(order);
    free(near);
    return PSAL_OK;
}

static size_t scratch_of(const psal_plan *plan, int step) {
    const psal_node_record *node = psal_graph_node(plan->graph, plan->steps[step].node);
    const psal_op *op = psal_op_get(node->op);
    const size_t bytes = op->scratch ? op->scratch(node, plan->methods[plan->steps[step].stage], plan->threads) : 0;
    return (bytes + PSAL_ALIGNMENT - 1) / PSAL_ALIGNMENT * PSAL_ALIGNMENT;
}

/* Scratch memory ends where the arena does, for all steps, so that it is in the cache from the one before: what most of them need
 * lies in one place, and the steps that need much do so when few values are kept. */
static void place_scratch(psal_plan *plan, const layout *l) {
    for (int step = 0; step < plan->step_count; step++) {
        const size_t bytes = scratch_of(plan, step);
        size_t top = 0; /* of what is kept at this step */
        for (int i = 0; i < l->count; i++) {
            const buffer *b = &l->buffers[i];
            if (b->begin <= step && step <= b->end && b->offset + b->bytes > top) top = b->offset + b->bytes;
        }
        if (top + bytes > plan->memory) plan->memory = top + bytes;
        plan->steps[step].scratch = bytes;
    }
    for (int step = 0; step < plan->step_count; step++)
        plan->steps[step].scratch = plan->memory - plan->steps[step].scratch;
}

static psal_status lay_out(psal_plan *plan, psal_error *err) {
    size_t nodes = (size_t)plan->nodes + 1, steps = (size_t)plan->step_count + 1;
    layout l = {.buffers = calloc(steps, sizeof *l.buffers),
                .maker = malloc(nodes * sizeof *l.maker),
                .last_use = calloc(steps, sizeof *l.last_use),
                .viewed = malloc(steps * sizeof *l.viewed),
                .buffer_of = malloc(steps * sizeof *l.buffer_of),
                .inside = calloc(steps, sizeof *l.inside)};
    psal_status status = PSAL_OK;
    if (!l.buffers || !l.maker || !l.last_use || !l.viewed || !l.buffer_of || !l.inside) {
        status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a plan of %d steps", plan->step_count);
        goto done;
    }
    measure_lifetimes(plan, &l);
    for (psal_node n = 0; n < plan->nodes; n++) l.maker[n] = -1;
    for (int step = 0; step < plan->step_count; step++) {
        const psal_node_record *node = psal_graph_node(plan->graph, plan->steps[step].node);
        int b = takeover(plan, &l, step);
        if (b < 0 && !psal_op_get(node->op)->is_view) { /* a view of a leaf: the leaf's own memory */
            b = l.count++;
            l.buffers[b] = (buffer){
                .bytes = bytes_of(node), .filled = psal_shape_count(&node->shape), .begin = step, .end = step};
        }
        if (b >= 0 && l.last_use[step] > l.buffers[b].end) l.buffers[b].end = l.last_use[step];
        l.buffer_of[step] = b;
        l.maker[plan->steps[step].node] = step;
    }
    status = place(plan, &l, err);
    if (status != PSAL_OK) goto done;
    place_scratch(plan, &l);
    for (psal_node n = 0; n < plan->nodes; n++) plan->offset[n] = SIZE_MAX;
    for (int step = 0; step < plan->step_count; step++) {
        if (l.buffer_of[step] >= 0) plan->steps[step].offset = l.buffers[l.buffer_of[step]].offset + l.inside[step];
        plan->offset[plan->steps[step].node] = plan->steps[step].offset;
    }
done:
    free(l.buffers);
    free(l.maker);
    free(l.last_use);
    free(l.viewed);
    free(l.buffer_of);
    free(l.inside);
    return status;
}

/* ---- which steps are one pass, given their memory ---- */

/* Where the value that `step` reads is, or SIZE_MAX: not in the arena. */
static size_t place_read(const psal_plan *plan, int step, psal_node value) {
    if (is_leaf(psal_graph_node(plan->graph, value))) return SIZE_MAX;
    while (step > 0 && plan->steps[step - 1].node != value) step--;
    return step > 0 ? plan->steps[step - 1].offset : SIZE_MAX;
}

static bool apart(size_t a, size_t a_bytes, size_t b, size_t b_bytes) {
    return a == SIZE_MAX || b == SIZE_MAX || a + a_bytes <= b || b + b_bytes <= a;
}

/* In a pass, `step` writes its first elements before the steps ahead of it have read their last ones: its memory must be
 * apart from theirs, or the same element for element. */
static bool memory_allows(const psal_plan *plan, int step, int first) {
    const size_t out = plan->steps[step].offset, bytes = bytes_of(record_of(plan, step));
    for (int ahead = first; ahead < step; ahead++) {
        const psal_node_record *node = record_of(plan, ahead);
        if (out != plan->steps[ahead].offset && !apart(out, bytes, plan->steps[ahead].offset, bytes)) return false;
        for (int i = 0; i < node->input_count; i++) {
            const size_t in = place_read(plan, ahead, node->inputs[i]);
            const bool same = out == in && (psal_op_get(node->op)->in_place >> i & 1);
            if (!same && !apart(out, bytes, in, bytes_of(psal_graph_node(plan->graph, node->inputs[i])))) return false;
        }
    }
    return true;
}

/* Whether `step` can be done in the pass first .. step - 1. */
static bool joins(const psal_plan *plan, int step, int first) {
    const psal_node_record *node = record_of(plan, step), *before = record_of(plan, first);
    const bool also = first == step - 1 && node->op == psal_op_get(before->op)->also &&
                      node->inputs[0] == before->inputs[0] &&
                      (node->input_count == 1 || node->inputs[1] == plan->steps[first].node);
    return (also || goes_on(plan, step, first, step - 1)) && memory_allows(plan, step, first);
}

static void join_steps(psal_plan *plan) {
    for (int stage = 0; stage < plan->stages; stage++) {
        const int end = plan->stage_begin[stage + 1];
        for (int first = plan->stage_begin[stage], last; first < end; first = last + 1) {
            last = first;
            while (last + 1 < end && joins(plan, last + 1, first)) last++;
            for (int step = first; step <= last; step++) plan->steps[step].follow = last - step;
        }
    }
}

/* ---- the plan ---- */

static psal_status check_options(const psal_graph *graph, const psal_plan_options *options, psal_error *err) {
    if (options->stages < 1 || options->stages > PSAL_MAX_STAGES)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a plan has 1 to %d stages, got %d", PSAL_MAX_STAGES, options->stages);
    for (int stage = 0; stage < options->stages; stage++) {
        if (options->output_count[stage] < 1)
            return psal_fail(err, PSAL_ERR_ARGUMENT, "stage %d of a plan wants no output", stage);
        for (int i = 0; i < options->output_count[stage]; i++) {
            psal_node n = options->outputs[stage][i];
            if (n < 0 || n >= psal_graph_node_count(graph))
                return psal_fail(err, PSAL_ERR_ARGUMENT, "output %d of stage %d is not a node of the graph", i, stage);
        }
    }
    return PSAL_OK;
}

psal_plan *psal_plan_new(const psal_graph *graph, const psal_plan_options *options, psal_error *err) {
    if (psal_graph_check(graph, err) != PSAL_OK || check_options(graph, options, err) != PSAL_OK) return NULL;
    psal_plan *plan = calloc(1, sizeof *plan);
    if (!plan) goto out_of_memory;
    size_t nodes = (size_t)psal_graph_node_count(graph), inputs = 0;
    for (psal_node n = 0; n < (int)nodes; n++) inputs += (size_t)psal_graph_node(graph, n)->input_count;
    plan->graph = graph;
    plan->nodes = (int)nodes;
    plan->threads = options->threads > 1 ? options->threads : 1;
    plan->stages = options->stages;
    plan->brief = options->brief;
    plan->lean = options->lean;
    memcpy(plan->methods, options->methods, sizeof plan->methods);
    plan->steps = malloc((nodes + inputs + 1) * sizeof *plan->steps); /* what is recomputed: once for every reader */
    plan->stage_of = malloc((nodes + 1) * sizeof *plan->stage_of);
    plan->is_output = calloc(nodes + 1, sizeof *plan->is_output);
    plan->offset = malloc((nodes + 1) * sizeof *plan->offset);
    plan->bound = calloc(nodes + 1, sizeof *plan->bound);
    if (!plan->steps || !plan->stage_of || !plan->is_output || !plan->offset || !plan->bound) goto out_of_memory;
    for (size_t n = 0; n < nodes; n++) plan->stage_of[n] = -1;
    for (int stage = 0; stage < options->stages; stage++) {
        mark_needed(plan, stage, options->outputs[stage], options->output_count[stage]);
        for (int i = 0; i < options->output_count[stage]; i++) plan->is_output[options->outputs[stage][i]] = true;
    }
    if (order_steps(plan, err) != PSAL_OK) goto failed;
    gather_passes(plan);
    if (lay_out(plan, err) != PSAL_OK) goto failed;
    join_steps(plan);
    if (options->memory_limit && psal_plan_memory(plan) > options->memory_limit) {
        psal_fail(err, PSAL_ERR_MEMORY, "needs %.1f MiB of working memory, more than the limit of %.1f MiB",
                  (double)psal_plan_memory(plan) / 1048576, (double)options->memory_limit / 1048576);
        goto failed;
    }
    return plan;
out_of_memory:
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a plan of %d nodes", psal_graph_node_count(graph));
failed:
    psal_plan_free(plan);
    return NULL;
}

void psal_plan_free(psal_plan *plan) {
    if (!plan) return;
    free(plan->steps);
    free(plan->stage_of);
    free(plan->is_output);
    free(plan->offset);
    free(plan->bound);
    free(plan);
}

psal_status psal_plan_bind(psal_plan *plan, psal_node parameter, const psal_real *values, psal_error *err) {
    if (parameter < 0 || parameter >= plan->nodes || psal_graph_node(plan->graph, parameter)->op != PSAL_OP_PARAMETER)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "node %d is not a parameter of this plan's graph", parameter);
    plan->bound[parameter] = values;
    return PSAL_OK;
}

size_t psal_plan_memory(const psal_plan *plan) {
    return plan->memory;
}

bool psal_plan_reads(const psal_plan *plan, psal_node leaf) {
    return leaf >= 0 && leaf < plan->nodes && plan->stage_of[leaf] >= 0;
}
