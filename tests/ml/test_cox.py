"""Proportional hazards on shares against the partial likelihood in float64, with ties, masks and weights; bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

import privity as pv
from privity.errors import PrivityError, RangeViolated, ShapeError, UsageError
from privity.ml.cox import CoxPHRegressor

DIABETES = load_diabetes()
N = 300
RNG = np.random.default_rng(4)
X = (DIABETES.data[:N, [1, 2, 3, 8]] - DIABETES.data[:N, [1, 2, 3, 8]].mean(0)) / DIABETES.data[:N, [1, 2, 3, 8]].std(0)
T = np.ceil(400.0 / (1.0 + DIABETES.target[:N]) * RNG.exponential(10.0, N))  # real covariates, durations with ties
E = (RNG.random(N) < 0.7).astype(np.int64)
TIMES = np.quantile(T, [0.01, 0.3, 0.3, 0.6, 0.9]) + np.array([0.0, 0.0, 1.0, 0.0, 0.0])


def reference(x: np.ndarray, t: np.ndarray, e: np.ndarray, w: np.ndarray, alpha: float = 0.0) -> Any:
    """Newton's method on Breslow's partial likelihood, one time after the other."""
    beta = np.zeros(x.shape[1])
    for _ in range(12):
        risk = w * np.exp(x @ beta)
        slope, matrix = -alpha * beta * w.sum(), alpha * w.sum() * np.eye(x.shape[1])
        for time in np.unique(t[e == 1]):
            there, now = t >= time, (t == time) & (e == 1)
            mean = risk[there] @ x[there] / risk[there].sum()
            spread = (x[there] * risk[there, None]).T @ x[there] / risk[there].sum() - np.outer(mean, mean)
            slope = slope + w[now] @ (x[now] - mean)
            matrix = matrix + w[now].sum() * spread
        beta = beta + np.linalg.solve(matrix, slope)
    return beta, np.sqrt(np.diag(np.linalg.inv(matrix)))


def fitted(
    x: np.ndarray, t: np.ndarray, e: np.ndarray, model: CoxPHRegressor | None = None, more: Any = (), **arrays: Any
) -> tuple[dict[str, Any], pv.Simulation]:
    def program(s: pv.Session) -> dict[str, Any]:
        given = {name: s.secret(name, "o") for name in arrays}
        found = (model or CoxPHRegressor(max_iter=5)).clone()
        x, e, t = (s.secret(n, "o") for n in "xet")
        found.fit(x, e, duration=t, **given)
        opened = {
            n: s.reveal(getattr(found, n), to="all", name=n, reason="test") for n in ("coef_", "standard_errors_")
        }
        if "concordance" in more:
            value = found.concordance(x, e, duration=t, **given)
            opened["concordance"] = s.reveal(value, to="all", name="c", reason="test")
        if "baseline" in more:
            opened["baseline"] = found.baseline_cumulative_hazard(TIMES, to="all", name="h", reason="test")
        return opened

    inputs = {"x": pv.Input(x, bound=16.0), "t": pv.Input(t, bound=2.0**14), "e": e, **arrays}
    run = pv.simulate(program, inputs={"o": inputs})
    return run.output, run


def test_coefficients_and_standard_errors_are_those_of_the_partial_likelihood() -> None:
    assert len(np.unique(T)) < 0.9 * N
    got, run = fitted(X, T, E)
    beta, errors = reference(X, T, E, np.ones(N))
    assert np.abs(got["coef_"] - beta).max() < 1e-4
    assert np.abs(got["standard_errors_"] / errors - 1).max() < 1e-3
    z = beta / errors
    assert np.abs(got["coef_"] / got["standard_errors_"] - z).max() < 0.01
    assert [o["name"] for o in run.opened] == ["range guard", "range guard", "coef_", "standard_errors_"]


def test_masked_rows_and_weights_count_as_they_should() -> None:
    real = (RNG.random(N) < 0.8).astype(np.int64)
    weights = RNG.integers(1, 4, N).astype(float)
    got, _ = fitted(X, T, E, valid=real, sample_weight=pv.Input(weights, bound=4.0))
    keep = real == 1
    beta, errors = reference(X[keep], T[keep], E[keep], weights[keep])
    assert np.abs(got["coef_"] - beta).max() < 1e-3
    assert np.abs(got["standard_errors_"] / errors - 1).max() < 1e-3


def test_a_penalty_is_per_row() -> None:
    got, _ = fitted(X, T, E, CoxPHRegressor(alpha=0.1, max_iter=5))
    beta, errors = reference(X, T, E, np.ones(N), 0.1)
    assert np.abs(got["coef_"] - beta).max() < 1e-4
    assert np.abs(got["standard_errors_"] / errors - 1).max() < 1e-3


def test_concordance_and_the_baseline_where_enough_events_stand_behind_it() -> None:
    got, _ = fitted(X, T, E, more=("concordance", "baseline"))
    score = X @ got["coef_"]
    risk = np.exp(score)
    pairs = [(i, j) for i in np.flatnonzero(E) for j in range(N) if T[j] > T[i] or (T[j] == T[i] and not E[j])]
    right = np.mean([(score[i] > score[j]) + 0.5 * (score[i] == score[j]) for i, j in pairs])
    assert abs(got["concordance"] - right) < 1e-3
    since, want = 0, []
    for time in TIMES:
        died = (time >= T) & (E == 1)
        hazard = sum((died & (u == T)).sum() / risk[u <= T].sum() for u in np.unique(T[died]))
        enough = died.sum() - since >= 10
        want.append(hazard if enough else np.nan)
        since = died.sum() if enough else since
    assert np.isnan(want).sum() >= 2 and np.isfinite(want).sum() >= 3
    assert np.allclose(got["baseline"], want, rtol=1e-3, equal_nan=True)


def test_a_constant_column_has_no_weight_and_no_standard_error() -> None:
    got, _ = fitted(np.column_stack([X[:, :2], np.zeros(N)]), T, E)
    assert got["coef_"][2] == 0 and got["standard_errors_"][2] == 0
    assert np.abs(got["coef_"][:2] - reference(X[:, :2], T, E, np.ones(N))[0]).max() < 1e-4


@pytest.mark.parametrize(
    ("x", "e"),
    [(np.column_stack([X, X[:, 0]]), E), (X, E + 1), (X * 20, E), (X * 4, E)],
    ids=["collinear", "no 0 or 1", "too large", "not standardised"],
)
def test_what_would_give_wrong_numbers_is_found(x: np.ndarray, e: np.ndarray) -> None:
    with pytest.raises(PrivityError, match=r"standardise the columns|bound"):
        fitted(x, T, e)


def test_without_an_event_nothing_is_known() -> None:
    got, _ = fitted(X, T, np.zeros(N, np.int64))
    assert not got["coef_"].any() and not got["standard_errors_"].any()


def test_a_full_first_step_may_go_too_far() -> None:
    """A level in a fourteenth of the rows whose rows die first: the likelihood is lower after Newton's full step."""
    rng = np.random.default_rng(3)
    rare = (np.arange(N) < N // 14) * 1.0
    x = np.column_stack([rare, rng.normal(size=N)])
    x = (x - x.mean(0)) / x.std(0)
    t = np.ceil(1000 * rng.exponential(np.exp(-2.5 * rare - 0.3 * x[:, 1])) + 1)
    e = np.maximum(rare, rng.random(N) < 0.3).astype(np.int64)

    def loss(beta: np.ndarray) -> float:
        risk = np.exp(x @ beta)
        return float(sum(np.log(risk[t >= t[i]].sum() / risk[i]) for i in np.flatnonzero(e)))

    slope, matrix = np.zeros(2), np.zeros((2, 2))
    for i in np.flatnonzero(e):
        there = x[t >= t[i]]
        slope, matrix = slope + x[i] - there.mean(0), matrix + np.cov(there.T, ddof=0)
    assert loss(np.linalg.solve(matrix, slope)) > loss(np.zeros(2))
    beta = np.zeros(2)
    for _ in range(60):  # half steps end at the optimum from afar
        risk = np.exp(x @ beta)
        slope, matrix = np.zeros(2), np.zeros((2, 2))
        for i in np.flatnonzero(e):
            w, there = risk[t >= t[i]], x[t >= t[i]]
            slope, matrix = slope + x[i] - w @ there / w.sum(), matrix + np.cov(there.T, ddof=0, aweights=w)
        beta = beta + np.linalg.solve(matrix, slope) / 2
    got, _ = fitted(x, t, e, CoxPHRegressor())
    errors = np.sqrt(np.diag(np.linalg.inv(matrix)))
    assert np.abs((got["coef_"] - beta) / errors).max() < 1e-3
    assert np.abs(got["standard_errors_"] / errors - 1).max() < 1e-3


def test_too_few_steps_are_found() -> None:
    with pytest.raises(RangeViolated, match="did not converge"):
        fitted(X * 1.9, T, E, CoxPHRegressor(max_iter=1))


def test_secret_negative_weights_are_found() -> None:
    with pytest.raises(RangeViolated):
        fitted(X, T, E, sample_weight=pv.Input(np.where(np.arange(N) == 3, -1.0, 1.0), bound=2.0))


def test_wrong_calls_say_what_is_missing() -> None:
    def program(s: pv.Session) -> None:
        x, e = s.constant(X[:3]), s.constant(E[:3])
        with pytest.raises(UsageError, match="no durations; give duration="):
            CoxPHRegressor().fit(x, e)
        with pytest.raises(UsageError, match="4 coefficients cannot be told from 3 rows; set alpha > 0"):
            CoxPHRegressor().fit(x, e, duration=s.constant(T[:3]))
        with pytest.raises(ShapeError, match=r"duration with 3 rows like x, got \(2,\)"):
            CoxPHRegressor().fit(x, e, duration=s.constant(T[:2]))
        with pytest.raises(UsageError, match="linear_bound <= 12"):
            CoxPHRegressor(linear_bound=20.0).fit(x, e, duration=s.constant(T[:3]))
        model = CoxPHRegressor()
        model.coef_ = x[0]
        with pytest.raises(UsageError, match="in the session that called fit"):
            model.baseline_cumulative_hazard([1.0], to="all", name="h", reason="test")

    pv.simulate(program)
