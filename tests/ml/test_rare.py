"""Logistic regression of rare classes, heavy weights and constant columns, beside statsmodels and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.linear_model import LogisticRegression as Central
from sklearn.metrics import log_loss as plain_log_loss
from sklearn.metrics import roc_auc_score

import privity as pv
from privity.errors import RangeViolated, UsageError
from privity.inputs import Input
from privity.ml.constant import varying
from privity.ml.glm import GammaRegressor, PoissonRegressor
from privity.ml.least_squares import LinearRegression
from privity.ml.linear import LogisticRegression
from privity.mpc.plain import InsecurePlain

PLAIN: dict[str, Any] = {"protocol": InsecurePlain(), "parties": 1}
THREE: dict[str, Any] = {"protocol": pv.Rep3(), "parties": 3}


def whole_cells(x: np.ndarray) -> np.ndarray:
    """As shares hold them."""
    return np.round(x * 2.0**18) / 2.0**18


def rare(rows: int, positives: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Standardised columns, one with heavy tails; ``positives`` rows of class 1, drawn by their odds."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5))
    x[:, 4] = rng.standard_t(3, rows)
    odds = np.exp(x @ np.array([1.0, -0.7, 0.5, 0.0, 0.3]))
    y = np.zeros(rows, np.int64)
    y[rng.choice(rows, positives, replace=False, p=odds / odds.sum())] = 1
    return whole_cells((x - x.mean(0)) / x.std(0)), y


def fitted(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None, more: Any = None, options: Any = PLAIN,
    model: Any = LogisticRegression, **settings: Any,
) -> Any:  # fmt: skip
    inputs = {"x": Input(x, float(2 ** np.ceil(np.log2(np.abs(x).max())))), "y": Input(y, float(max(1, y.max())))}
    if weight is not None:
        inputs["w"] = Input(weight, float(np.ceil(weight.max())))

    def program(s: pv.Session) -> Any:
        rows = s.secret("x", "o")
        heavy = {} if weight is None else {"sample_weight": s.secret("w", "o")}
        found = model(**settings).fit(rows, s.secret("y", "o"), **heavy)
        values = [found.coefficients_, found.standard_errors_, found.decrement_, *(more(found, rows) if more else ())]
        return [s.reveal(v, to="all", name="model", reason="test") for v in values if v is not None]

    result = pv.simulate(program, inputs={"o": inputs}, **options)
    return result.output if result.output is not None else next(iter(result.outputs.values()))


def optimum(x: np.ndarray, y: np.ndarray, weight: Any = 1.0, penalty: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients with the intercept last, and standard errors, in float64."""
    design, weight = np.column_stack([x, np.ones(len(x))]), np.broadcast_to(weight, len(y))
    strength = np.append(np.full(x.shape[1], penalty), 0.0)
    share = (weight * y).sum() / weight.sum()
    coef = np.append(np.zeros(x.shape[1]), np.log(share / (1 - share)))

    def loss(b: np.ndarray) -> float:
        z = design @ b
        return float((weight * (np.logaddexp(0, z) - y * z)).sum() + (strength * b * b).sum() / 2)

    for _ in range(60):
        p = 1 / (1 + np.exp(-design @ coef))
        hessian = (design.T * (weight * p * (1 - p))) @ design + np.diag(strength)
        gradient = design.T @ (weight * (p - y)) + strength * coef
        step, length = np.linalg.solve(hessian, gradient), 1.0
        if gradient @ step < 1e-12:
            break
        while length > 1e-6 and not loss(coef - length * step) <= loss(coef):
            length /= 2
        coef = coef - length * step
    return coef, np.sqrt(np.diag(np.linalg.inv(hessian)))


def close(found: Any, coef: np.ndarray, errors: np.ndarray, within: float = 0.02, same: float = 0.01) -> None:
    assert (np.abs(found[0] - coef) / errors).max() < within
    assert np.abs(found[1] / errors - 1).max() < same
    assert found[2] < 1e-4


def test_thirty_of_six_thousand_rows_have_statsmodels_coefficients_errors_and_p_values() -> None:
    x, y = rare(6000, 30, 1)
    found = fitted(x, y, alpha=0.0)
    right = sm.Logit(y, sm.add_constant(x, prepend=False)).fit(disp=0, method="newton", maxiter=100, tol=1e-12)
    close(found, right.params, right.bse)
    p = 2 * norm.sf(np.abs(found[0] / found[1]))
    assert (np.abs(p - right.pvalues) < 0.01 * right.pvalues + 1e-6).all()


def test_the_same_on_three_parties() -> None:
    x, y = rare(2000, 12, 2)
    close(fitted(x, y, options=THREE, C=1.0), *optimum(x, y, penalty=1.0))


def test_ten_of_a_hundred_thousand() -> None:
    x, y = rare(100_000, 10, 3)
    close(fitted(x[:, :2], y), *optimum(x[:, :2], y, penalty=1.0))


@pytest.mark.parametrize("weights", ["balanced", {0: 1.0, 1: 200.0}, (0.01, 3.0)], ids=str)
def test_class_weights_of_a_rare_class(weights: Any) -> None:
    x, y = rare(8000, 20, 4)
    each = len(y) / 2 / np.array([len(y) - y.sum(), y.sum()])
    each = each if weights == "balanced" else np.array([weights[0], weights[1]])
    close(fitted(x, y, class_weight=weights), *optimum(x, y, each[y], 1.0), 0.1)
    forms = weights if isinstance(weights, str) else dict(enumerate(each))
    central = Central(class_weight=forms, tol=1e-8, max_iter=1000).fit(x, y)
    assert (np.abs(np.append(central.coef_[0], central.intercept_) - optimum(x, y, each[y], 1.0)[0]) < 1e-2).all()


@pytest.mark.parametrize("size", [2.0**-6, 1.0, 2.0**10, 2.0**20])
def test_sample_weights_of_any_size(size: float) -> None:
    x, y = rare(3000, 60, 5)
    weight = whole_cells(np.random.default_rng(6).exponential(size=len(y))) * size
    weight[::5] = 0
    close(fitted(x, y, weight), *optimum(x, y, weight, 1.0), 0.1)


def test_weights_of_next_to_nothing_are_refused_by_name() -> None:
    x, y = rare(300, 60, 5)
    weight = np.full(len(y), 2.0**-17)
    weight[0] = 0.0
    with pytest.raises(RangeViolated, match=r"mean of all weights is above 2\^-14"):
        inputs = {"x": Input(x, 16.0), "y": Input(y, 1.0), "w": Input(weight, 64.0)}
        pv.simulate(
            lambda s: LogisticRegression().fit(*(s.secret(n, "o") for n in "xy"), sample_weight=s.secret("w", "o")),
            inputs={"o": inputs}, **PLAIN,
        )  # fmt: skip


def test_probabilities_and_log_loss_of_a_rare_class() -> None:
    """Most probabilities are far below the error of a series of sines: none may be 0, and their mean is the share."""
    x, y = rare(6000, 15, 7)

    def more(model: LogisticRegression, rows: Any) -> Any:
        p = model.predict_proba(rows)
        return p, 1 - p

    found = fitted(x, y, more=more)
    p = 1 / (1 + np.exp(-(x @ found[0][:-1] + found[0][-1])))
    assert np.abs(found[3] / p - 1).max() < 2.0**-8 and (found[3] > 0).all()
    assert np.abs(found[3].mean() / y.mean() - 1) < 1e-3
    assert np.abs(found[4] - (1 - p)).max() < 2.0**-15

    def program(s: pv.Session) -> Any:
        rows, target = s.secret("x", "o"), s.secret("y", "o")
        model = LogisticRegression().fit(rows, target)
        return s.reveal(model.deviance(rows, target), to="all", name="d", reason="test")

    deviance = pv.simulate(program, inputs={"o": {"x": Input(x, 16.0), "y": Input(y, 1.0)}}, **PLAIN).output
    assert deviance == pytest.approx(2 * len(y) * plain_log_loss(y, p), rel=1e-3)


def one_hot() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    level = rng.choice(8, 4000, p=[0.3, 0.3, 0.2, 0.1, 0.04, 0.03, 0.02, 0.01])
    x = np.column_stack([np.eye(8)[level], rng.normal(size=4000)])
    y = rng.random(4000) < 1 / (1 + np.exp(2 - x[:, -1] - rng.normal(size=8)[level]))
    return whole_cells(x), y.astype(np.int64)


def scaled(x: np.ndarray) -> np.ndarray:
    return whole_cells((x - x.mean(0)) / np.where(x.std(0) == 0, 1, x.std(0)))


def separated() -> tuple[np.ndarray, np.ndarray]:
    x, _ = rare(3000, 10, 9)
    return x, (x[:, 0] > 2.2).astype(np.int64)


def made() -> tuple[np.ndarray, np.ndarray]:
    x, y = make_classification(800, 12, n_informative=4, n_redundant=4, weights=[0.9], random_state=1)
    return scaled(x), y


DATA = {
    "cancer": lambda: (scaled(load_breast_cancer().data), load_breast_cancer().target),
    "made, with columns that follow from others": made,
    "rare": lambda: rare(8000, 20, 10),
    "all levels of a category": one_hot,
    "the same, standardised": lambda: (scaled(one_hot()[0]), one_hot()[1]),
    "classes told apart": separated,
}


@pytest.mark.parametrize("name", DATA)
def test_the_default_is_scikit_learns_default(name: str) -> None:
    x, y = DATA[name]()
    found = fitted(x, y)
    central = Central(tol=1e-9, max_iter=20_000).fit(x, y)
    coef, errors = optimum(x, y, penalty=1.0)
    assert (np.abs(np.append(central.coef_[0], central.intercept_) - coef) / errors).max() < 0.02
    close(found, coef, errors)
    mine, theirs = x @ found[0][:-1] + found[0][-1], central.decision_function(x)
    assert ((mine > 0) == (theirs > 0)).mean() > 0.999
    assert abs(roc_auc_score(y, mine) - roc_auc_score(y, theirs)) < 1e-3


@pytest.mark.parametrize("offset", [30.0, 100.0])
def test_columns_far_from_0_are_right_or_refused(offset: float) -> None:
    """Variance inflation of the intercept beyond 10,000; by default the intercept passes its bound."""
    x, y = rare(400, 200, 13)
    coef, errors = optimum(x + offset, y, penalty=1.0)
    close(fitted(x + offset, y, coefficient_bound=2048.0), coef, errors)
    with pytest.raises(RangeViolated, match="columns far from 0"):
        fitted(x + 100, y)


def test_classes_told_apart_need_a_penalty() -> None:
    x, y = separated()
    with pytest.raises(RangeViolated, match="without error"):
        fitted(x, y, alpha=0.0)


def test_a_fit_that_is_a_standard_error_off_is_refused() -> None:
    rng = np.random.default_rng(6)
    y = (np.arange(8000) < 16).astype(np.int64)
    x = rng.standard_t(3, (8000, 4))
    x[:16, :3] = rng.normal(size=(16, 3)) * 8 + 12
    x = whole_cells(np.clip((x - x.mean(0)) / x.std(0), -16, 16))
    coef, errors = optimum(x, y, penalty=0.08)
    accepted = 0
    for steps in (5, 8, 10, 12):
        try:
            close(fitted(x, y, alpha=1e-5, max_iter=steps), coef, errors, 0.01, 0.02)
            accepted += 1
        except RangeViolated as error:
            assert "raise max_iter" in str(error)
    assert accepted >= 2
    assert (np.abs(fitted(x, y, alpha=1e-5, max_iter=5, tol=None)[0] - coef) / errors).max() > 1


def counted(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(rows, 3)).round(4)
    return whole_cells(x), rng.poisson(np.exp(0.4 * x[:, 0] + 0.5))


@pytest.mark.parametrize("constant", [0.0, -2.75, 1e-5])
@pytest.mark.parametrize(
    ("model", "settings"),
    [(LogisticRegression, {"alpha": 0.0}), (LogisticRegression, {}), (PoissonRegressor, {}), (LinearRegression, {}),
     (GammaRegressor, {"alpha": 0.01})],
    ids=["logistic", "penalised", "poisson", "linear", "gamma"],
)  # fmt: skip
def test_a_constant_column_has_coefficient_0_and_standard_error_0(
    model: Any, settings: dict[str, Any], constant: float
) -> None:
    x, y = counted()
    y = y > 1 if model is LogisticRegression else y + (model is GammaRegressor)
    both = []
    for columns in (x, np.insert(x, 1, constant, axis=1)):
        inputs = {"x": Input(columns, 8.0), "y": Input(y.astype(np.int64), 64.0)}

        def program(s: pv.Session) -> Any:
            found = model(**settings).fit(s.secret("x", "o"), s.secret("y", "o"))
            return s.reveal(pv.stack([found.coefficients_, found.standard_errors_]), to="all", name="m", reason="test")

        both.append(pv.simulate(program, inputs={"o": inputs}, **PLAIN).output)
    plain, beside = both
    assert (beside[:, 1] == 0).all()
    rest = np.delete(beside, 1, axis=1)
    counts = 2e-3 if model in (LinearRegression, GammaRegressor) else 0.0  # among the coefficients that cost freedom
    assert (np.abs(rest[0] - plain[0]) / plain[1]).max() < 1e-2
    assert np.abs(rest[1] / plain[1] - 1).max() < 1e-3 + counts


@pytest.mark.parametrize("options", [PLAIN, THREE], ids=["plain", "three parties"])
@pytest.mark.parametrize("masked", [False, True])
def test_only_columns_that_vary_by_nothing_are_constant(masked: bool, options: dict[str, Any]) -> None:
    rows = 64
    unit = 2.0**-18
    x = np.zeros((rows, 6))
    x[:, 0], x[:, 1], x[:, 2], x[:, 3] = 4.0, 4.0, np.arange(rows) % 2, -0.5
    x[7, 1] += unit
    x[:, 5] = 2.0 ** 12 * (np.arange(rows) % 2)
    real = (np.arange(rows) % 3 > 0) | ~np.bool_(masked)
    real[7] = True
    x[~real] = 0.0

    def program(s: pv.Session) -> Any:
        valid = s.secret("v", "o") > 0 if masked else None
        cells, flags = s.secret("x", "o"), None if valid is None else valid.numeric()
        both = [varying(cells, flags, beside) for beside in (True, False)]
        return s.reveal(pv.stack(both), to="all", name="v", reason="test")

    inputs = {"x": Input(x, 2.0**13), "v": Input(real.astype(np.int64), 1.0)}
    result = pv.simulate(program, inputs={"o": inputs}, **options)
    assert (result.output == [[0, 1, 1, 0, 0, 1], [1, 1, 1, 1, 0, 1]]).all()


def test_gradient_steps_start_at_the_log_odds_and_say_whether_they_settled() -> None:
    x, y = rare(4000, 120, 12)
    coef, _ = optimum(x, y, penalty=1.0)
    steps = {"solver": "sgd", "batch_size": 500}

    def fit(**settings: Any) -> Any:
        def program(s: pv.Session) -> Any:
            model = LogisticRegression(**steps, **settings).fit(s.secret("x", "o"), s.secret("y", "o"))
            return [s.reveal(v, to="all", name="m", reason="test") for v in (model.coefficients_, model.converged_)]

        return pv.simulate(program, inputs={"o": {"x": Input(x, 32.0), "y": Input(y, 1.0)}}, **PLAIN).output

    few, settled = fit(epochs=1)
    assert abs(few[-1] - np.log(0.03 / 0.97)) < 0.05 and not settled
    many, settled = fit(epochs=60, learning_rate=4.0, final_learning_rate=0.5, C=1.0)
    assert np.abs(many - coef).max() < 0.1 and settled


def test_settings_that_contradict_each_other() -> None:
    def fit(**settings: Any) -> Any:
        def program(s: pv.Session) -> None:
            LogisticRegression(**settings).fit(s.constant(np.zeros((4, 2))), s.constant(np.array([0, 1, 0, 1])))

        return pv.simulate(program, **PLAIN)

    with pytest.raises(UsageError, match="C or alpha but not both"):
        fit(C=2.0, alpha=0.1)
    with pytest.raises(UsageError, match="C > 0"):
        fit(C=0.0)
    with pytest.raises(UsageError, match="'auto', 'newton' or 'sgd'"):
        fit(solver="liblinear")
