"""Reciprocals, quotients and roots of secret arrays. Each states its range and largest error; tests sweep both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import SecureArray, broadcast_shapes, context_of, secure
from ..errors import UsageError
from ..mpc import approx, roots
from ..ring import exact, layout
from ..types import RANGE_BITS
from . import arithmetic, ratio
from .cellwise import cellwise, empty_is_no_zero

_MOST_BITS = 60  # of an argument that is normalised by its leading bit
_ROOT_BITS = 57  # of an argument of a square root


@empty_is_no_zero("x")
@cellwise
def reciprocal(x: SecureArray, at_most: float | None = None, scale: int | None = None) -> SecureArray:
    """1 / x; 0 where x is 0. Relative error at most 2^-20 plus one unit in the last place of ``scale`` bits.

    ``at_most``: public bound on |1 / x|, checked by a guard; it gives a small bound and room for more fractional bits
    (``scale``; at_most * 2^scale <= 2^60). Without it |1 / x| may reach 2^(x.scale), its largest possible value.
    For |x| <= 128 at 18 bits: 35 rounds and 182 bytes per party and element, or 29 and 212 in a small batch.
    """
    x = x.numeric()
    context, proto = x._context, x._context.protocol
    largest = 2.0**x.scale if at_most is None else float(at_most)
    out = min(context.fraction_bits if scale is None else scale, _MOST_BITS - exact.log2_ceil(largest))
    bits = approx.bits_for(x.bound, x.scale)
    if bits > _MOST_BITS or out < 1:
        raise UsageError(
            f"reciprocal of {x!r} with |x| <= {x.bound:g}: needs at most 60 bits for x and for 1 / x; state at_most="
        )
    if at_most is not None:
        _guard_from_zero(x, largest)
    share = roots.reciprocal(proto, x._ring_share(), x.scale, bits, out)
    return SecureArray(context, share, out, largest * 1.01)


def _guard_from_zero(x: SecureArray, largest: float) -> None:
    """Guard that |1 / x| <= largest: count the elements with -least < x < least."""
    proto = x._context.protocol
    least = layout.constant(-math.ceil(2.0**x.scale / largest * (1 - 2.0**-20)))
    share = x._ring_share()
    both = proto.stack([proto.add_public(share, least), proto.add_public(proto.neg(share), least)], 0)
    low = SecureArray(x._context, proto.msb(both, min(RANGE_BITS, approx.bits_for(x.bound, x.scale) + 1)))
    hint = f"|1 / x| <= {largest:g}: state a larger at_most, or keep x away from 0"
    x._context.guard(proto.b2a((low[0] & low[1])._bit_share()).map(layout.total(None, False)), hint)


@empty_is_no_zero("b")
@cellwise
def divide(a: Any, b: Any, at_most: float | None = None) -> SecureArray:
    """a / b; 0 where a secret b is 0. Relative error at most 2^-20 plus 1.25 units in the last place.

    A public b: a relative 2^-24 and one unit in the last place (and 2^-8 for what is rounded on the way) for any b and
    every bound that fits; one truncation, 9 to 16 bytes per party and element, two or three where |a| at 18 bits passes
    about 2^20. Elements of an array b keep their digits whatever stands beside them.

    A secret b: ``at_most`` is a public bound on |1 / b|, checked by a guard; without it |1 / b| may reach 2^(b.scale),
    and bounds of more than about 2^11 for both a and b raise OverflowPlanned. By secret integers, such as the counts of
    means, the error is a relative 2^-24 and one unit for sums of any bound (see ``ratio.mean``), at 6 rounds and 45
    bytes more. A quotient's error does not grow with |a|, as it would in a * reciprocal(b). For |a|, |b| <= 128 at 18
    bits: 44 rounds and 213 bytes per party and element.
    """
    context = context_of(a, b)
    if not isinstance(b, SecureArray):
        dividend = secure(context, a)
        public = np.asarray(dividend.operand(b))
        if not np.all(public):
            raise ZeroDivisionError("division of a secret array by a public zero")
        return arithmetic.divide_public(dividend, public)
    a, b = secure(context, a).numeric(), b.numeric()
    largest = 2.0**b.scale if at_most is None else float(at_most)
    if at_most is not None:
        _guard_from_zero(b, largest)
    elif b.scale == 0:  # a count of what a is the sum of: |a / b| <= |a|
        return ratio.mean(a, b, a.bound, context.fraction_bits)
    return quotient(a, b, largest)


def quotient(a: SecureArray, b: SecureArray, largest: float) -> SecureArray:
    """a / b where |1 / b| <= largest is known (or guarded) by the caller."""
    context = a._context
    out = context.fraction_bits
    bits = approx.bits_for(b.bound, b.scale)
    if bits > _MOST_BITS:
        raise UsageError(f"division by {b!r} with |b| <= {b.bound:g}: needs more than {_MOST_BITS} bits")
    context.fits(a.bound * largest * 2.0 ** (bits - b.scale), a.scale, "a dividend (state at_most= in privity.divide)")
    context.fits(
        a.bound * largest * 1.01,
        out + RANGE_BITS - roots.QUOTIENT_BITS,
        "this quotient (state at_most= in privity.divide)",
    )
    shape = broadcast_shapes(a.shape, b.shape)
    result_bits = approx.bits_for(a.bound * largest * 1.01, out)
    dividend, divisor = a._fitted(shape), b._ring_share()
    share = roots.quotient(context.protocol, dividend, a.scale, divisor, b.scale, bits, out, result_bits)
    return SecureArray(context, share, out, a.bound * largest * 1.01)


@cellwise
def sqrt(x: SecureArray) -> SecureArray:
    """Square root for x >= 0; 0 where x <= 0. Relative error at most 2^-20 plus 1.25 units in the last place.

    Bounds up to 2^38 at 18 bits; larger ones raise UsageError.
    For x <= 128 at 18 bits: 42 rounds and 197 bytes per party and element, or 34 and 227 in a small batch.
    """
    x = x.numeric()
    context = x._context
    bits = _root_bits(x, "sqrt")
    if not roots.sqrt_fits(x.scale, bits, context.fraction_bits):
        raise UsageError(
            f"sqrt: no room for a root at {context.fraction_bits} fractional bits of {x!r} with |x| <= {x.bound:g}; "
            "state a tighter bound: x.assume_bound(b)"
        )
    share = roots.sqrt(context.protocol, x._ring_share(), x.scale, bits, context.fraction_bits)
    return SecureArray(context, share, context.fraction_bits, math.sqrt(x.bound) * 1.0001 + 2.0**-context.fraction_bits)


@cellwise
def rsqrt(x: SecureArray) -> SecureArray:
    """1 / sqrt(x) for x > 0; 0 where x <= 0. Relative error at most 2^-20 plus one unit in the last place.

    For x <= 128 at 18 bits: 42 rounds and 195 bytes per party and element, or 34 and 224 in a small batch.
    """
    x = x.numeric()
    context = x._context
    bits = _root_bits(x, "rsqrt")
    share = roots.rsqrt(context.protocol, x._ring_share(), x.scale, bits, context.fraction_bits)
    return SecureArray(context, share, context.fraction_bits, exact.exp2(x.scale / 2) * 1.0001)


def _root_bits(x: SecureArray, what: str) -> int:
    bits = approx.bits_for(x.bound, x.scale)
    if bits > _ROOT_BITS:
        raise UsageError(f"{what}: expected a bound below 2^{_ROOT_BITS - x.scale}, got {x!r} with {x.bound:g}")
    return bits
