"""Splits, cross-validated scores and parameter search on shares against scikit-learn on the same parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression as PlainLogistic
from sklearn.linear_model import Ridge as PlainRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold as PlainFold
from sklearn.model_selection import cross_val_score as plain_cross_val_score

import privity as pv
from privity.errors import ShapeError, UsageError
from privity.ml.least_squares import Ridge
from privity.ml.metrics import mean_squared_error
from privity.ml.multinomial import MultinomialLogisticRegression as Softmax
from privity.ml.selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score, train_test_split
from privity.session import Session
from privity.table import Field, TableInfo, numbers, table_inputs

DATA, TARGET = load_diabetes(return_X_y=True)
X, Y = (DATA[:200, :4] * 20).round(3), ((TARGET[:200] - 150) / 80).round(3)
VALID = (np.random.default_rng(3).random(200) < 0.8).astype(int)
GIVEN = {
    "x": pv.Input(X * VALID[:, None], 8.0), "y": pv.Input(Y * VALID, 4.0), "v": pv.Input(VALID, 1),
    "all_x": pv.Input(X, 8.0), "all_y": pv.Input(Y, 4.0),
}  # fmt: skip


def run(program: Any, **settings: Any) -> pv.Simulation:
    def whole(s: Session) -> Any:
        return program(s, {name: s.secret(name, "bank") for name in GIVEN})

    return pv.simulate(whole, inputs={"bank": GIVEN}, **settings)


def plain_scores(alpha: float, folds: KFold, rows: np.ndarray) -> list[float]:
    out = []
    for train, test in folds.split(len(Y)):
        train, test = train[rows[train]], test[rows[test]]
        out.append(r2_score(Y[test], PlainRidge(alpha=alpha).fit(X[train], Y[train]).predict(X[test])))
    return out


def test_folds_are_parts_of_the_rows() -> None:
    for folds in (KFold(3), KFold(3, shuffle=False), KFold(3, secret=True)):
        parts = list(folds.split(10, seed=4))
        assert sorted(np.concatenate([t for _, t in parts]).tolist()) == list(range(10))
        assert all(not set(train) & set(test) and len(train) + len(test) == 10 for train, test in parts)
    one, other = (next(KFold(2).split(50, seed))[1].tolist() for seed in (1, 2))
    assert one != other and next(KFold(2, random_state=1).split(50, 2))[1].tolist() == one
    for wrong in (1, 11):
        with pytest.raises(UsageError, match="n_splits"):
            next(KFold(wrong).split(10))


@pytest.mark.parametrize("secret", [False, True])
def test_train_and_test_rows(secret: bool) -> None:
    def program(s: Session, x: Any) -> Any:
        parts = train_test_split(x["all_x"], x["all_y"], test_size=0.3, random_state=5, secret=secret)
        return [s.reveal(p, to="all", name="p", reason="test") for p in parts]

    x_train, x_test, y_train, y_test = run(program).output
    assert x_train.shape == (140, 4) and x_test.shape == (60, 4)
    assert sorted(np.r_[y_train, y_test]) == pytest.approx(sorted(Y), abs=1e-5)
    pairs = {(round(a, 3), round(b, 3)) for a, b in zip(X[:, 2], Y, strict=True)}
    got = zip(np.r_[x_train, x_test][:, 2], np.r_[y_train, y_test], strict=True)
    assert {(round(a, 3), round(b, 3)) for a, b in got} == pairs  # rows stay together


@pytest.mark.parametrize("masked", [False, True])
def test_scores_are_those_of_scikit_learn(masked: bool) -> None:
    folds = KFold(4, random_state=1)

    def program(s: Session, x: Any) -> Any:
        args = (x["x"], x["y"]) if masked else (x["all_x"], x["all_y"])
        scores = cross_val_score(Ridge(alpha=2.0), *args, scoring="r2", cv=folds, valid=x["v"] if masked else None)
        mean = s.reveal(scores.mean, to="all", name="mean", reason="test")
        return scores.open(to="all", name="scores", reason="test"), mean

    result = run(program)
    want = plain_scores(2.0, folds, VALID > 0 if masked else np.ones(len(Y), bool))
    np.testing.assert_allclose(result.output[0], want, atol=2e-3)
    np.testing.assert_allclose(result.output[1], np.mean(want), atol=2e-3)
    assert {o["name"] for o in result.opened} == {"scores", "mean", "range guard"} - (
        set() if any(o["name"] == "range guard" for o in result.opened) else {"range guard"}
    )


def test_a_secret_order_and_a_function_as_score() -> None:
    def score(model: Any, x: Any, y: Any, *, valid: Any, sample_weight: Any) -> Any:
        return -mean_squared_error(y, model.predict(x))

    def program(s: Session, x: Any) -> Any:
        folds = KFold(4, secret=True)
        scores = cross_val_score(Ridge(alpha=2.0), x["all_x"], x["all_y"], scoring=score, cv=folds)
        return scores.open(to="all", name="scores", reason="test")

    got = run(program).output
    model = PlainRidge(alpha=2.0)
    errors = [-np.mean((Y[t] - model.fit(X[r], Y[r]).predict(X[t])) ** 2) for r, t in KFold(4).split(200)]
    assert got.mean() == pytest.approx(np.mean(errors), abs=0.1)


CLASSES = (np.random.default_rng(8).random(200) < 0.13).astype(int) + (Y > 1.2)  # three classes, two of them rare


@pytest.mark.parametrize("masked", [False, True])
def test_stratified_parts_have_their_share_of_every_class(masked: bool) -> None:
    class Nothing:
        def clone(self) -> Nothing:
            return self

        def fit(self, x: Any, y: Any, **words: Any) -> Nothing:
            return self

    marks = np.arange(200) / 64

    def program(s: Session) -> Any:
        parts: list[Any] = []

        def score(model: Any, x: Any, y: Any, *, valid: Any, sample_weight: Any) -> Any:
            """Opens the part's rows, for this test alone."""
            keep = s.constant(np.ones(y.shape, np.int64)) if valid is None else valid
            parts.append([s.reveal(v, to="all", name="rows", reason="test") for v in (x[:, 0], y, keep)])
            return s.constant(0.0)

        x, y, v = s.secret("x", "o"), s.secret("y", "o"), s.secret("v", "o")
        cross_val_score(Nothing(), x, y, scoring=score, cv=StratifiedKFold(7), valid=v if masked else None)
        return parts

    inputs = {"x": pv.Input(marks[:, None], 4.0), "y": CLASSES, "v": pv.Input(VALID, 1)}
    runs = [pv.simulate(program, inputs={"o": inputs}) for _ in range(2)]
    orders = []
    for run in runs:
        parts = run.output
        assert len(parts) == 7
        at = np.concatenate([np.rint(p[0] * 64).astype(int)[p[2] > 0] for p in parts])
        real = VALID > 0 if masked else np.ones(200, bool)
        assert sorted(at) == np.flatnonzero(real).tolist()  # each real row tests once
        assert np.array_equal(np.concatenate([p[1][p[2] > 0] for p in parts]), CLASSES[at])  # rows stay together
        for k in range(3):
            counts = [int(((p[1] == k) & (p[2] > 0)).sum()) for p in parts]
            assert sum(counts) == (CLASSES[real] == k).sum() and max(counts) - min(counts) <= 1, counts
        orders.append(at)
        assert {o["name"] for o in run.opened} <= {"rows", "range guard"}
    assert not np.array_equal(*orders)  # in a new order each time


def test_a_stratified_split_has_both_classes_on_both_sides() -> None:
    rare = np.zeros(200, np.int64)
    rare[[3, 50, 120, 199]] = 1

    def program(s: Session) -> Any:
        x, y = s.secret("x", "o"), s.secret("y", "o")
        parts = train_test_split(x, y, test_size=0.25, stratify=y)
        return [s.reveal(p, to="all", name="p", reason="test") for p in parts]

    inputs = {"x": pv.Input(np.arange(200) / 64, 4.0), "y": rare}
    places = []
    for _ in range(3):
        x_train, x_test, y_train, y_test = pv.simulate(program, inputs={"o": inputs}).output
        assert x_train.shape == (150,) and x_test.shape == (50,)
        assert (y_train.sum(), y_test.sum()) == (3, 1)
        back = np.rint(np.r_[x_train, x_test] * 64).astype(int)
        assert sorted(back) == list(range(200)) and np.array_equal(rare[back], np.r_[y_train, y_test])
        places += [*np.flatnonzero(y_train), 200 + np.flatnonzero(y_test)[0]]
    assert len(set(places)) > 6, "the rows of a class stand anywhere, not at its end"


def test_search_opens_the_means_and_nothing_else() -> None:
    grid = {"alpha": [0.5, 20.0, 500.0]}
    folds = KFold(3, random_state=1)

    def program(s: Session, x: Any) -> Any:
        search = GridSearchCV(Ridge(), grid, scoring="r2", cv=folds)
        search.fit(x["x"], x["y"], valid=x["v"])
        search.predict(x["x"])
        return search.best_params_, search.cv_results_["mean_test_score"], search.cv_results_["rank_test_score"]

    result = run(program)
    want = [np.mean(plain_scores(a, folds, VALID > 0)) for a in grid["alpha"]]
    best, means, ranks = result.output
    np.testing.assert_allclose(means, want, atol=2e-3)
    assert best == {"alpha": grid["alpha"][int(np.argmax(want))]} and ranks[int(np.argmax(means))] == 1
    assert {o["name"] for o in result.opened} <= {"cv scores", "range guard"}
    assert sum(o["name"] == "cv scores" and o["shape"] == [3] for o in result.opened) == 1
    assert {repr(o) for o in result.outputs.values()} == {repr(result.output)}


def test_what_does_not_fit_is_refused() -> None:
    def refused(error: type[Exception], words: str, fn: Any, **settings: Any) -> None:
        with pytest.raises(error, match=words):
            run(lambda s, x: fn(x), **settings)

    def search(x: Any, grid: Any) -> GridSearchCV:
        return GridSearchCV(Ridge(), grid, scoring="r2", cv=4)

    refused(UsageError, "no combination", lambda x: search(x, []).fit(x["x"], x["y"]))
    refused(UsageError, "no parameter 'beta'", lambda x: search(x, {"beta": [1]}).fit(x["x"], x["y"]))
    refused(UsageError, "call fit first", lambda x: search(x, {"alpha": [1.0]}).predict(x["x"]))
    refused(UsageError, "one of accuracy", lambda x: cross_val_score(Ridge(), x["x"], x["y"], scoring="auc"))
    refused(UsageError, "numbers have no classes",
            lambda x: cross_val_score(Ridge(), x["all_x"], x["all_y"], scoring="r2", cv=StratifiedKFold(3)))
    refused(UsageError, "numbers have no classes", lambda x: train_test_split(x["x"], stratify=x["y"]))
    refused(ShapeError, "stratify with 200 rows", lambda x: train_test_split(x["x"], stratify=x["v"][:3]))
    refused(UsageError, "StratifiedKFold: expected 2 <= n_splits",
            lambda x: cross_val_score(Ridge(), x["x"], x["v"], scoring="r2", cv=StratifiedKFold(1)))
    refused(UsageError, "no rows on one side", lambda x: train_test_split(x["x"], test_size=0.0))
    refused(ShapeError, "the same rows", lambda x: train_test_split(x["x"], x["y"][:3]))
    refused(
        UsageError, "fewer test rows than the minimum",
        lambda x: search(x, {"alpha": [1.0]}).fit(x["all_x"], x["all_y"]), minimum_group=51,
    )  # fmt: skip


def test_a_table_is_split_like_arrays() -> None:
    label = (Y > 0).astype(float)
    info = TableInfo("t", numbers(("a", "b", "c", "d"), [8.0] * 4), Field("y", "binary"), None)

    def program(s: Session) -> Any:
        table = s.table("t")
        folds = KFold(3, random_state=2)
        whole = cross_val_score(Ridge(alpha=1.0), table, scoring="neg_mean_squared_error", cv=folds)
        arrays = cross_val_score(
            Ridge(alpha=1.0), table.features, table.label, scoring="neg_mean_squared_error", cv=folds
        )
        return [scores.open(to="all", name="scores", reason="test") for scores in (whole, arrays)]

    got = pv.simulate(program, inputs={"bank": table_inputs(info, X, label)}, tables={"t": info}).output
    np.testing.assert_allclose(got[0], got[1], atol=1e-3)
    with pytest.raises(UsageError, match="own row mask"):
        pv.simulate(
            lambda s: cross_val_score(Ridge(), s.table("t"), scoring="r2", cv=KFold(3, secret=True)),
            inputs={"bank": table_inputs(info, X, label)}, tables={"t": info},
        )  # fmt: skip


def test_scores_of_classes_are_for_classes_and_log_loss_for_several() -> None:
    data = load_iris()
    order = np.random.default_rng(0).permutation(150)
    x, y = ((data.data - data.data.mean(0)) / data.data.std(0))[order], data.target[order]

    def scores(estimator: Any, scoring: str) -> Any:
        def program(s: Session) -> Any:
            given = s.secret("x", "o"), s.secret("y", "o")
            found = cross_val_score(estimator, *given, cv=KFold(2, shuffle=False), scoring=scoring)
            return found.open(to="all", name="scores", reason="test")

        return pv.simulate(program, inputs={"o": {"x": x, "y": y}}).output

    with pytest.raises(UsageError, match="Ridge predicts numbers; take one of neg_mean_absolute_error"):
        scores(Ridge(), "accuracy")
    want = plain_cross_val_score(PlainLogistic(tol=1e-9), x, y, cv=PlainFold(2), scoring="neg_log_loss")
    np.testing.assert_allclose(scores(Softmax(3, alpha=1 / 75), "neg_log_loss"), want, atol=1e-4)
