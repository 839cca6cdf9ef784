#include "tools/self_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/checkpoint.h"
#include "saliency/saliency.h"
#include "tools/session.h"

enum { SIDE = 32, CHANNELS = 3, LABEL = 3, PIXELS = CHANNELS * SIDE * SIDE };

/* What was computed with plain C and OpenBLAS (--processor portable). PyTorch's numbers in double precision differ from
 * these by 6e-7 of the largest, those of every other processor's code by 4e-7. */
typedef struct expected_numbers {
    const char *what;
    int step; /* entry i of the list is number i * step */
    int count;
    double values[12];
} expected_numbers;

static const expected_numbers expected[] = {
    {"logit",
     1,
     10,
     {0.645008802, 2.06315899, 1.73373222, -0.516584933, -0.5147717, -1.9742471, 4.60158682, -4.54575157, 0.468470931,
      -1.93823528}},
    {"entry of the profile",
     101,
     12,
     {0.217686683, 0.0330484845, 0.0965186954, 0.0614500903, 0.228368074, 0.0118294694, 0.0355641209, 0.00981418602,
      0.00153940206, 0, 0.0016607166, 0.00104226731}},
    {"pixel of the input's gradient",
     257,
     12,
     {0.000538861845, 0.000457680988, -0.000349880342, 7.10231689e-05, -0.000227474651, 0.000120913901, 0.000241203321,
      5.05331118e-05, 0.000280326087, -0.000186176505, -0.000138009054, 0.000191038125}},
};

/* Smooth waves of other frequencies in every channel, in whole numbers: the same on every machine. */
static void make_image(float *image) {
    for (int c = 0; c < CHANNELS; c++)
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                image[(c * SIDE + y) * SIDE + x] = (float)((x * (y + c + 1) * 7 + x * x + 3 * y * y) % 97 - 48) / 32;
}

static psal_status compare(const expected_numbers *list, const float *numbers, psal_self_test *test, psal_error *err) {
    double largest = 0;
    for (int i = 0; i < list->count; i++) largest = fmax(largest, fabs(list->values[i]));
    for (int i = 0; i < list->count; i++) {
        const double number = (double)numbers[i * list->step], deviation = fabs(number - list->values[i]) / largest;
        if (!(deviation <= test->deviation)) test->deviation = deviation; /* or not a number */
        test->numbers++;
        if (!(deviation <= PSAL_SELF_TEST_TOLERANCE))
            return psal_fail(err, PSAL_ERR_NUMERIC, "the self-test fails: %s %d of %s is %.6g here, and %.6g elsewhere",
                             list->what, i * list->step, test->weights, number, list->values[i]);
    }
    return PSAL_OK;
}

static psal_status explain(const psal_saliency *saliency, psal_saliency_worker *worker, psal_self_test *test,
                           psal_error *err) {
    const int64_t length = psal_saliency_length(saliency);
    double *target = malloc((size_t)length * sizeof *target);
    float *image = malloc((2 * (size_t)PIXELS + (size_t)length) * sizeof *image), cosine;
    psal_status status = PSAL_OK;
    if (!target || !image) status = psal_fail(err, PSAL_ERR_MEMORY, "out of memory for the self-test");
    if (status == PSAL_OK) {
        float *gradient = image + PIXELS, *profile = gradient + PIXELS;
        for (int64_t i = 0; i < length; i++) target[i] = (double)(i % 5);
        make_image(image);
        status = psal_saliency_profile(worker, image, LABEL, 0, profile, err);
        if (status == PSAL_OK) status = compare(&expected[0], psal_saliency_logits(worker), test, err);
        if (status == PSAL_OK) status = compare(&expected[1], profile, test, err);
        if (status == PSAL_OK) status = psal_saliency_input(worker, NULL, NULL, target, gradient, &cosine, err);
        if (status == PSAL_OK) status = compare(&expected[2], gradient, test, err);
    }
    free(image);
    free(target);
    return status;
}

psal_status psal_self_test_run(psal_processor processor, psal_self_test *test, psal_error *err) {
    *test = (psal_self_test){0};
    const double start = psal_seconds();
    const psal_saliency_options options = {
        .height = SIDE, .width = SIDE, .input_saliency = true, .conv = {PSAL_CONV2D_AUTO, processor}, .few_runs = true};
    psal_saliency *saliency = NULL;
    psal_saliency_worker *worker = NULL;
    psal_tensor_map *checkpoint = NULL;
    psal_model *model = NULL;
    psal_status status = psal_box_file(PSAL_DEFAULT_WEIGHTS, test->weights, err);
    if (status == PSAL_OK && !(checkpoint = psal_checkpoint_read(test->weights, NULL, err)))
        status = psal_error_status(err);
    if (status == PSAL_OK && !(model = psal_model_load(checkpoint, NULL, NULL, err))) status = psal_error_status(err);
    if (model) snprintf(test->arch, sizeof test->arch, "%.60s", psal_model_get_info(model)->arch);
    if (status == PSAL_OK && !(saliency = psal_saliency_new(model, &options, err))) status = psal_error_status(err);
    if (status == PSAL_OK && !(worker = psal_saliency_worker_new(saliency, err))) status = psal_error_status(err);
    if (status == PSAL_OK) status = explain(saliency, worker, test, err);
    psal_saliency_worker_free(worker);
    psal_saliency_free(saliency);
    psal_model_free(model);
    psal_tensor_map_free(checkpoint);
    test->seconds = psal_seconds() - start;
    return status;
}
