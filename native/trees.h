// Carry trees on bit planes of `width` words. Positions lie in rows g_0, g_1, t_1, g_2, t_2, ...: position i generates a
// carry (g) or passes one on (t); nothing comes into the lowest one, so it has no t.

#pragma once

#include "kernels.h"

namespace privity {
namespace {

using std::size_t;

// Words of a plane that are folded together: 2^bits lines of this many stay in the first-level cache.
constexpr size_t kFold = 8;

// The products of all non-empty sets of the `bits` planes of each digit: 2^bits - 1 rows a digit, set {j, k, ...} in row
// 2^j + 2^k + ... - 1.
void monomials(size_t digits, size_t width, int bits, const u64* planes, u64* out) {
  const size_t rows = (size_t{1} << bits) - 1;
  for (size_t digit = 0; digit < digits; ++digit, planes += static_cast<size_t>(bits) * width, out += rows * width) {
    for (int j = 0; j < bits; ++j) {
      const size_t half = size_t{1} << j;
      const u64* u = planes + static_cast<size_t>(j) * width;
      u64* to = out + (half - 1) * width;
      memcpy(to, u, width * sizeof(u64));
      for (size_t s = 1; s < half; ++s) {
        const u64* from = out + (s - 1) * width;
        u64* line = to + s * width;
        PRIVITY_INDEPENDENT
        for (size_t w = 0; w < width; ++w) line[w] = from[w] & u[w];
      }
    }
  }
}

// Sums of x (rows as monomials() gives them, `constant` for the empty set) with the weights that the digits v give them:
// were x the monomials of u and constant all ones, g would be the carry out of u + v and t whether u ^ v is all ones.
// From the highest bit down, x_S <- v_j x_S ^ x_{S+j}, after v_j x_{j} went to g.
void fold_digits(size_t digits, size_t width, int bits, const u64* x, const u64* planes, u64 constant, u64* out) {
  const size_t rows = (size_t{1} << bits) - 1;
  u64 table[128][kFold];
  for (size_t digit = 0; digit < digits; ++digit, planes += static_cast<size_t>(bits) * width, x += rows * width) {
    u64* to_g = out + (digit == 0 ? 0 : 2 * digit - 1) * width;
    for (size_t at = 0; at < width; at += kFold) {
      const size_t count = width - at < kFold ? width - at : kFold;
      u64 g[kFold] = {};
      for (int j = bits - 1; j >= 0; --j) {
        const size_t half = size_t{1} << j;
        const u64* v = planes + static_cast<size_t>(j) * width + at;
        const bool first = j == bits - 1;
        const u64* high = first ? x + (half - 1) * width + at : table[half];
        for (size_t w = 0; w < count; ++w) {
          g[w] ^= v[w] & high[w];
          table[0][w] = (v[w] & (first ? constant : table[0][w])) ^ high[w];
        }
        for (size_t s = 1; s < half; ++s) {
          const u64* low = first ? x + (s - 1) * width + at : table[s];
          const u64* top = first ? x + (half + s - 1) * width + at : table[half + s];
          for (size_t w = 0; w < count; ++w) table[s][w] = (v[w] & low[w]) ^ top[w];
        }
      }
      memcpy(to_g + at, g, count * sizeof(u64));
      if (digit > 0) memcpy(to_g + width + at, table[0], count * sizeof(u64));
    }
  }
}

// One line of a masked product, with what is added to it: (x & y) ^ add, of which this party's part.
inline void product_line(size_t width, const u64* xa, const u64* xb, const u64* ya, const u64* yb, const u64* add,
                         const u64* ra, const u64* rb, u64* out) {
  PRIVITY_INDEPENDENT
  for (size_t w = 0; w < width; ++w) out[w] = (xa[w] & (ya[w] ^ yb[w])) ^ (xb[w] & ya[w]) ^ add[w] ^ ra[w] ^ rb[w];
}

inline void product_line(size_t width, const u64* xa, const u64* xb, const u64* ya, const u64* yb, const u64* ra,
                         const u64* rb, u64* out) {
  PRIVITY_INDEPENDENT
  for (size_t w = 0; w < width; ++w) out[w] = (xa[w] & (ya[w] ^ yb[w])) ^ (xb[w] & ya[w]) ^ ra[w] ^ rb[w];
}

// Neighbouring positions combined: g = g_high ^ t_high g_low, t = t_high t_low. za: this party's masked part of every
// new row; a position that is left over moves to the end of both za and zb.
void and_level(size_t positions, size_t width, const u64* sa, const u64* sb, const u64* ra, const u64* rb, u64* za,
               u64* zb) {
  const size_t pairs = positions / 2, fresh = 2 * pairs - 1;
  for (size_t i = 0; i < pairs; ++i) {
    const size_t g_high = (4 * i + 1) * width, t_high = g_high + width;
    const size_t g_low = i == 0 ? 0 : (4 * i - 1) * width, t_low = g_low + width;
    const size_t g = i == 0 ? 0 : (2 * i - 1) * width, t = g + width;
    product_line(width, sa + t_high, sb + t_high, sa + g_low, sb + g_low, sa + g_high, ra + g, rb + g, za + g);
    if (i > 0) product_line(width, sa + t_high, sb + t_high, sa + t_low, sb + t_low, ra + t, rb + t, za + t);
  }
  if (positions % 2 != 0) {
    memcpy(za + fresh * width, sa + (2 * positions - 3) * width, 2 * width * sizeof(u64));
    memcpy(zb + fresh * width, sb + (2 * positions - 3) * width, 2 * width * sizeof(u64));
  }
}

}  // namespace
}  // namespace privity
