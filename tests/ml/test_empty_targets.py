"""Rows without a target, duration or weight do not count, in every estimator: the fit is that of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import privity as pv
from privity.errors import UsageError
from privity.ml import (
    CategoricalNB,
    CoxPHRegressor,
    DecisionTreeRegressor,
    GaussianNB,
    GradientBoostingClassifier,
    KNeighborsRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    RandomForestClassifier,
)
from privity.ml.preprocessing import WOEEncoder
from privity.ml.selection import cross_val_score
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, table_inputs

RNG = np.random.default_rng(2)
N = 90
FIELDS = (
    Field("x", "number", 4.0, 4.0), Field("z", "number", 4.0, 4.0), Field("g", "category", categories=("a", "b", "c")),
    Field("y", "number", 64.0, 64.0, missing=True), Field("cls", "binary", missing=True),
    Field("n", "integer", 64.0, 64.0, missing=True), Field("days", "integer", 256.0, 200.0, missing=True),
    Field("w", "number", 4.0, 4.0, missing=True),
)  # fmt: skip
X, Z = RNG.normal(size=N).clip(-4, 4), RNG.normal(size=N).clip(-4, 4)
FRAME = pd.DataFrame({
    "x": X, "z": Z, "g": RNG.integers(0, 3, N), "y": (20 + 6 * X - 3 * Z + RNG.normal(size=N)).clip(-64, 64),
    "cls": (RNG.random(N) < 1 / (1 + np.exp(-X))) * 1.0, "n": RNG.poisson(np.exp(0.5 + 0.3 * X)).astype(float),
    "days": np.round(RNG.exponential(np.exp(-0.5 * X)) * 50 + 1).clip(1, 200), "w": RNG.uniform(0.5, 2, N),
})  # fmt: skip
for name in ("y", "cls", "n", "days", "w"):
    FRAME.loc[(RNG.random(N) < 0.25) & (np.arange(N) >= 5), name] = np.nan  # the first five are predicted


def run(body: Callable[[Any, Any], Any], frame: pd.DataFrame, gappy: bool, capacity: int | None) -> Any:
    fields = tuple(Field(f.name, f.kind, f.unit, f.bound, f.categories, f.missing and gappy) for f in FIELDS)
    info = TableInfo("t", fields, capacity=capacity)

    def program(s: pv.Session) -> Any:
        return [s.reveal(v, to="all", name="v", reason="test") for v in body(s, s.table("t"))]

    return pv.simulate(
        program, inputs={"o": table_inputs(info, frame)}, tables={"t": info}, parties=1, protocol=InsecurePlain(),
        minimum_group=1,
    ).output  # fmt: skip


XZ = ["x", "z"]
FITS: dict[str, tuple[list[str], Callable[[Any], list[Any]], float]] = {
    "linear": (["y"], lambda t: [LinearRegression().fit(t[[*XZ, "y"]], "y").coefficients_], 1e-3),
    "column": (["y"], lambda t: [LinearRegression().fit(t[XZ], t["y"]).coefficients_], 1e-3),
    "label": (["y"], lambda t: [LinearRegression().fit(t[[*XZ, "y"]].with_label("y")).coefficients_], 1e-3),
    "weights": (["y", "w"], lambda t: [
        LinearRegression().fit(t[[*XZ, "y"]], "y", sample_weight=t["w"]).coefficients_], 1e-3),
    "array": (["y"], lambda t: [LinearRegression().fit(t.matrix(XZ), t["y"], valid=t.valid).coefficients_], 1e-3),
    "lasso": (["y"], lambda t: [Lasso(alpha=0.1).fit(t[[*XZ, "y"]], "y").coefficients_], 2e-3),
    "logistic": (["cls"], lambda t: [
        LogisticRegression(solver="newton").fit(t[[*XZ, "cls"]], "cls").coefficients_], 2e-3),
    "poisson": (["n"], lambda t: [PoissonRegressor().fit(t[[*XZ, "n"]], "n").coefficients_], 2e-3),
    "cox": (["cls", "days"], lambda t: [
        CoxPHRegressor().fit(t[[*XZ, "cls", "days"]], "cls", duration="days").coef_], 2e-3),
    "cox columns": (["cls", "days"], lambda t: [
        CoxPHRegressor().fit(t[XZ], t["cls"], duration=t["days"]).coef_], 2e-3),
    "cox arrays": (["cls", "days"], lambda t: [
        CoxPHRegressor().fit(t.matrix(XZ), t["cls"], duration=t["days"], valid=t.valid).coef_], 2e-3),
    "gaussian": (["cls"], lambda t: [GaussianNB(2).fit(t[[*XZ, "cls"]], "cls").class_prior_], 1e-4),
    "categorical": (["cls"], lambda t: [
        CategoricalNB(2).fit(t[["g", "cls"]], "cls").predict(t[["g"]].take(slice(0, 5)))], 0.0),
    "neighbours": (["y"], lambda t: [
        KNeighborsRegressor(3).fit(t[[*XZ, "y"]], "y").predict(t[XZ].take(slice(0, 5)))], 1e-2),
    "tree": (["y"], lambda t: [DecisionTreeRegressor(max_depth=2, max_bins=8).fit(t[[*XZ, "y"]], "y").predict(
        t[XZ].take(slice(0, 5)))], 0.5),
    "boosting": (["cls"], lambda t: [GradientBoostingClassifier(n_estimators=2, max_depth=2, max_bins=8).fit(
        t[[*XZ, "cls"]], "cls").decision_function(t[XZ].take(slice(0, 5)))], 0.05),
    "woe": (["cls"], lambda t: [WOEEncoder().fit(t[["g", "cls"]].with_label("cls")).woe_["g"]], 1e-3),
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_the_fit_is_that_of_the_rows_with_a_target(name: str) -> None:
    targets, fit, error = FITS[name]
    keep = FRAME[targets].notna().all(axis=1)
    full = FRAME.fillna(1.0)
    # the same rows: those without a target filtered out, so that bins of trees see as many rows
    want = run(lambda s, t: fit(t.filter(s.constant(keep.to_numpy()))), full, False, None)
    for capacity in (None, N + 7):
        got = run(lambda s, t: fit(t), FRAME, True, capacity)
        for a, b in zip(got, want, strict=True):
            assert np.allclose(a, b, rtol=error, atol=max(error, 1e-9)), (capacity, a, b)


def test_linear_regression_beside_numpy() -> None:
    (got,) = run(lambda s, t: FITS["linear"][1](t), FRAME, True, None)
    rows = FRAME.dropna(subset=["y"])
    right = np.linalg.lstsq(np.c_[rows[XZ] / 4, np.ones(len(rows))], rows["y"], rcond=None)[0]
    assert np.allclose(got, right, rtol=1e-3, atol=2e-3)


def test_predictions_need_no_target() -> None:
    def body(s: Any, t: Any) -> list[Any]:
        model = LinearRegression().fit(t[[*XZ, "y"]], "y")
        labelled = t[[*XZ, "y"]].with_label("y")  # its empty cells are of no matter here
        return [model.predict(labelled), model.predict(t[XZ])]

    one, two = run(body, FRAME, True, None)
    assert np.array_equal(one, two)


def test_cross_validation_and_forests_leave_them_out_too() -> None:
    def body(s: Any, t: Any) -> list[Any]:
        table = t[[*XZ, "y"]].with_label("y")
        scores = cross_val_score(LinearRegression(), table, scoring="r2", cv=3)
        forest = RandomForestClassifier(n_estimators=2, max_depth=2, max_bins=8).fit(t[[*XZ, "cls"]], "cls")
        return [scores.values, forest.predict_proba(t[XZ].take(slice(0, 3)))]

    scores, p = run(body, FRAME, True, None)
    assert (np.asarray(scores) > 0.8).all() and ((p >= 0) & (p <= 1)).all()


def test_empty_features_are_still_refused_by_name() -> None:
    def body(s: Any, t: Any) -> list[Any]:
        with pytest.raises(UsageError, match="w: some cells may be empty; fill them in first"):
            LinearRegression().fit(t[["x", "w", "y"]], "y")
        return []

    run(body, FRAME, True, None)
