#include "saliency/ssim.h"

#include <math.h>
#include <stdlib.h>

/* Sums that the window weighs: of a, b, a^2, b^2, a b. */
enum { SUMS = 5 };

static void window(double kernel[PSAL_SSIM_WINDOW]) {
    double sum = 0;
    for (int i = 0; i < PSAL_SSIM_WINDOW; i++) {
        const double x = (i - PSAL_SSIM_WINDOW / 2) / 1.5;
        sum += kernel[i] = exp(-0.5 * x * x);
    }
    for (int i = 0; i < PSAL_SSIM_WINDOW; i++) kernel[i] /= sum;
}

/* The window's sums along each row: rows[height][inner width][SUMS]. */
static void weigh_rows(const float *a, const float *b, int height, int width, const double *kernel, double *rows) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x + PSAL_SSIM_WINDOW <= width; x++, rows += SUMS) {
            for (int s = 0; s < SUMS; s++) rows[s] = 0;
            for (int i = 0; i < PSAL_SSIM_WINDOW; i++) {
                const double p = a[(size_t)y * (size_t)width + (size_t)(x + i)],
                             q = b[(size_t)y * (size_t)width + (size_t)(x + i)];
                rows[0] += kernel[i] * p;
                rows[1] += kernel[i] * q;
                rows[2] += kernel[i] * p * p;
                rows[3] += kernel[i] * q * q;
                rows[4] += kernel[i] * p * q;
            }
        }
}

/* Equation 13. */
static double similarity(const double *sums) {
    const double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03, p = sums[0], q = sums[1];
    const double pp = sums[2] - p * p, qq = sums[3] - q * q, pq = sums[4] - p * q;
    return (2 * p * q + c1) * (2 * pq + c2) / ((p * p + q * q + c1) * (pp + qq + c2));
}

psal_status psal_ssim(const float *a, const float *b, int height, int width, double *ssim, psal_error *err) {
    const int across = width - PSAL_SSIM_WINDOW + 1, down = height - PSAL_SSIM_WINDOW + 1;
    *ssim = NAN;
    if (across < 1 || down < 1) return PSAL_OK;
    double kernel[PSAL_SSIM_WINDOW], total = 0;
    double *rows = malloc((size_t)height * (size_t)across * SUMS * sizeof *rows);
    if (!rows) return psal_fail(err, PSAL_ERR_MEMORY, "out of memory to compare pictures of %d x %d", width, height);
    window(kernel);
    weigh_rows(a, b, height, width, kernel, rows);
    for (int y = 0; y < down; y++)
        for (int x = 0; x < across; x++) {
            double sums[SUMS] = {0};
            for (int i = 0; i < PSAL_SSIM_WINDOW; i++)
                for (int s = 0; s < SUMS; s++)
                    sums[s] += kernel[i] * rows[((size_t)(y + i) * (size_t)across + (size_t)x) * SUMS + (size_t)s];
            total += similarity(sums);
        }
    free(rows);
    *ssim = total / ((double)across * down);
    return PSAL_OK;
}
