/* Pickles: whatever the bytes, the values can be walked and described. */
#include "io/pickle.h"

#include "tests/fuzz/pickles.h"

const int fuzz_mutations = 20000;
const fuzz_word fuzz_words[] = {PICKLE_WORDS, {NULL, 0}};

/* Values may form cycles and meet again in many places, so both depth and number are bounded. */
static void walk(const psal_pickle_value *value, int depth, int *left) {
    char text[200];
    volatile uint8_t sum = 0; /* so that the reading is not left out */
    if (depth == 0 || (*left)-- <= 0) return;
    FUZZ_CHECK(*psal_pickle_describe(value, text, sizeof text));
    switch (value->kind) {
    case PSAL_PICKLE_LIST:
    case PSAL_PICKLE_TUPLE:
    case PSAL_PICKLE_SET:
    case PSAL_PICKLE_DICT:
    case PSAL_PICKLE_OPAQUE:
        for (size_t i = 0; i < value->list.count; i++) walk(value->list.items[i], depth - 1, left);
        if (value->kind == PSAL_PICKLE_DICT) psal_pickle_get(value, "state_dict");
        break;
    case PSAL_PICKLE_STRING:
    case PSAL_PICKLE_BYTES:
    case PSAL_PICKLE_BIG_INT:
        for (size_t i = 0; i < value->text.size; i++) sum = (uint8_t)(sum ^ value->text.bytes[i]);
        break;
    case PSAL_PICKLE_TENSOR:
        /* there is no storage when an array never got its contents */
        FUZZ_CHECK(value->tensor->shape.ndim <= PSAL_MAX_DIMS);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    psal_error err = PSAL_ERROR_INIT;
    size_t used = 0;
    psal_pickle *pickle = psal_pickle_read(data, size, &used, &err);
    if (!fuzz_outcome(pickle != NULL, &err)) return 0;
    FUZZ_CHECK(used <= size);
    int left = 10000;
    walk(psal_pickle_root(pickle), 20, &left);
    for (size_t i = 0; i < psal_pickle_storage_count(pickle); i++)
        FUZZ_CHECK(psal_pickle_storage_at(pickle, i) != NULL);
    psal_pickle_free(pickle);
    return 0;
}

void fuzz_make_seeds(void) {
    seed_pickles();
}
