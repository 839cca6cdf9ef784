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

/* The weights in a checkpoint, under the names of the state_dict. A dictionary that holds them
 * under "state_dict", "model", ... is entered, and what is beside them ignored, with notes (NULL
 * for none). Tensors that are contiguous and aligned in the file are read-only views of it, which
 * the map owns; others are copied. The CRC of every storage used is checked. NULL with an *err that
 * names the file. */
psal_tensor_map *psal_pth_read(const char *path, psal_notes *notes, psal_error *err);

/* ---- the whole object, for files that hold something else than weights ---- */

typedef struct psal_pth psal_pth;

psal_pth *psal_pth_open(const char *path, psal_error *err); /* NULL with an *err that names the file */
void psal_pth_close(psal_pth *pth);                         /* NULL is fine */

bool psal_pth_is_legacy(const psal_pth *pth);
psal_pickle_value *psal_pth_root(const psal_pth *pth); /* valid until psal_pth_close */

/* Add the tensor that `value` (of kind PSAL_PICKLE_TENSOR) describes to `map`: as a view into
 * `pth`, which must outlive the map, when *is_view becomes true, else as a copy. Shape, offset and
 * strides are checked against the storage. Messages name the tensor, not the file. */
psal_status psal_pth_add_tensor(psal_pth *pth, const psal_pickle_value *value, const char *name, psal_tensor_map *map,
                                bool *is_view, psal_error *err);

#endif
