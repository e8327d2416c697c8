"""Naive Bayes on shares against scikit-learn: all four models, masks, weights, tables of categories and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.naive_bayes as plain
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.ml.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB, NaiveBayes
from privity.ml.saving import load, save
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, table_inputs

LOADED = {f.__name__[5:]: f(return_X_y=True) for f in (load_iris, load_wine, load_breast_cancer)}
DATA = {name: (StandardScaler().fit_transform(x), y) for name, (x, y) in LOADED.items()}
DIGITS, DIGIT = (v[:400] for v in load_digits(return_X_y=True))
COUNTED = ("class_log_prior_", "feature_log_prob_")


def fitted(model: NaiveBayes, x: np.ndarray, y: np.ndarray, masks: tuple[str, ...] = (), **more: Any) -> Any:
    """What a fit learns and predicts for its own rows, opened, and the run."""

    def program(s: pv.Session) -> dict[str, Any]:
        given = s.secret("x", "o")
        made = model.clone().fit(given, s.secret("y", "o"), **{name: s.secret(name, "o") for name in masks})
        names = [n for n in vars(made) if n.endswith("_") and isinstance(getattr(made, n), pv.SecureArray)]
        found = {n: getattr(made, n) for n in names}
        found |= {n: getattr(made, n)(given) for n in ("predict", "predict_proba", "predict_log_proba")}
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in found.items()}

    data = x if x.dtype.kind == "i" else pv.Input(x, bound=16.0)
    run = pv.simulate(program, inputs={"o": {"x": data, "y": y, **more}}, check_range=True)
    return run.output, run


@pytest.mark.parametrize("name", DATA)
def test_gaussian_is_that_of_scikit_learn(name: str) -> None:
    x, y = DATA[name]
    got, run = fitted(GaussianNB(int(y.max()) + 1), x, y)
    best = plain.GaussianNB(var_smoothing=1e-3).fit(x, y)
    for learnt in ("theta_", "var_", "class_prior_"):
        assert np.abs(got[learnt] - getattr(best, learnt)).max() < 2e-5
    assert np.array_equal(got["predict"], best.predict(x))
    assert np.abs(got["predict_proba"] - best.predict_proba(x)).max() < 3e-3
    assert run.rounds <= 320 + 3 * 190 + 100  # fit, three times the densities, and what softmax takes
    assert {line["name"] for line in run.opened} <= {*got, "range guard"}


def test_gaussian_with_padding_weights_and_given_priors() -> None:
    x, y = DATA["iris"]
    weight = np.random.default_rng(2).integers(0, 3, len(x)).astype(float)
    rows, labels = np.vstack([x, np.full((9, 4), 3.0)]), np.r_[y, np.full(9, 2)]
    masks = {"valid": np.r_[np.ones(150, int), np.zeros(9, int)], "sample_weight": pv.Input(np.r_[weight, np.ones(9)])}
    masks["sample_weight"] = pv.Input(np.r_[weight, np.ones(9)], bound=2.0)
    got, _ = fitted(GaussianNB(3, priors=(0.2, 0.3, 0.5)), rows, labels, tuple(masks), **masks)
    repeated = np.repeat(np.arange(150), weight.astype(int))
    best = plain.GaussianNB(priors=[0.2, 0.3, 0.5], var_smoothing=1e-3).fit(x[repeated], y[repeated])
    assert np.abs(got["theta_"] - best.theta_).max() < 2e-5 and np.abs(got["var_"] - best.var_).max() < 2e-5
    assert np.array_equal(got["predict"][:150], best.predict(x))


@pytest.mark.parametrize("prior", [True, False])
def test_bernoulli_is_that_of_scikit_learn(prior: bool) -> None:
    got, _ = fitted(BernoulliNB(10, binarize=8.0, alpha=0.5, fit_prior=prior), DIGITS / 1.0, DIGIT)
    agree(got, plain.BernoulliNB(binarize=8.0, alpha=0.5, fit_prior=prior).fit(DIGITS, DIGIT), DIGITS)
    bits = (DIGITS > 8).astype(np.int64)
    got, _ = fitted(BernoulliNB(10, binarize=None), bits, DIGIT)
    agree(got, plain.BernoulliNB(binarize=None).fit(bits, DIGIT), bits)


@pytest.mark.parametrize("weighted", [True, False])
def test_multinomial_is_that_of_scikit_learn(weighted: bool) -> None:
    x = DIGITS.astype(np.int64)
    weight = np.random.default_rng(4).uniform(0, 2, len(x)) if weighted else np.ones(len(x))
    masks = {"sample_weight": pv.Input(weight, bound=2.0)} if weighted else {}
    got, _ = fitted(MultinomialNB(10), x, DIGIT, tuple(masks), **masks)
    agree(got, plain.MultinomialNB().fit(x, DIGIT, weight), x)


def agree(got: dict[str, np.ndarray], best: Any, x: np.ndarray) -> None:
    for learnt in COUNTED:
        assert np.abs(got[learnt] - getattr(best, learnt)).max() < 5e-5
    assert np.array_equal(got["predict"], best.predict(x))
    assert np.abs(got["predict_proba"] - best.predict_proba(x)).max() < 3e-3


def test_categorical_is_that_of_scikit_learn_on_arrays_and_tables() -> None:
    codes = np.floor(DIGITS[:300, 18:24] / 4.001).astype(np.int64)
    codes[:, 2] = np.minimum(codes[:, 2], 2)
    y = (DIGIT[:300] > 4).astype(np.int64)
    best = plain.CategoricalNB(min_categories=[4, 4, 3, 4, 4, 4]).fit(codes, y)
    got, _ = fitted(CategoricalNB(2, n_categories=(4, 4, 3, 4, 4, 4)), codes, y)
    assert np.abs(got["feature_log_prob_"] - np.hstack(best.feature_log_prob_)).max() < 5e-5
    assert np.array_equal(got["predict"], best.predict(codes))
    sizes = (4, 4, 3, 4, 4, 4)
    fields = tuple(Field(f"c{j}", "category", categories=tuple("abcd"[:c])) for j, c in enumerate(sizes))
    info = TableInfo("t", fields, Field("y", "binary"), 320)

    def program(s: pv.Session) -> Any:
        table = s.table("t")
        made = CategoricalNB(2).fit(table)
        assert made.names_ == tuple(f"c{j}" for j in range(6)) and made.starts_[-1] == 23
        found = {"p": made.feature_log_prob_, "predict": made.predict(table)}
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in found.items()}

    inputs = {"o": table_inputs(info, codes.astype(float), y.astype(float))}
    got = pv.simulate(program, inputs=inputs, tables={"t": info}).output
    assert np.abs(got["p"] - np.hstack(best.feature_log_prob_)).max() < 5e-5
    assert np.array_equal(got["predict"][:300], best.predict(codes))


def test_a_code_that_was_never_seen_counts_for_nothing() -> None:
    x, y = np.array([[0, 1], [1, 0], [0, 1], [1, 1]]), np.array([0, 1, 0, 1])

    def program(s: pv.Session) -> Any:
        made = CategoricalNB(2, n_categories=(2, 2)).fit(s.secret("x", "o"), s.secret("y", "o"))
        p = made.predict_proba(s.constant(np.array([[5, 1], [0, 1]])))
        return s.reveal(p, to="all", name="p", reason="test")

    got = pv.simulate(program, inputs={"o": {"x": x, "y": y}}).output
    assert np.abs(got[0] - [0.6, 0.4]).max() < 1e-4  # the second column alone: 3/4 and 2/4
    assert got[1, 0] > 0.8


def test_constant_columns_and_classes_without_rows() -> None:
    x, y = DATA["iris"]
    got, _ = fitted(GaussianNB(4), np.column_stack([x, np.ones(150)]), y)
    best = plain.GaussianNB(var_smoothing=1e-3).fit(x, y)
    assert np.array_equal(got["predict"], best.predict(x))
    assert np.abs(got["theta_"][3] - [0, 0, 0, 0, 1]).max() < 1e-5  # of a class without rows: the mean of all


@pytest.mark.parametrize(("name", "loose"), [("wine", 1.0), ("wine", 1e4), ("breast_cancer", 1.0), ("iris", 1e6)])
def test_columns_as_they_are_under_loose_bounds(name: str, loose: float) -> None:
    """Deviations of 0.1 beside some of 300: as scikit-learn with its own smoothing."""
    x, y = LOADED[name]
    x = np.rint(x * 2.0**18) / 2.0**18

    def program(s: pv.Session) -> Any:
        given = s.secret("x", "o")
        model = GaussianNB(int(y.max()) + 1).fit(given, s.secret("y", "o"))
        found = (model.predict(given), model.predict_proba(given), model.theta_)
        return [s.reveal(v, to="all", name=f"{i}", reason="test") for i, v in enumerate(found)]

    run = pv.simulate(program, inputs={"o": {"x": pv.Input(x, float(np.abs(x).max() * loose)), "y": y}})
    best = plain.GaussianNB().fit(x, y)
    assert np.array_equal(run.output[0], best.predict(x))
    assert np.abs(run.output[1] - best.predict_proba(x)).max() < 0.025
    assert (np.abs(run.output[2] - best.theta_) < 1e-4 * x.std(0)).all()


def test_columns_without_digits_are_named() -> None:
    """Under a bound loose by far too much, the guard names the columns and what to do."""
    x, y = LOADED["wine"]
    names = ("alcohol", "malic", "ash")
    fields = tuple(Field(n, "number", 2.0**29, 2.0**29) for n in names)
    info = TableInfo("wines", fields, Field("y", "integer", 1.0, 2.0), len(y))
    with pytest.warns(UserWarning, match="its bound is"):
        inputs = {"o": table_inputs(info, x[:, :3], y.astype(float))}
    says = "GaussianNB: one of the columns alcohol, malic, ash: the values vary by less than 4 units"
    with pytest.raises(RangeViolated, match=says):
        pv.simulate(lambda s: GaussianNB(3).fit(s.table("wines")) and None, inputs=inputs, tables={"wines": info})


def test_padding_of_a_table_does_not_count(tmp_path: Path) -> None:
    """Columns 1,000 deviations from 0, in a table with padding: saved, loaded, and scored as in scikit-learn."""
    x, y = LOADED["iris"]
    x = x[:, :2] + 1000.0
    fields = tuple(Field(n, "number", 2048.0, 2048.0) for n in ("a", "b"))
    info = TableInfo("flowers", fields, Field("y", "integer", 1.0, 2.0), len(y) + 7)
    shared = {"inputs": {"o": table_inputs(info, x, y.astype(float))}, "tables": {"flowers": info}, "store": tmp_path}
    found: list[tuple[float, np.ndarray]] = []

    def opened(s: pv.Session, model: GaussianNB) -> tuple[float, np.ndarray]:
        table = s.table("flowers")
        score = s.reveal(model.score(table), to="all", name="score", reason="test")
        return score, s.reveal(model.predict_proba(table), to="all", name="p", reason="test")

    def fit(s: pv.Session) -> tuple[float, np.ndarray]:
        model = GaussianNB(3).fit(s.table("flowers"))
        save(model, s, "bayes")
        return opened(s, model)

    found.append(pv.simulate(fit, **shared).output)
    found.append(pv.simulate(lambda s: opened(s, load(s, "bayes")), **shared).output)
    best = plain.GaussianNB(var_smoothing=1e-9).fit(x, y)
    for score, p in found:
        assert abs(score - best.score(x, y)) < 1e-3
        assert np.abs(p[: len(y)] - best.predict_proba(x)).max() < 0.025
    assert np.abs(found[0][1] - found[1][1]).max() < 1e-4


@pytest.mark.parametrize(
    ("model", "x", "y", "says"),
    [
        (GaussianNB(3), DATA["iris"][0], np.full(150, 3), "from 0 to classes - 1"),
        (MultinomialNB(2), np.full((4, 2), -1), np.array([0, 1, 0, 1]), "at least 0"),
        (BernoulliNB(2, binarize=None), np.full((4, 2), 2), np.array([0, 1, 0, 1]), "x holds 0 and 1 only"),
    ],
)
def test_secret_values_outside_the_model_are_found(model: NaiveBayes, x: Any, y: Any, says: str) -> None:
    with pytest.raises(RangeViolated, match=says):
        fitted(model, x, y)


def test_wrong_settings_are_refused() -> None:
    def program(s: pv.Session) -> None:
        x, y = s.constant(np.eye(4)), s.constant(np.array([0, 1, 0, 1]))
        for model in (GaussianNB(1), GaussianNB(2, var_smoothing=0.0), BernoulliNB(2, alpha=0.0), MultinomialNB(0)):
            with pytest.raises(UsageError, match="expected"):
                model.fit(x, y)
        with pytest.raises(UsageError, match="priors above 0 for 2 classes"):
            GaussianNB(2, priors=(0.5, 0.6)).fit(x, y)
        with pytest.raises(UsageError, match="n_categories"):
            CategoricalNB(2).fit(x, y)
        with pytest.raises(UsageError, match="integer codes"):
            CategoricalNB(2, n_categories=(2, 2, 2, 2)).fit(x, y)
        with pytest.raises(ShapeError, match="for 4 columns"):
            CategoricalNB(2, n_categories=(2, 2)).fit(x.astype("int"), y)
        with pytest.raises(ShapeError, match="4 columns"):
            MultinomialNB(2).fit(x, y).predict(x[:, :3])
        GaussianNB(2, feature_bound=2.0**10).fit(x._stated(2.0**10), y).predict(x._stated(2.0**10))

    pv.simulate(program, protocol=InsecurePlain(), parties=1)
