"""Sigmoid-like curves, softplus, sine and cosine, written once over Protocol: series of sines and cosines.

A series costs one opening of a masked angle whatever the function: three rounds. Curves are fitted on an interval
(minimax, Lawson iteration) and replaced by their limits beyond it, which one batch of comparisons finds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..ring import layout
from .protocol import Protocol
from .shares import Share


@dataclass(frozen=True, slots=True)
class Curve:
    """middle + sum_k sines[k-1] sin(2 pi k x / 2^period) for |x| <= limit, ``below`` and ``above`` beyond it."""

    limit: float
    period: int
    middle: float
    below: float
    above: float
    sines: tuple[float, ...]
    error: float
    """Largest error of the fit, times |x| for a gate."""
    blur: int
    """Within 2^-blur inside a limit the limit value serves as well: comparisons may leave smaller digits out."""


SIGMOID = Curve(  # 1 / (1 + e^9.75) = 5.9e-5
    9.75,
    5,
    0.5,
    0.0,
    1.0,
    (
        -1.093998549,
        2.987978664,
        -3.507009529,
        3.59267632,
        -2.99319131,
        2.212400812,
        -1.390647742,
        0.762145188,
        -0.345551136,
        0.128849329,
        -0.034706533,
        0.006081993,
    ),
    4.5e-5,
    6,
)
TANH = Curve(  # 1 - tanh(5.2) = 6.1e-5
    5.2,
    4,
    0.0,
    -1.0,
    1.0,
    (
        -0.175589771,
        2.491763164,
        -2.925452492,
        3.36569166,
        -3.037657389,
        2.555818272,
        -1.860077288,
        1.238793583,
        -0.719094527,
        0.372364711,
        -0.162143747,
        0.059468506,
        -0.015975971,
        0.002927194,
    ),
    3.0e-5,
    10,
)
ERF = Curve(  # 1 - erf(2.85) = 5.6e-5
    2.85,
    3,
    0.0,
    -1.0,
    1.0,
    (
        1.157913218,
        -0.100307907,
        0.201498395,
        -0.070099381,
        0.048290067,
        -0.022806645,
        0.010714012,
        -0.004222565,
        0.001335876,
        -0.000277698,
    ),
    2.1e-5,
    8,
)
# The next two are multiplied by x: the fit minimises |x| times the error.
GATE_NORMAL = Curve(  # 4.5 * Phi(-4.5) = 1.5e-5
    4.5,
    4,
    0.5,
    0.0,
    1.0,
    (
        0.581944703,
        0.012743089,
        0.091393269,
        0.013095807,
        0.009078035,
        0.005439645,
        -0.000337272,
        0.000754831,
    ),
    1.1e-5,
    12,
)
GATE_LOGISTIC = Curve(  # 12.5 / (1 + e^12.5) = 4.7e-5
    12.5,
    5,
    0.5,
    0.0,
    1.0,
    (
        0.611506215,
        -0.022906652,
        0.153119113,
        -0.025553882,
        0.057844555,
        -0.017118517,
        0.022989204,
        -0.008610249,
        0.008605603,
        -0.00336528,
        0.002765265,
        -0.000962126,
        0.000680788,
        -0.000159794,
        0.000102937,
    ),
    4.2e-5,
    8,
)

SOFTPLUS_LIMIT = 10.0  # log(1 + e^-10) = 4.6e-5
_SOFTPLUS_BLUR = 8
_SOFTPLUS_PERIOD = 5
_SOFTPLUS_MIDDLE = -0.036743908
_SOFTPLUS = (  # cosines of softplus(x) - x/2 on [-10, 10], minimax error 1.4e-5
    4.706343484,
    -6.856444598,
    5.359461186,
    -4.149959854,
    2.776684767,
    -1.722810621,
    0.934343539,
    -0.452071891,
    0.183804614,
    -0.062364187,
    0.015431092,
    -0.002513181,
)


def curve(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int, of: Curve, factor: float = 1.0) -> Share:
    """factor times a curve, for every x of the ring's range at ``scale`` bits.

    ``bits``: |x| + limit < 2^(bits - scale) as reals; if the public bound says that |x| <= limit pass ``bits=0``: no
    comparison is needed then. Rounds: 3, or with comparison the longer of 3 and those of a sign and its conversion, and
    1 for the product.
    """
    weights = [factor * w for w in of.sines]
    middle, below, above = (_constant(factor * v, out_scale) for v in (of.middle, of.below, of.above))
    if not bits:
        series = proto.sine_series(x, scale + of.period, weights, out_scale)
        return proto.add_public(series, middle) if of.middle else series
    series, sides = _with_sides(proto, x, scale, of.period, weights, (), out_scale, bits, of.limit, of.blur)
    is_below, inside, is_above = sides
    result = proto.mul(inside, proto.add_public(series, middle) if of.middle else series)
    result = proto.add(result, proto.mul_public(is_above, above)) if of.above else result
    return proto.add(result, proto.mul_public(is_below, below)) if of.below else result


def _constant(value: float, scale: int) -> Any:
    return layout.constant(round(value * 2.0**scale))


def _with_sides(
    proto: Protocol,
    x: Share,
    scale: int,
    period: int,
    sines: Sequence[float],
    cosines: Sequence[float],
    out_scale: int,
    bits: int,
    limit: float,
    blur: int,
) -> tuple[Share, tuple[Share, Share, Share]]:
    """The series, and whether x < -limit, -limit <= x < limit, limit <= x, as 0/1 integers.

    Values up to 2^-blur inside a limit may count as beyond it.
    """
    low = max(0, min(scale - blur, bits - 1))
    edges = [-round(limit * 2.0**scale), round(limit * 2.0**scale) - (1 << low if low else 0)]
    series, sides = proto.series_and_sides(x, scale + period, sines, out_scale, cosines, edges, bits, low)
    below, not_above = sides.map(layout.take(0)), sides.map(layout.take(1))
    above = proto.add_public(proto.neg(not_above), layout.constant(1))
    return series, (below, proto.sub(not_above, below), above)


def softplus(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int) -> Share:
    """log(1 + e^x) for every x of the ring's range, ``bits`` as above; 0 or x beyond +-10.

    x/2 plus an even function: cosines on [-10, 10]. Error 1.4e-5, that of the series (its weights sum to 27) and 1 ulp.
    """
    none, middle = [0.0] * len(_SOFTPLUS), _constant(_SOFTPLUS_MIDDLE, out_scale)
    half = shifted(proto, x, scale + 1 - out_scale)
    if not bits:
        series = proto.sine_series(x, scale + _SOFTPLUS_PERIOD, none, out_scale, _SOFTPLUS)
        return proto.add(proto.add_public(series, middle), half)
    series, (_, inside, above) = _with_sides(
        proto, x, scale, _SOFTPLUS_PERIOD, none, _SOFTPLUS, out_scale, bits, SOFTPLUS_LIMIT, _SOFTPLUS_BLUR
    )
    series = proto.add_public(series, middle)
    whole = shifted(proto, x, scale - out_scale)
    left = proto.stack([inside, above], 0)
    right = proto.stack([proto.add(series, half), whole], 0)
    return proto.mul(left, right).map(layout.total(0, False))


def shifted(proto: Protocol, x: Share, shift: int) -> Share:
    """x / 2^shift; a negative shift multiplies."""
    return proto.truncate(x, shift) if shift >= 0 else proto.mul_public(x, layout.constant(1 << -shift))


def sine(proto: Protocol, x: Share, scale: int, bits: int, out_scale: int, cosine: bool = False) -> Share:
    """sin(x), or cos(x), for |x| < 2^bits ring integers at ``scale`` bits.

    x / (2 pi) modulo 1 is exact but for the rounding of 1 / (2 pi): the period, a power of two, divides 2^64.
    Error: 2^(bits - 60) * 3.2 for bits > 38, else 2^-22, plus that of the series and 1 ulp. Three rounds.
    """
    period = min(60, bits + 24)
    angle = proto.mul_public(x, layout.constant(round(2.0 ** (period - scale) / (2 * math.pi))))
    weights, other = ([0.0], [1.0]) if cosine else ([1.0], [])
    return proto.sine_series(angle, period, weights, out_scale, other)
