"""Reciprocal, quotient, square root and its reciprocal on shares, written once over Protocol.

The argument is brought into [1/2, 1] (or [1/4, 1]) by its leading bit; a polynomial and one Newton step give the value
there, and a power of two, known by its binary digits, brings it back. Normalisation: Catrina-Saxena, FC 2010; here the
power is a product over the digits of the exponent, which are far fewer than the bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ring import layout
from . import approx
from .polynomial import polynomial
from .protocol import Protocol
from .shares import Share

WORK = 24
"""Fractional bits of normalised values."""
GUARD = 5
"""Fractional bits beyond the output's while a dividend is multiplied."""
QUOTIENT_BITS = 47
"""Largest size of a quotient as a ring integer."""

_RECIPROCAL = (  # of 1/b on [1/2, 1] in t = 4b - 3, minimax relative error 3.0e-4
    1.333333333,
    -0.442462088,
    0.147487366,
    -0.057091882,
    0.019030624,
)
_RSQRT = (  # of 1/sqrt(b) on [1/4, 1] in t = 2b - 5/4, minimax relative error 2.0e-4
    1.264839952,
    -0.508187828,
    0.307537961,
    -0.17301351,
    0.10865954,
    -0.192021532,
    0.155574424,
)


def _constant(value: float) -> Any:
    return layout.constant(round(value * 2.0**WORK))


def inverse(proto: Protocol, b: Share) -> Share:
    """1 / b on [1/2, 1] at WORK bits, relative error below 2^-21.2. Four products; polynomial, then r (2 - b r)."""
    t = proto.add_public(proto.mul_public(b, layout.constant(4)), _constant(-3))
    r = polynomial(proto, t, WORK, _RECIPROCAL, WORK)
    rest = proto.add_public(proto.neg(proto.mul(b, r, WORK)), _constant(2))
    return proto.mul(r, rest, WORK)


def inverse_root(proto: Protocol, b: Share) -> Share:
    """1 / sqrt(b) on [1/4, 1] at WORK bits, relative error below 2^-20.5. Six products; y (3 - b y^2) / 2."""
    t = proto.add_public(proto.mul_public(b, layout.constant(2)), _constant(-1.25))
    y = polynomial(proto, t, WORK, _RSQRT, WORK)
    rest = proto.add_public(proto.neg(proto.mul(b, proto.mul(y, y, WORK), WORK)), _constant(3))
    return proto.mul(y, rest, WORK + 1)


def reciprocal(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int, signed: bool = True) -> Share:
    """1 / x for |x| < 2^bits ring integers at ``scale`` bits; 0 where x is 0 (without ``signed``: where x <= 0).

    bits <= 60 and |1 / x| * 2^out_scale < 2^61. Relative error at most 2^-21 plus 1 ulp of the output.
    """
    place = approx.leading(proto, x, bits, signed)
    power = approx.power_of_two(proto, place.digits, place.valid)
    r = inverse(proto, _normal(proto, x, power, bits))
    # 1 / x = r * 2^distance * 2^(scale - bits)
    return approx.times_power(proto, r, power, WORK + bits - scale - out_scale)


def _normal(proto: Protocol, x: Share, power: approx.Power, bits: int) -> Share:
    return approx.lifted(proto, x, power, bits - WORK)


@dataclass(frozen=True, slots=True)
class Inverse:
    """A divisor brought to its full length: 1 / x is ``mantissa`` * 2^(distance + scale - bits)."""

    mantissa: Share
    power: approx.Power
    scale: int
    bits: int


def inverted(proto: Protocol, x: Share, scale: int, bits: int, least: int = 0) -> Inverse:
    """|x| < 2^bits ring integers at ``scale``, to divide by.

    ``least`` above 0: a ring integer that x is known to reach; where it does not, quotients are anything.
    """
    place = approx.leading(proto, x, bits, signed=True, least=least)
    power = approx.power_of_two(proto, place.digits, place.valid)
    return Inverse(inverse(proto, _normal(proto, x, power, bits)), power, scale, bits)


def divided(proto: Protocol, a: Share, a_scale: int, by: Inverse, out_scale: int, result_bits: int) -> Share:
    """a / x, a at ``a_scale``; x may have a shape that broadcasts to a's. 0 where x is 0.

    |a| * 2^bits < 2^62 as ring integers and |a / x| * 2^out_scale < 2^result_bits, result_bits <= QUOTIENT_BITS.
    Relative error at most 2^-20 plus 1.25 ulp of the output: a is multiplied by the power of two first, so that no
    digit of it is lost.
    """
    power, r = by.power, by.mantissa
    if r.shape != a.shape:
        wide = layout.broadcast(a.shape)
        power = approx.Power(power.low.map(wide), power.top and power.top.map(wide))
        r = r.map(wide)
    lifted = approx.lifted(proto, a, power, by.bits - by.scale + a_scale - out_scale - GUARD)
    if result_bits + GUARD + WORK <= 61:  # r is about the inverse of a factor of ``lifted``: the product has no more
        return approx.shifted_product(proto, lifted, r, WORK + GUARD)
    return approx.wide_product(proto, lifted, result_bits + GUARD, r, WORK + 2, WORK + GUARD)


def quotient(
    proto: Protocol,
    a: Share,
    a_scale: int,
    x: Share,
    scale: int,
    bits: int,
    out_scale: int,
    result_bits: int,
    least: int = 0,
) -> Share:
    """a / x: ``divided`` by ``inverted``."""
    return divided(proto, a, a_scale, inverted(proto, x, scale, bits, least), out_scale, result_bits)


def rsqrt(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int) -> Share:
    """1 / sqrt(x) for x < 2^bits ring integers at ``scale`` bits; 0 where x <= 0. bits <= 60, out_scale <= 28.

    Relative error at most 2^-20 plus 1 ulp of the output.
    """
    bits = _even(bits, scale)
    root, b, _ = _halved(proto, x, bits)
    y = inverse_root(proto, b)
    # 1 / sqrt(x) = y * root * 2^((scale - bits) / 2)
    return approx.shifted_product(proto, y, root, WORK + (bits - scale) // 2 - out_scale)


def sqrt_fits(scale: int, bits: int, out_scale: int) -> bool:
    """Whether ``sqrt`` has room for x < 2^bits at these scales."""
    bits = _even(bits, scale)
    part = max(0, bits + WORK + 2 - 61)  # as in wide_product
    return bits <= 60 and part + max(0, bits + part - 61) < WORK + (bits + scale) // 2 - out_scale


def sqrt(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int) -> Share:
    """sqrt(x) for x < 2^bits ring integers at ``scale`` bits; 0 where x <= 0. ``sqrt_fits`` must hold.

    Relative error at most 2^-20 plus 1.25 ulp of the output. sqrt(x) = (x * root) / sqrt(b) * 2^(-(scale + bits) / 2).
    """
    bits = _even(bits, scale)
    _, b, product = _halved(proto, x, bits)
    y = inverse_root(proto, b)
    return approx.wide_product(proto, product, bits, y, WORK + 2, WORK + (bits + scale) // 2 - out_scale)


def _even(bits: int, scale: int) -> int:
    """The next number of bits that leaves bits - scale even, so that no root of two is needed."""
    return bits + (bits - scale) % 2


def _halved(proto: Protocol, x: Share, bits: int) -> tuple[Share, Share, Share]:
    """(root, b, x * root): root = 2^floor(distance / 2) and b = x * root^2 / 2^bits in [1/4, 1] at WORK bits."""
    place = approx.leading(proto, x, bits, signed=False)
    root = approx.power_of_two(proto, place.digits[1:], place.valid).low  # distance <= 60, half of it <= 30: no top
    product = proto.mul(x, root)
    return root, approx.shifted_product(proto, product, root, bits - WORK), product
