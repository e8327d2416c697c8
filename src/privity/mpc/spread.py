"""Sums of squares whose size only the data know: exact where they are small, rounded in coarser units where they are
large, and one secret choice between the two. From them come deviations and their inverses for any public bound.

A sum of squares modulo 2^64 costs nothing and is exact below 2^64. The same sum over squares cut by a public number of
bits has digits enough where the first has wrapped. So a column's sum is kept at two or three *levels*, units 2^0 to
2^2h apart; the highest that has digits is chosen, and brought to [1/4, 1] by its leading bit as a reciprocal is.

Written once over Protocol; ring integers in and out, with explicit scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..ring import exact, layout
from . import approx, roots
from .protocol import Protocol
from .shares import Share

DIGITS = 24
"""A level counts from 2^DIGITS of its units upward: its roundings of two or three units are a relative 2^-22 then."""
WHOLE = 60
"""Bits of what a level may hold where it is chosen."""
WORK = roots.WORK
_MOST_ROOT = 31  # bits of a power of two that is a root of at most 2^WHOLE
_LIMB = 24  # bits of the lower limb of a long product
_QUOTIENT = 22  # significant bits of 1 / n in one step of ``mean``
_FEWEST = 15


# -- means -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Count:
    """A divisor from 1 to 2^bits: public, or secret with ``power`` and ``inverse`` (see ``secret_count``); 0 / 0 =
    0."""

    public: int
    secret: Share | None = None
    power: Share | None = None
    inverse: Share | None = None

    @property
    def bits(self) -> int:
        """The count is below 2^bits."""
        return max(1, self.public).bit_length()

    def times(self, proto: Protocol, x: Share) -> Share:
        """x * count, modulo 2^64."""
        if self.secret is None:
            return proto.mul_public(x, layout.constant(self.public))
        return proto.mul(x, _wide(self.secret, x))


def secret_count(proto: Protocol, count: Share, most: int) -> Count:
    """A secret number from 0 to ``most``, with 1 / count = inverse * power / 2^(WORK + bits) to 2^-21. 25 rounds."""
    bits = Count(most).bits
    place = approx.leading(proto, count, bits, signed=False)
    power = approx.power_of_two(proto, place.digits, place.valid).low
    normal = approx.shifted_product(proto, count, power, bits - WORK)
    return Count(most, count, power, roots.inverse(proto, normal))


def _wide(x: Share, like: Share) -> Share:
    return x if x.shape == like.shape else x.map(layout.broadcast(like.shape))


def mean(proto: Protocol, total: Share, count: Count, bits: int, extra: int) -> Share:
    """total / count at ``extra`` more bits, |total| <= count * 2^bits. Error: two units of the result.

    Each step divides what the last one left over, so the digits of one quotient need not suffice. Two steps where
    bits <= 37 or so, else three: 2 rounds each for a public count, 7 for a secret one.
    """
    found, left, size = None, total, bits
    while True:
        last = size <= max(3, _QUOTIENT - extra)
        more = extra if last else 0
        part, digits = _quotient(proto, left, count, size, more)
        if last:
            return part if found is None else proto.add(
                proto.mul_public(found, layout.constant(1 << extra)), part
            )
        found = part if found is None else proto.add(found, part)
        left = proto.sub(total, count.times(proto, found))
        size = max(3, size - digits + 3)


def _quotient(proto: Protocol, x: Share, count: Count, bits: int, extra: int) -> tuple[Share, int]:
    """x / count * 2^extra for |x| <= count * 2^bits, and the digits d it has: error 2^(bits - d) and 2 units."""
    length = bits + count.bits  # of x
    if count.secret is None:
        digits = min(_QUOTIENT, 60 - length)  # of 1 / n: where few have room, x is cut before
        digits = _QUOTIENT if digits < _FEWEST else digits
        lift = digits + count.bits
        factor = layout.constant(((1 << lift) + count.public // 2) // count.public)
        cut = max(0, length + digits + 1 - 61)
        x = proto.truncate(x, cut) if cut else x
        return shifted(proto, proto.mul_public(x, factor), lift - cut - extra), digits
    assert count.power is not None and count.inverse is not None
    cut = max(0, length - 61, bits + WORK + 2 - 61)
    x = proto.truncate(x, cut) if cut else x
    spare = max(0, min(count.bits, 61 - WORK - 2 - (bits - cut)))  # bits below the unit that fit
    near = approx.shifted_product(proto, x, _wide(count.power, x), count.bits - spare)
    made = approx.shifted_product(proto, near, _wide(count.inverse, x), WORK + spare - cut - extra)
    return made, _QUOTIENT - 1


def shifted(proto: Protocol, x: Share, shift: int) -> Share:
    """x / 2^shift; a negative shift multiplies, modulo 2^64."""
    if shift > 0:
        return proto.truncate(x, min(shift, 60))
    return x if shift == 0 else proto.mul_public(x, layout.constant(1 << min(63, -shift)))


def long_product(proto: Protocol, x: Share, y: Share, shift: int) -> Share:
    """x * y / 2^shift for |x|, |y| < 2^54 where only the result need fit: both in two limbs. Seven rounds."""
    both = proto.stack([x, y], 0)
    upper = proto.truncate(both, _LIMB)
    lower = proto.sub(both, proto.mul_public(upper, layout.constant(1 << _LIMB)))
    a, b = ([part.map(layout.take(i)) for part in (upper, lower)] for i in (0, 1))
    parts = proto.mul(proto.stack([a[0], a[0], a[1], a[1]], 0), proto.stack([b[0], b[1], b[0], b[1]], 0))
    high, one, two, low = (parts.map(layout.take(i)) for i in range(4))
    total = proto.add(shifted(proto, high, shift - 2 * _LIMB), shifted(proto, proto.add(one, two), shift - _LIMB))
    return proto.add(total, shifted(proto, low, shift))


# -- sums of squares -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limbs:
    """x = high * 2^unit + low, both short enough that sums of n squares fit; ``high`` None: x itself is."""

    x: Share
    high: Share | None
    low: Share
    unit: int


def room(rows: int) -> int:
    """Bits of an integer whose squares can be summed over ``rows``."""
    return (60 - exact.log2_ceil(max(1, rows))) // 2


def limbs(proto: Protocol, x: Share, bits: int, rows: int) -> Limbs:
    """|x| < 2^bits as two limbs of ``room(rows)`` bits at most: one truncation, none if x itself is short enough."""
    unit = bits - room(rows)
    if unit <= 0:
        return Limbs(x, None, x, 0)
    unit += unit % 2
    high = proto.truncate(x, unit)
    return Limbs(x, high, proto.sub(x, proto.mul_public(high, layout.constant(1 << unit))), unit)


def levels(proto: Protocol, left: Limbs, right: Limbs | None = None) -> list[tuple[Share, int]]:
    """Sums of products over rows as levels (value, unit): of each row of ``left`` (d, n) with itself (d,), or with all
    rows of ``right`` (e, n), (d, e). Exact but for the roundings of the higher levels: three units at most.
    """

    def summed(a: Share, b: Share) -> Share:
        if right is None:
            return proto.dot(a, b)
        return proto.matmul(a, b.map(layout.transpose(None)))

    other = left if right is None else right
    whole = summed(left.x, other.x)
    if left.high is None or other.high is None:
        return [(whole, 0)]
    unit = left.unit
    top = summed(left.high, other.high)
    cross = summed(left.high, other.low)
    if right is None:
        cross = proto.mul_public(cross, layout.constant(2))
    else:
        cross = proto.add(cross, summed(left.low, other.high))
    low = proto.truncate(summed(left.low, other.low), unit)
    rest = proto.add(cross, low)
    coarse = proto.add(top, proto.truncate(rest, unit))
    found = [(whole, 0)]
    if 2 * unit + DIGITS > WHOLE:
        found.append((proto.add(proto.mul_public(top, layout.constant(1 << unit)), rest), unit))
    return [*found, (coarse, 2 * unit)]


@dataclass(frozen=True, slots=True)
class Normal:
    """A sum x >= 0 of secret size below 2^bits: x = mantissa * 2^bits / 4^half * 2^unit of the level that was chosen.

    ``mantissa`` in [1/4, 1] at WORK bits and ``root`` = 2^half, both 0 where x is 0; ``inverse_root`` =
    1 / sqrt(mantissa) (where x is 0: a number); ``other``: the digits of top - half; ``flags``: which level above the
    lowest was chosen, at most one.
    """

    bits: int
    units: tuple[int, ...]
    flags: tuple[Share, ...]
    mantissa: Share
    inverse_root: Share
    root: Share
    other: tuple[Share, ...]

    @property
    def top(self) -> int:
        return (1 << len(self.other)) - 1

    def part(self, place: slice) -> Normal:
        """Those of the sums (d,) that stand there."""
        cut = layout.take(place)
        flags, other = (tuple(v.map(cut) for v in each) for each in (self.flags, self.other))
        mantissa, inverse, root = (v.map(cut) for v in (self.mantissa, self.inverse_root, self.root))
        return Normal(self.bits, self.units, flags, mantissa, inverse, root, other)

    def inverse(self, proto: Protocol, scale: int, over: Over) -> Share:
        """2^scale / sqrt(x / n) for the divisor ``over``; 0 where x is 0. Relative error 2^-19."""
        whole, lost = over.root(proto, self.inverse_root, self.root, down=True)
        return self._shifted(proto, whole, [WORK + self.bits // 2 + u // 2 - scale - lost for u in self.units])

    def inverse_parts(self, proto: Protocol, scale: int, over: Over, unit: int) -> list[Share]:
        """(low, high): ``inverse`` and 2^unit times it, modulo 2^64. In the lowest level high is low * 2^unit, which
        may wrap as what it is multiplied with is small; in the others low is high / 2^unit, of few digits.
        """
        whole, lost = over.root(proto, self.inverse_root, self.root, down=True)
        shifts = [WORK + self.bits // 2 + u // 2 - scale - lost for u in self.units]
        low = [shifted(proto, whole, shifts[0])]
        high = [shifted(proto, low[0], -unit)]
        for shift in shifts[1:]:
            high.append(shifted(proto, whole, shift - unit))
            low.append(shifted(proto, high[-1], unit))
        both = [proto.stack([a, b], 0) for a, b in zip(low, high, strict=True)]
        wide = [f.map(layout.broadcast(both[0].shape)) for f in self.flags]
        made = pick(proto, wide, both)
        return [made.map(layout.take(0)), made.map(layout.take(1))]

    def deviation(self, proto: Protocol, scale: int, over: Over) -> Share:
        """sqrt(x / n) * 2^scale. Relative error 2^-19 and 1.25 units."""
        whole, lost = over.root(proto, self.near(proto), self.down(proto), down=False)
        base = WORK + self.top - self.bits // 2
        return self._shifted(proto, whole, [base - u // 2 - scale - lost for u in self.units])

    def amount(self, proto: Protocol, scale: int, over: Over, most: int) -> Share:
        """x / n * 2^scale, below 2^most. Relative error 2^-19 and 1.25 units."""
        near, by, lost = over.square(proto, self.mantissa, most)
        # x = mantissa * 4^(top - half) * 2^(bits - 2 top): the digits of top - half count twice here
        nothing = proto.sub(self.other[0], self.other[0])
        power = approx.power_of_two(proto, [nothing, *self.other])
        base = WORK + 2 * self.top - self.bits - scale - lost
        parts = [approx.times_power(proto, near, power, base - u) for u in self.units]
        made = pick(proto, self.flags, parts)
        return made if by is None else by(made)

    def near(self, proto: Protocol) -> Share:
        """sqrt(mantissa), in [1/2, 1]; 0 where x is 0."""
        return proto.mul(self.inverse_root, self.mantissa, WORK)

    def down(self, proto: Protocol) -> Share:
        """2^(top - half)."""
        return approx.power_of_two(proto, self.other).low

    def _shifted(self, proto: Protocol, whole: Share, shifts: Sequence[int]) -> Share:
        return pick(proto, self.flags, [shifted(proto, whole, s) for s in shifts])


@dataclass(frozen=True, slots=True)
class Over:
    """A divisor n of a sum, public or in normal form (``form``)."""

    public: int
    form: Normal | None = None

    def root(self, proto: Protocol, near: Share, power: Share, down: bool) -> tuple[Share, int]:
        """(w, lost): near * power * n^(1/2) if ``down``, else / n^(1/2), is w * 2^lost."""
        if self.form is None:
            size = exact.log2_ceil(max(1, self.public))
            size += size % 2
            part = math.sqrt(self.public / 2.0**size)  # in [1/2, 1]
            factor = round(part * 2.0**WORK) if down else round(2.0**WORK / part)
            part_of = proto.truncate(proto.mul_public(near, layout.constant(factor)), WORK)
            return proto.mul(part_of, power), size // 2 if down else -(size // 2)
        form = self.form
        factor_of = form.near(proto) if down else form.inverse_root
        both = proto.mul(near, _wide(factor_of, near), WORK)  # below 4
        other = form.down(proto) if down else form.root
        most = form.top if down else form.bits // 2
        cut = max(0, WORK + 2 + _MOST_ROOT + most - 61)
        whole = shifted(proto, proto.mul(both, power), cut)
        lost = form.bits // 2 - form.top if down else -(form.bits // 2)
        return proto.mul(whole, _wide(other, whole)), cut + lost

    def square(self, proto: Protocol, near: Share, most: int) -> tuple[Share, Callable[[Share], Share] | None, int]:
        """(near', by, lost): near / n is near' * 2^lost, and ``by`` (None: nothing) brings a result below 2^most to
        where it belongs."""
        if self.form is None:
            size = exact.log2_ceil(max(1, self.public))
            factor = ((1 << (WORK + size)) + self.public // 2) // max(1, self.public)  # in [1, 2)
            return proto.truncate(proto.mul_public(near, layout.constant(factor)), WORK), None, -size
        form = self.form
        inverse = proto.mul(form.inverse_root, form.inverse_root, WORK)  # below 4
        spare = max(0, min(form.bits, 60 - most))  # bits below a unit, which the power of two brings up

        def by(made: Share) -> Share:
            power = _wide(form.root, made)
            return proto.mul(proto.mul(made, power), power, spare)

        return proto.mul(near, _wide(inverse, near), WORK), by, spare - form.bits


def pick(proto: Protocol, flags: Sequence[Share], parts: Sequence[Share]) -> Share:
    """The part whose flag is set, the first one if none is. One round."""
    result = parts[0]
    if not flags:
        return result
    gates = proto.stack(list(flags), 0)
    steps = proto.stack([proto.sub(p, parts[0]) for p in parts[1:]], 0)
    return proto.add(result, proto.mul(gates, steps).map(layout.total(0, False)))


@dataclass(frozen=True, slots=True)
class Formed:
    """What ``normalised`` makes: the sum, and the count if one was given; ``zero`` and ``below``: see there."""

    sum: Normal
    count: Normal | None
    zero: Share
    below: Share

    def part(self, place: slice) -> Formed:
        """Those of the sums (d,) that stand there."""
        count, cut = self.count, layout.take(place)
        own = count if count is None else count.part(place)
        return Formed(self.sum.part(place), own, self.zero.map(cut), self.below.map(cut))


def normalised(
    proto: Protocol, given: Sequence[tuple[Share, int]], low: Share, exactly: Share, count: Share | None, most: int
) -> Formed:
    """The normal form of a sum >= 0 that is given at levels, lowest first; and of a secret ``count`` from 0 to ``most``
    (None: none), in the same rounds.

    ``zero``: 1 where the lowest level counts, is below ``low``, and ``exactly`` (at least 0 there) is 0: then the sum
    is taken as 0. ``below``: 1 where it is below ``low`` and not zero. Rounds: a comparison (8 to 10 for few
    elements), a leading bit (20), an inverse root (18), and about 12 more.
    """
    values, units = [v for v, _ in given], tuple(u for _, u in given)
    tests = [proto.add_public(v, layout.constant(-(1 << DIGITS))) for v in values[1:]]
    tests += [proto.sub(values[0], low), proto.add_public(exactly, layout.constant(-1))]
    signs = proto.b2a(proto.msb(proto.stack(tests, 0)))
    *lower, below, nothing = (signs.map(layout.take(i)) for i in range(len(tests)))
    flags: list[Share] = []
    lowest: Share | None = None  # 1 where no level so far has digits
    for less in reversed(lower):
        left = less if lowest is None else proto.mul(lowest, less)
        flag = proto.neg(left) if lowest is None else proto.sub(lowest, left)
        flags.insert(0, proto.add_public(flag, layout.constant(1)) if lowest is None else flag)
        lowest = left
    if lowest is not None:
        below = proto.mul(below, lowest)
    zero = proto.mul(below, nothing)
    value = pick(proto, [*flags, zero], [*values, proto.sub(zero, zero)])
    bits = most.bit_length() + most.bit_length() % 2
    rows = value
    if count is not None:
        wide = proto.mul_public(count, layout.constant(1 << (WHOLE - bits)))
        rows = proto.stack([value, _wide(wide, value)], 0)
    place = approx.leading(proto, rows, WHOLE, signed=False)
    digits = place.digits[1:]
    root = approx.power_of_two(proto, digits, place.valid).low
    mantissa = approx.shifted_product(proto, proto.mul(rows, root), root, WHOLE - WORK)
    inverse = roots.inverse_root(proto, mantissa)
    other = tuple(proto.add_public(proto.neg(d), layout.constant(1)) for d in digits)
    below = proto.sub(below, zero)
    if count is None:
        return Formed(Normal(WHOLE, units, tuple(flags), mantissa, inverse, root, other), None, zero, below)
    each = [tuple(v.map(layout.take(i)) for v in (mantissa, inverse, root, *other)) for i in range(2)]
    made = Normal(WHOLE, units, tuple(flags), each[0][0], each[0][1], each[0][2], each[0][3:])
    form = Normal(bits, (0,), (), each[1][0], each[1][1], each[1][2], each[1][3:7])  # half of ``bits`` has four digits
    return Formed(made, form, zero, below)
