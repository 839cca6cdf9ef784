/* Tests saliency/saliency.h: input saliency against finite differences of the cosine, and where there is none. */
#include "saliency/tail.h"
#include "tests/unit/saliency/saliency_fixture.h"

static double cosine(const float *s, const double *shift, const double *scale, const double *target, int64_t n) {
    double dot = 0, ss = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = ((double)s[i] - shift[i]) / scale[i], b = target[i];
        dot += v * b, ss += v * v, bb += b * b;
    }
    return dot / sqrt(ss * bb);
}

/* Batch normalisation moves every channel away from the kink of its ReLU (a few below it), so that a finite step
 * crosses none: a profile jumps there, and differences would not converge to the derivative. */
static void avoid_kinks(fixture *f) {
    for (size_t i = 0; i < psal_tensor_map_count(f->map); i++) {
        const char *name = psal_tensor_map_name(f->map, i);
        const psal_tensor *tensor = psal_tensor_map_at(f->map, i);
        bool scale = strstr(name, "bn") && strstr(name, ".weight"), shift = strstr(name, "bn") && strstr(name, ".bias");
        for (int64_t k = 0; (scale || shift) && k < tensor->shape.dim[0]; k++)
            ((float *)tensor->data)[k] = scale ? 0.08f : k % 4 == 3 ? -2 : 2 + 0.1f * (float)k;
    }
    psal_model_free(f->model);
    f->model = load(f->map, NULL);
}

START_TEST(input_saliency_matches_finite_differences) {
    fixture *f = make("resnet18", 0.125);
    avoid_kinks(f);
    psal_saliency_options options = {.input_saliency = true,
                                     .conv = {.method = PSAL_CONV2D_DIRECT},
                                     .is_signed = _i == 1,
                                     .gradient_weight = _i == 2,
                                     .loss = PSAL_LOSS_CROSS_ENTROPY};
    psal_saliency *s = saliency_of(f, options);
    psal_saliency_worker *w = worker_of(s);
    int64_t n = psal_saliency_length(s), pixels = 3 * HEIGHT * WIDTH;
    float *profile = malloc((size_t)n * sizeof(float));
    double *shift = malloc((size_t)n * sizeof(double)), *scale = malloc((size_t)n * sizeof(double));
    double *target = malloc((size_t)n * sizeof(double));
    float *gradient = malloc((size_t)pixels * sizeof(float)), *moved = malloc((size_t)pixels * sizeof(float)), m;
    psal_error err = PSAL_ERROR_INIT;
    profile_into(w, f->image, 3, 0, profile);
    for (int64_t i = 0; i < n; i++) {
        shift[i] = profile[i] * (0.5f + 0.3f * sinf((float)i));
        scale[i] = fabsf(profile[i]) * 0.5f + 1e-5f;
        target[i] = (profile[i] - shift[i]) / scale[i] * (i % 20 == 0 ? 20 : 1);
    }
    ck_assert_msg(psal_saliency_input(w, shift, scale, target, gradient, &m, &err) == PSAL_OK, "%s", err.message);
    ck_assert_double_eq_tol(m, cosine(profile, shift, scale, target, n), 1e-5);
    double norm = 0, change = 0, step = 0.02;
    for (int64_t i = 0; i < pixels; i++) norm += (double)gradient[i] * gradient[i];
    norm = sqrt(norm);
    ck_assert_double_gt(norm, 1e-4);
    for (int side = -1; side <= 1; side += 2) {
        for (int64_t i = 0; i < pixels; i++) moved[i] = f->image[i] + (float)(side * step * gradient[i] / norm);
        profile_into(w, moved, 3, 0, profile);
        change += side * cosine(profile, shift, scale, target, n);
    }
    ck_assert_msg(fabs(change / (2 * step) - norm) <= 0.05 * norm, "differences %g, gradient %g", change / (2 * step),
                  norm);
    free(profile);
    free(shift);
    free(scale);
    free(target);
    free(gradient);
    free(moved);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    fixture_free(f);
}
END_TEST

/* The same through scores of peaks over threshold: half of the entries above their thresholds, half below. */
static psal_tail *tail_around(const float *profile, int64_t n) {
    psal_tail *t = psal_tail_new(n, NULL);
    t->samples = 1000;
    t->quantile = 0.9;
    for (int64_t i = 0; i < n; i++) {
        const double least = (i % 2 ? 0.52 : 0.1) * profile[i], threshold = (i % 2 ? 1.4 : 0.6) * profile[i];
        for (int k = 0; k < PSAL_TAIL_KNOTS; k++)
            t->knots[i * PSAL_TAIL_KNOTS + k] = least + (threshold - least) * k / (PSAL_TAIL_KNOTS - 1);
        t->rate[i] = 0.1;
        t->shape[i] = i % 3 ? 0.4 : -0.3;
        t->scale[i] = 0.3 * profile[i];
    }
    return t;
}

START_TEST(input_saliency_of_scores_matches_finite_differences) {
    fixture *f = make("resnet18", 0.125);
    avoid_kinks(f);
    psal_saliency *s = saliency_of(
        f, (psal_saliency_options){.input_saliency = true, .conv = {.method = PSAL_CONV2D_DIRECT}});
    psal_saliency_worker *w = worker_of(s);
    int64_t n = psal_saliency_length(s), pixels = 3 * HEIGHT * WIDTH;
    float *profile = malloc((size_t)n * sizeof(float));
    double *shift = malloc((size_t)n * sizeof(double)), *scale = malloc((size_t)n * sizeof(double));
    double *target = malloc((size_t)n * sizeof(double)), *score = malloc((size_t)n * sizeof(double));
    float *gradient = malloc((size_t)pixels * sizeof(float)), *moved = malloc((size_t)pixels * sizeof(float)), m;
    psal_error err = PSAL_ERROR_INIT;
    profile_into(w, f->image, 3, 0, profile);
    psal_tail *t = tail_around(profile, n);
    psal_tail_score(t, profile, score);
    psal_tail_map(t, profile, shift, scale);
    for (int64_t i = 0; i < n; i++) target[i] = score[i] * (i % 20 == 0 ? 20 : 1);
    ck_assert_msg(psal_saliency_input(w, shift, scale, target, gradient, &m, &err) == PSAL_OK, "%s", err.message);
    double norm = 0, change = 0, step = 0.005;
    for (int64_t i = 0; i < pixels; i++) norm += (double)gradient[i] * gradient[i];
    norm = sqrt(norm);
    ck_assert_double_gt(norm, 1e-4);
    for (int side = -1; side <= 1; side++) {
        double dot = 0, ss = 0, bb = 0;
        for (int64_t i = 0; i < pixels; i++) moved[i] = f->image[i] + (float)(side * step * gradient[i] / norm);
        profile_into(w, moved, 3, 0, profile);
        psal_tail_score(t, profile, score);
        for (int64_t i = 0; i < n; i++)
            dot += score[i] * target[i], ss += score[i] * score[i], bb += target[i] * target[i];
        if (side == 0) ck_assert_double_eq_tol(dot / sqrt(ss * bb), m, 1e-6);
        change += side * dot / sqrt(ss * bb);
    }
    ck_assert_msg(fabs(change / (2 * step) - norm) <= 0.05 * norm, "differences %g, gradient %g", change / (2 * step),
                  norm);
    psal_tail_free(t);
    free(profile);
    free(shift);
    free(scale);
    free(target);
    free(score);
    free(gradient);
    free(moved);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    fixture_free(f);
}
END_TEST

/* No map, and why. */
static void no_map(const fixture *f, psal_saliency_options options, const double *scale, double boost, int label,
                   const char *why) {
    options.input_saliency = true;
    psal_saliency *s = saliency_of(f, options);
    psal_saliency_worker *w = worker_of(s);
    int64_t n = psal_saliency_length(s);
    float *profile = malloc((size_t)n * sizeof *profile), *gradient = malloc(3 * HEIGHT * WIDTH * sizeof *gradient), m;
    double *target = malloc((size_t)n * sizeof *target);
    psal_error err = PSAL_ERROR_INIT;
    profile_into(w, f->image, label, 1, profile);
    for (int64_t i = 0; i < n; i++) target[i] = profile[i] / (scale ? scale[i] : 1) * boost;
    ck_assert_int_eq(psal_saliency_input(w, NULL, scale, target, gradient, &m, &err), PSAL_ERR_NUMERIC);
    ck_assert_msg(strstr(err.message, why) != NULL, "%s", err.message);
    ck_assert_ptr_null(strstr(err.message, "nan"));
    free(profile);
    free(gradient);
    free(target);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
}

START_TEST(maps_that_do_not_exist_are_refused) {
    const psal_saliency_options options = {0};
    fixture *f = make("resnet18", 0.125);
    no_map(f, options, NULL, 1, 2, "their cosine is 1 whatever the pixels are");
    no_map(f, options, NULL, 7, 2, "their cosine is 1 whatever the pixels are");
    no_map(f, options, NULL, -1, 2, "their cosine is -1 whatever the pixels are");
    no_map(f, options, NULL, 0, 2, "the boosted profile is all zeros");
    /* logits that depend on no filter */
    float *weight = floats(f->map, "fc.weight"), *bias = floats(f->map, "fc.bias");
    int64_t count = psal_shape_count(&psal_tensor_map_get(f->map, "fc.weight")->shape);
    memset(weight, 0, (size_t)count * sizeof *weight);
    psal_model_free(f->model);
    f->model = load(f->map, NULL);
    no_map(f, options, NULL, 100, 2, "no parameter changes the loss");
    /* a certain network: the cross-entropy is exactly 0 */
    bias[2] = 1e4f;
    for (int64_t i = 0; i < count; i++) weight[i] = 1e-3f * (float)(i % 5);
    psal_model_free(f->model);
    f->model = load(f->map, NULL);
    no_map(f, options, NULL, 100, 2, "no parameter changes the loss");
    /* all of the last layer's units are off: the image does not reach the logits */
    fill(f->map);
    float *scale = floats(f->map, "layer4.1.bn2.weight"), *shift = floats(f->map, "layer4.1.bn2.bias");
    for (int64_t i = 0; i < psal_tensor_map_get(f->map, "layer4.1.bn2.bias")->shape.dim[0]; i++)
        scale[i] = 0, shift[i] = -1e6f;
    psal_model_free(f->model);
    f->model = load(f->map, NULL);
    no_map(f, (psal_saliency_options){.loss = PSAL_LOSS_LOGIT}, NULL, 100, 2, "no parameter changes the loss");
    fixture_free(f);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("saliency/input_saliency");
    TCase *tests = tcase_create("input_saliency");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, input_saliency_matches_finite_differences, 0, 3);
    tcase_add_test(tests, input_saliency_of_scores_matches_finite_differences);
    tcase_add_test(tests, maps_that_do_not_exist_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
