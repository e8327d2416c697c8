"""Real functions on shares, written once over Protocol. Ring integers in and out, with explicit scales.

Each states its range and largest error; tests sweep the whole range against float64.
"""

from __future__ import annotations

import math

from ..ring import layout
from .protocol import Protocol
from .shares import Bits, Share

# -- sigmoid -----------------------------------------------------------------------------------------------------

SIGMOID_RANGE = 9.0
SIGMOID_PERIOD = 5  # the series has period 2^5 = 32
SIGMOID_SERIES = (
    # Minimax fit of 1/(1+e^-x) - 1/2 on [-9, 9] by sin(2 pi k x / 32), k = 1..10 (Lawson iteration, 1.34e-4).
    -2.642125897,
    5.500785135,
    -6.126192647,
    5.601462298,
    -4.089887096,
    2.516188933,
    -1.242693835,
    0.491366573,
    -0.13718425,
    0.023927896,
)


def sigmoid(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int, factor: float = 1.0) -> Share:
    """factor / (1 + e^-x), for every x in the ring's range; largest error 1.5e-4 * factor.

    A sine series on [-9, 9], 0 or ``factor`` beyond (1 / (1 + e^9) = 1.2e-4). ``bits``: |x| + 9 < 2^(bits - scale); if
    the public bound says that |x| <= 9 pass ``bits=0``: no comparison is needed then. Rounds: 3, and with comparison
    2 for conversion, 1 for the product and those of the sign.
    """
    weights = [factor * w for w in SIGMOID_SERIES]
    series = proto.sine_series(x, scale + SIGMOID_PERIOD, weights, out_scale)
    one = round(factor * 2.0**out_scale)
    if not bits:
        return proto.add_public(series, layout.constant(one // 2))
    edge = layout.constant(round(SIGMOID_RANGE * 2.0**scale))
    both = proto.stack([proto.add_public(x, edge), proto.add_public(x, layout.negative(edge))], 0)
    flags = proto.b2a(proto.msb(both, bits))
    below, not_above = flags.map(layout.take(0)), flags.map(layout.take(1))
    inside = proto.sub(not_above, below)
    middle = proto.mul(inside, proto.add_public(series, layout.constant(one // 2)))
    above = proto.add_public(proto.neg(not_above), layout.constant(1))
    return proto.add(middle, proto.mul_public(above, layout.constant(one)))


# -- leading bit -------------------------------------------------------------------------------------------------


def leading_bit(proto: Protocol, x: Share, bits: int) -> Share:
    """One-hot position of the highest set bit of 0 <= x < 2^bits: 0/1 integers of shape (bits, *x.shape).

    All zero where x is 0. Rounds: decomposition, one OR level per doubling, one conversion.
    """
    prefix = proto.bits(x, bits)
    step = 1
    while step < bits:  # prefix[j] = OR of bits j.. by doubling
        low, high = prefix.rows(0, bits - step), prefix.rows(step, bits)
        either = proto.xor(proto.xor(low, high), proto.and_(low, high))
        prefix = _rows_joined(either, prefix.rows(bits - step, bits))
        step *= 2
    if bits == 1:
        return proto.b2a(prefix).map(layout.reshape((1, *x.shape)))
    above = prefix.rows(1, bits)
    hot = _rows_joined(proto.xor(prefix.rows(0, bits - 1), above), prefix.rows(bits - 1, bits))
    return proto.b2a(hot)


def _rows_joined(a: Bits, b: Bits) -> Bits:
    parts = tuple(layout.concatenate([p, q], 0) for p, q in zip(a.parts, b.parts, strict=True))
    return Bits(parts, a.shape, a.planes + b.planes)


def _weighted_sum(proto: Protocol, hot: Share, weights: list[int], ndim: int) -> Share:
    """sum_j weights[j] * hot[j]; local."""
    column = layout.column(weights, ndim)
    return proto.mul_public(hot, column).map(layout.total(0, False))


_WORK = 24  # fractional bits inside the Newton iterations


def _normalised(proto: Protocol, x: Share, bits: int) -> tuple[Share, Share]:
    """(b, hot): b = x * 2^(bits-1-j) / 2^bits in [1/2, 1) at _WORK bits, where j is the leading bit of x."""
    hot = leading_bit(proto, x, bits)
    lift = _weighted_sum(proto, hot, [1 << (bits - 1 - j) for j in range(bits)], len(x.shape))
    product = proto.mul(x, lift, max(0, bits - _WORK))
    if bits < _WORK:
        product = proto.mul_public(product, layout.constant(1 << (_WORK - bits)))
    return product, hot


def reciprocal(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int, at_most: float) -> Share:
    """1 / x for 0 < x < 2^bits ring integers at ``scale`` bits; 0 where x is 0. bits <= 60.

    at_most * 2^out_scale <= 2^36. Where 1 / x passes twice ``at_most`` the result is 0: callers guard that.

    Relative error at most 2^-21 plus 1 ulp of the output. Source: leading-bit normalisation and Newton, Catrina-Saxena
    2010; start 2.9142 - 2b on [1/2, 1).
    """
    b, hot = _normalised(proto, x, bits)
    one = 1 << _WORK
    r = proto.add_public(proto.mul_public(b, layout.constant(-2)), layout.constant(round(2.9142 * one)))
    for _ in range(3):  # r <- r (2 - b r)
        br = proto.mul(b, r, _WORK)
        r = proto.mul(r, proto.add_public(proto.neg(br), layout.constant(2 * one)), _WORK)
    # 1/x = r * 2^(bits-1-j) * 2^(scale-bits); the power of two is exact as long as it is not below one unit.
    limit = at_most * 2.0**out_scale
    weights = [_power(e) if 2.0**e <= limit else 0 for e in (scale - 1 - j + out_scale for j in range(bits))]
    return proto.mul(r, _weighted_sum(proto, hot, weights, len(x.shape)), _WORK)


def rsqrt(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int) -> Share:
    """1 / sqrt(x) for 0 < x < 2^bits ring integers at ``scale`` bits; 0 where x is 0. bits <= 60, out_scale <= 28.

    Relative error at most 2^-20 plus 1 ulp of the output. Newton y <- y (3 - b y^2) / 2 on the normalised value.
    """
    b, hot = _normalised(proto, x, bits)
    one = 1 << _WORK
    y = proto.truncate(proto.mul_public(b, layout.constant(-_SLOPE)), 12)
    y = proto.add_public(y, layout.constant(round(1.7974 * one)))
    for _ in range(3):
        by2 = proto.mul(b, proto.mul(y, y, _WORK), _WORK)
        y = proto.mul(y, proto.add_public(proto.neg(by2), layout.constant(3 * one)), _WORK + 1)
    # Unlike a power of two, the weight is rounded: with more bits than the result, as far as the product has room.
    more = max(0, min(8, 36 - math.ceil((scale - 1) / 2 + out_scale)))
    weights = [round(2.0 ** ((scale - 1 - j) / 2 + out_scale + more)) for j in range(bits)]
    return proto.mul(y, _weighted_sum(proto, hot, weights, len(x.shape)), _WORK + more)


_SLOPE = round(0.8090 * 2**12)  # 1/sqrt(b) ~ 1.7974 - 0.8090 b on [1/2, 1), error below 0.025


def _power(exponent: int) -> int:
    return 1 << exponent if exponent >= 0 else 0


def bits_for(bound: float, scale: int) -> int:
    """Smallest k with bound * 2^scale < 2^k."""
    return max(1, int(bound * 2.0**scale).bit_length())
