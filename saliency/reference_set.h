/* reference_set.h - which samples of a data set its statistics are made of: what "usual" means for a filter. */
#ifndef PSAL_SALIENCY_REFERENCE_SET_H
#define PSAL_SALIENCY_REFERENCE_SET_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_reference_kind {
    PSAL_REFERENCE_ALL,
    PSAL_REFERENCE_CORRECT,   /* classified as labelled */
    PSAL_REFERENCE_INCORRECT, /* not */
    PSAL_REFERENCE_CLASS      /* whose true class is `label` */
} psal_reference_kind;

typedef struct psal_reference_set {
    psal_reference_kind kind;
    int label;
} psal_reference_set;

bool psal_reference_has(psal_reference_set set, int label, int predicted);

/* As in the record of what was computed: "all", "correct", "incorrect", "class 7". Returns `text`. */
enum { PSAL_REFERENCE_SIZE = 32 };
char *psal_reference_format(psal_reference_set set, char text[PSAL_REFERENCE_SIZE]);
bool psal_reference_parse(const char *text, psal_reference_set *set); /* "" is all; false: it is none of these */
/* For people: "all samples", "samples that are right", "samples of class 7". Returns `text`. */
char *psal_reference_describe(psal_reference_set set, char text[PSAL_REFERENCE_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
