#include "io/pickle.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/pickle_internal.h"
#include "io/pickle_text.h"

/* A byte of a pickle may stand for one value and its place in a container. */
#define MEMORY_FACTOR 128
#define MEMORY_BASE (1u << 20)
#define MAX_MEMORY ((size_t)2 << 30) /* for objects only: the elements of tensors lie elsewhere */
#define MAX_STACK ((size_t)1 << 24)
#define MAX_MARKS ((size_t)1 << 16)
#define MAX_MEMO ((size_t)1 << 26)

/* The machine while it runs. */
struct machine {
    psal_pickle *pickle;
    const uint8_t *begin, *at, *end;
    psal_pickle_value **stack;
    size_t depth, stack_capacity;
    size_t *marks; /* stack depths at which MARK was executed */
    size_t mark_count, mark_capacity;
    psal_pickle_value **memo;
    size_t memo_capacity, memo_next;
    psal_pickle_value *none, *yes, *no;
    psal_error *err;
};

/* ---- the machine's stack, marks and memo ---- */

static bool fail(struct machine *m, const char *what) {
    psal_fail(m->err, PSAL_ERR_FORMAT, "damaged pickle: %s at byte %zu", what, (size_t)(m->at - m->begin));
    return false;
}

static bool push(struct machine *m, psal_pickle_value *value) {
    if (!value) return false; /* the failed constructor has said why */
    if (m->depth == MAX_STACK) return fail(m, "too many values on the stack");
    if (!psal_pickle_grow((void **)&m->stack, &m->stack_capacity, m->depth + 1, sizeof *m->stack)) {
        psal_fail(m->err, PSAL_ERR_MEMORY, "out of memory");
        return false;
    }
    m->stack[m->depth++] = value;
    return true;
}

/* Values below the newest mark are out of reach, as in Python. */
static size_t fence(const struct machine *m) {
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

static psal_pickle_value *pop(struct machine *m) {
    if (m->depth <= fence(m)) {
        fail(m, "the stack is empty");
        return NULL;
    }
    return m->stack[--m->depth];
}

static psal_pickle_value *top(struct machine *m) {
    if (m->depth <= fence(m)) {
        fail(m, "the stack is empty");
        return NULL;
    }
    return m->stack[m->depth - 1];
}

static bool mark(struct machine *m) {
    if (m->mark_count == MAX_MARKS) return fail(m, "nested too deeply");
    if (!psal_pickle_grow((void **)&m->marks, &m->mark_capacity, m->mark_count + 1, sizeof *m->marks)) {
        psal_fail(m->err, PSAL_ERR_MEMORY, "out of memory");
        return false;
    }
    m->marks[m->mark_count++] = m->depth;
    return true;
}

/* Take the newest mark away: *items and *count become what was pushed since. They stay where they
 * are until the next push. */
static bool pop_mark(struct machine *m, psal_pickle_value ***items, size_t *count) {
    if (!m->mark_count) return fail(m, "no mark");
    size_t from = m->marks[--m->mark_count];
    *items = m->stack + from;
    *count = m->depth - from;
    m->depth = from;
    return true;
}

static psal_pickle_value *container(struct machine *m, psal_pickle_kind kind, psal_pickle_value **items, size_t count) {
    psal_pickle_value *value = psal_pickle_new(m->pickle, kind, m->err);
    if (!value || !count) return value;
    value->list.items = psal_pickle_alloc(m->pickle, count * sizeof *items, m->err);
    if (!value->list.items) return NULL;
    memcpy(value->list.items, items, count * sizeof *items);
    value->list.count = value->list.capacity = count;
    return value;
}

static bool memo_put(struct machine *m, uint64_t index) {
    psal_pickle_value *value = top(m);
    if (!value) return false;
    /* Writers number their memo from 0 upwards, so an honest index is below the number of bytes
     * read so far. */
    if (index >= (uint64_t)(m->at - m->begin) || index >= MAX_MEMO) return fail(m, "an absurd memo index");
    if (!psal_pickle_grow((void **)&m->memo, &m->memo_capacity, (size_t)index + 1, sizeof *m->memo)) {
        psal_fail(m->err, PSAL_ERR_MEMORY, "out of memory");
        return false;
    }
    m->memo[index] = value;
    return true;
}

static bool memo_get(struct machine *m, uint64_t index) {
    if (index >= m->memo_capacity || !m->memo[index]) return fail(m, "nothing was remembered under that number");
    return push(m, m->memo[index]);
}

/* ---- arguments of opcodes ---- */

static bool take(struct machine *m, uint64_t size, const uint8_t **bytes) {
    if (size > (uint64_t)(m->end - m->at)) return fail(m, "the pickle is truncated");
    *bytes = m->at;
    m->at += size;
    return true;
}

static bool number(struct machine *m, int width, uint64_t *value) {
    const uint8_t *bytes;
    if (!take(m, (uint64_t)width, &bytes)) return false;
    *value = 0;
    for (int i = width - 1; i >= 0; i--) *value = *value << 8 | bytes[i];
    return true;
}

/* The text up to the next newline, which is consumed. */
static bool line(struct machine *m, const char **text, size_t *size) {
    const uint8_t *newline = memchr(m->at, '\n', (size_t)(m->end - m->at));
    if (!newline) return fail(m, "the pickle is truncated");
    *text = (const char *)m->at;
    *size = (size_t)(newline - m->at);
    m->at = newline + 1;
    return true;
}

static bool push_integer(struct machine *m, int64_t integer) {
    psal_pickle_value *value = psal_pickle_new(m->pickle, PSAL_PICKLE_INT, m->err);
    if (value) value->integer = integer;
    return push(m, value);
}

static bool push_text(struct machine *m, psal_pickle_kind kind, const char *bytes, size_t size) {
    psal_pickle_value *value = psal_pickle_new(m->pickle, kind, m->err);
    if (!value) return false;
    value->text.bytes = bytes;
    value->text.size = size;
    return push(m, value);
}

/* Strings and bytes with a length of `width` bytes in front. */
static bool counted_text(struct machine *m, psal_pickle_kind kind, int width) {
    uint64_t size;
    const uint8_t *bytes;
    return number(m, width, &size) && take(m, size, &bytes) && push_text(m, kind, (const char *)bytes, (size_t)size);
}

/* Little-endian two's complement of any length (LONG1, LONG4). */
static bool push_long(struct machine *m, const uint8_t *bytes, size_t size) {
    uint8_t sign = size && bytes[size - 1] & 0x80 ? 0xff : 0;
    while (size > 8 && bytes[size - 1] == sign && (bytes[size - 2] & 0x80) == (sign & 0x80)) size--;
    if (size > 8) return push_text(m, PSAL_PICKLE_BIG_INT, (const char *)bytes, size);
    uint64_t value = sign ? UINT64_MAX : 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | bytes[i];
    return push_integer(m, (int64_t)value);
}

/* ---- opcodes that need more than a line ---- */

static bool decimal(struct machine *m, bool is_long) {
    const char *text;
    size_t size;
    if (!line(m, &text, &size)) return false;
    if (!is_long && size == 2 && text[0] == '0' && (text[1] == '0' || text[1] == '1'))
        return push(m, text[1] == '1' ? m->yes : m->no);
    if (is_long && size && text[size - 1] == 'L') size--;
    uint8_t *bytes = psal_pickle_alloc(m->pickle, size + 1, m->err);
    if (!bytes) return false;
    size_t length = psal_pickle_decimal(text, size, bytes);
    return length ? push_long(m, bytes, length) : fail(m, "a bad integer");
}

static bool text_float(struct machine *m) {
    const char *text;
    size_t size;
    char copy[64], *rest;
    if (!line(m, &text, &size)) return false;
    if (!size || size >= sizeof copy) return fail(m, "a bad number");
    memcpy(copy, text, size);
    copy[size] = '\0';
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* the program's own may want a decimal comma */
    psal_pickle_value *value = psal_pickle_new(m->pickle, PSAL_PICKLE_FLOAT, m->err);
    if (value) value->real = plain ? strtod_l(copy, &rest, plain) : strtod(copy, &rest);
    if (plain) freelocale(plain);
    if (value && *rest) return fail(m, "a bad number");
    return push(m, value);
}

static bool binary_float(struct machine *m) {
    const uint8_t *bytes;
    if (!take(m, 8, &bytes)) return false;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    psal_pickle_value *value = psal_pickle_new(m->pickle, PSAL_PICKLE_FLOAT, m->err);
    if (value) memcpy(&value->real, &bits, 8);
    return push(m, value);
}

/* STRING ('...' with escapes) and UNICODE (\uXXXX escapes) of protocol 0. */
static bool text_string(struct machine *m, bool unicode) {
    const char *text;
    size_t size;
    if (!line(m, &text, &size)) return false;
    char *decoded = psal_pickle_alloc(m->pickle, 3 * size + 1, m->err);
    if (!decoded) return false;
    ptrdiff_t length = unicode ? psal_pickle_unescape_unicode(text, size, decoded)
                               : psal_pickle_unescape_string(text, size, decoded);
    return length >= 0 ? push_text(m, PSAL_PICKLE_STRING, decoded, (size_t)length) : fail(m, "a bad string");
}

/* Move what was pushed since the mark to the container below it; `step` 2 for dictionaries. */
static bool append_marked(struct machine *m, psal_pickle_kind kind, size_t step) {
    psal_pickle_value **items, *into;
    size_t count;
    if (!pop_mark(m, &items, &count) || !(into = top(m))) return false;
    if ((into->kind != kind && into->kind != PSAL_PICKLE_OPAQUE) || count % step)
        return fail(m, "items for something that takes none");
    for (size_t i = 0; i < count; i++)
        if (psal_pickle_append(m->pickle, into, items[i], m->err) != PSAL_OK) return false;
    return true;
}

static bool append_top(struct machine *m, psal_pickle_kind kind, size_t step) {
    psal_pickle_value *last = pop(m), *first = last, *into = NULL;
    if (last && step == 2) first = pop(m);
    if (!last || !first || !(into = top(m))) return false;
    if (into->kind != kind && into->kind != PSAL_PICKLE_OPAQUE) return fail(m, "items for something that takes none");
    return psal_pickle_append(m->pickle, into, first, m->err) == PSAL_OK &&
           (step == 1 || psal_pickle_append(m->pickle, into, last, m->err) == PSAL_OK);
}

static bool make_marked(struct machine *m, psal_pickle_kind kind) {
    psal_pickle_value **items;
    size_t count;
    if (!pop_mark(m, &items, &count)) return false;
    if (kind == PSAL_PICKLE_DICT && count % 2) return fail(m, "a key without a value");
    return push(m, container(m, kind, items, count));
}

static bool make_tuple(struct machine *m, size_t count) {
    if (m->depth < fence(m) + count) return fail(m, "the stack is empty");
    m->depth -= count;
    return push(m, container(m, PSAL_PICKLE_TUPLE, m->stack + m->depth, count));
}

/* GLOBAL: two lines, module and name. */
static psal_pickle_value *text_name(struct machine *m) {
    const char *module, *name;
    size_t module_size, name_size;
    if (!line(m, &module, &module_size) || !line(m, &name, &name_size)) return NULL;
    return psal_pickle_named(m->pickle, (psal_pickle_name){module, name, module_size, name_size}, m->err);
}

static bool stack_name(struct machine *m) {
    psal_pickle_value *name = pop(m), *module = name ? pop(m) : NULL;
    if (!name || !module) return false;
    if (name->kind != PSAL_PICKLE_STRING || module->kind != PSAL_PICKLE_STRING)
        return fail(m, "a name that is no string");
    const psal_pickle_name whole = {module->text.bytes, name->text.bytes, module->text.size, name->text.size};
    return push(m, psal_pickle_named(m->pickle, whole, m->err));
}

static bool call(struct machine *m, const psal_pickle_value *callee, psal_pickle_value *arguments) {
    if (!callee || !arguments) return false;
    return push(m, psal_pickle_call(m->pickle, callee, arguments, m->err));
}

/* REDUCE and NEWOBJ: callee and argument tuple lie on the stack. NEWOBJ_EX has keyword arguments on
 * top of them. */
static bool reduce(struct machine *m, bool keywords) {
    psal_pickle_value *named_arguments = keywords ? pop(m) : NULL;
    if (keywords && !named_arguments) return false;
    psal_pickle_value *arguments = pop(m), *callee = arguments ? pop(m) : NULL;
    if (!callee) return false;
    bool empty = !keywords || (named_arguments->kind == PSAL_PICKLE_DICT && !named_arguments->list.count);
    if (!empty && callee->kind != PSAL_PICKLE_OPAQUE) return fail(m, "a call with keyword arguments");
    return call(m, callee, arguments) &&
           (empty || psal_pickle_append(m->pickle, top(m), named_arguments, m->err) == PSAL_OK);
}

/* INST: module and name in the text, arguments since the mark. OBJ: the class is the first of them.
 */
static bool marked_call(struct machine *m, bool class_on_stack) {
    psal_pickle_value **items, *callee = NULL;
    size_t count;
    if (!class_on_stack && !(callee = text_name(m))) return false;
    if (!pop_mark(m, &items, &count)) return false;
    if (class_on_stack) {
        if (!count) return fail(m, "a call without a class");
        callee = *items++;
        count--;
    }
    return call(m, callee, container(m, PSAL_PICKLE_TUPLE, items, count));
}

static bool build(struct machine *m) {
    psal_pickle_value *state = pop(m), *object = state ? top(m) : NULL;
    return object && psal_pickle_build(m->pickle, object, state, m->err) == PSAL_OK;
}

static bool extension(struct machine *m, int width) {
    uint64_t code;
    if (!number(m, width, &code)) return false;
    char text[40];
    int length = snprintf(text, sizeof text, "extension code %" PRIu64, code);
    char *name = psal_pickle_alloc(m->pickle, (size_t)length, m->err);
    if (!name) return false;
    memcpy(name, text, (size_t)length);
    return push(m, psal_pickle_named(m->pickle, (psal_pickle_name){.name = name, .name_size = (size_t)length}, m->err));
}

static bool memo_text_index(struct machine *m, bool put) {
    const char *text;
    size_t size;
    uint64_t index = 0;
    if (!line(m, &text, &size)) return false;
    if (!size || size > 10) return fail(m, "a bad memo index");
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return fail(m, "a bad memo index");
        index = index * 10 + (uint64_t)(text[i] - '0');
    }
    return put ? memo_put(m, index) : memo_get(m, index);
}

static bool memo_index(struct machine *m, int width, bool put) {
    uint64_t index;
    return number(m, width, &index) && (put ? memo_put(m, index) : memo_get(m, index));
}

static bool counted_long(struct machine *m, int width) {
    uint64_t size;
    const uint8_t *bytes;
    return number(m, width, &size) && take(m, size, &bytes) && push_long(m, bytes, (size_t)size);
}

static bool fixed_integer(struct machine *m, int width) {
    uint64_t value;
    if (!number(m, width, &value)) return false;
    return push_integer(m, width == 4 ? (int32_t)(uint32_t)value : (int64_t)value); /* only BININT has a sign */
}

/* FRAME and PROTO only describe what follows. */
static bool skip_frame(struct machine *m) {
    uint64_t size;
    if (!number(m, 8, &size)) return false;
    return size <= (uint64_t)(m->end - m->at) || fail(m, "a frame longer than the pickle (truncated?)");
}

static bool protocol(struct machine *m) {
    uint64_t version;
    if (!number(m, 1, &version)) return false;
    return version <= 5 || fail(m, "a protocol newer than 5");
}

static bool discard(struct machine *m) {
    if (m->depth > fence(m)) {
        m->depth--;
        return true;
    }
    if (!m->mark_count) return fail(m, "the stack is empty");
    m->mark_count--; /* POP takes a mark away when it is the newest thing */
    return true;
}

static bool discard_mark(struct machine *m) {
    psal_pickle_value **items;
    size_t count;
    return pop_mark(m, &items, &count);
}

static bool persistent(struct machine *m) {
    psal_pickle_value *id = pop(m);
    return id && push(m, psal_pickle_persistent(m->pickle, id, m->err));
}

/* PERSID: the id as text, which no torch.save writes. */
static bool text_persistent(struct machine *m) {
    const char *text;
    size_t size;
    psal_pickle_value *id = NULL;
    if (line(m, &text, &size)) id = psal_pickle_new(m->pickle, PSAL_PICKLE_STRING, m->err);
    return id && push(m, psal_pickle_persistent(m->pickle, id, m->err));
}

/* Execute one opcode (pickletools' names in the comments, one a line). */
static bool step(struct machine *m, uint8_t opcode) {
    /* clang-format off */
    switch (opcode) {
    case 0x80: return protocol(m);                                          /* PROTO */
    case 0x95: return skip_frame(m);                                        /* FRAME */
    case '(': return mark(m);                                               /* MARK */
    case '0': return discard(m);                                            /* POP */
    case '1': return discard_mark(m);                                       /* POP_MARK */
    case '2': return push(m, top(m));                                       /* DUP */
    case 'N': return push(m, m->none);                                      /* NONE */
    case 0x88: return push(m, m->yes);                                      /* NEWTRUE */
    case 0x89: return push(m, m->no);                                       /* NEWFALSE */
    case 'I': return decimal(m, false);                                     /* INT */
    case 'L': return decimal(m, true);                                      /* LONG */
    case 'J': return fixed_integer(m, 4);                                   /* BININT */
    case 'M': return fixed_integer(m, 2);                                   /* BININT2 */
    case 'K': return fixed_integer(m, 1);                                   /* BININT1 */
    case 0x8a: return counted_long(m, 1);                                   /* LONG1 */
    case 0x8b: return counted_long(m, 4);                                   /* LONG4 */
    case 'F': return text_float(m);                                         /* FLOAT */
    case 'G': return binary_float(m);                                       /* BINFLOAT */
    case 'S': return text_string(m, false);                                 /* STRING */
    case 'V': return text_string(m, true);                                  /* UNICODE */
    case 'T': return counted_text(m, PSAL_PICKLE_STRING, 4);                /* BINSTRING: Python 2's str */
    case 'U': return counted_text(m, PSAL_PICKLE_STRING, 1);                /* SHORT_BINSTRING */
    case 'X': return counted_text(m, PSAL_PICKLE_STRING, 4);                /* BINUNICODE */
    case 0x8c: return counted_text(m, PSAL_PICKLE_STRING, 1);               /* SHORT_BINUNICODE */
    case 0x8d: return counted_text(m, PSAL_PICKLE_STRING, 8);               /* BINUNICODE8 */
    case 'B': return counted_text(m, PSAL_PICKLE_BYTES, 4);                 /* BINBYTES */
    case 'C': return counted_text(m, PSAL_PICKLE_BYTES, 1);                 /* SHORT_BINBYTES */
    case 0x8e: return counted_text(m, PSAL_PICKLE_BYTES, 8);                /* BINBYTES8 */
    case 0x96: return counted_text(m, PSAL_PICKLE_BYTES, 8);                /* BYTEARRAY8 */
    case ')': return push(m, container(m, PSAL_PICKLE_TUPLE, NULL, 0));     /* EMPTY_TUPLE */
    case 0x85: return make_tuple(m, 1);                                     /* TUPLE1 */
    case 0x86: return make_tuple(m, 2);                                     /* TUPLE2 */
    case 0x87: return make_tuple(m, 3);                                     /* TUPLE3 */
    case 't': return make_marked(m, PSAL_PICKLE_TUPLE);                     /* TUPLE */
    case ']': return push(m, container(m, PSAL_PICKLE_LIST, NULL, 0));      /* EMPTY_LIST */
    case 'l': return make_marked(m, PSAL_PICKLE_LIST);                      /* LIST */
    case 'a': return append_top(m, PSAL_PICKLE_LIST, 1);                    /* APPEND */
    case 'e': return append_marked(m, PSAL_PICKLE_LIST, 1);                 /* APPENDS */
    case '}': return push(m, container(m, PSAL_PICKLE_DICT, NULL, 0));      /* EMPTY_DICT */
    case 'd': return make_marked(m, PSAL_PICKLE_DICT);                      /* DICT */
    case 's': return append_top(m, PSAL_PICKLE_DICT, 2);                    /* SETITEM */
    case 'u': return append_marked(m, PSAL_PICKLE_DICT, 2);                 /* SETITEMS */
    case 0x8f: return push(m, container(m, PSAL_PICKLE_SET, NULL, 0));      /* EMPTY_SET */
    case 0x90: return append_marked(m, PSAL_PICKLE_SET, 1);                 /* ADDITEMS */
    case 0x91: return make_marked(m, PSAL_PICKLE_SET);                      /* FROZENSET */
    case 'p': return memo_text_index(m, true);                              /* PUT */
    case 'q': return memo_index(m, 1, true);                                /* BINPUT */
    case 'r': return memo_index(m, 4, true);                                /* LONG_BINPUT */
    case 0x94: return memo_put(m, m->memo_next++);                          /* MEMOIZE */
    case 'g': return memo_text_index(m, false);                             /* GET */
    case 'h': return memo_index(m, 1, false);                               /* BINGET */
    case 'j': return memo_index(m, 4, false);                               /* LONG_BINGET */
    case 'c': return push(m, text_name(m));                                 /* GLOBAL */
    case 0x93: return stack_name(m);                                        /* STACK_GLOBAL */
    case 'R': return reduce(m, false);                                      /* REDUCE */
    case 0x81: return reduce(m, false);                                     /* NEWOBJ */
    case 0x92: return reduce(m, true);                                      /* NEWOBJ_EX */
    case 'i': return marked_call(m, false);                                 /* INST */
    case 'o': return marked_call(m, true);                                  /* OBJ */
    case 'b': return build(m);                                              /* BUILD */
    case 'Q': return persistent(m);                                         /* BINPERSID */
    case 0x82: return extension(m, 1);                                      /* EXT1 */
    case 0x83: return extension(m, 2);                                      /* EXT2 */
    case 0x84: return extension(m, 4);                                      /* EXT4 */
    case 'P': return text_persistent(m);                                    /* PERSID */
    case 0x97:                                                              /* NEXT_BUFFER */
    case 0x98: return fail(m, "a buffer outside the pickle");               /* READONLY_BUFFER */
    }
    /* clang-format on */
    psal_fail(m->err, PSAL_ERR_FORMAT, "damaged pickle: unknown opcode 0x%02x at byte %zu", opcode,
              (size_t)(m->at - m->begin) - 1);
    return false;
}

static bool run(struct machine *m) {
    m->none = psal_pickle_new(m->pickle, PSAL_PICKLE_NONE, m->err);
    m->yes = psal_pickle_new(m->pickle, PSAL_PICKLE_BOOL, m->err);
    m->no = psal_pickle_new(m->pickle, PSAL_PICKLE_BOOL, m->err);
    if (!m->none || !m->yes || !m->no) return false;
    m->yes->integer = 1;
    /* The stack is there from the start, so that empty parts of it have an address. */
    if (!psal_pickle_grow((void **)&m->stack, &m->stack_capacity, 1, sizeof *m->stack)) {
        psal_fail(m->err, PSAL_ERR_MEMORY, "out of memory");
        return false;
    }
    while (m->at < m->end) {
        uint8_t opcode = *m->at++;
        if (opcode == '.') { /* STOP */
            psal_pickle_value *root = pop(m);
            if (root) psal_pickle_set_root(m->pickle, root);
            return root != NULL;
        }
        if (!step(m, opcode)) return false;
    }
    return fail(m, "the pickle is truncated");
}

psal_pickle *psal_pickle_read(const uint8_t *data, size_t size, size_t *used, psal_error *err) {
    size_t limit = size < MAX_MEMORY / MEMORY_FACTOR ? MEMORY_BASE + MEMORY_FACTOR * size : MAX_MEMORY;
    psal_error local = PSAL_ERROR_INIT;
    if (!err) err = &local;
    psal_pickle *pickle = psal_pickle_create(limit, err);
    if (!pickle) return NULL;
    struct machine machine = {.pickle = pickle, .begin = data, .at = data, .end = data + size, .err = err};
    bool whole = run(&machine);
    free(machine.stack);
    free(machine.marks);
    free(machine.memo);
    *used = (size_t)(machine.at - data);
    if (!whole) {
        psal_pickle_free(pickle);
        return NULL;
    }
    return pickle;
}
