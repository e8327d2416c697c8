"""Opened trees predict as the secret ones do, in NumPy, XGBoost and ONNX."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import OpeningRefused, ShapeError, UsageError
from privity.ml.svm import LinearSVC
from privity.ml.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
from privity.ml.trees.export import OpenedTrees, open_trees
from privity.ml.trees.forest import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from privity.openings import Withheld
from privity.table import Field, TableInfo, table_inputs
from privity.types import Opening

N = 160
FIELDS = (
    Field("age", "number", 128.0, 100.0, missing=True),
    Field("income", "number", 4.0, 4.0),
    Field("kind", "category", categories=("a", "b", "c")),
)
MODELS: dict[str, tuple[Any, str]] = {
    "tree": (DecisionTreeClassifier(max_depth=3, max_bins=8), "binary"),
    "forest": (RandomForestClassifier(n_estimators=3, max_depth=3, max_bins=8), "binary"),
    "forest of 3 classes": (RandomForestClassifier(classes=3, n_estimators=3, max_depth=2, max_bins=8), "classes"),
    "regression tree": (DecisionTreeRegressor(max_depth=3, max_bins=8), "number"),
    "regression forest": (RandomForestRegressor(n_estimators=2, max_depth=3, max_bins=8), "number"),
    "boosting": (GradientBoostingClassifier(n_estimators=3, max_depth=3, max_bins=8), "binary"),
    "boosting of 3 classes": (GradientBoostingClassifier(3, n_estimators=2, max_depth=2, max_bins=8), "classes"),
    "boosting of numbers": (GradientBoostingRegressor(n_estimators=3, max_depth=2, max_bins=8), "number"),
    "boosting of counts": (
        GradientBoostingRegressor(n_estimators=3, max_depth=2, max_bins=8, objective="count:poisson"), "classes",
    ),
    "boosting of amounts": (
        GradientBoostingRegressor(n_estimators=3, max_depth=2, max_bins=8, objective="reg:tweedie"), "classes",
    ),
    "boosting with constraints": (
        GradientBoostingClassifier(
            n_estimators=3, max_depth=3, max_bins=8, monotone_constraints={"age": 1, "income": -1}
        ), "binary",
    ),
    "boosting of drawn rows and columns": (
        GradientBoostingRegressor(n_estimators=3, max_depth=2, max_bins=8, subsample=0.6, colsample_bytree=0.5),
        "number",
    ),
}  # fmt: skip


def rows(kind: str, seed: int = 0) -> tuple[Any, Any]:
    """Cells with NaN, and a target of this kind."""
    rng = np.random.default_rng(seed)
    x = np.stack([rng.integers(20, 90, N), np.round(rng.uniform(-4, 4, N), 2), rng.integers(0, 3, N)], axis=1)
    score = x[:, 0] / 20 + x[:, 1] + 2 * (x[:, 2] == 1) + rng.normal(size=N)
    x[rng.random(N) < 0.2, 0] = np.nan
    if kind == "number":
        return x, score
    return x, np.digitize(score, [3] if kind == "binary" else [2.0, 4.0]).astype(float)


def run(model: Any, kind: str, **options: Any) -> dict[str, Any]:
    """Predictions on shares of the rows it learnt from, and the opened model."""
    x, y = rows(kind)
    label = Field("y", "number", 16.0, 16.0) if kind == "number" else Field("y", "integer", 1.0, 2.0)
    info = TableInfo("t", FIELDS, label if kind != "binary" else Field("y", "binary"))

    def program(s: pv.Session) -> Any:
        table = s.table("t")
        made = model.clone().fit(table)
        got = made.predict_proba(table) if hasattr(made, "predict_proba") else made.predict(table)
        opened = open_trees(made, to=s.compute[0], name="model", reason="test", **options)
        if s.me != s.compute[0]:
            assert isinstance(opened, Withheld)
        return opened, s.reveal(got, to="all", name="predictions", reason="test")

    done = pv.simulate(program, inputs={"o": table_inputs(info, x, y)}, tables={"t": info})
    opened, shares = done.output
    return {"x": x, "opened": opened, "shares": shares, "lines": {(o["name"], tuple(o["shape"])) for o in done.opened}}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    model, kind = MODELS[request.param]
    return run(model, kind, covers=not request.param.startswith("boosting"))


def plain(opened: OpenedTrees, x: Any) -> Any:
    return opened.predict(x) if opened.link in ("identity", "log") else opened.predict_proba(x)


def test_numpy_predicts_what_the_shares_do(case: dict[str, Any]) -> None:
    got, want = plain(case["opened"], case["x"]), case["shares"]
    if want.ndim == 1 and got.ndim == 2:  # boosted trees give the probability of class 1
        got = got[:, 1]
    assert np.allclose(got, want, atol=2e-3)


def test_xgboost_predicts_the_same(case: dict[str, Any]) -> None:
    xgboost = pytest.importorskip("xgboost")
    opened, x = case["opened"], case["x"]
    booster = xgboost.Booster()
    booster.load_model(bytearray(opened.to_xgboost_json().encode()))
    got = booster.predict(xgboost.DMatrix(x, feature_names=["age", "income", "kind"]))
    want = plain(opened, x)
    if got.ndim == 1 and want.ndim == 2:
        want = want[:, 1]
    assert np.allclose(got, want, rtol=1e-5, atol=1e-5)


def test_onnx_predicts_the_same(case: dict[str, Any]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    opened, x = case["opened"], case["x"]
    session = onnxruntime.InferenceSession(opened.to_onnx(), providers=["CPUExecutionProvider"])
    got = session.run(None, {"x": x.astype(np.float32)})
    if opened.link in ("identity", "log"):
        assert np.allclose(got[0], opened.predict(x), rtol=1e-5, atol=1e-5)
    else:
        assert np.allclose(got[1], opened.predict_proba(x), atol=1e-5)
        assert np.array_equal(got[0], opened.predict(x))


def test_shap_values_add_up(case: dict[str, Any]) -> None:
    pytest.importorskip("xgboost")
    x = case["x"]
    opened = case["opened"].covered(x)
    got = opened.contributions(x)
    assert np.allclose(got.sum(-1), opened.decision_function(x).reshape(got.shape[:-1]), atol=1e-4)
    assert case["opened"].covers is None or np.allclose(opened.covers.sum(1), N)


@pytest.mark.parametrize("name", ["forest", "boosting of numbers"])
def test_shap_values_are_shapleys(name: str) -> None:
    """By their definition: what a column adds, over all orders; unknown columns split a row by the covers."""
    pytest.importorskip("xgboost")
    case = run(*MODELS[name])
    opened = case["opened"].covered(case["x"])
    x = case["x"][:5]

    def value(tree: Any, node: int, row: Any, known: Any) -> float:
        if tree.feature[node] < 0:
            return float(tree.value[node])
        sides = [int(tree.left[node]), int(tree.right[node])]
        if tree.feature[node] in known:
            cell = row[tree.feature[node]]
            right = tree.gap_right[node] if np.isnan(cell) else cell >= tree.threshold[node]
            return value(tree, sides[int(right)], row, known)
        cover = tree.cover[sides]
        return float(sum(c * value(tree, k, row, known) for c, k in zip(cover, sides, strict=True)) / cover.sum())

    orders = list(itertools.permutations(range(3)))
    want = np.zeros((5, 3))
    for tree in opened._trees():
        for i, row in enumerate(x):
            for order in orders:
                for k, column in enumerate(order):
                    with_it, without = set(order[: k + 1]), set(order[:k])
                    want[i, column] += (value(tree, 0, row, with_it) - value(tree, 0, row, without)) / len(orders)
    assert np.allclose(opened.contributions(x)[:, :3], want, atol=1e-4)


def test_importance_is_xgboosts(case: dict[str, Any]) -> None:
    pytest.importorskip("xgboost")
    opened = case["opened"].covered(case["x"])
    booster = opened.to_xgboost()
    for kind in ("weight", "gain", "cover"):
        want = booster.get_score(importance_type=kind)
        got = opened.importance(kind)
        assert set(got) >= set(want)
        assert all(np.allclose(got[n], v, rtol=1e-3, atol=1e-4) for n, v in want.items())


def test_constraints_hold_in_the_opened_model() -> None:
    """Also at values that no row has, in every library that reads the model."""
    xgboost = pytest.importorskip("xgboost")
    opened = run(*MODELS["boosting with constraints"])["opened"]
    booster = opened.to_xgboost()
    grid = np.linspace(-10, 100, 300)
    for column, sign in ((0, 1), (1, -1)):
        for kind in range(3):
            x = np.full((300, 3), 1.0)
            x[:, column], x[:, 2] = grid, kind
            assert (np.diff(opened.decision_function(x)[:, 0]) * sign >= -1e-6).all()
            again = booster.predict(xgboost.DMatrix(x, feature_names=list(opened.names)))
            assert (np.diff(again) * sign >= -1e-6).all() and np.ptp(again) >= 0


def test_covers_are_what_rows_weigh() -> None:
    model, kind = MODELS["tree"]
    case = run(model, kind, covers=True)
    assert np.array_equal(case["opened"].covers, case["opened"].covered(case["x"]).covers)


def test_what_is_opened() -> None:
    model, kind = MODELS["forest of 3 classes"]
    lines = run(model, kind)["lines"]
    wanted = {("model", (2, 3, 3)), ("model_leaves", (2, 3, 4)), ("model_thresholds", (3, 3))}
    assert {line for line in lines if line[0].startswith("model")} == wanted
    bins = run(model, kind, thresholds=False)
    assert not any(name == "model_thresholds" for name, _ in bins["lines"])
    thresholds = bins["opened"].threshold[bins["opened"].feature >= 0]
    assert (thresholds % 1 == 0.5).all()  # of bin numbers


def test_only_what_is_listed_is_opened() -> None:
    x = np.arange(40).reshape(-1, 1) % 8

    def program(s: pv.Session) -> None:
        made = DecisionTreeClassifier(max_depth=1, max_bins=8).fit(s.secret("x", "o"), s.secret("y", "o"))
        open_trees(made, to="compute_0", name="model", reason="test")

    inputs = {"o": {"x": pv.Input(x, bound=7.0), "y": (x[:, 0] > 3).astype(np.int64)}}
    lines = [Opening("model", (2, 1, 1), ("compute_0",))]
    with pytest.raises(OpeningRefused, match="model_leaves"):
        pv.simulate(program, inputs=inputs, openings=lines)


def test_nodes_that_do_not_split_disappear() -> None:
    opened = OpenedTrees(
        feature=np.array([[-1, 0, 0]]), threshold=np.array([[0.0, 1.0, 2.0]]), gap_right=np.zeros((1, 3), bool),
        values=np.array([[1.0, 2.0, 3.0, 4.0]]), lane=np.zeros(1, np.int64), base=np.zeros(1), link="identity",
        names=("a",),
    )  # fmt: skip
    assert opened.predict([[0.0], [1.0], [9.0]]).tolist() == [1.0, 2.0, 2.0]
    (compact,) = opened._trees()
    assert compact.feature.tolist() == [0, -1, -1] and compact.value.tolist()[1:] == [1.0, 2.0]


def test_what_cannot_be_done() -> None:
    opened = run(*MODELS["regression tree"])["opened"]
    with pytest.raises(ShapeError, match="age, income, kind"):
        opened.predict([[1.0]])
    with pytest.raises(UsageError, match="no probabilities"):
        opened.predict_proba([[1.0, 2.0, 0.0]])
    for call in (opened.contributions, lambda x: opened.importance("gain")):
        with pytest.raises(UsageError, match="covers"):
            call([[1.0, 2.0, 0.0]])
    with pytest.raises(UsageError, match="'weight', 'gain' or 'cover'"):
        opened.importance("size")
    with pytest.raises(UsageError, match="no opened trees"):
        open_trees(LinearSVC(), to="all", name="m", reason="test")
    with pytest.raises(UsageError, match="call fit first"):
        open_trees(DecisionTreeClassifier(), to="all", name="m", reason="test")
