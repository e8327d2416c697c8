"""Columns centred and scaled by what all owners' rows say: mean and deviation, extremes, median and quartiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate, maximum, minimum, quantile, reciprocal, rsqrt
from ...functions import max as largest_of
from ...functions import min as smallest_of
from ...ring import exact
from ...table import FEATURE_BITS, Table
from .transform import Transform, chosen, filled, is_number, numbers_out, per_row

_NUMBERS = "numbers; encode categories first"


class StandardScaler(Transform):
    """(x - mean) / standard deviation of all owners' rows, computed on shares; mean and deviation stay secret.

    A column whose deviation is below ``smallest_scale`` times its public unit counts as constant and becomes 0 (as in
    scikit-learn, where it is divided by 1 after centring). Relative error of the deviation: below 1e-4 for columns
    that vary by at least 2^-8 of their unit. ``clip``: public bound to which the results are cut (two comparisons a
    value), None for none. Rows that are padding and empty cells become 0; empty cells do not count in the moments.

    After fit: ``mean_`` and ``inverse_scale_`` (k,), secret and in the table's units; ``columns_``.
    """

    def __init__(
        self, columns: Sequence[str] | None = None, *, smallest_scale: float = 2.0**-11, clip: float | None = None
    ) -> None:
        self.columns = columns
        self.smallest_scale = smallest_scale
        self.clip = clip

    def fit(self, table: Table) -> StandardScaler:
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        moments = table.moments(self.columns_)
        means = per_row(table, self.columns_, moments[:2], moments[2])
        mean, mean_square = means[0], means[1]
        variance = mean_square - mean.multiply(mean, scale=FEATURE_BITS)
        varies = variance > exact.square(self.smallest_scale)
        self.mean_ = mean
        self.inverse_scale_ = _within(rsqrt(variance) * varies, 1.01 / self.smallest_scale)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("mean_")
        z = (table.block(self.columns_) - self.mean_) * self.inverse_scale_
        if self.clip is not None:
            z = z.clip(-self.clip, self.clip)
        return numbers_out(table, self.columns_, z)

    def unscale(self, coef: SecureArray) -> SecureArray:
        """Coefficients (k + 1,), intercept last, for standardised columns -> for columns in the table's units."""
        self.fitted("mean_")
        weights = coef[:-1] * self.inverse_scale_
        shift = (weights * self.mean_.rescaled(min(self.mean_.scale, coef.scale + 6))).sum()
        return concatenate([weights, (coef[-1] - shift).reshape((1,))])


class MinMaxScaler(Transform):
    """Columns brought from [smallest, largest] value of all owners' rows to ``feature_range``; both stay secret.

    A column whose range is below ``smallest_scale`` times its unit counts as constant and becomes the lower end.
    Padding and empty cells become 0 and do not count. Cost: two tournaments over the rows. Error: 2^-17 of the range
    for columns that vary by at least 2^-8 of their unit.

    After fit: ``data_min_``, ``data_max_`` (k,), secret and in the table's units; ``columns_``.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        feature_range: tuple[float, float] = (0.0, 1.0),
        smallest_scale: float = 2.0**-11,
    ) -> None:
        self.columns = columns
        self.feature_range = feature_range
        self.smallest_scale = smallest_scale

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
            away = (1 - keep)._stated(1.0) * (2.0 * bound)  # other cells are 0, so this puts them behind all others
            self.data_min_ = minimum(smallest_of(x + away, axis=0), bound)._stated(bound)
            self.data_max_ = maximum(largest_of(x - away, axis=0), -bound)._stated(bound)
        width = (self.data_max_ - self.data_min_)._stated(2 * bound)
        flat = (width < self.smallest_scale).numeric()
        self.inverse_range_ = reciprocal(width + flat, at_most=1.0 / self.smallest_scale) * (1 - flat)._stated(1.0)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("data_min_")
        low, high = self.feature_range
        x = (table.block(self.columns_) - self.data_min_) * self.inverse_range_
        return numbers_out(table, self.columns_, x * (high - low) + low)


class RobustScaler(Transform):
    """(x - median) / distance between the quartiles of all owners' rows; both stay secret. Outliers do not move them.

    A column whose quartiles are closer than ``smallest_scale`` times its unit is centred only. Padding and empty cells
    become 0 and do not count. ``quantile_range``: in percent. Cost: one sort a column.

    After fit: ``center_``, ``inverse_scale_`` (k,), secret and in the table's units; ``columns_``.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        quantile_range: tuple[float, float] = (25.0, 75.0),
        smallest_scale: float = 2.0**-11,
    ) -> None:
        self.columns = columns
        self.quantile_range = quantile_range
        self.smallest_scale = smallest_scale

    def fit(self, table: Table) -> RobustScaler:
        low, high = self.quantile_range
        if not 0 <= low < high <= 100:
            raise UsageError(f"RobustScaler: expected 0 <= low < high <= 100, got quantile_range={self.quantile_range}")
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        x, keep = table.block(self.columns_), filled(table, self.columns_)
        at = np.array([low, 50.0, high]) / 100
        lower, self.center_, upper = quantile(x, at, axis=0, valid=keep)
        width = (upper - lower)._stated(2 * x.bound)
        flat = (width < self.smallest_scale).numeric()
        self.inverse_scale_ = reciprocal(width + flat, at_most=1.0 / self.smallest_scale)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("center_")
        z = (table.block(self.columns_) - self.center_) * self.inverse_scale_
        return numbers_out(table, self.columns_, z)


def _within(x: SecureArray, bound: float) -> SecureArray:
    """The tighter bound that follows from how x was computed."""
    return x._stated(min(x.bound, bound * (1 + 2.0**-20)))
