"""Preprocessing on shares, with scikit-learn's names and contract."""

from __future__ import annotations

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate, reciprocal, rsqrt
from ...table import FEATURE_BITS, Table


class StandardScaler:
    """(x - mean) / standard deviation of all owners' rows, computed on shares; mean and deviation stay secret.

    A column whose deviation is below ``smallest_scale`` times its public unit counts as constant and becomes 0 (as in
    scikit-learn, where it is divided by 1 after centring). Relative error of the deviation: below 1e-4 for columns
    that vary by at least 2^-8 of their unit. Rows that are padding become 0.
    """

    def __init__(self, smallest_scale: float = 2.0**-11) -> None:
        self.smallest_scale = smallest_scale

    def fit(self, table: Table) -> StandardScaler:
        """Learn ``mean_`` and ``inverse_scale_`` (d,), both secret and in the table's units."""
        self._capacity_over_count: SecureArray | None = None
        mean, mean_square = self._mean(table, table.sums), self._mean(table, table.squares)
        mean, mean_square = _within(mean, 1.0), _within(mean_square, 1.0)
        variance = mean_square - mean.multiply(mean, scale=FEATURE_BITS)
        varies = variance > self.smallest_scale**2
        largest = 1.0 / self.smallest_scale
        self.mean_ = mean
        self.inverse_scale_ = _within(rsqrt(variance) * varies, largest * 1.01)
        return self

    def _mean(self, table: Table, total: SecureArray) -> SecureArray:
        """total / number of real rows. A secret number must be at least a sixteenth of the capacity (guarded)."""
        scaled = total.multiply(1.0 / table.rows, scale=FEATURE_BITS)
        if not isinstance(table.count, SecureArray):
            return scaled
        if self._capacity_over_count is None:
            share_of_capacity = table.count.multiply(1.0 / table.rows, scale=FEATURE_BITS)
            self._capacity_over_count = reciprocal(share_of_capacity, at_most=16.0, scale=26)
        return _within(scaled, 1.0).multiply(self._capacity_over_count, scale=FEATURE_BITS)

    def transform(self, table: Table) -> SecureArray:
        """Standardised features (n, d) at the session's fractional bits."""
        if not hasattr(self, "mean_"):
            raise UsageError("StandardScaler: call fit before transform")
        centred = table.features - self.mean_
        if table.valid is not None:
            centred = centred * table.valid.reshape((-1, 1))
        return centred * self.inverse_scale_

    def fit_transform(self, table: Table) -> SecureArray:
        """``fit`` and ``transform`` on the same table."""
        return self.fit(table).transform(table)

    def unscale(self, coef: SecureArray) -> SecureArray:
        """Coefficients (d + 1,), intercept last, for standardised features -> for features in the table's units."""
        weights = coef[:-1] * self.inverse_scale_
        shift = (weights * self.mean_.rescaled(min(self.mean_.scale, coef.scale + 6))).sum()
        return concatenate([weights, (coef[-1] - shift).reshape((1,))])


def _within(x: SecureArray, bound: float) -> SecureArray:
    """The tighter bound that follows from how x was computed (a mean of values in [-1, 1], say)."""
    return x.stated(min(x.bound, bound * (1 + 2.0**-20)))
