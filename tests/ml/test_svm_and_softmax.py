"""Support vector machines and softmax regression on shares against scikit-learn, and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC as Plain

import privity as pv
from privity.errors import PrivityError, RangeViolated, UsageError
from privity.ml.design import design_of
from privity.ml.estimator import rows_of
from privity.ml.multinomial import MultinomialLogisticRegression
from privity.ml.svm import LinearSVC

LOADED = {f.__name__[5:]: f(return_X_y=True) for f in (load_iris, load_wine, load_breast_cancer)}
DATA = {name: (StandardScaler().fit_transform(x), y) for name, (x, y) in LOADED.items()}


def fitted(model: Any, x: np.ndarray, y: np.ndarray, **options: Any) -> tuple[np.ndarray, pv.Simulation]:
    """Coefficients with the intercept last, and the run."""

    def program(s: pv.Session) -> Any:
        given = model.clone().fit(s.secret("x", "o"), s.secret("y", "o"), **options)
        wide = given.intercept_.reshape((*given.coef_.shape[:-1], 1))
        return s.reveal(pv.concatenate([given.coef_, wide], axis=-1), to="all", name="coef", reason="test")

    run = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=16.0), "y": y}})
    return run.output, run


@pytest.mark.parametrize("scaling", [1.0, 2.0])
def test_svm_is_that_of_scikit_learn(scaling: float) -> None:
    x, y = DATA["breast_cancer"]
    alpha = 1 / len(x)
    got, run = fitted(LinearSVC(alpha=alpha, intercept_scaling=scaling, max_iter=9), x, y)
    best = Plain(C=1.0, dual=False, tol=1e-10, max_iter=10**5, intercept_scaling=scaling).fit(x, y)
    assert np.abs(got - np.append(best.coef_[0], best.intercept_)).max() < 2e-3
    assert [o["name"] for o in run.opened] == ["range guard", "coef"]
    assert run.rounds < 1400


@pytest.mark.parametrize("name", ["iris", "wine"])
@pytest.mark.parametrize(("solver", "steps", "alpha", "error", "rounds"), [
    ("newton", 8, 1 / 150, 5e-4, 1650), ("accelerated", 50, 0.05, 1e-2, 4500),
])  # fmt: skip
def test_softmax_is_that_of_scikit_learn(
    name: str, solver: str, steps: int, alpha: float, error: float, rounds: int
) -> None:
    """Rounds do not grow with the weights: there are 15 and 42."""
    x, y = DATA[name]
    got, run = fitted(MultinomialLogisticRegression(3, alpha=alpha, solver=solver, max_iter=steps), x, y)
    best = LogisticRegression(C=1 / (alpha * len(x)), tol=1e-10, max_iter=10**5).fit(x, y)
    centred = best.intercept_ - best.intercept_.mean()
    assert np.abs(got - np.column_stack([best.coef_, centred])).max() < error
    assert [o["name"] for o in run.opened] == ["range guard", "coef"]
    assert run.rounds < rounds


def test_softmax_with_little_penalty_and_nearly_collinear_columns() -> None:
    """Curvatures differ by a factor of some thousand: Newton's directions are still good enough to converge."""
    x, y = DATA["iris"]
    wide = np.column_stack([x, x[:, 0] + 0.02 * np.random.default_rng(3).normal(size=len(x))])
    got, _ = fitted(MultinomialLogisticRegression(3, alpha=3e-4, max_iter=12), wide, y)
    best = LogisticRegression(C=1 / (3e-4 * len(x)), tol=1e-10, max_iter=10**5).fit(wide, y)
    assert np.abs(got[:, :-1] - best.coef_).max() < 3e-3 and np.abs(best.coef_).max() > 2


def test_softmax_predicts_classes_and_probabilities() -> None:
    x, y = DATA["iris"]

    def program(s: pv.Session) -> Any:
        rows = s.secret("x", "o")
        model = MultinomialLogisticRegression(3, alpha=0.01, max_iter=5).fit(rows, s.secret("y", "o"))
        return [s.reveal(v, to="all", name="v", reason="t") for v in (model.predict(rows), model.predict_proba(rows))]

    classes, chances = pv.simulate(program, inputs={"o": {"x": pv.Input(x, bound=16.0), "y": y}}).output
    best = LogisticRegression(C=1 / (0.01 * len(x)), tol=1e-10, max_iter=10**5).fit(x, y)
    assert np.abs(chances - best.predict_proba(x)).max() < 3e-3
    assert (classes == best.predict(x)).mean() > 0.99


MODELS = [LinearSVC(alpha=0.1, max_iter=5), MultinomialLogisticRegression(2, alpha=0.1, max_iter=6)]
IDS = ["svm", "softmax"]
X = np.random.default_rng(1).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(np.int64)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_one_class_only_gives_that_class(model: Any) -> None:
    """Nobody can see it without an opening; all rows get that class."""
    coef, _ = fitted(model, X, np.ones(40, np.int64))
    toward = coef if coef.ndim == 1 else coef[1] - coef[0]
    assert (X @ toward[:-1] + toward[-1] > 0).all()


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_constant_and_collinear_columns_and_more_columns_than_rows_have_the_ridge(model: Any) -> None:
    wide = np.column_stack([X, X[:, 0], np.zeros(40)])
    coef, _ = fitted(model, wide, Y)
    one, copy, zero = (np.moveaxis(coef, -1, 0)[i] for i in (0, 3, 4))
    assert np.abs(one - copy).max() < 1e-3 and np.abs(zero).max() < 1e-3
    few, _ = fitted(model, X[:2], np.array([0, 1]))
    assert np.isfinite(few).all()


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize(
    ("x", "y"),
    [(X * 10, Y), (X, Y + 2), (X, Y - 1)],
    ids=["values too large", "unknown class", "negative class"],
)
def test_what_would_give_wrong_numbers_is_found(model: Any, x: np.ndarray, y: np.ndarray) -> None:
    with pytest.raises(PrivityError, match=r"standardise the columns|exceeds|bound"):
        fitted(model, x, y)


@pytest.mark.parametrize(("size", "within"), [(2.0, True), (-2.0, True), (2.1, False), (-2.1, False), (31.0, False)])
def test_curvature_times_coefficients_is_guarded(size: float, within: bool) -> None:
    """The last gradient is a difference of products with 26 fractional bits: beyond 2^14 it would wrap, and certify a
    fit that is none."""

    def program(s: pv.Session) -> None:
        model = LinearSVC(feature_bound=64.0)
        rows = rows_of("LinearSVC", s.secret("x", "o"), s.secret("y", "o"))
        design = design_of("LinearSVC", rows, model.feature_bound, 1.0, None, 1.0)
        matrix = s.constant(np.diag([4090.0, 1.0, 1.0]))
        model._within_reach(design, matrix, s.constant([size, 0.0, 0.0]))
        s.check_guards()

    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    inputs = {"o": {"x": pv.Input(x, bound=64.0), "y": y}}
    if within:
        pv.simulate(program, inputs=inputs)
        return
    with pytest.raises(RangeViolated, match="curvature times coefficients: standardise the columns"):
        pv.simulate(program, inputs=inputs)


def test_columns_in_other_units() -> None:
    """Far from standardised: a column of four times the deviation, one with an offset of 10 deviations, a constant."""
    x = np.column_stack([X[:, 0] * 4, X[:, 1] / 8 + 1.25, X[:, 2] / 16, np.full(40, 3.0)])
    best = Plain(C=1 / (0.01 * 40), dual=False, tol=1e-10, max_iter=10**5).fit(x, Y)
    got, _ = fitted(LinearSVC(), x, Y)
    assert np.abs(got - np.append(best.coef_[0], best.intercept_)).max() < 1e-3
    plain = LogisticRegression(C=1 / (0.01 * 40), tol=1e-10, max_iter=10**5).fit(x, Y)
    got, _ = fitted(MultinomialLogisticRegression(2, alpha=0.02), x, Y)
    assert np.abs((got[1] - got[0]) - np.append(plain.coef_[0], plain.intercept_)).max() < 2e-3


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_too_few_steps_are_found(model: Any) -> None:
    x, y = DATA["breast_cancer"]
    with pytest.raises(RangeViolated, match="did not converge"):
        fitted(model.clone().set_params(alpha=1e-3, max_iter=1), x, y)


@pytest.mark.parametrize("model", [LinearSVC(alpha=0.0), LinearSVC(intercept_scaling=3.0), LinearSVC(max_iter=0),
    MultinomialLogisticRegression(1), MultinomialLogisticRegression(3, solver="sgd"),
    MultinomialLogisticRegression(3, alpha=0.0)], ids=repr)  # fmt: skip
def test_wrong_parameters_are_refused(model: Any) -> None:
    with pytest.raises(UsageError, match="expected"):
        fitted(model, X, Y)


def test_reals_as_classes_are_refused() -> None:
    with pytest.raises(UsageError, match="expected y as integers"):
        fitted(LinearSVC(), X, Y.astype(float))
