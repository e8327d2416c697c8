"""NumPy's functions that are put together from others: reductions, joins, windows. Parameters are NumPy's.

Whatever has a name of its own in ``privity`` is in that subject's file; these are reached through NumPy's names only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array import Axis, SecureArray, broadcast_shapes, context_of, secure
from ..errors import ShapeError, UsageError
from ..ring import exact, layout
from ..types import RANGE_BITS
from . import arithmetic, ratio, select
from .join import concatenate


def like(x: SecureArray, fill_value: Any, shape: Any = None) -> SecureArray:
    """A public constant in the shape and kind of x."""
    size = x.shape if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    kinds: dict[str, type] = {"bool": bool, "int": int, "fixed": float}
    values: Any = np.broadcast_to(np.asarray(fill_value, kinds[x.kind]), size)
    if x.kind != "bool":
        return x._context.constant(values, x.scale)
    proto = x._context.protocol
    return SecureArray(x._context, proto.a2bits(proto.public(values.astype(np.uint64))))


def truth(x: Any) -> Any:
    """Booleans: x itself, or x != 0."""
    if not isinstance(x, SecureArray):
        return np.asarray(x, bool)
    return x if x.kind == "bool" else x != 0


def count_nonzero(a: SecureArray, axis: Axis = None, *, keepdims: bool = False) -> SecureArray:
    """Secret number of elements that are not zero."""
    return truth(a).sum(axis, keepdims)  # type: ignore[no-any-return]


def any_(a: SecureArray, axis: Axis = None, *, keepdims: bool = False) -> SecureArray:
    """Whether any element is true: one count, one comparison with zero."""
    return count_nonzero(a, axis, keepdims=keepdims) != 0


def all_(a: SecureArray, axis: Axis = None, *, keepdims: bool = False) -> SecureArray:
    """Whether all elements are true."""
    return (~truth(a)).sum(axis, keepdims) == 0  # type: ignore[no-any-return]


def prod(a: SecureArray, axis: int | None = None, *, keepdims: bool = False) -> SecureArray:
    """Product along one axis or of all elements, by halves: ceil(log2 n) products deep."""
    x = a.numeric()
    shape = x.shape
    if axis is None:
        x, at = x.ravel(), 0
    else:
        at = axis % a.ndim
        a._context.met(("prod", at))
    x = x._rearranged(layout.arranged(np.moveaxis, at, 0))
    if not len(x):
        raise ShapeError("prod of no elements")
    while len(x) > 1:
        half = len(x) // 2
        paired = x[:half] * x[half : 2 * half]
        x = paired if len(x) == 2 * half else concatenate([paired, x[2 * half :].rescaled(paired.scale)])
    if keepdims:
        return x.reshape(tuple(1 if axis is None or i == at else n for i, n in enumerate(shape)))
    return x[0]


def average(a: Any, axis: Axis = None, weights: Any = None, *, keepdims: bool = False) -> SecureArray:
    """Mean, or sum(a * weights) / sum(weights); the weights have the shape of ``a`` or, with one axis, its length.

    Error: a relative 2^-24 and one unit in the last place, where 62 bits have room for the digits of the weights.
    Public weights that are not whole are rounded to 24 digits and more, and each product with one, which together
    moves the mean by a relative 2^-23 of that of |a| and less than a unit. Secret weights must not be negative (a
    guard, unless they are flags), nor all 0 (a guard: about 10 rounds, 100 bytes per party and result). Public ones
    that add up to 0 raise UsageError.
    """
    context = context_of(a, weights)
    a = secure(context, a)
    if weights is None:
        return arithmetic.mean(a, axis, keepdims)
    if np.shape(weights) != a.shape:
        if not isinstance(axis, int) or np.shape(weights) != (a.shape[axis],):
            raise ShapeError(f"average: weights of shape {np.shape(weights)} for {a.shape} along axis {axis}")
        shape = tuple(n if i == axis % a.ndim else 1 for i, n in enumerate(a.shape))
        weights = weights.reshape(shape) if isinstance(weights, SecureArray) else np.reshape(weights, shape)
    _, whole = broadcast_arrays(a, weights)
    a = a.numeric()
    if not isinstance(weights, SecureArray):
        return _publicly_weighted(a, np.asarray(whole), axis, keepdims)
    marked = weights.kind == "bool" or weights._flags
    weights = weights.numeric()
    if not marked:
        negative = context.protocol.b2a((weights < 0)._bit_share()).map(layout.total(None, False))
        context.guard(negative, "average: weights are not negative; add the sums yourself where some are")
    total = arithmetic.total(whole.numeric(), axis, keepdims)
    none = context.protocol.b2a(context.protocol.is_zero(total._ring_share())).map(layout.total(None, False))
    context.guard(none, "average: the weights of a mean are not all 0; leave the mean out, or give them others")
    return ratio.weighted_mean(
        a, whole.numeric(), a.bound, max(a.scale, context.fraction_bits), axis, keepdims
    )


_SPARE = 32.0  # so that products rounded one by one move a mean by less than a tenth of a unit


def _publicly_weighted(a: SecureArray, weights: Any, axis: Axis, keepdims: bool) -> SecureArray:
    a.operand(weights)
    shape = layout.result_shape(layout.total(axis, keepdims), a.shape)
    axes = tuple(range(a.ndim)) if axis is None else axis
    sums = np.asarray(exact.total(weights, axes, keepdims)).reshape(shape)
    if not sums.all():
        raise UsageError("average: the weights add up to 0, and nothing can be divided by that; give some others")
    terms = a.size // max(1, layout.count(shape))
    largest = a.bound * float(np.abs(weights).max()) * 2.0 ** max(a.scale, a._context.fraction_bits)
    room = RANGE_BITS - 2 - exact.log2_ceil(max(largest, 2.0**-1000))
    most = None if (weights < 0).any() else a.bound
    if arithmetic.is_whole(weights) and room >= 0:
        return arithmetic.total_divided(a * weights, sums, axis, keepdims, most)
    least = float(np.abs(sums).min())
    lift = min(exact.log2_ceil(_SPARE * terms / least), room)
    raised = np.ldexp(weights.astype(np.float64), lift)
    return arithmetic.total_divided(a * raised, np.ldexp(sums.astype(np.float64), lift), axis, keepdims, most)


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> SecureArray:
    """x limited to [a_min, a_max]: public numbers in one batch, arrays one after the other."""
    low, high = (a_min if a_min is not None else min), (a_max if a_max is not None else max)
    numbers = all(v is not None and not isinstance(v, SecureArray) and np.ndim(v) == 0 for v in (low, high))
    if numbers and isinstance(a, SecureArray):
        return select.clip(a, low, high)
    if low is not None:
        a = select.maximum(a, low)
    return a if high is None else select.minimum(a, high)


def diff(a: SecureArray, n: int = 1, axis: int = -1) -> SecureArray:
    """n-th difference along an axis. Local."""
    a._context.met(("diff", n, axis))
    for _ in range(n):
        a = a._rearranged(layout.arranged(np.moveaxis, axis, 0))
        a = (a[1:] - a[:-1])._rearranged(layout.arranged(np.moveaxis, 0, axis))
    return a


def trapezoid(y: SecureArray, x: Any = None, dx: float = 1.0, axis: int = -1) -> SecureArray:
    """Area under y by the trapezoidal rule; ``x`` is public."""
    y._context.met(("trapezoid", axis))
    y = y.numeric()._rearranged(layout.arranged(np.moveaxis, axis, -1))
    if isinstance(x, SecureArray):
        raise UsageError("trapezoid: expected a public x")
    widths = np.full(y.shape[-1] - 1, dx) if x is None else np.diff(np.asarray(x, np.float64), axis=-1)
    weights = np.zeros(y.shape[-1])
    weights[:-1] += widths / 2
    weights[1:] += widths / 2
    return arithmetic.matmul_public(y, weights, left=False)


def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08) -> SecureArray:
    """|a - b| <= atol + rtol * |b|; note that one unit in the last place is 2^-18 by default."""
    context = context_of(a, b)
    allowed = abs(b) * rtol + max(atol, 2.0**-context.fraction_bits)
    return abs(secure(context, a) - b) <= allowed  # type: ignore[no-any-return]


def allclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08) -> SecureArray:
    """Whether all elements are close: a secret boolean."""
    return all_(isclose(a, b, rtol, atol))


def array_equal(a1: Any, a2: Any) -> Any:
    """Whether shape and all elements are equal: a secret boolean (False, public, if the shapes differ)."""
    if np.shape(a1) != np.shape(a2):
        return False
    context = context_of(a1, a2)
    return all_(secure(context, a1) == secure(context, a2))


def pieces(ary: SecureArray, indices_or_sections: Any, axis: int = 0) -> list[SecureArray]:
    """np.array_split. Local."""
    ary._context.met(("pieces", str(indices_or_sections), axis))
    index = np.array_split(np.arange(ary.shape[axis]), indices_or_sections)
    return [ary._rearranged(layout.arranged(np.take, i, axis=axis)) for i in index]


def equal_pieces(ary: SecureArray, indices_or_sections: Any, axis: int = 0) -> list[SecureArray]:
    """np.split: as array_split, but equal sections only."""
    length = ary.shape[axis]
    if isinstance(indices_or_sections, int) and length % indices_or_sections:
        raise ShapeError(f"split: {length} elements along axis {axis} give no {indices_or_sections} equal parts")
    return pieces(ary, indices_or_sections, axis)


def pieces_along(axis: int) -> Any:
    """hsplit, vsplit, dsplit."""

    def fn(ary: SecureArray, indices_or_sections: Any) -> list[SecureArray]:
        return equal_pieces(ary, indices_or_sections, 0 if ary.ndim == 1 else axis)

    return fn


def unstack(x: SecureArray, *, axis: int = 0) -> tuple[SecureArray, ...]:
    """The arrays along an axis."""
    x._context.met(("unstack", axis))
    return tuple(x._rearranged(layout.arranged(np.moveaxis, axis, 0)))


def at_least(dimensions: int) -> Any:
    """atleast_1d, atleast_2d, atleast_3d for one array or several."""
    function = (np.atleast_1d, np.atleast_2d, np.atleast_3d)[dimensions - 1]

    def one(a: Any) -> Any:
        return a._rearranged(layout.arranged(function)) if isinstance(a, SecureArray) else function(a)

    return lambda *arys: one(arys[0]) if len(arys) == 1 else tuple(map(one, arys))


def joined(dimensions: int, axis: int, columns: bool = False) -> Any:
    """vstack, hstack, dstack, column_stack."""
    lift = at_least(dimensions)

    def fn(tup: Sequence[Any], casting: str = "same_kind") -> SecureArray:  # which says nothing without a dtype
        if columns:
            arrays = [a.reshape((-1, 1)) if np.ndim(a) == 1 else lift(a) for a in tup]
        else:
            arrays = [lift(a) for a in tup]
        flat = dimensions == 1 and all(np.ndim(a) == 1 for a in arrays)
        return concatenate(arrays, 0 if flat else axis)

    return fn


def append(arr: Any, values: Any, axis: int | None = None) -> SecureArray:
    """``values`` after ``arr``."""
    if axis is None:
        context = context_of(arr, values)
        return concatenate([secure(context, arr).ravel(), secure(context, values).ravel()])
    return concatenate([arr, values], axis)


def block(arrays: Any) -> SecureArray:
    """Nested lists of blocks, the innermost along the last axis."""

    def depth(a: Any) -> int:
        return 1 + max(map(depth, a)) if isinstance(a, list) else 0

    levels = depth(arrays)
    context = context_of(*_leaves(arrays))

    def build(a: Any, level: int) -> SecureArray:
        if not isinstance(a, list):
            x = secure(context, a)
            missing = levels - x.ndim
            return x.reshape((1,) * missing + x.shape) if missing > 0 else x
        return concatenate([build(b, level - 1) for b in a], -level)

    return build(arrays, levels)


def _leaves(a: Any) -> list[Any]:
    return [leaf for b in a for leaf in _leaves(b)] if isinstance(a, list) else [a]


def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    """All arrays in their common shape. Local."""
    shape: tuple[int, ...] = ()
    for a in args:
        shape = broadcast_shapes(shape, np.shape(a))
    spread = layout.broadcast(shape)
    return tuple(a._rearranged(spread) if isinstance(a, SecureArray) else np.broadcast_to(a, shape) for a in args)


def choose_first(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> SecureArray:
    """np.select: the choice of the first condition that is true."""
    context = context_of(*condlist, *choicelist, default)
    result = secure(context, default)
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        result = select.where(condition, choice, result)
    return result


def where(condition: Any, x: Any, y: Any) -> SecureArray:
    """np.where with all three arguments; with one it would tell where the secret is true."""
    return select.where(truth(condition), x, y)


def swapped(x: SecureArray) -> SecureArray:
    """The last two axes exchanged."""
    return x._rearranged(layout.swap_last)
