"""Arguments of tables' methods and of descriptions of columns and tables, of wrong kinds: refused by an error of
Privity's, which names what was wrong; never in silence, never by an error that says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.data.schema import Column, TableSchema
from privity.errors import ConfigError, PrivityError, UsageError
from privity.table import Field, TableInfo, table_inputs, table_shapes

NAN = float("nan")
N = 6
WRONG: tuple[Any, ...] = (
    NAN, float("inf"), "no such", [1], [[1], [1, 2]], 1j, -1, 2.5, 1e300, 2**70, object(), {1: 2}, b"a",
    np.array([0.5, 1.0]), {"a": "q"}, ("a", 3),
)  # fmt: skip
INFO = TableInfo(
    "t",
    (Field("a", "number", 8.0, 8.0), Field("b", "integer", 16.0, 10.0, missing=True),
     Field("c", "category", categories=("u", "v"), missing=True)),
    label=Field("y", "binary"),
)  # fmt: skip
KEYED = TableInfo("k", (Field("z", "number", 8.0, 8.0),), keyed=True)
METHODS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "select": lambda t, k, w: t.select(w), "getitem": lambda t, k, w: t[w], "drop": lambda t, k, w: t.drop(w),
    "column": lambda t, k, w: t.column(w), "matrix": lambda t, k, w: t.matrix(w),
    "with_label": lambda t, k, w: t.with_label(w), "dropna": lambda t, k, w: t.dropna(w),
    "fillna": lambda t, k, w: t.fillna({"b": w}), "fillna with a word": lambda t, k, w: t.fillna({"c": w}),
    "filter": lambda t, k, w: t.filter(w), "take": lambda t, k, w: t.take([0, w]),
    "split": lambda t, k, w: t.split(w), "with_target": lambda t, k, w: t.with_target(w),
    "with_column": lambda t, k, w: t.with_column("n", w), "to_arrays": lambda t, k, w: t.to_arrays(w),
    "group_by": lambda t, k, w: t.group_by(w), "agg": lambda t, k, w: t.group_by("c").agg(n=w),
    "capacity of agg": lambda t, k, w: t.group_by("b").agg(capacity=w, n="count"),
    "keep_missing": lambda t, k, w: t.group_by("c", keep_missing=w), "link": lambda t, k, w: pv.link(k, w),
    "how": lambda t, k, w: pv.link(k, k.drop(["z"]), how=w), "concat": lambda t, k, w: pv.concat([t, w]),
    "capacity of link": lambda t, k, w: pv.link(k, k.drop(["z"]), capacity=w),
    "intersect": lambda t, k, w: pv.intersect(k, w), "table": lambda t, k, w: t.session.table(w),
}  # fmt: skip
FINE = {"fillna": (-1,), "take": (-1,)}


@pytest.mark.parametrize("method", list(METHODS))
def test_methods_of_tables(method: str) -> None:
    def program(s: pv.Session) -> None:
        t, k = s.table("t"), s.table("k")
        for value in WRONG:
            if any(value is fine for fine in FINE.get(method, ())):
                continue
            with pytest.raises(PrivityError) as caught:
                METHODS[method](t, k, value)
            assert "cannot be planned" not in str(caught.value), (method, value, str(caught.value))

    pv.plan(program, inputs={"o": table_shapes(INFO, N) | table_shapes(KEYED, N)}, tables={"t": INFO, "k": KEYED})


def test_a_bound_that_is_none() -> None:
    def program(s: pv.Session) -> None:
        t = s.table("t")
        for bound in (NAN, -1.0, 0.0, float("inf"), "x"):
            with pytest.raises(UsageError, match="with_column: expected bound"):
                t.with_column("n", t["a"], bound=bound)
        assert t.with_column("n", t["a"], bound=1e300).column("n").field.bound == 8.0

    pv.plan(program, inputs={"o": table_shapes(INFO, N)}, tables={"t": INFO})


@pytest.mark.parametrize(
    "argument", ["name", "kind", "unit", "bound", "categories", "missing", "owners", "edges", "cut"]
)
def test_descriptions_of_columns(argument: str) -> None:
    right = {"name": "a", "kind": "category", "categories": ("u", "v")}
    fine = {"name": ("no such",), "cut": ("no such",), "bound": (2.5, 1e300, 2**70), "unit": (2**70,), "edges": ([1],)}
    for value in (*WRONG, ("a", "a") if argument in ("categories", "owners") else NAN):
        if any(value is f or (type(value) is type(f) and value == f) for f in fine.get(argument, ())):
            continue
        with pytest.raises(UsageError, match=f"expected .*{argument}|expected a name"):
            Field(**{**right, argument: value})
    with pytest.raises(UsageError, match="expected categories, the words"):
        Field("a", "category")


@pytest.mark.parametrize("argument", ["name", "fields", "label", "capacity", "owners", "keyed"])
def test_descriptions_of_tables(argument: str) -> None:
    for value in WRONG:
        if argument in ("name", "owners") and isinstance(value, str):
            continue
        with pytest.raises(UsageError, match=f"expected .*{argument}|expected a name|: {argument}"):
            TableInfo(**{"name": "t", "fields": (Field("a"),), argument: value})
    with pytest.raises(UsageError, match="different names, but a come twice"):
        TableInfo("t", (Field("a"),), label=Field("a", "binary"))
    for value in WRONG:
        with pytest.raises(UsageError, match="expected info as a TableInfo"):
            table_inputs(value, np.ones((2, 1)))


@pytest.mark.parametrize("argument", ["name", "kind", "bound", "role", "categories", "missing", "normalize", "bins"])
def test_columns_of_schemas(argument: str) -> None:
    right = {"name": "a", "kind": "category" if argument == "categories" else "number", "bound": 4.0}
    fine = {"name": ("no such",), "bound": (2.5,), "bins": ([1], np.array([0.5, 1.0]))}
    for value in WRONG:
        if any(type(value) is type(f) and np.array_equal(value, f) for f in fine.get(argument, ())):
            continue
        with pytest.raises(ConfigError, match="column "):
            Column(**{**right, argument: value})


@pytest.mark.parametrize(
    "argument", ["name", "columns", "capacity", "owners", "missing_values", "duplicates", "bins_of"]
)
def test_schemas(argument: str) -> None:
    right = {"name": "t", "columns": (Column("a", "number", 1.0),)}
    for value in WRONG:
        if argument == "name" and isinstance(value, str):
            continue
        with pytest.raises(ConfigError, match="table "):
            TableSchema(**{**right, argument: value})
