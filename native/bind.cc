// The Python face of the kernels: module privity.ring._native (its stub says what each function takes).
//
// Every kernel answers None, having touched nothing, to a call that is not plainly what it takes; privity.ring.kernels
// then finds out what is wrong, or copies what is only strange. So there is one place for messages, and the usual call
// pays for a few comparisons only. Arrays are read through NumPy's C interface, which costs a few nanoseconds each.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#include <numpy/arrayobject.h>

#include <initializer_list>
#include <optional>

#include "dispatch.h"
#include "psi.h"

namespace nb = nanobind;

namespace privity {
namespace {

using std::size_t;

// Shorter work keeps the GIL: giving it up and taking it back costs more than the work, above all between threads.
constexpr double kWordsToRelease = 16384;

// Releases the GIL for its lifetime if there is work enough.
class Unlocked {
 public:
  explicit Unlocked(double words) {
    if (words >= kWordsToRelease) release_.emplace();
  }

 private:
  std::optional<nb::gil_scoped_release> release_;
};

PyArrayObject* as_array(nb::handle h) {
  return PyArray_Check(h.ptr()) ? reinterpret_cast<PyArrayObject*>(h.ptr()) : nullptr;
}

bool holds(PyArrayObject* a, bool bytes) {
  const int type = PyArray_TYPE(a);
  const bool fits = bytes ? type == NPY_UINT8 : (type == NPY_ULONG || type == NPY_ULONGLONG) && PyArray_ITEMSIZE(a) == 8;
  return fits && PyArray_ISNOTSWAPPED(a) && PyArray_ISALIGNED(a);
}

bool same_shape(PyArrayObject* a, PyArrayObject* b) {
  return PyArray_NDIM(a) == PyArray_NDIM(b) &&
         PyArray_CompareLists(PyArray_DIMS(a), PyArray_DIMS(b), PyArray_NDIM(a));
}

const u64* words_of(PyArrayObject* a) { return static_cast<const u64*>(PyArray_DATA(a)); }

// A contiguous uint64 array (of `ndim` dimensions, if that is not -1), else null.
PyArrayObject* ring(nb::handle h, int ndim = -1) {
  PyArrayObject* a = as_array(h);
  if (a == nullptr || !holds(a, false) || !PyArray_IS_C_CONTIGUOUS(a)) return nullptr;
  return ndim == -1 || PyArray_NDIM(a) == ndim ? a : nullptr;
}

// Contiguous uint64 arrays of one shape: fills `found` and says whether all are.
template <size_t kCount>
bool same_rings(const nb::handle (&given)[kCount], PyArrayObject* (&found)[kCount], int ndim = -1) {
  for (size_t i = 0; i < kCount; ++i) {
    found[i] = ring(given[i], ndim);
    if (found[i] == nullptr || !same_shape(found[0], found[i])) return false;
  }
  return true;
}

// An int within [low, high].
bool count_from(nb::handle h, long long low, long long high, long long& value) {
  if (!PyLong_CheckExact(h.ptr())) return false;
  int overflow = 0;
  value = PyLong_AsLongLongAndOverflow(h.ptr(), &overflow);
  return overflow == 0 && value >= low && value <= high;
}

constexpr long long kNoLimit = 0x7fffffffffffffff;

// The bytes that an array spans, at any strides.
struct Span {
  const char* low;
  const char* high;
};

Span span_of(PyArrayObject* a) {
  const char* low = PyArray_BYTES(a);
  const char* high = low + PyArray_ITEMSIZE(a);
  for (int i = 0; i < PyArray_NDIM(a); ++i) {
    const npy_intp dim = PyArray_DIM(a, i);
    if (dim == 0) return {low, low};
    (PyArray_STRIDE(a, i) < 0 ? low : high) += (dim - 1) * PyArray_STRIDE(a, i);
  }
  return {low, high};
}

bool apart(PyArrayObject* a, PyArrayObject* b) {
  const Span x = span_of(a), y = span_of(b);
  return x.low == x.high || y.low == y.high || x.high <= y.low || y.high <= x.low;
}

// The array to write to: a new one, or `out` if it is contiguous, writeable, of this shape and apart from all inputs
// (with `in_place` it may also start where an input of the same shape starts). Null otherwise.
nb::object target(nb::handle out, int ndim, const npy_intp* dims, std::initializer_list<PyArrayObject*> inputs,
                  bool in_place, bool bytes = false) {
  if (out.is_none()) {
    PyObject* fresh = PyArray_SimpleNew(ndim, const_cast<npy_intp*>(dims), bytes ? NPY_UINT8 : NPY_UINT64);
    if (fresh == nullptr) throw nb::python_error();
    return nb::steal(fresh);
  }
  PyArrayObject* a = as_array(out);
  if (a == nullptr || !holds(a, bytes) || !PyArray_ISCARRAY(a) || PyArray_NDIM(a) != ndim ||
      !PyArray_CompareLists(PyArray_DIMS(a), const_cast<npy_intp*>(dims), ndim)) {
    return {};
  }
  for (PyArrayObject* input : inputs) {
    if (!apart(a, input) && !(in_place && PyArray_DATA(a) == PyArray_DATA(input))) return {};
  }
  return nb::borrow(out);
}

u64* words_of(const nb::object& o) {
  return static_cast<u64*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(o.ptr())));
}

std::uint8_t* bytes_of(const nb::object& o) {
  return static_cast<std::uint8_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(o.ptr())));
}

// ---------------------------------------------------------------------------------------------- matrix products

// A matrix of uint64 at any strides of whole words.
bool matrix(nb::handle h, PyArrayObject*& a, Matrix& view) {
  a = as_array(h);
  if (a == nullptr || PyArray_NDIM(a) != 2 || !holds(a, false)) return false;
  if (PyArray_STRIDE(a, 0) % 8 != 0 || PyArray_STRIDE(a, 1) % 8 != 0) return false;
  view = {words_of(a), PyArray_STRIDE(a, 0) / 8, PyArray_STRIDE(a, 1) / 8};
  return true;
}

nb::object multiply_into(nb::handle out, nb::handle threads, const std::vector<Term>& terms, PyArrayObject* left,
                         PyArrayObject* right, std::initializer_list<PyArrayObject*> inputs) {
  long long limit = 0;
  if (PyArray_DIM(left, 1) != PyArray_DIM(right, 0) || !count_from(threads, 1, kNoLimit, limit)) return nb::none();
  const npy_intp dims[2] = {PyArray_DIM(left, 0), PyArray_DIM(right, 1)};
  nb::object result = target(out, 2, dims, inputs, false);
  if (!result.is_valid()) return nb::none();
  const size_t m = static_cast<size_t>(dims[0]), n = static_cast<size_t>(dims[1]);
  const size_t k = static_cast<size_t>(PyArray_DIM(left, 1));
  const double products = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const unsigned at_most = static_cast<unsigned>(limit < 1024 ? limit : 1024);
  u64* c = words_of(result);
  const Unlocked unlocked(products);
  multiply(active(), m, n, k, terms, c, n, at_most);
  return result;
}

nb::object matmul(nb::handle x, nb::handle y, nb::handle out, nb::handle threads) {
  PyArrayObject *left = nullptr, *right = nullptr;
  Term term{};
  if (!matrix(x, left, term.left) || !matrix(y, right, term.right)) return nb::none();
  return multiply_into(out, threads, {term}, left, right, {left, right});
}

nb::object rep3_matmul(nb::handle xa, nb::handle xb, nb::handle ya, nb::handle yb, nb::handle out,
                       nb::handle threads) {
  PyArrayObject *left_a = nullptr, *left_b = nullptr, *right_a = nullptr, *right_b = nullptr;
  Term first{}, second{};
  if (!matrix(xa, left_a, first.left) || !matrix(xb, left_b, second.left) || !matrix(ya, right_a, first.right) ||
      !matrix(yb, right_b, first.also) || !same_shape(left_a, left_b) || !same_shape(right_a, right_b)) {
    return nb::none();
  }
  second.right = first.right;
  return multiply_into(out, threads, {first, second}, left_a, right_a, {left_a, left_b, right_a, right_b});
}

// ---------------------------------------------------------------------------------------------------- elementwise

using Masked = decltype(Kernels::rep3_mul);

nb::object masked_product(Masked kernel, const nb::handle (&given)[6], nb::handle out) {
  PyArrayObject* in[6];
  if (!same_rings(given, in)) return nb::none();
  nb::object result =
      target(out, PyArray_NDIM(in[0]), PyArray_DIMS(in[0]), {in[0], in[1], in[2], in[3], in[4], in[5]}, true);
  if (!result.is_valid()) return nb::none();
  const size_t n = static_cast<size_t>(PyArray_SIZE(in[0]));
  u64* to = words_of(result);
  const Unlocked unlocked(static_cast<double>(n));
  kernel(n, words_of(in[0]), words_of(in[1]), words_of(in[2]), words_of(in[3]), words_of(in[4]), words_of(in[5]), to);
  return result;
}

nb::object rep3_mul(nb::handle xa, nb::handle xb, nb::handle ya, nb::handle yb, nb::handle ra, nb::handle rb,
                    nb::handle out) {
  return masked_product(active().rep3_mul, {xa, xb, ya, yb, ra, rb}, out);
}

nb::object rep3_and(nb::handle xa, nb::handle xb, nb::handle ya, nb::handle yb, nb::handle ra, nb::handle rb,
                    nb::handle out) {
  return masked_product(active().rep3_and, {xa, xb, ya, yb, ra, rb}, out);
}

nb::object rep3_dot(nb::handle xa, nb::handle xb, nb::handle ya, nb::handle yb, nb::handle out) {
  PyArrayObject* in[4];
  if (!same_rings({xa, xb, ya, yb}, in, 2)) return nb::none();
  nb::object result = target(out, 1, PyArray_DIMS(in[0]), {in[0], in[1], in[2], in[3]}, false);
  if (!result.is_valid()) return nb::none();
  const size_t m = static_cast<size_t>(PyArray_DIM(in[0], 0)), k = static_cast<size_t>(PyArray_DIM(in[0], 1));
  u64* to = words_of(result);
  const Unlocked unlocked(static_cast<double>(m) * static_cast<double>(k));
  active().rep3_dot(m, k, words_of(in[0]), words_of(in[1]), words_of(in[2]), words_of(in[3]), to);
  return result;
}

nb::object rep3_select(nb::handle xa, nb::handle xb, nb::handle ya, nb::handle yb, nb::handle out) {
  PyArrayObject *x[2], *y[2];
  if (!same_rings({xa, xb}, x, 2) || !same_rings({ya, yb}, y, 2) || PyArray_DIM(x[0], 1) != PyArray_DIM(y[0], 0)) {
    return nb::none();
  }
  const npy_intp dims[2] = {PyArray_DIM(x[0], 0), PyArray_DIM(y[0], 1)};
  nb::object result = target(out, 2, dims, {x[0], x[1], y[0], y[1]}, false);
  if (!result.is_valid()) return nb::none();
  const size_t m = static_cast<size_t>(dims[0]), w = static_cast<size_t>(dims[1]);
  const size_t k = static_cast<size_t>(PyArray_DIM(x[0], 1));
  u64* to = words_of(result);
  const Unlocked unlocked(static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(w));
  active().rep3_select(m, k, w, words_of(x[0]), words_of(x[1]), words_of(y[0]), words_of(y[1]), to);
  return result;
}

nb::object trunc_known_u(nb::handle u, nb::handle d, nb::handle ra, nb::handle mask_b, nb::handle out) {
  PyArrayObject* in[3];
  long long bits = 0;
  if (!same_rings({u, ra, mask_b}, in) || !count_from(d, 1, 62, bits)) return nb::none();
  nb::handle first = nb::none(), second = nb::none();
  if (!out.is_none()) {
    if (!PyTuple_CheckExact(out.ptr()) || PyTuple_GET_SIZE(out.ptr()) != 2) return nb::none();
    first = PyTuple_GET_ITEM(out.ptr(), 0);
    second = PyTuple_GET_ITEM(out.ptr(), 1);
    PyArrayObject *one = as_array(first), *two = as_array(second);
    if (one == nullptr || two == nullptr || !apart(one, two)) return nb::none();
  }
  nb::object a = target(first, PyArray_NDIM(in[0]), PyArray_DIMS(in[0]), {in[0], in[1], in[2]}, true);
  nb::object b = target(second, PyArray_NDIM(in[0]), PyArray_DIMS(in[0]), {in[0], in[1], in[2]}, true);
  if (!a.is_valid() || !b.is_valid()) return nb::none();
  nb::object result = nb::make_tuple(a, b);
  const size_t n = static_cast<size_t>(PyArray_SIZE(in[0]));
  u64 *to_a = words_of(a), *to_b = words_of(b);
  const Unlocked unlocked(static_cast<double>(n));
  active().trunc_known_u(n, words_of(in[0]), static_cast<int>(bits), words_of(in[1]), words_of(in[2]), to_a, to_b);
  return result;
}

nb::object trunc_known_v(nb::handle v, nb::handle d, nb::handle t, nb::handle out) {
  PyArrayObject* in[2];
  long long bits = 0;
  if (!same_rings({v, t}, in) || !count_from(d, 1, 62, bits)) return nb::none();
  nb::object result = target(out, PyArray_NDIM(in[0]), PyArray_DIMS(in[0]), {in[0], in[1]}, true);
  if (!result.is_valid()) return nb::none();
  const size_t n = static_cast<size_t>(PyArray_SIZE(in[0]));
  u64* to = words_of(result);
  const Unlocked unlocked(static_cast<double>(n));
  active().trunc_known_v(n, words_of(in[0]), static_cast<int>(bits), words_of(in[1]), to);
  return result;
}

nb::object bit_times(nb::handle m, nb::handle v, nb::handle r, nb::handle d, nb::handle out) {
  PyArrayObject* in[3];
  long long bits = 0;
  if (!same_rings({m, v, r}, in) || !count_from(d, 1, 64, bits)) return nb::none();
  nb::object result = target(out, PyArray_NDIM(in[0]), PyArray_DIMS(in[0]), {in[0], in[1], in[2]}, true);
  if (!result.is_valid()) return nb::none();
  const size_t n = static_cast<size_t>(PyArray_SIZE(in[0]));
  u64* to = words_of(result);
  const Unlocked unlocked(static_cast<double>(n));
  active().bit_times(n, words_of(in[0]), words_of(in[1]), words_of(in[2]), static_cast<int>(bits), to);
  return result;
}

// ----------------------------------------------------------------------------------------------------------- bits

nb::object to_planes(nb::handle x, nb::handle k, nb::handle out) {
  PyArrayObject* in = ring(x, 1);
  long long bits = 0;
  if (in == nullptr || !count_from(k, 1, 64, bits)) return nb::none();
  const npy_intp n = PyArray_SIZE(in), dims[2] = {static_cast<npy_intp>(bits), (n + 63) / 64};
  nb::object result = target(out, 2, dims, {in}, false);
  if (!result.is_valid()) return nb::none();
  u64* to = words_of(result);
  const Unlocked unlocked(static_cast<double>(n));
  active().to_planes(static_cast<size_t>(n), words_of(in), static_cast<int>(bits), to);
  return result;
}

nb::object from_planes(nb::handle planes, nb::handle n, nb::handle out) {
  PyArrayObject* in = ring(planes, 2);
  long long count = 0;
  if (in == nullptr || !count_from(n, 0, kNoLimit - 63, count)) return nb::none();
  const npy_intp bits = PyArray_DIM(in, 0), dims[1] = {static_cast<npy_intp>(count)};
  if (bits < 1 || bits > 64 || PyArray_DIM(in, 1) != (count + 63) / 64) return nb::none();
  nb::object result = target(out, 1, dims, {in}, false);
  if (!result.is_valid()) return nb::none();
  u64* to = words_of(result);
  const Unlocked unlocked(static_cast<double>(count));
  active().from_planes(static_cast<size_t>(count), words_of(in), static_cast<int>(bits), to);
  return result;
}

nb::object pack_low(nb::handle x, nb::handle k, nb::handle out) {
  PyArrayObject* in = ring(x, 1);
  long long bits = 0;
  if (in == nullptr || !count_from(k, 1, 64, bits)) return nb::none();
  const npy_intp n = PyArray_SIZE(in), dims[1] = {(n * static_cast<npy_intp>(bits) + 7) / 8};
  nb::object result = target(out, 1, dims, {in}, false, true);
  if (!result.is_valid()) return nb::none();
  std::uint8_t* to = bytes_of(result);
  const Unlocked unlocked(static_cast<double>(n));
  active().pack_low(static_cast<size_t>(n), words_of(in), static_cast<int>(bits), to);
  return result;
}

nb::object unpack_low(nb::handle stream, nb::handle k, nb::handle n, nb::handle out) {
  PyArrayObject* in = as_array(stream);
  long long bits = 0, count = 0;
  if (in == nullptr || PyArray_NDIM(in) != 1 || !holds(in, true) || !PyArray_IS_C_CONTIGUOUS(in) ||
      !count_from(k, 1, 64, bits) || !count_from(n, 0, kNoLimit / 64 - 1, count) ||
      PyArray_SIZE(in) != (count * bits + 7) / 8) {
    return nb::none();
  }
  const npy_intp dims[1] = {static_cast<npy_intp>(count)};
  nb::object result = target(out, 1, dims, {in}, false);
  if (!result.is_valid()) return nb::none();
  u64* to = words_of(result);
  const Unlocked unlocked(static_cast<double>(count));
  active().unpack_low(static_cast<size_t>(count), static_cast<const std::uint8_t*>(PyArray_DATA(in)),
                      static_cast<int>(bits), to);
  return result;
}

// ---------------------------------------------------------------------------------------------------- carry trees

constexpr long long kLargestDigit = 8;

// A new array of `rows` planes as wide as those of `like`.
nb::object planes_like(PyArrayObject* like, npy_intp rows) {
  const npy_intp dims[2] = {rows, PyArray_DIM(like, 1)};
  return target(nb::none(), 2, dims, {}, false);
}

nb::object monomials(nb::handle planes, nb::handle bits) {
  PyArrayObject* in = ring(planes, 2);
  long long size = 0;
  if (in == nullptr || !count_from(bits, 1, kLargestDigit, size) || PyArray_DIM(in, 0) % size != 0) return nb::none();
  const npy_intp digits = PyArray_DIM(in, 0) / size, rows = (npy_intp{1} << size) - 1;
  nb::object result = planes_like(in, digits * rows);
  u64* to = words_of(result);
  const size_t width = static_cast<size_t>(PyArray_DIM(in, 1));
  const Unlocked unlocked(static_cast<double>(digits * rows) * static_cast<double>(width));
  active().monomials(static_cast<size_t>(digits), width, static_cast<int>(size), words_of(in), to);
  return result;
}

nb::object fold_digits(nb::handle x, nb::handle planes, nb::handle bits, nb::handle constant) {
  PyArrayObject *from = ring(x, 2), *in = ring(planes, 2);
  long long size = 0;
  if (from == nullptr || in == nullptr || !count_from(bits, 1, kLargestDigit, size) || !PyBool_Check(constant.ptr()) ||
      PyArray_DIM(in, 0) == 0 || PyArray_DIM(in, 0) % size != 0 || PyArray_DIM(from, 1) != PyArray_DIM(in, 1)) {
    return nb::none();
  }
  const npy_intp digits = PyArray_DIM(in, 0) / size, rows = (npy_intp{1} << size) - 1;
  if (PyArray_DIM(from, 0) != digits * rows) return nb::none();
  nb::object result = planes_like(in, 2 * digits - 1);
  u64* to = words_of(result);
  const size_t width = static_cast<size_t>(PyArray_DIM(in, 1));
  const u64 one = constant.ptr() == Py_True ? ~u64{0} : 0;
  const Unlocked unlocked(static_cast<double>(digits * rows) * static_cast<double>(width));
  active().fold_digits(static_cast<size_t>(digits), width, static_cast<int>(size), words_of(from), words_of(in), one, to);
  return result;
}

nb::object and_level(nb::handle sa, nb::handle sb, nb::handle ra, nb::handle rb) {
  PyArrayObject *state[2], *mask[2];
  if (!same_rings({sa, sb}, state, 2) || !same_rings({ra, rb}, mask, 2)) return nb::none();
  const npy_intp rows = PyArray_DIM(state[0], 0), positions = (rows + 1) / 2, pairs = positions / 2;
  if (rows < 3 || rows % 2 == 0 || PyArray_DIM(mask[0], 0) != 2 * pairs - 1 ||
      PyArray_DIM(mask[0], 1) != PyArray_DIM(state[0], 1)) {
    return nb::none();
  }
  nb::object a = planes_like(state[0], 2 * (positions - pairs) - 1), b = planes_like(state[0], 2 * (positions - pairs) - 1);
  nb::object result = nb::make_tuple(a, b);
  u64 *to_a = words_of(a), *to_b = words_of(b);
  const size_t width = static_cast<size_t>(PyArray_DIM(state[0], 1));
  const Unlocked unlocked(static_cast<double>(rows) * static_cast<double>(width));
  active().and_level(static_cast<size_t>(positions), width, words_of(state[0]), words_of(state[1]), words_of(mask[0]),
                     words_of(mask[1]), to_a, to_b);
  return result;
}

// ---------------------------------------------------------------------------------------------------- sine series

constexpr long long kMostHarmonics = 32, kLongestTurn = 60;

// The pairs of all chunks of an angle of `turn_bits` bits: see waves.h.
bool wave_tables(nb::handle h, long long turn_bits, PyArrayObject*& tables) {
  npy_intp pairs = 0;
  for (long long low = 0; low < turn_bits; low += 12) pairs += npy_intp{1} << (turn_bits - low < 12 ? turn_bits - low : 12);
  tables = ring(h, 2);
  return tables != nullptr && PyArray_DIM(tables, 0) == pairs && PyArray_DIM(tables, 1) == 2;
}

nb::object waves_of(nb::handle angle, nb::handle tables, nb::handle turn_bits, nb::handle count, nb::handle scale) {
  PyArrayObject *in = ring(angle, 1), *pairs = nullptr;
  long long turn = 0, most = 0, bits = 0;
  if (in == nullptr || !count_from(turn_bits, 1, kLongestTurn, turn) || !count_from(count, 1, kMostHarmonics, most) ||
      !count_from(scale, 1, 30, bits) || !wave_tables(tables, turn, pairs)) {
    return nb::none();
  }
  const npy_intp n = PyArray_SIZE(in), dims[2] = {2 * static_cast<npy_intp>(most), n};
  nb::object result = target(nb::none(), 2, dims, {}, false);
  u64* to = words_of(result);
  const Unlocked unlocked(2.0 * static_cast<double>(most) * static_cast<double>(n));
  active().waves(static_cast<size_t>(n), words_of(in), words_of(pairs), static_cast<int>(turn), static_cast<int>(most),
                 static_cast<int>(bits), to);
  return result;
}

nb::object wave_sum_of(nb::handle angle, nb::handle dealt, nb::handle tables, nb::handle turn_bits, nb::handle factors,
                       nb::handle shift) {
  PyArrayObject *in = ring(angle, 1), *from = ring(dealt, 2), *weights = ring(factors, 2), *pairs = nullptr;
  long long turn = 0, cut = 0;
  if (in == nullptr || from == nullptr || weights == nullptr || PyArray_DIM(weights, 0) != 2 ||
      !count_from(turn_bits, 1, kLongestTurn, turn) || !count_from(shift, 1, 62, cut) ||
      !wave_tables(tables, turn, pairs)) {
    return nb::none();
  }
  const npy_intp n = PyArray_SIZE(in), most = PyArray_DIM(weights, 1), dims[1] = {n};
  if (most < 1 || most > kMostHarmonics || PyArray_DIM(from, 0) != 2 * most || PyArray_DIM(from, 1) != n) return nb::none();
  nb::object result = target(nb::none(), 1, dims, {}, false);
  u64* to = words_of(result);
  const u64* sines = words_of(weights);
  const Unlocked unlocked(4.0 * static_cast<double>(most) * static_cast<double>(n));
  active().wave_sum(static_cast<size_t>(n), words_of(in), words_of(from), words_of(pairs), static_cast<int>(turn),
                    static_cast<int>(most), sines, sines + most, static_cast<int>(cut), to);
  return result;
}

// ---------------------------------------------------------------------------------- private set intersection

// A contiguous array of bytes in one dimension, else null.
PyArrayObject* byte_row(nb::handle h) {
  PyArrayObject* a = as_array(h);
  return a != nullptr && PyArray_NDIM(a) == 1 && holds(a, true) && PyArray_IS_C_CONTIGUOUS(a) ? a : nullptr;
}

const std::uint8_t* bytes_of(PyArrayObject* a) { return static_cast<const std::uint8_t*>(PyArray_DATA(a)); }

bool all_below(PyArrayObject* a, u64 limit) {
  const u64* values = words_of(a);
  u64 largest = 0;
  for (npy_intp i = 0; i < PyArray_SIZE(a); ++i) largest = values[i] > largest ? values[i] : largest;
  return PyArray_SIZE(a) == 0 || largest < limit;
}

nb::object digest_items_of(nb::handle data, nb::handle offsets, nb::handle prefix) {
  PyArrayObject *bytes = byte_row(data), *ends = ring(offsets, 1), *first = byte_row(prefix);
  if (bytes == nullptr || ends == nullptr || first == nullptr || PyArray_SIZE(ends) < 1 || PyArray_SIZE(first) != 32) {
    return nb::none();
  }
  const npy_intp n = PyArray_SIZE(ends) - 1;
  const u64* at = words_of(ends);
  for (npy_intp i = 0; i < n; ++i) {
    if (at[i] > at[i + 1]) return nb::none();
  }
  if (at[n] > static_cast<u64>(PyArray_SIZE(bytes))) return nb::none();
  const npy_intp dims[2] = {n, 2};
  nb::object result = target(nb::none(), 2, dims, {}, false);
  u64* to = words_of(result);
  const Unlocked unlocked(64.0 * static_cast<double>(n));
  digest_items(static_cast<size_t>(n), bytes_of(bytes), at, bytes_of(first), to);
  return result;
}

nb::object digest_rows_of(nb::handle rows, nb::handle places, nb::handle codes, nb::handle mask) {
  PyArrayObject *row = ring(rows, 2), *place = ring(places, 2), *code = ring(codes, 2), *bits = ring(mask, 1);
  if (row == nullptr || place == nullptr || code == nullptr || bits == nullptr ||
      PyArray_DIM(place, 0) != PyArray_DIM(code, 0) || PyArray_DIM(row, 1) != PyArray_DIM(code, 1) ||
      PyArray_DIM(row, 1) != PyArray_SIZE(bits) || !all_below(place, static_cast<u64>(PyArray_DIM(row, 0)))) {
    return nb::none();
  }
  const npy_intp n = PyArray_DIM(place, 0), h = PyArray_DIM(place, 1);
  const npy_intp dims[3] = {n, h, 2};
  nb::object result = target(nb::none(), 3, dims, {}, false);
  u64* to = words_of(result);
  const Unlocked unlocked(64.0 * static_cast<double>(n * h));
  if (!digest_rows(static_cast<size_t>(n), static_cast<size_t>(h), static_cast<size_t>(PyArray_SIZE(bits)),
                   words_of(row), words_of(place), words_of(code), words_of(bits), to)) {
    throw std::bad_alloc();
  }
  return result;
}

nb::object cuckoo_of(nb::handle bins, nb::handle size) {
  PyArrayObject* in = ring(bins, 2);
  long long m = 0;
  if (in == nullptr || PyArray_DIM(in, 1) != 3 || !count_from(size, 1, kNoLimit / 64, m) ||
      !all_below(in, static_cast<u64>(m))) {
    return nb::none();
  }
  const npy_intp dims[1] = {static_cast<npy_intp>(m)};
  nb::object result = target(nb::none(), 1, dims, {}, false);
  const size_t n = static_cast<size_t>(PyArray_DIM(in, 0));
  u64* to = words_of(result);
  const Unlocked unlocked(64.0 * static_cast<double>(n));
  if (!cuckoo(n, words_of(in), static_cast<size_t>(m), to)) throw std::bad_alloc();
  return result;
}

// ------------------------------------------------------------------------------------------------ instruction set

std::vector<std::string> levels() {
  std::vector<std::string> names;
  for (const Kernels* kernels : available()) names.emplace_back(kernels->name);
  return names;
}

void select_level(const std::string& level) {
  if (select(level)) return;
  std::string names;
  for (const std::string& name : levels()) names += " " + name;
  throw nb::value_error(("no instruction set '" + level + "' here; there are:" + names).c_str());
}

void* import_numpy() {
  import_array1(nullptr);
  return &PyArray_API;
}

}  // namespace

NB_MODULE(_native, m) {
  if (import_numpy() == nullptr) throw nb::python_error();
  using nb::arg;
  const auto none = nb::none();
  m.def("matmul", &matmul, arg("x"), arg("y"), arg("out") = none, arg("threads") = 1);
  m.def("rep3_matmul", &rep3_matmul, arg("xa"), arg("xb"), arg("ya"), arg("yb"), arg("out") = none, arg("threads") = 1);
  m.def("rep3_mul", &rep3_mul, arg("xa"), arg("xb"), arg("ya"), arg("yb"), arg("ra"), arg("rb"), arg("out") = none);
  m.def("rep3_dot", &rep3_dot, arg("xa"), arg("xb"), arg("ya"), arg("yb"), arg("out") = none);
  m.def("rep3_and", &rep3_and, arg("xa"), arg("xb"), arg("ya"), arg("yb"), arg("ra"), arg("rb"), arg("out") = none);
  m.def("rep3_select", &rep3_select, arg("xa"), arg("xb"), arg("ya"), arg("yb"), arg("out") = none);
  m.def("to_planes", &to_planes, arg("x"), arg("k"), arg("out") = none);
  m.def("from_planes", &from_planes, arg("planes"), arg("n"), arg("out") = none);
  m.def("pack_low", &pack_low, arg("x"), arg("k"), arg("out") = none);
  m.def("unpack_low", &unpack_low, arg("stream"), arg("k"), arg("n"), arg("out") = none);
  m.def("trunc_known_u", &trunc_known_u, arg("u"), arg("d"), arg("ra"), arg("mask_b"), arg("out") = none);
  m.def("trunc_known_v", &trunc_known_v, arg("v"), arg("d"), arg("t"), arg("out") = none);
  m.def("bit_times", &bit_times, arg("m"), arg("v"), arg("r"), arg("d"), arg("out") = none);
  m.def("monomials", &monomials, arg("planes"), arg("bits"));
  m.def("fold_digits", &fold_digits, arg("x"), arg("planes"), arg("bits"), arg("constant"));
  m.def("and_level", &and_level, arg("sa"), arg("sb"), arg("ra"), arg("rb"));
  m.def("waves", &waves_of, arg("angle"), arg("tables"), arg("turn_bits"), arg("count"), arg("scale"));
  m.def("wave_sum", &wave_sum_of, arg("angle"), arg("dealt"), arg("tables"), arg("turn_bits"), arg("factors"),
        arg("shift"));
  m.def("digest_items", &digest_items_of, arg("data"), arg("offsets"), arg("prefix"));
  m.def("digest_rows", &digest_rows_of, arg("rows"), arg("places"), arg("codes"), arg("mask"));
  m.def("cuckoo", &cuckoo_of, arg("bins"), arg("size"));
  m.def("keep_freed_memory", &keep_freed_memory);
  m.def("level", [] { return std::string(active().name); });
  m.def("levels", &levels);
  m.def("select", &select_level, arg("level"));
}

}  // namespace privity
