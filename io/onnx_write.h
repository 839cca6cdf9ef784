/* onnx_write.h - a copy of an ONNX file with other weights and metadata. */
#ifndef PSAL_IO_ONNX_WRITE_H
#define PSAL_IO_ONNX_WRITE_H

#include "engine/tensor.h"

/* Write to `path` the file that map's description was read from (psal_onnx_read, whose map is still there), byte for
 * byte but for:
 *
 *   - values called as map's tensors (float32): each becomes an initializer with these numbers, in the place of the
 *     initializer of that name, or of the Constant or Identity that made it. Whoever else reads such an initializer
 *     through an Identity would get the new numbers too: the caller gives these values as well.
 *   - metadata whose keys begin with "psal.": they are the map's.
 *
 * A description that was read from no ONNX file (`file` is NULL) is written whole: its operators, and all of map's
 * tensors (float32, int64) as initializers.
 *
 * The file appears whole or not at all. Refused: a file with external data, which the copy would not have beside it,
 * and a copy of more than 2 GiB, where protocol buffers end. */
psal_status psal_onnx_write(const char *path, const psal_tensor_map *map, psal_error *err);

#endif
