"""The examples of docs/tables.md and docs/preprocessing.md run and print what the pages say."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["tables.md", "preprocessing.md"])
def test_examples_print_what_the_page_says(name: str) -> None:
    page = (DOCS / name).read_text("utf-8")
    found = re.findall(r"^```(python|text)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert sum(kind == "text" for kind, _ in found) >= 2
    names = {"__name__": "__main__"}
    printed = ""
    for kind, block in found:
        if kind == "python":
            assert not printed, "an example that prints is followed by what it prints"
            stream = io.StringIO()
            with contextlib.redirect_stdout(stream):
                exec(compile(block, name, "exec"), names)
            printed = stream.getvalue()
        else:
            assert printed == block
            printed = ""
