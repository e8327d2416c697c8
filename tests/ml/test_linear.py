"""Joint standardisation, logistic regression and metrics on shares against NumPy and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Centralised
from sklearn.metrics import accuracy_score as plain_accuracy
from sklearn.metrics import brier_score_loss as plain_brier
from sklearn.preprocessing import StandardScaler as PlainScaler

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.ml.linear import LogisticRegression, batch_order, learning_rate
from privity.ml.metrics import accuracy_score, brier_score_loss
from privity.ml.preprocessing import StandardScaler
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, numbers, table_inputs

ROWS, WIDTH = 1500, 6
OWNERS = ("north", "south", "west")
FIELDS, LABEL = numbers((f"c{i}" for i in range(WIDTH)), [128.0] * WIDTH), Field("y", "binary")


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(ROWS, WIDTH)) * [1, 5, 0.5, 20, 3, 1] + [0, 10, -1, 30, 0, 2]
    x[:, 5] = 2.0  # a constant column
    weights = np.array([1.0, -0.5, 0.8, 0.3, 0.0, 0.0])
    z = ((x - x.mean(0)) / np.where(x.std(0) == 0, 1, x.std(0))) @ weights - 0.5
    return x, (rng.random(ROWS) < 1 / (1 + np.exp(-z))).astype(float)


def inputs(info: TableInfo) -> tuple[dict[str, Any], list[np.ndarray]]:
    x, y = data()
    parts = np.array_split(np.arange(ROWS), len(OWNERS))
    return {o: table_inputs(info, x[p], y[p]) for o, p in zip(OWNERS, parts, strict=True)}, parts


def table(capacity: int | None = None) -> TableInfo:
    return TableInfo("t", FIELDS, LABEL, capacity)


SETTINGS: dict[str, Any] = {
    "learning_rate": 0.5, "final_learning_rate": 0.05, "epochs": 3, "batch_size": 256, "alpha": 0.01,
    "class_weight": (0.75, 1.5), "random_state": 3,
}  # fmt: skip


def same_loop(rows: np.ndarray, y: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The secure loop in float64; ``rows`` standardised, padding rows zero."""
    with_one = np.column_stack([rows, real])
    weight = np.where(y > 0.5, *SETTINGS["class_weight"][::-1])
    coef = np.zeros(WIDTH + 1)
    share = (weight * real * y).sum() / (weight * real).sum()
    coef[-1] = np.log(share / (1 - share))
    batches = batch_order(len(rows), SETTINGS["batch_size"], SETTINGS["epochs"], SETTINGS["random_state"])
    for k, b in enumerate(batches):
        rate = learning_rate(SETTINGS["learning_rate"], SETTINGS["final_learning_rate"], k, len(batches))
        error = (1 / (1 + np.exp(-with_one[b] @ coef)) - y[b]) * weight[b]
        coef -= rate * (with_one[b].T @ error / len(b) + SETTINGS["alpha"] * np.r_[np.ones(WIDTH), 0] * coef)
    return coef


@pytest.mark.parametrize("capacity", [None, 600])
def test_training_matches_the_same_loop_in_float64(capacity: int | None) -> None:
    info = table(capacity)
    owned, parts = inputs(info)

    def program(s: pv.Session) -> dict[str, Any]:
        t = s.table("t")
        assert t.label is not None
        scaler = StandardScaler()
        x = scaler.fit_transform(t).features
        model = LogisticRegression(**SETTINGS).fit(x, t.label, valid=t.valid)

        def opened(name: str, value: pv.SecureArray) -> Any:
            return s.reveal(value, to="all", name=name, reason="test")

        return {
            "x": opened("x", x),
            "coef": opened("coef", model.coefficients_),
            "unscaled": opened("unscaled", scaler.unscale(model.coefficients_)),
            "accuracy": opened("accuracy", accuracy_score(t.label, model.predict(x), valid=t.valid)),
            "brier": opened("brier", brier_score_loss(t.label, model.predict_proba(x), valid=t.valid)),
        }

    got = pv.simulate(program, inputs=owned, tables={"t": info}).output
    x, y = data()
    standard = PlainScaler().fit(x)
    size = 3 * capacity if capacity else ROWS
    rows, labels, real = np.zeros((size, WIDTH)), np.zeros(size), np.zeros(size)
    for i, p in enumerate(parts):
        at = slice(i * (capacity or len(p)), i * (capacity or len(p)) + len(p))
        rows[at], labels[at], real[at] = standard.transform(x[p]), y[p], 1
    assert np.abs(got["x"] - rows).max() < 2e-3
    assert not got["x"][:, 5].any()
    expected = same_loop(rows, labels, real)
    assert np.abs(got["coef"] - expected).max() < 1e-3
    raw = got["unscaled"]
    scale = np.sqrt(standard.var_)
    assert np.abs(raw[:-1] * scale / 128 - expected[:-1]).max() < 2e-3
    score = rows @ expected[:-1] + expected[-1]
    keep = real > 0
    assert abs(got["accuracy"] - plain_accuracy(labels[keep], score[keep] > 0)) < 5e-3
    assert abs(got["brier"] - plain_brier(labels[keep], 1 / (1 + np.exp(-score[keep])))) < 1e-3


def test_training_nears_the_optimum_of_scikit_learn() -> None:
    info = table()
    owned, _ = inputs(info)

    def program(s: pv.Session) -> Any:
        t = s.table("t")
        assert t.label is not None
        model = LogisticRegression(
            learning_rate=1.0, final_learning_rate=0.1, epochs=20, batch_size=500, alpha=0.02
        ).fit(StandardScaler().fit_transform(t).features, t.label)
        return s.reveal(model.coefficients_, to="all", name="coef", reason="test")

    got = pv.simulate(program, inputs=owned, tables={"t": info}, protocol=InsecurePlain(), parties=1).output
    x, y = data()
    best = Centralised(C=1 / (0.02 * ROWS), tol=1e-8, max_iter=1000).fit(PlainScaler().fit_transform(x), y)
    assert np.abs(got - np.append(best.coef_[0], best.intercept_)).max() < 0.03


def test_a_coefficient_that_leaves_its_bound_is_found() -> None:
    info = table()
    owned, _ = inputs(info)

    def program(s: pv.Session) -> None:
        t = s.table("t")
        assert t.label is not None
        LogisticRegression(learning_rate=4.0, epochs=1, batch_size=500, coefficient_bound=0.25).fit(
            StandardScaler().fit_transform(t).features, t.label
        )

    with pytest.raises(RangeViolated, match="test_linear"):
        pv.simulate(program, inputs=owned, tables={"t": info})


@pytest.mark.parametrize(
    ("change", "error"),
    [({"epochs": 0}, UsageError), ({"batch_size": 0}, UsageError), ({"learning_rate": 0.0}, UsageError),
     ({"alpha": -1.0}, UsageError)],
)  # fmt: skip
def test_wrong_settings_are_refused(change: dict[str, Any], error: type[Exception]) -> None:
    def program(s: pv.Session) -> None:
        x, y = s.constant(np.zeros((4, 2))), s.constant(np.zeros(4, int))
        LogisticRegression(**{**SETTINGS, **change}).fit(x, y)

    with pytest.raises(error):
        pv.simulate(program)


def test_wrong_shapes_are_refused() -> None:
    def program(s: pv.Session) -> None:
        LogisticRegression().fit(s.constant(np.zeros((4, 2))), s.constant(np.zeros(5, int)))

    with pytest.raises(ShapeError, match=r"4 rows like x, got \(5,\)"):
        pv.simulate(program)


def test_an_owner_that_forgets_its_table_stops_the_job() -> None:
    info = TableInfo("t", FIELDS, LABEL, None, OWNERS)
    owned, _ = inputs(info)
    del owned["west"]

    with pytest.raises(UsageError, match="west did not bring the table 't'"):
        pv.simulate(lambda s: s.table("t").rows, inputs=owned, receivers=["west"], tables={"t": info})
