#include "tools/class_output.h"

#include "io/json_output.h"
#include "tools/options.h"

void psal_csv_class(psal_csv_writer *csv, const psal_labels *labels, int index) {
    if (index < 0)
        psal_csv_text(csv, NULL);
    else
        psal_csv_int(csv, index);
    psal_csv_text(csv, index < 0 ? NULL : psal_labels_name(labels, index));
}

json_t *psal_class_json(const psal_labels *labels, int index) {
    return index < 0
               ? json_null()
               : json_pack("{s:i, s:o}", "index", index, "name", psal_json_string(psal_labels_name(labels, index)));
}

const char *psal_class_text(const psal_labels *labels, int index, char number[16]) {
    psal_error unused = PSAL_ERROR_INIT;
    int found = -1;
    snprintf(number, 16, "%d", index);
    if (psal_labels_parse(labels, number, &found, &unused) == PSAL_OK && found == index) return number;
    const char *name = psal_labels_have_names(labels) ? psal_labels_name(labels, index) : NULL;
    return name && psal_labels_parse(labels, name, &found, &unused) == PSAL_OK && found == index ? name : NULL;
}

void psal_write_option(FILE *out, const char *name, const char *value) {
    fputs(" ", out);
    fputs(name, out);
    fputs(*value == '-' ? "=" : " ", out);
    psal_write_word(out, value);
}

void psal_write_class(FILE *out, const char *name, const psal_labels *labels, int index) {
    static const char *const prefixes[] = {"", "name:", "", "number:"};
    enum { FORMS = sizeof prefixes / sizeof prefixes[0], NUMBERS = 2 };
    char number[16], text[1100]; /* a name has at most 1000 bytes */
    snprintf(number, sizeof number, "%d", index);
    /* The first that means this class; the last one always does. */
    for (int i = psal_labels_have_names(labels) ? 0 : NUMBERS; i < FORMS; i++) {
        int found = -1;
        psal_error unused = PSAL_ERROR_INIT;
        snprintf(text, sizeof text, "%s%s", prefixes[i], i < NUMBERS ? psal_labels_name(labels, index) : number);
        if (psal_labels_parse(labels, text, &found, &unused) == PSAL_OK && found == index) break;
    }
    psal_write_option(out, name, text);
}
