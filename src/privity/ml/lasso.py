"""Linear regression with a penalty on |coef| on shares: lasso and elastic net, by proximal steps.

The steps are those of the alternating direction method of multipliers (Boyd et al. 2011, section 6.4), over-relaxed: a
product with one matrix that is inverted once, and a soft threshold. Accelerated proximal gradients take steps of the
same rounds, but for correlated columns ten times as many of them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, final

import numpy as np

from ..array import SecureArray
from ..errors import UsageError
from ..functions import concatenate, stack
from ..ring import layout
from ..table import Table
from .estimator import Rows, rows_of
from .information import Information, lifted
from .least_squares import in_units
from .linear_model import LinearModel, check_positive
from .newton import Predictors, checked, weighted_products, weighted_sums

_PULL = 0.1  # weight of the tie between the two copies of the coefficients, times the columns' mean square
_RELAXATION = 1.6
_BITS = 26
_LEAST = 2.0**-10  # eigenvalues: the tie keeps them above
_HINT = (
    "the steps did not settle. Columns must have a mean square of about 1: standardise them. Else raise max_iter, or "
    "coefficient_bound, which counts in units of the target's bound"
)


class Proximal(LinearModel):
    """What Lasso and ElasticNet share.

    Minimises |y - X coef|^2 / (2 sum of weights) + l1 |coef|_1 + l2 / 2 |coef|^2, as scikit-learn. Columns should be
    standardised. ``max_iter``: steps, always all of them; about 14 rounds and 120 bytes a coefficient each. ``tol``:
    what a coefficient may change in the last step, in units of y's public bound; more raises RangeViolated.
    Coefficients below the threshold are exactly 0. Error: measured below 1e-4 of the target's deviation, 3e-3 for
    columns with variance inflation factors of thousands.

    Opened: one flag 'range ok'. There are no standard errors.
    """

    fit_intercept: bool
    max_iter: int
    tol: float
    coefficient_bound: float

    @abstractmethod
    def penalties(self) -> tuple[float, float]:
        """(l1, l2)."""

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> Proximal:
        """Learn from x (n, d) and real or whole y (n,), or a table. Raises UsageError, ShapeError, RangeViolated."""
        what = type(self).__name__
        absolute, squared = self.penalties()
        check_positive(
            what, l1=float(absolute), l2=float(squared), max_iter=self.max_iter, tol=float(self.tol),
            coefficient_bound=float(self.coefficient_bound),
        )  # fmt: skip
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight)
        self.units_ = rows.units
        with checked(what, rows.x._context, _HINT):
            coef, lift, names = self._steps(rows, absolute, squared)
        self.learnt(lifted(coef, lift), self.fit_intercept, names)
        return self

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """x @ coef_ + intercept_ (n,), secret."""
        return self.decision_function(x)

    def _steps(self, rows: Rows, absolute: float, squared: float) -> tuple[SecureArray, int, tuple[str, ...]]:
        target, lift = in_units(type(self).__name__, rows)
        given = Predictors.of(type(self).__name__, rows, self.fit_intercept, True)
        context, slopes = target._context, given.slopes()
        proto, d = context.protocol, given.columns
        gram, moments = weighted_products(given, None, 1.0), weighted_sums(given, target)
        gram = gram + _scaled(given, _PULL, gram.scale) * np.eye(d, dtype=np.int64)
        if squared:
            gram = gram + _scaled(given, squared, gram.scale) * np.diag(slopes)
        information = Information(gram, _LEAST)
        information.guard()
        inverse = information.covariance(_BITS, 2.0**6)  # 1 / (pull * total), and total is at least a 64th
        best = information.solve(moments, _BITS, self.coefficient_bound).multiply(_RELAXATION, scale=_BITS)
        tied = inverse.multiply(_scaled(given, _PULL * _RELAXATION, _BITS), scale=_BITS)._stated(_RELAXATION * 1.01)
        both = concatenate([tied - np.eye(d) * (_RELAXATION - 1), -tied], axis=1)  # of the coefficients and multipliers
        threshold = slopes * (absolute / _PULL * 2.0**-lift)
        bound = self.coefficient_bound
        coef = rest = context.constant(np.zeros(d), scale=_BITS)._stated(bound)
        for step in range(self.max_iter):
            column = concatenate([coef, rest])._ring_share().map(layout.reshape((2 * d, 1)))
            share = proto.matmul(both._ring_share(), column, _BITS).map(layout.reshape((d,)))
            free = best + SecureArray(context, share, _BITS, 2 * bound)
            point = (free + rest)._stated(2 * bound)
            outside = stack([point - threshold, -point - threshold])
            kept = (outside > 0) * outside
            before, coef = coef, (kept[0] - kept[1])._stated(bound)
            rest = (point - coef)._stated(bound)
            context.progress(step + 1, self.max_iter, f"step {step + 1}/{self.max_iter}")
        concatenate([free - coef, coef - before]).assume_bound(self.tol)
        return coef.assume_bound(bound), lift, given.names


def _scaled(given: Predictors, factor: float, scale: int) -> SecureArray:
    """factor * total as a secret array (1, 1)."""
    total = given.total
    if isinstance(total, SecureArray):
        return total.multiply(factor, scale=max(scale, total.scale)).rescaled(scale).reshape((1, 1))
    return given.x._context.constant([[factor * total]], scale=scale)


@final
class Lasso(Proximal):
    """Least squares with alpha |coef|_1."""

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float = 1e-3,
        coefficient_bound: float = 16.0,
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.coefficient_bound = coefficient_bound

    def penalties(self) -> tuple[float, float]:
        return self.alpha, 0.0


@final
class ElasticNet(Proximal):
    """Least squares with alpha (l1_ratio |coef|_1 + (1 - l1_ratio) / 2 |coef|^2)."""

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        max_iter: int = 100,
        tol: float = 1e-3,
        coefficient_bound: float = 16.0,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.coefficient_bound = coefficient_bound

    def penalties(self) -> tuple[float, float]:
        if not 0 <= self.l1_ratio <= 1:
            raise UsageError(f"ElasticNet: expected 0 <= l1_ratio <= 1, got {self.l1_ratio}")
        return self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
