"""Columns that an owner cuts into bins: what the schema may say, what leaves the owner, and the file that it keeps."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privity.data import thresholds as module
from privity.data.load import load_inputs, load_schemas, table_info
from privity.data.schema import MOST_BINS, TableSchema
from privity.data.thresholds import Thresholds, bins_of, quantile_edges
from privity.errors import ConfigError, DataError, OutputError
from privity.table import table_shapes

AGE = {"name": "age", "kind": "integer", "bound": 120, "bins": [18, 25, 40]}
INCOME = {"name": "income", "kind": "number", "bound": 1e6, "bins": 4, "missing": True}
RATE = {"name": "rate", "kind": "number", "bound": 2}
INCOMES = [100.0, 250.5, 300.0, 412.25, 500.0, 777.0, 801.5, 950.0]


def schemas(**changed: Any) -> dict[str, TableSchema]:
    return load_schemas({"credit": {"columns": [AGE, {**INCOME, **changed}, RATE]}})


def write(folder: Path, incomes: list[Any], name: str = "credit") -> Path:
    path = folder / f"{name}.csv"
    ages = [17, 18, 24, 25, 39, 40, 90, 30] * (1 + len(incomes) // 8)
    lines = [f"{a},{'' if v is None else v},{k / 100}" for k, (a, v) in enumerate(zip(ages, incomes, strict=False))]
    path.write_text("\n".join(["age,income,rate", *lines]) + "\n")
    return path


def load(folder: Path, incomes: list[Any], thresholds: Thresholds | None, **changed: Any) -> tuple[Any, list[str]]:
    notes: list[str] = []
    path = write(folder, incomes)
    made = load_inputs(schemas(**changed), {"credit": path}, "bank", note=notes.append, thresholds=thresholds)
    return made, notes


# -- the schema --------------------------------------------------------------------------------------------------------


def test_what_a_schema_says_is_what_all_know() -> None:
    info = table_info(schemas()["credit"])
    age, income, rate = info.fields
    assert (age.kind, age.unit, age.bound, age.edges, age.cut) == ("category", 1.0, 3.0, (18.0, 25.0, 40.0), "")
    assert age.categories == ("below 18", "from 18", "from 25", "from 40")
    assert (income.kind, income.edges, income.cut, income.missing) == ("category", (), "credit", True)
    assert income.categories == ("bin 0", "bin 1", "bin 2", "bin 3") and income.bound == 3.0
    assert rate.cut_at == "" and rate.unit == 2.0
    schema = schemas()["credit"]
    assert TableSchema.from_mapping("credit", schema.to_mapping()) == schema
    assert schema.digest != schemas(bins=5)["credit"].digest


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"bins": 1}, r"expected 2 to 256 bins, found 1.*bins = \[30\]"),
        ({"bins": 0}, "expected 2 to 256 bins, found 0"),
        ({"bins": MOST_BINS + 1}, "expected 2 to 256 bins, found 257"),
        ({"bins": True}, "bins"),
        ({"bins": "10"}, "bins"),
        ({"bins": 2.5}, "bins"),
        ({"bins": [3, 2]}, "in ascending order"),
        ({"bins": [2, 2]}, "in ascending order"),
        ({"bins": [float("nan")]}, "within the column's bound of 1000000"),
        ({"bins": [1e7]}, "within the column's bound"),
        ({"bins": [-1e6]}, "within the column's bound"),
        ({"bins": list(range(MOST_BINS))}, "at most 255 thresholds"),
        ({"bins": 4, "transform": "signed_log"}, "Leave the transform out"),
        ({"bins": 4, "kind": "binary", "bound": 1}, "bins are for features of kind number or integer"),
        ({"bins": 4, "role": "label", "missing": False}, "found a label"),
        ({"bins": 4, "role": "ignore", "missing": False}, "found a ignore"),
    ],
    ids=str,
)
def test_schemas_that_make_no_sense(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        schemas(**changed)


def test_several_owners_cannot_each_cut_by_themselves() -> None:
    with pytest.raises(ConfigError, match=r"north, south would each cut income.*bins = \[18, 25, 40\]"):
        load_schemas({"credit": {"columns": [INCOME], "owners": ["north", "south"]}})
    load_schemas({"credit": {"columns": [AGE], "owners": ["north", "south"]}})


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"new": {"columns": [INCOME], "bins_of": "old"}}, "'old', which is not in the job"),
        ({"new": {"columns": [AGE], "bins_of": "old"}}, "for columns with a number of bins"),
        (
            {"old": {"columns": [{**INCOME, "bins": 5}]}, "new": {"columns": [INCOME], "bins_of": "old"}},
            "'income' has another kind, bound or number of bins",
        ),
        (
            {n: {"columns": [INCOME], "bins_of": o} for n, o in (("old", "new"), ("new", "old"))},
            "itself cut like 'old'",
        ),
    ],
)  # fmt: skip
def test_another_tables_bins_must_be_there(tables: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_schemas(tables)


# -- cutting -----------------------------------------------------------------------------------------------------------


def test_a_value_on_a_threshold_belongs_above_it() -> None:
    codes = bins_of(np.array([17.9, 18, 24.9, 25, 39, 40, 1e9, np.nan, -5]), (18.0, 25.0, 40.0))
    assert np.array_equal(codes, [0, 1, 1, 2, 2, 3, 3, np.nan, 0], equal_nan=True)


@given(
    st.lists(st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float) | st.just(float("nan")), max_size=60),
    st.integers(2, 12),
)
def test_thresholds_part_the_rows(values: list[float], bins: int) -> None:
    x = np.array(values, float)
    edges, there = quantile_edges(x, bins), x[~np.isnan(x)]
    assert len(edges) < bins and all(a < b for a, b in pairwise(edges))
    assert all(there.min() < e <= there.max() for e in edges)
    codes = bins_of(x, edges)
    assert np.array_equal(np.isnan(codes), np.isnan(x))
    if len(np.unique(there)) <= bins:  # every value has a bin of its own
        assert len(np.unique(codes[~np.isnan(codes)])) == len(np.unique(there))


def test_bins_hold_equal_shares_of_distinct_values() -> None:
    x = np.random.default_rng(0).normal(size=1000)
    codes = bins_of(x, quantile_edges(x, 8))
    assert np.array_equal(np.unique(codes, return_counts=True)[1], [125] * 8)


def test_a_constant_or_empty_column_has_one_bin() -> None:
    for x in (np.full(5, 3.0), np.full(5, np.nan), np.zeros(0)):
        assert quantile_edges(x, 8) == ()


# -- what leaves the owner ---------------------------------------------------------------------------------------------


def test_only_bins_are_shared(tmp_path: Path) -> None:
    made, notes = load(tmp_path, [*INCOMES[:7], None], None)
    assert notes == []  # nothing is kept
    assert made["credit.codes"].values[:, 0].tolist() == [0, 1, 1, 2, 2, 3, 3, 2]
    assert made["credit.codes"].values.dtype == np.int64 and made["credit.codes"].bound == 3.0
    assert made["credit.missing"].values[:, 0].tolist() == [0] * 7 + [1]
    assert made["credit.features"].values.shape == (8, 1)  # the column without bins
    planned = table_shapes(table_info(schemas()["credit"]), 8)  # what `privity plan` assumes
    assert planned == {name: x.declared(18) for name, x in made.items()}


def test_what_is_shared_depends_on_the_bins_alone(tmp_path: Path) -> None:
    """Any other values in the same order give the very same inputs, of which alone the wire gets to see shares."""
    one, _ = load(tmp_path, INCOMES, None)
    other, _ = load(tmp_path, [round(v**1.5 - 3000.25, 2) for v in INCOMES], None)
    assert set(one) == set(other)
    for name, x in one.items():
        assert np.array_equal(x.values, other[name].values) and (x.bound, x.scale) == (other[name].bound, x.scale)
    assert not np.array_equal(one["credit.codes"].values, load(tmp_path, INCOMES[::-1], None)[0]["credit.codes"].values)


# -- the file ----------------------------------------------------------------------------------------------------------


def test_later_rows_fall_into_the_same_bins(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "bank.bins.json"
    path.parent.mkdir()
    first, notes = load(tmp_path, INCOMES, Thresholds(path, "bank"))
    assert notes == [f"table 'credit': its bins were learnt from these rows and are kept in {path}"]
    edges = Thresholds(path, "bank").of("credit")
    assert set(edges) == {"income"} and edges["income"] == quantile_edges(np.array(INCOMES), 4)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    later, notes = load(tmp_path, [1.0, 2.0, 3.0, 900.0], Thresholds(path, "bank"))
    assert notes == [] and path.read_bytes() == before
    assert later["credit.codes"].values[:, 1].tolist() == [0, 0, 0, 3]
    assert np.array_equal(first["credit.codes"].values[:, 1], bins_of(np.array(INCOMES), edges["income"]))
    path.unlink()  # afresh
    again, notes = load(tmp_path, [1.0, 2.0, 3.0, 900.0], Thresholds(path, "bank"))
    assert len(notes) == 1 and again["credit.codes"].values[:, 1].tolist() == [0, 1, 2, 3]


def test_a_column_without_a_value_learns_later(tmp_path: Path) -> None:
    path = tmp_path / "bank.bins.json"
    made, notes = load(tmp_path, [None, None], Thresholds(path, "bank"))
    assert notes == [] and not path.exists() and made["credit.codes"].values[:, 1].tolist() == [0, 0]
    assert load(tmp_path, [1.0, 2.0], Thresholds(path, "bank"))[0]["credit.codes"].values[:, 1].tolist() == [0, 1]


def test_rows_to_predict_are_cut_like_the_training_rows(tmp_path: Path) -> None:
    """In one run, whichever table is named first, and in a later run without the other table."""
    both = load_schemas({
        "a_new": {"columns": [AGE, INCOME, RATE], "bins_of": "credit"}, "credit": {"columns": [AGE, INCOME, RATE]}
    })  # fmt: skip
    old, new = write(tmp_path, INCOMES), write(tmp_path, [1.0, 900.0], "a_new")
    assert table_info(both["a_new"]).fields[1].cut_at == table_info(both["credit"]).fields[1].cut_at != ""
    path = tmp_path / "bank.bins.json"
    for kept in (None, Thresholds(path, "bank")):
        made = load_inputs(both, {"a_new": new, "credit": old}, "bank", thresholds=kept)
        assert made["a_new.codes"].values[:, 1].tolist() == [0, 3]
    made = load_inputs(both, {"a_new": new}, "bank", thresholds=Thresholds(path, "bank"))
    assert made["a_new.codes"].values[:, 1].tolist() == [0, 3]
    path.unlink()
    with pytest.raises(DataError, match=r"no thresholds for 'income' yet in .*bins\.json\. Bring 'credit' to this run"):
        load_inputs(both, {"a_new": new}, "bank", thresholds=Thresholds(path, "bank"))


@pytest.mark.parametrize("changed", [{"bins": 8}, {"bound": 2e6}, {"kind": "integer"}])
def test_thresholds_of_another_schema_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = tmp_path / "bank.bins.json"
    load(tmp_path, INCOMES, Thresholds(path, "bank"))
    edges = Thresholds(path, "bank").of("credit")["income"]
    with pytest.raises(DataError, match=r"column 'income' of table 'credit' was cut on .*To start afresh") as told:
        load(tmp_path, [1, 2], Thresholds(path, "bank"), **changed)
    assert str(path) in str(told.value) and not any(repr(e) in str(told.value) for e in edges)
    with pytest.raises(DataError, match=r"keeps thresholds of 'bank', but this is 'shop'.*To start afresh"):
        Thresholds(path, "shop").of("credit")


def test_a_damaged_file_is_refused_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "bank.bins.json"
    load(tmp_path, INCOMES, Thresholds(path, "bank"))
    good, data = Thresholds(path, "bank").of("credit"), path.read_bytes()
    refused = 0
    for at in range(len(data)):
        for change in (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at] + data[at + 1 :], data[:at]):
            path.write_bytes(change)
            try:
                assert Thresholds(path, "bank").of("credit") == good  # blanks between the values
            except DataError as error:
                refused += 1
                assert "To start afresh, move that file away" in str(error)
    assert refused > 2.5 * len(data)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"\xff\xfe", b'{"type":"privity bins 2","owner":"bank","cuts":[],"check":""}', b"[" * 100000],
    ids=lambda c: repr(c[:20]),
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bank.bins.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        load(tmp_path, INCOMES, Thresholds(path, "bank"))
    assert path.read_bytes() == content


def test_thresholds_that_cannot_be(tmp_path: Path) -> None:
    """With a checksum that fits: written by something else than Privity."""
    path = tmp_path / "bank.bins.json"
    load(tmp_path, INCOMES, Thresholds(path, "bank"))
    good = module.msgspec.json.decode(path.read_bytes(), type=module._File)
    cut = module.msgspec.structs.replace
    for wrong in (
        [cut(good.cuts[0], edges=(2.0, 1.0))], [cut(good.cuts[0], edges=(1.0, 2.0, 3.0, 4.0))],
        [cut(good.cuts[0], edges=(5e6,))], [good.cuts[0], good.cuts[0]],
    ):  # fmt: skip
        path.write_bytes(module.msgspec.json.encode(cut(good, cuts=tuple(wrong)).sealed()))
        with pytest.raises(DataError, match="is damaged"):
            Thresholds(path, "bank").of("credit")


def test_other_tables_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bank.bins.json"
    load(tmp_path, INCOMES, Thresholds(path, "bank"))
    other = load_schemas({"shop": {"columns": [AGE, INCOME, RATE]}})
    load_inputs(other, {"shop": write(tmp_path, [1, 2], "shop")}, "bank", thresholds=Thresholds(path, "bank"))
    kept = Thresholds(path, "bank")
    assert kept.of("shop")["income"] == (1.5,) and len(kept.of("credit")["income"]) == 3
    assert kept.of("none such") == {}
    assert [c["table"] for c in json.loads(path.read_text())["cuts"]] == ["credit", "shop"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        load(tmp_path, INCOMES, Thresholds(tmp_path / "none" / "bank.bins.json", "bank"))
