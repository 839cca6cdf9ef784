/* safetensors.h - the .safetensors format: a JSON header that names the tensors, then their bytes.
 *
 * Layout (huggingface/safetensors, README "Format"): 8 bytes N, little-endian; N bytes of JSON,
 * {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ..., "__metadata__":
 * {string: string}}, padded with spaces; then one buffer that the offsets divide without gaps or
 * overlaps. */
#ifndef PSAL_IO_SAFETENSORS_H
#define PSAL_IO_SAFETENSORS_H

#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Read `path`. The tensors are read-only views into the mapped file (copies where an offset is not
 * a multiple of the element size) in the order of the header; the map owns the mapping. A damaged
 * or hostile file is NULL and an *err that names the file and the tensor. */
psal_tensor_map *psal_safetensors_read(const char *path, psal_error *err);

/* Write every tensor and all metadata of `map`, atomically. The same map gives the same bytes:
 * entries are ordered by element size (largest first, so that each is aligned), then as in the map.
 * The buffer begins at a multiple of 64. */
psal_status psal_safetensors_write(const char *path, const psal_tensor_map *map, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
