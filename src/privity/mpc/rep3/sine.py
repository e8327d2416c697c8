"""Rep3 for functions given as a sine series: one opening of a masked angle, with party 2 as the helper.

    sum_k w_k sin(2 pi k x / 2^m) = sum_k w_k [sin(k(x + r)) cos(kr) - cos(k(x + r)) sin(kr)]

Adversary  as in protocol.py
Assumes    as in protocol.py; the helper is a compute party, so no further trust is needed
Reveals    shapes and the period; parties 0 and 1 see x + r modulo 2^m, uniform because only party 2 knows r. The
           error of the dealt tables depends on r (party 2) and x + r (parties 0 and 1), also with ``exact=True``
Error      below sum_k |w_k| * 2^-21 + 1 ulp of the result (tables have 30 bits, dealt values 24, weights 22)
Paper      Fourier evaluation with masked input: "Curl" (ePrint 2024/1127) lists the idea for bounded functions; the
           replicated form with one of the three parties dealing is derived here
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ...errors import UsageError
from ...ring import layout, trig
from ...types import Cost, Ring
from ..party import Rounds
from ..shares import Share
from . import truncation
from .cost import Link, cost_b2a, cost_msb, cost_truncate_nearest, packed
from .planes import b2a, msb, nearest_known
from .seat import Seat

_DEALT = 24  # fractional bits of the dealt sines and cosines
_PUBLIC = 22  # fractional bits of weight times public sine or cosine
_WEIGHT = 20  # fractional bits of the weights


def cost(n: int, period: int, harmonics: int, scale: int, exact: bool = False, link: Link | None = None) -> Cost:
    """Dealing and opening, then a truncation whose second addend party 0 tells party 2 on the way."""
    shift = _DEALT + _PUBLIC - scale
    series = Cost(1, (8 * n, 0, 2 * packed(n, period) + 16 * harmonics * n))
    if exact:
        return series + Cost(1, (0, 0, 0)) + cost_truncate_nearest(n, shift, link)
    low = packed(n, shift)
    return series + Cost(2, (low, 8 * n + low, low))


def cost_with_sides(
    n: int,
    period: int,
    harmonics: int,
    scale: int,
    edges: int,
    bits: int,
    blur: int = 0,
    exact: bool = False,
    link: Link | None = None,
) -> Cost:
    """The series, and the signs of ``edges`` times n numbers as integers; one beside the other unless exact."""
    series, compared = cost(n, period, harmonics, scale, exact, link), bits if exact else bits - blur
    sides = cost_msb(edges * n, compared, link) + cost_b2a(edges * n, link)
    both = series + sides
    return both if exact else Cost(max(series.rounds, sides.rounds), both.sent)


def sine_series(
    seat: Seat, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float] = ()
) -> Share:
    """See ``rounds``; to nearest if the protocol is exact."""
    if not seat.exact:
        result: Share = seat.party.run(rounds(seat, x, period, weights, scale, cosines))
        return result
    known = seat.party.run(_series(seat, x, period, weights, scale, cosines))
    i, p = seat.party.index, seat.party
    p.exchange([(2, known)] if i == 0 else [], [(0, known)] if i == 2 else [], "product")
    return nearest_known(seat, known, x.shape, _DEALT + _PUBLIC - scale)


def with_sides(
    seat: Seat,
    x: Share,
    period: int,
    weights: Sequence[float],
    scale: int,
    cosines: Sequence[float],
    moved: Share,
    bits: int,
    blur: int,
) -> tuple[Share, Share]:
    """The series, and whether the numbers ``moved`` are negative, as integers: in the same rounds unless exact.

    ``blur``: the low bits of both addends are left out, so that a number in 0 .. 2^blur - 1 counts as negative where
    they carry. Exact protocols compare all bits.
    """
    if seat.exact:
        return sine_series(seat, x, period, weights, scale, cosines), b2a(seat, msb(seat, moved, bits))
    series = rounds(seat, x, period, weights, scale, cosines)
    both: tuple[Share, Share] = seat.party.together(series, lambda: b2a(seat, msb(seat, moved, bits, blur)))
    return both


def rounds(
    seat: Seat, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float] = ()
) -> Rounds[Share]:
    """The series with a truncation whose second addend party 0 tells party 2 on the way; three rounds."""
    known = yield from _series(seat, x, period, weights, scale, cosines)
    return (yield from truncation.rounds(seat, known, x.shape, _DEALT + _PUBLIC - scale, tell=True))


def _series(
    seat: Seat, x: Share, period: int, weights: Sequence[float], scale: int, cosines: Sequence[float]
) -> Rounds[Ring]:
    """sum_k weights[k-1] sin(2 pi k x / 2^period) + cosines[k-1] cos(the same); sum of |weights| below 2^12.

    One round. Additive at _DEALT + _PUBLIC bits: u at party 1, v at party 0; party 2 has room for v.
    """
    size = sum(map(abs, weights)) + sum(map(abs, cosines))
    if not 2 <= period <= 60 or not 0 < scale < _DEALT + _PUBLIC or size >= 2**12:
        raise UsageError(
            f"sine_series: expected 2 <= period <= 60, 0 < scale < {_DEALT + _PUBLIC} and weights that sum to less "
            f"than 4096 in magnitude; got period {period}, scale {scale}, weight sum {size:g}"
        )
    k, i = seat.party.ring, seat.party.index
    n, count = x.size, max(len(weights), len(cosines))
    packed_size = (n * period + 7) // 8
    a, b = x.flat()
    if i == 2:
        r = seat.own.words(n)
        dealt = k.waves(r, period, count, _DEALT) - seat.high.words(2 * count * n).reshape(2 * count, n)
        yield [(0, k.pack_low(a + r, period)), (1, k.pack_low(b + r, period)), (1, dealt)], [], "masked angle"
        return layout.empty(n)
    masked = layout.empty_bytes(packed_size)
    if i == 0:
        dealt = seat.low.words(2 * count * n).reshape(2 * count, n)
        yield [], [(2, masked)], "masked angle"
    else:
        dealt = layout.empty((2 * count, n))
        yield [], [(2, masked), (2, dealt)], "masked angle"
    angle = a + b + k.unpack_low(masked, period, n)
    factors = _factors(tuple(weights), tuple(cosines), count)
    z: Ring = k.wave_sum(angle, dealt, period, factors, trig.SCALE + _WEIGHT - _PUBLIC)
    mask = (seat.high if i == 0 else seat.low).words(n)
    return z + mask + seat.half if i == 0 else z - mask


@lru_cache(maxsize=256)
def _factors(weights: tuple[float, ...], cosines: tuple[float, ...], count: int) -> Ring:
    """The factors of both series as integers at _WEIGHT fractional bits."""
    rows = [[round(w * 2**_WEIGHT) for w in row] + [0] * (count - len(row)) for row in (weights, cosines)]
    return layout.stack([layout.constants(row) for row in rows], 0)
