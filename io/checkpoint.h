/* checkpoint.h - trained weights, in whatever form people have them. */
#ifndef PSAL_IO_CHECKPOINT_H
#define PSAL_IO_CHECKPOINT_H

#include "engine/tensor.h"
#include "io/notes.h"

/* Read the weights at `path`, whose form is recognised by its contents, never by its name:
 * .safetensors; PyTorch's .pth/.pt (zip form and legacy form); .npz; a pickle of NumPy arrays; a
 * TensorFlow.js layers model (its model.json, or its folder).
 *
 * Element types stay as they are in the file (float16, bfloat16, float64 too). Prefixes that all
 * names share because the model was wrapped when it was saved ("module." of DataParallel,
 * "_orig_mod." of torch.compile, "model." of training frameworks), nested ones too, are taken off.
 * Metadata "format" tells the form: "safetensors" (unless the file says something itself), "pth",
 * "pth-legacy", "npz", "tfjs-layers".
 *
 * Remarks ("took the weights under 'state_dict'", "ignored 2 entries: ...") are appended to `notes`
 * (NULL: dropped). Tensors may be read-only views of the file. The caller frees the map. NULL with
 * an *err that names the file and says what it is instead ("is a JPEG image", "is an HTML page (a
 * failed download?)"). */
psal_tensor_map *psal_checkpoint_read(const char *path, psal_notes *notes, psal_error *err);

#endif
