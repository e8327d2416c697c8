"""The schema shown in docs/data.md is one that Privity accepts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from privity.data import TableSchema
from privity.data.schema import power_of_two_bound

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_documented_schema_is_accepted() -> None:
    schema = TableSchema.from_mapping("credit", tomllib.loads(EXAMPLES[0])["tables"]["credit"])
    assert [column.role for column in schema.columns] == ["ignore", "feature", "feature", "label"]
    assert [power_of_two_bound(column) for column in schema.shared] == [128.0, 16.0, 1.0]


def test_the_documented_schema_of_a_table_with_keys_is_accepted() -> None:
    schema = TableSchema.from_mapping("laboratory", tomllib.loads(EXAMPLES[1])["tables"]["laboratory"])
    assert [column.role for column in schema.columns] == ["key", "feature", "feature"]
    assert schema.columns[0].kind == "text" and schema.columns[1].missing
    assert schema.missing_values == ("", "NA", "?") and schema.owners == ("hospital_3",)
    assert schema.duplicates == "refuse"


def test_the_documented_schema_of_a_table_with_bins_is_accepted() -> None:
    schema = TableSchema.from_mapping("applications", tomllib.loads(EXAMPLES[2])["tables"]["applications"])
    age, income = schema.columns
    assert age.bin_names == ("below 18", "from 18", "from 25", "from 40", "from 60")
    assert income.bins == 32 and income.missing and len(income.bin_names) == 32
