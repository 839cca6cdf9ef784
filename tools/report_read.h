/* report_read.h - reading the results of a report back. */
#ifndef PSAL_TOOLS_REPORT_READ_H
#define PSAL_TOOLS_REPORT_READ_H

#include <jansson.h>
#include <math.h>

/* A number of an object; NAN where it is null or not there. */
static inline double psal_read_number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* A text; "" where there is none. */
static inline const char *psal_read_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

#endif
