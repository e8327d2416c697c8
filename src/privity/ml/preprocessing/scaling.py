"""Columns centred and scaled by what all owners' rows say: mean and deviation, extremes, median and quartiles.

Public bounds do not matter, as long as values have digits: a scale of secret size is inverted by its own power of two,
and a value times that inverse has room although the product of their public bounds has not. Where a value might lie
further off than there is room for, a guard asks.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate, maximum, minimum, quantile, stack
from ...functions import max as largest_of
from ...functions import min as smallest_of
from ...functions.spread import LEAST, guard_within
from ...mpc import approx, roots
from ...mpc.spread import long_product
from ...ring import exact, layout
from ...table import Table
from ...types import RANGE_BITS
from .transform import Transform, chosen, filled, is_number, numbers_out, some_value, spread_of_columns

_NUMBERS = "numbers; encode categories first"
_DIGITS = 18  # of an inverse, at least, where the scale is as large as the bound
_EXTRA = 3  # fractional bits of a centre beyond those of the values
_FAR, _VERY_FAR = 10, 14  # values within 2^10 deviations of the mean have room, 2^14 quartile distances


class _Scale:
    """(x - centre) / scale for secret centres and scales of any size (k,): what the scalers share.

    ``inverse`` (k,): 1 / scale, 0 where all shall become 0. ``reach``: |result| stays below 2^reach. ``varies``: flags
    of the columns that are asked for it.
    """

    def __init__(
        self, centre: SecureArray, unit: Callable[[], SecureArray], inverse: SecureArray, reach: int, varies:
        SecureArray
    ) -> None:
        self.centre, self._made, self.inverse, self.reach, self.varies = centre, unit, inverse, reach, varies
        self._unit: SecureArray | None = None

    @property
    def unit(self) -> SecureArray:
        """The scale itself, computed when it is first asked for."""
        if self._unit is None:
            self._unit = self._made()
        return self._unit

    def applied(
        self, scaler: Transform, table: Table, within: float | None, what: str, clip: float | None = None
    ) -> SecureArray:
        """``within``: what is known of |result|, None: nothing, so it is guarded, or cut to ``clip`` before. 0 in cells
        that do not count."""
        names: Sequence[str] = scaler.columns_  # type: ignore[attr-defined]
        x, keep = table.block(names), filled(table, names)
        context, proto = x._context, x._context.protocol
        moved = x.rescaled(max(x.scale, self.centre.scale)) - self.centre
        if keep is not None:
            moved = (moved * (keep if keep.ndim == 2 else keep.reshape((-1, 1))))._stated(moved.bound)
        if clip is not None and within is None:
            # a little less, so that rounding cannot pass ``clip``
            limit = self.unit.multiply(np.asarray(clip * (1 - 2.0**-16)), scale=moved.scale) - 2 * 2.0**-moved.scale
            moved = maximum(minimum(moved, limit), -limit)
        elif within is None:
            guard_within(moved, self.unit, self.reach, self.varies, _too_far(scaler, what, self.reach))
        known = within if within is not None else 2.0**self.reach if clip is None else clip
        bits = context.fraction_bits
        wide = layout.broadcast(moved.shape)
        cut = moved.scale + self.inverse.scale - bits
        share = proto.mul(moved._ring_share(), self.inverse._ring_share().map(wide), cut)
        if clip is None or within is not None:
            known = known * (1 + 2.0**-14) + 2.0**-bits
        result = SecureArray(context, share, bits, known)
        return result if clip is None or within is None else result.clip(-clip, clip)


class StandardScaler(Transform):
    """(x - mean) / standard deviation of all owners' rows, computed on shares; mean and deviation stay secret.

    Whatever bound the schema states: relative error of the deviation 2^-15, and an eighth of a unit in the last place
    of the values (2^-33 of the column's unit). A column of equal values becomes 0 (in the rows of other tables too).
    One that varies by less than 4 units in the last place (a deviation below 2^-28 of its unit) has no digits to scale
    by and fails a guard. ``clip``: public bound to which the results are cut (two comparisons a value), None for none.
    Rows that are padding and empty cells become 0; empty cells do not count.

    Results of the table that was fitted are below sqrt(rows), as is known without asking. In another table a guard asks
    (10 bytes a value) that the root of the sum of squares of a column's results stays below 2^10, or 4 sqrt(rows) if
    that is more; state ``clip=`` where values may lie further off.

    After fit: ``mean_`` and ``inverse_scale_`` (k,), secret and in the table's units; ``columns_``.
    """

    def __init__(self, columns: Sequence[str] | None = None, *, clip: float | None = None) -> None:
        self.columns = columns
        self.clip = clip

    def fit(self, table: Table) -> StandardScaler:
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        mean, spread, scale = spread_of_columns(table, self.columns_, "StandardScaler")
        context, reach = mean._context, _reach(table, _FAR)
        size = exact.log2_ceil(max(spread.bound, 2.0**-60))
        extra = max(0, min(_EXTRA, RANGE_BITS - 1 - reach - _DIGITS - size - scale))
        self.mean_ = mean.rescaled(min(mean.scale, scale + extra))
        bits = RANGE_BITS - 1 - reach - self.mean_.scale
        share = spread.inverse(bits + spread.scale)
        self.inverse_scale_ = SecureArray(context, share, bits, 2.0**scale / LEAST * 1.01)
        varies = SecureArray(context, spread.varies(), 0, 1.0)
        self._scale = _Scale(self.mean_, lambda: spread.deviation(scale + _EXTRA), self.inverse_scale_, reach, varies)
        self._own = weakref.ref(table)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("mean_")
        own = math.sqrt(max(1, table.rows)) if self._own() is table else None
        z = self._scale.applied(self, table, own, "standard deviations from the mean", self.clip)
        return numbers_out(table, self.columns_, z, clean=True)

    def unscale(self, coef: SecureArray) -> SecureArray:
        """Coefficients (k + 1,), intercept last, for standardised columns -> for columns in the table's units.

        They keep their fractional bits, or as many as fit beside the bound: 2^28 times that of ``coef`` for a table as
        it was brought. Error: relative 2^-15, and one unit in the last place for each column.
        """
        self.fitted("mean_")
        return unscaled(coef, self.inverse_scale_, self.mean_)


class MinMaxScaler(Transform):
    """Columns brought from [smallest, largest] value of all owners' rows to ``feature_range``; both stay secret.

    Whatever bound the schema states: error 2^-16 of the range, and half a unit in the last place of the values. A
    column of equal values becomes the lower end; one whose range is below 4 units in the last place (2^-28 of its
    unit) fails a guard. Padding and empty cells become 0 and do not count. Cost: two tournaments over the rows. In
    another table than the one that was fitted a guard asks (10 bytes a value) that values lie within 2^10 ranges, or 4
    sqrt(rows).

    After fit: ``data_min_``, ``data_max_`` (k,), secret and in the table's units; ``columns_``.
    """

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
        width = (self.data_max_ - self.data_min_)._stated(2 * bound)
        self._scale = _inverse(self, self.data_min_, width, _reach(table, _FAR), 0)
        self.inverse_range_ = self._scale.inverse
        self._own = weakref.ref(table)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("data_min_")
        low, high = self.feature_range
        own = 1.0 if self._own() is table else None
        x = self._scale.applied(self, table, own, "ranges from the smallest value")
        return numbers_out(table, self.columns_, x * (high - low) + low)


class RobustScaler(Transform):
    """(x - median) / distance between the quartiles of all owners' rows; both stay secret. Outliers do not move them.

    Whatever bound the schema states: error 2^-16 of the result, and two units in the last place of the values and three
    for each unit of the result, as quartiles lie between values (over the distance of the quartiles). A column
    whose quartiles are equal is centred only, in its table's unit; quartiles closer than 4 units in the
    last place (2^-28 of the unit) fail a guard. Padding and empty cells become 0 and do not count. ``quantile_range``:
    in percent. ``clip``: public bound to which the results are cut. Cost: one sort a column. Without ``clip`` a guard
    asks (10 bytes a value) that the root of the sum of squares of a column's results stays below 2^14, or 64
    sqrt(rows).

    After fit: ``center_``, ``inverse_scale_`` (k,), secret and in the table's units; ``columns_``.
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
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        x, keep = table.block(self.columns_), filled(table, self.columns_)
        at = np.array([low, 50.0, high]) / 100
        lower, self.center_, upper = quantile(x, at, axis=0, valid=keep)
        width = (upper - lower)._stated(2 * x.bound)
        self._scale = _inverse(self, self.center_, width, _reach(table, _VERY_FAR), 1)
        self.inverse_scale_ = self._scale.inverse
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("center_")
        z = self._scale.applied(self, table, None, "distances between quartiles from the median", self.clip)
        return numbers_out(table, self.columns_, z, clean=True)


def _inverse(scaler: Transform, centre: SecureArray, width: SecureArray, reach: int, instead: int) -> _Scale:
    """The scale ``width``, and where that is 0 the scale ``instead`` (1; 0: results are 0). Guarded: it is 0, or LEAST
    units in the last place at least."""
    context, proto = width._context, width._context.protocol
    unit = 2.0**-width.scale
    low = (stack([width - unit, width - LEAST * unit]) < 0).numeric()
    flat = low[0]
    names: Sequence[str] = scaler.columns_  # type: ignore[attr-defined]
    context.guard(
        (low[1] - flat).sum()._ring_share(),
        f"{type(scaler).__name__}: of {', '.join(names)}, one varies by less than {LEAST:g} units in the last place, "
        "so it has no digits to scale by; state a smaller bound in its schema",
    )
    full = (width + flat if instead else width)._stated(width.bound + 1.0)
    bits = RANGE_BITS - 1 - reach - width.scale
    length = approx.bits_for(full.bound, full.scale)
    share = roots.reciprocal(proto, full._ring_share(), full.scale, length, bits, signed=False)
    if not instead:
        share = proto.mul(share, (1 - flat)._ring_share())
    inverse = SecureArray(context, share, bits, 2.0**width.scale / LEAST * 1.01)
    return _Scale(centre, lambda: full, inverse, reach, 1 - flat * (1 - instead))


def _reach(table: Table, least: int) -> int:
    """Results below 2^reach have room: four times (for ``_FAR``) the root of the rows at least."""
    return max(least, (exact.log2_ceil(max(1, table.rows)) + 1) // 2 + (2 if least == _FAR else 6))


def _too_far(scaler: Transform, what: str, reach: int) -> str:
    names: Sequence[str] = scaler.columns_  # type: ignore[attr-defined]
    way = f"{type(scaler).__name__}(clip=...)" if hasattr(scaler, "clip") else "Clip before it"
    return (
        f"{type(scaler).__name__}: of {', '.join(names)}, one has values too many {what} (2^{reach}, as a root of the "
        f"sum of squares); take {way}"
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
