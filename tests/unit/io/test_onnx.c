#include "io/onnx.h"

#include <sys/stat.h>

#include "damage.h"
#include "io/checkpoint.h"
#include "onnx_writer.h"

static const char *write_model(const proto *model) {
    const char *path = in_folder("a.onnx");
    write_bytes(path, model->bytes, model->size);
    return path;
}

static psal_tensor_map *read_good(const proto *model) {
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_onnx_read(write_model(model), &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    touch(map);
    return map;
}

/* Refused, and the message says `what`. */
static void refuse(const proto *model, const char *what) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = write_model(model);
    psal_tensor_map *map = psal_onnx_read(path, &err);
    ck_assert_msg(map == NULL, "taken, expected: %s", what);
    ck_assert_msg(strstr(err.message, path) && strstr(err.message, what), "'%s', expected: %s", err.message, what);
}

START_TEST(test_whole_network) {
    const proto model = onnx_sample();
    psal_tensor_map *map = read_good(&model);
    const psal_description *d = psal_tensor_map_description(map);
    ck_assert_uint_eq(psal_tensor_map_count(map), 4);
    ck_assert_str_eq(psal_tensor_map_meta(map, "format"), "onnx");
    ck_assert_str_eq(psal_tensor_map_meta(map, "onnx.producer"), "test");
    ck_assert_int_eq(d->opset, 14);
    ck_assert_str_eq(d->name, "net");
    ck_assert_uint_eq(d->operator_count, 5);
    ck_assert_int_eq(d->value_count, 10);
    const psal_operator *conv = &d->operators[0];
    ck_assert_str_eq(conv->name, "/conv/Conv");
    ck_assert_str_eq(conv->type, "Conv");
    ck_assert_uint_eq(conv->input_count, 3);
    ck_assert_str_eq(d->values[conv->inputs[1]], "conv.weight");
    ck_assert_str_eq(d->values[conv->outputs[0]], "a");
    ck_assert_int_eq(d->operators[1].inputs[0], conv->outputs[0]);
    ck_assert_uint_eq(conv->attribute_count, 2);
    ck_assert_int_eq(conv->attributes[1].type, PSAL_ATTRIBUTE_INTS);
    ck_assert_uint_eq(conv->attributes[1].count, 2);
    ck_assert_int_eq(conv->attributes[1].integers[1], 2);
    ck_assert_int_eq(d->operators[4].attributes[0].integer, 1);
    ck_assert_int_eq(d->inputs[0].ndim, 4);
    ck_assert_int_eq(d->inputs[0].dim[3], 8);
    ck_assert_int_eq(d->inputs[0].dtype, PSAL_F32);
    ck_assert_int_eq(d->outputs[0].dim[1], 4);
    const psal_tensor *weight = psal_tensor_map_get(map, "conv.weight");
    ck_assert_float_eq(((const float *)weight->data)[1], 2.f / 8);
    psal_tensor_map_free(map);
    /* and as a checkpoint among others */
    psal_error err = PSAL_ERROR_INIT;
    map = psal_checkpoint_read(in_folder("a.onnx"), NULL, &err);
    ck_assert_msg(map && psal_tensor_map_description(map), "%s", err.message);
    psal_tensor_map_free(map);
}
END_TEST

/* Every way to keep numbers: raw, in fields of their own, packed and not, of every type. */
START_TEST(test_numbers) {
    proto graph = {.size = 0}, t, packed = {.size = 0};
    const double doubles[] = {0.5, -3};
    const float floats[] = {1.5f, -2};
    t = onnx_tensor("floats", 1, DIMS(2));
    proto_bytes(&t, 4, floats, 8);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("loose", 1, DIMS(2));
    proto_float(&t, 4, 1.5f);
    proto_float(&t, 4, -2);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("doubles", 11, DIMS(2));
    proto_bytes(&t, 10, doubles, 16);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("half", 10, DIMS(2));
    proto_number(&packed, 0x3c00);
    proto_number(&packed, 0xc000);
    proto_bytes(&t, 5, packed.bytes, packed.size);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("brain", 16, DIMS(2));
    proto_int(&t, 5, 0x3f80);
    proto_int(&t, 5, 0xc000);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("long", 7, DIMS(2));
    proto_int(&t, 7, INT64_MIN);
    proto_int(&t, 7, INT64_MAX);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("int", 6, 0, NULL);
    proto_int(&t, 5, -7);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("bool", 9, DIMS(3));
    proto_bytes(&t, 9, "\0\1\1", 3);
    proto_message(&graph, 5, &t);
    t = onnx_tensor("none", 1, DIMS(0, 5));
    proto_message(&graph, 5, &t);
    t = onnx_tensor("text", 8, DIMS(1));
    proto_message(&graph, 5, &t);
    const proto model = onnx_model(&graph, 9);
    psal_tensor_map *map = read_good(&model);
    float values[2];
    const char *const same[][1] = {{"floats"}, {"loose"}};
    for (int i = 0; i < 2; i++) {
        psal_tensor_to_f32(psal_tensor_map_get(map, same[i][0]), values);
        ck_assert(values[0] == 1.5f && values[1] == -2);
    }
    psal_tensor_to_f32(psal_tensor_map_get(map, "doubles"), values);
    ck_assert(values[0] == 0.5f && values[1] == -3);
    psal_tensor_to_f32(psal_tensor_map_get(map, "half"), values);
    ck_assert(values[0] == 1 && values[1] == -2);
    psal_tensor_to_f32(psal_tensor_map_get(map, "brain"), values);
    ck_assert(values[0] == 1 && values[1] == -2);
    const int64_t *longs = psal_tensor_map_get(map, "long")->data;
    ck_assert(longs[0] == INT64_MIN && longs[1] == INT64_MAX);
    ck_assert_int_eq(*(const int32_t *)psal_tensor_map_get(map, "int")->data, -7);
    ck_assert_int_eq(psal_tensor_map_get(map, "bool")->dtype, PSAL_BOOL);
    ck_assert_int_eq((int)psal_shape_count(&psal_tensor_map_get(map, "none")->shape), 0);
    ck_assert_str_eq(psal_tensor_type(psal_tensor_map_get(map, "text")), "STRING");
    psal_tensor_map_free(map);
}
END_TEST

static proto with_tensor(const proto *tensor) {
    proto graph = {.size = 0};
    proto_message(&graph, 5, tensor);
    return onnx_model(&graph, 14);
}

START_TEST(test_refused_tensors) {
    proto t, model;
#define REFUSE(what)             \
    do {                         \
        model = with_tensor(&t); \
        refuse(&model, what);    \
    } while (0)
    t = onnx_tensor("w", 1, DIMS(3));
    proto_bytes(&t, 9, "12345678", 8);
    REFUSE("tensor 'w': it has 8 bytes, but its shape 3 of FLOAT wants 12");
    t = onnx_tensor("w", 1, DIMS(3));
    proto_bytes(&t, 4, "12345678", 8);
    REFUSE("tensor 'w': it has 2 numbers, but its shape 3 wants 3");
    t = onnx_tensor("w", 1, DIMS(1));
    proto_bytes(&t, 4, "12345", 5);
    REFUSE("damaged");
    t = onnx_tensor("w", 7, DIMS(1));
    proto_bytes(&t, 7, "\xff\xff", 2);
    REFUSE("damaged");
    const int64_t extremes[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX / 8, (int64_t)1 << 62};
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
        t = onnx_tensor("w", 1, DIMS(extremes[i], 2));
        REFUSE("tensor 'w': its shape ");
        t = onnx_tensor("w", 1, DIMS(extremes[i]));
        REFUSE("tensor 'w': it");
    }
    t = onnx_tensor("w", 1, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1));
    REFUSE("more than 8 dimensions");
    t = onnx_tensor("", 1, DIMS(0));
    REFUSE("an initializer has no name");
    t = onnx_tensor("w", 1, DIMS(0));
    proto_bytes(&t, 3, "", 0);
    REFUSE("segments");
    proto graph = {.size = 0};
    t = onnx_tensor("w", 1, DIMS(0));
    proto_message(&graph, 5, &t);
    proto_message(&graph, 5, &t);
    model = onnx_model(&graph, 14);
    refuse(&model, "tensor w occurs twice");
    graph.size = 0;
    proto_bytes(&graph, 15, "", 0);
    model = onnx_model(&graph, 14);
    refuse(&model, "sparse initializer");
#undef REFUSE
}
END_TEST

START_TEST(test_refused_graphs) {
    proto graph = onnx_sample_graph(), node, model;
    for (int64_t opset = 9; opset <= 18; opset++) {
        model = onnx_model(&graph, opset);
        psal_tensor_map_free(read_good(&model));
    }
    const int64_t bad[] = {0, 1, 8, 21, INT64_MAX, -1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        model = onnx_model(&graph, bad[i]);
        refuse(&model, "operator set");
    }
    node = onnx_node("Relu", "logits", NULL, NULL, "a");
    proto_message(&graph, 1, &node);
    model = onnx_model(&graph, 14);
    refuse(&model, "node 5, Relu: makes 'a', which was made before");
    graph = onnx_sample_graph();
    node = onnx_node("Relu", "later", NULL, NULL, "early");
    proto_text(&node, 3, "first");
    proto_message(&graph, 1, &node);
    node = onnx_node("Relu", "logits", NULL, NULL, "later");
    proto_message(&graph, 1, &node);
    model = onnx_model(&graph, 14);
    refuse(&model, "node 5, Relu 'first': reads 'later', which nothing in front of it makes");
    graph = onnx_sample_graph();
    node = onnx_port("nowhere", DIMS(1));
    proto_message(&graph, 12, &node);
    model = onnx_model(&graph, 14);
    refuse(&model, "nothing makes the output 'nowhere'");
    graph.size = 0;
    node = onnx_node("Relu", NULL, NULL, NULL, "x");
    node_int(&node, "axis", 1);
    node_int(&node, "axis", 2);
    proto_message(&graph, 1, &node);
    model = onnx_model(&graph, 14);
    refuse(&model, "node 0, Relu: attribute 'axis' stands there twice");
    graph.size = 0;
    proto_bytes(&graph, 2, "a\0b", 3);
    model = onnx_model(&graph, 14);
    refuse(&model, "NUL");
    model.size = 0;
    proto_int(&model, 1, 7);
    proto_text(&model, 2, "x");
    refuse(&model, "no graph");
}
END_TEST

/* ---- external data ---- */

static void add_entry(proto *tensor, const char *key, const char *value) {
    proto entry = {.size = 0};
    proto_text(&entry, 1, key);
    proto_text(&entry, 2, value);
    proto_message(tensor, 13, &entry);
}

static proto external(const char *name, const char *location, const char *offset, const char *length) {
    proto tensor = onnx_tensor(name, 1, DIMS(2));
    if (location) add_entry(&tensor, "location", location);
    if (offset) add_entry(&tensor, "offset", offset);
    if (length) add_entry(&tensor, "length", length);
    proto_int(&tensor, 14, 1);
    return tensor;
}

START_TEST(test_external_data) {
    const float values[] = {9, 1, 2};
    char outside[100];
    proto t, model;
    write_bytes(in_folder("a.onnx.data"), values, sizeof values);
    snprintf(outside, sizeof outside, "%s.outside", damage_folder);
    write_bytes(outside, values, sizeof values);
    ck_assert_int_eq(symlink(outside, in_folder("link")), 0);
    ck_assert_int_eq(symlink("a.onnx.data", in_folder("inside")), 0);
    ck_assert_int_eq(mkdir(in_folder("below"), 0700), 0);
    const char *const good[][2] = {
        {"a.onnx.data", "4"}, {"inside", "4"}, {"./a.onnx.data", "4"}, {"below/../a.onnx.data", "4"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        t = external("w", good[i][0], good[i][1], i % 2 ? "8" : NULL);
        model = with_tensor(&t);
        psal_tensor_map *map = read_good(&model);
        const float *found = psal_tensor_map_get(map, "w")->data;
        ck_assert(found[0] == 1 && found[1] == 2);
        psal_tensor_map_free(map);
    }
    const char *name = strrchr(damage_folder, '/') + 1;
    char up[100];
    snprintf(up, sizeof up, "../%s.outside", name);
    const struct {
        const char *location, *offset, *length, *what;
    } bad[] = {
        {up, NULL, NULL, "outside the model's folder"},
        {"link", NULL, NULL, "outside the model's folder"},
        {outside, NULL, NULL, "not in a file below"},
        {"..", NULL, NULL, "outside the model's folder"},
        {"", NULL, NULL, "not in a file below"},
        {NULL, NULL, NULL, "not in a file below"},
        {"missing", NULL, NULL, "No such file"},
        {"below", NULL, NULL, "below"},
        {"a.onnx.data", "5", NULL, "are outside of"},
        {"a.onnx.data", "8", NULL, "are outside of"},
        {"a.onnx.data", "18446744073709551615", NULL, "are outside of"},
        {"a.onnx.data", "18446744073709551616", NULL, "is no number of bytes"},
        {"a.onnx.data", "-1", NULL, "is no number of bytes"},
        {"a.onnx.data", "", NULL, "is no number of bytes"},
        {"a.onnx.data", "0", "7", "it has 7 bytes of external data, but its shape wants 8"},
        {"a.onnx.data", "0", "18446744073709551615", "but its shape wants 8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t = external("w", bad[i].location, bad[i].offset, bad[i].length);
        model = with_tensor(&t);
        refuse(&model, bad[i].what);
    }
    proto graph = {.size = 0};
    t = external("v", "a.onnx.data", "0", NULL);
    proto_message(&graph, 5, &t);
    t = external("w", "inside", "4", NULL);
    proto_message(&graph, 5, &t);
    model = onnx_model(&graph, 14);
    refuse(&model, "tensor 'w': its external data overlap");
    unlink(outside);
}
END_TEST

static bool reader(const char *path, psal_error *err) {
    psal_tensor_map *map = psal_onnx_read(path, err);
    const bool took = map != NULL;
    touch(map);
    psal_tensor_map_free(map);
    return took;
}

/* Lengths, counts and offsets among all the other bytes. */
START_TEST(test_damage_everywhere) {
    const proto model = onnx_sample();
    damage_everywhere(model.bytes, model.size, in_folder("damaged.onnx"), reader);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("onnx");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_unchecked_fixture(tests, damage_make_folder, damage_remove_folder);
    tcase_add_test(tests, test_whole_network);
    tcase_add_test(tests, test_numbers);
    tcase_add_test(tests, test_refused_tensors);
    tcase_add_test(tests, test_refused_graphs);
    tcase_add_test(tests, test_external_data);
    tcase_add_test(tests, test_damage_everywhere);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
