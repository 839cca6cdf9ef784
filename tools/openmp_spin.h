/* openmp_spin.h - threads that do not hold on to a processor which others need. */
#ifndef PSAL_TOOLS_OPENMP_SPIN_H
#define PSAL_TOOLS_OPENMP_SPIN_H

/* To be called first in main. GNU OpenMP's threads wait for each other by spinning, some milliseconds long. Beside
 * other busy programs the one that is waited for does not run then, and each of a thousand short parallel loops loses a
 * time slice: 15 to 25 s were measured for a job of 0.6 s, and 3 s with a short spin, which costs nothing on a quiet
 * machine. The runtime reads the number of spins once, before main: so it is set here and the program starts itself
 * again. Does nothing when the user has said how to wait (GOMP_SPINCOUNT, OMP_WAIT_POLICY) or where (OMP_PROC_BIND,
 * OMP_PLACES, GOMP_CPU_AFFINITY: the runtime has then bound this thread to one processor, and the program started again
 * would see no other), or when the system did not start this very file: under another loader (ld.so psal-run), under
 * Valgrind, with other rights than the user's, without /proc, or when the file has gone. Then the threads spin as long
 * as GNU OpenMP does by itself, which costs time on a busy machine only. There is no other way: the runtime reads its
 * settings from the environment alone, before any code of the program could change it. */
void psal_limit_openmp_spin(char **argv);

#endif
