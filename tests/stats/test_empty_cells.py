"""Statistics and metrics of columns with empty cells, beside the same on the rows that are complete, and pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

import privity as pv
from privity import stats
from privity.errors import PrivityError, ShapeError, UsageError
from privity.ml import metrics
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, table_inputs

RNG = np.random.default_rng(12)
N, CAPACITY = 37, 45
FIELDS = (
    Field("x", "number", 128.0, 100.0, missing=True),
    Field("k", "integer", 2.0**10, 1000.0, missing=True),
    Field("b", "binary", missing=True),
    Field("c", "category", categories=("u", "v", "w"), missing=True),
    Field("full", "number", 16.0, 10.0),
    Field("ev", "binary"),
    Field("t", "integer", 32.0, 30.0, missing=True),
)
GAPPY = ["x", "k", "b", "c", "t"]
AT = pd.DataFrame({
    "x": RNG.normal(0, 30, N).clip(-100, 100), "k": RNG.integers(-1000, 1000, N).astype(float),
    "b": RNG.integers(0, 2, N).astype(float), "c": RNG.integers(0, 3, N).astype(float), "full": RNG.normal(0, 3, N),
    "ev": RNG.integers(0, 2, N), "t": RNG.integers(1, 30, N).astype(float),
})  # fmt: skip
for name in GAPPY:
    AT.loc[RNG.random(N) < 0.15, name] = np.nan


def both_ways(capacity: int | None, body: Callable[[Any, Any], Any], frame: pd.DataFrame = AT) -> tuple[Any, Any]:
    """What a statistic says of columns with empty cells, and what it says of the rows where none is."""
    complete = frame.dropna(subset=GAPPY)

    def opened(rows: pd.DataFrame, capacity: int | None, fields: tuple[Field, ...]) -> Any:
        info = TableInfo("t", fields, capacity=capacity)
        program = lambda s: body(s, s.table("t"))  # noqa: E731
        return pv.simulate(
            program, inputs={"o": table_inputs(info, rows)}, tables={"t": info}, protocol=InsecurePlain, parties=1,
            minimum_group=1,
        ).output  # fmt: skip

    plain = tuple(Field(f.name, f.kind, f.unit, f.bound, f.categories, False) for f in FIELDS)
    return opened(frame, capacity, FIELDS), opened(complete, None, plain)


def told(x: Any) -> Any:
    return x.open(to="all", name="v", reason="test")


STATISTICS: dict[str, Callable[[Any, Any], Any]] = {
    "ttest": lambda s, t: told(stats.ttest(mine(t, "x"), mine(t, "b"))),
    "mannwhitneyu": lambda s, t: told(stats.mannwhitneyu(mine(t, "k"), mine(t, "b"))),
    "crosstab": lambda s, t: told(stats.crosstab(mine(t, "c"), mine(t, "b"), rows=3, columns=2)),
    "logrank": lambda s, t: told(stats.logrank(mine(t, "t"), mine(t, "ev"), mine(t, "b"))),
    "kaplan_meier": lambda s, t: told(stats.kaplan_meier(mine(t, "t"), mine(t, "ev"), at=[5, 15, 25])),
    "mean": lambda s, t: told(stats.mean(mine(t, "x"))),
    "variance": lambda s, t: told(stats.variance(mine(t, "x"))),
    "quantile": lambda s, t: told(stats.quantile(mine(t, "x"), [0.3, 0.5])),
    "correlation": lambda s, t: told(stats.correlation([t["x"], t["k"], t["full"]])),
    "covariance": lambda s, t: told(stats.covariance([t["x"], t["full"]])),
    "variance_inflation": lambda s, t: told(stats.variance_inflation([t["x"], t["k"], t["full"]])),
    **{
        name: lambda s, t, name=name: at(s, getattr(metrics, name)(mine(t, "b"), t["full"] / 10))
        for name in ("roc_auc_score", "ks_statistic", "average_precision_score", "brier_score_loss")
    },
    **{
        name: lambda s, t, name=name: at(s, getattr(metrics, name)(mine(t, "b"), t["full"] > 0))
        for name in ("accuracy_score", "precision_score", "recall_score", "f1_score", "confusion_matrix")
    },
    **{
        name: lambda s, t, name=name: at(s, getattr(metrics, name)(mine(t, "x"), t["full"]))
        for name in ("mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "r2_score")
    },
    "concordance_index": lambda s, t: at(s, metrics.concordance_index(mine(t, "t"), t["full"], mine(t, "ev"))),
    "weights": lambda s, t: at(s, metrics.accuracy_score(t["ev"], t["full"] > 0, sample_weight=abs(mine(t, "x")))),
    "valid": lambda s, t: told(stats.mean(mine(t, "x"), valid=mine(t, "k") > 0)),
}  # fmt: skip


def mine(t: Any, name: str) -> Any:
    """The column in the rows in which all others have a value, too, so that pairs need not be told apart."""
    return t.dropna(GAPPY)[name]


def at(s: Any, value: Any) -> Any:
    return s.reveal(value, to="all", name="v", reason="test")


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_and_metrics_see_only_complete_rows(name: str) -> None:
    for capacity in (None, CAPACITY):
        got, want = both_ways(capacity, STATISTICS[name])
        if name in ("correlation", "covariance", "variance_inflation"):  # these rows are dropped by them alone
            names = ["x", "k", "full"] if name != "covariance" else ["x", "full"]
            rows = AT.dropna(subset=names)[names]
            want = {"correlation": rows.corr, "covariance": rows.cov}.get(
                name, lambda rows=rows: np.diag(np.linalg.inv(rows.corr()))
            )()
        fields = vars(got) if hasattr(got, "p_value") or hasattr(got, "survival") else {"v": got}
        others = vars(want) if len(fields) > 1 else {"v": want}
        for key, value in fields.items():
            assert np.allclose(
                np.asarray(value, float), np.asarray(others[key], float), rtol=2e-3, atol=2e-3, equal_nan=True
            ), (name, key, capacity)


def test_pairs_of_columns_count_where_both_have_a_value() -> None:
    """Without ``mine``: pairs are dropped by the function itself."""

    def body(s: Any, t: Any) -> Any:
        return [
            told(stats.crosstab(t["c"], t["b"], rows=3, columns=2)), told(stats.ttest(t["x"], t["b"])).statistic,
            at(s, metrics.mean_absolute_error(t["x"], t["k"] * 0.1)), told(stats.mean([t["x"], t["k"], t["full"]])),
            told(stats.variance(t[["x", "k", "full"]])),
        ]  # fmt: skip

    for capacity in (None, CAPACITY):
        (table, t, error, means, variances), _ = both_ways(capacity, body)
        assert np.array_equal(table, pd.crosstab(AT["c"], AT["b"]).to_numpy())
        pair = AT[["x", "b"]].dropna()
        right = ttest_ind(pair["x"][pair["b"] == 1], pair["x"][pair["b"] == 0], equal_var=False).statistic
        assert t == pytest.approx(right, abs=1e-3)
        assert error == pytest.approx((AT["x"] - AT["k"] * 0.1).abs().mean(), abs=1e-3)
        assert np.allclose(means, AT[["x", "k", "full"]].mean(), atol=1e-3)
        assert np.allclose(variances, AT[["x", "k", "full"]].var(), rtol=1e-4)


def test_a_public_mask_of_the_wrong_kind_is_still_named() -> None:
    def body(s: Any, t: Any) -> None:
        with pytest.raises(UsageError, match="valid: expected a secret array"):
            stats.mean(t["x"], valid=np.ones(N, bool))
        with pytest.raises(ShapeError, match="valid"):
            stats.mean(t["x"], valid=s.constant(np.ones(3, np.int64)))
        with pytest.raises(PrivityError):
            metrics.accuracy_score(t["b"], t["full"] > 0, valid=s.constant(np.ones(3, np.int64)))

    both_ways(None, lambda s, t: body(s, t) if t.rows == N else None)
