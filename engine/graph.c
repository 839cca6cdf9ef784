#include "engine/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/op.h"

/* Small things that live as long as the graph (input lists, names, constants) come from a chain of blocks. */
typedef struct arena_block {
    struct arena_block *next;
    size_t used, size;
    max_align_t data[];
} arena_block;

struct psal_graph {
    psal_node_record *nodes;
    int count, capacity;
    arena_block *arena;
    const char *layer;
    psal_error error;
};

static void *arena_alloc(psal_graph *graph, size_t size) {
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    arena_block *block = graph->arena;
    if (!block || block->size - block->used < size) {
        size_t block_size = size > 65536 ? size : 65536;
        block = malloc(sizeof *block + block_size);
        if (!block) {
            psal_fail(&graph->error, PSAL_ERR_MEMORY, "out of memory for a graph block of %zu bytes", block_size);
            return NULL;
        }
        *block = (arena_block){.next = graph->arena, .used = 0, .size = block_size};
        graph->arena = block;
    }
    void *memory = (char *)block->data + block->used;
    block->used += size;
    return memory;
}

static const char *arena_string(psal_graph *graph, const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(graph, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

psal_graph *psal_graph_new(void) {
    psal_graph *graph = calloc(1, sizeof *graph);
    if (graph) graph->layer = "";
    return graph;
}

void psal_graph_free(psal_graph *graph) {
    if (!graph) return;
    for (arena_block *block = graph->arena, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(graph->nodes);
    free(graph);
}

psal_status psal_graph_check(const psal_graph *graph, psal_error *err) {
    if (graph->error.status != PSAL_OK && err) *err = graph->error;
    return graph->error.status;
}

psal_node psal_graph_fail(psal_graph *graph, psal_status status, const char *format, ...) {
    if (graph->error.status != PSAL_OK) return PSAL_NO_NODE;
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (*graph->layer)
        psal_fail(&graph->error, status, "%s: %s", graph->layer, text);
    else
        psal_fail(&graph->error, status, "%s", text);
    return PSAL_NO_NODE;
}

void psal_graph_set_layer(psal_graph *graph, const char *layer) {
    if (graph->error.status != PSAL_OK || strcmp(graph->layer, layer) == 0) return;
    const char *copy = arena_string(graph, layer);
    if (copy) graph->layer = copy;
}

int psal_graph_node_count(const psal_graph *graph) {
    return graph->count;
}

/* What stands for a node that was never made: builders ask for shapes before anybody has looked at the graph's
 * error. */
static const psal_node_record nothing = {.op = PSAL_OP_INPUT, .layer = ""};

const psal_node_record *psal_graph_node(const psal_graph *graph, psal_node node) {
    return node >= 0 && node < graph->count ? &graph->nodes[node] : &nothing;
}

const psal_shape *psal_graph_shape(const psal_graph *graph, psal_node node) {
    return &psal_graph_node(graph, node)->shape;
}

const char *psal_graph_layer(const psal_graph *graph, psal_node node) {
    return psal_graph_node(graph, node)->layer;
}

const char *psal_graph_op_name(const psal_graph *graph, psal_node node) {
    return psal_op_kind_name(psal_graph_node(graph, node)->op);
}

psal_node psal_graph_reader(const psal_graph *graph, psal_node node) {
    psal_node reader = PSAL_NO_NODE;
    for (psal_node n = 0; n < psal_graph_node_count(graph); n++)
        for (int i = 0; i < graph->nodes[n].input_count; i++) {
            if (graph->nodes[n].inputs[i] != node || reader == n) continue;
            if (reader != PSAL_NO_NODE) return PSAL_NO_NODE;
            reader = n;
        }
    return reader;
}

const char *psal_graph_current_layer(const psal_graph *graph) {
    return graph->layer;
}

const psal_shape *psal_graph_input_shape(const psal_graph *graph, const psal_node_record *node, int input) {
    return &graph->nodes[node->inputs[input]].shape;
}

bool psal_graph_has(psal_graph *graph, psal_op_kind op, int input, psal_node node) {
    if (graph->error.status != PSAL_OK) return false;
    if (node >= 0 && node < graph->count) return true;
    psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "%s: input %d is not a node of this graph", psal_op_kind_name(op), input);
    return false;
}

/* For one more node; false (and an error in the graph) when out of memory. */
static bool make_room(psal_graph *graph) {
    if (graph->count < graph->capacity) return true;
    const int capacity = graph->capacity ? graph->capacity * 2 : 256;
    psal_node_record *nodes = realloc(graph->nodes, (size_t)capacity * sizeof *nodes);
    if (!nodes) return psal_graph_fail(graph, PSAL_ERR_MEMORY, "out of memory for %d graph nodes", capacity), false;
    graph->nodes = nodes;
    graph->capacity = capacity;
    return true;
}

psal_node psal_graph_add(psal_graph *graph, psal_op_kind op, const psal_node *inputs, int count,
                         const psal_attributes *attr) {
    if (graph->error.status != PSAL_OK) return PSAL_NO_NODE;
    const psal_op *row = psal_op_get(op);
    if (row->inputs != PSAL_VARIADIC && row->inputs != count)
        return psal_graph_fail(graph, PSAL_ERR_ARGUMENT, "%s takes %d inputs, got %d", psal_op_kind_name(op),
                               row->inputs, count);
    for (int i = 0; i < count; i++)
        if (!psal_graph_has(graph, op, i, inputs[i])) return PSAL_NO_NODE;
    if (!make_room(graph)) return PSAL_NO_NODE;
    psal_node_record node = {.op = op, .input_count = count, .layer = graph->layer};
    if (attr) node.attr = *attr;
    if (count) {
        psal_node *copy = arena_alloc(graph, (size_t)count * sizeof *copy);
        if (!copy) return PSAL_NO_NODE;
        memcpy(copy, inputs, (size_t)count * sizeof *copy);
        node.inputs = copy;
    }
    row->infer(graph, &node);
    if (graph->error.status != PSAL_OK) return PSAL_NO_NODE;
    if (psal_shape_count(&node.shape) <= 0) {
        char text[96];
        return psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s would have the shape %s", psal_op_kind_name(op),
                               psal_shape_format(&node.shape, text, sizeof text));
    }
    graph->nodes[graph->count] = node;
    return graph->count++;
}

psal_node psal_graph_copy(psal_graph *graph, const psal_node_record *original, const psal_node *inputs) {
    psal_node *copy = NULL;
    if (original->input_count) {
        copy = psal_graph_check(graph, NULL) == PSAL_OK
                   ? arena_alloc(graph, (size_t)original->input_count * sizeof *copy)
                   : NULL;
        if (!copy) return PSAL_NO_NODE;
        memcpy(copy, inputs, (size_t)original->input_count * sizeof *copy);
    }
    if (!make_room(graph)) return PSAL_NO_NODE;
    graph->nodes[graph->count] = *original;
    graph->nodes[graph->count].inputs = copy;
    return graph->count++;
}

void psal_graph_share_layer(psal_graph *graph, const char *layer) {
    graph->layer = layer;
}

/* ---- leaves ---- */

static void infer_nothing(psal_graph *graph, psal_node_record *node) {
    (void)graph, (void)node; /* the builder sets the shape, having checked it, before the node is added */
}

static psal_node add_leaf(psal_graph *graph, psal_op_kind op, const char *name, psal_shape shape,
                          const psal_real *values) {
    if (graph->error.status != PSAL_OK) return PSAL_NO_NODE;
    char text[96];
    if (psal_shape_count(&shape) <= 0)
        return psal_graph_fail(graph, PSAL_ERR_SHAPE, "%s '%s' has the shape %s", psal_op_kind_name(op), name,
                               psal_shape_format(&shape, text, sizeof text));
    const char *copy = arena_string(graph, name);
    psal_real *stored = NULL;
    if (values) {
        size_t size = (size_t)psal_shape_count(&shape) * sizeof *stored;
        stored = arena_alloc(graph, size);
        if (stored) memcpy(stored, values, size);
    }
    if (graph->error.status != PSAL_OK) return PSAL_NO_NODE;
    psal_node node = psal_graph_add(graph, op, NULL, 0, NULL);
    if (node == PSAL_NO_NODE) return node;
    graph->nodes[node].shape = shape;
    graph->nodes[node].name = copy;
    graph->nodes[node].values = stored;
    return node;
}

psal_node psal_input(psal_graph *graph, const char *name, psal_shape shape) {
    return add_leaf(graph, PSAL_OP_INPUT, name, shape, NULL);
}

psal_node psal_parameter(psal_graph *graph, const char *name, psal_shape shape) {
    return add_leaf(graph, PSAL_OP_PARAMETER, name, shape, NULL);
}

psal_node psal_constant(psal_graph *graph, const psal_real *values, psal_shape shape) {
    return add_leaf(graph, PSAL_OP_CONSTANT, "constant", shape, values);
}

const psal_op psal_op_input = {.infer = infer_nothing, .not_differentiable = "a leaf"};
const psal_op psal_op_parameter = {.infer = infer_nothing, .not_differentiable = "a leaf"};
const psal_op psal_op_constant = {.infer = infer_nothing, .not_differentiable = "a leaf"};
