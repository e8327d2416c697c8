"""Single trees and forests against scikit-learn on the same bins, and on real data as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets, ensemble, tree
from sklearn.metrics import r2_score, roc_auc_score

import privity as pv
from privity.errors import PrivityError, RangeViolated, UsageError
from privity.ml.saving import load, save
from privity.ml.trees.draws import columns_to_try
from privity.ml.trees.ensemble import Forest
from privity.ml.trees.export import open_trees
from privity.ml.trees.forest import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from privity.openings import RANGE_GUARD
from privity.table import Field, TableInfo, table_inputs

BINS = 8


def binned(x: Any, bins: int = BINS) -> Any:
    """Whole numbers below ``bins``: a column's place among its quantiles."""
    cut = [np.unique(np.quantile(c, np.arange(1, bins) / bins)) for c in x.T]
    return np.stack([np.searchsorted(e, c, side="right") for e, c in zip(cut, x.T, strict=True)], axis=1)


def fitted(model: Forest, x: Any, y: Any, *, new: Any = None, bins: int | None = BINS, **more: Any) -> Any:
    """Predictions for ``new`` (or the training rows) after fit; ``more``: other arguments of fit, secret."""

    def program(s: pv.Session) -> Any:
        given = {k: s.secret(k, "o") for k in more}
        made: Any = model.clone()
        made.fit(s.secret("x", "o"), s.secret("y", "o"), **given)
        rows = s.secret("new", "o")
        got = made.predict_proba(rows) if hasattr(made, "predict_proba") else made.predict(rows)
        return s.reveal(got, to="all", name="predictions", reason="test")

    bound = float(np.abs(x).max() + 1) if bins is None else bins - 1.0
    inputs = {"x": pv.Input(x, bound=bound), "y": pv.Input(y, bound=float(max(1, np.abs(y).max()))), **more}
    inputs["new"] = pv.Input(x if new is None else new, bound=bound)
    done = pv.simulate(program, inputs={"o": inputs}, check_range=True)
    assert {line["name"] for line in done.opened} <= {"predictions", RANGE_GUARD}
    return done.output


def classes(k: int, n: int = 300, d: int = 5, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, BINS, (n, d))
    score = x[:, 0] + (x[:, 1] > 3) * x[:, 2] + rng.normal(size=n)
    return x, np.digitize(score, np.quantile(score, np.arange(1, k) / k))


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("options", [{}, {"min_samples_leaf": 9}], ids=str)
def test_a_tree_is_scikit_learns(k: int, options: dict[str, Any]) -> None:
    x, y = classes(k)
    got = fitted(DecisionTreeClassifier(k, max_depth=4, max_bins=BINS, **options), x, y)
    want = tree.DecisionTreeClassifier(max_depth=4, random_state=0, **options).fit(x, y).predict_proba(x)
    assert np.mean(np.abs(got - want).max(axis=1) > 1e-5) <= 0.02  # ties may fall otherwise
    assert np.allclose(got.sum(axis=1), 1)


def test_a_regression_tree_is_scikit_learns() -> None:
    x, y = datasets.load_diabetes(return_X_y=True)
    x = binned(x)
    got = fitted(DecisionTreeRegressor(max_depth=4, max_bins=BINS, min_samples_leaf=5), x, y)
    want = tree.DecisionTreeRegressor(max_depth=4, min_samples_leaf=5, random_state=0).fit(x, y).predict(x)
    assert np.allclose(got, want, atol=1e-3)


def test_a_target_far_from_zero_loses_nothing() -> None:
    x, y = classes(4)
    y = 5000.0 + y
    got = fitted(DecisionTreeRegressor(max_depth=3, max_bins=BINS, min_samples_leaf=5), x, y)
    want = tree.DecisionTreeRegressor(max_depth=3, min_samples_leaf=5, random_state=0).fit(x, y).predict(x)
    assert np.mean(np.abs(got - want) > 5e-3) <= 0.02


@pytest.mark.parametrize("secret", [True, False])
def test_weights_of_rows_and_classes(secret: bool) -> None:
    x, y = classes(3, seed=1)
    w = np.round(np.random.default_rng(2).uniform(0.2, 3, len(y)), 3)
    model = DecisionTreeClassifier(3, max_depth=3, max_bins=BINS, class_weight={0: 2.0, 2: 0.5}, min_samples_leaf=4)
    want = tree.DecisionTreeClassifier(max_depth=3, class_weight={0: 2, 1: 1, 2: 0.5}, min_samples_leaf=4)
    expected = want.fit(x, y, sample_weight=w).predict_proba(x)
    if secret:
        got = fitted(model, x, y, sample_weight=pv.Input(w, bound=4.0))
    else:
        got = pv.simulate(
            lambda s: s.reveal(
                model.clone().fit(s.secret("x", "o"), s.secret("y", "o"), sample_weight=w)
                .predict_proba(s.secret("x", "o")), to="all", name="p", reason="test",
            ),
            inputs={"o": {"x": pv.Input(x, bound=BINS - 1.0), "y": y}},
        ).output  # fmt: skip
    assert np.mean(np.abs(got - expected).max(axis=1) > 1e-3) <= 0.02


def test_balanced_classes() -> None:
    x, y = classes(2, seed=3)
    y = y * (np.arange(len(y)) % 3 == 0)
    got = fitted(DecisionTreeClassifier(max_depth=3, max_bins=BINS, class_weight="balanced"), x, y)
    want = tree.DecisionTreeClassifier(max_depth=3, class_weight="balanced", random_state=0).fit(x, y).predict_proba(x)
    assert np.mean(np.abs(got - want).max(axis=1) > 1e-3) <= 0.02


def test_each_tree_of_a_forest_is_scikit_learns_on_the_rows_it_drew() -> None:
    x, y = classes(2, seed=4)
    model = RandomForestClassifier(n_estimators=4, max_depth=3, max_bins=BINS, max_features=None, min_samples_leaf=3)
    times = model._times(len(y), slice(0, 4))
    trees = [
        tree.DecisionTreeClassifier(max_depth=3, min_samples_leaf=3, random_state=0).fit(x, y, sample_weight=t)
        for t in times
    ]
    want = np.mean([t.predict_proba(x) for t in trees], axis=0)
    assert np.mean(np.abs(fitted(model, x, y) - want).max(axis=1) > 1e-5) <= 0.03


def test_batches_of_trees_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = classes(3, seed=5)
    model = RandomForestClassifier(classes=3, n_estimators=5, max_depth=3, max_bins=BINS)
    whole = fitted(model, x, y)
    monkeypatch.setattr("privity.ml.trees.ensemble._AT_ONCE", 3 * len(y) << 3)
    assert np.allclose(fitted(model, x, y), whole, atol=5e-6)


def test_a_node_uses_the_columns_drawn_for_it() -> None:
    x, y = classes(2, seed=6)
    model = RandomForestClassifier(n_estimators=3, max_depth=3, max_bins=BINS, max_features=2)

    def program(s: pv.Session) -> Any:
        made = model.clone().fit(s.secret("x", "o"), s.secret("y", "o"))
        return [s.reveal(c, to="all", name=f"level {k}", reason="test") for k, c in enumerate(made.splits_)]

    levels = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=BINS - 1.0), "y": y}}).output
    draw = model._draw(slice(0, 3), x.shape[1])
    for k, level in enumerate(levels):
        allowed = draw(k)
        assert allowed is not None and allowed.shape == (3 << k, 2)
        for row, columns in zip(level, allowed, strict=True):
            assert row.sum() <= 1 and set(np.flatnonzero(row) % x.shape[1]) <= set(columns)


SETS = {"cancer": datasets.load_breast_cancer, "wine": datasets.load_wine}


@pytest.mark.parametrize("name", SETS)
def test_forests_on_real_data_rank_like_scikit_learns(name: str) -> None:
    x, y = SETS[name](return_X_y=True)
    x = x / 2.0 ** np.ceil(np.log2(np.abs(x).max(0)))  # units, as in a table
    k, test = int(y.max()) + 1, np.arange(len(y)) % 3 == 0
    model = RandomForestClassifier(classes=k, n_estimators=20, max_depth=5, max_bins=16)
    got = fitted(model, x[~test], y[~test], new=x[test], bins=None)
    reference = ensemble.RandomForestClassifier(20, max_depth=5, random_state=0).fit(x[~test], y[~test])
    want = reference.predict_proba(x[test])
    auc = [roc_auc_score(y[test], p[:, 1] if k == 2 else p, multi_class="ovr") for p in (got, want)]
    assert auc[0] > auc[1] - 0.01
    assert np.mean(got.argmax(1) == y[test]) > np.mean(want.argmax(1) == y[test]) - 0.06


def test_a_regression_forest_on_real_data() -> None:
    x, y = datasets.load_diabetes(return_X_y=True)
    test = np.arange(len(y)) % 3 == 0
    model = RandomForestRegressor(n_estimators=16, max_depth=4, max_bins=16, min_samples_leaf=5)
    got = fitted(model, x[~test], y[~test], new=x[test], bins=None)
    reference = ensemble.RandomForestRegressor(16, max_depth=4, min_samples_leaf=5, random_state=0)
    assert r2_score(y[test], got) > r2_score(y[test], reference.fit(x[~test], y[~test]).predict(x[test])) - 0.03


def test_tables_with_categories_and_empty_cells() -> None:
    rng = np.random.default_rng(7)
    n = 400
    age, kind = rng.integers(20, 80, n).astype(float), rng.integers(0, 3, n).astype(float)
    y = ((kind == 1) ^ (age > 50)).astype(float)
    cells = np.stack([np.where(rng.random(n) < 0.2, np.nan, age), kind], axis=1)
    fields = (Field("age", "number", 128.0, 100.0, missing=True), Field("kind", "category", categories=("a", "b", "c")))
    info = TableInfo("t", fields, Field("y", "binary"), n + 7)

    def program(s: pv.Session) -> Any:
        table = s.table("t")
        made = DecisionTreeClassifier(max_depth=3, max_bins=8).fit(table)
        assert made.names_ == ("age", "kind") and made.units_ == (128.0, 1.0)
        with pytest.raises(UsageError, match="no column kind"):
            made.predict(table.drop(["kind"]))
        return s.reveal(made.predict(table), to="all", name="p", reason="test")

    got = pv.simulate(program, inputs={"o": table_inputs(info, cells, y)}, tables={"t": info}).output[:n]
    full = ~np.isnan(cells[:, 0])
    assert np.mean(got[full] == y[full]) > 0.93


def test_what_is_learnt_outlives_the_session(tmp_path: Path) -> None:
    x, y = classes(3, seed=8)
    inputs = {"o": {"x": pv.Input(x / 8.0, bound=1.0), "y": y}}

    def first(s: pv.Session) -> Any:
        made = RandomForestClassifier(classes=3, n_estimators=2, max_depth=2, max_bins=6).fit(
            s.secret("x", "o"), s.secret("y", "o")
        )
        save(made, s, "forest")
        return s.reveal(made.predict_proba(s.secret("x", "o")), to="all", name="p", reason="test")

    def later(s: pv.Session) -> Any:
        return s.reveal(load(s, "forest").predict_proba(s.secret("x", "o")), to="all", name="p", reason="test")

    one, two = (pv.simulate(p, inputs=inputs, store=tmp_path).output for p in (first, later))
    assert np.allclose(one, two, atol=5e-6)


def test_rounds_and_bytes_depend_on_public_sizes_alone() -> None:
    def cost(y: Any) -> Any:
        def program(s: pv.Session) -> None:
            RandomForestClassifier(n_estimators=2, max_depth=3, max_bins=BINS).fit(
                s.secret("x", "o"), s.secret("y", "o")
            )

        x, _ = classes(2)
        done = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=BINS - 1.0), "y": pv.Input(y, bound=1.0)}})
        return done.rounds, done.payload_sent

    assert cost(classes(2)[1]) == cost(np.zeros(300, np.int64))  # nothing to split: dummy nodes all the way down


def test_rounds_of_a_tree() -> None:
    """Bins of whole numbers, then about 140 rounds a level."""
    x, y = classes(2)

    def program(s: pv.Session) -> None:
        DecisionTreeClassifier(max_depth=4, max_bins=BINS).fit(s.secret("x", "o"), s.secret("y", "o"))

    done = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=BINS - 1.0), "y": y}})
    assert done.rounds <= 560 and max(done.payload_sent.values()) < 1.2e6


def test_constant_columns_and_one_class() -> None:
    x, y = classes(2)
    got = fitted(DecisionTreeClassifier(max_depth=2, max_bins=BINS), np.zeros_like(x), y)
    assert np.allclose(got[:, 1], y.mean(), atol=1e-5)
    assert np.allclose(fitted(DecisionTreeClassifier(max_depth=2, max_bins=BINS), x, np.ones_like(y))[:, 1], 1)
    numbers = fitted(DecisionTreeRegressor(max_depth=2, max_bins=BINS), x, np.full(len(y), 3.25))
    assert np.allclose(numbers, 3.25, atol=1e-4)


@pytest.mark.parametrize(("model", "said"), [
    (DecisionTreeClassifier(max_depth=0), "max_depth=0"),
    (DecisionTreeClassifier(1), "classes=1"),
    (DecisionTreeClassifier(max_bins=1), "max_bins"),
    (DecisionTreeClassifier(min_samples_leaf=0), "min_samples_leaf=0"),
    (DecisionTreeClassifier(max_features="all"), "max_features"),
    (DecisionTreeClassifier(class_weight="even"), "balanced"),
    (DecisionTreeClassifier(class_weight={2: 1.0}), "from 0 to 1"),
    (DecisionTreeClassifier(class_weight={0: 0.0, 1: 0.0}), "at least one must count"),
    (RandomForestClassifier(n_estimators=0), "n_estimators=0"),
    (RandomForestClassifier(max_samples=0.0), "max_samples"),
    (RandomForestRegressor(max_depth=2.5), "max_depth"),  # type: ignore[arg-type]
], ids=lambda v: str(v)[:50])  # fmt: skip
def test_what_cannot_be_grown(model: Forest, said: str) -> None:
    x, y = classes(2, 40)
    with pytest.raises(UsageError, match=said):
        fitted(model, x, y)


@pytest.mark.parametrize(("given", "error"), [
    ({"sample_weight": np.zeros(300)}, RangeViolated), ({"sample_weight": -np.ones(300)}, RangeViolated),
    ({"valid": np.zeros(300, np.int64)}, RangeViolated), ({"sample_weight": np.ones(299)}, PrivityError),
], ids=["weights of 0", "negative", "no row counts", "too few"])  # fmt: skip
def test_weights_that_cannot_be_used(given: dict[str, Any], error: type[Exception]) -> None:
    x, y = classes(2)
    with pytest.raises(error):
        fitted(DecisionTreeClassifier(max_depth=2, max_bins=BINS), x, y, **given)


def test_public_weights_of_0_and_unknown_classes() -> None:
    x, y = classes(2)

    def program(s: pv.Session) -> None:
        model = DecisionTreeClassifier(max_depth=2, max_bins=BINS)
        model.fit(s.secret("x", "o"), s.secret("y", "o"), sample_weight=np.zeros(len(y)))

    with pytest.raises(UsageError, match="all weights are 0"):
        pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=7.0), "y": y}})
    for k in (2, 3):
        with pytest.raises(RangeViolated):
            fitted(DecisionTreeClassifier(k, max_depth=2, max_bins=BINS), x, y * k)


def test_columns_to_try_are_scikit_learns() -> None:
    wanted = [("sqrt", 5), ("log2", 4), (None, 30), (0.5, 15), (7, 7), (40, 30), (0.01, 1)]
    assert [columns_to_try("", w, 30) for w, _ in wanted] == [n for _, n in wanted]


@pytest.mark.parametrize("k", [0, 2, 3])
@pytest.mark.parametrize("trees", [2, 12])
def test_rows_out_of_the_bag_are_predicted_by_the_other_trees(k: int, trees: int) -> None:
    """The same from the opened trees; with two of them many rows are in every bag."""
    x, y = classes(max(k, 2), seed=9)
    options: dict[str, Any] = {"n_estimators": trees, "max_depth": 3, "max_bins": BINS, "oob_score": True}
    if not k:
        y = y + x[:, 0] * np.linspace(1, 2, len(y))
    model: Any = RandomForestClassifier(classes=k, **options) if k else RandomForestRegressor(**options)
    valid = (np.arange(len(y)) % 7 > 0).astype(np.int64)

    def program(s: pv.Session) -> Any:
        made = model.clone().fit(s.secret("x", "o"), s.secret("y", "o"), valid=s.secret("valid", "o"))
        each = made.oob_decision_function_ if k else made.oob_prediction_
        got = {n: s.reveal(v, to="all", name=n, reason="test") for n, v in (("each", each), ("all", made.oob_score_))}
        return got | {"trees": open_trees(made, to="all", name="trees", reason="test")}

    given = {"x": pv.Input(x, bound=BINS - 1.0), "y": pv.Input(y, bound=float(y.max())), "valid": valid}
    got = pv.simulate(program, inputs={"o": given}).output
    left = model._times(len(y), slice(0, trees)) == 0
    opened, lanes = got["trees"], max(1, k if k > 2 else 1)
    total = np.zeros((len(y), lanes))
    for lane, values, leaf, out in zip(
        opened.lane, opened.values, opened.leaves(x), np.repeat(left, lanes, axis=0), strict=True
    ):
        total[:, lane] += values[leaf] * trees * out  # opened values are over the number of trees
    seen = left.any(axis=0)
    assert seen.all() == (trees == 12)
    rows = seen & (valid > 0)  # cells of the others count as 0
    each, want = got["each"][rows], (total / np.maximum(left.sum(axis=0), 1)[:, None])[rows]
    assert np.allclose(each if k != 2 else each[:, 1:], want.reshape(each.shape) if k != 2 else want, atol=1e-3)
    score = np.mean(each.argmax(axis=1) == y[rows]) if k else r2_score(y[rows], each)
    assert got["all"] == pytest.approx(score, abs=2e-3)


def test_without_a_bag_no_row_is_out_of_it() -> None:
    x, y = classes(2, 40)
    with pytest.raises(UsageError, match="bootstrap=True"):
        fitted(RandomForestClassifier(bootstrap=False, oob_score=True), x, y)
