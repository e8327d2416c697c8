"""Every promise of the security pages names tests that attack it, and these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.syntax import nodes

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PAGE = (ROOT / "docs" / "security" / "promises.md").read_text("utf-8")
NAMED = re.findall(r"`((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?`", PAGE)


def functions(path: Path) -> set[str]:
    return {n.name for n in nodes(path) if isinstance(n, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "test"), sorted({(f, t) for f, t in NAMED}))
def test_the_test_that_is_named_exists(file: str, test: str) -> None:
    path = TESTS / file
    assert path.is_file(), f"no file {file}"
    assert any(n.startswith("test_") for n in functions(path)) if not test else test in functions(path)


def test_every_row_of_the_tables_names_a_test() -> None:
    heads = re.compile(r"\|[-| ]+\|$|\| Promise ")
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not heads.match(line)]
    assert len(rows) > 40
    assert not [row for row in rows if "`" not in row.split("|")[2] or ".py" not in row.split("|")[2]]


def test_every_security_page_has_promises_here() -> None:
    pages = {path.name for path in (ROOT / "docs" / "security").glob("*.md")} - {"promises.md"}
    assert not [name for name in pages if f"]({name}" not in PAGE]
