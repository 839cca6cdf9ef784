/* replay.c - a target as an ordinary test: its seeds, and mutations of them that are the same every time. See
 * fuzz.h. */
#include <inttypes.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum {
    SECONDS = 20,     /* more for one input is a failure (one usually takes less than a millisecond) */
    MEMORY = 1 << 20, /* KiB; as much of all inputs of a seed */
    LONGEST = 1 << 16 /* to which mutations let an input grow */
};

/* ---- mutations ---- */

/* Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64). */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t limit) {
    return limit ? (size_t)(draw(state) % limit) : 0;
}

typedef struct buffer {
    uint8_t *bytes; /* [LONGEST] */
    size_t size;
} buffer;

/* Put `count` bytes in place of the `dropped` at `at`; nothing happens when that becomes too long. */
static void replace(buffer *b, size_t at, size_t dropped, const uint8_t *bytes, size_t count) {
    if (b->size - dropped + count > LONGEST) return;
    memmove(b->bytes + at + count, b->bytes + at + dropped, b->size - at - dropped);
    if (count) memcpy(b->bytes + at, bytes, count);
    b->size += count - dropped;
}

/* A number of one, two, four or eight bytes that is at the edge of something, in either byte order. */
static void put_number(buffer *b, uint64_t *state) {
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x100,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     INT64_MAX / 16,
                                     INT64_MAX,
                                     (uint64_t)INT64_MIN,
                                     UINT64_MAX};
    size_t width = (size_t)1 << below(state, 4);
    if (b->size < width) return;
    uint64_t value = edges[below(state, sizeof edges / sizeof *edges)];
    size_t at = below(state, b->size - width + 1);
    bool big_endian = draw(state) % 4 == 0, relative = draw(state) % 3 == 0;
    if (relative) value = b->size - at + below(state, 5) - 2; /* what is left of the file, or nearly */
    for (size_t i = 0; i < width; i++) b->bytes[at + (big_endian ? width - 1 - i : i)] = (uint8_t)(value >> 8 * i);
}

static void mutate(buffer *b, uint64_t *state) {
    size_t words = 0, at = below(state, b->size), left = b->size - at;
    while (fuzz_words[words].size) words++;
    switch (below(state, 9)) {
    case 0: /* a bit */
        if (b->size) b->bytes[at] ^= (uint8_t)(1u << below(state, 8));
        break;
    case 1: /* a byte */
        if (b->size) b->bytes[at] = (uint8_t)draw(state);
        break;
    case 2: /* a digit or another neighbour: most texts and many numbers stay valid */
        if (b->size) b->bytes[at] = (uint8_t)(b->bytes[at] + 1 - 2 * (int)below(state, 2));
        break;
    case 3:
    case 4:
        put_number(b, state);
        break;
    case 5: { /* drop a piece */
        size_t count = below(state, draw(state) % 4 ? (left < 16 ? left : 16) : left) + (left > 0);
        replace(b, at, count, NULL, 0);
        break;
    }
    case 6: { /* repeat a piece; from elsewhere, so that nothing overlaps */
        uint8_t piece[64];
        size_t from = below(state, b->size), count = below(state, sizeof piece) + 1;
        if (count > b->size - from) count = b->size - from;
        memcpy(piece, b->bytes + from, count);
        replace(b, at, 0, piece, count);
        break;
    }
    case 7: { /* a word, inserted or written over what is there */
        if (!words) break;
        const fuzz_word *word = &fuzz_words[below(state, words)];
        replace(b, at, draw(state) % 2 && word->size <= left ? word->size : 0, (const uint8_t *)word->bytes,
                word->size);
        break;
    }
    default: { /* go on with another seed */
        const fuzz_input *other = fuzz_seed_at(below(state, fuzz_seed_count()));
        size_t from = below(state, other->size), count = other->size - from;
        if (draw(state) % 2 && count > 32) count = 32;
        replace(b, at, count == 32 && left >= 32 ? 32 : left, other->bytes + from, count);
    }
    }
}

/* Input number `number` of a seed; 0 is the seed itself. */
static void make_input(size_t seed, uint64_t number, buffer *b) {
    const fuzz_input *from = fuzz_seed_at(seed);
    uint64_t state = (uint64_t)seed << 32 ^ number;
    b->size = from->size < LONGEST ? from->size : LONGEST;
    if (b->size) memcpy(b->bytes, from->bytes, b->size);
    if (!number) return;
    size_t times = 1 + below(&state, 4);
    while (times-- > 0) mutate(b, &state);
}

/* ---- running ---- */

/* In memory of exactly this size, so that a sanitizer sees the byte behind it. */
static void run(const uint8_t *bytes, size_t size) {
    uint8_t *exact = malloc(size ? size : 1);
    FUZZ_CHECK(exact != NULL);
    if (size) memcpy(exact, bytes, size);
    alarm(SECONDS);
    LLVMFuzzerTestOneInput(exact, size);
    alarm(0);
    free(exact);
}

/* A seed and its mutations in a child, which says in *number how far it is. False, with a reason, for what went
 * wrong. */
static bool run_seed(size_t seed, uint64_t mutations, volatile uint64_t *number) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        buffer input = {malloc(LONGEST), 0};
        FUZZ_CHECK(input.bytes != NULL);
        for (uint64_t i = 0; i <= mutations; i++) {
            *number = i;
            make_input(seed, i, &input);
            run(input.bytes, input.size);
        }
        free(input.bytes);
        exit(0); /* where leaks are found */
    }
    int status = -1;
    struct rusage usage = {0};
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        perror("cannot run a child");
        return false;
    }
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s", WTERMSIG(status) == SIGALRM ? "too slow" : strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status))
        fprintf(stderr, "status %d", WEXITSTATUS(status));
    else if (usage.ru_maxrss > MEMORY)
        fprintf(stderr, "%ld MiB of memory", usage.ru_maxrss >> 10);
    else
        return true;
    fprintf(stderr, ": seed %s, input %" PRIu64 " of %" PRIu64 "\n", fuzz_seed_at(seed)->name, *number, mutations);
    return false;
}

static int run_all(void) {
    volatile uint64_t *number = mmap(NULL, sizeof *number, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(number != MAP_FAILED && fuzz_seed_count() > 0);
    int failed = 0, count = (int)fuzz_seed_count();
    for (int i = 0; i < count; i++) failed += !run_seed((size_t)i, (uint64_t)(fuzz_mutations / count), number);
    printf("%d passed, %d failed\n", count - failed, failed);
    return failed ? 1 : 0;
}

static int run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 24);
    FUZZ_CHECK(file && bytes);
    size_t size = fread(bytes, 1, 1 << 24, file);
    fclose(file);
    fprintf(stderr, "%s: %zu bytes\n", path, size);
    run(bytes, size);
    free(bytes);
    return 0;
}

/* ---- for libFuzzer ---- */

static int write_seeds(const char *folder) {
    for (size_t i = 0; i < fuzz_seed_count(); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, fuzz_seed_at(i)->name);
        const fuzz_input *seed = fuzz_seed_at(i);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(seed->bytes, 1, seed->size, file) != seed->size || fclose(file)) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

/* A word a line, in quotes, other bytes than letters and such as \xAB. */
static int write_dictionary(const char *path) {
    FILE *file = fopen(path, "w");
    for (const fuzz_word *word = fuzz_words; file && word->size; word++) {
        putc('"', file);
        for (size_t i = 0; i < word->size; i++) {
            uint8_t c = (uint8_t)word->bytes[i];
            fprintf(file, c > ' ' && c < 127 && c != '"' && c != '\\' ? "%c" : "\\x%02X", c);
        }
        fputs("\"\n", file);
    }
    if (file && !ferror(file) && !fclose(file)) return 0;
    perror(path);
    return 1;
}

static int write_input(const char *seed, const char *number) {
    buffer input = {malloc(LONGEST), 0};
    for (size_t i = 0; input.bytes && i < fuzz_seed_count(); i++) {
        if (strcmp(fuzz_seed_at(i)->name, seed) != 0) continue;
        make_input(i, strtoull(number, NULL, 10), &input);
        bool whole = fwrite(input.bytes, 1, input.size, stdout) == input.size && fflush(stdout) == 0;
        free(input.bytes);
        return whole ? 0 : 1;
    }
    fprintf(stderr, "no seed %s\n", seed);
    return 2;
}

int main(int argc, char **argv) {
    omp_set_num_threads(1); /* children of a process that has made threads would wait for theirs */
    fuzz_make_seeds();
    int status = 0;
    if (argc == 1) return run_all();
    for (int i = 1; i < argc && status == 0; i++) {
        if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            status = write_seeds(argv[++i]);
        else if (strcmp(argv[i], "--dictionary") == 0 && i + 1 < argc)
            status = write_dictionary(argv[++i]);
        else if (strcmp(argv[i], "--input") == 0 && i + 2 < argc)
            status = write_input(argv[i + 1], argv[i + 2]), i += 2;
        else
            status = run_file(argv[i]);
    }
    return status;
}
