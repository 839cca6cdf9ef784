/* wait_briefly.h - threads that do not hold on to a processor which others need. */
#ifndef PSAL_TOOLS_WAIT_BRIEFLY_H
#define PSAL_TOOLS_WAIT_BRIEFLY_H

/* To be called first in main. GNU OpenMP's threads wait for each other by spinning, some milliseconds long. Beside other busy
 * programs the one that is waited for does not run then, and each of a thousand short parallel loops loses a time slice: 15 to 25 s
 * were measured for a job of 0.6 s, and 3 s with a short spin, which costs nothing on a quiet machine. The runtime
 * reads the number of spins once, before main: so it is set here and the program starts itself again. Does nothing when
 * the user has said how to wait (GOMP_SPINCOUNT, OMP_WAIT_POLICY) or where (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY: the runtime has
 * then bound this thread to one processor, and the program started again would see no other), or when the program cannot be started
 * again. */
void psal_wait_briefly(char **argv);

#endif
