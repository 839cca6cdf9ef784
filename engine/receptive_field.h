/* receptive_field.h - which part of one value of a graph another one is computed from.
 *
 * A unit of a convolutional network sees a window of the image: its receptive field (Le & Borji 2017, "What are the
 * receptive, effective receptive, and projective fields of neurons in convolutional neural networks?"). It follows from
 * the graph alone, walking back from the unit: each operation says which part of its inputs a part of its result is
 * computed from (psal_op.reach in op.h), and what several readers need is the smallest box around all of it. Borders
 * are exact: padding is no pixel. Inside the box there may be pixels without effect, which strides and dilation jump
 * over.
 *
 * Never too small: an operation that does not say what it reads reads all of its inputs. Global means (also those of
 * squeeze-and-excitation), fully connected layers and attention see the whole image, and so does everything behind
 * them. */
#ifndef PSAL_ENGINE_RECEPTIVE_FIELD_H
#define PSAL_ENGINE_RECEPTIVE_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A part of a tensor: along axis i the places first[i] .. last[i]; nothing when first[i] > last[i] for one of them. */
typedef struct psal_box {
    int64_t first[PSAL_MAX_DIMS], last[PSAL_MAX_DIMS];
} psal_box;

psal_box psal_box_of(const psal_shape *shape); /* all of a tensor */
bool psal_box_is_empty(const psal_box *box, int ndim);
void psal_box_join(psal_box *box, const psal_box *other, int ndim); /* the smallest one around both */

/* The box of `source` (the image) that the part `of` of `node` is computed from; empty when it does not depend on it.
 * Takes some microseconds per node of the graph. */
psal_status psal_receptive_field(const psal_graph *graph, psal_node node, const psal_box *of, psal_node source,
                                 psal_box *field, psal_error *err);

/* ---- for operations ---- */

/* Along one axis, what windows read: result i the places i * stride - padding + j * dilation, j = 0 .. kernel - 1, of
 * an axis of length `size`. Sets in's axis. */
void psal_box_windows(const psal_box *out, psal_box *in, int axis, int64_t size, int kernel, int stride, int padding,
                      int dilation);

#ifdef __cplusplus
}
#endif

#endif
