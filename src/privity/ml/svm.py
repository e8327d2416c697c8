"""Linear support vector machine on shares, by Newton steps on the squared hinge loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import SecureArray
from ..errors import OverflowPlanned, UsageError
from ..functions.arithmetic import matmul
from ..ring import exact
from ..table import Table
from ..types import RANGE_BITS
from .class_weight import ClassWeight, check_class_weight, class_factors, largest_mean
from .classifier import Classifier
from .design import CLIP, Design, binary_target, certify, design_of, predicted, product, settle
from .estimator import rows_of
from .information import Information
from .linear_model import COEFFICIENTS, LinearModel

_COEF_BITS = 22
_REACH = 2.0**14  # of curvature times coefficients: near the optimum it is the mean of the columns inside the margin
_HINT = (
    f"LinearSVC: standardise the columns ({CLIP}), give y as 0 and 1, or raise alpha or "
    "max_iter where it did not converge"
)


class LinearSVC(LinearModel, Classifier):
    """Minimises mean(w max(0, 1 - s f)^2) + alpha / 2 |coef|^2 with s = 2 y - 1, f = x coef + intercept: scikit-learn's
    ``LinearSVC`` (squared hinge, L2) with C = 1 / (alpha * rows).

    alpha: L2 strength, above 0. max_iter: Newton steps, a public number. fit_intercept: by a last column with the
    value ``intercept_scaling`` whose weight is penalised too, as in scikit-learn; raise it towards 2, its largest, to
    penalise the intercept less. tol: largest element of the gradient that is accepted (see ``certify``). class_weight:
    {class: weight}, (for 0, for 1), "balanced" or None (see ``class_factors``; sample weights count). feature_bound:
    |x| stays below it (None: its public bound, where there is room for it). coefficient_bound: |coef| does.

    Every step solves for the minimum of the quadratic through the rows whose margin is violated now, so the last is
    exact once that set of rows no longer changes (about 5 to 12 steps). The result is certified before it is used: one
    flag, opened as 'range ok', says that all bounds hold and that the gradient at the result is below ``tol``.
    Otherwise fit raises RangeViolated. A constant column gets weight 0; one class only gives that class.

    Opens: that flag, nothing else. Rounds per step: about 190 for 31 columns. Bytes per party and step: about
    (8 (d + 1) + 20) n. After fit: see ``LinearModel``; there are no standard errors.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.01,
        max_iter: int = 12,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        tol: float = 1e-3,
        class_weight: ClassWeight = None,
        feature_bound: float | None = None,
        coefficient_bound: float = 32.0,
    ) -> None:
        self.alpha = alpha
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.tol = tol
        self.class_weight = class_weight
        self.feature_bound = feature_bound
        self.coefficient_bound = coefficient_bound

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> LinearSVC:
        """Learn from x (n, d) and y (n,) of 0 and 1. Raises UsageError, ShapeError, RangeViolated (see the class)."""
        self._check()
        rows = rows_of("LinearSVC", x, y, valid=valid, sample_weight=sample_weight)
        self.units_ = rows.units
        target = binary_target("LinearSVC", rows)
        factor = class_factors("LinearSVC", self.class_weight, 2, target, valid=rows.valid, weight=rows.weight)
        constant = self.intercept_scaling if self.fit_intercept else None
        mean = largest_mean(self.class_weight, 2)
        design = design_of("LinearSVC", rows, self.feature_bound, constant, factor, mean)
        context = design.x._context
        sign = (target * 2 - 1)._stated(1.0)
        signed = (design.x * sign.reshape((-1, 1)))._stated(design.x.bound)
        coef = context.constant(np.zeros(signed.shape[1]), scale=_COEF_BITS)
        matrix, vector = self._quadratic(design, signed, coef)
        for step in range(self.max_iter):
            slope = matmul(matrix, coef, scale=26, reach=_REACH) - vector
            information = Information(matrix)
            move = information.solve(slope, _COEF_BITS, self.coefficient_bound)
            coef = (coef - move)._stated(self.coefficient_bound)
            matrix, vector = self._quadratic(design, signed, coef)
            context.progress(step + 1, self.max_iter, f"Newton step {step + 1}/{self.max_iter}")
        coef = coef.assume_bound(self.coefficient_bound, COEFFICIENTS)
        self._within_reach(design, matrix, coef)
        certify("LinearSVC", matmul(matrix, coef, scale=26, reach=_REACH) - vector, information.roots, self.tol)
        settle(context, "LinearSVC", _HINT)
        if self.fit_intercept and self.intercept_scaling != 1.0:
            coef = coef * np.r_[np.ones(coef.size - 1), self.intercept_scaling]
        self.learnt(coef, self.fit_intercept, (*rows.names, "intercept") if self.fit_intercept else rows.names)
        return self

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """Secret booleans (n,): decision above 0."""
        return self.decision_function(x) > 0

    def _within_reach(self, design: Design, matrix: SecureArray, coef: SecureArray) -> None:
        """Guard |curvature x coefficients| < 2^14 where public bounds do not say so, so that the last gradient has not
        wrapped: asked of a product with as few bits as it has room for whatever the columns are.
        """
        ridge = design.ridge(self.alpha)
        extra = ridge.bound if isinstance(ridge, SecureArray) else ridge
        largest = 2 * design.mean_square + extra  # of an element, by the Cauchy-Schwarz inequality
        reach = largest * self.coefficient_bound * coef.size
        if reach <= _REACH:
            return
        room = RANGE_BITS - 2 - exact.log2_ceil(reach)
        left = matrix.rescaled(min(matrix.scale, room // 2))
        right = coef.rescaled(min(coef.scale, room - left.scale))
        off = coef.size * (largest * 2.0**-right.scale + self.coefficient_bound * 2.0**-left.scale)  # both rounded
        if off > _REACH / 2:
            raise OverflowPlanned(
                f"LinearSVC: {coef.size} coefficients up to {self.coefficient_bound:g} beside mean squares up to "
                f"{design.mean_square:g} leave no room to certify a fit; lower coefficient_bound, or take fewer columns"
            )
        found = matmul(left, right, scale=1, reach=reach)
        hint = "curvature times coefficients: standardise the columns, or raise alpha or max_iter"
        found.assume_bound(_REACH / 2 - 1, hint)

    def _quadratic(self, design: Design, signed: SecureArray, coef: SecureArray) -> tuple[SecureArray, SecureArray]:
        """(A, b) of the quadratic through the rows inside the margin at ``coef``: its gradient is A coef - b."""
        inside = (1 - predicted(signed, coef)) > 0
        active = design.weighted(inside.numeric())
        kept = product(signed, active.reshape((-1, 1)))
        width = signed.shape[1]
        matrix = design.mean(kept, signed, design.mean_square, scale=24) * 2
        ones = signed._context.constant(np.ones(design.rows, np.int64))
        vector = design.mean(kept, ones, math.sqrt(design.mean_square)) * 2
        ridge = design.ridge(self.alpha)
        if isinstance(ridge, SecureArray):
            return matrix + ridge.rescaled(matrix.scale).reshape((1, 1)) * np.eye(width, dtype=np.int64), vector
        return matrix + np.eye(width) * ridge, vector

    def _check(self) -> None:
        if not self.alpha > 0 or self.max_iter < 1 or not self.tol > 0:
            raise UsageError("LinearSVC: expected alpha > 0, max_iter >= 1 and tol > 0")
        if not self.coefficient_bound > 0:
            raise UsageError(f"LinearSVC: expected coefficient_bound > 0, got {self.coefficient_bound!r}")
        check_class_weight("LinearSVC", self.class_weight, 2)
        if not 0 < self.intercept_scaling <= 2:
            raise UsageError(f"LinearSVC: expected 0 < intercept_scaling <= 2, got {self.intercept_scaling}")
