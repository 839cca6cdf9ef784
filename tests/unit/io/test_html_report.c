#include "io/html_report.h"

#include "io/thumbnail.h"

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

/* What psal-report's page is made of: links lead to ids, text from outside stays text. */
START_TEST(test_parts) {
    static const char attack[] = "\"><script>x</script>";
    psal_html_report *report = psal_html_report_begin("Parts", NULL);
    psal_html_report_contents(report);
    psal_html_report_section(report, 2, "first", attack);
    psal_html_report_section(report, 3, "below", "Below");
    const psal_html_piece pieces[] = {
        {.text = attack}, {.text = NULL}, {.text = attack, .link = "first"}, {.text = attack, .tone = PSAL_HTML_WRONG}};
    psal_html_report_text(report, pieces, 4);
    const char *const texts[] = {attack, "two"};
    psal_html_report_list(report, texts, 2);
    psal_html_report_facts(report, texts, texts, 2);
    psal_html_report_command(report, "psal-run -i 'a b.png' && echo");
    psal_html_report_details_begin(report, attack);
    psal_html_report_details_end(report);
    static const bool numbers[] = {true, false};
    psal_html_report_rows_begin(report, attack, texts, numbers, 2);
    psal_html_report_row(report, "row-1", (psal_html_piece[]){{.text = "12"}, {.text = attack, .link = "below"}}, 2);
    psal_html_report_row(report, NULL, (psal_html_piece[]){{.text = NULL}, {.text = "10"}}, 2);
    psal_html_report_rows_end(report);
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xe0};
    psal_html_report_cards_begin(report);
    psal_html_report_card(report, &(psal_html_card){.id = "card",
                                                    .picture = jpeg,
                                                    .size = 4,
                                                    .alt = attack,
                                                    .title = attack,
                                                    .pixelated = true,
                                                    .pieces = pieces,
                                                    .count = 4});
    psal_html_report_card(report, &(psal_html_card){.pieces = pieces, .count = 1});
    psal_html_report_cards_end(report);
    const psal_html_bar bars[] = {{attack, "1.5", attack, 1.5},
                                  {"half", "0.75", "half", 0.75},
                                  {"none", "-", "none", NAN},
                                  {"below", "-1", "below", -1}};
    psal_html_report_charts_begin(report);
    psal_html_report_bars(report, attack, attack, bars, 4, 0);
    psal_html_report_columns(report, attack, attack, bars, 4, 3);
    psal_html_report_bars(report, "Empty", NULL, bars, 0, 0);
    psal_html_report_charts_end(report);
    char *text = finish(report);
    ck_assert_ptr_null(strstr(text, "<script"));
    expect_has(text, "<nav aria-label=\"Contents\"><ol>\n<li><a href=\"#first\">");
    ck_assert_ptr_null(strstr(text, "<a href=\"#below\">Below")); /* level 3 is not in the contents */
    expect_has(text, "<h2 id=\"first\">");
    expect_has(text, "<h3 id=\"below\">Below</h3>");
    expect_has(text, "<tr id=\"row-1\"><td class=\"n\">12</td><td><a href=\"#below\">");
    expect_has(text, "<tr><td class=\"n\"></td><td>10</td></tr>");
    expect_has(text, "<li id=\"card\"><img class=\"small\" alt=\"&quot;&gt;");
    expect_has(text, "psal-run -i &#39;a b.png&#39; &amp;&amp; echo");
    expect_has(text, "width=\"460.0\" height=\"12.0\"><title>&quot;&gt;");
    expect_has(text, "width=\"230.0\" height=\"12.0\"><title>half</title>");
    expect_has(text, "width=\"0.0\" height=\"12.0\"><title>none</title>");
    expect_has(text, "width=\"0.0\" height=\"12.0\"><title>below</title>");
    expect_has(text, "role=\"img\" aria-label=\"Empty\"");
    free(text);
}
END_TEST

/* Few pixels are kept as they are, many become a JPEG close to them; sizes shrink in proportion. */
START_TEST(test_thumbnails) {
    for (int side = 64; side <= 65; side++) {
        psal_image image = PSAL_IMAGE_INIT, again = PSAL_IMAGE_INIT;
        psal_error err = PSAL_ERROR_INIT;
        uint8_t *data;
        size_t size;
        int largest = 0;
        ck_assert_int_eq(psal_image_alloc(side, side / 2, &image, &err), PSAL_OK);
        for (int i = 0; i < side * (side / 2); i++)
            for (int c = 0; c < 3; c++) image.rgb[3 * i + c] = (uint8_t)(2 * (i % side) + 30 * c);
        ck_assert_int_eq(psal_thumbnail_encode(&image, &data, &size, &err), PSAL_OK);
        ck_assert_int_eq(data[0], side == 64 ? 0x89 : 0xff);
        ck_assert_int_eq(psal_image_decode(data, size, "thumbnail", 0, &again, &err), PSAL_OK);
        ck_assert_int_eq(again.width, side);
        ck_assert_int_eq(again.height, side / 2);
        for (int i = 0; i < 3 * side * (side / 2); i++) {
            const int difference = abs(image.rgb[i] - again.rgb[i]);
            if (difference > largest) largest = difference;
        }
        ck_assert_int_le(largest, side == 64 ? 0 : 8);
        ck_assert_int_eq(psal_image_shrink(&image, 20, &err), PSAL_OK);
        ck_assert_int_eq(image.width, 20);
        ck_assert_int_eq(image.height, side == 64 ? 10 : 9);
        ck_assert_int_eq(psal_image_shrink(&image, 20, &err), PSAL_OK); /* small enough */
        ck_assert_int_eq(image.width, 20);
        free(data);
        psal_image_free(&image);
        psal_image_free(&again);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("HTML report");
    tcase_add_checked_fixture(tests, make_scratch, remove_scratch);
    tcase_add_test(tests, test_page);
    tcase_add_test(tests, test_hostile_text);
    tcase_add_test(tests, test_pictures);
    tcase_add_test(tests, test_parts);
    tcase_add_test(tests, test_thumbnails);
    tcase_add_test(tests, test_first_failure_is_kept);
    return run_case("HTML report", tests);
}
