// Kernels over Z_2^64 on plain memory. Nothing here knows of Python; src/privity/ring/reference.py is the definition.
//
// One table of functions per instruction set; every table computes exactly the same. Elementwise kernels let the output
// be one of the inputs (the same address), but not overlap one otherwise.

#pragma once

#include <cstddef>
#include <cstdint>

namespace privity {

using u64 = std::uint64_t;

// Word (i, j) lies at data[i * row + j * col]: strides in words, of any sign.
struct Matrix {
  const u64* data;
  std::ptrdiff_t row;
  std::ptrdiff_t col;

  Matrix transposed() const { return {data, col, row}; }
  Matrix from(std::size_t i, std::size_t j) const {
    return {data + static_cast<std::ptrdiff_t>(i) * row + static_cast<std::ptrdiff_t>(j) * col, row, col};
  }
};

// One summand of a product: left @ (right + also). `also.data` is null where there is no second matrix.
struct Term {
  Matrix left;
  Matrix right;
  Matrix also;
};

struct Kernels {
  const char* name;

  // c (m rows of n words, `pitch` words apart) = sum of `count` terms of inner length k. False: out of memory.
  bool (*gemm)(std::size_t m, std::size_t n, std::size_t k, const Term* terms, int count, u64* c, std::size_t pitch);
  // sum[j * pitch + i] += x[i, :] @ v[j], for m rows of k words and n vectors of k words, one after the other.
  void (*thin)(std::size_t m, std::size_t k, Matrix x, std::size_t n, const u64* v, u64* sum, std::size_t pitch);

  void (*rep3_mul)(std::size_t n, const u64* xa, const u64* xb, const u64* ya, const u64* yb, const u64* ra,
                   const u64* rb, u64* out);
  void (*rep3_and)(std::size_t n, const u64* xa, const u64* xb, const u64* ya, const u64* yb, const u64* ra,
                   const u64* rb, u64* out);
  void (*rep3_dot)(std::size_t m, std::size_t k, const u64* xa, const u64* xb, const u64* ya, const u64* yb, u64* out);

  // out[i] = XOR over p of x[i, p] & y[p] of this party's parts: x 0/1 words (m, k), y k lines of w words, out m lines.
  void (*rep3_select)(std::size_t m, std::size_t k, std::size_t w, const u64* xa, const u64* xb, const u64* ya,
                      const u64* yb, u64* out);

  void (*trunc_known_u)(std::size_t n, const u64* u, int d, const u64* ra, const u64* mask_b, u64* a, u64* b);
  void (*trunc_known_v)(std::size_t n, const u64* v, int d, const u64* t, u64* out);
  void (*bit_times)(std::size_t n, const u64* m, const u64* v, const u64* r, int d, u64* out);

  // Carry trees on planes of `width` words: see trees.h.
  void (*monomials)(std::size_t digits, std::size_t width, int bits, const u64* planes, u64* out);
  void (*fold_digits)(std::size_t digits, std::size_t width, int bits, const u64* x, const u64* planes, u64 constant,
                      u64* out);
  void (*and_level)(std::size_t positions, std::size_t width, const u64* sa, const u64* sb, const u64* ra,
                    const u64* rb, u64* za, u64* zb);

  // Sine series: see waves.h.
  void (*waves)(std::size_t n, const u64* angle, const u64* tables, int turn_bits, int count, int scale, u64* out);
  void (*wave_sum)(std::size_t n, const u64* angle, const u64* dealt, const u64* tables, int turn_bits, int count,
                   const u64* sines, const u64* cosines, int shift, u64* out);

  void (*to_planes)(std::size_t n, const u64* x, int k, u64* planes);
  void (*from_planes)(std::size_t n, const u64* planes, int k, u64* x);
  void (*pack_low)(std::size_t n, const u64* x, int k, std::uint8_t* stream);
  void (*unpack_low)(std::size_t n, const std::uint8_t* stream, int k, u64* x);
};

extern const Kernels kBaseline;
#ifdef PRIVITY_X86
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif

}  // namespace privity
