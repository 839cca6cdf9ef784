#include "engine/kernels/processor.h"

#if defined __x86_64__
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023 /* asm/prctl.h of Linux 5.16 */
#define XFEATURE_XTILEDATA 18

/* Whether the system gives this process the matrix registers. */
static bool has_tiles(void) {
#ifdef SYS_arch_prctl
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

psal_processor psal_processor_best(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return PSAL_PROCESSOR_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512bw"))
        return PSAL_PROCESSOR_AVX2;
    /* No compiler's name for the matrix unit is common to all, and asking the processor itself is slow in a virtual
     * machine. The system knows of its registers, and every processor that has them multiplies bfloat16, as its vector
     * unit does. */
    return __builtin_cpu_supports("avx512bf16") && has_tiles() ? PSAL_PROCESSOR_AMX : PSAL_PROCESSOR_AVX512;
}
#else
psal_processor psal_processor_best(void) {
#if defined __aarch64__
    return PSAL_PROCESSOR_NEON;
#else
    return PSAL_PROCESSOR_PORTABLE;
#endif
}
#endif

bool psal_processor_runs(psal_processor processor) {
    const psal_processor best = psal_processor_best();
    return processor == best || processor <= (best == PSAL_PROCESSOR_NEON ? PSAL_PROCESSOR_PORTABLE : best);
}

const char *psal_processor_name(psal_processor processor) {
    static const char *const names[PSAL_PROCESSORS] = {"auto", "portable", "avx2", "avx512", "amx", "neon"};
    return names[processor];
}
