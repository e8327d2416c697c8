"""Least squares, penalised and log-linear regressions on shares against scikit-learn and float64, on real data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t as student
from sklearn import linear_model as central
from sklearn.datasets import load_diabetes

import privity as pv
from privity.errors import RangeViolated, UsageError
from privity.inputs import Input
from privity.ml.glm import (
    GammaRegressor,
    LogLinear,
    NegativeBinomialRegressor,
    PoissonRegressor,
    TweedieRegressor,
)
from privity.ml.lasso import ElasticNet, Lasso
from privity.ml.least_squares import LinearRegression, Ridge
from privity.mpc.plain import InsecurePlain

PLAIN: dict[str, Any] = {"protocol": InsecurePlain(), "parties": 1}
LOG_LINEAR: tuple[LogLinear, ...] = (
    PoissonRegressor(), GammaRegressor(), TweedieRegressor(power=1.4), NegativeBinomialRegressor(dispersion=0.3),
)  # fmt: skip


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """442 patients, 10 standardised measurements, progression from 25 to 346."""
    data = load_diabetes()
    return (data.data - data.data.mean(0)) / data.data.std(0), data.target


def opened(
    work: Callable[[pv.Session, pv.SecureArray, pv.SecureArray, dict[str, Any]], Any],
    x: np.ndarray,
    y: np.ndarray,
    extra: dict[str, np.ndarray] | None = None,
    **options: Any,
) -> Any:
    """What ``work`` opens, for secret x, y and further secret rows passed to fit by name."""
    given = {name: Input(values, bound=max(1.0, float(np.abs(values).max()))) for name, values in (extra or {}).items()}
    inputs = {
        "x": Input(x, bound=float(np.ceil(np.abs(x).max()))),
        "y": Input(y, bound=float(np.abs(y).max())),
        **given,
    }

    def program(s: pv.Session) -> Any:
        secret = {name: s.secret(name, "hospital") for name in inputs}
        further = {name: secret[name] for name in given}
        return work(s, secret["x"], secret["y"], further)

    return pv.simulate(program, inputs={"hospital": inputs}, **{**PLAIN, **options}).output


def inference(model: Any) -> Callable[..., Any]:
    """Fit a fresh copy of the model and open its inference."""

    def work(s: pv.Session, x: pv.SecureArray, y: pv.SecureArray, further: dict[str, Any]) -> Any:
        return model.clone().fit(x, y, **further).inference(to="all", name="model", reason="test")

    return work


def coefficients(model: Any) -> Callable[..., Any]:
    def work(s: pv.Session, x: pv.SecureArray, y: pv.SecureArray, further: dict[str, Any]) -> Any:
        fitted = model.clone().fit(x, y, **further)
        return s.reveal(fitted.coefficients_, to="all", name="coefficients", reason="test")

    return work


def least_squares(x: np.ndarray, y: np.ndarray, alpha: float, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    design = np.column_stack([x, np.ones(len(x))])
    gram = (design.T * weight) @ design + np.diag(np.append(np.full(x.shape[1], alpha), 0.0))
    coef = np.linalg.solve(gram, design.T @ (weight * y))
    variance = (weight * (y - design @ coef) ** 2).sum() / (weight.sum() - design.shape[1])
    return coef, np.sqrt(variance * np.diag(np.linalg.inv(gram)))


# -- least squares --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [{}, {"protocol": pv.Rep3(), "parties": 3}])
def test_linear_regression_with_t_statistics(protocol: dict[str, Any]) -> None:
    x, y = diabetes()
    found = opened(inference(LinearRegression()), x, y, **protocol)
    plain = central.LinearRegression().fit(x, y)
    coef, errors = least_squares(x, y, 0.0, np.ones(len(y)))
    assert np.allclose(np.append(plain.coef_, plain.intercept_), coef)
    assert np.abs(found.coefficients - coef).max() < 2e-5 * np.abs(coef).max()
    assert np.abs(found.statistics - coef / errors).max() < 1e-3
    assert found.freedom == 431 and np.allclose(found.p_values, 2 * student.sf(np.abs(coef / errors), 431), atol=1e-4)


@pytest.mark.parametrize(("loose", "offset", "whole"), [(1e4, 0.0, False), (1e5, 0.0, False), (30.0, 1e5, True)])
def test_neither_bound_nor_offset_of_the_target_matters(loose: float, offset: float, whole: bool) -> None:
    x, y = diabetes()
    y = np.round(y + offset) if whole else y
    given = {"x": Input(x, bound=8), "y": Input(y if not whole else y.astype(np.int64), bound=loose * y.max())}
    if not whole:
        given["y"] = Input(y, bound=loose * y.max(), scale=26)

    def program(s: pv.Session) -> Any:
        x, y = s.secret("x", "a"), s.secret("y", "a")
        model = LinearRegression().fit(x, y)
        score = s.reveal(model.score(x, y), to="all", name="score", reason="test")
        return model.inference(to="all", name="model", reason="test"), score

    found, score = pv.simulate(program, inputs={"a": given}, **PLAIN).output
    coef, errors = least_squares(x, y, 0.0, np.ones(len(y)))
    assert np.abs((found.coefficients - coef) / errors).max() < 1e-3
    assert np.abs(found.standard_errors / errors - 1).max() < 1e-3
    assert score == pytest.approx(central.LinearRegression().fit(x, y).score(x, y), abs=1e-4)


def test_ridge_has_scikit_learns_alpha_whatever_the_unit_of_the_target() -> None:
    x, y = diabetes()
    for unit in (1e-4, 1.0, 1e5):
        plain = central.Ridge(alpha=3.0).fit(x, y * unit)
        found = opened(inference(Ridge(alpha=3.0)), x, y * unit)
        wanted = np.append(plain.coef_, plain.intercept_)
        assert np.abs(found.coefficients - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_masks_and_weights_count_rows() -> None:
    x, y = diabetes()
    rng = np.random.default_rng(2)
    real, weight = rng.random(len(y)) < 0.6, rng.integers(1, 4, len(y)).astype(float)
    extra = {"valid": real.astype(np.int64), "sample_weight": weight}
    found = opened(inference(Ridge(alpha=2.0)), x * real[:, None], y, extra)
    coef, errors = least_squares(x[real], y[real], 2.0, weight[real])
    assert np.abs(found.coefficients - coef).max() < 2e-5 * np.abs(coef).max()
    assert np.abs(found.standard_errors / errors - 1).max() < 1e-4
    assert found.freedom == pytest.approx(weight[real].sum() - 11)


def test_r2_and_log_likelihood() -> None:
    x, y = diabetes()
    plain = central.LinearRegression().fit(x, y)
    squares = ((y - plain.predict(x)) ** 2).sum()

    def work(s: pv.Session, x: pv.SecureArray, y: pv.SecureArray, further: dict[str, Any]) -> Any:
        model = LinearRegression().fit(x, y)
        pair = pv.stack([model.score(x, y), model.log_likelihood(x, y)])
        return s.reveal(pair, to="all", name="fit", reason="test")

    likelihood = -len(y) / 2 * (np.log(2 * np.pi * squares / len(y)) + 1)
    assert np.allclose(opened(work, x, y), [plain.score(x, y), likelihood], rtol=1e-5)


@pytest.mark.parametrize("model", [LinearRegression(), PoissonRegressor(), GammaRegressor()])
def test_collinear_columns_are_found(model: Any) -> None:
    x, y = diabetes()
    with pytest.raises(RangeViolated, match=r"Collinear columns: drop one level"):
        opened(inference(model), np.column_stack([x, x[:, 0] + x[:, 1]]) / 4, y)


def test_more_columns_than_rows_need_a_penalty() -> None:
    x, y = diabetes()
    with pytest.raises(UsageError, match="LinearRegression: 11 coefficients cannot be told from 8 rows"):
        opened(inference(LinearRegression()), x[:8], y[:8])
    plain = central.Ridge(alpha=2.0).fit(x[:8], y[:8])
    found = opened(coefficients(Ridge(alpha=2.0)), x[:8], y[:8])
    assert np.abs(found[:-1] - plain.coef_).max() < 1e-3 * np.abs(plain.coef_).max()


def test_a_fit_without_degrees_of_freedom_has_no_standard_errors() -> None:
    x, y = diabetes()
    with pytest.raises(UsageError, match="no standard errors"):
        opened(inference(Ridge(alpha=2.0)), x[:8], y[:8])


# -- lasso ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.2, 2.0, 20.0])
def test_lasso_and_elastic_net_equal_scikit_learn_and_have_its_zeros(alpha: float) -> None:
    x, y = diabetes()
    for model, plain in ((Lasso(alpha), central.Lasso(alpha)), (ElasticNet(alpha / 4), central.ElasticNet(alpha / 4))):
        plain.set_params(tol=1e-10, max_iter=100_000).fit(x, y)
        found = opened(coefficients(model), x, y)
        assert np.abs(found - np.append(plain.coef_, plain.intercept_)).max() < 1e-3 * y.std()
        assert ((found[:-1] == 0) == (plain.coef_ == 0)).all()


def test_lasso_with_mask_and_weights() -> None:
    x, y = diabetes()
    rng = np.random.default_rng(2)
    real, weight = rng.random(len(y)) < 0.6, rng.integers(1, 4, len(y)).astype(float)
    plain = central.Lasso(2.0, tol=1e-10).fit(x[real], y[real], sample_weight=weight[real])
    extra = {"valid": real.astype(np.int64), "sample_weight": weight}
    found = opened(coefficients(Lasso(2.0)), x * real[:, None], y, extra)
    assert np.abs(found - np.append(plain.coef_, plain.intercept_)).max() < 1e-3 * y.std()


def test_too_few_proximal_steps_are_found() -> None:
    x, y = diabetes()
    with pytest.raises(RangeViolated, match=r"(?i)raise max_iter"):
        opened(coefficients(Lasso(0.2, max_iter=3)), x, y)


# -- log link -------------------------------------------------------------------------------------------------------


def score(model: LogLinear, y: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals and expected weights of a family, in float64."""
    if isinstance(model, PoissonRegressor):
        return mu - y, mu
    if isinstance(model, GammaRegressor):
        return 1 - y / mu, np.ones(len(y))
    if isinstance(model, TweedieRegressor):
        return (mu - y) * mu ** (1 - model.power), mu ** (2 - model.power)
    assert isinstance(model, NegativeBinomialRegressor)
    return (mu - y) / (1 + model.dispersion * mu), mu / (1 + model.dispersion * mu)


def log_linear(
    model: LogLinear, x: np.ndarray, y: np.ndarray, weight: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors by Fisher scoring in float64."""
    design = np.column_stack([x, np.ones(len(x))])
    coef = np.append(np.zeros(x.shape[1]), np.log((weight * y).sum() / (weight * np.exp(offset)).sum()))
    for _ in range(60):
        mu = np.exp(design @ coef + offset)
        residual, expected = score(model, y, mu)
        inverse = np.linalg.inv((design.T * (weight * expected)) @ design)
        coef = coef - inverse @ (design.T @ (weight * residual))
    variance = 1.0
    if model.estimated:
        power = 2.0 if isinstance(model, GammaRegressor) else getattr(model, "power", 0.0)
        variance = (weight * (y - mu) ** 2 / mu**power).sum() / (weight.sum() - len(coef))
    return coef, np.sqrt(variance * np.diag(inverse))


@pytest.mark.parametrize("model", LOG_LINEAR, ids=lambda m: type(m).__name__)
def test_log_linear_models_with_offset_mask_and_weights(model: LogLinear) -> None:
    x, y = diabetes()
    y = np.round(y) if not model.estimated else y
    rng = np.random.default_rng(4)
    real, weight = rng.random(len(y)) < 0.7, rng.integers(1, 4, len(y)).astype(float)
    offset = np.log(rng.uniform(0.3, 3.0, len(y)))
    extra = {"valid": real.astype(np.int64), "sample_weight": weight, "offset": offset}
    found = opened(inference(model), x * real[:, None], y, extra)
    coef, errors = log_linear(model, x[real], y[real], weight[real], offset[real])
    z = coef / errors
    assert np.abs(found.coefficients - coef).max() < 1e-4
    assert (np.abs(found.statistics - z) / np.maximum(1, np.abs(z))).max() < 1e-3


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        (PoissonRegressor(alpha=0.5), central.PoissonRegressor(alpha=0.5)),
        (GammaRegressor(alpha=0.5), central.GammaRegressor(alpha=0.5)),
        (TweedieRegressor(power=1.6, alpha=0.5), central.TweedieRegressor(power=1.6, alpha=0.5, link="log")),
    ],
    ids=lambda m: type(m).__name__,
)
def test_log_linear_models_equal_scikit_learn(model: LogLinear, plain: Any) -> None:
    x, y = diabetes()
    plain.set_params(solver="newton-cholesky", tol=1e-9, max_iter=1000).fit(x, y)

    def work(s: pv.Session, x: pv.SecureArray, y: pv.SecureArray, further: dict[str, Any]) -> Any:
        fitted = model.clone().fit(x, y)
        shares = fitted.coefficients_, fitted.d2(x, y), fitted.predict(x)
        return [s.reveal(share, to="all", name="fit", reason="test") for share in shares]

    coef, d2, means = opened(work, x, y)
    assert np.abs(coef - np.append(plain.coef_, plain.intercept_)).max() < 1e-4
    assert d2 == pytest.approx(plain.score(x, y), abs=1e-4)
    assert np.abs(means / plain.predict(x) - 1).max() < 1e-3


@pytest.mark.parametrize("loose", [1e4, 1e6])
@pytest.mark.parametrize("model", LOG_LINEAR, ids=lambda m: type(m).__name__)
def test_log_linear_models_under_loose_bounds_of_the_target(model: LogLinear, loose: float) -> None:
    """Beside statsmodels, within what docs/models/linear.md states."""
    x, y = diabetes()
    x, y = x[:200, :4], np.round(y[:200] / 8)
    families = {
        PoissonRegressor: sm.families.Poisson(), GammaRegressor: sm.families.Gamma(sm.families.links.Log()),
        TweedieRegressor: sm.families.Tweedie(sm.families.links.Log(), getattr(model, "power", 1.5)),
        NegativeBinomialRegressor: sm.families.NegativeBinomial(alpha=getattr(model, "dispersion", 1.0)),
    }  # fmt: skip
    best = sm.GLM(y, np.column_stack([x, np.ones(len(y))]), family=families[type(model)]).fit(tol=1e-12)
    given = Input(y.astype(np.int64) if not model.estimated else y, bound=float(np.ceil(y.max() * loose)))

    def program(s: pv.Session) -> Any:
        fitted = model.clone().fit(s.secret("x", "a"), s.secret("y", "a"))
        return [
            s.reveal(v, to="all", name=str(i), reason="test")
            for i, v in enumerate((fitted.coefficients_, fitted.standard_errors_))
        ]

    coef, errors = pv.simulate(program, inputs={"a": {"x": Input(x, bound=8), "y": given}}, **PLAIN).output
    assert np.abs((coef - best.params) / best.bse).max() < 2e-4
    assert np.abs(errors / best.bse - 1).max() < 2e-5 + 2.0**-23 / best.bse.min()


@pytest.mark.parametrize(
    "model", [LinearRegression(), LinearRegression(fit_intercept=False), PoissonRegressor()], ids=repr
)
def test_a_column_that_is_constant_where_weights_are_above_0(model: Any) -> None:
    """Its coefficient is 0, as that of a constant column, and the others are those without it."""
    x, y = diabetes()
    x, y = x[:120, :3].copy(), np.round(y[:120] / 8)
    weight = np.random.default_rng(3).integers(0, 3, len(y)).astype(float)
    constant = 2.0 if getattr(model, "fit_intercept", True) else 0.0
    x[:, 1] = np.where(weight > 0, constant, x[:, 1])
    real = np.arange(len(y)) % 5 > 0
    counted = (weight > 0) & real
    design = x[counted][:, [0, 2]]
    design = np.column_stack([design, np.ones(len(design))]) if model.fit_intercept else design
    family = sm.families.Poisson() if isinstance(model, PoissonRegressor) else sm.families.Gaussian()
    best = sm.GLM(y[counted], design, family=family, freq_weights=weight[counted]).fit(tol=1e-12)
    extra = {"valid": real.astype(np.int64), "sample_weight": weight}
    found = opened(inference(model), x, y, extra)
    assert found.coefficients[1] == 0 and found.standard_errors[1] == 0
    others = np.delete(np.arange(len(found.coefficients)), 1)
    assert np.abs((found.coefficients[others] - best.params) / best.bse).max() < 1e-3
    more = 1.0  # the column takes a degree of freedom, as a constant column does
    if isinstance(model, LinearRegression):
        more = np.sqrt(best.df_resid / (best.df_resid - 1))
    assert np.abs(found.standard_errors[others] / (more * best.bse) - 1).max() < 1e-3


@pytest.mark.parametrize("model", LOG_LINEAR, ids=lambda m: type(m).__name__)
def test_deviances(model: LogLinear) -> None:
    x, y = diabetes()
    y = np.round(y)
    mu = np.exp(np.column_stack([x, np.ones(len(x))]) @ log_linear(model, x, y, np.ones(len(y)), np.zeros(len(y)))[0])
    if isinstance(model, NegativeBinomialRegressor):
        a = model.dispersion
        wanted = 2 * (y * np.log(y / mu) - (y + 1 / a) * np.log((1 + a * y) / (1 + a * mu))).sum()
    else:
        power = 1 if isinstance(model, PoissonRegressor) else getattr(model, "power", 2)
        from sklearn.metrics import mean_tweedie_deviance

        wanted = mean_tweedie_deviance(y, mu, power=power) * len(y)

    def work(s: pv.Session, x: pv.SecureArray, y: pv.SecureArray, further: dict[str, Any]) -> Any:
        return s.reveal(model.clone().fit(x, y).deviance(x, y), to="all", name="deviance", reason="test")

    assert opened(work, x, y) == pytest.approx(wanted, rel=2e-3)


def test_targets_outside_the_model_are_found() -> None:
    x, y = diabetes()
    with pytest.raises(RangeViolated, match=r"PoissonRegressor.*Targets below 0"):
        opened(inference(PoissonRegressor()), x, y - 50)
    with pytest.raises(RangeViolated, match=r"GammaRegressor.*gamma: 0 as well"):
        opened(inference(GammaRegressor()), x, np.maximum(y - 50, 0))
    with pytest.raises(RangeViolated, match="raise ratio_bound"):
        opened(inference(PoissonRegressor(ratio_bound=2.0)), x, y)


@pytest.mark.parametrize(
    "model",
    [Ridge(alpha=-1.0), Lasso(alpha=-1.0), ElasticNet(l1_ratio=2.0), PoissonRegressor(max_iter=0),
     TweedieRegressor(power=2.5), NegativeBinomialRegressor(dispersion=0.0), GammaRegressor(ratio_bound=1.0)],
    ids=repr,
)  # fmt: skip
def test_wrong_settings_are_refused(model: Any) -> None:
    x, y = diabetes()
    with pytest.raises(UsageError, match="expected"):
        opened(inference(model), x[:20], y[:20])
