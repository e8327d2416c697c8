"""``group_by`` with empty keys and empty cells, beside pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import privity as pv
from privity.data.keys import fingerprints
from privity.disclosure import release
from privity.errors import RangeViolated, UsageError
from privity.mpc.plain import InsecurePlain
from privity.table import Field, TableInfo, table_inputs, table_shapes

RNG = np.random.default_rng(8)
N = 60
FIELDS = (
    Field("c", "category", categories=("a", "b", "c", "d"), missing=True),
    Field("k", "integer", 8.0, 8.0, missing=True),
    Field("x", "number", 64.0, 50.0, missing=True),
    Field("m", "integer", 1024.0, 1000.0, missing=True),
    Field("full", "number", 8.0, 8.0),
    Field("word", "category", categories=("p", "q")),
)
FRAME = pd.DataFrame({
    "c": RNG.integers(0, 3, N).astype(float), "k": RNG.integers(-2, 3, N).astype(float), "x": RNG.uniform(-50, 50, N),
    "m": RNG.integers(-1000, 1000, N).astype(float), "full": RNG.normal(size=N), "word": RNG.integers(0, 2, N),
})  # fmt: skip
for name, share in (("c", 0.2), ("k", 0.3), ("x", 0.4), ("m", 0.3)):
    FRAME.loc[RNG.random(N) < share, name] = np.nan
FRAME.loc[FRAME["c"] == 1, "x"] = np.nan  # groups of which all cells are empty
FRAME.loc[FRAME["k"] == -1, ["x", "m"]] = np.nan
AGGREGATES = {
    "n": "count", "sum_x": ("x", "sum"), "mean_x": ("x", "mean"), "cells": ("x", "count"), "sum_m": ("m", "sum"),
    "mean_m": ("m", "mean"), "sum_f": ("full", "sum"), "mean_f": ("full", "mean"),
}  # fmt: skip
EXTREMES = {
    "low_x": ("x", "min"), "high_x": ("x", "max"), "low_m": ("m", "min"), "high_m": ("m", "max"),
    "top": ("full", "max"),
}  # fmt: skip


def right(keys: list[str], frame: pd.DataFrame, dropna: bool) -> pd.DataFrame:
    groups = frame.groupby(keys, dropna=dropna)
    out = pd.DataFrame({"n": groups.size()})
    for name, (column, how) in {k: v for k, v in {**AGGREGATES, **EXTREMES}.items() if v != "count"}.items():
        out[name] = getattr(groups[column], how)()
    return out.fillna(0).sort_index()


def run(body: Callable[[pv.Session, Any], Any], capacity: int | None = None, **options: Any) -> Any:
    info = TableInfo("t", FIELDS, capacity=capacity)

    def program(s: pv.Session) -> Any:
        groups = body(s, s.table("t"))
        if groups is None:
            return None
        shown = {"valid": groups.valid, **groups.aggregates}
        shown |= {f"key {i}": k for i, k in enumerate(groups.keys)}
        shown |= {f"no key {i}": m for i, m in enumerate(groups.missing) if m is not None}
        shown |= {f"behind {n}": c for n, c in groups.counts.items()}
        return {n: s.reveal(v, to="all", name=n, reason="test") for n, v in shown.items()}

    options = {"protocol": InsecurePlain(), "parties": 1, "minimum_group": 1, **options}
    return pv.simulate(program, inputs={"o": table_inputs(info, FRAME)}, tables={"t": info}, **options).output


def same(got: dict[str, Any], want: pd.DataFrame, keys: int) -> None:
    real = got["valid"]
    assert real.sum() == len(want)
    for i in range(keys):
        key = np.where(got.get(f"no key {i}", np.zeros(len(real)))[real] > 0, np.nan, got[f"key {i}"][real])
        level = want.index.get_level_values(i).to_numpy(float)
        assert np.array_equal(key, level, equal_nan=True)
    for name in want:
        if name in got:
            exact = name in ("n", "cells") or (name.endswith("m") and not name.startswith("mean"))
            assert np.allclose(got[name][real], want[name], rtol=1e-5, atol=0 if exact else 1e-3), name
    assert np.array_equal(got["behind mean_x"][real], want["cells"])
    assert np.array_equal(got["behind n"][real], want["n"])
    assert all((v[~real] == 0).all() for n, v in got.items() if n in want)


@pytest.mark.parametrize("capacity", [None, 70])
@pytest.mark.parametrize("keep", [False, True])
def test_by_a_category_with_empty_cells(keep: bool, capacity: int | None) -> None:
    got = run(lambda s, t: t.group_by("c", keep_missing=keep).agg(**AGGREGATES), capacity)
    assert len(got["n"]) == 4 + keep and not got["valid"][3]  # nobody has d
    same(got, right(["c"], FRAME, not keep), 1)


@pytest.mark.parametrize("capacity", [None, 70])
@pytest.mark.parametrize("keys", [["k"], ["c", "k"], ["k", "word"]])
def test_by_keys_with_empty_cells(keys: list[str], capacity: int | None) -> None:
    for keep in (False, True):
        wanted = {**AGGREGATES, **EXTREMES}
        got = run(lambda s, t, keep=keep: t.group_by(*keys, keep_missing=keep).agg(30, **wanted), capacity)  # noqa: B023
        same(got, right(keys, FRAME, not keep), len(keys))


def test_of_filtered_rows_on_three_parties() -> None:
    options = {"protocol": pv.Rep3(), "parties": 3}
    kept = FRAME[FRAME["full"] > 0]
    got = run(lambda s, t: t.filter(t["full"] > 0).group_by("k").agg(9, **AGGREGATES, **EXTREMES), **options)
    same(got, right(["k"], kept, True), 1)


def test_columns_with_masks_of_their_own() -> None:
    """``pv.group_by`` of columns that were made from a table's, some of a filtered one."""

    def body(s: pv.Session, t: Any) -> Any:
        part = t.filter(t["full"] > 0)
        return pv.group_by(
            [t["k"], t["word"]],
            {"n": ("count", None), "mean_x": ("mean", t["x"] * 2), "part": ("sum", part["full"]),
             "cells": ("count", t["x"]), "low": ("min", part["m"])},
            capacity=30,
        )  # fmt: skip

    got = run(body)
    kept = FRAME["full"] > 0
    frame = FRAME.assign(x2=FRAME["x"] * 2, part=FRAME["full"].where(kept), low=FRAME["m"].where(kept))
    groups = frame.groupby(["k", "word"])
    real = got["valid"]
    assert np.array_equal(got["n"][real], groups.size()) and np.array_equal(got["cells"][real], groups["x"].count())
    assert np.allclose(got["mean_x"][real], groups["x2"].mean().fillna(0), atol=1e-3)
    assert np.allclose(got["part"][real], groups["part"].sum(), atol=1e-3)
    assert np.array_equal(got["low"][real], groups["low"].min().fillna(0))
    assert np.array_equal(got["behind part"][real], groups["part"].count())


def test_groups_without_a_cell_are_withheld_when_they_are_opened() -> None:
    def program(s: pv.Session) -> Any:
        groups = s.table("t").group_by("c").agg(mean=("x", "mean"))
        return release(s, groups["mean"], groups.counts["mean"], to="all", name="mean", reason="test")

    info = TableInfo("t", FIELDS)
    got = pv.simulate(
        program, inputs={"o": table_inputs(info, FRAME)}, tables={"t": info}, minimum_group=2, parties=1,
        protocol=InsecurePlain(),
    ).output  # fmt: skip
    want = FRAME.groupby("c")["x"].mean().to_numpy()
    assert np.allclose(got[[0, 2]], want[[0, 2]], atol=1e-3) and np.isnan(got[[1, 3]]).all()


def test_what_groups_refuse() -> None:
    def body(s: pv.Session, t: Any) -> None:
        groups = t.group_by("c").agg(n="count")
        for wrong, told in (
            (lambda: t.group_by("c").agg(m=("x", "median")), "one of sum, count, mean, min, max"),
            (lambda: t.group_by("c").agg(m="size"), "one of sum"),
            (lambda: t.group_by("k").agg(n="count"), "state capacity="),
            (lambda: t.group_by("c").agg(m=("q", "sum")), "no column 'q'"),
            (lambda: t.group_by(), "at least one column"),
            (lambda: groups["m"], "no aggregate 'm'; their aggregates: n"),
        ):
            with pytest.raises(UsageError, match=told):
                wrong()

    run(body)
    with pytest.raises(RangeViolated, match="capacity=2"):
        run(lambda s, t: t.group_by("k").agg(2, n="count"))


def test_rows_without_a_partner_are_in_no_group_of_the_other_table() -> None:
    """A left join beside pandas: the label of the second table too has empty cells where there is no partner."""
    one = TableInfo("one", (Field("a", "number", 64.0, 60.0),), keyed=True)
    two = TableInfo(
        "two", (Field("g", "category", categories=("u", "v")), Field("b", "integer", 64.0, 60.0)),
        label=Field("y", "number", 8.0, 8.0), keyed=True,
    )  # fmt: skip
    left = pd.DataFrame({"key": [f"p{i}" for i in range(20)], "a": np.arange(20.0)})
    other = pd.DataFrame({
        "key": [f"p{i}" for i in range(0, 30, 3)], "g": np.arange(10) % 2, "b": np.arange(10) * 5,
        "y": np.arange(10) / 2,
    })  # fmt: skip
    inputs = {
        "l": table_inputs(one, left, keys=fingerprints([left["key"].tolist()])),
        "r": table_inputs(two, other, keys=fingerprints([other["key"].tolist()])),
    }

    def program(s: pv.Session) -> Any:
        t = pv.link(s.table("one"), s.table("two"), how="left")
        groups = t.group_by("g", keep_missing=True).agg(n="count", a=("a", "mean"), b=("b", "sum"), y=("y", "mean"))
        by_b = t.group_by("b").agg(12, n="count", a=("a", "max"))
        values = [*groups.aggregates.values(), by_b["n"], by_b["a"], t["b"].mean(), t["y"].mean(), t["y"].count()]
        values.append((t["b"] < 10).sum())
        return [s.reveal(v, to="all", name="v", reason="test") for v in values]

    n, a, b, y, by_n, by_a, mean_b, mean_y, cells, low = pv.simulate(
        program, inputs=inputs, tables={"one": one, "two": two}, parties=1, protocol=InsecurePlain()
    ).output
    both = left.merge(other, how="left", on="key")
    groups = both.groupby("g", dropna=False)
    assert np.array_equal(n, groups.size()) and np.allclose(a, groups["a"].mean(), atol=1e-4)
    assert np.array_equal(b, groups["b"].sum()) and np.allclose(y, groups["y"].mean().fillna(0), atol=1e-4)
    right_b = both.groupby("b")
    assert np.array_equal(by_n[: len(right_b)], right_b.size()) and (by_n[len(right_b) :] == 0).all()
    assert np.allclose(by_a[: len(right_b)], right_b["a"].max(), atol=1e-4)
    assert mean_b == pytest.approx(both["b"].mean(), abs=1e-3) and mean_y == pytest.approx(both["y"].mean(), abs=1e-3)
    assert cells == both["y"].count() and low == (both["b"] < 10).sum()


def test_costs_without_empty_cells_do_not_change() -> None:
    info = TableInfo("t", tuple(Field(f.name, f.kind, f.unit, f.bound, f.categories) for f in FIELDS))

    def spent(body: Callable[[Any], Any]) -> tuple[int, int]:
        made = pv.plan(lambda s: body(s.table("t")), inputs={"o": table_shapes(info, 100)}, tables={"t": info})
        return made.rounds, max(made.payload_sent.values())

    wanted = {"n": "count", "m": ("m", "mean"), "x": ("x", "sum")}
    plain, kept = (spent(lambda t, k=k: t.group_by("c", keep_missing=k).agg(**wanted)) for k in (False, True))
    assert plain == kept
    assert spent(lambda t: t["x"].sum()) == spent(lambda t: None)
