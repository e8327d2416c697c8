// All kernels of one instruction set. Included once by each of baseline.cc, avx2.cc and avx512.cc, which set
// PRIVITY_TABLE (the table to define) and are compiled with the flags of their instruction set.
//
// Everything lies in an unnamed namespace, and no C++ standard library header with inline functions is used: otherwise
// the linker could keep a copy of such a function with instructions that an older processor lacks, for all callers.

#pragma once

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

// Arrays are equal or apart, so no store of one turn of the loop is read by another: vectorise.
#if defined(__clang__)
#define PRIVITY_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define PRIVITY_INDEPENDENT _Pragma("GCC ivdep")
#else
#error "the native kernels need GCC or Clang (without them Privity installs its pure build)"
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the native kernels need a little-endian machine (elsewhere Privity installs its pure build)"
#endif

#include "bits.h"
#include "elementwise.h"
#include "gemm.h"
#include "select.h"
#include "thin.h"
#include "trees.h"
#include "waves.h"

namespace privity {

extern const Kernels PRIVITY_TABLE;
const Kernels PRIVITY_TABLE = {
    PRIVITY_LEVEL, gemm,      thin,        rep3_mul,  rep3_and, rep3_dot, rep3_select, trunc_known_u, trunc_known_v,
    bit_times,     monomials, fold_digits, and_level, waves,    wave_sum, to_planes,   from_planes,   pack_low,
    unpack_low,
};

}  // namespace privity
