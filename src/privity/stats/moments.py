"""Means, variances, covariances and correlations over the rows that count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError
from ..functions.ratio import fitting_scale
from ..functions.spread import EXTRA, UNIT, Spread, correlations, covariances_of, spread_of
from ..ml.parameters import arguments
from ..openings import Withheld
from ..ring import exact
from .sample import Cells, Estimate, cells, of_columns

_BITS = 36  # fractional bits of results, where they fit; more for values that have more


@arguments
@of_columns(by_cell=True)
def mean(x: SecureArray, *, valid: SecureArray | None = None) -> Estimate:
    """Mean of each column: x (n,) or (n, d), ``valid`` (n,) or like x. Error: 2^-24 relative and one ulp.

    For any bound, and sums that pass 62 bits. Rounds: a truncation; with a mask a product and a division (50).
    """
    given = cells("mean", x, valid)
    return given.estimate(given.mean())


@arguments
@of_columns(by_cell=True)
def variance(x: SecureArray, *, valid: SecureArray | None = None, ddof: int = 1) -> Variance:
    """Variance of each column, whatever its bound and offset; 0 where no more than ``ddof`` cells count.

    x (n,) or (n, d), ``valid`` (n,) or like x. Error when opened: 2^-17 relative, and what deviations below 2^6 units
    of x lose ((2^-4 units of x)^2). ``value`` has as many fractional bits as fit beside bound^2, 36 or those of the
    values, and an error of two of its units more; ``open`` opens the standard deviation, which has more digits, and
    squares it. Rounds: about 65, with a mask 110. Bytes per party and element: 10 at most, with a mask 18; 2 kB a
    column, with a mask 4 kB.
    """
    given = cells("variance", x, valid)
    found = spread_of(given.centred(), _freedom("variance", given, ddof))
    finer = max(_BITS, given.x.scale + EXTRA)
    deviation = found.deviation(fitting_scale(found.most(), finer, 58))
    return Variance(given.estimate(deviation), found, given)


@dataclass(frozen=True)
class Variance:
    """``deviation``: the estimate of the standard deviation, whose square is the variance."""

    deviation: Estimate
    _spread: Spread
    _given: Cells

    @property
    def counts(self) -> SecureArray | int:
        """The rows behind each."""
        return self.deviation.counts

    @property
    def value(self) -> SecureArray:
        """The variance, secret. Four rounds, with a mask 12."""
        scale = fitting_scale(exact.square(self._spread.most()), max(_BITS, 2 * self._given.x.scale), 58)
        return self._given.shaped(self._spread.variance(scale))

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """The numbers, float64, NaN where fewer rows than the minimum group stand behind one. One opening."""
        opened = self.deviation.open(to=to, name=name, reason=reason)
        return opened if isinstance(opened, Withheld) else opened * opened


@arguments
@of_columns(by_cell=False)
def covariance(x: SecureArray, *, valid: SecureArray | None = None, ddof: int = 1) -> Covariance:
    """Covariance matrix of the columns, x (n, d) with n rows -> (d, d); ``valid`` (n,). Whatever bounds and offsets.

    Error when opened: 2^-16 of the product of the two deviations, and for each the other times a quarter of a unit of x
    (a unit of those that are left where bound * rows passes 2^56 units). ``value`` has as many fractional bits as fit
    beside bound^2, 36 or those of the values, and an error of two of its units more; ``open`` opens deviations and
    correlations, which have more digits, and multiplies them. Bytes per party and element: 20, with a mask 28.
    """
    given = cells("covariance", _matrix("covariance", x), valid, by_cell=False)
    centred = given.centred()
    found = spread_of(centred, _freedom("covariance", given, ddof))
    return Covariance(given.counts, correlations(centred, found, UNIT), found, given)


@dataclass(frozen=True)
class Covariance:
    """``counts``: the rows behind it, secret or a public number."""

    counts: SecureArray | int
    _correlations: SecureArray
    _spread: Spread
    _given: Cells

    @property
    def value(self) -> SecureArray:
        """The covariances (d, d), secret. About 16 rounds. Raises OverflowPlanned where bound^2 has no room."""
        scale = fitting_scale(exact.square(self._spread.most()), max(_BITS, 2 * self._given.x.scale), 58)
        return covariances_of(self._correlations, self._spread, scale)

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """The numbers (d, d), float64, NaN where fewer rows than the minimum group count. One opening (d, d): of
        deviations in the diagonal and correlations, times a public power of two, elsewhere. No more follows from them
        than from covariances."""
        scale = fitting_scale(self._spread.most(), max(_BITS, self._given.x.scale + EXTRA), 58)
        each = self._spread.deviation(scale)
        lift = max(0, min(exact.log2_floor(each.bound), UNIT - scale))
        width = each.size
        others = _raised(self._correlations, lift, scale)
        diagonal = np.eye(width, dtype=np.int64)
        both = (each.reshape((1, -1)) * diagonal + others * (1 - diagonal))._stated(max(each.bound, others.bound))
        opened = _matrix_estimate(self._given, both).open(to=to, name=name, reason=reason)
        if isinstance(opened, Withheld):
            return opened
        deviations = np.diagonal(opened)
        shares = np.where(diagonal == 1, 1.0, np.clip(opened * 2.0**-lift, -1.0, 1.0))
        return shares * deviations[:, None] * deviations[None, :]


def _raised(matrix: SecureArray, lift: int, scale: int) -> SecureArray:
    """Correlations times 2^lift at ``scale`` fractional bits."""
    made = SecureArray(matrix._context, matrix._ring_share(), matrix.scale - lift, matrix.bound * 2.0**lift)
    return made.rescaled(scale)


@arguments
@of_columns(by_cell=False)
def correlation(x: SecureArray, *, valid: SecureArray | None = None) -> Estimate:
    """Pearson's correlation matrix of the columns, x (n, d) -> (d, d); ``valid`` (n,). 0 where a column is constant.

    Whatever bounds and offsets: error 2^-16, and what deviations below 2^6 units of x lose. RangeViolated later where a
    column is not constant, and varies by less than 4 units in the last place. Rounds: about 65, with a mask 90.
    """
    given = cells("correlation", _matrix("correlation", x), valid, by_cell=False)
    centred = given.centred()
    found = spread_of(centred)
    found.refuse("correlation")
    return _matrix_estimate(given, correlations(centred, found, x._context.fraction_bits))


def _matrix_estimate(given: Cells, value: SecureArray) -> Estimate:
    counts = given.counts
    return Estimate(value, counts if isinstance(counts, int) else counts.reshape(()))


def _freedom(what: str, given: Cells, ddof: int) -> int:
    """``ddof``. Raises ShapeError where all rows are too few."""
    n = given.x.shape[0]
    if n <= ddof or ddof < 0:
        raise ShapeError(f"{what} with ddof={ddof} needs 0 <= ddof < rows, got {n} rows")
    return ddof


def _matrix(what: str, x: SecureArray) -> SecureArray:
    if x.ndim != 2:
        raise ShapeError(f"{what}: expected x of shape (n, d), got {x.shape}")
    return x
