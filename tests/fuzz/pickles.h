/* pickles.h - seeds and words for the targets that read pickles. */
#ifndef PSAL_TESTS_FUZZ_PICKLES_H
#define PSAL_TESTS_FUZZ_PICKLES_H

#include "tests/fuzz/fuzz.h"
#include "tests/unit/io/pickle_writer.h"

#define NUMPY_DTYPE(code) \
    "cnumpy\ndtype\nX\2\0\0\0" code "\x89\x88\x87R(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
#define NUMPY_SCALAR "cnumpy.core.multiarray\nscalar\n" NUMPY_DTYPE("i8") "C\x08\2\0\0\0\0\0\0\0\x86R"
#define NUMPY_ARRAY                                                  \
    "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" \
    "C\1b\x87R(K\1K\2K\3\x86" NUMPY_DTYPE("i2") "\x88"               \
                                                "C\x0c"              \
                                                "abcdefghijkltb"
#define NUMPY_BUFFER \
    "cnumpy.core.numeric\n_frombuffer\n(C\x08\7\0\0\0\0\0\0\0cnumpy\ndtype\nX\2\0\0\0i8\x85RK\1\x85X\1\0\0\0CtR"

/* The authors' {mean, std}. */
static inline void put_statistics(struct pickle_writer *to, int legacy) {
    PUT(to, "\x80\2}(");
    put_string(to, "mean");
    put_tensor(to, "FloatStorage", "0", 6, 0, 1, (int64_t[]){6}, (int64_t[]){1}, legacy);
    put_string(to, "std");
    put_tensor(to, "FloatStorage", "0", 6, 0, 1, (int64_t[]){6}, (int64_t[]){1}, legacy);
    PUT(to, "u.");
}

/* Pickles that are read from beginning to end. */
static inline void seed_pickles(void) {
    struct pickle_writer weights = {.size = 0}, legacy = {.size = 0}, nested = {.size = 0}, statistics = {.size = 0};
    put_sample(&weights, 0);
    fuzz_seed("weights", weights.bytes, weights.size);
    put_sample(&legacy, 1);
    fuzz_seed("weights_legacy", legacy.bytes, legacy.size);
    PUT(&nested, "\x80\2}(X\5\0\0\0epochK\7X\x0a\0\0\0state_dictq\0}(X\x0f\0\0\0module.model.abq\1");
    put_tensor(&nested, "HalfStorage", "0", 12, 1, 2, (int64_t[]){3, 2}, (int64_t[]){1, 3}, 0);
    PUT(&nested, "X\x0f\0\0\0module.model.ac");
    put_tensor(&nested, "DoubleStorage", "1", 1, 0, 2, (int64_t[]){4, 2}, (int64_t[]){0, 0}, 0);
    PUT(&nested, "uX\4\0\0\0argsh\0u.");
    fuzz_seed("nested", nested.bytes, nested.size);
    put_statistics(&statistics, 0);
    fuzz_seed("statistics", statistics.bytes, statistics.size);
    FUZZ_SEED("results", "\x80\3}(X\x0c\0\0\0incorrect_id](" NUMPY_SCALAR "K\x09"
                         "eX\x15\0\0\0incorrect_predictions](K\4K\5eX\x0a\0\0\0correct_id" NUMPY_BUFFER "u.");
    FUZZ_SEED("arrays", "\x80\4\x95\x40\0\0\0\0\0\0\0}(\x8c\1a" NUMPY_ARRAY "\x94\x8c\1b" NUMPY_BUFFER "\x94u.");
    FUZZ_SEED("plain", "\x80\4}\x94(\x8c\1aK\1\x8c\1b\x88\x8c\1cG?\xf0\0\0\0\0\0\0\x8c\1dN\x8c\1e]\x94(\x8a\2\xff\xff"
                       "M\1\1J\1\0\0\0e\x8c\1f(K\1K\2t\x8c\1g\x8f(K\1K\2\x90\x8c\1hC\2ab\x8c\1i"
                       "ccollections\nOrderedDict\n)Ru.");
    FUZZ_SEED("protocol_0", "(dp0\nVkey\np1\n(lp2\nI1\naL2L\naF0.5\nasS'text'\n(I01\nI00\nNtp3\ns.");
    FUZZ_SEED("ordered", "ccollections\nOrderedDict\n)R(X\1\0\0\0aK\1u}X\t\0\0\0_metadata}sb.");
    FUZZ_SEED("cycle", "]q\0h\0a.");
    /* Objects beside the weights and among them, weights in a tuple, elements that psal has no type for, a whole
     * module. */
    struct pickle_writer objects = {.size = 0}, module = {.size = 0};
    PUT(&objects, "\x80\2(}(X\4\0\0\0argscargparse\nNamespace\n)\x81}X\2\0\0\0lrK\1sbX\x09\0\0\0model_ema}X\1\0\0\0w");
    put_tensor(&objects, "QInt8Storage", "0", 24, 0, 1, (int64_t[]){24}, (int64_t[]){1}, 0);
    PUT(&objects, "sX\3\0\0\0net}(X\1\0\0\0w");
    put_tensor(&objects, "FloatStorage", "0", 6, 0, 1, (int64_t[]){6}, (int64_t[]){1}, 0);
    PUT(&objects, "X\1\0\0\0vctorch._utils\n_rebuild_sparse_tensor\n)Rucmine\nColour\nK\1\x85R]cpathlib\nPosixPath\n("
                  "X\1\0\0\0/tRau\x82\1t.");
    fuzz_seed("objects", objects.bytes, objects.size);
    PUT(&module, "\x80\2cmine\nNet\n)\x81}(X\x0b\0\0\0_parametersccollections\nOrderedDict\n)RX\1\0\0\0w");
    put_tensor(&module, "FloatStorage", "0", 6, 0, 1, (int64_t[]){6}, (int64_t[]){1}, 0);
    PUT(&module, "sub.");
    fuzz_seed("module", module.bytes, module.size);
    FUZZ_SEED(
        "reconstructor",
        "ccopy_reg\n_reconstructor\np0\n(cmine\nA\np1\nc__builtin__\nobject\np2\nNtp3\nRp4\n(dp5\nS'a'\nI1\nsbPid\n0.");
}

#define PICKLE_WORDS                                                                                                   \
    FUZZ_WORD("cmine\nA\n)\x81}b"), FUZZ_WORD("ctorch._utils\n_rebuild_qtensor\n"),                                    \
        FUZZ_WORD("ctorch\nQInt8Storage\n"), FUZZ_WORD("ctorch._utils\n_rebuild_tensor_v3\n"),                         \
        FUZZ_WORD("ctorch\nfloat8_e5m2\n"), FUZZ_WORD("ccopy_reg\n"),                                                  \
        FUZZ_WORD("ctorch._utils\n_rebuild_tensor_v2\n"), FUZZ_WORD("ctorch._utils\n_rebuild_parameter\n"),            \
        FUZZ_WORD("ccollections\nOrderedDict\n"), FUZZ_WORD("ccollections\ndefaultdict\n"),                            \
        FUZZ_WORD("ccollections\nCounter\n"), FUZZ_WORD("ctorch\nSize\n"), FUZZ_WORD("ctorch\nfloat32\n"),             \
        FUZZ_WORD("ctorch\nBFloat16Storage\n"), FUZZ_WORD("ctorch\nLongStorage\n"),                                    \
        FUZZ_WORD("ctorch.storage\nUntypedStorage\n"), FUZZ_WORD("cbuiltins\nset\n"), FUZZ_WORD("c_codecs\nencode\n"), \
        FUZZ_WORD(NUMPY_SCALAR), FUZZ_WORD(NUMPY_ARRAY), FUZZ_WORD(NUMPY_BUFFER), FUZZ_WORD("X\1\0\0\0000"),           \
        FUZZ_WORD("X\3\0\0\0cpu"), FUZZ_WORD("X\7\0\0\0storage"), FUZZ_WORD("\x8a\x08"), FUZZ_WORD("\x8b"),            \
        FUZZ_WORD("\x80\2"), FUZZ_WORD("\x80\5"), FUZZ_WORD("("), FUZZ_WORD(")"), FUZZ_WORD("t"), FUZZ_WORD("}"),      \
        FUZZ_WORD("]"), FUZZ_WORD("u"), FUZZ_WORD("s"), FUZZ_WORD("a"), FUZZ_WORD("e"), FUZZ_WORD("R"),                \
        FUZZ_WORD("b"), FUZZ_WORD("Q"), FUZZ_WORD("."), FUZZ_WORD("0"), FUZZ_WORD("2"), FUZZ_WORD("\x81"),             \
        FUZZ_WORD("\x85"), FUZZ_WORD("\x86"), FUZZ_WORD("\x87"), FUZZ_WORD("\x93"), FUZZ_WORD("\x94"),                 \
        FUZZ_WORD("h\0"), FUZZ_WORD("q\0"), FUZZ_WORD("j\0\0\0\0"), FUZZ_WORD("K\0"), FUZZ_WORD("J\xff\xff\xff\x7f"),  \
        FUZZ_WORD("N"), FUZZ_WORD("\x88"), FUZZ_WORD("\x96\4\0\0\0\0\0\0\0"), FUZZ_WORD("\x95\4\0\0\0\0\0\0\0"),       \
        FUZZ_WORD("B\4\0\0\0"), FUZZ_WORD("U\1"), FUZZ_WORD("I01\n"), FUZZ_WORD("L12L\n"), FUZZ_WORD("S'a'\n")

#endif
