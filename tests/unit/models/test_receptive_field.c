/* Receptive fields of whole networks (engine/receptive_field.h) against a probe: rows and columns of the image are
 * changed one by one, and what every convolution gives is compared with what it gave before. */
#include "engine/receptive_field.h"

#include "fixtures.h"

/* Narrow networks of more weights are left to PSAL_SLOW=1: smaller ones are made of the same layers. */
enum { CLASSES = 4, MOST = 1000, LARGE = 500000 };

typedef struct probe {
    psal_tensor_map *map;
    psal_model *model;
    psal_graph *graph;
    psal_network network;
    psal_plan *plan;
    psal_workspace *ws;
    psal_node convolutions[MOST];
    int count, side;
    float *image, *unchanged, *before[MOST];
} probe;

/* Weights that let any change of the image through, whatever path it takes: none is negative, so that an image of zeros
 * gives zeros everywhere, and one that is larger somewhere gives more wherever that is seen. */
static void fill_positive(psal_tensor_map *map) {
    for (size_t i = 0; i < psal_tensor_map_count(map); i++) {
        const psal_tensor *tensor = psal_tensor_map_at(map, i);
        const char *name = psal_tensor_map_name(map, i);
        const int64_t count = psal_shape_count(&tensor->shape);
        const bool matrix = tensor->shape.ndim > 1, shift = strstr(name, "bias") || strstr(name, "running_mean");
        for (int64_t k = 0; k < count; k++)
            floats(map, name)[k] = matrix ? 2 * (float)tensor->shape.dim[0] / (float)count : shift ? 0 : 1;
    }
}

static void run(probe *p) {
    psal_error err = PSAL_ERROR_INIT;
    ck_assert_msg(psal_workspace_run(p->ws, 0, &err) == PSAL_OK, "%s", err.message);
}

static size_t size_of(const probe *p, int i) {
    return (size_t)psal_shape_count(psal_graph_shape(p->graph, p->convolutions[i])) * sizeof(float);
}

static bool open_probe(probe *p, const char *arch, double width, int side, bool positive) {
    psal_error err = PSAL_ERROR_INIT;
    *p = (probe){.graph = psal_graph_new()};
    for (; !p->map && width <= 1; width *= 2) p->map = psal_model_blank(arch, width, CLASSES, &err); /* groups */
    ck_assert_msg(p->map != NULL, "%s: %s", arch, err.message);
    int64_t numbers = 0;
    for (size_t i = 0; i < psal_tensor_map_count(p->map); i++)
        numbers += psal_shape_count(&psal_tensor_map_at(p->map, i)->shape);
    const char *slow = getenv("PSAL_SLOW");
    if (numbers > LARGE && (!slow || strcmp(slow, "1") != 0)) {
        psal_tensor_map_free(p->map);
        psal_graph_free(p->graph);
        return false;
    }
    (positive ? fill_positive : fill)(p->map);
    p->model = load(p->map, NULL);
    const psal_model_info *info = psal_model_get_info(p->model);
    p->side = side > info->min_size ? side : info->min_size;
    ck_assert_msg(psal_model_build(p->model, p->graph, 1, p->side, p->side, &p->network, &err) == PSAL_OK, "%s: %s",
                  arch, err.message);
    for (psal_node n = 0; n < psal_graph_node_count(p->graph); n++)
        if (strcmp(psal_graph_op_name(p->graph, n), "conv2d") == 0) p->convolutions[p->count++] = n;
    ck_assert_int_le(p->count, MOST);
    const psal_plan_options options = {
        .outputs = {p->convolutions}, .output_count = {p->count}, .stages = 1, .threads = 1};
    p->plan = psal_plan_new(p->graph, &options, &err);
    ck_assert_msg(p->plan != NULL, "%s: %s", arch, err.message);
    ck_assert_int_eq(psal_model_bind(p->model, &p->network, p->plan, &err), PSAL_OK);
    p->ws = psal_workspace_new(p->plan, &err);
    ck_assert_ptr_nonnull(p->ws);
    const size_t pixels = (size_t)(3 * p->side * p->side);
    p->image = calloc(pixels, sizeof *p->image);
    p->unchanged = calloc(pixels, sizeof *p->image);
    for (int i = 0; i < 3 * p->side * p->side && !positive; i++)
        p->image[i] = (float)(sin(0.37 * i) + cos(0.011 * i * (i % 7)));
    memcpy(p->unchanged, p->image, pixels * sizeof *p->image);
    ck_assert_int_eq(psal_workspace_set(p->ws, p->network.image, p->image, &err), PSAL_OK);
    run(p);
    for (int i = 0; i < p->count; i++) {
        p->before[i] = malloc(size_of(p, i));
        memcpy(p->before[i], psal_workspace_get(p->ws, p->convolutions[i]), size_of(p, i));
    }
    return true;
}

static void close_probe(probe *p) {
    for (int i = 0; i < p->count; i++) free(p->before[i]);
    free(p->image);
    free(p->unchanged);
    psal_workspace_free(p->ws);
    psal_plan_free(p->plan);
    psal_network_free(&p->network);
    psal_graph_free(p->graph);
    psal_model_free(p->model);
    psal_tensor_map_free(p->map);
}

/* Add 1 to row or column `line` of all channels, and run. */
static void change_line(probe *p, int axis, int line) {
    memcpy(p->image, p->unchanged, (size_t)(3 * p->side * p->side) * sizeof *p->image);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < p->side; i++)
            p->image[(c * p->side + (axis == 2 ? line : i)) * p->side + (axis == 2 ? i : line)] += 1;
    run(p);
}

/* The receptive field of one place of the first channel that convolution i gives; places from corner to corner. */
static psal_box field_at(const probe *p, int i, int64_t row, int64_t column) {
    psal_error err = PSAL_ERROR_INIT;
    const psal_box of = {.first = {0, 0, row, column}, .last = {0, 0, row, column}};
    psal_box field;
    ck_assert_msg(psal_receptive_field(p->graph, p->convolutions[i], &of, p->network.image, &field, &err) == PSAL_OK,
                  "%s", err.message);
    return field;
}

static bool changes(const probe *p, int i, int64_t row, int64_t column) {
    const int64_t at = row * psal_graph_shape(p->graph, p->convolutions[i])->dim[3] + column;
    const float *now = psal_workspace_get(p->ws, p->convolutions[i]);
    return memcmp(&now[at], &p->before[i][at], sizeof *now) != 0;
}

/* Per convolution and place on the way from corner to corner: around the lines that it changes with. */
typedef struct lines {
    int first[2], last[2];
} lines;

enum { PLACES = 64 };

static const struct {
    const char *arch;
    double width;
    int side;
} exact[] = {{"resnet18", 0.0625, 64},
             {"resnet50", 0.0625, 64},
             {"densenet121", 0.125, 64},
             {"mobilenet_v2", 0.25, 64},
             {"inception_v3", 0.0625, 80}};

START_TEST(borders_are_exact) {
    static lines seen[MOST][PLACES];
    probe p;
    ck_assert(open_probe(&p, exact[_i].arch, exact[_i].width, exact[_i].side, true));
    for (int i = 0; i < p.count; i++)
        for (int k = 0; k < PLACES; k++) seen[i][k] = (lines){{p.side, p.side}, {-1, -1}};
    for (int axis = 2; axis < 4; axis++)
        for (int line = 0; line < p.side; line++) {
            change_line(&p, axis, line);
            for (int i = 0; i < p.count; i++) {
                const psal_shape *shape = psal_graph_shape(p.graph, p.convolutions[i]);
                for (int64_t row = 0; row < shape->dim[2]; row++) {
                    lines *l = &seen[i][row % PLACES];
                    if (row >= PLACES || !changes(&p, i, row, row * shape->dim[3] / shape->dim[2])) continue;
                    if (line < l->first[axis - 2]) l->first[axis - 2] = line;
                    l->last[axis - 2] = line;
                }
            }
        }
    int inside = 0;
    for (int i = 0; i < p.count; i++) {
        const psal_shape *shape = psal_graph_shape(p.graph, p.convolutions[i]);
        for (int64_t row = 0; row < shape->dim[2] && row < PLACES; row++) {
            const psal_box field = field_at(&p, i, row, row * shape->dim[3] / shape->dim[2]);
            for (int d = 0; d < 2; d++)
                ck_assert_msg(field.first[2 + d] == seen[i][row].first[d] && field.last[2 + d] == seen[i][row].last[d],
                              "%s, convolution %d (%s), row %d: %s %d to %d, but it changes with %d to %d",
                              exact[_i].arch, i, psal_graph_layer(p.graph, p.convolutions[i]), (int)row,
                              d ? "columns" : "rows", (int)field.first[2 + d], (int)field.last[2 + d],
                              seen[i][row].first[d], seen[i][row].last[d]);
            inside += field.first[2] > 0 || field.last[2] < p.side - 1;
        }
    }
    ck_assert_int_gt(inside, 100); /* that see a part of the image only */
    close_probe(&p);
}
END_TEST

/* No architecture sees what its box leaves out; looked at in three places of three lines in both directions. */
START_TEST(nothing_outside_changes_anything) {
    static psal_box fields[MOST][3];
    const char *arch = psal_model_arch_name(_i);
    probe p;
    if (!open_probe(&p, arch, 0.0625, 64, false)) return;
    for (int i = 0; i < p.count; i++) {
        const psal_shape *shape = psal_graph_shape(p.graph, p.convolutions[i]);
        for (int k = 0; k < 3; k++)
            fields[i][k] = field_at(&p, i, (shape->dim[2] - 1) * k / 2, (shape->dim[3] - 1) * k / 2);
    }
    for (int axis = 2; axis < 4; axis++)
        for (int line = 0; line < p.side; line += (p.side - 1) / 2) {
            change_line(&p, axis, line);
            for (int i = 0; i < p.count; i++) {
                const psal_shape *shape = psal_graph_shape(p.graph, p.convolutions[i]);
                for (int k = 0; k < 3; k++) {
                    const psal_box *field = &fields[i][k];
                    if (!changes(&p, i, (shape->dim[2] - 1) * k / 2, (shape->dim[3] - 1) * k / 2)) continue;
                    ck_assert_msg(field->first[axis] <= line && line <= field->last[axis],
                                  "%s, %s: changes with line %d of axis %d, outside of %d to %d", arch,
                                  psal_graph_layer(p.graph, p.convolutions[i]), line, axis, (int)field->first[axis],
                                  (int)field->last[axis]);
                }
            }
        }
    close_probe(&p);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("models/receptive_field");
    TCase *tests = tcase_create("receptive_field");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, borders_are_exact, 0, sizeof exact / sizeof *exact);
    tcase_add_loop_test(tests, nothing_outside_changes_anything, 0, psal_model_arch_count());
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
