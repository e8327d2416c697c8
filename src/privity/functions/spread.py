"""How far values lie from their mean: variances and standard deviations that find their own scale.

A public bound says how large values may be, not how large they are. So the mean is taken to more digits than the values
have, deviations from it are exact, and the sum of their squares is brought to its own size by one secret power of two a
column (``mpc/spread.py``): whatever bound was stated, what counts is that the values themselves have digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..array import Axis, SecureArray
from ..context import Context
from ..errors import ShapeError
from ..mpc import approx
from ..mpc import spread as sums
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS
from .ratio import fitting_scale

EXTRA = 6
"""Fractional bits of means and deviations beyond those of the values, where there is room."""
LEAST = 4.0
"""A deviation must be this many units in the last place of the values, or exactly 0; else a guard fails."""


@dataclass(frozen=True, slots=True)
class Centred:
    """``rows`` (n, d): deviations from ``centre`` (d,), 0 in cells that do not count, both with ``step`` extra bits;
    ``centre`` None: from 0.

    ``count``: cells that count. The mean may be off by three units of ``rows``.
    """

    rows: SecureArray
    centre: SecureArray | None
    count: sums.Count
    limbs: sums.Limbs
    step: int

    @property
    def _context(self) -> Context:
        return self.rows._context


def centred(
    x: SecureArray,
    mask: SecureArray | None = None,
    counts: SecureArray | sums.Count | None = None,
    *,
    joint: bool = False,
) -> Centred:
    """x (n, d) less the mean of each column; ``mask`` (n, d) or (n, 1) flags of the cells that count (x is 0 in others
    or not), ``counts`` their sums, or what ``sums.secret_count`` made of them. ``joint``: for sums of squares over all
    columns together (``spread_of`` with joint).

    Error: three units of 2^-EXTRA of a unit in the last place of x; a unit or more of x only where bound * rows passes
    2^56 units. Rounds: 4 or 6, with a mask about 45. Bytes per party and element: 10 where bound^2 rows passes 2^46
    units, else 0; with a mask 8 more.
    """
    context, proto = x._context, x._context.protocol
    n, width = x.shape
    cells = n * width if joint else n
    scale, bits = x.scale, approx.bits_for(x.bound, x.scale)
    most = 2 * sums.room(cells)
    share = x._ring_share()
    if bits + 1 > most:  # fewer digits than the values have: what fits
        cut = bits + 1 - most
        share, scale, bits = proto.truncate(share, cut), scale - cut, bits - cut
    short = sums.room(cells) - bits - 1
    step = min(EXTRA, short if short >= EXTRA // 2 else most - bits - 1)
    gate = None
    if mask is not None:
        gate = mask._fitted((n, width))
        share = proto.mul(gate, share)
        assert counts is not None
    count = _counted(context, None if mask is None else counts, n)
    centre = sums.mean(proto, share.map(layout.total(0, False)), count, bits, step)
    lifted = sums.shifted(proto, share, -step)
    spread = centre.map(layout.broadcast((n, width)))
    rows = proto.sub(lifted, spread if gate is None else proto.mul(gate, spread))
    parts = sums.limbs(proto, rows, bits + step + 1, cells)
    bound = 2.0 ** (bits - scale)
    return Centred(
        SecureArray(context, rows, scale + step, 2 * bound),
        SecureArray(context, centre, scale + step, bound * 1.01 + 2.0 ** (1 - scale)),
        count,
        parts,
        step,
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """Sums of squared deviations (d,) in normal form; ``scale``: fractional bits of the deviations that were squared.

    ``formed.zero``: 1 where all values of a column are equal, ``formed.below``: 1 where they are not, and their
    standard deviation is below ``LEAST`` units in the last place of the values. ``ddof``: what is taken off a secret
    count.
    """

    context: Context
    formed: sums.Formed
    scale: int
    count: sums.Count
    ddof: int
    bound: float

    @property
    def normal(self) -> sums.Normal:
        return self.formed.sum

    def refuse(self, what: str) -> None:
        """Guard that every column that varies has digits to say by how much."""
        self.context.guard(
            self.formed.below.map(layout.total(None, False)),
            f"{what}: the values vary by less than {LEAST:g} units in the last place, so they have no digits to scale "
            "by; state a smaller bound (a table's unit follows from it), or more fractional bits with scale=",
        )

    def varies(self) -> Share:
        """1 where the values of a column are not all equal."""
        return self.context.protocol.add_public(
            self.context.protocol.neg(self.formed.zero), layout.constant(1)
        )

    def inverse(self, scale: int) -> Share:
        """2^scale / standard deviation (d,), for deviations as ring integers; 0 for a constant column. Relative error
        2^-19."""
        return self.normal.inverse(self.context.protocol, scale, self.over())

    def deviation(self, scale: int) -> SecureArray:
        """Standard deviation (d,) at ``scale`` bits; relative error 2^-19, and 1.25 units. 0 without freedom."""
        proto = self.context.protocol
        share = self.normal.deviation(proto, scale - self.scale, self.over())
        return SecureArray(self.context, share, scale, self.most() + 2.0 ** (1 - scale))

    def variance(self, scale: int) -> SecureArray:
        """Variance (d,) at ``scale`` bits; relative error 2^-19, and 1.25 units. 0 without freedom."""
        proto = self.context.protocol
        bound = exact.square(self.most())
        share = self.normal.amount(
            proto, scale - 2 * self.scale, self.over(), min(60, approx.bits_for(bound, scale))
        )
        return SecureArray(self.context, share, scale, bound + 2.0 ** (1 - scale))

    def most(self) -> float:
        """Bound of the deviation."""
        if self.count.secret is not None:
            return self.bound * (1.5 if self.ddof else 1.0)  # two values differ from their mean by half their distance
        n = self.count.public
        return self.bound * math.sqrt(n / max(1, n - self.ddof))

    def over(self) -> sums.Over:
        """The count less ``ddof``, as a divisor."""
        return sums.Over(self.count.public - self.ddof, self.formed.count)


def about_zero(x: SecureArray, counts: SecureArray | sums.Count | None) -> Centred:
    """x (n, d), 0 in rows that do not count, as deviations from 0, for ``spread_of`` with ``joint``.

    Where bound^2 times the elements passes 2^116 units, x is truncated to as many bits as fit, as by ``centred``.
    """
    context, (n, width) = x._context, x.shape
    bits = approx.bits_for(x.bound, x.scale)
    cut = bits - 2 * sums.room(n * width)
    if cut > 0:
        share = context.protocol.truncate(x._ring_share(), cut)
        x, bits = SecureArray(context, share, x.scale - cut, x.bound), bits - cut
    parts = sums.limbs(context.protocol, x._ring_share(), bits, n * width)
    return Centred(x, None, _counted(context, counts, n), parts, 0)


def _counted(context: Context, counts: SecureArray | sums.Count | None, rows: int) -> sums.Count:
    if counts is None or isinstance(counts, sums.Count):
        return counts or sums.Count(rows)
    return sums.secret_count(context.protocol, counts._ring_share(), rows)


def spread_of(given: Centred, ddof: int = 0, *, joint: bool = False) -> Spread:
    """Sums of squares of deviations; ``joint``: one, of all columns together (1,). Rounds: about 45. Bytes per party:
    about 2 kB a column, none a row."""
    levels, exactly, bound = _squares(given)
    if joint:
        together = layout.total(0, True)
        levels = [(value.map(together), unit) for value, unit in levels]
        exactly = exactly.map(together)
    return normal_spread(
        given._context, levels, exactly, given.count, ddof, given.step, given.rows.scale, bound
    )


def spreads_of(given: Sequence[Centred], ddof: int = 0) -> list[Spread]:
    """``spread_of`` each, all of the same rows, in the rounds of one: at a level that one of them has not it is 0."""
    context, proto, count = given[0]._context, given[0]._context.protocol, given[0].count
    made = [_squares(each) for each in given]
    units = sorted({unit for levels, _, _ in made for _, unit in levels})
    joined = []
    for unit in units:
        found = [dict((u, v) for v, u in levels).get(unit) for levels, _, _ in made]
        whole = [levels[0][0] for levels, _, _ in made]
        at = [proto.sub(w, w) if v is None else v for v, w in zip(found, whole, strict=True)]
        joined.append((proto.concatenate(at, 0), unit))
    steps = [each.step for each in given for _ in range(each.rows.shape[1])]
    exactly = proto.concatenate([e for _, e, _ in made], 0)
    formed, result, start = _formed(context, joined, exactly, count, ddof, steps), [], 0
    for each, (_, _, bound) in zip(given, made, strict=True):
        place = slice(start, start + each.rows.shape[1])
        result.append(Spread(context, formed.part(place), each.rows.scale, count, ddof, bound))
        start = place.stop
    return result


def _squares(given: Centred) -> tuple[list[tuple[Share, int]], Share, float]:
    """(levels of the sums of squares, count * sum of squares - (sum)^2 modulo 2^64, bound of a deviation)."""
    proto, across = given._context.protocol, layout.transpose(None)
    parts = sums.Limbs(
        given.limbs.x.map(across),
        None if given.limbs.high is None else given.limbs.high.map(across),
        given.limbs.low.map(across),
        given.limbs.unit,
    )
    levels = sums.levels(proto, parts)
    exactly = levels[0][0]
    if given.centre is not None:
        left = given.rows._ring_share().map(layout.total(0, False))  # what the mean's own error leaves over
        exactly = proto.sub(given.count.times(proto, exactly), proto.mul(left, left))
    return levels, exactly, given.rows.bound if given.centre is None else given.rows.bound / 2


def normal_spread(
    context: Context,
    levels: list[tuple[Share, int]],
    exactly: Share,
    count: sums.Count,
    ddof: int,
    step: int,
    scale: int,
    bound: float,
) -> Spread:
    """``levels``: of the sums of squares; ``exactly``: count * sum of squares - (sum)^2 modulo 2^64, which is 0 where
    all values are equal. ``step``: bits of the deviations beyond those of the values."""
    steps = [step] * levels[0][0].shape[0]
    return Spread(context, _formed(context, levels, exactly, count, ddof, steps), scale, count, ddof, bound)


def _formed(
    context: Context,
    levels: list[tuple[Share, int]],
    exactly: Share,
    count: sums.Count,
    ddof: int,
    steps: Sequence[int],
) -> sums.Formed:
    """``steps``: of each column."""
    proto = context.protocol
    whole = levels[0][0]
    least = [int(exact.square(LEAST * 2.0**step)) for step in steps]
    less = None
    if count.secret is None:
        low = proto.add_public(proto.sub(whole, whole), layout.constants([v * count.public for v in least]))
    else:
        wide = count.secret if count.secret.shape == whole.shape else count.secret.map(layout.broadcast(whole.shape))
        low = proto.mul_public(wide, layout.constants(least))
        less = proto.add_public(count.secret, layout.constant(-ddof)) if ddof else count.secret
    return sums.normalised(proto, levels, low, exactly, less, count.public)


def standardised(given: Centred, spread: Spread, scale: int, *, unit: bool = False) -> SecureArray:
    """Deviations over the standard deviation (n, d), within sqrt(n) whatever the bound of x; 0 in constant columns.
    With ``unit``: over the root of the sum of their squares, so that columns have length 1.

    One product a value: each is at most the root of the sum of all squares, so the product of the two fits although
    that of their public bounds would not. Error: relative 2^-18, and what the mean is off: 3 units of ``rows``.
    """
    context, proto = given._context, given._context.protocol
    n, width = given.rows.shape
    reach = 0 if unit else (exact.log2_ceil(n) + 1) // 2
    bits = RANGE_BITS - 2 - reach  # fractional bits of the inverse of a deviation that is a ring integer
    over = sums.Over(1) if unit else spread.over()
    parts = spread.normal.inverse_parts(proto, bits, over, given.limbs.unit)
    low, high = (part.map(layout.broadcast((n, width))) for part in parts)
    if given.limbs.high is None:
        share = proto.mul(given.limbs.x, low, bits - scale)
    else:
        flat = layout.reshape((n * width,))
        left = proto.stack([given.limbs.low.map(flat), given.limbs.high.map(flat)], 1)
        share = proto.dot(left, proto.stack([low.map(flat), high.map(flat)], 1), bits - scale)
        share = share.map(layout.reshape((n, width)))
    most = 1.0 if unit else math.sqrt(n)
    return SecureArray(context, share, scale, most * (1 + 2.0**-12) + 2.0**-scale)


UNIT = 28  # fractional bits of columns of length 1, and of correlations that are multiplied


def correlations(given: Centred, spread: Spread, scale: int) -> SecureArray:
    """Correlations of the columns (d, d) at ``scale`` bits; 0 where one is constant. Error 2^-16."""
    rows = standardised(given, spread, UNIT, unit=True)._ring_share()
    share = given._context.protocol.matmul(rows.map(layout.transpose(None)), rows, 2 * UNIT - scale)
    return SecureArray(given._context, share, scale, 1.0 + 2.0**-12)


def covariances(given: Centred, spread: Spread, scale: int) -> SecureArray:
    """Covariances of the columns (d, d) at ``scale`` bits. Error: 2^-16 of the product of the two deviations."""
    return covariances_of(correlations(given, spread, UNIT), spread, scale)


def covariances_of(matrix: SecureArray, spread: Spread, scale: int) -> SecureArray:
    """Covariances at ``scale`` bits from correlations (d, d) at ``UNIT`` bits."""
    context, proto = spread.context, spread.context.protocol
    width = matrix.shape[0]
    fine = 44 - exact.log2_ceil(max(spread.most(), 2.0**-200))
    each = spread.deviation(fine)._ring_share()
    square = layout.broadcast((width, width))
    left, right = (each.map(layout.then(layout.reshape(s), square)) for s in ((width, 1), (1, width)))
    half = sums.long_product(proto, matrix._ring_share(), left, UNIT)
    share = sums.long_product(proto, half, right, 2 * fine - scale)
    return SecureArray(context, share, scale, exact.square(spread.most()) * 1.01 + 2.0 ** (1 - scale))


def guard_within(x: SecureArray, unit: SecureArray, reach: int, counts: SecureArray | None, hint: str) -> None:
    """Guard that sum of x^2 over the rows stays below (2^reach unit)^2 in every column, and so each |x| below 2^reach
    units. x (n, d), ``unit`` (d,) at its scale; ``counts`` (d,) flags of the columns that are asked, None for all.

    One truncation a value (10 bytes per party), where a comparison would send 30.
    """
    context, proto = x._context, x._context.protocol
    n, bits = x.shape[0], approx.bits_for(x.bound, x.scale)
    share, size = x._ring_share(), unit._ring_share()
    cut = max(0, bits - 2 * sums.room(n))
    share = proto.truncate(share, cut) if cut else share
    levels = sums.levels(proto, sums.limbs(proto, share.map(layout.transpose(None)), bits - cut, n))
    short = max(0, approx.bits_for(unit.bound, unit.scale) - 30)
    size = proto.truncate(size, short) if short else size
    square = proto.mul(size, size)
    lift = 2 * (reach + short - cut)  # the square in units of x: square * 2^lift
    tests = []
    for i, (value, below) in enumerate(levels):
        over = max(0, 60 + lift - below - 60) if i == len(levels) - 1 else 0  # so that the highest cannot wrap
        most = sums.shifted(proto, square, below - lift + over)
        value = proto.truncate(value, over) if over else value
        tests.append(proto.sub(proto.add_public(most, layout.constant(8)), value))
    # A level is asked where the one above it has not the digits to say so; there it cannot have wrapped.
    for _, above in levels[1:]:
        limit = min(max(above + sums.DIGITS - lift, 0), 61)
        tests.append(proto.add_public(square, layout.constant(-(1 << limit))))
    signs = proto.b2a(proto.msb(proto.stack(tests, 0)))
    each = [signs.map(layout.take(i)) for i in range(len(tests))]
    wrong = each[len(levels) - 1]
    for i in range(len(levels) - 1):
        wrong = proto.add(wrong, proto.mul(each[i], each[len(levels) + i]))
    if counts is not None:
        wrong = proto.mul(wrong, counts._ring_share())
    context.guard(wrong.map(layout.total(None, False)), hint)


# -- what owners bring -----------------------------------------------------------------------------------------------

def from_sums(words: SecureArray, rows: int, scale: int, secret: bool) -> tuple[SecureArray, Spread]:
    """(mean, spread) of columns whose sums are known exactly: ``words`` (4, d), as ``exact_sums`` makes them.

    ``scale``: fractional bits of the values, whose bound is 1; ``secret``: whether the counts are (else all are
    ``rows``). The mean has EXTRA bits more. Nothing is sent for a row.
    """
    context, proto = words._context, words._context.protocol
    total, counts, low, high = (words._ring_share().map(layout.take(i)) for i in range(4))
    count = sums.secret_count(proto, counts, rows) if secret else sums.Count(rows)
    centre = sums.mean(proto, total, count, scale, EXTRA)
    # c = centre without its extra bits, and its upper half
    half = scale // 2
    both = proto.truncate(proto.stack([proto.mul_public(centre, layout.constant(1 << half)), centre], 0), EXTRA + half)
    c, upper = both.map(layout.take(0)), both.map(layout.take(1))
    lower = proto.sub(c, proto.mul_public(upper, layout.constant(1 << half)))
    part = proto.sub(centre, proto.mul_public(c, layout.constant(1 << EXTRA)))
    left = proto.sub(total, count.times(proto, c))  # the sum of x - c
    factors = ((upper, upper), (upper, lower), (lower, lower), (c, left), (left, left), (left, part))
    products = proto.mul(proto.stack([a for a, _ in factors], 0), proto.stack([b for _, b in factors], 0))
    squares, cross, lost, over = (products.map(layout.take(i)) for i in (slice(0, 3), 3, 4, 5))
    times = count.times(proto, squares)
    high_square, middle, low_square = (times.map(layout.take(i)) for i in range(3))
    # sum (x - c)^2 = sum x^2 - count c^2 - 2 c left: modulo 2^64, and in units of 2^30
    middle = proto.mul_public(middle, layout.constant(2))
    rest = proto.add(low_square, proto.sub(proto.mul_public(cross, layout.constant(2)), low))
    together = 2 * scale + exact.log2_ceil(max(1, rows)) <= 75  # whether the middle products fit one word with the rest
    if together:
        rest = proto.add(proto.mul_public(middle, layout.constant(1 << half)), rest)
    unit = 2 * half
    carried = proto.truncate(
        proto.stack([rest, proto.mul_public(over, layout.constant(1 << (unit - EXTRA)))], 0), unit
    )
    top = proto.sub(proto.mul_public(high, layout.constant(1 << (32 - unit))), high_square)
    coarse = proto.sub(top, carried.map(layout.take(0)))
    if not together:
        coarse = proto.sub(coarse, proto.truncate(middle, half))
        rest = proto.add(proto.mul_public(middle, layout.constant(1 << half)), rest)
    fine = proto.sub(proto.mul_public(top, layout.constant(1 << unit)), rest)
    exactly = proto.sub(count.times(proto, fine), lost)
    levels = [(proto.sub(fine, carried.map(layout.take(1))), 0), (coarse, unit)]
    spread = normal_spread(context, levels, exactly, count, 0, 0, scale, 1.0)
    return SecureArray(context, centre, scale + EXTRA, 1.01), spread


def exact_sums(values: npt.NDArray[np.int64], present: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What an owner says of columns (n, d) of integers |x| <= 2^30, in clear: (4, d) sums, numbers of cells, and sums
    of squares as words of 32 bits, the lower one first."""
    low, high = values & 0x7FFF, values >> 15
    parts = [(high * high).sum(0), (high * low).sum(0), (low * low).sum(0)]
    squares = [(int(a) << 30) + (int(b) << 16) + int(c) for a, b, c in zip(*parts, strict=True)]
    words = [[q & 0xFFFFFFFF for q in squares], [q >> 32 for q in squares]]
    return np.stack([values.sum(0), present, *(np.asarray(w, np.int64).reshape(present.shape) for w in words)])


# -- arrays ----------------------------------------------------------------------------------------------------------


def variance(x: SecureArray, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
    """Variance, whatever the bound and the offset: the mean of squared deviations, which find their own scale.

    Error: relative 2^-18, two units of the result, and what deviations below 2^6 units of x lose: (2^-4 units of x)^2.
    The result has the session's fractional bits, or as many as fit beside bound^2; for values of more fractional bits
    than the session's up to twice theirs. Where bound^2 * terms fits 2^46 squared units of x: about 12 rounds, 8 bytes
    per party and result times a few. Else 66 rounds, 10 bytes per party and element, 2 kB a result.
    """
    rows, shape = _columns("var", x, axis, keepdims, ddof)
    given = centred(rows)
    if given.limbs.high is None:
        return _shaped(_plain_variance(given, ddof, rows.scale), shape)
    spread = spread_of(given, ddof)
    scale = result_scale(exact.square(spread.most()), 2 * rows.scale, rows.scale, x._context.fraction_bits)
    return _shaped(spread.variance(scale), shape)


def _plain_variance(given: Centred, ddof: int, scale: int) -> SecureArray:
    """Where sums of squares fit one word, whatever the values: divided by the public number."""
    context, proto, n = given._context, given._context.protocol, given.rows.shape[0]
    rows = given.rows._ring_share().map(layout.transpose(None))
    bound = exact.square(given.rows.bound / 2) * n / (n - ddof)
    bits = result_scale(bound, 2 * scale, scale, context.fraction_bits)
    finer = bits - 2 * given.rows.scale
    size = max(1, 61 - exact.log2_floor(n - ddof))
    share = sums.mean(proto, proto.dot(rows, rows), sums.Count(n - ddof), size, max(0, finer))
    return SecureArray(context, sums.shifted(proto, share, max(0, -finer)), bits, bound * 1.01 + 2.0 ** (1 - bits))


def deviation(x: SecureArray, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
    """Standard deviation; errors and costs as ``variance``, relative to itself: 2^-18, two units of the result, and
    2^-4 units of x."""
    given, shape = _columns("std", x, axis, keepdims, ddof)
    spread = spread_of(centred(given), ddof)
    scale = result_scale(spread.most(), given.scale + EXTRA, given.scale, x._context.fraction_bits)
    return _shaped(spread.deviation(scale), shape)


def result_scale(bound: float, finest: int, scale: int, usual: int) -> int:
    """Fractional bits of a result: the session's ``usual``, more for values that have more (30 bits of the bound),
    fewer where 62 bits have no room."""
    size = exact.log2_ceil(max(bound, 2.0**-200))
    more = min(finest, 30 - size) if scale > usual else 0
    room = math.floor(RANGE_BITS - 0.5 - exact.log2(max(bound, 2.0**-200)))
    return max(1, min(max(usual, more), room))


def _columns(
    what: str, x: SecureArray, axis: Axis, keepdims: bool, ddof: int
) -> tuple[SecureArray, tuple[int, ...]]:
    """(x with the axes that are left as columns (n, d), the result's shape). Raises ShapeError."""
    x = x.numeric()
    x = x if x.scale else x.rescaled(fitting_scale(x.bound, x._context.fraction_bits))
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if axis is not None:
        x._context.met(("sum", axis))
    if any(not -x.ndim <= a < x.ndim for a in axes) or len({a % max(1, x.ndim) for a in axes}) != len(axes):
        raise ShapeError(f"{what}: expected different axes of {x.ndim}, got axis={axis}")
    axes = tuple(a % x.ndim for a in axes)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    terms = layout.count(tuple(x.shape[a] for a in axes))
    if terms == 0 or terms <= ddof:
        raise ShapeError(f"{what} with ddof={ddof} needs more than {ddof} values along the axis, got {terms}")
    width = layout.count(kept)
    rows = x._rearranged(
        layout.then(layout.last_axes(axes), layout.reshape((width, terms)), layout.transpose(None))
    )
    return rows, kept if keepdims else tuple(n for i, n in enumerate(x.shape) if i not in axes)


def _shaped(x: SecureArray, shape: tuple[int, ...]) -> SecureArray:
    return x._rearranged(layout.reshape(shape))
