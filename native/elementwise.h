// Kernels that treat each element alone: written plainly, vectorised by the compiler.

#pragma once

#include "kernels.h"

namespace privity {
namespace {

using std::size_t;

inline u64 low_mask(int d) { return d == 64 ? ~u64{0} : (u64{1} << d) - 1; }

void rep3_mul(size_t n, const u64* xa, const u64* xb, const u64* ya, const u64* yb, const u64* ra, const u64* rb,
              u64* out) {
  PRIVITY_INDEPENDENT
  for (size_t i = 0; i < n; ++i) out[i] = xa[i] * (ya[i] + yb[i]) + xb[i] * ya[i] + ra[i] - rb[i];
}

void rep3_and(size_t n, const u64* xa, const u64* xb, const u64* ya, const u64* yb, const u64* ra, const u64* rb,
              u64* out) {
  PRIVITY_INDEPENDENT
  for (size_t i = 0; i < n; ++i) out[i] = (xa[i] & (ya[i] ^ yb[i])) ^ (xb[i] & ya[i]) ^ ra[i] ^ rb[i];
}

void rep3_dot(size_t m, size_t k, const u64* xa, const u64* xb, const u64* ya, const u64* yb, u64* out) {
  for (size_t i = 0; i < m; ++i, xa += k, xb += k, ya += k, yb += k) {
    u64 sum = 0;
    for (size_t j = 0; j < k; ++j) sum += xa[j] * (ya[j] + yb[j]) + xb[j] * ya[j];
    out[i] = sum;
  }
}

void trunc_known_u(size_t n, const u64* u, int d, const u64* ra, const u64* mask_b, u64* a, u64* b) {
  const u64 mask = low_mask(d);
  PRIVITY_INDEPENDENT
  for (size_t i = 0; i < n; ++i) {
    const u64 ui = u[i], ri = ra[i], mi = mask_b[i], top = ui >> 63;
    a[i] = (ui >> d) - (top << (64 - d)) - ri;
    b[i] = (1 - top - mi) & mask;
  }
}

void trunc_known_v(size_t n, const u64* v, int d, const u64* t, u64* out) {
  const u64 mask = low_mask(d), offset = u64{1} << (62 - d);
  PRIVITY_INDEPENDENT
  for (size_t i = 0; i < n; ++i) {
    const u64 vi = v[i];
    out[i] = (vi >> d) + ((vi & mask) != 0 ? 1 : 0) - (t[i] << (64 - d)) - offset;
  }
}

void bit_times(size_t n, const u64* m, const u64* v, const u64* r, int d, u64* out) {
  const u64 mask = low_mask(d);
  PRIVITY_INDEPENDENT
  // 0 - bit is a mask of all ones or none: cheaper than a product
  for (size_t i = 0; i < n; ++i) out[i] = ((m[i] & (0 - (v[i] >> 63))) - r[i]) & mask;
}

}  // namespace
}  // namespace privity
