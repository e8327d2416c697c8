"""Thresholds of bins, on shares and at owners: quantiles of ordinary columns, a bin of its own for a frequent value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.metrics import roc_auc_score

import privity as pv
from privity.data.thresholds import bins_of, quantile_edges
from privity.errors import UsageError
from privity.functions.cuts import cut_points, shares_of_rows
from privity.ml.preprocessing import KBinsDiscretizer
from privity.ml.trees.boosting import GradientBoostingClassifier
from privity.table import Field, TableInfo, table_inputs

RNG = np.random.default_rng(4)
N = 600


def cut(x: Any, at: Any, valid: Any = None, bound: float = 2048.0) -> Any:
    given = {"x": pv.Input(x, bound=bound)} | ({} if valid is None else {"v": pv.Input(valid)})

    def program(s: pv.Session) -> Any:
        real = None if valid is None else s.secret("v", "o")
        return s.reveal(cut_points(s.secret("x", "o"), at, real), to="all", name="cuts", reason="test")

    return pv.simulate(program, inputs={"o": given}).output


@pytest.mark.parametrize("bins", [5, 16, 32])
def test_ordinary_columns_are_cut_at_their_quantiles(bins: int) -> None:
    x = np.column_stack([RNG.normal(size=N), RNG.exponential(size=N) * 100])
    for at in (np.arange(1, bins) / bins, shares_of_rows(bins, N)):
        for valid in (None, RNG.random(N) < 0.7, RNG.random(x.shape) < 0.7):
            got = cut(x, at, valid)
            for k in range(2):
                rows = slice(None) if valid is None else valid if valid.ndim == 1 else valid[:, k]
                gap = np.diff(np.sort(x[rows, k])).max()
                assert np.abs(got[:, k] - np.quantile(x[rows, k], at)).max() < 2.0**-17 + 2.0**-13 * gap


def frequent() -> dict[str, Any]:
    """Columns with values that fill more than a bin, and the values that must have a bin of their own."""
    amounts = np.where(RNG.random(N) < 0.1, np.exp(RNG.normal(4, 1, N)), 0.0).clip(0, 2000)
    both = np.where(RNG.random(N) < 0.6, 0.0, RNG.normal(0, 20, N))
    hours = np.where(RNG.random(N) < 0.5, 40.0, np.round(RNG.normal(42, 12, N)).clip(1, 99))
    return {"amounts": (amounts, [0.0]), "both": (both, [0.0]), "hours": (hours, [40.0]),
            "few": (RNG.choice([0.0, 1, 2, 5, 9], N, p=[0.9, 0.04, 0.03, 0.02, 0.01]), [0.0, 1, 2, 5, 9]),
            "most": (-amounts, [0.0]), "constant": (np.full(N, 3.0), [3.0])}  # fmt: skip


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    """And the others share the rest: no other bin has more rows than two equal shares of them, ties aside."""
    columns = frequent()
    x = np.column_stack([c for c, _ in columns.values()])
    x = np.round(x * 2**18) / 2**18
    bins = 16
    got = cut(x, shares_of_rows(bins, N))
    masked = cut(np.vstack([x, np.full_like(x, 7.0)]), shares_of_rows(bins, N), np.arange(2 * N) < N)
    for k, (name, (_, own)) in enumerate(columns.items()):
        for edges in (np.unique(got[:, k]), np.unique(masked[:, k]), np.asarray(quantile_edges(x[:, k], bins))):
            codes = bins_of(x[:, k], edges)
            for value in own:
                assert set(x[codes == codes[x[:, k] == value][0], k]) == {value}, (name, value, edges)
            rest = ~np.isin(x[:, k], own)
            if rest.sum():
                sizes = np.bincount(codes[rest].astype(int))
                ties = np.unique(x[rest, k], return_counts=True)[1].max()
                assert sizes.max() <= 2.5 * rest.sum() / (bins - 6) + ties + 2, (name, sizes)


def test_both_ends_are_cut_more_finely() -> None:
    for bins, ends in ((8, 0), (16, 1), (32, 2), (64, 3)):
        at = shares_of_rows(bins, 8192)
        steps = np.diff(at)
        assert len(at) == bins - 1 and np.allclose(at, 1 - at[::-1])
        assert np.isclose(at[0], 1 / (bins - 2 * ends) / 2**ends) and steps.max() < 1.2 / bins + 0.01
    assert np.array_equal(shares_of_rows(64, 100), np.arange(1, 64) / 64)  # no thresholds below a row
    with pytest.raises(UsageError, match="between 0 and 1"):
        cut(np.zeros((4, 1)), [0.0])


def test_a_rule_for_half_a_percent_of_the_rows_is_found() -> None:
    """With 64 bins, in an ordinary column and in one that is 0 elsewhere: beside XGBoost's 0.995 on the former."""
    n = 2400
    x = np.column_stack([RNG.normal(size=n), np.where(np.arange(n) < 12, RNG.exponential(size=n) + 0.1, 0.0)])
    x = np.round(x * 2**18) / 2**18
    for k, y in ((0, x[:, 0] > np.quantile(x[:, 0], 0.995)), (1, x[:, 1] > 0)):
        edges = cut(x[:, [k]], shares_of_rows(64, n))[:, 0]
        codes = bins_of(x[:, k], np.unique(edges))
        assert roc_auc_score(y, codes) > 0.9995


def test_boosting_on_a_column_that_is_mostly_zero() -> None:
    """As XGBoost with as many bins, where plain quantiles lose most of the column: rows that are not 0."""
    n = 3000
    gain = np.where(RNG.random(n) < 0.08, np.exp(RNG.normal(8, 1, n)), 0.0).clip(0, 1e5)
    chance = np.where((gain > 1500) & (gain < 3000), 0.03, np.where(gain > 6000, 0.95, 0.3))
    y = (RNG.random(n) < chance).astype(np.int64)
    options: dict[str, Any] = {"n_estimators": 3, "max_depth": 3, "learning_rate": 0.5}
    want = xgboost.XGBClassifier(tree_method="hist", max_bin=32, n_jobs=1, **options).fit(gain[:, None], y)

    def program(s: pv.Session) -> Any:
        made = GradientBoostingClassifier(max_bins=32, **options).fit(s.secret("x", "o"), s.secret("y", "o"))
        return s.reveal(made.decision_function(s.secret("x", "o")), to="all", name="m", reason="test")

    given = {"x": pv.Input(gain[:, None], bound=1e5), "y": pv.Input(y, bound=1.0)}
    got, some = pv.simulate(program, inputs={"o": given}).output, gain > 0
    ours, theirs = (roc_auc_score(y[some], v[some]) for v in (got, want.predict(gain[:, None], output_margin=True)))
    assert ours > theirs - 0.01 > 0.8


def test_discretized_columns_keep_a_frequent_value_apart() -> None:
    columns = frequent()
    info = TableInfo("t", tuple(Field(n, "number", 2048.0, 2048.0) for n in ("amounts", "both")))
    x = np.column_stack([columns[n][0] for n in ("amounts", "both")])

    def program(s: pv.Session) -> Any:
        made = KBinsDiscretizer(n_bins=8).fit(s.table("t")).transform(s.table("t"))
        return [s.reveal(made.column(n).values, to="all", name=n, reason="test") for n in ("amounts", "both")]

    got = pv.simulate(program, inputs={"o": table_inputs(info, x)}, tables={"t": info}).output
    for codes, values in zip(got, x.T, strict=True):
        assert set(values[codes == codes[values == 0][0]]) == {0.0}
        assert len(set(codes.tolist())) >= 6


def test_cost() -> None:
    """A sort, and about 135 bytes a value and 41 rounds; a mask costs 20 bytes and 10 rounds more."""
    n, d = 1024, 4
    x, valid = RNG.normal(size=(n, d)), RNG.random(n) < 0.5

    def spent(what: Any) -> tuple[int, float]:
        done = pv.simulate(what, inputs={"o": {"x": pv.Input(x, bound=8.0), "v": pv.Input(valid)}})
        sent = [v for k, v in done.payload_sent.items() if k.startswith("compute")]
        return done.rounds, max(sent) / (n * d)

    def sorting(s: pv.Session) -> None:
        pv.sort(s.secret("x", "o"), axis=0)

    def cutting(s: pv.Session) -> None:
        cut_points(s.secret("x", "o"), shares_of_rows(32, n))

    def masked(s: pv.Session) -> None:
        cut_points(s.secret("x", "o"), shares_of_rows(32, n), s.secret("v", "o"))

    (few, little), (rounds, sent), (more, most) = (spent(what) for what in (sorting, cutting, masked))
    assert rounds - few <= 45 and sent - little < 150
    assert more - few <= 55 and most - little < 170
