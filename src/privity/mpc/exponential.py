"""Powers of two and logarithms on shares, written once over Protocol.

2^y is 2^n * 2^f with n the integer part, from the bits of y, and a polynomial for the fraction; log2 x is the place of
the leading bit plus a polynomial of the normalised value.
"""

from __future__ import annotations

import math

from ..ring import layout
from . import approx
from .polynomial import WORK, polynomial
from .protocol import Protocol
from .shares import Bits, Share

_NORMAL = 24  # fractional bits of mantissas

_EXP2 = (  # of 2^f on [0, 1] in t = 2f - 1, minimax relative error 2.6e-6
    1.414212518,
    0.490111135,
    0.0849403,
    0.009884975,
    0.000845885,
)
_LOG2 = (  # of log2 b on [1/2, 1] in t = 4b - 3, minimax error 1.9e-6
    -0.415036957,
    0.480910617,
    -0.080163074,
    0.017714756,
    -0.004398546,
    0.00137278,
    -0.000401423,
)


def exp2(proto: Protocol, y: Share, lowest: float, highest: float, out_scale: int) -> Share:
    """2^y for lowest <= y <= highest (public) at WORK fractional bits; 0 below a quarter unit of the output.

    Where y passes 61 - out_scale the result is 2^61 units. Relative error at most 2^-18 plus 1 ulp. Bytes grow with the
    binary digits of the integer part: 5 where highest + out_scale < 30, else 6, and those that decide on 0 or 2^61.
    """
    top = min(math.floor(highest) + 1, 61 - out_scale)
    digits = 5 if top + out_scale + 2 <= 32 else 6
    offset = (1 << digits) - top
    z = proto.add_public(y, layout.constant(offset << WORK))
    window = digits + WORK
    if lowest < -offset or highest >= top:
        whole = max(window, approx.bits_for(max(abs(lowest + offset), highest + offset), WORK))
        planes = proto.bits(z, whole + 1)
        flags = _outside(proto, planes, window, whole)
    else:
        planes, flags = proto.bits(z, window), []
    rows = proto.b2a(approx.joined(*flags, planes.rows(WORK, window)))
    split = [rows.map(layout.take(i)) for i in range(len(flags) + digits)]
    n = split[len(flags) :]
    fraction = z
    for i, digit in enumerate(n):
        fraction = proto.sub(fraction, proto.mul_public(digit, layout.constant(1 << (WORK + i))))
    t = proto.add_public(proto.mul_public(fraction, layout.constant(2)), layout.constant(-1 << WORK))
    mantissa = polynomial(proto, t, WORK, _EXP2, _NORMAL)
    power = approx.power_of_two(proto, n, split[0] if flags else None)
    result = approx.times_power(proto, mantissa, power, _NORMAL + offset - out_scale)
    if len(flags) == 2:
        result = proto.add(result, proto.mul_public(split[1], layout.constant(1 << (top + out_scale))))
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


def log2(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int, factor: float = 1.0) -> Share:
    """factor * log2(x) for 0 < x < 2^bits ring integers at ``scale`` bits, bits <= 60; x <= 0 counts as one unit.

    Error at most factor * 2.6e-6 plus 2 ulp (with factor 1: plus 1 ulp).
    """
    place = approx.leading(proto, x, bits, signed=False)
    power = approx.power_of_two(proto, place.digits, place.valid)
    b = approx.lifted(proto, x, power, bits - _NORMAL)
    t = proto.add_public(proto.mul_public(b, layout.constant(4)), layout.constant(-3 << _NORMAL))
    result = polynomial(proto, t, _NORMAL, [factor * c for c in _LOG2], out_scale)
    for i, digit in enumerate(place.digits):
        weight = round(factor * 2.0 ** (out_scale + i))
        result = proto.sub(result, proto.mul_public(digit, layout.constant(weight)))
    least = round(-scale * factor * 2.0**out_scale)
    above = round((bits - scale) * factor * 2.0**out_scale) - least
    result = proto.mul(place.valid, proto.add_public(result, layout.constant(above)))
    return proto.add_public(result, layout.constant(least))
