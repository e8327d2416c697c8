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
from ..mpc.shares import Share
from ..ring import exact, fixed, layout
from ..types import RANGE_BITS, Ring
from . import factors as factors_of

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
    if scale == 0 and not is_whole(other):
        scale = context.fraction_bits
        x = rescale(x, scale)
    ring, magnitude = fixed.public_constant(other, scale)
    shape = broadcast_shapes(x.shape, ring.shape)
    context.fits(x._bound + magnitude, scale, "this sum")
    ring = ring if sign > 0 else layout.negative(ring)
    return SecureArray(context, proto.add_public(x._fitted(shape), ring), scale, x._bound + magnitude)


_MOST_CUT = 60  # bits of a truncation


def _product_scale(x: SecureArray, y: SecureArray, scale: int | None) -> tuple[int, int]:
    """(scale of the result, bits to cut) for a product; ``scale`` None: the session's default."""
    total = x._scale + y._scale
    if not (x._scale and y._scale):
        return total, 0
    scale = max(min(x._context.fraction_bits if scale is None else scale, total), total - _MOST_CUT)
    return scale, total - scale


def _with_room(x: SecureArray, y: SecureArray, bound: float) -> tuple[SecureArray, SecureArray]:
    """x and y as they are, or with fewer fractional bits where products up to ``bound`` have no room otherwise.

    Only bits beyond the session's give way (a sigmoid has 29, for the sake of small probabilities): two rounds.
    """
    fewest = x._context.fraction_bits
    over = exact.log2_ceil(max(bound, 2.0**-100)) + 1 + x._scale + y._scale - RANGE_BITS if math.isfinite(bound) else 0
    if over <= 0 or max(x._scale, y._scale) <= fewest:
        return x, y
    first = max(0, min(over, x._scale - fewest))
    second = max(0, min(over - first, y._scale - fewest))
    return rescale(x, x._scale - first), rescale(y, y._scale - second)


def multiply(x: SecureArray, other: SecureArray | Plain, scale: int | None = None) -> SecureArray:
    """Elementwise product, rounded once to ``scale`` fractional bits (None: the session's default)."""
    context = x._context
    if not isinstance(other, SecureArray):
        return _multiply_public(x.numeric(), other, scale)
    if x.shape == other.shape and (x.kind == "bool") != (other.kind == "bool"):
        gate, y = (x, other) if x.kind == "bool" else (other, x)
        return SecureArray(context, gate._gating(y._ring_share()), y._scale, y._bound, y._flags)
    x, y = x.numeric(), other.numeric()
    x, y = _with_room(x, y, x._bound * y._bound)
    scale, cut = _product_scale(x, y, scale)
    context.fits(x._bound * y._bound, scale + cut, "this product (before it is truncated)")
    shape = broadcast_shapes(x.shape, y.shape)
    share = context.protocol.mul(x._fitted(shape), y._fitted(shape), cut)
    return SecureArray(
        context, share, scale, x._bound * y._bound + (2.0**-scale if cut else 0.0), x._flags and y._flags
    )


def _multiply_public(x: SecureArray, c: Plain, wanted: int | None, units: float = factors_of.HALF) -> SecureArray:
    """x * c; a factor that is not whole is rounded so that it moves the product by ``units`` or a relative 2^-24.

    The result has ``wanted`` fractional bits (None: the session's) or x's if these are more, and fewer than wanted
    where 62 bits have no room for them.
    """
    context, proto = x._context, x._context.protocol
    largest = float(np.abs(c.astype(np.float64)).max(initial=0.0))
    if is_whole(c):
        context.fits(x._bound * largest, x._scale, _PUBLIC_PRODUCT)
        ring, magnitude = fixed.public_constant(c, 0)
        share = proto.mul_public(x._fitted(broadcast_shapes(x.shape, ring.shape)), ring)
        return SecureArray(context, share, x._scale, x._bound * magnitude, x._flags and x.scale == 0 and zero_or_one(c))
    scale = max(x._scale, min(context.fraction_bits if wanted is None else wanted, _room(x._bound * largest)))
    context.fits(x._bound * largest, scale, _PUBLIC_PRODUCT)
    shape = broadcast_shapes(x.shape, c.shape)
    factors = np.ldexp(c.astype(np.float64), scale - x._scale)
    share = factors_of.scaled(context, x._fitted(shape), x._bound * 2.0**x._scale, factors, units)
    reach, unit = x._bound * largest, 2.0**-scale
    return SecureArray(context, share, scale, reach + max(reach * 2.0**-24, unit * units) + unit)


_PUBLIC_PRODUCT = "this product with a public factor"


def _room(bound: float) -> int:
    """Fractional bits that 62 bits have room for beside numbers up to ``bound``, as far as they are counted."""
    return RANGE_BITS if bound < 1 else RANGE_BITS - 2 - exact.log2_floor(bound) if math.isfinite(bound) else 0


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
    x, y = _with_room(x, y, bound * max(1.0, abs(factor)))
    multiplier, bits = _as_integer_factor(factor, bound * 2.0 ** (x._scale + y._scale))
    if bits + _product_scale(x, y, scale)[1] > _MOST_CUT:  # so small that the product has to be rounded before
        multiplier, bits = 0, 0
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
    """c @ x if ``left``, else x @ c, with a public operand: local but for a truncation. Shapes as in np.matmul.

    Error: below one unit (the truncation's) and half a unit for the rounded factors, or for these 2^-24 of the largest
    factor times the sum of |x|. Where the result is long, one truncation of each element of x and two of the result.
    """
    plan = _Matrices.of(c.shape, x.shape, False) if left else _Matrices.of(x.shape, c.shape, False)
    x, context = x.numeric(), x._context
    proto = context.protocol
    mine, theirs = (plan.right, plan.left) if left else (plan.left, plan.right)
    share = x._ring_share().map(mine)
    bound = x._bound * float(np.abs(c.astype(np.float64)).max(initial=0.0)) * plan.inner
    what = "this matrix product with a public operand"
    if is_whole(c):
        context.fits(bound, x._scale, what)
        ring, _ = fixed.public_constant(c, 0)
        made = proto.matmul_public(share, theirs(ring), left)
        return SecureArray(context, made.map(layout.reshape(plan.shape)), x._scale, bound)
    scale = max(x._scale, min(context.fraction_bits, _room(bound)))
    context.fits(bound, scale, what)
    factors = np.ldexp(c.astype(np.float64), scale - x._scale)

    def multiplied(part: Share, ring: Ring) -> Share:
        return proto.matmul_public(part, theirs(ring), left)

    least = context.fraction_bits + x._scale - scale
    size = x._bound * 2.0**x._scale
    made = factors_of.summed(context, share, size, factors, multiplied, plan.inner, least)
    error = max(bound * 2.0**-23, 2.0**-scale)
    return SecureArray(context, made.map(layout.reshape(plan.shape)), scale, bound + error + 2.0**-scale)


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
    """Arithmetic mean. Error at most a relative 2^-24 and one unit in the last place, for any numbers and any bound.

    The unit is that of the result, which has the session's fractional bits (or x's, if more), or as many as its bound
    leaves room for. One truncation, 9 to 14 bytes per party and result; two or three where the sum is longer than
    about 38 bits, and one of every row beside them where it is longer than 62.
    """
    shape = layout.result_shape(layout.total(axis, keepdims), x.shape)
    terms = x.size // max(1, layout.count(shape))
    if terms == 0:
        raise ShapeError(f"mean of an empty array of shape {x.shape}")
    return total_divided(x.numeric(), np.asarray(terms), axis, keepdims)


def total_divided(
    x: SecureArray, divisor: Plain, axis: Axis = None, keepdims: bool = False, most: float | None = None
) -> SecureArray:
    """Sum over an axis divided by public numbers of its shape, or one; the sum may pass 62 bits. Error as ``mean``.

    ``most``: what the quotient cannot exceed (None: by the bound of x).
    """
    shape = layout.result_shape(layout.total(axis, keepdims), x.shape)
    terms = x.size // max(1, layout.count(shape))
    wanted = max(x._scale, x._context.fraction_bits)
    if x._bound * terms * 2.0**x._scale < 2.0**RANGE_BITS:
        summed = total(x, axis, keepdims)
        if most is not None:
            summed = summed._stated(min(summed._bound, most * float(np.abs(divisor).max())))
        return divide_public(summed, divisor, wanted)
    context = x._context
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    first = [a % x.ndim for a in axes]
    rest = [a for a in range(x.ndim) if a not in first]
    context.met(("mean", *first))
    rows = x._ring_share().map(layout.then(layout.transpose((*first, *rest)), layout.reshape((terms, -1))))
    size = x._bound * 2.0**x._scale
    many = max(1, math.floor(2.0 ** (RANGE_BITS - 1) / size))
    parts = [
        rows.map(layout.then(layout.take(slice(i, i + many)), layout.total(0, False))) for i in range(0, terms, many)
    ]
    inverse = 1.0 / divisor.astype(np.float64)
    bound = x._bound * terms * float(np.abs(inverse).max()) if most is None else most
    scale = max(x._scale, min(wanted, _room(bound)))
    context.fits(bound, scale, _PUBLIC_PRODUCT)
    factors = np.ldexp(np.broadcast_to(inverse, shape).reshape(-1), scale - x._scale)
    share = factors_of.of_sum(context, parts, size * many, factors)
    return SecureArray(context, share.map(layout.reshape(shape)), scale, bound * (1 + 2.0**-22) + 2.0 ** (1 - scale))


def divided(x: SecureArray, n: int, scale: int) -> SecureArray:
    """x / n for a public whole n, at ``scale`` or x's fractional bits if more, or as many as fit; error as ``mean``."""
    return divide_public(x, np.asarray(n), scale)


def divide_public(x: SecureArray, divisor: Plain, scale: int | None = None) -> SecureArray:
    """x / divisor, public and not 0; see ``real.divide``."""
    with np.errstate(over="ignore"):  # of a divisor below 2^-1022: no bound allows it
        factor = 1.0 / divisor.astype(np.float64)
    x = x.numeric()
    if x.scale == 0 and is_whole(factor):  # a quotient is fixed, even where it is a whole number
        wanted = x._context.fraction_bits if scale is None else scale
        x = rescale(x, min(wanted, _room(x._bound)))
    return _multiply_public(x, factor, scale, factors_of.FINE)


def is_whole(c: npt.NDArray[Any]) -> bool:
    """Whether public numbers are whole, of whatever type."""
    return c.dtype.kind in "biu" or bool(np.all(c == np.rint(c)))


def _as_integer_factor(factor: float, magnitude: float) -> tuple[int, int]:
    """(m, bits) with factor ~ m / 2^bits to 16 bits at least; (0, 0) if the room above ``magnitude`` is too small, or
    the factor is 0."""
    if factor == 0.0:
        return 0, 0
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
