"""Metrics by name, each a number that is larger for a better model: for model selection and permutation importance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...array import SecureArray
from ...errors import UsageError
from ...table import Table
from ...words import near
from . import classification, ranking, regression

Scorer = Callable[..., SecureArray]
"""scorer(estimator, x, y, valid=None, sample_weight=None) -> secret scalar."""

_CLASSES: dict[str, Any] = {
    "accuracy": classification.accuracy_score,
    "precision": classification.precision_score,
    "recall": classification.recall_score,
    "f1": classification.f1_score,
}
_PROBABILITIES: dict[str, Any] = {
    "neg_log_loss": classification.log_loss,
    "neg_brier_score": classification.brier_score_loss,
}
_SCORES: dict[str, Any] = {
    "roc_auc": ranking.roc_auc_score,
    "average_precision": ranking.average_precision_score,
    "ks": ranking.ks_statistic,
}
_NUMBERS: dict[str, Any] = {
    "r2": regression.r2_score,
    "neg_mean_squared_error": regression.mean_squared_error,
    "neg_root_mean_squared_error": regression.root_mean_squared_error,
    "neg_mean_absolute_error": regression.mean_absolute_error,
}
NAMES = tuple(sorted([*_CLASSES, *_PROBABILITIES, *_SCORES, *_NUMBERS]))


def scorer_of(scoring: str | Scorer | None) -> Scorer:
    """The scorer of a name (``NAMES``, as in scikit-learn), a function as it is, or for None the estimator's ``score``.

    Raises UsageError.
    """
    if scoring is None:
        return _own
    if callable(scoring):
        return scoring
    if scoring not in NAMES:
        meant = near(str(scoring), NAMES)
        raise UsageError(f"scoring: expected a function or one of {', '.join(NAMES)}; got {scoring!r}{meant}")
    name = scoring

    def score(
        estimator: Any, x: Any, y: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
    ) -> SecureArray:
        metric = {**_CLASSES, **_PROBABILITIES, **_SCORES, **_NUMBERS}[name]
        guess = _answers(estimator, x, name)
        if name in _CLASSES and guess.kind == "fixed":
            numbers = ", ".join(sorted(_NUMBERS))
            raise UsageError(f"scoring={name!r}: {type(estimator).__name__} predicts numbers; take one of {numbers}")
        value: SecureArray = metric(y, guess, valid=valid, sample_weight=sample_weight)
        return -value if name.startswith("neg_") else value

    return score


def _own(
    estimator: Any, x: Any, y: SecureArray, *, valid: SecureArray | None = None, sample_weight: Any = None
) -> SecureArray:
    if not hasattr(estimator, "score"):
        raise UsageError(f"scoring: {type(estimator).__name__} has no score of its own; name one of {', '.join(NAMES)}")
    masks = {} if isinstance(x, Table) else {"valid": valid}
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    value: SecureArray = estimator.score(x, y, **masks, **weights)
    return value


def _answers(estimator: Any, x: Any, name: str) -> SecureArray:
    """What the metric needs of the estimator."""
    if name in _PROBABILITIES:
        guess: SecureArray = estimator.predict_proba(x)
        return guess[:, 1] if guess.ndim == 2 and guess.shape[1] == 2 else guess
    if name in _SCORES:
        if hasattr(estimator, "decision_function"):
            return estimator.decision_function(x)  # type: ignore[no-any-return]
        return _answers(estimator, x, "neg_log_loss")
    return estimator.predict(x)  # type: ignore[no-any-return]
