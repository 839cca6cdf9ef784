/* pth.h - PyTorch files (torch.save): the zip form since 1.6 and the legacy form before.
 *
 * Zip form: PREFIX/data.pkl is a pickle of the object, in which tensors refer to storages by key;
 * PREFIX/data/KEY are the storages' bytes, uncompressed and aligned. Legacy form: pickles of a
 * magic number, a protocol version, a description of the machine, the object, and the list of
 * storage keys, then each storage as a count (int64) and its elements (torch/serialization.py,
 * _save and _legacy_save). A plain pickle with NumPy arrays is read too. */
#ifndef PSAL_IO_PTH_H
#define PSAL_IO_PTH_H

#include "engine/tensor.h"
#include "io/notes.h"
#include "io/pickle.h"

/* The first dictionary of the file (below), with metadata "format". NULL with an *err that names the
 * file. */
psal_tensor_map *psal_pth_read(const char *path, psal_notes *notes, psal_error *err);

/* ---- the whole object ---- */

typedef struct psal_pth psal_pth;

psal_pth *psal_pth_open(const char *path, psal_error *err); /* NULL with an *err that names the file */
void psal_pth_keep(psal_pth *pth);                          /* one psal_pth_close more is needed */
void psal_pth_close(psal_pth *pth);                         /* NULL is fine */

/* ---- the dictionaries of tensors in it ---- */

typedef struct psal_pth_dictionary {
    char *key; /* the way to it: "state_dict", "checkpoint.model", "0" (of a tuple or list); "" when
                       it is the whole object */
    size_t tensors;
    int rank;     /* of the key: those that training scripts use for weights first, averages last */
    bool usual;   /* one of those that training scripts use */
    bool average; /* its key says that it holds a moving average of weights (ema, swa, ...) */
    const psal_pickle_value *value;
} psal_pth_dictionary;

/* All dictionaries of tensors that can be reached through dictionaries, tuples and lists, by rank, then
 * the largest first: "state_dict", "model_state_dict", "model", ... in front of other keys, moving averages
 * last. An optimizer's or scheduler's state is none of them. At least one, for the caller to free; NULL with an
 * *err (which does not name the file) when there is none. */
psal_pth_dictionary *psal_pth_dictionaries(psal_pth *pth, size_t *count, psal_error *err);
void psal_pth_dictionaries_free(psal_pth_dictionary *dictionaries, size_t count); /* NULL is fine */

/* The tensors of a dictionary, under their names, with metadata "format". Notes (NULL for none) say what was
 * taken and what lies beside it. Tensors that are contiguous and aligned in the file are read-only views of it,
 * for which the map keeps the file; others are copied. The CRC of every storage used is checked. Tensors of types
 * psal has none for, and objects that hold tensors, are PSAL_OTHER. NULL with an *err that does not name the file. */
psal_tensor_map *psal_pth_tensors(psal_pth *pth, const psal_pth_dictionary *dictionary, psal_notes *notes,
                                  psal_error *err);

bool psal_pth_is_legacy(const psal_pth *pth);
bool psal_pth_is_torchscript(const psal_pth *pth);     /* torch.jit.save: weights and code */
psal_pickle_value *psal_pth_root(const psal_pth *pth); /* valid until psal_pth_close */
uint32_t psal_pth_new_mark(psal_pth *pth);             /* a mark that no value has */

/* Add the tensor that `value` (of kind PSAL_PICKLE_TENSOR) describes to `map`: as a view into
 * `pth`, which must outlive the map, when *is_view becomes true, else as a copy. Shape, offset and
 * strides are checked against the storage. Messages name the tensor, not the file. */
psal_status psal_pth_add_tensor(psal_pth *pth, const psal_pickle_value *value, const char *name, psal_tensor_map *map,
                                bool *is_view, psal_error *err);

#endif
