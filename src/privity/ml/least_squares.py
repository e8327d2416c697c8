"""Linear regression by the normal equations on shares, with standard errors for t statistics; ridge regression."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Any, final

import numpy as np

from ..array import SecureArray
from ..errors import ShapeError
from ..functions import concatenate, divide, log, reciprocal
from ..functions.arithmetic import matmul
from ..ring import exact, layout
from ..table import Table
from ..types import RANGE_BITS
from .classifier import Regressor
from .columns import as_learnt
from .estimator import Rows, rows_of
from .family import Normal
from .guards import rows_bounded
from .information import lifted
from .line import brought_back, errors
from .linear_model import LinearModel, check_positive
from .newton import Optimum, Predictors, checked, newton
from .normal_units import BITS, Normalised, of_rows, over_units

_STEPS = 2  # the second refines the first
_STRENGTH_BITS = 30
_STRONGEST = 48  # of strengths: 2^(48 + 2 - 30) is the largest
_VARIANCE_BITS = 30
_FARTHEST = 2.0**11  # of a row from its prediction, in deviations of the target
_MOST_VARIANCE = 2.0**7  # of residuals, in squared units of the target, for a secret number of rows
_SPREAD = "the variance of residuals, over that of y: rows are too few, or far from their predictions; leave those out"
_UNIT_BITS = 26  # of a target within 1
_HINT = (
    "no finite solution was found. Collinear columns: drop one level of each one-hot group, or take Ridge. Large "
    "values: standardise the columns. Else raise coefficient_bound, which counts in deviations"
)


class LeastSquares(LinearModel, Regressor):
    """What LinearRegression and Ridge share.

    Columns and target are centred and divided by the secret power of two next to their deviation (normal_units.py), so
    that units, offsets and loose bounds do not matter as long as the values have digits. ``coefficient_bound``: |coef|
    times the unit of its column stays below it, in units of y. Opened: one flag 'range ok'. About 320 rounds, with a
    penalty 390, with a mask 450; bytes per party and row: 16 (d + 1) + 30, and beside the rows 8 kB a column.

    After fit also ``standard_errors_`` and ``freedom_`` (rows less coefficients; sample weights count rows), and
    ``dispersion_``: the secret residual variance (None under bounds of y above 2^28).
    """

    fit_intercept: bool
    coefficient_bound: float

    @abstractmethod
    def strength(self) -> float:
        """Factor of |coef|^2 beside the sum of squared residuals."""

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> LeastSquares:
        """Learn from x (n, d) and real or whole y (n,), or a table. Raises UsageError, ShapeError, RangeViolated."""
        what = type(self).__name__
        check_positive(what, alpha=float(self.strength()), coefficient_bound=float(self.coefficient_bound))
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight)
        self.units_ = rows.units
        self.target_bound_ = rows.y.bound if rows.y is not None else 1.0
        context = rows.x._context
        alpha = float(self.strength())
        with checked(what, context, _HINT):
            columns, target = of_rows(what, rows, self.fit_intercept)
            fitted = replace(rows, x=columns.values)
            given = Predictors.of(what, fitted, self.fit_intercept, alpha > 0)
            given = replace(given, norm=columns.size)
            known = not alpha and given.weight is None
            found = newton(
                given, Normal(target.values.reshape((-1,)), 4 * target.size), None, alpha=0.0, steps=_STEPS,
                coefficient_bound=self.coefficient_bound,
                strengths=self._strengths(columns, given.shift) if alpha else None,
                kept=self._with_one(columns.varies(), 1) if given.given is None else given.varying(rows.x),
                roots=self._roots(columns, given.shift) if known else None,
            )  # fmt: skip
            self._learn(what, given, found, columns, target)
        return self

    def _strengths(self, columns: Normalised, shift: int) -> SecureArray:
        """alpha over the squared units of the columns, over 2^shift: scikit-learn's alpha does not grow with the rows.

        Beyond 2^20 the strength ends: coefficients are a 2^-20 of a deviation of y there.
        """
        context, proto = columns.context, columns.context.protocol
        squared = proto.mul_public(proto.neg(columns.exponent), layout.constant(2))
        found = over_units(context, float(self.strength()), squared, shift, _STRENGTH_BITS, _STRONGEST)
        return concatenate([found, context.constant(np.zeros(1))]) if self.fit_intercept else found

    def _roots(self, columns: Normalised, shift: int) -> SecureArray:
        """1 / sqrt of the Gram matrix' diagonal, without a penalty and weights."""
        return self._with_one(columns.roots(shift), math.sqrt(2.0**shift / columns.values.shape[0]))

    def _with_one(self, each: SecureArray, last: float) -> SecureArray:
        """(d,) of the columns, with a public number for the intercept."""
        if not self.fit_intercept:
            return each
        return concatenate([each, each._context.constant(np.asarray([last]), scale=each.scale)])

    def _learn(self, what: str, given: Predictors, found: Optimum, columns: Normalised, target: Normalised) -> None:
        """Coefficients and errors in the units of the data."""
        coef, d = found.coef.multiply(1, scale=BITS), columns.values.shape[1]
        residual = rows_bounded(found.residual, 4 * target.size, "residuals")
        variance, self.freedom_ = self._variance(given, residual)
        start = coef[d] if self.fit_intercept else columns.context.constant(0.0, scale=BITS)
        line = brought_back(what, coef[:d], start, columns, target, variance is not None)
        self.normal_ = line.learnt
        whole = line.whole() if self.fit_intercept else line.coefficients
        self.learnt(whole, self.fit_intercept, given.names)
        if self.fit_intercept:
            self.coef_, self.intercept_ = line.coefficients, line.intercept
        if variance is None:
            self.standard_errors_ = None
            return
        direction = None if line.direction is None else line.direction.unit
        each, along = found.information.deviations(2.0**-given.shift, variance, direction)
        self.standard_errors_ = line.errors(each[:d], along)
        self.dispersion_ = target.squared(line.learnt[2], variance.rescaled(min(variance.scale, 40)))

    def _variance(
        self, given: Predictors, residual: SecureArray
    ) -> tuple[SecureArray | None, SecureArray | float | None]:
        """The residual variance, over the squared unit of the target, and the degrees of freedom."""
        reach = 4 * given.load * exact.square(given.norm or 1.0)
        scale = min(26, (RANGE_BITS - 1 - exact.log2_ceil(reach)) // 2)
        residual = residual.rescaled(min(residual.scale, scale))
        weighted = residual
        if given.weight is not None:
            weighted = residual.multiply(given.weight, scale=residual.scale)
        squares = matmul(weighted, residual, 2.0**-given.shift, 40, reach=reach)
        # no residuals are longer than the target; a secret number of rows leaves 1 degree of freedom in 64 of them
        most = _MOST_VARIANCE
        if not isinstance(given.total, SecureArray):
            most = 1.01 * exact.square(given.norm or 1.0) / max(1.0, given.total * 2.0**given.shift - given.columns)
        return residual_variance(given, squares, most, 40)

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """x @ coef_ + intercept_ (n,), secret."""
        return self.decision_function(x)

    def log_likelihood(self, x: Any, y: Any = None, *, valid: Any = None, sample_weight: Any = None) -> SecureArray:
        """Log likelihood for normal errors with the variance that maximises it, secret (weights count rows).

        Guarded: no row is off by 2^11 deviations of the target.
        """
        self.fitted("normal_")
        what = type(self).__name__
        rows = rows_of(what, as_learnt(self, x), y, valid=valid, sample_weight=sample_weight)
        assert self.normal_ is not None
        given = Predictors.of(what, rows, False, True)
        error = errors(rows, self.normal_, _FARTHEST)
        reach = rows.x.shape[0] * given.load * exact.square(_FARTHEST)
        error = error.rescaled(min(error.scale, (RANGE_BITS - 1 - exact.log2_ceil(reach)) // 2))
        weighted = error if given.weight is None else error.multiply(given.weight, scale=error.scale)
        residual = matmul(weighted, error, 2.0**-given.shift, _VARIANCE_BITS, reach=reach)
        total = given.total
        variance = _over_total(residual, total, exact.square(_FARTHEST))
        each = log(variance) + self.normal_[5] * (2 * exact.ln(2)) + exact.ln(2 * math.pi) + 1
        if isinstance(total, SecureArray):
            return (each * total).multiply(-0.5 * 2.0**given.shift)
        return each.multiply(-0.5 * total * 2.0**given.shift)


def _over_total(x: SecureArray, total: SecureArray | float, most: float) -> SecureArray:
    """x / total (), which is known to stay below ``most``."""
    if not isinstance(total, SecureArray):
        return x * (1 / total)
    inverse = divide(1.0, total, at_most=64.0)
    room = RANGE_BITS - 1 - exact.log2_ceil(most) - inverse.scale
    x = x.rescaled(min(x.scale, room))
    cut = max(0, x.scale + inverse.scale - _VARIANCE_BITS)
    share = x._context.protocol.mul(x._ring_share(), inverse._ring_share(), cut)
    return SecureArray(x._context, share, x.scale + inverse.scale - cut, most)


@final
class LinearRegression(LeastSquares):
    """Ordinary least squares. Raises RangeViolated for collinear columns, UsageError for more columns than rows.

    Error of a coefficient: 2^-18 of (deviation of y) / (deviation of the column) over the smallest eigenvalue of the
    columns' correlation, and one unit of ``coefficients_``: about 2^-34 of (bound of y) / (bound of x).
    """

    def __init__(self, *, fit_intercept: bool = True, coefficient_bound: float = 64.0) -> None:
        self.fit_intercept = fit_intercept
        self.coefficient_bound = coefficient_bound

    def strength(self) -> float:
        return 0.0


@final
class Ridge(LeastSquares):
    """Least squares plus alpha |coef|^2, with scikit-learn's meaning of alpha: it does not grow with the rows.

    Standard errors are those of (X^T X + alpha)^-1 times the residual variance: of the posterior, not of a biased
    estimate.
    """

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, coefficient_bound: float = 64.0) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.coefficient_bound = coefficient_bound

    def strength(self) -> float:
        return self.alpha


def in_units(what: str, rows: Rows) -> tuple[SecureArray, int]:
    """(y / 2^lift within 1, lift): the target in the power of two from its public bound upward. Padding rows are 0."""
    y = rows.y
    assert y is not None
    if y.ndim != 1:
        raise ShapeError(f"{what}: expected y of shape (n,), got {y.shape}")
    y = y.numeric()
    y = y if rows.valid is None else (y * rows.valid)._stated(y.bound)
    y = y if y.scale else y.rescaled(2)
    lift = max(exact.log2_ceil(max(y.bound, 2.0**-30)), 1 - y.scale)
    unit = lifted(y, -lift)
    return unit.rescaled(min(unit.scale, _UNIT_BITS)), lift


def residual_variance(
    given: Predictors, squares: SecureArray, most: float, scale: int = 26
) -> tuple[SecureArray | None, SecureArray | float | None]:
    """(sum of squares over the degrees of freedom, degrees of freedom), None where a public number leaves none.

    ``squares``: over 2^shift. Guarded: the variance is at most ``most``, and a secret number of rows leaves at least 1
    degree of freedom in 64 rows.
    """
    lost = given.columns * 2.0**-given.shift
    squares = squares.rescaled(min(squares.scale, scale))
    if not isinstance(given.total, SecureArray):
        share = given.total - lost
        if share <= 0:
            return None, None
        return squares.assume_bound(most * share, _SPREAD).multiply(1 / share, scale=scale), share * 2.0**given.shift
    left = given.total - lost
    inverse = reciprocal(left, at_most=64.0, scale=20)
    freedom = given.total.multiply(2.0**given.shift, scale=18) - given.columns
    largest = most * max(1.0, left.bound)
    fine = min(squares.scale, scale - 2, 30, RANGE_BITS - 2 - exact.log2_ceil(largest))
    small = squares.rescaled(fine).assume_bound(largest, _SPREAD)
    return small.multiply(inverse, scale=min(scale, 32)).assume_bound(most, _SPREAD), freedom
