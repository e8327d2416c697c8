"""Metrics on shares, with scikit-learn's names: secret until the caller reveals them."""

from __future__ import annotations

from ..array import SecureArray
from ..errors import ShapeError
from ..functions import reciprocal


def _same_shape(y_true: SecureArray, other: SecureArray, what: str) -> None:
    if y_true.shape != other.shape or y_true.ndim != 1 or y_true.shape[0] == 0:
        raise ShapeError(f"{what}: expected two arrays of shape (n,) with n > 0, got {y_true.shape} and {other.shape}")


def _mean_over_rows(values: SecureArray, valid: SecureArray | None) -> SecureArray:
    """Mean over the real rows; at least a sixteenth of the rows must be real (guarded)."""
    rows = values.shape[0]
    if valid is None:
        return values.sum() * (1.0 / rows)
    _same_shape(values, valid, "valid")
    share_of_rows = valid.sum().multiply(1.0 / rows, scale=24)
    return (values * valid).sum().multiply(1.0 / rows, scale=24) * reciprocal(share_of_rows, at_most=16.0, scale=24)


def accuracy_score(y_true: SecureArray, y_pred: SecureArray, *, valid: SecureArray | None = None) -> SecureArray:
    """Share of right predictions: ``y_true`` 0/1 integers or booleans, ``y_pred`` secret booleans. Secret scalar.

    ``valid`` (n,): secret 0/1 integers that mark the real rows; padding does not count.
    """
    _same_shape(y_true, y_pred, "accuracy_score")
    proto = y_true.session.protocol
    truth = y_true if y_true.kind == "bool" else SecureArray(y_true.session, proto.a2bits(y_true.ring_share()))
    return _mean_over_rows((~(truth ^ y_pred)).numeric(), valid)


def brier_score_loss(y_true: SecureArray, y_proba: SecureArray, *, valid: SecureArray | None = None) -> SecureArray:
    """Mean of (probability - label)^2 over the real rows (``valid`` as in accuracy_score). Secret scalar."""
    _same_shape(y_true, y_proba, "brier_score_loss")
    error = y_proba - y_true
    if valid is None:
        return error.matmul(error) * (1.0 / y_true.shape[0])
    return _mean_over_rows(error * error, valid)
