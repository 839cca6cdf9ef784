/* session.h - what every program does first: find the weights, read them, recognise the network, and everything that
 * depends on it (preprocessing, class names, statistics).
 *
 * Programs put PSAL_SESSION_OPTIONS into their option tables, so that the same flags mean the same everywhere. */
#ifndef PSAL_TOOLS_SESSION_H
#define PSAL_TOOLS_SESSION_H

#include "io/labels.h"
#include "io/notes.h"
#include "io/preprocess.h"
#include "models/model.h"
#include "saliency/standardize.h"
#include "saliency/statistics.h"
#include "tools/options.h"

#define PSAL_VERSION "0.1.0"
#define PSAL_MANY_SAMPLES 32 /* so many for one worker, and large pages pay (psal_saliency_options.brief) */

/* The rows about the network, for a program's option table. */
#define PSAL_SESSION_OPTIONS                                                                                           \
    {PSAL_OPTION_HEADING, .help = "The network"},                                                                      \
        {PSAL_OPTION_PATH,                                                                                             \
         "weights",                                                                                                    \
         'w',                                                                                                          \
         "FILE",                                                                                                       \
         NULL,                                                                                                         \
         "Checkpoint: .safetensors, .pth, .npz, or a TensorFlow.js model.json. Without it, the small ResNet in the "   \
         "box "                                                                                                        \
         "(Fashion-MNIST), or with --model a file that weights/fetch has put into the cache.",                         \
         .alias = NULL},                                                                                               \
        {PSAL_OPTION_PATH,                                                                                             \
         "delta",                                                                                                      \
         0,                                                                                                            \
         "FILE",                                                                                                       \
         NULL,                                                                                                         \
         "Changed filters to apply to the weights (psal-finetune --save-delta).",                                      \
         .repeatable = true},                                                                                          \
        {PSAL_OPTION_STRING,                                                                                           \
         "model",                                                                                                      \
         'm',                                                                                                          \
         "NAME",                                                                                                       \
         NULL,                                                                                                         \
         "Architecture (resnet50, vgg19, densenet121, inception_v3, ...). Recognised from the checkpoint if not "      \
         "given.",                                                                                                     \
         .alias = NULL},                                                                                               \
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
         .help = "Inception-v3: rescale the input as torchvision's pretrained one does."},                             \
        {PSAL_OPTION_STRING,                                                                                           \
         "preprocess",                                                                                                 \
         0,                                                                                                            \
         "TEXT",                                                                                                       \
         NULL,                                                                                                         \
         "torchvision, caffe, inception, or a description such as 'torchvision;resize=342;crop=299'. Recorded in the " \
         "checkpoint or recognised if not given.",                                                                     \
         .alias = NULL},                                                                                               \
        {PSAL_OPTION_STRING,                                                                                           \
         "labels",                                                                                                     \
         0,                                                                                                            \
         "SET",                                                                                                        \
         NULL,                                                                                                         \
         "Class names: imagenet, fashion-mnist, numbers, or a file with one name a line.",                             \
         .alias = NULL},                                                                                               \
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
         "Convolution kernels: fast (Winograd's transforms), accurate (gradients too by small ones only), direct "     \
         "(none), "                                                                                                    \
         "or gemm (im2col and OpenBLAS).",                                                                             \
         .choices = "fast|accurate|direct|gemm"},                                                                      \
        {PSAL_OPTION_INT, "memory-limit",    0, "MIB", NULL, "Refuse to use more working memory than this.",           \
         .minimum = 1,    .maximum = 1 << 30},                                                                         \
    {                                                                                                                  \
        PSAL_OPTION_FLAG, "quiet", 'q', .help = "Print results and errors only."                                       \
    }

/* The row that chooses statistics, for programs that standardize. */
#define PSAL_STATISTICS_OPTIONS                                                                                       \
    {                                                                                                                 \
        PSAL_OPTION_PATH, "stats", 's', "FILE", NULL,                                                                 \
            "Statistics of the naive saliency over a data set (psal-stats, or the original authors' .pth). Found by " \
            "the "                                                                                                    \
            "weights for the networks in the box and the fetched ones.",                                              \
            .alias = NULL                                                                                             \
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
    size_t memory_limit; /* bytes, 0: none */
    psal_conv2d_method method;
    bool quiet, in_the_box; /* in_the_box: neither --weights nor --model was given */
    psal_notes notes;       /* for the user, on standard error unless quiet: psal_session_print_notes */
} psal_session;

psal_status psal_session_open(psal_session *session, const psal_options *options, psal_error *err);
void psal_session_close(psal_session *session); /* zeroed is fine */
void psal_session_print_notes(psal_session *session, const char *program);

/* The statistics that --stats names, or that lie in the box or the cache for these weights. Fails when there are none, or
 * they belong to something else. *path_out (may be NULL) tells where they were found. */
psal_statistics *psal_session_statistics(psal_session *session, const psal_options *options,
                                         const psal_saliency_options *saliency, int64_t length, bool normalized,
                                         char path_out[4096], psal_error *err);
/* The same from the file `path`. */
psal_statistics *psal_session_statistics_file(psal_session *session, const char *path,
                                              const psal_saliency_options *saliency, int64_t length, bool normalized,
                                              psal_error *err);

/* A file in the box: in the folder that the environment's PSAL_BOX names, weights/NAME beside the sources, or below the
 * installation's share/psal. Fails when it is not there. */
psal_status psal_box_file(const char *name, char path[4096], psal_error *err);
/* A file in the cache that weights/fetch fills: ${XDG_CACHE_HOME:-~/.cache}/psal/NAME. */
psal_status psal_cache_file(const char *name, char path[4096], psal_error *err);

/* ---- the frame of a main function ---- */

/* Parse; handle --help and --version (then *done is set and the exit status returned in *status). NULL on error, printed. */
psal_options *psal_program_begin(const psal_program *program, int argc, char **argv, bool *done, int *status);
/* Print "psal-run: message" to standard error; returns the exit status 1. */
int psal_program_fail(const psal_program *program, const psal_error *err);

/* Prepare one image of a data set: decoded, resized and cropped pixels (for pictures; may be NULL) and the network's
 * input [3, height, width]. Fails when the result is not the session's size. */
psal_status psal_session_prepare(const psal_session *session, const psal_image *image, psal_image *pixels, float *input,
                                 psal_error *err);

double psal_seconds(void); /* monotonic */

#endif
