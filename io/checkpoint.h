/* checkpoint.h - trained weights, in whatever form people have them. */
#ifndef PSAL_IO_CHECKPOINT_H
#define PSAL_IO_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/tensor.h"
#include "io/notes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Forms, recognised by a file's contents, never by its name: .safetensors; PyTorch's .pth/.pt (zip
 * form and legacy form); .npz; a pickle of NumPy arrays; a TensorFlow.js layers model (its
 * model.json, or its folder); an ONNX model, whose operators the map describes too (io/onnx.h).
 *
 * Element types and names stay as they are in the file (float16, bfloat16, float64 too; those that psal has none for
 * are PSAL_OTHER; prefixes are models/model.h's). Metadata "format" tells the form: "safetensors" (unless the file says
 * something itself), "pth", "pth-legacy", "npz", "tfjs-layers".
 *
 * Errors name the file and say what it is instead ("is a JPEG image", "is an HTML page (a failed
 * download?)", "holds a whole object of Python's"). */

/* Read the weights at `path`: the first part of the file (below). Remarks ("took the weights under
 * 'state_dict'", "ignored 2 entries: ...") are appended to `notes` (NULL: dropped). Tensors may be
 * read-only views of the file. The caller frees the map. NULL with *err. */
psal_tensor_map *psal_checkpoint_read(const char *path, psal_notes *notes, psal_error *err);

/* Write the map as the form that it is: a copy of the ONNX model that it describes, with its tensors in the place of
 * the model's (io/onnx_write.h), or .safetensors, where it describes none. */
psal_status psal_checkpoint_write(const char *path, const psal_tensor_map *map, psal_error *err);

/* Fails where the name's ending is that of a format that others read and psal does not write: .pth, .pt, .bin, .ckpt,
 * .h5, .npz. psal_checkpoint_write begins with it; a program asks before its work. */
psal_status psal_checkpoint_check_name(const char *path, psal_error *err);

/* ---- files with several dictionaries of tensors ----
 *
 * What a training script saved may hold the weights anywhere: under "state_dict", under a key of its own, in a tuple,
 * beside a moving average of them, beside another network. Which one makes a network is not for this room to know:
 * whoever opens the checkpoint takes the parts one after the other. */
typedef struct psal_checkpoint psal_checkpoint;

typedef struct psal_checkpoint_part {
    /* the way to it: "state_dict", "checkpoint.model", "0" (of a tuple); "" when it is the whole file */
    const char *key;
    size_t tensors; /* how many; 0: not known before it is read (all forms but PyTorch's) */
    bool usual;     /* its key is one that training scripts keep weights under: "state_dict", "model", ... */
    bool average;   /* its key says that it is a moving average of weights: "ema", "swa", ... */
} psal_checkpoint_part;

psal_checkpoint *psal_checkpoint_open(const char *path, psal_error *err); /* NULL with *err */
void psal_checkpoint_close(psal_checkpoint *checkpoint);                  /* NULL is fine; maps read from it stay */

/* The dictionaries of tensors, at least one: usual keys first, averages last, among equals the largest first. The state
 * of an optimizer or scheduler is none. */
size_t psal_checkpoint_part_count(const psal_checkpoint *checkpoint);
const psal_checkpoint_part *psal_checkpoint_part_at(const psal_checkpoint *checkpoint, size_t index);

/* The tensors of part `index`, as psal_checkpoint_read. */
psal_tensor_map *psal_checkpoint_part_read(psal_checkpoint *checkpoint, size_t index, psal_notes *notes,
                                           psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
