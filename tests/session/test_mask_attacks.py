"""Masks of columns that meet: none may hold anything but 0 and 1, and no cell that holds nothing may be counted."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest

import privity
from privity import stats
from privity.context import Context
from privity.errors import RangeViolated
from privity.functions.cuts import cut_points
from privity.ml.preprocessing import SimpleImputer, StandardScaler
from privity.ml.preprocessing.transform import present_cells
from privity.mpc.rep3 import Replicated
from privity.mpc.shares import Share
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


# -- an owner that lies about every part of its table ------------------------------------------------------------------

PEOPLE = TableInfo(
    "p",
    (
        Field("age", "integer", 128.0, 100.0, missing=True),
        Field("dose", "number", 2.0, 2.0, missing=True),
        Field("sick", "binary"),
        Field("site", "category", categories=("a", "b", "c"), missing=True),
    ),
    Field("died", "binary"),
    capacity=9,
)
HOSPITAL = np.array([[20, 0.5, 1, 0], [30, np.nan, 0, 1], [np.nan, 1.5, 1, np.nan], [50, 1.0, 0, 2], [60, 0.25, 1, 0]])
HONEST = np.array([[21, 0.75, 0, 1], [np.nan, 1.25, 1, 2], [33, np.nan, 0, np.nan]])
LIES: dict[str, Callable[[Any], Any]] = {
    "beyond the bound": lambda x: x + (1 << 41),
    "half of the ring": lambda x: x + (1 << 62),
    "the largest number": lambda x: x * 0 + ((1 << 63) - 1),
    "minus one": lambda x: x * 0 - 1,
    "all set": lambda x: x * 0 + 1,
    "random words": lambda x: np.random.default_rng(3).integers(-(1 << 63), (1 << 63) - 1, x.shape),
}


def _sorted_by_category(t: Table) -> Any:
    return t.group_by("site", keep_missing=True).agg(n="count", age=("age", "mean"), most=("dose", "max"), capacity=8)


USES: dict[str, Callable[[Table], Any]] = {
    "median": lambda t: t["age"].median(),
    "median of filtered rows": lambda t: t.filter(t["age"] > 25)["dose"].median(),
    "sum of columns": lambda t: (t["age"] + t["dose"]).median(),
    "groups by one key": _sorted_by_category,
    "groups by two": lambda t: t.group_by("site", "sick").agg(n="count", age=("age", "min"), capacity=12),
    "groups by category": lambda t: t.group_by("site", keep_missing=True).agg(n="count", age=("age", "mean")),
    "rows without gaps": lambda t: t.dropna()["age"].median(),
    "thresholds": lambda t: cut_points(t.block(["age", "dose"]), [0.25, 0.5], present_cells(t, ["age", "dose"])),
    "scaled": lambda t: StandardScaler(["dose"], clip=4.0).fit(t).transform(t)["dose"].median(),
    "imputed": lambda t: SimpleImputer(["age"], strategy="median").fit(t).transform(t)["age"].median(),
    "survival": lambda t: stats.kaplan_meier(t["age"], t["died"], at=[10.0, 40.0]),
    "rank test": lambda t: stats.mannwhitneyu(t["age"], t["sick"]),
}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, seen: list[Any]) -> tuple[list[Any], list[Any]]:
    """What was opened to the first compute party: row numbers, one array a shuffle; comparisons, one a sort."""
    out: list[Any] = []
    opened = Replicated._shuffle_and_open

    def watch(self: Any, given: Any, *rest: Any) -> Any:
        mixed = opened(self, given, *rest)
        if self.party.index == 0:
            assert mixed.opened is not None
            found = zip(given, mixed.opened, strict=True)
            out.extend(np.asarray(v).reshape(-1) for each, v in found if isinstance(each.value, Share))
        return mixed

    monkeypatch.setattr(Replicated, "_shuffle_and_open", watch)
    return out, seen


@pytest.mark.parametrize("use", USES)
def test_what_moves_rows_is_a_permutation_whatever_an_owner_deals(
    use: str, shown: tuple[list[Any], list[Any]], monkeypatch: pytest.MonkeyPatch
, is_an_order: Callable[[Any], bool]) -> None:
    """Each part of its table at a time, and all: masks, gaps, codes, numbers, moments, labels."""
    deal = Context._encode_own
    inputs = {"hospital": table_inputs(PEOPLE, HOSPITAL, np.array([1.0, 0, 0, 1, 0])),
              "mallory": table_inputs(PEOPLE, HONEST, np.array([0.0, 1, 1]))}  # fmt: skip

    def program(s: Session) -> None:
        USES[use](s.table("p"))

    rows, answers = shown
    seen = 0
    for at, lie in enumerate(LIES.values()):
        parts = [*inputs["mallory"]] if at % 2 else [[*inputs["mallory"]][at // 2 % len(inputs["mallory"])]]

        def evil(self: Any, name: str, known: Any, parts: Any = parts, lie: Any = lie) -> Any:
            values = deal(self, name, known)
            if self.me != "mallory" or name not in parts:
                return values
            with np.errstate(over="ignore"):
                return np.asarray(lie(values.view(np.int64)), np.int64).view(np.uint64)

        monkeypatch.setattr(Context, "_encode_own", evil)
        rows.clear()
        answers.clear()
        with suppress(RangeViolated):
            privity.simulate(program, inputs=inputs, tables={"p": PEOPLE}, openings=[])
        seen += len(rows) + len(answers)
        assert all(np.array_equal(np.sort(r), np.arange(r.size)) for r in rows), parts
        assert all(is_an_order(a) for a in answers), parts
    assert seen or use == "groups by category"


@pytest.mark.parametrize("capacity", [None, 6])
def test_an_empty_cell_is_no_divisor_of_0(capacity: int | None) -> None:
    """Which would fail a guard, end the session, and tell that a cell is empty. A 0 that is there still does."""
    info = TableInfo("t", tuple(Field(n, "integer", 64.0, 64.0, missing=n != "b") for n in "ab"), capacity=capacity)
    cells = np.array([[3, 10], [np.nan, 20], [4, 30], [np.nan, 45], [7, 0]])
    acts: list[Callable[[Any, Any], Any]] = [
        lambda a, b: b // a, lambda a, b: b % a, lambda a, b: 25 // a, lambda a, b: 25 % a, lambda a, b: np.fmod(b, a),
        lambda a, b: a // a,
    ]  # fmt: skip

    def program(s: Session) -> Any:
        t = s.table("t")
        made = [act(t["a"], t["b"]) for act in acts]
        return [s.reveal(x.sum(), to="all", name=f"x{i}", reason="test") for i, x in enumerate(made)]

    frame = pd.DataFrame(cells, columns=["a", "b"])
    want = [act(frame.a, frame.b).sum() for act in acts]
    inputs = {"owner": table_inputs(info, cells)}
    assert privity.simulate(program, inputs=inputs, tables={"t": info}).output == want
    cells[2, 0] = 0
    with pytest.raises(RangeViolated, match="a divisor is 0"):
        privity.simulate(program, inputs={"owner": table_inputs(info, cells)}, tables={"t": info})


@pytest.mark.parametrize("capacity", [None, 8])
def test_a_choice_is_empty_where_what_is_taken_is(capacity: int | None) -> None:
    """So filling by hand fills: means and counts are those of NumPy on the same columns."""
    acts: list[Callable[[Any, Any, Any], Any]] = [
        lambda a, b, c: np.where(np.isnan(a), 0, a), lambda a, b, c: np.where(a > 2, a, 0),
        lambda a, b, c: np.where(a > 2, b, a), lambda a, b, c: np.where(b > 15, c, a),
        lambda a, b, c: np.where(np.arange(len(a)) < 3, a, c), lambda a, b, c: np.where(b < 35, a, a * 2),
    ]  # fmt: skip

    def program(s: Session) -> Any:
        made = [act(*(s.table("t")[n] for n in NAMES)) for act in acts]
        parts = [(i, k, v) for i, x in enumerate(made) for k, v in enumerate((x.sum(), x.count(), x.present))]
        opened = [s.reveal(v, to="all", name=f"x{i} {k}", reason="test") for i, k, v in parts]
        return [opened[i : i + 3] for i in range(0, len(opened), 3)]

    info = described(capacity)
    frame = pd.DataFrame(CELLS, columns=list(NAMES))
    inputs = {"owner": table_inputs(info, CELLS)}
    found = privity.simulate(program, inputs=inputs, tables={"t": info}).outputs["compute_0"]
    for act, (total, count, present) in zip(acts, found, strict=True):
        right = pd.Series(act(*(frame[n] for n in NAMES)))
        assert (total, count) == (right.sum(), right.count())
        assert present[: len(right)].tolist() == right.notna().astype(int).tolist() and not present[len(right) :].any()
