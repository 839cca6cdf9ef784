#include "tools/mistakes_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/atomic_file.h"
#include "io/fnv.h"
#include "io/mapped_file.h"
#include "io/safetensors.h"
#include "tools/print.h"
#include "tools/program.h"

static const char FORMAT[] = "mistakes-part";

/* ---- the command line ---- */

static psal_status check_merge(const psal_mistakes_state *s, psal_error *err) {
    static const char *const own[] = {"state", "resume", "save-every", "shard"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (psal_options_given(s->options, own[i]))
            return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s: merge measures nothing: leave it out", own[i]);
    if (strcmp(psal_options_argument(s->options, 0), "merge") != 0)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "'%.100s' is not understood: only merge is",
                         psal_options_argument(s->options, 0));
    if (psal_options_argument_count(s->options) < 2)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "merge needs the names of the parts: merge PART...");
    return PSAL_OK;
}

psal_status psal_mistakes_state_check(psal_mistakes_state *s, const char *program, const psal_options *options,
                                      const char *const *tables, psal_error *err) {
    const char *path = psal_options_string(options, "state"), *shard = psal_options_string(options, "shard");
    *s = (psal_mistakes_state){.options = options, .program = program, .shard = {0, 1}};
    s->merging = psal_options_argument_count(options) > 0;
    if ((s->merging || path) && !psal_options_has(options, "data"))
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s is for the mistakes of a data set: --data SET is missing",
                         path ? "--state" : "merge");
    if ((s->merging || path) && psal_options_has(options, "image-path"))
        return psal_fail(err, PSAL_ERR_ARGUMENT,
                         "--image-path is one mistake, and %s is for many: leave one of them out",
                         path ? "--state" : "merge");
    if (s->merging) return check_merge(s, err);
    const char *needs = shard                                       ? "shard"
                        : psal_options_flag(options, "resume")      ? "resume"
                        : psal_options_given(options, "save-every") ? "save-every"
                                                                    : NULL;
    if (needs && !path)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s needs --state FILE: where what was measured is kept", needs);
    if (!path) return PSAL_OK;
    psal_status status = psal_shard_parse(&s->shard, shard, err);
    if (status == PSAL_OK) status = psal_shard_path(path, s->shard, s->path, err);
    if (status == PSAL_OK && psal_atomic_file_is_direct(s->path))
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "--state %s: is no ordinary file", s->path);
    if (status == PSAL_OK && psal_atomic_file_check(s->path, err) != PSAL_OK) status = psal_fail_prefix(err, "--state");
    for (; status == PSAL_OK && s->shard.count > 1 && *tables; tables++)
        if (psal_options_given(options, *tables))
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "--%s: one part has no results: give it to '%s merge PART...'",
                               *tables, program);
    return status;
}

/* ---- the file ---- */

static psal_status set_number(psal_tensor_map *map, const char *key, int64_t value, psal_error *err) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return psal_tensor_map_set_meta(map, key, text, err);
}

/* The value of an option as text, "" where there is none, "given" of a flag. The caller frees; NULL when out of
 * memory. */
static char *setting(const psal_options *options, const char *name) {
    char *text = NULL;
    size_t size;
    const size_t count = psal_options_count(options, name);
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ", " : "", out);
        fputs(psal_options_string_at(options, name, i), out);
    }
    if (count == 0 && psal_options_given(options, name)) fputs("given", out);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

static psal_status check_setting(const psal_options *options, const char *name, const char *there, psal_error *err) {
    char *here = setting(options, name);
    if (!here) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
    psal_status status = PSAL_OK;
    if (!there || strcmp(there, here) != 0)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "its --%s is '%.100s', but here it is '%.100s'", name,
                           there ? there : "", here);
    free(here);
    return status;
}

static psal_computation computation_of(const psal_mistakes_state *s) {
    psal_computation c;
    psal_mistakes_computation(s->mistakes, s->options, &c);
    psal_computation_set(&c, PSAL_FIELD_SHARD, "%" PRId64, s->shard.index + 1);
    psal_computation_set(&c, PSAL_FIELD_SHARDS, "%" PRId64, s->shard.count);
    return c;
}

static psal_status describe(const psal_mistakes_state *s, psal_tensor_map *map, psal_error *err) {
    const psal_computation c = computation_of(s);
    char key[80], data[24];
    psal_status status = psal_tensor_map_set_meta(map, "psal.format", FORMAT, err);
    if (status == PSAL_OK) status = psal_tensor_map_set_meta(map, "psal.program", s->program, err);
    if (status == PSAL_OK) status = psal_computation_to_metadata(&c, map, err);
    snprintf(data, sizeof data, "%016" PRIx64, s->data);
    if (status == PSAL_OK) status = psal_tensor_map_set_meta(map, "psal.data", data, err);
    if (status == PSAL_OK) status = set_number(map, "psal.mistakes", (int64_t)s->mistakes->subject_count, err);
    if (status == PSAL_OK) status = set_number(map, "psal.hub", s->hub, err);
    for (const char *const *name = s->settings; *name && status == PSAL_OK; name++) {
        snprintf(key, sizeof key, "psal.option.%s", *name);
        char *value = setting(s->options, *name);
        status = value ? psal_tensor_map_set_meta(map, key, value, err)
                       : psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", s->path);
        free(value);
    }
    return status;
}

/* Those that are done, in their order: what one is still writing into is not looked at. */
static psal_status write_state(const psal_mistakes_state *s, psal_error *err) {
    int64_t count = 0;
    for (size_t i = s->first; i < s->end; i++) count += s->done[i];
    psal_tensor_map *map = psal_tensor_map_new();
    if (!map) return psal_fail(err, PSAL_ERR_MEMORY, "%s: out of memory", s->path);
    const psal_shape list = PSAL_SHAPE(count), table = PSAL_SHAPE(count, (int64_t)s->columns);
    psal_status status = describe(s, map, err);
    int64_t *index = status == PSAL_OK ? psal_tensor_map_add(map, "index", PSAL_I64, &list, err) : NULL;
    double *values = index ? psal_tensor_map_add(map, "values", PSAL_F64, &table, err) : NULL;
    if (!values) status = psal_error_status(err);
    for (size_t i = s->first, at = 0; i < s->end && status == PSAL_OK; i++) {
        if (!s->done[i]) continue;
        index[at] = (int64_t)s->mistakes->subjects[i].index;
        memcpy(values + at++ * s->columns, s->values + i * s->columns, s->columns * sizeof *values);
    }
    if (status == PSAL_OK) status = psal_safetensors_write(s->path, map, err);
    psal_tensor_map_free(map);
    return status;
}

static psal_status save(psal_mistakes_state *s, psal_error *err) {
    psal_status status = write_state(s, err);
    s->saved_at = psal_seconds();
    if (status != PSAL_OK) return status;
    s->saved = 0;
    for (size_t i = s->first; i < s->end; i++) s->saved += s->done[i];
    return PSAL_OK;
}

/* Does the file belong to this run? whole: one part of all, any of them. */
static psal_status check_belongs(const psal_mistakes_state *s, const psal_tensor_map *map, psal_computation *found,
                                 bool whole, psal_error *err) {
    const char *format = psal_tensor_map_meta(map, "psal.format"), *program = psal_tensor_map_meta(map, "psal.program");
    char key[80], text[32];
    psal_fields which = PSAL_FIELDS_RUN;
    if (whole) which &= ~(PSAL_FIELD_SET(PSAL_FIELD_SHARD) | PSAL_FIELD_SET(PSAL_FIELD_SHARDS));
    if (!format || strcmp(format, FORMAT) != 0 || !program || strcmp(program, s->program) != 0)
        return psal_fail(err, PSAL_ERR_FORMAT, "not a state of a run of %s", s->program);
    const psal_computation here = computation_of(s);
    psal_status status = psal_computation_read(found, map, err);
    if (status == PSAL_OK) status = psal_computation_check(found, &here, which, err);
    const psal_fields unsaid = psal_computation_unsaid(found, &here, which, true) |
                               psal_computation_unsaid(&here, found, which, true);
    if (status == PSAL_OK && unsaid)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "only one of them says its %s",
                           psal_fields_names(unsaid, (char[512]){0}));
    for (const char *const *name = s->settings; *name && status == PSAL_OK; name++) {
        snprintf(key, sizeof key, "psal.option.%s", *name);
        status = check_setting(s->options, *name, psal_tensor_map_meta(map, key), err);
    }
    const char *data = psal_tensor_map_meta(map, "psal.data"), *mistakes = psal_tensor_map_meta(map, "psal.mistakes");
    snprintf(text, sizeof text, "%016" PRIx64, s->data);
    if (status == PSAL_OK && (!data || strcmp(data, text) != 0))
        status = psal_fail(err, PSAL_ERR_ARGUMENT,
                           "--data is not the data set that it was made from, or an image in it has changed");
    snprintf(text, sizeof text, "%zu", s->mistakes->subject_count);
    if (status == PSAL_OK && (!mistakes || strcmp(mistakes, text) != 0))
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "it is of %.30s mistakes, but here there are %s",
                           mistakes ? mistakes : "unknown", text);
    return status == PSAL_OK ? PSAL_OK : psal_fail_prefix(err, "belongs to another run");
}

/* Put the records of first .. end-1 in their places. */
static psal_status take_records(psal_mistakes_state *s, const psal_tensor_map *map, size_t first, size_t end,
                                psal_error *err) {
    const psal_tensor *index = psal_tensor_map_get(map, "index"), *values = psal_tensor_map_get(map, "values");
    const char *text = psal_tensor_map_meta(map, "psal.hub");
    int64_t hub;
    if (!index || index->dtype != PSAL_I64 || index->shape.ndim != 1 || !values || values->dtype != PSAL_F64 ||
        values->shape.ndim != 2 || values->shape.dim[0] != index->shape.dim[0] ||
        values->shape.dim[1] != (int64_t)s->columns || !text || !psal_parse_int64(text, &hub))
        return psal_fail(err, PSAL_ERR_FORMAT, "damaged: it holds no records of this run");
    if (hub < 0 || hub > (int64_t)s->mistakes->subject_count || (hub && s->hub && hub != s->hub))
        return psal_fail(err, PSAL_ERR_FORMAT,
                         "damaged: its psal.hub is %" PRId64
                         ", but there are %zu mistakes, and another part says %" PRId64,
                         hub, s->mistakes->subject_count, s->hub);
    if (hub > s->hub) s->hub = hub; /* 0 of a part that is empty */
    size_t i = first;
    for (int64_t at = 0; at < index->shape.dim[0]; at++) {
        const int64_t number = ((const int64_t *)index->data)[at];
        while (i < end && (int64_t)s->mistakes->subjects[i].index != number) i++;
        if (i == end)
            return psal_fail(err, PSAL_ERR_FORMAT, "damaged: sample %" PRId64 " is none of its mistakes", number);
        memcpy(s->values + i * s->columns, (const double *)values->data + (size_t)at * s->columns,
               s->columns * sizeof *s->values);
        s->done[i++] = true;
    }
    return PSAL_OK;
}

/* ---- going on, and joining ---- */

static psal_status read_own(psal_mistakes_state *s, psal_error *err) {
    bool there;
    psal_computation found;
    psal_status status = psal_file_exists(s->path, &there, err);
    if (status != PSAL_OK || !there) return status;
    psal_tensor_map *map = psal_safetensors_read(s->path, err);
    if (!map) return psal_error_status(err);
    status = check_belongs(s, map, &found, false, err);
    if (status == PSAL_OK) status = take_records(s, map, s->first, s->end, err);
    psal_tensor_map_free(map);
    for (size_t i = s->first; i < s->end; i++) s->saved += s->done[i];
    return status == PSAL_OK ? status : psal_fail_prefix(err, "%s", s->path);
}

/* Which part of how many it is. */
static psal_status read_place(const psal_computation *found, psal_shard *place, psal_error *err) {
    int64_t shard, shards;
    if (!psal_parse_int64(found->value[PSAL_FIELD_SHARD], &shard) ||
        !psal_parse_int64(found->value[PSAL_FIELD_SHARDS], &shards) || shards < 1 || shards > 1000000 || shard < 1 ||
        shard > shards)
        return psal_fail(err, PSAL_ERR_FORMAT, "damaged: part %s of %s", found->value[PSAL_FIELD_SHARD],
                         found->value[PSAL_FIELD_SHARDS]);
    *place = (psal_shard){shard - 1, shards};
    return PSAL_OK;
}

/* *names: [shards] the files so far, made for the first. */
static psal_status take_part(psal_mistakes_state *s, const psal_tensor_map *map, const char *path, psal_shard *all,
                             const char ***names, psal_error *err) {
    psal_computation found;
    psal_shard place = {0, 1};
    psal_status status = check_belongs(s, map, &found, true, err);
    if (status == PSAL_OK) status = read_place(&found, &place, err);
    if (status != PSAL_OK) return status;
    if (!*names) {
        all->count = place.count;
        if (!(*names = calloc((size_t)place.count, sizeof **names)))
            return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %" PRId64 " parts", place.count);
    }
    if (place.count != all->count)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "one of %" PRId64 " parts, but the first is one of %" PRId64,
                         place.count, all->count);
    const size_t count = s->mistakes->subject_count, n = (size_t)place.count, i = (size_t)place.index;
    const size_t first = i * count / n, end = (i + 1) * count / n;
    if ((*names)[i]) return psal_fail(err, PSAL_ERR_ARGUMENT, "part %zu, and so is %s", i + 1, (*names)[i]);
    (*names)[i] = path;
    if ((status = take_records(s, map, first, end, err)) != PSAL_OK) return status;
    size_t done = 0;
    for (size_t k = first; k < end; k++) done += s->done[k];
    if (done == end - first) return PSAL_OK;
    return psal_fail(err, PSAL_ERR_ARGUMENT, "not finished: %zu of %zu mistakes; --resume goes on", done, end - first);
}

static psal_status read_parts(psal_mistakes_state *s, psal_error *err) {
    psal_shard all = {0, 0};
    const char **names = NULL;
    psal_status status = PSAL_OK;
    for (size_t i = 1; i < psal_options_argument_count(s->options) && status == PSAL_OK; i++) {
        const char *path = psal_options_argument(s->options, i);
        psal_tensor_map *map = psal_safetensors_read(path, err);
        if (!map) status = psal_error_status(err);
        if (map && (status = take_part(s, map, path, &all, &names, err)) != PSAL_OK) psal_fail_prefix(err, "%s", path);
        psal_tensor_map_free(map);
    }
    for (int64_t i = 0; i < all.count && status == PSAL_OK; i++)
        if (!names[i])
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "part %" PRId64 " of %" PRId64 " is missing", i + 1, all.count);
    free(names);
    return status;
}

/* The data set, and the contents of the images that results are of: one may have been replaced by another of the same
 * name and size. */
static psal_status fingerprint_data(psal_mistakes_state *s, psal_error *err) {
    const psal_mistakes *m = s->mistakes;
    psal_status status = psal_dataset_fingerprint(m->dataset, &s->data, err);
    for (size_t i = 0; i < m->subject_count + (size_t)m->right_count && status == PSAL_OK; i++) {
        const size_t index = i < m->subject_count ? m->subjects[i].index : m->right_index[i - m->subject_count];
        uint64_t image;
        status = psal_dataset_image_fingerprint(m->dataset, index, &image, err);
        if (status == PSAL_OK) s->data = psal_fnv_add(s->data, &image, sizeof image);
    }
    return status;
}

psal_status psal_mistakes_state_open(psal_mistakes_state *s, const psal_mistakes *mistakes, const char *const *settings,
                                     double *values, size_t columns, psal_error *err) {
    const size_t count = mistakes->subject_count, n = (size_t)s->shard.count;
    s->mistakes = mistakes;
    s->settings = settings;
    s->values = values;
    s->columns = columns;
    s->first = (size_t)s->shard.index * count / n;
    s->end = ((size_t)s->shard.index + 1) * count / n;
    s->saved_at = psal_seconds();
    if (!(s->done = calloc(count + 1, sizeof *s->done)))
        return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu mistakes", count);
    if (!*s->path && !s->merging) return PSAL_OK;
    if (count < 2)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%s is for many mistakes, but there is only one: leave it out",
                         s->merging ? "merge" : "--state");
    psal_status status = fingerprint_data(s, err);
    if (status != PSAL_OK) return status;
    if (s->merging) return read_parts(s, err);
    if (!(s->lock = psal_run_lock_take(s->path, err))) return psal_error_status(err);
    return psal_options_flag(s->options, "resume") ? read_own(s, err) : PSAL_OK;
}

/* ---- the work ---- */

bool psal_mistakes_state_finished(const psal_mistakes_state *s) {
    for (size_t i = s->first; i < s->end; i++)
        if (!s->done[i]) return false;
    return true;
}

/* After a signal, or when the file cannot be written, those that have not begun are left. */
static bool stops(const psal_mistakes_state *s) {
    psal_status unsaved;
#pragma omp atomic read
    unsaved = s->unsaved.status;
    return *s->path && (unsaved != PSAL_OK || psal_program_interrupted());
}

static psal_status do_one(void *data, psal_mistakes_worker *worker, size_t i, psal_error *err) {
    psal_mistakes_state *s = data;
    if (stops(s)) return PSAL_OK;
    psal_status status = s->work(s->work_data, worker, i, err);
    if (status != PSAL_OK || !*s->path) return status;
#pragma omp critical(psal_mistakes_state)
    {
        psal_error why = PSAL_ERROR_INIT;
        s->done[i] = true;
        if (psal_seconds() - s->saved_at >= psal_options_double(s->options, "save-every") && save(s, &why) != PSAL_OK) {
            memcpy(s->unsaved.message, why.message, sizeof why.message);
#pragma omp atomic write
            s->unsaved.status = why.status;
        }
    }
    return PSAL_OK;
}

static psal_status do_rest(psal_mistakes_state *s, const psal_mistakes_steps *steps, psal_error *err) {
    const size_t count = s->mistakes->subject_count;
    psal_mistakes_steps rest = *steps;
    bool *left_out = malloc(count * sizeof *left_out);
    if (!left_out) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory for %zu mistakes", count);
    for (size_t i = 0; i < count; i++)
        left_out[i] = s->done[i] || i < s->first || i >= s->end || (steps->left_out && steps->left_out[i]);
    rest.left_out = left_out;
    psal_status status = psal_mistakes_each(s->mistakes, &rest, do_one, s, err);
    free(left_out);
    return status;
}

psal_status psal_mistakes_state_run(psal_mistakes_state *s, const psal_mistakes_steps *steps, psal_mistakes_work work,
                                    void *data, psal_error *err) {
    s->work = work;
    s->work_data = data;
    if (psal_mistakes_state_finished(s)) return *s->path && s->saved == 0 ? save(s, err) : PSAL_OK; /* an empty part */
    if (*s->path) psal_program_stop_on_signal();
    psal_status status = do_rest(s, steps, err);
    if (!*s->path) return status;
    psal_error last = PSAL_ERROR_INIT;
    const bool saved = save(s, &last) == PSAL_OK;
    if (saved && status == PSAL_OK && psal_mistakes_state_finished(s)) return PSAL_OK;
    if (status == PSAL_OK) {
        const psal_error *why = !saved ? &last : &s->unsaved;
        status = why->status != PSAL_OK ? psal_fail(err, why->status, "%s", why->message)
                                        : psal_fail(err, PSAL_ERR_CANCELLED, "interrupted");
    } else if (!saved) {
        psal_print(stderr, "%s: the work so far could not be saved: %s\n", s->program, last.message);
    }
    if (s->saved)
        psal_print(stderr, "%s: %zu of %zu mistakes are kept in %s; --resume goes on from there\n", s->program,
                   s->saved, s->end - s->first, s->path);
    return status;
}

void psal_mistakes_state_print_part(const psal_mistakes_state *s) {
    psal_print(stdout, "part %" PRId64 " of %" PRId64 ": %zu of %zu mistakes measured\n", s->shard.index + 1,
               s->shard.count, s->end - s->first, s->mistakes->subject_count);
    if (!s->mistakes->session->quiet) psal_print(stdout, "written   %s\n", s->path);
}

void psal_mistakes_state_close(psal_mistakes_state *s) {
    free(s->done);
    psal_run_lock_release(s->lock);
}
