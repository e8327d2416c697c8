"""What both demos' programs run beside their model: boosted trees, judged on rows that were left out."""

from __future__ import annotations

import privity as pv
from privity.ml import GradientBoostingClassifier
from privity.ml.metrics import roc_auc_score

OPENED = "trees_auc"
ROUNDS, DEPTH, BINS, RATE, LEFT_OUT, SEED = 20, 3, 16, 0.3, 0.25, 7


def trees_auc(rows: pv.Table) -> pv.SecureArray:
    """The ROC AUC of boosted trees on the rows that were left out, secret."""
    training, rest = rows.split(LEFT_OUT, random_state=SEED)
    model = GradientBoostingClassifier(
        n_estimators=ROUNDS, max_depth=DEPTH, max_bins=BINS, learning_rate=RATE, random_state=SEED
    ).fit(training)
    assert rest.label is not None
    return roc_auc_score(rest.label, model.decision_function(rest), valid=rest.valid)
