/* net.h - a network made ready, and questions to it in one call each: what psal-run, psal-prune and psal-finetune do
 * with one image, psal-stats with a list and psal-neighbors with profiles, for other languages (tools/python) and for C
 * programs that want no more than that.
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
typedef struct psal_net_edit psal_net_edit;             /* changed filters, and what that did */

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
/* Give back the memory that explaining takes, some 100 MiB for a ResNet-50, which the next explanation takes again.
 * Results of the explainer stay as they are. */
void psal_net_explainer_rest(psal_net_explainer *explainer);
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
/* What psal-run writes: pictures, top_filters.csv and result.json, into `folder`. By one thread at a time. Their paths
 * as a JSON list. */
char *psal_net_result_write(psal_net_result *result, const char *folder, psal_error *err);

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
/* The record of what they are of, as "settings" of an explainer. */
char *psal_net_statistics_settings(const psal_net_statistics *statistics, psal_error *err);
/* A file of statistics, as psal-stats writes it. */
psal_status psal_net_statistics_write(const psal_net_statistics *statistics, const char *path, psal_error *err);

/* ---- filters of an explained image changed (net_edit.c) ---- */

/* Switch its filters off and measure what that does to it, as psal-prune does: settings --k, --choices, --how,
 * --noise-scale, --draws, --seed, --layers. Filters are ranked as they are in the result, which must be of filters or
 * rows and subtract no other class. progress counts runs of the edited network. */
psal_net_edit *psal_net_prune(const psal_net_result *result, const char *const *words, size_t count,
                              psal_net_progress progress, void *data, psal_error *err);
/* Correct it by a step, or steps, on some filters, as psal-finetune does: settings --k (one), --choices (one), --rate,
 * --relative, --steps, --until-correct, --seed, --layers. That there is no such change is an error. */
psal_net_edit *psal_net_finetune(const psal_net_result *result, const char *const *words, size_t count,
                                 psal_error *err);
void psal_net_edit_free(psal_net_edit *edit);
/* "rows": what it did, with the names of the program's JSON, one for each choice and k; of psal_net_prune also "how",
 * of psal_net_finetune "predicted", "predicted_name" and "confidence" of the edited network. */
char *psal_net_edit_json(const psal_net_edit *edit, psal_error *err);
/* The edited network as a checkpoint (of an ONNX file: an ONNX file). Of one edit only: one choice, one k; of random
 * draws the first. */
psal_status psal_net_edit_write(const psal_net_edit *edit, const char *path, psal_error *err);
/* The parameter changed next behind *parameter (-1 to begin): its name (NULL: there is none), and its values and shape,
 * which the edit owns. */
psal_status psal_net_edit_next(const psal_net_edit *edit, int *parameter, const char **name, const float **values,
                               int *dimensions, int64_t sizes[8], psal_error *err);

/* ---- neighbours (net_neighbors.c) ---- */

/* The samples whose profiles are most similar (saliency/neighbors.h), among profiles[samples][length], naive ones: to
 * samples queries[query_count] of them, each without itself, or to `profile`[length], if not NULL (query_count 1).
 * similarity: "pearson", "cosine", "normalized" or "roots". mean and std [length], of the statistics that fit the
 * similarity; NULL: those of the profiles. candidates (NULL: all samples), ascending. found[query_count][top] and
 * similarities[the same], best first; -1 behind the last one. */
psal_status psal_net_neighbors(const float *profiles, int64_t samples, int64_t length, const char *similarity,
                               const double *mean, const double *std, const int64_t *candidates,
                               int64_t candidate_count, const float *profile, const int64_t *queries,
                               int64_t query_count, int64_t top, int threads, int64_t *found, double *similarities,
                               psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
