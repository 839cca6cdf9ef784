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

START_TEST(other_image_types_are_samples) {
    write_image("d/c/a.png", 1);
    write_bytes("d/c/b.bmp", "BM", 2);
    touch("d/c/c.WebP");
    touch("d/c/d.gif");
    psal_dataset *data = open_data(in_scratch("d"), NULL);
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
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/d/cota:", "3 of the 4", "name or number, or say the names with --labels");
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

/* Open folder `name` with these labels; the note that is expected (NULL: none), a warning or not. */
static psal_dataset *noted(const char *name, const psal_labels *labels, const char *note, bool warning) {
    psal_dataset *data = open_data(in_scratch(name), labels);
    ck_assert_msg(data != NULL, "%s", err.message);
    if (!note) {
        ck_assert_msg(notes.count == 0, "%s", notes.count ? notes.lines[0] : "");
        return data;
    }
    ck_assert_uint_eq(notes.count, 1);
    ck_assert_msg(strstr(notes.lines[0], note) != NULL, "\"%s\" lacks \"%s\"", notes.lines[0], note);
    ck_assert_int_eq(notes.warning[0], warning);
    return data;
}

/* Folders called 5 and 8 are classes 5 and 8, with class names or without; "05" too. */
START_TEST(numbered_folders) {
    psal_labels *sets[] = {psal_labels_fashion_mnist(&err), psal_labels_numbered(10, &err)};
    write_image("d/8/a.png", 1);
    write_image("d/5/a.png", 1);
    write_image("z/05/a.png", 1);
    write_image("z/003/a.png", 1);
    write_image("z/9/a.png", 1);
    for (int i = 0; i < 2; i++) {
        expect_samples(
            noted("d", sets[i], "2 class folders for 10 classes, taken as class numbers: 5 = 5, 8 = 8", false),
            "5/a.png:5 8/a.png:8");
        expect_samples(noted("z", sets[i], "taken as class numbers: 003 = 3, 05 = 5, 9 = 9", false),
                       "003/a.png:3 05/a.png:5 9/a.png:9");
    }
    write_image("d/Bag/a.png", 1); /* a name and numbers: each is known */
    expect_samples(noted("d", sets[0], NULL, false), "5/a.png:5 8/a.png:8 Bag/a.png:8");
    expect_samples(noted("d", sets[1], "3 class folders for 10 classes, in sorted order: 5 = 0, 8 = 1, Bag = 2", true),
                   "5/a.png:0 8/a.png:1 Bag/a.png:2");
    write_image("m/Bag/a.png", 1);
    write_image("m/10/a.png", 1);
    write_image("m/-1/a.png", 1);
    ck_assert_ptr_null(open_data(in_scratch("m"), sets[0]));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/m/-1:", "\"-1\", \"10\"", "1 of the 3");
    /* One out of range: none is a class number, and they are places as torchvision has them. */
    write_image("r/9/a.png", 1);
    write_image("r/10/a.png", 1);
    expect_samples(noted("r", sets[1], "in sorted order: 10 = 0, 9 = 1", true), "10/a.png:0 9/a.png:1");
    /* Of twelve the sorted order is another: said, for the network may have been trained with it. */
    for (int i = 0; i < 12; i++) {
        char name[20];
        snprintf(name, sizeof name, "t/%d/a.png", i);
        write_image(name, 1);
    }
    psal_labels *twelve = psal_labels_numbered(12, &err);
    psal_dataset *data = noted("t", twelve, "torchvision's ImageFolder numbers them in sorted order", true);
    ck_assert_int_eq(psal_dataset_label(data, 2), 10);
    psal_dataset_free(data);
    psal_labels_free(twelve);
    /* A file with the names in that order makes them names. */
    twelve = psal_labels_load(write_text("n.txt", "0\n1\n10\n11\n2\n3\n4\n5\n6\n7\n8\n9\n"), &err);
    data = noted("t", twelve, NULL, false);
    ck_assert_int_eq(psal_dataset_label(data, 2), 2);
    psal_dataset_free(data);
    psal_labels_free(twelve);
    for (int i = 0; i < 2; i++) psal_labels_free(sets[i]);
}
END_TEST

/* Names that nobody knows are numbered by place, and that is said. */
START_TEST(folders_by_place) {
    psal_labels *two = psal_labels_numbered(2, &err), *ten = psal_labels_numbered(10, &err);
    psal_labels *named = psal_labels_load(write_text("two.txt", "yes\nno\n"), &err);
    write_image("d/dog/a.png", 1);
    write_image("d/cat/a.png", 1);
    expect_samples(noted("d", two, "2 class folders, in sorted order: cat = 0, dog = 1; ", false),
                   "cat/a.png:0 dog/a.png:1");
    expect_samples(noted("d", ten, "2 class folders for 10 classes, in sorted order: cat = 0, dog = 1; ", true),
                   "cat/a.png:0 dog/a.png:1");
    expect_samples(noted("d", named, "2 class folders for 2 classes, in sorted order", true),
                   "cat/a.png:0 dog/a.png:1");
    expect_samples(noted("d", NULL, NULL, false), "cat/a.png:0 dog/a.png:1");
    write_image("d/top.png", 1);
    write_image("d/top.jpg", 1);
    touch("d/notes.txt");
    psal_dataset *data = open_data(in_scratch("d"), two);
    ck_assert_uint_eq(notes.count, 2);
    ck_assert_ptr_nonnull(strstr(notes.lines[1], "2 images beside the class folders left out"));
    psal_dataset_free(data);
    psal_labels_free(two);
    psal_labels_free(ten);
    psal_labels_free(named);
}
END_TEST

/* The folder above the class folders is refused with the one to give. */
START_TEST(wrong_levels) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    static const char *const roots[][2] = {{"train", "val"},
                                           {"Train", "Test"},
                                           {"training", "validation"},
                                           {"testing", "valid"},
                                           {"TRAIN", "VAL"},
                                           {"training_set", "test_set"},
                                           {"seg_train", "seg_test"},
                                           {"train2017", "val2017"},
                                           {"dev", "eval"},
                                           {"ILSVRC2012_img_train", "ILSVRC2012_img_val"}};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        char name[60], root[30], given[60];
        snprintf(root, sizeof root, "r%zu", i);
        for (int part = 0; part < 2; part++) {
            snprintf(name, sizeof name, "%s/%s/Bag/a.png", root, roots[i][part]);
            write_image(name, 1);
        }
        for (int set = 0; set < 2; set++) {
            ck_assert_ptr_null(open_data(in_scratch(root), set ? labels : NULL));
            snprintf(given, sizeof given, "%s/", root);
            EXPECT_ERROR(err, PSAL_ERR_FORMAT, "the root of a data set", "e.g. ", given);
        }
    }
    ck_assert_ptr_null(open_data(in_scratch("r0"), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/r0/val");
    ck_assert_ptr_null(open_data(in_scratch("r5"), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/r5/test_set");
    write_image("things/test tube/a.png", 1); /* classes of such names hold images, and longer words are others */
    write_image("things/train_station/a.png", 1);
    expect_samples(noted("things", labels, "2 class folders for 10 classes", true),
                   "test tube/a.png:0 train_station/a.png:1");
    write_image("words/trainer/deep/a.png", 1);
    write_image("words/valley/deep/a.png", 1);
    expect_samples(noted("words", labels, "2 class folders for 10 classes", true),
                   "trainer/deep/a.png:0 valley/deep/a.png:1");
    write_image("one/val/a.png", 1); /* even alone, even without class folders */
    ck_assert_ptr_null(open_data(in_scratch("one"), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/one/val");
    write_image("more/train/Bag/a.png", 1); /* beside something else */
    write_image("more/extra/a.png", 1);
    ck_assert_ptr_null(open_data(in_scratch("more"), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "/more/train");
    /* A class may be called so: a railway's. */
    psal_labels *vehicles = psal_labels_load(write_text("v.txt", "bus\ntrain\n"), &err);
    write_image("v/train/a.png", 1);
    expect_samples(noted("v", vehicles, NULL, false), "train/a.png:1");
    write_image("v/bus/a.png", 1);
    expect_samples(noted("v", vehicles, NULL, false), "bus/a.png:0 train/a.png:1");
    expect_samples(noted("v", NULL, NULL, false), "bus/a.png:0 train/a.png:1");
    write_image("v/val/bus/a.png", 1);
    ck_assert_ptr_null(open_data(in_scratch("v"), vehicles));
    psal_labels_free(vehicles);
    /* One folder around all others. */
    write_image("w/images/Bag/a.png", 1);
    write_image("w/images/Coat/a.png", 1);
    ck_assert_ptr_null(open_data(in_scratch("w"), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "its only folder, images", "/w/images");
    write_image("x/Bag/brown/a.png", 1); /* but a class may have folders */
    expect_samples(noted("x", labels, NULL, false), "Bag/brown/a.png:8");
    psal_labels_free(labels);
}
END_TEST

START_TEST(bad_links_are_kept) {
    make_folder("d/Bag");
    write_image("d/Bag/a.png", 1);
    ck_assert_int_eq(symlink("nowhere", in_scratch("d/Bag/b.png")), 0);
    psal_dataset *data = psal_dataset_open(in_scratch("d"), NULL, true, NULL, &err);
    ck_assert_uint_eq(psal_dataset_count(data), 2);
    ck_assert_ptr_null(psal_dataset_problem(data, 0));
    ck_assert_ptr_nonnull(strstr(psal_dataset_problem(data, 1), "Bag/b.png: No such file"));
    uint64_t hash;
    ck_assert_int_eq(psal_dataset_fingerprint(data, &hash, &err), PSAL_OK);
    psal_image image;
    ck_assert_int_eq(psal_dataset_load(data, 1, &image, &err), PSAL_ERR_IO);
    psal_dataset_free(data);
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
    ck_assert_ptr_null(psal_dataset_open("/", NULL, false, NULL, NULL)); /* the root of a system is none */
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
    tcase_add_test(tests, other_image_types_are_samples);
    tcase_add_test(tests, imagenet_folders);
    tcase_add_test(tests, named_folders);
    tcase_add_test(tests, numbered_folders);
    tcase_add_test(tests, folders_by_place);
    tcase_add_test(tests, wrong_levels);
    tcase_add_test(tests, bad_links_are_kept);
    tcase_add_test(tests, bad_folders);
    tcase_add_test(tests, symbolic_links);
    tcase_add_test(tests, exploding_links);
    tcase_add_test(tests, deep_folders);
    tcase_add_test(tests, unreadable_folder);
    tcase_set_timeout(tests, 120);
    return run_case("io/dataset_folder", tests);
}
