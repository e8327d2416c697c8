"""Linear regression by the normal equations on shares, with standard errors for t statistics; ridge regression."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Any, final

from ..array import SecureArray
from ..errors import ShapeError
from ..functions import concatenate, divide, log, reciprocal, sqrt
from ..functions.ratio import fitting_scale
from ..mpc.spread import long_product
from ..ring import exact
from ..table import Table
from .classifier import Regressor
from .estimator import Rows, rows_of
from .family import Normal
from .information import lifted
from .linear_model import LinearModel, check_positive
from .newton import Optimum, Predictors, checked, newton
from .trees.target import Target

_STEPS = 2  # the second refines the first
_UNIT_BITS = 26  # of a target within 1
_FACTOR, _SQUARES = 53, 58  # bits of factors, and of their product
_DIGITS = 30  # bits of what is multiplied by the target's unit
_HINT = (
    "no finite solution was found. Collinear columns: drop one level of each one-hot group, or take Ridge. Large "
    "values: standardise the columns. Else raise coefficient_bound, which counts in units of the target's spread"
)


class LeastSquares(LinearModel, Regressor):
    """What LinearRegression and Ridge share.

    The target is centred (with an intercept) and taken in a secret power of two between its largest deviation and twice
    that, so neither its offset nor its public bound matters. ``coefficient_bound``: |coef| stays below it times that
    power. Opened: one flag 'range ok'. About 550 rounds for 64 columns; bytes per party: 300 n and 1.3 kB for each pair
    of columns.

    After fit also ``standard_errors_`` and ``freedom_`` (rows less coefficients; sample weights count rows), and
    ``dispersion_``: the secret residual variance, None where the square of the target's bound has no room in 60 bits.
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
        context = rows.x._context
        alpha = float(self.strength())
        with checked(what, context, _HINT):
            target = Target.of(what, _numbers(what, rows), rows.valid, None if self.fit_intercept else 0.0)
            given = Predictors.of(what, rows, self.fit_intercept, alpha > 0)
            absolute = replace(given, total=2.0**-given.shift)  # scikit-learn's alpha does not grow with the rows
            start = context.constant([0.0] * given.columns)
            found = newton(
                absolute, Normal(target.values), start, alpha=alpha, steps=_STEPS,
                coefficient_bound=self.coefficient_bound,
            )  # fmt: skip
            self._infer(given, found, target)
            coef = _back(target, found.coef)
            most = float(self.coefficient_bound) * exact.exp2(exact.log2_ceil(max(target.bound, 2.0**-30)))
            coef = coef.assume_bound(most) if coef.bound > most else coef
        if self.fit_intercept:
            centre = target.centre.rescaled(coef.scale)
            coef = concatenate([coef[:-1], (coef[-1] + centre).reshape((1,))])
        self.learnt(coef, self.fit_intercept, given.names)
        return self

    def _infer(self, given: Predictors, found: Optimum, target: Target) -> None:
        residual = found.residual
        squares = given.mean(residual.multiply(residual, scale=26), scale=26)
        variance, self.freedom_ = residual_variance(given, squares, 2.0)  # the target lies within 1
        self.standard_errors_ = self.dispersion_ = None
        if variance is None:
            return
        errors = found.information.standard_errors(2.0**-given.shift)
        spare = max(0, min(8, (variance.scale - 2) // 2, math.floor(8 - exact.log2(variance.bound) / 2)))
        deviation = _back(target, lifted(sqrt(lifted(variance, 2 * spare)), -spare))
        self.standard_errors_ = _wide(errors, deviation)
        most = exact.square(deviation.bound)
        if exact.log2_ceil(most) <= _SQUARES:
            self.dispersion_ = _wide(deviation, deviation)

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """x @ coef_ + intercept_ (n,), secret."""
        return self.decision_function(x)

    def log_likelihood(self, x: Any, y: Any = None, *, valid: Any = None, sample_weight: Any = None) -> SecureArray:
        """Log likelihood for normal errors with the variance that maximises it, secret (weights count rows)."""
        residual, (given, lift) = self._squares(x, y, valid, sample_weight)
        total = given.total
        variance = residual * (divide(1.0, total, at_most=64.0) if isinstance(total, SecureArray) else 1 / total)
        each = log(variance) + 2 * lift * exact.ln(2) + exact.ln(2 * math.pi) + 1
        if isinstance(total, SecureArray):
            return (each * total).multiply(-0.5 * 2.0**given.shift)
        return each.multiply(-0.5 * total * 2.0**given.shift)

    def _squares(self, x: Any, y: Any, valid: Any, sample_weight: Any) -> tuple[SecureArray, tuple[Predictors, int]]:
        """Sum of squared residuals in units and over 2^shift."""
        what = type(self).__name__
        linear = self.decision_function(x)
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight)
        target, lift = in_units(what, rows)
        given = Predictors.of(what, rows, False, True)
        error = (lifted(linear, -lift).rescaled(22) - target.rescaled(22)).assume_bound(16.0)
        return given.mean(error.multiply(error, scale=26), scale=26), (given, lift)


@final
class LinearRegression(LeastSquares):
    """Ordinary least squares. Raises RangeViolated for collinear columns, UsageError for more columns than rows.

    Error of a coefficient: about 2^-20 of the target's largest deviation over the smallest eigenvalue of the columns'
    correlation.
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


def _numbers(what: str, rows: Rows) -> SecureArray:
    y = rows.y
    assert y is not None
    if y.ndim != 1:
        raise ShapeError(f"{what}: expected y of shape (n,), got {y.shape}")
    return y.numeric()


def _back(target: Target, x: SecureArray) -> SecureArray:
    """x (k,) or () in the target's unit as numbers of its own, without the centre."""
    x = x.rescaled(min(x.scale, _DIGITS - exact.log2_ceil(max(x.bound, 2.0**-30))))
    return target.back(x, target.scale(x.bound))


def _wide(x: SecureArray, y: SecureArray) -> SecureArray:
    """x * y for y (), with as many fractional bits as fit: both may have 54 bits."""
    x, y = (v.rescaled(fitting_scale(v.bound, v.scale, _FACTOR)) for v in (x, y))
    most = x.bound * y.bound
    scale = fitting_scale(most, min(x.scale + y.scale, 40), _SQUARES)
    proto, share = x._context.protocol, y._fitted(x.shape)
    return SecureArray(x._context, long_product(proto, x._ring_share(), share, x.scale + y.scale - scale), scale, most)


def in_units(what: str, rows: Rows) -> tuple[SecureArray, int]:
    """(y / 2^lift within 1, lift): the target in the power of two from its public bound upward. Padding rows are 0."""
    y = _numbers(what, rows)
    y = y if rows.valid is None else (y * rows.valid)._stated(y.bound)
    y = y if y.scale else y.rescaled(2)
    lift = max(exact.log2_ceil(max(y.bound, 2.0**-30)), 1 - y.scale)
    unit = lifted(y, -lift)
    return unit.rescaled(min(unit.scale, _UNIT_BITS)), lift


def residual_variance(
    given: Predictors, squares: SecureArray, most: float
) -> tuple[SecureArray | None, SecureArray | float | None]:
    """(sum of squares over the degrees of freedom, degrees of freedom), None where a public number leaves none.

    ``squares``: over 2^shift. Guarded: the variance is at most ``most``, and a secret number of rows leaves at least 1
    degree of freedom in 64 rows.
    """
    lost = given.columns * 2.0**-given.shift
    squares = squares.rescaled(min(squares.scale, 26))
    if not isinstance(given.total, SecureArray):
        share = given.total - lost
        if share <= 0:
            return None, None
        return squares.assume_bound(most * share).multiply(1 / share, scale=26), share * 2.0**given.shift
    left = given.total - lost
    inverse = reciprocal(left, at_most=64.0, scale=20)
    freedom = given.total.multiply(2.0**given.shift, scale=18) - given.columns
    small = squares.rescaled(min(squares.scale, 24)).assume_bound(most * max(1.0, left.bound))
    return small.multiply(inverse, scale=26).assume_bound(most), freedom
