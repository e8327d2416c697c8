"""Reading an owner's CSV: good files exactly, bad files with one message that says where, what and what next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privity.data import Column, OwnerTable, TableSchema, read_table
from privity.errors import DataError

SCHEMA = TableSchema(
    "people",
    (
        Column("ID", "number", 1.0, role="ignore"),
        Column("age", "integer", 120.0),
        Column("income", "number", 1e6),
        Column("default", "binary", 1.0, role="label"),
    ),
    capacity=4,
)
HEADER = "ID,age,income,default\n"
GOOD = HEADER + "a1,30,1000.5,0\na2,44,-2e3,1\n"


def read(folder: Path, content: str | bytes, schema: TableSchema = SCHEMA) -> OwnerTable:
    path = folder / "people.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, schema, "bank_a")


def refusal(folder: Path, content: str | bytes, schema: TableSchema = SCHEMA) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, content, schema)
    message = str(caught.value)
    assert message.startswith("bank_a: table 'people', file ")
    assert "people.csv" in message
    assert message.endswith(".")
    assert caught.value.public_reason == "DataError"  # what peers hear holds nothing of the file
    return message


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip("\n"),
        GOOD + "\n\n",
        "\n" + GOOD,
        GOOD.replace("a1", '"a, 1"').replace("30", '"30"'),
        GOOD.replace("a1", '"two\nlines"'),
        GOOD.replace("a1", "Zoë_1"),
        GOOD.replace("a1", ""),
        GOOD.replace("30", " 30.0 "),
        GOOD.replace("ID,age", "ID, age"),
    ],
)
def test_reads_good_files(tmp_path: Path, content: str) -> None:
    table = read(tmp_path, content)
    assert table.names == ("age", "income", "default")
    assert table.values.dtype == np.float64
    np.testing.assert_array_equal(table.values, [[30, 1000.5, 0], [44, -2000, 1]])
    np.testing.assert_array_equal(table.column("age"), [30, 44])


def test_table_is_read_only_and_its_repr_holds_no_rows(tmp_path: Path) -> None:
    table = read(tmp_path, GOOD)
    assert repr(table) == "<OwnerTable of bank_a: 2 rows, 3 columns>"
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 1.0
    with pytest.raises(DataError, match="Did you mean 'income'"):
        table.column("incme")


def test_applies_the_transform_after_the_check(tmp_path: Path) -> None:
    schema = TableSchema("people", (Column("amount", "number", 100.0, transform="signed_log"),))
    table = read(tmp_path, "amount\n99\n-99\n0\n", schema)
    np.testing.assert_allclose(table.values[:, 0], [np.log(100), -np.log(100), 0])
    assert "at most 100 " in refusal(tmp_path, "amount\n101\n", schema)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["the file is empty"]),
        ("\n\n", ["the file is empty"]),
        (HEADER, ["no row below"]),
        (HEADER.rstrip(), ["no row below"]),
        ("ID,income,default\n1,2,0\n", ["'age' is missing"]),
        ("ID,Age,income,default\n1,2,3,0\n", ["'age' is missing, but there is 'Age'"]),
        ("ID,age,incme,default\n1,2,3,0\n", ["'income' is missing, but there is 'incme'"]),
        ("ID,age,income,default,zip\n1,2,3,0,9\n", ["'zip' is not in the schema"]),
        ("ID,age,age,income,default\n1,2,2,3,0\n", ["'age' comes 2 times"]),
        (
            "ID,income,age,default\n1,2,3,0\n",
            ["other order", "number 2 should be 'age', found 'income'", "expected order: ID, age, income, default"],
        ),
        (GOOD.replace(",", ";"), ["';'", "separated by commas"]),
        (HEADER + "1,30,5,0\n2,31,5\n", ["line 3", "expected 4 cells, found 3"]),
        (HEADER + "1,30,5,0\n2,31,5,0,7\n", ["line 3", "expected 4 cells, found 5"]),
        (HEADER + "1,30,5,0\n\n2,31,5,0\n", ["line 3 is blank"]),
        (HEADER + "1,thirty,5,0\n", ["line 2, column 'age'", "a whole number", "'thirty'"]),
        (HEADER + "1,30.5,5,0\n", ["line 2, column 'age'", "a whole number", "'30.5'"]),
        (HEADER + "1,30,nan,0\n", ["line 2, column 'income'", "a finite number", "'nan'"]),
        (HEADER + "1,30,-Infinity,0\n", ["column 'income'", "'-Infinity'"]),
        (HEADER + "1,30,1e999,0\n", ["column 'income'", "at most 1000000"]),
        (HEADER + "1,30,,0\n", ["column 'income'", "an empty cell"]),
        (HEADER + "1,30,1_000,0\n", ["column 'income'", "'1_000'"]),
        (HEADER + "1,30,٣,0\n", ["column 'income'", "a finite number"]),
        (HEADER + "1,30,0x10,0\n", ["column 'income'", "'0x10'"]),
        (HEADER + "1,121,5,0\n", ["column 'age'", "at most 120 (the column's public bound)", "'121'"]),
        (HEADER + "1,30,-1000000.1,0\n", ["column 'income'", "at most 1000000 "]),
        (HEADER + "1,30,5,2\n", ["column 'default'", "0 or 1", "'2'"]),
        (HEADER + "1,30,5,-1\n", ["column 'default'", "0 or 1", "'-1'"]),
        (HEADER + "1,30,5,yes\n", ["column 'default'", "0 or 1", "'yes'"]),
        (HEADER + "1,30,5,0.5\n", ["column 'default'", "0 or 1", "'0.5'"]),
        (HEADER + "1,30,5,0\n" * 5, ["at most 4 rows (the capacity in the schema), found 5"]),
        (HEADER + '1,30,"5,0\n', ["not well-formed CSV"]),
        (HEADER.encode() + b"1,30,5,0\n2,\xe9,5,0\n", ["line 3", "0xe9", "not UTF-8"]),
        (HEADER.encode() + b"1,30,5,0\n2,\0,5,0\n", ["line 3", "NUL"]),
        ('"ID,age,income,default\n1,30,5,0\n', ["the header is not well-formed CSV"]),
        (GOOD.encode("utf-16"), ["NUL"]),
        (HEADER + "1," + "9" * 500 + ",5,0\n", ["column 'age'", "99999..."]),
        (HEADER + "x" * 200_000 + ",30,5,0\n", ["not well-formed CSV"]),
    ],
)
def test_refuses_bad_files(tmp_path: Path, content: str | bytes, words: list[str]) -> None:
    message = refusal(tmp_path, content)
    for word in words:
        assert word in message
    assert len(message) < 1000


def test_lists_the_first_five_problems(tmp_path: Path) -> None:
    message = refusal(tmp_path, HEADER + "1,x,y,z\n" * 100)
    assert message.count("\n  - line") == 5
    assert message.endswith("\n  - and more\nCorrect these cells, or have the schema changed for all owners.")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist.*Check the path"):
        read_table(tmp_path / "none.csv", SCHEMA, "bank_a")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path, SCHEMA, "bank_a")


cells = st.one_of(
    st.integers(-150, 150).map(str),
    st.floats(allow_nan=True).map(str),
    st.sampled_from(["", " ", "0", "1", "1.0", "1e2", "+3", ".5", "5.", "1_0", "inf", "٣", '"7"', "7 7", "1e-400"]),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4))
def test_the_fast_and_the_careful_reader_agree(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    """An underscore in a column that is not read sends the same rows through the careful reader."""
    body = [",".join(row) for row in rows]
    outcomes = []
    for first in ("a", "a_"):
        try:
            table = read(tmp_path, HEADER + "".join(f"{first},{row}\n" for row in body))
            outcomes.append(table.values.tolist())
        except DataError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
