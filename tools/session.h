/* session.h - what every program does first: find the weights, read them, recognise the network, and everything that
 * depends on it (preprocessing, class names, statistics).
 *
 * Programs put PSAL_SESSION_OPTIONS into their option tables, so that the same flags mean the same everywhere. */
#ifndef PSAL_TOOLS_SESSION_H
#define PSAL_TOOLS_SESSION_H

#include "io/dataset.h"
#include "io/labels.h"
#include "io/notes.h"
#include "io/preprocess.h"
#include "models/model.h"
#include "saliency/standardize.h"
#include "saliency/statistics.h"
#include "tools/computation_io.h"
#include "tools/options.h"

#define PSAL_VERSION "0.1.0"
#define PSAL_DEFAULT_WEIGHTS "fashion_resnet18.safetensors" /* in weights/; used where none are given */
/* What is explained and changed when no image is named, in weights/ too, and its class: a coat that those weights take
 * for a pullover (tests/experiments/first_picture.py). */
#define PSAL_DEFAULT_SAMPLE "fashion_samples/coat_called_pullover.png"
#define PSAL_DEFAULT_LABEL "Coat"
#define PSAL_MANY_SAMPLES 32 /* so many for one worker, and large pages pay (psal_saliency_options.few_runs) */

/* The rows about the network, for a program's option table. */
#define PSAL_SESSION_OPTIONS                                                                                           \
    {PSAL_OPTION_HEADING, .help = "The network"},                                                                      \
        {PSAL_OPTION_PATH,                                                                                             \
         "weights",                                                                                                    \
         'w',                                                                                                          \
         "FILE",                                                                                                       \
         NULL,                                                                                                         \
         "Checkpoint: .safetensors, .pth, .npz, .onnx, or a TensorFlow.js model.json. Without it, the small ResNet "   \
         "that comes with psal (Fashion-MNIST), or with --model a file that psal-fetch (in the sources: "              \
         "weights/fetch) has put into the cache.",                                                                     \
         .files = PSAL_WEIGHTS_FILES},                                                                                 \
        {PSAL_OPTION_STRING,                                                                                           \
         "weights-key",                                                                                                \
         0,                                                                                                            \
         "KEY",                                                                                                        \
         NULL,                                                                                                         \
         "Which network of a file that holds several: the key its weights are under ('net_state_dict', "               \
         "'checkpoint.model', '0'), "                                                                                  \
         "or what their names begin with ('backbone.'). Of an ONNX file with several outputs: the one for the "        \
         "classes.",                                                                                                   \
         .alias = NULL},                                                                                               \
        {PSAL_OPTION_PATH,                                                                                             \
         "delta",                                                                                                      \
         0,                                                                                                            \
         "FILE",                                                                                                       \
         NULL,                                                                                                         \
         "Changed filters to apply to the weights (psal-finetune --save-delta).",                                      \
         .repeatable = true},                                                                                          \
        {PSAL_OPTION_STRING,                                                                                           \
         "ignore-extra",                                                                                               \
         0,                                                                                                            \
         "NAME",                                                                                                       \
         NULL,                                                                                                         \
         "A tensor to leave out that no layer of the network takes, or the beginning of names, with its last dot "     \
         "('head2.'), for "                                                                                            \
         "those who know that it has no part in the answer.",                                                          \
         .repeatable = true},                                                                                          \
        {PSAL_OPTION_STRING,                                                                                           \
         "model",                                                                                                      \
         'm',                                                                                                          \
         "NAME",                                                                                                       \
         NULL,                                                                                                         \
         "Architecture (resnet50, vgg19, densenet121, inception_v3, ...). Recognised from the checkpoint if not "      \
         "given.",                                                                                                     \
         .names = psal_model_arch_name},                                                                               \
        {PSAL_OPTION_CHOICE,                                                                                           \
         "variant",                                                                                                    \
         0,                                                                                                            \
         NULL,                                                                                                         \
         NULL,                                                                                                         \
         "Where a ResNet's bottleneck has its stride: v1.5 in the 3x3 (torchvision), v1 in the first 1x1 (Keras, "     \
         "Caffe).",                                                                                                    \
         .choices = "v1.5|v1"},                                                                                        \
        {PSAL_OPTION_DOUBLE, "bn-epsilon", 0, "X", NULL, "Batch-norm epsilon, where the checkpoint does not say.",     \
         .minimum = 1e-12,   .maximum = 1},                                                                            \
        {PSAL_OPTION_FLAG, "transform-input",                                                                          \
         .help = "Inception-v3, GoogLeNet: rescale the input as torchvision's pretrained one does."},                  \
        {PSAL_OPTION_STRING,                                                                                           \
         "preprocess",                                                                                                 \
         0,                                                                                                            \
         "TEXT",                                                                                                       \
         NULL,                                                                                                         \
         "One of torchvision, caffe and inception, a training script's transforms, as 'Resize((64, 64)), ToTensor(), " \
         "Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.3))', or a description, as "                                         \
         "'rgb;resize=64x64;scale=255;mean=0.5,0.4,0.3;std=0.2,0.2,0.3'. Recorded in the checkpoint or recognised if " \
         "not given.",                                                                                                 \
         .known = "torchvision|caffe|inception"},                                                                      \
        {PSAL_OPTION_STRING,                                                                                           \
         "labels",                                                                                                     \
         0,                                                                                                            \
         "SET",                                                                                                        \
         NULL,                                                                                                         \
         "Class names: imagenet, fashion-mnist, numbers, a list as [\"cat\", \"dog\"], or a file: a name a line, a "   \
         "table, JSON, a printed Python list or dictionary, YAML.",                                                    \
         .known = "imagenet|fashion-mnist|numbers",                                                                    \
         .files = PSAL_ANY_FILE},                                                                                      \
        {PSAL_OPTION_HEADING, .help = "Running"},                                                                      \
        {PSAL_OPTION_INT,                                                                                              \
         "threads",                                                                                                    \
         't',                                                                                                          \
         "N",                                                                                                          \
         NULL,                                                                                                         \
         "Threads (all processors if not given). The results do not depend on it.",                                    \
         .minimum = 1,                                                                                                 \
         .maximum = 1024},                                                                                             \
        {PSAL_OPTION_CHOICE,                                                                                           \
         "conv",                                                                                                       \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "fast",                                                                                                       \
         "How gradients are convolved: fast (Winograd's transforms), accurate (small ones only), direct (none), or "   \
         "gemm "                                                                                                       \
         "(OpenBLAS). The forward pass has no transforms: equal windows of the image give equal numbers.",             \
         .choices = "fast|accurate|direct|gemm"},                                                                      \
        {PSAL_OPTION_CHOICE,                                                                                           \
         "processor",                                                                                                  \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "auto",                                                                                                       \
         "Convolve with these instructions instead of the best that this machine has, to compare. Other bits, but "    \
         "for "                                                                                                        \
         "avx2, avx512 and neon (on ARM) in the forward pass.",                                                        \
         .choices = "auto|portable|avx2|avx512|amx|neon"},                                                             \
        {PSAL_OPTION_INT,                                                                                              \
         "memory-limit",                                                                                               \
         0,                                                                                                            \
         "MIB",                                                                                                        \
         NULL,                                                                                                         \
         "Refuse to use more working memory than this. If not given: three quarters of what there is.",                \
         .minimum = 1,                                                                                                 \
         .maximum = 1 << 30},                                                                                          \
    {                                                                                                                  \
        PSAL_OPTION_FLAG, "quiet", 'q', .help = "Print results, warnings and errors only."                             \
    }

/* The row that chooses how profiles of a data set's mistakes are standardized; psal_mode_of reads it. */
#define PSAL_MODE_OPTION                                                                                             \
    {                                                                                                                \
        PSAL_OPTION_CHOICE, "mode", 0, NULL, "std",                                                                  \
            "Standardization: (s - mean) / std, or peaks over threshold: the negative logarithm of the probability " \
            "of so large a saliency (statistics of psal-stats tail).",                                               \
            .choices = "std|pot"                                                                                     \
    }

/* The row that chooses statistics, for programs that standardize. */
#define PSAL_STATISTICS_OPTIONS                                                                                     \
    {                                                                                                               \
        PSAL_OPTION_PATH, "stats", 's', "FILE", NULL,                                                               \
            "Statistics of the naive saliency over a data set (psal-stats, or the original authors' .pth). If not " \
            "given: those for these weights among the files *_stats*.safetensors beside the checkpoint and those "  \
            "that come with psal; with --delta, else those for the weights without it.",                            \
            .files = ".safetensors|.pth"                                                                            \
    }

typedef struct psal_session {
    psal_tensor_map *checkpoint;
    psal_model *model;
    const psal_model_info *info;
    psal_preprocess preprocess;
    psal_labels *labels;
    char weights[4096]; /* path of the checkpoint that was read */
    int height, width;  /* of the network's input */
    int threads;
    size_t memory_limit; /* bytes for the plans of all threads together */
    psal_conv2d_settings conv;
    const char *program;         /* its name, for messages */
    bool quiet, default_network; /* neither --weights nor --model was given */
    bool labels_given;           /* by --labels or the project: what is saved records them */
    bool fetched;                /* by name from the cache: what is known of such files need not be recorded in them */
    bool preprocess_assumed, transform_assumed; /* neither the user nor the file says it; there is a note then */
    psal_computation computation; /* of the network with its deltas, its preprocessing, --conv and --processor */
    psal_notes notes;             /* for the user, on standard error: psal_session_print_notes */
    const psal_tensor_map *given; /* set before the session is opened: the network is these tensors, no file; they
                                     outlive it. NULL: what the options say */
    psal_notes *kept; /* set before the session is opened: the notes go there instead, each once; NULL: printed */
} psal_session;

/* Whether a preprocessing, called `text`, makes images of one size that is large enough for the network. */
psal_status psal_session_check_size(const psal_preprocess *preprocess, const char *text, const psal_model_info *info,
                                    psal_error *err);
psal_status psal_session_open(psal_session *session, const psal_options *options, psal_error *err);
/* The same in three steps, for psal-init, which has to find out the second one: the network; how its images are
 * prepared (NULL: as the checkpoint says, or as torchvision), as often as one likes; and what follows from both.
 * `labels` that are set before the third step stay, and are the session's then. */
psal_status psal_session_open_network(psal_session *session, const psal_options *options, psal_error *err);
psal_status psal_session_set_preprocess(psal_session *session, const char *text, psal_error *err);
psal_status psal_session_describe(psal_session *session, const psal_options *options, psal_error *err);
/* The class that the option's value `text` means: psal_labels_parse, whose error then names the option, and the network
 * whose classes they are. */
psal_status psal_session_class(const psal_session *session, const char *option, const char *text, int *class,
                               psal_error *err);
void psal_session_close(psal_session *session); /* zeroed is fine */
/* The notes so far, which are then gone; with --quiet only the warnings. */
void psal_session_print_notes(psal_session *session, const char *program);

/* What a profile of the session's network is the record of. */
void psal_session_computation(const psal_session *session, const psal_saliency_options *saliency, bool normalized,
                              psal_computation *computation);
/* Write into a checkpoint how its images are prepared and, where the file itself does not say it, what its classes are
 * called. */
psal_status psal_session_record_preprocess(const psal_session *session, psal_tensor_map *checkpoint, psal_error *err);
/* The same for an edited one, and which weights it was made of: their statistics serve it, with a note. */
psal_status psal_session_record_edit(const psal_session *session, psal_tensor_map *checkpoint, psal_error *err);

/* ---- session_statistics.c ---- */

/* What PSAL_MODE_OPTION says. */
psal_mode psal_mode_of(const psal_options *options);

/* The statistics that --stats names, or the best of those that lie in weights/ or beside the weights, or in the cache,
 * for exactly what is computed here. Fails when there are none, or they belong to something else, naming it. *path_out
 * (may be NULL) tells where they were found. */
psal_statistics *psal_session_statistics(psal_session *session, const psal_options *options,
                                         const psal_saliency_options *saliency, int64_t length, bool normalized,
                                         char path_out[4096], psal_error *err);
/* The same for profiles of a mode other than PSAL_MODE_NAIVE: for PSAL_MODE_POT statistics with tails (psal-stats
 * tail), for the others, where --stats names none, only those without: there may be both of the same samples. */
psal_statistics *psal_session_mode_statistics(psal_session *session, const psal_options *options,
                                              const psal_saliency_options *saliency, psal_mode mode, int64_t length,
                                              char path_out[4096], psal_error *err);
/* Notes, quiet or not, where statistics say little: they are of fewer than 100 samples ... */
void psal_note_few_samples(psal_notes *notes, const char *path, int64_t count);
/* ... or of fewer than 500, with those that are explained among them, as far as can be told: from the data set's
 * fingerprint, or because they lie in its folder. */
void psal_note_own_samples(psal_notes *notes, const char *path, const psal_statistics *statistics,
                           const psal_dataset *samples);
/* Statistics from the file `path`, for what is computed `here`. */
psal_statistics *psal_session_statistics_file(const char *path, const psal_computation *here, int64_t length,
                                              psal_notes *notes, psal_error *err);

/* Fails where the statistics from the file `path` are of another reference set than what is `there`, whose name is
 * `other`. */
psal_status psal_session_check_reference(const psal_statistics *statistics, const char *path,
                                         const psal_computation *there, const char *other, psal_error *err);
/* Fails, with what to do, where the statistics from the file `path` have no tails. */
psal_status psal_session_check_tails(const psal_statistics *statistics, const char *path, psal_error *err);

/* A file of weights/, which comes with psal: in the folder that the environment's PSAL_BOX names, weights/NAME beside
 * the sources, or below the installation's share/psal. Fails when it is not there. */
psal_status psal_box_file(const char *name, char path[4096], psal_error *err);
/* A file in the cache that weights/fetch fills: ${XDG_CACHE_HOME:-~/.cache}/psal/NAME. PSAL_ERR_ARGUMENT when it is not
 * there, PSAL_ERR_IO when that cannot be told. */
psal_status psal_cache_file(const char *name, char path[4096], psal_error *err);

/* Prepare one image of a data set: decoded, resized and cropped pixels (for pictures; may be NULL) and the network's
 * input [channels, height, width]. Fails when the result is not the session's size. */
psal_status psal_session_prepare(const psal_session *session, const psal_image *image, psal_image *pixels, float *input,
                                 psal_error *err);

/* The network's input [channels, height, width] of sample `index`. */
psal_status psal_session_load(const psal_session *session, const psal_dataset *samples, size_t index, float *input,
                              psal_error *err);

size_t psal_session_image_size(const psal_session *session); /* channels x height x width */

double psal_seconds(void); /* monotonic */

#endif
