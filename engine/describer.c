#include "engine/describer.h"

#include <stdlib.h>
#include <string.h>

#include "engine/draft.h"

typedef struct named_port {
    const char *name;
    psal_port port;
} named_port;

typedef struct ports {
    named_port *list;
    size_t count, capacity;
} ports;

struct psal_describer {
    psal_draft draft;
    psal_operator *operators; /* grown; the map's in the end */
    size_t operator_capacity;
    ports inputs, outputs;
};

static bool failed(const psal_describer *d) {
    return psal_draft_failed(&d->draft);
}

#define FAIL(d, ...) PSAL_DRAFT_FAIL(&(d)->draft, __VA_ARGS__)

static void *copy(psal_describer *d, const void *from, size_t count, size_t element) {
    void *to = psal_draft_allocate(&d->draft, count, element);
    if (to && count) memcpy(to, from, count * element);
    return to;
}

static const char *copy_text(psal_describer *d, const char *text) {
    return psal_draft_text(&d->draft, text, strlen(text));
}

static void refer(psal_describer *d, const char *name, int *number) {
    psal_draft_refer(&d->draft, name ? copy_text(d, name) : NULL, number);
}

psal_describer *psal_describer_new(psal_tensor_map *map, psal_error *err) {
    psal_describer *d = calloc(1, sizeof *d);
    if (!d) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
        return NULL;
    }
    psal_draft_begin(&d->draft, map);
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
    int *in = psal_draft_allocate(&d->draft, input_count, sizeof *in);
    int *out = psal_draft_allocate(&d->draft, 1, sizeof *out);
    psal_attribute *attributes = psal_draft_allocate(&d->draft, o->attribute_count, sizeof *attributes);
    psal_description *all = d->draft.description;
    if (failed(d) || !psal_draft_grow(&d->draft, (void **)&d->operators, all->operator_count, &d->operator_capacity,
                                      sizeof *d->operators))
        return;
    for (size_t i = 0; i < input_count; i++) refer(d, inputs[i], &in[i]);
    for (size_t i = 0; i < o->attribute_count && !failed(d); i++) copy_attribute(d, &o->attributes[i], &attributes[i]);
    refer(d, output, out);
    d->operators[all->operator_count++] = (psal_operator){
        copy_text(d, o->name), copy_text(d, o->type), copy_text(d, o->domain), in, out, input_count, 1, attributes,
        o->attribute_count};
}

static void add_port(psal_describer *d, ports *to, const char *name, const psal_port *port) {
    if (psal_draft_grow(&d->draft, (void **)&to->list, to->count, &to->capacity, sizeof *to->list))
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
    psal_port *to = psal_draft_allocate(&d->draft, from->count, sizeof *to);
    for (size_t i = 0; i < from->count && !failed(d); i++) {
        to[i] = from->list[i].port;
        refer(d, from->list[i].name, &to[i].value);
    }
    return to;
}

/* What makes value v: an operator's index, or one of these. */
enum { NOTHING = -1, GIVEN = -2 };

static void find_makers(psal_describer *d, int *makers) {
    const psal_description *all = d->draft.description;
    for (int v = 0; v < all->value_count; v++)
        makers[v] = psal_tensor_map_get(d->draft.map, all->values[v]) ? GIVEN : NOTHING;
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
    const psal_description *all = d->draft.description;
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
    psal_description *all = d->draft.description;
    const size_t count = failed(d) ? 0 : all->operator_count;
    psal_operator *sorted = psal_draft_allocate(&d->draft, count, sizeof *sorted);
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
    psal_description *all = d->draft.description;
    if (!failed(d)) {
        all->name = copy_text(d, header->name);
        all->producer = copy_text(d, header->producer);
        all->form = header->form;
        all->opset = header->opset;
        all->inputs = place_ports(d, &d->inputs);
        all->outputs = place_ports(d, &d->outputs);
        all->input_count = d->inputs.count;
        all->output_count = d->outputs.count;
        psal_draft_number_values(&d->draft);
        place_operators(d);
    }
    const psal_status status = psal_draft_finish(&d->draft, err);
    free(d->operators);
    free(d->inputs.list);
    free(d->outputs.list);
    free(d);
    return status;
}
