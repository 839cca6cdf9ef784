/* algorithm.h - the parts of an algorithm of conv2d.h, for those that implement one.
 *
 * To add one: write a file with its psal_conv2d_code, and its row in conv2d.c, where its condition stands beside the
 * others. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_ALGORITHM_H
#define PSAL_ENGINE_KERNELS_CONV2D_ALGORITHM_H

#include "engine/kernels/conv2d/conv2d.h"

typedef struct psal_conv2d_code {
    /* Set the plan and the scratch bytes, which follow from shape and threads (psal_conv2d_keep_plan). */
    psal_status (*prepare)(psal_convolution *c, psal_error *err);
    void (*run)(const psal_convolution *c, const psal_conv2d_operands *o, void *scratch);
} psal_conv2d_code;

/* What a condition is asked about. */
typedef struct psal_conv2d_problem {
    psal_conv2d_shape shape;
    psal_conv2d_direction direction;
    psal_conv2d_method method;
    int form; /* that of the row */
} psal_conv2d_problem;

typedef struct psal_conv2d_algorithm {
    const char *name;
    unsigned directions, methods;                  /* bits: those that it is for */
    bool (*suits)(const psal_conv2d_problem *p);   /* its whole condition besides those bits */
    const psal_conv2d_code *code[PSAL_PROCESSORS]; /* NULL: not for this processor */
    int form;                                      /* which of several algorithms of the same code (winograd_form) */
} psal_conv2d_algorithm;

struct psal_convolution {
    psal_conv2d_shape shape;
    psal_conv2d_direction direction;
    psal_conv2d_settings settings; /* the processor is never AUTO */
    int threads;
    const psal_conv2d_algorithm *algorithm;
    char name[64];
    size_t scratch;          /* bytes */
    void *plan;              /* from malloc; the algorithm's own */
    psal_convolution *inner; /* NULL, or the convolution that does most of the work */
};

extern const psal_conv2d_code psal_ternary_decoded; /* ternary_decoded.c */

/* Memory for the plan, zeroed; NULL, and the error set, when there is none. */
void *psal_conv2d_new_plan(psal_convolution *c, size_t bytes, psal_error *err);
/* Set the scratch bytes and keep a copy of the plan. */
psal_status psal_conv2d_keep_plan(psal_convolution *c, const void *plan, size_t plan_bytes, size_t scratch,
                                  psal_error *err);

#endif
