"""Keys on their way from a file to shares: repeats, other spellings, and when a run with them counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.data.load import load_inputs, load_schemas, table_info
from privity.errors import ConfigError, DataError, UsageError
from privity.jobs.comparisons import Comparisons

COLUMNS = [
    {"name": "pid", "role": "key", "normalize": ["trim", "casefold", "strip_zeros"]},
    {"name": "born", "role": "key", "kind": "integer"},
    {"name": "age", "kind": "integer", "bound": 120, "missing": True},
    {"name": "ward", "kind": "category", "categories": ["a", "b"]},
]


def load(folder: Path, rows: str, log: Comparisons | None = None, **table: Any) -> tuple[dict[str, Any], list[str]]:
    path = folder / "people.csv"
    path.write_text("pid,born,age,ward\n" + rows)
    schemas = load_schemas({"people": {"columns": COLUMNS, **table}})
    notes: list[str] = []
    return load_inputs(schemas, {"people": path}, "one", context=("c", "j"), log=log, note=notes.append), notes


def test_spelling_does_not_matter_and_other_jobs_have_other_fingerprints(tmp_path: Path) -> None:
    ours, _ = load(tmp_path, "007A,1980,44,a\nb12,1990,,b\n")
    theirs, _ = load(tmp_path, " b12,1990,30,a\n7a ,1980,44,a\n")
    mine, other = ours["people.keys"].values, theirs["people.keys"].values
    assert np.array_equal(mine, other[::-1]) and mine.max() < 2**48
    assert ours["people.missing"].values.tolist() == [[0], [1]] and ours["people.codes"].values.tolist() == [[0], [1]]
    schemas = load_schemas({"people": {"columns": COLUMNS}})
    elsewhere = load_inputs(schemas, {"people": tmp_path / "people.csv"}, "one", context=("c", "another job"))
    assert not np.isin(elsewhere["people.keys"].values, other).any()


def test_repeated_keys_follow_the_stated_rule(tmp_path: Path) -> None:
    rows = "1,1980,44,a\n01,1980,45,a\n2,1980,46,b\n"
    with pytest.raises(DataError, match=r"one: table 'people': rows 1 and 2 have the same key"):
        load(tmp_path, rows)
    for rule, age in (("first", 44), ("last", 45)):
        inputs, notes = load(tmp_path, rows, duplicates=rule)
        assert (inputs["people.features"].values[:, 0] * 2**30).tolist() == [age, 46]  # a whole number as it is
        assert len(inputs["people.keys"].values) == 2
        assert notes == ["table 'people': 1 rows repeat a key and are left out"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("1,x,44,a\n", "line 2, column 'born': expected a whole number as key, found 'x'"),
        (",1980,44,a\n", "line 2, column 'pid': expected a key, found an empty cell"),
        ("1,1980,44,c\n", r"line 2, column 'ward': expected one of the schema's categories \(a, b\), found 'c'"),
        ("1,1980,44,\n", "column 'ward': expected one of the schema's categories"),
    ],
)
def test_cells_that_do_not_fit_are_named(tmp_path: Path, rows: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        load(tmp_path, rows)


def test_a_run_counts_once_and_from_the_moment_in_which_keys_are_shared(tmp_path: Path) -> None:
    log = Comparisons(tmp_path / "one.comparisons.json", 2)
    rows = "1,1980,44,a\n2,1980,45,a\n"
    inputs, notes = load(tmp_path, rows, log)
    assert log.entries() == [] and notes == []  # read, but what the others bring may still be refused
    schemas = load_schemas({"people": {"columns": COLUMNS}})

    def program(s: Any) -> Any:
        counts = [len(log.entries())]
        for _ in range(2):
            s.table("people")
            counts.append(len(log.entries()))
        return counts

    run = pv.simulate(program, inputs={"one": inputs}, tables={"people": table_info(schemas["people"])})
    assert run.outputs["one"] == [0, 1, 1]
    (entry,) = log.entries()
    assert (entry.table, entry.job, entry.size, entry.peer) == ("people", "c j", 2, None)

    again, notes = load(tmp_path, rows, log)
    assert notes == []
    again["people.keys"].on_share()
    for more in ("", "3,1980,46,b\n"):  # a row more does not make other people of the rest
        with pytest.raises(UsageError, match=r"one: the file of table 'people' \(.* was compared 2 times already"):
            load(tmp_path, rows + more, log)
    _, notes = load(tmp_path, "3,1980,46,b\n", log)
    assert len(notes) == 1 and "changed since the last linkage of table 'people'" in notes[0]


def test_a_limit_that_was_reached_meanwhile_stops_the_keys(tmp_path: Path) -> None:
    """Two runs that were admitted at the same time: the second one ends before its keys leave."""
    log = Comparisons(tmp_path / "one.comparisons.json", 1)
    first, second = (load(tmp_path, "1,1980,44,a\n", log)[0] for _ in range(2))
    first["people.keys"].on_share()
    info = {"people": table_info(load_schemas({"people": {"columns": COLUMNS}})["people"])}
    with pytest.raises(UsageError, match="the limit is 1"):
        pv.simulate(lambda s: s.table("people"), inputs={"one": second}, tables=info)
    assert len(log.entries()) == 1


def test_a_damaged_log_stops_the_run(tmp_path: Path) -> None:
    log = Comparisons(tmp_path / "one.comparisons.json", 10)
    log.path.write_text('[{"date": "today"}]\n')
    with pytest.raises(ConfigError, match=r"cannot read .*one.comparisons.json"):
        load(tmp_path, "1,1980,44,a\n", log)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ({"name": "pid", "role": "key", "normalize": ["upper"]}, "normalize names 'upper'; expected steps from: trim"),
        ({"name": "pid", "role": "key", "kind": "number", "bound": 9}, "a key is text or integer"),
        ({"name": "pid", "kind": "text", "bound": 1}, "text can be a key or be ignored"),
        ({"name": "w", "kind": "category", "categories": ["a"]}, "at least two different categories, found a"),
        ({"name": "w", "kind": "number", "bound": 1, "categories": ["a", "b"]}, "categories go with the kind"),
        ({"name": "w", "kind": "number", "bound": 1, "normalize": ["trim"]}, "normalize is for keys"),
        ({"name": "y", "kind": "binary", "role": "label", "missing": True}, "only features may have empty cells"),
    ],
)
def test_schemas_that_make_no_sense(column: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_schemas({"people": {"columns": [column, {"name": "x", "kind": "binary"}]}})
