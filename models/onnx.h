/* onnx.h - networks that are a list of operators, as ONNX files have them (internal to models/).
 *
 * Such a network has an architecture of its own: a description (arch.h) that goes through the operators and makes
 * nodes. Its parameters are the floating-point tensors with at least one dimension that operators compute with. What
 * depends only on shapes, integers and constants is computed while the graph is built, for the image size at hand. */
#ifndef PSAL_MODELS_ONNX_H
#define PSAL_MODELS_ONNX_H

#include "models/group.h"

typedef struct net_onnx net_onnx;

/* The network that the checkpoint's description (psal_tensor_map_description) is, which refers to the checkpoint. Its
 * outputs are those in front of a trailing softmax. Parameters are called as their tensors are; where the exporter has
 * lost a name ("onnx::Conv_193"), as the node's name says ("/layer1/layer1.0/conv1/Conv": "layer1.0.conv1.weight").
 * An image of the size that the file says, or of one that fits where it says none, is sent through it, without numbers.
 *
 * Fails when `wanted` says what only the file can say, and on what psal cannot compute, naming node, operator and
 * attribute, and which of the file's operators it can. *found is filled as by net_find, but for found->group.hidden. */
net_onnx *net_onnx_open(const psal_tensor_map *checkpoint, const psal_model_options *wanted, net_found *found,
                        psal_error *err);
void net_onnx_free(net_onnx *onnx); /* NULL is fine */

/* Whether the exporter has multiplied batch normalisation into the convolutions: their names are lost and there is no
 * normalisation. */
bool net_onnx_is_folded(const net_onnx *onnx);

/* What of the file must be replaced (io/onnx_write.h) so that the list's entry i has values[i]: the values that
 * changed, under the file's names, with those that share their numbers and did not. The map describes the network as
 * the checkpoint does, which must outlive it; one that was read from no file is written whole, and the
 * map has all of its tensors. NULL with *err, also where the file keeps what changed as another type
 * than float32, or uses it elsewhere as a constant. */
psal_tensor_map *net_onnx_export(const net_onnx *onnx, const psal_tensor_map *checkpoint, const net *list,
                                 const float *const *values, psal_error *err);

/* For tests of single operators: everything that the description says, in a graph. inputs[i] is a value for the
 * description's input i: a tensor of floating-point numbers becomes the node input_nodes[i], to be set; other tensors
 * and single numbers are known beforehand (PSAL_NO_NODE). output_nodes[i] is output i. */
psal_status net_onnx_build_all(const psal_tensor_map *checkpoint, psal_graph *graph, const psal_tensor *inputs,
                               psal_node *input_nodes, psal_node *output_nodes, psal_error *err);

#endif
