"""Boosted trees on shares beside XGBoost, on rows that neither learnt from: the table of docs/models/boosting.md.

    python benchmarks/bench_trees_accuracy.py [NAME ...]

Five real data sets at full size, three parties in this process; a minute or two in all. XGBoost's tree_method="hist"
has the same depth, bins, rounds, rate and first prediction; its thresholds come from a sketch, so it is trained once
more on the bins that quantiles of the training rows give. ROC AUC (of several classes the mean of one against the
rest), R2 for numbers, over all rows that were left out in turn.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost
from sklearn.metrics import r2_score, roc_auc_score

import privity as pv
from privity.bench.datasets import SETS, DataSet
from privity.data.thresholds import quantile_edges
from privity.ml.trees.bins import EDGE_ROWS, own_edges
from privity.ml.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor

BINS = 32
OPTIONS: dict[str, dict[str, Any]] = {
    "credit": {"n_estimators": 20, "max_depth": 4, "learning_rate": 0.3},
    "support2": {"n_estimators": 20, "max_depth": 4, "learning_rate": 0.3},
    "cancer": {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3},
    "wine": {"n_estimators": 15, "max_depth": 3, "learning_rate": 0.3},
    "diabetes": {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.2},
}


def in_bins(data: DataSet, test: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """All rows by the number of their bin, NaN in empty cells: the thresholds that trees on shares take."""
    training = data.x[~test]
    training = training[np.unique(np.linspace(0, len(training) - 1, min(len(training), EDGE_ROWS)).astype(np.int64))]
    made = np.full(data.x.shape, np.nan)
    for k, field in enumerate(data.fields):
        own = own_edges(field, BINS - 1)
        edges = np.asarray(quantile_edges(training[:, k], BINS) if own is None else own * field.unit)
        full = ~np.isnan(data.x[:, k])
        made[full, k] = np.searchsorted(np.unique(edges), data.x[full, k], side="right")
    return made


def predicted(data: DataSet, test: npt.NDArray[np.bool_], options: dict[str, Any]) -> list[Any]:
    """Probabilities or numbers for the rows ``test``: on shares, XGBoost's, XGBoost's on the same bins."""
    start = 0.5 if data.classes else float(data.y[~test].mean())
    options = {**options, "base_score": start}

    def program(s: pv.Session) -> Any:
        model = GradientBoostingClassifier(data.classes, max_bins=BINS, **options) if data.classes else None
        fitted = (model or GradientBoostingRegressor(max_bins=BINS, **options)).fit(s.table("training"))
        asked = fitted.predict_proba if data.classes else fitted.predict
        return s.reveal(asked(s.table("test")), to="all", name="predictions", reason="accuracy")

    inputs, tables = data.tables(test)
    ours = pv.simulate(program, inputs={"owner": inputs}, tables=tables, timeout_s=900.0).output
    kind = xgboost.XGBClassifier if data.classes else xgboost.XGBRegressor
    found = [ours]
    for x, most in ((data.x, BINS), (in_bins(data, test), 2 * BINS)):
        other = kind(tree_method="hist", max_bin=most, n_jobs=1, **options).fit(x[~test], data.y[~test])
        theirs = other.predict_proba(x[test]) if data.classes else other.predict(x[test])
        found.append(theirs[:, 1] if data.classes == 2 else theirs)
    return found


def scores(data: DataSet, options: dict[str, Any]) -> list[float]:
    """On shares, of XGBoost, of XGBoost on the same bins: over all rows that are left out in turn."""
    parts = [predicted(data, test, options) for test in data.folds]
    target = np.concatenate([data.y[test] for test in data.folds])

    def score(given: Any) -> float:
        if not data.classes:
            return float(r2_score(target, given))
        if data.classes > 2:
            given = given / given.sum(axis=1, keepdims=True)
        return float(roc_auc_score(target, given, multi_class="ovr"))

    return [score(np.concatenate(given)) for given in zip(*parts, strict=True)]


if __name__ == "__main__":
    print("| Data (rows x columns) | trees, depth, rate | on shares | XGBoost | XGBoost, same bins |")
    print("|---|---|---:|---:|---:|")
    for name in sys.argv[1:] or OPTIONS:
        data, options = SETS[name](), OPTIONS[name]
        begun = time.perf_counter()
        found = " | ".join(f"{s:.4f}" for s in scores(data, options))
        size = f"{data.name} ({data.x.shape[0]:,} x {data.x.shape[1]})"
        how = f"{options['n_estimators']}, {options['max_depth']}, {options['learning_rate']}"
        print(f"| {size} | {how} | {found} |", flush=True)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
