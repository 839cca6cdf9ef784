/* Lists of images: the first byte chooses the kind of list and the label set, the rest is the list. Two images lie
 * beside it. */
#include "io/dataset.h"

#include <stdio.h>

#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 3000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("a.png"),
                                FUZZ_WORD("b"),
                                FUZZ_WORD("path,label,group\n"),
                                FUZZ_WORD("path"),
                                FUZZ_WORD("label"),
                                FUZZ_WORD("class"),
                                FUZZ_WORD("group"),
                                FUZZ_WORD("n01440764"),
                                FUZZ_WORD("tench"),
                                FUZZ_WORD("t-shirt"),
                                FUZZ_WORD("crane"),
                                FUZZ_WORD("999"),
                                FUZZ_WORD("-1"),
                                FUZZ_WORD("99999999"),
                                FUZZ_WORD("./"),
                                FUZZ_WORD("/"),
                                FUZZ_WORD(","),
                                FUZZ_WORD("\n"),
                                FUZZ_WORD("\""),
                                FUZZ_WORD(" "),
                                FUZZ_WORD("n01440764 1 2 3 4"),
                                FUZZ_WORD("b.JPEG"),
                                FUZZ_WORD(";"),
                                FUZZ_WORD("\t"),
                                FUZZ_WORD("sep=;\n"),
                                FUZZ_WORD("image_id"),
                                FUZZ_WORD("class_id"),
                                FUZZ_WORD("5.0"),
                                {NULL, 0}};

enum { KINDS = 4 };

static void write_images(void) {
    psal_error err = PSAL_ERROR_INIT;
    uint8_t pixels[12] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3};
    psal_image image = {2, 2, pixels};
    FUZZ_CHECK(psal_image_write_png(fuzz_path("a.png"), &image, NULL, &err) == PSAL_OK);
    FUZZ_CHECK(psal_image_write_png(fuzz_path("b.JPEG"), &image, NULL, &err) == PSAL_OK);
}

static void use(const psal_dataset *dataset) {
    psal_error err = PSAL_ERROR_INIT;
    size_t count = psal_dataset_count(dataset);
    FUZZ_CHECK(count > 0);
    uint64_t fingerprint;
    FUZZ_CHECK(psal_dataset_fingerprint(dataset, &fingerprint, &err) == PSAL_OK);
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(psal_dataset_name(dataset, i) && psal_dataset_path(dataset, i));
        FUZZ_CHECK(psal_dataset_label(dataset, i) >= PSAL_NO_LABEL);
        const char *problem = psal_dataset_problem(dataset, i);
        FUZZ_CHECK(!problem || (*problem && psal_dataset_label(dataset, i) == PSAL_NO_LABEL));
        all &= psal_dataset_label(dataset, i) != PSAL_NO_LABEL || problem;
        const char *group = psal_dataset_group(dataset, i);
        FUZZ_CHECK(!group || *group);
    }
    FUZZ_CHECK(all == psal_dataset_all_labelled(dataset));
    psal_image image = PSAL_IMAGE_INIT;
    fuzz_outcome(psal_dataset_load(dataset, 0, &image, &err) == PSAL_OK, &err);
    psal_image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static psal_labels *sets[3]; /* none, and two that are built in */
    static bool ready;
    psal_error err = PSAL_ERROR_INIT;
    psal_notes notes = PSAL_NOTES_INIT;
    if (!size) return 0;
    if (!ready) {
        sets[1] = psal_labels_imagenet(&err);
        sets[2] = psal_labels_fashion_mnist(&err);
        FUZZ_CHECK(sets[1] && sets[2]);
        write_images();
        ready = true;
    }
    int kind = data[0] % KINDS, set = data[0] / KINDS % 3;
    char spec[700], folder[300];
    const char *list = fuzz_write(kind == 3 ? "table.txt" : "table.csv", data + 1, size - 1);
    snprintf(folder, sizeof folder, "%s", fuzz_path("."));
    snprintf(spec, sizeof spec, kind == 0 ? "csv:%s" : kind == 1 ? "files:%s" : "flat:%2$s,%1$s", list, folder);
    psal_dataset *dataset = psal_dataset_open(spec, sets[set], data[0] & 128, &notes, &err);
    if (fuzz_outcome(dataset != NULL, &err)) use(dataset);
    psal_dataset_free(dataset);
    psal_notes_free(&notes);
    return 0;
}

void fuzz_make_seeds(void) {
    FUZZ_SEED("csv", "\0a.png,1,one\nb.JPEG,2,\n");
    FUZZ_SEED("csv_header", "\4group,class,image,more\nx,n01440764,a.png,\n,\"great white shark\",b.JPEG,\n");
    FUZZ_SEED("csv_fashion", "\x08path,label\na.png,T-shirt/top\nb.JPEG,9\n");
    FUZZ_SEED("files", "\1a.png\nb.JPEG\n");
    FUZZ_SEED("flat_csv", "\6ImageId,PredictionString\nb,n03995372 85 1 499 272 n03995372 1 2 3 4\n");
    FUZZ_SEED("flat_lines", "\3a.png 3\nb\t7\n");
    FUZZ_SEED("csv_semicolons", "\x08image_path;label_name;class_id\na.png;Bag;8\nb;Coat;4.0\n");
    FUZZ_SEED("csv_bare", "\x84"
                          "0,a.png,7\n1,none.png,8\n");
    FUZZ_SEED("lines_labelled", "\x05"
                                "a.png great white shark\nb 3\n");
}
