"""The command line as users run it: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from privity.cli import main

PROGRAM = '''"""Sums one secret."""


def program(s):
    x = s.secret("x", "bank_a")
    return s.reveal(x.sum(), to="all", name="total", reason="the sum")
'''

JOB = """name = "sum"

[[openings]]
name = "total"
to = "all"

[arrays.x]
bound = 10.0
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Privity = Callable[..., Ended]


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``privity ARGUMENTS`` in the test's folder; relative paths are relative to it."""

    def starting(*arguments: Any, closed: bool = False, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "privity", *map(str, arguments)]
        return subprocess.Popen(
            ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command] if closed else command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": python_path(), "COLUMNS": "100", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return starting


def python_path() -> str:
    """PYTHONPATH with absolute paths, as the commands run elsewhere."""
    return os.pathsep.join(os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)


@pytest.fixture
def privity(start: Callable[..., subprocess.Popen[str]]) -> Privity:
    """Runs ``privity ARGUMENTS``; no command may ever show a traceback."""

    def running(*arguments: Any, closed: bool = False, **environment: str) -> Ended:
        process = start(*arguments, closed=closed, **environment)
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in out + err, err
        return Ended(process.returncode, out, err)

    return running


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Like ``privity`` but in this process, for the many commands that end before any party starts."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def calling(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    yield calling
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def sum_job(tmp_path: Path) -> Path:
    """A program and its job file in the test's folder."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "program.toml").write_text(JOB)
    return tmp_path
