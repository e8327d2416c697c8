"""Keys on their way from a file to shares: repeats, other spellings, and how often they may take part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privity.data.linkages import LinkageLog
from privity.data.load import load_inputs, load_schemas
from privity.errors import ConfigError, DataError

COLUMNS = [
    {"name": "pid", "role": "key", "normalize": ["trim", "casefold", "strip_zeros"]},
    {"name": "born", "role": "key", "kind": "integer"},
    {"name": "age", "kind": "integer", "bound": 120, "missing": True},
    {"name": "ward", "kind": "category", "categories": ["a", "b"]},
]


def load(folder: Path, rows: str, log: LinkageLog | None = None, **table: Any) -> tuple[dict[str, Any], list[str]]:
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
        assert (inputs["people.features"].values[:, 0] * 128).tolist() == [age, 46]
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


def test_the_same_data_takes_part_only_so_often(tmp_path: Path) -> None:
    log = LinkageLog(tmp_path / "keys" / "one.linkages.jsonl")
    rows = "1,1980,44,a\n2,1980,45,a\n"
    for _ in range(2):
        _, notes = load(tmp_path, rows, log, link_limit=2)
        assert notes == []
    with pytest.raises(DataError, match=r"took part in 2 linkages, as often as its limit"):
        load(tmp_path, rows, log, link_limit=2)
    _, notes = load(tmp_path, rows + "3,1980,46,b\n", log, link_limit=2)
    assert len(notes) == 1 and "has changed since its last linkage" in notes[0] and "3 rows" in notes[0]
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["rows"] for line in lines] == [2, 2, 3]
    assert lines[0]["sha256"] == lines[1]["sha256"] != lines[2]["sha256"]
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_log_stops_the_run(tmp_path: Path) -> None:
    log = LinkageLog(tmp_path / "one.linkages.jsonl")
    log.path.write_text('{"date": "today"}\n')
    with pytest.raises(DataError, match="is damaged"):
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
