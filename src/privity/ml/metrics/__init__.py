"""Metrics on shares, with scikit-learn's names: secret until the caller reveals them, one number at a time.

Each takes secret arrays of n rows, a secret mask of the rows that are real (``valid``; their number stays secret) and
``sample_weight``, and returns a secret scalar. What is undefined (a single class, no rows) cannot raise, as that would
tell: it is a value that each docstring names. Ranges, errors and costs: docs/metrics.md.
"""

from .classification import (
    CalibrationBins,
    accuracy_score,
    brier_score_loss,
    calibration_curve,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)
from .importance import Importances, permutation_importance
from .ranking import UNDEFINED, average_precision_score, ks_statistic, roc_auc_score
from .regression import mean_absolute_error, mean_squared_error, r2_score, root_mean_squared_error
from .survival import concordance_index

__all__ = [
    "UNDEFINED",
    "CalibrationBins",
    "Importances",
    "accuracy_score",
    "average_precision_score",
    "brier_score_loss",
    "calibration_curve",
    "concordance_index",
    "confusion_matrix",
    "f1_score",
    "ks_statistic",
    "log_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "permutation_importance",
    "precision_score",
    "r2_score",
    "recall_score",
    "roc_auc_score",
    "root_mean_squared_error",
]
