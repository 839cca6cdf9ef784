/* net.h - a network made ready, and questions to it in one call each: what psal-run does with one image and psal-stats
 * with a list, for other languages (tools/python) and for C programs that want no more than that.
 *
 * Only opaque handles, plain arrays and texts pass through here, so that a caller needs no structure but psal_error (an
 * int and 1024 bytes). Settings are words as they stand on psal-run's command line, "--mode", "naive": names, defaults,
 * limits and messages are the program's. Texts that a function returns are UTF-8 and the caller's, who gives them back
 * to psal_net_free_text; JSON is what the program prints with --json. Numbers are the program's, bit for bit.
 *
 * A net may be used by many threads at once; an explainer by one at a time. Results are read-only. What is made of a
 * net or an explainer must be freed before it. NULL is fine for every function that frees. */
#ifndef PSAL_TOOLS_NET_H
#define PSAL_TOOLS_NET_H

#include <stddef.h>
#include <stdint.h>

#include "engine/error.h"
#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_net psal_net;                       /* a network, its class names and its preprocessing */
typedef struct psal_net_explainer psal_net_explainer;   /* its graph, planned for one way of explaining, and memory */
typedef struct psal_net_result psal_net_result;         /* one image explained */
typedef struct psal_net_samples psal_net_samples;       /* a list of labelled images */
typedef struct psal_net_statistics psal_net_statistics; /* of the saliency over such a list */

/* How far a long call is: `done` of `total`. Anything but 0 ends it with PSAL_ERR_CANCELLED. Called by any thread, one
 * at a time. */
typedef int (*psal_net_progress)(void *data, int64_t done, int64_t total);

void psal_net_free_text(char *text);
const char *psal_net_version(void); /* psal's: "0.1.0" */

/* ---- the network ---- */

/* Append a tensor in the caller's memory, row-major: `type` is "float32", "float16", "bfloat16", "float64", "int64",
 * "int32", "int16", "int8", "uint8" or "bool". The numbers must stay where they are while the map, or a net made of it,
 * lives. */
psal_status psal_net_add_tensor(psal_tensor_map *map, const char *name, const char *type, int dimensions,
                                const int64_t *sizes, const void *numbers, psal_error *err);

/* Open a network with these settings: all of psal-run's that say something of the network or of how it is explained
 * (--weights, --preprocess, --labels, --threads, --mode, --k-salient, ...); any other is refused. psal.json counts only
 * where --project names it. `tensors`, if not NULL, takes the place of --weights, with torchvision's names (or any that
 * a file may have): a state_dict. It becomes the net's, also after an error. */
psal_net *psal_net_open(const char *const *words, size_t count, psal_tensor_map *tensors, psal_error *err);
void psal_net_close(psal_net *net);

/* "arch", "family", "weights", "fingerprint", "classes" (their names), "preprocess", "channels", "height", "width",
 * "filters", "parameters" (numbers in all of them), "threads". NULL when out of memory. */
char *psal_net_describe(const psal_net *net, psal_error *err);
/* What there is to say of what was done since the last call, [["text", is it a warning], ...]; NULL when out of
 * memory. */
char *psal_net_notes(psal_net *net, psal_error *err);
/* The number of the class that `text` means: a name, a number or a WordNet id. */
psal_status psal_net_class(const psal_net *net, const char *text, int *class_number, psal_error *err);

/* ---- explaining ---- */

/* Make everything ready for explanations with these settings: those of the net again, and others of how it is
 * explained. --image-target-label second: images without a label are explained for the runner-up. */
psal_net_explainer *psal_net_explainer_open(psal_net *net, const char *const *words, size_t count, psal_error *err);
void psal_net_explainer_close(psal_net_explainer *explainer);
/* "aggregation", "mode", "statistics" (their file; null: none), "entries" (of a profile), "layers" ([name, first entry,
 * entries] of each), "settings" (the record of what is computed). */
char *psal_net_explainer_describe(const psal_net_explainer *explainer, psal_error *err);

/* Explain an image: the file `path`; RGB pixels[height][width][3], called `name`, to be prepared as a file's; or
 * numbers[channels][height][width] as the network gets them. `label`: the class to explain for, as in psal_net_class;
 * NULL or "predicted": the predicted one. progress (NULL is fine) counts noisy copies. */
psal_net_result *psal_net_explain_file(psal_net_explainer *explainer, const char *path, const char *label,
                                       psal_net_progress progress, void *data, psal_error *err);
psal_net_result *psal_net_explain_pixels(psal_net_explainer *explainer, const char *name, const uint8_t *pixels,
                                         int height, int width, const char *label, psal_net_progress progress,
                                         void *data, psal_error *err);
psal_net_result *psal_net_explain_input(psal_net_explainer *explainer, const char *name, const float *numbers,
                                        int channels, int height, int width, const char *label,
                                        psal_net_progress progress, void *data, psal_error *err);
void psal_net_result_free(psal_net_result *result);

/* The result without its arrays: what psal-run --json prints. */
char *psal_net_result_json(const psal_net_result *result, psal_error *err);
/* An array of the result, which it owns: "input", "gradient", "random_gradient" (float32 [channels][height][width]),
 * "pixels" (uint8 [height][width][3]), "logits" (float32 [classes]), "naive" (float32 [entries]), "standardized"
 * (float64 [entries]). *dimensions and sizes[3] are set. NULL: there is none of this name, or none in this result. */
const void *psal_net_result_array(const psal_net_result *result, const char *name, int *dimensions, int64_t sizes[3]);
/* What the heat map paints, heat[height][width] (saliency/masking.h: psal_pixel_saliency). */
psal_status psal_net_result_heat(const psal_net_result *result, float *heat, psal_error *err);
/* The k entries that rank highest, best first; more than can be ranked are refused. */
psal_status psal_net_result_top(const psal_net_result *result, int64_t k, int64_t *entries, psal_error *err);
/* What psal-run writes: pictures, top_filters.csv and result.json, into `folder`. By one thread at a time. */
psal_status psal_net_result_write(psal_net_result *result, const char *folder, psal_error *err);

/* ---- statistics over a list of images (net_statistics.c) ---- */

/* A data set, as psal-stats --data takes it; or `count` images with their labels, as in psal_net_class. */
psal_net_samples *psal_net_samples_open(psal_net *net, const char *data, psal_error *err);
psal_net_samples *psal_net_samples_list(psal_net *net, const char *const *paths, const char *const *labels,
                                        size_t count, psal_error *err);
void psal_net_samples_free(psal_net_samples *samples);
int64_t psal_net_samples_count(const psal_net_samples *samples);
const char *psal_net_samples_name(const psal_net_samples *samples, int64_t index); /* the samples own it */

/* Run all samples, one per thread, with settings as for an explainer, of which those of the profile count. Every naive
 * profile goes to profiles[samples][entries], if that is not NULL. An image that cannot be read ends it. */
psal_net_statistics *psal_net_statistics_make(psal_net *net, const psal_net_samples *samples, const char *const *words,
                                              size_t count, float *profiles, psal_net_progress progress, void *data,
                                              psal_error *err);
void psal_net_statistics_free(psal_net_statistics *statistics);
/* Entries of a profile with these settings, to make room for profiles. 0 with *err. */
int64_t psal_net_profile_length(psal_net *net, const char *const *words, size_t count, psal_error *err);

int64_t psal_net_statistics_count(const psal_net_statistics *statistics);  /* samples */
int64_t psal_net_statistics_length(const psal_net_statistics *statistics); /* entries */
/* "mean" or "std", float64[entries], which the statistics own. */
const double *psal_net_statistics_values(const psal_net_statistics *statistics, const char *name);
/* Of every sample: label, predicted class, confidence of both, loss; each [samples]. */
void psal_net_statistics_records(const psal_net_statistics *statistics, int *labels, int *predicted,
                                 float *label_confidence, float *confidence, float *loss);
/* A file of statistics, as psal-stats writes it. */
psal_status psal_net_statistics_write(const psal_net_statistics *statistics, const char *path, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
