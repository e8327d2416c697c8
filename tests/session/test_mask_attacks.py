"""Masks of columns that meet: none may hold anything but 0 and 1, and no cell that holds nothing may be counted."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import privity
from privity.session import Session
from privity.table import Field, Table, TableInfo, table_inputs

CELLS = np.array([[1, 10, np.nan], [np.nan, 20, 7], [3, 30, 8], [np.nan, 40, 9], [5, 50, np.nan], [6, 60, 11]])
NAMES = ("a", "b", "c")  # b has no empty cells
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "maximum": np.maximum,
}  # fmt: skip


def described(capacity: int | None) -> TableInfo:
    fields = tuple(Field(n, "integer", 64.0, 64.0, missing=n != "b") for n in NAMES)
    return TableInfo("t", fields, capacity=capacity)


def tables(s: Session) -> dict[str, Table]:
    """The table, and the same rows with other ones that count."""
    t = s.table("t")
    some = t["b"] > 25
    other = t["b"] < 45
    return {"all": t, "some": t.filter(some), "other": t.filter(other)}


def expected() -> dict[str, pd.DataFrame]:
    rows = pd.DataFrame(CELLS, columns=list(NAMES))
    return {"all": rows, "some": rows.where(rows.b > 25), "other": rows.where(rows.b < 45)}


@pytest.mark.parametrize("capacity", [None, 8])
@pytest.mark.parametrize("sign", OPERATORS)
def test_columns_of_any_two_tables_of_the_same_rows(sign: str, capacity: int | None) -> None:
    """As pandas has it: sums, numbers of cells, and the flags of the cells that hold something are 0 or 1."""
    pairs = [
        (("all", "a"), ("some", "b")), (("all", "a"), ("all", "b")), (("some", "b"), ("all", "c")),
        (("some", "a"), ("other", "c")), (("other", "b"), ("some", "a")), (("all", "c"), ("all", "a")),
    ]  # fmt: skip

    def program(s: Session) -> Any:
        given = tables(s)
        made = [OPERATORS[sign](given[t][n], given[u][m]) for (t, n), (u, m) in pairs]
        tell = itertools.count()

        def opened(x: Any) -> Any:
            return s.reveal(x, to="all", name=f"x{next(tell)}", reason="test")

        return [(opened(x.present), opened(x.sum()), opened(x.count()), opened(x.filled(0))) for x in made]

    info = described(capacity)
    inputs = {"owner": table_inputs(info, CELLS)}
    found = privity.simulate(program, inputs=inputs, tables={"t": info}).outputs["compute_0"]
    frames = expected()
    for ((t, n), (u, m)), (present, total, count, filled) in zip(pairs, found, strict=True):
        right = OPERATORS[sign](frames[t][n], frames[u][m])
        there = np.zeros(len(present), int)
        there[: len(right)] = right.notna()
        assert present.tolist() == there.tolist(), (t, n, u, m)
        assert (total, count) == (right.sum(), right.count()), (t, n, u, m)
        assert filled[: len(right)].tolist() == right.fillna(0).tolist(), (t, n, u, m)
