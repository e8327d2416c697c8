"""Tables on shares: what owners bring, columns by name, masks, other tables made from one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import DataError, RangeViolated, ShapeError, UsageError
from privity.table import Field, TableInfo, table_inputs

RNG = np.random.default_rng(5)
ROWS = {"north": 40, "south": 25}
FIELDS = (
    Field("age", "integer", 128.0, 120.0),
    Field("income", "number", 2.0**20, 1e6, missing=True),
    Field("ward", "category", categories=("a", "b", "c")),
    Field("smokes", "binary", missing=True),
)
LABEL = Field("stay", "integer", 1.0, 90.0)


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.column_stack([
        RNG.integers(18, 100, n), RNG.uniform(0, 9e5, n), RNG.integers(0, 3, n), RNG.integers(0, 2, n)
    ]).astype(float)  # fmt: skip
    x[RNG.random(n) < 0.3, 1] = np.nan
    x[RNG.random(n) < 0.2, 3] = np.nan
    return x, RNG.integers(1, 60, n).astype(float)


DATA = {owner: rows(n) for owner, n in ROWS.items()}
X = np.concatenate([x for x, _ in DATA.values()])
Y = np.concatenate([y for _, y in DATA.values()])


def run(body: Callable[[pv.Session, Any], dict[str, pv.SecureArray]], capacity: int | None = None) -> dict[str, Any]:
    """What the arrays that ``body`` returns hold."""
    info = TableInfo("people", FIELDS, LABEL, capacity)

    def program(s: pv.Session) -> dict[str, Any]:
        return {
            name: s.reveal(x, to="all", name=name, reason="test") for name, x in body(s, s.table("people")).items()
        }

    return pv.simulate(
        program, inputs={o: table_inputs(info, x, y) for o, (x, y) in DATA.items()}, tables={info.name: info}
    ).output


def padded(values: np.ndarray, capacity: int) -> np.ndarray:
    """Rows as they lie with a capacity: each owner's, then zeros."""
    out = []
    at = 0
    for n in ROWS.values():
        block = np.zeros((capacity, *values.shape[1:]))
        block[:n] = np.nan_to_num(values[at : at + n])
        out.append(block)
        at += n
    return np.concatenate(out)


@pytest.mark.parametrize("capacity", [None, 50])
def test_columns_come_in_their_own_unit_with_their_masks(capacity: int | None) -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        assert t.columns == ("age", "income", "ward", "smokes", "stay") and t.label_name == "stay"
        assert t.column("age").field.owners == ("north", "south")
        assert t["age"].bound <= 120.0 and t.rows == (65 if capacity is None else 100)
        gaps = {f"no_{n}": t.column(n).missing for n in ("income", "smokes")}
        return {**{n: t.column(n).natural for n in t.columns}, **gaps, "label": t.label}

    got = run(body, capacity)
    wide = (lambda v: np.nan_to_num(v)) if capacity is None else (lambda v: padded(v, capacity))
    for i, field in enumerate(FIELDS):
        assert np.allclose(got[field.name], wide(X[:, i]), atol=field.unit * 2.0**-29)
    for name, i in (("income", 1), ("smokes", 3)):
        assert np.array_equal(got[f"no_{name}"], wide(np.isnan(X[:, i]).astype(float)))
    assert np.array_equal(got["label"], wide(Y)) and got["label"].dtype == np.int64


@pytest.mark.parametrize("capacity", [None, 50])
@pytest.mark.parametrize("on_shares", [False, True])
def test_moments_do_not_count_empty_cells(capacity: int | None, on_shares: bool) -> None:
    names = ["age", "income", "smokes"]

    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        if on_shares:
            t = t.filter(t["age"] > -1)  # all rows, but the owners' own sums are gone
        return {"moments": t.moments(names)}

    units = np.array([128.0, 2.0**20, 1.0])
    x = X[:, [0, 1, 3]] / units
    wanted = np.stack([np.nansum(x, 0), np.nansum(x**2, 0), (~np.isnan(x)).sum(0)])
    assert np.allclose(run(body, capacity)["moments"], wanted, atol=1e-6)


def test_filtered_rows_are_padding_and_nobody_is_told_how_many() -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        old = t.filter(t["age"] >= 60)
        assert old.rows == t.rows and isinstance(old.count, pv.SecureArray)
        older = old.filter(old["stay"] > 30)
        return {"count": old.count, "stay": old["stay"], "both": older.count, "gaps": old.column("income").missing}

    got = run(body)
    old = X[:, 0] >= 60
    assert got["count"] == old.sum() and got["both"] == (old & (Y > 30)).sum()
    assert np.array_equal(got["stay"], np.where(old, Y, 0))
    assert np.array_equal(got["gaps"], old & np.isnan(X[:, 1]))


def test_binary_labels_and_public_masks_filter_too() -> None:
    info = TableInfo("people", (Field("age", "integer", 128.0, 120.0),), Field("died", "binary"))
    age, died, first = np.arange(20.0, 60.0)[:, None], np.arange(40) % 3 == 0, np.arange(40) < 10

    def program(s: pv.Session) -> Any:
        t = s.table("people")
        masks = [t.label, 1 - t["died"], t["died"] * (t["age"] > 40), s.constant(first)]
        return [s.reveal(t.filter(m)["age"].sum(), to="all", name="x", reason="test") for m in masks]

    got = pv.simulate(program, inputs={"a": table_inputs(info, age, died * 1.0)}, tables={"people": info}).output
    wanted = [age[m].sum() for m in (died, ~died, died & (age[:, 0] > 40), first)]
    assert got == pytest.approx(wanted, abs=1e-3)


def test_select_drop_label_and_new_columns() -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        assert t.select(["ward", "age"]).columns == ("ward", "age", "stay")
        assert t.drop(["stay", "ward"]).columns == ("age", "income", "smokes")
        assert t.with_label("age").columns == ("income", "ward", "smokes", "stay", "age")
        more = t.with_column("old", t["age"] > 60)
        assert more.columns[-2:] == ("old", "stay")
        x, y, valid, names = more.select(["age", "old"]).to_arrays()
        assert names == ("age", "old") and valid is None
        one, _, _, left = t.select(["age", "stay"]).to_arrays("stay")
        assert left == ("age",)
        return {"x": x, "y": y, "one": one}

    got = run(body)
    assert np.allclose(got["x"], np.column_stack([X[:, 0] / 128, X[:, 0] > 60]), atol=1e-5)
    assert np.array_equal(got["y"], Y) and np.allclose(got["one"][:, 0], X[:, 0] / 128)


def test_a_new_column_with_a_smaller_bound_is_guarded() -> None:
    def body(s: pv.Session, t: Any, bound: float = float(X[:, 0].max())) -> dict[str, Any]:
        return {"x": t.with_column("years", t["age"], bound=bound)["years"]}

    assert np.allclose(run(body)["x"], X[:, 0], atol=1e-5)
    with pytest.raises(RangeViolated):
        run(lambda s, t: body(s, t, float(X[:, 0].max()) - 1))


def test_split_keeps_rows_together() -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        train, test = t.split(0.2, random_state=3)
        assert (train.rows, test.rows) == (52, 13)
        return {"train": train["age"], "test": test["age"], "stay": test["stay"]}

    got = run(body)
    assert sorted([*got["train"], *got["test"]]) == sorted(X[:, 0])
    assert {(a, b) for a, b in zip(got["test"], got["stay"], strict=True)} <= set(zip(X[:, 0], Y, strict=True))


@pytest.mark.parametrize("capacity", [None, 50])
def test_groups_by_category(capacity: int | None) -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        g = t.group_by("ward").agg(n="count", stay=("stay", "mean"), age=("age", "sum"))
        return {"n": g["n"], "stay": g["stay"], "age": g["age"], "valid": g.valid}

    got = run(body, capacity)
    wards = [X[:, 2] == k for k in range(3)]
    assert np.array_equal(got["n"], [w.sum() for w in wards]) and got["valid"].all()
    assert np.allclose(got["stay"], [Y[w].mean() for w in wards], atol=1e-3)
    assert np.allclose(got["age"], [X[w, 0].sum() for w in wards], atol=1e-3)


def test_groups_by_number_need_a_capacity() -> None:
    def body(s: pv.Session, t: Any) -> dict[str, Any]:
        with pytest.raises(UsageError, match="capacity"):
            t.group_by("stay").agg(n="count")
        g = t.group_by("stay").agg(64, n="count", oldest=("age", "max"))
        return {"stay": g.keys[0], "n": g["n"], "oldest": g["oldest"], "valid": g.valid}

    got = run(body, 50)
    stays, counts = np.unique(Y, return_counts=True)
    real = got["valid"]
    assert np.array_equal(got["stay"][real], stays) and np.array_equal(got["n"][real], counts)
    assert np.allclose(got["oldest"][real], [X[stays_ == Y, 0].max() for stays_ in stays], atol=1e-4)


def refusals(s: pv.Session, t: Any) -> dict[str, Any]:
    with pytest.raises(UsageError, match=r"no column 'agee'; its columns: age, income"):
        t["agee"]
    with pytest.raises(UsageError, match=r"ward: categories are no numbers; encode them first"):
        t.to_arrays()
    with pytest.raises(UsageError, match=r"income, smokes: some cells may be empty; fill them in first"):
        t.drop(["ward"]).to_arrays()
    with pytest.raises(UsageError, match="no features"):
        t.select([]).to_arrays()
    with pytest.raises(ShapeError, match="mask of shape"):
        t.filter(t["age"][:3] > 1)
    with pytest.raises(UsageError, match=r"table 'people': filter: expected a secret boolean.*> 0\.5"):
        t.filter(t["age"])
    with pytest.raises(UsageError, match=r"table 'people': filter: expected a secret array, got ndarray"):
        t.filter(np.ones(t.rows, bool))
    with pytest.raises(UsageError, match="between 0 and 1"):
        t.split(1.5)
    assert repr(t) == "Table('people', rows=65, columns=5)"
    return {}


def test_what_a_table_refuses() -> None:
    run(refusals)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x, y: (x, np.where(y > 0, 91.0, y)), r"label 'stay': expected a whole number, found 91.0 in row 1"),
        (lambda x, y: (np.where(np.arange(4) == 0, np.nan, x), y), r"column 'age': 25 empty cells"),
        (lambda x, y: (np.repeat(x, 3, 0), np.repeat(y, 3)), r"75 rows, but the agreed capacity is 50"),
    ],
)
def test_owners_share_nothing_that_does_not_fit(change: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        table_inputs(TableInfo("people", FIELDS, LABEL, 50), *change(*DATA["south"]))
