// Kernels of private set intersection on plain memory. Nothing here knows of Python; src/privity/ring/hashing.py is the
// definition. SHA-256 runs on the processor's own instructions where it has them, else in portable C++, with one result.

#pragma once

#include "kernels.h"

namespace privity {

// Item i is the bytes offsets[i] .. offsets[i + 1] of `data`. out[2 i], out[2 i + 1]: the first 16 bytes of
// SHA-256(prefix || item), where the prefix has 32 bytes.
void digest_items(std::size_t n, const std::uint8_t* data, const u64* offsets, const std::uint8_t* prefix, u64* out);

// out[2 (i h + j)] and the next: the first 16 bytes of SHA-256((rows[k] ^ (codes[i] & mask)) || k) with
// k = places[i h + j], for n codes of `width` words with h places each. False: out of memory.
bool digest_rows(std::size_t n, std::size_t h, std::size_t width, const u64* rows, const u64* places, const u64* codes,
                 const u64* mask, u64* out);

// Places each of n items in one of its three bins (of m), at most one item in a bin: table[b] is the item in bin b, or n
// where there is none. Items for which there is no room, whatever is moved, are left out. False: out of memory.
bool cuckoo(std::size_t n, const u64* bins, std::size_t m, u64* table);

// Whether SHA-256 runs on the processor's own instructions (never at the level "baseline").
bool hashes_natively();

}  // namespace privity
