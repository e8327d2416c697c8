"""The logistic curve and its integral on shares, written once over Protocol: precise where a class is rare.

With e = 2^-|y|, y = x / log 2, the curve is e / (1 + e) on the negative side and one less that on the other, and
log(1 + e^x) is max(x, 0) + log(1 + e). |y| lies in [0, inf) and e in (0, 1], so that the power of two is a product over
five binary digits of |y|, and both quotients are polynomials of e: no leading bit is searched for.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ring import layout
from . import approx
from .polynomial import WORK, polynomial
from .protocol import Protocol
from .shares import Share

FINE = 30
"""Fractional bits of e: below a quarter of its unit, for |y| >= 32, it is 0."""
_DIGITS = 5
_NORMAL = 24  # fractional bits of mantissas
_HALVING = (  # of 2^-f on [0, 1] in t = 2f - 1, minimax relative error 2.6e-6
    0.707106259,
    -0.245055568,
    0.04247015,
    -0.004942488,
    0.000422943,
)
_SHARE = (  # of 1 / (1 + e) on [0, 1] in t = 2e - 1, minimax relative error 8.8e-6
    0.66666667,
    -0.22226307,
    0.07408769,
    -0.02436911,
    0.00812304,
    -0.00336126,
    0.00112042,
)
_LOG = (  # of log(1 + e) / e on [0, 1] in t = 2e - 1, minimax relative error 1.3e-6
    0.81093009,
    -0.14427065,
    0.03315684,
    -0.00840535,
    0.00226551,
    -0.00074934,
    0.00022095,
)


@dataclass(frozen=True, slots=True)
class Folded:
    """``negative``: 1 where x < 0, else 0. ``e``: e^-|x| at FINE bits, relative error 2^-17 plus 1 ulp."""

    negative: Share
    e: Share


def folded(proto: Protocol, y: Share, bits: int) -> Folded:
    """x as its side and its distance: y is x / log 2 at WORK bits, |y| < 2^bits ring integers.

    A negative y is read as |y| less one unit (all bits flipped).
    """
    bits = max(bits, WORK + 1)
    planes = proto.bits(y, bits + 1)
    sign = planes.rows(bits, bits + 1)
    above = proto.xor(planes.rows(WORK, bits), approx.joined(*[sign] * (bits - WORK)))
    digits = above.rows(0, min(_DIGITS, above.planes))
    flags = [sign]
    if above.planes > _DIGITS:
        beyond = above.rows(_DIGITS, above.planes)
        flags.append(proto.invert(approx.or_from_above(proto, beyond).rows(0, 1)))
    rows = proto.b2a(approx.joined(*flags, digits))
    each = [rows.map(layout.take(i)) for i in range(rows.shape[0])]
    negative, whole = each[0], each[len(flags) :]
    # 2^(31 - n) for n = sum of digits 2^i: a factor for each digit, and 0 where |y| is beyond all of them.
    factors = [_halving(proto, digit, i) for i, digit in enumerate(whole)]
    factors += each[1 : len(flags)]
    side = proto.add_public(proto.mul_public(negative, layout.constant(-2)), layout.constant(1))
    power, distance = _product_beside(proto, factors, (side, y))
    fraction = proto.sub(distance, negative)
    for i, digit in enumerate(whole):
        fraction = proto.sub(fraction, proto.mul_public(digit, layout.constant(1 << (WORK + i))))
    t = proto.add_public(proto.mul_public(fraction, layout.constant(2)), layout.constant(-1 << WORK))
    mantissa = polynomial(proto, t, WORK, _HALVING, _NORMAL)
    top = (1 << len(whole)) - 1
    return Folded(negative, approx.shifted_product(proto, mantissa, power, _NORMAL + top - FINE))


def logistic(proto: Protocol, y: Share, bits: int, out_scale: int) -> Share:
    """1 / (1 + e^-x) for x as in ``folded``, at ``out_scale`` <= FINE bits.

    The result q on its nearer side, min(p, 1 - p), has a relative error of at most 2^-15 plus 1 ulp plus 2^-30.
    """
    at = folded(proto, y, bits)
    part = _times_polynomial(proto, at, _SHARE, out_scale)
    side = proto.add_public(proto.mul_public(at.negative, layout.constant(2)), layout.constant(-1))
    other = proto.mul_public(at.negative, layout.constant(-1 << out_scale))
    signed = proto.add(proto.mul(side, part), other)
    return proto.add_public(signed, layout.constant(1 << out_scale))


def integral(proto: Protocol, x: Share, scale: int, y: Share, bits: int, out_scale: int) -> Share:
    """log(1 + e^x) for x at ``scale`` bits and y as in ``folded``, at ``out_scale``, from ``scale`` to FINE bits.

    Error: relative 2^-16 of log(1 + e^-|x|), plus 1 ulp plus 2^-30.
    """
    at = folded(proto, y, bits)
    part = _times_polynomial(proto, at, _LOG, out_scale)
    positive = proto.add_public(proto.neg(at.negative), layout.constant(1))
    raised = proto.mul_public(x, layout.constant(1 << (out_scale - scale)))
    return proto.add(part, proto.mul(positive, raised))


def _times_polynomial(proto: Protocol, at: Folded, piece: tuple[float, ...], out_scale: int) -> Share:
    """e * piece(2 e - 1) at ``out_scale`` bits."""
    coarse = proto.truncate(at.e, FINE - WORK)
    t = proto.add_public(proto.mul_public(coarse, layout.constant(2)), layout.constant(-1 << WORK))
    return proto.mul(at.e, polynomial(proto, t, WORK, piece, _NORMAL), FINE + _NORMAL - out_scale)


def _halving(proto: Protocol, digit: Share, i: int) -> Share:
    """1 where the digit is 1, else 2^(2^i)."""
    power = 1 << (1 << i)
    return proto.add_public(proto.mul_public(digit, layout.constant(1 - power)), layout.constant(power))


def _product_beside(proto: Protocol, factors: list[Share], pair: tuple[Share, Share]) -> tuple[Share, Share]:
    """The product of all factors, and that of the pair in the round of the first level."""
    half = len(factors) // 2
    left = proto.stack([*factors[:half], pair[0]], 0)
    right = proto.stack([*factors[half : 2 * half], pair[1]], 0)
    both = proto.mul(left, right)
    beside = both.map(layout.take(half))
    rest = [both.map(layout.take(i)) for i in range(half)] + factors[2 * half :]
    while len(rest) > 1:
        half = len(rest) // 2
        level = proto.mul(proto.stack(rest[:half], 0), proto.stack(rest[half : 2 * half], 0))
        rest = [level.map(layout.take(i)) for i in range(half)] + rest[2 * half :]
    return rest[0], beside

