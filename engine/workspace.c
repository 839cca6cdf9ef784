/* Running a plan: one arena of intermediate values per workspace, everything else shared and read-only. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "engine/plan_internal.h"

enum { HUGE_PAGE = 2 << 20 };
#define SLOW_PAGE 1e-3 /* seconds: its 512 small pages take 0.6 ms, itself 0.1 */

struct psal_workspace {
    const psal_plan *plan;
    char *memory; /* the arena */
    bool owns_memory;
    const psal_real **values; /* per node: where its values are, or NULL */
    const psal_real **set;    /* per node: what the caller set, or NULL */
    const psal_real **in;     /* room for the inputs of the widest node */
    const psal_shape **in_shapes;
    psal_real **placed; /* per node: the caller's memory for it, or NULL; NULL while there is none at all */
    const psal_silence *silence;
    size_t silence_count;
    int next_stage; /* stages below it have run */
    double *seconds;
    long runs[PSAL_MAX_STAGES];
    bool profiling;
};

static psal_real *memory_at(const psal_workspace *ws, size_t offset) {
    return offset == SIZE_MAX ? NULL : (psal_real *)(ws->memory + offset);
}

psal_workspace *psal_workspace_new_in(const psal_plan *plan, void *memory, psal_error *err) {
    psal_workspace *ws = calloc(1, sizeof *ws);
    size_t nodes = (size_t)plan->nodes + 1, widest = 1;
    for (psal_node n = 0; n < plan->nodes; n++) {
        size_t inputs = (size_t)psal_graph_node(plan->graph, n)->input_count;
        if (inputs > widest) widest = inputs;
    }
    if (!ws) goto out_of_memory;
    ws->plan = plan;
    ws->memory = memory;
    ws->values = calloc(nodes, sizeof *ws->values);
    ws->set = calloc(nodes, sizeof *ws->set);
    ws->in = malloc(widest * sizeof *ws->in);
    ws->in_shapes = malloc(widest * sizeof *ws->in_shapes);
    if (!ws->values || !ws->set || !ws->in || !ws->in_shapes) goto out_of_memory;
    for (psal_node n = 0; n < plan->nodes; n++) {
        const psal_node_record *node = psal_graph_node(plan->graph, n);
        ws->values[n] = node->op == PSAL_OP_CONSTANT ? node->values : memory_at(ws, plan->offset[n]);
    }
    return ws;
out_of_memory:
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a workspace of %d nodes", plan->nodes);
    psal_workspace_free(ws);
    return NULL;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; before, it is refused and the pages come one by one */
#endif

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Get the pages of a piece of memory: a large one, or small ones if so wanted. Returns whether it took long. */
static bool populate(char *memory, size_t bytes, bool small) {
    if (small) madvise(memory, bytes, MADV_NOHUGEPAGE);
    const double start = now();
    madvise(memory, bytes, MADV_POPULATE_WRITE);
    return now() - start > SLOW_PAGE;
}

/* Memory in large pages. With `at_once` all of them by all threads, instead of one by one as they are written to. A
 * large page may take fifty times as long as usual, where a virtual machine's host has to find memory for it; a thread
 * that meets one goes on with small ones, of which the system has some that were used lately. */
static void *get_memory(size_t bytes, bool at_once, int threads) {
    const size_t rounded = (bytes / HUGE_PAGE + 1) * HUGE_PAGE;
    char *memory = aligned_alloc(HUGE_PAGE, rounded);
    if (!memory) return NULL;
    madvise(memory, rounded, MADV_HUGEPAGE); /* where it is refused nothing changes */
    if (!at_once) return memory;
    bool small = false;
#pragma omp parallel for schedule(dynamic) firstprivate(small) num_threads(threads) if (threads > 1)
    for (size_t start = 0; start < bytes; start += HUGE_PAGE)
        small |= populate(memory + start, bytes - start < HUGE_PAGE ? bytes - start : HUGE_PAGE, small);
    return memory;
}

void *psal_workspace_memory(size_t bytes) {
    return get_memory(bytes, false, 1);
}

psal_workspace *psal_workspace_new(const psal_plan *plan, psal_error *err) {
    void *memory = get_memory(psal_plan_memory(plan), plan->few_runs, plan->threads);
    if (!memory) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a workspace of %.1f MiB",
                  (double)psal_plan_memory(plan) / 1048576);
        return NULL;
    }
    psal_workspace *ws = psal_workspace_new_in(plan, memory, err);
    if (ws)
        ws->owns_memory = true;
    else
        free(memory);
    return ws;
}

void psal_workspace_free(psal_workspace *ws) {
    if (!ws) return;
    if (ws->owns_memory) free(ws->memory);
    free(ws->values);
    free(ws->set);
    free(ws->placed);
    free(ws->in);
    free(ws->in_shapes);
    free(ws->seconds);
    free(ws);
}

psal_status psal_workspace_set(psal_workspace *ws, psal_node n, const psal_real *values, psal_error *err) {
    const psal_graph *graph = ws->plan->source;
    const psal_node_record *node = n >= 0 && n < psal_graph_node_count(graph) ? psal_graph_node(graph, n) : NULL;
    if (!node || (node->op != PSAL_OP_INPUT && node->op != PSAL_OP_PARAMETER))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "node %d is not an input or a parameter of this graph", n);
    const psal_node own = psal_plan_node(ws->plan, n);
    if (own != PSAL_NO_NODE) ws->set[own] = values;
    return PSAL_OK;
}

psal_status psal_workspace_place(psal_workspace *ws, psal_node n, psal_real *memory, psal_error *err) {
    const psal_plan *plan = ws->plan;
    const psal_node own = psal_plan_node(plan, n);
    const psal_node_record *node = own != PSAL_NO_NODE && plan->is_output[own] ? psal_graph_node(plan->graph, own)
                                                                               : NULL;
    const psal_op *op = node ? psal_op_get(node->op) : NULL;
    if (!op || !(op->run || op->run_elements || op->is_view))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "node %d is not an output that could be placed elsewhere", n);
    if (!ws->placed && !(ws->placed = calloc((size_t)plan->nodes + 1, sizeof *ws->placed)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a workspace of %d nodes", plan->nodes);
    ws->placed[own] = memory;
    return PSAL_OK;
}

void psal_workspace_silence(psal_workspace *ws, const psal_silence *list, size_t count) {
    ws->silence = list;
    ws->silence_count = count;
}

/* Zero the channels of node `n` that are switched off. */
static void silence(const psal_workspace *ws, psal_node n, psal_real *out) {
    for (size_t i = 0; i < ws->silence_count; i++) {
        const psal_silence *s = &ws->silence[i];
        if (psal_plan_node(ws->plan, s->node) != n) continue;
        const psal_shape *shape = psal_graph_shape(ws->plan->graph, n);
        const int64_t plane = psal_shape_count(shape) / (shape->dim[0] * shape->dim[1]);
        memset(out + (s->image * shape->dim[1] + s->channel) * plane, 0, (size_t)plane * sizeof *out);
    }
}

/* Point the leaves that `stage` needs at what was set or bound. */
static psal_status resolve_leaves(psal_workspace *ws, int stage, psal_error *err) {
    const psal_plan *plan = ws->plan;
    for (psal_node n = 0; n < plan->nodes; n++) {
        const psal_node_record *node = psal_graph_node(plan->graph, n);
        if (node->op != PSAL_OP_INPUT && node->op != PSAL_OP_PARAMETER) continue;
        if (plan->stage_of[n] < 0 || plan->stage_of[n] > stage) continue;
        ws->values[n] = ws->set[n] ? ws->set[n] : plan->bound[n];
        if (!ws->values[n])
            return psal_fail(err, PSAL_ERR_ARGUMENT, "%s '%s' was given no values", psal_op_kind_name(node->op),
                             node->name);
    }
    return PSAL_OK;
}

/* ---- elementwise steps, several in one pass ---- */

enum {
    PIECE = 2048,        /* elements: what a pass reads and writes of one fits in the nearest cache */
    SERIAL_BELOW = 32768 /* elements: for fewer, waking a second thread costs more than the loop */
};

typedef struct pass {
    psal_op_call calls[PSAL_MAX_PASS];
    const psal_real *in[PSAL_MAX_PASS][PSAL_MAX_INPUTS];
    const psal_shape *in_shapes[PSAL_MAX_PASS][PSAL_MAX_INPUTS];
    int count;
} pass;

/* The last step of the pass that `step` begins. Where a channel is to be silenced in between, the pass ends there. */
static int last_of_pass(const psal_workspace *ws, int step) {
    const psal_plan_step *steps = ws->plan->steps;
    const int last = step + steps[step].follow;
    for (int inner = step; inner < last; inner++)
        for (size_t i = 0; i < ws->silence_count; i++)
            if (psal_plan_node(ws->plan, ws->silence[i].node) == steps[inner].node) return inner;
    return last;
}

static void run_piece(const pass *p, size_t begin, size_t count) {
    const size_t end = count - begin < PIECE ? count : begin + PIECE;
    for (int i = 0; i < p->count; i++) psal_op_get(p->calls[i].node->op)->run_elements(&p->calls[i], begin, end);
}

static void run_pass(const pass *p, int threads) {
    const size_t count = (size_t)psal_shape_count(&p->calls[0].node->shape);
    if (threads == 1 || count < SERIAL_BELOW) { /* without asking for a team of one */
        for (size_t begin = 0; begin < count; begin += PIECE) run_piece(p, begin, count);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t begin = 0; begin < count; begin += PIECE) run_piece(p, begin, count);
}

/* ---- running ---- */

/* What `step` computes, and where to, with room for its inputs. */
static psal_op_call prepare(psal_workspace *ws, int step, const psal_real **in, const psal_shape **in_shapes) {
    const psal_plan *plan = ws->plan;
    const psal_node n = plan->steps[step].node;
    const psal_node_record *node = psal_graph_node(plan->graph, n);
    for (int i = 0; i < node->input_count; i++) {
        in[i] = ws->values[node->inputs[i]];
        in_shapes[i] = psal_graph_shape(plan->graph, node->inputs[i]);
    }
    const bool placed = ws->placed && ws->placed[n];
    psal_real *out = placed ? ws->placed[n] : memory_at(ws, plan->steps[step].offset);
    ws->values[n] = psal_op_get(node->op)->is_view && !placed ? in[0] : out;
    return (psal_op_call){.node = node,
                          .in_shapes = in_shapes,
                          .in = in,
                          .out = out,
                          .convolution = plan->steps[step].prepared.convolution,
                          .parallel = {plan->threads, ws->memory + plan->steps[step].scratch}};
}

psal_status psal_workspace_run(psal_workspace *ws, int stage, psal_error *err) {
    const psal_plan *plan = ws->plan;
    if (stage < 0 || stage >= plan->stages || (stage != 0 && stage != ws->next_stage))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "stage %d cannot run now: the plan has %d stages, of which %d have run since the first", stage,
                         plan->stages, ws->next_stage);
    psal_status status = resolve_leaves(ws, stage, err);
    if (status != PSAL_OK) return status;
    double start = ws->profiling ? now() : 0;
    for (int step = plan->stage_begin[stage]; step < plan->stage_begin[stage + 1]; step++) {
        const int first = step;
        const psal_op *op = psal_op_get(psal_graph_node(plan->graph, plan->steps[step].node)->op);
        if (op->run_elements) {
            pass p;
            p.count = 0;
            for (const int last = last_of_pass(ws, step); step <= last; step++, p.count++)
                p.calls[p.count] = prepare(ws, step, p.in[p.count], p.in_shapes[p.count]);
            step--;
            run_pass(&p, plan->threads);
        } else {
            const psal_real *same_in[PSAL_MAX_INPUTS];
            const psal_shape *same_shape[PSAL_MAX_INPUTS];
            psal_op_call call = prepare(ws, step, ws->in, ws->in_shapes);
            if (last_of_pass(ws, step) > step) call.also = prepare(ws, ++step, same_in, same_shape).out;
            if (op->run)
                op->run(&call);
            else if (ws->placed && ws->placed[plan->steps[step].node]) /* a view, with a place of its own */
                memcpy(call.out, call.in[0], (size_t)psal_shape_count(&call.node->shape) * sizeof *call.out);
        }
        const psal_node result = plan->steps[step].node;
        if (ws->silence_count && !op->is_view) silence(ws, result, (psal_real *)(uintptr_t)ws->values[result]);
        if (ws->profiling) {
            double end = now();
            ws->seconds[first] += end - start;
            start = end;
        }
    }
    if (ws->profiling) ws->runs[stage]++;
    ws->next_stage = stage + 1;
    return PSAL_OK;
}

const psal_real *psal_workspace_get(const psal_workspace *ws, psal_node n) {
    const psal_node own = psal_plan_node(ws->plan, n);
    return own != PSAL_NO_NODE && ws->plan->is_output[own] ? ws->values[own] : NULL;
}

void psal_workspace_profile(psal_workspace *ws, bool on) {
    size_t steps = (size_t)ws->plan->step_count + 1;
    if (!ws->seconds && on) ws->seconds = malloc(steps * sizeof *ws->seconds);
    ws->profiling = on && ws->seconds;
    if (!ws->profiling) return; /* what was measured stays readable */
    memset(ws->seconds, 0, steps * sizeof *ws->seconds);
    memset(ws->runs, 0, sizeof ws->runs);
}

int psal_workspace_timing_count(const psal_workspace *ws) {
    return ws->seconds ? ws->plan->step_count : 0;
}

void psal_workspace_timings(const psal_workspace *ws, psal_timing *timings) {
    for (int step = 0; step < psal_workspace_timing_count(ws); step++) {
        psal_plan_step s = ws->plan->steps[step];
        const psal_node_record *node = psal_graph_node(ws->plan->graph, s.node);
        const psal_op *op = psal_op_get(node->op);
        timings[step] = (psal_timing){
            .op = psal_op_kind_name(node->op),
            .layer = node->layer,
            .algorithm = s.prepared.convolution ? psal_conv2d_algorithm_name(s.prepared.convolution) : NULL,
            .shape = node->shape,
            .seconds = ws->seconds[step],
            .flops = op->flops ? op->flops(node) * (double)ws->runs[s.stage] : 0,
            .stage = s.stage};
    }
}
