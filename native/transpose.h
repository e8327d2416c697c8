// 64 x 64 bit transposes: 64 words of 64 bits <-> 64 bit planes of one word.

#pragma once

#include "kernels.h"

#if defined(PRIVITY_AVX512)
#include <immintrin.h>
#endif

namespace privity {
namespace {

using std::size_t;

// Bit planes are written and read kBlocks words (one cache line) at a time.
constexpr size_t kBlocks = 8;

#if defined(PRIVITY_AVX512)

// Transposes 8 x 8 units of 16 bits within each 128-bit lane; its own inverse.
inline void transpose_units(__m512i* r) {
  const __m512i t0 = _mm512_unpacklo_epi16(r[0], r[1]), t1 = _mm512_unpackhi_epi16(r[0], r[1]);
  const __m512i t2 = _mm512_unpacklo_epi16(r[2], r[3]), t3 = _mm512_unpackhi_epi16(r[2], r[3]);
  const __m512i t4 = _mm512_unpacklo_epi16(r[4], r[5]), t5 = _mm512_unpackhi_epi16(r[4], r[5]);
  const __m512i t6 = _mm512_unpacklo_epi16(r[6], r[7]), t7 = _mm512_unpackhi_epi16(r[6], r[7]);
  const __m512i u0 = _mm512_unpacklo_epi32(t0, t2), u1 = _mm512_unpackhi_epi32(t0, t2);
  const __m512i u2 = _mm512_unpacklo_epi32(t1, t3), u3 = _mm512_unpackhi_epi32(t1, t3);
  const __m512i u4 = _mm512_unpacklo_epi32(t4, t6), u5 = _mm512_unpackhi_epi32(t4, t6);
  const __m512i u6 = _mm512_unpacklo_epi32(t5, t7), u7 = _mm512_unpackhi_epi32(t5, t7);
  r[0] = _mm512_unpacklo_epi64(u0, u4), r[1] = _mm512_unpackhi_epi64(u0, u4);
  r[2] = _mm512_unpacklo_epi64(u1, u5), r[3] = _mm512_unpackhi_epi64(u1, u5);
  r[4] = _mm512_unpacklo_epi64(u2, u6), r[5] = _mm512_unpackhi_epi64(u2, u6);
  r[6] = _mm512_unpacklo_epi64(u3, u7), r[7] = _mm512_unpackhi_epi64(u3, u7);
}

// Register i takes words 16 l + 2 i and the next one into lane l; once the bytes of such a pair lie side by side and
// the units are transposed, register b holds byte b of all 64 words in their order, and one instruction collects the
// top bits of its 64 bytes.
inline void transpose_to_planes(const u64* x, int k, u64* planes, size_t pitch) {
  const __m512i pair = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
  __m512i r[8];
  for (size_t i = 0; i < 8; ++i) {
    const __m128i* from = reinterpret_cast<const __m128i*>(x + 2 * i);
    __m512i z = _mm512_castsi128_si512(_mm_loadu_si128(from));
    z = _mm512_inserti64x2(z, _mm_loadu_si128(from + 8), 1);
    z = _mm512_inserti64x2(z, _mm_loadu_si128(from + 16), 2);
    z = _mm512_inserti64x2(z, _mm_loadu_si128(from + 24), 3);
    r[i] = _mm512_shuffle_epi8(z, pair);
  }
  transpose_units(r);
  for (int b = 0; 8 * b < k; ++b) {
    const int bits = k - 8 * b < 8 ? k - 8 * b : 8;
    // the wanted bits move to the top one by one, highest first
    __m512i bytes = _mm512_sll_epi16(r[b], _mm_cvtsi32_si128(8 - bits));
    for (int j = bits - 1; j >= 0; --j) {
      planes[static_cast<size_t>(8 * b + j) * pitch] = _mm512_movepi8_mask(bytes);
      bytes = _mm512_add_epi8(bytes, bytes);
    }
  }
}

inline void transpose_from_planes(const u64* planes, size_t pitch, int k, u64* x) {
  const __m512i split = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
  __m512i r[8];
  for (int b = 0; b < 8; ++b) {
    __m512i bytes = _mm512_setzero_si512();
    const int bits = k - 8 * b < 8 ? k - 8 * b : 8;
    for (int j = bits - 1; j >= 0; --j) {
      const __mmask64 plane = planes[static_cast<size_t>(8 * b + j) * pitch];
      bytes = _mm512_add_epi8(bytes, bytes);
      bytes = _mm512_mask_sub_epi8(bytes, plane, bytes, _mm512_set1_epi8(-1));
    }
    r[b] = bytes;
  }
  transpose_units(r);
  for (size_t i = 0; i < 8; ++i) {
    const __m512i z = _mm512_shuffle_epi8(r[i], split);
    __m128i* to = reinterpret_cast<__m128i*>(x + 2 * i);
    _mm_storeu_si128(to, _mm512_castsi512_si128(z));
    _mm_storeu_si128(to + 8, _mm512_extracti64x2_epi64(z, 1));
    _mm_storeu_si128(to + 16, _mm512_extracti64x2_epi64(z, 2));
    _mm_storeu_si128(to + 24, _mm512_extracti64x2_epi64(z, 3));
  }
}

#else

// Swaps ever smaller off-diagonal quarters (Warren, Hacker's Delight, 7-3); its own inverse.
template <int kStep>
inline void swap_quarters(u64* a, u64 mask) {
  for (int i = 0; i < 64; i += 2 * kStep) {
    PRIVITY_INDEPENDENT
    for (int j = 0; j < kStep; ++j) {
      const u64 t = ((a[i + j] >> kStep) ^ a[i + j + kStep]) & mask;
      a[i + j] ^= t << kStep;
      a[i + j + kStep] ^= t;
    }
  }
}

inline void transpose(u64* a) {
  swap_quarters<32>(a, 0x00000000ffffffff);
  swap_quarters<16>(a, 0x0000ffff0000ffff);
  swap_quarters<8>(a, 0x00ff00ff00ff00ff);
  swap_quarters<4>(a, 0x0f0f0f0f0f0f0f0f);
  swap_quarters<2>(a, 0x3333333333333333);
  swap_quarters<1>(a, 0x5555555555555555);
}

inline void transpose_to_planes(const u64* x, int k, u64* planes, size_t pitch) {
  alignas(64) u64 a[64];
  memcpy(a, x, sizeof a);
  transpose(a);
  for (int j = 0; j < k; ++j) planes[static_cast<size_t>(j) * pitch] = a[j];
}

inline void transpose_from_planes(const u64* planes, size_t pitch, int k, u64* x) {
  alignas(64) u64 a[64] = {};
  for (int j = 0; j < k; ++j) a[j] = planes[static_cast<size_t>(j) * pitch];
  transpose(a);
  memcpy(x, a, sizeof a);
}

#endif

}  // namespace
}  // namespace privity
