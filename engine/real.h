/* real.h - the element type of the engine.
 *
 * The product computes in float32. The gradient checker builds the same sources a second time with PSAL_REAL_DOUBLE, so
 * that central differences are taken in double precision on exactly the code that ships (fast float-only kernels have
 * their own tests against the plain ones). */
#ifndef PSAL_ENGINE_REAL_H
#define PSAL_ENGINE_REAL_H

#ifdef PSAL_REAL_DOUBLE
typedef double psal_real;
#else
typedef float psal_real;
#endif

#endif
