"""``privity demo``: what a command says before any party starts, alike for every demonstration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from privity.errors import DataError

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("demo", ["banks", "hospitals"])
def test_a_package_that_is_missing_is_named(call: Call, monkeypatch: pytest.MonkeyPatch, demo: str) -> None:
    for name in [name for name in sys.modules if name.startswith("privity.demo.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in [name for name in sys.modules if name.startswith("sklearn.")]:
        monkeypatch.delitem(sys.modules, name)
    code, out, err = call("demo", demo)
    assert code == 2 and out == ""
    assert "the demo needs sklearn" in err and "pip install 'privity[demo]'" in err


@pytest.mark.parametrize("demo", ["banks", "hospitals"])
def test_options_arrive_and_errors_end_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demo: str
) -> None:
    told: list[Any] = []

    def run(out: Path, **options: Any) -> None:
        told.append((out, options))
        if options["json"]:
            raise KeyboardInterrupt
        raise DataError("the source differs")

    module = ModuleType(f"privity.demo.{demo}")
    setattr(module, f"run_{demo}", run)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code, _, err = call("demo", demo, "--out", tmp_path / "here", "--no-record-view", "--timeout", "7")
    assert code == 1 and err == "privity: the source differs\n"
    code, _, err = call("demo", demo, "--json")
    assert code == 130 and "interrupted" in err
    assert told == [
        (tmp_path / "here", {"json": False, "record_view": False, "timeout_s": 7.0}),
        (Path(f"privity-demo-{demo}"), {"json": True, "record_view": True, "timeout_s": 60.0}),
    ]
