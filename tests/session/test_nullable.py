"""Columns with empty cells, or rows that do not count, beside pandas: no cell that holds nothing counts as a 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import privity as pv
from privity.disclosure import release
from privity.errors import RangeViolated, SecretUseError, ShapeError, UsageError
from privity.functions.nullable import NullableArray
from privity.ml import LinearRegression
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, table_inputs

RNG = np.random.default_rng(11)
N, CAPACITY = 37, 50
FIELDS = (
    Field("x", "number", 128.0, 100.0, missing=True),
    Field("k", "integer", 2.0**10, 1000.0, missing=True),
    Field("b", "binary", missing=True),
    Field("c", "category", categories=("u", "v", "w"), missing=True),
    Field("full", "number", 16.0, 10.0),
    Field("none", "number", 16.0, 10.0, missing=True),
)
FRAME = pd.DataFrame({
    "x": RNG.normal(0, 30, N).clip(-100, 100), "k": RNG.integers(-1000, 1000, N).astype(float),
    "b": RNG.integers(0, 2, N).astype(float), "c": RNG.integers(0, 3, N).astype(float), "full": RNG.normal(0, 3, N),
    "none": np.nan,
})  # fmt: skip
for name in ("x", "k", "b", "c"):
    FRAME.loc[RNG.random(N) < 0.3, name] = np.nan
PADDED = pd.concat([FRAME, pd.DataFrame(np.nan, range(CAPACITY - N), FRAME.columns)], ignore_index=True)
REAL = np.arange(CAPACITY) < N

Body = Callable[[pv.Session, Any], Any]


def run(body: Body, capacity: int | None = None, **options: Any) -> Any:
    """What the secret values are that ``body`` returns, by name."""
    info = TableInfo("t", FIELDS, capacity=capacity)

    def program(s: pv.Session) -> Any:
        made = body(s, s.table("t"))
        return {n: s.reveal(x, to="all", name=n, reason="test") for n, x in (made or {}).items()}

    options = {"protocol": InsecurePlain, "parties": 1, **options}
    return pv.simulate(program, inputs={"o": table_inputs(info, FRAME)}, tables={"t": info}, **options).output


def filtered(t: Any, capacity: int | None) -> tuple[Any, pd.DataFrame]:
    """A table without row mask, with padding, or filtered (capacity -1), and the rows that count."""
    return (t.filter(t["full"] > 0), FRAME[FRAME["full"] > 0]) if capacity == -1 else (t, FRAME)


@pytest.mark.parametrize("capacity", [None, CAPACITY, -1])
@pytest.mark.parametrize("name", ["x", "k", "b", "full", "none"])
def test_what_the_cells_that_are_there_say(name: str, capacity: int | None) -> None:
    kept: dict[str, pd.DataFrame] = {}

    def body(s: pv.Session, t: Any) -> Any:
        t, kept["rows"] = filtered(t, capacity)
        x = t[name]
        if isinstance(x, NullableArray):
            assert x.shape == (t.rows,) and x.ndim == 1 and len(x) == t.rows and name in repr(x) and name in f"{x}"
        made = {n: getattr(x, n)() for n in ("sum", "mean", "std", "var", "min", "max")}
        if isinstance(x, NullableArray):
            made |= {"median": x.median(), "count": x.count(), "quantile": x.quantile([0.25, 0.9])}
            assert pv.max(x).bound == x.max().bound
            made |= {"pv.min": pv.min(x), "pv.median": pv.median(x), "np.mean": np.mean(x)}
            made |= {"np.nanmax": np.nanmax(x), "np.sum": np.add.reduce(x)}
        return made

    got = run(body, None if capacity == -1 else capacity)
    column = kept["rows"][name]
    if name == "none":
        assert all(np.all(v == 0) for v in got.values())
        return
    want = {
        "sum": column.sum(), "mean": column.mean(), "std": column.std(ddof=0), "var": column.var(ddof=0),
        "min": column.min(), "max": column.max(), "median": column.median(), "count": column.count(),
        "pv.min": column.min(), "pv.median": column.median(), "quantile": column.quantile([0.25, 0.9]).to_numpy(),
        "np.mean": column.mean(), "np.nanmax": column.max(),
        "np.sum": column.sum(),
    }  # fmt: skip
    for what, value in got.items():
        assert np.allclose(value, want[what], rtol=2e-5, atol=2e-4), what
    exact = name in ("k", "b")
    assert not exact or all(got[w] == want[w] for w in ("sum", "min", "max") if w in got)


COMPARED = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip


@pytest.mark.parametrize("sign", COMPARED)
@pytest.mark.parametrize("capacity", [None, CAPACITY])
def test_empty_cells_compare_as_in_pandas(sign: str, capacity: int | None) -> None:
    apply = COMPARED[sign]
    public = FRAME["k"].fillna(3).to_numpy() if capacity is None else PADDED["k"].fillna(3).to_numpy()
    pairs = {
        "number": (lambda t: apply(t["k"], 20), apply(PADDED["k"], 20)),
        "far": (lambda t: apply(t["k"], 1e6), apply(PADDED["k"], 1e6)),
        "left": (lambda t: apply(20, t["k"]), apply(20, PADDED["k"])),
        "array": (lambda t: apply(t["k"], public), apply(PADDED["k"].to_numpy()[: len(public)], public)),
        "numpy": (lambda t: apply(public, t["k"]), apply(public, PADDED["k"].to_numpy()[: len(public)])),
        "column": (lambda t: apply(t["x"], t["k"]), apply(PADDED["x"], PADDED["k"])),
        "full": (lambda t: apply(t["full"], t["x"]), apply(PADDED["full"], PADDED["x"])),
        "codes": (lambda t: apply(t["c"], 1), apply(PADDED["c"], 1)),
    }
    got = run(lambda s, t: {n: made(t) for n, (made, _) in pairs.items()}, capacity)
    for name, (_, want) in pairs.items():
        rows = np.asarray(want)[: len(got[name])] & (REAL[: len(got[name])])
        assert np.array_equal(got[name], rows), name  # rows that do not count are opened as 0


def test_arithmetic_keeps_empty_cells() -> None:
    made = {
        "x + 1": lambda t: t["x"] + 1, "2 x": lambda t: 2 * t["x"], "1 - x": lambda t: 1 - t["x"],
        "x / 4": lambda t: t["x"] / 4, "x k": lambda t: t["x"] * t["k"] * 0.01,
        "full - x": lambda t: t["full"] - t["x"],
        "x - full": lambda t: t["x"] - t["full"], "-x": lambda t: -t["x"], "abs": lambda t: abs(t["x"]),
        "x ** 2": lambda t: t["x"] ** 2, "np": lambda t: np.ones(N) * t["x"], "clip": lambda t: t["x"].clip(-5, 7),
        "exp": lambda t: np.exp(t["x"] * 0.01), "pv.exp": lambda t: pv.exp(x=t["x"] * 0.01),
        "maximum": lambda t: pv.maximum(t["full"], t["k"]), "isin": lambda t: pv.isin(t["k"] * 0 + 1, [1, 2]) * 1,
        "round": lambda t: t["x"].round(), "np.abs": lambda t: np.abs(t["x"]),
        "where": lambda t: pv.where(t["x"] > 0, t["x"], t["k"]),
        "np.where": lambda t: np.where(t["b"] == 1, t["x"], 2.5),
    }  # fmt: skip
    x, k, full = FRAME["x"], FRAME["k"], FRAME["full"]
    want = {
        "x + 1": x + 1, "2 x": 2 * x, "1 - x": 1 - x, "x / 4": x / 4, "x k": x * k * 0.01, "full - x": full - x,
        "x - full": x - full, "-x": -x, "abs": abs(x), "x ** 2": x**2, "np": x, "clip": x.clip(-5, 7),
        "exp": np.exp(x * 0.01), "pv.exp": np.exp(x * 0.01), "maximum": np.maximum(full, k), "isin": k * 0 + 1,
        "round": np.floor(x + 0.5), "np.abs": abs(x),
        "where": x.where(x > 0, k),  # empty where what is taken is
        "np.where": pd.Series(np.where(FRAME["b"] == 1, x, 2.5)),
    }  # fmt: skip

    def body(s: pv.Session, t: Any) -> Any:
        out = {}
        for name, make in made.items():
            column = make(t)
            assert isinstance(column, NullableArray), name
            out |= {f"{name}: na": column.isna(), f"{name}: cells": column.fillna(-7), f"{name}: sum": column.sum()}
        return out

    got = run(body)
    for name, right in want.items():
        assert np.array_equal(got[f"{name}: na"], right.isna()), name
        assert np.allclose(got[f"{name}: cells"], right.fillna(-7), atol=2e-3), name
        assert np.isclose(got[f"{name}: sum"], right.sum(), atol=2e-2), name


def test_filling_and_leaving_out() -> None:
    def body(s: pv.Session, t: Any) -> Any:
        full = t.fillna({"x": 5, "k": 5, "b": 0}).fillna("v")
        assert full.column("x").missing is None and full.column("k").field.kind == "integer"
        some = t.fillna({"x": 1.5, "c": "w"})
        assert some.column("k").missing is not None
        left = t.dropna(["x", "k"])
        assert left.column("x").missing is None and left.column("b").missing is not None
        return {
            **{n: full[n] for n in ("x", "k", "b", "c")} | {"fill x": some["x"], "fill c": some["c"]},
            "own": t["x"].fillna(t["x"].mean()), "n": left.count, "k sum": left["k"].sum(), "b mean": left["b"].mean(),
            "all": t.drop(["none"]).dropna().count, "cells": t["x"].dropna().count(), "notna": t["k"].notna().sum(),
            "any": t["b"].any(), "every": t["b"].all(), "few": (t["b"] + 1).all(), "slice": t["x"][3:20].mean(),
        }  # fmt: skip

    got = run(body)
    both = FRAME.dropna(subset=["x", "k"])
    assert np.allclose(got["x"], FRAME["x"].fillna(5), atol=1e-5) and np.array_equal(got["k"], FRAME["k"].fillna(5))
    assert np.array_equal(got["c"], FRAME["c"].fillna(1)) and np.array_equal(got["fill c"], FRAME["c"].fillna(2))
    assert np.allclose(got["fill x"], FRAME["x"].fillna(1.5), atol=1e-5)
    assert np.allclose(got["own"], FRAME["x"].fillna(FRAME["x"].mean()), atol=1e-3)
    assert got["n"] == len(both) and got["k sum"] == both["k"].sum()
    assert got["b mean"] == pytest.approx(both["b"].mean(), abs=1e-4)
    assert got["all"] == len(FRAME.drop(columns="none").dropna())
    assert got["cells"] == FRAME["x"].count() and got["notna"] == FRAME["k"].count()
    assert got["any"] and not got["every"] and got["few"]
    assert got["slice"] == pytest.approx(FRAME["x"][3:20].mean(), abs=1e-3)



def test_a_mask_that_is_itself_a_column() -> None:
    def body(s: pv.Session, t: Any) -> Any:
        young = t.filter(t["x"] < 0)
        twice = young.filter((t["k"] > 0) | (t["b"] == 1))  # of a table whose rows all count
        return {
            "x < 0": young.count, "twice": twice.count, "b": t.filter(t["b"]).count,
            "na": t.filter(t["x"].isna()).count,
            "not": t.filter(~t["x"].isna() & (t["full"] > 0)).count, "valid": young.filter(young["k"] > 0)["k"].sum(),
        }  # fmt: skip

    for capacity in (None, CAPACITY):
        got = run(body, capacity)
        low = FRAME["x"] < 0
        assert got["x < 0"] == low.sum() and got["twice"] == (low & ((FRAME["k"] > 0) | (FRAME["b"] == 1))).sum()
        assert got["b"] == (FRAME["b"] == 1).sum() and got["na"] == FRAME["x"].isna().sum()
        assert got["not"] == (FRAME["x"].notna() & (FRAME["full"] > 0)).sum()
        assert got["valid"] == FRAME["k"][low & (FRAME["k"] > 0)].sum()


def test_new_columns_keep_their_empty_cells() -> None:
    def body(s: pv.Session, t: Any) -> Any:
        more = t.with_column("y", t["x"] * 2).with_column("z", t["k"] + t["x"])
        assert more.column("y").missing is not None and more.column("y").field.missing
        part = more.filter(more["full"] > 0)
        back = t.with_column("p", part["full"])  # rows that do not count there are empty here
        return {
            "y": more["y"].mean(), "n": more["z"].count(), "p": back["p"].mean(), "pn": back["p"].count(),
            "part": part["y"].mean(),
        }  # fmt: skip

    for capacity in (None, CAPACITY):
        got = run(body, capacity)
        positive = FRAME["full"] > 0
        assert got["y"] == pytest.approx(2 * FRAME["x"].mean(), abs=1e-3) and got["pn"] == positive.sum()
        assert got["n"] == (FRAME["x"] + FRAME["k"]).count()
        assert got["p"] == pytest.approx(FRAME["full"][positive].mean(), abs=1e-4)
        assert got["part"] == pytest.approx(2 * FRAME["x"][positive].mean(), abs=1e-3)


REFUSED: dict[str, Callable[[pv.Session, Any], Any]] = {
    "reveal": lambda s, t: s.reveal(t["x"], to="all", name="x", reason="test"),
    "sort": lambda s, t: pv.sort(t["x"]),
    "np.sort": lambda s, t: np.sort(t["x"]),
    "argsort": lambda s, t: t["x"].argsort(),
    "cumsum": lambda s, t: t["x"].cumsum(),
    "np.cumsum": lambda s, t: np.cumsum(t["x"]),
    "softmax": lambda s, t: pv.softmax(t["x"]),
    "stack": lambda s, t: pv.stack([t["x"], t["full"]]),
    "matmul": lambda s, t: t["x"] @ t["full"],
    "matmul of another": lambda s, t: t["full"] @ t["x"],
    "np.dot": lambda s, t: np.dot(t["full"], t["x"]),
    "np.asarray": lambda s, t: np.asarray(t["x"]),
    "element": lambda s, t: t["x"][0],
    "loop": lambda s, t: list(t["x"]),
    "reshape": lambda s, t: t["x"].reshape(-1, 1),
    "rank": lambda s, t: pv.rank(t["x"]),
    "histogram": lambda s, t: pv.histogram(t["x"], [0, 1]),
    "one_hot": lambda s, t: pv.one_hot(t["c"], 3),
    "release": lambda s, t: release(s, t["x"], 20, to="all", name="x", reason="test"),
    "multiply": lambda s, t: t["full"].multiply(t["x"]),
    "estimator": lambda s, t: LinearRegression().fit(t["x"], t["full"]),
    "logic": lambda s, t: t["x"].astype("bool") & (t["k"] > 1),
    "sort_by": lambda s, t: pv.sort_by(t["x"], [t["full"]]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_honour_empty_cells_names_the_column_and_the_ways_out(name: str) -> None:
    def body(s: pv.Session, t: Any) -> None:
        with pytest.raises(UsageError, match=r"column '[xc]' of table 't' may have empty cells.*fillna"):
            REFUSED[name](s, t)
        if name in ("sort", "softmax", "stack", "np.asarray", "element", "rank", "estimator"):
            padded = t.dropna()
            with pytest.raises(UsageError, match=r"some rows of column 'x' of table 't' do not count .*filled"):
                REFUSED[name](s, padded)

    run(body)


def test_other_mistakes_are_named() -> None:
    def body(s: pv.Session, t: Any) -> None:
        for wrong in (bool, float, int):
            with pytest.raises(SecretUseError, match="column 'x' of table 't' is secret"):
                wrong(t["x"])
        for made, told in (
            (lambda: t["x"] + np.ones(3), r"shape \(37,\), what stands beside it \(3,\)"),
            (lambda: t["x"].sum(axis=1), "has one axis"), (lambda: t["x"].var(ddof=99), "ddof=99"),
        ):  # fmt: skip
            with pytest.raises(ShapeError, match=told):
                made()
        for made, told in (
            (lambda: t.fillna({"b": 0.5}), "holds whole numbers"), (lambda: t.fillna({"x": 1e9}), "public bound"),
            (lambda: t.fillna({"c": "q"}), "no category 'q': u, v, w"), (lambda: t.fillna({"q": 1}), "no column 'q'"),
            (lambda: t["x"].fillna(t["x"]), "expected one number"), (lambda: t.filter(t["x"]), "secret boolean mask"),
            (lambda: t.matrix(["x"]), "x: some cells may be empty; fill them in first"),
        ):  # fmt: skip
            with pytest.raises(UsageError, match=told):
                made()

    run(body)


def test_empty_cells_are_no_zero_divisors() -> None:
    """A guard that divisors keep away from 0 leaves cells out that hold nothing; a 0 among the others fails it."""
    x = np.array([4.0, np.nan, -2.0, 8.0, np.nan])
    info = TableInfo("t", (Field("x", unit=16.0, bound=10.0, missing=True),))

    def program(s: pv.Session, away: float) -> Any:
        c = s.table("t")["x"] - away
        made = [pv.reciprocal(c, at_most=0.5), pv.divide(3.0, c, at_most=0.5), pv.divide(c, c, at_most=0.5)]
        return [s.reveal(v.fillna(9), to="all", name="x", reason="test") for v in made]

    given = {"inputs": {"o": table_inputs(info, x.reshape(-1, 1))}, "tables": {"t": info}}
    got = pv.simulate(lambda s: program(s, 0.0), **given).output  # type: ignore[arg-type]
    for have, want in zip(got, (1 / x, 3 / x, x / x), strict=True):
        np.testing.assert_allclose(have, np.where(np.isnan(x), 9, want), atol=2e-5)
    with pytest.raises(RangeViolated, match="at_most"):
        pv.simulate(lambda s: program(s, 4.0), **given)  # type: ignore[arg-type]


def test_words_of_columns_on_a_column_without_empty_cells() -> None:
    x = np.array([4.0, 1.0, -2.0, 8.0])
    info = TableInfo("t", (Field("x", unit=16.0, bound=10.0),))

    def program(s: pv.Session) -> Any:
        c = s.table("t")["x"]
        made = [c.median(), c.quantile(0.25), c.isna(), c.notna(), c.count(), c.fillna(3), c.dropna(), c.filled()]
        return [s.reveal(v, to="all", name="x", reason="test") for v in made]

    got = pv.simulate(program, inputs={"o": table_inputs(info, x.reshape(-1, 1))}, tables={"t": info}).output
    want = [np.median(x), np.quantile(x, 0.25), np.zeros(4), np.ones(4), 4, x, x, x]
    for have, right in zip(got, want, strict=True):
        np.testing.assert_allclose(have, right, atol=1e-5)


def test_what_fills_a_cell_has_the_digits_of_its_column() -> None:
    x = np.array([0.01, np.nan, -0.03])
    info = TableInfo("t", (Field("x", unit=2.0**-4, bound=0.05, missing=True),))

    def program(s: pv.Session) -> Any:
        return s.reveal(s.table("t")["x"].fillna(0.0123456789).mean(), to="all", name="x", reason="test")

    got = pv.simulate(program, inputs={"o": table_inputs(info, x.reshape(-1, 1))}, tables={"t": info}).output
    assert abs(got - (0.01 + 0.0123456789 - 0.03) / 3) <= 2.0**-33


@pytest.mark.parametrize("capacity", [None, CAPACITY])
def test_a_stated_bound_is_asked_of_the_rows_that_count(capacity: int | None) -> None:
    """Cells of rows that a filter left out, and empty ones, violate nothing; one of those that count does."""
    kept = run(lambda s, t: {"sum": t.filter(t["k"].abs() < 500)["k"].assume_bound(499.0).sum()}, capacity)
    assert kept["sum"] == FRAME["k"][FRAME["k"].abs() < 500].sum()
    with pytest.raises(RangeViolated, match="499"):
        run(lambda s, t: {"sum": t["k"].assume_bound(499.0).sum()}, capacity)


@pytest.mark.parametrize("capacity", [None, CAPACITY])
def test_an_empty_flag_is_not_true_whatever_stands_in_its_cell(capacity: int | None) -> None:
    """1 - b is 1 where b holds nothing, and no row counts for that."""
    got = run(lambda s, t: {"median": pv.functions.quantile(t["full"], 0.5, valid=1 - t["b"])}, capacity)
    assert abs(got["median"] - FRAME["full"][FRAME["b"] == 0].median()) < 1e-3
