"""What the banks demo compares the secure run with: the same loop in the clear, scikit-learn, and each bank alone.

Everything here is a pure function of plain arrays, for the demonstration only: in a real consortium nobody could hold
the pooled rows that ``centralised`` and the float64 loop need. The secure program takes its hyper-parameters, its
batches and its learning rates from ``Training``, so that the two loops differ in nothing but the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from privity.demo.bootstrap import paired_gains
from privity.demo.result import Coefficient, Evaluation, Metric, Training
from privity.errors import ShapeError
from privity.ml.linear import batch_order, learning_rate

Floats = npt.NDArray[np.float64]
Rows = tuple[Floats, Floats]
"""Features, shape (rows, d), in the units of ``OwnerTable.values``; and labels, shape (rows,), 0 or 1."""


@dataclass(frozen=True, slots=True)
class Model:
    """A logistic regression on standardised features.

    coef: shape (d + 1,), the intercept last. mean, sd: shape (d,), of the rows it was trained on.
    """

    coef: Floats
    mean: Floats
    sd: Floats

    def decision(self, x: Floats) -> Floats:
        """Log-odds for rows ``x`` of shape (rows, d); raises ShapeError if d differs."""
        if x.ndim != 2 or x.shape[1] + 1 != len(self.coef):
            raise ShapeError(f"expected rows of {len(self.coef) - 1} features, found an array of shape {x.shape}.")
        decision: Floats = standardise(x, self.mean, self.sd) @ self.coef[:-1] + self.coef[-1]
        return decision


def moments(x: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column of ``x``; 1 in place of the deviation of a constant column."""
    sd = x.std(axis=0)
    return x.mean(axis=0), np.where(sd == 0.0, 1.0, sd)


def standardise(x: Floats, mean: Floats, sd: Floats) -> Floats:
    """(x - mean) / sd per column; x: (rows, d)."""
    standardised: Floats = (x - mean) / sd
    return standardised


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) without overflow."""
    half: Floats = 0.5 * np.tanh(0.5 * x) + 0.5
    return half


def _rates(steps: int, training: Training) -> list[float]:
    return [learning_rate(training.learning_rate, training.final_learning_rate, k, steps) for k in range(steps)]


def sgd_logistic(
    x: Floats,
    y: Floats,
    training: Training,
    *,
    order: Sequence[npt.NDArray[np.int64]] | None = None,
    sigmoid: Callable[[Floats], Floats] = sigmoid,
) -> Floats:
    """Mini-batch SGD for L2-penalised, class-weighted logistic regression: the secure loop, in float64.

    x: (rows, d), standardised; y: (rows,), 0 or 1; order: the batches (default: ``batch_order``). Starts at the
    log-odds of the weighted share of label 1.
    Gradient of a step: X^T((p - y) * w) / batch + l2 * coef, the intercept not penalised.
    Returns the coefficients, shape (d + 1,), the intercept last. Raises ShapeError if x and y do not fit.
    """
    if x.ndim != 2 or y.shape != (len(x),):
        raise ShapeError(f"expected x of shape (rows, d) and y of shape (rows,), found {x.shape} and {y.shape}.")
    batches = batch_order(len(x), training.batch, training.epochs, training.seed) if order is None else order
    with_one = np.column_stack([x, np.ones(len(x))])
    weight = np.where(y > 0.5, training.class_weight[1], training.class_weight[0])
    penalty = np.full(x.shape[1] + 1, training.l2)
    penalty[-1] = 0.0
    coef = np.zeros(x.shape[1] + 1)
    share = float((weight * y).sum() / weight.sum())
    coef[-1] = math.log(share / (1 - share)) if 0 < share < 1 else 0.0
    for rows, rate in zip(batches, _rates(len(batches), training), strict=True):
        batch = with_one[rows]
        error = (sigmoid(batch @ coef) - y[rows]) * weight[rows]
        coef -= rate * (batch.T @ error / len(rows) + penalty * coef)
    return coef


def fit_alone(x: Floats, y: Floats, training: Training) -> Model:
    """scikit-learn's optimum of the same loss on these rows with their own standardisation. x: (rows, d)."""
    mean, sd = moments(x)
    # Ours is the mean loss + l2/2 |coef|^2; scikit-learn's is C * the sum of losses + 1/2 |coef|^2.
    estimator = LogisticRegression(
        C=1.0 / (training.l2 * len(x)),
        class_weight=dict(enumerate(training.class_weight)),
        max_iter=5000,
        tol=1e-8,
    )
    estimator.fit(standardise(x, mean, sd), y)
    return Model(np.append(estimator.coef_[0], estimator.intercept_[0]), mean, sd)


def pool(banks: Mapping[str, Rows]) -> Rows:
    """All banks' rows, one bank after the other in the mapping's order: the order of the rows in the secure run too."""
    return np.concatenate([x for x, _ in banks.values()]), np.concatenate([y for _, y in banks.values()])


def same_loop(banks: Mapping[str, Rows], training: Training) -> Model:
    """The secure run's loop on the pooled rows in float64."""
    x, y = pool(banks)
    mean, sd = moments(x)
    return Model(sgd_logistic(standardise(x, mean, sd), y, training), mean, sd)


def evaluate(
    names: Sequence[str],
    banks: Mapping[str, Rows],
    holdout: Rows,
    joint: Model,
    loop: Model,
    training: Training,
    *,
    resamples: int = 2000,
) -> Evaluation:
    """Compare the secure model with everything it should be compared with, on the common hold-out.

    names: of the d features. banks: each bank's rows. joint: the model that the secure run opened. loop: the same loop
    in float64 (``same_loop``). resamples: of the paired bootstrap (fixed seed).
    Raises ShapeError if the models and rows do not have the same features.
    """
    x, y = holdout
    if joint.coef.shape != loop.coef.shape or len(names) + 1 != len(joint.coef):
        raise ShapeError(
            f"expected {len(names)} coefficients and an intercept from both loops, "
            f"found {joint.coef.shape} and {loop.coef.shape}."
        )
    alone = {bank: fit_alone(*rows, training).decision(x) for bank, rows in banks.items()}
    together = joint.decision(x)
    centralised = fit_alone(*pool(banks), training).decision(x)
    metrics = {
        name: Metric(
            alone={bank: float(score(y, decision)) for bank, decision in alone.items()},
            joint=float(score(y, together)),
            centralised=float(score(y, centralised)),
        )
        for name, score in (("auc", roc_auc_score), ("average_precision", average_precision_score))
    }
    gains = paired_gains(y, together, alone, resamples=resamples)
    auc = metrics["auc"]
    return Evaluation(
        auc=auc,
        average_precision=metrics["average_precision"],
        auc_gain=gains.auc,
        average_precision_gain=gains.average_precision,
        auc_difference_to_centralised=abs(auc.joint - auc.centralised),
        auc_same_loop=float(roc_auc_score(y, loop.decision(x))),
        max_coef_difference=float(np.max(np.abs(joint.coef - loop.coef))),
        coefficients=[
            Coefficient(name=name, secure=float(ours), plain=float(theirs))
            for name, ours, theirs in zip([*names, "(intercept)"], joint.coef, loop.coef, strict=True)
        ],
    )
