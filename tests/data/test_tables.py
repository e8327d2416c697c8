"""Reading an owner's CSV: good files exactly, bad files with one message that says where, what and what next."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privity.data import Column, OwnerTable, TableSchema, read_table
from privity.data.key_file import read_keys
from privity.data.load import load_inputs
from privity.errors import ConfigError, DataError

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
        GOOD.replace("\n", "\r"),
        GOOD.replace("a1", "z" * 300_000),
        GOOD.replace("a1", '"' + "z\n" * 100_000 + '"'),
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
        (HEADER + '1,30,"5,0\n', ["line 2: not well-formed CSV", "a quote that opens in this line is never closed"]),
        (GOOD + '3,30,"5,0\n4,1,1,1\n', ["line 4: not well-formed", "never closed", "Correct the quotes there"]),
        (GOOD + '3,30,"5"5,0\n', ["line 4: not well-formed CSV", "a quote within a quoted cell is written twice"]),
        (HEADER + '1,30,"5,5",0\n', ["column 'income'", "found '5,5' (decimals have a point, not a comma)"]),
        (HEADER + "1,30,5,5,0\n", ["line 2: expected 4 cells, found 5; a cell that holds a comma is written in"]),
        (HEADER.replace("\n", "\r") + "1,30,x,0\r", ["line 2, column 'income': expected a finite number"]),
        ("ID,age,age,income,default\n1,2,2,3,0\n", ["column 'age' comes 2 times"]),
        (HEADER.encode() + b"1,30,5,0\n2,\xe9,5,0\n", ["line 3", "0xe9", "not UTF-8"]),
        (HEADER.encode() + b"1,30,5,0\n2,\0,5,0\n", ["line 3", "NUL"]),
        ('"ID,age,income,default\n1,30,5,0\n', ["the header is not well-formed CSV"]),
        (GOOD.encode("utf-16"), ["it is UTF-16; expected UTF-8. Export the table as UTF-8 CSV"]),
        (GOOD.encode("utf-16-le"), ["NUL byte", "UTF-16"]),
        (HEADER + "1," + "9" * 500 + ",5,0\n", ["column 'age'", "99999..."]),
        (HEADER + "a," + "x" * 200_000 + ",5,0\n", ["line 2, column 'age': expected a whole number", "xxx..."]),
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


def test_long_cells_leave_the_limit_of_the_csv_module_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    read(tmp_path, GOOD.replace("a1", "z" * 200_000))
    refusal(tmp_path, GOOD.replace("a1", '"' + "z" * 200_000))
    keys = tmp_path / "keys.csv"
    keys.write_text('id,note\n1,short\n2,"' + "z" * 200_000 + '"\n')
    assert read_keys(keys, "id", []).items == [b"1", b"2"]
    assert csv.field_size_limit() == before


NFC, NFD = "Gr\u00f6\u00dfe", "Gro\u0308\u00dfe"


@pytest.mark.parametrize(("ours", "theirs"), [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
def test_names_and_categories_are_the_same_in_either_form_of_unicode(tmp_path: Path, ours: str, theirs: str) -> None:
    kinds = {"name": "c", "kind": "category", "categories": ["Ana", f"Jos{ours[2:-2]}"]}
    schema = TableSchema.from_mapping("people", {"columns": [{"name": ours, "kind": "number", "bound": 9}, kinds]})
    assert schema.columns[0].name == NFC  # the name by which a program finds it
    table = read(tmp_path, f"{theirs},c\n1,Ana\n2,Jos{theirs[2:-2]}\n", schema)
    assert table.column(NFC).tolist() == [1.0, 2.0] and table.column("c").tolist() == [0.0, 1.0]
    with pytest.raises(ConfigError, match="listed twice"):
        number = {"kind": "number", "bound": 9}
        TableSchema.from_mapping("people", {"columns": [{"name": NFC, **number}, {"name": NFD, **number}]})
    keys = tmp_path / "keys.csv"
    keys.write_text(f"{theirs}\nx\n", encoding="utf-8")
    assert read_keys(keys, ours, []).items == [b"x"]


@pytest.mark.parametrize(
    ("steps", "cells", "same"),
    [
        ([], ["+007", "8"], ["7", "08"]),
        ([], ["-5", "-0"], ["-05", "0"]),
        ([], [" 12.0", "3."], ["12", "3.00"]),
        (["digits"], ["DE-0049", "a8"], ["49", "8"]),
        (["nfkc"], ["\uff10\uff10\uff17", "8"], ["7", "8"]),
        (["letters_digits", "digits"], ["12-34", "8"], ["1234", "8"]),
    ],
)
def test_integer_keys_are_read_as_the_page_says(
    tmp_path: Path, steps: list[str], cells: list[str], same: list[str]
) -> None:
    """Steps come first; then a sign, zeros in front and a fraction of zeros mean nothing."""
    key = {"name": "id", "role": "key", "kind": "integer", "normalize": steps}
    schema = TableSchema.from_mapping("people", {"columns": [key, {"name": "x", "kind": "number", "bound": 9}]})

    def shared(values: list[str]) -> list[list[int]]:
        path = tmp_path / "people.csv"
        path.write_text("id,x\n" + "".join(f"{v},1\n" for v in values), encoding="utf-8")
        words: list[list[int]] = load_inputs({"people": schema}, {"people": path}, "o")["people.keys"].values.tolist()
        return words

    assert shared(cells) == shared(same)
    refused = refusal(tmp_path, "id,x\n7.5,1\n", schema) if not steps else refusal(tmp_path, "id,x\n--,1\n", schema)
    assert "line 2, column 'id': expected a whole number as key" in refused


@pytest.mark.parametrize("cell", ["9007199254740990.5", "30.0000000000000000001", "-4503599627370497.25"])
def test_a_fraction_that_float64_does_not_see_is_one(tmp_path: Path, cell: str) -> None:
    column = {"name": "n", "kind": "integer", "bound": 2**53}
    schema = TableSchema.from_mapping("people", {"columns": [column, {"name": "x", "kind": "number", "bound": 9}]})
    assert "line 2, column 'n': expected a whole number" in refusal(tmp_path, f"n,x\n{cell},1\n", schema)
    assert read(tmp_path, "n,x\n9007199254740990.000,1\n", schema).values[0, 0] == 9007199254740990
