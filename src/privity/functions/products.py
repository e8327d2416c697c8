"""Products of arrays under NumPy's names, put together from ``*`` and ``@``: windows, axes, polynomials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..array import SecureArray, broadcast_shapes, context_of, secure
from ..context import Context
from ..errors import ShapeError, UsageError
from ..ring import exact, layout
from ..types import RANGE_BITS


def outer_of(operation: Any) -> Any:
    """np.add.outer and the like: every element of the first with every element of the second."""

    def fn(a: Any, b: Any) -> Any:
        context = context_of(a, b)
        a, b = secure(context, a), secure(context, b)
        return operation(a.reshape(a.shape + (1,) * b.ndim), b)

    return fn


def _plain_or_secret(x: Any) -> Any:
    """A secret array, or a public one, which keeps its digits in products."""
    return x if isinstance(x, SecureArray) else np.asarray(x)


def kron(a: Any, b: Any) -> SecureArray:
    """Kronecker product."""
    context_of(a, b)
    a, b = _plain_or_secret(a), _plain_or_secret(b)
    ndim = max(a.ndim, b.ndim)
    p, q = ((1,) * (ndim - v.ndim) + v.shape for v in (a, b))
    left = a.reshape(tuple(n for size in p for n in (size, 1)))
    right = b.reshape(tuple(n for size in q for n in (1, size)))
    return (left * right).reshape(tuple(m * n for m, n in zip(p, q, strict=True)))  # type: ignore[no-any-return]


def cross(a: Any, b: Any) -> SecureArray:
    """Vector product of 3-vectors along the last axis."""
    context_of(a, b)
    a, b = _plain_or_secret(a), _plain_or_secret(b)
    if a.shape[-1:] != (3,) or b.shape[-1:] != (3,):
        raise ShapeError(f"cross: expected vectors of 3 along the last axis, got {a.shape} and {b.shape}")
    left, right = [1, 2, 0], [2, 0, 1]
    return a[..., left] * b[..., right] - a[..., right] * b[..., left]  # type: ignore[no-any-return]


def convolve(a: Any, v: Any, mode: str = "full") -> SecureArray:
    """Convolution of two one-dimensional arrays: one matrix product of windows."""
    context_of(a, v)
    a, v = _plain_or_secret(a), _plain_or_secret(v)
    if a.ndim != 1 or v.ndim != 1 or not a.size or not v.size or mode not in ("full", "same", "valid"):
        raise UsageError(
            f'convolve: expected one-dimensional arrays and mode "full", "same" or "valid", got '
            f"{a.shape}, {v.shape}, {mode!r}"
        )
    if a.size < v.size:
        a, v = v, a
    m = v.size
    padded = a._rearranged(layout.arranged(np.pad, m - 1)) if isinstance(a, SecureArray) else np.pad(a, m - 1)
    windows = padded[np.arange(a.size + m - 1)[:, None] + np.arange(m)]
    full = windows @ v[::-1]
    if mode == "full":
        return full  # type: ignore[no-any-return]
    start, count = (m - 1, a.size - m + 1) if mode == "valid" else ((m - 1) // 2, a.size)
    return full[start : start + count]  # type: ignore[no-any-return]


def correlate(a: Any, v: Any, mode: str = "valid") -> SecureArray:
    """Cross-correlation of two one-dimensional arrays."""
    first, second = np.shape(a), np.shape(v)
    full = convolve(a, v[::-1], "full")
    if mode == "full":
        return full
    n, m = first[0], second[0]
    small, large = min(n, m), max(n, m)
    start = small - 1 if mode == "valid" else (small // 2 if n < m else (small - 1) // 2)
    count = large - small + 1 if mode == "valid" else large
    return full[start : start + count]


def polyval(p: Any, x: Any) -> SecureArray:
    """Polynomial with coefficients p, the highest power first, by Horner's rule: one product deep per coefficient.

    What is multiplied by x again keeps as many more fractional bits (twice the session's at most) as the bounds leave
    room for; a public first coefficient keeps its digits.
    """
    context = context_of(p, x)
    usual = context.fraction_bits
    if not len(p):
        return _spread(context.constant(0.0), x)
    if not isinstance(x, SecureArray) or x.kind != "fixed":
        return _spread(_horner(p, x, lambda _: usual, context), x)
    size = exact.log2_ceil(max(x.bound, 2.0**-usual))

    def bits(bound: float) -> int:
        return max(usual, min(2 * usual, RANGE_BITS - 1 - x.scale - size - exact.log2_ceil(max(bound, 2.0**-usual))))

    return _spread(_horner(p, x, bits, context), x)


def _horner(p: Any, x: Any, bits: Callable[[float], int], context: Context) -> SecureArray:
    """``bits``: fractional bits of an array of a bound that is to be multiplied by x."""
    count = len(p)
    result: Any = p[0]
    if isinstance(p, SecureArray) or count == 1 or not isinstance(x, SecureArray):
        result = secure(context, p[0] if isinstance(p, SecureArray) else np.asarray(p[0], np.float64))
    for k in range(1, count):
        factor, other = (result, x) if isinstance(result, SecureArray) else (x, result)
        largest = other.bound if isinstance(other, SecureArray) else float(np.abs(np.asarray(other)).max(initial=0.0))
        added = p[k].bound if isinstance(p, SecureArray) else abs(float(p[k]))
        scale = None if k == count - 1 else bits(factor.bound * largest + added)
        result = factor.multiply(other, scale) + p[k]
    return result  # type: ignore[no-any-return]


def _spread(result: SecureArray, x: Any) -> SecureArray:
    return result._rearranged(layout.broadcast(broadcast_shapes(result.shape, np.shape(x))))


def inner(a: Any, b: Any) -> SecureArray:
    """Sums of products over the last axis of both."""
    if not np.ndim(a) or not np.ndim(b):
        return a * b  # type: ignore[no-any-return]
    return tensordot(a, b, (-1, -1))


def vdot(a: Any, b: Any) -> SecureArray:
    """Sum of the products of all elements."""
    context_of(a, b)
    return _plain_or_secret(a).ravel() @ _plain_or_secret(b).ravel()  # type: ignore[no-any-return]


def vecdot(x1: Any, x2: Any) -> SecureArray:
    """Sums of products over the last axis; the others broadcast."""
    return (x1[..., None, :] @ x2[..., :, None])[..., 0, 0]  # type: ignore[no-any-return]


def matvec(x1: Any, x2: Any) -> SecureArray:
    """Matrices times vectors; the leading axes broadcast."""
    return (x1 @ x2[..., None])[..., 0]  # type: ignore[no-any-return]


def vecmat(x1: Any, x2: Any) -> SecureArray:
    """Vectors times matrices; the leading axes broadcast."""
    return (x1[..., None, :] @ x2)[..., 0, :]  # type: ignore[no-any-return]


def tensordot(a: Any, b: Any, axes: Any = 2) -> SecureArray:
    """Sums of products over ``axes``: the last of a and first of b, or a pair of lists. One matrix product."""
    context_of(a, b)
    x, y = _plain_or_secret(a), _plain_or_secret(b)
    if isinstance(axes, int):
        first, second = list(range(x.ndim - axes, x.ndim)), list(range(axes))
    else:
        first, second = ([v] if isinstance(v, int) else list(v) for v in axes)
    first, second = [i % x.ndim for i in first], [i % y.ndim for i in second]
    if [x.shape[i] for i in first] != [y.shape[i] for i in second]:
        raise ShapeError(f"tensordot: the axes {axes} of shapes {x.shape} and {y.shape} differ in length")
    kept_x, kept_y = ([i for i in range(v.ndim) if i not in used] for v, used in ((x, first), (y, second)))
    count = layout.count(tuple(x.shape[i] for i in first))
    left = x.transpose(*kept_x, *first).reshape((-1 if count else 0, count))
    right = y.transpose(*second, *kept_y).reshape((count, -1 if count else 0))
    return (left @ right).reshape(tuple(x.shape[i] for i in kept_x) + tuple(y.shape[i] for i in kept_y))  # type: ignore[no-any-return]
