"""count:poisson and reg:tweedie on targets as people have them: loose bounds, any size, heavy tails, rates, weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.metrics import mean_tweedie_deviance

import privity as pv
from privity.errors import RangeViolated
from privity.ml.trees.boosting import GradientBoostingRegressor
from privity.ml.trees.export import open_trees

BINS = 8
ROWS = 200
OBJECTIVES = ("count:poisson", "reg:tweedie")


def drawn(objective: str, seed: int = 1) -> tuple[Any, Any]:
    """Columns of bins; counts of some 10, or amounts of some 1,000 of which a third is 0."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, BINS, (ROWS, 3))
    counts = rng.poisson(3 * np.exp(0.3 * x[:, 0] - 0.2 * x[:, 1] + (x[:, 2] > 4)))
    if objective == "count:poisson":
        return x, counts
    return x, np.round(counts // 2 * rng.gamma(2.0, 100.0, ROWS), 2)


def model(objective: str, **more: Any) -> GradientBoostingRegressor:
    words = {"n_estimators": 3, "max_depth": 3, "learning_rate": 0.3, "max_bins": BINS, **more}
    return GradientBoostingRegressor(objective=objective, **words)


def fitted(
    made: GradientBoostingRegressor, x: Any, y: Any, bound: float, *, scale: int = 18, weight: Any = None,
    weight_bound: float = 1.0, valid: Any = None, opened: bool = False,
) -> Any:  # fmt: skip
    """(simulation, predictions, those of the opened model or None); a weight without a bound is public."""
    kind: dict[str, Any] = {"bound": bound} if y.dtype.kind == "i" else {"bound": bound, "scale": scale}
    given = {"x": pv.Input(x, bound=BINS - 1.0), "y": pv.Input(y, **kind)}
    if weight is not None and weight_bound:
        given["w"] = pv.Input(weight, bound=weight_bound)
    if valid is not None:
        given["v"] = pv.Input(valid, bound=1.0)

    def program(s: pv.Session) -> Any:
        rows: dict[str, Any] = {} if valid is None else {"valid": s.secret("v", "o")}
        if weight is not None:
            rows["sample_weight"] = s.secret("w", "o") if weight_bound else weight
        m = made.clone().fit(s.secret("x", "o"), s.secret("y", "o"), **rows)
        got = s.reveal(m.predict(s.secret("x", "o")), to="all", name="p", reason="test")
        return got, open_trees(m, to="all", name="t", reason="test").predict(x) if opened else None

    done = pv.simulate(program, inputs={"o": given})
    return done, *done.output


def twin(made: GradientBoostingRegressor, x: Any, y: Any, weight: Any = None) -> Any:
    words = {k: v for k, v in made.get_params().items() if v is not None and k not in ("max_bins", "random_state")}
    if words["objective"] != "reg:tweedie":
        del words["tweedie_variance_power"]
    words.setdefault("base_score", float(np.average(y, weights=weight)))
    plain = xgboost.XGBRegressor(tree_method="hist", max_bin=64, n_jobs=1, **words)
    return plain.fit(x, y, sample_weight=weight)


def near(got: Any, want: Any, relative: float = 2.0**-10) -> None:
    """The stated error in all rows but those that a gain which ties sends elsewhere."""
    off = np.abs(got / want - 1)
    assert (off < relative).mean() > 0.97, (np.quantile(off, [0.5, 0.9, 0.97]), off.max())


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("loose", [1.0, 1e3, 1e6])
def test_a_loose_bound_changes_nothing(objective: str, loose: float) -> None:
    x, y = drawn(objective)
    made = model(objective)
    _, got, opened = fitted(made, x, y, float(np.ceil(y.max() * loose)), opened=True)
    near(got, twin(made, x, y).predict(x))
    assert np.allclose(opened, got, rtol=2.0**-14, atol=2.0**-16)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kind", ["masked", "secret", "public", "tiny"])
def test_rows_that_count_more_or_not_at_all(objective: str, kind: str) -> None:
    x, y = drawn(objective)
    made = model(objective)
    rng = np.random.default_rng(5)
    bound = float(np.ceil(y.max() * 1e3))
    if kind == "masked":
        valid = (rng.random(ROWS) < 0.7).astype(np.int64)
        y = np.where(valid == 1, y, y.max() * 1000 // 1).astype(y.dtype)  # what a masked row holds does not matter
        _, got, _ = fitted(made, x, y, bound, valid=valid)
        near(got, twin(made, x[valid == 1], y[valid == 1]).predict(x))
        return
    weight = rng.integers(1, 8, ROWS) / 4
    weight_bound = {"secret": 2e3, "public": 0.0, "tiny": 8.0}[kind]
    if kind == "tiny":
        weight = weight / 256
        made = model(objective, reg_lambda=0.01, min_child_weight=0.01)
    _, got, _ = fitted(made, x, y, bound, weight=weight, weight_bound=weight_bound)
    near(got, twin(made, x, y, weight).predict(x))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("weighted", [False, True])
def test_penalties_are_stated_for_the_target_as_it_is(objective: str, weighted: bool) -> None:
    x, y = drawn(objective)
    size = 1.0 if objective == "count:poisson" else 10.0
    made = model(objective, reg_lambda=5 * size, reg_alpha=3 * size, gamma=2 * size, min_child_weight=20 * size)
    weight = np.random.default_rng(5).integers(1, 8, ROWS) / 4 if weighted else None
    _, got, _ = fitted(made, x, y, float(np.ceil(y.max() * 1e4)), weight=weight, weight_bound=2.0)
    near(got, twin(made, x, y, weight).predict(x))


def test_large_counts_and_small_rates() -> None:
    x, y = drawn("count:poisson")
    made = model("count:poisson")
    near(fitted(made, x, y * 10**6, y.max() * 1e6)[1], twin(made, x, y * 10**6).predict(x))
    x, y = drawn("reg:tweedie")
    made = model("reg:tweedie", reg_lambda=0.001, min_child_weight=0.001)
    near(fitted(made, x, y / 1e6, y.max() / 1e3, scale=36)[1], twin(made, x, y / 1e6).predict(x))


@pytest.mark.parametrize("power", [1.1, 1.5, 1.8])
def test_heavy_tails(power: float) -> None:
    """Nine of ten amounts are 0, and the largest is 100 times the mean: the deviance is XGBoost's, and rows go to
    other leaves only where gains lie within rounding."""
    x, _ = drawn("reg:tweedie")
    rng = np.random.default_rng(4)
    y = np.where(rng.random(ROWS) < 0.9, 0.0, np.round(rng.lognormal(6.0, 1.5, ROWS) * np.exp(0.3 * x[:, 0]), 2))
    assert y.max() > 100 * y.mean()
    made = model("reg:tweedie", tweedie_variance_power=power)
    _, got, _ = fitted(made, x, y, float(y.max() * 10))
    want = mean_tweedie_deviance(y, twin(made, x, y).predict(x), power=power)
    assert mean_tweedie_deviance(y, got, power=power) < want * 1.05


def test_a_first_prediction_far_from_the_target() -> None:
    x, y = drawn("count:poisson")
    for score in (0.5, 500.0):
        made = model("count:poisson", base_score=score)
        near(fitted(made, x, y, y.max() * 1e3)[1], twin(made, x, y).predict(x))


def test_targets_that_are_all_0_or_all_equal() -> None:
    x, y = drawn("count:poisson")
    for objective in OBJECTIVES:
        assert np.allclose(fitted(model(objective), x, y * 0, 1e3)[1], 0.0, atol=2.0**-10)
        assert np.allclose(fitted(model(objective), x, y * 0 + 7, 1e6)[1], 7.0, rtol=2.0**-14)


def test_what_has_no_digits_is_refused() -> None:
    x, y = drawn("reg:tweedie")
    spike = np.arange(ROWS) == 3
    made = model("reg:tweedie", tweedie_variance_power=1.9)
    with pytest.raises(RangeViolated, match=r"mean of y is less than 0\.00034 times its largest value.*clip"):
        fitted(made, x, np.where(spike, 1e6, 0.0), 1e7, weight=np.where(spike, 1 / 256, 1.0))
    with pytest.raises(RangeViolated, match=r"base_score is less than .* times the largest y"):
        fitted(model("reg:tweedie", base_score=0.01), x, y, 1e6)
    with pytest.raises(RangeViolated, match=r"y varies by less than 32 steps of 2\^-18"):
        fitted(model("reg:tweedie"), x, y / y.max() * 1e-5, 1.0)
    with pytest.raises(RangeViolated, match="y is at least 0"):
        fitted(model("count:poisson"), x, np.where(np.arange(ROWS) == 3, -1, 1), 4.0)


@pytest.mark.parametrize(("loose", "rounds", "bytes_"), [(1.0, 284, 349_000), (1e3, 292, 360_000)])
def test_costs_of_a_fit(loose: float, rounds: int, bytes_: int) -> None:
    """One tree of one level for 200 rows: 207 rounds and 346,000 bytes of the busiest party before targets had a unit
    of their own. It takes some 80 rounds once, and saves a comparison of each row for each further tree."""
    x, y = drawn("count:poisson")
    done, _, _ = fitted(model("count:poisson", n_estimators=1, max_depth=1), x, y, float(y.max() * loose))
    assert done.rounds == rounds
    assert abs(max(done.bytes_sent.values()) - bytes_) < 0.02 * bytes_
