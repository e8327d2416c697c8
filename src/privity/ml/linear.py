"""Linear models trained on shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import divide, log, logit, sigmoid, stack
from ..functions.flags import as_flags
from ..table import Table
from .design import OTHER_LABELS
from .estimator import Rows, rows_of, with_intercept
from .family import Binomial
from .linear_model import LinearModel, check_positive, joined
from .newton import Predictors, checked, newton

_RAREST = 2.0**-17
_HINT = (
    "the steps did not end at one finite optimum. Collinear columns: drop one level of each one-hot group, or set "
    "alpha. Columns that tell the classes apart without error, or one class only: set alpha, or give other rows. Large "
    "values: standardise the columns. Else raise max_iter or coefficient_bound"
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


class LogisticRegression(LinearModel):
    """Binary logistic regression on shares: by mini-batch gradient descent, or by Newton's method with standard errors.

    Loss: mean over the rows of w(y) * log-loss, plus alpha / 2 * |coef|^2 (the intercept is not penalised); the same as
    scikit-learn's with C = 1 / (alpha * sum of the sample weights).

    solver "sgd": learning_rate, final_learning_rate (the rate falls in a straight line from the first to the second;
    None: constant), epochs, batch_size. The order of the rows is public and fixed by ``random_state``. Per step, for a
    batch of B rows: 2 rounds for X w, about 6 for the sigmoid, 2 for the gradient. Means are over the rows of a
    batch, padding counted.

    solver "newton": ``max_iter`` steps, each a pass over all rows: about 180 rounds for 64 columns, and per party 10.25
    bytes an element of x. Sets ``standard_errors_`` (from the inverse Hessian, penalty included; 0 for a constant
    column) and ``decrement_``, the last squared step in units of the loss: its root times the root of the rows is how
    many standard errors the last step had. RangeViolated if the decrement exceeds ``tol`` (None: not checked), the
    Hessian is singular (collinear columns), or less than 1 row in 2^17 is of either class. Secret weights below 0 raise
    it too.

    alpha: L2 strength. class_weight: (for 0, for 1) or None. coefficient_bound: |coef| stays below it. All guards of an
    epoch, or of Newton's steps, are opened as one flag 'range ok'; nothing else is opened.
    """

    def __init__(
        self,
        *,
        learning_rate: float = 0.1,
        final_learning_rate: float | None = None,
        epochs: int = 5,
        batch_size: int = 1024,
        alpha: float = 0.0,
        class_weight: tuple[float, float] | None = None,
        fit_intercept: bool = True,
        coefficient_bound: float = 32.0,
        random_state: int = 0,
        on_epoch: Callable[[int, SecureArray], str | None] | None = None,
        solver: str = "sgd",
        max_iter: int = 8,
        tol: float | None = 1e-3,
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
        rows = rows_of("LogisticRegression", x, y, valid=valid, sample_weight=sample_weight)
        self.units_ = rows.units
        target = self._target(rows)
        if self.solver == "newton":
            self._fit_newton(rows, target)
        else:
            self._fit_sgd(rows, target, order)
        return self

    def _fit_newton(self, rows: Rows, y: SecureArray) -> None:
        factor = None
        if self.class_weight is not None:
            zero, one = self.class_weight
            factor = y * (one - zero) + zero
        context = y._context
        with checked("LogisticRegression", context, _HINT):
            given = Predictors.of("LogisticRegression", rows, self.fit_intercept, self.alpha > 0, factor)
            start = context.constant(np.zeros(given.columns))
            if self.fit_intercept:
                share = divide(given.mean(y), given.mean(context.constant(np.ones(y.shape[0], np.int64))), at_most=64.0)
                share = share._stated(1.01)
                for rare in (share < _RAREST, share > 1 - _RAREST):
                    context.guard(rare.numeric()._ring_share())
                start = joined([start[:-1], logit(share)])
            found = newton(
                given, Binomial(y), start, alpha=self.alpha, steps=self.max_iter,
                coefficient_bound=self.coefficient_bound, tol=self.tol,
            )  # fmt: skip
            self.standard_errors_ = found.information.standard_errors(2.0**-given.shift)
        self.learnt(found.coef, self.fit_intercept, given.names)
        self.decrement_ = found.decrement

    def _fit_sgd(self, rows: Rows, y: SecureArray, order: Order | None) -> None:
        x, context = rows.x, rows.x._context
        weighted = inputs = x
        if self.class_weight is not None or rows.weight is not None:  # the column of ones has weights, too
            weighted = inputs = with_intercept(x, rows.valid) if self.fit_intercept else x
            weighted = self._weighted(inputs, y)
            if rows.weight is not None:
                negative = (rows.weight < 0).numeric().sum()._ring_share()
                context.guard(negative, "LogisticRegression: sample_weight is at least 0")
                weighted = weighted * rows.weight.reshape((-1, 1))
        columns = x.shape[1] + self.fit_intercept
        batches = (
            order if order is not None else batch_order(x.shape[0], self.batch_size, self.epochs, self.random_state)
        )
        per_epoch = max(1, len(batches) // self.epochs)
        state = SGDState(context.constant(np.zeros(columns)))
        state.coef = state.coef._stated(self.coefficient_bound)
        for chosen in batches:
            last = (state.step + 1) % per_epoch == 0
            x_batch = inputs[chosen]
            if x_batch.shape[1] < columns:  # here, for a wider copy of the whole matrix costs more
                x_batch = with_intercept(x_batch, None if rows.valid is None else rows.valid[chosen])
            weighted_batch = x_batch if weighted is inputs else weighted[chosen]
            state = self.step(state, x_batch, weighted_batch, y[chosen], len(batches), last)
            note = f"epoch {(state.step - 1) // per_epoch + 1}/{self.epochs}"
            if last:
                state.coef = state.coef.assume_bound(self.coefficient_bound)
                context.check_guards()
                if self.on_epoch is not None and state.squared_error is not None:
                    note += f", {self.on_epoch(state.step // per_epoch, state.squared_error) or ''}".rstrip(", ")
            else:
                state.coef = state.coef._stated(self.coefficient_bound)  # checked at the end of the epoch
            context.progress(state.step, len(batches), note)
        names = (*rows.names, "intercept") if self.fit_intercept else rows.names
        self.learnt(state.coef, self.fit_intercept, names)

    def step(
        self, state: SGDState, x: SecureArray, weighted: SecureArray, y: SecureArray, steps: int, measure: bool
    ) -> SGDState:
        """One gradient step on a batch: coef <- coef - rate (weighted^T (p - y) / B + alpha coef)."""
        rate = self._rate(state.step, steps)
        # rate / B = c * 2^-k: c goes into the sigmoid, 2^-k into the truncation of the gradient: both for nothing.
        c, exponent = math.frexp(rate / x.shape[0])
        error = sigmoid(x @ state.coef, factor=c) - y * c
        gradient = weighted.T.matmul(error, factor=2.0**exponent)
        coef = state.coef - gradient
        if self.alpha:
            coef = coef - state.coef * self._penalty(x.shape[1], rate)
        squared = None
        if measure and self.on_epoch is not None:
            squared = error.matmul(error) * (1.0 / (c * c * x.shape[0]))
        return SGDState(coef, state.step + 1, squared)

    def predict_proba(self, x: Table | SecureArray) -> SecureArray:
        """Probability of class 1 for each row, secret; error of the sigmoid at most 1.5e-4."""
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
        if self.solver not in ("sgd", "newton"):
            raise UsageError(f"LogisticRegression: expected solver 'sgd' or 'newton', got {self.solver!r}")
        check_positive(
            "LogisticRegression", epochs=self.epochs, batch_size=self.batch_size, max_iter=self.max_iter,
            alpha=float(self.alpha),
        )  # fmt: skip
        if not self.learning_rate > 0:
            raise UsageError(f"LogisticRegression: expected learning_rate > 0, got {self.learning_rate}")
        if self.class_weight is not None and min(self.class_weight) < 0:
            raise UsageError(f"LogisticRegression: expected class weights of at least 0, got {self.class_weight}")
        return as_flags(y, "LogisticRegression: y", advice=OTHER_LABELS)

    def _instead(self) -> str:
        return "take solver='newton'"

    def _weighted(self, x: SecureArray, y: SecureArray) -> SecureArray:
        """Rows times their class weight: computed once, so that weights cost nothing in a step."""
        if self.class_weight is None:
            return x
        zero, one = self.class_weight
        return x * (y * (one - zero) + zero).reshape((-1, 1))

    def _rate(self, step: int, steps: int) -> float:
        first = self.learning_rate
        last = first if self.final_learning_rate is None else self.final_learning_rate
        return learning_rate(first, last, step, steps)

    def _penalty(self, width: int, rate: float) -> npt.NDArray[np.float64]:
        penalty = np.full(width, rate * self.alpha)
        if self.fit_intercept:
            penalty[-1] = 0.0
        return penalty
