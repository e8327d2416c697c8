"""Metrics of predicted classes and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...array import SecureArray
from ...disclosure import release, release_table
from ...errors import UsageError
from ...functions import clip, concatenate, log, matmul, one_hot, stack
from ...functions.nullable import listwise
from ...functions.ratio import ratio
from ..parameters import arguments
from .sample import binary, check_rows, counted_weights, probability, row_weights, weighted_share, weighted_sum


@arguments
@listwise
def accuracy_score(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Share of right predictions: labels as booleans or whole numbers, of any number of classes. Secret scalar.

    ``valid`` (n,): secret booleans, or integers that are checked to be 0 or 1, that mark the real rows; padding does
    not count. Error: that of a mean (exact count; relative 2^-20 with a mask). Rounds: one AND (classes: a zero test),
    a conversion, and 46 with a mask.
    """
    check_rows("accuracy_score", y_true, y_pred)
    weight = row_weights("accuracy_score", y_true, valid, sample_weight)
    if y_pred.kind == "bool":
        proto = y_true._context.protocol
        labels = y_true if y_true.kind == "bool" else binary("accuracy_score", y_true, "y_true", valid)
        truth = labels if labels.kind == "bool" else SecureArray(y_true._context, proto.a2bits(labels._ring_share()))
        right = ~(truth ^ y_pred)
    else:
        right = y_true.numeric() == y_pred
    return weighted_share(right.numeric(), weight)


@arguments
@listwise
def log_loss(
    y_true: SecureArray, y_proba: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Mean of -log of the probability given to the true class. Secret scalar.

    ``y_proba``: (n,), the probability of class 1 for labels that are flags; or (n, k), those of k classes for labels
    that are whole numbers from 0 to k - 1 (a label outside them counts as a probability of 0).
    Probabilities below one unit in the last place (2^-18) of the true class count as one unit, so a single row costs
    12.5 at most (scikit-learn: 36). Error: at most 2^-16. Rounds: a product, a logarithm (31) and a mean.
    """
    several = isinstance(y_proba, SecureArray) and y_proba.ndim == 2 and y_proba.shape[1] > 1
    check_rows("log_loss", y_true, y_proba[:, 0] if several else y_proba)
    weight = row_weights("log_loss", y_true, valid, sample_weight)
    p = probability(y_proba)
    if several:
        labels = one_hot(y_true.numeric(), p.shape[1])
        given = (labels * p).sum(1)._stated(1.0 + 2.0**-7)
    else:
        labels = binary("log_loss", y_true, "y_true", valid)
        given = (1 - p + labels * (p * 2 - 1))._stated(1.0 + 2.0**-7)
    loss = -log(clip(given, 2.0**-p.scale, 1.0))
    return weighted_share(loss._stated(min(loss.bound, 0.7 * p.scale + 1)), weight)


@arguments
@listwise
def brier_score_loss(
    y_true: SecureArray, y_proba: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Mean of (probability - label)^2 over the rows that count. Secret scalar. Error: 1 ulp; rounds: 3, or 50."""
    check_rows("brier_score_loss", y_true, y_proba)
    weight = row_weights("brier_score_loss", y_true, valid, sample_weight)
    error = probability(y_proba) - binary("brier_score_loss", y_true, "y_true", valid)
    if weight is None:
        return error.matmul(error) * (1.0 / y_true.shape[0])
    error = error._stated(1.0 + 2.0**-7)
    return weighted_share(error * error, weight)


# -- counts of right and wrong ---------------------------------------------------------------------------------------


@arguments
@listwise
def confusion_matrix(
    y_true: SecureArray,
    y_pred: SecureArray,
    *,
    classes: int = 2,
    valid: SecureArray | None = None,
    sample_weight: Any = None,
) -> SecureArray:
    """Rows by true class (first axis) and predicted class: (classes, classes), whole numbers if there are no weights.

    Labels: booleans or whole numbers 0 to classes - 1; others count nowhere. Open it with ``disclosure.release_table``:
    its cells are counts of rows. Exact. Rounds: one-hot forms (about 10) and one product; two classes: one product.
    """
    check_rows("confusion_matrix", y_true, y_pred)
    if classes < 2:
        raise UsageError(f"confusion_matrix: expected classes >= 2, got {classes}")
    weight = counted_weights("confusion_matrix", y_true, valid, sample_weight)
    sides = []
    for name, y in (("y_true", y_true), ("y_pred", y_pred)):
        if classes == 2:
            one = binary("confusion_matrix", y, name, valid)
            sides.append(stack([(1 - one)._stated(1.0), one], axis=1))
        else:
            sides.append(one_hot(y.numeric(), classes))
    truth, guess = sides
    if weight is not None:
        truth = (truth * weight.reshape((-1, 1)))._stated(weight.bound)
    return matmul(truth.T, guess)


def _counts(what: str, y_true: SecureArray, y_pred: SecureArray, valid: Any, sample_weight: Any) -> list[SecureArray]:
    """Sums of weights: right positives, predicted positives, true positives."""
    check_rows(what, y_true, y_pred)
    weight = row_weights(what, y_true, valid, sample_weight)
    truth, guess = binary(what, y_true, "y_true", valid), binary(what, y_pred, "y_pred", valid)
    both = (truth * guess)._stated(1.0)
    totals = weighted_sum(stack([both, guess, truth], axis=1), weight)
    return [totals[0], totals[1], totals[2]]


@arguments
@listwise
def precision_score(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Share of the rows predicted as 1 that are 1; 0 where none is, as in scikit-learn. Secret scalar."""
    both, guess, _ = _counts("precision_score", y_true, y_pred, valid, sample_weight)
    return ratio(both, guess, 1.0)


@arguments
@listwise
def recall_score(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """Share of the rows that are 1 and predicted as 1; 0 where none is 1, as in scikit-learn. Secret scalar."""
    both, _, truth = _counts("recall_score", y_true, y_pred, valid, sample_weight)
    return ratio(both, truth, 1.0)


@arguments
@listwise
def f1_score(
    y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    """2 precision recall / (precision + recall); 0 where nothing is or is predicted as 1. Secret scalar."""
    both, guess, truth = _counts("f1_score", y_true, y_pred, valid, sample_weight)
    return ratio(both * 2, guess + truth, 1.0)


# -- calibration -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CalibrationBins:
    """Secret (bins,): ``counts`` of rows, ``prob_true`` share of label 1, ``prob_pred`` mean probability (0 if empty).

    ``edges``: public.
    """

    counts: SecureArray
    prob_true: SecureArray
    prob_pred: SecureArray
    edges: tuple[float, ...]

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """(2, bins) as float64: prob_true and prob_pred; NaN in bins of fewer rows than the minimum group.

        One opening of that shape.
        """
        values = stack([self.prob_true, self.prob_pred])
        return release(values._context, values, self.counts, to=to, name=name, reason=reason)

    def open_counts(self, *, to: Any, name: str, reason: str) -> Any:
        """Rows in each bin, float64, small ones NaN (``disclosure.release_table``); one opening of shape (bins,)."""
        return release_table(self.counts._context, self.counts, to=to, name=name, reason=reason)


@arguments
@listwise
def calibration_curve(
    y_true: SecureArray, y_proba: SecureArray, *, n_bins: int = 5, valid: SecureArray | None = None
) -> CalibrationBins:
    """Predicted against observed probability in ``n_bins`` bins of equal width.

    As ``sklearn.calibration.calibration_curve`` with strategy "uniform", but empty bins stay. Error 2^-18. Rounds: a
    comparison of each row with n_bins - 1 edges, one product, one division.
    """
    n = check_rows("calibration_curve", y_true, y_proba)
    if n_bins < 1:
        raise UsageError(f"calibration_curve: expected n_bins >= 1, got {n_bins}")
    mask = row_weights("calibration_curve", y_true, valid, None)
    labels, p = binary("calibration_curve", y_true, "y_true", valid), probability(y_proba)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    one = p._context.constant(np.ones((n, 1), np.int64))
    if n_bins > 1:  # a value on an edge belongs to the bin below, as in scikit-learn
        above = (p.reshape((n, 1)) > edges[1:-1].reshape((1, -1))).numeric()
        inside = (concatenate([one, above], axis=1) - concatenate([above, one * 0], axis=1))._stated(1.0)
    else:
        inside = one
    if mask is not None:
        inside = (inside * mask.reshape((n, 1)))._stated(1.0)
    counts = inside.sum(axis=0)
    hits = matmul(inside.T, labels)._stated(float(n))
    sums = matmul(inside.T, p)._stated(float(n) * p.bound)
    return CalibrationBins(counts, ratio(hits, counts, 1.0), ratio(sums, counts, p.bound), tuple(edges.tolist()))
