"""Trees and forests on shares beside scikit-learn's, on rows left out of both: the table of docs/models/forest.md.

    python benchmarks/bench_forest_accuracy.py [NAME ...]

Real data, three parties in this process; some minutes in all. scikit-learn's trees see values, trees on shares 32 bins.
Forests are means over seeds, with the deviation between seeds: of 30 trees it is larger than what is compared.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import ensemble, tree
from sklearn.metrics import r2_score, roc_auc_score

import privity as pv
from privity.bench.datasets import SETS, DataSet
from privity.ml.trees.forest import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

TREE: dict[str, Any] = {"max_depth": 4, "min_samples_leaf": 5}
FOREST: dict[str, Any] = {"n_estimators": 30, "max_depth": 6}
SEEDS = {"diabetes": 4, "wine": 4, "cancer": 2, "digits": 1, "credit": 1}
OTHERS = 12  # seeds of scikit-learn's forests
ROWS = 9000


def score(data: DataSet, test: npt.NDArray[np.bool_], given: Any) -> float:
    if not data.classes:
        return float(r2_score(data.y[test], given))
    given = given[:, 1] if data.classes == 2 else given / given.sum(axis=1, keepdims=True)
    return float(roc_auc_score(data.y[test], given, multi_class="ovr"))


def ours(data: DataSet, test: npt.NDArray[np.bool_], model: Any) -> float:
    def program(s: pv.Session) -> Any:
        made = model.clone().fit(s.table("training"))
        asked = made.predict_proba if data.classes else made.predict
        return s.reveal(asked(s.table("test")), to="all", name="predictions", reason="accuracy")

    inputs, tables = data.tables(test)
    return score(data, test, pv.simulate(program, inputs={"o": inputs}, tables=tables, timeout_s=900.0).output)


def theirs(data: DataSet, test: npt.NDArray[np.bool_], model: Any) -> float:
    model.fit(data.x[~test], data.y[~test])
    return score(data, test, model.predict_proba(data.x[test]) if data.classes else model.predict(data.x[test]))


def line(data: DataSet, forest: bool, seeds: int) -> str:
    """Means over the folds of the mean over the seeds."""
    found: list[list[float]] = [[], []]
    spread: list[list[float]] = [[], []]
    for test in data.folds:
        kinds: tuple[Any, Any]
        if data.classes:
            kinds = (RandomForestClassifier if forest else DecisionTreeClassifier, (
                ensemble.RandomForestClassifier if forest else tree.DecisionTreeClassifier))  # fmt: skip
        else:
            kinds = (RandomForestRegressor if forest else DecisionTreeRegressor, (
                ensemble.RandomForestRegressor if forest else tree.DecisionTreeRegressor))  # fmt: skip
        first = (data.classes,) if data.classes else ()
        options = FOREST if forest else TREE
        mine = [ours(data, test, kinds[0](*first, **options, random_state=k)) for k in range(seeds)]
        other = [theirs(data, test, kinds[1](**options, random_state=k)) for k in range(OTHERS if forest else seeds)]
        for kept, dev, values in zip(found, spread, (mine, other), strict=True):
            kept.append(float(np.mean(values)))
            dev.append(float(np.std(values)))
    told = [
        f"{np.mean(f):.3f}" + (f" ± {np.mean(s):.3f}" if forest else "") for f, s in zip(found, spread, strict=True)
    ]
    what = "30 trees, depth 6" if forest else "tree, depth 4"
    return f"| {data.name} ({len(data.y):,} rows) | {what} | {told[0]} | {told[1]} |"


if __name__ == "__main__":
    print("| Data | Model | on shares | scikit-learn |\n|---|---|---:|---:|")
    for name in sys.argv[1:] or SEEDS:
        data = SETS[name]()
        if len(data.y) > ROWS:
            data = data.some(ROWS)
        print(line(data, False, 1), flush=True)
        print(line(data, True, SEEDS[name]), flush=True)
