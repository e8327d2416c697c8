"""Statistics on shares against NumPy and SciPy on real data, with a secret number of rows, ties and small groups."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats as plain
from sklearn.datasets import load_breast_cancer

import privity as pv
from privity import stats
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.inputs import Declared
from privity.ml import metrics
from privity.session import Session
from privity.stats import pvalues

DATA, Y = load_breast_cancer(return_X_y=True)
N = len(Y)
RNG = np.random.default_rng(1)
VALID = (RNG.random(N) < 0.6).astype(int)
X = np.c_[DATA[:, 0], DATA[:, 1], DATA[:, 2] / 10]
CODES = (DATA[:, 0] > 13).astype(int) + (DATA[:, 0] > 17)
TIMES = RNG.integers(1, 60, N)
TIMES = np.where(Y == 1, TIMES, (TIMES * 0.6).astype(int) + 1)
EVENTS = (RNG.random(N) < 0.6).astype(int)
GRID = [5, 10, 15, 20, 30, 45, 59]
GIVEN = {
    "x": pv.Input(X, 64.0), "y": pv.Input(Y, 1), "valid": pv.Input(VALID, 1), "codes": pv.Input(CODES, 2),
    "t": pv.Input(TIMES, 64), "e": pv.Input(EVENTS, 1),
}  # fmt: skip
Secrets = dict[str, pv.SecureArray]


def run(fn: Callable[[Secrets], Any], given: dict[str, Any] = GIVEN, **settings: Any) -> Any:
    """fn's statistic, opened."""

    def program(s: Session) -> Any:
        found = fn({name: s.secret(name, "bank") for name in given})
        return found.open(to="all", name="statistic", reason="test")

    result = pv.simulate(program, inputs={"bank": given}, **{"check_range": True, **settings})
    assert {o["name"] for o in result.opened} <= {"statistic", "range guard"}
    assert sum(o["name"] == "statistic" for o in result.opened) == 1
    return result.output


@pytest.fixture(params=[False, True], ids=["all rows", "masked"])
def rows(request: pytest.FixtureRequest) -> np.ndarray:
    return VALID > 0 if request.param else np.ones(N, bool)


def mask(x: Secrets, rows: np.ndarray) -> pv.SecureArray | None:
    return None if rows.all() else x["valid"]


# -- moments ---------------------------------------------------------------------------------------------------------


def test_moments(rows: np.ndarray) -> None:
    x = X[rows]
    np.testing.assert_allclose(run(lambda s: stats.mean(s["x"], valid=mask(s, rows))), x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(run(lambda s: stats.mean(s["x"][:, 1], valid=mask(s, rows))), x[:, 1].mean(), rtol=1e-5)
    np.testing.assert_allclose(run(lambda s: stats.variance(s["x"], valid=mask(s, rows))), x.var(0, ddof=1), rtol=1e-4)
    np.testing.assert_allclose(run(lambda s: stats.covariance(s["x"], valid=mask(s, rows))), np.cov(x.T), rtol=1e-4)
    got = run(lambda s: stats.correlation(s["x"], valid=mask(s, rows)))
    np.testing.assert_allclose(got, np.corrcoef(x.T), atol=5e-5)


def test_each_column_may_have_its_own_empty_cells() -> None:
    present = (RNG.random(X.shape) < [[0.9, 0.5, 0.01]]).astype(int)
    given = {"x": pv.Input(X * present, 64.0), "p": pv.Input(present, 1)}
    holes = np.where(present > 0, X, np.nan)
    want = np.nanmean(holes, 0), np.nanvar(holes, 0, ddof=1)
    assert present[:, 2].sum() < 10
    for function, expected in zip((stats.mean, stats.variance), want, strict=True):
        expected[2] = np.nan  # too few rows
        np.testing.assert_allclose(run(lambda s, f=function: f(s["x"], valid=s["p"]), given), expected, rtol=1e-4)


def test_a_constant_column() -> None:
    given = {"x": pv.Input(np.c_[np.full(50, 7.0), np.arange(50) / 8], 16.0)}
    np.testing.assert_allclose(run(lambda s: stats.variance(s["x"]), given)[0], 0, atol=1e-5)
    np.testing.assert_allclose(run(lambda s: stats.correlation(s["x"]), given)[0], 0, atol=1e-3)
    some = {"x": pv.Input(np.c_[np.full(N, 41.3), DATA[:, 0]], 64.0), "valid": pv.Input(VALID, 1)}
    masked = run(lambda s: stats.correlation(s["x"], valid=s["valid"]), some)  # roundings of the mean are no deviation
    np.testing.assert_allclose(masked, [[0, 0], [0, 1]], atol=1e-3)
    same = run(lambda s: stats.ttest(s["x"][:, 0], s["x"][:, 1] > 3), given)
    assert np.isnan(same.statistic) and np.isnan(same.p_value)


def test_quantiles(rows: np.ndarray) -> None:
    wanted = [0.0, 0.05, 0.25, 0.5, 0.9, 1.0]
    got = run(lambda s: stats.quantile(s["x"][:, 1], wanted, valid=mask(s, rows)))
    want = np.quantile(X[rows, 1], wanted)
    want[[0, -1]] = np.nan  # single patients
    np.testing.assert_allclose(got, want, atol=2e-5)


def test_a_median_needs_rows_on_both_sides() -> None:
    for n, known in ((18, False), (19, True)):
        given = {"x": pv.Input(np.arange(30.0), 32.0), "v": pv.Input((np.arange(30) < n).astype(int), 1)}
        got = run(lambda s: stats.quantile(s["x"], 0.5, valid=s["v"]), given)
        assert got == (n - 1) / 2 if known else np.isnan(got)


# -- tables ----------------------------------------------------------------------------------------------------------


def counted(rows: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    counts = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(counts, (a[rows], b[rows]), 1)
    return counts


def test_cross_table(rows: np.ndarray) -> None:
    got = run(lambda s: stats.crosstab(s["codes"], s["y"], rows=3, columns=2, valid=mask(s, rows)))
    want = counted(rows, CODES, Y)
    known = ~np.isnan(got)
    np.testing.assert_array_equal(got[known], want[known])
    assert (want[known] >= 10).all() and (~known).sum() != 1 and not known[want < 10].any()


@pytest.mark.parametrize("correction", [False, True])
def test_chi2(rows: np.ndarray, correction: bool) -> None:
    for name, given, size in (("codes", CODES, 3), ("e", EVENTS, 2)):
        got = run(
            lambda s, n=name, r=size: stats.crosstab(
                s[n], s["y"], rows=r, columns=2, valid=mask(s, rows)
            ).chi2(correction)
        )
        want = plain.chi2_contingency(counted(rows, given, Y), correction=correction)
        np.testing.assert_allclose([got.statistic, got.p_value], want[:2], rtol=1e-3)
        assert got.df == want[2]


# -- two groups ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("equal_var", [False, True])
@pytest.mark.parametrize("group", ["y", "e"])
def test_t(rows: np.ndarray, equal_var: bool, group: str) -> None:
    which = {"y": Y, "e": EVENTS}[group][rows] == 1
    for j in range(3):
        got = run(lambda s, j=j: stats.ttest(s["x"][:, j], s[group], valid=mask(s, rows), equal_var=equal_var))
        want = plain.ttest_ind(X[rows, j][which], X[rows, j][~which], equal_var=equal_var)
        np.testing.assert_allclose(got.statistic, want.statistic, rtol=2e-4, atol=2e-4)
        np.testing.assert_allclose([got.p_value, got.df], [want.pvalue, want.df], rtol=3e-3)


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_t_does_not_depend_on_bound_and_offset(offset: float) -> None:
    x = np.round(2.0**17 * DATA[:, 4]) / 2.0**17 + offset  # a deviation of 0.014
    want = plain.ttest_ind(x[Y == 1], x[Y == 0], equal_var=False)
    for bound in (offset + 1.0, 1e9):
        given = {"x": pv.Input(x, bound), "y": pv.Input(Y, 1)}
        got = run(lambda s: stats.ttest(s["x"], s["y"]), given, check_range=False)
        np.testing.assert_allclose([got.statistic, got.df], [want.statistic, want.df], rtol=5e-4)


def test_values_without_digits_are_refused_by_name() -> None:
    x = np.arange(N) % 2 * 2.0**-18
    given = {"x": pv.Input(np.column_stack([x, Y]), 300.0), "y": pv.Input(Y, 1)}
    for fn, name in (
        (lambda s: stats.ttest(s["x"][:, 0], s["y"]), "ttest: x: the values vary by less than 4 units"),
        (lambda s: stats.correlation(s["x"]), "correlation: the values vary by less than 4 units"),
    ):
        with pytest.raises(RangeViolated, match=name):
            run(fn, given, check_range=False)


def test_mann_whitney(rows: np.ndarray) -> None:
    for values, name, group in ((X[:, 1], "e", EVENTS), (TIMES, "y", Y)):
        def fn(s: Secrets, values: Any = values, name: str = name) -> Any:
            return stats.mannwhitneyu(s["t"] if values is TIMES else s["x"][:, 1], s[name], valid=mask(s, rows))

        got, one, zero = run(fn), values[rows][group[rows] == 1], values[rows][group[rows] == 0]
        want = plain.mannwhitneyu(one, zero, method="asymptotic")
        np.testing.assert_allclose(got.effect, want.statistic / (len(one) * len(zero)), atol=1e-5)
        np.testing.assert_allclose(got.p_value, want.pvalue, rtol=1e-3)
        assert (got.statistic > 0) == (got.effect > 0.5)


def test_small_groups_are_suppressed() -> None:
    group = (np.arange(N) < 9).astype(int)
    given = {**GIVEN, "g": pv.Input(group, 1)}
    for test in (
        lambda s: stats.ttest(s["x"][:, 0], s["g"]),
        lambda s: stats.mannwhitneyu(s["x"][:, 0], s["g"]),
        lambda s: stats.logrank(s["t"], s["e"], s["g"]),
    ):
        got = run(test, given)
        assert np.isnan(got.statistic) and np.isnan(got.p_value)


# -- survival --------------------------------------------------------------------------------------------------------


def censored(rows: np.ndarray) -> plain.CensoredData:
    return plain.CensoredData(uncensored=TIMES[rows & (EVENTS == 1)], right=TIMES[rows & (EVENTS == 0)])


@pytest.mark.filterwarnings("ignore:The confidence interval is undefined")
def test_kaplan_meier(rows: np.ndarray) -> None:
    got = run(lambda s: stats.kaplan_meier(s["t"], s["e"], at=GRID, valid=mask(s, rows)))
    want = plain.ecdf(censored(rows)).sf
    known = ~np.isnan(got.survival)
    assert known[:5].all() and not known[-1]  # nearly nobody is left at the end
    np.testing.assert_allclose(got.survival[known], want.evaluate(GRID)[known], atol=1e-5)
    limits = want.confidence_interval(method="log-log")
    for have, expected in zip(got.interval(), (limits.low, limits.high), strict=True):
        np.testing.assert_allclose(have[known], expected.evaluate(GRID)[known], atol=1e-4)


def test_a_step_of_the_curve_rests_on_enough_events() -> None:
    every = list(range(1, 31))
    got = run(lambda s: stats.kaplan_meier(s["t"], s["e"], at=every))
    known = np.flatnonzero(~np.isnan(got.survival))
    so_far = np.array([(EVENTS[t >= TIMES] == 1).sum() for t in every])
    assert 3 < len(known) < 30 and (np.diff(so_far[known], prepend=0) >= 10).all()


def test_log_rank(rows: np.ndarray) -> None:
    got = run(lambda s: stats.logrank(s["t"], s["e"], s["y"], valid=mask(s, rows)))
    want = plain.logrank(censored(rows & (Y == 1)), censored(rows & (Y == 0)))
    np.testing.assert_allclose(got.statistic, want.statistic**2, rtol=1e-4)
    np.testing.assert_allclose(got.p_value, want.pvalue, rtol=1e-3)


# -- what is refused, and what others get ----------------------------------------------------------------------------


def test_what_does_not_fit_is_refused() -> None:
    for wrong, error, words in (
        (lambda s: stats.mean(s["x"][:0]), ShapeError, "at least one"),
        (lambda s: stats.mean(s["x"], valid=s["valid"][:5]), ShapeError, "valid"),
        (lambda s: stats.covariance(s["y"]), ShapeError, r"\(n, d\)"),
        (lambda s: stats.variance(s["x"][:1]), ShapeError, "ddof"),
        (lambda s: stats.quantile(s["t"], 1.5), UsageError, "0 <= q <= 1"),
        (lambda s: stats.crosstab(s["y"], s["e"][:3], rows=2, columns=2), ShapeError, "two columns"),
        (lambda s: stats.crosstab(s["y"], s["y"] * 0.5, rows=2, columns=2), UsageError, r"crosstab: .* b > 0\.5"),
        (lambda s: stats.ttest(s["x"], s["y"]), ShapeError, "x and group"),
        (lambda s: stats.kaplan_meier(s["t"], s["e"], at=[3, 2]), UsageError, "ascending"),
        (lambda s: stats.logrank(s["t"], s["e"][:3], s["y"]), ShapeError, "times and events"),
    ):
        with pytest.raises(error, match=words):
            run(wrong)


def test_parties_that_receive_nothing_get_no_numbers() -> None:
    def program(s: Session) -> Any:
        table = stats.crosstab(s.secret("y", "bank"), s.secret("e", "bank"), rows=2, columns=2)
        return table.chi2().open(to="bank", name="chi2", reason="test")

    outputs = pv.simulate(program, inputs={"bank": GIVEN}).outputs
    assert isinstance(outputs["compute_0"], pv.Withheld) and outputs["bank"].df == 1


def test_without_scipy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UsageError, match=r"privity\[stats\]"):
        pvalues.of_t(2.0, 5.0)
    assert pvalues.of_chi2(3.841458820694124, 1) == pytest.approx(0.05)
    assert pvalues.of_normal(1.959963984540054) == pytest.approx(0.05)


@pytest.mark.parametrize("n", [20, 500_000])
def test_bounds_leave_room_for_many_rows(n: int) -> None:
    """Planned on shapes: no sum or product may pass 62 bits by its bound, whatever the number of rows."""
    known = {"t": Declared((n,), 4096.0, 0), "e": Declared((n,), 1.0, 0), "g": Declared((n,), 1.0, 0)}
    known["x"] = Declared((n,), 4.0, 18)

    def program(s: Session) -> None:
        t, e, g, x = (s.secret(name, "bank") for name in ("t", "e", "g", "x"))
        for found in (
            stats.mean(x, valid=e), stats.variance(x, valid=e), stats.correlation(x.reshape(-1, 1), valid=e),
            stats.crosstab(e, g, rows=2, columns=2).chi2(), stats.ttest(x, g), stats.logrank(t, e, g),
            stats.kaplan_meier(t, e, at=[5]), stats.quantile(x, 0.5, valid=e), stats.mannwhitneyu(x, g),
        ):  # fmt: skip
            found.open(to="all", name="x", reason="test")
        metrics.roc_auc_score(g, x, sample_weight=x)
        metrics.average_precision_score(g, x)
        metrics.concordance_index(t, x, e)
        metrics.r2_score(x, x)

    assert pv.plan(program, inputs={"bank": known}).rounds > 0
