"""Exponentials, logarithms and powers of secret arrays. Each states its range and largest error; tests sweep both."""

from __future__ import annotations

import math
from typing import Any

from ..array import SecureArray, broadcast_shapes
from ..errors import UsageError
from ..mpc import approx, exponential
from ..mpc.polynomial import WORK
from ..ring import exact, layout
from ..types import RANGE_BITS
from . import arithmetic, real
from .cellwise import cellwise
from .join import stack
from .select import clip

_LOG2_E = exact.log2(math.e)
_FINE = 24  # fractional bits of log2 x where it is multiplied by an exponent


@cellwise
def exp(x: SecureArray) -> SecureArray:
    """e^x. Relative error at most 2^-16 plus one unit in the last place, for every x up to the largest result.

    Results stay below 2^(61 - fraction bits) = 2^43 (x up to 29.8); where x is larger the result is 2^43. State a small
    bound on x (``clip``, ``assume_bound``) where you know one: the result's bound is e^bound, and bounds up to 8 cost
    fewer bytes. For |x| <= 8 at 18 bits: 23 rounds and 125 bytes per party and element, or 18 and 146 in a small batch.
    """
    return power_of(x, _LOG2_E, x._context.fraction_bits)


@cellwise
def exp2(x: SecureArray) -> SecureArray:
    """2^x for x up to 43; error, clamp and cost as ``exp``."""
    return power_of(x, 1.0, x._context.fraction_bits)


@cellwise
def expm1(x: SecureArray) -> SecureArray:
    """e^x - 1, precise near 0 too: relative error at most 2^-15 plus 1.25 units in the last place, plus 2^-21.

    So below |x| = 1/8 only rounding counts (it is what the resolution leaves; more of it needs more ``fraction_bits``).
    Results stay below 2^(60.5 - fraction bits) = 2^42.5 (x up to 29.4) and end there. Rounds and bytes as ``exp``.
    """
    context, out = x._context, x._context.fraction_bits
    scale = min(WORK + 2, max(WORK, out + 2))
    y, reach = _exponent(x, _LOG2_E, out, scale)
    share = exponential.exp2m1(context.protocol, y, scale, -reach, reach, out)
    largest = exact.exp2(min(reach, 60.5 - out)) * 1.0001 + 2.0**-out
    return SecureArray(context, share, out, max(1.0 + 2.0**-out, largest))


def power_of(x: SecureArray, slope: float, out: int, highest: float | None = None) -> SecureArray:
    """2^(slope x) at ``out`` fractional bits. ``highest``: what the caller knows slope * x never to pass."""
    y, reach = _exponent(x, slope, out, WORK)
    return _power(x._context, y, reach, highest, out)


def in_halvings(x: SecureArray) -> tuple[Any, float]:
    """(x / log 2 at WORK bits, its bound), cut off where e^-|x| is long 0."""
    return _exponent(x, _LOG2_E, 18, WORK)


def _exponent(x: SecureArray, slope: float, out: int, scale: int) -> tuple[Any, float]:
    """(slope * x at ``scale`` bits, its bound); clipped to where 2^(slope x) at ``out`` bits is 0 or too large."""
    x = x.numeric()
    proto = x._context.protocol
    largest = (62 - out) / abs(slope)
    if x.bound > 4 * largest and approx.bits_for(x.bound * max(1.0, abs(slope)), x.scale) > RANGE_BITS - 24:
        x = clip(x, -2 * largest, 2 * largest)  # no room for an exact enough product
    digits = min(24, RANGE_BITS - 1 - approx.bits_for(x.bound * max(1.0, abs(slope)), x.scale))
    y = proto.mul_public(x._ring_share(), layout.constant(round(slope * 2.0**digits)))
    return _shifted(proto, y, x.scale + digits - scale), x.bound * abs(slope) + 2.0**-10


def _power(context: Any, y: Any, reach: float, highest: float | None, out: int) -> SecureArray:
    """2^y for a share y at WORK bits, |y| <= reach and y <= highest."""
    upper = reach if highest is None else min(reach, highest + 2.0**-10)
    share = exponential.exp2(context.protocol, y, -reach, upper, out)
    largest = exact.exp2(min(upper, 61 - out)) * 1.0001 + 2.0**-out
    return SecureArray(context, share, out, min(largest, 2.0 ** (61 - out)))


def _shifted(proto: Any, x: Any, shift: int) -> Any:
    """x / 2^shift; a negative shift multiplies."""
    return proto.truncate(x, shift) if shift >= 0 else proto.mul_public(x, layout.constant(1 << -shift))


@cellwise
def log(x: SecureArray) -> SecureArray:
    """Natural logarithm for x > 0; x <= 0 counts as one unit in the last place of x.

    Absolute error at most 2^-18 plus 3 units in the last place: 2^-16 at 18 fractional bits.

    For 2/3 <= x < 4/3 the error is relative: 2^-16 of the result plus 1.25 units in the last place, plus 2^-21; 0 at 1.
    For x <= 128 at 18 bits: 30 rounds and 162 bytes per party and element, or 26 and 188 in a small batch.
    """
    return _logarithm(x, exponential.NATURAL, x._context.fraction_bits)


@cellwise
def log2(x: SecureArray) -> SecureArray:
    """Logarithm to base 2; range, error and cost as ``log``."""
    return _logarithm(x, exponential.BINARY, x._context.fraction_bits)


@cellwise
def log1p(x: SecureArray) -> SecureArray:
    """log(1 + x) for x > -1; x <= -1 counts as one unit in the last place above -1. Cost as ``log``.

    Precise near 0 too: for -1/3 <= x < 1/3 a relative error of at most 2^-16 plus 1.25 units in the last place, plus
    2^-21; beyond, an absolute one of at most 2^-16.
    """
    return log(x + 1)


@cellwise
def logit(p: SecureArray) -> SecureArray:
    """log(p / (1 - p)) for 0 < p < 1; p and 1 - p count as one unit in the last place at least. Error at most 2^-15.

    29 rounds and 310 bytes per party and element at 18 bits, or 25 and 358 in a small batch.
    """
    p = p.numeric()
    if p.scale == 0:
        p = p.rescaled(p._context.fraction_bits)
    both = log(stack([p, 1 - p]))
    return both[0] - both[1]


def _logarithm(x: SecureArray, of: exponential.Logarithm, out: int) -> SecureArray:
    x = x.numeric()
    bits = approx.bits_for(3 * x.bound, x.scale)
    if bits > 62:
        raise UsageError(f"log: expected a bound of at most 2^{60 - x.scale}, got {x!r} with |x| <= {x.bound:g}")
    share = exponential.logarithm(x._context.protocol, x._ring_share(), x.scale, bits, out, of)
    bound = of.of_two * max(abs(exact.log2(max(x.bound, 2.0**-x.scale))), x.scale) + 2.0**-12
    return SecureArray(x._context, share, out, bound)


@cellwise
def power(x: SecureArray, exponent: Any) -> SecureArray:
    """x to a public real number, or to a secret array of exponents.

    Positive integers: by squaring, for every x. -1: ``reciprocal``. Halves: ``sqrt`` and ``rsqrt``. All others are
    2^(p log2 x), for x > 0 only (x <= 0 counts as one unit in the last place), or for negative integers for every x (0
    counts as one unit); relative error at most 2^-18 + |p| 2^-18 plus one unit in the last place, and results end at
    2^(61 - fraction bits). For |x| <= 128 at 18 bits: 53 rounds and 303 bytes per party and element, 85 and 344 for
    negative integers, 59 and 319 for secret exponents (44 to 51 rounds in small batches, with a sixth more bytes);
    squares 3 and 10.25, each further product as much.
    """
    if isinstance(exponent, SecureArray):
        return _secret_power(x, x.operand(exponent))
    p = float(exponent) if isinstance(exponent, (int, float)) or hasattr(exponent, "__float__") else math.nan
    if not math.isfinite(p):
        raise UsageError(f"power: expected a finite public number or a secret array as the exponent, got {exponent!r}")
    if p.is_integer():
        n = int(p)
        if n == 0:
            return x * 0 + 1
        if n == -1:
            return real.reciprocal(x)
        return arithmetic.power(x, n) if n > 0 else _inverse_power(x, n)
    if p == 0.5:
        return real.sqrt(x)
    if p == -0.5:
        return real.rsqrt(x)
    exponents = _logarithm(x, exponential.BINARY, _FINE)
    return power_of(exponents, p, x._context.fraction_bits, _highest(x, p))


def _inverse_power(x: SecureArray, n: int) -> SecureArray:
    """x to a negative integer, by |x| and its sign: the reciprocal of a small power would have lost its digits."""
    x = x.numeric()
    sign = (1 - (x < 0) * 2)._stated(1.0)
    magnitude = (sign * x)._stated(x.bound)
    result = power_of(_logarithm(magnitude, exponential.BINARY, _FINE), n, x._context.fraction_bits, _highest(x, n))
    return result if n % 2 == 0 else sign * result


def _highest(x: SecureArray, p: float) -> float:
    """The largest p log2 x: at the bound for a positive p, at one unit in the last place for a negative one."""
    return p * exact.log2(max(x.bound, 2.0**-x.scale)) if p > 0 else -p * x.scale


def _secret_power(x: SecureArray, y: Any) -> SecureArray:
    """2^(y log2 x) elementwise."""
    context, proto = x._context, x._context.protocol
    x, y = x.numeric(), y.numeric()
    logs = _logarithm(x, exponential.BINARY, _FINE)
    reach = logs.bound * y.bound + 2.0**-10
    context.fits(reach, _FINE + y.scale, "the exponent of this power (before it is truncated)")
    shape = broadcast_shapes(x.shape, y.shape)
    product = approx.shifted_product(proto, logs._fitted(shape), y._fitted(shape), _FINE + y.scale - WORK)
    return _power(context, product, reach, None, context.fraction_bits)


def public_power(base: Any, x: SecureArray) -> SecureArray:
    """A public positive number to a secret power; as ``exp``."""
    b = float(base) if isinstance(base, (int, float)) or hasattr(base, "__float__") else math.nan
    if not (math.isfinite(b) and b > 0):
        raise UsageError(f"power: expected a positive public number as the base of a secret exponent, got {base!r}")
    return power_of(x, exact.log2(b), x._context.fraction_bits) if b != 1.0 else x * 0 + 1
