/* computation.h - what was computed: one record of everything that numbers depend on besides the image.
 *
 * It is written into every result (statistics, parts and states of psal-stats, deltas, results of psal-run, profile
 * stores) and compared wherever two of them meet. A record is a text per field, "" where a field is not said or does
 * not apply (the variant of a VGG). Texts are canonical, one spelling for one meaning, so that equal texts mean the
 * same and nothing else does; who reads a file makes them so (tools/computation_io.h). */
#ifndef PSAL_SALIENCY_COMPUTATION_H
#define PSAL_SALIENCY_COMPUTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_field {
    /* the network */
    PSAL_FIELD_ARCH,
    PSAL_FIELD_WEIGHTS, /* psal_model_fingerprint, deltas applied */
    PSAL_FIELD_BASE,    /* the same before deltas were applied, or before the edit that was saved; "" without one */
    PSAL_FIELD_VARIANT,
    PSAL_FIELD_WEIGHTS_NAME, /* the file; */
    PSAL_FIELD_DELTAS,       /* and those of the deltas, "A, B" */
    PSAL_FIELD_VERSION,      /* of psal */
    PSAL_FIELD_WIDTH,
    PSAL_FIELD_CLASSES,
    PSAL_FIELD_BN_EPSILON,
    PSAL_FIELD_TRANSFORM_INPUT,
    PSAL_FIELD_TRANSFORM_ASSUMED,  /* "1": nobody said it */
    PSAL_FIELD_PREPROCESS,         /* in the words of io/preprocess.h */
    PSAL_FIELD_PREPROCESS_ASSUMED, /* "1": nobody said it */
    /* the profile */
    PSAL_FIELD_AGGREGATION,
    PSAL_FIELD_LOSS,
    PSAL_FIELD_SIGNED,
    PSAL_FIELD_GRADIENT_WEIGHT,
    PSAL_FIELD_NORMALIZED,
    PSAL_FIELD_CONV,
    PSAL_FIELD_PROCESSOR, /* as it was asked for: "auto" on every machine */
    /* the data set: that of a run of psal-stats, or of the statistics that were used */
    PSAL_FIELD_DATASET,      /* psal_dataset_fingerprint */
    PSAL_FIELD_DATASET_NAME, /* what the user called it */
    PSAL_FIELD_SAMPLES,
    PSAL_FIELD_ONLY,     /* the reference set among them (reference_set.h) */
    PSAL_FIELD_SAMPLING, /* which of the data set's: tools/sampling.h */
    /* a run of psal-stats */
    PSAL_FIELD_PREDICTED,
    PSAL_FIELD_SHARD,
    PSAL_FIELD_SHARDS,
    PSAL_FIELD_PROFILES,
    /* a run of psal-run */
    PSAL_FIELD_MODE,
    PSAL_FIELD_STATISTICS,    /* psal_statistics_fingerprint */
    PSAL_FIELD_STANDS_IN,     /* the label of images that have none: "predicted" or "second" */
    PSAL_FIELD_AGAINST,       /* "none", "predicted", "second" or a class: whose profile is subtracted */
    PSAL_FIELD_TAIL_QUANTILE, /* of peaks over threshold; also of a file with tails */
    PSAL_FIELD_K_SALIENT,
    PSAL_FIELD_BOOST_FACTOR,
    PSAL_FIELD_NOISE_ITERS,
    PSAL_FIELD_NOISE_PERCENT,
    PSAL_FIELD_NOISE_SD,
    PSAL_FIELD_SEED,
    PSAL_FIELD_COMPARE_RANDOM,
    PSAL_FIELD_TOP,
    PSAL_FIELD_LAYERS,  /* "layer3, layer4": only filters of these were chosen; "": of all */
    PSAL_FIELD_FIGURES, /* whether pictures were drawn */
    PSAL_FIELD_COUNT
} psal_field;

typedef enum psal_field_kind {
    PSAL_FIELD_TEXT,
    PSAL_FIELD_NUMBER,
    PSAL_FIELD_FLAG,
    PSAL_FIELD_PREPROCESSING
} psal_field_kind;

typedef struct psal_field_row {
    const char *key;  /* in metadata: "psal.bn_epsilon" */
    const char *name; /* in messages: "batch-norm epsilon" */
    psal_field_kind kind;
    bool late; /* files of earlier versions do not say it */
} psal_field_row;

const psal_field_row *psal_field_describe(psal_field field);

enum { PSAL_FIELD_SIZE = 256 };
typedef struct psal_computation {
    char value[PSAL_FIELD_COUNT][PSAL_FIELD_SIZE];
} psal_computation;

/* Sets of fields. */
typedef uint64_t psal_fields;
#define PSAL_FIELD_SET(field) ((psal_fields)1 << (field))
/* What a network computes, whatever its weights are. */
#define PSAL_FIELDS_NETWORK                                                                                         \
    (PSAL_FIELD_SET(PSAL_FIELD_ARCH) | PSAL_FIELD_SET(PSAL_FIELD_VARIANT) | PSAL_FIELD_SET(PSAL_FIELD_BN_EPSILON) | \
     PSAL_FIELD_SET(PSAL_FIELD_TRANSFORM_INPUT))
/* What profiles must have in common to be compared, but for the weights. */
#define PSAL_FIELDS_PROFILE                                                                                 \
    (PSAL_FIELDS_NETWORK | PSAL_FIELD_SET(PSAL_FIELD_PREPROCESS) | PSAL_FIELD_SET(PSAL_FIELD_AGGREGATION) | \
     PSAL_FIELD_SET(PSAL_FIELD_LOSS) | PSAL_FIELD_SET(PSAL_FIELD_SIGNED) |                                  \
     PSAL_FIELD_SET(PSAL_FIELD_GRADIENT_WEIGHT) | PSAL_FIELD_SET(PSAL_FIELD_NORMALIZED))
/* What two runs must have in common, one of which goes on with the other's work, psal's version among it. What was
 * assumed and what it is called changes no number, width and classes follow from the weights. */
#define PSAL_FIELDS_RUN                                                                                              \
    (PSAL_FIELD_SET(PSAL_FIELD_COUNT) - 1 -                                                                          \
     (PSAL_FIELD_SET(PSAL_FIELD_BASE) | PSAL_FIELD_SET(PSAL_FIELD_WIDTH) | PSAL_FIELD_SET(PSAL_FIELD_WEIGHTS_NAME) | \
      PSAL_FIELD_SET(PSAL_FIELD_DELTAS) | PSAL_FIELD_SET(PSAL_FIELD_TRANSFORM_ASSUMED) |                             \
      PSAL_FIELD_SET(PSAL_FIELD_PREPROCESS_ASSUMED) | PSAL_FIELD_SET(PSAL_FIELD_DATASET_NAME)))

/* Cut at PSAL_FIELD_SIZE - 1 bytes. */
void psal_computation_set(psal_computation *computation, psal_field field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool psal_computation_is(const psal_computation *computation, psal_field field); /* is the flag "1"? */

/* The first field of `which` that both say and that differs; PSAL_FIELD_COUNT when there is none. */
psal_field psal_computation_difference(const psal_computation *found, const psal_computation *here, psal_fields which);
/* The fields of `which` that apply here but that `found` does not say: all, or those that files of earlier versions
 * should say too. */
psal_fields psal_computation_unsaid(const psal_computation *found, const psal_computation *here, psal_fields which,
                                    bool late);
/* Fails with "its batch-norm epsilon is '0.1', but here it is '1e-05'" at the first difference. */
psal_status psal_computation_check(const psal_computation *found, const psal_computation *here, psal_fields which,
                                   psal_error *err);
/* "batch-norm epsilon, preprocessing"; returns `text`. */
char *psal_fields_names(psal_fields fields, char text[512]);

/* As metadata of a file; fields without a value are left out. */
psal_status psal_computation_to_metadata(const psal_computation *computation, psal_tensor_map *map, psal_error *err);
/* The values as they stand there, not yet canonical. Refuses what is longer than a value can be. */
psal_status psal_computation_from_metadata(psal_computation *computation, const psal_tensor_map *map, psal_error *err);

#ifdef __cplusplus
}
#endif

#endif
