#include "io/labels.h"

#include <strings.h>
#include <sys/stat.h>

#include <time.h>

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
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "no names", "0 to 6", "--labels");
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

/* The names in order, "wnid name" where there is an id, between bars. */
static void expect_names(const char *file, const char *text, const char *expected) {
    psal_labels *labels = load(file, text);
    ck_assert_msg(labels != NULL, "%s: %s", text, err.message);
    char got[500] = "";
    for (int i = 0; i < psal_labels_count(labels); i++) {
        const char *wnid = psal_labels_wnid(labels, i);
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s%s%s", i ? "|" : "", wnid ? wnid : "",
                 wnid ? " " : "", psal_labels_name(labels, i));
    }
    ck_assert_msg(!strcmp(got, expected), "%s\ngave %s\ninstead of %s", text, got, expected);
    psal_labels_free(labels);
}

START_TEST(forms_of_label_files) {
    static const struct {
        const char *file, *text, *names;
    } cases[] = {
        /* lines */
        {"a.txt", "0 cat\n1 dog\n2 sea horse\n", "cat|dog|sea horse"},
        {"a.txt", "1: dog\r\n0: cat\r\n", "cat|dog"},
        {"a.txt", "0 - cat\n1 - dog", "cat|dog"},
        {"a.txt", "0. cat\n1. dog\n", "cat|dog"},
        {"a.txt", "0\tcat\n1\tdog\n", "cat|dog"},
        {"a.txt", "1,dog\n0,cat, tabby\n", "cat, tabby|dog"},
        {"a.txt", "dog 1\ncat 0\nsea horse 2\n", "cat|dog|sea horse"},
        {"a.txt", "dog: 1\ncat: 0\n", "cat|dog"},
        {"a.txt", "dog=1\ncat=0\n", "cat|dog"},
        {"a.txt", "dog,1\ncat,0\n", "cat|dog"},
        {"a.txt", "0: 'tench, Tinca tinca',\n1: 'goldfish',\n", "tench, Tinca tinca|goldfish"},
        {"a.txt", "\"cat\",\n\"dog\"\n", "cat|dog"},
        {"a.txt", "- cat\n- dog\n", "cat|dog"},
        {"a.txt", "0 n01440764 tench\n1 n01443537 goldfish\n", "n01440764 tench|n01443537 goldfish"},
        {"a.txt", "n01443537 1 gold_fish\nn01440764 0 tench\n", "n01440764 tench|n01443537 gold_fish"},
        {"a.txt", "n01440764\nn01443537\n", "n01440764 tench|n01443537 goldfish"},
        {"a.txt", "n99999999\nn01443537\n", "n99999999 n99999999|n01443537 goldfish"},
        /* numbers that belong to the names */
        {"a.txt", "0\n1\n10\n2\n", "0|1|10|2"},
        {"a.txt", "707-320\nBoeing 717\nDC-10\n", "707-320|Boeing 717|DC-10"},
        {"a.txt", "Audi TT 2011\nVolvo 240 1993\n", "Audi TT 2011|Volvo 240 1993"},
        {"a.txt", "type 1\ntype 2\ntype 3\n", "type 1|type 2|type 3"},
        {"a.txt", "class 1\nclass 0\n", "class 0|class 1"},
        {"a.txt", "3d printer\ncat\n7up\ndog\n", "3d printer|cat|7up|dog"},
        {"a.txt", "[background]\nperson\n", "[background]|person"},
        {"a.csv", "name\n5 euro\n10 euro\n", "5 euro|10 euro"},
        /* tables */
        {"a.csv", "class_id,class_name\n1,dog\n0,cat\n", "cat|dog"},
        {"a.csv", "class_name\ncat\ndog\n", "cat|dog"},
        {"a.csv", "Name;ID\ndog;1\n\"cat;tabby\";0\n", "cat;tabby|dog"},
        {"a.csv", "\xEF\xBB\xBFsep=;\r\nid;name\r\n0;cat, tabby\r\n1;dog\r\n", "cat, tabby|dog"},
        {"a.csv", "0;cat, tabby\n1;dog\n", "cat, tabby|dog"},
        {"a.tsv", "label\tclass\n0\tcat\n1\tdog\n", "cat|dog"},
        {"a.csv", "class,label\ncat,0\ndog,1\n", "cat|dog"},
        {"a.csv", ",class_id,class_name\n0,1,dog\n1,0,cat\n", "cat|dog"},
        {"a.csv", ",name\n0,cat\n1,dog\n", "cat|dog"},
        {"a.csv", "id,name,supercategory\n0,cat,animal\n1,car,vehicle\n", "cat|car"},
        {"a.csv", "synset,words\nn01440764,\"tench, Tinca tinca\"\nn01443537,goldfish\n",
         "n01440764 tench, Tinca tinca|n01443537 goldfish"},
        {"a.csv", "id,index\nn01443537,1\nn01440764,0\n", "n01440764 tench|n01443537 goldfish"},
        {"a.csv", "dog,1\ncat,0\n", "cat|dog"},
        {"a.csv", "n01440764,tench\nn01443537,goldfish\n", "n01440764 tench|n01443537 goldfish"},
        {"a.csv", "0 cat\n1 dog\n", "cat|dog"},
        {"a.csv", "0,7\n1,3\n", "7|3"},
        {"a.txt", "class_id,class_name\n1,dog\n0,cat\n", "cat|dog"},
        {"a.txt", "index\tname\n1\tdog\n0\tcat\n", "cat|dog"},
        {"a.txt", "label_name\ncat\ndog\n", "cat|dog"},
        /* JSON and Python */
        {"a.json", "[\"cat\", \"dog\"]", "cat|dog"},
        {"a.json", "\xEF\xBB\xBF{\"1\": \"dog\", \"0\": \"cat\"}", "cat|dog"},
        {"a.json", "{\"dog\": 1, \"cat\": 0}", "cat|dog"},
        {"a.json", "{\"dog\": \"1\", \"cat\": \"0\"}", "cat|dog"},
        {"a.json", "{\"0\": 0, \"1\": 1, \"10\": 2, \"2\": 3}", "0|1|10|2"},
        {"a.json", "{\"0\": \"7\", \"1\": \"3\"}", "7|3"},
        {"a.json", "{\"1\": [\"n01443537\", \"goldfish\"], \"0\": [\"n01440764\", \"tench\"]}",
         "n01440764 tench|n01443537 goldfish"},
        {"a.json", "{\"n01443537\": 1, \"n01440764\": 0}", "n01440764 tench|n01443537 goldfish"},
        {"a.json", "{\"n01440764\": \"tench\", \"n01443537\": \"gold fish\"}", "n01440764 tench|n01443537 gold fish"},
        {"config.json",
         "{\"model_type\": \"resnet\", \"dropout\": 0.1, \"id2label\": {\"0\": \"cat\", \"1\": \"dog\"}, "
         "\"label2id\": {\"cat\": 0, \"dog\": 1}}",
         "cat|dog"},
        {"a.json", "{\"label2id\": {\"dog\": 1, \"cat\": 0}}", "cat|dog"},
        {"a.json", "{\"info\": {\"names\": [\"cat\"]}}", "cat"},
        {"a.json",
         "{\"categories\": [{\"id\": 1, \"name\": \"dog\", \"supercategory\": \"animal\"}, {\"id\": 0, \"name\": "
         "\"cat\", \"supercategory\": \"animal\"}]}",
         "cat|dog"},
        {"a.json", "[[\"n01440764\", \"tench\"], [\"n01443537\", \"goldfish\"]]", "n01440764 tench|n01443537 goldfish"},
        {"a.json", "[[1, \"dog\"], [0, \"cat\"]]", "cat|dog"},
        {"a.txt", "{0: 'tench, Tinca tinca',\n 1: \"jack-o'-lantern\"}\n", "tench, Tinca tinca|jack-o'-lantern"},
        {"a.py", "# by hand\nCLASSES = (\n  'cat',\n  u'caf\\u00e9', # 1\n)\n", "cat|caf\xc3\xa9"},
        {"a.txt", "['cat', 'dog']\n", "cat|dog"},
        {"a.txt", "{'dog': 1, 'cat': 0}", "cat|dog"},
        /* YAML */
        {"a.yaml",
         "path: x # here\ntrain: images/train\nnc: 2\nnames:\n  0: cat # tabby\n  # more\n  1: 'dog: big'\nval: y\n",
         "cat|dog: big"},
        {"a.yaml", "names:\n- cat\n- dog\nnc: 2\n", "cat|dog"},
        {"a.yml", "nc: 2\nnames: [cat, 'sea # horse',\n  dog]\nval: x\n", "cat|sea # horse|dog"},
        {"a.yaml", "features:\n  label:\n    names:\n      '0': cat\n      '1': dog\n  other: 1\n", "cat|dog"},
        {"a.yaml", "0: cat\n1: dog\n", "cat|dog"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_names(cases[i].file, cases[i].text, cases[i].names);
}
END_TEST

/* What may mean two things, or nothing, is refused, and the forms are listed where the form was not understood. */
START_TEST(unclear_label_files) {
    static const struct {
        const char *file, *text, *reason;
        bool forms;
    } cases[] = {
        {"a.txt", "1 cat\n2 dog\n", "numbered 1 to 2", false},
        {"a.txt", "dog 2\ncat 1\n", "numbered 1 to 2", false},
        {"a.json", "{\"1\": \"cat\", \"2\": \"dog\"}", "numbered 1 to 2", false},
        {"a.json", "[{\"id\": 1, \"name\": \"cat\"}, {\"id\": 90, \"name\": \"dog\"}]", "class number 90", false},
        {"a.csv", "class_id,name\n1,cat\n2,dog\n", "numbered 1 to 2", false},
        {"a.txt", "0 cat\n1 dog\nbird\n", "a.txt:3: no number", true},
        {"a.txt", "0 cat\n2 dog\n", "a.txt:2: class number 2", false},
        {"a.txt", "0 cat\n0 dog\n", "a.txt:2: class number 0 comes twice", false},
        {"a.csv", "1,0\n0,1\n", "two columns of numbers", true},
        {"a.csv", "index,class_id,name\n0,1,dog\n1,0,cat\n", "two columns of class numbers", false},
        {"a.csv", "tench, Tinca tinca\ngoldfish\n", "2 fields", true},
        {"a.csv", "species,colour\ncat,grey\n", "2 fields", true},
        {"a.csv", "class_id\n0\n1\n", "1 fields", true},
        {"a.json", "{\"0\": \"cat\", \"dog\": \"1\"}", "another form", true},
        {"a.json", "{\"cat\": 0, \"dog\": 0}", "comes twice", false},
        {"a.json", "{\"cat\": 0, \"cat\": 1}", "\"cat\" comes twice", true},
        {"a.json", "{\"cat\": 0.5}", "another form", true},
        {"a.json", "{\"cat\": -1}", "another form", true},
        {"a.json", "[\"cat\", 1]", "another form", true},
        {"a.json", "[]", "no class names", false},
        {"a.json", "{}", "no class names", false},
        {"a.json", "[\"cat\", \"dog\"", "line 1: a bracket that is never closed", true},
        {"a.json", "{\"n01443537\": \"goldfish\", \"n01440764\": \"tench\"}", "another form", true},
        {"a.txt", "{0: 'cat', 1: 'dog}\n", "line 1: a quote that is not closed", true},
        {"a.txt", "{0: 'cat'}\nprint(1)\n", "line 2: something behind", true},
        {"a.txt", "{'cat', 'dog'}\n", "a set", true},
        {"a.txt", "{0: open('x')}\n", "line 1: expected", true},
        {"a.txt", "[[[[[[[[[['x']]]]]]]]]]\n", "nested too deeply", true},
        {"a.json", "[\"a\", \"\"]", "without a name", false},
        {"a.yaml", "names: cat\n", "'names:' without a list", true},
        {"a.yaml", "names:\n  cat\n", "a.yaml:2:", true},
        {"a.yaml", "names:\n  1: cat\n  2: dog\n", "numbered 1 to 2", false},
        {"a.yaml", "names:\nval: x\n", "no class names", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        psal_labels *labels = load(cases[i].file, cases[i].text);
        ck_assert_msg(labels == NULL, "case %zu: %s was taken, class 0 is %s", i, cases[i].text,
                      labels ? psal_labels_name(labels, 0) : "");
        EXPECT_ERROR(err, PSAL_ERR_FORMAT, cases[i].file, cases[i].reason);
        ck_assert_msg((strstr(err.message, "JSON or a printed Python list") != NULL) == cases[i].forms, "case %zu: %s",
                      i, err.message);
        ck_assert_msg(strlen(err.message) < 900, "case %zu: the sentence is cut", i);
    }
}
END_TEST

/* Names that are numbers: a number that means one class by its place and another by its name is refused. */
START_TEST(names_that_are_numbers) {
    psal_labels *labels = load("a.txt", "0\n1\n10\n2\n");
    ck_assert_int_eq(parsed(labels, "0"), 0);
    ck_assert_int_eq(parsed(labels, "3"), 3);
    ck_assert_int_eq(parsed(labels, "2"), -7);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "class 2 is ambiguous");
    /* however it is written */
    static const char *const written[] = {" 2", "2 ", "\t2", "+2", "02", " 002 "};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        ck_assert_int_eq(parsed(labels, written[i]), -7);
        EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "is ambiguous");
    }
    ck_assert_int_eq(parsed(labels, " 3 "), 3);
    ck_assert_int_eq(parsed(labels, "0000000000000000000000000000000000000000000003"), -7);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "is out of range");
    ck_assert_int_eq(psal_labels_find_name(labels, "10"), 2);
    /* which is meant can be said; what is no class's number is a name only */
    ck_assert_int_eq(parsed(labels, "2"), -7);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "say number:2 or name:2");
    ck_assert_int_eq(parsed(labels, "name:2"), 3);
    ck_assert_int_eq(parsed(labels, "number:2"), 2);
    ck_assert_int_eq(parsed(labels, " name:10"), 2);
    ck_assert_int_eq(parsed(labels, "10"), 2);
    static const char *const neither[] = {
        "name:3", "number:10", "number:-1", "number:", "number:x", "name:", "-10", "+10", "11", "010", "NAME:2"};
    for (size_t i = 0; i < sizeof neither / sizeof *neither; i++)
        ck_assert_msg(parsed(labels, neither[i]) == -7, "%s", neither[i]);
    psal_labels_free(labels);
    labels = load("a.txt", "cat\nname:cat\nnumber:0\n"); /* classes that are called so keep their names */
    ck_assert_int_eq(parsed(labels, "name:cat"), 1);
    ck_assert_int_eq(parsed(labels, "number:0"), 2);
    ck_assert_int_eq(parsed(labels, "number:1"), 1);
    ck_assert_int_eq(parsed(labels, "3"), -7);
    psal_labels_free(labels);
    labels = psal_labels_numbered(3, &err);
    ck_assert_int_eq(parsed(labels, "3"), -7);
    ck_assert_int_eq(parsed(labels, "number:2"), 2);
    ck_assert_int_eq(parsed(labels, "name:2"), 2);
    psal_labels_free(labels);
}
END_TEST

/* A megabyte of names against a megabyte of label took minutes. */
START_TEST(search_is_bounded) {
    enum { COUNT = 1000, LENGTH = 1000, LONG = 1000000 };
    char *names = malloc(COUNT * (LENGTH + 1) + 1), *wanted = malloc(LONG + 1), *at = names;
    for (int i = 0; i < COUNT; i++, at += LENGTH + 1) {
        for (int j = 0; j < LENGTH; j++) at[j] = j % 2 ? ' ' : (char)('a' + (i + j) % 26);
        at[LENGTH - 1] = 'x';
        at[LENGTH] = '\n';
    }
    *at = 0;
    psal_labels *labels = load("many.txt", names);
    ck_assert_msg(labels != NULL, "%s", err.message);
    for (int j = 0; j < LONG; j++) wanted[j] = j % 2 ? ' ' : (char)('a' + j % 26);
    wanted[LONG] = 0;
    clock_t start = clock();
    ck_assert_int_eq(parsed(labels, wanted), -7);
    EXPECT_ERROR(err, PSAL_ERR_ARGUMENT, "no class is called");
    wanted[255] = 0;
    ck_assert_int_eq(parsed(labels, wanted), -7);
    ck_assert_msg(clock() - start < 10 * CLOCKS_PER_SEC, "%g s", (double)(clock() - start) / CLOCKS_PER_SEC);
    psal_labels_free(labels);
    free(names);
    free(wanted);
}
END_TEST

/* What a checkpoint says of its classes: names of built-in sets or names, never a file. */
START_TEST(recorded_labels) {
    const struct {
        const char *text;
        int classes;
        const char *first, *last;
    } good[] = {{NULL, 3, "0", "2"},
                {"", 1000, "tench", "toilet tissue"},
                {"ImageNet", 1000, "tench", "toilet tissue"},
                {"numbers", 7, "0", "6"},
                {"fashion_mnist", 10, "T-shirt/top", "ankle boot"},
                {"[\"cat\",\"dog\"]", 2, "cat", "dog"},
                {"[\"5\", \"8\"]", 2, "5", "8"},
                {"[[\"n01440764\",\"Schleie\"],\"K\\u00f6nig\"]", 2, "Schleie", "K\xc3\xb6nig"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        psal_labels *labels = psal_labels_recorded(good[i].text, good[i].classes, &err);
        ck_assert_msg(labels != NULL, "%s: %s", good[i].text, err.message);
        ck_assert_str_eq(psal_labels_name(labels, 0), good[i].first);
        ck_assert(strcasecmp(psal_labels_name(labels, good[i].classes - 1), good[i].last) == 0);
        char *record = psal_labels_record(labels, &err);
        ck_assert_msg(record != NULL, "%s", err.message);
        psal_labels *again = psal_labels_recorded(record, good[i].classes, &err);
        ck_assert_msg(again != NULL, "%s: %s", record, err.message);
        for (int k = 0; k < good[i].classes; k++) {
            ck_assert_str_eq(psal_labels_name(again, k), psal_labels_name(labels, k));
            const char *a = psal_labels_wnid(labels, k), *b = psal_labels_wnid(again, k);
            ck_assert((!a && !b) || (a && b && strcmp(a, b) == 0));
        }
        free(record);
        psal_labels_free(again);
        psal_labels_free(labels);
    }
    char path[300], pipe[300];
    snprintf(path, sizeof path, "%s/names.txt", scratch);
    snprintf(pipe, sizeof pipe, "%s/pipe", scratch);
    FILE *file = fopen(path, "w");
    fputs("cat\ndog\n", file);
    fclose(file);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0); /* whoever opens it waits for ever */
    const char *const bad[] = {path,
                               pipe,
                               "/etc/passwd",
                               "names.txt",
                               "[",
                               "[]",
                               "[\"a\"]",
                               "[\"a\",3]",
                               "[\"a\",\"\"]",
                               "{\"0\":\"a\",\"1\":\"b\"}",
                               "[\"a\",\"b\"] x",
                               "[[\"x\",\"a\"],\"b\"]",
                               "[[\"n01440764\"],\"b\"]",
                               "[\"a\",\"b\",\"c\"]",
                               "[\"a\",\"\\u0000\"]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(!psal_labels_recorded(bad[i], 2, &err), "taken: %s", bad[i]);
        ck_assert_msg(strstr(err.message, "recorded in the checkpoint (--labels chooses others)") != NULL, "%s",
                      err.message);
    }
    /* Bounds: a name's, and of all together. */
    char *longest = malloc(PSAL_LABELS_RECORD + 20);
    memset(longest, 'x', PSAL_LABELS_RECORD + 19);
    longest[0] = '[';
    longest[1] = '"';
    strcpy(longest + 1002, "\"]");
    psal_labels *labels = psal_labels_recorded(longest, 1, &err);
    ck_assert_msg(labels != NULL, "%s", err.message);
    psal_labels_free(labels);
    strcpy(longest + 1002, "x\"]");
    ck_assert_ptr_null(psal_labels_recorded(longest, 1, &err));
    longest[1005] = 'x';
    longest[PSAL_LABELS_RECORD + 1] = '\0';
    ck_assert_ptr_null(psal_labels_recorded(longest, 1, &err));
    ck_assert_msg(strstr(err.message, "at most 1048576 bytes") != NULL, "%s", err.message);
    free(longest);
    labels = psal_labels_numbered(PSAL_MAX_CLASSES, &err);
    ck_assert_ptr_nonnull(labels);
    ck_assert_ptr_null(psal_labels_record(labels, &err));
    ck_assert_msg(strstr(err.message, "at most 1048576") != NULL, "%s", err.message);
    psal_labels_free(labels);
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
    tcase_add_test(tests, forms_of_label_files);
    tcase_add_test(tests, unclear_label_files);
    tcase_add_test(tests, names_that_are_numbers);
    tcase_add_test(tests, search_is_bounded);
    tcase_add_test(tests, recorded_labels);
    return run_case("io/labels", tests);
}
