/* Check writes each assertion that holds to a file, so as to say behind which one a test crashed. In loops and helpers
 * that was most of the tests' time; here each line is written the first time that a test comes to it. */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>

void __real__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line);

void __wrap__mark_point(const char *file, int line) {
    static bool seen[1 << 14];
    bool *at = &seen[((uintptr_t)file * 31 + (unsigned)line) % (1 << 14)];
    if (*at) return;
    *at = true;
    __real__mark_point(file, line);
}
