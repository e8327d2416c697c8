// The inner loop of gemm: one tile of the result in registers. `left` is k steps of kMr words, `right` k of kNr.

#pragma once

#include "kernels.h"

#if defined(PRIVITY_AVX2)
#include <immintrin.h>
#endif

namespace privity {
namespace {

using std::size_t;

#if defined(PRIVITY_AVX512)

constexpr size_t kMr = 8, kLanes = 8, kVectors = 3, kNr = kVectors * kLanes;
typedef u64 Vector __attribute__((vector_size(64), aligned(8), may_alias));

inline void tile(size_t k, const u64* left, const u64* right, u64* c, size_t pitch, bool first) {
  Vector sum[kMr][kVectors] = {};
  for (size_t p = 0; p < k; ++p, left += kMr, right += kNr) {
    const Vector* y = reinterpret_cast<const Vector*>(right);
    const Vector y0 = y[0], y1 = y[1], y2 = y[2];
#pragma GCC unroll 16
    for (size_t r = 0; r < kMr; ++r) {
      const Vector x = left[r] - Vector{};
      sum[r][0] += x * y0;
      sum[r][1] += x * y1;
      sum[r][2] += x * y2;
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kMr; ++r) {
    Vector* to = reinterpret_cast<Vector*>(c + r * pitch);
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) to[v] = first ? sum[r][v] : to[v] + sum[r][v];
  }
}

#elif defined(PRIVITY_AVX2)

// There is no 64-bit multiply, only 32 x 32 -> 64. With x = xh * 2^32 + xl, x * y = xl * yl + 2^32 * (xh * yl + xl * yh)
// modulo 2^64: the two parts are summed apart and shifted together once at the end.
constexpr size_t kMr = 2, kLanes = 4, kVectors = 2, kNr = kVectors * kLanes;

inline void tile(size_t k, const u64* left, const u64* right, u64* c, size_t pitch, bool first) {
  __m256i low[kMr][kVectors], middle[kMr][kVectors];
#pragma GCC unroll 2
  for (size_t r = 0; r < kMr; ++r) {
#pragma GCC unroll 2
    for (size_t v = 0; v < kVectors; ++v) low[r][v] = middle[r][v] = _mm256_setzero_si256();
  }
  for (size_t p = 0; p < k; ++p, left += kMr, right += kNr) {
    const __m256i* line = reinterpret_cast<const __m256i*>(right);
    const __m256i y[kVectors] = {_mm256_load_si256(line), _mm256_load_si256(line + 1)};
    const __m256i yh[kVectors] = {_mm256_srli_epi64(y[0], 32), _mm256_srli_epi64(y[1], 32)};
#pragma GCC unroll 2
    for (size_t r = 0; r < kMr; ++r) {
      const __m256i x = _mm256_set1_epi64x(static_cast<long long>(left[r]));
      const __m256i xh = _mm256_srli_epi64(x, 32);
#pragma GCC unroll 2
      for (size_t v = 0; v < kVectors; ++v) {
        const __m256i crossed = _mm256_add_epi64(_mm256_mul_epu32(xh, y[v]), _mm256_mul_epu32(x, yh[v]));
        low[r][v] = _mm256_add_epi64(low[r][v], _mm256_mul_epu32(x, y[v]));
        middle[r][v] = _mm256_add_epi64(middle[r][v], crossed);
      }
    }
  }
#pragma GCC unroll 2
  for (size_t r = 0; r < kMr; ++r) {
    __m256i* to = reinterpret_cast<__m256i*>(c + r * pitch);
#pragma GCC unroll 2
    for (size_t v = 0; v < kVectors; ++v) {
      const __m256i sum = _mm256_add_epi64(low[r][v], _mm256_slli_epi64(middle[r][v], 32));
      _mm256_storeu_si256(to + v, first ? sum : _mm256_add_epi64(_mm256_loadu_si256(to + v), sum));
    }
  }
}

#else

constexpr size_t kMr = 4, kNr = 2;

inline void tile(size_t k, const u64* left, const u64* right, u64* c, size_t pitch, bool first) {
  u64 sum[kMr][kNr] = {};
  for (size_t p = 0; p < k; ++p, left += kMr, right += kNr) {
    const u64 y0 = right[0], y1 = right[1];
#pragma GCC unroll 4
    for (size_t r = 0; r < kMr; ++r) {
      sum[r][0] += left[r] * y0;
      sum[r][1] += left[r] * y1;
    }
  }
  for (size_t r = 0; r < kMr; ++r) {
    for (size_t s = 0; s < kNr; ++s) c[r * pitch + s] = sum[r][s] + (first ? 0 : c[r * pitch + s]);
  }
}

#endif

}  // namespace
}  // namespace privity
