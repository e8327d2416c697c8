"""Quotients of sums whose size is known from how they were computed: shares of rows, means, rates."""

from __future__ import annotations

import math

from ..array import SecureArray, broadcast_shapes
from ..mpc import approx, roots
from ..ring import exact
from ..types import RANGE_BITS

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


def fitting_scale(bound: float, wanted: int, bits: int = RANGE_BITS - 1) -> int:
    """The largest number of fractional bits up to ``wanted`` at which values up to ``bound`` keep within ``bits``."""
    return max(0, min(wanted, bits - exact.log2_ceil(max(bound, 1.0))))
