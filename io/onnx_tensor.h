/* onnx_tensor.h - one TensorProto, and the files where others keep their numbers (internal to io/). */
#ifndef PSAL_IO_ONNX_TENSOR_H
#define PSAL_IO_ONNX_TENSOR_H

#include "engine/tensor.h"
#include "io/mapped_file.h"
#include "io/protobuf.h"

/* A file with external data. */
typedef struct psal_onnx_external {
    char *path;            /* resolved */
    psal_mapped_file file; /* the map's */
    uint64_t used;         /* bytes of tensors so far */
} psal_onnx_external;

/* Where tensors come from and whose they become. */
typedef struct psal_onnx_source {
    char *folder; /* the model's, resolved; NULL: not needed yet */
    const char *path;
    psal_tensor_map *map; /* adopts mappings and decoded numbers */
    psal_onnx_external *external;
    size_t external_count;
} psal_onnx_source;

void psal_onnx_source_clear(psal_onnx_source *source); /* not the map and what it adopted */

/* psal's type for a TensorProto.DataType, PSAL_OTHER when there is none; *name is the standard's ("FLOAT16"). */
psal_dtype psal_onnx_dtype(uint64_t type, const char **name);

/* Read a TensorProto. *name (may be NULL) is where its name lies. PSAL_OTHER tensors have the type's name as data.
 * Errors name the tensor. */
psal_status psal_onnx_tensor(psal_onnx_source *source, psal_proto_message message, psal_tensor *tensor,
                             psal_proto_message *name, psal_error *err);

#endif
