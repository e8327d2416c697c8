// Products of matrices of bits: lines of packed bits, of which each row of the left matrix adds some up.

#pragma once

#include "kernels.h"

namespace privity {
namespace {

using std::size_t;

// Rows of x four at a time over pieces of the lines that stay in the first-level cache. No branch and no address depends
// on x, which is secret: a word of ones or zeros says whether a line counts.
void rep3_select(size_t m, size_t k, size_t w, const u64* xa, const u64* xb, const u64* ya, const u64* yb, u64* out) {
  constexpr size_t piece = 256, group = 4;
  u64 sum[group][piece];
  for (size_t start = 0; start < w; start += piece) {
    const size_t words = w - start < piece ? w - start : piece;
    for (size_t i = 0; i < m; i += group) {
      const size_t rows = m - i < group ? m - i : group;
      memset(sum, 0, sizeof sum);
      for (size_t p = 0; p < k; ++p) {
        const u64 *a = ya + p * w + start, *b = yb + p * w + start;
        u64 one[group] = {}, two[group] = {};
        for (size_t r = 0; r < rows; ++r) {
          one[r] = u64{0} - xa[(i + r) * k + p];
          two[r] = u64{0} - xb[(i + r) * k + p];
        }
        PRIVITY_INDEPENDENT
        for (size_t j = 0; j < words; ++j) {
          const u64 low = a[j], both = low ^ b[j];
          sum[0][j] ^= (both & one[0]) ^ (low & two[0]);
          sum[1][j] ^= (both & one[1]) ^ (low & two[1]);
          sum[2][j] ^= (both & one[2]) ^ (low & two[2]);
          sum[3][j] ^= (both & one[3]) ^ (low & two[3]);
        }
      }
      for (size_t r = 0; r < rows; ++r) memcpy(out + (i + r) * w + start, sum[r], words * sizeof(u64));
    }
  }
}

}  // namespace
}  // namespace privity
