/* options_value.c - from the text of an option's value to a checked value. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/spelling.h"
#include "tools/options_value.h"

/* A list may not hold more numbers than this; "1-999999999" is a slip. */
enum { LONGEST_LIST = 1000000 };

static psal_status out_of_memory(const char *shown, psal_error *err) {
    return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", shown);
}

static psal_status add_text(psal_setting *setting, const char *shown, const char *text, size_t length,
                            psal_error *err) {
    char **texts = realloc(setting->texts, (setting->text_count + 1) * sizeof *texts);
    if (texts) setting->texts = texts;
    char *copy = texts ? strndup(text, length) : NULL;
    if (!copy) return out_of_memory(shown, err);
    setting->texts[setting->text_count++] = copy;
    return PSAL_OK;
}

/* Both number types have eight bytes. */
static psal_status add_number(psal_setting *setting, const char *shown, const void *number, psal_error *err) {
    if (setting->number_count >= LONGEST_LIST)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: a list of more than %d numbers", shown, LONGEST_LIST);
    size_t count = setting->number_count;
    if ((count & (count - 1)) == 0) { /* grow at 0, 1, 2, 4, 8, ... */
        void *numbers = realloc(setting->numbers, (count ? 2 * count : 1) * sizeof(int64_t));
        if (!numbers) return out_of_memory(shown, err);
        setting->numbers = numbers;
    }
    memcpy((char *)setting->numbers + count * sizeof(int64_t), number, sizeof(int64_t));
    setting->number_count++;
    return PSAL_OK;
}

_Static_assert(sizeof(int64_t) == sizeof(double), "lists hold either in the same memory");

/* "a whole number from 1 to 10", "a number above or equal to 0", ... */
static const char *wanted(const psal_option *option, char text[160]) {
    bool whole = option->kind == PSAL_OPTION_INT || option->kind == PSAL_OPTION_INTS;
    const char *what = whole ? "a whole number" : "a number";
    char low[PSAL_NUMBER_SIZE], high[PSAL_NUMBER_SIZE];
    psal_format_double(option->minimum, low);
    psal_format_double(option->maximum, high);
    bool limited = option->minimum != 0 || option->maximum != 0;
    if (limited && isfinite(option->minimum) && isfinite(option->maximum))
        snprintf(text, 160, "%s from %s to %s", what, low, high);
    else if (limited && isfinite(option->minimum))
        snprintf(text, 160, "%s, at least %s", what, low);
    else if (limited && isfinite(option->maximum))
        snprintf(text, 160, "%s, at most %s", what, high);
    else
        snprintf(text, 160, "%s", what);
    return text;
}

static psal_status fail_number(const psal_option *option, const char *shown, const char *text, psal_error *err) {
    char expected[160];
    return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: invalid value \"%.200s\", expected %s", shown, text,
                     wanted(option, expected));
}

static bool in_limits(const psal_option *option, double value) {
    if (option->minimum == 0 && option->maximum == 0) return true;
    return value >= option->minimum && value <= option->maximum;
}

static psal_status add_int(psal_setting *setting, const psal_option *option, const char *shown, const char *text,
                           psal_error *err) {
    int64_t value;
    if (!psal_parse_int64(text, &value) || !in_limits(option, (double)value))
        return fail_number(option, shown, text, err);
    return add_number(setting, shown, &value, err);
}

static psal_status add_double(psal_setting *setting, const psal_option *option, const char *shown, const char *text,
                              psal_error *err) {
    double value;
    if (!psal_parse_double(text, &value) || !isfinite(value) || !in_limits(option, value))
        return fail_number(option, shown, text, err);
    return add_number(setting, shown, &value, err);
}

/* "10-20" or "10:20" or "10:20:5": first, last (included when the steps meet it) and step. */
static psal_status add_range(psal_setting *setting, const psal_option *option, const char *shown, char *text,
                             psal_error *err) {
    int64_t part[3] = {0, 0, 1};
    char kept[64];
    snprintf(kept, sizeof kept, "%s", text);
    char *colon = strchr(text, ':'), *gap = colon;
    if (!gap && *text) gap = strchr(text + 1, '-');
    bool good = gap != NULL;
    char *second = good ? gap + 1 : NULL, *step = colon ? strchr(colon + 1, ':') : NULL;
    if (good) *gap = 0;
    if (step) *step = 0;
    good = good && psal_parse_int64(text, &part[0]) && psal_parse_int64(second, &part[1]) &&
           (!step || psal_parse_int64(step + 1, &part[2]));
    good = good && part[0] <= part[1] && part[2] >= 1 && in_limits(option, (double)part[0]) &&
           in_limits(option, (double)part[1]);
    if (!good) {
        char expected[160];
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s: invalid part \"%s\" of a list, expected %s, or a range FIRST-LAST or "
                         "FIRST:LAST:STEP",
                         shown, kept, wanted(option, expected));
    }
    for (int64_t value = part[0];; value += part[2]) {
        psal_status status = add_number(setting, shown, &value, err);
        if (status) return status;
        if (part[1] - value < part[2]) return PSAL_OK; /* also where value + step would overflow */
    }
}

static psal_status add_list(psal_setting *setting, const psal_option *option, const char *shown, const char *text,
                            psal_error *err) {
    char *copy = strdup(text);
    if (!copy) return out_of_memory(shown, err);
    psal_status status = PSAL_OK;
    char *rest = copy;
    while (!status) {
        char *comma = strchr(rest, ',');
        if (comma) *comma = 0;
        int64_t single;
        if (psal_parse_int64(rest, &single))
            status = add_int(setting, option, shown, rest, err);
        else
            status = add_range(setting, option, shown, rest, err);
        if (!comma) break;
        rest = comma + 1;
    }
    free(copy);
    return status;
}

static psal_status add_choice(psal_setting *setting, const psal_option *option, const char *shown, const char *text,
                              psal_error *err) {
    size_t length = strlen(text);
    const char *found = NULL, *nearest = NULL;
    size_t found_length = 0, nearest_length = 0, nearest_distance = psal_spelling_tolerance(text);
    int index = 0, matches = 0;
    bool exact = false;
    for (const char *choice = option->choices;; index++) {
        size_t choice_length = strcspn(choice, "|");
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)choice_length, choice);
        size_t distance = psal_edit_distance(text, word);
        if (distance <= nearest_distance) {
            nearest_distance = distance;
            nearest = choice;
            nearest_length = choice_length;
        }
        if (length > 0 && !exact && psal_name_begins(word, text, length)) {
            exact = choice_length == length;
            matches = exact ? 1 : matches + 1;
            found = choice;
            found_length = choice_length;
            setting->choice = index;
        }
        if (!choice[choice_length]) break;
        choice += choice_length + 1;
    }
    if (matches == 1) return add_text(setting, shown, found, found_length, err);
    char list[300];
    size_t used = 0;
    for (const char *p = option->choices; *p && used < sizeof list - 3; p++) {
        list[used++] = *p == '|' ? ',' : *p;
        if (*p == '|') list[used++] = ' ';
    }
    list[used] = 0;
    if (matches > 1) return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: \"%.100s\" fits several of: %s", shown, text, list);
    if (nearest)
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "%s: unknown value \"%.100s\", expected one of: %s; did you mean %.*s?", shown, text, list,
                         (int)nearest_length, nearest);
    return psal_fail(err, PSAL_ERR_ARGUMENT, "%s: unknown value \"%.100s\", expected one of: %s", shown, text, list);
}

psal_status psal_setting_add(psal_setting *setting, const psal_option *option, const char *shown, const char *text,
                             psal_error *err) {
    psal_status status = PSAL_OK;
    switch (option->kind) {
    case PSAL_OPTION_CHOICE:
        return add_choice(setting, option, shown, text, err);
    case PSAL_OPTION_INT:
        status = add_int(setting, option, shown, text, err);
        break;
    case PSAL_OPTION_DOUBLE:
        status = add_double(setting, option, shown, text, err);
        break;
    case PSAL_OPTION_INTS:
        status = add_list(setting, option, shown, text, err);
        break;
    case PSAL_OPTION_PATH:
        if (!*text) status = psal_fail(err, PSAL_ERR_ARGUMENT, "%s: the name is empty", shown);
        break;
    case PSAL_OPTION_STRING:
    case PSAL_OPTION_FLAG:
    case PSAL_OPTION_HEADING:
    case PSAL_OPTION_END:
        break;
    }
    return status ? status : add_text(setting, shown, text, strlen(text), err);
}

void psal_setting_clear(psal_setting *setting) {
    for (size_t i = 0; i < setting->text_count; i++) free(setting->texts[i]);
    free(setting->texts);
    free(setting->numbers);
    *setting = (psal_setting){.choice = -1};
}
