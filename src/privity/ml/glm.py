"""Generalised linear models with the log link on shares: Poisson, gamma, Tweedie and negative binomial regression."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import numpy.typing as npt

from ..array import SecureArray, secure
from ..errors import ShapeError, UsageError
from ..functions import concatenate, divide, exp, log
from ..functions.ratio import fitting_scale
from ..mpc import spread as sums
from ..ring import exact
from ..table import Table
from ..types import RANGE_BITS
from .estimator import Rows, rows_of
from .family import Gamma, LogLink, NegativeBinomial, Poisson, Tweedie
from .information import Information, lifted
from .least_squares import residual_variance
from .linear_model import LinearModel, check_positive
from .newton import Predictors, certify, checked, newton
from .weights import Unit, evened_target

_RATIO = "y over its mean: raise ratio_bound"
_APART = "the mean of y in all rows over that of its weighted rows: leave out rows of weight 0"
_LARGEST_INVERSE = 2.0**14  # of the mean of a target
_FARTHEST = 2.0**10  # of a mean with weights or exposures from the mean of all rows
_FINE = 24
_LIMIT_BITS = 44
_HINT = (
    "the steps did not end at one finite optimum, or a target left its range. Targets below 0 (gamma: 0 as well) are "
    "outside the model. Targets above ratio_bound times their mean: raise ratio_bound. Targets that are 0 in all "
    "rows: nothing is known of them. Collinear columns: drop one level of each one-hot group, or set "
    "alpha. Large values: standardise the columns. Else raise max_iter or coefficient_bound"
)

Offset = SecureArray | npt.ArrayLike | None


@dataclass(frozen=True, slots=True)
class Scaled:
    """A target over its mean: ``y`` (n,), and ``log_mean`` (). ``inverse`` () times the power of ``unit`` (None: 1) is
    1 / mean; ``total`` () over ``exposure`` is the mean. Means are per unit of exposure.
    """

    y: SecureArray
    inverse: SecureArray
    unit: Unit | None
    log_mean: SecureArray
    total: SecureArray
    exposure: float | SecureArray

    @property
    def mean(self) -> SecureArray:
        """The mean of y. About 45 rounds where exposures are secret."""
        return divide(self.total, self.exposure, at_most=None if isinstance(self.exposure, float) else _FARTHEST)

    def over_mean(self, scale: int, shift: int = 0) -> SecureArray:
        """1 / mean over 2^shift at ``scale`` fractional bits, known to lie below 2^14."""
        context, inverse = self.inverse._context, self.inverse.reshape((1,))
        if self.unit is None:
            return lifted(inverse, -shift).rescaled(scale).reshape(())
        power = self.unit.power
        cut = inverse.scale + power.scale + shift - scale
        share = sums.long_product(context.protocol, inverse._ring_share(), power._fitted((1,)), cut)
        return SecureArray(context, share, scale, _LARGEST_INVERSE).reshape(())

    def undone(self, x: SecureArray) -> SecureArray:
        """x (d,) times the root of the unit's power: of what goes with a standard deviation."""
        if self.unit is None:
            return x
        root = self.unit.root
        share = sums.long_product(x._context.protocol, x._ring_share(), root._fitted(x.shape), root.scale)
        return SecureArray(x._context, share, x.scale, min(x.bound * root.bound, exact.exp2(RANGE_BITS - 2 - x.scale)))


class LogLinear(LinearModel):
    """What the four regressors share: E[y] = e^(x @ coef_ + intercept_ + offset).

    Loss: half the mean deviance plus alpha / 2 * |coef|^2, as in scikit-learn, whose names the parameters have; alpha
    is 0 unless given, since a penalty biases standard errors. ``max_iter``: Newton steps, always all of them.
    ``coefficient_bound``: |coef| stays below it. ``ratio_bound``: targets and means stay below it, times the mean of y.
    ``tol``: largest square of the last step but one in standard errors, all coefficients together; None: not checked.
    After it one more step is taken. ``decrement_``: that square, in units in which the loss is that of y over its mean
    (Poisson, negative binomial: times the mean; gamma, Tweedie: over the dispersion).

    ``fit`` opens one flag 'range ok'. Per step, about 200 rounds for 64 columns and per party 10.25 bytes an element of
    x, and 200 bytes a row.

    After fit also ``standard_errors_``, from the expected information and, for gamma and Tweedie, Pearson's estimate of
    the dispersion.
    """

    alpha: float
    fit_intercept: bool
    max_iter: int
    coefficient_bound: float
    ratio_bound: float
    tol: float | None

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
        offset: Offset = None,
    ) -> LogLinear:
        """Learn from x (n, d), targets y (n,) of at least 0 and a public or secret offset (n,), log(exposure) say.

        Raises UsageError, ShapeError, RangeViolated.
        """
        what = type(self).__name__
        check_positive(
            what, alpha=float(self.alpha), max_iter=self.max_iter, coefficient_bound=float(self.coefficient_bound)
        )
        if not self.ratio_bound >= 2:
            raise UsageError(f"{what}: expected ratio_bound >= 2, got {self.ratio_bound}")
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight)
        self.units_ = rows.units
        context = rows.x._context
        with checked(what, context, _HINT):
            given = Predictors.of(what, rows, self.fit_intercept, self.alpha > 0)
            shift = self._offset(rows, offset)
            scaled = self._over_mean(given, rows, shift)
            family = self._family(scaled, shift)
            penalised = given  # the loss is that of y over its mean, times a power of the mean
            if self.alpha:
                penalised = replace(given, total=self._in_loss(scaled, given.total))
            found = newton(
                penalised, family, context.constant(np.zeros(given.columns)), alpha=self.alpha, steps=self.max_iter,
                coefficient_bound=self.coefficient_bound,
            )  # fmt: skip
            unit = self._infer(given, family, found.coef, scaled, found.information)
            if self.tol is not None:
                small = unit * self.tol if isinstance(unit, float) else unit.multiply(self.tol, scale=unit.scale)
                certify(what, found, small)
        coef = found.coef
        if self.fit_intercept:
            coef = concatenate([coef[:-1], (coef[-1] + scaled.log_mean).reshape((1,))])
        self.learnt(coef, self.fit_intercept, given.names)
        self.decrement_ = lifted(found.decrement, given.shift)
        return self

    def predict(self, x: Table | SecureArray, *, offset: Offset = None) -> SecureArray:
        """Expected target of each row, secret; relative error at most 2^-16 plus one unit in the last place."""
        linear = self.decision_function(x)
        return exp(linear if offset is None else linear + offset)

    def deviance(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
        offset: Offset = None,
    ) -> SecureArray:
        """Deviance summed over the rows, a secret scalar."""
        half, _, given, scaled = self._deviances(x, y, valid, sample_weight, offset)
        coarse = half.rescaled(min(half.scale, half._context.fraction_bits))
        return (coarse * self._unit_of_deviance(scaled)).multiply(2.0 ** (given.shift + 1))

    def d2(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
        offset: Offset = None,
    ) -> SecureArray:
        """1 - deviance / deviance of the mean rate, a secret scalar: scikit-learn's ``score``.

        The mean rate is sum(y) / sum(e^offset), which is the best constant rate of Poisson models and of all without
        offset.
        """
        half, null, _, _ = self._deviances(x, y, valid, sample_weight, offset)
        return 1 - divide(half, null, at_most=2.0**8)

    # -- what differs ---------------------------------------------------------------------------------------------

    @abstractmethod
    def _family(self, scaled: Scaled, offset: SecureArray | None) -> LogLink: ...

    @abstractmethod
    def _in_loss(self, scaled: Scaled, total: float | SecureArray) -> SecureArray | float:
        """``total`` over the factor between the loss of y and that of y over its mean."""

    @abstractmethod
    def _unit_of_deviance(self, scaled: Scaled) -> SecureArray | float:
        """The factor between the deviance of y and that of y over its mean."""

    positive: bool = False
    """Whether a target of 0 is outside the model."""
    estimated: bool = False
    """Whether the dispersion is estimated from the residuals; else it is 1."""

    # -- inside ---------------------------------------------------------------------------------------------------

    def _offset(self, rows: Rows, offset: Offset) -> SecureArray | None:
        if offset is None:
            return None
        context = rows.x._context
        given = secure(context, offset).numeric()
        if given.shape != rows.x.shape[:1]:
            raise UsageError(f"{type(self).__name__}: expected offset of shape {rows.x.shape[:1]}, got {given.shape}")
        return given if given.scale else given.rescaled(context.fraction_bits)

    def _over_mean(self, given: Predictors, rows: Rows, offset: SecureArray | None) -> Scaled:
        """The target over its mean per unit of exposure, guarded to lie in [0, ratio_bound]; no intercept: y itself."""
        what, context = type(self).__name__, rows.x._context
        given_y = rows.y
        assert given_y is not None
        if given_y.ndim != 1:
            raise ShapeError(f"{what}: expected y of shape (n,), got {given_y.shape}")
        target = given_y.numeric()
        target = target if rows.valid is None else (target * rows.valid)._stated(target.bound)
        low = (target <= 0) if self.positive else (target < 0)
        counted = low.numeric() if rows.valid is None else low.numeric() * rows.valid
        least = "above 0" if self.positive else "at least 0"
        context.guard(counted.sum()._ring_share(), f"{what}: y is {least}: correct those rows, or leave them out")
        target = target if target.scale else target.rescaled(2)
        if not self.fit_intercept:
            y = target.rescaled(context.fraction_bits).assume_bound(self.ratio_bound, _RATIO)
            return Scaled(y, context.constant(1.0), None, context.constant(0.0), context.constant(1.0), 1.0)
        exposure = given.total if offset is None else given.mean(exp(offset))
        plain = offset is None and rows.weight is None
        most = 8.0 if plain else _FARTHEST  # weights may lie on rows of low targets, exposures have any size
        values, unit = evened_target(what, target, given.shift)
        inverse = divide(exposure, given.mean(values, _FINE), at_most=most)
        inverse = inverse.assume_bound(most * 1.01, _APART)
        room = RANGE_BITS - 2 - inverse.scale - exact.log2_ceil(values.bound * inverse.bound)
        y = values.rescaled(min(values.scale, room)).multiply(inverse, scale=context.fraction_bits)
        y = y.assume_bound(self.ratio_bound, _RATIO)
        moved = SecureArray(context, unit.exponent, 0, exact.exp2(7))
        log_mean = -log(inverse) - moved.multiply(exact.ln(2), scale=context.fraction_bits)
        fine = max(1, min(_FINE, RANGE_BITS - 14 - exact.log2_ceil(target.bound)))
        return Scaled(y, inverse, unit, log_mean, given.mean(target, fine), exposure)

    def _infer(
        self, given: Predictors, family: LogLink, coef: SecureArray, scaled: Scaled, information: Information
    ) -> SecureArray | float:
        """Standard errors; and how large a decrement over 2^shift is for a squared standard error: secret, or 2^-shift.

        The loss is that of y over its mean, and its dispersion is not 1.
        """
        factor = 2.0**-given.shift
        if not self.estimated:
            return self._counted(given, scaled, information)
        squares = given.mean(family.pearson(given.x @ coef))
        dispersion, _ = residual_variance(given, squares, 256.0)
        self.standard_errors_ = None if dispersion is None else information.standard_errors(factor, dispersion)
        return factor if dispersion is None else _small(lifted(dispersion, -given.shift))

    def _counted(self, given: Predictors, scaled: Scaled, information: Information) -> SecureArray:
        """``_infer`` where the dispersion is known: 1 over the mean."""
        self.standard_errors_ = scaled.undone(information.standard_errors(2.0**-given.shift, scaled.inverse))
        return scaled.over_mean(_LIMIT_BITS, given.shift)

    def _deviances(
        self, x: Any, y: Any, valid: Any, sample_weight: Any, offset: Offset
    ) -> tuple[SecureArray, SecureArray, Predictors, Scaled]:
        """Halves of the deviances of the model and of the best constant rate, of y over its mean and over 2^shift."""
        what = type(self).__name__
        linear = self.decision_function(x)
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight)
        given = Predictors.of(what, rows, False, True)
        shift = self._offset(rows, offset)
        scaled = self._over_mean(given, rows, shift)
        family = self._family(scaled, shift)
        model, null = family.deviances(linear - scaled.log_mean), family.deviances(linear * 0)
        most = 64.0 * max(1.0, 1.0 if given.weight is None else given.weight.bound)
        return given.mean(model).assume_bound(most), given.mean(null).assume_bound(most), given, scaled


def _small(x: SecureArray) -> SecureArray:
    """x with as many fractional bits, up to 48, as leave room for a factor below 1."""
    return x.rescaled(min(x.scale, fitting_scale(x.bound, 48, RANGE_BITS - 12)))


@final
class PoissonRegressor(LogLinear):
    """Poisson regression: counts, with exposures as an offset."""

    def __init__(
        self,
        *,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        max_iter: int = 10,
        coefficient_bound: float = 16.0,
        ratio_bound: float = 1024.0,
        tol: float | None = 1e-2,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.coefficient_bound = coefficient_bound
        self.ratio_bound = ratio_bound
        self.tol = tol

    def _family(self, scaled: Scaled, offset: SecureArray | None) -> LogLink:
        return Poisson(scaled.y, offset, self.ratio_bound)

    def _in_loss(self, scaled: Scaled, total: float | SecureArray) -> SecureArray | float:
        return scaled.over_mean(_FINE) * total

    def _unit_of_deviance(self, scaled: Scaled) -> SecureArray | float:
        return scaled.mean


@final
class GammaRegressor(LogLinear):
    """Gamma regression: positive amounts whose deviation is proportional to their mean."""

    positive = True
    estimated = True

    def __init__(
        self,
        *,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        max_iter: int = 10,
        coefficient_bound: float = 16.0,
        ratio_bound: float = 1024.0,
        tol: float | None = 1e-2,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.coefficient_bound = coefficient_bound
        self.ratio_bound = ratio_bound
        self.tol = tol

    def _family(self, scaled: Scaled, offset: SecureArray | None) -> LogLink:
        return Gamma(scaled.y, offset, self.ratio_bound)

    def _in_loss(self, scaled: Scaled, total: float | SecureArray) -> SecureArray | float:
        return total

    def _unit_of_deviance(self, scaled: Scaled) -> SecureArray | float:
        return 1.0


@final
class TweedieRegressor(LogLinear):
    """Tweedie regression with 1 < power < 2: sums of a random number of positive amounts, many of them 0."""

    estimated = True

    def __init__(
        self,
        *,
        power: float = 1.5,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        max_iter: int = 10,
        coefficient_bound: float = 16.0,
        ratio_bound: float = 1024.0,
        tol: float | None = 1e-2,
    ) -> None:
        self.power = power
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.coefficient_bound = coefficient_bound
        self.ratio_bound = ratio_bound
        self.tol = tol

    def _family(self, scaled: Scaled, offset: SecureArray | None) -> LogLink:
        if not 1 < self.power < 2:
            raise UsageError(
                f"TweedieRegressor: expected 1 < power < 2, got {self.power}; take LinearRegression for 0, "
                "PoissonRegressor for 1, GammaRegressor for 2"
            )
        return Tweedie(scaled.y, offset, self.ratio_bound, self.power)

    def _in_loss(self, scaled: Scaled, total: float | SecureArray) -> SecureArray | float:
        return exp(scaled.log_mean * (self.power - 2)).assume_bound(2.0**12) * total

    def _unit_of_deviance(self, scaled: Scaled) -> SecureArray | float:
        power = 2 - self.power
        most = exact.exp2((exact.log2_ceil(max(scaled.total.bound, 1.0)) + 1) * power)  # no mean is above the bound
        return exp(scaled.log_mean * power)._stated(1.1 * most)


@final
class NegativeBinomialRegressor(LogLinear):
    """Negative binomial regression (NB2): counts with variance mu + dispersion * mu^2, the dispersion being given."""

    def __init__(
        self,
        *,
        dispersion: float = 1.0,
        alpha: float = 0.0,
        fit_intercept: bool = True,
        max_iter: int = 12,
        coefficient_bound: float = 16.0,
        ratio_bound: float = 1024.0,
        tol: float | None = 1e-2,
    ) -> None:
        self.dispersion = dispersion
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.coefficient_bound = coefficient_bound
        self.ratio_bound = ratio_bound
        self.tol = tol

    def _family(self, scaled: Scaled, offset: SecureArray | None) -> LogLink:
        if not self.dispersion > 0:
            raise UsageError(
                f"NegativeBinomialRegressor: expected dispersion > 0, got {self.dispersion}; for 0 take "
                "PoissonRegressor"
            )
        return NegativeBinomial(scaled.y, offset, self.ratio_bound, self.dispersion, scaled.mean)

    def _in_loss(self, scaled: Scaled, total: float | SecureArray) -> SecureArray | float:
        return (scaled.over_mean(_FINE) + self.dispersion) * total

    def _unit_of_deviance(self, scaled: Scaled) -> SecureArray | float:
        return scaled.mean

    def _counted(self, given: Predictors, scaled: Scaled, information: Information) -> SecureArray:
        """The loss is that of y over its mean, times 1 + the dispersion of y over its mean (family.py)."""
        both = scaled.over_mean(_FINE) + self.dispersion
        self.standard_errors_ = information.standard_errors(2.0**-given.shift, both)
        return _small(lifted(both, -given.shift))
