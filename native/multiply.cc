// Chooses how a matrix product is computed: by shape, and over how many threads.

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "dispatch.h"

namespace privity {
namespace {

using std::size_t;

// Up to this many columns (or rows) of the result, the big matrix is read in place once for each: packing it for gemm
// would cost more than it saves.
constexpr size_t kThin = 4;

// A thread is worth its start (about 20 microseconds) from this many products on.
constexpr double kProductsPerThread = 4e6;

bool readable_in_lines(const Matrix& x) { return x.row == 1 || x.col == 1; }

void copy_column(size_t k, const Matrix& y, const Matrix& also, u64* to) {
  for (size_t p = 0; p < k; ++p) to[p] = *y.from(p, 0).data;
  if (also.data != nullptr) {
    for (size_t p = 0; p < k; ++p) to[p] += *also.from(p, 0).data;
  }
}

// Few columns: c[:, j] = sum of left @ (right + also)[:, j].
void few_columns(const Kernels& kernels, size_t m, size_t n, size_t k, const std::vector<Term>& terms, u64* c,
                 size_t pitch) {
  std::vector<u64> column(k), sum(m);
  for (size_t j = 0; j < n; ++j) {
    std::fill(sum.begin(), sum.end(), u64{0});
    for (const Term& term : terms) {
      const Matrix also = term.also.data == nullptr ? term.also : term.also.from(0, j);
      copy_column(k, term.right.from(0, j), also, column.data());
      kernels.gemv(m, k, term.left, column.data(), sum.data());
    }
    for (size_t i = 0; i < m; ++i) c[i * pitch + j] = sum[i];
  }
}

// Few rows: the transposed product. Both right and also are big now, so the row of left goes to each in turn.
void few_rows(const Kernels& kernels, size_t m, size_t n, size_t k, const std::vector<Term>& terms, u64* c,
              size_t pitch) {
  std::vector<u64> row(k);
  for (size_t i = 0; i < m; ++i) {
    u64* sum = c + i * pitch;
    std::fill(sum, sum + n, u64{0});
    for (const Term& term : terms) {
      copy_column(k, term.left.from(i, 0).transposed(), Matrix{nullptr, 0, 0}, row.data());
      kernels.gemv(n, k, term.right.transposed(), row.data(), sum);
      if (term.also.data != nullptr) kernels.gemv(n, k, term.also.transposed(), row.data(), sum);
    }
  }
}

bool all_lines(const std::vector<Term>& terms, bool left) {
  for (const Term& term : terms) {
    if (left && !readable_in_lines(term.left)) return false;
    if (!left && !readable_in_lines(term.right)) return false;
    if (!left && term.also.data != nullptr && !readable_in_lines(term.also)) return false;
  }
  return true;
}

// The part of the result from row i and column j on, as terms of its own.
std::vector<Term> part(const std::vector<Term>& terms, size_t i, size_t j) {
  std::vector<Term> moved = terms;
  for (Term& term : moved) {
    term.left = term.left.from(i, 0);
    term.right = term.right.from(0, j);
    if (term.also.data != nullptr) term.also = term.also.from(0, j);
  }
  return moved;
}

void multiply_threaded(const Kernels& kernels, size_t m, size_t n, size_t k, const std::vector<Term>& terms, u64* c,
                       size_t pitch, unsigned threads) {
  const bool by_rows = m >= n;
  const size_t length = by_rows ? m : n;
  const size_t piece = ((length + threads - 1) / threads + 23) / 24 * 24;  // whole tiles
  std::atomic<bool> complete{true};
  auto work = [&](size_t start) {
    const size_t end = start + piece < length ? start + piece : length;
    const size_t i = by_rows ? start : 0, j = by_rows ? 0 : start;
    const size_t rows = by_rows ? end - start : m, columns = by_rows ? n : end - start;
    try {
      const std::vector<Term> mine = part(terms, i, j);
      if (!kernels.gemm(rows, columns, k, mine.data(), static_cast<int>(mine.size()), c + i * pitch + j, pitch)) {
        complete = false;
      }
    } catch (const std::bad_alloc&) {
      complete = false;
    }
  };
  std::vector<std::thread> others;
  others.reserve(threads);
  size_t start = piece;
  for (; start < length; start += piece) {
    try {
      others.emplace_back(work, start);
    } catch (const std::system_error&) {
      break;  // the system gives no more threads: this one does the rest
    }
  }
  work(0);
  for (; start < length; start += piece) work(start);
  for (std::thread& other : others) other.join();
  if (!complete) throw std::bad_alloc();
}

}  // namespace

void multiply(const Kernels& kernels, size_t m, size_t n, size_t k, const std::vector<Term>& terms, u64* c,
              size_t pitch, unsigned threads) {
  if (m == 0 || n == 0) return;
  if (n <= kThin && n <= m && all_lines(terms, true)) return few_columns(kernels, m, n, k, terms, c, pitch);
  if (m <= kThin && all_lines(terms, false)) return few_rows(kernels, m, n, k, terms, c, pitch);
  const double products = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const double useful = products * static_cast<double>(terms.size()) / kProductsPerThread;
  if (useful < threads) threads = static_cast<unsigned>(useful);
  if (threads > 1) return multiply_threaded(kernels, m, n, k, terms, c, pitch, threads);
  if (!kernels.gemm(m, n, k, terms.data(), static_cast<int>(terms.size()), c, pitch)) throw std::bad_alloc();
}

}  // namespace privity
