#include "dataset_helpers.h"

START_TEST(image_folder) {
    write_image("d/cat/b.png", 1);
    write_image("d/cat/a.PNG", 2);
    write_image("d/Dog/z.jpeg", 3); /* a PNG all the same: the content tells */
    write_image("d/cat/sub/a.png", 4);
    write_image("d/cat/sub-1/a.png", 5);
    write_image("d/cat/B.JPG", 6);
    write_image("d/cat/.hidden.png", 7);
    write_image("d/.git/x.png", 8);
    touch("d/cat/notes.txt");
    touch("d/labels.csv");
    touch("d/top.png");
    psal_dataset *data = open_data(in_scratch("d/"), NULL);
    ck_assert_msg(data != NULL, "%s", err.message);
    expect_red(data, 0, 3);
    expect_red(data, 1, 7);
    ck_assert(psal_dataset_all_labelled(data));
    ck_assert_ptr_null(psal_dataset_group(data, 0));
    ck_assert_uint_eq(psal_dataset_unsupported(data), 0);
    char path[600];
    snprintf(path, sizeof path, "%s/d/Dog/z.jpeg", scratch);
    ck_assert_str_eq(psal_dataset_path(data, 0), path);
    /* Capitals before small letters; "sub-1" before "sub/..." only among whole paths: the folder
     * "cat/sub" itself comes before "cat/sub-1". */
    expect_samples(data, "Dog/z.jpeg:0 cat/.hidden.png:1 cat/B.JPG:1 cat/a.PNG:1 cat/b.png:1 "
                         "cat/sub/a.png:1 cat/sub-1/a.png:1");
    char spec[600];
    snprintf(spec, sizeof spec, "folder:%s", in_scratch("d"));
    data = open_data(spec, NULL);
    ck_assert_uint_eq(psal_dataset_count(data), 7);
    psal_dataset_free(data);
}
END_TEST

START_TEST(whole_paths_are_sorted) {
    write_image("d/c/a/x/1.png", 1);
    write_image("d/c/a-b/1.png", 1);
    write_image("d/c/a/1.png", 1);
    write_image("d/c/a.b/1.png", 1);
    expect_samples(open_data(in_scratch("d"), NULL), "c/a/1.png:0 c/a-b/1.png:0 c/a.b/1.png:0 c/a/x/1.png:0");
}
END_TEST

START_TEST(order_is_by_code_point) {
    /* U+FF5E is EF BD 9E, U+1F600 is F0 9F 98 80: bytes and code points agree. A byte that is not
     * UTF-8 sorts as U+DCxx in Python: in front of U+FF5E, though the byte FF is the largest. */
    make_folder("d/c");
    static const char *const names[] = {"\xef\xbd\x9e.png", "\xf0\x9f\x98\x80.png", "\xff.png", "\xc3\xa9.png",
                                        "z.png"};
    for (int i = 0; i < 5; i++) {
        char name[50];
        snprintf(name, sizeof name, "d/c/%s", names[i]);
        touch(name);
    }
    expect_samples(open_data(in_scratch("d"), NULL), "c/z.png:0 c/\xc3\xa9.png:0 c/\xff.png:0 "
                                                     "c/\xef\xbd\x9e.png:0 c/\xf0\x9f\x98\x80.png:0");
}
END_TEST

START_TEST(other_image_types_are_counted) {
    write_image("d/c/a.png", 1);
    write_bytes("d/c/b.bmp", "BM", 2);
    touch("d/c/c.WebP");
    touch("d/c/d.gif");
    psal_dataset *data = open_data(in_scratch("d"), NULL);
    ck_assert_uint_eq(psal_dataset_unsupported(data), 2);
    psal_image image;
    ck_assert(psal_dataset_load(data, 1, &image, &err) != PSAL_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "b.bmp"));
    ck_assert_ptr_null(image.rgb);
    ck_assert_int_eq(psal_dataset_load(data, 3, &image, &err), PSAL_ERR_ARGUMENT);
    expect_samples(data, "c/a.png:0 c/b.bmp:0 c/c.WebP:0");
}
END_TEST

START_TEST(imagenet_folders) {
    psal_labels *labels = psal_labels_imagenet(&err);
    write_image("d/n01484850/a.png", 1);
    write_image("d/n01440764/a.png", 1);
    write_image("d/toilet_tissue/a.png", 1);
    write_image("d/7/a.png", 1);
    expect_samples(open_data(in_scratch("d"), labels), "7/a.png:7 n01440764/a.png:0 "
                                                       "n01484850/a.png:2 toilet_tissue/a.png:999");
    write_image("d/n99999999/a.png", 1);
    ck_assert_ptr_null(open_data(in_scratch("d"), labels));
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "/d/n99999999:", "WordNet id n99999999");
    /* Without ImageNet's labels the same folders are just five classes. */
    expect_samples(open_data(in_scratch("d"), NULL), "7/a.png:0 n01440764/a.png:1 n01484850/a.png:2 n99999999/a.png:3 "
                                                     "toilet_tissue/a.png:4");
    psal_labels_free(labels);
}
END_TEST

START_TEST(named_folders) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    write_image("d/ankle-boot/a.png", 1);
    write_image("d/Bag/a.png", 1);
    write_image("d/coat/a.png", 1);
    expect_samples(open_data(in_scratch("d"), labels), "Bag/a.png:8 ankle-boot/a.png:9 coat/a.png:4");
    write_image("d/cota/a.png", 1);
    ck_assert_ptr_null(open_data(in_scratch("d"), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/d/cota:", "3 of the 4");
    write_image("e/x/a.png", 1);
    write_image("e/y/a.png", 1);
    expect_samples(open_data(in_scratch("e"), labels), "x/a.png:0 y/a.png:1");
    psal_labels_free(labels);
    labels = psal_labels_numbered(2, &err);
    write_image("n/10/a.png", 1);
    write_image("n/9/a.png", 1);
    expect_samples(open_data(in_scratch("n"), labels), "10/a.png:0 9/a.png:1"); /* as torchvision */
    write_image("n/z/a.png", 1);
    ck_assert_ptr_null(open_data(in_scratch("n"), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/n:", "3 class folders, but only 2 classes");
    psal_labels_free(labels);
}
END_TEST

START_TEST(bad_folders) {
    ck_assert_ptr_null(open_data(in_scratch("none"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_IO, "/none", "No such file");
    make_folder("empty");
    ck_assert_ptr_null(open_data(in_scratch("empty"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/empty:", "no class folders", "flat:");
    write_image("d/full/a.png", 1);
    make_folder("d/hollow");
    ck_assert_ptr_null(open_data(in_scratch("d"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/d/hollow:", "no images");
    ck_assert_ptr_null(open_data("", NULL));
    ck_assert_ptr_null(open_data(NULL, NULL));
    ck_assert_ptr_null(psal_dataset_open("/", NULL, NULL)); /* the root of a system is none */
    psal_dataset_free(NULL);
}
END_TEST

START_TEST(symbolic_links) {
    write_image("real/x/1.png", 9);
    make_folder("d/c");
    ck_assert_int_eq(symlink("../../real/x", in_scratch("d/c/linked")), 0);
    ck_assert_int_eq(symlink("../real", in_scratch("d/class")), 0);
    ck_assert_int_eq(symlink("../../real/x/1.png", in_scratch("d/c/file.png")), 0);
    ck_assert_int_eq(symlink("nowhere", in_scratch("d/c/gone.png")), 0);
    psal_dataset *data = open_data(in_scratch("d"), NULL);
    ck_assert_msg(data != NULL, "%s", err.message);
    expect_red(data, 0, 9);
    psal_image image;
    ck_assert_int_eq(psal_dataset_load(data, 1, &image, &err), PSAL_ERR_IO);
    EXPECT_ERROR(err, PSAL_ERR_IO, "c/gone.png");
    expect_samples(data, "c/file.png:0 c/gone.png:0 c/linked/1.png:0 class/x/1.png:1");
    /* Loops: to itself, to a folder above, and between two. */
    ck_assert_int_eq(symlink(".", in_scratch("real/x/loop")), 0);
    ck_assert_ptr_null(open_data(in_scratch("d"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "symbolic link leads back", "/loop:");
    ck_assert_int_eq(unlink(in_scratch("real/x/loop")), 0);
    ck_assert_int_eq(symlink("..", in_scratch("real/x/up")), 0);
    ck_assert_ptr_null(open_data(in_scratch("d"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "symbolic link leads back");
    ck_assert_int_eq(unlink(in_scratch("real/x/up")), 0);
    /* A link to itself is no folder, and its extension is none of an image. */
    ck_assert_int_eq(symlink("self", in_scratch("real/x/self")), 0);
    data = open_data(in_scratch("d"), NULL);
    ck_assert_uint_eq(psal_dataset_count(data), 4);
    psal_dataset_free(data);
}
END_TEST

/* Twenty folders, each with two links to the next: a million ways and no loop. */
START_TEST(exploding_links) {
    for (int i = 0; i < 22; i++) {
        char name[40], target[40];
        snprintf(name, sizeof name, "d/c/l%d", i);
        make_folder(name);
        for (int j = 0; j < 2; j++) {
            snprintf(name, sizeof name, "d/c/l%d/%d", i, j);
            snprintf(target, sizeof target, "../l%d", i + 1);
            ck_assert_int_eq(symlink(target, in_scratch(name)), 0);
        }
    }
    make_folder("d/c/l22");
    ck_assert_ptr_null(open_data(in_scratch("d"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_UNSUPPORTED, "more than");
}
END_TEST

START_TEST(deep_folders) {
    char name[400] = "d/c";
    for (int i = 0; i < 70; i++) strcat(name, "/x");
    write_image(strcat(name, "/a.png"), 1);
    ck_assert_ptr_null(open_data(in_scratch("d"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_UNSUPPORTED, "deeper than 64");
}
END_TEST

START_TEST(unreadable_folder) {
    write_image("d/c/a.png", 1);
    make_folder("d/c/secret");
    chmod(in_scratch("d/c/secret"), 0);
    if (access(in_scratch("d/c/secret"), R_OK) == 0) {
        printf("SKIPPED unreadable_folder: root reads everything\n");
        return;
    }
    ck_assert_ptr_null(open_data(in_scratch("d"), NULL));
    EXPECT_ERROR(err, PSAL_ERR_IO, "c/secret", "Permission denied");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("dataset_folder");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, image_folder);
    tcase_add_test(tests, whole_paths_are_sorted);
    tcase_add_test(tests, order_is_by_code_point);
    tcase_add_test(tests, other_image_types_are_counted);
    tcase_add_test(tests, imagenet_folders);
    tcase_add_test(tests, named_folders);
    tcase_add_test(tests, bad_folders);
    tcase_add_test(tests, symbolic_links);
    tcase_add_test(tests, exploding_links);
    tcase_add_test(tests, deep_folders);
    tcase_add_test(tests, unreadable_folder);
    tcase_set_timeout(tests, 120);
    return run_case("io/dataset_folder", tests);
}
