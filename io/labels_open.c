/* labels_open.c - label sets by what they are called: a built-in one, or a file. */
#include <string.h>
#include <strings.h>

#include "io/labels.h"
#include "io/labels_internal.h"

const char *psal_labels_built_in(const char *spec) {
    static const char *const sets[][2] = {{"imagenet", "imagenet"},
                                          {"fashion-mnist", "fashion-mnist"},
                                          {"fashion_mnist", "fashion-mnist"},
                                          {"numbers", "numbers"}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strcasecmp(spec, sets[i][0]) == 0) return sets[i][1];
    return NULL;
}

psal_labels *psal_labels_open(const char *spec, int class_count, psal_error *err) {
    psal_labels *labels;
    if (spec && *spec == '[') {
        labels = psal_labels_of_json(spec, strlen(spec), class_count, err);
        if (!labels) psal_fail_prefix(err, "the list of class names");
        return labels;
    }
    bool by_count = !spec || !*spec;
    const char *set = by_count ? class_count == PSAL_IMAGENET_CLASSES ? "imagenet" : "numbers"
                               : psal_labels_built_in(spec);
    if (set && strcmp(set, "imagenet") == 0)
        labels = psal_labels_imagenet(err);
    else if (set && strcmp(set, "numbers") == 0)
        labels = psal_labels_numbered(class_count, err);
    else if (set)
        labels = psal_labels_fashion_mnist(err);
    else
        labels = psal_labels_load(spec, err);
    const int count = labels ? psal_labels_count(labels) : 0;
    if (count > 0 && class_count > 0 && count != class_count) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "label set %s has %d name%s, but the network %d class%s", spec, count,
                  count == 1 ? "" : "s", class_count, class_count == 1 ? "" : "es");
        psal_labels_free(labels);
        return NULL;
    }
    return labels;
}
