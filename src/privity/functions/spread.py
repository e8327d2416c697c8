"""How far values lie from their mean: variances and standard deviations that find their own scale.

A public bound says how large values may be, not how large they are. So the mean is taken to more digits than the values
have, deviations from it are exact, and the sum of their squares is brought to its own size by one secret power of two a
column (``mpc/spread.py``): whatever bound was stated, what counts is that the values themselves have digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..array import Axis, SecureArray
from ..context import Context
from ..errors import ShapeError
from ..mpc import approx
from ..mpc import spread as sums
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS

EXTRA = 6
"""Fractional bits of means and deviations beyond those of the values, where there is room."""
LEAST = 4.0
"""A deviation must be this many units in the last place of the values, or exactly 0; else a guard fails."""


@dataclass(frozen=True, slots=True)
class Centred:
    """``rows`` (n, d): deviations from ``centre`` (d,), 0 in cells that do not count, both with ``step`` extra bits.

    ``count``: cells that count. The mean may be off by three units of ``rows``.
    """

    rows: SecureArray
    centre: SecureArray
    count: sums.Count
    limbs: sums.Limbs
    step: int

    @property
    def _context(self) -> Context:
        return self.rows._context


def centred(x: SecureArray, mask: SecureArray | None = None, counts: SecureArray | None = None) -> Centred:
    """x (n, d) less the mean of each column; ``mask`` (n, d) or (n, 1) flags of the cells that count (x is 0 in others
    or not), ``counts`` their sums.

    Error: three units of 2^-EXTRA of a unit in the last place of x; a unit or more of x only where bound^2 rows passes
    2^58 units. Rounds: 4 or 6, with a mask about 45. Bytes per party and element: 10 where bound^2 rows passes 2^46
    units, else 0; with a mask 8 more.
    """
    context, proto = x._context, x._context.protocol
    n, width = x.shape
    scale, bits = x.scale, approx.bits_for(x.bound, x.scale)
    most = 2 * sums.room(n)
    share = x._ring_share()
    if bits + 1 > most:  # fewer digits than the values have: what fits
        cut = bits + 1 - most
        share, scale, bits = proto.truncate(share, cut), scale - cut, bits - cut
    short = sums.room(n) - bits - 1
    step = min(EXTRA, short if short >= EXTRA // 2 else most - bits - 1)
    gate = None
    if mask is not None:
        gate = mask._fitted((n, width))
        share = proto.mul(gate, share)
        assert counts is not None
        count = sums.secret_count(proto, counts._ring_share(), n)
    else:
        count = sums.Count(n)
    centre = sums.mean(proto, share.map(layout.total(0, False)), count, bits, step)
    lifted = sums.shifted(proto, share, -step)
    spread = centre.map(layout.broadcast((n, width)))
    rows = proto.sub(lifted, spread if gate is None else proto.mul(gate, spread))
    parts = sums.limbs(proto, rows, bits + step + 1, n)
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

    ``constant``: 1 where all values of a column are equal, ``unresolved``: 1 where they are not, and their standard
    deviation is below ``LEAST`` units in the last place of the values. Both secret.
    """

    context: Context
    normal: sums.Normal
    scale: int
    count: sums.Count
    bound: float
    constant: Share
    unresolved: Share

    def refuse(self, what: str) -> None:
        """Guard that every column that varies has digits to say by how much."""
        self.context.guard(
            self.unresolved.map(layout.total(None, False)),
            f"{what}: the values vary by less than {LEAST:g} units in the last place, so they have no digits to scale "
            "by; state a smaller bound (a table's unit follows from it), or more fractional bits with scale=",
        )

    def inverse(self, scale: int, ddof: int = 0) -> Share:
        """2^scale / standard deviation (d,), for deviations as ring integers; 0 for a constant column. Relative error
        2^-19."""
        proto = self.context.protocol
        made = self.normal.inverse(proto, scale, self._over(ddof))
        return proto.mul(made, proto.add_public(proto.neg(self.constant), layout.constant(1)))

    def deviation(self, scale: int, ddof: int = 0) -> SecureArray:
        """Standard deviation (d,) at ``scale`` bits; relative error 2^-19, and 1.25 units. 0 without freedom."""
        proto = self.context.protocol
        share = self.normal.deviation(proto, scale - self.scale, self._over(ddof))
        return SecureArray(self.context, share, scale, self._most(ddof) + 2.0 ** (1 - scale))

    def variance(self, scale: int, ddof: int = 0) -> SecureArray:
        """Variance (d,) at ``scale`` bits; relative error 2^-19, and 1.25 units. 0 without freedom."""
        proto = self.context.protocol
        bound = exact.square(self._most(ddof))
        share = self.normal.amount(
            proto, scale - 2 * self.scale, self._over(ddof), min(60, approx.bits_for(bound, scale))
        )
        return SecureArray(self.context, share, scale, bound + 2.0 ** (1 - scale))

    def _most(self, ddof: int) -> float:
        if self.count.secret is not None:
            return self.bound * (1.5 if ddof else 1.0)  # two values differ from their mean by half their distance
        n = self.count.public
        return self.bound * math.sqrt(n / max(1, n - ddof))

    def _over(self, ddof: int) -> sums.Over:
        proto, n = self.context.protocol, self.count.public
        if self.count.secret is None:
            return sums.Over(n - ddof)
        less = proto.add_public(self.count.secret, layout.constant(-ddof)) if ddof else self.count.secret
        bits = approx.bits_for(n, 0)
        return sums.Over(n, sums.normal(proto, [(less, 0)], bits=bits + bits % 2)[0])


def spread_of(given: Centred) -> Spread:
    """Sums of squares of deviations. Rounds: about 45. Bytes per party: about 2 kB a column, none a row."""
    context, proto = given._context, given._context.protocol
    across = layout.transpose(None)
    parts = sums.Limbs(
        given.limbs.x.map(across),
        None if given.limbs.high is None else given.limbs.high.map(across),
        given.limbs.low.map(across),
        given.limbs.unit,
    )
    levels = sums.levels(proto, parts)
    left = given.rows._ring_share().map(layout.total(0, False))
    return normal_spread(context, levels, left, given.count, given.step, given.rows.scale, given.rows.bound / 2)


def normal_spread(
    context: Context,
    levels: list[tuple[Share, int]],
    left: Share,
    count: sums.Count,
    step: int,
    scale: int,
    bound: float,
) -> Spread:
    """``levels``: of the sums of squares; ``left``: sums of the deviations, which a mean of few digits leaves over."""
    proto = context.protocol
    whole = levels[0][0]
    # count * sum of squares - (sum)^2 is 0, exactly, where all values are equal; where it is known exactly, that is
    exactly = proto.sub(count.times(proto, whole), proto.mul(left, left))
    least = exact.square(LEAST * 2.0**step)
    size = layout.constant(int(least))
    if count.secret is None:
        low = proto.add_public(proto.sub(whole, whole), layout.constant(int(least) * count.public))
    else:
        low = proto.mul_public(count.secret, size)
        low = low if low.shape == whole.shape else low.map(layout.broadcast(whole.shape))
    normal, below = sums.normal(proto, levels, low)
    assert below is not None
    constant = proto.mul(proto.b2a(proto.is_zero(exactly)), below)
    return Spread(context, normal, scale, count, bound, constant, proto.sub(below, constant))


# -- arrays ----------------------------------------------------------------------------------------------------------


def variance(x: SecureArray, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
    """Variance, whatever the bound and the offset: the mean of squared deviations, which find their own scale.

    Error: relative 2^-18, two units of the result, and what deviations below 2^6 units of x lose: (2^-4 units of x)^2.
    The result has the session's fractional bits, or as many as fit beside bound^2; for values of more fractional bits
    than the session's up to twice theirs. Rounds: about 60, 45 without room... Bytes per party and element: 10 where
    bound^2 * terms passes 2^46 units, else 0; 2 kB a result.
    """
    given, shape = _columns("var", x, axis, keepdims, ddof)
    spread = spread_of(centred(given))
    scale = result_scale(exact.square(spread._most(ddof)), 2 * given.scale, given.scale, x._context.fraction_bits)
    return _shaped(spread.variance(scale, ddof), shape)


def deviation(x: SecureArray, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> SecureArray:
    """Standard deviation; errors and costs as ``variance``, relative to itself: 2^-18, two units of the result, and
    2^-4 units of x."""
    given, shape = _columns("std", x, axis, keepdims, ddof)
    spread = spread_of(centred(given))
    scale = result_scale(spread._most(ddof), given.scale + EXTRA, given.scale, x._context.fraction_bits)
    return _shaped(spread.deviation(scale, ddof), shape)


def result_scale(bound: float, finest: int, scale: int, usual: int) -> int:
    """Fractional bits of a result: the session's ``usual``, more for values that have more (30 bits of the bound),
    fewer where 60 bits have no room."""
    size = exact.log2_ceil(max(bound, 2.0**-200))
    more = min(finest, 30 - size) if scale > usual else 0
    return max(1, min(max(usual, more), RANGE_BITS - 3 - size))


def _columns(
    what: str, x: SecureArray, axis: Axis, keepdims: bool, ddof: int
) -> tuple[SecureArray, tuple[int, ...]]:
    """(x with the axes that are left as columns (n, d), the result's shape). Raises ShapeError."""
    x = x.numeric()
    x = x if x.scale else x.rescaled(x._context.fraction_bits)
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
