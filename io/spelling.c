#include "io/spelling.h"

#include <string.h>

enum { LONGEST = 255 };

static unsigned char folded(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t psal_edit_distance(const char *a, const char *b) {
    size_t length_a = strnlen(a, LONGEST), length_b = strnlen(b, LONGEST);
    /* Row i holds the distances from the first i bytes of a to every beginning of b; a swap looks
     * two rows back. */
    size_t rows[3][LONGEST + 1];
    for (size_t j = 0; j <= length_b; j++) rows[0][j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3];
        const size_t *two_before = i >= 2 ? rows[(i - 2) % 3] : NULL;
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            unsigned char ca = folded(a[i - 1]), cb = folded(b[j - 1]);
            size_t best = before[j - 1] + (ca != cb);
            best = smaller(best, before[j] + 1);
            best = smaller(best, row[j - 1] + 1);
            if (two_before && j >= 2 && ca == folded(b[j - 2]) && cb == folded(a[i - 2]))
                best = smaller(best, two_before[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[length_a % 3][length_b];
}

size_t psal_spelling_tolerance(const char *typed) {
    size_t length = strnlen(typed, LONGEST);
    return length < 3 ? 1 : (length + 2) / 3;
}
