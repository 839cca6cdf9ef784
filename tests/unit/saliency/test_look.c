/* The places where filters answer most and least, against a search through all of their activations. */
#include "saliency/look.h"

#include "saliency/random.h"
#include "saliency_fixture.h"

enum { SAMPLES = 40, PIXELS = 3 * HEIGHT * WIDTH, K = 5, COUNT = 6, BAD = 11, COPY = 9, ORIGINAL = 4 };

/* Of the first convolution, in the middle, the last one, one of them twice. */
static const int64_t filters[COUNT] = {0, 3, 40, 77, 40, 299};

static psal_look *look_of(const fixture *f, const int64_t *which, int64_t count, int threads) {
    psal_error err = PSAL_ERROR_INIT;
    const psal_look_options options = {.height = HEIGHT, .width = WIDTH, .threads = threads};
    psal_look *look = psal_look_new(f->model, which, count, &options, &err);
    ck_assert_msg(look != NULL, "%s", err.message);
    return look;
}

static psal_status load_sample(void *data, int64_t index, float *image, int *label, psal_error *err) {
    (void)data;
    if (index == BAD) return psal_fail(err, PSAL_ERR_FORMAT, "sample %d is broken", (int)index);
    psal_random random = {(uint64_t)(index == COPY ? ORIGINAL : index) + 1};
    const double contrast = index == COPY || index == ORIGINAL ? 3 : 1; /* among the largest and smallest */
    for (int i = 0; i < PIXELS; i++) image[i] = (float)(contrast * psal_random_normal(&random));
    *label = (int)(index % CLASSES);
    return PSAL_OK;
}

typedef struct counts {
    int bad, steps, ahead[SAMPLES], pauses;
    bool refuse;
} counts;

static psal_status leave_out(void *data, int64_t index, const psal_error *why, psal_error *err) {
    counts *c = data;
    ck_assert_int_eq(index, BAD);
    ck_assert_str_eq(why->message, "sample 11 is broken");
    c->bad++;
    return c->refuse ? psal_fail(err, PSAL_ERR_FORMAT, "no more of them") : PSAL_OK;
}
static void step(void *data) {
#pragma omp atomic
    ((counts *)data)->steps++;
}
static void ahead(void *data, int64_t index) {
#pragma omp atomic
    ((counts *)data)->ahead[index]++;
}
static psal_status breathe(void *data, psal_error *err) {
    (void)err;
    ((counts *)data)->pauses++;
    return PSAL_OK;
}

static psal_look_run run_of(counts *c) {
    return (psal_look_run){.end = SAMPLES,
                           .data = c,
                           .load = load_sample,
                           .ahead = ahead,
                           .bad = leave_out,
                           .step = step,
                           .pause = breathe};
}

/* What filter `filter` gives for an image, by a plan of its own: [rows][columns]. */
static float *map_of(const fixture *f, int64_t filter, const float *image, int *rows, int *columns) {
    psal_graph *g = psal_graph_new();
    psal_network network;
    int64_t channel;
    ck_assert_int_eq(psal_model_build(f->model, g, 1, HEIGHT, WIDTH, &network, NULL), PSAL_OK);
    const int parameter = psal_model_unit_parameter(f->model, PSAL_UNITS_FILTERS, filter, &channel);
    psal_node node = psal_graph_reader(g, network.parameters[parameter]);
    const psal_plan_options options = {.outputs = {&node}, .output_count = {1}, .stages = 1};
    psal_plan *plan = psal_plan_new(g, &options, NULL);
    ck_assert_int_eq(psal_model_bind(f->model, &network, plan, NULL), PSAL_OK);
    psal_workspace *ws = psal_workspace_new(plan, NULL);
    ck_assert_int_eq(psal_workspace_set(ws, network.image, image, NULL), PSAL_OK);
    ck_assert_int_eq(psal_workspace_run(ws, 0, NULL), PSAL_OK);
    const psal_shape *shape = psal_graph_shape(g, node);
    *rows = (int)shape->dim[2];
    *columns = (int)shape->dim[3];
    const size_t size = (size_t)(*rows * *columns) * sizeof(float);
    float *map = malloc(size);
    memcpy(map, psal_workspace_get(ws, node) + channel * *rows * *columns, size);
    psal_workspace_free(ws);
    psal_plan_free(plan);
    psal_network_free(&network);
    psal_graph_free(g);
    return map;
}

START_TEST(one_image_is_searched_through) {
    fixture *f = make("resnet18", 0.0625);
    psal_look *look = look_of(f, filters, COUNT, 1);
    psal_look_hit hits[COUNT][PSAL_LOOK_ENDS];
    ck_assert_int_eq(psal_look_image(look, f->image, hits[0], NULL), PSAL_OK);
    for (int i = 0; i < COUNT; i++) {
        int rows, columns, map_rows, map_columns;
        float *map = map_of(f, filters[i], f->image, &rows, &columns);
        psal_look_map_size(look, i, &map_rows, &map_columns);
        ck_assert(psal_look_has(look, i) && map_rows == rows && map_columns == columns);
        for (int end = 0; end < PSAL_LOOK_ENDS; end++) {
            const psal_look_hit *hit = &hits[i][end];
            ck_assert(hit->activation == map[hit->row * columns + hit->column]);
            for (int at = 0; at < rows * columns; at++) {
                const bool beyond = end == PSAL_LOOK_LARGEST ? map[at] > hit->activation : map[at] < hit->activation;
                ck_assert(!beyond && (map[at] != hit->activation || at >= hit->row * columns + hit->column));
            }
            ck_assert(hit->top >= 0 && hit->left >= 0 && hit->height >= 1 && hit->width >= 1 &&
                      hit->top + hit->height <= HEIGHT && hit->left + hit->width <= WIDTH);
        }
        free(map);
    }
    psal_look_free(look);
    fixture_free(f);
}
END_TEST

/* What lies outside of its box has no part in an activation, what lies inside has. */
START_TEST(the_box_is_what_is_seen) {
    fixture *f = make("resnet18", 0.0625);
    const int64_t first = 2; /* 7x7, stride 2, padding 3 */
    psal_look *look = look_of(f, &first, 1, 1);
    psal_look_hit hit[PSAL_LOOK_ENDS], again[PSAL_LOOK_ENDS];
    ck_assert_int_eq(psal_look_image(look, f->image, hit, NULL), PSAL_OK);
    const psal_look_hit *h = &hit[PSAL_LOOK_LARGEST];
    ck_assert_int_eq(h->top, h->row * 2 > 3 ? h->row * 2 - 3 : 0);
    ck_assert_int_eq(h->left, h->column * 2 > 3 ? h->column * 2 - 3 : 0);
    float *image = calloc(PIXELS, sizeof *image);
    for (int c = 0; c < 3; c++)
        for (int y = h->top; y < h->top + h->height; y++)
            for (int x = h->left; x < h->left + h->width; x++)
                image[(c * HEIGHT + y) * WIDTH + x] = f->image[(c * HEIGHT + y) * WIDTH + x];
    ck_assert_int_eq(psal_look_image(look, image, again, NULL), PSAL_OK);
    int rows, columns;
    float *map = map_of(f, first, image, &rows, &columns);
    ck_assert(map[h->row * columns + h->column] == h->activation);
    free(map);
    free(image);
    psal_look_free(look);
    fixture_free(f);
}
END_TEST

/* The hits of a data set, from those of each image. */
static void search(const fixture *f, psal_look_hit expected[COUNT][PSAL_LOOK_ENDS][K]) {
    psal_look *look = look_of(f, filters, COUNT, 1);
    float *image = malloc(PIXELS * sizeof *image);
    psal_look_hit(*all)[COUNT][PSAL_LOOK_ENDS] = calloc(SAMPLES, sizeof *all);
    for (int s = 0; s < SAMPLES; s++) {
        int label = -1;
        if (load_sample(NULL, s, image, &label, NULL) != PSAL_OK) continue;
        ck_assert_int_eq(psal_look_image(look, image, all[s][0], NULL), PSAL_OK);
        for (int i = 0; i < COUNT; i++)
            for (int end = 0; end < PSAL_LOOK_ENDS; end++) all[s][i][end].sample = s, all[s][i][end].label = label;
    }
    for (int i = 0; i < COUNT; i++)
        for (int end = 0; end < PSAL_LOOK_ENDS; end++) {
            bool taken[SAMPLES] = {[BAD] = true};
            for (int k = 0; k < K; k++) {
                int best = -1;
                for (int s = 0; s < SAMPLES; s++) {
                    if (taken[s]) continue;
                    const float now = all[s][i][end].activation, most = best < 0 ? 0 : all[best][i][end].activation;
                    if (best < 0 || (end == PSAL_LOOK_LARGEST ? now > most : now < most)) best = s;
                }
                taken[best] = true;
                expected[i][end][k] = all[best][i][end];
            }
        }
    free(all);
    free(image);
    psal_look_free(look);
}

START_TEST(a_data_set_is_searched_in_one_pass) {
    fixture *f = make("resnet18", 0.0625);
    static psal_look_hit expected[COUNT][PSAL_LOOK_ENDS][K], hits[COUNT][PSAL_LOOK_ENDS][K];
    search(f, expected);
    bool tied = false;
    for (int threads = 1; threads <= 3; threads++) {
        psal_look *look = look_of(f, filters, COUNT, threads);
        counts c = {0};
        const psal_look_run run = run_of(&c);
        memset(hits, 1, sizeof hits);
        ck_assert_int_eq(psal_look_over(look, &run, K, hits[0][0], NULL), PSAL_OK);
        for (int i = 0; i < COUNT; i++)
            for (int end = 0; end < PSAL_LOOK_ENDS; end++)
                for (int k = 0; k < K; k++) {
                    ck_assert_mem_eq(&hits[i][end][k], &expected[i][end][k], sizeof **expected[i]);
                    tied |= k > 0 && hits[i][end][k].activation == hits[i][end][k - 1].activation &&
                            hits[i][end][k - 1].sample == ORIGINAL && hits[i][end][k].sample == COPY;
                }
        ck_assert_int_eq(c.bad, 1);
        ck_assert_int_eq(c.steps, SAMPLES);
        ck_assert_int_ge(c.pauses, 1);
        for (int s = 0; s < SAMPLES; s++) ck_assert_int_eq(c.ahead[s], 1);
        psal_look_free(look);
    }
    ck_assert(tied); /* there was a tie, and the earlier one came first */
    fixture_free(f);
}
END_TEST

START_TEST(fewer_images_and_bad_ones) {
    fixture *f = make("resnet18", 0.0625);
    psal_look *look = look_of(f, filters, COUNT, 2);
    static psal_look_hit hits[COUNT][PSAL_LOOK_ENDS][K];
    counts c = {0};
    psal_look_run run = run_of(&c);
    run.first = BAD - 1;
    run.end = BAD + 2;
    ck_assert_int_eq(psal_look_over(look, &run, K, hits[0][0], NULL), PSAL_OK);
    for (int i = 0; i < COUNT * PSAL_LOOK_ENDS; i++) {
        const psal_look_hit *list = hits[i / PSAL_LOOK_ENDS][i % PSAL_LOOK_ENDS];
        ck_assert(list[0].sample == BAD - 1 || list[0].sample == BAD + 1);
        ck_assert(list[1].sample == 2 * BAD - list[0].sample);
        for (int k = 2; k < K; k++) ck_assert_int_eq(list[k].sample, -1);
    }
    psal_error err = PSAL_ERROR_INIT;
    c.refuse = true;
    ck_assert_int_eq(psal_look_over(look, &run, K, hits[0][0], &err), PSAL_ERR_FORMAT);
    ck_assert_str_eq(err.message, "no more of them");
    run.bad = NULL;
    ck_assert_int_eq(psal_look_over(look, &run, K, hits[0][0], &err), PSAL_ERR_FORMAT);
    ck_assert_str_eq(err.message, "sample 11 is broken");
    run.end = run.first;
    ck_assert_int_eq(psal_look_over(look, &run, K, hits[0][0], &err), PSAL_OK);
    ck_assert_int_eq(hits[0][0][0].sample, -1);
    ck_assert_int_eq(psal_look_over(look, &run, 0, hits[0][0], &err), PSAL_ERR_ARGUMENT);
    psal_look_free(look);
    float *image = calloc(PIXELS, sizeof *image);
    image[5] = NAN;
    look = look_of(f, filters, COUNT, 1);
    ck_assert_int_eq(psal_look_image(look, image, hits[0][0], &err), PSAL_ERR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(err.message, "filter 0 of the network has the activation"));
    free(image);
    psal_look_free(look);
    const int64_t none = psal_model_get_info(f->model)->filter_count;
    ck_assert_ptr_null(psal_look_new(f->model, &none, 1, &(psal_look_options){0}, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_ARGUMENT);
    ck_assert_ptr_null(psal_look_new(f->model, &none, 0, &(psal_look_options){0}, &err));
    const psal_look_options tight = {.memory_limit = 1000};
    ck_assert_ptr_null(psal_look_new(f->model, filters, COUNT, &tight, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_MEMORY);
    fixture_free(f);
}
END_TEST

/* Filters of auxiliary classifiers are never computed; a bias is part of the activation; a negative scale is said. */
START_TEST(which_filters_have_what) {
    fixture *f = make("vgg11", 0.0625);
    const int64_t filter = 1;
    psal_look *look = look_of(f, &filter, 1, 1);
    psal_look_hit before[PSAL_LOOK_ENDS], after[PSAL_LOOK_ENDS];
    ck_assert_int_eq(psal_look_image(look, f->image, before, NULL), PSAL_OK);
    ck_assert(!psal_look_reversed(look, 0));
    psal_look_free(look);
    const int bias = psal_model_find_parameter(f->model, "features.0.bias");
    const psal_model_parameter *parameter = psal_model_get_parameter(f->model, bias);
    float values[64];
    for (int64_t i = 0; i < psal_shape_count(&parameter->shape); i++) values[i] = parameter->values[i] + 8;
    ck_assert_int_eq(psal_model_set_parameter(f->model, bias, values, NULL), PSAL_OK);
    look = look_of(f, &filter, 1, 1);
    ck_assert_int_eq(psal_look_image(look, f->image, after, NULL), PSAL_OK);
    ck_assert_float_eq_tol(after[PSAL_LOOK_LARGEST].activation, before[PSAL_LOOK_LARGEST].activation + 8, 1e-5f);
    psal_look_free(look);
    fixture_free(f);

    f = make("resnet18", 0.0625);
    const int scale = psal_model_find_parameter(f->model, "bn1.weight");
    parameter = psal_model_get_parameter(f->model, scale);
    for (int64_t i = 0; i < psal_shape_count(&parameter->shape); i++) values[i] = i == 1 ? -0.5f : 1;
    ck_assert_int_eq(psal_model_set_parameter(f->model, scale, values, NULL), PSAL_OK);
    const int64_t two[] = {0, 1};
    look = look_of(f, two, 2, 1);
    ck_assert(!psal_look_reversed(look, 0) && psal_look_reversed(look, 1));
    psal_look_free(look);
    fixture_free(f);

    f = make("inception_v3", 0.0625);
    int64_t auxiliary = -1;
    for (int i = 0; i < psal_model_parameter_count(f->model); i++) {
        parameter = psal_model_get_parameter(f->model, i);
        if (parameter->is_filter && !parameter->in_graph) auxiliary = parameter->first_unit[PSAL_UNITS_FILTERS];
    }
    ck_assert_int_ge(auxiliary, 0);
    psal_error err = PSAL_ERROR_INIT;
    look = psal_look_new(f->model, &auxiliary, 1, &(psal_look_options){0}, &err);
    ck_assert_msg(look != NULL, "%s", err.message);
    ck_assert(!psal_look_has(look, 0));
    ck_assert_int_eq(psal_look_image(look, f->image, after, NULL), PSAL_OK);
    ck_assert_int_eq(after[0].sample, -1);
    psal_look_free(look);
    fixture_free(f);
}
END_TEST

RUN_TESTS("saliency/look", one_image_is_searched_through, the_box_is_what_is_seen, a_data_set_is_searched_in_one_pass,
          fewer_images_and_bad_ones, which_filters_have_what)
