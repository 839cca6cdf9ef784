/* Redrawn weights: of each layer its own distribution, the same for equal seeds; and that a profile with them is that
 * of the network that has them. */
#include "saliency/randomize.h"

#include "tests/unit/saliency/edits.h"

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

START_TEST(test_distribution) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, "resnet18", 3);
    for (int how = PSAL_REDRAW_PERMUTE; how <= PSAL_REDRAW_NORMAL; how++) {
        psal_redrawn *one = psal_redrawn_new(n.model, (psal_redraw)how, 1, &err),
                     *same = psal_redrawn_new(n.model, (psal_redraw)how, 1, &err),
                     *other = psal_redrawn_new(n.model, (psal_redraw)how, 2, &err);
        ck_assert(one && same && other);
        int layers = 0;
        for (int i = 0; i < psal_model_parameter_count(n.model); i++) {
            const psal_model_parameter *p = psal_model_get_parameter(n.model, i);
            const float *values = psal_redrawn_values(one)[i];
            ck_assert_int_eq(values != NULL, p->shape.ndim > 1);
            if (!values) continue;
            layers++;
            const size_t count = (size_t)psal_shape_count(&p->shape);
            ck_assert_mem_eq(values, psal_redrawn_values(same)[i], count * sizeof *values);
            ck_assert(memcmp(values, psal_redrawn_values(other)[i], count * sizeof *values) != 0);
            ck_assert(memcmp(values, p->values, count * sizeof *values) != 0);
            if (how == PSAL_REDRAW_PERMUTE) {
                float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b);
                memcpy(a, values, count * sizeof *a);
                memcpy(b, p->values, count * sizeof *b);
                qsort(a, count, sizeof *a, ascending);
                qsort(b, count, sizeof *b, ascending);
                ck_assert_mem_eq(a, b, count * sizeof *a);
                free(a);
                free(b);
            } else if (count >= 100) {
                double mean[2] = {0}, variance[2] = {0};
                for (size_t j = 0; j < count; j++) {
                    mean[0] += p->values[j] / (double)count;
                    mean[1] += values[j] / (double)count;
                }
                for (size_t j = 0; j < count; j++) {
                    variance[0] += pow(p->values[j] - mean[0], 2) / (double)count;
                    variance[1] += pow(values[j] - mean[1], 2) / (double)count;
                }
                ck_assert_double_eq_tol(mean[1], mean[0], 5 * sqrt(variance[0] / (double)count));
                ck_assert_double_eq_tol(variance[1] / variance[0], 1, 6 / sqrt((double)count));
            }
        }
        ck_assert_int_gt(layers, 10);
        psal_redrawn_free(one);
        psal_redrawn_free(same);
        psal_redrawn_free(other);
    }
    close_small(&n);
}
END_TEST

START_TEST(test_values) {
    small_network n;
    psal_error err = PSAL_ERROR_INIT;
    open_small(&n, "resnet18", 4);
    psal_redrawn *redrawn = psal_redrawn_new(n.model, PSAL_REDRAW_PERMUTE, 1, &err);
    psal_saliency_options options = {.height = SIDE, .width = SIDE, .input_saliency = true};
    psal_saliency *saliency = psal_saliency_new(n.model, &options, &err);
    psal_saliency_worker *worker = psal_saliency_worker_new(saliency, &err);
    const size_t length = (size_t)n.filters, image = sizeof n.image / sizeof n.image[0];
    float *profile = malloc(3 * length * sizeof *profile), *gradient = malloc(3 * image * sizeof *gradient);
    double *target = malloc(length * sizeof *target);
    ck_assert(redrawn && worker && profile && gradient && target);
    for (size_t i = 0; i < length; i++) target[i] = i % 7 == 0 ? 3 : 1;
    for (int run = 0; run < 3; run++) { /* as it is, redrawn, as it was */
        ck_assert_int_eq(psal_saliency_set_values(worker, run == 1 ? psal_redrawn_values(redrawn) : NULL, &err),
                         PSAL_OK);
        ck_assert_msg(psal_saliency_profile(worker, n.image, 1, 0, profile + (size_t)run * length, &err) == PSAL_OK,
                      "%s", err.message);
        ck_assert_int_eq(psal_saliency_input(worker, NULL, NULL, target, gradient + (size_t)run * image, NULL, &err),
                         PSAL_OK);
    }
    ck_assert_mem_eq(profile, profile + 2 * length, length * sizeof *profile);
    ck_assert_mem_eq(gradient, gradient + 2 * image, image * sizeof *gradient);
    ck_assert(memcmp(profile, profile + length, length * sizeof *profile) != 0);
    /* The network that has these weights. */
    psal_tensor_map *map = psal_model_export(n.model, psal_redrawn_values(redrawn), &err);
    psal_model *model = map ? psal_model_load(map, NULL, NULL, &err) : NULL;
    psal_saliency *whole = model ? psal_saliency_new(model, &options, &err) : NULL;
    psal_saliency_worker *other = whole ? psal_saliency_worker_new(whole, &err) : NULL;
    ck_assert_msg(other != NULL, "%s", err.message);
    ck_assert_int_eq(psal_saliency_profile(other, n.image, 1, 0, profile, &err), PSAL_OK);
    ck_assert_int_eq(psal_saliency_input(other, NULL, NULL, target, gradient, NULL, &err), PSAL_OK);
    ck_assert_mem_eq(profile, profile + length, length * sizeof *profile);
    ck_assert_mem_eq(gradient, gradient + image, image * sizeof *gradient);
    psal_saliency_worker_free(other);
    psal_saliency_free(whole);
    psal_model_free(model);
    psal_tensor_map_free(map);
    psal_saliency_worker_free(worker);
    psal_saliency_free(saliency);
    psal_redrawn_free(redrawn);
    free(profile);
    free(gradient);
    free(target);
    close_small(&n);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("randomize");
    TCase *tcase = tcase_create("randomize");
    tcase_add_test(tcase, test_distribution);
    tcase_add_test(tcase, test_values);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
