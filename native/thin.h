// Products of a big matrix with few vectors: the big one is read once, where it lies, for all of them.
//
// Such products are bound by memory, so what counts is that each word of the big matrix is loaded once and used for
// every vector while it is in a register. The vectors, or the sums, are cut to pieces that stay in the cache.

#pragma once

#include "kernels.h"

namespace privity {
namespace {

using std::ptrdiff_t;
using std::size_t;

#if defined(PRIVITY_AVX512)
typedef u64 Lane __attribute__((vector_size(64), aligned(8), may_alias));
#elif defined(PRIVITY_AVX2)
typedef u64 Lane __attribute__((vector_size(32), aligned(8), may_alias));
#else
typedef u64 Lane;
#endif
constexpr size_t kLane = sizeof(Lane) / sizeof(u64);

inline Lane load(const u64* from) { return *reinterpret_cast<const Lane*>(from); }

#if defined(PRIVITY_AVX512)
inline u64 across(const Lane& x) {
  const Lane four = x + __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3);
  const Lane two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1, 6, 7, 4, 5);
  return two[0] + two[1];
}
#elif defined(PRIVITY_AVX2)
inline u64 across(const Lane& x) {
  const Lane two = x + __builtin_shufflevector(x, x, 2, 3, 0, 1);
  return two[0] + two[1];
}
#else
inline u64 across(const Lane& x) { return x; }
#endif

// R rows of x, each of k words in line, with N vectors `next` words apart: R * N sums.
template <size_t R, size_t N>
void rows_tile(size_t k, const u64* x, ptrdiff_t row, const u64* v, size_t next, u64* sum, size_t pitch) {
  Lane parts[R][N] = {};
  size_t p = 0;
  for (; p + kLane <= k; p += kLane) {
    Lane left[R];
#pragma GCC unroll 8
    for (size_t r = 0; r < R; ++r) left[r] = load(x + static_cast<ptrdiff_t>(r) * row + p);
#pragma GCC unroll 8
    for (size_t j = 0; j < N; ++j) {
      const Lane right = load(v + j * next + p);
#pragma GCC unroll 8
      for (size_t r = 0; r < R; ++r) parts[r][j] += left[r] * right;
    }
  }
  for (size_t r = 0; r < R; ++r) {
    const u64* from = x + static_cast<ptrdiff_t>(r) * row;
    for (size_t j = 0; j < N; ++j) {
      u64 total = across(parts[r][j]);
      for (size_t q = p; q < k; ++q) total += from[q] * v[j * next + q];
      sum[j * pitch + r] += total;
    }
  }
}

template <size_t R>
void rows_band(size_t k, const u64* x, ptrdiff_t row, size_t n, const u64* v, size_t next, u64* sum, size_t pitch) {
  size_t j = 0;
  for (; j + 4 <= n; j += 4) rows_tile<R, 4>(k, x, row, v + j * next, next, sum + j * pitch, pitch);
  for (; j + 2 <= n; j += 2) rows_tile<R, 2>(k, x, row, v + j * next, next, sum + j * pitch, pitch);
  for (; j < n; ++j) rows_tile<R, 1>(k, x, row, v + j * next, next, sum + j * pitch, pitch);
}

// Rows too short for sums over whole registers.
void short_rows(size_t m, size_t k, const u64* x, ptrdiff_t row, size_t n, const u64* v, u64* sum, size_t pitch) {
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i < m; ++i) {
      const u64* from = x + static_cast<ptrdiff_t>(i) * row;
      u64 total = 0;
      for (size_t p = 0; p < k; ++p) total += from[p] * v[j * k + p];
      sum[j * pitch + i] += total;
    }
  }
}

void thin_rows(size_t m, size_t k, const u64* x, ptrdiff_t row, size_t n, const u64* v, u64* sum, size_t pitch) {
  if (k < 4 * kLane) return short_rows(m, k, x, row, n, v, sum, pitch);
  const size_t piece = n < 4 ? 16384 : n < 8 ? 1024 : 512;  // n pieces of the vectors fit the cache
  for (size_t p = 0; p < k; p += piece) {
    const size_t words = k - p < piece ? k - p : piece;
    size_t i = 0;
    for (; i + 4 <= m; i += 4) {
      rows_band<4>(words, x + static_cast<ptrdiff_t>(i) * row + p, row, n, v + p, k, sum + i, pitch);
    }
    for (; i < m; ++i) {
      rows_band<1>(words, x + static_cast<ptrdiff_t>(i) * row + p, row, n, v + p, k, sum + i, pitch);
    }
  }
}

// Four columns of x, each of `rows` words in line, onto the sums of N vectors.
template <size_t N>
void columns_tile(size_t rows, const u64* x, ptrdiff_t col, const u64* v, size_t next, u64* sum, size_t pitch) {
  const u64 *x0 = x, *x1 = x + col, *x2 = x1 + col, *x3 = x2 + col;
  u64 factor[N][4];
  for (size_t j = 0; j < N; ++j) {
    for (size_t p = 0; p < 4; ++p) factor[j][p] = v[j * next + p];
  }
  PRIVITY_INDEPENDENT
  for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (size_t j = 0; j < N; ++j) {
      sum[j * pitch + r] += x0[r] * factor[j][0] + x1[r] * factor[j][1] + x2[r] * factor[j][2] + x3[r] * factor[j][3];
    }
  }
}

void thin_columns(size_t m, size_t k, const u64* x, ptrdiff_t col, size_t n, const u64* v, u64* sum, size_t pitch) {
  constexpr size_t piece = 512;
  for (size_t i = 0; i < m; i += piece) {
    const size_t rows = m - i < piece ? m - i : piece;
    size_t p = 0;
    for (; p + 4 <= k; p += 4) {
      const u64* from = x + i + static_cast<ptrdiff_t>(p) * col;
      size_t j = 0;
      for (; j + 4 <= n; j += 4) columns_tile<4>(rows, from, col, v + j * k + p, k, sum + j * pitch + i, pitch);
      for (; j + 2 <= n; j += 2) columns_tile<2>(rows, from, col, v + j * k + p, k, sum + j * pitch + i, pitch);
      for (; j < n; ++j) columns_tile<1>(rows, from, col, v + j * k + p, k, sum + j * pitch + i, pitch);
    }
    for (; p < k; ++p) {
      const u64* line = x + i + static_cast<ptrdiff_t>(p) * col;
      for (size_t j = 0; j < n; ++j) {
        const u64 factor = v[j * k + p];
        u64* s = sum + i + j * pitch;
        PRIVITY_INDEPENDENT
        for (size_t r = 0; r < rows; ++r) s[r] += line[r] * factor;
      }
    }
  }
}

void thin(size_t m, size_t k, Matrix x, size_t n, const u64* v, u64* sum, size_t pitch) {
  if (x.col == 1) return thin_rows(m, k, x.data, x.row, n, v, sum, pitch);
  if (x.row == 1) return thin_columns(m, k, x.data, x.col, n, v, sum, pitch);
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i < m; ++i) {
      const u64* from = x.from(i, 0).data;
      u64 total = 0;
      for (size_t p = 0; p < k; ++p) total += from[static_cast<ptrdiff_t>(p) * x.col] * v[j * k + p];
      sum[j * pitch + i] += total;
    }
  }
}

}  // namespace
}  // namespace privity
