#include <locale.h>
#include <stdio.h>

#include "image_samples.h"
#include "io/preprocess.h"

static psal_preprocess parsed(const char *text) {
    psal_preprocess options;
    psal_error err = PSAL_ERROR_INIT;
    psal_status status = psal_preprocess_parse(text, &options, &err);
    ck_assert_msg(status == PSAL_OK, "%s: %s", text, err.message);
    return options;
}

static void expect_text(const char *text, const char *expected) {
    psal_preprocess options = parsed(text), again;
    char written[256];
    ck_assert_str_eq(psal_preprocess_format(&options, written, sizeof written), expected);
    again = parsed(written);
    ck_assert_int_eq(again.order, options.order);
    ck_assert_int_eq(again.resize_shorter, options.resize_shorter);
    ck_assert_int_eq(again.stretch_height, options.stretch_height);
    ck_assert_int_eq(again.stretch_width, options.stretch_width);
    ck_assert_int_eq(again.crop_height, options.crop_height);
    ck_assert_int_eq(again.crop_width, options.crop_width);
    ck_assert(again.scale == options.scale);
    for (int c = 0; c < psal_preprocess_channels(&options); c++)
        ck_assert(again.mean[c] == options.mean[c] && again.std[c] == options.std[c]);
}

START_TEST(test_texts) {
    expect_text("torchvision", "torchvision");
    expect_text("caffe", "caffe");
    expect_text("inception", "inception");
    expect_text("rgb", "rgb;resize=none;crop=none;scale=1;mean=0,0,0;std=1,1,1");
    expect_text("bgr;resize=256;crop=224;mean=103.939,116.779,123.68", "caffe");
    expect_text("rgb;std=0.229,0.224,0.225;mean=0.485,0.456,0.406;scale=255;crop=224x224;"
                "resize=256",
                "torchvision");
    expect_text("torchvision;resize=none;crop=97x131", "rgb;resize=none;crop=97x131;scale=255;mean=0.485,0.456,0.406;"
                                                       "std=0.229,0.224,0.225");
    expect_text("inception;crop=none;std=2", "rgb;resize=342;crop=none;scale=255;mean=0.5,0.5,0.5;std=2,2,2");
    expect_text("grey;crop=28;scale=255;mean=0.286;std=0.353",
                "grey;resize=none;crop=28;scale=255;mean=0.286;std=0.353");
    expect_text("caffe;resize=0;crop=0", "bgr;resize=none;crop=none;scale=1;mean=103.939,116.779,123.68;std=1,1,1");
    expect_text("grey;mean=-1e-3;std=1e30", "grey;resize=none;crop=none;scale=1;mean=-0.001;"
                                            "std=1e+30");
}
END_TEST

/* Resize((h, w)): all of it is seen, if nobody says a crop; the preset's is another resize's. */
START_TEST(test_stretched) {
    expect_text("rgb;resize=256x192", "rgb;resize=256x192;scale=1;mean=0,0,0;std=1,1,1");
    expect_text("rgb;resize=256x192;crop=none", "rgb;resize=256x192;scale=1;mean=0,0,0;std=1,1,1");
    expect_text("rgb;crop=256x192;resize=256x192", "rgb;resize=256x192;scale=1;mean=0,0,0;std=1,1,1");
    expect_text("grey;resize=256x192;crop=224x160", "grey;resize=256x192;crop=224x160;scale=1;mean=0;std=1");
    expect_text("grey;resize=64x64;crop=48", "grey;resize=64x64;crop=48;scale=1;mean=0;std=1");
    expect_text("torchvision;resize=224x224",
                "rgb;resize=224x224;scale=255;mean=0.485,0.456,0.406;std=0.229,0.224,0.225");
    psal_preprocess options = parsed("caffe;resize=300x200");
    ck_assert_int_eq(options.resize_shorter, 0);
    ck_assert_int_eq(options.stretch_height, 300);
    ck_assert_int_eq(options.stretch_width, 200);
    ck_assert_int_eq(options.crop_height, 300);
    ck_assert_int_eq(options.crop_width, 200);
}
END_TEST

START_TEST(test_words) {
    static const char *const pairs[][2] = {
        {"torchvision",
         "Resize(256), CenterCrop(224), ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))"},
        {"rgb;resize=256x192;scale=255", "Resize((256, 192)), ToTensor()"},
        {"rgb;resize=256x192;crop=224x160;scale=255;mean=0.5;std=0.25",
         "Resize((256, 192)), CenterCrop((224, 160)), ToTensor(), Normalize(0.5, 0.25)"},
        {"grey;crop=28;scale=255;mean=0.1307;std=0.3081",
         "Grayscale(), CenterCrop(28), ToTensor(), Normalize(0.1307, 0.3081)"},
        {"caffe", "Resize(256), CenterCrop(224), numbers 0 to 255, channels blue, green, red, "
                  "Normalize((103.939, 116.779, 123.68), 1)"},
        {"rgb;crop=8;scale=127.5;mean=1", "CenterCrop(8), numbers 0 to 255 divided by 127.5, Normalize(1, 1)"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[256], cut[10];
        psal_preprocess options = parsed(pairs[i][0]);
        ck_assert_str_eq(psal_preprocess_words(&options, text, sizeof text), pairs[i][1]);
        psal_preprocess_words(&options, cut, sizeof cut);
        ck_assert_int_eq(strlen(cut), 9);
        ck_assert_int_eq(strncmp(cut, text, 9), 0);
    }
}
END_TEST

START_TEST(test_every_float_survives) {
    psal_preprocess options = parsed("torchvision;resize=none"), again;
    uint32_t state = 1;
    for (int i = 0; i < 20000; i++) {
        for (int c = 0; c < 3; c++) {
            state = state * 1664525u + 1013904223u;
            options.mean[c] = (float)(state >> 4) / 1e7f - 10;
            options.std[c] = (float)(state >> 5) / 3e8f + 1e-20f;
        }
        char text[256];
        psal_preprocess_format(&options, text, sizeof text);
        again = parsed(text);
        for (int c = 0; c < 3; c++)
            ck_assert_msg(again.mean[c] == options.mean[c] && again.std[c] == options.std[c], "%s", text);
    }
}
END_TEST

START_TEST(test_longest_text_fits) {
    psal_preprocess options = {PSAL_CHANNELS_GREY + 0,
                               16384,
                               16384,
                               16383,
                               1.17549449e-38f,
                               {-1.17549449e-38f, -1.17549449e-38f, -1.17549449e-38f},
                               {1.17549449e-38f, 1.17549449e-38f, 1.17549449e-38f},
                               0,
                               0};
    options.order = PSAL_CHANNELS_BGR;
    char text[256], small[10];
    psal_preprocess_format(&options, text, sizeof text);
    ck_assert(parsed(text).std[2] == options.std[2]);
    ck_assert_uint_lt(strlen(psal_preprocess_words(&options, text, sizeof text)), sizeof text - 1);
    options.resize_shorter = 0;
    options.stretch_height = options.stretch_width = 16384;
    psal_preprocess_format(&options, text, sizeof text);
    ck_assert(parsed(text).std[2] == options.std[2]);
    ck_assert_uint_lt(strlen(psal_preprocess_words(&options, text, sizeof text)), sizeof text - 1);
    psal_preprocess_format(&options, small, sizeof small);
    ck_assert_uint_lt(strlen(small), sizeof small);
    psal_preprocess_format(&options, small, 0);
}
END_TEST

START_TEST(test_refused_texts) {
    static const char *const texts[] = {"",
                                        ";",
                                        "RGB",
                                        "torchvision ",
                                        "imagenet",
                                        "rgb;",
                                        "rgb;;crop=3",
                                        "rgb;crop",
                                        "rgb;crop=",
                                        "rgb;crop=0x5",
                                        "rgb;crop=-1",
                                        "rgb;crop=3x",
                                        "rgb;crop=x3",
                                        "rgb;crop=3x4x5",
                                        "rgb;crop=3.0",
                                        "rgb;crop=99999",
                                        "rgb;crop=9999999999999999999999",
                                        "rgb;resize=1e2",
                                        "rgb;resize= 3",
                                        "rgb;resize=16385",
                                        "rgb;resize=0x5",
                                        "rgb;resize=0x0",
                                        "rgb;resize=5x",
                                        "rgb;resize=x5",
                                        "rgb;resize=5x6x7",
                                        "rgb;resize=16385x5",
                                        "rgb;scale=0",
                                        "rgb;scale=-1",
                                        "rgb;scale=inf",
                                        "rgb;scale=nan",
                                        "rgb;scale=0x10",
                                        "rgb;scale=1e99",
                                        "rgb;scale=1,2",
                                        "rgb;scale=255 ",
                                        "rgb;mean=1,2",
                                        "rgb;mean=1,2,3,4",
                                        "rgb;mean=1,,3",
                                        "rgb;mean=",
                                        "grey;mean=1,2,3",
                                        "rgb;std=0",
                                        "rgb;std=1,0,1",
                                        "rgb;std=-1",
                                        "rgb;crop=3;crop=3",
                                        "rgb;flip=1",
                                        "rgb;=3",
                                        "rgb;mean=1111111111111111111111111111111111111111111111111111111111111",
                                        "rgb;scale=1e-60"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        psal_preprocess options = {.scale = 77};
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_msg(psal_preprocess_parse(texts[i], &options, &err) == PSAL_ERR_ARGUMENT, "'%s' is accepted",
                      texts[i]);
        ck_assert_msg(strstr(err.message, "preprocessing"), "%s", err.message);
        ck_assert(options.scale == 77); /* untouched */
    }
    psal_preprocess options;
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_int_eq(psal_preprocess_preset("resnet", &options, &err), PSAL_ERR_ARGUMENT);
    ck_assert_msg(strstr(err.message, "'resnet'"), "%s", err.message);
    ck_assert_int_eq(psal_preprocess_parse("rgb;flip=1", &options, &err), PSAL_ERR_ARGUMENT);
    ck_assert_msg(strstr(err.message, "'flip=1'"), "%s", err.message);
}
END_TEST

/* A training script's mean and deviation need ToTensor's scale, unless somebody says that they do not. */
START_TEST(test_forgotten_scale) {
    static const char *const forgotten[] = {"rgb;resize=64x64;mean=0.55,0.5,0.48;std=0.25,0.22,0.3", "grey;mean=0.286",
                                            "rgb;std=0.5", "bgr;mean=-0.5,0,1;std=1", "caffe;mean=0.5;std=0.5"};
    static const char *const meant[] = {"rgb;scale=1;mean=0.55,0.5,0.48;std=0.25,0.22,0.3",
                                        "rgb;mean=0.55,0.5,0.48;std=0.25,0.22,0.3;scale=255",
                                        "torchvision;mean=0.55,0.5,0.48;std=0.25,0.22,0.3",
                                        "rgb;mean=0;std=1",
                                        "rgb;mean=0.5,0.5,2",
                                        "rgb;mean=127.5;std=0.5",
                                        "rgb;std=57",
                                        "caffe;std=0.5",
                                        "caffe;mean=0"};
    for (size_t i = 0; i < sizeof forgotten / sizeof *forgotten; i++) {
        psal_preprocess options = {.scale = 77};
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_msg(psal_preprocess_parse(forgotten[i], &options, &err) == PSAL_ERR_ARGUMENT, "%s", forgotten[i]);
        ck_assert_msg(strstr(err.message, "\";scale=255\""), "%s", err.message);
        ck_assert(options.scale == 77);
    }
    for (size_t i = 0; i < sizeof meant / sizeof *meant; i++) {
        const psal_preprocess options = parsed(meant[i]);
        char text[256];
        psal_preprocess_format(&options, text, sizeof text);
        ck_assert(parsed(text).std[2] == options.std[2] && parsed(text).scale == options.scale);
    }
}
END_TEST

/* torchvision's transforms, where they are the same in every bit */
START_TEST(test_code) {
    expect_text("Resize(256), CenterCrop(224), ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))",
                "torchvision");
    expect_text("transforms.Compose([\n  transforms.Resize(256),\n  transforms.CenterCrop(224),\n  "
                "transforms.ToTensor(),\n  transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, "
                "0.225]),\n])",
                "torchvision");
    expect_text("T.Compose([T.Resize((64,48)),T.ToTensor()])", "rgb;resize=64x48;scale=255;mean=0,0,0;std=1,1,1");
    expect_text("Grayscale(num_output_channels=1), Resize(size=32), CenterCrop((28, 30)), ToTensor(), "
                "Normalize((0.1307,), (0.3081,))",
                "grey;resize=32;crop=28x30;scale=255;mean=0.1307;std=0.3081");
    expect_text("CenterCrop(8),ToTensor(),Normalize(0.5,[0.5, 0.25, 0.125])",
                "rgb;resize=none;crop=8;scale=255;mean=0.5,0.5,0.5;std=0.5,0.25,0.125");
    static const char *const refused[] = {"Resize(256), CenterCrop(224)",
                                          "Resize()",
                                          "Resize(0), ToTensor()",
                                          "Resize(64.5), ToTensor()",
                                          "Resize((64,)), ToTensor()",
                                          "Resize(64, interpolation=InterpolationMode.BICUBIC), ToTensor()",
                                          "Resize((1, 2, 3)), ToTensor()",
                                          "CenterCrop(9), Resize(64), ToTensor()",
                                          "ToTensor(), Resize(64)",
                                          "Resize(64), Resize(32), ToTensor()",
                                          "RandomResizedCrop(224), ToTensor()",
                                          "Resize(64) ToTensor()",
                                          "Resize(64), ToTensor() ;crop=8",
                                          "Resize(64), ToTensor())",
                                          "Grayscale(3), ToTensor()",
                                          "Grayscale(), ToTensor(), Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))",
                                          "ToTensor(), Normalize((0.5, 0.5), (0.5, 0.5))",
                                          "ToTensor(), Normalize(0.5)",
                                          "ToTensor(), Normalize(0.5, 0)",
                                          "Normalize(0.5, 0.5)",
                                          "Compose([Resize(64), ToTensor()",
                                          "Compose([ToTensor()]",
                                          "Compose([ToTensor()]) x",
                                          "rgb;crop=(3)",
                                          "("};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        psal_preprocess options = {.scale = 77};
        psal_error err = PSAL_ERROR_INIT;
        ck_assert_msg(psal_preprocess_parse(refused[i], &options, &err) == PSAL_ERR_ARGUMENT, "'%s' is accepted",
                      refused[i]);
        ck_assert_msg(strstr(err.message, "preprocessing"), "%s", err.message);
        ck_assert(options.scale == 77);
    }
}
END_TEST

/* What an error shows as an example is one. */
START_TEST(test_example) {
    psal_preprocess options;
    psal_error err = PSAL_ERROR_INIT;
    char words[256];
    ck_assert_int_eq(psal_preprocess_parse("resize=64x64;mean=0.5", &options, &err), PSAL_ERR_ARGUMENT);
    ck_assert_msg(strstr(err.message, PSAL_PREPROCESS_EXAMPLE), "%s", err.message);
    options = parsed(PSAL_PREPROCESS_EXAMPLE);
    ck_assert_msg(strstr(err.message, psal_preprocess_words(&options, words, sizeof words)), "%s: %s", words,
                  err.message);
    ck_assert_int_eq(psal_preprocess_parse("Pad(3), ToTensor()", &options, &err), PSAL_ERR_ARGUMENT);
    ck_assert_msg(strstr(err.message, "'Pad(3)") && strstr(err.message, PSAL_PREPROCESS_EXAMPLE), "%s", err.message);
}
END_TEST

/* Whatever a checkpoint says is either understood or refused. */
START_TEST(test_random_texts) {
    static const char alphabet[] = "rgbeysizcopmantdl;=,.x0123456789-+";
    uint32_t state = 7;
    for (int i = 0; i < 200000; i++) {
        char text[64] = "rgb;", *end = text + (i % 2 ? 4 : 0);
        for (int k = 0; k < 40 && (k < 3 || state >> 28); k++) {
            state = state * 1664525u + 1013904223u;
            *end++ = alphabet[(state >> 8) % (sizeof alphabet - 1)];
        }
        *end = '\0';
        psal_preprocess options;
        if (psal_preprocess_parse(text, &options, NULL) == PSAL_OK)
            ck_assert_int_eq(psal_preprocess_check(&options, NULL), PSAL_OK);
    }
}
END_TEST

START_TEST(test_numbers_have_points_everywhere) {
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8")) return;
    expect_text("grey;scale=1;mean=0.25", "grey;resize=none;crop=none;scale=1;mean=0.25;std=1");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/preprocess_text");
    TCase *cases = tcase_create("preprocess_text");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_texts);
    tcase_add_test(cases, test_stretched);
    tcase_add_test(cases, test_words);
    tcase_add_test(cases, test_every_float_survives);
    tcase_add_test(cases, test_longest_text_fits);
    tcase_add_test(cases, test_refused_texts);
    tcase_add_test(cases, test_forgotten_scale);
    tcase_add_test(cases, test_code);
    tcase_add_test(cases, test_example);
    tcase_add_test(cases, test_random_texts);
    tcase_add_test(cases, test_numbers_have_points_everywhere);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
