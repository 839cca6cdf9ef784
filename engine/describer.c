#include "engine/describer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DESCRIPTION ((size_t)512 << 20)
#define BLOCK ((size_t)64 << 10)

/* A name that becomes a value's number. */
typedef struct reference {
    const char *name;
    int *number;
} reference;

typedef struct named_port {
    const char *name;
    psal_port port;
} named_port;

typedef struct ports {
    named_port *list;
    size_t count, capacity;
} ports;

struct psal_describer {
    psal_tensor_map *map;
    psal_description *description;
    psal_operator *operators; /* grown; the map's in the end */
    size_t operator_capacity;
    ports inputs, outputs;
    reference *references;
    size_t reference_count, reference_capacity;
    uint8_t *block;
    size_t block_used, block_size, total;
    psal_error error;
};

static bool failed(const psal_describer *d) {
    return d->error.status != PSAL_OK;
}

#define FAIL(d, ...) ((void)(failed(d) ? PSAL_OK : psal_fail(&(d)->error, __VA_ARGS__)))

static void release_heap(void *memory, size_t size) {
    (void)size;
    free(memory);
}

/* `count` zeroed elements that live as long as the map; NULL after an error. */
static void *allocate(psal_describer *d, size_t count, size_t element) {
    size_t size;
    if (failed(d)) return NULL;
    if (__builtin_mul_overflow(count, element, &size) || size > MAX_DESCRIPTION - d->total) {
        FAIL(d, PSAL_ERR_FORMAT, "the network's description takes more than %zu MiB", MAX_DESCRIPTION >> 20);
        return NULL;
    }
    size = (size / 16 + 1) * 16;
    d->total += size;
    if (size > d->block_size - d->block_used) {
        const size_t wanted = size > BLOCK ? size : BLOCK;
        uint8_t *block = calloc(1, wanted);
        if (!block || psal_tensor_map_adopt(d->map, block, wanted, release_heap, &d->error) != PSAL_OK) {
            free(block);
            FAIL(d, PSAL_ERR_MEMORY, "out of memory");
            return NULL;
        }
        d->block = block;
        d->block_size = wanted;
        d->block_used = 0;
    }
    void *found = d->block + d->block_used;
    d->block_used += size;
    return found;
}

static void *copy(psal_describer *d, const void *from, size_t count, size_t element) {
    void *to = allocate(d, count, element);
    if (to && count) memcpy(to, from, count * element);
    return to;
}

static const char *copy_text(psal_describer *d, const char *text) {
    const char *to = copy(d, text, strlen(text) + 1, 1);
    return to ? to : "";
}

/* Room for one element more in the array; false after an error. */
static bool grow(psal_describer *d, void **array, size_t count, size_t *capacity, size_t element) {
    if (failed(d)) return false;
    if (count < *capacity) return true;
    const size_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown = reallocarray(*array, wanted, element);
    if (!grown) {
        FAIL(d, PSAL_ERR_MEMORY, "out of memory");
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

/* *number becomes that of the value when all names are known. */
static void refer(psal_describer *d, const char *name, int *number) {
    *number = PSAL_NO_VALUE;
    if (!name || !grow(d, (void **)&d->references, d->reference_count, &d->reference_capacity, sizeof *d->references))
        return;
    d->references[d->reference_count++] = (reference){copy_text(d, name), number};
}

psal_describer *psal_describer_new(psal_tensor_map *map, psal_error *err) {
    psal_describer *d = calloc(1, sizeof *d);
    if (!d) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    d->map = map;
    d->error = (psal_error)PSAL_ERROR_INIT;
    d->description = allocate(d, 1, sizeof *d->description);
    return d;
}

static void copy_attribute(psal_describer *d, const psal_attribute *from, psal_attribute *to) {
    *to = *from;
    to->name = copy_text(d, from->name);
    to->text = copy_text(d, from->type == PSAL_ATTRIBUTE_STRING ? from->text : "");
    if (from->type == PSAL_ATTRIBUTE_INTS) to->integers = copy(d, from->integers, from->count, sizeof *from->integers);
    if (from->type == PSAL_ATTRIBUTE_FLOATS) to->numbers = copy(d, from->numbers, from->count, sizeof *from->numbers);
}

void psal_describer_operator(psal_describer *d, const psal_operator *o, const char *const *inputs, size_t input_count,
                             const char *output) {
    int *in = allocate(d, input_count, sizeof *in), *out = allocate(d, 1, sizeof *out);
    psal_attribute *attributes = allocate(d, o->attribute_count, sizeof *attributes);
    if (failed(d) ||
        !grow(d, (void **)&d->operators, d->description->operator_count, &d->operator_capacity, sizeof *d->operators))
        return;
    for (size_t i = 0; i < input_count; i++) refer(d, inputs[i], &in[i]);
    for (size_t i = 0; i < o->attribute_count && !failed(d); i++) copy_attribute(d, &o->attributes[i], &attributes[i]);
    refer(d, output, out);
    d->operators[d->description->operator_count++] = (psal_operator){
        copy_text(d, o->name), copy_text(d, o->type), copy_text(d, o->domain), in, out, input_count, 1, attributes,
        o->attribute_count};
}

static void add_port(psal_describer *d, ports *to, const char *name, const psal_port *port) {
    if (grow(d, (void **)&to->list, to->count, &to->capacity, sizeof *to->list))
        to->list[to->count++] = (named_port){copy_text(d, name), *port};
}

void psal_describer_input(psal_describer *d, const char *name, int ndim, const int64_t *dim) {
    psal_port port = {.value = PSAL_NO_VALUE, .dtype = PSAL_F32, .ndim = ndim};
    if (ndim > PSAL_MAX_DIMS)
        FAIL(d, PSAL_ERR_UNSUPPORTED, "the input '%.100s' has more than %d dimensions", name, PSAL_MAX_DIMS);
    for (int i = 0; i < ndim && i < PSAL_MAX_DIMS; i++) port.dim[i] = dim[i];
    add_port(d, &d->inputs, name, &port);
}

void psal_describer_output(psal_describer *d, const char *name) {
    add_port(d, &d->outputs, name, &(psal_port){.value = PSAL_NO_VALUE, .dtype = PSAL_F32, .ndim = -1});
}

/* ---- the end ---- */

static psal_port *place_ports(psal_describer *d, const ports *from) {
    psal_port *to = allocate(d, from->count, sizeof *to);
    for (size_t i = 0; i < from->count && !failed(d); i++) {
        to[i] = from->list[i].port;
        refer(d, from->list[i].name, &to[i].value);
    }
    return to;
}

static int compare(const void *a, const void *b) {
    return strcmp(((const reference *)a)->name, ((const reference *)b)->name);
}

static void number_values(psal_describer *d) {
    psal_description *all = d->description;
    if (failed(d)) return;
    if (d->reference_count) qsort(d->references, d->reference_count, sizeof *d->references, compare);
    const char **names = allocate(d, d->reference_count + 1, sizeof *names);
    for (size_t i = 0; names && i < d->reference_count; i++) {
        const reference *one = &d->references[i];
        if (i == 0 || strcmp(one->name, d->references[i - 1].name) != 0) names[all->value_count++] = one->name;
        *one->number = all->value_count - 1;
    }
    all->values = names;
}

/* What makes value v: an operator's index, or one of these. */
enum { NOTHING = -1, GIVEN = -2 };

static void find_makers(psal_describer *d, int *makers) {
    const psal_description *all = d->description;
    for (int v = 0; v < all->value_count; v++)
        makers[v] = psal_tensor_map_get(d->map, all->values[v]) ? GIVEN : NOTHING;
    for (size_t i = 0; i < all->input_count; i++) makers[all->inputs[i].value] = GIVEN;
    for (size_t i = 0; i < all->operator_count; i++) {
        const int v = d->operators[i].outputs[0];
        if (makers[v] != NOTHING)
            FAIL(d, PSAL_ERR_FORMAT, "'%.60s' (%.60s) makes '%.200s', which was made before", d->operators[i].name,
                 d->operators[i].type, all->values[v]);
        makers[v] = (int)i;
    }
}

/* An operator on the way to those that are waiting for it, and how many of its inputs are there. */
typedef struct step {
    int at;
    size_t inputs;
} step;

/* Depth first: an operator behind those that make its inputs, otherwise in the order at hand. */
static void sort_operators(psal_describer *d, const int *makers, step *stack, uint8_t *state, psal_operator *sorted) {
    const psal_description *all = d->description;
    enum { NEW, WAITING, PLACED };
    size_t placed = 0;
    for (size_t i = 0; i < all->operator_count; i++) {
        size_t depth = 0;
        if (state[i] == NEW) stack[depth++] = (step){(int)i, 0};
        while (depth && !failed(d)) {
            step *top = &stack[depth - 1];
            const psal_operator *o = &d->operators[top->at];
            state[top->at] = WAITING;
            if (top->inputs == o->input_count) {
                state[top->at] = PLACED;
                sorted[placed++] = *o;
                depth--;
                continue;
            }
            const int v = o->inputs[top->inputs++];
            if (v == PSAL_NO_VALUE || makers[v] == GIVEN) continue;
            if (makers[v] == NOTHING)
                FAIL(d, PSAL_ERR_FORMAT, "'%.60s' (%.60s) reads '%.200s', which nothing makes", o->name, o->type,
                     all->values[v]);
            else if (state[makers[v]] == WAITING)
                FAIL(d, PSAL_ERR_FORMAT, "'%.60s' (%.60s) depends on itself", o->name, o->type);
            else if (state[makers[v]] == NEW)
                stack[depth++] = (step){makers[v], 0};
        }
    }
}

static void place_operators(psal_describer *d) {
    psal_description *all = d->description;
    const size_t count = failed(d) ? 0 : all->operator_count;
    psal_operator *sorted = allocate(d, count, sizeof *sorted);
    int *makers = failed(d) ? NULL : malloc(((size_t)all->value_count + 1) * sizeof *makers);
    step *stack = malloc((count + 1) * sizeof *stack);
    uint8_t *state = calloc(count + 1, 1);
    if (!makers || !stack || !state)
        FAIL(d, PSAL_ERR_MEMORY, "out of memory");
    else
        find_makers(d, makers);
    if (!failed(d)) sort_operators(d, makers, stack, state, sorted);
    for (size_t i = 0; i < all->output_count && !failed(d); i++)
        if (makers[all->outputs[i].value] == NOTHING)
            FAIL(d, PSAL_ERR_FORMAT, "nothing makes the output '%.200s'", all->values[all->outputs[i].value]);
    if (!failed(d)) all->operators = sorted;
    free(makers);
    free(stack);
    free(state);
}

psal_status psal_describer_finish(psal_describer *d, const psal_description *header, psal_error *err) {
    if (!d) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_description *all = d->description;
    if (!failed(d)) {
        all->name = copy_text(d, header->name);
        all->producer = copy_text(d, header->producer);
        all->form = header->form;
        all->opset = header->opset;
        all->inputs = place_ports(d, &d->inputs);
        all->outputs = place_ports(d, &d->outputs);
        all->input_count = d->inputs.count;
        all->output_count = d->outputs.count;
        number_values(d);
        place_operators(d);
    }
    if (!failed(d)) psal_tensor_map_describe(d->map, all);
    const psal_status status = failed(d) ? psal_fail(err, d->error.status, "%s", d->error.message) : PSAL_OK;
    free(d->operators);
    free(d->inputs.list);
    free(d->outputs.list);
    free(d->references);
    free(d);
    return status;
}
