/* Every architecture against torchvision's own list of parameters, and recognised from its tensors.
 */
#include <inttypes.h>
#include <zlib.h>

#include "facts.h"
#include "fixtures.h"
#include "models/arch.h"

#define FACTS ((int)(sizeof facts / sizeof *facts))

static uint32_t add_line(uint32_t crc, const char *name, const psal_shape *shape) {
    char line[300], text[96];
    int length = snprintf(line, sizeof line, "%s %s\n", name, psal_shape_format(shape, text, sizeof text));
    return (uint32_t)crc32(crc, (const Bytef *)line, (uInt)length);
}

START_TEST(test_names_and_shapes) {
    const struct facts *f = &facts[_i];
    psal_error err = PSAL_ERROR_INIT;
    psal_tensor_map *map = psal_model_blank(f->arch, f->width, f->num_classes, &err);
    ck_assert_msg(map != NULL, "%s", err.message);
    ck_assert_msg((int)psal_tensor_map_count(map) == f->tensors, "%s at %g: %zu tensors, expected %d", f->arch,
                  f->width, psal_tensor_map_count(map), f->tensors);
    uint32_t crc = 0;
    for (size_t i = 0; i < psal_tensor_map_count(map); i++)
        crc = add_line(crc, psal_tensor_map_name(map, i), &psal_tensor_map_at(map, i)->shape);
    ck_assert_msg(crc == f->tensor_crc, "%s at %g: tensors have CRC %08x, expected %08x", f->arch, f->width, crc,
                  f->tensor_crc);
    psal_tensor_map_free(map);
}
END_TEST

START_TEST(test_recognised) {
    const struct facts *f = &facts[_i];
    psal_tensor_map *map = bare(f->arch, f->width, f->num_classes);
    if (strstr(f->arch, "netaa") || strstr(f->arch, "nextaa")) /* the same tensors as without */
        set_meta(map, "psal.arch", f->arch);
    psal_model *model = load(map, NULL);
    const psal_model_info *info = psal_model_get_info(model);
    ck_assert_str_eq(info->arch, f->arch);
    ck_assert_int_eq(info->num_classes, f->num_classes);
    /* 0.08 and 0.25 are the shortest numbers that give these shapes */
    ck_assert_msg(info->width == f->width, "%s: width %g, expected %g", f->arch, info->width, f->width);

    ck_assert_int_eq(psal_model_parameter_count(model), f->parameters);
    ck_assert_int_eq(info->filter_count, f->filters);
    ck_assert_int_eq(info->parameter_elements, f->elements);
    uint32_t crc = 0;
    int filters = 0, rows = 0;
    int64_t elements = 0;
    for (int i = 0; i < psal_model_parameter_count(model); i++) {
        const psal_model_parameter *p = psal_model_get_parameter(model, i);
        crc = add_line(crc, p->name, &p->shape);
        ck_assert_int_eq(p->is_filter, p->shape.ndim == 4);
        const size_t length = strlen(p->name); /* class tokens, positions and scales are no layers */
        const bool weight = length >= 6 && strcmp(p->name + length - 6, "weight") == 0;
        ck_assert_int_eq(p->output_axis, weight && p->shape.ndim >= 2 ? 0 : -1);
        ck_assert_int_eq(p->first_unit[PSAL_UNITS_FILTERS], p->is_filter ? filters : -1);
        ck_assert_int_eq(p->first_unit[PSAL_UNITS_ROWS], p->output_axis == 0 ? rows : -1);
        if (p->output_axis == 0) rows += (int)p->shape.dim[0];
        ck_assert_int_eq(p->first_element, elements);
        ck_assert_int_eq(psal_model_find_parameter(model, p->name), i);
        ck_assert_int_eq(p->in_graph, strncmp(p->name, "AuxLogits.", 10) != 0 && strncmp(p->name, "aux", 3) != 0);
        ck_assert_ptr_eq(p->values, floats(map, p->name)); /* used in place */
        if (p->is_filter) {
            ck_assert_int_eq(psal_model_unit_parameter(model, PSAL_UNITS_FILTERS, filters, NULL), i);
            filters += (int)p->shape.dim[0];
            ck_assert_int_eq(psal_model_unit_parameter(model, PSAL_UNITS_FILTERS, filters - 1, NULL), i);
        }
        elements += psal_shape_count(&p->shape);
    }
    ck_assert_msg(crc == f->parameter_crc, "%s at %g: parameters have CRC %08x, expected %08x", f->arch, f->width, crc,
                  f->parameter_crc);
    ck_assert_int_eq(psal_model_unit_count(model, PSAL_UNITS_FILTERS), filters);
    ck_assert_int_eq(psal_model_unit_count(model, PSAL_UNITS_ROWS), rows);
    ck_assert_int_eq(psal_model_unit_parameter(model, PSAL_UNITS_ROWS, rows, NULL), -1);
    ck_assert_int_eq(psal_model_unit_parameter(model, PSAL_UNITS_FILTERS, filters, NULL), -1);
    ck_assert_int_eq(psal_model_unit_parameter(model, PSAL_UNITS_FILTERS, -1, NULL), -1);
    psal_model_free(model);
    psal_tensor_map_free(map);
}
END_TEST

/* The numbers that the published statistics are arranged by. */
START_TEST(test_published_filter_counts) {
    static const struct {
        const char *arch;
        int filters;
    } published[] = {{"resnet50", 26560}, {"vgg19", 5504}, {"densenet121", 10240}, {"inception_v3", 18112}};
    for (int i = 0; i < 4; i++) {
        psal_tensor_map *map = bare(published[i].arch, 1, 1000);
        psal_model *model = load(map, NULL);
        ck_assert_int_eq(psal_model_get_info(model)->filter_count, published[i].filters);
        psal_model_free(model);
        psal_tensor_map_free(map);
    }
}
END_TEST

START_TEST(test_table) {
    ck_assert_int_eq(psal_model_arch_count(), 118);
    for (int i = 0; i < psal_model_arch_count(); i++) {
        const char *name = psal_model_arch_name(i);
        ck_assert_str_eq(net_arch_find(name)->name, name);
        bool has_facts = false;
        for (int k = 0; k < FACTS; k++) has_facts |= strcmp(facts[k].arch, name) == 0;
        ck_assert_msg(has_facts, "%s is not in facts.h", name);
    }
    ck_assert_ptr_null(psal_model_arch_name(-1));
    ck_assert_ptr_null(psal_model_arch_name(118));
    ck_assert_ptr_null(net_arch_find("resnet51"));
    ck_assert_ptr_null(net_arch_find(""));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("arch");
    TCase *tcase = tcase_create("arch");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_names_and_shapes, 0, FACTS);
    tcase_add_loop_test(tcase, test_recognised, 0, FACTS);
    tcase_add_test(tcase, test_published_filter_counts);
    tcase_add_test(tcase, test_table);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
