#include "dataset_helpers.h"

START_TEST(csv_lists) {
    psal_labels *labels = psal_labels_imagenet(&err);
    write_image("d/a.png", 1);
    write_image("d/b, c.png", 2);
    char text[800];
    snprintf(text, sizeof text, "path,label\r\na.png,2\r\n\"b, c.png\",great_white_shark\r\n%s/d/a.png,n01440764",
             scratch);
    psal_dataset *data = open_data(write_text("d/list.csv", text), labels);
    ck_assert_msg(data != NULL, "%s", err.message);
    expect_red(data, 1, 2);
    char expected[900];
    snprintf(expected, sizeof expected, "a.png:2 b, c.png:2 %s/d/a.png:0", scratch);
    expect_samples(data, expected);
    /* No header, no label set, a group; and no label at all. */
    data = open_data(write_text("d/list.csv", "a.png,5000,train\na.png,,\na.png\n"), NULL);
    ck_assert_msg(data != NULL, "%s", err.message);
    ck_assert_str_eq(psal_dataset_group(data, 0), "train");
    ck_assert_ptr_null(psal_dataset_group(data, 1));
    ck_assert(!psal_dataset_all_labelled(data));
    expect_samples(data, "a.png:5000 a.png:-1 a.png:-1");
    /* Columns by their titles, others ignored. */
    data = open_data(write_text("d/list.csv", "index,Group,class,File,loss\n0,g,7,a.png,0.5\n"), labels);
    ck_assert_msg(data != NULL, "%s", err.message);
    ck_assert_str_eq(psal_dataset_group(data, 0), "g");
    expect_samples(data, "a.png:7");
    /* Relative to the CSV, wherever the program runs. */
    ck_assert_int_eq(chdir(in_scratch("d")), 0);
    expect_samples(open_data("list.csv", labels), "a.png:7");
    expect_samples(open_data("csv:list.csv", labels), "a.png:7");
    psal_labels_free(labels);
}
END_TEST

/* Tables as people have them. */
START_TEST(forms_of_tables) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    write_image("a.png", 1);
    write_image("b.png", 1);
    write_image("b, c.png", 1);
    write_image("sub/7.JPEG", 1);
    write_image("x y.png", 1);
    static const struct {
        const char *file, *text, *samples;
    } cases[] = {
        {"l.csv", "filename,class\na.png,Bag\nb.png,4\n", "a.png:8 b.png:4"},
        {"l.csv", "class;filename\r\nBag;a.png\r\nCoat;b, c.png\r\n", "a.png:8 b, c.png:4"},
        {"l.csv", "\xEF\xBB\xBFimage_path\tlabel_name\na.png\tAnkle boot\n", "a.png:9"},
        {"l.tsv", "label\tpath\n3\ta.png\n", "a.png:3"},
        {"l.csv", "sep=;\r\nImage Path;Class ID\r\na.png;2\r\n", "a.png:2"},
        {"l.csv", ",path,label\n0,a.png,5\n1,b.png,6\n", "a.png:5 b.png:6"},
        {"l.csv", "Unnamed: 0,label,file\n0,5,a.png\n1,6,b.png\n", "a.png:5 b.png:6"},
        {"l.csv", "id,label\na,5.0\nsub/7,6.0\n", "a.png:5 sub/7.JPEG:6"},
        {"l.csv", "id,species\na,Bag\nb,coat\n", "a.png:8 b.png:4"},
        {"l.csv", "photo_of,label\na.png,1\n", "a.png:1"},
        {"l.csv", "id,path,label\n17,a.png,1\n", "a.png:1"},
        {"l.csv", "path,class_id,class_name\na.png,8,Bag\nb.png,4,\n", "a.png:8 b.png:4"},
        {"l.csv", "path,class_name,class_id\na.png,handbag,8\nb.png,,4\n", "a.png:8 b.png:4"},
        {"l.csv", "index,path,label,label_name,predicted\n0,a.png,8,Bag,5\n", "a.png:8"},
        {"l.csv", "a.png,8\nb.png,4\n", "a.png:8 b.png:4"},
        {"l.csv", "8,a.png\n4,b.png\n", "a.png:8 b.png:4"},
        {"l.csv", "Bag,a.png\nCoat,b\n", "a.png:8 b.png:4"},
        {"l.csv", "a.png;8\n\"b, c.png\";4\n", "a.png:8 b, c.png:4"},
        {"l.csv", "0,a.png,8\n1,b.png,4\n", "a.png:8 b.png:4"},
        {"l.csv", "a.png, 8\nb.png, Coat \n", "a.png:8 b.png:4"},
        {"l.csv", "path\na.png\n", "a.png:-1"},
        {"l.txt", "a.png 8\nb.png 4\n", "a.png:8 b.png:4"},
        {"l.txt", "x y.png 8\nb.png Ankle boot\n", "x y.png:8 b.png:9"},
        {"l.txt", "a.png,8\nb.png,4\n", "a.png:8 b.png:4"},
        {"l.txt", "file;label\na.png;8\n", "a.png:8"},
        {"l.txt", "b, c.png\nx y.png\n", "b, c.png:-1 x y.png:-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_samples(open_data(write_text(cases[i].file, cases[i].text), labels), cases[i].samples);
    psal_labels_free(labels);
}
END_TEST

START_TEST(unclear_tables) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    write_image("a.png", 1);
    write_image("b.png", 1);
    static const struct {
        const char *text, *reason;
        bool forms;
    } cases[] = {{"path,label\na.png,10\n", "0 to 9 (are the labels numbered from 1?", false},
                 {"path,label\na.png,11\n", "class 11 is out of range: 0 to 9", false},
                 {"path,label\na.png,5.5\n", "5.5", false},
                 {"path,label\na.png,bug\n", "did you mean \"Bag\"", false},
                 {"path,class_id,class_name\na.png,8,Coat\n", "\"8\" is class 8 and \"Coat\" class 4", false},
                 {"path,age\na.png,7\n", "a column of numbers whose title", true},
                 {"0,a.png,8\n2,b.png,4\n", "list.csv:2: \"2\" in front of the path", true},
                 {"5,a.png,8\n6,b.png,4\n", "the path in the middle", true},
                 {"Bild,Klasse,Alter,Ort\na.png,8,1,x\n", "no titles that are known", true},
                 {"Bild,Klasse\na.png,8\n", "Bild: no such file; Klasse: no class", true},
                 {"a.png,8,g\nb.png,4,g,1\n", "list.csv:2: 4 fields", true},
                 {"path;label\na.png\n", "only 1 fields", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(!open_data(write_text("list.csv", cases[i].text), labels), "case %zu: %s", i, cases[i].text);
        ck_assert_msg(strstr(err.message, cases[i].reason) && strstr(err.message, "list.csv:"), "case %zu: %s", i,
                      err.message);
        ck_assert_msg((strstr(err.message, "a table has path,label") != NULL) == cases[i].forms, "case %zu: %s", i,
                      err.message);
        ck_assert_uint_lt(strlen(err.message), 1000);
    }
    psal_labels_free(labels);
}
END_TEST

/* With keep_bad, what is wrong with one line stays with its sample. */
START_TEST(bad_samples_are_kept) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    write_image("a.png", 1);
    const char *path = write_text("list.csv", "path,label\nnone.png,1\na.png,1\na.png,10\na.png,bug\na.png,\n");
    psal_dataset *data = psal_dataset_open(path, labels, true, NULL, &err);
    ck_assert_msg(data != NULL, "%s", err.message);
    ck_assert_uint_eq(psal_dataset_count(data), 5);
    ck_assert(!psal_dataset_all_labelled(data)); /* the last has no label, and no problem */
    ck_assert_ptr_null(psal_dataset_problem(data, 4));
    static const char *const problems[] = {"list.csv:2: ", NULL, "list.csv:4: class 10",
                                           "list.csv:5: no class is called \"bug\""};
    for (size_t i = 0; i < 4; i++) {
        psal_image image = PSAL_IMAGE_INIT;
        const char *problem = psal_dataset_problem(data, i);
        ck_assert_int_eq(problem == NULL, i == 1);
        ck_assert_int_eq(psal_dataset_load(data, i, &image, &err) == PSAL_OK, i == 1);
        if (problem) ck_assert_msg(strstr(problem, problems[i]) && !strcmp(problem, err.message), "%s", problem);
        ck_assert_int_eq(psal_dataset_label(data, i), i == 1 ? 1 : PSAL_NO_LABEL);
        psal_image_free(&image);
    }
    psal_dataset_free(data);
    ck_assert_ptr_null(
        psal_dataset_open(write_text("list.csv", "path,label\n,1\n"), labels, true, NULL, &err)); /* no sample at all */
    ck_assert_ptr_null(
        psal_dataset_open(write_text("list.csv", "Bild,Klasse\na.png,1\n"), labels, true, NULL, &err)); /* titles */
    psal_labels_free(labels);
    const char *paths[] = {in_scratch("none.png"), in_scratch("a.png")};
    data = psal_dataset_from_images(paths, (int[]){1, 2}, 2, true, &err);
    ck_assert_ptr_nonnull(strstr(psal_dataset_problem(data, 0), "none.png"));
    ck_assert_ptr_null(psal_dataset_problem(data, 1));
    psal_dataset_free(data);
}
END_TEST

START_TEST(bad_csv_lists) {
    psal_labels *labels = psal_labels_imagenet(&err);
    write_image("a.png", 1);
    make_folder("folder");
    static const struct {
        const char *text, *place, *reason;
    } cases[] = {{"a.png,1\nnone.png,1\n", "list.csv:2:", "none.png: No such file"},
                 {"path,label\na.png,1000\n", "list.csv:2:", "0 to 999"},
                 {"path,label\n\na.png,-1\n", "list.csv:3:", "0 to 999"},
                 {"a.png,sharky\n", "list.csv:1:", "sharky"},
                 {"a.png,n99999999\n", "list.csv:1:", "n99999999"},
                 {"a.png,crane\n", "list.csv:1:", "ambiguous"},
                 {"folder,1\n", "list.csv:1:", "is a folder"},
                 {",1\n", "list.csv:1:", "without a path"},
                 {"path,label\na.png\n", "list.csv:2:", "only 1 fields"},
                 {"a.png,1,g,x\n", "list.csv:1:", "4 fields"},
                 {"a.png,\"1\n", "list.csv:1:", "never closed"},
                 {"path,label\n", "list.csv", "no samples"},
                 {"", "list.csv", "no samples"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(!open_data(write_text("list.csv", cases[i].text), labels), "case %zu", i);
        ck_assert_msg(err.status != PSAL_OK, "case %zu", i);
        ck_assert_msg(strstr(err.message, cases[i].place) && strstr(err.message, cases[i].reason), "case %zu: %s", i,
                      err.message);
    }
    ck_assert_ptr_null(open_data(write_bytes("list.csv", "a.png,1\n\0\0", 10), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "list.csv:2:", "NUL");
    ck_assert_ptr_null(open_data(write_text("list.csv", "a.png,dog\n"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "list.csv:1:", "\"dog\" is no class number");
    char *line = malloc(10000001);
    memset(line, 'a', 10000000);
    line[10000000] = 0;
    ck_assert_ptr_null(open_data(write_text("list.csv", line), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "list.csv:1:");
    line[100000] = 0; /* a name longer than any file's */
    ck_assert_ptr_null(open_data(write_text("list.csv", line), labels));
    EXPECT_ERROR(err, PSAL_ERR_IO, "list.csv:1:");
    free(line);
    psal_labels_free(labels);
}
END_TEST

START_TEST(flat_folders) {
    psal_labels *labels = psal_labels_imagenet(&err);
    write_image("val/b.JPEG", 1);
    write_image("val/a.JPEG", 2);
    touch("val/notes.txt");
    char spec[1200];
    write_text("l.csv", "ImageId,PredictionString\nb,n01440764 1 2 3 4 n01440764 5 6 7 8\na,n01484850 1 2 3 4\n");
    snprintf(spec, sizeof spec, "flat:%s/val,%s/l.csv", scratch, scratch);
    psal_dataset *data = open_data(spec, labels);
    ck_assert_msg(data != NULL, "%s", err.message);
    expect_red(data, 1, 2);
    expect_samples(data, "b.JPEG:0 a.JPEG:2");
    write_text("val.txt", "a.JPEG 65\nb.JPEG\t970  \n");
    snprintf(spec, sizeof spec, "flat:%s/val/,%s/val.txt", scratch, scratch);
    expect_samples(open_data(spec, labels), "a.JPEG:65 b.JPEG:970");
    write_text("val.txt", "a.JPEG 65\nc.JPEG 1\n");
    ck_assert_ptr_null(open_data(spec, labels));
    EXPECT_ERROR(err, PSAL_ERR_IO, "val.txt:2:", "c.JPEG");
    write_text("val.txt", "a.JPEG\n");
    ck_assert_ptr_null(open_data(spec, labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "val.txt:1:", "name label");
    snprintf(spec, sizeof spec, "flat:%s/val", scratch);
    expect_samples(open_data(spec, labels), "a.JPEG:-1 b.JPEG:-1");
    snprintf(spec, sizeof spec, "flat:%s/vla,x.csv", scratch);
    ck_assert_ptr_null(open_data(spec, labels));
    EXPECT_ERROR(err, PSAL_ERR_IO, "/vla: No such file");
    make_folder("hollow");
    snprintf(spec, sizeof spec, "flat:%s/hollow", scratch);
    ck_assert_ptr_null(open_data(spec, labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "no images");
    /* A comma in the folder's name. */
    write_image("v,1/a.JPEG", 1);
    write_text("val.txt", "a 3\n");
    snprintf(spec, sizeof spec, "flat:%s/v,1,%s/val.txt", scratch, scratch);
    expect_samples(open_data(spec, labels), "a.JPEG:3");
    psal_labels_free(labels);
}
END_TEST

static void expect_absolute(const char *spec, const char *expected) {
    err = (psal_error)PSAL_ERROR_INIT;
    char *text = psal_dataset_absolute(spec, &err);
    ck_assert_msg(text != NULL, "%s: %s", spec, err.message);
    ck_assert_str_eq(text, expected);
    free(text);
}

/* Every kind, named in the folder it is in, means the same elsewhere. */
START_TEST(absolute_names) {
    write_image("v,1/a.png", 1);
    touch("l.csv");
    char here[300], old[300], expected[900];
    ck_assert_ptr_nonnull(getcwd(old, sizeof old));
    ck_assert_int_eq(chdir(scratch), 0);
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    static const char *const single[][2] = {{"", "v,1"},       {"folder:", "v,1"},  {"flat:", "v,1"},
                                            {"csv:", "l.csv"}, {"files:", "l.csv"}, {"image:", "v,1/a.png"}};
    for (int i = 0; i < 6; i++) {
        char name[100];
        snprintf(name, sizeof name, "%s./%s", single[i][0], single[i][1]);
        snprintf(expected, sizeof expected, "%s%s/%s", single[i][0], here, single[i][1]);
        expect_absolute(name, expected);
    }
    snprintf(expected, sizeof expected, "flat:%s/v,1,%s/l.csv", here, here);
    expect_absolute("flat:v,1,v,1/../l.csv", expected);
    expect_absolute(expected, expected);
    snprintf(expected, sizeof expected, "idx:%s/l.csv,%s/v,1/a.png", here, here);
    expect_absolute("idx:l.csv,v,1/a.png", expected);
    expect_absolute("nowhere", "nowhere");
    ck_assert_ptr_null(psal_dataset_absolute("idx:none,l.csv", &err));
    EXPECT_ERROR(err, PSAL_ERR_IO, "none: No such file");
    ck_assert_int_eq(chdir(old), 0);
}
END_TEST

START_TEST(file_lists_and_single_images) {
    write_image("d/a b.png", 1);
    write_image("d/\"c\".png", 2);
    expect_samples(open_data(write_text("d/list.txt", "a b.png\r\n\n\"c\".png"), NULL), "a b.png:-1 \"c\".png:-1");
    char spec[700], expected[700];
    snprintf(spec, sizeof spec, "files:%s", write_text("d/list", "a b.png\n"));
    expect_samples(open_data(spec, NULL), "a b.png:-1");
    ck_assert_ptr_null(open_data(write_text("d/list.txt", "a b.png\nx.png\n"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_IO, "list.txt:2:", "x.png");
    snprintf(expected, sizeof expected, "%s/d/a b.png:-1", scratch);
    expect_samples(open_data(in_scratch("d/a b.png"), NULL), expected);
    snprintf(spec, sizeof spec, "image:%s/d/a b.png", scratch);
    expect_samples(open_data(spec, NULL), expected);
    ck_assert_ptr_null(open_data("image:/nowhere.png", NULL));
    EXPECT_ERROR(err, PSAL_ERR_IO, "/nowhere.png");
    ck_assert_int_eq(mkfifo(in_scratch("pipe"), 0600), 0);
    ck_assert_ptr_null(open_data(in_scratch("pipe"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_IO, "not a regular file");
    const char *paths[] = {in_scratch("d/a b.png"), in_scratch("d/\"c\".png")};
    psal_dataset *data = psal_dataset_from_images(paths, (int[]){4, PSAL_NO_LABEL}, 2, false, &err);
    ck_assert_int_eq(psal_dataset_label(data, 0), 4);
    ck_assert_int_eq(psal_dataset_label(data, 1), -1);
    expect_red(data, 1, 2);
    psal_dataset_free(data);
    paths[1] = in_scratch("none.png");
    ck_assert_ptr_null(psal_dataset_from_images(paths, NULL, 2, false, &err));
    EXPECT_ERROR(err, PSAL_ERR_IO, "none.png");
    ck_assert_ptr_null(psal_dataset_from_images(paths, NULL, 0, false, &err));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("dataset_list");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, csv_lists);
    tcase_add_test(tests, forms_of_tables);
    tcase_add_test(tests, unclear_tables);
    tcase_add_test(tests, bad_samples_are_kept);
    tcase_add_test(tests, bad_csv_lists);
    tcase_add_test(tests, flat_folders);
    tcase_add_test(tests, absolute_names);
    tcase_add_test(tests, file_lists_and_single_images);
    tcase_set_timeout(tests, 120);
    return run_case("io/dataset_list", tests);
}
