/* student.h - Student's t distribution. */
#ifndef PSAL_SALIENCY_STUDENT_H
#define PSAL_SALIENCY_STUDENT_H

/* P(T >= t) with `freedom` > 0 degrees of freedom: I_x(freedom / 2, 1/2) / 2 with x = freedom / (freedom + t^2) for
 * t >= 0, I the regularized incomplete beta function (DLMF 8.17). To 1e-12 relative. */
double psal_student_tail(double t, double freedom);

#endif
