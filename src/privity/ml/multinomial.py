"""Softmax regression on shares: Newton's method for small models, accelerated gradients for larger ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import UsageError
from ..functions import argmax, one_hot, softmax
from ..table import Table
from .class_weight import ClassWeight, check_class_weight, class_factors, largest_mean
from .classifier import Classifier
from .columns import as_learnt
from .design import CLIP, MEAN_SQUARE, Design, certify, design_of, predicted, product, settle, whole_target
from .estimator import rows_of
from .information import Information
from .linear_model import COEFFICIENTS

SOLVERS = ("auto", "newton", "accelerated")
_NEWTON_SIZE = 256  # weights in all, up to which "auto" takes Newton's method
_DEFAULT_STEPS = {"newton": 8, "accelerated": 100}
_STEP = 0.95  # of the accelerated method: its metric is known up to rounding
_LEAST = 2.0**-16  # of eigenvalues of a matrix with unit diagonal that is inverted
_INVERSE_BITS = 22
_SHIFT = 0.25  # curvature along a shift of a column's weights, like that of others (p (1 - p) is 1/4 at most)
_HINT = (
    f"MultinomialLogisticRegression: standardise the columns ({CLIP}), give y as integers from "
    "0 to classes - 1, or raise alpha or max_iter where it did not converge"
)


class MultinomialLogisticRegression(Classifier):
    """Softmax regression with L2: scikit-learn's ``LogisticRegression`` with C = 1 / (alpha * rows).

    Minimises mean(w log-loss) + alpha / 2 |coef|^2; the intercepts are not penalised and sum to 0, as the weights of
    each column do.

    classes: public number of classes; y holds 0 to classes - 1. alpha: L2 strength, above 0. solver: "newton" solves
    for all classes * (d + 1) weights at once; "accelerated" takes gradient steps with momentum in the metric of
    the columns' covariance, the momentum dropped (by a secret flag) where it would lead uphill; "auto" takes Newton's
    method up to 256 weights. max_iter: public number of steps (None: 8 or 100). tol: largest element of the gradient
    that is accepted. class_weight: {class: weight}, a weight for each class, "balanced" or None (see
    ``class_factors``; sample weights count). feature_bound: |x| stays below it (None: its public bound, where there is
    room for it). coefficient_bound: every weight does.

    The result is certified before it is used: one flag, opened as 'range ok', says that all bounds hold and that the
    gradient at the result is below ``tol``. Otherwise fit raises RangeViolated.

    Opens: that flag, nothing else. Rounds per step: that of a softmax (about 60 to 110), and about 120 with Newton or
    20 accelerated, whatever the number of weights. Bytes per party and step: about 220 n classes, and with Newton
    5 n (classes + 1) m + 350 m^2 for m = classes (d + 1) weights. After fit, all secret: ``coef_`` (classes, d),
    ``intercept_`` (classes,); ``names_``: of the columns.
    """

    def __init__(
        self,
        classes: int,
        *,
        alpha: float = 0.01,
        solver: str = "auto",
        max_iter: int | None = None,
        fit_intercept: bool = True,
        tol: float = 1e-3,
        class_weight: ClassWeight = None,
        feature_bound: float | None = None,
        coefficient_bound: float = 32.0,
    ) -> None:
        self.classes = classes
        self.alpha = alpha
        self.solver = solver
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
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
    ) -> MultinomialLogisticRegression:
        """Learn from x (n, d) and y (n,). Raises UsageError, ShapeError, RangeViolated (see the class)."""
        self._check()
        what = "MultinomialLogisticRegression"
        rows = rows_of(what, x, y, valid=valid, sample_weight=sample_weight)
        target = whole_target(what, rows)
        hot = one_hot(target, self.classes)
        missed = 1 - hot.sum(axis=1)  # 1 where y is no class
        missed = missed if rows.valid is None else missed * rows.valid
        context = rows.x._context
        context.guard(missed.sum()._ring_share(), f"{what}: y holds whole numbers from 0 to classes - 1")
        factor = class_factors(
            what, self.class_weight, self.classes, hot, valid=rows.valid, weight=rows.weight
        )  # fmt: skip
        mean = largest_mean(self.class_weight, self.classes)
        design = design_of(what, rows, self.feature_bound, 1.0 if self.fit_intercept else None, factor, mean)
        width = design.x.shape[1]
        newton = self.solver == "newton" or (self.solver == "auto" and self.classes * width <= _NEWTON_SIZE)
        # class weights lift the mean weight to their largest, and beside it alpha counts for less
        least = self.alpha / max(1.0, mean)
        problem = _Problem(design, hot, least, self.fit_intercept, self.alpha, self.coefficient_bound)
        steps = self.max_iter or _DEFAULT_STEPS["newton" if newton else "accelerated"]
        weights, roots = (_newton if newton else _accelerated)(problem, steps)
        weights = weights.assume_bound(self.coefficient_bound, COEFFICIENTS)
        certify(what, problem.gradient(weights, problem.probabilities(weights)), roots, self.tol)
        settle(context, what, _HINT)
        self.coef_ = weights.T[:, : rows.x.shape[1]]
        self.intercept_ = weights[-1] if self.fit_intercept else context.constant(np.zeros(self.classes))
        self.names_, self.units_ = rows.names, rows.units
        return self

    def decision_function(self, x: Table | SecureArray) -> SecureArray:
        """x @ coef^T + intercept (n, classes), secret."""
        self.fitted("coef_")
        rows = rows_of("MultinomialLogisticRegression", as_learnt(self, x), target=False)
        return rows.x @ self.coef_.T + self.intercept_

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Probabilities (n, classes), secret; error of the softmax at most 2^-16."""
        return softmax(self.decision_function(x), axis=1)

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """The likeliest class of each row (n,), secret integers."""
        return argmax(self.decision_function(x), axis=1)

    def _check(self) -> None:
        name = "MultinomialLogisticRegression"
        if not isinstance(self.classes, int) or self.classes < 2:
            raise UsageError(f"{name}: expected classes >= 2, a public whole number, got {self.classes!r}")
        if self.solver not in SOLVERS:
            raise UsageError(f"{name}: expected solver to be one of {', '.join(SOLVERS)}, got {self.solver!r}")
        if not self.alpha > 0 or not self.tol > 0 or (self.max_iter is not None and self.max_iter < 1):
            raise UsageError(f"{name}: expected alpha > 0, tol > 0 and max_iter >= 1 or None")
        if not self.coefficient_bound > 0:
            raise UsageError(f"{name}: expected coefficient_bound > 0, got {self.coefficient_bound!r}")
        check_class_weight(name, self.class_weight, self.classes)


class _Problem:
    """Loss over rows: weights (d, classes), the last row of which has no penalty where there is an ``intercept``.

    ``least``: what the L2 strength is known to reach.
    """

    def __init__(
        self, design: Design, hot: SecureArray, least: float, intercept: bool, alpha: float, bound: float
    ) -> None:
        self.design = design
        self.hot = hot
        self.ridge = design.ridge(alpha)
        self.bound = bound
        self.least = least * 0.5  # no curvature that counts is smaller
        self.width, self.classes = design.x.shape[1], hot.shape[1]
        self.slopes = np.ones(self.width, np.int64)
        self.slopes[self.width - intercept :] = 0
        self._context = design.x._context

    def start(self) -> SecureArray:
        return self._context.constant(np.zeros((self.width, self.classes)))._stated(self.bound)

    def probabilities(self, weights: SecureArray) -> SecureArray:
        return softmax(predicted(self.design.x, weights), axis=1)

    def gradient(self, weights: SecureArray, probabilities: SecureArray) -> SecureArray:
        """x^T w (p - y) / n + penalty * weights."""
        rest = self.design.weighted((probabilities - self.hot)._stated(1.001))
        loss = self.design.mean(self.design.x, rest, math.sqrt(self.design.mean_square))
        if isinstance(self.ridge, SecureArray):
            return loss + weights.multiply(self.ridge.reshape((1, 1)), scale=26) * self.slopes.reshape((-1, 1))
        return loss + weights.multiply(self.ridge * self.slopes.reshape((-1, 1)), scale=26)

    def penalties(self, copies: int, scale: int) -> SecureArray | npt.NDArray[np.float64]:
        """The penalty's curvature, ``copies`` times down the diagonal; secret where the strength is."""
        shape = np.kron(np.eye(copies, dtype=np.int64), np.diag(self.slopes))
        if isinstance(self.ridge, SecureArray):
            return self.ridge.rescaled(min(self.ridge.scale, scale)).reshape((1, 1)) * shape
        return np.asarray(self.ridge * shape)

    def hessian(self, probabilities: SecureArray) -> SecureArray:
        """Second derivative, weights ordered class by class: blocks x^T diag(w p_a ([a = b] - p_b)) x / n.

        A shift of all intercepts changes nothing, so its curvature is set to 1 (the gradient along it is 0). A shift of
        a column's weights changes the penalty alone, whose gradient along it is 0 as they sum to 0: it is given some
        curvature too, or a small alpha would leave none.
        """
        k, d, x = self.classes, self.width, self.design.x
        first, second = np.triu_indices(k)
        same = (first == second).astype(np.float64)
        curvature = probabilities[:, first] * (same - probabilities[:, second])
        each = self.design.weighted(curvature._stated(0.251)).reshape((-1, len(first), 1))
        sides = product(each, x.reshape((-1, 1, d))).reshape((x.shape[0], len(first) * d))
        flat = self.design.mean(x, sides, self.design.mean_square / 4 * 1.01)
        where = np.zeros((k, k), np.int64)
        where[first, second] = where[second, first] = np.arange(len(first))
        blocks = flat.reshape((d, len(first), d))[:, where, :].transpose(1, 0, 2, 3).reshape((k * d, k * d))
        free = np.diag(np.where(self.slopes, _SHIFT, 1.0))
        return blocks + self.penalties(k, blocks.scale) + np.kron(np.full((k, k), 1.0 / k), free)


def _newton(problem: _Problem, steps: int) -> tuple[SecureArray, SecureArray]:
    """Weights, and for each 1 over the root of its curvature."""
    weights = problem.start()
    shape = (problem.classes, problem.width)
    square = problem.design.mean_square
    least = max(_LEAST, problem.least / (MEAN_SQUARE / 4 + 2 * problem.least + 1))
    for step in range(steps):
        p = problem.probabilities(weights)
        gradient = problem.gradient(weights, p)._stated(2 * math.sqrt(square))
        information = Information(problem.hessian(p), least)
        move = information.solve(gradient.T.reshape((-1,)), weights.scale, 2 * problem.bound)
        weights = (weights - move.reshape(shape).T)._stated(problem.bound)
        problem._context.progress(step + 1, steps, f"Newton step {step + 1}/{steps}")
    return weights, information.roots.reshape(shape).T


def _accelerated(problem: _Problem, steps: int) -> tuple[SecureArray, SecureArray]:
    """Nesterov's method in the metric of A = x^T w x / (2 n) + penalty, which bounds the curvature from above
    (Boehning 1992). Momentum k / (k + 3), 0 where the gradient points against the last step (O'Donoghue and Candes
    2015, gradient restart): that flag stays secret.
    """
    design, context, bound = problem.design, problem._context, problem.bound
    square = design.mean_square
    top = design.mean(design.weighted(design.x), design.x, square) * 0.5
    ridge = problem.penalties(1, top.scale) + np.diag((1 - problem.slopes) * problem.least)
    least = max(_LEAST, problem.least / (MEAN_SQUARE / 2 + problem.least))
    information = Information(top + ridge, least)
    inverse = information.covariance(_INVERSE_BITS, 1.0 / problem.least)
    metric = inverse.multiply(_STEP, scale=_INVERSE_BITS)._ring_share()
    last = ahead = problem.start()
    for step in range(steps):
        slope = problem.gradient(ahead, problem.probabilities(ahead))._stated(4 * square)
        # sums of products have room, as no step is longer than weights can be
        share = context.protocol.matmul(metric, slope._ring_share(), _INVERSE_BITS + slope.scale - ahead.scale)
        now = (ahead - SecureArray(context, share, ahead.scale, 2 * bound))._stated(bound)
        move = now - last
        uphill = (slope * move).sum() > 0
        momentum = move * ((step + 1) / (step + 4))
        ahead = (now + momentum - momentum * uphill)._stated(bound)
        last = now
        context.progress(step + 1, steps, f"step {step + 1}/{steps}")
    return last, information.roots.reshape((-1, 1)) + context.constant(np.zeros(last.shape))
