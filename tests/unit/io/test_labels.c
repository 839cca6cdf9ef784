#include "io/labels.h"

#include "io/csv.h"
#include "scratch.h"

static psal_error err;

START_TEST(imagenet_table) {
    ck_assert_str_eq(psal_imagenet_name(0), "tench");
    ck_assert_str_eq(psal_imagenet_name(2), "great white shark");
    ck_assert_str_eq(psal_imagenet_wnid(2), "n01484850");
    ck_assert_str_eq(psal_imagenet_name(657), "missile");
    ck_assert_str_eq(psal_imagenet_name(540), "drilling platform");
    ck_assert_str_eq(psal_imagenet_name(999), "toilet tissue");
    ck_assert_ptr_null(psal_imagenet_name(-1));
    ck_assert_ptr_null(psal_imagenet_name(1000));
    ck_assert_ptr_null(psal_imagenet_wnid(1000));
    for (int i = 0; i < PSAL_IMAGENET_CLASSES; i++) {
        ck_assert(psal_is_wnid(psal_imagenet_wnid(i)));
        ck_assert_int_eq(psal_imagenet_find_wnid(psal_imagenet_wnid(i)), i);
        ck_assert_uint_gt(strlen(psal_imagenet_name(i)), 1);
    }
    ck_assert_int_eq(psal_imagenet_find_wnid("n00000000"), -1);
    ck_assert_int_eq(psal_imagenet_find_wnid("n99999999"), -1);
    ck_assert_int_eq(psal_imagenet_find_wnid(""), -1);
}
END_TEST

/* Against the list in the project's test material, where that is at hand. */
START_TEST(imagenet_table_is_the_published_one) {
    psal_csv_reader *csv = psal_csv_open(SOURCE_ROOT "/../shared/imagenet-classes.csv", ',', NULL);
    if (!csv) {
        printf("SKIPPED imagenet_table_is_the_published_one: no ../shared/imagenet-classes.csv\n");
        return;
    }
    bool have;
    int index = -1; /* the header */
    while (!psal_csv_next(csv, &have, &err) && have) {
        if (index >= 0) {
            char name[100];
            snprintf(name, sizeof name, "%s", psal_csv_field(csv, 2));
            for (char *p = name; *p; p++)
                if (*p == '_') *p = ' ';
            ck_assert_int_eq(atoi(psal_csv_field(csv, 0)), index);
            ck_assert_str_eq(psal_imagenet_wnid(index), psal_csv_field(csv, 1));
            ck_assert_str_eq(psal_imagenet_name(index), name);
        }
        index++;
    }
    ck_assert_int_eq(index, 1000);
    psal_csv_close(csv);
}
END_TEST

static int parsed(const psal_labels *labels, const char *text) {
    int index = -7;
    err = (psal_error)PSAL_ERROR_INIT;
    psal_status status = psal_labels_parse(labels, text, &index, &err);
    ck_assert_msg((status == PSAL_OK) == (index != -7), "%s", err.message);
    ck_assert_int_eq(err.status, status);
    return index;
}

START_TEST(parsing_imagenet) {
    psal_labels *labels = psal_labels_imagenet(&err);
    ck_assert_int_eq(psal_labels_count(labels), 1000);
    ck_assert(psal_labels_have_names(labels) && psal_labels_have_wnids(labels));
    ck_assert_int_eq(parsed(labels, "2"), 2);
    ck_assert_int_eq(parsed(labels, "0"), 0);
    ck_assert_int_eq(parsed(labels, "999"), 999);
    ck_assert_int_eq(parsed(labels, "great white shark"), 2);
    ck_assert_int_eq(parsed(labels, "Great_White_Shark"), 2);
    ck_assert_int_eq(parsed(labels, " great-white, SHARK "), 2);
    ck_assert_int_eq(parsed(labels, "n01484850"), 2);
    ck_assert_int_eq(parsed(labels, "jack-o'-lantern"), 607);
    ck_assert_int_eq(parsed(labels, "jack o lantern"), 607);
    ck_assert_int_eq(parsed(labels, "carpenters kit"), 477);
    ck_assert_int_eq(parsed(labels, "tench, Tinca tinca"), 0);
    ck_assert_int_eq(parsed(labels, "hen"), 8); /* not hen-of-the-woods */
    int ambiguous = 0;
    for (int i = 0; i < 1000; i++) {
        int found = psal_labels_find_name(labels, psal_labels_name(labels, i));
        ambiguous += found == -2;
        ck_assert(found == i || found == -2);
        ck_assert_int_eq(psal_labels_find_wnid(labels, psal_labels_wnid(labels, i)), i);
    }
    ck_assert_int_eq(ambiguous, 6);
    psal_labels_free(labels);
}
END_TEST

START_TEST(refused_labels) {
    psal_labels *labels = psal_labels_imagenet(&err);
    static const struct {
        const char *text, *part, *other;
    } cases[] = {{"1000", "out of range", "0 to 999"},
                 {"-1", "out of range", "0 to 999"},
                 {"99999999999999999999", "out of range", "0 to 999"},
                 {"n99999999", "n99999999", "none of the 1000 classes"},
                 {"crane", "ambiguous", "134 (n02012849), 517 (n03126707)"},
                 {"CARDIGAN", "ambiguous", "264"},
                 {"grate white shark", "did you mean", "\"great white shark\" (2)"},
                 {"shark", "did you mean", "\"tiger shark\" (3)"},
                 {"goldfsih", "did you mean", "\"goldfish\" (1)"},
                 {"xyzzyxyzzy", "no class is called \"xyzzyxyzzy\"", "0 to 999"},
                 {"", "a class is needed", "0 to 999"},
                 {" _ ", "a class is needed", "0 to 999"},
                 {",", "a class is needed", "0 to 999"},
                 {"1.5", "no class is called", "1.5"},
                 {"\xff\xfe", "no class is called", "0 to 999"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(parsed(labels, cases[i].text), -7);
        EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, cases[i].part, cases[i].other);
    }
    char *huge = malloc(100001);
    memset(huge, 'a', 100000);
    huge[100000] = 0;
    ck_assert_int_eq(parsed(labels, huge), -7);
    memset(huge, '9', 100000);
    ck_assert_int_eq(parsed(labels, huge), -7);
    free(huge);
    ck_assert_str_eq(psal_labels_name(labels, 1000), "?");
    ck_assert_str_eq(psal_labels_name(labels, -1), "?");
    ck_assert_ptr_null(psal_labels_wnid(labels, -1));
    psal_labels_free(labels);
}
END_TEST

START_TEST(fashion_and_numbers) {
    psal_labels *labels = psal_labels_open("Fashion-MNIST", 10, &err);
    ck_assert_ptr_nonnull(labels);
    ck_assert_str_eq(psal_labels_name(labels, 0), "T-shirt/top");
    ck_assert_int_eq(parsed(labels, "ankle_boot"), 9);
    ck_assert_int_eq(parsed(labels, "t shirt/top"), 0);
    ck_assert(!psal_labels_have_wnids(labels) && psal_labels_have_names(labels));
    ck_assert_ptr_null(psal_labels_wnid(labels, 3));
    ck_assert_int_eq(parsed(labels, "10"), -7);
    ck_assert_int_eq(parsed(labels, "n01484850"), -7);
    psal_labels_free(labels);
    labels = psal_labels_numbered(7, &err);
    ck_assert_str_eq(psal_labels_name(labels, 6), "6");
    ck_assert(!psal_labels_have_names(labels));
    ck_assert_int_eq(parsed(labels, "6"), 6);
    ck_assert_int_eq(parsed(labels, "7"), -7);
    ck_assert_int_eq(parsed(labels, "shark"), -7);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "no names", "0 to 6");
    psal_labels_free(labels);
    ck_assert_ptr_null(psal_labels_numbered(0, &err));
    ck_assert_ptr_null(psal_labels_numbered(-5, &err));
    ck_assert_ptr_null(psal_labels_numbered(PSAL_MAX_CLASSES + 1, &err));
    psal_labels_free(NULL);
}
END_TEST

START_TEST(chosen_sets) {
    psal_labels *labels = psal_labels_open(NULL, 1000, &err);
    ck_assert(psal_labels_have_wnids(labels));
    psal_labels_free(labels);
    labels = psal_labels_open("", 12, &err);
    ck_assert(psal_labels_count(labels) == 12 && !psal_labels_have_names(labels));
    psal_labels_free(labels);
    labels = psal_labels_open("numbers", 1000, &err);
    ck_assert(!psal_labels_have_names(labels));
    psal_labels_free(labels);
    ck_assert_ptr_null(psal_labels_open("imagenet", 10, &err));
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "imagenet", "1000", "10 classes");
    ck_assert_ptr_null(psal_labels_open(in_scratch("none.txt"), 10, &err));
    EXPECT_ERROR(err, PSAL_ERR_IO, "none.txt");
    labels = psal_labels_open(write_text("two.txt", "yes\nno\n"), 2, &err);
    ck_assert_int_eq(parsed(labels, "no"), 1);
    psal_labels_free(labels);
}
END_TEST

static psal_labels *load(const char *name, const char *text) {
    err = (psal_error)PSAL_ERROR_INIT;
    return psal_labels_load(write_text(name, text), &err);
}

START_TEST(label_files) {
    psal_labels *labels = load("a.txt", "\xEF\xBB\xBFtench, Tinca tinca\r\n  goldfish  \r\n\r\nshark \"x\"");
    ck_assert_msg(labels != NULL, "%s", err.message);
    ck_assert_int_eq(psal_labels_count(labels), 3);
    ck_assert_str_eq(psal_labels_name(labels, 0), "tench, Tinca tinca");
    ck_assert_str_eq(psal_labels_name(labels, 1), "goldfish");
    ck_assert_str_eq(psal_labels_name(labels, 2), "shark \"x\"");
    ck_assert_int_eq(parsed(labels, "tench tinca tinca"), 0);
    psal_labels_free(labels);
    labels = load("synsets", "n01440764 tench, Tinca tinca\nn01443537 goldfish\n");
    ck_assert(psal_labels_have_wnids(labels));
    ck_assert_str_eq(psal_labels_name(labels, 0), "tench, Tinca tinca");
    ck_assert_int_eq(parsed(labels, "n01443537"), 1);
    psal_labels_free(labels);
    labels = load("b.csv", "dog\ncat\n\"mouse, grey\"\n");
    ck_assert_str_eq(psal_labels_name(labels, 2), "mouse, grey");
    psal_labels_free(labels);
    labels = load("c.CSV", "1,cat\n0,dog\n");
    ck_assert_str_eq(psal_labels_name(labels, 0), "dog");
    psal_labels_free(labels);
    labels = load("d.csv", "name,wnid,index\ncat,n02121808,1\ndog,n02084071,0\n");
    ck_assert_msg(labels != NULL, "%s", err.message);
    ck_assert_str_eq(psal_labels_wnid(labels, 1), "n02121808");
    ck_assert_str_eq(psal_labels_name(labels, 0), "dog");
    psal_labels_free(labels);
    labels = load("e.csv", "index,wnid,name\n0,n02121808,cat\n");
    ck_assert_str_eq(psal_labels_name(labels, 0), "cat");
    psal_labels_free(labels);
    /* Two classes of one name: fine, but ambiguous. */
    labels = load("f.txt", "x\nX\n");
    ck_assert_int_eq(psal_labels_find_name(labels, "x"), -2);
    psal_labels_free(labels);
}
END_TEST

START_TEST(damaged_label_files) {
    static const struct {
        const char *name, *text, *place, *reason;
    } cases[] = {{"a.csv", "0,dog\n2,cat\n", "a.csv:2:", "class number 2"},
                 {"a.csv", "0,dog\n0,cat\n", "a.csv:2:", "twice"},
                 {"a.csv", "0,dog\n-1,cat\n", "a.csv:2:", "\"-1\""},
                 {"a.csv", "0,dog\nx,cat\n", "a.csv:2:", "\"x\""},
                 {"a.csv", "0,dog\n1\n", "a.csv:2:", "1 fields, expected 2"},
                 {"a.csv", "0,dog\n1,\n", "a.csv:2:", "without a name"},
                 {"a.csv", "0,n1,dog\n", "a.csv:1:", "no WordNet id"},
                 {"a.csv", "a,b,c,d\n", "a.csv:1:", "4 fields"},
                 {"a.csv", "index,name\n", "a.csv", "no class names"},
                 {"a.csv", "99999999999,x\n", "a.csv:1:", "no class number"},
                 {"a.txt", "", "a.txt", "no class names"},
                 {"a.txt", "x\n   \n", "a.txt:2:", "without a name"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(load(cases[i].name, cases[i].text) == NULL, "case %zu", i);
        EXPECT_ERROR(err, PSAL_ERR_FORMAT, cases[i].place, cases[i].reason);
    }
    char *longest = malloc(5000);
    memset(longest, 'x', 4999);
    longest[4999] = 0;
    ck_assert_ptr_null(load("l.txt", longest));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "l.txt:1:", "more than 1000 bytes");
    free(longest);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("labels");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, imagenet_table);
    tcase_add_test(tests, imagenet_table_is_the_published_one);
    tcase_add_test(tests, parsing_imagenet);
    tcase_add_test(tests, refused_labels);
    tcase_add_test(tests, fashion_and_numbers);
    tcase_add_test(tests, chosen_sets);
    tcase_add_test(tests, label_files);
    tcase_add_test(tests, damaged_label_files);
    return run_case("io/labels", tests);
}
