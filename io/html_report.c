#include "io/html_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic_file.h"
#include "io/canvas.h"
#include "io/html_internal.h"
#include "io/utf8.h"

#define LARGEST_PICTURE ((size_t)64 << 20)

void psal_html_put(psal_html_report *report, const char *text, size_t length) {
    if (report->failure.status != PSAL_OK) return;
    if (report->capacity - report->size < length) {
        size_t capacity = report->capacity ? report->capacity : 1 << 14;
        while (capacity - report->size < length && capacity <= SIZE_MAX / 2) capacity *= 2;
        char *grown = capacity - report->size < length ? NULL : realloc(report->text, capacity);
        if (!grown) {
            psal_fail(&report->failure, PSAL_ERR_MEMORY, "out of memory for a report of %zu bytes", report->size);
            return;
        }
        report->text = grown;
        report->capacity = capacity;
    }
    memcpy(report->text + report->size, text, length);
    report->size += length;
}

void psal_html_put_text(psal_html_report *report, const char *text) {
    psal_html_put(report, text, strlen(text));
}

void psal_html_put_escaped(psal_html_report *report, const char *text) {
    if (!text) return;
    size_t length = strlen(text);
    char *clean = malloc(3 * length + 1);
    if (!clean) {
        psal_fail(&report->failure, PSAL_ERR_MEMORY, "out of memory for %zu bytes of a report", length);
        return;
    }
    psal_utf8_clean(text, clean, 3 * length + 1);
    for (const char *at = clean; *at; at++) {
        static const struct {
            char character;
            const char *reference;
        } table[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
        size_t i = 0;
        while (i < 5 && table[i].character != *at) i++;
        if (i < 5)
            psal_html_put_text(report, table[i].reference);
        else
            psal_html_put(report, at, 1);
    }
    free(clean);
}

/* RFC 4648. */
void psal_html_put_base64(psal_html_report *report, const uint8_t *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t left = (uint32_t)(size - i < 3 ? size - i : 3);
        uint32_t bits = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], left > 1 ? digits[bits >> 6 & 63] : '=',
                        left > 2 ? digits[bits & 63] : '='};
        psal_html_put(report, four, 4);
    }
}

static const char page_head[] =
    "<style>\n"
    ":root{color-scheme:light dark;--paper:#fff;--ink:#20242a;--quiet:#5a616b;--line:#dfe2e7;--stripe:#f6f7f9;"
    "--link:#0b57a4;--bar:#2f6db3;--wrong:#a8321f}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#16181c;--ink:#e3e6ea;--quiet:#a3abb6;--line:#353a42;"
    "--stripe:#1d2025;--link:#8ec1f5;--bar:#5b9be0;--wrong:#f0937f}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:2.5rem 1.25rem 4rem;max-width:64rem;background:var(--paper);color:var(--ink);"
    "font:1rem/1.55 system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.25;margin:0 0 1.2rem}\n"
    "h2{font-size:1.3rem;margin:2.6rem 0 .7rem;padding-top:.9rem;border-top:1px solid var(--line)}\n"
    "h3{font-size:1.05rem;margin:1.8rem 0 .5rem}\n"
    "h1,h2,h3,p,li,dd,figcaption{overflow-wrap:anywhere}\n"
    "p{max-width:46rem;margin:.6rem 0}\n"
    "a{color:var(--link)}a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px}\n"
    ":target{outline:2px solid var(--link);outline-offset:3px}\n"
    "figure{margin:1.3rem 0}\n"
    "figure img{display:block;max-width:100%;height:auto;background:#fff;border:1px solid var(--line);"
    "border-radius:6px}\n"
    "figcaption,caption{color:var(--quiet);font-size:.9rem;text-align:left}\n"
    "figcaption{margin-top:.4rem}caption{padding:.3rem 0}\n"
    ".table{overflow-x:auto;margin:1rem 0}\n"
    "table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.34rem .8rem .34rem 0;text-align:left;vertical-align:top;min-width:3rem}\n"
    "th+th,td+td{padding-left:.8rem}\n"
    "thead th{border-bottom:2px solid var(--line)}tbody tr:nth-child(even){background:var(--stripe)}\n"
    "tbody td{border-bottom:1px solid "
    "var(--line)}td,th{overflow-wrap:break-word}.n{text-align:right}td.n,td a{white-space:nowrap}\n"
    ".row{display:flex;flex-wrap:wrap;gap:1rem;margin:1rem 0}.row figure{margin:0;width:10rem}\n"
    ".row img{width:100%}\n"
    "dl{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.25rem 1rem;margin:1rem 0}\n"
    "dt{color:var(--quiet)}dd{margin:0}\n"
    "nav ol{columns:2;column-gap:2rem;padding-left:1.7rem}nav li{break-inside:avoid}\n"
    "pre{background:var(--stripe);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;"
    "white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem}\n"
    "details{margin:1rem 0}summary{cursor:pointer;color:var(--link)}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(7.2rem,1fr));gap:.9rem;padding:0;margin:1rem 0;"
    "list-style:none}\n"
    ".cards li{font-size:.8rem;line-height:1.35;break-inside:avoid}\n"
    ".cards img{display:block;width:6rem;height:6rem;object-fit:contain;background:var(--stripe);"
    "border:1px solid var(--line);border-radius:4px;margin-bottom:.25rem}\n"
    ".cards img.small{image-rendering:pixelated}\n"
    ".paper{display:none}.cards b{font-weight:600}.wrong{color:var(--wrong)}.quiet{color:var(--quiet)}\n"
    "svg{display:block;max-width:100%;height:auto}svg text{fill:var(--ink);font-size:12px}\n"
    "svg .bar{fill:var(--bar)}svg .ground{fill:var(--stripe)}svg .quiet{fill:var(--quiet)}svg .over{fill:transparent}\n"
    ".charts{columns:2 20rem;column-gap:2rem}.charts>*{break-inside:avoid;margin:0;padding:.6rem 0}\n"
    ".photos{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1rem 1.5rem}\n"
    ".photos figure{margin:.6rem 0;max-width:17rem}\n"
    ".photos img{width:100%}.photos img.small{image-rendering:pixelated}\n"
    "@media (max-width:30rem){body{padding:1.2rem .8rem 3rem}nav ol{columns:1}dl{grid-template-columns:1fr}"
    "dd{margin-bottom:.4rem}.cards{grid-template-columns:repeat(auto-fill,minmax(6.2rem,1fr))}}\n"
    "@media print{body{max-width:none;padding:0;font-size:.85rem}figure,tr,li{break-inside:avoid}"
    ".table{overflow:visible}table{font-size:.75rem}th,td,th+th,td+td{padding:.2rem .4rem;min-width:0}"
    ".photos{grid-template-columns:repeat(3,1fr)}.paper{display:block;color:var(--quiet)}h2,h3{break-after:avoid}a{"
    "color:inherit;text-decoration:none}}\n"
    "</style>\n";

psal_html_report *psal_html_report_begin(const char *title, psal_error *err) {
    psal_html_report *report = calloc(1, sizeof *report);
    if (!report) {
        psal_fail(err, PSAL_ERR_MEMORY, "out of memory for a report");
        return NULL;
    }
    psal_html_put_text(report, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                               "<meta http-equiv=\"Content-Security-Policy\" "
                               "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n<title>");
    psal_html_put_escaped(report, title);
    psal_html_put_text(report, "</title>\n");
    psal_html_put_text(report, page_head);
    psal_html_put_text(report, "</head>\n<body>\n<main>\n<h1>");
    psal_html_put_escaped(report, title);
    psal_html_put_text(report, "</h1>\n");
    return report;
}

void psal_html_end_thumbnails(psal_html_report *report) {
    if (report->in_thumbnails) psal_html_put_text(report, "</div>\n");
    report->in_thumbnails = false;
}

void psal_html_put_element(psal_html_report *report, const char *open, const char *text, const char *close) {
    psal_html_put_text(report, open);
    psal_html_put_escaped(report, text);
    psal_html_put_text(report, close);
}

void psal_html_report_heading(psal_html_report *report, const char *text) {
    psal_html_end_thumbnails(report);
    psal_html_put_element(report, "<h2>", text, "</h2>\n");
}

void psal_html_report_paragraph(psal_html_report *report, const char *text) {
    psal_html_end_thumbnails(report);
    psal_html_put_element(report, "<p>", text, "</p>\n");
}

/* What the bytes are; NULL when none of the three. SVG may begin with an XML declaration, comments,
 * a doctype. */
static const char *media_type(const uint8_t *data, size_t size) {
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, jpeg[] = {0xff, 0xd8, 0xff};
    if (size >= sizeof png && memcmp(data, png, sizeof png) == 0) return "image/png";
    if (size >= sizeof jpeg && memcmp(data, jpeg, sizeof jpeg) == 0) return "image/jpeg";
    size_t head = size < 1024 ? size : 1024;
    if (size > 0 && data[0] == '<' && memmem(data, head, "<svg", 4)) return "image/svg+xml";
    return NULL;
}

bool psal_html_put_source(psal_html_report *report, const uint8_t *data, size_t size) {
    const char *type = media_type(data, size);
    if (!type) {
        if (report->failure.status == PSAL_OK)
            psal_fail(&report->failure, PSAL_ERR_FORMAT, "a picture of the report is neither PNG, JPEG nor SVG");
        return false;
    }
    psal_html_put_text(report, " src=\"data:");
    psal_html_put_text(report, type);
    psal_html_put_text(report, ";base64,");
    psal_html_put_base64(report, data, size);
    psal_html_put_text(report, "\"");
    return true;
}

static void put_picture(psal_html_report *report, const uint8_t *data, size_t size, const char *caption) {
    psal_html_put_text(report, "<figure><img alt=\"");
    psal_html_put_escaped(report, caption);
    psal_html_put_text(report, "\"");
    if (!psal_html_put_source(report, data, size)) return;
    psal_html_put_text(report, ">");
    if (caption) psal_html_put_element(report, "<figcaption>", caption, "</figcaption>");
    psal_html_put_text(report, "</figure>\n");
}

void psal_html_report_picture(psal_html_report *report, const void *data, size_t size, const char *caption) {
    psal_html_end_thumbnails(report);
    put_picture(report, data, size, caption);
}

void psal_html_report_picture_file(psal_html_report *report, const char *path, const char *caption) {
    if (report->failure.status != PSAL_OK) return;
    FILE *file = fopen(path, "rb");
    if (!file) {
        psal_fail(&report->failure, PSAL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
        return;
    }
    uint8_t *data = NULL;
    size_t size = 0, capacity = 0;
    psal_status status = PSAL_OK;
    while (status == PSAL_OK && !feof(file)) {
        if (size == capacity) {
            capacity = capacity ? 2 * capacity : 1 << 16;
            uint8_t *grown = realloc(data, capacity);
            if (!grown)
                status = psal_fail(&report->failure, PSAL_ERR_MEMORY, "%s: out of memory", path);
            else
                data = grown;
        }
        if (status == PSAL_OK) size += fread(data + size, 1, capacity - size, file);
        if (size > LARGEST_PICTURE)
            status = psal_fail(&report->failure, PSAL_ERR_UNSUPPORTED, "%s: larger than %zu MiB", path,
                               LARGEST_PICTURE >> 20);
        if (status == PSAL_OK && ferror(file))
            status = psal_fail(&report->failure, PSAL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    }
    fclose(file);
    if (status == PSAL_OK) {
        psal_html_report_picture(report, data, size, caption);
        if (report->failure.status == PSAL_ERR_FORMAT) psal_fail_prefix(&report->failure, "%s", path);
    }
    free(data);
}

void psal_html_report_thumbnail(psal_html_report *report, const uint8_t *rgb, int height, int width,
                                const char *caption) {
    if (report->failure.status != PSAL_OK) return;
    if (height < 1 || width < 1 || height > 16384 || width > 16384) {
        psal_fail(&report->failure, PSAL_ERR_ARGUMENT, "a thumbnail of %d x %d pixels", height, width);
        return;
    }
    cairo_surface_t *image = fig_image_from_rgb(rgb, height, width);
    fig_buffer encoded = {0};
    if (fig_encode_png(image, PSAL_PNG_PHOTO, NULL, &encoded, &report->failure) == PSAL_OK) {
        if (!report->in_thumbnails) psal_html_put_text(report, "<div class=\"row\">\n");
        report->in_thumbnails = true;
        put_picture(report, encoded.data, encoded.size, caption);
    }
    free(encoded.data);
    cairo_surface_destroy(image);
}

psal_status psal_html_report_end(psal_html_report *report, const char *path, psal_error *err) {
    psal_html_end_thumbnails(report);
    psal_html_insert_contents(report);
    psal_html_put_text(report, "</main>\n</body>\n</html>\n");
    psal_status status = report->failure.status;
    if (status != PSAL_OK)
        psal_fail(err, status, "%s: %s", path, report->failure.message);
    else
        status = psal_atomic_file_write(path, report->text, report->size, err);
    psal_html_report_free(report);
    return status;
}

void psal_html_report_free(psal_html_report *report) {
    if (!report) return;
    psal_html_report_free(report->list);
    free(report->text);
    free(report);
}
