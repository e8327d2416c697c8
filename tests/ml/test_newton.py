"""Newton's method on shares: logistic regression and its inference on real data, and what has to be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression as Centralised

import privity as pv
from privity.errors import RangeViolated, UsageError
from privity.inputs import Input
from privity.ml.inference import Inference, open_inference
from privity.ml.information import Information
from privity.ml.linear import LogisticRegression
from privity.mpc.plain import InsecurePlain
from privity.openings import Withheld

PLAIN: dict[str, Any] = {"protocol": InsecurePlain(), "parties": 1}
Program = Callable[[pv.Session], Any]


def cancer() -> tuple[np.ndarray, np.ndarray]:
    """569 tumours, 30 standardised measurements, benign or not."""
    data = load_breast_cancer()
    return (data.data - data.data.mean(0)) / data.data.std(0), data.target.astype(np.int64)


def optimum(x: np.ndarray, y: np.ndarray, alpha: float, weight: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """Coefficients with the intercept last, and their standard errors, in float64."""
    weight = np.ones(len(y)) if weight is None else weight
    design, n = np.column_stack([x, np.ones(len(x))]), weight.sum()
    penalty = np.append(np.full(x.shape[1], alpha), 0.0)
    coef = np.zeros(x.shape[1] + 1)
    for _ in range(30):
        p = 1 / (1 + np.exp(-design @ coef))
        hessian = (design.T * (weight * p * (1 - p))) @ design / n + np.diag(penalty)
        coef = coef - np.linalg.solve(hessian, design.T @ (weight * (p - y)) / n + penalty * coef)
    return coef, np.sqrt(np.diag(np.linalg.inv(hessian)) / n)


def run(program: Program, x: np.ndarray, y: np.ndarray, extra: dict[str, Any] | None = None, **options: Any) -> Any:
    inputs = {"x": Input(x, bound=float(np.ceil(np.abs(x).max()))), "y": Input(y, bound=1.0), **(extra or {})}
    return pv.simulate(program, inputs={"hospital": inputs}, **{**PLAIN, **options})


def fitted(x: np.ndarray, y: np.ndarray, options: dict[str, Any] | None = None, **settings: Any) -> Inference:
    def program(s: pv.Session) -> Any:
        model = LogisticRegression(**{"alpha": 0.0, **settings})
        model.fit(s.secret("x", "hospital"), s.secret("y", "hospital"))
        return model.inference(to="all", name="model", reason="test")

    result: Inference = run(program, x, y, **(options or {})).output
    return result


def close_statistics(found: Inference, coef: np.ndarray, errors: np.ndarray) -> None:
    z = coef / errors
    assert np.abs(found.coefficients - coef).max() < 1e-3
    assert (np.abs(found.statistics - z) / np.maximum(1, np.abs(z))).max() < 2e-3
    assert np.abs(found.p_values - 2 * norm.sf(np.abs(z))).max() < 2e-3


def test_eight_steps_reach_scikit_learns_optimum_and_its_standard_errors() -> None:
    x, y = cancer()
    coef, errors = optimum(x, y, 0.01)
    central = Centralised(C=1 / (0.01 * len(y)), tol=1e-10, max_iter=10_000).fit(x, y)
    assert np.abs(np.append(central.coef_[0], central.intercept_) - coef).max() < 1e-4
    close_statistics(fitted(x, y, alpha=0.01), coef, errors)


def test_the_same_on_three_parties_opens_one_flag_and_the_model() -> None:
    x, y = cancer()
    x = x[:, :6]

    def program(s: pv.Session) -> Any:
        model = LogisticRegression(alpha=0.01)
        model.fit(s.secret("x", "hospital"), s.secret("y", "hospital") > 0)  # integers would be tested: a flag more
        assert s._context.log.entries == [] or [e["name"] for e in s._context.log.entries] == ["range guard"]
        return model.inference(to="hospital", name="model", reason="test")

    result = run(program, x, y, protocol=pv.Rep3(), parties=3)
    close_statistics(result.outputs["hospital"], *optimum(x, y, 0.01))
    assert isinstance(result.outputs["compute_0"], Withheld)
    opened = [(e["name"], e["shape"]) for e in result.opened]
    assert opened == [("range guard", []), ("model", [2, 7])]


def test_unpenalised_statistics_with_mask_and_weights() -> None:
    x, y = cancer()
    x = x[:, [0, 1, 4, 8, 9]]
    rng = np.random.default_rng(3)
    real, weight = rng.random(len(y)) < 0.7, rng.integers(1, 4, len(y)).astype(float)
    extra = {"valid": Input(real.astype(np.int64), bound=1.0), "weight": Input(weight, bound=4.0)}

    def program(s: pv.Session) -> Any:
        model = LogisticRegression(alpha=0.0)
        model.fit(
            s.secret("x", "hospital"), s.secret("y", "hospital"), valid=s.secret("valid", "hospital"),
            sample_weight=s.secret("weight", "hospital"),
        )  # fmt: skip
        return model.inference(to="all", name="model", reason="test")

    found = run(program, x * real[:, None], y, extra).output
    close_statistics(found, *optimum(x[real], y[real], 0.0, weight[real]))


def test_deviance_and_pseudo_r2() -> None:
    x, y = cancer()
    coef, _ = optimum(x, y, 0.01)
    z = np.column_stack([x, np.ones(len(x))]) @ coef
    deviance, share = 2 * (np.logaddexp(0, z) - y * z).sum(), y.mean()
    null = -2 * len(y) * (share * np.log(share) + (1 - share) * np.log(1 - share))

    def program(s: pv.Session) -> Any:
        secret_x, secret_y = s.secret("x", "hospital"), s.secret("y", "hospital")
        model = LogisticRegression(alpha=0.01).fit(secret_x, secret_y)
        values = model.deviance(secret_x, secret_y), model.log_likelihood(secret_x, secret_y)
        both = pv.stack([*values, model.pseudo_r2(secret_x, secret_y)])
        return s.reveal(both, to="all", name="fit", reason="test")

    found = run(program, x, y).output
    assert np.allclose(found, [deviance, -deviance / 2, 1 - deviance / null], rtol=1e-3)


def test_class_weights_are_those_of_scikit_learn() -> None:
    x, y = cancer()
    central = Centralised(C=1 / (0.02 * len(y)), class_weight={0: 2.0, 1: 0.5}, tol=1e-10, max_iter=10_000).fit(x, y)
    found = fitted(x, y, alpha=0.02, class_weight=(2.0, 0.5))
    assert np.abs(found.coefficients - np.append(central.coef_[0], central.intercept_)).max() < 1e-3


def test_a_constant_column_has_coefficient_0_and_no_statistic() -> None:
    x, y = cancer()
    x = np.column_stack([x[:, :3], np.zeros(len(x))])
    found = fitted(x, y)
    assert found.coefficients[3] == 0 and np.isnan(found.statistics[3])
    close_statistics(
        Inference(found.names, np.delete(found.coefficients, 3), np.delete(found.standard_errors, 3)),
        *optimum(x[:, :3], y, 0.0),
    )


def one_hot() -> tuple[np.ndarray, np.ndarray]:
    x, y = cancer()
    levels = np.digitize(x[:, 0], [-0.5, 0.5])
    return np.column_stack([x[:, 1:3], np.eye(3)[levels]]), y


def test_collinear_columns_are_found_and_a_penalty_cures_them() -> None:
    x, y = one_hot()
    with pytest.raises(RangeViolated, match=r"LogisticRegression.*drop one level of each one-hot group, or set alpha"):
        fitted(x, y)
    close_statistics(fitted(x, y, alpha=0.01), *optimum(x, y, 0.01))


@pytest.mark.parametrize("one", [0, 1])
def test_one_class_only_is_found(one: int) -> None:
    x, _ = cancer()
    with pytest.raises(RangeViolated, match="one class only"):
        fitted(x[:, :3], np.full(len(x), one), alpha=0.01)


def test_classes_told_apart_without_error_are_found() -> None:
    x, _ = cancer()
    with pytest.raises(RangeViolated, match="without error"):
        fitted(x[:, :3], (x[:, 0] > 0.1).astype(np.int64), max_iter=16)


def test_too_few_steps_are_found() -> None:
    with pytest.raises(RangeViolated, match="raise max_iter"):
        fitted(*cancer(), alpha=0.001, max_iter=3)


def test_more_columns_than_rows_need_a_penalty() -> None:
    x, y = cancer()
    with pytest.raises(UsageError, match="31 coefficients cannot be told from 20 rows; set alpha"):
        fitted(x[:20], y[:20])
    close_statistics(fitted(x[10:30], y[10:30], alpha=0.1), *optimum(x[10:30], y[10:30], 0.1))


@pytest.mark.parametrize("secret", [False, True])
def test_negative_weights_are_refused(secret: bool) -> None:
    x, y = cancer()
    weight = np.ones(len(y))
    weight[7] = -0.5

    def program(s: pv.Session) -> None:
        given = s.secret("weight", "hospital") if secret else weight
        model = LogisticRegression(alpha=0.1)
        model.fit(s.secret("x", "hospital"), s.secret("y", "hospital"), sample_weight=given)

    with pytest.raises(RangeViolated if secret else UsageError):
        run(program, x, y, {"weight": Input(weight, bound=1.0)})


def test_a_start_far_off_is_no_trouble() -> None:
    """A rare class and a strong column: probabilities below the error of the sigmoid, 5.8e-5, cost digits."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4000, 2))
    y = (rng.random(4000) < 1 / (1 + np.exp(7 - 4 * x[:, 0]))).astype(np.int64)
    coef, errors = optimum(x, y, 0.0)
    found = fitted(x, y, max_iter=10)
    assert (np.abs(found.coefficients - coef) / errors).max() < 0.02
    assert np.abs(found.standard_errors / errors - 1).max() < 5e-3


@pytest.mark.parametrize("width", [1, 3, 40])
def test_the_inverse_of_correlated_columns_of_any_unit(width: int) -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(size=(2000, width))
    x[:, -1] += 10 * x[:, 0]
    x = x * 10.0 ** rng.uniform(-2, 1, width)
    matrix, gradient = x.T @ x / 2000, x.T @ rng.normal(size=2000) / 2000

    def program(s: pv.Session) -> Any:
        information = Information(s.secret("matrix", "a"))
        information.guard("Information", ["a", "b"])
        errors = information.standard_errors(1 / 2000)
        solution = information.solve(s.secret("gradient", "a"), 24, 64.0)
        return s.reveal(pv.stack([errors, solution]), to="all", name="x", reason="test")

    inputs = {"matrix": Input(matrix, bound=2.0**16, scale=36), "gradient": Input(gradient, bound=64.0, scale=34)}
    result = pv.simulate(program, inputs={"a": inputs}, **PLAIN).output
    wanted = np.sqrt(np.diag(np.linalg.inv(matrix)) / 2000)
    assert np.abs(result[0] / wanted - 1).max() < 1e-3
    exact = np.linalg.solve(matrix, gradient)
    assert (np.abs(result[1] - exact) / wanted).max() < 2e-2


def test_rounds_and_bytes_of_a_step_are_as_declared() -> None:
    """About 180 rounds and 10.25 bytes an element of x a step, whatever the number of rows."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 64))
    y = (rng.random(2000) < 1 / (1 + np.exp(-x[:, 0]))).astype(np.int64)

    def cost(rows: int, steps: int) -> tuple[int, int]:
        def program(s: pv.Session) -> None:
            model = LogisticRegression(alpha=0.1, max_iter=steps, tol=None)
            model.fit(s.secret("x", "hospital"), s.secret("y", "hospital"))

        result = run(program, x[:rows], y[:rows], protocol=pv.Rep3(), parties=3)
        return result.rounds, max(result.payload_sent.values())

    small, large = cost(1000, 1), cost(2000, 1)
    shorter, longer = cost(1000, 2), cost(2000, 2)
    assert longer[0] - large[0] <= 200
    assert abs(large[0] - small[0]) <= 30  # large batches compare in other rounds
    each = (longer[1] - large[1] - shorter[1] + small[1]) / (1000 * 65)
    assert 10.2 < each < 16  # the sigmoid and the products with x are spread over 65 columns


def test_a_table_that_is_opened_reads_like_a_table() -> None:
    found = Inference(("age", "intercept"), np.array([0.5, -1.0]), np.array([0.1, 0.0]))
    assert np.allclose(found.intervals()[0], 0.5 + 0.1 * norm.ppf([0.025, 0.975]))
    assert np.isclose(found.ratios[0], np.exp(0.5)) and np.isclose(found.ratio_intervals(0.9)[0, 1], np.exp(0.66448536))
    assert "age" in str(found) and "P>|z|" in str(found)
    assert found.as_dict()["age"]["p_value"] == pytest.approx(2 * norm.sf(5))
    few = Inference(("age",), np.array([0.5]), np.array([0.1]), 7.0)
    assert few.p_values[0] == pytest.approx(2 * student.sf(5, 7)) and "P>|t|" in str(few)
    assert few.intervals(0.9)[0, 0] == pytest.approx(0.5 - 0.1 * student.ppf(0.95, 7))
    with pytest.raises(UsageError, match="0 < level < 1"):
        few.intervals(1.5)


def test_names_must_fit_and_sgd_has_no_standard_errors() -> None:
    def names(s: pv.Session) -> None:
        pair = s.constant(np.zeros(2))
        open_inference(pair, pair, ["a"], to="all", name="x", reason="test")

    with pytest.raises(UsageError, match="one for each name"):
        pv.simulate(names, **PLAIN)

    def gradient_steps(s: pv.Session) -> None:
        y = s.constant(np.array([0, 1, 0, 1]))
        model = LogisticRegression(solver="sgd", epochs=1).fit(s.constant(np.zeros((4, 2))), y)
        model.inference(to="all", name="x", reason="test")

    with pytest.raises(UsageError, match="take solver='newton'"):
        pv.simulate(gradient_steps, **PLAIN)
