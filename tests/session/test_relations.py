"""Tables linked by secret keys and put below each other, against plain dictionaries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.data.keys import fingerprints
from privity.errors import DataError, NotForMe, OpeningRefused, RangeViolated, UsageError
from privity.table import Field, Table, TableInfo, table_inputs

RNG = np.random.default_rng(3)
PEOPLE = [f"p{i:03}" for i in range(60)]


def some(share: float) -> list[str]:
    who = [p for p in PEOPLE if RNG.random() < share]
    RNG.shuffle(who)
    return who


AGES = TableInfo("ages", (Field("age", "integer", 128.0, 120.0),), Field("died", "binary"), owners=("one",), keyed=True)
WARDS = Field("ward", "category", categories=("a", "b"))
LABS = TableInfo("labs", (Field("ph", "number", 8.0, 8.0, missing=True), WARDS), keyed=True)
DRUGS = TableInfo("drugs", (Field("dose", "number", 16.0, 16.0),), capacity=50, keyed=True)
WHO = {"ages": some(0.8), "labs": some(0.7), "drugs": some(0.6)}
AGE = dict(zip(WHO["ages"], RNG.integers(20, 90, len(WHO["ages"])).tolist(), strict=True))
DIED = {p: RNG.random() < 0.5 for p in WHO["ages"]}
PH = {p: (np.nan if RNG.random() < 0.3 else RNG.uniform(7, 7.6)) for p in WHO["labs"]}
WARD = {p: RNG.integers(0, 2) for p in WHO["labs"]}
DOSE = {p: RNG.uniform(0, 15) for p in WHO["drugs"]}
COMMON = [p for p in PEOPLE if all(p in w for w in WHO.values())]


def column(*parts: dict[str, Any]) -> np.ndarray:
    return np.array([[part[p] for part in parts] for p in parts[0]], float)


def keys(who: list[str]) -> np.ndarray:
    return fingerprints([who])


def inputs(**changed: Any) -> dict[str, Any]:
    given = {
        "one": table_inputs(AGES, column(AGE), np.array([DIED[p] for p in AGE], float), keys(list(AGE))),
        "two": table_inputs(LABS, column(PH, WARD), None, keys(list(PH))),
        "three": table_inputs(DRUGS, column(DOSE), None, keys(list(DOSE))),
    }
    return {**given, **changed}


def run(program: Any, **options: Any) -> Any:
    tables = {t.name: t for t in (AGES, LABS, DRUGS)}
    return pv.simulate(program, **{"inputs": inputs(), "tables": tables, **options})


def shown(s: pv.Session, table: Table) -> dict[str, Any]:
    out = {n: s.reveal(table.column(n).natural, to="all", name=n, reason="test") for n in table.columns}
    for name in table.columns:
        gaps = table.column(name).missing
        if gaps is not None:
            out[f"no {name}"] = s.reveal(gaps, to="all", name=name, reason="test")
    if table.valid is not None:
        out["valid"] = s.reveal(table.valid, to="all", name="valid", reason="test")
    return out


def rows_of(got: dict[str, Any], keep: Any = slice(None)) -> set[tuple[Any, ...]]:
    names = ("age", "died", "ph", "no ph", "ward", "dose")
    return {tuple(round(float(v), 4) for v in row) for row in zip(*(got[n][keep] for n in names), strict=True)}


WANTED = {
    tuple(
        round(float(v), 4)
        for v in (AGE[p], DIED[p], np.nan_to_num(PH[p]), np.isnan(PH[p]), WARD[p], DOSE[p])
    )
    for p in COMMON
}  # fmt: skip


def test_linked_rows_are_those_of_a_join_and_only_their_number_is_opened() -> None:
    def program(s: pv.Session) -> Any:
        table = pv.link(s.table("ages"), s.table("labs"), s.table("drugs"))
        assert table.columns == ("age", "ph", "ward", "dose", "died") and table.label_name == "died"
        assert [f.owners for f in table.fields] == [("one",), ("two",), ("two",), ("three",)]
        return table.rows, shown(s, table)

    done = run(program)
    rows, got = done.output
    assert rows == len(COMMON) and rows_of(got) == WANTED
    guard, size = done.opened[:2]
    assert guard["name"] == "range guard"  # keys that repeat within a table would be found by it
    assert size == {
        "name": "linked rows", "shape": [], "to": ["compute_0", "compute_1", "compute_2", "one", "two", "three"],
        "reason": "number of rows that ages, labs, drugs have in common",
    }  # fmt: skip
    assert done.outputs["one"][0] == rows, "owners follow the program although they hold no shares"


def test_the_size_needs_a_line_in_the_list_of_openings() -> None:
    with pytest.raises(OpeningRefused, match="linked rows"):
        run(lambda s: pv.link(s.table("ages"), s.table("labs")).rows, openings=[])


@pytest.mark.parametrize("capacity", [len(COMMON), 45])
def test_with_a_capacity_not_even_the_number_is_opened(capacity: int) -> None:
    opened: list[int] = []

    def program(s: pv.Session) -> Any:
        table = pv.link(s.table("ages"), s.table("labs"), s.table("drugs"), capacity=capacity)
        opened.append(len(s._context.log.entries))
        assert table.rows == capacity and isinstance(table.count, pv.SecureArray)
        return shown(s, table)

    got = run(program).output
    assert set(opened) == {0} and got["valid"].sum() == len(COMMON)
    assert rows_of(got, got["valid"] > 0) == WANTED
    assert not any(got[n][got["valid"] == 0].any() for n in ("age", "ph", "dose", "died"))


def test_too_small_a_capacity_is_found() -> None:
    def program(s: pv.Session) -> Any:
        return shown(s, pv.link(s.table("ages"), s.table("labs"), s.table("drugs"), capacity=len(COMMON) - 1))

    with pytest.raises(RangeViolated, match=r"test_relations.py:\d+"):
        run(program)


def test_left_join_keeps_all_rows_of_the_first_table() -> None:
    def program(s: pv.Session) -> Any:
        table = pv.link(s.table("ages"), s.table("labs"), s.table("drugs"), how="left")
        assert table.rows == len(AGE)
        return shown(s, table)

    got = run(program).output
    assert sorted(got["age"]) == sorted(AGE.values())
    assert got["matched_labs"].sum() == len(AGE.keys() & PH.keys())
    assert got["matched_drugs"].sum() == len(AGE.keys() & DOSE.keys())
    both = (got["matched_labs"] > 0) & (got["matched_drugs"] > 0)
    assert rows_of(got, both) == WANTED
    assert (got["no dose"] == 1 - got["matched_drugs"]).all() and (got["no ward"] == 1 - got["matched_labs"]).all()


def test_each_owner_learns_its_own_common_rows_and_nobody_else_does() -> None:
    done = run(lambda s: pv.intersect(s.table("ages"), s.table("labs"), s.table("drugs")))
    for owner, who in (("one", list(AGE)), ("two", list(PH)), ("three", list(DOSE))):
        mine = done.outputs[owner]
        assert [p for p, flag in zip(who, mine[owner], strict=False) if flag] == [p for p in who if p in COMMON]
        with pytest.raises(NotForMe):
            bool(mine["three" if owner != "three" else "one"])


def test_one_table_of_two_owners_counts_a_shared_person_once() -> None:
    both = list(AGE)
    first, second = both[:30], both[25:]  # five people are in the files of both owners
    halves = {
        o: table_inputs(AGES, column({p: AGE[p] for p in who}), np.zeros(len(who)), keys(who))
        for o, who in (("one", first), ("four", second))
    }
    data = {**inputs(), **halves}

    def program(s: pv.Session) -> Any:
        return pv.link(s.table("ages"), s.table("labs")).rows

    info = TableInfo("ages", AGES.fields, AGES.label, keyed=True)
    assert run(program, inputs=data, tables={"ages": info, "labs": LABS}).output == len(AGE.keys() & PH.keys())


def test_a_linkage_with_fewer_rows_than_a_group_tells_only_that() -> None:
    few = {p: PH[p] for p in [p for p in PH if p in AGE][:7]}
    data = inputs(two=table_inputs(LABS, column(few, {p: 0 for p in few}), None, keys(list(few))))
    with pytest.raises(DataError, match="fewer than 10 "):
        run(lambda s: pv.link(s.table("ages"), s.table("labs")).rows, inputs=data)
    nobody = inputs(two=table_inputs(LABS, column(few, {p: 0 for p in few}), None, keys([f"x{i}" for i in range(7)])))
    with pytest.raises(DataError, match="fewer than 10 "):
        run(lambda s: pv.link(s.table("ages"), s.table("labs")).rows, inputs=nobody)


def test_concat_puts_rows_below_each_other() -> None:
    def program(s: pv.Session) -> Any:
        table = s.table("drugs")
        twice = pv.concat([table, table.take(slice(0, 5))])
        assert twice.rows == table.rows + 5 and twice.columns == table.columns
        return shown(s, twice)

    got = run(program).output
    dose = np.zeros(50)
    dose[: len(DOSE)] = list(DOSE.values())
    assert np.allclose(got["dose"], [*dose, *dose[:5]], atol=1e-5) and got["valid"].sum() == len(DOSE) + 5


def refusals(s: pv.Session) -> None:
    ages, labs = s.table("ages"), s.table("labs")
    for wrong, told in (
        (lambda: pv.link(ages), "at least two tables"),
        (lambda: pv.link(ages, ages), "several tables have columns named age, died"),
        (lambda: pv.link(ages, labs, how="outer"), "how='inner' or how='left'"),
        (lambda: pv.link(ages.filter(ages["age"] > 3), labs), "ages: no keys to link by"),
        (lambda: pv.link(ages, labs.with_label("ph")), "one column can be the label, but there are died, ph"),
        (lambda: pv.concat([ages, labs]), "concat: 'labs' has columns"),
        (lambda: pv.concat([]), "at least one table"),
    ):
        with pytest.raises(UsageError, match=told):
            wrong()


def test_what_links_refuse() -> None:
    run(refusals)
