// Sine series in integers: src/privity/ring/trig.py is the definition and makes the tables.
//
// `tables` holds (cos, sin) pairs at 30 fractional bits of the chunks of an angle, lowest bits first: 2^width pairs for
// each chunk of at most 12 bits.

#pragma once

#include "kernels.h"

namespace privity {
namespace {

using std::size_t;
using i64 = std::int64_t;

constexpr int kWaveBits = 30;    // fractional bits
constexpr int kChunkBits = 12;   // of an angle
constexpr size_t kWave = 64;     // angles that are worked on together: their harmonics stay in the first-level cache
constexpr int kHarmonics = 32;   // at most

struct Waves {
  i64 cos[kHarmonics][kWave];
  i64 sin[kHarmonics][kWave];
};

// The rotation by the angles of (c1, s1) and (c2, s2) together, rounded.
inline void rotate(size_t m, const i64* c1, const i64* s1, const i64* c2, const i64* s2, i64* c, i64* s) {
  constexpr i64 half = i64{1} << (kWaveBits - 1);
  for (size_t j = 0; j < m; ++j) {
    const i64 a = c1[j], b = s1[j], x = c2[j], y = s2[j];
    c[j] = (a * x - b * y + half) >> kWaveBits;
    s[j] = (b * x + a * y + half) >> kWaveBits;
  }
}

// Harmonics 1 .. count of m <= kWave angles: k = done + 1 .. 2 done from k - done and done.
void harmonics(size_t m, const u64* angle, const u64* tables, int turn_bits, int count, Waves& waves) {
  i64 part_c[kWave], part_s[kWave];
  for (int low = 0; low < turn_bits; low += kChunkBits) {
    const int width = turn_bits - low < kChunkBits ? turn_bits - low : kChunkBits;
    const u64 mask = (u64{1} << width) - 1;
    i64 *c = low == 0 ? waves.cos[0] : part_c, *s = low == 0 ? waves.sin[0] : part_s;
    for (size_t j = 0; j < m; ++j) {
      const u64* pair = tables + 2 * ((angle[j] >> low) & mask);
      c[j] = static_cast<i64>(pair[0]);
      s[j] = static_cast<i64>(pair[1]);
    }
    if (low != 0) rotate(m, waves.cos[0], waves.sin[0], part_c, part_s, waves.cos[0], waves.sin[0]);
    tables += size_t{2} << width;
  }
  for (int done = 1; done < count;) {
    const int more = count - done < done ? count - done : done;
    for (int k = 0; k < more; ++k) {
      rotate(m, waves.cos[k], waves.sin[k], waves.cos[done - 1], waves.sin[done - 1], waves.cos[done + k],
             waves.sin[done + k]);
    }
    done += more;
  }
}

// Cosines, then sines, of harmonics 1 .. count of n angles, rounded to `scale` <= 30 fractional bits: 2 count rows.
void waves(size_t n, const u64* angle, const u64* tables, int turn_bits, int count, int scale, u64* out) {
  const int shift = kWaveBits - scale;
  const i64 half = shift == 0 ? 0 : i64{1} << (shift - 1);
  Waves block;
  for (size_t at = 0; at < n; at += kWave) {
    const size_t m = n - at < kWave ? n - at : kWave;
    harmonics(m, angle + at, tables, turn_bits, count, block);
    for (int k = 0; k < count; ++k) {
      u64 *c = out + static_cast<size_t>(k) * n + at, *s = out + static_cast<size_t>(count + k) * n + at;
      for (size_t j = 0; j < m; ++j) c[j] = static_cast<u64>((block.cos[k][j] + half) >> shift);
      for (size_t j = 0; j < m; ++j) s[j] = static_cast<u64>((block.sin[k][j] + half) >> shift);
    }
  }
}

// round(value * weight / 2^shift), modulo 2^64.
inline u64 weighted(i64 value, u64 weight, int shift, u64 half) {
  return static_cast<u64>(static_cast<i64>(static_cast<u64>(value) * weight + half) >> shift);
}

// sum_k sines[k] (S_k c_k - C_k s_k) + cosines[k] (C_k c_k + S_k s_k) with the harmonics C, S of n angles, weighted by
// the integers and rounded by `shift` >= 1 bits, and `dealt` = rows c_1 .. c_count, s_1 .. s_count.
void wave_sum(size_t n, const u64* angle, const u64* dealt, const u64* tables, int turn_bits, int count,
              const u64* sines, const u64* cosines, int shift, u64* out) {
  const u64 half = u64{1} << (shift - 1);
  Waves block;
  for (size_t at = 0; at < n; at += kWave) {
    const size_t m = n - at < kWave ? n - at : kWave;
    harmonics(m, angle + at, tables, turn_bits, count, block);
    u64 total[kWave] = {};
    for (int k = 0; k < count; ++k) {
      const u64 *c = dealt + static_cast<size_t>(k) * n + at, *s = dealt + static_cast<size_t>(count + k) * n + at;
      const u64 with_sine = sines[k], with_cosine = cosines[k];
      if (with_sine != 0) {
        for (size_t j = 0; j < m; ++j) {
          total[j] += weighted(block.sin[k][j], with_sine, shift, half) * c[j] -
                      weighted(block.cos[k][j], with_sine, shift, half) * s[j];
        }
      }
      if (with_cosine != 0) {
        for (size_t j = 0; j < m; ++j) {
          total[j] += weighted(block.cos[k][j], with_cosine, shift, half) * c[j] +
                      weighted(block.sin[k][j], with_cosine, shift, half) * s[j];
        }
      }
    }
    memcpy(out + at, total, m * sizeof(u64));
  }
}

}  // namespace
}  // namespace privity
