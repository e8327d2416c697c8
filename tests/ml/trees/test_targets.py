"""Targets and classes as people have them: far from 0, far below their bounds, tiny, huge, rare, weighted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.tree import DecisionTreeClassifier as PlainTree
from sklearn.tree import DecisionTreeRegressor as PlainRegressor

import privity as pv
from privity.errors import RangeViolated
from privity.ml.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
from privity.ml.trees.export import open_trees
from privity.ml.trees.forest import DecisionTreeClassifier, DecisionTreeRegressor, RandomForestRegressor

BINS = 8


def rows(n: int = 240, seed: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, BINS, (n, 3))
    return x, (x[:, 0] - 3.5) / 2 + (x[:, 1] > 3) * x[:, 2] / 4 + rng.normal(0, 0.3, n)


def predicted(model: Any, x: Any, y: Any, bound: float, scale: int = 18, opened: bool = False) -> Any:
    def program(s: pv.Session) -> Any:
        made = model.clone().fit(s.secret("x", "o"), s.secret("y", "o"))
        got = s.reveal(made.predict(s.secret("x", "o")), to="all", name="p", reason="test")
        return got, open_trees(made, to="all", name="t", reason="test").predict(x) if opened else None

    kind: dict[str, Any] = {"bound": bound} if y.dtype.kind == "i" else {"bound": bound, "scale": scale}
    return pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=BINS - 1.0), "y": pv.Input(y, **kind)}}).output


SCALES = [  # offset, factor, bound, fractional bits
    (0.0, 1.0, 8.0, 18), (1e5, 1.0, 2e5, 18), (1e7, 1.0, 1e8, 18), (0.0, 1.0, 8e6, 18), (0.0, 1e-6, 8e-6, 40),
    (0.0, 1e9, 8e9, 18), (-3e8, 1e3, 1e9, 18),
]  # fmt: skip


@pytest.mark.parametrize(("offset", "factor", "bound", "bits"), SCALES)
def test_regressors_do_not_mind_offsets_and_bounds(offset: float, factor: float, bound: float, bits: int) -> None:
    """Beside the plain libraries on the centred target: 2^-12 of its deviation, as weights of leaves have 2^-18."""
    x, signal = rows()
    y = offset + factor * signal
    centre, spread = y.mean(), y.std()
    model = GradientBoostingRegressor(n_estimators=3, max_depth=2, max_bins=BINS)
    options = {"n_estimators": 3, "max_depth": 2, "learning_rate": 0.3, "base_score": 0.0}
    twin = xgboost.XGBRegressor(tree_method="hist", max_bin=64, n_jobs=1, **options).fit(x, (y - centre) / spread)
    got, opened = predicted(model, x, y, bound, bits, opened=True)
    assert (np.abs((got - centre) / spread - twin.predict(x)) < 2.0**-12).mean() > 0.98  # others: gains that tie
    assert np.abs(got - opened).max() < spread * 2.0**-12 + 2.0**-bits
    tree, want = DecisionTreeRegressor(max_depth=3, max_bins=BINS), PlainRegressor(max_depth=3, random_state=0)
    got, _ = predicted(tree, x, y, bound, bits)
    assert (np.abs(got - want.fit(x, y).predict(x)) < spread * 2.0**-12 + 2.0**-bits).mean() > 0.98


def test_penalties_and_forests_in_another_unit() -> None:
    """gamma and reg_alpha are stated for the target as it is, whatever its unit on shares."""
    x, signal = rows()
    for factor, bound in ((1.0, 8.0), (1e4, 1e9)):
        y = 5e4 + factor * signal if factor > 1 else signal
        options = {
            "n_estimators": 3, "max_depth": 2, "gamma": 5 * factor**2, "reg_alpha": 20 * factor, "learning_rate": 0.3,
        }  # fmt: skip
        twin = xgboost.XGBRegressor(tree_method="hist", max_bin=64, n_jobs=1, base_score=0.0, **options)
        want = twin.fit(x, y - y.mean()).predict(x) + y.mean()
        got, _ = predicted(GradientBoostingRegressor(max_bins=BINS, **options), x, y, bound)
        assert (np.abs(got - want) < factor * 2.0**-9).mean() > 0.97  # 2^-12 of a penalty
    forest = RandomForestRegressor(n_estimators=3, max_depth=2, max_bins=BINS)
    got, opened = predicted(forest, x, 1e7 + signal, 1e8, opened=True)
    assert np.abs(got - opened).max() < 2.0**-12 and np.corrcoef(got, signal)[0, 1] > 0.7


def test_a_target_without_digits_is_refused_and_a_constant_one_is_learnt() -> None:
    x, signal = rows()
    for model in (GradientBoostingRegressor(n_estimators=1, max_depth=1), DecisionTreeRegressor(max_depth=1)):
        with pytest.raises(RangeViolated, match=r"y varies by less than 32 steps of 2\^-18.*tighter bound"):
            predicted(model, x, 1e-6 * signal, 1.0)
        assert np.allclose(predicted(model, x, np.full(len(x), 3.25), 1e6)[0], 3.25, atol=2.0**-16)


def test_rare_separated_classes_are_learnt() -> None:
    """3 rows in 1,000 that one threshold parts: XGBoost's leaves overshoot to where nothing can be learnt."""
    n = 2000
    y = (np.arange(n) < 6).astype(np.int64)
    x = np.where(y[:, None] == 1, 7, np.random.default_rng(0).integers(0, 7, (n, 2)))
    options: dict[str, Any] = {"n_estimators": 3, "max_depth": 2, "min_child_weight": 0.01}
    for more in ({}, {"scale_pos_weight": 300.0}):
        def program(s: pv.Session, more: dict[str, Any] = more) -> Any:
            made = GradientBoostingClassifier(max_bins=BINS, **options, **more)
            made.fit(s.secret("x", "o"), s.secret("y", "o"))
            return s.reveal(made.predict_proba(s.secret("x", "o")), to="all", name="p", reason="test")

        got = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=7.0), "y": pv.Input(y, bound=1.0)}}).output
        assert got[y == 1].min() > got[y == 0].max()
        if not more:
            assert log_loss(y, np.clip(got, 1e-9, 1)) < log_loss(y, np.full(n, y.mean())) / 3


@pytest.mark.parametrize(
    "more",
    [
        {}, {"scale_pos_weight": 200.0}, {"class_weight": "balanced"}, {"class_weight": (0.5, 20.0)},
        {"max_delta_step": 1},
    ],
    ids=str,
)  # fmt: skip
def test_rare_classes_beside_xgboost(more: dict[str, Any]) -> None:
    """Half a percent of positives, on bins that both share: AUC within 1e-3 and log loss no worse by 1e-3."""
    rng = np.random.default_rng(1)
    n = 4000
    x = rng.integers(0, BINS, (n, 3))
    y = (rng.random(n) < 1 / (1 + np.exp(9.2 - 0.7 * x[:, 0] - (x[:, 1] > 5)))).astype(np.int64)
    options: dict[str, Any] = {"n_estimators": 4, "max_depth": 2, "learning_rate": 0.3}
    weights = None
    if more.get("class_weight") == "balanced":
        weights = np.where(y == 1, n / 2 / y.sum(), n / 2 / (n - y.sum()))
    elif "class_weight" in more:
        weights = np.asarray(more["class_weight"])[y]
    plain = {k: v for k, v in more.items() if k != "class_weight"}
    twin = xgboost.XGBClassifier(tree_method="hist", max_bin=64, n_jobs=1, **options, **plain)
    want = twin.fit(x, y, sample_weight=weights).predict_proba(x)[:, 1]

    def program(s: pv.Session) -> Any:
        made = GradientBoostingClassifier(max_bins=BINS, **options, **more).fit(s.secret("x", "o"), s.secret("y", "o"))
        opened = open_trees(made, to="all", name="t", reason="test")
        order = s.reveal(made.decision_function(s.secret("x", "o")), to="all", name="m", reason="test")
        return s.reveal(made.predict_proba(s.secret("x", "o")), to="all", name="p", reason="test"), order, opened

    given = {"x": pv.Input(x, bound=7.0), "y": pv.Input(y, bound=1.0)}
    got, order, opened = pv.simulate(program, inputs={"o": given}).output
    assert roc_auc_score(y, order) > roc_auc_score(y, want) - 1e-3
    assert log_loss(y, got) < log_loss(y, want) + 1e-3
    assert np.allclose(opened.predict_proba(x)[:, 1], got, rtol=2.0**-8, atol=2.0**-18)
    data = xgboost.DMatrix(x, feature_names=list(opened.names))
    assert np.allclose(opened.to_xgboost().predict(data), got, rtol=0.01)


def test_several_classes_start_at_the_logarithms_of_their_shares() -> None:
    x, signal = rows()
    y = np.digitize(signal, [-1.0, 2.0]).astype(np.int64)
    options: dict[str, Any] = {"n_estimators": 2, "max_depth": 1, "learning_rate": 0.3}
    want = xgboost.XGBClassifier(tree_method="hist", max_bin=64, n_jobs=1, **options).fit(x, y).predict_proba(x)

    def program(s: pv.Session) -> Any:
        made = GradientBoostingClassifier(3, max_bins=BINS, **options).fit(s.secret("x", "o"), s.secret("y", "o"))
        return s.reveal(made.predict_proba(s.secret("x", "o")), to="all", name="p", reason="test")

    got = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=7.0), "y": pv.Input(y, bound=2.0)}}).output
    assert np.abs(got - want).max() < 2e-3


@pytest.mark.parametrize("weights", ["balanced", {1: 400.0}, (1, 2, 5.0)], ids=str)
def test_class_weights_of_a_tree_as_in_scikit_learn(weights: Any) -> None:
    x, signal = rows()
    classes = 3 if isinstance(weights, tuple) else 2
    y = np.digitize(signal, [0.0, 2.0][: classes - 1]).astype(np.int64)
    twin = PlainTree(
        max_depth=3, random_state=0, class_weight=dict(enumerate(weights)) if classes == 3 else weights
    ).fit(x, y)

    def program(s: pv.Session) -> Any:
        made = DecisionTreeClassifier(classes, max_depth=3, max_bins=BINS, class_weight=weights)
        made.fit(s.secret("x", "o"), s.secret("y", "o"))
        covers = s.reveal(made.covers_.sum(), to="all", name="c", reason="test")
        return s.reveal(made.predict_proba(s.secret("x", "o")), to="all", name="p", reason="test"), covers

    given = {"x": pv.Input(x, bound=7.0), "y": pv.Input(y, bound=classes - 1.0)}
    got, covers = pv.simulate(program, inputs={"o": given}).output
    assert (np.abs(got - twin.predict_proba(x)).max(axis=1) < 1e-4).mean() > 0.95  # others: gains that tie
    assert np.isclose(covers, twin.tree_.weighted_n_node_samples[0], rtol=1e-5)


@pytest.mark.parametrize("model", [GradientBoostingClassifier, GradientBoostingRegressor])
def test_a_tree_that_would_draw_no_row(model: Any) -> None:
    """It draws one, which allows no split: all rows get nearly the first prediction."""
    x, y = np.arange(8).reshape(4, 2) % BINS, np.array([0, 1, 0, 1])
    got, _ = predicted(model(n_estimators=2, max_depth=1, subsample=0.01), x, y, 1.0)
    assert np.isfinite(got).all() and np.ptp(got.astype(float)) < 1e-4
