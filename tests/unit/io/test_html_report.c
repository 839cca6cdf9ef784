#include "io/html_report.h"

#include "tests/unit/io/picture.h"

static char *finish(psal_html_report *report) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = in_scratch("r.html");
    ck_assert_msg(psal_html_report_end(report, path, &err) == PSAL_OK, "%s", err.message);
    size_t size;
    char *text = (char *)read_bytes(path, &size);
    ck_assert_uint_eq(strlen(text), size);
    expect_well_formed(text);
    return text;
}

static void expect_has(const char *text, const char *piece) {
    ck_assert_msg(strstr(text, piece) != NULL, "the page lacks %s", piece);
}

START_TEST(test_page) {
    psal_html_report *report = psal_html_report_begin("Why <whale> & \"shark\"?", NULL);
    psal_html_report_heading(report, "Top 'filters'");
    psal_html_report_paragraph(report, "1 < 2");
    const char *const header[] = {"layer", "saliency"};
    const char *const cells[] = {"layer4.1.conv3",
                                 "49.80",
                                 "3x3",
                                 "-0.5 %",
                                 NULL,
                                 "\xe2\x88\x92"
                                 "3"};
    psal_html_report_table(report, "The table", header, cells, 3, 2);
    psal_html_report_table(report, NULL, NULL, NULL, 0, 2);
    char *text = finish(report);
    expect_has(text, "<title>Why &lt;whale&gt; &amp; &quot;shark&quot;?</title>");
    expect_has(text, "<h1>Why &lt;whale&gt; &amp; &quot;shark&quot;?</h1>");
    expect_has(text, "<h2>Top &#39;filters&#39;</h2>");
    expect_has(text, "<p>1 &lt; 2</p>");
    expect_has(text, "<caption>The table</caption>");
    expect_has(text, "<th scope=\"col\">layer</th><th scope=\"col\" class=\"n\">saliency</th>");
    expect_has(text, "<tr><td>layer4.1.conv3</td><td class=\"n\">49.80</td></tr>");
    expect_has(text, "<tr><td>3x3</td><td class=\"n\">-0.5 %</td></tr>");
    expect_has(text, "<td></td><td class=\"n\">\xe2\x88\x92"
                     "3</td>");
    expect_has(text, "prefers-color-scheme:dark");
    /* Self-contained: nothing is fetched, nothing runs. */
    ck_assert_ptr_null(strstr(text, "http://"));
    ck_assert_ptr_null(strstr(text, "https://"));
    ck_assert_ptr_null(strstr(text, "<script"));
    ck_assert_ptr_null(strstr(text, "url("));
    free(text);
}
END_TEST

/* Nothing from outside may open an element or leave its attribute. */
START_TEST(test_hostile_text) {
    static const char attack[] = "\"><script>alert('x')</script><img src=x onerror=y>" HOSTILE;
    psal_html_report *report = psal_html_report_begin(attack, NULL);
    psal_html_report_heading(report, attack);
    psal_html_report_paragraph(report, attack);
    const char *const cell[] = {attack};
    psal_html_report_table(report, attack, cell, cell, 1, 1);
    static const uint8_t rgb[] = {1, 2, 3};
    psal_html_report_thumbnail(report, rgb, 1, 1, attack);
    psal_html_report_heading(report, NULL);
    char *text = finish(report);
    ck_assert_ptr_null(strstr(text, "<script"));
    ck_assert_ptr_null(strstr(text, "<img src=x"));
    ck_assert_ptr_null(strchr(text, '\x1b'));
    ck_assert_ptr_null(strstr(text, "\xff"));
    free(text);
}
END_TEST

/* RFC 4648, section 10, and the pictures' own bytes. */
START_TEST(test_pictures) {
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xe0, 0x00};
    psal_html_report *report = psal_html_report_begin("Pictures", NULL);
    psal_html_report_picture(report, jpeg, 3, "three");
    psal_html_report_picture(report, jpeg, 4, NULL);
    psal_html_report_picture(report, jpeg, 5, "five");
    static const char svg[] = "<?xml version=\"1.0\"?>\n<svg></svg>";
    psal_html_report_picture_file(report, write_text("a.svg", svg), "drawing");
    uint8_t rgb[2 * 3 * 3];
    memset(rgb, 200, sizeof rgb);
    psal_html_report_thumbnail(report, rgb, 2, 3, "thumb 1");
    psal_html_report_thumbnail(report, rgb, 3, 2, "thumb 2");
    psal_html_report_paragraph(report, "after");
    char *text = finish(report);
    expect_has(text, "<img alt=\"three\" src=\"data:image/jpeg;base64,/9j/\"><figcaption>three</figcaption>");
    expect_has(text, "<img alt=\"\" src=\"data:image/jpeg;base64,/9j/4A==\"></figure>");
    expect_has(text, "data:image/jpeg;base64,/9j/4AA=\">");
    expect_has(text, "data:image/svg+xml;base64,PD94bWwgdmVyc2lvbj0iMS4wIj8+Cjxzdmc+PC9zdmc+\">");
    expect_has(text, "<div class=\"row\">\n<figure><img alt=\"thumb 1\" "
                     "src=\"data:image/png;base64,iVBORw0KGgo");
    expect_has(text, "</figure>\n</div>\n<p>after</p>");
    free(text);
}
END_TEST

START_TEST(test_first_failure_is_kept) {
    psal_error err = PSAL_ERROR_INIT;
    const char *path = in_scratch("r.html");
    psal_html_report *report = psal_html_report_begin("Bad", &err);
    psal_html_report_picture_file(report, in_scratch("missing.png"), NULL);
    psal_html_report_picture_file(report, in_scratch("other.png"), NULL);
    psal_html_report_heading(report, "more");
    ck_assert_int_ne(psal_html_report_end(report, path, &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_IO, "r.html", "missing.png");
    ck_assert_int_ne(access(path, F_OK), 0);

    static const char *const contents[] = {"", "GIF89a", "<html><body>", "\x89PNG\r\n\x1a"};
    for (int i = 0; i < 4; i++) {
        report = psal_html_report_begin("Bad", &err);
        psal_html_report_picture_file(report, write_text("bad.png", contents[i]), NULL);
        ck_assert_int_ne(psal_html_report_end(report, path, &err), PSAL_OK);
        EXPECT_ERROR(err, PSAL_ERR_FORMAT, "bad.png", "neither PNG, JPEG nor SVG");
    }
    report = psal_html_report_begin("Bad", &err);
    psal_html_report_picture_file(report, scratch, NULL); /* a folder */
    ck_assert_int_eq(psal_html_report_end(report, path, &err), PSAL_ERR_IO);
    report = psal_html_report_begin("Bad", &err);
    psal_html_report_thumbnail(report, (const uint8_t *)"", 0, 1, NULL);
    ck_assert_int_eq(psal_html_report_end(report, path, &err), PSAL_ERR_ARGUMENT);
    report = psal_html_report_begin("Good", &err);
    ck_assert_int_ne(psal_html_report_end(report, in_scratch("no/r.html"), &err), PSAL_OK);
    EXPECT_ERROR(err, PSAL_ERR_IO, "no/r.html");
    psal_html_report_free(NULL);
    psal_html_report_free(psal_html_report_begin("Unused", &err));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("HTML report");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_page);
    tcase_add_test(tests, test_hostile_text);
    tcase_add_test(tests, test_pictures);
    tcase_add_test(tests, test_first_failure_is_kept);
    return run_case("HTML report", tests);
}
