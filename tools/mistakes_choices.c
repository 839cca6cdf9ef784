/* Which filters of a mistake are changed, and how many: what --choices and --k say. */
#include <stdlib.h>
#include <string.h>

#include "tools/mistakes.h"

static psal_status parse_list(const char *text, psal_choice *choices, int *count, psal_error *err) {
    *count = 0;
    while (*text) {
        size_t length = strcspn(text, ",");
        int found = -1;
        for (int c = 0; c < PSAL_CHOICE_COUNT; c++) {
            const char *name = psal_choice_name((psal_choice)c);
            if (strlen(name) == length && strncmp(name, text, length) == 0) found = c;
        }
        if (found < 0)
            return psal_fail(
                err, PSAL_ERR_ARGUMENT,
                "'%.*s' is no way to choose filters: salient, random, random-same-layers, least, naive, salient-abs, "
                "least-abs, gradient-weight or all",
                (int)(length > 100 ? 100 : length), text);
        for (int i = 0; i < *count; i++)
            if ((int)choices[i] == found)
                return psal_fail(err, PSAL_ERR_ARGUMENT, "'%s' is named twice", psal_choice_name((psal_choice)found));
        choices[(*count)++] = (psal_choice)found;
        text += length + (text[length] == ',');
    }
    return *count ? PSAL_OK : psal_fail(err, PSAL_ERR_ARGUMENT, "expected a list of ways to choose filters");
}

psal_status psal_parse_choices(const psal_options *options, psal_choice *choices, int *count, psal_error *err) {
    psal_status status = parse_list(psal_options_string(options, "choices"), choices, count, err);
    for (int i = 0; i < *count && status == PSAL_OK; i++)
        if (choices[i] == PSAL_CHOICE_ALL && psal_options_given(options, "layers"))
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "all is of every layer: it does not go with --layers");
    return status == PSAL_OK ? status : psal_fail_prefix(err, "--choices");
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

bool psal_choices_one_edit(const psal_options *options, const psal_choice *choices, int count, bool largest) {
    size_t k_count;
    const int64_t *k = psal_options_ints(options, "k", &k_count);
    bool one = count == 1;
    for (size_t i = 1; i < k_count && one && !largest; i++) one = choices[0] == PSAL_CHOICE_ALL || k[i] == k[0];
    return one;
}

bool psal_choices_have(const psal_choice *choices, int count, psal_choice choice) {
    for (int i = 0; i < count; i++)
        if (choices[i] == choice) return true;
    return false;
}

int64_t *psal_mistakes_k_values(const psal_mistakes *mistakes, const psal_options *options, const psal_choice *choices,
                                int choice_count, int *count, psal_error *err) {
    size_t given;
    const int64_t *list = psal_options_ints(options, "k", &given);
    const bool *live = choice_count == 1 && choices[0] == PSAL_CHOICE_ALL ? NULL : mistakes->live;
    int64_t most = psal_choosable(mistakes->session->model, mistakes->units, live),
            *k = malloc((given + 1) * sizeof *k);
    *count = 0;
    if (!k) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a list of %zu numbers", given);
        return NULL;
    }
    memcpy(k, list, given * sizeof *k);
    if (choice_count == 1 && choices[0] == PSAL_CHOICE_ALL && !psal_options_given(options, "k")) {
        k[0] = most;
        given = 1;
    }
    qsort(k, given, sizeof *k, ascending);
    for (size_t i = 0; i < given; i++) {
        if (k[i] > most && psal_options_given(options, "k")) {
            psal_fail(err, PSAL_ERR_ARGUMENT, "--k %lld: %s has %lld %s%s that can be chosen", (long long)k[i],
                      mistakes->session->info->arch, (long long)most, psal_units_name(mistakes->units),
                      *mistakes->layers ? " in --layers" : "");
            free(k);
            return NULL;
        }
        if (k[i] <= most && (*count == 0 || k[i] != k[*count - 1])) k[(*count)++] = k[i];
    }
    return k;
}

const char *psal_choice_word(int index) {
    return index < PSAL_CHOICE_COUNT ? psal_choice_name((psal_choice)index) : NULL;
}
