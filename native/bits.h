// Bit planes and dense bit streams.

#pragma once

#include "kernels.h"
#include "transpose.h"

namespace privity {
namespace {

using std::size_t;
using Byte = std::uint8_t;

// Planes lie W words apart, often a power of two: 64 single words would fall on few cache sets and drive each other
// out. So kBlocks words of every plane are gathered in a small table first and then moved as whole lines.
void to_planes(size_t n, const u64* x, int k, u64* planes) {
  const size_t width = (n + 63) / 64;
  alignas(64) u64 table[64][kBlocks];
  for (size_t w = 0; w < width; w += kBlocks) {
    const size_t count = width - w < kBlocks ? width - w : kBlocks;
    for (size_t c = 0; c < count; ++c) {
      const size_t start = 64 * (w + c);
      if (n - start >= 64) {
        transpose_to_planes(x + start, k, &table[0][c], kBlocks);
      } else {
        alignas(64) u64 rest[64] = {};
        memcpy(rest, x + start, (n - start) * sizeof(u64));
        transpose_to_planes(rest, k, &table[0][c], kBlocks);
      }
    }
    for (int j = 0; j < k; ++j) {
      u64* line = planes + static_cast<size_t>(j) * width + w;
      if (count == kBlocks) {
        memcpy(line, table[j], sizeof table[j]);
      } else {
        memcpy(line, table[j], count * sizeof(u64));
      }
    }
  }
}

void from_planes(size_t n, const u64* planes, int k, u64* x) {
  const size_t width = (n + 63) / 64;
  alignas(64) u64 table[64][kBlocks];
  for (size_t w = 0; w < width; w += kBlocks) {
    const size_t count = width - w < kBlocks ? width - w : kBlocks;
    for (int j = 0; j < k; ++j) {
      const u64* line = planes + static_cast<size_t>(j) * width + w;
      if (count == kBlocks) {
        memcpy(table[j], line, sizeof table[j]);
      } else {
        memcpy(table[j], line, count * sizeof(u64));
      }
    }
    for (size_t c = 0; c < count; ++c) {
      const size_t start = 64 * (w + c);
      if (n - start >= 64) {
        transpose_from_planes(&table[0][c], kBlocks, k, x + start);
      } else {
        alignas(64) u64 rest[64];
        transpose_from_planes(&table[0][c], kBlocks, k, rest);
        memcpy(x + start, rest, (n - start) * sizeof(u64));
      }
    }
  }
}

inline u64 load(const Byte* from) {
  u64 word;
  memcpy(&word, from, sizeof word);
  return word;
}

template <typename Item>
void narrow(size_t n, const u64* x, Byte* stream) {
  for (size_t i = 0; i < n; ++i) {
    const Item item = static_cast<Item>(x[i]);
    memcpy(stream + i * sizeof item, &item, sizeof item);
  }
}

template <typename Item>
void widen(size_t n, const Byte* stream, u64* x) {
  for (size_t i = 0; i < n; ++i) {
    Item item;
    memcpy(&item, stream + i * sizeof item, sizeof item);
    x[i] = item;
  }
}

// Eight values are k bytes exactly, so every group of eight starts on a byte. Within a group the values are joined in
// registers until a word is full; the word is complete when it is stored.
template <int kBits>
void pack_groups(size_t groups, const u64* x, Byte* stream) {
  constexpr u64 mask = kBits == 64 ? ~u64{0} : (u64{1} << (kBits & 63)) - 1;
  for (size_t g = 0; g < groups; ++g, x += 8, stream += kBits) {
    u64 word = 0;
    int at = 0;
    Byte* to = stream;
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const u64 value = x[i] & mask;
      word |= value << (at & 63);
      at += kBits;
      if (at >= 64) {
        memcpy(to, &word, 8);
        to += 8;
        at -= 64;
        word = at == 0 ? 0 : value >> ((kBits - at) & 63);
      }
    }
    if (at != 0) memcpy(to, &word, static_cast<size_t>(at / 8));
  }
}

// Group by group as above. A value is cut out of one word, or of two where it crosses their border.
template <int kBits>
void unpack_groups(size_t groups, const Byte* stream, u64* x) {
  constexpr u64 mask = kBits == 64 ? ~u64{0} : (u64{1} << (kBits & 63)) - 1;
  for (size_t g = 0; g < groups; ++g, x += 8, stream += kBits) {
    u64 words[9] = {};
#pragma GCC unroll 8
    for (int w = 0; w < kBits / 8; ++w) words[w] = load(stream + 8 * w);
    if constexpr (kBits < 8) {
      memcpy(words, stream, kBits);
    } else if constexpr (kBits % 8 != 0) {
      // the last bytes come with a whole word that ends with them: a short copy would be stored and read again
      words[kBits / 8] = load(stream + kBits - 8) >> (64 - 8 * (kBits % 8));
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const int at = i * kBits, word = at / 64, shift = at % 64;
      u64 value = words[word] >> shift;
      if (shift + kBits > 64) value |= words[word + 1] << ((64 - shift) & 63);
      x[i] = value & mask;
    }
  }
}

using PackGroups = void (*)(size_t, const u64*, Byte*);
using UnpackGroups = void (*)(size_t, const Byte*, u64*);

template <int... kBits>
struct Widths {
  static constexpr PackGroups pack[] = {pack_groups<kBits>...};
  static constexpr UnpackGroups unpack[] = {unpack_groups<kBits>...};
};

template <int kMore, int... kBits>
struct UpTo : UpTo<kMore - 1, kMore, kBits...> {};
template <int... kBits>
struct UpTo<0, kBits...> : Widths<kBits...> {};

void pack_low(size_t n, const u64* x, int k, Byte* stream) {
  if (k == 8) return narrow<std::uint8_t>(n, x, stream);
  if (k == 16) return narrow<std::uint16_t>(n, x, stream);
  if (k == 32) return narrow<std::uint32_t>(n, x, stream);
  if (k == 64) return narrow<u64>(n, x, stream);
  const size_t groups = n / 8, left = n % 8;
  UpTo<64>::pack[k - 1](groups, x, stream);
  if (left == 0) return;
  u64 last[8] = {};
  Byte bytes[64];
  memcpy(last, x + 8 * groups, left * sizeof(u64));
  UpTo<64>::pack[k - 1](1, last, bytes);
  const size_t bits = static_cast<size_t>(k);
  memcpy(stream + groups * bits, bytes, (left * bits + 7) / 8);
}

void unpack_low(size_t n, const Byte* stream, int k, u64* x) {
  if (k == 8) return widen<std::uint8_t>(n, stream, x);
  if (k == 16) return widen<std::uint16_t>(n, stream, x);
  if (k == 32) return widen<std::uint32_t>(n, stream, x);
  if (k == 64) return widen<u64>(n, stream, x);
  const size_t groups = n / 8, left = n % 8;
  UpTo<64>::unpack[k - 1](groups, stream, x);
  if (left == 0) return;
  u64 last[8];
  Byte bytes[64] = {};
  const size_t bits = static_cast<size_t>(k);
  memcpy(bytes, stream + groups * bits, (left * bits + 7) / 8);
  UpTo<64>::unpack[k - 1](1, bytes, last);
  memcpy(x + 8 * groups, last, left * sizeof(u64));
}

}  // namespace
}  // namespace privity
