/* split.h - single precision as a sum of three bfloat16, for a matrix unit that multiplies bfloat16 and adds in single
 * precision.
 *
 *   x = x0 + x1 + x2,  each the bfloat16 nearest to what those before it leave:  |x1| <= 2^-9 |x|, |x2| <= 2^-18 |x|
 *
 * Three times eight bits hold all 24 of x (Henry, Tang and Heinecke 2019, "Leveraging the bfloat16 artificial
 * intelligence datatype for higher-precision computations"). Of the nine products of two such sums psal makes the six
 * that single precision can see: x1*y2, x2*y1 and x2*y2 are below 2^-26 |x*y|, a quarter of one rounding. Numbers below
 * 2^-110 lose their last bits, because the unit counts bfloat16 below 2^-126 as 0.
 *
 * The unit takes its operands as pairs of bfloat16 in 32 bits, elements k and k' of a row of A or of a column of B.
 * Which elements are a pair is free, as long as both operands agree. A vector of pairs is kept as a vector of
 * floats. */
#ifndef PSAL_ENGINE_KERNELS_CONV2D_AMX_SPLIT_H
#define PSAL_ENGINE_KERNELS_CONV2D_AMX_SPLIT_H

#include "engine/kernels/conv2d/simd/simd.h"

#define PARTS 3u

/* part[i] lane l = the pair of part i of first[l] (the lower half) and of second[l] */
INLINE void split_pairs(vec first, vec second, vec part[PARTS]) {
    const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int)0xffff0000);
#pragma GCC unroll 3
    for (unsigned i = 0; i < PARTS; i++) {
        if (i + 1 == PARTS) { /* at most 8 bits are left: exact */
            const __m512i a = _mm512_castps_si512(first), b = _mm512_castps_si512(second);
            part[i] = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(b, upper, _mm512_srli_epi32(a, 16), 0xea));
            break;
        }
        /* to nearest, ties away from 0: a carry out of the fraction steps up the exponent, as it should */
        const __m512i a = _mm512_add_epi32(_mm512_castps_si512(first), half);
        const __m512i b = _mm512_add_epi32(_mm512_castps_si512(second), half);
        /* (b & upper) | (a >> 16) */
        part[i] = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(b, upper, _mm512_srli_epi32(a, 16), 0xea));
        first = vec_sub(first, _mm512_castsi512_ps(_mm512_and_si512(a, upper)));
        second = vec_sub(second, _mm512_castsi512_ps(_mm512_and_si512(b, upper)));
    }
}

#endif
