#include "io/dataset.h"

#include <pthread.h>
#include <unistd.h>
#include <zlib.h>

#include "scratch.h"

static psal_error err;

static psal_dataset *open_data(const char *spec, const psal_labels *labels) {
    err = (psal_error)PSAL_ERROR_INIT;
    return psal_dataset_open(spec, labels, &err);
}

/* A 2x1 image of one colour as a PNG; the folder of `name` is made, too. */
static void write_image(const char *name, uint8_t red) {
    char folder[300];
    snprintf(folder, sizeof folder, "%s", name);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = 0;
        make_folder(folder);
    }
    uint8_t pixels[6] = {red, 1, 2, red, 1, 2};
    psal_image image = {2, 1, pixels};
    /* By way of a neutral name, since names of tests need not be UTF-8 or end in .png. */
    ck_assert_msg(!psal_image_write_png(in_scratch(name), &image, &err), "%s", err.message);
}

static void touch(const char *name) {
    fclose(fopen(in_scratch(name), "w"));
}

/* The data set must be "name:label name:label ..." in this order. */
static void expect_samples(psal_dataset *data, const char *expected) {
    ck_assert_msg(data != NULL, "%s", err.message);
    static char got[8192];
    got[0] = 0;
    for (size_t i = 0; i < psal_dataset_count(data); i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s:%d", i ? " " : "",
                 psal_dataset_name(data, i), psal_dataset_label(data, i));
    ck_assert_str_eq(got, expected);
    psal_dataset_free(data);
}

static void expect_red(const psal_dataset *data, size_t index, uint8_t red) {
    psal_image image;
    ck_assert_msg(!psal_dataset_load(data, index, &image, &err), "%s", err.message);
    ck_assert_int_eq(image.rgb[0], red);
    psal_image_free(&image);
}

/* ---- folders ---- */

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
    expect_samples(open_data(in_scratch("d"), NULL),
                   "c/a/1.png:0 c/a-b/1.png:0 c/a.b/1.png:0 c/a/x/1.png:0");
}
END_TEST

START_TEST(order_is_by_code_point) {
    /* U+FF5E is EF BD 9E, U+1F600 is F0 9F 98 80: bytes and code points agree. A byte that is not
     * UTF-8 sorts as U+DCxx in Python: in front of U+FF5E, though the byte FF is the largest. */
    make_folder("d/c");
    static const char *const names[] = {"\xef\xbd\x9e.png", "\xf0\x9f\x98\x80.png", "\xff.png",
                                        "\xc3\xa9.png", "z.png"};
    for (int i = 0; i < 5; i++) {
        char name[50];
        snprintf(name, sizeof name, "d/c/%s", names[i]);
        touch(name);
    }
    expect_samples(open_data(in_scratch("d"), NULL),
                   "c/z.png:0 c/\xc3\xa9.png:0 c/\xff.png:0 "
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
    expect_samples(open_data(in_scratch("d"), NULL),
                   "7/a.png:0 n01440764/a.png:1 n01484850/a.png:2 n99999999/a.png:3 "
                   "toilet_tissue/a.png:4");
    psal_labels_free(labels);
}
END_TEST

START_TEST(named_folders) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    write_image("d/ankle-boot/a.png", 1);
    write_image("d/Bag/a.png", 1);
    write_image("d/coat/a.png", 1);
    expect_samples(open_data(in_scratch("d"), labels),
                   "Bag/a.png:8 ankle-boot/a.png:9 coat/a.png:4");
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

/* ---- lists ---- */

START_TEST(csv_lists) {
    psal_labels *labels = psal_labels_imagenet(&err);
    write_image("d/a.png", 1);
    write_image("d/b, c.png", 2);
    char text[800];
    snprintf(text, sizeof text,
             "path,label\r\na.png,2\r\n\"b, c.png\",great_white_shark\r\n%s/d/a.png,n01440764",
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
    data = open_data(write_text("d/list.csv", "index,Group,class,File,loss\n0,g,7,a.png,0.5\n"),
                     labels);
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
        ck_assert_msg(strstr(err.message, cases[i].place) && strstr(err.message, cases[i].reason),
                      "case %zu: %s", i, err.message);
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
    write_text(
        "l.csv",
        "ImageId,PredictionString\nb,n01440764 1 2 3 4 n01440764 5 6 7 8\na,n01484850 1 2 3 4\n");
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
    expect_samples(open_data(write_text("d/list.txt", "a b.png\r\n\n\"c\".png"), NULL),
                   "a b.png:-1 \"c\".png:-1");
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

/* ---- IDX ---- */

static const char *write_idx(uint8_t label_count, uint8_t last_label) {
    uint8_t images[16 + 12] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3};
    for (int i = 0; i < 12; i++) images[16 + i] = (uint8_t)(20 * i);
    write_bytes("images", images, sizeof images);
    uint8_t labels[8 + 3] = {0, 0, 8, 1, 0, 0, 0, label_count, 9, last_label, 0};
    gzFile file = gzopen(in_scratch("labels.gz"), "wb");
    ck_assert_int_eq(gzwrite(file, labels, 8u + label_count), 8 + label_count);
    gzclose(file);
    static char spec[600];
    snprintf(spec, sizeof spec, "idx:%s/images,%s/labels.gz", scratch, scratch);
    return spec;
}

START_TEST(idx_files) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    psal_dataset *data = open_data(write_idx(2, 3), labels);
    ck_assert_msg(data != NULL, "%s", err.message);
    ck_assert_ptr_null(psal_dataset_path(data, 1));
    psal_image image;
    ck_assert(!psal_dataset_load(data, 1, &image, &err));
    ck_assert(image.width == 3 && image.height == 2);
    for (int i = 0; i < 18; i++) ck_assert_int_eq(image.rgb[i], 20 * (6 + i / 3));
    psal_image_free(&image);
    ck_assert_int_eq(psal_dataset_load(data, 2, &image, &err), PSAL_ERR_ARGUMENT);
    expect_samples(data, "images:0:9 images:1:3");
    char spec[300];
    snprintf(spec, sizeof spec, "idx:%s/images", scratch);
    expect_samples(open_data(spec, labels), "images:0:-1 images:1:-1");
    ck_assert_ptr_null(open_data(write_idx(2, 10), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "labels.gz", "label 10 of sample 1", "0 to 9");
    data = open_data(write_idx(2, 10), NULL);
    ck_assert_ptr_nonnull(data);
    psal_dataset_free(data);
    ck_assert_ptr_null(open_data(write_idx(3, 1), labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "3 labels", "2 images");
    snprintf(spec, sizeof spec, "idx:%s/images,%s/none", scratch, scratch);
    ck_assert_ptr_null(open_data(spec, labels));
    EXPECT_ERROR(err, PSAL_ERR_IO, "/none");
    snprintf(spec, sizeof spec, "idx:%s/labels.gz,%s/images", scratch, scratch);
    ck_assert_ptr_null(open_data(spec, labels));
    EXPECT_ERROR(err, PSAL_ERR_FORMAT, "1 dimensions, expected 3");
    ck_assert_ptr_null(open_data("idx:", labels));
    ck_assert_ptr_null(open_data("idx:,", labels));
    psal_labels_free(labels);
}
END_TEST

START_TEST(fashion_mnist) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    psal_dataset *data =
        open_data("idx:/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz,"
                  "/usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz",
                  labels);
    if (!data && err.status == PSAL_ERR_IO) {
        printf("SKIPPED fashion_mnist: package dataset-fashion-mnist is not installed\n");
        psal_labels_free(labels);
        return;
    }
    ck_assert_msg(data != NULL, "%s", err.message);
    ck_assert_uint_eq(psal_dataset_count(data), 10000);
    static const int first[20] = {9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4, 5, 7, 3, 4, 1, 2, 4, 8, 0};
    for (size_t i = 0; i < 20; i++) ck_assert_int_eq(psal_dataset_label(data, i), first[i]);
    psal_image image;
    ck_assert(!psal_dataset_load(data, 0, &image, &err));
    int sum = 0;
    for (int i = 0; i < 784; i++) sum += image.rgb[3 * i];
    ck_assert_int_eq(sum, 33456); /* by NumPy */
    psal_image_free(&image);
    psal_dataset_free(data);
    psal_labels_free(labels);
}
END_TEST

/* ---- fingerprints, shards, threads ---- */

static uint64_t fingerprint(const char *spec, const psal_labels *labels) {
    psal_dataset *data = open_data(spec, labels);
    ck_assert_msg(data != NULL, "%s", err.message);
    uint64_t hash = psal_dataset_fingerprint(data);
    ck_assert(hash == psal_dataset_fingerprint(data));
    psal_dataset_free(data);
    return hash;
}

START_TEST(fingerprints) {
    write_image("d/a.png", 1);
    write_image("d/b.png", 1);
    uint64_t seen[16];
    int count = 0;
    static const char *const lists[] = {"a.png,1\nb.png,2\n",   "b.png,2\na.png,1\n",
                                        "a.png,1\nb.png,1\n",   "a.png,1\n",
                                        "a.png,1\nb.png\n",     "a.png,1,g\nb.png,2\n",
                                        "a.png,1\nb.png,2,g\n", "a.png,1\nb.png,2\nb.png,2\n"};
    for (int i = 0; i < 8; i++) seen[count++] = fingerprint(write_text("d/l.csv", lists[i]), NULL);
    uint64_t again =
        fingerprint(write_text("d/l.csv", "path,label\n\"a.png\",1\r\nb.png,2\r\n"), NULL);
    ck_assert(again == seen[0]); /* the same samples, otherwise written */
    write_text("d/l.csv", lists[0]);
    ck_assert_int_eq(rename(in_scratch("d"), in_scratch("e")), 0);
    ck_assert(fingerprint(in_scratch("e/l.csv"), NULL) == seen[0]); /* elsewhere */
    write_text("e/b.png", "of another size");
    seen[count++] = fingerprint(in_scratch("e/l.csv"), NULL);
    seen[count++] = fingerprint(write_idx(2, 3), NULL);
    seen[count++] = fingerprint(write_idx(2, 4), NULL);
    uint8_t images[16 + 12] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3};
    write_bytes("images", images, sizeof images); /* other pixels, the same size */
    char spec[600];
    snprintf(spec, sizeof spec, "idx:%s/images,%s/labels.gz", scratch, scratch);
    seen[count++] = fingerprint(spec, NULL);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++) ck_assert_msg(seen[i] != seen[j], "%d and %d", i, j);
    /* FNV-1a of this list, worked out apart from this code (see
     * psal_dataset_fingerprint): the file format of psal-stats depends on it. */
    write_text("one", "12345");
    psal_dataset *data = open_data(write_text("one.csv", "one,3,g\n"), NULL);
    ck_assert_uint_eq(psal_dataset_fingerprint(data), UINT64_C(0xbd21a25df7485431));
    psal_dataset_free(data);
}
END_TEST

START_TEST(shards_cover_the_set) {
    char text[2000] = "";
    write_image("a.png", 1);
    for (int i = 0; i < 100; i++) strcat(text, "a.png,1\n");
    psal_dataset *data = open_data(write_text("l.csv", text), NULL);
    for (int64_t shards = 1; shards < 130; shards++) {
        size_t next = 0, first, end;
        for (int64_t i = 0; i < shards; i++) {
            ck_assert(!psal_dataset_shard(data, i, shards, &first, &end, &err));
            ck_assert_uint_eq(first, next);
            ck_assert(end - first == 100 / (size_t)shards ||
                      end - first == 100 / (size_t)shards + 1);
            next = end;
        }
        ck_assert_uint_eq(next, 100);
    }
    size_t first, end;
    ck_assert_int_eq(psal_dataset_shard(data, 3, 3, &first, &end, &err), PSAL_ERR_ARGUMENT);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "shard 3 of 3");
    ck_assert_int_eq(psal_dataset_shard(data, -1, 3, &first, &end, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_dataset_shard(data, 0, 0, &first, &end, &err), PSAL_ERR_ARGUMENT);
    ck_assert_int_eq(psal_dataset_shard(data, 0, INT64_MAX, &first, &end, &err), PSAL_ERR_ARGUMENT);
    psal_dataset_free(data);
}
END_TEST

static void *load_all(void *argument) {
    const psal_dataset *data = argument;
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < psal_dataset_count(data); i++) {
            psal_image image;
            if (psal_dataset_load(data, i, &image, NULL) || image.rgb[0] != i) return argument;
            psal_image_free(&image);
        }
    }
    return NULL;
}

START_TEST(loads_from_many_threads) {
    for (uint8_t i = 0; i < 30; i++) {
        char name[30];
        snprintf(name, sizeof name, "d/c/%02d.png", i);
        write_image(name, i);
    }
    psal_dataset *data = open_data(in_scratch("d"), NULL);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, load_all, data), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(thread[i], &result);
        ck_assert_ptr_null(result);
    }
    psal_dataset_free(data);
}
END_TEST

/* The real thing, where it is at hand: every folder known, every label as labels.csv has it. */
START_TEST(imagenet_sample) {
    const char *folder = SOURCE_ROOT "/../shared/imagenet-sample";
    psal_labels *labels = psal_labels_imagenet(&err);
    psal_dataset *data = open_data(folder, labels);
    if (!data && err.status == PSAL_ERR_IO) {
        printf("SKIPPED imagenet_sample: no ../shared/imagenet-sample\n");
        psal_labels_free(labels);
        return;
    }
    ck_assert_msg(data != NULL, "%s", err.message);
    psal_dataset *list = open_data(SOURCE_ROOT "/../shared/imagenet-sample/labels.csv", labels);
    ck_assert_msg(list != NULL, "%s", err.message);
    ck_assert_uint_eq(psal_dataset_count(data), 500);
    ck_assert_uint_eq(psal_dataset_count(list), 500);
    for (size_t i = 0; i < 500; i++) {
        const char *name = psal_dataset_name(list, i);
        size_t other = 0;
        while (other < 500 && strcmp(psal_dataset_name(data, other), name)) other++;
        ck_assert_msg(other < 500, "%s", name);
        ck_assert_int_eq(psal_dataset_label(data, other), psal_dataset_label(list, i));
    }
    psal_dataset_free(list);
    psal_dataset_free(data);
    psal_labels_free(labels);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("dataset");
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
    tcase_add_test(tests, csv_lists);
    tcase_add_test(tests, bad_csv_lists);
    tcase_add_test(tests, flat_folders);
    tcase_add_test(tests, file_lists_and_single_images);
    tcase_add_test(tests, idx_files);
    tcase_add_test(tests, fashion_mnist);
    tcase_add_test(tests, fingerprints);
    tcase_add_test(tests, shards_cover_the_set);
    tcase_add_test(tests, loads_from_many_threads);
    tcase_add_test(tests, imagenet_sample);
    tcase_set_timeout(tests, 120);
    return run_case("io/dataset", tests);
}
