#include "io/profile_store.h"

#include <math.h>
#include <unistd.h>

#include "io/npy.h"
#include "scratch.h"

static float values[4][5];

static const char *write_profiles(psal_dtype dtype) {
    uint16_t halves[20];
    psal_error err = PSAL_ERROR_INIT;
    for (int i = 0; i < 20; i++) {
        values[i / 5][i % 5] = (float)(i * i) / 64 - 2;
        halves[i] = psal_f16_from_f32(values[i / 5][i % 5]);
    }
    psal_tensor tensor = {dtype, PSAL_SHAPE(4, 5), dtype == PSAL_F16 ? (void *)halves : (void *)values};
    ck_assert_msg(psal_npy_write(in_scratch("p.npy"), &tensor, &err) == PSAL_OK, "%s", err.message);
    return in_scratch("p.npy");
}

#define HEADER "index,path,label,predicted,confidence,target_confidence,loss\n"
#define RECORDS HEADER "0,a.png,3,3,0.5,0.5,0.25\n1,\"b,c.png\",3,4,0.75,0.125,2\n2,d.png,,2,0.5,,\n3,e.png,1,,,,\n"

START_TEST(test_rows_and_records) {
    psal_error err = PSAL_ERROR_INIT;
    const char *records = write_text("r.csv", RECORDS);
    for (int half = 0; half < 2; half++) {
        psal_profile_store store;
        ck_assert_msg(psal_profile_store_open(write_profiles(half ? PSAL_F16 : PSAL_F32), records, &store, &err) ==
                          PSAL_OK,
                      "%s", err.message);
        ck_assert(store.samples == 4 && store.length == 5);
        for (int i = 0; i < 4; i++) {
            float row[5], part[2];
            psal_profile_store_read(&store, i, 0, 5, row);
            ck_assert_mem_eq(row, values[i], sizeof row);
            psal_profile_store_read(&store, i, 2, 2, part);
            ck_assert_mem_eq(part, values[i] + 2, sizeof part);
            psal_profile_store_release(&store, 0, 4);
        }
        ck_assert_str_eq(store.records[1].path, "b,c.png");
        ck_assert(store.records[1].label == 3 && store.records[1].predicted == 4 && store.records[1].valid);
        ck_assert(store.records[1].confidence == 0.75 && store.records[1].target_confidence == 0.125 &&
                  store.records[1].loss == 2);
        ck_assert(store.records[2].label == -1 && store.records[2].valid && isnan(store.records[2].loss));
        ck_assert(store.records[3].label == 1 && !store.records[3].valid);
        psal_profile_store_close(&store);
        psal_profile_store_close(&store);
    }
}
END_TEST

START_TEST(test_scale_and_other_order_of_columns_and_rows) {
    psal_error err = PSAL_ERROR_INIT;
    psal_profile_store store;
    const char *records = write_text(
        "r.csv", "predicted,extra,scale,label,path,index\n1,x,0.5,1,d,3\n1,x,2,1,a,0\n1,x,,1,c,2\n1,x,1,1,b,1\n");
    ck_assert_msg(psal_profile_store_open(write_profiles(PSAL_F16), records, &store, &err) == PSAL_OK, "%s",
                  err.message);
    float row[5];
    static const float scale[] = {2, 1, 1, 0.5f};
    static const char *const path[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        ck_assert_str_eq(store.records[i].path, path[i]);
        psal_profile_store_read(&store, i, 0, 5, row);
        for (int j = 0; j < 5; j++) ck_assert(row[j] == values[i][j] * scale[i]);
    }
    psal_profile_store_close(&store);
    ck_assert_int_eq(psal_profile_store_open(in_scratch("p.npy"), NULL, &store, &err), PSAL_OK);
    psal_profile_store_read(&store, 3, 0, 5, row);
    ck_assert_mem_eq(row, values[3], sizeof row);
    psal_profile_store_close(&store);
}
END_TEST

START_TEST(test_what_one_record_says_for_all) {
    psal_error err = PSAL_ERROR_INIT;
    psal_profile_store store;
    const char *records = write_text("r.csv",
                                     "path,label,predicted,image_hash,psal_settings,psal_source\na,1,1,,{},\n"
                                     "b,1,1,fedcba9876543210,,\"{\"\"data\"\":\"\"x\"\"}\"\nc,1,1,,{},\nd,1,1,,,\n");
    ck_assert_msg(psal_profile_store_open(write_profiles(PSAL_F32), records, &store, &err) == PSAL_OK, "%s",
                  err.message);
    ck_assert_uint_eq(store.records[0].image_hash, 0);
    ck_assert_uint_eq(store.records[1].image_hash, UINT64_C(0xfedcba9876543210));
    ck_assert_str_eq(store.settings, "{}");
    ck_assert_str_eq(store.source, "{\"data\":\"x\"}");
    psal_profile_store_close(&store);
}
END_TEST

/* Every half, in every position of a vector of eight and behind it. */
START_TEST(test_all_halves) {
    uint16_t *in = malloc(65536 * sizeof *in);
    float *out = malloc(65536 * sizeof *out);
    static const float factors[] = {1, 0x1p-20f, 0x1p-120f, 3};
    for (int shift = 0; shift < 8; shift++) {
        float factor = factors[shift / 2];
        for (int i = 0; i < 65536; i++) in[i] = (uint16_t)i;
        psal_halves_to_floats(in + shift % 2 * 3, 65536 - shift % 2 * 3, factor, out);
        for (int i = shift % 2 * 3; i < 65536; i++) {
            float expected = psal_f16_to_f32((uint16_t)i) * factor, got = out[i - shift % 2 * 3];
            ck_assert_msg(isnan(expected) ? isnan(got) : memcmp(&expected, &got, 4) == 0, "half %04x", (unsigned)i);
        }
    }
    free(in);
    free(out);
}
END_TEST

static void expect(const char *profiles, const char *table, psal_status status, const char *text) {
    psal_error err = PSAL_ERROR_INIT;
    psal_profile_store store;
    const char *records = table ? write_text("bad.csv", table) : NULL;
    ck_assert_int_ne(psal_profile_store_open(profiles, records, &store, &err), PSAL_OK);
    EXPECT_ERROR(err, status, text, records ? records : profiles);
    ck_assert(store.data == NULL && store.records == NULL && store.map == NULL && store.file.data == NULL);
}

START_TEST(test_bad_tables) {
    char p[512]; /* in_scratch's paths do not last */
    strcpy(p, write_profiles(PSAL_F32));
    expect(p, "", PSAL_ERR_FORMAT, "no column 'path'");
    expect(p, "path,label\n", PSAL_ERR_FORMAT, "no column 'predicted'");
    expect(p, "path,label,predicted,label\n", PSAL_ERR_FORMAT, "two columns are called 'label'");
    expect(p, HEADER "0,a,1,1,1,1,1\n", PSAL_ERR_FORMAT, "1 records, but the profiles have 4 rows");
    expect(p, HEADER "4,a,1,1,1,1,1\n", PSAL_ERR_FORMAT, "line 2: sample 4, but the profiles have 4 rows");
    expect(p, HEADER "-1,a,1,1,1,1,1\n", PSAL_ERR_FORMAT, "sample -1");
    expect(p, HEADER "0,a,1,1,1,1,1\n0,a,1,1,1,1,1\n", PSAL_ERR_FORMAT, "line 3: sample 0 for the second time");
    expect(p, HEADER "x,a,1,1,1,1,1\n", PSAL_ERR_FORMAT, "'x' is no index");
    expect(p, HEADER "0,a,cat,1,1,1,1\n", PSAL_ERR_FORMAT, "'cat' is no label");
    expect(p, HEADER "0,a,1,99999999999,1,1,1\n", PSAL_ERR_FORMAT, "'99999999999' is no predicted");
    expect(p, HEADER "0,a,1,1,1,1,high\n", PSAL_ERR_FORMAT, "'high' is no loss");
    expect(p, "path,label,predicted,image_hash\na,1,1,0123456789abcde\n", PSAL_ERR_FORMAT,
           "line 2: '0123456789abcde' is no image_hash");
    expect(p, "path,label,predicted,image_hash\na,1,1,0123456789abcdeF\n", PSAL_ERR_FORMAT, "is no image_hash");
    expect(p, HEADER "0,a,1,1\n", PSAL_ERR_FORMAT, "line 2: no field 'confidence'");
    expect(p, "path,label,predicted,scale\na,1,1,inf\n", PSAL_ERR_FORMAT, "'inf' is no scale");
    expect(p, "path,label,predicted\na,1,1\na,1,1\na,1,1\na,1,1\na,1,1\n", PSAL_ERR_FORMAT, "line 6: sample 4");
    expect(p, "path,label,predicted,psal_source\na,1,1,{}\na,1,1,[]\n", PSAL_ERR_FORMAT,
           "line 3: another psal_source than above");
}
END_TEST

START_TEST(test_bad_profiles) {
    psal_error err = PSAL_ERROR_INIT;
    float data[8] = {0};
    psal_tensor vector = {PSAL_F32, PSAL_SHAPE(8), data}, empty = {PSAL_F32, PSAL_SHAPE(0, 8), data},
                doubles = {PSAL_F64, PSAL_SHAPE(2, 2), data};
    psal_npy_write(in_scratch("v.npy"), &vector, &err);
    psal_npy_write(in_scratch("e.npy"), &empty, &err);
    psal_npy_write(in_scratch("d.npy"), &doubles, &err);
    expect(in_scratch("v.npy"), NULL, PSAL_ERR_SHAPE, "shape 8");
    expect(in_scratch("e.npy"), NULL, PSAL_ERR_SHAPE, "shape 0x8");
    expect(in_scratch("d.npy"), NULL, PSAL_ERR_UNSUPPORTED, "float64");
    expect(in_scratch("none.npy"), NULL, PSAL_ERR_IO, "cannot be opened");
    char fortran[] = "\x93NUMPY\x01\x00\x47\x00{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }            "
                     "\n................";
    expect(write_bytes("f.npy", fortran, sizeof fortran - 1), NULL, PSAL_ERR_UNSUPPORTED, "Fortran");
}
END_TEST

START_TEST(test_store_cut_short) {
    char bytes[400];
    const char *path = write_profiles(PSAL_F16);
    FILE *file = fopen(path, "rb");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    ck_assert_uint_gt(size, 100);
    for (size_t cut = 0; cut < size; cut++) {
        psal_error err = PSAL_ERROR_INIT;
        psal_profile_store store;
        path = write_bytes("cut.npy", bytes, cut);
        ck_assert_msg(psal_profile_store_open(path, NULL, &store, &err) != PSAL_OK, "cut at %zu", cut);
        EXPECT_ERROR(err, err.status, path);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("profile_store");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_rows_and_records);
    tcase_add_test(tests, test_scale_and_other_order_of_columns_and_rows);
    tcase_add_test(tests, test_what_one_record_says_for_all);
    tcase_add_test(tests, test_all_halves);
    tcase_add_test(tests, test_bad_tables);
    tcase_add_test(tests, test_bad_profiles);
    tcase_add_test(tests, test_store_cut_short);
    return run_case("profile_store", tests);
}
