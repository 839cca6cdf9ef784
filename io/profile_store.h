/* profile_store.h - the naive profiles of a whole data set: a matrix too large for memory, and the list of whose they
 * are.
 *
 * PROFILES.npy   float16 or float32 [samples, length], row-major: one sample's naive profile a row. NumPy opens it with
 *                np.load(..., mmap_mode="r").
 * RECORDS.csv    a header and one record per sample: path, label, predicted; optionally index (the sample's row; the
 *                record's own position where the column is missing), confidence, target_confidence, loss, image_hash
 *                (psal_dataset_image_fingerprint, hexadecimal), and scale:
 *                the number the row has to be multiplied by, for rows that were brought into float16's range;
 *                psal_settings and psal_source: in one of the records, how all profiles were computed and where their
 *                network and pictures are (psal-stats: JSON). Other columns are ignored. A sample without a prediction
 *                (empty or negative: its image could not be read) keeps its row, but is no sample of the store
 *                (psal_profile_record.valid).
 *
 * The matrix is mapped; rows are converted when they are read and their pages given back afterwards, so that a search
 * needs memory for its own blocks only. */
#ifndef PSAL_IO_PROFILE_STORE_H
#define PSAL_IO_PROFILE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/tensor.h"
#include "io/mapped_file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct psal_profile_record {
    char *path;                                 /* as in the table */
    int label, predicted;                       /* class numbers; -1: not known */
    double confidence, target_confidence, loss; /* of the predicted class, of the label; NaN: not known */
    double scale;                               /* 1 where the table does not say */
    uint64_t image_hash;                        /* 0: not known */
    bool valid;                                 /* has a prediction */
} psal_profile_record;

typedef struct psal_profile_store {
    int64_t samples, length;
    psal_dtype dtype;             /* PSAL_F16 or PSAL_F32 */
    const void *data;             /* [samples][length], in the mapped file */
    psal_profile_record *records; /* [samples]; NULL when opened without a table */
    char *settings, *source;      /* as in the table; NULL where it does not say */
    psal_mapped_file file;
    psal_tensor_map *map; /* the array's header, understood; `data` is a view into `file` */
} psal_profile_store;

/* Open the matrix and its table (NULL: none, every row counts). Fails with a message that names the file, and the line:
 * another type or number of dimensions, a matrix cut short, a column that is missing, a row without a record or with
 * two.
 * *store is zeroed then; psal_profile_store_close empties it otherwise. */
psal_status psal_profile_store_open(const char *profiles, const char *records, psal_profile_store *store,
                                    psal_error *err);
void psal_profile_store_close(psal_profile_store *store); /* zeroed is fine */

/* Elements first .. first+count-1 of row `sample` as float32, times the record's scale. Any number of threads may
 * read. */
void psal_profile_store_read(const psal_profile_store *store, int64_t sample, int64_t first, int64_t count, float *out);
/* The same rows' pages need not stay in memory: samples first .. first+count-1. */
void psal_profile_store_release(const psal_profile_store *store, int64_t first, int64_t count);

/* out[i] = in[i] as float32, times `factor`; eight at a time where the processor can. */
void psal_halves_to_floats(const uint16_t *in, int64_t count, float factor, float *out);

#ifdef __cplusplus
}
#endif

#endif
