#include "saliency/summary.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"

static const char *const GROUP_NAMES[PSAL_GROUP_COUNT] = {"all", "correct", "incorrect", "predicted"};

psal_summary *psal_summary_new(int64_t length, int64_t first, int64_t end, bool normalized, psal_error *err) {
    if (length < 1 || length > INT64_MAX / 64 || first < 0 || end < first || end - first > INT32_MAX) {
        psal_fail(err, PSAL_ERR_ARGUMENT, "no summary of %lld entries over the samples %lld to %lld", (long long)length,
                  (long long)first, (long long)end);
        return NULL;
    }
    psal_summary *s = calloc(1, sizeof *s);
    if (!s) goto failed;
    *s = (psal_summary){.length = length, .first = first, .next = first, .end = end, .normalized = normalized};
    s->scratch = malloc((size_t)length * sizeof *s->scratch);
    for (int g = 0; g < (length > PSAL_SUMMARY_GROUPS ? 1 : PSAL_GROUP_COUNT); g++)
        if (!(s->groups[g] = psal_welford_new(length, NULL))) goto failed;
    if (s->scratch) return s;
failed:
    psal_summary_free(s);
    psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a summary of %lld entries over %lld samples", (long long)length,
              (long long)(end - first));
    return NULL;
}

/* Room for `count` records, and some more, since they come one by one. */
static psal_status reserve_records(psal_summary *s, int64_t count, psal_error *err) {
    if (count <= s->record_capacity) return PSAL_OK;
    int64_t capacity = count + count / 2 + 16;
    psal_sample_result *records = reallocarray(s->records, (size_t)capacity, sizeof *records);
    if (!records) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %lld records", (long long)count);
    memset(records + s->record_capacity, 0, (size_t)(capacity - s->record_capacity) * sizeof *records);
    s->records = records;
    s->record_capacity = capacity;
    return PSAL_OK;
}

void psal_summary_free(psal_summary *s) {
    if (!s) return;
    for (int g = 0; g < PSAL_GROUP_COUNT; g++) psal_welford_free(s->groups[g]);
    free(s->records);
    free(s->scratch);
    free(s);
}

int64_t psal_summary_count(const psal_summary *s) {
    return s->groups[PSAL_GROUP_ALL]->count;
}

int64_t psal_summary_correct(const psal_summary *s) {
    int64_t correct = 0;
    for (int64_t i = 0; i < s->next - s->first; i++) {
        const psal_sample_result *r = &s->records[i];
        correct += r->status == PSAL_OK && r->label == r->predicted;
    }
    return correct;
}

int64_t psal_summary_good(const psal_summary *s) {
    int64_t good = 0;
    for (int64_t i = 0; i < s->next - s->first; i++) good += s->records[i].status == PSAL_OK;
    return good;
}

int64_t psal_summary_skipped(const psal_summary *s) {
    return s->next - s->first - psal_summary_good(s);
}

double psal_summary_distance(const psal_summary *s, psal_group group) {
    const psal_welford *right = s->groups[PSAL_GROUP_CORRECT], *other = s->groups[group];
    if (!right || !other || right->count == 0 || other->count == 0) return NAN;
    double dot = 0, a = 0, b = 0;
    for (int64_t i = 0; i < s->length; i++) {
        dot += right->mean[i] * other->mean[i];
        a += right->mean[i] * right->mean[i];
        b += other->mean[i] * other->mean[i];
    }
    return a > 0 && b > 0 ? 1 - dot / (sqrt(a) * sqrt(b)) : NAN;
}

/* ---- adding ---- */

/* The profile as it is to be added: divided by its L2 norm where asked for; all zeros stay zeros. */
static const float *prepared(const psal_summary *s, const float *profile) {
    if (!s->normalized) return profile;
    double sum = 0;
    for (int64_t i = 0; i < s->length; i++) sum += (double)profile[i] * (double)profile[i];
    double norm = sum > 0 ? sqrt(sum) : 1;
    for (int64_t i = 0; i < s->length; i++) s->scratch[i] = (float)((double)profile[i] / norm);
    return s->scratch;
}

psal_status psal_summary_add(psal_summary *s, const psal_sample_result *sample, const float *profile,
                             const float *predicted, psal_error *err) {
    if (sample->index != s->next || s->next >= s->end)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "sample %lld cannot follow %lld samples of %lld",
                         (long long)sample->index, (long long)s->next, (long long)s->end);
    psal_status status = reserve_records(s, s->next - s->first + 1, err);
    if (status != PSAL_OK) return status;
    s->records[s->next++ - s->first] = *sample;
    if (!profile) return PSAL_OK;
    const float *values = prepared(s, profile);
    if (psal_reference_has(s->only, sample->label, sample->predicted))
        psal_welford_add(s->groups[PSAL_GROUP_ALL], values);
    if (s->length > PSAL_SUMMARY_GROUPS) return PSAL_OK;
    bool correct = sample->predicted == sample->label;
    psal_welford_add(s->groups[correct ? PSAL_GROUP_CORRECT : PSAL_GROUP_INCORRECT], values);
    if (predicted) psal_welford_add(s->groups[PSAL_GROUP_PREDICTED], prepared(s, predicted));
    return PSAL_OK;
}

psal_status psal_summary_append(psal_summary *s, const psal_summary *behind, psal_error *err) {
    if (s->next != s->end || behind->next != behind->end || behind->first != s->end)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "samples %lld to %lld cannot be joined to those up to %lld",
                         (long long)behind->first, (long long)behind->end, (long long)s->end);
    if (behind->length != s->length || behind->normalized != s->normalized)
        return psal_fail(err, PSAL_ERR_SHAPE, "summaries of %lld and %lld entries cannot be joined",
                         (long long)s->length, (long long)behind->length);
    if (behind->only.kind != s->only.kind || behind->only.label != s->only.label)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "statistics of different reference sets cannot be joined");
    size_t here = (size_t)(s->end - s->first), there = (size_t)(behind->end - behind->first);
    psal_status status = reserve_records(s, (int64_t)(here + there), err);
    if (status != PSAL_OK) return status;
    if (there) memcpy(s->records + here, behind->records, there * sizeof *s->records);
    s->next = s->end = behind->end;
    for (int g = 0; g < PSAL_GROUP_COUNT && s->groups[g]; g++)
        psal_welford_merge(s->groups[g], behind->groups[g], NULL);
    return PSAL_OK;
}

/* ---- as tensors ---- */

/* The fields of a record, one tensor each. */
typedef enum field {
    FIELD_STATUS,
    FIELD_LABEL,
    FIELD_PREDICTED,
    FIELD_LABEL_CONFIDENCE,
    FIELD_PREDICTED_CONFIDENCE,
    FIELD_LOSS,
    FIELD_LARGEST,
    FIELD_IMAGE,
    FIELD_COUNT
} field;

static const struct {
    const char *name;
    psal_dtype dtype;
} FIELDS[FIELD_COUNT] = {
    [FIELD_STATUS] = {"record.status", PSAL_I32},
    [FIELD_LABEL] = {"record.label", PSAL_I32},
    [FIELD_PREDICTED] = {"record.predicted", PSAL_I32},
    [FIELD_LABEL_CONFIDENCE] = {"record.label_confidence", PSAL_F32},
    [FIELD_PREDICTED_CONFIDENCE] = {"record.predicted_confidence", PSAL_F32},
    [FIELD_LOSS] = {"record.loss", PSAL_F32},
    [FIELD_LARGEST] = {"record.largest", PSAL_F32},
    [FIELD_IMAGE] = {"record.image", PSAL_I64},
};

static void pack_field(const psal_summary *s, field f, void *data) {
    int32_t *ints = data;
    float *floats = data;
    uint64_t *images = data;
    for (int64_t i = 0; i < s->next - s->first; i++) {
        const psal_sample_result *r = &s->records[i];
        switch (f) {
        case FIELD_STATUS:
            ints[i] = (int32_t)r->status;
            break;
        case FIELD_LABEL:
            ints[i] = r->label;
            break;
        case FIELD_PREDICTED:
            ints[i] = r->predicted;
            break;
        case FIELD_LABEL_CONFIDENCE:
            floats[i] = r->label_confidence;
            break;
        case FIELD_PREDICTED_CONFIDENCE:
            floats[i] = r->predicted_confidence;
            break;
        case FIELD_LOSS:
            floats[i] = r->loss;
            break;
        case FIELD_LARGEST:
            floats[i] = r->largest;
            break;
        default:
            images[i] = r->image;
            break;
        }
    }
}

static void unpack_field(psal_summary *s, field f, const void *data) {
    const int32_t *ints = data;
    const float *floats = data;
    const uint64_t *images = data;
    for (int64_t i = 0; i < s->next - s->first; i++) {
        psal_sample_result *r = &s->records[i];
        r->index = s->first + i;
        switch (f) {
        case FIELD_STATUS:
            r->status = ints[i] < 0 || ints[i] > PSAL_ERR_CANCELLED ? PSAL_ERR_FORMAT : (psal_status)ints[i];
            break;
        case FIELD_LABEL:
            r->label = ints[i];
            break;
        case FIELD_PREDICTED:
            r->predicted = ints[i];
            break;
        case FIELD_LABEL_CONFIDENCE:
            r->label_confidence = floats[i];
            break;
        case FIELD_PREDICTED_CONFIDENCE:
            r->predicted_confidence = floats[i];
            break;
        case FIELD_LOSS:
            r->loss = floats[i];
            break;
        case FIELD_LARGEST:
            r->largest = floats[i];
            break;
        default:
            r->image = images[i];
            break;
        }
    }
}

static psal_status add_vector(psal_tensor_map *map, const char *name, const double *values, int64_t length,
                              psal_error *err) {
    psal_shape shape = PSAL_SHAPE(length);
    void *data = psal_tensor_map_add(map, name, PSAL_F64, &shape, err);
    if (!data) return psal_error_status(err);
    memcpy(data, values, (size_t)length * sizeof *values);
    return PSAL_OK;
}

static psal_status set_number(psal_tensor_map *map, const char *key, int64_t value, psal_error *err) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return psal_tensor_map_set_meta(map, key, text, err);
}

psal_status psal_summary_to_tensors(const psal_summary *s, psal_tensor_map *map, psal_error *err) {
    char name[64];
    psal_status status = set_number(map, "psal.first", s->first, err);
    if (status == PSAL_OK) status = set_number(map, "psal.next", s->next, err);
    if (status == PSAL_OK) status = set_number(map, "psal.end", s->end, err);
    if (status == PSAL_OK) status = set_number(map, "psal.normalized", s->normalized, err);
    if (status == PSAL_OK)
        status = psal_tensor_map_set_meta(map, "psal.only", psal_reference_format(s->only, name), err);
    for (int g = 0; g < PSAL_GROUP_COUNT && s->groups[g] && status == PSAL_OK; g++) {
        const psal_welford *w = s->groups[g];
        snprintf(name, sizeof name, "psal.count.%s", GROUP_NAMES[g]);
        if ((status = set_number(map, name, w->count, err)) != PSAL_OK) break;
        /* Sums of nothing are left out, but for long profiles: who reads them wants to see that the length is true. */
        if (w->count == 0 && s->length <= PSAL_SUMMARY_GROUPS) continue;
        snprintf(name, sizeof name, "%s.mean", GROUP_NAMES[g]);
        if ((status = add_vector(map, name, w->mean, w->length, err)) != PSAL_OK) break;
        snprintf(name, sizeof name, "%s.m2", GROUP_NAMES[g]);
        status = add_vector(map, name, w->m2, w->length, err);
    }
    status = status == PSAL_OK ? set_number(map, "psal.length", s->length, err) : status;
    psal_shape shape = PSAL_SHAPE(s->next - s->first);
    for (int f = 0; f < FIELD_COUNT && status == PSAL_OK; f++) {
        void *data = psal_tensor_map_add(map, FIELDS[f].name, FIELDS[f].dtype, &shape, err);
        if (!data) return psal_error_status(err);
        pack_field(s, (field)f, data);
    }
    return status;
}

static psal_status get_number(const psal_tensor_map *map, const char *key, int64_t *value, psal_error *err) {
    const char *text = psal_tensor_map_meta(map, key);
    *value = -1;
    if (!text || !psal_parse_int64(text, value) || *value < 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "not a saved summary: '%s' is %s%s", key, text ? "" : "missing",
                         text ? text : "");
    return PSAL_OK;
}

static psal_status get_tensor(const psal_tensor_map *map, const char *name, psal_dtype dtype, int64_t length,
                              const void **data, psal_error *err) {
    const psal_tensor *t = psal_tensor_map_get(map, name);
    char text[96];
    if (!t) return psal_fail(err, PSAL_ERR_FORMAT, "not a saved summary: there is no tensor '%s'", name);
    if (t->dtype != dtype || t->shape.ndim != 1 || t->shape.dim[0] != length)
        return psal_fail(err, PSAL_ERR_FORMAT, "'%s' should be %s of %lld, is %s of %s", name, psal_dtype_name(dtype),
                         (long long)length, psal_dtype_name(t->dtype), psal_shape_format(&t->shape, text, sizeof text));
    *data = t->data;
    return PSAL_OK;
}

static psal_status read_vector(const psal_tensor_map *map, const char *group, const char *what, double *out,
                               int64_t length, double lowest, double highest, psal_error *err) {
    char name[64];
    const void *data = NULL;
    snprintf(name, sizeof name, "%s.%s", group, what);
    psal_status status = get_tensor(map, name, PSAL_F64, length, &data, err);
    if (status != PSAL_OK) return status;
    memcpy(out, data, (size_t)length * sizeof *out);
    for (int64_t i = 0; i < length; i++)
        if (!(out[i] >= lowest && out[i] <= highest))
            return psal_fail(err, PSAL_ERR_NUMERIC, "'%s' of entry %lld is %g, which no profiles add up to", name,
                             (long long)i, isnan(out[i]) ? NAN : out[i]);
    return PSAL_OK;
}

static psal_status read_groups(psal_summary *s, const psal_tensor_map *map, psal_error *err) {
    for (int g = 0; g < PSAL_GROUP_COUNT && s->groups[g]; g++) {
        char key[64];
        psal_welford *w = s->groups[g];
        snprintf(key, sizeof key, "psal.count.%s", GROUP_NAMES[g]);
        psal_status status = get_number(map, key, &w->count, err);
        if (status != PSAL_OK) return status;
        if (w->count > s->next - s->first)
            return psal_fail(err, PSAL_ERR_FORMAT, "'%s' is %lld, of %lld samples", key, (long long)w->count,
                             (long long)(s->next - s->first));
        if (w->count == 0) continue;
        /* Profiles are float32: no mean is beyond their range, no difference from it beyond twice that. */
        const double most = FLT_MAX, squares = w->count > 1 ? 4 * most * most * (double)w->count : 0;
        status = read_vector(map, GROUP_NAMES[g], "mean", w->mean, s->length, -most, most, err);
        if (status == PSAL_OK) status = read_vector(map, GROUP_NAMES[g], "m2", w->m2, s->length, 0, squares, err);
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

static psal_status count_is(const psal_summary *s, psal_group group, int64_t least, int64_t most, psal_error *err) {
    if (!s->groups[group]) return PSAL_OK;
    int64_t count = s->groups[group]->count;
    if (count >= least && count <= most) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_FORMAT, "'psal.count.%s' is %lld, but the records tell of %lld", GROUP_NAMES[group],
                     (long long)count, (long long)most);
}

/* Are the records those of the samples that the sums were made of? */
static psal_status check_records(const psal_summary *s, psal_error *err) {
    int64_t good = 0, added = 0, correct = psal_summary_correct(s);
    for (int64_t i = 0; i < s->next - s->first; i++) {
        const psal_sample_result *r = &s->records[i];
        if (r->status != PSAL_OK) continue;
        good++;
        added += psal_reference_has(s->only, r->label, r->predicted);
        if (r->label < 0 || r->predicted < 0 || !isfinite(r->label_confidence) || !isfinite(r->predicted_confidence) ||
            !isfinite(r->loss) || !isfinite(r->largest))
            return psal_fail(err, PSAL_ERR_NUMERIC,
                             "the record of sample %lld is none: class %d for %d, or numbers that are not finite",
                             (long long)r->index, r->predicted, r->label);
    }
    psal_status status = count_is(s, PSAL_GROUP_ALL, added, added, err);
    if (status == PSAL_OK) status = count_is(s, PSAL_GROUP_CORRECT, correct, correct, err);
    if (status == PSAL_OK) status = count_is(s, PSAL_GROUP_INCORRECT, good - correct, good - correct, err);
    return status == PSAL_OK ? count_is(s, PSAL_GROUP_PREDICTED, 0, good - correct, err) : status;
}

psal_summary *psal_summary_from_tensors(const psal_tensor_map *map, psal_error *err) {
    int64_t length, first, next, end, normalized;
    if (get_number(map, "psal.length", &length, err) != PSAL_OK ||
        get_number(map, "psal.first", &first, err) != PSAL_OK || get_number(map, "psal.next", &next, err) != PSAL_OK ||
        get_number(map, "psal.end", &end, err) != PSAL_OK ||
        get_number(map, "psal.normalized", &normalized, err) != PSAL_OK)
        return NULL;
    if (next < first || next > end) {
        psal_fail(err, PSAL_ERR_FORMAT, "not a saved summary: %lld samples of %lld to %lld", (long long)next,
                  (long long)first, (long long)end);
        return NULL;
    }
    /* What is allocated is in proportion to what is there: a small file may claim any number of samples and entries. */
    const void *there = NULL;
    if (get_tensor(map, FIELDS[0].name, FIELDS[0].dtype, next - first, &there, err) != PSAL_OK ||
        (length > PSAL_SUMMARY_GROUPS && get_tensor(map, "all.mean", PSAL_F64, length, &there, err) != PSAL_OK))
        return NULL;
    psal_summary *s = psal_summary_new(length, first, end, normalized != 0, err);
    if (!s) return NULL;
    const char *only = psal_tensor_map_meta(map, "psal.only");
    psal_status status = reserve_records(s, next - first, err);
    if (status == PSAL_OK && only && (!*only || !psal_reference_parse(only, &s->only)))
        status = psal_fail(err, PSAL_ERR_FORMAT, "not a saved summary: 'psal.only' is %.60s", only);
    if (status == PSAL_OK) {
        s->next = next;
        status = read_groups(s, map, err);
    }
    for (int f = 0; f < FIELD_COUNT && status == PSAL_OK; f++) {
        const void *data = NULL;
        status = get_tensor(map, FIELDS[f].name, FIELDS[f].dtype, next - first, &data, err);
        if (status == PSAL_OK) unpack_field(s, (field)f, data);
    }
    if (status == PSAL_OK) status = check_records(s, err);
    if (status == PSAL_OK) return s;
    psal_summary_free(s);
    return NULL;
}

static psal_status check_finite(const char *name, const double *values, int64_t length, psal_error *err) {
    for (int64_t i = 0; i < length; i++)
        if (!isfinite(values[i]))
            return psal_fail(err, PSAL_ERR_NUMERIC, "the %s of entry %lld is not finite", name, (long long)i);
    return PSAL_OK;
}

psal_status psal_summary_suffices(const psal_summary *s, bool deviations, psal_error *err) {
    const int64_t count = psal_summary_count(s);
    char only[PSAL_REFERENCE_SIZE] = "";
    if (s->only.kind != PSAL_REFERENCE_ALL) psal_reference_describe(s->only, only);
    if (count == 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "no sample was left to make statistics of%s%s%s",
                         *only ? ": of the " : "", only, *only ? " there are none" : "");
    if (deviations && count == 1)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "a single sample was left: deviations need two");
    return PSAL_OK;
}

psal_status psal_summary_finish(const psal_summary *s, psal_statistics *statistics, psal_tensor_map *map,
                                psal_error *err) {
    const psal_welford *all = s->groups[PSAL_GROUP_ALL];
    psal_status enough = psal_summary_suffices(s, statistics != NULL, err);
    if (enough != PSAL_OK) return enough;
    if (statistics) {
        memcpy(statistics->mean, all->mean, (size_t)s->length * sizeof(double));
        psal_welford_std(all, statistics->std);
        statistics->count = all->count;
        psal_computation_set(&statistics->computation, PSAL_FIELD_NORMALIZED, "%d", s->normalized);
    }
    psal_status status = statistics ? check_finite("mean", statistics->mean, s->length, err) : PSAL_OK;
    if (status == PSAL_OK && statistics) status = check_finite("deviation", statistics->std, s->length, err);
    if (!map || status != PSAL_OK) return status;
    char name[64];
    for (int g = PSAL_GROUP_CORRECT; g < PSAL_GROUP_COUNT && s->groups[g] && status == PSAL_OK; g++) {
        snprintf(name, sizeof name, "mean.%s", GROUP_NAMES[g]);
        if (!s->groups[g]->count) continue;
        status = check_finite(name, s->groups[g]->mean, s->length, err);
        if (status == PSAL_OK) status = add_vector(map, name, s->groups[g]->mean, s->length, err);
    }
    int64_t correct = psal_summary_correct(s), good = psal_summary_good(s);
    for (int g = PSAL_GROUP_INCORRECT; g <= PSAL_GROUP_PREDICTED && status == PSAL_OK; g++) {
        const double distance = psal_summary_distance(s, (psal_group)g);
        char key[64], number[64];
        if (isnan(distance)) continue;
        snprintf(key, sizeof key, "psal.distance.%s", GROUP_NAMES[g]);
        psal_snprintf(number, sizeof number, "%.6f", distance);
        status = psal_tensor_map_set_meta(map, key, number, err);
    }
    psal_snprintf(name, sizeof name, "%.6f", (double)correct / (double)good);
    if (status == PSAL_OK) status = psal_tensor_map_set_meta(map, "psal.accuracy", name, err);
    if (status == PSAL_OK) status = set_number(map, "psal.correct", correct, err);
    if (status == PSAL_OK) status = set_number(map, "psal.incorrect", good - correct, err);
    if (status == PSAL_OK) status = set_number(map, "psal.skipped", psal_summary_skipped(s), err);
    return status;
}
