/* conv2d_x86.h - the fast convolutions, once per instruction set. conv2d.c picks the best one the processor has. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_X86_H
#define PSAL_ENGINE_KERNELS_CONV2D_X86_H

#include "engine/kernels/conv2d.h"

#if defined __x86_64__ && !defined PSAL_REAL_DOUBLE
#define PSAL_HAVE_CONV2D_X86 1

/* The functions of conv2d.h for the methods AUTO, ACCURATE and DIRECT. */
typedef struct psal_conv2d_x86 {
    size_t (*forward_scratch)(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
    size_t (*dx_scratch)(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
    size_t (*dw_scratch)(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
    size_t (*dw_mean_scratch)(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
    void (*forward)(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *w, float *y,
                    const psal_parallel *parallel);
    void (*dx)(const psal_conv2d_shape *s, psal_conv2d_method method, const float *dy, const float *w, float *dx,
               const psal_parallel *parallel);
    void (*dw)(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy, float *dw,
               const psal_parallel *parallel);
    void (*dw_mean)(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x, const float *dy,
                    bool is_signed, float *mean, const psal_parallel *parallel);
    /* Filters that are signs; NULL where they are no faster than other numbers. scratch is 0 for a shape that is not taken. */
    size_t (*signs_forward_scratch)(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
    size_t (*signs_dx_scratch)(const psal_conv2d_shape *s, psal_conv2d_method method, int threads);
    void (*signs_forward)(const psal_conv2d_shape *s, psal_conv2d_method method, const float *x,
                          const psal_conv2d_signs *w, float *y, const psal_parallel *parallel);
    void (*signs_dx)(const psal_conv2d_shape *s, psal_conv2d_method method, const float *dy, const psal_conv2d_signs *w,
                     float *dx, const psal_parallel *parallel);
} psal_conv2d_x86;

extern const psal_conv2d_x86 psal_conv2d_x86_avx2, psal_conv2d_x86_avx512, psal_conv2d_x86_amx;

/* Ask the system for the matrix registers, for the whole process; false if it has none. Cheap when repeated. */
bool psal_amx_available(void);

/* The best of the three on this processor; NULL when it has none of them. */
const psal_conv2d_x86 *psal_conv2d_x86_best(void);

#endif
#endif
