"""What owners bring as data frames: columns by name, words as codes, every sign of an empty cell."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privity.errors import DataError
from privity.table import Field, TableInfo, table_inputs

INFO = TableInfo(
    "people",
    (
        Field("age", "integer", 128.0, 120.0), Field("income", "number", 2.0**20, 1e6, missing=True),
        Field("ward", "category", categories=("a", "b", "c"), missing=True), Field("smokes", "binary", missing=True),
    ),
    label=Field("stay", "integer", 1.0, 90.0),
)  # fmt: skip
AGE, INCOME = [30, 45, 61, 18], [1e5, np.nan, 2.5e5, 3.0]
ARRAY = np.array([AGE, INCOME, [0, 2, np.nan, 1], [1, 0, 1, np.nan]], float).T
STAY = np.array([3.0, 4, 5, 60])
FRAME = pd.DataFrame({
    "stay": STAY.astype(int), "smokes": [True, False, True, None], "ward": ["a", "c", None, "b"], "income": INCOME,
    "more": ["x"] * 4, "age": AGE,
})  # fmt: skip


def same(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert one.keys() == two.keys()
    for name, given in one.items():
        assert np.array_equal(given.values, two[name].values), name
        assert given.declared(18) == two[name].declared(18), name


WANTED = table_inputs(INFO, ARRAY, STAY)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME[["age", "income", "ward", "smokes", "stay"]],
        FRAME.astype({"ward": "category", "smokes": "boolean", "age": "Int64", "income": "Float64"}),
        FRAME.assign(ward=[0, 2, np.nan, 1], smokes=[1, 0, 1, np.nan]),
        FRAME.assign(ward=pd.array(["a", "c", pd.NA, " b "], "string"), age=np.array(AGE, np.uint8)),
        FRAME.convert_dtypes(),
        FRAME.set_index("more"),
        FRAME.astype({"income": "float32"}),
    ],
)
def test_columns_are_taken_by_name_in_any_order(frame: pd.DataFrame) -> None:
    same(WANTED, table_inputs(INFO, frame))


def test_a_label_that_is_given_comes_first() -> None:
    same(WANTED, table_inputs(INFO, FRAME.assign(stay=0), STAY))
    same(WANTED, table_inputs(INFO, FRAME.drop(columns="stay"), STAY))
    with pytest.raises(DataError, match=r"lacks 'stay'; its columns: smokes"):
        table_inputs(INFO, FRAME.drop(columns="stay"))
    with pytest.raises(DataError, match="no label; give the column 'stay'"):
        table_inputs(INFO, ARRAY)


class Polars:
    """As polars.DataFrame: names, and columns that are lists with None, no dtypes of NumPy."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.columns = list(frame.columns)
        self._cells = {n: [None if pd.isna(v) else v for v in frame[n].tolist()] for n in self.columns}

    def __getitem__(self, name: str) -> list[Any]:
        return self._cells[name]

    def __len__(self) -> int:
        return 4


def test_other_libraries_frames() -> None:
    same(WANTED, table_inputs(INFO, Polars(FRAME)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.rename(columns={"age": "Age"}), r"lacks 'age'; its columns: stay, .*Age.*rename them"),
        (
            lambda f: f.assign(ward=["a", "q", "b", "b"]),
            r"column 'ward': expected one of the schema's categories \(a, b, c\), found 'q' in row 2",
        ),
        (lambda f: f.assign(ward=[0, 1, 2, 3]), "column 'ward': expected one of .*found 3 in row 4"),
        (lambda f: f.assign(ward=[0.5, 1, 2, 1]), "column 'ward': .*found 0.5 in row 1"),
        (lambda f: f.assign(age=["30", "45", "61", "18"]), "column 'age': .*whole number, found '30' in row 1"),
        (lambda f: f.assign(age=[30, None, 61, 18]), "column 'age': 1 empty cells"),
        (lambda f: f.assign(age=[30, 121, 61, 18]), "column 'age': .* of at most 120 .*121.0 in row 2"),
        (lambda f: f.assign(age=[30.5, 1, 61, 18]), "column 'age': .*whole number .*30.5 in row 1"),
        (lambda f: f.assign(smokes=[2, 0, 0, 1]), "column 'smokes': expected 0 or 1, found 2.0 in row 1"),
        (lambda f: f.assign(smokes=["yes", "no", "no", "no"]), "column 'smokes': expected 0 or 1, found 'yes'"),
        (lambda f: f.assign(income=[np.inf, 0, 0, 0]), "column 'income': expected a number of at most 1000000 .*inf"),
        (lambda f: f.assign(age=pd.to_datetime(["2020-01-01"] * 4)), "'age': .*whole number, found Timestamp"),
        (lambda f: pd.concat([f, f[["age"]]], axis=1), "several columns named 'age'"),
        (lambda f: f.assign(stay=[1, 2, 3, 91]), "label 'stay': expected a whole number, found 91.0 in row 4"),
        (lambda f: f.assign(stay=[1, 2, 3, None]), "label 'stay': expected a whole number, found nan in row 4"),
    ],
)
def test_what_does_not_fit_is_named(change: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        table_inputs(INFO, change(FRAME))


def test_words_that_are_numbers_are_words() -> None:
    """A column of 1 and 2 where the categories are "1" and "2": the words, and no codes."""
    info = TableInfo("t", (Field("grade", "category", categories=("1", "2", "10")),))
    made = table_inputs(info, pd.DataFrame({"grade": [1, 10, 2, 2.0]}))
    assert made["t.codes"].values[:, 0].tolist() == [0, 2, 1, 1]
    with pytest.raises(DataError, match="found 0 in row 1"):
        table_inputs(info, pd.DataFrame({"grade": [0, 1]}))
    assert table_inputs(info, np.array([[0.0], [2]]))["t.codes"].values[:, 0].tolist() == [0, 2]  # an array has codes


def test_an_array_keeps_its_order_and_is_checked_alike() -> None:
    with pytest.raises(DataError, match=r"column 'ward': expected a code from 0 to 2, found 3.0 in row 1"):
        table_inputs(INFO, np.array([[30.0, 1.0, 3.0, 0.0]]), np.array([1.0]))
    with pytest.raises(DataError, match="keys"):
        table_inputs(TableInfo("t", (Field("x"),), keyed=True), np.array([[0.5]]))


class Silent:
    """Neither compares nor shows itself."""

    def __ne__(self, other: object) -> bool:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


ODD = [
    [1], {}, np.array([1, 2]), np.array([]), 1j, b"a", object(), Silent(), "9" * 5000, "\ud800", 10**400,
    2**53 + 1, float("inf"),
    decimal.Decimal("sNaN"), datetime.date(2020, 1, 1), np.uint64(2**64 - 1), pd.Timestamp("2020"), lambda: 1,
]  # fmt: skip


@pytest.mark.parametrize("column", ["age", "income", "ward", "smokes", "stay"])
def test_cells_that_are_none_are_refused_by_name(column: str) -> None:
    """Whatever Python can put into a frame: it is no empty cell, and no error but ours."""
    for odd in ODD:
        cells = list(FRAME[column].astype(object))
        cells[1] = odd
        with pytest.raises(DataError, match=column) as caught:
            table_inputs(INFO, FRAME.assign(**{column: pd.Series(cells, dtype=object)}))
        assert len(str(caught.value)) < 400


KEYS = np.arange(8, dtype=np.uint64).reshape(4, 2)
KEYED = TableInfo("people", INFO.fields, INFO.label, keyed=True)


@pytest.mark.parametrize(
    ("features", "label", "keys", "told"),
    [
        (ARRAY, STAY[:3], KEYS, r"label 'stay': expected numbers of shape \(4,\), one for each row, got shape \(3,\)"),
        (ARRAY, STAY[:, None], KEYS, r"label 'stay': .*got shape \(4, 1\)"),
        (ARRAY, 3.0, KEYS, r"label 'stay': .*got shape \(\)"),
        (ARRAY, ["x"] * 4, KEYS, "label 'stay': .*cannot be read as such"),
        (ARRAY, np.array(["2020-01-01"] * 4, "datetime64[s]"), KEYS, "label 'stay': .*cannot be read as such"),
        (ARRAY, [10**400] * 4, KEYS, "label 'stay': .*cannot be read as such"),
        (ARRAY[:, :3], STAY, KEYS, r"features: expected numbers of shape \(rows, 4\).*got shape \(4, 3\)"),
        (ARRAY[:, :, None], STAY, KEYS, r"features: .*got shape \(4, 4, 1\)"),
        (ARRAY[0], STAY[:1], KEYS, r"features: .*got shape \(4,\)"),
        (ARRAY * 1j, STAY, KEYS, "features: .*cannot be read as such"),
        (None, STAY, KEYS, "features: "),
        (ARRAY, STAY, KEYS[:1], r"keys of shape \(4, 2\).*got uint64 of shape \(1, 2\)"),
        (ARRAY, STAY, KEYS[0], r"keys of shape \(4, 2\).*got uint64 of shape \(2,\)"),
        (ARRAY, STAY, KEYS + np.uint64(1 << 48), "whole numbers from 0 to 2\\^48 - 1"),
        (ARRAY, STAY, -KEYS.astype(int), "whole numbers from 0 to 2\\^48 - 1"),
        (ARRAY, STAY, KEYS + 0.5, "whole numbers .*got float64"),
    ],
)
def test_other_shapes_are_neither_repeated_nor_filled_up(features: Any, label: Any, keys: Any, told: str) -> None:
    """A label too short would be 0 in the rows behind it, one key that of all rows."""
    with pytest.raises(DataError, match=told):
        table_inputs(KEYED, features, label, keys)


def test_whole_numbers_that_float64_would_round_are_refused() -> None:
    info = TableInfo("t", (Field("n", "integer", 2.0**53, 2.0**53),))
    table_inputs(info, np.array([[1 << 53]]))
    with pytest.raises(DataError, match=r"beyond 2\^53 are not exact"):
        table_inputs(info, np.array([[(1 << 53) + 1]]))


def test_no_rows_are_a_table_too() -> None:
    made = table_inputs(INFO, FRAME.iloc[:0])
    assert made["people.features"].values.shape == (0, 3) and made["people.label"].values.shape == (0,)


def test_a_column_of_words_and_numbers_or_of_booleans_is_no_column_of_codes() -> None:
    words = TableInfo("t", (Field("x", "category", categories=("a", "b", "c"), missing=True),))
    for cells in ([1, "a", None], ["c", 2.0], [True, False]):
        with pytest.raises(DataError, match="column 'x': expected one of the schema's categories"):
            table_inputs(words, pd.DataFrame({"x": pd.Series(cells, dtype=object)}))
    for dtype in ("int8", "uint64", "Int64", "Float64", "float32", "category"):
        found = table_inputs(words, pd.DataFrame({"x": pd.Series([2, 0, 1], dtype=dtype)}))["t.codes"]
        assert found.values[:, 0].tolist() == [2, 0, 1], dtype
    numbers = TableInfo("t", (Field("x", "category", categories=("0", "1", "2")),))
    with pytest.raises(DataError, match="column 'x'"):
        table_inputs(numbers, pd.DataFrame({"x": pd.Series([True, False], dtype="boolean")}))
