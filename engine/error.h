/* error.h - how every psal function reports what went wrong.
 *
 * A function that can fail returns a psal_status (or NULL for constructors) and, when `err` is not NULL, fills it with
 * one line that names the file, tensor or option involved and the numbers: what was expected, what came. Library code
 * never prints and never exits; the programs in tools/ print `err->message` and leave with a non-zero status. */
#ifndef PSAL_ENGINE_ERROR_H
#define PSAL_ENGINE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum psal_status {
    PSAL_OK = 0,
    PSAL_ERR_ARGUMENT,    /* a value the caller gave is out of range or contradictory */
    PSAL_ERR_SHAPE,       /* tensors that do not fit each other or the architecture */
    PSAL_ERR_IO,          /* a file that cannot be opened, read, written or renamed */
    PSAL_ERR_FORMAT,      /* a file whose contents are damaged, hostile or not understood */
    PSAL_ERR_UNSUPPORTED, /* understood, but not something psal can do */
    PSAL_ERR_MEMORY,      /* out of memory, or over the limit the caller set */
    PSAL_ERR_NUMERIC,     /* NaN or infinity where a finite number is needed */
    PSAL_ERR_CANCELLED    /* a callback asked to stop */
} psal_status;

typedef struct psal_error {
    psal_status status;
    char message[1024]; /* one line, without a trailing newline; "" when status is PSAL_OK */
} psal_error;

#define PSAL_ERROR_INIT \
    { PSAL_OK, "" }

/* Fill *err (ignored when NULL) and return `status`, so that callers can write `return psal_fail(err, ...)`. In the
 * formatted text (which may hold a hostile tensor or file name) what is not printable (engine/text.h) is replaced by
 * '?'; what does not fit is cut. The arguments may include err->message. */
psal_status psal_fail(psal_error *err, psal_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Why a constructor that was given `err` returned NULL, for callers that return a status: never PSAL_OK. Without `err`
 * nobody knows: PSAL_ERR_ARGUMENT; who wants to know gives one. */
psal_status psal_error_status(const psal_error *err);

/* Put "<formatted text>: " in front of the message already in *err; keeps its status. For callers that know more (the
 * file's name) than the function that failed. */
psal_status psal_fail_prefix(psal_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
