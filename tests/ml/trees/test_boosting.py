"""Boosted trees against XGBoost on the same bins, on real data, on bad input, and what parties see meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.metrics import roc_auc_score

import privity as pv
from privity.errors import RangeViolated, UsageError
from privity.jobs.view import SIGNIFICANCE, _uniform_p
from privity.ml.trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
from privity.table import Field, TableInfo, table_inputs
from privity.testing import ByteView

SMALL = {"n_estimators": 4, "max_depth": 3, "learning_rate": 0.4}


def drawn(n: int = 400, d: int = 4, bins: int = 8, seed: int = 0) -> tuple[Any, Any, Any]:
    """Codes, a linear signal with noise, and weights that no two sets of rows share (so that no two gains tie)."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, bins, (n, d))
    signal = 0.6 * (x[:, 0] - 3.5) + (x[:, 1] > 3) * (x[:, -1] < 5) - 0.5
    return x, signal + rng.normal(0, 0.8, n), np.round(rng.uniform(0.5, 1.5, n) * 2**12) / 2**12


def margins(model: Any, x: Any, y: Any, weight: Any = None, bound: float | None = None, check: bool = True) -> Any:
    """Decisions on the training rows. ``check``: every value against its bound too, not only what is guarded."""
    given = {"x": pv.Input(x, bound=float(x.max())), "y": pv.Input(y, bound=bound or float(np.abs(y).max()))}
    if weight is not None:
        given["w"] = pv.Input(weight, bound=2.0)

    def program(s: pv.Session) -> Any:
        fitted = model.clone().fit(
            s.secret("x", "o"), s.secret("y", "o"), sample_weight=None if weight is None else s.secret("w", "o")
        )
        asked = fitted.decision_function(s.secret("x", "o"))
        return s.reveal(asked, to="all", name="margins", reason="test")

    return pv.simulate(program, inputs={"o": given}, check_range=check).output


def same_as_xgboost(model: Any, x: Any, y: Any, weight: Any, tolerance: float, bound: float = 1.0, **more: Any) -> None:
    """Equal margins in nearly all rows: where two splits tie within rounding a few rows may go elsewhere."""
    options = {k: v for k, v in model.get_params().items() if k not in ("max_bins", "classes", "random_state")}
    options = {k: v for k, v in options.items() if v is not None}
    if options.get("objective") != "reg:tweedie":
        options.pop("tweedie_variance_power", None)
    kind = xgboost.XGBClassifier if isinstance(model, GradientBoostingClassifier) else xgboost.XGBRegressor
    if options.get("objective") == "auto":
        del options["objective"]
    twin = kind(tree_method="hist", max_bin=64, n_jobs=1, **options, **more).fit(x, y, sample_weight=weight)
    got = margins(model, x, y, weight, bound)
    want = twin.predict(x, output_margin=True)
    assert got.shape == want.shape
    near = np.abs(got - want) <= tolerance
    assert near.mean() > 0.97, (near.mean(), np.abs(got - want).max())


@pytest.mark.parametrize(
    "more",
    [
        {}, {"reg_lambda": 0.2, "min_child_weight": 5.0}, {"gamma": 1.0}, {"reg_alpha": 2.0},
        {"scale_pos_weight": 3.0}, {"max_depth": 1},
    ],
    ids=str,
)  # fmt: skip
def test_two_classes_as_in_xgboost(more: dict[str, Any]) -> None:
    x, signal, weight = drawn()
    model = GradientBoostingClassifier(max_bins=8, base_score=0.5, **{**SMALL, **more})
    same_as_xgboost(model, x, (signal > 0).astype(np.int64), weight, 4e-3)


def test_several_classes_as_in_xgboost() -> None:
    x, signal, weight = drawn()
    model = GradientBoostingClassifier(3, max_bins=8, base_score=0.5, **SMALL)
    x_y = np.digitize(signal, [-1.0, 1.0]).astype(np.int64)
    twin = xgboost.XGBClassifier(tree_method="hist", max_bin=64, n_jobs=1, base_score=0.5, **SMALL)
    want = twin.fit(x, x_y, sample_weight=weight).predict_proba(x)
    got = margins(model, x, x_y, weight)
    chances = np.exp(got) / np.exp(got).sum(axis=1, keepdims=True)
    assert (np.abs(chances - want).max(axis=1) < 2e-3).mean() > 0.97


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson", "reg:tweedie"])
def test_numbers_as_in_xgboost(objective: str) -> None:
    x, signal, weight = drawn()
    y = signal if objective == "reg:squarederror" else np.maximum(np.round(np.exp(signal / 2)), 0)
    score = 0.5 if objective == "reg:squarederror" else 1.0
    model = GradientBoostingRegressor(max_bins=8, objective=objective, base_score=score, **SMALL)
    same_as_xgboost(model, x, y, weight, 4e-3, float(np.abs(y).max()))


def test_the_first_prediction_is_the_mean() -> None:
    x, signal, weight = drawn()
    flat = {"n_estimators": 1, "max_depth": 1, "gamma": 1e6, "max_bins": 8, "reg_lambda": 1e4}
    y = (signal > 0.5).astype(np.int64)
    got = margins(GradientBoostingClassifier(**flat), x, y, weight)
    mean = np.average(y, weights=weight)
    assert np.allclose(got, np.log(mean / (1 - mean)), atol=2e-3)
    for objective in ("reg:squarederror", "count:poisson"):
        z = np.round(np.exp(signal / 2))
        got = margins(GradientBoostingRegressor(objective=objective, **flat), x, z, weight)
        want = np.average(z, weights=weight)
        assert np.allclose(got, want if objective == "reg:squarederror" else np.log(want), atol=1e-2)


def mixed_table(rows: int = 300, spare: int = 20) -> tuple[TableInfo, Any, Any]:
    """A number with gaps, a category, a flag and a count; the label depends on whether the number is missing."""
    rng = np.random.default_rng(2)
    number, kind = rng.normal(0, 2, rows), rng.integers(0, 4, rows)
    flag, count = rng.integers(0, 2, rows), rng.integers(0, 6, rows)
    gone = rng.random(rows) < 0.3
    y = (number * ~gone + 2.0 * gone + (kind == 2) + 0.3 * count - flag + rng.normal(0, 0.3, rows) > 1.0) * 1.0
    cells = np.column_stack([np.where(gone, np.nan, number), kind, flag, count]).astype(float)
    fields = (
        Field("number", "number", 16.0, 16.0, missing=True), Field("kind", "category", categories=tuple("abcd")),
        Field("flag", "binary"), Field("count", "integer", 8.0, 5.0),
    )  # fmt: skip
    return TableInfo("t", fields, Field("y", "binary"), rows + spare), cells, y


def test_tables_with_categories_gaps_and_padding() -> None:
    info, cells, y = mixed_table()

    def program(s: pv.Session) -> Any:
        table = s.table("t")
        model = GradientBoostingClassifier(max_bins=16, base_score=0.5, **SMALL).fit(table)
        assert model.names_ == ("number", "kind", "flag", "count")
        assert table.valid is not None
        return s.reveal(model.decision_function(table) * table.valid, to="all", name="m", reason="test")

    done = pv.simulate(program, inputs={"o": table_inputs(info, cells, y)}, tables={"t": info}, check_range=True)
    twin = xgboost.XGBClassifier(tree_method="hist", max_bin=64, n_jobs=1, base_score=0.5, **SMALL).fit(cells, y)
    assert (done.output[len(y) :] == 0).all()
    ours, theirs = done.output[: len(y)], twin.predict(cells, output_margin=True)
    assert roc_auc_score(y, ours) > roc_auc_score(y, theirs) - 0.005 > 0.95
    assert {o["name"] for o in done.opened} == {"m"}


def test_rows_and_columns_are_drawn_by_a_public_seed() -> None:
    x, signal, _ = drawn()
    y = (signal > 0).astype(np.int64)
    options = {"subsample": 0.6, "colsample_bytree": 0.5, "max_bins": 8, **SMALL}
    one, same, other = (margins(GradientBoostingClassifier(**options, random_state=r), x, y) for r in (1, 1, 2))
    assert np.allclose(one, same, atol=1e-3) and not np.allclose(one, other, atol=1e-2)
    assert roc_auc_score(y, one) > 0.8


def test_a_monotone_column() -> None:
    x, signal, _ = drawn(d=2)
    y = (signal + np.sin(2.0 * x[:, 0]) > 0).astype(np.int64)
    got = margins(GradientBoostingClassifier(max_bins=8, monotone_constraints=[1, 0], **SMALL), x, y)
    for k in range(8):
        rows = x[:, 1] == k
        assert (np.diff(got[rows][np.argsort(x[rows, 0], kind="stable")]) >= -1e-3).all()


# -- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_depth": 0}, {"n_estimators": 0}, {"max_bins": 1}, {"learning_rate": 0.0}, {"learning_rate": 1.5},
        {"subsample": 0.0}, {"colsample_bytree": 2.0}, {"reg_lambda": -1.0},
        {"reg_lambda": 0.0, "min_child_weight": 0.0},
        {"objective": "reg:squarederror"}, {"base_score": 1.0}, {"monotone_constraints": [1]},
        {"monotone_constraints": {"none such": 1}}, {"scale_pos_weight": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_parameters(wrong: dict[str, Any]) -> None:
    x, signal, _ = drawn(40)
    with pytest.raises(UsageError):
        margins(GradientBoostingClassifier(**{"max_bins": 8, **wrong}), x, (signal > 0).astype(np.int64))


@pytest.mark.parametrize("value", [2, -1])
def test_targets_that_are_no_class(value: int) -> None:
    x, signal, _ = drawn(40)
    y = (signal > 0).astype(np.int64)
    y[3] = value
    for classes in (2, 3):
        if (classes, value) != (3, 2):
            with pytest.raises(RangeViolated, match="binary:logistic"):
                margins(GradientBoostingClassifier(classes, max_bins=8, **SMALL), x, y, bound=2.0, check=False)
    with pytest.raises(RangeViolated):
        counts = GradientBoostingRegressor(objective="count:poisson", max_bins=8, **SMALL)
        margins(counts, x, y - 2.0, bound=4.0, check=False)


def test_weights_of_zero() -> None:
    x, signal, _ = drawn(60)
    y = (signal > 0).astype(np.int64)
    model = GradientBoostingClassifier(max_bins=8, base_score=0.3, **SMALL)
    with pytest.raises(RangeViolated, match="GradientBoostingClassifier: sample_weight is above 0 in some row"):
        margins(model, x, y, np.zeros(60))
    weightless = model.clone().set_params(class_weight={0: 1.0, 1: 0.0})
    with pytest.raises(RangeViolated, match="some row that counts is of a class whose class_weight is above 0"):
        margins(weightless, x, np.ones(60, np.int64), bound=1.0)
    assert np.isfinite(margins(weightless, x, y)).all()


def test_one_class_and_constant_columns() -> None:
    x, signal, _ = drawn(60)
    got = margins(GradientBoostingClassifier(max_bins=8, **SMALL), x, np.zeros(60, np.int64), bound=1.0)
    assert (got < -4).all() and np.ptp(got) < 1e-3
    flat = np.full((60, 2), 0.75)
    got = margins(GradientBoostingClassifier(max_bins=8, base_score=0.5, **SMALL), flat, (signal > 0).astype(np.int64))
    assert np.ptp(got) < 1e-3


def test_more_bins_than_values() -> None:
    x, signal, weight = drawn(80, bins=3)
    y = (signal > -1.5).astype(np.int64)
    got = margins(GradientBoostingClassifier(max_bins=32, base_score=0.5, **SMALL), x * 0.5, y, weight)
    want = margins(GradientBoostingClassifier(max_bins=3, base_score=0.5, **SMALL), x, y, weight)
    assert (np.abs(got - want) < 2e-3).mean() > 0.97


def test_other_columns_at_prediction() -> None:
    x, signal, _ = drawn(40)

    def program(s: pv.Session) -> None:
        model = GradientBoostingClassifier(max_bins=8, n_estimators=1, max_depth=1)
        with pytest.raises(UsageError, match="call fit first"):
            model.predict(s.secret("x", "o"))
        model.fit(s.secret("x", "o"), s.secret("y", "o"))
        with pytest.raises(pv.errors.ShapeError, match="4 columns"):
            model.predict(s.secret("x", "o")[:, 1:])

    given = {"x": pv.Input(x, bound=7.0), "y": pv.Input((signal > 0).astype(np.int64), bound=1.0)}
    pv.simulate(program, inputs={"o": given})


# -- what parties see --------------------------------------------------------------------------------------------


def test_what_is_seen_does_not_depend_on_the_data() -> None:
    """A full tree, and one whose nodes are all dummies: the same messages in the same order, each of uniform bytes.

    The sort of the columns opens comparisons of shuffled rows, whose number is public but whose later batches depend on
    the order that nobody knows; so rounds are compared on columns that need no sort.
    """
    x, signal, _ = drawn(300)
    codes = [(x, (signal > 0).astype(np.int64)), (np.zeros_like(x), np.zeros(300, np.int64))]

    def run(which: int) -> tuple[dict[str, ByteView], Any, list[Any]]:
        def program(s: pv.Session) -> None:
            model = GradientBoostingClassifier(n_estimators=2, max_depth=3, max_bins=8)
            model.fit(s.secret("x", "o"), s.secret("y", "o"))

        views = {f"compute_{i}": ByteView() for i in range(3)}
        given = {"x": pv.Input(codes[which][0], bound=7.0), "y": pv.Input(codes[which][1], bound=1.0)}
        done = pv.simulate(program, inputs={"o": given}, recorders=views, seed=which)
        return views, (done.rounds, done.payload_sent), done.opened

    full, dummy = run(0), run(1)
    assert full[1] == dummy[1]
    assert [(o["name"], o["shape"]) for o in full[2]] == [(o["name"], o["shape"]) for o in dummy[2]]
    assert {o["name"] for o in full[2]} == {"range guard"}
    for party in full[0]:
        one, other = full[0][party].messages, dummy[0][party].messages
        assert [(m[0], m[1], m[2], len(m[3])) for m in one] == [(m[0], m[1], m[2], len(m[3])) for m in other]
        for messages in (one, other):
            secret = [m for m in messages if m[2] not in ("opening", "input digests")]
            pooled: dict[str, Any] = {}
            for m in secret:
                counts = np.bincount(np.frombuffer(m[3], np.uint8), minlength=256)
                pooled[m[2]] = pooled.get(m[2], 0) + counts
            chances = [_uniform_p(c) for c in pooled.values() if c.sum() > 2560]
            assert len(chances) >= 3 and min(chances) * len(chances) > SIGNIFICANCE, sorted(pooled)
