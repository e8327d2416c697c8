"""Floor quotients, remainders and shifts, exact for every number within its bound: ``//`` and ``%`` as in NumPy.

A quotient by a public divisor is one exact truncation of a product where both are short: with c = 2^k / d rounded and
2^k above |x| d, (x + 1/2) c / 2^k differs from (x + 1/2) / d by less than the 1 / 2d that lies between that and the
next whole number. Longer numbers are divided approximately first and what is left is divided again; a last step may
compare what is left with multiples of the divisor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray, broadcast_shapes, context_of, secure
from ..context import Context
from ..errors import UsageError
from ..mpc import approx, roots
from ..mpc.shares import Share
from ..ring import layout
from ..types import RANGE_BITS, Ring
from . import arithmetic, factors

Plain = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

_FAR = 1 << (RANGE_BITS - 1)  # of a dividend and of a public divisor as ring integers
_LARGEST = float(_FAR)
_MOST_CUT = 60  # bits of an exact truncation
_LEFT = 1.625  # divisors that an approximate quotient may be off beside a relative 2^-24
_REACH = 2.0  # divisors up to which comparisons find the quotient


def floor_divide(x: Any, divisor: Any) -> SecureArray:
    """floor(x / divisor) as secret integers, exactly: to minus infinity for either sign, as in Python and NumPy.

    ``divisor``: public numbers, not 0, that are whole or multiples of 2^-18 (the session's fractional bits), of any
    size and sign; or secret ones, a guard that none is 0, where the product of both bounds stays below 2^60 and
    that of x below 2^46 (in units in the last place of the finer one). Raises ZeroDivisionError, UsageError,
    OverflowPlanned.

    Cost for whole numbers below 2^29 and a public divisor: one exact truncation (10 to 12 rounds, 40 bytes per party
    and element at 10^4 by 7); powers of two cost less, longer numbers two or three truncations more; a secret divisor
    about 80 rounds and 450 bytes.
    """
    return _divided(x, divisor, "//")[0]


def remainder(x: Any, divisor: Any) -> SecureArray:
    """x - divisor * floor(x / divisor), exactly: 0 or of the divisor's sign. Range and cost as ``floor_divide``."""
    return divmod_(x, divisor, "%")[1]


def divmod_(x: Any, divisor: Any, sign: str = "divmod") -> tuple[SecureArray, SecureArray]:
    """Floor quotient and remainder; the second is local where the divisor is public."""
    quotient, rest = _divided(x, divisor, sign)
    return quotient, rest()


def fmod(x: Any, divisor: Any) -> SecureArray:
    """What is left of x when x / divisor is rounded towards zero: 0 or of x's sign. Exact; two comparisons more."""
    x = secure(context_of(x, divisor), x).numeric()
    size = abs(divisor)
    rest = remainder(abs(x), size)
    signed: SecureArray = rest - rest * (x < 0) * 2
    return signed


def right_shift(x: SecureArray, bits: Any) -> SecureArray:
    """floor(x / 2^bits) for secret integers and public shifts, exactly. Cost: one exact truncation of the bits."""
    return floor_divide(_integers(x, ">>"), _powers(x, bits, ">>"))


def left_shift(x: SecureArray, bits: Any) -> SecureArray:
    """x * 2^bits for secret integers and public shifts. Local."""
    return arithmetic.multiply(_integers(x, "<<"), _powers(x, bits, "<<"))


def _integers(x: SecureArray, sign: str) -> SecureArray:
    if x.kind == "fixed":
        raise UsageError(f'x {sign} bits: expected secret integers, got {x!r}; x.astype("int") drops what is not whole')
    return x.numeric()


def _powers(x: SecureArray, bits: Any, sign: str) -> Plain:
    if isinstance(bits, SecureArray):
        raise UsageError(f"x {sign} bits: expected a public number of bits, got {bits!r}; x * 2**bits takes secret")
    given = np.asarray(bits)
    if given.dtype.kind not in "iu" or (given < 0).any():
        raise UsageError(f"x {sign} bits: expected whole numbers of bits that are not negative, got {bits!r}")
    x._context.met(("shift", given))
    return np.asarray(np.ldexp(1.0, np.minimum(given, 1000).astype(np.int64)))


# -- public divisors -------------------------------------------------------------------------------------------------


def _divided(x: Any, divisor: Any, sign: str) -> tuple[SecureArray, Any]:
    """(quotient, a function that makes the remainder)."""
    context = context_of(x, divisor)
    x = secure(context, x).numeric()
    other = x.operand(divisor)
    if isinstance(other, SecureArray):
        return _by_secret(x, other.numeric(), sign)
    given = np.asarray(other)
    if not np.all(given):
        raise ZeroDivisionError(f"x {sign} d: a public divisor is 0")
    real = given.astype(np.float64)
    scale = max(x.scale, 0 if arithmetic.is_whole(given) else context.fraction_bits)
    if not np.all(np.ldexp(real, scale) == np.rint(np.ldexp(real, scale))):
        raise UsageError(
            f"x {sign} d: expected divisors that are multiples of 2^-{scale}, as x is, got {divisor!r}: on which side "
            f"of a multiple x lies would be chance. Make both whole, as in (x * 10) {sign} 1 for x {sign} 0.1, or take "
            "np.floor(x / d) where either side will do"
        )
    x = x.rescaled(scale)
    size = x.bound * 2.0**scale
    context.fits(2 * x.bound, scale, f"x {sign} d (a dividend and one bit)")
    shape = broadcast_shapes(x.shape, given.shape)
    units = _units(given, scale)
    turned = np.where(units < 0, -1, 1)
    share = x._fitted(shape)
    if (turned < 0).any():
        share = context.protocol.mul_public(share, _ring(turned))
    whole = np.abs(units)
    quotient = _floor(context, share, size, whole)
    most = float(math.ceil(size / float(whole.min(initial=_LARGEST)))) if whole.size else 1.0
    made = SecureArray(context, quotient, 0, max(1.0, most))

    def rest() -> SecureArray:
        reach = float(np.abs(real).max(initial=0.0))
        context.fits(reach, scale, f"x {sign} d (a remainder may be as large as the divisor)")
        left = context.protocol.sub(share, context.protocol.mul_public(quotient, _ring(whole)))
        if (turned < 0).any():
            left = context.protocol.mul_public(left, _ring(turned))
        return SecureArray(context, left, scale, max(reach - 2.0**-scale, 2.0**-scale))

    return made, rest


def _units(divisor: Plain, scale: int) -> npt.NDArray[np.int64]:
    """Public divisors as ring integers; those beyond any dividend as 2^61: the quotient is the same."""
    if divisor.dtype.kind in "biu":
        whole = (int(v) << scale for v in divisor.reshape(-1).tolist())
        return np.asarray([max(-_FAR, min(_FAR, v)) for v in whole], np.int64).reshape(divisor.shape)
    return np.clip(np.ldexp(divisor.astype(np.float64), scale), -_LARGEST, _LARGEST).astype(np.int64)


def _ring(values: npt.NDArray[np.int64]) -> Ring:
    return np.asarray(values.astype(np.int64)).view(np.uint64)


def _floor(context: Context, x: Share, size: float, divisor: npt.NDArray[np.int64]) -> Share:
    """floor(x / divisor) of ring integers, |x| <= size < 2^61, divisor from 1 to 2^61."""
    proto = context.protocol
    first = int(divisor.reshape(-1)[0]) if divisor.size else 1
    if (divisor == first).all() and first & (first - 1) == 0:
        return _shifted(context, x, min(first.bit_length() - 1, approx.bits_for(size, 0)))
    length = divisor.astype(np.float64)
    reach: Floats = np.full(length.shape, size)
    total: Share | None = None
    while True:
        few = bool((reach < length).all())
        cut = None if few else _exact_cut(float(reach.max()), length)
        if cut is not None:
            part = _by_product(context, x, cut, divisor)
        elif few or bool((reach <= _REACH * length).all()):
            part = _by_comparison(context, x, divisor, 1 if few else 2)
        else:
            part = factors.scaled(context, x, float(reach.max()), 1.0 / length)
        total = part if total is None else proto.add(total, part)
        if cut is not None or few or bool((reach <= _REACH * length).all()):
            return total
        x = proto.sub(x, proto.mul_public(part, _ring(divisor)))
        reach = length * _LEFT + reach * 2.0**-24


def _shifted(context: Context, x: Share, bits: int) -> Share:
    """floor(x / 2^bits)."""
    if bits == 0:
        return x
    # truncate_nearest adds half a unit, which is taken off again here
    return context.protocol.truncate_nearest(
        context.protocol.add_public(x, layout.constant(-(1 << (bits - 1)))), bits
    )


def _exact_cut(size: float, divisor: Floats) -> int | None:
    """Bits k so that (x + 1/2) * round(2^k / d) / 2^k is exact for |x| <= size; None where it has no room."""
    cut = math.frexp((size + 1) * float(divisor.max()))[1]
    fits = (2 * size + 1) * (2.0**cut / float(divisor.min()) + 1) < _LARGEST
    return cut if fits and cut + 1 <= _MOST_CUT else None


def _by_product(context: Context, x: Share, cut: int, divisor: npt.NDArray[np.int64]) -> Share:
    proto = context.protocol
    inverse = [((1 << cut) + d // 2) // d for d in divisor.reshape(-1).tolist()]
    odd = proto.add_public(proto.mul_public(x, layout.constant(2)), layout.constant(1))
    product = proto.mul_public(odd, layout.constants(inverse).reshape(divisor.shape))
    return _shifted(context, product, cut + 1)


def _by_comparison(context: Context, x: Share, divisor: npt.NDArray[np.int64], most: int) -> Share:
    """floor(x / divisor) for |x| < most * divisor, most 1 or 2."""
    proto = context.protocol
    steps = range(1 - most, most)
    moved = proto.stack([proto.add_public(x, _ring(-divisor * t)) for t in steps], 0)
    bits = approx.bits_for(float(divisor.max()), 0) + most
    below = proto.b2a(proto.msb(moved, min(bits, RANGE_BITS + 1))).map(layout.total(0, False))
    return proto.add_public(proto.neg(below), layout.constant(most - 1))


# -- secret divisors -------------------------------------------------------------------------------------------------


def _by_secret(x: SecureArray, y: SecureArray, sign: str) -> tuple[SecureArray, Any]:
    context, proto = x._context, x._context.protocol
    scale = max(x.scale, y.scale)
    x, y = x.rescaled(scale), y.rescaled(scale)
    size, most = x.bound * 2.0**scale, y.bound * 2.0**scale
    bits, long = approx.bits_for(y.bound, scale), approx.bits_for(x.bound, scale)
    context.fits(size * 2.0 ** (bits + 1), 0, f"x {sign} y (both bounds multiplied, for a secret divisor)")
    context.fits(size * 2.0 ** (RANGE_BITS - roots.QUOTIENT_BITS), 0, f"x {sign} y (a quotient by a secret divisor)")
    zero = proto.b2a(proto.is_zero(y._ring_share(), min(64, bits + 1)))
    hint = f"x {sign} y: a divisor is 0; leave such rows out or replace it first, np.where(y == 0, 1, y)"
    context.guard(zero.map(layout.total(None, False)), hint)
    turned = 1 - (y < 0).numeric() * 2
    shape = broadcast_shapes(x.shape, y.shape)
    turn = turned._fitted(shape)
    dividend = proto.mul(x._fitted(shape), turn)
    divisor = (y * turned)._ring_share()
    wide = layout.broadcast(shape)
    inverse = roots.inverted(proto, divisor, 0, bits)
    divisor = divisor.map(wide)
    quotient, left, reach = None, dividend, size
    while True:
        part = roots.divided(proto, left, 0, inverse, 0, max(2, min(long, roots.QUOTIENT_BITS)))
        quotient = part if quotient is None else proto.add(quotient, part)
        left = proto.sub(left, proto.mul(part, divisor))
        reach = reach * 2.0**-20 + 1.25  # of the quotient, in units
        if reach <= _REACH:
            break
        long = approx.bits_for(reach, 0)
    moved = proto.stack([proto.add(left, divisor), left, proto.sub(left, divisor)], 0)
    below = proto.b2a(proto.msb(moved, min(RANGE_BITS + 1, approx.bits_for(3 * most + 1, 0))))
    less = proto.add_public(proto.neg(below.map(layout.total(0, False))), layout.constant(1))
    quotient = proto.add(quotient, less)

    def rest() -> SecureArray:
        over = proto.sub(left, proto.mul(less, divisor))
        return SecureArray(context, proto.mul(over, turn), scale, y.bound)

    return SecureArray(context, quotient, 0, max(1.0, float(math.ceil(size)))), rest
