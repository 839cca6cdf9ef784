#include "engine/kernels/gemm.h"

#include <pthread.h>
#include <string.h>

#include <cblas.h>
#include <omp.h>

#ifdef PSAL_REAL_DOUBLE
#define xgemm cblas_dgemm
#else
#define xgemm cblas_sgemm
#endif

/* OpenBLAS' pthread build takes its number of threads from a setting of the process, made once before the first
 * product. Its OpenMP build ignores that and asks omp_get_max_threads() at every call, unless it is inside an active
 * parallel region, which a region of one thread is not. That number belongs to the calling thread, so it is lowered
 * around each product and put back. (OpenBLAS 0.3.21, common_thread.h: num_cpu_avail.) */
static pthread_once_t single_threaded_once = PTHREAD_ONCE_INIT;

static void make_single_threaded(void) {
    openblas_set_num_threads(1);
}

void psal_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const psal_real *a, size_t lda,
               const psal_real *b, size_t ldb, bool accumulate, psal_real *c, size_t ldc) {
    if (m == 0 || n == 0) return;
    if (k == 0) {
        for (size_t i = 0; i < m && !accumulate; i++) memset(c + i * ldc, 0, n * sizeof *c);
        return;
    }
    const int threads = omp_get_max_threads();
    pthread_once(&single_threaded_once, make_single_threaded);
    omp_set_num_threads(1);
    xgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, (blasint)m,
          (blasint)n, (blasint)k, 1, a, (blasint)lda, b, (blasint)ldb, accumulate ? 1 : 0, c, (blasint)ldc);
    omp_set_num_threads(threads);
}

const char *psal_gemm_kernels(void) {
    return openblas_get_corename();
}
