/* computation_io.h - the record of what was computed (saliency/computation.h), from a session, from files and as
 * JSON. */
#ifndef PSAL_TOOLS_COMPUTATION_IO_H
#define PSAL_TOOLS_COMPUTATION_IO_H

#include <jansson.h>

#include "io/preprocess.h"
#include "saliency/statistics.h"

/* Give every value its one spelling: numbers the shortest that reads back the same, flags 0 or 1, preprocessing as
 * psal_preprocess_format writes it. Refuses what is none, by name. */
psal_status psal_computation_canonical(psal_computation *computation, psal_error *err);

/* The fields of the network and of its preprocessing. Reads all weights. */
psal_status psal_computation_set_network(psal_computation *computation, const psal_model *model,
                                         const psal_preprocess *preprocess, psal_error *err);
/* The fields of the profile. */
void psal_computation_set_profile(psal_computation *computation, const psal_saliency_options *options, bool normalized);
/* The statistics that profiles are standardized with. */
void psal_computation_set_statistics(psal_computation *computation, const psal_statistics *statistics);
/* What peaks over threshold depend on beside. */
void psal_computation_set_tail(psal_computation *computation, const psal_tail *tail);
void psal_computation_set_number(psal_computation *computation, psal_field field, double value);

/* A file's metadata, canonical. */
psal_status psal_computation_read(psal_computation *computation, const psal_tensor_map *map, psal_error *err);

/* Write into a checkpoint how its images are prepared, and what of it (and of Inception-v3's input transform) nobody
 * has said: whoever reads it shall say so again. */
psal_status psal_record_assumptions(psal_tensor_map *checkpoint, const char *preprocess, bool preprocess_assumed,
                                    bool transform_assumed, psal_error *err);
/* Whether a checkpoint's metadata says that this field, PSAL_FIELD_PREPROCESS_ASSUMED or .._TRANSFORM_ASSUMED, was
 * assumed. */
bool psal_was_assumed(const psal_tensor_map *checkpoint, psal_field field);

/* A field as JSON: a string, number or boolean (new reference; null where it has no value), under its key without
 * "psal.". */
json_t *psal_computation_field_json(const psal_computation *computation, psal_field field);
const char *psal_computation_field_key(psal_field field);
/* All fields that have a value as an object (new reference; NULL when out of memory), and back. */
json_t *psal_computation_json(const psal_computation *computation);
/* The object as one line, for tables and pictures. The caller frees; NULL when out of memory. */
char *psal_computation_text(const psal_computation *computation);
/* What must not be taken for something else, for the subtitle of a picture: "net.pth + delta.safetensors, statistics of
 * 10000 samples, mean of 8 noisy copies (20 %)". */
void psal_computation_line(const psal_computation *computation, char text[512]);
psal_status psal_computation_from_json(psal_computation *computation, const json_t *object, psal_error *err);

#endif
