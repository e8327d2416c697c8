"""Linear regression with a penalty on |coef| on shares: lasso and elastic net, by proximal steps.

The steps are those of the alternating direction method of multipliers (Boyd et al. 2011, section 6.4), over-relaxed: a
product with one matrix that is inverted once, and a soft threshold. Accelerated proximal gradients take steps of the
same rounds, but for correlated columns ten times as many of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace
from typing import Any, final

import numpy as np

from ..array import SecureArray
from ..errors import UsageError
from ..functions import concatenate, rsqrt, stack
from ..functions.arithmetic import matmul
from ..functions.ratio import ratio
from ..ring import exact, layout
from ..table import Table
from ..types import RANGE_BITS
from .classifier import Regressor
from .design import product
from .estimator import Rows, rows_of
from .information import SMALLEST_DIAGONAL, Information, lifted
from .line import brought_back
from .linear_model import LinearModel, check_positive
from .newton import Predictors, checked, weighted_products, weighted_sums
from .normal_units import BITS, Normalised, of_rows, over_units

_PULL = 0.1  # weight of the tie between the two copies of the coefficients, in units of their columns' deviations
_RELAXATION = 1.6
_BITS = 26
_HIGHEST = 29  # of thresholds: 2^(29 + 2 - 24) is the largest, above any slope
_STRONGEST = 45  # of l2 over a squared unit: 2^(45 + 2 - 30) is the largest
_GRAM_BITS = 30
_LEAST = 2.0**-10  # eigenvalues: the tie keeps them above
_LARGEST = 2.0**7  # of a coefficient times its column's deviation, in deviations of the target
_HINT = (
    "the steps did not settle. Raise max_iter, or coefficient_bound, which counts in deviations of y and of the columns"
)


class Proximal(LinearModel, Regressor):
    """What Lasso and ElasticNet share.

    Minimises |y - X coef|^2 / (2 sum of weights) + l1 |coef|_1 + l2 / 2 |coef|^2, as scikit-learn. Steps see columns
    centred and over their deviation, so that units do not matter; a constant one has coefficient 0. ``max_iter``:
    steps, always all of them; about 14 rounds and 120 bytes a coefficient each. ``tol``: what a coefficient times its
    column's deviation may change in the last step, in deviations of y; more raises RangeViolated.
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
        self.target_bound_ = rows.y.bound if rows.y is not None else 1.0
        with checked(what, rows.x._context, _HINT):
            columns, target = of_rows(what, rows, self.fit_intercept)
            slopes, start = self._steps(rows, columns, target, absolute, squared)
            line = brought_back(what, slopes, start, columns, target, False)
            self.normal_, coef = line.learnt, line.coefficients
            intercept = line.intercept if self.fit_intercept else rows.x._context.constant(0.0)
        whole = line.whole() if self.fit_intercept else coef
        self.learnt(whole, self.fit_intercept, (*rows.names, "intercept") if self.fit_intercept else rows.names)
        self.coef_, self.intercept_ = coef, intercept  # each under its own bound
        return self

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """x @ coef_ + intercept_ (n,), secret."""
        return self.decision_function(x)

    def _steps(
        self, rows: Rows, columns: Normalised, target: Normalised, absolute: float, squared: float
    ) -> tuple[SecureArray, SecureArray]:
        """(coefficients (d,), the target's mean () at the columns' centres), in normal units."""
        what = type(self).__name__
        x, y, norm = columns.values, target.values.reshape((-1,)), columns.size
        context, d = x._context, x.shape[1]
        proto = context.protocol
        weight = rows.weight  # their size does not matter, as the penalties count in their sum
        centre, middle = None, context.constant(0.0, scale=BITS)
        if self.fit_intercept and weight is not None:  # the weighted means lie elsewhere
            x, centre = _centred(rows, x)
            y, middle = _centred(rows, y)
        weight = None if weight is None else lifted(weight, -exact.log2_ceil(max(weight.bound, 2.0**-30)))
        given = Predictors.of(what, replace(rows, x=x, weight=weight), False, True, heaviest=0.5)
        given = replace(given, norm=norm) if weight is None else given
        gram, moments = weighted_products(given, None, 1.0), weighted_sums(given, y)
        own = columns.exponent
        if squared:
            twice = proto.mul_public(proto.neg(own), layout.constant(2))
            gram = gram.rescaled(min(gram.scale, _GRAM_BITS))
            each = _scaled(given, over_units(context, squared, twice, 0, gram.scale, _STRONGEST), gram.scale)
            gram = gram + each.rescaled(gram.scale).reshape((d, 1)) * np.eye(d, dtype=np.int64)
        roots, unit = _unit_diagonal(gram)
        information = Information(unit + np.eye(d) * _PULL, _LEAST)
        information.guard(what, rows.names)
        inverse = information.covariance(_BITS, 2.0**4)
        share = proto.mul(moments._ring_share(), roots._ring_share(), moments.scale + roots.scale - _BITS)
        slope = SecureArray(context, share, _BITS, 2.0)  # correlations with a target within 2
        best = information.solve(slope, _BITS, _LARGEST).multiply(_RELAXATION, scale=_BITS)
        tied = inverse.multiply(_PULL * _RELAXATION, scale=_BITS)._stated(_RELAXATION * 1.01)
        both = concatenate([tied - np.eye(d) * (_RELAXATION - 1), -tied], axis=1)  # of the coefficients and multipliers
        threshold = (roots * 0.0)._stated(1.0)
        if absolute:
            both_units = proto.neg(proto.add(own, target.exponent.map(layout.broadcast((d,)))))
            each = over_units(context, absolute / _PULL, both_units, 0, _BITS - 2, _HIGHEST)
            threshold = roots * _scaled(given, each, 20).rescaled(20)
        coef = rest = context.constant(np.zeros(d), scale=_BITS)._stated(_LARGEST)
        for step in range(self.max_iter):
            column = concatenate([coef, rest])._ring_share().map(layout.reshape((2 * d, 1)))
            share = proto.matmul(both._ring_share(), column, _BITS).map(layout.reshape((d,)))
            free = best + SecureArray(context, share, _BITS, 2 * _LARGEST)
            point = (free + rest)._stated(2 * _LARGEST)
            outside = stack([point - threshold, -point - threshold])
            kept = (outside > 0) * outside
            before, coef = coef, (kept[0] - kept[1])._stated(_LARGEST)
            rest = (point - coef)._stated(_LARGEST + threshold.bound)
            context.progress(step + 1, self.max_iter, f"step {step + 1}/{self.max_iter}")
        concatenate([free - coef, coef - before]).assume_bound(
            self.tol, f"what the last step of {what} changed: raise max_iter or tol"
        )
        share = proto.mul(coef._ring_share(), roots._ring_share(), roots.scale)
        found = SecureArray(context, share, _BITS, _LARGEST * roots.bound)
        found = found.assume_bound(
            self.coefficient_bound, f"coefficients of {what} in deviations: raise coefficient_bound or alpha"
        ).rescaled(BITS)
        if centre is None:
            return found, middle
        return found, (middle - product(found, centre).sum()).multiply(1, scale=BITS)


def _centred(rows: Rows, x: SecureArray) -> tuple[SecureArray, SecureArray]:
    """x (n,) or (n, d) less its weighted mean over the rows that count (0 in the others), and that mean."""
    weight = rows.weight
    if weight is not None:
        weight = lifted(weight, -exact.log2_ceil(max(weight.bound, 2.0**-30)))
        weight = weight.rescaled(min(weight.scale, 30))
    if rows.valid is not None:
        weight = rows.valid if weight is None else weight * rows.valid
    if weight is None:
        mean = x.mean(0)
    else:
        room = RANGE_BITS - 2 - exact.log2_ceil(max(weight.bound * x.bound * x.shape[0], 1.0)) - weight.scale
        sums = matmul(weight, x.rescaled(min(x.scale, max(room, 1))))
        mean = ratio(sums, weight.sum(), x.bound, scale=x.scale)
    mean = mean.rescaled(x.scale)._stated(x.bound)
    moved = (x - mean)._stated(2 * x.bound)
    if rows.valid is not None:
        moved = (moved * rows.valid.reshape((-1, *[1] * (x.ndim - 1))))._stated(moved.bound)
    return moved, mean


def _unit_diagonal(gram: SecureArray) -> tuple[SecureArray, SecureArray]:
    """(roots (d,), roots_i gram_ij roots_j, with a diagonal of 1 but for rounding). A constant column has root 0."""
    context, d = gram._context, gram.shape[0]
    proto, index = context.protocol, np.arange(d)
    diagonal = gram[index, index]
    varies = (diagonal >= SMALLEST_DIAGONAL).numeric()
    roots = (rsqrt(diagonal)._stated(1.001 / math.sqrt(SMALLEST_DIAGONAL)) * varies)._stated(2.0**12 * 1.001)
    square = layout.broadcast((d, d))
    rows, columns = (roots._ring_share().map(layout.then(layout.reshape(s), square)) for s in ((d, 1), (1, d)))
    # below the root of the matrix' bound, then below 1, by the Cauchy-Schwarz inequality
    half = proto.mul(rows, gram._ring_share(), max(0, gram.scale + roots.scale - _BITS - 4))
    have = min(_BITS + 4, gram.scale + roots.scale)
    share = proto.mul(half, columns, have + roots.scale - _BITS)
    return roots, SecureArray(context, share, _BITS, 1.01)


def _scaled(given: Predictors, each: SecureArray, scale: int) -> SecureArray:
    """each * total, at ``scale``."""
    total = given.total
    if isinstance(total, SecureArray):
        return product(each, total.reshape((1,))._stated(2.0), scale)  # the mean of evened weights is 1 at most
    return each.multiply(total, scale=scale)


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
