"""Columns centred and scaled by what all owners' rows say: mean and deviation, extremes, median and quartiles.

Public bounds do not matter, as long as values have digits: a scale of secret size is inverted by its own power of two,
and a value times that inverse has room although the product of their public bounds has not. Where a value might lie
further off than there is room for, a guard asks.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate, maximum, minimum, quantile, stack
from ...functions import max as largest_of
from ...functions import min as smallest_of
from ...functions.spread import LEAST, guard_within
from ...given import one_column
from ...mpc import approx, roots
from ...mpc.spread import long_product
from ...ring import exact, layout
from ...table import Table
from ...types import RANGE_BITS
from .transform import (
    Transform,
    as_fitted,
    chosen,
    columns_out,
    filled,
    is_number,
    numbers_out,
    some_value,
    spread_of_columns,
    units_of_columns,
)

_NUMBERS = "numbers; encode categories first"
_DIGITS = 18  # of an inverse, at least, where the scale is as large as the bound
_EXTRA = 3  # fractional bits of a centre beyond those of the values
_FAR, _VERY_FAR = 10, 14  # values within 2^10 deviations of the mean have room, 2^14 quartile distances
_LONGEST = 60  # bits of a public factor of flags
_ROOM = 2.0**42  # numbers beyond have no room at 18 fractional bits


@dataclass(frozen=True, slots=True)
class _Scale:
    """(x - centre) / scale for secret centres and scales of any size (k,), in units: what the scalers share.

    ``inverse``: 1 / scale, 0 in columns that do not vary (``varies``: 1 in the others). ``reach``: |result| of those
    that vary stays below 2^reach. Columns that do not vary have the scale 1, as in scikit-learn, in their own unit.
    """

    centre: SecureArray
    inverse: SecureArray
    varies: SecureArray
    reach: int

    def own(self, scaler: _Scaler, table: Table, within: float) -> SecureArray:
        """Results (n, k) of the table that was fitted, known to lie ``within``; 0 in columns that do not vary."""
        return self._over(self._moved(scaler, table), self.inverse, within * (1 + 2.0**-14) + _ulp(self.centre))

    def applied(
        self, scaler: _Scaler, table: Table, width: Callable[[], SecureArray], what: str, *, clip: float | None = None,
        room: float = _ROOM, near_only: bool = False,
    ) -> list[SecureArray]:
        """Results of any table, by column, each with its own bound; 0 in cells that do not count.

        ``width``: the scale, 0 in columns that do not vary. Those that vary are guarded, or all are cut to ``clip``. A
        column that does not vary must have a bound of at most ``room``; where it passes what columns that vary can
        reach, it is added by a product of its own (8 bytes a value, a round); ``near_only``: guarded to lie within what
        they can reach, so that a generous schema leaves models room.
        """
        moved, flat = self._moved(scaler, table), (1 - self.varies)._stated(1.0)
        context, proto = moved._context, moved._context.protocol
        bits, limit = context.fraction_bits, exact.exp2(self.reach)
        powers = [exact.log2_floor(u) for u in scaler.units_]
        bounds = [table.column(n).values.bound + self.centre.bound for n in scaler.columns_]
        most = [b * exact.exp2(p) for b, p in zip(bounds, powers, strict=True)]
        cut = clip is not None and clip < limit
        if cut:
            assert clip is not None
            # a little less, so that rounding cannot pass ``clip``
            ends = width().multiply(np.asarray(clip * (1 - 2.0**-16)), scale=moved.scale) - 2 * 2.0**-moved.scale
            here = [min(clip * exact.exp2(-p), moved.bound + 1) + 2 * 2.0**-moved.scale for p in powers]
            ends = ends + _times(flat, here, moved.scale)
            moved = maximum(minimum(moved, ends), -ends)
        else:
            guard_within(moved, width(), self.reach, self.varies, _too_far(scaler, what, self.reach))
        at_once = [cut or m <= limit for m in most]
        scale = self.inverse.scale
        inverse = self.inverse + _times(
            flat, [exact.exp2(p) if f and p + scale <= _LONGEST else 0.0 for p, f in zip(powers, at_once, strict=True)],
            scale,
        )  # fmt: skip
        known = (clip if cut and clip is not None else limit * (1 + 2.0**-14)) + _ulp(self.centre)
        z = self._over(moved, inverse, known)
        made = [z[:, i] for i in range(len(powers))]
        apart = [i for i, f in enumerate(at_once) if not f]
        wide = [i for i in apart if most[i] > room]
        if wide:
            context.guard(flat[np.asarray(wide)].sum()._ring_share(), _too_wide(scaler, wide, room))
        shifts = {i: moved.scale - powers[i] - bits for i in apart if i not in wide}
        for some in ([i for i, s in shifts.items() if s <= 0], [i for i, s in shifts.items() if s > 0]):
            if not some:
                continue
            least = max(0, *(shifts[i] for i in some))
            pick, raised = np.asarray(some), np.array([1 << (least - shifts[i]) for i in some], np.uint64)
            cells = proto.mul_public(moved[:, pick]._ring_share(), layout.asarray(raised.reshape((1, -1))))
            flags = flat[pick]._ring_share().map(layout.broadcast((moved.shape[0], len(some))))
            part = SecureArray(context, proto.mul(cells, flags, least), bits, max(most[i] for i in some))
            for k, i in enumerate(some):
                made[i] = (made[i] + part[:, k])._stated(max(known, most[i]) + _ulp(self.centre))
        if shifts and clip is None and near_only:  # models want a bound that does not follow a generous schema
            names = ", ".join(scaler.columns_[i] for i in shifts)
            what = type(scaler).__name__
            hint = f"{what}: columns without a scale are centred only; of {names}, values lie too far "
            hint += "off: take clip="
            near = stack([made[i] for i in shifts], axis=1).assume_bound(limit, hint)
            for k, i in enumerate(shifts):
                made[i] = near[:, k]
        if clip is not None and not cut:
            ended = stack(made, axis=1).clip(-clip, clip)
            made = [ended[:, i] for i in range(len(powers))]
        return made

    def _moved(self, scaler: _Scaler, table: Table) -> SecureArray:
        """x - centre (n, k) at the scale of the centre."""
        names = scaler.columns_
        x, keep = table.block(names), filled(table, names)
        moved = x.rescaled(self.centre.scale) - self.centre
        return moved if keep is None else (
            moved * (keep if keep.ndim == 2 else keep.reshape((-1, 1)))
        )._stated(moved.bound)

    @staticmethod
    def _over(moved: SecureArray, inverse: SecureArray, known: float) -> SecureArray:
        context, proto = moved._context, moved._context.protocol
        share = inverse._ring_share().map(layout.broadcast(moved.shape))
        bits = context.fraction_bits
        return SecureArray(
            context, proto.mul(moved._ring_share(), share, moved.scale + inverse.scale - bits), bits, known
        )


def _ulp(x: SecureArray) -> float:
    return 2.0**-x._context.fraction_bits


def _times(flags: SecureArray, numbers: Sequence[float], scale: int) -> SecureArray:
    """0/1 integers (k,) times public numbers, to the nearest at ``scale`` bits. Local."""
    whole = [round(math.ldexp(v, scale)) for v in numbers]
    share = flags._context.protocol.mul_public(flags._ring_share(), layout.asarray(np.asarray(whole, np.uint64)))
    return SecureArray(flags._context, share, scale, max(numbers) + 2.0**-scale)


class _Scaler(Transform):
    """A transform whose results are those of a ``_Scale``."""

    columns_: tuple[str, ...]
    units_: tuple[float, ...]


class StandardScaler(_Scaler):
    """(x - mean) / standard deviation of all owners' rows, computed on shares; mean and deviation stay secret.

    Whatever bound the schema states: relative error of the deviation 2^-15, and an eighth of a unit in the last place
    of the values (2^-33 of the column's unit). A column of equal values becomes 0; in other tables it is centred only,
    as in scikit-learn (a bound above 2^41 fails a guard then). One that varies by less than 4 units in the last place
    (a deviation below 2^-28 of its unit) has no digits to scale by and fails a guard. ``clip``: public bound to which
    the results are cut (two comparisons a value), None for none. Rows that are padding and empty cells become 0; empty
    cells do not count.

    Results of the table that was fitted are below sqrt(rows), as is known without asking. In another table a guard asks
    (10 bytes a value) that the root of the sum of squares of a column's results stays below 2^10, or 4 sqrt(rows) if
    that is more; state ``clip=`` where values may lie further off.

    After fit: ``mean_`` and ``inverse_scale_`` (k,), secret and in the table's units; ``columns_``.
    """

    _own: Callable[[], Table | None] | None = None
    _deviation: Callable[[], SecureArray] | None = None
    _mean: SecureArray | None = None

    def __init__(self, columns: Sequence[str] | None = None, *, clip: float | None = None) -> None:
        self.columns = columns
        self.clip = clip

    def fit(self, table: Table) -> StandardScaler:
        if self.clip is not None and not self.clip > 0:
            raise UsageError(f"StandardScaler: expected clip above 0 or None, got {self.clip}")
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        self.units_ = units_of_columns(table, self.columns_)
        mean, spread, scale = spread_of_columns(table, self.columns_, "StandardScaler")
        context, self.reach_ = mean._context, _reach(table, _FAR)
        reach = self.reach_
        size = exact.log2_ceil(max(spread.bound, 2.0**-60))
        extra = max(0, min(_EXTRA, RANGE_BITS - 1 - reach - _DIGITS - size - scale))
        self.mean_ = mean.rescaled(min(mean.scale, scale + extra))
        self.extra_bits_ = self.mean_.scale - scale
        bits = RANGE_BITS - 1 - reach - self.mean_.scale
        share = spread.inverse(bits + spread.scale)
        self.inverse_scale_ = SecureArray(context, share, bits, 2.0**scale / LEAST * 1.01)
        self.varies_ = SecureArray(context, spread.varies(), 0, 1.0)
        self._own, self._mean = weakref.ref(table), None
        self._deviation = functools.cache(lambda: spread.deviation(scale + _EXTRA))
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("mean_")
        if self._own is not None and self._own() is table:
            scale = _Scale(self.mean_, self.inverse_scale_, self.varies_, self.reach_)
            z = scale.own(self, table, math.sqrt(max(1, table.rows)))
            z = z if self.clip is None else z.clip(-self.clip, self.clip)
            return numbers_out(table, self.columns_, z, clean=True)
        table, scale = as_fitted(self, table), _Scale(self._centre(), self.inverse_scale_, self.varies_, self.reach_)
        made = scale.applied(self, table, self._width, "standard deviations from the mean", clip=self.clip)
        return columns_out(table, dict(zip(self.columns_, made, strict=True)), clean=True)

    def _centre(self) -> SecureArray:
        """The mean; of equal values that value itself, so that it becomes 0 and not the mean's own error."""
        if self._mean is None:
            mean, bits = self.mean_, self.extra_bits_
            units = SecureArray(mean._context, mean._ring_share(), bits, mean.bound * exact.exp2(mean.scale - bits))
            whole = units.round()._ring_share().map(layout.reshape(mean.shape)) if bits else mean._ring_share()
            proto = mean._context.protocol
            off = proto.sub(proto.mul_public(whole, layout.constant(1 << bits)), mean._ring_share())
            flat = (1 - self.varies_)._ring_share()
            share = proto.add(mean._ring_share(), proto.mul(flat, off))
            self._mean = SecureArray(mean._context, share, mean.scale, mean.bound + exact.exp2(bits - mean.scale))
        return self._mean

    def _width(self) -> SecureArray:
        """The deviation; of a scaler that was saved and loaded again, what its inverse says."""
        if self._deviation is None:
            self._deviation = functools.cache(lambda: _inverted(self.inverse_scale_, self.mean_.scale, 4.0))
        return self._deviation()

    def line(self) -> tuple[SecureArray, SecureArray, float, float]:
        """(centre, inverse, span, low): results are (x - centre) * inverse * span + low, in units."""
        return self.mean_, self.inverse_scale_, 1.0, 0.0

    def unscale(self, coef: SecureArray) -> SecureArray:
        """Coefficients (k + 1,), intercept last, for standardised columns -> for columns in the table's units.

        They keep their fractional bits, or as many as fit beside the bound: 2^28 times that of ``coef`` for a table as
        it was brought. Error: relative 2^-15, and one unit in the last place for each column.
        """
        self.fitted("mean_")
        return unscaled(coef, self.inverse_scale_, self.mean_)


class MinMaxScaler(_Scaler):
    """Columns brought from [smallest, largest] value of all owners' rows to ``feature_range``; both stay secret.

    Whatever bound the schema states: error 2^-16 of the range, and half a unit in the last place of the values. A
    column of equal values becomes the lower end; in other tables its distance from that value is kept, as in
    scikit-learn (a bound above 2^41 fails a guard then). One whose range is below 4 units in the last place (2^-28 of
    its unit) fails a guard. Padding and empty cells become 0 and do not count. Cost: two tournaments over the rows. In
    another table than the one that was fitted a guard asks (10 bytes a value) that values lie within 2^10 ranges, or 4
    sqrt(rows).

    After fit: ``data_min_``, ``data_max_``, ``data_range_`` (k,), secret and in the table's units; ``columns_``.
    """

    _own: Callable[[], Table | None] | None = None

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        feature_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.columns = columns
        self.feature_range = feature_range

    def fit(self, table: Table) -> MinMaxScaler:
        low, high = self.feature_range
        if not low < high:
            raise UsageError(f"MinMaxScaler: expected feature_range with its lower end first, got {self.feature_range}")
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        self.units_, self.reach_ = units_of_columns(table, self.columns_), _reach(table, _FAR)
        x, keep = table.block(self.columns_), filled(table, self.columns_)
        bound = x.bound
        if keep is None:
            self.data_min_, self.data_max_ = smallest_of(x, axis=0), largest_of(x, axis=0)
        else:
            keep = keep if keep.ndim == 2 else keep.reshape((-1, 1))
            some_value(table, self.columns_, keep.sum(axis=0), "MinMaxScaler")
            away = (1 - keep)._stated(1.0) * (2.0 * bound)  # other cells are 0, so this puts them behind all others
            self.data_min_ = minimum(smallest_of(x + away, axis=0), bound)._stated(bound)
            self.data_max_ = maximum(largest_of(x - away, axis=0), -bound)._stated(bound)
        self.data_range_ = (self.data_max_ - self.data_min_)._stated(2 * bound)
        self.inverse_range_, self.varies_ = _inverse(self, self.data_range_, self.reach_)
        self._own = weakref.ref(table)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("data_min_")
        low, high = self.feature_range
        span = int(high - low) if high - low == int(high - low) else float(high - low)
        scale = _Scale(self.data_min_, self.inverse_range_, self.varies_, self.reach_)
        if self._own is not None and self._own() is table:
            return numbers_out(table, self.columns_, scale.own(self, table, 1.0) * span + low)
        table = as_fitted(self, table)
        room = (_ROOM if isinstance(span, int) else _ROOM * 2.0**-18) / max(1.0, span)
        made = scale.applied(self, table, lambda: self.data_range_, "ranges from the smallest value", room=room)
        cells = stack(made, axis=1) * span + low
        ends = [m.bound * span * (1 + 2.0**-16) + abs(low) + _ulp(m) for m in made]
        return columns_out(table, {n: cells[:, i]._stated(ends[i]) for i, n in enumerate(self.columns_)})

    def line(self) -> tuple[SecureArray, SecureArray, float, float]:
        """As ``StandardScaler.line``."""
        low, high = self.feature_range
        return self.data_min_, self.inverse_range_, float(high - low), float(low)


class RobustScaler(_Scaler):
    """(x - median) / distance between the quartiles of all owners' rows; both stay secret. Outliers do not move them.

    Whatever bound the schema states: error 2^-16 of the result, and two units in the last place of the values, over
    the scale and of the scale. A column whose quartiles are equal is centred only, as in scikit-learn (under a
    bound above 2^13 a guard asks that it then lies within 2^14 of its median); quartiles closer than 4 units in the
    last place (2^-28 of the unit) fail a guard. Padding and empty cells become 0 and do not count.
    ``quantile_range``: in percent. ``clip``: public bound to which the results are cut. Cost: one sort a column.
    Without ``clip`` a guard asks (10 bytes a value) that the root of the sum of squares of a column's results stays
    below 2^14, or 64 sqrt(rows), and columns with a bound above 2^13 cost 8 bytes a value more.

    After fit: ``center_``, ``scale_`` and ``inverse_scale_`` (k,), 0 where quartiles are equal, secret and in the
    table's units; ``columns_``.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        quantile_range: tuple[float, float] = (25.0, 75.0),
        clip: float | None = None,
    ) -> None:
        self.columns = columns
        self.quantile_range = quantile_range
        self.clip = clip

    def fit(self, table: Table) -> RobustScaler:
        low, high = self.quantile_range
        if not 0 <= low < high <= 100:
            raise UsageError(f"RobustScaler: expected 0 <= low < high <= 100, got quantile_range={self.quantile_range}")
        if self.clip is not None and not self.clip > 0:
            raise UsageError(f"RobustScaler: expected clip above 0 or None, got {self.clip}")
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        self.units_, self.reach_ = units_of_columns(table, self.columns_), _reach(table, _VERY_FAR)
        x, keep = table.block(self.columns_), filled(table, self.columns_)
        at = np.array([low, 50.0, high]) / 100
        lower, self.center_, upper = quantile(x, at, axis=0, valid=keep)
        self.scale_ = (upper - lower)._stated(2 * x.bound)
        self.inverse_scale_, self.varies_ = _inverse(self, self.scale_, self.reach_)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("center_")
        table = as_fitted(self, table)
        scale = _Scale(self.center_, self.inverse_scale_, self.varies_, self.reach_)
        what = "distances between quartiles from the median"
        made = scale.applied(self, table, lambda: self.scale_, what, clip=self.clip, near_only=True)
        return columns_out(table, dict(zip(self.columns_, made, strict=True)), clean=True)

    def line(self) -> tuple[SecureArray, SecureArray, float, float]:
        """As ``StandardScaler.line``. Guards that quartiles differ where a column's bound is above 2^28."""
        inverse, flat = self.inverse_scale_, (1 - self.varies_)._stated(1.0)
        wide = [i for i, u in enumerate(self.units_) if u > inverse.bound]
        if wide:
            inverse._context.guard(flat[np.asarray(wide)].sum()._ring_share(), _too_wide(self, wide, inverse.bound))
        own = _times(flat, [u if u <= inverse.bound else 0.0 for u in self.units_], inverse.scale)
        return self.center_, (inverse + own)._stated(inverse.bound), 1.0, 0.0


def _inverse(scaler: _Scaler, width: SecureArray, reach: int) -> tuple[SecureArray, SecureArray]:
    """(1 / width, 0 where that is 0; flags of the columns where it is not). Guarded: it is 0, or LEAST units in the
    last place at least."""
    context, proto = width._context, width._context.protocol
    unit = 2.0**-width.scale
    low = stack([width - unit, width - LEAST * unit]) < 0
    # a difference of the two could be -1 where an owner deals numbers beyond the bound, and hide what others violate
    flat, few = stack([low[0], low[0] ^ low[1]]).numeric()
    context.guard(
        few.sum()._ring_share(),
        f"{type(scaler).__name__}: {one_column(scaler.columns_)} varies by less than {LEAST:g} units in the "
        "last place, so it has no digits to scale by; state a smaller bound in its schema",
    )
    inverse = _inverted(width, RANGE_BITS - 1 - reach - width.scale, exact.exp2(width.scale) / LEAST * 1.01)
    varies = 1 - flat
    share = proto.mul(inverse._ring_share(), varies._ring_share())
    return SecureArray(context, share, inverse.scale, inverse.bound), varies


def _inverted(x: SecureArray, scale: int, most: float) -> SecureArray:
    """1 / x at ``scale`` bits, known to be at most ``most``; anything where x is 0. About 30 rounds."""
    full = x._stated(x.bound + 1.0)
    length = approx.bits_for(full.bound, full.scale)
    share = roots.reciprocal(x._context.protocol, full._ring_share(), full.scale, length, scale, signed=False)
    return SecureArray(x._context, share, scale, most)


def _reach(table: Table, least: int) -> int:
    """Results below 2^reach have room: four times (for ``_FAR``) the root of the rows at least."""
    return max(least, (exact.log2_ceil(max(1, table.rows)) + 1) // 2 + (2 if least == _FAR else 6))


def _too_far(scaler: _Scaler, what: str, reach: int) -> str:
    way = f"{type(scaler).__name__}(clip=...)" if hasattr(scaler, "clip") else "Clip before it"
    return (
        f"{type(scaler).__name__}: {one_column(scaler.columns_)} has values too many {what} (2^{reach}, as a "
        f"root of the sum of squares); take {way}"
    )


def _too_wide(scaler: _Scaler, which: Sequence[int], room: float) -> str:
    name = one_column([scaler.columns_[i] for i in which])
    return (
        f"{type(scaler).__name__}: {name} has no scale in the rows that were fitted, and under its bound its "
        f"values, centred only, might pass {room:.3g}; state a smaller bound in its schema, or drop it"
    )


def unscaled(coef: SecureArray, inverse: SecureArray, mean: SecureArray) -> SecureArray:
    """``StandardScaler.unscale`` with 1 / deviation and mean of each column, (k,)."""
    coef = coef.numeric() if coef.scale else coef.rescaled(coef._context.fraction_bits)
    bound = coef.bound * inverse.bound
    scale = max(1, min(coef.scale, RANGE_BITS - 3 - exact.log2_ceil(max(bound, 1.0) * inverse.size)))
    weights = _product(inverse, coef[:-1], scale, bound)
    shift = _product(weights, mean, scale, bound).sum()
    return concatenate([weights, (coef[-1].rescaled(scale) - shift).reshape((1,))])


def _product(x: SecureArray, y: SecureArray, scale: int, bound: float) -> SecureArray:
    """x * y at ``scale`` bits, where the product of their bounds need not fit before it is rounded."""
    share = long_product(x._context.protocol, x._ring_share(), y._ring_share(), x.scale + y.scale - scale)
    return SecureArray(x._context, share, scale, bound)
