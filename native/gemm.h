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

}  // namespace
}  // namespace privity
