"""Tables at a glance and repeated columns, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

import privity as pv
from privity.errors import RangeViolated, ShapeError, UsageError
from privity.stats import describe, variance_inflation
from privity.table import Field, TableInfo, table_inputs

RNG = np.random.default_rng(2)
N = 90
DATA = np.column_stack([RNG.normal(40, 15, N).clip(0, 120), RNG.uniform(0, 9e4, N), RNG.integers(0, 3, N)])
DATA[RNG.random(N) < 0.3, 1] = np.nan
FIELDS = (
    Field("age", "number", 128.0, 120.0),
    Field("income", "number", 2.0**17, 1e5, missing=True),
    Field("ward", "category", bound=2.0, categories=("a", "b", "c")),
)


@pytest.mark.parametrize("capacity", [None, 120])
def test_describe(capacity: int | None) -> None:
    info = TableInfo("t", FIELDS, None, capacity)
    done = pv.simulate(
        lambda s: describe(s.table("t"), quantiles=(0.05, 0.5, 0.8)).open(to="all", name="d", reason="test"),
        inputs={"o": table_inputs(info, DATA)}, tables={"t": info},
    )  # fmt: skip
    assert [e["shape"] for e in done.opened if e["name"] == "d"] == [[6, 2]]
    for i, name in enumerate(("age", "income")):
        x = DATA[~np.isnan(DATA[:, i]), i]
        got = done.output[name]
        assert list(got) == ["count", "mean", "std", "5%", "50%", "80%"]
        want = [len(x), x.mean(), x.std(ddof=1), np.quantile(x, 0.5), np.quantile(x, 0.8)]
        assert np.allclose([got[k] for k in ("count", "mean", "std", "50%", "80%")], want, rtol=2e-3)
        assert np.isnan(got["5%"]), "fewer rows than a group lie below it"


def test_describe_wants_numbers() -> None:
    info = TableInfo("t", FIELDS)

    def program(s: pv.Session) -> None:
        with pytest.raises(UsageError, match="ward: expected columns of numbers"):
            describe(s.table("t"), ["age", "ward"])

    pv.simulate(program, inputs={"o": table_inputs(info, DATA)}, tables={"t": info})


def factors(x: Any, valid: Any = None) -> Any:
    def program(s: pv.Session) -> Any:
        mask = None if valid is None else s.secret("v", "o")
        return variance_inflation(s.secret("x", "o"), valid=mask).open(to="all", name="vif", reason="test")

    given = {"x": pv.Input(x, bound=8.0)}
    if valid is not None:
        given["v"] = pv.Input(valid, bound=1.0)
    return pv.simulate(program, inputs={"o": given}).output


@pytest.mark.parametrize("masked", [False, True])
def test_variance_inflation(masked: bool) -> None:
    x = load_breast_cancer().data[:, [0, 1, 4, 5, 8, 9]]
    x = ((x - x.mean(0)) / x.std(0)).clip(-8, 8)
    keep = RNG.random(len(x)) < 0.7 if masked else np.ones(len(x), bool)
    want = np.linalg.inv(np.corrcoef(x[keep].T)).diagonal()
    got = factors(np.where(keep[:, None], x, 3.0), keep.astype(np.int64) if masked else None)
    assert np.allclose(got, want, rtol=1e-3)


def test_columns_that_determine_each_other_are_found() -> None:
    x = RNG.normal(size=(100, 3)).clip(-4, 4)
    x[:, 2] = (x[:, 0] + x[:, 1]) / 2
    with pytest.raises(RangeViolated):
        factors(x)
    with pytest.raises(ShapeError, match="at least two columns"):
        factors(x[:, :1])
