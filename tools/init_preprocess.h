/* init_preprocess.h - how images were prepared for a network, found out by trying: psal-init. */
#ifndef PSAL_TOOLS_INIT_PREPROCESS_H
#define PSAL_TOOLS_INIT_PREPROCESS_H

#include "tools/session.h"

#define PSAL_PREPROCESS_TRIALS 64

typedef struct psal_preprocess_trial {
    char text[PSAL_FIELD_SIZE]; /* psal_preprocess_format */
    size_t correct;
    char words[256]; /* psal_preprocess_words */
    bool *right;     /* [samples] */
} psal_preprocess_trial;

typedef struct psal_preprocess_trials {
    psal_preprocess_trial at[PSAL_PREPROCESS_TRIALS]; /* best first, in the order of trying where as many are right */
    int count;
    size_t samples;
    bool stretched;  /* some samples are not square: the size was tried with stretching, too */
    double guessed;  /* share that is right by naming always the commonest class, or any class */
    char doubt[300]; /* that the best one's predictions are the labels one off, if so; else "" */
} psal_preprocess_trials;

/* The common ones for the network's channels: ImageNet's mean and deviation, 0.5 and 0.5, 0 to 1, Caffe's, 0 to 255 (of
 * grey images MNIST's and Fashion-MNIST's, too); in the network's usual size, where samples are not square stretched to
 * it, too, and, where all samples have one other size, in that. If fewer than three in four are right then, or fewer
 * than nine in ten where samples are smaller than the usual size, also in 32, 64, 96 and 128 pixels, where these are no
 * more than twice the usual size, with the middle cut out and resized to exactly that. Of labelled samples; with
 * skip_bad those that cannot be read count as wrong. PSAL_ERR_UNSUPPORTED when the network takes none of the sizes. */
psal_status psal_preprocess_try_common(psal_session *session, const psal_dataset *samples, bool skip_bad,
                                       psal_preprocess_trials *trials, psal_error *err);
/* Only this one (NULL: as the checkpoint says). */
psal_status psal_preprocess_try(psal_session *session, const char *text, const psal_dataset *samples, bool skip_bad,
                                psal_preprocess_trials *trials, psal_error *err);

/* Fails when the best one is no better than guessing (two deviations of the binomial distribution), or, of several, not
 * clearly better than another one: two deviations of the difference, from the samples that only one of both gets right
 * (McNemar 1947). */
psal_status psal_preprocess_judge(const psal_preprocess_trials *trials, psal_error *err);
void psal_preprocess_trials_free(psal_preprocess_trials *trials); /* zeroed is fine */

#endif
