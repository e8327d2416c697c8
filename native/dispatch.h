// Which instruction set runs, products split over threads, and the allocator.

#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace privity {

// Those that this build has and this processor and its operating system can run, best first.
const std::vector<const Kernels*>& available();

// The one in use: the best, unless select() said otherwise.
const Kernels& active();

// False where `name` is not available.
bool select(const std::string& name);

// c (m x n, rows `pitch` words apart) = sum of left @ (right + also) over the terms, all of inner length k. Uses at most
// `threads` threads, the calling one included. Throws std::bad_alloc.
void multiply(const Kernels& kernels, std::size_t m, std::size_t n, std::size_t k, const std::vector<Term>& terms,
              u64* c, std::size_t pitch, unsigned threads);

// glibc only: freed blocks of any size stay in the process.
void keep_freed_memory();

}  // namespace privity
