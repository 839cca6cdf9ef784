#include "io/pth.h"

#include "damage.h"
#include "pickle_writer.h"

static uint8_t bytes[40000];

/* Write the pickle in one of the forms (0 zip, 8 deflated, 1 legacy) and read it. */
static psal_tensor_map *read_form(const struct pickle_writer *pickle, int form, psal_notes *notes, psal_error *err) {
    write_bytes(in_folder("a.pth"), bytes,
                form == 1 ? make_legacy_form(bytes, pickle) : make_zip_form(bytes, pickle, form));
    psal_tensor_map *map = psal_pth_read(in_folder("a.pth"), notes, err);
    touch(map);
    return map;
}

static void expect_sample(const psal_tensor_map *map, const char *format) {
    ck_assert_uint_eq(psal_tensor_map_count(map), 3);
    ck_assert_str_eq(psal_tensor_map_name(map, 0), "w");
    ck_assert_str_eq(psal_tensor_map_meta(map, "format"), format);
    const psal_tensor *w = psal_tensor_map_get(map, "w"), *t = psal_tensor_map_get(map, "t");
    const psal_tensor *steps = psal_tensor_map_get(map, "steps");
    ck_assert_mem_eq(w->data, sample_floats, sizeof sample_floats);
    ck_assert_mem_eq(t->data, ((float[]){0, 3, 1, 4, 2, 5}), sizeof sample_floats);
    ck_assert_int_eq(t->shape.dim[0], 3);
    ck_assert_int_eq(steps->dtype, PSAL_I64);
    ck_assert_int_eq(steps->shape.ndim, 0);
    ck_assert_int_eq(*(int64_t *)steps->data, 7);
}

START_TEST(test_forms) {
    psal_error err = PSAL_ERROR_INIT;
    const int forms[] = {0, 8, 1};
    for (int f = 0; f < 3; f++) {
        struct pickle_writer pickle = {.size = 0};
        psal_notes notes = PSAL_NOTES_INIT;
        put_sample(&pickle, forms[f] == 1);
        psal_tensor_map *map = read_form(&pickle, forms[f], &notes, &err);
        ck_assert_msg(map != NULL, "%s", err.message);
        expect_sample(map, forms[f] == 1 ? "pth-legacy" : "pth");
        ck_assert_uint_eq(notes.count, 0);
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(test_wrapper_and_notes) {
    psal_error err = PSAL_ERROR_INIT;
    for (int form = 0; form < 2; form++) {
        struct pickle_writer pickle = {.size = 0}, inner = {.size = 0};
        psal_notes notes = PSAL_NOTES_INIT;
        put_sample(&inner, form);
        PUT(&pickle, "\x80\x02}(");
        put_string(&pickle, "epoch");
        put_integer(&pickle, 3);
        put_string(&pickle, "state_dict");
        put_bytes(&pickle, inner.bytes + 2, inner.size - 3);
        put_integer(&pickle, 5);
        PUT(&pickle, "Nu.");
        psal_tensor_map *map = read_form(&pickle, form, &notes, &err);
        ck_assert_msg(map != NULL, "%s", err.message);
        expect_sample(map, form ? "pth-legacy" : "pth");
        ck_assert_uint_eq(notes.count, 2);
        ck_assert_str_eq(notes.lines[0], "took the weights under 'state_dict'");
        ck_assert_str_eq(notes.lines[1], "ignored 2 entries beside the weights: epoch, the number 5");
        psal_notes_free(&notes);
        psal_tensor_map_free(map);
        map = read_form(&pickle, form, NULL, &err);
        ck_assert_ptr_nonnull(map);
        psal_tensor_map_free(map);
    }
}
END_TEST

/* Dictionaries that hold themselves and each other, with no tensor anywhere. */
START_TEST(test_cycles) {
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer pickle = {.size = 0};
    PUT(&pickle, "\x80\x02}q\x00(");
    for (int i = 0; i < 500; i++) {
        char key[20];
        snprintf(key, sizeof key, "k%d", i);
        put_string(&pickle, key);
        PUT(&pickle, "h\x00");
    }
    PUT(&pickle, "u.");
    ck_assert_ptr_null(read_form(&pickle, 0, NULL, &err));
    ck_assert_msg(strstr(err.message, "holds no tensors, only k0, k1") != NULL, "%s", err.message);
}
END_TEST

/* One tensor "w" over the sample's first storage, in both forms. */
static void expect_tensor(int64_t count, int64_t offset, int ndim, const int64_t *dim, const int64_t *stride,
                          const char *reason) {
    for (int form = 0; form < 2; form++) {
        psal_error err = PSAL_ERROR_INIT;
        struct pickle_writer pickle = {.size = 0};
        PUT(&pickle, "\x80\x02}(");
        put_string(&pickle, "w");
        put_tensor(&pickle, "FloatStorage", "0", count, offset, ndim, dim, stride, form);
        put_string(&pickle, "steps");
        put_tensor(&pickle, "LongStorage", "1", 1, 0, 0, NULL, NULL, form);
        PUT(&pickle, "u.");
        psal_tensor_map *map = read_form(&pickle, form, NULL, &err);
        if (reason) {
            ck_assert_ptr_null(map);
            bool named = strstr(err.message, "a.pth") &&
                         (strstr(err.message, "tensor w") || strstr(err.message, "storage number 1"));
            ck_assert_msg(named && (strstr(err.message, reason) || strstr(err.message, "announced")),
                          "expected %s, got %s", reason, err.message);
        } else {
            ck_assert_msg(map != NULL, "%s", err.message);
        }
        psal_tensor_map_free(map);
    }
}

START_TEST(test_view_bounds) {
    const int64_t far = INT64_MAX;
    expect_tensor(6, 0, 1, (int64_t[]){6}, (int64_t[]){1}, NULL);
    expect_tensor(6, 5, 1, (int64_t[]){1}, (int64_t[]){far}, NULL); /* a single element: its stride is never used */
    expect_tensor(6, 6, 1, (int64_t[]){0}, (int64_t[]){1}, NULL);
    expect_tensor(6, 0, 2, (int64_t[]){100, 6}, (int64_t[]){0, 1}, NULL);
    expect_tensor(6, 1, 1, (int64_t[]){6}, (int64_t[]){1}, "reaches past");
    expect_tensor(6, 7, 1, (int64_t[]){0}, (int64_t[]){1}, "begins at");
    expect_tensor(6, -1, 1, (int64_t[]){2}, (int64_t[]){1}, "begins at");
    expect_tensor(6, far, 1, (int64_t[]){2}, (int64_t[]){1}, "begins at");
    expect_tensor(6, INT64_MIN, 1, (int64_t[]){2}, (int64_t[]){1}, "begins at");
    expect_tensor(6, 5, 1, (int64_t[]){2}, (int64_t[]){-1}, "negative stride");
    expect_tensor(6, 0, 1, (int64_t[]){2}, (int64_t[]){far}, "reaches past");
    expect_tensor(6, 0, 2, (int64_t[]){3, 3}, (int64_t[]){far / 2, far / 2}, "reaches past");
    expect_tensor(6, 0, 2, (int64_t[]){INT64_C(1) << 40, INT64_C(1) << 40}, (int64_t[]){0, 0}, "impossible shape");
    expect_tensor(6, 0, 2, (int64_t[]){INT64_C(1) << 30, 16}, (int64_t[]){0, 0}, "repeat");
    expect_tensor(6, 0, 1, (int64_t[]){-6}, (int64_t[]){1}, "impossible shape");
    expect_tensor(7, 0, 1, (int64_t[]){6}, (int64_t[]){1}, "24 bytes");
    expect_tensor(far, 0, 1, (int64_t[]){6}, (int64_t[]){1}, "24 bytes");
    expect_tensor((INT64_C(1) << 62) + 6, 0, 1, (int64_t[]){6}, (int64_t[]){1}, "24 bytes");
}
END_TEST

START_TEST(test_legacy_storage_views) {
    /* Elements 2 to 5 of the storage, of which the tensor takes the last two. */
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer pickle = {.size = 0};
    PUT(&pickle, "\x80\x02}(");
    put_string(&pickle, "steps");
    put_tensor(&pickle, "LongStorage", "1", 1, 0, 0, NULL, NULL, 1);
    put_string(&pickle, "w");
    PUT(&pickle, "ctorch._utils\n_rebuild_tensor\n((");
    put_string(&pickle, "storage");
    PUT(&pickle, "ctorch\nFloatStorage\n");
    put_string(&pickle, "0");
    put_string(&pickle, "cpu");
    put_integer(&pickle, 6);
    PUT(&pickle, "(X\x01\x00\x00\x00v");
    put_integer(&pickle, 2);
    put_integer(&pickle, 4);
    PUT(&pickle, "ttQK\x02K\x02\x85K\x01\x85tRu.");
    psal_tensor_map *map = read_form(&pickle, 1, NULL, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    ck_assert_mem_eq(psal_tensor_map_get(map, "w")->data, sample_floats + 4, 8);
    psal_tensor_map_free(map);
    uint8_t *last = memchr(pickle.bytes + pickle.size - 10, 0x02, 10); /* K\x02: begin one further */
    *last = 3;
    ck_assert_ptr_null(read_form(&pickle, 1, NULL, &err));
    ck_assert_msg(strstr(err.message, "reaches past its storage of 4") != NULL, "%s", err.message);
}
END_TEST

START_TEST(test_legacy_lists) {
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer pickle = {.size = 0};
    put_sample(&pickle, 1);
    const struct {
        const char *keys;
        size_t size;
        const char *reason;
    } lists[] = {
        {"](X\x01\x00\x00\x00"
         "1X\x01\x00\x00\x00"
         "1e.",
         16, "listed twice"},
        {"](X\x01\x00\x00\x00"
         "1X\x01\x00\x00\x00"
         "9e.",
         16, "of no tensor"},
        {"](X\x01\x00\x00\x00"
         "1K\x01"
         "e.",
         12, "of no tensor"},
        {"](X\x01\x00\x00\x00"
         "1e.",
         10, "storage 0 is missing"},
        {"N.", 2, "list of storages is missing"},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct pickle_writer file = {.size = 0};
        PUT(&file, legacy_head);
        put_bytes(&file, pickle.bytes, pickle.size);
        put_bytes(&file, lists[i].keys, lists[i].size);
        put_bytes(&file, &(int64_t){1}, 8);
        put_bytes(&file, &sample_steps, 8);
        put_bytes(&file, &(int64_t){1}, 8);
        put_bytes(&file, &sample_steps, 8);
        write_bytes(in_folder("a.pth"), file.bytes, file.size);
        ck_assert_ptr_null(psal_pth_read(in_folder("a.pth"), NULL, &err));
        ck_assert_msg(strstr(err.message, lists[i].reason) != NULL, "expected %s, got %s", lists[i].reason,
                      err.message);
    }
}
END_TEST

START_TEST(test_refusals) {
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer pickle = {.size = 0};
    PUT(&pickle, "cos\nsystem\nX\x02\x00\x00\x00id\x85R.");
    ck_assert_ptr_null(read_form(&pickle, 0, NULL, &err));
    ck_assert_msg(strstr(err.message, "a.pth") && strstr(err.message, "holds os.system, no dictionary"), "%s",
                  err.message);
    struct pickle_writer list = {.size = 0}, nul = {.size = 0};
    PUT(&list, "](K\x01K\x02"
               "e.");
    ck_assert_ptr_null(read_form(&list, 0, NULL, &err));
    ck_assert_msg(strstr(err.message, "holds a list of 2") != NULL, "%s", err.message);
    PUT(&nul, "}(X\x02\x00\x00\x00"
              "a\x00");
    put_tensor(&nul, "LongStorage", "1", 1, 0, 0, NULL, NULL, 0);
    PUT(&nul, "u.");
    ck_assert_ptr_null(read_form(&nul, 0, NULL, &err));
    ck_assert_msg(strstr(err.message, "contains a NUL") != NULL, "%s", err.message);

    write_bytes(in_folder("a.pth"), "\x80\x02}. and more", 13);
    ck_assert_ptr_null(psal_pth_read(in_folder("a.pth"), NULL, &err));
    ck_assert_msg(strstr(err.message, "behind the pickle") != NULL, "%s", err.message);
    ck_assert_ptr_null(psal_pth_read(in_folder("missing"), NULL, &err));
    ck_assert_ptr_null(psal_pth_read(in_folder("missing"), NULL, NULL));
}
END_TEST

START_TEST(test_object_access) {
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer pickle = {.size = 0};
    put_sample(&pickle, 0);
    write_bytes(in_folder("a.pth"), bytes, make_zip_form(bytes, &pickle, 0));
    psal_pth *pth = psal_pth_open(in_folder("a.pth"), &err);
    ck_assert_msg(pth != NULL, "%s", err.message);
    ck_assert(!psal_pth_is_legacy(pth));
    psal_tensor_map *map = psal_tensor_map_new();
    bool is_view;
    ck_assert_int_eq(psal_pth_add_tensor(pth, psal_pickle_get(psal_pth_root(pth), "w"), "a", map, &is_view, &err),
                     PSAL_OK);
    ck_assert(is_view); /* stored and aligned: not copied */
    ck_assert_int_eq(psal_pth_add_tensor(pth, psal_pickle_get(psal_pth_root(pth), "t"), "b", map, &is_view, &err),
                     PSAL_OK);
    ck_assert(!is_view);
    ck_assert_int_ne(psal_pth_add_tensor(pth, psal_pickle_get(psal_pth_root(pth), "t"), "b", map, &is_view, &err),
                     PSAL_OK);
    psal_tensor_map_free(map);
    psal_pth_close(pth);
    psal_pth_close(NULL);
}
END_TEST

/* Two tensors that disagree about their common storage. */
START_TEST(test_contradictions) {
    psal_error err = PSAL_ERROR_INIT;
    const struct {
        const char *type;
        int64_t count;
    } others[] = {{"FloatStorage", 5}, {"IntStorage", 6}};
    for (int i = 0; i < 2; i++) {
        struct pickle_writer pickle = {.size = 0};
        PUT(&pickle, "\x80\x02}(");
        put_string(&pickle, "w");
        put_tensor(&pickle, "FloatStorage", "0", 6, 0, 1, (int64_t[]){5}, (int64_t[]){1}, 1);
        put_string(&pickle, "steps");
        put_tensor(&pickle, "LongStorage", "1", 1, 0, 0, NULL, NULL, 1);
        put_string(&pickle, "v");
        put_tensor(&pickle, others[i].type, "0", others[i].count, 0, 1, (int64_t[]){5}, (int64_t[]){1}, 1);
        PUT(&pickle, "u.");
        ck_assert_ptr_null(read_form(&pickle, 1, NULL, &err));
        ck_assert_msg(strstr(err.message, "storage 0 is described in two ways") != NULL, "%s", err.message);
    }
}
END_TEST

/* A pickled entry of a dictionary: the sample under `key`. */
static void put_entry(struct pickle_writer *to, const char *key, int form) {
    struct pickle_writer inner = {.size = 0};
    put_sample(&inner, form);
    put_string(to, key);
    put_bytes(to, inner.bytes + 2, inner.size - 3);
}

/* Every dictionary of tensors in the file, in the order in which they are to be tried. */
static void expect_keys(const struct pickle_writer *pickle, const char *const *keys, const size_t *tensors,
                        size_t count) {
    psal_error err = PSAL_ERROR_INIT;
    write_bytes(in_folder("a.pth"), bytes, make_zip_form(bytes, pickle, 0));
    psal_pth *pth = psal_pth_open(in_folder("a.pth"), &err);
    ck_assert_msg(pth != NULL, "%s", err.message);
    size_t found;
    psal_pth_dictionary *dictionaries = psal_pth_dictionaries(pth, &found, &err);
    ck_assert_msg(dictionaries != NULL, "%s", err.message);
    ck_assert_uint_eq(found, count);
    psal_tensor_map *maps[10];
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(dictionaries[i].key, keys[i]);
        ck_assert_uint_eq(dictionaries[i].tensors, tensors[i]);
        maps[i] = psal_pth_tensors(pth, &dictionaries[i], NULL, &err);
        ck_assert_msg(maps[i] != NULL, "%s", err.message);
        ck_assert_uint_eq(psal_tensor_map_count(maps[i]), tensors[i]);
    }
    psal_pth_dictionaries_free(dictionaries, found);
    psal_pth_close(pth);
    for (size_t i = 0; i < count; i++) { /* the maps keep what they are views of */
        touch(maps[i]);
        psal_tensor_map_free(maps[i]);
    }
}

START_TEST(test_dictionaries) {
    struct pickle_writer p = {.size = 0}, tuple = {.size = 0}, deep = {.size = 0};
    PUT(&p, "\x80\x02}(");
    put_string(&p, "loss");
    put_tensor(&p, "LongStorage", "1", 1, 0, 0, NULL, NULL, 0);
    put_entry(&p, "model_ema", 0);
    put_entry(&p, "net_state_dict", 0);
    put_entry(&p, "model", 0);
    put_entry(&p, "optimizer_g", 0); /* by its name */
    put_entry(&p, "lr_scheduler", 0);
    put_string(&p, "adam"); /* by its form */
    PUT(&p, "}(");
    put_entry(&p, "state", 0);
    put_string(&p, "param_groups");
    PUT(&p, "]u");
    PUT(&p, "u.");
    expect_keys(&p, (const char *const[]){"model", "net_state_dict", "", "model_ema"}, (const size_t[]){3, 3, 1, 3}, 4);

    PUT(&tuple, "\x80\x02("); /* ({...}, [{"a": {...}}], {2: {...}}) */
    struct pickle_writer inner = {.size = 0};
    put_sample(&inner, 0);
    put_bytes(&tuple, inner.bytes + 2, inner.size - 3);
    PUT(&tuple, "](}(");
    put_entry(&tuple, "a", 0);
    PUT(&tuple, "ue}K\x02");
    put_bytes(&tuple, inner.bytes + 2, inner.size - 3);
    PUT(&tuple, "st.");
    expect_keys(&tuple, (const char *const[]){"0", "1.0.a", "2.2"}, (const size_t[]){3, 3, 3}, 3);

    /* Too deep for a dictionary of weights, and one that is met twice. */
    PUT(&deep, "\x80\x02}(");
    for (int i = 0; i < 12; i++) {
        put_string(&deep, "d");
        PUT(&deep, "}(");
    }
    put_entry(&deep, "weights", 0);
    for (int i = 0; i < 12; i++) PUT(&deep, "u");
    put_entry(&deep, "first", 0);
    PUT(&deep, "q\x07");
    put_string(&deep, "second");
    PUT(&deep, "h\x07u.");
    expect_keys(&deep, (const char *const[]){"first"}, (const size_t[]){3}, 1);
}
END_TEST

/* Objects beside the weights are named; whole modules are refused with what to do instead. */
START_TEST(test_objects) {
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer p = {.size = 0}, module = {.size = 0}, under = {.size = 0}, called = {.size = 0};
    PUT(&p, "\x80\x02}(");
    put_string(&p, "args");
    PUT(&p, "cargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrK\x01sb");
    put_entry(&p, "state_dict", 0);
    put_string(&p, "callbacks");
    PUT(&p, "}cmine\nCallback\n}su.");
    psal_notes notes = PSAL_NOTES_INIT;
    psal_tensor_map *map = read_form(&p, 0, &notes, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    expect_sample(map, "pth");
    ck_assert_uint_eq(notes.count, 3);
    ck_assert_str_eq(notes.lines[0], "took the weights under 'state_dict'");
    ck_assert_str_eq(notes.lines[1], "ignored 2 entries beside the weights: args, callbacks");
    ck_assert_str_eq(notes.lines[2], "ignored argparse.Namespace under 'args', mine.Callback as a key of 'callbacks'");
    psal_notes_free(&notes);
    psal_tensor_map_free(map);

    PUT(&module, "\x80\x02"
                 "ctorchvision.models.resnet\nResNet\n)\x81}(");
    put_entry(&module, "_parameters", 0);
    PUT(&module, "ub.");
    ck_assert_ptr_null(read_form(&module, 0, NULL, &err));
    ck_assert_msg(strstr(err.message, "a whole object of Python's (torchvision.models.resnet.ResNet)") &&
                      strstr(err.message, "m = torch.load(FILE, weights_only=False); torch.save(m.state_dict(), OUT)"),
                  "%s", err.message);
    PUT(&under, "\x80\x02}(");
    put_string(&under, "nets");
    PUT(&under, "(N");
    put_bytes(&under, module.bytes + 2, module.size - 3);
    PUT(&under, "tu.");
    ck_assert_ptr_null(read_form(&under, 0, NULL, &err));
    ck_assert_msg(strstr(err.message, "weights_only=False)['nets'][1]; torch.save") != NULL, "%s", err.message);

    PUT(&called, "\x80\x02}(");
    put_string(&called, "a");
    PUT(&called, "cos\nsystem\nX\x02\x00\x00\x00id\x85Ru.");
    ck_assert_ptr_null(read_form(&called, 0, NULL, &err));
    ck_assert_msg(strstr(err.message, "holds no tensors, only a (os.system)") != NULL, "%s", err.message);
}
END_TEST

/* Tensors that psal cannot read, and objects that hold tensors, among the weights: there by name. */
START_TEST(test_other_tensors) {
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer p = {.size = 0};
    PUT(&p, "\x80\x02}(");
    put_string(&p, "w");
    put_tensor(&p, "FloatStorage", "0", 6, 0, 1, (int64_t[]){6}, (int64_t[]){1}, 0);
    put_string(&p, "steps");
    put_tensor(&p, "QInt8Storage", "1", 8, 0, 1, (int64_t[]){8}, (int64_t[]){1}, 0);
    put_string(&p, "sparse");
    PUT(&p, "ctorch._utils\n_rebuild_sparse_tensor\n)R");
    put_string(&p, "head");
    PUT(&p, "cmine\nHead\n)\x81}(");
    put_string(&p, "weight");
    put_tensor(&p, "FloatStorage", "0", 6, 0, 1, (int64_t[]){6}, (int64_t[]){1}, 0);
    PUT(&p, "ub");
    put_string(&p, "config");
    PUT(&p, "cmine\nConfig\n)\x81}bu.");
    psal_notes notes = PSAL_NOTES_INIT;
    psal_tensor_map *map = read_form(&p, 0, &notes, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    ck_assert_uint_eq(psal_tensor_map_count(map), 4);
    ck_assert_str_eq(psal_tensor_type(psal_tensor_map_get(map, "steps")), "qint8");
    ck_assert_int_eq(psal_tensor_map_get(map, "steps")->shape.dim[0], 8);
    ck_assert_str_eq(psal_tensor_type(psal_tensor_map_get(map, "sparse")), "torch._utils._rebuild_sparse_tensor");
    ck_assert_str_eq(psal_tensor_type(psal_tensor_map_get(map, "head")), "mine.Head");
    ck_assert(psal_tensor_is_float(psal_tensor_map_get(map, "sparse")) &&
              psal_tensor_is_float(psal_tensor_map_get(map, "head")));
    ck_assert_uint_eq(notes.count, 1);
    ck_assert_str_eq(notes.lines[0], "ignored 1 entries among the weights that are no tensors: config (mine.Config)");
    psal_notes_free(&notes);
    psal_tensor_map_free(map);
}
END_TEST

/* Dictionaries met again and again, each with many entries: looked at once. */
START_TEST(test_shared_values) {
    psal_error err = PSAL_ERROR_INIT;
    struct pickle_writer p = {.size = 0};
    PUT(&p, "\x80\x02}(");
    put_string(&p, "a");
    PUT(&p, "](NNNNNNNNeq\x01");
    for (int level = 0; level < 30; level++) { /* [[x, x, x, x, x, x, x, x], ...]: 8^30 ways */
        PUT(&p, "](");
        for (int i = 0; i < 8; i++) PUT(&p, "h\x01");
        PUT(&p, "eq\x01");
    }
    put_entry(&p, "weights", 0);
    PUT(&p, "u.");
    psal_tensor_map *map = read_form(&p, 0, NULL, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    expect_sample(map, "pth");
    psal_tensor_map_free(map);
}
END_TEST

static bool reader(const char *path, psal_error *err) {
    psal_tensor_map *map = psal_pth_read(path, NULL, err);
    touch(map);
    psal_tensor_map_free(map);
    return map != NULL;
}

START_TEST(test_damaged_zip) {
    struct pickle_writer pickle = {.size = 0};
    put_sample(&pickle, 0);
    ck_assert_int_eq(damage_everywhere(bytes, make_zip_form(bytes, &pickle, 0), in_folder("bad"), reader), 0);
}
END_TEST

START_TEST(test_damaged_deflated) {
    struct pickle_writer pickle = {.size = 0};
    put_sample(&pickle, 0);
    ck_assert_int_eq(damage_everywhere(bytes, make_zip_form(bytes, &pickle, 8), in_folder("bad"), reader), 0);
}
END_TEST

START_TEST(test_damaged_legacy) {
    struct pickle_writer pickle = {.size = 0};
    put_sample(&pickle, 1);
    ck_assert_int_eq(damage_everywhere(bytes, make_legacy_form(bytes, &pickle), in_folder("bad"), reader), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io/pth");
    TCase *cases = tcase_create("pth");
    tcase_set_timeout(cases, 250);
    tcase_add_checked_fixture(cases, damage_make_folder, damage_remove_folder);
    tcase_add_test(cases, test_forms);
    tcase_add_test(cases, test_wrapper_and_notes);
    tcase_add_test(cases, test_cycles);
    tcase_add_test(cases, test_view_bounds);
    tcase_add_test(cases, test_legacy_storage_views);
    tcase_add_test(cases, test_legacy_lists);
    tcase_add_test(cases, test_contradictions);
    tcase_add_test(cases, test_refusals);
    tcase_add_test(cases, test_object_access);
    tcase_add_test(cases, test_dictionaries);
    tcase_add_test(cases, test_objects);
    tcase_add_test(cases, test_other_tensors);
    tcase_add_test(cases, test_shared_values);
    tcase_add_test(cases, test_damaged_zip);
    tcase_add_test(cases, test_damaged_deflated);
    tcase_add_test(cases, test_damaged_legacy);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
