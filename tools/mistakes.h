/* mistakes.h - what psal-prune, psal-finetune and psal-check share: the mistakes to experiment on, samples that are
 * right, and what each thread needs to run the experiments. */
#ifndef PSAL_TOOLS_MISTAKES_H
#define PSAL_TOOLS_MISTAKES_H

#include "io/csv.h"
#include "io/dataset.h"
#include "io/profile_store.h"
#include "io/progress.h"
#include "saliency/choose.h"
#include "saliency/classifier.h"
#include "saliency/edit.h"
#include "saliency/variants.h"
#include "tools/sampling.h"
#include "tools/session.h"
#include "tools/skipped.h"

#define PSAL_MISTAKES_OPTIONS                                                                                   \
    {PSAL_OPTION_HEADING, .help = "Which mistakes"}, {PSAL_OPTION_PATH,                                         \
                                                      "image-path",                                             \
                                                      'i',                                                      \
                                                      "FILE",                                                   \
                                                      NULL,                                                     \
                                                      "One JPEG, PNG or WebP photo.",                           \
                                                      .files = PSAL_IMAGE_FILES},                               \
        {PSAL_OPTION_STRING,                                                                                    \
         "image-target-label",                                                                                  \
         'l',                                                                                                   \
         "CLASS",                                                                                               \
         NULL,                                                                                                  \
         "The true class of --image-path: number, name or WordNet id.",                                         \
         .alias = NULL},                                                                                        \
        {PSAL_OPTION_STRING,                                                                                    \
         "data",                                                                                                \
         'd',                                                                                                   \
         "SET",                                                                                                 \
         NULL,                                                                                                  \
         "All mistakes of a data set: a folder of class folders, a list path,label (.csv), idx:IMAGES,LABELS.", \
         .yields_to = "image-path",                                                                             \
         .files = PSAL_ANY_FILE},                                                                               \
        PSAL_SAMPLING_OPTIONS("mistakes"), PSAL_SKIP_BAD_OPTION, {                                              \
        PSAL_OPTION_INT, "seed", 0, "N", "1", "Of everything random.", .minimum = 0, .maximum = 9e15            \
    }

/* How many that are right tell what else changes, where --data is given beside --image-path and --right is not. */
enum { PSAL_RIGHT_BESIDE = 100 };
/* For psal_mistakes_needs.right. */
#define PSAL_RIGHT_OPTION                                                                                      \
    {                                                                                                          \
        PSAL_OPTION_INT, "right", 0, "N", "0",                                                                 \
            "Also run N samples of the data set that are right, drawn at random (--seed) and spread over the " \
            "classes as all that are right, and count how many break. With --image-path and --data 100.",      \
            .minimum = 0, .maximum = 1e6                                                                       \
    }

/* For the heading "How". */
#define PSAL_UNITS_OPTION                                                                                              \
    {                                                                                                                  \
        PSAL_OPTION_CHOICE, "aggregation", 0, NULL, "filter",                                                          \
            "What is ranked and changed: filters of the convolutions, or rows of the weights of all convolutions and " \
            "linear layers.",                                                                                          \
            .choices = "filter|row"                                                                                    \
    }

/* For psal_mistakes_needs.ranking: what is known of the data set already, */
#define PSAL_STORE_OPTION                                                                                         \
    {                                                                                                             \
        PSAL_OPTION_PATH, "store", 0, "FILE.npy", NULL,                                                           \
            "Profiles and predictions of --data, which psal-stats --profiles made: they are not computed again.", \
            .companion = ".csv", .yields_to = "image-path|data"                                                   \
    }

/* and, for the heading "How", what the choice goes by. */
#define PSAL_RANKING_OPTIONS                                                                                           \
    {PSAL_OPTION_STRING, "layers", 0,                                                                                  \
     "PREFIX",           NULL,     "Choose only among the filters, or rows, of layers whose name begins so (layer4).", \
     .repeatable = true},                                                                                              \
        {PSAL_OPTION_FLAG, "signed", .help = "Rank by profiles that keep the sign of the gradients."},                 \
        {PSAL_OPTION_FLAG, "logit", .help = "Rank by profiles of the label's logit instead of the cross-entropy."}, {  \
        PSAL_OPTION_FLAG, "logit-difference",                                                                          \
            .help = "Rank by profiles of the predicted class's logit (or the runner-up's) minus the label's."          \
    }

/* psal_choice_name, and NULL behind the last: psal_option.names of --choices. */
const char *psal_choice_word(int index);

typedef struct psal_subject {
    size_t index; /* of the sample: psal_mistakes_name */
    int label, predicted;
    int rival;         /* the class that the label is to be told from: the predicted one or the runner-up */
    double confidence; /* of the predicted class */
    bool skipped;      /* could not be read: it is neither right nor a mistake */
    bool itself; /* the picture of --image-path once more, in the data set beside it: nothing else that could change */
} psal_subject;

typedef struct psal_mistakes {
    psal_session *session;
    psal_dataset *dataset;    /* of the subjects: the data set, or one image; */
    psal_dataset *beside;     /* behind it, the data set that tells what else changes for these; or NULL */
    size_t named;             /* so many of `dataset` are subjects because the user named them, mistakes or not */
    psal_profile_store store; /* of the data set; zeroed: none */
    bool skip_bad;
    psal_skipped skipped; /* images of the data set that could not be read */
    int classes;
    psal_units units; /* what is ranked and changed: below, "filters" are rows where these are */
    int64_t filters;  /* length of the profiles */
    psal_saliency *saliency;
    psal_loss loss; /* of the profiles, and */
    bool is_signed;
    psal_mode mode;        /* PSAL_MODE_STD or PSAL_MODE_POT */
    psal_saliency *change; /* of the first-order changes of the loss; NULL where nothing is chosen by them */
    psal_statistics *statistics;
    bool *live; /* [filters]: which can be chosen (psal_saliency_live, psal_statistics_rankable, --layers) */
    char layers[PSAL_FIELD_SIZE]; /* of which layers only, as recorded; "": of all */
    psal_classifier *classifier;
    psal_variants *variants; /* psal-prune's; NULL where filters are not just switched off */
    psal_subject *subjects;  /* what was named, and the mistakes */
    size_t subject_count;
    float **right; /* [right_count] prepared images of samples that are right, and */
    int *right_labels;
    size_t *right_index;
    int right_count;
    psal_sampling sampling;
    char sampled[PSAL_FIELD_SIZE]; /* how the mistakes were chosen, as recorded, */
    size_t found;                  /* of so many */
    int workers;                   /* experiments at once */
} psal_mistakes;

typedef struct psal_mistakes_needs {
    bool in_parts;       /* see psal_classifier_options */
    bool input_saliency; /* of `saliency`: heat maps too */
    bool ranking;        /* the program has PSAL_RANKING_OPTIONS */
    bool beside;         /* --data may stand beside --image-path, for what else changes: */
    bool others;         /* its mistakes too, which are subjects behind the image */
    const char *group;   /* or beside this list, whose mistakes are the subjects; NULL: there is none */
    bool change;         /* workers have the first-order changes of the loss too */
    int64_t right;       /* samples that are right to keep, at most */
    int64_t choose;      /* filters that there must be to choose from, since */
    const char *option;  /* this option says so: "filters"; NULL: one */
} psal_mistakes_needs;

/* What is wrong about them whatever the network is: before it is read. group: the mistakes are those of a list. */
psal_status psal_mistakes_check_options(const psal_options *options, bool group, psal_error *err);

/* Find the samples that the options name. The session is open and outlives them. */
psal_status psal_mistakes_open(psal_mistakes *mistakes, psal_session *session, const psal_options *options,
                               const psal_mistakes_needs *needs, psal_error *err);
void psal_mistakes_close(psal_mistakes *mistakes); /* zeroed is fine */

/* The options of the profiles, for the record of what is computed. */
psal_saliency_options psal_mistakes_profile(const psal_mistakes *mistakes);
/* The fields of the mode and of its statistics. */
void psal_mistakes_record(const psal_mistakes *mistakes, psal_computation *computation);
/* What results depend on besides the program's own options; and as JSON (new reference; NULL when out of memory). */
void psal_mistakes_computation(const psal_mistakes *mistakes, const psal_options *options,
                               psal_computation *computation);
json_t *psal_mistakes_settings(const psal_mistakes *mistakes, const psal_options *options);
/* psal_skipped_finish for the images of the data set. */
int psal_mistakes_finish(const psal_mistakes *mistakes, const char *program, psal_status status, psal_error *err);

/* Who made the one mistake, or how many there are: a line on standard output. */
void psal_mistakes_print(const psal_mistakes *mistakes);

/* What one thread needs. */
typedef struct psal_mistakes_worker {
    const psal_mistakes *mistakes;
    psal_saliency_worker *saliency;
    psal_saliency_worker *change_saliency; /* NULL where there are no changes */
    psal_classifier_worker *classifier;
    psal_variants_worker *variants; /* NULL where there are no variants */
    psal_edit *edit;
    float *image;            /* [channels, height, width], and its */
    float *naive;            /* [filters] */
    double *standardized;    /* [filters] */
    float *change;           /* [filters]: of the loss without the filter, to first order; or NULL */
    psal_progress *progress; /* moved by the work, part by part, where there is one subject; NULL elsewhere */
} psal_mistakes_worker;

/* Load a subject's image and make its profile. */
psal_status psal_mistakes_worker_load(psal_mistakes_worker *worker, const psal_subject *subject, psal_error *err);
/* Only its profile, naive and standardized. */
psal_status psal_mistakes_worker_profile(psal_mistakes_worker *worker, const psal_subject *subject, psal_error *err);

/* The seed of what is random about sample `index`: --seed's, and no other sample's. */
static inline uint64_t psal_subject_seed(const psal_options *options, size_t index) {
    return (uint64_t)psal_options_int(options, "seed") * 1000003u + index;
}

/* Samples are numbered through `dataset` and `beside`. */
size_t psal_mistakes_sample_count(const psal_mistakes *mistakes);
const char *psal_mistakes_name(const psal_mistakes *mistakes, size_t index);
int psal_mistakes_label(const psal_mistakes *mistakes, size_t index);

/* Load and prepare sample `index`: image[channels, height, width]. */
psal_status psal_mistakes_image(const psal_mistakes *mistakes, size_t index, float *image, psal_error *err);

typedef psal_status (*psal_mistakes_work)(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err);

/* What is done over all subjects, as its progress is told. */
typedef struct psal_mistakes_steps {
    const char *label; /* what is counted: "mistakes" */
    char each[160];    /* what is done for each: "5 choices x 10 k"; "": nothing to be said */
    /* Of how many parts the work on one consists, and what they are called: where there is only one subject, the work
     * counts them. 0: that is not told. */
    int64_t parts;
    const char *part_label;
    const bool *left_out; /* [subjects]: those on which nothing is done; NULL: there are none */
} psal_mistakes_steps;

/* "5 choices x 10 k x 101 images, random ones 3 times": each choice and k is run on so many images, and drawn so often
 * where it is random. */
void psal_mistakes_say_each(psal_mistakes_steps *steps, int choices, int k, int draws, int images);

/* Call work(data, worker, i) for every subject i that is not left out, several at once. The first error ends it; its
 * message names the sample. */
psal_status psal_mistakes_each(const psal_mistakes *mistakes, const psal_mistakes_steps *steps, psal_mistakes_work work,
                               void *data, psal_error *err);

/* ---- mistakes_store.c ---- */

/* Open the store that --store names, if any, and hold it against the data set and what is computed here. */
psal_status psal_mistakes_open_store(psal_mistakes *mistakes, const psal_options *options, psal_error *err);
/* What it says of sample `index`; NULL where there is no store or it does not hold it. */
const psal_profile_record *psal_mistakes_stored(const psal_mistakes *mistakes, size_t index);

/* ---- mistakes_table.c ---- */

/* The columns of a table of samples that say which mistake a row is of: their titles, and their fields. */
void psal_csv_subject_titles(psal_csv_writer *csv);
void psal_csv_subject(psal_csv_writer *csv, const psal_mistakes *mistakes, size_t subject);

/* Print a table's column behind two blanks: a mean in `width`, and in `error_width` " +-" its standard error where that
 * is above 0. sign: "+" in front of positive ones. NAN, which is not measured: "-". */
void psal_print_mean(double mean, double error, bool sign, int width, int error_width, int decimals);
/* A number in a CSV; an empty field where nothing was measured (NAN). */
void psal_csv_measured(psal_csv_writer *csv, double value);

/* The first row of a table (CSV) of means: choice, k, of each column its mean and its standard error, psal_settings. */
void psal_csv_mean_titles(psal_csv_writer *csv, const char *const *columns, int count);

/* ---- mistakes_choices.c ---- */

/* The list that --choices gives, "salient,random": choices[PSAL_CHOICE_COUNT], each at most once. */
psal_status psal_parse_choices(const psal_options *options, psal_choice *choices, int *count, psal_error *err);
/* Whether one edit is asked for, which can be saved: one choice, and one k (`largest`: only the largest counts). */
bool psal_choices_one_edit(const psal_options *options, const psal_choice *choices, int count, bool largest);
bool psal_choices_have(const psal_choice *choices, int count, psal_choice choice);
/* The numbers of --k, ascending, each once; those of the default list that are more than there are filters are left
 * out, and where the only choice is `all` and --k was not given, it is all filters. The caller frees. */
int64_t *psal_mistakes_k_values(const psal_mistakes *mistakes, const psal_options *options, const psal_choice *choices,
                                int choice_count, int *count, psal_error *err);

#endif
