#include "saliency/student.h"

#include <float.h>
#include <math.h>

static double away_from_zero(double x) {
    return fabs(x) < DBL_MIN ? DBL_MIN : x;
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method (1976). */
static double fraction(double x, double a, double b) {
    double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), value = d;
    for (int m = 1; m < 100000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        const double before = value;
        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        value *= c * d;
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        value *= c * d;
        if (fabs(value - before) <= 1e-15 * fabs(value)) break;
    }
    return value;
}

double psal_student_tail(double t, double freedom) {
    if (isnan(t) || isnan(freedom)) return NAN;
    const double a = freedom / 2, b = 0.5, x = freedom / (freedom + t * t), rest = t * t / (freedom + t * t);
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(rest));
    double tail;
    if (t == 0)
        tail = 0.5;
    else if (x < (a + 1) / (a + b + 2)) /* where the fraction converges fast */
        tail = front * fraction(x, a, b) / a / 2;
    else
        tail = (1 - front * fraction(rest, b, a) / b) / 2;
    return t < 0 ? 1 - tail : tail;
}
