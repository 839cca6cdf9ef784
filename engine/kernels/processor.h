/* processor.h - which vector and matrix instructions there are. This is the one place that asks the machine. */
#ifndef PSAL_ENGINE_KERNELS_PROCESSOR_H
#define PSAL_ENGINE_KERNELS_PROCESSOR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of one architecture's, each has everything that those before it have. */
typedef enum psal_processor {
    PSAL_PROCESSOR_AUTO,     /* the best that this machine has */
    PSAL_PROCESSOR_PORTABLE, /* nothing that not every machine has */
    PSAL_PROCESSOR_AVX2,     /* x86-64; with FMA */
    PSAL_PROCESSOR_AVX512,   /* F, VL, DQ and BW */
    PSAL_PROCESSOR_AMX,      /* a matrix unit that multiplies bfloat16 */
    PSAL_PROCESSOR_NEON,     /* aarch64: every one has it */
    PSAL_PROCESSORS
} psal_processor;

/* "auto", "portable", "avx2", "avx512", "amx", "neon" */
const char *psal_processor_name(psal_processor processor);

/* The best that this machine has. For AMX it asks the system for the matrix registers, for the whole process. */
psal_processor psal_processor_best(void);

/* Whether code for `processor` runs here. */
bool psal_processor_runs(psal_processor processor);

#ifdef __cplusplus
}
#endif

#endif
