/* psal-neighbors: which other samples go wrong for the same reason? */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numbers.h"
#include "io/progress.h"
#include "saliency/prediction.h"
#include "tools/known_label.h"
#include "tools/neighbors_itself.h"
#include "tools/neighbors_kinds.h"
#include "tools/neighbors_output.h"
#include "tools/neighbors_program.h"
#include "tools/outputs.h"
#include "tools/print.h"
#include "tools/program.h"
#include "tools/figure_style.h"

typedef struct run {
    psal_compared_store compared;
    int64_t *queries;
    float *profile; /* of --image-path */
    psal_neighbor *neighbors;
    psal_neighbor_report report;
} run;

static psal_status out_of_memory(psal_error *err) {
    return psal_fail(err, PSAL_ERR_MEMORY, "out of memory");
}

/* ---- which samples ---- */

/* Add the samples a..b to the queries. */
static psal_status add_queries(run *r, int64_t first, int64_t last, const char *text, psal_error *err) {
    if (first < 0 || last >= r->compared.store.samples || last < first)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "--query %s: samples are numbered 0 to %" PRId64, text,
                         r->compared.store.samples - 1);
    int64_t count = r->report.query_count + last - first + 1;
    if (count > 100000000) return psal_fail(err, PSAL_ERR_ARGUMENT, "--query %s: too many", text);
    int64_t *grown = realloc(r->queries, (size_t)count * sizeof *grown);
    if (!grown) return out_of_memory(err);
    r->queries = grown;
    for (int64_t i = first; i <= last; i++) {
        if (r->compared.store.records[i].valid) {
            r->queries[r->report.query_count++] = i;
            continue;
        }
        psal_error bad = PSAL_ERROR_INIT;
        psal_fail(&bad, PSAL_ERR_ARGUMENT, "--query %.200s: sample %" PRId64 " has no profile (%s)%s", text, i,
                  r->compared.store.records[i].path,
                  r->compared.skip_bad ? "" : " (--skip-bad leaves such images out)");
        psal_status status = r->compared.skip_bad
                                 ? psal_skipped_add(&r->compared.skipped, r->compared.store.records[i].path, &bad, err)
                                 : bad.status;
        if (!r->compared.skip_bad && err) *err = bad;
        if (status != PSAL_OK) return status;
    }
    return PSAL_OK;
}

static psal_status parse_query(run *r, const char *text, psal_error *err) {
    if (strcmp(text, "all") == 0) {
        psal_status status = PSAL_OK;
        for (int64_t i = 0; i < r->compared.search.candidate_count && status == PSAL_OK; i++)
            status = add_queries(r, r->compared.candidates[i], r->compared.candidates[i], text, err);
        return status;
    }
    char *copy = strdup(text), *rest = copy;
    psal_status status = copy ? PSAL_OK : out_of_memory(err);
    for (char *part; status == PSAL_OK && (part = strsep(&rest, ","));) {
        int64_t first, last;
        char *dash = strchr(part, '-');
        if (dash) *dash = '\0';
        const bool numbers = psal_parse_int64(part, &first) && psal_parse_int64(dash ? dash + 1 : part, &last);
        if (numbers && last < first)
            status = psal_fail(err, PSAL_ERR_ARGUMENT,
                               "--query %s: %" PRId64 "-%" PRId64 " goes backwards; did you mean %" PRId64 "-%" PRId64
                               "?",
                               text, first, last, last, first);
        else if (!numbers)
            status = psal_fail(
                err, PSAL_ERR_ARGUMENT,
                "--query %s: numbers of samples such as 3,10-20 (the first column of the store's table), or "
                "'all', are needed; a picture is asked about with --image-path",
                text);
        else
            status = add_queries(r, first, last, text, err);
    }
    free(copy);
    return status;
}

/* ---- a photo as the query ---- */

static psal_status profile_sample(run *r, const psal_saliency *saliency, const psal_image *image, psal_error *err) {
    const psal_session *s = &r->compared.session;
    const char *label = psal_options_string(r->compared.options, "image-target-label");
    psal_saliency_worker *worker = psal_saliency_worker_new(saliency, err);
    float *input = malloc(psal_session_image_size(s) * sizeof *input);
    r->profile = malloc((size_t)psal_saliency_length(saliency) * sizeof *r->profile);
    psal_status status = !worker ? psal_error_status(err) : input && r->profile ? PSAL_OK : out_of_memory(err);
    if (status == PSAL_OK) status = psal_session_prepare(s, image, NULL, input, err);
    if (status == PSAL_OK) status = psal_saliency_forward(worker, input, err);
    const char *path = r->report.image.path;
    int known = PSAL_NO_LABEL;
    if (status == PSAL_OK && !label)
        status = psal_known_labels(r->compared.options, s->labels, &path, 1, &known, &r->compared.session.notes, err);
    psal_session_print_notes(&r->compared.session, psal_neighbors_program.name);
    if (status == PSAL_OK) {
        const float *logits = psal_saliency_logits(worker);
        int best = 0;
        for (int c = 1; c < s->info->num_classes; c++)
            if (logits[c] > logits[best]) best = c;
        r->report.image.predicted = best;
        r->report.image.label = known == PSAL_NO_LABEL ? best : known;
        double total = 0;
        for (int c = 0; c < s->info->num_classes; c++) total += exp((double)logits[c] - logits[best]);
        r->report.image.confidence = 1 / total;
        if (label && strcmp(label, "second") == 0 && s->info->num_classes == 1)
            status = psal_fail(err, PSAL_ERR_ARGUMENT, "--image-target-label second: the network has one class");
        else if (label && strcmp(label, "second") == 0)
            r->report.image.label = psal_predicted_class(logits, s->info->num_classes, best);
        else if (label && strcmp(label, "predicted") != 0) {
            status = psal_session_class(s, "image-target-label", label, &r->report.image.label, err);
            if (status == PSAL_OK)
                psal_note_other_labels(r->compared.options, s->labels, &path, 1, &r->report.image.label,
                                       &r->compared.session.notes);
            psal_session_print_notes(&r->compared.session, psal_neighbors_program.name);
        }
        if (status == PSAL_OK)
            r->report.image.target_confidence = exp((double)logits[r->report.image.label] - logits[best]) / total;
    }
    if (status == PSAL_OK) status = psal_saliency_profile_forwarded(worker, r->report.image.label, 0, r->profile, err);
    if (status == PSAL_OK) r->report.image.loss = psal_saliency_loss(worker);
    free(input);
    psal_saliency_worker_free(worker);
    return status;
}

static psal_status profile_image(run *r, const char *path, psal_error *err) {
    const psal_session *s = &r->compared.session;
    psal_saliency_options options = {.aggregation = r->compared.profile_options.aggregation,
                                     .height = s->height,
                                     .width = s->width,
                                     .threads = s->threads,
                                     .few_runs = true,
                                     .memory_limit = s->memory_limit,
                                     .conv = s->conv};
    psal_image image = PSAL_IMAGE_INIT;
    psal_saliency *saliency = psal_saliency_new(s->model, &options, err);
    psal_status status = saliency ? PSAL_OK : psal_error_status(err);
    if (status == PSAL_OK && psal_saliency_length(saliency) != r->compared.store.length)
        status = psal_fail(err, PSAL_ERR_SHAPE,
                           "%s has %" PRId64 " %s, but the store's profiles have %" PRId64 " entries", s->info->arch,
                           psal_saliency_length(saliency), psal_aggregation_plural(options.aggregation),
                           r->compared.store.length);
    if (status == PSAL_OK) status = psal_image_load(path, 0, &image, err);
    if (status == PSAL_OK) {
        r->report.image = (psal_profile_record){.path = (char *)(uintptr_t)path, .scale = 1, .valid = true};
        status = profile_sample(r, saliency, &image, err);
    }
    if (status == PSAL_OK)
        status = psal_neighbors_leave_out_itself(&r->compared, path, &r->report.itself, &r->report.itself_count, err);
    psal_image_free(&image);
    psal_saliency_free(saliency);
    return status;
}

/* A sample that is no copy of the photo's file, but has its profile, is probably the photo in another form. */
static void note_itself(const run *r) {
    const psal_neighbor *nearest = &r->neighbors[0];
    if (nearest->sample < 0 || nearest->similarity < 1 - 1e-5 || psal_options_flag(r->compared.options, "quiet"))
        return;
    /* Profiles of few entries correlate by accident; the loss does not agree as well. */
    const psal_profile_record *it = &r->compared.store.records[nearest->sample], *photo = &r->report.image;
    if (it->label != photo->label || fabs(it->loss - photo->loss) > 1e-5 * fabs(photo->loss)) return;
    psal_print(stderr,
               "%s: note: sample %" PRId64 " of the store has this picture's profile, but is no copy of its file: it "
               "counts as a neighbour; --query %" PRId64 " asks the same without it\n",
               psal_neighbors_program.name, nearest->sample, nearest->sample);
}

static void count_queries(void *data, int64_t queries) {
    psal_progress_add(data, queries);
}

static psal_status search_samples(run *r, psal_error *err) {
    psal_compared_store *s = &r->compared;
    char each[48];
    snprintf(each, sizeof each, "%" PRId64 " candidates", s->search.candidate_count);
    const psal_progress_options meter = {.out = stderr,
                                         .mode = psal_options_flag(s->options, "quiet") ? PSAL_PROGRESS_QUIET
                                                                                        : PSAL_PROGRESS_AUTO,
                                         .label = "queries",
                                         .total = r->report.query_count,
                                         .program = psal_neighbors_program.name,
                                         .each = each,
                                         .patient = true};
    psal_progress *progress = psal_progress_start(&meter, NULL);
    s->search.step = count_queries;
    s->search.step_data = progress;
    psal_status status = psal_neighbors_of_samples(&s->source, &s->search, r->queries, r->report.query_count,
                                                   r->neighbors, err);
    psal_progress_finish(progress);
    s->search.step = NULL;
    s->search.step_data = NULL;
    return status;
}

/* ---- all of it ---- */

static psal_status find(run *r, psal_error *err) {
    psal_compared_store *s = &r->compared;
    const char *image = psal_options_string(s->options, "image-path");
    size_t queries = psal_options_count(s->options, "query");
    if (image && queries) return psal_fail(err, PSAL_ERR_ARGUMENT, "give only one of --query and --image-path");
    if (!image && !queries)
        return psal_fail(
            err, PSAL_ERR_ARGUMENT,
            "whose neighbours? Give --query N, a sample of the store, or --image-path FILE (psal-neighbors "
            "kinds sorts all mistakes of the store)");
    psal_status status = image ? profile_image(r, image, err) : PSAL_OK;
    for (size_t i = 0; i < queries && status == PSAL_OK; i++)
        status = parse_query(r, psal_options_string_at(s->options, "query", i), err);
    if (status == PSAL_OK && !image && r->report.query_count == 0)
        status = psal_fail(err, PSAL_ERR_ARGUMENT, "--query: none of the samples has a profile");
    if (status == PSAL_OK) status = psal_compared_store_standardize(s, err);
    if (status != PSAL_OK) return status;
    if (image && s->mode == PSAL_MODE_POT) psal_tail_score_range(s->statistics->tail, 0, s->store.length, r->profile);
    if (image) r->report.query_count = 1;
    s->search.top = r->report.top = psal_options_int(s->options, "top");
    r->report.queries = image ? NULL : r->queries;
    if (r->report.query_count > INT64_C(1000000000) / s->search.top)
        return psal_fail(err, PSAL_ERR_ARGUMENT, "%" PRId64 " queries x --top %" PRId64 " are too many",
                         r->report.query_count, s->search.top);
    r->report.neighbors = r->neighbors = malloc((size_t)(r->report.query_count * s->search.top) * sizeof *r->neighbors);
    if (!r->neighbors) return out_of_memory(err);
    if (image) {
        status = psal_neighbors_of_profile(&s->source, &s->search, r->profile, r->neighbors, err);
        if (status == PSAL_OK) note_itself(r);
        return status;
    }
    return search_samples(r, err);
}

static psal_status write_results(run *r, psal_error *err) {
    psal_compared_store *s = &r->compared;
    psal_hub_summary summary;
    const char *csv = psal_options_string(s->options, "csv"), *sheet = psal_options_string(s->options, "sheet");
    psal_status status = psal_neighbor_summarize(&r->report, &summary, err);
    if (status == PSAL_OK && csv) status = psal_neighbor_write_csv(&r->report, csv, err);
    if (status == PSAL_OK && sheet) {
        int64_t shown;
        status = psal_neighbor_write_sheet(&r->report, sheet, s, &shown, err);
        if (status == PSAL_OK && shown < r->report.query_count && !psal_options_flag(s->options, "quiet"))
            psal_print(stderr, "%s: note: %s shows the first %" PRId64 " of %" PRId64 " queries\n",
                       psal_neighbors_program.name, sheet, shown, r->report.query_count);
    }
    if (status != PSAL_OK) return status;
    if (psal_options_flag(s->options, "json")) return psal_neighbor_print_json(&r->report, &summary, err);
    psal_neighbor_print(&r->report, &summary);
    if (!psal_options_flag(s->options, "quiet")) psal_print(stdout, "statistics: %s\n", s->statistics_name);
    psal_print_written(&psal_neighbors_program, s->options);
    return PSAL_OK;
}

static psal_status refuse_idle(const psal_options *options, psal_error *err) {
    static const char *const of_kinds[] = {"kinds", "seed", NULL};
    const char *other = psal_options_given_of(options, of_kinds, true);
    if (other) return psal_fail(err, PSAL_ERR_ARGUMENT, "--%s is an option of psal-neighbors kinds", other);
    return psal_figure_style_check(options, psal_options_has(options, "sheet"), "without --sheet", err);
}

static psal_status find_neighbors(run *r, psal_error *err) {
    r->report.compared = &r->compared;
    psal_status status = refuse_idle(r->compared.options, err);
    if (status == PSAL_OK) status = psal_compared_store_open(&r->compared, err);
    if (status == PSAL_OK) status = find(r, err);
    return status == PSAL_OK ? write_results(r, err) : status;
}

static psal_similarity similarity_of(const psal_options *options, psal_similarity otherwise) {
    static const psal_similarity similarities[] = {PSAL_SIMILARITY_COSINE, PSAL_SIMILARITY_PEARSON,
                                                   PSAL_SIMILARITY_NORMALIZED, PSAL_SIMILARITY_ROOTS};
    return psal_options_has(options, "similarity") ? similarities[psal_options_choice(options, "similarity")]
                                                   : otherwise;
}

static int work(const psal_options *options, psal_error *err) {
    run r = {.compared = {.options = options, .program = &psal_neighbors_program}};
    const bool kinds = psal_options_argument_count(options) > 0;
    psal_status done;
    r.compared.search.similarity = similarity_of(options, kinds ? PSAL_SIMILARITY_ROOTS : PSAL_SIMILARITY_PEARSON);
    if (!kinds)
        done = find_neighbors(&r, err);
    else if (strcmp(psal_options_argument(options, 0), "kinds") == 0)
        done = psal_neighbors_kinds(&r.compared, err);
    else
        done = psal_fail(err, PSAL_ERR_ARGUMENT, "'%s' is not understood: only kinds is",
                         psal_options_argument(options, 0));
    const int status = psal_skipped_finish(&r.compared.skipped, psal_neighbors_program.name,
                                           (size_t)r.compared.store.samples, done, err);
    free(r.queries);
    free(r.profile);
    free(r.report.itself);
    free(r.neighbors);
    psal_compared_store_close(&r.compared);
    return status;
}

int main(int argc, char **argv) {
    return psal_program_main(&psal_neighbors_program, argc, argv, work);
}
