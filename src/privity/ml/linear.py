"""Linear models trained on shares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import sigmoid
from .estimator import with_intercept

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


class LogisticRegression:
    """Binary logistic regression by mini-batch gradient descent on shares.

    Loss: mean over a batch of w(y) * log-loss, plus alpha / 2 * |coef|^2 (the intercept is not penalised).

    learning_rate, final_learning_rate: the rate falls in a straight line from the first to the second (None: constant).
    alpha: L2 strength. class_weight: (for 0, for 1) or None. coefficient_bound: |coef| stays below it, checked by one
    secret flag per epoch that is opened as 'range ok'. The order of the rows is public and fixed by ``random_state``.

    Per step, for a batch of B rows: 3 rounds for X w, 14 for the sigmoid at most, 3 for the gradient; no value is
    opened. Agreement with the same loop in float64: see docs/performance.md. After fit: ``coef_`` (d,) and
    ``intercept_`` (), secret.
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

    def fit(
        self, x: SecureArray, y: SecureArray, *, valid: SecureArray | None = None, order: Order | None = None
    ) -> LogisticRegression:
        """Train on x (n, d) and y (n,) of 0/1 integers; ``valid`` (n,) marks real rows. Raises UsageError, ShapeError.

        ``order`` replaces the order of the rows (``batch_order``).
        """
        self._check(x, y)
        session = x.session
        inputs = with_intercept(x, valid) if self.fit_intercept else x
        weighted = self._weighted(inputs, y)
        batches = (
            order if order is not None else batch_order(x.shape[0], self.batch_size, self.epochs, self.random_state)
        )
        per_epoch = max(1, len(batches) // self.epochs)
        state = SGDState(session.constant(np.zeros(inputs.shape[1])))
        state.coef = state.coef.stated(self.coefficient_bound)
        for rows in batches:
            last = (state.step + 1) % per_epoch == 0
            x_batch = inputs[rows]
            weighted_batch = x_batch if weighted is inputs else weighted[rows]
            state = self.step(state, x_batch, weighted_batch, y[rows], len(batches), last)
            note = f"epoch {(state.step - 1) // per_epoch + 1}/{self.epochs}"
            if last:
                state.coef = state.coef.assume_bound(self.coefficient_bound)
                session.check_guards()
                if self.on_epoch is not None and state.squared_error is not None:
                    note += f", {self.on_epoch(state.step // per_epoch, state.squared_error) or ''}".rstrip(", ")
            else:
                state.coef = state.coef.stated(self.coefficient_bound)  # checked at the end of the epoch
            session.progress(state.step, len(batches), note)
        self.coef_ = state.coef[:-1] if self.fit_intercept else state.coef
        self.intercept_ = state.coef[-1] if self.fit_intercept else session.constant(0.0)
        self.coefficients_ = state.coef
        return self

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

    def decision_function(self, x: SecureArray) -> SecureArray:
        """x @ coef + intercept, secret."""
        return x @ self.coef_ + self.intercept_

    def predict_proba(self, x: SecureArray) -> SecureArray:
        """Probability of class 1 for each row, secret; error of the sigmoid at most 1.5e-4."""
        return sigmoid(self.decision_function(x))

    def predict(self, x: SecureArray) -> SecureArray:
        """Secret booleans: decision above 0."""
        return self.decision_function(x) > 0

    def _check(self, x: SecureArray, y: SecureArray) -> None:
        if x.ndim != 2 or y.shape != (x.shape[0],):
            raise ShapeError(
                f"LogisticRegression: expected x of shape (n, d) and y of shape (n,), got {x.shape}, {y.shape}"
            )
        if x.shape[0] == 0:
            raise ShapeError("LogisticRegression: no rows to train on")
        if y.kind == "fixed":
            raise UsageError("LogisticRegression: expected y as 0/1 integers or booleans, got fixed-point values")
        for name, value, low in (("epochs", self.epochs, 1), ("batch_size", self.batch_size, 1)):
            if value < low:
                raise UsageError(f"LogisticRegression: expected {name} >= {low}, got {value}")
        if not self.learning_rate > 0 or self.alpha < 0:
            raise UsageError("LogisticRegression: expected learning_rate > 0 and alpha >= 0")

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
