/* Tests which algorithm takes each convolution of the networks in conv2d_shapes.c on each processor, whatever this
 * machine is, against a table:
 *
 *   test_engine_conv2d_algorithms TABLE          compare
 *   test_engine_conv2d_algorithms --write TABLE  make it anew, to be reviewed by git diff */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conv2d_shapes.h"

static const char *path;

static const psal_conv2d_direction listed[] = {PSAL_CONV2D_FORWARD, PSAL_CONV2D_DY,         PSAL_CONV2D_DX,
                                               PSAL_CONV2D_DW,      PSAL_CONV2D_TERNARY_DY, PSAL_CONV2D_TERNARY_DX};
enum { LISTED = sizeof listed / sizeof *listed };

static const char *find(const psal_conv2d_shape *s, psal_conv2d_direction direction, psal_conv2d_method method,
                        psal_processor processor) {
    return psal_conv2d_algorithm_for(s, direction, (psal_conv2d_settings){method, processor});
}

static void write_algorithms(FILE *out, const psal_conv2d_shape *s, const char *processors, psal_processor p) {
    fprintf(out, "  %-12s", processors);
    for (int d = 0; d < LISTED; d++)
        fprintf(out, d + 1 < LISTED ? " %-18s" : " %s", find(s, listed[d], PSAL_CONV2D_AUTO, p));
    fprintf(out, "\n");
}

static void write_table(FILE *out) {
    fprintf(
        out,
        "# The algorithm of every convolution with --conv fast; dw_mean's is that of dw, neon's are those of avx2, and "
        "every\n"
        "# machine has im2col_gemm and ternary_decoded. Made by test_engine_conv2d_algorithms --write.\n#\n# %-12s",
        "");
    for (int d = 0; d < LISTED; d++)
        fprintf(out, d + 1 < LISTED ? " %-18s" : " %s", psal_conv2d_direction_name(listed[d]));
    fprintf(out, "\n");
    for (int i = 0; i < CONV_NETWORKS; i++) {
        static conv_network net;
        conv_network_make(i, &net);
        for (int l = 0; l < net.layers; l++) {
            const psal_conv2d_shape *s = &net.layer[l].shape;
            fprintf(out, "\n%s %dx%dx%d -> %dx%dx%d, %dx%d, stride %d", net.name, s->in_channels, s->in_height,
                    s->in_width, s->out_channels, s->out_height, s->out_width, s->kernel_height, s->kernel_width,
                    s->stride_height);
            if (s->groups > 1) fprintf(out, ", %d groups", s->groups);
            fprintf(out, "\n");
            bool same = true;
            for (int d = 0; d < LISTED; d++)
                same = same && strcmp(find(s, listed[d], PSAL_CONV2D_AUTO, PSAL_PROCESSOR_AVX2),
                                      find(s, listed[d], PSAL_CONV2D_AUTO, PSAL_PROCESSOR_AVX512)) == 0;
            write_algorithms(out, s, same ? "avx2, avx512" : "avx2", PSAL_PROCESSOR_AVX2);
            if (!same) write_algorithms(out, s, "avx512", PSAL_PROCESSOR_AVX512);
            write_algorithms(out, s, "amx", PSAL_PROCESSOR_AMX);
        }
    }
}

START_TEST(table_is_as_written) {
    FILE *in = fopen(path, "r"), *out = tmpfile();
    ck_assert_ptr_nonnull(in);
    ck_assert_ptr_nonnull(out);
    write_table(out);
    rewind(out);
    char want[512], got[512], layer[512] = "";
    for (int line = 1;; line++) {
        const bool more = fgets(want, sizeof want, in) != NULL;
        ck_assert_msg((fgets(got, sizeof got, out) != NULL) == more, "%s has other lines than there are layers", path);
        if (!more) break;
        if (*got != ' ') strcpy(layer, got);
        ck_assert_msg(strcmp(want, got) == 0, "%s:%d: of %sthe table has\n%snot\n%s", path, line, layer, want, got);
    }
    fclose(in);
    fclose(out);
}
END_TEST

/* What the table leaves out */
START_TEST(what_is_common_to_all) {
    static const psal_conv2d_method methods[] = {PSAL_CONV2D_AUTO, PSAL_CONV2D_ACCURATE, PSAL_CONV2D_DIRECT,
                                                 PSAL_CONV2D_GEMM};
    static conv_network net;
    conv_network_make(_i, &net);
    for (int l = 0; l < net.layers; l++) {
        const psal_conv2d_shape *s = &net.layer[l].shape;
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
            for (psal_processor p = PSAL_PROCESSOR_PORTABLE; p < PSAL_PROCESSORS; p++) {
                ck_assert_str_eq(find(s, PSAL_CONV2D_DW, methods[m], p), find(s, PSAL_CONV2D_DW_MEAN, methods[m], p));
                ck_assert_ptr_null(strstr(find(s, PSAL_CONV2D_FORWARD, methods[m], p), "winograd"));
                for (int d = 0; d < LISTED && p == PSAL_PROCESSOR_NEON; d++)
                    ck_assert_str_eq(find(s, listed[d], methods[m], p),
                                     find(s, listed[d], methods[m], PSAL_PROCESSOR_AVX2));
                if (methods[m] == PSAL_CONV2D_DIRECT)
                    for (int d = 0; d < LISTED; d++)
                        ck_assert_ptr_null(strstr(find(s, listed[d], methods[m], p), "winograd"));
                if (methods[m] != PSAL_CONV2D_GEMM && p != PSAL_PROCESSOR_PORTABLE) continue;
                for (int d = 0; d < LISTED; d++)
                    ck_assert_str_eq(find(s, listed[d], methods[m], p),
                                     listed[d] >= PSAL_CONV2D_TERNARY_DY ? "ternary_decoded" : "im2col_gemm");
            }
    }
}
END_TEST

START_TEST(what_the_machine_has_not_is_refused) {
    static conv_network net;
    conv_network_make(0, &net);
    for (psal_processor p = PSAL_PROCESSOR_AUTO; p < PSAL_PROCESSORS; p++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_convolution *c = psal_conv2d_choose(&net.layer[0].shape, PSAL_CONV2D_FORWARD,
                                                 (psal_conv2d_settings){.processor = p}, 1, &err);
        ck_assert_int_eq(c != NULL, psal_processor_runs(p));
        if (c)
            ck_assert_str_eq(psal_conv2d_algorithm_name(c),
                             find(&net.layer[0].shape, PSAL_CONV2D_FORWARD, PSAL_CONV2D_AUTO, p));
        else
            ck_assert_ptr_nonnull(strstr(err.message, psal_processor_name(p)));
        psal_conv2d_free(c);
    }
    psal_conv2d_free(NULL);
}
END_TEST

int main(int argc, char **argv) {
    const bool write = argc == 3 && strcmp(argv[1], "--write") == 0;
    if (argc != 2 && !write) return EXIT_FAILURE;
    path = argv[argc - 1];
    if (write) {
        FILE *out = fopen(path, "w");
        if (!out) return EXIT_FAILURE;
        write_table(out);
        return fclose(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    Suite *suite = suite_create("conv2d_algorithms");
    TCase *tests = tcase_create("algorithms");
    tcase_add_test(tests, table_is_as_written);
    tcase_add_loop_test(tests, what_is_common_to_all, 0, CONV_NETWORKS);
    tcase_add_test(tests, what_the_machine_has_not_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
