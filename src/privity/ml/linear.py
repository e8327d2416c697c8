"""Linear models trained on shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import divide, log, logit, sigmoid, sigmoid_series, stack
from ..functions.flags import as_flags
from ..functions.ratio import fitting_scale, ratio
from ..table import Table
from ..types import RANGE_BITS
from .class_weight import ClassWeight, class_factors
from .classifier import Classifier
from .design import OTHER_LABELS
from .estimator import Rows, rows_of, whole_numbers, with_intercept
from .family import Binomial
from .information import LEAST, lifted
from .linear_model import COEFFICIENTS, LinearModel, check_positive, joined
from .newton import Predictors, certify, checked, newton
from .weights import guard_weights

_NAME = "LogisticRegression"
_RAREST = 2.0**-22
_HEAVIEST = 16.0  # bound of weights for which sums have room as they are
_SETTLED = 2.0**-6  # of share (1 - share): the mean gradient of an epoch at which gradient steps count as converged
_LEAST = 2.0**-17  # of eigenvalues with a penalty: of columns that repeat each other it is all that is left
_SGD = {"learning_rate": 0.1, "epochs": 5, "batch_size": 1024}
_HINT = (
    "the steps did not end at one finite optimum. Collinear columns: drop one level of each one-hot group, or set "
    "alpha or C. Columns that tell the classes apart without error, or one class only: set alpha or C, or give "
    "other rows. Large values, or columns far from 0 beside their spread, which move the intercept: standardise the "
    "columns. Else raise max_iter or coefficient_bound"
)
Order = list[npt.NDArray[np.int64]]


def batch_order(rows: int, batch: int, epochs: int, seed: int) -> Order:
    """The public order of the rows: the indices of each step, all of one size, without repeats within an epoch.

    The rows left over in an epoch are left out, other rows in each epoch; fewer rows than a batch make one batch.
    """
    generator = np.random.default_rng(seed)  # a public choice: the same at all parties and in the clear
    batch = min(batch, rows)
    order: Order = []
    for _ in range(epochs):
        shuffled = generator.permutation(rows)
        order.extend(shuffled[start : start + batch] for start in range(0, rows - batch + 1, batch))
    return order


def learning_rate(first: float, last: float, step: int, steps: int) -> float:
    """The rate of one step, in a straight line from the first to the last.

    Big steps first, then little noise: it stands in for averaging the iterates and costs nothing on shares.
    """
    return first + (last - first) * step / max(1, steps - 1)


@dataclass
class SGDState:
    """What a step needs and changes: what a checkpoint will save. ``coef`` (d + 1,), intercept last."""

    coef: SecureArray
    step: int = 0
    squared_error: SecureArray | None = None
    alpha: float = 0.0


class LogisticRegression(LinearModel, Classifier):
    """Binary logistic regression on shares: by Newton's method with standard errors, or by mini-batch gradient descent.

    Loss: sum over the rows of w(y) * log-loss, plus |coef|^2 / (2 C), as in scikit-learn, whose default C = 1 is taken
    where neither C nor alpha is given; or mean over the rows, plus alpha / 2 * |coef|^2: C = 1 / (alpha * sum of the
    sample weights). The intercept is not penalised. alpha=0 (or C=inf) for standard errors and p values.

    solver "newton": ``max_iter`` steps, each a pass over all rows: about 200 rounds for 64 columns, and per party 10.25
    bytes an element of x and 230 a row. Twelve reach the optimum of rare and of separated classes, as measured. Sets
    ``standard_errors_`` (from the inverse Hessian, penalty included; 0 for a constant column) and ``decrement_``, the
    square of the last step in standard errors, all coefficients together (weights of a bound above 16: as if their mean
    were between 1/4 and 1). It was accepted because the same at the step's start was at most ``tol`` (None: not
    checked). RangeViolated if it was more, the Hessian is singular (collinear columns without a penalty), or less than
    1 row in 2^22 is of either class.

    solver "sgd": learning_rate (0.1), final_learning_rate (the rate falls in a straight line from the first to the
    second; None: constant), epochs (5), batch_size (1024); without a penalty unless C or alpha is given. It starts at
    the log-odds of the share of class 1, about 70 rounds. The order of the rows is public and fixed by
    ``random_state``. Per step, for a batch of B rows: 2 rounds for X w, about 6 for the sigmoid, 2 for the gradient.
    Means are over the rows of a batch, padding counted. Sets ``converged_``, a secret boolean: whether in the mean of
    the last epoch every element of the gradient was at most 2^-6 of share (1 - share), which is about the size of the
    last Newton step of standardised columns; nothing is refused.

    solver "auto": "sgd" where one of its settings is given, or ``order``; else "newton".

    class_weight: {0: w, 1: w}, (for 0, for 1), "balanced", or None. coefficient_bound: |coef| stays below it. All
    guards of an epoch, or of Newton's steps, are opened as one flag 'range ok'; nothing else is opened. Secret weights
    below 0 raise RangeViolated. Weights may have any size from a mean of 2^-14 upward.
    """

    def __init__(
        self,
        *,
        learning_rate: float | None = None,
        final_learning_rate: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        alpha: float | None = None,
        class_weight: ClassWeight = None,
        fit_intercept: bool = True,
        coefficient_bound: float = 32.0,
        random_state: int = 0,
        on_epoch: Callable[[int, SecureArray], str | None] | None = None,
        solver: str = "auto",
        max_iter: int = 12,
        tol: float | None = 1e-4,
        C: float | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.alpha = alpha
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.coefficient_bound = coefficient_bound
        self.random_state = random_state
        self.on_epoch = on_epoch
        """Called after each epoch with its number and the secret Brier score of the epoch's last batch (class weights
        not applied); what it returns is shown with the progress."""
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.C = C

    def fit(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
        order: Order | None = None,
    ) -> LogisticRegression:
        """Train on x (n, d) and y (n,) of 0/1 integers, or on a table. Raises UsageError, ShapeError, RangeViolated.

        ``valid`` (n,) marks real rows. ``order`` replaces the order of the rows of "sgd" (``batch_order``).
        """
        rows = rows_of(_NAME, x, y, valid=valid, sample_weight=sample_weight)
        self.units_ = rows.units
        target = self._target(rows)
        factor = class_factors(
            _NAME, self.class_weight, 2, target, valid=rows.valid,
            weight=rows.weight,
        )  # fmt: skip
        if self._by_gradients(order):
            self._fit_sgd(rows, target, factor, order)
        else:
            self._fit_newton(rows, target, factor)
        return self

    def _by_gradients(self, order: Order | None) -> bool:
        """Whether mini-batches are meant."""
        given = (self.learning_rate, self.final_learning_rate, self.epochs, self.batch_size, self.on_epoch, order)
        return self.solver == "sgd" or (self.solver == "auto" and any(v is not None for v in given))

    def _fit_newton(self, rows: Rows, y: SecureArray, factor: SecureArray | None) -> None:
        context = y._context
        alpha = 1.0 / (1.0 if self.C is None else self.C) if self.alpha is None else float(self.alpha)
        with checked(_NAME, context, _HINT):
            given = Predictors.of(_NAME, rows, self.fit_intercept, alpha > 0, factor, _HEAVIEST)
            problem = given
            if self.alpha is None:  # C counts rows by their weights: the penalty does not grow with them
                one = 2.0**-given.shift
                problem = replace(given, total=lifted(given.unit.power, -given.shift) if given.unit else one)
            start = context.constant(np.zeros(given.columns))
            if self.fit_intercept:
                share = _share(y, given.weight)
                for rare in (share < _RAREST, share > 1 - _RAREST):
                    context.guard(rare.numeric()._ring_share(), f"{_NAME}: y has rows of both classes")
                start = joined([start[:-1], logit(share)])
            found = newton(
                problem, Binomial(y), start, alpha=alpha, steps=self.max_iter,
                coefficient_bound=self.coefficient_bound, least=_LEAST if alpha else LEAST,
            )  # fmt: skip
            limit: float | SecureArray = 2.0**-given.shift
            if given.unit is not None:
                small = lifted(given.unit.power, -given.shift)
                limit = small.rescaled(min(small.scale, 44))
            if self.tol is not None:
                certify(_NAME, found, limit * self.tol if isinstance(limit, float) else limit.multiply(self.tol, 44))
            errors = found.information.standard_errors(2.0**-given.shift)
            if given.unit is not None:
                errors = errors.multiply(given.unit.root, scale=errors.scale)
            self.standard_errors_ = errors
        self.learnt(found.coef, self.fit_intercept, given.names)
        self.decrement_ = lifted(found.decrement, given.shift)

    def _fit_sgd(self, rows: Rows, y: SecureArray, factor: SecureArray | None, order: Order | None) -> None:
        x, context = rows.x, rows.x._context
        weighted = inputs = x
        weight = rows.weight
        if weight is not None:
            guard_weights(_NAME, weight, rows.valid)
        both = factor if weight is None else weight if factor is None else weight * factor
        if both is not None:  # once, so that weights cost nothing in a step; the column of ones has weights, too
            inputs = with_intercept(x, rows.valid) if self.fit_intercept else x
            weighted = inputs * both.reshape((-1, 1))
        columns = x.shape[1] + self.fit_intercept
        epochs, size = self._setting("epochs"), self._setting("batch_size")
        batches = order if order is not None else batch_order(x.shape[0], size, epochs, self.random_state)
        per_epoch = max(1, len(batches) // epochs)
        start = context.constant(np.zeros(columns))
        share: SecureArray | None = None
        if self.fit_intercept:
            counted = both if rows.valid is None else rows.valid if both is None else both * rows.valid
            share = _share(y, counted)
            start = joined([start[:-1], logit(share)])
        alpha = self.alpha or 0.0 if self.C is None else 1.0 / (self.C * x.shape[0])
        state = SGDState(start._stated(self.coefficient_bound), alpha=alpha)
        before, moved = state.coef, 0.0
        for chosen in batches:
            if state.step % per_epoch == 0:
                before, moved = state.coef, 0.0
            moved += self._rate(state.step, len(batches))
            last = (state.step + 1) % per_epoch == 0
            x_batch = inputs[chosen]
            if x_batch.shape[1] < columns:  # here, for a wider copy of the whole matrix costs more
                x_batch = with_intercept(x_batch, None if rows.valid is None else rows.valid[chosen])
            weighted_batch = x_batch if weighted is inputs else weighted[chosen]
            state = self.step(state, x_batch, weighted_batch, y[chosen], len(batches), last)
            note = f"epoch {(state.step - 1) // per_epoch + 1}/{epochs}"
            if last:
                state.coef = state.coef.assume_bound(self.coefficient_bound, COEFFICIENTS)
                context.check_guards()
                if self.on_epoch is not None and state.squared_error is not None:
                    note += f", {self.on_epoch(state.step // per_epoch, state.squared_error) or ''}".rstrip(", ")
            else:
                state.coef = state.coef._stated(self.coefficient_bound)  # checked at the end of the epoch
            context.progress(state.step, len(batches), note)
        names = (*rows.names, "intercept") if self.fit_intercept else rows.names
        self.learnt(state.coef, self.fit_intercept, names)
        self.converged_ = _settled(before - state.coef, moved, share)

    def step(
        self, state: SGDState, x: SecureArray, weighted: SecureArray, y: SecureArray, steps: int, measure: bool
    ) -> SGDState:
        """One gradient step on a batch: coef <- coef - rate (weighted^T (p - y) / B + alpha coef)."""
        rate = self._rate(state.step, steps)
        # rate / B = c * 2^-k: c goes into the sigmoid, 2^-k into the truncation of the gradient: both for nothing.
        c, exponent = math.frexp(rate / x.shape[0])
        error = sigmoid_series(x @ state.coef, factor=c) - y * c
        gradient = weighted.T.matmul(error, factor=2.0**exponent)
        coef = state.coef - gradient
        if state.alpha:
            penalty = np.full(x.shape[1], rate * state.alpha)
            if self.fit_intercept:
                penalty[-1] = 0.0
            coef = coef - state.coef * penalty
        squared = None
        if measure and self.on_epoch is not None:
            squared = error.matmul(error) * (1.0 / (c * c * x.shape[0]))
        return SGDState(coef, state.step + 1, squared, state.alpha)

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Probability of class 1 for each row, secret; error of ``sigmoid`` beside that of the scores."""
        return sigmoid(self.decision_function(x))

    def predict(self, x: Table | SecureArray) -> SecureArray:
        """Secret booleans: decision above 0."""
        return self.decision_function(x) > 0

    def deviance(
        self,
        x: Table | SecureArray,
        y: SecureArray | str | None = None,
        *,
        valid: SecureArray | None = None,
        sample_weight: Any = None,
    ) -> SecureArray:
        """Twice the log-loss summed over the rows, a secret scalar; class weights do not count.

        Error: at most 1.3e-4 a row, below 1e-5 a row in the mean of many. The log likelihood is -1/2 of it.
        """
        mean, shift = self._mean_deviance(x, y, valid, sample_weight)
        return mean.multiply(2.0**shift)

    def log_likelihood(self, x: Any, y: Any = None, *, valid: Any = None, sample_weight: Any = None) -> SecureArray:
        """Log likelihood of the rows, a secret scalar: -1/2 of ``deviance``."""
        mean, shift = self._mean_deviance(x, y, valid, sample_weight)
        return mean.multiply(-(2.0 ** (shift - 1)))

    def pseudo_r2(self, x: Any, y: Any = None, *, valid: Any = None, sample_weight: Any = None) -> SecureArray:
        """McFadden's 1 - log likelihood / that of the best constant, a secret scalar."""
        rows = rows_of("LogisticRegression", x, y, valid=valid, sample_weight=sample_weight)
        given = Predictors.of("LogisticRegression", rows, False, True)
        ones = given.mean(self._target(rows))
        count = given.mean(ones._context.constant(np.ones(rows.x.shape[0], np.int64)))
        share = divide(ones, count, at_most=64.0)._stated(1.01)
        null = (stack([ones, count - ones]) * log(stack([share, 1 - share]))).sum() * -2
        deviance, _ = self._mean_deviance(x, y, valid, sample_weight)
        return 1 - divide(deviance.assume_bound(256.0), null, at_most=2.0**6)

    def _mean_deviance(self, x: Any, y: Any, valid: Any, sample_weight: Any) -> tuple[SecureArray, int]:
        """The deviance over 2^shift, and shift."""
        linear = self.decision_function(x)
        rows = rows_of("LogisticRegression", x, y, valid=valid, sample_weight=sample_weight)
        given = Predictors.of("LogisticRegression", rows, False, True)
        return given.mean(Binomial(self._target(rows)).losses(linear)) * 2, given.shift

    def _target(self, rows: Rows) -> SecureArray:
        """Check the parameters and the target; the target as integers."""
        y = rows.y
        assert y is not None
        if y.shape != (rows.x.shape[0],):
            raise ShapeError(
                f"LogisticRegression: expected x of shape (n, d) and y of shape (n,), got {rows.x.shape}, {y.shape}"
            )
        if y.kind == "fixed":
            raise UsageError(
                "LogisticRegression: expected y as 0/1 integers or booleans, got fixed-point values; compare: y > 0.5"
            )  # fmt: skip
        whole_numbers(_NAME, least=0, random_state=self.random_state)
        if self.on_epoch is not None and not callable(self.on_epoch):
            raise UsageError(f"{_NAME}: expected on_epoch as a function or None, got {self.on_epoch!r}")
        if self.solver not in ("auto", "sgd", "newton"):
            raise UsageError(f"LogisticRegression: expected solver 'auto', 'newton' or 'sgd', got {self.solver!r}")
        check_positive(
            _NAME, epochs=self.epochs, batch_size=self.batch_size, max_iter=self.max_iter,
            alpha=None if self.alpha is None else float(self.alpha),
        )  # fmt: skip
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise UsageError(f"{_NAME}: expected learning_rate > 0, got {self.learning_rate}")
        if self.C is not None and (self.alpha is not None or not self.C > 0):
            raise UsageError(
                f"{_NAME}: expected C > 0, and C or alpha but not both, got C={self.C!r} and alpha={self.alpha!r}; "
                "C = 1 / (alpha * sum of the sample weights)"
            )
        return as_flags(y, "LogisticRegression: y", advice=OTHER_LABELS)

    def _instead(self) -> str:
        return "take solver='newton'"

    def _setting(self, name: str) -> Any:
        """A setting of the gradient steps."""
        given = getattr(self, name)
        return _SGD[name] if given is None else given

    def _rate(self, step: int, steps: int) -> float:
        first = self._setting("learning_rate")
        last = first if self.final_learning_rate is None else self.final_learning_rate
        return learning_rate(first, last, step, steps)


def _share(y: SecureArray, weight: SecureArray | None) -> SecureArray:
    """Share of class 1 in the weights (n,), a secret scalar at 28 fractional bits."""
    n = y.shape[0]
    if weight is None:
        return y.sum().multiply(1.0 / n, scale=28)._stated(1.0)
    room = fitting_scale(n * max(weight.bound, 1.0), 28, RANGE_BITS - 4)
    small = weight.rescaled(min(weight.scale, room))
    both = stack([small @ y, small.sum()])
    return ratio(both[0], both[1], 1.01, scale=28)


def _settled(moved: SecureArray, rates: float, share: SecureArray | None) -> SecureArray:
    """Whether an epoch that moved coefficients by ``moved``, at ``rates`` in all, had small gradients in the mean."""
    context, most = moved._context, rates * _SETTLED
    if share is None:
        limit = context.constant(most / 4, scale=28)
    else:
        limit = (share - share.multiply(share, scale=28)).multiply(most, scale=28)
    return ((stack([moved, -moved]) > limit.reshape((1, 1))).numeric().sum() == 0)
