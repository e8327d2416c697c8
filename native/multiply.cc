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

// Up to this many columns (or rows) of the result, the big matrix is read once in place for all of them: packing it for
// gemm would cost more than it saves.
constexpr size_t kThin = 16;
constexpr size_t kTimesThin = 6;  // so many times the few it must be
constexpr size_t kLongRow = 48;   // words from which it pays to sum within a row for more than kOneTile vectors
constexpr size_t kOneTile = 4;

// A thread is worth its start (about 20 microseconds) from this many products on.
constexpr double kProductsPerThread = 4e6;

bool same(const Matrix& x, const Matrix& y) { return x.data == y.data && x.row == y.row && x.col == y.col; }

// The columns of y + also (also.data may be null), one after the other; some rows at a time, which stay in the cache.
void copy_columns(size_t k, size_t n, const Matrix& y, const Matrix& also, u64* to) {
  constexpr size_t piece = 256;
  for (size_t start = 0; start < k; start += piece) {
    const size_t end = std::min(k, start + piece);
    for (size_t j = 0; j < n; ++j) {
      u64* column = to + j * k;
      for (size_t p = start; p < end; ++p) column[p] = *y.from(p, j).data;
      if (also.data == nullptr) continue;
      for (size_t p = start; p < end; ++p) column[p] += *also.from(p, j).data;
    }
  }
}

// Few columns: the big matrices are on the left.
void few_columns(const Kernels& kernels, size_t m, size_t n, size_t k, const std::vector<Term>& terms, u64* c,
                 size_t pitch) {
  std::vector<u64> vectors(n * k), sum(n * m);
  for (const Term& term : terms) {
    copy_columns(k, n, term.right, term.also, vectors.data());
    kernels.thin(m, k, term.left, n, vectors.data(), sum.data(), m);
  }
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < n; ++j) c[i * pitch + j] = sum[j * m + i];
  }
}

// Few rows: the transposed product. left @ (right + also) + left' @ right = (left + left') @ right + left @ also, so
// that each big matrix is read once.
void few_rows(const Kernels& kernels, size_t m, size_t n, size_t k, const std::vector<Term>& terms, u64* c,
              size_t pitch) {
  std::vector<u64> vectors(m * k);
  const Matrix none{nullptr, 0, 0};
  for (size_t i = 0; i < m; ++i) std::fill(c + i * pitch, c + i * pitch + n, u64{0});
  for (size_t t = 0; t < terms.size(); ++t) {
    const Term& term = terms[t];
    const Term* next = t + 1 < terms.size() ? &terms[t + 1] : nullptr;
    const bool shared = next != nullptr && same(next->right, term.right) && next->also.data == nullptr;
    const Matrix second = shared ? next->left.transposed() : none;
    copy_columns(k, m, term.left.transposed(), second, vectors.data());
    kernels.thin(n, k, term.right.transposed(), m, vectors.data(), c, pitch);
    if (term.also.data != nullptr) {
      if (shared) copy_columns(k, m, term.left.transposed(), none, vectors.data());
      kernels.thin(n, k, term.also.transposed(), m, vectors.data(), c, pitch);
    }
    if (shared) ++t;
  }
}

// Whether `few` vectors of k words are better multiplied with the big matrix where it lies.
bool thin_enough(size_t few, size_t big, size_t k, const Matrix& x) {
  if (few > kThin || big < few || (few > kOneTile && big < kTimesThin * few)) return false;
  return x.row == 1 || (x.col == 1 && (few <= kOneTile || k >= kLongRow));
}

bool few_columns_pay(size_t m, size_t n, size_t k, const std::vector<Term>& terms) {
  for (const Term& term : terms) {
    if (!thin_enough(n, m, k, term.left)) return false;
  }
  return true;
}

bool few_rows_pay(size_t m, size_t n, size_t k, const std::vector<Term>& terms) {
  for (const Term& term : terms) {
    if (!thin_enough(m, n, k, term.right.transposed())) return false;
    if (term.also.data != nullptr && !thin_enough(m, n, k, term.also.transposed())) return false;
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
  if (few_columns_pay(m, n, k, terms)) return few_columns(kernels, m, n, k, terms, c, pitch);
  if (few_rows_pay(m, n, k, terms)) return few_rows(kernels, m, n, k, terms, c, pitch);
  const double products = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const double useful = products * static_cast<double>(terms.size()) / kProductsPerThread;
  if (useful < threads) threads = static_cast<unsigned>(useful);
  if (threads > 1) return multiply_threaded(kernels, m, n, k, terms, c, pitch, threads);
  if (!kernels.gemm(m, n, k, terms.data(), static_cast<int>(terms.size()), c, pitch)) throw std::bad_alloc();
}

}  // namespace privity
