"""Columns and targets in units of their own: centred, and divided by the secret power of two next to their deviation.

People know no tight bounds, and columns have any unit. What is fitted is (x - centre) / unit, whose deviation is about
1 whatever the bound, the offset and the unit; and what was learnt is multiplied by powers of two again, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..array import SecureArray
from ..context import Context
from ..errors import ShapeError
from ..functions.spread import Spread, about_zero, centred, spread_of, standardised
from ..mpc import approx, roots
from ..mpc import spread as sums
from ..mpc.protocol import Protocol
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS
from .estimator import Rows

BITS = 24
"""Fractional bits of coefficients in normal units."""
_MANTISSA = 22  # fractional bits of columns, where there is room
_WIDEST = 45  # powers of two up to here
_SHIFT = 14  # fractional bits of powers of two
_LEAST = 2  # of such a power: 12 digits of a coefficient of 1
_PUBLIC = 16  # bits of a public factor
_LONGEST = 38  # bits of a value that coefficients are multiplied by
_FAR = 11  # log2 of how many deviations a prediction may lie from the centre
_FARTHEST = 16  # log2 of how many units a mean may lie from 0
_CENTRE = 54  # bits of a long factor


@dataclass(frozen=True, slots=True)
class Normalised:
    """``values`` (n, d): (x - centre) / unit, 0 in rows that do not count and in constant columns. |values| <= size,
    and no sum of their squares passes size^2 = 4^k, the power of four from n upward; without a mask it is a quarter of
    that at least.

    ``centre`` (d,): the mean of the rows that count; None: 0. ``exponent`` (d,): log2 of the unit, a whole number;
    0 for constant columns. ``bound``: of x.
    """

    values: SecureArray
    centre: SecureArray | None
    exponent: Share
    size: float
    bound: float
    _spread: Spread

    @property
    def context(self) -> Context:
        return self.values._context

    @property
    def finest(self) -> int:
        """No unit of a column that varies is below 2^finest."""
        return 1 - (self._spread.scale - (6 if self.centre is not None else 0))

    def unit(self) -> SecureArray:
        """(d,): the unit itself, exactly; 0 for constant columns."""
        scale = min(self._spread.scale, _CENTRE - 1 - exact.log2_ceil(2 * self.bound))
        return self._spread.deviation(scale)._stated(2 * self.bound)

    def inverse(self) -> SecureArray:
        """(d,): 1 / unit, exactly; 0 for constant columns."""
        scale = _CENTRE - self._spread.scale
        return SecureArray(self.context, self._spread.inverse(_CENTRE), scale, exact.exp2(-self.finest))

    def squared(self, x: SecureArray) -> SecureArray | None:
        """x () times the squared unit of the one column, for x at 40 bits and at most 4; None where the square of the
        bound has no room."""
        size = 2 * exact.log2_ceil(2 * self.bound)
        if size > RANGE_BITS - 4:
            return None
        proto, unit = self.context.protocol, self.unit()
        wide = x.reshape((1,))._ring_share()
        middle = 50 - size // 2
        once = sums.long_product(proto, wide, unit._ring_share(), x.scale + unit.scale - middle)
        fine = max(1, min(self.context.fraction_bits + 8, RANGE_BITS - 3 - size))
        share = sums.long_product(proto, once, unit._ring_share(), middle + unit.scale - fine)
        return SecureArray(self.context, share, fine, exact.exp2(size + 2)).reshape(())

    def offsets(self, reach: float, what: str) -> SecureArray:
        """centre / unit (d,), guarded to stay below ``reach``."""
        assert self.centre is not None
        proto = self.context.protocol
        inverse = self._spread.inverse(_CENTRE)
        centre, fine = self.centre._ring_share(), self.centre.scale
        size = approx.bits_for(self.centre.bound, fine)
        coarse = min(BITS, RANGE_BITS - 2 - max(0, size - 6))
        rough = SecureArray(
            self.context, sums.long_product(proto, centre, inverse, _CENTRE - coarse), coarse, exact.exp2(60 - coarse)
        )
        rough.assume_bound(reach, f"{what}: how far the mean of a column lies from 0, in deviations; centre them")
        share = rough._ring_share()
        if coarse < BITS:
            share = sums.long_product(proto, centre, inverse, _CENTRE - BITS)
        return SecureArray(self.context, share, BITS, reach)


def normalised(what: str, x: SecureArray, valid: SecureArray | None, around_mean: bool) -> Normalised:
    """x (n, d) in normal units; ``valid`` (n,): flags of the rows that count, in the others x is 0.

    Rounds: about 70, with a mask 110. Bytes per party and element: 8, or 18 where bound^2 n passes 2^46 units in the
    last place; with a mask 8 more. Guards that a column varies by 4 units in the last place, or not at all.
    """
    n = x.shape[0]
    counts = None if valid is None else valid.sum().reshape((1,))
    if around_mean:
        given = centred(x, None if valid is None else valid.reshape((-1, 1)), counts)
    else:
        given = about_zero(x, counts)
    found = spread_of(given)
    found.refuse(what)
    half = (exact.log2_ceil(n) + 1) // 2 if n > 1 else 0
    rounded = _to_a_power(found, half)
    scale = min(_MANTISSA, (RANGE_BITS - 2 - 2 * half) // 2)
    values = standardised(given, rounded, scale)._stated(exact.exp2(half) * 1.01)
    return Normalised(values, given.centre, _exponent(rounded, half), exact.exp2(half), x.bound, rounded)


def of_rows(what: str, rows: Rows, intercept: bool) -> tuple[Normalised, Normalised]:
    """Columns and target of a fit, about their means with an ``intercept``, else about 0."""
    y = rows.y
    assert y is not None
    if y.ndim != 1:
        raise ShapeError(f"{what}: expected y of shape (n,), got {y.shape}")
    bits = rows.x._context.fraction_bits
    x, y = (v if v.scale else v.rescaled(bits) for v in (rows.x.numeric(), y.numeric()))
    y = y if rows.valid is None else (y * rows.valid)._stated(y.bound)
    columns = normalised(f"{what}: x", x, rows.valid, intercept)
    return columns, normalised(f"{what}: y", y.reshape((-1, 1)), rows.valid, intercept)


def _to_a_power(found: Spread, half: int) -> Spread:
    """The same with a deviation that is rounded to a power of two: of the sum of squares over 4^half."""
    one = found.context.protocol.add_public(
        found.context.protocol.sub(found.normal.inverse_root, found.normal.inverse_root),
        layout.constant(1 << roots.WORK),
    )
    whole = found.context.protocol.mul_public(found.varies(), layout.constant(1 << roots.WORK))
    formed = replace(found.formed, sum=replace(found.normal, inverse_root=one, mantissa=whole), count=None)
    return replace(found, formed=formed, count=sums.Count(1 << (2 * half)), ddof=0)


def _exponent(found: Spread, half: int) -> Share:
    proto, form = found.context.protocol, found.normal
    total = proto.add_public(
        proto.sub(form.root, form.root), layout.constant(form.bits // 2 - form.top - half - found.scale)
    )
    for i, digit in enumerate(form.other):
        total = proto.add(total, proto.mul_public(digit, layout.constant(1 << i)))
    for flag, unit in zip(form.flags, form.units[1:], strict=True):
        total = proto.add(total, proto.mul_public(flag, layout.constant(unit // 2)))
    return proto.mul(total, found.varies())


def power(context: Context, exponent: Share, offset: int, hint: str) -> Share:
    """2^(exponent + offset + _SHIFT) for secret whole exponents (m,), guarded to be at least 2^2 and at most 2^45.

    About 30 rounds.
    """
    proto = context.protocol
    place = proto.add_public(exponent, layout.constant(offset + _SHIFT))
    tests = proto.stack([_above(proto, place, -_LEAST), _above(proto, proto.neg(place), _WIDEST)], 0)
    context.guard(proto.b2a(proto.msb(tests)).map(layout.total(None, False)), hint)
    return _two_to(proto, place)


def power_within(context: Context, exponent: Share, offset: int, widest: int = _WIDEST) -> Share:
    """The same from 2^0 to 2^``widest``, where exponents out of range are read as the nearest in range."""
    proto = context.protocol
    place = proto.add_public(exponent, layout.constant(offset + _SHIFT))
    over = _above(proto, place, -widest)
    tests = proto.b2a(proto.msb(proto.stack([place, over], 0)))
    low, inside = (tests.map(layout.take(i)) for i in (0, 1))
    parts = proto.mul(proto.stack([low, inside], 0), proto.stack([place, over], 0))
    # below 0: place - place; from ``widest`` on: widest
    capped = _above(proto, parts.map(layout.take(1)), widest)
    return _two_to(proto, proto.sub(capped, parts.map(layout.take(0))))


def _above(proto: Protocol, x: Share, by: int) -> Share:
    return proto.add_public(x, layout.constant(by))


def _two_to(proto: Protocol, place: Share) -> Share:
    digits = proto.b2a(proto.bits(place, 6))
    found = approx.power_of_two(proto, [digits.map(layout.take(i)) for i in range(6)])
    one = proto.public(layout.constants([1] * place.shape[0]))
    return approx.lifted(proto, one, found, 0)


def over_units(
    context: Context, value: float, exponent: Share, shift: int, scale: int, widest: int = _WIDEST
) -> SecureArray:
    """value / 2^shift * 2^exponent (m,) at ``scale``, for a public value above 0; relative error 2^-17. It ends at
    2^(widest + 2 - scale), and at about 2^(2 - scale) from below."""
    lift = exact.log2_ceil(value)
    whole = context.constant(round(value * exact.exp2(_PUBLIC - lift)))
    by = power_within(context, exponent, scale + lift - shift - _PUBLIC, widest)
    each = SecureArray(context, whole._fitted(exponent.shape), 0, exact.exp2(_PUBLIC + 1))
    return times(each, by, scale, exact.exp2(widest + _PUBLIC + 1 - _SHIFT - scale))


def times(x: SecureArray, by: Share, scale: int, bound: float) -> SecureArray:
    """x * ``by`` / 2^_SHIFT, read at ``scale`` fractional bits, for x below 2^54 units. Seven rounds."""
    share = sums.long_product(x._context.protocol, x._ring_share(), by, _SHIFT)
    return SecureArray(x._context, share, scale, bound)


@dataclass(frozen=True, slots=True)
class Line:
    """A linear predictor in normal units, and in those of the data. ``slopes`` (d,), ``start`` (), both at ``BITS``:
    of values in normal units. ``exponent`` (d,): of the units of the columns, whose bound is ``reach``.
    """

    slopes: SecureArray
    start: SecureArray
    exponent: Share
    reach: float
    target: Normalised

    @property
    def scale(self) -> int:
        """Fractional bits of coefficients: so that sizes from 2^-20 to 2^21 of (bound of y) / (bound of x) have room,
        and an intercept of 2^6 bounds of y."""
        y, x = exact.log2_ceil(self.target.bound), exact.log2_ceil(self.reach)
        return max(1, min(34 + x - y, 54 - y, 58))

    def powers(self, what: str, exponent: Share) -> Share:
        """(unit of y) / 2^exponent as ``power`` gives it, so that products with numbers of BITS are at ``scale``."""
        proto, context = self.target.context.protocol, self.target.context
        own = self.target.exponent.map(layout.broadcast(exponent.shape))
        return power(
            context, proto.sub(own, exponent), self.scale - BITS,
            f"{what}: coefficients have room, of which one is about the deviation of y over that of a column; state "
            "bounds of y and of the columns nearer to what they hold, or standardise the columns",
        )  # fmt: skip

    def coefficients(self, what: str, by: Share) -> SecureArray:
        """(d,) in the units of the data."""
        fine = self.scale
        bound = min(exact.exp2(61 - fine), exact.exp2(REACH + 1) * self.target.bound / self.reach)
        return times(self.slopes, by, fine, bound)

    def intercept(self, what: str) -> SecureArray:
        """() in the units of the data."""
        context, fine = self.target.context, self.scale
        proto = context.protocol
        by = self.powers(what, proto.sub(self.target.exponent, self.target.exponent))
        start = self.start.reshape((1,))
        found = times(start, by, fine, exact.exp2(60 - fine))
        short = proto.mul(
            proto.truncate(start._ring_share(), _MANTISSA), proto.truncate(by, _SHIFT + 2)
        )
        rough = SecureArray(context, short, fine - _MANTISSA - 2, exact.exp2(61 - fine + _MANTISSA + 2))
        rough.assume_bound(
            exact.exp2(59 - fine), f"{what}: the intercept; centre the columns, or tighten the bound of y"
        )
        if self.target.centre is None:
            return found.reshape(())
        centre = self.target.centre
        share = sums.shifted(proto, centre._ring_share(), centre.scale - fine)
        return (found + SecureArray(context, share, fine, centre.bound)).reshape(())

    def learnt(self, what: str) -> tuple[SecureArray, ...]:
        """What ``predicted`` needs: slopes over the units of the columns, start, unit and centre of y; and 1 / unit
        and log2 of the unit, for ``errors``."""
        context, proto = self.target.context, self.target.context.protocol
        size = exact.log2_ceil(self.reach)
        by = power(
            context, proto.neg(self.exponent), size + 2,
            f"{what}: the deviation of every column is a 2^-{REACH} of its bound at least, or 0; state tighter "
            "bounds of the columns, or standardise them",
        )  # fmt: skip
        most = exact.exp2(REACH) / self.reach
        slopes = times(self.slopes, by, BITS + size + 2, exact.exp2(57 - BITS - size))
        slopes = slopes.assume_bound(most, f"{what}: coefficients times the bound of their column, in deviations of y")
        unit = self.target.unit()
        centre = self.target.centre
        middle = context.constant(0.0) if centre is None else centre.reshape(())
        start = self.start._stated(min(self.start.bound, (slopes.size + 1) * exact.exp2(REACH)))
        exponent = SecureArray(context, self.target.exponent.map(layout.reshape(())), 0, exact.exp2(7))
        return slopes, start, unit.reshape(()), middle, self.target.inverse().reshape(()), exponent


def shortened(w: SecureArray) -> tuple[SecureArray, Share]:
    """(w / 2^e (d,) of length 1/2 to 1, e (1,)) for w at BITS, |w| <= 2^16. About 40 rounds."""
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


def finished(
    what: str, slopes: SecureArray, start: SecureArray, columns: Normalised, target: Normalised
) -> tuple[Line, Share, SecureArray | None]:
    """(line, powers of the slopes, offsets of the columns) of slopes (d,) in normal units and the mean () of the target
    at the columns' centres."""
    context, proto, d = columns.context, columns.context.protocol, slopes.size
    offsets = None
    if columns.centre is not None:
        offsets = columns.offsets(exact.exp2(_FARTHEST), what)
        row = layout.reshape((1, d))
        share = proto.dot(offsets._ring_share().map(row), slopes._ring_share().map(row), BITS)
        moved = SecureArray(context, share.map(layout.reshape(())), BITS, exact.exp2(28))
        start = (start - moved)._stated(exact.exp2(28))
    made = Line(slopes, start, columns.exponent, columns.bound, target)
    return made, made.powers(what, columns.exponent), offsets


REACH = 22
"""Coefficients times the bounds of their columns stay below 2^REACH units of the target."""


def predicted(x: SecureArray, learnt: Sequence[SecureArray]) -> SecureArray:
    """x @ coefficients + intercept (n,), from ``Line.learnt``. Error: about 2^-16 of a deviation of y, and one unit of
    the result, which has fewer fractional bits under bounds of y above 2^28. About 20 rounds, 110 bytes per party
    and row. Guards that they lie within 2^11 deviations of y."""
    found = line(x, learnt)
    unit, centre, context, proto = learnt[2], learnt[3], x._context, x._context.protocol
    found = found.assume_bound(exact.exp2(_FAR), "predictions in deviations of y: leave out rows far away")
    fine = min(context.fraction_bits, RANGE_BITS - 3 - exact.log2_ceil(found.bound * unit.bound + centre.bound))
    fine = max(1, fine)
    made = sums.long_product(proto, found._ring_share(), unit._fitted(found.shape), found.scale + unit.scale - fine)
    middle = SecureArray(context, sums.shifted(proto, centre._ring_share(), centre.scale - fine), fine, centre.bound)
    return SecureArray(context, made, fine, found.bound * unit.bound) + middle


def errors(rows: Rows, learnt: Sequence[SecureArray], most: float) -> SecureArray:
    """Predictions less y (n,), in units of the target, guarded to stay within ``most``; 0 in rows that do not count."""
    assert rows.y is not None
    y = rows.y.numeric()
    y = y if y.scale else y.rescaled(1)
    centre, inverse, context = learnt[3], learnt[4], rows.x._context
    apart = y - centre
    apart = apart.rescaled(min(apart.scale, _CENTRE - 1 - exact.log2_ceil(apart.bound)))
    size = exact.log2_ceil(apart.bound * inverse.bound)
    scale = max(1, min(22, RANGE_BITS - 2 - size))
    share = sums.long_product(
        context.protocol, apart._ring_share(), inverse._fitted(y.shape), apart.scale + inverse.scale - scale
    )
    given = SecureArray(context, share, scale, exact.exp2(size))
    off = line(rows.x, learnt).rescaled(scale) - given
    off = off if rows.valid is None else off * rows.valid
    return off.assume_bound(most, "what predictions are off, in deviations of y")


def line(x: SecureArray, learnt: Sequence[SecureArray]) -> SecureArray:
    """(n,): predictions less the centre of the target, in its unit."""
    slopes, start = learnt[:2]
    context, proto = x._context, x._context.protocol
    x = x.numeric()
    x = x if x.scale else x.rescaled(1)
    size = exact.log2_ceil(max(x.bound, exact.exp2(-30)))
    x = x.rescaled(max(1, min(x.scale, _LONGEST - size)))
    n, d = x.shape
    bound = d * x.bound * slopes.bound + start.bound
    scale = min(BITS, _CENTRE - 1 - exact.log2_ceil(bound))
    # x times the upper and the lower half of the slopes: neither sum passes the ring
    limb = min(30, RANGE_BITS - 2 - size - x.scale - exact.log2_ceil(d))
    cut = slopes.scale + x.scale - scale
    share = slopes._ring_share().map(layout.reshape((d, 1)))
    high = proto.truncate(share, limb)
    low = proto.sub(share, proto.mul_public(high, layout.constant(1 << limb)))
    upper = proto.matmul(x._ring_share(), high, max(0, cut - limb))
    if cut < limb:
        upper = proto.mul_public(upper, layout.constant(1 << (limb - cut)))
    made = proto.add(upper, proto.matmul(x._ring_share(), low, cut)).map(layout.reshape((n,)))
    begin = sums.shifted(proto, start._ring_share(), BITS - scale).map(layout.broadcast((n,)))
    return SecureArray(context, proto.add(made, begin), scale, bound)
