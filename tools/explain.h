/* explain.h - psal-run's work on one sample: profile, ranking, input-space saliency; and what it leaves behind. */
#ifndef PSAL_TOOLS_EXPLAIN_H
#define PSAL_TOOLS_EXPLAIN_H

#include <jansson.h>

#include "io/figure.h"
#include "io/dataset.h"
#include "io/progress.h"
#include "saliency/saliency.h"
#include "tools/filter_crops.h"
#include "tools/session.h"

/* In place of a class: the one that is predicted for the image, the runner-up, none. */
enum { PSAL_CLASS_PREDICTED = -1, PSAL_CLASS_SECOND = -2, PSAL_CLASS_NONE = -3 };

typedef struct psal_explain_options {
    psal_saliency_options saliency;
    psal_mode mode;
    int64_t k; /* filters boosted */
    double boost;
    int noise_iters;      /* draws averaged over; at least 1 */
    double noise_percent; /* p in x <- (1 - p) x + p e */
    double noise_sd;      /* or its standard deviation in pixels' units, 0 .. 255: x <- x + e; one of the two is 0 */
    uint64_t seed;        /* of the noise and of the random filters */
    int stands_in;        /* for the label of an image that has none: PSAL_CLASS_PREDICTED or _SECOND */
    int against;          /* a class, or one of the above: its standardized profile is subtracted */
    bool compare_random;  /* a second map, for k random filters */
    int top;              /* rows of the table */
    bool figures;         /* draw the pictures, */
    const char *format;   /* as files that end so: "png"; NULL where none are drawn */
    psal_figure_style style;
    bool mistakes;         /* leave out images that are right */
    const char *look_data; /* the data set in which crops are looked for, as the user called it; NULL: in none */
} psal_explain_options;

/* What a command line of psal_run_program says; `stands_in` and `against`, which need the class names, are the
 * caller's (PSAL_CLASS_PREDICTED and PSAL_CLASS_NONE until then). */
psal_status psal_explain_options_read(const psal_options *command_line, psal_explain_options *options, psal_error *err);
/* The class that option `option` means by `text`: number, name, WordNet id; "predicted", "second": PSAL_CLASS_... */
psal_status psal_explain_class(const psal_session *session, const char *option, const char *text, int *class,
                               psal_error *err);

/* The network made ready: one graph, plan and worker for all samples. */
typedef struct psal_explainer {
    const psal_session *session;
    psal_explain_options options;
    psal_saliency *saliency;
    psal_saliency_worker *worker;
    psal_statistics *statistics; /* NULL in naive mode */
    double *shift, *scale;       /* [length], of the draw at hand */
    bool *live, *ranked;         /* [length]: entries that can be ranked for some image; for the one at hand */
    char statistics_path[4096];
    psal_computation computation; /* what a result depends on besides its image, */
    char *record, line[512];      /* as text, and the part of it that pictures say */
    psal_progress *progress;      /* the caller's, moved by each noisy copy, */
    int64_t copies;               /* of which so many were made so far */
    /* Called after each copy of one image, `done` of `total`; anything but 0 ends the explanation. NULL: not called. */
    int (*step)(void *data, int64_t done, int64_t total);
    void *step_data;
} psal_explainer;

/* What is known of one sample after psal_explain; sizes: length = psal_saliency_length, image = channels x height x
 * width. */
typedef struct psal_explanation {
    const char *path;     /* of the image, the caller's */
    uint64_t fingerprint; /* of the image's file (psal_dataset_image_fingerprint); the caller's */
    int label;            /* the class explained against */
    bool labelled;        /* false: no label was given, another class stands in (options.stands_in) */
    bool left_out;        /* it is right, and only mistakes are explained: nothing below but the confidences */
    int predicted;
    int against; /* the class whose profile was subtracted; PSAL_CLASS_NONE: none */
    double confidence, label_confidence, against_confidence, loss;
    float *input;         /* [image] */
    float *logits;        /* [classes] */
    float *naive;         /* [length], averaged over the noise draws; with `against`, less that class's */
    float *subtracted;    /* [length], with `against` that class's naive profile, else NULL */
    double *standardized; /* [length]; with `against`, less that class's */
    int64_t *top;         /* [top_count], best first */
    int64_t top_count;
    int64_t rankable, k; /* entries that can be ranked; as many were boosted as were asked for, or all of these */
    float *gradient, *random_gradient; /* [image]; the second NULL unless compare_random */
    float cosine;                      /* NAN without a map */
    int maps, random_maps;             /* draws that gave a map; 0: there is none, the gradient is all zeros */
    double agreement; /* Spearman's correlation of the pixels of both maps; NAN: one is missing, or has no order */
    char no_map[200]; /* why a draw gave none, or "" */
    psal_image pixels;
    int removed;              /* files of an earlier run, which psal_explanation_write removed */
    psal_filter_crops *crops; /* what the top filters look for; NULL: not asked for. The caller's */
    double seconds_image, seconds_forward, seconds_profile, seconds_input, seconds_figures;
} psal_explanation;

psal_status psal_explainer_open(psal_explainer *explainer, psal_session *session, const psal_options *command_line,
                                const psal_explain_options *options, psal_error *err);
void psal_explainer_close(psal_explainer *explainer); /* zeroed is fine */

/* Explain `image` (decoded; `label` < 0: none known). That there is no map of the pixels is no error: see `maps`. Free
 * with psal_explanation_free, also after an error. */
psal_status psal_explain(psal_explainer *explainer, const char *path, const psal_image *image, int label,
                         psal_explanation *out, psal_error *err);
/* The same for an image as the network gets it: input[channels, height, width], copied. Pictures show it as far as it
 * can be shown: the preprocessing undone. Refused when a number is not finite. */
psal_status psal_explain_input(psal_explainer *explainer, const char *path, const float *input, int label,
                               psal_explanation *out, psal_error *err);
void psal_explanation_free(psal_explanation *explanation);

/* The numbers of the k entries that rank highest, best first: entries[k]. Fails when fewer can be ranked. */
psal_status psal_explanation_rank(const psal_explainer *explainer, const psal_explanation *explanation, int64_t k,
                                  int64_t *entries, psal_error *err);

/* Name of the parameter and the number within it of profile entry `entry`: "layer4.1.conv3.weight", 527. */
const char *psal_explain_entry(const psal_explainer *explainer, int64_t entry, int64_t *within);

/* ---- explain_output.c ---- */

/* Whether none of the files that one explanation leaves in --out is one that the command line names. */
psal_status psal_explanation_check_files(const psal_options *o, psal_error *err);
/* Whether every entry lies below its mean over the data set. */
bool psal_explanation_is_below(const psal_explainer *explainer, const psal_explanation *e);
/* Whether its profile says little: the prediction is right, and most of its gradients are below those of the data
 * set's average image, so that the standardized profile is mostly that of the statistics. */
bool psal_explanation_is_noise(const psal_explainer *explainer, const psal_explanation *e);
/* What the values of the profile are: "standardized saliency". */
const char *psal_explanation_quantity(const psal_explainer *explainer);
/* The heat map of a gradient [channels, height, width] over the image, as in its overlay; psal_image_free. */
psal_status psal_explanation_overlay(const psal_explainer *explainer, const psal_explanation *e, const float *gradient,
                                     psal_image *out, psal_error *err);
/* In words, how alike the map of top entries and that of random ones are, by the correlation of their pixels (NAN:
 * unknown). what: "filters". */
void psal_agreement_text(double agreement, const char *what, char text[200]);
#define PSAL_EXPLANATION_SCHEMA "psal-run/1" /* psal_json_document */
/* Everything about the sample as one JSON document (new reference). `files`: what was written, or NULL. */
json_t *psal_explanation_json(const psal_explainer *explainer, const psal_explanation *e, json_t *files);
/* How its figures were drawn (new reference): null, none were. */
json_t *psal_explanation_figures_json(const psal_explainer *explainer);
/* The table for people, on standard output. */
void psal_explanation_print(const psal_explainer *explainer, const psal_explanation *e);
/* Pictures, top_filters.csv and result.json into `folder` (made when missing). Those of them that an earlier run left
 * and this one does not make go (e->removed), unless its result.json is of the same image and computation: then they
 * are what this run would have made. Adds the names to `files` (an array). */
psal_status psal_explanation_write(const psal_explainer *explainer, psal_explanation *e, const char *folder,
                                   json_t *files, psal_error *err);
/* input.npy, logits.npy, naive.npy, standardized.npy, input_gradient.npy (and input_gradient_random.npy). */
psal_status psal_explanation_dump(const psal_explainer *explainer, const psal_explanation *e, const char *folder,
                                  psal_error *err);

/* ---- explain_resume.c ---- */

/* The result in the file `path`, which an earlier run left for `image` and its class `label` (< 0: none known), as a
 * new reference; NULL if there is none or not a whole one. Fails when it is of another image, class or computation.
 * *unsaid gets the fields added that a result of an earlier version does not say. */
psal_status psal_explain_finished(const psal_explainer *explainer, const char *path, const char *image, int label,
                                  json_t **result, psal_fields *unsaid, psal_error *err);
/* Fails when sample `index` is another image now than the one of that result, in the file `path`; a result of an
 * earlier version does not say: then
 * *unsaid gets one more. */
psal_status psal_explain_same_image(const json_t *result, const char *path, const psal_dataset *samples, size_t index,
                                    size_t *unsaid, psal_error *err);

#endif
