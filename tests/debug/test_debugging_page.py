"""The examples of docs/debugging.md run and print what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "debugging.md").read_text("utf-8")


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed, names = io.StringIO(), {"__name__": "__main__"}
    with contextlib.redirect_stdout(printed):
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
            exec(compile(block, "example.py", "exec"), names)
    promised = re.findall(r"# (example\.py:\d+: .*?), beyond \.\.\.", PAGE)
    assert len(promised) == 1 and promised[0] in printed.getvalue()
    assert (tmp_path / "trace" / "trace.html").exists() and "assume_bound" in printed.getvalue()
