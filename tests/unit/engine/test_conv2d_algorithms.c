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

/* A part of a table: what a layer takes on each of these processors with each of these methods */
static const psal_processor processors[] = {PSAL_PROCESSOR_AVX2, PSAL_PROCESSOR_AVX512, PSAL_PROCESSOR_AMX};
static const psal_conv2d_method methods[] = {PSAL_CONV2D_AUTO, PSAL_CONV2D_ACCURATE, PSAL_CONV2D_DIRECT};
static const char *const method_names[] = {"fast", "accurate", "direct"};
enum { MACHINES = sizeof processors / sizeof *processors, METHODS = sizeof methods / sizeof *methods };
enum { MOST_PARTS = 256, MOST_LAYERS = 1024 };

typedef struct part {
    char line[METHODS][MACHINES][128];
} part;

static part part_of(const psal_conv2d_shape *s) {
    part made;
    memset(&made, 0, sizeof made);
    for (int m = 0; m < METHODS; m++)
        for (int p = 0; p < MACHINES; p++) {
            char *line = made.line[m][p];
            for (int d = 0; d < LISTED; d++, line += strlen(line))
                sprintf(line, d + 1 < LISTED ? "%-18s " : "%s", find(s, listed[d], methods[m], processors[p]));
        }
    return made;
}

/* Neighbours that are alike share a line, or lines. */
static void write_part(FILE *out, const part *written) {
    char names[64] = "";
    for (int m = 0; m < METHODS; m++) {
        sprintf(names + strlen(names), *names ? ", %s" : "%s", method_names[m]);
        if (m + 1 < METHODS && memcmp(written->line[m], written->line[m + 1], sizeof written->line[m]) == 0) continue;
        char machines[64] = "";
        for (int p = 0; p < MACHINES; p++) {
            sprintf(machines + strlen(machines), *machines ? ", %s" : "%s", psal_processor_name(processors[p]));
            if (p + 1 < MACHINES && strcmp(written->line[m][p], written->line[m][p + 1]) == 0) continue;
            fprintf(out, "%-22s %-17s %s\n", names, machines, written->line[m][p]);
            *names = *machines = '\0';
        }
    }
}

/* Layers that are alike stand together. */
static void write_table(FILE *out) {
    static part parts[MOST_PARTS];
    static int part_of_layer[MOST_LAYERS];
    fprintf(out,
            "# The algorithm of every convolution with --conv fast, accurate and direct, and behind each part of the "
            "table the layers that take these.\n"
            "# dw_mean's is that of dw, neon's are those of avx2; with --conv gemm, and without vectors, all are "
            "im2col_gemm and ternary_decoded.\n"
            "# Made by test_engine_conv2d_algorithms --write.\n#\n# %-39s",
            "");
    for (int d = 0; d < LISTED; d++)
        fprintf(out, d + 1 < LISTED ? "%-18s " : "%s\n", psal_conv2d_direction_name(listed[d]));
    int count = 0;
    for (int written = -1; written < count; written++) {
        int layer = 0;
        if (written >= 0) {
            fprintf(out, "\n");
            write_part(out, &parts[written]);
        }
        for (int i = 0; i < CONV_NETWORKS; i++) {
            static conv_network net;
            conv_network_make(i, &net);
            for (int l = 0; l < net.layers; l++, layer++) {
                const psal_conv2d_shape *s = &net.layer[l].shape;
                if (written < 0) { /* first of all, which parts there are */
                    const part made = part_of(s);
                    int n = 0;
                    while (n < count && memcmp(&parts[n], &made, sizeof made) != 0) n++;
                    if (n == MOST_PARTS || layer == MOST_LAYERS) abort();
                    if (n == count) parts[count++] = made;
                    part_of_layer[layer] = n;
                } else if (part_of_layer[layer] == written) {
                    fprintf(out, "  %s %dx%dx%d -> %dx%dx%d, %dx%d, stride %d", net.name, s->in_channels, s->in_height,
                            s->in_width, s->out_channels, s->out_height, s->out_width, s->kernel_height,
                            s->kernel_width, s->stride_height);
                    if (s->groups > 1) fprintf(out, ", %d groups", s->groups);
                    fprintf(out, "\n");
                }
            }
        }
    }
}

START_TEST(table_is_as_written) {
    FILE *in = fopen(path, "r"), *out = tmpfile();
    ck_assert_ptr_nonnull(in);
    ck_assert_ptr_nonnull(out);
    write_table(out);
    rewind(out);
    char want[512], got[512];
    for (int line = 1;; line++) {
        const bool more = fgets(want, sizeof want, in) != NULL;
        ck_assert_msg((fgets(got, sizeof got, out) != NULL) == more, "%s has other lines than there are layers", path);
        if (!more) break;
        ck_assert_msg(strcmp(want, got) == 0, "%s:%d: the table has\n%snot\n%s", path, line, want, got);
    }
    fclose(in);
    fclose(out);
}
END_TEST

/* What the table leaves out */
START_TEST(what_is_common_to_all) {
    static const psal_conv2d_method all[] = {PSAL_CONV2D_AUTO, PSAL_CONV2D_ACCURATE, PSAL_CONV2D_DIRECT,
                                             PSAL_CONV2D_GEMM};
    static conv_network net;
    conv_network_make(_i, &net);
    for (int l = 0; l < net.layers; l++) {
        const psal_conv2d_shape *s = &net.layer[l].shape;
        for (size_t m = 0; m < sizeof all / sizeof *all; m++)
            for (psal_processor p = PSAL_PROCESSOR_PORTABLE; p < PSAL_PROCESSORS; p++) {
                ck_assert_str_eq(find(s, PSAL_CONV2D_DW, all[m], p), find(s, PSAL_CONV2D_DW_MEAN, all[m], p));
                ck_assert_ptr_null(strstr(find(s, PSAL_CONV2D_FORWARD, all[m], p), "winograd"));
                for (int d = 0; d < LISTED && p == PSAL_PROCESSOR_NEON; d++)
                    ck_assert_str_eq(find(s, listed[d], all[m], p), find(s, listed[d], all[m], PSAL_PROCESSOR_AVX2));
                if (all[m] == PSAL_CONV2D_DIRECT)
                    for (int d = 0; d < LISTED; d++)
                        ck_assert_ptr_null(strstr(find(s, listed[d], all[m], p), "winograd"));
                if (all[m] != PSAL_CONV2D_GEMM && p != PSAL_PROCESSOR_PORTABLE) continue;
                for (int d = 0; d < LISTED; d++)
                    ck_assert_str_eq(find(s, listed[d], all[m], p),
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
