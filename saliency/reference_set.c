#include "saliency/reference_set.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "engine/numbers.h"

static const char *const names[] = {"all", "correct", "incorrect"};
static const char CLASS[] = "class ";

bool psal_reference_has(psal_reference_set set, int label, int predicted) {
    switch (set.kind) {
    case PSAL_REFERENCE_CORRECT:
        return label == predicted;
    case PSAL_REFERENCE_INCORRECT:
        return label != predicted;
    case PSAL_REFERENCE_CLASS:
        return label == set.label;
    default:
        return true;
    }
}

char *psal_reference_format(psal_reference_set set, char text[PSAL_REFERENCE_SIZE]) {
    if (set.kind == PSAL_REFERENCE_CLASS)
        snprintf(text, PSAL_REFERENCE_SIZE, "%s%d", CLASS, set.label);
    else
        snprintf(text, PSAL_REFERENCE_SIZE, "%s", names[set.kind]);
    return text;
}

bool psal_reference_parse(const char *text, psal_reference_set *set) {
    int64_t label;
    *set = (psal_reference_set){PSAL_REFERENCE_ALL, 0};
    if (!*text) return true;
    for (int k = 0; k < PSAL_REFERENCE_CLASS; k++)
        if (strcmp(text, names[k]) == 0) {
            set->kind = (psal_reference_kind)k;
            return true;
        }
    if (strncmp(text, CLASS, strlen(CLASS)) != 0 || !psal_parse_int64(text + strlen(CLASS), &label) || label < 0 ||
        label > INT_MAX)
        return false;
    *set = (psal_reference_set){PSAL_REFERENCE_CLASS, (int)label};
    return true;
}

char *psal_reference_describe(psal_reference_set set, char text[PSAL_REFERENCE_SIZE]) {
    static const char *const what[] = {"all samples", "samples that are right", "samples that are wrong"};
    if (set.kind == PSAL_REFERENCE_CLASS)
        snprintf(text, PSAL_REFERENCE_SIZE, "samples of class %d", set.label);
    else
        snprintf(text, PSAL_REFERENCE_SIZE, "%s", what[set.kind]);
    return text;
}
