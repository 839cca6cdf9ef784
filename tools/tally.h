/* tally.h - whether the predictions of a list have to do with its labels at all. Labels numbered from 1, another data
 * set's, a wrong preprocessing or a network that only looks like the one that it is taken for: none of them is an
 * error, and each shows here. */
#ifndef PSAL_TOOLS_TALLY_H
#define PSAL_TOOLS_TALLY_H

#include <stdbool.h>
#include <stdint.h>

/* Of labelled samples. Zero-initialise. */
typedef struct psal_tally {
    int64_t count, correct;
    int64_t below, above; /* predicted is the label - 1, the label + 1 */
    int classes;          /* one more than the largest label or prediction */
} psal_tally;

void psal_tally_add(psal_tally *tally, int label, int predicted);

/* The first of the two below alone, for who says the second in words of his own. */
bool psal_tally_shifted(const psal_tally *tally, char text[300]);

/* Whether something is to be said, in words that stand in `text`:
 * - of 20 samples and more, most predictions are the label - 1, or most are the label + 1 (of more than two classes);
 * - of 100 and more, as few are right as by guessing: n / classes, up to three (below) and two (above) deviations,
 *   sqrt(n / classes). Still fewer are no accident, but a list of chosen mistakes. */
bool psal_tally_doubt(const psal_tally *tally, char text[300]);

#endif
