"""Powers of two and logarithms on shares, written once over Protocol.

2^y is 2^n * 2^f with n the integer part, from the bits of y, and a polynomial for the fraction; log2 x is the place of
the leading bit plus a polynomial of the normalised value. Logarithms, and 2^y - 1, take the pieces so that 1 (or 0)
lies in the middle of one, with polynomials that are exact there: near it the error is relative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..ring import layout
from . import approx
from .polynomial import WORK, polynomial
from .protocol import Protocol
from .shares import Bits, Share

_NORMAL = 24  # fractional bits of mantissas
_PIECE = 22  # fractional bits of what a logarithm's polynomial is taken of

_EXP2 = (  # of 2^f on [0, 1] in t = 2f - 1, minimax relative error 2.6e-6
    1.414212518,
    0.490111135,
    0.0849403,
    0.009884975,
    0.000845885,
)
# The coefficients below are chosen among those that ``polynomial`` can hold exactly; others would lose their accuracy.
_EXP2_CENTRED = (  # of 2^f on [-1/2, 1/2] in t = 2f, 1 at 0; relative error of 2^f - 1 1.6e-5, of 2^f 4.8e-6
    1.0,
    0.346568086,
    0.06005832,
    0.006980896,
    0.000600815,
)


@dataclass(frozen=True)
class Logarithm:
    """The logarithm of 2, and a polynomial of the logarithm of b on [2/3, 4/3] in t = 3b - 3 that is 0 at b = 1."""

    of_two: float
    coefficients: tuple[float, ...]


BINARY = Logarithm(  # error 2.4e-6, and relative 1.5e-5
    1.0, (0.0, 0.480905426, -0.080158539, 0.017730713, -0.004407883, 0.001361847, -0.000395775)
)
NATURAL = Logarithm(  # error 2.1e-6, and relative 1.5e-5
    0.6931471805599453, (0.0, 0.333338336, -0.055557473, 0.01228714, -0.003072739, 0.000946045, -0.000261307)
)


def exp2(proto: Protocol, y: Share, lowest: float, highest: float, out_scale: int) -> Share:
    """2^y for lowest <= y <= highest (public) at WORK fractional bits; 0 below a quarter unit of the output.

    Where y passes 61 - out_scale the result is 2^61 units. Relative error at most 2^-18 plus 1 ulp. Bytes grow with the
    binary digits of the integer part: 5 where highest + out_scale < 30, else 6, and those that decide on 0 or 2^61.
    """
    return _by_pieces(proto, y, WORK, _EXP2, 1.0, lowest, highest, out_scale)


def exp2m1(proto: Protocol, y: Share, scale: int, lowest: float, highest: float, out_scale: int) -> Share:
    """2^y - 1 for lowest <= y <= highest (public) at ``scale`` fractional bits, 20 to 22; -1 where 2^y is 0.

    Where y passes 60.5 - out_scale the result is 2^60.5 units. Relative error at most 2^-15 plus 1 ulp plus 2^-21: the
    pieces are [n - 1/2, n + 1/2), so that 0 lies within one. Rounds and bytes as ``exp2``.
    """
    centred = proto.add_public(y, layout.constant(1 << (scale - 1)))
    result = _by_pieces(proto, centred, scale, _EXP2_CENTRED, math.sqrt(0.5), lowest + 0.5, highest + 0.5, out_scale)
    return proto.add_public(result, layout.constant(-1 << out_scale))


def _by_pieces(
    proto: Protocol,
    y: Share,
    scale: int,
    piece: Sequence[float],
    start: float,
    lowest: float,
    highest: float,
    out_scale: int,
) -> Share:
    """2^n * piece(t), n = floor(y), t = 2 (y - n) - 1. ``start``: what the piece approximates at t = -1."""
    top = min(math.floor(highest) + 1, 61 - out_scale)
    digits = 5 if top + out_scale + 2 <= 32 else 6
    offset = (1 << digits) - top
    z = proto.add_public(y, layout.constant(offset << scale))
    window = digits + scale
    if lowest < -offset or highest >= top:
        whole = max(window, approx.bits_for(max(abs(lowest + offset), highest + offset), scale))
        planes = proto.bits(z, whole + 1)
        flags = _outside(proto, planes, window, whole)
    else:
        planes, flags = proto.bits(z, window), []
    rows = proto.b2a(approx.joined(*flags, planes.rows(scale, window)))
    split = [rows.map(layout.take(i)) for i in range(len(flags) + digits)]
    n = split[len(flags) :]
    fraction = z
    for i, digit in enumerate(n):
        fraction = proto.sub(fraction, proto.mul_public(digit, layout.constant(1 << (scale + i))))
    t = proto.add_public(proto.mul_public(fraction, layout.constant(2)), layout.constant(-1 << scale))
    mantissa = polynomial(proto, t, scale, piece, _NORMAL)
    power = approx.power_of_two(proto, n, split[0] if flags else None)
    result = approx.times_power(proto, mantissa, power, _NORMAL + offset - out_scale)
    if len(flags) == 2:
        largest = layout.constant(round(start * 2.0 ** (top + out_scale)))
        result = proto.add(result, proto.mul_public(split[1], largest))
    return result


def _outside(proto: Protocol, planes: Bits, window: int, whole: int) -> list[Bits]:
    """[inside] where the window has no planes above but the sign, else [inside, over]."""
    sign = planes.rows(whole, whole + 1)
    if whole == window:
        return [proto.invert(sign)]
    some = approx.or_from_above(proto, planes.rows(window, whole)).rows(0, 1)
    positive = proto.invert(sign)
    over = proto.and_(some, positive)
    return [proto.xor(positive, over), over]


def logarithm(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int, of: Logarithm) -> Share:
    """Logarithm of x > 0, 3 x < 2^bits ring integers at ``scale`` bits, bits <= 62; x <= 0 counts as one unit.

    Error at most 2.5e-6 plus 3 ulp (to base 2: 1 ulp); for 2/3 <= x < 4/3 at most 2^-16 of the result plus 1 ulp plus
    2^-21.
    """
    # The leading bit of 3 x says between which 2^n 2/3 and 2^n 4/3 x lies: 1 is within a piece.
    place = approx.leading(proto, proto.mul_public(x, layout.constant(3)), bits, signed=False)
    power = approx.power_of_two(proto, place.digits, place.valid)
    b = approx.lifted(proto, x, power, bits - 2 - _PIECE)
    t = proto.add_public(proto.mul_public(b, layout.constant(3)), layout.constant(-3 << _PIECE))
    result = polynomial(proto, t, _PIECE, of.coefficients, out_scale)
    weights = [round(of.of_two * 2.0 ** (out_scale + i)) for i in range(len(place.digits))]
    for digit, weight in zip(place.digits, weights, strict=True):
        result = proto.sub(result, proto.mul_public(digit, layout.constant(weight)))
    least = round(-scale * of.of_two * 2.0**out_scale)
    top = bits - 2 - scale  # the distance of the leading bit in the piece around 1: there all weights cancel exactly
    if top >= 0:
        highest = sum(weight for i, weight in enumerate(weights) if top >> i & 1)
    else:
        highest = round(top * of.of_two * 2.0**out_scale)
    assert place.valid is not None
    result = proto.mul(place.valid, proto.add_public(result, layout.constant(highest - least)))
    return proto.add_public(result, layout.constant(least))
