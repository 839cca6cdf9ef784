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
    psal_dataset *data = psal_dataset_from_images(paths, (int[]){4, PSAL_NO_LABEL}, 2, &err);
    ck_assert_int_eq(psal_dataset_label(data, 0), 4);
    ck_assert_int_eq(psal_dataset_label(data, 1), -1);
    expect_red(data, 1, 2);
    psal_dataset_free(data);
    paths[1] = in_scratch("none.png");
    ck_assert_ptr_null(psal_dataset_from_images(paths, NULL, 2, &err));
    EXPECT_ERROR(err, PSAL_ERR_IO, "none.png");
    ck_assert_ptr_null(psal_dataset_from_images(paths, NULL, 0, &err));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("dataset_list");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, csv_lists);
    tcase_add_test(tests, bad_csv_lists);
    tcase_add_test(tests, flat_folders);
    tcase_add_test(tests, file_lists_and_single_images);
    tcase_set_timeout(tests, 120);
    return run_case("io/dataset_list", tests);
}
