"""Symmetric positive definite matrices: factor, solve, invert, least squares, leading eigenvectors.

Everything rests on one Cholesky loop of n columns. Its range follows from the public bound M on |a| and, where an
inverse is involved, from ``least``, a public lower bound on the smallest eigenvalue (for a + r I: the ridge r). What
was computed is checked by a secret flag that is opened as 'range ok' at the next reveal: a matrix that is not positive
definite, or one whose smallest eigenvalue is so far below ``least`` that the result is wrong, raises RangeViolated.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import SecureArray, broadcast_shapes, context_of, secure
from ..context import Context
from ..errors import OverflowPlanned, ShapeError, UsageError
from ..lines import user_line
from ..mpc import approx, linalg
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS
from .arithmetic import matmul, multiply, rescale

_FIT = RANGE_BITS - 1
_CHECKS = 4  # random public vectors on which A v = L L^T v is tested
_DEFAULT_CONDITION = 2.0**10
_LEAST_BITS = 14


def cholesky(a: SecureArray) -> SecureArray:
    """Lower triangular L with L L^T = a, for symmetric positive definite matrices (..., n, n) with |a| <= M.

    Only the lower triangle of ``a`` is read. Error: |L L^T - a| <= 2^-17 (n M)^(1/2) + 2^-30 M^(3/2) for every entry,
    mostly that of rounding L to the session's fractional bits; an entry of L is off by at most that over the root of
    the smallest eigenvalue. Rounds: about 38 a column (all matrices of a stack together) and 13 for the check. Bytes
    per party: about 25 n^2 + 4000 n. Raises OverflowPlanned where M > 2^24.
    """
    a = _matrix("cholesky", a)
    context, n = a._context, a.shape[-1]
    stack, (bits, scale) = a.reshape((-1, n, n)), _precision(context, a.bound)
    lower, pivots = linalg.cholesky(context.protocol, rescale(stack, scale)._ring_share(), bits, scale, grow=False)
    factor = rescale(
        SecureArray(context, lower, scale, math.sqrt(a.bound) + 2.0**-16), min(scale, context.fraction_bits)
    )
    _check_factor(stack, factor, SecureArray(context, pivots, scale, a.bound))
    return factor.reshape(a.shape)


def solve(a: SecureArray, b: Any, least: float | None = None) -> SecureArray:
    """x with a @ x = b, for symmetric positive definite a (..., n, n), |a| <= M, and b (n,) or (..., n, k).

    Stacks of matrices broadcast as in np.linalg.solve, and take the rounds of one. ``least``: public lower bound on the
    smallest eigenvalue (None: M / 1024); it gives the range, |x| <= |b|_2 / least. Error: the residual |a @ x - b|
    stays below 2^-12 max(1, |b|) + n M 2^-17 in every entry (checked by the guard), so x is off by at most n^(1/2)
    times that over the smallest eigenvalue; measured: 2 ulp up to condition 10^3, see docs/performance.md. One step of
    iterative refinement is included. Rounds: about 40 n + 40. Bytes per party and matrix: about
    45 n^2 + 220 n k + 2800 n.
    """
    a = _matrix("solve", a)
    b = secure(context_of(a, b), b).numeric()
    n, columns = a.shape[-1], b.reshape((-1, 1)) if b.ndim == 1 else b
    if not b.ndim or columns.shape[-2] != n or not columns.size:
        raise ShapeError(f"solve: expected b of shape ({n},) or (..., {n}, k), got {b.shape}")
    batch = broadcast_shapes(a.shape[:-2], columns.shape[:-2])
    shape = (*batch, *(columns.shape[-2:] if b.ndim > 1 else b.shape))
    if a.ndim == 2:  # one matrix is factored once, for all columns side by side
        first = columns.transpose(columns.ndim - 2, *range(columns.ndim - 2), columns.ndim - 1)
        x = _solved(_stacked(a, ()), first.reshape((1, n, -1)), least).reshape(first.shape)
        return x.transpose(*range(1, x.ndim - 1), 0, x.ndim - 1).reshape(shape)
    return _solved(_stacked(a, batch), _stacked(columns, batch), least).reshape(shape)


def inv(a: SecureArray, least: float | None = None) -> SecureArray:
    """Inverses of symmetric positive definite matrices (..., n, n); bounds, error and cost as in ``solve``."""
    a = _matrix("inv", a)
    units = a._context.constant(np.eye(a.shape[-1], dtype=np.int64))
    return _solved(_stacked(a, a.shape[:-2]), _stacked(units, a.shape[:-2]), least).reshape(a.shape)


def lstsq(x: SecureArray, y: Any, ridge: float = 0.0, least: float | None = None) -> SecureArray:
    """Coefficients w that minimise |x @ w - y|^2 / m + ridge |w|^2, for x (m, n) and y (m,) or (m, k).

    By the normal equations, so errors grow with the square of x's condition: standardise the columns first. ``least``:
    public lower bound on the smallest eigenvalue of x^T x / m + ridge (None: the ridge, or M^2 / 1024 without one,
    where |x| <= M). Error, rounds and bytes: those of ``solve`` with the matrix x^T x (n, n), 5 rounds and 20 n (n + k)
    bytes per party, whatever the number of rows.
    """
    context = context_of(x, y)
    x, y = secure(context, x).numeric(), secure(context, y).numeric()
    if x.ndim != 2 or y.ndim not in (1, 2) or y.shape[0] != x.shape[0] or not x.shape[0]:
        raise ShapeError(f"lstsq: expected x (m, n) and y (m,) or (m, k), got {x.shape} and {y.shape}")
    if ridge < 0:
        raise UsageError(f"lstsq: expected ridge >= 0, got {ridge}")
    rows, columns = x.shape
    both = matmul(x.T, _beside(x, y.reshape((rows, -1))), scale=_gram_scale(x, y))
    means = multiply(both, np.asarray(1.0 / rows), scale=both.scale)
    gram = means[:, :columns]._stated(x.bound * x.bound + 2.0**-10)
    moments = means[:, columns:]._stated(x.bound * y.bound + 2.0**-10)
    if ridge:
        gram = gram + np.eye(columns) * ridge
    solution = _solved(_stacked(gram, ()), _stacked(moments, ()), least or ridge or None)
    return solution.reshape((columns, *y.shape[1:]))


def top_eigenvectors(a: SecureArray, count: int = 1, iterations: int = 20) -> tuple[SecureArray, SecureArray]:
    """The ``count`` largest eigenvalues (count,) of a symmetric positive semidefinite matrix, and their vectors.

    Vectors: the columns of (n, count). Orthogonal iteration from a public start, a public number of times. An angle to
    the true vector i falls by the ratio of eigenvalue i + 1 to i per iteration, down to about 2^-16 trace(a) over the
    gap between the two; an eigenvalue is off by the square of the angle, and 2^-16 trace(a). Signs are arbitrary. All
    ``count`` eigenvalues must exceed 2^-10 trace(a): that, and eigenvalues too far below 0, raise RangeViolated at the
    next reveal. Rounds: about 60 + (iterations + 1) (38 count + 3). Bytes per party: about 165 n^2 and, per iteration,
    count (3000 + 25 n count).
    """
    a = _matrix("top_eigenvectors", a, single=True)
    context, proto, n = a._context, a._context.protocol, a.shape[0]
    if not 1 <= count <= n or iterations < 1:
        raise UsageError(
            f"top_eigenvectors: expected 1 <= count <= {n} and iterations >= 1, got {count} and {iterations}"
        )
    tests: list[Share] = []
    trace, unit = _unit_trace(a, tests)
    start = exact.orthonormal(exact.normal(np.random.default_rng(context.seed), (n, count)))
    vectors = context.constant(start, scale=_VECTOR)._stated(1.0 + 2.0**-10)
    for _ in range(iterations):
        image = _product(unit, vectors, _VECTOR)._stated(1.0 + 2.0**-10)
        vectors = _orthonormal(image, tests)
    if count > 1:  # once more: the first pass leaves angles that grow with the condition of the image
        vectors = _orthonormal(vectors, tests)
    _count_negative(context, tests)
    image = _product(unit, vectors, _VECTOR)._stated(1.0 + 2.0**-10)
    quotients = proto.dot(image.T._ring_share(), vectors.T._ring_share(), 2 * _VECTOR - _QUOTIENT)
    values = multiply(SecureArray(context, quotients, _QUOTIENT, 1.01), trace, scale=context.fraction_bits)
    return values._stated(n * a.bound * 1.01), rescale(vectors, context.fraction_bits)._stated(1.0 + 2.0**-8)


# -- eigenvectors ---------------------------------------------------------------------------------------------------

_VECTOR = 28  # fractional bits of vectors of length 1
_QUOTIENT = 22  # of eigenvalues over the trace


def _unit_trace(a: SecureArray, tests: list[Share]) -> tuple[SecureArray, SecureArray]:
    """(trace, a / trace at _VECTOR bits): entries of at most 1, largest eigenvalue at least 1 / n. Twice over_root.

    ``tests`` gets what is not negative where trace > 0 and no |a| is above it, as is so for every semidefinite matrix.
    """
    context, n = a._context, a.shape[0]
    top = n * a.bound
    scale = min(RANGE_BITS - 3 - exact.log2_ceil(top), 36)
    index = np.arange(n)
    total = a[index, index].sum()
    proto, sums = context.protocol, total._fitted(a.shape)
    positive = proto.add_public(total._ring_share(), layout.constant(-1))
    tests += [positive, proto.sub(sums, a._ring_share()), proto.add(sums, a._ring_share())]
    trace = rescale(total, min(scale, a.scale + 12))
    bits = approx.bits_for(top, trace.scale)
    pivot = trace._ring_share().map(layout.reshape((1, 1)))
    # a / trace = (a / sqrt(trace)) / sqrt(trace); after the first step |a| is at most sqrt(M), after the second 1.
    first = min(_VECTOR, RANGE_BITS - 2 - linalg.ROOM - math.ceil(exact.log2(max(a.bound, 1.0)) / 2))
    rows = rescale(a, first)._ring_share().map(layout.reshape((1, n * n)))
    once = linalg.over_root(context.protocol, pivot, rows, bits, trace.scale)
    twice = linalg.over_root(context.protocol, pivot, once, bits, trace.scale)
    unit = SecureArray(context, twice, first, 1.01).reshape((n, n))
    return rescale(trace, context.fraction_bits), rescale(unit, _VECTOR)


def _product(x: SecureArray, y: SecureArray, scale: int) -> SecureArray:
    """x @ y for operands whose sums stay small by the Cauchy-Schwarz inequality, whatever their entries' bounds say."""
    share = x._context.protocol.matmul(x._ring_share(), y._ring_share(), x.scale + y.scale - scale)
    return SecureArray(x._context, share, scale, 2.0)


def _orthonormal(vectors: SecureArray, tests: list[Share]) -> SecureArray:
    """Orthonormal columns spanning the same space: V L^-T with L L^T = V^T V, for columns no longer than 1.

    ``tests`` gets what is not negative if that is so, and if no pivot is below 2^-24, which would leave too few bits.
    """
    context, proto = vectors._context, vectors._context.protocol
    count = vectors.shape[1]
    gram = _product(vectors.T, vectors, 30)._ring_share()
    rows = proto.concatenate([gram, vectors._ring_share()], 0)
    done, pivots = linalg.cholesky(proto, rows.map(layout.reshape((1, *rows.shape))), 31, 30, grow=False)
    index = np.arange(count)
    lengths = proto.neg(gram.map(layout.take((index, index))))
    longest = layout.constant(math.ceil(1.01 * 2.0**vectors.scale))
    tests += [
        proto.add_public(pivots, layout.constant(-(1 << 6))),
        proto.add_public(lengths, layout.constant(math.ceil(1.01 * 2.0**30))),
        proto.add_public(vectors._ring_share(), longest),
        proto.add_public(proto.neg(vectors._ring_share()), longest),
    ]
    result = done.map(layout.take((0, slice(count, None))))
    return SecureArray(context, result, vectors.scale, 1.0 + 2.0**-10)


# -- solving --------------------------------------------------------------------------------------------------------


def _stacked(x: SecureArray, batch: tuple[int, ...]) -> SecureArray:
    """Matrices (..., m, n), broadcast to the leading axes ``batch``, as one list of them (count, m, n)."""
    shape = x.shape[-2:]
    return x._rearranged(layout.then(layout.broadcast((*batch, *shape)), layout.reshape((layout.count(batch), *shape))))


def _solved(a: SecureArray, b: SecureArray, least: float | None) -> SecureArray:
    """a^-1 b for a (c, n, n), b (c, n, k), with one step of refinement.

    X <- X + W W^T (B - A X), where W = L^-T, so that A^-1 = W W^T.
    """
    context, proto, n = a._context, a._context.protocol, a.shape[-1]
    least = a.bound / _DEFAULT_CONDITION if least is None else float(least)
    if not 0 < least <= n * a.bound:
        raise UsageError(
            f"expected 0 < least <= {n * a.bound:g}, a lower bound on the smallest eigenvalue; got {least:g}"
        )
    bits, scale = _precision(context, a.bound)
    length = math.sqrt(n) * b.bound  # of a column of b
    inverse = _row_scale(max(1.0 / math.sqrt(least), 1.0), max(math.sqrt(a.bound / least), 1.0), scale)
    right = _row_scale(length / math.sqrt(least), length * math.sqrt(a.bound / least), scale)
    answer = min(context.fraction_bits + 8, _FIT - exact.log2_ceil(max(length / least, 1.0)) - 2)
    right = min(right, _FIT - inverse - exact.log2_ceil(max(length / least, 2.0**-20)))
    if min(inverse, right, answer) < _LEAST_BITS:
        raise OverflowPlanned(
            f"{user_line()}: with |a| <= {a.bound:.3g}, |b| <= {b.bound:.3g}, {n} rows and eigenvalues of at least "
            f"{least:.3g} only {min(inverse, right, answer)} fractional bits fit while a @ x = b is solved; at least "
            f"{_LEAST_BITS} are needed. State tighter bounds: x.assume_bound(b), or a larger least="
        )
    count, _, width = b.shape
    rows = proto.concatenate(
        [
            rescale(a, scale)._ring_share(),
            rescale(b._rearranged(layout.swap_last), right)._ring_share(),
            proto.public(layout.identity(n, inverse)).map(layout.broadcast((count, n, n))),
        ],
        1,
    )
    done, pivots = linalg.cholesky(proto, rows, bits, scale, grow=True)
    w = done.map(layout.take((slice(None), slice(n + width, None))))
    y = done.map(layout.take((slice(None), slice(n, n + width))))
    x = proto.matmul(w, y.map(layout.swap_last), max(0, inverse + right - answer))
    x = _refined(context, a, b, w, inverse, x, answer)
    solution = SecureArray(context, x, answer, length / least + 2.0**-answer)
    _check_solution(a, b, solution, SecureArray(context, pivots, scale, a.bound))
    return rescale(solution, min(answer, context.fraction_bits))


def _refined(context: Context, a: SecureArray, b: SecureArray, w: Share, inverse: int, x: Share, answer: int) -> Share:
    proto = context.protocol
    residual, cut = _residual(context, a, b, x, answer), a.scale + answer - _RESIDUAL
    rest = proto.truncate(residual, cut) if cut >= 0 else proto.mul_public(residual, layout.constant(1 << -cut))
    half = proto.matmul(w.map(layout.swap_last), rest, inverse)
    step = proto.matmul(w, half, inverse)
    if answer > _RESIDUAL:
        step = proto.mul_public(step, layout.constant(1 << (answer - _RESIDUAL)))
    return proto.add(x, proto.truncate(step, max(0, _RESIDUAL - answer)))


_RESIDUAL = 30  # fractional bits of the residual that is solved for again


def _residual(context: Context, a: SecureArray, b: SecureArray, x: Share, answer: int) -> Share:
    """B - A X at the full scale of the product; the terms may wrap around, their small difference is exact."""
    proto = context.protocol
    scale = a.scale + answer
    lifted = proto.mul_public(b._ring_share(), layout.constant(1 << (scale - b.scale)))
    return proto.sub(lifted, proto.matmul(a._ring_share(), x))


# -- range and checks -----------------------------------------------------------------------------------------------


def _precision(context: Context, bound: float) -> tuple[int, int]:
    """(bits of a pivot, fractional bits) for a factor of a matrix with |a| <= bound: |L| <= sqrt(bound)."""
    scale = 30 - max(0, math.ceil(exact.log2(max(bound, 1.0)) / 2))
    if scale < context.fraction_bits:
        raise OverflowPlanned(
            f"{user_line()}: a matrix with |a| <= {bound:.3g} leaves {scale} fractional bits for its Cholesky factor; "
            f"expected at least {context.fraction_bits}. State a tighter bound: a.assume_bound(b), or scale the data"
        )
    return approx.bits_for(bound * (1 + 2.0**-10) + 2.0**-10, scale), scale


def _row_scale(result: float, column: float, scale: int) -> int:
    """Fractional bits of further rows whose quotients reach ``result`` and whose columns reach ``column``."""
    for_quotient = 30 - exact.log2_ceil(max(result, 2.0**-20))
    for_column = _FIT - scale - exact.log2_ceil(max(column, 2.0**-20))
    return min(for_quotient, for_column, 30)


def _gram_scale(x: SecureArray, y: SecureArray) -> int:
    """Most fractional bits, up to 30, at which sums over the rows of x * x and x * y fit, with a factor of 16 bits."""
    largest = x.bound * max(x.bound, y.bound) * x.shape[0]
    return min(30, x.scale + min(x.scale, y.scale), _FIT - 20 - exact.log2_ceil(max(largest, 1.0)))


def _beside(x: SecureArray, y: SecureArray) -> SecureArray:
    """Two matrices side by side, at the larger of their scales."""
    scale = max(x.scale, y.scale)
    share = x._context.protocol.concatenate([rescale(x, scale)._ring_share(), rescale(y, scale)._ring_share()], 1)
    return SecureArray(x._context, share, scale, max(x.bound, y.bound))


def _matrix(name: str, a: Any, single: bool = False) -> SecureArray:
    if not isinstance(a, SecureArray):
        raise UsageError(f"{name}: expected a secret matrix, got {type(a).__name__}; use numpy.linalg.{name} instead")
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or not a.size or (single and a.ndim != 2):
        raise ShapeError(f"{name}: expected a square matrix, got shape {a.shape}")
    return a.numeric()


def _check_factor(stack: SecureArray, factor: SecureArray, pivots: SecureArray) -> None:
    """Guard: pivots positive, and A v = L (L^T v) on random public vectors of signs."""
    context, proto = stack._context, stack._context.protocol
    n = stack.shape[-1]
    signs = np.random.default_rng(context.seed).choice([-1, 1], (n, _CHECKS)).astype(np.int64)
    lower = SecureArray(context, stack._ring_share().map(layout.symmetric), stack.scale, stack.bound)
    wanted = matmul(lower, signs)
    given = matmul(SecureArray(context, factor._ring_share().map(layout.swap_last), factor.scale, factor.bound), signs)
    product = proto.matmul(factor._ring_share(), given._ring_share())
    scale = 2 * factor.scale
    rest = proto.sub(proto.mul_public(wanted._ring_share(), layout.constant(1 << (scale - stack.scale))), product)
    tolerance = 4 * n * math.sqrt(n * stack.bound) * 2.0**-factor.scale + n * stack.bound * 2.0**-20
    _guard(context, rest, scale, tolerance, pivots)


def _check_solution(a: SecureArray, b: SecureArray, x: SecureArray, pivots: SecureArray) -> None:
    """Guard: pivots positive, B - A X small, and X within its stated bound."""
    context = a._context
    rest = _residual(context, a, b, x._ring_share(), x.scale)
    tolerance = 2.0**-12 * max(1.0, b.bound) + a.shape[-1] * a.bound * 2.0**-17
    _guard(context, rest, a.scale + x.scale, tolerance, pivots, x)


def _guard(
    context: Context, rest: Share, scale: int, tolerance: float, pivots: SecureArray, x: SecureArray | None = None
) -> None:
    """Count pivots below 1 ulp, entries of ``rest`` beyond the tolerance, entries of x beyond its bound; one batch."""
    proto = context.protocol
    tests = [proto.add_public(pivots._ring_share(), layout.constant(-1))]
    limits = [(rest, math.ceil(tolerance * 2.0**scale))]
    if x is not None:
        limits.append((x._ring_share(), math.ceil(x.bound * 2.0**x.scale)))
    for share, limit in limits:
        tests += [
            proto.add_public(share, layout.constant(limit)),
            proto.add_public(proto.neg(share), layout.constant(limit)),
        ]
    _count_negative(context, tests)


_HINT = (
    "the matrix is positive definite, and well enough conditioned for its digits: leave out a column that others add "
    "up to, add alpha to the diagonal, or scale the columns alike"
)


def _count_negative(context: Context, tests: list[Share]) -> None:
    """Guard: no element of ``tests`` is negative; one batch."""
    proto = context.protocol
    flat = proto.concatenate([t.map(layout.reshape((t.size,))) for t in tests], 0)
    context.guard(proto.b2a(proto.msb(flat, RANGE_BITS + 1)).map(layout.total(None, False)), _HINT)
