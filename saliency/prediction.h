/* prediction.h - what logits say: the predicted class, the runner-up, confidences. */
#ifndef PSAL_SALIENCY_PREDICTION_H
#define PSAL_SALIENCY_PREDICTION_H

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The class of the largest of logits[classes], the first one on ties; `except` (-1: none) is left out. -1 when none is
 * left. With except = label: the class that the label is to be told from, the predicted one or the runner-up. */
int psal_predicted_class(const float *logits, int classes, int except);
/* exp(z_i) / sum exp(z), in double: all of them, or that of class `index`. */
void psal_confidences(const float *logits, int classes, double *confidences);
double psal_confidence(const float *logits, int classes, int index);
/* -log softmax(z)[label] in double, exact also where the confidence is nearly 1. */
double psal_cross_entropy_loss(const float *logits, int classes, int label);
/* PSAL_ERR_NUMERIC, naming it, when one of logits[images, classes] is NaN or infinite. */
psal_status psal_check_logits(const float *logits, int images, int classes, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
