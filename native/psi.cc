#include "psi.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "dispatch.h"

#ifdef PRIVITY_X86
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace privity {
namespace {

using std::size_t;
using std::uint32_t;
using std::uint8_t;

// ------------------------------------------------------------------------------------- SHA-256 (FIPS 180-4)

constexpr uint32_t kStart[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

alignas(16) constexpr uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

inline uint32_t turn(uint32_t x, int by) { return x >> by | x << (32 - by); }
inline uint32_t load_word(const uint8_t* p) {
  uint32_t word;
  memcpy(&word, p, 4);
  return __builtin_bswap32(word);
}

void compress_portable(uint32_t* state, const uint8_t* block) {
  uint32_t w[64];
  for (int t = 0; t < 16; ++t) w[t] = load_word(block + 4 * t);
  for (int t = 16; t < 64; ++t) {
    const uint32_t s0 = turn(w[t - 15], 7) ^ turn(w[t - 15], 18) ^ w[t - 15] >> 3;
    const uint32_t s1 = turn(w[t - 2], 17) ^ turn(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int t = 0; t < 64; ++t) {
    const uint32_t sum = (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + h + kRound[t] + w[t];
    const uint32_t more = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + sum, d = c, c = b, b = a, a = sum + more;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

#ifdef PRIVITY_X86

#define PRIVITY_SHA __attribute__((target("sha,sse4.1,ssse3")))

// The order in which the instructions want the eight words of the state: ABEF and CDGH.
PRIVITY_SHA inline void load_state(const uint32_t* state, __m128i& abef, __m128i& cdgh) {
  const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));
  const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4));
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  abef = _mm_alignr_epi8(cdab, efgh, 8);
  cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

PRIVITY_SHA inline void store_state(uint32_t* state, __m128i abef, __m128i cdgh) {
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

// One block for each of kLanes states, side by side: a round waits for the one before it, so two lanes cost little more
// than one.
template <int kLanes>
PRIVITY_SHA inline void compress_x86(uint32_t (*state)[8], const uint8_t* const* blocks) {
  const __m128i swap = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
  __m128i abef[kLanes], cdgh[kLanes], w[kLanes][4];
  for (int l = 0; l < kLanes; ++l) {
    load_state(state[l], abef[l], cdgh[l]);
    for (int i = 0; i < 4; ++i) {
      w[l][i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(blocks[l] + 16 * i)), swap);
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < 16; ++t) {
    const __m128i k = _mm_load_si128(reinterpret_cast<const __m128i*>(kRound + 4 * t));
#pragma GCC unroll 2
    for (int l = 0; l < kLanes; ++l) {
      const __m128i now = w[l][t % 4];
      __m128i sum = _mm_add_epi32(now, k);
      cdgh[l] = _mm_sha256rnds2_epu32(cdgh[l], abef[l], sum);
      abef[l] = _mm_sha256rnds2_epu32(abef[l], cdgh[l], _mm_shuffle_epi32(sum, 0x0e));
      if (t < 12) {  // words 4 t + 16 .. 4 t + 19 take the place of words 4 t .. 4 t + 3
        const __m128i last = w[l][(t + 3) % 4];
        __m128i next = _mm_sha256msg1_epu32(now, w[l][(t + 1) % 4]);
        next = _mm_add_epi32(next, _mm_alignr_epi8(last, w[l][(t + 2) % 4], 4));
        w[l][t % 4] = _mm_sha256msg2_epu32(next, last);
      }
    }
  }
  for (int l = 0; l < kLanes; ++l) {
    __m128i abef0, cdgh0;
    load_state(state[l], abef0, cdgh0);
    store_state(state[l], _mm_add_epi32(abef[l], abef0), _mm_add_epi32(cdgh[l], cdgh0));
  }
}

PRIVITY_SHA void compress_one(uint32_t* state, const uint8_t* block) {
  compress_x86<1>(reinterpret_cast<uint32_t(*)[8]>(state), &block);
}

PRIVITY_SHA void compress_two(uint32_t (*state)[8], const uint8_t* const* blocks) { compress_x86<2>(state, blocks); }

bool has_sha() {
  static const bool found = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__builtin_cpu_supports("ssse3") || !__builtin_cpu_supports("sse4.1")) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0;
  }();
  return found;
}

#else

bool has_sha() { return false; }

#endif

using Compress = void (*)(uint32_t* state, const uint8_t* block);

Compress compression() {
#ifdef PRIVITY_X86
  if (hashes_natively()) return compress_one;
#endif
  return compress_portable;
}

void put_length(uint8_t* end, u64 bytes) {  // the message's length in bits, big-endian, before `end`
  const u64 bits = __builtin_bswap64(8 * bytes);
  memcpy(end - 8, &bits, 8);
}

void put_digest(const uint32_t* state, u64* out) {
  uint32_t words[4];
  for (int i = 0; i < 4; ++i) words[i] = __builtin_bswap32(state[i]);
  memcpy(out, words, 16);
}

}  // namespace

bool hashes_natively() { return has_sha() && &active() != &kBaseline; }

void digest_items(size_t n, const uint8_t* data, const u64* offsets, const uint8_t* prefix, u64* out) {
  constexpr size_t kPrefix = 32, kFirst = 64 - kPrefix;
  const Compress compress = compression();
  for (size_t i = 0; i < n; ++i) {
    const uint8_t* item = data + offsets[i];
    const size_t length = offsets[i + 1] - offsets[i];
    uint32_t state[8];
    memcpy(state, kStart, sizeof state);
    uint8_t block[64];
    memcpy(block, prefix, kPrefix);
    size_t used = length < kFirst ? length : kFirst;
    if (used != 0) memcpy(block + kPrefix, item, used);
    size_t filled = kPrefix + used;
    while (filled == 64) {
      compress(state, block);
      filled = length - used < 64 ? length - used : 64;
      if (filled != 0) memcpy(block, item + used, filled);
      used += filled;
    }
    block[filled++] = 0x80;
    if (filled > 56) {
      memset(block + filled, 0, 64 - filled);
      compress(state, block);
      filled = 0;
    }
    memset(block + filled, 0, 64 - filled);
    put_length(block + 64, kPrefix + length);
    compress(state, block);
    put_digest(state, out + 2 * i);
  }
}

bool digest_rows(size_t n, size_t h, size_t width, const u64* rows, const u64* places, const u64* codes,
                 const u64* mask, u64* out) {
  constexpr size_t kAhead = 16;  // rows lie anywhere: ask for them before they are needed
  const size_t total = n * h, bytes = 8 * (width + 1), blocks = (bytes + 9 + 63) / 64;
  std::vector<uint8_t> messages;
  try {
    messages.assign(2 * 64 * blocks, 0);
  } catch (const std::bad_alloc&) {
    return false;
  }
  uint8_t* message[2] = {messages.data(), messages.data() + 64 * blocks};
  for (uint8_t* each : message) {
    each[bytes] = 0x80;
    put_length(each + 64 * blocks, bytes);
  }
  const Compress compress = compression();
  const auto write = [&](size_t at, uint8_t* to) {
    const u64 place = places[at];
    const u64 *row = rows + place * width, *code = codes + at / h * width;
    for (size_t w = 0; w < width; ++w) {
      const u64 word = row[w] ^ (code[w] & mask[w]);
      memcpy(to + 8 * w, &word, 8);
    }
    memcpy(to + 8 * width, &place, 8);
  };
  uint32_t state[2][8];
  size_t at = 0;
  for (; at + 2 <= total; at += 2) {
    if (at + kAhead + 2 <= total) {
      for (size_t next = at + kAhead; next < at + kAhead + 2; ++next) {
        const u64* row = rows + places[next] * width;
        __builtin_prefetch(row);
        __builtin_prefetch(row + width - 1);
      }
    }
    for (size_t l = 0; l < 2; ++l) {
      write(at + l, message[l]);
      memcpy(state[l], kStart, sizeof kStart);
    }
    for (size_t b = 0; b < blocks; ++b) {
#ifdef PRIVITY_X86
      if (compress == compress_one) {
        const uint8_t* two[2] = {message[0] + 64 * b, message[1] + 64 * b};
        compress_two(state, two);
        continue;
      }
#endif
      compress(state[0], message[0] + 64 * b);
      compress(state[1], message[1] + 64 * b);
    }
    put_digest(state[0], out + 2 * at);
    put_digest(state[1], out + 2 * at + 2);
  }
  if (at < total) {
    write(at, message[0]);
    memcpy(state[0], kStart, sizeof kStart);
    for (size_t b = 0; b < blocks; ++b) compress(state[0], message[0] + 64 * b);
    put_digest(state[0], out + 2 * at);
  }
  return true;
}

// ------------------------------------------------------------------------------------------ cuckoo hashing

bool cuckoo(size_t n, const u64* bins, size_t m, u64* table) {
  constexpr size_t kAhead = 8;
  std::vector<u64> queue, from, seen;
  try {
    queue.resize(m), from.resize(m), seen.resize(m);
  } catch (const std::bad_alloc&) {
    return false;
  }
  for (size_t b = 0; b < m; ++b) table[b] = n;
  const u64 root = m;
  for (size_t i = 0; i < n; ++i) {
    if (i + kAhead < n) {
      for (int j = 0; j < 3; ++j) __builtin_prefetch(table + bins[3 * (i + kAhead) + static_cast<size_t>(j)], 1);
    }
    // Breadth first from the item's own bins to the nearest empty one; the items on the way then move up by one.
    size_t head = 0, tail = 0;
    u64 free = m;
    const auto visit = [&](u64 bin, u64 parent) {
      if (seen[bin] == i + 1) return false;
      seen[bin] = i + 1, from[bin] = parent, queue[tail++] = bin;
      if (table[bin] != n) return false;
      free = bin;
      return true;
    };
    bool found = false;
    for (int j = 0; j < 3 && !found; ++j) found = visit(bins[3 * i + static_cast<size_t>(j)], root);
    while (!found && head < tail) {
      const u64 bin = queue[head++], item = table[bin];
      for (int j = 0; j < 3 && !found; ++j) found = visit(bins[3 * item + static_cast<size_t>(j)], bin);
    }
    if (!found) continue;
    while (from[free] != root) {
      table[free] = table[from[free]];
      free = from[free];
    }
    table[free] = i;
  }
  return true;
}

}  // namespace privity
