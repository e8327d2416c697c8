"""Arithmetic of secret arrays: sums, products, matrix products, means. Bounds are checked before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import Axis, SecureArray, broadcast_shapes
from ..errors import ShapeError, UsageError
from ..ring import exact, fixed, layout
from ..types import RANGE_BITS

Plain = npt.NDArray[Any]


def rescale(x: SecureArray, scale: int) -> SecureArray:
    """The same values at another number of fractional bits; fewer bits cost a truncation (two rounds)."""
    x = x.numeric()
    context = x._context
    proto, share = context.protocol, x._ring_share()
    if scale == x._scale:
        return x
    if scale > x._scale:
        context.fits(x._bound, scale, "this value")
        return SecureArray(context, proto.mul_public(share, layout.constant(1 << (scale - x._scale))), scale, x._bound)
    return SecureArray(context, proto.truncate(share, x._scale - scale), scale, x._bound + 2.0**-scale)


def negate(x: SecureArray) -> SecureArray:
    """-x. Local."""
    x = x.numeric()
    return SecureArray(x._context, x._context.protocol.neg(x._ring_share()), x._scale, x._bound)


def add(x: SecureArray, other: SecureArray | Plain, sign: int = 1) -> SecureArray:
    """x + other, or x - other if ``sign`` is -1. Local."""
    x = x.numeric()
    context, proto = x._context, x._context.protocol
    if isinstance(other, SecureArray):
        y = other.numeric()
        scale = max(x._scale, y._scale)
        x, y = rescale(x, scale), rescale(y, scale)
        shape = broadcast_shapes(x.shape, y.shape)
        context.fits(x._bound + y._bound, scale, "this sum")
        op = proto.add if sign > 0 else proto.sub
        return SecureArray(context, op(x._fitted(shape), y._fitted(shape)), scale, x._bound + y._bound)
    if other.ndim == 0 and other == 0:
        return x
    scale = x._scale
    if scale == 0 and not _whole(other):
        scale = context.fraction_bits
        x = rescale(x, scale)
    ring, magnitude = fixed.public_constant(other, scale)
    shape = broadcast_shapes(x.shape, ring.shape)
    context.fits(x._bound + magnitude, scale, "this sum")
    ring = ring if sign > 0 else layout.negative(ring)
    return SecureArray(context, proto.add_public(x._fitted(shape), ring), scale, x._bound + magnitude)


def _product_scale(x: SecureArray, y: SecureArray, scale: int | None) -> tuple[int, int]:
    """(scale of the result, bits to cut) for a product; ``scale`` None: the session's default."""
    total = x._scale + y._scale
    if not (x._scale and y._scale):
        return total, 0
    scale = min(x._context.fraction_bits if scale is None else scale, total)
    return scale, total - scale


def multiply(x: SecureArray, other: SecureArray | Plain, scale: int | None = None) -> SecureArray:
    """Elementwise product, rounded once to ``scale`` fractional bits (None: the session's default)."""
    context = x._context
    if not isinstance(other, SecureArray):
        return _multiply_public(x.numeric(), other, scale)
    if x.shape == other.shape and (x.kind == "bool") != (other.kind == "bool"):
        gate, y = (x, other) if x.kind == "bool" else (other, x)
        return SecureArray(context, gate._gating(y._ring_share()), y._scale, y._bound, y._flags)
    x, y = x.numeric(), other.numeric()
    scale, cut = _product_scale(x, y, scale)
    context.fits(x._bound * y._bound, scale + cut, "this product (before it is truncated)")
    shape = broadcast_shapes(x.shape, y.shape)
    share = context.protocol.mul(x._fitted(shape), y._fitted(shape), cut)
    return SecureArray(
        context, share, scale, x._bound * y._bound + (2.0**-scale if cut else 0.0), x._flags and y._flags
    )


def _multiply_public(x: SecureArray, c: Plain, wanted: int | None) -> SecureArray:
    context, proto = x._context, x._context.protocol
    largest = float(np.abs(c).max(initial=0))
    target = context.fraction_bits if wanted is None else wanted
    bits = 0 if _whole(c) else _factor_bits(largest, x, max(x._scale, target))
    ring, magnitude = fixed.public_constant(c, bits)
    shape = broadcast_shapes(x.shape, ring.shape)
    total = x._scale + bits
    context.fits(x._bound * magnitude, total, "this product with a public factor (before it is truncated)")
    share = proto.mul_public(x._fitted(shape), ring)
    scale = max(x._scale, min(total, target))
    share = proto.truncate(share, total - scale)
    bound = x._bound * magnitude + (2.0**-scale if total > scale else 0.0)
    return SecureArray(context, share, scale, bound, x._flags and scale == 0 and zero_or_one(c))


def zero_or_one(values: Plain) -> bool:
    """Whether public integers or booleans are 0 or 1."""
    return values.dtype.kind == "b" or (values.dtype.kind in "iu" and bool(((values == 0) | (values == 1)).all()))


def power(x: SecureArray, exponent: int) -> SecureArray:
    """x to a positive integer power, by squaring."""
    if not isinstance(exponent, int) or exponent < 1:
        raise UsageError(f"only positive integer powers of secret arrays are defined here, got {exponent!r}")
    x._context.met(("power", exponent))
    result, base = None, x
    while exponent:
        if exponent & 1:
            result = base if result is None else multiply(result, base)
        exponent >>= 1
        base = multiply(base, base) if exponent else base
    assert result is not None
    return result


def matmul(
    x: SecureArray, other: SecureArray | Plain, factor: float = 1.0, scale: int | None = None, *,
    reach: float = math.inf,
) -> SecureArray:
    """``factor * (x @ other)`` with one rounding to ``scale`` fractional bits; shapes as in np.matmul.

    ``reach``: what |x @ other| cannot exceed, where the caller knows more than the two bounds and the inner size.
    Error: below 1 ulp of the result. Three rounds and 10.25 bytes per party and element of the result at 18 fractional
    bits, whatever the inner size and the number of matrices.
    """
    if not isinstance(other, SecureArray):
        result = matmul_public(x, other, left=False)
        return result if factor == 1.0 else multiply(result, np.asarray(factor))
    plan = _Matrices.of(x.shape, other.shape)
    x, y, context = x.numeric(), other.numeric(), x._context
    bound = min(x._bound * y._bound * plan.inner, reach)
    multiplier, bits = _as_integer_factor(factor, bound * 2.0 ** (x._scale + y._scale))
    if bits or multiplier != 1:
        context.met((multiplier, bits))
    if multiplier == 0:  # no room for an exact enough multiplier before the truncation
        return multiply(matmul(x, y, 1.0, scale), np.asarray(factor), scale)
    scale, cut = _product_scale(x, y, scale)
    cut += bits
    context.fits(bound * abs(multiplier), x._scale + y._scale, "this matrix product (before it is truncated)")
    a, b = x._ring_share().map(plan.left), y._ring_share().map(plan.right)
    if plan.rows:  # many products of a row and a column: one call instead of one for each
        if multiplier != 1:
            a = context.protocol.mul_public(a, layout.constant(multiplier))
        share = context.protocol.dot(a, b, cut)
    else:
        share = context.protocol.matmul(a, b, cut, multiplier)
    share = share.map(layout.reshape(plan.shape))
    return SecureArray(context, share, scale, bound * abs(factor) + (2.0**-scale if cut else 0.0))


def matmul_public(x: SecureArray, c: Plain, left: bool) -> SecureArray:
    """c @ x if ``left``, else x @ c, with a public operand: local but for a truncation. Shapes as in np.matmul."""
    plan = _Matrices.of(c.shape, x.shape, False) if left else _Matrices.of(x.shape, c.shape, False)
    x, context = x.numeric(), x._context
    proto = context.protocol
    bits = 0 if _whole(c) else context.fraction_bits
    ring, magnitude = fixed.public_constant(c, bits)
    total = x._scale + bits
    bound = x._bound * magnitude * plan.inner
    context.fits(bound, total, "this matrix product with a public operand (before it is truncated)")
    mine, theirs = (plan.right, plan.left) if left else (plan.left, plan.right)
    share = proto.matmul_public(x._ring_share().map(mine), theirs(ring), left).map(layout.reshape(plan.shape))
    scale = max(x._scale, min(total, context.fraction_bits))
    share = proto.truncate(share, total - scale)
    return SecureArray(context, share, scale, bound + (2.0**-scale if total > scale else 0.0))


_FEW = 16  # matrices that are multiplied one by one even if they are only rows and columns


@dataclass(frozen=True, slots=True)
class _Matrices:
    """How np.matmul's operands become two stacks of matrices with the same leading axes (or two lists of ``rows``)."""

    left: layout.Local
    right: layout.Local
    shape: tuple[int, ...]
    inner: int
    rows: bool

    @classmethod
    @lru_cache(maxsize=512)
    def of(cls, x: tuple[int, ...], y: tuple[int, ...], rows: bool = True) -> _Matrices:
        if not x or not y:
            raise ShapeError(f"matmul: expected at least one dimension, got {x} and {y}; multiply scalars with *")
        a = x if len(x) > 1 else (1, *x)
        b = y if len(y) > 1 else (*y, 1)
        inner = a[-1]
        if inner != b[-2]:
            raise ShapeError(f"matmul: shapes do not fit: {x} @ {y}, inner sizes differ")
        batch = broadcast_shapes(a[:-2], b[:-2])
        shape = (*batch, *(a[-2:-1] if len(x) > 1 else ()), *(b[-1:] if len(y) > 1 else ()))
        if len(b) == 2:  # a stack times one matrix is one matrix product
            return cls(layout.reshape((layout.count(a[:-1]), inner)), layout.reshape(b), shape, inner, False)
        many = layout.count(batch)
        if rows and many > _FEW and min(a[-2], b[-1]) == 1:
            full = (*batch, a[-2], b[-1], inner)
            into = layout.reshape((layout.count(full[:-1]), inner))
            left = layout.then(layout.reshape((*a[:-1], 1, inner)), layout.broadcast(full), into)
            columns = layout.then(layout.reshape(b), layout.swap_last, layout.reshape((*b[:-2], 1, b[-1], inner)))
            return cls(left, layout.then(columns, layout.broadcast(full), into), shape, inner, True)
        left = layout.then(layout.reshape(a), layout.broadcast((*batch, *a[-2:])))
        return cls(left, layout.then(layout.reshape(b), layout.broadcast((*batch, *b[-2:]))), shape, inner, False)


def total(x: SecureArray, axis: Axis = None, keepdims: bool = False) -> SecureArray:
    """Sum over an axis, several, or all. Local."""
    x = x.numeric()
    if axis is not None:
        x._context.met(("sum", axis))
    share = x._ring_share().map(layout.total(axis, keepdims))
    bound = x._bound * max(1, x.size // max(1, share.size))
    x._context.fits(bound, x._scale, "this sum")
    return SecureArray(x._context, share, x._scale, bound)


def mean(x: SecureArray, axis: Axis = None, keepdims: bool = False) -> SecureArray:
    """Arithmetic mean. Error at most 2 ulp where |x| * 2^(its fractional bits) stays below 2^30, whatever the number.

    Two rounds, or four for so many terms that 62 bits have no room for the digits of 1 / terms; 10 bytes per party and
    result for each two.
    """
    sums = total(x, axis, keepdims)
    terms = x.size // max(1, sums.size)
    if terms == 0:
        raise ShapeError(f"mean of an empty array of shape {x.shape}")
    return divided(sums, terms, max(x._scale, x._context.fraction_bits))


def divided(x: SecureArray, n: int, scale: int) -> SecureArray:
    """x / n for a public n, at ``scale``: by a power of two first where 62 bits have too little room for 1 / n."""
    size = exact.log2(max(x._bound * 2.0**x._scale, 1.0))
    digits = exact.log2(max(x._bound / n * 2.0**scale, 1.0))  # of the result, and so wanted of 1 / n
    if size + digits > RANGE_BITS - 2:
        raised = max(0, min(scale - x._scale, math.floor(RANGE_BITS - 1 - size)))
        x = rescale(x, x._scale + raised)
        cut = min(exact.log2_floor(n), math.ceil(size + raised + digits) - (RANGE_BITS - 2))
        share = x._context.protocol.truncate(x._ring_share(), cut)
        x = SecureArray(x._context, share, x._scale, x._bound / 2.0**cut + 2.0**-x._scale)
        return multiply(x, np.asarray(2.0**cut / n), scale)
    return multiply(x, np.asarray(1.0 / n), scale)


def _whole(c: npt.NDArray[Any]) -> bool:
    return c.dtype.kind in "biu" or bool(np.all(c == np.rint(c)))


def _factor_bits(largest: float, x: SecureArray, scale: int) -> int:
    """Fractional bits of a public factor so that its rounding moves a product at ``scale`` bits by half a unit at most.

    Where the 62 bits have no room for that, as many as fit, and 15 significant ones at least.
    """
    leading = exact.log2_floor(largest) + 1
    needed = scale + exact.log2_ceil(max(x._bound, 2.0**-scale))
    room = RANGE_BITS - 1 - exact.log2_ceil(max(x._bound * 2.0**x._scale, 1.0)) - leading
    return max(min(max(needed, 15 - leading), room), 15 - leading, 0)


def _as_integer_factor(factor: float, magnitude: float) -> tuple[int, int]:
    """(m, bits) with factor ~ m / 2^bits to 16 bits at least; (0, 0) if the room above ``magnitude`` is too small."""
    mantissa, exponent = math.frexp(abs(factor))
    if mantissa == 0.5 and exponent <= 1:  # a power of two is a shift: exact
        return (1 if factor > 0 else -1), 1 - exponent
    room = RANGE_BITS - 1 - exact.log2_ceil(max(magnitude, 1.0))
    digits = min(20, room)
    if digits < 16:
        return 0, 0
    bits = digits - 1 - exact.log2_floor(abs(factor))
    if bits <= 0:
        return round(factor), 0
    return round(factor * 2.0**bits), bits
