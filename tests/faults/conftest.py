"""A small consortium in a temporary folder, run by real processes through the command line."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from privity.jobs.founding import init_consortium

COMPUTE = ("compute_0", "compute_1", "compute_2")


def ended_within_s() -> float:
    """After a fault all processes must be gone within ten seconds, on a machine that has a core for each that is busy;
    twice as long on any other, and more where more is running now: the load is a mean over a minute, so it lags."""
    return 20.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


JOB = """
name = "faults"

[[openings]]
name = "total"
shape = [2]
to = "all"

[[openings]]
name = "state"
to = "all"

[parameters]
steps = {steps}
folder = "{folder}"

[tables.rows]
columns = [
    {{ name = "amount", kind = "number", bound = 1000 }},
    {{ name = "visits", kind = "integer", bound = 100 }},
    {{ name = "note", role = "ignore" }},
    {{ name = "churn", kind = "binary", role = "label" }},
]
"""
GOOD = "amount,visits,note,churn\n" + "".join(f"{i % 900 + 0.25},{i % 90},x,{i % 2}\n" for i in range(200))


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The one message; fails the test if there is none, more than one, or a traceback."""
        for stream in (self.out, self.err):
            assert "Traceback" not in stream, stream
        starts = [m.start() for m in re.finditer(r"^privity: ", self.err, re.MULTILINE)]
        assert len(starts) == 1, f"expected one message:\n{self.err}"
        return self.err[starts[0] :]


@dataclass
class Running:
    """A command that is running."""

    popen: subprocess.Popen[str]

    def finish(self, within: float | None = None) -> Outcome:
        out, err = self.popen.communicate(timeout=within or ended_within_s())
        return Outcome(self.popen.returncode, out or "", err)

    def until_it_says(self, words: str) -> None:
        """Read standard error up to the first line with ``words``."""
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            if words in line:
                return
        raise AssertionError(f"it never said {words!r}")

    def signal(self, number: int) -> None:
        os.kill(self.popen.pid, number)


@dataclass
class Site:
    """A folder with a consortium, a job, a program and each owner's table; ends its processes when the test does."""

    folder: Path
    owners: tuple[str, ...] = ("bank_a",)
    started: list[Running] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def consortium(self) -> Path:
        return self.folder / "consortium.toml"

    @property
    def job(self) -> Path:
        return self.folder / "program.toml"

    def found(self) -> None:
        """Write everything anew."""
        init_consortium(self.folder, COMPUTE, self.owners, overwrite=True)
        text = self.consortium.read_text()
        for owner in self.owners:
            block = f'name = "{owner}"\n'
            assert block in text
            text = re.sub(rf'({block}(?:.+\n)*)', rf'\1[party.tables]\nrows = "{owner}.csv"\n', text)
            (self.folder / f"{owner}.csv").write_text(GOOD)
        self.consortium.write_text(text)
        shutil.copy(Path(__file__).parent / "program.py", self.folder / "program.py")
        self.write_job()

    def write_job(self, *, steps: int = 5, path: Path | None = None, edit: Callable[[str], str] | None = None) -> None:
        text = JOB.format(steps=steps, folder=self.folder)
        (path or self.job).write_text(edit(text) if edit else text)

    def start(self, *arguments: Any, python: list[str] | None = None, **options: Any) -> Running:
        """``privity ARGUMENTS`` in a session of its own, as in a terminal of its own."""
        popen = subprocess.Popen(
            [sys.executable, *(python or ["-m", "privity"]), *map(str, arguments)],
            **{"stdout": subprocess.PIPE, **options},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **self.environment, "COLUMNS": "200"},
        )
        self.started.append(Running(popen))
        return self.started[-1]

    def start_run(self, *more: Any, **options: Any) -> Running:
        program = self.folder / "program.py"
        return self.start("run", program, "--consortium", self.consortium, *more, **options)

    def run(self, *more: Any, within: float = 120.0, **options: Any) -> Outcome:
        return self.start_run(*more, **options).finish(within)

    def processes(self) -> dict[str, int]:
        """Living processes of this site: party (or "parent") -> process id, read from their command lines."""
        found: dict[str, int] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if any(str(self.folder) in word for word in words):
                child = "party" in words and "--party" in words
                found[words[words.index("--party") + 1] if child else f"parent {entry.name}"] = int(entry.name)
        return found

    def until(self, condition: Callable[[], Any], within: float = 60.0) -> Any:
        """The first true value of ``condition``, asked again and again."""
        deadline = time.monotonic() + within
        while not (value := condition()):
            assert time.monotonic() < deadline, f"it did not come to that; {self.state()}"
            time.sleep(0.01)
        return value

    def state(self) -> str:
        """What runs, what has ended and what it said: for the message of a test that waited in vain."""
        alive = self.processes()
        for process in alive.values():
            os.kill(process, signal.SIGKILL)
        ended = [running.finish(10) for running in self.started]
        return f"alive: {sorted(alive)}; files: {sorted(p.name for p in self.folder.iterdir())}; ended: {ended}"

    def kill(self, party: str, number: int) -> None:
        """Send a signal to the process of one party."""
        os.kill(self.processes()[party], number)

    def until_all_are_gone(self) -> None:
        self.until(lambda: not self.processes(), ended_within_s())

    def until_reached(self, *parties: str) -> None:
        """Until the programs of ``parties`` (default: the compute parties) are in the middle of their loop."""
        self.until(lambda: all((self.folder / f"reached.{p}").exists() for p in parties or COMPUTE))

    def assert_nothing_half_written(self) -> None:
        """No temporary file, and no report of a run that failed."""
        names = [p.name for p in self.folder.rglob("*")]
        assert not [n for n in names if n.endswith(".part") or n == "report.json" or n.startswith("view.")]

    def assert_failed(self, outcome: Outcome, code: int, *words: str) -> str:
        """One clear message with ``words``, the right exit code, nobody left over, nothing half-written."""
        message = outcome.message
        assert outcome.code == code, message
        for word in words:
            assert word in message, message
        assert outcome.out == ""
        self.until_all_are_gone()
        self.assert_nothing_half_written()
        return message

    def end(self) -> None:
        for running in self.started:
            if running.popen.poll() is None:
                running.popen.kill()
                running.popen.communicate()
        for process in self.processes().values():
            os.kill(process, signal.SIGKILL)


@contextmanager
def _site_at(folder: Path) -> Iterator[Site]:
    folder.mkdir()
    place = Site(folder)
    place.found()
    try:
        yield place
    finally:
        place.end()


@pytest.fixture(scope="session")
def site_at() -> Callable[[Path], AbstractContextManager[Site]]:
    """A site in a folder that does not exist yet, for what several tests share."""
    return _site_at


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with _site_at(tmp_path / "a consortium") as place:  # paths with spaces must work everywhere
        yield place
