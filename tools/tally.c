#include "tools/tally.h"

#include <math.h>
#include <stdio.h>

void psal_tally_add(psal_tally *tally, int label, int predicted) {
    const int larger = label > predicted ? label : predicted;
    tally->count++;
    tally->correct += predicted == label;
    tally->below += predicted == label - 1;
    tally->above += predicted == label + 1;
    if (larger >= tally->classes) tally->classes = larger + 1;
}

bool psal_tally_shifted(const psal_tally *t, char text[300]) {
    const int64_t beside = t->below > t->above ? t->below : t->above;
    if (t->count < 20 || t->classes <= 2 || 2 * beside <= t->count) return false;
    snprintf(text, 300,
             "%lld of %lld predicted classes are the label %c 1: are labels and classes numbered from the same "
             "number on?",
             (long long)beside, (long long)t->count, t->below > t->above ? '-' : '+');
    return true;
}

bool psal_tally_doubt(const psal_tally *t, char text[300]) {
    if (psal_tally_shifted(t, text)) return true;
    if (t->count < 100 || t->classes < 2) return false;
    const double guessed = (double)t->count / t->classes, correct = (double)t->correct;
    if (correct > guessed + 2 * sqrt(guessed) || correct < guessed - 3 * sqrt(guessed)) return false;
    snprintf(
        text, 300,
        "%lld of %lld are right, as few as by guessing: unless mistakes were chosen, the labels, the preprocessing "
        "or the network are not those that belong together",
        (long long)t->correct, (long long)t->count);
    return true;
}
