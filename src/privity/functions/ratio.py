"""Quotients of sums whose size is known from how they were computed: shares of rows, means, rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..array import Axis, SecureArray, broadcast_shapes
from ..mpc import approx, roots
from ..mpc.protocol import Protocol
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS
from . import arithmetic

_MOST_BITS = 60  # of a divisor


def ratio(
    a: SecureArray, b: SecureArray, most: float, scale: int | None = None, *, least: float = 0.0
) -> SecureArray:
    """a / b where |a| <= most |b| follows from how both were computed; 0 where b is 0. Shapes broadcast.

    For a sum over the rows divided by their secret number: nothing need be known of how small the divisor is, as it
    must be in ``divide``. ``scale``: fractional bits of the result (None: the session's, or as many as fit).
    ``least`` above 0: what the divisor is known to reach, which saves 30 to 50 bytes. Relative error at most 2^-20 plus
    1.25 units in the last place; about 46 rounds and 220 bytes per party and element.
    Raises OverflowPlanned where most * b needs more than 62 bits.
    """
    a, b = a.numeric(), b.numeric()
    context = a._context
    most = max(float(most), 2.0**-context.fraction_bits)
    room = roots.QUOTIENT_BITS - approx.bits_for(most * 1.01, 0) - 1
    out = max(1, min(context.fraction_bits if scale is None else scale, room))
    shape = broadcast_shapes(a.shape, b.shape)
    bits = min(_MOST_BITS, approx.bits_for(b.bound, b.scale))
    # The dividend is multiplied by the power of two that brings the divisor to its full length.
    context.fits(most * 2.0 ** (bits - b.scale), a.scale, "a ratio (before it is divided)")
    share = roots.quotient(
        context.protocol, a._fitted(shape), a.scale, b._fitted(shape), b.scale, bits, out,
        approx.bits_for(most * 1.01, out), max(0, math.floor(least * 2.0**b.scale)),
    )  # fmt: skip
    return SecureArray(context, share, out, most * (1 + 2.0**-16) + 2.0 ** (1 - out))


def mean(parts: SecureArray | Sequence[SecureArray], count: SecureArray, most: float, scale: int) -> SecureArray:
    """(Sum of ``parts``) / count where |mean| <= most follows from how they were computed; 0 where count is 0.

    Relative error at most 2^-24, and one unit in the last place of ``scale`` bits (1.08; fewer bits where the counts
    leave no room for them). ``parts``: one array, or several of one shape whose sum may pass 62 bits (see ``sums``).
    The quotient of ``ratio`` is corrected by what it leaves, sum - quotient * count, which is known exactly: 5 to 8
    rounds and 45 bytes per party and element beside that.
    """
    given = [x.numeric() for x in ([parts] if isinstance(parts, SecureArray) else parts)]
    count = count.numeric()
    proto = count._context.protocol
    most = max(float(most), 2.0**-scale)
    shape = broadcast_shapes(given[0].shape, count.shape)
    bits = min(_MOST_BITS, approx.bits_for(count.bound, count.scale))
    wanted = max(scale, given[0].scale - count.scale)
    cut = max(0, exact.log2_ceil(most * 2.0 ** given[0].scale) + bits - count.scale - (RANGE_BITS - 2))
    off = len(given) * 2.0 ** (cut + count.scale - given[0].scale) if cut else 0.0
    fine = _fine(count, bits, most, off, wanted)
    coarse = given[0].scale - count.scale - fine
    if coarse > 0:
        given, cut = [x.rescaled(x.scale - coarse) for x in given], max(0, cut - coarse)
    shares = [x._fitted(shape) for x in given]
    total = shares[0]
    for share in shares[1:]:
        total = proto.add(total, share)
    short = proto.truncate(proto.stack(shares, 0), cut).map(layout.total(0, False)) if cut else total
    result = _corrected(_Sum(total, given[0].scale, short, given[0].scale - cut, off), count, bits, most, fine)
    return result if fine <= scale else result.rescaled(scale)


def weighted_mean(
    x: SecureArray, weight: SecureArray, most: float, scale: int, axis: Axis = None, keepdims: bool = False
) -> SecureArray:
    """Sum of x * weight over sum of weight, of two arrays of one shape; |mean| <= most. The weights are not negative.

    Error as ``mean``; the products are not rounded. 0 where all weights are 0. One product per element (and a
    truncation where both bounds are long), and what ``mean`` costs.
    """
    x, weight = x.numeric(), weight.numeric()
    proto = x._context.protocol
    count = arithmetic.total(weight, axis, keepdims)
    most = max(float(most), 2.0**-scale)
    bits = min(_MOST_BITS, approx.bits_for(count.bound, count.scale))
    # The sum is known modulo 2^64; where it may be longer, a second one of shortened numbers says which it is.
    room = RANGE_BITS - 2 - exact.log2_ceil(max(most, 1.0)) - bits
    cut = max(0, x.scale - room)
    off = 2.0 ** (cut - x.scale) if cut else 0.0
    fine = _fine(count, bits, most, off, max(scale, x.scale))
    if fine < x.scale:
        x = x.rescaled(fine)
        cut = max(0, x.scale - room)
    total = short = _products(proto, x._ring_share(), weight._ring_share(), axis, keepdims)
    if cut:
        short = _products(proto, proto.truncate(x._ring_share(), cut), weight._ring_share(), axis, keepdims)
    whole = x.scale + weight.scale
    result = _corrected(_Sum(total, whole, short, whole - cut, off), count, bits, most, fine)
    return result if fine <= scale else result.rescaled(scale)


def _products(proto: Protocol, x: Share, weight: Share, axis: Axis, keepdims: bool) -> Share:
    """Sums of products over an axis; of one dimension no more than the sum is sent."""
    if len(x.shape) != 1 or keepdims:
        return proto.mul(x, weight).map(layout.total(axis, keepdims))
    row = layout.reshape((1, *x.shape))
    return proto.dot(x.map(row), weight.map(row)).map(layout.reshape(()))


@dataclass(frozen=True)
class _Sum:
    """A sum modulo 2^64 at ``scale``, and one that fits 62 bits at ``short_scale``, which moves the mean by ``off``."""

    total: Share
    scale: int
    short: Share
    short_scale: int
    off: float


def _corrected(sum_: _Sum, count: SecureArray, bits: int, most: float, fine: int) -> SecureArray:
    """sum / count at ``fine`` fractional bits: a first quotient, and that of what it leaves."""
    context, proto, shape = count._context, count._context.protocol, sum_.total.shape
    first = _first_scale(most, fine)
    by = roots.inverted(proto, count._ring_share(), count.scale, bits)
    rough = roots.divided(proto, sum_.short, sum_.short_scale, by, first, approx.bits_for(most * 1.01, first))
    rough = proto.mul_public(rough, layout.constant(1 << (fine - first)))
    divisor = count._ring_share().map(layout.broadcast(shape))
    raised = layout.constant(1 << (fine + count.scale - sum_.scale))
    left = proto.sub(proto.mul_public(sum_.total, raised), proto.mul(rough, divisor))
    reach = approx.bits_for(_left(most, fine, sum_.off), 0)
    rest = roots.divided(proto, left, 0, roots.Inverse(by.mantissa, by.power, 0, bits), 0, reach)
    return SecureArray(context, proto.add(rough, rest), fine, most * (1 + 2.0**-22) + 2.0 ** (1 - fine))


def _fine(count: SecureArray, bits: int, most: float, off: float, wanted: int) -> int:
    """Fractional bits of a mean, up to ``wanted``: what the first quotient leaves is multiplied by the power of two
    that brings the count to its full length."""
    fine = wanted
    while fine > 0 and max(_left(most, fine, off) * 2.0**bits, most * 2.0**fine) >= 2.0 ** (RANGE_BITS - 1):
        fine -= 1
    count._context.fits(most, fine, "this mean")
    count._context.fits(_left(most, fine, off) * 2.0**bits, 0, "a mean by secret weights of this bound")
    return fine


def _first_scale(most: float, wanted: int) -> int:
    """Fractional bits of the first quotient; below 0 where whole units of a long mean have no room in it."""
    return min(wanted, roots.QUOTIENT_BITS - approx.bits_for(most * 1.01, 0) - 1)


def _left(most: float, scale: int, off: float) -> float:
    """By how many units at ``scale`` the first quotient may be off."""
    return most * 2.0 ** (scale - 20) + 1.25 * 2.0 ** (scale - _first_scale(most, scale)) + off * 2.0**scale + 1


def sums(rows: SecureArray) -> list[SecureArray]:
    """Sums over the first axis, of as many rows at a time as 62 bits have room for. Local."""
    most = max(1, math.floor(2.0 ** (RANGE_BITS - 1) / max(rows.bound * 2.0**rows.scale, 1.0)))
    return [rows[i : i + most].sum(axis=0) for i in range(0, max(1, len(rows)), most)]


def fitting_scale(bound: float, wanted: int, bits: int = RANGE_BITS - 1) -> int:
    """The largest number of fractional bits up to ``wanted`` at which values up to ``bound`` keep within ``bits``."""
    return max(0, min(wanted, bits - exact.log2_ceil(max(bound, 1.0))))
