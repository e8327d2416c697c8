"""Metrics on shares, with scikit-learn's names: secret until the caller reveals them."""

from __future__ import annotations

from ..array import SecureArray
from ..errors import ShapeError


def _same_shape(y_true: SecureArray, other: SecureArray, what: str) -> None:
    if y_true.shape != other.shape or y_true.ndim != 1 or y_true.shape[0] == 0:
        raise ShapeError(f"{what}: expected two arrays of shape (n,) with n > 0, got {y_true.shape} and {other.shape}")


def accuracy_score(y_true: SecureArray, y_pred: SecureArray) -> SecureArray:
    """Share of right predictions: ``y_true`` 0/1 integers or booleans, ``y_pred`` secret booleans. Secret scalar."""
    _same_shape(y_true, y_pred, "accuracy_score")
    proto = y_true.session.protocol
    truth = y_true if y_true.kind == "bool" else SecureArray(y_true.session, proto.a2bits(y_true.ring_share()))
    return (~(truth ^ y_pred)).sum() * (1.0 / y_true.shape[0])


def brier_score_loss(y_true: SecureArray, y_proba: SecureArray) -> SecureArray:
    """Mean of (probability - label)^2. Secret scalar."""
    _same_shape(y_true, y_proba, "brier_score_loss")
    error = y_proba - y_true
    return error.matmul(error) * (1.0 / y_true.shape[0])
