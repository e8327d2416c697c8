"""The boosted-trees row of both demos: the same trees on shares and in the clear, judged on rows they did not see.

A public random quarter of the rows that the program has is left out of the training; of these rows the ROC AUC alone is
opened. In the clear: scikit-learn's HistGradientBoosting with the same depth, bins, rounds and rate on the pooled rows.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from .result import TreesLine
from .trees_program import BINS, DEPTH, LEFT_OUT, RATE, ROUNDS, SEED


def compare_trees(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], secure: float, seconds: float, *, same_rows: bool
) -> TreesLine:
    """The opened AUC beside that of the clear model on pooled rows ``x`` (n, d), NaN in empty cells.

    ``same_rows``: whether they stand in the order of the secure run, so that the same rows are left out; else the mean
    over five random quarters.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score as plain_score

    scores, begun = [], time.perf_counter()
    for seed in [SEED] if same_rows else range(SEED, SEED + 5):
        order = np.random.default_rng(seed).permutation(len(y))
        held = round(len(y) * LEFT_OUT)
        test, training = np.sort(order[:held]), np.sort(order[held:])
        model = HistGradientBoostingClassifier(
            max_iter=ROUNDS, max_depth=DEPTH, max_bins=BINS, learning_rate=RATE, l2_regularization=1.0,
            min_samples_leaf=1, max_leaf_nodes=None, early_stopping=False,
        ).fit(x[training], y[training])  # fmt: skip
        scores.append(plain_score(y[test], model.predict_proba(x[test])[:, 1]))
    plain_s = (time.perf_counter() - begun) / len(scores)
    return TreesLine(ROUNDS, DEPTH, BINS, round(len(y) * LEFT_OUT), secure, float(np.mean(scores)), seconds, plain_s)
