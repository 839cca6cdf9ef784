#include "io/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#define HAVE_SHA_INSTRUCTIONS 1
#endif

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64
 * primes. */
static const uint32_t k[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static uint32_t rotate(uint32_t x, int by) {
    return x >> by | x << (32 - by);
}

/* FIPS 180-4, 6.2.2, for `count` blocks of 64 bytes. */
static void blocks_plain(uint32_t state[8], const uint8_t *data, size_t count) {
    for (; count; count--, data += 64) {
        uint32_t w[64];
        for (int t = 0; t < 16; t++)
            w[t] = (uint32_t)data[4 * t] << 24 | (uint32_t)data[4 * t + 1] << 16 | (uint32_t)data[4 * t + 2] << 8 |
                   data[4 * t + 3];
        for (int t = 16; t < 64; t++) {
            uint32_t x = w[t - 15], y = w[t - 2];
            w[t] = w[t - 16] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[t - 7] +
                   (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
        }
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        for (int t = 0; t < 64; t++) {
            uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + k[t] + w[t];
            uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d;
        state[4] += e, state[5] += f, state[6] += g, state[7] += h;
    }
}

#ifdef HAVE_SHA_INSTRUCTIONS
static int has_sha_instructions(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29) /* SHA */ && __get_cpuid(1, &a, &b, &c, &d) &&
           (c & 1u << 19) /* SSE4.1 */ && (c & 1u << 9) /* SSSE3 */;
}

/* The same with the SHA extensions (Intel SDM vol. 2: SHA256RNDS2 does two rounds on the state
 * halves ABEF and CDGH, SHA256MSG1 and MSG2 the message schedule, four words at a time). */
__attribute__((target("sha,sse4.1,ssse3"))) static void blocks_fast(uint32_t state[8], const uint8_t *data,
                                                                    size_t count) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
    __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
    for (; count; count--, data += 64) {
        __m128i old_abef = abef, old_cdgh = cdgh, w[4];
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i)), swap);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            /* w[i & 3] holds words 4i to 4i+3. */
            __m128i sum = _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)(const void *)(k + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
            if (i < 12) {
                __m128i next = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
                next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
                w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
            }
        }
        abef = _mm_add_epi32(abef, old_abef);
        cdgh = _mm_add_epi32(cdgh, old_cdgh);
    }
    state[0] = (uint32_t)_mm_extract_epi32(abef, 3), state[1] = (uint32_t)_mm_extract_epi32(abef, 2);
    state[4] = (uint32_t)_mm_extract_epi32(abef, 1), state[5] = (uint32_t)_mm_extract_epi32(abef, 0);
    state[2] = (uint32_t)_mm_extract_epi32(cdgh, 3), state[3] = (uint32_t)_mm_extract_epi32(cdgh, 2);
    state[6] = (uint32_t)_mm_extract_epi32(cdgh, 1), state[7] = (uint32_t)_mm_extract_epi32(cdgh, 0);
}
#endif

typedef void block_function(uint32_t state[8], const uint8_t *data, size_t count);

static block_function *best_blocks(void) {
#ifdef HAVE_SHA_INSTRUCTIONS
    if (has_sha_instructions()) return blocks_fast;
#endif
    return blocks_plain;
}

/* The last `left` < 64 bytes, padded by a one bit, zeros and the length in bits (FIPS
 * 180-4, 5.1.1). */
static void finish(block_function *blocks, uint32_t state[8], const uint8_t *rest, size_t left, uint64_t size,
                   uint8_t digest[32]) {
    uint8_t last[128] = {0};
    if (left) memcpy(last, rest, left);
    last[left] = 0x80;
    size_t length = left < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) last[length - 1 - (size_t)i] = (uint8_t)(size * 8 >> 8 * i);
    blocks(state, last, length / 64);
    for (int i = 0; i < 32; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void hash(block_function *blocks, const void *data, size_t size, uint8_t digest[32]) {
    uint32_t state[8];
    memcpy(state, initial, sizeof state);
    blocks(state, data, size / 64);
    finish(blocks, state, (const uint8_t *)data + size / 64 * 64, size % 64, size, digest);
}

void psal_sha256(const void *data, size_t size, uint8_t digest[32]) {
    hash(best_blocks(), data, size, digest);
}

void psal_sha256_plain(const void *data, size_t size, uint8_t digest[32]) {
    hash(blocks_plain, data, size, digest);
}

psal_status psal_file_sha256(const char *path, char hex[65], psal_error *err) {
    /* Read, not mapped: the pages would count as memory of this process. */
    enum { PIECE = 1 << 18 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        int reason = fd < 0 ? errno : EISDIR;
        if (fd >= 0) close(fd);
        return psal_fail(err, PSAL_ERR_IO, "%s: cannot be read: %s", path, strerror(reason));
    }
    uint8_t *piece = malloc(PIECE), digest[32];
    uint32_t state[8];
    memcpy(state, initial, sizeof state);
    block_function *blocks = best_blocks();
    uint64_t size = 0;
    size_t held = 0; /* bytes of an unfinished block at the start of `piece` */
    ssize_t got = piece ? 1 : -1;
    int reason = ENOMEM;
    while (got > 0) {
        got = read(fd, piece + held, PIECE - held);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        reason = errno;
        if (got <= 0) break;
        size += (uint64_t)got;
        held += (size_t)got;
        blocks(state, piece, held / 64);
        memmove(piece, piece + held / 64 * 64, held % 64);
        held %= 64;
    }
    psal_status status = PSAL_OK;
    if (got < 0) {
        status = psal_fail(err, PSAL_ERR_IO, "%s: cannot be read: %s", path, strerror(reason));
    } else {
        finish(blocks, state, piece, held, size, digest);
        for (int i = 0; i < 64; i++) hex[i] = "0123456789abcdef"[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
        hex[64] = '\0';
    }
    close(fd);
    free(piece);
    return status;
}
