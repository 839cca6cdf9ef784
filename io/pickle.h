/* pickle.h - a restricted reader of Python pickles: it can build tensors and plain containers and
 * nothing else.
 *
 * A pickle is a program for a stack machine that may call any Python function; Python's own reader
 * runs it. This one knows a fixed list of names (pickle_calls.c), each a constructor of plain data
 * that is carried out in C. Whatever any other name would make is an opaque value, which only
 * remembers that name and what it would have been made of: nothing is looked up, imported or called,
 * so that a checkpoint can be read with the command line, the paths and the callbacks that its
 * training script kept beside the weights. Opcodes and their meanings: Python's Lib/pickletools.py,
 * protocols 0 to 5; tensors as torch/_utils.py and torch/serialization.py write them.
 *
 * Memory is bounded by a multiple of the pickle's size, nothing here recurses, and values may form
 * cycles (a list that holds itself): whoever walks them must bound its depth. */
#ifndef PSAL_IO_PICKLE_H
#define PSAL_IO_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tensor.h"

typedef struct psal_pickle psal_pickle; /* owns every value read */
typedef struct psal_pickle_value psal_pickle_value;

typedef enum psal_pickle_kind {
    PSAL_PICKLE_NONE,
    PSAL_PICKLE_BOOL,    /* integer: 0 or 1 */
    PSAL_PICKLE_INT,     /* integer */
    PSAL_PICKLE_BIG_INT, /* text: little-endian two's complement, beyond 64 bits */
    PSAL_PICKLE_FLOAT,   /* real */
    PSAL_PICKLE_STRING,  /* text: UTF-8 as in the file, unchecked, not terminated */
    PSAL_PICKLE_BYTES,   /* text; also numpy arrays and scalars of types psal has none for */
    PSAL_PICKLE_LIST,    /* list */
    PSAL_PICKLE_TUPLE,   /* list; also torch.Size */
    PSAL_PICKLE_SET,     /* list, repetitions kept */
    PSAL_PICKLE_DICT,    /* list of key, value, key, value, ...; OrderedDict, defaultdict and Counter
                          too */
    PSAL_PICKLE_DTYPE,   /* numpy.dtype or torch.dtype */
    PSAL_PICKLE_STORAGE, /* storage */
    PSAL_PICKLE_TENSOR,  /* tensor; also numpy.ndarray and Parameter */
    PSAL_PICKLE_NAME,    /* a permitted class or function, not called (a storage's type, a defaultdict's
                        factory) */
    PSAL_PICKLE_OPAQUE   /* any other class or function, or what calling it would have made; list: what that was
                          given (arguments, state, items), list.of: its name */
} psal_pickle_kind;

/* Of a class or function; not terminated. */
typedef struct psal_pickle_name {
    const char *module, *name;
    size_t module_size, name_size; /* no module: name alone tells what it is */
} psal_pickle_name;

/* Elements outside the pickle (a zip entry, the tail of a legacy file), known here by their key
 * only. */
typedef struct psal_pickle_storage {
    const char *key; /* not terminated */
    size_t key_size;
    psal_dtype dtype;
    const char *type;    /* PSAL_OTHER: the element type in words, terminated */
    size_t element;      /* bytes of an element; 0: not known */
    int64_t count;       /* elements of the whole storage */
    int64_t view_offset; /* legacy views of a storage: the part from view_offset, view_count
                            elements; else 0, count */
    int64_t view_count;
    const uint8_t *inline_data; /* of a numpy array: its bytes in the pickle, key is NULL */
} psal_pickle_storage;

typedef struct psal_pickle_tensor {
    const psal_pickle_storage *storage; /* NULL: an array that never got its contents, or of PSAL_OTHER */
    psal_dtype dtype;
    const char *type; /* PSAL_OTHER: in words, terminated */
    psal_shape shape;
    int64_t offset; /* of the first element, in elements of the storage's view */
    int64_t stride[PSAL_MAX_DIMS];
} psal_pickle_tensor; /* as the file says: whoever uses it checks that it fits its storage */

struct psal_pickle_value {
    psal_pickle_kind kind;
    uint32_t mark; /* 0 when read; for whoever walks the values, to know where they have been */
    union {
        int64_t integer;
        double real;
        struct {
            const char *bytes;
            size_t size;
        } text;
        struct {
            psal_pickle_value **items;
            size_t count, capacity;
            const psal_pickle_name *of; /* PSAL_PICKLE_OPAQUE */
        } list;
        psal_pickle_storage *storage;
        psal_pickle_tensor *tensor;
        int name; /* row in the table of names */
        struct {
            psal_dtype type;
            bool big_endian, known;
            char code[8];
        } dtype;
    };
};

/* Read one pickle from the start of `data`, of which it may use up to `size` bytes; *used (not
 * NULL) becomes its length. Values point into `data`, which must outlive the result. NULL with
 * *err, which does not name the file. */
psal_pickle *psal_pickle_read(const uint8_t *data, size_t size, size_t *used, psal_error *err);
void psal_pickle_free(psal_pickle *pickle); /* NULL is fine */

psal_pickle_value *psal_pickle_root(const psal_pickle *pickle);

/* Every storage the pickle mentions, in order, once per mention. */
size_t psal_pickle_storage_count(const psal_pickle *pickle);
const psal_pickle_storage *psal_pickle_storage_at(const psal_pickle *pickle, size_t index);

/* The value of a dictionary under a string key, the last one when it occurs twice; NULL when absent
 * or no dictionary. */
psal_pickle_value *psal_pickle_get(const psal_pickle_value *dict, const char *key);

bool psal_pickle_is_string(const psal_pickle_value *value, const char *text);

/* "a list of 3", "the string 'adam'", "argparse.Namespace", ... for messages; returns `text`. */
const char *psal_pickle_describe(const psal_pickle_value *value, char *text, size_t size);

#endif
