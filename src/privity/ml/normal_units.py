"""Columns and targets in units of their own: centred, and divided by the secret power of two next to their deviation.

People know no tight bounds, and columns have any unit. What is fitted is (x - centre) / unit, whose deviation is about
1 whatever the bound, the offset and the unit; and what was learnt is multiplied by powers of two again, exactly
(``line.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..array import SecureArray
from ..context import Context
from ..errors import ShapeError
from ..functions.spread import Spread, about_zero, centred, spreads_of, standardised
from ..given import one_column
from ..mpc import approx, roots
from ..mpc import spread as sums
from ..mpc.protocol import Protocol
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS
from .estimator import Rows
from .guards import Guards

BITS = 24
"""Fractional bits of coefficients in normal units."""
SHIFT = 14
"""Fractional bits of powers of two."""
LONG = 54
"""Bits of a long factor."""
MANTISSA = 22
"""Fractional bits of columns in normal units, where there is room."""
_WIDEST = 45  # powers of two up to here
_PUBLIC = 16  # bits of a public factor


@dataclass(frozen=True, slots=True)
class Normalised:
    """``values`` (n, d): (x - centre) / unit, 0 in rows that do not count and in constant columns. |values| <= size,
    and no sum of their squares passes size^2 = 4^k, the power of four from n upward; without a mask it is a quarter of
    that at least.

    ``centre`` (d,): the mean of the rows that count; None: 0. ``exponent`` (d,): log2 of the unit, a whole number;
    of the bound for constant columns. ``bound``: of x.
    """

    values: SecureArray
    centre: SecureArray | None
    exponent: Share
    size: float
    bound: float
    _spread: Spread
    _inverse_root: Share

    @property
    def context(self) -> Context:
        return self.values._context

    @property
    def fine(self) -> int:
        """Fractional bits of x - centre."""
        return self._spread.scale

    @property
    def finest(self) -> int:
        """No unit of a column that varies is below 2^finest."""
        return 1 - (self.fine - (6 if self.centre is not None else 0))

    def varies(self) -> SecureArray:
        """(d,): 1 for columns that vary (about 0: that are not 0 throughout). Local."""
        return SecureArray(self.context, self._spread.varies(), 0, 1.0)

    def roots(self, shift: int) -> SecureArray:
        """(d,): 2^(shift / 2) over the root of the sum of squares of a column, for 2^shift >= n; a number for constant
        columns. Relative error 2^-20."""
        lost = 2 * exact.log2_ceil(self.size) - shift
        given = SecureArray(self.context, self._inverse_root, roots.WORK, 2.01)
        return given.multiply(math.sqrt(exact.exp2(-lost)), scale=roots.WORK - 2)._stated(2.01)

    def squared(self, unit: SecureArray, x: SecureArray) -> SecureArray | None:
        """x () times the square of the ``unit`` () of the one column, for x at 40 bits; None where the square of the
        bound has no room."""
        half, most = exact.log2_ceil(2 * self.bound), exact.log2_ceil(max(x.bound, 1.0))
        size = 2 * half + most
        if size > RANGE_BITS - 3:
            return None
        proto, middle = self.context.protocol, LONG - 2 - half - most
        once = sums.long_product(proto, x._ring_share(), unit._ring_share(), x.scale + unit.scale - middle)
        fine = max(1, min(self.context.fraction_bits + 8, RANGE_BITS - 2 - size))
        share = sums.long_product(proto, once, unit._ring_share(), middle + unit.scale - fine)
        return SecureArray(self.context, share, fine, exact.exp2(size))

    def offsets(self, reach: float, what: str, guards: Guards) -> SecureArray:
        """centre / unit (d,), guarded to stay below ``reach``."""
        assert self.centre is not None
        proto = self.context.protocol
        inverse = self._spread.inverse(LONG)
        centre, fine = self.centre._ring_share(), self.centre.scale
        size = approx.bits_for(self.centre.bound, fine)
        coarse = min(BITS, RANGE_BITS - 2 - max(0, size - 6))
        rough = SecureArray(
            self.context, sums.long_product(proto, centre, inverse, LONG - coarse), coarse, exact.exp2(60 - coarse)
        )
        hint = f"{what}: how far the mean of a column lies from 0, in deviations; centre them"
        share = guards.bounded(rough, reach, hint)._ring_share()
        if coarse < BITS:
            share = sums.long_product(proto, centre, inverse, LONG - BITS)
        return SecureArray(self.context, share, BITS, reach)


def of_rows(what: str, rows: Rows, around_mean: bool) -> tuple[Normalised, Normalised]:
    """Columns and target of a fit in normal units, about their means, else about 0.

    Rounds: about 70, with a mask 115. Bytes per party and element: 16, or 26 where bound^2 n passes 2^46 units in the
    last place; with a mask 8 more. Guards that a column varies by 4 units in the last place, or not at all.
    """
    y = rows.y
    assert y is not None
    if y.ndim != 1:
        raise ShapeError(f"{what}: expected y of shape (n,), got {y.shape}")
    context, n = rows.x._context, rows.x.shape[0]
    x, y = (v if v.scale else v.rescaled(context.fraction_bits) for v in (rows.x.numeric(), y.numeric()))
    y = y if rows.valid is None else (y * rows.valid)._stated(y.bound)
    mask = count = None
    if rows.valid is not None:
        mask = rows.valid.reshape((-1, 1))
        count = sums.secret_count(context.protocol, rows.valid.sum().reshape((1,))._ring_share(), n)
    both = (x, y.reshape((-1, 1)))
    given = [centred(v, mask, count) if around_mean else about_zero(v, count) for v in both]
    half = (exact.log2_ceil(n) + 1) // 2 if n > 1 else 0
    scale = min(MANTISSA, (RANGE_BITS - 2 - 2 * half) // 2)
    made = []
    for name, each, found, v in zip((one_column(rows.names), "y"), given, spreads_of(given), both, strict=True):
        found.refuse(f"{what}: {name}")
        rounded = _to_a_power(found, half)
        values = standardised(each, rounded, scale)._stated(exact.exp2(half) * 1.01)
        exponent = _exponent(rounded, half, _log(v.bound))
        root = found.normal.inverse_root
        made.append(Normalised(values, each.centre, exponent, exact.exp2(half), v.bound, rounded, root))
    return made[0], made[1]


def normalised(what: str, x: SecureArray, valid: SecureArray | None) -> Normalised:
    """One block of columns x (n, d) about their means; costs and guards as ``of_rows``. Constant ones: exponent 0."""
    context, n = x._context, x.shape[0]
    mask = count = None
    if valid is not None:
        mask = valid.reshape((-1, 1))
        count = sums.secret_count(context.protocol, valid.sum().reshape((1,))._ring_share(), n)
    given = centred(x, mask, count)
    found = spreads_of([given])[0]
    found.refuse(what)
    half = (exact.log2_ceil(n) + 1) // 2 if n > 1 else 0
    rounded = _to_a_power(found, half)
    values = standardised(given, rounded, min(MANTISSA, (RANGE_BITS - 2 - 2 * half) // 2))
    values, exponent = values._stated(exact.exp2(half) * 1.01), _exponent(rounded, half, 0)
    return Normalised(values, given.centre, exponent, exact.exp2(half), x.bound, rounded, found.normal.inverse_root)


def _log(bound: float) -> int:
    return exact.log2_ceil(max(bound, 2.0**-50))


def _to_a_power(found: Spread, half: int) -> Spread:
    """The same with a deviation that is rounded to a power of two: of the sum of squares over 4^half."""
    one = found.context.protocol.add_public(
        found.context.protocol.sub(found.normal.inverse_root, found.normal.inverse_root),
        layout.constant(1 << roots.WORK),
    )
    whole = found.context.protocol.mul_public(found.varies(), layout.constant(1 << roots.WORK))
    formed = replace(found.formed, sum=replace(found.normal, inverse_root=one, mantissa=whole), count=None)
    return replace(found, formed=formed, count=sums.Count(1 << (2 * half)), ddof=0)


def _exponent(found: Spread, half: int, constant: int) -> Share:
    """log2 of the unit; of constant columns the number ``constant``."""
    proto, form = found.context.protocol, found.normal
    total = proto.add_public(
        proto.sub(form.root, form.root), layout.constant(form.bits // 2 - form.top - half - found.scale - constant)
    )
    for i, digit in enumerate(form.other):
        total = proto.add(total, proto.mul_public(digit, layout.constant(1 << i)))
    for flag, unit in zip(form.flags, form.units[1:], strict=True):
        total = proto.add(total, proto.mul_public(flag, layout.constant(unit // 2)))
    return proto.add_public(proto.mul(total, found.varies()), layout.constant(constant))


# -- powers of two ---------------------------------------------------------------------------------------------------


def power_within(context: Context, exponent: Share, offset: int, widest: int = _WIDEST) -> Share:
    """2^(exponent + offset + SHIFT) for secret whole exponents (m,), from 2^0 to 2^``widest``: exponents out of range
    are read as the nearest in range. About 30 rounds."""
    proto = context.protocol
    place = proto.add_public(exponent, layout.constant(offset + SHIFT))
    over = proto.add_public(place, layout.constant(-widest))
    tests = proto.b2a(proto.msb(proto.stack([place, over], 0)))
    low, inside = (tests.map(layout.take(i)) for i in (0, 1))
    parts = proto.mul(proto.stack([low, inside], 0), proto.stack([place, over], 0))
    # below 0: place - place; from ``widest`` on: widest
    capped = proto.add_public(parts.map(layout.take(1)), layout.constant(widest))
    return two_to(proto, proto.sub(capped, parts.map(layout.take(0))))


def two_to(proto: Protocol, place: Share) -> Share:
    """2^place for secret whole numbers (m,) from 0 to 60. About 11 rounds."""
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
    share = sums.long_product(context.protocol, each._ring_share(), by, SHIFT)
    return SecureArray(context, share, scale, exact.exp2(widest + _PUBLIC + 1 - SHIFT - scale))
