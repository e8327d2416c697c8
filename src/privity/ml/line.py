"""A linear predictor in normal units (``normal_units.py``), in those of the data, and its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..array import SecureArray
from ..context import Context
from ..functions import concatenate
from ..functions.spread import EXTRA
from ..mpc import approx
from ..mpc import spread as sums
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS
from .estimator import Rows
from .guards import Guards, rows_bounded, squares_bounded
from .normal_units import BITS, LONG, MANTISSA, SHIFT, Normalised, two_to

REACH = 22
"""Coefficients times the bounds of their columns stay below 2^REACH units of the target."""
_WIDEST = 53  # powers of two up to here
_LEAST = 2  # of such a power of SHIFT bits: 12 digits of a coefficient of 1
_LONGEST = 38  # bits of a value that coefficients are multiplied by
_FAR = 11  # log2 of how many deviations, or bounds, of y a prediction may lie from 0
_FARTHEST = 16  # log2 of how many units a mean may lie from 0
_ROUGH = 30  # bits of the factors of a product that is only compared
_COARSE = 28  # bits of a prediction that is only compared
_DIGITS = 6  # of its limit, at least


@dataclass(frozen=True, slots=True)
class Line:
    """A linear predictor. ``slopes`` (d,) and ``start`` () at ``BITS``: of values in normal units.

    In the units of the data: ``coefficients`` (d,) at ``scale``, and ``intercept`` () at ``low``, at which both are
    ``whole``. ``direction``: of the errors,
    see ``Direction``. ``learnt``: what ``predicted`` and ``errors`` need.
    """

    scale: int
    low: int
    coefficients: SecureArray
    intercept: SecureArray
    powers: Share
    direction: Direction | None
    target: Normalised
    learnt: tuple[SecureArray, ...]

    def whole(self) -> SecureArray:
        """(d + 1,): coefficients and intercept."""
        return concatenate([self.coefficients.rescaled(self.low), self.intercept.reshape((1,))])

    def errors(self, each: SecureArray, along: SecureArray | None) -> SecureArray:
        """Standard errors of the data's coefficients, from those in normal units: of the slopes (d,), and ``along`` the
        direction (1,)."""
        found = _read(each, self.powers, SHIFT, self.scale)
        if along is None or self.direction is None:
            return found
        last = _read(along, self.direction.power, self.direction.shift, self.low)
        return concatenate([found.rescaled(self.low), last])


@dataclass(frozen=True, slots=True)
class Direction:
    """Of the columns and the intercept along which the latter is uncertain: ``unit`` (d + 1,), of length 1/2 to 1, is
    the means over a power of two. ``power`` (1,): that power times the target's unit; over 2^``shift`` it brings
    numbers of BITS to ``Line.low``."""

    unit: SecureArray
    power: Share
    shift: int


def _read(x: SecureArray, by: Share, shift: int, scale: int) -> SecureArray:
    """x * by / 2^``shift`` (m,), as numbers of BITS are read at ``scale``."""
    share, fine = sums.long_product(x._context.protocol, x._ring_share(), by, shift), scale + x.scale - BITS
    found = SecureArray(x._context, share, fine, exact.exp2(60 - fine))
    return found.rescaled(min(fine, scale))


def brought_back(
    what: str, slopes: SecureArray, start: SecureArray, columns: Normalised, target: Normalised, uncertain: bool
) -> Line:
    """The line of slopes (d,) in normal units, and the mean () of the target at the columns' centres. ``uncertain``:
    whether standard errors are asked for. Guards that the numbers have room and digits. About 60 rounds."""
    context, proto, d = columns.context, columns.context.protocol, slopes.size
    guards = Guards(context)
    direction: SecureArray | None = None
    log: Share | None = None
    turned = 0
    if columns.centre is not None:
        offsets = columns.offsets(exact.exp2(_FARTHEST), what, guards)
        row = layout.reshape((1, d))
        share = proto.dot(offsets._ring_share().map(row), slopes._ring_share().map(row), BITS)
        start = (start - SecureArray(context, share.map(layout.reshape(())), BITS, exact.exp2(28)))._stated(
            exact.exp2(28)
        )
        if uncertain:
            direction, log = _shortened(concatenate([-offsets, context.constant(np.ones(1), scale=BITS)]))
    # powers of two, all in one run
    size, lift = _log(columns.bound), _log(target.bound)
    scale = max(1, min(34 + size - lift, 58))  # sizes from 2^-20 to 2^21 of bound of y over bound of x
    low = max(1, min(scale, 51 - lift))  # an intercept of 2^8 bounds of y
    own = target.exponent
    longest = min(target.fine, LONG - 2 - lift)  # fractional bits of the unit of y
    places = [
        _plus(proto.sub(own.map(layout.broadcast((d,))), columns.exponent), scale - BITS + SHIFT, context),
        _plus(proto.neg(columns.exponent), size + 2 + SHIFT, context),
        _plus(own, longest, context),
        _plus(proto.neg(own), LONG - target.fine, context),
    ]  # fmt: skip
    hints = (
        f"{what}: coefficients have room, of which one is about the deviation of y over that of a column; state "
        "bounds of y and of the columns nearer to what they hold, or standardise the columns",
        f"{what}: the deviation of every column is a 2^-{REACH} of its bound at least, or 0; state tighter "
        "bounds of the columns, or standardise them",
        f"{what}: the deviation of y has room; state a tighter bound of y",
    )
    for place, least, hint in zip(places, (_LEAST, _LEAST, 0, 0), (*hints, hints[2]), strict=True):
        _ranged(guards, context, place, least, hint)
    if log is not None:
        # their product with a standard error of 1 is the unit of y times the means: up to 2^17 bounds of y
        turned = _WIDEST - 18 - (lift + 1 + low - BITS)
        places.append(_plus(proto.add(own, log), low - BITS + turned, context))
        _ranged(guards, context, places[-1], 0, hints[2])
    found = two_to(proto, proto.concatenate(places, 0))
    by, unit, inverse = (
        found.map(layout.take(slice(i, j))) for i, j in ((0, d), (2 * d, 2 * d + 1), (2 * d + 1, 2 * d + 2))
    )
    both = proto.concatenate([slopes._ring_share(), slopes._ring_share()], 0)
    both = sums.long_product(proto, both, found.map(layout.take(slice(0, 2 * d))), SHIFT)
    bound = min(exact.exp2(61 - scale), exact.exp2(REACH + 1) * target.bound / columns.bound)
    coefficients = SecureArray(context, both.map(layout.take(slice(0, d))), scale, bound)
    over = SecureArray(context, both.map(layout.take(slice(d, 2 * d))), BITS + size + 2, exact.exp2(57 - BITS - size))
    hint = f"{what}: coefficients times the bound of their column, in deviations of y"
    over = guards.bounded(over, exact.exp2(REACH) / columns.bound, hint)
    intercept = _intercept(what, start, unit, longest, low, target, guards)
    guards.ask()
    start = start._stated(min(start.bound, (d + 1) * exact.exp2(REACH)))
    middle = context.constant(0.0) if target.centre is None else target.centre.reshape(())
    learnt = (
        over, start, SecureArray(context, unit, longest, 2 * exact.exp2(lift)).reshape(()), middle,
        SecureArray(context, inverse, LONG - target.fine, exact.exp2(-target.finest)).reshape(()),
        SecureArray(context, own.map(layout.reshape(())), 0, exact.exp2(7)),
    )  # fmt: skip
    if direction is None:
        return Line(scale, low, coefficients, intercept, by, None, target, learnt)
    last = found.map(layout.take(slice(2 * d + 2, 2 * d + 3)))
    return Line(scale, low, coefficients, intercept, by, Direction(direction, last, turned), target, learnt)


def _log(bound: float) -> int:
    return exact.log2_ceil(max(bound, 2.0**-50))


def _plus(x: Share, by: int, context: Context) -> Share:
    return context.protocol.add_public(x, layout.constant(by))


def _ranged(guards: Guards, context: Context, place: Share, least: int, hint: str) -> None:
    guards.at_least(place, least, hint)
    guards.at_least(context.protocol.neg(place), -_WIDEST, hint)


def _intercept(
    what: str, start: SecureArray, unit: Share, fine: int, scale: int, target: Normalised, guards: Guards
) -> SecureArray:
    """start times the unit of the target, which has ``fine`` bits, plus the target's centre; () at ``scale``."""
    context, proto = start._context, start._context.protocol
    given = start.reshape((1,))._ring_share()
    share = sums.long_product(proto, given, unit, BITS + fine - scale)
    low, high = BITS + 28 - _ROUGH, max(0, _log(target.bound) + 1 + fine - _ROUGH)
    short = proto.mul(proto.truncate(given, low), proto.truncate(unit, high) if high else unit)
    at = BITS - low + fine - high
    if at <= scale:  # else it has room whatever the start
        guards.bounded(
            SecureArray(context, short, at, exact.exp2(61 - at)), exact.exp2(60 - scale) - target.bound,
            f"{what}: the intercept; centre the columns, or tighten the bound of y",
        )  # fmt: skip
    found = SecureArray(context, share, scale, exact.exp2(60 - scale)).reshape(())
    if target.centre is None:
        return found
    centre = target.centre.reshape(())
    return found + SecureArray(
        context, sums.shifted(proto, centre._ring_share(), centre.scale - scale), scale, centre.bound
    )


def _shortened(w: SecureArray) -> tuple[SecureArray, Share]:
    """(w / 2^e (d,) of length 1/2 to 1, e (1,)) for w at BITS, |w| <= 2^16. About 25 rounds."""
    context, proto, d = w._context, w._context.protocol, w.size
    low = proto.truncate(w._ring_share(), BITS - 8).map(layout.reshape((1, d)))
    bits = 2 * (16 + 8) + exact.log2_ceil(d + 1)
    bits += bits % 2
    place = approx.leading(proto, proto.dot(low, low), bits, signed=False)
    root = approx.power_of_two(proto, place.digits[1:], place.valid).low
    half = proto.sub(root, root)
    for i, digit in enumerate(place.digits[1:]):
        half = proto.add(half, proto.mul_public(digit, layout.constant(1 << i)))
    log = bits // 2 - 8
    share = sums.long_product(proto, w._ring_share(), root.map(layout.broadcast((d,))), log)
    return SecureArray(context, share, BITS, 1.01), proto.add_public(proto.neg(half), layout.constant(log))


# -- predictions -----------------------------------------------------------------------------------------------------


def predicted(
    x: SecureArray, learnt: Sequence[SecureArray], coefficients: SecureArray, intercept: SecureArray
) -> SecureArray:
    """x @ coefficients + intercept (n,). Guards that predictions do not lie far off; rows are asked in groups of 16.

    Where public bounds say that ``coefficients`` have digits and products have room (``_Direct``), by them: two units
    of the result; about 12 rounds, 45 bytes per party and row. Else by ``learnt``, in deviations of y: error about
    2^-16 of a deviation, and one unit; about 20 rounds, 110 bytes. There are fewer fractional bits under bounds of y
    above 2^28.
    """
    x = _numbers(x)
    direct = _Direct.of(x, coefficients, intercept, learnt[2])
    if direct is not None:
        return direct.predicted(x, coefficients, intercept)
    found = _in_units(x, learnt)
    unit, centre, context, proto = learnt[2], learnt[3], x._context, x._context.protocol
    far = min(_FAR, RANGE_BITS - 5 - exact.log2_ceil(unit.bound))
    found = rows_bounded(found, exact.exp2(far), "predictions in deviations of y: leave out rows far away")
    fine = _fine(context, unit, exact.exp2(far) * unit.bound + centre.bound)
    made = sums.long_product(proto, found._ring_share(), unit._fitted(found.shape), found.scale + unit.scale - fine)
    middle = SecureArray(context, sums.shifted(proto, centre._ring_share(), centre.scale - fine), fine, centre.bound)
    return SecureArray(context, made, fine, found.bound * unit.bound) + middle


def _fine(context: Context, unit: SecureArray, bound: float) -> int:
    """Fractional bits of predictions up to ``bound``: those of a y that has more than the session, where there is room.

    ``unit``: of y, within twice its bound."""
    own = min(unit.scale - EXTRA, 31 - exact.log2_ceil(unit.bound))
    return max(1, min(max(context.fraction_bits, own), RANGE_BITS - 3 - exact.log2_ceil(bound)))


def _numbers(x: SecureArray) -> SecureArray:
    """As fixed-point numbers of at most 38 bits."""
    x = x.numeric()
    x = x if x.scale else x.rescaled(1)
    size = exact.log2_ceil(max(x.bound, exact.exp2(-30)))
    return x.rescaled(max(1, min(x.scale, _LONGEST - size)))


@dataclass(frozen=True, slots=True)
class _Direct:
    """Predictions from coefficients as they are, planned on public bounds: from their upper part and from the ``limb``
    lower ones of ``short`` fractional bits. No sum of either passes the ring, so that the upper says how large it is.

    Results stay below 2^``far`` and have ``fine`` bits; the upper part is asked at ``coarse`` bits.
    """

    short: int
    limb: int
    far: int
    fine: int
    coarse: int

    @classmethod
    def of(cls, x: SecureArray, coefficients: SecureArray, intercept: SecureArray, unit: SecureArray) -> _Direct | None:
        """None where there is no room. ``unit``: of y."""
        terms, size = exact.log2_ceil(x.shape[1]), _log(x.bound)
        far = _log(unit.bound) + _FAR - 1
        fine = _fine(x._context, unit, exact.exp2(far))
        least = max(1, fine + size + terms)  # roundings of coefficients are half a unit of the result then
        most = _log(x.shape[1] * x.bound * coefficients.bound + intercept.bound)  # of any prediction
        free = RANGE_BITS - 3 - size - x.scale - terms  # for the lower part
        short = min(coefficients.scale, RANGE_BITS - 2 - x.scale - most + free)
        limb = max(1, x.scale + short + most - (RANGE_BITS - 2))
        coarse = min(x.scale + short - limb, _COARSE - most)
        if short < least or limb > free or x.scale + short - limb < fine or far + coarse < _DIGITS:
            return None
        return cls(short, limb, far, fine, coarse)

    def predicted(self, x: SecureArray, coefficients: SecureArray, intercept: SecureArray) -> SecureArray:
        context, proto, n = x._context, x._context.protocol, x.shape[0]
        share = sums.shifted(proto, coefficients._ring_share(), coefficients.scale - self.short)
        upper = proto.truncate(share, self.limb)
        lower = proto.sub(share, proto.mul_public(upper, layout.constant(1 << self.limb)))
        products = proto.matmul(x._ring_share(), proto.stack([upper, lower], 1))
        high, low = (products.map(layout.take((slice(None), i))) for i in (0, 1))
        scale = x.scale + self.short - self.limb
        begin = sums.shifted(proto, intercept._ring_share(), intercept.scale - scale)
        high = proto.add(high, begin.map(layout.broadcast((n,))))
        squares_bounded(
            context, sums.shifted(proto, high, scale - self.coarse), 1 << (self.far + self.coarse),
            "predictions in bounds of y: leave out rows far away",
        )  # fmt: skip
        made = proto.add(
            sums.shifted(proto, high, scale - self.fine),
            sums.shifted(proto, low, scale + self.limb - self.fine),
        )
        return SecureArray(context, made, self.fine, exact.exp2(self.far) * 1.01)


def errors(rows: Rows, learnt: Sequence[SecureArray], most: float) -> SecureArray:
    """Predictions less y (n,), in units of the target, guarded to stay within ``most``; 0 in rows that do not count."""
    assert rows.y is not None
    y = rows.y.numeric()
    y = y if y.scale else y.rescaled(1)
    centre, inverse, context = learnt[3], learnt[4], rows.x._context
    apart = y - centre
    apart = apart.rescaled(min(apart.scale, LONG - 1 - exact.log2_ceil(apart.bound)))
    size = exact.log2_ceil(apart.bound * inverse.bound)
    scale = max(1, min(MANTISSA, RANGE_BITS - 2 - size))
    share = sums.long_product(
        context.protocol, apart._ring_share(), inverse._fitted(y.shape), apart.scale + inverse.scale - scale
    )
    given = SecureArray(context, share, scale, exact.exp2(size))
    off = _in_units(_numbers(rows.x), learnt).rescaled(scale) - given
    off = off if rows.valid is None else off * rows.valid
    return rows_bounded(off, most, "what predictions are off, in deviations of y")


def _in_units(x: SecureArray, learnt: Sequence[SecureArray]) -> SecureArray:
    """(n,): predictions less the centre of the target, in its unit."""
    slopes, start = learnt[:2]
    context, proto = x._context, x._context.protocol
    size = exact.log2_ceil(max(x.bound, exact.exp2(-30)))
    n, d = x.shape
    bound = d * x.bound * slopes.bound + start.bound
    scale = min(BITS, LONG - 1 - exact.log2_ceil(bound))
    # x times the upper and the lower half of the slopes: neither sum passes the ring
    limb = min(30, RANGE_BITS - 2 - size - x.scale - exact.log2_ceil(d))
    cut = slopes.scale + x.scale - scale
    share = slopes._ring_share()
    upper = proto.truncate(share, limb)
    lower = proto.sub(share, proto.mul_public(upper, layout.constant(1 << limb)))
    products = proto.matmul(x._ring_share(), proto.stack([upper, lower], 1))
    high, low = (products.map(layout.take((slice(None), i))) for i in (0, 1))
    made = proto.add(sums.shifted(proto, high, cut - limb), sums.shifted(proto, low, cut))
    begin = sums.shifted(proto, start._ring_share(), BITS - scale).map(layout.broadcast((n,)))
    return SecureArray(context, proto.add(made, begin), scale, bound)
