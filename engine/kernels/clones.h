/* clones.h - a function compiled for several instruction sets; the best one is chosen when the program starts. The bits
 * are the same: nothing is fused (-ffp-contract=off) and the compiler reorders no sum. GCC only: clang (14) gives the
 * resolver a name that other files do not link to. */
#ifndef PSAL_ENGINE_KERNELS_CLONES_H
#define PSAL_ENGINE_KERNELS_CLONES_H

#if defined __x86_64__ && defined __GNUC__ && !defined __clang__ && !defined __SANITIZE_ADDRESS__ && \
    !defined __SANITIZE_THREAD__
#if __GNUC__ >= 12 /* with byte and word instructions, where the compiler knows that name */
#define PSAL_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define PSAL_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define PSAL_CLONES
#endif

#endif
