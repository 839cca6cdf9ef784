#include "saliency/prediction.h"

#include <math.h>
#include <stddef.h>

int psal_predicted_class(const float *logits, int classes, int except) {
    int best = -1;
    for (int i = 0; i < classes; i++)
        if (i != except && (best < 0 || logits[i] > logits[best])) best = i;
    return best;
}

void psal_confidences(const float *logits, int classes, double *confidences) {
    const double largest = logits[psal_predicted_class(logits, classes, -1)];
    double sum = 0;
    for (int i = 0; i < classes; i++) sum += confidences[i] = exp((double)logits[i] - largest);
    for (int i = 0; i < classes; i++) confidences[i] /= sum;
}

double psal_confidence(const float *logits, int classes, int index) {
    const double largest = logits[psal_predicted_class(logits, classes, -1)];
    double sum = 0;
    for (int i = 0; i < classes; i++) sum += exp((double)logits[i] - largest);
    return exp((double)logits[index] - largest) / sum;
}

double psal_cross_entropy_loss(const float *logits, int classes, int label) {
    const double largest = logits[psal_predicted_class(logits, classes, -1)];
    double others = 0; /* without the label's own exp(0) where that is the largest: log1p adds it */
    for (int i = 0; i < classes; i++)
        if (i != label) others += exp((double)logits[i] - largest);
    const double below = largest - logits[label];
    return below > 0 ? below + log(others + exp(-below)) : log1p(others);
}

psal_status psal_check_logits(const float *logits, int images, int classes, psal_error *err) {
    for (int n = 0; n < images; n++)
        for (int i = 0; i < classes; i++) {
            const double z = logits[(size_t)n * (size_t)classes + (size_t)i];
            if (!isfinite(z))
                return psal_fail(err, PSAL_ERR_NUMERIC, "the logit of class %d (image %d) is not finite", i, n);
        }
    return PSAL_OK;
}
