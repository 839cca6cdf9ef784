/* Class names, from a CSV file and as plain lines, and finding classes by what the file calls them. */
#include "io/labels.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

const int fuzz_mutations = 8000;
const fuzz_word fuzz_words[] = {FUZZ_WORD("index,wnid,name\n"),
                                FUZZ_WORD("name"),
                                FUZZ_WORD("index"),
                                FUZZ_WORD("wnid"),
                                FUZZ_WORD("n01440764"),
                                FUZZ_WORD("0,"),
                                FUZZ_WORD("1,"),
                                FUZZ_WORD("\n"),
                                FUZZ_WORD(", "),
                                FUZZ_WORD("'"),
                                FUZZ_WORD("_"),
                                FUZZ_WORD("-"),
                                FUZZ_WORD("999999"),
                                FUZZ_WORD("\xff"),
                                FUZZ_WORD("\xc3\xa9"),
                                FUZZ_WORD("{"),
                                FUZZ_WORD("["),
                                FUZZ_WORD("}"),
                                FUZZ_WORD("]"),
                                FUZZ_WORD("\": "),
                                FUZZ_WORD("id2label"),
                                FUZZ_WORD("names:\n"),
                                FUZZ_WORD("  0: "),
                                FUZZ_WORD("- "),
                                FUZZ_WORD("\\u00e9"),
                                FUZZ_WORD("class_id"),
                                FUZZ_WORD(";"),
                                FUZZ_WORD("\t"),
                                FUZZ_WORD("sep=;\n"),
                                FUZZ_WORD("# "),
                                {NULL, 0}};

static void use(const psal_labels *labels) {
    int count = psal_labels_count(labels);
    FUZZ_CHECK(count > 0);
    psal_labels_have_names(labels);
    for (int i = 0; i < count && i < 20; i++) {
        psal_error err = PSAL_ERROR_INIT;
        const char *name = psal_labels_name(labels, i), *wnid = psal_labels_wnid(labels, i);
        int index = -1, found = psal_labels_find_name(labels, name);
        FUZZ_CHECK(found < count && (!psal_labels_have_wnids(labels) || wnid));
        if (wnid) FUZZ_CHECK(psal_labels_find_wnid(labels, wnid) >= 0);
        if (fuzz_outcome(psal_labels_parse(labels, name, &index, &err) == PSAL_OK, &err))
            FUZZ_CHECK(index >= 0 && index < count);
        char wrong[1100] = "x";
        strcat(wrong, name); /* the nearest names are looked for */
        fuzz_outcome(psal_labels_parse(labels, wrong, &index, &err) == PSAL_OK, &err);
    }
    FUZZ_CHECK(strcmp(psal_labels_name(labels, count), "?") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"labels.csv", "labels.txt"};
    for (int i = 0; i < 2; i++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_labels *labels = psal_labels_open(fuzz_write(names[i], data, size), 0, &err);
        if (fuzz_outcome(labels != NULL, &err)) use(labels);
        psal_labels_free(labels);
    }
    /* As a checkpoint records them: what is read is written as it was. */
    char *text = malloc(size + 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    psal_error err = PSAL_ERROR_INIT;
    psal_labels *labels = psal_labels_recorded(text, 0, &err);
    free(text);
    if (fuzz_outcome(labels != NULL, &err)) {
        use(labels);
        char *record = psal_labels_record(labels, &err);
        psal_labels *again = record ? psal_labels_recorded(record, psal_labels_count(labels), &err) : NULL;
        if (fuzz_outcome(again != NULL, &err))
            for (int i = 0; i < psal_labels_count(labels); i++)
                FUZZ_CHECK(strcmp(psal_labels_name(again, i), psal_labels_name(labels, i)) == 0);
        free(record);
        psal_labels_free(again);
    }
    psal_labels_free(labels);
    return 0;
}

void fuzz_make_seeds(void) {
    FUZZ_SEED("names", "tench\ngreat white shark\nT-shirt/top\n");
    FUZZ_SEED("wnids", "n01440764 tench, Tinca tinca\nn01443537\tgoldfish, Carassius auratus\n");
    FUZZ_SEED("two_columns", "1,dog\n0,\"cat, tabby\"\n");
    FUZZ_SEED("three_columns", "0,n01440764,tench\n1,n01443537,goldfish\n");
    FUZZ_SEED("header", "name,wnid,index\ncrane,n02012849,1\ncrane,n03126707,0\n");
    FUZZ_SEED("numbered", "1: dog\n0: cat\n");
    FUZZ_SEED("behind", "dog 1\ncat 0\n");
    FUZZ_SEED("semicolons", "sep=;\nclass_name;id\ndog;1\n\"cat;x\";0\n");
    FUZZ_SEED("json", "{\"id2label\": {\"1\": [\"n01443537\", \"goldfish\"], \"0\": [\"n01440764\", \"tench\"]}}");
    FUZZ_SEED("json_list", "[{\"id\": 1, \"name\": \"dog\"}, {\"id\": 0, \"name\": \"cat\"}]");
    FUZZ_SEED("python", "# x\nNAMES = {0: 'tench, Tinca tinca',\n 1: u\"caf\\u00e9\"}\n");
    FUZZ_SEED("yaml", "nc: 2\nnames:\n  0: cat # x\n  '1': \"dog\"\nval: y\n");
    FUZZ_SEED("recorded", "[\"cat\",[\"n01440764\",\"tench\"]]");
    FUZZ_SEED("yaml_list", "names: [cat, 'dog',\n  bird]\n");
}
