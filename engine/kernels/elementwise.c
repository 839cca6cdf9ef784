#include "engine/kernels/elementwise.h"

#include <math.h>

#include "engine/kernels/clones.h"

PSAL_CLONES void psal_kernel_fill(size_t n, psal_real value, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = value;
}

PSAL_CLONES void psal_kernel_add(size_t n, const psal_real *a, const psal_real *b, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

PSAL_CLONES void psal_kernel_sub(size_t n, const psal_real *a, const psal_real *b, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = a[i] - b[i];
}

PSAL_CLONES void psal_kernel_mul(size_t n, const psal_real *a, const psal_real *b, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = a[i] * b[i];
}

PSAL_CLONES void psal_kernel_div(size_t n, const psal_real *a, const psal_real *b, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = a[i] / b[i];
}

PSAL_CLONES void psal_kernel_scale(size_t n, const psal_real *x, psal_real factor, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = x[i] * factor;
}

PSAL_CLONES void psal_kernel_sqrt(size_t n, const psal_real *x, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)sqrt(x[i]);
}

PSAL_CLONES void psal_kernel_rsqrt(size_t n, const psal_real *x, psal_real epsilon, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = 1 / (psal_real)sqrt(x[i] + epsilon);
}

PSAL_CLONES void psal_kernel_abs(size_t n, const psal_real *x, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)fabs(x[i]);
}

PSAL_CLONES void psal_kernel_sign(size_t n, const psal_real *x, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = (psal_real)((x[i] > 0) - (x[i] < 0));
}

PSAL_CLONES void psal_kernel_relu(size_t n, const psal_real *x, psal_real *out) {
    for (size_t i = 0; i < n; i++) out[i] = x[i] < 0 ? 0 : x[i];
}

PSAL_CLONES void psal_kernel_relu_mask(size_t n, const psal_real *dy, const psal_real *y, psal_real *out) {
    for (size_t i = 0; i < n; i++) {
        psal_real value = dy[i]; /* read whatever y is: a condition on reading could not be vectorized */
        out[i] = y[i] > 0 ? value : 0;
    }
}
