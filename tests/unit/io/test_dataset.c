#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "dataset_helpers.h"

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

/* Ten kilobytes that unpack to ten million images of a pixel, each of which would get a name. */
START_TEST(too_many_idx_images) {
    static uint8_t images[16 + 10000001] = {0, 0, 8, 3, 0, 0x98, 0x96, 0x81, 0, 0, 0, 1, 0, 0, 0, 1};
    gzFile file = gzopen(in_scratch("images.gz"), "wb1");
    ck_assert_int_eq(gzwrite(file, images, sizeof images), sizeof images);
    gzclose(file);
    char spec[300];
    snprintf(spec, sizeof spec, "idx:%s/images.gz", scratch);
    ck_assert_ptr_null(open_data(spec, NULL));
    EXPECT_ERROR(err, PSAL_ERR_UNSUPPORTED, "10000001 images", "at most 10000000");
}
END_TEST

START_TEST(fashion_mnist) {
    psal_labels *labels = psal_labels_fashion_mnist(&err);
    psal_dataset *data = open_data("idx:/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz,"
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

/* ---- reading ahead ---- */

static bool in_memory(const char *path) {
    static unsigned char pages[256];
    size_t size = sizeof pages * (size_t)sysconf(_SC_PAGESIZE), present = 0;
    int fd = open(path, O_RDONLY);
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert(map != MAP_FAILED && mincore(map, size, pages) == 0);
    for (size_t i = 0; i < sizeof pages; i++) present += pages[i] & 1;
    munmap(map, size);
    close(fd);
    return present == sizeof pages;
}

START_TEST(prefetches_files) {
    size_t size = 256 * (size_t)sysconf(_SC_PAGESIZE);
    char *bytes = calloc(1, size);
    write_bytes("a.png", bytes, size);
    free(bytes);
    char path[600];
    snprintf(path, sizeof path, "%s", in_scratch("a.png"));
    psal_dataset *data = open_data(write_text("l.csv", "a.png,1\n"), NULL);
    ck_assert_msg(data != NULL, "%s", err.message);
    int fd = open(path, O_RDONLY);
    ck_assert(fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    close(fd);
    if (in_memory(path)) {
        printf("SKIPPED prefetches_files: the file system keeps files in memory\n");
    } else {
        psal_dataset_prefetch(data, 0);
        for (int i = 0; i < 500 && !in_memory(path); i++) usleep(10000);
        ck_assert(in_memory(path));
    }
    psal_dataset_prefetch(data, 1); /* no such sample */
    ck_assert_int_eq(unlink(path), 0);
    psal_dataset_prefetch(data, 0); /* no such file any more */
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    psal_dataset_prefetch(data, 0); /* nobody writes */
    psal_dataset_free(data);
    data = open_data(write_idx(2, 3), NULL);
    psal_dataset_prefetch(data, 1); /* no file of its own */
    psal_dataset_free(data);
}
END_TEST

/* ---- fingerprints, shards, threads ---- */

static uint64_t fingerprint(const char *spec, const psal_labels *labels) {
    psal_dataset *data = open_data(spec, labels);
    ck_assert_msg(data != NULL, "%s", err.message);
    uint64_t hash = 1, again = 2;
    ck_assert_int_eq(psal_dataset_fingerprint(data, &hash, &err), PSAL_OK);
    ck_assert_int_eq(psal_dataset_fingerprint(data, &again, &err), PSAL_OK);
    ck_assert(hash == again);
    psal_dataset_free(data);
    return hash;
}

START_TEST(fingerprints) {
    write_image("d/a.png", 1);
    write_image("d/b.png", 1);
    uint64_t seen[16];
    int count = 0;
    static const char *const lists[] = {
        "a.png,1\nb.png,2\n", "b.png,2\na.png,1\n",   "a.png,1\nb.png,1\n",   "a.png,1\n",
        "a.png,1\nb.png\n",   "a.png,1,g\nb.png,2\n", "a.png,1\nb.png,2,g\n", "a.png,1\nb.png,2\nb.png,2\n"};
    for (int i = 0; i < 8; i++) seen[count++] = fingerprint(write_text("d/l.csv", lists[i]), NULL);
    uint64_t again = fingerprint(write_text("d/l.csv", "path,label\n\"a.png\",1\r\nb.png,2\r\n"), NULL);
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
    ck_assert_uint_eq(fingerprint(write_text("one.csv", "one,3,g\n"), NULL), UINT64_C(0xbd21a25df7485431));
}
END_TEST

/* A size that is not told must not become another data set: gone, below something that is no folder, a link to
 * itself. */
START_TEST(fingerprint_without_a_size) {
    ck_assert_int_eq(mkdir(in_scratch("d"), 0777), 0);
    write_text("d/a", "a");
    write_text("d/b", "b");
    psal_dataset *data = open_data(write_text("d.csv", "d/a,1\nd/b,2\n"), NULL);
    uint64_t hash = 7;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(unlink(in_scratch("d/b")), 0);
        if (i == 1) ck_assert_int_eq(symlink("b", in_scratch("d/b")), 0);
        if (i == 2) {
            ck_assert_int_eq(rename(in_scratch("d"), in_scratch("e")), 0);
            write_text("d", "a file");
        }
        ck_assert_int_eq(psal_dataset_fingerprint(data, &hash, &err), PSAL_ERR_IO);
        ck_assert_msg(strstr(err.message, i == 2 ? "/d/a: " : "/d/b: ") != NULL, "%s", err.message);
        ck_assert_uint_eq(hash, 7);
        if (i < 1) write_text("d/b", "b");
    }
    psal_dataset_free(data);
}
END_TEST

static uint64_t image_fingerprint(const psal_dataset *data, size_t index) {
    uint64_t hash = 0;
    ck_assert_msg(psal_dataset_image_fingerprint(data, index, &hash, &err) == PSAL_OK, "%s", err.message);
    return hash;
}

/* Of an image's contents: not of its name, nor its neighbours', nor its date. */
START_TEST(fingerprints_of_images) {
    write_text("a", "12345");
    write_text("b", "12346");
    write_text("c", "12345");
    psal_dataset *data = open_data(write_text("l.csv", "a,1\nb,2\nc,3\n"), NULL);
    ck_assert_uint_eq(image_fingerprint(data, 0),
                      UINT64_C(0xe575e8883c0f89f8)); /* FNV-1a, worked out apart from this code */
    ck_assert_uint_eq(image_fingerprint(data, 2), image_fingerprint(data, 0));
    ck_assert_uint_ne(image_fingerprint(data, 1), image_fingerprint(data, 0));
    write_text("a", "");
    ck_assert_uint_ne(image_fingerprint(data, 0), image_fingerprint(data, 2));
    uint64_t hash = 7;
    ck_assert_int_eq(unlink(in_scratch("a")), 0);
    ck_assert_int_eq(psal_dataset_image_fingerprint(data, 0, &hash, &err), PSAL_ERR_IO);
    EXPECT_ERROR(err, PSAL_ERR_IO, "/a: ");
    ck_assert_int_eq(psal_dataset_image_fingerprint(data, 3, &hash, &err), PSAL_ERR_ARGUMENT);
    ck_assert_uint_eq(hash, 7);
    psal_dataset_free(data);
    data = open_data(write_idx(2, 3), NULL);
    ck_assert_uint_ne(image_fingerprint(data, 0), image_fingerprint(data, 1));
    psal_dataset_free(data);
}
END_TEST

static psal_status check_images(const psal_dataset *data, const uint64_t *hashes) {
    err = (psal_error)PSAL_ERROR_INIT;
    return psal_dataset_check_images(data, 1, 2, hashes, 2 * sizeof *hashes, &err);
}

START_TEST(images_that_were_replaced) {
    write_text("a", "12345");
    write_text("b", "12346");
    write_text("c", "12347");
    psal_dataset *data = open_data(write_text("l.csv", "a,1\nb,2\nc,3\n"), NULL);
    uint64_t hashes[] = {image_fingerprint(data, 1), 0, image_fingerprint(data, 2)};
    ck_assert_int_eq(check_images(data, hashes), PSAL_OK);
    write_text("a", "not asked for");
    ck_assert_int_eq(check_images(data, hashes), PSAL_OK);
    write_text("b", "54321");
    write_text("c", "54321");
    ck_assert_int_eq(check_images(data, hashes), PSAL_ERR_ARGUMENT);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "b was replaced");
    hashes[0] = 0; /* not known */
    ck_assert_int_eq(check_images(data, hashes), PSAL_ERR_ARGUMENT);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "c was replaced");
    ck_assert_int_eq(unlink(in_scratch("c")), 0);
    ck_assert_int_eq(check_images(data, hashes), PSAL_ERR_IO);
    EXPECT_ERROR(err, PSAL_ERR_IO, "/c: ");
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
    for (int i = 0; i < 4; i++) ck_assert_int_eq(pthread_create(&thread[i], NULL, load_all, data), 0);
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
    tcase_add_test(tests, idx_files);
    tcase_add_test(tests, too_many_idx_images);
    tcase_add_test(tests, fashion_mnist);
    tcase_add_test(tests, prefetches_files);
    tcase_add_test(tests, fingerprints);
    tcase_add_test(tests, fingerprint_without_a_size);
    tcase_add_test(tests, fingerprints_of_images);
    tcase_add_test(tests, images_that_were_replaced);
    tcase_add_test(tests, loads_from_many_threads);
    tcase_add_test(tests, imagenet_sample);
    tcase_set_timeout(tests, 120);
    return run_case("io/dataset", tests);
}
