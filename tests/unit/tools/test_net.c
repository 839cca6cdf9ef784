/* Tests tools/net.h: two threads at once, tensors in memory, what is refused, and that everything is given back.
 * Numbers are compared with the programs' in tests/python. */
#include "tools/net.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"
#include "tests/unit/models/fixtures.h"
#include "tools/session.h"

enum { WORDS = 2 };
static const char *const words[WORDS] = {"--mode=naive", "--threads=1"};

static psal_net *open_box(void) {
    psal_error err = PSAL_ERROR_INIT;
    psal_net *net = psal_net_open(words, WORDS, NULL, &err);
    ck_assert_msg(net != NULL, "%s", err.message);
    return net;
}

static psal_net_explainer *open_explainer(psal_net *net) {
    psal_error err = PSAL_ERROR_INIT;
    psal_net_explainer *explainer = psal_net_explainer_open(net, words, WORDS, &err);
    ck_assert_msg(explainer != NULL, "%s", err.message);
    return explainer;
}

/* The box's coat, which is taken for a pullover. */
static psal_net_result *explain_coat(psal_net_explainer *explainer) {
    psal_error err = PSAL_ERROR_INIT;
    char path[4096];
    ck_assert_int_eq(psal_box_file(PSAL_DEFAULT_SAMPLE, path, &err), PSAL_OK);
    psal_net_result *result = psal_net_explain_file(explainer, path, "coat", NULL, NULL, &err);
    ck_assert_msg(result != NULL, "%s", err.message);
    return result;
}

static const float *naive_of(const psal_net_result *result, int64_t *length) {
    int dimensions;
    int64_t sizes[3];
    const float *naive = psal_net_result_array(result, "naive", &dimensions, sizes);
    ck_assert_ptr_nonnull(naive);
    ck_assert_int_eq(dimensions, 1);
    *length = sizes[0];
    return naive;
}

static void check_same(const psal_net_result *a, const psal_net_result *b) {
    int64_t length, other;
    const float *x = naive_of(a, &length), *y = naive_of(b, &other);
    ck_assert_int_eq(length, other);
    ck_assert_int_eq(memcmp(x, y, (size_t)length * sizeof *x), 0);
}

static void *explain_in_thread(void *data) {
    return explain_coat(data);
}

START_TEST(threads_share_a_net) {
    psal_net *net = open_box();
    psal_net_explainer *explainers[2] = {open_explainer(net), open_explainer(net)};
    pthread_t threads[2];
    void *results[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, explain_in_thread, explainers[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], &results[i]);
    check_same(results[0], results[1]);
    psal_net_explainer_rest(explainers[0]); /* and with memory that is taken anew */
    psal_net_result *again = explain_coat(explainers[0]);
    check_same(again, results[1]);
    psal_net_result_free(again);
    for (int i = 0; i < 2; i++) {
        psal_net_result_free(results[i]);
        psal_net_explainer_close(explainers[i]);
    }
    psal_net_close(net);
}
END_TEST

/* The same as tensors, whose names and numbers stay where they are. */
static psal_tensor_map *share(const psal_tensor_map *tensors) {
    psal_tensor_map *map = psal_tensor_map_new();
    psal_error err = PSAL_ERROR_INIT;
    for (size_t i = 0; i < psal_tensor_map_count(tensors); i++) {
        const psal_tensor *t = psal_tensor_map_at(tensors, i);
        ck_assert_int_eq(psal_net_add_tensor(map, psal_tensor_map_name(tensors, i), psal_dtype_name(t->dtype),
                                             t->shape.ndim, t->shape.dim, t->data, &err),
                         PSAL_OK);
    }
    return map;
}

START_TEST(tensors_are_a_network) {
    psal_error err = PSAL_ERROR_INIT;
    char path[4096];
    ck_assert_int_eq(psal_box_file(PSAL_DEFAULT_WEIGHTS, path, &err), PSAL_OK);
    psal_tensor_map *file = psal_checkpoint_read(path, NULL, &err);
    ck_assert_msg(file != NULL, "%s", err.message);
    char preprocess[300];
    snprintf(preprocess, sizeof preprocess, "--preprocess=%s", psal_tensor_map_meta(file, "psal.preprocess"));
    const char *const with[] = {words[0], words[1], preprocess, "--labels=fashion-mnist"};
    psal_net *box = open_box(), *net = psal_net_open(with, 4, share(file), &err);
    ck_assert_msg(net != NULL, "%s", err.message);
    psal_net_explainer *x = open_explainer(box), *y = psal_net_explainer_open(net, with, 4, &err);
    ck_assert_msg(y != NULL, "%s", err.message);
    psal_net_result *of_file = explain_coat(x);
    int dimensions;
    int64_t sizes[3];
    const float *input = psal_net_result_array(of_file, "input", &dimensions, sizes);
    psal_net_result *of_input = psal_net_explain_input(y, "array", input, (int)sizes[0], (int)sizes[1], (int)sizes[2],
                                                       "coat", NULL, NULL, &err);
    ck_assert_msg(of_input != NULL, "%s", err.message);
    check_same(of_file, of_input);
    psal_net_result_free(of_file);
    psal_net_result_free(of_input);
    psal_net_explainer_close(x);
    psal_net_explainer_close(y);
    psal_net_close(box);
    psal_net_close(net);
    psal_tensor_map_free(file);
}
END_TEST

START_TEST(filters_are_changed) {
    psal_error err = PSAL_ERROR_INIT;
    psal_net *net = open_box();
    psal_net_explainer *explainer = open_explainer(net);
    psal_net_result *result = explain_coat(explainer);
    static const char *const prune[] = {"--k=3", "--choices=salient"}, *const several[] = {"--k=1,2"};
    psal_net_edit *off = psal_net_prune(result, prune, 2, NULL, NULL, &err),
                  *many = psal_net_prune(result, several, 1, NULL, NULL, &err),
                  *step = psal_net_finetune(result, prune, 2, &err);
    ck_assert_msg(off && many && step, "%s", err.message);
    char *text = psal_net_edit_json(off, &err);
    ck_assert_ptr_nonnull(strstr(text, "\"now_right\""));
    psal_net_free_text(text);
    int parameter = -1, dimensions, changed = 0;
    const char *name;
    const float *values;
    int64_t sizes[8];
    while (psal_net_edit_next(step, &parameter, &name, &values, &dimensions, sizes, &err) == PSAL_OK && name)
        changed += values != NULL && dimensions == 4;
    ck_assert_int_gt(changed, 0);
    ck_assert_int_eq(psal_net_edit_next(many, &parameter, &name, &values, &dimensions, sizes, &err), PSAL_ERR_ARGUMENT);
    psal_net_edit_free(off);
    psal_net_edit_free(many);
    psal_net_edit_free(step);
    psal_net_result_free(result);
    psal_net_explainer_close(explainer);
    psal_net_close(net);
}
END_TEST

START_TEST(neighbors_of_arrays) {
    enum { SAMPLES = 3, LENGTH = 4 };
    static const float profiles[SAMPLES * LENGTH] = {1, 2, 3, 5, 9, 1, 1, 2, 2, 4, 6, 9};
    static const int64_t queries[] = {0};
    psal_error err = PSAL_ERROR_INIT;
    int64_t found[SAMPLES];
    double similarities[SAMPLES];
    ck_assert_int_eq(psal_net_neighbors(profiles, SAMPLES, LENGTH, "cosine", NULL, NULL, NULL, 0, NULL, queries, 1,
                                        SAMPLES, 1, found, similarities, &err),
                     PSAL_OK);
    ck_assert_int_eq(found[0], 2);
    ck_assert_int_eq(found[1], 1);
    ck_assert_int_eq(found[2], -1); /* there are no more */
    ck_assert_int_eq(psal_net_neighbors(profiles, SAMPLES, LENGTH, "near", NULL, NULL, NULL, 0, NULL, queries, 1, 1, 1,
                                        found, similarities, &err),
                     PSAL_ERR_ARGUMENT);
}
END_TEST

/* Nothing is lost or freed twice, which the sanitizers see. */
START_TEST(refused) {
    static const char *const unknown[] = {"--no-such-setting"}, *const own[] = {"--out=x"}, *const word[] = {"word"},
                             *const help[] = {"--help"};
    psal_error err = PSAL_ERROR_INIT;
    const char *const *const wrong[] = {unknown, own, word, help};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_ptr_null(psal_net_open(wrong[i], 1, psal_tensor_map_new(), &err));
        ck_assert_int_eq(err.status, PSAL_ERR_ARGUMENT);
    }
    ck_assert_ptr_null(psal_net_open(NULL, 0, psal_tensor_map_new(), &err)); /* of no tensors */
    psal_net *net = open_box();
    static const char *const other[] = {"--mode=naive", "--threads=2"};
    ck_assert_ptr_null(psal_net_explainer_open(net, other, 2, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "--threads is a setting of the network"));
    ck_assert_ptr_null(psal_net_samples_list(net, NULL, NULL, 0, &err));
    psal_net_explainer *explainer = open_explainer(net);
    ck_assert_ptr_null(psal_net_explain_file(explainer, "not/there.png", "coat", NULL, NULL, &err));
    ck_assert_ptr_null(psal_net_explain_file(explainer, "not/there.png", "goat", NULL, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "goat"));
    psal_net_explainer_close(explainer);
    psal_net_close(net);
}
END_TEST

RUN_TESTS("tools/net", threads_share_a_net, tensors_are_a_network, filters_are_changed, neighbors_of_arrays, refused)
