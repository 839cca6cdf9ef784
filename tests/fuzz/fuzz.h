/* fuzz.h - hostile files for every reader of files from outside: what the targets and the programs around them share.
 *
 * A target, fuzz_NAME.c, hands bytes to one reader and defines the three things of the first section. It is built
 * twice:
 *
 *   replay_NAME  with replay.c, by every compiler: a test among the others. It reads the target's seeds and some
 *                thousand fixed mutations of them, each seed in a process of its own, and fails for a crash, a failed
 *                check, an input that takes long or much memory. `replay_NAME --input SEED N > FILE` writes an input
 *                that it reported; `replay_NAME FILE...` runs files.
 *   fuzz_NAME    with clang's libFuzzer, configured with -Dfuzz=true: looks for inputs that reach new code, for as long
 *                as one likes, from the seeds and the dictionary that `replay_NAME --seeds FOLDER --dictionary FILE`
 *                writes. `tests/run --fuzz SECONDS` does all of this. The corpus that it collects stays in the build
 *                folder.
 *
 * What must hold for any bytes: no crash, nothing that a sanitizer reports, a message whenever something is refused,
 * never refused for want of memory (a small file that needs much is hostile), and, where a target says so, that what
 * was read and written reads back the same. An input that found a mistake becomes a seed, beside the test of the
 * mistake itself. */
#ifndef PSAL_TESTS_FUZZ_H
#define PSAL_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tensor.h"

/* ---- what a target defines ---- */

/* Read one input. Returns 0, as libFuzzer wants it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hand small valid files, and those that once found something, to fuzz_seed. */
void fuzz_make_seeds(void);

/* Pieces of the format, which mutations insert; the last has size 0. FUZZ_WORD takes a literal, NUL bytes included. */
typedef struct fuzz_word {
    const char *bytes;
    size_t size;
} fuzz_word;
#define FUZZ_WORD(literal) \
    { literal, sizeof(literal) - 1 }
extern const fuzz_word fuzz_words[];

/* How many mutations the replay makes of all seeds together: some hundred milliseconds' worth. */
extern const int fuzz_mutations;

/* ---- for targets ---- */

/* The path of `name` in a folder of this process, in memory where the system has such a place; valid until the next
 * call but three. The folder goes when the process ends, unless by a crash. */
const char *fuzz_path(const char *name);
/* Make the file fuzz_path(name) of these bytes. */
const char *fuzz_write(const char *name, const void *bytes, size_t size);

/* Cut the input at its first NUL: *text is what comes before, terminated, *rest what comes after it. Both are copies
 * that fuzz_split_free frees, exactly as long as they have to be. */
typedef struct fuzz_parts {
    char *text;
    size_t text_size;
    uint8_t *rest;
    size_t rest_size;
} fuzz_parts;
fuzz_parts fuzz_split(const uint8_t *data, size_t size);
void fuzz_split_free(fuzz_parts *parts);

/* The file `name` in safetensors' form, whose header is the input up to its first NUL, and whose tensors are the rest:
 * so that mutations may make the header longer and shorter. And such a seed, from the file `path`. */
const char *fuzz_write_safetensors(const char *name, const uint8_t *data, size_t size);
void fuzz_seed_safetensors(const char *name, const char *path);

/* A copy of the input with right checksums, where it is a zip archive (of stored entries) or a PNG as far as it can be
 * followed: mutations of what lies behind a checksum would otherwise never be read. The caller frees; NULL when nothing
 * had to be changed. */
uint8_t *fuzz_repair_zip(const uint8_t *data, size_t size);
uint8_t *fuzz_repair_png(const uint8_t *data, size_t size);

/* End the process unless the condition holds: that is what both programs call a crash. */
#define FUZZ_CHECK(condition)                                          \
    do {                                                               \
        if (!(condition)) fuzz_failed(__FILE__, __LINE__, #condition); \
    } while (0)
void fuzz_failed(const char *file, int line, const char *what) __attribute__((noreturn));

/* Check that a reader either succeeded or says why not, and that the reason is not want of memory. Returns `good`. */
bool fuzz_outcome(bool good, const psal_error *err);

/* Read every byte of every tensor, so that a view that leaves its file is found. */
void fuzz_touch(const psal_tensor_map *map);
/* Whether both hold the same tensors, in any order, and the same metadata. */
bool fuzz_same_tensors(const psal_tensor_map *a, const psal_tensor_map *b);

/* ---- seeds ---- */

/* Add a seed: the bytes are copied. Names are those of files. */
void fuzz_seed(const char *name, const void *bytes, size_t size);
#define FUZZ_SEED(name, literal) fuzz_seed(name, literal, sizeof(literal) - 1)
/* Add what `path` holds, written there by the project's own writers. */
void fuzz_seed_file(const char *name, const char *path);

typedef struct fuzz_input {
    char name[64];
    uint8_t *bytes;
    size_t size;
} fuzz_input;
size_t fuzz_seed_count(void);
const fuzz_input *fuzz_seed_at(size_t index);

#endif
