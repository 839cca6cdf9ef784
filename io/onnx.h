/* onnx.h - ONNX files: a network as operators and their weights.
 *
 * The file is one protocol buffers message, a ModelProto (onnx/onnx.proto3, "ONNX IR Spec"). Six of its messages are
 * read: model, graph, node, attribute, tensor, and the type of inputs and outputs. */
#ifndef PSAL_IO_ONNX_H
#define PSAL_IO_ONNX_H

#include <stdbool.h>

#include "engine/description.h"
#include "engine/tensor.h"

#define PSAL_ONNX_OPSET_MIN 9
#define PSAL_ONNX_OPSET_MAX 20

/* Whether a file that begins so (`size` bytes of it) is an ONNX model: it begins with its version and another field of
 * a ModelProto, as every exporter writes it. */
bool psal_onnx_begins(const uint8_t *data, size_t size);

/* Read the model at `path`: its initializers as tensors by name, and its operators as the map's description
 * (psal_tensor_map_description). Tensors are read-only views of the file where their numbers lie in it one after the
 * other and aligned, else copies; types that psal has none for are PSAL_OTHER. External data must lie in files in or
 * below the model's folder, where symbolic links are followed but must not lead out, and must not overlap.
 *
 * Metadata: "format" = "onnx", "onnx.producer", and the model's own whose keys begin with "psal.".
 *
 * Refused, naming the file and the node or tensor: damaged messages, values that are made twice or read before they are
 * made, names with a NUL, tensors of another size than their shape says, sparse initializers, operator sets before
 * PSAL_ONNX_OPSET_MIN and after PSAL_ONNX_OPSET_MAX. Operators of other domains, unknown operators and attributes are
 * for models/ to refuse. */
psal_tensor_map *psal_onnx_read(const char *path, psal_error *err);

#endif
