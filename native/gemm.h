// Products of matrices modulo 2^64: packed and blocked in the manner of Goto and van de Geijn (2008).
//
// A tile of kMr x kNr words of the result stays in registers while kKc inner steps pass. The panel of the right matrix
// that a tile reads (kKc x kNr words) fits the first-level cache, the block of the left matrix (kMc x kKc) the second.

#pragma once

#include "kernels.h"
#include "tile.h"

namespace privity {
namespace {

using std::ptrdiff_t;
using std::size_t;

constexpr size_t kKc = 128;
constexpr size_t kMc = 192;  // a multiple of every kMr
constexpr size_t kNc = 1152;  // a multiple of every kNr
static_assert(kMc % kMr == 0 && kNc % kNr == 0);

inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
inline size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// Rows in groups of kMr, each group step by step along k; short groups are filled up with zeros.
void pack_left(size_t m, size_t k, Matrix x, u64* to) {
  for (size_t i = 0; i < m; i += kMr, to += k * kMr) {
    const size_t rows = smaller(kMr, m - i);
    const Matrix block = x.from(i, 0);
    if (rows < kMr) memset(to, 0, k * kMr * sizeof(u64));
    for (size_t r = 0; r < rows; ++r) {
      const u64* from = block.data + static_cast<ptrdiff_t>(r) * x.row;
      for (size_t p = 0; p < k; ++p) to[p * kMr + r] = from[static_cast<ptrdiff_t>(p) * x.col];
    }
  }
}

// Columns in groups of kNr, each group step by step along k; right + also is formed on the way.
void pack_right(size_t k, size_t n, Matrix y, Matrix also, u64* to) {
  for (size_t j = 0; j < n; j += kNr, to += k * kNr) {
    const size_t cols = smaller(kNr, n - j);
    for (size_t p = 0; p < k; ++p) {
      const u64* from = y.from(p, j).data;
      u64* line = to + p * kNr;
      if (y.col == 1 && cols == kNr) {
        memcpy(line, from, sizeof(u64) * kNr);
      } else {
        for (size_t c = 0; c < cols; ++c) line[c] = from[static_cast<ptrdiff_t>(c) * y.col];
        for (size_t c = cols; c < kNr; ++c) line[c] = 0;
      }
      if (also.data != nullptr) {
        const u64* second = also.from(p, j).data;
        if (also.col == 1 && cols == kNr) {
          for (size_t c = 0; c < kNr; ++c) line[c] += second[c];
        } else {
          for (size_t c = 0; c < cols; ++c) line[c] += second[static_cast<ptrdiff_t>(c) * also.col];
        }
      }
    }
  }
}

void multiply_block(size_t m, size_t n, size_t k, const u64* left, const u64* right, u64* c, size_t pitch, bool first) {
  for (size_t j = 0; j < n; j += kNr) {
    for (size_t i = 0; i < m; i += kMr) {
      const u64* a = left + i * k;
      const u64* b = right + j * k;
      u64* corner = c + i * pitch + j;
      const size_t rows = smaller(kMr, m - i), cols = smaller(kNr, n - j);
      if (rows == kMr && cols == kNr) {
        tile(k, a, b, corner, pitch, first);
        continue;
      }
      alignas(64) u64 whole[kMr * kNr];
      tile(k, a, b, whole, kNr, true);
      for (size_t r = 0; r < rows; ++r) {
        for (size_t s = 0; s < cols; ++s) {
          corner[r * pitch + s] = whole[r * kNr + s] + (first ? 0 : corner[r * pitch + s]);
        }
      }
    }
  }
}

bool gemm(size_t m, size_t n, size_t k, const Term* terms, int count, u64* c, size_t pitch) {
  if (k == 0) {
    for (size_t i = 0; i < m; ++i) memset(c + i * pitch, 0, n * sizeof(u64));
    return true;
  }
  const size_t kc = smaller(k, kKc);
  const size_t left_words = round_up(smaller(m, kMc), kMr) * kc;
  const size_t right_words = round_up(smaller(n, kNc), kNr) * kc;
  void* memory = nullptr;
  if (posix_memalign(&memory, 64, (round_up(left_words, 8) + right_words) * sizeof(u64)) != 0) return false;
  u64* left = static_cast<u64*>(memory);
  u64* right = left + round_up(left_words, 8);
  for (size_t j = 0; j < n; j += kNc) {
    const size_t cols = smaller(kNc, n - j);
    bool first = true;
    for (int t = 0; t < count; ++t) {
      for (size_t p = 0; p < k; p += kKc) {
        const size_t steps = smaller(kKc, k - p);
        const Matrix also = terms[t].also.data == nullptr ? terms[t].also : terms[t].also.from(p, j);
        pack_right(steps, cols, terms[t].right.from(p, j), also, right);
        for (size_t i = 0; i < m; i += kMc) {
          const size_t rows = smaller(kMc, m - i);
          pack_left(rows, steps, terms[t].left.from(i, p), left);
          multiply_block(rows, cols, steps, left, right, c + i * pitch + j, pitch, first);
        }
        first = false;
      }
    }
  }
  free(memory);
  return true;
}

// Rows that lie one after the other: four at a time, so that v is read once for four.
void gemv_rows(size_t m, size_t k, const u64* x, ptrdiff_t row, const u64* v, u64* sum) {
  size_t i = 0;
  for (; i + 4 <= m; i += 4) {
    const u64* x0 = x + static_cast<ptrdiff_t>(i) * row;
    const u64 *x1 = x0 + row, *x2 = x1 + row, *x3 = x2 + row;
    u64 s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (size_t p = 0; p < k; ++p) {
      s0 += x0[p] * v[p];
      s1 += x1[p] * v[p];
      s2 += x2[p] * v[p];
      s3 += x3[p] * v[p];
    }
    sum[i] += s0;
    sum[i + 1] += s1;
    sum[i + 2] += s2;
    sum[i + 3] += s3;
  }
  for (; i < m; ++i) {
    const u64* x0 = x + static_cast<ptrdiff_t>(i) * row;
    u64 s0 = 0;
    for (size_t p = 0; p < k; ++p) s0 += x0[p] * v[p];
    sum[i] += s0;
  }
}

// Columns that lie one after the other: four at a time onto a piece of the sum that stays in the first-level cache.
void gemv_columns(size_t m, size_t k, const u64* x, ptrdiff_t col, const u64* v, u64* sum) {
  constexpr size_t piece = 1024;
  for (size_t i = 0; i < m; i += piece) {
    const size_t rows = smaller(piece, m - i);
    u64* s = sum + i;
    size_t p = 0;
    for (; p + 4 <= k; p += 4) {
      const u64* x0 = x + i + static_cast<ptrdiff_t>(p) * col;
      const u64 *x1 = x0 + col, *x2 = x1 + col, *x3 = x2 + col;
      const u64 v0 = v[p], v1 = v[p + 1], v2 = v[p + 2], v3 = v[p + 3];
      PRIVITY_INDEPENDENT
      for (size_t r = 0; r < rows; ++r) s[r] += x0[r] * v0 + x1[r] * v1 + x2[r] * v2 + x3[r] * v3;
    }
    for (; p < k; ++p) {
      const u64* x0 = x + i + static_cast<ptrdiff_t>(p) * col;
      const u64 v0 = v[p];
      PRIVITY_INDEPENDENT
      for (size_t r = 0; r < rows; ++r) s[r] += x0[r] * v0;
    }
  }
}

void gemv(size_t m, size_t k, Matrix x, const u64* v, u64* sum) {
  if (x.col == 1) return gemv_rows(m, k, x.data, x.row, v, sum);
  if (x.row == 1) return gemv_columns(m, k, x.data, x.col, v, sum);
  for (size_t i = 0; i < m; ++i) {
    const u64* x0 = x.from(i, 0).data;
    u64 s0 = 0;
    for (size_t p = 0; p < k; ++p) s0 += x0[static_cast<ptrdiff_t>(p) * x.col] * v[p];
    sum[i] += s0;
  }
}

}  // namespace
}  // namespace privity
