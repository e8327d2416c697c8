"""Nearest neighbours on shares against scikit-learn, masks, tables and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.neighbors import KNeighborsClassifier as PlainClassifier
from sklearn.neighbors import KNeighborsRegressor as PlainRegressor
from sklearn.preprocessing import StandardScaler

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.ml import neighbors
from privity.ml.neighbors import KNeighborsClassifier, KNeighborsRegressor
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, numbers, table_inputs

LOADED = {f.__name__[5:]: f(return_X_y=True) for f in (load_iris, load_wine, load_breast_cancer, load_diabetes)}
NOISE = np.random.default_rng(0)  # no two rows equally near
DATA = {n: (StandardScaler().fit_transform(x) + 0.01 * NOISE.normal(size=x.shape), y) for n, (x, y) in LOADED.items()}
TRAIN, TEST = slice(0, None, 2), slice(1, 80, 2)


def answers(model: Any, name: str, masked: bool = False) -> tuple[dict[str, Any], Any]:
    """Of a model that keeps the even rows and is asked for some odd ones."""
    x, y = DATA[name]
    rows, targets, valid = x[TRAIN], y[TRAIN], None
    if masked:  # rows that are near to everything, and do not count
        rows, targets = np.vstack([rows, x[TEST]]), np.r_[targets, y[TEST]]
        valid = np.r_[np.ones(len(x[TRAIN]), int), np.zeros(len(x[TEST]), int)]

    def program(s: pv.Session) -> dict[str, Any]:
        made = model.clone().fit(
            s.secret("x", "o"), s.secret("y", "o"), valid=s.secret("valid", "o") if masked else None
        )
        asked = s.secret("asked", "o")
        distances, places = made.kneighbors(asked)
        found = {"distances": distances, "places": places, "predict": made.predict(asked)}
        if hasattr(made, "predict_proba"):
            found["proba"] = made.predict_proba(asked)
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in found.items()}

    whole = targets.dtype.kind == "i"
    data = {"x": pv.Input(rows, bound=16.0), "asked": pv.Input(x[TEST], bound=16.0)}
    data["y"] = pv.Input(targets) if whole else pv.Input(targets, bound=512.0)
    if valid is not None:
        data["valid"] = pv.Input(valid)
    run = pv.simulate(program, inputs={"o": data}, check_range=True)
    return run.output, run


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("name", "count"), [("iris", 5), ("wine", 1), ("breast_cancer", 8)])
def test_classes_are_those_of_scikit_learn(name: str, count: int, masked: bool) -> None:
    x, y = DATA[name]
    got, run = answers(KNeighborsClassifier(int(y.max()) + 1, count), name, masked)
    best = PlainClassifier(count, algorithm="brute").fit(x[TRAIN], y[TRAIN])
    distances, places = best.kneighbors(x[TEST])
    assert np.array_equal(got["places"], places) and np.abs(got["distances"] - distances).max() < 2e-4
    assert np.array_equal(got["predict"], best.predict(x[TEST]))
    assert np.abs(got["proba"] - best.predict_proba(x[TEST])).max() < 1e-5
    assert {line["name"] for line in run.opened} <= {*got, "range guard"}


def test_numbers_are_those_of_scikit_learn() -> None:
    x, y = DATA["diabetes"]
    got, _ = answers(KNeighborsRegressor(7), "diabetes")
    best = PlainRegressor(7, algorithm="brute").fit(x[TRAIN], y[TRAIN])
    assert np.abs(got["predict"] - best.predict(x[TEST])).max() < 1e-3


def test_blocks_of_rows_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = answers(KNeighborsClassifier(3, 3), "iris")
    monkeypatch.setattr(neighbors, "_AT_ONCE", 75 * 9)
    parts, _ = answers(KNeighborsClassifier(3, 3), "iris")
    assert np.array_equal(whole["places"], parts["places"]) and np.array_equal(whole["predict"], parts["predict"])


def test_cost_is_what_the_page_says() -> None:
    x = np.random.default_rng(1).normal(size=(1000, 6))
    given = {"x": pv.Input(x, bound=8.0), "q": pv.Input(x[:40], bound=8.0), "y": np.arange(1000) % 2}

    def fit(s: pv.Session) -> Any:
        return KNeighborsClassifier(2, 5).fit(s.secret("x", "o"), s.secret("y", "o"))

    def ask(s: pv.Session) -> None:
        fit(s).predict(s.secret("q", "o"))

    one, two = (pv.simulate(p, inputs={"o": given}) for p in (fit, ask))
    sent = (sum(two.payload_sent.values()) - sum(one.payload_sent.values())) / 3
    assert two.rounds - one.rounds <= 270 and sent <= (45 + 30 * 3 + 7 * 9) * 1.05 * 40 * 1000


def test_a_table_with_padding() -> None:
    x, y = DATA["iris"]
    info = TableInfo("t", numbers([f"c{i}" for i in range(4)], [8.0] * 4), Field("y", "integer", 1.0, 4.0), 90)
    parts = {"a": table_inputs(info, x[:80], y[:80] / 1.0), "b": table_inputs(info, x[80:], y[80:] / 1.0)}

    def program(s: pv.Session) -> Any:
        table = s.table("t")
        made = KNeighborsClassifier(3, 3).fit(table)
        assert made.names_ == ("c0", "c1", "c2", "c3")
        return s.reveal(made.predict(table), to="all", name="classes", reason="test")

    got = pv.simulate(program, inputs=parts, tables={"t": info}).output
    best = PlainClassifier(3).fit(x, y).predict(x)
    assert np.array_equal(np.r_[got[:80], got[90:160]], best)


def test_wrong_input_is_refused() -> None:
    def program(s: pv.Session) -> None:
        x, y = s.constant(np.eye(4)), s.constant(np.array([0, 1, 0, 1]))
        for wrong in (x[:, 0], x[:0], x[:, :0]):
            with pytest.raises(ShapeError):
                KNeighborsRegressor(1).fit(wrong, y[: wrong.shape[0]])
        with pytest.raises(ShapeError, match="as many neighbours as rows, 4"):
            KNeighborsClassifier(2, 5).fit(x, y)
        for model in (KNeighborsClassifier(1, 1), KNeighborsClassifier(2, 0), KNeighborsRegressor(0)):
            with pytest.raises(UsageError, match="whole number"):
                model.fit(x, y)
        with pytest.raises(UsageError, match="no target"):
            KNeighborsRegressor(1).fit(x)
        with pytest.raises(ShapeError, match="y of shape"):
            KNeighborsRegressor(1).fit(x, x)
        with pytest.raises(UsageError, match="as integers"):
            KNeighborsClassifier(2, 1).fit(x, x[0])
        with pytest.raises(UsageError, match="call fit first"):
            KNeighborsRegressor(1).predict(x)
        with pytest.raises(ShapeError, match="4 columns"):
            KNeighborsRegressor(1).fit(x, y).predict(x[:, :3])

    pv.simulate(program, protocol=InsecurePlain(), parties=1)
    with pytest.raises(RangeViolated, match="from 0 to classes - 1"):
        answers(KNeighborsClassifier(2, 1), "iris")


@pytest.mark.parametrize("loose", [1.0, 1000.0])
@pytest.mark.parametrize("masked", [False, True])
def test_raw_tables_under_loose_bounds(loose: float, masked: bool) -> None:
    x, y = LOADED["wine"]
    bounds = [2.0 ** np.ceil(np.log2(c.max() * loose)) for c in np.abs(x).T]
    fields = numbers([f"c{i}" for i in range(13)], bounds)
    info = TableInfo("t", fields, Field("y", "integer", 4.0, 2.0), 200 if masked else len(x))

    def program(s: pv.Session) -> Any:
        table = s.table("t")
        made = KNeighborsClassifier(classes=3, n_neighbors=5).fit(table)
        return s.reveal(made.predict(table), to="all", name="classes", reason="test")

    found = pv.simulate(program, inputs={"a": table_inputs(info, x, y)}, tables={"t": info}).output
    assert (found[: len(x)] == PlainClassifier(5).fit(x / bounds, y).predict(x / bounds)).all()


def test_bounds_that_leave_no_digits_are_refused() -> None:
    x = np.random.default_rng(2).normal(size=(30, 2))
    info = TableInfo("t", numbers(["a", "b"], [2.0**22] * 2), Field("y", "number", 4.0, 2.0), 30)

    def program(s: pv.Session) -> Any:
        made = KNeighborsRegressor(n_neighbors=2).fit(s.table("t"))
        return s.reveal(made.predict(s.table("t")), to="all", name="means", reason="test")

    with pytest.raises(RangeViolated, match="distances have no digits: state smaller bounds"):
        pv.simulate(program, inputs={"a": table_inputs(info, x, np.ones(30))}, tables={"t": info})
