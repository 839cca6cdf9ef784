/* conv2d_check.h - one shape of convolution, every method, every way of running it: against loops in double precision
 * written from the definition, which a test calls through check_shape(), or piece by piece against a reference of its
 * own. Failures are Check's. */
#ifndef PSAL_TESTS_UNIT_ENGINE_CONV2D_CHECK_H
#define PSAL_TESTS_UNIT_ENGINE_CONV2D_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kernels/conv2d/conv2d.h"

typedef psal_conv2d_shape shape;

enum { METHODS = 4 };

/* What is compared with the definition, and the error it may have as a part of the largest value, strictest first. */
struct method {
    const char *name;
    psal_conv2d_method method;
    double tolerance;
};
extern const struct method methods[METHODS];

typedef enum { FORWARD, DY, DX, DW, MEAN_ABS, MEAN, OPERATIONS } operation;
extern const char *const operation_names[OPERATIONS];

/* The state of the generator, which a test may set, and a number in [0, n) */
extern uint64_t random_state;
unsigned random_below(unsigned n);

/* Square images of one batch, square filters, finished */
shape square(int channels, int size, int filters, int kernel, int stride, int padding);
/* The same shape with the size of the result that its other fields ask for */
shape finish(shape s);
/* In words, until the next call */
const char *describe(const shape *s);

/* Elements of the operands */
typedef struct sizes {
    size_t x, w, y;
} sizes;
sizes sizes_of(const shape *s);

/* To be freed; random or not a number, with marks behind the end */
float *new_buffer(size_t count, bool random);

/* The operation's result in a new buffer; fails when something else was written */
float *run(const shape *s, psal_conv2d_method method, operation op, const float *a, const float *b, int threads);

/* The same on a processor that need not be this machine's best */
float *run_on(psal_processor processor, const shape *s, psal_conv2d_method method, operation op, const float *a,
              const float *b, int threads);

/* Whether method m of the table comes to the algorithm of an earlier one there, which has run already: the same code
 * for the same operands, of which the earlier one's tolerance asks as much or more */
bool is_repeated(const shape *s, int m, operation op, psal_processor processor);

/* As a part of the largest value wanted */
double worst_error(const float *got, const double *want, size_t count);

/* That every processor that this machine can be has `want` within method m's tolerance, and AVX2 the bits of AVX-512;
 * `best`: what the best of them has given, or NULL when that was not asked */
void check_processors(const shape *s, int m, operation op, const float *a, const float *b, const double *want,
                      const float *best, size_t count);

/* That the images of a batch have the bits of `want`, the batch, alone too */
void check_images_alone(const shape *s, psal_conv2d_method method, operation op, const float *a, const float *w,
                        const float *want);

/* Ternary filters, against the same filters as numbers */
void check_ternary(const shape *s);

/* All of this and the definition, with random operands */
void check_shape(const shape *s);

#endif
