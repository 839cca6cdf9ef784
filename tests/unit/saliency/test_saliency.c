/* Tests saliency/saliency.h: profiles against finite differences of the loss and against each other, bits, misuse.
 * Input saliency has test_input_saliency.c. */
#include "tests/unit/saliency/saliency_fixture.h"

/* The loss from the logits, in double. */
static double loss_of(const float *z, psal_loss loss, int label, int other) {
    double largest = z[0], sum = 0;
    for (int i = 1; i < CLASSES; i++) largest = z[i] > largest ? z[i] : largest;
    for (int i = 0; i < CLASSES; i++) sum += exp(z[i] - largest);
    if (loss == PSAL_LOSS_LOGIT) return z[label];
    if (loss == PSAL_LOSS_LOGIT_DIFFERENCE) return (double)z[other] - z[label];
    return log(sum) + largest - z[label];
}

/* The loss with `values` in parameter p. */
static double loss_with(const fixture *f, int p, const float *values, psal_loss loss, int label, int other) {
    ck_assert_int_eq(psal_model_set_parameter(f->model, p, values, NULL), PSAL_OK);
    psal_saliency *s = saliency_of(f, (psal_saliency_options){0});
    psal_saliency_worker *w = worker_of(s);
    ck_assert_int_eq(psal_saliency_forward(w, f->image, NULL), PSAL_OK);
    double result = loss_of(psal_saliency_logits(w), loss, label, other);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    return result;
}

/* ---- profiles ---- */

/* dL/dw of single filters: a small step along it changes the loss by its norm. Along a wrong vector it would not.
 * Loose, since a step of a size that float32 shows crosses a few kinks of ReLU and max pooling. */
START_TEST(gradients_match_finite_differences) {
    fixture *f = make("resnet18", 0.125);
    psal_loss loss = (psal_loss)_i;
    psal_saliency_options options = {.loss = loss, .aggregation = PSAL_AGGREGATION_PARAMETER, .is_signed = true};
    float *g = profile_of(f, options, 3, 1, NULL);
    const char *layers[] = {"conv1.weight",
                            "layer2.0.conv1.weight",
                            "layer2.0.downsample.0.weight",
                            "layer4.1.conv2.weight",
                            "bn1.weight",
                            "layer3.0.bn2.bias",
                            "fc.weight",
                            "fc.bias"};
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
        int p = psal_model_find_parameter(f->model, layers[l]);
        const psal_model_parameter *parameter = psal_model_get_parameter(f->model, p);
        int64_t n = psal_shape_count(&parameter->shape), filters = parameter->shape.dim[0], row = n / filters;
        float *original = malloc((size_t)n * sizeof(float)), *moved = malloc((size_t)n * sizeof(float));
        memcpy(original, parameter->values, (size_t)n * sizeof(float));
        int64_t best = 0;
        double norm = -1, weight = 0;
        for (int64_t k = 0; k < filters; k++) {
            double square = 0;
            for (int64_t i = 0; i < row; i++) {
                double v = g[parameter->first_element + k * row + i];
                square += v * v;
            }
            if (square > norm) norm = square, best = k;
        }
        norm = sqrt(norm);
        for (int64_t i = 0; i < n; i++) weight += (double)original[i] * original[i] / (double)n;
        double step = 2e-3 * sqrt(weight * (double)row), change = 0;
        for (int side = -1; side <= 1; side += 2) {
            memcpy(moved, original, (size_t)n * sizeof(float));
            for (int64_t i = best * row; i < (best + 1) * row; i++)
                moved[i] += (float)(side * step * g[parameter->first_element + i] / norm);
            change += side * loss_with(f, p, moved, loss, 3, 1);
        }
        ck_assert_int_eq(psal_model_set_parameter(f->model, p, original, NULL), PSAL_OK);
        double numeric = change / (2 * step);
        ck_assert_msg(norm > 1e-6 && fabs(numeric - norm) <= 0.06 * norm,
                      "%s, filter %d, loss %d: differences %g, gradient %g", layers[l], (int)best, _i, numeric, norm);
        free(original);
        free(moved);
    }
    free(g);
    fixture_free(f);
}
END_TEST

static const char *const archs[] = {"resnet18", "vgg11", "vgg11_bn", "densenet121", "resnet50"};
static const double widths[] = {0.125, 0.0625, 0.0625, 0.125, 0.0625};

/* Every aggregation is a mean of the parameters' gradients, with its sign or without. */
START_TEST(aggregations_agree) {
    fixture *f = make(archs[_i], widths[_i]);
    const psal_model_info *info = psal_model_get_info(f->model);
    int64_t elements;
    psal_saliency_options options = {.aggregation = PSAL_AGGREGATION_PARAMETER, .is_signed = true};
    float *g = profile_of(f, options, 2, 0, &elements);
    ck_assert_int_eq(elements, info->parameter_elements);
    bool negative = false, positive = false;
    for (int64_t i = 0; i < elements; i++) negative |= g[i]<0, positive |= g[i]> 0;
    ck_assert(negative && positive);
    for (int aggregation = 0; aggregation < PSAL_AGGREGATION_COUNT; aggregation++)
        for (int kind = 0; kind < 4; kind++) {
            const bool is_signed = kind & 1, weighted = kind & 2;
            options.aggregation = (psal_aggregation)aggregation;
            options.is_signed = is_signed;
            options.gradient_weight = weighted;
            int64_t length, at = 0;
            float *profile = profile_of(f, options, 2, 0, &length);
            for (int p = 0; p < psal_model_parameter_count(f->model); p++) {
                const psal_model_parameter *parameter = psal_model_get_parameter(f->model, p);
                int64_t n = psal_shape_count(&parameter->shape);
                int64_t groups = aggregation == PSAL_AGGREGATION_FILTER
                                     ? parameter->is_filter ? parameter->shape.dim[0] : 0
                                 : aggregation == PSAL_AGGREGATION_ROW
                                     ? parameter->output_axis == 0 ? parameter->shape.dim[0] : 0
                                 : aggregation == PSAL_AGGREGATION_TENSOR ? 1
                                                                          : n;
                for (int64_t k = 0; k < groups; k++, at++) {
                    double sum = 0, size = 0;
                    for (int64_t i = k * (n / groups); i < (k + 1) * (n / groups); i++) {
                        double v = g[parameter->first_element + i];
                        if (weighted) v *= -(double)parameter->values[i];
                        sum += is_signed || weighted ? v : fabs(v);
                        size += fabs(v);
                    }
                    if (!weighted) sum /= (double)(n / groups), size /= (double)(n / groups);
                    if (weighted && !is_signed) sum = fabs(sum);
                    ck_assert_msg(fabs(profile[at] - sum) <= 1e-6 * size, "%s: entry %d of %s: expected %.9g, got %.9g",
                                  archs[_i], (int)k, parameter->name, sum, (double)profile[at]);
                }
            }
            ck_assert_int_eq(at, length);
            if (aggregation == PSAL_AGGREGATION_FILTER) ck_assert_int_eq(length, info->filter_count);
            if (aggregation == PSAL_AGGREGATION_TENSOR) ck_assert_int_eq(length, psal_model_parameter_count(f->model));
            free(profile);
        }
    free(g);
    fixture_free(f);
}
END_TEST

START_TEST(layers_cover_the_profile) {
    fixture *f = make("resnet18", 0.125);
    for (int aggregation = 0; aggregation < PSAL_AGGREGATION_COUNT; aggregation++) {
        psal_saliency *s = saliency_of(f, (psal_saliency_options){.aggregation = (psal_aggregation)aggregation});
        const psal_profile_layer *layers = psal_saliency_layers(s);
        int64_t at = 0;
        for (int i = 0; i < psal_saliency_layer_count(s); i++) {
            const psal_model_parameter *parameter = psal_model_get_parameter(f->model, layers[i].parameter);
            ck_assert_int_eq(layers[i].first, at);
            if (aggregation == PSAL_AGGREGATION_FILTER)
                ck_assert_int_eq(layers[i].first, parameter->first_unit[PSAL_UNITS_FILTERS]);
            if (aggregation == PSAL_AGGREGATION_PARAMETER) ck_assert_int_eq(layers[i].first, parameter->first_element);
            at += layers[i].count;
        }
        ck_assert_int_eq(at, psal_saliency_length(s));
        ck_assert_int_eq(psal_saliency_height(s), HEIGHT);
        ck_assert_int_eq(psal_saliency_width(s), WIDTH);
        ck_assert_uint_gt(psal_saliency_memory(s), 0);
        psal_saliency_free(s);
    }
    fixture_free(f);
}
END_TEST

START_TEST(losses_are_those_of_the_logits) {
    fixture *f = make("resnet18", 0.125);
    for (int loss = 0; loss < 3; loss++) {
        psal_saliency *s = saliency_of(f, (psal_saliency_options){.loss = (psal_loss)loss});
        psal_saliency_worker *w = worker_of(s);
        float *profile = malloc((size_t)psal_saliency_length(s) * sizeof *profile);
        for (int label = 0; label < CLASSES; label++) {
            int other = (label + 2) % CLASSES;
            profile_into(w, f->image, label, other, profile);
            const float *z = psal_saliency_logits(w);
            double expected = loss_of(z, (psal_loss)loss, label, other);
            ck_assert_double_eq_tol(psal_saliency_loss(w), expected, 1e-5 * (1 + fabs(expected)));
            for (int i = 0; i < CLASSES; i++) ck_assert(isfinite(z[i]));
            ck_assert_float_ne(z[0], z[1]);
        }
        free(profile);
        psal_saliency_worker_free(w);
        psal_saliency_free(s);
    }
    fixture_free(f);
}
END_TEST

/* Inception's auxiliary classifier is numbered but never computed. */
START_TEST(auxiliary_classifier_is_zero) {
    fixture *f = make("inception_v3", 0.0625);
    int64_t length;
    float *image = calloc(3 * 80 * 80, sizeof *image);
    for (int i = 0; i < 3 * 80 * 80; i++) image[i] = sinf(0.1f * (float)i);
    psal_saliency *s = saliency_of(f, (psal_saliency_options){.height = 80, .width = 80});
    psal_saliency_worker *w = worker_of(s);
    length = psal_saliency_length(s);
    ck_assert_int_eq(length, psal_model_get_info(f->model)->filter_count);
    float *profile = malloc((size_t)length * sizeof *profile);
    profile_into(w, image, 1, 0, profile);
    int zeros = 0, others = 0;
    for (int64_t i = 0; i < length; i++) {
        int p = psal_model_unit_parameter(f->model, PSAL_UNITS_FILTERS, i, NULL);
        const psal_model_parameter *parameter = psal_model_get_parameter(f->model, p);
        if (!parameter->in_graph) {
            ck_assert_float_eq(profile[i], 0);
            zeros++;
        } else {
            others += profile[i] > 0;
        }
    }
    ck_assert_int_gt(zeros, 0);
    ck_assert_int_gt(others, 10 * zeros);
    free(profile);
    free(image);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    fixture_free(f);
}
END_TEST

START_TEST(threads_and_repetition_give_the_same_bits) {
    fixture *f = make("resnet18", 0.125);
    enum { PIXELS = 3 * HEIGHT * WIDTH };
    float *first = NULL, *first_input = NULL;
    for (int threads = 1; threads <= 4; threads *= 2) {
        psal_saliency *s = saliency_of(f, (psal_saliency_options){.input_saliency = true, .threads = threads});
        psal_saliency_worker *w = worker_of(s);
        int64_t n = psal_saliency_length(s);
        float *profile = malloc((size_t)n * sizeof(float));
        double *target = malloc((size_t)n * sizeof(double));
        float *gradient = malloc(PIXELS * sizeof(float)), before[PIXELS];
        memcpy(before, f->image, sizeof before);
        for (int round = 0; round < 3; round++) {
            /* the first round runs forward by itself, the last one after something else */
            if (round == 2) {
                float other[PIXELS];
                for (int i = 0; i < PIXELS; i++) other[i] = 1 - f->image[i];
                profile_into(w, other, 0, 0, profile);
            }
            if (round == 1) { /* in two calls */
                ck_assert_int_eq(psal_saliency_forward(w, f->image, NULL), PSAL_OK);
                ck_assert_int_eq(psal_saliency_profile_forwarded(w, 3, 0, profile, NULL), PSAL_OK);
            } else {
                profile_into(w, f->image, 3, 0, profile);
            }
            for (int64_t i = 0; i < n; i++) target[i] = profile[i] * (i % 50 ? 1 : 100);
            ck_assert_int_eq(psal_saliency_input(w, NULL, NULL, target, gradient, NULL, NULL), PSAL_OK);
            if (!first) {
                first = malloc((size_t)n * sizeof(float));
                first_input = malloc(PIXELS * sizeof(float));
                memcpy(first, profile, (size_t)n * sizeof(float));
                memcpy(first_input, gradient, PIXELS * sizeof(float));
            }
            ck_assert_mem_eq(profile, first, (size_t)n * sizeof(float));
            ck_assert_mem_eq(gradient, first_input, PIXELS * sizeof(float));
        }
        ck_assert_mem_eq(f->image, before, sizeof before);
        free(profile);
        free(target);
        free(gradient);
        psal_saliency_worker_free(w);
        psal_saliency_free(s);
    }
    free(first);
    free(first_input);
    fixture_free(f);
}
END_TEST

/* ---- misuse ---- */

START_TEST(impossible_options_are_refused) {
    fixture *f = make("resnet18", 0.125);
    psal_error err = PSAL_ERROR_INIT;
    int least = psal_model_get_info(f->model)->min_size;
    psal_saliency_options options = {.height = least - 1, .width = WIDTH};
    if (least > 1) {
        ck_assert_ptr_null(psal_saliency_new(f->model, &options, &err));
        ck_assert_int_eq(err.status, PSAL_ERR_SHAPE);
    }
    options = (psal_saliency_options){.height = -5, .width = WIDTH};
    ck_assert_ptr_null(psal_saliency_new(f->model, &options, &err));
    options = (psal_saliency_options){.height = 100000, .width = WIDTH};
    ck_assert_ptr_null(psal_saliency_new(f->model, &options, NULL));
    options = (psal_saliency_options){.height = HEIGHT, .width = WIDTH, .memory_limit = 1000};
    ck_assert_ptr_null(psal_saliency_new(f->model, &options, &err));
    ck_assert_int_eq(err.status, PSAL_ERR_MEMORY);
    ck_assert_ptr_nonnull(strstr(err.message, "more than the limit of 0.0 MiB"));
    ck_assert_ptr_null(psal_saliency_new(f->model, &options, NULL));
    psal_saliency_free(NULL);
    psal_saliency_worker_free(NULL);
    fixture_free(f);
}
END_TEST

START_TEST(labels_out_of_range_are_refused) {
    fixture *f = make("resnet18", 0.125);
    psal_saliency *s = saliency_of(f, (psal_saliency_options){.loss = PSAL_LOSS_LOGIT_DIFFERENCE});
    psal_saliency_worker *w = worker_of(s);
    float *profile = malloc((size_t)psal_saliency_length(s) * sizeof *profile);
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_saliency_profile(w, f->image, CLASSES, 0, profile, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, "label 5: the network has classes 0 to 4");
    ck_assert_int_eq(psal_saliency_profile(w, f->image, -1, 0, profile, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, "label -1: the network has classes 0 to 4");
    ck_assert_int_eq(psal_saliency_profile(w, f->image, 0, CLASSES, profile, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, "other label 5: the network has classes 0 to 4");
    ck_assert_int_eq(psal_saliency_profile(w, f->image, 0, -1, profile, NULL), PSAL_ERR_ARGUMENT);
    profile_into(w, f->image, 0, CLASSES - 1, profile); /* fine afterwards */
    free(profile);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    fixture_free(f);
}
END_TEST

START_TEST(stages_out_of_order_are_refused) {
    fixture *f = make("resnet18", 0.125);
    float gradient[3 * HEIGHT * WIDTH];
    psal_error err = PSAL_ERROR_INIT;
    psal_saliency *s = saliency_of(f, (psal_saliency_options){.input_saliency = true});
    psal_saliency_worker *w = worker_of(s);
    float *profile = malloc((size_t)psal_saliency_length(s) * sizeof *profile);
    double *target = malloc((size_t)psal_saliency_length(s) * sizeof *target);
    for (int64_t i = 0; i < psal_saliency_length(s); i++) target[i] = (double)(i % 7);
    const char *first = "input saliency needs the profile of the sample first";
    ck_assert_int_eq(psal_saliency_input(w, NULL, NULL, target, gradient, NULL, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, first);
    const char *forward = "the profile needs the forward pass of the sample first";
    ck_assert_int_eq(psal_saliency_profile_forwarded(w, 0, 0, profile, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, forward);
    profile_into(w, f->image, 0, 0, profile); /* uses up its forward pass */
    ck_assert_int_eq(psal_saliency_profile_forwarded(w, 0, 0, profile, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_saliency_forward(w, f->image, NULL), PSAL_OK); /* the profile is gone */
    ck_assert_int_eq(psal_saliency_profile_forwarded(w, -1, 0, profile, &err),
                     PSAL_ERR_ARGUMENT); /* and the forward pass is not */
    ck_assert_int_eq(psal_saliency_profile_forwarded(w, 0, 0, profile, NULL), PSAL_OK);
    ck_assert_int_eq(psal_saliency_forward(w, f->image, NULL), PSAL_OK);
    ck_assert_int_eq(psal_saliency_input(w, NULL, NULL, target, gradient, NULL, &err), PSAL_ERR_ARGUMENT);
    profile_into(w, f->image, 0, 0, profile);
    ck_assert_int_eq(psal_saliency_input(w, NULL, NULL, target, gradient, NULL, NULL), PSAL_OK);
    ck_assert_int_eq(psal_saliency_input(w, NULL, NULL, target, gradient, NULL, &err), PSAL_ERR_ARGUMENT); /* once */
    ck_assert_str_eq(err.message, first);
    /* a target of zeros has no direction */
    profile_into(w, f->image, 0, 0, profile);
    memset(target, 0, (size_t)psal_saliency_length(s) * sizeof *target);
    ck_assert_int_eq(psal_saliency_input(w, NULL, NULL, target, gradient, NULL, &err), PSAL_ERR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(err.message, "the boosted profile is all zeros"));
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    s = saliency_of(f, (psal_saliency_options){0});
    w = worker_of(s);
    profile_into(w, f->image, 0, 0, profile);
    ck_assert_int_eq(psal_saliency_input(w, NULL, NULL, target, gradient, NULL, &err), PSAL_ERR_ARGUMENT);
    ck_assert_str_eq(err.message, "input saliency was not asked for when this was built");
    free(profile);
    free(target);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    fixture_free(f);
}
END_TEST

/* A worker goes through a data set with one image buffer; a refused sample must not spoil the next. */
START_TEST(numbers_that_are_not_finite_are_refused) {
    fixture *f = make("resnet18", 0.125);
    /* The same network with tiny first weights, undone behind them: logits as before, derivatives 1e36 times as
     * large. */
    float *w1 = floats(f->map, "conv1.weight"), *scale = floats(f->map, "bn1.weight");
    for (int i = 0; i < 8 * 147; i++) w1[i] *= 1e-36f;
    for (int i = 0; i < 8; i++) {
        scale[i] = 1e36f;
        floats(f->map, "bn1.running_mean")[i] = 0;
    }
    psal_model_free(f->model);
    f->model = load(f->map, NULL);
    psal_saliency *s = saliency_of(f, (psal_saliency_options){.loss = PSAL_LOSS_LOGIT});
    psal_saliency_worker *w = worker_of(s);
    float *profile = malloc((size_t)psal_saliency_length(s) * sizeof *profile), good[3 * HEIGHT * WIDTH];
    psal_error err = PSAL_ERROR_INIT;
    for (int i = 0; i < 3 * HEIGHT * WIDTH; i++) {
        good[i] = f->image[i] * 1e-3f;
        f->image[i] *= 1e4f;
    }
    ck_assert_int_eq(psal_saliency_profile(w, f->image, 1, 0, profile, &err), PSAL_ERR_NUMERIC);
    ck_assert_msg(strstr(err.message, "the saliency of entry "), "%s", err.message);
    memcpy(f->image, good, sizeof good); /* the next sample in the same buffer */
    profile_into(w, f->image, 1, 0, profile);
    f->image[17] = NAN;
    ck_assert_int_eq(psal_saliency_profile(w, f->image, 1, 0, profile, &err), PSAL_ERR_NUMERIC);
    ck_assert_msg(strstr(err.message, "the logit of class 0 is not finite"), "%s", err.message);
    ck_assert_int_eq(psal_saliency_forward(w, f->image, NULL), PSAL_ERR_NUMERIC);
    f->image[17] = INFINITY;
    ck_assert_int_eq(psal_saliency_profile(w, f->image, 1, 0, profile, &err), PSAL_ERR_NUMERIC);
    memcpy(f->image, good, sizeof good);
    profile_into(w, f->image, 1, 0, profile);
    free(profile);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    fixture_free(f);
}
END_TEST

/* ---- where there is nothing to say ---- */

/* A filter whose normalisation multiplies it by 0, or that is not in the graph, never has a gradient. */
START_TEST(filters_without_a_gradient_are_not_live) {
    fixture *f = make(_i < PSAL_AGGREGATION_COUNT ? "resnet18" : "inception_v3", 0.0625);
    const char *scale = _i < PSAL_AGGREGATION_COUNT ? "layer2.0.bn2.weight" : "Mixed_5b.branch1x1.bn.weight",
               *shift = "layer2.0.bn2.bias";
    floats(f->map, scale)[1] = 0;
    if (_i < PSAL_AGGREGATION_COUNT) floats(f->map, shift)[1] = 1; /* it still adds a constant */
    psal_model_free(f->model);
    f->model = load(f->map, NULL);
    psal_saliency *s = saliency_of(
        f, (psal_saliency_options){
               .height = 80, .width = 80, .aggregation = (psal_aggregation)(_i % PSAL_AGGREGATION_COUNT)});
    psal_saliency_worker *w = worker_of(s);
    int64_t n = psal_saliency_length(s), dead = 0;
    bool *live = malloc((size_t)n);
    float *profile = malloc((size_t)n * sizeof *profile), *image = malloc(3 * 80 * 80 * sizeof *image);
    for (int i = 0; i < 3 * 80 * 80; i++) image[i] = cosf(0.3f * (float)i);
    psal_saliency_live(s, live);
    profile_into(w, image, 2, 0, profile);
    for (int64_t i = 0; i < n; i++) {
        if (!live[i]) ck_assert_float_eq(profile[i], 0);
        dead += !live[i];
    }
    const psal_model_parameter *conv = psal_model_get_parameter(
        f->model, psal_model_find_parameter(f->model, _i < PSAL_AGGREGATION_COUNT ? "layer2.0.conv2.weight"
                                                                                  : "Mixed_5b.branch1x1.conv.weight"));
    int64_t row = psal_shape_count(&conv->shape) / conv->shape.dim[0];
    if (_i == PSAL_AGGREGATION_FILTER || _i == PSAL_AGGREGATION_ROW) /* no linear layer comes before */
        ck_assert(dead == 1 && !live[conv->first_unit[PSAL_UNITS_FILTERS] + 1]);
    if (_i == PSAL_AGGREGATION_PARAMETER)
        ck_assert(dead == row && !live[conv->first_element + row] && live[conv->first_element] &&
                  live[conv->first_element + 2 * row]);
    if (_i == PSAL_AGGREGATION_TENSOR) ck_assert_int_eq(dead, 0); /* the tensor has other filters */
    if (_i == PSAL_AGGREGATION_COUNT) ck_assert_int_gt(dead, 1);  /* the auxiliary classifier */
    free(live);
    free(profile);
    free(image);
    psal_saliency_worker_free(w);
    psal_saliency_free(s);
    fixture_free(f);
}
END_TEST

START_TEST(one_class_has_no_cross_entropy) {
    psal_tensor_map *map = psal_model_blank("resnet18", 0.125, 1, NULL);
    fill(map);
    psal_model *model = load(map, NULL);
    static const char *const why[] = {"whose cross-entropy is always 0", NULL, "no two logits to compare"};
    for (int loss = 0; loss < 3; loss++) {
        psal_saliency_options options = {.height = HEIGHT, .width = WIDTH, .loss = (psal_loss)loss};
        psal_error err = PSAL_ERROR_INIT;
        psal_saliency *s = psal_saliency_new(model, &options, &err);
        ck_assert((s != NULL) == (why[loss] == NULL));
        if (why[loss])
            ck_assert(err.status == PSAL_ERR_ARGUMENT && strstr(err.message, why[loss]) &&
                      strstr(err.message, "--logit"));
        psal_saliency_free(s);
    }
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("saliency/saliency");
    TCase *tests = tcase_create("saliency");
    tcase_set_timeout(tests, 240);
    tcase_add_loop_test(tests, gradients_match_finite_differences, 0, 3);
    tcase_add_loop_test(tests, aggregations_agree, 0, (int)(sizeof archs / sizeof *archs));
    tcase_add_test(tests, layers_cover_the_profile);
    tcase_add_test(tests, losses_are_those_of_the_logits);
    tcase_add_test(tests, auxiliary_classifier_is_zero);
    tcase_add_test(tests, threads_and_repetition_give_the_same_bits);
    tcase_add_test(tests, impossible_options_are_refused);
    tcase_add_test(tests, labels_out_of_range_are_refused);
    tcase_add_test(tests, stages_out_of_order_are_refused);
    tcase_add_test(tests, numbers_that_are_not_finite_are_refused);
    tcase_add_loop_test(tests, filters_without_a_gradient_are_not_live, 0, PSAL_AGGREGATION_COUNT + 1);
    tcase_add_test(tests, one_class_has_no_cross_entropy);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
