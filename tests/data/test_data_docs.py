"""The schema shown in docs/data.md is one that Privity accepts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from privity.data import TableSchema
from privity.data.schema import power_of_two_bound


def test_the_documented_schema_is_accepted() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    schema = TableSchema.from_mapping("credit", tomllib.loads(example[1])["tables"]["credit"])
    assert [column.role for column in schema.columns] == ["ignore", "feature", "feature", "label"]
    assert [power_of_two_bound(column) for column in schema.shared] == [128.0, 16.0, 1.0]
